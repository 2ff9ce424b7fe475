"""The filter language: one line of text that says which orders, or which users, are meant.

    status:failed,timeout type:subscription office:"Oak*" created:2026-11 total:>100 payby:<2h is:late -by:bob 000123

Words are AND, commas are OR, a minus before a word negates it. A filter is an immutable value: the same one drives the
SQL (see `filter_sql`), the filter bar, saved views, the export and the command line. `parse_orders` and `parse_users`
read it, `describe` writes it, and what is written reads back as the same filter.

Nothing here knows a database. `filter_meaning` says in plain Python what a filter means; the SQL is
held equal to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, NoReturn, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from smartsub_tui.clock import local_date
from smartsub_tui.data.money import DECIMALS, is_currency
from smartsub_tui.data.vocabulary import (
    OrderStatus,
    OrderType,
    ProviderName,
    Service,
    SubscriptionState,
    UserKind,
    Word,
)
from smartsub_tui.errors import WrongUsage

Subject: TypeAlias = Literal["orders", "users"]
T = TypeVar("T")

BARE: Final = ""  # the key of a word that has none

# Characters of a filter. One can fold to 12 bytes, and SQLite takes LIKE patterns of at most 50,000 bytes.
LONGEST: Final = 4_000

STUCK_AFTER: Final = timedelta(hours=1)
RETRY_WITHIN: Final = timedelta(days=30)


class Moment(Struct, frozen=True):
    """What relative words count from. `timezone` (an IANA name) says which days created, paid and payby mean."""

    now: datetime  # aware, in UTC
    timezone: str

    def __post_init__(self) -> None:
        if self.now.utcoffset() != timedelta(0):
            raise ValueError("a moment is in UTC")

    @property
    def today(self) -> date:
        return local_date(self.now, self.timezone)


class FilterError(WrongUsage):
    """A filter that cannot be read. `start` and `end` are offsets of the wrong characters in its text."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.start = start
        self.end = end


class OrderMark(Word):
    """What `is:` asks of an order."""

    UNKNOWN = "unknown", "outcome of the payment unknown"
    UNAPPLIED = "unapplied", "money to apply"
    LATE = "late", "paid after its time-out"
    STUCK = "stuck", "System Processing for more than 1 hour, or a payment or refund in doubt"
    DUE = "due", "time to pay is over"
    RETRY = "retry", "failed within 30 days and not ordered again"
    PROBLEM = "problem", "unknown, unapplied, stuck, due or retry"
    DAILY = "daily", "renewed on a daily basis"
    DELETED = "deleted", "deleted"


class Hold(Word):
    """What `order:` asks of a user: whether an open order holds the subscription."""

    OPEN = "open", "in an open order"
    NONE = "none", "in no open order"


class NearDay(Word):
    TODAY = "today", "today"
    YESTERDAY = "yesterday", "yesterday"


PROBLEMS: Final = (OrderMark.UNKNOWN, OrderMark.UNAPPLIED, OrderMark.STUCK, OrderMark.DUE, OrderMark.RETRY)
# What must be seen even where the order was hidden, and what asks for hidden orders.
SHOWS_DELETED: Final = (OrderMark.UNKNOWN, OrderMark.UNAPPLIED, OrderMark.PROBLEM, OrderMark.DELETED)


# Values


class Text(Struct, frozen=True):
    """A text pattern: the literal pieces between its wildcards. ("Oak", "") is `Oak*`; one piece must match whole."""

    pieces: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.pieces in ((), ("",)) or "" in self.pieces[1:-1]:
            raise ValueError(f"{self.pieces!r} is no text pattern")
        for piece in self.pieces:
            if (bad := _UNSTORABLE.search(piece)) is not None:
                raise ValueError(f"no text holds {bad.group()!r}")

    @classmethod
    def exact(cls, text: str) -> Text:
        """The pattern that matches this text only, whatever characters it has."""
        return cls((text,))


class Choice(Struct, frozen=True):
    """A word of a closed list."""

    word: Word


class Currency(Struct, frozen=True):
    code: str

    def __post_init__(self) -> None:
        if not is_currency(self.code):
            raise ValueError(f"{self.code!r} is no currency")


