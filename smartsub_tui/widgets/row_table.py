"""A DataTable whose cursor is a whole row, with the keys that people know from other terminals."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.widgets import DataTable

from smartsub_tui import display
from smartsub_tui.commands import bindings


class RowTable(DataTable[Text]):
    """Rows under one cursor; `j k g G` beside the arrows. Cells stand close: a column's width has its gap."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("down", "up", "first", "last")

    def __init__(self, *, show_header: bool = True) -> None:
        super().__init__(cursor_type="row", cell_padding=0, show_header=show_header)

    def action_down(self) -> None:
        self.action_cursor_down()

    def action_up(self) -> None:
        self.action_cursor_up()

    def action_first(self) -> None:
        self.move_cursor(row=0)

    def action_last(self) -> None:
        self.move_cursor(row=self.row_count - 1)


def mark_cell(marked: bool) -> Text:
    """The first cell of a row that can be marked."""
    return display.cell("* " if marked else "  ", "bold")
