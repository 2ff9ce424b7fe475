"""Imported history: the closed orders of the time before smartsub."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Final

from smartsub_tui.billing.demo.fates import delete
from smartsub_tui.billing.demo.people import record_file
from smartsub_tui.billing.demo.world import DAY, MONTHS, Line, Order, World, apartments, month_end
from smartsub_tui.billing.pricing import PPM, Totals
from smartsub_tui.billing.terms import FirstTerm, Months, Term, Until
from smartsub_tui.data.demo_names import CURRENCIES
from smartsub_tui.data.money import round_half_up
from smartsub_tui.data.vocabulary import OfficeKind, OrderStatus, OrderType

_STATUSES: Final = (OrderStatus.SUCCEED, OrderStatus.FAILED, OrderStatus.TIME_OUT, OrderStatus.CANCEL)


def import_history(world: World, count: int) -> None:
    """Closed orders of the year before, as an import leaves them: they moved nothing, some do not say for whom."""
    rng = world.random
    at = world.start - DAY + timedelta(minutes=5)
    ages = sorted((rng.randint(2 * 86400, 400 * 86400) for _ in range(count)), reverse=True)
    for age in ages:
        office = rng.choice(world.offices)
        created_at = world.start - timedelta(seconds=age)
        members = [each for each in rng.sample(office.people, min(3, len(office.people))) if each.dates.activated_on]
        additional = bool(members) and members[0].additional
        members = [each for each in members if each.additional == additional]
        kind = OrderType.ADDITIONAL_APP if additional else OrderType.SUBSCRIPTION
        term: Term = Months(rng.choice(MONTHS[2]))
        draw = rng.random()
        if draw < 0.1 and not additional:
            kind, term = OrderType.ACTIVATION, FirstTerm(1)
        elif draw < 0.25 and office.kind is OfficeKind.COMMUNITY:
            term = Until(month_end(office.today(created_at), 2))
        status = rng.choices(_STATUSES, (85, 5, 5, 5))[0]
        paid_at = created_at + world.within(DAY, 0.002, 0.9) if status is OrderStatus.SUCCEED else None
        month, rate = CURRENCIES[office.currency]
        heads = apartments(members) if members else rng.randint(1, 9)
        net = month * heads * (term.months if isinstance(term, Months) else 2)
        world.order += 1
        order = Order(
            pk=world.order,
            number=world.number(created_at),
            office=office,
            type=kind,
            status=status,
            since=paid_at or created_at,
            apartments=heads,
            totals=Totals(net, round_half_up(net * rate, PPM), {}),
            term=term,
            created_at=created_at,
            created_by=world.manager,
            lines=[Line(person) for person in members] if rng.random() < 0.7 else [],
            pay_by=created_at,
            paid_at=paid_at,
            imported_at=at,
            history=True,
        )
        world.orders.append(order)
        if rng.random() < 0.02:
            world.later(world.start + world.within(30 * DAY, 0, 1), order, partial(delete, world, order))
    if count:
        record_file(world, at, "orders", "orders.csv", count)
