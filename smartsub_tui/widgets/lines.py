"""Lines of text that scroll: drawn when they are seen, so that ten thousand cost no more than ten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from smartsub_tui.commands import bindings

# A line, or what makes it once it is seen.
Line: TypeAlias = Text | Callable[[], Text]


class Lines(ScrollView, can_focus=True):
    """Shows `rich.text.Text` lines made by `display`; keys scroll, lines are cut at the edge."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("down", "up", "first", "last"),
        Binding("down", "down", show=False),
        Binding("up", "up", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Line] = []

    def show(self, lines: Sequence[Line]) -> None:
        """Show these lines, keeping the place."""
        self._lines = list(lines)
        self.virtual_size = Size(0, len(self._lines))
        self.refresh()

    @property
    def text(self) -> str:
        """What is shown, as plain text."""
        return "\n".join(_made(line).plain for line in self._lines)

    def render_line(self, y: int) -> Strip:
        index = y + int(self.scroll_offset.y)
        base: Style = self.rich_style
        width = self.size.width
        if index >= len(self._lines):
            return Strip.blank(width, base)
        line = _made(self._lines[index])
        # Where no part has a style of its own, Rich leaves that of the whole out.
        base += self.app.console.get_style(line.style)
        segments = line.render(self.app.console)
        strip = Strip([Segment(text, base + style if style else base) for text, style, _ in segments])
        return strip.crop_extend(0, width, base)

    def action_down(self) -> None:
        self.scroll_down(animate=False)

    def action_up(self) -> None:
        self.scroll_up(animate=False)

    def action_first(self) -> None:
        self.scroll_home(animate=False)

    def action_last(self) -> None:
        self.scroll_end(animate=False)


def _made(line: Line) -> Text:
    return line if isinstance(line, Text) else line()
