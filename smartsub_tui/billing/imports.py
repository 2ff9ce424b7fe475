"""The import: CSV files of prices, users and orders become rows, all in one transaction or not at all.

The rules (docs/import.md): the same file again changes nothing. An order that is here is never changed. Closed orders
are history and move nothing; open ones take their people's claims. What a row says by itself was judged when it was
read (see `data.csv_files`); here it is judged against the database, and against the rows taken before it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import PurePath
from typing import Any, Final, NamedTuple, TypeVar

from msgspec import Struct, field
from peewee import JOIN, fn

from smartsub_tui.billing import access, profiles, terms
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.changes import Change, perform
from smartsub_tui.billing.pricing import PriceList, load_prices, share_gross
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Dates, FirstTerm, Months, Term, Until
from smartsub_tui.clock import local_date
from smartsub_tui.data.csv_files import (
    CsvFile,
    FileKind,
    OrderEntry,
    PriceEntry,
    Problem,
    UserEntry,
    quoted,
    read_file,
)
from smartsub_tui.data.database import Database, available, rows
from smartsub_tui.data.models import (
    Claim,
    Department,
    Office,
    Order,
    OrderLine,
    Price,
    Subscription,
    User,
)
from smartsub_tui.data.money import Money, plain_amount
from smartsub_tui.data.records import instant_text
from smartsub_tui.data.text import folded
from smartsub_tui.data.vocabulary import OfficeKind, OrderStatus, OrderType, Service, UserKind, Word
from smartsub_tui.errors import Refused, WrongUsage

T = TypeVar("T")
MOST_NOTES: Final = 100  # of one file
MOST_SHOWN: Final = 20  # problems in the message of a refusal
_CHUNK: Final = 1000


class FileReport(Struct, frozen=True, kw_only=True):
    """What became of one file. added + changed + unchanged + skipped + refused = rows.

    Skipped orders have moved on here since they were imported. `notes` (the first 100, `more_notes` counts the others)
    say of which rows something was left as it is here; `problems` say why rows were refused.
    """

    file: str
    kind: FileKind | None
    rows: int
    added: int
    changed: int
    unchanged: int
    skipped: int
    refused: int
    notes: tuple[Problem, ...]
    more_notes: int
    problems: tuple[Problem, ...]


_COUNTS: Final = ("added", "changed", "unchanged", "skipped", "refused")


class ImportReport(Struct, frozen=True, kw_only=True):
    """What an import did, file by file in the order in which they were named."""

    files: tuple[FileReport, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(problem for each in self.files for problem in each.problems)

    def text(self) -> str:
        """The report for people: a line for each file, then what was left as it is, and what was refused."""
        lines = []
        for each in self.files:
            counts = [f"{getattr(each, what)} {what}" for what in _COUNTS if getattr(each, what)]
            lines.append(f"{each.file}: {', '.join(counts) or 'no rows'}")
            lines.extend(f"  {note}" for note in each.notes)
            if each.more_notes:
                lines.append(f"  ... and {each.more_notes} more")
            lines.extend(f"  refused: {problem}" for problem in each.problems)
        return "\n".join(lines)


class ImportRefused(Refused):
    """Rows that cannot be taken: nothing was imported. `problems` has all of them, the message the first ones."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        more = len(problems) - MOST_SHOWN
        end = f"... and {more} more; nothing was imported" if more > 0 else "nothing was imported"
        super().__init__("\n".join([*(str(each) for each in problems[:MOST_SHOWN]), end]))


