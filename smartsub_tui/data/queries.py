"""What is read: offices, users and orders as records. A list is a page of a keyset, never an OFFSET."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from peewee import JOIN, Case, Expression, Field, Value, fn

from smartsub_tui.clock import local_date
from smartsub_tui.data.database import rows
from smartsub_tui.data.fields import to_microseconds
from smartsub_tui.data.filter_sql import order_branches, order_condition, user_condition
from smartsub_tui.data.filters import BARE, Filter, Moment
from smartsub_tui.data.keyset import Cursor, Keyset, Page, cursor_of
from smartsub_tui.data.models import Admin, Claim, Department, Invoice, Office, Order, Subscription, User
from smartsub_tui.data.money import Money
from smartsub_tui.data.records import InvoiceRecord, OfficeRecord, OrderSummary, UserRecord
from smartsub_tui.data.text import folded
from smartsub_tui.data.vocabulary import (
    EXPIRING_DAYS,
    InvoiceKind,
    OfficeKind,
    OrderStatus,
    OrderType,
    Service,
    SubscriptionState,
    UserKind,
)
from smartsub_tui.errors import NotFound, Refused, WrongUsage

PAGE: Final = 50
_CHUNK: Final = 500  # values of one IN


def zones() -> list[str]:
    """The time zones that offices have."""
    return [zone for (zone,) in rows(Office.select(Office.timezone).distinct())]


# Offices


def find_office(name: str) -> Office:
    """The office of that name: as written, else whatever the case and composition of its letters.

    Raises NotFound, naming the nearest; Refused where several are meant.
    """
    exact = Office.get_or_none(Office.name == name)
    if exact is not None:
        return exact
    alike = list(Office.select().where(Office.name_folded == folded(name)))
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise Refused(f"{len(alike)} offices are called {name!r}: write it exactly as one of them")
    near = nearest(name, office_names())
    raise NotFound(f"no office is called {name!r}: {near or 'smartsub offices lists them'}")


def office_names() -> list[str]:
    """The names of all offices, in their order."""
    return [name for (name,) in rows(Office.select(Office.name).order_by(Office.name_folded, Office.id))]


def find_department(office: Office, name: str) -> Department:
    """The department of that name in `office`; raises NotFound, naming the nearest."""
    found = list(Department.select().where((Department.office == office) & (Department.name_folded == folded(name))))
    exact = [each for each in found if each.name == name]
    if len(exact or found) == 1:
        return (exact or found)[0]
    names = sorted(each.name for each in Department.select().where(Department.office == office))
    near = nearest(name, names) or f"there are {', '.join(names)}"
    raise NotFound(f"{office.name} has no {office.kind.department_label.lower()} {name!r}: {near}")


def departments(office: Office) -> list[str]:
    """The names of an office's departments, in their order."""
    named = Department.select(Department.name).where(Department.office == office)
    return [name for (name,) in rows(named.order_by(Department.name_folded, Department.id))]


# More than a line shows after a few letters, and little to hold.
_NAMES: Final = 2_000


def filter_names() -> dict[str, list[str]]:
    """The names that values of a filter can be, by key: of offices, departments and admins, at most 2,000 each."""
    asked: dict[str, Any] = {
        "office": Office.select(Office.name).order_by(Office.name_folded),
        "department": Department.select(Department.name)
        .group_by(Department.name_folded, Department.name)
        .order_by(Department.name_folded),
        "by": Admin.select(Admin.name).order_by(Admin.name),
    }
    return {key: [name for (name,) in rows(query.limit(_NAMES))] for key, query in asked.items()}


def nearest(name: str, names: Sequence[str]) -> str | None:
    """ "did you mean ...?", where one of the names is near enough."""
    import difflib

    known = {folded(each): each for each in names}
    near = difflib.get_close_matches(folded(name), list(known), n=1, cutoff=0.4)
    return f"did you mean {known[near[0]]!r}?" if near else None


