"""Each fault at each call, as the real library sees it, and what happened in spite of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import RemoteDisconnected
from typing import Any, Final

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from tests.providers import CARD_NUMBER, Call, Fault, Page, StripeServer, pay, running
from tests.providers.faults import Faults
from tests.providers.real import checkout, client

PAID: Final = 4284


class Account:
    """A server with an open session, a paid one and a refund: something for every call."""

    def __init__(self, server: StripeServer) -> None:
        self.server = server
        api = client(server).v1
        self.open, paid = (api.checkout.sessions.create(checkout(server.books.now())) for _ in range(2))
        pay(str(paid.url))
        self.intent = str(api.checkout.sessions.retrieve(paid.id).payment_intent)
        self.refunded = api.refunds.create({"payment_intent": self.intent, "amount": 1})
        self.before = self.state()

    def state(self) -> tuple[int, str, int, int]:
        """What calls change: the sessions, the open one of them, the money taken, the refunds."""
        books = self.server.books
        status = books.sessions[self.open.id].status
        return len(books.sessions), status, sum(charge.amount for charge in books.paid()), len(books.refunds)

    def ask(self, call: Call, seconds: float = 60) -> Any:
        return ASK[call](self, client(self.server, seconds=seconds))


ASK: Final[dict[Call, Callable[[Account, stripe.StripeClient], Any]]] = {
    Call.CREATE: lambda on, api: api.v1.checkout.sessions.create(checkout(on.server.books.now())),
    Call.RETRIEVE: lambda on, api: api.v1.checkout.sessions.retrieve(on.open.id),
    Call.LIST: lambda on, api: api.v1.checkout.sessions.list(),
    Call.EXPIRE: lambda on, api: api.v1.checkout.sessions.expire(on.open.id),
    Call.REFUND: lambda on, api: api.v1.refunds.create({"payment_intent": on.intent, "amount": 2}),
    Call.REFUND_RETRIEVE: lambda on, api: api.v1.refunds.retrieve(on.refunded.id),
    Call.REFUND_LIST: lambda on, api: api.v1.refunds.list({"payment_intent": on.intent}),
    Call.PAY: lambda on, api: pay(str(on.open.url)),
}
DONE: Final[dict[Call, tuple[int, str, int, int]]] = {
    Call.CREATE: (3, "open", PAID, 1),
    Call.EXPIRE: (2, "expired", PAID, 1),
    Call.REFUND: (2, "open", PAID, 2),
    Call.PAY: (2, "complete", 2 * PAID, 1),
}
# What the library raises, and the status that it tells.
RAISED: Final[dict[Fault, tuple[type[stripe.StripeError], int | None]]] = {
    Fault.REFUSED: (stripe.APIConnectionError, None),
    Fault.RESET_BEFORE: (stripe.APIConnectionError, None),
    Fault.RESET_AFTER: (stripe.APIConnectionError, None),
    Fault.ERROR_BEFORE: (stripe.APIError, 500),
    Fault.ERROR_AFTER: (stripe.APIError, 500),
    Fault.RATE_LIMITED: (stripe.RateLimitError, 429),
    Fault.HTML: (stripe.APIError, 200),
    Fault.BAD_GATEWAY: (stripe.APIError, 502),
}
OF_THE_APPLICATION: Final = [call for call in Call if call is not Call.PAY]


@pytest.fixture
def account(stripe_server: StripeServer) -> Account:
    return Account(stripe_server)


@pytest.mark.parametrize("fault", RAISED)
@pytest.mark.parametrize("call", OF_THE_APPLICATION)
def test_a_call_that_fails(account: Account, call: Call, fault: Fault) -> None:
    account.server.faults.plan(call, fault)
    kind, status = RAISED[fault]
    with pytest.raises(kind) as failed:
        account.ask(call)
    assert type(failed.value) is kind
    assert failed.value.http_status == status
    assert account.state() == (DONE.get(call, account.before) if fault.takes_effect else account.before)
    assert account.server.faults.seen[-1] == (call, fault)
    account.server.faults.clear()
    assert account.ask(Call.LIST).data


@pytest.mark.parametrize("fault", [Fault.WRONG_AMOUNT, Fault.WRONG_CURRENCY])
@pytest.mark.parametrize("call", OF_THE_APPLICATION)
def test_a_call_that_tells_something_false(account: Account, call: Call, fault: Fault) -> None:
    account.server.faults.plan(call, fault)
    told = account.ask(call)
    told = told.data[0] if call in (Call.LIST, Call.REFUND_LIST) else told
    amount = told.amount if "refund" in call else told.amount_total
    right = {Call.REFUND: 2, Call.REFUND_RETRIEVE: 1, Call.REFUND_LIST: 1}.get(call, PAID)
    assert (amount == right) is (fault is Fault.WRONG_CURRENCY)
    assert (told.currency == "eur") is (fault is Fault.WRONG_AMOUNT)
    # Told, not done: what is asked next is answered rightly.
    assert account.state() == DONE.get(call, account.before)
    assert all(session.amount_total == PAID and session.currency == "eur" for session in account.ask(Call.LIST))


@pytest.mark.parametrize("call", Call)
@pytest.mark.parametrize("fault", [Fault.SLOW, Fault.LATE])
def test_a_call_that_is_held_goes_on_when_it_is_let_go(account: Account, call: Call, fault: Fault) -> None:
    account.server.faults.plan(call, fault)
    done = DONE.get(call, account.before)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(account.ask, call)
        account.server.faults.wait_until_held()
        assert account.state() == (done if fault is Fault.SLOW else account.before)
        account.server.faults.release()
        assert answer.result()
    assert account.state() == done


@pytest.mark.parametrize("call", OF_THE_APPLICATION)
@pytest.mark.parametrize("fault", [Fault.SLOW, Fault.LATE])
def test_a_call_that_nobody_waits_for_is_done_all_the_same(call: Call, fault: Fault) -> None:
    with running() as server:
        account = Account(server)
        server.faults.plan(call, fault)
        with pytest.raises(stripe.APIConnectionError):
            account.ask(call, seconds=0.05)
        server.faults.wait_until_seen(call, fault)
    # The server has ended: whatever it was at is done.
    assert account.state() == DONE.get(call, account.before)


@pytest.mark.parametrize("fault", [fault for fault in Fault if not fault.holds])
def test_a_customer_who_meets_a_fault(account: Account, fault: Fault) -> None:
    account.server.faults.plan(Call.PAY, fault)
    resets = (Fault.REFUSED, Fault.RESET_BEFORE, Fault.RESET_AFTER)
    if fault in resets:
        with pytest.raises((ConnectionResetError, RemoteDisconnected)):
            account.ask(Call.PAY)
    else:
        page: Page = account.ask(Call.PAY)
        statuses = {Fault.ERROR_BEFORE: 500, Fault.ERROR_AFTER: 500, Fault.RATE_LIMITED: 429, Fault.BAD_GATEWAY: 502}
        assert page.status == statuses.get(fault, 200)
    charges = account.server.books.paid()[1:]
    assert len(charges) == fault.takes_effect
    for charge in charges:
        assert (charge.amount == PAID) is (fault is not Fault.WRONG_AMOUNT)
        assert (charge.currency == "eur") is (fault is not Fault.WRONG_CURRENCY)


def test_what_was_charged_wrongly_stays_so(account: Account, api: stripe.StripeClient) -> None:
    account.server.faults.plan(Call.PAY, Fault.WRONG_AMOUNT)
    account.ask(Call.PAY)
    session = api.v1.checkout.sessions.retrieve(account.open.id, {"expand": ["payment_intent"]})
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    assert (session.payment_status, session.amount_total) == ("paid", PAID + 100)
    assert session.payment_intent.amount_received == PAID + 100


@pytest.mark.parametrize("fault", [Fault.ERROR_BEFORE, Fault.ERROR_AFTER, Fault.HTML, Fault.BAD_GATEWAY])
def test_errors_tell_secrets_that_nobody_may_pass_on(account: Account, fault: Fault) -> None:
    account.server.faults.plan(Call.CREATE, fault)
    with pytest.raises(stripe.APIError) as failed:
        account.ask(Call.CREATE)
    told = f"{failed.value} {failed.value.http_body}"
    assert account.server.key in told
    assert CARD_NUMBER in told


def test_the_nth_call_fails_and_no_other(account: Account) -> None:
    account.server.faults.plan(Call.RETRIEVE, Fault.RATE_LIMITED, nth=2)
    account.server.faults.plan(Call.RETRIEVE, Fault.ERROR_BEFORE, nth=4)
    got: list[int | None] = []
    for _ in range(5):
        account.ask(Call.LIST)
        try:
            account.ask(Call.RETRIEVE)
            got.append(200)
        except stripe.StripeError as failed:
            got.append(failed.http_status)
    assert got == [200, 429, 200, 500, 200]


def test_an_outage_lasts_until_it_is_cleared(account: Account) -> None:
    account.server.faults.always(Fault.REFUSED, Call.CREATE)
    account.ask(Call.LIST)
    account.server.faults.always(Fault.REFUSED)
    for call in OF_THE_APPLICATION:
        with pytest.raises(stripe.APIConnectionError):
            account.ask(call)
    account.server.faults.clear()
    assert account.state() == account.before
    assert account.ask(Call.CREATE).status == "open"


@given(st.integers(), st.floats(0, 1), st.lists(st.sampled_from(Call), max_size=40))
def test_chance_is_the_same_for_the_same_seed(seed: int, rate: float, calls: list[Call]) -> None:
    def drawn(**only: Any) -> list[Fault | None]:
        faults = Faults()
        faults.at_random(seed, rate, **only)
        return [faults.take(call) for call in calls]

    every = drawn()
    assert every == drawn()
    as_json = Faults()
    as_json.put({"random": {"seed": seed, "rate": rate}})
    assert every == [as_json.take(call) for call in calls]
    assert not any(fault and fault.holds for fault in every)
    # A call that may not fail takes nothing from the others.
    but_pay = drawn(calls=OF_THE_APPLICATION)
    assert but_pay == [None if call is Call.PAY else fault for call, fault in zip(calls, every, strict=True)]


def test_chance_has_every_fault_at_its_rate() -> None:
    faults = Faults()
    faults.at_random(seed=7, rate=0.25)
    drawn = [faults.take(Call.CREATE) for _ in range(4000)]
    assert set(drawn) == {None, *(fault for fault in Fault if not fault.holds)}
    assert 0.2 < sum(fault is not None for fault in drawn) / len(drawn) < 0.3
