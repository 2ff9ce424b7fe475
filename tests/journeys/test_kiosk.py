"""The kiosk and the SSH profile in a real terminal: what is typed, what the environment says, and what is sent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from smartsub_tui.billing import pins
from smartsub_tui.data.database import open_database, url_of
from smartsub_tui.data.vocabulary import OrderStatus, Role
from tests.journeys.material import SMARTSUB, environment, smartsub
from tests.journeys.test_fence import ADDRESS
from tests.packaging.terminal import Terminal
from tests.screens.stage import make_database
from tests.support import add_office, add_order, add_people, session_on

pytestmark = [pytest.mark.pty, pytest.mark.once]

NUMBER: Final = "20261122080000000000"
PIN: Final = "493817"
OFFICE: Final = "Oak House"
ESCAPE: Final = "\x1b[27u"
# Control keys; lines behind the colon; function keys, with Shift and Alt; the lists of commands, and other letters.
WAYS_OUT: Final = (
    *("\x03", "\x04", "\x11", "\x13", "\x1a", "\x1c", "\x1d", "\x1f"),
    *("q", "Q", ":q\r", ESCAPE, ":quit\r", ESCAPE),
    *("\x1bOP", "\x1bOQ", "\x1bOR", "\x1bOS", "\x1b[21~", "\x1b[24~", "\x1b[21;2~", "\x1b[1;3S", "\x1b[17;6u"),
    *("\x10", "\x1b[112;5u", ESCAPE, "I", "y", "e", "i", "!", "|", "~", ESCAPE),
)


def fill() -> None:
    oak = add_office(OFFICE)
    add_order(oak, add_people(oak, "u1", expires_on=date(2027, 1, 31)), OrderStatus.PROCESSING, number=NUMBER)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = make_database(tmp_path, fill)
    with closing(open_database(url_of(path))) as database:
        pins.set_pin(session_on(database, Role.MANAGER), "manager", PIN)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty folder, which is the home and the current one."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@contextmanager
def running(path: Path, home: Path, profile: str = "kiosk", **variables: str) -> Iterator[Terminal]:
    config = path.with_name("config.toml")
    config.write_text(f'[billing_system]\nurl = "{ADDRESS}"\n')
    options = ("--database", url_of(path), "--config", str(config), "--admin", "manager", "--profile", profile)
    env = environment(home) | {"LANG": "C.UTF-8"} | variables
    with Terminal([*SMARTSUB, *options, "--screen", "dashboard"], cwd=home, env=env) as terminal:
        terminal.wait_for("PIN  ____" if profile == "kiosk" else OFFICE)
        yield terminal


def open_lock(terminal: Terminal) -> None:
    terminal.type(f"{PIN}\r")
    terminal.wait_for(OFFICE)


def answers(terminal: Terminal) -> None:
    """It goes on, and takes keys."""
    terminal.type("3")
    terminal.wait_for(NUMBER)
    terminal.type("1")
    terminal.wait_for("NEEDS YOU")
    assert terminal.process.poll() is None


def is_blank_but_for_the_lock(terminal: Terminal) -> bool:
    return set(terminal.text.split()) <= {"smartsub", "manager", "PIN", "____________"}


def test_no_key_leads_out_of_the_kiosk(path: Path, home: Path) -> None:
    with running(path, home) as terminal:
        for before in ("", f"{PIN}\r"):  # locked, and open
            terminal.type(before)
            if before:
                terminal.wait_for(OFFICE)
            for keys in WAYS_OUT:
                terminal.type(keys)
            if not before:
                terminal.type("\x15")
                terminal.wait_until(lambda: is_blank_but_for_the_lock(terminal), "nothing but the lock")
        answers(terminal)
        assert b"\x1b]52" not in terminal.output
        assert b"\x1b]8;" not in terminal.output
    assert [each for each in home.rglob("*") if each.is_file()] == []


def test_what_begins_locked_has_painted_nothing_before(path: Path, home: Path) -> None:
    with running(path, home) as terminal:
        terminal.wait_until(lambda: is_blank_but_for_the_lock(terminal), "nothing but the lock")
        for text in (OFFICE, "NEEDS YOU", "Dashboard", "manager"):
            assert text.encode() not in terminal.output


def test_the_frame_that_locks_covers_every_cell(path: Path, home: Path) -> None:
    with running(path, home) as terminal:
        open_lock(terminal)
        for text in ("updated ", "? help"):  # all of the frame before
            terminal.wait_for(text)
        terminal.written_within(1)
        before = len(terminal.output)
        terminal.type("\x0c")
        terminal.wait_until(lambda: is_blank_but_for_the_lock(terminal), "nothing but the lock")
        terminal.resize(132, 43)
        terminal.type("1")
        terminal.wait_for("PIN  *___")
        for text in (OFFICE, "NEEDS YOU", "Dashboard", "manager"):
            assert text.encode() not in terminal.output[before:]


def test_pasting_and_the_mouse_open_nothing(path: Path, home: Path) -> None:
    with running(path, home) as terminal:
        terminal.type(f"\x1b[200~{PIN}\r\x1b[201~")
        terminal.type("\x1b[<0;3;1M\x1b[<0;3;1m\x1b[<0;40;12M\x1b[<0;40;12m\x1b[<64;5;5M")
        terminal.type("1")
        terminal.wait_for("PIN  *___")
        terminal.type("\x15")
        open_lock(terminal)


@pytest.mark.parametrize("profile", ["ssh", "kiosk"])
def test_the_environment_opens_nothing(path: Path, home: Path, tmp_path: Path, profile: str) -> None:
    program, was_run, elsewhere = tmp_path / "program", tmp_path / "was-run", tmp_path / "elsewhere"
    program.write_text(f"#!/bin/sh\ntouch {was_run}\n")
    program.chmod(0o755)
    elsewhere.mkdir()
    broken = tmp_path / "broken.toml"
    broken.write_text("[nonsense]\n")
    programs = dict.fromkeys(("EDITOR", "VISUAL", "PAGER", "BROWSER", "SHELL", "LESSOPEN", "MANPAGER"), str(program))
    variables = programs | {
        "SMARTSUB_DATABASE": f"sqlite:///{elsewhere}/other.sqlite3",
        "SMARTSUB_CONFIG": str(broken),
        "SMARTSUB_PROFILE": "open",
        "TEXTUAL": "devtools,debug",
        "TEXTUAL_DRIVER": "os:system",
        "TEXTUAL_LOG": str(elsewhere / "log"),
        "TEXTUAL_PRESS": "q,q,q",
        "TEXTUAL_SCREENSHOT": "0",
        "TEXTUAL_SCREENSHOT_LOCATION": str(elsewhere),
        "TEXTUAL_ALLOW_SIGNALS": "1",
        "PYTHONINSPECT": "1",
        "PYTHONSTARTUP": str(program),
        "PYTHONBREAKPOINT": "os.abort",
    }
    with running(path, home, profile, **variables) as terminal:
        kiosk = profile == "kiosk"
        if kiosk:
            open_lock(terminal)
        terminal.type("3")
        terminal.wait_for(NUMBER)
        copied = "nothing is copied" if kiosk else "sent the address"
        for keys, seen in (
            ("i", "no files"),
            ("e", "do it"),
            ("b", "billing.example"),
            ("y", copied),
        ):
            terminal.type(keys)
            terminal.wait_for(seen)
        terminal.type(ESCAPE)
        terminal.wait_for(NUMBER)
        answers(terminal)
        assert (b"\x1b]8;" in terminal.output) is not kiosk
        assert (b"\x1b]52;" in terminal.output) is not kiosk
        if not kiosk:
            terminal.type("q")
            assert terminal.wait_for_exit() == 0
            assert b">>>" not in terminal.output
    assert not was_run.exists()
    assert list(elsewhere.iterdir()) == []


def test_a_kiosk_without_a_pin_says_what_to_do(path: Path, home: Path) -> None:
    env = environment(home) | {"SMARTSUB_DATABASE": url_of(path)}
    smartsub(env, "--admin", "manager", "admin", "pin", "manager", "--remove")
    options = ("--database", url_of(path), "--admin", "manager", "--profile", "kiosk")
    with Terminal([*SMARTSUB, *options], cwd=home, env=env, size=(160, 24)) as terminal:
        assert terminal.wait_for_exit() == 1
        assert (
            b"smartsub: at the kiosk smartsub begins locked, and manager has no PIN to open it:"
            b" smartsub admin pin manager" in terminal.output
        )


# As `smartsub --profile ssh` begins, by a clock that goes on when the file says so.
BY_A_CLOCK: Final = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from smartsub_tui.app import SmartSubApp
from smartsub_tui.backend import Backend
from smartsub_tui.billing import opening
from smartsub_tui.billing.profiles import Profile
from smartsub_tui.config import Settings

class Clock:
    def now(self):
        return datetime(2026, 11, 22, 9, tzinfo=UTC) + timedelta(minutes=int(Path(sys.argv[2]).read_text()))

backend = Backend(sys.argv[1], "manager", Settings(), Clock(), profile=Profile.SSH)
app = SmartSubApp(backend, backend.begin(lambda session: opening.look(session, "dashboard")).result())
app.run()
sys.exit(app.return_code)
"""


def test_over_ssh_it_locks_and_ends_by_itself_and_leaves_the_terminal_as_it_was(path: Path, home: Path) -> None:
    minutes = home / "minutes"
    minutes.write_text("0")
    env = environment(home) | {"LANG": "C.UTF-8", "PYTHONPATH": str(Path(__file__).parents[2])}
    with Terminal([sys.executable, "-c", BY_A_CLOCK, url_of(path), str(minutes)], cwd=home, env=env) as terminal:
        terminal.wait_for(OFFICE)
        minutes.write_text("10")
        terminal.wait_until(lambda: is_blank_but_for_the_lock(terminal), "nothing but the lock")
        minutes.write_text("60")
        assert terminal.wait_for_exit() == 0
        ended = terminal.output.rpartition(b"\x1b[?1049l")
        assert b"smartsub has ended: no key for 60 minutes" in ended[2]
        assert b"\x1b[?25h" in terminal.output
