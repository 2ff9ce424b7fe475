"""What was told stays until it was read, above the keys, and can be read again."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import MouseDown

from smartsub_tui.app import MOST_MESSAGES
from smartsub_tui.screens.dashboard import DashboardScreen
from smartsub_tui.screens.messages import MessagesScreen
from smartsub_tui.screens.payments import PaymentsScreen
from tests.screens.stage import drawn, make_database, on_stage, press, settle, write
from tests.support import FixedClock, add_office

LONG = "the words of this sentence do not end before it was said five times over " * 5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, lambda: add_office("Oak House"))


@pytest.mark.parametrize("wrong", [False, True])
async def test_a_message_stays_until_the_next_key_but_not_one_typed_ahead(path: Path, wrong: bool) -> None:
    clock = FixedClock()
    async with on_stage(path, clock=clock) as (app, pilot):
        app.tell("a sentence", wrong=wrong)
        await settle(pilot)
        assert "a sentence" in drawn(app)
        clock.advance(milliseconds=500)
        await press(pilot, "j")  # on its way before anyone could read
        assert "a sentence" in drawn(app)
        clock.advance(days=1)
        assert "a sentence" in drawn(app)  # no clock takes it away
        await press(pilot, "j")
        assert "a sentence" not in drawn(app)


@pytest.mark.parametrize("size", [(80, 24), (60, 18), (200, 60)])
async def test_it_is_whole_words_above_the_keys(path: Path, size: tuple[int, int]) -> None:
    async with on_stage(path, size=size) as (app, pilot):
        before = drawn(app).splitlines()
        app.tell(f"{LONG}end", wrong=True)
        await settle(pilot)
        lines = drawn(app).splitlines()
        assert lines[-2:] == before[-2:]  # neither the keys nor the line of sums above them is hidden
        assert lines[: size[1] - 6] == before[: size[1] - 6]  # nothing moved
        told = [line.strip() for line in lines if "the words" in line or "sentence" in line]
        assert told[0].startswith("x ")
        assert all(each.split()[-1] in LONG.split() for each in told)


async def test_messages_are_read_again_with_their_times(path: Path) -> None:
    clock = FixedClock()
    async with on_stage(path, clock=clock) as (app, pilot):
        await press(pilot, "M")
        assert isinstance(app.screen, MessagesScreen)
        assert "Nothing was told" in drawn(app)
        await press(pilot, "M")
        assert isinstance(app.screen, DashboardScreen)
        app.tell("the first")
        clock.advance(hours=1)
        app.tell(f"{LONG}end", wrong=True)
        await press(pilot, "M")
        lines = drawn(app).splitlines()
        assert lines[2].startswith(" Today 10:00  the words")
        seen = "\n".join(lines)
        assert "over end" in seen
        assert seen.index("over end") < seen.index("Today 09:00  the first")
        assert "x the words" not in seen  # it is read here, not below
        await press(pilot, "escape")
        assert "the words" not in drawn(app)


async def test_a_message_goes_with_its_reader_to_the_next_screen(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        app.tell("a sentence")
        await press(pilot, "3")
        assert isinstance(app.screen, PaymentsScreen)
        assert "a sentence" in drawn(app)


async def test_only_the_last_of_very_many_are_kept(path: Path) -> None:
    async with on_stage(path) as (app, _pilot):
        for place in range(MOST_MESSAGES + 50):
            app.tell(f"sentence {place}")
        assert len(app.messages) == MOST_MESSAGES
        assert app.messages[-1].text == f"sentence {MOST_MESSAGES + 49}"


async def test_in_a_field_m_is_a_letter(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, "by:M")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter_bar.input.value == "by:M"


async def test_a_click_reads_too(path: Path) -> None:
    clock = FixedClock()
    async with on_stage(path, clock=clock) as (app, pilot):
        app.tell("a sentence")
        await settle(pilot)
        clock.advance(seconds=2)
        # As the driver sends it: a pilot's click does not pass the application.
        app.post_message(MouseDown(None, 5, 20, 0, 0, 1, False, False, False, 5, 20))
        await settle(pilot)
        assert "a sentence" not in drawn(app)
