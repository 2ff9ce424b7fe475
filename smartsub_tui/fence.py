"""The last gate before the terminal: only the control sequences that Textual itself sends pass.

`display` makes text from outside harmless before it reaches a widget. What slips past it, in a widget that was built
without it or by a fault of a library, is stopped here: it is shown as `display` would have shown it, by its number.

A write is looked at as a whole, so nothing can begin in one and end in the next. There are two kinds. A frame is text
with colours, moves of the cursor and links. All else that Textual sends (modes, queries, the clipboard, the bell) goes
out alone, and passes alone: a name inside a frame cannot carry it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Final

from textual.css.constants import VALID_POINTER

from smartsub_tui import display

# So many kinds are told; who sends more has made their point.
MOST_KINDS: Final = 100
_MOST_TOLD: Final = 40
_OTHERS: Final = "others"

_COLOURS: Final = r"\x1b\[[0-9]{1,3}(?:;[0-9]{1,3}){0,24}m"
_MOVE: Final = r"\x1b\[[0-9]{1,4};[0-9]{1,4}H"
# The id is two numbers without a gap; the target is what display.link lets through.
_LINK: Final = r"\x1b\]8;id=-?[0-9]{1,20}(?:-?[0-9]{1,20})?;(?i:https?://|mailto:)[!-~]{1,2048}\x1b\\|\x1b\]8;;\x1b\\"
# Between lines Textual sends LF, always with a move behind it: anywhere else it would scroll.
_LINE_END: Final = rf"\n{{1,1000}}+(?={_MOVE})"
# Letters and signs of which each is harmless whatever it stands beside, as a test makes sure. Others are looked at one
# by one: more of them here would be half of the time that this module takes at the start.
SURE: Final = " -~\xa0-\xac\xae-\u034e\u0350-\u0377\u0400-\u052f\u2010-\u2027\u2030-\u205e\u2500-\u262f\u2713"

_SEQUENCE: Final = rf"{_COLOURS}|{_MOVE}|{_LINK}|{_LINE_END}"
_TEXT: Final = f"[{SURE}]++"
_FRAME: Final = re.compile(rf"(?:{_TEXT}|{_SEQUENCE})*+")
_PIECE: Final = rf"(?s:{_TEXT}|{_SEQUENCE}|(.))"

_MODES: Final = (
    7,  # line wrap
    25,  # cursor
    *(1000, 1003, 1006, 1015, 1016),  # mouse
    1004,  # focus
    1049,  # the other screen
    2004,  # bracketed paste
    2026,  # synchronized output
    2048,  # reports of the size
)
_ALONE: Final = frozenset(
    (
        *(f"\x1b[?{mode}{how}" for mode in _MODES for how in "hl"),
        *("\x1b[?2026$p", "\x1b[?2048$p"),  # does the terminal have it?
        *("\x1b[>25u", "\x1b[<u"),  # the keyboard protocol of kitty, and back
        "\x07",
        *(f"\x1b]22;{shape}\x07" for shape in VALID_POINTER),
    )
)
_BASE64: Final = "[A-Za-z0-9+/]{0,100000}={0,2}"
_PART: Final = "[A-Za-z0-9+/=]{0,256}"
# To the clipboard, never from it; and the same in parts, as GNU screen hands it on.
_CLIPBOARD: Final = rf"\x1b\]52;c;{_BASE64}\x07|\x1bP\x1b\]52;c;{_PART}(?:\x1b\\\x1bP{_PART}){{0,1000}}\x07\x1b\\"

# How a sequence that is stopped is told: never with what it carries.
_TOLD: Final = r"\x1b(?:\[[0-?]{0,32}[ -/]{0,4}[@-~]|\][0-9]{0,4}|[ -~])?"


def is_sure(frame: str) -> bool:
    """Whether all of a frame is sent as it is, and no terminal gives a sign of it another width than is counted."""
    return _FRAME.fullmatch(frame) is not None


class Fence:
    """Lets through what may be sent, shows the rest by its number, and counts it by kind.

    `tell` hears of each kind once: the sequence in escaped form without its text, or the number of a character.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self.replaced: Counter[str] = Counter()

    def passed(self, text: str) -> str:
        """`text` as it may be sent."""
        if is_sure(text) or text in _ALONE or re.fullmatch(_CLIPBOARD, text):
            return text
        return re.sub(_PIECE, self._passed, text)

    def _passed(self, piece: re.Match[str]) -> str:
        character = piece[1]
        if character is None or display.is_harmless(character):
            return piece[0]
        told = re.match(_TOLD, piece.string[piece.start() : piece.start() + _MOST_TOLD])
        kind = f"U+{ord(character):04X}" if told is None else ascii(told[0])
        if kind not in self.replaced:
            if len(self.replaced) >= MOST_KINDS:
                kind = _OTHERS
            else:
                self._tell(kind)
        self.replaced[kind] += 1
        return display.plain(character)
