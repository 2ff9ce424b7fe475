"""Money that is paid back: what waits and could not be applied, and what a credit note takes back.

The row of a refund, with its key, is stored before the provider is asked, in the transaction that decides it; the
answer is recorded in another (docs/payments.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from smartsub_tui.billing import access, profiles
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.changes import Change, check_text, perform
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.links import ASK_AFTER, WAIT_AFTER
from smartsub_tui.billing.payments import decided, expected_order, move
from smartsub_tui.billing.providers import DEADLINE, Back, BackAnswer, No, PaidBack, PayBack, Talk
from smartsub_tui.billing.session import Session
from smartsub_tui.data.database import available
from smartsub_tui.data.models import Order, Payment, Refund
from smartsub_tui.data.money import Money
from smartsub_tui.data.order_records import OrderDetails
from smartsub_tui.data.vocabulary import PaymentState, ProviderName, RefundState, Trigger
from smartsub_tui.errors import Refused

_BY_HAND: Final = (ProviderName.MANUAL, ProviderName.BANK)
_LEEWAY: Final = timedelta(seconds=10)


def refund(
    session: Session,
    number: str,
    reason: str,
    *,
    reference: str | None = None,
    version: int | None = None,
    request_id: str | None = None,
    dry_run: bool = False,
) -> Talk[OrderDetails]:
    """Pay back all money of the order that waits, and what its credit notes still owe; the order stays as it is.

    What came through a provider goes back through it; with `reference`, which says so, all of it was paid out by hand.
    Raises NotFound, Refused where no money waits, or it is just being paid back.
    """
    said = check_text("reason", reason)
    by_hand = None if reference is None else check_text("reference", reference)

    if not dry_run:
        yield from _ask_before(session, number)

    begun_at: datetime | None = None

    def work(change: Change) -> list[int]:
        nonlocal begun_at
        begun_at = change.now
        order = expected_order(number, version)
        decided(Trigger.REFUND, order, change)
        move(order, change)
        waiting = Payment.select().where(
            (Payment.order == order) & (Payment.state == PaymentState.SUCCEEDED) & ~Payment.applied
        )
        begun = [begin(change, each, each.amount, said, reference=by_hand) for each in list(waiting)]
        return begun + [
            begin(change, owed.payment, owed.amount, said, credit_note=credit_note, reference=by_hand)
            for credit_note, owed in _owed(order)
        ]

    arguments = {"number": number, "reason": said, "reference": by_hand}
    begun = perform(session, Trigger.REFUND, arguments, list[int], work, request_id=request_id, dry_run=dry_run)
    if not dry_run:
        for each in begun:
            yield from pay_back(session, each, begun_at)
    with available():
        return read_order(number, session.clock.now(), session.settings)


def _ask_before(session: Session, number: str) -> Talk[None]:
    """What came of an earlier refund is heard before another is begun; what was only just begun is left alone."""
    profiles.check(session.profile, Trigger.REFUND)
    with available():
        access.check(session.admin, Trigger.REFUND)
        begun_before = session.clock.now() - DEADLINE
        live = [
            each.id
            for each in Refund.select().join(Payment).join(Order).where(Order.number == number)
            if each.state.is_live and (each.state is not RefundState.CREATED or each.created_at <= begun_before)
        ]
    for each in live:
        yield from pay_back(session, each)


def _owed(order: Order) -> list[tuple[int, Refund]]:
    """The credit notes of the order whose money could not be paid back, by row id, and the last attempt of each."""
    attempts: dict[int, list[Refund]] = defaultdict(list)
    for each in Refund.select().join(Payment).where(Payment.order == order).order_by(Refund.id):
        if each.credit_note is not None:
            attempts[each.credit_note.id].append(each)
    # Not the last alone: an earlier one may have been heard of late.
    return [(note, all_of[-1]) for note, all_of in attempts.items() if all(map(_is_declined, all_of))]


def _is_declined(refund: Refund) -> bool:
    return refund.state is RefundState.DECLINED


def begin(
    change: Change,
    payment: Payment,
    amount: int,
    reason: str,
    *,
    credit_note: int | None = None,
    reference: str | None = None,
) -> int:
    """Decide, in the change's own transaction, that `amount` minor units of a payment are paid back; the refund's id.

    `credit_note` is the row id of the credit note that takes them back. `reference` says that they are paid out by
    hand, whatever the provider of the payment; what came by hand goes back so, and that is done with this.
    Raises Refused where that much is not left of the payment.
    """
    earlier = list(Refund.select().where(Refund.payment == payment))
    left = payment.amount - sum(each.amount for each in earlier if not _is_declined(each))
    if amount > left:
        currency = payment.currency
        raise Refused(f"only {Money(left, currency)} is left of the payment, not {Money(amount, currency)}")
    made: Refund = Refund.create(
        payment=payment,
        credit_note=credit_note,
        state=RefundState.CREATED,
        idempotency_key=f"{payment.idempotency_key}-back-{len(earlier) + 1}",
        reference=reference,
        amount=amount,
        currency=payment.currency,
        reason=reason,
        created_at=change.now,
        changed_at=change.now,
        created_by=change.admin.name,
        ask_at=change.now + DEADLINE + _LEEWAY,
    )
    back, by_hand = Money(amount, payment.currency), reference is not None or payment.provider in _BY_HAND
    provider = ProviderName.MANUAL if by_hand else payment.provider
    change.record("begin_refund", order=payment.order.id, after={"provider": provider, "amount": back}, reason=reason)
    if by_hand:
        _done(change, made, PaidBack(reference=reference or made.idempotency_key, amount=back))
    return made.id


def pay_back(session: Session, refund: int, begun_at: datetime | None = None) -> Talk[BackAnswer | None]:
    """Have a refund that was begun paid back by its provider, or ask what became of it; record and return the answer.

    `begun_at`: when this same talk began refunds. What was begun at another moment may have been sent before, also
    under the same request: it is looked for first. None: it is no longer under way, and nobody was asked.
    """
    with available():
        found = Refund.get_by_id(refund)
        if not found.state.is_live:
            return None
        late = session.clock.now() >= found.created_at + DEADLINE
        sent_before = found.state is not RefundState.CREATED or found.created_at != begun_at or late
        payment = found.payment
        asked = PayBack(
            payment.provider,
            Back(
                key=found.idempotency_key,
                order=payment.order.number,
                charge=payment.charge or "",
                amount=Money(found.amount, found.currency),
                reference=found.reference,
                created_at=found.created_at,
                asked_at=session.clock.now(),
                again=sent_before,
            ),
        )
    if not asked.back.charge:
        answer: BackAnswer = No("its provider never named the money: pay it back by hand (--reference)")
    else:
        answer = yield asked
    hear(session, refund, answer)
    return answer


def hear(session: Session, refund: int, answer: BackAnswer) -> None:
    """Record what a provider answered about a refund, in one transaction."""

    def work(change: Change) -> bool:
        found = Refund.get_by_id(refund)
        # Another, whose clock is a day ahead, may have taken what was just being sent for never sent, and called it
        # declined. What Stripe itself declined has its name.
        after_all = _is_declined(found) and found.reference is None and isinstance(answer, PaidBack)
        if not (found.state.is_live or after_all):
            return False
        match answer:
            case PaidBack() if after_all and _is_spent(found):
                _done(change, found, answer)
                Payment.update(contested=True).where(Payment.id == found.payment.id).execute()
                change.record("refund_twice", order=found.payment.order.id, after=_what(found))
            case PaidBack(under_way=False):
                _done(change, found, answer)
            case PaidBack():
                again = found.state is RefundState.PENDING
                _put(
                    change,
                    found,
                    state=RefundState.PENDING,
                    reference=answer.reference,
                    **_next(change, found.asked if again else 0, WAIT_AFTER),
                )
                if not again:
                    change.record("refund_under_way", order=found.payment.order.id, after=_what(found))
            case No(why, reference):
                _put(change, found, state=RefundState.DECLINED, reference=found.reference or reference, ask_at=None)
                change.record("refund_declined", order=found.payment.order.id, after=_what(found), reason=why)
            case _:
                again = found.state is RefundState.UNKNOWN
                state = found.state if found.state is RefundState.PENDING else RefundState.UNKNOWN
                waits = WAIT_AFTER if state is RefundState.PENDING else ASK_AFTER
                _put(change, found, state=state, **_next(change, found.asked, waits))
                if not again and state is RefundState.UNKNOWN:
                    change.record("refund_unknown", order=found.payment.order.id, after=_what(found))
        return True

    perform(session, Permission.SWEEP, {"refund": refund}, bool, work)


def _is_spent(declined: Refund) -> bool:
    """Whether the money of a refund that was declined has been applied, or is being paid back in another way."""
    payment = declined.payment
    others = [
        each
        for each in Refund.select().where((Refund.payment == payment) & (Refund.id != declined.id))
        if not _is_declined(each)
    ]
    too_much = sum(each.amount for each in others) + declined.amount > payment.amount
    applied = declined.credit_note is None and payment.applied
    return too_much or applied or any(each.credit_note == declined.credit_note for each in others)


def _next(change: Change, asked: int, waits: Sequence[timedelta]) -> dict[str, Any]:
    ask_at = change.now + waits[asked] if asked < len(waits) else None
    return {"ask_at": ask_at, "asked": asked + 1}


def _what(refund: Refund) -> dict[str, Any]:
    return {"amount": Money(refund.amount, refund.currency), "reference": refund.reference}


def _done(change: Change, refund: Refund, back: PaidBack) -> None:
    """The money is back. What waited to be applied waits no longer."""
    _put(change, refund, state=RefundState.SUCCEEDED, reference=back.reference, ask_at=None)
    payment = refund.payment
    if not payment.applied:
        payment.state, payment.changed_at = PaymentState.REFUNDED, change.now
        if payment.confirmation is None:
            payment.ask_at = None
        # What someone confirmed is asked about on: its link may still be open, its money come late or never.
        payment.contested = payment.contested and not payment.never_came  # who pays it back by hand was told that
        payment.save()
    change.record(Trigger.REFUND, order=payment.order.id, after=_what(refund))


def _put(change: Change, refund: Refund, **columns: Any) -> None:
    """Change a refund's row where it still is in the state that was read; whoever is too late is refused."""
    before = refund.state
    done = (
        Refund.update(changed_at=change.now, **columns)
        .where((Refund.id == refund.id) & (Refund.state == before))
        .execute()
    )
    if done != 1:
        raise Refused("the refund was changed by someone else meanwhile: look at it again")
    for name, value in columns.items():
        setattr(refund, name, value)
