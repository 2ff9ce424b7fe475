"""What only PostgreSQL has: the URL of a server, who writes in turn, what is hidden by its views, and what it says."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from time import perf_counter
from typing import Any

import peewee
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartsub_tui.data import models, server_url
from smartsub_tui.data.database import (
    Database,
    LostTransaction,
    UncertainCommit,
    available,
    open_database,
    path_of,
    rows,
    shown_url,
    was_interrupted,
)
from smartsub_tui.data.models import Admin, AdminOffice, AuditEvent, Office, Order, User
from smartsub_tui.data.postgres_hosts import Passes, unreachable
from smartsub_tui.data.text import folded
from smartsub_tui.data.vocabulary import OrderStatus, Role
from smartsub_tui.errors import Unavailable, WrongUsage
from tests import postgres
from tests.support import NOW, add_office, add_order, add_people, aside, at_once, file_database, impatient, url_at

on_a_server = pytest.mark.postgres


# URLs, on any engine


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgresql://h/d", ("", None, ("h",), ("",), "d", {})),
        ("postgres://ann:s%40%2Ft@h.example:5433/a%20b", ("ann", "s@/t", ("h.example",), ("5433",), "a b", {})),
        ("postgresql://ann@[::1]:5/d", ("ann", None, ("::1",), ("5",), "d", {})),
        (
            "postgresql://a:p@h1:1,h2/d?sslmode=require&target_session_attrs=read-write",
            ("a", "p", ("h1", "h2"), ("1", ""), "d", {"sslmode": "require", "target_session_attrs": "read-write"}),
        ),
        ("postgresql://a@/d?host=/run/x&port=7", ("a", None, ("/run/x",), ("7",), "d", {})),
        ("postgresql://a@/d?host=/run/x,/run/y&port=7,8", ("a", None, ("/run/x", "/run/y"), ("7", "8"), "d", {})),
        ("postgresql://a@/d?host=h1,h2&port=7", ("a", None, ("h1", "h2"), ("7", "7"), "d", {})),
    ],
)
def test_a_url_is_taken_apart(url: str, parts: tuple[Any, ...]) -> None:
    assert server_url.parse(url) == server_url.ServerUrl(*parts)
    assert path_of(url) is None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://ann:sec@ret@h/d", "no URL of a database server"),
        ("postgresql://ann:sec/ret@h/d", "no URL of a database server"),
        ("postgresql://ann:secret@h", "names no database"),
        ("postgresql://ann:secret@h:0/d", "port"),
        ("postgresql://ann:secret@h:65536/d", "port"),
        ("postgresql://ann:secret@/d?host=h&port=secret", "port"),
        ("postgresql://ann:secret@/d?host=h1,h2,h3&port=1,2", "not as many ports as hosts"),
        ("postgresql://h/d?password=secret", "'password' is no option"),
        ("postgresql://ann:secret@h/d?x", "KEY=VALUE"),
    ],
)
def test_what_is_none_is_refused_without_a_word_of_the_password(url: str, says: str) -> None:
    with pytest.raises(WrongUsage, match=says) as refused:
        open_database(url)
    assert "sec" not in refused.value.message
    assert "sec" not in shown_url(url)


@given(st.text(min_size=1), st.text(alphabet="abc", min_size=1))
def test_no_password_is_shown(password: str, name: str) -> None:
    from urllib.parse import quote

    parts = server_url.parse(f"postgresql://ann:{quote(password, safe='', errors='replace')}@host/{name}")
    assert parts.shown == f"postgresql://ann@host/{name}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann@h1:1,h2/d",
        "postgresql://ann@/d?host=/run/x,/run/y&port=7,8",
        "postgresql://ann@/d?host=/run/x",
        "postgresql://h/d",
    ],
)
def test_what_is_shown_of_a_url_is_a_url_of_the_same_hosts(url: str) -> None:
    parts = server_url.parse(url.replace("ann@", "ann:secret@"))
    assert parts.shown == url
    assert [each.hosts + each.ports for each in parts.each] == [*zip(parts.hosts, parts.ports, strict=True)]


def test_of_several_hosts_the_most_hopeful_says_whether_to_wait_and_each_is_told() -> None:
    url = server_url.parse("postgresql://ann:secret@h1,h2:2,h3/d")
    gone, wrong, follows = "connection refused", "password authentication failed: secret", "session is read-only"
    says, passes = unreachable(url, {0: gone, 1: wrong, 2: follows})
    assert says.split("; and ") == [
        "nothing answers at h1: look whether PostgreSQL runs there and lets this machine in, and at the URL",
        "postgresql://ann@h2:2/d does not take the password of ann: write the right one into ~/.pgpass or"
        " SMARTSUB_DATABASE",
        "postgresql://ann@h3/d takes no changes, as a standby does not: wait until it does, or name the server that"
        " does",
    ]
    assert passes is Passes.SOON
    says, passes = unreachable(url, {0: gone, 1: wrong, 2: gone})
    assert says.startswith("nothing answers at h1, h3: look")
    assert passes is Passes.PERHAPS
    assert unreachable(url, dict.fromkeys(range(3), wrong))[1] is Passes.NEVER
    assert unreachable(url, {0: "FATAL: secret is odd"}) == (
        "postgresql://ann@h1/d cannot be reached: ... is odd",
        Passes.PERHAPS,
    )


# Opening

WITHOUT = """
import sys
from smartsub_tui.data.database import open_database
with_a_file = open_database("sqlite:///:memory:", create=True)
print(sorted(name for name in sys.modules if name.startswith("psycopg") and sys.modules[name] is not None))
"""

NO_DRIVER = """
import sys

