"""Whatever ends the application: the process is gone, the terminal as before, the database whole."""

from __future__ import annotations

import os
import re
import select
import signal
import sqlite3
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from smartsub_tui.data.vocabulary import OrderStatus
from tests.journeys.material import SMARTSUB, environment, smartsub
from tests.journeys.test_fence import ANSWERS, log_of
from tests.packaging.terminal import Terminal
from tests.screens.stage import make_database
from tests.support import add_office, add_order

pytestmark = [pytest.mark.pty]

NUMBER: Final = "20261101000000000001"
# Runs the rest as a shell at a terminal of its own does: how that is set before and after, and the exit status.
SHELL: Final = """
import fcntl, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
before = termios.tcgetattr(0)
child = subprocess.Popen(sys.argv[1:])
print(f"child {child.pid}", flush=True)
code = child.wait()
print(f"ended {code} {'as before' if termios.tcgetattr(0) == before else 'not as before'}", flush=True)
"""
# What the modes are when nothing was asked for; what is not on at the start must not be on at the end.
ON_BEFORE: Final = {b"7", b"25"}


def fill() -> None:
    add_order(add_office(), [], OrderStatus.FAILED, history=True, number=NUMBER)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    database = make_database(tmp_path, fill)
    return environment(tmp_path) | {"SMARTSUB_DATABASE": f"sqlite:///{database}", "LANG": "C.UTF-8"}


@contextmanager
def shell(env: dict[str, str], folder: Path, command: tuple[str, ...] = SMARTSUB) -> Iterator[Terminal]:
    start = [sys.executable, "-c", SHELL, *command, "--admin", "manager", "--screen", "payments"]
    with Terminal(start, cwd=folder, env=env) as terminal:
        yield terminal


def child_of(terminal: Terminal) -> int:
    terminal.wait_until(lambda: b"child " in terminal.output, "its number")
    found = re.search(rb"child (\d+)", terminal.output)
    assert found is not None
    return int(found[1])


def opened(terminal: Terminal) -> int:
    child = child_of(terminal)
    terminal.type(ANSWERS)
    terminal.wait_for(NUMBER)
    terminal.wait_until(lambda: b"\x1b[?2048h" in terminal.output, "the answers to be taken")
    return child


def is_restored(output: bytes) -> bool:
    """Whether each mode is as it was, and the keyboard protocol is taken back as often as it was asked for."""
    modes = dict(re.findall(rb"\x1b\[\?(\d+)([hl])", output))
    on = {mode for mode, how in modes.items() if how == b"h"}
    return on == ON_BEFORE & set(modes) and output.count(b"\x1b[>25u") == output.count(b"\x1b[<u")


def ended(terminal: Terminal) -> int:
    """The exit status; the terminal is as before, and nothing was said."""
    assert terminal.wait_for_exit() == 0
    found = re.search(rb"ended (-?\d+) as before", terminal.output)
    assert found is not None, terminal.output[-500:]
    assert is_restored(terminal.output)
    assert b"Traceback" not in terminal.output
    return int(found[1])


def wait_until_gone(process: int) -> None:
    """Someone else's child: the kernel tells when it ends."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return
    ready, _, _ = select.select([descriptor], [], [], 60)
    os.close(descriptor)
    assert ready, f"{process} is still there"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT"])
def test_a_signal_ends_it_as_its_own_way_out_does(name: str, env: dict[str, str], tmp_path: Path) -> None:
    number = signal.Signals[name]
    with shell(env, tmp_path) as terminal:
        child = opened(terminal)
        os.kill(child, number)
        assert ended(terminal) == 128 + number
    smartsub(env, "audit", "verify", "--admin", "manager")
    assert not log_of(tmp_path).exists()


@pytest.mark.parametrize("at", ["msgspec", "textual.css.stylesheet", "full screen"])
def test_ctrl_c_while_it_starts(at: str, env: dict[str, str], tmp_path: Path) -> None:
    """While it is imported, while the terminal is still as it was, and before the first frame."""
    command = (sys.executable, *(() if at == "full screen" else ("-X", "importtime")), "-m", "smartsub_tui")
    with shell(env, tmp_path, command) as terminal:
        child = child_of(terminal)
        seen = b"\x1b[?1049h" if at == "full screen" else at.encode()
        terminal.wait_until(lambda: seen in terminal.output, at)
        os.kill(child, signal.SIGINT)
        assert ended(terminal) in (130, -signal.SIGINT)


def test_a_terminal_that_is_gone_ends_it(env: dict[str, str], tmp_path: Path) -> None:
    with shell(env, tmp_path) as terminal:
        child = opened(terminal)
        terminal.hang_up()
        wait_until_gone(child)


def test_a_terminal_that_is_gone_ends_it_where_no_signal_says_so(env: dict[str, str], tmp_path: Path) -> None:
    """As it is under nohup, or where another process is the terminal's own."""
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *SMARTSUB, "--admin", "manager", "--screen", "payments"]
    with Terminal(command, cwd=tmp_path, env=env) as terminal:
        terminal.wait_for(NUMBER)
        terminal.process.send_signal(signal.SIGHUP)
        terminal.type("1")
        terminal.wait_for("NEEDS YOU")
        terminal.hang_up()
        assert terminal.process.wait(60) == 128 + signal.SIGHUP