class _Tally(Struct):
    """The file that is being imported, and what becomes of it."""

    csv: CsvFile
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    skipped: int = 0
    notes: list[Problem] = field(default_factory=list)
    more_notes: int = 0
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, line: int, column: str, reason: str) -> None:
        self.problems.append(Problem(self.csv.file, line, column, reason))

    def note(self, line: int, column: str, reason: str) -> None:
        if len(self.notes) < MOST_NOTES:
            self.notes.append(Problem(self.csv.file, line, column, reason))
        else:
            self.more_notes += 1

    def report(self) -> FileReport:
        taken = self.added + self.changed + self.unchanged + self.skipped
        return FileReport(
            file=self.csv.file,
            kind=self.csv.kind,
            rows=self.csv.count,
            added=self.added,
            changed=self.changed,
            unchanged=self.unchanged,
            skipped=self.skipped,
            refused=self.csv.count - taken,
            notes=tuple(self.notes),
            more_notes=self.more_notes,
            problems=tuple(sorted((*self.csv.problems, *self.problems), key=lambda each: each.line)),
        )


def import_files(
    session: Session,
    paths: Sequence[str | os.PathLike[str]],
    *,
    dry_run: bool = False,
    partial: bool = False,
    request_id: str | None = None,
) -> ImportReport:
    """Import CSV files, in whatever order they are named, as one transaction; `partial` takes the good rows.

    Raises ImportRefused where a row cannot be taken (and not `partial`), NotFound or Unavailable for a file that cannot
    be read, NotAllowed.
    """
    profiles.check_files(session.profile)
    with available():
        access.check(session.admin, Permission.IMPORT)  # before the reading, which may take a while
    files = [read_file(path) for path in paths]
    return import_read(session, files, dry_run=dry_run, partial=partial, request_id=request_id)


def import_read(
    session: Session,
    files: Sequence[CsvFile],
    *,
    dry_run: bool = False,
    partial: bool = False,
    request_id: str | None = None,
) -> ImportReport:
    """As import_files, of files that are read already."""
    if not files:
        raise WrongUsage("name at least one file to import")
    arguments = {"files": [{"file": each.file, "sha256": each.sha256} for each in files], "partial": partial}
    return perform(
        session,
        Permission.IMPORT,
        arguments,
        ImportReport,
        lambda change: _import(session.database, change, files, partial=partial),
        request_id=request_id,
        dry_run=dry_run,
    )


def _import(database: Database, change: Change, files: Sequence[CsvFile], *, partial: bool) -> ImportReport:
    tallies = [_Tally(csv) for csv in files]
    # Orders need the people and the prices, whatever order the files came in.
    for kind, take in ((FileKind.PRICES, _prices), (FileKind.USERS, _users), (FileKind.ORDERS, _orders)):
        take(database, change, [tally for tally in tallies if tally.csv.kind is kind])
    report = ImportReport(files=tuple(tally.report() for tally in tallies))
    if report.problems and not partial:
        raise ImportRefused(report.problems)
    for tally, each in zip(tallies, report.files, strict=True):
        if each.added or each.changed:
            change.record(
                "import",
                subject=PurePath(each.file).name,
                after={
                    "kind": each.kind,
                    "rows": each.rows,
                    **{what: getattr(each, what) for what in _COUNTS},
                    "sha256": tally.csv.sha256,
                },
            )
    return report


def _chunks(items: Sequence[T], size: int = _CHUNK) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _where(file: str, line: int) -> str:
    return f"line {line} of {file}"


# Prices


def _prices(database: Database, change: Change, tallies: Sequence[_Tally]) -> None:
    """The same row again is unchanged; another amount or rate under the same key is refused."""
    stored = {
        tuple(key): (amount, rate)
        for *key, amount, rate in rows(
            Price.select(
                Price.service,
                Price.action,
                Price.currency,
                Price.office_kind,
                Price.valid_from,
                Price.amount,
                Price.tax_rate_ppm,
            )
        )
    }
    seen: dict[tuple[object, ...], PriceEntry] = {}
    fresh: list[PriceEntry] = []
    for tally in tallies:
        for row in tally.csv.entries:
            key = (row.service, row.action, row.currency, row.office_kind, row.valid_from)
            first = seen.setdefault(key, row)
            here = stored.get(key)
            if first is not row:
                tally.refuse(row.line, "valid_from", f"this price stands on {_where(first.file, first.line)} already")
            elif here is None:
                fresh.append(row)
                tally.added += 1
            elif here[0] != row.amount:
                was, new = (plain_amount(amount, row.currency) for amount in (here[0], row.amount))
                tally.refuse(row.line, "amount", f"this price is {was} here, not {new}: {_NEW_PRICE}")
            elif here[1] != row.tax_rate_ppm:
                was, new = (f"{rate / 1_000_000:.6f}".rstrip("0").rstrip(".") for rate in (here[1], row.tax_rate_ppm))
                tally.refuse(row.line, "tax_rate", f"this price's rate is {was} here, not {new}: {_NEW_PRICE}")
            else:
                tally.unchanged += 1
    database.insert_rows(
        [
            Price.service,
            Price.action,
            Price.amount,
            Price.currency,
            Price.office_kind,
            Price.tax_rate_ppm,
            Price.valid_from,
        ],
        (
            (row.service, row.action, row.amount, row.currency, row.office_kind, row.tax_rate_ppm, row.valid_from)
            for row in fresh
        ),
    )


