"""The database, as everything above it sees it: opening it by its URL, its transactions, its rows, and what went wrong.

What only one engine understands stands in that engine's module, which is imported when a database of it is opened:
sqlite.py, postgres.py. Both keep the promises that are made here.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import peewee

from smartsub_tui.errors import NotAllowed, NotFound, Unavailable, WrongUsage

MIGRATIONS: Final = Path(__file__).with_name("migrations")
BLOCK: Final = 1000  # rows that are held and converted together

# What belongs to an office, and how it is found out of which one a row is. The tables themselves stand in the schema
# `at`, and `mine` are the ids of an admin's offices.
OF_OFFICES: Final = {
    "office": "id IN {mine}",
    "department": "office_id IN {mine}",
    "users": "office_id IN {mine}",
    "orders": "office_id IN {mine}",
    **{
        table: f"EXISTS (SELECT 1 FROM {{at}}.{parent} p WHERE p.id = {table}.{column}"  # noqa: S608 - names of ours
        " AND p.office_id IN {mine})"
        for table, parent, column in (
            ("subscription", "users", "user_id"),
            ("order_line", "orders", "order_id"),
            ("claim", "orders", "order_id"),
            ("payment", "orders", "order_id"),
            ("invoice", "orders", "order_id"),
        )
    },
    "refund": "EXISTS (SELECT 1 FROM {at}.payment p JOIN {at}.orders o ON o.id = p.order_id WHERE p.id ="
    " refund.payment_id AND o.office_id IN {mine})",
}


class LostTransaction(peewee.OperationalError):
    """The engine itself rolled the transaction back: nothing of it is stored."""


class UncertainCommit(peewee.OperationalError):
    """What went wrong did so while a transaction was being committed: it is stored, or it is not."""


class _Context(peewee.Context):
    """Peewee's way from a query to its SQL, shorter for the columns of tables. These are most of a statement, and half
    of what one cost: each was asked of five objects. The text is the same; tests/data/test_statements.py compares.
    """

    __slots__ = ()

    def sql(self, obj: Any) -> Any:
        # Columns of an alias, of a sub-select and the like write themselves in another way.
        if not isinstance(obj, peewee.Field) or type(obj).__sql__ is not peewee.Field.__sql__:
            return super().sql(obj)  # type: ignore[no-untyped-call]
        if self.state.scope == peewee.SCOPE_VALUES:
            return self.literal(f'"{obj.column_name}"')
        table = obj.model._meta.table
        if table._alias:
            self.alias_manager[table] = table._alias
        return self.literal(f'"{self.alias_manager[table]}"."{obj.column_name}"')


_Base: Any = peewee.Database  # whose stubs say nothing of its methods


class Database(_Base, ABC):
    """A connection of one thread to a database. Writes run one after the other, and wait in line for their turn."""

    context_class = _Context
    committed: int = 0  # transactions
    reads_only: bool = False
    made: bool = False  # there was none when it was opened
    _sees: int | None = None  # the row id of the admin for whose offices alone there is anything; None: all

    @property
    @abstractmethod
    def name(self) -> str:
        """Which database it is, as people are told; it holds no secret."""

    # Transactions

    @abstractmethod
    def writing(self) -> AbstractContextManager[None]:
        """One transaction that holds the write lock from its first statement. Processes get it in their order.

        Raises NotAllowed where the connection only reads.
        """

    @abstractmethod
    def writing_at_once(self) -> AbstractContextManager[None]:
        """As writing(), for what is not worth waiting for: where another process writes, it raises at once."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[None]:
        """One transaction in which everything that is read is of one moment, whatever others write meanwhile."""

    @abstractmethod
    def migrating(self) -> AbstractContextManager[None]:
        """As writing(), for scripts that change tables; what would break a reference is not stored."""

    @abstractmethod
    def only_read(self, only: bool = True) -> None:
        """Let the engine itself refuse every change from now on, or no more."""

    def refuse_to_write(self) -> None:
        """Raise NotAllowed where the connection only reads."""
        if self.reads_only:
            raise NotAllowed("this smartsub only reads: start it without --read-only to change anything")

    @abstractmethod
    def stay(self) -> None:
        """From now on nothing is written once another database lies where this one lay, or a newer version changed
        it.
        """

    # What is seen

    @abstractmethod
    def see_only(self, admin: int | None) -> None:
        """From now on there are only the offices of that admin (by row id), and what belongs to them; None: all.

        What is written goes to the tables, by the ids of what was seen.
        """

    @property
    def sees_all(self) -> bool:
        """Whether nothing is hidden from who is at this connection."""
        return self._sees is None

    @contextmanager
    def seeing_all(self) -> Iterator[None]:
        """For what is asked of all offices whoever does it: what is due, which number is free."""
        sees = self._sees
        self.see_only(None)
        try:
            yield
        finally:
            self.see_only(sees)

    @abstractmethod
    def data_version(self) -> int:
        """A number that changes when another connection has committed."""

    @abstractmethod
    def watch(self, unwanted: Callable[[], bool] | None) -> None:
        """While set, statements stop soon after `unwanted()` is true; None takes it away."""

    @abstractmethod
    def unordered(self, column: peewee.Field) -> Any:
        """A column to group by, so that rows are not read in the order of its index: where one would be used for that
        alone, and each row then be read for what the index has not.
        """

    @abstractmethod
    def settled(self, *columns: peewee.Field) -> tuple[peewee.Field, ...]:
        """What a GROUP BY has to name beside its groups, which settle these columns already."""

    # Many rows

    @abstractmethod
    def insert_rows(self, fields: Sequence[peewee.Field], rows: Iterable[Sequence[Any]]) -> None:
        """Insert many rows of one table: values in the order of `fields`, converted as the fields do."""

    @abstractmethod
    def insert_stored(self, fields: Sequence[peewee.Field], rows: Iterable[Sequence[Any]]) -> None:
        """As insert_rows(), of values as they are stored: instants as microseconds, dates as text."""

    @abstractmethod
    def update_rows(self, fields: Sequence[peewee.Field], rows: Iterable[Sequence[Any]], *, keys: int = 1) -> None:
        """Update many rows of one table: values in the order of `fields`, the last `keys` of which say which row.

        Each row is named once.
        """

    # The whole

    def schema(self) -> str:
        """The name of the last migration that was run."""
        return max(applied(self) or {""})

    @abstractmethod
    def append_only(self, table: str) -> None:
        """Let the database itself refuse to change or remove rows of `table`."""

    @abstractmethod
    def without_gaps(self, table: str) -> None:
        """Let the row ids of `table` count on from the last one that is stored, so that a gap is a row that is gone."""

    @abstractmethod
    def engine(self) -> str:
        """The engine and its version; raises Refused where money is not safe with it."""

    @abstractmethod
    def whole_check(self) -> str | None:
        """The first thing that is wrong with what is stored, all of it looked at; None where nothing is."""

    @abstractmethod
    def copy_to(self, path: Path, told: Callable[[int, int], None] | None = None) -> None:
        """All of the database, of one moment, into an empty file, whatever others write meanwhile.

        `told` hears how many pages are copied, and of how many; what it raises ends the copy. Raises Refused where the
        engine keeps no file.
        """


