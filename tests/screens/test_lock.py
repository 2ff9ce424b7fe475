"""The lock: when it comes, that it shows nothing and lets nothing through, and that all is as it was behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from argon2 import PasswordHasher
from textual.events import Key, MouseMove, Paste
from textual.geometry import Size
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.billing import pins
from smartsub_tui.billing.profiles import Profile
from smartsub_tui.data.database import open_database, url_of
from smartsub_tui.data.vocabulary import OrderStatus, Role
from smartsub_tui.screens.dashboard import DashboardScreen
from smartsub_tui.screens.help import HelpScreen
from smartsub_tui.screens.import_files import ImportScreen
from smartsub_tui.screens.lock import LockScreen
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.pay import PayScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.widgets.frame import Line
from tests.screens.stage import drawn, left, make_database, on_stage, press, resize, settle, toasts, until, write
from tests.support import FixedClock, add_office, add_order, add_people, session_on

NUMBER = "20261122080000000000"
PIN = "493817"
NOTHING = {"smartsub", "PIN", "____________"}
RESTRICTED = [(Profile.SSH, timedelta(minutes=10)), (Profile.KIOSK, timedelta(minutes=2))]


def fill() -> None:
    oak = add_office("Oak House")
    add_order(oak, add_people(oak, "u1", expires_on=date(2027, 1, 31)), OrderStatus.PROCESSING, number=NUMBER)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database with an order; its manager has a PIN."""
    monkeypatch.chdir(tmp_path)
    path = make_database(tmp_path, fill)
    with closing(open_database(url_of(path))) as database:
        pins.set_pin(session_on(database, Role.MANAGER), "manager", PIN)
    return path


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


def other(path: Path, sql: str, *values: str) -> list[Any]:
    """As another process does; by the same library, for a process that has two loses its locks."""
    with closing(apsw.Connection(str(path))) as connection:
        return list(connection.execute(sql, values))


def stored(path: Path) -> list[Any]:
    return [other(path, f"SELECT * FROM {table} ORDER BY id") for table in ("orders", "payment", "audit_event")]


def is_locked(app: SmartSubApp) -> bool:
    return isinstance(app.screen, LockScreen)


def shown(app: SmartSubApp) -> set[str]:
    return set(drawn(app).split())


async def idle(app: SmartSubApp, pilot: Pilot[None], clock: FixedClock, time: timedelta) -> None:
    """Nobody presses a key for so long; then the application looks."""
    clock.advance(time)
    app._look_at_idleness()
    await settle(pilot)


async def open_again(app: SmartSubApp, pilot: Pilot[None]) -> None:
    await press(pilot, *PIN, "enter")
    await until(pilot, lambda: not is_locked(app))


# When it comes


@pytest.mark.parametrize(("profile", "time"), RESTRICTED)
async def test_it_comes_by_itself_when_no_key_was_pressed_for_so_long(
    path: Path, clock: FixedClock, profile: Profile, time: timedelta
) -> None:
    async with on_stage(path, clock=clock, profile=profile) as (app, pilot):
        if profile is Profile.KIOSK:
            await open_again(app, pilot)
        await idle(app, pilot, clock, time - timedelta(seconds=1))
        assert not is_locked(app)
        await press(pilot, "j")  # begins the time anew
        await idle(app, pilot, clock, time - timedelta(seconds=1))
        assert not is_locked(app)
        clock.advance(seconds=1)
        await until(pilot, lambda: is_locked(app))  # by the application's own look


async def test_a_clock_that_is_put_back_gives_no_more_time(path: Path, clock: FixedClock) -> None:
    async with on_stage(path, clock=clock, profile=Profile.SSH) as (app, pilot):
        await idle(app, pilot, clock, timedelta(days=-1))
        await idle(app, pilot, clock, timedelta(minutes=10))
        assert is_locked(app)


