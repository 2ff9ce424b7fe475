"""SQLite: a database in a file, and all that only this engine understands.

It comes through apsw, whose own SQLite is new enough for several processes to share a write-ahead log safely.
One connection belongs to one thread. Writes run in IMMEDIATE transactions, for which processes wait in line.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import date, datetime
from glob import escape
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
import peewee
from msgspec import Struct
from peewee import __exception_wrapper__  # type: ignore[attr-defined]
from playhouse.apsw_ext import APSWDatabase

from smartsub_tui.data import models, turns
from smartsub_tui.data.database import (
    OF_OFFICES,
    Database,
    LostTransaction,
    UncertainCommit,
    applied,
    available,
    causes,
    migrate,
    refuse_newer,
    refuse_older,
    stored,
)
from smartsub_tui.data.fields import from_microseconds
from smartsub_tui.errors import Refused, Unavailable

T = TypeVar("T")
BUSY_SECONDS: Final = 10.0
# How much of it one stands in line before one tries without a turn, as SQLite has it: the line may stand still while
# the database is free. Where it moves one stays in it: the last of fifty waited two to four seconds on a slow machine.
_PART_IN_LINE: Final = 0.6
# Between two tries of the one whose turn it is. Few others ever try: what opens a new file, and other programs.
_TRY_SECONDS: Final = (0.0005, 0.003)
# KiB of pages that a connection keeps. Reading walks indexes and needs few at a time; a write of many rows touches all
# of them again and again, and would read them anew each time.
_READING_KIB: Final = 500
_WRITING_KIB: Final = 8000

# Codes of SQLite that playhouse.apsw_ext does not map; an unmapped one would pass every `except peewee.Error`.
peewee.EXCEPTIONS.update(  # type: ignore[attr-defined]
    {
        "NoMemError": peewee.OperationalError,
        "NoLFSError": peewee.OperationalError,
        "ForkingViolationError": peewee.InterfaceError,
        "VFSNotImplementedError": peewee.InternalError,
    }
)


class _Cursor:
    """What Peewee and we ask of a cursor. Rows are stepped lazily, so an error of the second row must become Peewee's
    as one of the first does.

    Around apsw's cursor, not a subclass of it: where one is dropped by another thread while its connection is at work
    (a traceback that is collected is enough), apsw 3.54 counts its class down twice, and a class made in Python is gone
    after a few of those, and the process with it. The class that apsw brings is not counted.
    """

    __slots__ = ("_cursor", "execute", "executemany")

    def __init__(self, cursor: apsw.Cursor) -> None:
        self._cursor = cursor
        self.execute, self.executemany = cursor.execute, cursor.executemany

    @property
    def connection(self) -> apsw.Connection:
        return self._cursor.connection

    @property
    def description(self) -> Any:
        return self._cursor.description

    def fetchone(self) -> Any:
        with __exception_wrapper__:
            return self._cursor.fetchone()

    def fetchall(self) -> Any:
        with __exception_wrapper__:
            return self._cursor.fetchall()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._cursor)
        except apsw.Error:
            with __exception_wrapper__:
                raise

    def close(self) -> None:
        self._cursor.close()


_NOBODY: Final = -1  # no admin's row id
_WRITES: Final = re.compile(r"(?:INSERT (?:OR \w+ )?INTO|UPDATE|DELETE FROM) (?=\")")


def _hide(connection: apsw.Connection, admin: int | None) -> None:
    """Let a connection have only what an admin works for, or all again. Names and numbers in the SQL are ours."""
    for table, condition in OF_OFFICES.items():
        connection.execute(f"DROP VIEW IF EXISTS temp.{table}")
        if admin is not None:
            mine = f"(SELECT office_id FROM main.admin_office WHERE admin_id = {admin:d})"  # noqa: S608
            here = condition.format(at="main", mine=mine)
            connection.execute(f"CREATE TEMP VIEW {table} AS SELECT * FROM main.{table} WHERE {here}")  # noqa: S608


def _bind(_cursor: apsw.Cursor, number: int, value: object) -> str:
    """Bind dates as ISO text. An aware datetime is refused: bound as text it would compare with no stored instant."""
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            raise TypeError(f"parameter {number} is an instant that did not pass through InstantField")
        return value.isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"cannot bind {type(value).__name__} as parameter {number}")


def _wait_while_busy(since: float | None = None) -> Callable[[int], bool]:
    """Says, told how often it was asked before, whether to try again, and waits a little before it says yes.

    BUSY_SECONDS from `since` (of time.monotonic) it says no; without it, from when it was first asked.
    """
    began = since

    def busy(tries: int) -> bool:
        nonlocal began
        now = time.monotonic()
        if began is None or (since is None and tries == 0):
            began = now
        if now - began >= BUSY_SECONDS:
            return False
        time.sleep(random.uniform(*_TRY_SECONDS))  # noqa: S311 - keeps two out of step; nothing depends on it
        return True

    return busy


class SqliteDatabase(Database, APSWDatabase):
    """Peewee's database over apsw, with the three repairs that money needs: errors, bindings, lost transactions."""

    _path: str = ":memory:"  # where it lies, wherever the process goes; from stay() on
    _file: object = None  # as _looks() says it; None until stay()
    _schema: int = 0

    @property
    def name(self) -> str:
        return str(self.database)

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(self.database, **self.connect_params)
        try:
            self._wait(connection)
            connection.convert_binding = _bind
            self._add_conn_hooks(connection)
            _hide(connection, self._sees)
        except BaseException:
            connection.close(True)
            raise
        return connection

    def _close(self, connection: apsw.Connection) -> None:
        connection.close(True)

    def cursor(self, named_cursor: None = None) -> _Cursor:
        return _Cursor(super().cursor())

    def _execute_cursor(self, sql: str, params: Any, **options: Any) -> Any:
        state = self._state
        # When SQLite has rolled back on its own, the block must not go on statement by statement outside of one.
        if (
            state.transactions
            and not state.closed
            and state.conn.get_autocommit()
            and not isinstance(state.transactions[-1], peewee._manual)
        ):
            raise LostTransaction("the database rolled the transaction back; nothing of it is stored")
        return super()._execute_cursor(self._past_views(sql), params, **options)

    def commit(self) -> bool:
        try:
            done = super().commit()
        except peewee.OperationalError as error:
            if isinstance(_reason(error), apsw.IOError):
                raise UncertainCommit(str(error)) from error
            raise
        if not done:
            raise LostTransaction("the database rolled the transaction back; nothing of it is stored")
        self.committed += 1
        return True

    @contextmanager
    def writing(self) -> Iterator[None]:
        self.refuse_to_write()
        with ExitStack() as turn:
            if not self.in_transaction():
                turn.enter_context(self._turn())
            with self._holding_the_lock():
                turn.close()
                yield

    @contextmanager
    def writing_at_once(self) -> Iterator[None]:
        self.refuse_to_write()
        connection = self.connection()
        connection.set_busy_handler(None)
        try:
            with self._holding_the_lock():
                yield
        finally:
            self._wait(connection)

    def whole(self, work: Callable[[], T], *, repeatable: bool = False) -> T:
        return work()  # a file has no connection that could be lost

    def only_read(self, only: bool = True) -> None:
        self.execute_sql(f"PRAGMA query_only = {only:d}")
        self.reads_only = only

    @contextmanager
    def _turn(self) -> Iterator[None]:
        connection, since = self.connection(), time.monotonic()
        with turns.turn(connection.filename_wal, BUSY_SECONDS * _PART_IN_LINE):
            self._wait(connection, since)
            try:
                yield
            finally:
                self._wait(connection)

    def see_only(self, admin: int | None) -> None:
        """Temporary views of this connection stand in front of the tables, so that no query has to think of it; they
        read the admin's offices anew each time.
        """
        if admin == self._sees:
            return
        self._sees = _NOBODY  # should it be interrupted, the next one begins anew
        only = self.reads_only
        self.only_read(False)  # making a view is a change to SQLite, though no file has it
        try:
            with __exception_wrapper__:
                _hide(self.connection(), admin)
        finally:
            self.only_read(only)
        self._sees = admin

    def _past_views(self, sql: str) -> str:
        """A statement that writes, to the table itself where a view stands in front of it."""
        return sql if self._sees is None else _WRITES.sub(r"\g<0>main.", sql, count=1)

    def stay(self) -> None:
        if self.database != ":memory:":
            self._path = os.path.abspath(self.database)
        self._file, self._schema = self._looks()

    def _look_again(self) -> None:
        if self._file is None:
            return
        file, schema = self._looks()
        if file != self._file:
            # What is open has no name any more: whatever was stored in it would be gone with this process.
            raise Unavailable(
                f"the database {self.database} was moved or replaced while it was open: nothing was stored; end this"
                " smartsub and start it again"
            )
        if schema != self._schema:
            refuse_newer(f"the database {self.database}", applied(self) or set())
            self._schema = schema

    def _looks(self) -> tuple[object, int]:
        """Which file the name leads to, as _file_at() says it, and how often its schema has changed."""
        (schema,) = self.execute_sql("PRAGMA schema_version").fetchone()
        return _file_at(self._path), schema

    def _wait(self, connection: apsw.Connection, since: float | None = None) -> None:
        connection.set_busy_handler(_wait_while_busy(since))

    @contextmanager
    def _holding_the_lock(self) -> Iterator[None]:
        self._keep_pages(_WRITING_KIB)
        try:
            with self.atomic("IMMEDIATE"):
                self._look_again()
                yield
        finally:
            self._keep_pages(_READING_KIB)

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self.atomic("DEFERRED"):
            yield

    def _keep_pages(self, kib: int) -> None:
        if not self.in_transaction():
            # Speed alone: an error of the database is told by the write, and where it has been told, it is not hidden.
            with suppress(peewee.PeeweeException):
                self.execute_sql(f"PRAGMA cache_size = -{kib}")

    @contextmanager
    def migrating(self) -> Iterator[None]:
        """Foreign keys are off while tables are rebuilt, and checked before the end."""
        self.execute_sql("PRAGMA foreign_keys = OFF")
        try:
            with self.writing():
                yield
                broken = self.execute_sql("PRAGMA foreign_key_check").fetchall()
                if broken:
                    raise peewee.IntegrityError(f"the migration would break {len(broken)} references")
        finally:
            self.execute_sql("PRAGMA foreign_keys = ON")

    def without_gaps(self, table: str) -> None:
        """They always do."""

    def count_together(self, table: str, *columns: str) -> None:
        """It goes by the indexes there are."""

    def append_only(self, table: str) -> None:
        for event in ("UPDATE", "DELETE"):
            self.execute_sql(
                f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )

    def unordered(self, column: peewee.Field) -> Any:
        return peewee.fn.COALESCE(column, "")

    def settled(self, *columns: peewee.Field) -> tuple[peewee.Field, ...]:
        return ()

    def listed(self, column: peewee.Field, query: Any) -> Any:
        # Peewee's own IN writes out a query twice, to see whether it is empty.
        return peewee.NodeList((column, peewee.SQL("IN"), query), parens=True)

    def insert_rows(self, fields: Sequence[peewee.Field], rows: Iterable[Sequence[Any]]) -> None:
        self.insert_stored(fields, stored(fields, rows))

    def insert_stored(self, fields: Sequence[peewee.Field], rows: Iterable[Sequence[Any]]) -> None:
        table, columns = fields[0].model._meta.table_name, ", ".join(f'"{each.column_name}"' for each in fields)
        marks = ", ".join(self.param for _ in fields)
        # Names of our own tables and columns; values go as parameters.
        self._execute_many(f'INSERT INTO "{table}" ({columns}) VALUES ({marks})', rows)  # noqa: S608

    def update_rows(self, fields: Sequence[peewee.Field], rows: Iterable[Sequence[Any]], *, keys: int = 1) -> None:
        table, equal = fields[0].model._meta.table_name, [f'"{each.column_name}" = {self.param}' for each in fields]
        columns, here = ", ".join(equal[:-keys]), " AND ".join(equal[-keys:])
        self._execute_many(f'UPDATE "{table}" SET {columns} WHERE {here}', stored(fields, rows))  # noqa: S608 - as above

    def _execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        cursor = self.cursor()
        with __exception_wrapper__:
            cursor.executemany(self._past_views(sql), rows)

    def data_version(self) -> int:
        # The pragma looks at the file; apsw's data_version() answers from what was last read, and so sees nobody else.
        (version,) = self.execute_sql("PRAGMA data_version").fetchone()
        return int(version)

    def engine(self) -> str:
        version = sqlite_version()
        if tuple(int(part) for part in version.split(".")) < _OLDEST:
            raise Refused(f"SQLite {version} can damage a database that several processes use: install a newer apsw")
        return f"SQLite {version}"

    def whole_check(self) -> str | None:
        """The file is read from its first to its last page."""
        with _stoppable(self.connection()):
            (first,) = self.execute_sql("PRAGMA integrity_check(1)").fetchone()
            if first != "ok":
                return str(first)
            broken = self.execute_sql("PRAGMA foreign_key_check").fetchone()
        return None if broken is None else f"a row of {broken[0]} leads nowhere"

    def copy_to(self, path: Path, told: Callable[[int, int], None] | None = None) -> None:
        # One reading transaction around all steps: else each write beside it would let the copy begin anew, for ever.
        with __exception_wrapper__, self.reading():
            self.execute_sql("SELECT 1 FROM sqlite_master").fetchone()
            copy = apsw.Connection(str(path))
            try:
                # Half a copy is thrown away: it needs no journal, which would stay behind where the process is killed.
                copy.pragma("journal_mode", "off")
                copy.pragma("synchronous", "off")
                with copy.backup("main", self.connection(), "main") as pages:
                    while not pages.done:
                        pages.step(_COPIED_PAGES)
                        if told is not None:
                            told(pages.page_count - pages.remaining, pages.page_count)
            finally:
                copy.close(True)

    def watch(self, unwanted: Callable[[], bool] | None, until: float | None = None, steps: int = 2000) -> None:
        stops = unwanted
        if unwanted is not None and until is not None:
            stops = lambda: time.perf_counter() > until or unwanted()  # noqa: E731
        self.connection().set_progress_handler(stops, steps)


