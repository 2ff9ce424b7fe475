"""docs/scale.md: what it says to a server is understood there, and what it says to turn, or not to, is there."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests import postgres

PAGE: Final = (Path(__file__).parents[2] / "docs" / "scale.md").read_text("utf-8")


@pytest.mark.postgres
def test_its_statements_and_settings_are_those_of_the_server() -> None:
    postgres.make(name := postgres.new_name())
    statements = re.findall(r"^SELECT .*;$", PAGE, re.M)
    settings = re.findall(
        r"`([a-z_]+)`", "".join(re.findall(r"^\| `.*", PAGE, re.M) + re.findall(r"^Not to.*", PAGE, re.M))
    )
    assert (len(statements), len(settings)) == (4, 10)
    with closing(postgres.Other(name)) as server:
        known = {each for (each,) in server.execute("SELECT name FROM pg_settings").fetchall()}
        for statement in statements:
            if "pg_stat_statements" not in statement:  # a module, which has to be there, and loaded
                server.execute(statement).fetchall()
    assert set(settings) <= known
