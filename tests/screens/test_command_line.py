"""What is typed behind `:`: it leads where it says, says in place what is wrong, and does what keys do."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.commands import COMMANDS
from smartsub_tui.config import BillingSystem
from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.screens.activate import ActivateScreen
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.billing_system import BillingSystemScreen
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.screens.dashboard import DashboardScreen
from smartsub_tui.screens.expiring import ExpiringScreen
from smartsub_tui.screens.export import ExportScreen
from smartsub_tui.screens.help import HelpScreen
from smartsub_tui.screens.messages import MessagesScreen
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.pay import PayScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.screens.qr_full import QrFullScreen
from smartsub_tui.screens.renew import RenewScreen
from smartsub_tui.screens.subscriptions import SubscriptionsScreen
from smartsub_tui.widgets.command_line import CommandLine
from tests.screens.stage import drawn, left, make_database, on_stage, press, resize, settle, toasts, until
from tests.screens.test_typed_ahead import at_once
from tests.support import NOW, SETTINGS, TODAY, add_community, add_office, add_order, add_people

NEW, OLD, FAILED = "20261101000000000002", "20261001000000000001", "20260901000000000042"
HOSTILE = "Evil\x1b]52;c;AAAA\x07 House"


def fill() -> None:
    oak = add_office("Oak House")
    add_people(oak, "u1", "u2", expires_on=TODAY + timedelta(days=300))
    for place, number in enumerate((NEW, OLD)):
        held = add_people(oak, f"h{place}", expires_on=TODAY + timedelta(days=3))
        add_order(oak, held, OrderStatus.PROCESSING, number=number, created_at=NOW - timedelta(hours=place + 1))
    add_order(oak, [], OrderStatus.FAILED, number=FAILED, history=True, created_at=NOW - timedelta(days=80))
    add_office("Oak Hill")
    add_community("Elm Court")
    add_office(HOSTILE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


async def say(pilot: Pilot[None], line: str, *, enter: bool = True) -> None:
    """All of it at once, as over a slow line: that is how the line has to take it."""
    assert isinstance(pilot.app, SmartSubApp)
    at_once(pilot.app, ":", *line, *(["enter"] if enter else []))
    await settle(pilot)


def is_open(app: SmartSubApp) -> bool:
    return isinstance(app.screen, BaseScreen) and app.screen.close_line is not None


def last_lines(app: SmartSubApp, count: int = 2) -> list[str]:
    return [line.rstrip() for line in drawn(app).splitlines()[-count:]]


# Where it leads


@pytest.mark.parametrize("start", ["dashboard", "payments"])
async def test_payments_with_a_filter(path: Path, start: str) -> None:
    async with on_stage(path, start=start) as (app, pilot):
        await say(pilot, "payments  status:failed 00004")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter.describe() == "status:failed 00004"
        assert [order.number for order in app.screen.table.window.rows] == [FAILED]
        assert app.screen.focused is app.screen.table
        assert not app.screen.query(CommandLine)


@pytest.mark.parametrize("part", [NEW, "1000000000002", FAILED[-4:]])
async def test_an_order_by_its_number_or_by_what_only_it_has(path: Path, part: str) -> None:
    async with on_stage(path) as (app, pilot):
        await say(pilot, f"order {part}")
        assert isinstance(app.screen, OrderInfoScreen)
        assert app.screen.chosen_order() == (FAILED if part in FAILED else NEW)


async def test_an_order_that_several_have_a_part_of_is_a_list(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await say(pilot, "order 00000000")
        assert isinstance(app.screen, PaymentsScreen)
        assert [order.number for order in app.screen.table.window.rows] == [NEW, OLD, FAILED]
        assert app.screen.filter.describe() == "00000000"


@pytest.mark.parametrize(
    ("said", "name"),
    [("Oak House", "Oak House"), ("oak ho", "Oak House"), ("elm", "Elm Court"), ("hill", "Oak Hill")],
)
async def test_an_office_by_its_name_or_by_what_only_it_has(path: Path, said: str, name: str) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await say(pilot, f"office {said}")
        assert isinstance(app.screen, RenewScreen)
        assert app.screen.office.name == name


@pytest.mark.parametrize(
    ("line", "screen"),
    [
        ("dashboard", DashboardScreen),
        ("subscriptions", SubscriptionsScreen),
        ("SUBSCRIPTIONS", SubscriptionsScreen),
        ("payments", PaymentsScreen),
        ("expiring", ExpiringScreen),
        ("help", HelpScreen),
        ("messages", MessagesScreen),
        ("q", DashboardScreen),
        ("quit", DashboardScreen),
        ("back", DashboardScreen),
        ("info", OrderInfoScreen),
        ("export", ExportScreen),
        ("billing", BillingSystemScreen),
        ("  billing  ", BillingSystemScreen),
        ("cancel", ConfirmScreen),
        ("pay", PayScreen),
    ],
)
async def test_a_word_leads_where_its_key_does(path: Path, line: str, screen: type[object]) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await say(pilot, line)
        await until(pilot, lambda: isinstance(app.screen, screen))
        assert not is_open(app)


@pytest.mark.parametrize(("line", "screen"), [("renew", RenewScreen), ("activate", ActivateScreen)])
async def test_a_word_is_about_what_was_under_the_cursor(path: Path, line: str, screen: type[RenewScreen]) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "j")
        await say(pilot, line)
        assert isinstance(app.screen, screen)
        assert app.screen.office.name == "Oak Hill"


async def test_words_move_the_cursor_and_change_the_filter_as_keys_do(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        assert isinstance(app.screen, PaymentsScreen)
        await say(pilot, "last")
        assert app.screen.table.cursor_row == 2
        await say(pilot, "up")
        assert app.screen.table.cursor_row == 1
        await say(pilot, "by-type")
        assert app.screen.filter.describe() == "type:activation"
        await say(pilot, "filter")
        assert app.screen.focused is app.screen.filter_bar.input


async def test_quit_leaves_from_the_first_screen(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "colon", "q")
        await pilot.press("enter")
        await left(app)
    assert app.return_code == 0
    assert not app.is_running


# What is wrong is said in place


@pytest.mark.parametrize(
    ("line", "under", "sentence"),
    [
        ("paymnts status:failed", "paymnts", "no command is called 'paymnts': did you mean payments?"),
        ("xyzzy", "xyzzy", "no command is called 'xyzzy': Tab lists them"),
        ("currency", "currency", "currency is no command of Payments, but of Dashboard, Expiring"),
        ("by-status failed", "failed", "by-status takes nothing behind it"),
        ("order", "", "order NUMBER: NUMBER is missing"),
        ("office  ", "", "office NAME: NAME is missing"),
        ("order 77777", "77777", "no order's number holds '77777'"),
        ("office Oak", "Oak", "2 offices are meant: Oak Hill, Oak House"),
        ("office Oak Hil ", "", ""),
        ("office Elmm Cort", "Elmm Cort", "no office is called 'Elmm Cort': did you mean 'Elm Court'?"),
        ("view late", "late", "no view is called 'late': w in Payments and smartsub views list them"),
        ("payments type:activation -status:cancl", "cancl", "did you mean cancel?"),
        ("payments office:[red]x[/red", "", ""),
        ("[red]x[/]", "[red]x[/]", "no command is called '[red]x[/]'"),
    ],
)
async def test_what_is_wrong_is_marked_and_the_line_stays(path: Path, line: str, under: str, sentence: str) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        assert isinstance(app.screen, PaymentsScreen)
        await say(pilot, line)
        if not sentence:  # it is right
            assert not is_open(app)
            return
        assert is_open(app)
        shown = drawn(app).splitlines()
        place = next(row for row, text in enumerate(shown) if text.startswith(f" :{line}"[:40]))
        assert sentence in " ".join(" ".join(shown[place + 1 :]).split())
        mark = shown[place + 1]
        at = shown[place].index(under, 2) if under else 2 + len(line.rstrip())
        assert mark.index("^") == at
        assert mark.count("^") == max(1, min(12, len(under)))
        assert app.screen.filter.describe() == ""
        # It goes when it is mended.
        await press(pilot, "ctrl+u")
        at_once(app, *"payments status:failed")
        await settle(pilot)
        assert "^" not in drawn(app)
        await press(pilot, "enter")
        assert app.screen.filter.describe() == "status:failed"


async def test_what_is_not_possible_now_says_so(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "tab")  # off the offices
        await say(pilot, "renew")
        assert "renew is not possible now" in drawn(app)
        await press(pilot, "escape")
        await press(pilot, "3")
        await say(pilot, "apply")
        assert not is_open(app)
        await until(pilot, lambda: toasts(app))
        assert toasts(app) == ["apply: not possible, it can still be paid"]


async def test_the_sentence_is_whole_at_every_size(path: Path) -> None:
    for size in ((60, 18), (80, 24), (200, 60)):
        async with on_stage(path, size=size) as (app, pilot):
            await say(pilot, "payments type:subscription status:faled")
            said = " ".join(drawn(app).split())
            assert "'faled' is no value of status: did you mean failed? It takes one of" in said
            await resize(pilot, 90, 30)
            await settle(pilot)
            assert "did you mean failed" in " ".join(drawn(app).split())


# Opening and leaving


async def test_esc_leaves_to_where_one_was(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        before, focused = drawn(app), app.screen.focused
        for keys in (("escape",), ("enter",), ("p", "a", "escape"), ("tab", "escape")):
            await press(pilot, "colon")
            assert last_lines(app)[0] == " :"
            await press(pilot, *keys)
            assert (drawn(app), app.screen.focused) == (before, focused)


async def test_a_colon_in_a_field_is_a_letter_and_the_key_of_all_commands_is_none(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        assert isinstance(app.screen, PaymentsScreen)
        await press(pilot, "slash", "i", "s", "colon", "d", "u", "e")
        assert app.screen.filter_bar.input.value == "is:due"
        assert not is_open(app)
        await press(pilot, "ctrl+p")
        assert is_open(app)
        await press(pilot, "escape")
        assert app.screen.focused is app.screen.filter_bar.input


async def test_no_line_over_a_question_or_a_code(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    settings = SETTINGS.__class__(billing_system=BillingSystem("https://b.example/"), ui=SETTINGS.ui)
    async with on_stage(path, start="payments", settings=settings) as (app, pilot):
        await press(pilot, "x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await press(pilot, "escape", "x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await press(pilot, "tab", "colon", "ctrl+p")
        assert isinstance(app.screen, ConfirmScreen)
        assert not app.screen.query(CommandLine)
        await press(pilot, "escape")
        app.push_screen(QrFullScreen("https://b.example/"))
        for key in ("colon", "ctrl+p"):
            await settle(pilot)
            assert isinstance(app.screen, QrFullScreen)
            await press(pilot, key)
            assert isinstance(app.screen, PaymentsScreen)
            assert not is_open(app)
            app.push_screen(QrFullScreen("https://b.example/"))


async def test_a_click_elsewhere_leaves_the_line(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await say(pilot, "pay", enter=False)
        await pilot.click("OrderTable", offset=(5, 2))
        await settle(pilot)
        assert not is_open(app)
        await say(pilot, "pay", enter=False)
        await pilot.click("Masthead", offset=(3, 0))
        await settle(pilot)
        assert isinstance(app.screen, DashboardScreen)
        await press(pilot, "3")
        assert not is_open(app)
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.focused is app.screen.table


@pytest.mark.parametrize("line", ["office elm", "subscriptions"])
async def test_marks_are_not_lost_by_one_word(path: Path, line: str) -> None:
    async with on_stage(path) as (app, pilot):
        await say(pilot, "office Oak House")
        before = app.screen
        await press(pilot, "A")
        await say(pilot, line)
        assert app.screen is before
        assert toasts(app)[-1] == "2 marked: the same again leaves, and the marks go"
        await say(pilot, line)
        assert app.screen is not before


# What was said before


async def test_up_and_down_bring_back_what_was_said(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        for line in ("payments status:failed", "nonsense", "dashboard"):
            await say(pilot, line)
            if is_open(app):
                await press(pilot, "escape")
        await press(pilot, "2", "colon")
        for key, line in (
            ("up", "dashboard"),
            ("up", "nonsense"),
            ("up", "payments status:failed"),
            ("up", "payments status:failed"),
            ("down", "nonsense"),
            ("down", "dashboard"),
            ("down", ""),
            ("down", ""),
        ):
            await press(pilot, key)
            assert last_lines(app)[0] == f" :{line}"
        await press(pilot, "up", "up", "up", "enter")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter.describe() == "status:failed"


# Completion and the list


@pytest.mark.parametrize("key", ["tab", "right"])
async def test_a_word_goes_on_by_itself(path: Path, key: str) -> None:
    async with on_stage(path) as (app, pilot):
        await say(pilot, "pa", enter=False)
        assert last_lines(app)[0] == " :payments"  # the end of it in grey
        await press(pilot, key)
        await press(pilot, *" status", "colon", *"failed", "enter")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter.describe() == "status:failed"


async def test_where_words_part_the_list_says_how_they_go_on(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "colon", "b", "tab")
        line = app.screen.query_one(CommandLine)
        assert line.line == "b"
        assert [each.name for each in line.offered] == [
            "by-status",
            "by-type",
            "billing",
            "back",
            "dashboard",
            "subscriptions",
        ]
        await press(pilot, "y", "tab")
        assert line.line == "by-status"


async def test_names_go_on_by_themselves_but_not_what_a_terminal_would_obey(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await say(pilot, "office ", enter=False)
        await press(pilot, "tab")
        line = app.screen.query_one(CommandLine)
        assert [each.name for each in line.offered] == ["Elm Court", "Oak Hill", "Oak House"]
        await press(pilot, "c", "enter")
        assert isinstance(app.screen, RenewScreen)
        assert app.screen.office.name == "Elm Court"


async def test_a_filter_goes_on_by_itself(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await say(pilot, "payments sta", enter=False)
        assert last_lines(app)[0] == " :payments status:"
        line = app.screen.query_one(CommandLine)
        for key, becomes in (("tab", "status:"), ("f", "status:f"), ("tab", "status:failed"), (" ", "status:failed ")):
            at_once(app, key)
            await settle(pilot)
            assert line.line == f"payments {becomes}"
        at_once(app, *"office:Oak")
        await press(pilot, "tab")
        assert [each.name for each in line.offered] == ['"Oak Hill"', '"Oak House"']
        await press(pilot, "down", "enter")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter.describe() == 'status:failed office:"Oak House"'
        await say(pilot, "payments ", enter=False)
        await press(pilot, "tab", "down", "up", "enter")  # a key wants its value first
        assert app.screen.query_one(CommandLine).line == "payments status:"


@pytest.mark.parametrize("door", [("ctrl+p",), ("colon", "tab")])
async def test_both_doors_list_what_is_possible_here_with_keys_and_help(path: Path, door: tuple[str, ...]) -> None:
    async with on_stage(path, size=(120, 60), start="payments") as (app, pilot):
        await press(pilot, *door)
        offered = app.screen.query_one(CommandLine).offered
        keys = {each.name: each.key for each in offered}
        assert (keys["pay"], keys["quit"], keys["order NUMBER"]) == ("p", "q", "")
        assert keys["expiring"] == ""  # that of the dashboard does nothing here
        names = [each.name for each in offered]
        assert names[:3] == ["info", "filter", "by-status"]
        assert {"pay", "cancel", "order NUMBER", "office NAME", "payments [FILTER]", "quit"} <= set(names)
        assert {"restore", "apply", "currency", "command", "palette"} & set(names) == set()
        await press(pilot, *"pay")
        shown = drawn(app)
        for id in ("pay", "payments"):
            assert f"{COMMANDS[id].key}      {COMMANDS[id].help}" in shown
        assert COMMANDS["export"].help not in shown
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))


async def test_the_arrows_choose_and_enter_runs_what_is_chosen(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        assert isinstance(app.screen, PaymentsScreen)
        await press(pilot, "ctrl+p", "b", "y", "down", "enter")
        assert app.screen.filter.describe() == "type:activation"
        await press(pilot, "ctrl+p", "up", "up", "down", "tab")
        assert app.screen.query_one(CommandLine).line == "quit"
        await press(pilot, "ctrl+u", *"offi", "enter")
        assert app.screen.query_one(CommandLine).line == "office "
        await press(pilot, *"hill", "enter")
        assert isinstance(app.screen, RenewScreen)
        assert app.screen.office.name == "Oak Hill"


@pytest.mark.parametrize("key", ["tab", "enter"])
async def test_what_was_chosen_for_another_line_is_not_taken(path: Path, key: str) -> None:
    """Letters and the key in one piece: the list is not painted anew between them."""
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "ctrl+p", "up")  # the last of many
        at_once(app, *"messages", key)
        await settle(pilot)
        if key == "tab":
            assert app.screen.query_one(CommandLine).line == "messages"
        else:
            assert isinstance(app.screen, MessagesScreen)


async def test_a_word_of_the_help_finds_its_command(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "ctrl+p", *"clip")
        assert [each.name for each in app.screen.query_one(CommandLine).offered] == ["copy"]
        await press(pilot, "x")
        assert "nothing begins so" in drawn(app)
        await press(pilot, "enter")
        assert "no command is called 'clipx'" in drawn(app)


async def test_a_click_in_the_list_takes_it(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "ctrl+p", "b", "y")
        await pilot.click("OfferList", offset=(5, 1))
        await settle(pilot)
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter.describe() == "type:activation"


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (200, 60)])
async def test_the_list_scrolls_with_what_is_chosen(path: Path, size: tuple[int, int]) -> None:
    async with on_stage(path, size=size, start="payments") as (app, pilot):
        await press(pilot, "ctrl+p", "up")
        assert "  quit " in drawn(app)
        assert "  info " not in drawn(app)
        await press(pilot, "down")
        assert "  info " in drawn(app)


# Keys that are typed behind it


async def test_what_is_typed_behind_a_line_is_for_where_it_leads(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        at_once(app, ":", *"order", " ", *OLD, "enter", "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        assert f"Payments > {OLD} > Pay" in drawn(app)
        await press(pilot, "escape")
        at_once(app, ":", *"dashboard", "enter", ":", *"payments", " ", *OLD[-4:], "enter", "/", "9")
        await until(pilot, lambda: isinstance(app.screen, PaymentsScreen))
        await settle(pilot)
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter_bar.input.value == f"{OLD[-4:]} 9"


async def test_what_is_typed_behind_a_line_that_leads_nowhere_is_not_done(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        at_once(app, ":", *"order", " ", *"777", "enter", "x", "y")
        await settle(pilot)
        assert is_open(app)
        assert last_lines(app)[0] == " :order 777"


async def test_esc_ends_the_waiting_for_a_line(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await say(pilot, f"order {OLD}", enter=False)
        go_on = threading.Event()
        app.backend.later(lambda session: go_on.wait(60))
        try:
            for key in ("enter", "x", "escape"):
                await pilot.press(key)
            assert is_open(app)
            assert isinstance(app.screen, DashboardScreen)
            await pilot.press("9")
            assert app.screen.query_one(CommandLine).line == f"order {OLD}9"
        finally:
            go_on.set()
        await settle(pilot)
        assert isinstance(app.screen, DashboardScreen)
        await press(pilot, "backspace", "enter")
        assert isinstance(app.screen, OrderInfoScreen)


async def test_esc_ends_the_waiting_for_a_line_that_a_click_has_closed(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await say(pilot, f"order {OLD}", enter=False)
        go_on = threading.Event()
        app.backend.later(lambda session: go_on.wait(60))
        try:
            await pilot.press("enter")
            assert isinstance(app.screen, DashboardScreen)
            assert app.screen.close_line is not None
            app.screen.close_line()
            await pilot.pause()
            await pilot.press("escape")
        finally:
            go_on.set()
        await settle(pilot)
        assert not is_open(app)
        await press(pilot, "3")
        assert isinstance(app.screen, PaymentsScreen)


async def test_a_line_that_is_closed_while_it_is_made_does_no_harm(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        screen = app.screen
        assert isinstance(screen, PaymentsScreen)
        for moments in range(40):
            with app._context():
                opening = asyncio.create_task(screen.action_palette())
            for _ in range(moments):
                await asyncio.sleep(0)
            if screen.close_line is not None:
                screen.close_line()
            await opening
            await settle(pilot)
            if screen.close_line is not None:  # it was not yet begun
                screen.close_line()
                await settle(pilot)
        await press(pilot, ":")
        assert is_open(app)


@pytest.mark.parametrize("first", ["the line", "leaving"])
async def test_no_line_is_opened_on_a_screen_that_is_left(path: Path, first: str) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        screen = app.screen
        assert isinstance(screen, PaymentsScreen)
        for moments in range(30):
            await press(pilot, "enter")
            shown = app.screen
            assert isinstance(shown, OrderInfoScreen)
            if first == "leaving":
                leaving = app.pop_screen()
            with app._context():
                opening = asyncio.create_task(shown.action_command())
            for _ in range(moments):
                await asyncio.sleep(0)
            if first == "the line":
                leaving = app.pop_screen()
            await opening
            await leaving
            await settle(pilot)
            assert app.screen is screen
        await press(pilot, ":")
        assert is_open(app)