class Period(Struct, frozen=True):
    """A year, a month or a day as it is written; as an end of a range all of it belongs to the range."""

    year: int
    month: int | None = None
    day: int | None = None

    def __post_init__(self) -> None:
        if self.month is None and self.day is not None:
            raise ValueError("a day needs its month")
        self.first()

    def first(self) -> date:
        return date(self.year, self.month or 1, self.day or 1)

    def last(self) -> date:
        if self.day is not None:
            return self.first()
        year, month = (self.year + 1, 1) if self.month in (None, 12) else (self.year, (self.month or 0) + 1)
        return date.max if year > date.max.year else date(year, month, 1) - timedelta(days=1)

    def __str__(self) -> str:
        smaller = "".join(f"-{part:02d}" for part in (self.month, self.day) if part is not None)
        return f"{self.year:04d}{smaller}"


Day: TypeAlias = Period | NearDay


class Duration(Struct, frozen=True):
    amount: int
    unit: str  # m, h, d or w

    def __post_init__(self) -> None:
        if self.unit not in _UNITS or self.amount < 0 or self.length > _LONGEST_DURATION:
            raise ValueError(f"{self.amount}{self.unit} is no duration")

    @property
    def length(self) -> timedelta:
        return self.amount * _UNITS[self.unit]

    def __str__(self) -> str:
        return f"{self.amount}{self.unit}"


class Days(Struct, frozen=True):
    """Days from `low` to `high`, both included; `strict`, with one end only, means later or earlier than all of it."""

    low: Day | None
    high: Day | None
    strict: bool = False

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high, self.strict)
        if isinstance(self.low, Period) and isinstance(self.high, Period) and self.low.first() > self.high.last():
            raise ValueError(_REVERSED)
        if (self.low, self.high) == (NearDay.TODAY, NearDay.YESTERDAY):
            raise ValueError(_REVERSED)


class Durations(Struct, frozen=True):
    """Times from `low` to `high`, both included; `strict`, with one end only, excludes it."""

    low: Duration | None
    high: Duration | None
    strict: bool = False

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high, self.strict)
        if self.low is not None and self.high is not None and self.low.length > self.high.length:
            raise ValueError(_REVERSED)


class Numbers(Struct, frozen=True):
    """Whole numbers from `low` to `high`, both included; `strict`, with one end only, excludes it.

    Of `apartments` they are counts. Of `total` they are ten-thousandths of the major unit, which every currency has
    at most: 1000000 is 100 euro, 100 yen.
    """

    low: int | None
    high: int | None
    strict: bool = False

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high, self.strict)
        if not all(0 <= end < _NUMBERS_END for end in (self.low, self.high) if end is not None):
            raise ValueError("numbers have at most 18 digits and no sign")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(_REVERSED)


Value: TypeAlias = Text | Choice | Currency | Days | Durations | Numbers

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_UNITS: Final = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_LONGEST_DURATION: Final = timedelta(days=36_525)
_PARTS_OF_UNIT: Final = 10_000  # of total
_NUMBERS_END: Final = 10**18  # of all that are read; what is compared stays inside 64 bits
_REVERSED: Final = "the first end of a range stands after its second: turn them round"


def _check_ends(low: object, high: object, strict: bool) -> None:
    if low is None and high is None:
        raise ValueError("a range needs an end")
    if strict and low is not None and high is not None:
        raise ValueError("a range with two ends includes them")


# Keys


_A_DAY: Final = "a day (today, yesterday, 2026, 2026-11, 2026-11-22), a range of days (2026-11-01..2026-11-15)"


class Takes(Enum):
    """What kind of value a key takes. The value is what an error says would be right."""

    TEXT = 'a text, in quotes where it holds a space or a comma: "Oak Hill", Oak*'
    WORD = "a word of its list"
    CURRENCY = "a currency code: EUR"
    PAST = f"{_A_DAY} or an age (<7d)"
    AHEAD = f"{_A_DAY} or a time from now (<2h)"
    EXPIRY = f"{_A_DAY} or days from today (<30d, 8d..30d)"
    WHOLE = "a whole number or a range: 3, 2..10, >5"
    AMOUNT = "an amount in the order's own currency or a range: 42.84, 100..200, >100"


