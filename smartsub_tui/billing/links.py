"""Payment links: one is opened, asked about, ended; and what its provider answers is recorded (docs/payments.md).

Each function here is a talk (see `providers`): a payment and its key are committed before the provider is called, and
what it answers is recorded in a transaction of its own, by the rows of `lifecycle.TABLE` for what is heard. Whatever
ends a talk in its midst, the payment stands at a state from which asking goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any, Final, TypeVar

from msgspec import Struct

from smartsub_tui.billing import access, profiles
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.changes import Change, is_stored, perform
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.invoices import NO_REFERENCES, BuyerReferences
from smartsub_tui.billing.lifecycle import Effect, decide, why_not_settled
from smartsub_tui.billing.payments import (
    Paid,
    check_limit,
    decided,
    expected_order,
    facts_of,
    move,
    refer,
    refusal,
    settle,
    without_open_link,
)
from smartsub_tui.billing.pricing import PPM, totals
from smartsub_tui.billing.providers import (
    DEADLINE,
    Abandoned,
    Checkout,
    Create,
    Expire,
    Item,
    Link,
    LinkAnswer,
    LinkState,
    LookUp,
    No,
    Talk,
    Unknown,
)
from smartsub_tui.billing.session import Session
from smartsub_tui.data import queries
from smartsub_tui.data.database import available, rows
from smartsub_tui.data.models import Claim, Order, OrderLine, Payment, Refund, Subscription
from smartsub_tui.data.money import Money
from smartsub_tui.data.order_records import OrderDetails
from smartsub_tui.data.vocabulary import (
    LIVE_PAYMENT_STATES,
    LIVE_REFUND_STATES,
    LineAction,
    OrderStatus,
    PaymentState,
    ProviderName,
    Trigger,
)
from smartsub_tui.errors import Refused, Unavailable

T = TypeVar("T")

# A link ends when the order can no longer be paid, within what hosted checkouts allow: 30 minutes to 24 hours from when
# the provider reads it, which is up to a call's deadline later than now, by a clock of its own.
_LEEWAY: Final = timedelta(minutes=1)
SHORTEST: Final = timedelta(minutes=30) + _LEEWAY
LONGEST: Final = timedelta(hours=24) - _LEEWAY

# Whether money is under way or nothing is known: after how long it is asked again, the first time, the second ... After
# the last one a person has to look: the order stands in the triage queue.
ASK_AFTER: Final = (timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1), *[timedelta(days=1)] * 5)
# What is under way for sure, a bank debit or a refund to a bank, may take weeks.
WAIT_AFTER: Final = (*ASK_AFTER, *[timedelta(days=1)] * 25)
_WHILE_IT_GOES_BACK: Final = timedelta(hours=1)
# An open link: soon after it was opened most are paid, later the sweep looks now and then.
LOOK_AFTER: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 4, 8, 15))
# A link that was never made, the provider says, is looked for once more when it would have ended.
_LAST_LOOK: Final = timedelta(hours=1)

# A checkout has room for so many items.
MOST_ITEMS: Final = 100


# Opening


class Begun(Struct, frozen=True):
    """A payment that was begun: its row id, and the order with it."""

    payment: int
    order: OrderDetails


def open_link(
    session: Session,
    number: str,
    provider: ProviderName = ProviderName.STRIPE,
    *,
    references: BuyerReferences = NO_REFERENCES,
    version: int | None = None,
    request_id: str | None = None,
    dry_run: bool = False,
) -> Talk[Paid]:
    """Open a payment link for a Processing order, or a Failed one again; where one is open, that one is shown.

    Raises WrongUsage where the provider is not set up, NotFound, Refused where the order cannot be paid or the provider
    says that it takes no such payment, Unavailable where it gave no answer: the order is System Processing then.
    """
    session.providers(provider)
    if not dry_run:
        yield from _ask_before(session, number)
        if (there := _open_already(session, number, provider)) is not None:
            return there

    def work(change: Change) -> Begun:
        order = expected_order(number, version)
        refer(change, order, references)
        there = _live(order)
        if there is not None and there.provider is provider and there.state is PaymentState.SENT:
            payment = there.id  # someone else opened it in this moment
        else:
            payment = _begin(change, order, provider)
        return Begun(payment, read_order(number, change.now, change.settings))

    arguments = {"number": number, "provider": provider, **references.arguments()}
    begun = perform(session, Trigger.LINK, arguments, Begun, work, request_id=request_id, dry_run=dry_run)
    if dry_run:
        return Paid(order=begun.order, waiting=None)
    yield from send(session, begun.payment)
    return Paid(order=_read(session, number), waiting=None)


def _ask_before(session: Session, number: str) -> Talk[None]:
    """What came of an earlier payment is heard before another is begun; what was only just begun is left alone."""
    profiles.check(session.profile, Trigger.LINK)
    with available():
        access.check(session.admin, Trigger.LINK)
        live = _live(queries.find_order(number))
        now = session.clock.now()
    if live is None or (live.state is PaymentState.CREATED and now < live.created_at + DEADLINE):
        return
    yield from ask(session, live.id)


def _open_already(session: Session, number: str, provider: ProviderName) -> Paid | None:
    """The order with the link that is open already, where it can still be paid by that."""
    with available():
        live = _live(queries.find_order(number))
    if live is None or live.provider is not provider or live.state is not PaymentState.SENT:
        return None
    return Paid(order=_read(session, number), waiting=None)


def _live(order: Order) -> Payment | None:
    found: Payment | None = Payment.get_or_none(
        (Payment.order == order) & Payment.state.in_([state.value for state in LIVE_PAYMENT_STATES])
    )
    return found


def _read(session: Session, number: str) -> OrderDetails:
    with available():
        return read_order(number, session.clock.now(), session.settings)


def link_end(pay_by: datetime | None, now: datetime) -> datetime:
    """When a link that is opened now ends: at `pay_by`, held between SHORTEST and LONGEST from now; whole seconds."""
    end = now + LONGEST if pay_by is None else min(max(pay_by, now + SHORTEST), now + LONGEST)
    return end.replace(microsecond=0)


def _begin(change: Change, order: Order, provider: ProviderName) -> int:
    """Processing, Failed -> Processing: a payment `created`, its key stored before anyone is asked for anything."""
    decided(Trigger.LINK, order, change)
    before = order.status
    columns: dict[str, Any] = {}
    ends_at = link_end(order.pay_by, change.now)
    if before is OrderStatus.FAILED:
        columns["status"] = OrderStatus.PROCESSING
        Claim.insert_from(
            OrderLine.select(OrderLine.subscription, OrderLine.order).where(OrderLine.order == order),
            [Claim.subscription, Claim.order],
        ).execute()
    if order.pay_by is None or ends_at > order.pay_by:
        columns["pay_by"] = ends_at
    move(order, change, **columns)
    attempt = Payment.select().where(Payment.order == order).count() + 1
    payment: Payment = Payment.create(
        order=order,
        provider=provider,
        state=PaymentState.CREATED,
        # Another database of the same account may have an order of this number: under its key Stripe would answer with
        # the link of that one.
        idempotency_key=f"smartsub-{order.number}-{attempt}-{token_hex(8)}",
        amount=order.total,
        currency=order.currency,
        expires_at=ends_at,
        created_at=change.now,
        changed_at=change.now,
        created_by=change.admin.name,
        ask_at=change.now + DEADLINE + _LEEWAY,  # by then it has an answer, or never gets one
    )
    change.record(
        "begin_link",
        order=order.id,
        before={"status": before} if columns.get("status") else None,
        after={
            **({"status": order.status} if columns.get("status") else {}),
            "provider": provider,
            "amount": Money(order.total, order.currency),
            **({"pay_by": order.pay_by} if columns.get("pay_by") else {}),
        },
    )
    return payment.id


def send(session: Session, payment: int) -> Talk[None]:
    """Ask the provider for the link of a payment that was begun; where that was done, nothing.

    Raises Refused where it definitely takes no such payment, Unavailable where there is no answer.
    """
    with available():
        found = Payment.get_by_id(payment)
        if found.state is not PaymentState.CREATED:
            return
        create = Create(found.provider, checkout_of(found))
    answer: LinkAnswer = yield create
    hear(session, payment, answer)
    with available():
        shown = Payment.get_by_id(payment).reference
    if isinstance(answer, Link) and answer.state is LinkState.OPEN and answer.reference != shown:
        # Another process was answered first, and the provider had forgotten the key: nobody is shown a second link.
        yield Expire(create.provider, create.checkout, answer.reference)
    match answer:
        case No(why):
            raise Refused(f"no payment link for order {create.checkout.order}: {why}")
        case Unknown(why):
            raise Unavailable(
                f"no answer about the payment link of order {create.checkout.order}, {why}: it is asked for again by"
                " itself, and smartsub pay asks now"
            )
        case _:
            pass


def checkout_of(payment: Payment) -> Checkout:
    """What the link of a payment is asked for with: the same every time, from what is stored."""
    order: Order = payment.order
    total = Money(payment.amount, payment.currency)
    return Checkout(
        key=payment.idempotency_key,
        order=order.number,
        total=total,
        items=items_of(order),
        ends_at=payment.expires_at,
        created_at=payment.created_at,
    )


def items_of(order: Order) -> tuple[Item, ...]:
    """An order as who pays sees it: how many of what at which net price, and the tax; together they are its total."""
    kinds: dict[tuple[str, int], int] = {}
    taxed = []
    lines = (
        OrderLine.select(Subscription.service, OrderLine.action, OrderLine.amount, OrderLine.tax_rate_ppm)
        .join(Subscription, on=(OrderLine.subscription == Subscription.id))
        .where(OrderLine.order == order)
        .order_by(OrderLine.id)
    )
    for service, action, amount, rate in rows(lines):
        kind = f"{service.label}, {action.label}{_term(order, action)}", amount
        kinds[kind] = kinds.get(kind, 0) + 1
        taxed.append((amount, rate))
    items = [Item(name, quantity, price) for (name, price), quantity in kinds.items() if price]
    items += [Item(f"Tax {rate * 100 / PPM:g} %", 1, tax) for rate, (_, tax) in totals(taxed).by_rate.items() if tax]
    if len(items) > MOST_ITEMS or sum(item.quantity * item.price for item in items) != order.total:
        return (Item(f"Order {order.number}", 1, order.total),)
    return tuple(items)


def _term(order: Order, action: LineAction) -> str:
    match action:
        case LineAction.MONTH:
            return f", {order.months} {'month' if order.months == 1 else 'months'}"
        case LineAction.DAY:
            return f", until {order.until}"
        case _:
            return ""


# Asking


def ask(session: Session, payment: int, *, end: bool = False, scheduled: bool = False) -> Talk[LinkAnswer]:
    """Ask the provider what became of a payment, and record it; with `end` a link that is open is ended first.

    What was only looked for once more, or was confirmed by someone meanwhile, must not take money any more: where its
    link is open after all, it is ended. `scheduled`: its time to be asked had come, and the next one follows.
    """
    with available():
        found = Payment.get_by_id(payment)
        checkout, reference, state = checkout_of(found), found.reference, found.state
    if end and reference is not None and state is PaymentState.SENT:
        answer: LinkAnswer = yield Expire(found.provider, checkout, reference)
        hear(session, payment, answer, ended=True, scheduled=scheduled)
        return answer
    answer = yield LookUp(found.provider, checkout, reference)
    must_end = end or not state.is_live
    if isinstance(answer, Link) and answer.state is LinkState.OPEN and must_end:
        answer = yield Expire(found.provider, checkout, answer.reference)
        hear(session, payment, answer, ended=True, scheduled=scheduled)
        return answer
    if scheduled or not _tells_nothing(state, answer):
        hear(session, payment, answer, scheduled=scheduled)
    return answer


def _tells_nothing(state: PaymentState, answer: LinkAnswer) -> bool:
    """Whether an answer is what is known already: who only looks writes nothing then."""
    is_open = isinstance(answer, Link) and answer.state is LinkState.OPEN
    return state is PaymentState.SENT and is_open


def watch(session: Session, number: str) -> Talk[str | None]:
    """Ask what became of the payment that is under way for an order, if one is: why there was no answer, or None.

    Who may not, or cannot, record what is heard asks nobody, nor is asked about a link that is just being opened.
    """
    with available():
        role = access.check(session.admin, Permission.READ).role
        live, now = _live(queries.find_order(number)), session.clock.now()
        young = live is not None and live.state is PaymentState.CREATED and now < live.created_at + DEADLINE
    if live is None or young or not access.may(role, Permission.SWEEP) or session.database.reads_only:
        return None
    answer = yield from ask(session, live.id)
    return answer.why if isinstance(answer, Unknown) else None


def ask_order(session: Session, number: str) -> Talk[OrderDetails]:
    """The order as it is after its provider was asked what became of the payment that is under way, if one is."""
    yield from watch(session, number)
    return _read(session, number)


def without_link(
    session: Session,
    trigger: Trigger,
    number: str,
    act: Callable[[], T],
    *,
    request_id: str | None = None,
    dry_run: bool = False,
) -> Talk[T]:
    """Do `act`, which pulls `trigger`: a link that is open is ended before, and what the provider says of it is heard.

    Nothing is ended where it would be refused even so, nor where it was done under its `request_id` before; a dry run
    ends nothing.
    """
    with available():
        order = Order.get_or_none(Order.number == number)
        live, now = None if order is None else _live(order), session.clock.now()
        if order is None or live is None:
            return act()
        profiles.check(session.profile, trigger)
        admin = access.check(session.admin, trigger)
        stale = live.state is PaymentState.CREATED and now >= live.created_at + DEADLINE
        ends = not dry_run and (live.state is PaymentState.SENT or stale)
        if ends:
            decision = decide(trigger, without_open_link(facts_of([order], now)[order.id]))
            if is_stored(request_id):
                return act()
            if decision.transition is None and not stale:
                raise refusal(trigger, number, decision.reason)
            check_limit(admin, trigger, order)
    if ends:
        yield from ask(session, live.id, end=True)
    return act()


def act_without_link(
    session: Session,
    trigger: Trigger,
    number: str,
    version: int | None,
    act: Callable[[Session, int | None], T],
    *,
    request_id: str | None = None,
) -> Talk[T]:
    """As `without_link`, for an order that was seen as it was in `version`, which `act` is given to look for.

    Not where a link is ended: what its provider says of it may move the order, and then the table says what is still
    possible. Raises Unavailable, and does nothing, where the provider gave no answer.
    """
    with available():
        order = Order.get_or_none(Order.number == number)
        live = None if order is None else _live(order)
        ends = live is not None and live.state in (PaymentState.CREATED, PaymentState.SENT)
        if ends:
            try:
                expected_order(number, version)
            except Refused:
                if not is_stored(request_id):
                    raise

    def free() -> T:
        if not ends or is_stored(request_id):
            return act(session, version)
        after = _live(queries.find_order(number))
        if after is not None and after.state is PaymentState.UNKNOWN:
            raise Unavailable(f"no answer about the payment link of order {number}: it is asked for again by itself")
        return act(session, None)

    try:
        return (yield from without_link(session, trigger, number, free, request_id=request_id))
    except Abandoned as error:
        raise Unavailable(
            f"the payment link of order {number} was not known to be ended when smartsub was left: nothing else was"
            " done, do it again"
        ) from error


# Hearing


def hear(session: Session, payment: int, answer: LinkAnswer, *, ended: bool = False, scheduled: bool = False) -> None:
    """Record what a provider answered about a payment, in one transaction. `ended`: the link was to be ended.

    An answer that says what is known already, or less, changes nothing but when it is asked next, if this was
    `scheduled`.
    """

    def work(change: Change) -> bool:
        found = Payment.get_by_id(payment)
        order: Order = found.order
        match answer:
            case Unknown():
                return _unanswered(change, order, found, ended=ended, scheduled=scheduled)
            case No() if found.reference is not None:
                # An answer from before another process found the link, which may be shown and paid.
                return _ask_again(change, found, scheduled=scheduled)
            case No(why):
                return _ended(change, order, found, PaymentState.NOT_SENT, why)
            case Link(state=LinkState.OPEN | LinkState.EXPIRED | LinkState.DECLINED) if found.reference not in (
                None,
                answer.reference,
            ):
                # Of a second link under the same key, which is never shown, and says nothing of the one that is.
                return _ask_again(change, found, scheduled=scheduled)
            case Link(state=LinkState.OPEN):
                return _is_open(change, order, found, answer, scheduled=scheduled)
            case Link(state=LinkState.UNDER_WAY):
                return _under_way(change, order, found, answer, scheduled=scheduled)
            case Link(state=LinkState.PAID):
                return _paid(change, order, found, answer)
            case Link(state=LinkState.DECLINED):
                return _ended(change, order, found, PaymentState.DECLINED, None)
            case Link(state=LinkState.EXPIRED):
                return _ended(change, order, found, PaymentState.EXPIRED, None)
            case _:
                raise AssertionError(f"{answer!r} is no answer about a payment link")

    perform(session, Permission.SWEEP, {"payment": payment}, bool, work)


def _put(change: Change, payment: Payment, **columns: Any) -> None:
    """Change a payment's row where it still is in the state that was read; whoever is too late is refused."""
    before = payment.state
    if columns.get("state", before) is not before:
        columns = {"changed_at": change.now, "asked": 0, **columns}
    done = Payment.update(**columns).where((Payment.id == payment.id) & (Payment.state == before)).execute()
    if done != 1:
        raise Refused(f"the payment of order {payment.order.number} was changed by someone else meanwhile")
    for name, value in columns.items():
        setattr(payment, name, value)


