"""Payments: marks and the way back, a search that ends, the way to a time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.geometry import Region
from textual.widget import Widget

from smartsub_tui.backend import Backend
from smartsub_tui.data.database import Database
from smartsub_tui.data.queries import parse_sort
from smartsub_tui.errors import Unavailable
from smartsub_tui.screens import payments
from smartsub_tui.screens.at_time import Span
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.widgets import windowed_table
from tests.screens.stage import drawn, hold_back, make_database, on_stage, press, reached, settle, toasts, until, write
from tests.screens.test_journey import fill, look, many
from tests.screens.test_typed_ahead import at_once
from tests.support import NOW

HELD = "20261101000000000001"  # its order, in progress


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


async def test_one_mark_is_undone_as_many_are(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        assert isinstance(app.screen, PaymentsScreen)
        await press(pilot, "space", "space", "g", "space")
        assert len(app.screen.marked_orders()) == 1
        await press(pilot, "u")
        assert len(app.screen.marked_orders()) == 2
        await press(pilot, "u", "u")
        assert app.screen.marked_orders() == ()
        assert toasts(app)[-1].endswith("is not marked, as before")


async def test_the_last_line_names_what_can_be_done_to_what_is_marked(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        assert isinstance(app.screen, PaymentsScreen)
        await press(pilot, "G")
        assert app.screen.table.current.status.label == "Cancel"
        assert "pay" not in app.screen.key_line.shown
        await press(pilot, "space", "k")
        assert {"pay", "cancel", "delete", "restore", "again", "invoice"} <= set(app.screen.key_line.shown)
        await press(pilot, "minus", "G")
        assert "pay" not in app.screen.key_line.shown


async def test_the_keys_of_an_order_are_painted_with_its_row(path: Path) -> None:
    """In one frame: nothing comes between the cursor and what stands below."""
    async with on_stage(path, start="payments") as (app, pilot):
        assert isinstance(app.screen, PaymentsScreen)
        table, keys = app.screen.table, app.screen.key_line
        await press(pilot, "G", "g")
        with app._context():
            seen = [keys.shown]
            for _ in range(len(table.window.rows) - 1):
                table.action_cursor_down()
                seen.append(keys.shown)
        assert len(set(seen)) > 1
        await press(pilot, "g")
        for each in seen:
            await settle(pilot)
            assert keys.shown == each
            await press(pilot, "j")


@pytest.mark.parametrize("sort", ["-created", "number"])
async def test_to_a_time_goes_where_its_orders_are_typed_at_once_too(path: Path, sort: str) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        assert isinstance(app.screen, PaymentsScreen)
        for day in (19, 21, 20):
            app.screen.look_for("", parse_sort(sort))
            await settle(pilot)
            at_once(app, "@", *f"2026-11-{day}", "enter")
            await until(pilot, lambda: isinstance(app.screen, PaymentsScreen))
            await settle(pilot)
            assert app.screen.table.current.created_at.day == day
            assert app.screen.table.window.base + len(app.screen.table.window.rows) == 5


@pytest.mark.parametrize("box", [payments._BOX, -1.0])
async def test_a_search_that_ended_says_how_many_it_found(
    path: Path, monkeypatch: pytest.MonkeyPatch, box: float
) -> None:
    monkeypatch.setattr(payments, "_BOX", box)
    monkeypatch.setattr(payments, "_SMALL_BOX", box)
    monkeypatch.setattr(payments, "_LOOKED_AT", 1)
    monkeypatch.setattr(payments, "_TELL_EVERY", -1.0)
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        for text, found in (("9999", "0 of 5"), ("-type:activation", "3 of 5")):
            await press(pilot, "ctrl+u")
            await write(pilot, text)
            await settle(pilot)
            assert found in drawn(app)
            assert "searching" not in drawn(app)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The filters whose orders were asked for at once; a part of a number takes too long, and what follows does not."""
    monkeypatch.setattr(payments, "_SMALL_BOX", -1.0)
    monkeypatch.setattr(payments, "_BOX", 60.0)
    asked: list[str] = []
    page, within = payments._page, Backend.within

    async def spied(backend: Backend, seconds: float, question: str, function: Any, *given: Any) -> Any:
        if function is page:
            asked.append(given[0].describe())
        return await within(backend, seconds, question, function, *given)

    monkeypatch.setattr(Backend, "within", spied)
    return asked


