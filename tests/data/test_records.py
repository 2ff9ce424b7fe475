"""Records as JSON and back: what a repeated request returns is what the first one returned."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, TypeVar, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartsub_tui.billing.orders import NewOrder
from smartsub_tui.billing.payments import Paid
from smartsub_tui.data.money import LARGEST, Money
from smartsub_tui.data.order_records import EventRecord, LineRecord, OrderDetails, PaymentRecord, Skipped
from smartsub_tui.data.records import (
    AdminRecord,
    InvoiceRecord,
    OfficeRecord,
    OrderSummary,
    UserRecord,
    from_json,
    instant_text,
    to_json,
)
from smartsub_tui.data.vocabulary import OfficeKind, OrderStatus, OrderType, Role, Service, SubscriptionState, UserKind
from tests.support import NOW

T = TypeVar("T")

instants = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
monies = st.builds(Money, st.integers(0, LARGEST), st.sampled_from(["EUR", "JPY", "KWD"]))
plain_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def of(kind: type[T], **parts: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """Records of a kind: the parts as given, money and instants as above, the rest as its annotation says."""
    for name, hint in get_type_hints(kind).items():
        if hint in (datetime, datetime | None):
            parts.setdefault(name, instants if hint is datetime else st.none() | instants)
        elif hint in (Money, Money | None):
            parts.setdefault(name, monies if hint is Money else st.none() | monies)
    return st.builds(kind, **parts)


def some(items: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=3).map(tuple)


details = of(
    OrderDetails,
    invoice=st.none() | of(InvoiceRecord),
    lines=some(of(LineRecord)),
    payments=some(of(PaymentRecord)),
    events=some(of(EventRecord, before=plain_json, after=plain_json)),
    unapplied=some(monies),
)
results: st.SearchStrategy[Any] = st.one_of(
    details,
    of(NewOrder, order=details, skipped=some(of(Skipped))),
    of(Paid, order=details),
    of(UserRecord),
    of(OfficeRecord),
    of(AdminRecord),
)


@given(results)
def test_a_whole_record_comes_back_from_json_as_it_was(record: Any) -> None:
    text = json.dumps(to_json(record, whole=True), ensure_ascii=False)
    assert from_json(type(record), json.loads(text)) == record


def summary(**changed: Any) -> OrderSummary:
    given_fields: dict[str, Any] = {
        "number": "20261122090000000000",
        "type": OrderType.SUBSCRIPTION,
        "office": "Oak House",
        "status": OrderStatus.SUCCEED,
        "apartments": 2,
        "net": Money(1000, "EUR"),
        "tax": Money(190, "EUR"),
        "total": Money(1190, "EUR"),
        "created_at": NOW,
        "created_by": "ann",
        "pay_by": None,
        "paid_at": NOW + timedelta(microseconds=7),
        "months": 12,
        "until": None,
        "next_expiration": None,
        "po_number": "PO 4711",
        "buyer_reference": None,
        "invoice": InvoiceRecord(number="INV-2026-000001", issued_on=date(2026, 11, 22), total=Money(1190, "EUR")),
        "deleted": False,
        "pk": 1,
        "office_kind": OfficeKind.OFFICE,
        "version": 2,
        "late": False,
        "history": False,
        "due": False,
    }
    return OrderSummary(**{**given_fields, **changed})


def test_an_order_prints_the_fields_of_the_command_line_and_no_others() -> None:
    assert to_json(summary()) == {
        "number": "20261122090000000000",
        "type": "subscription",
        "office": "Oak House",
        "status": "succeed",
        "apartments": 2,
        "net": {"amount": 1000, "currency": "EUR"},
        "tax": {"amount": 190, "currency": "EUR"},
        "total": {"amount": 1190, "currency": "EUR"},
        "created_at": "2026-11-22T09:00:00Z",
        "created_by": "ann",
        "pay_by": None,
        "paid_at": "2026-11-22T09:00:00.000007Z",
        "months": 12,
        "until": None,
        "next_expiration": None,
        "po_number": "PO 4711",
        "buyer_reference": None,
        "invoice": {
            "number": "INV-2026-000001",
            "issued_on": "2026-11-22",
            "total": {"amount": 1190, "currency": "EUR"},
        },
        "deleted": False,
    }


def test_a_user_prints_the_import_s_user_id_as_id() -> None:
    user = UserRecord(
        id="u1",
        name="Ann",
        office="Oak House",
        department="Sales",
        kind=UserKind.PROPERTY_MANAGER,
        apartment=None,
        service=Service.PM_APP,
        state=SubscriptionState.ACTIVE,
        activated_on=date(2026, 1, 31),
        expires_on=date(2027, 2, 28),
        pk=1,
        subscription_pk=2,
        anchor_day=31,
        held_by="x",
    )
    assert to_json(user) == {
        "id": "u1",
        "name": "Ann",
        "office": "Oak House",
        "department": "Sales",
        "kind": "property_manager",
        "apartment": None,
        "service": "pm_app",
        "state": "active",
        "activated_on": "2026-01-31",
        "expires_on": "2027-02-28",
    }


def test_instants_are_printed_in_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert instant_text(datetime(2026, 11, 22, 18, tzinfo=tokyo)) == "2026-11-22T09:00:00Z"


def test_plain_values_in_lists_and_dictionaries_are_taken_as_they_are() -> None:
    value = {"a": [Role.MANAGER, (date(2026, 1, 1), None, 1, "x")], "b": Money(1, "EUR")}
    assert to_json(value) == {"a": ["manager", ["2026-01-01", None, 1, "x"]], "b": {"amount": 1, "currency": "EUR"}}


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        summary().total = Money(0, "EUR")  # type: ignore[misc]