def offices(now: datetime) -> list[OfficeRecord]:
    """Every office with its counts, by name; removed people and hidden orders are not counted."""
    days = {zone: local_date(now, zone) for zone in zones()}
    if not days:
        return []
    # As dates, which an engine that has them knows from text: what stands in a CASE has no column beside it.
    today = Case(Office.timezone, [(zone, Value(day, converter=False)) for zone, day in days.items()])
    span = timedelta(days=EXPIRING_DAYS - 1)
    last = Case(Office.timezone, [(zone, Value(day + span, converter=False)) for zone, day in days.items()])
    expires_on = Subscription.expires_on
    present = (User.office == Office.id) & User.removed_on.is_null()

    def people(condition: Expression) -> Any:
        return fn.COALESCE(fn.SUM(Case(None, [(condition, 1)], 0)), 0)

    unpaid: dict[int, int] = dict(
        rows(
            Order.select(Order.office, fn.COUNT(Order.id))
            .where((Order.status == OrderStatus.PROCESSING) & Order.deleted_at.is_null())
            .group_by(Order.office)
        )
    )
    counted = (
        Office.select(
            Office.id,
            Office.name,
            Office.kind,
            Office.timezone,
            Office.currency,
            fn.COUNT(User.id),
            people(User.id.is_null(False) & expires_on.is_null()),
            people((expires_on >= today) & (expires_on <= last)),
            people(expires_on < today),
        )
        .join(User, JOIN.LEFT_OUTER, on=present)
        .join(Subscription, JOIN.LEFT_OUTER, on=(Subscription.user == User.id))
        .group_by(
            Office.id,
            *Order._meta.database.settled(
                Office.name, Office.name_folded, Office.kind, Office.timezone, Office.currency
            ),
        )
        .order_by(Office.name_folded, Office.id)
    )
    return [
        OfficeRecord(
            id=row[0],
            name=row[1],
            kind=row[2],
            timezone=row[3],
            currency=row[4],
            users=row[5],
            inactive=int(row[6]),
            expiring=int(row[7]),
            expired=int(row[8]),
            unpaid=unpaid.get(row[0], 0),
        )
        for row in rows(counted)
    ]


# Users

_Holder: Final = Order.alias("holder")

_USER_COLUMNS: Final = (
    User.id,
    User.key,
    User.name,
    Office.name,
    Office.timezone,
    Department.name,
    User.kind,
    User.apartment,
    User.removed_on,
    Subscription.id,
    Subscription.service,
    Subscription.activated_on,
    Subscription.expires_on,
    Subscription.anchor_day,
    _Holder.number,
    User.name_folded,
)


def _users(*columns: Any) -> Any:
    """A query of users, with all that a filter of users looks at."""
    return (
        User.select(*columns)
        .join(Office, on=(User.office == Office.id))
        .switch(User)
        .join(Department, on=(User.department == Department.id))
        .switch(User)
        .join(Subscription, on=(Subscription.user == User.id))
    )


def _with_holder(query: Any) -> Any:
    """The query of users with the open order that holds each."""
    return query.join(Claim, JOIN.LEFT_OUTER, on=(Claim.subscription == Subscription.id)).join(
        _Holder, JOIN.LEFT_OUTER, on=(Claim.order == _Holder.id)
    )


def _records(found: Iterable[Sequence[Any]], now: datetime) -> list[UserRecord]:
    """Rows of _USER_COLUMNS as records."""
    today: dict[str, date] = {}
    state_on = cache(SubscriptionState.on)
    records = []
    for row in found:
        zone = row[4]
        if zone not in today:
            today[zone] = local_date(now, zone)
        records.append(
            UserRecord(
                pk=row[0],
                id=row[1],
                name=row[2],
                office=row[3],
                department=row[5],
                kind=row[6],
                apartment=row[7],
                service=row[10],
                state=state_on(today[zone], row[12], row[8]),
                activated_on=row[11],
                expires_on=row[12],
                subscription_pk=row[9],
                anchor_day=row[13],
                held_by=row[14],
            )
        )
    return records


def search_users(
    chosen: Filter,
    moment: Moment,
    *,
    office: int | None = None,
    keys: Sequence[str] | None = None,
    limit: int | None = PAGE,
) -> list[UserRecord]:
    """The people that the filter lets through, by office, name and id; of one office, of some user ids, if given."""
    query = (
        _with_holder(_users(*_USER_COLUMNS))
        .where(user_condition(chosen, moment, zones()))
        .order_by(Office.name_folded, User.name_folded, User.id)
        .limit(limit)
    )
    if office is not None:
        query = query.where(User.office == office)
    if keys is not None:
        query = query.where(User.key.in_(list(keys)))
    return _records(rows(query), moment.now)


