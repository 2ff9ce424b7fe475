"""Who orders what, and when: the slots of all orders, and the order that is made at each.

Slots are laid out first, as many as there are to be orders. What is ordered at one follows from who is about to expire.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from heapq import heappop
from typing import Final, NamedTuple

from smartsub_tui.billing import terms
from smartsub_tui.billing.demo import fates
from smartsub_tui.billing.demo.fates import Fate
from smartsub_tui.billing.demo.world import (
    DAY,
    HOUR,
    MONTHS,
    Line,
    Office,
    Order,
    Person,
    World,
    apartments,
    flush,
    month_end,
    record_new,
)
from smartsub_tui.billing.pricing import totals
from smartsub_tui.billing.terms import FirstTerm, Months, Term, Until
from smartsub_tui.data.vocabulary import OfficeKind, OrderStatus, OrderType, Trigger

_OPEN: Final = 48 * HOUR  # how far ahead what is open has to be paid
_WRITE_AFTER: Final = 2000  # orders
_EARLY: Final = timedelta(days=12)  # before its expiry a subscription is renewed along with others
_SOON: Final = timedelta(days=20)  # who expires later does not order, while others do
_MOST_LINES: Final = 60


class _Slot(NamedTuple):
    """When an order is made, and where, if somebody there is due; `fate` None: what becomes of it is left to chance."""

    at: datetime
    office: Office
    fate: Fate | None = None


def add_orders(world: World, count: int) -> None:
    """Make the orders one after the other, and let happen in between what is to become of them."""
    slots = _special_slots(world)[: count // 4]
    slots += _usual_slots(world, count - len(slots))
    slots.sort(key=lambda slot: slot.at)
    for index, slot in enumerate(slots, 1):
        world.pass_time(slot.at)
        order = _next_order(world, slot)
        if order is not None and order.status is OrderStatus.PROCESSING:
            (slot.fate or fates.usual_fate(world))(world, order)
        if index % _WRITE_AFTER == 0:
            flush(world)
    world.pass_time(world.end)


def _usual_slots(world: World, count: int) -> list[_Slot]:
    """Over all the years, more as the people become more; mostly on working days, by day in the office's zone."""
    rng = world.random
    days = (world.end - world.start).days
    offices = rng.choices(world.offices, [len(office.people) for office in world.offices], k=count)
    slots = []
    for index, office in enumerate(offices):
        # The density of orders grows from 1 to 2: this is the inverse of its integral.
        place = math.sqrt(1 + 3 * (index + rng.random()) / count) - 1
        day = world.start + timedelta(days=int(place * days))
        if day.weekday() >= 5 and rng.random() < 0.75:
            day -= 2 * DAY
        second = int(rng.triangular(7.5, 19.5, 11) * 3600)
        at = datetime(day.year, day.month, day.day, second // 3600, second // 60 % 60, second % 60, tzinfo=office.zone)
        at = at.astimezone(UTC)
        at += DAY * ((at < world.start) - (at > world.end))
        slots.append(_Slot(at, office))
    return slots


def _special_slots(world: World) -> list[_Slot]:
    """What a look at today has to show, whatever chance brings: work that waits, in every kind of waiting."""
    rng, orders = world.random, world.settings.orders
    sizes = [len(office.people) for office in world.offices]
    people, longest = sum(sizes), (world.end - world.start) / 2
    slots: list[_Slot] = []

    def some(one_in: int, least: int, most: int) -> int:
        # People limit them, not orders: each of these holds someone.
        return max(min(least, people // 20), min(most, people // one_in))

    def place(ago: timedelta, fate: Fate) -> None:
        at = (world.end - min(ago, longest)).replace(microsecond=0)
        slots.append(_Slot(at, rng.choices(world.offices, sizes)[0], fate))

    def evenly(span: timedelta, count: int) -> Iterator[timedelta]:
        for index in range(count):
            yield world.within(span, index / count, (index + 0.99) / count)

    for ago in evenly(min(orders.pay_within, _OPEN), some(80, 6, 40)):
        place(ago, fates.stay_open)
    if orders.bank_within >= _OPEN + DAY:
        for ahead in evenly(_OPEN, some(200, 4, 16)):
            place(orders.bank_within - ahead, fates.wait_for_bank)
    for fate, span, count in (
        (fates.stay_unknown, 1.3 * DAY, some(400, 2, 8)),
        (fates.stay_imported, 0.5 * DAY, some(800, 1, 4)),
        (fates.leave_cancelled, 45 * DAY, some(500, 2, 6)),
        (fates.leave_timed_out, 45 * DAY, some(500, 2, 6)),
        (fates.leave_failed, 25 * DAY, some(200, 2, 16)),
    ):
        for _ in range(count):
            place(world.within(span, 0.1, 1), fate)
    rng.shuffle(slots)  # a small demo takes only the first
    return slots


def _next_order(world: World, slot: _Slot) -> Order | None:
    """What the office orders now: again what did not work, an activation, or a renewal. None: everybody is held."""
    at, office = slot.at, slot.office
    few = slot.fate is not None
    while not few and office.again and office.again[0][0] <= at:
        _, earlier = office.again.popleft()
        if (order := _order_again(world, at, earlier)) is not None:
            return order
    joins = office.joining and office.joining[0][0] <= at and world.random.random() < 0.6
    if joins and (order := _order_activation(world, office, at)) is not None:
        return order
    if (due := _next_due(world, office, at)) is not None:
        return _order_renewal(world, *due, at, few=few)
    return next((order for each in world.offices if (order := _order_activation(world, each, at))), None)


def _order_again(world: World, at: datetime, earlier: Order) -> Order | None:
    """As orders.again: for the same people, of whom some may have left or been renewed meanwhile."""
    term, today = earlier.term, earlier.office.today(at)
    too_late = isinstance(term, Until) and term.day <= today + 3 * DAY
    people = [
        line.person
        for line in earlier.lines
        if not too_late
        and not line.person.held
        and not line.person.stopped
        and (line.person.dates.expires_on or today) <= today + _SOON
        and terms.objection(line.person.dates, term, today, None) is None
    ]
    if not people:
        return None
    order = _make(world, earlier.office, at, people, term, made_from=earlier)
    world.record(at, order.created_by, Trigger.AGAIN, earlier, after={"made": order.number})
    return order


def _order_activation(world: World, office: Office, at: datetime) -> Order | None:
    """Of the next group that joins, whoever is still inactive."""
    while office.joining:
        _, _, group = heappop(office.joining)
        people = [each for each in group if not each.held and not each.stopped and each.dates.expires_on is None]
        if people:
            return _make(world, office, at, people, FirstTerm(world.settings.orders.first_term_months))
    return None


def _first(waiting: list[tuple[date, int, Person]]) -> date | None:
    """The next expiry of a pool; whoever was renewed or left meanwhile drops out of it here."""
    while waiting:
        expires_on, _, person = waiting[0]
        if not person.stopped and not person.held and person.dates.expires_on == expires_on:
            return expires_on
        heappop(waiting)
    return None


def _next_due(world: World, office: Office, at: datetime) -> tuple[Office, bool, date] | None:
    """Office, pool and expiry of the next renewal: another office's where nobody in this one is due."""
    soon = office.today(at) + _SOON
    best: tuple[Office, bool, date] | None = None
    place, offices = world.order, world.offices
    each = office
    for _ in range(len(offices) + 1):  # this one, and then all in turn
        for additional, waiting in each.renewing.items():
            first = _first(waiting)
            if first is not None and (best is None or first < best[2]):
                best = each, additional, first
        if best is not None and best[2] <= soon:
            break
        place += 1
        each = offices[place % len(offices)]
    return best


def _order_renewal(world: World, office: Office, additional: bool, first: date, at: datetime, *, few: bool) -> Order:
    """Renew whoever expires first, and others who expire soon.

    The more days people are behind, the more of them are taken and for the longer: so expiry dates neither run ahead
    of the calendar nor fall behind it.
    """
    rng = world.random
    today = office.today(at)
    behind = (today - first).days
    wanted = world.pace.lines * 2 ** (min(max(behind + 6, -14), 28) / 10)
    count = min(1 + int(rng.expovariate(1 / max(wanted - 0.6, 0.1))), 3 if few else _MOST_LINES)
    people: list[Person] = []
    latest = max(first, today + _EARLY)
    waiting = office.renewing[additional]
    while len(people) < count and (due := _first(waiting)) is not None and due <= latest:
        person = heappop(waiting)[2]
        person.held = True  # the pool may hold the person twice
        people.append(person)
    level = world.pace.level + (behind > 6) + (behind > 14) - (behind < -10) - (behind < -16)
    term: Term = Months(rng.choice(MONTHS[min(max(level, 0), len(MONTHS) - 1)]))
    if office.kind is OfficeKind.COMMUNITY and not few and rng.random() < 0.15:
        last = max([today, *(each.dates.expires_on for each in people if each.dates.expires_on)])
        term = Until(month_end(last + 10 * DAY, rng.choice((0, 0, 0, 1, 2, 5)) if level > 0 else 0))
    return _make(world, office, at, people, term)


def _make(
    world: World, office: Office, at: datetime, people: list[Person], term: Term, *, made_from: Order | None = None
) -> Order:
    """As orders._create: prices and tax are frozen, `pay_by` is set, the people are held."""
    orders = world.settings.orders
    today = office.today(at)
    people.sort(key=lambda each: (each.name_folded, each.pk))
    lines = []
    for person in people:
        price = office.price(person.service, term.action, today)
        days = terms.days_to(person.dates, term.day, today, orders.lapsed) if isinstance(term, Until) else None
        count = days if days is not None else term.months if isinstance(term, Months) else 1
        lines.append(Line(person, term.action, days, price.amount * count, price.tax_rate_ppm))
        person.held = True
    kind = OrderType.ACTIVATION if isinstance(term, FirstTerm) else OrderType.SUBSCRIPTION
    world.order += 1
    order = Order(
        pk=world.order,
        number=world.number(at),
        office=office,
        type=OrderType.ADDITIONAL_APP if people[0].additional else kind,
        status=OrderStatus.PROCESSING,
        since=at,
        apartments=apartments(people),
        totals=totals((line.amount, line.rate) for line in lines),
        term=term,
        created_at=at,
        created_by=world.someone(),
        lines=lines,
        pay_by=at + orders.pay_within,
        made_from=None if made_from is None else made_from.pk,
    )
    world.orders.append(order)
    record_new(world, order, "create", made_from)
    if order.totals.total == 0:
        fates.settle(world, order, at, Trigger.PAY, order.created_by, None)
    return order
