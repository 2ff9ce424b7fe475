"""Export from the screens: the rows on the screen go into the file, it can be stopped, and nothing is overwritten."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from textual.events import AppBlur, Key, MouseDown
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.billing import exports
from smartsub_tui.billing.exports import FileExport
from smartsub_tui.billing.session import Session
from smartsub_tui.data.models import Order
from smartsub_tui.data.vocabulary import OrderStatus, OrderType, UserKind
from smartsub_tui.screens.export import ExportScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.screens.renew import RenewScreen
from smartsub_tui.widgets.field import Field
from tests.screens.stage import drawn, make_database, on_stage, press, settle, toasts, until, write
from tests.support import NOW, TODAY, add_community, add_office, add_order, add_people, add_person

STATUSES = (OrderStatus.SUCCEED, OrderStatus.FAILED, OrderStatus.TIME_OUT, OrderStatus.CANCEL)


def fill() -> None:
    oak, elm = add_office("Oak House"), add_community("Elm Court")
    add_people(oak, *(f"u{place}" for place in range(5)), expires_on=TODAY)
    add_person(oak, "i1", name="Ina Inactive")
    add_person(elm, "f1", kind=UserKind.FAMILY, expires_on=TODAY)
    for place in range(60):
        order = add_order(
            elm if place % 3 else oak,
            [],
            STATUSES[place % 4],
            history=True,
            type=OrderType.ACTIVATION if place % 5 else OrderType.SUBSCRIPTION,
            number=f"{place:06}",
            created_at=NOW,
        )
        Order.update(total=250 * (place % 7)).where(Order.id == order.id).execute()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return make_database(tmp_path, fill)


@pytest.fixture(autouse=True)
def here(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, which is also the home."""
    folder = path.parent / "out"
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    return folder


async def ask(pilot: Pilot[None], name: str | None = None) -> None:
    """The question for the file, and a name typed into it."""
    await press(pilot, "e")
    assert isinstance(pilot.app.screen, ExportScreen)
    if name is not None:
        await press(pilot, "ctrl+u")
        await write(pilot, name)


