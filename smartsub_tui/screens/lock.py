"""The lock: a screen over everything that shows nothing of anyone, and takes a PIN and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Event, Key

from smartsub_tui import display
from smartsub_tui.backend import Backend
from smartsub_tui.billing import pins
from smartsub_tui.errors import NotAllowed, SmartsubError
from smartsub_tui.screens.sized import Sized
from smartsub_tui.widgets.frame import AWAY, Line

MOST_DIGITS: Final = 12


class LockScreen(Sized[None]):
    """Takes keys only, as the application hands them: it has no field that could be pasted into, marked or copied.

    `name` is who is asked, empty where that is nobody's business. `opened` is called when their PIN was typed.
    """

    AUTO_FOCUS = ""

    def __init__(self, backend: Backend, name: str, opened: Callable[[], None]) -> None:
        super().__init__()
        self._backend, self._name_shown, self._opened = backend, name, opened
        self._digits = self._told = ""
        self._trying = False

    def compose(self) -> ComposeResult:
        with Vertical(id="lock"):
            yield Line(id="lock-title")
            yield Line(id="lock-name")
            yield Line(id="lock-pin")
            yield Line(id="lock-told")

    def on_mount(self) -> None:
        self._show("title", display.content("smartsub", "bold"))
        self._show("name", display.content(self._name_shown))
        self._paint()
        self.tell(self._told)

    def _show(self, name: str, text: Content) -> None:
        """On its line, where the lines are there: it covers, and has the keys, before it has been laid out."""
        for line in self.query(f"#lock-{name}").results(Line):
            line.show(text)

    def _paint(self) -> None:
        self._show("pin", display.content(f"PIN  {'*' * len(self._digits):_<{MOST_DIGITS}}"))

    def tell(self, text: str) -> None:
        """Say why it does not open."""
        self._told = text
        self._show("told", display.content(text, "warning"))

    def show_away(self, away: bool) -> None:
        """Say that what was typed waits for the database, or no more."""
        if away and self._trying:
            self.tell(AWAY)
        elif self._told == AWAY:
            self.tell("")

    def forget(self) -> None:
        """Nobody goes on with what was begun: it is no half of a PIN for whoever comes next."""
        if self._digits:
            self._digits = ""
            self._paint()

    def take(self, event: Event) -> None:
        """A key that was pressed while it is locked. The mouse and what is pasted are nothing here."""
        if not isinstance(event, Key) or self._trying:
            return
        if event.key in ("enter", "ctrl+j"):
            self._try()
        elif event.key in ("escape", "ctrl+u"):
            self._digits = ""
        elif event.key in ("backspace", "ctrl+h"):
            self._digits = self._digits[:-1]
        elif event.character is not None and event.character in "0123456789" and len(self._digits) < MOST_DIGITS:
            self._digits += event.character
        self._paint()

    def _try(self) -> None:
        if not self._digits:
            return
        pin, self._digits, self._trying = self._digits, "", True
        self.tell("")

        async def compare() -> None:
            try:
                tried = await self._backend.call(pins.try_pin, pin)
            except NotAllowed as error:
                # With the name in it, which a lobby is not told.
                self.tell(error.message if self._name_shown else "this cannot be opened any more: ask a manager")
            except SmartsubError as error:
                self.tell(error.message)
            else:
                if tried.opened:
                    self._opened()
                else:
                    self.tell(tried.why)
            finally:
                self._trying = False

        self.run_worker(compare(), group="pin")
