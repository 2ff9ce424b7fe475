"""The gate before the terminal: what Textual sends passes as it is, nothing else does."""

from __future__ import annotations

import re
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.color import Color, ColorSystem
from rich.control import Control
from rich.segment import Segment
from rich.style import Style
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual.drivers import linux_driver
from textual.strip import Strip

from smartsub_tui import display
from smartsub_tui.fence import MOST_KINDS, SURE, Fence
from tests.test_display import texts

properties = settings(deadline=None, max_examples=300)

LINK: Final = "\x1b]8;id=17-42;https://billing.example/a?b=c%20d\x1b\\"
PARTS: Final = (
    "\x1b[0m", "\x1b[1;3;38;2;255;0;17;48;5;231m", "\x1b[40;120H", "\n\n\x1b[3;1H", LINK, "\x1b]8;;\x1b\\",
    "Østbanehallen 梅田 (3)", "─│▀…»✓█", "محمد عليّ", "मोहन", "สมชาย", "👨 ❤", "e\u0301",
)  # fmt: skip
ALONE: Final = (
    *(f"\x1b[?{mode}{end}" for mode in (7, 25, 1000, 1003, 1004, 1006, 1015, 1049, 2004, 2048) for end in "hl"),
    SYNC_START, SYNC_END, "\x1b[?2026$p", "\x1b[?2048$p", "\x1b[?1016h", "\x1b[<u", "\x07", "\x1b]22;default\x07",
    "\x1b]52;c;aGk=\x07", "\x1b]52;c;\x07", "\x1bP\x1b]52;c;aGk=\x07\x1b\\",
    "\x1bP\x1b]52;c;aGkg\x1b\\\x1bPaGk=\x1b\\\x1bP\x07\x1b\\",
)  # fmt: skip
# In a name, or of a fault; none of it may be sent.
HOSTILE: Final = (
    "\x1b]52;c;?\x07", "\x1b]52;c;aGk\x1b\\", "\x1b]52;p;aGk=\x07", "\x1b]52;c;rm -rf ~\x07", "\x1b]0;title\x07",
    "\x1b]8;id=1;file:///etc/passwd\x1b\\", "\x1b]8;id=1;javascript:1\x1b\\", "\x1b]8;id=1;https://a\x07.example\x1b\\",
    "\x1b]8;id=1;https://bücher.example\x1b\\", "\x1b]8;id=1:x=y;https://a.example\x1b\\", "\x1b]8;;https://a\x1b\\",
    "\x1b[2J", "\x1b[H", "\x1b[6n", "\x1b[c", "\x1b[21t", "\x1b[?47h", "\x1b[?1h", "\x1b[?9999h", "\x1b[?2004;1049l",
    "\x1b[4000m", "\x1b[12345;1H", "\x1b[" + "1;" * 40 + "1m", "\x1b[1:2m", "\x1b[m", "\x1b[>4;1m", "\x1b[1", "\x1b[",
    "\x1b", "\x1bc", "\x1b7", "\x1b(0", "\x1bP$q q\x1b\\", "\x1b_Gf=100;AAAA\x1b\\", "\x1bP\x1b]52;c;?\x07\x1b\\",
    "\x9b2J", "\x9d0;x\x9c", "\x90", "\x00", "\x05", "\x08", "\t", "\r", "\n", "\n ", "\x0e", "\x7f", "\x85",
    "\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u2028", "\u2800", "\ufe0f", "\ud800", "\udcff", "\ue000",
    "\U000e0041", "\U0001f1e9", "\U0001f3fd", "\u0378",
)  # fmt: skip

# The same said in another way.
_SENT: Final = re.compile(
    r"\x1b\[[0-9;]+m|\n*\x1b\[[0-9]+;[0-9]+H|\x1b\]8;(?:id=[0-9-]+;(?:https?|mailto):[\x21-\x7e]+|;)\x1b\\", re.I
)
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


def fenced(text: str) -> tuple[str, list[str], int]:
    """What is sent for it, the kinds that were told, and how many characters were replaced."""
    told: list[str] = []
    fence = Fence(told.append)
    sent = fence.passed(text)
    return sent, told, fence.replaced.total()


def is_allowed(sent: str) -> bool:
    """Whether nothing but text is left of a frame without its sequences, or it is one that goes alone."""
    left = _SENT.sub("", sent)
    return sent in ALONE or not (_CONTROL.search(left) or any(not display.is_harmless(each) for each in left))


@given(st.lists(st.sampled_from(PARTS)))
@properties
def test_what_textual_sends_passes_as_it_is(parts: list[str]) -> None:
    assert fenced("".join(parts)) == ("".join(parts), [], 0)


