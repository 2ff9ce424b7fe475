"""Help: the keys of a screen, from the table of commands, and what the six statuses mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult

from smartsub_tui import display
from smartsub_tui.commands import COMMANDS
from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.lines import Lines

_EVERYWHERE = ("dashboard", "subscriptions", "payments", "down", "up", "first", "last", "refresh", "back", "quit")

_FILTER = (
    "status:failed,timeout   one of several          -status:cancel    not",
    'office:"Oak*"           * stands for anything   created:2026-11   a month, a day, a..b, <7d',
    "total:>100              in major units          is:problem        what needs someone",
    "000123                  a part of the order number",
)


class HelpScreen(BaseScreen):
    """Shows the commands of the screen it was called from."""

    COMMANDS_HERE: ClassVar[tuple[str, ...]] = ("down", "up", "back")

    def __init__(self, title: str, commands: Sequence[str]) -> None:
        super().__init__()
        self._title, self._ids = title, tuple(commands)

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        yield Rule()
        yield Lines(id="help-lines")
        yield Rule()
        yield KeyLine()

    def on_mount(self) -> None:
        self.masthead.show(self._title, "Help")
        self.key_line.show(self.COMMANDS_HERE)
        self.query_one(Lines).show(list(self._lines()))
        self.set_focus(self.query_one(Lines))

    def _lines(self) -> Iterator[Text]:
        yield display.cell(f" Keys of {self._title}", "bold")
        yield from self._keys(self._ids)
        yield Text("")
        yield display.cell(" Keys everywhere", "bold")
        yield from self._keys(each for each in _EVERYWHERE if each not in self._ids)
        yield Text("")
        yield display.cell(" Statuses of an order", "bold")
        for status in OrderStatus:
            look = display.status(status)
            line = Text("   ")
            line.append_text(display.cell(display.fit(str(look), 22), look.style))
            line.append_text(display.cell(status.definition))
            yield line
        yield Text("")
        yield display.cell(" Filters", "bold")
        for line_text in _FILTER:
            yield display.cell(f"   {line_text}")

    def _keys(self, ids: Sequence[str] | Iterator[str]) -> Iterator[Text]:
        for each in ids:
            command = COMMANDS[each]
            line = Text("   ")
            line.append(f"{command.shown:<8}", "bold")
            line.append_text(display.cell(command.help))
            yield line
