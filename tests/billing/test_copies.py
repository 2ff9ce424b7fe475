"""Copies: all of one database in another, whole or no database at all, from a file to a server and back."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from smartsub_tui.billing import access, admins, audit_chain, backups, copies, credits, orders, payments
from smartsub_tui.billing.admins import Changed
from smartsub_tui.billing.copies import Copied
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.profiles import Profile
from smartsub_tui.billing.providers import hold
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data import copies as data
from smartsub_tui.data import models
from smartsub_tui.data.database import MIGRATIONS, Database, open_database, url_of
from smartsub_tui.data.models import (
    Admin,
    AdminKey,
    AdminLimit,
    AdminOffice,
    AdminPin,
    AuditEvent,
    Counter,
    LastState,
    Office,
    Order,
    Request,
    SavedView,
    User,
)
from smartsub_tui.data.sqlite import SqliteDatabase
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, Role
from smartsub_tui.errors import NotAllowed, Refused, Unavailable, WrongUsage
from tests import postgres
from tests.support import (
    NOW,
    add_office,
    add_order,
    add_payment,
    add_people,
    add_person,
    add_price,
    add_prices,
    as_role,
    dump,
    session_on,
    sqlite_database,
)

on_a_server = pytest.mark.postgres
WAYS: Final = [
    pytest.param("file", "file", id="file to file"),
    pytest.param("file", "server", id="file to server", marks=on_a_server),
    pytest.param("server", "file", id="server to file", marks=on_a_server),
    pytest.param("server", "server", id="server to server", marks=on_a_server),
]
ENGINES: Final = ["file", pytest.param("server", marks=on_a_server)]
SOON: Final = date(2026, 12, 22)


@pytest.fixture(autouse=True)
def _models_stay_bound() -> Iterator[None]:
    bound = models.proxy.obj
    yield
    models.proxy.initialize(bound)


def empty(engine: str, path: Path) -> str:
    """The URL of a database that is not there yet."""
    if engine == "file":
        return url_of(path)
    postgres.make_empty(postgres.name_at(path))
    return postgres.url(postgres.name_at(path))


def aside(url: str) -> Any:
    """A connection of another program."""
    if url.startswith("sqlite"):
        return apsw.Connection(url.removeprefix("sqlite:///"))
    return postgres.Other(url.partition("@/")[2].partition("?")[0])


def fill(database: Database) -> Session:
    """Something in every table, by the rules where they have one; and texts that are not easy."""
    session = session_on(database)
    add_prices()
    office = add_office("Zoë's 'House' \\ \t\n\r\x7f \U0001f600")
    add_people(office, "u1", "u2", "u3", "u4", expires_on=SOON)
    add_person(office, "u5", name="\\N", apartment="")
    first = orders.renew(session, office.name, ["u1", "u2"], Months(1), request_id="request 1").order.number
    payments.pay(session, first, Manual("transfer 17"), request_id="request 2")
    hold(database, session.providers, credits.credit(session, first, "moved out", users=["u1"]))
    orders.renew(session, office.name, ["u3"], Months(12))
    elm = add_office("Elm")
    late = add_order(elm, add_people(elm, "e1"), OrderStatus.FAILED)
    add_payment(late, PaymentState.SUCCEEDED)
    add_order(elm, [], OrderStatus.SUCCEED, history=True)
    ann = Admin.create(name="ann", role=Role.OPERATOR, created_at=NOW, disabled_at=NOW)
    AdminLimit.create(admin=ann, currency="EUR", amount=2**53 + 1)
    AdminOffice.create(admin=ann, office=elm)
    AdminKey.create(admin=ann, fingerprint="SHA256:x", public_key="ssh-ed25519 AAAA", created_at=NOW)
    AdminPin.create(admin=ann, hash="$argon2id$", wait_until=NOW, changed_at=NOW)
    SavedView.create(owner=None, name="all", name_folded="all", filter_text="", sort="-created")
    LastState.create(admin=ann, mode="payments", filter_text="status:failed", sort="-created")
    return session


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], Session]]:
    """Makes the database that is copied, on an engine."""
    made: list[Database] = []

    def fill_one(engine: str) -> Session:
        if engine == "file":
            made.append(sqlite_database(tmp_path / "source"))
        else:
            postgres.make(name := postgres.name_at(tmp_path / "source"))
            made.append(open_database(postgres.url(name)))
        return fill(made[0])

    yield fill_one
    for each in made:
        each.close()


def stored(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of a finished database, but for when its tables were made."""
    bound = models.proxy.obj
    with closing(open_database(url)) as database:
        found = dump(database)
    models.proxy.initialize(bound)
    del found["schema_migration"]
    return found


