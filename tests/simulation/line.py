"""Stripe's own library, and the test provider at the other end of a line that has no network in it.

What fails between them is drawn by the provider's plan of faults, as over the network.
"""

from __future__ import annotations

import io
from typing import Any, cast
from urllib.parse import urlsplit

import requests
import stripe
from requests.adapters import BaseAdapter
from stripe._http_client import HTTPClient

from smartsub_tui.billing.providers.stripe import KEY_VARIABLE, Stripe
from smartsub_tui.clock import Clock
from smartsub_tui.config import PaymentSettings
from tests.providers.books import Books
from tests.providers.faults import Fault, Faults
from tests.providers.server import _call, _Exchange

URL = "http://stripe.test"
KEY = "sk_test_simulation0000000000"
stripe.enable_telemetry = False


class Account:
    """What the provider has: books, a plan of faults, and orders about which it gives no answer (`silent`)."""

    def __init__(self, books: Books) -> None:
        self.url, self.key, self.books, self.faults = URL, KEY, books, Faults()
        self.silent: set[str] = set()

    def pay(self, link: str, card: str, fault: Fault | None) -> None:
        """The customer posts the page of a link."""
        path = f"{urlsplit(link).path}/pay"
        if fault not in (Fault.REFUSED, Fault.RESET_BEFORE):
            _Request(self, {}, fault)._customer("POST", path, f"card={card}")

    def is_silent_about(self, path: str, encoded: str) -> bool:
        session = self.books.sessions.get(path.split("/")[4] if path.count("/") > 3 else "")
        order = "" if session is None else session.client_reference_id or ""
        return order in self.silent or any(number in encoded for number in self.silent)


class _Request(_Exchange):
    """A request that did not come through a socket."""

    def __init__(self, account: Account, headers: Any, fault: Fault | None) -> None:
        self.server, self.headers, self.fault = cast(Any, account), headers, fault


class _Line(BaseAdapter):
    def __init__(self, account: Account) -> None:
        super().__init__()
        self._account = account

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        parts, method = urlsplit(cast(str, request.url)), cast(str, request.method)
        body = request.body.decode() if isinstance(request.body, bytes) else request.body or ""
        encoded = cast(str, body) if method == "POST" else parts.query
        call = _call(method, parts.path)
        assert call is not None, parts.path
        fault = self._account.faults.take(call)
        if self._account.is_silent_about(parts.path, encoded) or fault in (Fault.REFUSED, Fault.RESET_BEFORE):
            raise requests.ConnectionError("reset")
        asked = _Request(self._account, request.headers, fault)
        sent = asked._api(method, parts.path, encoded)
        if fault is Fault.RESET_AFTER:
            raise requests.ConnectionError("reset")
        if fault is Fault.BAD_GATEWAY:
            sent = asked._page(502, "Bad gateway")
        response = requests.Response()
        response.status_code, response.url, response.request = sent.status, cast(str, request.url), request
        response.headers.update({"Content-Type": sent.content_type})
        response.raw = io.BytesIO(sent.body)
        return response

    def close(self) -> None:
        pass


class StripeOnTheLine(Stripe):
    """The product's Stripe, whose library is connected to an account in this process."""

    def __init__(self, settings: PaymentSettings, clock: Clock, account: Account) -> None:
        super().__init__(settings, clock, environment={KEY_VARIABLE: account.key})
        HTTPClient.INITIAL_DELAY = 0
        session = requests.Session()
        session.mount(URL, _Line(account))
        self._client = stripe.StripeClient(
            account.key,
            base_addresses=cast(Any, {"api": URL}),
            max_network_retries=1,
            http_client=stripe.RequestsClient(session=session),
        )
