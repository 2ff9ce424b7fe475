"""The triage panel: counts of what needs someone, worst first."""

from __future__ import annotations

from collections.abc import Sequence

from smartsub_tui import display
from smartsub_tui.widgets.row_table import RowTable


class NeedsTable(RowTable):
    """One line a kind of trouble; zero is a dot."""

    def __init__(self) -> None:
        super().__init__(show_header=False)

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
