"""Files that are written whole or not at all, readable by their owner only, under names that can do no harm."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from smartsub_tui.data.csv_files import shown_name
from smartsub_tui.errors import NotFound, Refused, Unavailable

_LONGEST_NAME: Final = 100
_UNFINISHED: Final = (".smartsub-", ".part")
_LEFT_SECONDS: Final = 24 * 60 * 60


def safe_name(text: str) -> str:
    """A file name from text: letters, digits, points, `-` and `_` of ASCII; not hidden, not an option, not a path."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip(".-")[:_LONGEST_NAME] or "unnamed"


class FileExists(Refused):
    """Where the file is to stand there is one already."""


class NewFile:
    """Written beside its place under a hidden name, and put there by `keep`; until then `drop` leaves nothing.

    Making one raises NotFound where its folder is missing; FileExists where the file stands there and is not to be
    replaced; Refused for a link or whatever else is no file: what they lead to is never written. Each step raises
    Unavailable where the disk does not take it.
    """

    def __init__(self, path: Path, *, replace: bool = False) -> None:
        self.path = path
        self._shown = shown_name(path)
        self._replace = replace
        try:
            with self._told():
                self._look()
                handle, name = tempfile.mkstemp(prefix=_UNFINISHED[0], suffix=_UNFINISHED[1], dir=path.parent)
        except ValueError as error:  # a NUL in the name
            raise Refused(f"{self._shown} is no name of a file: take another") from error
        self._temporary = Path(name)
        self._file = os.fdopen(handle, "wb")

    def write(self, data: bytes) -> None:
        with self._told():
            self._file.write(data)

    def take(self, other: Path) -> None:
        """Write all that another file holds."""
        with self._told(), other.open("rb") as source:
            shutil.copyfileobj(source, self._file, 1 << 20)
            self._file.flush()

    def resemble(self, other: Path) -> None:
        """Take over the mode of another file, and its owner and group as far as the system permits.

        Under another group what was for the group is for nobody: it would be for other people.
        """
        with self._told():
            seen, file = other.stat(), self._file.fileno()
            for owner, group in ((seen.st_uid, -1), (-1, seen.st_gid)):
                with suppress(PermissionError):
                    os.fchown(file, owner, group)
            same_group = os.fstat(file).st_gid == seen.st_gid
            os.fchmod(file, stat.S_IMODE(seen.st_mode) & (0o777 if same_group else 0o707))

    @property
    def unfinished(self) -> Path:
        """Where it stands until it is kept, for what writes a file by its name."""
        return self._temporary

    def ready(self) -> None:
        """See that all of it is on the disk and its place still to be had: `keep` has only to give it its name."""
        with self._told():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._look()

    def keep(self) -> None:
        """Put the file in its place, all of it on the disk; raises FileExists where one has come there meanwhile."""
        try:
            self.ready()
            with self._told():
                self._file.close()
                if self._replace:
                    os.replace(self._temporary, self.path)
                else:
                    self._put()
                _sync_folder(self.path.parent)
        finally:
            self.drop()

    def drop(self) -> None:
        """Leave nothing of what was not kept."""
        with suppress(OSError):  # what cannot be flushed any more is not wanted either
            self._file.close()
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Take away what those who were killed left unfinished beside it, and nobody has written to for a day."""
        with suppress(OSError):
            now = self._temporary.stat().st_mtime  # by the clock of the file system, which dated the others too
            for each in self._temporary.parent.glob("*".join(_UNFINISHED)):
                with suppress(OSError):
                    seen = each.lstat()
                    if stat.S_ISREG(seen.st_mode) and now - seen.st_mtime > _LEFT_SECONDS:
                        each.unlink()

    def _put(self) -> None:
        try:
            os.link(self._temporary, self.path)  # fails where something stands, os.replace would not
        except FileExistsError:
            raise
        except OSError:
            # Not every file system has links. _look was the moment before.
            os.replace(self._temporary, self.path)

    def _look(self) -> None:
        """Raise where the place is not free, or not to be had."""
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if stat.S_ISLNK(mode):
            raise Refused(f"{self._shown} is a link, which is not followed: name the file itself")
        if stat.S_ISDIR(mode):
            raise Refused(f"{self._shown} is a folder: name a file in it")
        if not stat.S_ISREG(mode):
            raise Refused(f"{self._shown} is no ordinary file: name another")
        if not self._replace:
            raise FileExists(f"{self._shown} exists: name another file, or replace it")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError as error:
            raise FileExists(f"{self._shown} exists: name another file, or replace it") from error
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"no folder {shown_name(self.path.parent)}: make it first, or name another") from error
        except OSError as error:
            raise Unavailable(f"{self._shown} cannot be written: {error.strerror}") from error


class NewArchive(NewFile):
    """A .zip of files, in the order in which they are added; the same files in the same order give the same bytes.

    They are stored as they are: what is added is packed already, and what packs differs from machine to machine.
    """

    def __init__(self, path: Path, *, replace: bool = False) -> None:
        from zipfile import ZipFile

        super().__init__(path, replace=replace)
        self._zip = ZipFile(self._file, "w")

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def add(self, name: str, content: bytes) -> None:
        """Add a file under a name of safe_name(); none of that name is in it yet."""
        from zipfile import ZipInfo

        entry = ZipInfo(name)  # of the first day that a zip can tell: when it was made is no part of it
        entry.create_system, entry.external_attr = 3, 0o600 << 16  # as on Unix, its owner's
        with self._told():
            self._zip.writestr(entry, content)

    def keep(self) -> None:
        try:
            with self._told():
                self._zip.close()
            super().keep()
        finally:
            self.drop()

    def drop(self) -> None:
        with suppress(OSError, ValueError):  # it would be closed later, into a file that is closed by then
            self._zip.close()
        super().drop()


def write_file(path: Path, content: bytes, *, replace: bool = False) -> None:
    """Make the file `path` with this content; one that has it already stays as it is. Raises as NewFile does."""
    if _has(path, content):
        return
    file = NewFile(path, replace=replace)
    try:
        file.write(content)
        file.keep()
    finally:
        file.drop()


def _has(path: Path, content: bytes) -> bool:
    """Whether an ordinary file stands there with this very content."""
    with suppress(OSError, ValueError):
        return stat.S_ISREG(path.lstat().st_mode) and path.read_bytes() == content
    return False


def _sync_folder(folder: Path) -> None:
    """The name too is on the disk, where the file system can be told so."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
