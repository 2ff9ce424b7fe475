"""What keeps the screens within a terminal that has less: filters over every line, the last before it is sent."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from smartsub_tui import display

# How much brighter or darker than the theme's a background is that marks something: the cursor, the caret, what is
# selected. A panel differs less.
_MARKS: Final = 0.2


def filters(background: str) -> list[LineFilter]:
    """What this terminal needs. `background` is that of the theme, which says whether the terminal is a dark one."""
    needed: list[LineFilter] = []
    if display.without_colour():
        needed.append(WithoutColour(background))
    if display.few_signs():
        needed.append(InAscii(letters=not display.only_ascii()))
    return needed


class WithoutColour(LineFilter):
    """Takes every colour away: what stands on a background that marks it is in reverse instead."""

    def __init__(self, background: str) -> None:
        super().__init__()
        self._background = Color.parse(background).brightness

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, None if style is None else _without_colour(style, self._background), control)
            for text, style, control in segments
        ]


@lru_cache(maxsize=1024)
def _without_colour(style: Style, background: float) -> Style:
    behind = style.color if style.reverse else style.bgcolor
    marked = behind is not None and abs(Color.from_rich_color(behind).brightness - background) >= _MARKS
    plain = style.without_color + Style(reverse=marked, dim=False)
    return plain + Style.from_meta(style.meta) if style.meta else plain  # by which the mouse finds what it is on


class InAscii(LineFilter):
    """Draws in ASCII, with `letters` all but the letters of names: display.in_ascii."""

    def __init__(self, *, letters: bool) -> None:
        super().__init__()
        self._letters = letters

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            each if each.text.isascii() else each._replace(text=display.in_ascii(each.text, letters=self._letters))
            for each in segments
        ]