def rows_of(session: Session) -> dict[str, list[tuple[Any, ...]]]:
    found = dump(session.database)
    del found["schema_migration"]
    return found


def is_no_database(url: str) -> bool:
    """Whether whoever opens it is told that it is an unfinished copy; asked in every way of opening one."""
    bound = models.proxy.obj
    said = set()
    for create, read_only in ((False, False), (True, False), (False, True)):
        try:
            with pytest.raises(Unavailable) as refused:
                open_database(url, create=create, read_only=read_only).close()
        except BaseException:
            return False
        said.add(refused.value.message.partition(" is ")[2])
    models.proxy.initialize(bound)
    assert Unavailable.exit_code == 5
    return said == {
        "a copy that was not finished: give smartsub copy again, which goes on with it, or name another",
    }


class Stopped(Exception):
    """Ctrl+C, or whatever else ends a copy between two of its blocks."""


def after(steps: int) -> Callable[[int, int], None]:
    """Hears of progress, and stops the copy when it has heard so often."""
    heard = 0

    def told(done: int, total: int) -> None:
        nonlocal heard
        heard += 1
        assert 0 <= done <= total
        if heard > steps:
            raise Stopped

    return told


def until_comparing(session: Session, url: str) -> None:
    """Copy everything, and stop before any of it was compared."""
    rows = sum(map(len, rows_of(session).values()))

    def told(done: int, total: int) -> None:
        assert total == 3 * rows
        if done == 2 * rows:
            raise Stopped

    with pytest.raises(Stopped):
        copies.copy(session, url, told)


# What comes along


@pytest.mark.parametrize(("here", "there"), WAYS)
def test_everything_comes_along(make: Callable[[str], Session], tmp_path: Path, here: str, there: str) -> None:
    session = make(here)
    before = rows_of(session)
    assert all(before.values()), [table for table, found in before.items() if not found]
    url = empty(there, tmp_path / "target")
    made = copies.copy(session, url)
    assert made == Copied(
        source=session.database.name,
        target=made.target,
        rows=sum(map(len, before.values())),
        resumed=0,
        orders=len(before["orders"]),
        users=len(before["users"]),
        head=audit_chain.head(),
        missed=0,
    )
    assert stored(url) == before == rows_of(session)
    with closing(open_database(url)) as copied:
        assert made.target == copied.name
        other = session_on(copied)
        found = audit_chain.verify(other, made.head)
        assert (found.events, found.head) == (len(before["audit_event"]), made.head)
        # A request that was answered there is answered here, and done by neither again.
        repeated = orders.renew(other, Office.get_by_id(1).name, ["u1", "u2"], Months(1), request_id="request 1")
        assert repeated.order.number == before["orders"][0][1]
        assert Order.select().count() == made.orders
        # Ids, numbers and the trail go on behind what was copied.
        assert Admin.create(name="next", role=Role.VIEWER, created_at=NOW).id == len(before["admin"]) + 1
        open_order = Order.get(Order.status == OrderStatus.PROCESSING)
        payments.pay(other, open_order.number, Manual("transfer 18"))
        assert Counter.get(Counter.series == "INV").last == 2
        assert audit_chain.verify(other, made.head).events == found.events + 1
    models.proxy.initialize(session.database)
    with pytest.raises(Refused, match="is not empty, it is a database of smartsub already: name an empty one; nothing"):
        copies.copy(session, url)


TEXT: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
WHEN: Final = st.datetimes(min_value=NOW.replace(tzinfo=None, year=1900)).map(
    lambda each: each.replace(tzinfo=NOW.tzinfo)
)
DAY: Final = st.dates(min_value=date(1, 1, 1))
MONEY: Final = st.integers(0, 2**62)


