"""Stripe: hosted Checkout Sessions, opened, looked up, expired; and refunds. Its library is loaded with the first call.

Nothing that Stripe or the network says is shown as it came: it may repeat what was typed on the page, or a key. Errors
become sentences of ours, by their kind and code. An answer is believed only where it is about the payment that was
asked for: its key stands in the session's metadata.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from smartsub_tui.billing.providers import (
    DEADLINE,
    Back,
    BackAnswer,
    Checkout,
    Link,
    LinkAnswer,
    LinkState,
    No,
    PaidBack,
    Unknown,
)
from smartsub_tui.clock import Clock
from smartsub_tui.config import PaymentSettings
from smartsub_tui.data.money import DECIMALS, LARGEST, Money
from smartsub_tui.errors import WrongUsage

T = TypeVar("T")

KEY_VARIABLE: Final = "SMARTSUB_STRIPE_KEY"
_KEY = re.compile(r"[A-Za-z0-9_]{8,300}")
# A call has two attempts, each of which may take so many seconds to connect, and between two bytes.
_SECONDS: Final = (3.0, 6.0)

# Stripe writes some currencies with other decimals than ISO 4217 (docs.stripe.com/currencies, special cases).
_DECIMALS: Final = {"ISK": 2, "UGX": 2, "MGA": 0}
# Of those with three decimals the last digit has to be 0.
_IN_TENS: Final = 3

# Sessions of this window about the creation are looked through for one whose creation was not answered: the clocks of
# both sides may differ.
_BEFORE: Final = timedelta(minutes=10)
_AFTER: Final = timedelta(hours=1)
# A key is known to Stripe for at least 24 hours; the same request under it is safe for a little less.
_KEY_LASTS: Final = timedelta(hours=23)

_CODE = re.compile(r"[a-z_]{1,60}")
_SENTENCES: Final = {
    "amount_too_small": "the total is less than Stripe takes in this currency: take the money in another way",
    "amount_too_large": "the total is more than Stripe takes in one payment: take the money in another way",
    "charge_already_refunded": "Stripe has paid it back already",
}
_NO_SUCH: Final = "resource_missing"


# What can be stored and shown: another answer is none. An instant leaves room to count on from it.
_Id = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_]{1,255}\Z")]
_Instant = Annotated[int, Meta(ge=0, le=int(datetime(9999, 1, 1, tzinfo=UTC).timestamp()))]
_Amount = Annotated[int, Meta(gt=0, le=LARGEST)]
_ADDRESS = re.compile(r"https?://[!-~]{1,2000}")


class _Metadata(Struct, frozen=True):
    smartsub_key: str = ""


class _Named(Struct, frozen=True):
    """What is read of an object to see whether it is ours: others of the account may have no amount, or no link."""

    id: _Id
    metadata: _Metadata | None = None


class _Intent(Struct, frozen=True):
    id: _Id
    status: str


class _Session(Struct, frozen=True):
    id: _Id
    status: str
    payment_status: str
    expires_at: _Instant
    currency: str
    amount_total: _Amount
    url: str | None = None
    metadata: _Metadata = _Metadata()
    payment_intent: _Intent | _Id | None = None


class _Refund(Struct, frozen=True):
    id: _Id
    status: str
    amount: _Amount
    currency: str
    metadata: _Metadata = _Metadata()


class Stripe:
    """Stripe by its library; raises WrongUsage where it is not set up."""

    def __init__(
        self,
        settings: PaymentSettings,
        clock: Clock,
        *,
        seconds: tuple[float, float] = _SECONDS,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._settings, self._clock, self._seconds = settings, clock, seconds
        self._key = read_key(settings, environment)
        self._client: Any = None

    def __repr__(self) -> str:
        return "Stripe()"

    # What is asked

    def create(self, checkout: Checkout) -> LinkAnswer:
        try:
            prices = [(item, to_stripe(Money(item.price, checkout.total.currency))) for item in checkout.items]
            total = to_stripe(checkout.total)
        except ValueError as error:
            return No(str(error))
        if sum(item.quantity * price for item, price in prices) != total:
            return No("the items do not add up to the total in Stripe's units")
        currency = checkout.total.currency.lower()
        told = {"smartsub_key": checkout.key, "order": checkout.order}
        parameters = {
            "mode": "payment",
            "client_reference_id": checkout.order,
            "metadata": told,
            "payment_intent_data": {"metadata": told, "description": f"Order {checkout.order}"},
            "expires_at": int(checkout.ends_at.timestamp()),
            "success_url": self._settings.return_url,
            "line_items": [
                {
                    "quantity": item.quantity,
                    "price_data": {"currency": currency, "unit_amount": price, "product_data": {"name": item.name}},
                }
                for item, price in prices
            ],
        }
        made = self._call(
            lambda client: client.v1.checkout.sessions.create(parameters, {"idempotency_key": checkout.key})
        )
        return self._link(checkout, made)

    def look_up(self, checkout: Checkout, reference: str | None) -> LinkAnswer:
        if reference is None:
            found = self._find(checkout)
            if not isinstance(found, str):
                return found
            reference = found
        answer = self._link(checkout, self._call(lambda client: self._retrieve(client, reference)))
        # A link that there was does not go: who does not find it looks under another account's key.
        return Unknown(answer.why) if isinstance(answer, No) else answer

    def expire(self, checkout: Checkout, reference: str) -> LinkAnswer:
        answer = self._link(checkout, self._call(lambda client: client.v1.checkout.sessions.expire(reference)))
        if isinstance(answer, Link):
            return answer
        # Refused, for it is no longer open; or not answered. What it is now tells which.
        now = self.look_up(checkout, reference)
        if isinstance(now, Link) and now.state is LinkState.OPEN:
            return Unknown("Stripe did not end the link")
        return now

    def refund(self, back: Back) -> BackAnswer:
        try:
            amount = to_stripe(back.amount)
        except ValueError as error:
            return No(str(error))
        if back.reference is not None:
            reference = back.reference
            read = self._call(lambda client: client.v1.refunds.retrieve(reference))
            return Unknown(read.why) if isinstance(read, No) else self._paid_back(back, read)
        if back.again:
            # What was sent under a key may be known though the key is not any more: sent again, it would go back twice.
            known = self._call(lambda client: self._refunds_of(client, back))
            if isinstance(known, (No, Unknown)):
                return Unknown(known.why)
            if known:
                return self._paid_back(back, known[0])
            if back.asked_at - back.created_at > _KEY_LASTS:
                return No("Stripe knows nothing of it")
        parameters = {
            "payment_intent": back.charge,
            "amount": amount,
            "metadata": {"smartsub_key": back.key, "order": back.order},
        }
        # One attempt: a second by the library does not look first, and pays twice where the key is known no more.
        options = {"idempotency_key": back.key, "max_network_retries": 0}

        def send(client: Any) -> Any:
            # Who stood still until now does not know what was done meanwhile, nor whether the key is known still.
            if abs(self._clock.now() - back.asked_at) > DEADLINE:
                return Unknown("it was not sent: too much time had gone by since it was decided")
            return client.v1.refunds.create(parameters, options)

        return self._paid_back(back, self._call(send))

    # How it is read

    def _find(self, checkout: Checkout) -> str | No | Unknown:
        """The session that a creation without an answer made; reading makes none, whatever became of the key."""
        window = {
            "gte": int((checkout.created_at - _BEFORE).timestamp()),
            "lte": int((checkout.created_at + _AFTER).timestamp()),
        }

        def search(client: Any) -> list[str]:
            listed = client.v1.checkout.sessions.list({"created": window, "limit": 100})
            return [_read(each, _Named).id for each in islice(_of_key(listed, checkout.key), 1)]

        found = self._call(search)
        if isinstance(found, No):
            return Unknown(found.why)
        if isinstance(found, Unknown):
            return found
        return found[0] if found else No("Stripe has no such link")

    @staticmethod
    def _retrieve(client: Any, reference: str) -> Any:
        return client.v1.checkout.sessions.retrieve(reference, {"expand": ["payment_intent"]})

    @staticmethod
    def _refunds_of(client: Any, back: Back) -> list[Any]:
        listed = client.v1.refunds.list({"payment_intent": back.charge, "limit": 100})
        return list(_of_key(listed, back.key))

    def _link(self, checkout: Checkout, answer: Any) -> LinkAnswer:
        if isinstance(answer, (No, Unknown)):
            return answer
        try:
            session = _read(answer, _Session)
            paid = from_stripe(session.amount_total, session.currency)
        except ValueError:
            return _NOT_UNDERSTOOD
        if session.metadata.smartsub_key != checkout.key:
            return Unknown("Stripe answered about another payment")
        intent = session.payment_intent
        charge = intent.id if isinstance(intent, _Intent) else intent
        state = _state(session)
        if state is LinkState.OPEN and paid != checkout.total:
            return Unknown("Stripe asks for another amount than the order's")
        if state is LinkState.OPEN and not _ADDRESS.fullmatch(session.url or ""):
            return _NOT_UNDERSTOOD  # a link that nobody can open
        return Link(
            state=state,
            reference=session.id,
            url=session.url if state is LinkState.OPEN else None,
            ends_at=datetime.fromtimestamp(session.expires_at, UTC),
            charge=charge,
            paid=paid if state is LinkState.PAID else None,
        )

    @staticmethod
    def _paid_back(back: Back, answer: Any) -> BackAnswer:
        if isinstance(answer, (No, Unknown)):
            return answer
        try:
            refund = _read(answer, _Refund)
            amount = from_stripe(refund.amount, refund.currency)
        except ValueError:
            return _NOT_UNDERSTOOD
        if refund.metadata.smartsub_key != back.key:
            return Unknown("Stripe answered about another refund")
        if amount != back.amount:
            return Unknown("Stripe tells of another amount than was to be paid back")
        if refund.status in ("failed", "canceled"):
            return No("Stripe could not pay it back: pay it back in another way", refund.id)
        return PaidBack(reference=refund.id, amount=amount, under_way=refund.status != "succeeded")

    # How it is called

    def _call(self, ask: Callable[[Any], T]) -> T | No | Unknown:
        """What `ask` of the library's client gives, within the deadline, whatever network or library do."""
        answer: list[T | No | Unknown] = []

        def run() -> None:
            answer.append(self._answer(ask))

        asking = threading.Thread(target=run, name="stripe", daemon=True)
        asking.start()
        asking.join(DEADLINE.total_seconds())
        return answer[0] if answer else Unknown("Stripe did not answer in time")

    def _answer(self, ask: Callable[[Any], T]) -> T | No | Unknown:
        try:
            if self._client is None:
                self._client = self._connect()
            return ask(self._client)
        except Exception as error:
            # Whatever the library stumbles over, a page of HTML or an object of another shape, is no answer: what was
            # asked for may have happened.
            return _failure(error)

    def _connect(self) -> Any:
        # With this set it would print what Stripe says, card numbers and all, over the screen.
        os.environ.pop("STRIPE_LOG", None)
        # Its import may write hints for other programs to standard error.
        with contextlib.redirect_stderr(io.StringIO()):
            import requests
            import stripe
        # What Stripe has to say in the header Stripe-Notice would be printed as it comes.
        warnings.filterwarnings("ignore", module="stripe")
        stripe.enable_telemetry = False  # which would write a file into the home folder
        session = requests.Session()
        session.auth = _as_it_is
        addresses: Any = {"api": self._settings.stripe_url.rstrip("/")} if self._settings.stripe_url else {}
        return stripe.StripeClient(
            self._key,
            base_addresses=addresses,
            max_network_retries=1,
            http_client=stripe.RequestsClient(timeout=self._seconds, session=session),
        )


