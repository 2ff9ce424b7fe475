"""A DataTable whose cursor is a whole row, with the keys that people know from other terminals."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.coordinate import Coordinate
from textual.events import Click
from textual.message import Message
from textual.widgets import DataTable

from smartsub_tui.commands import bindings


class RowTable(DataTable[Text]):
    """Rows under one cursor; `j k g G` beside the arrows. Cells stand close: a column's width has its gap."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("down", "up", "first", "last")

    def __init__(self, *, show_header: bool = True) -> None:
        super().__init__(cursor_type="row", cell_padding=0, show_header=show_header)

    @property
    def room(self) -> int:
        """Cells for columns: the table's width, or what it will be, less a scroll bar that may come, and a gap."""
        return max(1, (self.size.width or self.app.size.width - 1) - 2)

    def on_click(self, event: Click) -> None:
        """A second click on the row opens it, whatever column it hits."""
        meta = event.style.meta
        if self.cursor_type == "row" and meta.get("row") == self.cursor_row:
            self.move_cursor(column=meta.get("column", 0))

    async def action_select_cursor(self) -> None:  # type: ignore[override]  # an action may be either
        """Enter is done before the next key is looked at: as a message, it could be overtaken."""
        if self.show_cursor and self.is_valid_row_index(self.cursor_row):
            await self.screen._dispatch_message(self.selected())

    def selected(self) -> Message:
        """What is said of the row under the cursor when it is chosen."""
        row = self.cursor_row
        return DataTable.RowSelected(self, row, self.coordinate_to_cell_key(Coordinate(row, 0)).row_key)

    def action_down(self) -> None:
        self.action_cursor_down()

    def action_up(self) -> None:
        self.action_cursor_up()

    def action_first(self) -> None:
        self.move_cursor(row=0)

    def action_last(self) -> None:
        self.move_cursor(row=self.row_count - 1)


class PanelTable(RowTable):
    """A few lines beside others: its cursor is seen only while it has the focus."""

    def __init__(self) -> None:
        super().__init__()
        self.show_cursor = False

    def on_focus(self) -> None:
        self.show_cursor = True

    def on_blur(self) -> None:
        self.show_cursor = False
