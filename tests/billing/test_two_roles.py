"""Two roles in the database: one owns the tables, the other works with them and can change neither them nor the trail.

That the work goes on with so few rights, all tests on PostgreSQL show: they go as that role (tests/postgres.py). Here
stands what the server refuses it, and how the rights come about and stay.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from smartsub_tui.billing import audit_chain, health, orders, payments
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data import models
from smartsub_tui.data.database import Database, open_database
from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.errors import Refused, Unavailable
from tests import postgres
from tests.postgres import OWNER, WORKER
from tests.support import TODAY, FixedClock, add_office, add_people, add_prices, session_on, unguard

pytestmark = pytest.mark.postgres


@pytest.fixture
def paid(session: Session) -> Session:
    """By the role that works there: an order that was paid, with its invoice, and one that was cancelled."""
    add_prices()
    add_people(add_office(), "u1", "u2", expires_on=TODAY)
    for person, follow in (
        ("u1", lambda number: payments.pay(session, number, Manual("R-1"))),
        ("u2", lambda number: payments.cancel(session, number, "not wanted")),
    ):
        follow(orders.renew(session, "Oak House", [person], Months(1)).order.number)
    return session


def as_worker(session: Session) -> Any:
    """A connection of another program that has got hold of the role's password."""
    return postgres.Other(session.database.database, WORKER)


FORBIDDEN: Final = (
    "UPDATE audit_event SET admin = 'somebody else'",
    "UPDATE audit_event SET hash = '' WHERE id = 1",
    "DELETE FROM audit_event WHERE id = 1",
    "TRUNCATE audit_event",
    "TRUNCATE orders CASCADE",
    "INSERT INTO audit_event SELECT * FROM audit_event WHERE id = 1 ON CONFLICT (id) DO UPDATE SET admin = 'x'",
    "SELECT * FROM audit_event FOR UPDATE",
    "UPDATE invoice SET total = 1, net = 1, tax = 0",
    "DELETE FROM invoice",
    "TRUNCATE invoice CASCADE",
    "DROP TRIGGER audit_event_no_change ON audit_event",
    "DROP TRIGGER invoice_no_change ON invoice",
    "ALTER TABLE audit_event DISABLE TRIGGER ALL",
    "ALTER TABLE invoice ADD COLUMN note TEXT",
    "ALTER TABLE audit_event OWNER TO CURRENT_USER",
    "DROP TABLE audit_event CASCADE",
    "CREATE TRIGGER mine BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION next_id()",
    "CREATE RULE mine AS ON INSERT TO audit_event DO INSTEAD NOTHING",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "GRANT UPDATE ON audit_event TO CURRENT_USER; UPDATE audit_event SET admin = ''",
    "SET session_replication_role = replica",
    f"SET ROLE {OWNER}",
    "DROP SCHEMA public_seen CASCADE",
    "CREATE SCHEMA mine",
    "CREATE TABLE public.mine (id INT)",
    "DELETE FROM schema_migration",
    "INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01')",
)


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_the_server_refuses_what_would_change_what_was_done(paid: Session, sql: str) -> None:
    before = paid.database.execute_sql("SELECT id, hash FROM audit_event ORDER BY id").fetchall()
    with closing(as_worker(paid)) as other, pytest.raises(Exception, match=r"permission denied|must be owner of"):
        other.execute(sql)
    assert paid.database.execute_sql("SELECT id, hash FROM audit_event ORDER BY id").fetchall() == before
    assert audit_chain.verify(paid).events == len(before)


@pytest.mark.parametrize("table", models.APPEND_ONLY)
def test_what_refuses_is_the_right_and_not_the_trigger(paid: Session, table: str) -> None:
    with closing(postgres.Other(paid.database.database)) as owner:
        owner.execute(f"DROP TRIGGER {table}_no_change ON {table}")
    with closing(as_worker(paid)) as other, pytest.raises(Exception, match="permission denied for table"):
        other.execute(f"DELETE FROM {table}")


def test_the_owner_alone_is_held_by_the_triggers(paid: Session) -> None:
    with closing(postgres.Other(paid.database.database)) as owner:
        for sql in ("UPDATE audit_event SET admin = ''", "DELETE FROM invoice", "TRUNCATE audit_event"):
            with pytest.raises(Exception, match="is append-only"):
                owner.execute(sql)


def rights(database: Database) -> str:
    return database.set_up()["rights"]()


def test_doctor_says_how_it_is_and_what_would_be_better(session: Session) -> None:
    found = {each.name: each for each in health.examine(session, "postgresql://h/d")}
    assert found["rights"].ok
    assert found["rights"].says == (
        "worker may add to the audit trail and to invoices and change neither: the tables are smartsub's"
    )
    name = session.database.database
    with closing(open_database(postgres.url(name, OWNER))) as owners:
        assert rights(owners).startswith("smartsub could take away what guards the audit trail and invoices; ")
    models.proxy.initialize(session.database)
    unguard(session.database, "invoice")
    with pytest.raises(Refused, match="has rights to change invoice: smartsub migrate --grant worker, by smartsub"):
        rights(session.database)
    with closing(open_database(postgres.url(name, OWNER))) as owners:
        owners.grant(WORKER)
    assert "change neither" in rights(session.database)


# --- How the rights come about