def left(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def field(app: SmartSubApp) -> Field:
    return app.screen.query_one(Field)


async def test_a_click_beside_the_screen_takes_no_focus(path: Path) -> None:
    """As of a terminal that is smaller by now."""
    async with on_stage(path, start="payments", size=(80, 24)) as (app, pilot):
        await ask(pilot)
        for x, y in ((80, 3), (3, 24), (200, 90)):
            app.post_message(MouseDown(None, x, y, 0, 0, 1, False, False, False, x, y))
        await settle(pilot)
        assert isinstance(app.focused, Field)


async def test_where_the_field_has_lost_the_focus_keys_are_answered_all_the_same(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await ask(pilot)
        app.screen.set_focus(None)
        await press(pilot, "enter")
        assert isinstance(app.focused, Field)
        app.screen.set_focus(None)
        await press(pilot, "escape")
        assert isinstance(app.screen, PaymentsScreen)


async def test_a_terminal_that_says_it_is_not_looked_at_takes_no_key_away(path: Path) -> None:
    """By CSI O; that it is looked at again may never be told."""
    async with on_stage(path, start="payments") as (app, pilot):
        await ask(pilot)
        app.post_message(AppBlur())
        await settle(pilot)
        assert isinstance(app.focused, Field)
        await press(pilot, "escape")
        assert isinstance(app.screen, PaymentsScreen)


async def test_what_is_on_the_screen_is_in_the_file(path: Path, here: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "3")
        await ask(pilot)
        assert "Export 60 orders" in drawn(app)
        assert field(app).value == "orders-2026-11-22.csv"
        await press(pilot, "enter")
        # A long path goes on in the next line.
        assert f"wrote60ordersto{here}/orders-2026-11-22.csv" in "".join(drawn(app).split())
        await press(pilot, "enter")
        assert isinstance(app.screen, PaymentsScreen)
    lines = (here / "orders-2026-11-22.csv").read_text().splitlines()
    assert lines[0].startswith("order_number,office,type,")
    assert [line[:6] for line in lines[1:]] == [f"{place:06}" for place in reversed(range(60))]


@pytest.mark.parametrize("text", ["status:failed,timeout", 'office:"Elm*" -type:activation', "00001", "total:>5"])
async def test_filter_and_sort_of_the_screen_are_those_of_the_file(path: Path, here: Path, text: str) -> None:
    async with on_stage(path, start="dashboard", filter_text=text) as (app, pilot):
        for presses in range(3):
            await ask(pilot, f"{presses}.jsonl")
            assert text.split(":")[0].lstrip("-") in drawn(app)
            await press(pilot, "enter", "enter")
            screen = app.screen
            assert isinstance(screen, PaymentsScreen)
            shown = [order.number for order in screen.table.window.rows]
            written = [json.loads(line)["number"] for line in (here / f"{presses}.jsonl").read_text().splitlines()]
            assert written == shown
            assert 0 < len(shown) < 60
            await press(pilot, "s", "s", "s")


async def test_renew_exports_the_people_of_its_office_and_filter(path: Path, here: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "j", "n")
        assert isinstance(app.screen, RenewScreen)
        await ask(pilot, "~/all.csv")
        assert "Export 6 users" in drawn(app)
        assert 'office:"Oak House"' in drawn(app)
        await press(pilot, "enter", "enter", "slash")
        await write(pilot, "u1,u2")
        await press(pilot, "enter")
        await ask(pilot, "some.jsonl")
        await press(pilot, "enter", "enter")
    assert [line.split(",")[5] for line in (here / "all.csv").read_text().splitlines()[1:]] == [
        *("i1", "u0", "u1", "u2", "u3", "u4"),
    ]
    assert [json.loads(line)["id"] for line in (here / "some.jsonl").read_text().splitlines()] == ["u1", "u2"]


async def test_a_file_that_exists_is_replaced_by_a_second_key_only(path: Path, here: Path) -> None:
    (here / "o.csv").write_text("old")
    async with on_stage(path) as (app, pilot):
        await press(pilot, "3")
        await ask(pilot, "o.csv")
        for keys in (("enter", "enter"), ("enter", "escape")):
            await press(pilot, keys[0])
            assert "o.csv exists" in drawn(app)
            await press(pilot, keys[1])
            assert app.focused is field(app)
            assert field(app).value == "o.csv"
            assert (here / "o.csv").read_text() == "old"
        await press(pilot, "enter", "y")
        assert "wrote 60 orders" in drawn(app)
    assert (here / "o.csv").read_text().count("\n") == 61
    assert left(here) == ["o.csv"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "file name is empty"),
        ("none/o.csv", "no folder"),
        (".", "is a folder"),
        ("link", "is a link"),
        ("x" * 300, "too long"),
    ],
)
async def test_a_name_that_cannot_be_keeps_what_was_typed(path: Path, here: Path, name: str, reason: str) -> None:
    (here / "link").symlink_to(path)
    async with on_stage(path) as (app, pilot):
        await press(pilot, "3")
        await ask(pilot, "")
        field(app).value = name
        await press(pilot, "enter")
        assert reason in " ".join(drawn(app).split())
        assert app.focused is field(app)
        assert field(app).value == name
        await press(pilot, "escape")
        assert isinstance(app.screen, PaymentsScreen)
    assert left(here) == ["link"]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of one row, so that an export of sixty has sixty of them."""
    monkeypatch.setattr(exports, "SLICE_SECONDS", 0)
    monkeypatch.setattr(exports, "PAGE", 1)


def between_slices(monkeypatch: pytest.MonkeyPatch, after: int, what: Callable[[], Any]) -> None:
    """Do something in the database's thread when so many slices were written."""
    go_on = FileExport.go_on

    def hooked(export: FileExport, session: Session) -> bool:
        finished = go_on(export, session)
        if export.done == after:
            what()
        return finished

    monkeypatch.setattr(FileExport, "go_on", hooked)


@pytest.mark.usefixtures("slow")
async def test_esc_stops_it_and_nothing_is_left(path: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with on_stage(path) as (app, pilot):
        seen: list[str] = []

        def stop() -> None:
            seen.extend(left(here))
            app.call_from_thread(app.screen.action_back)  # type: ignore[attr-defined]

        between_slices(monkeypatch, 5, stop)
        await press(pilot, "3")
        await ask(pilot, "o.csv")
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, PaymentsScreen))
        assert any("stopped: no file was written" in each for each in toasts(app))
    assert len(seen) == 1
    assert seen[0] != "o.csv"
    assert left(here) == []


