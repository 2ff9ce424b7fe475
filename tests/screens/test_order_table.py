"""The order table: which columns there are at which width, and what a row offers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from smartsub_tui.data.money import Money
from smartsub_tui.data.queries import Sort
from smartsub_tui.data.records import InvoiceRecord, OrderSummary
from smartsub_tui.data.vocabulary import OfficeKind, OrderStatus, OrderType
from smartsub_tui.widgets.order_table import Widest, actions, cell_text, layout, texts
from tests.support import NOW

ORDER = OrderSummary(
    number="20261122090000000000",
    type=OrderType.SUBSCRIPTION,
    office="Elm Court",
    status=OrderStatus.PROCESSING,
    apartments=3,
    net=Money(100, "EUR"),
    tax=Money(19, "EUR"),
    total=Money(119, "EUR"),
    created_at=NOW,
    created_by="ann",
    pay_by=NOW + timedelta(hours=1),
    paid_at=None,
    months=None,
    until=date(2027, 1, 1),
    next_expiration=date(2027, 1, 1),
    po_number=None,
    buyer_reference=None,
    invoice=None,
    deleted=False,
    pk=1,
    office_kind=OfficeKind.COMMUNITY,
    version=1,
    late=False,
    history=False,
    due=False,
)
INVOICE = InvoiceRecord(number="INV-2026-000001", issued_on=date(2026, 11, 22), total=ORDER.total)


def columns(rows: Sequence[OrderSummary], width: int, timezone: str = "UTC") -> dict[str, list[str]]:
    """Head and texts of each column, by its key."""
    widest, shown = Widest(), [texts(row, NOW, timezone) for row in rows]
    for row, each in zip(rows, shown, strict=True):
        widest.take(row, each)
    return {
        column.key: [column.head, *(cell_text(column, each).strip() for each in shown)]
        for column in layout(widest, width, Sort())
    }


def heads(width: int) -> list[str]:
    return [column[0] for column in columns([ORDER], width).values()]


def test_every_column_of_the_list_is_there_at_its_width() -> None:
    at_home = ["Order Number", "Type", "Apts", "Total EUR", "Status", "Created v"]
    assert heads(79) == at_home
    assert heads(98) == [*at_home, "Action"]
    assert heads(118) == [*at_home, "Action", "Office", "Next Expiration"]


def test_the_time_of_creation_is_that_of_the_zone() -> None:
    assert columns([ORDER], 118, "Asia/Tokyo")["created"] == ["Created v", "Today 18:00"]


@pytest.mark.parametrize(
    ("changes", "offered"),
    [
        ({}, "p d"),
        ({"due": True, "pay_by": NOW}, "d"),
        ({"status": OrderStatus.SYSTEM_PROCESSING}, ""),
        ({"status": OrderStatus.SUCCEED, "invoice": INVOICE, "paid_at": NOW}, "d i"),
        ({"status": OrderStatus.FAILED}, "p d"),
        ({"status": OrderStatus.TIME_OUT, "pay_by": NOW}, "d"),
        ({"status": OrderStatus.CANCEL}, "d"),
        ({"status": OrderStatus.CANCEL, "deleted": True}, "D"),
        ({"status": OrderStatus.SUCCEED, "history": True, "pay_by": None}, "d"),
    ],
)
def test_a_row_offers_what_the_life_of_an_order_allows(changes: dict[str, Any], offered: str) -> None:
    assert actions(replace(ORDER, **changes), NOW) == offered


def test_what_the_list_is_sorted_by_stays_when_columns_go() -> None:
    large = replace(ORDER, total=Money(1_498_694, "VND"), type=OrderType.ADDITIONAL_APP, apartments=12_345)
    other = replace(ORDER, total=Money(1, "EUR"), status=OrderStatus.SYSTEM_PROCESSING)
    for width in range(68, 80):
        assert "created" in columns([large, other], width)


def test_where_there_is_little_room_a_year_is_not_taken_for_a_day() -> None:
    old = replace(ORDER, created_at=NOW - timedelta(days=400), status=OrderStatus.SYSTEM_PROCESSING)
    assert columns([ORDER, old], 78)["created"] == ["When v", "09:00", "Oct 2025"]
