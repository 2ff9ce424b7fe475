"""Marks, many orders at once, and undoing, at 80x24 by keys alone: what the screen says is what the database holds."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from shutil import copy
from typing import Any, Final

import pytest

from tests.journeys.material import DATABASE, SMARTSUB, environment, smartsub
from tests.packaging.terminal import Terminal

pytestmark = pytest.mark.pty

# In the order of the list.
STATUSES: Final = (
    *["processing"] * 5,
    "system_processing",
    *["succeed"] * 2,
    *["failed"] * 2,
    "time_out",
    "cancel",
)
FEW: Final = tuple(f"202405011000{59 - place:02}000000" for place in range(len(STATUSES)))
MANY: Final = 300  # enough that a run of them can be stopped
PRICES: Final = "service,action,amount,currency,office_kind,tax_rate,valid_from\napp,month,3,EUR,,0.19,2020-01-01\n"
USERS: Final = (
    "office,office_kind,timezone,currency,department,user_id,name,email,kind,apartment,service,activated_on,expires_on"
)
ORDERS: Final = "order_number,office,type,status,apartments,total,currency,created_at,paid_at,months,until,user_ids"
ESCAPE: Final = "\x1b"
EMPTY: Final = "\x15"  # Ctrl+U, in a field


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An office with a few orders of every status, and one with many that failed."""
    folder = tmp_path_factory.mktemp("bulk")
    people = [f"Few,office,UTC,EUR,Sales,U{place},Name,,user,,app,2024-01-05,2030-01-05" for place in range(6)]
    people.append("Many,office,UTC,EUR,Sales,U9,Name,,user,,app,2024-01-05,2030-01-05")
    few = [
        f"{number},Few,subscription,{status},1,3.57,EUR,2024-05-01T10:00:{59 - place:02}Z,{paid},1,,{user}"
        for place, (number, status) in enumerate(zip(FEW, STATUSES, strict=True))
        for paid in ["2024-05-01T12:00:00Z" if status == "succeed" else ""]
        for user in [f"U{place}" if "processing" in status else ""]
    ]
    many = [
        f"20230501100000{place:06},Many,subscription,failed,1,3.57,EUR,2023-05-01T10:00:00Z,,1,,"
        for place in range(MANY)
    ]
    for name, lines in (("prices", [PRICES]), ("users", [USERS, *people, ""]), ("orders", [ORDERS, *few, *many, ""])):
        (folder / f"{name}.csv").write_text("\n".join(lines))
    smartsub(environment(folder), "import", *(folder / f"{name}.csv" for name in ("prices", "users", "orders")))
    return folder / DATABASE


@pytest.fixture
def env(made: Path, tmp_path: Path) -> dict[str, str]:
    """A person who has a database of their own like that."""
    copy(made, tmp_path / DATABASE)
    return environment(tmp_path)


def payments(env: dict[str, str], tmp_path: Path, office: str) -> Terminal:
    command = [*SMARTSUB, "--screen", "payments", "--filter", f"office:{office}"]
    return Terminal(command, cwd=tmp_path, env=env)


def rows(tmp_path: Path, sql: str) -> list[tuple[Any, ...]]:
    """What the database holds, read by a connection of its own."""
    connection = sqlite3.connect(tmp_path / DATABASE)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def few(tmp_path: Path) -> list[str]:
    """The status of each of the few, in the order of the list; in brackets where it is deleted."""
    sql = "SELECT status, deleted_at FROM orders WHERE number LIKE '2024%' ORDER BY number DESC"
    return [status if deleted is None else f"({status})" for status, deleted in rows(tmp_path, sql)]


def deleted(tmp_path: Path) -> int:
    """How many of the many are."""
    return int(rows(tmp_path, "SELECT count(deleted_at) FROM orders WHERE number LIKE '2023%'")[0][0])


def wait_for_marks(terminal: Terminal, numbers: Sequence[str]) -> None:
    """Until these rows are marked, and no others in sight."""

    def marked() -> list[str]:
        return [line[1:21] for line in terminal.text.split("\n") if line.startswith("*")]

    terminal.wait_until(lambda: marked() == [*numbers], f"the marks of {numbers}")


def ask(terminal: Terminal, key: str, question: str) -> None:
    """The question, with what says that it can be answered."""
    terminal.type(key)
    terminal.wait_for(question)
    terminal.wait_for("to be typed")