@pytest.mark.usefixtures("slow")
async def test_other_reads_get_their_turn_and_progress_is_shown(
    path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []

    async with on_stage(path) as (app, pilot):

        async def look() -> None:
            said.append(await app.backend.call(lambda _: Order.select().count()))
            said.append((left(here), drawn(app)))

        between_slices(monkeypatch, 20, lambda: app.call_from_thread(app.run_worker, look()))
        await press(pilot, "3")
        await ask(pilot, "o.csv")
        await press(pilot, "enter")
        assert "wrote 60 orders" in drawn(app)
    assert said[0] == 60
    assert "o.csv" not in said[1][0]
    assert "of 60 rows" in said[1][1]


@pytest.mark.usefixtures("slow")
async def test_leaving_smartsub_meanwhile_leaves_nothing(
    path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_stage(path) as (app, pilot):
        between_slices(monkeypatch, 5, lambda: app.call_from_thread(app.exit))
        await press(pilot, "3")
        await ask(pilot, "o.csv")
        await pilot.press("enter")
        await until(pilot, lambda: not app.is_running)
    assert left(here) == []


async def test_keys_typed_ahead_into_the_question_arrive(path: Path, here: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "3")
        await pilot.press("e", "ctrl+u", "a", ".", "c", "s", "v", "enter")
        await settle(pilot)
        assert "wrote 60 orders" in drawn(app)
    assert left(here) == ["a.csv"]


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (120, 40)])
async def test_everything_of_it_is_in_sight(path: Path, here: Path, size: tuple[int, int]) -> None:
    (here / "o.csv").write_text("old")
    async with on_stage(path, size=size) as (app, pilot):
        await press(pilot, "3", "slash")
        await write(pilot, "status:succeed,failed type:activation,subscription created:2026 total:>=0 -is:daily")
        await press(pilot, "enter")
        await ask(pilot, "o.csv")
        for part in ("Export", "status:succeed", "File o.csv", "Enter export", "Esc back", "JSON Lines, else CSV"):
            assert part in drawn(app)
        await press(pilot, "enter")
        for part in ("o.csv exists", "y replace it", "Esc another name"):
            assert part in drawn(app)


async def test_a_key_that_was_typed_twice_does_once_what_it_does(path: Path, here: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await ask(pilot)
        for _ in range(2):
            field(app).post_message(Key("enter", "\r"))  # both before the field has gone
        await until(pilot, lambda: "wrote 60 orders" in drawn(app))
        await settle(pilot)
        assert "wrote 60 orders" in drawn(app)
        await press(pilot, "escape")
        await ask(pilot)
        asked = app.screen
        assert isinstance(asked, ExportScreen)
        for _ in range(2):
            asked._left("escape")
        await settle(pilot)
        assert isinstance(app.screen, PaymentsScreen)


async def test_esc_behind_the_enter_that_starts_it_stops_it(path: Path, here: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await ask(pilot)
        asked = app.screen
        assert isinstance(asked, ExportScreen)
        for key in ("enter", "escape"):
            asked._left(key)
        await until(pilot, lambda: isinstance(app.screen, PaymentsScreen))
        assert left(here) == []
        assert toasts(app) == ["stopped: no file was written"]


@pytest.mark.usefixtures("slow")
async def test_what_is_stopped_while_another_mode_is_shown_can_be_left_there(
    path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_stage(path) as (app, pilot):

        def leave_and_stop() -> None:
            asked = app.screen
            assert isinstance(asked, ExportScreen)
            app.call_from_thread(cast(Any, app.switch_mode), "dashboard")
            app.call_from_thread(asked.action_back)

        between_slices(monkeypatch, 5, leave_and_stop)
        await press(pilot, "3")
        await ask(pilot, "o.csv")
        await press(pilot, "enter")
        await until(pilot, lambda: "stopped: no file was written" in drawn(app))
        app.switch_mode("payments")
        await settle(pilot)
        assert isinstance(app.screen, ExportScreen)
        await press(pilot, "escape")
        assert isinstance(app.screen, PaymentsScreen)
        assert left(here) == []


async def test_what_is_counted_for_an_export_that_was_left_is_nobody_s(path: Path) -> None:
    """Its widgets go before its workers are stopped: the answer may come between."""
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "e")
        screen = app.screen
        assert isinstance(screen, ExportScreen)
        await app.pop_screen()
        with app._context():
            await screen._count()
        await settle(pilot)
        assert isinstance(app.screen, PaymentsScreen)
