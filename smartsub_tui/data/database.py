"""The database, as everything above it sees it: opening it by its URL, its transactions, its rows, and what went wrong.

What only one engine understands stands in that engine's module, which is imported when a database of it is opened:
sqlite.py, postgres.py. Both keep the promises that are made here.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

import peewee

from smartsub_tui.errors import NotAllowed, NotFound, Refused, Unavailable, WrongUsage

T = TypeVar("T")
MIGRATIONS: Final = Path(__file__).with_name("migrations")
BLOCK: Final = 1000  # rows that are held and converted together
# So begins, among the names of the migrations that were run, the one that says that a database is a copy which was not
# finished; behind it stands of what. It sorts behind the numbers of the scripts, so an older version refuses it too.
UNFINISHED: Final = "unfinished_copy_of_"

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


class NotStored(LostTransaction):
    """The connection was lost while a transaction was being committed, and its server says that it was not."""


class UncertainCommit(peewee.OperationalError):
    """What went wrong did so while a transaction was being committed: it is stored, or it is not."""


class Patience:
    """How long a database that was lost is waited for; this one waits for half a minute, and says nothing."""

    seconds: Final = 30.0

    def goes_on(self, away: float) -> bool:
        """Whether to wait on, so many seconds after it was lost. It is asked again and again, many times a second."""
        return away < self.seconds

    def is_over(self) -> None:
        """The database answers again."""


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
    patience: Patience = Patience()
    _sees: int | None = None  # the row id of the admin for whose offices alone there is anything; None: all

    @property
    @abstractmethod
    def name(self) -> str:
        """Which database it is, as people are told; it holds no secret."""

    @property
    def round_trip(self) -> float:
        """Seconds that a question is on its way to the engine and back."""
        return 0.0

    # Transactions

    @abstractmethod
    def writing(self) -> AbstractContextManager[None]:
        """One transaction that holds the write lock from its first statement. Processes get it in their order.

        Raises NotAllowed where the connection only reads.
        """

    @abstractmethod
    def writing_at_once(self) -> AbstractContextManager[None]:
        """As writing(), for what is not worth waiting for: where another process writes, it raises at once."""

    def is_known_by(self, event: int, digest: str) -> None:
        """Let the transaction under way be known again by an audit event that it wrote, by its row id and hash."""

    def rely_on_what_was_read(self) -> None:
        """Let the transaction under way, which writes nothing itself, end no sooner than one that does: what it read is
        then wherever what is stored has to be. A server that came up again shows what its standby may not have yet.
        """

    @abstractmethod
    def reading(self) -> AbstractContextManager[None]:
        """One transaction in which everything that is read is of one moment, whatever others write meanwhile."""

    @abstractmethod
    def whole(self, work: Callable[[], T], *, repeatable: bool = False) -> T:
        """The result of `work`, which is one transaction: where the connection is lost and nothing of it is stored, it
        is done again, from its beginning, on a new one.

        `repeatable`: what was stored may be done again, for it then finds itself done. Where it is not, and it is not
        known whether it was stored, that is raised. This is the one place where anything is tried again; a statement
        that reads outside of a transaction comes here by itself.
        """

    def at_one_moment(self, work: Callable[[], T]) -> T:
        """The result of `work`, which only reads: all of it of one moment, whatever others write meanwhile. Within a
        transaction it is that one's; else it has its own, and begins again where the connection is lost.
        """
        if self.in_transaction():
            return work()

        def once() -> T:
            read: list[T] = []
            try:
                with self.reading():
                    read.append(work())
            except peewee.PeeweeException:
                if not read:
                    raise  # else it is the end of a transaction that stores nothing
            return read[0]

        return self.whole(once, repeatable=True)

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

    def listen(self) -> bool:
        """Hear of what others write, from now on; whether that can be: else data_version() has to be asked."""
        return False

    def hear(self, wake: int) -> bool:
        """Wait, asking nothing, until another connection has committed a write or may have, or until the descriptor
        `wake` can be read, which is then emptied; whether it was the former.
        """
        raise NotImplementedError

    @abstractmethod
    def watch(self, unwanted: Callable[[], bool] | None, until: float | None = None) -> None:
        """While set, statements stop soon after `unwanted()` is true, or at `until`, as perf_counter() says it; None
        takes it away.
        """

    @abstractmethod
    def unordered(self, column: peewee.Field) -> Any:
        """A column to group by, so that rows are not read in the order of its index: where one would be used for that
        alone, and each row then be read for what the index has not.
        """

    @abstractmethod
    def settled(self, *columns: peewee.Field) -> tuple[peewee.Field, ...]:
        """What a GROUP BY has to name beside its groups, which settle these columns already."""

    @abstractmethod
    def listed(self, column: peewee.Field, query: Any) -> Any:
        """Whether the column is among the few that a query lists: these are found first, and looked up by an index."""

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
    def count_together(self, table: str, *columns: str) -> None:
        """Let the engine count how often values of these columns occur together, where it weighs its ways by that."""

    def complete(self) -> None:
        """Make what the engine may have or not, and has now: it can come later than the tables."""

    def grant(self, role: str) -> None:
        """Let another role of the server work with the tables, but not change what is append-only, nor the tables.

        What was granted is granted again by later migrations. Raises NotFound where there is no such role, Refused
        where it owns the tables, where somebody else does, and where the engine has no roles.
        """
        raise Refused(f"{self.name} is a file, and files have no roles: let the accounts of the machine guard it")

    def finds_parts(self) -> bool:
        """Whether an index leads to parts of numbers and names, of three characters on; else all are looked through."""
        return False

    def set_up(self) -> dict[str, Callable[[], str]]:
        """Of what the engine may have or not, each by a name: what tells how it is here, and what could be better."""
        return {}

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


def load_engine(url: str) -> None:
    """Import what talks to the database of a URL, as opening it does; raises Unavailable where it is not installed."""
    import_module("smartsub_tui.data.postgres" if is_server(url) else "smartsub_tui.data.sqlite")


def open_database(
    url: str, *, create: bool = False, read_only: bool = False, bare: bool = False, patience: Patience | None = None
) -> Database:
    """Connect this thread to the database, bind the models to it, and bring its schema up to date.

    With `create` a missing one is made: a file readable by its owner only, on a server the tables. `read_only`: nothing
    is made, brought up to date or changed. `bare`: no tables are made, asked for or looked at, for who sees to them.
    `patience`: how long a server is waited for. Raises Unavailable where there is none, where it is none of ours, where
    it was made by a newer version, or is a copy that was not finished.
    """
    if is_server(url):
        from smartsub_tui.data import postgres

        waits = patience or Patience()
        return postgres.open_url(url, create=create, read_only=read_only, bare=bare, patience=waits)
    from smartsub_tui.data import sqlite

    return sqlite.open_file(path_of(url), create=create, read_only=read_only, bare=bare)


def migrate(database: Database, *, create: bool = True) -> list[str]:
    """Run what is not yet applied of `migrations/`, in order; the names of what was run.

    Several processes may start at once: the one that gets the write lock does it, the others find it done.
    """
    done = applied(database)
    if done is None and not create:
        raise Unavailable(f"{database.name} is not a database of smartsub: name another with --database")
    if done == refuse_newer(database.name, done or set()):
        return []
    with database.migrating():
        refuse_newer(database.name, applied(database) or set())  # again: others may have had the lock before
        run = run_scripts(database)
    database.made = done is None and bool(run)
    return run


def run_scripts(database: Database) -> list[str]:
    """Run what is not yet applied of `migrations/`, within the transaction that is under way."""
    from playhouse.migrations import Runner

    run: list[str] = Runner(database, directory=str(MIGRATIONS)).up()
    return run


def refuse_older(database: Database) -> None:
    """Raise Unavailable where something is to be migrated before the database can be read."""
    done = applied(database) or set()
    if done != refuse_newer(database.name, done):
        raise Unavailable(f"{database.name} was made by an older smartsub: smartsub migrate, then read it")


def refuse_newer(what: str, done: set[str]) -> set[str]:
    """The names of the migrations that this version knows; raises Unavailable where others were applied too, and for a
    copy that was not finished.
    """
    known = scripts()
    if any(name.startswith(UNFINISHED) for name in done):
        raise Unavailable(
            f"{what} is a copy that was not finished: give smartsub copy again, which goes on with it, or name another"
        )
    if newer := sorted(done - known):
        raise Unavailable(f"{what} was made by a newer smartsub (it has {newer[-1]}): update smartsub")
    return known


def scripts() -> set[str]:
    """The names of the migrations that this version knows."""
    return {name.removesuffix(".py") for name in os.listdir(MIGRATIONS) if name[0].isdigit()}


def applied(database: Database) -> set[str] | None:
    """The names of the migrations that were run; None where nothing was, and nothing else lives here."""
    # All names in one read: between two, another process may finish making the tables.
    tables = set(database.get_tables())
    if "schema_migration" in tables:
        return {name for (name,) in database.execute_sql("SELECT name FROM schema_migration").fetchall()}
    if tables:
        raise Unavailable(f"{database.name} is a database of something else: name another database")
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


def is_of_a_value(error: BaseException) -> bool:
    """Whether the engine refused what was to be stored, and is well itself."""
    engine = _engine_of(error)
    return engine is not None and bool(engine.is_of_a_value(error))


def _engine_of(error: BaseException) -> ModuleType | None:
    """The module that knows the errors of the engine that said so, behind the error that Peewee made of it."""
    for cause in causes(error):
        module = type(cause).__module__
        if module == "apsw":
            from smartsub_tui.data import sqlite

            return sqlite
        if module.startswith(("psycopg", "smartsub_tui.data.postgres")):
            from smartsub_tui.data import postgres_errors

            return postgres_errors
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those behind it, each the cause of the one before."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


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
