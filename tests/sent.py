"""Every byte that a terminal was sent, read strictly: what docs/security.md lists, and nothing beside it.

It shares no code with the fence that it judges, and takes the bytes as they come, in pieces that end anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from codecs import getincrementaldecoder
from typing import Final

_MODES: Final = "7|25|1000|1003|1004|1006|1015|1016|1049|2004|2026|2048"
# Of one alternative each: a look, a move, the end of a line with its move, a link and its end, a mode, a question, the
# keyboard of kitty, the bell, the shape of the pointer, the clipboard.
_ALLOWED: Final = re.compile(
    r"\x1b\[[0-9]{1,3}(?:;[0-9]{1,3})*m"
    r"|(?:\r?\n)*\x1b\[[0-9]{1,4};[0-9]{1,4}H"
    r"|\x1b\]8;id=[0-9-]+;(?:https?://|mailto:)[!-~]+\x1b\\"
    r"|\x1b\]8;;\x1b\\"
    rf"|\x1b\[\?(?:{_MODES})[hl]"
    r"|\x1b\[\?(?:2026|2048)\$p"
    r"|\x1b\[>25u|\x1b\[<u"
    r"|\x07|\x1b\]22;[a-z-]+\x07"
    r"|\x1b\]52;c;[A-Za-z0-9+/=]*\x07",
    re.IGNORECASE,
)
# What may still be the beginning of one of these.
_OPEN: Final = re.compile(r"(?:\r|(?:\r?\n)+|(?:\r?\n)*\x1b(?:\[[0-?]*\$?|\][^\x07\x1b]*\x1b?)?)\Z")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
# Default_Ignorable_Code_Point of Unicode beside the categories below, and the empty braille cell.
_INVISIBLE: Final = {
    0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164, *range(0xFE00, 0xFE10), 0xFFA0,
    *range(0xE0100, 0xE01F0),
}  # fmt: skip
_SHOWN: Final = 60  # characters around what is wrong


class Sent:
    """What was sent until now; `wrong` tells each kind of what must not be once, with what stood around it."""

    def __init__(self) -> None:
        self._decode = getincrementaldecoder("utf-8")("strict").decode
        self._rest = ""
        self._seen: set[str] = set()
        self.bytes = 0
        self.wrong: dict[str, str] = {}

    def take(self, data: bytes) -> None:
        """The next bytes."""
        self.bytes += len(data)
        try:
            text = self._rest + self._decode(data)
        except UnicodeDecodeError as error:
            self._note("no UTF-8", ascii(data[max(0, error.start - _SHOWN) : error.end + _SHOWN]))
            self._decode = getincrementaldecoder("utf-8")("strict").decode
            return
        end = _OPEN.search(text)
        text, self._rest = (text, "") if end is None else (text[: end.start()], end[0])
        self._judge(text)

    def finish(self) -> None:
        """Nothing follows. A program that has left the screen may end its lines."""
        self._judge(self._rest.replace("\r\n", ""))
        self._rest = ""

    def _judge(self, text: str) -> None:
        left = _ALLOWED.sub("", text)
        if _CONTROL.search(left):
            # Where it stood, for what is cut out may have parted it.
            for found in _CONTROL.finditer(_ALLOWED.sub(lambda each: " " * len(each[0]), text)):
                around = text[max(0, found.start() - _SHOWN) : found.end() + _SHOWN]
                self._note(ascii(text[found.start() : found.start() + 3]), ascii(around))
        new = set(left) - self._seen
        self._seen |= new
        for character in new:
            if unicodedata.category(character) in ("Cf", "Cs", "Co", "Cn", "Zl", "Zp") or ord(character) in _INVISIBLE:
                place = text.index(character)
                around = text[max(0, place - _SHOWN) : place + _SHOWN]
                self._note(f"U+{ord(character):04X}", ascii(around))

    def _note(self, kind: str, around: str) -> None:
        self.wrong.setdefault(kind, around)