def test_ctrl_z_is_nothing_and_who_was_stopped_draws_anew(env: dict[str, str], tmp_path: Path) -> None:
    with shell(env, tmp_path) as terminal:
        child = opened(terminal)
        terminal.type("\x1a")
        os.kill(child, signal.SIGTSTP)
        terminal.type("1")
        terminal.wait_for("NEEDS YOU")
        os.kill(child, signal.SIGSTOP)
        before = len(terminal.output)
        os.kill(child, signal.SIGCONT)
        taken_up = b"\x1b[?1049h"  # before it may come the rest of what was being drawn
        terminal.wait_until(lambda: b"NEEDS YOU" in terminal.output[before:].partition(taken_up)[2], "the whole screen")
        assert is_restored(terminal.output[:before] + terminal.output[before:].partition(taken_up)[0])
        terminal.type("3")
        terminal.wait_for(NUMBER)
        os.kill(child, signal.SIGTERM)
        assert ended(terminal) == 143


def test_a_terminal_that_takes_nothing_is_not_waited_for(env: dict[str, str], tmp_path: Path) -> None:
    """Its settings are as before all the same; what it would have to be told it cannot be."""
    with shell(env, tmp_path) as terminal:
        child = opened(terminal)
        terminal.blind = True
        line = os.open(f"/proc/{child}/fd/0", os.O_RDWR | os.O_NOCTTY)
        termios.tcflow(line, termios.TCOOFF)
        os.kill(child, signal.SIGTERM)
        wait_until_gone(child)
        termios.tcflow(line, termios.TCOON)
        os.close(line)
        assert terminal.wait_for_exit() == 0
    assert b"ended 143 as before" in terminal.output


def test_a_write_that_waits_for_a_lock_is_rolled_back(env: dict[str, str], tmp_path: Path) -> None:
    with shell(env, tmp_path) as terminal:
        child = opened(terminal)
        other = sqlite3.connect(env["SMARTSUB_DATABASE"].removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        terminal.type("d")
        terminal.wait_for("Reason")
        terminal.type("entered twice\r")
        terminal.type("y")
        terminal.wait_for("Yes, delete", gone=True)
        os.kill(child, signal.SIGTERM)
        assert ended(terminal) == 143
        other.execute("ROLLBACK")
        other.close()
    assert b"left before all was stored" in terminal.output.rpartition(b"\x1b[?1049l")[2]
    smartsub(env, "audit", "verify", "--admin", "manager")
    assert "failed" in smartsub(env, "--json", "order", NUMBER, "--admin", "manager").stdout


def test_whoever_leaves_meanwhile_may_leave_at_once(env: dict[str, str], tmp_path: Path) -> None:
    with shell(env, tmp_path) as terminal:
        opened(terminal)
        other = sqlite3.connect(env["SMARTSUB_DATABASE"].removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        terminal.type("d")
        terminal.wait_for("Reason")
        terminal.type("entered twice\r")
        terminal.type("y")
        terminal.wait_for("Yes, delete", gone=True)
        terminal.type("\x1b[27u")  # Esc: what is typed behind the Yes waits no longer
        terminal.type("q")
        terminal.wait_for("Dashboard")
        terminal.type("q")
        terminal.wait_for("finishing what was begun: Ctrl+C leaves without it")
        terminal.type("\x03")
        assert ended(terminal) == 5
        other.execute("ROLLBACK")
        other.close()
    assert b"left before all was stored" in terminal.output.rpartition(b"\x1b[?1049l")[2]
    assert "failed" in smartsub(env, "--json", "order", NUMBER, "--admin", "manager").stdout


FATAL: Final = """
from smartsub_tui.app import SmartSubApp
from smartsub_tui import cli

def fail(self):
    secret = "the customer's " + "name"
    raise ZeroDivisionError

SmartSubApp.action_dashboard = fail
cli.main()
"""


def test_a_fatal_error_is_a_sentence_with_an_id(env: dict[str, str], tmp_path: Path) -> None:
    env["PYTHONPATH"] = os.getcwd()
    with shell(env, tmp_path, (sys.executable, "-c", FATAL)) as terminal:
        opened(terminal)
        terminal.type("1")
        assert ended(terminal) == 70
    after = terminal.output.rpartition(b"\x1b[?1049l")[2].decode()
    found = re.search(r"smartsub: an unexpected error, ([0-9a-f]{8}): what happened stands under that id", after)
    assert found is not None, after
    log = log_of(tmp_path)
    assert log.stat().st_mode & 0o777 == 0o600
    assert f"{found[1]}\nTraceback" in log.read_text()
    assert "ZeroDivisionError" in log.read_text()
    assert "customer's name" not in log.read_text() + terminal.output.decode()
