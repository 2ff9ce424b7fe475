"""Every screen from 60x18 to 200x60: nothing beyond the edge, nothing essential cut; smaller ones do no harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from textual.events import Resize, ScreenResume
from textual.geometry import Size
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import DataTable

from smartsub_tui import display
from smartsub_tui.app import SmartSubApp
from smartsub_tui.commands import COMMANDS
from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.screens.question import Question
from smartsub_tui.widgets.frame import KeyLine, Masthead
from smartsub_tui.widgets.order_table import OrderTable
from tests.screens.stage import drawn, make_database, on_stage, press, resize, settle, until, write
from tests.screens.test_journey import fill
from tests.support import TODAY, add_community, add_order, add_person

pytestmark = pytest.mark.once

SIZES: Final = ((60, 18), (80, 24), (100, 30), (120, 40), (200, 60))
LONG: Final = "The Serviced Offices and Studios at the Old Harbour Exchange, Signal Hill"


class Way(NamedTuple):
    """Keys from the dashboard on, what is typed in a field then, and what must be read at any size."""

    keys: tuple[str, ...]
    words: tuple[str, ...]
    text: str = ""


WAYS: Final = {
    "dashboard": Way(
        (), ("1 Dashboard", "3 Payments", "NEEDS YOU", "expire in 30 days, no order", "EXPIRING", "Unpaid")
    ),
    "expiring": Way(("E",), ("Dashboard > Expiring", "Office", "overdue", "then", "people")),
    "expiring money": Way(("E", "v", "t"), ("A month of renewal, net", "overdue", "then", "EUR")),
    "triage": Way(
        ("T",),
        (
            "Dashboard > Triage",
            "? 2  payments with unknown outcome",
            "20261101000000000001",
            "EUR since",
            "» System Processing",
        ),
    ),
    "import": Way(("I",), ("Dashboard > Import", "Files", "prices", "users", "orders")),
    "subscriptions": Way(("2",), ("2 Subscriptions", "Office", "Expired", "Unpaid")),
    "activate": Way(("j", "a", "A"), ("Activate", "Department", "Price", "not activated yet", "marked")),
    "billing": Way(("3", "b"), ("No billing system is set", "[billing_system]")),
    "renew": Way(("j", "n", "A"), ("Renew", "User", "Expires", "Becomes", "marked")),
    "payments": Way(
        ("3",), ("3 Payments", "Order Number", "Total EUR", "Status", "20261101000000000001", "» System Processing")
    ),
    "order": Way(("3", "enter"), ("Payments > 2026110", "» System Processing", "EUR")),
    "help": Way(("question_mark",), ("Dashboard > Help", "Keys of Dashboard", "Open what the cursor is on.")),
    "messages": Way(("M",), ("Messages", "Nothing was told in this session yet.")),
    "views": Way(("3", "w"), ("Payments > Views", "View", "Whose", "Filter", "Sort", "No view is saved yet")),
    "commands": Way(("3", "ctrl+p"), ("info", "Enter", "All about the order", "Enter runs", "Esc back")),
}


def more() -> None:
    """Beside what the journeys have: a name that is too long everywhere, and a status with all that it may carry."""
    fill()
    place = add_community(LONG)
    people = [add_person(place, "long", name="N" * 90, department="D" * 90, expires_on=TODAY)]
    add_order(place, people, OrderStatus.SYSTEM_PROCESSING, number="20261102000000000001", amount=123_456_789)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_database(tmp_path_factory.mktemp("sizes"), more)


async def go(app: SmartSubApp, pilot: Pilot[None], way: Way) -> None:
    await press(pilot, *way.keys)
    await write(pilot, way.text)
    await settle(pilot)


def assert_inside(app: SmartSubApp) -> None:
    """No part stands beyond an edge, no table has columns beyond its own, and no key is cut."""
    width, height = app.size
    for widget in app.screen.query(Widget):
        if widget.is_on_screen and widget.region.area:
            assert widget.region.right <= width, widget
            assert widget.region.bottom <= height, widget
    for table in (each for each in app.screen.query(DataTable) if each.region.area):
        assert table.max_scroll_x == 0, table
        assert sum(column.get_render_width(table) for column in table.columns.values()) <= table.size.width, table
    for line in app.screen.query(KeyLine):
        shown = line.render()
        assert shown.cell_len <= width
        assert any(f"{COMMANDS[each].shown} {COMMANDS[each].label}" in shown.plain for each in line.shown)
        if "help" in line.shown:
            assert shown.plain.endswith("? help")


async def test_a_size_that_goes_as_it_came_leaves_nothing_behind(path: Path) -> None:
    """What is drawn before the screens hear of it is drawn as they are: they never do."""
    async with on_stage(path, size=(80, 24)) as (app, pilot):
        before = drawn(app)
        await app._on_resize(Resize(Size(1, 1), Size(1, 1)))
        assert app._resize_timer is not None
        app._resize_timer.pause()  # at which the screens would be told
        app.screen.query_one(Masthead).refresh()
        await settle(pilot)
        await app._on_resize(Resize(Size(80, 24), Size(80, 24)))
        app._check_resize()
        await settle(pilot)
        assert drawn(app) == before


@pytest.mark.parametrize("keys", [(), ("3", "e"), ("3", "d")])
async def test_two_sizes_that_wait_to_be_told_do_not_take_turns_for_ever(
    path: Path, keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a screen, in the export's window, and in a question."""
    laid_out: list[Size | None] = []
    refresh = Screen._refresh_layout

    def counted(screen: Screen[Any], size: Size | None = None, scroll: bool = False) -> None:
        laid_out.append(size)
        assert len(laid_out) < 100
        refresh(screen, size, scroll)

    async with on_stage(path, size=(80, 24)) as (app, pilot):
        await press(pilot, *keys)
        before = drawn(app)
        monkeypatch.setattr(Screen, "_refresh_layout", counted)
        for size in ((60, 18), (80, 24), (60, 18), (80, 24)):
            app.screen.post_message(Resize(Size(*size), Size(*size)))
            app.screen.post_message(ScreenResume())  # two of a size would be taken together
        await settle(pilot)
        assert drawn(app) == before


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", WAYS)
async def test_a_screen_fits(path: Path, name: str, size: tuple[int, int]) -> None:
    way = WAYS[name]
    async with on_stage(path, size=size) as (app, pilot):
        await go(app, pilot, way)
        assert_inside(app)
        seen = drawn(app)
        for word in way.words:
            assert word in seen, seen
        assert "needs 60x18" not in seen


