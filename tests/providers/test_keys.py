"""Idempotency keys: a call under the same key is done once, whatever became of its answer."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from tests.providers import Call, Fault, StripeServer, pay
from tests.providers.real import checkout, client


class Kept:
    """Creates sessions with one key."""

    def __init__(self, server: StripeServer, key: str = "order-1") -> None:
        self.server = server
        self.asked: Any = checkout(server.books.now())
        self.key = key

    def create(self, **other: Any) -> stripe.checkout.Session:
        asked: Any = {**self.asked, **other}
        return client(self.server).v1.checkout.sessions.create(asked, {"idempotency_key": self.key})


@pytest.fixture
def kept(stripe_server: StripeServer) -> Kept:
    return Kept(stripe_server)


def replayed(answer: stripe.StripeObject) -> bool:
    assert answer.last_response is not None
    return "Idempotent-Replayed" in answer.last_response.headers


def test_the_same_call_gets_the_same_answer(kept: Kept) -> None:
    first, second = kept.create(), kept.create()
    assert (replayed(first), replayed(second)) == (False, True)
    assert first.to_dict() == second.to_dict()
    assert len(kept.server.books.sessions) == 1


def test_the_answer_is_the_one_of_then(kept: Kept) -> None:
    session = kept.create()
    pay(str(session.url))
    assert kept.create().status == "open"


def test_another_call_under_the_key_is_refused(kept: Kept, api: stripe.StripeClient) -> None:
    kept.create()
    with pytest.raises(stripe.IdempotencyError, match="same parameters") as refused:
        kept.create(client_reference_id="another")
    assert refused.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        api.v1.refunds.create({"payment_intent": "pi_1"}, {"idempotency_key": kept.key})
    assert len(kept.server.books.sessions) == 1


def test_while_the_first_is_in_work_the_key_is_in_use(kept: Kept) -> None:
    kept.server.faults.plan(Call.CREATE, Fault.LATE)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(kept.create)
        kept.server.faults.wait_until_held()
        with pytest.raises(stripe.APIError, match="another in-progress request") as refused:
            kept.create()
        assert (refused.value.http_status, len(kept.server.books.sessions)) == (409, 0)
        kept.server.faults.release()
        made = first.result()
    assert kept.create().id == made.id
    assert len(kept.server.books.sessions) == 1


@pytest.mark.parametrize(("fault", "sessions"), [(Fault.ERROR_BEFORE, 0), (Fault.ERROR_AFTER, 1)])
def test_a_500_is_kept(kept: Kept, fault: Fault, sessions: int) -> None:
    kept.server.faults.plan(Call.CREATE, fault)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failed:
            kept.create()
        assert failed.value.http_status == 500
    assert len(kept.server.books.sessions) == sessions


def test_what_doing_it_refused_is_kept(stripe_server: StripeServer, api: stripe.StripeClient) -> None:
    session = api.v1.checkout.sessions.create(checkout(stripe_server.books.now()))
    pay(str(session.url), card="delayed")
    intent = str(api.v1.checkout.sessions.retrieve(session.id).payment_intent)
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
            api.v1.refunds.create({"payment_intent": intent}, {"idempotency_key": "credit-1"})
        if stripe_server.books.intents[intent].status == "processing":
            stripe_server.books.settle(intent, succeeded=True)
    assert api.v1.refunds.create({"payment_intent": intent}, {"idempotency_key": "credit-2"}).status == "succeeded"


def test_what_was_refused_before_it_began_is_not_kept(kept: Kept) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        kept.create(expires_at=1)
    kept.server.faults.plan(Call.CREATE, Fault.RATE_LIMITED)
    with pytest.raises(stripe.RateLimitError):
        kept.create()
    assert not replayed(kept.create())


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER, Fault.BAD_GATEWAY])
def test_an_answer_that_was_lost_is_had_again(kept: Kept, fault: Fault) -> None:
    kept.server.faults.plan(Call.CREATE, fault)
    with pytest.raises(stripe.StripeError):
        kept.create()
    assert replayed(kept.create())
    assert len(kept.server.books.sessions) == 1


def test_what_was_false_in_an_answer_is_not_kept(kept: Kept) -> None:
    kept.server.faults.plan(Call.CREATE, Fault.WRONG_AMOUNT)
    assert [kept.create().amount_total, kept.create().amount_total] == [4384, 4284]


def test_keys_are_forgotten_after_a_day(kept: Kept) -> None:
    kept.server.books.put(kept.server.books.now())
    kept.asked.pop("expires_at")
    first = kept.create()
    kept.server.books.advance(hours=23)
    assert kept.create().id == first.id
    kept.server.books.advance(hours=1, seconds=1)
    assert kept.create().id != first.id


def test_a_forgotten_key_does_it_again(kept: Kept) -> None:
    first = kept.create()
    kept.server.faults.plan(Call.CREATE, Fault.FORGOTTEN_KEY)
    assert kept.create().id != first.id
    kept.server.books.keys.forget_all()
    assert kept.create().id != first.id
    assert len(kept.server.books.sessions) == 3


def test_many_at_once_with_one_key_are_done_once(kept: Kept) -> None:
    callers = 12
    together = threading.Barrier(callers)

    def create(_: int) -> str:
        together.wait()
        try:
            return kept.create().id
        except stripe.APIError as refused:
            return f"{refused.http_status}"

    with ThreadPoolExecutor(callers) as pool:
        answers = set(pool.map(create, range(callers)))
    (made,) = kept.server.books.sessions
    assert made in answers
    assert answers <= {made, "409"}