_NEW_PRICE: Final = "a price never changes, add a row with a new valid_from"


# Users, and with them offices and departments


class _Office(Struct, frozen=True):
    """`pk` is 0 until the office is stored."""

    pk: int
    kind: OfficeKind
    timezone: str
    currency: str


class _KnownUser(Struct, frozen=True):
    """A user as stored. `touched`: an order here has moved the subscription's dates."""

    touched: bool
    pk: int
    office: str
    department: str
    name: str
    email: str
    kind: UserKind
    apartment: str | None
    removed_on: date | None
    subscription: int
    service: Service
    activated_on: date | None
    expires_on: date | None
    held_by: str | None


def _load_offices() -> dict[str, _Office]:
    stored = rows(Office.select(Office.name, Office.id, Office.kind, Office.timezone, Office.currency))
    return {name: _Office(*values) for name, *values in stored}


def _load_users(keys: Sequence[str]) -> dict[str, _KnownUser]:
    applied = OrderLine.select(OrderLine.id).where(
        (OrderLine.subscription == Subscription.id) & OrderLine.applied_on.is_null(False)
    )
    stored = rows(
        User.select(
            User.key,
            fn.EXISTS(applied),
            User.id,
            Office.name,
            Department.name,
            User.name,
            User.email,
            User.kind,
            User.apartment,
            User.removed_on,
            Subscription.id,
            Subscription.service,
            Subscription.activated_on,
            Subscription.expires_on,
            Order.number,
        )
        .join(Office, on=(User.office == Office.id))
        .join(Department, on=(User.department == Department.id))
        .join(Subscription, on=(Subscription.user == User.id))
        .join(Claim, JOIN.LEFT_OUTER, on=(Claim.subscription == Subscription.id))
        .join(Order, JOIN.LEFT_OUTER, on=(Claim.order == Order.id))
        .where(User.key.in_(keys))
    )
    return {key: _KnownUser(bool(touched), *values) for key, touched, *values in stored}


def _users(database: Database, change: Change, tallies: Sequence[_Tally]) -> None:
    """New people come with their offices and departments; of known ones only some fields change."""
    offices = _load_offices()
    seen: dict[str, UserEntry] = {}
    fresh: list[UserEntry] = []
    moved: list[tuple[UserEntry, _KnownUser]] = []
    for tally in tallies:
        for chunk in _chunks(tally.csv.entries):
            known = _load_users([row.user_id for row in chunk])
            for row in chunk:
                first = seen.setdefault(row.user_id, row)
                user = known.get(row.user_id)
                if first is not row:
                    where = _where(first.file, first.line)
                    tally.refuse(row.line, "user_id", f"{quoted(row.user_id)} stands on {where} already")
                elif (wrong := _office_differs(row, offices) or _user_differs(row, user)) is not None:
                    tally.refuse(row.line, *wrong)
                elif user is None:
                    offices.setdefault(row.office, _Office(0, row.office_kind, row.timezone, row.currency))
                    fresh.append(row)
                    tally.added += 1
                elif _user_changes(tally, row, user):
                    moved.append((row, user))
                    tally.changed += 1
                else:
                    tally.unchanged += 1
    departments = _add_places(database, [*fresh, *(row for row, _ in moved)])
    _add_users(database, fresh, departments)
    _change_users(database, change, moved, departments)


