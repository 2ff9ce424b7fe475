"""The triage queue: what needs someone, ranked by harm, the worst first: orders, and behind them offices.

Each rank is what its filter lists, less the orders of the ranks before it: an order stands once, at its worst. Within a
rank the most urgent stands first: what has waited longest, whose time is over soonest, who runs out first. Of each rank
the first are read, as many as MOST; the counts are of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace
from peewee import SQL, Case, fn

from smartsub_tui.data.database import rows
from smartsub_tui.data.fields import from_microseconds
from smartsub_tui.data.filter_sql import order_condition, user_condition
from smartsub_tui.data.filters import Filter, Moment, parse_orders, parse_users
from smartsub_tui.data.models import Department, Office, Order, Payment, Subscription, User
from smartsub_tui.data.money import Money
from smartsub_tui.data.queries import among, count_orders, zones
from smartsub_tui.data.vocabulary import (
    LIVE_PAYMENT_STATES,
    OrderStatus,
    PaymentState,
    ProviderName,
    Rank,
    UserKind,
)

MOST: Final = 500

# What the panel of the dashboard counts, and the list behind each of its lines; the last one is of people.
FILTERS: Final = {
    Rank.UNKNOWN: "is:unknown",
    Rank.UNAPPLIED: "is:unapplied",
    Rank.FAILED: "is:retry",
    Rank.TIMING_OUT: "status:processing payby:<2h",
    Rank.EXPIRING: "state:expiring order:none",
}
OF_ORDERS: Final[tuple[Rank, ...]] = tuple(rank for rank in Rank if rank is not Rank.EXPIRING)

ItemKey: TypeAlias = tuple[Rank, int]


class QueuedOrder(Struct, frozen=True, kw_only=True):
    """An order that needs someone.

    `at`: since when it is so; of what is about to time out, until when it can be paid. `waiting`: money that is to be
    applied. `asked`: the provider whose answer is missing.
    """

    rank: Rank
    pk: int
    number: str
    office: str
    status: OrderStatus
    total: Money
    at: datetime
    pay_by: datetime | None
    asked: ProviderName | None
    waiting: tuple[Money, ...] = ()

    @property
    def key(self) -> ItemKey:
        """An order that comes into another rank is another thing to do."""
        return self.rank, self.pk


class QueuedOffice(Struct, frozen=True, kw_only=True):
    """People of one office who expire without an order; `family` of them are family members, `first` ends first."""

    pk: int
    office: str
    timezone: str
    people: int
    family: int
    first: date

    @property
    def rank(self) -> Rank:
        return Rank.EXPIRING

    @property
    def key(self) -> ItemKey:
        return self.rank, self.pk


Item: TypeAlias = QueuedOrder | QueuedOffice


class Part(Struct, frozen=True):
    """The first items of a rank, and of all of them: how many there are, and the `number` of orders or people."""

    rank: Rank
    items: tuple[Item, ...]
    count: int
    number: int

    def put_off(self, later: Sequence[ItemKey]) -> Part:
        """The same, with what is to be done later at its end, in the order in which it was put off."""
        places = {key: place for place, key in enumerate(later)}
        return replace(self, items=tuple(sorted(self.items, key=lambda item: places.get(item.key, -1))))


class Queue(Struct, frozen=True):
    """The queue, a part for each rank, those with nothing in them too."""

    parts: tuple[Part, ...] = ()

    @property
    def total(self) -> int:
        return sum(part.count for part in self.parts)

    @property
    def items(self) -> Iterator[Item]:
        return (item for part in self.parts for item in part.items)

    def place(self, key: ItemKey) -> int:
        """Which one of all it is, from 1 on; raises KeyError where it is not in the queue."""
        before = 0
        for part in self.parts:
            for place, item in enumerate(part.items, 1):
                if item.key == key:
                    return before + place
            before += part.count
        raise KeyError(key)

    def put_off(self, later: Sequence[ItemKey]) -> Queue:
        return Queue(tuple(part.put_off(later) for part in self.parts))

    def following(self, key: ItemKey | None, before: Queue) -> ItemKey | None:
        """Where someone is now who was at `key` of the queue `before`; at the first, who was nowhere.

        There still; else, for it is settled, at the next that is left, or behind the last at the one before it.
        """
        here, old = [item.key for item in self.items], [item.key for item in before.items]
        place, left = old.index(key) if key in old else 0, set(here)
        onward = (each for each in (*old[place:], *reversed(old[:place])) if each in left)
        return next(onward, here[0] if here else None)


def read_queue(moment: Moment, later: Sequence[ItemKey] = ()) -> Queue:
    """The queue as it is, with what is to be done `later` at the end of its rank."""
    parts = [_part_of_orders(rank, moment, later) for rank in OF_ORDERS]
    return Queue((*parts, _part_of_offices(moment, later)))


def filter_of(rank: Rank) -> Filter:
    """Which orders stand at this rank: those of its filter that are of no worse one."""
    chosen = parse_orders(FILTERS[rank])
    worse = [parse_orders(FILTERS[each]) for each in OF_ORDERS[: OF_ORDERS.index(rank)]]
    return Filter("orders", (*chosen.terms, *(replace(term, negated=True) for each in worse for term in each.terms)))


def _part(rank: Rank, items: Iterable[Item], later: Sequence[ItemKey], count: int, number: int) -> Part:
    whole = Part(rank, tuple(items), count, number).put_off(later)
    return replace(whole, items=whole.items[:MOST])


# Orders

_LIVE: Final = SQL("(" + ", ".join(f"'{state.value}'" for state in LIVE_PAYMENT_STATES) + ")")
# In the words of the index on these few.
_WAITS: Final = (Payment.state == SQL(f"'{PaymentState.SUCCEEDED.value}'")) & ~Payment.applied


def _since(rank: Rank) -> Any:
    """The least is the most urgent. Each lies in an index but that of the waiting money, of which there is little."""
    match rank:
        case Rank.UNAPPLIED:
            # What is owed, where no money waits to be applied, waits since the order is what it is.
            since = Payment.select(fn.MIN(Payment.changed_at)).where((Payment.order == Order.id) & _WAITS)
            return fn.COALESCE(since, Order.status_since)
        case Rank.TIMING_OUT:
            return Order.pay_by
        case _:
            return Order.status_since


def orders_of(rank: Rank, moment: Moment, limit: int) -> Any:
    """A query of the first orders of a rank."""
    since = _since(rank)
    asked = Payment.select(Payment.provider).where((Payment.order == Order.id) & Payment.state.in_(_LIVE))
    return (
        Order.select(
            Order.id,
            Order.number,
            Office.name,
            Order.status,
            Order.currency,
            Order.total,
            Order.pay_by,
            since.alias("since"),
            asked.limit(1).alias("asked"),
        )
        .join(Office, on=(Order.office == Office.id))
        .where(order_condition(filter_of(rank), moment))
        .order_by(SQL("since") if rank is Rank.UNAPPLIED else since, Order.id)
        .limit(limit)
    )


def _part_of_orders(rank: Rank, moment: Moment, later: Sequence[ItemKey]) -> Part:
    # Those that go to the end make room for as many others.
    limit = MOST + sum(each is rank for each, _ in later)
    found = list(rows(orders_of(rank, moment, limit)))
    waiting = _waiting([row[0] for row in found]) if rank is Rank.UNAPPLIED else {}
    items = [
        QueuedOrder(
            rank=rank,
            pk=pk,
            number=number,
            office=office,
            status=status,
            total=Money(total, currency),
            at=since if isinstance(since, datetime) else from_microseconds(since),
            pay_by=pay_by,
            asked=None if asked is None else ProviderName(asked),
            waiting=tuple(waiting.get(pk, ())),
        )
        for pk, number, office, status, currency, total, pay_by, since, asked in found
    ]
    count = len(items) if len(items) < limit else count_orders(filter_of(rank), moment)
    return _part(rank, items, later, count, count)


def _waiting(orders: Sequence[int]) -> dict[int, list[Money]]:
    """The money that waits on each of these orders, oldest first."""
    found: dict[int, list[Money]] = {}
    for chunk in among(Payment.order, orders):
        query = Payment.select(Payment.order, Payment.amount, Payment.currency).where(chunk & _WAITS)
        for order, amount, currency in rows(query.order_by(Payment.id)):
            found.setdefault(order, []).append(Money(amount, currency))
    return found


# Offices


def _part_of_offices(moment: Moment, later: Sequence[ItemKey]) -> Part:
    people, first = fn.COUNT(User.id), fn.MIN(Subscription.expires_on)
    counted = (
        User.select(
            Office.id,
            Office.name,
            Office.timezone,
            people,
            fn.SUM(Case(None, [(User.kind == UserKind.FAMILY, 1)], 0)),
            first,
        )
        .join(Office, on=(User.office == Office.id))
        .switch(User)
        .join(Department, on=(User.department == Department.id))
        .switch(User)
        .join(Subscription, on=(Subscription.user == User.id))
        .where(user_condition(parse_users(FILTERS[Rank.EXPIRING]), moment, zones()))
        .group_by(Office.id, *Office._meta.database.settled(Office.name, Office.name_folded, Office.timezone))
        .order_by(first, people.desc(), Office.name_folded, Office.id)
    )
    items = [
        QueuedOffice(pk=pk, office=name, timezone=timezone, people=number, family=int(family), first=day)
        for pk, name, timezone, number, family, day in rows(counted)
    ]
    return _part(Rank.EXPIRING, items, later, len(items), sum(item.people for item in items))
