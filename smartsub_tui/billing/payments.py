"""Money and the moves of an order: pay, confirm, fail, cancel, delete, restore, apply. One charge, and none is lost.

Each function here is a trigger of `lifecycle.TABLE`; what the row that holds says is done, in one transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace
from peewee import fn

from smartsub_tui.billing import invoices, terms
from smartsub_tui.billing.access import Permission, above_limit, check, may, with_article
from smartsub_tui.billing.changes import Change, check_text, is_stored, perform
from smartsub_tui.billing.details import details, known_by, read_order, term_of
from smartsub_tui.billing.invoices import NO_REFERENCES, BuyerReferences
from smartsub_tui.billing.lifecycle import Decision, Effect, OrderFacts, Transition, decide, why_never, why_not_settled
from smartsub_tui.billing.pricing import totals
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Dates
from smartsub_tui.clock import local_date
from smartsub_tui.config import Settings
from smartsub_tui.data import queries
from smartsub_tui.data.database import available, rows
from smartsub_tui.data.models import Claim, Department, Order, OrderLine, Payment, Refund, Subscription, User
from smartsub_tui.data.money import LARGEST, Money
from smartsub_tui.data.order_records import OrderDetails
from smartsub_tui.data.records import AdminRecord, OrderSummary
from smartsub_tui.data.vocabulary import (
    LIVE_PAYMENT_STATES,
    LineAction,
    OrderStatus,
    PaymentState,
    ProviderName,
    RefundState,
    Service,
    Trigger,
)
from smartsub_tui.errors import AboveLimit, Refused, WrongUsage


class Manual(Struct, frozen=True):
    """Money that is here: what says so, and the amount in minor units where it is not the total."""

    reference: str
    amount: int | None = None


class BankTransfer(Struct, frozen=True):
    """Money that will come: the details are shown, and there is more time."""


class ByLink(Struct, frozen=True):
    """Money that comes by a payment link, which is opened once the order is made: that it may be is asked before."""

    way: Literal["link"] = "link"  # else a request for it would be known by the same as one for a bank transfer


Paying = Manual | BankTransfer | ByLink


class Paid(Struct, frozen=True, kw_only=True):
    """The order after money came. `waiting` says why the money could only be recorded; None where it was applied."""

    order: OrderDetails
    waiting: str | None


# Facts and decisions


class Line(Struct, frozen=True, gc=False):
    """A line of an order with what it needs to be applied; `subscription` is a row id, dates are those before."""

    subscription: int
    action: LineAction
    amount: int
    tax_rate_ppm: int
    user_key: str
    label: str
    department: str
    apartment: str | None
    service: Service
    dates: Dates
    removed_on: date | None
    credited: bool = False


def _lines_of(orders: Iterable[int]) -> dict[int, list[Line]]:
    """The lines of orders, which are given and found by their row ids."""
    keys = list(orders)
    found: dict[int, list[Line]] = defaultdict(list)
    if not keys:
        return found
    stored = (
        OrderLine.select(
            OrderLine.order,
            OrderLine.subscription,
            OrderLine.action,
            OrderLine.amount,
            OrderLine.tax_rate_ppm,
            User.key,
            OrderLine.label,
            Department.name,
            User.apartment,
            Subscription.service,
            Subscription.activated_on,
            Subscription.expires_on,
            Subscription.anchor_day,
            User.removed_on,
            OrderLine.credit_note.is_null(False),
        )
        .join(Subscription, on=(OrderLine.subscription == Subscription.id))
        .join(User, on=(Subscription.user == User.id))
        .join(Department, on=(User.department == Department.id))
        .where(OrderLine.order.in_(keys))
        .order_by(OrderLine.order, OrderLine.id)
    )
    dates_of = cache(Dates)  # the people of an office share few dates
    for order, *line, activated_on, expires_on, anchor_day, removed_on, credited in rows(stored):
        values: Any = (*line, dates_of(activated_on, expires_on, anchor_day), removed_on, bool(credited))
        found[order].append(Line(*values))
    return found


def facts_of(orders: Iterable[Order], now: datetime) -> dict[int, OrderFacts]:
    """The facts of some hundred orders at `now`, by their row ids, in as many reads as those of one order take."""
    known = {order.id: order for order in orders}
    return _facts_with(_lines_of(key for key, order in known.items() if not order.history), known, now)


def _facts_with(
    lines: Mapping[int, Sequence[Line]], known: Mapping[int, Order], now: datetime
) -> dict[int, OrderFacts]:
    """The facts of orders whose lines were read; of imported history they are only counted."""
    counted = {key: (len(some), sum(line.credited for line in some)) for key, some in lines.items()}
    if history := [key for key, order in known.items() if order.history]:
        counted |= {
            key: (lines, credited)
            for key, lines, credited in rows(
                OrderLine.select(OrderLine.order, fn.COUNT(OrderLine.id), fn.COUNT(OrderLine.credit_note))
                .where(OrderLine.order.in_(history))
                .group_by(OrderLine.order)
            )
        }
    holder = (
        OrderLine.select(OrderLine.order, Order.number, fn.COUNT(OrderLine.id) - fn.COUNT(OrderLine.credit_note))
        .join(Claim, on=(Claim.subscription == OrderLine.subscription))
        .join(Order, on=(Claim.order == Order.id))
        .where(OrderLine.order.in_(list(known)) & (Claim.order != OrderLine.order))
        .group_by(OrderLine.order, Order.number)
        .order_by(Order.number)
    )
    held_by: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for key, number, held in rows(holder):
        held_by[key].append((number, held))
    paid: dict[int, list[Any]] = defaultdict(list)
    for key, *payment in rows(
        Payment.select(
            Payment.order, Payment.provider, Payment.state, Payment.amount, Payment.currency, Payment.applied
        )
        .where(Payment.order.in_(list(known)))
        .order_by(Payment.id)
    ):
        paid[key].append(payment)
    back: dict[int, list[Any]] = defaultdict(list)
    if paid:  # a refund is of a payment
        for key, *refund in rows(
            Refund.select(Payment.order, Refund.credit_note, Refund.state, Refund.amount, Refund.currency)
            .join(Payment)
            .where(Payment.order.in_(list(paid)))
            .order_by(Refund.id)
        ):
            back[key].append(refund)
    return {
        key: _facts(
            order,
            now,
            lines.get(key, []),
            counted.get(key, (0, 0)),
            held_by[key],
            paid.get(key, []),
            _refunds(back[key]),
        )
        for key, order in known.items()
    }


def _refunds(found: Iterable[Any]) -> tuple[tuple[Money, ...], bool]:
    """Of refunds by credit note, state, amount and currency: what credit notes still owe, for all that was tried to pay
    it back was declined, and whether money is just being paid back.
    """
    owed: dict[int, Money | None] = {}
    under_way = False
    for credit_note, state, amount, currency in found:
        under_way |= state.is_live
        if credit_note is not None and state is RefundState.DECLINED:
            owed.setdefault(credit_note, Money(amount, currency))
        elif credit_note is not None:
            owed[credit_note] = None
    return tuple(money for money in owed.values() if money is not None), under_way


def _facts(
    order: Order,
    now: datetime,
    lines: Iterable[Line],
    counted: tuple[int, int],
    held_by: Iterable[tuple[str, int]],
    paid: Iterable[Any],
    refunds: tuple[tuple[Money, ...], bool],
) -> OrderFacts:
    """What was read of one order, as facts; `counted` are its lines and those of them that were taken back, `held_by`
    orders with how many lines that stand they hold, `paid` are provider, state, amount, currency and applied of each
    payment.
    """
    owed, refunding = refunds
    today = local_date(now, order.office.timezone)

    @cache
    def objection(action: LineAction, dates: Dates, removed_on: date | None) -> str | None:
        return terms.objection(dates, term_of(order, action), today, removed_on)

    objections = [
        f"{line.user_key} {why}"
        for line in lines
        if (why := objection(line.action, line.dates, line.removed_on)) is not None
    ]
    return OrderFacts(
        status=order.status,
        now=now,
        pay_by=order.pay_by,
        total=Money(order.total, order.currency),
        history=order.history,
        deleted=order.deleted_at is not None,
        lines=counted[0],
        credited=counted[1],
        objections=tuple(objections),
        held_by=tuple(number for number, held in held_by if held),
        held=sum(held for _, held in held_by),
        live=next(((provider, state) for provider, state, *_ in paid if state in LIVE_PAYMENT_STATES), None),
        unapplied=tuple(
            Money(amount, currency)
            for _, state, amount, currency, applied in paid
            if state is PaymentState.SUCCEEDED and not applied
        ),
        owed=owed,
        refunding=refunding,
    )


def without_open_link(known: OrderFacts) -> OrderFacts:
    """The facts as they will be when it is done: an open link is ended at the provider before anything else is."""
    if known.live is None or known.live[1] is not PaymentState.SENT:
        return known
    return replace(known, live=None)


class Decided(Struct, frozen=True):
    """The row of the table that holds, by which facts, and the lines that were read for them."""

    transition: Transition
    facts: OrderFacts
    lines: Sequence[Line]


def decided(
    trigger: Trigger,
    order: Order,
    change: Change,
    *,
    lines: Sequence[Line] | None = None,
    money: int | None = None,
    currency: str | None = None,
    second: bool = False,
) -> Decided:
    """What the table says, read in the change's own transaction; raises Refused with its reason where no row holds.

    `lines` are those of an order that was made in the same transaction. `money` is what came, in minor units of
    `currency`, or else of the order's.
    """
    # Whoever came too late for the order hears it at once: others wait meanwhile.
    if (reason := why_never(trigger, order.status)) is not None:
        raise refusal(trigger, order.number, reason)
    if lines is None:
        lines = [] if order.history else _lines_of([order.id])[order.id]
    known = _facts_with({order.id: lines}, {order.id: order}, change.now)[order.id]
    if change.dry_run:
        known = without_open_link(known)
    known = replace(known, money=None if money is None else Money(money, currency or order.currency), second=second)
    decision: Decision = decide(trigger, known)
    if decision.transition is None:
        raise refusal(trigger, order.number, decision.reason)
    check_limit(change.admin, trigger, order, money)
    return Decided(decision.transition, known, lines)


def check_limit(admin: AdminRecord, trigger: Trigger, order: Order, money: int | None = None) -> None:
    """Raise AboveLimit where the order's total, or the money that came for it, is above the admin's limit."""
    if reason := above_limit(admin, trigger, Money(order.total, order.currency), money):
        raise AboveLimit(f"order {order.number} cannot {_VERBS[trigger]}: {reason}")


def refusal(trigger: Trigger, number: str, reason: str) -> Refused:
    """Why an order cannot take a trigger, in a sentence."""
    return Refused(f"order {number} cannot {_VERBS[trigger]}: {reason}")


_VERBS = {
    Trigger.PAY: "be paid",
    Trigger.LINK: "be paid by a link",
    Trigger.CONFIRM: "be confirmed",
    Trigger.FAIL: "be marked as failed",
    Trigger.AGAIN: "be ordered again",
    Trigger.CANCEL: "be cancelled",
    Trigger.APPLY: "take the waiting money",
    Trigger.REFUND: "be paid back",
    Trigger.CREDIT: "be taken back",
    Trigger.DELETE: "be deleted",
    Trigger.RESTORE: "be restored",
}


def _refuse_at_once(session: Session, trigger: Trigger, number: str, request_id: str | None) -> None:
    """Raise Refused where an order in its status can never be moved so: to hear that, nobody waits for others to write.

    What else may be against it is asked where it is decided, in the transaction of the change.
    """
    with available():
        stored = Order.select(Order.status).where(Order.number == number)
        reason = next((why_never(trigger, status) for (status,) in rows(stored)), None)
        if reason is None or not may(check(session.admin, Permission.READ).role, trigger):
            return  # that they may not is said first
        if is_stored(request_id):
            return
    raise refusal(trigger, number, reason)


def move(order: Order, change: Change, **columns: Any) -> None:
    """Change the order's row where it still is as it was read; whoever is too late is refused as a whole."""
    if columns.get("status", order.status) is not order.status:
        columns["status_since"] = change.now
    moved = (
        Order.update(version=Order.version + 1, **columns)
        .where((Order.id == order.id) & (Order.version == order.version) & (Order.status == order.status))
        .execute()
    )
    if moved != 1:
        raise Refused(f"order {order.number} was changed by someone else meanwhile: look at it again")
    for name, value in columns.items():
        setattr(order, name, value)
    order.version += 1


