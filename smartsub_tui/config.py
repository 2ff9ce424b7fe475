"""Settings: config.toml as frozen values. Flags come before the environment, then the file, then the defaults.

An unknown key or a bad value is refused with the file, the key and the nearest right name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from unicodedata import category
from zoneinfo import ZoneInfo

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from smartsub_tui.data.vocabulary import Lapsed
from smartsub_tui.errors import WrongUsage

_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SERIES = re.compile(r"[A-Z0-9]{1,10}")

# A web address, and its parts; RFC 3986 says which characters it may have.
EXAMPLE_ADDRESS: Final = "https://billing.example.com/"
_ADDRESS_LONGEST: Final = 2000
_ADDRESS = re.compile(r"https?://(?P<authority>[^/?#]+)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_ON_THIS_MACHINE = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost)(:[0-9]+)?(/|$)", re.IGNORECASE)
_ADDRESS_LETTER = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]")
_HOST = re.compile(r"(?:\[(?P<ipv6>[^\]]*)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?")
_KEY_OF_STRIPE = re.compile(r"\s*(?:[sr]k_(?:live|test)|whsec)_")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def parse_duration(text: str) -> timedelta:
    """90s, 15m, 24h or 14d; raises ValueError with a sentence otherwise."""
    match = _DURATION.fullmatch(text)
    if match is None or int(match.group(1)) == 0:
        raise ValueError(f"{text!r} is no duration: write 90s, 15m, 24h or 14d")
    return timedelta(seconds=int(match.group(1)) * _SECONDS[match.group(2)])


def duration_text(duration: timedelta) -> str:
    """The shortest text that parse_duration reads back."""
    seconds = int(duration.total_seconds())
    for unit in ("d", "h", "m"):
        if seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"


def is_timezone(name: str) -> bool:
    """Whether `name` is an IANA time zone that is known here."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        return False
    except KeyError:
        return False
    return True


def system_timezone(environment: Mapping[str, str] | None = None) -> str:
    """The IANA name of the system's zone, UTC where it cannot be told."""
    named = (os.environ if environment is None else environment).get("TZ", "").lstrip(":")
    if named and is_timezone(named):
        return named
    resolved = os.path.realpath("/etc/localtime")
    _, marker, name = resolved.partition("/zoneinfo/")
    return name if marker and is_timezone(name) else "UTC"


class OrderSettings(Struct, frozen=True):
    """How long an order may wait for its money, and how its dates count."""

    pay_within: timedelta = timedelta(hours=24)
    bank_within: timedelta = timedelta(days=14)
    lapsed: Lapsed = Lapsed.TODAY
    first_term_months: int = 1


class Seller(Struct, frozen=True):
    """Who issues the invoices, and in whose days they are dated."""

    name: str = ""
    address: str = ""
    vat_id: str = ""
    iban: str = ""
    email: str = ""
    timezone: str = "UTC"


class InvoiceSettings(Struct, frozen=True):
    series: str = "INV"
    credit_series: str = "CN"
    folder: str = ""
    fonts: str = ""


class PaymentSettings(Struct, frozen=True):
    """How payment links are opened. The key itself is never here: it stands in a file of its own, or the environment.

    `return_url` is where the browser goes after the payment; `stripe_url` is another server than Stripe's own, to try
    things out.
    """

    stripe_key_file: str = ""
    return_url: str = ""
    stripe_url: str = ""


class BillingSystem(Struct, frozen=True):
    url: str = ""


class InterfaceSettings(Struct, frozen=True):
    timezone: str = "UTC"  # of a person: the system's, see Settings
    theme: str = "dark"
    keys: tuple[tuple[str, str], ...] = ()  # a command and its key; `commands` knows which are right


class Settings(Struct, frozen=True):
    orders: OrderSettings = OrderSettings()
    seller: Seller = Seller()
    invoice: InvoiceSettings = InvoiceSettings()
    payments: PaymentSettings = PaymentSettings()
    billing_system: BillingSystem = BillingSystem()
    ui: InterfaceSettings = field(default_factory=lambda: InterfaceSettings(timezone=system_timezone()))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text: write it in quotes")
    return value


def _duration(value: object) -> timedelta:
    return parse_duration(_text(value))


def _timezone(value: object) -> str:
    name = _text(value)
    if not is_timezone(name):
        raise ValueError(f"{name!r} is no time zone: write an IANA name, as Europe/Berlin")
    return name


def _lapsed(value: object) -> Lapsed:
    if value not in tuple(Lapsed):
        raise ValueError(f"{value!r} is neither {' nor '.join(repr(each.value) for each in Lapsed)}")
    return Lapsed(str(value))


