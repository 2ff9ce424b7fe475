"""What `smartsub doctor` looks at: whether all that money stands on is as it has to be."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from smartsub_tui.billing import audit_chain
from smartsub_tui.billing.session import Session
from smartsub_tui.data.database import available, is_server, path_of, rows
from smartsub_tui.data.models import AuditEvent
from smartsub_tui.errors import Refused, SmartsubError

# Over a network locks and shared memory do not hold what SQLite needs of them (sqlite.org/wal.html).
_FAR: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.glusterfs", "ceph", "afs"})
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
_LEAST_FREE: Final = 100 * 1024 * 1024  # bytes


class Check(Struct, frozen=True):
    """One thing that was looked at: whether it is as it has to be, and what it is, or what to do."""

    name: str
    ok: bool
    says: str


def examine(session: Session, url: str) -> tuple[Check, ...]:
    """All checks, in the order of how much hangs on them; none of them changes anything. Raises nothing of its own."""
    path = path_of(url)  # the file itself, with its log and its locks, is where all links end
    looks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("engine", session.database.engine),
        ("file system", lambda: _elsewhere(url) if path is None else _file_system(path.resolve())),
        ("free space", lambda: _elsewhere(url) if path is None else _free_space(path.resolve())),
        ("integrity", lambda: _integrity(session)),
        ("schema", lambda: _schema(session)),
        ("audit trail", lambda: _audit_trail(session)),
        ("clock", lambda: _clock(session)),
    )
    return tuple(_looked(name, look) for name, look in (*looks, *session.database.set_up().items()))


def _looked(name: str, look: Callable[[], str]) -> Check:
    try:
        with available():
            return Check(name, True, look())
    except SmartsubError as error:
        return Check(name, False, error.message)
    except Exception as error:  # whatever somebody has made of the file: the other checks may tell
        return Check(
            name, False, f"it could not be looked at ({type(error).__name__}): go by what the other checks say"
        )


def _elsewhere(url: str) -> str:
    """Where a database lies that has no file here."""
    return "that of the server: look there" if is_server(url) else "in memory"


def _file_system(path: Path) -> str:
    kind = file_system_of(path, _mounts())
    if kind in _FAR:
        raise Refused(f"{path.parent} is on {kind}, whose locks cannot be relied on: move the database to a local disk")
    return kind or "unknown"


def _mounts() -> str:
    try:
        return Path("/proc/mounts").read_text("utf-8", "surrogateescape")  # as a Path has its name
    except OSError:
        return ""  # another system


def file_system_of(path: Path, mounts: str) -> str:
    """The kind of file system that holds `path`, by a table of mounts as /proc/mounts has it; "" where none does."""
    found: tuple[int, str] = (0, "")
    for line in mounts.split("\n"):
        _, where, kind, *_ = [*line.split(" "), "", "", ""]
        # Of a name only what parts the table (blank, tab, new line, backslash) is written in octal.
        point = Path(_OCTAL.sub(lambda octal: chr(int(octal[1], 8)), where)) if where else None
        if point is not None and (point == path or point in path.parents) and len(point.parts) >= found[0]:
            found = (len(point.parts), kind)
    return found[1]


def _free_space(path: Path) -> str:
    try:
        free = shutil.disk_usage(path.parent).free
        needed = max(_LEAST_FREE, path.stat().st_size)
    except OSError as error:
        raise Refused(f"{path.parent} cannot be looked at: {error.strerror}") from error
    if free < needed:
        raise Refused(
            f"{_megabytes(free)} are free in {path.parent}, and {_megabytes(needed)} should be: a full disk stops all"
            " changes"
        )
    return f"{_megabytes(free)} free"


def _megabytes(size: int) -> str:
    return f"{size // 1_000_000:,} MB"


def _integrity(session: Session) -> str:
    wrong = session.database.whole_check()
    if wrong is not None:
        raise Refused(f"the database is damaged ({wrong}): stop using it and go back to a backup (smartsub recover)")
    return "every page, and every row that another names"


def _schema(session: Session) -> str:
    return session.database.schema()


def _audit_trail(session: Session) -> str:
    found = audit_chain.verify(session)
    return f"{found.events:,} events as they were written" + (f", head {found.head}" if found.head else "")


def _clock(session: Session) -> str:
    """The last change is of no later time than now: else the clock is behind, or was ahead when it was made."""
    now = session.clock.now()
    newest = next(iter(rows(AuditEvent.select(AuditEvent.at).order_by(AuditEvent.id.desc()).limit(1))), (None,))[0]
    if newest is not None and newest > now:
        raise Refused(
            f"it is {now:%Y-%m-%d %H:%M} UTC here, and the last change is of {newest:%Y-%m-%d %H:%M} UTC: set the clock"
        )
    return f"{now:%Y-%m-%d %H:%M:%S} UTC"
