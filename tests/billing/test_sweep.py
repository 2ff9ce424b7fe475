"""The sweep: what is due is asked about and timed out, whoever else is at it, and whatever does not answer."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from smartsub_tui.billing import links, orders, refunds
from smartsub_tui.billing.changes import Change
from smartsub_tui.billing.links import LOOK_AFTER
from smartsub_tui.billing.providers import Ended, step
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.models import Payment, Refund
from smartsub_tui.data.records import AdminRecord
from smartsub_tui.data.vocabulary import PaymentState, ProviderName, RefundState, Role
from smartsub_tui.errors import Refused, Unavailable
from tests.billing.paying import (
    PROCESSING,
    SOON,
    SUCCEED,
    TIME_OUT,
    check_settled,
    held,
    link_of,
    now_is,
    opened,
    settle_all,
    swept,
    waiting_money,
)
from tests.providers import Call, Fault, StripeServer, pay
from tests.support import (
    NOW,
    FixedClock,
    add_office,
    add_people,
)


def test_a_sweep_says_what_it_did(paying: Session, number: str, clock: FixedClock) -> None:
    pay(link_of(opened(paying, number)))
    clock.advance(minutes=1)
    done = swept(paying)
    assert (done.timed_out, [(each.number, each.before, each.after) for each in done.payments]) == (
        0,
        [(number, "sent", "succeeded")],
    )
    assert swept(paying) == replace(done, payments=())


@pytest.mark.long
def test_a_provider_that_does_not_answer_is_left_for_the_next_time(
    paying: Session, server: StripeServer, clock: FixedClock
) -> None:
    add_people(add_office("Ash"), *(f"a{place}" for place in range(6)), expires_on=SOON)
    numbers = [orders.renew(paying, "Ash", [f"a{place}"], Months(1)).order.number for place in range(6)]
    server.faults.always(Fault.RESET_AFTER, Call.CREATE)
    for each in numbers:
        with pytest.raises(Unavailable):
            opened(paying, each)
    server.faults.always(Fault.REFUSED)
    clock.advance(minutes=1)
    first = swept(paying)
    assert [each.number for each in first.payments] == numbers[:3]
    assert first.waiting == {"Stripe does not answer": 3}
    second = swept(paying)
    assert [each.number for each in second.payments] == numbers[3:]
    server.faults.clear()
    settle_all(paying, clock)
    check_settled(paying, server)


def test_open_links_of_a_provider_that_does_not_answer_do_not_hold_the_sweep(
    paying: Session, server: StripeServer, clock: FixedClock
) -> None:
    """Each call may take its whole deadline, and an open link that is not answered about stays as it is."""
    add_people(add_office("Ash"), *(f"a{place}" for place in range(6)), expires_on=SOON)
    numbers = [orders.renew(paying, "Ash", [f"a{place}"], Months(1)).order.number for place in range(6)]
    for each in numbers:
        opened(paying, each)
    server.faults.always(Fault.REFUSED)
    clock.advance(minutes=1)
    first = swept(paying)
    assert [(each.number, each.after) for each in first.payments] == [(each, "sent") for each in numbers[:3]]
    assert first.waiting == {"Stripe does not answer": 3}
    assert [each.number for each in swept(paying).payments] == numbers[3:]


def test_without_a_key_the_sweep_goes_on_with_the_rest(
    session: Session, paying: Session, number: str, clock: FixedClock
) -> None:
    opened(paying, number)
    clock.advance(days=2)
    other = orders.renew(session, "Oak House", ["u2"], Months(1)).order.number
    clock.advance(days=2)
    done = swept(session)
    assert list(done.waiting.values()) == [1]
    assert "not set up" in next(iter(done.waiting))
    assert now_is(session, other).status is TIME_OUT
    assert now_is(session, number).status is PROCESSING


def test_two_sweeps_at_once_ask_once(paying: Session, number: str, server: StripeServer, clock: FixedClock) -> None:
    from smartsub_tui.billing.sweep import sweep

    pay(link_of(opened(paying, number)))
    clock.advance(minutes=1)
    one = sweep(paying)
    call = step(paying.database, one, None)
    assert not isinstance(call, Ended)
    before = len(server.faults.seen)
    assert swept(paying).payments == ()
    assert len(server.faults.seen) == before
    answer = call.put_to(paying.providers(ProviderName.STRIPE))
    assert isinstance(step(paying.database, one, answer), Ended)
    assert now_is(paying, number).status is SUCCEED


def test_what_another_sweep_has_taken_up_meanwhile_is_left(
    paying: Session, server: StripeServer, clock: FixedClock
) -> None:
    from smartsub_tui.billing.sweep import sweep

    numbers = [orders.renew(paying, "Oak House", [key], Months(1)).order.number for key in ("u1", "u2")]
    for number in numbers:
        pay(link_of(opened(paying, number)))
    clock.advance(minutes=1)
    one = sweep(paying)
    call = step(paying.database, one, None)
    assert [each.number for each in swept(paying).payments] == numbers[1:]
    assert not isinstance(call, Ended)
    done = step(paying.database, one, call.put_to(paying.providers(ProviderName.STRIPE)))
    assert isinstance(done, Ended)
    assert [each.number for each in done.result.payments] == numbers[:1]
    check_settled(paying, server)


def test_behind_what_another_sweep_has_taken_up_the_others_are_asked_about(
    paying: Session, server: StripeServer, clock: FixedClock
) -> None:
    from smartsub_tui.billing.sweep import sweep

    add_people(add_office("Ash"), *(f"a{place}" for place in range(3)), expires_on=SOON)
    numbers = [orders.renew(paying, "Ash", [f"a{place}"], Months(1)).order.number for place in range(3)]
    for number in numbers:
        pay(link_of(opened(paying, number)))
    clock.advance(minutes=1)
    stripe = paying.providers(ProviderName.STRIPE)
    one, other = sweep(paying), sweep(paying)
    first = step(paying.database, one, None)
    second = step(paying.database, other, None)
    assert not isinstance(first, Ended)
    assert not isinstance(second, Ended)
    third = step(paying.database, one, first.put_to(stripe))
    assert not isinstance(third, Ended)
    done = step(paying.database, one, third.put_to(stripe))
    assert isinstance(done, Ended)
    assert [each.number for each in done.result.payments] == [numbers[0], numbers[2]]
    done = step(paying.database, other, second.put_to(stripe))
    assert isinstance(done, Ended)
    assert [each.number for each in done.result.payments] == [numbers[1]]
    check_settled(paying, server)


def test_an_open_link_is_looked_at_less_and_less_often(paying: Session, number: str, clock: FixedClock) -> None:
    opened(paying, number)
    for asked, wait in enumerate(LOOK_AFTER):
        assert (Payment.get().asked, Payment.get().ask_at) == (asked, clock.now() + wait)
        clock.advance(wait)
        assert [each.after for each in swept(paying).payments] == ["sent"]


def test_rows_that_changed_under_the_hand_are_not_overwritten(
    paying: Session, number: str, server: StripeServer
) -> None:
    """The second fence, for engines where two transactions can have read the same row."""
    admin = AdminRecord(name="manager", role=Role.MANAGER, created_at=NOW, disabled_at=None)
    change = Change(NOW, admin, "cli", paying.settings, None)
    waiting_money(paying, number)
    server.books.refunds_wait = True
    held(paying, refunds.refund(paying, number, "why"))
    payment, refund = Payment.get(), Refund.get()
    Payment.update(state=PaymentState.REFUNDED).execute()
    Refund.update(state=RefundState.SUCCEEDED).execute()
    with pytest.raises(Refused, match="changed by someone else"):
        links._put(change, payment, state=PaymentState.EXPIRED)
    with pytest.raises(Refused, match="changed by someone else"):
        refunds._put(change, refund, state=RefundState.DECLINED)
    assert (Payment.get().state, Refund.get().state) == (PaymentState.REFUNDED, RefundState.SUCCEEDED)


def test_what_is_due_and_has_an_open_link_is_ended_then_timed_out(
    paying: Session, number: str, server: StripeServer, clock: FixedClock
) -> None:
    opened(paying, number)
    clock.advance(hours=24)
    done = swept(paying)
    assert (now_is(paying, number).status, done.timed_out) == (TIME_OUT, 1)
    check_settled(paying, server)
