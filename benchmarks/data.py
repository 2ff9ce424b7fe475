"""The databases that are measured: made once, by smartsub's own models and migrations, and kept in the cache folder.

Four years of orders by their time, the numbers as smartsub gives them; 40 offices, half of them communities, 20,000
people; three types, six statuses, seven in ten Succeed. Nine in ten orders are imported history without lines, as the
past of an office usually is. The tenth was made here: with lines, and where it is paid with payment, invoice and
service dates that follow from it by the rules. The newest thousands hold people in open orders.

The same size gives the same rows on every machine and day. What is open can be paid until long after: the first start
that finds it due would time it out, and the second would measure another database.
"""

from __future__ import annotations

import csv
import gc
import hashlib
import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from platformdirs import user_cache_path

from smartsub_tui.billing import access, audit_chain, invoices, pricing, terms
from smartsub_tui.billing.terms import Dates, FirstTerm, Months, Term
from smartsub_tui.config import Seller
from smartsub_tui.data import models
from smartsub_tui.data.database import MIGRATIONS, Database, open_database, url_of
from smartsub_tui.data.fields import to_microseconds
from smartsub_tui.data.records import instant_text
from smartsub_tui.data.text import folded
from smartsub_tui.data.vocabulary import (
    InvoiceKind,
    Lapsed,
    LineAction,
    OfficeKind,
    OrderStatus,
    OrderType,
    PaymentState,
    ProviderName,
    Service,
    UserKind,
)

ADMIN: Final = "benchmark"
OFFICES: Final = 40
USERS: Final = 20_000
START: Final = datetime(2022, 11, 1, tzinfo=UTC)
END: Final = datetime(2026, 11, 1, tzinfo=UTC)
# No order number holds this: neither a date, nor a time, nor the count of a second's orders does.
NOT_IN_A_NUMBER: Final = "99999999"

_SEED: Final = 20261101
_CURRENCY: Final = "EUR"
_PAY_BY: Final = to_microseconds(datetime(2100, 1, 1, tzinfo=UTC))
_SECOND: Final = 1_000_000
_CHUNK: Final = 20_000
_MADE_HERE: Final = 0.1
_DELETED: Final = 0.01
_OPEN: Final = 0.1  # of the newest orders
_RATE_PPM: Final = 190_000
_PRICES: Final = {LineAction.ACTIVATION: 500, LineAction.MONTH: 300, LineAction.DAY: 10}
_CLOSED: Final = (
    *(OrderStatus.SUCCEED,) * 71,
    *(OrderStatus.TIME_OUT,) * 13,
    *(OrderStatus.CANCEL,) * 9,
    *(OrderStatus.FAILED,) * 7,
)
_TYPES: Final = (
    *(OrderType.SUBSCRIPTION,) * 7,
    *(OrderType.ACTIVATION,) * 2,
    OrderType.ADDITIONAL_APP,
)
_MONTHS: Final = (1, 1, 3, 3, 6, 12, 12, 12, 24)
_KINDS: Final = (*(UserKind.USER,) * 18, UserKind.PROPERTY_MANAGER, UserKind.FAMILY)
_GIVEN: Final = ("Amelia", "Bảo", "Chloë", "Dmitri", "Elif", "Françoise", "Grace", "Hassan", "Ingrid", "João", "Karl")
_FAMILY: Final = ("Andersson", "Becker", "Clarke", "Demir", "Evans", "Fischer", "Gonçalves", "Huang", "Iyer", "Jansen")
_PLACES: Final = ("Harbour Court", "Linden Park", "Mill Lane", "North Gate", "Oakwood", "Quay Side", "Stone Yard")


class _Person(NamedTuple):
    pk: int
    key: str
    name: str
    part: str
    apartment: str | None
    service: Service


class _Office(NamedTuple):
    pk: int
    name: str
    kind: OfficeKind
    people: tuple[_Person, ...]


class Kept(NamedTuple):
    """A database that is there, and some of its order numbers: the newest, the oldest, and one of the middle."""

    path: Path
    orders: int
    newest: str
    oldest: str
    middle: str


def cache_folder() -> Path:
    """Where the databases are kept: beside no repository, and free to be deleted."""
    return user_cache_path("smartsub", appauthor=False) / "benchmarks"


