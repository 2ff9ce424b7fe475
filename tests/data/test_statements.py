"""The shorter way from a query to its SQL writes what Peewee's own does, letter by letter."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import peewee
import pytest
from peewee import JOIN, SQL, EnclosedNodeList, fn

from smartsub_tui.billing.demo import make_demo
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.sweep import sweep
from smartsub_tui.data import queries, triage
from smartsub_tui.data.database import Database
from smartsub_tui.data.filters import ORDER_KEYS, Moment, parse_orders, parse_users
from smartsub_tui.data.models import Claim, Department, Office, Order, OrderLine, User
from smartsub_tui.data.queries import Sort
from tests.support import NOW, SETTINGS

Other = Order.alias("other")
_inner = Order.select(Order.id, Order.office).where(Order.total > 3)
_named = _inner.cte("named", columns=("id", "office"))

KINDS: Final[dict[str, Any]] = {
    "all columns": Order.select(),
    "some columns": Order.select(Order.id, Order.number.alias("n")),
    "a join": Order.select(Order, Office.name).join(Office).where(Office.name == "a", Order.total != 1),
    "a left join of three": User.select(User, Department).join(Department, JOIN.LEFT_OUTER).join(Office),
    "an alias of its own table": Order.select(Order, Other.number).join(Other, on=Other.id == Order.id),
    "an alias alone": Other.select().where(Other.office == 1),
    "in a sub-select": Order.select().where(Order.id << OrderLine.select(OrderLine.order)),
    "of an outer query": Office.select().where(fn.EXISTS(Order.select(SQL("1")).where(Order.office == Office.id))),
    "from a sub-select": Order.select(_inner.c.id).from_(_inner),
    "with a named query": Order.select().join(_named, on=_named.c.id == Order.id).with_cte(_named),
    "a union": Order.select(Order.id) | Other.select(Other.id).order_by(SQL("1")),
    "a scalar": Order.select(fn.COUNT(Order.id).filter(Order.total > 0), fn.SUM(Order.total)),
    "groups": Order.select(Order.status, fn.COUNT("*")).group_by(Order.status).having(fn.COUNT("*") > 1),
    "a window": Order.select(fn.ROW_NUMBER().over(order_by=[Order.id], partition_by=[Order.office])),
    "order and limit": Order.select().order_by(Order.created_at.desc(), -Order.id).limit(3).offset(2),
    "no doubles": Order.select(Order.office).distinct(),
    "a row of values": Order.select().where(EnclosedNodeList([Order.created_at, Order.id]) > EnclosedNodeList([1, 2])),
    "an expression": Order.select((Order.total + Order.tax).alias("both")).where((Order.total / 2) % 3 == 1),
    "a case": Order.select(peewee.Case(None, [(Order.total > 1, Order.tax)], 0)),
    "an insert": Order.insert(number="1", office=1),
    "several": Office.insert_many([{"name": "a"}, {"name": "b"}]),
    "an insert from a query": Claim.insert_from(
        Order.select(Order.id, Order.office), [Claim.order, Claim.subscription]
    ),
    "an upsert": Office.insert(name="a").on_conflict(
        conflict_target=[Office.id], update={Office.name: peewee.EXCLUDED.name}, where=Office.id > 3
    ),
    "an update": Order.update(total=Order.total + 1).where(Order.office == 2).returning(Order.id),
    "a delete": Order.delete().where(Order.id << _inner.select(_inner.c.id)).returning(Order),
}


def compared(database: Database, query: Any, **options: Any) -> tuple[str, Any]:
    ours = database.get_sql_context(**options).sql(query).query()
    its = peewee.Context(**{**database.get_context_options(), **options})
    theirs = its.sql(query).query()  # type: ignore[no-untyped-call]
    assert ours == theirs
    text, values = ours
    return text, values


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_query_is_written_as_peewee_writes_it(kind: str, database: Database) -> None:
    text, _ = compared(database, KINDS[kind])
    assert '"' in text


def test_an_alias_of_the_whole_table_is_kept(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Order._meta.table, "_alias", "o")
    text, _ = compared(database, Order.select(Order.id).where(Order.total > 1))
    assert '"o"."total"' in text


def test_what_the_application_asks_and_writes_is_written_as_peewee_writes_it(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def execute(database: Database, query: Any, **options: Any) -> Any:
        text, values = compared(database, query, **options)
        told.append(text)
        return database.execute_sql(text, values)

    monkeypatch.setattr(Database, "execute", execute)
    make_demo(session.database, admin="maria", now=NOW, orders=40, users=30, settings=SETTINGS)
    moment = Moment(NOW + timedelta(hours=1), SETTINGS.ui.timezone)
    for text in (
        "",
        "total:>1",
        "office:a user:b",
        *(f"{key}:{sorted(ORDER_KEYS[key].values)[0]}" for key in ("status", "type", "is")),
    ):
        for sort in (Sort(), Sort("total"), Sort("office", descending=False)):
            page = queries.search_orders(parse_orders(text), moment, sort=sort, limit=5)
            if page.cursors:
                queries.search_orders(parse_orders(text), moment, sort=sort, limit=5, after=page.cursors[-1])
        queries.count_facets(parse_orders(text), moment)
    queries.search_users(parse_users("expires:<30d"), moment, limit=5)
    queries.offices(NOW)
    triage.read_queue(moment)
    read_order(queries.search_orders(parse_orders(""), moment, limit=1).rows[0].number, moment.now, SETTINGS)
    sweep(session)
    assert len(set(told)) > 60