# Opening


def path_of(url: str) -> Path | None:
    """The file of a database URL: sqlite:///relative, sqlite:////absolute; None where there is none: for
    sqlite:///:memory:, and for a server.

    Raises WrongUsage for anything else, which is not repeated: it may hold a password.
    """
    if is_server(url):
        return None
    if not url.startswith("sqlite:///") or url == "sqlite:///":
        raise WrongUsage(
            "what names the database is no database URL: write sqlite:///FILE, sqlite:////ABSOLUTE/FILE or"
            " postgresql://USER@HOST/NAME"
        )
    name = url.removeprefix("sqlite:///")
    return None if name == ":memory:" else Path(name)


def url_of(path: Path) -> str:
    """The URL of a database file."""
    return f"sqlite:///{path}"


def is_server(url: str) -> bool:
    """Whether the database of a URL is one of a server, not a file."""
    return url.startswith(("postgresql://", "postgres://"))


def shown_url(url: str) -> str:
    """A database URL as it may be shown: without a password, and without what might be one."""
    if url.startswith("sqlite:"):
        return url
    from smartsub_tui.data.server_url import shown

    return shown(url)


def open_database(url: str, *, create: bool = False, read_only: bool = False) -> Database:
    """Connect this thread to the database, bind the models to it, and bring its schema up to date.

    With `create` a missing one is made: a file readable by its owner only, on a server the tables. `read_only`: nothing
    is made, brought up to date or changed. Raises Unavailable where there is none, where it is none of ours, or where
    it was made by a newer version.
    """
    if is_server(url):
        from smartsub_tui.data import postgres

        return postgres.open_url(url, create=create, read_only=read_only)
    from smartsub_tui.data import sqlite

    return sqlite.open_file(path_of(url), create=create, read_only=read_only)


def migrate(database: Database, *, create: bool = True) -> list[str]:
    """Run what is not yet applied of `migrations/`, in order; the names of what was run.

    Several processes may start at once: the one that gets the write lock does it, the others find it done.
    """
    done = applied(database)
    if done is None and not create:
        raise Unavailable(f"{database.name} is not a database of smartsub: name another with --database")
    if done == refuse_newer(database.name, done or set()):
        return []
    from playhouse.migrations import Runner

    with database.migrating():
        run: list[str] = Runner(database, directory=str(MIGRATIONS)).up()
    database.made = done is None and bool(run)
    return run


