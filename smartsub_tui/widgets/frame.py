"""The first and the last line of every screen: where I am and who I am; what I can do here, only what is legal now.

What they name can be clicked: a mode or the way back on the first line, a key on the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from rich.text import Text
from textual.content import Content
from textual.events import Click
from textual.geometry import Region
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from smartsub_tui import display
from smartsub_tui.commands import CLOSED, COMMANDS

AWAY: Final = "waiting for the database"
MODES = ("Dashboard", "Subscriptions", "Payments")
_BETWEEN: Final = " > "
_OWN: Final[Mapping[str, str]] = {}  # labels of commands
_LEAST_PART: Final = 8  # cells of a part of the trail that gives way to the others


class _Spot(NamedTuple):
    """Cells of a line, from the first up to but not including the second, that do something."""

    start: int
    end: int
    command: str


async def run_command(screen: Screen[Any], command: str) -> None:
    """Do what the command's key does, wherever the focus is: a field would take the key as a letter."""
    for owner in (screen, screen.app):
        if hasattr(owner, f"action_{command.partition('(')[0]}"):
            await screen.app.run_action(command, owner)
            return
    screen.app.simulate_key(COMMANDS[command].key)


class _Clickable(Widget):
    """A line of which parts are commands."""

    def __init__(self) -> None:
        super().__init__()
        self._spots: list[_Spot] = []

    async def on_click(self, event: Click) -> None:
        event.stop()
        for spot in self._spots:
            if spot.start <= event.x < spot.end:
                await run_command(self.screen, spot.command)


class Masthead(_Clickable):
    """One line: the trail to this screen on the left, or on a mode's first screen the modes; the admin on the right."""

    def __init__(self, who: str) -> None:
        super().__init__()
        self._trail: tuple[str, ...] = ()
        self._ups: tuple[int, ...] = ()
        self._note = ""
        self._who = who
        self._away = False

    def show(self, *trail: str, note: str = "", ups: Iterable[int] = ()) -> None:
        """The trail from the mode to here; `note` stands before the admin ("2 of 1,204").

        `ups` says of the first parts how many screens are left by a click on them.
        """
        self._trail, self._note, self._ups = trail, note, tuple(ups)
        self.refresh()

    def show_away(self, away: bool) -> None:
        """Say that the database is away in place of who works here, or no more."""
        if away is not self._away:
            self._away = away
            self.refresh()

    def render(self) -> Text:
        width = self.size.width
        parts = self._parts()
        needed = 1 + sum(display.cell_width(text) for text, _, _ in parts)
        right = next((each for each in self._rights() if needed + display.cell_width(each) + 2 <= width), "")
        if self._away:
            right = AWAY
        if small := self._too_small():
            right = small
        room = max(0, width - 1 - (display.cell_width(right) + 2 if right else 0))
        if needed - 1 > room:
            parts = self._short(room)
        line, self._spots = Text(" ", no_wrap=True, end=""), []
        for text, style, command in parts:
            start = line.cell_len
            line.append_text(display.cell(text, style))
            if command:
                self._spots.append(_Spot(start, line.cell_len, command))
        line.truncate(room + 1, pad=True)
        line.append_text(display.cell(f" {right} " if right else "", "warning" if right == AWAY else ""))
        return line

    def _parts(self) -> list[tuple[str, str, str]]:
        """Text, style and command of what stands on the left."""
        if len(self._trail) == 1 and self._trail[0] in MODES:
            here = self._trail[0]
            modes = [
                (f"{COMMANDS[mode.lower()].shown} {mode}", "bold" if mode == here else "quiet", mode.lower())
                for mode in MODES
                if mode.lower() not in CLOSED
            ]
            return [part for mode in modes for part in (mode, ("   ", "", ""))][:-1]
        parts = []
        for place, name in enumerate(self._trail):
            leads = f"leave({self._ups[place]})" if place < len(self._ups) and self._ups[place] else ""
            command = name.lower() if place == 0 and name in MODES else leads
            parts += [(_BETWEEN, "bold", ""), (name, "bold", command)]
        return parts[1:]

    def _short(self, room: int) -> list[tuple[str, str, str]]:
        """The left side where it is too wide: the mode alone, or the trail with its longest part cut."""
        parts = self._parts()
        if len(self._trail) == 1:
            return [part for part in parts if part[1] == "bold"]
        widths = [display.cell_width(text) for text, _, _ in parts]
        longest = widths.index(max(widths))
        left = max(_LEAST_PART, room - sum(widths) + widths[longest])
        text, style, command = parts[longest]
        parts[longest] = (display.fit(text, left), style, command)
        return parts

    def _rights(self) -> list[str]:
        """What may stand on the right, the best first: the role, then the name give way."""
        name = self._who.partition(" · ")[0]
        return ["  ".join(part for part in (self._note, who) if part) for who in (self._who, name, "")]

    def _too_small(self) -> str:
        """What to say where the terminal is smaller than the screens are made for; else nothing."""
        width, height = self.app.size
        return f"{width}x{height}, needs 60x18" if width < 60 or height < 18 else ""


class Line(Static):
    """A line, or as many as the stylesheet gives it: what it shows moves nothing, and is painted where it is new."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id)
        self._shown = Content()

    def show(self, content: Content) -> None:
        if not content.is_same(self._shown):
            self._shown = content
            self.update(content, layout=False)


class Rule(Static):
    """A line that parts things."""

    def render(self) -> Text:
        return Text("─" * self.size.width, no_wrap=True, end="")


class KeyLine(_Clickable):
    """The footer: the keys of the commands that are possible now, in the order given, as many as there is room for."""

    def __init__(self) -> None:
        super().__init__()
        self._ids: tuple[str, ...] = ()
        self._labels: Mapping[str, str] = {}

    def show(self, ids: Iterable[str], labels: Mapping[str, str] = _OWN) -> None:
        """Show these commands, some under other `labels`; painted is what differs, from the first to the last cell."""
        wanted = tuple(each for each in ids if each not in CLOSED)
        if (wanted, labels) == (self._ids, self._labels):
            return
        before = self._line().plain
        self._ids, self._labels = wanted, labels
        after = self._line().plain
        same = next((place for place, (was, now) in enumerate(zip(before, after, strict=False)) if was != now), None)
        if same is None:
            same = min(len(before), len(after))
        # A key that stays is bold as it was, one that another begins with is not.
        start = before.rfind(" ", 0, same) + 1
        self.refresh(Region(start, 0, max(len(before), len(after)) - start, 1))

    @property
    def shown(self) -> tuple[str, ...]:
        return self._ids

    def render(self) -> Text:
        return self._line()

    def _line(self) -> Text:
        line, room = Text(" ", no_wrap=True, end=""), self.size.width + 1  # the last needs no gap behind it
        self._spots = []
        label = {each: self._labels.get(each, COMMANDS[each].label) for each in self._ids}
        need = {each: len(COMMANDS[each].shown) + len(label[each]) + 3 for each in self._ids}
        # Help stands last and never falls off the edge: it names the keys that do.
        room -= need.get("help", 0) + 1
        for each in (*(each for each in self._ids if each != "help"), *(each for each in self._ids if each == "help")):
            if each != "help":
                if need[each] > room:
                    continue
                room -= need[each]
            self._spots.append(_Spot(line.cell_len, line.cell_len + need[each] - 2, each))
            line.append(COMMANDS[each].shown, "bold")
            line.append(f" {label[each]}  ")
        line.rstrip()
        return line
