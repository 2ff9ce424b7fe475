"""What the terminal shows: of what is drawn again, only the lines that differ are sent.

Textual sends whatever was marked to be drawn: a table that loses the focus is another line or two, and all of it goes
over the link. Here a line is compared with the one that was sent last, as bytes. What covers the whole screen is always
sent whole, so that whatever another program wrote over it is gone with the next screen.

Terminals do not agree on how wide the spacing vowel signs of Indic scripts are (see `display.plain`): behind one of
them the cursor is put where the next word is counted to stand, or amounts would move to the right, and off the screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from unicodedata import category

from rich.cells import get_character_cell_size
from rich.console import Console
from rich.control import Control
from rich.segment import Segment
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

from smartsub_tui.fence import is_sure

Span = tuple[int, int]  # the columns of a piece of a line: its first, and the first behind it


class Picture:
    """The lines that were sent, in pieces as they were drawn. Of what it does not know it says that it differs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: dict[int, dict[Span, str]] = {}

    def differing(self, update: CompositorUpdate) -> CompositorUpdate | None:
        """What of an update has to be sent, taken as sent with this; None where all of it is there already."""
        if isinstance(update, ChopsUpdate):
            lines = [self._sequence(y, pieces) for y, pieces in self._pieces(update) if self._differs(y, pieces)]
            return Lines(lines) if lines else None
        self.forget()
        if isinstance(update, LayoutUpdate):
            lines = []
            for y, strips in enumerate(update.strips, update.region.y):
                x, pieces = update.region.x, {}
                for strip in strips:
                    pieces[x, x + strip.cell_length] = self._rendered(strip, x, y)
                    x += strip.cell_length
                self._differs(y, pieces)
                lines.append(self._sequence(y, pieces))
            return Lines(lines)
        return update

    def forget(self) -> None:
        """Whatever the terminal shows now, nothing of it is known."""
        self._lines.clear()

    def _pieces(self, update: ChopsUpdate) -> Iterable[tuple[int, dict[Span, str]]]:
        """What is drawn in each span, cut as Textual cuts it: a piece that a span begins in is drawn from its start."""
        for y, first, last in update.spans:
            pieces = {}
            for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if strip is not None and x < last and end > first:
                    if not (first <= x < last and end <= last):
                        end = min(end, last)
                        strip = strip.crop(0, end - x)
                    pieces[x, end] = self._rendered(strip, x, y)
            yield y, pieces

    def _rendered(self, strip: Strip, x: int, y: int) -> str:
        text = strip.render(self._console)
        if is_sure(text) or not any(map(_is_disputed, text)):
            return text
        return Strip(_placed(strip, x, y), strip.cell_length).render(self._console)

    def _differs(self, y: int, pieces: dict[Span, str]) -> bool:
        """Whether any of these is not what stands there, or may not be: then all of them are sent, and stand there."""
        line = self._lines.setdefault(y, {})
        if not all(map(is_sure, pieces.values())):  # what is wider than was counted stands in the piece beside it
            line.clear()
            return True
        if all(line.get(span) == text for span, text in pieces.items()):
            return False
        for first, last in pieces:
            for span in [each for each in line if each[0] < last and each[1] > first]:
                del line[span]
        line.update(pieces)
        return True

    @staticmethod
    def _sequence(y: int, pieces: dict[Span, str]) -> str:
        sequence, stands = [], -1  # where the cursor is known to be
        for (first, end), text in pieces.items():
            if first != stands:
                sequence.append(Control.move_to(first, y).segment.text)
            sequence.append(text)
            stands = end if is_sure(text) else -1
        return "".join(sequence)


@lru_cache(maxsize=1024)
def _is_disputed(character: str) -> bool:
    return category(character) == "Mc"


def _placed(strip: Strip, x: int, y: int) -> Iterator[Segment]:
    """A strip with a move behind each disputed sign: to the next word in ASCII, or in another style.

    Not sooner: what is behind the sign in its own word would be drawn over it.
    """
    disputed = False
    for text, style, _ in strip:
        done = ""
        for place, character in enumerate(text):
            if disputed and (place == 0 or (character.isascii() and character != " ")):
                yield Segment(done, style)
                yield Segment(Control.move_to(x, y).segment.text)
                done, disputed = "", False
            done += character
            disputed = disputed or _is_disputed(character)
            x += get_character_cell_size(character)
        yield Segment(done, style)


class Lines(CompositorUpdate):
    """Pieces of lines, each behind the move to where it begins."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def render_segments(self, console: Console) -> str:
        """All of them, one behind the other."""
        return "".join(self._lines)
