"""The database of a simulation: SQLite on a file, a connection for each actor, every statement a point.

A lock that another actor holds is waited for by letting others go on. A failure is what SQLite itself would raise, in
the state that it would leave: after a full disk or an I/O error the transaction is rolled back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw
from peewee import _ConnectionState, _NoopLock

from smartsub_tui.data import models
from smartsub_tui.data.sqlite import SqliteDatabase, _Cursor
from tests.simulation.disk import Disk
from tests.simulation.scheduler import Actor, Fault

# So often an actor is woken for a lock that another got before it, until it gives up as after the real ten seconds.
_PATIENCE: Final = 400
_LOG_PAGES: Final = 4


def _check_point(connection: apsw.Connection, name: str, pages: int) -> int:
    """Write a log of few pages into the file, as SQLite itself does with one of many: a disk that fails at that is no
    failure of the commit before it, which is stored.
    """
    if pages >= _LOG_PAGES:
        with contextlib.suppress(apsw.Error):
            connection.wal_checkpoint(name, apsw.SQLITE_CHECKPOINT_PASSIVE)
    return apsw.SQLITE_OK


class Engine(SqliteDatabase):
    """Bound to the models from when it is made; `actors` are whoever works on it."""

    actors: list[Actor] = []  # noqa: RUF012 - Peewee asks for its state before __init__ has gone so far

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        # Without a disk that fails, nothing is asked of the real one: what is written is only to outlive a process.
        self._disk = disk
        super().__init__(
            str(path),
            pragmas={
                "synchronous": "full" if disk else "off",
                "foreign_keys": 1,
                "recursive_triggers": 1,
                # On a disk that fails few pages are kept in memory, so that they are read again and again.
                **({"cache_size": 5} if disk else {}),
            },
            vfs=disk.vfs_name if disk else None,
            autoconnect=False,
            lock_type="IMMEDIATE",
            thread_safe=False,
        )
        self._lock = _NoopLock()
        self.actors: list[Actor] = []
        self.commits = 0
        self._states: dict[Actor | None, _ConnectionState] = {}
        self._seen: dict[Actor | None, int | None] = {}  # whose offices alone the process of each sees
        self._at_once = False
        models.proxy.initialize(self)

    def _connect(self) -> apsw.Connection:
        connection = super()._connect()
        if self._disk is not None:
            connection.set_wal_hook(_check_point)
        return connection

    @property
    def _state(self) -> Any:
        return self._states.setdefault(self.actor, _ConnectionState())

    @_state.setter
    def _state(self, _: Any) -> None:
        self._states = {}

    @property
    def _sees(self) -> int | None:
        return self._seen.get(self.actor)

    @_sees.setter
    def _sees(self, admin: int | None) -> None:
        self._seen[self.actor] = admin

    @property
    def actor(self) -> Actor | None:
        """Who is at it; None is the one who checks."""
        return next((each for each in self.actors if each.is_current), None)

    @property
    def aside(self) -> apsw.Connection:
        """The connection of nobody who acts."""
        connection: apsw.Connection = self._states[None].conn
        return connection

    def leave(self, actor: Actor) -> None:
        """The process of an actor is gone, and its connection with it: SQLite rolls back what it did not commit."""
        self._seen.pop(actor, None)
        state = self._states.pop(actor, None)
        if state is not None and not state.closed:
            state.conn.close(True)
        self._wake()

    def close_all(self) -> None:
        for state in self._states.values():
            if not state.closed:
                state.conn.close(True)
        self._states.clear()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        yield  # who is next, the scheduler draws

    def _wait(self, _connection: apsw.Connection, _since: float | None = None) -> None:
        """Nobody sleeps here: who meets a lock is set aside until it is let go."""

    @contextmanager
    def writing_at_once(self) -> Iterator[None]:
        self._at_once = True  # read before anyone else goes on
        with super().writing_at_once():
            yield

    def cursor(self, named_cursor: None = None) -> _Cursor:
        actor = self.actor
        if actor is not None and actor.dead:
            actor.die()
        made = super().cursor(named_cursor)
        if actor is not None:
            run, run_many = made.execute, made.executemany
            made.execute = lambda sql, *rest: self._statement(actor, sql, lambda: run(sql, *rest))
            made.executemany = lambda sql, *rest: self._statement(actor, sql, lambda: run_many(sql, *rest))
        return made

    def _statement(self, actor: Actor, sql: str, run: Callable[[], Any]) -> Any:
        if sql.startswith("PRAGMA"):
            return run()
        word = sql.split(None, 1)[0].rstrip(";").upper()
        if word == "ROLLBACK":
            try:
                return run()
            finally:
                self._wake()
        at_once, self._at_once = self._at_once and word == "BEGIN", False
        fault = actor.pause(word)
        self._fail(fault, actor, word)
        result = self._when_free(actor, run, _PATIENCE if word == "BEGIN" and not at_once else 0)
        if word == "COMMIT":
            self.commits += 1
            self._wake()
            if fault is Fault.KILL_AFTER:
                actor.die()
            if fault is Fault.CUT_AFTER:
                raise apsw.IOError("disk I/O error")
        return result

    def _fail(self, fault: Fault | None, actor: Actor, word: str) -> None:
        match fault:
            case Fault.BUSY:
                raise apsw.BusyError("database is locked")
            case Fault.FULL:
                self._roll_back()
                raise apsw.FullError("database or disk is full")
            case Fault.IO_ERROR | Fault.CUT_BEFORE:
                self._roll_back()
                raise apsw.IOError("disk I/O error")

    def _roll_back(self) -> None:
        connection = self._state.conn
        if not connection.get_autocommit():
            connection.execute("rollback")
        self._wake()

    def _when_free(self, actor: Actor, run: Callable[[], Any], patience: int) -> Any:
        while True:
            try:
                return run()
            except apsw.BusyError:
                if patience == 0:
                    raise
                patience -= 1
                actor.waits = True
                actor.pause("LOCK")

    def _wake(self) -> None:
        for each in self.actors:
            each.waits = False