def _as_it_is(request: T) -> T:
    """Leaves the key where the library put it: without this, a .netrc of this user would be taken in its place."""
    return request


_NOT_UNDERSTOOD: Final = Unknown("Stripe answered in a way that is not understood")


def _read(answer: Any, kind: type[T]) -> T:
    """An object of the library as a value of ours; raises ValueError where it is no such thing."""
    if not hasattr(answer, "to_dict"):
        raise ValueError("a list, a text or nothing at all")
    return msgspec.convert(answer.to_dict(), kind, strict=False)


def _of_key(listed: Any, key: str) -> Iterator[Any]:
    """The objects under our key, over all pages of a list."""
    until = monotonic() + DEADLINE.total_seconds()
    for each in listed.auto_paging_iter():
        if monotonic() > until:
            raise TimeoutError  # nobody waits any more, and pages may go on for ever
        metadata = _read(each, _Named).metadata
        if metadata is not None and metadata.smartsub_key == key:
            yield each


def _state(session: _Session) -> LinkState:
    match session.status, session.payment_status:
        case "open", _:
            return LinkState.OPEN
        case "expired", _:
            return LinkState.EXPIRED
        case "complete", "paid" | "no_payment_required":
            return LinkState.PAID
        case _:
            # Complete and unpaid: the money takes its time, as a bank debit does, and may not come.
            intent = session.payment_intent
            failed = isinstance(intent, _Intent) and intent.status in ("requires_payment_method", "canceled")
            return LinkState.DECLINED if failed else LinkState.UNDER_WAY