def _follow(
    change: Change, order: Order, trigger: Trigger, after: Mapping[str, Any], reason: str | None = None
) -> None:
    """Move the order by what was heard, where a row of the table says so, and note it."""
    transition = decide(trigger, facts_of([order], change.now)[order.id]).transition
    before = order.status
    if transition is not None and transition.target is not None:
        move(order, change, status=transition.target)
        if transition.effect is Effect.RELEASE:
            Claim.delete().where(Claim.order == order).execute()
    moved = before is not order.status
    change.record(
        trigger,
        order=order.id,
        before={"status": before} if moved else None,
        after={**({"status": order.status} if moved else {}), **after},
        reason=reason,
    )


def _said(payment: Payment) -> dict[str, Any]:
    return {"provider": payment.provider, "payment": payment.state}


def _ask_again(change: Change, payment: Payment, *, scheduled: bool, under_way: bool = False) -> bool:
    """Nothing new: where its time had come, it is asked again later, and after the last time no more."""
    if scheduled:
        asked = payment.asked + 1
        if payment.state is PaymentState.SENT:
            ask_at: datetime | None = _next_look(change, payment.expires_at, asked)
        else:
            waits = WAIT_AFTER if under_way or payment.state is PaymentState.PENDING else ASK_AFTER
            ask_at = change.now + waits[payment.asked] if payment.asked < len(waits) else None
        _put(change, payment, ask_at=ask_at, asked=asked)
    return False