# Money that comes


def pay(
    session: Session,
    number: str,
    paying: Manual | BankTransfer,
    *,
    references: BuyerReferences = NO_REFERENCES,
    version: int | None = None,
    request_id: str | None = None,
    dry_run: bool = False,
) -> Paid:
    """Pay a Processing order, or a Failed one again, with money that is here; or choose bank transfer.

    An amount other than the total is recorded and waits. `version` is the one that was on the screen: if the order
    changed since, it is refused. `references` replace what the order had. Raises NotFound, Refused.
    """

    def work(change: Change) -> Paid:
        order = expected_order(number, version)
        refer(change, order, references)
        if isinstance(paying, BankTransfer):
            _choose_bank(change, order)
            return _paid(change, order, None)
        return _paid(change, order, _take(Trigger.PAY, change, order, paying))

    if version is None and not references:
        _refuse_at_once(session, Trigger.PAY, number, request_id)
    arguments = {"number": number, "paying": paying, **references.arguments()}
    return perform(session, Trigger.PAY, arguments, Paid, work, request_id=request_id, dry_run=dry_run)


def confirm(
    session: Session,
    number: str,
    money: Manual,
    *,
    second: bool = False,
    references: BuyerReferences = NO_REFERENCES,
    version: int | None = None,
    request_id: str | None = None,
    dry_run: bool = False,
) -> Paid:
    """Say that money for the order came, late or out of a payment whose outcome was unknown.

    It is applied where the order can take it, and recorded to wait where it cannot; `second` is money for an order
    that is paid already. `references` replace what the order had. Raises NotFound, Refused (imported history, a paid
    order without `second`).
    """

    def work(change: Change) -> Paid:
        order = expected_order(number, version)
        refer(change, order, references)
        return _paid(change, order, _take(Trigger.CONFIRM, change, order, money, second=second))

    arguments = {"number": number, "money": money, "second": second, **references.arguments()}
    return perform(session, Trigger.CONFIRM, arguments, Paid, work, request_id=request_id, dry_run=dry_run)


