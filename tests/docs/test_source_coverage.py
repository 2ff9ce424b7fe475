"""Every row of docs/source-coverage.md names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "source-coverage.md").read_text("utf-8").splitlines()
    if line.startswith("| ")
][1:]


def test_no_statement_is_without_a_test() -> None:
    assert len(ROWS) >= 38
    assert all(asked and re.fullmatch(r"`tests/[\w/]+\.py(::\w+)?`", shown) for asked, shown in ROWS)


@pytest.mark.parametrize("named", sorted({shown.strip("`") for _, shown in ROWS}))
def test_the_test_is_there(named: str) -> None:
    file, _, name = named.partition("::")
    text = (ROOT / file).read_text("utf-8")
    assert f"def {name or 'test_'}" in text
