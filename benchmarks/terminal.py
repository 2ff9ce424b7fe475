"""A program in a pseudo-terminal, measured from outside: a key goes in, bytes come back.

What makes the figures honest:

- The reader does nothing but read, stamp and answer what a terminal is asked. What the bytes draw is worked out once
  the program is quiet, so that no latency contains the work of this module.
- A latency reaches from just before the key is written to the last chunk that still changed a cell of the screen (its
  character or its look) before the program was quiet. Where something is expected on the screen, it has to be there;
  what never came is a miss, never a fast time.
- The first frame counts from just before the process is started, to the chunk that completed the screen.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pyte

COLUMNS: Final = 120
ROWS: Final = 40
QUIET_SECONDS: Final = 0.15
LONGEST_SECONDS: Final = 10.0
_QUIET_START_SECONDS: Final = 1.5  # a server counts for as long as that, while nothing is drawn
_LONGEST_ESCAPE: Final = 24
_END_SECONDS: Final = 2.0

PAGE_DOWN: Final = "\x1b[6~"
ESCAPE: Final = "\x1b"
CLEAR: Final = "\x15"  # Ctrl+U, which empties a field

# What a plain xterm answers: a program that asks and gets no answer may sit out a time-out of its own.
_ANSWERS: Final[tuple[tuple[re.Pattern[bytes], Callable[[re.Match[bytes]], bytes]], ...]] = (
    (re.compile(rb"\x1b\[6n"), lambda _: b"\x1b[1;1R"),
    (re.compile(rb"\x1b\[5n"), lambda _: b"\x1b[0n"),
    (re.compile(rb"\x1b\[0?c"), lambda _: b"\x1b[?62;22c"),
    (re.compile(rb"\x1b\[>0?c"), lambda _: b"\x1b[>41;390;0c"),
    (
        re.compile(rb"\x1b\[\?(\d+)\$p"),
        lambda asked: b"\x1b[?%s;%d$y" % (asked[1], 2 if asked[1] == b"2026" else 0),
    ),
    (re.compile(rb"\x1b\]10;\?(?:\x07|\x1b\\)"), lambda _: b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\"),
    (re.compile(rb"\x1b\]11;\?(?:\x07|\x1b\\)"), lambda _: b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
)
# Sequences that pyte would print as text.
_UNKNOWN_TO_PYTE: Final = re.compile(
    rb"\x1b\[[<>=][0-9;:]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p|\x1b\[[0-9;]*\$[a-z]|\x1b\[[0-9;]* q|\x1b\[\?[0-9;]*u"
    rb"|\x1b[P_^][^\x1b]*\x1b\\|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;]*t"
)
_WHOLE_ESCAPE: Final = re.compile(rb"\x1b(?:\[[0-9;:?<>=]*[@-~]|[^\[\]P_^])")

Lines = Sequence[str]
Expected = Callable[[Lines], bool]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one key, or for the start. Times are seconds from it; None where nothing changed.

    `seconds`: to the last chunk that changed the screen; `shown`: to the first one after which the screen showed what
    was expected and kept showing it. `compressed` is what an ssh with compression would send.
    """

    came: bool
    seconds: float | None
    shown: float | None
    size: int
    compressed: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the whole tree of processes, in bytes: resident, its share of what is shared, and what nobody else has."""

    resident: int
    proportional: int
    own: int


@dataclass(frozen=True, slots=True)
class Idle:
    """What a program that nobody uses does: bytes to the terminal, and the part of one core that it takes."""

    size: int
    core: float


class Program:
    """Runs `command` with this environment in a terminal of 120x40; ends it on leaving."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._looks = [0] * ROWS
        self._chunks: list[tuple[float, bytes]] = []
        self._parsed = self._size = 0
        self._unfinished = self._asked = b""
        self._ended = False
        self._compressor = zlib.compressobj(6)
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._began = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            env={
                **environment,
                "LC_ALL": "C.UTF-8",
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                "COLUMNS": str(COLUMNS),
                "LINES": str(ROWS),
            },
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for ask in (signal.SIGTERM, signal.SIGKILL):
            for process in self._tree():
                with suppress(ProcessLookupError):
                    os.kill(process, ask)
            end = time.perf_counter() + _END_SECONDS
            while self._process.poll() is None and time.perf_counter() < end:
                self._drain(0.02, end)
        self._process.wait()
        os.close(self._master)

    @property
    def lines(self) -> Lines:
        """The screen as text, line by line."""
        return self._screen.display

    def start(self, expected: Expected, finished: Expected | None = None, seconds: float = 60) -> Answer:
        """The first frame: of an unused program, what its start draws. What is `finished` later is waited for too."""
        return self._settle(self._began, expected, seconds, _QUIET_START_SECONDS, finished)

    def type(self, keys: str) -> None:
        """Write `keys` where nothing is measured, and wait until the program is quiet."""
        self.press_meanwhile(keys, 0.0)
        self._drain(QUIET_SECONDS, time.perf_counter() + LONGEST_SECONDS)
        self._replay()

    def press(self, keys: str, expected: Expected | None = None, seconds: float = LONGEST_SECONDS) -> Answer:
        """Write `keys` at once, and what becomes of them until the program is quiet."""
        self._drain(0.02, time.perf_counter() + 0.3)
        self._replay()
        return self.press_at_once(keys, expected, seconds)

    def press_at_once(self, keys: str, expected: Expected | None = None, seconds: float = LONGEST_SECONDS) -> Answer:
        """As press(), while the program may still be at work for an earlier key."""
        written = time.perf_counter()
        os.write(self._master, keys.encode())
        return self._settle(written, expected, seconds, QUIET_SECONDS)

    def press_meanwhile(self, keys: str, seconds: float) -> None:
        """Write `keys`, and go on after so many seconds, whatever the program does by then."""
        os.write(self._master, keys.encode())
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0 and not self._ended:
            self._read(left)

    def memory(self) -> Memory:
        resident = proportional = own = 0
        for process in self._tree():
            with suppress(OSError):
                held = dict(re.findall(r"^(\w+):\s+(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text(), re.M))
                resident += int(held["Rss"])
                proportional += int(held["Pss"])
                own += int(held["Private_Clean"]) + int(held["Private_Dirty"])
        return Memory(resident * 1024, proportional * 1024, own * 1024)

    def idle(self, seconds: float) -> Idle:
        """Watch for so many seconds without a key."""
        self._drain(QUIET_SECONDS, time.perf_counter() + 1)
        size, ran, begun = self._size, self._nanoseconds(), time.perf_counter()
        while (left := begun + seconds - time.perf_counter()) > 0 and not self._ended:
            self._read(left)
        return Idle(self._size - size, (self._nanoseconds() - ran) / 1e9 / (time.perf_counter() - begun))

    # Reading

    def _read(self, seconds: float) -> bool:
        """Take in what comes within so many seconds; whether anything did."""
        if not select.select([self._master], [], [], max(0.0, seconds))[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux: the last one who had the terminal open is gone
            data = b""
        if not data:
            self._ended = True
            return False
        self._chunks.append((time.perf_counter(), data))
        self._size += len(data)
        if b"\x1b" in data:
            held = self._asked + data
            for question, answer in _ANSWERS:
                for asked in question.finditer(held):
                    if asked.end() > len(self._asked):
                        os.write(self._master, answer(asked))
            self._asked = data[-12:]
        return True

    def _drain(self, quiet: float, end: float) -> None:
        """Read until nothing has come for `quiet` seconds, at most until the instant `end`."""
        last = time.perf_counter()
        while not self._ended:
            now = time.perf_counter()
            if now - last >= quiet or now >= end:
                return
            if self._read(min(quiet - (now - last), end - now)):
                last = time.perf_counter()

    def _settle(
        self, since: float, expected: Expected | None, seconds: float, quiet: float, finished: Expected | None = None
    ) -> Answer:
        end, first = since + seconds, len(self._chunks)
        changed: float | None = None
        shown: float | None = None
        while len(self._chunks) == first and time.perf_counter() < end and not self._ended:
            self._read(end - time.perf_counter())
        while True:
            self._drain(quiet, end)
            changed, shown = self._replay(expected, since, changed, shown)
            came = changed is not None if expected is None else shown is not None
            done = came and (finished is None or finished(self.lines))
            if done or time.perf_counter() >= end or self._ended:
                break
            self._read(min(0.5, end - time.perf_counter()))
        sent = b"".join(data for _, data in self._chunks[first:])
        packed = self._compressor.compress(sent) + self._compressor.flush(zlib.Z_SYNC_FLUSH) if sent else b""
        return Answer(
            came,
            None if changed is None else changed - since,
            None if shown is None else shown - since,
            len(sent),
            len(packed),
        )

    # What the bytes draw

    def _replay(
        self,
        expected: Expected | None = None,
        since: float = 0.0,
        changed: float | None = None,
        shown: float | None = None,
    ) -> tuple[float | None, float | None]:
        """Draw what was read and not drawn yet: when it last changed the screen, and since when it shows `expected`.

        What came before `since` is drawn and counts for nothing.
        """
        look = self._look()
        while self._parsed < len(self._chunks):
            stamp, data = self._chunks[self._parsed]
            self._parsed += 1
            self._draw(data)
            now = self._look()
            if now != look and stamp >= since:
                changed = stamp
            look = now
            if expected is not None and stamp >= since:
                shown = (stamp if shown is None else shown) if expected(self.lines) else None
        return changed, shown

    def _draw(self, data: bytes) -> None:
        data = self._unfinished + data
        # A sequence may be cut between two chunks.
        place = data.rfind(b"\x1b")
        cut = place >= 0 and len(data) - place < _LONGEST_ESCAPE and not _WHOLE_ESCAPE.match(data, place)
        data, self._unfinished = (data[:place], data[place:]) if cut else (data, b"")
        self._stream.feed(_UNKNOWN_TO_PYTE.sub(b"", data))

    def _look(self) -> int:
        """A hash of every cell with its colours; only the lines that pyte calls dirty are looked at again."""
        for row in self._screen.dirty:
            if row < ROWS:
                cells = self._screen.buffer[row]
                self._looks[row] = hash(tuple([cells[column] for column in range(COLUMNS)]))
        self._screen.dirty.clear()
        return hash(tuple(self._looks))

    # The processes

    def _tree(self) -> list[int]:
        """The program and all that it has started."""
        children: dict[int, list[int]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                with suppress(OSError):
                    parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
                    children.setdefault(parent, []).append(int(name))
        found, left = [], [self._process.pid]
        while left:
            process = left.pop()
            found.append(process)
            left += children.get(process, [])
        return found

    def _nanoseconds(self) -> int:
        """How long all threads ran so far: finer than the ticks of the clock."""
        ran = 0
        for process in self._tree():
            with suppress(OSError):
                for thread in os.listdir(f"/proc/{process}/task"):
                    ran += int(Path(f"/proc/{process}/task/{thread}/schedstat").read_text().split()[0])
        return ran
