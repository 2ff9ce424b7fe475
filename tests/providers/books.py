"""The state of the account: sessions, intents, charges, refunds, and the rules of Stripe by which they change.

Nothing here knows HTTP. Every public method may be called from any thread; amounts are in Stripe's unit of a currency,
instants are whole seconds since 1970.
"""

from __future__ import annotations

import functools
import random
import string
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final, ParamSpec, TypeVar

from msgspec import Struct, field

from tests.providers import currencies
from tests.providers.forms import EACH, TEXTS, Form, Shape, check_shape, inner, integer, metadata, required, text
from tests.providers.keys import Keys
from tests.providers.refusals import Refusal, missing

# Stripe's own test card; planted in errors, so that tests see who shows or stores what a provider says.
CARD_NUMBER: Final = "4242424242424242"

_LETTERS: Final = string.ascii_letters + string.digits
_HALF_AN_HOUR, _A_DAY = 30 * 60, 24 * 3600

_PRICE: Final[Shape] = {
    "currency": None,
    "unit_amount": None,
    "product_data": {"name": None, "description": None, "metadata": TEXTS},
}
_SESSION: Final[Shape] = {
    "mode": None,
    "line_items": {EACH: {"price_data": _PRICE, "quantity": None}},
    "client_reference_id": None,
    "metadata": TEXTS,
    "payment_intent_data": {"metadata": TEXTS, "description": None},
    "payment_method_types": TEXTS,
    "expires_at": None,
    "success_url": None,
    "cancel_url": None,
    "customer_email": None,
    "locale": None,
    "submit_type": None,
    "expand": TEXTS,
}
_EXPAND: Final[Shape] = {"expand": TEXTS}
_CREATED: Final[Shape] = {"gt": None, "gte": None, "lt": None, "lte": None}
_PAGE: Final[Shape] = {"limit": None, "starting_after": None, "expand": TEXTS}


class Charge(Struct):
    """Money that was taken, or tried to be: "succeeded", "pending", "failed"."""

    id: str
    payment_intent: str
    amount: int
    currency: str
    created: int
    status: str
    client_reference_id: str | None = None
    amount_refunded: int = 0


class Intent(Struct):
    id: str
    amount: int
    currency: str
    created: int
    metadata: dict[str, str]
    status: str = "requires_payment_method"
    payment_method: str | None = None
    latest_charge: str | None = None
    last_error: dict[str, str] | None = None


class Session(Struct):
    """A Checkout Session: "open", "complete" or "expired"; `link` is its page, also where it is not shown any more."""

    id: str
    link: str
    amount: int
    currency: str
    created: int
    expires_at: int
    success_url: str
    client_reference_id: str | None
    metadata: dict[str, str]
    intent_metadata: dict[str, str]
    status: str = "open"
    intent: str | None = None
    given: dict[str, str | None] = field(default_factory=dict)


class Refund(Struct):
    id: str
    charge: str
    payment_intent: str
    amount: int
    currency: str
    created: int
    metadata: dict[str, str]
    reason: str | None
    status: str = "succeeded"


_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T", Session, Refund)


