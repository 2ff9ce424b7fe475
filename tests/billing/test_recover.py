"""Going back to a backup: into an empty place, over an old file, never under somebody's feet."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from smartsub_tui.billing import admins, audit_chain, backups, orders, payments
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.database import open_database, url_of
from smartsub_tui.data.files import NewFile
from smartsub_tui.data.models import AuditEvent, Order
from smartsub_tui.data.sqlite import role_in
from smartsub_tui.data.vocabulary import Role
from smartsub_tui.errors import NotAllowed, NotFound, Refused, SmartsubError, Unavailable
from tests.support import (
    NOW,
    SETTINGS,
    FixedClock,
    add_office,
    add_people,
    add_prices,
    as_role,
    file_database,
    session_on,
)

pytestmark = pytest.mark.sqlite("a file is put in the place of another")

CLOCK = FixedClock()


def order(session: Session, key: str) -> str:
    return orders.renew(session, "Oak House", [key], Months(1)).order.number


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with one order, of which `kept` is a backup, and one order more."""
    made = tmp_path / "here.sqlite3"
    with closing(file_database(made)) as database:
        session = session_on(database)
        as_role(session, Role.OPERATOR)
        add_prices()
        add_people(add_office(), "u1", "u2", expires_on=date(2026, 12, 22))
        order(session, "u1")
        backups.back_up(session, tmp_path / "kept.sqlite3")
        CLOCK.put(NOW)
        CLOCK.advance(hours=1)
        order(replace(session, clock=CLOCK), "u2")
    return made


def recover(
    path: Path, *, admin: str = "manager", go_back: bool = False, name: str = "kept.sqlite3"
) -> backups.Recovered:
    return backups.recover(path, url_of(path), path.with_name(name), admin, CLOCK, SETTINGS, go_back=go_back)


def numbers(path: Path) -> int:
    with closing(open_database(url_of(path))):
        return int(Order.select().count())


def refused(path: Path, says: str, kind: type[SmartsubError] = Refused, **options: object) -> None:
    before = path.read_bytes()
    with pytest.raises(kind, match=says):
        recover(path, **options)  # type: ignore[arg-type] # of any kind, each as recover() names it
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.old*"))
    assert not list(path.parent.glob(".smartsub*"))


def test_what_was_done_since_is_not_lost_unasked(path: Path) -> None:
    refused(path, r"has changes until 2026-11-22 10:00 UTC that the backup has not: --go-back leaves them behind")
    made = recover(path, go_back=True)
    assert made.kept is not None
    assert (numbers(path), numbers(Path(made.kept))) == (1, 2)
    assert made.backup.orders == 1
    with closing(open_database(url_of(path))) as database:
        event = AuditEvent.select().order_by(AuditEvent.id.desc()).get()
        assert (event.action, event.admin, event.subject) == ("recover", "manager", str(path.with_name("kept.sqlite3")))
        after = json.loads(event.after or "")
        assert after["sha256"] == hashlib.sha256(path.with_name("kept.sqlite3").read_bytes()).hexdigest()
        assert (event.source, after["kept"], after["newest"]) == ("cli", made.kept, "2026-11-22T09:00:00Z")
        assert made.database == str(path)
        assert audit_chain.verify(session_on(database), made.backup.head).events == 2


def test_a_database_that_is_gone_is_made_again(path: Path) -> None:
    path.unlink()
    assert recover(path).kept is None
    assert (numbers(path), path.stat().st_mode & 0o777) == (1, 0o600)


@pytest.mark.parametrize("main", [None, b""])
@pytest.mark.parametrize("ending", ["-wal", "-journal"])
def test_a_log_without_its_database_is_not_played_into_the_new_one(path: Path, main: bytes | None, ending: str) -> None:
    """What a process that was killed left, the file of which was removed or emptied."""
    with closing(file_database(path.with_name("other.sqlite3"))) as database:
        session = session_on(database)
        add_prices()
        add_people(add_office(), "u3", expires_on=date(2026, 12, 22))
        order(session, "u3")
        log, index = (path.with_name(f"other.sqlite3{each}").read_bytes() for each in ("-wal", "-shm"))
    path.unlink()
    if main is not None:
        path.write_bytes(main)
    path.with_name(f"{path.name}{ending}").write_bytes(log)
    path.with_name(f"{path.name}-shm").write_bytes(index)
    made = recover(path)
    assert made.kept is not None
    assert made.kept.endswith(f".old{ending}")
    assert Path(made.kept).read_bytes() == log
    with closing(open_database(url_of(path))) as database:
        assert audit_chain.verify(session_on(database), made.backup.head).events == 2
        assert database.whole_check() is None


