"""Two servers, one of which takes the place of the other: nothing that was acknowledged is lost, nothing is done twice.

SMARTSUB_FAILOVERS says how often the primary is killed under those who pay: in continuous integration ten times.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from smartsub_tui.billing import payments
from smartsub_tui.billing.opening import open_session
from smartsub_tui.clock import SystemClock
from smartsub_tui.data import models
from smartsub_tui.data.database import open_database
from smartsub_tui.data.models import Admin, Invoice, Order, Payment, Request
from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.errors import Unavailable
from tests import postgres
from tests.billing.test_connections import Asked
from tests.pair import Pair, ask, needs_a_pair, pair, set_
from tests.postgres import until
from tests.proxy import Cut, Proxy
from tests.simulation.invariants import check_all, hold
from tests.simulation.processes import PEOPLE, add_payers, heard, look, order_and_pay, session_at, start
from tests.support import SETTINGS, impatient

pytestmark = [pytest.mark.postgres, needs_a_pair]

FAILOVERS: Final = int(os.environ.get("SMARTSUB_FAILOVERS", "2"))
PAYERS: Final = 20
_LONGEST: Final = 120.0  # seconds in which each of them goes on
_AT_WORK: Final = 0.3  # seconds at most that they pay before the primary is killed


@pytest.fixture
def both() -> Iterator[Pair]:
    with pair(add_payers) as both:
        yield both


# Under those who pay


class Payers:
    """Processes that order and pay, each for people of its own, until they are killed; what they say is read here."""

    def __init__(self, url: str) -> None:
        self._said: dict[int, bytes] = {}  # by the pipe of each
        self._processes: dict[int, int] = {}
        for place in range(PAYERS):
            process, pipe = start(url, place, PEOPLE[place::PAYERS])
            self._processes[pipe], self._said[pipe] = process, b""

    def read(self, seconds: float) -> None:
        """What they say within so many seconds, or until each has said something."""
        ready, _, _ = select.select(list(self._said), [], [], seconds)
        for pipe in ready:
            some = os.read(pipe, 65_536)
            self._said[pipe] += some
            hold(
                some and b"\nrefused " not in self._said[pipe], f"it ended, or was refused: {self._said[pipe][-300:]!r}"
            )

    def read_all(self) -> None:
        """What they have said."""
        while select.select(list(self._said), [], [], 0)[0]:
            self.read(0)

    def done(self) -> list[int]:
        """How much each of them was told to be done."""
        return [len(re.findall(rb"^done ", said, re.MULTILINE)) for said in self._said.values()]

    def go_on(self) -> float:
        """Read until each has been told so of another one, begun from now on; how long the first of them took."""
        # What each was at may have been done before, and not said: another one has to come behind it.
        began, before = time.monotonic(), self.done()
        first = 0.0
        while not all(now >= then + 2 for now, then in zip(self.done(), before, strict=True)):
            hold(time.monotonic() < began + _LONGEST, f"some do not go on: {before}, {self.done()}")
            self.read(1.0)
            first = first or (time.monotonic() - began if self.done() != before else 0.0)
        return first

    def end(self) -> tuple[set[str], list[tuple[str, str]]]:
        """Kill them; what they were told to be done, and what they had begun, by its request and person."""
        done: set[str] = set()
        begun = []
        for pipe, process in self._processes.items():
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            while some := os.read(pipe, 65_536):
                self._said[pipe] += some
            os.close(pipe)
            last = heard(self._said[pipe], done)
            begun += [] if last is None else [last]
        self._processes.clear()
        return done, begun


def test_of_primaries_that_are_killed_under_those_who_pay_nothing_is_lost_and_nothing_done_twice(both: Pair) -> None:
    drawn, away = Random(FAILOVERS), []
    payers = Payers(both.url())
    try:
        payers.go_on()
        for place in range(FAILOVERS):
            end = time.monotonic() + drawn.uniform(0, _AT_WORK)
            while (left := end - time.monotonic()) > 0:
                payers.read(left)
            both.primary.kill()
            gone = time.monotonic()
            payers.read_all()  # nothing is acknowledged until there is a primary again
            both.promote()
            promoted = time.monotonic() - gone
            away.append((round(promoted, 2), round(promoted + payers.go_on(), 2)))
            both.copy_anew() if place % 2 else both.rewind()
            both.keep_in_step()
            payers.go_on()
    finally:
        done, begun = payers.end()
    session = session_at(both.url())
    with closing(session.database):
        look(session, done, begun)
        check_all(session)
        stored = {request.id for request in Request.select(Request.id)}
        paid = [order.id for order in Order.select(Order.id).where(Order.status == OrderStatus.SUCCEED)]
        # As many payments and invoices as requests, each of another order.
        asked = sorted(f"R-{request}" for request in stored if not request.endswith("-order"))
        assert sorted(payment.reference or "" for payment in Payment.select()) == asked
        assert len(asked) == len(paid) == Payment.select(Payment.order).distinct().count()
        assert len(asked) == Invoice.select(Invoice.order).distinct().count() == Invoice.select().count()
    print(f"{PAYERS} processes, {FAILOVERS} primaries killed, {len(done)} paid, {len(begun)} in the midst of it;")
    print(f"promoted, and the first paid, so many seconds behind each kill: {away}")


@pytest.mark.parametrize("in_step", [True, False])
def test_only_what_the_standby_has_too_is_acknowledged_where_it_is_kept_in_step(in_step: bool) -> None:
    """And else what was acknowledged is lost with the primary, as docs/cluster.md says of it."""
    with pair(add_payers, in_step=in_step) as both:
        both.standby.halt()

        def work() -> None:
            session = session_at(both.url())
            with closing(session.database):
                order_and_pay(session, "r", PEOPLE[0])

        paying = beside(work)
        if in_step:
            waits_for_the_standby(both)
            assert not paying.done()
        else:
            paying.result(60)
            assert ask(both.primary, "SELECT count(*) FROM payment") == 1
        both.primary.kill()
        both.standby.serve()
        both.promote()
        paying.result(60)  # it goes on by itself
        assert ask(both.primary, "SELECT count(*) FROM payment") == in_step
        assert ask(both.primary, "SELECT count(*) FROM invoice") == in_step


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_what_was_being_stored_as_the_primary_was_lost_is_done_once_by_the_next(both: Pair, cut: Cut) -> None:
    """AFTER: it is on both, and its answer did not come back."""
    old = both.primary
    with Proxy(str(old.folder), old.port) as proxy:
        url = f"postgresql://{postgres.WORKER}@127.0.0.1:{proxy.port},127.0.0.1:{both.standby.port}/postgres"
        session = session_at(url)
        with closing(session.database):
            first, second = numbers(session)

            def lose(_: Cut) -> None:
                proxy.refuse()
                old.kill()

            proxy.on_cut = lose
            proxy.plan([cut])
            session.database.patience = patience = Asked(both.promote)
            payments.pay(session, first, payments.Manual("R-1"), request_id="r")
            assert (patience.over, session.database.connection().info.port) == (1, both.primary.port)
            payments.pay(session, second, payments.Manual("R-2"))
            assert [payment.reference for payment in Payment.select().order_by(Payment.id)] == ["R-1", "R-2"]
            assert [row.number[-6:] for row in Invoice.select().order_by(Invoice.id)] == ["000001", "000002"]
            check_all(session)


def beside(work: Callable[[], None]) -> Future[None]:
    """What becomes of work in a thread of its own, which a test that fails does not wait for."""
    done = Future[None]()

    def run() -> None:
        try:
            work()
            done.set_result(None)
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done


def waits_for_the_standby(both: Pair) -> None:
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    until(lambda: ask(both.primary, waits), "a COMMIT that waits for the standby")


def test_without_the_standby_a_change_waits_others_are_told_and_who_finds_it_done_waits_too(
    both: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was answered that it is done must not be told so of what only the primary has."""
    session = session_at(both.url())
    with closing(session.database):
        order_and_pay(session, "r", PEOPLE[0])
        both.standby.halt()
        again = beside(lambda: asked_again(both))
        waits_for_the_standby(both)
        models.proxy.initialize(session.database)
        impatient(monkeypatch)
        with pytest.raises(Unavailable, match="is busy: another process has been writing for too long"):
            numbers(session)
        assert Order.select().count() == 1  # who only looks notices nothing
        assert not again.done()
        both.standby.serve()
        again.result(60)
    assert ask(both.primary, "SELECT count(*) FROM payment") == 1