def _months(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 60:
        raise ValueError(f"{value!r} is no whole number from 1 to 60")
    return value


def _series(value: object) -> str:
    if not _SERIES.fullmatch(_text(value)):
        raise ValueError(f"{value!r} is no series: write 1 to 10 capitals and digits, as INV")
    return str(value)


def _untold(value: object) -> str:
    """As a text, but what is none is not repeated: it may hold a secret."""
    if not isinstance(value, str):
        raise ValueError("it is no text: write it in quotes")
    return value


def _key_file(value: object) -> str:
    """The name of a file, and not what belongs into it: that would be told with every error of a file."""
    text = _untold(value)
    if _KEY_OF_STRIPE.match(text):
        raise ValueError("it is a key: write that into a file of mode 0600, and the name of the file here")
    return text


def _web_address(value: object) -> str:
    """Empty for none. What is wrong is told without the address, which may hold a password."""
    text = _untold(value)
    if text and (problem := _problem_of_address(text)):
        raise ValueError(f"{problem}, as {EXAMPLE_ADDRESS}")
    return text


def _safe_address(value: object) -> str:
    """As a web address, but one to which a secret may be sent: encrypted, or on this machine."""
    text = _web_address(value)
    if text and not text.lower().startswith("https://") and not _ON_THIS_MACHINE.match(text):
        raise ValueError("it is neither encrypted nor on this machine: write https://")
    return text


def _problem_of_address(text: str) -> str | None:
    """What keeps `text` from being an address of RFC 3986 that starts a browser, with letters of any script as host."""
    if len(text) > _ADDRESS_LONGEST:
        return f"{len(text):,} characters are too long: write an address of at most {_ADDRESS_LONGEST:,}"
    parts = _ADDRESS.fullmatch(text)
    if parts is None:
        return "it does not begin as a web address: write https:// or http:// and a host"
    if "@" in parts["authority"]:
        return "it holds a user or a password: write the address without what ends with @"
    wrong = next((each for each in parts["rest"] if not _ADDRESS_LETTER.fullmatch(each)), None)
    if wrong is not None:
        escaped = "".join(f"%{byte:02X}" for byte in wrong.encode("utf-8", "surrogatepass"))
        return f"it holds U+{ord(wrong):04X}, which no address does: leave it out or write {escaped}"
    host = _HOST.fullmatch(parts["authority"])
    if host is None or not (_is_host(host["name"]) if host["ipv6"] is None else _is_ipv6(host["ipv6"])):
        return "its host is none: write letters, digits, hyphens and dots"
    if host["port"] and not 1 <= int(host["port"]) <= 65535:
        return f"{host['port']} is no port: write 1 to 65535"
    return None


def _is_ipv6(text: str) -> bool:
    from ipaddress import IPv6Address

    try:
        IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text  # a zone is one of this machine


def _is_host(name: str) -> bool:
    return len(name) <= 253 and all(map(_is_label, name.removesuffix(".").split(".")))


def _is_label(label: str) -> bool:
    """A part of a host name: letters, marks and digits of any script, and hyphens within."""
    if label.isascii():
        return _LABEL.fullmatch(label) is not None
    if label.startswith("-") or label.endswith("-") or len(label) > 63:
        return False
    # In the form in which name servers know it.
    return all(each == "-" or category(each)[0] in "LMN" for each in label) and len(label.encode("punycode")) <= 59


def no_billing_system(file: Path) -> str:
    """What to write where for there to be one, in a few lines."""
    return (
        f"No billing system is set. Write its address into {file}:\n\n"
        f'[billing_system]\nurl = "{EXAMPLE_ADDRESS}"\n\n'
        "It is there from the next start."
    )


def _theme(value: object) -> str:
    if value not in THEMES:
        raise ValueError(f"{value!r} is no theme: {', '.join(THEMES)}")
    return str(value)


def _keys(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise ValueError('it is a section: write [ui.keys] on a line, and below it lines as delete = "ctrl+d"')
    for name, key in value.items():
        if not isinstance(key, str):
            raise ValueError(f"{name} = {key!r} is no text: write it in quotes")
    return tuple(value.items())


THEMES: Final = ("dark", "light", "contrast")

# Section -> key -> how its value is read. A key that is not here is unknown.
_READERS: Final[dict[str, dict[str, Callable[[object], Any]]]] = {
    "orders": {
        "pay_within": _duration,
        "bank_within": _duration,
        "lapsed": _lapsed,
        "first_term_months": _months,
    },
    "seller": {
        "name": _text,
        "address": _text,
        "vat_id": _text,
        "iban": _text,
        "email": _text,
        "timezone": _timezone,
    },
    "invoice": {"series": _series, "credit_series": _series, "folder": _text, "fonts": _text},
    "payments": {"stripe_key_file": _key_file, "return_url": _web_address, "stripe_url": _safe_address},
    "billing_system": {"url": _web_address},
    "ui": {"timezone": _timezone, "theme": _theme, "keys": _keys},
}


def load(path: Path | None) -> Settings:
    """The settings of the file `path`; the defaults where it is None.

    Raises WrongUsage for a file that cannot be read, an unknown key or a bad value.
    """
    if path is None:
        return Settings()
    import tomllib

    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise WrongUsage(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{path} is no TOML: {error}") from error
    settings = Settings()
    for section, values in table.items():
        readers = _READERS.get(section)
        if readers is not None and not isinstance(values, dict):
            raise WrongUsage(f"{path}: {section} is a section: write [{section}] on a line, and its keys below")
        if readers is None:
            raise WrongUsage(f"{path}: {_unknown(f'[{section}]', [f'[{each}]' for each in _READERS])}")
        read: dict[str, Any] = {}
        for key, value in values.items():
            if key not in readers:
                raise WrongUsage(f"{path}: [{section}] {_unknown(key, list(readers))}")
            try:
                read[key] = readers[key](value)
            except ValueError as error:
                raise WrongUsage(f"{path}: [{section}] {key}: {error}") from error
        settings = replace(settings, **{section: replace(getattr(settings, section), **read)})
    if settings.invoice.series == settings.invoice.credit_series:
        raise WrongUsage(
            f"{path}: [invoice] credit_series: credit notes have a series of their own, another than series"
        )
    return settings


def _unknown(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"{name} is unknown: " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}")


def in_force(settings: Settings) -> list[tuple[str, str]]:
    """Every setting as (section.key, text), for `smartsub doctor`."""
    shown = []
    for name, section in asdict(settings).items():
        for key, value in asdict(section).items():
            if isinstance(value, tuple):
                shown += [(f"{name}.{key}.{command}", text) for command, text in value]
                continue
            text = duration_text(value) if isinstance(value, timedelta) else str(value)
            shown.append((f"{name}.{key}", text))
    return shown
