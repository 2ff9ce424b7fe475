"""Help: the keys of a screen, from the table of commands; what statuses and states mean; how a filter is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.events import Resize

from smartsub_tui import display
from smartsub_tui.commands import CLOSED, COMMANDS, EVERYWHERE, OF_SCREEN, TYPED, key_of
from smartsub_tui.data.filters import ORDER_KEYS, USER_KEYS, Key, OrderMark
from smartsub_tui.data.vocabulary import OrderStatus, SubscriptionState
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.lines import Lines

_STATES: Final = {
    SubscriptionState.INACTIVE: "never activated",
    SubscriptionState.ACTIVE: "runs for 30 days or more",
    SubscriptionState.EXPIRING: "runs out within 30 days, today included",
    SubscriptionState.EXPIRED: "ran out before today",
    SubscriptionState.REMOVED: "left the office",
}
_FILTER: Final = (
    ("status:failed,timeout", "one of several; words beside each other must all hold"),
    ("-status:cancel", "not"),
    ('office:"Oak*"', "a text, in quotes where it holds a space; * stands for anything"),
    ("created:2026-11", "a month, a day, today, 2026-11-01..2026-11-15, <7d"),
    ("total:>100", "in major units: >, <, 100..200"),
    ("000123", "without a key: any part of the order number, or of a person's name or id"),
)
_MOUSE: Final = "A click moves the cursor, a second one opens. Modes above and keys below can be clicked."


class HelpScreen(BaseScreen):
    """Shows the commands of the screen it was called from."""

    TITLE = "Help"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Help"]

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
        self.show_trail("Help")
        self.key_line.show(self.COMMANDS_HERE)
        self.set_focus(self.query_one(Lines))

    def load(self) -> None:
        self.query_one(Lines).show(list(self._lines(self.app.size.width - 2)))

    @on(Resize)
    def _resized(self) -> None:
        self.load()

    def action_help(self) -> None:
        self.action_back()

    def _lines(self, width: int) -> Iterator[Text]:
        yield display.cell(f" Keys of {self._title}", "bold")
        yield from _keys(self._ids, width)
        yield from _head("Keys everywhere")
        yield from _keys((each for each in EVERYWHERE if each not in self._ids), width)
        yield from display.cells(_MOUSE, width, lead=" " * 11)
        yield from _head(f"Typed behind {key_of('command')}, as is the name of every command")
        for command in (COMMANDS[each] for each in TYPED if each not in CLOSED):
            yield from _behind(display.cell(f"   {command.form:<14}", "bold"), command.help, width)
        yield from _head("Statuses of an order")
        for status in OrderStatus:
            yield from _look(display.status(status), status.definition, width)
        yield from _head("States of a subscription")
        for state, meaning in _STATES.items():
            yield from _look(display.user_state(state), meaning, width)
        yield from _head("Filters")
        for example, meaning in _FILTER:
            yield from _behind(display.cell(f"   {example:<23}", "bold"), meaning, width)
        yield from _head("Filters of orders: each key with a colon, then")
        yield from _filter_keys(ORDER_KEYS, width)
        for mark in OrderMark:
            yield from _behind(display.cell(f"   is:{mark.value:<11}", "bold"), mark.label, width)
        yield from _head("Filters of people")
        yield from _filter_keys(USER_KEYS, width)


def _head(title: str) -> Iterable[Text]:
    return Text(""), display.cell(f" {title}", "bold")


def _keys(ids: Iterable[str], width: int) -> Iterator[Text]:
    """A line a key; what changes something says that it asks first."""
    for command in (COMMANDS[each] for each in ids if each not in CLOSED):
        help_text = command.help + (" Asks first." if command.danger else "")
        shown = command.shown or f":{command.name}"
        yield from _behind(display.cell(f"   {shown:<8}", "bold"), help_text, width)


def _look(look: display.Look, meaning: str, width: int) -> Iterator[Text]:
    return _behind(display.cell(f"   {display.fit(str(look), 21)} ", look.style), meaning, width)


def _behind(lead: Text, text: str, width: int) -> Iterator[Text]:
    """A text behind its lead, and below itself where it takes more than a line."""
    first, *more = display.cells(text, width - lead.cell_len)
    yield Text.assemble(lead, first)
    yield from (Text.assemble(" " * lead.cell_len, each) for each in more)


def _filter_keys(keys: Mapping[str, Key], width: int) -> Iterator[Text]:
    for key in keys.values():
        # Currencies are too many to be listed.
        values = ", ".join(key.values if len(key.values) < 20 else key.values[:0])
        meaning = f"{key.help}: {values}" if values and key.name != "is" else key.help
        yield from _behind(display.cell(f"   {key.name:<14}", "bold"), meaning, width)
