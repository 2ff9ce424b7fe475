"""What the tests of packaging share: the clone they run from, and the environments a person may start it in."""

import os
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ORDER_NUMBER = re.compile(r"\b20\d{18}\b")
# Fewer than the default, which takes a few seconds to make.
SMALL_DEMO = ("demo", "--orders", "200", "--users", "40")


def person(home: Path | None) -> dict[str, str]:
    """The environment of someone at a terminal: nothing that a test run sets for itself, HOME only if there is one."""
    own = (
        "PYTEST",
        "COV_",
        "COVERAGE",
        "PYTHON",
        "SMARTSUB",
        "XDG_",
        "TEXTUAL",
        "VIRTUAL_ENV",
        "HOME",
        "COLUMNS",
        "LINES",
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return env if home is None else {**env, "HOME": str(home)}


@pytest.fixture
def at_home(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    return person(home)
