"""Lists as pages of a keyset: where a row stands is told by its values under the list's order, never by its number.

A list that others write to has no lasting row numbers, and to skip so many rows is to read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from peewee import Tuple, Value

from smartsub_tui.data.fields import to_microseconds
from smartsub_tui.data.vocabulary import Word

Row = TypeVar("Row")


class Cursor(NamedTuple):
    """Where a row stands under a sort: its values there, as they are stored, and its row id."""

    values: tuple[Any, ...]
    pk: int


class Page(NamedTuple, Generic[Row]):
    """Rows in the order asked for, and the cursor of each."""

    rows: tuple[Row, ...]
    cursors: tuple[Cursor, ...]


class Keyset(NamedTuple):
    """An order of rows: by these columns in turn, the last of which is the row id, all in one direction."""

    columns: tuple[Any, ...]
    descending: bool = False

    def ends(self, *, backward: bool = False) -> list[Any]:
        """What an ORDER BY says; `backward`: against the order."""
        descending = self.descending != backward
        return [each.desc() if descending else each.asc() for each in self.columns]

    def beyond(self, cursor: Cursor, *, backward: bool = False, itself: bool = False) -> Any:
        """The rows behind a cursor (before it where `backward`), with the row `itself` or without."""
        here = Tuple(*(Value(value, converter=False) for value in (*cursor.values, cursor.pk)))
        place = Tuple(*self.columns)
        if self.descending != backward:
            return place <= here if itself else place < here
        return place >= here if itself else place > here

    def part(
        self, *, after: Cursor | None, before: Cursor | None, at: Cursor | None, last: bool
    ) -> tuple[list[Any], bool]:
        """The conditions of the page right `after` a cursor, right `before` one, beginning `at` one, or the `last`.

        With it, whether the page is read against the order.
        """
        if before is not None:
            return [self.beyond(before, backward=True)], True
        if after is not None:
            return [self.beyond(after)], False
        return [self.beyond(at, itself=True)] if at is not None else [], last


def cursor_of(values: Sequence[Any], pk: int) -> Cursor:
    """The cursor of a row, given its values as they are read."""
    return Cursor(tuple(map(_stored, values)), pk)


def _stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_microseconds(value)
    return value.value if isinstance(value, Word) else value
