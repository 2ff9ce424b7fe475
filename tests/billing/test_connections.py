"""Connections that are lost: what was to be written is written once, whatever was cut, and what is not known is told.

SMARTSUB_CUTS says how many connections are cut before a COMMIT, and how many behind one: in continuous integration 200.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any, Final

import peewee
import pytest
from msgspec.structs import replace

from smartsub_tui.billing import audit_chain, bulk, links, orders, payments, sweep
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.changes import Change, perform
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.cli.invocation import Waiting
from smartsub_tui.data import postgres as engine
from smartsub_tui.data.database import Database, Patience, open_database, was_interrupted
from smartsub_tui.data.models import Admin, AuditEvent, Invoice, Order, Payment, Request
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, Role, Trigger
from smartsub_tui.errors import NotAllowed, Refused, Unavailable
from tests import postgres
from tests.billing.paying import held, paying_by, swept
from tests.providers import running
from tests.proxy import Cut, Proxy
from tests.support import (
    FixedClock,
    add_office,
    add_people,
    add_prices,
    aside,
    expiry,
    file_database,
    impatient,
    session_on,
)

pytestmark = pytest.mark.postgres

CUTS: Final = int(os.environ.get("SMARTSUB_CUTS", "10"))
SOON, LATER = date(2026, 12, 22), date(2027, 1, 22)


class Asked(Patience):
    """Waits until it was asked so often, then does something, and goes on or not."""

    def __init__(self, do: Callable[[], object] = lambda: None, *, times: int = 3, then: bool = True) -> None:
        self._do, self._times, self._then = do, times, then
        self.asked = self.over = 0

    def goes_on(self, away: float) -> bool:
        assert away < 60
        self.asked += 1
        if self.asked == self._times:
            self._do()
        return self._then or self.asked < self._times

    def is_over(self) -> None:
        self.over += 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with an office of three people."""
    path = tmp_path / "shared"
    with closing(file_database(path)) as database:
        session_on(database)
        add_prices()
        add_people(add_office(), "u1", "u2", "u3", expires_on=SOON)
    return path


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as proxy:
        yield proxy


@pytest.fixture
def database(proxy: Proxy, path: Path) -> Iterator[Database]:
    with closing(open_database(proxy.url(postgres.name_at(path)))) as database:
        yield database


@pytest.fixture
def session(database: Database) -> Session:
    return session_on(database)


def renew(session: Session, *keys: str) -> str:
    return orders.renew(session, "Oak House", keys or ("u1", "u2", "u3"), Months(1)).order.number


def pay(session: Session, number: str, request_id: str | None = None) -> str:
    paid = payments.pay(session, number, Manual(f"R-{number}"), request_id=request_id)
    assert paid.order.invoice is not None
    return paid.order.invoice.number


def stored() -> tuple[list[str], list[str], list[str]]:
    """What is there: actions of the trail, references of payments, request ids."""
    return (
        [row.action for row in AuditEvent.select().order_by(AuditEvent.id)],
        [row.reference or "" for row in Payment.select().order_by(Payment.id)],
        sorted(row.id for row in Request.select()),
    )


