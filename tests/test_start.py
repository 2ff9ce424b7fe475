"""What the start of Payments does not pay for: modules of other screens, and parsing the stylesheet more than once."""

import subprocess
import sys
from pathlib import Path

import pytest
from textual.css.stylesheet import Stylesheet

from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.themes import PALETTES
from tests.screens.stage import make_database, on_stage

# Each with a whole family behind it, or slow by itself.
_NOT_NEEDED = (
    *("arrow", "fpdf", "uharfbuzz", "segno"),
    *(f"smartsub_tui.cli.{each}" for each in ("care", "files", "lists", "ordering", "paying", "settings", "views")),
    *(f"smartsub_tui.billing.{each}" for each in ("demo", "expiring", "imports", "invoice_files", "orders")),
    *(f"smartsub_tui.data.{each}" for each in ("csv_files", "demo_names", "exports")),
    *(f"smartsub_tui.screens.{each}" for each in ("activate", "at_time", "billing_system", "confirm", "dashboard")),
    *(f"smartsub_tui.screens.{each}" for each in ("export", "order_info", "pay", "renew", "subscriptions")),
)


def test_payments_imports_no_other_screen() -> None:
    code = (
        "import sys, smartsub_tui.cli.application, smartsub_tui.app, smartsub_tui.screens.payments; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "smartsub_tui.screens.payments" in loaded
    assert sorted(loaded.intersection(_NOT_NEEDED)) == []


@pytest.mark.parametrize("theme", PALETTES)
async def test_the_stylesheet_is_parsed_once(theme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again: list[Stylesheet] = []
    reparse = Stylesheet.reparse

    def counted(stylesheet: Stylesheet) -> None:
        again.append(stylesheet)
        reparse(stylesheet)

    monkeypatch.setattr(Stylesheet, "reparse", counted)
    async with on_stage(make_database(tmp_path, lambda: None), start="payments", theme=theme) as (app, _):
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.styles.background.hex == PALETTES[theme].background
        assert app.has_class("-dark-mode") is PALETTES[theme].dark
        assert app.has_class("-light-mode") is not PALETTES[theme].dark
    assert again == []
