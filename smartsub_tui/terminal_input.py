"""What the terminal sends, as messages: whatever it is, none of it ends the application, and no report of it types.

Textual's parser takes what it does not know for keys, and keys are commands. So what is no key, no paste and no report
that was asked for is dropped here: key reports with numbers that are none, sequences that no one knows or that do not
end, the answers of a terminal (OSC, DCS) to what another program asked.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Generator, Iterator
from typing import Final

from textual._xterm_parser import BRACKETED_PASTE_END, XTermParser, _re_mouse_event, _re_terminal_mode_response
from textual.events import CursorPosition, Key, MouseEvent, Paste, Resize
from textual.keys import Keys
from textual.message import Message

from smartsub_tui.failures import note

# A screen is never larger: 30,000 lines of 30,000 columns would cost seconds and memory without end.
MOST_COLUMNS: Final = 1000
MOST_ROWS: Final = 500
# Lists of numbers fit, files do not: for these there is the import.
MOST_PASTED: Final = 65_536

# What is no key, by how it begins: a paste, an answer to a question, a sequence longer than any that Textual knows.
_BEGIN: Final = re.compile(r"\x1b(?:(?P<paste>\[200~)|(?P<answer>[]P_^X][^\x1b\x07])|(?P<long>\[[0-?]{29}(?=[ -?])))")
_UNFINISHED: Final = re.compile(r"\x1b(?:[]P_^X]|\[[0-?]{0,29})?\Z")
_END: Final = {
    "answer": re.compile(r"\x07|\x1b\\|(?=\x1b[^\\])|\x1b\Z"),
    "long": re.compile(r"[@-~]|(?=[^ -~])"),
}
_FINAL: Final = "y"  # ends a sequence, and none that is known
# The whole of a sequence. Behind two of them comes more: a report of the mouse, a function key of the Linux console.
_WHOLE: Final = re.compile(r"(?!\x1b\[[M[]\Z)\x1b\[[0-?]*[ -/]*[@-~]|\x1b[]P_^X][^\x1b\x07]")
_FUNCTION: Final = re.compile(r"\x1b\[[0-?]+[A-Z~]")
_STOP: Final = ("\x1b", "\x03", "\x1b[27u", "\x1b[99;5u")  # Esc and Ctrl+C


class PasteRefused(Message):
    """More was pasted than MOST_PASTED characters; none of it was taken."""


class TerminalParser(XTermParser):
    """Textual's parser, which drops what it cannot read."""

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterator[Key]:
        try:
            keys = list(super()._sequence_to_key_events(sequence, alt))
        except (ValueError, OverflowError):  # of numbers that are no characters
            keys = []
        if any(_is_made_up(key, sequence) for key in keys):
            keys = []
        if not keys and _WHOLE.fullmatch(sequence) and not _is_report(sequence):
            keys = [Key(Keys.Ignore, sequence)]
        yield from keys

    @property
    def is_within(self) -> bool:
        """Whether it waits for more of a sequence; when none comes, its next tick ends that."""
        return self._timeout_time is not None

    def parse_mouse_code(self, code: str) -> Message | None:
        try:
            event = super().parse_mouse_code(code)
        except (ZeroDivisionError, ValueError, OverflowError):  # of a screen without a size
            return None
        if isinstance(event, MouseEvent) and not (event.x < MOST_COLUMNS and event.y < MOST_ROWS):
            return None
        return event


def _is_made_up(key: Key, sequence: str) -> bool:
    """Whether it stands for half a character, or for the one whose number is that of an unknown function key."""
    if not (character := key.character):
        return False
    return "\ud800" <= character <= "\udfff" or (character.isprintable() and bool(_FUNCTION.fullmatch(sequence)))


def _is_report(sequence: str) -> bool:
    return bool(_re_mouse_event.match(sequence) or _re_terminal_mode_response.match(sequence))


def within(columns: int, rows: int) -> tuple[int, int]:
    """The size of a screen that is drawn on a terminal of this size."""
    return max(1, min(columns, MOST_COLUMNS)), max(1, min(rows, MOST_ROWS))


