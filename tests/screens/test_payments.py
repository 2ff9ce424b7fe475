"""Payments: marks and the way back, a search that ends, the way to a time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from smartsub_tui.backend import Backend
from smartsub_tui.data.queries import parse_sort
from smartsub_tui.screens import payments
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.payments import PaymentsScreen
from tests.screens.stage import drawn, make_database, on_stage, press, reached, settle, toasts, until, write
from tests.screens.test_journey import fill, many
from tests.screens.test_typed_ahead import at_once


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
    patient, may = Backend.patient, asyncio.Event()

    async def held(backend: Backend, question: str, asked: Any, *given: Any) -> Any:
        if asked is payments._look:
            await may.wait()
        return await patient(backend, question, asked, *given)

    async with on_stage(make_database(tmp_path, many), start="payments") as (app, pilot):
        monkeypatch.setattr(payments, "_BOX", -1.0)
        monkeypatch.setattr(Backend, "patient", held)
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
