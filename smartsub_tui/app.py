"""SmartSubApp: the modes, the way between screens, the net under unexpected errors. What a screen does is its own."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.app import App
from textual.binding import BindingType
from textual.events import Event, Key, MouseDown
from textual.screen import ModalScreen, Screen
from textual.widget import AwaitMount
from textual.worker import Worker, WorkerFailed

from smartsub_tui import display, paths, themes
from smartsub_tui.backend import Backend
from smartsub_tui.billing import access, views
from smartsub_tui.billing.session import Session
from smartsub_tui.clock import Clock, SystemClock
from smartsub_tui.commands import bindings, keymap, remap
from smartsub_tui.config import Settings
from smartsub_tui.data.queries import parse_sort
from smartsub_tui.data.records import AdminRecord, OfficeRecord, StateRecord
from smartsub_tui.errors import SmartsubError
from smartsub_tui.failures import unexpected
from smartsub_tui.screens.activate import ActivateScreen
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.dashboard import DashboardScreen
from smartsub_tui.screens.expiring import ExpiringScreen
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.screens.renew import RenewScreen
from smartsub_tui.screens.subscriptions import SubscriptionsScreen
from smartsub_tui.widgets.message_line import Told

_BESIDE = Path(__file__).with_name("smartsub.tcss")
# In the wheel the stylesheet lies beside this module, in a checkout at the root of the repository.
STYLESHEET = _BESIDE if _BESIDE.exists() else _BESIDE.parent.parent / _BESIDE.name

MOST_MESSAGES: Final = 200
# What was typed ahead, or is held down, does not take away what it could not yet answer.
_READ_AFTER: Final = timedelta(seconds=1)


class SmartSubApp(App[None]):
    """The application over one database, for one admin."""

    TITLE = "smartsub"
    CSS_PATH = STYLESHEET
    # The palette of Textual offers to write screenshots of customers' data to files.
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = bindings("dashboard", "subscriptions", "payments")
    MODES = {  # noqa: RUF012 - Textual's own declaration
        "dashboard": DashboardScreen,
        "subscriptions": SubscriptionsScreen,
        # Payments is added with the filter and the sort that it begins with.
    }

    def __init__(
        self,
        url: str,
        admin: str,
        settings: Settings,
        *,
        clock: Clock | None = None,
        start: str | None = None,
        filter_text: str | None = None,
        config_file: Path | None = None,
    ) -> None:
        """What is not said of `start` (a mode) and `filter_text` (of Payments) is as the admin left it last."""
        super().__init__()
        remap(dict(settings.ui.keys))
        self.settings = settings
        self.config_file = config_file or paths.default_config()
        self.backend = Backend(url, admin, settings, clock or SystemClock())
        self.who = admin
        self.told: Told | None = None
        self._messages: deque[Told] = deque(maxlen=MOST_MESSAGES)
        self.said: list[str] = []  # behind `:`, in this session
        self._held: list[Key] | None = None  # what is typed while a line is looked at
        self._stop: Callable[[], None] = self.drop
        self._kept: StateRecord | None = None
        self._start, self._filter_text = start, filter_text
        self.animation_level = "none"
        look = settings.ui.theme
        self.ansi_theme_dark = self.ansi_theme_light = themes.terminal_theme(look)
        self.register_theme(themes.theme(look))
        self.theme = look

    async def on_mount(self) -> None:
        try:
            admin, last = await self.backend.call(_first_look)
        except SmartsubError as error:
            self.exit(return_code=error.exit_code, message=display.plain(f"smartsub: {error.message}"))
            return
        self.who = f"{admin.name} · {admin.role.label}"
        self._kept = last
        text, sort = self._filter_text, None
        if text is None and last is not None:
            text, sort = last.filter, parse_sort(last.sort)
        self.add_mode("payments", lambda: PaymentsScreen(text or "", sort))
        left = last.mode if last is not None and last.mode in self._modes else "dashboard"
        self.switch_mode("payments" if self._filter_text else self._start or left)
        self.set_keymap(keymap())
        # The modules just loaded live as long as the application: collecting need not look at them again.
        self.call_after_refresh(gc.freeze)

    def on_unmount(self) -> None:
        self.backend.close()

    def exit(self, *args: Any, **options: Any) -> None:
        self._keep_state()
        super().exit(*args, **options)

    def _keep_state(self) -> None:
        """Keep how things are for the next start, where they are not as they were kept; nobody waits for it."""
        if "payments" not in self._modes:  # it never began
            return
        payments = self._screen_stacks.get("payments", [])
        listed = payments[0].listed_as() if payments and isinstance(payments[0], PaymentsScreen) else None
        before = self._kept or StateRecord(mode="", filter="", sort=views.NEWEST_FIRST)
        filter_text, sort = listed or (before.filter, before.sort)
        state = StateRecord(mode=self.current_mode or before.mode, filter=filter_text, sort=sort)
        if state != self._kept:
            self._kept = state
            self.backend.later(views.keep_state, state)

    @property
    def messages(self) -> Sequence[Told]:
        """What was told in this session, in its order; the last ones of very many."""
        return self._messages

    def tell(self, text: str, *, wrong: bool = False) -> None:
        """A sentence on the screen, until the next key; the messages keep it."""
        self.told = Told(self.backend.clock.now(), text, wrong)
        self._messages.append(self.told)
        self._show_told()

    def _show_told(self) -> None:
        if isinstance(self.screen, BaseScreen):  # a question is answered first; what is behind it shows it then
            self.screen.show_told(self.told)

    async def on_event(self, event: Event) -> None:
        """Keys wait behind a line that is looked at; else they are taken."""
        if self._held is not None and isinstance(event, Key) and not event.is_forwarded:
            if event.key == "escape":
                self._stop()
            else:
                self._held.append(event)
            return
        await self._taken(event)

    async def _taken(self, event: Event) -> None:
        """Any key, or the mouse, says that what was told was read."""
        pressed = isinstance(event, Key | MouseDown) and not event.is_forwarded
        if pressed and self.told is not None and self.backend.clock.now() - self.told.at >= _READ_AFTER:
            self.told = None
            self._show_told()
        await super().on_event(event)

    def hold(self, stop: Callable[[], None]) -> None:
        """Keep what is typed from now on until `let_go` or `drop`; Esc calls `stop`, and drops it."""

        def end() -> None:
            stop()
            self.drop()

        self._held, self._stop = [], end

    def drop(self) -> None:
        """Forget what was held: it was meant for what did not come."""
        self._held = None

    def let_go(self) -> None:
        """Hand on what was held, in its order, to where the way leads that was just begun."""
        self.call_after_refresh(self._hand_on)

    async def _hand_on(self) -> None:
        while self._held:
            await self._taken(self._held.pop(0))
        self._held = None

    def shows(self, screen: Screen[None]) -> bool:
        """Whether a screen is still on the way to somewhere: shown, or behind what is shown."""
        return any(screen in stack for stack in self._screen_stacks.values())

    def write(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Worker[None]:
        """Run a change to its end, whatever is typed or left meanwhile; what became of it is always told."""

        async def run() -> None:
            try:
                await work()
            except SmartsubError as error:
                self.tell(error.message, wrong=True)

        return self.run_worker(run(), group="write", exclusive=False)

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

    def switch_mode(self, mode: str) -> AwaitMount:
        if self.current_mode == "payments" != mode:
            self._keep_state()
        return super().switch_mode(mode)

    def go_back(self, *, leave: bool = False) -> None:
        """To the screen before; from the first one of a mode to the dashboard, and from there, if asked, out."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
        elif self.current_mode != "dashboard":
            self.switch_mode("dashboard")
        elif leave:
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
            if isinstance(self.screen, PaymentsScreen):
                self.screen.look_for(filter_text, None if sort is None else parse_sort(sort))

        self.call_after_refresh(look)

    def open_activate(self, office: OfficeRecord) -> None:
        """Activate, for one office."""
        self._to_first("subscriptions")
        self.call_after_refresh(self.push_screen, ActivateScreen(office))

    def open_renew(self, office: OfficeRecord, filter_text: str = "") -> None:
        """Renew, for one office."""
        self._to_first("subscriptions")
        self.call_after_refresh(self.push_screen, RenewScreen(office, filter_text))

    def open_expiring(self, filter_text: str) -> None:
        """The people of this filter, of whichever offices: first the choice of one."""
        self._to_first("subscriptions")

        def look() -> None:
            if isinstance(self.screen, SubscriptionsScreen):
                self.screen.filter_text = filter_text

        self.call_after_refresh(look)

    def open_expiries(self) -> None:
        """Who expires when, over the dashboard."""
        self._to_first("dashboard")
        self.call_after_refresh(self.push_screen, ExpiringScreen())

    def open_order(self, number: str) -> None:
        """Order info, over the list of payments."""
        self._to_first("payments")
        self.call_after_refresh(self.push_screen, OrderInfoScreen(number))

    def _to_first(self, mode: str) -> None:
        self.switch_mode(mode)
        while len(self.screen_stack) > 1:
            self.pop_screen()

    # The net

    def _handle_exception(self, error: Exception) -> None:
        """Leave with an id on the terminal and the traceback in the log; Textual's own shows local variables."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        self._return_code = 70
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        if not self._exit_renderables:  # of several, the first is the cause
            self.panic(Text(display.plain(unexpected(cause))))


def _first_look(session: Session) -> tuple[AdminRecord, StateRecord | None]:
    return access.check(session.admin, access.Permission.READ), views.last_state(session)
