"""Stripe by its library, against the test provider: amounts, the key, and what its answers and errors mean."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from smartsub_tui.billing import changes, links, orders, payments, refunds
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.providers import (
    DEADLINE,
    Back,
    Checkout,
    Ended,
    Item,
    Link,
    LinkState,
    No,
    PaidBack,
    Unknown,
    hold,
    of_settings,
    step,
)
from smartsub_tui.billing.providers.manual import ByHand
from smartsub_tui.billing.providers.stripe import KEY_VARIABLE, Stripe, _failure, from_stripe, read_key, to_stripe
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.sweep import sweep
from smartsub_tui.billing.terms import Months, Until
from smartsub_tui.config import PaymentSettings, Settings
from smartsub_tui.data.models import AuditEvent, Order, OrderLine, Payment, Refund
from smartsub_tui.data.money import DECIMALS, Money
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName, RefundState
from smartsub_tui.errors import Refused, WrongUsage
from tests.billing.paying import held, paying_by
from tests.providers import Call, Fault, StripeServer, pay, running
from tests.providers import server as server_module
from tests.support import NOW, TODAY, FixedClock, add_community, add_people, add_prices

SECONDS = (1.0, 0.25)
SET_UP = PaymentSettings(return_url="https://example.com/paid")
TOTAL = Money(1190, "EUR")
KEY = "sk_test_" + "a" * 40


@pytest.fixture
def server(clock: FixedClock) -> Iterator[StripeServer]:
    with running(clock=clock) as made:
        yield made


@pytest.fixture
def stripe(server: StripeServer) -> Stripe:
    settings = replace(SET_UP, stripe_url=server.url)
    return Stripe(settings, FixedClock(NOW), seconds=SECONDS, environment={KEY_VARIABLE: server.key})


def checkout(*items: Item, total: Money = TOTAL, **changed: Any) -> Checkout:
    made = Checkout(
        key="smartsub-1-1",
        order="1",
        total=total,
        items=items or (Item("Order 1", 1, total.amount),),
        ends_at=NOW + timedelta(hours=1),
        created_at=NOW,
    )
    return replace(made, **changed)


def back(charge: str, **changed: Any) -> Back:
    made = Back(
        key="smartsub-1-1-back-1",
        order="1",
        charge=charge,
        amount=Money(1190, "EUR"),
        reference=None,
        created_at=NOW,
        asked_at=NOW,
        again=False,
    )
    return replace(made, **changed)


def opened(stripe: Stripe, asked: Checkout | None = None) -> Link:
    link = stripe.create(asked or checkout())
    assert isinstance(link, Link), link
    return link


def charged(stripe: Stripe) -> str:
    """A payment by the link, by its charge."""
    link = opened(stripe)
    pay(link.url or "")
    paid = stripe.look_up(checkout(), link.reference)
    assert isinstance(paid, Link)
    return paid.charge or ""


# Amounts


@pytest.mark.parametrize(
    ("money", "theirs"),
    [
        (Money(1234, "EUR"), 1234),
        (Money(500, "JPY"), 500),
        (Money(5, "ISK"), 500),
        (Money(5, "UGX"), 500),
        (Money(500, "MGA"), 5),
        (Money(5120, "KWD"), 5120),
    ],
)
def test_an_amount_in_their_units_is_the_same_money(money: Money, theirs: int) -> None:
    assert to_stripe(money) == theirs
    assert from_stripe(theirs, money.currency.lower()) == money


@pytest.mark.parametrize("money", [Money(5123, "KWD"), Money(501, "MGA"), Money(1, "CLF"), Money(1, "XXX")])
def test_what_stripe_cannot_take_exactly_is_refused(stripe: Stripe, money: Money) -> None:
    with pytest.raises(ValueError, match="take the money in another way"):
        to_stripe(money)
    assert isinstance(stripe.create(checkout(total=money)), No)
    assert isinstance(stripe.refund(back("pi_1", amount=money)), No)


@given(st.sampled_from(sorted(DECIMALS)), st.integers(0, 10**12))
def test_no_amount_changes_on_its_way(currency: str, amount: int) -> None:
    try:
        theirs = to_stripe(Money(amount, currency))
    except ValueError:
        return
    assert from_stripe(theirs, currency.lower()) == Money(amount, currency)


@pytest.mark.parametrize(("amount", "currency"), [(1, "xxx"), (50, "isk"), (101, "ugx")])
def test_an_amount_that_is_none_is_no_answer(amount: int, currency: str) -> None:
    with pytest.raises(ValueError, match=r"currency|unit"):
        from_stripe(amount, currency)


# The key


def test_the_key_comes_from_the_environment_or_a_file_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    file.chmod(0o600)
    settings = replace(SET_UP, stripe_key_file=str(file))
    assert read_key(settings, {}) == KEY
    assert read_key(settings, {KEY_VARIABLE: "sk_live_another"}) == "sk_live_another"
    made = Stripe(settings, FixedClock(), environment={})
    assert KEY not in repr(made)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(mode)
    with pytest.raises(WrongUsage, match="can be read by others: chmod 600"):
        read_key(replace(SET_UP, stripe_key_file=str(file)), {})
    assert stat.S_IMODE(file.stat().st_mode) == mode


@pytest.mark.parametrize("name", ["~nobody_of_this_name/stripe.key", "stripe\0key", "x" * 5000, "/", "/dev/zero"])
def test_a_name_of_no_file_is_refused(name: str) -> None:
    with pytest.raises(WrongUsage):
        read_key(replace(SET_UP, stripe_key_file=name), {})


def test_what_is_no_key_is_refused_without_being_told(tmp_path: Path) -> None:
    typed = "not a key but still a secret"
    for environment in ({KEY_VARIABLE: typed}, {KEY_VARIABLE: "é" * 20}):
        with pytest.raises(WrongUsage, match="holds no key") as caught:
            read_key(SET_UP, environment)
        assert typed not in caught.value.message
    empty = tmp_path / "empty"
    empty.touch(mode=0o600)
    with pytest.raises(WrongUsage, match=f"{empty} holds no key"):
        read_key(replace(SET_UP, stripe_key_file=str(empty)), {})
    with pytest.raises(WrongUsage, match="cannot be read"):
        read_key(replace(SET_UP, stripe_key_file=str(tmp_path / "nothing")), {})
    with pytest.raises(WrongUsage, match="no file of this user"):
        read_key(replace(SET_UP, stripe_key_file="/dev/null"), {})
    with pytest.raises(
        WrongUsage, match=r"^Stripe is not set up: write its key into a file of mode 0600 and name that"
    ):
        read_key(SET_UP, {})
    with pytest.raises(
        WrongUsage, match=r"^Stripe is not set up: set \[payments\] return_url, where the browser goes after a payment$"
    ):
        read_key(PaymentSettings(), {KEY_VARIABLE: KEY})
    with pytest.raises(WrongUsage, match="not set up"):
        read_key(SET_UP, {})


def test_a_netrc_does_not_take_the_place_of_the_key(
    server: StripeServer, stripe: Stripe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert opened(stripe).state is LinkState.OPEN
    assert os.listdir(tmp_path) == [".netrc"]  # and nothing was written there


# Answers


def test_an_answer_about_another_payment_is_not_believed(stripe: Stripe) -> None:
    link = opened(stripe)
    other = checkout(key="smartsub-2-1")
    assert stripe.look_up(other, link.reference) == Unknown("Stripe answered about another payment")


def test_items_that_do_not_add_up_are_not_sent(server: StripeServer, stripe: Stripe) -> None:
    assert isinstance(stripe.create(checkout(Item("a", 2, 100))), No)
    assert server.faults.seen == []


def test_a_link_that_is_gone_is_unknown_not_untaken(stripe: Stripe) -> None:
    answer = stripe.look_up(checkout(), "cs_test_nothing")
    assert answer == Unknown("Stripe refuses the request (resource_missing)")


def test_a_total_that_is_too_small_is_a_definite_no(stripe: Stripe) -> None:
    assert stripe.create(checkout(total=Money(1, "EUR"))) == No(
        "the total is less than Stripe takes in this currency: take the money in another way"
    )


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.ERROR_BEFORE, Fault.HTML, Fault.RATE_LIMITED, Fault.SLOW])
def test_what_failed_on_the_way_is_unknown(server: StripeServer, stripe: Stripe, fault: Fault) -> None:
    server.faults.always(fault)
    assert isinstance(stripe.create(checkout()), Unknown)
    assert isinstance(stripe.look_up(checkout(), None), Unknown)
    assert isinstance(stripe.look_up(checkout(), "cs_test_1"), Unknown)
    assert isinstance(stripe.expire(checkout(), "cs_test_1"), Unknown)
    assert isinstance(stripe.refund(back("pi_1")), Unknown)
    assert isinstance(stripe.refund(back("pi_1", again=True)), Unknown)
    assert isinstance(stripe.refund(back("pi_1", reference="re_1")), Unknown)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault.RATE_LIMITED, "Stripe is asked too often"),
        (Fault.ERROR_BEFORE, "Stripe has a fault (HTTP 500)"),
        (Fault.RESET_BEFORE, "Stripe cannot be reached"),
    ],
)
def test_why_it_is_unknown_is_said(server: StripeServer, stripe: Stripe, fault: Fault, why: str) -> None:
    server.faults.always(fault)
    assert stripe.create(checkout()) == Unknown(why)


def test_a_refusal_without_a_code_is_said_as_one() -> None:
    for code in (None, "", "Not A Code"):
        refusal = Exception()
        refusal.http_status, refusal.code = 400, code  # type: ignore[attr-defined] # as the library's exceptions
        assert _failure(refusal) == No("Stripe refuses the request (no code)")


def test_with_a_wrong_key_looking_tells_nothing(server: StripeServer, stripe: Stripe) -> None:
    server.key = "another"
    assert isinstance(stripe.create(checkout()), No)
    assert isinstance(stripe.look_up(checkout(), None), Unknown)
    assert isinstance(stripe.refund(back("pi_1", again=True)), Unknown)
    assert isinstance(stripe.refund(back("pi_1")), No)


def test_an_end_that_is_refused_is_looked_up(server: StripeServer, stripe: Stripe) -> None:
    link = opened(stripe)
    pay(link.url or "")
    ended = stripe.expire(checkout(), link.reference)
    assert isinstance(ended, Link)
    assert ended.state is LinkState.PAID
    assert ended.paid == Money(1190, "EUR")


def test_an_end_that_did_not_come_is_unknown(server: StripeServer, stripe: Stripe) -> None:
    link = opened(stripe)
    server.faults.always(Fault.RESET_BEFORE, Call.EXPIRE)
    assert stripe.expire(checkout(), link.reference) == Unknown("Stripe did not end the link")


def test_the_library_writes_no_file_of_its_own(stripe: Stripe) -> None:
    import stripe as library

    library.enable_telemetry = True
    opened(stripe)
    assert library.enable_telemetry is False


# Paying back


def test_money_goes_back_once_under_its_key(server: StripeServer, stripe: Stripe) -> None:
    charge = charged(stripe)
    first = stripe.refund(back(charge))
    assert isinstance(first, PaidBack)
    assert {"smartsub-1-1", "smartsub-1-1-back-1"} <= server.books.keys.known()
    server.books.keys.forget_all()
    assert stripe.refund(back(charge, again=True)) == first
    assert stripe.refund(back(charge, reference=first.reference)) == first
    assert len(server.books.refunds) == 1


@pytest.mark.parametrize("amount", [500, 1190], ids=["part", "whole"])
def test_a_refund_without_an_answer_is_looked_for_before_it_is_sent_again(
    server: StripeServer, stripe: Stripe, amount: int
) -> None:
    """It was done, and its key is known no more: of a part Stripe would take a second one."""
    asked = back(charged(stripe), amount=Money(amount, "EUR"))
    server.faults.plan(Call.REFUND, Fault.RESET_AFTER)
    server.faults.plan(Call.REFUND, Fault.FORGOTTEN_KEY, nth=2)
    assert isinstance(stripe.refund(asked), Unknown)
    server.books.keys.forget_all()
    assert isinstance(stripe.refund(replace(asked, again=True)), PaidBack)
    assert [each.amount for each in server.books.refunds.values()] == [amount]


def test_what_was_never_sent_is_not_sent_when_its_key_is_old(stripe: Stripe) -> None:
    charge = charged(stripe)
    late = back(charge, again=True, created_at=NOW - timedelta(days=1))
    assert stripe.refund(late) == No("Stripe knows nothing of it")
    assert isinstance(stripe.refund(replace(late, created_at=NOW - timedelta(hours=22))), PaidBack)


def test_what_was_decided_long_ago_is_not_sent_unless_it_was_looked_for_just_now(
    server: StripeServer, stripe: Stripe
) -> None:
    unsent = Unknown("it was not sent: too much time had gone by since it was decided")
    too_long = DEADLINE + timedelta(microseconds=1)
    asked = back(charged(stripe), asked_at=NOW - too_long)
    for asked_at in (NOW - too_long, NOW + too_long):  # a clock may be put back
        for again in (False, True):
            assert stripe.refund(replace(asked, asked_at=asked_at, again=again)) == unsent
    assert server.books.refunds == {}
    assert isinstance(stripe.refund(replace(asked, asked_at=NOW - DEADLINE)), PaidBack)
    # What is only read is not sent.
    assert isinstance(stripe.refund(replace(asked, again=True)), PaidBack)


def test_who_stands_still_while_the_library_is_loaded_sends_nothing(
    server: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FixedClock(NOW)
    settings = replace(SET_UP, stripe_url=server.url)
    stripe = Stripe(settings, clock, seconds=SECONDS, environment={KEY_VARIABLE: server.key})
    connect = stripe._connect

    def slowly() -> object:
        clock.advance(days=1)
        return connect()

    monkeypatch.setattr(stripe, "_connect", slowly)
    answer = stripe.refund(back("pi_1"))
    assert isinstance(answer, Unknown)
    assert "it was not sent" in answer.why
    assert server.faults.seen == []


def test_a_refund_that_failed_is_a_definite_no(server: StripeServer, stripe: Stripe) -> None:
    charge = charged(stripe)
    server.books.refunds_wait = True
    waits = stripe.refund(back(charge))
    assert isinstance(waits, PaidBack)
    assert waits.under_way
    server.books.settle(waits.reference, succeeded=False)
    assert stripe.refund(back(charge, reference=waits.reference)) == No(
        "Stripe could not pay it back: pay it back in another way", waits.reference
    )


def test_a_refund_of_another_key_is_not_believed(stripe: Stripe) -> None:
    charge = charged(stripe)
    first = stripe.refund(back(charge))
    assert isinstance(first, PaidBack)
    other = back(charge, key="another", reference=first.reference)
    assert stripe.refund(other) == Unknown("Stripe answered about another refund")


@pytest.mark.parametrize("call", [Call.REFUND, Call.RETRIEVE])
def test_an_answer_that_is_none_is_not_understood(
    server: StripeServer, stripe: Stripe, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    from smartsub_tui.billing.providers import stripe as module

    charge = charged(stripe)
    link = stripe.look_up(checkout(), next(iter(server.books.sessions)))
    assert isinstance(link, Link)

    def misread(answer: Any, kind: Any) -> Any:
        raise ValueError("another shape")

    monkeypatch.setattr(module, "_read", misread)
    answer = stripe.refund(back(charge)) if call is Call.REFUND else stripe.look_up(checkout(), link.reference)
    assert answer == Unknown("Stripe answered in a way that is not understood")


Falsify = Callable[[Any], None]


@pytest.fixture
def falsify(monkeypatch: pytest.MonkeyPatch) -> Falsify:
    """From here on every good answer of the test provider is this one, or has these fields in each of its objects."""
    send = server_module._Exchange._send

    def plan(told: Any) -> None:
        def falsified(exchange: Any, sent: Any) -> None:
            body = json.loads(sent.body)
            if isinstance(told, dict):
                for each in body["data"] if body.get("object") == "list" else [body]:
                    each.update(told)
            send(exchange, sent._replace(body=json.dumps(body if isinstance(told, dict) else told).encode()))

        monkeypatch.setattr(server_module._Exchange, "_send", falsified)

    return plan


@pytest.mark.parametrize(
    "told", [[], [[]], None, 5, "text", {"id": ""}, {"id": "x\x1b[2J"}, {"id": 5}, {"metadata": 5}]
)
def test_an_answer_of_another_shape_is_unknown(stripe: Stripe, falsify: Falsify, told: Any) -> None:
    charge = charged(stripe)
    falsify(told)
    for answer in (
        stripe.create(checkout()),
        stripe.look_up(checkout(), "cs_1"),
        stripe.look_up(checkout(), None),
        stripe.expire(checkout(), "cs_1"),
        stripe.refund(back(charge)),
    ):
        assert isinstance(answer, (Unknown, No)), answer


@pytest.mark.parametrize(
    "told",
    [
        *({"expires_at": instant} for instant in (10**30, 253402300799, -1, None)),
        *({"amount_total": amount} for amount in (10**30, 2**63, 0, -5, None)),
        *({"url": url} for url in (None, "", "javascript:x", "https://x/\x1b]0;hi\x07", "https://x/" + "y" * 9000)),
        {"payment_intent": "pi 1"},
    ],
)
def test_a_link_that_can_be_neither_stored_nor_shown_is_none(stripe: Stripe, falsify: Falsify, told: Any) -> None:
    falsify(told)
    assert stripe.create(checkout()) == Unknown("Stripe answered in a way that is not understood")


@pytest.mark.parametrize("amount", [10**30, 0, -5])
def test_a_refund_of_no_amount_is_not_understood(stripe: Stripe, falsify: Falsify, amount: int) -> None:
    charge = charged(stripe)
    falsify({"amount": amount})
    assert stripe.refund(back(charge)) == Unknown("Stripe answered in a way that is not understood")


@pytest.mark.parametrize("fault", [Fault.WRONG_AMOUNT, Fault.WRONG_CURRENCY])
def test_a_refund_of_another_amount_is_not_believed(server: StripeServer, stripe: Stripe, fault: Fault) -> None:
    charge = charged(stripe)
    server.faults.plan(Call.REFUND, fault)
    assert stripe.refund(back(charge)) == Unknown("Stripe tells of another amount than was to be paid back")
    assert isinstance(stripe.refund(back(charge, again=True)), PaidBack)


@pytest.mark.long
@pytest.mark.parametrize("how", ["an error", "a header"])
def test_the_library_prints_nothing_of_what_it_hears(server: StripeServer, how: str) -> None:
    if how == "an error":
        server.faults.always(Fault.ERROR_BEFORE)
    else:
        server.notice = f"the key is {server.key}"
    asks = (
        "import sys\n"
        "from smartsub_tui.billing.providers.stripe import Stripe\n"
        "from smartsub_tui.clock import SystemClock\n"
        "from smartsub_tui.config import PaymentSettings\n"
        "from tests.billing.test_stripe import checkout\n"
        "settings = PaymentSettings(return_url='https://example.com/paid', stripe_url=sys.argv[1])\n"
        "print(Stripe(settings, SystemClock()).create(checkout()))\n"
    )
    environment = {**os.environ, KEY_VARIABLE: server.key, "STRIPE_LOG": "debug"}
    run = subprocess.run(
        [sys.executable, "-c", asks, server.url], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("Unknown(why='Stripe has a fault (HTTP 500)')\n" if how == "an error" else "Link(")
    assert run.stderr == ""


def test_sessions_of_others_in_the_account_are_passed_over(
    server: StripeServer, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program of the account may open sessions that move no money: they have no amount, and no metadata."""
    link = opened(stripe)
    opened(stripe, checkout(key="another-program"))
    send = server_module._Exchange._send

    def others(exchange: Any, sent: Any) -> None:
        body = json.loads(sent.body)
        for each in body.get("data", []):
            if each["id"] != link.reference:
                each.update(mode="setup", amount_total=None, currency=None, metadata=None)
        send(exchange, sent._replace(body=json.dumps(body).encode()))

    monkeypatch.setattr(server_module._Exchange, "_send", others)
    found = stripe.look_up(checkout(), None)
    assert isinstance(found, Link)
    assert found.reference == link.reference