async def test_a_mouse_that_drifts_and_what_is_pasted_keep_nothing_open(path: Path, clock: FixedClock) -> None:
    moved = MouseMove(None, 3, 3, 1, 0, 0, False, False, False, 3, 3)
    async with on_stage(path, clock=clock, profile=Profile.SSH) as (app, pilot):
        for event in (moved, Paste("493")):
            clock.advance(minutes=4)
            await app.on_event(event)
        await idle(app, pilot, clock, timedelta(minutes=2))
        assert is_locked(app)


async def test_where_nothing_is_restricted_it_comes_only_when_asked_for(path: Path, clock: FixedClock) -> None:
    async with on_stage(path, clock=clock) as (app, pilot):
        await idle(app, pilot, clock, timedelta(days=3))
        assert not is_locked(app)
        await press(pilot, "ctrl+l")
        assert is_locked(app)
        await open_again(app, pilot)


async def test_a_kiosk_begins_locked_and_names_nobody(path: Path) -> None:
    async with on_stage(path, profile=Profile.KIOSK) as (app, pilot):
        assert shown(app) == NOTHING
        await open_again(app, pilot)
        await until(pilot, lambda: "Oak House" in drawn(app))


async def test_elsewhere_it_says_whose_pin_it_takes(path: Path) -> None:
    async with on_stage(path, profile=Profile.SSH) as (app, pilot):
        await press(pilot, "ctrl+l")
        assert shown(app) == {*NOTHING, "manager"}


# What lies behind it


async def into_filter(app: SmartSubApp, pilot: Pilot[None]) -> Callable[[], object]:
    await press(pilot, "3", "slash")
    await write(pilot, "status:fai")
    return lambda: "status:fai" in drawn(app)


async def into_command_line(app: SmartSubApp, pilot: Pilot[None]) -> Callable[[], object]:
    await press(pilot, "colon")
    await write(pilot, "payments is:un")
    return lambda: "payments is:un" in drawn(app)


async def into_question(app: SmartSubApp, pilot: Pilot[None]) -> Callable[[], object]:
    await press(pilot, "3", "p")
    await until(pilot, lambda: isinstance(app.screen, PayScreen))
    await write(pilot, "cash 17")
    return lambda: isinstance(app.screen, PayScreen) and "cash 17" in drawn(app)


async def into_order(app: SmartSubApp, pilot: Pilot[None]) -> Callable[[], object]:
    await press(pilot, "3", "enter")
    return lambda: isinstance(app.screen, OrderInfoScreen)


async def into_palette(app: SmartSubApp, pilot: Pilot[None]) -> Callable[[], object]:
    await press(pilot, "ctrl+p")
    return lambda: isinstance(app.screen, DashboardScreen) and app.screen.close_line is not None


async def into_marks(app: SmartSubApp, pilot: Pilot[None]) -> Callable[[], object]:
    await press(pilot, "3", "space")
    return lambda: isinstance(app.screen, PaymentsScreen) and app.screen.marked_orders() == (NUMBER,)


async def into_import(app: SmartSubApp, pilot: Pilot[None]) -> Callable[[], object]:
    await press(pilot, "I", "slash")
    await write(pilot, "users.c")
    return lambda: isinstance(app.screen, ImportScreen) and "users.c" in drawn(app)


PLACES: dict[str, Callable[[SmartSubApp, Pilot[None]], Awaitable[Callable[[], object]]]] = {
    "filter": into_filter,
    "command line": into_command_line,
    "question": into_question,
    "order": into_order,
    "palette": into_palette,
    "marks": into_marks,
    "import": into_import,
}


@pytest.mark.parametrize("place", PLACES)
async def test_nothing_is_shown_nothing_gets_through_and_all_is_as_it_was(path: Path, place: str) -> None:
    async with on_stage(path) as (app, pilot):
        here = await PLACES[place](app, pilot)
        stack = list(app.screen_stack)
        before = stored(path)
        assert here()
        await press(pilot, "ctrl+l")
        assert shown(app) == {*NOTHING, "manager"}
        keys = ("1", "3", "q", "y", "escape", "colon", "q", "escape", "ctrl+p", "d", "tab", "f5", "ctrl+c", "ctrl+q")
        await press(pilot, *keys, "I", "x", "question_mark", "escape")
        await pilot.click(offset=(3, 0))
        app.post_message(Paste(PIN))
        await settle(pilot)
        assert shown(app) == {*NOTHING, "manager"}
        await open_again(app, pilot)
        assert list(app.screen_stack) == stack
        assert here()
        assert toasts(app) == []
        assert stored(path) == before


