"""CSV files as they come: from bytes to typed rows of prices, users or orders, and a reason for every row that is none.

UTF-8 (a BOM is accepted) and RFC 4180; the header tells the kind of file. Only what a row says by itself is judged
here; what the database has to say about it is judged by the import. The reader is our own: the csv module lets a quote
inside an unquoted field pass, and cannot name the column of what it refuses. The apostrophes that an export has put
before what a spreadsheet would run are taken off again (see `csv_cells`).
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import Struct

from smartsub_tui.config import is_timezone
from smartsub_tui.data.csv_cells import undefused
from smartsub_tui.data.money import DECIMALS, parse_amount
from smartsub_tui.data.vocabulary import (
    LineAction,
    OfficeKind,
    OrderStatus,
    OrderType,
    Service,
    UserKind,
    Word,
)
from smartsub_tui.errors import NotFound, Unavailable

MOST_MONTHS: Final = 60
_LONGEST_QUOTE: Final = 60  # characters of a value that a reason repeats


class FileKind(Word):
    PRICES = "prices", "prices"
    USERS = "users", "users"
    ORDERS = "orders", "orders"


class Problem(Struct, frozen=True):
    """Something about one row: the physical line it starts on (the header is 1), a column's name, and a sentence.

    An empty `column` means the row, or where the line is 1 the file, as a whole.
    """

    file: str
    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in (f"{self.file}:{self.line}", self.column, self.reason) if part)


# Named tuples, for there may be a million of them: a frozen dataclass takes five times as long to make.


class PriceEntry(NamedTuple):
    """A row of prices.csv: net `amount` in minor units, the rate in parts per million."""

    file: str
    line: int
    service: Service
    action: LineAction
    amount: int
    currency: str
    office_kind: OfficeKind | None
    tax_rate_ppm: int
    valid_from: date


class UserEntry(NamedTuple):
    """A row of users.csv. `says_removed`: the file has the column removed_on, so an empty one means something."""

    file: str
    line: int
    office: str
    office_kind: OfficeKind
    timezone: str
    currency: str
    department: str
    user_id: str
    name: str
    email: str
    kind: UserKind
    apartment: str | None
    service: Service
    activated_on: date | None
    expires_on: date | None
    removed_on: date | None
    says_removed: bool


class OrderEntry(NamedTuple):
    """A row of orders.csv: gross `total` in minor units of `currency`."""

    file: str
    line: int
    number: str
    office: str
    type: OrderType
    status: OrderStatus
    apartments: int
    total: int
    currency: str
    created_at: datetime
    paid_at: datetime | None
    months: int | None
    until: date | None
    user_ids: tuple[str, ...]


Entry = PriceEntry | UserEntry | OrderEntry


class CsvFile(Struct, frozen=True):
    """What a file held. `file` is its name as people wrote it, harmless to print; `count` includes the bad rows."""

    file: str
    sha256: str
    kind: FileKind | None  # None: the header does not tell
    count: int
    entries: tuple[Any, ...]  # Entry, all of the class that belongs to `kind`
    problems: tuple[Problem, ...]


def read_file(path: str | os.PathLike[str]) -> CsvFile:
    """Read one file; raises NotFound or Unavailable where it cannot be opened, never for what it holds."""
    shown = shown_name(path)
    try:
        data = Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL in the name
        raise NotFound(f"no file {shown}: check its name") from error
    except OSError as error:
        raise Unavailable(f"{shown} cannot be read: {error.strerror}") from error
    return read_bytes(shown, data)


_LONGEST_HEADER: Final = 4096  # bytes
_MOST_LOOKED_AT: Final = 200


def importable(folder: Path) -> list[str]:
    """The names of the .csv files in `folder` whose header is one of ours: prices, then users, then orders.

    Only headers are read, and of very many files only the first; what cannot be read is none.
    """
    found: list[tuple[int, str]] = []
    try:
        names = sorted(each.name for each in folder.iterdir() if each.suffix.lower() == ".csv" and each.is_file())
    except OSError:
        return []
    for name in names[:_MOST_LOOKED_AT]:
        try:
            with (folder / name).open("rb") as file:
                line = file.readline(_LONGEST_HEADER).decode("utf-8-sig").strip()
        except (OSError, ValueError):
            continue
        columns = line.replace('"', "").split(",")
        kinds = [place for place, kind in enumerate(COLUMNS) if set(columns) <= set(COLUMNS[kind])]
        found.extend((place, name) for place in kinds)
    return [name for _, name in sorted(found)]


def shown_name(path: str | os.PathLike[str]) -> str:
    """A file's name for messages and the audit trail: as it was written, unless it could mislead a terminal."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return text if text.isprintable() else repr(text)