def _office_differs(row: UserEntry, offices: dict[str, _Office]) -> tuple[str, str] | None:
    office = offices.get(row.office)
    if office is None:
        return None
    for column, here, said in (
        ("office_kind", office.kind, row.office_kind),
        ("timezone", office.timezone, row.timezone),
        ("currency", office.currency, row.currency),
    ):
        if here != said:
            return column, f"office {quoted(row.office)} has {here}, not {said}: an office's own never changes"
    return None


def _user_differs(row: UserEntry, user: _KnownUser | None) -> tuple[str, str] | None:
    """What an import may never change of a user, or not now."""
    if user is None:
        return None
    if row.office != user.office:
        return "office", f"user {quoted(row.user_id)} is of office {quoted(user.office)}: that never changes"
    if row.kind is not user.kind:
        return "kind", f"user {quoted(row.user_id)} is a {user.kind.value}: that never changes"
    if row.removed_on is not None and user.removed_on is None and user.held_by is not None:
        return (
            "removed_on",
            f"order {quoted(user.held_by)} is open for user {quoted(row.user_id)}: settle or cancel it first",
        )
    return None


def _user_changes(tally: _Tally, row: UserEntry, user: _KnownUser) -> bool:
    """Whether the row says something new that is taken; dates that an order here has moved are kept, and noted."""
    if user.touched and _dates(row) != _dates(user):
        here = "inactive" if user.expires_on is None else f"until {user.expires_on}"
        tally.note(
            row.line, "expires_on", f"the dates of user {quoted(row.user_id)} are kept ({here}): an order here set them"
        )
    return any(before != after for before, after in _differences(row, user).values())


def _dates(row: UserEntry | _KnownUser) -> tuple[date | None, date | None]:
    return row.activated_on, row.expires_on


def _differences(row: UserEntry, user: _KnownUser) -> dict[str, tuple[Any, Any]]:
    """Of every field that may change now: (as it is here, as it will be)."""
    said = {name: (getattr(user, name), getattr(row, name)) for name in ("name", "email", "department", "apartment")}
    if row.says_removed:
        said["removed_on"] = (user.removed_on, row.removed_on)
    if not user.touched:
        said["activated_on"] = (user.activated_on, row.activated_on)
        said["expires_on"] = (user.expires_on, row.expires_on)
    return said


def _add_places(database: Database, people: Sequence[UserEntry]) -> dict[tuple[str, str], tuple[int, int]]:
    """Store offices and departments that are new; (office, department) -> their keys, of all that are named."""
    offices = _load_offices()
    new_offices = {row.office: row for row in people if row.office not in offices}
    database.insert_rows(
        [Office.name, Office.name_folded, Office.kind, Office.timezone, Office.currency],
        ((name, folded(name), row.office_kind, row.timezone, row.currency) for name, row in new_offices.items()),
    )
    offices = _load_offices()
    named = dict.fromkeys((row.office, row.department) for row in people)
    known = _load_departments()
    database.insert_rows(
        [Department.office, Department.name, Department.name_folded],
        ((offices[office].pk, name, folded(name)) for office, name in named if (office, name) not in known),
    )
    known = _load_departments()
    return {key: (offices[key[0]].pk, known[key]) for key in named}


def _load_departments() -> dict[tuple[str, str], int]:
    stored = Department.select(Office.name, Department.name, Department.id).join(
        Office, on=(Department.office == Office.id)
    )
    return {(office, name): pk for office, name, pk in rows(stored)}