def apply(
    session: Session,
    number: str,
    *,
    version: int | None = None,
    request_id: str | None = None,
    dry_run: bool = False,
) -> Paid:
    """Settle an order that was closed unpaid with the money that waits on it; refused, the money goes on waiting."""

    def work(change: Change) -> Paid:
        order = expected_order(number, version)
        found = decided(Trigger.APPLY, order, change)
        payment = (
            Payment.select()
            .where(
                (Payment.order == order)
                & (Payment.state == PaymentState.SUCCEEDED)
                & ~Payment.applied
                & (Payment.amount == order.total)
                & (Payment.currency == order.currency)
            )
            .order_by(Payment.id)
            .first()
        )
        settle(change, order, found, payment)
        return _paid(change, order, None)

    return perform(session, Trigger.APPLY, {"number": number}, Paid, work, request_id=request_id, dry_run=dry_run)


def pay_new(change: Change, order: Order, lines: Sequence[Line], paying: Paying) -> None:
    """Pay, or choose bank transfer for, an order that was made with these lines in this same change."""
    if isinstance(paying, BankTransfer):
        _choose_bank(change, order, lines)
    elif isinstance(paying, ByLink):
        check_limit(change.admin, Trigger.LINK, order)
    else:
        _take(Trigger.PAY, change, order, paying, lines=lines)


