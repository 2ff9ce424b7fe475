"""The database itself: opening it, the states it refuses to store, and what happens when it gives up."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import apsw
import peewee
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peewee import Case, fn

from smartsub_tui.data import models
from smartsub_tui.data import sqlite as engine
from smartsub_tui.data.database import (
    LostTransaction,
    available,
    migrate,
    open_database,
    path_of,
    rows,
    url_of,
    was_interrupted,
)
from smartsub_tui.data.fields import from_microseconds, to_microseconds
from smartsub_tui.data.models import (
    Admin,
    AdminKey,
    AdminLimit,
    AdminOffice,
    AdminPin,
    AuditEvent,
    Claim,
    Counter,
    Department,
    Invoice,
    LastState,
    Office,
    Order,
    OrderLine,
    Payment,
    Price,
    Refund,
    Request,
    SavedView,
    Subscription,
    User,
)
from smartsub_tui.data.sqlite import SqliteDatabase
from smartsub_tui.data.vocabulary import (
    InvoiceKind,
    Lapsed,
    LineAction,
    OfficeKind,
    OrderStatus,
    OrderType,
    PaymentState,
    ProviderName,
    RefundState,
    Role,
    Service,
    UserKind,
)
from smartsub_tui.errors import Unavailable, WrongUsage
from tests import postgres
from tests.support import NOW, TODAY, at_once, dump, file_database, memory_database

# Opening


def test_the_url_of_a_file_names_it() -> None:
    assert path_of("sqlite:///a.sqlite3") == Path("a.sqlite3")
    assert path_of("sqlite:////var/lib/a b.sqlite3") == Path("/var/lib/a b.sqlite3")
    assert path_of("sqlite:///:memory:") is None
    assert path_of(url_of(Path("/x/y"))) == Path("/x/y")


@pytest.mark.parametrize(
    "url",
    ["", "a.sqlite3", "/a", "sqlite:", "sqlite://", "sqlite:///", "sqlite://a", "mysql://x", "mysql://u:hunter2@h/d"],
)
def test_what_is_no_url_is_refused_with_what_would_be_right(url: str) -> None:
    says = r"is no database URL: write sqlite:///FILE, sqlite:////ABSOLUTE/FILE or postgresql://"
    with pytest.raises(WrongUsage, match=says) as refused:
        path_of(url)
    assert "hunter2" not in refused.value.message  # which may be a password


def said(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The sentence with which it is unavailable."""
    with pytest.raises(Unavailable) as refused:
        call(*arguments, **options)
    assert "\n" not in refused.value.message
    assert refused.value.exit_code == 5
    return refused.value.message


@pytest.mark.sqlite("a database is a file")
def test_a_missing_database_is_not_made_unless_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite3"
    assert said(open_database, url_of(path)) == f"no database at {path}: smartsub init"
    assert not path.exists()


@pytest.mark.sqlite("a database is a file")
def test_a_missing_database_whose_old_file_stands_there_can_be_recovered(tmp_path: Path) -> None:
    path = tmp_path / "no[n]e.sqlite3"
    for each in ("20261122T090000Z", "20261122T090001Z", "20261122T090001Z_2"):
        path.with_name(f"{path.name}.{each}.old").touch()
    (tmp_path / "other.sqlite3.20261123T090000Z.old").touch()
    assert said(open_database, url_of(path)) == (
        f"no database at {path}, but {path.name}.20261122T090001Z_2.old stands beside it: smartsub recover puts that or"
        " a backup in its place, smartsub init makes a new one"
    )


@pytest.mark.sqlite("a database is a file")
def test_a_file_of_no_length_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite3"
    path.touch()
    assert said(open_database, url_of(path)).startswith(f"the database {path} is empty: smartsub recover")
    assert path.stat().st_size == 0


@pytest.mark.sqlite("a database is a file")
def test_a_new_database_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "new.sqlite3"
    with closing(open_database(url_of(path), create=True)):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert all(each.stat().st_mode & 0o077 == 0 for each in path.parent.iterdir())
        Admin.create(name="ann", role=Role.VIEWER, created_at=NOW)
    with closing(open_database(url_of(path), create=True)):
        assert Admin.get().name == "ann"
    with closing(open_database(url_of(path))):
        assert Admin.get().name == "ann"


