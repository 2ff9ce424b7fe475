"""docs/keys.md is what the program prints, and the program's lists are what its screens bind."""

from __future__ import annotations

from pathlib import Path

from smartsub_tui import output
from smartsub_tui.commands import remap

PAGE = Path(__file__).parents[2] / "docs" / "keys.md"


def test_the_page_is_what_smartsub_keys_prints() -> None:
    """`./run keys --markdown > docs/keys.md`, without a config.toml, makes it anew."""
    remap({})
    assert PAGE.read_text("utf-8") == f"{output.keys_as_markdown()}\n"
