"""What tests of payments by Stripe share: a session that pays through the test provider, and what must always hold."""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

from msgspec.structs import replace

from smartsub_tui.billing.providers import Provider, Talk, hold
from smartsub_tui.billing.providers.manual import ByHand
from smartsub_tui.billing.providers.stripe import KEY_VARIABLE, Stripe
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.sweep import Swept, sweep
from smartsub_tui.config import PaymentSettings
from smartsub_tui.data.models import Claim, Invoice, Order, OrderLine, Payment, Refund
from smartsub_tui.data.vocabulary import InvoiceKind, OrderStatus, PaymentState, ProviderName, RefundState
from tests.providers import StripeServer
from tests.support import FixedClock

T = TypeVar("T")

SECONDS = (1.0, 0.25)  # what is held by the test provider is given up after so long


def paying_by(session: Session, server: StripeServer) -> Session:
    """The same session, with the test provider for Stripe."""
    payments = PaymentSettings(return_url="https://example.com/paid", stripe_url=server.url)
    stripe = Stripe(payments, seconds=SECONDS, environment={KEY_VARIABLE: server.key})
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
    """Days in which the sweep runs, at first often: by then all is asked that is asked by itself."""
    for minutes in (1, 1, 2, 5, 10, 60, 60, *[24 * 60] * 12):
        clock.advance(minutes=minutes)
        swept(session)


def check(session: Session, server: StripeServer) -> None:
    """What holds between any two steps, whatever failed: of the database by itself, and of it and the provider."""
    orders = {order.id: order for order in Order.select()}
    live: Counter[int] = Counter()
    for payment in Payment.select():
        live[payment.order.id] += payment.state.is_live
    assert all(number <= 1 for number in live.values())
    invoices = Counter(each.order.id for each in Invoice.select().where(Invoice.kind == InvoiceKind.INVOICE))
    for key, order in orders.items():
        paid = order.status is OrderStatus.SUCCEED
        assert invoices[key] == paid
        lines = list(OrderLine.select().where(OrderLine.order == key))
        assert all((line.applied_on is not None) == paid for line in lines)
        claims = Claim.select().where(Claim.order == key).count()
        assert claims == (len(lines) if order.status.is_open else 0)
        assert order.status is not OrderStatus.SYSTEM_PROCESSING or live[key]
    numbers = sorted(each.sequence for each in Invoice.select().where(Invoice.kind == InvoiceKind.INVOICE))
    assert numbers == list(range(1, len(numbers) + 1))
    # Nobody is charged twice by a link of ours: a session takes money once, and what it took is of one payment.
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
        assert not refund.state.is_live or refund.state is RefundState.PENDING
        if refund.state is RefundState.SUCCEEDED and (refund.reference or "").startswith("re_"):
            back[refund.payment.charge or ""] += refund.amount
    for intent, charge in charges.items():
        assert charge.amount_refunded == back[intent]
    assert not [payment for payment in Payment.select() if payment.state is PaymentState.CREATED]
    assert not [session for session in server.books.sessions.values() if session.status == "open"]
