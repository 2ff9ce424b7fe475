"""Marked orders: one question for all, how far it is, what became of each; and what was not done stays marked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Final, cast
from zipfile import ZipFile

import apsw
import pytest
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.billing import bulk as many
from smartsub_tui.billing import orders
from smartsub_tui.billing.bulk import Item, Move, Outcome, SaveInvoices
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.database import open_database, url_of
from smartsub_tui.data.models import Order
from smartsub_tui.data.vocabulary import OrderStatus, Role, Trigger
from smartsub_tui.errors import Unavailable
from smartsub_tui.screens import bulk, payments
from smartsub_tui.screens.bulk import BulkScreen
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.screens.pay import PayScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.widgets.field import Field
from smartsub_tui.widgets.lines import Lines
from tests.screens.stage import drawn, make_database, on_stage, press, reached, resize, settle, toasts, until, write
from tests.screens.test_hostile_rows import HOSTILE, assert_harmless
from tests.screens.test_sizes import SIZES, assert_inside
from tests.screens.test_typed_ahead import at_once
from tests.support import (
    add_community,
    add_office,
    add_order,
    add_people,
    gross,
    session_on,
)

PROCESSING, SYSTEM, SUCCEED, FAILED, TIME_OUT, CANCEL = OrderStatus
# In the order of the list, the newest first.
NUMBERS: Final = tuple(f"2026112209301700{place:04}" for place in reversed(range(8)))
HERE: Final = (FAILED, TIME_OUT, PROCESSING, SYSTEM, PROCESSING, CANCEL, FAILED, PROCESSING)


class Marked(PaymentsScreen):
    """Payments, in which some orders are marked."""

    marked: ClassVar[tuple[str, ...]] = ()

    def marked_orders(self) -> tuple[str, ...]:
        return self.marked

    def keep_marked(self, numbers: Collection[str]) -> None:
        Marked.marked = tuple(number for number in self.marked if number in numbers)


def mark(*numbers: str) -> None:
    Marked.marked = numbers


def marks() -> tuple[str, ...]:
    return Marked.marked


def fill() -> None:
    oak, elm = add_office("Oak House"), add_community("Elm Court", currency="JPY")
    for place, number in enumerate(reversed(NUMBERS)):
        office = elm if place == 7 else oak
        people = add_people(office, f"u{place}", expires_on=date(2026, 12, 22))
        add_order(office, people, HERE[place], number=number)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


@pytest.fixture(autouse=True)
def marked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All of them are, and every step of a run is shown."""
    monkeypatch.setattr(payments, "PaymentsScreen", Marked)
    monkeypatch.setattr(Marked, "marked", NUMBERS)
    monkeypatch.setattr(bulk, "_PAINT_SECONDS", 0)
    monkeypatch.chdir(tmp_path)


def stored(path: Path, what: str) -> dict[str, Any]:
    """A column of each order, by its number; read by a connection of its own."""
    connection = apsw.Connection(str(path))
    try:
        return dict(connection.execute(f"SELECT number, {what} FROM orders ORDER BY number DESC"))
    finally:
        connection.close()


def events(path: Path, action: Trigger) -> list[tuple[str, str, str]]:
    """The number, reason and request id of each event of a trigger."""
    connection = apsw.Connection(str(path))
    sql = (
        "SELECT number, reason, request_id FROM audit_event JOIN orders ON orders.id = order_id WHERE action = ?"
        " ORDER BY audit_event.id"
    )
    try:
        return list(connection.execute(sql, (action.value,)))
    finally:
        connection.close()


def states(path: Path) -> list[str]:
    """The status of each order, in the order of the list; in brackets where it is deleted."""
    deleted = stored(path, "deleted_at IS NOT NULL")
    return [f"({status})" if deleted[number] else status for number, status in stored(path, "status").items()]


async def ask(pilot: Pilot[None], key: str, says: str = "y  Yes") -> BulkScreen:
    """The question, when it is there."""
    await pilot.press(key)
    await until(pilot, lambda: isinstance(pilot.app.screen, BulkScreen))
    screen = pilot.app.screen
    assert isinstance(screen, BulkScreen)
    await until(pilot, lambda: says in drawn(pilot.app))  # type: ignore[arg-type]
    return screen


