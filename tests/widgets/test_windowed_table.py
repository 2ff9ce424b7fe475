"""A DataTable over a window: what DataTable promises to its users holds, though it keeps no rows.

The overrides are of internals of one version of Textual: each of them is held here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.coordinate import Coordinate
from textual.events import Key
from textual.message import Message
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widgets import DataTable
from textual.widgets.data_table import RowDoesNotExist

from smartsub_tui.widgets import windowed_table
from smartsub_tui.widgets.windowed_table import KEPT, MARGIN, Head, WindowedTable

MILLION = 1_000_000
PAGE = 128


class Numbers(WindowedTable[int]):
    """The numbers from 0 on."""

    def key_of(self, row: int) -> int:
        return row

    def heads(self) -> Sequence[Head]:
        return [Head("number", "Number", 10, right=True), Head("half", "Half", 8)]

    def cells(self, row: int) -> Sequence[tuple[str, str]]:
        return [(f"{row:>10}", ""), (f"{row // 2:<8}", "danger" if row % 10 == 0 else "")]


class Counting(App[None]):
    """Answers the table as a database would; `length` numbers are in the list."""

    CSS = "Numbers { height: 1fr; scrollbar-size-vertical: 1; }"

    def __init__(self, length: int = MILLION) -> None:
        super().__init__()
        self.length = length
        self.answers = True
        self.seen: list[Message] = []
        self.animation_level = "none"

    def compose(self) -> ComposeResult:
        yield Numbers()

    @property
    def table(self) -> Numbers:
        return self.query_one(Numbers)

    def on_mount(self) -> None:
        self.put(0, PAGE)
        self.table.counted(self.length)
        self.table.focus()

    def put(self, start: int, end: int, on: Sequence[int] = ()) -> None:
        rows = range(max(0, start), min(end, self.length))
        last = end >= self.length
        self.table.show(rows, rows, base=max(0, start), first=start <= 0, last=last, on=on)

    def on_windowed_table_wanted(self, event: WindowedTable.Wanted) -> None:
        self.seen.append(event)
        window = self.table.window
        if not self.answers:
            return
        match event.where:
            case "after":
                rows = range(window.rows[-1] + 1, min(self.length, window.rows[-1] + 1 + PAGE))
                self.table.put_after(rows, rows, last=rows.stop == self.length)
            case "before":
                rows = range(max(0, window.rows[0] - PAGE), window.rows[0])
                self.table.put_before(rows, rows, first=rows.start == 0)
            case "last":
                self.put(self.length - PAGE, self.length, on=[self.length - 1])
            case _:
                self.put(0, PAGE)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        self.seen.append(event)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        self.seen.append(event)

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        self.seen.append(event)

    def drawn(self) -> list[str]:
        return ["".join(segment.text for segment in strip) for strip in self.screen._compositor.render_strips()]


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


async def test_it_answers_for_a_million_rows_and_keeps_few() -> None:
    app = Counting()
    async with app.run_test(size=(40, 24)) as pilot:
        table = app.table
        assert (table.row_count, table.virtual_size.height, table.ordered_rows) == (MILLION, MILLION + 1, [])
        for _ in range(60):
            await press(pilot, "pagedown")
            assert table.current == table.cursor_row
            assert len(table.window.rows) <= KEPT
        assert table.cursor_row == 60 * table.page
        await press(pilot, "G")
        assert (table.current, table.cursor_row) == (MILLION - 1, MILLION - 1)
        for _ in range(40):
            await press(pilot, "pageup")
            assert table.current == table.cursor_row
        assert table.cursor_row == MILLION - 1 - 40 * table.page
        await press(pilot, "g", "k")
        assert (table.current, table.top) == (0, 0)


async def test_rows_are_wanted_before_the_cursor_is_at_the_edge() -> None:
    app = Counting()
    async with app.run_test(size=(40, 24)) as pilot:
        app.seen.clear()
        await press(pilot, *["j"] * (PAGE - MARGIN))
        assert len(app.table.window.rows) == 2 * PAGE
        assert sum(isinstance(each, WindowedTable.Wanted) for each in app.seen) == 1


async def test_the_lines_are_those_of_the_rows_and_the_cursor_spans_its_row() -> None:
    app = Counting()
    async with app.run_test(size=(40, 12)) as pilot:
        await press(pilot, "j", "j")
        lines = app.drawn()
        assert lines[0].split() == ["Number", "Half"]
        assert [line.split()[:2] for line in lines[1:4]] == [["0", "0"], ["1", "0"], ["2", "1"]]
        app.table.mark([1])
        await pilot.pause()
        assert [line[0] for line in app.drawn()[1:4]] == [" ", "*", " "]
        strip = app.screen._compositor.render_strips()[3]
        colours = {segment.style.bgcolor for segment in list(strip)[:-1] if segment.style is not None}
        assert len(colours) == 1


async def test_what_a_data_table_says_of_its_rows_is_said_of_the_window() -> None:
    app = Counting()
    async with app.run_test(size=(40, 24)) as pilot:
        table = app.table
        assert [cell.plain.strip() for cell in table.get_row_at(7)] == ["7", "3"]
        assert table.get_cell_at(Coordinate(7, 1)).plain.strip() == "3"
        assert table.get_row_index("7") == 7
        with pytest.raises(RowDoesNotExist):
            table.get_row_index("77777")
        assert table.is_valid_row_index(MILLION - 1)
        assert not table.is_valid_row_index(MILLION)
        assert table.coordinate_to_cell_key(Coordinate(7, 0)).row_key.value == "7"
        app.seen.clear()
        await press(pilot, "j", "enter")
        highlighted, selected = (each for each in app.seen if not isinstance(each, WindowedTable.Wanted))
        assert isinstance(highlighted, DataTable.RowHighlighted)
        assert (highlighted.cursor_row, highlighted.row_key.value) == (1, "1")
        assert isinstance(selected, DataTable.RowSelected)
        assert (selected.cursor_row, selected.row_key.value) == (1, "1")
        table.move_cursor(row=5)
        await pilot.pause()
        assert table.current == 5
        table.move_cursor(row=MILLION)  # as far as the window goes
        await pilot.pause()
        assert table.current == PAGE - 1


async def test_the_mouse_moves_the_cursor_opens_and_sorts_and_lights_no_row() -> None:
    app = Counting()
    async with app.run_test(size=(40, 24)) as pilot:
        app.seen.clear()
        await pilot.hover(Numbers, offset=(3, 6))
        assert not app.table._show_hover_cursor
        await pilot.click(Numbers, offset=(3, 6))
        await pilot.pause()
        assert app.table.current == 5
        await pilot.click(Numbers, offset=(3, 6))
        await pilot.pause()
        assert isinstance(app.seen[-1], DataTable.RowSelected)
        await pilot.click(Numbers, offset=(14, 0))
        await pilot.pause()
        assert isinstance(app.seen[-1], DataTable.HeaderSelected)
        assert app.seen[-1].column_key.value == "half"


async def test_other_rows_keep_cursor_height_and_marks_by_key() -> None:
    app = Counting()
    async with app.run_test(size=(40, 24)) as pilot:
        table = app.table
        await press(pilot, *["pagedown"] * 3, "j", "j")
        app.answers = False  # the database takes its time
        here, height = table.current, table.cursor_row - table.top
        table.mark([here])
        # Ten rows came before all others: everything has another number.
        rows = [each for each in table.window.rows if each != here + 1]
        table.show(rows, rows, base=10, first=False, last=False, on=[here])
        await pilot.pause()
        assert (table.current, table.cursor_row - table.top, table.marked) == (here, height, {here})
        table.placed(20)
        await pilot.pause()
        assert (table.current, table.cursor_row - table.top) == (here, height)
        assert table.window.base == 20
        assert f"{here:>10}" in app.drawn()[1 + height]


async def test_an_empty_list_has_no_current_row() -> None:
    app = Counting(0)
    async with app.run_test(size=(40, 12)) as pilot:
        await press(pilot, "j", "G", "pagedown", "enter")
        assert (app.table.current, app.table.row_count, app.table.cursor_row) == (None, 0, 0)
        assert not any(isinstance(each, DataTable.RowSelected) for each in app.seen)


async def test_the_next_page_is_drawn_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: set[tuple[int, bool]] = set()
    draw = Numbers._draw

    def note(table: Numbers, row: int, under: bool, *given: Any) -> Strip:
        drawn.add((row, under))
        return draw(table, row, under, *given)

    monkeypatch.setattr(Numbers, "_draw", note)
    app = Counting()
    async with app.run_test(size=(40, 24)) as pilot:
        table = app.table
        for key, ahead in (("pagedown", 1), ("down", 1), ("pagedown", 1), ("pageup", -1)):
            await press(pilot, key)
            while table._drawing_ahead:
                await pilot.pause()
            start = table.top + ahead * table.page
            wanted = [row for row in range(start, start + table.page) if table.window.at(row) is not None]
            assert {(row, False, False) for row in wanted} <= table._strips.keys()
        drawn.clear()
        await press(pilot, "pagedown")
        assert not drawn & {(row, False) for row in range(table.top, table.top + table.page)}


@pytest.mark.parametrize("rows", [100, 140, 300])
async def test_on_a_tall_terminal_too_what_is_wanted_comes_to_an_end(rows: int) -> None:
    app = Counting()
    async with app.run_test(size=(40, rows)) as pilot:
        await press(pilot, *["pagedown"] * 8)
        for _ in range(20):
            await pilot.pause()
        seen = len(app.seen)
        for _ in range(20):
            await pilot.pause()
        assert len(app.seen) == seen
        table = app.table
        assert all(table.window.at(row) is not None for row in range(table.top, table.top + table.page))


async def test_keys_come_between_what_is_drawn_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windowed_table, "_AHEAD", 1)
    app = Counting()
    async with app.run_test(size=(40, 60)) as pilot:
        table, parts = app.table, []
        draw_ahead = table._draw_ahead

        def part() -> None:
            draw_ahead()
            parts.append(table.cursor_row)
            if len(parts) == 1:
                app.post_message(Key("down", None))

        table._draw_ahead = part  # type: ignore[method-assign]
        await press(pilot, "pagedown")
        while table._drawing_ahead:
            await pilot.pause()
        assert parts.index(parts[0] + 1) < table.page - 1