class Key(NamedTuple):
    """A key of the language. `words` are all that it accepts, the one that `describe` writes first for each value."""

    name: str
    help: str
    takes: Takes = Takes.TEXT
    words: Mapping[str, Word] = MappingProxyType({})
    examples: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[str, ...]:
        """What can be offered after the colon: the whole list where there is one, else examples."""
        if self.takes is Takes.WORD:
            return tuple(dict.fromkeys(self.word_of(value) for value in self.words.values()))
        return tuple(sorted(DECIMALS)) if self.takes is Takes.CURRENCY else self.examples

    def word_of(self, value: Word) -> str:
        return next(word for word, each in self.words.items() if each is value)


def _words(kind: type[Word], short: Mapping[Word, str] = MappingProxyType({})) -> Mapping[str, Word]:
    words = {short.get(value, value.value): value for value in kind}
    return MappingProxyType(words | {value.value: value for value in kind})


_TEXTS: Final = ("Oak*", '"Oak Hill"')
_DAYS: Final = ("today", "yesterday", "2026-11", "2026-11-01..2026-11-15")

_OFFICE: Final = Key("office", "name of the office", examples=_TEXTS)
_DEPARTMENT: Final = Key("department", "name of the department or building", examples=_TEXTS)
_USER: Final = Key("user", "id or name of a user", examples=("K1001", '"Duong*"'))

ORDER_KEYS: Final[Mapping[str, Key]] = MappingProxyType(
    {
        key.name: key
        for key in (
            Key(
                "status",
                "status of the order",
                Takes.WORD,
                _words(OrderStatus, {OrderStatus.SYSTEM_PROCESSING: "system", OrderStatus.TIME_OUT: "timeout"}),
            ),
            Key("type", "type of the order", Takes.WORD, _words(OrderType, {OrderType.ADDITIONAL_APP: "additional"})),
            _OFFICE,
            _DEPARTMENT,
            _USER,
            Key("created", "when it was created", Takes.PAST, examples=("<7d", *_DAYS)),
            Key("paid", "when it was paid", Takes.PAST, examples=("<7d", *_DAYS)),
            Key("payby", "until when it must be paid", Takes.AHEAD, examples=("<2h", "today", "2026-11-22")),
            Key("total", "total price, in major units", Takes.AMOUNT, examples=(">100", "100..200", "42.84")),
            Key("currency", "currency of the order", Takes.CURRENCY),
            Key("apartments", "number of apartments", Takes.WHOLE, examples=("1", "2..10", ">5")),
            Key("provider", "provider of one of its payments", Takes.WORD, _words(ProviderName)),
            Key("by", "admin who created it", examples=("alice",)),
            Key("is", "what it needs, or what it is", Takes.WORD, _words(OrderMark)),
        )
    }
)

USER_KEYS: Final[Mapping[str, Key]] = MappingProxyType(
    {
        key.name: key
        for key in (
            _OFFICE,
            _DEPARTMENT,
            Key("kind", "kind of user", Takes.WORD, _words(UserKind)),
            Key("service", "service that the user subscribes to", Takes.WORD, _words(Service)),
            Key("apartment", "apartment of the user", examples=("12A", "1*")),
            Key("state", "state of the subscription", Takes.WORD, _words(SubscriptionState)),
            Key("expires", "last day of the subscription", Takes.EXPIRY, examples=("<30d", "8d..30d", "2026-11")),
            Key("order", "whether an open order holds the subscription", Takes.WORD, _words(Hold)),
            _USER,
        )
    }
)

KEYS: Final[Mapping[Subject, Mapping[str, Key]]] = MappingProxyType({"orders": ORDER_KEYS, "users": USER_KEYS})
_BARE_KEY: Final = Key(BARE, "part of the order number; of users, of name or id", examples=("000123",))
# A name means the same key for both subjects, so a word can be written without knowing which one it is of.
_ALL_KEYS: Final = {BARE: _BARE_KEY, **USER_KEYS, **ORDER_KEYS}


# The filter


class Term(Struct, frozen=True):
    """One word of a filter: it holds where one of its values does, or, negated, where none does."""

    key: str
    values: tuple[Value, ...]
    negated: bool = False

    def describe(self) -> str:
        key = _ALL_KEYS[self.key]
        start = ("-" if self.negated else "") + (f"{self.key}:" if self.key else "")
        return start + ",".join(_describe_value(key, value) for value in self.values)


