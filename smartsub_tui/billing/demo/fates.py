"""What becomes of an order: its fate, as steps at later moments, and the steps themselves.

A fate is drawn when the order is made. A step leaves the rows and the event that the program leaves for the same thing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from heapq import heappush
from itertools import accumulate
from typing import Any, Final

from smartsub_tui.billing import invoices, terms
from smartsub_tui.billing.demo.people import record_file
from smartsub_tui.billing.demo.world import (
    DAY,
    HOUR,
    Order,
    Payment,
    Step,
    World,
    as_json,
    iso,
    money,
    queue,
    record_new,
)
from smartsub_tui.billing.pricing import Totals, share_gross
from smartsub_tui.billing.terms import FirstTerm, Months, Until
from smartsub_tui.data.demo_names import CANCEL_REASONS, DELETE_REASONS, FAIL_REASONS
from smartsub_tui.data.fields import to_microseconds
from smartsub_tui.data.money import Money
from smartsub_tui.data.records import instant_text
from smartsub_tui.data.vocabulary import InvoiceKind, OrderStatus, PaymentState, ProviderName, Trigger

Fate = Callable[[World, Order], None]


def usual_fate(world: World) -> Fate:
    """What becomes of an order, by chance: four in five are paid."""
    return world.random.choices(_FATES, cum_weights=_CUMULATED)[0]


def _plan(world: World, order: Order, steps: Sequence[tuple[datetime, Step]]) -> None:
    """Have all the steps done; none of them where the data ends before the last, for a link would be left open."""
    if steps[-1][0] > world.end:
        _time_out_when_due(world, order)
        return
    for at, step in steps:
        world.later(at, order, step)


def _time_out_when_due(world: World, order: Order, pay_by: datetime | None = None) -> None:
    """The next look at the lists after its time is over times it out; what is due when the data ends, right then."""
    pay_by = pay_by or order.pay_by
    if pay_by <= world.end:
        at = min(pay_by + world.within(HOUR * 3, 0, 1), world.end)
        world.later(at, order, partial(_time_out, world, order, again=True))


def _pay_by_hand(world: World, order: Order) -> None:
    at = order.created_at + world.within(world.window, 0.002, 0.9 if world.random.random() < 0.3 else 0.1)
    _plan(world, order, [(at, partial(_pay, world, order, world.someone(order.created_by)))])


def _pay_by_card(world: World, order: Order) -> None:
    at = order.created_at + world.within(world.window, 0.0002, 0.02)
    paid = at + world.within(world.window, 0.0005, 0.02)
    pay = partial(_pay, world, order, order.created_by)
    _plan(world, order, [(at, partial(_open_link, world, order)), (paid, pay)])


def _pay_by_bank(world: World, order: Order) -> None:
    if isinstance(order.term, Until):
        _pay_by_hand(world, order)  # the money would come after the day that was chosen
        return
    orders = world.settings.orders
    at = order.created_at + world.within(world.window, 0.001, 0.2)
    time = max(orders.bank_within, orders.pay_within) - (at - order.created_at)
    world.later(at, order, partial(_choose_bank, world, order))
    world.later(at + world.within(time, 0.07, 0.7), order, partial(_pay, world, order, world.someone(order.created_by)))


def _under_way(world: World, order: Order, state: PaymentState) -> list[tuple[datetime, Step]]:
    """The first steps of what does not go well: the link is opened, the money is under way."""
    at = order.created_at + world.within(world.window, 0.0002, 0.05)
    under_way = at + world.within(world.window, 0.0005, 0.01)
    return [
        (at, partial(_open_link, world, order)),
        (under_way, partial(_go_under_way, world, order, state)),
    ]


def _failing(world: World, order: Order, *, again: bool, keep: bool = False) -> list[tuple[datetime, Step]]:
    steps = _under_way(world, order, PaymentState.PENDING)
    failed = steps[-1][0] + world.within(world.window, 0.0005, 0.2)
    return [*steps, (failed, partial(_fail, world, order, again=again, keep=keep))]


def _fail_to_pay(world: World, order: Order) -> None:
    _plan(world, order, _failing(world, order, again=world.random.random() < 0.5))


def _fail_then_pay(world: World, order: Order) -> None:
    """The card is declined, the money comes by hand; until then nobody else orders for the people."""
    steps = _failing(world, order, again=False, keep=True)
    paid = steps[-1][0] + world.within(world.window, 0.01, 0.5)
    _plan(world, order, [*steps, (paid, partial(_pay, world, order, order.created_by))])


def _fail_then_cancel(world: World, order: Order) -> None:
    steps = _failing(world, order, again=False)
    at = steps[-1][0] + world.within(3 * DAY, 0.1, 1)
    _plan(world, order, [*steps, (at, partial(_cancel, world, order))])


def _confirm_unknown(world: World, order: Order) -> None:
    steps = _under_way(world, order, PaymentState.UNKNOWN)
    confirmed = steps[-1][0] + world.within(DAY, 0.1, 0.9)
    step = partial(_pay, world, order, world.someone(), trigger=Trigger.CONFIRM)
    _plan(world, order, [*steps, (confirmed, step)])


def _let_time_out(world: World, order: Order) -> None:
    draw = world.random.random()
    if draw < 0.15:
        wait_for_bank(world, order)
        return
    if draw < 0.4 and order.pay_by <= world.end:
        at = order.created_at + world.within(world.window, 0.0002, 0.3)
        world.later(at, order, partial(_open_link, world, order))
    _time_out_when_due(world, order)


def _call_off(world: World, order: Order) -> None:
    at = order.created_at + world.within(world.window, 0.002, 0.9)
    _plan(world, order, [(at, partial(_cancel, world, order, again=world.random.random() < 0.3))])


def _hide_unpaid(world: World, order: Order) -> None:
    at = order.created_at + world.within(world.window, 0.002, 0.9)
    _plan(world, order, [(at, partial(delete, world, order))])


def _pay_late(world: World, order: Order) -> None:
    """It times out, and the money comes after all; until then nobody else orders for the people."""
    if not isinstance(order.term, Months):
        _pay_by_hand(world, order)
        return
    at = order.pay_by + world.within(HOUR * 3, 0, 1)
    paid = at + world.within(6 * DAY, 0.02, 1)
    confirm = partial(_pay, world, order, world.someone(), trigger=Trigger.CONFIRM, late=True)
    _plan(world, order, [(at, partial(_time_out, world, order, keep=True)), (paid, confirm)])


def _apply_waiting(world: World, order: Order) -> None:
    """Cancelled, then the money comes: recorded first, applied when someone has seen it."""
    if not isinstance(order.term, Months):
        _pay_by_hand(world, order)
        return
    at = order.created_at + world.within(world.window, 0.01, 0.9)
    recorded = at + world.within(4 * DAY, 0.05, 1)
    applied = recorded + world.within(2 * DAY, 0.02, 1)
    _plan(
        world,
        order,
        [
            (at, partial(_cancel, world, order, keep=True)),
            (recorded, partial(_record_money, world, order)),
            (applied, partial(_apply, world, order)),
        ],
    )


# Of a hundred orders about so many; the rest of the hundred goes to what the special fates below make
_SHARES: Final[dict[Fate, float]] = {
    _pay_by_hand: 26,
    _pay_by_card: 36,
    _pay_by_bank: 15.5,
    _fail_then_pay: 1,
    _confirm_unknown: 1.2,
    _pay_late: 0.7,
    _apply_waiting: 0.3,
    _fail_to_pay: 5.6,
    _fail_then_cancel: 0.5,
    _let_time_out: 6.2,
    _call_off: 5.6,
    _hide_unpaid: 0.4,
}
_FATES: Final = list(_SHARES)
_CUMULATED: Final = list(accumulate(_SHARES.values()))


# Special fates, of orders that are to be seen today


def stay_open(world: World, order: Order) -> None:
    """Nothing happens before the data ends."""


def wait_for_bank(world: World, order: Order) -> None:
    """Bank transfer is chosen, and no money comes: open until then, timed out after it."""
    orders = world.settings.orders
    at = order.created_at + world.within(world.window, 0.001, 0.2)
    world.later(at, order, partial(_choose_bank, world, order))
    _time_out_when_due(world, order, order.created_at + max(orders.bank_within, orders.pay_within))


def stay_unknown(world: World, order: Order) -> None:
    """The provider's answer is missing: nobody knows whether there is money."""
    for at, step in _under_way(world, order, PaymentState.UNKNOWN):
        world.later(at, order, step)


