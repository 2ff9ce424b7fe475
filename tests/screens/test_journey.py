"""Renew, pay, find and open with a pilot, and what each screen does with a wrong key or a wrong word."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw
import pytest
from textual.widgets import Button, Input

from smartsub_tui.app import SmartSubApp
from smartsub_tui.data.vocabulary import OrderStatus, OrderType, Role, UserKind
from smartsub_tui.screens import order_info
from smartsub_tui.screens.dashboard import DashboardScreen
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.screens.question import Question
from smartsub_tui.screens.renew import RenewScreen
from smartsub_tui.screens.subscriptions import SubscriptionsScreen
from smartsub_tui.widgets.field import Field
from smartsub_tui.widgets.frame import KeyLine
from smartsub_tui.widgets.order_table import OrderTable
from tests.screens.stage import drawn, left, make_database, on_stage, press, resize, settle, toasts, until, write
from tests.support import (
    NOW,
    TODAY,
    FixedClock,
    add_community,
    add_office,
    add_order,
    add_people,
    add_person,
    gross,
)

# What can be done with the list itself, and from it.
LISTING = ("filter", "by_status", "by_type", "sort", "quit", "help", "export", "billing", "copy")


def fill() -> None:
    oak = add_office("Oak House")
    add_people(oak, *(f"u{place:03}" for place in range(30)), expires_on=date(2026, 12, 31))
    add_person(oak, "m1", name="Mara Manager", kind=UserKind.PROPERTY_MANAGER, expires_on=TODAY - timedelta(days=3))
    add_person(oak, "i1", name="Ina Inactive")
    elm = add_community("Elm Court")
    add_person(elm, "e1", name="Emil Elm", expires_on=date(2027, 1, 31), apartment="1A")
    add_person(elm, "f1", name="Fanny Family", kind=UserKind.FAMILY, expires_on=date(2027, 1, 31), apartment="1A")
    held = add_people(oak, "h1", expires_on=TODAY)
    add_order(oak, held, OrderStatus.SYSTEM_PROCESSING, number="20261101000000000001")
    for place, status in enumerate((OrderStatus.SUCCEED, OrderStatus.FAILED, OrderStatus.TIME_OUT, OrderStatus.CANCEL)):
        add_order(
            oak,
            [],
            status,
            history=True,
            type=OrderType.ACTIVATION if place % 2 else OrderType.SUBSCRIPTION,
            number=f"2026100{place}000000000000",
            created_at=NOW - timedelta(days=place + 1),
        )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


def look(path: Path, sql: str, *values: str) -> Any:
    """One value, read by a connection of its own: the models belong to the application."""
    connection = apsw.Connection(str(path))
    try:
        return connection.execute(sql, values).get
    finally:
        connection.close()


def expires_on(path: Path, key: str) -> str:
    sql = "SELECT expires_on FROM subscription JOIN users ON users.id = user_id WHERE key = ?"
    return str(look(path, sql, key))


def status_of(path: Path, number: str) -> str:
    return str(look(path, "SELECT status FROM orders WHERE number = ?", number))


async def test_renew_pay_find_and_open(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "n")  # Elm Court, then Oak House
        assert isinstance(app.screen, RenewScreen)
        assert "Oak House" in drawn(app)
        await press(pilot, "slash")
        await write(pilot, "u00")
        await press(pilot, "enter", "A", "plus", "plus")
        assert "10 marked" in drawn(app)
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, Question))
        total = gross(10 * 3 * 500)
        assert f"total EUR {total / 100:,.2f}" in drawn(app)
        await press(pilot, "y")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        assert "created but not paid yet" in drawn(app)
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await write(pilot, "cash 17")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: "INV-2026-000001" in drawn(app))
        assert expires_on(path, "u003") == "2027-03-31"
        assert expires_on(path, "u012") == "2026-12-31"
        await press(pilot, "3", "3")
        assert isinstance(app.screen, PaymentsScreen)
        await press(pilot, "slash")
        await write(pilot, "status:succeed type:subscription 20261122")
        await press(pilot, "enter", "enter")
        assert isinstance(app.screen, OrderInfoScreen)
        assert "✓ Succeed" in drawn(app)


async def test_a_community_renews_to_a_date_and_an_office_does_not(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n", "u")
        await write(pilot, "2027-06-15")
        await press(pilot, "enter", "A")
        assert "2027-06-15" in drawn(app)
        assert "1 marked" in drawn(app)
        await press(pilot, "u")
        assert "Space mark" not in drawn(app).splitlines()[-1]  # it would be a letter of the field
        await write(pilot, "2027-07-15")
        assert app.screen.query_one("#until", Input).value == "2027-07-15"
        await press(pilot, "enter")
        assert "Space mark" in drawn(app).splitlines()[-1]
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await press(pilot, "y")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        assert "Next Expiration Date" in drawn(app)
        await press(pilot, "1", "j", "n", "u")
        assert any("only a community" in each for each in toasts(app))


@pytest.mark.parametrize("bad", ["0", "61", "1.5", "abc", "-1"])
async def test_months_out_of_range_are_refused_in_the_field(path: Path, bad: str) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "n", "A", "m", "ctrl+u")
        await write(pilot, bad)
        assert "months is a whole number from 1 to 60" in drawn(app)
        await press(pilot, "enter", "enter")
        assert isinstance(app.screen, RenewScreen)
        assert app.screen.focused is app.screen.months  # there is no term to go on with
        assert app.screen.months.value == bad  # what was typed is kept
        await press(pilot, "ctrl+u")
        assert "how many months?" in drawn(app)


async def test_who_cannot_be_renewed_is_not_marked_and_the_line_says_why(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "n", "slash")
        await write(pilot, "h1")
        await press(pilot, "enter", "space")
        assert "is in an open order, 20261101000000000001" in drawn(app)
        assert isinstance(app.screen, RenewScreen)
        assert app.screen.marked == set()
        await press(pilot, "A")
        assert app.screen.marked == set()


async def test_family_members_are_renewed_apart(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n")
        assert "Emil Elm" in drawn(app)
        assert "Fanny Family" not in drawn(app)
        await press(pilot, "v")
        assert "Fanny Family" in drawn(app)
        assert "Emil Elm" not in drawn(app)


@pytest.mark.parametrize("key", ["escape", "q", "a"])
async def test_marks_are_not_lost_by_one_key(path: Path, key: str) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "n", "space", "space", key)
        renew = app.screen
        assert isinstance(renew, RenewScreen)
        assert "1 marked: " in toasts(app)[-1]  # the second of them cannot be
        await press(pilot, "v", "v", "j", "j", "space", key)
        assert app.screen is renew  # another mark, another warning
        assert "2 marked: " in toasts(app)[-1]
        await press(pilot, key)
        assert app.screen is not renew
        assert "the marks go" not in drawn(app)


async def test_marks_survive_a_filter(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "n", "space", "slash")
        await write(pilot, "u029")
        await press(pilot, "enter", "space")
        await press(pilot, "escape")
        assert isinstance(app.screen, RenewScreen)
        assert len(app.screen.marked) == 2


async def test_enter_is_no_and_nothing_is_made(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "n", "A", "enter")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await press(pilot, "enter")
        assert isinstance(app.screen, RenewScreen)
        await press(pilot, "3")
        assert "5 of 5" in drawn(app)


@pytest.mark.parametrize("answer", ["No", "Yes"])
async def test_a_question_is_answered_once_however_quickly_a_key_is_repeated(path: Path, answer: str) -> None:
    """Each key is a message: the second may be on its way before the first has closed the question."""
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "n", "A", "enter")
        await until(pilot, lambda: isinstance(app.screen, Question))
        question = app.screen
        assert isinstance(question, Question)
        for _ in range(2):
            if answer == "No":
                question.query_one(Button).press()
            else:
                question.action_yes()
        await until(pilot, lambda: app.screen is not question)
        if answer == "Yes":
            await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        assert isinstance(app.screen, RenewScreen if answer == "No" else OrderInfoScreen)


async def test_an_empty_reference_is_refused_and_y_in_the_field_is_a_letter(path: Path) -> None:
    async with on_stage(path, start="payments", filter_text="status:system") as (app, pilot):
        await press(pilot, "c")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await press(pilot, "enter")
        assert "reference is empty" in drawn(app)
        await write(pilot, "y")
        assert isinstance(app.screen, Question)
        await press(pilot, "escape")
        assert isinstance(app.screen, Question)  # what was typed is not lost by one key
        await press(pilot, "escape")
        assert isinstance(app.screen, PaymentsScreen)
    assert status_of(path, "20261101000000000001") == "system_processing"


async def test_the_key_line_shows_what_is_legal_for_the_order_under_the_cursor(path: Path) -> None:
    async with on_stage(path, start="payments", filter_text="status:system") as (app, pilot):
        assert app.screen.query_one(KeyLine).shown == ("info", "confirm", "fail", *LISTING)
        await press(pilot, "escape", "slash")
        await write(pilot, "status:cancel")
        await press(pilot, "enter")
        assert app.screen.query_one(KeyLine).shown == ("info", "delete", *LISTING)
        await press(pilot, "p")
        assert any("cancelled" in each for each in toasts(app))


async def test_a_viewer_is_offered_nothing_that_changes_an_order(tmp_path: Path) -> None:
    path = make_database(tmp_path, fill, Role.VIEWER)
    async with on_stage(path, start="payments", role=Role.VIEWER) as (app, pilot):
        assert app.screen.query_one(KeyLine).shown == ("info", *LISTING)
        await press(pilot, "f")
        assert any("a viewer may not" in each for each in toasts(app))


async def test_delete_hides_and_restore_brings_back(path: Path) -> None:
    async with on_stage(path, start="payments", filter_text="status:failed") as (app, pilot):
        await press(pilot, "d")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await write(pilot, "entered twice")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: "No orders match" in drawn(app))
        await press(pilot, "slash")
        await write(pilot, " is:deleted")
        await press(pilot, "enter", "D")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await press(pilot, "y")
        await until(pilot, lambda: "No orders match" in drawn(app))
    assert look(path, "SELECT deleted_at FROM orders WHERE number = '20261001000000000000'") is None


async def test_a_wrong_filter_is_marked_in_place_and_the_old_result_stays(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, "status:faild")
        assert "did you mean failed?" in drawn(app)
        assert "5 of 5" in drawn(app)
        await press(pilot, "backspace", "backspace")
        await write(pilot, "led")
        assert "1 of 5" in drawn(app)


async def test_filter_and_cursor_survive_going_in_and_back(path: Path) -> None:
    async with on_stage(path, start="payments", filter_text="status:failed,timeout,cancel") as (app, pilot):
        await press(pilot, "j", "enter")
        assert isinstance(app.screen, OrderInfoScreen)
        await press(pilot, "escape")
        assert "3 of 5" in drawn(app)
        assert app.screen.query_one(OrderTable).cursor_row == 1


NEIGHBOURS = {"neighbour_before", "neighbour_after"}


def shown(app: SmartSubApp) -> set[str]:
    """The commands that the key line names."""
    return set(app.screen.query_one(KeyLine).shown)


async def test_neighbours_are_walked_without_leaving(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "enter")
        first = app.screen
        assert isinstance(first, OrderInfoScreen)
        numbers = [first.chosen_order()]
        for _ in range(5):
            await press(pilot, "right_square_bracket")
            numbers.append(first.chosen_order())
        assert len(set(numbers)) == 5
        assert numbers[4] == numbers[5]
        assert any("last of the list" in each for each in toasts(app))
        assert shown(app) & NEIGHBOURS == NEIGHBOURS
        await press(pilot, "left_square_bracket")
        assert first.chosen_order() == numbers[3]
        await press(pilot, "escape")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.chosen_order() == numbers[3]
        await press(pilot, "g", "enter")
        assert shown(app) & NEIGHBOURS == {"neighbour_after"}


async def test_digits_choose_modes_and_q_goes_back_and_out(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "3")
        assert isinstance(app.screen, PaymentsScreen)
        await press(pilot, "2")
        assert isinstance(app.screen, SubscriptionsScreen)
        await press(pilot, "enter")
        assert isinstance(app.screen, RenewScreen)
        await press(pilot, "q")
        assert isinstance(app.screen, SubscriptionsScreen)
        await press(pilot, "q")
        assert isinstance(app.screen, DashboardScreen)
        await pilot.press("q")
        await left(app)
        assert app.return_code == 0


async def test_every_line_of_the_dashboard_opens_the_list_that_it_counts(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        assert "1  payments with unknown outcome" in drawn(app)
        await press(pilot, "tab", "enter")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter.describe() == "is:unknown"
        assert "1 of 5" in drawn(app)
        await press(pilot, "1", "j", "j", "j", "j", "enter", "enter")
        assert isinstance(app.screen, RenewScreen)
        assert app.screen.filter_bar.filter.describe() == "state:expiring order:none"


@pytest.mark.long
async def test_screens_are_left_while_their_answers_are_on_the_way(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        for _ in range(5):
            # Typed without waiting for what each key brings.
            await pilot.press("2", "enter", "q", "1", "n", "A", "escape", "3", "enter", "q", "1")
        await settle(pilot)
        assert isinstance(app.screen, DashboardScreen)


async def test_all_is_marked_when_it_was_typed_ahead(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j")
        await pilot.press("n", "A")
        await until(pilot, lambda: "31 marked" in drawn(app))


async def test_a_wrong_filter_is_not_left_by_enter(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, "status:faild")
        await press(pilot, "enter")
        assert isinstance(app.screen, PaymentsScreen)
        assert isinstance(app.screen.focused, Field)
        await press(pilot, "escape")
        assert isinstance(app.screen.focused, OrderTable)


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (200, 60)])
@pytest.mark.parametrize(("key", "field", "yes"), [("f", "Reason", "Yes, fail"), ("c", "Reference", "Confirm EUR")])
async def test_a_question_shows_its_field_and_answers_at_every_size(
    path: Path, size: tuple[int, int], key: str, field: str, yes: str
) -> None:
    async with on_stage(path, size=size, start="payments", filter_text="status:system") as (app, pilot):
        await press(pilot, key)
        await until(pilot, lambda: isinstance(app.screen, Question))
        assert field in drawn(app)
        assert f"y  {yes}" in drawn(app)


async def test_a_change_goes_on_when_another_key_is_pressed(path: Path) -> None:
    async with on_stage(path, start="payments", filter_text="status:failed") as (app, pilot):
        await press(pilot, "d")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await write(pilot, "twice")
        await press(pilot, "enter")
        await pilot.press("y", "1")
        await until(pilot, lambda: any("deleted 2026" in each for each in toasts(app)))


async def test_the_orders_of_an_office_are_one_key_away(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "o")
        assert isinstance(app.screen, PaymentsScreen)
        assert "5 of 5" in drawn(app)


async def test_a_new_database_says_the_next_step(tmp_path: Path) -> None:
    path = make_database(tmp_path, lambda: None)
    async with on_stage(path) as (app, pilot):
        assert "I  import" in drawn(app)
        await press(pilot, "3")
        await until(pilot, lambda: "No orders yet" in drawn(app))
        await press(pilot, "2", "enter", "n")
        assert "No offices yet" in drawn(app)


async def test_what_is_due_is_timed_out_by_the_refresh(path: Path) -> None:
    clock = FixedClock()
    async with on_stage(path, clock=clock) as (app, pilot):
        await press(pilot, "j", "n", "space", "enter")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await press(pilot, "y")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        clock.advance(hours=24)
        await press(pilot, "f5")
        await until(pilot, lambda: "o Time out" in drawn(app))


async def test_an_order_that_changed_meanwhile_is_refused(path: Path) -> None:
    async with on_stage(path, start="payments", filter_text="status:system") as (app, pilot):
        await press(pilot, "c")
        await until(pilot, lambda: isinstance(app.screen, Question))
        look(path, "UPDATE orders SET version = version + 1 WHERE status = 'system_processing'")
        await write(pilot, "late")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: any("changed by someone else" in each for each in toasts(app)))
    assert status_of(path, "20261101000000000001") == "system_processing"


async def test_a_resize_keeps_cursor_and_filter(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "j", "j")
        for size in ((120, 40), (60, 18), (200, 60), (80, 24)):
            await resize(pilot, *size)
            await settle(pilot)
            assert app.screen.query_one(OrderTable).cursor_row == 2
            assert "20261001" in drawn(app)


async def test_the_help_of_every_screen_names_its_keys(path: Path) -> None:
    async with on_stage(path, size=(120, 50)) as (app, pilot):
        await press(pilot, "question_mark")
        assert "Renew people of the office" in drawn(app)
        assert "not paid in time, before its time-out" in drawn(app)
        await press(pilot, "escape", "3", "question_mark")
        assert "Hide the order" in drawn(app)


def many() -> None:
    office = add_office("Oak House")
    for place in range(260):
        add_order(
            office,
            [],
            OrderStatus.CANCEL,
            history=True,
            number=f"{20260000000000000000 + place}",
            created_at=NOW - timedelta(minutes=place),
        )


async def test_the_window_moves_with_the_cursor_over_all_orders_and_back(tmp_path: Path) -> None:
    path = make_database(tmp_path, many)
    async with on_stage(path, start="payments") as (app, pilot):
        table = app.screen.query_one(OrderTable)

        def here() -> int:
            assert table.current is not None
            return int(table.current.number) - 20260000000000000000

        seen = [here()]
        while here() < 259:
            await press(pilot, "pagedown")
            seen.append(here())
        assert seen == sorted(seen)
        assert {after - before for before, after in pairwise(seen)} <= {table.page, 259 - seen[-2]}
        await press(pilot, "k", "k")
        assert here() == 257
        await press(pilot, "g")
        assert here() == 0
        await press(pilot, "G")
        assert here() == 259


async def test_types_and_statuses_are_stepped_through_and_counted(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        assert "Failed 1" in drawn(app)
        assert "Subscription 3" in drawn(app)
        await press(pilot, "t")
        assert "type:activation" in drawn(app)
        assert "2 of 5" in drawn(app)
        await press(pilot, "S", "S", "S")
        assert "type:activation status:succeed" in drawn(app)
        assert "No orders match" in drawn(app)
        await press(pilot, "t", "t", "t", "S", "S", "S", "S")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter_bar.input.value == ""
        assert "5 of 5" in drawn(app)


async def test_info_says_where_in_the_list_it_is(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "j", "j", "enter")
        await until(pilot, lambda: "3 of 5" in drawn(app))
        await press(pilot, "right_square_bracket")
        await until(pilot, lambda: "4 of 5" in drawn(app))
        await press(pilot, "left_square_bracket", "left_square_bracket")
        await until(pilot, lambda: "2 of 5" in drawn(app))


async def test_a_click_on_a_head_sorts_by_it(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await pilot.click(OrderTable, offset=(4, 0))
        await until(pilot, lambda: "Order Number v" in drawn(app))
        await pilot.click(OrderTable, offset=(4, 0))
        await until(pilot, lambda: "Order Number ^" in drawn(app))


async def test_another_word_is_typed_behind_the_filter_that_is_there(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, "2026")
        await press(pilot, "enter", "S", "S", "slash")
        await write(pilot, "type:subscription")
        await press(pilot, "enter")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter.describe() == "2026 status:system type:subscription"


async def test_an_office_is_not_acted_on_while_the_cursor_is_elsewhere(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "tab", "n", "a", "o", "U")
        assert isinstance(app.screen, DashboardScreen)
        await press(pilot, "shift+tab", "n")
        assert isinstance(app.screen, RenewScreen)


def test_a_value_that_needs_more_than_half_a_line_has_one_to_itself() -> None:
    iban = "DE02 1203 0000 0000 2020 51"
    pairs = [("Type", "Subscription"), ("Apartments", "3"), ("Paid", "-"), ("By transfer to", iban), ("PO number", "7")]
    assert [line.plain.rstrip() for line in order_info._beside(pairs, 78)] == [
        " Type       Subscription                Apartments 3",
        " Paid       -",
        f" By transfer to {iban}",
        " PO number  7",
    ]
    assert [line.plain.rstrip() for line in order_info._beside(pairs, 100)][1] == (
        " Paid       -                                      " + f"By transfer to {iban}"
    )