@contextmanager
def _stoppable(connection: apsw.Connection) -> Iterator[None]:
    """Let Ctrl+C end a statement that takes long: Python sees to signals only where it is asked something."""
    connection.set_progress_handler(lambda: False, 100_000)
    try:
        yield
    finally:
        connection.set_progress_handler(None)


_COPIED_PAGES: Final = 2000  # at a time, 8 MB
# Before this SQLite several processes could damage a write-ahead log (sqlite.org/wal.html, the WAL-reset bug).
_OLDEST: Final = (3, 51, 3)


def sqlite_version() -> str:
    """The version of the SQLite in use, which is apsw's own."""
    return str(apsw.sqlite_lib_version())


def open_file(
    path: Path | None, *, create: bool = False, read_only: bool = False, bare: bool = False
) -> SqliteDatabase:
    """A database file, or None for one in memory, as `database.open_database` has it."""
    if path is not None:
        _look_for(path, create=create)
    with suppress(_Exchanged):
        return _opened(path, create=create, read_only=read_only, bare=bare)
    return _opened(path, create=create, read_only=read_only, bare=bare)


def _look_for(path: Path, *, create: bool) -> None:
    """See that there is a file, or make one with nothing in it."""
    try:
        there = path.exists()
        if there and path.stat().st_size:
            return
        old = max(path.parent.glob(f"{escape(path.name)}.*.old"), default=None)
    except OSError as error:
        raise Unavailable(f"the database {path} cannot be looked for: {error.strerror}") from error
    if create:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise Unavailable(f"cannot make the database {path}: {error.strerror}") from error
    elif there:
        raise Unavailable(
            f"the database {path} is empty: smartsub recover puts a backup in its place, smartsub init makes a new one"
        )
    elif old is not None:
        raise Unavailable(
            f"no database at {path}, but {old.name} stands beside it: smartsub recover puts that or a backup in its"
            " place, smartsub init makes a new one"
        )
    else:
        raise Unavailable(f"no database at {path}: smartsub init")