def asked_again(both: Pair) -> None:
    session = session_at(both.url())
    with closing(session.database):
        payments.pay(session, Order.select().get().number, payments.Manual("R-r"), request_id="r")


# A server that takes no more changes


def numbers(session: Any) -> list[str]:
    """The orders of two people."""
    from smartsub_tui.billing import orders
    from smartsub_tui.billing.terms import Months

    return [orders.renew(session, "Oak House", [key], Months(1)).order.number for key in PEOPLE[:2]]


def test_a_server_that_takes_no_more_changes_is_left_for_the_one_that_does(both: Pair) -> None:
    session = session_at(both.url())
    with closing(session.database):
        old, (first, second) = both.primary, numbers(session)
        both.take_no_changes()
        # Nobody takes changes now: it waits, until the other does.
        session.database.patience = patience = Asked(both.promote)
        payments.pay(session, first, payments.Manual("R-1"))
        assert (patience.asked >= 3, patience.over) == (True, 1)
        assert [ask(each, "SELECT count(*) FROM payment") for each in (old, both.primary)] == [0, 1]
        assert session.database.connection().info.port == both.primary.port
        payments.pay(session, second, payments.Manual("R-2"))
        assert ask(both.primary, "SELECT count(*) FROM invoice") == 2


def test_who_only_looks_leaves_it_too(both: Pair) -> None:
    with closing(open_database(both.url())) as database:
        old = both.primary
        both.take_no_changes()
        both.promote()
        assert database.connection().info.port == old.port
        assert Admin.select().count() == 1  # its answer says that the server takes no more changes
        assert Admin.select().count() == 1
        assert database.connection().info.port == both.primary.port