class Filter(Struct, frozen=True):
    """Which orders or users are meant: those for which every term holds.

    Hidden orders, and removed users, are left out unless a term asks for them (see `includes_deleted`).
    """

    subject: Subject
    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        for term in self.terms:
            key = _BARE_KEY if term.key == BARE else KEYS[self.subject].get(term.key)
            if key is None:
                raise ValueError(f"{self.subject} have no key {term.key!r}")
            if not term.values:
                raise ValueError(f"{term.key!r} has no value")
            for value in term.values:
                if (reason := _unfit(key, value)) is not None:
                    raise ValueError(f"{term.key}: {reason}")

    def describe(self) -> str:
        """The filter as text, in one way of writing: what parses to this very filter."""
        return " ".join(term.describe() for term in self.terms)

    def with_term(self, term: Term | str) -> Filter:
        """This filter narrowed by one more term, or by the words of a text (which may raise FilterError)."""
        more = parse(self.subject, term).terms if isinstance(term, str) else (term,)
        return replace(self, terms=self.terms + more)

    def without_key(self, key: str) -> Filter:
        """This filter without the terms of `key`, negated ones too; BARE takes away the words without a key."""
        return replace(self, terms=tuple(term for term in self.terms if term.key != key))

    @property
    def number_prefix(self) -> str | None:
        """The digits of the only bare word, where it is nothing but digits: they can be looked up as a prefix."""
        return self.number if self.number is not None and _DIGITS.fullmatch(self.number) else None

    @property
    def number(self) -> str | None:
        """The only bare word, where it has no wildcard and is not negated: it may be an order's number, and whole."""
        bare = [term for term in self.terms if term.key == BARE]
        if len(bare) != 1 or bare[0].negated or len(bare[0].values) != 1:
            return None
        value = bare[0].values[0]
        return value.pieces[0] if isinstance(value, Text) and len(value.pieces) == 1 else None

    @property
    def includes_deleted(self) -> bool:
        """Whether hidden orders, or removed users, can be among what is meant.

        Orders: where a word asks for deleted, unknown, unapplied or problem. In such a word the other marks still mean
        what is not hidden: `is:problem` and `is:unknown,unapplied,stuck,due,retry` are the same.
        """
        return any(shows_deleted(term) for term in self.terms)


def shows_deleted(term: Term) -> bool:
    """Whether this term lets hidden orders, or removed users, in."""
    if term.negated or term.key not in ("is", "state"):
        return False
    return any(
        isinstance(value, Choice) and (value.word in SHOWS_DELETED or value.word is SubscriptionState.REMOVED)
        for value in term.values
    )


def _unfit(key: Key, value: Value) -> str | None:
    """Why `key` cannot take `value`, as a clause; None where it can."""
    fits: bool
    match key.takes:
        case Takes.TEXT:
            fits = isinstance(value, Text)
        case Takes.WORD:
            fits = isinstance(value, Choice) and any(value.word is word for word in key.words.values())
        case Takes.CURRENCY:
            fits = isinstance(value, Currency)
        case Takes.PAST | Takes.AHEAD | Takes.EXPIRY:
            fits = isinstance(value, (Days, Durations))
        case Takes.WHOLE | Takes.AMOUNT:
            fits = isinstance(value, Numbers)
    if not fits:
        return f"it takes {key.takes.value}"
    if isinstance(value, Durations):
        ends = [end for end in (value.low, value.high) if end is not None]
        if key.takes is Takes.EXPIRY:
            if any(end.unit not in "dw" for end in ends):
                return "subscriptions end with a day: count in days or weeks, as <30d or <4w"
        elif value.low == value.high:
            return f"no order is exactly that old or that near: write <{ends[0]} or >{ends[0]}"
    return None


_QUOTED = re.compile(r'[\s,"\\*]')
_DIGITS = re.compile("[0-9]+")


def quoted(text: str) -> str:
    """`text` as a value that matches just this text: in quotes where it needs them."""
    return _describe_text(Text.exact(text), bare=False)


def _describe_value(key: Key, value: Value) -> str:
    match value:
        case Text():
            return _describe_text(value, bare=key.name == BARE)
        case Choice(word):
            return key.word_of(word)
        case Currency(code):
            return code
        case Numbers(low, high, strict):
            write = _amount if key.takes is Takes.AMOUNT else str
            return _describe_range(low, high, strict, write)
        case Days(first, last, strict):
            return _describe_range(first, last, strict, str)
        case Durations(shortest, longest, strict):
            return _describe_range(shortest, longest, strict, str)


