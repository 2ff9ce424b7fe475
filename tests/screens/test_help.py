"""Help: generated from the table of commands, complete, and closed by the key that opened it."""

from __future__ import annotations

from pathlib import Path

import pytest

from smartsub_tui.commands import COMMANDS, TYPED
from smartsub_tui.data.filters import ORDER_KEYS, USER_KEYS, OrderMark
from smartsub_tui.data.vocabulary import OrderStatus, SubscriptionState
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.help import HelpScreen
from smartsub_tui.widgets.lines import Lines
from tests.screens.stage import drawn, make_database, on_stage, press, resize
from tests.screens.test_journey import fill

WAYS = {
    "Dashboard": (),
    "Expiring": ("E",),
    "Triage": ("T",),
    "Import": ("I", "escape"),
    "Subscriptions": ("2",),
    "Renew": ("n",),
    "Payments": ("3",),
    "Order info": ("3", "enter"),
    "Messages": ("M",),
    "Views": ("3", "w"),
    "Billing system": ("3", "b"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


@pytest.mark.parametrize("title", WAYS)
async def test_help_names_every_key_of_its_screen_and_closes_where_it_was(path: Path, title: str) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, *WAYS[title])
        screen = app.screen
        assert isinstance(screen, BaseScreen)
        for close in ("escape", "q", "question_mark"):
            await press(pilot, "question_mark")
            assert isinstance(app.screen, HelpScreen)
            lines = app.screen.query_one(Lines)
            assert lines.scroll_offset.y == 0
            assert f"Keys of {title}" in drawn(app)
            said = " ".join(lines.text.split())
            for each in screen.COMMANDS_HERE:
                command = COMMANDS[each]
                asks = " Asks first." if command.danger else ""
                assert f"{command.shown} {command.help}{asks}" in said
            await press(pilot, close)
            assert app.screen is screen


async def test_help_is_complete(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "question_mark")
        said = " ".join(app.screen.query_one(Lines).text.split())
    for status in OrderStatus:
        assert f"{status.label} {status.definition}" in said
    for state in SubscriptionState:
        assert state.label in said
    for key in (*ORDER_KEYS.values(), *USER_KEYS.values()):
        assert f"{key.name} {key.help}" in said
    for each in TYPED:
        assert f"{COMMANDS[each].form} {COMMANDS[each].help}" in said
    for mark in OrderMark:
        assert f"is:{mark.value} {mark.label}" in said


def test_what_moves_an_order_asks_first() -> None:
    assert all(command.danger for command in COMMANDS.values() if command.trigger is not None)


@pytest.mark.parametrize("size", [(60, 18), (80, 24)])
async def test_its_lines_are_whole_at_every_size(path: Path, size: tuple[int, int]) -> None:
    async with on_stage(path, size=size) as (app, pilot):
        await press(pilot, "question_mark")
        lines = app.screen.query_one(Lines).text.splitlines()
        assert max(len(line) for line in lines) < size[0] - 1
        await press(pilot, "G")
        assert "id or name of a user" in drawn(app)
        await resize(pilot, 100, 30)
        await press(pilot, "g")
        assert "Keys of Dashboard" in drawn(app)
        assert len(app.screen.query_one(Lines).text.splitlines()) < len(lines)


async def test_heads_and_keys_stand_out(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "question_mark")
        bold = "".join(
            segment.text
            for strip in app.screen._compositor.render_strips()
            for segment in strip
            if segment.style is not None and segment.style.bold
        )
        assert "Keys of Dashboard" in bold
        assert "Enter" in bold
        assert "Open what the cursor is on." not in bold