def test_one_server_alone_that_takes_no_more_changes_is_waited_for(both: Pair) -> None:
    url = f"postgresql://{postgres.WORKER}@127.0.0.1:{both.primary.port}/postgres"
    session = session_at(url)
    with closing(session.database):
        first, second = numbers(session)
        both.take_no_changes()
        assert Order.select().count() == 2  # who only looks, and has nowhere else to look, goes on
        session.database.patience = Asked(then=False)
        with pytest.raises(Unavailable) as refused:
            payments.pay(session, first, payments.Manual("R-1"))
        assert refused.value.message == (
            "the connection to the database was lost and none came in its place, nothing was stored:"
            f" {url} takes no changes, as a standby does not: wait until it does, or name the server that does"
        )
        session.database.patience = Asked(lambda: set_(both.primary, "default_transaction_read_only", "off"), times=2)
        payments.pay(session, second, payments.Manual("R-2"))
        assert [payment.reference for payment in Payment.select()] == ["R-2"]


def test_a_server_that_never_took_changes_is_no_server_that_is_away(both: Pair) -> None:
    """A standby that was named by itself, or asked for: who looks may, who writes is told at once."""
    alone = f"postgresql://{postgres.WORKER}@127.0.0.1:{both.standby.port}/postgres"
    for url in (alone, both.url("?target_session_attrs=standby"), both.url("?target_session_attrs=prefer-standby")):
        patience = Asked()
        session = open_session(url, "manager", "cli", SystemClock(), SETTINGS, patience=patience)
        with closing(session.database):
            assert session.database.connection().info.port == both.standby.port
            assert Order.select().count() == 0
            with pytest.raises(Unavailable, match="takes no changes there, as a standby: name the server that does"):
                numbers(session)
            assert patience.asked == 0


def test_which_server_is_asked_for_is_said_by_the_url_and_else_it_is_the_one_that_takes_changes(both: Pair) -> None:
    standby, primary = both.standby.port, both.primary.port
    hosts = f"postgresql://{postgres.WORKER}@127.0.0.1:{standby},127.0.0.1:{primary}/postgres"
    for options, port in (
        ("", primary),
        ("?target_session_attrs=read-write", primary),
        ("?target_session_attrs=primary", primary),
        ("?target_session_attrs=any", standby),
    ):
        for read_only in (False, True):
            with closing(open_database(hosts + options, read_only=read_only)) as database:
                assert database.connection().info.port == port, options
    # One of them is gone, and the other not yet what is asked for: that passes, and says so where it does not.
    both.primary.kill()
    with pytest.raises(Unavailable) as refused:
        open_database(both.url(), patience=Asked(then=False))
    assert refused.value.message == (
        f"nothing answers at 127.0.0.1:{primary}: look whether PostgreSQL runs there and lets this machine in, and at"
        f" the URL; and postgresql://{postgres.WORKER}@127.0.0.1:{standby}/postgres takes no changes, as a standby"
        " does not: wait until it does, or name the server that does"
    )
    with closing(open_database(both.url(), patience=Asked(both.promote))) as database:
        assert database.connection().info.port == standby
    patience = Asked()
    with pytest.raises(Unavailable, match="is no standby, and the URL asks for one by target_session_attrs"):
        open_database(both.url("?target_session_attrs=standby"), patience=Asked(then=False))
    both.primary.kill()
    with pytest.raises(Unavailable, match=f"nothing answers at 127.0.0.1:{primary}, 127.0.0.1:{standby}: look"):
        open_database(both.url(), patience=patience)
    assert patience.asked == 0


def test_a_command_that_finds_no_primary_says_that_it_waits_and_goes_on_with_the_next(
    both: Pair, tmp_path: Path
) -> None:
    both.primary.kill()
    with subprocess.Popen(
        [sys.executable, "-m", "smartsub_tui", "admin", "add", "bob", "--role", "viewer", "--admin", "manager"],
        env={**os.environ, "SMARTSUB_DATABASE": both.url(), "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "smartsub: waiting for the database\n"
        both.promote()
        told, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    assert "bob" in told
    assert ask(both.primary, "SELECT count(*) FROM admin WHERE name = 'bob'") == 1
