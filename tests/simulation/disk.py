"""A disk that fails: full from some write on, an error at one operation, or the power is gone.

A file system of SQLite's over the real one. What was written and not yet synced may be lost with the power, all of it,
none, or some of it, in any order, and a page of it torn between two sectors.
"""

from __future__ import annotations

from collections import defaultdict
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any, Final

import apsw
from msgspec import Struct

_SECTOR: Final = 512


class DiskFault(Enum):
    FULL = "full"  # every write from there on, until make_room()
    ERROR = "error"  # of one operation
    POWER = "power"  # nothing reaches the disk any more
    READ = "read"  # an error of one read: for it, reads are counted instead


class _Change(Struct, frozen=True):
    """What was at `offset`, what came there, and how long the file was; without `new`, it was cut off there."""

    offset: int
    old: bytes
    new: bytes | None
    size: int


class Disk(apsw.VFS):
    """Databases opened with `vfs=disk.vfs_name` lie on it. Operations are counted from fail() on, the first is 1."""

    def __init__(self, name: str) -> None:
        self.vfs_name, self.failed = name, False
        self._done, self._fails_at, self._fault = 0, 0, DiskFault.ERROR
        self._dead = False
        self._unsynced: defaultdict[str, list[_Change]] = defaultdict(list)
        super().__init__(name, "")

    def fail(self, place: int, fault: DiskFault) -> None:
        """Let the `place`-th operation from now fail."""
        self._done, self._fails_at, self._fault, self.failed = 0, place, fault, False

    def make_room(self) -> None:
        self._fails_at = 0

    def cut_power(self) -> None:
        self._dead = True

    def power_comes_back(self, random: Random) -> None:
        """What lies on the disk then. Whoever had it open must be gone."""
        kept = random.choice((0.0, 0.5, 1.0))
        for name, changes in self._unsynced.items():
            if not (path := Path(name)).exists():
                continue
            with path.open("r+b") as file:
                for change in reversed(changes):
                    file.seek(change.offset)
                    file.write(change.old)
                    file.truncate(change.size)
                for change in changes:
                    if random.random() < kept:
                        _write(file, change, random)
        self._unsynced.clear()
        self._dead, self._fails_at = False, 0

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.operation()
        self._unsynced.pop(filename, None)
        super().xDelete(filename, syncdir)

    def read(self) -> None:
        """Raises what SQLite is to see, where a read fails."""
        if self._fault is not DiskFault.READ or not self._fails_at:
            return
        self._done += 1
        if self._done == self._fails_at:
            self.failed = True
            raise apsw.IOError("input/output error")

    def operation(self, *, is_write: bool = False) -> None:
        """Raises what SQLite is to see, where a write, a sync, a cut or a removal fails."""
        if self._dead:
            raise apsw.IOError("the power is gone")
        if self._fault is DiskFault.READ:
            return
        self._done += 1
        if not self._fails_at or self._done < self._fails_at:
            return
        if self._fault is DiskFault.FULL and is_write:
            self.failed = True
            raise apsw.FullError("no space left")
        if self._fault in (DiskFault.ERROR, DiskFault.POWER) and self._done == self._fails_at:
            self.failed = True
            self._dead = self._fault is DiskFault.POWER
            raise apsw.IOError("input/output error")

    def changed(self, name: str, change: _Change) -> None:
        self._unsynced[name].append(change)

    def synced(self, name: str) -> None:
        self._unsynced.pop(name, None)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__("", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.read()
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:
        self._disk.operation(is_write=True)
        self._change(offset, len(data), bytes(data))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._disk.operation()
        self._change(newsize, max(0, super().xFileSize() - newsize), None)
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._disk.operation()
        super().xSync(flags)
        self._disk.synced(self._path)

    def _change(self, offset: int, length: int, new: bytes | None) -> None:
        size = super().xFileSize()
        there = min(length, max(0, size - offset))
        old = super().xRead(there, offset) if there else b""
        self._disk.changed(self._path, _Change(offset, old, new, size))


def _write(file: Any, change: _Change, random: Random) -> None:
    if change.new is None:
        file.truncate(change.offset)
        return
    new = change.new
    if len(new) > _SECTOR and random.random() < 0.2:
        new = new[: _SECTOR * random.randrange(1, len(new) // _SECTOR + 1)]
    file.seek(change.offset)
    file.write(new)
