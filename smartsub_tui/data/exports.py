"""Orders, users and the audit trail as rows of a file: CSV with the columns of the import, or JSON Lines.

First the ids of all rows are read, in order: eight bytes each, and with them it is settled which rows the file has and
where each stands. Then the rows follow page by page, by their ids. So a million rows take little memory, are sorted
once, and what changes between two pages puts no row in twice and leaves none out. (Pages of a keyset would need an
index for every sort: without one each page sorts all rows anew.)

The same database gives the same bytes: rows stand in the order asked for, equal ones by their row id. Lines end with LF
alone. RFC 4180 has CR LF, but the import and spreadsheets take both, and what compares files line by line (diff, git,
grep) takes a CR for a part of the last column.

Values come as they are stored, without records: a record for each row would take most of the time.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

from peewee import JOIN

from smartsub_tui.clock import local_date
from smartsub_tui.data import queries
from smartsub_tui.data.csv_cells import cell
from smartsub_tui.data.csv_files import COLUMNS, FileKind
from smartsub_tui.data.database import Database
from smartsub_tui.data.filters import Filter, Moment
from smartsub_tui.data.models import (
    AuditEvent,
    Department,
    Invoice,
    Office,
    Order,
    OrderLine,
    Subscription,
    User,
)
from smartsub_tui.data.money import plain_amount
from smartsub_tui.data.queries import Sort
from smartsub_tui.data.vocabulary import InvoiceKind, OfficeKind, SubscriptionState, Word

PAGE: Final = 500


class ExportKind(Word):
    """What can be exported; the label is what its rows are called."""

    ORDERS = "orders", "orders"
    USERS = "users", "users"
    AUDIT = "audit", "audit events"


class ExportFormat(Word):
    CSV = "csv", "CSV"
    JSONL = "jsonl", "JSON Lines"


class Wanted(NamedTuple):
    """What an export holds. `filter` is one of orders or users as `kind` is, None for all; `sort` is of orders.

    `numbers`, where there are any, are those of the orders that it holds, in this order, whatever the filter says.
    """

    kind: ExportKind
    filter: Filter | None = None
    sort: Sort = Sort()
    numbers: tuple[str, ...] = ()


AUDIT_COLUMNS: Final = (
    *("at", "admin", "source", "action", "order_number", "subject"),
    *("reason", "before", "after", "request_id"),
)
_COLUMNS: Final = {
    ExportKind.ORDERS: COLUMNS[FileKind.ORDERS],
    ExportKind.USERS: COLUMNS[FileKind.USERS],
    ExportKind.AUDIT: AUDIT_COLUMNS,
}


def row_ids(database: Database, wanted: Wanted, moment: Moment) -> array[int]:
    """The ids of the rows that the export has: orders and users in the order of the lists, events oldest first."""
    match wanted.kind:
        case ExportKind.ORDERS if wanted.numbers:
            return array("q", queries.order_ids(wanted.numbers))
        case ExportKind.ORDERS:
            query = queries.order_keys(wanted.filter or Filter("orders"), moment, wanted.sort)
        case ExportKind.USERS:
            query = queries.user_keys(wanted.filter or Filter("users"), moment)
        case _:
            query = AuditEvent.select(AuditEvent.id).order_by(AuditEvent.id)
    return array("q", map(itemgetter(0), database.execute(query)))


def head(kind: ExportKind, form: ExportFormat) -> str:
    """What stands before the rows: in CSV the names of the columns."""
    return ",".join(_COLUMNS[kind]) + "\n" if form is ExportFormat.CSV else ""


def lines(database: Database, kind: ExportKind, form: ExportFormat, ids: Sequence[int], moment: Moment) -> str:
    """The rows of these ids, at most a PAGE of them, in this order: each a line, or where a cell has line ends several.

    `moment` says of which day a user's state is.
    """
    sql, first = _query(type(database), kind, form, len(ids))
    found = {row[0]: row for row in database.execute_sql(sql, (*first, *ids)).fetchall()}
    return "".join(_SHAPES[kind, form].lines(database, [found[each] for each in ids], moment))


# Reading. Values are those of the database: words and dates are text, instants microseconds, amounts minor units.

_Row: TypeAlias = Sequence[Any]


class _Shape(NamedTuple):
    """A query of rows by their ids, which come last in its SQL, and what makes lines of them."""

    select: Callable[[Sequence[int]], Any]
    lines: Callable[[Database, Sequence[_Row], Moment], Iterator[str]]


@cache
def _query(engine: type[Database], kind: ExportKind, form: ExportFormat, count: int) -> tuple[str, tuple[Any, ...]]:
    """The SQL of so many rows and its parameters before the ids: made once for an engine, for Peewee is slow at it."""
    sql, parameters = _SHAPES[kind, form].select([0] * count).sql()
    return sql, tuple(parameters[:-count])


def _instant(microseconds: int) -> str:
    """The same text as `records.instant_text` has for this instant."""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat() + "Z"


_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, and the quicker for not saying so
_to_json: Final = json.JSONEncoder(ensure_ascii=False).encode


# Orders


def _orders(ids: Sequence[int], *more: Any) -> Any:
    return (
        Order.select(
            Order.id,
            Order.number,
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
            *more,
        )
        .join(Office, on=(Order.office == Office.id))
        .where(Order.id.in_(ids))
    )


def _whole_orders(ids: Sequence[int]) -> Any:
    more = (
        Order.net,
        Order.tax,
        Order.created_by,
        Order.pay_by,
        Order.deleted_at,
        Office.kind,
        Order.po_number,
        Order.buyer_reference,
    )
    invoiced = (Invoice.number, Invoice.issued_on, Invoice.total)
    ours = (Invoice.order == Order.id) & (Invoice.kind == InvoiceKind.INVOICE)
    return _orders(ids, *more, *invoiced).join(Invoice, JOIN.LEFT_OUTER, on=ours)


@cache
def _people_query(engine: type[Database], count: int) -> str:
    query = (
        OrderLine.select(OrderLine.order, User.key)
        .join(Subscription, on=(OrderLine.subscription == Subscription.id))
        .join(User, on=(Subscription.user == User.id))
        .where(OrderLine.order.in_([0] * count))
        .order_by(OrderLine.order, OrderLine.id)
    )
    sql: str = query.sql()[0]
    return sql


def _people(database: Database, rows: Sequence[_Row], text: Callable[[list[str]], str]) -> dict[int, str]:
    """The user ids of each order that has lines, in the order of the lines, as one text.

    They are stepped through: of an order for ten thousand people only the text is kept.
    """
    found = database.execute_sql(_people_query(type(database), len(rows)), [row[0] for row in rows])
    return {order: text([key for _, key in group]) for order, group in groupby(found, itemgetter(0))}


def _order_cells(database: Database, rows: Sequence[_Row], _: Moment) -> Iterator[str]:
    people = _people(database, rows, lambda keys: cell(";".join(keys)))
    for pk, number, office, kind, status, apartments, total, currency, created_at, paid_at, months, until in rows:
        yield (
            f"{cell(number)},{cell(office)},{kind},{status},{apartments},{plain_amount(total, currency)},{currency},"
            f"{_instant(created_at)},{_instant(paid_at) if paid_at is not None else ''},{months or ''},{until or ''},"
            f"{people.get(pk, '')}\n"
        )


def _order_objects(database: Database, rows: Sequence[_Row], _: Moment) -> Iterator[str]:
    """The fields of OrderSummary, and behind them whom the order is for."""
    people = _people(database, rows, _to_json)
    for row in rows:
        pk, number, office, kind, status, apartments, total, currency, created_at, paid_at, months, until, *more = row
        net, tax, created_by, pay_by, deleted_at, office_kind, po_number, reference, invoice, issued_on, invoiced = more
        fields = {
            "number": number,
            "type": kind,
            "office": office,
            "status": status,
            "apartments": apartments,
            "net": None if net is None else {"amount": net, "currency": currency},
            "tax": None if tax is None else {"amount": tax, "currency": currency},
            "total": {"amount": total, "currency": currency},
            "created_at": _instant(created_at),
            "created_by": created_by,
            "pay_by": None if pay_by is None else _instant(pay_by),
            "paid_at": None if paid_at is None else _instant(paid_at),
            "months": months,
            "until": until,
            "next_expiration": until if office_kind == OfficeKind.COMMUNITY else None,
            "po_number": po_number,
            "buyer_reference": reference,
            "invoice": None
            if invoice is None
            else {"number": invoice, "issued_on": issued_on, "total": {"amount": invoiced, "currency": currency}},
            "deleted": deleted_at is not None,
        }
        yield f'{_to_json(fields)[:-1]}, "user_ids": {people.get(pk, "[]")}}}\n'


# Users


def _users(ids: Sequence[int]) -> Any:
    return (
        User.select(
            User.id,
            Office.name,
            Office.kind,
            Office.timezone,
            Office.currency,
            Department.name,
            User.key,
            User.name,
            User.email,
            User.kind,
            User.apartment,
            Subscription.service,
            Subscription.activated_on,
            Subscription.expires_on,
            User.removed_on,
        )
        .join(Office, on=(User.office == Office.id))
        .switch(User)
        .join(Department, on=(User.department == Department.id))
        .switch(User)
        .join(Subscription, on=(Subscription.user == User.id))
        .where(User.id.in_(ids))
    )


def _user_cells(_: Database, rows: Sequence[_Row], __: Moment) -> Iterator[str]:
    for _pk, office, office_kind, timezone, currency, department, key, name, email, kind, apartment, *rest in rows:
        service, activated_on, expires_on, removed_on = rest
        yield (
            f"{cell(office)},{office_kind},{timezone},{currency},{cell(department)},{cell(key)},{cell(name)},"
            f"{cell(email)},{kind},{cell(apartment or '')},{service},{activated_on or ''},{expires_on or ''},"
            f"{removed_on or ''}\n"
        )


def _user_objects(_: Database, rows: Sequence[_Row], moment: Moment) -> Iterator[str]:
    """The fields of UserRecord, and behind them what else CSV has."""
    today: dict[str, date] = {}
    for _pk, office, office_kind, timezone, currency, department, key, name, email, kind, apartment, *rest in rows:
        service, activated_on, expires_on, removed_on = rest
        if timezone not in today:
            today[timezone] = local_date(moment.now, timezone)
        yield (
            _to_json(
                {
                    "id": key,
                    "name": name,
                    "office": office,
                    "department": department,
                    "kind": kind,
                    "apartment": apartment,
                    "service": service,
                    "state": SubscriptionState.on(today[timezone], _date(expires_on), _date(removed_on)),
                    "activated_on": activated_on,
                    "expires_on": expires_on,
                    "email": email,
                    "office_kind": office_kind,
                    "timezone": timezone,
                    "currency": currency,
                    "removed_on": removed_on,
                }
            )
            + "\n"
        )


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


# The audit trail


def _events(ids: Sequence[int]) -> Any:
    return (
        AuditEvent.select(
            AuditEvent.id,
            AuditEvent.at,
            AuditEvent.admin,
            AuditEvent.source,
            AuditEvent.action,
            Order.number,
            AuditEvent.subject,
            AuditEvent.reason,
            AuditEvent.before,
            AuditEvent.after,
            AuditEvent.request_id,
        )
        .join(Order, JOIN.LEFT_OUTER, on=(AuditEvent.order == Order.id))
        .where(AuditEvent.id.in_(ids))
    )


def _event_cells(_: Database, rows: Sequence[_Row], __: Moment) -> Iterator[str]:
    for _pk, at, *texts in rows:
        yield ",".join((_instant(at), *(cell(text or "") for text in texts))) + "\n"


def _event_objects(_: Database, rows: Sequence[_Row], __: Moment) -> Iterator[str]:
    """`before` and `after` as the objects that they are."""
    for _pk, at, *texts in rows:
        fields = dict(zip(AUDIT_COLUMNS, (_instant(at), *texts), strict=True))
        for name in ("before", "after"):
            fields[name] = None if fields[name] is None else json.loads(fields[name])
        yield _to_json(fields) + "\n"


_SHAPES: Final = {
    (ExportKind.ORDERS, ExportFormat.CSV): _Shape(_orders, _order_cells),
    (ExportKind.ORDERS, ExportFormat.JSONL): _Shape(_whole_orders, _order_objects),
    (ExportKind.USERS, ExportFormat.CSV): _Shape(_users, _user_cells),
    (ExportKind.USERS, ExportFormat.JSONL): _Shape(_users, _user_objects),
    (ExportKind.AUDIT, ExportFormat.CSV): _Shape(_events, _event_cells),
    (ExportKind.AUDIT, ExportFormat.JSONL): _Shape(_events, _event_objects),
}