@pytest.mark.sqlite("its own settings")
def test_every_connection_is_safe_for_money(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    for create in (True, False):
        with closing(open_database(url_of(path), create=create)) as database:
            pragmas = ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers", "mmap_size")
            found = {name: database.execute_sql(f"PRAGMA {name}").fetchone()[0] for name in pragmas}
            # Full: every commit is on the disk before it is told.
            assert found == {
                "journal_mode": "wal",
                "synchronous": 2,
                "foreign_keys": 1,
                "recursive_triggers": 1,
                "mmap_size": 0,
            }


@pytest.mark.sqlite("a database is a file")
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ann,\n" * 200)
    for create in (False, True):
        assert "is not a database: name another file" in said(open_database, url_of(path), create=create)
    assert path.read_text() == "Dear Ann,\n" * 200
    assert [each.name for each in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.sqlite("a database is a file")
def test_a_database_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mail.sqlite3"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE mail (text TEXT)")
        other.commit()
    before = path.read_bytes()
    for create in (False, True):
        assert "is a database of something else" in said(open_database, url_of(path), create=create)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["mail.sqlite3"]


@pytest.mark.sqlite("a database is a file")
def test_a_database_with_nothing_in_it_is_taken_only_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "blank.sqlite3"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE gone (text TEXT)")
        other.execute("DROP TABLE gone")
    assert path.stat().st_size > 0
    assert "is not a database of smartsub" in said(open_database, url_of(path))
    open_database(url_of(path), create=True).close()
    open_database(url_of(path)).close()


@pytest.mark.sqlite("its own words for a schema")
def test_a_database_of_before_the_limits_gets_their_table(tmp_path: Path) -> None:
    path = tmp_path / "older.sqlite3"
    with closing(file_database(path)) as database:
        made = database.execute_sql("SELECT sql FROM sqlite_master WHERE tbl_name = 'admin_limit'").fetchall()
        database.execute_sql("DROP TABLE admin_limit")
        database.execute_sql("DELETE FROM schema_migration WHERE name = '0002_admin_limits'")
    with closing(open_database(url_of(path))) as database:
        again = database.execute_sql("SELECT sql FROM sqlite_master WHERE tbl_name = 'admin_limit'").fetchall()
        assert again == made != []
        AdminLimit.create(admin=_admin(), currency="EUR", amount=1)


@pytest.mark.sqlite("a database is a file")
def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    with closing(open_database(url_of(path), create=True)) as database:
        database.execute_sql("INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01')")
    for create in (False, True):
        message = said(open_database, url_of(path), create=create)
        assert message == f"{path} was made by a newer smartsub (it has 9999_later): update smartsub"


@pytest.mark.sqlite("a database is a file")
def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged.sqlite3"
    open_database(url_of(path), create=True).close()
    content = bytearray(path.read_bytes())
    content[100:200] = b"\xff" * 100
    path.write_bytes(content)
    assert "is damaged: stop using it and restore a backup" in said(open_database, url_of(path))


@pytest.mark.sqlite("a database is a file")
def test_a_folder_is_no_database(tmp_path: Path) -> None:
    assert "cannot be opened" in said(open_database, url_of(tmp_path))


@pytest.mark.sqlite("a database is a file")
def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot make the database" in said(open_database, url_of(tmp_path / "file" / "x"), create=True)
    assert "File name too long" in said(open_database, url_of(tmp_path / ("x" * 300)), create=True)
    assert "File name too long" in said(open_database, url_of(tmp_path / ("x" * 300)))


@pytest.fixture
def shut(tmp_path: Path) -> Iterator[Path]:
    """A folder to make things in that may not be written; skipped for whom no permission counts, as root."""
    folder = tmp_path / "shut"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("permissions do not count for this user")
    yield folder
    folder.chmod(0o700)


def made_in(folder: Path) -> Path:
    """A database in a folder that may not be written any more."""
    folder.chmod(0o700)
    open_database(url_of(folder / "x.sqlite3"), create=True).close()
    folder.chmod(0o500)
    return folder / "x.sqlite3"


@pytest.mark.sqlite("a database is a file")
def test_where_nothing_may_be_written_no_database_is_made(shut: Path) -> None:
    message = said(open_database, url_of(shut / "new.sqlite3"), create=True)
    assert message == f"cannot make the database {shut / 'new.sqlite3'}: Permission denied"


@pytest.mark.sqlite("a database is a file")
def test_a_folder_that_may_not_be_searched_is_said(shut: Path) -> None:
    path = made_in(shut)
    shut.chmod(0)
    assert said(open_database, url_of(path)).endswith("Permission denied")


@pytest.mark.sqlite("a database is a file")
def test_a_folder_that_may_not_be_written_is_said(shut: Path) -> None:
    path = made_in(shut)
    assert "is read-only: check who owns it and its folder" in said(open_database, url_of(path))


@pytest.mark.sqlite("a database is a file")
def test_a_file_that_may_not_be_read_is_said(shut: Path) -> None:
    path = made_in(shut)
    path.chmod(0)
    assert "cannot be opened" in said(open_database, url_of(path))


@pytest.mark.sqlite("a database is a file")
def test_a_file_that_may_not_be_written_is_said_at_the_first_write(shut: Path) -> None:
    path = made_in(shut)
    path.chmod(0o400)
    shut.chmod(0o700)

    def write() -> None:
        with closing(open_database(url_of(path))), available():
            Admin.create(name="ann", role=Role.VIEWER, created_at=NOW)

    assert "is read-only" in said(write)


def _tables(url: str) -> str:
    with closing(open_database(url, create=True)) as database:
        return " ".join(sorted(database.get_tables()))


@pytest.mark.sqlite("a database is a file")
def test_eight_processes_that_make_the_same_database_all_find_it_made(tmp_path: Path) -> None:
    found = at_once(_tables, [(url_of(tmp_path / "new.sqlite3"),)] * 8)
    with closing(memory_database()) as expected:
        assert found == [" ".join(sorted(expected.get_tables()))] * 8


@pytest.mark.sqlite("a database is a file")
def test_a_database_that_another_process_is_just_making_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite does not ask the busy handler when two switch to the log at once: it only says that it is busy."""
    path = tmp_path / "new.sqlite3"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE schema_migration (id INTEGER PRIMARY KEY, name TEXT, applied TEXT)")
    other.execute("BEGIN IMMEDIATE")
    waits = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        other.close()

    monkeypatch.setattr("smartsub_tui.data.sqlite.time.sleep", sleep)
    open_database(url_of(path), create=True).close()
    assert len(waits) == 1


@pytest.mark.sqlite("a database is a file")
def test_tables_that_appear_while_they_are_looked_for_are_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may finish making them at any moment."""
    path = tmp_path / "new.sqlite3"
    look = SqliteDatabase.get_tables

    def appear(database: SqliteDatabase, schema: str | None = None) -> list[str]:
        found: list[str] = look(database, schema)
        with monkeypatch.context() as once:
            once.setattr(SqliteDatabase, "get_tables", look)
            open_database(url_of(path), create=True).close()
        return found

    monkeypatch.setattr(SqliteDatabase, "get_tables", appear)
    open_database(url_of(path), create=True).close()


@pytest.mark.sqlite("its driver")
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("times", [1, 2])
def test_a_file_that_is_exchanged_while_it_is_opened_is_opened_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, fails: bool
) -> None:
    """Whether the old one can be read with the other's log beside it or not."""
    path = tmp_path / "x.sqlite3"
    for name in ("x", "0", "1"):
        with closing(open_database(url_of(tmp_path / f"{name}.sqlite3"), create=True)):
            Admin.create(name=name, role=Role.VIEWER, created_at=NOW)
    connect, begun = SqliteDatabase._connect, iter(range(times))

    def exchanged(database: SqliteDatabase) -> apsw.Connection:
        connection = connect(database)
        for place in islice(begun, 1):
            os.replace(tmp_path / f"{place}.sqlite3", path)
            if fails:
                connection.close()
                raise peewee.OperationalError("disk I/O error") from apsw.IOError()
        return connection

    monkeypatch.setattr(SqliteDatabase, "_connect", exchanged)
    if times == 2:
        assert said(open_database, url_of(path)) == f"the database {path} was replaced while it was opened: try again"
    else:
        with closing(open_database(url_of(path))):
            assert [each.name for each in Admin.select()] == ["0"]


@pytest.mark.sqlite("its own words for a schema")
def test_the_migrations_make_what_the_models_say() -> None:
    """Statement by statement; beside it stand the list of migrations and the triggers."""

    def schema(database: SqliteDatabase) -> set[tuple[str, str, str | None]]:
        return set(database.execute_sql("SELECT type, name, sql FROM sqlite_master").fetchall())

    with closing(open_database("sqlite:///:memory:", create=True)) as migrated:
        found = schema(migrated)
    plain = SqliteDatabase(":memory:", autoconnect=False)
    plain.connect()
    models.proxy.initialize(plain)
    with closing(plain):
        plain.create_tables(models.TABLES)
        expected = schema(plain)
    triggers = {name for kind, name, _ in found if kind == "trigger"}
    assert triggers == {f"{table}_no_{event}" for table in ("audit_event", "invoice") for event in ("update", "delete")}
    rest = {
        row for row in found if row[0] != "trigger" and "schema_migration" not in row[1] and "history" not in row[1]
    }
    assert rest == expected
    assert all(model in models.TABLES for model in models.Table.__subclasses__())


