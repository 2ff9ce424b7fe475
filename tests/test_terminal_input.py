"""What a terminal sends: none of it is an error, no report types, and keys stay keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import XTermParser
from textual.events import AppFocus, Key, MouseEvent, MouseMove, Paste, Resize
from textual.geometry import Size
from textual.message import Message
from textual.messages import TerminalSupportsSynchronizedOutput

from smartsub_tui.terminal_input import MOST_COLUMNS, MOST_PASTED, MOST_ROWS, PasteRefused, TerminalInput

properties = settings(deadline=None, max_examples=300)

BEGIN, END = "\x1b[200~", "\x1b[201~"
# Each is dropped whole.
REPORTS: Final = (
    "\x1b[1114112u", "\x1b[55296u", "\x1b[97;1;56320u", "\x1b[99999999999999999999u", "\x1b[97:65;2u", "\x1b[97;1:3u",
    "\x1b[999~", "\x1b[100~", "\x1b[100A", "\x1b[12z", "\x1b[?62;22c", "\x1b[>41;390;0c", "\x1b[0n", "\x1b[1;1R",
    "\x1b[8;24;80t",
    "\x1b[" + "1" * 29 + "u", "\x1b[" + "1" * 30 + "u", "\x1b[" + "1;" * 4000 + "u", "\x1b[" + "7" * 90 + " q",
    "\x1b[<0;99999;1M", "\x1b[<0;1;99999M", "\x1b[<999999;1;1m", "\x1b[<0;-5;1M", "\x1b[32;10;10M", "\x1b[M !!",
    "\x1b[5m", "\x1b[<M", "\x1b]11;rgb:0000/0000/0000\x1b\\", "\x1b]11;rgb:0000/0000/0000\x07",
    "\x1bP>|xterm(390)\x1b\\", "\x1bP1+r544e=78\x1b\\", "\x1b_Gi=31;OK\x1b\\", "\x1b]52;c;" + "QUJD" * 5000 + "\x07",
)  # fmt: skip
# What is known, and what it means: one message each.
KNOWN: Final = {
    "j": "j", "é": "é", "\r": "enter", "\x1b[A": "up", "\x1b[6~": "pagedown", "\x1b[[A": "f1", "\x1b[97;5u": "ctrl+a",
    "\x1b[27u": "escape", "\x1b[20320;;20320u": "你",
    f"{BEGIN}a\x1b[Ab\r\nc{END}": "paste", "\x1b[48;24;80;480;1600t": "size", "\x1b[<35;10;10M": "mouse",
    "\x1b[I": "focus", "\x1b[?2026;2$y": "synchronized",
}  # fmt: skip


def said(messages: Iterable[Message]) -> list[str]:
    words = {
        Paste: "paste", Resize: "size", MouseMove: "mouse", AppFocus: "focus",
        TerminalSupportsSynchronizedOutput: "synchronized", PasteRefused: "refused",
    }  # fmt: skip
    return [each.key if isinstance(each, Key) else words.get(type(each), type(each).__name__) for each in messages]


def read(source: TerminalInput, *texts: str) -> list[Message]:
    return [message for text in texts for message in source.read(text.encode("utf-8", "surrogatepass"))]


@pytest.mark.parametrize("sequence", [*ANSI_SEQUENCES_KEYS], ids=ascii)
def test_every_key_that_textual_knows_is_as_it_says(sequence: str) -> None:
    if sequence == "\x1b":
        return  # which waits for what follows
    stock = [(each.key, each.character) for each in XTermParser().feed(sequence) if isinstance(each, Key)]
    keys = [(each.key, each.character) for each in read(TerminalInput(), sequence) if isinstance(each, Key)]
    assert keys == stock


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: ascii(report[:30]))
def test_what_is_no_key_types_nothing(report: str) -> None:
    for size in (len(report), 1, 7):
        source = TerminalInput()
        came = read(source, *(report[start : start + size] for start in range(0, len(report), size)))
        assert [each for each in came if isinstance(each, Key | Resize)] == []
        assert said(read(source, "j")) == ["j"]


def test_a_mouse_beyond_every_screen_is_none() -> None:
    source = TerminalInput()
    assert said(read(source, "\x1b[48;0;0;0;0t", "\x1b[<0;3;3M")) == ["size"]  # without a size there are no places
    assert not any(isinstance(each, MouseEvent) for each in read(TerminalInput(), "\x1b[<0;1001;3M", "\x1b[<0;3;501M"))


@given(st.lists(st.sampled_from([*KNOWN])), st.data())
@properties
def test_what_comes_in_pieces_is_what_was_sent(parts: list[str], data: st.DataObject) -> None:
    sent = "".join(parts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    source = TerminalInput()
    came = [
        message
        for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)
        for message in source.read(sent[start:end])
    ]
    assert said(came) == [KNOWN[part] for part in parts]
    assert [each.text for each in came if isinstance(each, Paste)] == ["a\x1b[Ab\r\nc"] * said(came).count("paste")


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                [
                    each.encode("utf-8", "surrogatepass")
                    for each in (*REPORTS, *KNOWN, BEGIN, END, "\x1b[", "\x1b", "200~", "[200~")
                ]
            ),
            st.text("\x1b[]<>?;:0123456789~uMmtRy$OPc\x07\\", max_size=50).map(str.encode),
            st.none(),
        )
    )
)
@example(parts=[b"\x1b[", None, b"200~"])  # the beginning of a paste, with a rest in it
@example(parts=[b"\x1b", None, b"[200~", b"x"])
@example(parts=[BEGIN.encode(), b"\xc2"])  # half a character before the Esc that ends the paste
@properties
def test_whatever_comes_keys_are_answered_after_it(parts: list[bytes | None]) -> None:
    source = TerminalInput()
    for part in parts:
        for message in source.silence() if part is None else source.read(part):
            if isinstance(message, Resize):
                assert 1 <= message.size.width <= MOST_COLUMNS
                assert 1 <= message.size.height <= MOST_ROWS
            if isinstance(message, Key) and message.character is not None:
                message.character.encode()
        list(source.tick())
    list(source.silence())
    list(source.read(b"\x1b[27u"))  # Esc ends a paste whose end does not come
    list(source.silence())
    list(source._parser.tick())
    assert said(source.read(b"\x1b[106u"))[-1:] == ["j"]


@pytest.mark.parametrize("size", [0, 1, MOST_PASTED, MOST_PASTED + 1, MOST_PASTED + 6, MOST_PASTED + 7, 2_000_000])
@pytest.mark.parametrize("piece", [4096, 4093, 10_000_000])
def test_a_paste_is_taken_whole_or_not_at_all(size: int, piece: int) -> None:
    source, sent = TerminalInput(), f"{BEGIN}{'x' * size}{END}j"
    came = read(source, *(sent[start : start + piece] for start in range(0, len(sent), piece)))
    assert said(came) == ["paste" if size <= MOST_PASTED else "refused", "j"]
    assert [len(each.text) for each in came if isinstance(each, Paste)] == [size] * (size <= MOST_PASTED)


def test_a_paste_without_an_end_is_left_by_escape() -> None:
    source = TerminalInput()
    assert read(source, BEGIN, "d", "\x1b", "y") == []
    list(source.silence())
    assert said(read(source, "dy")) == []
    list(source.silence())
    came = read(source, "\x1b")
    assert said(came) == ["paste"]
    assert isinstance(came[0], Paste)
    assert came[0].text == ""
    assert said(read(source, "j")) == ["j"]


@pytest.mark.parametrize(
    ("sent", "size"),
    [((24, 80), (80, 24)), ((1, 1), (1, 1)), ((0, 0), (1, 1)), ((30_000, 30_000), (MOST_COLUMNS, MOST_ROWS))],
)
def test_sizes_are_within_reason(sent: tuple[int, int], size: tuple[int, int]) -> None:
    (came,) = read(TerminalInput(), f"\x1b[48;{sent[0]};{sent[1]};0;0t")
    assert isinstance(came, Resize)
    assert came.size == Size(*size)


def test_bytes_that_are_no_text_are_seen_as_that() -> None:
    source = TerminalInput()
    assert [each.character for each in source.read(b"a\xffb") if isinstance(each, Key)] == ["a", "\ufffd", "b"]
