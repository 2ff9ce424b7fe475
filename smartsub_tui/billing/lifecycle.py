"""The life of an order: ONE table. Rules, keys on screen, help and tests all read it.

A row says: from these statuses, on this trigger, if all guards hold, to that status. For one trigger the first row that
holds is taken. A guard is a question to `OrderFacts`; it answers None, or why not, in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from msgspec import Struct

from smartsub_tui.data.money import Money
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName, Trigger, Word

PROCESSING = OrderStatus.PROCESSING
SYSTEM_PROCESSING = OrderStatus.SYSTEM_PROCESSING
SUCCEED = OrderStatus.SUCCEED
FAILED = OrderStatus.FAILED
TIME_OUT = OrderStatus.TIME_OUT
CANCEL = OrderStatus.CANCEL
ANY: Final = tuple(OrderStatus)


class Effect(Word):
    """What else a row does, beside setting the status."""

    SETTLE = "settle", "every line is extended once, the invoice is issued"
    SETTLE_LATE = "settle_late", "as settled, flagged late"
    RECORD = "record", "the money is recorded and waits to be applied"
    RELEASE = "release", "the people are free for another order"
    HIDE = "hide", "hidden from lists, not destroyed"
    HIDE_CANCELLED = "hide_cancelled", "cancelled, then hidden"
    SHOW = "show", "back in the lists"
    OPEN = "open", "a payment link is opened, the people are held"
    WAIT = "wait", "the provider is asked again until it says what happened"
    REOPEN = "reopen", "nothing was taken: it can be paid as before"
    PAY_BACK = "pay_back", "the money is paid back"
    CREDIT = "credit", "a credit note is issued, the dates are replayed without its lines, the money is paid back"
    ORDER = "order", "a new order for the same people"


class OrderFacts(Struct, frozen=True, kw_only=True):
    """All that a guard may ask about an order. Amounts are minor units of the order's currency."""

    status: OrderStatus
    now: datetime
    pay_by: datetime | None
    total: Money
    history: bool
    deleted: bool
    lines: int
    objections: tuple[str, ...]  # of lines that could not be extended today
    held_by: tuple[str, ...]  # numbers of other open orders that hold a subscription of this one
    live: tuple[ProviderName, PaymentState] | None
    unapplied: tuple[Money, ...]
    owed: tuple[Money, ...] = ()  # of credit notes, where paying back was declined
    refunding: bool = False  # money of it is just being paid back, or it is unknown whether it was
    credited: int = 0  # lines that credit notes took back
    held: int = 0  # lines, of those that stand, whose subscription another open order holds
    money: Money | None = None  # what came, where money is what the trigger is about
    second: bool = False  # it is money beside what the order was paid with

    @property
    def due(self) -> bool:
        """Its time is over: nobody can pay it any more, the next write times it out."""
        return self.status is PROCESSING and self.pay_by is not None and self.pay_by <= self.now


Guard = Callable[[OrderFacts], str | None]


def _not_history(order: OrderFacts) -> str | None:
    return "it is imported history: order again" if order.history else None


def _not_deleted(order: OrderFacts) -> str | None:
    return "it is deleted: restore it first" if order.deleted else None


def _deleted(order: OrderFacts) -> str | None:
    return None if order.deleted else "it is not deleted"


def _in_time(order: OrderFacts) -> str | None:
    if order.pay_by is None or order.now < order.pay_by:
        return None
    return "its time to pay is over: order again, or confirm it if the money came"


def _overdue(order: OrderFacts) -> str | None:
    return None if order.due else "its time to pay is not over"


def _lines_valid(order: OrderFacts) -> str | None:
    if not order.objections:
        return None
    more = f" (and {len(order.objections) - 1} more)" if len(order.objections) > 1 else ""
    return f"{order.objections[0]}{more}"


def _claims_free(order: OrderFacts) -> str | None:
    return f"order {order.held_by[0]} holds someone of it" if order.held_by else None


def _no_live_payment(order: OrderFacts) -> str | None:
    if order.live is None:
        return None
    provider, state = order.live
    return f"a payment through {provider.label} is under way ({state.label})"


def _no_unknown_outside(order: OrderFacts) -> str | None:
    if order.live is None or order.live[0] in (ProviderName.MANUAL, ProviderName.BANK):
        return None
    return f"what {order.live[0].label} did with the payment is unknown: confirm it, or wait for the answer"


def _right_amount(order: OrderFacts) -> str | None:
    if order.money in (None, order.total):
        return None
    return f"{order.money} came, the total is {order.total}"


def _wrong_amount(order: OrderFacts) -> str | None:
    return None if _right_amount(order) else "the amount is the total"


def _money_waits(order: OrderFacts) -> str | None:
    if order.total in order.unapplied:
        return None
    if order.unapplied:
        return f"the money that waits is not {order.total}"
    return "no money waits to be applied"


