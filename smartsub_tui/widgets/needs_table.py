"""The triage panel: counts of what needs someone, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.widgets import DataTable

from smartsub_tui import display
from smartsub_tui.commands import bindings


class NeedsTable(DataTable[Text]):
    """One line a kind of trouble; zero is a dot."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("down", "up", "first", "last")

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cell_padding=0, show_header=False)

    def show(self, needs: Sequence[tuple[str, int]]) -> None:
        """Show (text, count) lines, the cursor where it was."""
        here = self.cursor_row
        self.clear(columns=True)
        self.add_column("count", width=9)
        self.add_column("what", width=max(display.cell_width(text) for text, _ in needs))
        for text, count in needs:
            style = "warning" if count else "quiet"
            self.add_row(display.cell(f"{display.count_or_dot(count):>7}  ", style), display.cell(text))
        self.move_cursor(row=here)

    def action_down(self) -> None:
        self.action_cursor_down()

    def action_up(self) -> None:
        self.action_cursor_up()

    def action_first(self) -> None:
        self.move_cursor(row=0)

    def action_last(self) -> None:
        self.move_cursor(row=self.row_count - 1)