def test_of_connections_that_are_cut_around_the_commit_nothing_is_lost_and_nothing_done_twice(
    proxy: Proxy, session: Session
) -> None:
    keys = [f"p{place:03}" for place in range(2 * CUTS)]
    add_people(add_office("Elm House"), *keys, expires_on=SOON)
    cuts = [Cut.BEFORE, Cut.AFTER] * CUTS
    random.Random(CUTS).shuffle(cuts)
    numbers = [orders.renew(session, "Elm House", [key], Months(1)).order.number for key in keys]
    answers, connected = [], proxy.connected
    for number, cut in zip(numbers, cuts, strict=True):
        proxy.plan([cut])
        answers.append(pay(session, number, f"pay {number}"))
    assert proxy.connected == connected + 2 * CUTS
    assert proxy.done.count(Cut.BEFORE) == proxy.done.count(Cut.AFTER) == CUTS
    assert answers == [f"INV-2026-{place:06}" for place in range(1, 2 * CUTS + 1)]
    assert [(row.number, row.order.number) for row in Invoice.select().order_by(Invoice.id)] == list(
        zip(answers, numbers, strict=True)
    )
    assert {row.status for row in Order.select()} == {OrderStatus.SUCCEED}
    assert {expiry(key) for key in keys} == {LATER}
    assert stored() == (
        ["create"] * (2 * CUTS) + ["pay"] * (2 * CUTS),
        [f"R-{number}" for number in numbers],
        sorted(f"pay {number}" for number in numbers),
    )
    assert audit_chain.verify(session).events == 4 * CUTS


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_without_a_request_id_the_server_says_what_came_of_the_commit_that_was_cut(
    proxy: Proxy, session: Session, cut: Cut
) -> None:
    number = renew(session)
    proxy.plan([cut])
    assert pay(session, number) == "INV-2026-000001"
    assert stored() == (["create", "pay"], [f"R-{number}"], [])
    with pytest.raises(Refused, match="already paid"):
        pay(session, number)


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_what_was_read_is_told_whatever_becomes_of_the_end_of_its_transaction(
    proxy: Proxy, session: Session, cut: Cut
) -> None:
    """Nothing was written, and nobody is told that it is not known whether it was stored."""
    number = renew(session)
    session.database.patience = Asked(times=1, then=False)
    proxy.plan([cut])
    assert read_order(number, session.clock.now(), session.settings).number == number
    assert proxy.done[-1] is cut


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing by which a transaction could be known again: it left no event."""
    monkeypatch.setattr(engine.PostgresDatabase, "is_known_by", lambda *_: None)


@pytest.mark.usefixtures("unknown")
def test_what_left_no_event_may_be_stored_or_not(proxy: Proxy, session: Session) -> None:
    number = renew(session)
    proxy.plan([Cut.AFTER])
    with pytest.raises(Unavailable, match="whether it was stored is not known"):
        pay(session, number)
    with pytest.raises(Refused, match="already paid"):
        pay(session, number)


def cutting(proxy: Proxy, work: Callable[[], Any], *, times: int = 1) -> Callable[[Change], int]:
    """A change whose connection is cut between two of its statements, the first few times; how often it was begun."""
    begun = 0

    def change(change: Change) -> int:
        nonlocal begun
        begun += 1
        change.record("first")
        if begun <= times:
            work()
        change.record("second")
        return begun

    return change


def test_what_is_cut_before_its_commit_is_done_again_as_a_whole(proxy: Proxy, session: Session) -> None:
    change = cutting(proxy, proxy.cut, times=2)
    assert perform(session, Permission.CREATE, {}, int, change) == 3
    assert stored() == (["first", "second"], [], [])
    # The server itself ends it, as when it stops.
    with closing(aside_of(session)) as other:

        def terminate() -> None:
            (own,) = session.database.execute_sql("SELECT pg_backend_pid()").fetchone()
            other.execute("SELECT pg_terminate_backend(?, 5000)", (own,))

        assert perform(session, Permission.CREATE, {}, int, cutting(proxy, terminate), dry_run=True) == 2
        assert perform(session, Permission.CREATE, {}, int, cutting(proxy, terminate), request_id="r") == 2
    assert stored() == (["first", "second"] * 2, [], ["r"])


def aside_of(session: Session) -> Any:
    return postgres.Other(session.database.database)


def test_what_ends_every_connection_is_not_tried_for_ever(proxy: Proxy, session: Session) -> None:
    begun = 0

    def work(change: Change) -> int:
        nonlocal begun
        begun += 1
        proxy.cut()
        change.record("never")
        return begun

    with pytest.raises(Unavailable, match="the connection to the database was lost: nothing was stored; try again"):
        perform(session, Permission.CREATE, {}, int, work)
    assert begun == 6
    assert stored() == ([], [], [])


def test_what_reads_goes_on_by_another_connection(proxy: Proxy, session: Session) -> None:
    number, database = renew(session), session.database
    session_on(database, Role.VIEWER)
    proxy.cut()
    assert [row.number for row in Order.select()] == [number]
    proxy.cut()
    assert [item.number for item in bulk.preview(session, Trigger.CANCEL, [number]).items] == [number]
    proxy.cut()
    assert audit_chain.verify(session).events == 1

    begun = []

    def read() -> list[str]:
        with database.reading():
            begun.append(Admin.select().count())
            if len(begun) == 1:
                proxy.cut()
            return sorted(row.name for row in Admin.select())

    assert database.whole(read, repeatable=True) == ["manager", "viewer"]
    assert begun == [2, 2]
    # So is what is no longer wanted.
    unwanted: list[bool] = []
    database.watch(lambda: bool(unwanted))
    proxy.cut()
    assert Admin.select().count() == 2
    unwanted.append(True)
    with pytest.raises(peewee.OperationalError) as ended:
        Admin.select().count()
    assert was_interrupted(ended.value)
    database.watch(None)
    # What is hidden, and that nothing may be written, holds for the new one too.
    database.see_only(0)
    database.only_read()
    proxy.cut()
    assert Order.select().count() == 0
    with pytest.raises(NotAllowed), database.writing():
        pass
    # In no transaction only what reads is sent again: what writes may have been done.
    database.only_read(False)
    proxy.cut()
    with pytest.raises(peewee.OperationalError):
        Admin.update(name="other").execute()
    assert sorted(row.name for row in Admin.select()) == ["manager", "viewer"]


def test_a_server_that_is_away_is_waited_for(proxy: Proxy, session: Session) -> None:
    number = renew(session)
    session.database.patience = patience = Asked(proxy.listen)
    proxy.refuse()
    proxy.cut()
    assert pay(session, number) == "INV-2026-000001"
    assert (patience.asked >= 3, patience.over) == (True, 1)
    # Away in the midst of a change.
    session.database.patience = patience = Asked(proxy.listen, times=30)

    def away() -> None:
        proxy.refuse()
        proxy.cut()

    assert perform(session, Permission.CREATE, {}, int, cutting(proxy, away)) == 2
    assert patience.asked >= 30


def test_a_server_that_does_not_come_back_in_time_is_told_and_found_again_later(proxy: Proxy, session: Session) -> None:
    number = renew(session)
    session.database.patience = Asked(then=False)
    proxy.refuse()
    proxy.cut()
    with pytest.raises(Unavailable) as refused:
        pay(session, number)
    assert refused.value.message.startswith(
        "the connection to the database was lost and none came in its place, nothing was stored: nothing answers at"
        f" 127.0.0.1:{proxy.port}: look"
    )
    proxy.listen()
    session.database.patience = Patience()
    assert pay(session, number) == "INV-2026-000001"


def test_what_may_be_stored_on_a_server_that_does_not_come_back_is_not_known_and_the_request_id_tells(
    proxy: Proxy, session: Session
) -> None:
    number = renew(session)
    session.database.patience = Asked(then=False)
    proxy.on_cut = lambda cut: proxy.refuse()
    proxy.plan([Cut.AFTER])
    with pytest.raises(Unavailable, match="whether it was stored is not known"):
        pay(session, number, "r")
    proxy.listen()
    session.database.patience = Patience()
    assert pay(session, number, "r") == "INV-2026-000001"
    assert stored() == (["create", "pay"], [f"R-{number}"], ["r"])


@pytest.mark.usefixtures("unknown")
def test_who_is_stopped_before_it_is_known_is_not_told_that_nothing_was_stored(proxy: Proxy, session: Session) -> None:
    number = renew(session)

    def stop(_: Cut) -> None:
        with closing(aside_of(session)) as other:
            other.execute("UPDATE admin SET disabled_at = 1 WHERE name = 'manager'")

    proxy.on_cut = stop
    proxy.plan([Cut.AFTER])
    with pytest.raises(Unavailable, match="whether it was stored is not known"):
        pay(session, number, "r")
    with pytest.raises(NotAllowed, match="is disabled"):
        pay(session, number, "r")


def test_the_lock_of_a_connection_that_the_server_still_has_is_waited_for(
    proxy: Proxy, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a machine in between went: nobody told the server."""
    impatient(monkeypatch)
    session.database.patience = Asked(proxy.cut, times=2)
    assert perform(session, Permission.CREATE, {}, int, cutting(proxy, proxy.abandon)) == 2
    assert stored() == (["first", "second"], [], [])


