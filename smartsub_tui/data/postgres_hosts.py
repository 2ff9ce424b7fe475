"""The hosts of a database on a server: the order in which they are tried, and what is said where none lets us in.

Each is tried by itself, so that what one says is neither lost behind what another says nor taken for it: of a server
that is gone and one that is not promoted yet, the second is a reason to wait.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

from smartsub_tui.data.server_url import ServerUrl

_TARGET: Final = "target_session_attrs"
WRITABLE: Final = "read-write"


def target(url: ServerUrl, *, took_changes: bool) -> str | None:
    """Which kind of server is asked for, in libpq's words; None: any.

    Where several are named it is the one that takes changes, unless the URL says otherwise. In the place of one that
    took changes it always is: what is shown would be old otherwise, and what is written refused.
    """
    if took_changes:
        return WRITABLE
    return url.options.get(_TARGET) or (WRITABLE if url.is_of_several else None)


def tries(url: ServerUrl, target: str | None) -> Iterator[tuple[int, dict[str, str]]]:
    """The place of each host to try and the parameters of a connection to it, in their order."""
    # Who prefers takes any then: libpq would have it so of all hosts, and is shown one. Whether one takes changes it is
    # asked itself: a pooler goes on telling libpq what its server was when it came to know it.
    for wanted in {"prefer-standby": ("standby", "any"), WRITABLE: ("any",)}.get(target or "", (target,)):
        for place, each in enumerate(url.each):
            yield place, {**each.parameters, **({_TARGET: wanted} if wanted else {})}


# What is said where no connection comes about, and what to do. The server tells its own codes only behind a log-in, so
# its words are looked for; in another language the last sentence is left.


class Passes(Enum):
    """Whether what keeps a connection from coming about passes by itself."""

    NEVER = 1
    PERHAPS = 2  # the server is gone, or it was never there
    SOON = 3  # the server says so


_NEVER, _PERHAPS, _SOON = Passes
_UNREACHABLE: Final[tuple[tuple[str, str, Passes], ...]] = (
    (
        r"password authentication failed",
        "{name} does not take the password of {user}: write the right one into ~/.pgpass or SMARTSUB_DATABASE",
        _NEVER,
    ),
    (
        r"no password supplied|password is required",
        "{name} wants a password: write it into ~/.pgpass, or into the URL in SMARTSUB_DATABASE",
        _NEVER,
    ),
    (
        r"server does not support SSL",
        "{name} is asked for by TLS, and the server has none: set it up there, or take sslmode out of the URL",
        _NEVER,
    ),
    (r"certificate|SSL error", "{name} cannot be reached by TLS, its certificate does not hold: {said}", _NEVER),
    (
        r"no pg_hba\.conf entry.*no encryption",
        "{name} lets {user} in by TLS alone: add ?sslmode=require to the URL",
        _NEVER,
    ),
    (
        r"no pg_hba\.conf entry",
        "{name} lets nobody in as {user} from here: its administrator adds it to pg_hba.conf",
        _NEVER,
    ),
    (
        r"(?:authentication failed|role .* does not exist)",
        "{name} does not know {user}, or not from here: name another user in the URL, or have it made (CREATE ROLE)",
        _NEVER,
    ),
    (
        r"database .* does not exist",
        "the server has no database {database}: have it made (CREATE DATABASE), or name another",
        _NEVER,
    ),
    (
        r"permission denied for database",
        "{name} does not let {user} connect: GRANT CONNECT ON DATABASE, or another user",
        _NEVER,
    ),
    (
        r"too many clients|connection slots|too many connections",
        "{name} has no connection left: try again in a while",
        _SOON,
    ),
    (
        r"starting up|shutting down|recovery mode|not yet accepting connections",
        "{name} is starting or stopping: try again in a moment",
        _SOON,
    ),
    (
        r"failed to resolve|could not translate|Name or service",
        "no host is called {host}: look at the database's URL",
        _PERHAPS,
    ),
    (
        r"is not in hot standby mode|session is not read-only",
        "{name} is no standby, and the URL asks for one by target_session_attrs: name another, or take that out",
        _SOON,
    ),
    (
        r"read-write|session is read-only|standby mode",
        "{name} takes no changes, as a standby does not: wait until it does, or name the server that does",
        _SOON,
    ),
    (
        r"refused|No such file|timed? ?out|timeout|unreachable|No route",
        "nothing answers at {host}: look whether PostgreSQL runs there and lets this machine in, and at the URL",
        _PERHAPS,
    ),
)
_OTHERWISE: Final = ("", "{name} cannot be reached: {said}", _PERHAPS)


def unreachable(url: ServerUrl, said: Mapping[int, Any]) -> tuple[str, Passes]:
    """Why no host lets us in, by what was said of each by its place, and whether that passes: of one is enough."""
    alike: dict[int, tuple[list[int], str]] = {}
    for place in sorted(said):
        text = " ".join(str(said[place]).split())
        if url.password:
            text = text.replace(url.password, "...")
        kind = next((kind for kind, (pattern, _, _) in enumerate(_UNREACHABLE) if re.search(pattern, text)), -1)
        alike.setdefault(kind, ([], text))[0].append(place)
    sentences, passes = [], []
    for kind, (places, text) in alike.items():
        _, sentence, each = _OTHERWISE if kind < 0 else _UNREACHABLE[kind]
        these = url.only(places)
        sentences.append(
            sentence.format(
                name=these.shown,
                user=url.user or "this user",
                database=url.name,
                host=", ".join(
                    address if these.hosts[at] else f"this machine{address}"
                    for at, address in enumerate(these.addresses)
                ),
                said=_last(text),
            )
        )
        passes.append(each)
    return "; and ".join(sentences), max(passes, key=lambda each: each.value)


def _last(said: str) -> str:
    """What a message comes to: it begins with where, and may tell of several tries."""
    return re.split(r"(?:FATAL|failed): +", said)[-1].rstrip(". ")
