"""A connection to a PostgreSQL server: it ends what is no longer wanted, hears what others write, and says whether it
is lost.
"""

from __future__ import annotations

import math
import os
import select
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import peewee

from smartsub_tui.data import postgres_hosts
from smartsub_tui.data.postgres_errors import ENDED_BY_THE_SERVER, Unreachable, Unwanted, is_behind
from smartsub_tui.data.psycopg_driver import TransactionStatus, errors, psycopg

if TYPE_CHECKING:
    from smartsub_tui.data.postgres import PostgresDatabase

CHANNEL: Final = "smartsub"  # by which who writes says so; of one database, as all channels are
_LOOK_SECONDS: Final = 0.01  # between two looks whether a statement is still wanted
_BY_ITSELF_SECONDS: Final = 0.1  # in which the server ends by itself what it was told the time of
_LONGEST_WAY_SECONDS: Final = 0.025  # to a server and back; one whose quickest answer took longer is no nearer
_CANCEL_SECONDS: Final = 2.0
_MOST_WAKES: Final = 4096
# A server that is gone is noticed within some twenty seconds; the URL may say otherwise.
_CONNECTING: Final = {
    "connect_timeout": "5",
    "application_name": "smartsub",
    "client_encoding": "utf8",
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}

# The driver, as Peewee is to use it. Its stubs say too little of what is changed here.
_BaseAdapter: Any = peewee.Psycopg3Adapter


class _Whole(psycopg.adapt.Loader):
    """A numeric as an integer: it only comes of sums of integers."""

    def load(self, data: Any) -> int:
        return int(bytes(data))


class _Text(psycopg.adapt.Loader):
    """A date as the text that SQLite stores it as: DayField reads it, exports write it as it is."""

    def load(self, data: Any) -> str:
        return bytes(data).decode()


class Connection(psycopg.Connection[Any]):
    """A connection that looks, while a statement runs, whether it is still wanted."""

    unwanted: Callable[[], bool] | None = None
    until: float | None = None  # as perf_counter() says it, what runs is wanted at most
    ends_by_itself: bool = False  # what runs: the server was told its time
    round_trip: float = _LONGEST_WAY_SECONDS  # seconds of the quickest answer so far: the server needed next to none
    is_direct: bool = False  # the session is this connection's own
    schema: str | None = None  # of the tables
    is_read_only: bool = False  # the server takes no changes, as a standby, or by its own setting
    within: float | None = None  # seconds that a statement may take; None: as long as it takes
    listens: bool = False
    heard: bool = False  # what another wrote, or that may have been missed

    def look(self, within: float | None) -> None:
        """Find out where it has come to, within so many seconds."""
        self.within = within
        found = self.execute("SELECT current_schema(), pg_backend_pid(), current_setting('transaction_read_only')")
        self.schema, session, read_only = found.fetchone() or (None, None, None)
        self.is_direct, self.is_read_only = session == self.info.backend_pid, read_only == "on"
        if not (self.info.parameter_status("DateStyle") or "").startswith("ISO"):
            self.execute("SET datestyle = ISO")  # PgBouncer knows this one, and hands it on
        self.within = None

    @property
    def says_read_only(self) -> bool:
        """Whether its server has said since, with an answer, that it takes no more changes; a pooler says it late."""
        status = self.info.parameter_status
        return self.is_direct and not self.closed and status("default_transaction_read_only") == "on"

    def listen(self) -> bool:
        """Hear what others write; False behind a pooler, which may give the session to somebody else at any time."""
        if self.is_direct:
            with suppress(errors.ReadOnlySqlTransaction):  # a standby
                self.execute(f"LISTEN {CHANNEL}")
                self.add_notify_handler(lambda said: self._note(said.pid))
                self.listens = self.heard = True
        return self.listens

    def _note(self, session: int) -> None:
        """That session has written."""
        self.heard = self.heard or session != self.info.backend_pid

    def hear(self, wake: int) -> bool:
        """As Database.hear(); where nothing can be heard, it has to be looked."""
        try:
            while self.listens:
                while (said := self.pgconn.notifies()) is not None:
                    self._note(said.be_pid)
                if self.heard:
                    self.heard = False
                    return True
                ready, _, _ = select.select([self.fileno(), wake], [], [])
                if wake in ready:
                    os.read(wake, _MOST_WAKES)
                    return False
                self.pgconn.consume_input()
        except psycopg.Error:
            pass  # it is lost, which whoever looks finds out
        return True

    def is_wanted(self, late: float = 0.0) -> bool:
        """Whether what runs is wanted still; also where it should have ended, but not for so many seconds."""
        return (self.unwanted is None or not self.unwanted()) and not self._is_over(late)

    def _is_over(self, late: float = 0.0) -> bool:
        return self.until is not None and time.perf_counter() > self.until + late

    def timed(self) -> str:
        """What lets the server itself end the statement behind it in time. To tell it so then takes another connection,
        and about as long again.
        """
        left = 0.0 if self.until is None else self.until - time.perf_counter()
        return f"SET LOCAL statement_timeout = {max(1, math.ceil(left * 1000))}"

    def is_lost(self, error: BaseException | None = None) -> bool:
        """Whether nothing more can be said over it: it is gone, or the server says that it ends it."""
        return self.closed or (error is not None and any(is_behind(error, each) for each in ENDED_BY_THE_SERVER))

    def wait(self, gen: Any, interval: float = _LOOK_SECONDS, timeout: float | None = None) -> Any:
        if self.unwanted is None:
            return super().wait(gen, timeout=timeout or self.within)
        return super().wait(self._watched(gen), interval, timeout)

    def _watched(self, gen: Any) -> Generator[Any, Any, Any]:
        ended: float | None = None
        try:
            state = next(gen)
            while True:
                ready = yield state
                if (
                    not ready
                    and ended is None
                    and not self.is_wanted(late=_BY_ITSELF_SECONDS if self.ends_by_itself else 0.0)
                ):
                    with suppress(psycopg.Error):
                        self.cancel_safe(timeout=_CANCEL_SECONDS)
                    ended = time.monotonic()
                elif not ready and ended is not None and time.monotonic() > ended + _CANCEL_SECONDS:
                    # A server that stands still, or cannot be reached by another connection: nothing is heard any more.
                    self.close()
                    raise Unwanted("it is no longer wanted")
                state = gen.send(ready)
        except StopIteration as last:
            return last.value
        except errors.QueryCanceled as error:
            if ended is not None or self._is_over():
                raise Unwanted("it is no longer wanted") from error
            raise


