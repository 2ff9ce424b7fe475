"""Keys typed faster than the database answers: each is meant for the answer of what was typed before it."""

from __future__ import annotations

import asyncio
import threading
from datetime import date, timedelta
from pathlib import Path

import pytest
from textual.app import ScreenStackError
from textual.css.query import NoMatches
from textual.events import Key
from textual.keys import _character_to_key

from smartsub_tui.app import SmartSubApp
from smartsub_tui.data import queries
from smartsub_tui.data.queries import Sort
from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.errors import Unavailable
from smartsub_tui.screens.billing_system import BillingSystemScreen
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.screens.dashboard import DashboardScreen
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.pay import PayScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.screens.renew import RenewScreen
from smartsub_tui.widgets.field import Field
from tests.screens.stage import drawn, left, make_database, on_stage, press, settle, toasts, turns, until
from tests.screens.test_journey import look, status_of
from tests.support import NOW, TODAY, add_community, add_office, add_order, add_people, add_person

NEW, OLD = "20261101000000000002", "20261001000000000001"


def fill() -> None:
    oak = add_office("Oak House")
    add_people(oak, *(f"u{place:02}" for place in range(9)), expires_on=date(2026, 12, 31))
    add_person(oak, "x1", name="Xenia Expired", expires_on=TODAY - timedelta(days=3))
    add_person(oak, "x2", name="Xaver Expired", expires_on=TODAY - timedelta(days=4))
    for place, number in enumerate((NEW, OLD)):
        held = add_people(oak, f"h{place}", expires_on=TODAY)
        add_order(oak, held, OrderStatus.PROCESSING, number=number, created_at=NOW - timedelta(hours=place + 1))
    elm = add_community("Elm Court")
    add_person(elm, "e1", name="Emil Elm", apartment="1A")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


def at_once(app: SmartSubApp, *keys: str) -> None:
    """Keys as they come over a slow line, or pasted: all of them before the first is answered."""
    for key in keys:
        character = {"enter": "\r", "escape": "\x1b"}.get(key, key if len(key) == 1 else None)
        app.post_message(Key(_character_to_key(key) if len(key) == 1 else key, character))