def _opened(path: Path | None, *, create: bool, read_only: bool, bare: bool) -> SqliteDatabase:
    """Raises _Exchanged as well."""
    name = ":memory:" if path is None else str(path)
    database = SqliteDatabase(
        name,
        # Without recursive triggers a REPLACE would remove a row of an append-only table unseen.
        pragmas={"synchronous": "full", "foreign_keys": 1, "recursive_triggers": 1, "cache_size": -_READING_KIB},
        autoconnect=False,
        lock_type="IMMEDIATE",
    )
    what = f"the database {name}"
    try:
        # Behind its first read a connection to a log has a lock on its file, and from then on recover() refuses.
        with _of_one_file(name), available(what):
            database.connect()
            applied(database)  # before anything is written: not even the journal of someone else's database is changed
            if read_only:
                database.only_read()
            else:
                _keep_a_log(database)
        with available(what):
            models.proxy.initialize(database)
            if read_only:
                refuse_older(database)
            elif not bare:
                migrate(database, create=create)
            database.stay()
    except BaseException:
        database.close()
        raise
    return database


class _Exchanged(Unavailable):
    """What was opened is no longer what the name of the database leads to."""


@contextmanager
def _of_one_file(name: str) -> Iterator[None]:
    """Raise _Exchanged where `name` leads to another file in the end, whatever came of it: the log beside it is that
    one's."""
    before, failed = _file_at(name), None
    try:
        yield
    except Unavailable as error:
        failed = error
    if _file_at(name) != before:
        raise _Exchanged(f"the database {name} was replaced while it was opened: try again") from failed
    if failed is not None:
        raise failed