def read_bytes(file: str, data: bytes) -> CsvFile:
    """Read the contents of a file; `file` is what its problems call it."""
    digest = hashlib.sha256(data).hexdigest()
    try:
        text = data.decode("utf-8-sig")
        clean = "\0" not in text
    except UnicodeDecodeError:
        # Read on with marks for the broken bytes, so that each is reported with its line and column.
        text, clean = data.decode("utf-8-sig", "surrogateescape"), False
    records = _records(text, clean)
    line, header = next(records, (1, []))
    if not header:
        return CsvFile(file, digest, None, 0, (), (Problem(file, 1, "", "is empty: the first line names the columns"),))
    if isinstance(header, _Broken):
        return CsvFile(file, digest, None, 0, (), (Problem(file, line, "", header.reason),))
    kind, problems = _judge_header(file, line, header)
    if kind is None or problems:
        return CsvFile(file, digest, kind, 0, (), tuple(problems))
    return _read_rows(file, digest, kind, header, records)


def _read_rows(
    file: str, digest: str, kind: FileKind, header: list[str], records: Iterator[tuple[int, list[str] | _Broken]]
) -> CsvFile:
    layout = _LAYOUTS[kind]
    names = [name for name in layout.columns if name in header]
    readers = [layout.columns[name] for name in names]
    ordered = itemgetter(*(header.index(name) for name in names))
    entries: list[Any] = []
    problems: list[Problem] = []
    count = 0
    for line, fields in records:
        count += 1
        if isinstance(fields, _Broken):
            column = header[min(fields.place, len(header) - 1)]
            problems.append(Problem(file, line, column, fields.reason))
        elif len(fields) != len(header):
            column = header[min(len(fields), len(header) - 1)]
            reason = f"the row has {len(fields)} fields, the header names {len(header)}"
            problems.append(Problem(file, line, column, reason))
        else:
            texts = ordered(fields)
            try:
                values = [read(text) for read, text in zip(readers, texts, strict=True)]
                entries.append(layout.build(file, line, *values))
            except _WrongField as error:
                problems.append(Problem(file, line, error.column, error.reason))
            except ValueError:
                # Once more, and slowly: a person wants every wrong field of a row at once.
                problems.extend(_wrong_fields(file, line, names, readers, texts))
    return CsvFile(file, digest, kind, count, tuple(entries), tuple(problems))


def _wrong_fields(
    file: str, line: int, names: Sequence[str], readers: Sequence[Callable[[str], Any]], texts: Sequence[str]
) -> Iterator[Problem]:
    for name, read, text in zip(names, readers, texts, strict=True):
        try:
            read(text)
        except ValueError as error:
            yield Problem(file, line, name, str(error))


# Records: from text to fields


class _Broken(Struct, frozen=True):
    """A record that cannot be split: the place of the field where it breaks (0 is the first), and why."""

    place: int
    reason: str


_QUOTED = re.compile(r'"[^"]*(?:""[^"]*)*"(?!")')
_OPEN: Final = "the quote that opens here is not closed"


