"""What tests of payments by Stripe share: the test provider, in a thread of its own."""

from collections.abc import Iterator

import pytest
import stripe

from tests.providers import StripeServer, running
from tests.providers.real import client


@pytest.fixture
def stripe_server() -> Iterator[StripeServer]:
    with running() as server:
        yield server


@pytest.fixture
def api(stripe_server: StripeServer) -> stripe.StripeClient:
    """The real library, talking to `stripe_server`."""
    return client(stripe_server)