async def test_what_comes_and_goes_behind_it_is_seen_when_it_is_opened(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "ctrl+l")
        help_screen = HelpScreen("Dashboard", ())
        app.push_screen(help_screen)
        await settle(pilot)
        assert shown(app) == {*NOTHING, "manager"}
        await open_again(app, pilot)
        assert app.screen is help_screen
        assert "Keys of Dashboard" in drawn(app)
        await press(pilot, "ctrl+l")
        help_screen.dismiss()
        app.switch_mode("payments")
        await settle(pilot)
        assert shown(app) == {*NOTHING, "manager"}
        await open_again(app, pilot)
        await until(pilot, lambda: NUMBER in drawn(app))


async def test_a_write_that_is_under_way_is_done_and_told_afterwards(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        await write(pilot, "cash 17")
        await press(pilot, "enter")
        for key in ("y", "ctrl+l"):
            await pilot.press(key)
        await settle(pilot)
        assert shown(app) == {*NOTHING, "manager"}
        await open_again(app, pilot)
        await until(pilot, lambda: "Succeed" in drawn(app))
        assert any(each.startswith("paid EUR 5.95, invoice ") for each in toasts(app))


async def test_it_is_painted_whole_whatever_the_size_becomes(path: Path) -> None:
    async with on_stage(path, size=(120, 40)) as (app, pilot):
        await press(pilot, "ctrl+l")
        for width, height in ((80, 24), (1, 1), (20, 5), (200, 60), (100, 30)):
            await resize(pilot, width, height)
            await settle(pilot)
            assert app.screen.size == Size(width, height)
            assert shown(app) <= {*NOTHING, "manager"} or width < 20
        await open_again(app, pilot)
        assert app.screen.size == Size(100, 30)
        await until(pilot, lambda: "Oak House" in drawn(app))
        assert len(drawn(app).splitlines()[0]) == 100


# What opens it


async def test_a_wrong_pin_is_told_slowed_down_and_locked(path: Path, clock: FixedClock) -> None:
    async with on_stage(path, clock=clock, profile=Profile.SSH) as (app, pilot):
        await press(pilot, "ctrl+l")
        for number in range(1, pins.MOST_FAILURES + 1):
            clock.advance(pins.wait_after(number - 1))
            await press(pilot, *"1111", "enter")
            await until(pilot, lambda: "not the PIN" in drawn(app) or "too many" in drawn(app))
            if number == 4:
                assert "that is not the PIN: wait 1 minute before the next" in drawn(app)
                await press(pilot, *PIN, "enter")
                await until(pilot, lambda: " wait 1 minute before the next" in drawn(app))
                assert is_locked(app)
        await press(pilot, *PIN, "enter")
        await until(pilot, lambda: "too many wrong PINs: locked until a manager sets a new one" in drawn(app))
        assert is_locked(app)
        other(path, "UPDATE admin_pin SET failures = 0, wait_until = NULL, hash = ?", PasswordHasher().hash("80215"))
        await press(pilot, *"80215", "enter")
        await until(pilot, lambda: not is_locked(app))


async def test_the_field_takes_digits_and_forgets_them(path: Path, clock: FixedClock) -> None:
    async with on_stage(path, clock=clock) as (app, pilot):
        await press(pilot, "ctrl+l", *"49x 3817a", "1", "2", "3", "4", "5", "6", "7", "8")
        assert "PIN  ************" in drawn(app)
        assert not set("0123456789") & set(drawn(app))
        await press(pilot, "backspace")
        assert "PIN  ***********_" in drawn(app)
        await press(pilot, "escape")
        assert "PIN  ____________" in drawn(app)
        await press(pilot, *"4938")
        await idle(app, pilot, clock, timedelta(minutes=1))
        assert "PIN  ____________" in drawn(app)
        await press(pilot, "enter")  # an empty one is no attempt
        await open_again(app, pilot)
        assert other(path, "SELECT failures FROM admin_pin") == [(0,)]


async def test_a_pin_that_is_typed_before_the_lock_is_drawn_opens_it(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        app.action_lock()
        for digit in PIN[:-1]:
            await app.on_event(Key(digit, digit))
        assert not app.screen.query(Line)  # nothing of it is there yet
        await until(pilot, lambda: "*****_" in drawn(app))
        await press(pilot, PIN[-1], "enter")
        await until(pilot, lambda: not is_locked(app))


async def test_a_wrong_one_that_is_typed_before_it_is_drawn_is_told(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        app.action_lock()
        for key in ("1", "2", "3", "4"):
            await app.on_event(Key(key, key))
        await app.on_event(Key("enter", None))
        assert not app.screen.query(Line)
        await until(pilot, lambda: "not the PIN" in drawn(app))


async def test_what_was_typed_ahead_is_not_for_whoever_comes_next(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        app.hold()
        await pilot.press("q")
        await press(pilot, "ctrl+l")
        app.let_go()
        await settle(pilot)
        await open_again(app, pilot)
        assert isinstance(app.screen, PaymentsScreen)
        assert app.return_code is None


async def test_a_disabled_admin_is_not_named_at_the_kiosk(path: Path) -> None:
    async with on_stage(path, profile=Profile.KIOSK) as (app, pilot):
        other(path, "UPDATE admin SET disabled_at = 0")
        await press(pilot, *PIN, "enter")
        await until(pilot, lambda: "this cannot be opened any more: ask a manager" in drawn(app))
        assert "manager is" not in drawn(app)
        assert is_locked(app)


# Without a PIN, and the end


async def test_over_ssh_what_could_not_be_opened_is_ended(
    path: Path, clock: FixedClock, capsys: pytest.CaptureFixture[str]
) -> None:
    other(path, "DELETE FROM admin_pin")
    async with on_stage(path, clock=clock, profile=Profile.SSH) as (app, _):
        clock.advance(minutes=10)
        app._look_at_idleness()
        await left(app)
        assert shown(app) <= {*NOTHING, "manager"}
    said = "smartsub has ended, for there is no PIN to open it again: smartsub admin pin manager"
    assert (app.return_code, " ".join(capsys.readouterr().err.split())) == (0, said)


async def test_where_nothing_is_restricted_a_lock_that_could_not_be_opened_is_told(path: Path) -> None:
    other(path, "DELETE FROM admin_pin")
    async with on_stage(path) as (app, pilot):
        await press(pilot, "ctrl+l")
        await until(pilot, lambda: toasts(app))
        assert toasts(app) == ["not locked, there is no PIN to open it again: smartsub admin pin manager"]
        assert not is_locked(app)
        assert "Oak House" in drawn(app)


async def test_a_kiosk_stays_locked_when_its_pin_is_removed(path: Path) -> None:
    async with on_stage(path, profile=Profile.KIOSK) as (app, pilot):
        await open_again(app, pilot)
        other(path, "DELETE FROM admin_pin")
        await press(pilot, "ctrl+l", *PIN, "enter")
        await until(pilot, lambda: "there is no PIN any more: ask a manager to set one" in drawn(app))
        assert is_locked(app)


@pytest.mark.parametrize("locked", [True, False])
async def test_over_ssh_an_hour_without_a_key_is_the_end(
    path: Path, clock: FixedClock, locked: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    async with on_stage(path, clock=clock, profile=Profile.SSH) as (app, pilot):
        if locked:
            await idle(app, pilot, clock, timedelta(minutes=10))
        await idle(app, pilot, clock, timedelta(minutes=50, seconds=-1) if locked else timedelta(seconds=1))
        assert not app._exit
        clock.advance(timedelta(seconds=1) if locked else timedelta(minutes=60))
        app._look_at_idleness()
        await left(app)
    assert (app.return_code, capsys.readouterr().err) == (0, "smartsub has ended: no key for 60 minutes\n")