def test_migrating_again_does_nothing(database: SqliteDatabase) -> None:
    before = dump(database)
    assert migrate(database) == []
    assert dump(database) == before


@pytest.mark.sqlite("its own settings")
def test_a_migration_that_would_break_a_reference_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_parents.py").write_text(
        "def up(migrator, db):\n"
        "    db.execute_sql('CREATE TABLE parent (id INTEGER PRIMARY KEY)')\n"
        "    db.execute_sql('CREATE TABLE child (parent INTEGER REFERENCES parent (id))')\n"
    )
    monkeypatch.setattr("smartsub_tui.data.database.MIGRATIONS", folder)
    with closing(open_database("sqlite:///:memory:", create=True)) as database:
        (folder / "0002_orphans.py").write_text(
            "def up(migrator, db):\n    db.execute_sql('INSERT INTO child VALUES (7)')\n"
        )
        with pytest.raises(peewee.IntegrityError, match="1 references"):
            migrate(database)
        assert database.execute_sql("SELECT count(*) FROM child").fetchone() == (0,)
        assert database.execute_sql("SELECT name FROM schema_migration").fetchall() == [("0001_parents",)]
        assert database.execute_sql("PRAGMA foreign_keys").fetchone() == (1,)


# What is refused by the database itself


def _office() -> Any:
    return Office.get_or_none() or Office.create(
        name="Oak", name_folded="oak", kind=OfficeKind.OFFICE, timezone="UTC", currency="EUR"
    )


def _department() -> Any:
    return Department.get_or_none() or Department.create(office=_office(), name="Sales", name_folded="sales")


_made = iter(range(10**9))


def _user() -> Any:
    key = f"u{next(_made)}"
    return User.create(
        key=key,
        key_folded=key,
        office=_office(),
        department=_department(),
        name="Ann",
        name_folded="ann",
        kind=UserKind.USER,
    )


def _subscription() -> Any:
    return Subscription.create(user=_user(), service=Service.APP)


def _admin() -> Any:
    return Admin.create(name=f"admin{next(_made)}", role=Role.VIEWER, created_at=NOW)


def _order() -> Any:
    return Order.create(**VALID[Order]())


LISTED = {"filter_text": "is:late", "sort": "-created"}


# One row of each table that is right, made anew for every test.
def _payment() -> Any:
    return Payment.create(**VALID[Payment]())


def _credit_note() -> Any:
    return Invoice.create(**{**VALID[Invoice](), "kind": InvoiceKind.CREDIT_NOTE})


VALID: dict[Any, Callable[[], dict[str, Any]]] = {
    Office: lambda: {
        "name": "Elm",
        "name_folded": "elm",
        "kind": OfficeKind.OFFICE,
        "timezone": "UTC",
        "currency": "EUR",
    },
    Department: lambda: {"office": _office(), "name": "Other", "name_folded": "other"},
    User: lambda: {
        "key": "u",
        "key_folded": "u",
        "office": _office(),
        "department": _department(),
        "name": "Ann",
        "name_folded": "ann",
        "kind": UserKind.USER,
    },
    Subscription: lambda: {
        "user": _user(),
        "service": Service.APP,
        "activated_on": TODAY,
        "expires_on": TODAY,
        "anchor_day": 22,
        "opening_activated_on": TODAY,
        "opening_expires_on": TODAY,
        "opening_anchor_day": 22,
    },
    Price: lambda: {
        "service": Service.APP,
        "action": LineAction.MONTH,
        "amount": 500,
        "currency": "EUR",
        "tax_rate_ppm": 190_000,
        "valid_from": TODAY,
    },
    Order: lambda: {
        "number": f"n{next(_made)}",
        "office": _office(),
        "type": OrderType.SUBSCRIPTION,
        "status": OrderStatus.PROCESSING,
        "status_since": NOW,
        "apartments": 1,
        "currency": "EUR",
        "net": 1000,
        "tax": 190,
        "total": 1190,
        "months": 2,
        "created_at": NOW,
        "created_by": "ann",
        "created_by_folded": "ann",
        "pay_by": NOW,
    },
    OrderLine: lambda: {
        "order": _order(),
        "subscription": _subscription(),
        "label": "Ann",
        "action": LineAction.DAY,
        "days": 3,
        "amount": 60,
        "tax_rate_ppm": 190_000,
        "previous_expiry": TODAY,
        "new_expiry": TODAY,
        "applied_on": TODAY,
        "lapsed": Lapsed.TODAY,
    },
    Claim: lambda: {"order": _order(), "subscription": _subscription()},
    Payment: lambda: {
        "order": _order(),
        "provider": ProviderName.STRIPE,
        "state": PaymentState.CREATED,
        "idempotency_key": f"k{next(_made)}",
        "amount": 1190,
        "currency": "EUR",
        "created_at": NOW,
        "changed_at": NOW,
        "created_by": "ann",
    },
    Counter: lambda: {"series": "INV", "year": 2026, "last": 1},
    Invoice: lambda: {
        "order": _order(),
        "kind": InvoiceKind.INVOICE,
        "number": f"INV-{next(_made)}",
        "series": "INV",
        "year": 2026,
        "sequence": next(_made) + 1,
        "issued_at": NOW,
        "issued_on": TODAY,
        "currency": "EUR",
        "net": 1000,
        "tax": 190,
        "total": 1190,
        "snapshot": "{}",
    },
    Refund: lambda: {
        "payment": _payment(),
        "state": RefundState.CREATED,
        "idempotency_key": f"k{next(_made)}",
        "amount": 1190,
        "currency": "EUR",
        "reason": "twice",
        "created_at": NOW,
        "changed_at": NOW,
        "created_by": "ann",
    },
    Admin: lambda: {"name": "ann", "role": Role.VIEWER, "created_at": NOW},
    AdminLimit: lambda: {"admin": _admin(), "currency": "EUR", "amount": 50000},
    AdminOffice: lambda: {"admin": _admin(), "office": _office()},
    AdminKey: lambda: {"admin": _admin(), "fingerprint": "SHA256:k", "public_key": "ssh-ed25519 k", "created_at": NOW},
    AdminPin: lambda: {"admin": _admin(), "hash": "$argon2id$", "changed_at": NOW},
    SavedView: lambda: {"owner": _admin(), "name": "late", "name_folded": "late", **LISTED},
    LastState: lambda: {"admin": _admin(), "mode": "payments", **LISTED},
    AuditEvent: lambda: {"at": NOW, "admin": "ann", "source": "cli", "action": "create", "hash": ""},
    Request: lambda: {
        "id": "r",
        "admin": "ann",
        "command": "pay",
        "arguments": "",
        "result": "{}",
        "created_at": NOW,
    },
}


