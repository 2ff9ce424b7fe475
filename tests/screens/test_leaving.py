"""smartsub is left while something that was said Yes to is not done yet."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.worker import Worker

from smartsub_tui.app import SmartSubApp
from smartsub_tui.billing import bulk
from smartsub_tui.screens.bulk import BulkScreen
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.screens.dashboard import DashboardScreen
from tests.screens.stage import drawn, hold_back, left, make_database, on_stage, press, reached, settle, toasts, until
from tests.screens.test_journey import look, status_of
from tests.screens.test_typed_ahead import NEW, OLD, at_once, fill


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


async def decide(app: SmartSubApp, pilot: Pilot[None], go_on: threading.Event) -> None:
    """Say Yes to the end of an order, while the database is at something else."""
    await settle(pilot)
    at_once(app, "x", *"why", "enter")
    await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
    await settle(pilot)
    app.backend.later(lambda _: go_on.wait(60))
    await pilot.press("y")
    await reached(pilot, lambda: not isinstance(app.screen, ConfirmScreen))


async def leave(app: SmartSubApp, pilot: Pilot[None], keys: tuple[str, ...]) -> None:
    if keys:
        at_once(app, *keys)
    else:
        app.exit(return_code=143)  # as a signal does it
    await reached(pilot, lambda: app.is_ending)


@pytest.mark.parametrize("keys", [("escape", "q", "q"), ()])
async def test_what_waits_for_its_turn_is_done_first(path: Path, keys: tuple[str, ...]) -> None:
    go_on = threading.Event()
    async with on_stage(path, start="payments") as (app, pilot):
        await decide(app, pilot, go_on)
        await leave(app, pilot, keys)
        await reached(pilot, lambda: "finishing what was begun" in drawn(app))
        at_once(app, "x", *"too", "enter", "y")  # nobody's any more
        assert not app._exit
        go_on.set()
        await left(app)
    assert app.left_over == []
    assert app.return_code == (0 if keys else 143)
    assert [status_of(path, number) for number in (NEW, OLD)] == ["cancel", "processing"]


async def test_what_is_refused_then_is_told_at_the_end(path: Path) -> None:
    go_on = threading.Event()
    async with on_stage(path, start="payments") as (app, pilot):
        await decide(app, pilot, go_on)
        await leave(app, pilot, ("escape", "q", "q"))
        look(path, f"UPDATE orders SET status = 'time_out', version = version + 1 WHERE number = '{NEW}'")
        go_on.set()
        await left(app)
    (said,) = app.left_over
    assert f"order {NEW}" in said
    assert app.left_code == 1


@pytest.mark.parametrize("ticks", [0, 2, 4, 8])
async def test_a_yes_is_begun_where_it_is_typed(path: Path, ticks: int) -> None:
    """Also where the end comes between the question, the order that is made, and the screen that would show it."""
    async with on_stage(path) as (app, pilot):
        await settle(pilot)
        at_once(app, "j", "n", "A", "enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await settle(pilot)
        at_once(app, "y")
        for _ in range(ticks):
            await asyncio.sleep(0)
        app.call_later(partial(app.exit, return_code=143))
        await left(app)
    made = look(path, "SELECT count(*) FROM orders") - 2
    assert (app.return_code, app.left_over, app._exception) == (143, [], None)
    assert made == 1


async def test_a_run_over_many_orders_ends_behind_the_one_under_way_and_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, under_way = threading.Event(), threading.Event()
    talk = bulk.Move.talk

    def slow(run: bulk.Move, *values: Any) -> Any:
        under_way.set()
        go_on.wait(60)
        return talk(run, *values)

    monkeypatch.setattr(bulk.Move, "talk", slow)
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "space", "j", "space")
        await press(pilot, "d")
        await until(pilot, lambda: isinstance(app.screen, BulkScreen) and "How many" in drawn(app))
        await pilot.press(*"why", "enter", "2", "enter", "y")
        await reached(pilot, under_way.is_set)
        app.exit(return_code=143)
        go_on.set()
        await left(app)
    (said,) = app.left_over
    assert said.startswith("stopped: 1 order deleted, 1 not reached")
    assert look(path, "SELECT count(*) FROM orders WHERE deleted_at IS NOT NULL") == 1


async def test_whoever_types_quit_is_not_waited_for(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await settle(pilot)
        at_once(app, ":", "q", "enter", "ctrl+c")
        await left(app)
    assert (toasts(app), app.return_code, app.left_over) == ([], 0, [])


async def test_an_answer_that_comes_while_the_application_is_taken_down_is_nobody_s(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Worker[Any]] = []

    async def answered_then(dashboard: DashboardScreen) -> None:
        assert not dashboard.children  # gone before it
        loads.extend(each for each in dashboard.workers if each.group == "dashboard")
        may.set()
        await dashboard.workers.wait_for_complete(loads)

    async with on_stage(path) as (_, pilot):
        await settle(pilot)
        may = hold_back(monkeypatch, "latest", lambda question, _: question == "dashboard")
        monkeypatch.setattr(DashboardScreen, "on_unmount", answered_then, raising=False)
        await pilot.press("f5")
    assert len(loads) == 1
    assert loads[0].error is None
