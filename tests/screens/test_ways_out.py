"""Ways out of smartsub, over SSH and at the kiosk, each tried by key, typed command, click or action: it is closed.

Closed is: it goes on, no file was made, nothing was changed or copied, and nobody was led to a screen that could.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import HelpPanel

from smartsub_tui.app import SmartSubApp
from smartsub_tui.billing import pins
from smartsub_tui.billing.profiles import Profile
from smartsub_tui.commands import CLOSED, COMMANDS, remap
from smartsub_tui.data.database import open_database, url_of
from smartsub_tui.data.models import SavedView
from smartsub_tui.data.vocabulary import OrderStatus, Role
from smartsub_tui.screens.base import BaseScreen
from tests.screens.stage import drawn, make_database, on_stage, press, settle, toasts, until, write
from tests.support import SETTINGS, add_office, add_order, add_people, session_on

NUMBER = "20261122080000000000"
PIN = "493817"
HOSTILE = "[@click=app.quit]x[/] [@click=screen.quit]y[/]\x1b]52;c;eA==\x07\x1b[2J"
NO_FILES = "no files are read or written: do it on the machine itself"
SSH, KIOSK = Profile.SSH, Profile.KIOSK
# Screens from which something could be taken along, or changed.
LEADING = {"ExportScreen", "ImportScreen", "BulkScreen", "ActivateScreen", "RenewScreen", "SubscriptionsScreen"}

Route = Callable[[SmartSubApp, Pilot[None]], Awaitable[None]]


def fill() -> None:
    oak = add_office("Oak House")
    add_order(oak, add_people(oak, "u1", expires_on=date(2026, 12, 1)), OrderStatus.PROCESSING, number=NUMBER)
    add_order(
        oak, add_people(oak, "u2", expires_on=date(2026, 12, 1)), OrderStatus.FAILED, number="20261122070000000000"
    )
    SavedView.create(name=HOSTILE, name_folded=HOSTILE, filter_text=f'user:"{HOSTILE}"', sort="-created")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database beside an empty folder, which is the current one, and the home."""
    path = make_database(tmp_path, fill)
    with closing(open_database(url_of(path))) as database:
        pins.set_pin(session_on(database, Role.MANAGER), "manager", PIN)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    return path


def stored(path: Path) -> list[Any]:
    with closing(apsw.Connection(str(path))) as connection:
        tables = ("orders", "payment", "audit_event", "saved_view", "invoice", "admin_pin")
        return [list(connection.execute(f"SELECT * FROM {table} ORDER BY id")) for table in tables]


def keys(*pressed: str, says: str = "") -> Route:
    """Keys are pressed, and the last one says why it does nothing."""

    async def route(app: SmartSubApp, pilot: Pilot[None]) -> None:
        await press(pilot, *pressed)
        if says:
            assert any(says in each for each in toasts(app)), toasts(app)

    return route


def typed(line: str, says: str, *before: str) -> Route:
    """A line behind `:` is refused, and says why."""

    async def route(app: SmartSubApp, pilot: Pilot[None]) -> None:
        await press(pilot, *before, "colon")
        await write(pilot, line)
        await press(pilot, "enter")
        assert says in " ".join(drawn(app).split())
        await press(pilot, "escape", "escape")

    return route


def action(name: str) -> Route:
    """An action is run as a click on markup would run it."""

    async def route(app: SmartSubApp, pilot: Pilot[None]) -> None:
        stack = list(app.screen_stack)
        await app.run_action(name, app.screen)
        await settle(pilot)
        assert list(app.screen_stack) == stack
        assert not app.screen.query(HelpPanel)

    return route


async def every_cell_is_clicked(app: SmartSubApp, pilot: Pilot[None]) -> None:
    for mode in ("1", "3"):
        await press(pilot, mode)
        for row in (0, 1, 23):
            for column in range(0, 80, 3):
                await pilot.click(offset=(column, row))
        await settle(pilot)
        await press(pilot, "escape", "escape", "escape")


async def text_is_marked_and_copied(app: SmartSubApp, pilot: Pilot[None]) -> None:
    await press(pilot, "3")
    await pilot.mouse_down(offset=(2, 5))
    await pilot.hover(offset=(40, 9))
    await pilot.mouse_up(offset=(40, 9))
    await press(pilot, "ctrl+c", "ctrl+x", "super+c")
    await press(pilot, "slash", *"4938", "home", "shift+end", "ctrl+c", "ctrl+x", "escape", "escape")


