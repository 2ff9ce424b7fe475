"""Behind PgBouncer in transaction mode, where each transaction may run in another session of the server.

It comes with no wheel: these are skipped where there is none on the PATH, nor in SMARTSUB_PGBOUNCER; where everything
must be tested they fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from smartsub_tui.billing import orders
from smartsub_tui.billing.terms import Months
from smartsub_tui.data import models
from smartsub_tui.data.database import Database, open_database
from smartsub_tui.data.models import Admin, AdminOffice, AuditEvent, Invoice, Order
from smartsub_tui.data.vocabulary import OrderStatus, Role
from tests import postgres
from tests.billing.test_races import pay_each
from tests.support import NOW, add_office, add_order, add_people, add_prices, at_once, file_database, session_on

PROGRAM = os.environ.get("SMARTSUB_PGBOUNCER") or shutil.which("pgbouncer")
IS_ASKED = PROGRAM is not None or bool(os.environ.get("CI"))
_MISSING = "no pgbouncer here: apt install pgbouncer, or SMARTSUB_PGBOUNCER"

pytestmark = [pytest.mark.postgres, pytest.mark.skipif(not IS_ASKED, reason=_MISSING)]

PORT = 6432
SOON = date(2026, 12, 22)
SETTINGS = """
[databases]
* = host={server}
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {sessions}
logfile = {folder}/log
"""


class Bouncer:
    """A PgBouncer that hands out so many sessions of the run's cluster."""

    def __init__(self, folder: Path, sessions: int) -> None:
        self._folder = folder
        server = os.environ[postgres.SERVER]
        folder.joinpath("users").write_text('"smartsub" ""\n')
        folder.joinpath("ini").write_text(
            SETTINGS.format(server=server, port=PORT, folder=folder, sessions=sessions), "utf-8"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, name: str) -> str:
        return f"postgresql://smartsub@/{name}?host={self._folder}&port={PORT}"

    def start(self) -> None:
        # As PostgreSQL, it refuses to run as root.
        user: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
        assert PROGRAM is not None, _MISSING
        self._process = subprocess.Popen([PROGRAM, self._folder / "ini"], stderr=subprocess.DEVNULL, cwd="/", **user)
        end = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < end, "PgBouncer did not start"
            time.sleep(0.02)

    def _answers(self) -> bool:
        psycopg = postgres._driver()
        with suppress(psycopg.Error):
            psycopg.connect(host=str(self._folder), port=PORT, user="smartsub", dbname="postgres").close()
            return True
        return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def bouncing(sessions: int) -> Iterator[Bouncer]:
    with tempfile.TemporaryDirectory(prefix="smartsub-pgb-", dir=os.environ[postgres.SERVER]) as name:
        folder = Path(name)
        if os.getuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        bouncer = Bouncer(folder, sessions)
        try:
            bouncer.start()
            yield bouncer
        finally:
            bouncer.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shared"
    with closing(file_database(path)) as database:
        session_on(database)
        add_prices()
    return path


def test_who_pays_through_two_sessions_pays_once_and_without_gaps(path: Path) -> None:
    keys = [f"p{number}" for number in range(24)]
    with bouncing(sessions=2) as bouncer:
        url = bouncer.url(postgres.name_at(path))
        with closing(open_database(url)) as database:
            session = session_on(database)
            add_people(add_office(), *keys, expires_on=SOON)
            numbers = [orders.renew(session, "Oak House", [key], Months(1)).order.number for key in keys]
        said = at_once(pay_each, [(url, numbers[place:] + numbers[:place]) for place in range(0, 24, 4)])
        assert sum(int(each) for each in said) == 24, said
        with closing(open_database(url)):
            assert sorted(row.sequence for row in Invoice.select()) == list(range(1, 25))
            assert [row.id for row in AuditEvent.select().order_by(AuditEvent.id)] == list(range(1, 49))


def test_nothing_of_one_stays_for_the_next_in_the_same_session(path: Path) -> None:
    with ExitStack() as stack:
        bouncer = stack.enter_context(bouncing(sessions=1))
        url = bouncer.url(postgres.name_at(path))
        hidden, only_reads, third = (stack.enter_context(closing(open_database(url))) for _ in range(3))
        for name in ("Oak", "Elm"):
            office = add_office(name)
            add_order(office, add_people(office, f"u-{name}"), OrderStatus.PROCESSING, number=f"n-{name}")
        ann = Admin.create(name="ann", role=Role.OPERATOR, created_at=NOW)
        AdminOffice.create(admin=ann, office=1)
        assert [each.listen() for each in (hidden, third)] == [False] * 2  # who says something to it is not its own
        hidden.see_only(ann.id)
        only_reads.only_read()

        def seen(database: Database) -> list[str]:
            models.proxy.initialize(database)
            return sorted(row.number for row in Order.select())

        for _ in range(3):
            assert [seen(each) for each in (hidden, only_reads, third)] == [["n-Oak"], *[["n-Elm", "n-Oak"]] * 2]
            with third.writing():
                Order.update(version=Order.version + 1).execute()
        # Nor is a session kept by what was only looked at: this waits for none.
        with hidden.reading():
            models.proxy.initialize(hidden)
            assert Order.select().count() == 1
        assert [row.version for row in Order.select()] == [4]


def test_a_pooler_that_stops_and_starts_is_waited_for(path: Path) -> None:
    with bouncing(sessions=1) as bouncer, closing(open_database(bouncer.url(postgres.name_at(path)))) as database:
        session = session_on(database)
        add_people(add_office(), "u1", expires_on=SOON)
        bouncer.stop()
        bouncer.start()
        number = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
        # Its session of the server ends, and the pooler goes on.
        postgres._run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.database}'")
        assert [row.number for row in Order.select()] == [number]
