"""How the screens look. Update a picture only after looking at it: `./run test tests/snapshots --snapshot-update`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.config import BillingSystem, InterfaceSettings, Settings
from smartsub_tui.data.database import url_of
from smartsub_tui.screens.question import Question
from tests.screens.stage import drawn, make_database, press, until, write
from tests.screens.test_journey import fill
from tests.support import FixedClock

Compare = Callable[..., bool]
NARROW, HOME, WIDE = (60, 18), (80, 24), (120, 40)


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the terminal of this run asks for, and whichever it is."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


def app_over(path: Path, start: str = "dashboard", theme: str = "dark", billing_url: str = "") -> SmartSubApp:
    ui = InterfaceSettings(timezone="UTC", theme=theme)
    settings = Settings(ui=ui, billing_system=BillingSystem(billing_url))
    file = Path("/home/mara/.config/smartsub/config.toml")
    return SmartSubApp(url_of(path), "manager", settings, clock=FixedClock(), start=start, config_file=file)


def typing(*keys: str, text: str = "", asks: bool = False) -> Callable[[Pilot[None]], Any]:
    """What is done before the picture is taken: keys, then text, then until a question is asked."""

    async def run(pilot: Pilot[None]) -> None:
        app: Any = pilot.app
        await until(pilot, lambda: "updated " in drawn(app))
        await press(pilot, *keys)
        await write(pilot, text)
        if asks:
            await until(pilot, lambda: isinstance(app.screen, Question))

    return run


@pytest.mark.parametrize("size", [HOME, WIDE], ids=["80x24", "120x40"])
class TestDark:
    def test_dashboard(self, path: Path, size: tuple[int, int], snap_compare: Compare) -> None:
        assert snap_compare(app_over(path), terminal_size=size, run_before=typing())

    def test_expiring(self, path: Path, size: tuple[int, int], snap_compare: Compare) -> None:
        assert snap_compare(app_over(path), terminal_size=size, run_before=typing("j", "E", "l", "v"))

    def test_renew(self, path: Path, size: tuple[int, int], snap_compare: Compare) -> None:
        keys = ("j", "n", "space", "space", "j", "plus")
        assert snap_compare(app_over(path), terminal_size=size, run_before=typing(*keys))

    def test_payments(self, path: Path, size: tuple[int, int], snap_compare: Compare) -> None:
        assert snap_compare(app_over(path, "payments"), terminal_size=size, run_before=typing("j"))

    def test_order_info(self, path: Path, size: tuple[int, int], snap_compare: Compare) -> None:
        assert snap_compare(app_over(path, "payments"), terminal_size=size, run_before=typing("enter"))

    def test_billing_system(self, path: Path, size: tuple[int, int], snap_compare: Compare) -> None:
        app = app_over(path, "payments", billing_url="https://billing.example.com/accounts/4711/overview")
        assert snap_compare(app, terminal_size=size, run_before=typing("b"))

    def test_no_billing_system(self, path: Path, size: tuple[int, int], snap_compare: Compare) -> None:
        assert snap_compare(app_over(path, "payments"), terminal_size=size, run_before=typing("b"))

    def test_question(self, path: Path, size: tuple[int, int], snap_compare: Compare) -> None:
        assert snap_compare(app_over(path, "payments"), terminal_size=size, run_before=typing("c", asks=True))


def test_a_wrong_filter(path: Path, snap_compare: Compare) -> None:
    run_before = typing("slash", text="status:faild")
    assert snap_compare(app_over(path, "payments"), terminal_size=HOME, run_before=run_before)


def test_help(path: Path, snap_compare: Compare) -> None:
    assert snap_compare(app_over(path), terminal_size=HOME, run_before=typing("question_mark"))


def test_first_run(tmp_path: Path, snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = make_database(tmp_path, lambda: None)
    # A relative name: the picture must not hold a folder of this machine.
    assert snap_compare(app_over(path.relative_to(tmp_path)), terminal_size=HOME, run_before=typing())


def test_import(tmp_path: Path, path: Path, snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prices.csv").write_text(
        "service,action,amount,currency,office_kind,tax_rate,valid_from\napp,year,5,EUR,,,\n"
    )
    monkeypatch.chdir(tmp_path)
    assert snap_compare(app_over(path), terminal_size=HOME, run_before=typing("I", "enter"))


def test_a_message(path: Path, snap_compare: Compare) -> None:
    run_before = typing("slash", "escape", "p")
    assert snap_compare(app_over(path, "payments"), terminal_size=HOME, run_before=run_before)


def test_narrow(path: Path, snap_compare: Compare) -> None:
    assert snap_compare(app_over(path), terminal_size=NARROW, run_before=typing())


def test_high_contrast(path: Path, snap_compare: Compare) -> None:
    assert snap_compare(app_over(path, theme="contrast"), terminal_size=HOME, run_before=typing())


def test_light(path: Path, snap_compare: Compare) -> None:
    assert snap_compare(app_over(path, "payments", "light"), terminal_size=HOME, run_before=typing())


def test_no_colour(path: Path, snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(app_over(path, "payments"), terminal_size=HOME, run_before=typing())
