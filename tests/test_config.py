"""Settings: what is written is what holds, and what is unknown or wrong is refused by name."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartsub_tui import config
from smartsub_tui.config import Settings, duration_text, in_force, is_timezone, load, parse_duration, system_timezone
from smartsub_tui.data.vocabulary import Lapsed
from smartsub_tui.errors import WrongUsage


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_without_a_file_the_defaults_hold() -> None:
    settings = load(None)
    assert settings.orders.pay_within == timedelta(hours=24)
    assert settings.orders.bank_within == timedelta(days=14)
    assert settings.orders.lapsed is Lapsed.TODAY
    assert settings.orders.first_term_months == 1
    assert settings.seller.timezone == "UTC"
    assert settings.invoice.series == "INV"


def test_an_empty_file_changes_nothing(file: Path) -> None:
    file.write_text("# nothing here\n")
    assert load(file) == Settings()


def test_everything_can_be_set(file: Path) -> None:
    file.write_text(
        """
        [orders]
        pay_within = "90s"
        bank_within = "15m"
        lapsed = "continuous"
        first_term_months = 60
        [seller]
        name = "Müller & 王"
        address = "a\\nb"
        vat_id = "DE1"
        iban = "DE02"
        email = "x@y.example"
        timezone = "Asia/Tokyo"
        [invoice]
        series = "RE26"
        credit_series = "GS26"
        folder = "/srv/invoices"
        fonts = "/srv/fonts"
        [payments]
        stripe_key_file = "/etc/smartsub/stripe.key"
        return_url = "https://example.com/paid"
        stripe_url = "http://127.0.0.1:8420"
        [billing_system]
        url = "https://billing.example/"
        [ui]
        timezone = "Europe/Berlin"
        theme = "light"
        """
    )
    settings = load(file)
    assert (settings.orders.pay_within, settings.orders.bank_within) == (timedelta(seconds=90), timedelta(minutes=15))
    assert (settings.orders.lapsed, settings.orders.first_term_months) == (Lapsed.CONTINUOUS, 60)
    assert (settings.seller.name, settings.seller.address) == ("Müller & 王", "a\nb")
    assert (settings.seller.timezone, settings.ui.timezone, settings.ui.theme) == (
        "Asia/Tokyo",
        "Europe/Berlin",
        "light",
    )
    assert (settings.invoice.series, settings.billing_system.url) == ("RE26", "https://billing.example/")
    # Every setting that there is has been set to something else.
    defaults = dict(in_force(Settings()))
    assert [key for key, text in in_force(settings) if text == defaults[key]] == []


def test_one_key_leaves_the_others_of_its_section(file: Path) -> None:
    file.write_text('[orders]\nlapsed = "continuous"\n')
    settings = load(file)
    assert settings.orders == config.OrderSettings(lapsed=Lapsed.CONTINUOUS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[order]\npay_within = "1h"', "[order] is unknown: did you mean [orders]?"),
        ("[zzz]", "[zzz] is unknown: there are [orders], [seller], [invoice], [payments], [billing_system], [ui]"),
        ('[orders]\npay_witin = "1h"', "[orders] pay_witin is unknown: did you mean pay_within?"),
        ("[orders]\nx = 1", "[orders] x is unknown: there are pay_within, bank_within, lapsed, first_term_months"),
        ("[orders.more]\nx = 1", "[orders] more is unknown"),
        ("pay_within = 3", "pay_within"),
        ("[[orders]]\nlapsed = 'today'", "[orders]"),
        ("orders = 3", "orders"),
        ("[orders]\npay_within = 24", "[orders] pay_within: 24 is no text: write it in quotes"),
        ("[orders]\npay_within = '24'", "'24' is no duration: write 90s, 15m, 24h or 14d"),
        ("[orders]\npay_within = '0h'", "'0h' is no duration"),
        ("[orders]\nlapsed = 'never'", "'never' is neither 'today' nor 'continuous'"),
        ("[orders]\nlapsed = []", "[] is neither 'today' nor 'continuous'"),
        ("[orders]\nfirst_term_months = 0", "0 is no whole number from 1 to 60"),
        ("[orders]\nfirst_term_months = 61", "61 is no whole number from 1 to 60"),
        ("[orders]\nfirst_term_months = 1.0", "1.0 is no whole number from 1 to 60"),
        ("[orders]\nfirst_term_months = true", "True is no whole number from 1 to 60"),
        ("[seller]\nname = 3", "[seller] name: 3 is no text"),
        (
            "[payments]\nstripe_key_file = 'sk_live_x'",
            "[payments] stripe_key_file: it is a key: write that into a file",
        ),
        ("[payments]\nstripe_key_file = 'whsec_x'", "stripe_key_file: it is a key"),
        ("[payments]\nstripe_key_file = 3", "stripe_key_file: it is no text: write it in quotes"),
        ("[seller]\ntimezone = 'Berlin'", "'Berlin' is no time zone: write an IANA name, as Europe/Berlin"),
        ("[ui]\ntimezone = ''", "'' is no time zone"),
        ("[ui]\ntheme = 'pink'", "'pink' is no theme: dark, light"),
        ("[invoice]\nseries = ''", "'' is no series"),
        ("[invoice]\nseries = 'inv'", "'inv' is no series: write 1 to 10 capitals and digits, as INV"),
        ("[invoice]\nseries = 'ABCDEFGHIJK'", "is no series"),
        ("[invoice]\ncredit_series = 'cn'", "[invoice] credit_series: 'cn' is no series"),
        ("[invoice]\nseries = 'CN'", "[invoice] credit_series: credit notes have a series of their own"),
        ("[orders]\nlapsed = 'today'\nlapsed = 'today'", "is no TOML"),
        ("[orders", "is no TOML"),
    ],
)
def test_what_is_wrong_is_refused_with_file_key_and_help(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(WrongUsage) as refused:
        load(file)
    assert refused.value.message.startswith(f"{file}")
    assert said in refused.value.message
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://billing.example/",
        "http://localhost",
        "HTTPS://Billing.Example:8443/a/b?c=d&e[]=f#g",
        "https://10.0.0.7:1/",
        "https://[2001:db8::1]:65535/x",
        "https://billing_system.intern./~me/(a);b=1,2/!$'*+:@%2F",
        "https://bücher.example/",
        "https://例え.テスト/x",
        "https://пример-2.испытание/",
        "https://xn--bcher-kva.example/",
        "https://a.example/" + "x" * 1982,
    ],
)
def test_an_address_that_a_browser_takes_is_taken_as_it_is(file: Path, url: str) -> None:
    file.write_text(f'[billing_system]\nurl = "{url}"\n', encoding="utf-8")
    assert load(file).billing_system.url == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("billing.example", "it does not begin as a web address: write https:// or http:// and a host, as https://"),
        ("//billing.example/", "does not begin as a web address"),
        ("ftp://billing.example/", "does not begin as a web address"),
        ("javascript:alert(1)", "does not begin as a web address"),
        ("file:///etc/passwd", "does not begin as a web address"),
        (" https://billing.example/", "does not begin as a web address"),
        ("https://", "does not begin as a web address"),
        ("https:///path", "does not begin as a web address"),
        ("https:billing.example", "does not begin as a web address"),
        ("https://user:hunter2@billing.example/", "it holds a user or a password: write the address without"),
        ("https://hunter2@billing.example", "it holds a user or a password"),
        ("https://good.example\\\\@hunter2.example/", "it holds a user or a password"),
        ("https://x.example/hunter2 b", "it holds U+0020, which no address does: leave it out or write %20"),
        ("https://x.example/\\u001b]52;c;aGk=\\u0007", "it holds U+001B"),
        ("https://x.example/\\nhunter2", "it holds U+000A"),
        ("https://x.example/\\u009b31m", "it holds U+009B"),
        ("https://x.example/\\u202egpj.exe", "it holds U+202E, which no address does: leave it out or write %E2%80%AE"),
        ("https://x.example/ü", "it holds U+00FC, which no address does: leave it out or write %C3%BC"),
        ("https://x.example/a\\\\b", "it holds U+005C"),
        ("https://x.example/<b>", "it holds U+003C"),
        ("https://x.example/[red]\\u0000", "it holds U+0000"),
        ("https://x y.example/", "its host is none: write letters, digits, hyphens and dots"),
        ("https://x\\u001b.example/", "its host is none"),
        ("https://ü\\u202ex.example/", "its host is none"),
        ("https://ü\\u200bx.example/", "its host is none"),
        ("https://ü。example/", "its host is none"),
        ("https://-x.example/", "its host is none"),
        ("https://ü-.example/", "its host is none"),
        ("https://a..example/", "its host is none"),
        ("https://./", "its host is none"),
        ("https://:80/", "its host is none"),
        ("https://x.example:/", "its host is none"),
        ("https://x.example:80:81/", "its host is none"),
        ("https://x.example:８０/", "its host is none"),
        ("https://[2001:db8::g]/", "its host is none"),
        ("https://[fe80::1%eth0]/", "its host is none"),
        ("https://[]/", "its host is none"),
        ("https://[::1/", "its host is none"),
        (f"https://{'a' * 64}.example/", "its host is none"),
        (f"https://{'ü' * 60}.example/", "its host is none"),
        (f"https://{'a.' * 150}example/", "its host is none"),
        ("https://x.example:0/", "0 is no port: write 1 to 65535"),
        ("https://x.example:65536/", "65536 is no port"),
        ("https://x.example/" + "x" * 1983, "2,001 characters are too long: write an address of at most 2,000"),
    ],
)
def test_what_is_no_address_is_refused_with_file_key_and_help_but_never_told_again(
    file: Path, url: str, said: str
) -> None:
    file.write_text(f'[billing_system]\nurl = "{url}"\n', encoding="utf-8")
    with pytest.raises(WrongUsage) as refused:
        load(file)
    message = refused.value.message
    assert message.startswith(f"{file}: [billing_system] url: ")
    assert said in message
    assert message.endswith(", as https://billing.example.com/")
    assert "hunter2" not in message
    assert message.isprintable()


def test_an_address_is_text(file: Path) -> None:
    file.write_text("[billing_system]\nurl = 3\n")
    with pytest.raises(WrongUsage, match="url: it is no text: write it in quotes"):
        load(file)


@given(
    st.text(st.sampled_from("htps:/[]@?#.%-aü王1\x1b\n \u202e\\"), max_size=40),
    st.sampled_from(["", "https://", "http://a"]),
)
def test_an_address_that_is_taken_shows_as_it_is_and_holds_no_user(text: str, start: str) -> None:
    address = start + text
    try:
        assert config._web_address(address) == address
    except ValueError:
        return
    assert address == "" or address.lower().startswith(("https://", "http://"))
    assert address.isprintable()
    assert " " not in address
    assert urlsplit(address).username is None


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[ui]\ntheme = '\xe9'"])
def test_a_file_that_is_no_utf8_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(WrongUsage, match="is no TOML"):
        load(file)


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="cannot be read: No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(WrongUsage, match="cannot be read: Is a directory"):
        load(tmp_path)


@given(st.integers(1, 999_999), st.sampled_from("smhd"))
def test_a_duration_is_read_back_from_its_shortest_text(number: int, unit: str) -> None:
    duration = parse_duration(f"{number}{unit}")
    assert duration == number * timedelta(**{{"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[unit]: 1})
    assert parse_duration(duration_text(duration)) == duration
    assert len(duration_text(duration)) <= len(f"{number}{unit}")


@pytest.mark.parametrize(
    "text", ["", "0s", "1", "h", "1.5h", "-1h", "1 h", "1w", "1H", "１h", "1h30m", "1000000s", "1h\n"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    "address", ["http://example.com", "http://127.0.0.1.example.com/", "http://localhost.example", "http://10.0.0.1/"]
)
def test_a_key_is_sent_nowhere_unencrypted(file: Path, address: str) -> None:
    file.write_text(f'[payments]\nstripe_url = "{address}"\n')
    with pytest.raises(WrongUsage, match="neither encrypted nor on this machine"):
        load(file)


@pytest.mark.parametrize(
    "address", ["https://example.com", "http://127.0.0.1:8420", "http://[::1]/", "http://localhost"]
)
def test_a_key_may_go_where_nobody_listens(file: Path, address: str) -> None:
    file.write_text(f'[payments]\nstripe_url = "{address}"\n')
    assert load(file).payments.stripe_url == address


@pytest.mark.parametrize(
    "name", ["", "Berlin", "Europe/", "../etc/passwd", "/etc/localtime", "x" * 5000, "a\0b", "\ud800"]
)
def test_what_is_no_zone_is_told(name: str) -> None:
    assert not is_timezone(name)


def test_the_system_s_zone_is_that_of_tz_where_it_is_one() -> None:
    assert system_timezone({"TZ": "Asia/Tokyo"}) == "Asia/Tokyo"
    assert system_timezone({"TZ": ":Asia/Tokyo"}) == "Asia/Tokyo"
    assert is_timezone(system_timezone({"TZ": "<x>+5"}))
    assert is_timezone(system_timezone({}))


def test_every_setting_in_force_has_a_name_and_a_text() -> None:
    shown = dict(in_force(Settings()))
    assert shown["orders.pay_within"] == "1d"
    assert shown["orders.lapsed"] == "today"
    assert all(
        section in {"orders", "seller", "invoice", "payments", "billing_system", "ui"}
        for section, _, _ in (key.partition(".") for key in shown)
    )
