"""What is typed, clicked, pasted and resized: weighted random events, drawn by one seed."""

# ruff: noqa: E501 - tables of keys
from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Final

from smartsub_tui.commands import COMMANDS

# What goes to the terminal as bytes, or its new size: columns and rows.
Event = bytes | tuple[int, int]

ESCAPE: Final = b"\x1b[27u"
_MOVES: Final = (
    *(b"j", b"k", b"g", b"G", b"h", b"l", b" ", b"\t", b"\x1b[Z"),
    *(f"\x1b[{end}".encode() for end in ("A", "B", "C", "D", "H", "F", "5~", "6~", "1;2A", "1;2B", "1;5C", "1;5D")),
)  # fmt: skip
# Keys of Textual by their names, as a terminal sends them; those that end it are drawn by themselves, seldom.
_BYTES: Final = {
    "enter": "\r", "escape": "\x1b[27u", "question_mark": "?", "slash": "/", "colon": ":", "space": " ", "plus": "+",
    "minus": "-", "asterisk": "*", "at": "@", "tab": "\t", "up": "\x1b[A", "down": "\x1b[B", "f5": "\x1b[15~",
    "ctrl+p": "\x10", "ctrl+l": "\x0c", "dollar_sign": "$", "greater_than_sign": ">", "left_square_bracket": "[",
    "right_square_bracket": "]",
}  # fmt: skip
_COMMANDS: Final = tuple(
    _BYTES.get(command.key, command.key).encode() for command in COMMANDS.values() if command.key and command.key != "q"
)
_WORDS: Final = (
    "status:failed", "status:processing,system", "type:sub", "office:Oak*", "is:problem", "is:unapplied", "is:deleted",
    "total:>100", "created:<7d", "payby:<2h", "-status:succeed", "user:o1", "0001", "state:active", "expires:<30d", "xyz",
    'office:"', "status:", "12", "1", "60", "61", "0", "1.5", "2027-02-28", "2027-13-01", "today", "3h", "EUR", "5.00",
    "5.95", "-1", "1e9", "Zoë", "Bank 7", "late", "because", "Oak House", "Elm Court", "view", "o1", "e2", "prices.csv",
    "users.csv", "orders.csv", "out.csv", ".", "..", "~", "*.csv", "\u0647\u0644\u0627", "梅田", "e\u0301\u0302", "[red]",
    "👩‍👧", "\u202e", "{x} %s $(x)", "payments is:late", "office Elm", "order 2", "view v", "save v", "share v", "renew",
    "help", "messages", "expiring", "triage", "import", "doctor", "months 3", "delete",
)  # fmt: skip


def _orders(text: str) -> tuple[bytes, ...]:
    """To the newest order that a filter lets through, and nothing marked."""
    return b"3", b"-", b"/", f"\x15{text}\r".encode(), b"g"


