"""How the screens look. Update a picture only after looking at it: `./run test tests/snapshots --snapshot-update`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.config import BillingSystem, InterfaceSettings, Seller, Settings
from smartsub_tui.data.database import url_of
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState
from smartsub_tui.screens.pay_link import PayLinkScreen
from smartsub_tui.screens.question import Question
from tests.screens import stage
from tests.screens.stage import drawn, make_database, press, until, write
from tests.screens.test_journey import fill
from tests.screens.test_triage import fill as everything_that_needs_someone
from tests.support import TODAY, FixedClock, add_office, add_order, add_payment, add_people

pytestmark = pytest.mark.once

Compare = Callable[..., bool]
HOME, WIDE, NARROW = (80, 24), (120, 40), (60, 18)
PRICES = "service,action,amount,currency,office_kind,tax_rate,valid_from\n"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No folder of this machine in a picture."""
    monkeypatch.chdir(tmp_path)


def app_over(path: Path, start: str = "dashboard", theme: str = "dark", url: str = "") -> SmartSubApp:
    settings = Settings(
        seller=Seller(name="Seller GmbH", iban="DE02 1203 0000 0000 2020 51"),
        billing_system=BillingSystem(url=url),
        ui=InterfaceSettings(timezone="UTC", theme=theme),
    )
    # A relative name, likewise.
    url = url_of(path.relative_to(Path.cwd()))
    config = Path("/home/mara/.config/smartsub/config.toml")
    return stage.app_over(url, "manager", settings, FixedClock(), start=start, config_file=config)


class Way(NamedTuple):
    """What is done before the picture is taken: keys, then text, then a key that asks."""

    keys: tuple[str, ...] = ()
    text: str = ""
    asks: str = ""
    start: str = "dashboard"
    url: str = ""

    async def go(self, pilot: Pilot[None]) -> None:
        app: Any = pilot.app
        await until(pilot, lambda: "updated " in drawn(app))
        await press(pilot, *self.keys)
        await write(pilot, self.text)
        if self.asks:
            await press(pilot, *self.asks.split())
            await until(pilot, lambda: isinstance(app.screen, Question))


