"""The customer: opens the page behind a link and pays."""

from __future__ import annotations

import http.client
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit


class Page(NamedTuple):
    status: int
    text: str


def visit(url: str) -> Page:
    """The page behind the link of a session."""
    return _ask("GET", url, "", None)


def pay(url: str, card: str = "ok") -> Page:
    """Posts the form of that page: card is "ok", "declined", or "delayed". Errors of the connection are raised."""
    return _ask("POST", url, "/pay", urlencode({"card": card}))


def _ask(method: str, url: str, more: str, form: str | None) -> Page:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.request(method, parts.path + more, form, {"Content-Type": "application/x-www-form-urlencoded"})
        with connection.getresponse() as response:
            return Page(response.status, response.read().decode())
    finally:
        connection.close()