def stay_imported(world: World, order: Order) -> None:
    """Turn it into one that was imported while its money was under way: there is no provider to ask."""
    total = order.totals.total
    amounts, tax = share_gross(total, [line.rate for line in order.lines])
    for line, amount in zip(order.lines, amounts, strict=True):
        line.amount = amount
    order.totals = Totals(total - tax, tax, {})
    order.status, order.imported_at, order.created_by = OrderStatus.SYSTEM_PROCESSING, order.created_at, world.manager
    world.events.pop()  # of its making: it was made elsewhere
    record_new(world, order, "import")
    record_file(world, order.created_at, "orders", f"open-{order.number}.csv", 1)


def leave_cancelled(world: World, order: Order) -> None:
    """It was cancelled, then the money came, and nobody has dealt with it yet."""
    at = order.created_at + world.within(world.window, 0.01, 0.9)
    world.later(at, order, partial(_cancel, world, order))
    world.later(at + world.within(2 * DAY, 0.05, 1), order, partial(_record_money, world, order))


def leave_timed_out(world: World, order: Order) -> None:
    """It timed out, then other money than its total came, and nobody has dealt with it yet."""
    at = order.pay_by + world.within(HOUR, 0, 1)
    world.later(at, order, partial(_time_out, world, order))
    world.later(at + world.within(2 * DAY, 0.05, 1), order, partial(_record_money, world, order))