def _records(text: str, clean: bool) -> Iterator[tuple[int, list[str] | _Broken]]:
    """Each record with its first physical line; empty lines are no records.

    `clean` text is known to hold no NUL and no byte that is not UTF-8.
    """
    lines = enumerate(_lines(text), start=1)
    for first, line in lines:
        record = line.removesuffix("\r")
        if not record:
            continue
        if '"' not in record and "\r" not in record:
            fields: list[str] | _Broken = record.split(",")
        else:
            fields = _split(record)
            if isinstance(fields, _Broken) and fields.reason is _OPEN:
                # A quoted field goes on until a line has an odd number of quotes.
                parts = [line]
                for _, more in lines:
                    parts.append(more)
                    if more.count('"') % 2 == 1:
                        fields = _split("\n".join(parts).removesuffix("\r"))
                        break
                else:
                    fields = _Broken(fields.place, f"{_OPEN}: the rest of the file, from here on, is in it")
        if not clean and not isinstance(fields, _Broken):
            fields = _unclean(fields) or fields
        yield first, fields


def _lines(text: str) -> Iterator[str]:
    """Physical lines, without the newline: str.splitlines would also break at characters that end no line of CSV."""
    at = 0
    while (end := text.find("\n", at)) >= 0:
        yield text[at:end]
        at = end + 1
    yield text[at:]


def _split(record: str) -> list[str] | _Broken:
    fields: list[str] = []
    at, end = 0, len(record)
    while True:
        if record.startswith('"', at):
            match = _QUOTED.match(record, at)
            if match is None:
                return _Broken(len(fields), _OPEN)
            fields.append(record[at + 1 : match.end() - 1].replace('""', '"'))
            at = match.end()
            if at < end and record[at] != ",":
                return _Broken(len(fields) - 1, "text follows the quote that closes the field")
        else:
            comma = record.find(",", at)
            stop = end if comma < 0 else comma
            field = record[at:stop]
            if '"' in field:
                return _Broken(len(fields), 'a quote stands inside a field without quotes: write "..." and "" inside')
            if "\r" in field or "\n" in field:
                return _Broken(len(fields), "a line break stands inside a field without quotes")
            fields.append(field)
            at = stop
        if at >= end:
            return fields
        at += 1


def _unclean(fields: list[str]) -> _Broken | None:
    for place, field in enumerate(fields):
        broken = [f"{ord(each) - 0xDC00:02X}" for each in field if "\udc80" <= each <= "\udcff"]
        if broken:
            return _Broken(place, f"holds bytes that are no UTF-8 ({' '.join(broken[:8])}): save the file as UTF-8")
        if "\0" in field:
            return _Broken(place, "holds a NUL character")
    return None


# Fields: from text to values. A reader raises ValueError with a sentence.


class _WrongField(Exception):
    """Fields that contradict each other: the column to look at, and why."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column = column
        self.reason = reason


def quoted(text: str) -> str:
    """A value inside a message: in quotes, short, with escapes for what a terminal would obey or hide."""
    return repr(text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 3] + "...")


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.strip().casefold(), known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def _name(text: str) -> str:
    if not text or text.isspace():
        raise ValueError("is empty")
    return undefused(text)


def _office(text: str) -> str:
    return sys.intern(_name(text))  # a million orders name a few offices


def _optional(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def reader(text: str) -> Any:
        return None if text == "" else read(text)

    return reader


def _word(words: type[Word]) -> Callable[[str], Any]:
    known = {word.value: word for word in words}

    def read(text: str) -> Word:
        try:
            return known[text]
        except KeyError:
            if not text:
                raise ValueError(f"is empty: there are {', '.join(known)}") from None
            raise ValueError(f"{quoted(text)} is unknown: {_near(text, list(known))}") from None

    return read


_CURRENCIES: Final = {code: code for code in DECIMALS}


def _currency(text: str) -> str:
    try:
        return _CURRENCIES[text]
    except KeyError:
        raise ValueError(f"{quoted(text)} is no currency: write its code of ISO 4217, as EUR") from None


@cache
def _known_timezone(text: str) -> bool:
    return is_timezone(text)


def _timezone(text: str) -> str:
    if not _known_timezone(text):
        raise ValueError(f"{quoted(text)} is no time zone: write an IANA name, as Europe/Berlin")
    return text


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _date(text: str) -> date:
    if _DATE.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is no date: write YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is no day of the calendar: write YYYY-MM-DD") from None


_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def _instant(text: str) -> datetime:
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"{quoted(text)} is no instant: write YYYY-MM-DDTHH:MM:SSZ, or an offset as +01:00 for Z")
    try:
        instant = datetime.fromisoformat(text)
        if match[1] != "Z":
            instant = instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{quoted(text)} is no instant of the calendar: write YYYY-MM-DDTHH:MM:SSZ") from None
    if not date.min.year < instant.year < date.max.year:  # in some time zone it would be out of the calendar
        raise ValueError(f"{quoted(text)} is not in the years {date.min.year + 1} to {date.max.year - 1}")
    return instant


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError(f"{quoted(text)} is no whole number: write digits, as 12")
    return int(text)


_MONTHS: Final = {str(months): months for months in range(1, MOST_MONTHS + 1)}


def _months(text: str) -> int:
    try:
        return _MONTHS[text]
    except KeyError:
        raise ValueError(f"{quoted(text)} is no whole number from 1 to {MOST_MONTHS}") from None


_RATE = re.compile(r"[0-9]{1,9}(?:\.([0-9]+))?")


def _rate(text: str) -> int:
    """Parts per million of a rate from 0 to 1: "0.19" is 190000."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{quoted(text)} is no tax rate: write a number from 0 to 1, as 0.19")
    if len(match[1] or "") > 6:
        raise ValueError(f"{quoted(text)} has more than 6 decimals")
    ppm = int(Decimal(text).scaleb(6))
    if ppm > 1_000_000:
        raise ValueError(f"{quoted(text)} is not from 0 to 1: 19 % is 0.19")
    return ppm