def _next_look(change: Change, ends_at: datetime, asked: int) -> datetime:
    """When an open link is looked at next; at the latest when it has ended."""
    return min(change.now + LOOK_AFTER[min(asked, len(LOOK_AFTER) - 1)], max(ends_at, change.now) + _LEEWAY)


def _is_open(change: Change, order: Order, payment: Payment, link: Link, *, scheduled: bool) -> bool:
    if payment.state in (PaymentState.SENT, PaymentState.PENDING):
        # Of a link that is shown this is known; and money that is under way does not go back into it: that was said
        # before.
        return _ask_again(change, payment, scheduled=scheduled)
    if not payment.state.is_live:
        return False  # it is ended next
    _put(
        change,
        payment,
        state=PaymentState.SENT,
        reference=link.reference,
        link=link.url,
        expires_at=link.ends_at,
        ask_at=_next_look(change, link.ends_at, 0),
    )
    if order.status is OrderStatus.SYSTEM_PROCESSING:
        _follow(change, order, Trigger.NOT_TAKEN, _said(payment))
    else:
        amount = Money(payment.amount, payment.currency)
        change.record(Trigger.LINK, order=order.id, after={"provider": payment.provider, "amount": amount})
    return True


def _under_way(change: Change, order: Order, payment: Payment, link: Link, *, scheduled: bool) -> bool:
    if payment.state is PaymentState.PENDING or not payment.state.is_live:
        return _ask_again(change, payment, scheduled=scheduled, under_way=True)
    _put(
        change,
        payment,
        state=PaymentState.PENDING,
        reference=link.reference,
        charge=link.charge,
        ask_at=change.now + ASK_AFTER[0],
        asked=1,
    )
    _follow(change, order, Trigger.UNDER_WAY, _said(payment))
    return True