class TerminalInput:
    """Bytes into messages."""

    def __init__(self) -> None:
        self._decode = getincrementaldecoder("utf-8")(errors="replace").decode
        self._parser = TerminalParser()
        self._tail = ""  # the parser has it already; it may be the beginning of what is no key
        self._inside: str | None = None  # what is no key: a group of _BEGIN
        self._pasted = ""
        self._too_long = False
        self._silent = False
        self._escape = ""  # of an answer: perhaps the first half of its end

    def read(self, data: bytes) -> Iterator[Message]:
        """The messages of what came, as far as they are complete."""
        silent, self._silent = self._silent, False
        yield from self._read(self._decode(data), silent=silent)

    def _read(self, text: str, *, silent: bool = False) -> Iterator[Message]:
        text = self._escape + text
        self._escape = ""
        while text:
            if self._inside is None:
                text = yield from self._keys(text)
            elif self._inside != "paste":
                text = self._dropped(text)
            elif silent and text in _STOP:  # the end of the paste will not come
                self._pasted = ""
                text = yield from self._paste(BRACKETED_PASTE_END)
            else:
                text = yield from self._paste(text)

    def tick(self) -> Iterator[Message]:
        """To be called again and again: Esc was a key of its own if nothing follows it soon."""
        yield from self._parser.tick()
        if not self._parser.is_within:  # two that disagree on what a paste begins with would wait for its end for ever
            self._tail = ""

    def silence(self) -> Iterator[Message]:
        """To be called when nothing came for a while. What a terminal sends comes in one piece, but for pastes."""
        yield from self._read(self._decode(b"", True))  # of a character whose rest does not come
        self._silent = True
        if self._inside != "paste":
            self._inside, self._escape = None, ""
            if len(self._tail) > len("\x1b["):
                yield from self._parsed(_FINAL)
                self._tail = ""

    def _keys(self, text: str) -> Generator[Message, None, str]:
        """Takes what is typed, and returns what is left behind the beginning of something else."""
        before = len(self._tail)
        text = self._tail + text
        begin = _BEGIN.search(text)
        if begin is None:
            unfinished = _UNFINISHED.search(text)
            self._tail = "" if unfinished is None else unfinished[0]
            yield from self._parsed(text[before:])
            return ""
        self._inside, self._tail = begin.lastgroup, ""
        yield from self._parsed(text[before : begin.end()])
        if self._inside == "long":
            yield from self._parsed(_FINAL)
        return text[begin.end() :]

    def _paste(self, text: str) -> Generator[Message, None, str]:
        """Takes what is pasted up to its end, and returns what is left behind that."""
        pasted, end, rest = (self._pasted + text).partition(BRACKETED_PASTE_END)
        self._too_long = self._too_long or len(pasted) > MOST_PASTED + len(BRACKETED_PASTE_END)
        if not end:
            # The end may come in two pieces.
            self._pasted = pasted[-len(BRACKETED_PASTE_END) :] if self._too_long else pasted
            return ""
        too_long = self._too_long or len(pasted) > MOST_PASTED
        self._inside, self._pasted, self._too_long = None, "", False
        yield from self._parsed(end)
        yield PasteRefused() if too_long else Paste(pasted.replace("\0", ""))
        return rest

    def _dropped(self, text: str) -> str:
        end = _END[self._inside or ""].search(text)
        if end is None:
            return ""
        if end[0] == "\x1b":
            self._escape = end[0]
            return ""
        self._inside = None
        return text[end.end() :]

    def _parsed(self, text: str) -> Iterator[Message]:
        if not text:  # which would be the end to the parser
            return
        try:
            for message in self._parser.feed(text):
                if isinstance(message, Resize):
                    yield Resize.from_dimensions(within(*message.size), message.pixel_size)
                elif not isinstance(message, Paste | CursorPosition):  # of the first it saw beginning and end
                    yield message
        except Exception as error:  # whatever a terminal sends, the keys behind it are answered
            note(f"what the terminal sent could not be read: {type(error).__name__}")
            self._parser = TerminalParser()
