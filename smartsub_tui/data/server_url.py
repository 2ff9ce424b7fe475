"""The URL of a database on a server: postgresql://USER:PASSWORD@HOST:PORT/NAME?sslmode=require.

Nothing that is said of a URL holds its password, nor what might be one: a password with a bare @ or / in it would be
taken for a host otherwise, and shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl, unquote

from msgspec import Struct
from msgspec.structs import replace

from smartsub_tui.errors import WrongUsage

# What may be asked of a connection by the URL (libpq's words); all else is smartsub's own affair.
OPTIONS: Final = frozenset(
    {
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "channel_binding", "target_session_attrs"),
        *("gssencmode", "krbsrvname", "passfile", "service", "connect_timeout", "application_name"),
    }
)
_HOST: Final = r"(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.\-]|%[0-9A-Fa-f]{2})*"
_URL: Final = re.compile(
    rf"postgres(?:ql)?://(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?"
    rf"(?P<hosts>{_HOST}(?::[0-9]+)?(?:,{_HOST}(?::[0-9]+)?)*)(?:/(?P<name>[^/?#]*))?(?:\?(?P<query>[^#]*))?"
)
_PORT: Final = re.compile(r"(.*):([0-9]+)")
_SHAPE: Final = "postgresql://USER@HOST:PORT/NAME, and a password into ~/.pgpass"


class ServerUrl(Struct, frozen=True):
    """The parts of a URL. `hosts` and `ports` belong together; an empty one is the server's usual."""

    user: str
    password: str | None
    hosts: tuple[str, ...]
    ports: tuple[str, ...]
    name: str
    options: dict[str, str]

    @property
    def shown(self) -> str:
        """The URL without its password."""
        user = f"{self.user}@" if self.user else ""
        if self.hosts[0].startswith("/"):
            ports = f"&port={','.join(self.ports)}" if any(self.ports) else ""
            return f"postgresql://{user}/{self.name}?host={','.join(self.hosts)}{ports}"
        return f"postgresql://{user}{','.join(self.addresses)}/{self.name}"

    @property
    def addresses(self) -> list[str]:
        """Each host with its port, as one of a network is written."""
        return [f"{host}{f':{port}' if port else ''}" for host, port in zip(self.hosts, self.ports, strict=True)]

    @property
    def is_of_several(self) -> bool:
        """Whether there is more than one host."""
        return len(self.hosts) > 1

    def only(self, places: Sequence[int]) -> ServerUrl:
        """The URL of some of the hosts alone."""
        return replace(
            self,
            hosts=tuple(self.hosts[place] for place in places),
            ports=tuple(self.ports[place] for place in places),
        )

    @property
    def each(self) -> list[ServerUrl]:
        """The URL of each host alone."""
        return [self.only([place]) for place in range(len(self.hosts))]

    @property
    def parameters(self) -> dict[str, str]:
        """The same, but for the name, as parameters of a connection; what is not said is left to libpq, which asks its
        environment.
        """
        parts = {
            "host": ",".join(self.hosts),
            "port": ",".join(self.ports),
            "user": self.user,
            "password": self.password or "",
        }
        return {**{key: value for key, value in parts.items() if value.strip(",")}, **self.options}


def parse(url: str) -> ServerUrl:
    """The parts of a URL; raises WrongUsage, without a word of it, where it is none."""
    found = _URL.fullmatch(url)
    if found is None:
        raise WrongUsage(f"that is no URL of a database server: write {_SHAPE}")
    try:
        query = found["query"] or ""
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError as error:
        raise WrongUsage(
            "what stands behind ? in the database's URL is no KEY=VALUE: write ?sslmode=require"
        ) from error
    hosts, ports = _places(found["hosts"])
    if "host" in options:  # the folder of a socket, which fits in no other place
        hosts = tuple(options.pop("host").split(","))
        ports = _ports(options.pop("port", ""), len(hosts))
    if wrong := sorted(options.keys() - OPTIONS):
        raise WrongUsage(f"{wrong[0]!r} is no option of a database's URL: there are {', '.join(sorted(OPTIONS))}")
    name = unquote(found["name"] or "")
    if not name:
        raise WrongUsage(f"the database's URL names no database: write {_SHAPE}")
    password = found["password"]
    return ServerUrl(
        unquote(found["user"] or ""),
        None if password is None else unquote(password),
        hosts,
        ports,
        name,
        options,
    )


def _places(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The hosts of a URL, and the port of each."""
    hosts, ports = [], []
    for each in text.split(","):
        host, port = (found[1], found[2]) if (found := _PORT.fullmatch(each)) else (each, "")
        hosts.append(unquote(host).strip("[]"))
        ports.append(_checked(port))
    return tuple(hosts), tuple(ports)


def _ports(text: str, hosts: int) -> tuple[str, ...]:
    """The port of each of so many hosts; one alone is that of all."""
    ports = tuple(map(_checked, text.split(",")))
    if len(ports) not in (1, hosts):
        raise WrongUsage(
            "the database's URL has not as many ports as hosts: write one of each, or one port that all have"
        )
    return ports * hosts if len(ports) == 1 else ports


def _checked(port: str) -> str:
    if port and not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65_536):
        raise WrongUsage("the port in the database's URL is none: write a number from 1 to 65535")
    return port


def shown(url: str) -> str:
    """A URL as it may be shown; of one that is none, no more than what it begins with."""
    try:
        return parse(url).shown
    except WrongUsage:
        return f"{url.partition(':')[0]}:..." if re.match(r"[a-z0-9+]{1,20}:", url) else "..."