def _file_at(name: str) -> object:
    """Which file a name leads to: False for a database in memory, None for no file."""
    if name == ":memory:":
        return False
    try:
        seen = os.stat(name)
    except OSError:
        return None
    return seen.st_dev, seen.st_ino


def _reason(error: BaseException) -> apsw.Error | None:
    """What SQLite itself said, behind the error that Peewee made of it."""
    return next((cause for cause in causes(error) if isinstance(cause, apsw.Error)), None)


_SENTENCES: Final[tuple[tuple[type[apsw.Error], str], ...]] = (
    (apsw.BusyError, "{what} is busy: another process has been writing for too long; try again"),
    (apsw.FullError, "{what} cannot grow, the disk is full: nothing was stored; make room and try again"),
    (apsw.ReadOnlyError, "{what} is read-only: check who owns it and its folder"),
    (apsw.CantOpenError, "{what} cannot be opened: check that it and its folder may be read and written"),
    (apsw.NotADBError, "{what} is not a database: name another file with --database"),
    (apsw.CorruptError, "{what} is damaged: stop using it and restore a backup"),
    (apsw.IOError, "{what} cannot be read or written, the disk reports an error: nothing was stored"),
)


def sentence(what: str, error: BaseException) -> str:
    """What went wrong with `what`, and what to do."""
    cause = _reason(error)
    if isinstance(error, UncertainCommit):
        return (
            f"the disk reported an error while {what} was written: whether it was stored is not known; look, or give"
            " the same command again with its --request-id"
        )
    if getattr(cause, "extendedresult", None) == apsw.SQLITE_IOERR_SHMSIZE:
        cause = apsw.FullError()  # there is not even room for what the processes share, which reading needs too
    for kind, words in _SENTENCES:
        if isinstance(cause, kind):
            return words.format(what=what)
    return f"{what} cannot be used: {error}"


