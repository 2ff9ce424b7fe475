"""PostgreSQL: a database on a server, and all that only this engine understands.

psycopg comes with the first database of a server, and with no other. Values go into the SQL at this end, so that
nothing is prepared on the server and an index on some rows serves as it does in SQLite. What a statement depends on
beside its text (whose offices are seen, that nothing is written) is sent with it and ends with its transaction: behind
PgBouncer in transaction mode the next statement may run in another session.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import peewee

from smartsub_tui.data import models, server_url
from smartsub_tui.data.database import (
    BLOCK,
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
from smartsub_tui.data.server_url import ServerUrl
from smartsub_tui.errors import Refused, Unavailable

if "psycopg" in sys.modules and sys.modules["psycopg"] is None:  # smartsub_tui keeps it from being imported
    del sys.modules["psycopg"]
try:
    import psycopg
    from psycopg import errors
    from psycopg.pq import ConnStatus, TransactionStatus
except ModuleNotFoundError as missing:
    raise Unavailable(
        "PostgreSQL needs the package psycopg, which is not installed: install smartsub-tui[postgres]"
    ) from missing

OLDEST: Final = 14
BUSY_SECONDS: Final = 10.0  # that one waits for the turn to write, as for a file
# How long a statement of a write may take, and how long its transaction may stand still: whoever hangs there, or is cut
# off, keeps everyone else from writing.
_STATEMENT_SECONDS: Final = 60
_STANDSTILL_SECONDS: Final = 60
_LOOK_SECONDS: Final = 0.01  # between two looks whether a statement is still wanted
_CANCEL_SECONDS: Final = 3.0
_WRITERS: Final = 7_365_211_019_843_772  # the advisory lock of those who write; it is of one database
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


class Busy(peewee.OperationalError):
    """Another process writes, and this one was not to wait."""


class Unwanted(psycopg.OperationalError):
    """A statement was ended because its watcher no longer wanted it."""


# The driver, as Peewee is to use it. Its stubs say too little of what is changed here.
_BaseAdapter: Any = peewee.Psycopg3Adapter
_Base: Any = peewee.PostgresqlDatabase


class _Whole(psycopg.adapt.Loader):
    """A numeric as an integer: it only comes of sums of integers."""

    def load(self, data: Any) -> int:
        return int(bytes(data))


class _Text(psycopg.adapt.Loader):
    """A date as the text that SQLite stores it as: DayField reads it, exports write it as it is."""

    def load(self, data: Any) -> str:
        return bytes(data).decode()


class _Connection(psycopg.Connection[Any]):
    """A connection that looks, while a statement runs, whether it is still wanted."""

    unwanted: Callable[[], bool] | None = None

    def wait(self, gen: Any, interval: float = _LOOK_SECONDS, timeout: float | None = None) -> Any:
        if self.unwanted is None:
            return super().wait(gen, timeout=timeout)
        return super().wait(self._watched(gen, self.unwanted), interval, timeout)

    def _watched(self, gen: Any, unwanted: Callable[[], bool]) -> Generator[Any, Any, Any]:
        ended = False
        try:
            state = next(gen)
            while True:
                ready = yield state
                if not ready and not ended and unwanted():
                    ended = True
                    # Where the server is not reached by another connection, the statement runs to its end.
                    with suppress(psycopg.Error):
                        self.cancel_safe(timeout=_CANCEL_SECONDS)
                state = gen.send(ready)
        except StopIteration as last:
            return last.value
        except errors.QueryCanceled as error:
            if ended:
                raise Unwanted("it is no longer wanted") from error
            raise


class _Cursor(psycopg.ClientCursor[Any]):
    """Several statements may be sent as one text: the rows are those of the last."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        super().execute(query, params or None, **options)
        while self.nextset():
            pass
        return self


