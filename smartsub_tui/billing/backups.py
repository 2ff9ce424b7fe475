"""Backups: a whole copy of the database in a file, made while others work, and looked at before it counts as one.

Beside a backup stands FILE.sha256, as sha256sum writes it: damage inside of a text, which leaves the structure of a
database whole, is only seen by that (docs/backups.md). It notes the head of the audit trail, too (docs/audit.md).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from smartsub_tui.billing import access, audit_chain, profiles
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.changes import Change, perform
from smartsub_tui.billing.opening import open_session
from smartsub_tui.billing.session import Session
from smartsub_tui.clock import Clock
from smartsub_tui.config import Settings
from smartsub_tui.data.csv_files import shown_name
from smartsub_tui.data.database import available
from smartsub_tui.data.files import FileExists, NewFile
from smartsub_tui.data.sqlite import alone, has_event, is_disabled_in, look_into, role_in, works_for_some_in
from smartsub_tui.data.vocabulary import Role
from smartsub_tui.errors import NotAllowed, NotFound, Refused, Unavailable

_KEPT: Final = ("", "-wal", "-journal")  # what of a database is put aside
_SUM: Final = re.compile(rb"\\?([0-9a-f]{64}) [ *][^\n]+\n?(?:# audit head ([0-9a-f]{64})?\n)?")


class Backup(Struct, frozen=True):
    """A backup that was found whole. `checked`: its bytes are those that were written, by the sum beside it."""

    file: str
    bytes: int
    sha256: str
    checked: bool
    orders: int
    users: int
    newest: datetime | None
    head: str  # of its audit trail


def back_up(session: Session, path: Path, told: Callable[[int, int], None] | None = None) -> Backup:
    """Copy the database into the new file `path`, of one moment, and its sum beside it; readable by its owner only.

    The copy is read whole before it gets its name. What backups that were killed left there a day ago is taken away.
    `told` hears how many pages are copied, and of how many.

    Raises NotAllowed; Refused where something stands there, or what is no file in the place of its sum; NotFound where
    its folder is missing; Unavailable where the disk does not take it: then nothing is left of it.
    """
    profiles.check_files(session.profile)
    with available():
        access.check(session.admin, Permission.BACK_UP)
    with ExitStack() as end:
        try:
            file = NewFile(path)
            end.callback(file.drop)
            beside = NewFile(_sum_of(path), replace=True)
            end.callback(beside.drop)
        except FileExists as error:
            raise Refused(f"{shown_name(path)} exists, and a backup replaces nothing: name another file") from error
        file.sweep()
        with available(f"the backup {shown_name(path)}"):
            session.database.copy_to(file.unfinished, told)
        made = replace(_read(file.unfinished, path, None), checked=True)
        # sha256sum passes over the second line.
        beside.write(_sum_line(path, made.sha256) + f"# audit head {made.head}\n".encode())
        file.ready()
        try:
            beside.keep()  # first: no backup stands there without its sum
            file.keep()
        except BaseException:
            _sum_of(path).unlink(missing_ok=True)
            raise
    return made


def verify(path: Path) -> Backup:
    """Read a backup from its first to its last byte; what is in it.

    Raises NotFound; Refused for a database that is in use; Unavailable where it is damaged, not what its sum or the
    head noted beside it says, no database of smartsub, or made by a newer version.
    """
    try:
        beside = _sum_of(path)
        if not path.is_file():
            raise NotFound(f"no file {shown_name(path)}: name a backup")
        for each in (_with(path, "-wal"), _with(path, "-shm")):
            if os.path.lexists(each):  # a process that has it open may have nothing in its log
                raise Refused(
                    f"{shown_name(path)} is a database in use, not a backup, or was not closed, for {shown_name(each)}"
                    " stands beside it: smartsub backup FILE makes one of it"
                )
        noted = beside.read_bytes() if beside.is_file() else None
    except OSError as error:
        raise Unavailable(f"{shown_name(path)} cannot be read: {error.strerror}") from error
    except ValueError as error:  # no name at all
        raise NotFound(f"{shown_name(path)} is no name of a file: name a backup") from error
    if noted is None:
        return _read(path, path, None)
    if (said := _SUM.fullmatch(noted)) is None:
        raise Unavailable(f"{shown_name(beside)} is damaged, it holds no sum as it was written: take another backup")
    found = _read(path, path, said[1].decode())
    if said[2] is not None and said[2].decode() != found.head:
        raise Unavailable(f"{shown_name(path)} has not the audit head that is noted beside it: take another backup")
    return found


class Recovered(Struct, frozen=True):
    """A database that was gone back to: what is in it, and where the one stands that was there before, if one was."""

    database: str
    backup: Backup
    kept: str | None


def recover(
    path: Path, url: str, backup: Path, admin: str, clock: Clock, settings: Settings, *, go_back: bool
) -> Recovered:
    """Put a backup in the place of the database file `path`, whose URL is `url`; the old one stays beside it.

    The backup is verified, and copied, before anything is touched. Raises what `verify` does; NotAllowed where `admin`
    is not one of its managers; Refused where the database is in use, or, unless it is to `go_back`, has changes that
    the backup has not; Unavailable where it is not the backup that stands there in the end.
    """
    found = verify(backup)
    role = role_in(backup, admin)
    if role is None or not access.may(Role(role), Permission.BACK_UP):
        raise NotAllowed(f"{admin} is no manager in {shown_name(backup)}: ask one of them")
    _refuse_some_offices(backup, admin)
    if path.exists() and path.samefile(backup):
        raise Refused(f"{shown_name(path)} is the database itself: name a backup of it")
    file = NewFile(path, replace=True)
    try:
        with available(f"the database {path}"):
            file.take(backup)
        _read(file.unfinished, backup, found.sha256)  # all of it, and as it was verified
        if path.exists():
            file.resemble(path)
        file.ready()
        # Until all is done: who opens the old file meanwhile waits, and then finds that its name has another.
        with alone(path) if path.exists() and path.stat().st_size else nullcontext():
            if path.exists() and is_disabled_in(path, admin):
                raise NotAllowed(f"{admin} is disabled: ask a manager of this database")
            if path.exists():
                _refuse_some_offices(path, admin)
            if not go_back:
                _refuse_to_lose(path, backup)
            kept = _put_aside(path, clock.now())
            file.keep()
            session = open_session(url, admin, "cli", clock, settings)
            try:
                with available():
                    if audit_chain.head() != found.head:
                        raise Unavailable(
                            f"{shown_name(path)} is not what the backup was: end what writes to it, recover again"
                        )
                _note(session, backup, found, kept)
            finally:
                session.database.close()
    finally:
        file.drop()
    return Recovered(str(path), found, kept)


def _refuse_some_offices(path: Path, admin: str) -> None:
    if works_for_some_in(path, admin):
        raise NotAllowed(f"{admin} works for some offices only, and this is about all: ask a manager of all offices")


def _note(session: Session, backup: Path, found: Backup, kept: str | None) -> None:
    def work(change: Change) -> bool:
        after = {"sha256": found.sha256, "newest": found.newest, "kept": kept}
        change.record("recover", subject=shown_name(backup), after=after)
        return True

    perform(session, Permission.BACK_UP, {}, bool, work)


def _refuse_to_lose(path: Path, backup: Path) -> None:
    """Raise Refused where the last audit event of the database is none of the backup's; no clock is asked."""
    try:
        now = look_into(path, str(path))
    except Unavailable:
        return  # damaged or gone, which is what backups are for
    if now.newest is not None and not has_event(backup, now.head):
        raise Refused(
            f"the database has changes until {now.newest:%Y-%m-%d %H:%M} UTC that the backup has not:"
            " --go-back leaves them behind, in the old file"
        )