def settle_free(change: Change, order: Order, lines: Sequence[Line], paying: Paying | None) -> None:
    """An order that costs nothing is paid as soon as it is made; money for it would belong to nothing."""
    if isinstance(paying, Manual) and paying.amount:
        raise Refused("the order costs nothing: no money can be its payment")
    settle(change, order, decided(Trigger.PAY, order, change, lines=lines), None)


def refer(change: Change, order: Order, references: BuyerReferences) -> None:
    """Keep the buyer's words for the order, from which its invoice takes them."""
    given = references.columns()
    if not given:
        return
    if order.status is OrderStatus.SUCCEED:
        raise Refused(f"order {order.number} is paid and its invoice issued: leave out PO number and buyer reference")
    before = {column: getattr(order, column) for column in given}
    move(order, change, **given)
    change.record("references", order=order.id, before=before, after=given)


def _take(
    trigger: Trigger,
    change: Change,
    order: Order,
    money: Manual,
    *,
    lines: Sequence[Line] | None = None,
    second: bool = False,
) -> str | None:
    """Take money that is here; why it can only be recorded, None where it was applied."""
    amount = order.total if money.amount is None else money.amount
    if not 0 <= amount <= LARGEST:
        raise WrongUsage(f"an amount is between 0 and {Money(LARGEST, order.currency)}")
    reference = check_text("reference", money.reference) if money.reference or amount else ""
    found = decided(trigger, order, change, lines=lines, money=amount, second=second)
    waiting = None if found.transition.effect is not Effect.RECORD else why_not_settled(trigger, found.facts)
    if waiting is not None and amount == 0:
        raise Refused(f"order {order.number} cannot {_VERBS[trigger]}: {waiting}; and no money came that could wait")
    attempts = list(Payment.select().where(Payment.order == order))
    twins = (
        each
        for each in attempts
        if reference in (each.reference, each.confirmation)
        and each.amount == amount
        and each.state in (PaymentState.SUCCEEDED, PaymentState.REFUNDED)
    )
    if reference and any(twins):
        raise Refused(
            f"{Money(amount, order.currency)} with reference {reference} is already recorded for order {order.number}:"
            " if more came, give its own reference"
        )
    payment = None
    if reference:
        payment = _received(change, order, reference, amount, attempts, applied=waiting is None)
    if waiting is None:
        settle(change, order, found, payment)
    else:
        assert payment is not None  # noqa: S101 - for the type: money without a reference is only taken for nothing
        before, target = order.status, found.transition.target or order.status
        move(order, change, status=target)
        change.record(
            trigger,
            order=order.id,
            before=None if target is before else {"status": before},
            after={
                **({} if target is before else {"status": target}),
                "amount": Money(amount, order.currency),
                "reference": reference,
                "recorded": waiting,
            },
        )
    return waiting


