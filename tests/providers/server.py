"""The server: which call is asked for, who asks, under which key, and what goes wrong on the way."""

from __future__ import annotations

import html
import json
import re
import secrets
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from smartsub_tui.clock import Clock
from tests.providers import currencies
from tests.providers.books import CARD_NUMBER, Books, Session
from tests.providers.faults import Call, Fault, Faults
from tests.providers.forms import Form, inner, read_form, text
from tests.providers.keys import Answer
from tests.providers.refusals import Refusal
from tests.providers.wire import intent_json, list_json, refund_json, session_json

# How secret test keys of an account begin; the end is drawn for each server.
_KEY: Final = "sk_test_51TestProvider"


class StripeServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1 from the moment it is made; `serve_forever` answers, each call in a thread of its own."""

    request_queue_size = 256
    # The threads are waited for when the server closes, so that no socket outlives it.
    daemon_threads = False

    def __init__(self, port: int = 0, key: str | None = None, time: Callable[[], float] = time.time) -> None:
        super().__init__(("127.0.0.1", port), _Exchange)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.key = key or _KEY + secrets.token_hex(40)
        self.books = Books(self.url, time)
        self.faults = Faults()
        self.notice = ""  # sent in a header of every answer, where there is one

    def server_bind(self) -> None:
        # HTTPServer asks for its own name, which takes seconds where no resolver answers.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.socket.getsockname()[1]

    def shutdown_request(self, request: Any) -> None:
        # The end that a connection to be reset has: nothing is said goodbye to.
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER):
            request.close()
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients that gave up are part of the plan.
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


@contextmanager
def running(clock: Clock | None = None) -> Iterator[StripeServer]:
    """A server in a thread of this process, by the system's clock or by that of the application."""
    server = StripeServer(time=time.time if clock is None else lambda: clock.now().timestamp())
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), name="test provider")
    thread.start()
    try:
        yield server
    finally:
        server.faults.clear()
        server.shutdown()
        thread.join()
        server.server_close()


class _Sent(NamedTuple):
    status: int
    body: bytes
    content_type: str = "application/json"
    replayed: bool = False


class _Route(NamedTuple):
    method: str
    path: re.Pattern[str]
    call: Call | None
    answer: Callable[[Books, str, Form], dict[str, Any]]


def _route(method: str, path: str, call: Call | None, answer: Callable[[Books, str, Form], dict[str, Any]]) -> _Route:
    return _Route(method, re.compile(path.replace("{}", "([^/]+)")), call, answer)


def _expanded(form: Form, outer: str = "") -> list[str]:
    """What `expand[]` names, without what it stands in."""
    names = [name.removeprefix(outer) for name in inner(form, "expand").values() if isinstance(name, str)]
    for name in names:
        if name != "payment_intent":
            raise Refusal(f"This property cannot be expanded ({name}).", param="expand")
    return names


def _create(books: Books, _: str, form: Form) -> dict[str, Any]:
    expand = _expanded(form)
    return session_json(books, books.create_session(form), expand)


def _retrieve(books: Books, id: str, form: Form) -> dict[str, Any]:
    return session_json(books, books.session(id), _expanded(form))


def _list(books: Books, _: str, form: Form) -> dict[str, Any]:
    expand = _expanded(form, "data.")
    sessions, more = books.list_sessions(form)
    return list_json("/v1/checkout/sessions", [session_json(books, each, expand) for each in sessions], more)


def _expire(books: Books, id: str, form: Form) -> dict[str, Any]:
    expand = _expanded(form)
    return session_json(books, books.expire_session(id, form), expand)


def _refund_list(books: Books, _: str, form: Form) -> dict[str, Any]:
    refunds, more = books.list_refunds(form)
    return list_json("/v1/refunds", [refund_json(each) for each in refunds], more)


_ROUTES: Final = (
    _route("POST", "/v1/checkout/sessions", Call.CREATE, _create),
    _route("GET", "/v1/checkout/sessions", Call.LIST, _list),
    _route("GET", "/v1/checkout/sessions/{}", Call.RETRIEVE, _retrieve),
    _route("POST", "/v1/checkout/sessions/{}/expire", Call.EXPIRE, _expire),
    _route("POST", "/v1/refunds", Call.REFUND, lambda books, _, form: refund_json(books.create_refund(form))),
    _route("GET", "/v1/refunds", Call.REFUND_LIST, _refund_list),
    _route("GET", "/v1/refunds/{}", Call.REFUND_RETRIEVE, lambda books, id, _: refund_json(books.refund(id))),
    _route("POST", "/v1/payment_intents", None, lambda books, _, form: intent_json(books, books.create_intent(form))),
    _route("GET", "/v1/payment_intents/{}", None, lambda books, id, _: intent_json(books, books.intent(id))),
)
_AMOUNTS: Final = frozenset({"amount", "amount_received", "amount_subtotal", "amount_total"})
_PAY = re.compile("/c/pay/([^/]+)/pay")
_PAGE = re.compile("/c/pay/([^/]+)")


