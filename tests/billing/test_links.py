"""Payment links: opened, heard of, ended; whatever fails on the way, money is taken once and never lost."""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from smartsub_tui.billing import credits, links, orders, payments, refunds
from smartsub_tui.billing.audit import sentence
from smartsub_tui.billing.links import ASK_AFTER
from smartsub_tui.billing.payments import BankTransfer, Manual
from smartsub_tui.billing.providers import Ended, No, step
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.filters import Moment, parse_orders
from smartsub_tui.data.models import AuditEvent, Order, Payment, Refund, Subscription
from smartsub_tui.data.queries import search_orders
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName, RefundState, Role, Trigger
from smartsub_tui.errors import NotAllowed, NotFound, Refused, Unavailable, WrongUsage
from tests.billing.paying import (
    CANCEL,
    FAILED,
    LATER,
    PROCESSING,
    SOON,
    SUCCEED,
    SYSTEM,
    TIME_OUT,
    actions,
    check,
    check_settled,
    ended,
    held,
    link_of,
    now_is,
    opened,
    paying_by,
    settle_all,
    state_of_refund,
    states,
    swept,
    swept_later,
)
from tests.providers import Call, Fault, StripeServer, pay
from tests.support import (
    NOW,
    FixedClock,
    add_office,
    add_people,
    add_prices,
    as_role,
    claimed,
    dump,
    expiry,
    memory_session,
)

# Opening, paying


def test_a_link_is_opened_paid_and_heard_of(paying: Session, number: str, server: StripeServer) -> None:
    order = opened(paying, number)
    assert links.items_of(Order.get())[0].name == "app, renewal by the month, 1 month"
    assert (order.status, states(order)) == (PROCESSING, [PaymentState.SENT])
    (payment,) = order.payments
    assert payment.provider is ProviderName.STRIPE
    assert payment.link is not None
    assert 350 <= len(payment.link) <= 400
    assert payment.expires_at is not None
    assert payment.expires_at <= NOW + timedelta(hours=24)
    assert pay(payment.link).status == 200
    assert now_is(paying, number).status is PROCESSING  # nobody has told us yet
    order = held(paying, links.ask_order(paying, number))
    assert (order.status, states(order)) == (SUCCEED, [PaymentState.SUCCEEDED])
    assert order.invoice is not None
    assert order.payments[0].reference is not None
    assert order.payments[0].reference.startswith("pi_")
    assert (expiry("u1"), expiry("u2")) == (LATER, SOON)
    assert actions(order) == ["create", "begin_link", "link", "arrive"]
    check_settled(paying, server)


