"""SmartSubApp: the modes, the way between screens, the net under unexpected errors. What a screen does is its own."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from rich.console import RenderableType
from rich.text import Text
from textual._compositor import CompositorUpdate, LayoutUpdate
from textual._context import active_message_pump
from textual.actions import ActionParseResult
from textual.app import App, ScreenStackError
from textual.await_complete import AwaitComplete
from textual.binding import BindingType
from textual.css.query import NoMatches
from textual.dom import DOMNode
from textual.events import AppBlur, Event, Key, MouseDown, MouseEvent, Paste, ScreenResume
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Size
from textual.screen import ModalScreen, Screen
from textual.widget import AwaitMount, MountError, Widget
from textual.widgets import Input
from textual.worker import Worker, WorkerFailed, active_worker

from smartsub_tui import display, paths, themes
from smartsub_tui.backend import Backend, Superseded
from smartsub_tui.billing import pins, profiles, views
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.opening import Opening
from smartsub_tui.billing.session import Session
from smartsub_tui.commands import CLOSED, COMMANDS, bindings, close, keymap, remap
from smartsub_tui.data.queries import parse_sort
from smartsub_tui.data.records import OfficeRecord, StateRecord
from smartsub_tui.data.triage import ItemKey
from smartsub_tui.errors import SmartsubError
from smartsub_tui.failures import unexpected
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.closed import closed_in
from smartsub_tui.screens.lock import LockScreen
from smartsub_tui.screens.undo import UndoStack
from smartsub_tui.terminal_driver import TerminalDriver
from smartsub_tui.terminal_input import MOST_PASTED
from smartsub_tui.widgets.field import again
from smartsub_tui.widgets.message_line import Told

_BESIDE = Path(__file__).with_name("smartsub.tcss")
# In the wheel the stylesheet lies beside this module, in a checkout at the root of the repository.
STYLESHEET = _BESIDE if _BESIDE.exists() else _BESIDE.parent.parent / _BESIDE.name

MOST_MESSAGES: Final = 200
# What was typed ahead, or is held down, does not take away what it could not yet answer.
_READ_AFTER: Final = timedelta(seconds=1)
_WRAPPED: Final = 256
_LOOKS_APART: Final = 1.0  # at least so many seconds, where the database tells of changes
_LOOK_EVERY: Final = 1.0  # seconds between two looks for changes that others made, and at how long no key was pressed
# Textual's own actions that would leave smartsub, or show what is not its own: reached by no key, and done by none.
_NOT_OURS: Final = frozenset(
    {"screenshot", "suspend_process", "command_palette", "change_theme", "help_quit", "show_help_panel"}
)
_FORGOTTEN_AFTER: Final = timedelta(minutes=1)  # half of a PIN
_LEFT: Final = "smartsub: left before all was stored: look at what was done last before it is done again"
_WRITE: Final = "write"  # the group of the workers that change something


# A screen is imported when it is first gone to: the first one must be there at once.


def _dashboard() -> Screen[None]:
    from smartsub_tui.screens.dashboard import DashboardScreen

    return DashboardScreen()


def _subscriptions() -> Screen[None]:
    from smartsub_tui.screens.subscriptions import SubscriptionsScreen

    return SubscriptionsScreen()


def _payments(opened: Opening) -> Screen[None]:
    from smartsub_tui.screens.payments import PaymentsScreen

    return PaymentsScreen(opened.filter, opened.sort, opened.first)


# Without Textual's own keys: Ctrl+Q would end it in the middle of a write, and is flow control on many terminals.
class SmartSubApp(App[None], inherit_bindings=False):
    """The application over one database, for one admin."""

    TITLE = "smartsub"
    CSS_PATH = STYLESHEET
    # The palette of Textual offers to write screenshots of customers' data to files.
    ENABLE_COMMAND_PALETTE = False
    # What a mouse marks would be for nothing (`y` copies), and Textual stumbles where it began on what is just gone.
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = bindings("dashboard", "subscriptions", "payments", "lock")
    MODES = {"dashboard": _dashboard, "subscriptions": _subscriptions}  # noqa: RUF012 - Textual's own declaration
    # Payments is added with the filter and the sort that it begins with.

    left_over: list[str]  # what was said Yes to and not done at the end, and why
    left_code: int = 0  # the exit code of that

    # Asked for before __init__ is done.
    is_ending: bool = False
    _deciding: int = 0
    _lock: LockScreen | None = None
    _told_size: Size | None = None

    def __init__(self, backend: Backend, opened: Opening, *, config_file: Path | None = None) -> None:
        settings = backend.settings
        # The screen that Textual begins with: going to it from an empty one would draw two.
        self.DEFAULT_MODE = opened.mode  # type: ignore[misc]  # of the class there
        super().__init__(driver_class=TerminalDriver)
        look = themes.palette(settings.ui.theme, self.console.color_system)
        # Set where nothing watches yet: each change of a colour later would parse every stylesheet again.
        cells = themes.terminal_theme(look)
        for colours in (App.ansi_theme_dark, App.ansi_theme_light):
            self.set_reactive(colours, cells)
        self.register_theme(themes.theme(settings.ui.theme, look))
        self.set_reactive(App.theme, settings.ui.theme)
        self.no_color = display.without_colour()
        self._line_filters: list[LineFilter] = [ANSIToTruecolor(cells)]
        if self.no_color or display.few_signs():
            from smartsub_tui import terminals

            self._line_filters += terminals.filters(look.background)
        self.stylesheet.set_variables(self.get_css_variables())
        for name, dark in (("-dark-mode", True), ("-light-mode", False)):
            self.set_class(self.current_theme.dark is dark, name, update=False)
        remap(dict(settings.ui.keys))
        close(closed_in(backend.profile))
        # Who turned a kiosk off and on again is nobody yet.
        self._covered = backend.profile.allows.needs_pin
        self._last_input = backend.clock.now()
        self.taken_at = 0.0
        self.add_mode("payments", lambda: _payments(opened))
        self.settings = settings
        self.config_file = config_file or paths.default_config()
        self.backend = backend
        self.who = f"{opened.admin.name} · {opened.admin.role.label}"
        self.told: Told | None = None
        self.is_away = False
        self.left_over = []
        self.later: list[ItemKey] = []
        self.undoables = UndoStack()
        self._messages: deque[Told] = deque(maxlen=MOST_MESSAGES)
        self._data_version = opened.version
        self.said: list[str] = []  # behind `:`, in this session
        self._held: list[Key] | None = None  # what is typed while a line is looked at
        self._handing = False  # what was held is just being handed on
        self._stop: Callable[[], None] | None = None
        self._takes_text = False
        self._goes_to: Screen[Any] | None = None  # the one whose first picture they wait for
        self._kept = opened.last
        self._waiting: list[Callable[[], None]] | None = [self._collect]  # for the first frame
        self.animation_level = "none"

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What every line goes through: Textual's own would make greys of colours where there are to be none."""
        return self._line_filters

    def on_load(self) -> None:
        """One order of things on every Python: from 3.12 on Textual has tasks begin at once, and the first screen would
        then be composed before it is in its place.
        """
        asyncio.get_running_loop().set_task_factory(None)

    def on_mount(self) -> None:
        self.backend.tell_away = lambda away: self.call_later(self._show_away, away)
        self.set_keymap(keymap())
        if self.backend.hears:
            self.run_worker(self._hear_of_changes(), group="changes")
        else:
            self.set_interval(_LOOK_EVERY, self._look_for_changes)
        self.set_interval(_LOOK_EVERY, self._look_at_idleness)
        if self._covered:
            self._cover()

    def on_ready(self) -> None:
        """All is in its place, and painted next."""
        waiting, self._waiting = self._waiting or (), None
        for act in waiting:
            self.screen.call_after_refresh(act)

    def when_drawn(self, act: Callable[[], None]) -> None:
        """Do `act` once the screen is drawn; at the start, once the first frame is there, which waits for nothing."""
        if self._waiting is None:
            self.screen.call_after_refresh(act)
        else:
            self._waiting.append(act)

    @staticmethod
    def _collect() -> None:
        """Look for garbage from now on. The modules live as long as the application: they need no look."""
        gc.freeze()
        gc.enable()

    def on_unmount(self) -> None:
        self.backend.close()

    async def _hear_of_changes(self) -> None:
        """Look as soon as another has changed something; where many do, now and then."""
        while not self.is_ending:
            if await self.backend.hear():
                await self._look_for_changes()
                await asyncio.sleep(_LOOKS_APART)

    async def _look_for_changes(self) -> None:
        """Read again what is shown when another process has changed something; asking costs next to nothing."""
        try:
            seen = await self.backend.latest("changes", _data_version)
        except (Superseded, SmartsubError):
            return  # what is wrong with the database is told by what is asked of it
        before, self._data_version = self._data_version, seen
        if before != seen and isinstance(self.screen, BaseScreen):
            self.screen.load()

    def _show_away(self, away: bool) -> None:
        """Say on every screen that the database is away and waited for, or that it is back."""
        self.is_away = away
        for screen in [each for stack in self._screen_stacks.values() for each in stack]:
            if isinstance(screen, BaseScreen):
                screen.show_away()
        if self._lock is not None:
            self._lock.show_away(away)

    def exit(self, *args: Any, **options: Any) -> None:
        """Leave. What was said Yes to is done first; what of it could not be done is `left_over`."""
        if not self.is_ending:
            self.is_ending = True
            self._keep_state()
            self.backend.end()
        leave, here = partial(super().exit, *args, **options), active_worker.get(None)
        if not self._deciding and all(each is here for each in self._writing):  # `:q` is the last of them
            leave()
            return
        self.tell("finishing what was begun: Ctrl+C leaves without it")
        self._let_the_end_say(_LEFT)

        async def finish() -> None:
            while self._deciding or self._writing:
                await asyncio.gather(*(each.wait() for each in self._writing), return_exceptions=True)
                await asyncio.sleep(0)  # who asked has its turn, with the answer that is on its way
            self._let_the_end_say("")
            leave()

        self.run_worker(finish(), group="end")

    @property
    def _writing(self) -> list[Worker[Any]]:
        """The changes that are under way, or wait for their turn."""
        return [each for each in self.workers if each.group == _WRITE and not each.is_finished]

    def decides(self, more: int) -> None:
        """One answer more, or less, is on its way to who asked: a Yes is begun with it."""
        self._deciding += more

    def _let_the_end_say(self, said: str) -> None:
        if isinstance(self._driver, TerminalDriver):
            self._driver.said = said

    def _keep_state(self) -> None:
        """Keep how things are for the next start, where they are not as they were kept; nobody waits for it."""
        if not profiles.permits(self.backend.profile, Permission.KEEP):
            return
        from smartsub_tui.screens.payments import PaymentsScreen

        payments = next(iter(self._screen_stacks.get("payments", ())), None)
        listed = None
        if isinstance(payments, PaymentsScreen) and payments.is_mounted:  # else one led on before it was made
            listed = payments.listed_as()
        before = self._kept or StateRecord(mode="", filter="", sort=views.NEWEST_FIRST)
        filter_text, sort = listed or (before.filter, before.sort)
        state = StateRecord(mode=self.current_mode or before.mode, filter=filter_text, sort=sort)
        if state != self._kept:
            self._kept = state
            self.backend.later(views.keep_state, state)

    def copy_to_clipboard(self, text: str) -> None:
        """Send `text` to the terminal's clipboard (OSC 52). GNU screen hands on what is wrapped, in short parts."""
        if not self.backend.profile.allows.clipboard:
            return
        if self._driver is None or "STY" not in os.environ:
            super().copy_to_clipboard(text)
            return
        from base64 import b64encode

        self._clipboard = text
        sequence = f"\x1b]52;c;{b64encode(text.encode()).decode()}\a"
        parts = (sequence[start : start + _WRAPPED] for start in range(0, len(sequence), _WRAPPED))
        self._driver.write("".join(f"\x1bP{part}\x1b\\" for part in parts))

    @property
    def size(self) -> Size:
        """How large the terminal is, as the screens were told.

        Textual tells them a moment later, and only if it is still another size then: what is drawn between for a size
        that went as it came would stay.
        """
        return self._told_size or super().size

    def _check_resize(self) -> None:
        self._told_size = self._size
        super()._check_resize()

    @property
    def messages(self) -> Sequence[Told]:
        """What was told in this session, in its order; the last ones of very many."""
        return self._messages

    def tell(self, text: str, *, wrong: bool = False) -> None:
        """A sentence on the screen, until the next key; the messages keep it."""
        here = active_worker.get(None)
        if wrong and self.is_ending and here is not None and here.group == _WRITE:
            self.left_over.append(text)
        self.told = Told(self.backend.clock.now(), text, wrong)
        self._messages.append(self.told)
        self._show_told()

    def _show_told(self) -> None:
        if isinstance(self.screen, BaseScreen):  # a question is answered first; what is behind it shows it then
            self.screen.show_told(self.told)

    def on_app_blur(self, event: AppBlur) -> None:
        """Nothing: that they look at another window takes no field from them. Textual would take the focus, paint the
        screen anew, and, where the word that they are back gets lost, leave keys without effect.
        """
        event.prevent_default()

    def on_paste_refused(self) -> None:
        most = display.count(MOST_PASTED)
        self.tell(
            f"what was pasted has more than {most} characters and was not taken: paste less at a time", wrong=True
        )

    async def on_event(self, event: Event) -> None:
        """Keys wait behind a line that is looked at, or a question that is on its way; else they are taken.

        While it is locked they are the lock's, and so are the mouse and what is pasted. Behind the key that leaves they
        are nobody's.
        """
        captured = self.mouse_captured
        if captured is not None and (captured._pruning or not captured.is_attached):
            self.capture_mouse(None)  # it will not let go of it any more
        if isinstance(event, Key | MouseEvent | Paste):
            # Beside the screen there is nothing: Textual would take the focus from whatever has it.
            beside = isinstance(event, MouseEvent) and not self.size.region.contains(event.screen_x, event.screen_y)
            under_way = self.is_ending and (self._deciding or self._writing)
            leaves = under_way and isinstance(event, Key) and event.key == "ctrl+c"
            if leaves and isinstance(self._driver, TerminalDriver):
                self._driver.leave_at_once()
            if self.is_ending or beside:
                return
            # A mouse that drifts is nobody; on the lock a click is nobody either.
            if not event.is_forwarded and isinstance(event, Key if self._lock is not None else Key | MouseDown):
                self._last_input = self.backend.clock.now()
            if self._lock is not None:
                if not event.is_forwarded:
                    self._lock.take(event)
                return
            if isinstance(event, Key) and self._locks(event):
                self.action_lock()
                return
        if isinstance(event, Key):
            if self._held is None and not self.screen.is_mounted:  # the mouse led there
                self.hold()
                self.let_go()
            if self._keeps(event):
                return
        await self._taken(event)

    def _keeps(self, event: Key) -> bool:
        """Whether a key waits; also one that a field had and gave back, unless it is just being handed on.

        Where the database is away a key stops what it would wait for, as Esc does, and is taken; but for a letter that
        may be one of a text that is meant for that.
        """
        if self._held is None or (event.is_forwarded and self._handing):
            return False
        if event.is_forwarded:
            self._held.append(again(event))
        elif event.key == "escape" and self._stop is not None:
            self._stop()
        elif self.is_away and self._stop is not None and not (self._takes_text and event.is_printable):
            self._stop()  # what they wait for may be long in coming
            return False
        else:
            self._held.append(event)
        if self._goes_to is not None:  # what would have let go may have gone with a screen that was never drawn
            self.let_go()
        return True

    def let_go_here(self) -> None:
        """Hand what is held on to the screen that is shown, where it was for one that has gone before it was drawn."""
        if self._goes_to not in (None, self.screen):
            self.let_go()

    async def _taken(self, event: Event) -> None:
        """Any key, or the mouse, says that what was told was read."""
        if isinstance(event, Key | MouseEvent):
            self.taken_at = event.time
        pressed = isinstance(event, Key | MouseDown) and not event.is_forwarded
        if pressed and self.told is not None and self.backend.clock.now() - self.told.at >= _READ_AFTER:
            self.told = None
            self._show_told()
        if not isinstance(event, Key) or event.is_forwarded:
            await super().on_event(event)
            return
        shown = self.screen
        if not await self._ran(event.key):
            await super().on_event(event)
        if self.screen is not shown and self._held is None and not self.is_ending:
            # What is typed behind a key that leads to another screen is meant for that one: it waits until it is there.
            self.hold()
            self.let_go()

    async def _ran(self, key: str) -> bool:
        """Whether the key is a command's, which is done then. Textual would send it to the widget that has the focus
        first, and a key of `INTO_FIELDS` that was typed behind it would overtake it.
        """
        if isinstance(self.focused, Input) or getattr(self.screen, "ANY_KEY_LEAVES", False):
            return False
        return await self._check_bindings(key, priority=True) or await self._check_bindings(key)

    def hold(self, stop: Callable[[], None] | None = None, *, takes_text: bool = False) -> object:
        """Keep what is typed from now on, and what is held already, until `let_go` or `drop`.

        Esc calls `stop`, and drops it; without `stop` it is kept as any other key. `takes_text`: what is typed may be a
        reason or an answer. Whoever holds takes over what was held: what is returned says to `still_holds` whether
        somebody did.
        """

        def end() -> None:
            if stop is not None:
                stop()
            self.drop()

        self._held = list(self._held or ())
        self._handing, self._goes_to = False, None
        self._stop, self._takes_text = None if stop is None else end, takes_text
        return self._held

    def still_holds(self, held: object) -> bool:
        """Whether what is held is still what `hold` returned."""
        return held is not None and held is self._held

    def drop(self) -> None:
        """Forget what was held: it was meant for what did not come."""
        self._held, self._handing = None, False

    def let_go(self, *, at_once: bool = False) -> None:
        """Hand on what was held, in its order, to where the way leads that was just begun; `at_once`: it is there.

        What they waited for has come, and an Esc typed from here on is one of them.
        """
        self._stop = None
        if at_once:
            self.call_next(self._hand_on, self._held)
        else:
            self._goes_to = self.screen
            self.call_after_refresh(self.call_next, self._hand_on, self._held)

    async def _hand_on(self, held: list[Key] | None) -> None:
        if held is None or held is not self._held or self._handing or self.is_ending or not self.screen_stack:
            return  # or all is taken down just now
        if not self.screen.is_mounted:  # what ran just before led there
            self.let_go()
            return
        self._handing, self._goes_to = True, None
        try:
            while self._held is held and held and not self.is_ending:
                shown = self.screen
                await self._taken(held.pop(0))
                if self._held is held and self.screen is not shown:
                    self._handing = False
                    self.let_go()
                    return
        finally:
            self._handing = False
        if self._held is held:
            self._held = None

    def shows(self, screen: Screen[Any]) -> bool:
        """Whether a screen is still on the way to somewhere: shown, or behind what is shown.

        At the end of the application what a screen holds goes while the screen itself is still on its stack.
        """
        return not screen._pruning and any(screen in stack for stack in self._screen_stacks.values())

    def write(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Worker[None]:
        """Run a change to its end, whatever is typed or left meanwhile; what became of it is always told."""

        async def run() -> None:
            try:
                await work()
            except SmartsubError as error:
                if self.is_ending:
                    self.left_code = self.left_code or error.exit_code
                self.tell(error.message, wrong=True)

        return self.run_worker(run(), group=_WRITE, exclusive=False)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """The one way of every key, click and typed command: what is closed here says why, and is not done."""
        _, name, _ = self._parse_action(action, default_namespace or self, namespaces)
        if name in CLOSED:
            self.tell(CLOSED[name], wrong=True)
            return True
        return name in _NOT_OURS or await super().run_action(action, default_namespace, namespaces)

    def open_url(self, url: str, *, new_tab: bool = True) -> None:
        """Nothing: a browser would run where smartsub runs."""

    def deliver_text(self, *_args: Any, **_options: Any) -> None:
        """Nothing, as deliver_binary: Textual writes over whatever has that name."""

    def deliver_binary(self, *_args: Any, **_options: Any) -> None:
        """As deliver_text."""

    # The lock. It is no screen of the stacks: what is under way goes on beneath it, and may come and go there.

    @property
    def screen(self) -> Screen[Any]:
        """What is shown and asked: the lock where there is one, whatever lies beneath."""
        return super().screen if self._lock is None else self._lock

    @property
    def _background_screens(self) -> list[Screen[Any]]:
        return super()._background_screens if self._lock is None else []

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Paint a screen; nothing but the lock while it is locked, whoever asks for it."""
        if self._covered and screen is not self._lock:
            return
        if isinstance(renderable, CompositorUpdate) and not self._batch_count:
            if isinstance(renderable, LayoutUpdate):
                screen._repaint_required = False  # else Textual draws what it has just drawn again
            if isinstance(self._driver, TerminalDriver):
                renderable = self._driver.picture.differing(renderable)
        super()._display(screen, renderable)

    def on_resize(self) -> None:
        """What a terminal shows in another size is its own affair."""
        if isinstance(self._driver, TerminalDriver):
            self._driver.picture.forget()

    def _locks(self, event: Key) -> bool:
        """Whether a key locks: on every screen and in every question, unless it is a letter of a field."""
        return event.key == COMMANDS["lock"].key and not (event.is_printable and isinstance(self.focused, Input))

    def action_lock(self) -> None:
        """Cover everything; where there is no PIN that could open it again, it is told, or is the end."""
        if self._lock is None and not self.is_ending:
            self._cover()
            self.run_worker(self._look_for_pin(), group="pin")

    def _cover(self) -> None:
        for screen in self.screen_stack:  # what was typed ahead was not for whoever comes next
            if isinstance(screen, BaseScreen):
                screen.forget_waiting()
        self.drop()
        self.capture_mouse(None)
        named = not self.backend.profile.allows.needs_pin
        lock = LockScreen(self.backend, self.who.partition(" · ")[0] if named else "", self._uncover)
        self._lock, self._covered = lock, True
        self._screen_stacks["lock"] = [lock]  # where Textual looks when it closes all screens
        self._get_screen(lock)
        self._load_screen_css(lock)
        lock._screen_resized(self.size)
        lock.post_message(ScreenResume())

    def _uncover(self) -> None:
        """Show what lies beneath the lock, as it is by now."""
        lock, self._lock, self._covered = self._lock, None, False
        if lock is None:
            return
        del self._screen_stacks["lock"]
        AwaitComplete(self._replace_screen(lock)).call_next(self)
        for screen in (*self._background_screens, self.screen):
            screen._screen_resized(self.size)
        self.screen.post_message(ScreenResume())

    async def _look_for_pin(self) -> None:
        """Without a PIN nobody could open it: over SSH that is the end, elsewhere there is no lock."""
        lock, profile = self._lock, self.backend.profile
        try:
            if await self.backend.call(pins.has_pin) or self._lock is not lock:
                return
        except SmartsubError:
            return  # whoever tries to open it is told
        if profile.allows.needs_pin:
            return
        why = f"there is no PIN to open it again: smartsub admin pin {self.who.partition(' · ')[0]}"
        if profile.is_restricted:
            self._end(f"smartsub has ended, for {why}")
        else:
            self._uncover()
            self.tell(f"not locked, {why}", wrong=True)

    def _look_at_idleness(self) -> None:
        """Lock, and end, when no key was pressed for as long as the profile says."""
        allowed, now = self.backend.profile.allows, self.backend.clock.now()
        self._last_input = min(self._last_input, now)  # a clock that was put back gives no more time
        idle = now - self._last_input
        if allowed.end_after is not None and idle >= allowed.end_after:
            self._end(f"smartsub has ended: no key for {int(allowed.end_after.total_seconds()) // 60} minutes")
        elif self._lock is not None:
            if idle >= _FORGOTTEN_AFTER:
                self._lock.forget()
        elif allowed.lock_after is not None and idle >= allowed.lock_after:
            self.action_lock()

    def _end(self, why: str) -> None:
        """Leave nothing on the terminal but why: where it has no second screen, what was painted last stays."""
        if self.is_ending:
            return
        if self._lock is None:
            self._cover()
        self.screen.call_after_refresh(self.exit, message=Text(display.plain(why)))

    # The way between screens

    def action_dashboard(self) -> None:
        self._to("dashboard")

    def action_subscriptions(self) -> None:
        self._to("subscriptions")

    def action_payments(self) -> None:
        self._to("payments")

    def _to(self, mode: str) -> None:
        """To a mode as it was left; from within the mode to its first screen. A question has to be answered first."""
        if isinstance(self.screen, ModalScreen):
            return
        if mode != self.current_mode:
            self.switch_mode(mode)
        elif not isinstance(self.screen, BaseScreen) or self.screen.may_leave():
            self._to_first(mode)

    def push_screen(self, *args: Any, **options: Any) -> Any:
        """Nothing at the end: it would be made while all are taken down. A question is not answered then."""
        if not self.is_ending:
            return super().push_screen(*args, **options)
        if options.get("wait_for_dismiss"):
            return asyncio.get_running_loop().create_future()
        return AwaitMount(self.screen, [])

    def switch_mode(self, mode: str) -> AwaitMount:
        if self.is_ending:  # it would be made while all are taken down
            return AwaitMount(self.screen, [])
        if self.current_mode == "payments" != mode:
            self._keep_state()
        return super().switch_mode(mode)

    def go_back(self, *, leave: bool = False) -> None:
        """To the screen before; from the first one of a mode to the dashboard, and from there, if asked, out."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
        elif self.current_mode != "dashboard":
            self.switch_mode("dashboard")
        elif leave and self.backend.profile.allows.quit:
            self.exit()

    def go_up(self, steps: int) -> None:
        """Leave so many screens, from the one that is shown; not what would be lost unsaid."""
        for _ in range(steps):
            if len(self.screen_stack) == 1 or not (isinstance(self.screen, BaseScreen) and self.screen.may_leave()):
                return
            self.pop_screen()

    def open_payments(self, filter_text: str, sort: str | None = None) -> None:
        """Payments with this filter; sorted so, where that is said."""
        self._to_first("payments")

        def look() -> None:
            from smartsub_tui.screens.payments import PaymentsScreen

            if isinstance(self.screen, PaymentsScreen):
                self.screen.look_for(filter_text, None if sort is None else parse_sort(sort))

        self.call_after_refresh(look)

    def open_filter(self) -> None:
        """The filter line of Payments, its text selected: what is typed or scanned next takes its place."""
        from smartsub_tui.screens.payments import PaymentsScreen

        self._to_first("payments")

        def edit() -> None:
            if isinstance(self.screen, PaymentsScreen):
                self.screen.filter_bar.edit(afresh=True)

        self.call_after_refresh(edit)

    def _is_closed(self, command: str) -> bool:
        """Whether there is no way to what the command leads to; it is told."""
        if command in CLOSED:
            self.tell(CLOSED[command], wrong=True)
        return command in CLOSED

    def open_activate(self, office: OfficeRecord) -> None:
        """Activate, for one office."""
        if self._is_closed("activate"):
            return
        from smartsub_tui.screens.activate import ActivateScreen

        self._to_first("subscriptions")
        self.call_after_refresh(self.push_screen, ActivateScreen(office))

    def open_renew(self, office: OfficeRecord, filter_text: str = "") -> bool:
        """Renew, for one office; False where that is closed here."""
        if self._is_closed("renew"):
            return False
        from smartsub_tui.screens.renew import RenewScreen

        self._to_first("subscriptions")
        self.call_after_refresh(self.push_screen, RenewScreen(office, filter_text))
        return True

    def open_expiring(self, filter_text: str) -> None:
        """The people of this filter, of whichever offices: first the choice of one."""
        if self._is_closed("subscriptions"):
            return
        self._to_first("subscriptions")

        def look() -> None:
            from smartsub_tui.screens.subscriptions import SubscriptionsScreen

            if isinstance(self.screen, SubscriptionsScreen):
                self.screen.filter_text = filter_text

        self.call_after_refresh(look)

    def open_expiries(self) -> None:
        """Who expires when, over the dashboard."""
        from smartsub_tui.screens.expiring import ExpiringScreen

        self._to_first("dashboard")
        self.call_after_refresh(self.push_screen, ExpiringScreen())

    def open_order(self, number: str) -> None:
        """Order info, over the list of payments."""
        from smartsub_tui.screens.order_info import OrderInfoScreen

        self._to_first("payments")
        self.call_after_refresh(self.push_screen, OrderInfoScreen(number))

    def open_triage(self) -> None:
        """The triage queue over the dashboard, as it was left: every number of its panel, one after the other."""
        from smartsub_tui.screens.triage import TriageScreen

        self.switch_mode("dashboard")
        if not any(isinstance(each, TriageScreen) for each in self.screen_stack):
            self.call_after_refresh(self.push_screen, TriageScreen())
            return
        while not isinstance(self.screen, TriageScreen):
            self.pop_screen()

    def _to_first(self, mode: str) -> None:
        self.switch_mode(mode)
        while len(self.screen_stack) > 1:
            self.pop_screen()

    # The net

    def _has_gone(self, pump: object) -> bool:
        """Whether it is a screen that was left, as at the end all are, or of one: what it looks for went with it."""
        around = pump.ancestors_with_self if isinstance(pump, Widget) else []
        return self._exit or any(isinstance(each, Screen) and not self.shows(each) for each in around)

    def _handle_exception(self, error: Exception) -> None:
        """Leave with an id on the terminal and the traceback in the log; Textual's own shows local variables."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        if isinstance(cause, NoMatches | ScreenStackError | MountError) and self._has_gone(
            active_message_pump.get(None)
        ):
            return
        self._return_code = 70
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        if not self._exit_renderables:  # of several, the first is the cause
            said = [unexpected(cause), *([_LEFT] if self._writing else [])]
            self.panic(Text("\n".join(map(display.plain, said))))


def _data_version(session: Session) -> int:
    return session.database.data_version()
