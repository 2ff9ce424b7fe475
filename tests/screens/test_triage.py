"""Triage: a queue with all ranks, worked off by keys; the cursor goes on, the count goes down."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from random import Random

import apsw
import pytest
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.commands import OF_TRIGGER
from smartsub_tui.data.filters import parse_users
from smartsub_tui.data.triage import FILTERS, MOST, OF_ORDERS, QueuedOffice, QueuedOrder
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName, Rank, Role, UserKind
from smartsub_tui.screens.dashboard import DashboardScreen
from smartsub_tui.screens.order_actions import offered
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.screens.question import Question
from smartsub_tui.screens.renew import RenewScreen
from smartsub_tui.screens.subscriptions import SubscriptionsScreen
from smartsub_tui.screens.triage import TriageScreen
from smartsub_tui.widgets.frame import KeyLine
from smartsub_tui.widgets.queue_list import QueueList
from tests.screens.stage import drawn, make_database, on_stage, press, resize, settle, toasts, until, write
from tests.screens.test_journey import status_of
from tests.screens.test_typed_ahead import at_once
from tests.support import (
    NOW,
    TODAY,
    FixedClock,
    add_community,
    add_office,
    add_order,
    add_payment,
    add_people,
    add_person,
)

UNKNOWN, IMPORTED = "20261120080000000001", "20261121080000000002"
WAITS, LESS = "20261119080000000003", "20261121090000000004"
FAILED, OLD = "20261122080000000005", "20261110080000000006"
SOON, SOONER = "20261121100000000007", "20261121093000000008"
LATER = TODAY + timedelta(days=200)


def fill(*, settled_by_hand: bool = True, expiring: bool = True) -> None:
    """Two of everything. Of `settled_by_hand` is what only a refund takes out of the queue."""
    oak, elm = add_office("Oak House"), add_community("Elm Court")
    orders = {
        UNKNOWN: (OrderStatus.SYSTEM_PROCESSING, 49, 24),
        IMPORTED: (OrderStatus.SYSTEM_PROCESSING, 25, 24),
        WAITS: (OrderStatus.TIME_OUT, 73, 24),
        LESS: (OrderStatus.CANCEL, 24, 24),
        FAILED: (OrderStatus.FAILED, 1, 24),
        OLD: (OrderStatus.FAILED, 12 * 24, 24),
        SOON: (OrderStatus.PROCESSING, 23, 24),
        SOONER: (OrderStatus.PROCESSING, 23.5, 24),
    }
    if not settled_by_hand:
        del orders[LESS]
    for number, (status, hours, within) in orders.items():
        created = NOW - timedelta(hours=hours)
        order = add_order(
            oak,
            add_people(oak, f"of {number}", expires_on=LATER),
            status,
            number=number,
            created_at=created,
            pay_by=created + timedelta(hours=within),
        )
        if number == UNKNOWN:
            add_payment(order, PaymentState.UNKNOWN)
        if number in (WAITS, LESS):
            amount = 100 if number == LESS else None
            add_payment(order, PaymentState.SUCCEEDED, ProviderName.MANUAL, amount=amount, reference="transfer 17")
    if not expiring:
        return
    add_people(oak, "o1", "o2", expires_on=TODAY + timedelta(days=10))
    add_people(elm, "e1", "e2", expires_on=TODAY + timedelta(days=3))
    add_person(elm, "f1", kind=UserKind.FAMILY, expires_on=TODAY + timedelta(days=5))
    add_people(elm, "e3", expires_on=LATER)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


def here(app: SmartSubApp) -> str:
    """What is under the cursor: the number of an order, or the name of an office."""
    assert isinstance(app.screen, TriageScreen), app.screen
    item = app.screen.queue_list.current
    return "" if item is None else item.number if isinstance(item, QueuedOrder) else item.office


def place(app: SmartSubApp) -> str:
    """ "3 of 42", as the masthead says it."""
    return drawn(app).splitlines()[0].split("Triage")[1].partition("manager")[0].strip()


def elsewhere(path: Path, sql: str, *values: str) -> None:
    """A change by another process, on a connection of its own."""
    connection = apsw.Connection(str(path))
    connection.execute(sql, values)
    connection.close()


async def answer(app: SmartSubApp, pilot: Pilot[None], key: str, text: str = "") -> None:
    """Press a key that asks, type what it needs, and say Yes."""
    await pilot.press(key)
    await until(pilot, lambda: isinstance(app.screen, Question))
    if text:
        await write(pilot, text)
        await press(pilot, "enter")
    await press(pilot, "y")
    await until(pilot, lambda: isinstance(app.screen, TriageScreen))


# Working it off


@pytest.mark.long
async def test_a_queue_of_all_ranks_is_worked_off_by_keys(tmp_path: Path) -> None:
    """Each as a person would settle it; the cursor goes on by itself, and what is left to do goes down."""
    path = make_database(tmp_path, lambda: fill(settled_by_hand=False))
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T")
        for rank in Rank:
            assert rank.label in drawn(app) or rank is Rank.EXPIRING
        assert (here(app), place(app)) == (UNKNOWN, "1 of 9")
        await answer(app, pilot, "c", "the bank says so")
        assert (here(app), place(app)) == (IMPORTED, "1 of 8")
        await answer(app, pilot, "f", "it never came")  # now it is one of those that failed
        assert (here(app), place(app)) == (WAITS, "1 of 8")
        await answer(app, pilot, "A")
        assert (here(app), place(app)) == (OLD, "1 of 7")
        await answer(app, pilot, "r")
        assert (here(app), place(app)) == (FAILED, "1 of 6")
        await answer(app, pilot, "p", "receipt 17")
        assert (here(app), place(app)) == (IMPORTED, "1 of 5")
        await answer(app, pilot, "x", "not wanted")
        assert (here(app), place(app)) == (SOONER, "1 of 4")
        await answer(app, pilot, "p", "receipt 18")
        assert (here(app), place(app)) == (SOON, "1 of 3")
        await answer(app, pilot, "d", "entered twice")
        assert (here(app), place(app)) == ("Elm Court", "1 of 2")
        for left, family in (("Elm Court", False), ("Oak House", True), ("", False)):
            await press(pilot, "n")
            await until(pilot, lambda: isinstance(app.screen, RenewScreen))
            await press(pilot, *(["v"] if family else []), "A", "enter")
            await until(pilot, lambda: isinstance(app.screen, Question))
            await press(pilot, "y")
            await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
            await press(pilot, "1")
            assert here(app) == left
        await until(pilot, lambda: "Nothing needs you: everything is settled, as of 09:00:00." in drawn(app))
        for rank in Rank:
            assert f"  .  {rank.label}" in drawn(app)
        assert place(app) == ""
        await press(pilot, "p", "c", "enter", "n", "greater_than_sign", "j", "G", "y", "i")
        assert isinstance(app.screen, TriageScreen)
        await press(pilot, "escape")
        seen = drawn(app)
        for rank in Rank:
            assert f"  .  {rank.label}" in seen
    assert {number: status_of(path, number) for number in (UNKNOWN, IMPORTED, WAITS, OLD, FAILED, SOONER, SOON)} == {
        UNKNOWN: "succeed",
        IMPORTED: "cancel",
        WAITS: "succeed",
        OLD: "failed",
        FAILED: "succeed",
        SOONER: "succeed",
        SOON: "cancel",
    }


async def test_from_the_middle_the_cursor_goes_on_and_from_the_end_one_back(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T", "j", "j", "j", "j")
        assert (here(app), place(app)) == (OLD, "5 of 10")
        await answer(app, pilot, "x", "not wanted")
        assert (here(app), place(app)) == (FAILED, "5 of 9")
        assert f"cancelled {OLD}" in toasts(app)
        assert OLD not in "".join(drawn(app).splitlines()[:15])
        await answer(app, pilot, "x", "not wanted")
        assert (here(app), place(app)) == (SOONER, "5 of 8")
        assert "failed" not in drawn(app)


async def test_behind_the_last_the_cursor_is_on_the_one_before(tmp_path: Path) -> None:
    path = make_database(tmp_path, lambda: fill(expiring=False))
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T", "G")
        assert (here(app), place(app)) == (SOON, "8 of 8")
        await answer(app, pilot, "d", "entered twice")
        assert (here(app), place(app)) == (SOONER, "7 of 7")


async def test_what_is_typed_behind_an_answer_is_about_the_next_one(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T", *"jjjj")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await write(pilot, "not wanted")
        await press(pilot, "enter")
        at_once(app, "y", "d")
        await until(pilot, lambda: isinstance(app.screen, Question) and FAILED in drawn(app))
        assert f"Delete order {FAILED}?" in drawn(app)
        await press(pilot, "escape", "escape")
        assert status_of(path, OLD) == "cancel"


async def test_what_is_typed_behind_an_answer_that_is_refused_is_not_done(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T", *"jjjj")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await write(pilot, "not wanted")
        await press(pilot, "enter")
        elsewhere(path, "UPDATE orders SET version = version + 1 WHERE number = ?", OLD)
        at_once(app, "y", "d")
        await until(pilot, lambda: toasts(app))
        await settle(pilot)
        assert "was changed by someone else meanwhile" in toasts(app)[-1]
        if isinstance(app.screen, Question):  # the refusal was quicker than the key behind it, which then asks anew
            await press(pilot, "escape")
        assert here(app) == OLD
        assert status_of(path, OLD) != "cancel"
        # And it can go on.
        await answer(app, pilot, "x", "not wanted")
        assert here(app) == FAILED


async def test_what_others_settled_is_gone_with_the_next_look_and_the_cursor_stays(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T", *"jjjj")
        elsewhere(path, "UPDATE orders SET status = 'cancel' WHERE number IN (?, ?)", FAILED, SOON)
        await press(pilot, "f5")
        assert (here(app), place(app)) == (OLD, "5 of 8")
        elsewhere(path, "UPDATE orders SET status = 'cancel' WHERE number = ?", OLD)
        await press(pilot, "f5")
        assert (here(app), place(app)) == (SOONER, "5 of 7")


# What can be done


async def test_the_footer_offers_what_is_legal_for_the_item_and_the_lines_say_why_not_the_rest(path: Path) -> None:
    async with on_stage(path, size=(140, 50)) as (app, pilot):
        await press(pilot, "T")
        seen = set()
        for _ in range(10):
            assert isinstance(app.screen, TriageScreen)
            item, shown = app.screen.queue_list.current, app.screen.query_one(KeyLine).shown
            triggers = {each for each in shown if each in {command.id for command in OF_TRIGGER.values()}}
            if isinstance(item, QueuedOffice):
                assert triggers == set()
                assert "renew" in shown
            else:
                offers = await app.backend.call(offered, here(app))
                assert triggers == {OF_TRIGGER[each.trigger].id for each in offers if each.possible}
                assert triggers
                assert "renew" not in shown
                text = " ".join(drawn(app).split())
                for each in offers:
                    command = OF_TRIGGER[each.trigger]
                    if each.possible:
                        assert f"{command.shown} {each.trigger.label}" in text
                    elif each.reason not in ("it is not deleted", *(f"it is {status.label}" for status in OrderStatus)):
                        assert f"({command.shown} {command.label}: {each.reason})" in text
            assert shown[-1] in ("help", "copy")
            assert "later" in shown
            seen.add(frozenset(triggers))
            await press(pilot, "j")
        assert len(seen) > 3


async def test_money_that_is_here_is_applied_before_all_else(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T", "j", "j")
        assert here(app) == WAITS
        assert drawn(app).splitlines()[-1].startswith(" A apply  c confirm")
        assert "EUR 5.95  succeeded, waits to be applied, reference tran" in drawn(app)


async def test_what_the_waiting_money_would_do_is_said(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T", "j", "j")
        assert here(app) == WAITS
        assert "A: Name of of 202611190800… 2027-06-10 -> 2027-07-10; paid, late" in drawn(app)
        assert "R: paid back EUR 5.95 by hand; no date moves" in drawn(app)
        await press(pilot, "j")
        assert here(app) == LESS
        assert "A:" not in drawn(app)
        assert "R: paid back EUR 1.00 by hand; no date moves" in drawn(app)


async def test_what_is_not_possible_says_why_as_everywhere(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T", "p")
        assert toasts(app) == ["pay: not possible, its payment is being processed: confirm it when the money is there"]
        await press(pilot, "G", "p", "x", "A", "i", "y")  # an office is no order
        assert isinstance(app.screen, TriageScreen)
        assert len(toasts(app)) == 1


async def test_a_viewer_sees_the_queue_and_that_nothing_may_be_done(tmp_path: Path) -> None:
    path = make_database(tmp_path, fill, Role.VIEWER)
    async with on_stage(path, role=Role.VIEWER) as (app, pilot):
        await press(pilot, "T")
        assert "(c confirm: a viewer may not)" in drawn(app)
        assert "Nothing can be done with it here but looking." in drawn(app)
        assert drawn(app).splitlines()[-1].startswith(" > later  Enter info")


# Later


async def test_later_goes_to_the_end_of_its_rank_for_this_session(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T", "greater_than_sign")
        assert (here(app), place(app)) == (IMPORTED, "1 of 10")
        await press(pilot, "j")
        assert (here(app), place(app)) == (UNKNOWN, "2 of 10")
        await press(pilot, "f5", "escape")
        assert isinstance(app.screen, DashboardScreen)
        await press(pilot, "T")
        assert here(app) == IMPORTED
        # The last of a rank goes on to the next rank; twice round, the rank is as it was.
        await press(pilot, "j", "greater_than_sign")
        assert (here(app), place(app)) == (WAITS, "3 of 10")
        await press(pilot, "g", "greater_than_sign")
        assert here(app) == UNKNOWN
        await press(pilot, "G", "greater_than_sign")
        assert (here(app), place(app)) == ("Oak House", "10 of 10")
        assert toasts(app) == ["it is the last one: put off, it stays the last"]
        # An answer leaves the order that was chosen so.
        await press(pilot, "g")
        await answer(app, pilot, "c", "the bank says so")
        assert (here(app), place(app)) == (IMPORTED, "1 of 9")


async def test_u_takes_back_what_was_deleted_and_what_was_put_off(path: Path) -> None:
    clock = FixedClock()
    async with on_stage(path, clock=clock) as (app, pilot):
        await press(pilot, "T", "j", "greater_than_sign", "g", "j", "j", "j", "j")
        assert here(app) == OLD
        await answer(app, pilot, "d", "entered twice")
        assert (here(app), place(app)) == (FAILED, "5 of 9")
        assert "u undo" in drawn(app)
        await press(pilot, "u")
        await until(pilot, lambda: place(app) == "6 of 10")
        assert here(app) == FAILED  # it came back above the cursor
        clock.advance(seconds=5)
        await press(pilot, "g", "greater_than_sign")
        assert here(app) == IMPORTED
        clock.advance(seconds=5)
        await press(pilot, "u")
        assert "undone: 20261120080000000001 is no longer put off" in toasts(app)
        await press(pilot, "g")
        assert here(app) == UNKNOWN


# The ways to it and from it


async def test_t_opens_it_from_payments_too_and_one_comes_back_to_it_as_it_was(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "3", "T", "j", "j", "2")
        assert isinstance(app.screen, SubscriptionsScreen)
        await press(pilot, "1")
        assert here(app) == WAITS
        await press(pilot, "enter", "3", "T")
        assert here(app) == WAITS
        await press(pilot, "3")
        assert isinstance(app.screen, PaymentsScreen)
        await press(pilot, "1", "1")
        assert isinstance(app.screen, DashboardScreen)


async def test_the_heading_of_the_panel_opens_it_and_its_lines_their_lists(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        row = next(place for place, line in enumerate(drawn(app).splitlines()) if "NEEDS YOU" in line)
        await pilot.click(offset=(12, row))
        await settle(pilot)
        assert here(app) == UNKNOWN
        await press(pilot, "1")
        for number, rank in enumerate(Rank):  # the click has given the panel the focus
            await press(pilot, *(["j"] if number else []), "enter")
            if rank in OF_ORDERS:
                assert isinstance(app.screen, PaymentsScreen)
                assert app.screen.filter.describe() == FILTERS[rank]
            else:
                assert isinstance(app.screen, SubscriptionsScreen)
                assert app.screen.filter_text == FILTERS[rank]
            await press(pilot, "1")


async def test_n_opens_renew_with_the_people_who_are_counted(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T", "n")  # on an order it does nothing
        assert here(app) == UNKNOWN
        for key in ("n", "enter"):
            await press(pilot, "G", key)
            await until(pilot, lambda: isinstance(app.screen, RenewScreen))
            assert isinstance(app.screen, RenewScreen)
            assert app.screen.office.name == "Oak House"
            assert app.screen.filter_bar.filter == parse_users("state:expiring order:none")
            await until(pilot, lambda: "2 of 10" in drawn(app))
            await press(pilot, "1")
            assert here(app) == "Oak House"


async def test_what_is_typed_behind_n_is_meant_for_renew(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T", "G")
        before = here(app)
        at_once(app, *"n>m7")  # > would put it off
        await until(pilot, lambda: isinstance(app.screen, RenewScreen) and app.screen.months.value == "7")
        assert not app.later
        assert before == "Oak House"


async def test_enter_opens_info_and_its_neighbours_are_those_of_the_queue(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T", *"jjjj", "enter")
        assert isinstance(app.screen, OrderInfoScreen)
        assert f"Dashboard > Triage > {OLD}" in drawn(app)
        assert "5 of 8" in drawn(app)
        await press(pilot, "right_square_bracket")
        assert f"Dashboard > Triage > {FAILED}" in drawn(app)
        await press(pilot, *["left_square_bracket"] * 2)
        assert f"Dashboard > Triage > {LESS}" in drawn(app)
        assert "4 of 8" in drawn(app)
        await press(pilot, *["left_square_bracket"] * 5)
        assert "this is the first order of the list" in toasts(app)
        await press(pilot, *["right_square_bracket"] * 9)
        assert f"Dashboard > Triage > {SOON}" in drawn(app)
        assert "this is the last of the list" in toasts(app)
        await press(pilot, "escape")
        assert (here(app), place(app)) == (OLD, "5 of 10")


async def test_what_is_settled_in_info_has_left_the_queue_and_is_still_a_neighbour(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T", *"jjjj", "enter")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await write(pilot, "not wanted")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: "- Cancel" in drawn(app))
        await press(pilot, "right_square_bracket", "left_square_bracket")
        assert f"Dashboard > Triage > {OLD}" in drawn(app)
        await press(pilot, "escape")
        assert (here(app), place(app)) == (FAILED, "5 of 9")


# The list


async def test_the_cursor_stands_on_items_only_and_is_always_seen_with_its_heading(path: Path) -> None:
    async with on_stage(path, size=(60, 18)) as (app, pilot):
        await press(pilot, "T")
        random, keys = Random(7), ["j", "k", "g", "G", "pagedown", "pageup", "home", "end", "down", "up"]
        assert isinstance(app.screen, TriageScreen)
        shown = app.screen.queue_list
        for _ in range(30):
            await press(pilot, random.choice(keys))
            assert here(app)
            lines = drawn(app).splitlines()[2 : 2 + shown.size.height]
            if shown.current is not None and shown.current.key == (Rank.UNKNOWN, 1):
                assert Rank.UNKNOWN.label in lines[0]
            assert any(here(app) in line for line in lines)
        await press(pilot, "g")
        assert here(app) == UNKNOWN
        assert Rank.UNKNOWN.label in drawn(app)
        await resize(pilot, 80, 24)
        await settle(pilot)
        await press(pilot, "G")
        await resize(pilot, 60, 18)
        await settle(pilot)
        assert "Oak House" in drawn(app).splitlines()[2 + shown.size.height - 1]


async def test_a_click_moves_the_cursor_a_second_one_opens_and_a_heading_does_nothing(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T")
        for row, expected in ((6, WAITS), (5, WAITS), (2, WAITS), (3, UNKNOWN), (4, IMPORTED)):
            await pilot.click(offset=(10, row + 0))
            await settle(pilot)
            assert here(app) == expected, row
        await pilot.click(offset=(60, 4))
        await settle(pilot)
        assert isinstance(app.screen, OrderInfoScreen)


async def test_thousands_are_counted_and_the_first_are_there(tmp_path: Path) -> None:
    def many() -> None:
        oak = add_office("Oak House")
        for each in range(MOST + 30):
            add_order(oak, [], OrderStatus.FAILED, number=f"{each:020}", created_at=NOW - timedelta(hours=each))

    path = make_database(tmp_path, many)
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T")
        assert f"{MOST + 30}  failed, the first {MOST}" in drawn(app)
        assert (here(app), place(app)) == (f"{MOST + 29:020}", "1 of 530")
        await press(pilot, "G")
        assert place(app) == "500 of 530"
        assert app.screen.query_one(QueueList).virtual_size.height == MOST + 1


async def test_slash_in_info_of_the_queue_types_into_payments_that_were_never_seen(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "T", *"jjjj", "enter")
        assert isinstance(app.screen, OrderInfoScreen)
        at_once(app, "/", *FAILED, "enter")
        await until(pilot, lambda: f"Payments > {FAILED}" in drawn(app))