def _user_ids(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    keys = tuple(undefused(text).split(";"))
    if not all(keys):
        raise ValueError("has an empty user_id: put one ; between two")
    if len(set(keys)) < len(keys):
        twice = next(key for place, key in enumerate(keys) if key in keys[:place])
        raise ValueError(f"names {quoted(twice)} twice")
    return keys


_amount_of = lru_cache(maxsize=16384)(parse_amount)


def _amount(column: str, text: str, currency: str) -> int:
    try:
        return _amount_of(text[:_LONGEST_QUOTE], currency)  # cut, for the reason repeats it; every amount is shorter
    except ValueError as error:
        raise _WrongField(column, str(error)) from None


# Rows: from values to entries. What one row contradicts by itself is refused here.


def _price(
    file: str,
    line: int,
    service: Service,
    action: LineAction,
    amount: str,
    currency: str,
    office_kind: OfficeKind | None,
    rate: int,
    valid_from: date,
) -> PriceEntry:
    minor = _amount("amount", amount, currency)
    return PriceEntry(file, line, service, action, minor, currency, office_kind, rate, valid_from)


def _user(
    file: str,
    line: int,
    office: str,
    office_kind: OfficeKind,
    timezone: str,
    currency: str,
    department: str,
    user_id: str,
    name: str,
    email: str,
    kind: UserKind,
    apartment: str | None,
    service: Service,
    activated_on: date | None,
    expires_on: date | None,
    *removed_on: date | None,
) -> UserEntry:
    if service is not kind.service:
        raise _WrongField("service", f"a {kind.label} has {kind.service.value}, not {service.value}")
    if ";" in user_id:
        raise _WrongField("user_id", f"{quoted(user_id)} holds a ;, which separates users in orders")
    if activated_on is None and expires_on is not None:
        raise _WrongField("activated_on", "is empty, but expires_on is not: fill both or neither")
    if activated_on is not None and expires_on is None:
        raise _WrongField("expires_on", "is empty, but activated_on is not: fill both or neither")
    if activated_on is not None and expires_on is not None and expires_on < activated_on:
        raise _WrongField("expires_on", f"{expires_on} is before activated_on, {activated_on}")
    return UserEntry(
        file,
        line,
        office,
        office_kind,
        timezone,
        currency,
        department,
        user_id,
        name,
        email,
        kind,
        apartment,
        service,
        activated_on,
        expires_on,
        removed_on[0] if removed_on else None,
        bool(removed_on),
    )


def _order(
    file: str,
    line: int,
    number: str,
    office: str,
    order_type: OrderType,
    status: OrderStatus,
    apartments: int,
    total: str,
    currency: str,
    created_at: datetime,
    paid_at: datetime | None,
    months: int | None,
    until: date | None,
    user_ids: tuple[str, ...],
) -> OrderEntry:
    minor = _amount("total", total, currency)
    if paid_at is not None and status is not OrderStatus.SUCCEED:
        raise _WrongField("paid_at", f"is filled, but a {status.value} order is not paid")
    if months is not None and until is not None:
        raise _WrongField("until", "is filled, and months is too: an order is by the month or to a date")
    return OrderEntry(
        file,
        line,
        number,
        office,
        order_type,
        status,
        apartments,
        minor,
        currency,
        created_at,
        paid_at,
        months,
        until,
        user_ids,
    )


# Layouts: the columns of each kind of file


class _Layout(Struct, frozen=True):
    """`columns` in the order in which `build` takes their values, after file and line; the optional ones are last."""

    columns: dict[str, Callable[[str], Any]]
    optional: frozenset[str]
    build: Callable[..., Entry]


_LAYOUTS: Final = {
    FileKind.PRICES: _Layout(
        {
            "service": _word(Service),
            "action": _word(LineAction),
            "amount": _name,
            "currency": _currency,
            "office_kind": _optional(_word(OfficeKind)),
            "tax_rate": _rate,
            "valid_from": _date,
        },
        frozenset(),
        _price,
    ),
    FileKind.USERS: _Layout(
        {
            "office": _office,
            "office_kind": _word(OfficeKind),
            "timezone": _timezone,
            "currency": _currency,
            "department": _name,
            "user_id": _name,
            "name": _name,
            "email": undefused,
            "kind": _word(UserKind),
            "apartment": _optional(undefused),
            "service": _word(Service),
            "activated_on": _optional(_date),
            "expires_on": _optional(_date),
            "removed_on": _optional(_date),
        },
        frozenset({"removed_on"}),
        _user,
    ),
    FileKind.ORDERS: _Layout(
        {
            "order_number": _name,
            "office": _office,
            "type": _word(OrderType),
            "status": _word(OrderStatus),
            "apartments": _count,
            "total": _name,
            "currency": _currency,
            "created_at": _instant,
            "paid_at": _optional(_instant),
            "months": _optional(_months),
            "until": _optional(_date),
            "user_ids": _user_ids,
        },
        frozenset(),
        _order,
    ),
}
COLUMNS: Final = {kind: tuple(layout.columns) for kind, layout in _LAYOUTS.items()}


def _judge_header(file: str, line: int, header: list[str]) -> tuple[FileKind | None, list[Problem]]:
    """The kind of file whose columns the header names most of, and what is wrong with the header."""
    named = {name.strip().casefold() for name in header}
    hits = sorted(((len(named & set(columns)), kind) for kind, columns in COLUMNS.items()), reverse=True)
    if hits[0][0] == hits[1][0]:
        if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
            return None, [Problem(file, line, "", "the header has no commas: save the file with commas between fields")]
        kinds = "; ".join(f"{kind.value}: {','.join(columns)}" for kind, columns in COLUMNS.items())
        reason = f"the header {quoted(','.join(header))} tells no kind of file. Columns of {kinds}"
        return None, [Problem(file, line, "", reason)]
    kind = hits[0][1]
    layout = _LAYOUTS[kind]
    problems = []
    for place, name in enumerate(header):
        shown = name if name and name.isprintable() and len(name) <= _LONGEST_QUOTE else quoted(name)
        if name not in layout.columns:
            near = _near(name, [each for each in layout.columns if each not in header] or list(layout.columns))
            problems.append(Problem(file, line, shown, f"is no column of {kind.value}: {near}"))
        elif name in header[:place]:
            problems.append(Problem(file, line, shown, "stands in the header twice"))
    problems.extend(
        Problem(file, line, name, f"is missing: the columns of {kind.value} are {','.join(layout.columns)}")
        for name in layout.columns
        if name not in header and name not in layout.optional
    )
    return kind, problems
