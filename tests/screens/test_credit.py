"""C takes a paid order back, or people of it; R pays back money that waits. Neither does anything before Yes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import apsw
import pytest
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.billing import orders, payments
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.models import Payment
from smartsub_tui.data.vocabulary import Role
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.screens.credit import CreditScreen
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.widgets.frame import KeyLine
from smartsub_tui.widgets.lines import Lines
from tests.screens.stage import drawn, make_database, on_stage, press, resize, settle, toasts, until, write
from tests.screens.test_journey import expires_on
from tests.screens.test_sizes import SIZES, assert_inside
from tests.support import MONTH_PRICE, add_office, add_people, add_person, gross, session_on

NUMBER = "20261122090000000000"
KEYS = ("u1", "u2", "u3")
SOON, LATER = "2026-12-22", "2027-01-22"


def fill() -> None:
    add_people(add_office(), *KEYS, expires_on=date(2026, 12, 22))


def on(path: Path) -> Session:
    from smartsub_tui.data.database import open_database, url_of

    return session_on(open_database(url_of(path)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with a paid order for three."""
    made = make_database(tmp_path, fill)
    session = on(made)
    orders.renew(session, "Oak House", KEYS, Months(1), paying=Manual("R"))
    session.database.close()
    return made


def look(path: Path, sql: str) -> list[Any]:
    connection = apsw.Connection(str(path))
    found = [row[0] for row in connection.execute(sql)]
    connection.close()
    return found


def notes(path: Path) -> list[Any]:
    return look(path, "SELECT number FROM invoice WHERE kind = 'credit_note' ORDER BY id")


@asynccontextmanager
async def asked(path: Path, key: str = "C", **options: Any) -> AsyncIterator[tuple[SmartSubApp, Pilot[None]]]:
    async with on_stage(path, start="payments", **options) as (app, pilot):
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, CreditScreen | ConfirmScreen))
        yield app, pilot


async def test_money_that_never_came_is_not_said_to_go_back(path: Path) -> None:
    session = on(path)
    Payment.update(contested=True).execute()
    session.database.close()
    async with asked(path) as (app, pilot):
        assert "No money came, its provider says: nothing is paid back, unless by hand." in drawn(app)
        await write(pilot, "denied")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: notes(path))
        await until(pilot, lambda: toasts(app) and "no money came" in toasts(app)[-1])
        assert look(path, "SELECT count(*) FROM refund") == [0]


async def test_an_order_is_taken_back_after_a_look_at_dates_and_money(path: Path) -> None:
    async with asked(path) as (app, pilot):
        seen = drawn(app)
        assert seen.count(f"{LATER} -> {SOON}") == 3
        assert "Takes back 3 of 3 lines." in seen
        assert f"EUR {gross(3 * MONTH_PRICE) / 100:.2f} is noted as paid back by hand" in seen
        assert "y  Take back EUR 17.85" in seen
        await write(pilot, "yes, no")
        await press(pilot, "enter")
        assert app.screen.focused is app.screen.query_one("#question-no")
        assert notes(path) == []
        await press(pilot, "y")
        await until(pilot, lambda: bool(toasts(app)))
        assert toasts(app) == ["took back EUR 17.85, credit note CN-2026-000001: EUR 17.85 was paid back"]
        assert isinstance(app.screen, PaymentsScreen)
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        seen = app.screen.query_one(Lines).text
        assert "CN-2026-000001" in seen
        assert seen.count("taken back") >= 3
        assert "because: yes, no" in seen
        assert "credit" not in app.screen.query_one(KeyLine).shown
    assert [expires_on(path, key) for key in KEYS] == [SOON] * 3


async def test_who_is_not_marked_stays(path: Path) -> None:
    async with asked(path) as (app, pilot):
        await press(pilot, "tab", "tab", "j", "space")
        assert "Takes back 2 of 3 lines; the others stay." in drawn(app)
        assert "Take back EUR 11.90" in drawn(app)
        await press(pilot, "A", "A")
        assert "Take back EUR" not in drawn(app)
        await press(pilot, "y")
        assert "nobody is marked" in drawn(app)
        await press(pilot, "G", "space", "g", "space")
        assert "2 of 3" in drawn(app)
        await press(pilot, "y")
        assert "reason is empty" in drawn(app)
        await write(pilot, "a mistake")
        await press(pilot, "tab")
        await write(pilot, "till 4")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: bool(toasts(app)))
    assert [expires_on(path, key) for key in KEYS] == [SOON, LATER, SOON]
    assert look(path, "SELECT reference FROM refund") == ["till 4"]


@pytest.mark.parametrize("keys", [("escape",), ("tab", "tab", "n"), ("tab", "tab", "enter")])
async def test_no_changes_nothing(path: Path, keys: tuple[str, ...]) -> None:
    async with asked(path) as (app, pilot):
        await press(pilot, *keys)
        assert isinstance(app.screen, PaymentsScreen)
        assert notes(path) == []