def _money_to_pay_back(order: OrderFacts) -> str | None:
    # What is on its way back is said by the guard behind this one: nothing waits then, and nothing is done with either.
    return None if order.unapplied or order.owed or order.refunding else "no money of it waits"


def _no_refund_under_way(order: OrderFacts) -> str | None:
    return "money of it is just being paid back" if order.refunding else None


def _not_all_credited(order: OrderFacts) -> str | None:
    return "all of it was taken back" if order.lines and order.credited == order.lines else None


def _someone_free(order: OrderFacts) -> str | None:
    return _claims_free(order) if order.held >= order.lines - order.credited else None


def _no_money_waits(order: OrderFacts) -> str | None:
    return "money of it waits to be applied or refunded" if order.unapplied else None


def _costs_something(order: OrderFacts) -> str | None:
    return None if order.total.amount else "it costs nothing"


def _has_invoice(order: OrderFacts) -> str | None:
    return "it is imported history, which has no invoice of ours" if order.history else None


def _has_lines(order: OrderFacts) -> str | None:
    return None if order.lines else "it does not say for whom it was"


def _second(order: OrderFacts) -> str | None:
    return None if order.second else "it is already paid; is it second money, say so (--second)"


def _not_second(order: OrderFacts) -> str | None:
    return "it is not paid yet, so no money can be its second" if order.second else None


class Transition(Struct, frozen=True):
    """One row. `target` None: the status stays."""

    trigger: Trigger
    sources: tuple[OrderStatus, ...]
    target: OrderStatus | None
    effect: Effect
    guards: tuple[Guard, ...]


_UNPAID_AND_CLOSED = (TIME_OUT, FAILED, CANCEL)
_PAYABLE = (_not_history, _not_deleted, _in_time, _no_live_payment, _right_amount, _lines_valid, _claims_free)
# Money that a provider says is there is never refused: where it cannot be applied, it is recorded and waits.
# Beside another payment that can still take money it waits too: the order would be paid twice.
_ARRIVED = (_not_history, _not_deleted, _no_live_payment, _right_amount, _lines_valid, _claims_free)
_PAYABLE_LATE = (_not_history, _not_deleted, _not_second, _right_amount, _lines_valid, _claims_free)

TABLE: Final = (
    Transition(Trigger.PAY, (PROCESSING, FAILED), SUCCEED, Effect.SETTLE, _PAYABLE),
    Transition(
        Trigger.PAY,
        (PROCESSING, FAILED),
        None,
        Effect.RECORD,
        (_not_history, _in_time, _no_live_payment, _wrong_amount),
    ),
    Transition(Trigger.LINK, (PROCESSING, FAILED), PROCESSING, Effect.OPEN, (*_PAYABLE, _costs_something)),
    Transition(Trigger.UNDER_WAY, (PROCESSING,), SYSTEM_PROCESSING, Effect.WAIT, ()),
    Transition(Trigger.ARRIVE, (PROCESSING, SYSTEM_PROCESSING), SUCCEED, Effect.SETTLE, _ARRIVED),
    Transition(Trigger.ARRIVE, (FAILED,), SUCCEED, Effect.SETTLE, (*_ARRIVED, _in_time)),
    Transition(Trigger.ARRIVE, (TIME_OUT, FAILED), SUCCEED, Effect.SETTLE_LATE, _ARRIVED),
    # Nothing is under way any more: who waits for it would wait for ever.
    Transition(Trigger.ARRIVE, (SYSTEM_PROCESSING,), PROCESSING, Effect.RECORD, (_no_live_payment,)),
    Transition(Trigger.ARRIVE, ANY, None, Effect.RECORD, ()),
    Transition(Trigger.NOT_TAKEN, (SYSTEM_PROCESSING,), PROCESSING, Effect.REOPEN, ()),
    # A delayed payment may have been declined before anyone asked how it was.
    Transition(Trigger.DECLINE, (PROCESSING, SYSTEM_PROCESSING), FAILED, Effect.RELEASE, ()),
    Transition(Trigger.CONFIRM, (PROCESSING, FAILED), SUCCEED, Effect.SETTLE, (*_PAYABLE, _not_second)),
    Transition(Trigger.CONFIRM, (SYSTEM_PROCESSING,), SUCCEED, Effect.SETTLE, _PAYABLE_LATE),
    Transition(Trigger.CONFIRM, (TIME_OUT, FAILED), SUCCEED, Effect.SETTLE_LATE, _PAYABLE_LATE),
    # The money that was under way is here, and cannot be applied: nothing is waited for any more, as above.
    Transition(
        Trigger.CONFIRM, (SYSTEM_PROCESSING,), PROCESSING, Effect.RECORD, (_not_history, _not_second, _right_amount)
    ),
    Transition(
        Trigger.CONFIRM,
        (PROCESSING, SYSTEM_PROCESSING, *_UNPAID_AND_CLOSED),
        None,
        Effect.RECORD,
        (_not_history, _not_second),
    ),
    Transition(Trigger.CONFIRM, (SUCCEED,), None, Effect.RECORD, (_not_history, _second)),
    Transition(Trigger.FAIL, (SYSTEM_PROCESSING,), FAILED, Effect.RELEASE, (_no_unknown_outside,)),
    Transition(Trigger.TIME_OUT, (PROCESSING,), TIME_OUT, Effect.RELEASE, (_overdue, _no_live_payment)),
    Transition(Trigger.AGAIN, _UNPAID_AND_CLOSED, None, Effect.ORDER, (_has_lines,)),
    Transition(Trigger.CANCEL, (PROCESSING, FAILED), CANCEL, Effect.RELEASE, (_not_history, _no_live_payment)),
    Transition(
        Trigger.APPLY,
        _UNPAID_AND_CLOSED,
        SUCCEED,
        Effect.SETTLE_LATE,
        (_not_history, _money_waits, _no_refund_under_way, _not_deleted, _lines_valid, _claims_free),
    ),
    Transition(Trigger.REFUND, ANY, None, Effect.PAY_BACK, (_money_to_pay_back, _no_refund_under_way)),
    Transition(
        Trigger.CREDIT,
        (SUCCEED,),
        None,
        Effect.CREDIT,
        (_has_invoice, _not_deleted, _not_all_credited, _someone_free, _no_refund_under_way),
    ),
    Transition(Trigger.DELETE, (PROCESSING,), CANCEL, Effect.HIDE_CANCELLED, (_no_live_payment, _no_money_waits)),
    Transition(Trigger.DELETE, (SUCCEED, *_UNPAID_AND_CLOSED), None, Effect.HIDE, (_not_deleted, _no_money_waits)),
    Transition(Trigger.RESTORE, ANY, None, Effect.SHOW, (_deleted,)),
)