_OPEN: Final = _orders("status:processing")
_SUCCEED: Final = _orders("status:succeed")
_RENEW: Final = (b"2", b"j", b"n")
# Ways into what single keys seldom reach; None is a word of the list above.
_WAYS: Final[tuple[tuple[bytes | None, ...], ...]] = (
    (*_orders(""), b"\r"), (*_OPEN, b"p", b"y"), (*_OPEN, b"p", None, b"\t", None, b"\r", b"y"),
    (*_OPEN, b"p", b"\x1b[B", b"y"), (*_OPEN, b"p", b"\x1b[B", b"y"), (*_OPEN, b"p", b"\x1b[B", b"\x1b[B", b"y"),
    (*_OPEN, b"p", b"bank 7", b"\r", b"y"), (*_OPEN, b"p", b"cash", b"\t", b"\x155.00", b"\r", b"y"),
    (*_OPEN, b"c", b"cash", b"\r", b"y"), (*_OPEN, b"c", None, b"\r", b"y"), (*_OPEN, b"x", b"late", b"\r", b"y"),
    (*_OPEN, b"d", None, b"\r", b"y"), (*_orders("status:cancel,failed,timeout"), b"d", b"late", b"\r", b"y"),
    (*_orders("status:cancel,failed,timeout"), b"r", b"y"), (*_orders("is:deleted"), b"D", b"y"),
    (*_SUCCEED, b"C", b" ", b"because", b"\r", b"y"), (*_SUCCEED, b"C", b"A", None, b"\r", b"y"), (*_SUCCEED, b"i", b"y"),
    (*_orders("is:unapplied"), b"R", b"because", b"\r", b"y"), (*_orders("is:unapplied"), b"A", b"y"),
    (*_orders("status:system"), b"f", b"late", b"\r", b"y"), (*_orders("status:system"), b"c", b"Bank 7", b"\r", b"y"),
    (b"3", b"S"), (b"3", b"t"), (b"3", b"e", b"\r", b"y"), (b"3", b"W", None, b"\r"), (b"3", b"w", b"\r"),
    (*_OPEN, b" ", b"j", b" ", b"x", b"late", b"\r", b"2", b"\r"), (b"3", b"+", b"x", None, b"\r", b"9", b"\r"),
    (*_OPEN, b" ", b"j", b" ", b"p", b"cash", b"\r", b"2", b"\r"),
    (b"3", b" ", b"G", b"V", b"i"), (b"3", b"@", None, b"\r"), (b"3", b"/", None, b"\r"), (b"u", b"y"),
    (*_RENEW, b" ", b"j", b" ", b"+", b"\r", b"y"), (*_RENEW, b" ", b"\r", b"y"), (b"2", b"n", b" ", b"\r", b"y"),
    (*_RENEW, b"A", b"m", b"3\r", b"\r", b"y"), (*_RENEW, b"A", b"m", None, b"\r", b"\r", b"y"),
    (b"2", b"n", b"A", b"u", b"2027-02-28\r", b"\r", b"y"), (b"2", b"n", b"A", b"u", None, b"\r", b"\r", b"y"),
    (b"2", b"a", b"A", b"\r", b"y"), (b"2", b"j", b"a", b"A", b"\r", b"y"), (b"2", b"j", b"a", b" ", b"\r", b"y"),
    (b"2", b"n", b"/", None, b"\r", b"A", b"\r"), (b"2", b"n", b"v", b"A", b"\r", b"y"), (b"1", b"E", b"l", b"l", b"\r"),
    (b"1", b"T", b"\r", b"]", b"["), (b"1", b"T", b">"), (b"1", b"T", b"p", b"y"), (b"1", b"I", None, b"\r", b"y"),
    (b"1", b"I", b"/", b"\x15prices.csv", b"\r", b"y"), (b"1", b"I", b"/", b"\x15users.csv", b"\r", b"y"),
    (b":", None, b"\r"), (b":", b"\t", b"\t", b"\r"), (b"\x10", None, b"\r"), (b":renew\r",),
    (b"3", b"b", b"f", b"y"), (b"?", b"G", ESCAPE), (b"M", b"G", ESCAPE),
)  # fmt: skip
_KITTY: Final = "\x1b[{code};{modifiers}u"
_REPORTS: Final = (
    b"\x1b[I", b"\x1b[O", b"\x1b[?2026;2$y", b"\x1b[?2048;2$y", b"\x1b[?1016;2$y", b"\x1b[12;40R", b"\x1b[?62;4c",
    b"\x1b]11;rgb:0000/0000/0000\x1b\\", b"\x1bP1$r0m\x1b\\", b"\x1b[?u", b"\x1b[?25u", b"\x1b[4;600;800t", b"\x1b_Gi=1;OK\x1b\\",
    b"\x1bOP", b"\x1b[24~", b"\x1b[1;2P", b"\x1b[3~", b"\x1b[2~", b"\x7f", b"\x08",
)  # fmt: skip
_SIZES: Final = (
    (80, 24),
    (80, 24),
    (120, 40),
    (60, 18),
    (59, 17),
    (100, 30),
    (200, 60),
    (1, 1),
    (7, 3),
    (300, 5),
    (20, 90),
)
_HUGE: Final = ((1000, 500), (30_000, 30_000), (1, 30_000))