def _received(
    change: Change, order: Order, reference: str, amount: int, attempts: Sequence[Payment], *, applied: bool
) -> Payment:
    """The row of money that is here, beside all earlier `attempts` of the order.

    A payment under way is that money: it is settled, not doubled. An open link is not: it can still take other money.
    """
    live = next((each for each in attempts if each.state in LIVE_PAYMENT_STATES), None)
    if live is not None and live.amount == amount and order.status is OrderStatus.SYSTEM_PROCESSING:
        # The provider is asked on, from the start: what it says later is of the same money.
        live.state, live.confirmation, live.changed_at = PaymentState.SUCCEEDED, reference, change.now
        live.ask_at, live.asked = change.now, 0
        live.save()
        return live
    return Payment.create(
        order=order,
        provider=ProviderName.BANK if order.bank_chosen_at is not None else ProviderName.MANUAL,
        state=PaymentState.SUCCEEDED,
        idempotency_key=f"smartsub-{order.number}-{len(attempts) + 1}",
        reference=reference,
        amount=amount,
        currency=order.currency,
        created_at=change.now,
        changed_at=change.now,
        created_by=change.admin.name,
        applied=applied,
    )


def settle(change: Change, order: Order, found: Decided, payment: Payment | None) -> None:
    """-> Succeed: every line extended once, the invoice issued, the claims released, in this one transaction."""
    before, late = order.status, found.transition.effect is Effect.SETTLE_LATE
    lapsed = change.settings.orders.lapsed
    today = local_date(change.now, order.office.timezone)
    move(order, change, status=OrderStatus.SUCCEED, paid_at=change.now, late=late)
    if payment is not None and not payment.applied:
        payment.applied, payment.changed_at = True, change.now
        payment.save()

    @cache
    def extended(action: LineAction, dates: Dates) -> tuple[Dates, date]:
        new = terms.extend(dates, term_of(order, action), today, lapsed)
        return new, terms.first_day(dates.expires_on, today, lapsed)

    lines = [(line, *extended(line.action, line.dates)) for line in found.lines]
    database = Order._meta.database
    database.update_rows(
        [Subscription.activated_on, Subscription.expires_on, Subscription.anchor_day, Subscription.id],
        ((new.activated_on, new.expires_on, new.anchor_day, line.subscription) for line, new, _ in lines),
    )
    database.update_rows(
        [
            *(OrderLine.previous_expiry, OrderLine.new_expiry, OrderLine.applied_on, OrderLine.lapsed),
            *(OrderLine.order, OrderLine.subscription),
        ],
        ((line.dates.expires_on, new.expires_on, today, lapsed, order.id, line.subscription) for line, new, _ in lines),
        keys=2,
    )
    Claim.delete().where(Claim.order == order).execute()
    invoice = invoices.issue(
        change,
        order,
        totals((line.amount, line.tax_rate_ppm) for line in found.lines),
        [
            invoices.SnapshotLine(
                user_id=line.user_key,
                label=line.label,
                department=line.department,
                apartment=line.apartment,
                service=line.service,
                action=line.action,
                amount=line.amount,
                tax_rate_ppm=line.tax_rate_ppm,
                previous_expiry=line.dates.expires_on,
                new_expiry=new.expires_on,
                starts_on=starts_on,
            )
            for line, new, starts_on in lines
        ],
        None if payment is None else {"provider": payment.provider.value, "reference": known_by(payment)},
    )
    change.record(
        found.transition.trigger,
        order=order.id,
        before={"status": before},
        after={
            "status": OrderStatus.SUCCEED,
            "amount": Money(order.total, order.currency),
            **({"reference": known_by(payment)} if payment is not None else {}),
            "invoice": invoice.number,
            "late": late,
        },
    )


