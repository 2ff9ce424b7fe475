"""What is done to an order whose payment link is open: the link is ended first, for one order and for many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace

from smartsub_tui.billing import bulk, links, payments
from smartsub_tui.billing.bulk import Move, SaveInvoices
from smartsub_tui.billing.payments import BankTransfer
from smartsub_tui.billing.providers import DEADLINE, Abandoned, Talk, abandon, hold, of_settings, step
from smartsub_tui.billing.session import Session
from smartsub_tui.config import PaymentSettings
from smartsub_tui.data.models import Order, Payment
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, Role, Trigger
from smartsub_tui.errors import Refused, Unavailable
from tests.providers import Call, Fault, StripeServer, pay, running
from tests.support import SETTINGS, FixedClock, add_office, add_order, add_people, add_prices, as_role, memory_session

T = TypeVar("T")
NUMBERS = tuple(f"2026112208000000000{place}" for place in range(4))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def stripe(clock: FixedClock) -> Iterator[StripeServer]:
    with running(clock) as server:
        yield server


@pytest.fixture
def session(stripe: StripeServer, clock: FixedClock, tmp_path: Path) -> Session:
    """Four orders; of the first three a link is open."""
    key = tmp_path / "stripe.key"
    key.write_text(stripe.key)
    key.chmod(0o600)
    stripes = PaymentSettings(stripe_key_file=str(key), return_url="https://example.com/", stripe_url=stripe.url)
    settings = replace(SETTINGS, payments=stripes)
    session = replace(memory_session(clock=clock, settings=settings), providers=of_settings(settings, clock))
    with session.database.writing():
        add_prices()
        oak = add_office()
        for place, number in enumerate(NUMBERS):
            people = add_people(oak, f"u{place}", expires_on=date(2027, 1, 31))
            add_order(oak, people, OrderStatus.PROCESSING, number=number)
    for number in NUMBERS[:3]:
        held(session, links.open_link(session, number))
    return session


def held(session: Session, talk: Talk[T]) -> T:
    return hold(session.database, session.providers, talk)


def link_of(payment: int) -> str:
    return str(Payment.get_by_id(payment).link)


def state(number: str) -> PaymentState | None:
    payment = Payment.select().join(Order).where(Order.number == number).order_by(Payment.id.desc()).first()
    return None if payment is None else payment.state


def status(number: str) -> OrderStatus:
    found: OrderStatus = Order.get(Order.number == number).status
    return found


def cancel(session: Session, number: str, version: int | None) -> None:
    def act(session: Session, version: int | None) -> None:
        payments.cancel(session, number, "why", version=version)

    held(session, links.act_without_link(session, Trigger.CANCEL, number, version, act))


def version_of(number: str) -> int:
    return Order.get(Order.number == number).version


@pytest.mark.parametrize("number", [NUMBERS[0], NUMBERS[3]], ids=["open link", "no link"])
def test_who_saw_another_version_ends_nothing(session: Session, stripe: StripeServer, number: str) -> None:
    asked = len(stripe.faults.seen)
    with pytest.raises(Refused, match="changed by someone else meanwhile"):
        cancel(session, number, version_of(number) - 1)
    assert len(stripe.faults.seen) == asked
    cancel(session, number, version_of(number))
    assert status(number) is OrderStatus.CANCEL
    assert state(number) in (PaymentState.EXPIRED, None)


def test_what_was_done_already_is_answered_as_it_was_and_ends_no_link(
    session: Session, stripe: StripeServer, clock: FixedClock
) -> None:
    """A bank transfer was chosen, and a link opened since; also when the time to pay is over."""
    number = NUMBERS[3]
    seen = version_of(number)

    def by_bank(session: Session, version: int | None) -> payments.Paid:
        return payments.pay(session, number, BankTransfer(), version=version, request_id="r")

    def as_it_is() -> payments.Paid:
        return held(
            session,
            links.without_link(session, Trigger.PAY, number, lambda: by_bank(session, None), request_id="r"),
        )

    def as_it_was_seen() -> payments.Paid:
        return held(session, links.act_without_link(session, Trigger.PAY, number, seen, by_bank, request_id="r"))

    first = as_it_is()
    held(session, links.open_link(session, number))
    asked = len(stripe.faults.seen)
    assert as_it_is() == as_it_was_seen() == first
    clock.advance(days=30)
    assert as_it_is() == as_it_was_seen() == first
    assert len(stripe.faults.seen) == asked
    assert state(number) is PaymentState.SENT


def test_who_does_not_wait_for_the_provider_is_told_what_was_not_done(session: Session) -> None:
    number = NUMBERS[0]
    ends = links.act_without_link(session, Trigger.CANCEL, number, version_of(number), lambda *_: None)
    step(session.database, ends, None)
    with pytest.raises(Unavailable, match=f"payment link of order {number} was not known to be ended .* do it again"):
        abandon(ends, Abandoned("no answer"))
    opens = links.ask_order(session, number)
    step(session.database, opens, None)
    with pytest.raises(Abandoned, match="no answer"):
        abandon(opens, Abandoned("no answer"))
    assert status(number) is OrderStatus.PROCESSING
    many = Move.new(Trigger.CANCEL, "why")
    (item,) = bulk.preview(session, Trigger.CANCEL, [number]).items
    one = many.talk(session, item)
    step(session.database, one, None)
    with pytest.raises(Unavailable, match="do it again"):
        abandon(one, Abandoned("no answer"))

    def content() -> Talk[None]:
        with suppress(Abandoned):
            yield from links.ask_order(session, number)

    step(session.database, none := content(), None)
    with pytest.raises(Abandoned):  # whatever a talk makes of it, nobody heard an answer
        abandon(none, Abandoned("no answer"))
    assert state(number) is PaymentState.SENT


def test_an_order_that_is_none_is_for_the_act_to_refuse(session: Session) -> None:
    with pytest.raises(Exception, match="no order"):
        cancel(session, "none", None)


def test_without_an_answer_nothing_is_done(session: Session, stripe: StripeServer) -> None:
    stripe.faults.always(Fault.REFUSED)
    with pytest.raises(Unavailable, match=f"no answer about the payment link of order {NUMBERS[0]}"):
        cancel(session, NUMBERS[0], version_of(NUMBERS[0]))
    assert (status(NUMBERS[0]), state(NUMBERS[0])) == (OrderStatus.SYSTEM_PROCESSING, PaymentState.UNKNOWN)


def test_many_have_their_links_ended_each_by_itself(session: Session, stripe: StripeServer) -> None:
    pay(link_of(2))
    seen = bulk.preview(session, Trigger.CANCEL, NUMBERS)
    assert [item.linked for item in seen.items] == [True, True, True, False]
    move = Move.new(Trigger.CANCEL, "moved out")
    outcomes = [held(session, move.talk(session, item)) for item in seen.items]
    assert [each.refused for each in outcomes] == ["", "cannot be cancelled: it is already paid", "", ""]
    assert [state(number) for number in NUMBERS] == [
        PaymentState.EXPIRED,
        PaymentState.SUCCEEDED,
        PaymentState.EXPIRED,
        None,
    ]
    # Taken up again, what was done is not done anew.
    again = [held(session, move.talk(session, item)) for item in seen.items]
    assert [each.version for each in again if each.done] == [each.version for each in outcomes if each.done]
    assert len(stripe.books.paid()) == 1


def test_many_stop_where_the_provider_is_away(session: Session, stripe: StripeServer) -> None:
    stripe.faults.always(Fault.REFUSED)
    items = bulk.preview(session, Trigger.DELETE, NUMBERS).items
    move = Move.new(Trigger.DELETE, "twice")
    with pytest.raises(Unavailable):
        held(session, move.talk(session, items[0]))
    assert held(session, move.talk(session, items[3])).done


def test_a_run_that_ends_no_links_asks_nobody(session: Session, stripe: StripeServer, tmp_path: Path) -> None:
    (item,) = bulk.preview(session, Trigger.PAY, NUMBERS[:1]).items
    asked = len(stripe.faults.seen)
    assert "not paid" in held(session, SaveInvoices(tmp_path).talk(session, item)).refused
    assert len(stripe.faults.seen) == asked


# Watching


def test_who_watches_learns_why_there_was_no_answer(session: Session, stripe: StripeServer) -> None:
    assert held(session, links.watch(session, NUMBERS[0])) is None
    stripe.faults.always(Fault.REFUSED)
    assert held(session, links.watch(session, NUMBERS[0])) == "Stripe cannot be reached"
    stripe.faults.clear()
    pay(link_of(1))
    assert held(session, links.ask_order(session, NUMBERS[0])).status is OrderStatus.SUCCEED


def test_nobody_is_asked_by_who_may_not_hear_nor_about_what_has_just_begun(
    session: Session, stripe: StripeServer, clock: FixedClock
) -> None:
    asked = len(stripe.faults.seen)
    assert held(session, links.watch(as_role(session, Role.VIEWER), NUMBERS[0])) is None
    assert held(session, links.watch(session, NUMBERS[3])) is None
    with session.database.writing():
        Payment.update(state=PaymentState.CREATED, reference=None, link=None).where(Payment.id == 1).execute()
    assert held(session, links.watch(session, NUMBERS[0])) is None
    assert len(stripe.faults.seen) == asked
    clock.advance(DEADLINE)
    assert held(session, links.watch(session, NUMBERS[0])) is None
    assert (Call.LIST, None) in stripe.faults.seen
    assert state(NUMBERS[0]) is PaymentState.SENT