NO_WORD = peewee.Value("nonsense", converter=False)  # past the conversion that would refuse it in Python
HISTORY = {"history": True, "status": OrderStatus.SUCCEED, "net": None, "tax": None, "pay_by": None}

CHECKED: list[tuple[Any, dict[str, Any]]] = [
    (Office, {"kind": NO_WORD}),
    (Office, {"name": ""}),
    (Office, {"currency": "EURO"}),
    (Department, {"name": ""}),
    (User, {"kind": NO_WORD}),
    (User, {"key": ""}),
    (User, {"name": ""}),
    (Subscription, {"service": NO_WORD}),
    (Subscription, {"expires_on": None}),
    (Subscription, {"activated_on": None, "anchor_day": None}),
    (Subscription, {"anchor_day": None}),
    (Subscription, {"anchor_day": 0}),
    (Subscription, {"anchor_day": 32}),
    (Subscription, {"opening_expires_on": None}),
    (Subscription, {"opening_anchor_day": None}),
    (Price, {"service": NO_WORD}),
    (Price, {"action": NO_WORD}),
    (Price, {"office_kind": NO_WORD}),
    (Price, {"amount": -1}),
    (AdminLimit, {"amount": -1}),
    (AdminLimit, {"currency": "EURO"}),
    (Price, {"tax_rate_ppm": -1}),
    (Price, {"tax_rate_ppm": 1_000_001}),
    (Price, {"currency": "E"}),
    (Order, {"type": NO_WORD}),
    (Order, {"status": NO_WORD}),
    (Order, {"number": ""}),
    (Order, {"apartments": -1}),
    (Order, {"currency": ""}),
    (Order, {"net": -1, "tax": 1191}),
    (Order, {"net": 1191, "tax": -1}),
    (Order, {"net": -1000, "tax": -190, "total": -1190}),
    (Order, {"total": 1191}),
    (Order, {"net": 999}),
    (Order, {"net": None}),
    (Order, {"tax": None}),
    (Order, {"months": 0}),
    (Order, {"po_number": ""}),
    (Order, {"buyer_reference": ""}),
    (Order, {"months": 61}),
    (Order, {"first_term_months": 0}),
    (Order, {"first_term_months": 61}),
    (Order, {"until": TODAY}),
    (Order, {"pay_by": None}),
    (Order, {"paid_at": NOW}),
    (Order, {"status": OrderStatus.SUCCEED}),
    (Order, {**HISTORY, "status": OrderStatus.PROCESSING, "pay_by": NOW}),
    (Order, {**HISTORY, "status": OrderStatus.SYSTEM_PROCESSING}),
    (Order, {"deleted_at": NOW}),
    (Order, {"deleted_at": NOW, "status": OrderStatus.SYSTEM_PROCESSING}),
    (Order, {"late": True}),
    (Order, {"version": 0}),
    (OrderLine, {"action": NO_WORD}),
    (OrderLine, {"lapsed": NO_WORD}),
    (OrderLine, {"amount": -1}),
    (OrderLine, {"tax_rate_ppm": -1}),
    (OrderLine, {"tax_rate_ppm": 1_000_001}),
    (OrderLine, {"days": None}),
    (OrderLine, {"action": LineAction.MONTH}),
    (OrderLine, {"days": 0}),
    (OrderLine, {"applied_on": None, "lapsed": None}),
    (OrderLine, {"new_expiry": None}),
    (OrderLine, {"lapsed": None}),
    (OrderLine, {"credit_note": 1, "applied_on": None, "lapsed": None, "new_expiry": None}),
    (OrderLine, {"new_expiry": TODAY - timedelta(days=1)}),
    (Payment, {"provider": NO_WORD}),
    (Payment, {"state": NO_WORD}),
    (Payment, {"amount": -1}),
    (Payment, {"currency": "euros"}),
    (Payment, {"applied": True}),
    (Refund, {"state": NO_WORD}),
    (Refund, {"amount": 0}),
    (Refund, {"currency": "euros"}),
    (Counter, {"last": 0}),
    (Invoice, {"kind": NO_WORD}),
    (Invoice, {"sequence": 0}),
    (Invoice, {"total": 1}),
    (Invoice, {"net": -1, "tax": 1191}),
    (Admin, {"role": NO_WORD}),
    (Admin, {"name": ""}),
    (AdminKey, {"fingerprint": ""}),
    (AdminKey, {"public_key": ""}),
    (AdminPin, {"hash": ""}),
    (AdminPin, {"failures": -1}),
    (SavedView, {"name": ""}),
]


def refused_check(model: Any, changed: dict[str, Any]) -> str:
    with pytest.raises((peewee.IntegrityError, peewee.DataError)) as refused:
        model.insert(**{**VALID[model](), **changed}).execute()
    if postgres.is_wanted():
        # By the name of the check; of more letters than a column takes, it says no more.
        error: Any = refused.value
        return str(error.orig.diag.constraint_name or error)
    _, marker, expression = str(refused.value).partition("CHECK constraint failed: ")
    assert marker, refused.value
    return expression


@pytest.mark.parametrize("model", VALID, ids=lambda model: model.__name__)
def test_the_row_that_the_wrong_ones_are_made_from_is_taken(database: SqliteDatabase, model: Any) -> None:
    model.insert(**VALID[model]()).execute()


@pytest.mark.parametrize(
    ("model", "changed"), CHECKED, ids=[f"{model.__name__}-{','.join(changed)}" for model, changed in CHECKED]
)
def test_a_wrong_state_is_refused(database: SqliteDatabase, model: Any, changed: dict[str, Any]) -> None:
    assert refused_check(model, changed)


@pytest.mark.sqlite("its words name the check")
def test_every_check_of_the_tables_is_tried_above(database: SqliteDatabase) -> None:
    tried = {(model.__name__, refused_check(model, changed)) for model, changed in CHECKED}
    known = {(model.__name__, check.sql[7:-1]) for model in models.TABLES for check in model._meta.constraints or ()}
    assert tried == known


@pytest.mark.parametrize(
    "changed",
    [
        HISTORY,
        {**HISTORY, "paid_at": NOW},
        {**HISTORY, "deleted_at": NOW},
        {"months": None, "until": TODAY},
        {"months": 60},
        {"status": OrderStatus.SUCCEED, "paid_at": NOW, "late": True, "pay_by": None},
        {"status": OrderStatus.SYSTEM_PROCESSING, "pay_by": None},
        {"status": OrderStatus.CANCEL, "deleted_at": NOW},
    ],
)
def test_states_that_orders_do_have_are_taken(database: SqliteDatabase, changed: dict[str, Any]) -> None:
    Order.insert(**{**VALID[Order](), **changed}).execute()