def test_behind_its_first_step_a_talk_says_what_is_stored(
    paying: Session, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise Unavailable("the disk is full: nothing was stored; make room")

    with monkeypatch.context() as first:
        first.setattr(links, "perform", full)
        with pytest.raises(Unavailable, match=r"^the disk is full: nothing was stored; make room$"):
            opened(paying, number)
    monkeypatch.setattr(links, "hear", full)
    with pytest.raises(Unavailable, match=r"^the disk is full: what was begun before is stored; make room$"):
        opened(paying, number)
    assert states(now_is(paying, number)) == [PaymentState.CREATED]


def test_what_who_pays_sees_adds_up_to_the_total(paying: Session) -> None:
    made = orders.renew(paying, "Oak House", ["u1", "u2"], Months(3)).order
    items = links.items_of(Order.get(Order.number == made.number))
    assert [(item.name, item.quantity, item.price) for item in items] == [
        ("app, renewal by the month, 3 months", 2, 1500),
        ("Tax 19 %", 1, 570),
    ]
    assert sum(item.quantity * item.price for item in items) == made.total.amount


def test_the_link_that_is_open_is_shown_again_not_doubled(paying: Session, number: str, server: StripeServer) -> None:
    first = link_of(opened(paying, number))
    before = dump(paying.database)
    assert link_of(opened(paying, number)) == first
    assert dump(paying.database) == before
    assert [call for call, _ in server.faults.seen] == [Call.CREATE, Call.RETRIEVE]


def test_of_two_who_open_a_link_at_once_the_second_gets_that_of_the_first(
    paying: Session, number: str, server: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody_looked(session: Session, number: str) -> Any:
        yield from ()

    first = link_of(opened(paying, number))
    monkeypatch.setattr(links, "_ask_before", nobody_looked)
    monkeypatch.setattr(links, "_open_already", lambda *_: None)
    assert link_of(opened(paying, number)) == first
    assert len(server.books.sessions) == 1


@pytest.mark.parametrize("card", [None, "delayed"])
def test_a_second_link_under_one_key_is_never_shown_and_is_ended(
    paying: Session, number: str, server: StripeServer, clock: FixedClock, card: str | None
) -> None:
    """Two processes ask for the link of one payment, and its provider has forgotten the key before the second."""
    first = links.open_link(paying, number)
    asked = step(paying.database, first, None)
    second = links.send(paying, Payment.get().id)
    asked_again = step(paying.database, second, None)
    assert not isinstance(asked, Ended)
    assert not isinstance(asked_again, Ended)
    step(paying.database, first, asked.put_to(paying.providers(asked.provider)))
    shown = link_of(now_is(paying, number))
    if card is not None:
        pay(shown, card=card)
        held(paying, links.ask_order(paying, number))
    server.books.keys.forget_all()
    before = now_is(paying, number)

    expire = step(paying.database, second, asked_again.put_to(paying.providers(asked_again.provider)))
    assert not isinstance(expire, Ended)
    step(paying.database, second, expire.put_to(paying.providers(expire.provider)))
    assert now_is(paying, number) == before
    assert [each.link for each in before.payments] == [shown]
    assert [each.link for each in server.books.sessions.values() if each.status == "open"] == ([] if card else [shown])
    if card is None:
        pay(shown)
    else:
        server.books.settle(next(iter(server.books.intents)), succeeded=True)
    settle_all(paying, clock)
    check_settled(paying, server)
    assert now_is(paying, number).status is SUCCEED


def test_that_a_second_link_has_ended_says_nothing_of_the_one_that_is_shown(
    paying: Session, number: str, server: StripeServer
) -> None:
    """A sweep looks by the key for what was made, before the first is known and behind the end of the second."""
    first = links.open_link(paying, number)
    asked = step(paying.database, first, None)
    second = links.send(paying, Payment.get().id)
    asked_again = step(paying.database, second, None)
    swept = links.ask(paying, Payment.get().id)
    look_up = step(paying.database, swept, None)
    assert not isinstance(asked, Ended)
    assert not isinstance(asked_again, Ended)
    assert not isinstance(look_up, Ended)
    step(paying.database, first, asked.put_to(paying.providers(asked.provider)))
    before = now_is(paying, number)
    server.books.keys.forget_all()
    expire = step(paying.database, second, asked_again.put_to(paying.providers(asked_again.provider)))
    assert not isinstance(expire, Ended)
    step(paying.database, second, expire.put_to(paying.providers(expire.provider)))
    step(paying.database, swept, look_up.put_to(paying.providers(look_up.provider)))
    assert now_is(paying, number) == before
    assert link_of(opened(paying, number)) == link_of(before)


def test_an_older_answer_that_a_link_is_open_does_not_take_back_that_money_is_under_way(
    paying: Session, number: str, server: StripeServer
) -> None:
    url = link_of(opened(paying, number))
    payment = Payment.get()
    older = paying.providers(payment.provider).look_up(links.checkout_of(payment), payment.reference)
    pay(url, card="delayed")
    held(paying, links.ask_order(paying, number))
    before = now_is(paying, number)
    links.hear(paying, payment.id, older)
    assert now_is(paying, number) == before
    assert (before.status, states(before)) == (SYSTEM, [PaymentState.PENDING])


def test_two_databases_with_an_order_of_the_same_number_do_not_get_each_other_s_link(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    first = link_of(opened(paying, number))
    other = paying_by(memory_session(clock=clock), server)
    add_prices()
    add_people(add_office(), "u1", expires_on=SOON)
    assert orders.renew(other, "Oak House", ["u1"], Months(1)).order.number == number
    assert link_of(opened(other, number)) != first
    other.database.close()


@pytest.mark.parametrize(
    ("within", "end", "moved"),
    [
        (timedelta(minutes=5), links.SHORTEST, True),
        (timedelta(hours=2), timedelta(hours=2), False),
        (timedelta(days=3), links.LONGEST, False),
    ],
)
def test_a_link_ends_when_the_order_can_no_longer_be_paid(
    paying: Session, within: timedelta, end: timedelta, moved: bool
) -> None:
    settings = replace(paying.settings, orders=replace(paying.settings.orders, pay_within=within))
    session = replace(paying, settings=settings)
    number = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
    order = opened(session, number)
    assert order.payments[0].expires_at == NOW + end
    assert order.pay_by == (NOW + end if moved else NOW + within)
    (begun,) = [event for event in order.events if event.action == "begin_link"]
    assert isinstance(begun.after, dict)
    assert ("pay_by" in begun.after) == moved


def test_a_failed_order_is_paid_by_a_new_link(paying: Session, number: str, server: StripeServer) -> None:
    url = link_of(opened(paying, number))
    assert pay(url, card="delayed").status == 200
    order = held(paying, links.ask_order(paying, number))
    assert (order.status, states(order)) == (SYSTEM, [PaymentState.PENDING])
    assert Payment.get().charge == next(iter(server.books.intents))  # by which it is asked about
    server.books.settle(server.books.charges[next(iter(server.books.charges))].payment_intent, succeeded=False)
    order = held(paying, links.ask_order(paying, number))
    assert (order.status, states(order)) == (FAILED, [PaymentState.DECLINED])
    assert claimed(number) == []
    order = opened(paying, number)
    assert (order.status, states(order)) == (PROCESSING, [PaymentState.DECLINED, PaymentState.SENT])
    assert claimed(number) == ["u1"]
    pay(link_of(order))
    swept_later(paying, 1)
    assert now_is(paying, number).status is SUCCEED
    check_settled(paying, server)


def test_a_declined_payment_frees_the_people_of_its_own_order_alone(
    paying: Session, number: str, server: StripeServer
) -> None:
    other = orders.renew(paying, "Oak House", ["u2"], Months(1)).order.number
    pay(link_of(opened(paying, number)), card="delayed")
    server.books.settle(server.books.charges[next(iter(server.books.charges))].payment_intent, succeeded=False)
    held(paying, links.ask_order(paying, number))
    assert (now_is(paying, number).status, claimed(number), claimed(other)) == (FAILED, [], ["u2"])


def test_the_timeline_names_the_provider_its_state_and_why(paying: Session, number: str, server: StripeServer) -> None:
    pay(link_of(opened(paying, number)), card="delayed")
    order = held(paying, links.ask_order(paying, number))
    assert (Payment.get().ask_at, Payment.get().asked) == (NOW + ASK_AFTER[0], 1)
    begun, shown, under_way = order.events[1:]
    assert begun.after == shown.after == {"provider": "stripe", "amount": {"amount": 595, "currency": "EUR"}}
    assert under_way.after == {"status": "system_processing", "provider": "stripe", "payment": "pending"}
    other = orders.renew(paying, "Oak House", ["u2"], Months(1)).order.number
    server.key = "another"
    with contextlib.suppress(Refused, Unavailable):
        opened(paying, other)
    refused = now_is(paying, other).events[-1]
    assert (refused.action, str(refused.reason)[:23]) == ("not_taken", "Stripe refuses the key:")


def test_delayed_money_is_waited_for_and_applied(paying: Session, number: str, server: StripeServer) -> None:
    pay(link_of(opened(paying, number)), card="delayed")
    swept_later(paying, 1)
    assert now_is(paying, number).status is SYSTEM
    (charge,) = server.books.charges.values()
    server.books.settle(charge.payment_intent, succeeded=True)
    swept_later(paying, 1)
    order = now_is(paying, number)
    assert (order.status, order.late) == (SUCCEED, False)
    check_settled(paying, server)


def test_a_debit_and_a_refund_that_take_two_weeks_are_waited_for(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    def pass_days(days: int) -> None:
        for _ in range(days):
            clock.advance(days=1)
            swept(paying)

    pay(link_of(opened(paying, number)), card="delayed")
    pass_days(14)
    assert now_is(paying, number).status is SYSTEM
    server.books.settle(next(iter(server.books.intents)), succeeded=True)
    pass_days(1)
    assert now_is(paying, number).status is SUCCEED
    server.books.refunds_wait = True
    held(paying, credits.credit(paying, number, "a mistake"))
    pass_days(14)
    assert state_of_refund() is RefundState.PENDING
    server.books.settle(next(iter(server.books.refunds)), succeeded=True)
    pass_days(1)
    assert state_of_refund() is RefundState.SUCCEEDED


def test_a_delayed_payment_that_was_declined_before_anyone_asked(
    paying: Session, number: str, server: StripeServer
) -> None:
    pay(link_of(opened(paying, number)), card="delayed")
    (charge,) = server.books.charges.values()
    server.books.settle(charge.payment_intent, succeeded=False)
    swept_later(paying, 1)
    assert now_is(paying, number).status is FAILED


def test_a_declined_card_leaves_the_link_open(paying: Session, number: str) -> None:
    url = link_of(opened(paying, number))
    pay(url, card="declined")
    assert held(paying, links.ask_order(paying, number)).status is PROCESSING
    assert pay(url).status == 200
    assert held(paying, links.ask_order(paying, number)).status is SUCCEED


def test_a_link_for_an_order_that_cannot_be_paid_asks_nobody(
    paying: Session, number: str, server: StripeServer
) -> None:
    payments.cancel(paying, number, "mistake")
    with pytest.raises(Refused, match="cannot be paid by a link: it was cancelled"):
        opened(paying, number)
    with pytest.raises(NotFound):
        opened(paying, "nothing")
    with pytest.raises(NotAllowed):
        opened(as_role(paying, Role.VIEWER), number)
    assert server.faults.seen == []


def test_a_dry_run_stores_nothing_and_asks_nobody(paying: Session, number: str, server: StripeServer) -> None:
    before = dump(paying.database)
    paid = held(paying, links.open_link(paying, number, dry_run=True))
    assert states(paid.order) == [PaymentState.CREATED]
    opened(paying, number)
    before = dump(paying.database)
    cancel = partial(payments.cancel, paying, number, "why", dry_run=True)
    assert ended(paying, Trigger.CANCEL, number, cancel, dry_run=True).status is CANCEL
    assert dump(paying.database) == before
    assert [call for call, _ in server.faults.seen] == [Call.CREATE]


def test_a_repeated_request_opens_no_second_link(paying: Session, number: str, server: StripeServer) -> None:
    first = held(paying, links.open_link(paying, number, request_id="r1")).order
    pay(link_of(first))
    again = held(paying, links.open_link(paying, number, request_id="r1")).order
    assert again.status is SUCCEED
    assert len(server.books.sessions) == 1


def test_without_a_key_nothing_is_begun(session: Session, paying: Session, number: str) -> None:
    before = dump(session.database)
    with pytest.raises(WrongUsage, match="Stripe is not set up"):
        held(session, links.open_link(session, number))
    assert dump(session.database) == before


def test_no_provider_is_called_in_a_transaction(paying: Session, number: str) -> None:
    talk = links.open_link(paying, number)
    with paying.database.writing(), pytest.raises(AssertionError, match="Create was called in a transaction"):
        step(paying.database, talk, None)


# Ending a link


@pytest.mark.parametrize("how", ["cancel", "delete", "manual", "bank", "confirm"])
def test_a_link_is_ended_before_anything_else_is_done(
    paying: Session, number: str, server: StripeServer, how: str
) -> None:
    url = link_of(opened(paying, number))
    acts: dict[str, tuple[Trigger, Any, OrderStatus]] = {
        "cancel": (Trigger.CANCEL, lambda: payments.cancel(paying, number, "why"), CANCEL),
        "delete": (Trigger.DELETE, lambda: payments.delete(paying, number, "why"), CANCEL),
        "manual": (Trigger.PAY, lambda: payments.pay(paying, number, Manual("R")), SUCCEED),
        "bank": (Trigger.PAY, lambda: payments.pay(paying, number, BankTransfer()), PROCESSING),
        "confirm": (Trigger.CONFIRM, lambda: payments.confirm(paying, number, Manual("R")), SUCCEED),
    }
    trigger, act, status = acts[how]
    ended(paying, trigger, number, act)
    order = now_is(paying, number)
    assert order.status is status
    assert states(order)[0] is PaymentState.EXPIRED
    assert pay(url).status in (409, 410)
    check_settled(paying, server)


@pytest.mark.parametrize("trigger", [Trigger.CANCEL, Trigger.PAY])
def test_what_was_paid_meanwhile_is_not_cancelled_and_not_paid_twice(
    paying: Session, number: str, server: StripeServer, trigger: Trigger
) -> None:
    pay(link_of(opened(paying, number)))
    act: Any = {
        Trigger.CANCEL: lambda: payments.cancel(paying, number, "why"),
        Trigger.PAY: lambda: payments.pay(paying, number, Manual("R")),
    }[trigger]
    with pytest.raises(Refused, match="it is already paid"):
        ended(paying, trigger, number, act)
    assert now_is(paying, number).status is SUCCEED
    check_settled(paying, server)


def test_what_would_be_refused_even_so_ends_no_link(paying: Session, number: str, server: StripeServer) -> None:
    opened(paying, number)
    Order.update(deleted_at=None, history=False).execute()
    Subscription.update(expires_on=None, activated_on=None, anchor_day=None).execute()
    with pytest.raises(Refused, match="is not activated"):
        ended(paying, Trigger.PAY, number, lambda: payments.pay(paying, number, Manual("R")))
    with pytest.raises(NotAllowed):
        ended(as_role(paying, Role.OPERATOR), Trigger.CANCEL, number, lambda: None)
    assert Call.EXPIRE not in [call for call, _ in server.faults.seen]


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.ERROR_AFTER, Fault.HTML])
def test_where_the_end_of_a_link_is_not_heard_the_order_waits(
    paying: Session, number: str, server: StripeServer, clock: FixedClock, fault: Fault
) -> None:
    opened(paying, number)
    server.faults.always(fault)
    with pytest.raises(Refused, match="money is in flight"):
        ended(paying, Trigger.CANCEL, number, lambda: payments.cancel(paying, number, "why"))
    order = now_is(paying, number)
    assert (order.status, states(order)) == (SYSTEM, [PaymentState.UNKNOWN])
    assert (Payment.get().ask_at, Payment.get().asked) == (clock.now() + ASK_AFTER[0], 1)
    server.faults.clear()
    settle_all(paying, clock)
    assert now_is(paying, number).status is TIME_OUT
    check_settled(paying, server)


# No answer


def test_a_link_whose_creation_was_not_answered_is_found_again(
    paying: Session, number: str, server: StripeServer
) -> None:
    server.faults.always(Fault.RESET_AFTER, Call.CREATE)
    with pytest.raises(Unavailable, match="no answer about the payment link"):
        opened(paying, number)
    order = now_is(paying, number)
    assert (order.status, states(order)) == (SYSTEM, [PaymentState.UNKNOWN])
    assert "no answer about the payment: it is asked for again" in sentence(order.events[-1])
    server.faults.clear()
    swept_later(paying, 1)
    order = now_is(paying, number)
    assert (order.status, states(order)) == (PROCESSING, [PaymentState.SENT])
    assert len(server.books.sessions) == 1
    pay(link_of(order))
    swept_later(paying, 1)
    assert now_is(paying, number).status is SUCCEED


def test_a_link_that_was_never_made_is_looked_for_once_more(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    server.faults.always(Fault.RESET_BEFORE, Call.CREATE)
    with pytest.raises(Unavailable):
        opened(paying, number)
    server.faults.clear()
    swept_later(paying, 1)
    order = now_is(paying, number)
    assert (order.status, states(order)) == (PROCESSING, [PaymentState.NOT_SENT])
    payment = Payment.get()
    assert payment.ask_at > payment.expires_at
    assert link_of(opened(paying, number))
    settle_all(paying, clock)
    assert Payment.select().where(Payment.ask_at.is_null(False)).count() == 0
    check_settled(paying, server)


def test_an_older_answer_that_there_is_no_link_does_not_take_back_one_that_was_found(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    server.faults.plan(Call.CREATE, Fault.RESET_AFTER)
    server.faults.plan(Call.CREATE, Fault.RESET_AFTER, nth=2)
    with pytest.raises(Unavailable):
        opened(paying, number)
    url = link_of(opened(paying, number))
    links.hear(paying, Payment.get().id, No("Stripe has no such link"), scheduled=True)
    order = now_is(paying, number)
    assert (order.status, states(order)) == (PROCESSING, [PaymentState.SENT])
    pay(url)
    settle_all(paying, clock)
    check_settled(paying, server)
    assert now_is(paying, number).status is SUCCEED


def test_an_unanswered_link_that_turns_up_late_is_ended(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    server.faults.always(Fault.RESET_AFTER, Call.CREATE)
    with pytest.raises(Unavailable):
        opened(paying, number)
    server.faults.clear()
    (session_there,) = server.books.sessions.values()
    hidden = session_there.metadata.pop("smartsub_key")
    swept_later(paying, 1)
    assert states(now_is(paying, number)) == [PaymentState.NOT_SENT]
    session_there.metadata["smartsub_key"] = hidden
    session_there.expires_at += 10**6
    settle_all(paying, clock)
    assert session_there.status == "expired"
    check_settled(paying, server)


def test_a_definite_refusal_begins_nothing(paying: Session, number: str, server: StripeServer) -> None:
    server.key = "sk_test_another"
    with pytest.raises(Refused, match="Stripe refuses the key"):
        opened(paying, number)
    order = now_is(paying, number)
    assert (order.status, states(order)) == (PROCESSING, [PaymentState.NOT_SENT])
    payments.pay(paying, number, Manual("R"))


def test_a_payment_that_its_process_left_behind_is_heard_of(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    talk = links.open_link(paying, number)
    step(paying.database, talk, None)
    talk.close()  # the process died before the call
    assert states(now_is(paying, number)) == [PaymentState.CREATED]
    with pytest.raises(Refused, match=r"under way \(created\)"):
        opened(paying, number)
    with pytest.raises(Refused, match=r"under way \(created\)"):
        ended(paying, Trigger.CANCEL, number, lambda: payments.cancel(paying, number, "why"))
    assert held(paying, links.ask_order(paying, number)).status is PROCESSING
    clock.advance(minutes=2)
    ended(paying, Trigger.CANCEL, number, lambda: payments.cancel(paying, number, "why"))
    assert now_is(paying, number).status is CANCEL
    settle_all(paying, clock)
    check_settled(paying, server)


def test_a_look_that_is_not_answered_leaves_an_open_link_as_it_is(
    paying: Session, number: str, server: StripeServer
) -> None:
    opened(paying, number)
    server.faults.always(Fault.REFUSED)
    assert held(paying, links.ask_order(paying, number)).status is PROCESSING
    swept_later(paying, 1)
    order = now_is(paying, number)
    assert (order.status, states(order)) == (PROCESSING, [PaymentState.SENT])


def test_after_the_last_time_it_is_left_to_a_person(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    opened(paying, number)
    server.faults.always(Fault.REFUSED)
    settle_all(paying, clock)
    order = now_is(paying, number)
    assert (order.status, states(order)) == (SYSTEM, [PaymentState.UNKNOWN])
    assert Payment.get().ask_at is None
    asked = len(server.faults.seen)
    swept_later(paying, 10**5)
    assert len(server.faults.seen) == asked
    server.faults.clear()
    assert held(paying, links.ask_order(paying, number)).status is PROCESSING  # who looks, asks
    swept(paying)
    assert now_is(paying, number).status is TIME_OUT


# Late, wrong, second


def test_money_that_came_in_time_but_was_heard_of_late_is_applied(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    url = link_of(opened(paying, number))
    pay(url)
    server.faults.always(Fault.REFUSED)
    clock.advance(hours=30)
    swept(paying)
    assert now_is(paying, number).status is SYSTEM
    server.faults.clear()
    settle_all(paying, clock)
    order = now_is(paying, number)
    assert (order.status, order.late) == (SUCCEED, False)
    check_settled(paying, server)


def test_money_for_an_order_whose_people_went_waits_and_is_paid_back(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    pay(link_of(opened(paying, number)))
    Subscription.update(expires_on=None, activated_on=None, anchor_day=None).execute()
    swept_later(paying, 1)
    order = now_is(paying, number)
    assert (order.status, [str(money) for money in order.unapplied]) == (PROCESSING, ["EUR 5.95"])
    (arrived,) = [event for event in order.events if event.action == "arrive"]
    assert isinstance(arrived.after, dict)
    assert "not activated" in str(arrived.after["recorded"])
    held(paying, refunds.refund(paying, number, "nobody is left"))
    order = now_is(paying, number)
    assert (states(order), order.unapplied) == ([PaymentState.REFUNDED], ())
    assert [(event.action, event.reason) for event in order.events[-2:]] == [
        ("begin_refund", "nobody is left"),
        ("refund", None),
    ]
    settle_all(paying, clock)
    check_settled(paying, server)
    (charge,) = server.books.paid()
    assert charge.amount_refunded == charge.amount


@pytest.mark.parametrize("fault", [Fault.WRONG_AMOUNT, Fault.WRONG_CURRENCY])
def test_another_amount_than_the_order_s_waits(
    paying: Session, number: str, server: StripeServer, clock: FixedClock, fault: Fault
) -> None:
    url = link_of(opened(paying, number))
    server.faults.plan(Call.PAY, fault)
    pay(url)
    settle_all(paying, clock)
    order = now_is(paying, number)
    assert (order.status, expiry("u1"), len(order.unapplied)) == (TIME_OUT, SOON, 1)
    assert order.unapplied[0] != order.total
    with pytest.raises(Refused, match="the money that waits is not EUR"):
        payments.apply(paying, number)
    check_settled(paying, server)


def test_an_amount_that_was_told_wrong_once_is_put_right(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    pay(link_of(opened(paying, number)))
    server.faults.plan(Call.RETRIEVE, Fault.WRONG_AMOUNT)
    clock.advance(minutes=1)
    swept(paying)
    assert [str(money) for money in now_is(paying, number).unapplied] != []
    settle_all(paying, clock)
    order = now_is(paying, number)
    assert (order.status, order.unapplied, expiry("u1")) == (SUCCEED, (), LATER)
    check_settled(paying, server)


def test_money_that_is_put_right_waits_beside_another_link_that_can_be_paid(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    """Its amount was told wrong, and so another link was opened: both could be paid."""
    pay(link_of(opened(paying, number)))
    server.faults.plan(Call.RETRIEVE, Fault.WRONG_AMOUNT)
    held(paying, links.ask_order(paying, number))
    opened(paying, number)
    held(paying, links.ask(paying, Payment.select().order_by(Payment.id).get().id, scheduled=True))
    order = now_is(paying, number)
    assert (order.status, order.unapplied) == (PROCESSING, (order.total,))
    assert states(order) == [PaymentState.SUCCEEDED, PaymentState.SENT]
    (told,) = [each for each in order.events if each.action == "arrive" and "under way" in str(each.after)]
    assert "a payment through Stripe is under way (link open)" in str(told.after)
    check(paying, server)
    ended(paying, Trigger.CANCEL, number, lambda: payments.cancel(paying, number, "paid by the other link"))
    payments.apply(paying, number)
    order = now_is(paying, number)
    assert (order.status, order.unapplied, expiry("u1")) == (SUCCEED, (), LATER)
    settle_all(paying, clock)
    check_settled(paying, server)


def test_another_amount_that_was_under_way_waits_and_its_order_is_open_again(
    paying: Session, number: str, server: StripeServer
) -> None:
    pay(link_of(opened(paying, number)), card="delayed")
    assert held(paying, links.ask_order(paying, number)).status is SYSTEM
    server.books.settle(server.books.charges[next(iter(server.books.charges))].payment_intent, succeeded=True)
    server.faults.plan(Call.RETRIEVE, Fault.WRONG_AMOUNT)
    order = held(paying, links.ask_order(paying, number))
    assert (order.status, len(order.unapplied), expiry("u1")) == (PROCESSING, 1, SOON)


@pytest.mark.parametrize("fault", [Fault.WRONG_AMOUNT, Fault.WRONG_CURRENCY])
def test_a_link_that_asks_for_another_amount_is_not_shown(
    paying: Session, number: str, server: StripeServer, fault: Fault
) -> None:
    server.faults.plan(Call.CREATE, fault)
    with pytest.raises(Unavailable):
        opened(paying, number)
    assert now_is(paying, number).payments[0].link is None


def test_what_someone_confirmed_is_the_same_money(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    pay(link_of(opened(paying, number)), card="delayed")
    held(paying, links.ask_order(paying, number))
    payments.confirm(paying, number, Manual("seen in the account"))
    assert now_is(paying, number).status is SUCCEED
    (charge,) = server.books.charges.values()
    server.books.settle(charge.payment_intent, succeeded=True)
    settle_all(paying, clock)
    order = now_is(paying, number)
    assert (order.status, states(order), expiry("u1")) == (SUCCEED, [PaymentState.SUCCEEDED], LATER)
    assert order.unapplied == ()
    assert order.payments[0].reference == "seen in the account"
    assert not Payment.get().contested
    check_settled(paying, server)


def test_what_someone_confirmed_and_the_provider_denies_needs_a_person(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    pay(link_of(opened(paying, number)), card="delayed")
    held(paying, links.ask_order(paying, number))
    payments.confirm(paying, number, Manual("seen in the account"))
    (charge,) = server.books.charges.values()
    server.books.settle(charge.payment_intent, succeeded=False)
    settle_all(paying, clock)
    assert now_is(paying, number).status is SUCCEED
    assert Payment.get().contested
    found = search_orders(parse_orders("is:stuck"), Moment(clock.now(), "UTC"))
    assert [order.number for order in found.rows] == [number]

    # Nobody pays out what never came.
    rehearsed = held(paying, credits.credit(paying, number, "denied", dry_run=True))
    assert rehearsed.told_of_money(dry_run=True) == "no money came, so nothing of EUR 5.95 is paid back"
    taken = held(paying, credits.credit(paying, number, "denied"))
    assert (taken.paid_back, taken.is_paid_back, Refund.select().count()) == (None, True, 0)
    assert (now_is(paying, number).status, expiry("u1")) == (SUCCEED, SOON)
    assert not Payment.get().contested
    assert search_orders(parse_orders("is:unapplied"), Moment(clock.now(), "UTC")).rows == ()


def confirmed_money_that_waits(session: Session, number: str) -> None:
    """Nobody knows what became of a link; someone confirms the money, and it cannot be applied."""
    Subscription.update(expires_on=None, activated_on=None, anchor_day=None).execute()
    paid = payments.confirm(session, number, Manual("seen in the account"))
    assert paid.waiting is not None


def test_a_link_that_may_be_open_is_ended_though_its_confirmed_money_was_paid_back(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    link = link_of(opened(paying, number))
    server.faults.always(Fault.RESET_BEFORE)
    held(paying, links.ask(paying, Payment.get().id, end=True))
    assert now_is(paying, number).status is SYSTEM
    confirmed_money_that_waits(paying, number)
    held(paying, refunds.refund(paying, number, "why", reference="paid out"))
    assert states(now_is(paying, number)) == [PaymentState.REFUNDED]
    server.faults.clear()
    swept_later(paying, 1)
    assert pay(link).status == 410
    settle_all(paying, clock)
    assert states(now_is(paying, number)) == [PaymentState.REFUNDED]
    assert "contested" in actions(now_is(paying, number))  # told, and nothing is left to be done about it
    assert not Payment.get().contested
    check_settled(paying, server)


@pytest.mark.parametrize("came", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_money_that_was_confirmed_and_paid_back_before_it_came_or_not_is_heard_of(
    paying: Session, number: str, server: StripeServer, clock: FixedClock, known: bool, came: bool
) -> None:
    """It may take weeks: a debit of a bank. Whether the provider had named it before or not."""
    pay(link_of(opened(paying, number)), card="delayed")
    if not known:
        server.faults.always(Fault.RESET_BEFORE)
        held(paying, links.ask(paying, Payment.get().id, end=True))
    else:
        held(paying, links.ask_order(paying, number))
    assert (Payment.get().charge is not None) is known
    confirmed_money_that_waits(paying, number)
    held(paying, refunds.refund(paying, number, "why", reference="paid out"))
    server.faults.clear()
    for _ in range(60):
        clock.advance(hours=7)
        swept(paying)
    (charge,) = server.books.charges.values()
    server.books.settle(charge.payment_intent, succeeded=came)
    settle_all(paying, clock)
    taken = charge.payment_intent if came else None
    assert (Payment.get().state, Payment.get().charge) == (PaymentState.REFUNDED, taken)
    assert not Payment.get().contested
    check_settled(paying, server)


def test_what_was_confirmed_after_its_last_question_is_asked_about_again(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    pay(link_of(opened(paying, number)))
    server.faults.always(Fault.RESET_BEFORE)
    settle_all(paying, clock)
    assert (Payment.get().state, Payment.get().ask_at) == (PaymentState.UNKNOWN, None)
    payments.confirm(paying, number, Manual("seen in the account"))
    server.faults.clear()
    swept(paying)
    assert Payment.get().charge is not None
    check_settled(paying, server)


def test_what_is_denied_after_all_of_it_was_taken_back_is_nobody_s_any_more(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    pay(link_of(opened(paying, number)), card="delayed")
    held(paying, links.ask_order(paying, number))
    payments.confirm(paying, number, Manual("seen in the account"))
    held(paying, credits.credit(paying, number, "why", reference="paid out"))
    (charge,) = server.books.charges.values()
    server.books.settle(charge.payment_intent, succeeded=False)
    settle_all(paying, clock)
    assert "contested" in actions(now_is(paying, number))
    assert not Payment.get().contested


def test_money_that_was_paid_back_is_not_confirmed_again_under_its_reference(paying: Session, number: str) -> None:
    confirmed_money_that_waits(paying, number)
    held(paying, refunds.refund(paying, number, "why", reference="paid out"))
    with pytest.raises(Refused, match="with reference seen in the account is already recorded"):
        payments.confirm(paying, number, Manual("seen in the account"))


def test_who_pays_back_confirmed_money_that_its_provider_denies_was_told(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    pay(link_of(opened(paying, number)), card="delayed")
    held(paying, links.ask_order(paying, number))
    confirmed_money_that_waits(paying, number)
    (charge,) = server.books.charges.values()
    server.books.settle(charge.payment_intent, succeeded=False)
    settle_all(paying, clock)
    assert Payment.get().contested
    held(paying, refunds.refund(paying, number, "in cash"))  # there is nothing that its provider could pay back
    assert Payment.get().contested
    held(paying, refunds.refund(paying, number, "in cash", reference="receipt 7"))
    assert (Payment.get().state, Payment.get().contested) == (PaymentState.REFUNDED, False)


# Every fault at every call


OUR_CALLS = (Call.CREATE, Call.RETRIEVE, Call.LIST, Call.EXPIRE)


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("call", [*OUR_CALLS, Call.PAY])
def test_every_fault_at_every_call(
    paying: Session, number: str, server: StripeServer, clock: FixedClock, call: Call, fault: Fault, lasting: bool
) -> None:
    """Order, link, look, pay, look, cancel: one charge or none, and all is settled when the provider is back."""
    if lasting:
        server.faults.always(fault, call)
    else:
        server.faults.plan(call, fault)
    for act in (
        lambda: opened(paying, number),
        lambda: held(paying, links.ask_order(paying, number)),
        lambda: swept_later(paying, 1),
        lambda: pays(paying, number, server),
        lambda: held(paying, links.ask_order(paying, number)),
        lambda: ended(paying, Trigger.CANCEL, number, lambda: payments.cancel(paying, number, "why")),
        lambda: swept_later(paying, 1),
    ):
        with contextlib.suppress(Refused, Unavailable):
            act()
        check(paying, server)
    server.faults.clear()
    settle_all(paying, clock)
    check_settled(paying, server)
    charges, order = server.books.paid(), now_is(paying, number)
    assert len(charges) <= 1
    right = [charge for charge in charges if (charge.amount, charge.currency) == (595, "eur")]
    # It was cancelled while the provider told of another amount: its money waits.
    applied = bool(right) and order.status is not CANCEL
    assert (order.status is SUCCEED) == applied
    assert expiry("u1") == (LATER if applied else SOON)
    assert len(order.unapplied) == len(charges) - applied
    assert order.status in (SUCCEED, CANCEL, TIME_OUT)


def pays(session: Session, number: str, server: StripeServer) -> None:
    """The customer pays behind the link, if there is one, and tries again where the page does not come."""
    order = now_is(session, number)
    for payment in order.payments:
        if payment.state is PaymentState.SENT and payment.link:
            for _ in range(2):
                try:
                    with_release(server, payment.link)
                except OSError:
                    continue
                break


def with_release(server: StripeServer, url: str) -> None:
    import threading

    done = threading.Event()

    def run() -> None:
        try:
            pay(url)
        except OSError:
            pass
        finally:
            done.set()

    thread = threading.Thread(target=run)
    thread.start()
    while not done.wait(0.05):
        server.faults.release()
    thread.join()


def test_no_key_and_no_card_number_is_stored(paying: Session, number: str, server: StripeServer) -> None:
    from tests.providers import CARD_NUMBER

    for fault in (Fault.ERROR_BEFORE, Fault.HTML, Fault.BAD_GATEWAY):
        server.faults.always(fault)
        with pytest.raises((Unavailable, Refused)) as caught:
            opened(paying, number)
        text = f"{caught.value.message} {caught.value.__cause__!r} {caught.value.__context__!r}"
        assert server.key not in text
        assert CARD_NUMBER not in text
    stored = repr(dump(paying.database))
    assert server.key not in stored
    assert CARD_NUMBER not in stored
    assert AuditEvent.select().count()
    assert server.key not in repr(paying.providers(ProviderName.STRIPE))
    assert server.key not in repr(os.environ)