def _unanswered(change: Change, order: Order, payment: Payment, *, ended: bool, scheduled: bool) -> bool:
    """Nothing is known. A link that was open and may still be is only looked at later; all else is unknown now."""
    over = ended or payment.expires_at <= change.now
    known_open = payment.state is PaymentState.SENT and not over
    if known_open or payment.state not in (PaymentState.CREATED, PaymentState.SENT):
        return _ask_again(change, payment, scheduled=scheduled)
    _put(change, payment, state=PaymentState.UNKNOWN, ask_at=change.now + ASK_AFTER[0], asked=1)
    _follow(change, order, Trigger.UNDER_WAY, _said(payment))
    return True


def _ended(change: Change, order: Order, payment: Payment, state: PaymentState, why: str | None) -> bool:
    """The provider says that nothing was taken, and that nothing will be."""
    if payment.state in (PaymentState.SUCCEEDED, PaymentState.REFUNDED) and payment.ask_at is not None:
        # Someone confirmed the money; now there is none. A person has to look at it, unless it was paid out again, or
        # all that it paid was taken back.
        stands = OrderLine.select().where((OrderLine.order == order) & OrderLine.credit_note.is_null()).exists()
        contested = payment.state is PaymentState.SUCCEEDED and (stands or not payment.applied)
        _put(change, payment, contested=contested, charge=None, ask_at=None)
        change.record("contested", order=order.id, after={"provider": payment.provider, "payment": state})
        return True
    if not payment.state.is_live:
        _put(change, payment, ask_at=None)
        return False
    never_made = state is PaymentState.NOT_SENT and payment.state is not PaymentState.CREATED
    ask_at = max(payment.expires_at, change.now) + _LAST_LOOK if never_made else None
    _put(change, payment, state=state, ask_at=ask_at)
    _follow(
        change, order, Trigger.DECLINE if state is PaymentState.DECLINED else Trigger.NOT_TAKEN, _said(payment), why
    )
    return True


