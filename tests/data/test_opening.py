"""Opening a database: which files are taken, which are made, and which are left as they are."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import apsw
import peewee
import pytest

from smartsub_tui.data.database import (
    available,
    open_database,
    path_of,
    url_of,
)
from smartsub_tui.data.models import (
    Admin,
    AdminLimit,
)
from smartsub_tui.data.sqlite import SqliteDatabase
from smartsub_tui.data.vocabulary import (
    Role,
)
from smartsub_tui.errors import WrongUsage
from tests.data.rows import an_admin
from tests.support import NOW, at_once, file_database, memory_database, said


def test_the_url_of_a_file_names_it() -> None:
    assert path_of("sqlite:///a.sqlite3") == Path("a.sqlite3")
    assert path_of("sqlite:////var/lib/a b.sqlite3") == Path("/var/lib/a b.sqlite3")
    assert path_of("sqlite:///:memory:") is None
    assert path_of(url_of(Path("/x/y"))) == Path("/x/y")


@pytest.mark.parametrize(
    "url",
    ["", "a.sqlite3", "/a", "sqlite:", "sqlite://", "sqlite:///", "sqlite://a", "mysql://x", "mysql://u:hunter2@h/d"],
)
def test_what_is_no_url_is_refused_with_what_would_be_right(url: str) -> None:
    says = r"is no database URL: write sqlite:///FILE, sqlite:////ABSOLUTE/FILE or postgresql://"
    with pytest.raises(WrongUsage, match=says) as refused:
        path_of(url)
    assert "hunter2" not in refused.value.message  # which may be a password


@pytest.mark.sqlite("a database is a file")
def test_a_missing_database_is_not_made_unless_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite3"
    assert said(open_database, url_of(path)) == f"no database at {path}: smartsub init"
    assert not path.exists()


@pytest.mark.sqlite("a database is a file")
def test_a_missing_database_whose_old_file_stands_there_can_be_recovered(tmp_path: Path) -> None:
    path = tmp_path / "no[n]e.sqlite3"
    for each in ("20261122T090000Z", "20261122T090001Z", "20261122T090001Z_2"):
        path.with_name(f"{path.name}.{each}.old").touch()
    (tmp_path / "other.sqlite3.20261123T090000Z.old").touch()
    assert said(open_database, url_of(path)) == (
        f"no database at {path}, but {path.name}.20261122T090001Z_2.old stands beside it: smartsub recover puts that or"
        " a backup in its place, smartsub init makes a new one"
    )


@pytest.mark.sqlite("a database is a file")
def test_a_file_of_no_length_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite3"
    path.touch()
    assert said(open_database, url_of(path)).startswith(f"the database {path} is empty: smartsub recover")
    assert path.stat().st_size == 0


@pytest.mark.sqlite("a database is a file")
def test_a_new_database_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "new.sqlite3"
    with closing(open_database(url_of(path), create=True)):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert all(each.stat().st_mode & 0o077 == 0 for each in path.parent.iterdir())
        Admin.create(name="ann", role=Role.VIEWER, created_at=NOW)
    with closing(open_database(url_of(path), create=True)):
        assert Admin.get().name == "ann"
    with closing(open_database(url_of(path))):
        assert Admin.get().name == "ann"


@pytest.mark.sqlite("its own settings")
def test_every_connection_is_safe_for_money(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    for create in (True, False):
        with closing(open_database(url_of(path), create=create)) as database:
            pragmas = ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers", "mmap_size")
            found = {name: database.execute_sql(f"PRAGMA {name}").fetchone()[0] for name in pragmas}
            # Full: every commit is on the disk before it is told.
            assert found == {
                "journal_mode": "wal",
                "synchronous": 2,
                "foreign_keys": 1,
                "recursive_triggers": 1,
                "mmap_size": 0,
            }


@pytest.mark.sqlite("a database is a file")
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ann,\n" * 200)
    for create in (False, True):
        assert "is not a database: name another file" in said(open_database, url_of(path), create=create)
    assert path.read_text() == "Dear Ann,\n" * 200
    assert [each.name for each in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.sqlite("a database is a file")
def test_a_database_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mail.sqlite3"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE mail (text TEXT)")
        other.commit()
    before = path.read_bytes()
    for create in (False, True):
        assert "is a database of something else" in said(open_database, url_of(path), create=create)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["mail.sqlite3"]


@pytest.mark.sqlite("a database is a file")
def test_a_database_with_nothing_in_it_is_taken_only_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "blank.sqlite3"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE gone (text TEXT)")
        other.execute("DROP TABLE gone")
    assert path.stat().st_size > 0
    assert "is not a database of smartsub" in said(open_database, url_of(path))
    open_database(url_of(path), create=True).close()
    open_database(url_of(path)).close()


@pytest.mark.sqlite("its own words for a schema")
def test_a_database_of_before_the_limits_gets_their_table(tmp_path: Path) -> None:
    path = tmp_path / "older.sqlite3"
    with closing(file_database(path)) as database:
        made = database.execute_sql("SELECT sql FROM sqlite_master WHERE tbl_name = 'admin_limit'").fetchall()
        database.execute_sql("DROP TABLE admin_limit")
        database.execute_sql("DELETE FROM schema_migration WHERE name = '0002_admin_limits'")
    with closing(open_database(url_of(path))) as database:
        again = database.execute_sql("SELECT sql FROM sqlite_master WHERE tbl_name = 'admin_limit'").fetchall()
        assert again == made != []
        AdminLimit.create(admin=an_admin(), currency="EUR", amount=1)


@pytest.mark.sqlite("a database is a file")
def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    with closing(open_database(url_of(path), create=True)) as database:
        database.execute_sql("INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01')")
    for create in (False, True):
        message = said(open_database, url_of(path), create=create)
        assert message == f"{path} was made by a newer smartsub (it has 9999_later): update smartsub"


@pytest.mark.sqlite("a database is a file")
def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged.sqlite3"
    open_database(url_of(path), create=True).close()
    content = bytearray(path.read_bytes())
    content[100:200] = b"\xff" * 100
    path.write_bytes(content)
    assert "is damaged: stop using it and restore a backup" in said(open_database, url_of(path))


@pytest.mark.sqlite("a database is a file")
def test_a_folder_is_no_database(tmp_path: Path) -> None:
    assert "cannot be opened" in said(open_database, url_of(tmp_path))


@pytest.mark.sqlite("a database is a file")
def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot make the database" in said(open_database, url_of(tmp_path / "file" / "x"), create=True)
    assert "File name too long" in said(open_database, url_of(tmp_path / ("x" * 300)), create=True)
    assert "File name too long" in said(open_database, url_of(tmp_path / ("x" * 300)))


@pytest.fixture
def shut(tmp_path: Path) -> Iterator[Path]:
    """A folder to make things in that may not be written; skipped for whom no permission counts, as root."""
    folder = tmp_path / "shut"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("permissions do not count for this user")
    yield folder
    folder.chmod(0o700)


def made_in(folder: Path) -> Path:
    """A database in a folder that may not be written any more."""
    folder.chmod(0o700)
    open_database(url_of(folder / "x.sqlite3"), create=True).close()
    folder.chmod(0o500)
    return folder / "x.sqlite3"


@pytest.mark.sqlite("a database is a file")
def test_where_nothing_may_be_written_no_database_is_made(shut: Path) -> None:
    message = said(open_database, url_of(shut / "new.sqlite3"), create=True)
    assert message == f"cannot make the database {shut / 'new.sqlite3'}: Permission denied"


@pytest.mark.sqlite("a database is a file")
def test_a_folder_that_may_not_be_searched_is_said(shut: Path) -> None:
    path = made_in(shut)
    shut.chmod(0)
    assert said(open_database, url_of(path)).endswith("Permission denied")


@pytest.mark.sqlite("a database is a file")
def test_a_folder_that_may_not_be_written_is_said(shut: Path) -> None:
    path = made_in(shut)
    assert "is read-only: check who owns it and its folder" in said(open_database, url_of(path))


@pytest.mark.sqlite("a database is a file")
def test_a_file_that_may_not_be_read_is_said(shut: Path) -> None:
    path = made_in(shut)
    path.chmod(0)
    assert "cannot be opened" in said(open_database, url_of(path))


@pytest.mark.sqlite("a database is a file")
def test_a_file_that_may_not_be_written_is_said_at_the_first_write(shut: Path) -> None:
    path = made_in(shut)
    path.chmod(0o400)
    shut.chmod(0o700)

    def write() -> None:
        with closing(open_database(url_of(path))), available():
            Admin.create(name="ann", role=Role.VIEWER, created_at=NOW)

    assert "is read-only" in said(write)


def _tables(url: str) -> str:
    with closing(open_database(url, create=True)) as database:
        return " ".join(sorted(database.get_tables()))


@pytest.mark.sqlite("a database is a file")
def test_eight_processes_that_make_the_same_database_all_find_it_made(tmp_path: Path) -> None:
    found = at_once(_tables, [(url_of(tmp_path / "new.sqlite3"),)] * 8)
    with closing(memory_database()) as expected:
        assert found == [" ".join(sorted(expected.get_tables()))] * 8


@pytest.mark.sqlite("a database is a file")
def test_a_database_that_another_process_is_just_making_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite does not ask the busy handler when two switch to the log at once: it only says that it is busy."""
    path = tmp_path / "new.sqlite3"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE schema_migration (id INTEGER PRIMARY KEY, name TEXT, applied TEXT)")
    other.execute("BEGIN IMMEDIATE")
    waits = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        other.close()

    monkeypatch.setattr("smartsub_tui.data.sqlite.time.sleep", sleep)
    open_database(url_of(path), create=True).close()
    assert len(waits) == 1