async def test_a_digit_more_does_not_wait_again_for_what_took_too_long(path: Path, asked: list[str]) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash", *HELD[:6])
        assert HELD in drawn(app)
        assert "1 of 5" in drawn(app)
        assert asked == [HELD[0]]
        await press(pilot, "backspace", HELD[5])  # one digit less is another search
        assert asked[1:] == [HELD[:5]]
        await write(pilot, " type:subscription")
        assert asked[2:] == [f"{HELD[:6]} type:subscription"]
        await press(pilot, "escape", "escape", "slash", *HELD[:2])  # of all others nothing is known
        assert asked[3:] == ["", HELD[0]]


async def test_a_digit_more_under_another_sort_is_another_search(path: Path, asked: list[str]) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        assert isinstance(app.screen, PaymentsScreen)
        app.screen.look_for(HELD[:4])
        await settle(pilot)
        app.screen.look_for(HELD[:5], parse_sort("number"))
        await settle(pilot)
        assert asked[-1] == HELD[:5]


async def test_a_digit_more_is_asked_for_where_an_index_leads_to_it(
    path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "finds_parts", lambda _: True)
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash", *HELD[:4])
        assert asked == [HELD[: place + 1] for place in range(4)]
        await until(pilot, lambda: "5 of 5" in drawn(app))


async def test_what_is_counted_while_more_rows_are_searched_for_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start the table wants more rows at once; where they take long, the count comes before them."""
    monkeypatch.setattr(payments, "_BOX", -1.0)
    async with on_stage(make_database(tmp_path, many), start="payments") as (app, _):
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.table.window.total == 260
        assert "260 of 260" in drawn(app)


async def test_who_comes_back_while_more_rows_are_searched_for_finds_the_cursor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_stage(make_database(tmp_path, many), start="payments") as (app, pilot):
        monkeypatch.setattr(payments, "_BOX", -1.0)
        may = hold_back(monkeypatch, "patient", lambda _, function: function is payments._look)
        screen = app.screen
        assert isinstance(screen, PaymentsScreen)
        await pilot.press(*["pagedown"] * 7)
        await reached(pilot, lambda: screen.table._asked == "after")
        order = screen.table.current
        await pilot.press("enter")
        await reached(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        await pilot.press("escape")
        await reached(pilot, lambda: app.screen is screen)
        may.set()
        await settle(pilot)
        assert screen.table.current == order
        assert "260 of 260" in drawn(app)


async def test_a_search_that_breaks_off_does_not_say_that_it_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_BOX", "_TELL_EVERY"):
        monkeypatch.setattr(payments, name, -1.0)
    monkeypatch.setattr(payments, "_LOOKED_AT", 1)
    look, looked = payments._look, 0

    def breaks(*given: Any) -> Any:
        nonlocal looked
        looked += 1
        if looked == 2:
            raise Unavailable("the disk cannot be read: try again")
        return look(*given)

    async with on_stage(path, start="payments") as (app, pilot):
        monkeypatch.setattr(payments, "_look", breaks)
        may = hold_back(monkeypatch, "patient", lambda _, function: function is breaks and looked == 1)
        await pilot.press("slash", *"-type:activation")
        await reached(pilot, lambda: "Subscription 3" in drawn(app) and "Activation 2" not in drawn(app))
        assert "searching, 1" in drawn(app)
        may.set()
        await until(pilot, lambda: toasts(app))
        await settle(pilot)
        assert toasts(app) == ["the disk cannot be read: try again"]
        assert "searching" not in drawn(app)
        assert "3 of 5" in drawn(app)


async def test_how_many_there_are_is_counted_anew_whatever_is_typed_meanwhile(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        assert isinstance(app.screen, PaymentsScreen)
        assert "5 of 5" in drawn(app)
        counting = hold_back(monkeypatch, "patient", lambda question, _: question == "count")
        look(path, "UPDATE orders SET deleted_at = created_at, version = version + 1 WHERE status = 'cancel'")
        app.screen.load()
        await pilot.press("slash", "2")
        await reached(pilot, lambda: isinstance(app.screen, PaymentsScreen) and app.screen.filter.terms)
        counting.set()
        await settle(pilot)
        assert "4 of 4" in drawn(app)


async def test_a_place_in_the_list_is_found_where_its_rows_were_scrolled_away_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windowed_table, "KEPT", 100)
    monkeypatch.setattr(windowed_table, "MARGIN", 8)
    monkeypatch.setattr(payments, "_PAGE", 32)
    async with on_stage(make_database(tmp_path, many), start="payments") as (app, pilot):
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, PaymentsScreen)
        table = screen.table
        counting = hold_back(monkeypatch, "patient", lambda question, _: question == "place")
        at = NOW - timedelta(minutes=60)
        screen._go_to(Span(at, at + timedelta(seconds=1)))
        await reached(pilot, lambda: table.current is not None and table.current.number.endswith("060"))
        first = table.window.cursors[table.cursor_row - table.window.base]
        while first in table.window.cursors:
            assert table.cursor_row < table.window.end - 1
            await pilot.press("pagedown")
            await reached(pilot, lambda: table._asked is None)
        assert table.window.base != int(table.window.rows[0].number) - 20260000000000000000
        counting.set()
        await settle(pilot)
        assert table.window.base == int(table.window.rows[0].number) - 20260000000000000000


@pytest.mark.parametrize("look", ["dark", "light", "no colour"])
async def test_a_line_is_what_textual_would_draw(path: Path, look: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table draws its lines by itself, for it has no border, padding or tint; nothing under its bar."""
    if look == "no colour":
        monkeypatch.setenv("NO_COLOR", "1")
    async with on_stage(path, start="payments", theme="light" if look == "light" else "dark") as (app, pilot):
        assert isinstance(app.screen, PaymentsScreen)
        table = app.screen.table
        for keys in ((), ("space", "j"), ("slash",)):
            await press(pilot, *keys)
            beside_bar = table.region.size.region.shrink((0, table.scrollbar_size_vertical, 0, 0))
            for region in (beside_bar, Region(3, 2, 20, 4)):
                with app._context():
                    drawn = table.render_lines(region)
                    table._styles_cache.clear()
                    assert drawn == Widget.render_lines(table, region)


