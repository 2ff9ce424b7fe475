"""--read-only: whatever is asked, and by whatever way, the connection itself changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import peewee
import pytest
from msgspec.structs import replace

from smartsub_tui.billing import access, admins, imports, links, opening, orders, payments, refunds, views
from smartsub_tui.billing.changes import time_out_due
from smartsub_tui.billing.opening import open_session
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.sweep import sweep
from smartsub_tui.billing.terms import Months
from smartsub_tui.data import models, queries
from smartsub_tui.data.database import open_database
from smartsub_tui.data.filters import Moment, parse_orders
from smartsub_tui.data.records import StateRecord
from smartsub_tui.data.vocabulary import Role, Trigger
from smartsub_tui.errors import NotAllowed, Unavailable
from tests import postgres
from tests.billing.paying import held, paying_by
from tests.providers import Fault, pay, running
from tests.support import (
    NOW,
    SETTINGS,
    TODAY,
    FixedClock,
    add_office,
    add_people,
    add_prices,
    aside,
    file_database,
    session_on,
    url_at,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with an order that waits to be paid, and admins of each role."""
    path = tmp_path / "file.sqlite3"
    database = file_database(path)
    session = session_on(database)
    add_prices()
    add_people(add_office(), "u1", "u2", expires_on=TODAY)
    orders.renew(session, "Oak House", ["u1"], Months(1))
    for role in Role:
        session_on(database, role)
    admins.add(session, "ann", Role.MANAGER, offices=["Oak House"])
    database.close()
    return path


def reading(path: Path, admin: str = "manager") -> Session:
    return open_session(url_at(path), admin, "cli", FixedClock(), SETTINGS, read_only=True)


@pytest.fixture
def reader(path: Path) -> Iterator[Session]:
    session = reading(path)
    yield session
    session.database.close()


def number() -> str:
    return str(models.Order.get().number)


WRITES: Final[dict[str, Callable[[Session], Any]]] = {
    "pay": lambda session: payments.pay(session, number(), Manual("R")),
    "cancel": lambda session: payments.cancel(session, number(), "why"),
    "renew": lambda session: orders.renew(session, "Oak House", ["u2"], Months(1)),
    "refund": lambda session: held(session, refunds.refund(session, number(), "why")),
    "keep a view": lambda session: views.save_view(session, "v", ""),
    "make an admin": lambda session: admins.add(session, "ben", Role.VIEWER),
    "dry run": lambda session: payments.pay(session, number(), Manual("R"), dry_run=True),
    "sweep": lambda session: held(session, sweep(session)),
}


@pytest.mark.parametrize("name", WRITES)
def test_every_change_is_refused(reader: Session, name: str) -> None:
    with pytest.raises(NotAllowed, match="this smartsub only reads: start it without --read-only to change anything"):
        WRITES[name](reader)


def test_an_import_is_refused(reader: Session, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(
        "service,action,amount,currency,office_kind,tax_rate,valid_from\napp,month,5,EUR,,0.19,2026-01-01\n"
    )
    with pytest.raises(NotAllowed, match="this smartsub only reads"):
        imports.import_files(reader, [file])


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE orders SET status = 'succeed'",
        "DELETE FROM claim",
        "INSERT INTO counter (series, year, last) VALUES ('x', 1, 1)",
        "DROP TABLE orders",
        "CREATE TABLE more (id INTEGER)",
        "INSERT INTO request VALUES ('r', 'a', 'c', 'a', '{}', 1)",
    ],
)
def test_the_engine_itself_refuses_whatever_the_rules_would_let_through(reader: Session, sql: str) -> None:
    with pytest.raises(peewee.DatabaseError, match=r"readonly|read-only transaction"):
        reader.database.execute_sql(sql)


