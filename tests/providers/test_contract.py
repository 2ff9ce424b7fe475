"""What localstripe knows of Stripe as well, asked of both: where the two differ, one of them is no Stripe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from tests.providers import localstripe, running
from tests.providers.real import client

Api = stripe.StripeClient


@pytest.fixture(scope="module")
def _localstripe(request: pytest.FixtureRequest) -> Iterator[localstripe.Localstripe]:
    folder = request.config.cache.mkdir("localstripe")
    with localstripe.started(localstripe.environment(folder / "environment")) as server:
        yield server


@pytest.fixture(params=["ours", pytest.param("localstripe", marks=[pytest.mark.packaging, pytest.mark.once])])
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    """The real library, talking to one of the two."""
    if request.param == "ours":
        with running() as server:
            yield client(server)
    else:
        yield client(request.getfixturevalue("_localstripe"))


def paid(api: Api, amount: int = 4284) -> stripe.PaymentIntent:
    return api.v1.payment_intents.create(
        {"amount": amount, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True, "metadata": {"a": "b"}}
    )


@pytest.mark.long
def test_a_payment(api: Api) -> None:
    intent = paid(api)
    for told in (intent, api.v1.payment_intents.retrieve(intent.id)):
        assert told.id.startswith("pi_")
        assert (told.object, told.status, told.amount, told.currency) == ("payment_intent", "succeeded", 4284, "eur")
        assert (told.livemode, told.next_action, told.last_payment_error) == (False, None, None)
        assert told.metadata.to_dict() == {"a": "b"}
        assert told.latest_charge is not None
        assert told.client_secret is not None
        assert told.client_secret.startswith(f"{told.id}_secret_")


@pytest.mark.parametrize(
    ("card", "status"), [({}, "requires_payment_method"), ({"payment_method": "pm_card_visa"}, "requires_confirmation")]
)
def test_a_payment_that_waits(api: Api, card: Any, status: str) -> None:
    asked: Any = {"amount": 4284, "currency": "eur", **card}
    intent = api.v1.payment_intents.create(asked)
    assert (intent.status, intent.latest_charge) == (status, None)


def test_a_card_that_is_declined(api: Api) -> None:
    with pytest.raises(stripe.CardError, match="Your card was declined") as declined:
        api.v1.payment_intents.create(
            {"amount": 4284, "currency": "eur", "payment_method": "pm_card_chargeCustomerFail", "confirm": True}
        )
    assert (declined.value.http_status, declined.value.code) == (402, "card_declined")


@pytest.mark.parametrize(
    "asked",
    [
        {"currency": "eur"},
        {"amount": 0, "currency": "eur"},
        {"amount": -500, "currency": "eur"},
        {"amount": "much", "currency": "eur"},
        {"amount": 500},
        {"amount": 500, "currency": "eur", "colour": "red"},
    ],
)
def test_a_payment_that_cannot_be(api: Api, asked: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.v1.payment_intents.create(asked)
    assert refused.value.http_status == 400


@pytest.mark.parametrize(("asked", "amount"), [({"amount": 284}, 284), ({}, 4284)])
def test_a_refund(api: Api, asked: Any, amount: int) -> None:
    intent = paid(api)
    asked = {"payment_intent": intent.id, "metadata": {"credit_note": "C1"}, **asked}
    refund = api.v1.refunds.create(asked)
    for told in (refund, api.v1.refunds.retrieve(refund.id)):
        assert told.id.startswith("re_")
        assert (told.object, told.status, told.amount, told.currency) == ("refund", "succeeded", amount, "eur")
        assert told.payment_intent == intent.id
        assert str(told.charge).startswith("ch_")
        assert told.metadata is not None
        assert told.metadata.to_dict() == {"credit_note": "C1"}


def test_the_refunds_of_a_payment(api: Api) -> None:
    intent, other = paid(api), paid(api)
    made = {api.v1.refunds.create({"payment_intent": intent.id, "amount": 100}).id for _ in range(3)}
    api.v1.refunds.create({"payment_intent": other.id})
    listed = api.v1.refunds.list({"payment_intent": intent.id})
    assert (listed.has_more, listed.url) == (False, "/v1/refunds")
    assert {each.id for each in listed} == made
    page = api.v1.refunds.list({"payment_intent": intent.id, "limit": 2})
    assert (len(page.data), page.has_more) == (2, True)
    rest = api.v1.refunds.list({"payment_intent": intent.id, "limit": 2, "starting_after": page.data[-1].id})
    assert (len(rest.data), rest.has_more) == (1, False)
    assert {each.id for each in page} | {each.id for each in rest} == made


def test_what_was_not_paid_is_not_refunded(api: Api) -> None:
    waiting = api.v1.payment_intents.create({"amount": 4284, "currency": "eur"})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.v1.refunds.create({"payment_intent": waiting.id})
    assert refused.value.http_status == 400


@pytest.mark.parametrize("asked", [{}, {"amount": 100}, {"amount": 0}, {"amount": -1}, {"colour": "red"}])
def test_a_refund_that_cannot_be(api: Api, asked: Any) -> None:
    if asked not in ({}, {"amount": 100}):
        asked = {"payment_intent": paid(api).id, **asked}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.v1.refunds.create(asked)
    assert refused.value.http_status == 400


def test_what_is_not_there(api: Api) -> None:
    for ask in (
        lambda: api.v1.payment_intents.retrieve("pi_1"),
        lambda: api.v1.refunds.retrieve("re_1"),
        lambda: api.v1.refunds.create({"payment_intent": "pi_1"}),
        lambda: api.v1.refunds.list({"payment_intent": "pi_1"}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            ask()
        assert refused.value.http_status == 404


def test_a_key_that_is_none(api: Api) -> None:
    with pytest.raises(stripe.AuthenticationError) as refused:
        api.v1.refunds.list({}, {"api_key": "pk_test_public"})
    assert refused.value.http_status == 401
