"""The filter line: what can come next, what is wrong, and the order whose number is entered."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.pay import PayScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.widgets.filter_bar import FilterBar
from smartsub_tui.widgets.order_table import OrderTable
from tests.screens.stage import drawn, make_database, on_stage, press, settle, toasts, turns, until, write
from tests.screens.test_hostile_rows import HOSTILE, assert_harmless
from tests.screens.test_typed_ahead import at_once
from tests.support import NOW, TODAY, add_office, add_order, add_people

PART, WHOLE, HIDDEN = "4711", "20264711000000000001", "20261001000000000009"


def fill() -> None:
    oak = add_office("Oak House")
    add_office("Oakwood")
    for place, number in enumerate((WHOLE, PART, HIDDEN)):
        held = add_people(oak, f"h{place}", expires_on=TODAY)
        status = OrderStatus.CANCEL if number == HIDDEN else OrderStatus.PROCESSING
        order = add_order(oak, held, status, number=number, created_at=NOW - timedelta(hours=place + 1))
        if number == HIDDEN:
            order.deleted_at = NOW
            order.save()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_database(tmp_path_factory.mktemp("filter"), fill)


def bar(app: SmartSubApp) -> FilterBar:
    return app.screen.query_one(FilterBar)


def line(app: SmartSubApp) -> tuple[str, int]:
    """The text of the line and where its cursor stands."""
    return bar(app).input.value, bar(app).input.cursor_position


def row(app: SmartSubApp, number: int) -> str:
    return drawn(app).splitlines()[number].rstrip()


def looks(app: SmartSubApp, what: str) -> list[str]:
    """The characters of the field's row that are drawn `what`: underline, italic."""
    strip = app.screen._compositor.render_strips()[1]
    return [each.text for each in strip if each.style and getattr(each.style, what)]


# What can come next


async def test_tab_lists_the_keys_then_takes_one_after_the_other(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        under = row(app, 2)
        await press(pilot, "slash")
        assert row(app, 2) == under
        await press(pilot, "tab")
        assert row(app, 2).startswith(" Tab  status:  type:  office:")
        assert line(app) == ("", 0)
        await press(pilot, "tab", "tab")
        assert line(app) == ("type:", 5)
        await press(pilot, "shift+tab")
        assert line(app) == ("status:", 7)
        await press(pilot, "end", "f")
        assert row(app, 2) == " Tab  failed"
        await press(pilot, "tab")
        assert line(app) == ("status:failed", 13)
        assert bar(app).filter.describe() == "status:failed"
        assert "0 of 2" in drawn(app)
        await press(pilot, "tab")  # behind a whole word another one begins
        assert line(app) == ("status:failed ", 14)
        assert row(app, 2).startswith(" Tab  type:  office:")


async def test_tab_goes_on_to_the_next_value_and_the_list_with_it(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, "is:late status:")
        await press(pilot, "tab")
        assert bar(app).filter.describe() == "is:late status:processing"
        await press(pilot, "tab")
        assert bar(app).filter.describe() == "is:late status:system"
        await press(pilot, "shift+tab", "shift+tab")
        assert line(app)[0] == "is:late status:cancel"


async def test_right_takes_what_is_shown_behind_the_cursor(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, "-sta")
        assert "".join(looks(app, "italic")) == "tus:"
        await press(pilot, "right")
        assert line(app) == ("-status:", 8)
        assert row(app, 2).startswith(" Tab  processing  system")
        assert looks(app, "italic") == []
        await press(pilot, "home", "right")
        assert line(app) == ("-status:", 1)


async def test_a_word_in_the_midst_is_completed_and_the_others_stay(path: Path) -> None:
    async with on_stage(path, start="payments", filter_text="is:late total:>1") as (app, pilot):
        await press(pilot, "slash", "home")
        await write(pilot, "typ")
        await press(pilot, "tab")  # typis is no key
        assert line(app)[0] == "typis:late total:>1 "
        await press(pilot, "space", "left", "tab")
        assert line(app) == ("type: is:late total:>1 ", 5)


async def test_names_come_from_the_database_in_quotes_where_they_need_them(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, "office:oak")
        assert row(app, 2) == ' Tab  "Oak House"  Oakwood'
        assert "2 of 2" in drawn(app)  # a name that is only begun leaves the list as it is
        await press(pilot, "tab")
        assert line(app)[0] == 'office:"Oak House"'
        await press(pilot, "tab")
        assert line(app)[0] == "office:Oakwood"
        assert "0 of 2" in drawn(app)


async def test_hostile_names_are_offered_and_taken_harmlessly(tmp_path: Path) -> None:
    hostile = make_database(tmp_path, lambda: [add_office(f"{place}{text}") for place, text in enumerate(HOSTILE)])
    async with on_stage(hostile, start="payments") as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, "office:")
        assert_harmless(app)
        for place in range(len(HOSTILE)):
            await press(pilot, "tab")
            assert line(app)[0].startswith(("office:", 'office:"'))
            assert HOSTILE[0][1:] not in drawn(app), place
            assert_harmless(app)
        assert bar(app).filter.terms


