"""u takes back the last thing done: a deletion, a restoring, of one order or of many, and whatever else was pushed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import pytest
from textual.pilot import Pilot

from smartsub_tui.billing.bulk import Item, Move, Outcome
from smartsub_tui.billing.session import Session
from smartsub_tui.data.vocabulary import Trigger
from smartsub_tui.errors import Unavailable
from smartsub_tui.screens import bulk, payments
from smartsub_tui.screens.bulk import BulkScreen
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.screens.undo import MOST_UNDOABLE, Undoable, UndoStack
from smartsub_tui.widgets.frame import KeyLine
from tests.screens.stage import drawn, make_database, on_stage, press, settle, toasts, until, write
from tests.screens.test_bulk import DELETED, HERE, NUMBERS, Marked, ask, between, events, fill, mark, marks, say, states
from tests.screens.test_typed_ahead import at_once
from tests.support import NOW, FixedClock

NEWEST = NUMBERS[0]
AS_MADE = [status.value for status in reversed(HERE)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


@pytest.fixture(autouse=True)
def none_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payments, "PaymentsScreen", Marked)
    monkeypatch.setattr(Marked, "marked", ())
    monkeypatch.setattr(bulk, "_PAINT_SECONDS", 0)


async def delete_one(pilot: Pilot[None], *, settled: bool = True) -> None:
    """Delete the order under the cursor."""
    await pilot.press("d")
    await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
    await write(pilot, "twice")
    await press(pilot, "enter")
    await pilot.press("y")
    if settled:
        await settle(pilot)


def change(path: Path, sql: str, *values: str) -> None:
    """What another process does."""
    connection = apsw.Connection(str(path))
    connection.execute(sql, values)
    connection.close()


@pytest.mark.parametrize("keys", [(), ("enter",)], ids=["payments", "order info"])
async def test_a_deletion_names_its_undoing_and_u_undoes_it(path: Path, keys: tuple[str, ...]) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, *keys)
        assert "undo" not in app.screen.query_one(KeyLine).shown
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "It is cancelled, then hidden. u undoes, as Cancel; is:deleted shows it." in drawn(app)
        assert "->" not in drawn(app)  # no date moves
        await write(pilot, "twice")
        await press(pilot, "enter", "y")
        assert f"deleted {NEWEST}: u undoes" in drawn(app)
        assert "undo" in app.screen.query_one(KeyLine).shown
        assert states(path) == ["(cancel)", *AS_MADE[1:]]
        await press(pilot, "u")
        assert f"undone: restored {NEWEST}" in drawn(app)
        assert "undo" not in app.screen.query_one(KeyLine).shown
        assert NEWEST in drawn(app)
    assert states(path) == ["cancel", *AS_MADE[1:]]
    assert [number for number, *_ in events(path, Trigger.RESTORE)] == [NEWEST]


async def test_a_restoring_is_undone_by_a_deletion_that_says_so(path: Path) -> None:
    change(path, "UPDATE orders SET deleted_at = 1 WHERE number = ?", NUMBERS[1])
    async with on_stage(path, start="payments", filter_text="is:deleted") as (app, pilot):
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "It comes back into the lists: u undoes." in drawn(app)
        await press(pilot, "y")
        assert f"restored {NUMBERS[1]}: u undoes" in drawn(app)
        assert states(path) == AS_MADE
        await press(pilot, "u")
        assert f"undone: deleted {NUMBERS[1]}" in drawn(app)
    assert states(path)[1] == "(failed)"
    assert [(number, reason) for number, reason, _ in events(path, Trigger.DELETE)] == [(NUMBERS[1], "undo of restore")]


async def test_who_was_changed_meanwhile_is_left_as_it_is_and_told(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await delete_one(pilot)
        change(path, "UPDATE orders SET deleted_at = NULL, version = version + 1 WHERE number = ?", NEWEST)
        await press(pilot, "u")
        assert toasts(app)[-1] == (
            f"not undone: order {NEWEST} was changed by someone else meanwhile: look at it again"
        )
        await press(pilot, "u")
    assert events(path, Trigger.RESTORE) == []


async def test_the_last_thing_is_undone_first_whatever_the_screen_and_then_there_is_nothing(path: Path) -> None:
    clock = FixedClock()
    async with on_stage(path, start="payments", clock=clock) as (app, pilot):
        await press(pilot, "u")
        assert toasts(app) == ["nothing to undo"]
        await delete_one(pilot)
        await press(pilot, "j", "enter")
        await delete_one(pilot)
        assert isinstance(app.screen, OrderInfoScreen)
        deleted = [number for number, *_ in events(path, Trigger.DELETE)]
        assert len(deleted) == 2
        await press(pilot, "1", "3", "3")
        assert isinstance(app.screen, PaymentsScreen)
        for _ in range(3):
            clock.advance(seconds=1)
            await press(pilot, "u")
        assert toasts(app)[-3:] == [
            f"undone: restored {deleted[1]}",
            f"undone: restored {deleted[0]}",
            "nothing to undo",
        ]


async def test_a_held_key_undoes_one_thing_that_moves_orders(path: Path) -> None:
    clock, marked = FixedClock(), [1, 2, 3]
    async with on_stage(path, start="payments", clock=clock) as (app, pilot):
        await delete_one(pilot)
        await delete_one(pilot)
        for _ in range(3):
            app.undoables.push(Undoable(lambda _: marked.clear() if len(marked) == 1 else marked.__delitem__(0)))
        await press(pilot, *"uuuuuu")
        assert marked == []
        # Marks go at once; behind them stands a deletion, for which the key was held.
        assert events(path, Trigger.RESTORE) == []
        for _ in range(20):
            clock.advance(milliseconds=600)
            await press(pilot, "u")
        assert events(path, Trigger.RESTORE) == []
        clock.advance(seconds=1)
        await press(pilot, *"uuu")
        assert len(events(path, Trigger.RESTORE)) == 1
        clock.advance(seconds=1)
        await press(pilot, *"uuu")
    assert len(events(path, Trigger.RESTORE)) == 2


async def test_u_typed_behind_a_deletion_waits_for_it(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await write(pilot, "twice")
        await press(pilot, "enter", "y", "u")
        clock = app.backend.clock
        assert isinstance(clock, FixedClock)
        clock.advance(seconds=1)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await write(pilot, "again")
        await press(pilot, "enter")
        at_once(app, "y", "u")
        await until(pilot, lambda: len(toasts(app)) == 4)
        assert [each.split()[0] for each in toasts(app)] == ["deleted", "undone:", "deleted", "undone:"]
    assert states(path) == ["cancel", *AS_MADE[1:]]


async def test_an_undo_that_finds_no_database_can_be_asked_for_again_and_is_done_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do, lost = Move.do, [True]

    def losing(run: Move, session: Session, item: Item) -> Outcome:
        outcome = do(run, session, item)
        if lost and lost.pop():
            raise Unavailable("the database cannot be read: try again")
        return outcome

    clock = FixedClock()
    async with on_stage(path, start="payments", clock=clock) as (app, pilot):
        await delete_one(pilot)
        monkeypatch.setattr(Move, "do", losing)
        await press(pilot, "u")
        assert toasts(app)[-1] == "the database cannot be read: try again"
        clock.advance(seconds=1)
        await press(pilot, "u")
        assert toasts(app)[-1] == f"undone: restored {NEWEST}"
    assert len(events(path, Trigger.RESTORE)) == 1


# Many


async def test_a_bulk_deletion_is_undone_for_exactly_those_that_it_deleted(path: Path) -> None:
    clock = FixedClock()
    async with on_stage(path, start="payments", clock=clock) as (app, pilot):
        await delete_one(pilot)
        mark(*NUMBERS)
        await ask(pilot, "d")
        await say(pilot, 6, "twice")
        await press(pilot, "enter")
        assert states(path) == DELETED.split()
        await press(pilot, "u")
        await until(pilot, lambda: "undone: 6 orders restored" in toasts(app))
        assert isinstance(app.screen, PaymentsScreen)
        assert states(path)[0] == "(cancel)"
        assert not any(each.startswith("(") for each in states(path)[1:])
        assert "7 of 7" in drawn(app)
        clock.advance(seconds=1)
        await press(pilot, "u")
        assert toasts(app)[-1] == f"undone: restored {NEWEST}"
    assert not any(each.startswith("(") for each in states(path))


async def test_marks_of_before_many_were_moved_are_not_undone_behind_them(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor anywhere but where they stand; and the account of what was done undoes it by the key that it names."""
    monkeypatch.undo()
    clock = FixedClock()
    async with on_stage(path, start="payments", clock=clock) as (app, pilot):
        await press(pilot, "space", "space", "space")
        assert "3 marked" in drawn(app)
        await press(pilot, "enter")
        assert "undo" not in app.screen.query_one(KeyLine).shown
        await press(pilot, "u")
        assert toasts(app)[-1] == "nothing to undo"
        await press(pilot, "escape")
        clock.advance(seconds=1)
        await press(pilot, "u", "space")
        assert "3 marked" in drawn(app)
        await ask(pilot, "d")
        await say(pilot, 3, "twice")
        assert "3 orders deleted: u undoes" in drawn(app)
        assert len([each for each in states(path) if each.startswith("(")]) == 3
        clock.advance(seconds=1)
        await press(pilot, "u")
        await until(pilot, lambda: "undone: 3 orders restored" in toasts(app))
        assert isinstance(app.screen, PaymentsScreen)
        clock.advance(seconds=1)
        await press(pilot, "u")
        assert toasts(app)[-1] == "nothing to undo"
        assert "marked" not in drawn(app)


