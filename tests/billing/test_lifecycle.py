"""The life of an order: what each trigger does in each status, and each guard by itself.

The expectations are written out here and not taken from the table of the code.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from smartsub_tui.billing.lifecycle import ANY, TABLE, Effect, OrderFacts, decide, why_not_settled
from smartsub_tui.data.money import Money
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName, Trigger
from tests.support import NOW

PROCESSING, SYSTEM, SUCCEED, FAILED, TIME_OUT, CANCEL = OrderStatus

PLAIN = OrderFacts(
    status=PROCESSING,
    now=NOW,
    pay_by=NOW + timedelta(hours=1),
    total=Money(1190, "EUR"),
    history=False,
    deleted=False,
    lines=1,
    objections=(),
    held_by=(),
    live=None,
    unapplied=(),
)


def eur(amount: int) -> Money:
    return Money(amount, "EUR")


STRIPE_UNKNOWN = (ProviderName.STRIPE, PaymentState.UNKNOWN)

Outcome = tuple[OrderStatus | None, Effect]
STAYS = None

# A plain order: own, in its time, valid lines, no payment. A text is (a part of) the reason why not.
EXPECTED: dict[Trigger, dict[OrderStatus, Outcome | str]] = {
    Trigger.PAY: {
        PROCESSING: (SUCCEED, Effect.SETTLE),
        SYSTEM: "its payment is being processed: confirm it when the money is there",
        SUCCEED: "it is already paid",
        FAILED: (SUCCEED, Effect.SETTLE),
        TIME_OUT: "its time to pay is over: order again, or confirm it if the money came",
        CANCEL: "it was cancelled: order again, or confirm it if the money came",
    },
    Trigger.CONFIRM: {
        PROCESSING: (SUCCEED, Effect.SETTLE),
        SYSTEM: (SUCCEED, Effect.SETTLE),
        SUCCEED: "it is already paid; is it second money, say so (--second)",
        FAILED: (SUCCEED, Effect.SETTLE),
        TIME_OUT: (SUCCEED, Effect.SETTLE_LATE),
        CANCEL: (STAYS, Effect.RECORD),
    },
    Trigger.FAIL: {
        PROCESSING: "it is Processing",
        SYSTEM: (FAILED, Effect.RELEASE),
        SUCCEED: "it is Succeed",
        FAILED: "it is Failed",
        TIME_OUT: "it is Time out",
        CANCEL: "it is Cancel",
    },
    Trigger.TIME_OUT: {
        PROCESSING: "its time to pay is not over",
        SYSTEM: "it is System Processing",
        SUCCEED: "it is Succeed",
        FAILED: "it is Failed",
        TIME_OUT: "it is Time out",
        CANCEL: "it is Cancel",
    },
    Trigger.AGAIN: {
        PROCESSING: "it can still be paid",
        SYSTEM: "its payment is being processed",
        SUCCEED: "it is paid: renew its people instead",
        FAILED: (STAYS, Effect.ORDER),
        TIME_OUT: (STAYS, Effect.ORDER),
        CANCEL: (STAYS, Effect.ORDER),
    },
    Trigger.CANCEL: {
        PROCESSING: (CANCEL, Effect.RELEASE),
        SYSTEM: "money is in flight: confirm it, or mark it as failed first",
        SUCCEED: "it is already paid",
        FAILED: (CANCEL, Effect.RELEASE),
        TIME_OUT: "it is Time out",
        CANCEL: "it is Cancel",
    },
    Trigger.APPLY: {
        PROCESSING: "it can still be paid",
        SYSTEM: "its payment is being processed: confirm it when the money is there",
        SUCCEED: "it is already paid",
        FAILED: "no money waits to be applied",
        TIME_OUT: "no money waits to be applied",
        CANCEL: "no money waits to be applied",
    },
    Trigger.DELETE: {
        PROCESSING: (CANCEL, Effect.HIDE_CANCELLED),
        SYSTEM: "money is in flight: confirm it, or mark it as failed first",
        SUCCEED: (STAYS, Effect.HIDE),
        FAILED: (STAYS, Effect.HIDE),
        TIME_OUT: (STAYS, Effect.HIDE),
        CANCEL: (STAYS, Effect.HIDE),
    },
    Trigger.RESTORE: dict.fromkeys(OrderStatus, "it is not deleted"),
    Trigger.LINK: {
        PROCESSING: (PROCESSING, Effect.OPEN),
        SYSTEM: "its payment is being processed: confirm it when the money is there",
        SUCCEED: "it is already paid",
        FAILED: (PROCESSING, Effect.OPEN),
        TIME_OUT: "its time to pay is over: order again, or confirm it if the money came",
        CANCEL: "it was cancelled: order again, or confirm it if the money came",
    },
    Trigger.UNDER_WAY: {
        PROCESSING: (SYSTEM, Effect.WAIT),
        SYSTEM: "it is System Processing",
        SUCCEED: "it is Succeed",
        FAILED: "it is Failed",
        TIME_OUT: "it is Time out",
        CANCEL: "it is Cancel",
    },
    Trigger.ARRIVE: {
        PROCESSING: (SUCCEED, Effect.SETTLE),
        SYSTEM: (SUCCEED, Effect.SETTLE),
        SUCCEED: (STAYS, Effect.RECORD),
        FAILED: (SUCCEED, Effect.SETTLE),
        TIME_OUT: (SUCCEED, Effect.SETTLE_LATE),
        CANCEL: (STAYS, Effect.RECORD),
    },
    Trigger.NOT_TAKEN: {
        PROCESSING: "it is Processing",
        SYSTEM: (PROCESSING, Effect.REOPEN),
        SUCCEED: "it is Succeed",
        FAILED: "it is Failed",
        TIME_OUT: "it is Time out",
        CANCEL: "it is Cancel",
    },
    Trigger.DECLINE: {
        PROCESSING: (FAILED, Effect.RELEASE),
        SYSTEM: (FAILED, Effect.RELEASE),
        SUCCEED: "it is Succeed",
        FAILED: "it is Failed",
        TIME_OUT: "it is Time out",
        CANCEL: "it is Cancel",
    },
    Trigger.REFUND: dict.fromkeys(OrderStatus, "no money of it waits"),
    Trigger.CREDIT: {
        **dict.fromkeys(OrderStatus, "it is not paid, so nothing can be taken back"),
        SUCCEED: (STAYS, Effect.CREDIT),
    },
}


def check(trigger: Trigger, facts: OrderFacts, expected: Outcome | str) -> None:
    decision = decide(trigger, facts)
    if isinstance(expected, str):
        assert decision.transition is None, decision
        assert decision.reason == expected
    else:
        assert decision.transition is not None, decision.reason
        assert (decision.transition.target, decision.transition.effect) == expected
        assert decision.reason == ""


def test_every_trigger_and_every_status_is_expected_here() -> None:
    assert set(EXPECTED) == set(Trigger)
    assert all(set(by_status) == set(OrderStatus) for by_status in EXPECTED.values())


@pytest.mark.parametrize("status", OrderStatus)
@pytest.mark.parametrize("trigger", Trigger)
def test_a_plain_order(trigger: Trigger, status: OrderStatus) -> None:
    check(trigger, replace(PLAIN, status=status), EXPECTED[trigger][status])


# What differs from PLAIN, and what then is expected.
HISTORY = "it is imported history: order again"
DELETED = "it is deleted: restore it first"
OVER = "its time to pay is over: order again, or confirm it if the money came"
WRONG = "EUR 11.00 came, the total is EUR 11.90"
HELD = "order 77 holds someone of it"
UNKNOWN = "a payment through Stripe is under way (outcome unknown)"
WAITS = "money of it waits to be applied or refunded"
GOING_BACK = "money of it is just being paid back"
NOT_PAID = "it is not paid yet, so no money can be its second"
SETTLED: Outcome = (SUCCEED, Effect.SETTLE)
LATE: Outcome = (SUCCEED, Effect.SETTLE_LATE)
RECORDED: Outcome = (STAYS, Effect.RECORD)

GUARDS: list[tuple[Trigger, tuple[OrderStatus, ...], dict[str, Any], Outcome | str]] = [
    # Paying: everything has to hold.
    (Trigger.PAY, (PROCESSING, FAILED), {"history": True}, HISTORY),
    (Trigger.PAY, (FAILED,), {"deleted": True}, DELETED),
    (Trigger.PAY, (PROCESSING, FAILED), {"pay_by": NOW}, OVER),
    (Trigger.PAY, (PROCESSING, FAILED), {"pay_by": NOW + timedelta(microseconds=1)}, SETTLED),
    (Trigger.PAY, (FAILED,), {"pay_by": None}, SETTLED),
    (
        Trigger.PAY,
        (PROCESSING, FAILED),
        {"objections": ("u1 was removed on 2026-01-01",)},
        "u1 was removed on 2026-01-01",
    ),
    (Trigger.PAY, (PROCESSING, FAILED), {"objections": ("u1 is away", "u2", "u3")}, "u1 is away (and 2 more)"),
    (Trigger.PAY, (PROCESSING, FAILED), {"held_by": ("77", "78")}, HELD),
    (Trigger.PAY, (PROCESSING, FAILED), {"live": STRIPE_UNKNOWN}, UNKNOWN),
    (Trigger.PAY, (PROCESSING, FAILED), {"money": eur(1190)}, SETTLED),
    # Another amount waits, whatever hinders the order itself; but there it has to be payable money at all.
    (Trigger.PAY, (PROCESSING, FAILED), {"money": eur(1100)}, RECORDED),
    (Trigger.PAY, (PROCESSING, FAILED), {"money": eur(1191)}, RECORDED),
    (
        Trigger.PAY,
        (PROCESSING, FAILED),
        {"money": eur(1100), "objections": ("u1 is away",), "held_by": ("77",)},
        RECORDED,
    ),
    (Trigger.PAY, (PROCESSING, FAILED), {"money": eur(1100), "history": True}, HISTORY),
    (Trigger.PAY, (PROCESSING, FAILED), {"money": eur(1100), "pay_by": NOW}, OVER),
    (Trigger.PAY, (PROCESSING, FAILED), {"money": eur(1100), "live": STRIPE_UNKNOWN}, UNKNOWN),
    # Confirming in time is paying; what cannot be applied is recorded, but for history.
    (Trigger.CONFIRM, ANY, {"history": True}, HISTORY),
    (Trigger.CONFIRM, (PROCESSING,), {"pay_by": NOW}, RECORDED),
    (Trigger.CONFIRM, (FAILED,), {"pay_by": NOW}, LATE),
    (Trigger.CONFIRM, (SYSTEM,), {"pay_by": NOW}, SETTLED),
    (Trigger.CONFIRM, (SYSTEM,), {"pay_by": None, "money": eur(1190)}, SETTLED),
    (Trigger.CONFIRM, (TIME_OUT,), {"pay_by": None, "money": eur(1190)}, LATE),
    (Trigger.CONFIRM, (SYSTEM,), {"live": STRIPE_UNKNOWN}, SETTLED),
    (Trigger.CONFIRM, (PROCESSING,), {"live": STRIPE_UNKNOWN}, RECORDED),
    (Trigger.CONFIRM, (PROCESSING, SYSTEM, TIME_OUT, FAILED, CANCEL), {"money": eur(1)}, RECORDED),
    (Trigger.CONFIRM, (PROCESSING, TIME_OUT, FAILED, CANCEL), {"objections": ("u1 is away",)}, RECORDED),
    (Trigger.CONFIRM, (SYSTEM,), {"objections": ("u1 is away",)}, (PROCESSING, Effect.RECORD)),
    (Trigger.CONFIRM, (TIME_OUT, FAILED, CANCEL), {"held_by": ("77",)}, RECORDED),
    (Trigger.CONFIRM, (TIME_OUT, FAILED, CANCEL), {"deleted": True}, RECORDED),
    (Trigger.CONFIRM, (SUCCEED,), {"second": True}, RECORDED),
    (Trigger.CONFIRM, (SUCCEED,), {"second": True, "deleted": True, "money": eur(1)}, RECORDED),
    (Trigger.CONFIRM, (SUCCEED,), {"second": True, "history": True}, HISTORY),
    (Trigger.CONFIRM, (PROCESSING, SYSTEM, TIME_OUT, FAILED, CANCEL), {"second": True}, NOT_PAID),
    # Failing: not while an outside provider may have taken the money.
    (
        Trigger.FAIL,
        (SYSTEM,),
        {"live": STRIPE_UNKNOWN},
        "what Stripe did with the payment is unknown: confirm it, or wait for the answer",
    ),
    (Trigger.FAIL, (SYSTEM,), {"live": (ProviderName.MANUAL, PaymentState.PENDING)}, (FAILED, Effect.RELEASE)),
    (Trigger.FAIL, (SYSTEM,), {"live": (ProviderName.BANK, PaymentState.UNKNOWN)}, (FAILED, Effect.RELEASE)),
    # Timing out.
    (Trigger.TIME_OUT, (PROCESSING,), {"pay_by": NOW}, (TIME_OUT, Effect.RELEASE)),
    (Trigger.TIME_OUT, (PROCESSING,), {"pay_by": NOW - timedelta(days=9)}, (TIME_OUT, Effect.RELEASE)),
    (Trigger.TIME_OUT, (PROCESSING,), {"pay_by": None}, "its time to pay is not over"),
    (Trigger.TIME_OUT, (PROCESSING,), {"pay_by": NOW, "live": STRIPE_UNKNOWN}, UNKNOWN),
    # Ordering again needs people; history has them or not.
    (Trigger.AGAIN, (FAILED, TIME_OUT, CANCEL), {"lines": 0}, "it does not say for whom it was"),
    (Trigger.AGAIN, (FAILED, TIME_OUT, CANCEL), {"history": True}, (STAYS, Effect.ORDER)),
    (Trigger.AGAIN, (FAILED, TIME_OUT, CANCEL), {"unapplied": (eur(1190),)}, (STAYS, Effect.ORDER)),
    # Cancelling.
    (Trigger.CANCEL, (FAILED,), {"history": True}, HISTORY),
    (Trigger.CANCEL, (PROCESSING, FAILED), {"live": STRIPE_UNKNOWN}, UNKNOWN),
    (Trigger.CANCEL, (PROCESSING, FAILED), {"unapplied": (eur(1),)}, (CANCEL, Effect.RELEASE)),
    # Applying what waits.
    (Trigger.APPLY, (FAILED, TIME_OUT, CANCEL), {"unapplied": (eur(1190),)}, LATE),
    (Trigger.APPLY, (FAILED, TIME_OUT, CANCEL), {"unapplied": (eur(1), eur(1190)), "pay_by": None}, LATE),
    (
        Trigger.APPLY,
        (FAILED, TIME_OUT, CANCEL),
        {"unapplied": (eur(1189), eur(1))},
        "the money that waits is not EUR 11.90",
    ),
    (Trigger.APPLY, (FAILED, TIME_OUT, CANCEL), {"unapplied": (eur(1190),), "history": True}, HISTORY),
    (Trigger.APPLY, (FAILED, TIME_OUT, CANCEL), {"unapplied": (eur(1190),), "deleted": True}, DELETED),
    (
        Trigger.APPLY,
        (FAILED, TIME_OUT, CANCEL),
        {"unapplied": (eur(1190),), "objections": ("u1 is away",)},
        "u1 is away",
    ),
    (Trigger.APPLY, (FAILED, TIME_OUT, CANCEL), {"unapplied": (eur(1190),), "held_by": ("77",)}, HELD),
    (
        Trigger.APPLY,
        (FAILED, TIME_OUT, CANCEL),
        {"unapplied": (Money(1190, "USD"),)},
        "the money that waits is not EUR 11.90",
    ),
    (Trigger.APPLY, (FAILED, TIME_OUT, CANCEL), {"unapplied": (eur(1190),), "refunding": True}, GOING_BACK),
    # A link is opened where the order could be paid, and costs something.
    (Trigger.LINK, (PROCESSING, FAILED), {"history": True}, HISTORY),
    (Trigger.LINK, (FAILED,), {"deleted": True}, DELETED),
    (Trigger.LINK, (PROCESSING, FAILED), {"pay_by": NOW}, OVER),
    (Trigger.LINK, (PROCESSING, FAILED), {"live": STRIPE_UNKNOWN}, UNKNOWN),
    (Trigger.LINK, (PROCESSING, FAILED), {"objections": ("u1 is away",)}, "u1 is away"),
    (Trigger.LINK, (PROCESSING, FAILED), {"held_by": ("77",)}, HELD),
    (Trigger.LINK, (PROCESSING, FAILED), {"total": eur(0)}, "it costs nothing"),
    # Money that arrived is applied where it can be, and else recorded: it is never refused.
    (Trigger.ARRIVE, (PROCESSING, SYSTEM), {"money": eur(1190), "pay_by": NOW}, SETTLED),
    (Trigger.ARRIVE, ANY, {"live": STRIPE_UNKNOWN}, RECORDED),
    (Trigger.ARRIVE, (FAILED,), {"pay_by": NOW}, LATE),
    (Trigger.ARRIVE, (PROCESSING, SUCCEED, FAILED, TIME_OUT, CANCEL), {"money": eur(1189)}, RECORDED),
    (Trigger.ARRIVE, (SYSTEM,), {"money": eur(1189)}, (PROCESSING, Effect.RECORD)),
    (Trigger.ARRIVE, (PROCESSING, SUCCEED, FAILED, TIME_OUT, CANCEL), {"money": Money(1190, "USD")}, RECORDED),
    (Trigger.ARRIVE, (SYSTEM,), {"money": Money(1190, "USD")}, (PROCESSING, Effect.RECORD)),
    (Trigger.ARRIVE, (PROCESSING, SUCCEED, FAILED, TIME_OUT, CANCEL), {"history": True}, RECORDED),
    (Trigger.ARRIVE, (SYSTEM,), {"history": True}, (PROCESSING, Effect.RECORD)),
    (Trigger.ARRIVE, (PROCESSING, SUCCEED, FAILED, TIME_OUT, CANCEL), {"deleted": True}, RECORDED),
    (Trigger.ARRIVE, (SYSTEM,), {"deleted": True}, (PROCESSING, Effect.RECORD)),
    (Trigger.ARRIVE, (PROCESSING, SUCCEED, FAILED, TIME_OUT, CANCEL), {"objections": ("u1 is away",)}, RECORDED),
    (Trigger.ARRIVE, (SYSTEM,), {"objections": ("u1 is away",)}, (PROCESSING, Effect.RECORD)),
    (Trigger.ARRIVE, (PROCESSING, SUCCEED, FAILED, TIME_OUT, CANCEL), {"held_by": ("77",)}, RECORDED),
    (Trigger.ARRIVE, (SYSTEM,), {"held_by": ("77",)}, (PROCESSING, Effect.RECORD)),
    # Paying back what waits, and what a credit note still owes.
    (Trigger.REFUND, ANY, {"unapplied": (eur(1),)}, (STAYS, Effect.PAY_BACK)),
    (Trigger.REFUND, ANY, {"owed": (eur(1),), "deleted": True}, (STAYS, Effect.PAY_BACK)),
    (Trigger.REFUND, ANY, {"unapplied": (eur(1),), "refunding": True}, GOING_BACK),
    (Trigger.REFUND, ANY, {"refunding": True}, GOING_BACK),
    # Taking back.
    (Trigger.CREDIT, (SUCCEED,), {"history": True}, "it is imported history, which has no invoice of ours"),
    (Trigger.CREDIT, (SUCCEED,), {"deleted": True}, DELETED),
    (Trigger.CREDIT, (SUCCEED,), {"lines": 2, "credited": 1}, (STAYS, Effect.CREDIT)),
    (Trigger.CREDIT, (SUCCEED,), {"lines": 2, "credited": 2}, "all of it was taken back"),
    (Trigger.CREDIT, (SUCCEED,), {"lines": 2, "held_by": ("77",), "held": 2}, HELD),
    (Trigger.CREDIT, (SUCCEED,), {"lines": 2, "held_by": ("77",), "held": 1}, (STAYS, Effect.CREDIT)),
    (Trigger.CREDIT, (SUCCEED,), {"lines": 2, "credited": 1, "held_by": ("77",), "held": 1}, HELD),
    (Trigger.CREDIT, (SUCCEED,), {"refunding": True}, GOING_BACK),
    # Deleting and restoring.
    (Trigger.DELETE, (PROCESSING,), {"live": STRIPE_UNKNOWN}, UNKNOWN),
    (Trigger.DELETE, (PROCESSING, SUCCEED, FAILED, TIME_OUT, CANCEL), {"unapplied": (eur(1),)}, WAITS),
    (Trigger.DELETE, (SUCCEED, FAILED, TIME_OUT, CANCEL), {"deleted": True}, DELETED),
    (Trigger.DELETE, (SUCCEED, FAILED, TIME_OUT, CANCEL), {"history": True}, (STAYS, Effect.HIDE)),
    (Trigger.RESTORE, (SUCCEED, FAILED, TIME_OUT, CANCEL), {"deleted": True}, (STAYS, Effect.SHOW)),
    (Trigger.RESTORE, (SUCCEED,), {"deleted": True, "history": True, "unapplied": (eur(1),)}, (STAYS, Effect.SHOW)),
]


@pytest.mark.parametrize(
    ("trigger", "status", "facts", "expected"),
    [
        pytest.param(trigger, status, facts, expected, id=f"{trigger.value}-{status.value}-{','.join(facts)}")
        for trigger, statuses, facts, expected in GUARDS
        for status in statuses
    ],
)
def test_each_guard_by_itself(
    trigger: Trigger, status: OrderStatus, facts: dict[str, Any], expected: Outcome | str
) -> None:
    check(trigger, replace(PLAIN, status=status, **facts), expected)


@pytest.mark.parametrize(
    ("status", "facts", "expected"),
    [
        (PROCESSING, {"money": eur(1100)}, WRONG),
        (PROCESSING, {"live": STRIPE_UNKNOWN}, UNKNOWN),
        (SYSTEM, {"objections": ("u1 is away",)}, "u1 is away"),
        (TIME_OUT, {"held_by": ("77",)}, HELD),
        (FAILED, {"pay_by": NOW, "deleted": True}, DELETED),
        (CANCEL, {}, "it is Cancel"),
        (SUCCEED, {"second": True}, "it is Succeed"),
    ],
)
def test_why_money_could_only_be_recorded_is_said(status: OrderStatus, facts: dict[str, Any], expected: str) -> None:
    assert why_not_settled(Trigger.CONFIRM, replace(PLAIN, status=status, **facts)) == expected


def test_no_row_leads_out_of_succeed() -> None:
    assert all(row.target is None for row in TABLE if SUCCEED in row.sources)


def test_only_a_link_and_what_a_provider_says_lead_to_an_open_status() -> None:
    assert {(row.trigger, row.target) for row in TABLE if row.target is not None and row.target.is_open} == {
        (Trigger.LINK, PROCESSING),
        (Trigger.UNDER_WAY, SYSTEM),
        (Trigger.NOT_TAKEN, PROCESSING),
        (Trigger.ARRIVE, PROCESSING),  # beside money that can only be recorded
        (Trigger.CONFIRM, PROCESSING),
    }


def test_every_settling_row_needs_the_lines_valid_and_nobody_held_elsewhere() -> None:
    settling = [row for row in TABLE if row.target is SUCCEED]
    assert settling
    for row in settling:
        for status in row.sources:
            # The best that can be for this row ...
            facts = replace(PLAIN, status=status, unapplied=(eur(1190),))
            for spoiled in ({"objections": ("x",)}, {"held_by": ("x",)}, {"history": True}, {"deleted": True}):
                # ... is not good enough with one of these.
                assert any(guard(replace(facts, **spoiled)) for guard in row.guards), (row, spoiled)