def _put_aside(path: Path, now: datetime) -> str | None:
    """Give the old file, and what stands beside it, another name; the first that got one.

    The file keeps its own name as well, until the new one is put there in one step: whoever is killed between leaves a
    database. What stands beside it goes even where the file itself is gone: SQLite would play a log that is left there
    into the new file. The index of a log is made anew by whoever opens it.
    """
    aside = _free_name(path, now)
    kept = []
    try:
        for ending in _KEPT:
            old, new = _with(path, ending), _with(aside, ending)
            if old.exists() and old.stat().st_size:
                _name_too(old, new)
                kept.append(str(new))
        for ending in ("-wal", "-journal", "-shm"):
            _with(path, ending).unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(f"{shown_name(path)} cannot be put aside: {error.strerror}") from error
    return kept[0] if kept else None


def _name_too(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except FileExistsError:
        raise
    except OSError:
        os.rename(old, new)  # not every file system has links


def _free_name(path: Path, now: datetime) -> Path:
    """A name for an old file that no other has, with any ending: what was kept before is never replaced."""
    names = (_with(path, f".{now:%Y%m%dT%H%M%S}Z{again}.old") for again in chain([""], (f"_{n}" for n in count(2))))
    return next(name for name in names if not any(os.path.lexists(_with(name, each)) for each in _KEPT))


def _with(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}{ending}")


def _sum_of(path: Path) -> Path:
    return _with(path, ".sha256")


def _sum_line(path: Path, sha256: str) -> bytes:
    """As sha256sum writes it: where something in the name has to be written in another way, a backslash says so."""
    name = os.fsencode(path.name)
    written = name.replace(b"\\", rb"\\").replace(b"\n", rb"\n")
    return (b"" if written == name else b"\\") + sha256.encode() + b"  " + written + b"\n"


def _read(where: Path, path: Path, expected: str | None) -> Backup:
    """What the file `where`, which is or becomes the backup `path`, holds; `expected` is its sum, if that is known."""
    try:
        with where.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        raise Unavailable(f"{shown_name(path)} cannot be read: {error.strerror}") from error
    if expected not in (None, digest):
        raise Unavailable(f"{shown_name(path)} is damaged, it has not the bytes that were written: take another backup")
    found = look_into(where, shown_name(path))
    return Backup(
        file=str(path),
        bytes=size,
        sha256=digest,
        checked=expected is not None,
        orders=found.orders,
        users=found.users,
        newest=found.newest,
        head=found.head,
    )
