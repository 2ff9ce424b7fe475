"""PostgreSQL: a database on a server, and all that only this engine understands.

psycopg comes with the first database of a server, and with no other. Values go into the SQL at this end, so that
nothing is prepared on the server and an index on some rows serves as it does in SQLite. What a statement depends on
beside its text (whose offices are seen, that nothing is written) is sent with it and ends with its transaction: behind
PgBouncer in transaction mode the next statement may run in another session.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext, suppress
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, Final, TypeVar

import peewee

from smartsub_tui.data import models, postgres_hosts, server_url
from smartsub_tui.data.database import (
    BLOCK,
    OF_OFFICES,
    Database,
    LostTransaction,
    NotStored,
    Patience,
    UncertainCommit,
    applied,
    available,
    causes,
    migrate,
    refuse_newer,
    refuse_older,
    scripts,
    stored,
)
from smartsub_tui.data.postgres_connection import CHANNEL, Adapter, Connection
from smartsub_tui.data.postgres_errors import Busy, NotBack, TakesNoChanges, Unreachable, Unwanted, is_behind
from smartsub_tui.data.postgres_hosts import Passes
from smartsub_tui.data.psycopg_driver import TransactionStatus, errors, psycopg
from smartsub_tui.data.server_url import ServerUrl
from smartsub_tui.errors import NotAllowed, NotFound, Refused, Unavailable

T = TypeVar("T")
OLDEST: Final = 14
BUSY_SECONDS: Final = 10.0  # that one waits for the turn to write, as for a file
# How long a statement of a write may take, and how long its transaction may stand still: whoever hangs there, or is cut
# off, keeps everyone else from writing.
_STATEMENT_SECONDS: Final = 60
_STANDSTILL_SECONDS: Final = 60
_WRITERS: Final = 7_365_211_019_843_772  # the advisory lock of those who write; it is of one database
# Where the connection was lost, the next one is tried for at once, then after so many seconds, doubled each time.
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0
_ASKED_EVERY: Final = 0.05  # seconds between two looks whether it is waited on
# What ends each new connection too, as a statement that brings the server down, is not sent for ever.
_MOST_LOSSES: Final = 6

# Peewee's stubs say too little of what is changed here.
_Base: Any = peewee.PostgresqlDatabase


# Transactions of each kind: what begins them, in one message to the server


def _begin(*settings: str, mode: str = "") -> str:
    return "; ".join((f"BEGIN {mode}".rstrip(), *(f"SET LOCAL {each}" for each in settings)))


# A word in the log, which nobody reads: a COMMIT with nothing in the log waits for no standby.
_WAIT_FOR_STANDBY: Final = "SELECT pg_logical_emit_message(true, 'smartsub', '')"


def _writing(lock: str) -> str:
    return "; ".join(
        (
            _begin(
                f"lock_timeout = '{BUSY_SECONDS * 1000:.0f}ms'",
                f"idle_in_transaction_session_timeout = '{_STANDSTILL_SECONDS}s'",
                f"statement_timeout = '{_STATEMENT_SECONDS}s'",
            ),
            f"NOTIFY {CHANNEL}",  # heard when it commits, and only then
            f"SELECT {lock}({_WRITERS})",
        )
    )


_MIGRATING: Final = f"{_begin('lock_timeout = 0', 'statement_timeout = 0')}; SELECT pg_advisory_xact_lock({_WRITERS})"
# Whoever reads at length holds nobody up, and a program that takes rows slowly (a pager) is no reason to end it.
_READING: Final = _begin("idle_in_transaction_session_timeout = 0", mode="ISOLATION LEVEL REPEATABLE READ")

_WRITES: Final = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM) (?=\")")
_READS: Final = ("SELECT", "(SELECT", "WITH")
_OF_TRANSACTIONS: Final = ("SAVEPOINT", "RELEASE", "ROLLBACK")
_NOT_KNOWN: Final = -1  # no admin's row id


class PostgresDatabase(Database, _Base):
    """Peewee's database over psycopg, with the promises of Database.

    Those who write take turns by an advisory lock, which each transaction holds to its end: counters, the head of the
    audit trail and order numbers rely on one writer at a time, as SQLite has it. The server lets them in as they came.
    """

    psycopg2_adapter = psycopg3_adapter = Adapter
    # A row id that counts to two thousand million is too small for lines and events; text sorts by code point, as in
    # SQLite, whatever the locale of the database is.
    field_types = {  # noqa: RUF012 - Peewee reads it so
        **peewee.PostgresqlDatabase.field_types,
        "AUTO": "BIGSERIAL",
        "INT": "BIGINT",
        "TEXT": 'TEXT COLLATE "C"',
    }
    _token: tuple[int, str] | None = None  # what is there once the transaction under way is stored
    _told: int | None = None  # which admin's offices the transaction under way was told to see
    _tables: str = "public"  # the schema of the tables
    _listens: bool = False
    _connecting: Future[Connection] | None = None  # begun for who waits no longer
    _took_changes: bool = False  # the server that it was opened on did: so must whichever comes in its place
    _stays: str | None = None  # the last migration, as it was found; None until stay()

    def __init__(self, url: ServerUrl, patience: Patience) -> None:
        self.url, self.patience = url, patience
        super().__init__(url.name, autoconnect=False)

    @property
    def name(self) -> str:
        return self.url.shown

    def target(self) -> str | None:
        """Which kind of server is to be connected to, in libpq's words; None: any."""
        return postgres_hosts.target(self.url, took_changes=self._must_take_changes)

    @property
    def _must_take_changes(self) -> bool:
        return self._took_changes and not self.reads_only

    def _connect(self) -> Connection:
        connection: Connection = super()._connect()
        try:
            self._take(connection)
            if self._listens:
                connection.listen()
        except BaseException as error:
            connection.close()
            if isinstance(error, psycopg.Error):  # it went again
                raise Unreachable(*postgres_hosts.unreachable(self.url, {0: error})) from error
            raise
        return connection

    def _take(self, connection: Connection) -> None:
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
        if connection.schema is None:
            raise Unavailable(f"{self.name} has no schema for tables: let CREATE SCHEMA public make one")
        self._tables = connection.schema

    # Connections

    def open(self) -> None:
        """Connect for the first time. What a server says that it passes is waited for, and nothing else: an address
        with nobody there is mostly a wrong one.
        """
        began = time.monotonic()
        for pause in _pauses():
            try:
                self.connect()
            except peewee.DatabaseError as error:
                why = next(each for each in causes(error) if isinstance(each, Unreachable))
                if why.passes is not Passes.SOON or not self._waited(pause, began):
                    raise Unavailable(why.says) from error
            else:
                break
        self._took_changes = not self.connection().is_read_only
        self.patience.is_over()

    def whole(self, work: Callable[[], T], *, repeatable: bool = False) -> T:
        if self.in_transaction():
            return work()  # of what is done again as a whole
        began: float | None = None
        uncertain: BaseException | None = None
        losses = 0
        while True:
            try:
                self._leave_what_takes_no_changes()
                return work()
            except (peewee.PeeweeException, Unavailable, NotAllowed) as error:
                failed: BaseException = error
            if is_behind(failed, UncertainCommit):
                uncertain = failed
            losses += 1
            # At the commit it may be back already, to say what came of that.
            lost = self._has_lost(failed)
            is_back = not lost and (uncertain is failed or is_behind(failed, NotStored))
            again = lost or is_back
            # What the server has not yet noticed to be lost may still hold the lock.
            again = again or (began is not None and is_behind(failed, errors.LockNotAvailable))
            if not again or losses == _MOST_LOSSES or (uncertain is not None and not repeatable):
                break
            began = began or time.monotonic()
            if is_back:
                continue
            try:
                self._come_back(began)
            except (NotBack, Unavailable) as error:
                failed = error
                break
        raise failed if uncertain is None else uncertain  # whatever went wrong behind it

    def _has_lost(self, error: BaseException) -> bool:
        """Whether an error means that there is no connection any more, or none that takes changes; of one that was
        closed here, it does not. What is refused as a change of a server that takes none is not stored.
        """
        if self.is_closed():
            return False
        refuses = self._must_take_changes and is_behind(error, errors.ReadOnlySqlTransaction)
        return refuses or is_behind(error, TakesNoChanges) or self.connection().is_lost(error)

    def _leave_what_takes_no_changes(self) -> None:
        """Raise TakesNoChanges where the server has said so, and there are others: what it shows would be old."""
        waits = self._must_take_changes and self.url.is_of_several and not self.is_closed()
        if waits and self.connection().says_read_only:
            raise TakesNoChanges("the server takes no more changes")

    def _come_back(self, since: float) -> None:
        """A new connection in the place of the one that was lost `since` then; raises NotBack."""
        lost: Connection = self.connection()
        lost.close()
        for pause in _pauses():
            try:
                fresh = self._reached(since)
            except Unreachable as error:
                if error.passes is Passes.NEVER:
                    self.patience.is_over()
                if error.passes is Passes.NEVER or not self._waited(pause, since):
                    raise NotBack(error.says) from error
            except Unavailable:
                self.patience.is_over()  # it is there, and no more one to work with
                raise
            else:
                break
        fresh.unwanted, fresh.until = lost.unwanted, lost.until
        self._state.set_connection(fresh)
        self.patience.is_over()

    def _reached(self, since: float) -> Connection:
        """A new connection. It is made in a thread of its own: a host that is gone answers nothing for a while, and who
        no longer waits must not wait for that.
        """
        if not self.patience.goes_on(time.monotonic() - since):
            raise NotBack("nobody waits for another")
        made = self._connecting or self._begin_to_connect()
        self._connecting = None
        while not made.done():
            with suppress(TimeoutError):
                return made.result(_ASKED_EVERY)
            if not self.patience.goes_on(time.monotonic() - since):
                self._connecting = made  # for who waits next
                raise NotBack("nothing answered in time")
        return made.result()

    def _begin_to_connect(self) -> Future[Connection]:
        made: Future[Connection] = Future()

        def connect() -> None:
            try:
                made.set_result(self._connect())
            except BaseException as error:
                made.set_exception(error)

        threading.Thread(target=connect, name="connecting", daemon=True).start()
        return made

    def _waited(self, seconds: float, since: float) -> bool:
        """Wait so long, and a little less, that not all who wait come at once; whether it is waited on."""
        end = time.monotonic() + seconds * random.uniform(0.5, 1)  # noqa: S311 - nothing depends on it
        while self.patience.goes_on(time.monotonic() - since):
            if (left := end - time.monotonic()) <= 0:
                return True
            time.sleep(min(left, _ASKED_EVERY))
        return False

    def close(self) -> bool:
        if self._connecting is not None:
            self._connecting.add_done_callback(_close)
        closed: bool = super().close()
        return closed

    # Statements

    def _execute_cursor(self, sql: str, params: Any, **options: Any) -> Any:
        if sql.startswith(_OF_TRANSACTIONS):
            # With a savepoint what was told since then is taken back: it is told anew.
            self._told = _NOT_KNOWN
            return super()._execute_cursor(sql, params, **options)
        if sql.startswith(_READS):
            return self.whole(lambda: self._sent(sql, params, **options), repeatable=True)
        return self._sent(sql, params, **options)

    def _sent(self, sql: str, params: Any, **options: Any) -> Any:
        connection: Connection | None = None if self.is_closed() else self.connection()
        if connection is not None and not connection.is_wanted():
            with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
                raise Unwanted("it is no longer wanted")
        before = []
        timed = False
        if not self.in_transaction():
            timed = connection is not None and connection.until is not None and sql.startswith(_READS)
            if connection is not None and timed:
                before.append(connection.timed())
            if self._sees is not None:
                before += self._seeing(self._sees)
            if self.reads_only:
                before.append("SET LOCAL transaction_read_only = on")
        elif self._sees != self._told:
            before = self._seeing(self._sees)
            self._told = self._sees
        if connection is not None:
            connection.ends_by_itself = timed
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
        self._told = self._token = None
        try:
            with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
                self._begun = self.cursor().execute(kind)
        except BaseException:
            self.rollback()  # it may have begun, and stand there with the error
            raise

    def commit(self) -> bool:
        connection: Connection = self.connection()
        if connection.info.transaction_status != TransactionStatus.INTRANS:
            # A statement failed: the server would answer COMMIT by rolling back, and call that well.
            raise LostTransaction("the database rolled the transaction back; nothing of it is stored")
        try:
            super().commit()
        except peewee.DatabaseError as error:
            if not connection.is_lost(error):
                raise
            stored = self._was_stored()
            if stored is None:
                raise UncertainCommit(str(error)) from error
            if not stored:
                raise NotStored("the connection was lost before it was stored") from error
        self.committed += 1
        return True

    def is_known_by(self, event: int, digest: str) -> None:
        self._token = event, digest

    def _was_stored(self) -> bool | None:
        """Whether the transaction whose COMMIT was not answered is stored; None where nobody can say.

        What it wrote is looked for, under the lock to write, which it holds for as long as it may still commit. Its
        number would not do: a server that was lost gives a number again of which nothing had come to the disk.
        """
        began, under_way, token = time.monotonic(), self._state.transactions, self._token
        if token is None:
            return None
        try:
            for pause in _pauses():
                if self.connection().closed:
                    self._come_back(began)
                with suppress(psycopg.OperationalError):  # lost again, or the lock is still held
                    return self._is_there(*token)
                if not self._waited(pause, began):
                    return None
        except (NotBack, Unavailable, psycopg.Error):
            return None
        finally:
            self._state.transactions = under_way  # which a new connection has none of
        raise AssertionError("the pauses never end")

    def _is_there(self, event: int, digest: str) -> bool:
        connection: Connection = self.connection()
        try:
            connection.execute(_writing("pg_advisory_xact_lock"))
            sql = f"SELECT 1 FROM {self._table('audit_event')} WHERE id = %s AND hash = %s"  # noqa: S608 - our name
            found = connection.execute(sql, (event, digest)).fetchone()
            connection.execute(f"{_WAIT_FOR_STANDBY}; COMMIT")
        except psycopg.Error:
            connection.rollback()
            raise
        return found is not None

    def rollback(self) -> bool:
        """Where the connection is lost there is nothing to roll back, and what says so must not be hidden."""
        if self.is_closed() or self.connection().is_lost():
            return False
        try:
            super().rollback()
        except peewee.DatabaseError as error:
            if not self.connection().is_lost(error):
                raise
            return False
        return True

    @contextmanager
    def writing(self) -> Iterator[None]:
        self.refuse_to_write()
        within = self.in_transaction()
        with self.atomic(_writing("pg_advisory_xact_lock")):
            if within:  # of one that may have begun as a reading one
                self.execute_sql(f"NOTIFY {CHANNEL}; SELECT pg_advisory_xact_lock({_WRITERS})")
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

    def rely_on_what_was_read(self) -> None:
        self.execute_sql(_WAIT_FOR_STANDBY)

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self.atomic(_READING):
            yield

    @contextmanager
    def migrating(self) -> Iterator[None]:
        """What stands in front of the tables would not let them be changed: it is made anew behind the last script, and
        with it the rights of those who work with it.
        """
        views, tables = _quoted(self._views), _quoted(self._tables)
        with self.atomic(_MIGRATING):
            if not self._owns():
                raise Unavailable(
                    f"{self.name} was made by an older smartsub, and its tables are {self._owner()}'s: smartsub migrate"
                    " by that role, then go on"
                )
            self.execute_sql(f"DROP SCHEMA IF EXISTS {views} CASCADE")
            yield
            self._index_parts()
            self.execute_sql(f"CREATE SCHEMA {views}")
            mine = (
                f"(SELECT office_id FROM {tables}.admin_office"  # noqa: S608 - names of ours
                " WHERE admin_id = nullif(current_setting('smartsub.admin', true), '')::bigint)"
            )
            for table, condition in OF_OFFICES.items():
                here = condition.format(at=tables, mine=mine)
                self.execute_sql(f"CREATE VIEW {views}.{table} AS SELECT * FROM {tables}.{table} WHERE {here}")  # noqa: S608
            for role in self._workers():
                self._grant(role)

    def only_read(self, only: bool = True) -> None:
        """It is said anew in each transaction."""
        self.reads_only = only

    def stay(self, done: set[str] | None = None) -> None:
        """`done` are the migrations that were run, where that was just asked."""
        self._stays = self.schema() if done is None else max(done, default="")

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

    def listen(self) -> bool:
        """Each write says so in its transaction, and the server tells those who listen when it commits."""
        self._listens = bool(self.connection().listen())
        return self._listens

    def hear(self, wake: int) -> bool:
        return bool(self.connection().hear(wake))

    @property
    def round_trip(self) -> float:
        return 0.0 if self.is_closed() else float(self.connection().round_trip)

    def watch(self, unwanted: Callable[[], bool] | None, until: float | None = None) -> None:
        connection = self.connection()
        connection.unwanted, connection.until = unwanted, until

    def unordered(self, column: peewee.Field) -> Any:
        return column  # the server weighs by itself what an index costs

    def settled(self, *columns: peewee.Field) -> tuple[peewee.Field, ...]:
        return columns

    def listed(self, column: peewee.Field, query: Any) -> Any:
        """As an array that is made once. Of a column IN a query beside an OR the server asks every row, and beside
        other lists it finds looking up dearer than it is.
        """
        return peewee.NodeList((column, peewee.SQL("= ANY (ARRAY"), query, peewee.SQL(")")), parens=True)

    # Many rows

    def insert_rows(self, fields: Sequence[peewee.Field], rows: Iterable[Sequence[Any]]) -> None:
        self.insert_stored(fields, stored(fields, rows))

    def insert_stored(self, fields: Sequence[peewee.Field], rows: Iterable[Sequence[Any]]) -> None:
        """By COPY, block by block: while one goes over, the connection can do nothing else, and whoever yields the rows
        may ask it something.
        """
        table = f"{_quoted(self._tables)}.{fields[0].model._meta.table_name}"
        columns, left = ", ".join(f'"{each.column_name}"' for each in fields), iter(rows)
        with nullcontext() if self.in_transaction() else self.atomic():
            while block := list(islice(left, BLOCK)):
                self._copy_in(f"COPY {table} ({columns}) FROM STDIN", block)
            for field in fields:
                if isinstance(field, peewee.AutoField):  # whose next one is to be behind those that were given
                    self.execute_sql(
                        f"SELECT setval(pg_get_serial_sequence(%s, %s), max({field.column_name}))"  # noqa: S608 - ours
                        f" FROM {table} HAVING max({field.column_name}) > 0",
                        (table, field.column_name),
                    )

    def _copy_in(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        with peewee.__exception_wrapper__, self.cursor().copy(sql) as copy:  # type: ignore[attr-defined]
            for row in rows:
                copy.write_row(row)

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

    def count_together(self, table: str, *columns: str) -> None:
        name = f"{table}_{'_'.join(columns)}"
        self.execute_sql(f"CREATE STATISTICS IF NOT EXISTS {name} (mcv) ON {', '.join(columns)} FROM {table}")

    def complete(self) -> None:
        """By the owner of the tables; whoever else works with them finds them as they are."""
        if not self.reads_only and self._owns():
            with self.atomic(_MIGRATING):
                self._index_parts()

    def _index_parts(self) -> None:
        """Indexes of every three letters, where there is pg_trgm, or this role may make it."""
        schema = self._schema_of_trigrams() or self._make_trigrams()
        if schema is None:
            return
        for table, columns in models.SEARCHED.items():
            letters = ", ".join(f'"{column}" {schema}.gin_trgm_ops' for column in columns)
            self.execute_sql(f'CREATE INDEX IF NOT EXISTS "{table}_parts" ON "{table}" USING gin ({letters})')

    def _schema_of_trigrams(self) -> str | None:
        """Where the extension was made, in quotes where it needs them."""
        found = self.execute_sql("SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pg_trgm'")
        return next((str(schema) for (schema,) in found.fetchall()), None)

    def _make_trigrams(self) -> str | None:
        (there,) = self.execute_sql(
            "SELECT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm')"
        ).fetchone()
        if not there:
            return None
        # Where it may not, or the server's keeper allows only some, the search goes on as it did.
        with suppress(peewee.DatabaseError), self.atomic():
            self.execute_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        return self._schema_of_trigrams()

    def finds_parts(self) -> bool:
        indexes = [f"{_quoted(self._tables)}.{table}_parts" for table in models.SEARCHED]
        (made,) = self.execute_sql(
            "SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest(%s::text[]) AS name", (indexes,)
        ).fetchone()
        return bool(made)

    def set_up(self) -> dict[str, Callable[[], str]]:
        return {"search": self._search, "rights": self._rights}

    def _search(self) -> str:
        """What finds a part of a number or a name."""
        if self.finds_parts():
            return "a part of a number or name by its letters (pg_trgm)"
        (there,) = self.execute_sql("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'").fetchone()
        slow = "a part of a number or name by looking at every one of them"
        if self._schema_of_trigrams() is not None:
            return f"{slow}: smartsub migrate makes an index"
        if there:
            return f"{slow}: let CREATE EXTENSION pg_trgm be said by who may, then smartsub migrate makes an index"
        return f"{slow}: the server has no pg_trgm (its package of contributed modules), else there would be an index"

    # Who owns the tables, and who works with them

    def grant(self, role: str) -> None:
        self.refuse_to_write()
        with self.atomic(_MIGRATING):
            owner = self._owner()
            if not self._owns():
                raise Refused(f"the tables are {owner}'s, who alone can let {role} work with them: do it by that role")
            found = self.execute_sql(
                "SELECT rolsuper OR pg_has_role(rolname, %s, 'MEMBER') FROM pg_roles WHERE rolname = %s", (owner, role)
            ).fetchone()
            if found is None:
                raise NotFound(f"the server has no role {role}: have it made (CREATE ROLE ... LOGIN)")
            if found[0]:
                raise Refused(
                    f"{role} could change the tables whatever it was granted, as their owner or like one: name a role"
                    f" that is neither {owner}, nor a member of it, nor a superuser"
                )
            self._grant(role)

    def _owner(self) -> str | None:
        """The role that the tables are of; None where there are none."""
        found = self.execute_sql(
            "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass(%s)", (self._table("invoice"),)
        ).fetchone()
        return None if found is None else str(found[0])

    def _owns(self) -> bool:
        """Whether this role may do with the tables what it likes, or is about to make them."""
        (owns,) = self.execute_sql(
            "SELECT pg_has_role(coalesce(%s, current_user), 'MEMBER')", (self._owner(),)
        ).fetchone()
        return bool(owns)

    def _table(self, name: str) -> str:
        return f"{_quoted(self._tables)}.{_quoted(name)}"

    def _workers(self) -> list[str]:
        """Who was let work with the tables before: the roles that may add to the audit trail, and do not own it."""
        found = self.execute_sql(
            "SELECT rolname FROM pg_class, aclexplode(relacl), pg_roles WHERE pg_class.oid = to_regclass(%s)"
            " AND privilege_type = 'INSERT' AND grantee = pg_roles.oid AND grantee <> relowner",
            (self._table("audit_event"),),
        ).fetchall()
        return [str(role) for (role,) in found]

    def _grant(self, role: str) -> None:
        """Just what smartsub needs for its work, whatever the role had before."""
        to, tables = _quoted(role), [model._meta.table_name for model in models.TABLES]
        self.execute_sql(f"GRANT USAGE ON SCHEMA {_quoted(self._tables)}, {_quoted(self._views)} TO {to}")
        for table in (*tables, "schema_migration"):
            self.execute_sql(f"REVOKE ALL ON {self._table(table)} FROM {to}")
            rights = "SELECT, INSERT" if table in models.APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
            self.execute_sql(
                f"GRANT {'SELECT' if table == 'schema_migration' else rights} ON {self._table(table)} TO {to}"
            )
            (ids,) = self.execute_sql(
                "SELECT (SELECT pg_get_serial_sequence(%s, attname) FROM pg_attribute WHERE attrelid = to_regclass(%s)"
                " AND attname = 'id')",
                (self._table(table),) * 2,
            ).fetchone()
            if ids is not None:
                self.execute_sql(f"GRANT USAGE, UPDATE ON SEQUENCE {ids} TO {to}")
        for table in OF_OFFICES:
            self.execute_sql(f"GRANT SELECT ON {_quoted(self._views)}.{_quoted(table)} TO {to}")

    def _rights(self) -> str:
        """Whether the role that works here could change what must not be changed."""
        (user,) = self.execute_sql("SELECT current_user").fetchone()
        if self._owns():
            return (
                f"{user} could take away what guards the audit trail and invoices; a role that does not own the tables"
                " could not: docs/postgres.md, Two roles"
            )
        for table in models.APPEND_ONLY:
            (may,) = self.execute_sql(
                "SELECT has_any_column_privilege(%s, 'UPDATE') OR has_table_privilege(%s, 'DELETE, TRUNCATE, TRIGGER')",
                (self._table(table),) * 2,
            ).fetchone()
            if may:
                raise Refused(
                    f"{user} has rights to change {table}: smartsub migrate --grant {user}, by {self._owner()}, takes"
                    " them away"
                )
        return f"{user} may add to the audit trail and to invoices and change neither: the tables are {self._owner()}'s"

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


def _pauses() -> Iterator[float]:
    """Seconds between two tries to connect."""
    return (min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**tries) for tries in count())