def user_keys(chosen: Filter, moment: Moment) -> Any:
    """A query of the row ids of everyone whom the filter lets through, in the order of search_users."""
    return (
        _users(User.id)
        .where(user_condition(chosen, moment, zones()))
        .order_by(Office.name_folded, User.name_folded, User.id)
    )


def count_users(chosen: Filter, moment: Moment, *, office: int | None = None) -> int:
    """How many people the filter lets through."""
    query = _users(fn.COUNT(User.id)).where(user_condition(chosen, moment, zones()))
    if office is not None:
        query = query.where(User.office == office)
    return int(query.scalar())


class Candidates(NamedTuple):
    """The people of one office whom an order may be for: an activation, or, of who is `activated`, a renewal.

    Users and property managers, or with `additional` the family members. `departments`: only of these, by name.
    """

    office: int
    activated: bool
    additional: bool
    departments: tuple[str, ...] | None = None


# Within an office, as in search_users; it lies in an index.
_BY_NAME: Final = Keyset((User.name_folded, User.id))


def search_candidates(
    among: Candidates,
    chosen: Filter,
    moment: Moment,
    *,
    limit: int | None = PAGE,
    after: Cursor | None = None,
    before: Cursor | None = None,
    at: Cursor | None = None,
    last: bool = False,
) -> Page[UserRecord]:
    """A page of the candidates that the filter lets through, by name and id; which one, as search_orders says it."""
    conditions, backward = _BY_NAME.part(after=after, before=before, at=at, last=last)
    query = _with_holder(_users(*_USER_COLUMNS)).where(_may_be_in(among, chosen, moment), *conditions)
    found = list(rows(query.order_by(*_BY_NAME.ends(backward=backward)).limit(limit)))
    if backward:
        found.reverse()
    return Page(tuple(_records(found, moment.now)), tuple(cursor_of((row[-1],), row[0]) for row in found))


def count_candidates(among: Candidates, chosen: Filter, moment: Moment, *, before: Cursor | None = None) -> int:
    """How many candidates the filter lets through; of these, those who stand before a cursor, if one is given."""
    here = [] if before is None else [_BY_NAME.beyond(before, backward=True)]
    return int(_users(fn.COUNT(User.id)).where(_may_be_in(among, chosen, moment), *here).scalar())


def _may_be_in(among: Candidates, chosen: Filter, moment: Moment) -> Any:
    family = User.kind == UserKind.FAMILY if among.additional else User.kind != UserKind.FAMILY
    here = (User.office == among.office) & family & Subscription.expires_on.is_null(not among.activated)
    if among.departments is not None:
        here &= Department.name.in_(among.departments)
    return here & user_condition(chosen, moment)


class DepartmentCount(NamedTuple):
    """People of one department and one service: not activated yet (`held` of them by an open order), and activated."""

    department: str
    service: Service
    inactive: int
    held: int
    activated: int


def count_departments(office: int, *, additional: bool) -> list[DepartmentCount]:
    """Whom an order of the office may be for, counted by department and service; removed people are not counted."""
    inactive = Subscription.expires_on.is_null()
    family = User.kind == UserKind.FAMILY if additional else User.kind != UserKind.FAMILY
    counted = (
        _users(
            Department.name,
            Subscription.service,
            fn.SUM(Case(None, [(inactive, 1)], 0)),
            fn.SUM(Case(None, [(inactive & Claim.order.is_null(False), 1)], 0)),
            fn.SUM(Case(None, [(inactive, 0)], 1)),
        )
        .join(Claim, JOIN.LEFT_OUTER, on=(Claim.subscription == Subscription.id))
        .where((User.office == office) & family & User.removed_on.is_null())
        .group_by(User.department, Subscription.service, *Order._meta.database.settled(Department.name))
    )
    return [DepartmentCount(name, service, *map(int, counts)) for name, service, *counts in rows(counted)]


class PeopleCount(NamedTuple):
    """People of one office and one service: how many each of the filters lets through."""

    office: int
    service: Service
    people: tuple[int, ...]


def count_people(filters: Sequence[Filter], moment: Moment) -> list[PeopleCount]:
    """How many people of each office and service every one of the filters lets through, counted in one pass.

    The conditions are those of the lists themselves, so a count is always that of its list.
    """
    known = zones()
    counted = _users(
        User.office,
        Subscription.service,
        *(fn.SUM(Case(None, [(user_condition(each, moment, known), 1)], 0)) for each in filters),
    ).group_by(User.office, Subscription.service)
    return [
        PeopleCount(office, service, tuple(int(each) for each in people)) for office, service, *people in rows(counted)
    ]


