"""A hand scanner types a number and Enter in one go, in a pseudo-terminal: its order opens, and so does the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.material import OFFICE, SMARTSUB, environment, smartsub, write_files
from tests.packaging.terminal import Terminal


@pytest.mark.pty
def test_scans_open_their_orders_one_after_the_other(tmp_path: Path) -> None:
    files, _ = write_files(tmp_path)
    env = environment(tmp_path)
    smartsub(env, "import", *files)
    first, second = [line.split(",")[0] for line in files[2].read_text().splitlines()[1:]]
    with Terminal(SMARTSUB, cwd=tmp_path, env=env) as terminal:
        terminal.wait_for(OFFICE)
        terminal.type("3")
        terminal.wait_for("2 of 2")
        terminal.type(f"/{first}\r")
        terminal.wait_for(f"Payments > {first}")
        terminal.type(f"/{second}\r")  # a scanner that sends / first
        terminal.wait_for(f"Payments > {second}")
        terminal.type("\x1b")  # one that sends nothing before: Esc leads to the line, its text selected
        terminal.wait_for("1 of 2")
        terminal.type(f"{first}\r")
        terminal.wait_for(f"Payments > {first}")
        terminal.type(f"/{first}\r/{second}\r")  # two scans before the first is answered
        terminal.wait_for(f"Payments > {second}")
        terminal.type("\x1b")
        terminal.wait_for("1 of 2")
        terminal.type("/nothing like it\x15999\r")
        terminal.wait_for("no order has the number 999")
        terminal.wait_for("No orders match")
        terminal.type(f"/{second}\n")  # behind a number that nobody has the next one begins afresh; and a line feed
        terminal.wait_for(f"Payments > {second}")
        terminal.type("1")
        terminal.wait_for("NEEDS YOU")
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
