"""A stock DataTable that holds one window of rows, the next ones read at its edges: as one writes it with Textual."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.events import Key
from textual.widgets import DataTable, Input, Static

from benchmarks.listing import HEADS, KEYS, RIGHT, STATUS, WIDTHS, Listing, Row, actions, cells

_AROUND = 5  # lines above and below the rows
_COLOURS = {"succeed": "green", "failed": "red", "time_out": "yellow", "cancel": "bright_black"}


class Windowed(App[None]):
    CSS = """
    Input { height: 1; border: none; padding: 0 1; }
    Static { height: 1; }
    DataTable { height: 1fr; scrollbar-size: 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [("q", "quit", "")]

    def __init__(self, path: str) -> None:
        super().__init__()
        self._listing = Listing(path)
        self._rows: Sequence[Row] = ()

    def compose(self) -> ComposeResult:
        yield Input(placeholder="order number")
        yield Static("", id="facets")
        yield DataTable[str | Text](cursor_type="row", cell_padding=0)
        yield Static("", id="offers")
        yield Static(KEYS, id="keys")

    def on_mount(self) -> None:
        for place, (name, width) in enumerate(zip(HEADS, WIDTHS, strict=True)):
            self.table.add_column(Text(name, justify="right" if place in RIGHT else "left"), width=width + 1)
        self.table.focus()
        self._show(self._listing.first(self._room))
        self._facets()

    @property
    def table(self) -> DataTable[str | Text]:
        return self.query_one(DataTable)

    @property
    def _room(self) -> int:
        return self.size.height - _AROUND

    def _to(self, rows: Sequence[Row], cursor: int = 0) -> None:
        if rows:
            self._show(rows, cursor)

    def _show(self, rows: Sequence[Row], cursor: int = 0) -> None:
        table, self._rows = self.table, rows
        shown = [self._cells(row) for row in rows]
        if table.row_count == len(rows):
            with self.batch_update():
                for key, texts in zip(list(table.rows), shown, strict=True):
                    for column, text in zip(table.columns, texts, strict=True):
                        table.update_cell(key, column, text)
        else:
            table.clear()
            table.add_rows(shown)
        table.move_cursor(row=cursor)
        self._offers()

    def _cells(self, row: Row) -> list[str | Text]:
        texts: list[str | Text] = list(cells(row))
        for place in RIGHT:
            texts[place] = Text(str(texts[place]), justify="right")
        texts[STATUS] = Text(str(texts[STATUS]), style=_COLOURS.get(row.status, ""))
        return texts

    def _facets(self) -> None:
        self.query_one("#facets", Static).update(self._listing.facets())

    def _offers(self) -> None:
        place = self.table.cursor_row
        self.query_one("#offers", Static).update(actions(self._rows[place]) if place < len(self._rows) else "")

    def on_data_table_row_highlighted(self) -> None:
        self._offers()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._listing.beginning = event.value
        self._show(self._listing.first(self._room))
        self._facets()

    def on_key(self, event: Key) -> None:
        if self.focused is not self.table:
            if event.key == "escape":
                self.table.focus()
            return
        place = self.table.cursor_row
        match event.key:
            case "j" if place < len(self._rows) - 1:
                self.table.action_cursor_down()
            case "j":
                self._to(self._listing.after(self._rows[-1], self._room))
            case "k" if place:
                self.table.action_cursor_up()
            case "k":
                above = self._listing.before(self._rows[0], self._room)
                self._to(above, len(above) - 1)
            case "pagedown":
                event.prevent_default()
                self._to(self._listing.after(self._rows[-1], self._room))
            case "g":
                self._show(self._listing.first(self._room))
            case "G":
                below = self._listing.last(self._room)
                self._to(below, len(below) - 1)
            case "slash":
                event.prevent_default()
                event.stop()
                self.query_one(Input).focus()


if __name__ == "__main__":
    Windowed(sys.argv[1]).run()
