"""smartsub doctor: each thing that money stands on, as it has to be, and wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pytest

from smartsub_tui.billing import health, orders
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data import sqlite
from smartsub_tui.data.database import url_of
from tests.support import FixedClock, add_office, add_people, add_prices, file_database, session_on

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/export /srv/all\\040data nfs4 rw 0 0
tmpfs /srv/all\\040data/fast tmpfs rw 0 0
srv:/b /mnt/bücher\\134alt nfs4 rw 0 0
srv:/c /mnt/no\u00a0break cifs rw 0 0
broken
"""
pytestmark = pytest.mark.sqlite("the file, its disk and its engine are looked at")
NAMES = ["engine", "file system", "free space", "integrity", "schema", "audit trail", "clock"]


class Used(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "here.sqlite3"


@pytest.fixture
def session(path: Path, clock: FixedClock) -> Iterator[Session]:
    with closing(file_database(path)) as database:
        made = session_on(database, clock=clock)
        add_prices()
        add_people(add_office(), "u1", expires_on=date(2026, 12, 22))
        orders.renew(made, "Oak House", ["u1"], Months(1))
        yield made


def wrong(session: Session, path: Path) -> dict[str, str]:
    return {each.name: each.says for each in health.examine(session, url_of(path)) if not each.ok}


def test_of_an_empty_trail_no_head_is_told(clock: FixedClock, tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite3"
    with closing(file_database(path)) as database:
        found = health.examine(session_on(database, clock=clock), url_of(path))
    assert {each.name: each.says for each in found}["audit trail"] == "0 events as they were written"


def test_all_is_as_it_has_to_be(session: Session, path: Path) -> None:
    found = health.examine(session, url_of(path))
    assert [each.name for each in found] == NAMES
    assert not wrong(session, path)
    says = {each.name: each.says for each in found}
    assert says["audit trail"].startswith("1 events as they were written, head ")
    assert says["clock"] == "2026-11-22 09:00:00 UTC"
    assert says["schema"] == "0004_ways"


def test_in_memory_there_is_no_disk(session: Session) -> None:
    found = {each.name: each.says for each in health.examine(session, "sqlite:///:memory:")}
    assert found["file system"] == found["free space"] == "in memory"


def test_the_disk_of_a_server_is_its_own(session: Session) -> None:
    found = {each.name: each.says for each in health.examine(session, "postgresql://h/d")}
    assert found["file system"] == found["free space"] == "that of the server: look there"


def test_an_old_engine(session: Session, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "sqlite_version", lambda: "3.51.2")
    assert "SQLite 3.51.2 can damage a database" in wrong(session, path)["engine"]


def test_a_file_system_over_a_network(session: Session, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_mounts", lambda: f"server:/x {path.parent} nfs4 rw 0 0\n")
    assert "is on nfs4, whose locks cannot be relied on" in wrong(session, path)["file system"]
    monkeypatch.setattr(health, "_mounts", lambda: "")
    assert not wrong(session, path)


def test_a_link_is_followed_to_where_the_file_lies(
    session: Session, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "elsewhere" / "link.sqlite3"
    link.parent.mkdir()
    link.symlink_to(path)
    monkeypatch.setattr(
        health, "_mounts", lambda: f"a / nfs4 rw 0 0\nb {path.parent} ext4 rw 0 0\nc {link.parent} nfs4"
    )
    asked: list[Path] = []

    def free(place: Path) -> Used:
        asked.append(place)
        return Used(10**9, 0, 10**9)

    monkeypatch.setattr(shutil, "disk_usage", free)
    assert not wrong(session, link)
    assert asked == [path.parent]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/a/x.sqlite3", "ext4"),
        ("/srv/all data/x.sqlite3", "nfs4"),
        ("/srv/all data/fast/x.sqlite3", "tmpfs"),
        ("/srv/all data faster/x.sqlite3", "ext4"),
        ("/mnt/bücher\\alt/x.sqlite3", "nfs4"),
        ("/mnt/no\u00a0break/x.sqlite3", "cifs"),
    ],
)
def test_the_nearest_mount_counts(path: str, kind: str) -> None:
    assert health.file_system_of(Path(path), MOUNTS) == kind


def test_no_table_of_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert health._mounts() == ""


def test_a_disk_that_is_nearly_full(session: Session, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Used(10**9, 10**9 - 5_000_000, 5_000_000))
    assert "5 MB are free in " in wrong(session, path)["free space"]

    def unknown(_: object) -> Used:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "disk_usage", unknown)
    assert "cannot be looked at: Permission denied" in wrong(session, path)["free space"]


def test_a_row_that_leads_nowhere(session: Session, path: Path) -> None:
    session.database.execute_sql("PRAGMA foreign_keys = OFF")
    session.database.execute_sql("DELETE FROM subscription")
    assert wrong(session, path)["integrity"].startswith("the database is damaged (a row of ")


def test_a_damaged_page(session: Session, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session.database.execute_sql("PRAGMA writable_schema = ON")
    session.database.execute_sql("UPDATE sqlite_master SET rootpage = 2 WHERE name = 'claim'")
    session.database.execute_sql("PRAGMA writable_schema = RESET")
    assert "the database is damaged" in wrong(session, path)["integrity"]


def test_a_trail_that_was_changed(session: Session, path: Path) -> None:
    session.database.execute_sql("DROP TRIGGER audit_event_no_update")
    session.database.execute_sql("UPDATE audit_event SET reason = 'x'")
    assert "the audit trail was changed" in wrong(session, path)["audit trail"]


@pytest.mark.parametrize("edit", ["at = 9000000000000000000", "admin = CAST(x'ff41' AS TEXT)"])
def test_a_trail_that_cannot_even_be_read(session: Session, path: Path, edit: str) -> None:
    session.database.execute_sql("DROP TRIGGER audit_event_no_update")
    session.database.execute_sql(f"UPDATE audit_event SET {edit}")
    assert "event 1, or one before it, is not as it was written" in wrong(session, path)["audit trail"]


def test_whatever_a_check_raises_the_others_go_on(
    session: Session, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(health, "_integrity", defect)
    assert [each.name for each in health.examine(session, url_of(path))] == NAMES
    assert wrong(session, path) == {
        "integrity": "it could not be looked at (ZeroDivisionError): go by what the other checks say"
    }


def test_a_clock_that_is_behind(session: Session, path: Path, clock: FixedClock) -> None:
    clock.advance(hours=-2)
    assert wrong(session, path) == {
        "clock": "it is 2026-11-22 07:00 UTC here, and the last change is of 2026-11-22 09:00 UTC: set the clock"
    }