def leave_failed(world: World, order: Order) -> None:
    """Its payment failed, and nobody has ordered again yet."""
    _plan(world, order, _failing(world, order, again=False))


# Steps


def _move(order: Order, status: OrderStatus, at: datetime) -> OrderStatus:
    """Set the status and return the one before."""
    before = order.status
    order.status, order.since = status, at
    order.version += 1
    return before


def _add_payment(
    world: World,
    order: Order,
    at: datetime,
    admin: str,
    provider: ProviderName,
    state: PaymentState,
    *,
    amount: int | None = None,
    reference: str | None = None,
) -> Payment:
    """A payment of the order's total, or of another amount; through the card provider it has a link."""
    order.attempts += 1
    sent = state is PaymentState.SENT
    order.payment = Payment(
        order,
        provider,
        state,
        f"smartsub-{order.number}-{order.attempts}",
        reference,
        f"https://pay.example.com/c/{order.number}-{order.attempts}" if sent else None,
        min(at + DAY, order.pay_by) if sent else None,
        order.totals.total if amount is None else amount,
        at,
        at,
        admin,
    )
    world.payments.append(order.payment)
    return order.payment


def _open_link(world: World, order: Order, at: datetime) -> None:
    """The hosted checkout of the card provider."""
    admin = order.created_by
    _add_payment(world, order, at, admin, ProviderName.STRIPE, PaymentState.SENT)
    world.record(at, admin, "link", order, after=f'{{"provider":"stripe","amount":{money(order)}}}')


def _settle_payment(order: Order, state: PaymentState, at: datetime) -> None:
    """Say what became of the payment that is live, where there is one."""
    if order.payment is not None and order.payment.state.is_live:
        order.payment.state, order.payment.changed_at = state, at


def _go_under_way(world: World, order: Order, state: PaymentState, at: datetime) -> None:
    """The provider says that money is under way, or its answer is missing."""
    _settle_payment(order, state, at)
    before = _move(order, OrderStatus.SYSTEM_PROCESSING, at)
    world.record(at, order.created_by, "under_way", order, before=before, after=order.status)


def _receive(world: World, order: Order, at: datetime, admin: str, amount: int | None = None) -> Payment:
    """As payments._received: a live payment is that money, else it is a row of its own."""
    payment = order.payment
    if payment is not None and payment.state.is_live:
        _settle_payment(order, PaymentState.SUCCEEDED, at)
        payment.reference = f"pi_{world.random.getrandbits(96):024x}"
        return payment
    bank = order.bank_chosen_at is not None
    provider = ProviderName.BANK if bank else ProviderName.MANUAL
    reference = _reference(world.random, at, bank=bank)
    return _add_payment(world, order, at, admin, provider, PaymentState.SUCCEEDED, amount=amount, reference=reference)