@pytest.mark.parametrize("text", ALONE, ids=ascii)
def test_what_goes_alone_passes_alone(text: str) -> None:
    assert fenced(text) == (text, [], 0)
    for frame in (f"Ann {text}", f"{text} Ann", f"{PARTS[1]}{text}{PARTS[0]}"):
        sent, told, replaced = fenced(frame)
        assert text not in sent
        assert is_allowed(sent)
        assert replaced >= len(told) >= 1


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_nothing_else_passes(text: str) -> None:
    shown, _, _ = fenced(text)
    assert re.search("<U[+][0-9A-F]{4,6}>", shown)
    for before, after in (("", ""), ("Ann", "Bob"), ("\x1b[1m", "\x1b[0m"), ("\x1b[3;4H", "")):
        sent, told, replaced = fenced(before + text + after)
        assert sent == before + shown + after
        assert is_allowed(sent)
        assert replaced >= len(told) >= 1


@given(st.lists(st.one_of(st.sampled_from(PARTS + ALONE + HOSTILE), texts)).map("".join))
@properties
@example("\n" * 2000 + "\x1b[1;1H")
def test_whatever_goes_in_only_what_is_allowed_comes_out(text: str) -> None:
    sent, told, replaced = fenced(text)
    assert is_allowed(sent)
    assert (sent == text) is (replaced == 0) is (told == [])
    assert all(each.isascii() and each.isprintable() for each in told)
    assert fenced(sent) == (sent, [], 0)


def test_a_sequence_does_not_come_in_two_writes() -> None:
    fence = Fence(lambda _: None)
    assert is_allowed(fence.passed("\x1b]52;c;") + fence.passed("aGk=") + fence.passed("\x07 "))


def test_each_kind_is_told_once_and_never_what_it_carries() -> None:
    told: list[str] = []
    fence = Fence(told.append)
    for _ in range(3):
        fence.passed("\x1b]52;c;U2VjcmV0\x07 Zoë \x1b]0;Secret\x07 \x1b[2J \u202eeel \x1b Secret")
    assert told == [r"'\x1b]52'", "U+0007", r"'\x1b]0'", r"'\x1b[2J'", "U+202E", r"'\x1b '"]
    assert fence.replaced.total() == 3 * 7
    for code in range(0xE000, 0xE000 + 10 * MOST_KINDS):
        fence.passed(chr(code))
    assert len(told) == MOST_KINDS
    assert fence.replaced.total() == 3 * 7 + 10 * MOST_KINDS


def test_what_is_not_looked_at_one_by_one_is_harmless() -> None:
    assert [hex(ord(each)) for each in map(chr, range(0x110000)) if _sure(each) and not display.is_harmless(each)] == []


def _sure(character: str) -> bool:
    return re.fullmatch(f"[{SURE}]", character) is not None


@pytest.mark.parametrize("system", ColorSystem)
def test_every_look_passes(system: ColorSystem) -> None:
    """As Textual itself renders it, with all that a style may have."""
    every = Style(
        color=Color.from_rgb(255, 254, 253), bgcolor=Color.from_ansi(255), bold=True, dim=True, italic=True,
        underline=True, blink=True, blink2=True, reverse=True, conceal=True, strike=True, underline2=True, frame=True,
        encircle=True, overline=True, link="https://billing.example/",
    )  # fmt: skip
    looks = [every, every + Style.from_meta({"@click": "x"}), Style(color="default", bgcolor="default"), Style()]
    text = "".join(
        Control.move_to(998, 498).segment.text + Strip.render_style(look, "Zoë", system) + "\n" for look in looks
    ) + Control.move_to(0, 0).segment.text  # fmt: skip
    assert fenced(text) == (text, [], 0)


def test_the_keyboard_protocol_that_is_asked_for_passes() -> None:
    asked = (
        linux_driver.KITTY_DISAMBIGUATE_ESCAPE_CODES
        | linux_driver.KITTY_REPORT_ALL_KEYS
        | linux_driver.KITTY_REPORT_ASSOCIATED_TEXT
    )
    assert fenced(f"\x1b[>{asked}u")[2] == 0


def test_a_long_frame_of_segments_is_passed() -> None:
    """The loop of the expression has no depth that a frame could reach."""
    strip = Strip([Segment("Zoë─ ", Style(color="red", bold=True))] * 20_000)
    text = "".join(
        Strip.render_style(segment.style, segment.text, ColorSystem.TRUECOLOR) for segment in strip if segment.style
    )
    assert fenced(text) == (text, [], 0)
