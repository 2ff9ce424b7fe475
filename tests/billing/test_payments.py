"""Money: what is paid once, what waits, and that nothing of it is lost whatever happens to the order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from smartsub_tui.billing import details, orders, payments
from smartsub_tui.billing.changes import Change
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.orders import NewOrder
from smartsub_tui.billing.payments import BankTransfer, Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months, Until
from smartsub_tui.config import OrderSettings
from smartsub_tui.data import queries
from smartsub_tui.data.models import Invoice, Office, Order, Payment, Request, Subscription, User
from smartsub_tui.data.money import LARGEST, Money
from smartsub_tui.data.order_records import OrderDetails
from smartsub_tui.data.records import AdminRecord
from smartsub_tui.data.vocabulary import (
    LineAction,
    OrderStatus,
    OrderType,
    PaymentState,
    ProviderName,
    Role,
    Trigger,
)
from smartsub_tui.errors import NotFound, Refused, WrongUsage
from tests.support import (
    MONTH_PRICE,
    NOW,
    SETTINGS,
    TODAY,
    FixedClock,
    add_community,
    add_office,
    add_order,
    add_payment,
    add_people,
    add_prices,
    admin_record,
    claimed,
    dump,
    expiry,
    gross,
)

PROCESSING, SYSTEM, SUCCEED, FAILED, TIME_OUT, CANCEL = OrderStatus
SOON = date(2026, 12, 22)
LATER = date(2027, 1, 22)
TOTAL = gross(MONTH_PRICE)


@pytest.fixture
def office(session: Session) -> Office:
    """Oak House with u1 and u2, both until 22 December."""
    add_prices()
    made = add_office()
    add_people(made, "u1", "u2", expires_on=SOON)
    return made


@pytest.fixture
def number(session: Session, office: Office) -> str:
    """An order of one month for u1: 5.95 euro, to be paid within 24 hours."""
    return orders.renew(session, "Oak House", ["u1"], Months(1)).order.number


def order_of(number: str) -> Any:
    return Order.get(Order.number == number)


def now_is(session: Session, number: str) -> OrderDetails:
    return read_order(number, session.clock.now(), session.settings)


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.message


def subscription(key: str) -> Any:
    return Subscription.get(Subscription.user == User.get(User.key == key))


def remove(key: str) -> None:
    User.update(removed_on=TODAY).where(User.key == key).execute()


def under_way(office: Office, *keys: str, **options: Any) -> str:
    """A System Processing order, as an import leaves it."""
    return add_order(office, [subscription(key) for key in keys], SYSTEM, **options).number


def actions(session: Session, number: str) -> list[str]:
    return [event.action for event in now_is(session, number).events]


# Paying


def test_paying_extends_invoices_and_frees_in_one_go(session: Session, office: Office, number: str) -> None:
    paid = payments.pay(session, number, Manual(" R-1 "))
    assert paid.waiting is None
    order = paid.order
    assert (order.status, order.paid_at, order.status_since, order.late) == (SUCCEED, NOW, NOW, False)
    assert [(line.previous_expiry, line.new_expiry) for line in order.lines] == [(SOON, LATER)]
    assert expiry("u1") == LATER
    assert expiry("u2") == SOON
    assert claimed(number) == []
    assert order.invoice is not None
    assert (order.invoice.number, order.invoice.total) == ("INV-2026-000001", Money(TOTAL, "EUR"))
    (payment,) = order.payments
    assert (payment.provider, payment.state, payment.reference, payment.amount, payment.applied) == (
        ProviderName.MANUAL,
        PaymentState.SUCCEEDED,
        "R-1",
        Money(TOTAL, "EUR"),
        True,
    )
    assert order.unapplied == ()
    assert order.version == 2
    event = order.events[-1]
    assert (event.action, event.by, event.source, event.at) == ("pay", "manager", "cli", NOW)
    assert event.before == {"status": "processing"}
    assert event.after == {
        "status": "succeed",
        "amount": {"amount": TOTAL, "currency": "EUR"},
        "reference": "R-1",
        "invoice": "INV-2026-000001",
        "late": False,
    }


def test_nothing_is_paid_twice(session: Session, number: str) -> None:
    payments.pay(session, number, Manual("R-1"))
    before = dump(session.database)
    for paying in (Manual("R-1"), Manual("R-2"), Manual("R-3", 1), BankTransfer()):
        assert refused(lambda paying=paying: payments.pay(session, number, paying)) == (  # type: ignore[misc]
            f"order {number} cannot be paid: it is already paid"
        )
    assert "it is already paid" in refused(lambda: payments.confirm(session, number, Manual("R-2")))
    assert dump(session.database) == before


def test_it_can_be_paid_until_the_last_moment_and_not_at_it(session: Session, number: str, clock: FixedClock) -> None:
    clock.advance(timedelta(hours=24) - timedelta(microseconds=1))
    payments.pay(session, number, Manual("R"), dry_run=True)
    clock.advance(microseconds=1)
    assert "its time to pay is over" in refused(lambda: payments.pay(session, number, Manual("R")))
    assert order_of(number).status is TIME_OUT


@pytest.mark.parametrize("reference", ["", " ", "\n", "a\x00b", "a\u202eb", "x" * 501])
def test_money_needs_a_reference_that_can_be_read(session: Session, number: str, reference: str) -> None:
    before = dump(session.database)
    for call in (payments.pay, payments.confirm):
        with pytest.raises(WrongUsage, match="reference"):
            call(session, number, Manual(reference))
    assert dump(session.database) == before


def test_an_order_that_changed_since_it_was_looked_at_is_not_paid(session: Session, number: str) -> None:
    seen = now_is(session, number).version
    payments.pay(session, number, BankTransfer())
    calls: tuple[Callable[..., Any], ...] = (payments.pay, payments.confirm)
    for call in calls:
        message = refused(lambda call=call: call(session, number, Manual("R"), version=seen))  # type: ignore[misc]
        assert message == f"order {number} was changed by someone else meanwhile: look at it again"
    for close in (payments.cancel, payments.delete, payments.fail):
        assert "look at it again" in refused(lambda close=close: close(session, number, "x", version=seen))  # type: ignore[misc]
    assert "look at it again" in refused(lambda: payments.apply(session, number, version=seen))
    assert "look at it again" in refused(lambda: payments.restore(session, number, version=seen))
    payments.pay(session, number, Manual("R"), version=now_is(session, number).version)


def test_a_row_that_changed_under_the_hand_is_not_overwritten(session: Session, number: str) -> None:
    """The second fence, for engines where two transactions can have read the same row."""
    admin = AdminRecord(name="manager", role=Role.MANAGER, created_at=NOW, disabled_at=None)
    change = Change(NOW, admin, "cli", SETTINGS, None)
    mine, theirs = order_of(number), order_of(number)
    payments.move(theirs, change, status=CANCEL)
    assert "was changed by someone else" in refused(lambda: payments.move(mine, change, status=TIME_OUT))
    assert order_of(number).status is CANCEL


def test_the_base_is_that_of_the_payment_not_of_the_order(session: Session, office: Office, clock: FixedClock) -> None:
    """Ordered on its last day, paid the day after: it has lapsed, and counts from the payment."""
    subscription_of = subscription("u1")
    subscription_of.expires_on, subscription_of.anchor_day = TODAY, 22
    subscription_of.save()
    made = orders.renew(session, "Oak House", ["u1"], Months(1)).order
    assert made.lines[0].new_expiry == SOON
    clock.advance(hours=20)  # 06:00 of the 23rd in Berlin
    assert now_is(session, made.number).lines[0].new_expiry == date(2026, 12, 23)
    paid = payments.pay(session, made.number, Manual("R")).order
    assert paid.lines[0].new_expiry == expiry("u1") == date(2026, 12, 23)
    assert subscription("u1").anchor_day == 23


def test_an_activation_counts_from_the_day_it_is_paid_in_the_office_s_zone(session: Session, clock: FixedClock) -> None:
    add_prices()
    east = add_office("East", timezone="Pacific/Kiritimati")
    add_people(east, "e")
    add_people(add_office("West", timezone="Pacific/Pago_Pago"), "w")
    clock.advance(hours=1, minutes=30)
    for name in ("East", "West"):
        orders.activate(session, name, ["Sales"], paying=Manual("R"))
    assert expiry("e") == date(2026, 12, 23)
    assert expiry("w") == date(2026, 12, 21)
    found = subscription("e")
    assert (found.activated_on, found.anchor_day) == (date(2026, 11, 23), 23)
    assert (found.opening_activated_on, found.opening_expires_on, found.opening_anchor_day) == (None, None, None)


# An amount that is not the total


def test_another_amount_waits_and_the_order_can_still_be_paid(session: Session, number: str) -> None:
    paid = payments.pay(session, number, Manual("R-1", 400))
    assert paid.waiting == "EUR 4.00 came, the total is EUR 5.95"
    assert (paid.order.status, paid.order.unapplied) == (PROCESSING, (Money(400, "EUR"),))
    assert paid.order.version == 2
    assert expiry("u1") == SOON
    assert claimed(number) == ["u1"]
    assert paid.order.events[-1].after == {
        "amount": {"amount": 400, "currency": "EUR"},
        "reference": "R-1",
        "recorded": "EUR 4.00 came, the total is EUR 5.95",
    }
    settled = payments.pay(session, number, Manual("R-2")).order
    assert settled.status is SUCCEED
    assert settled.unapplied == (Money(400, "EUR"),)
    assert [payment.applied for payment in settled.payments] == [False, True]


def test_the_total_given_as_an_amount_is_the_total(session: Session, number: str) -> None:
    assert payments.pay(session, number, Manual("R", TOTAL)).order.status is SUCCEED


@pytest.mark.parametrize("amount", [-1, LARGEST + 1, 2**63])
def test_an_amount_that_cannot_be_is_refused(session: Session, number: str, amount: int) -> None:
    for call in (payments.pay, payments.confirm):
        with pytest.raises(WrongUsage, match=r"an amount is between 0 and EUR 10,000,000,000,000\.00"):
            call(session, number, Manual("R", amount))


def test_no_money_is_nothing_to_record(session: Session, number: str) -> None:
    before = dump(session.database)
    for call in (payments.pay, payments.confirm):
        assert "no money came that could wait" in refused(
            lambda call=call: call(session, number, Manual("R", 0))  # type: ignore[misc]
        )
    assert dump(session.database) == before


def test_the_same_money_is_not_recorded_twice(session: Session, number: str) -> None:
    payments.pay(session, number, Manual("R-1", 400))
    for call in (payments.pay, payments.confirm):
        message = refused(lambda call=call: call(session, number, Manual(" R-1", 400)))  # type: ignore[misc]
        assert message == (
            f"EUR 4.00 with reference R-1 is already recorded for order {number}: if more came, give its own reference"
        )
    payments.pay(session, number, Manual("R-1", 300))
    payments.pay(session, number, Manual("R-2", 400))
    assert sorted(money.amount for money in now_is(session, number).unapplied) == [300, 400, 400]


def test_the_same_reference_for_another_order_is_other_money(session: Session, office: Office, number: str) -> None:
    other = orders.renew(session, "Oak House", ["u2"], Months(1)).order.number
    assert payments.pay(session, number, Manual("R")).order.status is SUCCEED
    assert payments.pay(session, other, Manual("R")).order.status is SUCCEED


# Bank transfer


def test_bank_transfer_gives_more_time_once(session: Session, number: str, clock: FixedClock) -> None:
    clock.advance(hours=5)
    chosen = payments.pay(session, number, BankTransfer())
    assert chosen.waiting is None
    assert (chosen.order.status, chosen.order.payments) == (PROCESSING, ())
    assert chosen.order.pay_by == NOW + timedelta(days=14)
    assert chosen.order.events[-1].after == {"pay_by": "2026-12-06T09:00:00Z"}
    clock.advance(days=1)
    before = dump(session.database)
    payments.pay(session, number, BankTransfer())
    assert dump(session.database) == before
    paid = payments.pay(session, number, Manual("R")).order
    assert paid.status is SUCCEED
    assert paid.payments[0].provider is ProviderName.BANK


def test_bank_transfer_never_shortens_the_time(session: Session, office: Office) -> None:
    patient = replace(session, settings=replace(SETTINGS, orders=OrderSettings(pay_within=timedelta(days=30))))
    made = orders.renew(patient, "Oak House", ["u1"], Months(1)).order
    assert payments.pay(patient, made.number, BankTransfer()).order.pay_by == NOW + timedelta(days=30)


def test_bank_transfer_is_refused_where_paying_is(session: Session, number: str, clock: FixedClock) -> None:
    clock.advance(hours=24)
    assert "its time to pay is over" in refused(lambda: payments.pay(session, number, BankTransfer()))


def test_money_by_bank_that_comes_after_its_time_is_confirmed(session: Session, number: str, clock: FixedClock) -> None:
    payments.pay(session, number, BankTransfer())
    clock.advance(days=14)
    assert "confirm it if the money came" in refused(lambda: payments.pay(session, number, Manual("R")))
    paid = payments.confirm(session, number, Manual("R")).order
    assert (paid.status, paid.late, paid.payments[0].provider) == (SUCCEED, True, ProviderName.BANK)


# Confirming


def test_confirming_in_time_is_paying(session: Session, number: str) -> None:
    paid = payments.confirm(session, number, Manual("R"))
    assert (paid.waiting, paid.order.status, paid.order.late) == (None, SUCCEED, False)
    assert actions(session, number) == ["create", "confirm"]


def test_late_money_is_applied_once_and_flagged_late(session: Session, number: str, clock: FixedClock) -> None:
    clock.advance(days=40)  # 1 January: the subscription has lapsed meanwhile
    paid = payments.confirm(session, number, Manual("R"))
    assert paid.waiting is None
    assert (paid.order.status, paid.order.late, paid.order.paid_at) == (SUCCEED, True, clock.now())
    assert expiry("u1") == date(2027, 2, 1)
    assert actions(session, number) == ["create", "time_out", "confirm"]
    before = dump(session.database)
    assert "already paid" in refused(lambda: payments.confirm(session, number, Manual("R")))
    assert "already paid" in refused(lambda: payments.apply(session, number))
    assert dump(session.database) == before


def test_late_money_waits_while_another_order_holds_the_people(
    session: Session, number: str, clock: FixedClock
) -> None:
    clock.advance(hours=25)
    other = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
    paid = payments.confirm(session, number, Manual("R"))
    assert paid.waiting == f"order {other} holds someone of it"
    assert (paid.order.status, paid.order.unapplied) == (TIME_OUT, (Money(TOTAL, "EUR"),))
    assert expiry("u1") == SOON
    assert refused(lambda: payments.apply(session, number)) == (
        f"order {number} cannot take the waiting money: order {other} holds someone of it"
    )
    payments.cancel(session, other, "the first was paid")
    applied = payments.apply(session, number)
    assert (applied.waiting, applied.order.status, applied.order.late) == (None, SUCCEED, True)
    assert expiry("u1") == LATER
    assert Payment.select().count() == 1
    assert Invoice.select().count() == 1


def test_money_for_a_cancelled_order_waits_until_it_is_applied(session: Session, number: str) -> None:
    payments.cancel(session, number, "wrong month")
    paid = payments.confirm(session, number, Manual("R"))
    assert paid.waiting == "it is Cancel"
    assert paid.order.status is CANCEL
    assert "money of it waits" in refused(lambda: payments.delete(session, number, "x"))
    applied = payments.apply(session, number).order
    assert (applied.status, applied.late, applied.unapplied) == (SUCCEED, True, ())
    assert expiry("u1") == LATER
    assert actions(session, number) == ["create", "cancel", "confirm", "apply"]
    payments.delete(session, number, "seen")


def test_money_that_was_under_way_and_cannot_be_applied_leaves_nothing_to_wait_for(
    session: Session, office: Office
) -> None:
    """The order waited for that payment: confirmed, it was over, and the order stayed System Processing for ever."""
    number = under_way(office, "u1")
    add_payment(order_of(number), PaymentState.PENDING)
    remove("u1")
    paid = payments.confirm(session, number, Manual("R"))
    assert paid.waiting == "u1 was removed on 2026-11-22"
    assert (paid.order.status, paid.order.unapplied) == (PROCESSING, (Money(TOTAL, "EUR"),))
    assert paid.order.events[-1].before == {"status": "system_processing"}


def test_money_for_a_removed_person_waits(session: Session, number: str) -> None:
    remove("u1")
    assert "u1 was removed on 2026-11-22" in refused(lambda: payments.pay(session, number, Manual("R")))
    paid = payments.confirm(session, number, Manual("R"))
    assert paid.waiting == "u1 was removed on 2026-11-22"
    assert paid.order.status is PROCESSING
    payments.cancel(session, number, "x")
    assert "u1 was removed" in refused(lambda: payments.apply(session, number))
    assert now_is(session, number).unapplied == (Money(TOTAL, "EUR"),)


def test_money_for_a_deleted_order_waits_until_it_is_restored(session: Session, number: str, clock: FixedClock) -> None:
    clock.advance(hours=24)
    payments.delete(session, number, "old")
    paid = payments.confirm(session, number, Manual("R"))
    assert paid.waiting == "it is deleted: restore it first"
    assert paid.order.deleted
    assert "it is deleted: restore it first" in refused(lambda: payments.apply(session, number))
    payments.restore(session, number)
    assert payments.apply(session, number).order.status is SUCCEED


def test_a_wrong_amount_that_waits_is_not_applied(session: Session, number: str) -> None:
    payments.cancel(session, number, "x")
    payments.confirm(session, number, Manual("R-1", 1))
    assert "the money that waits is not EUR 5.95" in refused(lambda: payments.apply(session, number))
    payments.confirm(session, number, Manual("R-2"))
    payments.confirm(session, number, Manual("R-3"))
    applied = payments.apply(session, number).order
    assert [(payment.reference, payment.applied) for payment in applied.payments] == [
        ("R-1", False),
        ("R-2", True),
        ("R-3", False),
    ]
    assert applied.unapplied == (Money(1, "EUR"), Money(TOTAL, "EUR"))


def test_money_for_a_date_that_has_passed_waits(session: Session, clock: FixedClock) -> None:
    add_prices()
    community = add_community()
    add_people(community, "c1", expires_on=date(2026, 11, 1))
    order = orders.renew(session, "Elm Court", ["c1"], Until(date(2026, 11, 24))).order.number
    clock.advance(days=2)
    paid = payments.confirm(session, order, Manual("R"))
    assert paid.waiting == "c1 2026-11-24 is not later than today"
    assert expiry("c1") == date(2026, 11, 1)


def test_second_money_of_a_paid_order_waits(session: Session, number: str) -> None:
    assert "no money can be its second" in refused(
        lambda: payments.confirm(session, number, Manual("R-1"), second=True)
    )
    payments.pay(session, number, Manual("R-1"))
    assert "(--second)" in refused(lambda: payments.confirm(session, number, Manual("R-2")))
    second = payments.confirm(session, number, Manual("R-2"), second=True)
    assert second.waiting == "it is Succeed"
    assert second.order.unapplied == (Money(TOTAL, "EUR"),)
    assert expiry("u1") == LATER
    assert Invoice.select().count() == 1
    assert "already recorded" in refused(lambda: payments.confirm(session, number, Manual("R-2"), second=True))
    assert "already recorded" in refused(lambda: payments.confirm(session, number, Manual("R-1"), second=True))
    assert "money of it waits" in refused(lambda: payments.delete(session, number, "x"))


def test_imported_history_takes_no_money(session: Session, office: Office) -> None:
    for status in (SUCCEED, FAILED, TIME_OUT, CANCEL):
        history = add_order(office, [subscription("u1")], status, history=True).number
        before = dump(session.database)
        for second in (False, True):
            assert "it is imported history: order again" in refused(
                lambda number=history, second=second: payments.confirm(session, number, Manual("R"), second=second)  # type: ignore[misc]
            )
        with pytest.raises(Refused):
            payments.pay(session, history, Manual("R"))
        with pytest.raises(Refused):
            payments.apply(session, history)
        assert dump(session.database) == before


# System Processing


def test_confirming_settles_the_payment_of_unknown_outcome_itself(session: Session, office: Office) -> None:
    number = under_way(office, "u1")
    add_payment(order_of(number), PaymentState.UNKNOWN)
    paid = payments.confirm(session, number, Manual("bank statement 7")).order
    assert (paid.status, paid.late) == (SUCCEED, False)
    (payment,) = paid.payments
    assert (payment.provider, payment.state, payment.reference, payment.applied) == (
        ProviderName.STRIPE,
        PaymentState.SUCCEEDED,
        "bank statement 7",
        True,
    )


def test_another_amount_is_not_the_money_of_unknown_outcome(session: Session, office: Office) -> None:
    number = under_way(office, "u1")
    add_payment(order_of(number), PaymentState.UNKNOWN)
    paid = payments.confirm(session, number, Manual("R", 100))
    assert paid.waiting == "EUR 1.00 came, the total is EUR 5.95"
    assert paid.order.status is SYSTEM
    assert [(payment.provider, payment.state) for payment in paid.order.payments] == [
        (ProviderName.STRIPE, PaymentState.UNKNOWN),
        (ProviderName.MANUAL, PaymentState.SUCCEEDED),
    ]
    assert payments.confirm(session, number, Manual("R")).order.status is SUCCEED


def test_money_beside_an_open_link_is_other_money(session: Session, number: str) -> None:
    """The link can still be paid: what came by hand must not be taken for its payment."""
    add_payment(order_of(number), PaymentState.SENT)
    assert "a payment through Stripe is under way (link open)" in refused(
        lambda: payments.pay(session, number, Manual("R"))
    )
    paid = payments.confirm(session, number, Manual("R"))
    assert paid.waiting == "a payment through Stripe is under way (link open)"
    assert [(payment.provider, payment.state) for payment in paid.order.payments] == [
        (ProviderName.STRIPE, PaymentState.SENT),
        (ProviderName.MANUAL, PaymentState.SUCCEEDED),
    ]
    assert paid.order.unapplied == (Money(TOTAL, "EUR"),)


def test_it_does_not_fail_while_an_outside_outcome_is_unknown(session: Session, office: Office) -> None:
    number = under_way(office, "u1")
    payment = add_payment(order_of(number), PaymentState.UNKNOWN)
    assert "what Stripe did with the payment is unknown" in refused(lambda: payments.fail(session, number, "x"))
    payment.state = PaymentState.DECLINED
    payment.save()
    assert payments.fail(session, number, "declined").status is FAILED


def test_system_processing_does_not_time_out(session: Session, office: Office, clock: FixedClock) -> None:
    number = under_way(office, "u1")
    clock.advance(days=400)
    other = orders.renew(session, "Oak House", ["u2"], Months(1)).order
    assert order_of(number).status is SYSTEM
    assert claimed(number) == ["u1"]
    assert payments.confirm(session, number, Manual("R")).order.late is False
    assert other.status is PROCESSING


@pytest.mark.parametrize("call", [payments.cancel, payments.delete])
def test_money_in_flight_is_not_cancelled_nor_hidden(
    session: Session, office: Office, call: Callable[..., OrderDetails]
) -> None:
    number = under_way(office, "u1")
    assert "money is in flight" in refused(lambda: call(session, number, "x"))


def test_an_imported_order_of_several_people_is_settled_as_it_is_priced(session: Session, office: Office) -> None:
    number = under_way(office, "u1", "u2", months=3, amount=777)
    paid = payments.confirm(session, number, Manual("R")).order
    assert paid.total == Money(gross(2 * 777), "EUR")
    assert expiry("u1") == expiry("u2") == date(2027, 3, 22)
    assert [line.amount for line in paid.lines] == [Money(777, "EUR")] * 2


def test_an_imported_activation_activates_for_its_term(session: Session, office: Office) -> None:
    (inactive,) = add_people(office, "i1")
    order = add_order(office, [inactive], SYSTEM, type=OrderType.ACTIVATION, months=None, first_term_months=2)
    payments.confirm(session, order.number, Manual("R"))
    assert expiry("i1") == LATER


# Failed


def failed(session: Session, office: Office, *keys: str) -> str:
    number = under_way(office, *keys)
    payments.fail(session, number, "declined by the bank")
    return number


def test_failing_frees_the_people(session: Session, office: Office) -> None:
    number = failed(session, office, "u1")
    found = now_is(session, number)
    assert (found.status, found.events[-1].reason) == (FAILED, "declined by the bank")
    assert claimed(number) == []
    assert (found.events[-1].before, found.events[-1].after) == ({"status": "system_processing"}, {"status": "failed"})


def test_a_failed_order_is_paid_again_in_its_time(session: Session, office: Office, clock: FixedClock) -> None:
    number = failed(session, office, "u1")
    clock.advance(hours=23)
    paid = payments.pay(session, number, Manual("R")).order
    assert (paid.status, paid.late) == (SUCCEED, False)
    assert expiry("u1") == LATER


def test_a_failed_order_is_not_paid_after_its_time_but_may_be_confirmed(
    session: Session, office: Office, clock: FixedClock
) -> None:
    number = failed(session, office, "u1")
    clock.advance(hours=24)
    assert "its time to pay is over" in refused(lambda: payments.pay(session, number, Manual("R")))
    assert order_of(number).status is FAILED
    paid = payments.confirm(session, number, Manual("R")).order
    assert (paid.status, paid.late) == (SUCCEED, True)


def test_a_failed_order_is_not_paid_while_another_holds_its_people(session: Session, office: Office) -> None:
    number = failed(session, office, "u1", "u2")
    other = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
    assert f"order {other} holds someone of it" in refused(lambda: payments.pay(session, number, Manual("R")))
    assert f"order {other} holds someone of it" in refused(lambda: payments.pay(session, number, BankTransfer()))
    paid = payments.confirm(session, number, Manual("R"))
    assert paid.waiting == f"order {other} holds someone of it"
    payments.pay(session, other, Manual("R"))
    payments.apply(session, number)
    assert (expiry("u1"), expiry("u2")) == (date(2027, 2, 22), LATER)


def test_a_failed_order_by_bank_has_more_time(session: Session, office: Office) -> None:
    number = failed(session, office, "u1")
    chosen = payments.pay(session, number, BankTransfer()).order
    assert (chosen.status, chosen.pay_by) == (FAILED, NOW + timedelta(days=14))
    assert claimed(number) == []


def test_a_failed_order_that_is_deleted_is_not_paid(session: Session, office: Office) -> None:
    number = failed(session, office, "u1")
    payments.delete(session, number, "x")
    assert "it is deleted: restore it first" in refused(lambda: payments.pay(session, number, Manual("R")))
    payments.restore(session, number)
    assert payments.pay(session, number, Manual("R")).order.status is SUCCEED


# Cancel, delete, restore


def test_cancelling_says_why_and_frees_the_people(session: Session, number: str) -> None:
    found = payments.cancel(session, number, "  wrong month ")
    assert (found.status, found.paid_at, found.status_since) == (CANCEL, None, NOW)
    event = found.events[-1]
    assert (event.action, event.reason, event.before, event.after) == (
        "cancel",
        "wrong month",
        {"status": "processing"},
        {"status": "cancel"},
    )
    assert claimed(number) == []
    assert expiry("u1") == SOON


def test_deleting_hides_and_cancels_what_could_be_paid(session: Session, number: str) -> None:
    found = payments.delete(session, number, "test order")
    assert (found.status, found.deleted) == (CANCEL, True)
    assert claimed(number) == []
    assert (found.events[-1].before, found.events[-1].after) == (
        {"status": "processing", "deleted": False},
        {"status": "cancel", "deleted": True},
    )
    back = payments.restore(session, number)
    assert (back.status, back.deleted) == (CANCEL, False)
    assert back.events[-1].after == {"deleted": False}
    assert back.events[-1].reason is None
    assert actions(session, number) == ["create", "delete", "restore"]
    assert "it is not deleted" in refused(lambda: payments.restore(session, number))


def test_a_paid_order_that_is_deleted_keeps_everything(session: Session, number: str, clock: FixedClock) -> None:
    paid = payments.pay(session, number, Manual("R")).order
    clock.advance(hours=1)
    found = payments.delete(session, number, "x")
    assert found.deleted
    assert found.status_since == NOW  # hiding is no change of status
    assert (found.status, found.invoice, found.payments, found.lines) == (
        paid.status,
        paid.invoice,
        paid.payments,
        paid.lines,
    )
    assert found.events[:-1] == paid.events
    assert expiry("u1") == LATER
    assert "it is deleted: restore it first" in refused(lambda: payments.delete(session, number, "x"))


def test_history_can_be_hidden_and_brought_back(session: Session, office: Office) -> None:
    number = add_order(office, [], SUCCEED, history=True).number
    assert payments.delete(session, number, "x").deleted
    assert not payments.restore(session, number).deleted


@pytest.mark.parametrize("reason", ["", "  ", "a\tb", "\u2066", "x" * 501])
@pytest.mark.parametrize("close", [payments.fail, payments.cancel, payments.delete])
def test_a_reason_is_needed_and_harmless(
    session: Session, number: str, close: Callable[..., OrderDetails], reason: str
) -> None:
    before = dump(session.database)
    with pytest.raises(WrongUsage, match="reason"):
        close(session, number, reason)
    assert dump(session.database) == before


# Orders that cost nothing, as only an import makes them


def test_an_order_of_nothing_is_paid_without_money(session: Session, office: Office) -> None:
    order = add_order(office, [subscription("u1")], PROCESSING, amount=0)
    paid = payments.pay(session, order.number, Manual("")).order
    assert (paid.status, paid.payments) == (SUCCEED, ())
    assert paid.events[-1].after == {
        "status": "succeed",
        "amount": {"amount": 0, "currency": "EUR"},
        "invoice": "INV-2026-000001",
        "late": False,
    }
    assert expiry("u1") == LATER
    assert "no money came that could wait" in refused(
        lambda: payments.confirm(session, order.number, Manual(""), second=True)
    )


def test_money_for_an_order_of_nothing_waits_and_needs_a_reference(session: Session, office: Office) -> None:
    order = add_order(office, [subscription("u1")], PROCESSING, amount=0)
    with pytest.raises(WrongUsage, match="reference"):
        payments.pay(session, order.number, Manual("", 5))
    paid = payments.pay(session, order.number, Manual("R", 5))
    assert paid.waiting == "EUR 0.05 came, the total is EUR 0.00"
    assert payments.pay(session, order.number, Manual("R")).order.status is SUCCEED


# Every write: dry runs, repeated requests, what is not there

WRITES: dict[str, tuple[OrderStatus, Callable[..., Any]]] = {
    "pay": (PROCESSING, lambda session, number, **options: payments.pay(session, number, Manual("R"), **options)),
    "bank": (PROCESSING, lambda session, number, **options: payments.pay(session, number, BankTransfer(), **options)),
    "confirm": (SYSTEM, lambda session, number, **options: payments.confirm(session, number, Manual("R"), **options)),
    "record": (CANCEL, lambda session, number, **options: payments.confirm(session, number, Manual("Z"), **options)),
    "fail": (SYSTEM, lambda session, number, **options: payments.fail(session, number, "x", **options)),
    "cancel": (PROCESSING, lambda session, number, **options: payments.cancel(session, number, "x", **options)),
    "apply": (CANCEL, lambda session, number, **options: payments.apply(session, number, **options)),
    "delete": (PROCESSING, lambda session, number, **options: payments.delete(session, number, "x", **options)),
    "again": (CANCEL, lambda session, number, **options: orders.again(session, number, **options)),
}


def prepared(session: Session, office: Office, status: OrderStatus) -> str:
    order = add_order(office, [subscription("u1")], status)
    if status is CANCEL:
        add_payment(order, PaymentState.SUCCEEDED, ProviderName.MANUAL, reference="R")
    return order.number


@pytest.mark.parametrize("name", WRITES)
def test_a_dry_run_shows_what_then_is_done(session: Session, office: Office, name: str) -> None:
    status, write = WRITES[name]
    number = prepared(session, office, status)
    before = dump(session.database)
    shown = write(session, number, dry_run=True, request_id="r")
    assert dump(session.database) == before
    done = write(session, number, request_id="r")
    if isinstance(done, NewOrder):
        done = replace(done, order=replace(done.order, pk=shown.order.pk))  # a row id that was drawn is gone
    assert done == shown
    assert dump(session.database) != before


@pytest.mark.parametrize("name", WRITES)
def test_a_repeated_request_is_done_once(session: Session, office: Office, name: str, clock: FixedClock) -> None:
    status, write = WRITES[name]
    number = prepared(session, office, status)
    first = write(session, number, request_id="r")
    before = dump(session.database)
    clock.advance(hours=1)
    assert write(session, number, request_id="r") == first
    assert dump(session.database) == before
    assert {row.id: row.admin for row in Request.select()} == {"r": "manager"}
    other = next(each for each in WRITES if each != name)
    assert "was used for something else" in refused(lambda: WRITES[other][1](session, number, request_id="r"))


@pytest.mark.parametrize("name", WRITES)
def test_a_refusal_stores_nothing(session: Session, office: Office, name: str) -> None:
    _, write = WRITES[name]
    history = name == "record"
    order = add_order(office, [subscription("u1")], SUCCEED, history=history)
    add_payment(order, PaymentState.SUCCEEDED, ProviderName.MANUAL, amount=1)
    before = dump(session.database)
    refused(lambda: write(session, order.number, request_id="r"))
    assert dump(session.database) == before


@pytest.mark.parametrize("name", WRITES)
def test_an_unknown_order_is_not_found(session: Session, office: Office, name: str) -> None:
    _, write = WRITES[name]
    with pytest.raises(NotFound, match="no order has the number 123"):
        write(session, "123")


@pytest.mark.parametrize("name", WRITES)
def test_every_write_leaves_one_event_of_its_order(session: Session, office: Office, name: str) -> None:
    status, write = WRITES[name]
    number = prepared(session, office, status)
    write(session, number, request_id="r")
    order = order_of(number)
    assert [event.action for event in order.events] == [{"record": "confirm"}.get(name, name)]
    assert [event.request_id for event in order.events] == ["r"]
    assert order.version == (1 if name == "again" else 2)


# What a screen offers


def offered(number: str, role: Role = Role.MANAGER) -> dict[Trigger, str]:
    return {each.trigger: each.reason for each in payments.offers(number, admin_record(role), NOW)}


def test_what_is_offered_is_what_the_table_allows(session: Session, number: str) -> None:
    found = offered(number)
    assert set(found) == {trigger for trigger in Trigger if trigger.is_offered}
    assert {trigger for trigger, reason in found.items() if not reason} == {
        Trigger.PAY,
        Trigger.CONFIRM,
        Trigger.CANCEL,
        Trigger.DELETE,
    }
    assert found[Trigger.AGAIN] == "it can still be paid"
    assert all(each.possible is (not each.reason) for each in payments.offers(number, admin_record(Role.MANAGER), NOW))


def test_what_the_role_may_not_is_said_after_what_the_order_does_not_allow(session: Session, number: str) -> None:
    assert offered(number, Role.OPERATOR)[Trigger.CANCEL] == "an operator may not"
    assert offered(number, Role.VIEWER)[Trigger.PAY] == "a viewer may not"
    assert offered(number, Role.VIEWER)[Trigger.AGAIN] == "it can still be paid"


def test_what_many_are_offered_is_what_each_is(session: Session, number: str) -> None:
    payments.cancel(session, number, "twice")
    again = orders.again(session, number).order.number
    for role in (Role.MANAGER, Role.OPERATOR, Role.VIEWER):
        found = payments.offers_of([number, again, "not there"], admin_record(role), NOW)
        assert found == {
            each: tuple(trigger for trigger, reason in offered(each, role).items() if not reason)
            for each in (number, again)
        }
    assert Trigger.PAY in payments.offers_of([again], admin_record(Role.MANAGER), NOW)[again]


def test_a_list_offers_what_needs_no_look_at_lines(session: Session, number: str) -> None:
    def here() -> tuple[Trigger, ...]:
        return payments.offers_in_list(queries.order_summaries([number], NOW)[number], NOW)

    assert here() == (Trigger.PAY, Trigger.DELETE)
    payments.cancel(session, number, "twice")
    assert here() == (Trigger.DELETE,)
    payments.delete(session, number, "twice")
    assert here() == (Trigger.RESTORE,)


def test_second_money_is_offered_on_a_paid_order(session: Session, number: str) -> None:
    payments.pay(session, number, Manual("R"))
    possible = {trigger for trigger, reason in offered(number).items() if not reason}
    assert possible == {Trigger.CONFIRM, Trigger.CREDIT, Trigger.DELETE}


@pytest.mark.parametrize("name", WRITES)
def test_what_is_offered_can_be_done_and_what_is_not_cannot(session: Session, office: Office, name: str) -> None:
    """For every write on an order of every status: the offer and the deed agree."""
    trigger = {"bank": Trigger.PAY, "record": Trigger.CONFIRM}.get(name) or Trigger(name)
    for status in OrderStatus:
        if trigger is Trigger.CONFIRM and status is SUCCEED:
            continue  # offered as second money, which is another argument
        number = add_order(office, [subscription("u1")], status).number
        if offered(number)[trigger]:
            refused(lambda number=number: WRITES[name][1](session, number, dry_run=True))  # type: ignore[misc]
        else:
            WRITES[name][1](session, number, dry_run=True)
        session.database.execute_sql("DELETE FROM claim")  # for the order of the next status


# What is shown of the lines


def test_the_lines_of_what_can_be_paid_show_the_dates_as_if_paid_today(
    session: Session, office: Office, clock: FixedClock
) -> None:
    number = failed(session, office, "u1")
    assert [(line.previous_expiry, line.new_expiry) for line in now_is(session, number).lines] == [(SOON, LATER)]
    payments.cancel(session, number, "x")
    assert [(line.previous_expiry, line.new_expiry) for line in now_is(session, number).lines] == [(None, None)]


def test_a_line_that_cannot_be_applied_shows_no_new_date(session: Session, office: Office, number: str) -> None:
    remove("u1")
    assert [(line.previous_expiry, line.new_expiry) for line in now_is(session, number).lines] == [(SOON, None)]


def test_lines_of_history_show_no_price_and_no_dates(session: Session, office: Office) -> None:
    number = add_order(office, [subscription("u1")], FAILED, history=True).number
    (line,) = now_is(session, number).lines
    assert (line.amount, line.previous_expiry, line.new_expiry) == (None, None, None)


def test_a_line_without_its_term_is_a_defect_that_is_named(session: Session, office: Office, number: str) -> None:
    order = order_of(number)
    for action in (LineAction.DAY, LineAction.ACTIVATION):
        with pytest.raises(ValueError, match=f"order {number} has a line of"):
            details.term_of(order, action)