UNIQUE = "UNIQUE constraint failed|duplicate key"


def twins(model: Any, same: dict[str, Any], other: dict[str, Any]) -> None:
    """A second row with `same` is refused, one that differs in `other` is taken."""
    model.insert(**{**VALID[model](), **same}).execute()
    with pytest.raises(peewee.IntegrityError, match=UNIQUE):
        model.insert(**{**VALID[model](), **same}).execute()
    model.insert(**{**VALID[model](), **same, **other}).execute()


def test_nothing_is_there_twice_that_may_be_once(database: SqliteDatabase) -> None:
    order, subscription, user, office = _order(), _subscription(), _user(), _office()
    another = Office.create(name="Ash", name_folded="ash", kind=OfficeKind.OFFICE, timezone="UTC", currency="EUR")
    twins(Office, {"name": "X"}, {"name": "Y"})
    twins(Department, {"office": office, "name": "X"}, {"office": another})
    twins(User, {"key": "X"}, {"key": "Y"})
    twins(Subscription, {"user": user, "service": Service.APP}, {"service": Service.PM_APP})
    twins(Price, {"office_kind": None}, {"office_kind": OfficeKind.OFFICE})
    twins(Price, {"office_kind": OfficeKind.COMMUNITY}, {"valid_from": TODAY + timedelta(days=1)})
    twins(Order, {"number": "X"}, {"number": "Y"})
    twins(OrderLine, {"order": order, "subscription": subscription}, {"subscription": _subscription()})
    twins(Claim, {"subscription": subscription}, {"subscription": _subscription()})
    twins(Payment, {"idempotency_key": "X"}, {"idempotency_key": "Y"})
    twins(Refund, {"idempotency_key": "X"}, {"idempotency_key": "Y"})
    twins(Counter, {}, {"year": 2027})
    twins(Invoice, {"number": "X"}, {"number": "Y"})
    twins(Invoice, {"sequence": 10**9}, {"year": 2027})
    twins(Admin, {"name": "X"}, {"name": "Y"})
    twins(AdminLimit, {"admin": (admin := _admin())}, {"admin": admin, "currency": "USD"})
    twins(SavedView, {"owner": _admin()}, {"owner": None})
    twins(SavedView, {"owner": None, "name_folded": "x"}, {"name_folded": "y"})
    twins(LastState, {"admin": _admin()}, {"admin": _admin()})
    twins(Request, {"id": "X"}, {"id": "Y"})


def test_an_order_has_one_claim_on_a_subscription_even_if_it_is_its_own(database: SqliteDatabase) -> None:
    claim = VALID[Claim]()
    twins(Claim, claim, {"subscription": _subscription()})


LIVE = (PaymentState.CREATED, PaymentState.SENT, PaymentState.PENDING, PaymentState.UNKNOWN)
ENDED = tuple(state for state in PaymentState if state not in LIVE)


@pytest.mark.parametrize("first", LIVE)
@pytest.mark.parametrize("second", LIVE)
def test_an_order_has_one_live_payment(database: SqliteDatabase, first: PaymentState, second: PaymentState) -> None:
    order = _order()
    twins(Payment, {"order": order, "state": first}, {"state": PaymentState.DECLINED})
    with pytest.raises(peewee.IntegrityError, match=UNIQUE):
        Payment.insert(**{**VALID[Payment](), "order": order, "state": second}).execute()
    Payment.insert(**{**VALID[Payment](), "state": second}).execute()


def test_payments_that_ended_stand_beside_each_other(database: SqliteDatabase) -> None:
    order = _order()
    for state in ENDED * 2:
        Payment.insert(**{**VALID[Payment](), "order": order, "state": state}).execute()


def test_a_payment_has_one_refund_under_way(database: SqliteDatabase) -> None:
    payment = Payment.create(**VALID[Payment]())
    ended = [state for state in RefundState if not state.is_live]
    for state in ended * 2:
        Refund.insert(**{**VALID[Refund](), "payment": payment, "state": state}).execute()
    for first in (state for state in RefundState if state.is_live):
        payment = Payment.create(**VALID[Payment]())
        twins(Refund, {"payment": payment, "state": first}, {"state": RefundState.DECLINED})
        for second in (state for state in RefundState if state.is_live):
            with pytest.raises(peewee.IntegrityError, match=UNIQUE):
                Refund.insert(**{**VALID[Refund](), "payment": payment, "state": second}).execute()


def test_one_payment_of_an_order_is_applied(database: SqliteDatabase) -> None:
    applied = {"order": _order(), "state": PaymentState.SUCCEEDED, "applied": True}
    twins(Payment, applied, {"applied": False})


def test_an_order_has_one_invoice_and_may_have_credit_notes(database: SqliteDatabase) -> None:
    order = _order()
    twins(Invoice, {"order": order}, {"kind": InvoiceKind.CREDIT_NOTE})
    Invoice.insert(**{**VALID[Invoice](), "order": order, "kind": InvoiceKind.CREDIT_NOTE}).execute()


@pytest.mark.parametrize(
    ("model", "column"),
    [
        (Department, "office"),
        (User, "office"),
        (User, "department"),
        (Subscription, "user"),
        (Order, "office"),
        (Order, "made_from"),
        (OrderLine, "order"),
        (OrderLine, "subscription"),
        (Claim, "order"),
        (Claim, "subscription"),
        (OrderLine, "credit_note"),
        (Payment, "order"),
        (Refund, "payment"),
        (Refund, "credit_note"),
        (Invoice, "order"),
        (AuditEvent, "order"),
        (AdminLimit, "admin"),
        (SavedView, "owner"),
        (LastState, "admin"),
    ],
)
def test_a_row_belongs_to_one_that_is_there_and_stays(database: SqliteDatabase, model: Any, column: str) -> None:
    with pytest.raises(peewee.IntegrityError, match=r"(?i)foreign key"):
        model.insert(**{**VALID[model](), column: 10**6}).execute()
    makers = {"office": _office, "department": _department, "user": _user, "subscription": _subscription}
    others = {"owner": _admin, "admin": _admin, "payment": _payment, "credit_note": _credit_note}
    owner = (makers | others).get(column, _order)()
    model.insert(**{**VALID[model](), column: owner}).execute()
    with pytest.raises(peewee.DatabaseError, match=r"(?i)foreign key|append-only|permission denied"):
        owner.delete_instance()


