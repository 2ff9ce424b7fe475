"""The table of offices with their counts, as the dashboard and the choice of an office show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text
from textual.widgets import DataTable

from smartsub_tui import display
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.widgets.row_table import RowTable

_COUNTS: Final = ("Users", "Inactive", "Expiring", "Expired", "Unpaid")
_SIZES: Final = tuple(len(head) + 1 if len(head) > 5 else 7 for head in _COUNTS)
# What comes in when there is room beside the counts, and how wide it is; the name has the rest.
_BESIDE: Final = (("Kind", 11), ("Currency", 10), ("Time zone", 22))
_LEAST_NAME: Final = 18


class OfficeTable(RowTable):
    """Offices; zero is a dot, so that the eye finds what is there."""

    def __init__(self) -> None:
        super().__init__()
        self.offices: tuple[OfficeRecord, ...] = ()

    @property
    def current(self) -> OfficeRecord | None:
        """The office under the cursor."""
        return self.offices[self.cursor_row] if 0 <= self.cursor_row < len(self.offices) else None

    def show(self, offices: Sequence[OfficeRecord]) -> None:
        """Show these offices, the cursor where it was, by name."""
        here = self.current.name if self.current else None
        longest = max([_LEAST_NAME, *(display.cell_width(office.name) for office in offices)])
        # Narrow terminals keep the name and the last counts, which ask for something to be done.
        left, counts = self.room - _LEAST_NAME - 1, len(_COUNTS)
        while counts and sum(_SIZES[-counts:]) > left:
            counts -= 1
        sizes, heads = _SIZES[len(_SIZES) - counts :], _COUNTS[len(_COUNTS) - counts :]
        left -= sum(sizes)
        beside = 0
        while beside < len(_BESIDE) and _BESIDE[beside][1] <= left - (min(longest, 30) - _LEAST_NAME if beside else 0):
            left -= _BESIDE[beside][1]
            beside += 1
        name_width = max(1, min(longest, _LEAST_NAME + left)) + 1
        with self.prevent(DataTable.RowHighlighted):
            self.clear(columns=True)
            self.add_column(Text("Office"), width=name_width)
            for head, size in _BESIDE[:beside]:
                self.add_column(Text(head), width=size)
            for head, size in zip(heads, sizes, strict=True):
                self.add_column(Text(head.rjust(size)), width=size)
            for office in offices:
                numbers = (office.users, office.inactive, office.expiring, office.expired, office.unpaid)
                facts = (office.kind.label, office.currency, office.timezone)
                self.add_row(
                    display.cell(display.fit(office.name, name_width - 1)),
                    *(
                        display.cell(display.fit(fact, size - 1))
                        for fact, (_, size) in zip(facts[:beside], _BESIDE, strict=False)
                    ),
                    *(
                        display.cell(display.count_or_dot(number).rjust(size), "" if number else "quiet")
                        for number, size in zip(numbers[len(numbers) - counts :], sizes, strict=True)
                    ),
                    key=str(office.id),
                )
            self.offices = tuple(offices)
        names = [office.name for office in offices]
        self.move_cursor(row=names.index(here) if here in names else 0)