def _choose_bank(change: Change, order: Order, lines: Sequence[Line] | None = None) -> None:
    """Bank transfer makes no live payment; the first time it is chosen, there is more time to pay."""
    decided(Trigger.PAY, order, change, lines=lines)
    if order.bank_chosen_at is not None:
        return
    before = order.pay_by
    pay_by = bank_pay_by(order.created_at, order.pay_by, change.settings)
    move(order, change, bank_chosen_at=change.now, pay_by=pay_by)
    change.record("bank", order=order.id, before={"pay_by": before}, after={"pay_by": pay_by})


def bank_pay_by(created_at: datetime, pay_by: datetime, settings: Settings) -> datetime:
    """Until when an order can be paid once bank transfer is chosen for it; never earlier than before."""
    return max(created_at + settings.orders.bank_within, pay_by)


def expected_order(number: str, version: int | None) -> Order:
    order = queries.find_order(number)
    if version is not None and order.version != version:
        raise Refused(f"order {number} was changed by someone else meanwhile: look at it again")
    return order


def _paid(change: Change, order: Order, waiting: str | None) -> Paid:
    return Paid(order=details(order, change.now, change.settings), waiting=waiting)


# Moves without money


def fail(session: Session, number: str, reason: str, /, **options: Any) -> OrderDetails:
    """Mark a System Processing order as Failed, with a reason; its people are free for another order."""
    return _close(session, Trigger.FAIL, number, reason, **options)


def cancel(session: Session, number: str, reason: str, /, **options: Any) -> OrderDetails:
    """Cancel a Processing or Failed order, with a reason; its people are free for another order."""
    return _close(session, Trigger.CANCEL, number, reason, **options)


def delete(session: Session, number: str, reason: str, /, **options: Any) -> OrderDetails:
    """Hide an order, with a reason; a Processing one is cancelled first. `restore` brings it back."""
    return _close(session, Trigger.DELETE, number, reason, **options)