@pytest.mark.parametrize("model", [AuditEvent, Invoice])
def test_the_trail_and_the_invoices_are_append_only(database: SqliteDatabase, model: Any) -> None:
    model.insert(**VALID[model]()).execute()
    before = dump(database)
    table = model._meta.table_name
    for statement in (
        f"UPDATE {table} SET id = id",
        f"DELETE FROM {table}",
        f"DELETE FROM {table} WHERE id = 1",
        *(
            (f"TRUNCATE {table} CASCADE",)
            if postgres.is_wanted()
            else (f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}", f"UPDATE OR IGNORE {table} SET id = 7")
        ),
    ):
        with pytest.raises(peewee.DatabaseError, match=r"is append-only|permission denied"):
            database.execute_sql(statement)
        assert dump(database) == before


# Transactions


def names() -> list[str]:
    return sorted(name for (name,) in rows(Admin.select(Admin.name)))


def add(name: str) -> None:
    Admin.create(name=name, role=Role.VIEWER, created_at=NOW)


def give_up(database: SqliteDatabase) -> None:
    """Let SQLite itself end the transaction, as it does on a full disk; nobody tells Peewee."""
    with pytest.raises(peewee.IntegrityError):
        database.execute_sql("INSERT OR ROLLBACK INTO admin (name, role, created_at) SELECT name, role, 0 FROM admin")


def lost(database: SqliteDatabase, *steps: Callable[[], Any]) -> None:
    """A transaction of these steps, which ends as a lost one."""
    with pytest.raises(LostTransaction), database.writing():  # noqa: PT012 - the end of the block raises too
        for step in steps:
            step()


def test_writing_stores_all_or_nothing(database: SqliteDatabase) -> None:
    with database.writing():
        add("ann")

    def work() -> None:
        with database.writing():
            add("bob")
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert names() == ["ann"]


def test_an_inner_block_is_taken_back_alone(database: SqliteDatabase) -> None:
    def work() -> None:
        with database.writing():
            add("bob")
            raise KeyError

    with database.writing():
        add("ann")
        with pytest.raises(KeyError):
            work()
        add("cat")
    assert names() == ["ann", "cat"]


@pytest.mark.sqlite("it ends a transaction by itself, as on a full disk")
def test_after_a_lost_transaction_no_statement_runs(database: SqliteDatabase) -> None:
    lost(database, lambda: add("ann"), lambda: give_up(database), lambda: add("bob"))
    assert names() == []


@pytest.mark.sqlite("it ends a transaction by itself, as on a full disk")
def test_a_lost_transaction_does_not_end_as_if_it_were_stored(database: SqliteDatabase) -> None:
    called: list[str] = []

    def told() -> None:
        called.append("stored")

    lost(database, lambda: add("ann"), lambda: database.after_commit(told), lambda: give_up(database))
    assert names() == []
    assert called == []


@pytest.mark.sqlite("it ends a transaction by itself, as on a full disk")
def test_a_transaction_lost_in_an_inner_block_is_lost_in_the_outer_one(database: SqliteDatabase) -> None:
    def inner() -> None:
        with database.writing():
            add("bob")
            give_up(database)

    lost(database, lambda: add("ann"), inner, lambda: add("cat"))
    assert names() == []


@pytest.mark.sqlite("it ends a transaction by itself, as on a full disk")
def test_who_catches_the_loss_cannot_go_on_either(database: SqliteDatabase) -> None:
    def caught() -> None:
        with pytest.raises(LostTransaction):
            add("bob")

    lost(database, lambda: add("ann"), lambda: give_up(database), caught)
    assert names() == []


@pytest.mark.sqlite("it ends a transaction by itself, as on a full disk")
def test_after_a_loss_the_connection_works_again(database: SqliteDatabase) -> None:
    lost(database, lambda: add("ann"), lambda: give_up(database))
    with database.writing():
        add("bob")
    assert names() == ["bob"]


@pytest.mark.sqlite("it ends a transaction by itself, as on a full disk")
def test_a_loss_is_told_in_a_sentence(database: SqliteDatabase) -> None:
    def work() -> None:
        with available(), database.writing():
            add("ann")
            give_up(database)

    assert "nothing of it is stored" in said(work)


@pytest.mark.sqlite("its own settings")
def test_a_full_disk_is_told_and_nothing_is_stored(tmp_path: Path) -> None:
    with closing(file_database(tmp_path / "full.sqlite3")) as database:
        (pages,) = database.execute_sql("PRAGMA page_count").fetchone()
        database.execute_sql(f"PRAGMA max_page_count = {pages}")

        def work() -> None:
            with available(), database.writing():
                for number in range(1000):
                    add(f"{number:0500d}")

        assert "the disk is full: nothing was stored" in said(work)
        assert names() == []


@pytest.mark.sqlite("a database is a file")
def test_another_writer_is_waited_for_and_then_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    path = tmp_path / "busy.sqlite3"
    with closing(file_database(path)) as database, closing(apsw.Connection(str(path))) as other:
        other.execute("BEGIN IMMEDIATE")

        def work() -> None:
            with available(), database.writing():
                add("ann")

        assert "is busy: another process has been writing for too long" in said(work)
        other.execute("COMMIT")
        work()
        assert names() == ["ann"]


