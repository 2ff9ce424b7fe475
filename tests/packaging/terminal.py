"""A program in a pseudo-terminal, seen as a person sees it: as the screen that its output draws.

It is a terminal with synchronized output (mode 2026), as most are. What a program writes comes in pieces, however large
a test reads: half of a frame shows what neither the screen before it nor the one behind it shows, and keys that are
typed on the strength of that go astray. So nothing is looked at before the end of a frame.
"""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pyte

COLUMNS, ROWS = 80, 24
_ASKED: Final = b"\x1b[?2026$p"  # does the terminal have it?
_ANSWER: Final = b"\x1b[?2026;2$y"
_WITHIN: Final = 2026 << 5  # how pyte writes down that a private mode is on


class Terminal:
    """Runs `command` with a terminal of 80x24, or of `size`, as its input, output and errors; ends it on leaving.

    `term` is its name in TERM, `kind` the screen that it is seen on.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str],
        term: str = "xterm-256color",
        size: tuple[int, int] = (COLUMNS, ROWS),
        kind: Callable[[int, int], pyte.Screen] = pyte.Screen,
    ) -> None:
        self._columns, self._rows = size
        self._screen = kind(*size)
        self._stream = pyte.ByteStream(self._screen)
        self.blind = False  # draws nothing more: what comes may be cut off within a sequence
        self.output = b""
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", self._rows, self._columns, 0, 0))
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**env, "TERM": term},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        self._name = os.ttyname(slave)
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self.hang_up()

    @property
    def screen(self) -> pyte.Screen:
        return self._screen

    @property
    def text(self) -> str:
        # pyte's own fails where half of a wide character is written over.
        return "\n".join("".join(cell.data for cell in row) for row in self.cells)

    @property
    def cells(self) -> list[list[pyte.screens.Char]]:
        """What stands in each cell, with its colours, row by row."""
        return [[self._screen.buffer[y][x] for x in range(self._columns)] for y in range(self._rows)]

    @property
    def is_within_frame(self) -> bool:
        """Whether the rest of a frame is on its way."""
        return not self.blind and _WITHIN in self._screen.mode

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def write_over(self, data: bytes) -> None:
        """As another program that writes to the same terminal, such as wall, or the kernel."""
        line = os.open(self._name, os.O_WRONLY | os.O_NOCTTY)
        try:
            os.write(line, data)
        finally:
            os.close(line)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self._process

    def hang_up(self) -> None:
        """As when the window is closed, or the line breaks."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def send(self, data: bytes, seconds: float = 60) -> None:
        """Writes so much that the program has to read it meanwhile, and reads what it draws."""
        end = time.monotonic() + seconds
        os.set_blocking(self._master, False)
        while data:
            assert time.monotonic() < end, f"{len(data)} bytes were not read within {seconds} s"
            _, ready, _ = select.select([], [self._master], [], 0.1)
            if ready:
                data = data[os.write(self._master, data[:4096]) :]
            self._read(time.monotonic())
        os.set_blocking(self._master, True)

    def try_to_send(self, data: bytes, seconds: float = 60) -> bool:
        """Writes as `send` does, to a program that may end meanwhile; whether it is still there."""
        end = time.monotonic() + seconds
        os.set_blocking(self._master, False)
        while data:
            assert time.monotonic() < end, f"{len(data)} bytes were not read within {seconds} s"
            readable, writable, _ = select.select([self._master], [self._master], [], 0.1)
            if readable and not self._read(time.monotonic()):
                return False
            if writable:
                with suppress(BlockingIOError):
                    data = data[os.write(self._master, data[:4096]) :]
        os.set_blocking(self._master, True)
        return True

    def read(self, end: float) -> bool:
        """Takes in what is written until that moment of time.monotonic(); false when nobody can write any more."""
        return self._read(end)

    def taken(self) -> bytes:
        """All that was written since this was asked last."""
        taken, self.output = self.output, b""
        return taken

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self._process.pid, signal.SIGWINCH)

    def wait_for(self, text: str, seconds: float = 60, *, gone: bool = False) -> None:
        """Reads until the screen shows `text`, or does not show it any more."""
        self.wait_until(lambda: (text in self.text) is not gone, f"{text!r} to {'go' if gone else 'come'}", seconds)

    def wait_until(self, true: Callable[[], object], what: str, seconds: float = 60) -> None:
        """Reads until `what` is true of the screen, or of anything else."""
        end = time.monotonic() + seconds
        while self.is_within_frame or not true():
            assert time.monotonic() < end, f"waited {seconds} s for {what}:\n{self.text}"
            assert self._read(end), f"ended with {self._process.wait(60)}, still waiting for {what}:\n{self.text}"

    def wait_for_exit(self, seconds: float = 60) -> int:
        """Reads until the program has ended; returns its exit status."""
        end = time.monotonic() + seconds
        while self._read(end):
            assert time.monotonic() < end, f"did not end within {seconds} s:\n{self.text}"
        return self._process.wait(timeout=seconds)

    def written_within(self, seconds: float) -> bytes:
        """What is written in so many seconds."""
        before, end = len(self.output), time.monotonic() + seconds
        while time.monotonic() < end and self._read(end):
            pass
        return self.output[before:]

    def _read(self, end: float) -> bool:
        """Takes in what was written, if something comes until then; false when nobody can write any more."""
        ready, _, _ = select.select([self._master], [], [], max(0, end - time.monotonic()))
        if not ready:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux: the last one who had the terminal open is gone
            return False
        # Asked alone, but what stands before it may end within it.
        asked = (self.output[1 - len(_ASKED) :] + data).count(_ASKED)
        self.output += data
        if asked:
            with suppress(BlockingIOError):  # nobody reads what is typed
                os.write(self._master, _ANSWER * asked)
        if not self.blind:
            self._stream.feed(data)
        return bool(data)