def _add_users(database: Database, fresh: Sequence[UserEntry], places: dict[tuple[str, str], tuple[int, int]]) -> None:
    database.insert_rows(
        [
            User.key,
            User.key_folded,
            User.office,
            User.department,
            User.name,
            User.name_folded,
            User.email,
            User.kind,
            User.apartment,
            User.removed_on,
        ],
        (
            (
                row.user_id,
                folded(row.user_id),
                *places[row.office, row.department],
                row.name,
                folded(row.name),
                row.email,
                row.kind,
                row.apartment,
                row.removed_on,
            )
            for row in fresh
        ),
    )
    for chunk in _chunks(fresh):
        keys = [row.user_id for row in chunk]
        pks = dict(rows(User.select(User.key, User.id).where(User.key.in_(keys))))
        database.insert_rows(
            [
                Subscription.user,
                Subscription.service,
                Subscription.activated_on,
                Subscription.expires_on,
                Subscription.anchor_day,
                Subscription.opening_activated_on,
                Subscription.opening_expires_on,
                Subscription.opening_anchor_day,
            ],
            ((pks[row.user_id], row.service, *_as_stored(row), *_as_stored(row)) for row in chunk),
        )


def _as_stored(row: UserEntry) -> tuple[date | None, date | None, int | None]:
    """activated_on, expires_on, anchor_day: the anchor of imported dates is the day of the expiry."""
    return row.activated_on, row.expires_on, None if row.expires_on is None else row.expires_on.day


def _change_users(
    database: Database,
    change: Change,
    moved: Sequence[tuple[UserEntry, _KnownUser]],
    places: dict[tuple[str, str], tuple[int, int]],
) -> None:
    database.update_rows(
        [User.department, User.name, User.name_folded, User.email, User.apartment, User.removed_on, User.id],
        (
            (
                places[row.office, row.department][1],
                row.name,
                folded(row.name),
                row.email,
                row.apartment,
                row.removed_on if row.says_removed else user.removed_on,
                user.pk,
            )
            for row, user in moved
        ),
    )
    database.update_rows(
        [
            Subscription.activated_on,
            Subscription.expires_on,
            Subscription.anchor_day,
            Subscription.opening_activated_on,
            Subscription.opening_expires_on,
            Subscription.opening_anchor_day,
            Subscription.id,
        ],
        (
            (*_as_stored(row), *_as_stored(row), user.subscription)
            for row, user in moved
            if not user.touched and _dates(row) != _dates(user)
        ),
    )
    for row, user in moved:
        changes = {name: pair for name, pair in _differences(row, user).items() if pair[0] != pair[1]}
        change.record(
            "import",
            subject=row.user_id,
            before={name: before for name, (before, _) in changes.items()},
            after={name: after for name, (_, after) in changes.items()},
        )


# Orders


class _Person(Struct, frozen=True):
    """Who can be in an order, as stored now. `held_by` is the number of the open order that has the subscription."""

    subscription: int
    office: int
    name: str
    removed_on: date | None
    service: Service
    dates: Dates
    held_by: str | None


class _KnownOrder(Struct, frozen=True):
    user_ids: frozenset[str]
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
    version: int
    deleted_at: datetime | None


class _NewLine(Struct, frozen=True):
    person: _Person
    term: Term | None = None  # None: history
    days: int | None = None
    amount: int | None = None
    tax_rate_ppm: int | None = None


class _NewOrder(NamedTuple):  # a named tuple for the same reason as its row
    row: OrderEntry
    office: int
    is_open: bool
    lines: tuple[_NewLine, ...] = ()
    net: int | None = None
    tax: int | None = None
    first_term_months: int | None = None


_CLOSED: Final = frozenset(status for status in OrderStatus if not status.is_open)


class _RowRefused(Exception):
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column = column
        self.reason = reason


