"""A table over a list of any length: it holds a window of the rows, asks for more near its edges, and draws its lines.

To its users it stays Textual's DataTable: cursor, messages, mouse, styles and header are that one's. What DataTable
keeps of every row (cells, a height, a place) is answered from the window instead. Those are internals of one version of
Textual, which is pinned; tests/widgets/test_windowed_table.py holds each of them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Final, Generic

from msgspec import Struct
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual._two_way_dict import TwoWayDict
from textual.coordinate import Coordinate
from textual.events import Click, MouseMove
from textual.geometry import Region, Size
from textual.message import Message
from textual.scrollbar import ScrollBar
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import DataTable
from textual.widgets.data_table import CellKey, ColumnKey, RowKey

from smartsub_tui import display
from smartsub_tui.widgets.row_table import RowTable
from smartsub_tui.widgets.still_bar import StillBar
from smartsub_tui.widgets.window import Row, Window

# Rows that are kept (on a terminal of more than 85 rows more), and how near to the edge of the window the cursor comes
# before more are asked for.
KEPT: Final = 512
MARGIN: Final = 96
_STRIPS: Final = 2048
_AHEAD: Final = 8  # rows that are drawn ahead in one go
_GUTTER: Final = 1
# Where the cursor leaves the view, this part of the view goes on with it: over a slow line each step repaints all rows.
_STEP: Final = 3
_ENDS: Final = ("first", "last")


class Head(Struct, frozen=True):
    """A column as it stands on the screen: its key, its head, and its width in cells without the gap behind it."""

    key: str
    text: str
    width: int
    right: bool = False


class WindowedTable(RowTable, Generic[Row]):
    """Rows under one cursor. The owner puts them in with `show`, `put_after`, `put_before`, and answers `Wanted`.

    A subclass says what stands in a row: `key_of`, `heads`, `cells`.
    """

    class Wanted(Message):
        """More rows are wanted: those "after" or "before" the window, the "first" or the "last" of the list."""

        def __init__(self, where: str) -> None:
            super().__init__()
            self.where = where

    def __init__(self) -> None:
        self.window: Window[Any] = Window()
        self.marked: set[Hashable] = set()
        self._strips: dict[tuple[Hashable, bool, bool], Strip] = {}
        self._drawn_wide = 0
        self._base: Style | None = None  # of all lines, until the styles are others
        self._way = 1  # downward, or -1: where the cursor went last
        self._drawing_ahead = False
        self._asked: str | None = None
        self.jumps = 0  # to the list's ends, asked for until now
        super().__init__()

    # What a subclass says

    @abstractmethod
    def key_of(self, row: Any) -> Hashable:
        """What tells a row from the others, however the list moves."""

    @abstractmethod
    def heads(self) -> Sequence[Head]:
        """The columns, for the rows of the window and the width of the table."""

    @abstractmethod
    def cells(self, row: Any) -> Sequence[tuple[str, str]]:
        """Text and style (a name of display.STYLES) of each column's cell, each as wide as its column."""

    # What the owner asks and says

    @property
    def current(self) -> Any:
        """The row under the cursor; None where there is none."""
        return self.window.at(self.cursor_row)

    @property
    def page(self) -> int:
        """Rows that are in sight."""
        return max(1, (self.size.height or self.app.size.height) - self.header_height)

    @property
    def top(self) -> int:
        """The number of the first row in sight."""
        return int(self.scroll_y)

    def show(
        self,
        rows: Sequence[Any],
        cursors: Sequence[Any],
        *,
        base: int = 0,
        first: bool = True,
        last: bool = True,
        on: Iterable[Hashable] = (),
    ) -> None:
        """These rows instead: the cursor on the first of the keys `on` that is there, at its old height, or on top."""
        window, height, before = self.window, self.cursor_row - self.top, self._in_sight()
        at_top = self.top == 0 and window.first and first
        window.replace(rows, cursors, base=base, first=first, last=last)
        self._asked = None
        self._strips.clear()
        places = {self.key_of(row): place for place, row in enumerate(window.rows)}
        found = next((places[key] for key in on if key in places), None)
        row = window.base + (found or 0)
        self.set_reactive(DataTable.cursor_coordinate, Coordinate(max(0, row), 0))
        self._update_dimensions(())
        new_top = at_top and row < self.page
        height = 0 if found is None else max(0, min(height, self.page - 1))
        self._scroll(0 if new_top else row - height)
        self._repaint(before)
        if self.current is not None:
            self.post_message(DataTable.RowHighlighted(self, self.cursor_row, self._row_key(self.cursor_row)))
        self._ask()

    def put_after(self, rows: Sequence[Any], cursors: Sequence[Any], *, last: bool) -> None:
        """The rows right behind the window."""
        before = self._in_sight()
        self._put(self.window.append(rows, cursors, last=last), before)

    def put_before(self, rows: Sequence[Any], cursors: Sequence[Any], *, first: bool) -> None:
        """The rows right before the window."""
        before = self._in_sight()
        self._put(self.window.prepend(rows, cursors, first=first), before)

    def counted(self, total: int) -> None:
        """The list has so many rows."""
        self._move_all(self.window.counted(total))

    def placed(self, base: int) -> None:
        """So many rows stand before the window."""
        self._move_all(self.window.placed(base))

    def forget_wanted(self, where: str) -> None:
        """What was wanted does not come: it is asked for again when the cursor moves, or jumps."""
        self._asked = None
        self.jumps -= where in _ENDS

    def lay_out(self) -> None:
        """Columns for another width, where they are others then; the lines are drawn anew by whoever changed it."""
        if self._columns_changed():
            self._strips.clear()
            self.refresh()

    def mark(self, marked: Iterable[Hashable]) -> None:
        """These rows are marked, and no others."""
        before = self._in_sight()
        self.marked = set(marked)
        self._repaint(before)

    def _put(self, moved: int, before: list[Any]) -> None:
        self._asked = None
        # The half that the cursor is farther from goes.
        window, kept = self.window, max(KEPT, 6 * self.page)
        if len(window.rows) > kept:
            start = max(window.base, min(self.cursor_row + moved - kept // 2, window.end - kept))
            window.keep(start, start + kept)
        self._move_all(moved)
        self._repaint(before)
        self._ask()

    def _columns_changed(self) -> bool:
        """Make the columns fit the rows; whether they were others."""
        heads = tuple(self.heads())
        known = [(column.key.value, str(column.label)) for column in self.ordered_columns]
        wanted = [(head.key, _head(head)) for head in heads]
        if known == wanted:
            return False
        self.columns.clear()
        self._column_locations = TwoWayDict({})
        for head, (_, text) in zip(heads, wanted, strict=True):
            self.add_column(Text(text), key=head.key, width=head.width + 1)
        self._update_dimensions(())
        return True

    def _in_sight(self) -> list[Any]:
        """What the lines show, from the top: row, cursor, mark."""
        lines = []
        for index in range(self.top, self.top + self.page):
            row = self.window.at(index)
            lines.append(None if row is None else (row, index == self.cursor_row, self.key_of(row) in self.marked))
        return lines

    def _repaint(self, before: list[Any]) -> None:
        """Draw the lines that differ from what they were: over a slow line the others cost as much."""
        if self._columns_changed():
            self._strips.clear()
            self.refresh()
            return
        for place, (was, now) in enumerate(zip(before, self._in_sight(), strict=False)):
            if was != now:
                self.refresh(self._lines(place))

    def _lines(self, first: int, count: int = 1) -> Region:
        """Lines of rows, without the head above them and the bar beside them."""
        wide = self.size.width - self.scrollbar_size_vertical
        return Region(0, first + self.header_height, wide, count)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        self.vertical_scrollbar.position = new_value
        if round(old_value) != round(new_value):
            self.refresh(self._lines(0, self.page))

    def _move_all(self, by: int) -> None:
        """The same rows have other numbers."""
        self._update_dimensions(())
        if by:
            row, _ = self.cursor_coordinate
            self.set_reactive(DataTable.cursor_coordinate, Coordinate(max(0, row + by), 0))
            self._scroll(self.top + by)

    def _ask(self) -> None:
        """Ask for more rows where the cursor is near an edge that is not the list's."""
        window = self.window
        if self._asked is not None or not window.rows:
            return
        near = max(MARGIN, 2 * self.page)  # less than half of what is kept, or what came would be wanted again
        if not window.last and window.end - self.cursor_row <= near:
            self._want("after")
        elif not window.first and self.cursor_row - window.base < near:
            self._want("before")

    def _want(self, where: str) -> None:
        self._asked = where
        self.jumps += where in _ENDS
        self.post_message(self.Wanted(where))

    # Keys

    def _step(self, row: int, *, top: int | None = None) -> None:
        self._set_hover_cursor(False)
        window = self.window
        if not window.rows:
            return
        row = max(window.base, min(row, window.end - 1))
        self._way = 1 if row >= self.cursor_row else -1
        if not self._drawing_ahead:
            self._drawing_ahead = self.call_after_refresh(self._draw_ahead)
        if top is not None:
            self._scroll(max(window.base, min(top, window.end - self.page)))
        self.cursor_coordinate = Coordinate(row, 0)

    def go_to(self, key: Hashable) -> None:
        """The cursor on the row of this key, where it is in the window."""
        for index, row in enumerate(self.window.rows, self.window.base):
            if self.key_of(row) == key:
                self._step(index)
                return

    def action_cursor_down(self) -> None:
        self._step(self.cursor_row + 1)

    def action_cursor_up(self) -> None:
        self._step(self.cursor_row - 1)

    def action_page_down(self) -> None:
        self._step(self.cursor_row + self.page, top=self.top + self.page)

    def action_page_up(self) -> None:
        self._step(self.cursor_row - self.page, top=self.top - self.page)

    def action_scroll_top(self) -> None:
        if self.window.first:
            self._step(0)
        else:
            self._want("first")

    def action_scroll_bottom(self) -> None:
        if self.window.last:
            self._step(self.window.total - 1)
        else:
            self._want("last")

    action_scroll_home = action_scroll_top
    action_scroll_end = action_scroll_bottom
    action_first = action_scroll_top
    action_last = action_scroll_bottom

    def _on_click(self, event: Click) -> None:  # type: ignore[override]  # DataTable's is a coroutine function
        """A click on a head sorts by it, one on a row moves the cursor there, a second one opens the row."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        event.prevent_default()
        if offset.y < self.header_height:
            x = offset.x - _GUTTER
            for place, column in enumerate(self.ordered_columns):
                x -= column.get_render_width(self)
                if x < 0:
                    self.post_message(DataTable.HeaderSelected(self, column.key, place, label=column.label))
                    return
            return
        row = self.top + offset.y - self.header_height
        if self.window.at(row) is None:
            return
        event.stop()
        if row == self.cursor_row:
            self._post_selected_message()
        else:
            self.cursor_coordinate = Coordinate(row, 0)

    def _on_mouse_move(self, event: MouseMove) -> None:
        """No row is lit by the mouse alone: each would be painted twice on its way over the table."""
        event.prevent_default()

    # What DataTable asks of its rows, answered from the window

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        if self._vertical_scrollbar is None:
            self._vertical_scrollbar = bar = StillBar(thickness=self.scrollbar_size_vertical)
            bar.display = False
            self.app._start_widget(self, bar)
        return self._vertical_scrollbar

    @property
    def row_count(self) -> int:
        return self.window.total

    @property
    def _total_row_height(self) -> int:
        return self.window.total

    @property
    def ordered_rows(self) -> list[Any]:
        return []

    def is_valid_row_index(self, row_index: int) -> bool:
        return 0 <= row_index < self.window.total

    def get_row_at(self, row_index: int) -> list[Any]:
        row = self.window.at(row_index)
        return [] if row is None else [Text(text) for text, _ in self.cells(row)]

    def get_cell_at(self, coordinate: Coordinate) -> Any:
        cells = self.get_row_at(coordinate.row)
        return cells[coordinate.column] if cells else super().get_cell_at(coordinate)  # which raises

    def get_row_index(self, row_key: RowKey | str) -> int:
        value = row_key.value if isinstance(row_key, RowKey) else row_key
        for place, row in enumerate(self.window.rows):
            if str(self.key_of(row)) == value:
                return self.window.base + place
        return super().get_row_index(row_key)  # which raises

    def coordinate_to_cell_key(self, coordinate: Coordinate) -> CellKey:
        return CellKey(self._row_key(coordinate.row), ColumnKey(None))

    def _row_key(self, row: int) -> RowKey:
        found = self.window.at(row)
        return RowKey(None if found is None else str(self.key_of(found)))

    def _get_row_region(self, row_index: int) -> Region:
        return self._lines(row_index)

    def _highlight_row(self, row_index: int) -> None:
        self.refresh_row(row_index)
        if self.window.at(row_index) is not None:
            self.post_message(DataTable.RowHighlighted(self, row_index, self._row_key(row_index)))
        self._ask()

    def _post_selected_message(self) -> None:
        if self.current is not None:
            self.post_message(DataTable.RowSelected(self, self.cursor_row, self._row_key(self.cursor_row)))

    def _clamp_cursor_coordinate(self, coordinate: Coordinate) -> Coordinate:
        window = self.window
        return Coordinate(max(0, window.base, min(coordinate.row, window.end - 1)), 0)

    def _update_dimensions(self, new_rows: Any) -> None:
        self._require_update_dimensions = False
        # Without a width of its own: a scroll bar that comes with the rows takes a cell from them.
        size = Size(0, self.window.total + self.header_height)
        if size != self.virtual_size:
            # As a change of a reactive it would lay out the whole screen, and paint every line of the table.
            self.set_reactive(Widget.virtual_size, size)
            self._scroll_update(size)

    def _scroll_cursor_into_view(self, animate: bool = False) -> None:
        row, top, page = self.cursor_row, self.top, self.page
        step = max(1, page // _STEP) if page > _STEP else 1
        if row < top:
            self._scroll(row if top - row > 1 else row - step + 1)
        elif row >= top + page:
            self._scroll(row - page + 1 if row - top - page > 0 else top + step)

    def _scroll(self, top: int) -> None:
        top = max(0, min(top, self.window.total - self.page))
        if top != self.scroll_y:
            self.scroll_to(y=top, animate=False, force=True, immediate=True)

    # Drawing

    def notify_style_update(self) -> None:
        self._strips.clear()
        self._base = None
        super().notify_style_update()

    def render_lines(self, crop: Region) -> list[Strip]:
        """As Textual does it for a widget without border, padding, opacity and tint: it would look for these, and for
        the style of the whole, in each line, which takes as long as to draw it.
        """
        strips = self._filtered(map(self.render_line, crop.line_range))
        if crop.column_span != (0, self.region.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def _filtered(self, strips: Iterable[Strip]) -> list[Strip]:
        """As they are shown: without colours, where there are none."""
        background, shown = self.background_colors[1], list(strips)
        for each in self.get_line_filters():
            shown = [strip.apply_filter(each, background) for strip in shown]
        return shown

    def render_line(self, y: int) -> Strip:
        # Up to the bar: what lies below it would be cut off in each frame.
        width = self.outer_size.width - self.scrollbar_size_vertical
        if width != self._drawn_wide:
            self._strips.clear()
            self._drawn_wide = width
        if self._base is None:
            self._base = self.rich_style
        base = self._base
        if y < self.header_height:
            style = base + self.get_component_rich_style("datatable--header")
            text = " " * _GUTTER + "".join(str(column.label) for column in self.ordered_columns)
            return Strip([Segment(display.fit(text.rstrip(" "), width), style)], width)
        index = y - self.header_height + self.top
        row = self.window.at(index)
        if row is None:
            return Strip.blank(width, base)
        return self._strip(row, self.show_cursor and index == self.cursor_row, width, base)

    def _strip(self, row: Any, under: bool, width: int, base: Style) -> Strip:
        key = self.key_of(row)
        marked = key in self.marked
        strip = self._strips.get((key, under, marked))
        if strip is None:
            if len(self._strips) >= _STRIPS:
                self._strips.clear()
            strip = self._strips[key, under, marked] = self._draw(row, under, marked, width, base)
        return strip

    def _draw_ahead(self) -> None:
        """Draw what the next page shows, once this one is shown: a few rows at a time, for keys come between them."""
        self._drawing_ahead = False
        base, width, drawn = self._base, self._drawn_wide, len(self._strips)
        if base is None:
            return
        strips = []
        start = self.top + self._way * self.page
        for index in range(start, start + self.page):
            row = self.window.at(index)
            if row is not None:
                strips.append(self._strip(row, False, width, base))
            if len(self._strips) - drawn >= _AHEAD:
                self._drawing_ahead = self.call_after_refresh(self._draw_ahead)
                break
        for strip in self._filtered(strips):
            strip.render(self.app.console)  # which it keeps

    def _draw(self, row: Any, under: bool, marked: bool, width: int, base: Style) -> Strip:
        parts = [("*" if marked else " ", "bold" if marked else "")]
        for text, look in self.cells(row):
            parts += [(text, "" if under else look), (" ", "")]
        style = base + self.get_component_rich_style("datatable--cursor") if under else base
        return Strip(display.segments(parts, width, style), width)


def _head(head: Head) -> str:
    return display.fit(head.text, head.width, align="right" if head.right else "left") + " "