def database(orders: int, folder: Path) -> Kept:
    """The database of so many orders; made where it is not there, or was made from another schema or by other rules."""
    made_by = [Path(__file__), Path(models.__file__), *sorted(MIGRATIONS.glob("*.py"))]
    digest = hashlib.sha256(b"".join(each.read_bytes() for each in made_by)).hexdigest()[:12]
    path = folder / f"orders-{orders}-{digest}.sqlite3"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for older in folder.glob(f"orders-{orders}-*"):
            older.unlink()
        part = path.with_suffix(".part")
        make(part, orders=orders)
        part.rename(path)
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        seen = "SELECT number FROM orders WHERE deleted_at IS NULL ORDER BY created_at"
        ends = [connection.execute(f"{seen} {way}, id {way} LIMIT 1").fetchone()[0] for way in ("DESC", "ASC")]
        (middle,) = connection.execute("SELECT number FROM orders WHERE id = ?", (orders // 2,)).fetchone()
    connection.close()
    return Kept(path, orders, ends[0], ends[1], middle)


def make(path: Path, *, orders: int, offices: int = OFFICES, users: int = USERS) -> None:
    """Make a new database at `path`; with one office all users are of it, activated, and without an open order."""
    path.unlink(missing_ok=True)
    store = open_database(url_of(path), create=True)
    collecting = gc.isenabled()
    gc.disable()  # nothing here becomes garbage in circles, and looking for it takes its time
    try:
        # The file is renamed when it is whole: until then nothing has to survive a crash, and no row refers to nothing.
        for pragma in ("journal_mode = off", "synchronous = off", "foreign_keys = off", "cache_size = -200000"):
            store.execute_sql(f"PRAGMA {pragma}").fetchall()
        with store.writing():
            access.found_manager(ADMIN, START)
            _fill(store, orders, offices, users)
        store.execute_sql("PRAGMA journal_mode = wal").fetchall()
    finally:
        store.close()
        if collecting:
            gc.enable()


def only_office() -> str:
    """The name of the office of a database that has one."""
    return _office(1, 1, 0).name


def _fill(store: Database, orders: int, offices: int, users: int) -> None:
    chance = random.Random(_SEED)
    places = [_office(pk, offices, users) for pk in range(1, offices + 1)]
    _insert(
        store,
        "price",
        ("service", "action", "amount", "currency", "tax_rate_ppm", "valid_from"),
        (
            (service.value, action.value, amount, _CURRENCY, _RATE_PPM, START.date().isoformat())
            for service in Service
            for action, amount in _PRICES.items()
        ),
    )
    _insert(
        store,
        "office",
        ("id", "name", "name_folded", "kind", "timezone", "currency"),
        ((each.pk, each.name, folded(each.name), each.kind.value, "Europe/Berlin", _CURRENCY) for each in places),
    )
    parts = {
        (each.pk, part): pk
        for pk, (each, part) in enumerate(
            ((each, part) for each in places for part in dict.fromkeys(person.part for person in each.people)), 1
        )
    }
    _insert(
        store,
        "department",
        ("id", "office_id", "name", "name_folded"),
        ((pk, office, part, folded(part)) for (office, part), pk in parts.items()),
    )
    _insert(
        store,
        "users",
        ("id", "key", "key_folded", "office_id", "department_id", "name", "name_folded", "email", "kind", "apartment"),
        (
            (
                *(person.pk, person.key, folded(person.key), each.pk, parts[each.pk, person.part]),
                *(person.name, folded(person.name), f"{person.key.lower()}@example.com"),
                *(_kind(person.service).value, person.apartment),
            )
            for each in places
            for person in each.people
        ),
    )
    history = _History(chance, places, orders)
    while rows := history.chunk():
        for table, columns in _COLUMNS.items():
            _insert(store, table, columns, rows[table])
    opening = START.date() + timedelta(days=30)
    activated = Dates(START.date(), END.date() + timedelta(days=20), 20)
    _insert(
        store,
        "subscription",
        (
            *("id", "user_id", "service", "activated_on", "expires_on", "anchor_day"),
            *("opening_activated_on", "opening_expires_on", "opening_anchor_day"),
        ),
        (
            (
                *(person.pk, person.pk, person.service.value),
                *_stored(history.dates.get(person.pk, activated)),
                *(START.date().isoformat(), opening.isoformat(), opening.day),
            )
            for each in places
            for person in each.people
        ),
    )
    _insert(store, "counter", ("series", "year", "last"), (("INV", year, last) for year, last in history.years.items()))


def _office(pk: int, offices: int, users: int) -> _Office:
    kind = OfficeKind.COMMUNITY if pk % 2 == 0 else OfficeKind.OFFICE
    name = f"{_PLACES[pk % len(_PLACES)]} {pk}"
    people = []
    for number, person in enumerate(range(pk, users + 1, offices)):
        who = f"{_GIVEN[number % len(_GIVEN)]} {_FAMILY[number * 7 % len(_FAMILY)]}"
        part = f"{'Building' if kind is OfficeKind.COMMUNITY else 'Department'} {number % 8 + 1}"
        # In the one office of a single order everybody can be in that order.
        service = (UserKind.USER if offices == 1 else _KINDS[number % len(_KINDS)]).service
        home = str(number // 16 + 1) if kind is OfficeKind.COMMUNITY else None
        people.append(_Person(person, f"U{person:06d}", who, part, home, service))
    return _Office(pk, name, kind, tuple(people))


def _kind(service: Service) -> UserKind:
    return next(kind for kind in UserKind if kind.service is service)


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _stored(dates: Dates) -> tuple[str | None, str | None, int | None]:
    return _day(dates.activated_on), _day(dates.expires_on), dates.anchor_day


def _insert(store: Database, table: str, columns: Sequence[str], rows: Any) -> None:
    marks = ", ".join("?" for _ in columns)
    cursor: Any = store.cursor()
    cursor.executemany(f'INSERT INTO "{table}" ({", ".join(columns)}) VALUES ({marks})', rows)


_COLUMNS: Final = {
    "orders": (
        *("id", "number", "office_id", "type", "status", "status_since", "apartments", "currency", "net", "tax"),
        *("total", "months", "until", "first_term_months", "created_at", "created_by", "created_by_folded", "pay_by"),
        *("paid_at", "late", "history", "imported_at", "deleted_at", "version"),
    ),
    "order_line": (
        *("order_id", "subscription_id", "label", "action", "days", "amount", "tax_rate_ppm", "previous_expiry"),
        *("new_expiry", "applied_on", "lapsed"),
    ),
    "claim": ("subscription_id", "order_id"),
    "payment": (
        *("order_id", "provider", "state", "idempotency_key", "reference", "amount", "currency", "created_at"),
        *("changed_at", "created_by", "applied", "asked", "contested"),
    ),
    "invoice": (
        *("order_id", "kind", "number", "series", "year", "sequence", "issued_at", "issued_on", "currency", "net"),
        *("tax", "total", "snapshot"),
    ),
    "audit_event": ("at", "admin", "source", "action", "order_id", "before", "after", "reason", "hash"),
}
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class _History:
    """The orders in the order of their time, a chunk of rows of every table at a time."""

    def __init__(self, chance: random.Random, offices: Sequence[_Office], orders: int) -> None:
        self._chance, self._offices, self._orders = chance, offices, orders
        self.dates: dict[int, Dates] = {}
        self.years: dict[int, int] = {}
        self._numbers = self._all_numbers()
        self._free = {each.pk: list(each.people[: len(each.people) // 4]) for each in offices}
        open_at_most = sum(map(len, self._free.values())) / 2
        self._first_of_newest = orders - int(min(orders / 5, open_at_most / _OPEN))
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._head = audit_chain.NOTHING

    def chunk(self) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of the next orders by their table; none when all are made."""
        self._rows = {table: [] for table in _COLUMNS}
        for _ in range(_CHUNK):
            if (made := next(self._numbers, None)) is None:
                break
            self._order(*made)
        self._rows["audit_event"] = list(map(self._linked, self._rows["audit_event"]))
        return self._rows if self._rows["orders"] else {}

    def _linked(self, event: tuple[Any, ...]) -> tuple[Any, ...]:
        self._head = audit_chain.linked(self._head, (*event[:5], None, *event[5:], None))
        return (*event, self._head)

    def _all_numbers(self) -> Iterator[tuple[int, int, str]]:
        """Row id, instant in microseconds and number of each order: its second, and its place within the second."""
        first, gap, chance = int(START.timestamp()), (END - START).total_seconds() / max(1, self._orders), self._chance
        last, count, day, text = 0, 0, 0, ""
        for pk in range(1, self._orders + 1):
            second = first + int((pk - 1 + chance.random()) * gap)
            count = count + 1 if second == last else 0
            last = second
            if second // 86400 != day:
                day = second // 86400
                text = datetime.fromtimestamp(second, UTC).strftime("%Y%m%d")
            minutes, seconds = divmod(second % 86400, 60)
            hours, minutes = divmod(minutes, 60)
            yield pk, second * _SECOND, f"{text}{hours:02d}{minutes:02d}{seconds:02d}{count:06d}"

    def _order(self, pk: int, at: int, number: str) -> None:
        chance = self._chance
        office = self._offices[int(chance.random() * len(self._offices))]
        kind = _TYPES[int(chance.random() * len(_TYPES))]
        if pk > self._first_of_newest and chance.random() < _OPEN and self._free[office.pk]:
            self._made_here(pk, at, number, office, OrderStatus.PROCESSING, [self._free[office.pk].pop()])
            return
        status = _CLOSED[int(chance.random() * len(_CLOSED))]
        if chance.random() < _MADE_HERE:
            first, count = int(chance.random() * len(office.people)), int(chance.random() * 4) + 1
            people = office.people[first : first + count]
            self._made_here(pk, at, number, office, status, [each for each in people if each.service is Service.APP])
            return
        homes = 1 + int(chance.random() ** 4 * 40)
        months = _MONTHS[int(chance.random() * len(_MONTHS))]
        until = None
        if kind is OrderType.SUBSCRIPTION and office.kind is OfficeKind.COMMUNITY and chance.random() < 0.1:
            until = (START.date() + timedelta(microseconds=at - to_microseconds(START), days=90)).isoformat()
        paid = status is OrderStatus.SUCCEED
        self._rows["orders"].append(
            (
                *(pk, number, office.pk, kind.value, status.value, at, homes, _CURRENCY, None, None),
                *(homes * months * 357, months if until is None and kind is OrderType.SUBSCRIPTION else None, until),
                *(None, at, ADMIN, ADMIN, None, at + 600 * _SECOND if paid else None, False, True, at),
                *(at + 86400 * _SECOND if chance.random() < _DELETED else None, 1),
            )
        )

    def _made_here(
        self, pk: int, at: int, number: str, office: _Office, status: OrderStatus, people: Sequence[_Person]
    ) -> None:
        """An order with lines. What is open claims its people; what is paid has moved their dates."""
        if not people:  # only property managers and family members were drawn: an order of another type
            people = office.people[:1]
        chance, rows = self._chance, self._rows
        is_open, paid = status.is_open, status is OrderStatus.SUCCEED
        if is_open and chance.random() < 0.2:
            status = OrderStatus.SYSTEM_PROCESSING
        months = _MONTHS[int(chance.random() * len(_MONTHS))]
        known = [each for each in people if each.pk in self.dates]
        starting = not (is_open or known)
        people = people if is_open or starting else known
        term: Term = FirstTerm(1) if starting else Months(months)
        amount = _PRICES[term.action] * (1 if starting else months)
        sums = pricing.totals((amount, _RATE_PPM) for _ in people)
        paid_at = at + 3600 * _SECOND
        rows["orders"].append(
            (
                *(pk, number, office.pk, (OrderType.ACTIVATION if starting else OrderType.SUBSCRIPTION).value),
                *(status.value, paid_at if paid else at, len(people), _CURRENCY, sums.net, sums.tax, sums.total),
                *(None if starting else months, None, 1 if starting else None, at, ADMIN, ADMIN),
                *(_PAY_BY if is_open else at + 86400 * _SECOND, paid_at if paid else None, False, False, None, None),
                2 if paid else 1,
            )
        )
        made = {"status": "processing", "lines": len(people), "total": {"amount": sums.total, "currency": _CURRENCY}}
        rows["audit_event"].append((at, ADMIN, "cli", "create", pk, None, _json(made), None))
        today = (datetime.fromtimestamp(paid_at // _SECOND, UTC)).date()
        snapshot = []
        for person in people:
            was = self.dates.get(person.pk, Dates())
            new = terms.extend(was, term, today, Lapsed.TODAY) if paid else was
            rows["order_line"].append(
                (
                    *(pk, person.pk, person.name, term.action.value, None, amount, _RATE_PPM),
                    *(
                        (_day(was.expires_on), _day(new.expires_on), today.isoformat(), Lapsed.TODAY.value)
                        if paid
                        else (None, None, None, None)
                    ),
                )
            )
            if paid:
                self.dates[person.pk] = new
                snapshot.append(_snapshot_line(person, term, amount, was, new, today))
        if is_open:
            rows["claim"].extend((person.pk, pk) for person in people)
        if paid:
            self._paid(pk, number, at, paid_at, today, office, term, sums, snapshot)

    def _paid(
        self,
        pk: int,
        number: str,
        at: int,
        paid_at: int,
        today: date,
        office: _Office,
        term: Term,
        sums: pricing.Totals,
        lines: Sequence[invoices.SnapshotLine],
    ) -> None:
        rows = self._rows
        sequence = self.years[today.year] = self.years.get(today.year, 0) + 1
        invoice = f"INV-{today.year}-{sequence:06d}"
        starting = isinstance(term, FirstTerm)
        document = invoices.snapshot(
            seller=Seller(),
            office=office.name,
            kind=office.kind,
            number=number,
            type=OrderType.ACTIVATION if starting else OrderType.SUBSCRIPTION,
            created_at=datetime.fromtimestamp(at // _SECOND, UTC),
            paid_at=datetime.fromtimestamp(paid_at // _SECOND, UTC),
            months=term.months if isinstance(term, Months) else None,
            until=None,
            first_term_months=1 if starting else None,
            references=invoices.NO_REFERENCES,
            payment={"provider": ProviderName.MANUAL.value, "reference": f"transfer {sequence}"},
            currency=_CURRENCY,
            lines=lines,
            by_rate=sums.by_rate,
            net=sums.net,
            tax=sums.tax,
            total=sums.total,
        )
        rows["payment"].append(
            (
                *(pk, ProviderName.MANUAL.value, PaymentState.SUCCEEDED.value, f"smartsub-{number}-1"),
                *(f"transfer {sequence}", sums.total, _CURRENCY, paid_at, paid_at, ADMIN, True, 0, False),
            )
        )
        rows["invoice"].append(
            (
                *(pk, InvoiceKind.INVOICE.value, invoice, "INV", today.year, sequence, paid_at, today.isoformat()),
                *(_CURRENCY, sums.net, sums.tax, sums.total, document),
            )
        )
        came = {
            "status": OrderStatus.SUCCEED.value,
            "amount": {"amount": sums.total, "currency": _CURRENCY},
            "reference": f"transfer {sequence}",
            "invoice": invoice,
            "late": False,
        }
        rows["audit_event"].append(
            (paid_at, ADMIN, "cli", "pay", pk, _json({"status": "processing"}), _json(came), None)
        )


def _snapshot_line(
    person: _Person, term: Term, amount: int, was: Dates, new: Dates, today: date
) -> invoices.SnapshotLine:
    return invoices.SnapshotLine(
        user_id=person.key,
        label=person.name,
        department=person.part,
        apartment=person.apartment,
        service=person.service,
        action=term.action,
        amount=amount,
        tax_rate_ppm=_RATE_PPM,
        previous_expiry=was.expires_on,
        new_expiry=new.expires_on,
        starts_on=terms.first_day(was.expires_on, today, Lapsed.TODAY),
    )


def write_csv(path: Path, source: Path) -> None:
    """The closed orders of a database, without lines, as a file that `smartsub import` takes as history."""
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as connection, path.open("w", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_CSV_COLUMNS)
        for row in connection.execute(_CSV_ROWS):
            number, office, kind, status, apartments, total, currency, created, paid, months, until = row
            instants = [
                "" if each is None else instant_text(datetime.fromtimestamp(each // _SECOND, UTC))
                for each in (created, paid)
            ]
            amount = f"{total // 100}.{total % 100:02d}"
            writer.writerow((number, office, kind, status, apartments, amount, currency, *instants, months, until, ""))
    connection.close()


_CSV_COLUMNS: Final = (
    *("order_number", "office", "type", "status", "apartments", "total", "currency", "created_at", "paid_at"),
    *("months", "until", "user_ids"),
)
_CSV_ROWS: Final = """
    SELECT number, office.name, type, status, apartments, total, orders.currency, created_at, paid_at, months, until
    FROM orders JOIN office ON office.id = orders.office_id
    WHERE status NOT IN ('processing', 'system_processing') ORDER BY orders.id
"""
