"""The triage panel: counts of what needs someone, worst first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from smartsub_tui import display
from smartsub_tui.widgets.row_table import PanelTable

_COUNT = 8


class NeedsTable(PanelTable):
    """One line a kind of trouble; zero is a dot."""

    def show(self, needs: Sequence[tuple[str, int]]) -> None:
        """Show (text, count) lines, the cursor where it was."""
        here = self.cursor_row
        self.clear(columns=True)
        self.add_column(Text(""), width=_COUNT)
        self.add_column(Text("NEEDS YOU"), width=max(display.cell_width(text) for text, _ in needs))
        for text, count in needs:
            style = "warning" if count else "quiet"
            self.add_row(
                display.cell(f"{display.count_or_dot(count):>{_COUNT - 2}}  ", style),
                display.cell(text, "" if count else "quiet"),
            )
        self.move_cursor(row=here)