async def test_a_search_that_breaks_off_with_nothing_found_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_BOX", "_TELL_EVERY"):
        monkeypatch.setattr(payments, name, -1.0)

    def breaks(*given: Any) -> Any:
        raise Unavailable("the disk cannot be read: try again")

    async with on_stage(path, start="payments") as (app, pilot):
        monkeypatch.setattr(payments, "_look", breaks)
        await pilot.press("slash", *"-type:activation")
        await until(pilot, lambda: toasts(app))
        await settle(pilot)
        assert "searching" not in drawn(app)


async def test_what_cannot_be_counted_is_not_said_to_be_searched_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_BOX", "_TELL_EVERY"):
        monkeypatch.setattr(payments, name, -1.0)
    monkeypatch.setattr(payments, "_LOOKED_AT", 1)

    def breaks(*given: Any) -> Any:
        raise Unavailable("the disk cannot be read: try again")

    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        monkeypatch.setattr(payments, "_facets", breaks)
        await pilot.press("slash", *"-type:activation")
        await until(pilot, lambda: toasts(app))
        await settle(pilot)
        note = drawn(app).splitlines()[1].removeprefix(" /-type:activation").strip()
        assert note == ""


async def test_what_a_search_has_found_before_it_broke_off_is_no_list(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even of the filter before, where its list cannot be read again."""
    for name in ("_BOX", "_TELL_EVERY"):
        monkeypatch.setattr(payments, name, -1.0)
    monkeypatch.setattr(payments, "_LOOKED_AT", 1)
    look, looked = payments._look, 0

    def breaks(*given: Any) -> Any:
        nonlocal looked
        looked += 1
        if looked > 1:
            raise Unavailable("the disk cannot be read: try again")
        return look(*given)

    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, PaymentsScreen)
        monkeypatch.setattr(payments, "_look", breaks)
        screen.filter_bar.set("-type:activation")
        await settle(pilot)
        screen.filter_bar.set("")
        await settle(pilot)
        assert len(toasts(app)) == 2
        assert not screen.settled()
        await press(pilot, "plus")
        assert screen.marked_orders() == ()


def test_amounts_are_shown_whole_or_not_at_all() -> None:
    amounts = ["EUR 1,255.38", "GBP 134.13", "INR 22,408.10"]
    assert payments._as_many("9 marked", amounts, 60) == "9 marked, EUR 1,255.38, GBP 134.13, INR 22,408.10"
    assert payments._as_many("9 marked", amounts, 48) == "9 marked, EUR 1,255.38, GBP 134.13, …"
    assert payments._as_many("9 marked", amounts, 37) == "9 marked, EUR 1,255.38, GBP 134.13, …"
    assert payments._as_many("9 marked", amounts, 36) == "9 marked, EUR 1,255.38, …"
    assert payments._as_many("9 marked", amounts[:1], 22) == "9 marked, EUR 1,255.38"
