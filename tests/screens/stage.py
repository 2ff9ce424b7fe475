"""The application on a stage: a database file with people and orders in it, a clock that stands still, a pilot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from textual.app import App
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.backend import Backend
from smartsub_tui.billing import opening
from smartsub_tui.billing.profiles import Profile
from smartsub_tui.clock import Clock
from smartsub_tui.config import Settings
from smartsub_tui.data.database import url_of
from smartsub_tui.data.vocabulary import Role
from tests.support import SETTINGS, FixedClock, add_prices, file_database, session_on

# These wait for a person, not for the database; or are begun again and again.
_ASKING = ("action", "order", "watch", "changes")
# Seconds after which what is waited for does not come: far more than anything takes.
_LONGEST = 60


def make_database(folder: Path, fill: Callable[[], Any], role: Role = Role.MANAGER) -> Path:
    """A database in which `fill` has made rows, with prices and an admin named like the role."""
    path = folder / "stage.sqlite3"
    database = file_database(path)
    session_on(database, role)
    with database.writing():
        add_prices()
        fill()
    database.close()
    return path


def app_over(
    url: str,
    admin: str,
    settings: Settings,
    clock: Clock,
    *,
    start: str | None = None,
    filter_text: str | None = None,
    config_file: Path | None = None,
    profile: Profile = Profile.OPEN,
) -> SmartSubApp:
    """The application as `smartsub` opens it."""
    backend = Backend(url, admin, settings, clock, profile=profile)
    opened = backend.begin(lambda session: opening.look(session, start, filter_text)).result()
    return SmartSubApp(backend, opened, config_file=config_file)


@asynccontextmanager
async def on_stage(
    path: Path,
    *,
    size: tuple[int, int] = (80, 24),
    start: str = "dashboard",
    filter_text: str = "",
    clock: FixedClock | None = None,
    role: Role = Role.MANAGER,
    settings: Settings = SETTINGS,
    theme: str = "dark",
    profile: Profile = Profile.OPEN,
) -> AsyncIterator[tuple[SmartSubApp, Pilot[None]]]:
    """The application over `path`, settled on its first screen; that of a kiosk lies behind the lock."""
    settings = replace(settings, ui=replace(settings.ui, theme=theme))
    app = app_over(
        url_of(path),
        role.value,
        settings,
        clock or FixedClock(),
        start=start,
        filter_text=filter_text,
        profile=profile,
    )
    async with app.run_test(size=size, notifications=True) as pilot:
        if profile.allows.needs_pin:
            await until(pilot, lambda: "PIN" in drawn(app))
        else:
            await until(pilot, lambda: "updated " in drawn(app))  # both first screens say when they were
        yield app, pilot


def hold_back(monkeypatch: pytest.MonkeyPatch, ask: str, which: Callable[[str, Any], bool]) -> asyncio.Event:
    """A database that is slow: what the Backend's method `ask` asks, where `which` is true of the question's name and
    its function, is answered once the event that is returned is set.
    """
    real, may = getattr(Backend, ask), asyncio.Event()

    async def held(backend: Backend, question: str, function: Any, *given: Any, **options: Any) -> Any:
        if which(question, function):
            await may.wait()
        return await real(backend, question, function, *given, **options)

    monkeypatch.setattr(Backend, ask, held)
    return may


async def settle(pilot: Pilot[None]) -> None:
    """Wait until every message is handled and every question to the database is answered."""
    async with asyncio.timeout(_LONGEST):
        await pilot.pause()
        while _is_at_work(pilot.app):
            await pilot.pause()
        await pilot.pause()


def _is_at_work(app: App[None]) -> bool:
    if any(not worker.is_finished and worker.group not in _ASKING for worker in app.workers):
        return True
    if app._exit:
        return False
    if isinstance(app, SmartSubApp) and app._held is not None:
        return True  # what is asked is on its way
    # What waits for the next refresh, or for its turn, Textual keeps to itself.
    screen = app.screen
    return bool(screen._callbacks) or any(
        each._message_queue.qsize() for each in (app, *screen.walk_children(with_self=True))
    )


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Type keys, each when the one before has done its work."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def write(pilot: Pilot[None], text: str) -> None:
    """Type text into the field that has the focus."""
    for character in text:
        await pilot.press({" ": "space"}.get(character, character))
    await settle(pilot)


async def until(pilot: Pilot[None], true: Callable[[], object]) -> None:
    """Wait for something that a worker brings about, and until all is done."""
    await reached(pilot, true)
    await settle(pilot)


async def reached(pilot: Pilot[None], true: Callable[[], object]) -> None:
    """As until(), while something that was begun may still go on."""
    try:
        async with asyncio.timeout(_LONGEST):
            while not true():
                await pilot.pause()
    except TimeoutError:
        assert isinstance(pilot.app, SmartSubApp)
        raise AssertionError(f"waited in vain, before this screen:\n{drawn(pilot.app)}") from None


async def resize(pilot: Pilot[None], width: int, height: int) -> None:
    """Give the terminal another size, and wait until the screen has it: Textual tells it a moment later."""
    app = pilot.app
    await pilot.resize_terminal(width, height)
    await until(pilot, lambda: app._resize_event is None and app._resize_timer is None)


async def left(app: SmartSubApp) -> None:
    """Wait until the application is left. A pilot would wait for answers of screens that are being taken down."""
    try:
        await turns(lambda: app._exit)
    except TimeoutError:
        raise AssertionError(f"not left, before this screen:\n{drawn(app)}") from None


async def turns(true: Callable[[], object]) -> None:
    """Wait for something turn by turn, before the next picture is drawn; the database may answer nobody meanwhile."""
    async with asyncio.timeout(_LONGEST):
        while not true():  # noqa: ASYNC110 - a pilot would wait for what is on its way
            await asyncio.sleep(0)


def drawn(app: SmartSubApp) -> str:
    """The text of the screen as it is drawn, a line a row."""
    _, height = app.size
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines[:height])


def toasts(app: SmartSubApp) -> list[str]:
    """What was told."""
    return [each.text for each in app.messages]
