"""Copies: every row of one database in another, value by value as it is stored, on whichever engines the two are.

A target that is being filled says so among its migrations, from the transaction that makes its tables to the one that
follows its comparison: whoever opens it meanwhile is told what it is. What stands there is a hash over every value of
the source at the moment of which it is a copy, so whoever goes on knows whether it is still that moment. Rows go over
in the order of their keys, block by block, each block in a transaction of its own: what is there already is all up to
the last key, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import chain, count
from secrets import token_hex
from typing import Any, Final

import msgspec
import peewee
from msgspec import Struct

from smartsub_tui.data import models
from smartsub_tui.data.database import (
    UNFINISHED,
    Database,
    NotStored,
    UncertainCommit,
    applied,
    available,
    is_of_a_value,
    open_database,
    run_scripts,
    scripts,
)
from smartsub_tui.errors import Refused, Unavailable

BLOCK: Final = 2000  # rows that are held, and stored, together
# What another row names stands before it.
TABLES: Final[tuple[Any, ...]] = tuple(peewee.sort_models(models.TABLES))  # type: ignore[attr-defined]
_LONGEST: Final = 60  # characters of a row's name that are told
_encode: Final = msgspec.msgpack.Encoder().encode

Told = Callable[[int], None]  # so many more rows are done
Row = tuple[Any, ...]


class Moment(Struct, frozen=True):
    """A database as it was at one moment: how many rows each table had, and a hash over every value in them."""

    rows: dict[str, int]
    digest: str

    def is_of(self, mark: str) -> bool:
        """Whether an unfinished copy with that mark is one of this moment."""
        return mark.startswith(f"{UNFINISHED}{self.digest}_")


# Reading


def rows_of(database: Database) -> int:
    """How many rows there are to copy."""
    return sum(_count(database, model) for model in TABLES)


def moment_of(database: Database, told: Told) -> Moment:
    """Read every row, within reading(). Raises Refused for text that is none."""
    digest, rows = sha256(), {}
    for model in TABLES:
        read = 0
        digest.update(f"\n{_table(model)} {_columns(model)}\n".encode())
        for block in _blocks(database, model):
            digest.update(b"".join(map(_encode, block)))
            read += len(block)
            told(len(block))
        rows[_table(model)] = read
    return Moment(rows, digest.hexdigest())


def _blocks(database: Database, model: Any, behind: Row | None = None) -> Iterator[list[Row]]:
    """The rows of a table in the order of their keys, from behind one on, as they are stored."""
    while block := _block(database, model, behind, BLOCK):
        yield block
        behind = _key_of(model, block[-1])


def _block(database: Database, model: Any, behind: Row | None, most: int) -> list[Row]:
    try:
        return _read(database, model, _columns(model), behind, most)
    except UnicodeDecodeError as error:  # SQLite keeps whatever bytes it is given as text
        if most > 1:
            # As many as can be read, and the next time the one that cannot.
            return _block(database, model, behind, most // 2)
        which = "the first row" if behind is None else f"the row behind {_shown_key(behind)}"
        raise Refused(
            f"{which} of {_table(model)} holds bytes that are no text: put it right where it is copied from"
        ) from error


def _read(database: Database, model: Any, columns: str, behind: Row | None, most: int) -> list[Row]:
    key = ", ".join(map(_quoted, _key(model)))
    marks = ", ".join(database.param for _ in behind or ())
    here = f"WHERE ({key}) > ({marks}) " if behind else ""
    found: list[Row] = database.execute_sql(
        f'SELECT {columns} FROM "{_table(model)}" {here}ORDER BY {key} LIMIT {most:d}',  # noqa: S608 - names of ours
        behind,
    ).fetchall()
    return found


def _count(database: Database, model: Any) -> int:
    return int(database.execute_sql(f'SELECT count(*) FROM "{_table(model)}"').fetchone()[0])  # noqa: S608 - as above


def _last_key(database: Database, model: Any) -> Row | None:
    key = [_quoted(each) for each in _key(model)]
    backwards = ", ".join(f"{each} DESC" for each in key)
    found: Row | None = database.execute_sql(
        f'SELECT {", ".join(key)} FROM "{_table(model)}" ORDER BY {backwards} LIMIT 1'  # noqa: S608 - as above
    ).fetchone()
    return found


def last_event(database: Database) -> tuple[int, str]:
    """The row id of the last audit event, which is how many there are, and its hash."""
    found = database.execute_sql("SELECT id, hash FROM audit_event ORDER BY id DESC LIMIT 1").fetchone()
    return (0, "") if found is None else (found[0], found[1])


def _table(model: Any) -> str:
    return str(model._meta.table_name)


def _columns(model: Any) -> str:
    return ", ".join(_quoted(each.column_name) for each in model._meta.sorted_fields)


def _key(model: Any) -> list[str]:
    """The columns of a table's primary key."""
    key = model._meta.primary_key
    if isinstance(key, peewee.CompositeKey):
        return [model._meta.fields[name].column_name for name in key.field_names]
    return [key.column_name]


