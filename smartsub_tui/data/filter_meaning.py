"""What a filter means, in plain Python over facts: the definition that the SQL of `filter_sql` is held equal to.

It is apart from the language itself because only a proof needs it: a list of orders starts without it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from msgspec import Struct

from smartsub_tui.clock import local_date
from smartsub_tui.data.filters import (
    PROBLEMS,
    RETRY_WITHIN,
    SHOWS_DELETED,
    STUCK_AFTER,
    Choice,
    Currency,
    Days,
    Durations,
    Filter,
    Hold,
    Moment,
    Numbers,
    OrderMark,
    Term,
    Text,
    Value,
    anywhere,
    ascii_lower,
    day_span,
    instant_span,
    shows_deleted,
)
from smartsub_tui.data.money import DECIMALS
from smartsub_tui.data.text import folded
from smartsub_tui.data.vocabulary import (
    OrderStatus,
    OrderType,
    PaymentState,
    ProviderName,
    Service,
    SubscriptionState,
    UserKind,
)


class PersonFacts(Struct, frozen=True, kw_only=True):
    """A user of one of the order's lines."""

    id: str
    name: str
    department: str


class PaymentFacts(Struct, frozen=True, kw_only=True):
    provider: ProviderName
    state: PaymentState
    applied: bool = False
    contested: bool = False  # someone confirmed it, the provider denies it


class OrderFacts(Struct, frozen=True, kw_only=True):
    """All that a filter can ask about an order."""

    number: str
    type: OrderType
    status: OrderStatus
    status_since: datetime
    office: str
    apartments: int
    currency: str
    total: int  # minor units
    until: date | None
    created_at: datetime
    created_by: str
    pay_by: datetime | None
    paid_at: datetime | None
    late: bool
    history: bool
    deleted: bool
    replaced: bool  # another order was made from it
    people: tuple[PersonFacts, ...]
    payments: tuple[PaymentFacts, ...]
    owed: bool = False  # what a credit note took back could not be paid back
    refund_unsure: bool = False  # whether money was paid back nobody knows, or nobody asks any more


class UserFacts(Struct, frozen=True, kw_only=True):
    """All that a filter can ask about a user and the user's subscription."""

    id: str
    name: str
    office: str
    timezone: str
    department: str
    kind: UserKind
    service: Service
    apartment: str | None
    activated_on: date | None
    expires_on: date | None
    removed_on: date | None
    held: bool  # by an open order


def matches_order(filter: Filter, order: OrderFacts, moment: Moment) -> bool:
    """Whether `filter` means `order` at `moment`."""
    if order.deleted and not filter.includes_deleted:
        return False
    return all(
        any(_order_has(term, value, order, moment) for value in term.values) != term.negated for term in filter.terms
    )


def matches_user(filter: Filter, user: UserFacts, moment: Moment) -> bool:
    """Whether `filter` means `user` at `moment`; today is that of the user's office."""
    if user.removed_on is not None and not filter.includes_deleted:
        return False
    today = local_date(moment.now, user.timezone)
    return all(
        any(_user_has(term, value, user, today) for value in term.values) != term.negated for term in filter.terms
    )


def _order_has(term: Term, value: Value, order: OrderFacts, moment: Moment) -> bool:
    match value:
        case Text():
            match term.key:
                case "office":
                    return text_matches(value, order.office)
                case "by":
                    return text_matches(value, order.created_by)
                case "user":
                    return any(text_matches(value, person.id, person.name) for person in order.people)
                case "department":
                    return any(text_matches(value, person.department) for person in order.people)
            return pieces_match(anywhere(value.pieces), order.number, ascii_lower)
        case Choice(OrderMark() as mark):
            unseen = order.deleted and shows_deleted(term) and mark not in SHOWS_DELETED
            return not unseen and has_mark(mark, order, moment)
        case Choice(ProviderName() as provider):
            return any(payment.provider is provider for payment in order.payments)
        case Choice(word):
            return word is (order.status if term.key == "status" else order.type)
        case Currency(code):
            return order.currency == code
        case Numbers(low, high, strict):
            number = order.apartments
            if term.key == "total":
                number = order.total * 10 ** (4 - DECIMALS.get(order.currency, 2))
            return (low is None or low + strict <= number) and (high is None or number <= high - strict)
        case _:
            instant = {"created": order.created_at, "paid": order.paid_at, "payby": order.pay_by}[term.key]
            start, stop = instant_span(term.key, value, moment)
            return instant is not None and (start is None or start <= instant) and (stop is None or instant < stop)


