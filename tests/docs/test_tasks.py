"""The keys that docs/tasks.md lists do what it says, with no more keys than it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.screens.question import Question
from tests.screens.stage import drawn, make_database, on_stage, press, settle, until, write
from tests.screens.test_journey import expires_on, look, status_of
from tests.support import NOW, TODAY, add_office, add_order, add_people

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"
OLDEST, NEWEST = "20261121130000000001", "20261122070000000002"
FAILED, LATE, DELETED = "20261105080000000003", "20261020080000000042", "20261106080000000005"
KEYS = {"Enter": "enter", "/": "slash", "Esc": "escape", "Tab": "tab", "Space": "space"}
MOST = 12


class Task(NamedTuple):
    name: str
    steps: list[str]  # a key in backquotes, or text in quotes
    stated: int


def tasks() -> list[Task]:
    rows = [line.strip("|").split("|") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    return [Task(name.strip(), re.findall(r'`[^`]+`|"[^"]+"', keys), int(stated)) for name, keys, stated in rows[1:]]


def fill() -> None:
    oak, elm = add_office("Oak House"), add_office("Pine House")
    add_people(oak, "u1", "u2", expires_on=TODAY + timedelta(days=3))
    add_people(oak, "u3", expires_on=TODAY + timedelta(days=300))
    for number, key in ((NEWEST, "n1"), (OLDEST, "o1")):
        held = add_people(oak, key, expires_on=TODAY + timedelta(days=200))
        created = NOW - timedelta(hours=20 if number == OLDEST else 2)
        add_order(oak, held, OrderStatus.PROCESSING, number=number, created_at=created)
    late = add_people(oak, "l1", expires_on=TODAY + timedelta(days=200))
    add_order(oak, late, OrderStatus.TIME_OUT, number=LATE, created_at=NOW - timedelta(days=33))
    gone = add_people(oak, "d1", expires_on=TODAY + timedelta(days=200))
    deleted = add_order(oak, gone, OrderStatus.FAILED, number=DELETED, created_at=NOW - timedelta(days=16))
    deleted.deleted_at = NOW
    deleted.save()
    add_order(oak, [], OrderStatus.FAILED, history=True, number=FAILED, created_at=NOW - timedelta(days=17))
    add_order(elm, [], OrderStatus.FAILED, history=True, number="1", created_at=NOW - timedelta(days=17))
    add_order(oak, [], OrderStatus.FAILED, history=True, number="2", created_at=NOW - timedelta(days=40))


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # an invoice is saved in the current folder
    return make_database(tmp_path, fill)


def is_open(number: str) -> Callable[[SmartSubApp, Path], bool]:
    return lambda app, path: isinstance(app.screen, OrderInfoScreen) and f"> {number}" in drawn(app)


# What is true when a task is done, in the order of the page.
DONE: list[Callable[[SmartSubApp, Path], bool]] = [
    is_open(LATE),
    lambda app, path: (
        isinstance(app.screen, PaymentsScreen) and [order.number for order in app.screen.table.window.rows] == [FAILED]
    ),
    lambda app, path: (
        look(path, "SELECT count(*) FROM order_line JOIN orders ON orders.id = order_id WHERE months = ?", "12") == 2
        and expires_on(path, "u1") == (TODAY + timedelta(days=3)).isoformat()
    ),
    lambda app, path: (status_of(path, OLDEST), status_of(path, NEWEST)) == ("succeed", "processing"),
    lambda app, path: [each.name for each in path.parent.glob("*.pdf")] == ["INV-2026-000001.pdf"],
    lambda app, path: look(path, "SELECT deleted_at FROM orders WHERE number = ?", DELETED) is None,
    lambda app, path: is_open(LATE)(app, path) and "p pay: its time to pay is over" in drawn(app),
]


async def do(app: SmartSubApp, pilot: Pilot[None], step: str) -> None:
    """One step of a task; where it brings a question, that is waited for."""
    if step.startswith("`"):
        key = step.strip("`")
        await press(pilot, KEYS.get(key, key))
        if key in ("p", "D") or (key == "Enter" and not isinstance(app.screen, PaymentsScreen | OrderInfoScreen)):
            await _asked(app, pilot)
    else:
        values = {"end": LATE[-4:], "late": LATE[-4:], "paid": OLDEST[-6:], "month": "2026-11"}
        await write(pilot, step.strip('"').format(**values))


async def _asked(app: SmartSubApp, pilot: Pilot[None]) -> None:
    while not isinstance(app.screen, Question) and any(
        not worker.is_finished and worker.group in ("action", "order", "look") for worker in app.workers
    ):
        await pilot.pause()
    await settle(pilot)


@pytest.mark.parametrize("place", range(7), ids=[each.name for each in tasks()])
async def test_a_task_is_done_by_the_keys_that_are_listed(path: Path, place: int) -> None:
    task = tasks()[place]
    async with on_stage(path) as (app, pilot):
        if "{paid}" in "".join(task.steps):
            for step in ("`3`", "`S`", "`s`", "`p`", '"receipt"', "`Enter`", "`y`"):
                await do(app, pilot, step)
            await until(pilot, lambda: status_of(path, OLDEST) == "succeed")
            await press(pilot, "escape", "1")
        for step in task.steps:
            await do(app, pilot, step)
        await until(pilot, lambda: DONE[place](app, path))


def test_every_task_takes_at_most_a_dozen_keys_and_says_how_many() -> None:
    found = tasks()
    assert len(found) == 7
    for task in found:
        keys = sum(step.startswith("`") for step in task.steps)
        assert keys == task.stated <= MOST, task.name
