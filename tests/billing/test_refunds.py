"""Money that goes back: once, whoever stood still, was not answered, or was told something else meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from smartsub_tui.billing import credits, links, orders, payments, refunds
from smartsub_tui.billing.audit import sentence
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.providers import DEADLINE, Ended, No, PaidBack, PayBack, Talk, Unknown, step
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.filters import Moment, parse_orders
from smartsub_tui.data.models import AuditEvent, Payment, Refund, Subscription
from smartsub_tui.data.money import Money
from smartsub_tui.data.queries import search_orders
from smartsub_tui.data.vocabulary import PaymentState, RefundState
from smartsub_tui.errors import Refused
from tests.billing.paying import (
    LATER,
    PROCESSING,
    SOON,
    SUCCEED,
    check,
    check_settled,
    held,
    link_of,
    now_is,
    opened,
    settle_all,
    state_of_refund,
    states,
    swept,
    swept_later,
    waiting_money,
)
from tests.providers import Call, Fault, StripeServer, pay
from tests.support import (
    FixedClock,
    expiry,
)


@pytest.mark.parametrize(
    ("state", "age", "again"),
    [
        (RefundState.CREATED, timedelta(), False),
        (RefundState.CREATED, DEADLINE - timedelta(seconds=1), False),
        (RefundState.CREATED, DEADLINE, True),  # its first sender may have died
        (RefundState.UNKNOWN, timedelta(), True),
        (RefundState.PENDING, timedelta(), True),
    ],
)
def test_what_may_have_been_sent_before_is_looked_for_first(
    paying: Session,
    number: str,
    server: StripeServer,
    clock: FixedClock,
    state: RefundState,
    age: timedelta,
    again: bool,
) -> None:
    """Whoever began it is overtaken by a sweep of another process."""
    pay(link_of(opened(paying, number)))
    held(paying, links.ask_order(paying, number))
    talk = credits.credit(paying, number, "moved out")
    assert isinstance(step(paying.database, talk, None), PayBack)
    talk.close()
    Refund.update(state=state).execute()
    clock.advance(age)
    found = Refund.get()
    call = step(paying.database, refunds.pay_back(paying, found.id, found.created_at), None)
    assert isinstance(call, PayBack)
    assert call.back.again is again


def test_what_was_sent_under_the_same_request_is_looked_for_first(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    """Whoever sent it was killed before its answer was stored, and asks again; Stripe knows the key no more."""
    url = link_of(opened(paying, number))
    server.faults.plan(Call.PAY, Fault.WRONG_AMOUNT)
    pay(url)
    held(paying, links.ask_order(paying, number))
    talk = refunds.refund(paying, number, "too much", request_id="r")
    call = step(paying.database, talk, None)
    assert isinstance(call, PayBack)
    assert isinstance(call.put_to(paying.providers(call.provider)), PaidBack)
    talk.close()
    server.books.keys.forget_all()
    again = refunds.refund(paying, number, "too much", request_id="r")
    call = step(paying.database, again, None)
    assert isinstance(call, PayBack)
    assert call.back.again
    again.close()
    held(paying, refunds.refund(paying, number, "too much", request_id="r"))
    (found,) = Refund.select()
    assert found.state is RefundState.SUCCEEDED
    check_settled(paying, server)


@pytest.mark.parametrize("declined", [False, True])
def test_an_order_is_not_settled_by_money_that_is_going_back(
    paying: Session, number: str, server: StripeServer, declined: bool
) -> None:
    """Its amount was told wrong, it was paid back as such, and before that is done the right one is told."""
    pay(link_of(opened(paying, number)))
    server.faults.plan(Call.RETRIEVE, Fault.WRONG_AMOUNT)
    held(paying, links.ask_order(paying, number))
    talk = refunds.refund(paying, number, "not what was asked for")
    call = step(paying.database, talk, None)
    assert isinstance(call, PayBack)
    back = PaidBack(reference="re_1", amount=call.back.amount, under_way=True)
    assert isinstance(step(paying.database, talk, back), Ended)
    assert Refund.get().reference == "re_1"
    held(paying, links.ask(paying, Payment.get().id, scheduled=True))
    order = now_is(paying, number)
    assert (order.status, order.invoice, expiry("u1")) == (PROCESSING, None, SOON)
    assert Payment.get().contested  # a person has to look at the difference
    held(paying, links.ask(paying, Payment.get().id, scheduled=True))
    assert AuditEvent.select().where(AuditEvent.action == "contested").count() == 1
    if declined:
        # It was never to be had, so much: the money that is there pays the order.
        refunds.hear(paying, Refund.get().id, No("not so much"))
        swept_later(paying, 61)
        order = now_is(paying, number)
        assert (order.status, states(order), expiry("u1")) == (SUCCEED, [PaymentState.SUCCEEDED], LATER)
        assert order.payments[0].amount == order.total
        assert not Payment.get().contested
        check_settled(paying, server)
        return
    refunds.hear(paying, Refund.get().id, replace(back, under_way=False))
    assert states(now_is(paying, number)) == [PaymentState.REFUNDED]
    swept_later(paying, 61)
    assert Payment.get().contested


@pytest.mark.parametrize("call", [Call.REFUND, Call.REFUND_LIST])
@pytest.mark.parametrize("fault", [fault for fault in Fault if not fault.holds and fault is not Fault.FORGOTTEN_KEY])
def test_whatever_fails_money_goes_back_once(
    paying: Session, number: str, server: StripeServer, clock: FixedClock, call: Call, fault: Fault
) -> None:
    waiting_money(paying, number)
    server.faults.always(fault, call)
    held(paying, refunds.refund(paying, number, "why"))
    with contextlib.suppress(Refused):  # just being paid back, or found to be
        held(paying, refunds.refund(paying, number, "why"))
    server.faults.clear()
    server.books.keys.forget_all()
    settle_all(paying, clock)
    assert states(now_is(paying, number)) == [PaymentState.REFUNDED]
    (charge,) = server.books.paid()
    assert charge.amount_refunded == charge.amount
    assert len(server.books.refunds) == 1
    check_settled(paying, server)


def test_a_refund_that_is_declined_can_be_paid_out_by_hand(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    waiting_money(paying, number)
    server.key = "sk_test_another"
    held(paying, refunds.refund(paying, number, "why"))
    settle_all(paying, clock)
    order = now_is(paying, number)
    assert order.unapplied
    held(paying, refunds.refund(paying, number, "why", reference="cash, receipt 9"))
    order = now_is(paying, number)
    assert (order.unapplied, states(order)) == ((), [PaymentState.REFUNDED])
    assert server.books.refunds == {}


def declined_while_it_is_sent(session: Session, talk: Talk[Any]) -> PayBack:
    """A sweep whose clock is a day ahead takes it for never sent, just before it is."""
    call = step(session.database, talk, None)
    assert isinstance(call, PayBack)
    swept(a_day_ahead(session))
    assert state_of_refund() is RefundState.DECLINED
    return call


def a_day_ahead(session: Session) -> Session:
    clock = FixedClock(session.clock.now())
    clock.advance(hours=23, minutes=1)
    return replace(session, clock=clock)


def goes_on(session: Session, talk: Talk[Any], call: PayBack) -> None:
    answer = call.put_to(session.providers(call.provider))
    assert isinstance(answer, PaidBack)
    assert isinstance(step(session.database, talk, answer), Ended)


def stands_in(session: Session, mark: str) -> bool:
    return bool(search_orders(parse_orders(mark), Moment(session.clock.now(), "UTC")).rows)


@pytest.mark.parametrize("under_way", [False, True])
def test_what_was_called_declined_and_is_paid_back_after_all_is_not_owed(
    paying: Session, number: str, server: StripeServer, clock: FixedClock, under_way: bool
) -> None:
    pay(link_of(opened(paying, number)))
    held(paying, links.ask_order(paying, number))
    server.books.refunds_wait = under_way
    talk = credits.credit(paying, number, "moved out")
    call = declined_while_it_is_sent(paying, talk)
    assert stands_in(paying, "is:unapplied")
    goes_on(paying, talk, call)
    assert not stands_in(paying, "is:unapplied")
    assert state_of_refund() is (RefundState.PENDING if under_way else RefundState.SUCCEEDED)
    if under_way:
        (refund,) = server.books.refunds
        server.books.settle(refund, succeeded=True)
        settle_all(paying, clock)
    with pytest.raises(Refused, match="no money of it waits"):
        held(paying, refunds.refund(paying, number, "again", reference="by hand"))
    assert not stands_in(paying, "is:stuck")
    check_settled(paying, server)


def stays_unsent(session: Session, talk: Talk[Any], call: PayBack) -> None:
    answer = call.put_to(session.providers(call.provider))
    assert isinstance(answer, Unknown)
    assert "it was not sent" in answer.why
    assert isinstance(step(session.database, talk, answer), Ended)


def test_what_stood_still_until_another_gave_it_up_is_not_sent(
    paying: Session, server: StripeServer, clock: FixedClock
) -> None:
    """Half of the money, so that Stripe would pay it twice: once more under another key."""
    number = orders.renew(paying, "Oak House", ["u1", "u2"], Months(1)).order.number
    pay(link_of(opened(paying, number)))
    held(paying, links.ask_order(paying, number))
    talk = credits.credit(paying, number, "moved out", users=["u1"])
    call = step(paying.database, talk, None)
    assert isinstance(call, PayBack)
    clock.advance(hours=24)
    swept(paying)
    assert state_of_refund() is RefundState.DECLINED
    stays_unsent(paying, talk, call)
    assert server.books.refunds == {}
    held(paying, refunds.refund(paying, number, "again"))
    assert state_of_refund() is RefundState.SUCCEEDED
    assert len(server.books.refunds) == 1
    check_settled(paying, server)


def test_what_stood_still_until_another_sent_it_is_not_sent(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    waiting_money(paying, number)
    talk = refunds.refund(paying, number, "why")
    call = step(paying.database, talk, None)
    assert isinstance(call, PayBack)
    clock.advance(minutes=1)
    swept(paying)
    server.books.keys.forget_all()
    stays_unsent(paying, talk, call)
    assert state_of_refund() is RefundState.SUCCEEDED
    check_settled(paying, server)


@pytest.mark.parametrize("heard", [True, False])
def test_an_older_answer_that_a_refund_is_under_way_does_not_take_back_that_it_was_declined(
    paying: Session, number: str, server: StripeServer, heard: bool
) -> None:
    """Whoever had that answer stood still with it, before anybody heard it or behind that."""
    waiting_money(paying, number)
    server.books.refunds_wait = True
    talk = refunds.refund(paying, number, "why")
    if heard:
        held(paying, talk)
    else:
        call = step(paying.database, talk, None)
        assert isinstance(call, PayBack)
        call.put_to(paying.providers(call.provider))
    (refund,) = server.books.refunds
    older = PaidBack(reference=refund, amount=Money(595, "EUR"), under_way=True)
    server.books.settle(refund, succeeded=False)
    swept_later(paying, 1)
    assert state_of_refund() is RefundState.DECLINED
    paid_by_hand(paying, number)
    refunds.hear(paying, Refund.select().order_by(Refund.id).get().id, older)
    assert [each.state for each in Refund.select().order_by(Refund.id)] == [
        RefundState.DECLINED,
        RefundState.SUCCEEDED,
    ]
    assert not stands_in(paying, "is:stuck")


def test_an_earlier_attempt_that_is_done_after_all_pays_what_a_later_one_could_not(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    pay(link_of(opened(paying, number)))
    held(paying, links.ask_order(paying, number))
    talk = credits.credit(paying, number, "moved out")
    call = declined_while_it_is_sent(paying, talk)
    server.faults.always(Fault.REFUSED, Call.REFUND)
    held(paying, refunds.refund(paying, number, "again"))
    server.faults.clear()
    swept(a_day_ahead(paying))
    goes_on(paying, talk, call)
    assert [each.state for each in Refund.select().order_by(Refund.id)] == [
        RefundState.SUCCEEDED,
        RefundState.DECLINED,
    ]
    assert not stands_in(paying, "is:unapplied")
    with pytest.raises(Refused, match="no money of it waits"):
        held(paying, refunds.refund(paying, number, "again", reference="by hand"))
    check_settled(paying, server)


def paid_by_hand(session: Session, number: str) -> None:
    held(session, refunds.refund(session, number, "at last", reference="cash, receipt 9"))


def applied(session: Session, number: str) -> None:
    Subscription.update(expires_on=SOON, activated_on=date(2026, 11, 22), anchor_day=22).execute()
    payments.cancel(session, number, "to be settled with what waits")
    payments.apply(session, number)


@pytest.mark.parametrize("meanwhile", [paid_by_hand, applied])
def test_what_was_called_declined_and_is_gone_twice_is_told_and_stays_until_a_person_looks(
    paying: Session, number: str, server: StripeServer, clock: FixedClock, meanwhile: Callable[[Session, str], None]
) -> None:
    waiting_money(paying, number)
    talk = refunds.refund(paying, number, "too much")
    call = declined_while_it_is_sent(paying, talk)
    meanwhile(paying, number)
    goes_on(paying, talk, call)
    assert {each.state for each in Refund.select()} == {RefundState.SUCCEEDED}
    assert stands_in(paying, "is:stuck")
    told = now_is(paying, number).events[-1]
    assert (told.action, "is not gone twice" in sentence(told)) == ("refund_twice", True)
    assert now_is(paying, number).status is (SUCCEED if meanwhile is applied else PROCESSING)
    check(paying, server)
    payments.delete(paying, number, "seen to")
    assert not stands_in(paying, "is:stuck")


def test_a_refund_on_its_way_is_waited_for(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    waiting_money(paying, number)
    server.books.refunds_wait = True
    held(paying, refunds.refund(paying, number, "why"))
    assert state_of_refund() is RefundState.PENDING
    swept_later(paying, 1)
    assert state_of_refund() is RefundState.PENDING
    (refund,) = server.books.refunds
    server.books.settle(refund, succeeded=True)
    settle_all(paying, clock)
    assert states(now_is(paying, number)) == [PaymentState.REFUNDED]
    check_settled(paying, server)


def test_a_refund_on_its_way_is_told_and_heard_before_another_is_begun(
    paying: Session, number: str, server: StripeServer
) -> None:
    waiting_money(paying, number)
    server.books.refunds_wait = True
    held(paying, refunds.refund(paying, number, "why"))
    assert state_of_refund() is RefundState.PENDING
    (refund,) = server.books.refunds
    told = now_is(paying, number).events[-1]
    assert (told.action, told.after) == (
        "refund_under_way",
        {"amount": {"amount": 595, "currency": "EUR"}, "reference": refund},
    )
    server.books.settle(refund, succeeded=True)
    with pytest.raises(Refused, match="no money of it waits"):
        held(paying, refunds.refund(paying, number, "why"))
    assert states(now_is(paying, number)) == [PaymentState.REFUNDED]


def test_what_came_by_hand_goes_back_by_hand(paying: Session, number: str, server: StripeServer) -> None:
    payments.pay(paying, number, Manual("R", 100))
    held(paying, refunds.refund(paying, number, "too little", reference="cash"))
    order = now_is(paying, number)
    assert (order.status, states(order), order.unapplied) == (PROCESSING, [PaymentState.REFUNDED], ())
    with pytest.raises(Refused, match="no money of it waits"):
        held(paying, refunds.refund(paying, number, "again"))
    assert server.faults.seen == []