@pytest.mark.parametrize("way", [("/", *OLD, "enter"), ("s",)])
async def test_what_is_typed_behind_a_filter_or_a_sort_is_about_what_it_finds(path: Path, way: tuple[str, ...]) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        at_once(app, *way, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        assert f"Payments > {OLD} > Pay" in drawn(app)


async def test_what_is_typed_behind_a_key_that_leads_elsewhere_is_meant_for_there(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        at_once(app, "3", ":", "q", "enter", "j", "3", "/", *OLD, "enter")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        assert f"Payments > {OLD}" in drawn(app)
        at_once(app, "q", "escape", "2", "3", "enter", "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        assert f"Payments > {OLD} > Pay" in drawn(app)
        assert [type(each) for each in app.screen_stack] == [PaymentsScreen, OrderInfoScreen, PayScreen]


async def test_enter_behind_a_first_look_at_payments_opens_what_is_found(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        at_once(app, "3", "/", *"status:processing", "enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        assert f"Payments > {NEW}" in drawn(app)


async def test_keys_held_for_a_screen_that_goes_before_it_is_drawn_are_handed_on(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        app.hold()
        await app.push_screen(OrderInfoScreen(NEW))
        app.let_go()
        app._goes_to = app.screen  # its first picture never comes:
        app._held = [Key("s", "s")]  # what was let go was another list
        app.pop_screen()
        await until(pilot, lambda: app._held is None)
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.listed_as() != ("", "-created")


async def test_keys_wait_for_a_screen_that_is_shown_and_not_made_yet(path: Path) -> None:
    """Where the mouse led there, and where what they were held for led on to another screen."""
    async with on_stage(path, start="payments") as (app, pilot):
        for held in (False, True):
            if held:
                app.hold()
            app.push_screen(OrderInfoScreen(NEW))
            if held:
                at_once(app, ":")
                app.let_go(at_once=True)
            else:
                at_once(app, ":")
            at_once(app, *"messages", "enter")
            await until(pilot, lambda: "Nothing was told in this session yet." in drawn(app))
            await press(pilot, "escape", "escape")
            assert isinstance(app.screen, PaymentsScreen)


async def test_a_screen_that_is_left_before_it_is_made_does_no_harm(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        for moments in range(12):
            app.push_screen(BillingSystemScreen())
            for _ in range(moments):
                await asyncio.sleep(0)
            app.pop_screen()
            await settle(pilot)
        assert "3 Payments" in drawn(app)


async def test_payments_that_are_left_before_they_are_made_have_no_state_to_keep(path: Path) -> None:
    """A click that was on its way leads on from the dashboard while 3 has shown payments already."""
    async with on_stage(path) as (app, pilot):
        dashboard = app.screen
        assert isinstance(dashboard, DashboardScreen)
        app.switch_mode("payments")
        dashboard.action_renew()
        await until(pilot, lambda: isinstance(app.screen, RenewScreen))


async def test_what_is_typed_behind_the_key_that_leaves_does_nothing(path: Path) -> None:
    async with on_stage(path) as (app, _):
        at_once(app, *"3qq:q", "enter", "3", "p", *":q", "enter")
        await left(app)
    assert app.return_code == 0
    async with on_stage(path) as (app, _):
        at_once(app, *":q", "enter", *":q", "enter", "p", *":q", "enter")
        await left(app)
    assert app.return_code == 0


async def test_esc_is_for_the_screen_that_came_as_soon_as_it_did(path: Path) -> None:
    """Drawn or not: there is nothing left that it could stop."""
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "enter")
        assert isinstance(app.screen, OrderInfoScreen)
        app.hold(lambda: pytest.fail("there is nothing to stop"))
        app.let_go()
        at_once(app, "escape")
        await until(pilot, lambda: isinstance(app.screen, PaymentsScreen))


async def test_esc_behind_the_key_that_leaves_stops_nothing_that_is_gone(path: Path) -> None:
    async with on_stage(path) as (app, _):
        app.hold(lambda: pytest.fail("what would be stopped is taken down just now"))
        app.exit()
        await app.on_event(Key("escape", "\x1b"))


@pytest.mark.parametrize("error", [NoMatches("no nodes match"), ScreenStackError("no screens on stack")])
async def test_what_looks_for_its_parts_while_all_is_taken_down_does_no_harm(path: Path, error: Exception) -> None:
    """A callback of a screen, its mount, or an answer, that comes behind the key that leaves."""
    async with on_stage(path, start="payments") as (app, _):
        app.exit()
        with app.screen._context():
            app._handle_exception(error)
    assert app.return_code == 0


async def test_enter_behind_a_filter_opens_what_it_finds(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        at_once(app, "/", *OLD[:8], "enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        await settle(pilot)
        assert f"Payments > {OLD}" in drawn(app)
        assert "1 of 1" in drawn(app)


async def test_what_is_typed_behind_a_step_is_about_the_neighbour_or_not_done(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "enter")
        at_once(app, "]", "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        assert f"Payments > {OLD} > Pay" in drawn(app)
        await press(pilot, "escape")
        at_once(app, "]", "p")
        await settle(pilot)
        assert isinstance(app.screen, OrderInfoScreen)
        assert toasts(app) == ["this is the last of the list"]
        at_once(app, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))


async def test_all_typed_behind_a_filter_marks_whom_it_lets_through(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "n")
        assert isinstance(app.screen, RenewScreen)
        at_once(app, "/", *"state", ":", *"expired", "enter", "A", "enter")
        await until(pilot, lambda: "Order the renewal of" in drawn(app))
        assert "Order the renewal of 2 people" in drawn(app)


@pytest.mark.parametrize("way", ["v", "escape"])
async def test_what_waits_for_an_answer_goes_when_something_else_is_asked(path: Path, way: str) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "n")
        at_once(app, "/", *"state", ":", *"expired", "enter", "A", way)
        await settle(pilot)
        assert isinstance(app.screen, RenewScreen)
        assert app.screen.marked == set()


async def test_what_is_typed_behind_a_key_that_asks_goes_into_its_question(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        for _ in range(3):
            at_once(app, "x", *"sorry1dpr")
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            await settle(pilot)
            assert isinstance(app.screen, ConfirmScreen)
            assert len(app.screen_stack) == 2
            assert app.screen.query_one(Field).value == "sorry1dpr"
            await press(pilot, "escape", "escape")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.sort == Sort()


async def test_an_answer_typed_behind_the_key_that_orders_is_no_key_of_the_list(path: Path) -> None:
    """What it costs is looked up first; until its question is there, y would copy."""
    async with on_stage(path) as (app, pilot):
        await settle(pilot)
        at_once(app, "j", "n", "A", "enter", "y")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        assert not any("clipboard" in each for each in toasts(app))


async def test_a_question_that_waits_for_its_list_gets_what_is_typed_behind_it(path: Path) -> None:
    """Letters of a reason are no commands, and the answer is one."""
    async with on_stage(path) as (app, pilot):
        at_once(app, "3", "/", *"status:processing", "enter", "g", "x", *"late dt", "enter", "y")
        await until(pilot, lambda: "cancelled" in "".join(toasts(app)))
        await settle(pilot)
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter.describe() == "status:processing"
    assert (status_of(path, NEW), status_of(path, OLD)) == ("cancel", "processing")
    assert look(path, "SELECT reason FROM audit_event WHERE action = 'cancel'") == "late dt"


@pytest.mark.parametrize("line", [("x",), (":", *"cancel", "enter")])
@pytest.mark.parametrize("way", [(), ("s",), ("G",)])
async def test_a_reason_is_never_a_command(path: Path, way: tuple[str, ...], line: tuple[str, ...]) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        at_once(app, *way, *line, *"late dt", "enter", "y")
        await until(pilot, lambda: "cancelled" in "".join(toasts(app)))
        await settle(pilot)
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter.describe() == ""
    assert look(path, "SELECT reason FROM audit_event WHERE action = 'cancel'") == "late dt"


async def test_what_is_typed_behind_a_line_waits_for_the_question_of_what_it_does(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, ":", *"cancel")
        go_on = threading.Event()
        app.backend.later(lambda session: go_on.wait(60))
        try:
            at_once(app, "enter", *"tt")
            for _ in range(6):
                drawn_anew = asyncio.Event()
                app.call_after_refresh(drawn_anew.set)
                async with asyncio.timeout(60):
                    await drawn_anew.wait()
            assert isinstance(app.screen, PaymentsScreen)
            assert app.screen.filter.describe() == ""
            assert app._held is not None
            assert [each.key for each in app._held] == ["t", "t"]
        finally:
            go_on.set()
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))


def fail(*args: object, **options: object) -> object:
    raise Unavailable("the database cannot be used: it is gone")


@pytest.mark.parametrize("way", ["s", "Gs"])
async def test_what_is_typed_behind_a_key_whose_list_does_not_come_is_not_done(
    path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        with monkeypatch.context() as broken:
            broken.setattr(queries, "search_orders", fail)
            at_once(app, *way, "x", *"tt")
            await until(pilot, lambda: "it is gone" in drawn(app))
            await settle(pilot)
            assert isinstance(app.screen, PaymentsScreen)
            assert app.screen.filter.describe() == ""
            at_once(app, "x", *"tt")  # asks for it once more
            await settle(pilot)
            assert app._held is None
            assert app.screen.filter.describe() == ""
        at_once(app, "x", *"tt")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await settle(pilot)
        assert app.screen.query_one(Field).value == "tt"


async def test_keys_behind_a_list_that_is_left_by_the_mouse_are_forgotten(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "n")
        assert isinstance(app.screen, RenewScreen)
        go_on = threading.Event()
        app.backend.later(lambda session: go_on.wait(60))
        try:
            at_once(app, "v", "A", "x")
            await turns(lambda: app._held is not None)
            app.go_up(1)
            await turns(lambda: app._held is None)
        finally:
            go_on.set()
        await settle(pilot)
        await press(pilot, "3")
        assert isinstance(app.screen, PaymentsScreen)


async def test_keys_behind_one_that_waited_are_all_done(path: Path) -> None:
    """F5 forgets what waits on its screen, not what is being handed on."""
    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        at_once(app, "s", "space", "f5", "2")
        await until(pilot, lambda: app.current_mode == "subscriptions")


async def test_what_is_typed_behind_a_way_out_of_a_long_list_goes_there(tmp_path: Path) -> None:
    """Rows that are read ahead arrive meanwhile, for a list that is no longer shown."""

    def many() -> None:
        oak = add_office("Oak House")
        for place in range(400):
            held = add_people(oak, f"h{place}", expires_on=TODAY)
            created = NOW - timedelta(minutes=place + 1)
            add_order(oak, held, OrderStatus.PROCESSING, number=f"2026110100000000{place:04}", created_at=created)

    async with on_stage(make_database(tmp_path, many), start="payments") as (app, pilot):
        await settle(pilot)
        for _ in range(4):
            at_once(app, "s", "enter", "p")
            await until(pilot, lambda: isinstance(app.screen, PayScreen))
            await press(pilot, "escape", "escape")
            assert isinstance(app.screen, PaymentsScreen)


async def test_what_is_typed_behind_the_key_that_marks_all_is_about_them(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        at_once(app, "+", "x")
        await until(pilot, lambda: len(app.screen_stack) > 1)
        await settle(pilot)
        assert "2 orders" in drawn(app)


async def test_what_waited_before_the_lock_is_not_done_behind_it(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        go_on = threading.Event()
        app.backend.later(lambda session: go_on.wait(60))
        try:
            at_once(app, "s", "x")
            await turns(lambda: app._held is not None)
            app._cover()
            for _ in range(200):
                await asyncio.sleep(0)
            app._uncover()
        finally:
            go_on.set()
        await settle(pilot)
        assert isinstance(app.screen, PaymentsScreen)
        assert len(app.screen_stack) == 1


async def test_esc_stops_what_waits_for_a_list_and_the_keys_behind_it(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        go_on = threading.Event()
        app.backend.later(lambda session: go_on.wait(60))
        try:
            at_once(app, "s", "x", *"tt")
            await turns(lambda: app._held is not None and len(app._held) == 2)
            await pilot.press("escape")
            assert app._held is None
        finally:
            go_on.set()
        await settle(pilot)
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter.describe() == ""
        await press(pilot, "j")
        assert app.screen.table.cursor_row == 1


async def test_what_is_typed_behind_a_key_that_is_refused_is_dropped(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        at_once(app, "D", *"s1jt")
        await until(pilot, lambda: "not possible" in drawn(app))
        await settle(pilot)
        assert isinstance(app.screen, PaymentsScreen)
        assert (app.screen.sort, app.screen.filter.terms, app.screen.table.cursor_row) == (Sort(), (), 0)
        await press(pilot, "j")
        assert app.screen.table.cursor_row == 1


async def test_esc_stops_the_asking(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        at_once(app, "x", "escape")
        await settle(pilot)
        await press(pilot, "j")
        assert isinstance(app.screen, PaymentsScreen | ConfirmScreen)
        if isinstance(app.screen, PaymentsScreen):  # Esc came before the question
            assert app.screen.table.cursor_row == 1


async def test_esc_behind_a_question_that_is_not_drawn_yet_is_its_no(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        at_once(app, "x")
        await turns(lambda: isinstance(app.screen, ConfirmScreen))
        at_once(app, "escape", "j", "x")
        await until(pilot, lambda: app._held is None and isinstance(app.screen, ConfirmScreen))
        await press(pilot, "escape")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.table.cursor_row == 1


async def test_a_question_that_nobody_waits_for_any_more_goes_as_any_other(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "x")
        assert isinstance(app.screen, ConfirmScreen)
        app.workers.cancel_group(app.screen_stack[0], "action")  # as something that is asked behind it does
        await settle(pilot)
        await press(pilot, "escape")
        assert isinstance(app.screen, PaymentsScreen)
        await press(pilot, "j")
        assert app.screen.table.cursor_row == 1


async def test_a_question_that_hears_of_its_key_late_closes_no_other_screen(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "x")
        question = app.screen
        assert isinstance(question, ConfirmScreen)
        app.push_screen(BillingSystemScreen())
        await settle(pilot)
        question.action_no()
        assert isinstance(app.screen, BillingSystemScreen)
        app.pop_screen()
        await settle(pilot)
        await press(pilot, "escape")
        assert isinstance(app.screen, PaymentsScreen)


async def test_no_question_comes_over_the_screen_that_one_went_to_meanwhile(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await settle(pilot)
        await press(pilot, "j", "n", "A")
        assert isinstance(app.screen, RenewScreen)
        app.screen.action_make_order()
        app.action_dashboard()  # by the mouse: a key would wait for the question
        await settle(pilot)
        assert isinstance(app.screen, DashboardScreen)


@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        (("a", "backspace", "b"), "b"),
        (("a", "b", "ctrl+u", "c"), "c"),
        (("a", "left", "b"), "ba"),
        (("a", "b", "home", "c", "end", "d"), "cabd"),
    ],
)
async def test_a_key_that_edits_a_field_edits_what_was_typed_before_it(
    path: Path, typed: tuple[str, ...], becomes: str
) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await settle(pilot)
        at_once(app, "/", *typed)
        await settle(pilot)
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter_bar.input.value == becomes


async def test_an_asking_that_is_stopped_takes_nothing_from_the_next(path: Path) -> None:
    """Esc and the same key at once: the first one ends when the second one waits already."""
    go_on = threading.Event()
    async with on_stage(path, start="payments") as (app, pilot):

        def asking() -> list[object]:
            return [each for each in app.workers if each.group == "action"]

        await settle(pilot)
        app.backend.later(lambda _: go_on.wait(60))
        try:
            async with asyncio.timeout(30):
                at_once(app, "x")
                while not (first := asking()):
                    await pilot.pause()
                at_once(app, "escape", "x")
                while len(asking()) != 1 or asking() == first:
                    await pilot.pause()
            at_once(app, *"sorry")
        finally:
            go_on.set()
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await until(pilot, lambda: app.screen.query_one(Field).value == "sorry")
        assert isinstance(app.screen_stack[0], PaymentsScreen)
        assert app.screen_stack[0].sort == Sort()


async def test_what_is_typed_behind_the_yes_that_orders_is_about_the_order(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await settle(pilot)
        at_once(app, "j", "n", "A", "enter", "y", "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        assert [type(each) for each in app.screen_stack] == [PaymentsScreen, OrderInfoScreen, PayScreen]
        assert look(path, "SELECT count(*) FROM orders") == 3
