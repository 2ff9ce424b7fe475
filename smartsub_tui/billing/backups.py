"""Backups: a whole copy of the database in a file, made while others work, and looked at before it counts as one.

Beside a backup stands FILE.sha256, as sha256sum writes it: damage inside of a text, which leaves the structure of a
database whole, is only seen by that (docs/backups.md).
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from smartsub_tui.billing import access
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.session import Session
from smartsub_tui.data.csv_files import shown_name
from smartsub_tui.data.database import available, look_into
from smartsub_tui.data.files import FileExists, NewFile, write_file
from smartsub_tui.errors import NotFound, Refused, Unavailable

_SUM: Final = re.compile(rb"([0-9a-f]{64}) [ *]")


class Backup(Struct, frozen=True):
    """A backup that was found whole. `checked`: its bytes are those that were written, by the sum beside it."""

    file: str
    bytes: int
    sha256: str
    checked: bool
    orders: int
    users: int
    newest: datetime | None


def back_up(session: Session, path: Path) -> Backup:
    """Copy the database into the new file `path`, of one moment, and its sum beside it; readable by its owner only.

    The copy is read whole before it gets its name. Raises NotAllowed; Refused where something stands there; NotFound
    where its folder is missing; Unavailable where the disk does not take it: then nothing is left of it.
    """
    with available():
        access.check(session.admin, Permission.BACK_UP)
    try:
        file = NewFile(path)
    except FileExists as error:
        raise Refused(f"{shown_name(path)} exists, and a backup replaces nothing: name another file") from error
    try:
        with available(f"the backup {shown_name(path)}"):
            session.database.copy_to(file.unfinished)
        made = replace(_read(file.unfinished, path, None), checked=True)
        file.keep()
    finally:
        file.drop()
    write_file(_sum_of(path), f"{made.sha256}  {path.name}\n".encode(), replace=True)
    return made


def verify(path: Path) -> Backup:
    """Read a backup from its first to its last byte; what is in it.

    Raises NotFound; Refused for a database that is in use; Unavailable where it is damaged, no database of smartsub, or
    made by a newer version.
    """
    try:
        log = path.with_name(f"{path.name}-wal")
        if not path.is_file():
            raise NotFound(f"no file {shown_name(path)}: name a backup")
        if log.exists() and log.stat().st_size:
            raise Refused(f"{shown_name(path)} is a database in use, not a backup: smartsub backup FILE makes one")
        found = _SUM.match(_sum_of(path).read_bytes()) if _sum_of(path).is_file() else None
    except OSError as error:
        raise Unavailable(f"{shown_name(path)} cannot be read: {error.strerror}") from error
    except ValueError as error:  # no name at all
        raise NotFound(f"{shown_name(path)} is no name of a file: name a backup") from error
    return _read(path, path, None if found is None else found[1].decode())


def _sum_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


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
    )