def _orders(database: Database, change: Change, tallies: Sequence[_Tally]) -> None:
    """Chunk by chunk, so that what a chunk looks up counts what the chunks before it have stored."""
    book = _Book(change, _load_offices())
    seen: dict[str, OrderEntry] = {}
    for tally in tallies:
        for chunk in _chunks(tally.csv.entries):
            known = _load_orders(database, [row.number for row in chunk])
            people = _load_people(list(dict.fromkeys(key for row in chunk for key in row.user_ids)))
            held: dict[int, str] = {}  # subscriptions that open orders of this chunk take
            taken: list[_NewOrder] = []
            for row in chunk:
                first = seen.setdefault(row.number, row)
                here = known.get(row.number)
                if first is not row:
                    where = _where(first.file, first.line)
                    tally.refuse(row.line, "order_number", f"{quoted(row.number)} stands on {where} already")
                elif here is not None:
                    _compare(tally, row, here)
                else:
                    try:
                        taken.append(_judge(book, row, people, held))
                        tally.added += 1
                    except _RowRefused as refused:
                        tally.refuse(row.line, refused.column, refused.reason)
            _add_orders(database, change, taken)


@cache
def _numbers_query(engine: type[Database], count: int) -> str:
    """The SQL that finds which of `count` order numbers are here: made once for an engine, for Peewee is slow at it."""
    sql: str = Order.select(Order.number).where(Order.number.in_([""] * count)).sql()[0]
    return sql


def _load_orders(database: Database, numbers: Sequence[str]) -> dict[str, _KnownOrder]:
    here = [
        number for (number,) in database.execute_sql(_numbers_query(type(database), len(numbers)), numbers).fetchall()
    ]
    if not here:
        return {}
    found = list(
        rows(
            Order.select(
                Order.number,
                Order.id,
                Office.name,
                Order.type,
                Order.status,
                Order.apartments,
                Order.total,
                Order.currency,
                Order.created_at,
                Order.paid_at,
                Order.months,
                Order.until,
                Order.version,
                Order.deleted_at,
            )
            .join(Office, on=(Order.office == Office.id))
            .where(Order.number.in_(here))
        )
    )
    people: dict[int, list[str]] = {}
    lines = (
        OrderLine.select(OrderLine.order, User.key)
        .join(Subscription, on=(OrderLine.subscription == Subscription.id))
        .join(User, on=(Subscription.user == User.id))
        .where(OrderLine.order.in_([pk for _, pk, *_ in found]))
    )
    for order, key in rows(lines):
        people.setdefault(order, []).append(key)
    return {number: _KnownOrder(frozenset(people.get(pk, ())), *values) for number, pk, *values in found}


def _load_people(keys: Sequence[str]) -> dict[str, _Person]:
    people: dict[str, _Person] = {}
    for chunk in _chunks(keys):
        stored = rows(
            User.select(
                User.key,
                Subscription.id,
                User.office,
                User.name,
                User.removed_on,
                Subscription.service,
                Order.number,
                Subscription.activated_on,
                Subscription.expires_on,
                Subscription.anchor_day,
            )
            .join(Subscription, on=(Subscription.user == User.id))
            .join(Claim, JOIN.LEFT_OUTER, on=(Claim.subscription == Subscription.id))
            .join(Order, JOIN.LEFT_OUTER, on=(Claim.order == Order.id))
            .where(User.key.in_(chunk))
        )
        for key, subscription, office, name, removed_on, service, held_by, *dates in stored:
            people[key] = _Person(subscription, office, name, removed_on, service, Dates(*dates), held_by)
    return people


def _compare(tally: _Tally, row: OrderEntry, here: _KnownOrder) -> None:
    """An order that is here stays as it is: equal or moved on since, or the row is refused."""
    for column, stored, said in (
        ("office", here.office, row.office),
        ("type", here.type, row.type),
        ("apartments", here.apartments, row.apartments),
        ("currency", here.currency, row.currency),
        ("total", here.total, row.total),
        ("created_at", here.created_at, row.created_at),
        ("months", here.months, row.months),
        ("until", here.until, row.until),
        ("user_ids", here.user_ids, frozenset(row.user_ids)),
    ):
        if stored != said:
            tally.refuse(row.line, column, f"{_differs(row, column, stored)}: an order that is here never changes")
            return
    if here.status is row.status and here.paid_at == row.paid_at and here.deleted_at is None:
        tally.unchanged += 1
    elif here.version > 1 or here.deleted_at is not None:  # every change of an order counts its version up
        tally.skipped += 1
        now = "deleted" if here.deleted_at is not None else here.status.value
        tally.note(row.line, "status", f"order {quoted(row.number)} has moved on here, it is {now}: kept as it is")
    else:
        column, stored = ("status", here.status) if here.status is not row.status else ("paid_at", here.paid_at)
        tally.refuse(row.line, column, f"{_differs(row, column, stored)}: an order that is here never changes")