def test_it_sees_what_others_write_and_only_reads_after_it_opened_views(path: Path) -> None:
    """Making the views that hide other offices is a change to SQLite; behind them the connection reads only again."""
    session = reading(path, "ann")
    assert not session.database.sees_all
    with pytest.raises(peewee.DatabaseError, match=r"readonly|read-only transaction"):
        session.database.execute_sql(f"DELETE FROM {'public' if postgres.is_wanted() else 'main'}.claim")
    with pytest.raises(NotAllowed, match="only reads"):
        payments.cancel(session, number(), "why")
    with session.database.seeing_all():
        assert session.database.reads_only
    other = aside(path)
    other.execute("UPDATE orders SET total = total, po_number = 'PO 7'")
    other.close()
    found = queries.search_orders(parse_orders("7"), Moment(NOW, "UTC"))
    assert len(queries.search_orders(parse_orders(""), Moment(NOW, "UTC")).rows) == 1
    assert found is not None
    session.database.close()


def test_who_looks_times_out_nothing_and_leaves_no_state(path: Path) -> None:
    session = reading(path)
    later = replace(session, clock=FixedClock(NOW.replace(year=2027)))
    assert time_out_due(later) == 0
    assert not views.keep_state(session, StateRecord(mode="payments", filter="", sort="-created"))
    session.database.close()


@pytest.mark.parametrize(
    ("admin", "role"),
    [("manager", Role.VIEWER), ("operator", Role.VIEWER), ("viewer", Role.VIEWER), ("auditor", Role.AUDITOR)],
)
def test_what_is_offered_is_what_can_be_done(path: Path, admin: str, role: Role) -> None:
    session = reading(path, admin)
    assert opening.look(session, "payments").admin.role is role
    assert access.check(admin, access.Permission.READ).role.value == admin
    session.database.close()


def test_nothing_is_made_and_nothing_brought_up_to_date(tmp_path: Path, path: Path) -> None:
    if postgres.is_wanted():
        postgres.make_empty(postgres.name_at(tmp_path / "none.sqlite3"))
    for _ in range(2):  # the first has made nothing either
        with pytest.raises(Unavailable, match=r"(no database at|has no tables of smartsub).*: smartsub init"):
            open_database(url_at(tmp_path / "none.sqlite3"), read_only=True)
    old = aside(path)
    old.execute("DELETE FROM schema_migration WHERE name LIKE '0003%'")
    old.close()
    with pytest.raises(Unavailable, match="was made by an older smartsub: smartsub migrate, then read it"):
        reading(path)
    old = aside(path)
    assert old.execute("SELECT count(*) FROM schema_migration WHERE name LIKE '0003%'").fetchall() == [(0,)]
    old.close()


def test_no_provider_is_asked_for_what_could_not_be_recorded(session: Session, clock: FixedClock) -> None:
    """No link is ended, no money goes back: the answer would be lost."""
    add_prices()
    add_people(add_office(), "u1", "u2", expires_on=TODAY)
    with running(clock=clock) as server:
        paying = paying_by(session, server)
        linked, waits = (orders.renew(paying, "Oak House", [key], Months(1)).order.number for key in ("u1", "u2"))
        held(paying, links.open_link(paying, linked))
        held(paying, links.open_link(paying, waits))
        link = models.Payment.select().join(models.Order).where(models.Order.number == waits).get().link
        pay(str(link))
        models.Subscription.update(expires_on=None, activated_on=None, anchor_day=None).execute()
        held(paying, links.ask_order(paying, waits))
        server.faults.always(Fault.RESET_BEFORE)
        held(paying, refunds.refund(paying, waits, "why"))
        server.faults.clear()
        paying.database.only_read()
        asked = len(server.faults.seen)
        talks: list[Any] = [
            refunds.refund(paying, waits, "why"),
            links.open_link(paying, linked),
            links.without_link(paying, Trigger.CANCEL, linked, lambda: payments.cancel(paying, linked, "why")),
            sweep(replace(paying, clock=FixedClock(NOW + timedelta(days=2)))),
        ]
        for talk in talks:
            with pytest.raises(NotAllowed, match="this smartsub only reads"):
                held(paying, talk)
        assert held(paying, links.watch(paying, linked)) is None
        assert len(server.faults.seen) == asked
        paying.database.only_read(False)


def test_nobody_is_offered_more_than_to_look(reader: Session) -> None:
    assert access.who_offers(reader.database, "manager").role is Role.VIEWER
    assert access.who_offers(reader.database, "auditor").role is Role.AUDITOR
