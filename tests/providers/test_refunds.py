"""Refunds as the real library sees them."""

import pytest
import stripe

from tests.providers import StripeServer, pay
from tests.providers.real import checkout


@pytest.fixture
def intent(stripe_server: StripeServer, api: stripe.StripeClient) -> str:
    """A payment of 42.84 EUR."""
    session = api.v1.checkout.sessions.create(checkout(stripe_server.books.now()))
    assert pay(str(session.url)).status == 200
    return str(api.v1.checkout.sessions.retrieve(session.id).payment_intent)


def test_a_payment_is_given_back_in_parts_until_nothing_is_left(
    stripe_server: StripeServer, api: stripe.StripeClient, intent: str
) -> None:
    refunds = api.v1.refunds
    with pytest.raises(
        stripe.InvalidRequestError, match=r"\(42.85 eur\) is greater than charge amount \(42.84"
    ) as more:
        refunds.create({"payment_intent": intent, "amount": 4285})
    assert (more.value.http_status, more.value.param, more.value.code) == (400, "amount", None)
    first = refunds.create({"payment_intent": intent, "amount": 4000})
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount on charge"):
        refunds.create({"payment_intent": intent, "amount": 285})
    second = refunds.create({"payment_intent": intent, "reason": "requested_by_customer"})
    assert (first.amount, second.amount, second.reason) == (4000, 284, "requested_by_customer")
    with pytest.raises(stripe.InvalidRequestError, match="has already been refunded") as none_left:
        refunds.create({"payment_intent": intent})
    assert none_left.value.code == "charge_already_refunded"
    assert [each.id for each in refunds.list({"payment_intent": intent})] == [second.id, first.id]
    assert [charge.amount_refunded for charge in stripe_server.books.paid()] == [4284]


@pytest.mark.parametrize("succeeded", [True, False])
def test_a_refund_may_be_pending(
    stripe_server: StripeServer, api: stripe.StripeClient, intent: str, succeeded: bool
) -> None:
    stripe_server.books.refunds_wait = True
    refund = api.v1.refunds.create({"payment_intent": intent})
    assert refund.status == "pending"
    stripe_server.books.settle(refund.id, succeeded=succeeded)
    assert api.v1.refunds.retrieve(refund.id).status == ("succeeded" if succeeded else "failed")
    # What failed is still the merchant's.
    assert stripe_server.books.paid()[0].amount_refunded == (4284 if succeeded else 0)


def test_lists_hold_the_refunds_of_one_payment(
    stripe_server: StripeServer, api: stripe.StripeClient, intent: str
) -> None:
    session = api.v1.checkout.sessions.create(checkout(stripe_server.books.now()))
    pay(str(session.url))
    other = str(api.v1.checkout.sessions.retrieve(session.id).payment_intent)
    made = [api.v1.refunds.create({"payment_intent": intent, "amount": 100 + n}).id for n in range(3)]
    elsewhere = api.v1.refunds.create({"payment_intent": other}).id
    assert [each.id for each in api.v1.refunds.list({"payment_intent": other})] == [elsewhere]
    page = api.v1.refunds.list({"payment_intent": intent, "limit": 2})
    assert [each.id for each in page.auto_paging_iter()] == made[::-1]


@pytest.mark.parametrize("card", ["declined", "delayed"])
def test_what_was_not_paid_is_not_given_back(stripe_server: StripeServer, api: stripe.StripeClient, card: str) -> None:
    session = api.v1.checkout.sessions.create(checkout(stripe_server.books.now()))
    pay(str(session.url), card=card)
    unpaid = str(api.v1.checkout.sessions.retrieve(session.id).payment_intent)
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge to refund"):
        api.v1.refunds.create({"payment_intent": unpaid})
    for wrong in ({}, {"payment_intent": unpaid, "amount": 0, "colour": "red"}):
        with pytest.raises(stripe.InvalidRequestError):
            api.v1.refunds.create(wrong)  # type: ignore[arg-type] # what is wrong
    assert stripe_server.books.refunds == {}
