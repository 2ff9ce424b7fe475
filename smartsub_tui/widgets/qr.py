"""QR codes in half blocks: a text as lines of cells, whether a terminal shows them, and the widget that draws them."""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Final

from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from smartsub_tui import display

# Light modules round the code. The standard asks for four; two are what scanners need, and cost less of a small screen.
BORDER: Final = 2

# Of the upper and the lower module of a cell, whether each is dark.
_CELLS: Final = {(False, False): "█", (False, True): "▀", (True, False): "▄", (True, True): " "}

# How the cells are drawn: white on black of their own, whatever the theme, and the same in reverse, which is left of
# them where NO_COLOR is asked for. Only the upper half block is drawn: the lower half is background, which reaches the
# next line also where a font's blocks leave a gap.
_DARK: Final = Style(color="#ffffff", bgcolor="#000000")
_LIGHT: Final = _DARK + Style(reverse=True)
_DRAWN: Final = {"█": (" ", _LIGHT), "▄": ("▀", _LIGHT), "▀": ("▀", _DARK), " ": (" ", _DARK)}


@lru_cache(maxsize=4)
def lines(text: str, error: str | None = None) -> tuple[str, ...]:
    """`text` as a QR code: a line for every two rows of modules, a character for every column, the border included.

    Blocks are the light modules and spaces the dark ones, as white on black. It is the smallest code that holds the
    text, with as much error correction as fits into that size; letters beyond ASCII are in UTF-8. With `error`, a level
    ("l", "m", "q", "h"), it is exactly that level, and bytes of UTF-8. Raises ValueError for more than a code holds:
    2,953 bytes.
    """
    import segno

    if error is not None:
        code = segno.make(text, error=error, boost_error=False, micro=False, mode="byte", encoding="utf-8")
    elif text.isascii():
        code = segno.make(text, error="l", micro=False)
    else:  # as bytes: UTF-8 that happens to be Shift JIS too would else be packed as Kanji, and read as such
        code = segno.make(text, error="l", micro=False, mode="byte", encoding="utf-8")
    modules = [bytes(row) for row in code.matrix_iter(border=BORDER)]
    modules.append(bytes(len(modules)))  # their number is odd: the last line is light below
    return tuple(
        "".join(_CELLS[bool(upper), bool(lower)] for upper, lower in zip(modules[row], modules[row + 1], strict=True))
        for row in range(0, len(modules), 2)
    )


def needs(text: str, error: str | None = None) -> Size:
    """The columns and rows that the code of `text` takes; raises ValueError where there is none."""
    code = lines(text, error)
    return Size(len(code[0]), len(code))


def why_not(text: str, room: Size, terminal: Size, error: str | None = None) -> str | None:
    """Why the code of `text` cannot be drawn into `room`, which is a part of `terminal`; None where it can."""
    # Most fonts of the Linux console have no half blocks: 317 of the 456 that Debian ships, its default among them.
    if display.few_signs():
        return "No QR code here: it is drawn in half blocks, which this terminal may not have."
    try:
        size = needs(text, error)
    except ValueError:
        return "No QR code: the text is longer than one holds."
    if size.width > terminal.width or size.height > terminal.height:
        return f"This QR needs {_size(size)}, the terminal has {_size(terminal)}."
    if size.width > room.width or size.height > room.height:
        return f"This QR needs {_size(size)}, here are {_size(room)}."
    return None


def _size(size: Size) -> str:
    return f"{size.width}x{size.height}"


class QrCode(Widget):
    """Draws a text as a QR code in the middle of its room; where it does not fit whole, says why, and the text."""

    def __init__(self, text: str, error: str | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._text, self._error = text, error

    def show(self, text: str) -> None:
        """Draw another text from now on."""
        if text != self._text:
            self._text = text
            self.refresh()

    def render(self) -> Content:
        why = why_not(self._text, self.size, self.app.size, self._error)
        return display.content(f"{why}\n\n{self._text}", lines=True)

    def render_line(self, y: int) -> Strip:
        if why_not(self._text, self.size, self.app.size, self._error) is not None:
            return super().render_line(y)
        code, base = lines(self._text, self._error), self.rich_style
        columns, rows = needs(self._text, self._error)
        row = y - (self.size.height - rows) // 2
        if not 0 <= row < rows:
            return Strip.blank(self.size.width, base)
        left = (self.size.width - columns) // 2
        strip = Strip([Segment(" " * left, base), *_segments(code[row])])
        return strip.crop_extend(0, self.size.width, base)


def _segments(line: str) -> list[Segment]:
    return [
        Segment("".join(character for character, _ in cells), style)
        for style, cells in groupby((_DRAWN[each] for each in line), key=itemgetter(1))
    ]