async def test_what_the_names_are_comes_too_late_for_who_has_left(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        under = row(app, 2)
        at_once(app, "/", *"office", ":", "escape")
        await settle(pilot)
        assert isinstance(app.screen.focused, OrderTable)
        assert bar(app).input.value == ""  # which is what the list is of
        assert row(app, 2) == under


# What is wrong


@pytest.mark.parametrize("colours", [True, False])
async def test_what_is_wrong_is_marked_where_it_stands(
    path: Path, colours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, "type:activation status:faild")
        assert "".join(looks(app, "underline")) == "faild"
        assert "".join(looks(app, "bold")) == "faild"
        assert "did you mean failed?" in row(app, 2)
        assert bar(app).filter.describe() == "type:activation"
        await press(pilot, "backspace", "backspace")
        assert looks(app, "underline") == []
        assert row(app, 2) == " Tab  failed"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("sta", ""), ("statu:", "statu"), ("status:", ""), ("status:fai", ""), ("status:fai ", "fai"),
        ("status:failed,", ""), ("status:x,f", "x"), ('office:"Oak', ""), ("created:2026-1", ""),
        ("created:2026-13", "2026-13"), ("total:>", ""), ("-", ""),
    ],
)  # fmt: skip
async def test_a_word_that_is_only_begun_is_no_error_yet(path: Path, text: str, wrong: str) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, text)
        assert "".join(looks(app, "underline")) == wrong


async def test_what_is_begun_is_an_error_once_it_is_left(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, "status:fai")
        await press(pilot, "enter")
        assert bar(app).editing
        assert "did you mean failed?" in row(app, 2)


async def test_nothing_moves_while_one_types(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        place = app.screen.query_one(OrderTable).region
        for text in ("status:", "xx yy", " is:"):
            await write(pilot, text)
            assert app.screen.query_one(OrderTable).region == place


# A number


async def scan(app: SmartSubApp, pilot: Pilot[None], text: str) -> None:
    at_once(app, *text, "enter")
    await settle(pilot)


@pytest.mark.parametrize("number", [WHOLE, PART, HIDDEN])
async def test_a_whole_number_opens_its_order_wherever_that_is(path: Path, number: str) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await scan(app, pilot, f"/{number}")
        await until(pilot, lambda: f"Payments > {number}" in drawn(app))
        assert isinstance(app.screen, OrderInfoScreen)
        assert toasts(app) == []


async def test_the_next_scan_takes_the_place_of_the_last(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await scan(app, pilot, f"/{WHOLE}")
        await press(pilot, "escape")
        assert isinstance(app.screen, PaymentsScreen)
        assert bar(app).input.selected_text == WHOLE
        await scan(app, pilot, PART)
        assert f"Payments > {PART}" in drawn(app)
        await press(pilot, "slash")
        assert isinstance(app.screen, PaymentsScreen)
        assert bar(app).input.selected_text == PART
        await scan(app, pilot, f"/{WHOLE}")  # the / of a scanner that sends it each time
        assert f"Payments > {WHOLE}" in drawn(app)
        await press(pilot, "escape", "escape")
        assert isinstance(app.screen.focused, OrderTable)
        await scan(app, pilot, f"/{PART}")  # from the list
        assert f"Payments > {PART}" in drawn(app)
        at_once(app, *f"/{PART}", "enter", *f"/{HIDDEN}", "enter")  # the second before the first is answered
        await until(pilot, lambda: f"Payments > {HIDDEN}" in drawn(app))


async def test_slash_within_a_word_is_a_letter(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, "2024")
        await press(pilot, "slash")
        assert line(app) == ("2024/", 5)
        assert bar(app).input.selected_text == ""


async def test_a_scan_behind_other_words_opens_its_order_too(path: Path) -> None:
    async with on_stage(path, start="payments", filter_text="status:failed") as (app, pilot):
        await scan(app, pilot, f"/{WHOLE}")
        assert f"Payments > {WHOLE}" in drawn(app)


async def test_what_no_order_has_is_said_and_the_list_is_filtered_by_it(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await scan(app, pilot, "/471")
        assert isinstance(app.screen.focused, OrderTable)
        assert "2 of 2" in drawn(app)
        assert toasts(app) == ["no order has the number 471: it is looked for as a part of one"]
        await scan(app, pilot, "/ -is:late")
        assert len(toasts(app)) == 1


async def test_what_is_typed_behind_a_scan_is_about_the_order_that_it_opens(path: Path) -> None:
    """The order under the cursor would be the other one, whose number has this one as a part."""
    async with on_stage(path, start="payments") as (app, pilot):
        at_once(app, *f"/{PART}", "enter", "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        assert f"Payments > {PART} > Pay" in drawn(app)


async def test_what_comes_while_a_scan_waits_for_its_answer_goes_where_it_leads(path: Path) -> None:
    """The next scan too, and a key behind it: no digit of it is taken for a mode."""
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        field, busy = bar(app).input, threading.Event()
        app.backend.finish(busy.wait)
        behind = [*f"/{PART}", "enter", "p"]
        at_once(app, *HIDDEN, "enter", *behind)
        try:
            await turns(lambda: field.value == HIDDEN and field.message_queue_size >= len(behind))
        finally:
            busy.set()
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        assert f"Payments > {PART} > Pay" in drawn(app)


async def test_people_are_filtered_by_a_number_and_nothing_opens(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "n")
        await scan(app, pilot, f"/{PART}")
        assert "Renew" in drawn(app)
        assert toasts(app) == []
