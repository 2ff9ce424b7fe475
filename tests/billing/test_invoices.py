"""Invoices: numbered without gaps, complete in themselves, and never changed."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from smartsub_tui.billing import orders, payments
from smartsub_tui.billing.audit import sentence
from smartsub_tui.billing.invoices import BuyerReferences
from smartsub_tui.billing.payments import BankTransfer, Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months, Until
from smartsub_tui.config import InvoiceSettings, OrderSettings, Seller
from smartsub_tui.data.models import Counter, Department, Invoice, Office, Request, User
from smartsub_tui.data.records import InvoiceRecord
from smartsub_tui.data.vocabulary import InvoiceKind, Lapsed, LineAction, Service, UserKind
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
        "references": {"po_number": None, "buyer_reference": None},
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
                "starts_on": "2026-11-22",
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
                "starts_on": "2026-12-23",
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


def test_the_days_that_were_bought_begin_where_the_old_ones_end_or_with_the_payment(
    session: Session, clock: FixedClock
) -> None:
    add_prices()
    office = add_office()
    add_person(office, "new")
    add_person(office, "runs", expires_on=date(2026, 11, 22))
    add_person(office, "lapsed", expires_on=date(2026, 11, 21))
    orders.activate(session, "Oak House", ["Sales"], paying=Manual("R"))
    orders.renew(session, "Oak House", ["runs"], Months(1), paying=Manual("R"))
    orders.renew(session, "Oak House", ["lapsed"], Months(1), paying=Manual("R"))
    said = [json.loads(row.snapshot)["lines"][0] for row in Invoice.select().order_by(Invoice.id)]
    assert [(line["user_id"], line["starts_on"]) for line in said] == [
        ("new", "2026-11-22"),
        ("runs", "2026-11-23"),
        ("lapsed", "2026-11-22"),
    ]


def test_after_a_lapse_that_is_paid_for_they_begin_with_the_day_after_the_old_expiry(session: Session) -> None:
    add_prices()
    add_person(add_office(), "u1", expires_on=date(2026, 10, 5))
    continuous = replace(session, settings=replace(SETTINGS, orders=OrderSettings(lapsed=Lapsed.CONTINUOUS)))
    orders.renew(continuous, "Oak House", ["u1"], Months(2), paying=Manual("R"))
    (line,) = snapshot()["lines"]
    assert (line["previous_expiry"], line["starts_on"], line["new_expiry"]) == (
        "2026-10-05",
        "2026-10-06",
        "2026-12-05",
    )


def said_references() -> tuple[str | None, str | None]:
    said = snapshot()["references"]
    return said["po_number"], said["buyer_reference"]


def test_the_buyer_s_references_are_kept_shown_and_frozen_in_the_invoice(session: Session, office: Office) -> None:
    made = orders.renew(
        session, "Oak House", ["u1"], Months(1), references=BuyerReferences("  PO 4711 ", "Kostenstelle 7")
    ).order
    assert (made.po_number, made.buyer_reference) == ("PO 4711", "Kostenstelle 7")
    paid = payments.pay(session, made.number, Manual("R"), references=BuyerReferences(po_number="PO 4712")).order
    assert (paid.po_number, paid.buyer_reference) == ("PO 4712", "Kostenstelle 7")
    assert said_references() == ("PO 4712", "Kostenstelle 7")
    told = [sentence(event) for event in paid.events]
    assert "PO number PO 4711, buyer reference Kostenstelle 7" in told[0]
    assert told[1] == "the buyer's references noted, PO number PO 4712"
    assert paid.events[1].before == {"po_number": "PO 4711"}


def test_references_come_with_an_activation_a_confirmation_bank_transfer_and_again(
    session: Session, office: Office, clock: FixedClock
) -> None:
    add_person(office, "new")
    both = BuyerReferences("PO 1", "B 1")
    orders.activate(session, "Oak House", ["Sales"], paying=Manual("R"), references=both)
    assert said_references() == ("PO 1", "B 1")
    number = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
    bank = payments.pay(session, number, BankTransfer(), references=BuyerReferences(buyer_reference="B 2")).order
    assert (bank.po_number, bank.buyer_reference) == (None, "B 2")
    payments.confirm(session, number, Manual("R"), references=BuyerReferences(po_number="PO 2"))
    assert said_references() == ("PO 2", "B 2")
    number = orders.renew(session, "Oak House", ["u2"], Months(1), references=both).order.number
    payments.cancel(session, number, "x")
    made = orders.again(session, number, references=BuyerReferences(buyer_reference="B 3")).order
    assert (made.po_number, made.buyer_reference) == ("PO 1", "B 3")


def test_references_of_an_order_that_is_paid_are_refused_as_its_invoice_stands(
    session: Session, office: Office
) -> None:
    number = orders.renew(session, "Oak House", ["u1"], Months(1), paying=Manual("R")).order.number
    with pytest.raises(Refused, match="is paid and its invoice issued"):
        payments.confirm(session, number, Manual("S"), second=True, references=BuyerReferences(po_number="PO"))
    payments.confirm(session, number, Manual("S"), second=True)
    assert said_references() == (None, None)


@pytest.mark.parametrize(
    ("references", "said"),
    [
        (BuyerReferences(po_number=" "), "PO number is empty"),
        (BuyerReferences(buyer_reference="x" * 501), "buyer reference has 501 characters"),
        (BuyerReferences(po_number="a\u202eb"), "PO number holds U\\+202E"),
    ],
)
def test_references_that_mislead_are_refused(
    session: Session, office: Office, references: BuyerReferences, said: str
) -> None:
    with pytest.raises(WrongUsage, match=said):
        orders.renew(session, "Oak House", ["u1"], Months(1), references=references)
    number = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
    with pytest.raises(WrongUsage, match=said):
        payments.pay(session, number, Manual("R"), references=references)


def test_a_request_id_holds_for_the_same_references_only(session: Session, office: Office) -> None:
    def renew(**references: str) -> str:
        said = BuyerReferences(**references)
        return orders.renew(session, "Oak House", ["u1"], Months(1), references=said, request_id="r").order.number

    first = renew(po_number="PO 1")
    assert renew(po_number="PO 1") == first
    for other in ({}, {"po_number": "PO 2"}, {"buyer_reference": "PO 1"}):
        with pytest.raises(Refused, match="was used for something else"):
            renew(**other)


def test_a_request_without_references_is_the_one_that_it_was_before_there_were_any(
    session: Session, office: Office
) -> None:
    orders.renew(session, "Oak House", ["u1"], Months(1), request_id="r")
    arguments = {"office": "Oak House", "chosen": ["u1"], "term": {"months": 1}, "additional": False, "paying": None}
    digest = hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()
    assert Request.get().arguments == digest


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
