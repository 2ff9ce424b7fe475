"""Saved filters as a table: name, whose it is, filter and sort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from smartsub_tui import display
from smartsub_tui.data.records import ViewRecord
from smartsub_tui.widgets.row_table import RowTable

_NAME_MOST: Final = 30
_FILTER_LEAST: Final = 16
_WHOSE: Final = 12
_SORT: Final = 12


class ViewTable(RowTable):
    """One view a row; the filter takes the width that is left."""

    def __init__(self) -> None:
        super().__init__()
        self._views: Sequence[ViewRecord] = ()

    @property
    def current(self) -> ViewRecord | None:
        """The view under the cursor."""
        return self._views[self.cursor_row] if 0 <= self.cursor_row < len(self._views) else None

    def show(self, views: Sequence[ViewRecord]) -> None:
        """Show these, the cursor in its place."""
        here = self.cursor_row
        self._views = views
        self.clear(columns=True)
        left = self.room - _WHOSE - _SORT
        longest = max([6, *(display.cell_width(each.name) + 2 for each in views)])
        name = min(longest, _NAME_MOST, max(6, left - _FILTER_LEAST))
        widths = (name, _WHOSE, max(1, left - name), _SORT)
        for head, width in zip(("View", "Whose", "Filter", "Sort"), widths, strict=True):
            self.add_column(Text(head), width=width)
        for each in views:
            row = (each.name, "everyone's" if each.shared else "mine", each.filter or "all orders", each.sort)
            self.add_row(*(display.cell(display.fit(text, width - 1)) for text, width in zip(row, widths, strict=True)))
        self.move_cursor(row=here)
