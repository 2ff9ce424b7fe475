"""Pay: the ways, what they do to the dates, and that leaving changes nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.pay import PayScreen
from smartsub_tui.screens.payments import PaymentsScreen
from tests.screens.stage import drawn, make_database, on_stage, press, toasts, until, write
from tests.screens.test_journey import expires_on, look, status_of
from tests.support import MONTH_PRICE, add_office, add_order, add_people, gross

NUMBER = "20261122080000000000"
TOTAL = gross(MONTH_PRICE)


def fill() -> None:
    oak = add_office("Oak House")
    people = add_people(oak, "u1", expires_on=date(2027, 1, 31))
    add_order(oak, people, OrderStatus.PROCESSING, number=NUMBER)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


async def test_the_dates_and_the_amount_are_seen_before_it_is_paid(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        assert "EUR 5.95" in drawn(app)
        assert "2027-01-31 -> 2027-02-28" in drawn(app)
        await write(pilot, "card 4")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: status_of(path, NUMBER) == "succeed")
        assert expires_on(path, "u1") == "2027-02-28"
        assert isinstance(app.screen, PaymentsScreen)


async def test_bank_transfer_shows_what_to_hand_out_and_gives_more_time(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        await press(pilot, "down")
        for text in ("Seller GmbH, DE02", NUMBER, "06 Dec 09:00", "Choose bank transfer"):
            assert text in drawn(app)
        await press(pilot, "enter")  # is Later
        assert isinstance(app.screen, PaymentsScreen)
        assert look(path, "SELECT bank_chosen_at FROM orders WHERE number = ?", NUMBER) is None
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        await press(pilot, "down", "y")
        await until(pilot, lambda: any("bank transfer chosen: to be paid until 06 Dec" in each for each in toasts(app)))
        assert status_of(path, NUMBER) == "processing"
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        assert "bank transfer chosen" in drawn(app)


@pytest.mark.parametrize("keys", [("escape",), ("up", "enter"), ("up", "y", "escape"), ("down", "n")])
async def test_leaving_changes_nothing(path: Path, keys: tuple[str, ...]) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        await press(pilot, *keys)
        assert isinstance(app.screen, PaymentsScreen)
        assert look(path, "SELECT version FROM orders WHERE number = ?", NUMBER) == 1


async def test_another_amount_is_told_to_wait_and_does(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        await write(pilot, "short")
        await press(pilot, "tab", "ctrl+u")
        await write(pilot, "5.95")
        assert "y  Pay EUR 5.95" in drawn(app)
        await write(pilot, "5")
        assert "y  Pay" not in drawn(app)  # there is no amount that it could be Yes to
        await press(pilot, "enter")
        assert "has more decimals than EUR" in drawn(app)
        await press(pilot, "backspace", "backspace")
        await press(pilot, "enter")
        assert "EUR 5.95 is due: another amount is recorded and waits." in drawn(app)
        assert "y  Record EUR 5.90, which waits" in drawn(app)
        await press(pilot, "y")
        await until(pilot, lambda: look(path, "SELECT amount FROM payment WHERE state = ?", "succeeded") == 590)
        assert status_of(path, NUMBER) == "processing"


async def test_y_and_digits_are_letters_in_a_field(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        await write(pilot, "y1n2")
        assert isinstance(app.screen, PayScreen)
        assert "y1n2" in drawn(app)
        assert status_of(path, NUMBER) == "processing"
