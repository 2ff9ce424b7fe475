"""Saved views on the screen, how the application was left, and the trail to where one is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest
from textual.events import Paste
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.data.database import url_of
from smartsub_tui.data.vocabulary import Role
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.billing_system import BillingSystemScreen
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.screens.dashboard import DashboardScreen
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.screens.renew import RenewScreen
from smartsub_tui.screens.subscriptions import SubscriptionsScreen
from smartsub_tui.screens.views import ViewsScreen
from smartsub_tui.widgets.view_table import ViewTable
from tests.screens.stage import app_over, drawn, make_database, on_stage, press, resize, settle, toasts, until, write
from tests.screens.test_command_line import say
from tests.screens.test_journey import fill, look
from tests.screens.test_mouse import click
from tests.support import SETTINGS, FixedClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


def listed(app: SmartSubApp) -> list[tuple[str, bool]]:
    assert isinstance(app.screen, ViewsScreen)
    table = app.screen.query_one(ViewTable)
    return [(each.name, each.shared) for each in table._views]


async def answer(app: SmartSubApp, pilot: Pilot[None], key: str) -> None:
    await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
    await press(pilot, key)


# Saved views


async def test_a_filter_and_its_sort_are_saved_listed_opened_and_removed(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        assert isinstance(app.screen, PaymentsScreen)
        await say(pilot, "payments status:failed")
        await press(pilot, "s", "W")
        await write(pilot, "Gone wrong")
        await press(pilot, "enter")
        assert toasts(app) == ["saved view Gone wrong"]
        await press(pilot, "escape", "s", "w")
        assert isinstance(app.screen, ViewsScreen)
        assert "Payments > Views" in drawn(app)
        assert "Gone wrong  mine        status:failed" in drawn(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.listed_as() == ("status:failed", "created")
        assert [order.status.value for order in app.screen.table.window.rows] == ["failed"]
        await press(pilot, "escape")
        await say(pilot, "save gone WRONG")
        assert toasts(app)[-1] == "saved view gone WRONG, in the place of status:failed, created"
        await say(pilot, "save Gone Wrong")
        assert toasts(app)[-1] == "saved view Gone Wrong"  # the same, written otherwise
        await press(pilot, "s")
        await say(pilot, "save Gone wrong")
        assert toasts(app)[-1] == "saved view Gone wrong, in the place of all orders, created"
        await press(pilot, "w", "d")
        await answer(app, pilot, "enter")  # No has the focus
        assert listed(app) == [("Gone wrong", False)]
        await press(pilot, "d")
        await answer(app, pilot, "y")
        await until(pilot, lambda: toasts(app)[-1] == "removed view Gone wrong")
        assert listed(app) == []
        assert "No view is saved yet: W in Payments saves" in drawn(app)
        await press(pilot, "d", "enter")
        assert isinstance(app.screen, ViewsScreen)
    assert look(path, "SELECT count(*) FROM audit_event WHERE action IN ('save_view', 'remove_view')") == 5


async def test_a_manager_shares_and_others_may_not(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await say(pilot, "payments status:failed")
        await say(pilot, "share Problems")
        assert toasts(app) == ["saved view Problems, for everyone"]
    make_admin(path, Role.VIEWER)
    async with on_stage(path, start="payments", role=Role.VIEWER) as (app, pilot):
        await say(pilot, "share mine")
        assert "viewer is viewer here and may not save filters for everyone" in " ".join(drawn(app).split())
        await press(pilot, "escape")
        await say(pilot, "save mine")
        await press(pilot, "w")
        assert listed(app) == [("mine", False), ("Problems", True)]
        await press(pilot, "j", "d")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "It is everyone's." in drawn(app)
        await press(pilot, "y")
        await until(pilot, lambda: toasts(app))
        assert "may not save filters for everyone" in toasts(app)[-1]
        await say(pilot, "view problems")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter.describe() == "status:failed"


def make_admin(path: Path, role: Role) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("INSERT INTO admin (name, role, created_at) VALUES (?, ?, 0)", (role.value, role.value))
    connection.close()


async def test_only_a_list_of_orders_is_saved(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await say(pilot, "save mine")
        assert "save is no command of Dashboard, but of Payments" in drawn(app)
        await press(pilot, "escape", "3")
        await press(pilot, "W")
        app.post_message(Paste("a\u202eb"))
        await press(pilot, "enter")
        assert "name holds U+202E, a character that controls or hides text" in drawn(app)
        await press(pilot, "escape", "w")
        assert listed(app) == []


async def test_the_table_of_views_fits_at_every_size(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        long = "status:failed,succeed,cancel,timeout type:subscription,activation created:2026 total:>1"
        await say(pilot, f"payments {long}")
        await say(pilot, f"save {'N' * 60}")
        await press(pilot, "w")
        for size in ((60, 18), (80, 24), (200, 60)):
            await resize(pilot, *size)
            await settle(pilot)
            table = app.screen.query_one(ViewTable)
            assert table.max_scroll_x == 0
            for head in ("View", "Whose", "Filter", "Sort", "-created"):
                assert head in drawn(app)
        assert long in drawn(app)


# How the application was left


def reopened(path: Path, **options: Any) -> SmartSubApp:
    return app_over(url_of(path), Role.MANAGER.value, SETTINGS, FixedClock(), **options)


async def leave_payments(path: Path) -> None:
    async with reopened(path, start="payments").run_test() as pilot:
        await settle(pilot)
        await say(pilot, "payments status:failed")
        await press(pilot, "s")
        pilot.app.exit()


async def test_payments_and_the_mode_are_as_they_were_left(path: Path) -> None:
    await leave_payments(path)
    app = reopened(path)
    async with app.run_test() as pilot:
        await settle(pilot)
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.listed_as() == ("status:failed", "created")
        assert [order.status.value for order in app.screen.table.window.rows] == ["failed"]
        await press(pilot, "escape")
        assert app.screen.filter.describe() == ""
        await press(pilot, "2")
        app.exit()
    app = reopened(path)
    async with app.run_test() as pilot:
        await settle(pilot)
        assert isinstance(app.screen, SubscriptionsScreen)
        await press(pilot, "3")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.listed_as() == ("", "created")
    assert look(path, "SELECT count(*) FROM audit_event") == 0


async def test_what_is_asked_for_goes_before_what_was_left(path: Path) -> None:
    await leave_payments(path)
    for options, screen, shown in (
        ({"start": "dashboard"}, DashboardScreen, ("status:failed", "created")),
        ({"filter_text": "status:cancel"}, PaymentsScreen, ("status:cancel", "-created")),
        ({"start": "payments", "filter_text": ""}, PaymentsScreen, ("", "-created")),
    ):
        app = reopened(path, **options)
        async with app.run_test() as pilot:
            await settle(pilot)
            assert isinstance(app.screen, screen)
            await press(pilot, *(["3"] if screen is DashboardScreen else []))
            assert isinstance(app.screen, PaymentsScreen)
            assert app.screen.listed_as() == shown


async def test_a_filter_that_is_none_any_more_is_dropped(path: Path) -> None:
    await leave_payments(path)
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE last_state SET filter_text = 'colour:red', mode = 'gone'")
    connection.close()
    app = reopened(path)
    async with app.run_test() as pilot:
        await settle(pilot)
        assert isinstance(app.screen, DashboardScreen)
        await press(pilot, "3")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.listed_as() == ("", "created")


async def test_nothing_is_written_where_nothing_changed(path: Path) -> None:
    await leave_payments(path)
    connection = apsw.Connection(str(path))

    def version() -> object:
        return connection.execute("PRAGMA data_version").fetchone()

    app = reopened(path)
    async with app.run_test() as pilot:
        await settle(pilot)
        before = version()
        await press(pilot, "1", "2", "3", "2")
        await app.backend.call(lambda session: None)  # behind what was to be written
        assert version() == before
        await press(pilot, "3", "s", "1")  # what is left is kept at once: a line that breaks loses nothing
        await app.backend.call(lambda session: None)
        assert version() != before
    connection.close()


async def test_a_viewer_s_state_is_kept_too(path: Path) -> None:
    make_admin(path, Role.VIEWER)
    async with on_stage(path, start="payments", role=Role.VIEWER) as (app, pilot):
        await say(pilot, "payments status:cancel")
        app.exit()
    assert look(path, "SELECT filter_text FROM last_state") == "status:cancel"


# The trail


async def test_the_trail_says_how_one_came_and_every_part_leads_there(path: Path) -> None:
    async with on_stage(path, start="payments", size=(120, 40)) as (app, pilot):
        await press(pilot, "enter")
        assert isinstance(app.screen, OrderInfoScreen)
        number = app.screen.chosen_order()
        await press(pilot, "b", "question_mark")
        assert drawn(app).startswith(f" Payments > {number} > Billing system > Help ")
        await click(app, pilot, "Billing system")
        assert isinstance(app.screen, BillingSystemScreen)
        await press(pilot, "question_mark")
        await click(app, pilot, f"> {number}", beside=4)
        assert isinstance(app.screen, OrderInfoScreen)
        await press(pilot, "M")
        assert drawn(app).startswith(f" Payments > {number} > Messages ")
        await click(app, pilot, "Payments >", beside=1)
        assert isinstance(app.screen, PaymentsScreen)


async def test_a_click_on_the_trail_loses_no_marks_unsaid(path: Path) -> None:
    async with on_stage(path, size=(120, 40)) as (app, pilot):
        await say(pilot, "office oak")
        await press(pilot, "A", "question_mark")
        assert drawn(app).startswith(" Subscriptions > Oak House > Renew > Help ")
        await click(app, pilot, "> Oak House", beside=3)
        assert isinstance(app.screen, RenewScreen)
        assert toasts(app)[-1].endswith("marked: the same again leaves, and the marks go")
        await click(app, pilot, "> Oak House", beside=3)
        assert isinstance(app.screen, SubscriptionsScreen)


async def test_help_is_titled_as_its_screen(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        for keys, title in (("enter", "Order info"), ("b", "Billing system"), ("escape escape w", "Views")):
            await press(pilot, *keys.split())
            assert isinstance(app.screen, BaseScreen)
            await press(pilot, "question_mark")
            assert f"Keys of {title}" in drawn(app)
            await press(pilot, "escape")