def test_pages_without_end_are_not_read_for_ever(
    server: StripeServer, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smartsub_tui.billing.providers import stripe as module

    page = {
        "object": "list",
        "url": "/v1/checkout/sessions",
        "has_more": True,
        "data": [
            {
                "object": "checkout.session",
                "id": "cs_1",
                "status": "open",
                "payment_status": "unpaid",
                "expires_at": 1,
                "currency": "eur",
                "amount_total": 1190,
                "metadata": {},
            }
        ],
    }
    send = server_module._Exchange._send

    def endless(exchange: Any, sent: Any) -> None:
        send(exchange, sent._replace(status=200, body=json.dumps(page).encode()))

    monkeypatch.setattr(server_module._Exchange, "_send", endless)
    monkeypatch.setattr(module, "DEADLINE", timedelta(seconds=0.3))
    assert isinstance(stripe.look_up(checkout(), None), Unknown)
    for thread in threading.enumerate():
        if thread.name == "stripe":
            thread.join(5)
            assert not thread.is_alive()


def test_who_never_answers_is_not_waited_for(
    server: StripeServer, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smartsub_tui.billing.providers import stripe as module

    monkeypatch.setattr(module, "DEADLINE", timedelta(seconds=0.05))
    server.faults.always(Fault.SLOW)
    assert stripe.create(checkout()) == Unknown("Stripe did not answer in time")


# By hand


def test_by_hand_there_is_nobody_to_ask() -> None:
    by_hand = ByHand()
    assert isinstance(by_hand.create(checkout()), No)
    assert isinstance(by_hand.look_up(checkout(), None), Unknown)
    assert isinstance(by_hand.expire(checkout(), "x"), Unknown)
    assert by_hand.refund(back("", reference="cash")) == PaidBack(reference="cash", amount=Money(1190, "EUR"))


def test_the_providers_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    providers = of_settings(Settings(payments=SET_UP), FixedClock())
    assert isinstance(providers(ProviderName.STRIPE), Stripe)
    assert providers(ProviderName.STRIPE) is providers(ProviderName.STRIPE)
    assert isinstance(providers(ProviderName.BANK), ByHand)


# What is rare


@pytest.fixture
def paying(session: Session, server: StripeServer) -> Session:
    add_prices()
    add_people(add_community(), "u1", "u2", expires_on=TODAY + timedelta(days=30))
    return paying_by(session, server)


def test_a_renewal_by_the_day_and_an_activation_are_named(paying: Session) -> None:
    add_people(Order.select().first() or add_community("Ash Court"), "n1")
    daily = orders.renew(paying, "Elm Court", ["u1"], Until(TODAY + timedelta(days=40))).order.number
    first = orders.activate(paying, "Ash Court", ["Sales"]).order.number

    def names(number: str) -> list[str]:
        return [item.name for item in links.items_of(Order.get(Order.number == number))]

    assert names(daily) == ["app, renewal by the day, until 2027-01-01", "Tax 19 %"]
    assert names(first) == ["app, activation", "Tax 19 %"]


def test_an_order_of_more_kinds_than_a_checkout_holds_is_one_item(paying: Session) -> None:
    number = orders.renew(paying, "Elm Court", ["u1"], Months(1)).order.number
    OrderLine.update(amount=1).execute()
    order = Order.get(Order.number == number)
    assert links.items_of(order) == (Item(f"Order {number}", 1, order.total),)


def test_what_is_no_answer_is_a_defect_and_changes_nothing(paying: Session) -> None:
    number = orders.renew(paying, "Elm Court", ["u1"], Months(1)).order.number
    held(paying, links.open_link(paying, number))
    nothing: Any = None
    with pytest.raises(AssertionError, match="None is no answer"):
        links.hear(paying, Payment.get().id, nothing)
    assert Payment.get().state is PaymentState.SENT


def test_an_open_link_of_an_ended_payment_changes_nothing(paying: Session) -> None:
    number = orders.renew(paying, "Elm Court", ["u1"], Months(1)).order.number
    held(paying, links.open_link(paying, number))
    row = Payment.get()
    Payment.update(state=PaymentState.EXPIRED).execute()
    link = Link(state=LinkState.OPEN, reference=row.reference or "", url=row.link, ends_at=row.expires_at)
    links.hear(paying, row.id, link)
    assert Payment.get().state is PaymentState.EXPIRED


def test_another_amount_than_was_confirmed_is_noted(paying: Session) -> None:
    number = orders.renew(paying, "Elm Court", ["u1"], Months(1)).order.number
    held(paying, links.open_link(paying, number))
    row = Payment.get()
    under_way = Link(state=LinkState.UNDER_WAY, reference=row.reference or "", url=None, ends_at=row.expires_at)
    links.hear(paying, row.id, under_way)
    payments.confirm(paying, number, Manual("seen"))
    paid = replace(under_way, state=LinkState.PAID, charge="pi_1", paid=Money(1, "EUR"))
    links.hear(paying, row.id, paid)
    assert Payment.get().contested
    assert AuditEvent.select().order_by(AuditEvent.id.desc()).get().action == "contested"
    links.hear(paying, row.id, replace(paid, paid=Money(row.amount, "EUR")))
    assert Payment.get().contested


def test_more_than_is_left_is_not_paid_back(paying: Session) -> None:
    number = orders.renew(paying, "Elm Court", ["u1"], Months(1)).order.number
    payments.pay(paying, number, Manual("R", 100))

    def work(change: changes.Change) -> int:
        return refunds.begin(change, Payment.get(), 101, "why")

    with pytest.raises(Refused, match=r"only EUR 1.00 is left of the payment, not EUR 1.01"):
        changes.perform(paying, Permission.SWEEP, {}, int, work)


def test_a_refund_without_a_charge_goes_by_hand_and_ends_once(paying: Session, clock: FixedClock) -> None:
    number = orders.renew(paying, "Elm Court", ["u1"], Months(1)).order.number
    held(paying, links.open_link(paying, number))
    row = Payment.get()
    under_way = Link(state=LinkState.UNDER_WAY, reference=row.reference or "", url=None, ends_at=row.expires_at)
    links.hear(paying, row.id, replace(under_way, state=LinkState.PAID, paid=Money(1, "EUR")))
    held(paying, refunds.refund(paying, number, "why"))
    refund = Refund.get()
    assert refund.state is RefundState.DECLINED
    refunds.hear(paying, refund.id, Unknown("late"))
    held(paying, refunds.pay_back(paying, refund.id))
    assert Refund.get().state is RefundState.DECLINED
    held(paying, refunds.refund(paying, number, "why", reference="cash"))
    assert Payment.get().state is PaymentState.REFUNDED


def test_a_dry_run_of_refund_and_sweep_stores_nothing(paying: Session, clock: FixedClock) -> None:
    number = orders.renew(paying, "Elm Court", ["u1"], Months(1)).order.number
    payments.pay(paying, number, Manual("R", 100))
    held(paying, refunds.refund(paying, number, "why", dry_run=True))
    assert Refund.select().count() == 0
    clock.advance(days=2)
    assert hold(paying.database, paying.providers, sweep(paying, dry_run=True)).timed_out == 1
    assert Order.get().status is OrderStatus.PROCESSING


@pytest.mark.long
def test_a_refund_that_stays_unanswered_is_left_to_a_person(
    paying: Session, server: StripeServer, clock: FixedClock
) -> None:
    number = orders.renew(paying, "Elm Court", ["u1"], Months(1)).order.number
    order = held(paying, links.open_link(paying, number)).order
    server.faults.plan(Call.PAY, Fault.WRONG_AMOUNT)
    pay(order.payments[0].link or "")
    held(paying, links.ask_order(paying, number))
    server.books.refunds_wait = True
    held(paying, refunds.refund(paying, number, "why"))
    assert Refund.get().state is RefundState.PENDING
    server.faults.always(Fault.REFUSED)
    for _ in range(35):
        clock.advance(days=1)
        held(paying, sweep(paying))
    assert (Refund.get().state, Refund.get().ask_at) == (RefundState.PENDING, None)
    with pytest.raises(Refused, match="just being paid back"):
        held(paying, refunds.refund(paying, number, "why"))


def test_what_another_heard_first_is_left_alone(paying: Session, server: StripeServer, clock: FixedClock) -> None:
    number = orders.renew(paying, "Elm Court", ["u1"], Months(1)).order.number
    held(paying, links.open_link(paying, number))
    clock.advance(minutes=2)
    talk = sweep(paying)
    assert not isinstance(step(paying.database, talk, None), Ended)
    with pytest.raises(StopIteration) as ended:
        talk.throw(Refused("changed by someone else"))
    assert ended.value.value.payments == ()
