"""A window on a list of any length: a run of its rows, and where in the list they stand.

Rows are told apart by where they stand under the sort (their cursors), never by counting: a list that others write to
has no lasting row numbers. The numbers that a scroll position needs follow from what is known and are put right as more
becomes known; `Window` says by how much they moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")


class Window(Generic[Row]):
    """Rows `base` up to `end` of `total`.

    `first`, `last`: whether nothing stands before the first row, or behind the last one, as far as is known. While the
    list has not been counted, `total` is as much as is known of.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.cursors: list[Any] = []
        self.base = 0
        self.total = 0
        self.first = self.last = True
        self._counted = 0  # rows of the list, when it was counted last

    @property
    def end(self) -> int:
        return self.base + len(self.rows)

    def at(self, index: int) -> Row | None:
        """The row of that number, where it is in the window."""
        place = index - self.base
        return self.rows[place] if 0 <= place < len(self.rows) else None

    def replace(self, rows: Sequence[Row], cursors: Sequence[Any], *, base: int, first: bool, last: bool) -> None:
        """Another run of rows, the first of which stands about at `base`."""
        self.rows, self.cursors, self.base = list(rows), list(cursors), base
        self.first, self.last = first, last
        self._settle()

    def append(self, rows: Sequence[Row], cursors: Sequence[Any], *, last: bool) -> int:
        """The rows right behind the window; how far all numbers moved by what was learnt."""
        self.rows += rows
        self.cursors += cursors
        self.last = last
        return self._settle()

    def prepend(self, rows: Sequence[Row], cursors: Sequence[Any], *, first: bool) -> int:
        """The rows right before the window; how far all numbers moved."""
        self.rows[:0] = rows
        self.cursors[:0] = cursors
        self.base -= len(rows)
        self.first = first
        return self._settle()

    def keep(self, start: int, end: int) -> None:
        """Let go of the rows outside these numbers."""
        before, behind = max(0, start - self.base), max(0, self.end - end)
        if behind:
            del self.rows[-behind:], self.cursors[-behind:]
            self.last = False
        if before:
            del self.rows[:before], self.cursors[:before]
            self.base += before
            self.first = False

    def counted(self, total: int) -> int:
        """The list has so many rows; how far all numbers moved."""
        if self.first and self.last:
            return 0  # they are all here: what was counted is older, or newer
        self._counted = total
        by = total - self.end if self.last else 0
        self.base += by
        return by + self._settle()

    def placed(self, base: int) -> int:
        """So many rows stand before the window; how far all numbers moved."""
        if self.first:
            return 0
        by = base - self.base
        self.base += by
        return by + self._settle()

    def _settle(self) -> int:
        by = 0
        if self.first:
            by = -self.base
        elif self.base < 1:
            by = 1 - self.base
        self.base += by
        # What was counted may end with these rows, though no look behind them has found the list's end.
        ends = self.last or self._counted == self.end
        self.total = self.end if ends else max(self._counted, self.end + 1)
        return by