# Orders


class Sort(NamedTuple):
    """An order of rows; equal values are told apart by the order's row id, in the same direction."""

    key: str = "created"
    descending: bool = True

    def describe(self) -> str:
        """The text that parse_sort reads back."""
        return f"{'-' if self.descending else ''}{self.key}"


# What each key compares, in turn; each but the last four lies in an index. A column that may be NULL sorts as 0.
_SORT_COLUMNS: Final[dict[str, tuple[Any, ...]]] = {
    "created": (Order.created_at,),
    "number": (Order.number,),
    "type": (Order.type, Order.created_at),
    "status": (Order.status, Order.created_at),
    "total": (Order.total,),
    "apartments": (Order.apartments,),
    "paid": (fn.COALESCE(Order.paid_at, 0),),
    "payby": (fn.COALESCE(Order.pay_by, 0),),
    "office": (Office.name_folded,),
}
SORT_KEYS: Final = tuple(_SORT_COLUMNS)


def parse_sort(text: str) -> Sort:
    """KEY is upward, -KEY downward; raises WrongUsage for an unknown key, naming the nearest."""
    key = text.removeprefix("-")
    if key not in SORT_KEYS:
        raise WrongUsage(f"orders are not sorted by {key!r}: {nearest(key, SORT_KEYS) or ', '.join(SORT_KEYS)}")
    return Sort(key, descending=text.startswith("-"))


def _keyset(sort: Sort) -> Keyset:
    return Keyset((*_SORT_COLUMNS[sort.key], Order.id), sort.descending)


def cursor_at(instant: datetime) -> Cursor:
    """Between what was created before an instant and what was created at it or later, in the order of creation."""
    return Cursor((to_microseconds(instant),), 0)


OrderPage: TypeAlias = Page[OrderSummary]


_COLUMNS: Final = (
    Order.id,
    Order.number,
    Order.type,
    Order.status,
    Order.apartments,
    Order.currency,
    Order.net,
    Order.tax,
    Order.total,
    Order.created_at,
    Order.created_by,
    Order.pay_by,
    Order.paid_at,
    Order.months,
    Order.until,
    Order.deleted_at,
    Order.late,
    Order.history,
    Order.version,
    Office.name,
    Office.kind,
    Invoice.number,
    Invoice.issued_on,
    Invoice.total,
    Order.po_number,
    Order.buyer_reference,
)


def _orders() -> Any:
    return (
        Order.select(*_COLUMNS)
        .join(Office, on=(Order.office == Office.id))
        .join(
            Invoice,
            JOIN.LEFT_OUTER,
            on=((Invoice.order == Order.id) & (Invoice.kind == InvoiceKind.INVOICE)),
        )
    )


def _summary(row: Sequence[Any], now: datetime) -> dict[str, Any]:
    currency, status, pay_by, until = row[5], row[3], row[11], row[14]
    return {
        "pk": row[0],
        "number": row[1],
        "type": row[2],
        "status": status,
        "office": row[19],
        "office_kind": row[20],
        "apartments": row[4],
        "net": None if row[6] is None else Money(row[6], currency),
        "tax": None if row[7] is None else Money(row[7], currency),
        "total": Money(row[8], currency),
        "created_at": row[9],
        "created_by": row[10],
        "pay_by": pay_by,
        "paid_at": row[12],
        "months": row[13],
        "until": until,
        # Only community orders that are renewed on a daily basis have one.
        "next_expiration": until if row[20] is OfficeKind.COMMUNITY else None,
        "po_number": row[24],
        "buyer_reference": row[25],
        "invoice": None
        if row[21] is None
        else InvoiceRecord(number=row[21], issued_on=row[22], total=Money(row[23], currency)),
        "deleted": row[15] is not None,
        "late": row[16],
        "history": row[17],
        "version": row[18],
        "due": status is OrderStatus.PROCESSING and pay_by is not None and pay_by <= now,
    }


def search_orders(
    chosen: Filter,
    moment: Moment,
    *,
    sort: Sort = Sort(),
    limit: int | None = PAGE,
    after: Cursor | None = None,
    before: Cursor | None = None,
    at: Cursor | None = None,
    last: bool = False,
) -> OrderPage:
    """A page of the orders that the filter lets through.

    The first page, or the one right `after` a cursor, right `before` one, beginning `at` one, or the `last`.
    """
    conditions, backward = _keyset(sort).part(after=after, before=before, at=at, last=last)
    cursors = _first(_branches(chosen, moment, sort), conditions, sort, limit, backward=backward)
    if backward:
        cursors.reverse()
    return _page(cursors, moment)