async def a_hostile_view_is_opened(app: SmartSubApp, pilot: Pilot[None]) -> None:
    await press(pilot, "3", "w")
    await until(pilot, lambda: "click=app.quit" in drawn(app))
    assert "\x1b" not in drawn(app)
    for column in range(1, 40, 2):
        await pilot.click(offset=(column, 3))
    await settle(pilot)
    await press(pilot, "enter", "escape", "escape")


async def the_library_is_asked(app: SmartSubApp, pilot: Pilot[None]) -> None:
    """What Textual lets any widget call."""
    app.open_url("https://example.com/")
    app.deliver_text(StringIO("x"), save_directory=Path.cwd(), save_filename="x")
    app.deliver_screenshot(path=str(Path.cwd()))
    await settle(pilot)


F_KEYS = [f"f{number}" for number in range(1, 13)]
BOTH: dict[str, Route] = {
    "Textual's palette": action("app.command_palette"),
    "a screenshot": action("app.screenshot('x.svg', '.')"),
    "the theme": action("app.change_theme"),
    "Textual's help": action("app.show_help_panel"),
    "what Textual offers widgets": the_library_is_asked,
    "ctrl+q": keys("ctrl+q", "3", "ctrl+q"),
    "ctrl+c": keys("ctrl+c", "3", "ctrl+c"),
    "ctrl+z": keys("ctrl+z", "3", "ctrl+z"),
    "ctrl+backslash": keys("ctrl+backslash"),
    "function keys": keys(*F_KEYS, "3", *F_KEYS),
    "import by key": keys("I", says="do it "),
    "import, typed": typed("import", "do it "),
    "export by key": keys("3", "e", says="do it "),
    "export, typed": typed("export", "do it ", "3"),
    "an export of people": typed("export", "do it ", "1"),
    "invoice by key": keys("3", "i", says=NO_FILES),
    "invoice, typed": typed("invoice", NO_FILES, "3"),
    "backup, typed": typed("backup x", "no command is called 'backup'"),
    "config, typed": typed("config x", "no command is called 'config'"),
    "a shell, typed": typed("!sh", "no command is called '!sh'"),
    "a saved view with hostile text": a_hostile_view_is_opened,
}
AT_THE_KIOSK: dict[str, Route] = {
    "q": keys("q", "q", says="at the kiosk nobody leaves: Esc goes back, Ctrl+L locks"),
    "quit, typed": typed("quit", "at the kiosk nobody leaves"),
    "q, typed": typed("q", "at the kiosk nobody leaves"),
    "app.quit": keys(),
    "the list of commands": keys("ctrl+p", says="at the kiosk commands have keys alone: ? lists them"),
    "help": keys("question_mark", "q", "ctrl+p", "escape", says="at the kiosk nobody leaves"),
    "people": keys("2", says="at the kiosk nobody may order activations and renewals: do it at another terminal"),
    "activating": keys("a", says="nobody may order activations and renewals"),
    "renewing": keys("n", says="nobody may order activations and renewals"),
    "an office, typed": typed("office Oak", "nobody may order activations and renewals"),
    "Enter on an office": keys("enter", "escape"),
    "Enter on who expires": keys("E", "enter", says="nobody may order activations and renewals"),
    "the panel of who expires": keys("tab", "G", "enter", says="nobody may order activations and renewals"),
    "the queue": keys("T", "G", "n", "x", "d", "c", says="nobody may"),
    "cancelling": keys("3", "x", says="at the kiosk nobody may cancel: do it at another terminal"),
    "deleting": keys("3", "d", says="at the kiosk nobody may delete"),
    "failing": keys("3", "f", says="at the kiosk nobody may mark as failed"),
    "confirming": keys("3", "c", says="at the kiosk nobody may confirm the money came"),
    "paying back": keys("3", "R", says="at the kiosk nobody may pay the waiting money back"),
    "taking back": keys("3", "C", says="at the kiosk nobody may take back, with a credit note"),
    "ordering again": keys("3", "j", "r", says="at the kiosk nobody may order again at today's price"),
    "undoing": keys("3", "u", says="at the kiosk nobody may restore"),
    "many at once": keys("3", "space", "V", "plus", "asterisk", "x", says="at the kiosk nobody may cancel"),
    "saving a view": typed("save mine", "at the kiosk nobody may save filters for themselves", "3"),
    "sharing a view": typed("share mine", "at the kiosk nobody may save filters for everyone", "3"),
    "removing a view": keys("3", "w", "d", "escape", says="at the kiosk nobody may save filters for themselves"),
    "copying by key": keys("3", "y", "enter", "y", says="at the kiosk nothing is copied: it can be read, or scanned"),
    "copying by mouse": text_is_marked_and_copied,
    "every click": every_cell_is_clicked,
}
ROUTES = [*((profile, name) for profile in (SSH, KIOSK) for name in BOTH), *((KIOSK, name) for name in AT_THE_KIOSK)]