CLOSING: Final[dict[Trigger, Callable[..., OrderDetails]]] = {
    Trigger.FAIL: fail,
    Trigger.CANCEL: cancel,
    Trigger.DELETE: delete,
}


def restore(session: Session, number: str, /, **options: Any) -> OrderDetails:
    """Bring a deleted order back into the lists."""
    return _close(session, Trigger.RESTORE, number, None, **options)


def _close(
    session: Session,
    trigger: Trigger,
    number: str,
    reason: str | None,
    *,
    version: int | None = None,
    request_id: str | None = None,
    dry_run: bool = False,
) -> OrderDetails:
    said = None if reason is None else check_text("reason", reason)

    def work(change: Change) -> OrderDetails:
        order = expected_order(number, version)
        transition = decided(trigger, order, change).transition
        before = {"status": order.status, "deleted": order.deleted_at is not None}
        columns: dict[str, Any] = {}
        if transition.target is not None:
            columns["status"] = transition.target
        match transition.effect:
            case Effect.HIDE | Effect.HIDE_CANCELLED:
                columns["deleted_at"] = change.now
            case Effect.SHOW:
                columns["deleted_at"] = None
            case _:
                pass
        move(order, change, **columns)
        if transition.target is not None:
            Claim.delete().where(Claim.order == order).execute()
        after = {"status": order.status, "deleted": order.deleted_at is not None}
        changed = [key for key in after if after[key] != before[key]]
        change.record(
            trigger,
            order=order.id,
            before={key: before[key] for key in changed},
            after={key: after[key] for key in changed},
            reason=said,
        )
        return read_order(number, change.now, change.settings)

    arguments = {"number": number, "reason": said}
    return perform(session, trigger, arguments, OrderDetails, work, request_id=request_id, dry_run=dry_run)


# What a screen may offer


class Offered(Struct, frozen=True):
    """A trigger and, where it is not possible now, why not."""

    trigger: Trigger
    reason: str

    @property
    def possible(self) -> bool:
        return not self.reason


def offers(number: str, admin: AdminRecord, now: datetime) -> tuple[Offered, ...]:
    """Every trigger with whether it would do something to the order now, by the same table that decides."""
    order = queries.find_order(number)
    return _offered(facts_of([order], now)[order.id], admin)


def offers_of(numbers: Collection[str], admin: AdminRecord, now: datetime) -> dict[str, tuple[Trigger, ...]]:
    """The triggers that would do something to each of some hundred orders now; what is not there is left out."""
    found = queries.find_orders(numbers)
    known = facts_of(found.values(), now)
    return {
        number: tuple(each.trigger for each in _offered(known[order.id], admin) if each.possible)
        for number, order in found.items()
    }


def _offered(known: OrderFacts, admin: AdminRecord) -> tuple[Offered, ...]:
    known = replace(without_open_link(known), second=known.status is OrderStatus.SUCCEED)
    shown = []
    for trigger in Trigger:
        if not trigger.is_offered:
            continue
        decision = decide(trigger, known)
        reason = "" if decision.transition is not None else decision.reason
        if not reason and not may(admin.role, trigger):
            reason = f"{with_article(admin.role)} may not"
        reason = reason or above_limit(admin, trigger, known.total)
        shown.append(Offered(trigger, reason))
    return tuple(shown)


def offers_in_list(order: OrderSummary, now: datetime) -> tuple[Trigger, ...]:
    """What the row of an order in a list offers, by the same table: pay, delete, restore.

    A list does not look at lines, claims and payments: offers() does, for the one order that is chosen.
    """
    known = OrderFacts(
        status=order.status,
        now=now,
        pay_by=order.pay_by,
        total=order.total,
        history=order.history,
        deleted=order.deleted,
        lines=1,
        objections=(),
        held_by=(),
        live=None,
        unapplied=(),
    )
    asked = (Trigger.PAY, Trigger.DELETE, Trigger.RESTORE)
    return tuple(trigger for trigger in asked if decide(trigger, known).transition is not None)
