"""./run bench runs through on a small database, and its instrument does not take a miss for a fast key."""

import sqlite3
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks import data, results
from benchmarks.terminal import Program
from smartsub_tui.billing import audit_chain
from smartsub_tui.billing.details import read_order
from smartsub_tui.config import Settings
from smartsub_tui.data.database import open_database, url_of
from tests.packaging.conftest import person
from tests.support import session_on

pytestmark = pytest.mark.once

_ECHO = """
import sys, termios, tty
tty.setcbreak(0)
attributes = termios.tcgetattr(0)
attributes[3] &= ~termios.ECHO
termios.tcsetattr(0, termios.TCSANOW, attributes)
print("ready", flush=True)
while key := sys.stdin.read(1):
    if key != "n":
        sys.stdout.write("\\r" + key)
        sys.stdout.flush()
"""


@pytest.mark.long
@pytest.mark.pty
def test_quick_prints_the_whole_table(capsys: pytest.CaptureFixture[str]) -> None:
    before = results.FILE.read_text("utf-8") if results.FILE.exists() else None
    status = bench.main(["--quick"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert "not measured" not in printed.out, printed.out
    for line in ("start to the complete", "j: bytes", "a filter key: time", "idle: bytes", "renew", "import", "export"):
        assert line in printed.out
    assert (results.FILE.read_text("utf-8") if results.FILE.exists() else None) == before


@pytest.mark.pty
def test_a_key_that_changes_nothing_is_a_miss(tmp_path: Path) -> None:
    with Program([sys.executable, "-c", _ECHO], person(tmp_path)) as program:
        assert program.start(lambda lines: lines[0].startswith("ready")).came
        seen = program.press("a", lambda lines: any("a" in line for line in lines))
        assert seen.came
        assert seen.size == 2
        assert seen.seconds is not None
        assert seen.seconds > 0
        assert not program.press("n", seconds=0.5).came
        wrong = program.press("b", lambda lines: any("z" in line for line in lines), seconds=0.5)
        assert not wrong.came
        assert wrong.shown is None


def test_the_same_size_is_the_same_database_and_it_holds_together(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("first.sqlite3", "second.sqlite3"))
    for path in (first, second):
        data.make(path, orders=1000, offices=4, users=400)
    dumps = []
    for path in (first, second):
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("SELECT count(DISTINCT status), count(DISTINCT type) FROM orders").fetchone() == (
            6,
            3,
        )
        dumps.append([line for line in connection.iterdump() if "schema_migration" not in line])
        connection.close()
    assert dumps[0] == dumps[1]
    store = open_database(url_of(first))
    try:
        (number,) = store.execute_sql("SELECT number FROM orders WHERE status = 'succeed' AND NOT history").fetchone()
        order = read_order(number, data.END, Settings())
        (events,) = store.execute_sql("SELECT count(*) FROM audit_event").fetchone()
        assert audit_chain.verify(session_on(store)).events == events
    finally:
        store.close()
    assert order.lines
    assert order.invoice is not None
    assert order.invoice.total == order.total == order.payments[0].amount


def test_what_is_over_its_bound_is_said() -> None:
    programs = {"a": {"j": [1.0, 3.0, 2.0]}, "b": {"j": [1.0]}}
    measured = results.Measured(programs, {}, (1, 2), ())
    assert measured.ratio("j", "a", "b") == 2.0
    verdicts = [results.Ratio("j", measured.ratio("j", "a", "b"), bound).verdict for bound in (2.0, 1.9, None)]
    assert verdicts == ["OK", "over", ""]
    assert results.Ratio("k", measured.ratio("k", "a", "b"), 2.0).verdict == "not measured"
