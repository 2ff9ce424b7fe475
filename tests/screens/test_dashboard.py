"""Dashboard and Expiring: every number opens the list that it counts, at every size."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from smartsub_tui.data.database import open_database, url_of
from smartsub_tui.data.filters import Moment, parse_users
from smartsub_tui.data.queries import count_users
from smartsub_tui.data.vocabulary import OrderStatus, UserKind
from smartsub_tui.screens.dashboard import DashboardScreen
from smartsub_tui.screens.expiring import ExpiringScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.screens.renew import RenewScreen
from smartsub_tui.screens.subscriptions import SubscriptionsScreen
from smartsub_tui.widgets.expiring_grid import ExpiringGrid
from smartsub_tui.widgets.expiring_table import ExpiringTable
from tests.screens.stage import drawn, make_database, on_stage, press, resize, settle
from tests.support import (
    NOW,
    TODAY,
    add_community,
    add_office,
    add_order,
    add_people,
    add_person,
    add_prices,
)


def fill() -> None:
    oak, elm, ume = (
        add_office("Oak House"),
        add_community("Elm Court", currency="USD"),
        add_office("Ume", currency="JPY"),
    )
    add_prices("USD")
    for place, days in enumerate((-40, -1, 0, 6, 7, 29, 30, 89, 90, 400)):
        add_people(oak, f"o{place}", expires_on=TODAY + timedelta(days=days))
    add_people(elm, "e0", "e1", expires_on=TODAY + timedelta(days=3))
    add_people(ume, "u0", expires_on=TODAY + timedelta(days=3))  # there is no price in JPY
    add_person(oak, "i0")
    add_person(oak, "f0", kind=UserKind.FAMILY, expires_on=TODAY)
    add_order(oak, add_people(oak, "p0"), OrderStatus.PROCESSING, number="20261122000000000001")
    add_order(oak, add_people(oak, "p1"), OrderStatus.SYSTEM_PROCESSING, number="20261122000000000002")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


def count(path: Path, text: str) -> int:
    """How many people a filter lists, asked of a connection of its own."""
    opened = open_database(url_of(path))
    try:
        return count_users(parse_users(text), Moment(NOW, "UTC"))
    finally:
        opened.close()


async def test_the_panel_counts_people_and_money_of_the_currency_chosen(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        seen = drawn(app)
        for line in (
            "overdue        2",
            "7 days         6",
            "30 days        2",
            "90 days        2",
            "then           2",
        ):
            assert line in seen
        assert "EUR" in seen
        assert "15.00" in seen  # three of the six are paid for in euro
        assert "USD" not in seen
        await press(pilot, "dollar_sign")
        assert "USD" in drawn(app)
        assert "10.00" in drawn(app)
        await press(pilot, "dollar_sign")
        assert "JPY" in drawn(app)
        assert drawn(app).splitlines()[4].rstrip().endswith("-")  # nobody has a price
        await press(pilot, "dollar_sign")
        assert "EUR" in drawn(app)


async def test_a_line_of_the_panel_opens_its_offices_and_they_its_people(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "tab", "tab", "j")
        assert isinstance(app.screen.focused, ExpiringTable)
        await press(pilot, "enter")
        assert isinstance(app.screen, ExpiringScreen)
        assert "All offices, 7 days: 6 people (1 family)" in drawn(app)
        await press(pilot, "j")
        assert "Elm Court, 7 days: 2 people, USD 10.00 a month, net" in drawn(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, RenewScreen)
        assert app.screen.office.name == "Elm Court"
        assert app.screen.filter_bar.filter == parse_users("expires:<7d")
        assert "2 of 2" in drawn(app)


async def test_the_cursor_stands_on_numbers_only(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "E", "g", *["h"] * 20)
        grid = app.screen.query_one(ExpiringGrid)
        assert grid.get_cell_at(grid.cursor_coordinate).plain.strip() == "2"
        assert "All offices, overdue: 2 people" in drawn(app)


@pytest.mark.parametrize("by_month", [False, True])
async def test_every_number_of_the_grid_is_that_of_the_list_it_opens(path: Path, by_month: bool) -> None:
    async with on_stage(path, size=(200, 60)) as (app, pilot):
        await press(pilot, "E", *([] if by_month else ["t"]))
        assert isinstance(app.screen, ExpiringScreen)
        grid = app.screen.query_one(ExpiringGrid).grid
        assert grid is not None
        cells = [(line, span, cell) for line in grid.lines for span, cell in zip(grid.spans, line.cells, strict=True)]
    assert sum(cell.people for _, _, cell in cells[: len(grid.spans)]) == 14
    for line, span, cell in cells:
        office = f' office:"{line.name}"' if line.office else ""
        assert cell.people == count(path, span.filter + office), (line.name, span)


async def test_what_there_is_no_room_for_is_one_column_with_its_own_filter(path: Path) -> None:
    async with on_stage(path, size=(60, 18)) as (app, pilot):
        await press(pilot, "E")
        grid = app.screen.query_one(ExpiringGrid)
        assert grid.grid is not None
        assert len(grid.grid.spans) < 14
        assert grid.grid.width <= 60
        last = grid.grid.spans[-1]
        assert last.label == "then"
        expected = grid.grid.lines[0].cells[-1].people
        await press(pilot, "g", *["l"] * 20, "enter")
        assert isinstance(app.screen, SubscriptionsScreen)
        assert app.screen.filter_text == last.filter
    assert expected == count(path, last.filter)


async def test_people_and_money_are_shown_in_turn_and_the_cursor_stays(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "E", "v")
        assert "A month of renewal, net" in drawn(app)
        assert "All in EUR" in drawn(app)
        assert "Oak House, overdue: 2 people, EUR 10.00 a month, net" in drawn(app)
        await press(pilot, "dollar_sign")
        assert "All in USD" in drawn(app)
        await press(pilot, "t", "l", "k", "k", "enter")
        assert isinstance(app.screen, SubscriptionsScreen)
        assert app.screen.filter_text == 'expires:<7d office:"Elm Court"'
        await press(pilot, "1", "v")
        assert "People, by the last day" in drawn(app)


async def test_unpaid_is_a_door(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "U")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter.describe() == 'office:"Oak House" status:processing'
        assert "1 of 2" in drawn(app)


@pytest.mark.parametrize(
    ("size", "panel", "line"),
    [((80, 24), True, False), ((60, 18), False, True), ((60, 30), True, False), ((80, 10), False, True)],
)
async def test_the_panel_gives_way_where_there_is_no_room(
    path: Path, size: tuple[int, int], panel: bool, line: bool
) -> None:
    async with on_stage(path, size=(80, 24)) as (app, pilot):
        await resize(pilot, *size)
        await settle(pilot)
        seen = drawn(app)
        assert isinstance(app.screen, DashboardScreen)
        assert ("█" in seen) is panel
        assert ("EXPIRING  overdue 2  7 days 6" in seen) is line
        assert "Oak House" in seen


async def test_a_terminal_that_cannot_draw_blocks_gets_signs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "vt220")
    async with on_stage(path) as (app, pilot):
        assert "####" in drawn(app)
        await press(pilot, "E")
        assert "####" in drawn(app)
        assert not set("▁▂▃▄▅▆▇█▏▎▍▌▋▊▉") & set(drawn(app))


async def test_nobody_activated_says_the_next_step(tmp_path: Path) -> None:
    path = make_database(tmp_path, lambda: add_person(add_office("Oak House"), "i0"))
    async with on_stage(path) as (app, pilot):
        await press(pilot, "E", "v", "dollar_sign")
        assert "Nobody was ever activated" in drawn(app)
        await press(pilot, "escape")
        assert isinstance(app.screen, DashboardScreen)