@st.composite
def written(draw: st.DrawFn) -> Callable[[], None]:
    """What writes a random small database."""
    offices = draw(st.lists(TEXT, unique=True, max_size=3))
    people = [draw(st.lists(st.tuples(TEXT, TEXT, st.none() | TEXT, st.none() | DAY), max_size=4)) for _ in offices]
    statuses = [draw(st.lists(st.sampled_from(OrderStatus), max_size=3)) for _ in offices]
    history = draw(st.booleans())
    prices = draw(
        st.lists(st.tuples(MONEY, st.integers(0, 1_000_000), DAY), max_size=2, unique_by=lambda each: each[2])
    )
    names = draw(st.lists(st.tuples(TEXT, st.sampled_from(Role), WHEN, st.none() | WHEN), max_size=4, unique_by=first))
    events = draw(st.lists(st.tuples(WHEN, TEXT, TEXT, st.none() | TEXT, st.none() | TEXT), max_size=8))
    requests = draw(st.lists(st.tuples(TEXT, TEXT, WHEN), max_size=6, unique_by=first))
    counters = draw(
        st.lists(st.tuples(TEXT, st.integers(-9999, 9999), st.integers(1, 2**31 - 1)), unique_by=twice, max_size=6)
    )
    gap = draw(st.integers(0, 2**40))

    def write() -> None:
        for place, name in enumerate(offices):
            office = add_office(name)
            keyed = [
                add_person(office, f"{place} {number} {key}", name=known, apartment=apartment, expires_on=until)
                for number, (key, known, apartment, until) in enumerate(people[place])
            ]
            for status, each in zip(statuses[place], keyed, strict=False):
                made = add_order(office, [each], status, history=history and not status.is_open)
                add_payment(made, PaymentState.DECLINED, reference=name)
        for amount, rate, day in prices:
            add_price("app", "month", amount, tax_rate_ppm=rate, valid_from=day)  # type: ignore[arg-type]
        for number, (name, role, made_at, disabled_at) in enumerate(names):
            Admin.insert(
                id=10 + gap + number, name=name, role=role, created_at=made_at, disabled_at=disabled_at
            ).execute()
        for at, admin, action, subject, after in events:
            AuditEvent.insert(
                at=at, admin=admin, source="cli", action=action, subject=subject, after=after, hash=action
            ).execute()
        for id, text, at in requests:
            Request.insert(id=id, admin=text, command=text, arguments="", result=text, created_at=at).execute()
        for series, year, last in counters:
            Counter.insert(series=series, year=year, last=last).execute()

    return write


def first(values: tuple[Any, ...]) -> Any:
    return values[0]


def twice(values: tuple[Any, ...]) -> Any:
    return values[:2]


@pytest.mark.long
@pytest.mark.parametrize(("here", "there"), WAYS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(write=written(), block=st.integers(1, 5), stops=st.lists(st.integers(0, 60), max_size=3))
def test_whatever_is_stored_and_wherever_it_was_stopped_there_and_back_it_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
    here: str,
    there: str,
    write: Callable[[], None],
    block: int,
    stops: list[int],
) -> None:
    monkeypatch.setattr(data, "BLOCK", block)
    with TemporaryDirectory() as folder, postgres.dropping() if postgres.is_wanted() else TemporaryDirectory():
        one, two, three = (Path(folder) / name for name in ("one", "two", "three"))
        with closing(open_database(empty(here, one), create=True)) as source:
            session = session_on(source)
            write()
            before = rows_of(session)
            url = empty(there, two)
            for steps in stops:
                try:
                    copies.copy(session, url, after(steps))
                    break
                except Stopped:
                    assert _has_no_tables(url) or is_no_database(url)
            else:
                copies.copy(session, url)
            assert stored(url) == before
        with closing(open_database(url)) as source:
            copies.copy(replace(session, database=source), back := empty(here, three))
            assert stored(back) == before