def _alone(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """A method of Books, one at a time: two who pay at once charge once."""

    @functools.wraps(method)
    def locked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        books = args[0]
        assert isinstance(books, Books)
        with books.lock:
            return method(*args, **kwargs)

    return locked


class Books:
    """`address` is where the pages are, without a slash at its end; `time` is the clock that `advance` moves."""

    def __init__(self, address: str, time: Callable[[], float]) -> None:
        self.lock = threading.RLock()
        self.keys = Keys()
        self.address = address
        self.refunds_wait = False
        self.sessions: dict[str, Session] = {}
        self.intents: dict[str, Intent] = {}
        self.charges: dict[str, Charge] = {}
        self.refunds: dict[str, Refund] = {}
        self._time = time
        self._moved = 0.0
        self._random = random.Random()

    # The clock

    def now(self) -> int:
        return int(self._time() + self._moved)

    @_alone
    def advance(self, **units: float) -> None:
        """Moves the clock on, by the arguments of a timedelta: `advance(hours=1)`."""
        self._moved += timedelta(**units).total_seconds()

    @_alone
    def put(self, now: float) -> None:
        self._moved = now - self._time()

    # Sessions

    @_alone
    def create_session(self, form: Form) -> Session:
        check_shape(form, _SESSION)
        if required(form, "mode") != "payment":
            raise Refusal("The test provider knows mode=payment alone.", param="mode")
        success_url = required(form, "success_url")
        if not success_url.startswith(("http://", "https://")):
            raise Refusal("Not a valid URL", code="url_invalid", param="success_url")
        reference = text(form, "client_reference_id")
        if reference is not None and len(reference) > 200:
            raise Refusal("Invalid string: must be at most 200 characters", param="client_reference_id")
        amount, currency = self._total(inner(form, "line_items"))
        now = self.now()
        id = "cs_test_a1" + self._letters(56)
        session = Session(
            id=id,
            link=self._link(id),
            amount=amount,
            currency=currency,
            created=now,
            expires_at=self._end(integer(form, "expires_at"), now),
            success_url=success_url,
            client_reference_id=reference,
            metadata=metadata(form),
            intent_metadata=metadata(inner(form, "payment_intent_data"), outer="payment_intent_data"),
            given={name: text(form, name) for name in ("cancel_url", "customer_email", "locale", "submit_type")},
        )
        self.sessions[id] = session
        return session

    def _total(self, items: Form) -> tuple[int, str]:
        if not items:
            raise Refusal("You must pass `line_items` in `payment` mode.", code="parameter_missing", param="line_items")
        if len(items) > 100:
            raise Refusal("Array line_items exceeded maximum 100 allowed elements.", param="line_items")
        total, seen = 0, set[str]()
        for place in items:
            item, path = inner(items, place), f"line_items[{place}]"
            if "price_data" not in item:
                raise Refusal(f"Missing required param: {path}[price_data].", code="parameter_missing", param=path)
            price, path = inner(item, "price_data"), f"{path}[price_data]"
            currency = required(price, "currency", path).lower()
            if currency not in currencies.CURRENCIES:
                supported = ", ".join(sorted(currencies.CURRENCIES))
                raise Refusal(
                    f"Invalid currency: {currency}. Stripe currently supports these currencies: {supported}",
                    param=f"{path}[currency]",
                )
            required(price, "unit_amount", path)
            unit = integer(price, "unit_amount", path) or 0
            if unit < 0:
                raise Refusal(
                    "Invalid non-negative integer",
                    code="parameter_invalid_integer",
                    param=f"{path}[unit_amount]",
                )
            if not required(inner(price, "product_data"), "name", f"{path}[product_data]").strip():
                raise Refusal(
                    "You passed an empty string for a name.",
                    code="parameter_invalid_empty",
                    param=f"{path}[product_data][name]",
                )
            metadata(inner(price, "product_data"), outer=f"{path}[product_data]")
            quantity = integer(item, "quantity", f"line_items[{place}]")
            if quantity is None or quantity < 1:
                raise Refusal("Quantity is required, and at least 1.", param=f"line_items[{place}][quantity]")
            total += unit * quantity
            seen.add(currency)
        if len(seen) > 1:
            raise Refusal(
                f"All line items of a Checkout Session must have the same currency: {', '.join(sorted(seen))}.",
                param="line_items",
            )
        self._check_amount(total, currency, "The Checkout Session's total amount due must add up to", None)
        return total, currency

    def _check_amount(self, amount: int, currency: str, what: str, param: str | None) -> None:
        """`what` begins the sentence about an amount that is too small."""
        if amount < currencies.minimum(currency):
            least = currencies.written(currencies.minimum(currency), currency)
            raise Refusal(f"{what} at least {least}", code="amount_too_small", param=param)
        if amount > currencies.LARGEST:
            most = currencies.written(currencies.LARGEST, currency)
            raise Refusal(f"Amount must be no more than {most}", code="amount_too_large", param=param)
        step = currencies.smallest_step(currency)
        if amount % step:
            raise Refusal(
                f"Amounts in {currency} must be divisible by {step}.", code="parameter_invalid_integer", param=param
            )

    def _end(self, expires_at: int | None, now: int) -> int:
        if expires_at is None:
            return now + _A_DAY
        if expires_at < now + _HALF_AN_HOUR:
            raise Refusal(
                "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
                param="expires_at",
            )
        if expires_at >= now + _A_DAY:
            raise Refusal(
                "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
                param="expires_at",
            )
        return expires_at

    def _link(self, id: str) -> str:
        """An address of 350 to 400 characters, most of them behind the # as with Stripe: no server is sent those."""
        page = f"{self.address}/c/pay/{id}#fid"
        return page + self._letters(self._random.randint(350, 400) - len(page) - 6) + "%2FJSU"

    @_alone
    def session(self, id: str) -> Session:
        session = self.sessions.get(id)
        if session is None:
            raise missing("checkout.session", id, "session")
        if session.status == "open" and self.now() >= session.expires_at:
            self._expire(session)
        return session

    @_alone
    def list_sessions(self, form: Form) -> tuple[list[Session], bool]:
        """The newest first, and whether there are more."""
        created = _CREATED if not isinstance(form.get("created"), str) else None
        check_shape(form, {**_PAGE, "created": created, "payment_intent": None, "status": None})
        wanted = [
            self.session(id)
            for id in reversed(self.sessions)
            if text(form, "payment_intent") in (None, self.sessions[id].intent)
        ]
        status = text(form, "status")
        wanted = [session for session in wanted if status in (None, session.status) and _within(session.created, form)]
        return self._page(wanted, form, "checkout.session")

    def _page(self, found: list[_T], form: Form, what: str) -> tuple[list[_T], bool]:
        limit = integer(form, "limit")
        if limit is not None and not 1 <= limit <= 100:
            raise Refusal("This value must be between 1 and 100.", param="limit", code="parameter_invalid_integer")
        after = text(form, "starting_after")
        ids = [one.id for one in found]
        if after is not None and after not in ids:
            raise missing(what, after, "starting_after")
        start = ids.index(after) + 1 if after is not None else 0
        end = start + (10 if limit is None else limit)
        return found[start:end], end < len(found)

    @_alone
    def expire_session(self, id: str, form: Form) -> Session:
        check_shape(form, _EXPAND)
        session = self.session(id)
        if session.status != "open":
            raise Refusal(
                'Only Checkout Sessions with a status in ["open"] can be expired.'
                f" This Checkout Session has a status of `{session.status}`.",
                kept=True,
            )
        self._expire(session)
        return session

    def _expire(self, session: Session) -> None:
        session.status = "expired"
        if session.intent is not None:
            self.intents[session.intent].status = "canceled"

    # Paying

    @_alone
    def pay(self, id: str, card: str, *, amount: int | None = None, currency: str | None = None) -> Session:
        """What the customer does on the page; charges at most once. Raises Refusal.

        `card` is "ok", "declined" or "delayed": the money comes, or does not, when it is settled. With `amount` or
        `currency` it is that which is charged.
        """
        session = self.session(id)
        if session.status == "expired":
            raise Refusal("This Checkout Session has expired.", status=410)
        if session.status == "complete":
            raise Refusal("This Checkout Session is complete already.", status=409)
        session.amount = session.amount if amount is None else amount
        session.currency = session.currency if currency is None else currency
        if session.intent is None:
            intent = self._new_intent(session.amount, session.currency, dict(session.intent_metadata))
            session.intent = intent.id
        intent = self.intents[session.intent]
        intent.amount, intent.currency = session.amount, session.currency
        self._confirm(intent, card, session.client_reference_id)
        session.status = "complete"
        return session

    def _new_intent(self, amount: int, currency: str, metadata: dict[str, str]) -> Intent:
        intent = Intent("pi_3" + self._letters(23), amount, currency, self.now(), metadata)
        self.intents[intent.id] = intent
        return intent

    def _confirm(self, intent: Intent, card: str, reference: str | None = None) -> None:
        id, now = "ch_3" + self._letters(23), self.now()
        charge = Charge(id, intent.id, intent.amount, intent.currency, now, "succeeded", reference)
        self.charges[charge.id] = charge
        intent.latest_charge, intent.payment_method = charge.id, self._new_card()
        if card == "declined":
            self._fail(intent, charge)
            raise Refusal("Your card was declined.", status=402, kind="card_error", code="card_declined", kept=True)
        intent.last_error = None
        if card == "delayed":
            charge.status, intent.status = "pending", "processing"
        else:
            charge.status = intent.status = "succeeded"

    def _new_card(self) -> str:
        return "pm_1" + self._letters(23)

    def _fail(self, intent: Intent, charge: Charge) -> None:
        charge.status, intent.status, intent.payment_method = "failed", "requires_payment_method", None
        intent.last_error = {
            "charge": charge.id,
            "code": "card_declined",
            "message": "Your card was declined.",
            "type": "card_error",
        }

    @_alone
    def settle(self, id: str, *, succeeded: bool) -> None:
        """What was delayed comes to its end: an intent in `processing`, or a refund that is `pending`."""
        if id in self.refunds:
            refund = self.refunds[id]
            assert refund.status == "pending", refund
            refund.status = "succeeded" if succeeded else "failed"
            if not succeeded:
                self.charges[refund.charge].amount_refunded -= refund.amount
            return
        intent = self.intents[id]
        assert intent.status == "processing", intent
        assert intent.latest_charge is not None
        charge = self.charges[intent.latest_charge]
        if succeeded:
            charge.status = intent.status = "succeeded"
        else:
            self._fail(intent, charge)

    def paid(self) -> list[Charge]:
        """The charges that took money, oldest first."""
        with self.lock:
            return [charge for charge in self.charges.values() if charge.status == "succeeded"]

    # Intents

    @_alone
    def create_intent(self, form: Form) -> Intent:
        shape: Shape = {"amount": None, "currency": None, "payment_method": None, "confirm": None, "metadata": TEXTS}
        check_shape(form, {**shape, "payment_method_types": TEXTS, "expand": TEXTS})
        required(form, "amount")
        amount, currency = integer(form, "amount") or 0, required(form, "currency").lower()
        self._check_amount(amount, currency, "Amount must be", "amount")
        cards = {"pm_card_visa": "ok", "pm_card_chargeCustomerFail": "declined"}
        card = text(form, "payment_method")
        if card is not None and card not in cards:
            raise missing("PaymentMethod", card, "payment_method")
        intent = self._new_intent(amount, currency, metadata(form))
        if text(form, "confirm") == "true":
            self._confirm(intent, cards[required(form, "payment_method")])
        elif card is not None:
            intent.status, intent.payment_method = "requires_confirmation", self._new_card()
        return intent

    @_alone
    def intent(self, id: str) -> Intent:
        if id not in self.intents:
            raise missing("payment_intent", id, "intent")
        return self.intents[id]

    # Refunds

    @_alone
    def create_refund(self, form: Form) -> Refund:
        check_shape(
            form,
            {
                "payment_intent": None,
                "charge": None,
                "amount": None,
                "metadata": TEXTS,
                "reason": None,
                "expand": TEXTS,
            },
        )
        pairs, amount = metadata(form), integer(form, "amount")
        charge = self._charge_to_refund(form)
        left = charge.amount - charge.amount_refunded
        if left == 0:
            raise Refusal(f"Charge {charge.id} has already been refunded.", code="charge_already_refunded", kept=True)
        if amount is not None and amount < 1:
            raise Refusal("Invalid positive integer", code="parameter_invalid_integer", param="amount")
        amount = left if amount is None else amount
        if amount > left:
            asked, most = (currencies.written(each, charge.currency) for each in (amount, left))
            which = "unrefunded amount on charge" if charge.amount_refunded else "charge amount"
            raise Refusal(f"Refund amount ({asked}) is greater than {which} ({most})", param="amount", kept=True)
        refund = Refund(
            id="re_3" + self._letters(23),
            charge=charge.id,
            payment_intent=charge.payment_intent,
            amount=amount,
            currency=charge.currency,
            created=self.now(),
            metadata=pairs,
            reason=text(form, "reason"),
            status="pending" if self.refunds_wait else "succeeded",
        )
        charge.amount_refunded += amount
        self.refunds[refund.id] = refund
        return refund

    def _charge_to_refund(self, form: Form) -> Charge:
        id = text(form, "charge")
        if id is None:
            if "payment_intent" not in form:
                raise Refusal(
                    "One of the following params should be provided for this request: payment_intent or charge.",
                    code="parameter_missing",
                )
            intent = self.intents.get(required(form, "payment_intent"))
            if intent is None:
                raise missing("payment_intent", required(form, "payment_intent"), "payment_intent")
            if intent.status != "succeeded" or intent.latest_charge is None:
                raise Refusal(
                    f"This PaymentIntent ({intent.id}) does not have a successful charge to refund.", kept=True
                )
            id = intent.latest_charge
        if id not in self.charges:
            raise missing("charge", id, "charge")
        return self.charges[id]

    @_alone
    def refund(self, id: str) -> Refund:
        if id not in self.refunds:
            raise missing("refund", id, "refund")
        return self.refunds[id]

    @_alone
    def list_refunds(self, form: Form) -> tuple[list[Refund], bool]:
        """The newest first, and whether there are more."""
        created = _CREATED if not isinstance(form.get("created"), str) else None
        check_shape(form, {**_PAGE, "created": created, "payment_intent": None, "charge": None})
        intent, charge = text(form, "payment_intent"), text(form, "charge")
        if intent is not None and intent not in self.intents:
            raise missing("payment_intent", intent, "payment_intent")
        wanted = [
            refund
            for refund in reversed(self.refunds.values())
            if intent in (None, refund.payment_intent)
            and charge in (None, refund.charge)
            and _within(refund.created, form)
        ]
        return self._page(wanted, form, "refund")

    def _letters(self, count: int) -> str:
        return "".join(self._random.choices(_LETTERS, k=count))


def _within(created: int, form: Form) -> bool:
    """Whether an instant is in what `created` asks for: an instant, or bounds."""
    exact = integer(form, "created")
    bounds = inner(form, "created")
    at_least, above = integer(bounds, "gte", "created"), integer(bounds, "gt", "created")
    at_most, below = integer(bounds, "lte", "created"), integer(bounds, "lt", "created")
    return (
        (exact is None or created == exact)
        and (at_least is None or created >= at_least)
        and (above is None or created > above)
        and (at_most is None or created <= at_most)
        and (below is None or created < below)
    )