def is_of_a_value(error: BaseException) -> bool:
    """Whether SQLite refused what was to be stored, and is well itself."""
    return isinstance(_reason(error), apsw.ConstraintError | apsw.MismatchError | apsw.TooBigError)


def was_interrupted(error: BaseException) -> bool:
    """Whether a statement ended because its watcher no longer wanted it."""
    return isinstance(_reason(error), apsw.InterruptError)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a database file, where it is one that SQLite can hold, so that no other process has it open.

    All of it stands in the file itself then, and none in a log beside it. Its name may be given to another file
    meanwhile: at the end SQLite sees that, and leaves the log of that one alone. Raises Refused where another has it
    open.
    """
    connection = None
    try:
        try:
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            connection.set_busy_timeout(0)
            connection.pragma("locking_mode", "exclusive")
            connection.execute("BEGIN EXCLUSIVE; COMMIT")
            connection.pragma("wal_checkpoint", "truncate")
        except apsw.BusyError as error:
            raise Refused(f"the database {path} is in use: end every smartsub on it first") from error
        except apsw.Error:
            pass  # damaged, or none at all
        yield
    finally:
        if connection is not None:
            connection.close(True)


def role_in(path: Path, admin: str) -> str | None:
    """The role of an admin in a whole database file that nobody writes; None where it has no such admin, or no more."""
    role = _found_in(path, "SELECT role FROM admin WHERE name = ? AND disabled_at IS NULL", admin)
    return None if role is None else str(role)


def is_disabled_in(path: Path, admin: str) -> bool:
    """Whether an admin is disabled in a database file that is held `alone`; not where that cannot be read."""
    try:
        sql = "SELECT 1 FROM admin WHERE name = ? AND disabled_at IS NOT NULL"
        return _found_in(path, sql, admin) is not None
    except apsw.Error:
        return False


def works_for_some_in(path: Path, admin: str) -> bool:
    """Whether an admin works for some offices only, in a database file that nobody writes; not where that is not known:
    before version 3 all worked for all.
    """
    sql = "SELECT 1 FROM admin_office o JOIN admin a ON a.id = o.admin_id WHERE a.name = ?"
    try:
        return _found_in(path, sql, admin) is not None
    except apsw.Error:
        return False


def has_event(path: Path, hash: str) -> bool:
    """Whether the audit trail of a whole database file that nobody writes has an event with that hash."""
    return _found_in(path, "SELECT 1 FROM audit_event WHERE hash = ?", hash) is not None


def _found_in(path: Path, sql: str, value: str) -> Any:
    database = apsw.Connection(f"{path.absolute().as_uri()}?immutable=1", flags=_ASIDE)
    try:
        return next((found for (found,) in database.execute(sql, (value,))), None)
    finally:
        database.close(True)


# As a file that does not change it is read without a lock, and without the files that a log needs beside it.
_ASIDE: Final = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI


class Contents(Struct, frozen=True):
    """What a whole database file holds. `newest`: when what its audit trail tells of last was done; `head` its hash."""

    orders: int
    users: int
    newest: datetime | None
    head: str


def look_into(path: Path, what: str) -> Contents:
    """Read a file that nobody writes, and that people know as `what`, from its first to its last page; what is in it.

    Raises Unavailable where it is no database of smartsub, damaged, or made by a newer version. The file and its
    folder stay as they are.
    """
    try:
        with __exception_wrapper__:
            return _contents(path, what)
    except peewee.DatabaseError as error:
        raise Unavailable(f"{what} cannot be read as a database ({error}): take another backup") from error


def _contents(path: Path, what: str) -> Contents:
    database = apsw.Connection(f"{path.absolute().as_uri()}?immutable=1", flags=_ASIDE)
    try:

        def first(sql: str) -> Any:
            return next(iter(database.execute(sql)), (None,))[0]

        if not first("SELECT count(*) FROM sqlite_master WHERE name = 'schema_migration'"):
            raise Unavailable(f"{what} is not a database of smartsub: name another file")
        refuse_newer(what, {str(name) for (name,) in database.execute("SELECT name FROM schema_migration")})
        with _stoppable(database):
            if (wrong := first("PRAGMA integrity_check(1)")) != "ok":
                raise Unavailable(f"{what} is damaged ({wrong}): take another backup")
            if (table := first("PRAGMA foreign_key_check")) is not None:
                raise Unavailable(f"{what} is damaged (a row of {table} leads nowhere): take another backup")
        newest, head = next(
            iter(database.execute("SELECT at, hash FROM audit_event ORDER BY id DESC LIMIT 1")), (None, "")
        )
        return Contents(
            orders=first("SELECT count(*) FROM orders"),
            users=first("SELECT count(*) FROM users"),
            newest=None if newest is None else from_microseconds(newest),
            head=head,
        )
    finally:
        database.close(True)


def _keep_a_log(database: SqliteDatabase) -> None:
    """Switch to write-ahead logging, which a database then keeps.

    Of several processes that open a new database at once only one can switch it, and SQLite tells the others at once
    that it is busy, without asking the busy handler.
    """
    wait, tries = _wait_while_busy(), 0
    while True:
        try:
            database.execute_sql("PRAGMA journal_mode = wal").fetchall()
            return
        except peewee.OperationalError as error:
            if not (isinstance(_reason(error), apsw.BusyError) and wait(tries)):
                raise
            tries += 1
