"""Lists of orders: pages of a keyset put together are the list, under every sort, from both ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartsub_tui.data import queries
from smartsub_tui.data.database import Database
from smartsub_tui.data.filters import Moment, parse_orders
from smartsub_tui.data.keyset import Cursor
from smartsub_tui.data.models import Order
from smartsub_tui.data.queries import SORT_KEYS, Sort
from smartsub_tui.data.vocabulary import OrderStatus, OrderType
from tests.support import NOW, add_office, add_order, memory_database

MOMENT = Moment(NOW, "UTC")
FILTERS = ("", "status:succeed,failed", "type:activation", "office:Elm -status:cancel", "0000")
sorts = st.builds(Sort, st.sampled_from(SORT_KEYS), st.booleans())


@pytest.fixture(scope="module", autouse=True)
def database() -> Iterator[Database]:
    """Sixty orders with many equal values, so that the ends of pages fall among them."""
    held, random = memory_database(), Random(4)
    closed = [OrderStatus.SUCCEED, OrderStatus.FAILED, OrderStatus.TIME_OUT, OrderStatus.CANCEL]
    with held.writing():
        offices = [add_office("Oak"), add_office("Elm")]
        for place in range(60):
            add_order(
                random.choice(offices),
                [],
                random.choice(closed),
                history=True,
                type=random.choice(list(OrderType)),
                number=f"{random.randrange(10**6):06d}{place:04d}",
                created_at=NOW - timedelta(days=random.randrange(5)),
            )
    yield held
    held.close()


def numbers(text: str, sort: Sort) -> list[str]:
    rows = queries.search_orders(parse_orders(text), MOMENT, sort=sort, limit=None).rows
    return [row.number for row in rows]


def value(sort: Sort, order: Order) -> tuple[object, ...]:
    """What the sort compares, in plain Python."""
    by = {
        "created": (order.created_at,),
        "number": (order.number,),
        "type": (order.type.value, order.created_at),
        "status": (order.status.value, order.created_at),
        "total": (order.total,),
        "apartments": (order.apartments,),
        "paid": (order.paid_at.timestamp() if order.paid_at else 0,),
        "payby": (order.pay_by.timestamp() if order.pay_by else 0,),
        "office": (order.office.name_folded,),
    }
    return (*by[sort.key], order.id)


@given(st.sampled_from(FILTERS), sorts)
def test_a_list_is_in_its_order(text: str, sort: Sort) -> None:
    chosen = set(numbers(text, Sort()))
    expected = sorted(
        (order for order in Order.select() if order.number in chosen),
        key=lambda order: value(sort, order),
        reverse=sort.descending,
    )
    assert numbers(text, sort) == [order.number for order in expected]


@given(st.sampled_from(FILTERS), sorts, st.integers(1, 17))
@settings(deadline=None)
def test_pages_put_together_are_the_list(text: str, sort: Sort, limit: int) -> None:
    chosen, whole = parse_orders(text), numbers(text, sort)
    forward: list[str] = []
    after: Cursor | None = None
    while (page := queries.search_orders(chosen, MOMENT, sort=sort, limit=limit, after=after)).rows:
        assert queries.count_before(chosen, MOMENT, sort, page.cursors[0]) == len(forward)
        again = queries.search_orders(chosen, MOMENT, sort=sort, limit=limit, at=page.cursors[0])
        assert again == page
        forward += [row.number for row in page.rows]
        after = page.cursors[-1]
    assert forward == whole
    backward: list[str] = []
    page = queries.search_orders(chosen, MOMENT, sort=sort, limit=limit, last=True)
    while page.rows:
        backward = [row.number for row in page.rows] + backward
        page = queries.search_orders(chosen, MOMENT, sort=sort, limit=limit, before=page.cursors[0])
    assert backward == whole


@pytest.mark.parametrize("text", FILTERS)
def test_facets_count_the_list(text: str) -> None:
    chosen = parse_orders(text)
    rows = queries.search_orders(chosen, MOMENT, limit=None).rows
    facets = queries.count_facets(chosen, MOMENT)
    assert facets.statuses == {
        status: count for status in OrderStatus if (count := sum(row.status is status for row in rows))
    }
    assert facets.types == {kind: count for kind in OrderType if (count := sum(row.type is kind for row in rows))}