def _key_of(model: Any, row: Row) -> Row:
    columns = [each.column_name for each in model._meta.sorted_fields]
    return tuple(row[columns.index(each)] for each in _key(model))


def _quoted(name: str) -> str:
    return f'"{name}"'


# The target


@contextmanager
def open_target(url: str) -> Iterator[Database]:
    """The database that becomes, or is to go on becoming, a copy; the models stay bound to what they are bound to."""
    bound = models.proxy.obj
    try:
        target = open_database(url, create=True, bare=True)
    finally:
        models.proxy.initialize(bound)
    try:
        yield target
    finally:
        target.close()


def mark_of(target: Database) -> str | None:
    """What an unfinished copy is marked with; None for a database without tables.

    Raises Refused where it is anything else, or an unfinished copy that another version began; Unavailable where it is
    a database of something else.
    """
    with _told(target):
        done = applied(target)
    if done is None:
        return None
    marks = [name for name in done if name.startswith(UNFINISHED)]
    if not marks:
        raise Refused(
            f"{target.name} is not empty, it is a database of smartsub already: name an empty one; nothing was copied"
        )
    return marks[0]


def begin(target: Database, moment: Moment, *, anew: bool) -> str:
    """Make the tables, with the mark of an unfinished copy, in one transaction; `anew`: in the place of one.

    The mark names the moment, and is like no other: who was copying before finds that it is another's now.
    """
    made = f"{UNFINISHED}{moment.digest}_{token_hex(8)}"
    with _told(target), _bound(target), target.migrating():
        mark = mark_of(target)  # once more: others may have had the lock before
        if mark is not None:
            if not anew:
                raise _busy(target)
            target.drop_tables(TABLES, safe=False)
            target.execute_sql("DROP TABLE schema_migration")
        run_scripts(target)
        target.execute_sql(
            f"INSERT INTO schema_migration (name, applied) VALUES ({target.param}, CURRENT_TIMESTAMP)",  # noqa: S608
            (made,),
        )
    return made


def refuse_other_version(target: Database) -> None:
    """Raise Refused where an unfinished copy has not the tables that this version makes."""
    done = {name for name in applied(target) or () if not name.startswith(UNFINISHED)}
    if done != scripts():
        raise Refused(
            f"{target.name} is an unfinished copy that another version of smartsub began (its schema is"
            f" {max(done, default='none')}): --anew throws it away and begins again"
        )


def fill(source: Database, target: Database, mark: str, told: Told) -> int:
    """Store every row that is not there yet; how many were.

    Raises Refused for a row that the target does not take; Unavailable where it cannot be written, or where another
    process is at work on it.
    """
    there = 0
    with _told(target):
        target.stay()
    for model in TABLES:
        with _told(target):
            last = _last_key(target, model)
            found = 0 if last is None else _count(target, model)
        there += found
        told(found)
        for block in _blocks(source, model, last):
            with _told(target):
                _store(target, model, block, last, mark)
            last = _key_of(model, block[-1])
            told(len(block))
    return there


