"""Checkout as the real library sees it: from the order to the money."""

import stripe

from tests.providers import StripeServer, pay
from tests.providers.customer import visit
from tests.providers.real import ORDER, checkout


def test_from_the_order_to_the_money(stripe_server: StripeServer, api: stripe.StripeClient) -> None:
    sessions = api.v1.checkout.sessions
    session = sessions.create(checkout(stripe_server.books.now()))
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert (session.amount_total, session.currency, session.livemode) == (4284, "eur", False)
    assert session.client_reference_id == ORDER
    assert session.metadata is not None
    assert session.metadata.to_dict() == {"order": ORDER}
    assert session.url is not None
    assert 350 <= len(session.url) <= 400
    assert "42.84 eur" in visit(session.url).text

    assert pay(session.url).status == 200
    paid = sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert isinstance(paid.payment_intent, stripe.PaymentIntent)
    intent = paid.payment_intent
    assert (intent.status, intent.amount_received, intent.currency) == ("succeeded", 4284, "eur")
    assert intent.metadata.to_dict() == {"order": ORDER}
    assert sessions.retrieve(session.id).payment_intent == intent.id
    assert [(charge.amount, charge.payment_intent) for charge in stripe_server.books.paid()] == [(4284, intent.id)]

    refund = api.v1.refunds.create({"payment_intent": intent.id, "amount": 284, "metadata": {"credit_note": "C1"}})
    assert (refund.status, refund.amount, refund.currency, refund.payment_intent) == (
        "succeeded",
        284,
        "eur",
        intent.id,
    )
    again = api.v1.refunds.retrieve(refund.id)
    assert again.to_dict() == refund.to_dict()
    assert again.to_dict()["metadata"] == {"credit_note": "C1"}
    assert [each.id for each in api.v1.refunds.list({"payment_intent": intent.id})] == [refund.id]
