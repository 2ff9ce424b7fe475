"""The primary is lost under an open screen, and the standby takes its place: the screen goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.data.database import Database
from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.screens.question import Question
from tests.pair import Pair, ask, needs_a_pair, pair
from tests.screens.stage import app_over, drawn, press, toasts, until, write
from tests.screens.test_away import AWAY, first_line, seen
from tests.support import SETTINGS, FixedClock, add_office, add_order, add_people, add_prices, session_on

pytestmark = [pytest.mark.postgres, needs_a_pair]


def three_orders(database: Database) -> None:
    session_on(database)
    add_prices()
    office = add_office()
    for number in ("n-1", "n-2", "n-3"):
        add_order(office, add_people(office, f"u-{number}"), OrderStatus.PROCESSING, number=number)


@pytest.fixture
def both() -> Iterator[Pair]:
    with pair(three_orders) as both:
        yield both


@asynccontextmanager
async def on_stage(both: Pair) -> AsyncIterator[tuple[SmartSubApp, Pilot[None]]]:
    app = app_over(both.url(), "manager", SETTINGS, FixedClock(), start="payments", filter_text="")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "updated " in drawn(app))
        yield app, pilot


async def reason_for_cancelling(pilot: Pilot[None], app: SmartSubApp) -> None:
    """Up to the last key of cancelling the order under the cursor."""
    await press(pilot, "x")
    await until(pilot, lambda: isinstance(app.screen, Question))
    await write(pilot, "why")


async def test_a_screen_goes_on_with_the_server_that_takes_the_place_of_a_killed_one(both: Pair) -> None:
    async with on_stage(both) as (app, pilot):
        both.primary.kill()
        await seen(pilot, app, AWAY)
        await pilot.press("j", "enter")  # keys are answered, and what they ask for comes by itself
        await seen(pilot, app, "Payments > ")
        assert AWAY in first_line(app)
        await asyncio.to_thread(both.promote)
        await until(pilot, lambda: AWAY not in drawn(app) and "u-n-2" in drawn(app))
        # What others change is heard of from there on.
        await press(pilot, "escape")
        await asyncio.to_thread(
            ask, both.primary, "UPDATE orders SET number = 'other' WHERE number = 'n-3' RETURNING 1"
        )
        await press(pilot, "f5")
        await until(pilot, lambda: "other" in drawn(app))
        assert toasts(app) == []


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "takes no changes"])
async def test_what_was_decided_as_the_server_went_is_done_once_by_the_next(both: Pair, killed: bool) -> None:
    old = both.primary
    async with on_stage(both) as (app, pilot):
        await reason_for_cancelling(pilot, app)
        if killed:
            both.primary.kill()
        else:
            await asyncio.to_thread(both.take_no_changes)
        await pilot.press("enter", "y")
        await seen(pilot, app, AWAY)
        assert toasts(app) == []
        await asyncio.to_thread(both.promote)
        await until(pilot, lambda: any("cancelled" in each for each in toasts(app)))
        await seen(pilot, app, AWAY, gone=True)
    cancelled = "SELECT count(*) FROM audit_event WHERE action = 'cancel'"
    assert ask(both.primary, cancelled) == 1
    if not killed:
        assert ask(old, cancelled) == 0
