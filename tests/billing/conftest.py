"""An order that can be paid through the test provider."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smartsub_tui.billing import orders
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from tests.billing.paying import SOON, paying_by
from tests.providers import StripeServer, running
from tests.support import FixedClock, add_office, add_people, add_prices


@pytest.fixture
def server(clock: FixedClock) -> Iterator[StripeServer]:
    with running(clock=clock) as made:
        yield made


@pytest.fixture
def paying(session: Session, server: StripeServer) -> Session:
    add_prices()
    add_people(add_office(), "u1", "u2", expires_on=SOON)
    return paying_by(session, server)


@pytest.fixture
def number(paying: Session) -> str:
    return orders.renew(paying, "Oak House", ["u1"], Months(1)).order.number
