"""The real Stripe library, set to talk to the test provider and to do nothing of its own accord."""

from __future__ import annotations

from typing import Any, Final, Protocol

import stripe

# Else it writes an identification into the folder of the user's configuration, and sends it.
stripe.enable_telemetry = False


class Provider(Protocol):
    """What a client has to know of a server."""

    @property
    def url(self) -> str: ...
    @property
    def key(self) -> str: ...


ORDER: Final = "20261122090000000000"


def client(provider: Provider, *, key: str | None = None, seconds: float = 60) -> stripe.StripeClient:
    """With the provider's key, or another; it gives up after so many seconds, and tries nothing twice."""
    return stripe.StripeClient(
        key or provider.key,
        base_addresses={"api": provider.url},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=seconds),
    )


def item(amount: int, currency: str = "eur", quantity: int = 1) -> dict[str, Any]:
    """A line of an order; `amount` is that of one piece."""
    price = {"currency": currency, "unit_amount": amount, "product_data": {"name": "Intercom"}}
    return {"price_data": price, "quantity": quantity}


def checkout(now: int, **other: Any) -> Any:
    """What is asked for an order of 42.84 EUR that may be paid for an hour, changed by `other`; None: without it."""
    asked = {
        "mode": "payment",
        "line_items": [item(1428, quantity=2), item(1428)],
        "client_reference_id": ORDER,
        "metadata": {"order": ORDER},
        "payment_intent_data": {"metadata": {"order": ORDER}},
        "expires_at": now + 3600,
        "success_url": "https://example.com/paid",
        **other,
    }
    return {name: value for name, value in asked.items() if value is not None}