def _differs(row: OrderEntry, column: str, stored: object) -> str:
    shown: object = stored
    if stored is None or stored == frozenset():
        shown = "empty"
    elif column == "total" and isinstance(stored, int):
        shown = plain_amount(stored, row.currency)
    elif isinstance(stored, datetime):
        shown = instant_text(stored)
    elif isinstance(stored, frozenset):
        shown = quoted(";".join(sorted(stored)))
    elif isinstance(stored, str) and not isinstance(stored, Word):
        shown = quoted(stored)
    return f"order {quoted(row.number)} is here already and its {column} is {shown}"


class _Book(Struct, frozen=True):
    """What open orders are judged by: offices, prices and the day it is; prices are read once a currency."""

    change: Change
    offices: dict[str, _Office]
    prices: dict[str, PriceList] = field(default_factory=dict)

    def price_list(self, currency: str) -> PriceList:
        if currency not in self.prices:
            self.prices[currency] = load_prices(currency)
        return self.prices[currency]


def _judge(book: _Book, row: OrderEntry, people: dict[str, _Person], held: dict[int, str]) -> _NewOrder:
    """The order that a row makes; raises _RowRefused. The people of an open one are added to `held`."""
    office = book.offices.get(row.office)
    if office is None:
        raise _RowRefused("office", f"no office {quoted(row.office)}: import its users too")
    if row.currency != office.currency:
        raise _RowRefused("currency", f"office {quoted(row.office)} has {office.currency}, not {row.currency}")
    members = []
    for key in row.user_ids:
        person = people.get(key)
        if person is None or person.office != office.pk:
            raise _RowRefused("user_ids", f"{quoted(key)} is no user of office {quoted(row.office)}")
        members.append(person)
    if row.status in _CLOSED:
        return _NewOrder(row, office.pk, False, tuple([_NewLine(person) for person in members]))
    return _judge_open(book, row, office, members, held)


def _judge_open(
    book: _Book, row: OrderEntry, office: _Office, members: Sequence[_Person], held: dict[int, str]
) -> _NewOrder:
    """An open order can still be paid: its people must be free and in the right state, its prices known."""
    if not members:
        raise _RowRefused("user_ids", f"is empty, but the order is {row.status.value}: name whom it is for")
    orders = book.change.settings.orders
    created_on = local_date(row.created_at, office.timezone)
    today = local_date(book.change.now, office.timezone)
    term = _term(row, orders.first_term_months)
    if isinstance(term, Until):
        if office.kind is not OfficeKind.COMMUNITY:
            raise _RowRefused("until", "is filled, but only a community renews to a date")
        if term.day > _refusing("created_at", terms.latest_until, created_on):
            raise _RowRefused("until", f"{term.day} is more than {terms.MOST_MONTHS} months after the order")
    prices, days = [], []
    for key, person in zip(row.user_ids, members, strict=True):
        if (person.service is Service.ADDITIONAL_APP) != (row.type is OrderType.ADDITIONAL_APP):
            raise _RowRefused("user_ids", f"user {quoted(key)} has {person.service.value}: not for {row.type.value}")
        objection = terms.objection(person.dates, term, today, person.removed_on)
        if objection is not None:
            raise _RowRefused("user_ids", f"user {quoted(key)} {objection}")
        holder = person.held_by or held.get(person.subscription)
        if holder is not None:
            raise _RowRefused("user_ids", f"user {quoted(key)} is held by order {quoted(holder)}, which is open too")
        find = book.price_list(row.currency).find
        prices.append(_refusing("created_at", find, person.service, term.action, office.kind, created_on))
        # At least one: the subscription may have lapsed after the order was made.
        days.append(
            max(1, terms.days_to(person.dates, term.day, created_on, orders.lapsed))
            if isinstance(term, Until)
            else None
        )
    rates = [price.tax_rate_ppm for price in prices]
    amounts, tax = share_gross(row.total, rates)
    held.update((person.subscription, row.number) for person in members)
    return _NewOrder(
        row,
        office.pk,
        True,
        tuple(_NewLine(person, term, *values) for person, *values in zip(members, days, amounts, rates, strict=True)),
        net=row.total - tax,
        tax=tax,
        first_term_months=term.months if isinstance(term, FirstTerm) else None,
    )


