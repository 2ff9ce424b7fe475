"""Races: real processes on one database file, all at the same moment. One wins, the others are told so."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from smartsub_tui.billing import orders, payments
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.database import open_database
from smartsub_tui.data.models import AuditEvent, Claim, Invoice, Order, Payment, Request
from smartsub_tui.data.queries import find_office
from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.errors import SmartsubError
from tests.support import (
    FixedClock,
    add_office,
    add_people,
    add_prices,
    at_once,
    expiry,
    file_database,
    session_on,
    url_at,
)

SOON, LATER = date(2026, 12, 22), date(2027, 1, 22)
PEOPLE = ("u1", "u2", "u3")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with an office of three people."""
    path = tmp_path / "shared.sqlite3"
    with closing(file_database(path)) as database:
        session_on(database)
        add_prices()
        add_people(add_office(), *PEOPLE, expires_on=SOON)
    return url_at(path)


def ordered(url: str, *keys: str) -> str:
    with closing(open_database(url)) as database:
        return orders.renew(session_on(database), "Oak House", keys or PEOPLE, Months(1)).order.number


def pay(url: str, number: str, reference: str, request_id: str | None = None) -> str:
    with closing(open_database(url)) as database:
        paid = payments.pay(session_on(database), number, Manual(reference), request_id=request_id)
    assert paid.order.invoice is not None
    return paid.order.invoice.number


def pay_or_cancel(url: str, number: str, place: int) -> str:
    with closing(open_database(url)) as database:
        if place % 2:
            return payments.pay(session_on(database), number, Manual(f"R-{place}")).order.status.value
        return payments.cancel(session_on(database), number, "at the same time").status.value


def renew(url: str, keys: tuple[str, ...] = PEOPLE) -> str:
    with closing(open_database(url)) as database:
        return orders.renew(session_on(database), "Oak House", keys, Months(1)).order.number


def pay_each(url: str, numbers: list[str]) -> str:
    """Pay one order after the other, as quickly as it goes; how many were paid here."""
    done = 0
    with closing(open_database(url)) as database:
        session = session_on(database)
        for number in numbers:
            try:
                payments.pay(session, number, Manual("R"))
            except SmartsubError as error:
                assert "it is already paid" in error.message  # noqa: PT017 - the others are expected to be refused
            else:
                done += 1
    return str(done)


def time_out(url: str, number: str) -> str:
    clock = FixedClock()
    clock.advance(hours=24)
    with closing(open_database(url)) as database:
        return payments.confirm(session_on(database, clock=clock), number, Manual("R")).order.status.value


def test_of_twenty_that_pay_the_same_order_one_pays_it(url: str) -> None:
    number = ordered(url)
    said = at_once(pay, [(url, number, f"R-{place}") for place in range(20)])
    assert Counter(said) == {
        "INV-2026-000001": 1,
        f"Refused: order {number} cannot be paid: it is already paid": 19,
    }
    with closing(open_database(url)):
        assert [(row.reference, row.applied) for row in Payment.select()] == [
            (f"R-{said.index('INV-2026-000001')}", True)
        ]
        assert [row.number for row in Invoice.select()] == ["INV-2026-000001"]
        assert {expiry(key) for key in PEOPLE} == {LATER}
        assert [row.action for row in AuditEvent.select().order_by(AuditEvent.id)] == ["create", "pay"]
        assert Claim.select().count() == 0


def test_a_request_that_is_sent_eight_times_at_once_is_done_once_and_answered_alike(url: str) -> None:
    number = ordered(url)
    said = at_once(pay, [(url, number, "R", "request-1")] * 8)
    assert said == ["INV-2026-000001"] * 8
    with closing(open_database(url)):
        assert Payment.select().count() == Invoice.select().count() == Request.select().count() == 1
        assert {expiry(key) for key in PEOPLE} == {LATER}


def test_of_ten_that_renew_the_same_people_one_gets_them(url: str) -> None:
    said = at_once(renew, [(url,)] * 10)
    with closing(open_database(url)):
        (number,) = [row.number for row in Order.select()]
        assert Claim.select().count() == 3
    assert Counter(said) == {
        number: 1,
        f"Refused: nobody is left to order for: u1 is in an open order, {number} (and 2 more)": 9,
    }


def test_orders_made_in_the_same_second_have_numbers_of_their_own(url: str) -> None:
    said = at_once(renew, [(url, (key,)) for key in PEOPLE])
    assert sorted(said) == [f"2026112209000000000{count}" for count in range(3)]


def test_paid_or_cancelled_but_not_both(url: str) -> None:
    number = ordered(url)
    said = at_once(pay_or_cancel, [(url, number, place) for place in range(8)])
    won = [each for each in said if not each.startswith("Refused")]
    assert len(won) == 1
    with closing(open_database(url)):
        status = Order.get().status
        assert status == OrderStatus(won[0])
        assert (expiry("u1") == LATER) == (status is OrderStatus.SUCCEED)
        assert Invoice.select().count() == (status is OrderStatus.SUCCEED)
        assert Payment.select().count() == (status is OrderStatus.SUCCEED)


def test_an_order_that_is_due_is_timed_out_once(url: str) -> None:
    number = ordered(url)
    said = at_once(time_out, [(url, number)] * 6)
    assert Counter(each.split(":")[0] for each in said) == {"succeed": 1, "Refused": 5}
    with closing(open_database(url)):
        assert [row.action for row in AuditEvent.select().order_by(AuditEvent.id)] == ["create", "time_out", "confirm"]


def test_invoices_of_many_writers_have_neither_gaps_nor_twins(url: str) -> None:
    with closing(open_database(url)) as database:
        keys = [f"p{number}" for number in range(40)]
        add_people(find_office("Oak House"), *keys, expires_on=SOON)
        session = session_on(database)
        numbers = [orders.renew(session, "Oak House", [key], Months(1)).order.number for key in keys]
    said = at_once(pay_each, [(url, numbers[place:] + numbers[:place]) for place in (0, 10, 20, 30)])
    assert sum(int(each) for each in said) == 40
    with closing(open_database(url)):
        assert sorted(row.sequence for row in Invoice.select()) == list(range(1, 41))
        assert {expiry(key) for key in keys} == {LATER}