async def test_a_bulk_restoring_is_undone_too(path: Path) -> None:
    change(path, "UPDATE orders SET deleted_at = 1 WHERE status IN ('failed', 'cancel')")
    mark(*NUMBERS)
    async with on_stage(path, start="payments") as (app, pilot):
        await ask(pilot, "D")
        await say(pilot, 3)
        assert "3 orders restored, 5 left out: u undoes" in drawn(app)
        await press(pilot, "enter", "u")
        await until(pilot, lambda: "undone: 3 orders deleted" in toasts(app))
    assert [reason for _, reason, _ in events(path, Trigger.DELETE)] == ["undo of restore"] * 3
    assert [each for each in states(path) if each.startswith("(")] == ["(failed)", "(cancel)", "(failed)"]


async def test_who_of_many_was_changed_is_skipped_and_told_and_the_others_are_undone(path: Path) -> None:
    mark(*NUMBERS)
    async with on_stage(path, start="payments") as (app, pilot):
        await ask(pilot, "d")
        await say(pilot, 7, "twice")
        await press(pilot, "enter")
        change(path, "UPDATE orders SET version = version + 1 WHERE number = ?", NUMBERS[1])
        await pilot.press("u")
        await until(pilot, lambda: "Enter back" in drawn(app))
        assert "undone: 6 orders restored, 1 skipped" in drawn(app)
        assert f"x {NUMBERS[1]}    was changed by someone else meanwhile" in drawn(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, PaymentsScreen)
        assert not app.undoables.has(app.screen)
    assert [each for each in states(path) if each.startswith("(")] == ["(failed)"]
    assert marks() == (NUMBERS[4],)