class Finder:
    def find_spec(name, *_):
        if name == "psycopg":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Finder)
sys.argv = ["smartsub", "--database", "postgresql://h/d", "orders"]
from smartsub_tui.cli import main
main()
"""


def test_a_database_in_a_file_brings_no_driver_of_servers() -> None:
    """It would take a third of a second of every start."""
    ended = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout == "[]\n"


def test_without_the_driver_it_is_said_what_to_install() -> None:
    """In a process of its own, which finds no package of that name."""
    ended = subprocess.run([sys.executable, "-c", NO_DRIVER], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (5, "")
    assert "needs the package psycopg, which is not installed: install smartsub-tui[postgres]" in ended.stderr


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shared"


def said(call: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(Unavailable) as refused:
        call(*arguments, **options)
    assert "\n" not in refused.value.message
    return refused.value.message


@on_a_server
def test_the_tables_are_made_where_that_is_asked_for(path: Path) -> None:
    postgres.make_empty(postgres.name_at(path))
    assert "has no tables of smartsub: smartsub init makes them" in said(open_database, url_at(path))
    with closing(open_database(url_at(path), create=True)) as database:
        assert database.made
    with closing(open_database(url_at(path), create=True)) as database:
        assert not database.made


def _tables(url: str) -> str:
    with closing(open_database(url, create=True)) as database:
        return f"{len(database.get_tables())} {database.schema()}"


@on_a_server
def test_eight_processes_that_make_the_same_tables_all_find_them_made(path: Path) -> None:
    postgres.make_empty(postgres.name_at(path))
    assert len(set(at_once(_tables, [(url_at(path),)] * 8))) == 1


@on_a_server
def test_another_program_s_tables_and_a_newer_version_s_are_left_alone(path: Path) -> None:
    postgres.make_empty(postgres.name_at(path))
    with closing(aside(path)) as other:
        other.execute("CREATE TABLE mail (text TEXT)")
    assert "is a database of something else" in said(open_database, url_at(path), create=True)
    with closing(aside(path)) as other:
        other.execute("DROP TABLE mail")
    with closing(open_database(url_at(path), create=True)) as database, closing(aside(path)) as other:
        other.execute("INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01')")

        def work() -> None:
            with available(), database.writing():
                Admin.create(name="ann", role=Role.VIEWER, created_at=NOW)

        for each in (work, lambda: open_database(url_at(path))):
            assert "was made by a newer smartsub (it has 9999_later): update smartsub" in said(each)
        models.proxy.initialize(database)
        assert not Admin.select().exists()


@on_a_server
def test_where_no_connection_comes_about_one_sentence_says_what_to_do() -> None:
    url = postgres.url("nowhere", postgres.OWNER)
    assert said(open_database, url).startswith("the server has no database nowhere: have it made")
    assert "does not know stranger" in said(open_database, url.replace("smartsub@", "stranger:secret@"))
    assert "nothing answers at /nowhere" in said(open_database, "postgresql://a:secret@/d?host=/nowhere")
    assert said(open_database, "postgresql://a:secret@127.0.0.1:1/d").startswith("nothing answers at 127.0.0.1:1: look")


@on_a_server
def test_another_encoding_is_refused(path: Path) -> None:
    postgres.make_empty(postgres.name_at(path), "ENCODING 'SQL_ASCII'")
    assert "is of the encoding SQL_ASCII" in said(open_database, url_at(path), create=True)


@on_a_server
def test_rights_that_are_missing_are_named(path: Path) -> None:
    postgres.make_empty(postgres.name_at(path))
    with closing(aside(path)) as other:
        other.execute("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN")
    url = url_at(path).replace("smartsub@", "guest@")
    assert "does not give this user the rights that smartsub needs (permission denied" in said(
        open_database, url, create=True
    )


# Transactions


@pytest.fixture
def shared(path: Path) -> Iterator[Database]:
    with closing(file_database(path)) as database:
        yield database


def add(name: str) -> None:
    Admin.create(name=name, role=Role.VIEWER, created_at=NOW)


def names() -> list[str]:
    return sorted(name for (name,) in rows(Admin.select(Admin.name)))


@on_a_server
def test_another_writer_is_waited_for_and_then_given_up(
    shared: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)

    def write(*, wait: bool = True) -> None:
        with available(), shared.writing() if wait else shared.writing_at_once():
            add("ann")

    with closing(aside(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "is busy: another process has been writing for too long" in said(write)
        assert "is busy: another process is writing" in said(write, wait=False)
        other.execute("ROLLBACK")
    write(wait=False)
    assert names() == ["ann"]


@on_a_server
def test_a_transaction_in_which_a_statement_failed_stores_nothing_and_says_so(shared: Database) -> None:
    """The server itself would answer its COMMIT with a rollback, and call that well."""
    called: list[str] = []
    with pytest.raises(LostTransaction), shared.writing():  # noqa: PT012 - the end of the block raises
        add("ann")
        shared.after_commit(lambda: called.append("stored"))
        with pytest.raises(peewee.IntegrityError):
            add("ann")
    assert names() == called == []
    with shared.writing():
        add("bob")
    assert names() == ["bob"]


@on_a_server
def test_a_connection_that_is_cut_is_told_and_at_the_commit_it_is_not_known_what_became_of_it(
    shared: Database, path: Path
) -> None:
    def cut() -> None:
        (own,) = shared.execute_sql("SELECT pg_backend_pid()").fetchone()
        with closing(aside(path)) as other:
            other.execute("SELECT pg_terminate_backend(?, 5000)", (own,))

    def cut_before_the_commit() -> None:
        with available(), shared.writing():
            add("ann")
            cut()

    assert "whether it was stored is not known" in said(cut_before_the_commit)
    shared.close()
    shared.connect()

    def cut_before_a_statement() -> None:
        with available(), shared.writing():
            cut()
            add("ann")

    assert "the connection to the database was lost: nothing was stored" in said(cut_before_a_statement)
    shared.close()
    shared.connect()
    assert names() == []
    assert issubclass(UncertainCommit, peewee.OperationalError)


@on_a_server
def test_what_is_read_together_is_of_one_moment(shared: Database, path: Path) -> None:
    with closing(aside(path)) as other, shared.reading():
        assert names() == []
        other.execute("INSERT INTO admin (name, role, created_at) VALUES ('ann', 'viewer', 0)")
        assert names() == []
    assert names() == ["ann"]


@on_a_server
def test_what_another_connection_committed_is_seen(shared: Database, path: Path) -> None:
    before = shared.data_version()  # other databases of the server change it, too: that it stays cannot be asked
    with closing(aside(path)) as other:
        other.execute("BEGIN; INSERT INTO admin (name, role, created_at) VALUES ('ann', 'viewer', 0)")
        begun = shared.data_version()
        other.execute("COMMIT")
        assert shared.data_version() not in (before, begun)


@on_a_server
def test_what_others_write_is_heard_without_asking_and_what_was_written_here_is_not(
    shared: Database, path: Path
) -> None:
    woken, wake = socket.socketpair()
    late = threading.Timer(60, wake.sendall, [b"." * 100])  # what is not heard by then fails, and ends
    late.daemon = True
    late.start()
    with woken, wake, closing(open_database(url_at(path))) as other, ExitStack() as stack:
        stack.callback(late.cancel)
        assert shared.listen()
        assert shared.hear(woken.fileno())  # what was written before it listened

        def write(database: Database, name: str) -> None:
            models.proxy.initialize(database)
            with database.writing():
                add(name)

        write(other, "ann")
        assert shared.hear(woken.fileno())
        write(shared, "bob")
        with pytest.raises(KeyError), other.writing():
            raise KeyError
        wake.send(b"..")
        assert not shared.hear(woken.fileno())
        assert select.select([woken], [], [], 0)[0] == []
        # While something was asked, too; by a transaction that began to read; once, however many there were.
        with other.reading():
            write(other, "cid")
        write(other, "dan")
        models.proxy.initialize(shared)
        assert names() == ["ann", "bob", "cid", "dan"]
        wake.send(b".")
        while shared.hear(woken.fileno()):
            pass
        # Of a connection that was lost, and of what was missed meanwhile.
        (own,) = shared.execute_sql("SELECT pg_backend_pid()").fetchone()
        other.execute_sql("SELECT pg_terminate_backend(%s, 5000)", (own,))
        assert shared.hear(woken.fileno())
        write(other, "eve")
        models.proxy.initialize(shared)
        assert names() == ["ann", "bob", "cid", "dan", "eve"]
        assert shared.hear(woken.fileno())
        write(other, "fay")
        assert shared.hear(woken.fileno())


@on_a_server
@pytest.mark.parametrize("admin", [None, 0])
def test_the_server_itself_ends_a_statement_that_was_given_a_time(
    shared: Database, admin: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To tell it so takes another connection, and as long again. Also for who works for some offices."""
    shared.see_only(admin)
    monkeypatch.setattr("smartsub_tui.data.postgres_connection._BY_ITSELF_SECONDS", 3600.0)  # however busy it is
    monkeypatch.setattr(type(shared.connection()), "cancel_safe", lambda *_, **__: pytest.fail("it was told"))
    shared.watch(lambda: False, until=perf_counter() + 0.05)
    with pytest.raises(peewee.OperationalError) as ended:
        shared.execute_sql("SELECT pg_sleep(60)")
    assert was_interrupted(ended.value)
    with pytest.raises(peewee.OperationalError) as late:
        shared.execute_sql("SELECT 1")
    assert was_interrupted(late.value)
    shared.watch(lambda: False, until=perf_counter() + 60)
    (left,) = shared.execute_sql("SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'").fetchone()
    assert 0 < left <= 60_000
    shared.watch(None)
    assert shared.execute_sql("SELECT current_setting('statement_timeout')").fetchone() == ("0",)


