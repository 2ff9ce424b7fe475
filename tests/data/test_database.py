"""The open database: transactions and what ends them, reading, and what rows are made of."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import apsw
import peewee
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peewee import Case, fn

from smartsub_tui.data import sqlite as engine
from smartsub_tui.data.database import (
    LostTransaction,
    available,
    open_database,
    rows,
    url_of,
    was_interrupted,
)
from smartsub_tui.data.fields import from_microseconds, to_microseconds
from smartsub_tui.data.models import (
    Admin,
    Counter,
    Office,
    Order,
)
from smartsub_tui.data.sqlite import SqliteDatabase
from smartsub_tui.data.vocabulary import (
    Role,
)
from tests import postgres
from tests.data.rows import an_order
from tests.support import NOW, file_database, memory_database, said


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
    order = an_order()
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
