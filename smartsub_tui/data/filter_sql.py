"""A filter as a condition of SQL, the same for SQLite and PostgreSQL.

`filter_meaning` says in plain Python what a filter means; these conditions are held equal to it. Text is compared by
code point: that is SQLite's own way, and PostgreSQL's in a database of locale C. Words of closed lists stand in the SQL
as they are, not as parameters: only so can an index on some of the rows serve them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeAlias, TypeVar

from peewee import SQL, Case, ColumnBase, Field, ModelSelect, NodeList, Value, fn

from smartsub_tui.clock import local_date
from smartsub_tui.data.database import rows
from smartsub_tui.data.fields import to_microseconds
from smartsub_tui.data.filters import (
    AFTER_LAST_DAY,
    FIRST_DAY,
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
    anywhere,
    ascii_lower,
    day_span,
    instant_span,
    shows_deleted,
)
from smartsub_tui.data.models import Claim, Department, Office, Order, OrderLine, Payment, Refund, Subscription, User
from smartsub_tui.data.money import DECIMALS
from smartsub_tui.data.text import folded
from smartsub_tui.data.vocabulary import (
    EXPIRING_DAYS,
    LIVE_PAYMENT_STATES,
    LIVE_REFUND_STATES,
    OrderStatus,
    OrderType,
    PaymentState,
    RefundState,
    SubscriptionState,
    Word,
)

Condition: TypeAlias = ColumnBase
_Listed: TypeAlias = Callable[[Field, Any], Condition]  # how it is asked whether a column is among what a query lists

# The orders of so many people are found from the people's side. Where there are more, the orders are walked instead,
# newest first, and each is asked: a page is full soon. Each way is a thousand times slower in the other's place.
FEW_PEOPLE: Final = 500
FEW_OFFICES: Final = 100  # so many stand in the SQL by their ids, so that the index of their orders is seen to fit

_ALWAYS: Final = SQL("(1 = 1)")
_NEVER: Final = SQL("(1 = 0)")
_MICROSECOND: Final = timedelta(microseconds=1)
_ANYTHING: Final = ("", "")  # the pieces of `*`
_Successor: Final = Order.alias("successor")
_Other: Final = Refund.alias("other")


# Orders


def order_condition(chosen: Filter, moment: Moment) -> Condition:
    """Which rows of Order the filter means; to be used where Order itself is queried, not an alias of it.

    Where the filter names offices or people, the database is asked first which, or how many, these are.
    """
    conditions = [_signed(term, _order_has(term, moment)) for term in chosen.terms]
    if not chosen.includes_deleted:
        # Exactly the condition of the indexes over what lists show.
        conditions.insert(0, Order.deleted_at.is_null())
    return _all(conditions)


def order_branches(chosen: Filter, moment: Moment, *, by_type: bool = False) -> list[Condition]:
    """The condition of order_condition in parts that exclude each other, each of one status, of one type, or of both.

    Each is a run of an index in the order of creation, whichever statuses and types the filter lets through: the first
    rows of all parts together are the first rows of the whole. `by_type`: each part is of one type, if of one status.
    """
    rest = chosen.without_key("status").without_key("type")
    if rest == chosen:
        return [order_condition(chosen, moment)]
    common = order_condition(rest, moment)
    statuses = _let_through(chosen, "status", OrderStatus)
    types = _let_through(chosen, "type", OrderType)
    of_status: list[OrderStatus | None] = [*statuses] if len(statuses) < len(OrderStatus) else [None]
    of_type: list[OrderType | None] = [*types] if len(types) < len(OrderType) else [None]
    if by_type and of_status != [None]:
        of_type = [*types]
    branches = []
    for status in of_status:
        for kind in of_type:
            branch = [common]
            if kind is not None:
                branch.append(_is(Order.type, kind))
            if status is not None:
                branch.append(_is(Order.status, status))
            branches.append(_all(branch))
    return branches


W = TypeVar("W", bound=Word)


def _let_through(chosen: Filter, key: str, words: type[W]) -> list[W]:
    """The words of a closed list that every term of that key lets through."""
    left = list(words)
    for term in chosen.terms:
        if term.key == key:
            left = [word for word in left if (word in _choices(term)) is not term.negated]
    return left


def _order_has(term: Term, moment: Moment) -> Condition:
    match term.key:
        case "status":
            return _among(Order.status, _choices(term))
        case "type":
            return _among(Order.type, _choices(term))
        case "office":
            return _of_offices(Office.select(Office.id).where(_text(Office.name_folded, _patterns(term))))
        case "department":
            named = Department.select(Department.id).where(_text(Department.name_folded, _patterns(term)))
            return _of_people(_in(User.department, named))
        case "user":
            patterns = _patterns(term)
            return _of_people(_any([_text(User.key_folded, patterns), _text(User.name_folded, patterns)]))
        case "created":
            return _instants(Order.created_at, term, moment)
        case "paid":
            return _instants(Order.paid_at, term, moment)
        case "payby":
            return _instants(Order.pay_by, term, moment)
        case "total":
            return _any([_amounts(value) for value in term.values if isinstance(value, Numbers)])
        case "currency":
            return _in(Order.currency, [value.code for value in term.values if isinstance(value, Currency)])
        case "apartments":
            return _any([_numbers(Order.apartments, value) for value in term.values if isinstance(value, Numbers)])
        case "provider":
            return _has_payment(_among(Payment.provider, _choices(term)))
        case "by":
            return _text(Order.created_by_folded, _patterns(term))
        case "is":
            shown = Order.deleted_at.is_null() if shows_deleted(term) else _ALWAYS
            # Whoever is on the list is looked up; of whoever is not, each is asked.
            listed = _in if term.negated else Order._meta.database.listed
            return _any([_marked(mark, moment, shown, listed) for mark in _choices(term)])
        case _:
            return _any([_number(pattern) for pattern in _patterns(term)])


def _marked(mark: Word, moment: Moment, shown: Condition, listed: _Listed) -> Condition:
    """Whether `is:mark` holds; `shown` is asked too, unless the mark lets hidden orders in."""
    if mark is OrderMark.PROBLEM:
        return _any([_marked(each, moment, Order.deleted_at.is_null(), listed) for each in PROBLEMS])
    condition = _mark(mark, to_microseconds(moment.now), listed)
    return condition if mark in SHOWS_DELETED else _all([condition, shown])


def _mark(mark: Word, now: int, listed: _Listed) -> Condition:
    match mark:
        case OrderMark.UNKNOWN:
            missing = _has_payment(_among(Payment.state, (PaymentState.UNKNOWN, PaymentState.CREATED)))
            here = _all([_is(Order.status, OrderStatus.SYSTEM_PROCESSING), _any([missing, ~_has_payment()])])
            # As a list of its own it leaves `is:problem` an index for each of its parts.
            return listed(Order.id, Order.select(Order.id).where(here))
        case OrderMark.UNAPPLIED:
            # Asked from the side of the payments: these few have an index of their own.
            waiting = _all([_is(Payment.state, PaymentState.SUCCEEDED), ~Payment.applied])
            return _any([listed(Order.id, Payment.select(Payment.order).where(waiting)), listed(Order.id, _owed())])
        case OrderMark.LATE:
            return _all([Order.late])
        case OrderMark.STUCK:
            since = Order.status_since < now - STUCK_AFTER // _MICROSECOND
            contested = Payment.select(Payment.order).where(_all([Payment.contested]))
            given_up = _all([_is(Refund.state, RefundState.PENDING), Refund.ask_at.is_null()])
            asked = _any([_is(Refund.state, RefundState.UNKNOWN), given_up])
            live = _among(Refund.state, LIVE_REFUND_STATES)  # which it is then anyway: in the words of their index
            unsure = Refund.select(Payment.order).join(Payment).where(_all([live, asked]))
            under_way = _all([_is(Order.status, OrderStatus.SYSTEM_PROCESSING), since])
            return _any([under_way, listed(Order.id, contested), listed(Order.id, unsure)])
        case OrderMark.DUE:
            live = _has_payment(_among(Payment.state, LIVE_PAYMENT_STATES))
            passed = _all([Order.pay_by.is_null(False), Order.pay_by <= now])
            return _all([_is(Order.status, OrderStatus.PROCESSING), passed, ~live])
        case OrderMark.RETRY:
            fresh = Order.status_since >= now - RETRY_WITHIN // _MICROSECOND
            replaced = _exists(_Successor.select(SQL("1")).where(_Successor.made_from == Order.id))
            here = _all([_is(Order.status, OrderStatus.FAILED), fresh, ~Order.history, ~replaced])
            # As a list of its own it is read from the index of what failed of late, not from all that ever failed.
            return listed(Order.id, Order.select(Order.id).where(here))
        case OrderMark.DAILY:
            return Order.until.is_null(False)
        case _:
            return Order.deleted_at.is_null(False)


def _owed() -> ModelSelect[Any]:
    """The orders of credit notes whose money could not be paid back, at any attempt."""
    same = [_Other.payment == Refund.payment, _Other.credit_note == Refund.credit_note]
    other = _Other.select(SQL("1")).where(_all([*same, ~_is(_Other.state, RefundState.DECLINED)]))
    declined = _all([_is(Refund.state, RefundState.DECLINED), Refund.credit_note.is_null(False), ~_exists(other)])
    return Refund.select(Payment.order).join(Payment).where(declined)


def _has_payment(*conditions: Condition) -> Condition:
    return _exists(Payment.select(SQL("1")).where(_all([Payment.order == Order.id, *conditions])))


def _of_offices(named: ModelSelect[Office]) -> Condition:
    """Whether the order is of one of these offices; of one alone, their index has its orders ready in their order."""
    offices = [pk for (pk,) in rows(named.limit(FEW_OFFICES + 1))]
    if len(offices) > FEW_OFFICES:
        return _in(Order.office, named)
    return Order.office == offices[0] if len(offices) == 1 else _in(Order.office, offices)


def _of_people(condition: Condition) -> Condition:
    """Whether the order has a line of a user of whom `condition` holds."""
    people = User.select(User.id).where(condition)
    if len(list(rows(people.limit(FEW_PEOPLE + 1)))) <= FEW_PEOPLE:
        theirs = Subscription.select(Subscription.id).where(_in(Subscription.user, people))
        return _in(Order.id, OrderLine.select(OrderLine.order).where(_in(OrderLine.subscription, theirs)))
    line = OrderLine.select(SQL("1")).join(Subscription).join(User)
    return _exists(line.where(_all([OrderLine.order == Order.id, condition])))


def _number(pattern: Text) -> Condition:
    """Whether the order number holds the pattern. Digits are sought in the bare column, which its index covers."""
    letters = any(character.isascii() and character.isalpha() for piece in pattern.pieces for character in piece)
    column = fn.LOWER(Order.number) if letters else Order.number
    return _like(column, anywhere(tuple(ascii_lower(piece) for piece in pattern.pieces)))


def _amounts(numbers: Numbers) -> Condition:
    """`total` against ten-thousandths of the major unit, each currency by its own number of decimals, in integers."""

    def bound(of: Callable[[int], int]) -> Case:
        bounds = {decimals: of(10 ** (4 - decimals)) for decimals in _CODES}
        usual = bounds.pop(2)
        return Case(None, [(_in(Order.currency, _CODES[decimals]), each) for decimals, each in bounds.items()], usual)

    ends = []
    if (low := numbers.low) is not None:
        ends.append(Order.total >= bound(lambda unit: low // unit + 1 if numbers.strict else -(-low // unit)))
    if (high := numbers.high) is not None:
        ends.append(Order.total <= bound(lambda unit: -(-high // unit) - 1 if numbers.strict else high // unit))
    return _all(ends)


def _codes(decimals: int) -> SQL:
    return SQL("(" + ", ".join(f"'{code}'" for code in DECIMALS if DECIMALS[code] == decimals) + ")")


_CODES: Final = {decimals: _codes(decimals) for decimals in sorted(set(DECIMALS.values()))}


def _numbers(column: Field, numbers: Numbers) -> Condition:
    ends = []
    if numbers.low is not None:
        ends.append(column >= numbers.low + numbers.strict)
    if numbers.high is not None:
        ends.append(column <= numbers.high - numbers.strict)
    return _all(ends)


def _instants(column: Field, term: Term, moment: Moment) -> Condition:
    alternatives = []
    for value in term.values:
        if isinstance(value, (Days, Durations)):
            start, stop = instant_span(term.key, value, moment)
            alternatives.append(_between(column, start, stop))
    return _any(alternatives)


def _between(column: Field, start: datetime | None, stop: datetime | None) -> Condition:
    ends: list[Condition] = [column.is_null(False)] if column.null else []
    if start is not None:
        ends.append(column >= to_microseconds(start))
    if stop is not None:
        ends.append(column < to_microseconds(stop))
    return _all(ends)


# Users


def user_condition(chosen: Filter, moment: Moment, zones: Sequence[str] | None = None) -> Condition:
    """Which users the filter means, in a query of User joined with its Subscription, Office and Department.

    `zones` are all time zones that offices have; without them the database is asked. Today is that of each office:
    at any moment there are at most three dates on earth, so the users of each date are asked with it.
    """
    timeless = [_signed(term, _user_has(term)) for term in chosen.terms if term.key not in _OF_TODAY]
    if not chosen.includes_deleted:
        timeless.insert(0, User.removed_on.is_null())
    dated = [term for term in chosen.terms if term.key in _OF_TODAY]
    if dated:
        if zones is None:
            zones = [zone for (zone,) in rows(Office.select(Office.timezone).distinct())]
        timeless.append(
            _on_each_date(
                zones,
                moment.now,
                lambda today: _all([_signed(term, _user_is(term, today)) for term in dated]),
            )
        )
    return _all(timeless)


_OF_TODAY: Final = ("state", "expires")


def _on_each_date(zones: Iterable[str], now: datetime, condition: Callable[[date], Condition]) -> Condition:
    zones_of: dict[date, list[str]] = {}
    for zone in zones:
        zones_of.setdefault(local_date(now, zone), []).append(zone)
    if not zones_of:
        return condition(now.date())
    *fewer, (usual, _) = sorted(zones_of.items(), key=lambda each: len(each[1]))
    if not fewer:
        return condition(usual)
    others = [zone for _, zones in fewer for zone in zones]
    return _any(
        [
            _all([Office.timezone.not_in(others), condition(usual)]),
            *(_all([_in(Office.timezone, zones), condition(today)]) for today, zones in fewer),
        ]
    )


def _user_has(term: Term) -> Condition:
    match term.key:
        case "office":
            return _text(Office.name_folded, _patterns(term))
        case "department":
            return _text(Department.name_folded, _patterns(term))
        case "user":
            patterns = _patterns(term)
            return _any([_text(User.key_folded, patterns), _text(User.name_folded, patterns)])
        case "apartment":
            # There is no folded column: only the case of ASCII letters makes no difference.
            here = _text(fn.LOWER(User.apartment), _patterns(term), ascii_lower)
            return _all([User.apartment.is_null(False), here])
        case "kind":
            return _among(User.kind, _choices(term))
        case "service":
            return _among(Subscription.service, _choices(term))
        case "order":
            held = _exists(Claim.select(SQL("1")).where(Claim.subscription == Subscription.id))
            return _any([held if hold is Hold.OPEN else ~held for hold in _choices(term)])
        case _:
            sought = [anywhere(tuple(folded(piece) for piece in pattern.pieces)) for pattern in _patterns(term)]
            return _any([_like(column, pieces) for pieces in sought for column in (User.name_folded, User.key_folded)])


def _user_is(term: Term, today: date) -> Condition:
    if term.key == "state":
        return _any([_state(state, today) for state in _choices(term)])
    alternatives = []
    for value in term.values:
        if isinstance(value, (Days, Durations)):
            start, stop = day_span(value, today)
            alternatives.append(_expires(start, stop))
    return _any(alternatives)


def _state(state: Word, today: date) -> Condition:
    first, end = today.toordinal(), today.toordinal() + EXPIRING_DAYS
    match state:
        case SubscriptionState.REMOVED:
            return User.removed_on.is_null(False)
        case SubscriptionState.INACTIVE:
            here: Condition = Subscription.expires_on.is_null()
        case SubscriptionState.EXPIRED:
            here = _expires(FIRST_DAY, first)
        case SubscriptionState.EXPIRING:
            here = _expires(first, end)
        case _:
            here = _expires(end, AFTER_LAST_DAY)
    return _all([User.removed_on.is_null(), here])


def _expires(start: int, stop: int) -> Condition:
    """Whether the last day is one from `start` up to but not including `stop`, as ordinals."""
    start, stop = max(start, FIRST_DAY), min(stop, AFTER_LAST_DAY)
    if start >= stop:
        return _NEVER
    ends = [Subscription.expires_on.is_null(False)]
    if start > FIRST_DAY:
        ends.append(Subscription.expires_on >= date.fromordinal(start))
    if stop < AFTER_LAST_DAY:
        ends.append(Subscription.expires_on <= date.fromordinal(stop - 1))
    return _all(ends)


# Text


def _text(column: Any, patterns: Iterable[Text], fold: Callable[[str], str] = folded) -> Condition:
    """Whether one of the patterns matches the whole column, which holds folded text."""
    whole, alternatives = [], []
    for pattern in patterns:
        pieces = tuple(fold(piece) for piece in pattern.pieces)
        if len(pieces) == 1:
            whole.append(pieces[0])
        elif len(pieces) == 2 and pieces[1] == "" and pieces != _ANYTHING:
            alternatives.append(_begins(column, pieces[0]))
        else:
            alternatives.append(_like(column, pieces))
    if whole:
        alternatives.append(_in(column, whole) if len(whole) > 1 else column == whole[0])
    return _any(alternatives)


def _begins(column: Any, prefix: str) -> Condition:
    """A half-open range, which an index serves, where LIKE has to look at every row."""
    after = _next(prefix)
    return _all([column >= prefix, *([] if after is None else [column < after])])


def _next(prefix: str) -> str | None:
    """The first text after all that begin with `prefix`, by code point; None where there is none."""
    for length in range(len(prefix), 0, -1):
        code = ord(prefix[length - 1]) + 1
        if code <= 0x10FFFF:
            return prefix[: length - 1] + chr(0xE000 if 0xD800 <= code <= 0xDFFF else code)
    return None


_WILD: Final = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


def _like(column: Any, pieces: tuple[str, ...]) -> Condition:
    if pieces == _ANYTHING:
        return column.is_null(False)  # type: ignore[no-any-return]
    pattern = "%".join(piece.translate(_WILD) for piece in pieces)
    return NodeList((column, SQL("LIKE"), Value(pattern, converter=False), SQL(r"ESCAPE '\'")), parens=True)


# Words and numbers of them


def _choices(term: Term) -> list[Word]:
    return [value.word for value in term.values if isinstance(value, Choice)]


def _patterns(term: Term) -> list[Text]:
    return [value for value in term.values if isinstance(value, Text)]


def _is(column: Any, word: Word) -> Condition:
    return column == SQL(f"'{word.value}'")  # type: ignore[no-any-return]


def _among(column: Any, words: Sequence[Word]) -> Condition:
    if len(words) == 1:
        return _is(column, words[0])
    return _in(column, SQL("(" + ", ".join(f"'{word.value}'" for word in words) + ")"))


def _in(column: Any, values: Any) -> Condition:
    if isinstance(values, list):
        return column.in_(values)  # type: ignore[no-any-return]
    # Peewee's own IN writes out a query twice, to see whether it is empty: nested ones many times.
    return NodeList((column, SQL("IN"), values), parens=True)


def _exists(query: Any) -> Condition:
    return fn.EXISTS(query)


def _signed(term: Term, condition: Condition) -> Condition:
    return ~condition if term.negated else condition


def _all(conditions: Sequence[Condition]) -> Condition:
    return _joined(conditions, lambda one, other: one & other, _ALWAYS)


def _any(conditions: Sequence[Condition]) -> Condition:
    return _joined(conditions, lambda one, other: one | other, _NEVER)


def _joined(conditions: Sequence[Condition], join: Callable[[Any, Any], Condition], none: Condition) -> Condition:
    """All of them joined as a balanced tree: databases refuse conditions that are nested a thousand deep."""
    if not conditions:
        return none
    level = list(conditions)
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [join(one, other) for one, other in zip(level[::2], level[1::2], strict=False)] + odd
    return level[0]