@on_a_server
def test_how_far_the_server_is_its_quickest_answer_to_a_statement_says(shared: Database) -> None:
    """What is written by COPY, or by no statement at all, waits for no answer."""
    connection = shared.connection()
    with shared.atomic() as written:
        shared.execute_sql("SELECT 1")
        connection.round_trip = 60.0
        shared._copy_in(
            "COPY counter (series, year, last) FROM STDIN", [(f"series {row}", 2026, row) for row in range(1, 99)]
        )
        assert shared.round_trip == 60.0
        written.rollback()
    shared.execute_sql("SELECT 1")
    assert 0 < shared.round_trip < 60.0


@on_a_server
def test_what_has_no_time_of_its_own_is_ended_when_it_is_over(
    shared: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smartsub_tui.data.postgres_connection._BY_ITSELF_SECONDS", 3600.0)  # which it has not
    shared.watch(lambda: False, until=perf_counter() + 0.05)
    with pytest.raises(peewee.OperationalError) as ended, shared.reading():
        shared.execute_sql("SELECT pg_sleep(60)")
    assert was_interrupted(ended.value)
    shared.watch(None)
    assert names() == []


@on_a_server
def test_a_statement_that_nobody_wants_ends_and_the_connection_goes_on(shared: Database) -> None:
    end = time.monotonic() + 0.1
    shared.watch(lambda: time.monotonic() > end)
    with pytest.raises(peewee.OperationalError) as ended:
        shared.execute_sql("SELECT pg_sleep(60)")
    assert was_interrupted(ended.value)
    shared.watch(None)
    assert names() == []
    with pytest.raises(peewee.OperationalError) as late:
        shared.execute_sql("SET statement_timeout = 1; SELECT pg_sleep(60)")
    assert not was_interrupted(late.value)


@on_a_server
def test_ids_of_the_trail_have_no_gaps_and_those_of_other_tables_may(shared: Database) -> None:
    def event() -> int:
        return int(AuditEvent.create(at=NOW, admin="a", source="cli", action="x", hash="").id)

    with pytest.raises(KeyError), shared.writing():  # noqa: PT012
        assert event() == 1
        raise KeyError
    assert [event(), event()] == [1, 2]


# What is hidden


@pytest.fixture
def two(shared: Database) -> Database:
    """Two offices with an order each; ann works for one of them."""
    for name in ("Oak", "Elm"):
        office = add_office(name)
        add_order(office, add_people(office, f"u-{name}"), OrderStatus.PROCESSING, number=f"n-{name}")
    ann = Admin.create(name="ann", role=Role.OPERATOR, created_at=NOW)
    AdminOffice.create(admin=ann, office=Office.get(Office.name == "Oak"))
    return shared


def seen() -> tuple[list[str], list[str]]:
    return [row.number for row in Order.select().order_by(Order.number)], [row.key for row in User.select()]


@on_a_server
def test_only_the_offices_of_an_admin_are_there_in_and_out_of_transactions(two: Database) -> None:
    ann, mine, all_ = Admin.get().id, (["n-Oak"], ["u-Oak"]), ["n-Elm", "n-Oak"]
    two.see_only(ann)
    assert seen() == mine
    with two.reading():
        assert seen() == mine
        with two.seeing_all():
            assert seen()[0] == all_
        assert seen() == mine
    with two.writing():
        assert seen() == mine
        with pytest.raises(KeyError), two.writing(), two.seeing_all():  # noqa: PT012 - a savepoint that is taken back
            assert seen()[0] == all_
            raise KeyError
        assert seen() == mine
    two.see_only(None)
    assert seen()[0] == all_
    two.see_only(0)
    assert seen() == ([], [])


@on_a_server
def test_what_is_written_goes_to_the_tables_by_the_ids_of_what_was_seen(two: Database) -> None:
    two.see_only(Admin.get().id)
    with two.writing():
        order = Order.get()
        order.po_number = "PO 7"
        order.save()
        Order.update(version=Order.version + 1).where(Order.number << Order.select(Order.number)).execute()
        two.update_rows([Order.apartments, Order.id], [(9, order.id)])
    two.see_only(None)
    changed = [(row.number, row.po_number, row.version, row.apartments) for row in Order.select().order_by(Order.id)]
    assert changed == [("n-Oak", "PO 7", 2, 9), ("n-Elm", None, 1, 1)]


@on_a_server
def test_nothing_of_it_stays_in_the_session(two: Database) -> None:
    """Behind PgBouncer the next statement of another program may run in it."""
    two.see_only(Admin.get().id)
    two.only_read()
    seen()
    connection = two.connection()
    left = connection.execute(
        "SELECT current_setting('search_path'), current_setting('smartsub.admin', true),"
        " current_setting('transaction_read_only')"
    ).fetchone()
    assert left == ('"$user", public', "", "off")


# Text


@on_a_server
def test_text_sorts_by_code_point_whatever_the_database_s_locale(shared: Database) -> None:
    """The cluster of the tests has no other locale to try: each column says it by itself."""
    others = shared.execute_sql(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
    ).fetchall()
    assert others == []
    texts = ["Z", "a", "É", "_", "e", "ß", "\U0001f600", "中"]
    for text in texts:
        Office.create(name=text, name_folded=folded(text), kind="office", timezone="UTC", currency="EUR")
    assert [name for (name,) in rows(Office.select(Office.name).order_by(Office.name))] == sorted(texts)


def _events(url: str, name: str) -> str:
    with closing(open_database(url)) as database:
        for _ in range(20):
            with database.writing():
                newest = AuditEvent.select(peewee.fn.MAX(AuditEvent.id)).scalar() or 0
                AuditEvent.insert(at=NOW, admin=name, source="cli", action=f"{newest}", hash="").execute()
    return name


@on_a_server
def test_processes_that_write_take_turns(shared: Database, path: Path) -> None:
    assert at_once(_events, [(url_at(path), name) for name in "abc"]) == ["a", "b", "c"]
    assert [row.action for row in AuditEvent.select().order_by(AuditEvent.id)] == [f"{n}" for n in range(60)]


# What a server may have or not


@pytest.fixture
def owned(shared: Database, path: Path) -> Iterator[Database]:
    """The same database, by the role that owns the tables."""
    with closing(open_database(postgres.url(postgres.name_at(path), postgres.OWNER))) as database:
        yield database


NOT_HERE = """
CREATE FUNCTION not_here() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not on this server'; END $$;
CREATE EVENT TRIGGER not_here ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION not_here()
"""


@on_a_server
def test_how_a_part_of_a_text_is_found_is_told_and_mended_by_migrate(owned: Database) -> None:
    def search() -> str:
        return owned.set_up()["search"]()

    if "the server has no pg_trgm" in search():
        owned.complete()
        assert "the server has no pg_trgm" in search()
        pytest.skip("this server has no pg_trgm")
    assert search() == "a part of a number or name by its letters (pg_trgm)"
    owned.execute_sql("DROP INDEX orders_parts")
    assert search().endswith("smartsub migrate makes an index")
    owned.execute_sql("DROP EXTENSION pg_trgm CASCADE")
    owned.execute_sql(NOT_HERE)
    owned.complete()
    assert "let CREATE EXTENSION pg_trgm be said" in search()
    owned.execute_sql("DROP EVENT TRIGGER not_here")
    owned.complete()
    assert search() == "a part of a number or name by its letters (pg_trgm)"
    owned.complete()