def refuse_older(database: Database) -> None:
    """Raise Unavailable where something is to be migrated before the database can be read."""
    done = applied(database) or set()
    if done != refuse_newer(database.name, done):
        raise Unavailable(f"{database.name} was made by an older smartsub: smartsub migrate, then read it")


def refuse_newer(what: str, done: set[str]) -> set[str]:
    """The names of the migrations that this version knows; raises Unavailable where others were applied too."""
    known = {name.removesuffix(".py") for name in os.listdir(MIGRATIONS) if name[0].isdigit()}
    if newer := sorted(done - known):
        raise Unavailable(f"{what} was made by a newer smartsub (it has {newer[-1]}): update smartsub")
    return known


def applied(database: Database) -> set[str] | None:
    """The names of the migrations that were run; None where nothing was, and nothing else lives here."""
    # All names in one read: between two, another process may finish making the tables.
    tables = set(database.get_tables())
    if "schema_migration" in tables:
        return {name for (name,) in database.execute_sql("SELECT name FROM schema_migration").fetchall()}
    if tables:
        raise Unavailable(f"{database.name} is a database of something else: name another with --database")
    return None


# What goes wrong


@contextmanager
def available(what: str = "the database") -> Iterator[None]:
    """Turn what the engine says into Unavailable: one sentence, and what to do.

    A row that was there and is not is NotFound: an admin's offices may be changed between two statements.
    """
    try:
        yield
    except peewee.DoesNotExist as error:
        raise NotFound("what this is about is no longer there, or no longer yours to see: look again") from error
    except peewee.IntegrityError:
        raise  # a rule of the schema, not the state of the disk: a defect of ours, or a race that the caller decides
    except peewee.DatabaseError as error:
        engine = _engine_of(error)
        raise Unavailable(
            f"{what} cannot be used: {error}" if engine is None else engine.sentence(what, error)
        ) from error


def was_interrupted(error: BaseException) -> bool:
    """Whether a statement ended because its watcher no longer wanted it."""
    engine = _engine_of(error)
    return engine is not None and bool(engine.was_interrupted(error))


def _engine_of(error: BaseException) -> ModuleType | None:
    """The module of the engine that said so, behind the error that Peewee made of it."""
    for cause in causes(error):
        module = type(cause).__module__
        if module == "apsw":
            from smartsub_tui.data import sqlite

            return sqlite
        if module.startswith(("psycopg", "smartsub_tui.data.postgres")):
            from smartsub_tui.data import postgres

            return postgres
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those behind it, each the cause of the one before."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


# Rows


def rows(query: Any) -> Iterator[Any]:
    """The rows of a query as tuples: quicker than models, and typed as what they are."""
    found = query.tuples().execute()
    cursor = found.cursor
    if (first := cursor.fetchone()) is None:
        return
    found.initialize()  # what the columns are, a cursor only says while it has a row
    converters = [
        (place, convert)
        for place, (field, convert) in enumerate(zip(found.fields, found.converters, strict=True))
        if convert is not None and not is_stored_as_it_is(field)
    ]
    block = [first, *islice(cursor, BLOCK - 1)]
    while block:
        yield from _converted(block, converters)
        block = list(islice(cursor, BLOCK))


def stored(fields: Sequence[peewee.Field], rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Rows as they are stored, of values in the order of `fields`; raises ValueError for more or fewer of them."""
    converters = [(place, each.db_value) for place, each in enumerate(fields) if not is_stored_as_it_is(each)]
    left = iter(rows)
    while block := list(islice(left, BLOCK)):
        for wrong in (len(row) for row in block if len(row) != len(fields)):
            raise ValueError(f"{wrong} values for {len(fields)} columns")
        yield from _converted(block, converters)


def _converted(
    block: Sequence[Sequence[Any]], converters: Sequence[tuple[int, Callable[[Any], Any]]]
) -> Iterable[Sequence[Any]]:
    """The rows with some of their columns converted; what a column holds again and again, only once."""
    columns: list[Iterable[Any]] = list(zip(*block, strict=True))
    for place, convert in converters:
        known = {value: convert(value) for value in dict.fromkeys(columns[place])}
        columns[place] = map(known.__getitem__, columns[place])
    return zip(*columns, strict=True)


def is_stored_as_it_is(field: peewee.Field | None) -> bool:
    """Whether a value of the field is the same in Python and in the database, whose schema sees to that."""
    while isinstance(field, peewee.ForeignKeyField):
        field = field.rel_field
    return type(field) in _AS_THEY_ARE


_AS_THEY_ARE: Final = (
    *(peewee.AutoField, peewee.IntegerField, peewee.BigIntegerField, peewee.SmallIntegerField),
    *(peewee.TextField, peewee.CharField),
)