class Cursor(psycopg.ClientCursor[Any]):
    """Several statements may be sent as one text: the rows are those of the last."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        connection: Any = self.connection
        asked = time.perf_counter()
        super().execute(query, params or None, **options)
        # A statement goes to the server and back; not all that is waited for does, as a row of a COPY.
        connection.round_trip = min(connection.round_trip, time.perf_counter() - asked)
        while self.nextset():
            pass
        return self


class Adapter(_BaseAdapter):
    """Peewee's way to psycopg, which Peewee itself has not imported."""

    txn_idle, txn_inerror, txn_unknown = TransactionStatus.IDLE, TransactionStatus.INERROR, TransactionStatus.UNKNOWN

    def __init__(self) -> None:
        self.isolation_levels_inv: dict[str, int] = {}

    def check_driver(self) -> None:
        pass

    def connect(self, db: PostgresDatabase, **_: Any) -> Connection:
        """To the first host that lets us in and is of the kind that is asked for; raises Unreachable."""
        target, said = db.target(), dict[int, psycopg.Error]()
        for place, parameters in postgres_hosts.tries(db.url, target):
            try:
                connection = self._connected(db, parameters)
                if not connection.is_read_only or target != postgres_hosts.WRITABLE:
                    return connection
                connection.close()
                said[place] = psycopg.OperationalError("session is read-only")
            except psycopg.Error as error:
                said[place] = error
        raise Unreachable(*postgres_hosts.unreachable(db.url, said)) from next(iter(said.values()))

    def _connected(self, db: PostgresDatabase, asked: dict[str, str]) -> Connection:
        parameters: dict[str, Any] = {**_CONNECTING, **asked, "dbname": db.database}
        connection = Connection.connect(
            **parameters,
            autocommit=True,
            cursor_factory=Cursor,
            prepare_threshold=None,
        )
        try:
            connection.adapters.register_loader("numeric", _Whole)
            connection.adapters.register_loader("date", _Text)
            # A pooler whose server is gone lets in whoever comes, and keeps them waiting: the next host may answer.
            seconds = max(0.0, float(parameters["connect_timeout"] or 0))  # 0: for ever
            connection.look(seconds or None if db.url.is_of_several else None)
        except BaseException:
            connection.close()
            raise
        return connection