def test_a_clock_that_was_set_back_loses_nothing(path: Path) -> None:
    """All of it is older than the backup by its instants, and not by the trail."""
    path.unlink()
    recover(path)
    with closing(open_database(url_of(path))) as database:
        CLOCK.put(NOW - timedelta(days=1))
        order(session_on(database, clock=CLOCK), "u2")
    refused(path, r"has changes until 2026-11-21 09:00 UTC that the backup has not: --go-back leaves them behind")


def test_what_cannot_be_opened_is_not_damaged_for_that(path: Path) -> None:
    """A folder in the place of the log keeps SQLite from the file, and not us from what is in it."""
    path.with_name(f"{path.name}-wal").mkdir()
    refused(path, "--go-back leaves them behind")
    assert recover(path, go_back=True).kept is not None
    assert numbers(path) == 1


def test_nothing_is_lost_of_what_the_backup_has_too(path: Path) -> None:
    """Whether the old file is the older one, or nothing was ever done in it."""
    with closing(open_database(url_of(path))) as database:
        backups.back_up(session_on(database), path.with_name("now.sqlite3"))
    path.write_bytes(path.with_name("kept.sqlite3").read_bytes())
    assert recover(path, name="now.sqlite3").backup.orders == 2
    path.unlink()
    open_database(url_of(path), create=True).close()
    assert recover(path, name="now.sqlite3").backup.orders == 2


def test_what_was_kept_before_is_never_replaced(path: Path) -> None:
    """Twice in the same second, beside a log that was kept with that name."""
    first = recover(path, go_back=True).kept
    assert first is not None
    before = Path(first).read_bytes()
    path.with_name(f"{path.name}.{CLOCK.now():%Y%m%dT%H%M%S}Z_2.old-wal").touch()
    second = recover(path, go_back=True).kept
    assert second == first.replace("Z.old", "Z_3.old")
    assert Path(first).read_bytes() == before
    assert (numbers(Path(first)), numbers(Path(second))) == (2, 1)


def test_what_is_not_the_backup_in_the_end_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = NewFile.keep

    def keep_and_write(self: NewFile) -> None:
        keep(self)
        monkeypatch.setattr(NewFile, "keep", keep)
        with closing(open_database(url_of(path))) as database:
            order(session_on(database), "u2")

    monkeypatch.setattr(NewFile, "keep", keep_and_write)
    with pytest.raises(Unavailable, match="is not what the backup was: end what writes to it, recover again"):
        recover(path, go_back=True)


def test_whoever_could_open_the_old_one_can_open_the_new(path: Path) -> None:
    path.chmod(0o660)
    group = path.stat().st_gid + (os.geteuid() == 0)  # another than of who recovers, where he may give it
    os.chown(path, -1, group)
    recover(path, go_back=True)
    assert (path.stat().st_mode & 0o777, path.stat().st_gid) == (0o660, group)


def test_a_damaged_one_is_put_aside_as_it_is(path: Path) -> None:
    damaged = b"not a database" * 1000
    path.write_bytes(damaged)
    made = recover(path)
    assert made.kept is not None
    assert Path(made.kept).read_bytes() == damaged
    assert numbers(path) == 1


def test_the_log_of_a_process_that_died_goes_into_the_old_file(path: Path) -> None:
    with closing(open_database(url_of(path))) as database:
        number = Order.select().order_by(Order.id.desc()).get().number
        payments.cancel(session_on(database, clock=CLOCK), number, "why")
        files = [path.with_name(f"{path.name}{ending}") for ending in ("", "-wal")]
        left = {file: file.read_bytes() for file in files}
    for file, content in left.items():
        file.write_bytes(content)
    made = recover(path, go_back=True)
    assert made.kept is not None
    with closing(open_database(url_of(Path(made.kept)))):
        assert AuditEvent.select().order_by(AuditEvent.id.desc()).get().action == "cancel"


def test_nobody_s_database_is_taken_from_under_him(path: Path) -> None:
    with closing(open_database(url_of(path))):
        with pytest.raises(Refused, match="is in use: end every smartsub on it first"):
            recover(path, go_back=True)
        assert Order.select().count() == 2
    assert numbers(path) == 2