def _failure(error: Exception) -> No | Unknown:
    """What an exception of the library means: definitely nothing, or nobody knows. Its own words are not used."""
    status = getattr(error, "http_status", None)
    if not isinstance(status, int):
        return Unknown("Stripe cannot be reached")
    if status in (401, 403):
        return No(f"Stripe refuses the key: look at [payments] stripe_key_file, or {KEY_VARIABLE}")
    code = getattr(error, "code", None)
    if status in (400, 402, 404) and type(error).__name__ != "IdempotencyError":
        known = code if isinstance(code, str) and _CODE.fullmatch(code) else "no code"
        return No(_SENTENCES.get(known, f"Stripe refuses the request ({known})"))
    if status == 429:
        return Unknown("Stripe is asked too often")
    return Unknown(f"Stripe has a fault (HTTP {status})")


# Amounts

_TEN: Final[Any] = 10  # to a power of which nobody knows that it is a whole number


def to_stripe(money: Money) -> int:
    """The amount in Stripe's units; raises ValueError where Stripe cannot take exactly that."""
    decimals = DECIMALS.get(money.currency)
    theirs = _DECIMALS.get(money.currency, decimals)
    if decimals is None or theirs is None or theirs > _IN_TENS:
        raise ValueError(f"Stripe takes no {money.currency}: take the money in another way")
    amount: int
    amount, rest = divmod(money.amount * _TEN**theirs, _TEN**decimals)
    if rest or (theirs == _IN_TENS and amount % 10):
        raise ValueError(f"Stripe cannot take exactly {money}: take the money in another way")
    return amount


