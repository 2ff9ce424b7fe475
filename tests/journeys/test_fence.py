"""The fence in the real terminal: nothing of the application's own is stopped, and what is hostile is."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.journeys.material import SMARTSUB, environment
from tests.journeys.test_terminals import KINDS
from tests.packaging.terminal import Terminal
from tests.screens.stage import make_database
from tests.screens.test_sizes import WAYS, more

pytestmark = [pytest.mark.pty, pytest.mark.once]

ADDRESS: Final = "https://billing.example/" + "a1B2-c3/" * 4
# Escape as a terminal with kitty's protocol says it: nothing that is typed behind it can be taken as part of it.
ESCAPE: Final = "\x1b[27u"
TYPED: Final = {"enter": "\r", "escape": ESCAPE, "question_mark": "?", "slash": "/", "ctrl+p": "\x10"}
# What is there before the next key is typed: the screen takes it once it has read what it shows.
FIRST: Final = {"E": "People, by the last day"}
# A terminal that has everything that Textual asks for.
ANSWERS: Final = "\x1b[?2048;2$y"
WIDGET: Final = """
from textual.app import App
from textual.widgets import Static
from smartsub_tui.terminal_driver import TerminalDriver

class Hostile(App):
    def compose(self):
        # The bell of it Rich takes away by itself.
        yield Static("Ann\\x1b]52;c;aGk=\\x07 \\x9b2J\\u202eeel", markup=False)
        yield Static("Bob", id="last")

    def on_key(self):
        self.exit()

Hostile(driver_class=TerminalDriver).run()
"""


def log_of(folder: Path) -> Path:
    return folder / ".local" / "state" / "smartsub" / "log" / "smartsub.log"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_database(tmp_path_factory.mktemp("fence"), more)


@pytest.mark.parametrize("name", ["24-bit", "256", "screen", "linux"])
def test_nothing_of_any_screen_is_stopped(name: str, database: Path, tmp_path: Path) -> None:
    kind, config = KINDS[name], tmp_path / "config.toml"
    config.write_text(f'[billing_system]\nurl = "{ADDRESS}"\n')
    env = {key: value for key, value in environment(tmp_path).items() if key not in ("COLORTERM", "TMUX", "STY")}
    env |= {"SMARTSUB_CONFIG": str(config), "SMARTSUB_DATABASE": f"sqlite:///{database}", "LANG": "C.UTF-8"}
    env |= kind.variables
    command = [*SMARTSUB, "--admin", "manager", "--screen", "dashboard"]
    with Terminal(command, cwd=tmp_path, env=env, term=kind.term, size=(120, 40)) as terminal:
        terminal.wait_for("NEEDS YOU")
        terminal.type(ANSWERS)
        for place, way in enumerate(WAYS.values()):
            for key in way.keys:
                terminal.type(TYPED.get(key, key))
                terminal.wait_for(FIRST.get(key, ""))
            terminal.type(way.text)
            terminal.wait_for({"billing": "y copy"}.get(list(WAYS)[place], way.words[0]))
            terminal.type(ESCAPE * 4 + "1")
            terminal.wait_for("NEEDS YOU")
        terminal.type("3")
        terminal.wait_for("3 Payments")
        terminal.type("yb")
        terminal.wait_for("y copy")
        terminal.type("y")
        terminal.wait_for("sent the address" if kind.clipboard else "has no clipboard")
        terminal.type(ESCAPE * 4 + "1")
        terminal.wait_for("NEEDS YOU")
        terminal.type("\x1b[<35;10;10M\x1b[<0;10;10M\x1b[<0;10;10m\x1b[O\x1b[I")
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
    assert not log_of(tmp_path).exists()
    assert b"<U+" not in terminal.output
    assert terminal.output.count(b"\x1b[?2026h") > 10
    copied = base64.b64encode(ADDRESS.encode())
    assert (copied in terminal.output) is kind.clipboard
    if kind.signs:
        assert f";{ADDRESS}\x1b\\".encode() in terminal.output


def test_what_a_widget_lets_through_is_stopped_shown_and_told(tmp_path: Path) -> None:
    env = environment(tmp_path) | {"PYTHONPATH": os.getcwd()}
    with Terminal([sys.executable, "-c", WIDGET], cwd=tmp_path, env=env) as terminal:
        terminal.wait_for("Bob")
        assert terminal.text.startswith("Ann<U+001B>]52;c;aGk= <U+009B>2J<U+202E>eel")
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
    assert b"\x1b]52" not in terminal.output
    assert b"\xc2\x9b" not in terminal.output
    log = log_of(tmp_path)
    assert log.stat().st_mode & 0o777 == 0o600
    told = log.read_text()
    assert r"by its number instead: '\x1b]52'" in told
    assert "U+202E" in told
    assert "aGk" not in told
    assert "in this session: " in told