class _Adapter(_BaseAdapter):
    """Peewee's way to psycopg, which Peewee itself has not imported."""

    txn_idle, txn_inerror, txn_unknown = TransactionStatus.IDLE, TransactionStatus.INERROR, TransactionStatus.UNKNOWN

    def __init__(self) -> None:
        self.isolation_levels_inv: dict[str, int] = {}

    def check_driver(self) -> None:
        pass

    def connect(self, db: PostgresDatabase, **parameters: Any) -> _Connection:
        connection = _Connection.connect(
            **{**_CONNECTING, **parameters, "dbname": db.database},
            autocommit=True,
            cursor_factory=_Cursor,
            prepare_threshold=None,
        )
        connection.adapters.register_loader("numeric", _Whole)
        connection.adapters.register_loader("date", _Text)
        return connection


# Transactions of each kind: what begins them, in one message to the server


def _begin(*settings: str, mode: str = "") -> str:
    return "; ".join((f"BEGIN {mode}".rstrip(), *(f"SET LOCAL {each}" for each in settings)))


def _writing(lock: str) -> str:
    return "; ".join(
        (
            _begin(
                f"lock_timeout = '{BUSY_SECONDS * 1000:.0f}ms'",
                f"idle_in_transaction_session_timeout = '{_STANDSTILL_SECONDS}s'",
                f"statement_timeout = '{_STATEMENT_SECONDS}s'",
            ),
            f"SELECT {lock}({_WRITERS})",
        )
    )


_MIGRATING: Final = f"{_begin('lock_timeout = 0', 'statement_timeout = 0')}; SELECT pg_advisory_xact_lock({_WRITERS})"
# Whoever reads at length holds nobody up, and a program that takes rows slowly (a pager) is no reason to end it.
_READING: Final = _begin("idle_in_transaction_session_timeout = 0", mode="ISOLATION LEVEL REPEATABLE READ")

_WRITES: Final = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM) (?=\")")
_OF_TRANSACTIONS: Final = ("SAVEPOINT", "RELEASE", "ROLLBACK")
_NOT_KNOWN: Final = -1  # no admin's row id