def _branches(chosen: Filter, moment: Moment, sort: Sort) -> list[Any]:
    """Conditions that together are that of the filter; each lets an index give its rows in the order of the sort."""
    if sort.key in ("created", "type", "status"):
        return order_branches(chosen, moment, by_type=sort.key == "type")
    return [order_condition(chosen, moment)]


def _first(
    branches: Sequence[Any], conditions: Sequence[Any], sort: Sort, limit: int | None, *, backward: bool = False
) -> list[Cursor]:
    """Where the first rows of all branches stand, in the order of the sort, or against it."""
    keyset = _keyset(sort)
    found: list[tuple[Any, ...]] = []
    for branch in branches:
        # Only what the sort compares: the rest of a row is read of the rows that are shown.
        query = _with_office(Order.select(*keyset.columns).where(branch, *conditions), sort)
        found.extend(rows(query.order_by(*keyset.ends(backward=backward)).limit(limit)))
    cursors = [cursor_of(values, pk) for *values, pk in found]
    if len(branches) > 1:
        cursors.sort(reverse=sort.descending != backward)
        cursors = cursors[:limit]
    return cursors


def _page(cursors: Sequence[Cursor], moment: Moment) -> OrderPage:
    """The rows that stand there."""
    read: dict[int, OrderSummary] = {}
    for chosen in among(Order.id, [each.pk for each in cursors]):
        read |= {row[0]: OrderSummary(**_summary(row, moment.now)) for row in rows(_orders().where(chosen))}
    # What went between the two reads is left out: it is no longer in the list.
    here = [each for each in cursors if each.pk in read]
    return OrderPage(tuple(read[each.pk] for each in here), tuple(here))


class Stretch(NamedTuple):
    """What a part of the list holds, and where to look on from; None at the list's end."""

    page: OrderPage
    onward: Cursor | None


def look_through(
    chosen: Filter,
    moment: Moment,
    *,
    sort: Sort,
    start: Cursor | None,
    backward: bool = False,
    rows_looked_at: int,
    limit: int,
) -> Stretch:
    """The orders that the filter lets through among the next `rows_looked_at` of all, from `start` on, itself excluded.

    Nearest first, at most `limit`. For filters that no index serves: a search through all orders becomes many short
    ones, between which other questions are answered.
    """
    keyset = _keyset(sort)
    columns, ends = keyset.columns, keyset.ends(backward=backward)
    here = [keyset.beyond(start, backward=backward)] if start is not None else []
    # Exactly the condition of the index that is walked; that over the numbers has hidden orders too.
    shown = [] if sort.key == "number" else [Order.deleted_at.is_null()]
    walked = (
        _with_office(Order.select(*columns).where(*shown, *here), sort) if (*shown, *here) else Order.select(*columns)
    )
    bound = [tuple(row) for row in rows(walked.order_by(*ends).offset(rows_looked_at - 1).limit(1))]
    onward = None if not bound else cursor_of(bound[0][:-1], bound[0][-1])
    if onward is not None:
        here.append(keyset.beyond(onward, backward=not backward, itself=True))
    cursors = _first([order_condition(chosen, moment)], here, sort, limit, backward=backward)
    if len(cursors) == limit:
        onward = cursors[-1]
    return Stretch(_page(cursors, moment), onward)


def orders_beginning(chosen: Filter, moment: Moment, *, limit: int) -> OrderPage:
    """Of the orders that the filter lets through, those whose number begins with its digits (`number_prefix`)."""
    digits = chosen.number_prefix or ""
    # A half-open range: what begins with the digits sorts before the digits with their last one raised.
    end = digits[:-1] + chr(ord(digits[-1]) + 1)
    here = [Order.number >= digits, Order.number < end]
    sort = Sort("number")
    numbers = _first([order_condition(chosen, moment)], here, sort, limit)
    page = _page(numbers, moment)
    cursors = sorted((cursor_of((row.created_at,), row.pk), place) for place, row in enumerate(page.rows))[::-1]
    return OrderPage(tuple(page.rows[place] for _, place in cursors), tuple(cursor for cursor, _ in cursors))