def _store(target: Database, model: Any, block: Sequence[Row], last: Row | None, mark: str) -> None:
    try:
        with target.writing():
            _refuse_others(target, mark)
            if _last_key(target, model) != last:
                raise _busy(target)
            target.insert_stored(model._meta.sorted_fields, block)
    except peewee.DatabaseError as error:
        if not is_of_a_value(error):
            raise
        # The rows before it go in: a row may name one of the same block.
        good, bad = 0, len(block)
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if _takes(target, model, block[:middle]) else (good, middle)
        raise Refused(
            f"{_name(model, block[good])} cannot be copied: {_why(target, error)}; change it where it is copied from,"
            " then copy again with --anew"
        ) from error


class _Undo(Exception):
    """Takes a transaction back."""


def _takes(target: Database, model: Any, rows: Sequence[Row]) -> bool:
    """Whether the target would take these rows."""
    try:
        with target.writing():
            target.insert_stored(model._meta.sorted_fields, rows)
            raise _Undo
    except _Undo:
        return True
    except peewee.DatabaseError as error:
        if not is_of_a_value(error):
            raise
        return False


def _why(target: Database, error: peewee.DatabaseError) -> str:
    try:
        with available(target.name):
            raise error
    except Unavailable as told:
        return told.message
    except peewee.IntegrityError:
        return f"{target.name} has a rule against it ({' '.join(str(error).split())})"


def _name(model: Any, row: Row) -> str:
    """A row as people know it."""
    columns = [each.column_name for each in model._meta.sorted_fields]
    known = next((str(row[columns.index(each)]) for each in ("number", "key", "name") if each in columns), None)
    shown = f"row {_shown_key(_key_of(model, row))} of {_table(model)}"
    return shown if known is None else f"{shown} ({known[:_LONGEST]!r}{'...' if len(known) > _LONGEST else ''})"


def _shown_key(key: Row) -> str:
    return ", ".join(str(each) if isinstance(each, int) else repr(each)[:_LONGEST] for each in key)


def compare(source: Database, target: Database, told: Told) -> None:
    """See that both have the same rows, with the same values, and that the target is whole.

    Raises Unavailable, with the first row that is otherwise.
    """
    with target.reading():
        for model in TABLES:
            theirs = _blocks(target, model)
            for block in chain(_blocks(source, model), ([],)):  # behind the last one there is nothing
                with _told(target):
                    found = next(theirs, [])
                _refuse_difference(target, model, block, found)
                told(len(block))
    with _told(target):
        wrong = target.whole_check()
    if wrong is not None:
        raise Unavailable(f"the copy {target.name} is damaged ({wrong}): --anew throws it away and begins again")


def _refuse_difference(target: Database, model: Any, rows: list[Row], theirs: list[Row]) -> None:
    if rows == theirs:
        return
    place = next(place for place in count() if rows[place : place + 1] != theirs[place : place + 1])
    row = (rows[place : place + 1] or theirs[place : place + 1])[0]
    raise Unavailable(
        f"{_name(model, row)} is not in {target.name} as it is where it was copied from: the copy cannot be used;"
        " --anew throws it away and begins again"
    )


def finish(target: Database, mark: str) -> None:
    """Let the copy be a database like any other."""
    with _told(target), target.writing():
        _refuse_others(target, mark)
        target.execute_sql(f"DELETE FROM schema_migration WHERE name = {target.param}", (mark,))  # noqa: S608


def _refuse_others(target: Database, mark: str) -> None:
    """Raise where another process has finished this copy, or thrown it away."""
    if target.schema() != mark:
        raise _busy(target)


def _busy(target: Database) -> Unavailable:
    return Unavailable(f"another smartsub is copying into {target.name}: let it finish, or end it and copy again")


@contextmanager
def _told(target: Database) -> Iterator[None]:
    """What goes wrong with the target, as available() tells it, and that what is there is not lost."""
    try:
        with available(f"the copy {target.name}"):
            yield
    except Unavailable as error:
        if isinstance(error.__cause__, UncertainCommit | NotStored):
            raise Unavailable(
                f"the connection to the copy {target.name} was lost: copy again, it goes on where it was"
            ) from error
        raise error.behind_the_first() from error


@contextmanager
def _bound(database: Database) -> Iterator[None]:
    """The models bound to another database meanwhile."""
    bound = models.proxy.obj
    models.proxy.initialize(database)
    try:
        yield
    finally:
        models.proxy.initialize(bound)