def _reference(rng: random.Random, at: datetime, *, bank: bool) -> str:
    number = rng.randrange(1_000_000)
    if bank:
        return f"transfer {at.day:02d}.{at.month:02d}. RF{10 + number % 90} {number:06d}"
    said = rng.choice(("receipt", "cash, front desk,", "cheque", "Quittung", "領収書"))
    return f"{said} {number:06d}"


def _pay(
    world: World, order: Order, admin: str, at: datetime, *, trigger: Trigger = Trigger.PAY, late: bool = False
) -> None:
    settle(world, order, at, trigger, admin, _receive(world, order, at, admin), late=late)


def _apply(world: World, order: Order, at: datetime) -> None:
    settle(world, order, at, Trigger.APPLY, world.someone(), order.payment, late=True)


def settle(
    world: World,
    order: Order,
    at: datetime,
    trigger: Trigger,
    admin: str,
    payment: Payment | None,
    *,
    late: bool = False,
) -> None:
    """As payments._settle: every line is extended once, the invoice issued, the people are free."""
    office, term = order.office, order.term
    lapsed = world.settings.orders.lapsed
    today = office.today(at)
    before = _move(order, OrderStatus.SUCCEED, at)
    order.paid_at, order.late = at, late
    if payment is not None:
        payment.applied, payment.changed_at = True, at
    for line in order.lines:
        person = line.person
        line.previous = person.dates.expires_on
        person.dates = terms.extend(person.dates, term, today, lapsed)
        line.new, line.applied_on = person.dates.expires_on, today
        person.held = False
        queue(world, office, person)
    reference = "" if payment is None else f'"reference":{as_json(payment.reference)},'
    rest = f'"invoice":"{_issue(world, order, at, payment)}","late":{"true" if late else "false"}'
    after = f'{{"status":"{order.status}","amount":{money(order)},{reference}{rest}}}'
    world.record(at, admin, trigger, order, before=before, after=after)
    if world.random.random() < 0.004:
        _hide_later(world, order, at)


def _issue(world: World, order: Order, at: datetime, payment: Payment | None) -> str:
    """As invoices.issue; the invoice's number."""
    office, term, totals = order.office, order.term, order.totals
    series, lapsed, today = world.settings.invoice.series, world.settings.orders.lapsed, office.today(at)
    day = at.astimezone(world.counting).date()
    sequence = world.counters[day.year] = world.counters.get(day.year, 0) + 1
    number = f"{series}-{day.year}-{sequence:06d}"
    document = invoices.snapshot(
        seller=world.settings.seller,
        office=office.name,
        kind=office.kind,
        number=order.number,
        type=order.type,
        created_at=order.created_at,
        paid_at=at,
        months=term.months if isinstance(term, Months) else None,
        until=term.day if isinstance(term, Until) else None,
        first_term_months=term.months if isinstance(term, FirstTerm) else None,
        references=invoices.NO_REFERENCES,
        payment=None if payment is None else {"provider": payment.provider.value, "reference": payment.reference},
        currency=office.currency,
        lines=[
            invoices.SnapshotLine(
                user_id=line.person.key,
                label=line.person.name,
                department=line.person.part,
                apartment=line.person.apartment,
                service=line.person.service,
                action=line.action,
                amount=line.amount,
                tax_rate_ppm=line.rate,
                previous_expiry=line.previous,
                new_expiry=line.new,
                starts_on=terms.first_day(line.previous, today, lapsed),
            )
            for line in order.lines
        ],
        by_rate=totals.by_rate,
        net=totals.net,
        tax=totals.tax,
        total=totals.total,
    )
    numbered = (number, series, day.year, sequence, to_microseconds(at), iso(day))
    amounts = (office.currency, totals.net, totals.tax, totals.total)
    world.invoices.append((order.pk, (order.pk, InvoiceKind.INVOICE, *numbered, *amounts, document)))
    return number


