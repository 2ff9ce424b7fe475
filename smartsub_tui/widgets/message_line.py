"""What was told, over the lines above the keys: it stays until it was read, and covers nothing that can be pressed."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct
from textual.events import Resize
from textual.widgets import Static

from smartsub_tui import display
from smartsub_tui.commands import COMMANDS

_MOST_LINES: Final = 4
_MOST_CELLS: Final = 100


class Told(Struct, frozen=True):
    """A sentence that the application said, and whether it was about something wrong."""

    at: datetime
    text: str
    wrong: bool


class MessageLine(Static):
    """The last thing told, in as many lines as it takes; nothing where all is read."""

    def __init__(self, told: Told | None = None) -> None:
        super().__init__()
        self._told = told

    def show(self, told: Told | None) -> None:
        """Show what was told, or nothing."""
        self._told = told
        self._paint()

    def on_mount(self) -> None:
        self._paint()

    def _paint(self) -> None:
        told = self._told
        self.display = told is not None
        if told is None:
            return
        lead = "x " if told.wrong else ""
        lines = display.wrapped(
            told.text, min(_MOST_CELLS, self.app.size.width - self.styles.margin.width - 2 - len(lead))
        )
        if len(lines) > _MOST_LINES:
            more = len(lines) - _MOST_LINES + 1
            lines = [*lines[: _MOST_LINES - 1], f"... {COMMANDS['messages'].shown} shows {more} lines more"]
        text = "\n".join((lead if place == 0 else " " * len(lead)) + line for place, line in enumerate(lines))
        self.update(display.content(text, "danger" if told.wrong else "", lines=True))

    def on_resize(self, _event: Resize) -> None:
        self._paint()