async def test_an_undo_of_many_can_be_stopped_and_taken_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FixedClock()
    mark(*NUMBERS)
    async with on_stage(path, start="payments", clock=clock) as (app, pilot):
        await ask(pilot, "d")
        await say(pilot, 7, "twice")
        await press(pilot, "enter")
        between(monkeypatch, 2, lambda: app.call_from_thread(app.screen.action_no))  # type: ignore[attr-defined]
        await pilot.press("u")
        await until(pilot, lambda: "Enter back" in drawn(app))
        assert "stopped: undone: 2 orders restored, 5 not reached" in drawn(app)
        assert "5 not reached: u takes them up again." in drawn(app)
        await press(pilot, "enter")
        clock.advance(seconds=1)
        await press(pilot, "u")
        await until(pilot, lambda: "undone: 5 orders restored" in toasts(app))
        assert not isinstance(app.screen, BulkScreen)
    ids = [request.split(".") for *_, request in events(path, Trigger.RESTORE)]
    assert len(ids) == 7
    assert len({run for run, _ in ids}) == 1


# The stack


def test_the_stack_holds_the_last_things_and_no_more() -> None:
    stack, here = UndoStack(), PaymentsScreen()
    undone: list[int] = []
    for place in range(MOST_UNDOABLE + 5):
        stack.push(Undoable(lambda _, place=place: undone.append(place)))  # type: ignore[misc]
    while done := stack.take(here, held=False):
        done.undo(here)
    assert undone == list(reversed(range(5, MOST_UNDOABLE + 5)))
    assert not stack.has(here)


def test_what_is_about_one_screen_is_taken_back_there_alone() -> None:
    stack, here, elsewhere = UndoStack(), PaymentsScreen(), PaymentsScreen()
    mark, move, other = Undoable(print, only_on=here), Undoable(print, moves_orders=True), Undoable(print, only_on=here)
    for each in (mark, move, other):
        stack.push(each)
    assert stack.take(elsewhere, held=True) is None
    assert stack.take(elsewhere, held=False) is move
    assert not stack.has(elsewhere)
    assert stack.take(here, held=True) is other
    stack.forget(elsewhere)
    assert stack.has(here)
    stack.forget(here)
    assert not stack.has(here)


def test_a_key_is_held_that_comes_again_within_a_second() -> None:
    stack, clock = UndoStack(), FixedClock(NOW)
    assert not stack.pressed(clock.now())
    for milliseconds, held in ((999, True), (500, True), (999, True), (1000, False), (0, True)):
        clock.advance(milliseconds=milliseconds)
        assert stack.pressed(clock.now()) is held


async def test_undo_behind_a_change_that_does_not_come_to_be_says_so(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        begun = asyncio.Event()

        async def change_without_end() -> None:
            begun.set()
            await asyncio.Event().wait()

        writing = app.write(change_without_end)
        await begun.wait()
        app.screen.action_undo()  # type: ignore[attr-defined]
        writing.cancel()
        await until(pilot, lambda: "nothing to undo" in toasts(app))