# Where no row begins at a status, this says why; with the status' definition it is the whole sentence.
_NO_ROW: Final[dict[tuple[Trigger, OrderStatus], str]] = {
    (Trigger.PAY, SUCCEED): "it is already paid",
    (Trigger.PAY, SYSTEM_PROCESSING): "its payment is being processed: confirm it when the money is there",
    (Trigger.PAY, TIME_OUT): "its time to pay is over: order again, or confirm it if the money came",
    (Trigger.PAY, CANCEL): "it was cancelled: order again, or confirm it if the money came",
    (Trigger.LINK, SUCCEED): "it is already paid",
    (Trigger.LINK, SYSTEM_PROCESSING): "its payment is being processed: confirm it when the money is there",
    (Trigger.LINK, TIME_OUT): "its time to pay is over: order again, or confirm it if the money came",
    (Trigger.LINK, CANCEL): "it was cancelled: order again, or confirm it if the money came",
    (Trigger.AGAIN, PROCESSING): "it can still be paid",
    (Trigger.AGAIN, SYSTEM_PROCESSING): "its payment is being processed",
    (Trigger.AGAIN, SUCCEED): "it is paid: renew its people instead",
    (Trigger.CANCEL, SYSTEM_PROCESSING): "money is in flight: confirm it, or mark it as failed first",
    (Trigger.CANCEL, SUCCEED): "it is already paid",
    (Trigger.DELETE, SYSTEM_PROCESSING): "money is in flight: confirm it, or mark it as failed first",
    (Trigger.APPLY, PROCESSING): "it can still be paid",
    (Trigger.APPLY, SYSTEM_PROCESSING): "its payment is being processed: confirm it when the money is there",
    (Trigger.APPLY, SUCCEED): "it is already paid",
    **dict.fromkeys(((Trigger.CREDIT, status) for status in ANY), "it is not paid, so nothing can be taken back"),
}


class Decision(Struct, frozen=True):
    """What a trigger does to an order: a row of the table, or why none holds."""

    transition: Transition | None
    reason: str  # empty where there is a transition


def decide(trigger: Trigger, order: OrderFacts) -> Decision:
    """The first row of TABLE for `trigger` whose guards all hold; else the reason of the first that begins here."""
    reason = ""
    for row in TABLE:
        if row.trigger is trigger and order.status in row.sources:
            failed = next((why for guard in row.guards if (why := guard(order))), None)
            if failed is None:
                return Decision(row, "")
            reason = reason or failed
    return Decision(None, reason or why_never(trigger, order.status) or f"it is {order.status.label}")


def why_never(trigger: Trigger, status: OrderStatus) -> str | None:
    """Why no row of the table can hold for an order in this status, whatever else is known; None where one may."""
    if any(row.trigger is trigger and status in row.sources for row in TABLE):
        return None
    return _NO_ROW.get((trigger, status)) or f"it is {status.label}"


def why_not_settled(trigger: Trigger, order: OrderFacts) -> str:
    """Why the row that would settle the order did not hold, where its money could only be recorded."""
    rows = (row for row in TABLE if row.trigger is trigger and order.status in row.sources)
    settling = (row for row in rows if row.target is SUCCEED)
    reasons = (why for row in settling for guard in row.guards if (why := guard(order)))
    return next(reasons, f"it is {order.status.label}")
