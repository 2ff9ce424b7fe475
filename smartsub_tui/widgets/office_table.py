"""The table of offices with their counts, as the dashboard and the choice of an office show it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import DataTable

from smartsub_tui import display
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.widgets.row_table import RowTable

_COUNTS = ("Users", "Inactive", "Expiring", "Expired", "Unpaid")


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
        width = (self.size.width or self.app.size.width) - 1
        sizes = [len(head) + 1 if len(head) > 5 else 7 for head in _COUNTS]
        name_width = max(20, width - 11 - sum(sizes) - 1)
        with self.prevent(DataTable.RowHighlighted):
            self.clear(columns=True)
            self.add_column(Text("Office"), width=name_width)
            self.add_column(Text("Kind"), width=11)
            for head, size in zip(_COUNTS, sizes, strict=True):
                self.add_column(Text(head.rjust(size)), width=size)
            for office in offices:
                counts = (office.users, office.inactive, office.expiring, office.expired, office.unpaid)
                self.add_row(
                    display.cell(display.fit(office.name, name_width - 1)),
                    display.cell(office.kind.label),
                    *(
                        display.cell(display.count_or_dot(number).rjust(size))
                        for number, size in zip(counts, sizes, strict=True)
                    ),
                    key=str(office.id),
                )
            self.offices = tuple(offices)
        names = [office.name for office in offices]
        self.move_cursor(row=names.index(here) if here in names else 0)
