"""Invoices: numbered without gaps, complete in themselves, and never changed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from smartsub_tui.billing import orders, payments
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months, Until
from smartsub_tui.config import InvoiceSettings, Seller
from smartsub_tui.data.models import Counter, Department, Invoice, Office, User
from smartsub_tui.data.records import InvoiceRecord
from smartsub_tui.data.vocabulary import InvoiceKind, LineAction, Service, UserKind
from smartsub_tui.errors import Refused, WrongUsage
from tests.support import (
    NOW,
    SETTINGS,
    FixedClock,
    add_community,
    add_office,
    add_people,
    add_person,
    add_price,
    add_prices,
)

SOON = date(2026, 12, 22)


@pytest.fixture
def office(session: Session) -> Office:
    add_prices()
    made = add_office()
    add_people(made, "u1", "u2", "u3", expires_on=SOON)
    return made


def paid(session: Session, key: str = "u1", reference: str = "R", **options: Any) -> InvoiceRecord:
    made = orders.renew(session, "Oak House", [key], Months(1), paying=Manual(reference), **options).order
    assert made.invoice is not None
    return made.invoice


def snapshot() -> Any:
    return json.loads(Invoice.select().order_by(Invoice.id.desc()).get().snapshot)


def test_numbers_go_up_by_one_and_a_refusal_takes_none(session: Session, office: Office) -> None:
    numbers = []
    for _ in range(3):
        numbers.append(paid(session).number)
        paid(session, dry_run=True)
        with pytest.raises(WrongUsage):
            paid(session, reference=" ")
        with pytest.raises(Refused):
            orders.renew(session, "Oak House", ["nobody"], Months(1), paying=Manual("R"))
    assert numbers == ["INV-2026-000001", "INV-2026-000002", "INV-2026-000003"]
    assert [(row.series, row.year, row.sequence) for row in Invoice.select().order_by(Invoice.id)] == [
        ("INV", 2026, 1),
        ("INV", 2026, 2),
        ("INV", 2026, 3),
    ]
    assert [(row.series, row.year, row.last) for row in Counter.select()] == [("INV", 2026, 3)]


def test_an_order_that_is_not_paid_has_no_invoice(session: Session, office: Office) -> None:
    made = orders.renew(session, "Oak House", ["u1"], Months(1)).order
    payments.pay(session, made.number, Manual("R", 1))
    payments.cancel(session, made.number, "x")
    payments.confirm(session, made.number, Manual("R"))
    assert Invoice.select().count() == 0
    assert Counter.select().count() == 0


@pytest.mark.parametrize(
    ("timezone", "expected"),
    [
        ("UTC", [("INV-2026-000001", date(2026, 12, 31)), ("INV-2027-000001", date(2027, 1, 1))]),
        ("Asia/Tokyo", [("INV-2027-000001", date(2027, 1, 1)), ("INV-2027-000002", date(2027, 1, 1))]),
        ("America/New_York", [("INV-2026-000001", date(2026, 12, 31)), ("INV-2026-000002", date(2026, 12, 31))]),
    ],
)
def test_day_and_year_are_the_seller_s_and_each_year_counts_from_one(
    session: Session, office: Office, clock: FixedClock, timezone: str, expected: list[tuple[str, date]]
) -> None:
    session = replace(session, settings=replace(SETTINGS, seller=Seller(timezone=timezone)))
    clock.put(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))
    first = paid(session, "u1")
    clock.advance(seconds=1)
    second = paid(session, "u2")
    assert [(each.number, each.issued_on) for each in (first, second)] == expected


def test_each_series_counts_by_itself(session: Session, office: Office) -> None:
    other = replace(session, settings=replace(SETTINGS, invoice=InvoiceSettings(series="RE")))
    assert [paid(session).number, paid(other).number, paid(session).number, paid(other).number] == [
        "INV-2026-000001",
        "RE-2026-000001",
        "INV-2026-000002",
        "RE-2026-000002",
    ]


def test_after_a_million_the_number_is_longer(session: Session, office: Office) -> None:
    Counter.create(series="INV", year=2026, last=999_999)
    assert paid(session).number == "INV-2026-1000000"


def test_an_invoice_says_everything_by_itself(session: Session, clock: FixedClock) -> None:
    add_price(Service.APP, LineAction.MONTH, 50)
    add_price(Service.PM_APP, LineAction.MONTH, 55, tax_rate_ppm=70_000)
    office = add_office("Oak & Söhne")
    add_person(office, "u1", name="王冬梅", apartment="1A", expires_on=SOON)
    add_person(office, "p1", name="Bob", kind=UserKind.PROPERTY_MANAGER, expires_on=date(2020, 1, 1))
    made = orders.renew(session, "Oak & Söhne", ["u1", "p1"], Months(2)).order
    clock.advance(hours=1)
    payments.pay(session, made.number, Manual("R-7"))
    said = snapshot()
    said["lines"].sort(key=lambda line: line["user_id"])
    assert said == {
        "seller": {
            "name": "Seller GmbH",
            "address": "Mainstr. 1\n10115 Berlin",
            "vat_id": "DE1",
            "iban": "DE02",
            "email": "a@b.example",
        },
        "buyer": {"office": "Oak & Söhne", "kind": "office"},
        "order": {
            "number": made.number,
            "type": "subscription",
            "created_at": "2026-11-22T09:00:00Z",
            "paid_at": "2026-11-22T10:00:00Z",
            "months": 2,
            "until": None,
            "first_term_months": None,
        },
        "payment": {"provider": "manual", "reference": "R-7"},
        "currency": "EUR",
        "lines": [
            {
                "user_id": "p1",
                "label": "Bob",
                "department": "Sales",
                "apartment": None,
                "service": "pm_app",
                "action": "month",
                "amount": 110,
                "tax_rate_ppm": 70_000,
                "previous_expiry": "2020-01-01",
                "new_expiry": "2027-01-22",
            },
            {
                "user_id": "u1",
                "label": "王冬梅",
                "department": "Sales",
                "apartment": "1A",
                "service": "app",
                "action": "month",
                "amount": 100,
                "tax_rate_ppm": 190_000,
                "previous_expiry": "2026-12-22",
                "new_expiry": "2027-02-22",
            },
        ],
        "tax": [{"rate_ppm": 70_000, "net": 110, "tax": 8}, {"rate_ppm": 190_000, "net": 100, "tax": 19}],
        "net": 210,
        "tax_total": 27,
        "total": 237,
    }
    row = Invoice.get()
    assert (row.kind, row.net, row.tax, row.total, row.currency) == (InvoiceKind.INVOICE, 210, 27, 237, "EUR")
    assert (row.issued_at, row.issued_on) == (NOW + timedelta(hours=1), date(2026, 11, 22))


def test_an_invoice_of_an_activation_and_of_a_date_says_its_term(session: Session) -> None:
    add_prices()
    community = add_community()
    add_person(community, "c1")
    orders.activate(session, "Elm Court", ["Sales"], paying=Manual("R"))
    said = snapshot()
    assert (said["order"]["type"], said["order"]["first_term_months"], said["order"]["months"]) == (
        "activation",
        1,
        None,
    )
    assert said["lines"][0]["previous_expiry"] is None
    orders.renew(session, "Elm Court", ["c1"], Until(date(2027, 1, 5)), paying=Manual("R"))
    said = snapshot()
    assert (said["order"]["until"], said["lines"][0]["action"]) == ("2027-01-05", "day")
    assert said["buyer"] == {"office": "Elm Court", "kind": "community"}


def test_later_names_and_settings_change_no_invoice(session: Session, office: Office) -> None:
    paid(session)
    before = Invoice.get().snapshot
    Office.update(name="Renamed", name_folded="renamed").execute()
    User.update(name="Renamed", name_folded="renamed").execute()
    Department.update(name="Renamed", name_folded="renamed").execute()
    other = replace(session, settings=replace(SETTINGS, seller=Seller(name="New Seller")))
    orders.renew(other, "Renamed", ["u2"], Months(1), paying=Manual("R"))
    first, second = [row.snapshot for row in Invoice.select().order_by(Invoice.id)]
    assert first == before
    assert "Renamed" not in first
    assert "New Seller" in second


def test_an_order_of_nothing_has_an_invoice_without_a_payment(session: Session) -> None:
    add_price(Service.APP, LineAction.MONTH, 0)
    add_people(add_office(), "u1", expires_on=SOON)
    orders.renew(session, "Oak House", ["u1"], Months(1))
    said = snapshot()
    assert (said["payment"], said["total"], said["tax"]) == (None, 0, [{"rate_ppm": 190_000, "net": 0, "tax": 0}])


def test_tax_of_an_imported_order_on_the_invoice_is_that_of_the_order(session: Session, office: Office) -> None:
    """The order's own net and tax are what was agreed; its lines' rates say how the tax came about."""
    from smartsub_tui.data.models import Subscription
    from tests.support import add_order

    subscriptions = list(Subscription.select().order_by(Subscription.id))
    order = add_order(office, subscriptions, amount=333)
    payments.confirm(session, order.number, Manual("R"))
    said = snapshot()
    assert (said["net"], said["tax_total"], said["total"]) == (order.net, order.tax, order.total)
    assert sum(each["net"] for each in said["tax"]) == order.net
    assert sum(each["tax"] for each in said["tax"]) == order.tax
