"""Which way the engines go: what is asked again and again reads no table whole, sorts no list whole, and passes over
next to nothing, among however many orders.

The same questions are asked on both. SQLite says its ways without any rows; it goes by the indexes there are.
PostgreSQL weighs them, so it has 40,000 orders, and says what it looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import pytest

from smartsub_tui.billing import audit_chain, changes, details, orders, payments
from smartsub_tui.data import exports, filter_sql, queries, triage
from smartsub_tui.data.database import Database, open_database, rows
from smartsub_tui.data.exports import ExportKind, Wanted
from smartsub_tui.data.fields import to_microseconds
from smartsub_tui.data.filters import Moment, parse_orders, parse_users
from smartsub_tui.data.keyset import Cursor
from smartsub_tui.data.models import Admin, AdminOffice, Office, Order, Payment, Refund
from smartsub_tui.data.queries import Candidates, Sort
from smartsub_tui.data.triage import MOST
from smartsub_tui.data.vocabulary import OrderStatus, OrderType, Rank, Role
from tests import postgres
from tests.data import many
from tests.data.many import DEPARTMENT, OFFICE, SMALL, USER
from tests.support import (
    NOW,
    SETTINGS,
    add_office,
    add_order,
    add_person,
    admin_record,
    memory_database,
)

MOMENT: Final = Moment(NOW, "UTC")
LARGE: Final = ("orders", "order_line", "users", "subscription", "payment", "invoice", "refund")
MIDDLE: Final = to_microseconds(many.since(300))
NUMBER: Final = "20260422014000"  # how a number in the middle begins


@pytest.fixture(scope="module")
def held() -> Iterator[Database]:
    """On PostgreSQL one database for the whole run, which nobody changes."""
    if postgres.is_wanted():
        postgres.have("smartsub_many", many.fill)
        database = open_database(postgres.url("smartsub_many"))
    else:
        database = memory_database()
        with database.writing():
            for name in (OFFICE, SMALL):
                office = add_office(name)
                person = add_person(office, USER if name == SMALL else "u-1", department=DEPARTMENT)
                add_order(office, [person], OrderStatus.PROCESSING, type=OrderType.ACTIVATION)
            ann = Admin.create(name="ann", role=Role.OPERATOR, created_at=NOW)
            AdminOffice.create(admin=ann, office=office)
    yield database
    database.close()


# --- What is asked


class Case(NamedTuple):
    """A question, the index that serves it (one or another, where the engines go different ways), and what SQLite says.

    `most`: so many rows of large tables, and entries of their indexes, PostgreSQL looks at. `sorts`: what is sorted is
    no more than that, and SQLite sorts it too.
    """

    ask: Callable[[], object]
    by: str = ""
    said: str = ""
    most: int = 400
    sorts: bool = False


def page(text: str, sort: Sort | None = None, **where: Any) -> Callable[[], object]:
    return lambda: queries.search_orders(parse_orders(text), MOMENT, sort=sort or Sort(), **where)


def facets(text: str) -> Callable[[], object]:
    return lambda: queries.count_facets(parse_orders(text), MOMENT)


def count(text: str) -> Callable[[], object]:
    return lambda: queries.count_orders(parse_orders(text), MOMENT)


def people(text: str) -> Callable[[], object]:
    return lambda: queries.search_users(parse_users(text), MOMENT)


# Lists of orders, of which any page is read from an index in its order. Behind the index: what SQLite seeks in it.
LISTS: Final = {
    "": ("orders_created", ""),
    "created:2026-05": ("orders_created", "(created_at>? AND created_at<?)"),
    "created:<7d": ("orders_created", "(created_at>?"),
    "status:failed": ("orders_status", "(status=?"),
    "status:failed,timeout": ("orders_status", "(status=?"),
    "-status:succeed": ("orders_status", "(status=?"),
    "type:activation": ("orders_type", "(type=?"),
    "type:activation status:failed": ("orders_type_status", "(type=? AND status=?"),
    "status:failed created:<90d": ("orders_status", "(status=? AND created_at>?"),
    f'office:"{SMALL}"': ("orders_office", "(office_id=?"),
    f'office:"{OFFICE}" created:<90d': ("orders_office", "(office_id=? AND created_at>?"),
    "is:deleted": ("orders_deleted", ""),
}
HERE: Final = Cursor((MIDDLE,), 20_000)
PLACES: Final[dict[str, dict[str, Any]]] = {
    "first": {},
    "after": {"after": HERE},
    "before": {"before": HERE},
    "at": {"at": HERE},
    "last": {"last": True},
}

# Of each sort the columns before the row id, as they are somewhere in the middle.
SORTS: Final[dict[str, tuple[Any, ...]]] = {
    "created": (MIDDLE,),
    "number": (NUMBER,),
    "type": (OrderType.SUBSCRIPTION.value, MIDDLE),
    "status": (OrderStatus.SUCCEED.value, MIDDLE),
}

# What only some orders are is looked up, however many others there are.
FEW: Final = {
    "is:unapplied": Case(page("is:unapplied"), "payment_unapplied", most=1_500, sorts=True),
    "is:unknown": Case(page("is:unknown"), "orders_under_way", most=200, sorts=True),
    "is:stuck": Case(page("is:stuck"), "payment_contested", "refund_one_live", most=700, sorts=True),
    "is:due": Case(page("is:due"), "orders_pay_by|orders_status", most=300, sorts=True),
    "is:retry": Case(page("is:retry"), "orders_failed", most=2_000, sorts=True),
    "is:problem": Case(page("is:problem"), "orders_failed", "MULTI-INDEX OR", most=4_000, sorts=True),
    "is:unapplied,stuck": Case(page("is:unapplied,stuck"), "payment_unapplied", "MULTI-INDEX OR", 2_000, True),
    "user by id": Case(page(f"user:{USER}"), "order_line_subscription_id", "users_key_folded", sorts=True),
    "user by name": Case(page('user:"Person 700"'), "users_name_folded", "order_line_subscription_id", sorts=True),
    "department": Case(page(f'department:"{DEPARTMENT}"'), "order_line_subscription_id", most=1_500, sorts=True),
    "status and time to pay": Case(
        page("status:processing payby:<2h"), "orders_pay_by|orders_status", most=300, sorts=True
    ),
    "an office's failed": Case(page(f'office:"{OFFICE}" status:failed'), "orders_status|orders_office"),
}

COUNTS: Final = {
    "of a status": Case(facets("status:failed"), "orders_type_status|orders_status|orders_failed", most=4_100),
    "of two": Case(count("status:failed,timeout"), "orders_status", most=4_100),
    "of an office": Case(count(f'office:"{SMALL}"'), "orders_office", most=1_000),
    "of a day": Case(facets("created:<1d"), "orders_created|orders_type_status", most=100),
    "of problems": Case(facets("is:problem"), "orders_failed", most=4_000),
    "before a place": Case(
        lambda: queries.count_before(parse_orders("status:failed"), MOMENT, Sort(), HERE), "orders_status", most=1_300
    ),
}

PEOPLE: Final = {
    "who expires": Case(
        lambda: queries.count_users(parse_users("expires:<1d"), MOMENT), "subscription_expires_on", most=500
    ),
    "by id": Case(people(f"user:{USER}"), "users_key_folded", sorts=True),
    "by name": Case(people('user:"Person 700"'), "users_name_folded", sorts=True),
}

REST: Final = {
    "numbers that begin so": Case(
        lambda: queries.orders_beginning(parse_orders(NUMBER), MOMENT, limit=50), "orders_number", sorts=True
    ),
    "a number": Case(lambda: queries.find_orders([NUMBER]), "orders_number"),
    "totals": Case(
        lambda: queries.order_totals(parse_orders("status:failed"), MOMENT, limit=500), "orders_status", most=600
    ),
    "the rows of an export": Case(
        lambda: exports.row_ids(
            Order._meta.database, Wanted(ExportKind.ORDERS, parse_orders("type:activation status:failed")), MOMENT
        ),
        "orders_type_status",
        most=2_100,
    ),
    "a part of a search": Case(
        lambda: queries.look_through(
            parse_orders("by:nobody"), MOMENT, sort=Sort(), start=HERE, rows_looked_at=500, limit=50
        ),
        "orders_created",
        most=1_600,
    ),
    "what is due": Case(lambda: list(Order.select(Order.id).where(changes._is_due(NOW))), "orders_pay_by", most=200),
    "payments to ask about": Case(
        lambda: list(
            rows(Payment.select(Payment.id).where(Payment.ask_at <= NOW).order_by(Payment.ask_at, Payment.id))
        ),
        "payment_ask_at",
    ),
    "refunds to ask about": Case(
        lambda: list(rows(Refund.select(Refund.id).where(Refund.ask_at <= NOW).order_by(Refund.ask_at, Refund.id))),
        "refund_ask_at",
    ),
    "the head of the trail": Case(audit_chain.head, most=10),
    "the next number": Case(lambda: orders._next_number(NOW), "orders_number", most=10),
    "an order as a whole": Case(
        lambda: details.read_order(_a_number(), NOW, SETTINGS), "audit_event_order_id_id", most=50, sorts=True
    ),
    "what can be done to it": Case(
        lambda: payments.offers_of([_a_number()], admin_record(Role.MANAGER), NOW), "order_line", most=50, sorts=True
    ),
}


def _a_number() -> str:
    return str(queries.search_orders(parse_orders(""), MOMENT, limit=1).rows[0].number)


# --- What the engines say


class Way(NamedTuple):
    """How a statement is carried out: the words of the engine, and the rows that PostgreSQL looked at."""

    said: str
    looked_at: int


def ways(database: Database, ask: Callable[[], object]) -> list[Way]:
    """Of every statement that reads while something is asked."""
    asked: list[tuple[str, Any]] = []
    execute = database.execute_sql

    def listen(sql: str, params: Any = None) -> Any:
        asked.append((sql, params))
        return execute(sql, params)

    with patch.object(database, "execute_sql", listen):
        ask()
    found = [_way(execute, sql, params) for sql, params in asked if sql.startswith("SELECT")]
    assert found
    return found


def _way(execute: Callable[..., Any], sql: str, params: Any) -> Way:
    if postgres.is_wanted():
        (plan,) = execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", params).fetchone()
        steps = list(_steps(plan[0]["Plan"]))
        return Way(" | ".join(text for text, _ in steps), sum(looked_at for _, looked_at in steps))
    said = " | ".join(step[3] for step in execute(f"EXPLAIN QUERY PLAN {sql}", params).fetchall())
    for table, alias in re.findall(r'"(\w+)" AS "(t\d+)"', sql):
        said = re.sub(rf"\b(SCAN|SEARCH) {alias}\b", rf"\1 {table}", said)
    return Way(said.replace("COVERING ", ""), 0)


def _steps(node: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """The steps of a plan: what each does to which table by which index, and how much of a large one it looks at."""
    table, index = node.get("Relation Name", ""), node.get("Index Name", "")
    text = f"{node['Node Type']} {table} {index} {node.get('Index Cond', '')}"
    each = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    counts = table in LARGE or node["Node Type"] == "Bitmap Index Scan"
    yield text, round(each * node["Actual Loops"]) if counts else 0
    for below in node.get("Plans", ()):
        yield from _steps(below)


def check(database: Database, case: Case) -> None:
    found = ways(database, case.ask)
    said = " || ".join(way.said for way in found)
    assert re.search(case.by, said), said
    if postgres.is_wanted():
        assert not re.search(rf"Seq Scan (?:{'|'.join(LARGE)}) ", said), said
        assert sum(way.looked_at for way in found) <= case.most, (sum(way.looked_at for way in found), said)
    else:
        assert case.said in said, said
        assert not re.search(rf"SCAN (?:{'|'.join(LARGE)})(?! USING)", said), said
        assert case.sorts or not re.search("TEMP B-TREE FOR .*ORDER BY", said), said


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", LISTS)
def test_a_page_of_a_list_is_read_from_an_index_in_its_order(held: Database, text: str, place: str) -> None:
    index, seeks = LISTS[text]
    said = "" if place in ("after", "before", "at") else f"{index} {seeks}".strip()
    check(held, Case(page(text, **PLACES[place]), index, said))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("key", SORTS)
def test_so_is_a_page_by_what_the_screen_sorts_by(held: Database, key: str, descending: bool, place: str) -> None:
    where = {name: Cursor(SORTS[key], 20_000) if name != "last" else True for name in PLACES[place]}
    check(held, Case(page("", Sort(key, descending), **where), f"orders_{key}"))


@pytest.mark.parametrize("of", FEW)
def test_rare_orders_are_looked_up(held: Database, of: str) -> None:
    check(held, FEW[of])


@pytest.mark.parametrize("of", COUNTS)
def test_a_count_looks_at_what_it_counts(held: Database, of: str) -> None:
    check(held, COUNTS[of]._replace(sorts=True))


@pytest.mark.parametrize("of", PEOPLE)
def test_people_are_looked_up(held: Database, of: str) -> None:
    check(held, PEOPLE[of])


@pytest.mark.parametrize("of", REST)
def test_so_is_the_rest(held: Database, of: str) -> None:
    check(held, REST[of])


@pytest.mark.parametrize(
    ("rank", "by", "most"),
    [
        (Rank.UNKNOWN, "orders_under_way", 200),
        (Rank.UNAPPLIED, "payment_unapplied", 3_000),
        (Rank.FAILED, "orders_failed", 3_000),
        (Rank.TIMING_OUT, "orders_pay_by|orders_status", 3_000),
    ],
)
def test_a_rank_of_the_queue_is_looked_up(held: Database, rank: Rank, by: str, most: int) -> None:
    check(held, Case(lambda: list(triage.orders_of(rank, MOMENT, MOST)), by, most=most, sorts=True))
    check(held, Case(lambda: queries.count_orders(triage.filter_of(rank), MOMENT), by, most=most, sorts=True))


@pytest.mark.parametrize("activated", [False, True])
@pytest.mark.parametrize("text", ["", "person", "order:none"])
@pytest.mark.parametrize("place", PLACES)
def test_a_page_of_a_large_office_s_people_is_read_from_an_index_in_its_order(
    held: Database, text: str, place: str, activated: bool
) -> None:
    """One of fifty is to be activated: so many are passed over for each."""
    office = Office.get(Office.name == OFFICE)
    among = Candidates(office.id, activated=activated, additional=False)
    where: Any = {name: Cursor(("person 2",), 7) if name != "last" else True for name in PLACES[place]}
    ask = lambda: queries.search_candidates(among, parse_users(text), MOMENT, limit=9, **where)  # noqa: E731
    check(held, Case(ask, "users_office_id_name_folded", "(office_id=?", most=1_200))


def test_of_many_people_the_orders_are_walked_newest_first(held: Database) -> None:
    with patch.object(filter_sql, "FEW_PEOPLE", 0):
        _, walked, _ = ways(held, page("user:*"))
    assert "orders_created" in walked.said
    assert "SCAN order_line" not in walked.said
    assert walked.looked_at <= 400


@pytest.mark.parametrize("text", ["", "status:failed", "created:<7d", "is:problem"])
def test_who_works_for_one_office_has_its_orders_looked_up(held: Database, text: str) -> None:
    held.see_only(Admin.get(Admin.name == "ann").id)
    try:
        check(held, Case(page(text), most=4_000, sorts=True))
    finally:
        held.see_only(None)


@pytest.mark.postgres
@pytest.mark.parametrize("sort", [Sort(), Sort("created", descending=False), Sort("number")])
def test_a_part_of_a_number_or_a_name_is_found_by_its_letters(held: Database, sort: Sort) -> None:
    if not held.execute_sql("SELECT to_regclass('orders_parts')").fetchone()[0]:
        pytest.skip("this server has no pg_trgm")
    number = _a_number()[-7:]
    asked = [(page(number, sort), "orders_parts"), (facets(number), "orders_parts")]
    asked += [(people('"son 1234"'), "users_parts"), (page('user:"*son 1234*"', sort), "users_parts")]
    for ask, by in asked:
        check(held, Case(ask, by, sorts=True))