def order_totals(chosen: Filter, moment: Moment, sort: Sort = Sort(), *, limit: int) -> dict[str, Money]:
    """Numbers and totals of the orders that the filter lets through, in the order of the sort, at most `limit`."""
    picked = order_keys(chosen, moment, sort).select(Order.number, Order.total, Order.currency).limit(limit)
    return {number: Money(total, currency) for number, total, currency in rows(picked)}


def count_before(chosen: Filter, moment: Moment, sort: Sort, cursor: Cursor) -> int:
    """How many orders of the list stand before the cursor."""
    query = Order.select(Order.id).where(order_condition(chosen, moment) & _keyset(sort).beyond(cursor, backward=True))
    return int(_with_office(query, sort).count())


def order_keys(chosen: Filter, moment: Moment, sort: Sort = Sort()) -> Any:
    """A query of the row ids of every order that the filter lets through, in the order of search_orders."""
    query = Order.select(Order.id).where(order_condition(chosen, moment))
    return _with_office(query, sort).order_by(*_keyset(sort).ends())


def _with_office(query: Any, sort: Sort) -> Any:
    """The query of orders with the table that the sort looks at too."""
    return query.join(Office, on=(Order.office == Office.id)) if sort.key == "office" else query


def count_orders(chosen: Filter, moment: Moment) -> int:
    """How many orders the filter lets through."""
    return int(Order.select(Order.id).where(order_condition(chosen, moment)).count())


class Facets(NamedTuple):
    """How many orders of a list are of each status, and of each type, that occurs in it."""

    statuses: dict[OrderStatus, int]
    types: dict[OrderType, int]


def count_facets(chosen: Filter, moment: Moment) -> Facets:
    """The facets of the orders that the filter lets through, in one pass over them."""
    groups: tuple[Any, ...] = (Order.type, Order.status)
    if any(term.key == BARE for term in chosen.terms):
        # Not in the order of an index: that would be one without the numbers, and every row would be read for its own.
        groups = tuple(map(Order._meta.database.unordered, groups))
    counted = (
        Order.select(Order.type, Order.status, fn.COUNT(Order.id))
        .where(order_condition(chosen, moment))
        .group_by(*groups)
    )
    facets = Facets({}, {})
    for kind, status, number in rows(counted):
        facets.statuses[status] = facets.statuses.get(status, 0) + number
        facets.types[kind] = facets.types.get(kind, 0) + number
    return facets


def find_order(number: str) -> Order:
    """The order of that number, with its office; raises NotFound, with the nearest by beginning."""
    order: Order | None = Order.select(Order, Office).join(Office).where(Order.number == number).first()
    if order is None:
        raise NotFound(f"no order has the number {number}: smartsub orders finds one by a part of it")
    return order


def find_orders(numbers: Collection[str]) -> dict[str, Order]:
    """The orders of some hundred numbers, with their offices, by number; what is not there is left out."""
    found = Order.select(Order, Office).join(Office).where(Order.number.in_(list(numbers)))
    return {order.number: order for order in found}


def order_summaries(numbers: Collection[str], now: datetime) -> dict[str, OrderSummary]:
    """The summaries of the orders of these numbers, by number, likewise."""
    found = (_summary(row, now) for row in rows(_orders().where(Order.number.in_(list(numbers)))))
    return {summary["number"]: OrderSummary(**summary) for summary in found}


def order_ids(numbers: Sequence[str]) -> Iterator[int]:
    """The row ids of the orders of these numbers, in their order; what is not there is left out."""
    for start in range(0, len(numbers), _CHUNK):
        chunk = list(numbers[start : start + _CHUNK])
        found: dict[str, int] = dict(rows(Order.select(Order.number, Order.id).where(Order.number.in_(chunk))))
        yield from (found[number] for number in chunk if number in found)


def has_order(number: str) -> bool:
    """Whether an order has just this number, hidden ones too."""
    return bool(Order.select().where(Order.number == number).exists())


def order_summary(pk: int, now: datetime) -> dict[str, Any]:
    """The fields of one order's summary, for the record of its details."""
    return _summary(next(iter(rows(_orders().where(Order.id == pk)))), now)


def among(field: Field, values: Iterable[Any], chunk: int = 500) -> Iterable[Expression]:
    """`field IN values` in pieces that every engine takes."""
    held = list(values)
    for start in range(0, len(held), chunk):
        yield field.in_(held[start : start + chunk])