def test_a_database_that_is_no_longer_there_is_not_waited_for(proxy: Proxy, session: Session) -> None:
    name = session.database.database
    proxy.cut()
    postgres._run(f'ALTER DATABASE "{name}" RENAME TO "{name}_away"')
    try:
        session.database.patience = patience = Asked()
        with pytest.raises(Unavailable, match="none came in its place, nothing was stored: the server has no database"):
            renew(session)
        assert patience.over == 1
    finally:
        postgres._run(f'ALTER DATABASE "{name}_away" RENAME TO "{name}"')
    renew(session)


def test_at_the_start_what_passes_by_itself_is_waited_for_and_nothing_else(proxy: Proxy, path: Path) -> None:
    with closing(aside(path)) as other:
        other.execute("DROP ROLE IF EXISTS few; CREATE ROLE few LOGIN CONNECTION LIMIT 1")
        other.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO few")
    url = proxy.url(postgres.name_at(path)).replace("smartsub@", "few@")
    with closing(open_database(url)):
        patience = Asked(proxy.cut, times=2)
        with closing(open_database(url, patience=patience)):
            assert patience.asked >= 2
        with pytest.raises(Unavailable, match="has no connection left"):
            open_all(url)
    proxy.refuse()
    patience = Asked()
    with pytest.raises(Unavailable, match=f"nothing answers at 127.0.0.1:{proxy.port}: look"):
        open_database(url, patience=patience)
    assert patience.asked == 0


