"""Marks in Payments: what can be done to what is marked, and the way back; how many of how many, when a search ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from smartsub_tui.screens import payments
from smartsub_tui.screens.payments import PaymentsScreen
from tests.screens.stage import drawn, make_database, on_stage, press, settle, toasts, write
from tests.screens.test_journey import fill


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
