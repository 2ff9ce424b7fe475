"""The rows of an export: those of the lists, in the order of the lists, in both formats."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartsub_tui.billing import orders, payments
from smartsub_tui.billing.terms import Months
from smartsub_tui.data import queries
from smartsub_tui.data.csv_cells import undefused
from smartsub_tui.data.database import Database, rows
from smartsub_tui.data.exports import AUDIT_COLUMNS, PAGE, ExportFormat, ExportKind, Wanted, head, lines, row_ids
from smartsub_tui.data.filters import Filter, Moment, Subject, parse_orders, parse_users
from smartsub_tui.data.models import AuditEvent, Order, OrderLine, Subscription, User
from smartsub_tui.data.queries import SORT_KEYS, Sort
from smartsub_tui.data.records import instant_text, to_json
from smartsub_tui.data.vocabulary import OrderStatus
from tests.data.test_filter_sql import ORDER_WORDS, USER_WORDS, World, terms, world
from tests.data.test_filters import EXAMPLES
from tests.support import NOW, TODAY, add_office, add_order, add_people, add_prices, session_on

__all__ = ["world"]  # a fixture

MOMENT: Final = Moment(NOW, "UTC")
SORTS: Final = st.builds(Sort, st.sampled_from(SORT_KEYS), st.booleans())


def database() -> Database:
    """The database to which the models are bound."""
    bound: Database = Order._meta.database.obj
    return bound


def exported(wanted: Wanted, form: ExportFormat, moment: Moment, page: int = 7) -> str:
    """All of it, by small pages, so that there are several."""
    ids = row_ids(database(), wanted, moment)
    parts = [lines(database(), wanted.kind, form, ids[at : at + page], moment) for at in range(0, len(ids), page)]
    return head(wanted.kind, form) + "".join(parts)


def objects(wanted: Wanted, moment: Moment) -> list[dict[str, Any]]:
    text = exported(wanted, ExportFormat.JSONL, moment)
    return [json.loads(line) for line in text.split("\n")[:-1]]


def table(wanted: Wanted, moment: Moment) -> list[dict[str, str]]:
    """The rows of the CSV as any reader sees them, without the apostrophes."""
    text = exported(wanted, ExportFormat.CSV, moment)
    found = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    return [{name: undefused(value) for name, value in row.items()} for row in found]


def filters(subject: Subject, data: st.DataObject, moment: Moment) -> Filter:
    words = ORDER_WORDS if subject == "orders" else USER_WORDS
    several = st.lists(st.sampled_from(words).flatmap(lambda key: terms(key, moment.now)), max_size=2)
    return Filter(subject, tuple(data.draw(several)))


def people_of(number: str) -> list[str]:
    query = User.select(User.key).join(Subscription).join(OrderLine).join(Order).where(Order.number == number)
    return [key for (key,) in rows(query.order_by(OrderLine.id))]


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_orders_are_those_of_the_list_in_its_order(world: World, data: st.DataObject) -> None:
    chosen, sort = filters("orders", data, world.moment), data.draw(SORTS)
    found = queries.search_orders(chosen, world.moment, sort=sort, limit=None).rows
    wanted = Wanted(ExportKind.ORDERS, chosen, sort)
    assert objects(wanted, world.moment) == [to_json(each) | {"user_ids": people_of(each.number)} for each in found]
    assert table(wanted, world.moment) == [
        {
            "order_number": each.number,
            "office": each.office,
            "type": each.type,
            "status": each.status,
            "apartments": str(each.apartments),
            "total": str(each.total).split(" ")[1].replace(",", ""),
            "currency": each.total.currency,
            "created_at": instant_text(each.created_at),
            "paid_at": "" if each.paid_at is None else instant_text(each.paid_at),
            "months": "" if each.months is None else str(each.months),
            "until": "" if each.until is None else each.until.isoformat(),
            "user_ids": ";".join(people_of(each.number)),
        }
        for each in found
    ]


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_users_are_those_of_the_list_in_its_order(world: World, data: st.DataObject) -> None:
    chosen = filters("users", data, world.moment)
    found = queries.search_users(chosen, world.moment, limit=None)
    more = {user.key: user for user in User.select()}
    wanted = Wanted(ExportKind.USERS, chosen)
    assert objects(wanted, world.moment) == [
        to_json(each)
        | {
            "email": more[each.id].email,
            "office_kind": more[each.id].office.kind,
            "timezone": more[each.id].office.timezone,
            "currency": more[each.id].office.currency,
            "removed_on": to_json(more[each.id].removed_on),
        }
        for each in found
    ]
    assert table(wanted, world.moment) == [
        {
            "office": each.office,
            "office_kind": more[each.id].office.kind,
            "timezone": more[each.id].office.timezone,
            "currency": more[each.id].office.currency,
            "department": each.department,
            "user_id": each.id,
            "name": each.name,
            "email": more[each.id].email,
            "kind": each.kind,
            "apartment": each.apartment or "",
            "service": each.service,
            "activated_on": str(each.activated_on or ""),
            "expires_on": str(each.expires_on or ""),
            "removed_on": str(more[each.id].removed_on or ""),
        }
        for each in found
    ]


def test_removed_people_come_only_where_they_are_asked_for(world: World) -> None:
    removed = {user.id for user in world.users if user.removed_on is not None}
    assert removed
    everyone = {row["user_id"] for row in table(Wanted(ExportKind.USERS), world.moment)}
    assert everyone == {user.id for user in world.users} - removed
    asked = table(Wanted(ExportKind.USERS, parse_users("state:removed")), world.moment)
    assert {row["user_id"] for row in asked} == removed


def test_amounts_have_the_decimals_of_their_currency(database: Database) -> None:
    totals = {"EUR": (5, "0.05"), "JPY": (900, "900"), "KWD": (1234567, "1234.567"), "CLF": (10000, "1.0000")}
    for currency, (total, _) in totals.items():
        add_order(add_office(currency, currency=currency), [], OrderStatus.CANCEL, history=True, number=currency)
        Order.update(total=total).where(Order.number == currency).execute()
    assert {row["order_number"]: row["total"] for row in table(Wanted(ExportKind.ORDERS), MOMENT)} == {
        currency: text for currency, (_, text) in totals.items()
    }


def test_an_invoice_is_in_json(database: Database) -> None:
    add_prices()
    add_people(add_office(), "u1", expires_on=TODAY)
    paying = payments.Manual("cash")
    made = orders.renew(session_on(database), "Oak House", ["u1"], Months(1), paying=paying).order
    (row,) = objects(Wanted(ExportKind.ORDERS), MOMENT)
    assert row == to_json(queries.search_orders(parse_orders(""), MOMENT).rows[0]) | {"user_ids": ["u1"]}
    assert row["invoice"] == to_json(made.invoice)
    assert row["invoice"] is not None


# The audit trail


def add_events() -> None:
    order = add_order(add_office(), [], OrderStatus.CANCEL, history=True, number="0042")
    event = {"at": NOW, "source": "cli", "hash": ""}
    AuditEvent.create(admin="ann", action="import", subject="users.csv", after='{"rows":2}', **event)
    AuditEvent.create(
        admin="bob", action="cancel", order=order, reason="=1+1", before="{}", after=None, request_id="r", **event
    )


def test_the_audit_trail_is_oldest_first(database: Database) -> None:
    add_events()
    empty = dict.fromkeys(AUDIT_COLUMNS)
    at = {"at": "2026-11-22T09:00:00Z", "source": "cli"}
    expected: list[dict[str, Any]] = [
        {**empty, **at, "admin": "ann", "action": "import", "subject": "users.csv", "after": {"rows": 2}},
        {**empty, **at, "admin": "bob", "action": "cancel", "order_number": "0042", "reason": "=1+1", "before": {}}
        | {"request_id": "r"},
    ]
    assert objects(Wanted(ExportKind.AUDIT), MOMENT) == expected
    assert exported(Wanted(ExportKind.AUDIT), ExportFormat.CSV, MOMENT) == (
        "at,admin,source,action,order_number,subject,reason,before,after,request_id\n"
        '2026-11-22T09:00:00Z,ann,cli,import,,users.csv,,,"{""rows"":2}",\n'
        "2026-11-22T09:00:00Z,bob,cli,cancel,0042,,'=1+1,{},,r\n"
    )


# Cells


HOSTILE: Final = (
    *('=HYPERLINK("http://x.example","y")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "'=1", '"=1', "\n@x"),
    *("\uff1dcmd", "\uff0b1", "\uff0d1", "\uff20x", "\u200b=1", "x;=1", "'t Hooft", "=1,2", "x\n=1", "\xa0-1"),
)


def add_hostile() -> None:
    for place, text in enumerate(HOSTILE):
        office = add_office(text)
        people = add_people(office, text.replace(";", ""), f"plain {place}", expires_on=TODAY, department=text)
        User.update(name=text, email=text, apartment=text).where(User.office == office).execute()
        order = add_order(office, people, OrderStatus.CANCEL, history=True, number=text)
        AuditEvent.create(
            at=NOW, admin=text, source="cli", action=text, order=order, subject=text, reason=text, hash=""
        )


@pytest.mark.parametrize("kind", ExportKind)
def test_no_cell_begins_with_what_a_spreadsheet_would_run(database: Database, kind: ExportKind) -> None:
    add_hostile()
    text = exported(Wanted(kind), ExportFormat.CSV, MOMENT)
    cells = [each for row in csv.reader(io.StringIO(text, newline=""), strict=True) for each in row]
    assert len(cells) > 200
    for each in cells:
        # Behind quotes and spaces too; as the first of all in the cell, an apostrophe is what makes it text.
        assert each.startswith("'") or not each.lstrip("\"' \xa0\u200b").startswith(
            tuple("=+-@\uff1d\uff0b\uff0d\uff20\t\r\n")
        )
    stored = {text for text in HOSTILE if text in {undefused(each) for each in cells}}
    assert stored == set(HOSTILE)


@pytest.mark.parametrize("kind", ExportKind)
def test_json_lines_have_the_text_as_it_is(database: Database, kind: ExportKind) -> None:
    add_hostile()
    column = {ExportKind.ORDERS: "number", ExportKind.USERS: "name", ExportKind.AUDIT: "reason"}[kind]
    assert {each[column] for each in objects(Wanted(kind), MOMENT)} == set(HOSTILE)


# Stable, and flat


@pytest.mark.parametrize("kind", ExportKind)
@pytest.mark.parametrize("form", ExportFormat)
def test_the_same_rows_give_the_same_bytes_however_they_are_paged(
    database: Database, kind: ExportKind, form: ExportFormat
) -> None:
    add_hostile()
    first = exported(Wanted(kind), form, MOMENT)
    assert all(exported(Wanted(kind), form, MOMENT, page) == first for page in (1, 7, PAGE))
    assert first.endswith("\n")
    assert (exported(Wanted(kind), form, MOMENT) == head(kind, form)) is (first == "")


def test_equal_rows_stand_by_their_row_id(database: Database) -> None:
    office = add_office()
    for place in range(5):
        add_order(office, [], OrderStatus.CANCEL, history=True, number=f"n{place}")
    for sort in (Sort("status", False), Sort("created", False), Sort("total", False)):
        up = [row["order_number"] for row in table(Wanted(ExportKind.ORDERS, None, sort), MOMENT)]
        down = [row["order_number"] for row in table(Wanted(ExportKind.ORDERS, None, Sort(sort.key)), MOMENT)]
        assert (up, down) == (["n0", "n1", "n2", "n3", "n4"], ["n4", "n3", "n2", "n1", "n0"])


def test_an_empty_export_is_its_head(database: Database) -> None:
    assert exported(Wanted(ExportKind.USERS), ExportFormat.CSV, MOMENT) == (
        "office,office_kind,timezone,currency,department,user_id,name,email,kind,apartment,service,activated_on,"
        "expires_on,removed_on\n"
    )
    assert exported(Wanted(ExportKind.USERS), ExportFormat.JSONL, MOMENT) == ""


def peak(count: int) -> int:
    """The most bytes that an export of so many orders holds at a time."""
    wanted = Wanted(ExportKind.ORDERS)
    tracemalloc.start()
    try:
        ids = row_ids(database(), wanted, MOMENT)
        assert len(ids) == count
        for at in range(0, count, PAGE):
            lines(database(), wanted.kind, ExportFormat.CSV, ids[at : at + PAGE], MOMENT)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_of_each_row_only_its_id_is_kept(database: Database) -> None:
    office = add_office()
    sample = add_order(office, [], OrderStatus.CANCEL, history=True, number="first")
    fields = [field for field in Order._meta.sorted_fields if field.name != "id"]
    values = {field.name: sample.__data__.get(field.name) for field in fields}

    def fill(first: int, last: int) -> None:
        names = [{**values, "number": f"{place:020}"} for place in range(first, last)]
        database.insert_rows(fields, [[each[field.name] for field in fields] for each in names])

    fill(1, 2_000)
    peak(2_000)  # what is made once
    small = peak(2_000)
    fill(2_000, 20_000)
    more = (peak(20_000) - small) / 18_000
    # Of each row beyond a page its id: eight bytes, and half as much again while the array grows.
    assert more < 16


def test_an_order_for_very_many_people_is_whole(database: Database) -> None:
    office = add_office()
    people = add_people(office, *(f"u{place:04}" for place in range(1200)), expires_on=TODAY)
    add_order(office, people, OrderStatus.SYSTEM_PROCESSING)
    (row,) = table(Wanted(ExportKind.ORDERS), MOMENT)
    assert row["user_ids"] == ";".join(f"u{place:04}" for place in range(1200))


def test_the_columns_are_those_of_the_import() -> None:
    assert head(ExportKind.ORDERS, ExportFormat.CSV) == (
        "order_number,office,type,status,apartments,total,currency,created_at,paid_at,months,until,user_ids\n"
    )
