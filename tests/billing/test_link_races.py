"""Many processes that pay the same hundred orders by link, all at once: each is charged once.

SMARTSUB_RACERS says how many processes; continuous integration has 50.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from smartsub_tui.billing import links, orders
from smartsub_tui.billing.providers import Provider, hold
from smartsub_tui.billing.providers.stripe import KEY_VARIABLE, Stripe
from smartsub_tui.billing.terms import Months
from smartsub_tui.clock import SystemClock
from smartsub_tui.config import PaymentSettings
from smartsub_tui.data.database import open_database
from smartsub_tui.data.models import Invoice, Order, Payment
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName
from smartsub_tui.errors import Refused
from tests.providers import pay
from tests.providers.process import started
from tests.support import NOW, add_office, add_people, add_prices, at_once, expiry, file_database, session_on, url_at

PROCESSES: Final = int(os.environ.get("SMARTSUB_RACERS", "12"))
ORDERS: Final = 100
SOON, LATER = date(2026, 12, 22), date(2027, 1, 22)


def pay_all(url: str, provider_url: str, key: str, place: int) -> str:
    """Pay every order by link, in an order of one's own; what was refused on the way, by its words."""
    settings = PaymentSettings(return_url="https://example.com/paid", stripe_url=provider_url)
    stripe = Stripe(settings, SystemClock(), environment={KEY_VARIABLE: key}, seconds=(60.0, 60.0))

    def provider(_: ProviderName) -> Provider:
        return stripe

    refused: Counter[str] = Counter()
    with closing(open_database(url)) as database:
        session = replace(session_on(database), providers=provider)
        numbers = [order.number for order in Order.select().order_by(Order.id)]
        random.Random(place).shuffle(numbers)
        for number in numbers:
            try:
                order = hold(database, provider, links.open_link(session, number)).order
            except Refused as error:
                refused[error.message.partition(": ")[2]] += 1
                continue
            (payment,) = order.payments
            if payment.state is PaymentState.SENT:
                pay(payment.link or "")  # the page is posted by each of them
                hold(database, provider, links.ask_order(session, number))
    return ", ".join(sorted(refused))


@pytest.mark.long
@pytest.mark.once
def test_a_hundred_orders_are_charged_a_hundred_times(tmp_path: Path) -> None:
    path = tmp_path / "shared.sqlite3"
    people = [f"u{place:03}" for place in range(ORDERS)]
    with closing(file_database(path)) as database:
        session = session_on(database)
        add_prices()
        add_people(add_office(), *people, expires_on=SOON)
        for key in people:
            orders.renew(session, "Oak House", [key], Months(1))
    with started(tmp_path) as remote:
        remote.post("clock", {"at": NOW.timestamp()})
        said = at_once(
            pay_all, [(url_at(path), remote.url, remote.key, place) for place in range(PROCESSES)], seconds=600
        )
        charges = remote.paid()
    assert {reason for each in said for reason in each.split(", ") if reason} <= {
        "it is already paid",
        "a payment through Stripe is under way (created)",
    }, said
    assert len(charges) == ORDERS
    with closing(open_database(url_at(path))):
        assert Counter(order.status for order in Order.select()) == {OrderStatus.SUCCEED: ORDERS}
        assert {expiry(key) for key in people} == {LATER}
        assert [each.sequence for each in Invoice.select().order_by(Invoice.sequence)] == list(range(1, ORDERS + 1))
        assert [(each.state, each.applied) for each in Payment.select()] == [(PaymentState.SUCCEEDED, True)] * ORDERS