@pytest.mark.sqlite("a copy is a file")
def test_a_copy_is_of_one_moment_and_ends_whoever_writes_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here somebody writes behind each page of it: it would begin anew each time."""
    monkeypatch.setattr(engine, "_COPIED_PAGES", 1)
    path, copy = tmp_path / "busy.sqlite3", tmp_path / "copy.sqlite3"
    heard: list[tuple[int, int]] = []
    with closing(file_database(path)) as database, closing(apsw.Connection(str(path))) as other:
        with database.writing():
            add("ann")
        (pages,) = database.execute_sql("PRAGMA page_count").fetchone()

        def told(done: int, total: int) -> None:
            heard.append((done, total))
            other.execute("INSERT INTO admin (name, role, created_at) VALUES (?, 'viewer', 0)", (f"b{done}",))

        database.copy_to(copy, told)
        assert heard == [(done, pages) for done in range(1, pages + 1)]
        assert len(names()) == pages + 1
        assert not database.in_transaction()
    with closing(open_database(url_of(copy))):
        assert names() == ["ann"]


@pytest.mark.sqlite("a copy is a file")
def test_a_copy_is_ended_by_what_hears_of_it(tmp_path: Path) -> None:
    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with closing(file_database(tmp_path / "some.sqlite3")) as database:
        with pytest.raises(KeyboardInterrupt):
            database.copy_to(tmp_path / "copy.sqlite3", stop)
        assert not database.in_transaction()
        with database.writing():
            add("ann")


@pytest.mark.sqlite("a copy is a file")
@pytest.mark.parametrize("moved", ["away", "behind a copy", "behind another"])
def test_a_file_that_was_moved_while_it_was_open_is_not_written(tmp_path: Path, moved: str) -> None:
    """What is stored in it would have no name: it would be gone with the process."""
    path, other = tmp_path / "live.sqlite3", tmp_path / "other.sqlite3"
    open_database(url_of(other), create=True).close()
    with closing(file_database(path)) as database:
        with database.writing():
            add("ann")
        if moved == "behind a copy":
            database.copy_to(tmp_path / "copy.sqlite3")
            (tmp_path / "copy.sqlite3").replace(path)
        elif moved == "behind another":
            other.replace(path)
        else:
            path.rename(other)

        def work() -> None:
            with available(), database.writing():
                add("bob")

        sentence = "was moved or replaced while it was open: nothing was stored; end this smartsub and start it again"
        assert sentence in said(work)
        assert names() == ["ann"]
        if moved == "away":
            other.rename(path)
            work()
            assert names() == ["ann", "bob"]


@pytest.mark.sqlite("a database is a file")
def test_a_process_may_go_elsewhere_while_a_file_of_a_relative_name_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with closing(open_database("sqlite:///live.sqlite3", create=True)) as database:
        monkeypatch.chdir("elsewhere")
        with available(), database.writing():
            add("ann")
        assert names() == ["ann"]


@pytest.mark.sqlite("a database is a file")
def test_what_a_newer_version_changed_meanwhile_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite3"
    with closing(file_database(path)) as database, closing(apsw.Connection(str(path))) as newer:

        def work() -> None:
            with available(), database.writing():
                add("bob")

        newer.execute("CREATE INDEX of_someone_else ON admin (created_at)")  # harms nobody
        work()
        newer.execute("CREATE TABLE later (text TEXT)")
        newer.execute("INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01')")
        for _ in range(2):
            assert "was made by a newer smartsub (it has 9999_later): update smartsub" in said(work)
        assert names() == ["bob"]


@pytest.mark.sqlite("a database is a file")
def test_what_another_connection_committed_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "seen.sqlite3"
    with closing(file_database(path)) as database, closing(apsw.Connection(str(path))) as other:
        before = database.data_version()
        add("bob")
        assert database.data_version() == before  # its own are none of another
        other.execute("INSERT INTO admin (name, role, created_at) VALUES ('ann', 'viewer', 0)")
        assert database.data_version() != before


@pytest.mark.sqlite("its driver")
@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (apsw.BusyError, "it is busy: another process has been writing for too long; try again"),
        (apsw.FullError, "it cannot grow, the disk is full: nothing was stored; make room and try again"),
        (apsw.ReadOnlyError, "it is read-only: check who owns it and its folder"),
        (apsw.CantOpenError, "it cannot be opened: check that it and its folder may be read and written"),
        (apsw.NotADBError, "it is not a database: name another file with --database"),
        (apsw.CorruptError, "it is damaged: stop using it and restore a backup"),
        (apsw.IOError, "it cannot be read or written, the disk reports an error: nothing was stored"),
        (apsw.SQLError, "it cannot be used: no such table"),
        (apsw.NoMemError, "it cannot be used: no such table"),
    ],
)
def test_every_error_of_the_engine_is_one_sentence(error: type[apsw.Error], sentence: str) -> None:
    def work() -> None:
        with available("it"), peewee.__exception_wrapper__:  # type: ignore[attr-defined]
            raise error("no such table")

    assert said(work) == sentence


def test_a_rule_of_the_schema_is_no_state_of_the_disk() -> None:
    with pytest.raises(peewee.IntegrityError), available():
        raise peewee.IntegrityError("UNIQUE constraint failed")


def test_a_query_outside_of_the_database_s_thread_is_refused() -> None:
    with closing(memory_database()):
        pass
    with pytest.raises(peewee.InterfaceError):
        names()


def test_a_read_that_nobody_wants_any_more_ends(database: SqliteDatabase) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    asked: list[int] = []

    def unwanted() -> bool:
        asked.append(1)
        return len(asked) > 3

    database.watch(unwanted, **({} if postgres.is_wanted() else {"steps": 100}))
    with pytest.raises(peewee.OperationalError) as interrupted:
        database.execute_sql(endless).fetchall()
    assert was_interrupted(interrupted.value)
    database.watch(None)
    assert names() == []
    assert not was_interrupted(ValueError())


def test_a_read_ends_when_its_time_is_over(database: SqliteDatabase) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    database.watch(lambda: False, until=perf_counter() + 0.05)
    with pytest.raises(peewee.OperationalError) as interrupted:
        database.execute_sql(endless).fetchall()
    assert was_interrupted(interrupted.value)
    database.watch(None)
    assert names() == []


@pytest.mark.sqlite("its driver")
def test_an_error_of_a_later_row_is_one_of_the_database_too(database: SqliteDatabase) -> None:
    """Rows are read when they are asked for: the second may fail where the first did not."""
    sql = (
        "SELECT CASE value WHEN 1 THEN 1 ELSE abs(-9223372036854775808) END FROM (SELECT 1 AS value UNION ALL SELECT 2)"
    )
    for fetch in (
        lambda cursor: cursor.fetchall(),
        lambda cursor: [cursor.fetchone(), cursor.fetchone()],
        lambda cursor: list(cursor),
    ):
        with pytest.raises(peewee.DatabaseError):
            fetch(database.execute_sql(sql))


DROPPED = """
import threading
from smartsub_tui.data.sqlite import SqliteDatabase

database, cursors = SqliteDatabase(":memory:", autoconnect=False), []
begun, over = threading.Semaphore(0), threading.Event()

def work():
    database.connect()
    cursors.extend(database.execute_sql("SELECT 1 UNION SELECT 2") for _ in range(60))
    for cursor in cursors:
        cursor.fetchone()
    del cursor
    count = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 20000) SELECT count(*) FROM n"
    while not over.is_set():
        begun.release()
        assert database.execute_sql(count).fetchall() == [(20000,)]
    database.close()

worker = threading.Thread(target=work)
worker.start()
begun.acquire()
while cursors:
    begun.acquire()
    cursors.pop()
