"""Checkout as the real library sees it: from the order to the money."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import ANY

import pytest
import stripe

from tests.providers import StripeServer, pay, running
from tests.providers.books import Books
from tests.providers.customer import visit
from tests.providers.forms import Form, read_form
from tests.providers.real import ORDER, checkout, client, item
from tests.support import FixedClock

# As it comes from the wire.
FORM: Form = read_form(
    "mode=payment&success_url=https://example.com&line_items[0][quantity]=1&line_items[0][price_data][currency]=eur"
    "&line_items[0][price_data][unit_amount]=500&line_items[0][price_data][product_data][name]=Intercom"
)


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
    (charge,) = stripe_server.books.paid()
    assert (charge.amount, charge.payment_intent, charge.client_reference_id) == (4284, intent.id, ORDER)

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


@pytest.mark.parametrize(
    ("other", "code", "param"),
    [
        ({"success_url": None}, "parameter_missing", "success_url"),
        ({"success_url": "paid"}, "url_invalid", "success_url"),
        ({"mode": None}, "parameter_missing", "mode"),
        ({"line_items": None}, "parameter_missing", "line_items"),
        ({"line_items": [item(50)] * 101}, None, "line_items"),
        ({"line_items": [item(50), item(50, "usd")]}, None, "line_items"),
        ({"line_items": [item(49)]}, "amount_too_small", None),
        ({"line_items": [item(99_999_999, quantity=2)]}, "amount_too_large", None),
        ({"line_items": [item(-1)]}, "parameter_invalid_integer", "line_items[0][price_data][unit_amount]"),
        ({"line_items": [item(50, "xxx")]}, None, "line_items[0][price_data][currency]"),
        ({"line_items": [item(50, quantity=0)]}, None, "line_items[0][quantity]"),
        ({"line_items": [{"quantity": 1}]}, "parameter_missing", "line_items[0]"),
        ({"coupon": "X"}, "parameter_unknown", "coupon"),
        (
            {"line_items": [{**item(50), "colour": "red"}]},
            "parameter_unknown",
            "line_items[0][colour]",
        ),
        ({"client_reference_id": "x" * 201}, None, "client_reference_id"),
        ({"metadata": {"order": "x" * 501}}, None, "metadata[order]"),
        ({"metadata": {"x" * 41: "y"}}, None, "metadata"),
        ({"metadata": {str(n): "y" for n in range(51)}}, None, "metadata"),
        ({"expires_at": "soon"}, "parameter_invalid_integer", "expires_at"),
        ({"expand": ["customer"]}, None, "expand"),
    ],
)
def test_what_is_wrong_is_refused_as_stripe_does(
    stripe_server: StripeServer, api: stripe.StripeClient, other: Any, code: str | None, param: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.v1.checkout.sessions.create(checkout(stripe_server.books.now(), **other))
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, code, param)
    assert stripe_server.books.sessions == {}


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (30 * 60 - 1, "must be at least 30 minutes from"),
        (30 * 60, ""),
        (24 * 3600 - 1, ""),
        (24 * 3600, "must be less than 24 hours from"),
    ],
)
def test_a_session_lasts_from_half_an_hour_to_less_than_a_day(seconds: int, message: str) -> None:
    clock = FixedClock()
    with running(clock) as server:
        sessions = client(server).v1.checkout.sessions
        asked = checkout(0, expires_at=int(clock.now().timestamp()) + seconds)
        if not message:
            assert sessions.create(asked).expires_at == asked["expires_at"]
            return
        with pytest.raises(stripe.InvalidRequestError, match=message) as refused:
            sessions.create(asked)
        assert refused.value.param == "expires_at"


@pytest.mark.parametrize(
    ("currency", "unit", "shown"),
    [
        ("jpy", 4284, "4284 jpy"),
        ("mga", 1000, "1000 mga"),
        ("kwd", 5120, "5.120 kwd"),
        ("isk", 50_000, "500.00 isk"),
        ("EUR", 50, "0.50 eur"),
    ],
)
def test_amounts_are_in_the_unit_that_stripe_has(
    stripe_server: StripeServer, api: stripe.StripeClient, currency: str, unit: int, shown: str
) -> None:
    asked = checkout(stripe_server.books.now(), line_items=[item(unit, currency)])
    session = api.v1.checkout.sessions.create(asked)
    assert (session.amount_total, session.currency) == (unit, currency.lower())
    assert session.url is not None
    assert f"Pay {shown}" in visit(session.url).text


@pytest.mark.parametrize(("currency", "unit"), [("kwd", 5124), ("isk", 50_050), ("ugx", 50)])
def test_digits_that_a_currency_does_not_have_are_refused(
    stripe_server: StripeServer, api: stripe.StripeClient, currency: str, unit: int
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="divisible"):
        api.v1.checkout.sessions.create(checkout(stripe_server.books.now(), line_items=[item(unit, currency)]))


def test_links_are_as_long_as_those_of_stripe(stripe_server: StripeServer) -> None:
    made = [stripe_server.books.create_session(FORM) for _ in range(300)]
    lengths = {len(session.link) for session in made}
    assert (min(lengths), max(lengths)) >= (350, 390)
    assert max(lengths) <= 400
    assert len({session.link for session in made}) == 300


def test_a_session_ends_by_its_clock_or_on_request(stripe_server: StripeServer, api: stripe.StripeClient) -> None:
    sessions = api.v1.checkout.sessions
    by_clock, by_hand = (sessions.create(checkout(stripe_server.books.now())) for _ in range(2))
    assert sessions.expire(by_hand.id).status == "expired"
    stripe_server.books.advance(hours=1)
    ended = sessions.retrieve(by_clock.id)
    assert (ended.status, ended.payment_status, ended.url) == ("expired", "unpaid", None)
    for session in (by_clock, by_hand):
        with pytest.raises(
            stripe.InvalidRequestError, match=r"status in \[\"open\"\].* status of `expired`"
        ) as refused:
            sessions.expire(session.id)
        assert refused.value.http_status == 400
        assert session.url is not None
        assert visit(session.url).status == pay(session.url).status == 410
    assert stripe_server.books.charges == {}


def test_a_paid_session_is_neither_ended_nor_paid_again(stripe_server: StripeServer, api: stripe.StripeClient) -> None:
    session = api.v1.checkout.sessions.create(checkout(stripe_server.books.now()))
    assert session.url is not None
    assert [pay(session.url).status, pay(session.url).status] == [200, 409]
    with pytest.raises(stripe.InvalidRequestError, match="status of `complete`"):
        api.v1.checkout.sessions.expire(session.id)
    stripe_server.books.advance(hours=30)
    assert api.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
    assert len(stripe_server.books.paid()) == 1


def test_a_declined_card_leaves_the_session_open(stripe_server: StripeServer, api: stripe.StripeClient) -> None:
    session = api.v1.checkout.sessions.create(checkout(stripe_server.books.now()))
    assert session.url is not None
    assert pay(session.url, card="declined") == (402, ANY)
    tried = api.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (tried.status, tried.payment_status) == ("open", "unpaid")
    assert isinstance(tried.payment_intent, stripe.PaymentIntent)
    assert tried.payment_intent.status == "requires_payment_method"
    assert tried.payment_intent.last_payment_error is not None
    assert tried.payment_intent.last_payment_error.code == "card_declined"
    assert pay(session.url).status == 200
    assert [charge.status for charge in stripe_server.books.charges.values()] == ["failed", "succeeded"]


def test_ending_a_session_cancels_what_was_tried(stripe_server: StripeServer, api: stripe.StripeClient) -> None:
    session = api.v1.checkout.sessions.create(checkout(stripe_server.books.now()))
    assert session.url is not None
    pay(session.url, card="declined")
    ended = api.v1.checkout.sessions.expire(session.id, {"expand": ["payment_intent"]})
    assert isinstance(ended.payment_intent, stripe.PaymentIntent)
    assert ended.payment_intent.status == "canceled"


@pytest.mark.parametrize("succeeded", [True, False])
def test_delayed_money_comes_later_or_not(
    stripe_server: StripeServer, api: stripe.StripeClient, succeeded: bool
) -> None:
    session = api.v1.checkout.sessions.create(checkout(stripe_server.books.now()))
    assert session.url is not None
    assert pay(session.url, card="delayed").status == 200
    waiting = api.v1.checkout.sessions.retrieve(session.id)
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    intent = api.v1.payment_intents.retrieve(str(waiting.payment_intent))
    assert (intent.status, intent.amount_received) == ("processing", 0)

    stripe_server.books.settle(intent.id, succeeded=succeeded)
    settled = api.v1.checkout.sessions.retrieve(session.id)
    assert (settled.status, settled.payment_status) == ("complete", "paid" if succeeded else "unpaid")
    intent = api.v1.payment_intents.retrieve(intent.id)
    assert intent.status == ("succeeded" if succeeded else "requires_payment_method")
    assert len(stripe_server.books.paid()) == succeeded


def test_many_who_pay_at_once_charge_once(stripe_server: StripeServer, api: stripe.StripeClient) -> None:
    session = api.v1.checkout.sessions.create(checkout(stripe_server.books.now()))
    customers = 16
    together = threading.Barrier(customers)

    def customer(_: int) -> int:
        together.wait()
        return pay(str(session.url)).status

    with ThreadPoolExecutor(customers) as pool:
        assert sorted(pool.map(customer, range(customers))) == [200] + [409] * (customers - 1)
    assert len(stripe_server.books.charges) == 1


def test_lists_are_pages_newest_first(stripe_server: StripeServer, api: stripe.StripeClient) -> None:
    sessions = api.v1.checkout.sessions
    start = stripe_server.books.now()
    stripe_server.books.put(start)
    made = []
    for _ in range(5):
        made.append(sessions.create(checkout(stripe_server.books.now())).id)
        stripe_server.books.advance(minutes=1)
    first = sessions.list({"limit": 2})
    assert ([each.id for each in first], first.has_more) == ([made[4], made[3]], True)
    assert [each.id for each in first.auto_paging_iter()] == made[::-1]
    rest = sessions.list({"limit": 3, "starting_after": made[3]})
    assert ([each.id for each in rest], rest.has_more) == ([made[2], made[1], made[0]], False)
    since = sessions.list({"created": {"gte": start + 60, "lte": start + 180}})
    assert [each.id for each in since] == [made[3], made[2], made[1]]

    assert pay(str(sessions.retrieve(made[2]).url)).status == 200
    paid = sessions.list({"status": "complete", "expand": ["data.payment_intent"]})
    assert [each.id for each in paid] == [made[2]]
    assert isinstance(paid.data[0].payment_intent, stripe.PaymentIntent)
    for wrong in ({"limit": 101}, {"limit": 0}, {"sort": "up"}):
        with pytest.raises(stripe.InvalidRequestError):
            sessions.list(wrong)  # type: ignore[arg-type] # what is wrong


def test_what_is_not_there_is_a_404(api: stripe.StripeClient) -> None:
    for ask in (
        lambda: api.v1.checkout.sessions.retrieve("cs_test_1"),
        lambda: api.v1.checkout.sessions.expire("cs_test_1"),
        lambda: api.v1.checkout.sessions.list({"starting_after": "cs_test_1"}),
        lambda: api.v1.payment_intents.retrieve("pi_1"),
        lambda: api.v1.refunds.retrieve("re_1"),
        lambda: api.v1.refunds.create({"payment_intent": "pi_1"}),
        lambda: api.v1.refunds.list({"payment_intent": "pi_1"}),
    ):
        with pytest.raises(stripe.InvalidRequestError, match=r"^Request req_[0-9a-f]+: No such ") as refused:
            ask()
        assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        api.v1.customers.list()


def test_only_its_own_key_opens(stripe_server: StripeServer) -> None:
    for key in ("sk_test_of_somebody_else_1234", stripe_server.key + "x", stripe_server.key.upper()):
        with pytest.raises(stripe.AuthenticationError, match="Invalid API Key provided: ") as refused:
            client(stripe_server, key=key).v1.checkout.sessions.list()
        assert refused.value.http_status == 401
        assert key not in str(refused.value)


def test_one_at_a_time_changes_the_books() -> None:
    locked = []

    def time() -> float:
        # Asked in the middle of every change; the lock is one that its own thread may have again.
        with ThreadPoolExecutor(1) as other:
            locked.append(not other.submit(books.lock.acquire, blocking=False).result())
        return 0

    books = Books("http://127.0.0.1", time)
    session = books.create_session(FORM)
    assert books.pay(session.id, "ok").status == "complete"
    assert locked
    assert all(locked)
