"""The database goes away under an open screen, and comes back; others change what is on it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from datetime import datetime

import pytest
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.billing import pins
from smartsub_tui.data.database import open_database
from smartsub_tui.data.models import Order
from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.screens.question import Question
from tests import postgres
from tests.proxy import Proxy
from tests.screens.stage import app_over, drawn, left, press, reached, toasts, until, write
from tests.support import SETTINGS, FixedClock, add_office, add_order, add_people, add_prices, session_on

pytestmark = pytest.mark.postgres

AWAY = "waiting for the database"


@pytest.fixture
def cluster() -> Iterator[postgres.Cluster]:
    """A server of the test's own, with an office of three orders in its database."""
    cluster = postgres.Cluster()
    try:
        cluster.make()
        cluster.serve()
        with closing(open_database(url(cluster), create=True)) as database:
            session = session_on(database)
            pins.set_pin(session, "manager", "4717")
            add_prices()
            office = add_office()
            for number in ("n-1", "n-2", "n-3"):
                add_order(office, add_people(office, f"u-{number}"), OrderStatus.PROCESSING, number=number)
        yield cluster
    finally:
        cluster.stop()


def url(cluster: postgres.Cluster) -> str:
    return postgres.url("postgres", folder=cluster.folder)


@asynccontextmanager
async def on_stage(cluster: postgres.Cluster) -> AsyncIterator[tuple[SmartSubApp, Pilot[None]]]:
    app = app_over(url(cluster), "manager", SETTINGS, FixedClock(), start="payments", filter_text="")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "updated " in drawn(app))
        yield app, pilot


async def seen(pilot: Pilot[None], app: SmartSubApp, text: str, *, gone: bool = False) -> None:
    """Wait until the screen shows it, or no more; what waits for the database goes on waiting."""
    await reached(pilot, lambda: (text in drawn(app)) is not gone)


def first_line(app: SmartSubApp) -> str:
    return drawn(app).splitlines()[0]


async def test_the_screen_says_that_it_waits_answers_keys_and_goes_on_by_itself(cluster: postgres.Cluster) -> None:
    async with on_stage(cluster) as (app, pilot):
        assert "manager" in first_line(app)
        assert AWAY not in drawn(app)
        cluster.halt()
        await seen(pilot, app, AWAY)
        assert AWAY in first_line(app)
        # Keys are answered: the cursor moves, another screen comes and says it too, help comes and goes.
        await pilot.press("j")
        await pilot.press("enter")
        await seen(pilot, app, "Payments > ")
        assert AWAY in first_line(app)
        await pilot.press("question_mark")
        await seen(pilot, app, "Help")
        await pilot.press("escape")
        await pilot.press("escape")
        await seen(pilot, app, "Payments > ", gone=True)
        await pilot.press("enter")
        await seen(pilot, app, "Payments > ")
        cluster.serve()
        await until(pilot, lambda: AWAY not in drawn(app) and "u-n-2" in drawn(app))
        assert "manager" in first_line(app)
        assert toasts(app) == []


async def cancel(app: SmartSubApp, pilot: Pilot[None], cluster: postgres.Cluster) -> None:
    """Cancel the order under the cursor, in the moment in which the server goes."""
    await press(pilot, "x")
    await until(pilot, lambda: isinstance(app.screen, Question))
    await write(pilot, "why")
    cluster.halt()
    await pilot.press("enter", "y")
    await seen(pilot, app, AWAY)


async def test_what_was_decided_waits_and_is_done_once(cluster: postgres.Cluster) -> None:
    async with on_stage(cluster) as (app, pilot):
        await cancel(app, pilot, cluster)
        await pilot.press("j")
        assert toasts(app) == []
        cluster.serve()
        await until(pilot, lambda: any("cancelled" in each for each in toasts(app)))
        await seen(pilot, app, AWAY, gone=True)
    assert statuses(cluster) == ["cancel", "processing", "processing"]