async def test_who_an_open_order_holds_cannot_be_marked(path: Path) -> None:
    session = on(path)
    holder = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
    session.database.close()
    async with asked(path, filter_text="status:succeed") as (app, pilot):
        assert f"order {holder} holds it" in drawn(app)
        assert "2 of 3 lines" in drawn(app)
        await press(pilot, "tab", "tab", "space")
        assert f"Name of u1: order {holder} holds it" in drawn(app)
        await press(pilot, "up", "A", "A")
        assert "2 of 3 lines" in drawn(app)
        await press(pilot, "shift+tab", "shift+tab")
        await write(pilot, "x")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: bool(toasts(app)))
    assert [expires_on(path, key) for key in KEYS] == [LATER, SOON, SOON]


async def test_more_lines_than_fit_scroll_with_the_cursor(tmp_path: Path) -> None:
    keys = [f"p{place:03d}" for place in range(60)]
    made = make_database(tmp_path, lambda: add_people(add_office(), *keys, expires_on=date(2026, 12, 22)))
    session = on(made)
    orders.renew(session, "Oak House", keys, Months(1), paying=Manual("R"))
    session.database.close()
    async with asked(made, size=(60, 18)) as (app, pilot):
        assert "Name of p000" in drawn(app)
        await press(pilot, "tab", "tab", "G", "space", "k", "space")
        assert "Name of p059" in drawn(app)
        assert "Name of p000" not in drawn(app)
        assert "58 of 60 lines" in drawn(app)
        await resize(pilot, 100, 30)
        await settle(pilot)
        await press(pilot, "g", "down")
        assert "Name of p000" in drawn(app)
        assert app.screen.query_one(Lines).size.height > 6


async def test_it_is_refused_where_it_changed_meanwhile(path: Path) -> None:
    async with asked(path) as (app, pilot):
        connection = apsw.Connection(str(path))
        connection.execute("UPDATE orders SET version = version + 1")
        connection.close()
        await write(pilot, "x")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: bool(toasts(app)))
        assert "was changed by someone else meanwhile" in toasts(app)[0]
        assert notes(path) == []


async def test_who_may_not_is_told(path: Path) -> None:
    on(path).database.close()
    session = on(path)
    session_on(session.database, Role.OPERATOR)
    session.database.close()
    async with on_stage(path, start="payments", role=Role.OPERATOR) as (app, pilot):
        await press(pilot, "C")
        assert toasts(app) == ["take back: not possible, an operator may not"]


# Money that waits


async def test_money_that_waits_is_paid_back_and_no_date_moves(path: Path) -> None:
    session = on(path)
    payments.confirm(session, NUMBER, Manual("R2", 700), second=True)
    session.database.close()
    async with asked(path, "R") as (app, pilot):
        assert "Pay back money of order" in drawn(app)
        assert "EUR 7.00 goes back; the order stays as it is, no date moves." in drawn(app)
        await write(pilot, "came twice")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: bool(toasts(app)))
        assert "EUR 7.00" in toasts(app)[0]
        assert app.messages[0].wrong is False
    assert look(path, "SELECT state FROM payment ORDER BY id") == ["succeeded", "refunded"]
    assert [expires_on(path, key) for key in KEYS] == [LATER] * 3


async def test_what_could_not_be_paid_back_is_told_and_can_be_paid_back_later(path: Path) -> None:
    session = on(path)
    Payment.update(provider="stripe").execute()  # which never named the money
    session.database.close()
    async with asked(path) as (app, pilot):
        assert "EUR 17.85 goes back by Stripe" in drawn(app)
        await write(pilot, "x")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: bool(toasts(app)))
        assert f"EUR 17.85 could not be paid back: smartsub refund {NUMBER}" in toasts(app)[0]
        assert app.messages[0].wrong
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "EUR 17.85 goes back" in drawn(app)
        await write(pilot, "again")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: len(toasts(app)) == 2)
        assert app.messages[1].wrong


async def test_it_fits_every_size_whatever_people_are_called(tmp_path: Path) -> None:
    def people() -> None:
        office = add_office("O" * 90)
        for key, name in (("u1", "[red]\x1b[2J"), ("u2", "N" * 90), ("u3", "王" * 40)):
            add_person(office, key, name=name, expires_on=date(2026, 12, 22))

    made = make_database(tmp_path, people)
    session = on(made)
    orders.renew(session, "O" * 90, KEYS, Months(1), paying=Manual("R"))
    session.database.close()
    async with asked(made) as (app, pilot):
        for size in (*SIZES, *reversed(SIZES)):
            await resize(pilot, *size)
            await settle(pilot)
            assert_inside(app)
            seen = drawn(app)
            for text in ("[red]", "Reason", "Take back EUR 17.85", "3 of 3 lines", "EUR 17.85 is noted"):
                assert text in seen, seen
            assert seen.count(f"{LATER} -> {SOON}") == 3
            assert "\x1b" not in seen
