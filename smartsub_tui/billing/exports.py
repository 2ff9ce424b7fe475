"""The export: who may have what; orders, users or the audit trail as text or as a file, a page or a slice at a time.

What is in it, and how it is written, stands in `data.exports`.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Final

from msgspec import Struct

from smartsub_tui.billing import access, profiles
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.session import Session
from smartsub_tui.data.exports import PAGE, ExportFormat, ExportKind, Wanted, head, lines, row_ids
from smartsub_tui.data.files import NewFile
from smartsub_tui.data.filters import Moment

SLICE_SECONDS: Final = 0.05
PERMISSIONS: Final = {
    ExportKind.ORDERS: Permission.EXPORT,
    ExportKind.USERS: Permission.EXPORT,
    ExportKind.AUDIT: Permission.EXPORT_ALL,
}


class Rows(Struct, frozen=True):
    """The rows of an export as they were at a moment: which, in which order, and in which format they are written."""

    kind: ExportKind
    form: ExportFormat
    moment: Moment
    ids: array[int]

    def __len__(self) -> int:
        return len(self.ids)


def find_rows(session: Session, wanted: Wanted, form: ExportFormat) -> Rows:
    """Which rows the export has; raises NotAllowed where the session's admin may not have them."""
    profiles.check(session.profile, PERMISSIONS[wanted.kind])
    access.check(session.admin, PERMISSIONS[wanted.kind])
    moment = Moment(session.clock.now(), session.settings.ui.timezone)
    return Rows(wanted.kind, form, moment, row_ids(session.database, wanted, moment))


def pages(session: Session, rows: Rows) -> Iterator[str]:
    """The text of the export, from its head on, a page of rows at a time."""
    yield head(rows.kind, rows.form)
    for start in range(0, len(rows), PAGE):
        yield _page(session, rows, start)


def _page(session: Session, rows: Rows, start: int) -> str:
    return lines(session.database, rows.kind, rows.form, rows.ids[start : start + PAGE], rows.moment)


class FileExport:
    """An export into a file: `begin`, `go_on` until it is finished, and whatever happens, `stop`.

    These three follow one another in the thread of the database; the first two raise what NewFile raises. Nothing
    stands at `path` before the export is finished, and if it is stopped before, nothing is left of it.
    """

    def __init__(self, wanted: Wanted, form: ExportFormat, path: Path, *, replace: bool = False) -> None:
        self.wanted, self.form, self.path, self.replace = wanted, form, path, replace
        self.done = 0
        self.count = 0
        self._rows: Rows | None = None
        self._file: NewFile | None = None

    def begin(self, session: Session) -> None:
        """Open the file and find the rows, of which there are `count`; raises NotAllowed."""
        profiles.check_files(session.profile)
        access.check(session.admin, PERMISSIONS[self.wanted.kind])  # who may not learns of no file either
        self._file = NewFile(self.path, replace=self.replace)
        self._rows = find_rows(session, self.wanted, self.form)
        self.count = len(self._rows)
        self._file.write(head(self.wanted.kind, self.form).encode())

    def go_on(self, session: Session) -> bool:
        """Write pages for about 50 ms; whether the file is finished, and in its place."""
        if self._rows is None or self._file is None:
            raise ValueError("an export goes on after it has begun")
        end = perf_counter() + SLICE_SECONDS
        while self.done < self.count:
            self._file.write(_page(session, self._rows, self.done).encode())
            self.done = min(self.done + PAGE, self.count)
            if perf_counter() >= end:
                return False
        self._file.keep()
        return True

    def stop(self) -> None:
        """Leave nothing of an export that is not finished; a finished one stays."""
        if self._file is not None:
            self._file.drop()


def format_of(path: str | os.PathLike[str]) -> ExportFormat:
    """The format that a file's name tells by its ending: JSON Lines for .jsonl, else CSV."""
    return ExportFormat.JSONL if Path(path).suffix.casefold() == ".jsonl" else ExportFormat.CSV