over.set()
worker.join()
database.connect()
assert database.execute_sql("SELECT 1").fetchall() == [(1,)]
print("well")
"""


@pytest.mark.sqlite("its driver")
def test_cursors_may_be_dropped_by_another_thread_while_theirs_works() -> None:
    """As a collected traceback does it. In a process of its own, which would be gone otherwise."""
    ended = subprocess.run([sys.executable, "-c", DROPPED], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "well\n", "")


# Bindings and instants


@pytest.mark.sqlite("its driver")
def test_dates_are_stored_as_text_and_instants_as_whole_microseconds(database: SqliteDatabase) -> None:
    instant = datetime(2026, 11, 22, 9, 0, 0, 1, tzinfo=UTC)
    naive = datetime(2026, 1, 2, 3)  # noqa: DTZ001 - as the list of migrations holds them
    Admin.create(name="ann", role=Role.VIEWER, created_at=instant, disabled_at=None)
    ((stored,),) = database.execute_sql("SELECT created_at FROM admin").fetchall()
    assert stored == 1_795_338_000_000_001
    assert Admin.get().created_at == instant
    assert database.execute_sql("SELECT ?, ?", (date(2026, 1, 2), naive)).fetchone() == (
        "2026-01-02",
        "2026-01-02 03:00:00",
    )


@pytest.mark.sqlite("its driver")
def test_an_instant_that_would_compare_with_nothing_is_refused(database: SqliteDatabase) -> None:
    with pytest.raises(TypeError, match="did not pass through InstantField"):
        database.execute_sql("SELECT ?", (NOW,))
    with pytest.raises(TypeError, match="cannot bind object"):
        database.execute_sql("SELECT ?", (object(),))
    with pytest.raises(ValueError, match="without a time zone"):
        to_microseconds(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


@given(st.datetimes(timezones=st.timezones()))
def test_an_instant_comes_back_in_utc(instant: datetime) -> None:
    if datetime(2, 1, 1, tzinfo=UTC) < instant < datetime(9998, 1, 1, tzinfo=UTC):
        back = from_microseconds(to_microseconds(instant))
        assert back == instant.astimezone(UTC)
        assert back.tzinfo is UTC


def test_rows_written_many_at_once_are_converted_as_their_fields_do(database: SqliteDatabase) -> None:
    def people() -> Iterator[tuple[Any, ...]]:
        for name in ("ann", "bob"):
            yield name, Role.OPERATOR, NOW

    database.insert_rows([Admin.name, Admin.role, Admin.created_at], people())
    assert [(each.name, each.role, each.created_at) for each in Admin.select().order_by(Admin.name)] == [
        ("ann", Role.OPERATOR, NOW),
        ("bob", Role.OPERATOR, NOW),
    ]
    keys = {each.name: each.id for each in Admin.select()}
    database.update_rows([Admin.role, Admin.disabled_at, Admin.id], [(Role.AUDITOR, NOW, keys["bob"])])
    assert [(each.role, each.disabled_at) for each in Admin.select().order_by(Admin.name)] == [
        (Role.OPERATOR, None),
        (Role.AUDITOR, NOW),
    ]
    series = [("INV", 2025, 1), ("INV", 2026, 1), ("CN", 2026, 1)]
    database.insert_rows([Counter.series, Counter.year, Counter.last], series)
    database.update_rows([Counter.last, Counter.series, Counter.year], [(7, "INV", 2026)], keys=2)
    assert list(rows(Counter.select(Counter.last).order_by(Counter.last, Counter.series))) == [(1,), (1,), (7,)]
    assert Counter.get(last=7).year == 2026
    with pytest.raises(peewee.IntegrityError):
        database.insert_rows([Admin.name, Admin.role, Admin.created_at], people())
    with pytest.raises(ValueError, match="2 values for 3 columns"):
        database.insert_rows([Admin.name, Admin.role, Admin.created_at], [("x", Role.VIEWER)])
    with pytest.raises(ValueError, match="0 values for 1 columns"):
        database.insert_rows([Admin.name], [()])


def test_rows_in_their_thousands_are_as_peewee_has_them(database: SqliteDatabase) -> None:
    """They are held and converted a thousand at a time: none is lost between, and each keeps its place and values."""
    roles, count = list(Role), 2_003
    written = [
        (f"admin {number}", roles[number % 3], NOW + timedelta(seconds=number), NOW if number % 2 else None)
        for number in range(count)
    ]
    database.insert_rows([Admin.name, Admin.role, Admin.created_at, Admin.disabled_at], iter(written))
    stored = Admin.select(Admin.name, Admin.role, Admin.created_at, Admin.disabled_at).order_by(Admin.id)
    assert list(rows(stored)) == list(stored.tuples()) == written
    assert [row for limit in (0, 1, 999, 1000, 1001) for row in rows(stored.limit(limit))] == [
        row for limit in (0, 1, 999, 1000, 1001) for row in written[:limit]
    ]
    database.update_rows([Admin.disabled_at, Admin.name], ((None, name) for name, *_ in written))
    assert list(rows(Admin.select(Admin.disabled_at).distinct())) == [(None,)]


def test_rows_have_the_types_of_what_was_selected(database: SqliteDatabase) -> None:
    order = _order()
    query = (
        Order.select(
            Order.late, Order.office, Office.kind, Order.created_at, fn.MAX(Order.created_at), fn.COUNT(Order.id)
        )
        .join(Office)
        .group_by(Order.id, Office.id)
    )
    assert [[*map(repr, row)] for row in rows(query)] == [
        [*map(repr, (False, order.office.id, order.office.kind, order.created_at, order.created_at, 1))]
    ]


@pytest.mark.sqlite("its driver")
def test_an_error_of_a_later_row_ends_the_reading_of_rows(database: SqliteDatabase) -> None:
    database.insert_rows([Admin.name, Admin.role, Admin.created_at], ((f"{n}", Role.VIEWER, NOW) for n in range(1_500)))
    failing = Admin.select(Case(None, [(Admin.name == "1400", fn.ABS(-(2**63)))], 1)).order_by(Admin.id)
    with pytest.raises(peewee.DatabaseError):
        list(rows(failing))


@pytest.mark.sqlite("its own settings")
class TestPages:
    """A reader keeps few pages of the file in memory; a write of many rows has more while it lasts."""

    def test_a_write_has_more_pages_while_it_lasts(self, tmp_path: Path) -> None:
        database = open_database(url_of(tmp_path / "pages.sqlite3"), create=True)

        def kept() -> int:
            (pages,) = database.execute_sql("PRAGMA cache_size").fetchone()
            return int(pages)

        try:
            assert kept() == -500
            with database.writing():
                assert kept() == -8000
                with database.writing():
                    pass
                assert kept() == -8000
            assert kept() == -500
            with pytest.raises(ZeroDivisionError), database.writing():
                raise ZeroDivisionError
            assert kept() == -500
        finally:
            database.close()

    def test_what_ended_the_write_is_told_where_the_pages_cannot_be_put_back(
        self, database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = database.execute_sql

        def failing(sql: str, *rest: Any) -> Any:
            if sql == "PRAGMA cache_size = -500":
                raise peewee.OperationalError("disk I/O error")
            return run(sql, *rest)

        monkeypatch.setattr(database, "execute_sql", failing)
        with pytest.raises(ZeroDivisionError), database.writing():
            raise ZeroDivisionError