def _call(method: str, path: str) -> Call | None:
    """What can fail of what is asked for."""
    if method == "POST" and _PAY.fullmatch(path):
        return Call.PAY
    return next((route.call for route in _ROUTES if route.method == method and route.path.fullmatch(path)), None)


class _Exchange(BaseHTTPRequestHandler):
    """One request and its answer; then the connection is closed."""

    server: StripeServer
    protocol_version = "HTTP/1.1"
    # Who says nothing for so long keeps no server from ending.
    timeout = 30
    fault: Fault | None = None

    def handle(self) -> None:
        # Only looked at, not read: a refused call is one that nobody took.
        line = self.connection.recv(65_536, socket.MSG_PEEK).split(b"\r\n")[0].decode("latin-1").split(" ")
        if len(line) == 3 and (call := _call(line[0], urlsplit(line[1]).path)):
            self.fault = self.server.faults.take(call)
        if self.fault is Fault.REFUSED:
            self._reset()
        else:
            self.handle_one_request()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the plan of faults keeps what was asked."""

    def do_GET(self) -> None:
        self._exchange("GET")

    def do_POST(self) -> None:
        self._exchange("POST")

    def _exchange(self, method: str) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.fault is Fault.RESET_BEFORE:
            self._reset()
            return
        if parts.path.startswith("/test/"):
            sent = self._control(method, parts.path, body)
        elif parts.path.startswith("/c/"):
            sent = self._customer(method, parts.path, body)
        else:
            sent = self._api(method, parts.path, body if method == "POST" else parts.query)
        self._hold_where(Fault.SLOW)
        if self.fault is Fault.RESET_AFTER:
            self._reset()
        elif self.fault is Fault.BAD_GATEWAY:
            self._send(self._page(502, "Bad gateway"))
        else:
            self._send(sent)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _hold_where(self, fault: Fault) -> None:
        if self.fault is fault:
            self.server.faults.hold(self.connection)

    def _send(self, sent: _Sent) -> None:
        self.send_response(sent.status)
        self.send_header("Request-Id", "req_" + secrets.token_hex(7))
        self.send_header("Content-Type", sent.content_type)
        self.send_header("Content-Length", str(len(sent.body)))
        self.send_header("Connection", "close")
        if self.server.notice:
            self.send_header("Stripe-Notice", self.server.notice)
        if sent.replayed:
            self.send_header("Idempotent-Replayed", "true")
        self.end_headers()
        self.wfile.write(sent.body)

    # The interface

    def _api(self, method: str, path: str, encoded: str) -> _Sent:
        try:
            self._authorise()
            route, id = _found(method, path)
            if self.fault is Fault.RATE_LIMITED:
                raise _rate_limited()
            if self.fault is Fault.HTML:
                return self._page(200, "Log in to this network")
            key = self.headers.get("Idempotency-Key") if method == "POST" else None
            if key is None:
                return _Sent(*self._falsified(self._answered(route, id, encoded)))
            return self._once(key, route, id, path, encoded)
        except Refusal as refusal:
            return _Sent(*_refused(refusal))

    def _authorise(self) -> None:
        kind, _, key = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not key:
            raise Refusal(
                "You did not provide an API key. You need to provide your API key in the Authorization header,"
                " using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
                status=401,
            )
        if key != self.server.key:
            shown = f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}" if len(key) > 12 else "*" * len(key)
            raise Refusal(f"Invalid API Key provided: {shown}", status=401)

    def _once(self, key: str, route: _Route, id: str, path: str, encoded: str) -> _Sent:
        """The answer under a key: the one that is kept, or a new one."""
        books = self.server.books
        with books.lock:
            if self.fault is Fault.FORGOTTEN_KEY:
                books.keys.forget(key)
            kept = books.keys.begin(key, path, encoded, books.now())
        if kept is not None:
            wrong = self.fault in (Fault.ERROR_BEFORE, Fault.ERROR_AFTER)
            return _Sent(*self._error()) if wrong else _Sent(*self._falsified(kept), replayed=True)
        try:
            answer = self._answered(route, id, encoded)
        except Refusal as refusal:
            if not refusal.kept:
                books.keys.forget(key)
                raise
            answer = _refused(refusal)
        with books.lock:
            books.keys.keep(key, answer)
        return _Sent(*self._falsified(answer))

    def _answered(self, route: _Route, id: str, encoded: str) -> Answer:
        """Does what is asked for. What is false in the answer is not in here: nobody keeps it."""
        self._hold_where(Fault.LATE)
        if self.fault is Fault.ERROR_BEFORE:
            return self._error()
        books = self.server.books
        with books.lock:
            body = route.answer(books, id, read_form(encoded))
        return self._error() if self.fault is Fault.ERROR_AFTER else Answer(200, _encoded(body))

    def _error(self) -> Answer:
        """A provider's own failure, which tells what it should not."""
        return _refused(
            Refusal(
                f"An unknown error occurred (card {CARD_NUMBER}, key {self.server.key})", status=500, kind="api_error"
            )
        )

    def _falsified(self, answer: Answer) -> Answer:
        if answer.status != 200 or self.fault not in (Fault.WRONG_AMOUNT, Fault.WRONG_CURRENCY):
            return answer
        return Answer(200, _encoded(_false(json.loads(answer.body), self.fault)))

    # The page

    def _customer(self, method: str, path: str, form: str) -> _Sent:
        try:
            if method == "GET" and (match := _PAGE.fullmatch(path)):
                return self._form(self.server.books.session(match[1]))
            if method == "POST" and (match := _PAY.fullmatch(path)):
                return self._pay(match[1], text(read_form(form), "card") or "ok")
        except Refusal as refusal:
            return self._page(refusal.status, str(refusal))
        return self._page(404, "There is nothing here.")

    def _form(self, session: Session) -> _Sent:
        if session.status != "open":
            return self._page(410, f"This Checkout Session is {session.status}.")
        pay = (
            f'<form method="post" action="/c/pay/{session.id}/pay">'
            '<select name="card"><option>ok<option>declined<option>delayed</select> <button>Pay</button></form>'
        )
        return self._page(200, f"Pay {currencies.written(session.amount, session.currency)}", pay)

    def _pay(self, id: str, card: str) -> _Sent:
        if self.fault is Fault.RATE_LIMITED:
            return self._page(429, "Too many requests")
        if self.fault is Fault.HTML:
            return self._page(200, "Log in to this network")
        if self.fault is Fault.ERROR_BEFORE:
            return self._page(500, "Something went wrong")
        self._hold_where(Fault.LATE)
        books = self.server.books
        with books.lock:
            right = books.session(id)
            false = _false({"amount": right.amount, "currency": right.currency}, self.fault)
            session = books.pay(id, card, **false)
        if self.fault is Fault.ERROR_AFTER:
            return self._page(500, "Something went wrong")
        return self._page(200, f"Paid: {currencies.written(session.amount, session.currency)}")

    def _page(self, status: int, says: str, more: str = "") -> _Sent:
        secret = f"<!-- card {CARD_NUMBER}, key {self.server.key} -->" if self.fault else ""
        page = f"<!doctype html><title>Checkout</title>{secret}<p>{html.escape(says)}</p>{more}\n"
        return _Sent(status, page.encode(), content_type="text/html; charset=utf-8")

    # What tests ask from another process

    def _control(self, method: str, path: str, body: str) -> _Sent:
        name = path.removeprefix("/test/")
        try:
            if method == "GET":
                return _Sent(200, _encoded(self._told(name)))
            return _Sent(200, _encoded(self._done(name, json.loads(body or "{}"))))
        except (LookupError, ValueError, TypeError, AssertionError) as error:
            return _Sent(400, _encoded({"error": f"{type(error).__name__}: {error}"}))

    def _told(self, name: str) -> Any:
        books = self.server.books
        with books.lock:
            if name == "requests":
                return list(self.server.faults.seen)
            tables: dict[str, dict[str, Any]] = {
                "charges": books.charges,
                "sessions": {id: books.session(id) for id in books.sessions},
                "intents": books.intents,
                "refunds": books.refunds,
            }
            return list(tables[name].values())

    def _done(self, name: str, asked: dict[str, Any]) -> Any:
        books, faults = self.server.books, self.server.faults
        with books.lock:
            if name == "faults":
                faults.put(asked)
            elif name == "release":
                faults.release()
            elif name == "clock":
                if "at" in asked:
                    books.put(asked["at"])
                books.advance(seconds=asked.get("seconds", 0))
                return {"now": books.now()}
            elif name == "settle":
                books.settle(asked["id"], succeeded=asked["succeeded"])
            elif name == "refunds":
                books.refunds_wait = asked["wait"]
            elif name == "notice":
                self.server.notice = asked["text"]
            elif name == "forget":
                books.keys.forget_all()
            else:
                raise LookupError(name)
        return {}


def _found(method: str, path: str) -> tuple[_Route, str]:
    for route in _ROUTES:
        if route.method == method and (match := route.path.fullmatch(path)):
            return route, match[1] if match.groups() else ""
    raise Refusal(f"Unrecognized request URL ({method}: {path}).", status=404)


def _rate_limited() -> Refusal:
    return Refusal("Request rate limit exceeded.", status=429, code="rate_limit")


def _refused(refusal: Refusal) -> Answer:
    return Answer(refusal.status, _encoded(refusal.body))


def _encoded(body: Any) -> bytes:
    return json.dumps(msgspec.to_builtins(body), indent=2).encode()


def _false(body: Any, fault: Fault | None) -> Any:
    """The same with other amounts, or another currency, wherever they stand."""
    if isinstance(body, list):
        return [_false(each, fault) for each in body]
    if not isinstance(body, dict):
        return body
    told = {name: _false(value, fault) for name, value in body.items()}
    if fault is Fault.WRONG_AMOUNT:
        told |= {name: value + 100 for name, value in told.items() if name in _AMOUNTS and value}
    if fault is Fault.WRONG_CURRENCY and told.get("currency"):
        told["currency"] = "gbp" if told["currency"] == "eur" else "eur"
    return told
