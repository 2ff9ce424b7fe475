"""The README's commands, each as it stands there, one after the other on one sample database."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import Final

import pytest

from smartsub_tui.billing.demo import make_demo
from smartsub_tui.data.database import open_database
from tests.journeys.material import DATABASE, environment, smartsub, smartsub_json
from tests.support import SETTINGS, url_at

README: Final = Path(__file__).parents[2] / "README.md"
# Which order a command is for, by the sentence above it; `order` shows any.
_OF: Final = {
    "pay": "status:processing",
    "confirm": "status:timeout",
    "invoice": "status:succeed total:>0",
    "credit": "status:succeed total:>0",
    "delete": "status:failed",
}


def commands() -> list[list[str]]:
    """Of the section about the command line, but for what opens the application."""
    section = README.read_text("utf-8").partition("\n## The command line\n")[2].partition("\n## ")[0]
    lines = [line for block in section.split("```")[1::2] for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("./run ") and "demo" not in line]


@pytest.mark.once
def test_every_command_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the invoice goes
    database = open_database(url_at(tmp_path / DATABASE), create=True)
    make_demo(database, admin=getuser(), now=datetime.now(UTC), orders=2000, users=1000, seed=1, settings=SETTINGS)
    database.close()
    env = environment(tmp_path)
    found = commands()
    assert len(found) > 12
    for command in found:
        number = ""
        if "NUMBER" in command:
            number = smartsub_json(env, "orders", "--limit", "1", _OF.get(command[0], ""))[0]["number"]
        said = smartsub(env, *(number if word == "NUMBER" else word for word in command))
        assert said.stdout.strip(), command