async def test_a_question_comes_when_the_database_is_back_unless_something_else_was_typed(
    cluster: postgres.Cluster,
) -> None:
    async with on_stage(cluster) as (app, pilot):
        cluster.halt()
        await seen(pilot, app, AWAY)
        await pilot.press("x")
        cluster.serve()
        await until(pilot, lambda: isinstance(app.screen, Question))
        await press(pilot, "escape")
        cluster.halt()
        await seen(pilot, app, AWAY)
        await pilot.press("x", "s", "escape", "question_mark")  # the letter may be one of a reason
        await seen(pilot, app, "Help")
        await pilot.press("escape")
        cluster.serve()
        await until(pilot, lambda: AWAY not in drawn(app))
        assert isinstance(app.screen, PaymentsScreen)


async def test_who_leaves_meanwhile_leaves_at_once_and_is_told_what_was_not_done(cluster: postgres.Cluster) -> None:
    async with on_stage(cluster) as (app, pilot):
        await cancel(app, pilot, cluster)
        await pilot.press("q", "q")
        await left(app)
    (said,) = app.left_over
    assert "was lost and none came in its place, nothing was stored" in said
    assert app.left_code == 5
    cluster.serve()
    assert statuses(cluster) == ["processing"] * 3


def statuses(cluster: postgres.Cluster) -> list[str]:
    with closing(open_database(url(cluster))):
        return sorted(row.status.value for row in Order.select())


async def test_the_lock_says_that_a_pin_waits(cluster: postgres.Cluster) -> None:
    async with on_stage(cluster) as (app, pilot):
        await press(pilot, "ctrl+l")
        await seen(pilot, app, "PIN")
        cluster.halt()
        for key in (*"4717", "enter"):
            await pilot.press(key)
        await seen(pilot, app, AWAY)
        cluster.serve()
        await seen(pilot, app, "n-2")


# What others change


class Counted(FixedClock):
    """Stands still, and counts how often it was looked at: the application does once a second, for idleness."""

    looks = 0

    def now(self) -> datetime:
        self.looks += 1
        return super().now()


async def test_what_another_changed_is_on_the_screen_without_having_been_asked_for(
    cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smartsub_tui.app._LOOK_EVERY", 3600)
    monkeypatch.setattr("smartsub_tui.app._LOOKS_APART", 0)
    async with on_stage(cluster) as (app, pilot):
        for place in (1, 2, 3):
            await asyncio.to_thread(rename_beside, cluster, f"n-{place}", f"new-{place}")
            await until(pilot, lambda place=place: f"new-{place}" in drawn(app))  # type: ignore[misc]
        assert toasts(app) == []


BESIDE = """
import sys
from smartsub_tui.data.database import open_database
with (database := open_database(sys.argv[1])).writing():
    database.execute_sql("UPDATE orders SET number = %s, version = version + 1 WHERE number = %s", sys.argv[3:1:-1])
"""


def rename_beside(cluster: postgres.Cluster, number: str, new: str) -> None:
    """In another process, whose models are its own."""
    subprocess.run([sys.executable, "-c", BESIDE, url(cluster), number, new], check=True)


async def test_who_leaves_a_server_that_stands_still_has_left(cluster: postgres.Cluster) -> None:
    async with on_stage(cluster) as (app, pilot):
        session = await app.backend.call(lambda session: session.database.connection().info.backend_pid)
        go_on = cluster.stand_still(session)
        late = threading.Timer(60, go_on)  # which it would wait for
        late.start()
        await pilot.press("f5")
        await pilot.press("q", "q")
        await left(app)
    has_left = late.is_alive()
    late.cancel()
    go_on()
    assert has_left


async def test_an_idle_screen_asks_the_server_nothing(cluster: postgres.Cluster) -> None:
    clock = Counted()
    with Proxy(str(cluster.folder)) as proxy:
        app = app_over(proxy.url("postgres"), "manager", SETTINGS, clock, start="payments", filter_text="")
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "updated " in drawn(app))
            for _ in range(10):  # what comes after the first frame
                before = proxy.sent
                await seconds_go_by(pilot, clock)
                if proxy.sent == before:
                    break
            await seconds_go_by(pilot, clock)
            assert proxy.sent == before
            await press(pilot, "f5")
            assert proxy.sent > before


async def seconds_go_by(pilot: Pilot[None], clock: Counted) -> None:
    looks = clock.looks
    while clock.looks < looks + 3:
        await pilot.pause()