def from_stripe(amount: int, currency: str) -> Money:
    """The money of an amount in Stripe's units; raises ValueError for a currency that is none, or half a unit."""
    code = currency.upper()
    if code not in DECIMALS:
        raise ValueError("no currency of ISO 4217")
    theirs = _DECIMALS.get(code, DECIMALS[code])
    units, rest = divmod(amount * _TEN ** DECIMALS[code], _TEN**theirs)
    if rest:
        raise ValueError("less than the smallest unit")
    return Money(units, code)


# The key


def read_key(settings: PaymentSettings, environment: Mapping[str, str] | None = None) -> str:
    """The secret key: from the environment, else from its file, which only its owner may read.

    Raises WrongUsage where there is none, and where anybody else could read it; nothing of it is ever told.
    """
    key = (os.environ if environment is None else environment).get(KEY_VARIABLE, "")
    where = KEY_VARIABLE
    if not key and settings.stripe_key_file:
        where = settings.stripe_key_file
        key = _read_private(Path(os.path.expanduser(settings.stripe_key_file)))
    elif not key:
        raise WrongUsage(
            "Stripe is not set up: write its key into a file of mode 0600 and name that as [payments] stripe_key_file,"
            f" or set {KEY_VARIABLE}"
        )
    if not settings.return_url:
        raise WrongUsage("Stripe is not set up: set [payments] return_url, where the browser goes after a payment")
    if not _KEY.fullmatch(key.strip()):
        raise WrongUsage(f"{where} holds no key of Stripe's: write it alone, as sk_live_...")
    return key.strip()


def _read_private(path: Path) -> str:
    """The text of a small file that belongs to this user and is no one else's to read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
                raise WrongUsage(f"{path} is no file of this user: the key of Stripe has to be its own")
            if stat.S_IMODE(about.st_mode) & 0o077:
                raise WrongUsage(f"{path} can be read by others: chmod 600 {path}")
            return file.read(1000)
    except OSError as error:
        raise WrongUsage(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a zero in it
        raise WrongUsage("[payments] stripe_key_file is no name of a file") from error
