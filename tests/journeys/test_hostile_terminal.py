"""Whatever the terminal sends, the application answers keys after it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.journeys.material import SMARTSUB
from tests.journeys.test_fence import ANSWERS, ESCAPE, log_of
from tests.journeys.test_signals import NUMBER, env
from tests.packaging.terminal import Terminal
from tests.test_terminal_input import REPORTS

__all__ = ["env"]
pytestmark = [pytest.mark.pty, pytest.mark.once]

SENT: Final = {
    "no text": b"\xff", "half a character": b"\xe2\x94", "nothing but noise": bytes(range(0x80, 0x100)),
    "surrogate": b"\x1b[55296u", "beyond Unicode": b"\x1b[1114112u",
    "without an end": b"\x1b[" + b"1;" * 200_000, "an answer without an end": b"\x1b]11;" + b"x" * 200_000,
    "reports": "".join(REPORTS).encode(), "a mouse everywhere": b"\x1b[<0;1000;500M\x1b[<0;1000;500m\x1b[<35;999;1M",
    "a paste": b"\x1b[200~" + b"dy\r" * 700_000 + b"\x1b[201~",
    "a paste in a field": b"/\x1b[200~" + b"x" * 60_000 + b"\x1b[201~",
}  # fmt: skip
SIZES: Final = ((1, 1), (30_000, 30_000), (1, 30_000), (30_000, 1), (7, 3))


def opened(env: dict[str, str], folder: Path) -> Terminal:
    command = [*SMARTSUB, "--admin", "manager", "--screen", "payments"]
    return Terminal(command, cwd=folder, env=env)


def answers(terminal: Terminal) -> None:
    """It goes to another screen and back."""
    terminal.type(f"{ESCAPE}1")
    terminal.wait_for("NEEDS YOU")
    terminal.type("3")
    terminal.wait_for(NUMBER)


def left(terminal: Terminal, folder: Path) -> None:
    """By its key, and no error was written down."""
    terminal.type("q1q")
    assert terminal.wait_for_exit() == 0
    assert not log_of(folder).exists()


@pytest.mark.parametrize("name", SENT)
def test_it_answers_after_what_is_no_key(name: str, env: dict[str, str], tmp_path: Path) -> None:
    with opened(env, tmp_path) as terminal:
        terminal.wait_for(NUMBER)
        terminal.send(SENT[name])
        if name == "a paste":
            terminal.wait_for("what was pasted has more than 65,536 characters and was not taken")
        if name == "a paste in a field":
            terminal.wait_for("xxxxxxxx")
        answers(terminal)
        left(terminal, tmp_path)


@pytest.mark.parametrize("how", ["signal", "in band"])
def test_it_answers_at_every_size(how: str, env: dict[str, str], tmp_path: Path) -> None:
    with opened(env, tmp_path) as terminal:
        terminal.wait_for(NUMBER)
        if how == "in band":
            terminal.type(ANSWERS)
            terminal.wait_until(lambda: b"\x1b[?2048h" in terminal.output, "reports to be asked for")
        for columns, rows in (*SIZES, (80, 24)):
            if how == "in band":
                terminal.type(f"\x1b[48;{rows};{columns};{rows};{columns}t")
                terminal.type("\x1b[<0;1;1M\x1b[<0;1;1m")
            else:
                terminal.resize(columns, rows)
            terminal.type("13")
        answers(terminal)
        left(terminal, tmp_path)


@pytest.mark.parametrize("size", [(1, 1), (30_000, 30_000)])
def test_it_begins_on_a_terminal_of_any_size(size: tuple[int, int], env: dict[str, str], tmp_path: Path) -> None:
    with Terminal([*SMARTSUB, "--admin", "manager"], cwd=tmp_path, env=env, size=size) as terminal:
        terminal.wait_until(lambda: b"\x1b[1;1H" in terminal.output, "a frame")
        terminal.type(f"{ESCAPE}1q")
        assert terminal.wait_for_exit() == 0
    assert not log_of(tmp_path).exists()