def _let_go(world: World, order: Order, at: datetime, *, again: bool = False) -> None:
    """The order is closed unpaid and its people are free: to be renewed or activated later, or again right now."""
    office = order.office
    inactive = []
    for line in order.lines:
        line.person.held = False
        queue(world, office, line.person)
        if line.person.dates.expires_on is None:
            inactive.append(line.person)
    if inactive:
        heappush(office.joining, (at + world.within(10 * DAY, 0.1, 1), world.tick(), inactive))
    if again:
        office.again.append((at + world.within(2 * DAY, 0.005, 1), order))
    elif order.pending == 1 and world.random.random() < 0.02:  # nothing is to come but this step
        _hide_later(world, order, at)


def _hide_later(world: World, order: Order, at: datetime) -> None:
    world.later(at + world.within(9 * DAY, 0.1, 1), order, partial(delete, world, order))


def _fail(world: World, order: Order, at: datetime, *, again: bool, keep: bool) -> None:
    _settle_payment(order, PaymentState.DECLINED, at)
    before = _move(order, OrderStatus.FAILED, at)
    if not keep:
        _let_go(world, order, at, again=again)
    reason = world.random.choice(FAIL_REASONS)
    admin = world.someone(order.created_by)
    world.record(at, admin, Trigger.FAIL, order, before=before, after=order.status, reason=reason)


def _time_out(world: World, order: Order, at: datetime, *, again: bool = False, keep: bool = False) -> None:
    _settle_payment(order, PaymentState.EXPIRED, at)
    before = _move(order, OrderStatus.TIME_OUT, at)
    if not keep:
        _let_go(world, order, at, again=again and world.random.random() < 0.5)
    world.record(at, world.someone(), Trigger.TIME_OUT, order, before=before, after=order.status)


def _cancel(world: World, order: Order, at: datetime, *, again: bool = False, keep: bool = False) -> None:
    before = _move(order, OrderStatus.CANCEL, at)
    if before is not OrderStatus.FAILED and not keep:  # what failed has let them go already
        _let_go(world, order, at, again=again)
    reason = world.random.choice(CANCEL_REASONS)
    world.record(at, world.manager, Trigger.CANCEL, order, before=before, after=order.status, reason=reason)


def _choose_bank(world: World, order: Order, at: datetime) -> None:
    before = {"pay_by": instant_text(order.pay_by)}
    order.bank_chosen_at = at
    order.pay_by = max(order.created_at + world.settings.orders.bank_within, order.pay_by)
    order.version += 1
    world.record(at, order.created_by, "bank", order, before=before, after={"pay_by": instant_text(order.pay_by)})


def _record_money(world: World, order: Order, at: datetime) -> None:
    """Money that cannot be applied: for a cancelled order, or for one that timed out and not as much as its total."""
    amount, why = order.totals.total, f"it is {order.status.label}"
    if order.status is OrderStatus.TIME_OUT:
        currency, total = order.office.currency, amount
        amount = max(1, total // 2)
        why = f"{Money(amount, currency)} came, the total is {Money(total, currency)}"
    admin = world.someone()
    payment = _receive(world, order, at, admin, amount)
    order.version += 1
    after = f'{{"amount":{money(order, amount)},"reference":{as_json(payment.reference)},"recorded":{as_json(why)}}}'
    world.record(at, admin, Trigger.CONFIRM, order, after=after)


def delete(world: World, order: Order, at: datetime) -> None:
    """Hide the order; what could still be paid is cancelled first. A few come back."""
    before: dict[str, Any] = {"deleted": False}
    after: dict[str, Any] = {"deleted": True}
    order.deleted_at = at
    if order.status is OrderStatus.PROCESSING:
        was = _move(order, OrderStatus.CANCEL, at)
        before, after = {"status": was.value, **before}, {"status": order.status.value, **after}
        _let_go(world, order, at)
    else:
        order.version += 1
    reason = world.random.choice(DELETE_REASONS)
    world.record(at, world.manager, Trigger.DELETE, order, before=before, after=after, reason=reason)
    if world.random.random() < 0.15:
        world.later(at + world.within(2 * DAY, 0.01, 1), order, partial(_restore, world, order))


def _restore(world: World, order: Order, at: datetime) -> None:
    order.deleted_at = None
    order.version += 1
    world.record(at, world.manager, Trigger.RESTORE, order, before={"deleted": True}, after={"deleted": False})
