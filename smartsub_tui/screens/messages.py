"""Messages: what was told in this session, the newest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.events import Resize

from smartsub_tui import display
from smartsub_tui.commands import OF_SCREEN
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.lines import Lines


class MessagesScreen(BaseScreen):
    """Every sentence with its time, whole."""

    TITLE = "Messages"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Messages"]

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        yield Rule()
        yield Lines(id="messages")
        yield Rule()
        yield KeyLine()

    def on_mount(self) -> None:
        self.show_trail("Messages")
        self.key_line.show((*self.COMMANDS_HERE, "help"))
        self.set_focus(self.query_one(Lines))

    def load(self) -> None:
        self.query_one(Lines).show(list(self._lines()))

    @on(Resize)
    def _resized(self) -> None:
        self.load()

    def _lines(self) -> Iterator[Text]:
        now, width = self.backend.clock.now(), self.app.size.width - 2
        for told in reversed(self.smartsub.messages):
            lead = f" {display.instant(told.at, now, self.timezone)}  "
            yield from display.cells(told.text, width, "danger" if told.wrong else "", lead=lead)
        if not self.smartsub.messages:
            yield display.cell(" Nothing was told in this session yet.")

    def action_messages(self) -> None:
        self.action_back()
