"""Text that means harm: a known list, and escapes that one seed generates."""

# ruff: noqa: E501 - tables of sequences
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from tests.hostile.fetch import kept

# Colours and moves pass the fence where they stand in a name; smartsub itself never sends these.
PLANTED: Final = (b"\x1b[4;53;38;5;213m", b"\x1b[7777;1H", b"\x1b]8;;https://evil", b"\x1b]8;id=1-2;https://evil")
_COLOUR, _MOVE = "\x1b[4;53;38;5;213m", "\x1b[7777;1H"
_ST: Final = ("\x1b\\", "\x07", "\x9c", "")
_NAMES: Final = ("Ann", "Zoë", "梅田", "محمد", "मोहन", "สมชาย", "한강", "Ελένη", "😀", "Jørgen Å.", "x" * 70, " ", "")
_CONTROLS: Final = "".join(map(chr, (*range(1, 32), *range(0x7F, 0xA0))))
_BIDI: Final = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
_UNSEEN: Final = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u180e\u3164\uffa0\u2800\u115f\ufe0f\ufe0e\u2028\u2029"
_ODD: Final = (
    "\u0378\u0380\ue000\uf8ff\U000f0000\U0010fffd\U0010ffff\ufffe\uffff\U000e0041\U000e007f\U000e0100\U0001f1e9\U0001f1ea"
    "\U0001f3fd\U0001f469\u200d\U0001f467\ufdfd\u1d173\u0e33\u0eb3\u1100\u1161\u11a8\ud7b0\u302e\u0488\u20e3\u4dc0\u2630"
)  # fmt: skip


def naughty() -> list[str] | None:
    """The Big List of Naughty Strings; None where it was not fetched."""
    path = kept()
    return list(json.loads(path.read_text("utf-8"))) if path.exists() else None


def escapes(count: int, seed: int = 7) -> list[str]:
    """So many different strings, the same for the same seed; none is empty, and none has a NUL, which no import takes."""
    made: dict[str, None] = {}
    generator = _generated(Random(seed))
    while len(made) < count:
        made[next(generator)] = None
    return list(made)


def _generated(chance: Random) -> Iterator[str]:
    kinds: tuple[Callable[[Random], str], ...] = (
        _csi, _osc, _device, _short, _c1, _passed_through, _reports, _marks, _unseen, _bidi, _odd, _wide,
    )  # fmt: skip
    while True:
        parts = [chance.choice(kinds)(chance) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
        text = chance.choice(_NAMES) + chance.choice(_NAMES[:4]).join(parts) + chance.choice(_NAMES)
        if chance.random() < 0.15:  # a sequence that is cut off
            text = text[: chance.randrange(1, len(text) + 1)]
        if chance.random() < 0.1:
            text += str(chance.randrange(10**6))
        yield text.replace("\0", "\x01") or "\x1b"


def _csi(chance: Random) -> str:
    fixed = (
        _COLOUR, _MOVE, "\x1b[2J", "\x1b[3J", "\x1b[H", "\x1b[6n", "\x1b[c", "\x1b[>c", "\x1b[21t", "\x1b[8;1;1t", "\x1b[?1049h",
        "\x1b[?47l", "\x1b[?25l", "\x1b[?1000h", "\x1b[?2004l", "\x1b[200~rm -rf ~\r\x1b[201~", "\x1b[?2026h", "\x1b[!p",
        "\x1b[1;1r", "\x1b[4h", "\x1b[5i", "\x1b[>4;2m", "\x1b[>25u", "\x1b[<u", "\x1b[99999999999999999999b", "\x1b[1;",
    )  # fmt: skip
    if chance.random() < 0.5:
        return chance.choice(fixed)
    numbers = ";".join(str(chance.randrange(10 ** chance.randrange(1, 6))) for _ in range(chance.randrange(1, 30)))
    return f"\x1b[{chance.choice(('', '?', '>', '<', '='))}{numbers}{chance.choice(' !$')}{chr(chance.randrange(0x40, 0x7F))}"


def _osc(chance: Random) -> str:
    said = chance.choice((
        "0;title", "2;title", "4;1;rgb:ff/ff/ff", "8;;https://evil.example/", "8;id=1;file:///etc/passwd",
        "8;id=1-2;https://evil.example/a", "9;hello", "10;?", "11;?", "52;c;ZXZpbA==", "52;c;?", "52;p;ZXZpbA==", "133;A",
        "133;C;cmdline=x", "777;notify;a;b", "1337;File=inline=1:AAAA", "1337;SetMark", "22;text", "104", "l", "L" + "x" * 300,
    ))  # fmt: skip
    return f"{chance.choice(chr(0x1B) + chr(0x9D))[:1].replace(chr(0x1B), chr(0x1B) + ']')}{said}{chance.choice(_ST)}"


def _device(chance: Random) -> str:
    """DCS, APC, PM and SOS: questions, pictures, keys that are loaded, and what holds another sequence."""
    begin = chance.choice(("\x1bP", "\x1b_", "\x1b^", "\x1bX", "\x90", "\x9f", "\x9e", "\x98"))
    said = chance.choice((
        "$q q", "+q544e", "q#0;2;0;0;0~-", "0;1|17/0a", "Gf=100,a=T;AAAA", "1000p", "hello", "\x1b]0;nested\x07", _COLOUR, "=1s",
    ))  # fmt: skip
    return f"{begin}{said}{chance.choice(_ST)}"


def _short(chance: Random) -> str:
    return "\x1b" + chance.choice("c78=>DEMHNOZ#(0)*+-./|}~FGlmno\x1b") + chance.choice(("", "8", "0", "B"))


def _c1(chance: Random) -> str:
    """As one character each, and as those that a terminal in another encoding would make of their bytes."""
    begin = chr(chance.randrange(0x80, 0xA0))
    return chance.choice((begin, begin.encode().decode("latin-1"), begin + "31;1m", begin + "2J", "Â" + begin))


def _passed_through(chance: Random) -> str:
    inner = chance.choice((_osc, _csi))(chance)
    return chance.choice((
        f"\x1bPtmux;{inner.replace(chr(0x1b), chr(0x1b) * 2)}\x1b\\", f"\x1bP{inner}\x1b\\", f"\x1bPtmux;\x1bPtmux;{inner}\x1b\\\x1b\\",
    ))  # fmt: skip


def _reports(chance: Random) -> str:
    return chance.choice(
        ("\x1b[12;40R", "\x1b[?62;4c", "\x1b[<0;1;1M", "\x1b[I", "\x1bOP", "\x1b[27u", "\x1b[97;5u", "\x1b[201~")
    )


def _marks(chance: Random) -> str:
    return chance.choice("aZ梅ก ") + "".join(
        chr(chance.choice((*range(0x300, 0x370), 0x489, 0x20DD, 0xE47, 0x64B, 0x93C)))
        for _ in range(chance.randrange(1, 60))
    )


def _unseen(chance: Random) -> str:
    return "".join(chance.choice(_UNSEEN + "ab") for _ in range(chance.randrange(1, 12)))


def _bidi(chance: Random) -> str:
    return "".join(chance.choice((*_BIDI, "abc", "שלום", "123", "مرحبا")) for _ in range(chance.randrange(1, 9)))


def _odd(chance: Random) -> str:
    return "".join(chance.choice(_ODD + "a") for _ in range(chance.randrange(1, 8))) + chance.choice(_CONTROLS)


def _wide(chance: Random) -> str:
    return "".join(chance.choice("梅田タワー한강ａＡ😀👩🏳️👍🏽") for _ in range(chance.randrange(1, 40)))
