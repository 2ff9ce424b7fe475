"""The mouse: what is named can be clicked, a row is opened by a second click, and nothing dangerous happens by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.events import MouseDown, MouseUp
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.screens.dashboard import DashboardScreen
from smartsub_tui.screens.expiring import ExpiringScreen
from smartsub_tui.screens.help import HelpScreen
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.screens.question import Question
from smartsub_tui.screens.renew import RenewScreen
from smartsub_tui.screens.subscriptions import SubscriptionsScreen
from smartsub_tui.widgets.command_line import CommandLine
from smartsub_tui.widgets.needs_table import NeedsTable
from smartsub_tui.widgets.office_table import OfficeTable
from tests.screens.stage import drawn, make_database, on_stage, press, settle, until, write
from tests.screens.test_journey import fill


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


async def click(app: SmartSubApp, pilot: Pilot[None], text: str, *, beside: int = 0) -> None:
    """Click the first place on the screen that shows `text`, or so many cells right of its beginning."""
    lines = drawn(app).splitlines()
    row = next(place for place, line in enumerate(lines) if text in line)
    await pilot.click(offset=(lines[row].index(text) + beside, row))
    await settle(pilot)


async def test_a_click_moves_the_cursor_and_a_second_one_anywhere_in_the_row_opens(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await click(app, pilot, "Oak House")
        assert isinstance(app.screen, DashboardScreen)
        assert app.screen.query_one(OfficeTable).cursor_row == 1
        await click(app, pilot, "Oak House", beside=25)
        assert isinstance(app.screen, RenewScreen)
        assert app.screen.office.name == "Oak House"


async def test_a_panel_takes_the_cursor_by_a_click(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await click(app, pilot, "money to apply")
        assert isinstance(app.screen.focused, NeedsTable)
        assert app.screen.focused.cursor_row == 1
        await click(app, pilot, "money to apply", beside=3)
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter.describe() == "is:unapplied"


async def test_a_number_of_the_grid_opens_by_a_second_click(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "E")
        lines = drawn(app).splitlines()
        row = next(place for place, line in enumerate(lines) if line.startswith(" Oak House"))
        column = lines[row].index("30")
        await pilot.click(offset=(column, row))
        await settle(pilot)
        assert "Oak House, 2026-12: 30 people" in drawn(app)
        await pilot.click(offset=(column + 1, row))
        await settle(pilot)
        assert isinstance(app.screen, RenewScreen)
        assert app.screen.filter_bar.filter.describe() == "expires:2026-12"


async def test_modes_and_the_trail_are_clicked(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await click(app, pilot, "3 Payments", beside=4)
        assert isinstance(app.screen, PaymentsScreen)
        await press(pilot, "enter")
        assert isinstance(app.screen, OrderInfoScreen)
        await click(app, pilot, "Payments > 2026", beside=2)
        assert isinstance(app.screen, PaymentsScreen)
        await click(app, pilot, "2 Subscriptions")
        assert isinstance(app.screen, SubscriptionsScreen)
        await press(pilot, "enter")
        await click(app, pilot, "> Elm Court", beside=4)  # one step back
        assert isinstance(app.screen, SubscriptionsScreen)
        await click(app, pilot, "manager · manager")
        assert isinstance(app.screen, SubscriptionsScreen)


@pytest.mark.parametrize(
    ("key", "screen"),
    [("n renew", RenewScreen), ("E expiring", ExpiringScreen), ("? help", HelpScreen), ("Enter open", RenewScreen)],
)
async def test_a_key_of_the_last_line_is_clicked(path: Path, key: str, screen: type[Any]) -> None:
    async with on_stage(path) as (app, pilot):
        await click(app, pilot, key, beside=len(key) - 1)
        assert isinstance(app.screen, screen)


async def test_between_the_keys_nothing_happens(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await click(app, pilot, "open  T triage", beside=5)
        assert isinstance(app.screen, DashboardScreen)


async def test_a_key_is_clicked_while_a_field_is_typed_in(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, "status:system")
        await click(app, pilot, "Ctrl+P all commands")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter_bar.input.value == "status:system"
        await until(pilot, lambda: bool(app.screen.query(CommandLine)))


async def test_a_click_on_a_dangerous_key_asks_and_yes_is_no_button(path: Path) -> None:
    async with on_stage(path, start="payments", filter_text="status:failed") as (app, pilot):
        await click(app, pilot, "d delete")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await click(app, pilot, "Yes, delete")
        assert isinstance(app.screen, Question)
        await click(app, pilot, "No")
        assert isinstance(app.screen, PaymentsScreen)
        assert "1 of 5" in drawn(app)


@pytest.mark.parametrize("part", ["#command-hint", "#command-text"])
async def test_a_click_on_what_has_just_gone_does_nothing(path: Path, part: str) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "colon")
        assert isinstance(app.screen, DashboardScreen)
        line = app.screen.query_one(CommandLine)
        shown = line.query_one(part).region
        assert app.screen.close_line is not None
        app.screen.close_line()
        await line.remove()  # which is still on the screen until that is laid out anew
        event = MouseDown(None, shown.x, shown.y, 0, 0, 1, False, False, False)
        app.screen._forward_event(event)
        await press(pilot, "3")
        assert isinstance(app.screen, PaymentsScreen)


async def test_a_button_that_is_let_go_behind_the_line_it_was_pressed_in_keeps_no_mouse(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "colon")
        region = app.screen.query_one("#command-text").region
        at = region.x + 2, region.y, 0, 0, 1, False, False, False, region.x + 2, region.y
        app.post_message(MouseDown(None, *at))
        await settle(pilot)
        await press(pilot, "escape")
        app.post_message(MouseUp(None, *at))
        await settle(pilot)
        assert app.mouse_captured is None
        await click(app, pilot, "? help")
        assert isinstance(app.screen, HelpScreen)