@pytest.fixture
def name(tmp_path: Path) -> str:
    """A database without tables, owned by a role that is no superuser."""
    name = postgres.name_at(tmp_path / "file")
    for role in ("keeper", WORKER, "clerk"):
        postgres.have_role(role)
    postgres.make_empty(name, "OWNER keeper")
    return name


def smartsub(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SMARTSUB_DATABASE": url}
    asked = [sys.executable, "-m", "smartsub_tui", "--admin", "maria", *words]
    return subprocess.run(asked, capture_output=True, text=True, check=False, env=environment, timeout=120)


def said(run: subprocess.CompletedProcess[str], code: int) -> str:
    assert run.returncode == code, run.stderr
    return run.stderr or run.stdout


def test_init_makes_the_tables_and_lets_another_role_work_with_them(name: str) -> None:
    keeper, worker = postgres.url(name, "keeper"), postgres.url(name, WORKER)
    assert "does not give this user the rights" in said(smartsub(worker, "init"), 5)
    made = json.loads(said(smartsub(keeper, "init", "--grant", WORKER, "--json"), 0))
    assert (made["created"], made["granted"]) == (True, WORKER)
    assert said(smartsub(worker, "init"), 0).endswith("is there already; maria is manager of it\n")
    assert said(smartsub(worker, "migrate"), 0).endswith("is up to date\n")
    assert "worker may add to the audit trail" in smartsub(worker, "doctor").stdout
    assert "Two roles" in smartsub(keeper, "doctor").stdout


@pytest.mark.parametrize(
    ("role", "code", "says"),
    [
        ("nobody", 3, "the server has no role nobody: have it made (CREATE ROLE ... LOGIN)"),
        ("keeper", 1, "keeper could change the tables whatever it was granted"),
        (OWNER, 1, "smartsub could change the tables whatever it was granted"),
        ('a"; DROP TABLE orders; --', 3, "the server has no role"),
    ],
)
def test_a_role_that_cannot_be_let_is_refused(name: str, role: str, code: int, says: str) -> None:
    assert says in said(smartsub(postgres.url(name, "keeper"), "init", "--grant", role), code)


def test_a_file_has_no_roles(tmp_path: Path) -> None:
    run = smartsub(f"sqlite:///{tmp_path / 'file.sqlite3'}", "init", "--grant", WORKER)
    assert "files have no roles" in said(run, 1)


def test_who_only_works_there_lets_nobody_in(name: str) -> None:
    said(smartsub(postgres.url(name, "keeper"), "init", "--grant", WORKER), 0)
    run = smartsub(postgres.url(name, WORKER), "migrate", "--grant", "clerk")
    assert "the tables are keeper's, who alone can let clerk work with them" in said(run, 1)


def test_a_later_migration_grants_again_and_only_its_owner_runs_it(name: str, clock: FixedClock) -> None:
    keeper, worker = postgres.url(name, "keeper"), postgres.url(name, WORKER)
    with closing(open_database(keeper, create=True)) as database:
        database.grant(WORKER)
        database.execute_sql("GRANT SELECT ON audit_event TO clerk")  # who only reports gets no more by it
        database.execute_sql("DELETE FROM schema_migration WHERE name = '0004_ways'")
        # As if a script had made a table that nobody was granted yet.
        database.execute_sql(f"REVOKE ALL ON claim FROM {WORKER}")
    with pytest.raises(Unavailable, match="its tables are keeper's: smartsub migrate by that role, then go on"):
        open_database(worker)
    open_database(keeper).close()
    with closing(open_database(worker)) as database:
        session = session_on(database, clock=clock)
        add_prices()
        add_people(add_office(), "u1", expires_on=TODAY)
        database.see_only(None)
        number = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
        assert payments.pay(session, number, Manual("R")).order.status is OrderStatus.SUCCEED
        database.see_only(1)  # the views were made anew, and granted anew
        assert models.Order.select().count() == 0
    with closing(postgres.Other(name, "clerk")) as other, pytest.raises(Exception, match="permission denied"):
        other.execute("INSERT INTO audit_event (at, admin, source, action, hash) VALUES (0, 'a', 'cli', 'x', '')")


def test_a_database_of_one_role_is_given_to_another(tmp_path: Path) -> None:
    """As docs/postgres.md has it: the role that owned all so far becomes the one that only works there."""
    name = postgres.name_at(tmp_path / "file")
    for role in ("giver", "heir"):  # of this test alone: all databases of the first go to the other
        postgres.have_role(role)
    postgres.make_empty(name, "OWNER giver")
    said(smartsub(postgres.url(name, "giver"), "init"), 0)
    with closing(postgres.Other(name)) as administrator:
        administrator.execute("REASSIGN OWNED BY giver TO heir")
    assert "does not give this user the rights" in said(smartsub(postgres.url(name, "giver"), "offices"), 5)
    said(smartsub(postgres.url(name, "heir"), "migrate", "--grant", "giver"), 0)
    assert "giver may add to the audit trail" in smartsub(postgres.url(name, "giver"), "doctor").stdout


def test_one_role_goes_on_working(name: str) -> None:
    said(smartsub(postgres.url(name, "keeper"), "init"), 0)
    said(smartsub(postgres.url(name, "keeper"), "admin", "add", "ann", "--role", "viewer"), 0)