def _has_no_tables(url: str) -> bool:
    if url.startswith("sqlite") and not Path(url.removeprefix("sqlite:///")).exists():
        return True
    with closing(aside(url)) as other:
        tables = "sqlite_master" if url.startswith("sqlite") else "pg_tables WHERE schemaname = 'public'"
        return bool(next(iter(other.execute(f"SELECT count(*) = 0 FROM {tables}")))[0])


# Stopped, killed, cut off


KILLED: Final = """
import os, signal, sys
from smartsub_tui.billing import copies
from smartsub_tui.billing.opening import open_session
from smartsub_tui.clock import SystemClock
from smartsub_tui.config import Settings
from smartsub_tui.data import copies as data
source, target, while_ = sys.argv[1:]
data.BLOCK = 2
stored = 0
def kill():
    os.kill(os.getpid(), signal.SIGKILL)
def told(done, total):
    if while_ == "reading" and done > total / 6 or while_ == "comparing" and done > total * 5 / 6:
        kill()
    if while_ == "between two blocks" and stored == 4:
        kill()
with data.open_target(target) as opened:
    engine = type(opened)
insert = engine.insert_stored
def counting(database, fields, rows):
    global stored
    insert(database, fields, rows)
    stored += 1
    if while_ == "within the transaction of a block" and stored == 4:
        kill()
engine.insert_stored = counting
copies.copy(open_session(source, "manager", "cli", SystemClock(), Settings(), read_only=True), target, told)
"""


@pytest.mark.long
@pytest.mark.parametrize("while_", ["reading", "between two blocks", "within the transaction of a block", "comparing"])
@pytest.mark.parametrize(("here", "there"), WAYS)
def test_killed_at_any_block_it_goes_on_where_it_was(
    make: Callable[[str], Session], tmp_path: Path, here: str, there: str, while_: str
) -> None:
    """Each process comes three or four blocks further than the one before, and is killed there."""
    session, url, killed = make(here), empty(there, tmp_path / "target"), 0
    before = rows_of(session)
    while True:
        words = (sys.executable, "-c", KILLED, _url(session), url, while_)
        ended = subprocess.run(words, capture_output=True, check=False)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
        assert _has_no_tables(url) if while_ == "reading" else is_no_database(url)
        killed += 1
        if while_ in ("reading", "comparing"):
            copies.copy(session, url)
            break
    assert killed == 1 if while_ in ("reading", "comparing") else killed > 5
    assert stored(url) == before