SCREENS = {
    "dashboard": Way(),
    "expiring": Way(("E",)),
    "subscriptions": Way(("2",)),
    "activate": Way(("j", "a", "A")),
    "renew": Way(("j", "n", "space", "space", "j", "plus")),
    "order_question": Way(("j", "n", "A"), asks="enter"),
    "payments": Way(("j",), start="payments"),
    "order_info": Way(("enter",), start="payments"),
    "pay": Way(("slash",), "status:system", asks="enter c", start="payments"),
    "question": Way(("slash",), "status:system", asks="enter f", start="payments"),
    "export": Way(("e",), start="payments"),
    "billing_system": Way(("b",), start="payments", url="https://billing.example/account?customer=4711"),
    "help": Way(("question_mark",)),
    "messages": Way(("slash", "escape", "p", "M"), start="payments"),
    "import": Way(("I",)),
}
IN_ERROR = {
    "filter": Way(("slash",), "status:faild", start="payments"),
    "months": Way(("j", "n", "m"), "61"),
    "until": Way(("n", "u"), "2026-02-30"),
    "reference": Way(("slash",), "status:system", asks="enter c enter", start="payments"),
    "message": Way(("slash", "escape", "p"), start="payments"),
    "no_billing_system": Way(("b",), start="payments"),
    "nothing_matches": Way(("slash",), "status:cancel type:additional", start="payments"),
}
EMPTY = {
    "first_run": Way(),
    "subscriptions": Way(("2",)),
    "payments": Way(start="payments"),
    "import": Way(("I",)),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


def picture(snap_compare: Compare, path: Path, way: Way, size: tuple[int, int] = HOME, theme: str = "dark") -> bool:
    return snap_compare(app_over(path, way.start, theme, way.url), terminal_size=size, run_before=way.go)


@pytest.mark.whole
@pytest.mark.parametrize("name", SCREENS)
class TestEveryScreen:
    def test_80x24(self, path: Path, name: str, snap_compare: Compare) -> None:
        assert picture(snap_compare, path, SCREENS[name])

    def test_120x40(self, path: Path, name: str, snap_compare: Compare) -> None:
        assert picture(snap_compare, path, SCREENS[name], WIDE)

    def test_no_colour(self, path: Path, name: str, snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        assert picture(snap_compare, path, SCREENS[name])


@pytest.mark.parametrize("name", IN_ERROR)
def test_in_error(path: Path, name: str, snap_compare: Compare) -> None:
    assert picture(snap_compare, path, IN_ERROR[name])


def test_completion(path: Path, snap_compare: Compare) -> None:
    assert picture(snap_compare, path, Way(("slash",), "status:failed office:o", start="payments"))


def test_an_import_in_error(path: Path, tmp_path: Path, snap_compare: Compare) -> None:
    (tmp_path / "prices.csv").write_text(f"{PRICES}app,year,5,EUR,,,\n")
    assert picture(snap_compare, path, Way(("I", "enter")))


@pytest.mark.parametrize("done", [False, True], ids=["asked", "done"])
def test_many_orders(path: Path, done: bool, snap_compare: Compare) -> None:
    async def go(pilot: Pilot[None]) -> None:
        app: Any = pilot.app
        await Way(("plus",)).go(pilot)
        await pilot.press("d")
        await until(pilot, lambda: "y  Yes" in drawn(app))
        if done:
            await write(pilot, "entered twice")
            await press(pilot, "enter", "4", "enter")
            await pilot.press("y")
            await until(pilot, lambda: "Enter back" in drawn(app))

    assert snap_compare(app_over(path, "payments"), terminal_size=HOME, run_before=go)


@pytest.mark.parametrize("name", EMPTY)
def test_empty(tmp_path: Path, name: str, snap_compare: Compare) -> None:
    assert picture(snap_compare, make_database(tmp_path, lambda: None), EMPTY[name])


@pytest.mark.parametrize("size", [HOME, WIDE], ids=["80x24", "120x40"])
def test_triage(tmp_path: Path, size: tuple[int, int], snap_compare: Compare) -> None:
    queue = make_database(tmp_path, everything_that_needs_someone)
    assert picture(snap_compare, queue, Way(("T", "j", "j", "j", "j")), size)


def test_the_list_of_commands(path: Path, snap_compare: Compare) -> None:
    assert picture(snap_compare, path, Way(("ctrl+p", "e", "down"), start="payments"))


def test_a_command_in_error(path: Path, snap_compare: Compare) -> None:
    line = "payments status:faild"
    keys = ("colon", *({" ": "space", ":": "colon"}.get(each, each) for each in line), "enter")
    assert picture(snap_compare, path, Way(keys, start="payments"))


def test_narrow(path: Path, snap_compare: Compare) -> None:
    assert picture(snap_compare, path, SCREENS["dashboard"], NARROW)


@pytest.mark.parametrize("theme", ["light", "contrast"])
def test_theme(path: Path, theme: str, snap_compare: Compare) -> None:
    assert picture(snap_compare, path, SCREENS["payments"], theme=theme)


LINK = "https://checkout.example/c/pay/cs_test_a1" + "Zb3kQ0yX" * 12 + "#fid" + "kdWxOYHwnPyd1b" * 17


def to_be_paid() -> None:
    """An order to be paid; the link of another is open."""
    oak = add_office("Oak House")
    add_order(
        oak, add_people(oak, "u1", expires_on=date(2027, 1, 31)), OrderStatus.PROCESSING, number="20261122080000000000"
    )
    linked = add_order(
        oak, add_people(oak, "u2", expires_on=TODAY), OrderStatus.PROCESSING, number="20261122090000000000"
    )
    payment = add_payment(linked, PaymentState.SENT)
    payment.link, payment.expires_at = LINK, linked.pay_by
    payment.save()


@pytest.mark.parametrize("size", [HOME, WIDE], ids=["80x24", "120x40"])
def test_a_payment_link(
    tmp_path: Path, size: tuple[int, int], snap_compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PayLinkScreen, "ASK_AFTER", (3600.0,))

    async def go(pilot: Pilot[None]) -> None:
        app: Any = pilot.app
        await Way().go(pilot)
        await pilot.press("p")
        await until(pilot, lambda: "m bank transfer" in drawn(app))

    app = app_over(make_database(tmp_path, to_be_paid), "payments")
    assert snap_compare(app, terminal_size=size, run_before=go)


def test_a_bank_transfer(tmp_path: Path, snap_compare: Compare) -> None:
    async def go(pilot: Pilot[None]) -> None:
        await Way(("j",), asks="p").go(pilot)
        await press(pilot, "down")

    app = app_over(make_database(tmp_path, to_be_paid), "payments")
    assert snap_compare(app, terminal_size=WIDE, run_before=go)