def _describe_text(pattern: Text, *, bare: bool) -> str:
    plain = "*".join(pattern.pieces)
    if any(_QUOTED.search(piece) for piece in pattern.pieces) or (bare and (":" in plain or plain.startswith("-"))):
        return '"' + "*".join(re.sub(r'(["\\*])', r"\\\1", piece) for piece in pattern.pieces) + '"'
    return plain


def _describe_range(low: T | None, high: T | None, strict: bool, write: Callable[[T], str]) -> str:
    first, last = ("" if end is None else write(end) for end in (low, high))
    if strict:
        return f">{first}" if high is None else f"<{last}"
    return first if low == high else f"{first}..{last}"


def _amount(ten_thousandths: int) -> str:
    whole, rest = divmod(ten_thousandths, _PARTS_OF_UNIT)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".")


# Reading


def parse_orders(text: str) -> Filter:
    """The filter of orders that `text` says; an empty text means all. Raises FilterError."""
    return parse("orders", text)


def parse_users(text: str) -> Filter:
    """The filter of users that `text` says; an empty text means all. Raises FilterError."""
    return parse("users", text)


class _Part(NamedTuple):
    """What stands between commas: the pieces between its wildcards, without quotes and escapes."""

    pieces: tuple[str, ...]
    start: int
    end: int

    @property
    def text(self) -> str:
        return "*".join(self.pieces)


_SPACE = re.compile(r"\s*")
_KEY = re.compile(r'([^\s",:\\]*):')
_PLAIN = re.compile(r"[^\s,]*")
_ESCAPABLE: Final = '"\\*'


def parse(subject: Subject, text: str) -> Filter:
    """The filter of orders, or of users, that `text` says. Raises FilterError."""
    if len(text) > LONGEST:
        raise FilterError(f"a filter has at most {LONGEST} characters: shorten it", LONGEST, len(text))
    if (bad := _UNSTORABLE.search(text)) is not None:
        raise FilterError(f"no text holds the character {bad.group()!a}: leave it out", *bad.span())
    terms = []
    position = _skip_space(text, 0)
    while position < len(text):
        term, position = _read_term(subject, text, position)
        terms.append(term)
        position = _skip_space(text, position)
    return Filter(subject, tuple(terms))