def test_what_was_there_already_is_not_stored_again(
    make: Callable[[str], Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, url = make("file"), url_of(tmp_path / "target")
    until_comparing(session, url)
    monkeypatch.setattr(SqliteDatabase, "insert_stored", None)
    made = copies.copy(session, url)
    assert made.resumed == made.rows == sum(map(len, stored(url).values()))


@on_a_server
def test_where_the_connection_is_cut_the_same_command_goes_on(
    make: Callable[[str], Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smartsub_tui.data.postgres import PostgresDatabase

    session, url = make("file"), empty("server", tmp_path / "target")
    insert = PostgresDatabase.insert_stored

    def cut(database: Any, *arguments: Any) -> None:
        insert(database, *arguments)
        (own,) = database.execute_sql("SELECT pg_backend_pid()").fetchone()
        with closing(aside(url)) as other:
            other.execute("SELECT pg_terminate_backend(?, 5000)", (own,))

    monkeypatch.setattr(PostgresDatabase, "insert_stored", cut)
    with pytest.raises(
        Unavailable, match=r"the connection to the copy .* was lost: copy again, it goes on where it was"
    ):
        copies.copy(session, url)
    monkeypatch.undo()
    assert is_no_database(url)
    execute = PostgresDatabase._execute_cursor

    def cut_before(database: Any, sql: str, *arguments: Any, **options: Any) -> Any:
        if sql.startswith("SELECT setval"):
            (own,) = execute(database, "SELECT pg_backend_pid()", None).fetchone()
            with closing(aside(url)) as other:
                other.execute("SELECT pg_terminate_backend(?, 5000)", (own,))
        return execute(database, sql, *arguments, **options)

    monkeypatch.setattr(PostgresDatabase, "_execute_cursor", cut_before)
    with pytest.raises(Unavailable, match=r"was lost: what was begun before is stored"):
        copies.copy(session, url)
    monkeypatch.undo()
    copies.copy(session, url)
    assert stored(url) == rows_of(session)


# Two moments


@pytest.mark.parametrize(("here", "there"), WAYS)
def test_it_is_of_one_moment_and_tells_of_what_came_later(
    make: Callable[[str], Session], tmp_path: Path, here: str, there: str
) -> None:
    session = make(here)
    before, head = rows_of(session), audit_chain.head()
    wrote = False

    def told(*_: int) -> None:
        nonlocal wrote
        if not wrote:
            wrote = True
            with closing(aside(_url(session))) as other:
                other.execute("UPDATE admin SET role = 'viewer' WHERE name = 'ann'")
                other.execute(
                    "INSERT INTO audit_event (id, at, admin, source, action, hash) VALUES (?, 0, 'ann', 'x', 'y', '')",
                    (len(before["audit_event"]) + 1,),
                )

    made = copies.copy(session, url := empty(there, tmp_path / "target"), told)
    assert (made.missed, made.head) == (1, head)
    assert stored(url) == before != rows_of(session)


def _url(session: Session) -> str:
    from smartsub_tui.data.database import path_of

    name = session.database.name
    return name if path_of(url_of(Path(name))) is None or name.startswith("postgresql") else url_of(Path(name))


@pytest.mark.parametrize(("here", "there"), WAYS)
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE last_state SET mode = 'dashboard'",  # no event tells of it
        "DELETE FROM admin_limit",
        "INSERT INTO request (id, admin, command, arguments, result, created_at) VALUES ('x', '', '', '', '', 0)",
    ],
)
def test_where_the_source_was_changed_since_two_moments_are_not_mixed(
    make: Callable[[str], Session], tmp_path: Path, here: str, there: str, change: str
) -> None:
    session, url = make(here), empty(there, tmp_path / "target")
    with pytest.raises(Stopped):
        copies.copy(session, url, after(30))
    with closing(aside(url)) as target, closing(aside(_url(session))) as source:
        source.execute(change)
        held = [list(target.execute(f"SELECT * FROM {table}")) for table in ("users", "schema_migration", "request")]
        with pytest.raises(
            Refused, match=r"an unfinished copy of another database, or .* was changed since it was begun"
        ):
            copies.copy(session, url)
        assert held == [
            list(target.execute(f"SELECT * FROM {table}")) for table in ("users", "schema_migration", "request")
        ]
    assert is_no_database(url)
    copies.copy(session, url, anew=True)
    assert stored(url) == rows_of(session)


@pytest.mark.parametrize("there", ENGINES)
@pytest.mark.parametrize("far", [False, True], ids=["and is stopped", "to its end"])
@pytest.mark.parametrize("while_", ["reading", "storing", "comparing"])
def test_two_that_copy_into_the_same_one_do_not_mix(
    make: Callable[[str], Session], tmp_path: Path, there: str, while_: str, far: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins anew while the first reads or stores, or behind its comparison."""
    session, url = make("file"), empty(there, tmp_path / "target")
    came = False

    def come() -> None:
        nonlocal came
        if came:
            return
        came = True
        bound = models.proxy.obj
        with closing(open_database(_url(session))) as beside:
            other = replace(session, database=beside)
            if far:
                copies.copy(other, url, anew=True)
            else:
                with pytest.raises(Stopped):
                    copies.copy(other, url, after(40), anew=True)
        models.proxy.initialize(bound)

    def told(done: int, total: int) -> None:
        if done > {"reading": total / 6, "storing": total / 2}.get(while_, total):
            come()

    finish = data.finish

    def late(*arguments: Any) -> None:
        come()
        finish(*arguments)

    monkeypatch.setattr(data, "finish", late if while_ == "comparing" else finish)
    says = "another smartsub is copying into|is a copy that was not finished|is not empty"
    with pytest.raises((Unavailable, Refused), match=says):
        copies.copy(session, url, told)
    if far:
        assert stored(url) == rows_of(session)
    else:
        assert is_no_database(url)
        copies.copy(session, url)
        assert stored(url) == rows_of(session)


@pytest.mark.parametrize("there", ENGINES)
@pytest.mark.parametrize("far", [False, True], ids=["and is stopped", "to its end"])
def test_who_is_overtaken_by_another_that_goes_on_with_the_same_copy_stops(
    make: Callable[[str], Session], tmp_path: Path, there: str, far: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the midst of a table, of which the first knows how far it was."""
    monkeypatch.setattr(data, "BLOCK", 2)
    session, url = make("file"), empty(there, tmp_path / "target")
    came = False

    store = data._store

    def overtaken(target: Database, model: Any, *arguments: Any) -> None:
        nonlocal came
        store(target, model, *arguments)
        if came or model is not User:
            return
        came = True
        bound = models.proxy.obj
        with closing(open_database(_url(session))) as beside:
            other = replace(session, database=beside)
            if far:
                copies.copy(other, url)
            else:
                until_comparing(other, url)
        models.proxy.initialize(bound)

    monkeypatch.setattr(data, "_store", overtaken)
    with pytest.raises(Unavailable, match="another smartsub is copying into"):
        copies.copy(session, url)
    if not far:
        assert is_no_database(url)
        copies.copy(session, url)
    assert stored(url) == rows_of(session)


# What is refused


@pytest.mark.parametrize("there", ENGINES)
def test_a_database_of_smartsub_or_of_something_else_stays_as_it_is(
    make: Callable[[str], Session], tmp_path: Path, there: str
) -> None:
    session, url = make("file"), empty(there, tmp_path / "target")
    bound = models.proxy.obj
    open_database(url, create=True).close()  # not even who made it is in it
    models.proxy.initialize(bound)
    for anew in (False, True):
        with pytest.raises(Refused, match="is not empty, it is a database of smartsub already"):
            copies.copy(session, url, anew=anew)
    assert not any(stored(url).values())
    assert models.proxy.obj is session.database
    other_url = empty(there, tmp_path / "other")
    with closing(aside(other_url)) as other:
        other.execute("CREATE TABLE mail (text TEXT)")
        with pytest.raises(Unavailable, match="is a database of something else: name another database"):
            copies.copy(session, other_url)
        assert list(other.execute("SELECT * FROM mail")) == []
    with pytest.raises(Refused, match="is not empty"):
        copies.copy(session, _url(session))


@pytest.mark.parametrize("there", ENGINES)
def test_what_another_version_began_is_not_gone_on_with(
    make: Callable[[str], Session], tmp_path: Path, there: str
) -> None:
    session, url = make("file"), empty(there, tmp_path / "target")
    until_comparing(session, url)
    with closing(aside(url)) as other:
        before, newest = sorted(each.stem for each in MIGRATIONS.glob("0*.py"))[-2:]
        other.execute(f"DELETE FROM schema_migration WHERE name = '{newest}'")
    with pytest.raises(Refused, match=rf"another version of smartsub began \(its schema is {before}\): --anew"):
        copies.copy(session, url)
    with closing(aside(url)) as other:
        other.execute("INSERT INTO schema_migration (name, applied) VALUES ('0009_later', '2030-01-01')")
    with pytest.raises(Refused, match=r"\(its schema is 0009_later\)"):
        copies.copy(session, url)
    copies.copy(session, url, anew=True)
    assert stored(url) == rows_of(session)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.AUDITOR])
def test_only_managers_may(make: Callable[[str], Session], tmp_path: Path, role: Role) -> None:
    with pytest.raises(NotAllowed, match="may not back up the database: ask a manager"):
        copies.copy(as_role(make("file"), role), url_of(tmp_path / "target"))
    assert not (tmp_path / "target").exists()


def test_who_works_for_some_offices_or_where_no_files_are_may_not(
    make: Callable[[str], Session], tmp_path: Path
) -> None:
    session, url = make("file"), url_of(tmp_path / "target")
    ben = admins.add(session, "ben", Role.MANAGER)
    admins.change(session, ben.name, Changed(offices=("Elm",)))
    access.see_as(session.database, "ben")
    with pytest.raises(NotAllowed, match="ben works for some offices only and may not back up the database"):
        copies.copy(replace(session, admin="ben"), url)
    session.database.see_only(None)
    for profile in (Profile.SSH, Profile.KIOSK):
        with pytest.raises(NotAllowed):
            copies.copy(replace(session, profile=profile), url)
    with pytest.raises(NotAllowed, match="nobody is no admin"):
        copies.copy(replace(session, admin="nobody"), url)
    with pytest.raises(WrongUsage, match="no URL of a database server") as refused:
        copies.copy(session, "postgresql://ann:sec@ret@h/d")
    assert "sec" not in refused.value.message
    assert not (tmp_path / "target").exists()


def test_a_backup_of_an_unfinished_copy_is_none(make: Callable[[str], Session], tmp_path: Path) -> None:
    url = url_of(tmp_path / "target")
    until_comparing(make("file"), url)
    with closing(aside(url)) as other:
        other.execute("PRAGMA journal_mode = delete")
    with pytest.raises(Unavailable, match="is a copy that was not finished"):
        backups.verify(tmp_path / "target")


@pytest.mark.parametrize("there", ENGINES)
def test_who_made_the_tables_meanwhile_keeps_them(make: Callable[[str], Session], tmp_path: Path, there: str) -> None:
    session, url = make("file"), empty(there, tmp_path / "target")

    def told(*_: int) -> None:
        if not made:
            bound = models.proxy.obj
            made.append(open_database(url, create=True))
            Admin.create(name="first", role=Role.MANAGER, created_at=NOW)
            models.proxy.initialize(bound)

    made: list[Database] = []
    with pytest.raises(Refused, match="is not empty"):
        copies.copy(session, url, told)
    made[0].close()
    assert [name for _, name, *_ in stored(url)["admin"]] == ["first"]


@pytest.mark.parametrize("there", ENGINES)
def test_who_waited_to_make_the_tables_while_a_copy_began_is_told(
    make: Callable[[str], Session], tmp_path: Path, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """smartsub init, which has found no tables, and waits for its turn to make them."""
    session, url = make("file"), empty(there, tmp_path / "target")
    with data.open_target(url) as opened:
        engine = type(opened)
    migrating = engine.migrating

    def late(database: Any) -> Any:
        monkeypatch.undo()
        bound = models.proxy.obj
        models.proxy.initialize(session.database)
        until_comparing(session, url)
        models.proxy.initialize(bound)
        return migrating(database)

    monkeypatch.setattr(engine, "migrating", late)
    with pytest.raises(Unavailable, match="is a copy that was not finished"):
        open_database(url, create=True)
    models.proxy.initialize(session.database)
    copies.copy(session, url)
    assert stored(url) == rows_of(session)


# What the target does not take, or has not


BAD: Final = {
    "a NUL": ("UPDATE users SET name = 'a' || char(0) || 'b' WHERE key = 'u2'", r"cannot contain NUL", "u2"),
    "too long for an index": (
        "UPDATE users SET name_folded = lower(hex(randomblob(2000))) WHERE key = 'u3'",
        "2,600 bytes",
        "u3",
    ),
    "no number of that size": ("UPDATE payment SET asked = 40000 WHERE id = 1", "out of range", None),
}


@on_a_server
@pytest.mark.parametrize("name", BAD)
def test_what_the_server_does_not_take_is_told_with_its_row(
    make: Callable[[str], Session], tmp_path: Path, name: str
) -> None:
    session, url = make("file"), empty("server", tmp_path / "target")
    sql, why, key = BAD[name]
    with closing(aside(_url(session))) as other:
        other.execute(sql)
    with pytest.raises(Refused, match=f"cannot be copied: .*{why}.*change it where it is copied from, then copy again"):
        copies.copy(session, url)
    with pytest.raises(Refused) as refused:
        copies.copy(session, url)
    row = f"row {User.get(User.key == key).id} of users ('{key}')" if key else "row 1 of payment cannot"
    assert refused.value.message.startswith(row)
    assert is_no_database(url)
    with closing(aside(_url(session))) as other:
        other.execute("UPDATE users SET name = 'short', name_folded = 'short'; UPDATE payment SET asked = 0")
    copies.copy(session, url, anew=True)
    assert stored(url) == rows_of(session)


@pytest.mark.parametrize("there", ENGINES)
@pytest.mark.parametrize("last", [False, True], ids=["in the middle", "alone behind a whole block"])
def test_a_row_that_names_one_that_comes_later_is_told(
    make: Callable[[str], Session], tmp_path: Path, there: str, last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make("file")
    monkeypatch.setattr(data, "BLOCK", 2 if last else 100)
    orders_ = [row.number for row in Order.select().order_by(Order.id)]
    with closing(aside(_url(session))) as other:
        other.execute("UPDATE orders SET made_from_id = ? WHERE id = 2", (len(orders_),))
    if there == "server" and not last:
        # It looks at the end of a block, in which both are.
        copies.copy(session, url := empty(there, tmp_path / "target"))
        assert stored(url) == rows_of(session)
        return
    with pytest.raises(Refused) as refused:
        copies.copy(session, empty(there, tmp_path / "target"))
    assert refused.value.message.startswith(f"row 2 of orders ('{orders_[1]}') cannot be copied: ")
    assert "has a rule against it" in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("place", [1, 3])
def test_text_that_is_none_is_told_with_its_row(make: Callable[[str], Session], tmp_path: Path, place: int) -> None:
    session = make("file")
    with closing(aside(_url(session))) as other:
        other.execute("UPDATE users SET email = CAST(x'61ff' AS TEXT) WHERE id = ?", (place,))
    which = "the first row" if place == 1 else "the row behind 2"
    with pytest.raises(Refused, match=f"{which} of users holds bytes that are no text: put it right"):
        copies.copy(session, url_of(tmp_path / "target"))


TAMPERED: Final = {
    "another value": ("UPDATE users SET email = 'x' WHERE key = 'u3'", "row 3 of users \\('u3'\\)"),
    "a row more": (
        "INSERT INTO counter (series, year, last) VALUES ('X', 2026, 1)",
        "row 'X', 2026 of counter",
    ),
    "a row less": ("DELETE FROM last_state", "row 2 of last_state"),
    "the last of a row's values": ("UPDATE orders SET version = 7 WHERE id = 4", "row 4 of orders"),
}


@pytest.mark.parametrize("there", ENGINES)
@pytest.mark.parametrize("name", TAMPERED)
@pytest.mark.parametrize("block", [2, 2000])
def test_every_row_is_compared(
    make: Callable[[str], Session],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: str,
    name: str,
    block: int,
) -> None:
    monkeypatch.setattr(data, "BLOCK", block)
    session, url = make("file"), empty(there, tmp_path / "target")
    sql, row = TAMPERED[name]
    rows, done_it = sum(map(len, rows_of(session).values())), False

    def told(done: int, _: int) -> None:
        nonlocal done_it
        if done == 2 * rows and not done_it:
            done_it = True
            with closing(aside(url)) as other:
                other.execute(sql)

    with pytest.raises(
        Unavailable, match=f"^{row}.* is not in .* as it is where it was copied from: the copy cannot be"
    ):
        copies.copy(session, url, told)
    assert is_no_database(url)
    copies.copy(session, url, anew=True)
    assert stored(url) == rows_of(session)


@on_a_server
def test_a_day_that_is_written_in_another_way_is_not_made_another_silently(
    make: Callable[[str], Session], tmp_path: Path
) -> None:
    session, url = make("file"), empty("server", tmp_path / "target")
    with closing(aside(_url(session))) as other:
        other.execute("UPDATE users SET removed_on = '2026-1-5' WHERE key = 'u2'")
    with pytest.raises(Unavailable, match="row 2 of users"):
        copies.copy(session, url)
    assert is_no_database(url)


def test_a_target_that_is_damaged_is_said_so(
    make: Callable[[str], Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, url = make("file"), url_of(tmp_path / "target")
    monkeypatch.setattr(SqliteDatabase, "whole_check", lambda _: "page 7")
    with pytest.raises(Unavailable, match=r"the copy .* is damaged \(page 7\): --anew throws it away"):
        copies.copy(session, url)
    assert is_no_database(url)
