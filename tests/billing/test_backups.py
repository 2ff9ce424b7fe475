"""Backups: whole copies made beside writers, and what is no whole copy is never taken for one."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smartsub_tui.billing import audit_chain, backups, orders
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.database import open_database, url_of
from smartsub_tui.data.files import NewFile
from smartsub_tui.data.models import Order
from smartsub_tui.data.sqlite import SqliteDatabase
from smartsub_tui.data.vocabulary import Role
from smartsub_tui.errors import NotAllowed, NotFound, Refused, Unavailable
from tests.support import NOW, add_office, add_people, add_prices, as_role, at_once, dump, file_database, session_on

pytestmark = pytest.mark.sqlite("a backup is a copy of a file")

ROUNDS: Final = int(os.environ.get("SMARTSUB_BACKUPS", "5"))
PEOPLE: Final = [f"u{place:03}" for place in range(200)]
SOON: Final = NOW.date().replace(month=12, day=22)


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Session]:
    """A database file with people, one of whom has an order."""
    with closing(file_database(tmp_path / "live.sqlite3")) as database:
        session = session_on(database)
        add_prices()
        add_people(add_office("Zoë's House"), *PEOPLE, expires_on=SOON)
        orders.renew(session, "Zoë's House", PEOPLE[:1], Months(1))
        yield session


@pytest.fixture
def made(stored: Session, tmp_path: Path) -> Path:
    """A backup."""
    backups.back_up(stored, tmp_path / "made.sqlite3")
    return tmp_path / "made.sqlite3"


def test_a_backup_is_the_database_and_its_owners_alone(stored: Session, tmp_path: Path) -> None:
    path = tmp_path / "made.sqlite3"
    told = backups.back_up(stored, path)
    assert (told.orders, told.users, told.newest, told.checked) == (1, len(PEOPLE), NOW, True)
    assert (told.bytes, told.sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "made.sqlite3.sha256").read_text() == (
        f"{told.sha256}  made.sqlite3\n# audit head {told.head}\n"
    )
    assert told.head == audit_chain.head()
    assert backups.verify(path) == told
    before = dump(stored.database)
    with closing(open_database(url_of(path))) as copy:
        assert dump(copy) == before
    # Whoever looks into one leaves nothing beside it.
    assert sorted(each.name for each in tmp_path.iterdir() if "made" in each.name) == [
        "made.sqlite3",
        "made.sqlite3.sha256",
    ]


def write_on(url: str, folder: str) -> str:
    """Order one person after the other, until enough backups were made meanwhile."""
    with closing(open_database(url)) as database:
        session = session_on(database)
        for written, key in enumerate(PEOPLE[1:]):
            if (Path(folder) / f"made-{ROUNDS - 1}.sqlite3").exists():
                return str(written)
            orders.renew(session, "Zoë's House", [key], Months(1))
    return "not enough people"


def back_up_often(url: str, folder: str) -> str:
    """Make one backup after the other; how many orders each holds."""
    with closing(open_database(url)) as database:
        session = session_on(database)
        made = [backups.back_up(session, Path(folder) / f"made-{place}.sqlite3") for place in range(ROUNDS)]
    return " ".join(str(each.orders) for each in made)


@pytest.mark.long
def test_it_is_of_one_moment_beside_a_process_that_writes(stored: Session, tmp_path: Path) -> None:
    url = url_of(tmp_path / "live.sqlite3")
    written, said = at_once(_call, [(write_on, url, str(tmp_path)), (back_up_often, url, str(tmp_path))], seconds=120)
    counted = [int(each) for each in said.split()]
    assert counted == sorted(counted)
    assert (len(counted), int(written) > 0) == (ROUNDS, True)
    for place, orders_ in enumerate(counted):
        path = tmp_path / f"made-{place}.sqlite3"
        assert backups.verify(path).orders == orders_
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as copy:
            # Each order came with its line and its event, or not at all.
            of = ("FROM orders", "FROM order_line", "FROM audit_event WHERE action = 'create'")
            assert [next(iter(copy.execute(f"SELECT count(*) {each}")))[0] for each in of] == [orders_] * 3


def _call(work: Callable[[str, str], str], url: str, folder: str) -> str:
    return work(url, folder)


def test_what_stands_there_stays(stored: Session, made: Path, tmp_path: Path) -> None:
    before = made.read_bytes()
    with pytest.raises(Refused, match="exists, and a backup replaces nothing: name another file"):
        backups.back_up(stored, made)
    with pytest.raises(Refused, match="exists"):
        backups.back_up(stored, tmp_path / "live.sqlite3")
    assert made.read_bytes() == before
    with pytest.raises(NotFound, match="no folder"):
        backups.back_up(stored, tmp_path / "nowhere" / "made.sqlite3")
    # The sum of a backup that was taken away is not in the way of the next.
    made.unlink()
    backups.back_up(stored, made)
    assert backups.verify(made).checked


def test_where_its_sum_cannot_stand_no_backup_is_made(stored: Session, tmp_path: Path) -> None:
    (tmp_path / "made.sqlite3.sha256").mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Refused, match=r"made.sqlite3.sha256 is a folder"):
        backups.back_up(stored, tmp_path / "made.sqlite3")
    with pytest.raises(Unavailable, match="File name too long"):
        backups.back_up(stored, tmp_path / ("x" * 250))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("ending", ["", ".sha256"])
def test_a_backup_and_its_sum_stand_there_both_or_neither(
    stored: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    keep = NewFile.keep

    def fail(self: NewFile) -> None:
        if self.path.name == f"made.sqlite3{ending}":
            raise Unavailable("the disk is gone")
        keep(self)

    monkeypatch.setattr(NewFile, "keep", fail)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Unavailable, match="the disk is gone"):
        backups.back_up(stored, tmp_path / "made.sqlite3")
    assert sorted(tmp_path.iterdir()) == before


def test_the_sum_of_another_that_came_first_stays(
    stored: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "made.sqlite3"
    copy_to = SqliteDatabase.copy_to

    def overtaken(database: SqliteDatabase, *arguments: Any) -> None:
        monkeypatch.undo()
        backups.back_up(stored, path)
        orders.renew(stored, "Zoë's House", PEOPLE[1:2], Months(1))
        copy_to(database, *arguments)

    monkeypatch.setattr(SqliteDatabase, "copy_to", overtaken)
    with pytest.raises(Refused, match="exists"):
        backups.back_up(stored, path)
    assert (backups.verify(path).checked, backups.verify(path).orders) == (True, 1)


def test_what_backups_that_were_killed_left_is_swept(stored: Session, tmp_path: Path) -> None:
    killed = tmp_path / ".smartsub-killed.part"
    killed.touch()
    os.utime(killed, (0, 0))
    backups.back_up(stored, tmp_path / "made.sqlite3")
    assert not killed.exists()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.AUDITOR])
def test_only_managers_may(stored: Session, tmp_path: Path, role: Role) -> None:
    with pytest.raises(NotAllowed, match="may not back up the database: ask a manager"):
        backups.back_up(as_role(stored, role), tmp_path / "made.sqlite3")
    assert not (tmp_path / "made.sqlite3").exists()


def test_without_its_sum_it_is_said_that_not_all_can_be_seen(made: Path) -> None:
    made.with_name("made.sqlite3.sha256").unlink()
    assert not backups.verify(made).checked
    # sha256sum itself notes no head.
    made.with_name("made.sqlite3.sha256").write_text(f"{hashlib.sha256(made.read_bytes()).hexdigest()} *made.sqlite3\n")
    assert backups.verify(made).checked


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (r"(?s).*", "", "made.sqlite3.sha256 is damaged, it holds no sum"),
        (r"(?s).*", "no sum", "made.sqlite3.sha256 is damaged, it holds no sum"),
        ("^.", "", "made.sqlite3.sha256 is damaged, it holds no sum"),
        ("# audit head", "# audio head", "made.sqlite3.sha256 is damaged, it holds no sum"),
        ("(?s)..$", "", "made.sqlite3.sha256 is damaged, it holds no sum"),
        ("head .*", f"head {'0' * 64}", "made.sqlite3 has not the audit head that is noted beside it"),
    ],
)
def test_a_sum_that_is_not_as_it_was_written_is_damage(made: Path, old: str, new: str, why: str) -> None:
    beside = made.with_name("made.sqlite3.sha256")
    beside.write_text(re.sub(old, new, beside.read_text(), count=1))
    with pytest.raises(Unavailable, match=why):
        backups.verify(made)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum")
@pytest.mark.parametrize("name", [b"made now *", b"a\nb", b"a\\b", rb"a\nb", b"Zo\xc3\xab", b"Zo\xeb"])
def test_whatever_its_name_its_sum_is_as_sha256sum_writes_it(stored: Session, tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    backups.back_up(stored, path)
    assert backups.verify(path).checked
    written = subprocess.run(["sha256sum", name], cwd=tmp_path, capture_output=True, check=True).stdout
    assert path.with_name(f"{path.name}.sha256").read_bytes().startswith(written)
    subprocess.run(["sha256sum", "--status", "-c", name + b".sha256"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
def test_a_database_that_someone_has_open_is_no_backup(made: Path, ending: str) -> None:
    """Though all of it stands in its file, and nothing in the log."""
    made.with_name(f"made.sqlite3{ending}").touch()
    with pytest.raises(Refused, match=f"a database in use, not a backup, .* for .*made.sqlite3{ending} stands beside"):
        backups.verify(made)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_passes(made: Path, place: float, bit: int) -> None:
    whole = made.read_bytes()
    wrong = bytearray(whole)
    wrong[int(place * len(wrong))] ^= 1 << bit
    try:
        made.write_bytes(wrong)
        with pytest.raises(Unavailable):
            backups.verify(made)
    finally:
        made.write_bytes(whole)
    assert backups.verify(made).checked


def test_what_is_no_backup_is_not_taken_for_one(made: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        backups.verify(tmp_path / "nothing")
    with pytest.raises(NotFound):
        backups.verify(Path("/"))
    with pytest.raises(Refused, match="a database in use, not a backup"):
        backups.verify(tmp_path / "live.sqlite3")
    other = tmp_path / "other"
    for content, why in (
        (b"", "not a database of smartsub"),
        (b"something else, and long enough to be looked at" * 99, "cannot be read as a database"),
        (made.read_bytes()[:-5000], "cannot be read as a database|damaged"),
    ):
        other.write_bytes(content)
        with pytest.raises(Unavailable, match=why):
            backups.verify(other)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        (
            "INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01')",
            "made by a newer smartsub",
        ),
        ("PRAGMA foreign_keys = OFF; UPDATE order_line SET subscription_id = 9999", "leads nowhere"),
    ],
)
def test_what_is_wrong_in_it_is_said(made: Path, sql: str, why: str) -> None:
    with closing(apsw.Connection(str(made))) as copy:
        copy.execute(sql)
    made.with_name("made.sqlite3.sha256").unlink()
    with pytest.raises(Unavailable, match=why):
        backups.verify(made)


@pytest.mark.parametrize("name", ["made.sqlite3", "made.sqlite3.sha256"])
def test_a_file_that_cannot_be_read_is_said_so(made: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    opened = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == name:
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(Unavailable, match="cannot be read: Permission denied"):
        backups.verify(made)


FULL: Final = """
import resource, sys
from smartsub_tui.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
sys.argv[1:] = ["--admin", "manager", "backup", sys.argv[1]]
main()
"""


def test_a_disk_that_does_not_take_it_leaves_nothing(stored: Session, tmp_path: Path) -> None:
    stored.database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    environment = {**os.environ, "SMARTSUB_DATABASE": url_of(tmp_path / "live.sqlite3"), "HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "made.sqlite3")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (5, "")
    assert ended.stderr.count("\n") == 1
    assert "the backup" in ended.stderr
    assert [each.name for each in tmp_path.iterdir() if "made" in each.name or "part" in each.name] == []
    assert Order.select().count() == 1