def _skip_space(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return position if space is None else space.end()


def _read_term(subject: Subject, text: str, start: int) -> tuple[Term, int]:
    position = start
    negated = text[start] == "-"
    if negated:
        position += 1
        if position == len(text) or text[position].isspace():
            raise FilterError("a minus stands right before the word that it negates: -status:cancel", start, position)
        if text[position] == "-":
            raise FilterError("one minus negates: put a word that starts with one in quotes", start, position + 1)
    key = _BARE_KEY
    if (match := _KEY.match(text, position)) is not None:
        key = _key_of(subject, match)
        position = match.end()
    values = []
    while True:
        part = _read_part(text, position, key, start)
        values.append(_value_of(key, part))
        position = part.end
        if text[position : position + 1] != ",":
            return Term(key.name, tuple(values), negated), position
        position += 1


def _read_part(text: str, start: int, key: Key, word: int) -> _Part:
    """The part that starts at `start`, of the word that starts at `word`."""
    if text[start : start + 1] == '"':
        part = _read_quoted(text, start)
    else:
        plain = _PLAIN.match(text, start)
        end = start if plain is None else plain.end()
        for offset in range(start, end):
            if text[offset] in '"\\':
                what = "quotes stand around a whole value" if text[offset] == '"' else "a backslash stands in quotes"
                raise FilterError(f'{what}: write key:"value", with \\" \\\\ \\* for the signs themselves', offset, end)
            if text[offset] == ":" and key.name == BARE:
                raise FilterError("a colon follows a key: put a word that holds one in quotes", offset, offset + 1)
        part = _Part(_collapsed(text[start:end].split("*")), start, end)
    if part.pieces == ("",):
        if start == part.end and text[start - 1 : start] == ",":
            raise FilterError("a value is missing after the comma: write no space there", start - 1, start)
        if start == part.end and text[start : start + 1] == ",":
            raise FilterError("a value is missing before the comma", start, start + 1)
        raise FilterError(_no_value(key), word, part.end)
    return part


def _no_value(key: Key) -> str:
    if key.name == BARE:
        return "there is nothing between the quotes: write a part of what is looked for"
    return f"{key.name}: needs a value right after the colon: {_right(key)}"


def _read_quoted(text: str, start: int) -> _Part:
    pieces = [""]
    position = start + 1
    while position < len(text) and text[position] != '"':
        character = text[position]
        if character == "\\":
            position += 1
            character = text[position : position + 1]
            if not character or character not in _ESCAPABLE:
                raise FilterError('in quotes a backslash stands before " or \\ or * only', position - 1, position)
            pieces[-1] += character
        elif character == "*":
            pieces.append("")
        else:
            pieces[-1] += character
        position += 1
    if position == len(text):
        raise FilterError("the quote that opens here is not closed", start, position)
    position += 1
    if position < len(text) and text[position] != "," and not text[position].isspace():
        raise FilterError("after the closing quote a space or a comma must follow", position, position + 1)
    return _Part(_collapsed(pieces), start, position)


def _collapsed(pieces: Sequence[str]) -> tuple[str, ...]:
    """`pieces` with several wildcards in a row as one."""
    if len(pieces) == 1:
        return (pieces[0],)
    return (pieces[0], *(piece for piece in pieces[1:-1] if piece), pieces[-1])


def _key_of(subject: Subject, match: re.Match[str]) -> Key:
    name = match.group(1).lower()
    keys = KEYS[subject]
    if name in keys:
        return keys[name]
    start, end = match.span(1)
    if not name:
        raise FilterError("a key is missing before the colon: put a word that holds one in quotes", start, end + 1)
    other: Subject = "users" if subject == "orders" else "orders"
    own = ", ".join(keys)
    if (subject, name) in (("orders", "number"), ("orders", "order")):
        sentence = f"{name}: is no key for orders: write a part of the order number alone, without a key"
    elif (subject, name) in (("users", "name"), ("users", "id")):
        sentence = f"{name}: is no key: write user:, or a part of name or id alone, without a key"
    elif name in _ALL_KEYS:
        sentence = f"{name}: is a key for {other}, not for {subject}, which have {own}"
    elif nearest := _nearest(name, keys):
        sentence = f"{_shown(name)} is no key: did you mean {nearest}:? The keys for {subject} are {own}"
    elif nearest := _nearest(name, KEYS[other]):
        sentence = f"{_shown(name)} is no key ({nearest}: is one, for {other}): the keys for {subject} are {own}"
    else:
        sentence = f"{_shown(name)} is no key: the keys for {subject} are {own}"
    raise FilterError(sentence, start, end)


def _value_of(key: Key, part: _Part) -> Value:
    try:
        value = _read_value(key, part)
    except ValueError as error:
        raise FilterError(f"{key.name}:{_shown(part.text)}: {error}", part.start, part.end) from error
    if (reason := _unfit(key, value)) is not None:
        raise FilterError(f"{key.name}:{_shown(part.text)}: {reason}", part.start, part.end)
    return value


def _read_value(key: Key, part: _Part) -> Value:
    match key.takes:
        case Takes.TEXT:
            return Text(part.pieces)
        case Takes.WORD:
            word = key.words.get(part.text.lower())
            return Choice(word) if word is not None else _refuse(key, part)
        case Takes.CURRENCY:
            code = part.text.upper()
            return Currency(code) if is_currency(code) else _refuse(key, part)
        case Takes.WHOLE:
            return Numbers(*_read_range(key, part, _read_whole))
        case Takes.AMOUNT:
            return Numbers(*_read_range(key, part, _read_amount))
        case Takes.PAST | Takes.AHEAD | Takes.EXPIRY:
            ends: tuple[Day | Duration | None, Day | Duration | None, bool] = _read_range(key, part, _read_time)
            start, stop, strict = ends
            if not isinstance(start, Duration) and not isinstance(stop, Duration):
                return Days(start, stop, strict)
            if isinstance(start, Duration | None) and isinstance(stop, Duration | None):
                return Durations(start, stop, strict)
            raise ValueError("a range goes from day to day, or from duration to duration")


def _read_range(key: Key, part: _Part, read: Callable[[str], T | None]) -> tuple[T | None, T | None, bool]:
    """Both ends of `a..b`, `a..`, `..b`, `>a`, `>=a`, `<b`, `<=b` or `a`, and whether the end is left out."""
    text = part.text

    def end(start: int, stop: int) -> T:
        value = read(text[start:stop])
        return value if value is not None else _refuse(key, part, start, stop)

    for sign in (">=", "<=", ">", "<"):
        if text.startswith(sign):
            value = end(len(sign), len(text))
            strict = len(sign) == 1
            return (value, None, strict) if sign[0] == ">" else (None, value, strict)
    dots = text.find("..")
    if dots < 0:
        value = end(0, len(text))
        return value, value, False
    low = end(0, dots) if dots > 0 else None
    high = end(dots + 2, len(text)) if dots + 2 < len(text) or low is None else None
    return low, high, False


_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_DURATION = re.compile(r"([0-9]{1,8})([mhdw])")
_WHOLE = re.compile(r"[0-9]{1,18}")
_AMOUNT = re.compile(r"([0-9]{1,14})(?:\.([0-9]{1,4}))?")


def _read_whole(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) else None


def _read_amount(text: str) -> int | None:
    match = _AMOUNT.fullmatch(text)
    return match and int(match.group(1)) * _PARTS_OF_UNIT + int((match.group(2) or "").ljust(4, "0"))


def _read_time(text: str) -> Period | NearDay | Duration | None:
    text = text.lower()
    for near in NearDay:
        if text == near.value:
            return near
    if (match := _DURATION.fullmatch(text)) is not None:
        amount, unit = int(match.group(1)), match.group(2)
        if amount * _UNITS[unit] > _LONGEST_DURATION:
            raise ValueError(f"a duration is at most {_LONGEST_DURATION.days}d")
        return Duration(amount, unit)
    if (match := _DATE.fullmatch(text)) is None:
        return None
    try:
        return Period(*(int(part) for part in match.groups() if part is not None))
    except ValueError:
        raise ValueError("the calendar has no such day: write YYYY, YYYY-MM or YYYY-MM-DD") from None


def _refuse(key: Key, part: _Part, start: int = 0, stop: int | None = None) -> NoReturn:
    """Raise the FilterError for what `key` does not know in part.text[start:stop]."""
    text = part.text[start:stop]
    span = (part.start, part.end)
    if part.end - part.start == len(part.text):  # not in quotes, so offsets are those of the filter's text
        span = (part.start + start, part.start + start + len(text)) if text else span
    if key.takes is Takes.WORD and text.lower() == "all":
        raise FilterError(f"to see all, leave {key.name}: out", *span)
    what = f"{_shown(text)} is no value of {key.name}:" if text else f"a value of {key.name} is missing:"
    nearest = _nearest(text, _known_words(key))
    guess = f"did you mean {nearest}? It" if nearest else "it"
    raise FilterError(f"{what} {guess} takes {_right(key)}", *span)


def _known_words(key: Key) -> Iterable[str]:
    match key.takes:
        case Takes.WORD:
            return key.words
        case Takes.CURRENCY:
            return DECIMALS
        case Takes.PAST | Takes.AHEAD | Takes.EXPIRY:
            return [near.value for near in NearDay]
        case _:
            return ()


def _right(key: Key) -> str:
    return "one of " + ", ".join(key.values) if key.takes is Takes.WORD else key.takes.value


def _nearest(word: str, known: Iterable[str]) -> str | None:
    """What is written most like `word`, if anything; of equals what has its letters turned round, or begins like it."""
    import difflib  # only a mistake needs it

    word = word.lower()
    spelled = {each.lower(): each for each in known}

    def likeness(each: str) -> tuple[float, bool, bool]:
        ratio = difflib.SequenceMatcher(None, each, word).ratio()
        return ratio, sorted(each) == sorted(word), each[:1] == word[:1]

    near = difflib.get_close_matches(word, spelled, 5)
    return spelled[max(near, key=likeness)] if near else None


def _shown(text: str) -> str:
    """Outside text in a sentence: harmless, and not too long."""
    return repr(text) if len(text) <= 40 else repr(text[:39]) + "..."


# What a range means at a moment

FIRST_DAY: Final = date.min.toordinal()
AFTER_LAST_DAY: Final = date.max.toordinal() + 1

_MICROSECOND: Final = timedelta(microseconds=1)


def day_span(value: Days | Durations, today: date) -> tuple[int, int]:
    """The days that `value` means, as ordinals: from the first, up to but not including the second.

    Durations count from today on: `<30d` is today and the 29 days after it.
    """
    if isinstance(value, Durations):
        low, high = (None if end is None else today.toordinal() + end.length.days for end in (value.low, value.high))
        start = today.toordinal() if low is None else low + value.strict
        return start, AFTER_LAST_DAY if high is None else high + (not value.strict)
    start, stop = FIRST_DAY, AFTER_LAST_DAY
    if value.low is not None:
        first, last = _ends(value.low, today)
        start = last + 1 if value.strict else first
    if value.high is not None:
        first, last = _ends(value.high, today)
        stop = first if value.strict else last + 1
    return start, stop


def _ends(day: Day, today: date) -> tuple[int, int]:
    """The first and the last day of what is written as one end of a range."""
    if isinstance(day, Period):
        return day.first().toordinal(), day.last().toordinal()
    ordinal = today.toordinal() - (day is NearDay.YESTERDAY)
    return ordinal, ordinal


def instant_span(key: str, value: Days | Durations, moment: Moment) -> tuple[datetime | None, datetime | None]:
    """The instants that `value` of `key` means, in UTC: from the first, up to but not including the second.

    None: no limit on that side. Days are those of the moment's time zone, each from its first instant on.

    Durations of created and paid are ages: `<7d` is younger than 7 days. What a clock that is ahead has dated into the
    future is the youngest of all. Durations of payby are times from now: `<2h` is in less than 2 hours, and what has
    passed, or passes right now, is not meant.
    """
    if isinstance(value, Days):
        start, stop = day_span(value, moment.today)
        return (
            None if start == FIRST_DAY else _day_start(start, moment.timezone),
            None if stop == AFTER_LAST_DAY else _day_start(stop, moment.timezone),
        )
    low, high = value.low, value.high
    if _ALL_KEYS[key].takes is Takes.PAST:
        # Older is earlier: the longest age is the first instant.
        return (
            None if high is None else moment.now - high.length + (_MICROSECOND if value.strict else timedelta()),
            None if low is None else moment.now - low.length + (timedelta() if value.strict else _MICROSECOND),
        )
    return (
        moment.now + (_MICROSECOND if low is None else low.length + (_MICROSECOND if value.strict else timedelta())),
        None if high is None else moment.now + high.length + (timedelta() if value.strict else _MICROSECOND),
    )


def _day_start(ordinal: int, timezone: str) -> datetime:
    if ordinal <= FIRST_DAY:
        return datetime.min.replace(tzinfo=UTC)
    if ordinal >= AFTER_LAST_DAY:
        return datetime.max.replace(tzinfo=UTC)
    return day_start(date.fromordinal(ordinal), timezone)


def day_start(day: date, timezone: str) -> datetime:
    """The first instant, in UTC, at which the date in `timezone` is `day` or later.

    Where clocks are put back over midnight, midnight comes twice: the first one counts. Where they are put forward
    over it, or a whole day is left out, the instant of the change is where the day begins.
    """
    zone = ZoneInfo(timezone)
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    start = midnight.astimezone(UTC)
    if start.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return start
    # A midnight that does not exist: with the offset after the change it reads as an instant before the change.
    before, seconds = midnight.replace(fold=1).astimezone(UTC), 0
    reach = int((start - before).total_seconds())
    while seconds < reach:
        middle = (seconds + reach) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).date() < day:
            seconds = middle + 1
        else:
            reach = middle
    return before + timedelta(seconds=seconds)


# Text as both the SQL and plain Python compare it


def anywhere(pieces: tuple[str, ...]) -> tuple[str, ...]:
    """The pieces of the pattern that matches where this one matches a part."""
    return _collapsed(("", *pieces, ""))


_ASCII_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def ascii_lower(text: str) -> str:
    """How order numbers and apartments are compared: both engines agree on the case of ASCII letters alone."""
    return text.translate(_ASCII_LOWER)