def _refusing(column: str, rule: Callable[..., T], *arguments: Any) -> T:
    """What `rule` answers; where it refuses, the row is refused for that reason."""
    try:
        return rule(*arguments)
    except Refused as error:
        raise _RowRefused(column, error.message) from error


def _term(row: OrderEntry, first_term_months: int) -> Term:
    """What an open order buys for each of its people."""
    if row.type is OrderType.ACTIVATION:
        for column, value in (("months", row.months), ("until", row.until)):
            if value is not None:
                raise _RowRefused(column, "is filled, but an activation is for its first term")
        return FirstTerm(first_term_months)
    if row.months is not None:
        return Months(row.months)
    if row.until is not None:
        return Until(row.until)
    if row.type is OrderType.SUBSCRIPTION:
        raise _RowRefused("months", "is empty, and until is too: for how long is it?")
    return FirstTerm(first_term_months)


def _add_orders(database: Database, change: Change, orders: Sequence[_NewOrder]) -> None:
    pay_by = change.now + change.settings.orders.pay_within
    admin, admin_folded = change.admin.name, folded(change.admin.name)
    database.insert_rows(
        [
            Order.number,
            Order.office,
            Order.type,
            Order.status,
            Order.status_since,
            Order.apartments,
            Order.currency,
            Order.net,
            Order.tax,
            Order.total,
            Order.months,
            Order.until,
            Order.first_term_months,
            Order.created_at,
            Order.created_by,
            Order.created_by_folded,
            Order.pay_by,
            Order.paid_at,
            Order.late,
            Order.history,
            Order.imported_at,
            Order.version,
        ],
        (
            (
                row.number,
                new.office,
                row.type,
                row.status,
                row.paid_at or row.created_at,
                row.apartments,
                row.currency,
                new.net,
                new.tax,
                row.total,
                row.months,
                row.until,
                new.first_term_months,
                row.created_at,
                admin,
                admin_folded,
                pay_by if new.is_open else None,
                row.paid_at,
                False,
                not new.is_open,
                change.now,
                1,
            )
            for new in orders
            for row in (new.row,)
        ),
    )
    with_lines = [new for new in orders if new.lines]
    if not with_lines:
        return
    numbers = [new.row.number for new in with_lines]
    pks = dict(rows(Order.select(Order.number, Order.id).where(Order.number.in_(numbers))))
    database.insert_rows(
        [
            OrderLine.order,
            OrderLine.subscription,
            OrderLine.label,
            OrderLine.action,
            OrderLine.days,
            OrderLine.amount,
            OrderLine.tax_rate_ppm,
        ],
        (
            (
                pks[new.row.number],
                line.person.subscription,
                line.person.name,
                None if line.term is None else line.term.action,
                line.days,
                line.amount,
                line.tax_rate_ppm,
            )
            for new in with_lines
            for line in new.lines
        ),
    )
    still_open = [new for new in with_lines if new.is_open]
    database.insert_rows(
        [Claim.subscription, Claim.order],
        ((line.person.subscription, pks[new.row.number]) for new in still_open for line in new.lines),
    )
    for new in still_open:
        change.record(
            "import",
            order=pks[new.row.number],
            after={
                "status": new.row.status,
                "lines": len(new.lines),
                "total": Money(new.row.total, new.row.currency),
                "pay_by": pay_by,
            },
        )
