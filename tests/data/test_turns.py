"""The line of those who write: in the order of arrival, left by whoever ends, and never what keeps anyone out."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import apsw
import pytest

from smartsub_tui.data import sqlite as engine
from smartsub_tui.data.database import available
from smartsub_tui.data.models import Admin
from smartsub_tui.data.turns import turn
from smartsub_tui.data.vocabulary import Role
from smartsub_tui.errors import Unavailable
from tests.support import NOW, file_database

pytestmark = pytest.mark.sqlite("the line of those who write stands at a file")
LOCKS = Path("/proc/locks")
HOLD = """
import sys
from smartsub_tui.data.turns import turn
with turn(sys.argv[1], 60) as reached:
    print(reached, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "some.sqlite3-wal"
    path.touch()
    return path


def waiting_at(log: Path) -> int:
    """How many stand in line there, by what the system says."""
    here = f":{log.stat().st_ino} "
    return sum("-> FLOCK" in line and here in line for line in LOCKS.read_text().splitlines())


def stand(log: Path, number: int, came: list[int], go_on: threading.Semaphore) -> threading.Thread:
    """Someone who stands in line, and has written down the number when the turn came."""

    def wait() -> None:
        with turn(str(log), 60) as reached:
            assert reached
            came.append(number)
            assert go_on.acquire(timeout=60)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def until(looked: Callable[[], object], wanted: object) -> None:
    pause = threading.Event()
    for _ in range(6000):
        if looked() == wanted:
            return
        pause.wait(0.01)
    raise AssertionError(f"within a minute it did not come to {wanted}")


def standing() -> list[threading.Thread]:
    """The threads of this process that stand in a line, also those for which nobody waits any more."""
    return [each for each in threading.enumerate() if each.name == "turn"]


@pytest.fixture(autouse=True)
def _nobody_is_left_standing() -> Iterator[None]:
    yield
    until(standing, [])


@pytest.mark.skipif(not LOCKS.exists(), reason="the system does not say who waits for a lock")
def test_the_turn_comes_in_the_order_of_arrival(log: Path) -> None:
    came: list[int] = []
    go_on = threading.Semaphore(0)
    threads = [stand(log, 0, came, go_on)]
    until(lambda: came, [0])
    for number in range(1, 12):
        threads.append(stand(log, number, came, go_on))
        until(lambda: waiting_at(log), number)
    for number in range(12):
        assert came == list(range(number + 1))
        go_on.release()
        until(lambda: len(came), min(12, number + 2))
    for thread in threads:
        thread.join()


def test_who_is_killed_leaves_the_line(log: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with turn(str(log), 0.01) as reached:
            assert not reached
        holder.send_signal(signal.SIGKILL)
        until(standing, [])
        with turn(str(log), 60) as reached:
            assert reached


def test_who_gave_up_is_not_in_the_way_of_others(log: Path) -> None:
    with turn(str(log), 1):
        for _ in range(3):
            with turn(str(log), 0.01) as reached:
                assert not reached
            assert len(standing()) == 1  # whoever finds one there leaves no second one
    until(standing, [])
    with turn(str(log), 0.01) as reached:
        assert reached


def test_once_the_line_moves_it_is_stood_in_again(log: Path) -> None:
    with turn(str(log), 1), turn(str(log), 0.01) as reached:
        assert not reached
    until(standing, [])
    go_on, came = threading.Semaphore(0), list[int]()
    with turn(str(log), 1):
        behind = stand(log, 1, came, go_on)
        until(lambda: len(standing()), 1)
    go_on.release()
    behind.join()
    assert came == [1]


def test_a_turn_that_comes_late_is_kept_for_who_goes_on_without_it(log: Path) -> None:
    with ExitStack() as first:
        first.enter_context(turn(str(log), 1))
        with turn(str(log), 0.01) as reached:
            assert not reached
            first.close()
            until(standing, [])
            with turn(str(log), 0.01) as other:
                assert not other
    until(standing, [])
    with turn(str(log), 0.01) as reached:
        assert reached


@pytest.mark.parametrize("name", ["", "no such log", "a link"])
def test_without_a_log_it_is_everyones_turn(tmp_path: Path, log: Path, name: str) -> None:
    (tmp_path / "a link").symlink_to(log)
    path = str(tmp_path / name) if name else ""
    with turn(path, 0.01) as first, turn(path, 0.01) as second:
        assert first
        assert second


def test_the_line_is_left_once_one_writes(tmp_path: Path) -> None:
    """Whoever comes next is to try as soon as the transaction has ended, and a second process to stand behind it."""
    path = tmp_path / "shared.sqlite3"
    with closing(file_database(path)) as database, database.writing(), turn(f"{path}-wal", 0.01) as reached:
        assert reached


def test_who_has_waited_in_line_has_less_time_left_at_its_head() -> None:
    now = time.monotonic()
    assert engine._wait_while_busy()(0)
    assert engine._wait_while_busy(now)(0)
    assert not engine._wait_while_busy(now - engine.BUSY_SECONDS)(0)


def test_who_is_stopped_at_the_head_of_the_line_keeps_nobody_from_a_free_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    path = tmp_path / "shared.sqlite3"
    with (
        closing(file_database(path)) as database,
        subprocess.Popen(
            [sys.executable, "-c", HOLD, f"{path}-wal"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder,
    ):
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        holder.send_signal(signal.SIGSTOP)
        try:
            for name in ("ann", "bob"):
                with available(), database.writing():
                    Admin.create(name=name, role=Role.VIEWER, created_at=NOW)
        finally:
            holder.kill()
        assert [each.name for each in Admin.select()] == ["ann", "bob"]


def test_beside_another_who_writes_one_is_told_that_the_database_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shared.sqlite3"
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    tried: list[str] = []
    with closing(file_database(path)) as database, closing(apsw.Connection(str(path))) as other:
        other.execute("BEGIN IMMEDIATE")
        with turn(f"{path}-wal", 1), pytest.raises(Unavailable, match="busy"), available(), database.writing():
            tried.append("written out of turn")
        with pytest.raises(Unavailable, match="busy"), available(), database.writing():
            tried.append("written in turn")
        other.execute("ROLLBACK")
        with database.writing():
            tried.append("written")
    assert tried == ["written"]
