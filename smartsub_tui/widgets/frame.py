"""The first and the last line of every screen: where I am and who I am; what I can do here, only what is legal now."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual.widget import Widget
from textual.widgets import Static

from smartsub_tui import display
from smartsub_tui.commands import COMMANDS

MODES = ("Dashboard", "Subscriptions", "Payments")


class Masthead(Widget):
    """One line: the trail to this screen on the left, or on a mode's first screen the modes; the admin on the right."""

    def __init__(self, who: str) -> None:
        super().__init__()
        self._trail: tuple[str, ...] = ()
        self._note = ""
        self._who = who

    def show(self, *trail: str, note: str = "") -> None:
        """The trail from the mode to here; `note` stands before the admin ("2 of 1,204")."""
        self._trail, self._note = trail, note
        self.refresh()

    def render(self) -> Text:
        width = self.size.width
        right = display.plain("  ".join(part for part in (self._note, self._who) if part))
        left = display.plain(" > ".join(self._trail))
        room = max(0, width - display.cell_width(right) - 3)
        line = Text(" ", no_wrap=True, end="")
        if len(self._trail) == 1:
            for key, mode in enumerate(MODES, 1):
                line.append_text(display.cell(f"{key} {mode}", "bold" if mode == left else "quiet"))
                line.append("   ")
            line.truncate(room + 1, pad=True)
        else:
            line.append(display.fit(left, room), "bold")
        line.append(f" {right} ")
        return line


class Rule(Static):
    """A line that parts things."""

    def render(self) -> Text:
        return Text("─" * self.size.width, no_wrap=True, end="")


class KeyLine(Widget):
    """The footer: the keys of the commands that are possible now, in the order given, as many as there is room for."""

    def __init__(self) -> None:
        super().__init__()
        self._ids: tuple[str, ...] = ()

    def show(self, ids: Iterable[str]) -> None:
        """Show these commands; nothing is painted where they are the same."""
        wanted = tuple(ids)
        if wanted != self._ids:
            self._ids = wanted
            self.refresh()

    @property
    def shown(self) -> tuple[str, ...]:
        return self._ids

    def render(self) -> Text:
        line, room = Text(" ", no_wrap=True, end=""), self.size.width + 1  # the last needs no gap behind it
        need = {each: len(COMMANDS[each].shown) + len(COMMANDS[each].label) + 3 for each in self._ids}
        # Help stands last and never falls off the edge: it names the keys that do.
        room -= need.get("help", 0) + 1
        for each in (*(each for each in self._ids if each != "help"), *(each for each in self._ids if each == "help")):
            if each != "help":
                if need[each] > room:
                    continue
                room -= need[each]
            line.append(COMMANDS[each].shown, "bold")
            line.append(f" {COMMANDS[each].label}  ")
        return line