def open_all(url: str) -> None:
    with closing(open_database(url)), closing(open_database(url, patience=Asked(then=False))):
        pass


# Providers


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_a_link_is_asked_for_once_however_its_beginning_is_cut(proxy: Proxy, session: Session, cut: Cut) -> None:
    with running(session.clock) as server:
        session = paying_by(session, server)
        number = renew(session)
        proxy.plan([cut])
        paid = held(session, links.open_link(session, number, request_id="r"))
        (payment,) = Payment.select()
        assert payment.state is PaymentState.SENT
        (opened,) = server.books.sessions.values()
        assert [each.link for each in paid.order.payments] == [opened.link]


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_an_answer_whose_recording_is_cut_is_asked_for_again_under_the_same_key(
    proxy: Proxy, session: Session, cut: Cut
) -> None:
    clock = FixedClock()
    with running(clock) as server:
        session = replace(paying_by(session, server), clock=clock)
        number = renew(session)
        proxy.plan([Cut.NONE, cut])
        held(session, links.open_link(session, number))
        assert len(server.books.sessions) == 1
        clock.advance(minutes=2)
        swept(session)
        (payment,) = Payment.select()
        (opened,) = server.books.sessions.values()
        assert (payment.state, payment.link) == (PaymentState.SENT, opened.link)
        proxy.plan([Cut.NONE, cut])  # the second takes the payment up: it is done, or left for a later sweep
        clock.advance(hours=1)
        held(session, sweep.sweep(session))
        assert len(server.books.sessions) == 1


# The command line


def test_it_waits_for_half_a_minute_and_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    waiting = Waiting()
    assert [waiting.goes_on(away) for away in (0, 0.1, 0.6, 29.9, 30)] == [True] * 4 + [False]
    assert capsys.readouterr() == ("", "smartsub: waiting for the database\n")


def test_a_command_says_that_it_waits_and_goes_on(proxy: Proxy, session: Session) -> None:
    proxy.on_cut = lambda cut: proxy.refuse()
    proxy.plan([Cut.AFTER])
    command = ["admin", "add", "bob", "--role", "viewer", "--request-id", "r", "--admin", "manager"]
    with subprocess.Popen(
        [sys.executable, "-m", "smartsub_tui", *command],
        env={**os.environ, "SMARTSUB_DATABASE": proxy.url(session.database.database)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "smartsub: waiting for the database\n"
        proxy.listen()
        told, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    assert "bob" in told
    assert [row.action for row in AuditEvent.select()] == ["add_admin"]
    assert Admin.select().where(Admin.name == "bob").count() == 1