def _close(made: Future[Connection]) -> None:
    """Close a connection that came when nobody waited for it any more."""
    if made.exception() is None:
        made.result().close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _blocks(rows: Iterable[Sequence[Any]], columns: int) -> Iterator[tuple[str, list[Any]]]:
    """Rows as the text of so many VALUES and their parameters, block by block."""
    left, row = iter(rows), f"({', '.join(['%s'] * columns)})"
    while block := list(islice(left, BLOCK)):
        yield ", ".join([row] * len(block)), list(chain.from_iterable(block))


# Opening


def open_url(url: str, *, create: bool, read_only: bool, bare: bool, patience: Patience) -> PostgresDatabase:
    """A database on a server, as `database.open_database` has it."""
    database = PostgresDatabase(server_url.parse(url), patience)
    try:
        database.open()
        with available(f"the database {database.name}"):
            # Asked once where all is as it should be: every question is a way to the server and back.
            done = applied(database)
            if done is None and not create:
                raise Unavailable(f"{database.name} has no tables of smartsub: smartsub init makes them")
            if read_only:
                database.only_read()
            models.proxy.initialize(database)
            if done != scripts():
                if read_only:
                    refuse_older(database)
                elif not bare:
                    migrate(database, create=create)
                done = applied(database)
            database.stay(done)
    except BaseException:
        database.close()
        raise
    return database