@pytest.mark.whole
@pytest.mark.parametrize(("profile", "name"), ROUTES)
async def test_a_way_out_is_closed(path: Path, tmp_path: Path, profile: Profile, name: str) -> None:
    before = stored(path)
    async with on_stage(path, profile=profile) as (app, pilot):
        if profile is KIOSK:
            await press(pilot, *PIN, "enter")
            await until(pilot, lambda: "updated " in drawn(app))
        if name == "app.quit":
            await app.run_action("app.quit", app.screen)
        await (BOTH | AT_THE_KIOSK)[name](app, pilot)
        await settle(pilot)
        assert not app._exit
        assert not {type(each).__name__ for stack in app._screen_stacks.values() for each in stack} & LEADING
        assert profile is SSH or app.clipboard == ""
        assert isinstance(app.screen, BaseScreen)
        await press(pilot, "f5", "1")  # it answers
        await until(pilot, lambda: "Oak House" in drawn(app))
    assert list((tmp_path / "home").rglob("*")) == []
    assert stored(path) == before


async def test_what_is_closed_is_offered_nowhere(path: Path) -> None:
    """Neither on the last line, nor in the help, nor as a mode, nor by the row of a list."""
    async with on_stage(path, size=(120, 40), profile=KIOSK) as (app, pilot):
        await press(pilot, *PIN, "enter")
        await until(pilot, lambda: "updated " in drawn(app))
        assert "Subscriptions" not in drawn(app)
        for way in ((), ("3",), ("enter",), ("escape", "T"), ("escape", "E")):
            await press(pilot, *way)
            assert isinstance(app.screen, BaseScreen)
            assert not set(app.screen.key_line.shown) & set(CLOSED)
            for id in ("confirm", "cancel", "invoice", "renew"):
                assert f"{COMMANDS[id].shown} {COMMANDS[id].label}" not in drawn(app)
                assert COMMANDS[id].help not in drawn(app)
            await press(pilot, "question_mark")
            helped = drawn(app)
            assert "nobody may" not in helped
            for id in ("quit", "palette", "export", "import", "delete", "copy", "undo", "invoice"):
                assert COMMANDS[id].help not in helped
            await press(pilot, "escape")
        await press(pilot, "3")
        row = next(line for line in drawn(app).splitlines() if NUMBER in line)
        assert " p  " in row.replace("p d", "wrong")


async def test_a_key_of_the_settings_opens_nothing(path: Path) -> None:
    """Another key for what is closed is a key for what is closed."""
    settings = replace(SETTINGS, ui=replace(SETTINGS.ui, keys=(("quit", "f8"), ("export", "f9"))))
    try:
        async with on_stage(path, profile=KIOSK, settings=settings) as (app, pilot):
            await press(pilot, *PIN, "enter")
            await until(pilot, lambda: "updated " in drawn(app))
            await press(pilot, "f8", "3", "f9")
            assert not app._exit
            assert len(toasts(app)) == 2
    finally:
        remap({})


async def test_an_order_is_paid_at_the_kiosk(path: Path) -> None:
    async with on_stage(path, profile=KIOSK) as (app, pilot):
        await press(pilot, *PIN, "enter")
        await until(pilot, lambda: "updated " in drawn(app))
        await press(pilot, "3", "p")
        await write(pilot, "cash 17")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: any(each.startswith("paid EUR 5.95") for each in toasts(app)))


async def test_how_a_kiosk_was_left_is_not_kept(path: Path) -> None:
    """Whoever is next does not find what the one before looked for."""
    async with on_stage(path, profile=KIOSK) as (app, pilot):
        await press(pilot, *PIN, "enter")
        await until(pilot, lambda: "updated " in drawn(app))
        await press(pilot, "3", "S", "1")
        app.exit()
        await settle(pilot)
    with closing(apsw.Connection(str(path))) as connection:
        assert list(connection.execute("SELECT * FROM last_state")) == []