def test_who_comes_while_it_is_exchanged_waits_and_finds_the_new_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody gets the old file until the new one is in its place, whose log stays when the old one is let go."""
    keep, seen = NewFile.keep, []

    def keep_and_look(self: NewFile) -> None:
        keep(self)
        (old,) = path.parent.glob("*.old")
        with closing(apsw.Connection(str(old))) as late, pytest.raises(apsw.BusyError):
            late.execute("SELECT * FROM orders")
        other = apsw.Connection(str(path))
        seen.append(other)
        assert list(other.execute("SELECT count(*) FROM orders")) == [(1,)]

    monkeypatch.setattr(NewFile, "keep", keep_and_look)
    recover(path, go_back=True)
    monkeypatch.undo()
    (other,) = seen
    log = path.with_name(f"{path.name}-wal")
    assert log.stat().st_size
    with closing(open_database(url_of(path))) as database:
        order(session_on(database), "u2")
        assert list(other.execute("SELECT count(*) FROM orders")) == [(2,)]
    other.close()
    assert numbers(path) == 2


def test_only_a_manager_of_the_backup_goes_back_to_it(path: Path) -> None:
    assert role_in(path.with_name("kept.sqlite3"), "operator") == "operator"
    for admin in ("operator", "nobody"):
        refused(path, f"{admin} is no manager in .*kept.sqlite3", NotAllowed, admin=admin, go_back=True)


def test_what_is_no_whole_backup_is_refused_first(path: Path) -> None:
    refused(path, "no file", NotFound, name="nothing.sqlite3", go_back=True)
    refused(path, "is the database itself", name="here.sqlite3", go_back=True)
    kept = path.with_name("kept.sqlite3")
    kept.write_bytes(kept.read_bytes()[:-1])
    refused(path, "is damaged", Unavailable, go_back=True)


def test_where_nothing_would_be_lost_nothing_has_to_be_said(path: Path) -> None:
    with closing(open_database(url_of(path))) as database:
        backups.back_up(session_on(database), path.with_name("now.sqlite3"))
    assert recover(path, name="now.sqlite3").backup.orders == 2
    assert numbers(path) == 2


def test_a_database_of_something_else_is_put_aside(path: Path) -> None:
    path.unlink()
    with closing(apsw.Connection(str(path))) as other:
        other.execute("CREATE TABLE other (a)")
    made = recover(path)
    assert made.kept is not None
    assert numbers(path) == 1


def test_a_copy_that_is_not_what_was_verified_gets_no_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def take(self: NewFile, other: Path) -> None:
        self.write(other.read_bytes() + b"x")
        self._file.flush()

    monkeypatch.setattr(NewFile, "take", take)
    refused(path, "has not the bytes that were written", Unavailable, go_back=True)


@pytest.mark.parametrize("named", ["at its name", "beside it, where there are no links"])
def test_whoever_is_killed_before_the_new_file_has_its_name_leaves_the_old(
    path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    def without(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if named != "at its name":
        monkeypatch.setattr(os, "link", without)
    with monkeypatch.context() as once:
        once.setattr(os, "replace", killed)
        with pytest.raises(Killed):
            recover(path, go_back=True)
    if named != "at its name":
        (old,) = path.parent.glob("*.old")
        with pytest.raises(Unavailable, match=f"no database at .*, but {old.name} stands beside it"):
            numbers(path)
        recover(path, name=old.name)
    assert numbers(path) == 2


def test_a_name_that_another_takes_meanwhile_is_not_replaced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def late(source: Path, target: Path) -> None:
        target.write_text("theirs")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(Unavailable, match="cannot be put aside: File exists"):
        recover(path, go_back=True)
    assert [each.read_text() for each in path.parent.glob("*.old")] == ["theirs"]
    assert numbers(path) == 2


def test_a_file_that_cannot_be_put_aside_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "link", fail)
    monkeypatch.setattr(os, "rename", fail)
    refused(path, "cannot be put aside: Permission denied", Unavailable, go_back=True)


def test_a_manager_who_was_disabled_since_does_not_go_back_to_when_they_were_not(path: Path) -> None:
    with closing(open_database(url_of(path))) as database:
        session = session_on(database)
        admins.add(session, "ann", Role.MANAGER)
        admins.disable(replace(session, admin="ann"), "manager")
    refused(path, "manager is disabled: ask a manager of this database", NotAllowed, go_back=True)
    path.write_bytes(b"damaged" * 1000)
    recover(path)  # where nothing can be asked any more
    assert numbers(path) == 1