def test_many_orders_are_cancelled_deleted_and_brought_back(env: dict[str, str], tmp_path: Path) -> None:
    as_made = list(STATUSES)
    with payments(env, tmp_path, "Few") as terminal:
        terminal.wait_for("12 of 312")
        terminal.wait_for("x cancel")
        # A held key does nothing: it is typed into the question, whose answer by Enter is No
        terminal.type("d" * 40)
        terminal.wait_for(f"Delete order {FEW[0]}?")
        terminal.wait_for("Reason ddd")
        terminal.type("\r\r")
        terminal.wait_for("Yes, delete", gone=True)
        assert few(tmp_path) == as_made
        # Marks: one and one, to the cursor, the others, none, all
        terminal.type("  ")
        terminal.wait_for("2 marked, EUR 7.14")
        terminal.type("jjV")
        terminal.wait_for("5 marked, EUR 17.85")
        wait_for_marks(terminal, FEW[:5])
        terminal.type("*")
        terminal.wait_for("7 marked, EUR 24.99")
        wait_for_marks(terminal, FEW[5:])
        terminal.type("-")
        terminal.wait_for("marked, EUR", gone=True)
        terminal.type("+")
        terminal.wait_for("12 marked, EUR 42.84")
        # The preview: what would be done, and who is left out and why
        ask(terminal, "x", "Cancel 5 of 12 orders?")
        for words in ("EUR 17.85", "their people are free again", f"{FEW[0]}   … Processing", "Left out: 7"):
            terminal.wait_for(words)
        terminal.type("\x1b[6~")
        terminal.wait_for("it is Time out")
        for words in ("2  it is already paid", "1  money is in flight", "1  it is Cancel", FEW[5], FEW[10]):
            terminal.wait_for(words)
        # Neither one key nor another number does it, nor Enter
        terminal.type("y" * 40 + "\r" + "y" * 40 + "\r")
        terminal.wait_for("type 5, the number of orders, to go on")
        terminal.type(f"{EMPTY}12\r")
        terminal.wait_for("How many   12")
        terminal.type(f"{EMPTY}5\r\r")
        terminal.wait_for("12 marked, EUR 42.84")
        assert few(tmp_path) == as_made
        # Meanwhile someone else deletes one of them: it is refused, and the account says so
        ask(terminal, "x", "Cancel 5 of 12 orders?")
        smartsub(env, "delete", FEW[3], "--reason", "elsewhere")
        terminal.type("moved out\r5\ry")
        terminal.wait_for("4 orders cancelled, 1 refused, 7 left out")
        terminal.wait_for(f"x {FEW[3]}")
        terminal.wait_for("Not done, and still marked: 8")
        after = [*["cancel"] * 3, "(cancel)", "cancel", *STATUSES[5:]]
        assert few(tmp_path) == after
        terminal.type("\r")
        # The deleted one is no row of the list any more; its mark stays
        terminal.wait_for("11 of 311")
        terminal.wait_for("8 marked, EUR 28.56")
        wait_for_marks(terminal, FEW[5:])
        # Deleted, and brought back by one key
        ask(terminal, "d", "Delete 6 of 8 orders?")
        terminal.type("entered twice\r6\ry")
        terminal.wait_for("6 orders deleted, 2 left out: u undoes")
        gone = [*after[:6], *(f"({status})" for status in STATUSES[6:])]
        assert few(tmp_path) == gone
        terminal.type("\r")
        terminal.wait_for("5 of 305")
        terminal.wait_for("2 marked, EUR 7.14")
        terminal.type("u")
        terminal.wait_for("undone: 6 orders restored")
        terminal.wait_for("11 of 311")
        assert few(tmp_path) == after
        # What was marked before that is no more to be had back
        terminal.type("u")
        terminal.wait_for("nothing to undo")
        assert "2 marked, EUR 7.14" in terminal.text
        terminal.type("q")
        terminal.wait_for("NEEDS YOU")
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
    told = rows(tmp_path, "SELECT action, reason FROM audit_event WHERE order_id IS NOT NULL AND action != 'import'")
    assert Counter(told) == {
        ("cancel", "moved out"): 4,
        ("delete", "elsewhere"): 1,
        ("delete", "entered twice"): 6,
        ("restore", None): 6,
    }


@pytest.mark.long
def test_what_is_stopped_halfway_says_what_was_done_and_is_taken_up_again(env: dict[str, str], tmp_path: Path) -> None:
    with payments(env, tmp_path, "Many") as terminal:
        terminal.wait_for(f"{MANY} of 312")
        terminal.type("+")
        terminal.wait_for(f"{MANY:,} marked")
        ask(terminal, "d", f"Delete {MANY:,} orders?")
        terminal.type(f"entered twice\r{MANY}\ry")
        under_way = re.compile(r"deleted: ([1-9][\d,]*) of 300 orders, 0 refused")
        terminal.wait_until(lambda: under_way.search(terminal.text), "some are deleted")
        terminal.type(ESCAPE)
        terminal.wait_for("stopped: ")
        terminal.wait_for("not reached: d takes them up again.")
        said = re.search(r"stopped: ([\d,]+) orders deleted, ([\d,]+) not reached: u undoes", terminal.text)
        assert said is not None, terminal.text
        done, left = (int(each.replace(",", "")) for each in said.groups())
        assert 0 < done < MANY
        assert (done, left) == (deleted(tmp_path), MANY - done)
        terminal.wait_for(f"Not done, and still marked: {left:,}")
        terminal.type("\r")
        terminal.wait_for(f"{left:,} marked")
        # The same again goes on where it was stopped, as the same run
        ask(terminal, "d", f"Delete {left:,} orders?")
        terminal.type(f"entered twice\r{left}\ry")
        terminal.wait_for(f"{left:,} orders deleted: u undoes")
        assert deleted(tmp_path) == MANY
        runs = rows(tmp_path, "SELECT DISTINCT substr(request_id, 1, 36) FROM audit_event WHERE action = 'delete'")
        assert len(runs) == 1
        terminal.type("\r")
        terminal.wait_for("No orders match.")
        # An undo is stopped, says so, and is taken up again, too
        terminal.type("u")
        back = re.compile(r"restored: ([1-9][\d,]*) of [\d,]+ orders, 0 skipped")
        terminal.wait_until(lambda: back.search(terminal.text), "some are restored")
        terminal.type(ESCAPE)
        terminal.wait_for("not reached: u takes them up again.")
        restored = MANY - deleted(tmp_path)
        assert 0 < restored < left
        terminal.wait_for(f"stopped: undone: {restored:,} orders restored, {left - restored:,} not reached")
        terminal.type("\r")
        terminal.wait_for(f"{restored:,} of ")
        # By a key that is pressed anew: one that comes within a second of the last is held down
        terminal.written_within(1.1)
        terminal.type("u")
        terminal.wait_for(f"undone: {left - restored:,} orders restored")
        assert deleted(tmp_path) == done