@pytest.mark.sqlite("a database is a file")
def test_tables_that_appear_while_they_are_looked_for_are_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may finish making them at any moment."""
    path = tmp_path / "new.sqlite3"
    look = SqliteDatabase.get_tables

    def appear(database: SqliteDatabase, schema: str | None = None) -> list[str]:
        found: list[str] = look(database, schema)
        with monkeypatch.context() as once:
            once.setattr(SqliteDatabase, "get_tables", look)
            open_database(url_of(path), create=True).close()
        return found

    monkeypatch.setattr(SqliteDatabase, "get_tables", appear)
    open_database(url_of(path), create=True).close()


@pytest.mark.sqlite("its driver")
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("times", [1, 2])
def test_a_file_that_is_exchanged_while_it_is_opened_is_opened_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, fails: bool
) -> None:
    """Whether the old one can be read with the other's log beside it or not."""
    path = tmp_path / "x.sqlite3"
    for name in ("x", "0", "1"):
        with closing(open_database(url_of(tmp_path / f"{name}.sqlite3"), create=True)):
            Admin.create(name=name, role=Role.VIEWER, created_at=NOW)
    connect, begun = SqliteDatabase._connect, iter(range(times))

    def exchanged(database: SqliteDatabase) -> apsw.Connection:
        connection = connect(database)
        for place in islice(begun, 1):
            os.replace(tmp_path / f"{place}.sqlite3", path)
            if fails:
                connection.close()
                raise peewee.OperationalError("disk I/O error") from apsw.IOError()
        return connection

    monkeypatch.setattr(SqliteDatabase, "_connect", exchanged)
    if times == 2:
        assert said(open_database, url_of(path)) == f"the database {path} was replaced while it was opened: try again"
    else:
        with closing(open_database(url_of(path))):
            assert [each.name for each in Admin.select()] == ["0"]