@pytest.mark.parametrize("name", WAYS)
async def test_a_screen_fits_after_every_resize(path: Path, name: str) -> None:
    async with on_stage(path) as (app, pilot):
        await go(app, pilot, WAYS[name])
        for size in (*reversed(SIZES), (80, 24)):
            await resize(pilot, *size)
            await settle(pilot)
            assert_inside(app)
            for word in WAYS[name].words:
                assert word in drawn(app), drawn(app)


@pytest.mark.parametrize("keys", ["T", "E"])
async def test_what_a_new_size_has_painted_later_is_not_when_the_screen_was_left(
    path: Path, keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    later: list[Callable[[], object]] = []
    async with on_stage(path, size=(80, 24)) as (app, pilot):
        await press(pilot, keys)
        left = app.screen
        assert len(app.screen_stack) == 2
        monkeypatch.setattr(left, "call_after_refresh", later.append)
        await resize(pilot, 60, 18)
        await settle(pilot)
        assert later
        await app.pop_screen()
        for act in later:
            act()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_all_counts_of_an_office_are_seen(path: Path, size: tuple[int, int]) -> None:
    async with on_stage(path, size=size) as (app, _):
        line = next(line for line in drawn(app).splitlines() if line.startswith(" Oak House"))
        # Inactive, expiring, expired, unpaid: what asks for something to be done.
        assert line.split()[-4:] == ["1", "1", "1", "."]
        cut = next(line for line in drawn(app).splitlines() if line.startswith(" The Serviced"))
        assert ("…" in cut) is (size[0] < 150)


@pytest.mark.long
@pytest.mark.parametrize("name", WAYS)
async def test_too_small_a_terminal_does_no_harm(path: Path, name: str) -> None:
    async with on_stage(path) as (app, pilot):
        await go(app, pilot, WAYS[name])
        for size in ((1, 1), (2, 2), (5, 3), (20, 5), (40, 10), (59, 17), (300, 2), (3, 100)):
            await resize(pilot, *size)
            await settle(pilot)
            await press(pilot, "j", "k", "G", "g", "f5", "tab")
            app.tell("a sentence that is longer than the terminal is wide", wrong=True)
            await settle(pilot)
            if size == (59, 17):
                assert "59x17, needs 60x18" in drawn(app)
            await resize(pilot, 80, 24)
            await settle(pilot)
            assert_inside(app)


@pytest.mark.parametrize("size", [(20, 5), (60, 18)])
async def test_a_question_can_be_answered_in_little_room(path: Path, size: tuple[int, int]) -> None:
    async with on_stage(path, start="payments", filter_text="status:system") as (app, pilot):
        await resize(pilot, *size)
        await settle(pilot)
        await press(pilot, "c")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await press(pilot, "escape")
        assert not isinstance(app.screen, Question)


async def test_order_numbers_totals_and_statuses_stay_at_any_width(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        for width in range(30, 130, 3):
            await resize(pilot, width, 24)
            await settle(pilot)
            table = app.screen.query_one(OrderTable)
            keys = [str(column.key.value) for column in table.columns.values()]
            assert [key for key in keys if key in ("number", "total", "status")] == ["number", "total", "status"]
            number = table.get_cell_at(table.cursor_coordinate).plain.strip()
            assert number in ("20261102000000000001", f"…{'20261102000000000001'[1 - len(number) :]}")
            assert (number[0] != "…") or width < 60
            if width >= 45:
                assert_inside(app)
            if width >= 60:
                total = display.money(table.window.rows[0].total, with_currency=False)
                assert total in drawn(app)