class PostgresDatabase(Database, _Base):
    """Peewee's database over psycopg, with the promises of Database.

    Those who write take turns by an advisory lock, which each transaction holds to its end: counters, the head of the
    audit trail and order numbers rely on one writer at a time, as SQLite has it. The server lets them in as they came.
    """

    psycopg2_adapter = psycopg3_adapter = _Adapter
    # A row id that counts to two thousand million is too small for lines and events; text sorts by code point, as in
    # SQLite, whatever the locale of the database is.
    field_types = {  # noqa: RUF012 - Peewee reads it so
        **peewee.PostgresqlDatabase.field_types,
        "AUTO": "BIGSERIAL",
        "INT": "BIGINT",
        "TEXT": 'TEXT COLLATE "C"',
    }
    _told: int | None = None  # which admin's offices the transaction under way was told to see
    _tables: str = "public"  # the schema of the tables
    _stays: str | None = None  # the last migration, as it was found; None until stay()

    def __init__(self, url: ServerUrl) -> None:
        self.url = url
        super().__init__(url.name, autoconnect=False, **url.parameters)

    @property
    def name(self) -> str:
        return self.url.shown

    def _connect(self) -> _Connection:
        connection: _Connection = super()._connect()
        try:
            self._take(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _take(self, connection: _Connection) -> None:
        """Look whether the server is one to work with; raises Unavailable where it is not."""
        status = connection.info.parameter_status
        if connection.info.server_version < OLDEST * 10_000:
            version = status("server_version")
            raise Unavailable(f"{self.name} is on PostgreSQL {version}, which is too old: {OLDEST} or newer is needed")
        if (encoding := status("server_encoding")) != "UTF8":
            raise Unavailable(
                f"{self.name} is of the encoding {encoding}, which has not all characters: make a database with"
                " ENCODING 'UTF8'"
            )
        if not (status("DateStyle") or "").startswith("ISO"):
            connection.execute("SET datestyle = ISO")  # PgBouncer knows this one, and hands it on
        (schema,) = connection.execute("SELECT current_schema()").fetchone() or (None,)
        if schema is None:
            raise Unavailable(f"{self.name} has no schema for tables: let CREATE SCHEMA public make one")
        self._tables = schema

    # Statements

    def _execute_cursor(self, sql: str, params: Any, **options: Any) -> Any:
        if sql.startswith(_OF_TRANSACTIONS):
            # With a savepoint what was told since then is taken back: it is told anew.
            self._told = _NOT_KNOWN
            return super()._execute_cursor(sql, params, **options)
        unwanted = None if self.is_closed() else self.connection().unwanted
        if unwanted is not None and unwanted():
            with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
                raise Unwanted("it is no longer wanted")
        before = []
        if not self.in_transaction():
            if self._sees is not None:
                before = self._seeing(self._sees)
            if self.reads_only:
                before.append("SET LOCAL transaction_read_only = on")
        elif self._sees != self._told:
            before = self._seeing(self._sees)
            self._told = self._sees
        return super()._execute_cursor("; ".join((*before, self._past_views(sql))), params, **options)

    def _seeing(self, admin: int | None) -> list[str]:
        """What lets a transaction have only what an admin works for, or all. Names and numbers in it are ours."""
        if admin is None:
            return ["SET LOCAL search_path TO DEFAULT"]
        return [
            f"SET LOCAL search_path = {_quoted(self._views)}, {_quoted(self._tables)}",
            f"SET LOCAL smartsub.admin = '{admin:d}'",
        ]

    @property
    def _views(self) -> str:
        """The schema of the views in front of the tables."""
        return f"{self._tables}_seen"

    def _past_views(self, sql: str) -> str:
        """A statement that writes, to the table itself where a view stands in front of it."""
        return sql if self._sees is None else _WRITES.sub(rf"\g<0>{_quoted(self._tables)}.", sql, count=1)

    # Transactions

    def begin(self, kind: str = "BEGIN") -> None:
        """Begin a transaction by the statements of its `kind`."""
        if self.reads_only:
            kind = f"{kind}; SET LOCAL transaction_read_only = on"
        self._told = None
        try:
            with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
                self._begun = self.cursor().execute(kind)
        except BaseException:
            self.rollback()  # it may have begun, and stand there with the error
            raise

    def commit(self) -> bool:
        connection: _Connection = self.connection()
        if connection.info.transaction_status != TransactionStatus.INTRANS:
            # A statement failed: the server would answer COMMIT by rolling back, and call that well.
            raise LostTransaction("the database rolled the transaction back; nothing of it is stored")
        try:
            super().commit()
        except peewee.OperationalError as error:
            if connection.pgconn.status == ConnStatus.BAD:
                raise UncertainCommit(str(error)) from error
            raise
        self.committed += 1
        return True

    def rollback(self) -> bool:
        """Where the connection is lost there is nothing to roll back, and what says so must not be hidden."""
        if self.is_closed() or self.connection().pgconn.status == ConnStatus.BAD:
            return False
        super().rollback()
        return True

    @contextmanager
    def writing(self) -> Iterator[None]:
        self.refuse_to_write()
        within = self.in_transaction()
        with self.atomic(_writing("pg_advisory_xact_lock")):
            if within:  # of one that may have begun as a reading one
                self.execute_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")
            self._look_again()
            yield

    @contextmanager
    def writing_at_once(self) -> Iterator[None]:
        self.refuse_to_write()
        within = self.in_transaction()
        with self.atomic(_writing("pg_try_advisory_xact_lock")):
            if not within and not self._begun.fetchone()[0]:
                raise Busy("another process writes")
            self._look_again()
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self.atomic(_READING):
            yield

    @contextmanager
    def migrating(self) -> Iterator[None]:
        """What stands in front of the tables would not let them be changed: it is made anew behind the last script."""
        views, tables = _quoted(self._views), _quoted(self._tables)
        with self.atomic(_MIGRATING):
            self.execute_sql(f"DROP SCHEMA IF EXISTS {views} CASCADE")
            yield
            self.execute_sql(f"CREATE SCHEMA {views}")
            mine = (
                f"(SELECT office_id FROM {tables}.admin_office"  # noqa: S608 - names of ours
                " WHERE admin_id = nullif(current_setting('smartsub.admin', true), '')::bigint)"
            )
            for table, condition in OF_OFFICES.items():
                here = condition.format(at=tables, mine=mine)
                self.execute_sql(f"CREATE VIEW {views}.{table} AS SELECT * FROM {tables}.{table} WHERE {here}")  # noqa: S608

    def only_read(self, only: bool = True) -> None:
        """It is said anew in each transaction."""
        self.reads_only = only

    def stay(self) -> None:
        self._stays = self.schema()

    def _look_again(self) -> None:
        if self._stays is None:
            return
        (newest,) = self.execute_sql("SELECT max(name) FROM schema_migration").fetchone()
        if newest != self._stays:
            refuse_newer(f"the database {self.name}", applied(self) or set())
            self._stays = newest

    # What is seen

    def see_only(self, admin: int | None) -> None:
        """Views stand in front of the tables, in a schema that a transaction looks into first, so that no query has to
        think of it; they read the admin's offices anew each time.
        """
        self._sees = admin

    def data_version(self) -> int:
        """What is visible changes exactly when a snapshot does; that of other databases of the server, too."""
        (snapshot,) = self.execute_sql("SELECT pg_current_snapshot()::text").fetchone()
        return hash(snapshot)

    def watch(self, unwanted: Callable[[], bool] | None) -> None:
        self.connection().unwanted = unwanted

    def unordered(self, column: peewee.Field) -> Any:
        return column  # the server weighs by itself what an index costs

    def settled(self, *columns: peewee.Field) -> tuple[peewee.Field, ...]:
        return columns

    # Many rows

    def insert_rows(self, fields: Sequence[peewee.Field], rows: Iterable[Sequence[Any]]) -> None:
        self.insert_stored(fields, stored(fields, rows))

    def insert_stored(self, fields: Sequence[peewee.Field], rows: Iterable[Sequence[Any]]) -> None:
        table, columns = fields[0].model._meta.table_name, ", ".join(f'"{each.column_name}"' for each in fields)
        for values, parameters in _blocks(rows, len(fields)):
            self.execute_sql(f'INSERT INTO "{table}" ({columns}) VALUES {values}', parameters)  # noqa: S608 - ours
        for field in fields:
            if isinstance(field, peewee.AutoField):  # whose next one is to be behind those that were given
                self.execute_sql(
                    f"SELECT setval(pg_get_serial_sequence(%s, %s), max({field.column_name}))"  # noqa: S608 - ours
                    f" FROM {_quoted(self._tables)}.{table} HAVING max({field.column_name}) > 0",
                    (f"{_quoted(self._tables)}.{table}", field.column_name),
                )

    def update_rows(self, fields: Sequence[peewee.Field], rows: Iterable[Sequence[Any]], *, keys: int = 1) -> None:
        table = fields[0].model._meta.table_name
        # Of values alone the server cannot tell a date from a text, or what a column of nothing is.
        equal = [f'{{}}"{each.column_name}" = v.c{place}::{self._type_of(each)}' for place, each in enumerate(fields)]
        columns = ", ".join(each.format("") for each in equal[:-keys])
        here = " AND ".join(each.format(f'"{table}".') for each in equal[-keys:])
        names = ", ".join(f"c{place}" for place in range(len(fields)))
        for values, parameters in _blocks(stored(fields, rows), len(fields)):
            self.execute_sql(
                f'UPDATE "{table}" SET {columns} FROM (VALUES {values}) AS v ({names}) WHERE {here}',  # noqa: S608
                parameters,
            )

    def _type_of(self, field: peewee.Field) -> str:
        kind = "INT" if isinstance(field, peewee.AutoField) else field.field_type
        return str(self._field_types.get(kind, kind))

    # The whole

    def without_gaps(self, table: str) -> None:
        """A sequence would pass over what was rolled back. Two never count at once: whoever writes has the lock."""
        self.execute_sql(
            "CREATE OR REPLACE FUNCTION next_id() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF NEW.id IS NULL THEN"
            " EXECUTE format('SELECT coalesce(max(id), 0) + 1 FROM %I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO NEW.id;"
            " END IF; RETURN NEW; END $$"
        )
        self.execute_sql(f"ALTER TABLE {table} ALTER id DROP DEFAULT")
        self.execute_sql(f"DROP SEQUENCE {table}_id_seq")
        self.execute_sql(
            f"CREATE TRIGGER {table}_next_id BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION next_id()"
        )

    def append_only(self, table: str) -> None:
        self.execute_sql(
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';"
            " END $$"
        )
        for name, event in (("change", "UPDATE OR DELETE"), ("truncate", "TRUNCATE")):
            self.execute_sql(
                f"CREATE TRIGGER {table}_no_{name} BEFORE {event} ON {table} FOR EACH STATEMENT"
                " EXECUTE FUNCTION refuse_change()"
            )

    def engine(self) -> str:
        for setting, why in _SAFE.items():
            (value,) = self.execute_sql("SELECT current_setting(%s)", (setting,)).fetchone()
            if value == "off":
                raise Refused(f"{setting} is off on the server, and {why}: let its administrator turn it on")
        return f"PostgreSQL {self.connection().info.parameter_status('server_version')}"

    def whole_check(self) -> str | None:
        """What the server knows of by itself: pages whose sums were wrong, and rules that were never looked at."""
        (failures,) = self.execute_sql(
            "SELECT coalesce(sum(checksum_failures), 0) FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
        if failures:
            return f"the server found {failures} pages whose sum is wrong"
        found = self.execute_sql(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE NOT convalidated AND connamespace ="
            " to_regnamespace(%s) ORDER BY 1, 2 LIMIT 1",
            (_quoted(self._tables),),
        ).fetchone()
        return None if found is None else f"nobody has looked whether {found[0]} keeps its rule {found[1]}"

    def copy_to(self, path: Path, told: Callable[[int, int], None] | None = None) -> None:
        raise Refused("a database on a server is backed up by the server's own means, as pg_dump: docs/postgres.md")


_SAFE: Final = {
    "fsync": "what was stored can be lost, or damaged, when its machine stops",
    "full_page_writes": "a page can be damaged when its machine stops",
    "synchronous_commit": "what was paid can be forgotten when its machine stops",
}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _blocks(rows: Iterable[Sequence[Any]], columns: int) -> Iterator[tuple[str, list[Any]]]:
    """Rows as the text of so many VALUES and their parameters, block by block."""
    left, row = iter(rows), f"({', '.join(['%s'] * columns)})"
    while block := list(islice(left, BLOCK)):
        yield ", ".join([row] * len(block)), list(chain.from_iterable(block))


# Opening


def open_url(url: str, *, create: bool = False, read_only: bool = False) -> PostgresDatabase:
    """A database on a server, as `database.open_database` has it."""
    parts = server_url.parse(url)
    database = PostgresDatabase(parts)
    try:
        try:
            database.connect()
        except peewee.DatabaseError as error:
            raise Unavailable(_unreachable(parts, error)) from error
        with available(f"the database {database.name}"):
            if applied(database) is None and not create:
                raise Unavailable(f"{database.name} has no tables of smartsub: smartsub init makes them")
            if read_only:
                database.only_read()
            models.proxy.initialize(database)
            if read_only:
                refuse_older(database)
            else:
                migrate(database, create=create)
            database.stay()
    except BaseException:
        database.close()
        raise
    return database


# What is said where no connection comes about, and what to do. The server tells its own codes only behind a log-in, so
# its words are looked for; in another language the last sentence is left.
_UNREACHABLE: Final[tuple[tuple[str, str], ...]] = (
    (
        r"password authentication failed",
        "{name} does not take the password of {user}: write the right one into the URL",
    ),
    (
        r"no password supplied|password is required",
        "{name} wants a password: write it into the URL, as postgresql://USER:PASSWORD@..., or into ~/.pgpass",
    ),
    (
        r"server does not support SSL",
        "{name} is asked for by TLS, and the server has none: set it up there, or take sslmode out of the URL",
    ),
    (r"certificate|SSL error", "{name} cannot be reached by TLS, its certificate does not hold: {said}"),
    (r"no pg_hba\.conf entry.*no encryption", "{name} lets {user} in by TLS alone: add ?sslmode=require to the URL"),
    (r"no pg_hba\.conf entry", "{name} lets nobody in as {user} from here: its administrator adds it to pg_hba.conf"),
    (
        r"(?:authentication failed|role .* does not exist)",
        "{name} does not know {user}, or not from here: name another user in the URL, or have it made (CREATE ROLE)",
    ),
    (
        r"database .* does not exist",
        "the server has no database {database}: have it made (CREATE DATABASE), or name another",
    ),
    (
        r"permission denied for database",
        "{name} does not let {user} connect: GRANT CONNECT ON DATABASE, or another user",
    ),
    (r"too many clients|connection slots|too many connections", "{name} has no connection left: try again in a while"),
    (r"starting up|shutting down|recovery mode", "{name} is starting or stopping: try again in a moment"),
    (r"failed to resolve|could not translate|Name or service", "no host is called {host}: look at the database's URL"),
    (
        r"read-write|session is read-only|standby mode",
        "no server of {name} takes changes: wait until one does, or name it",
    ),
    (
        r"refused|No such file|timed? ?out|timeout|unreachable|No route",
        "nothing answers at {host}: look whether PostgreSQL runs there and lets this machine in, and at the URL",
    ),
)


def _unreachable(url: ServerUrl, error: BaseException) -> str:
    said = " ".join(str(next((each for each in causes(error) if isinstance(each, psycopg.Error)), error)).split())
    if url.password:
        said = said.replace(url.password, "...")
    places = zip(url.hosts, url.ports, strict=True)
    host = ", ".join(f"{host or 'this machine'}{f':{port}' if port else ''}" for host, port in places)
    user = url.user or "this user"
    for pattern, sentence in _UNREACHABLE:
        if re.search(pattern, said):
            return sentence.format(name=url.shown, user=user, database=url.name, host=host, said=_last(said))
    return f"{url.shown} cannot be reached: {_last(said)}"


def _last(said: str) -> str:
    """What a message comes to: it begins with where, and may tell of several tries."""
    return re.split(r"(?:FATAL|failed): +", said)[-1].rstrip(". ")


# What goes wrong later

_SENTENCES: Final[tuple[tuple[type[psycopg.Error], str], ...]] = (
    (errors.LockNotAvailable, "{what} is busy: another process has been writing for too long; try again"),
    (errors.DeadlockDetected, "{what} is busy: another process was in the way; try again"),
    (errors.SerializationFailure, "{what} is busy: another process was in the way; try again"),
    (errors.QueryCanceled, "{what} took too long to answer: nothing was stored; try again"),
    (errors.DiskFull, "{what} cannot grow, the server's disk is full: nothing was stored; make room and try again"),
    (errors.TooManyConnections, "{what} has no connection left: try again in a while"),
    (errors.ReadOnlySqlTransaction, "{what} is read-only there: name the server that takes changes"),
    (
        errors.InsufficientPrivilege,
        "{what} does not give this user the rights that smartsub needs ({said}): docs/postgres.md says which",
    ),
    (errors.IdleInTransactionSessionTimeout, "{what} was left waiting for too long: nothing was stored; try again"),
    (errors.ProgramLimitExceeded, "{what} keeps no name of more than 2,600 bytes: shorten it"),
    (errors.IndexCorrupted, "{what} is damaged: stop using it and restore a backup"),
    (errors.DataCorrupted, "{what} is damaged: stop using it and restore a backup"),
)


def sentence(what: str, error: BaseException) -> str:
    """What went wrong with `what`, and what to do."""
    if isinstance(error, UncertainCommit):
        return (
            f"the connection to {what} was lost while it was written: whether it was stored is not known; look, or give"
            " the same command again with its --request-id"
        )
    if isinstance(error, Busy):
        return f"{what} is busy: another process is writing; try again"
    said = next((each for each in causes(error) if isinstance(each, psycopg.Error)), None)
    for kind, words in _SENTENCES:
        if isinstance(said, kind):
            return words.format(what=what, said=said.diag.message_primary)
    if isinstance(said, errors.AdminShutdown | errors.CrashShutdown) or _is_lost(said):
        return f"the connection to {what} was lost: nothing was stored; end this smartsub and start it again"
    return f"{what} cannot be used: {' '.join(str(error).split())}"


def _is_lost(error: psycopg.Error | None) -> bool:
    return error is not None and error.pgconn is not None and error.pgconn.status == ConnStatus.BAD


def was_interrupted(error: BaseException) -> bool:
    """Whether a statement ended because its watcher no longer wanted it."""
    return any(isinstance(each, Unwanted) for each in causes(error))