class Events:
    """An endless row of events; the same seed, the same row."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._next: deque[Event] = deque()
        drawn: dict[Callable[[], None], float] = {
            self._move: 30, self._command: 24, self._escape: 5, self._enter: 7, self._answer: 5, self._word: 5,
            self._letter: 5, self._way: 6, self._mouse: 5, self._size: 1.5, self._raw: 1.5, self._paste: 0.7,
            self._report: 2, self._modified: 3, self._huge: 0.02, self._back: 0.3, self._quit: 0.03,
        }  # fmt: skip
        self._kinds, self._weights = tuple(drawn), tuple(drawn.values())

    def draw(self) -> Event:
        """The next event."""
        while not self._next:
            self._random.choices(self._kinds, self._weights)[0]()
        return self._next.popleft()

    def _move(self) -> None:
        self._next.extend([self._random.choice(_MOVES)] * self._random.choice((1, 1, 1, 3)))

    def _command(self) -> None:
        self._next.append(self._random.choice(_COMMANDS))

    def _escape(self) -> None:
        self._next.append(self._random.choice((ESCAPE, b"\x1b")))

    def _enter(self) -> None:
        self._next.append(b"\r")

    def _answer(self) -> None:
        self._next.append(self._random.choice((b"y", b"y", b"n")))

    def _word(self) -> None:
        self._next.extend((self._random.choice(_WORDS).encode(), self._random.choice((b"", b"\r", b" ", b"\t"))))

    def _letter(self) -> None:
        self._next.append(chr(self._random.randrange(0x20, 0x7F)).replace("q", "Q").encode())

    def _way(self) -> None:
        """Mostly out of fields, windows and filters first: there its keys would be letters, or lead nowhere."""
        self._next.extend([ESCAPE] * self._random.choice((0, 4, 4)))
        for step in self._random.choice(_WAYS):
            self._next.append(self._random.choice(_WORDS).encode() if step is None else step)

    def _mouse(self) -> None:
        button = self._random.choice((0, 0, 0, 1, 2, 32, 35, 64, 65, 66, 4, 8, 16))
        column, row = self._random.randrange(1, 130), self._random.randrange(1, 45)
        for end in "Mm" * self._random.choice((1, 1, 2)) if button < 32 else "M":
            self._next.append(f"\x1b[<{button};{column};{row}{end}".encode())

    def _size(self) -> None:
        self._next.append(self._random.choice(_SIZES))

    def _huge(self) -> None:
        self._next.extend((self._random.choice(_HUGE), (80, 24)))

    def _raw(self) -> None:
        """Bytes of any kind; and the beginning of a sequence that does not go on."""
        begin = self._random.choice(
            (b"", b"\x1b", b"\x1b[", b"\x1b[<", b"\x1b]", b"\x1bP", b"\x1b[200", b"\x1bO", b"\x1b[1;")
        )
        noise = self._random.randbytes(self._random.choice((0, 1, 2, 4, 12)))
        # These end it.
        self._next.append(begin + noise.replace(b"q", b"Q").replace(b"\x11", b"\x12"))

    def _paste(self) -> None:
        text = self._random.choice((*_WORDS, "a\nb\r\nc\td", "x" * 5000, "\x1b[31mred", "dy\r" * 30_000)).encode()
        self._next.append(b"\x1b[200~" + text + self._random.choice((b"\x1b[201~",) * 9 + (b"",)))

    def _report(self) -> None:
        self._next.append(self._random.choice(_REPORTS))

    def _modified(self) -> None:
        """With Ctrl, Alt or both, as old terminals say it and as kitty's protocol does; not Ctrl+Q."""
        letter = self._random.choice("abcdefghijklmnoprstuvwxyz0123456789[]\\^_ ")
        code = ord(letter)
        match self._random.randrange(4):
            case 0:
                self._next.append(bytes([code & 0x1F]))
            case 1:
                self._next.append(b"\x1b" + letter.encode())
            case 2:
                self._next.append(_KITTY.format(code=code, modifiers=self._random.randrange(2, 17)).encode())
            case _:
                special = self._random.choice((9, 13, 27, 32, 127, 57358, 57399, 57428, 57441, 0xD800, 0x110000))
                self._next.append(_KITTY.format(code=special, modifiers=self._random.randrange(1, 9)).encode())

    def _back(self) -> None:
        self._next.append(b"q")

    def _quit(self) -> None:
        self._next.extend((ESCAPE, self._random.choice((b"\x11", b":quit\r", b"q1q"))))
