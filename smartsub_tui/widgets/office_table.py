"""The table of offices with their counts, as the dashboard and the choice of an office show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from smartsub_tui import display
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.widgets.windowed_table import Head, WindowedTable

_COUNTS: Final = ("Users", "Inactive", "Expiring", "Expired", "Unpaid")
_SIZES: Final = tuple(max(6, len(head)) for head in _COUNTS)
# What comes in when there is room beside the counts, and how wide it is; the name has the rest.
_BESIDE: Final = (("Kind", 10), ("Currency", 9), ("Time zone", 21))
_LEAST_NAME: Final = 18


class OfficeTable(WindowedTable[OfficeRecord]):
    """Offices, all of them at hand: there are thousands at most. Zero is a dot, so that the eye finds what is there."""

    def __init__(self) -> None:
        self._longest = _LEAST_NAME
        self._beside = self._counts = 0  # so many of the facts, and the last so many of the counts, have room
        self._name_width = _LEAST_NAME
        super().__init__()

    def key_of(self, row: OfficeRecord) -> int:
        return row.id

    def list_offices(self, offices: Sequence[OfficeRecord]) -> None:
        """Show these offices, the cursor where it was."""
        self._longest = max([_LEAST_NAME, *(display.cell_width(office.name) for office in offices)])
        self.show(offices, offices, on=() if self.current is None else (self.current.id,))

    def heads(self) -> list[Head]:
        # Less a scroll bar that may come and the cell before the rows.
        width = (self.outer_size.width or self.app.size.width) - 2
        # Narrow terminals keep the name and the last counts, which ask for something to be done.
        left, counts = width - _LEAST_NAME - 1, len(_COUNTS)
        while counts and sum(_SIZES[-counts:]) + counts > left:
            counts -= 1
        first = len(_COUNTS) - counts
        left -= sum(_SIZES[first:]) + counts
        beside = 0
        while beside < len(_BESIDE):
            name = min(self._longest, 30) - _LEAST_NAME if beside else 0
            if _BESIDE[beside][1] + 1 > left - name:
                break
            left -= _BESIDE[beside][1] + 1
            beside += 1
        self._beside, self._counts = beside, counts
        self._name_width = max(1, min(self._longest, _LEAST_NAME + left))
        return [
            Head("Office", "Office", self._name_width),
            *(Head(head, head, size) for head, size in _BESIDE[:beside]),
            *(Head(head, head, size, right=True) for head, size in zip(_COUNTS[first:], _SIZES[first:], strict=True)),
        ]

    def cells(self, row: OfficeRecord) -> list[tuple[str, str]]:
        numbers = (row.users, row.inactive, row.expiring, row.expired, row.unpaid)
        facts = (row.kind.label, row.currency, row.timezone)
        first = len(_COUNTS) - self._counts
        return [
            (display.fit(row.name, self._name_width), ""),
            *((display.fit(fact, size), "") for fact, (_, size) in zip(facts[: self._beside], _BESIDE, strict=False)),
            *(
                (display.count_or_dot(number).rjust(size), "" if number else "quiet")
                for number, size in zip(numbers[first:], _SIZES[first:], strict=True)
            ),
        ]
