"""The grid of offices and spans of days: how many people, or how much money, and which filter lists them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from msgspec import Struct
from rich.text import Text
from textual.binding import BindingType
from textual.coordinate import Coordinate
from textual.message import Message
from textual.widgets import DataTable

from smartsub_tui import display
from smartsub_tui.billing.expiring import Cell, Span, sums
from smartsub_tui.commands import bindings
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.widgets.expiring_table import money_text
from smartsub_tui.widgets.row_table import RowTable

_LEAST_NAME, _MOST_NAME = 14, 30
_CURRENCY: Final = 4
_LEAST: Final = 8  # cells of a column
CHART: Final = 4  # lines


class Line(Struct, frozen=True):
    """A row of the grid: an office, or, where that is None, all of them (of one currency, if one is named)."""

    name: str
    office: OfficeRecord | None
    currency: str | None
    cells: tuple[Cell, ...]


class Grid(Struct, frozen=True):
    """As it is laid out: spans and lines hold only what there is room for, the last span all that comes later."""

    spans: tuple[Span, ...]
    lines: tuple[Line, ...]
    texts: tuple[tuple[str, ...], ...]  # of each line
    widths: tuple[int, ...]
    name: int
    currency: int  # 0 where all have the same

    @property
    def width(self) -> int:
        return self.name + self.currency + sum(self.widths)


def lines_of(
    offices: Sequence[OfficeRecord], found: Sequence[tuple[Cell, ...]], currency: str | None
) -> tuple[Line, ...]:
    """All offices, or all of a currency, in one line; then every office that has somebody."""
    rows = [
        Line(office.name, office, office.currency, cells)
        for office, cells in zip(offices, found, strict=True)
        if any(cell.people for cell in cells)
    ]
    together = [row.cells for row in rows if currency in (None, row.currency)]
    if not together:
        return ()
    whole = together[0]
    for cells in together[1:]:
        whole = sums(whole, cells)
    return (Line("All offices" if currency is None else f"All in {currency}", None, currency, whole), *rows)


def layout(lines: Sequence[Line], spans: Sequence[Span], room: int, *, money: bool) -> Grid:
    """The grid in at most `room` cells, with as many spans as fit; those that do not are one, at the end."""
    longest = max([_LEAST_NAME, *(display.cell_width(line.name) for line in lines)])
    several = len({line.currency for line in lines if line.office is not None}) > 1
    currency = _CURRENCY if several and (money or room >= 2 * _MOST_NAME) else 0
    for count in range(len(spans), 0, -1):
        shown, cut = _merged(lines, spans, count)
        texts = tuple(tuple(_text(line, cell, money=money) for cell in line.cells) for line in cut)
        widths = tuple(
            max([_LEAST, len(span.label) + 2, *(len(each[place]) + 2 for each in texts)])
            for place, span in enumerate(shown)
        )
        left = room - currency - sum(widths) - 1
        if left >= min(longest, _LEAST_NAME if count > 2 else 1) or count == 1:
            name = max(1, min(longest, _MOST_NAME, left)) + 1
            return Grid(shown, cut, texts, widths, name, currency)
    raise AssertionError("one span always fits")


def _merged(lines: Sequence[Line], spans: Sequence[Span], count: int) -> tuple[tuple[Span, ...], tuple[Line, ...]]:
    if count == len(spans):
        return tuple(spans), tuple(lines)
    onward = spans[count - 1].onward
    last = Span("then" if count > 1 else "all", onward, onward)
    cut = []
    for line in lines:
        tail = Cell()
        for cell in line.cells[count - 1 :]:
            tail += cell
        cut.append(Line(line.name, line.office, line.currency, (*line.cells[: count - 1], tail)))
    return (*spans[: count - 1], last), tuple(cut)


def _text(line: Line, cell: Cell, *, money: bool) -> str:
    if money and line.currency is not None:
        return money_text(cell, line.currency)
    return display.count_or_dot(cell.people)


def chart(grid: Grid, *, money: bool) -> list[str]:
    """The first line of the grid as columns over its numbers, from the top down."""
    values = [cell.net if money else cell.people for cell in grid.lines[0].cells]
    most = max(values)
    columns = [display.column(value, most, CHART) for value in values]
    start = " " * (grid.name + grid.currency)
    return [
        start
        + "".join(
            (column[level] * (width - 2)).rjust(width) for column, width in zip(columns, grid.widths, strict=True)
        )
        for level in range(CHART)
    ]


class ExpiringGrid(RowTable):
    """Its cursor is a cell: every number is a door."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("left", "right")

    def __init__(self) -> None:
        super().__init__()
        self.cursor_type = "cell"
        self.grid: Grid | None = None

    def selected(self) -> Message:
        at = self.cursor_coordinate
        return DataTable.CellSelected(
            self, self.get_cell_at(at), coordinate=at, cell_key=self.coordinate_to_cell_key(at)
        )

    @property
    def chosen(self) -> tuple[Line, Span, Cell] | None:
        """The line, span and people under the cursor."""
        if self.grid is None or not 0 <= self.cursor_row < len(self.grid.lines):
            return None
        place = max(0, self.cursor_column - self._before)
        line = self.grid.lines[self.cursor_row]
        return line, self.grid.spans[place], line.cells[place]

    @property
    def _before(self) -> int:
        """Columns before the first span."""
        return 2 if self.grid is not None and self.grid.currency else 1

    def show(self, grid: Grid, *, office: int | None, column: int) -> None:
        """Show this grid, the cursor on the office with that id, or on all, and on the span at place `column`."""
        with self.prevent(DataTable.CellHighlighted):
            self.clear(columns=True)
            self.grid = grid
            self.add_column(Text("Office"), width=grid.name)
            if grid.currency:
                self.add_column(Text(""), width=grid.currency)
            for span, width in zip(grid.spans, grid.widths, strict=True):
                self.add_column(Text(span.label.rjust(width)), width=width)
            for line, texts in zip(grid.lines, grid.texts, strict=True):
                whole = "bold" if line.office is None else ""
                self.add_row(
                    display.cell(display.fit(line.name, grid.name - 1), whole),
                    *([display.cell(line.currency or "", "quiet")] if grid.currency else []),
                    *(
                        display.cell(text.rjust(width), whole or ("" if cell.people else "quiet"))
                        for text, width, cell in zip(texts, grid.widths, line.cells, strict=True)
                    ),
                )
        rows = [line.office.id if line.office else None for line in grid.lines]
        self.cursor_coordinate = Coordinate(
            rows.index(office) if office in rows else 0, self._before + min(column, len(grid.spans) - 1)
        )

    def validate_cursor_coordinate(self, value: Coordinate) -> Coordinate:
        """Names are no doors."""
        row, column = super().validate_cursor_coordinate(value)
        return Coordinate(row, max(self._before, column) if self.row_count else column)

    def action_left(self) -> None:
        self.action_cursor_left()

    def action_right(self) -> None:
        self.action_cursor_right()
