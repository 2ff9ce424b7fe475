"""What tests of payments by Stripe share: a session that pays through the test provider, and what must always hold."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from smartsub_tui.billing import audit, links
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.providers import Provider, Talk, hold
from smartsub_tui.billing.providers.manual import ByHand
from smartsub_tui.billing.providers.stripe import KEY_VARIABLE, Stripe
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.sweep import Swept, sweep
from smartsub_tui.config import PaymentSettings
from smartsub_tui.data.fields import from_microseconds
from smartsub_tui.data.models import AuditEvent, Payment, Refund, Subscription
from smartsub_tui.data.order_records import OrderDetails
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName, RefundState, Trigger
from tests.providers import StripeServer, pay
from tests.support import FixedClock

T = TypeVar("T")

SECONDS = (1.0, 0.25)  # what is held by the test provider is given up after so long


def paying_by(session: Session, server: StripeServer) -> Session:
    """The same session, with the test provider for Stripe."""
    from stripe._http_client import HTTPClient

    # The library waits half a second before it tries again; the test provider needs no rest.
    HTTPClient.INITIAL_DELAY = 0.01
    payments = PaymentSettings(return_url="https://example.com/paid", stripe_url=server.url)
    stripe = Stripe(payments, session.clock, seconds=SECONDS, environment={KEY_VARIABLE: server.key})
    by_hand = ByHand()

    def provider(name: ProviderName) -> Provider:
        return stripe if name is ProviderName.STRIPE else by_hand

    return replace(session, settings=replace(session.settings, payments=payments), providers=provider)


def held(session: Session, talk: Talk[T]) -> T:
    """What comes of a talk."""
    return hold(session.database, session.providers, talk)


def swept(session: Session) -> Swept:
    return held(session, sweep(session))


def settle_all(session: Session, clock: FixedClock) -> None:
    """The sweep runs a few times a day, until nothing is due any more: all is asked then that is asked by itself."""
    for _ in range(200):
        soonest = session.database.execute_sql(
            "SELECT min(at) FROM (SELECT min(ask_at) AS at FROM payment UNION ALL SELECT min(ask_at) FROM refund"
            " UNION ALL SELECT min(pay_by) FROM orders WHERE status = 'processing') t"
        ).fetchone()[0]
        if soonest is None:
            return
        clock.put(max(clock.now() + timedelta(hours=7), from_microseconds(soonest)))
        swept(session)
    raise AssertionError("the sweep never comes to an end")


# Of the database alone: each of these finds a row that must not be.
WRONG: Final = (
    "SELECT 1 FROM payment WHERE state IN ('created', 'sent', 'pending', 'unknown') GROUP BY order_id"
    " HAVING count(*) > 1",
    "SELECT id FROM orders o WHERE CASE status WHEN 'succeed' THEN 1 ELSE 0 END <>"
    " (SELECT count(*) FROM invoice i WHERE i.order_id = o.id AND i.kind = 'invoice')",
    "SELECT l.id FROM order_line l JOIN orders o ON o.id = l.order_id"
    " WHERE (o.status = 'succeed') <> (l.applied_on IS NOT NULL)",
    "SELECT id FROM orders o WHERE (SELECT count(*) FROM claim c WHERE c.order_id = o.id) <>"
    " CASE WHEN status IN ('processing', 'system_processing')"
    " THEN (SELECT count(*) FROM order_line l WHERE l.order_id = o.id) ELSE 0 END",
    "SELECT id FROM orders o WHERE status = 'system_processing' AND NOT EXISTS (SELECT 1 FROM payment p"
    " WHERE p.order_id = o.id AND p.state IN ('pending', 'unknown'))",
    "SELECT 1 FROM invoice WHERE kind = 'invoice' GROUP BY series, year HAVING max(sequence) <> count(*)",
)

_OF_NO_ORDER: Final = {"import", "change_admin", "disable_admin", "enable_admin"}


def check(session: Session, server: StripeServer) -> None:
    """What holds between any two steps, whatever failed: of the database by itself, and of what the provider took."""
    for wrong in WRONG:
        assert session.database.execute_sql(wrong).fetchall() == [], wrong
    # What happened to an order is told in its timeline, in words.
    told = set(session.database.execute_sql("SELECT DISTINCT action, order_id IS NOT NULL FROM audit_event"))
    assert {action for action, of_order in told if of_order} <= set(audit._SAID), told
    assert {action for action, of_order in told if not of_order} <= _OF_NO_ORDER, told
    # A status stands before only where another stands behind.
    for event in AuditEvent.select().where(AuditEvent.before.contains('"status"')):
        assert json.loads(event.before or "")["status"] != json.loads(event.after or "")["status"], event.action
    begun = AuditEvent.select().where(AuditEvent.action == "begin_refund")
    assert all(
        '"provider":"' in (event.after or "") and '"amount":{"amount":' in (event.after or "") for event in begun
    )
    # A session takes money once.
    charges = server.books.paid()
    assert len({charge.payment_intent for charge in charges}) == len(charges)


def check_settled(session: Session, server: StripeServer) -> None:
    """What holds when the provider is back and all was asked: all its money is known here, and nothing is open."""
    check(session, server)
    known = {
        payment.charge: payment
        for payment in Payment.select().where(Payment.provider == ProviderName.STRIPE)
        if payment.charge is not None and payment.state in (PaymentState.SUCCEEDED, PaymentState.REFUNDED)
    }
    charges = {charge.payment_intent: charge for charge in server.books.paid()}
    assert set(charges) == set(known)
    back: Counter[str] = Counter()
    for refund in Refund.select():
        # Of money that came in another currency, Stripe pays that back: a person has to look (is:stuck).
        charge = charges.get(refund.payment.charge or "")
        in_another = charge is not None and charge.currency.upper() != refund.currency  # told twice, and believed
        left = (refund.payment.contested or in_another) and refund.ask_at is None
        assert not refund.state.is_live or refund.state is RefundState.PENDING or left
        if refund.state is RefundState.SUCCEEDED and (refund.reference or "").startswith("re_"):
            back[refund.payment.charge or ""] += refund.amount
    for intent, charge in charges.items():
        told_right = known[intent].currency == charge.currency.upper() and not known[intent].contested
        assert charge.amount_refunded == back[intent] or not told_right
    assert not [payment for payment in Payment.select() if payment.state is PaymentState.CREATED]
    # What could still take money is a link that nobody was ever shown: made twice, for its key was forgotten.
    now, shown = session.clock.now().timestamp(), {payment.link for payment in Payment.select()}
    payable = [each for each in server.books.sessions.values() if each.status == "open" and each.expires_at > now]
    assert not [each for each in payable if each.link in shown]


# An order, as a test looks at it

PROCESSING, SYSTEM, SUCCEED, FAILED, TIME_OUT, CANCEL = OrderStatus
SOON, LATER = date(2026, 12, 22), date(2027, 1, 22)


def now_is(session: Session, number: str) -> OrderDetails:
    return read_order(number, session.clock.now(), session.settings)


def opened(session: Session, number: str) -> OrderDetails:
    return held(session, links.open_link(session, number)).order


def link_of(order: OrderDetails) -> str:
    (link,) = [each.link for each in order.payments if each.state is PaymentState.SENT]
    assert link is not None
    return link


def states(order: OrderDetails) -> list[PaymentState]:
    return [each.state for each in order.payments]


def actions(order: OrderDetails) -> list[str]:
    return [event.action for event in order.events]


def ended(session: Session, trigger: Trigger, number: str, act: Any, **options: Any) -> Any:
    return held(session, links.without_link(session, trigger, number, act, **options))


def swept_later(session: Session, minutes: float) -> None:
    clock: Any = session.clock
    clock.advance(minutes=minutes)
    swept(session)


def waiting_money(session: Session, number: str) -> None:
    """Money for the order that cannot be applied."""
    pay(link_of(opened(session, number)))
    Subscription.update(expires_on=None, activated_on=None, anchor_day=None).execute()
    swept_later(session, 1)
    assert now_is(session, number).unapplied


def state_of_refund() -> RefundState:
    state: RefundState = Refund.select().order_by(Refund.id.desc()).get().state
    return state