def _goes_back(payment: Payment) -> Sequence[Refund]:
    """What of it is being paid back: an order cannot be settled with that."""
    live = Refund.state.in_([state.value for state in LIVE_REFUND_STATES])
    return list(Refund.select().where((Refund.payment == payment) & live))


def _paid(change: Change, order: Order, payment: Payment, link: Link) -> bool:
    """Money is there: it is applied where the order can take it, and else recorded to wait; it is never refused."""
    paid, known = link.paid or Money(payment.amount, payment.currency), Money(payment.amount, payment.currency)
    done_with = payment.state is PaymentState.REFUNDED or payment.applied or payment.confirmation is not None
    if done_with or (going_back := _goes_back(payment)):
        # It is the same money, whoever said so first; only its amount can be news. Whether money that is going back
        # can pay its order shows when that is over: until then it is asked now and then, unless that is left to people.
        ends = not done_with and any(each.ask_at is not None for each in going_back)
        differs = paid != known and not payment.contested
        _put(
            change,
            payment,
            charge=payment.charge or link.charge,
            reference=payment.reference or link.reference,
            ask_at=change.now + _WHILE_IT_GOES_BACK if ends else None,
            contested=payment.contested or differs,
        )
        if differs:
            change.record("contested", order=order.id, after={"provider": payment.provider, "amount": paid})
        return differs
    if payment.state is PaymentState.SUCCEEDED and paid == known:
        _put(change, payment, ask_at=None)
        return False
    total = Money(order.total, order.currency)
    first = payment.state is not PaymentState.SUCCEEDED
    _put(
        change,
        payment,
        state=PaymentState.SUCCEEDED,
        reference=link.reference,
        charge=link.charge,
        amount=paid.amount,
        currency=paid.currency,
        contested=False,
        # Another amount than was asked for is not believed at once: it is asked for a second time.
        ask_at=change.now + ASK_AFTER[0] if first and paid != total else None,
    )
    found = decided(Trigger.ARRIVE, order, change, money=paid.amount, currency=paid.currency)
    if found.transition.effect is not Effect.RECORD:
        settle(change, order, found, payment)
        return True
    waiting = why_not_settled(Trigger.ARRIVE, found.facts)
    move(order, change, status=found.transition.target or order.status)
    change.record(
        Trigger.ARRIVE,
        order=order.id,
        after={
            "status": order.status,
            "amount": paid,
            "reference": link.charge or link.reference,
            "recorded": waiting,
        },
    )
    return True
