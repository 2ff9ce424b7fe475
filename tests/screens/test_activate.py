"""Activate: departments and their people, by keyboard."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from smartsub_tui.data.vocabulary import OrderStatus, OrderType, UserKind
from smartsub_tui.screens.activate import ActivateScreen
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.question import Question
from smartsub_tui.screens.renew import RenewScreen
from tests.screens.stage import drawn, make_database, on_stage, press, toasts, until
from tests.screens.test_journey import expires_on, look
from tests.support import ACTIVATION_PRICE, TODAY, add_community, add_order, add_person, gross

HOLDER = "20261101000000000007"


def fill() -> None:
    elm = add_community("Elm Court")
    add_person(elm, "u1", name="Una One", department="East", apartment="1A")
    add_person(elm, "u2", name="Ulf Two", department="East", apartment="1A")
    add_person(elm, "m1", name="Mara Manager", department="West", kind=UserKind.PROPERTY_MANAGER)
    add_person(elm, "f1", name="Fanny Family", department="West", kind=UserKind.FAMILY)
    add_person(elm, "done", name="Dora Done", department="North", expires_on=date(2027, 1, 1))
    held = add_person(elm, "held", name="Hana Held", department="West")
    add_order(elm, [held], OrderStatus.SYSTEM_PROCESSING, type=OrderType.ACTIVATION, number=HOLDER)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


async def test_two_buildings_are_activated_in_one_order(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "a")
        assert isinstance(app.screen, ActivateScreen)
        assert "Building" in drawn(app)
        assert "Una One" in drawn(app)  # of the building under the cursor
        await press(pilot, "A")
        total = gross(3 * ACTIVATION_PRICE)
        assert "2 buildings marked, 3 people" in drawn(app)
        assert f"EUR {total / 100:,.2f}" in drawn(app)
        assert "1 left out" in drawn(app)
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, Question))
        assert "Order the activation of 3 people?" in drawn(app)
        await press(pilot, "y")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        assert "Activation" in drawn(app)
        assert look(path, "SELECT total FROM orders WHERE number <> ?", HOLDER) == total
        assert look(path, "SELECT apartments FROM orders WHERE number <> ?", HOLDER) == 2
        # The property manager's app is activated too; nothing moves before it is paid.
        assert expires_on(path, "m1") == "None"


async def test_one_building_is_marked_and_unmarked(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "a", "space")
        assert "1 building marked, 2 people" in drawn(app)
        await press(pilot, "k", "space")
        assert "0 buildings marked" in drawn(app)
        await press(pilot, "enter")
        assert "no building is marked: Space marks one, A all of them" in toasts(app)


async def test_a_building_in_which_nobody_can_be_activated_is_not_marked(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "a", "j", "space")
        assert isinstance(app.screen, ActivateScreen)
        assert app.screen.marked == set()
        assert "North, not activated yet: everyone is activated already, n renews" in drawn(app)


async def test_who_cannot_be_activated_says_why_and_leads_to_the_order(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "a", "G", "tab")
        assert f"Hana Held is in an open order, {HOLDER}: o opens it" in drawn(app)
        await press(pilot, "o")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        assert HOLDER in drawn(app)


async def test_family_members_are_activated_as_additional_app(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "a", "space", "v", "A")
        assert "1 building marked, 1 person" in drawn(app)  # the marks of the others stay with them
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await press(pilot, "y")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        assert "Additional app" in drawn(app)


async def test_activate_and_renew_lead_to_each_other(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "2", "a")
        assert isinstance(app.screen, ActivateScreen)
        await press(pilot, "n")
        assert isinstance(app.screen, RenewScreen)
        await press(pilot, "a")
        assert isinstance(app.screen, ActivateScreen)
        assert len(app.screen_stack) == 2  # not one upon the other
        await press(pilot, "escape", "n")
        assert isinstance(app.screen, RenewScreen)


async def test_what_changed_since_it_was_seen_is_not_ordered(path: Path) -> None:
    import apsw

    async with on_stage(path) as (app, pilot):
        await press(pilot, "a", "A", "enter")
        await until(pilot, lambda: isinstance(app.screen, Question))
        other = apsw.Connection(str(path))
        other.execute("UPDATE users SET removed_on = ? WHERE key = 'u1'", (TODAY.isoformat(),))
        other.close()
        await press(pilot, "y")
        await until(pilot, lambda: any("people or prices changed, look again" in each for each in toasts(app)))
        assert isinstance(app.screen, ActivateScreen)
        assert app.screen.marked == {"East", "West"}  # nothing that was typed is lost