async def say(pilot: Pilot[None], count: int, text: str | None = None) -> None:
    """Type what is asked for, and y."""
    if text is not None:
        await press(pilot, "ctrl+u")
        await write(pilot, text)
        await press(pilot, "enter")
    await write(pilot, str(count))
    await press(pilot, "enter")
    await pilot.press("y")
    await settle(pilot)


def between(monkeypatch: pytest.MonkeyPatch, after: int, what: Callable[[], Any]) -> None:
    """Do something in the database's thread when so many orders were done."""
    do, done = Move.do, []

    def hooked(run: Move, session: Session, item: Item) -> Outcome:
        outcome = do(run, session, item)
        done.append(outcome)
        if len(done) == after:
            what()
        return outcome

    monkeypatch.setattr(Move, "do", hooked)


# The question


async def test_it_says_what_how_many_how_much_and_who_is_left_out_and_why(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        screen = await ask(pilot, "x")
        seen = drawn(app)
        for words in (
            "Payments > Cancel",
            "Cancel 5 of 8 orders?",
            f"EUR {4 * gross(500) / 100:.2f}   JPY {gross(500)}",
            "their people are free again",
            f"{NUMBERS[0]}   … Processing",
            "Left out: 3",
            "1  it is Cancel",
            "1  it is Time out",
            "1  money is in flight: confirm it, or mark it as failed first",
            "No           y  Yes, cancel 5",
        ):
            assert words in seen, seen
        assert app.focused is screen.query_one("#bulk-said")
        await press(pilot, "escape")
        assert isinstance(app.screen, PaymentsScreen)
    assert marks() == NUMBERS


async def test_only_the_number_typed_and_then_y_does_it(path: Path) -> None:
    before = states_now(path)
    async with on_stage(path, start="payments") as (app, pilot):
        screen = await ask(pilot, "x")
        await press(pilot, "enter")
        assert "reason is empty: write one" in drawn(app)
        await write(pilot, "moved out")
        await press(pilot, "enter")
        assert app.focused is screen.query_one("#bulk-count")
        for wrong in ("", "8", "y", "05"):
            await press(pilot, "ctrl+u")
            await write(pilot, wrong)
            await press(pilot, "enter")
            assert "type 5, the number of orders, to go on" in drawn(app), wrong
            assert app.focused is screen.query_one("#bulk-count")
        await press(pilot, "ctrl+u")
        await write(pilot, "5")
        await press(pilot, "enter")
        assert app.focused is screen.query_one("#question-no")
        assert states_now(path) == before
        await press(pilot, "enter")
        assert isinstance(app.screen, PaymentsScreen)
        assert states_now(path) == before
        assert marks() == NUMBERS
        await ask(pilot, "x")
        await say(pilot, 5, "moved out")
        assert "5 orders cancelled, 3 left out" in drawn(app)
    assert [reason for _, reason, _ in events(path, Trigger.CANCEL)] == ["moved out"] * 5


def states_now(path: Path) -> tuple[str, ...]:
    return tuple(states(path))


async def test_what_is_typed_ahead_does_nothing_before_the_question_is_seen(path: Path) -> None:
    before = states_now(path)
    async with on_stage(path, start="payments") as (app, pilot):
        at_once(app, "x", *"moved", "enter", "5", "enter", "y")
        await until(pilot, lambda: "y  Yes" in drawn(app))
        assert isinstance(app.screen, BulkScreen)
        assert "Cancel 5 of 8 orders?" in drawn(app)
    assert states_now(path) == before


async def test_a_yes_on_its_way_before_the_question_is_seen_is_none(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine: the orders have been looked at, and the keys typed meanwhile are still to be taken."""
    before, ask_now = states_now(path), BulkScreen._ask

    def late(self: BulkScreen) -> None:
        at_once(cast(SmartSubApp, self.app), *"moved", "enter", "5", "enter", "y")
        ask_now(self)

    monkeypatch.setattr(BulkScreen, "_ask", late)
    async with on_stage(path, start="payments") as (app, pilot):
        screen = await ask(pilot, "x", "y  Yes")
        await until(pilot, lambda: app.focused is screen.query_one("#question-no"))
        await settle(pilot)
        assert [field.value for field in screen.query(Field)] == ["moved", "5"]
        assert "Cancel 5 of 8 orders?" in drawn(app)
        assert states_now(path) == before
        await press(pilot, "y")
        await until(pilot, lambda: "5 orders cancelled, 3 left out" in drawn(app))


async def test_a_yes_typed_when_the_question_is_seen_counts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a script types that waits for it: what says how to answer stands there when the answer counts."""
    typed: list[str] = []
    display = SmartSubApp._display

    def watch(app: SmartSubApp, screen: Any, what: Any) -> None:
        display(app, screen, what)
        if not typed and isinstance(screen, BulkScreen) and "y  Yes" in drawn(app):
            typed.append("y")
            at_once(app, *"moved", "enter", "5", "enter", "y")

    monkeypatch.setattr(SmartSubApp, "_display", watch)
    async with on_stage(path, start="payments") as (app, pilot):
        await pilot.press("x")
        await until(pilot, lambda: "5 orders cancelled, 3 left out" in drawn(app))


async def test_a_yes_to_a_question_that_is_asked_again_is_to_what_it_says_now(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, ask_again, begin, begun = states_now(path), BulkScreen._again, Move.begin, 0

    def late(self: BulkScreen, why: str) -> None:
        at_once(cast(SmartSubApp, self.app), "enter", "enter", "y")
        ask_again(self, why)

    def fails_once(self: Move, session: Session) -> Any:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise Unavailable("away for a moment")
        return begin(self, session)

    monkeypatch.setattr(BulkScreen, "_again", late)
    monkeypatch.setattr(Move, "begin", fails_once)
    async with on_stage(path, start="payments") as (app, pilot):
        screen = await ask(pilot, "x", "y  Yes")
        await say(pilot, 5, "moved")
        await until(pilot, lambda: "y  Yes" in drawn(app) and app.focused is screen.query_one("#question-no"))
        await settle(pilot)
        assert (begun, states_now(path)) == (1, before)


async def test_what_it_is_about_stands_there_before_it_can_be_said_yes_to(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, may, wrapped = states_now(path), threading.Event(), bulk._wrapped

    def slow(said: Any, width: int) -> Any:
        if said:
            may.wait(60)
        return wrapped(said, width)

    monkeypatch.setattr(bulk, "_wrapped", slow)
    async with on_stage(path, start="payments") as (app, pilot):
        await pilot.press("x")
        await reached(pilot, lambda: "Cancel 5 of 8 orders?" in drawn(app))
        await pilot.press(*"moved", "enter", "5", "enter", "y")
        assert "y  Yes" not in drawn(app)
        may.set()
        await until(pilot, lambda: "y  Yes" in drawn(app))
        assert "Left out: 3" in drawn(app)
        assert states_now(path) == before


async def test_a_question_that_is_left_before_it_is_seen_is_nobody_s(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = BulkScreen._is_seen
    monkeypatch.setattr(BulkScreen, "_is_seen", lambda screen: None)
    async with on_stage(path, start="payments") as (app, pilot):
        await pilot.press("x")
        await until(pilot, lambda: "Cancel 5 of 8 orders?" in drawn(app))
        screen = app.screen
        assert isinstance(screen, BulkScreen)
        await app.pop_screen()
        with app._context():
            seen(screen)
        assert isinstance(app.screen, PaymentsScreen)


async def test_none_of_them_can_and_so_nothing_is_asked(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        screen = await ask(pilot, "D", "not possible for any of 8 orders")
        assert "8  it is not deleted" in drawn(app)
        await press(pilot, "y", "n", "y")
        assert not screen.is_attached or app.screen is not screen
        await ask(pilot, "D", "not possible for any of 8 orders")
        await press(pilot, "enter")
        assert isinstance(app.screen, PaymentsScreen)
    assert marks() == NUMBERS


async def test_who_may_not_is_told_and_not_asked(tmp_path: Path) -> None:
    path = make_database(tmp_path, fill, Role.OPERATOR)
    async with on_stage(path, start="payments", role=Role.OPERATOR) as (app, pilot):
        await press(pilot, "d")
        await until(pilot, lambda: toasts(app))
        assert isinstance(app.screen, PaymentsScreen)
        assert toasts(app) == ["operator is operator here and may not delete: ask a manager"]
        await ask(pilot, "p")


async def test_many_are_looked_at_with_others_between_and_esc_gives_it_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_LOOKED_AT", 1)
    seen: list[str] = []
    preview = many.preview

    def slow(session: Session, trigger: Trigger, numbers: Collection[str]) -> Any:
        seen.append(drawn(app))
        if len(seen) == 4:
            app.call_from_thread(app.screen.action_no)  # type: ignore[attr-defined]
        return preview(session, trigger, numbers)

    monkeypatch.setattr(many, "preview", slow)
    async with on_stage(path, start="payments") as (app, pilot):
        await pilot.press("x")
        await until(pilot, lambda: len(seen) == 4 and isinstance(app.screen, PaymentsScreen))
        await ask(pilot, "x")
        assert "Cancel 5 of 8 orders?" in drawn(app)
    assert any("looking at 3 of 8 orders ..." in each for each in seen)
    assert len(seen) == 4 + 8


# What is done


PAID: Final = "succeed succeed cancel succeed system_processing succeed time_out succeed"
CANCELLED: Final = "cancel cancel cancel cancel system_processing cancel time_out cancel"
DELETED: Final = "(cancel) (failed) (cancel) (cancel) system_processing (cancel) (time_out) (failed)"


@pytest.mark.parametrize(
    ("key", "text", "count", "told", "becomes"),
    [
        ("p", "receipt 17", 5, "5 orders paid, 3 left out", PAID),
        ("x", "moved out", 5, "5 orders cancelled, 3 left out", CANCELLED),
        ("d", "twice", 7, "7 orders deleted, 1 left out: u undoes", DELETED),
    ],
)
async def test_the_action_is_done_to_each_and_the_others_stay_marked(
    path: Path, key: str, text: str, count: int, told: str, becomes: str
) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await ask(pilot, key)
        await say(pilot, count, text)
        assert told in drawn(app)
        assert f"Not done, and still marked: {8 - count}" in drawn(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, PaymentsScreen)
        assert toasts(app) == [told]
    assert states(path) == becomes.split()
    assert len(marks()) == 8 - count
    assert NUMBERS[4] in marks()


async def test_deleted_ones_are_restored_and_closed_ones_ordered_again(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await ask(pilot, "d")
        await say(pilot, 7, "twice")
        await press(pilot, "enter")
        mark(*NUMBERS)
        screen = await ask(pilot, "D")
        assert app.focused is screen.query_one("#bulk-count")
        await say(pilot, 7)
        await press(pilot, "enter")
        assert states(path) == [each.strip("()") for each in DELETED.split()]
        mark(*NUMBERS)
        await ask(pilot, "r")
        assert f"EUR {6 * gross(500) / 100:.2f}   JPY {gross(500)} when they were ordered" in drawn(app)
        await say(pilot, 7)
        # The one in yen has no price.
        assert "6 orders ordered again, 1 refused, 1 left out" in drawn(app)
        assert "made order 20261122090000000000, EUR 5.95" in app.screen.query_one(Lines).text
        await press(pilot, "enter")
    assert marks() == (NUMBERS[0], NUMBERS[4])
    assert len(stored(path, "id")) == 14


async def test_nothing_marked_or_an_action_on_one_is_about_the_one_under_the_cursor(path: Path) -> None:
    async with on_stage(path, start="payments", filter_text="status:system") as (app, pilot):
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert f"Mark as failed: order {NUMBERS[4]}?" in drawn(app)
        await press(pilot, "escape", "escape")
        mark()
        await press(pilot, "j")
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        assert f"Payments > {NUMBERS[1]}" in drawn(app) or f"Payments > {NUMBERS[0]}" in drawn(app)


async def test_esc_stops_behind_the_order_under_way_and_the_same_key_takes_up_the_rest(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far: list[str] = []

    async with on_stage(path, start="payments") as (app, pilot):

        async def look() -> None:
            far.append(drawn(app))
            at_once(app, "y", "enter", "escape")

        between(monkeypatch, 2, lambda: app.call_from_thread(app.run_worker, look()))
        await ask(pilot, "d")
        await say(pilot, 7, "twice")
        await until(pilot, lambda: "not reached" in drawn(app))
        done = sum(each.startswith("(") for each in states(path))
        assert 2 <= done < 7
        assert f"stopped: {done} orders deleted, {7 - done} not reached, 1 left out: u undoes" in drawn(app)
        assert f"{7 - done} not reached: d takes them up again." in drawn(app)
        assert "deleted: 1 of 7 orders, 0 refused" in far[0]
        assert "Esc stop" in far[0]
        await press(pilot, "enter")
        assert len(marks()) == 8 - done
        await ask(pilot, "d")
        assert f"Delete {7 - done} of {8 - done} orders?" in drawn(app)
        await say(pilot, 7 - done, "twice")
        assert f"{7 - done} orders deleted, 1 left out: u undoes" in drawn(app)
    assert states(path) == DELETED.split()
    ids = [request for *_, request in events(path, Trigger.DELETE)]
    assert len(set(ids)) == 7
    assert len({each.split(".")[0] for each in ids}) == 1  # one run, taken up


async def test_the_same_with_another_reason_is_another_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        between(monkeypatch, 1, lambda: app.call_from_thread(app.screen.action_no))  # type: ignore[attr-defined]
        await ask(pilot, "x")
        await say(pilot, 5, "moved out")
        await until(pilot, lambda: "not reached" in drawn(app))
        await press(pilot, "enter")
        await ask(pilot, "x")
        await say(pilot, 4, "never moved in")
    assert [reason for _, reason, _ in events(path, Trigger.CANCEL)] == ["moved out", *["never moved in"] * 4]
    assert len({request.split(".")[0] for *_, request in events(path, Trigger.CANCEL)}) == 2


async def test_an_order_that_another_process_changes_meanwhile_is_refused_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile() -> None:
        connection = apsw.Connection(str(path))
        connection.execute("UPDATE orders SET version = version + 1 WHERE number = ?", (NUMBERS[3],))
        connection.close()

    between(monkeypatch, 1, meanwhile)
    async with on_stage(path, start="payments") as (app, pilot):
        await ask(pilot, "x")
        await say(pilot, 5, "moved out")
        assert "4 orders cancelled, 1 refused, 3 left out" in drawn(app)
        assert f"x {NUMBERS[3]}    was changed by someone else meanwhile" in drawn(app)
        await press(pilot, "enter")
        assert marks() == tuple(NUMBERS[place] for place in (2, 3, 4, 6))
        await ask(pilot, "x")
        await say(pilot, 1, "moved out")
        assert "1 order cancelled, 3 left out" in drawn(app)
    assert states(path) == CANCELLED.split()


async def test_a_database_that_is_gone_ends_the_run_and_nothing_is_done_twice(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost behind a commit: nobody knows that it was done, until the same run asks again."""
    do = Move.do
    lost: list[Item] = []

    def losing(run: Move, session: Session, item: Item) -> Outcome:
        outcome = do(run, session, item)
        if item.number == NUMBERS[1] and not lost:
            lost.append(item)
            raise Unavailable("the database cannot be read: try again")
        return outcome

    monkeypatch.setattr(Move, "do", losing)
    mark(NUMBERS[2], NUMBERS[1], NUMBERS[6], NUMBERS[7])
    async with on_stage(path, start="payments") as (app, pilot):
        await ask(pilot, "r")
        await say(pilot, 4)
        assert "the database cannot be read: try again; 1 order ordered again, 3 not reached" in drawn(app)
        await press(pilot, "enter")
        assert marks() == (NUMBERS[1], NUMBERS[6], NUMBERS[7])
        await ask(pilot, "r")
        await say(pilot, 3)
        assert "3 orders ordered again" in drawn(app)
        assert f"{NUMBERS[1]}    made order 20261122090000000001" in drawn(app)
        await press(pilot, "enter")
    assert marks() == ()
    assert len(stored(path, "id")) == 12


async def test_other_reads_get_their_turn(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    async with on_stage(path, start="payments") as (app, pilot):

        async def look() -> None:
            said.append(await app.backend.call(lambda _: Order.select().where(Order.deleted_at.is_null()).count()))

        between(monkeypatch, 3, lambda: app.call_from_thread(app.run_worker, look()))
        await ask(pilot, "d")
        await say(pilot, 7, "twice")
    assert 1 < said[0] <= 5


async def test_leaving_smartsub_in_the_midst_leaves_nothing_half_done(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        between(monkeypatch, 2, lambda: app.call_from_thread(app.exit))
        await ask(pilot, "p")
        await say(pilot, 5, "receipt 17")
        await until(pilot, lambda: not app.is_running)
    paid = [number for number, status in stored(path, "status").items() if status == "succeed"]
    assert 2 <= len(paid) < 5
    assert [number for number, *_ in events(path, Trigger.PAY)] == paid
    invoiced = stored(path, "(SELECT COUNT(*) FROM invoice WHERE order_id = orders.id)")
    claimed = stored(path, "(SELECT COUNT(*) FROM claim WHERE order_id = orders.id)")
    moved = stored(path, "(SELECT COUNT(*) FROM order_line WHERE order_id = orders.id AND applied_on IS NOT NULL)")
    for number in NUMBERS:
        assert invoiced[number] == moved[number] == (number in paid)
        assert not (number in paid and claimed[number])


async def test_orders_are_marked_by_keys_and_what_was_not_done_stays_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payments, "PaymentsScreen", PaymentsScreen)
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "space", "space", "j", "space", "space")
        assert "4 marked, EUR 17.85, JPY 595" in drawn(app)
        await ask(pilot, "d")
        assert "Delete 3 of 4 orders?" in drawn(app)
        await say(pilot, 3, "twice")
        await press(pilot, "enter")
        assert "3 orders deleted, 1 left out: u undoes" in drawn(app)
        assert "5 of 5" in drawn(app)
        screen = app.screen
        assert isinstance(screen, PaymentsScreen)
        assert screen.marked_orders() == (NUMBERS[4],)
        await press(pilot, "u")
        await until(pilot, lambda: "undone: 3 orders restored" in drawn(app))
        assert "8 of 8" in drawn(app)
    assert states(path)[:5] == ["cancel", "failed", "cancel", "cancel", "system_processing"]


# Invoices and the export


def pay_three(path: Path) -> list[str]:
    """Three paid orders behind the others, which are marked with two more."""
    database = open_database(url_of(path))
    session = session_on(database)
    add_people(add_office("Ash"), "a0", "a1", "a2", expires_on=date(2026, 12, 22))
    made = [
        orders.renew(session, "Ash", [f"a{place}"], Months(1), paying=Manual("R")).order.number for place in range(3)
    ]
    database.close()
    mark(*made, *NUMBERS[:2])
    return made


FILES: Final = [f"INV-2026-00000{place}.pdf" for place in (1, 2, 3)]


async def test_invoices_are_saved_in_a_folder_that_is_there(path: Path, tmp_path: Path) -> None:
    pay_three(path)
    (tmp_path / "out").mkdir()
    async with on_stage(path, start="payments") as (app, pilot):
        await ask(pilot, "i")
        seen = drawn(app)
        assert "Save 3 of 5 invoices?" in seen
        assert "2  it is not paid" in seen
        assert app.screen.query_one("#bulk-said", Field).value == str(tmp_path)
        await say(pilot, 3, "nowhere")
        assert "make it first" in " ".join(drawn(app).split())
        assert app.focused is app.screen.query_one("#bulk-said")
        await say(pilot, 3, "out")
    # The number that was typed stood there still.
    assert not (tmp_path / "out" / FILES[0]).exists()
    async with on_stage(path, start="payments") as (app, pilot):
        await ask(pilot, "i")
        await say(pilot, 3, "out")
        assert f"3 invoices saved in {tmp_path}/out, 2 left out".replace(" ", "") in "".join(drawn(app).split())
        await press(pilot, "enter")
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == FILES
    assert marks() == NUMBERS[:2]


async def test_invoices_are_saved_as_one_zip_or_not_at_all(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pay_three(path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "there.zip").write_bytes(b"mine")
    do = SaveInvoices.do
    async with on_stage(path, start="payments") as (app, pilot):
        await ask(pilot, "i")
        await say(pilot, 3, "out/there.zip")
        assert "there.zip exists: name another file" in drawn(app)
        await press(pilot, "escape", "escape")

        def stopping(run: SaveInvoices, session: Session, item: Item) -> Outcome:
            app.call_from_thread(app.screen.action_no)  # type: ignore[attr-defined]
            return do(run, session, item)

        monkeypatch.setattr(SaveInvoices, "do", stopping)
        await ask(pilot, "i")
        await say(pilot, 3, "out/new.zip")
        assert "stopped: 0 invoices saved, 3 not reached, 2 left out" in drawn(app)
        await press(pilot, "enter")
        assert marks() == (*made, *NUMBERS[:2])
        assert [each.name for each in (tmp_path / "out").iterdir()] == ["there.zip"]
        monkeypatch.setattr(SaveInvoices, "do", do)
        await ask(pilot, "i")
        await say(pilot, 3, "out/new.zip")
        await press(pilot, "enter")
    with ZipFile(tmp_path / "out" / "new.zip") as archive:
        assert archive.namelist() == FILES
    assert (tmp_path / "out" / "there.zip").read_bytes() == b"mine"
    assert marks() == NUMBERS[:2]


async def test_the_export_has_the_marked_ones_whatever_the_filter_says(path: Path, tmp_path: Path) -> None:
    mark(NUMBERS[5], NUMBERS[1], NUMBERS[6])
    async with on_stage(path, start="payments", filter_text="status:cancel") as (app, pilot):
        await press(pilot, "e")
        assert "Export 3 orders" in drawn(app)
        assert "3 marked, whatever the filter lets through" in drawn(app)
        await press(pilot, "ctrl+u")
        await write(pilot, "some.jsonl")
        await press(pilot, "enter", "enter")
        assert marks() == (NUMBERS[5], NUMBERS[1], NUMBERS[6])
        mark()
        await press(pilot, "e")
        assert "Export 1 orders" in drawn(app)
        assert "status:cancel" in drawn(app)
    written = [json.loads(line)["number"] for line in (tmp_path / "some.jsonl").read_text().splitlines()]
    assert written == [NUMBERS[5], NUMBERS[1], NUMBERS[6]]


# How it looks


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_everything_of_it_is_in_sight(path: Path, size: tuple[int, int]) -> None:
    async with on_stage(path, start="payments", size=size) as (app, pilot):
        await ask(pilot, "d")
        for words in ("Delete 7 of 8 orders?", "EUR", "u undoes", "Reason", "How many", "No", "y  Yes, delete 7"):
            assert words in drawn(app)
        assert_inside(app)
        for other in (*SIZES, size):
            await resize(pilot, *other)
            await settle(pilot)
            assert_inside(app)
        lines = app.screen.query_one(Lines)
        await press(pilot, "pagedown", "pagedown", "pagedown")
        assert lines.scroll_offset.y == lines.max_scroll_y
        assert NUMBERS[4] in drawn(app)
        await press(pilot, "pageup", "pageup", "pageup")
        assert lines.scroll_offset.y == 0
        await say(pilot, 7, "twice")
        assert_inside(app)
        assert "7 orders deleted, 1 left out: u undoes" in " ".join(drawn(app).split())
        assert "Enter back" in drawn(app)


async def test_hostile_numbers_are_asked_about_and_told_harmlessly(tmp_path: Path) -> None:
    numbers = tuple(f"{place:02}{text}" for place, text in enumerate(HOSTILE))

    def fill() -> None:
        office = add_office()
        for place, number in enumerate(numbers):
            add_order(office, [], CANCEL if place % 2 else TIME_OUT, history=True, number=number)

    path = make_database(tmp_path, fill)
    mark(*numbers)
    async with on_stage(path, start="payments") as (app, pilot):
        await ask(pilot, "x", "not possible")
        assert_harmless(app)
        await press(pilot, "escape")
        await ask(pilot, "d")
        assert_harmless(app)
        await say(pilot, len(numbers), "twice")
        assert f"{len(numbers)} orders deleted" in drawn(app)
        assert_harmless(app)
        await press(pilot, "enter")
        assert_harmless(app)