def has_mark(mark: OrderMark, order: OrderFacts, moment: Moment) -> bool:
    """Whether `is:mark` holds of the order."""
    live = any(payment.state.is_live for payment in order.payments)
    match mark:
        case OrderMark.UNKNOWN:
            # Without any payment it was imported so: nobody can be asked.
            missing = any(each.state in (PaymentState.UNKNOWN, PaymentState.CREATED) for each in order.payments)
            return order.status is OrderStatus.SYSTEM_PROCESSING and (missing or not order.payments)
        case OrderMark.UNAPPLIED:
            waits = any(each.state is PaymentState.SUCCEEDED and not each.applied for each in order.payments)
            return waits or order.owed
        case OrderMark.LATE:
            return order.late
        case OrderMark.STUCK:
            under_way = order.status is OrderStatus.SYSTEM_PROCESSING
            contested = any(each.contested for each in order.payments)
            return (under_way and order.status_since < moment.now - STUCK_AFTER) or contested or order.refund_unsure
        case OrderMark.DUE:
            passed = order.pay_by is not None and order.pay_by <= moment.now
            return order.status is OrderStatus.PROCESSING and passed and not live
        case OrderMark.RETRY:
            fresh = order.status_since >= moment.now - RETRY_WITHIN
            return order.status is OrderStatus.FAILED and fresh and not order.history and not order.replaced
        case OrderMark.PROBLEM:
            return any(has_mark(each, order, moment) for each in PROBLEMS if each in SHOWS_DELETED or not order.deleted)
        case OrderMark.DAILY:
            return order.until is not None
        case OrderMark.DELETED:
            return order.deleted


def _user_has(term: Term, value: Value, user: UserFacts, today: date) -> bool:
    match value:
        case Text():
            match term.key:
                case "office":
                    return text_matches(value, user.office)
                case "department":
                    return text_matches(value, user.department)
                case "apartment":
                    return user.apartment is not None and pieces_match(value.pieces, user.apartment, ascii_lower)
                case "user":
                    return text_matches(value, user.id, user.name)
            return any(pieces_match(anywhere(value.pieces), text, folded) for text in (user.id, user.name))
        case Choice(SubscriptionState() as state):
            return state is SubscriptionState.on(today, user.expires_on, user.removed_on)
        case Choice(Hold() as hold):
            return user.held == (hold is Hold.OPEN)
        case Choice(word):
            return word is (user.kind if term.key == "kind" else user.service)
        case Days() | Durations():
            start, stop = day_span(value, today)
            return user.expires_on is not None and start <= user.expires_on.toordinal() < stop
        case _:
            raise AssertionError(f"{term.key} takes no {value}")


def text_matches(pattern: Text, *texts: str) -> bool:
    """Whether the pattern matches one of the texts whole, compared folded."""
    return any(pieces_match(pattern.pieces, text, folded) for text in texts)


def pieces_match(pieces: tuple[str, ...], text: str, fold: Callable[[str], str]) -> bool:
    """Whether `text` is made of the pieces in this order, with anything in between; both sides are folded."""
    text = fold(text)
    first, *rest = (fold(piece) for piece in pieces)
    if not rest:
        return text == first
    *middle, last = rest
    if not text.startswith(first):
        return False
    position = len(first)
    for piece in middle:
        position = text.find(piece, position)
        if position < 0:
            return False
        position += len(piece)
    return text.endswith(last) and len(text) - len(last) >= position
