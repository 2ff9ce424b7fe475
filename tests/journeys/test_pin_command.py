"""smartsub admin pin: asked for twice and not shown, or one line of standard input; in no argument, no file, no log."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from smartsub_tui.billing import pins
from smartsub_tui.data.database import open_database, url_of
from smartsub_tui.data.vocabulary import Role
from tests.journeys.material import SMARTSUB, environment, smartsub
from tests.packaging.terminal import Terminal
from tests.screens.stage import make_database
from tests.support import add_office, session_on

PIN = "493817"
ARGUMENTS = ("--admin", "manager", "admin", "pin", "manager")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, add_office)


@pytest.fixture
def env(tmp_path: Path, path: Path) -> dict[str, str]:
    return environment(tmp_path) | {"SMARTSUB_DATABASE": url_of(path)}


def opens(path: Path, pin: str = PIN) -> bool:
    database = open_database(url_of(path))
    try:
        return pins.try_pin(session_on(database, Role.MANAGER), pin).opened
    finally:
        database.close()


def by_line(env: dict[str, str], line: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*SMARTSUB, *ARGUMENTS, "--stdin", *arguments], env=env, input=line, capture_output=True, check=False
    )


@pytest.mark.pty
def test_it_is_asked_for_twice_and_not_shown(env: dict[str, str], path: Path, tmp_path: Path) -> None:
    with Terminal([*SMARTSUB, *ARGUMENTS], cwd=tmp_path, env=env) as terminal:
        terminal.wait_for("PIN: ")
        terminal.type(f"{PIN}\r")
        terminal.wait_for("The same again: ")
        terminal.type(f"{PIN}\r")
        assert terminal.wait_for_exit() == 0
        assert b"the PIN of manager is set" in terminal.output
        assert PIN.encode() not in terminal.output
    assert opens(path)


@pytest.mark.pty
def test_two_different_ones_set_nothing(env: dict[str, str], path: Path, tmp_path: Path) -> None:
    with Terminal([*SMARTSUB, *ARGUMENTS], cwd=tmp_path, env=env) as terminal:
        terminal.wait_for("PIN: ")
        terminal.type(f"{PIN}\r")
        terminal.wait_for("The same again: ")
        terminal.type("493818\r")
        assert terminal.wait_for_exit() == 2
        assert b"these were two different PINs: nothing was set, try again" in terminal.output
    assert not opens(path)


@pytest.mark.parametrize("line", [f"{PIN}\n", PIN, f"{PIN}\r\n", f"{PIN}\nmore\n"])
def test_a_script_writes_one_line(env: dict[str, str], path: Path, line: str) -> None:
    done = by_line(env, line.encode())
    assert (done.returncode, done.stderr) == (0, b"the PIN of manager is set\n")
    assert PIN.encode() not in done.stdout
    assert opens(path)


@pytest.mark.parametrize("line", [b"", b"\n", b"12", b"4938" * 5000, b"\xff\xfe4938\n", b"4938\x0017\n"])
def test_a_line_that_is_no_pin_sets_none(env: dict[str, str], path: Path, line: bytes) -> None:
    done = by_line(env, line)
    assert done.returncode == 2
    assert done.stderr == b"smartsub: a PIN has 4 to 12 digits and nothing else: choose another\n"
    assert not opens(path)


def test_json_has_neither_pin_nor_hash(env: dict[str, str], path: Path, tmp_path: Path) -> None:
    done = by_line(env, PIN.encode(), "--json")
    for said in (done.stdout, *(smartsub(env, "--admin", "manager", "--json", *each).stdout.encode() for each in (
        ("admin", "list"), ("doctor",)
    ))):  # fmt: skip
        assert said
        assert PIN.encode() not in said
        assert b"argon2" not in said
    assert not list(tmp_path.rglob("smartsub.log"))


def test_without_a_terminal_it_says_what_to_do(env: dict[str, str]) -> None:
    said = smartsub(env, *ARGUMENTS, code=2).stderr
    assert said == ("smartsub: there is no terminal to ask on: --stdin takes the PIN as one line of standard input\n")


@pytest.mark.parametrize("words", [(PIN,), ("--pin", PIN), ("--stdin", "--remove")])
def test_it_is_no_argument(env: dict[str, str], words: tuple[str, ...]) -> None:
    assert PIN not in smartsub(env, *ARGUMENTS, *words, code=2).stderr


def test_it_is_removed(env: dict[str, str], path: Path) -> None:
    by_line(env, PIN.encode())
    assert smartsub(env, *ARGUMENTS, "--remove").stderr == "manager has no PIN now\n"
    assert not opens(path)
