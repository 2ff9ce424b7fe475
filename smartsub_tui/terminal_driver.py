"""Between Textual and the terminal: what goes out passes the fence, and whatever ends it, the terminal is as before.

Signals that ask for the end, and a terminal that is gone, end the application as its own way out does: the write that
is under way is finished, the terminal restored, the process gone with 128 and the number of the signal. What hangs
meanwhile (a lock of the database, a terminal that takes nothing) is not waited for longer than MOST_SECONDS.
"""

from __future__ import annotations

import os
import select
import selectors
import signal
import sys
import termios
from asyncio import Queue
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import IO, Any, Final, cast

from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from smartsub_tui.errors import Unavailable
from smartsub_tui.failures import note
from smartsub_tui.fence import Fence
from smartsub_tui.picture import Picture
from smartsub_tui.terminal_input import TerminalInput, within

MOST_SECONDS: Final = 5
_ENDING: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
_READ: Final = 4096
_TICK: Final = 0.1  # seconds between two looks whether Esc was a key of its own, or whether to stop
_MOST_WAITING: Final = 2000  # messages that are not yet taken
# As stop_application_mode writes it, for when nothing else can be done.
_RESTORING: Final = (
    b"\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[?1016l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l"
    b"\x1b[?2026l\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
)


class _Outlet:
    """The stream to the terminal. Once it cannot be written to, it takes everything and `gone` is called."""

    def __init__(self, stream: IO[str], gone: Callable[[], object]) -> None:
        self._stream, self._call_gone, self._gone = stream, gone, False

    def write(self, text: str) -> None:
        self._try(lambda: self._stream.write(text))

    def flush(self) -> None:
        self._try(self._stream.flush)

    def fileno(self) -> int:
        return self._stream.fileno()

    def _try(self, act: Callable[[], object]) -> None:
        if self._gone:
            return
        try:
            act()
        except (OSError, ValueError):  # broken, or closed
            self._gone = True
            self._call_gone()


class TerminalDriver(LinuxDriver):
    """Textual's driver for terminals, behind the fence, and with an end for every signal."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._outlet = _Outlet(cast(IO[str], sys.__stderr__), self._hung_up)
        self._file = self._outlet  # type: ignore[assignment] # it has all of a stream that Textual uses
        self._fence = Fence(lambda kind: note(f"not sent to the terminal, shown by its number instead: {kind}"))
        self.picture = Picture(self._app.console)
        self._found: list[Any] | None = None  # how the terminal was set
        self._size = within(*(self._size or super()._get_terminal_size()))
        self._taken = False  # the terminal is in use, and not yet as it was
        self._code = 0  # of the exit that was asked for
        self.said = ""  # to standard error, where it is not waited for what is under way
        signal.signal(signal.SIGALRM, self._give_up)
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, self._asked_to_end)

    # What goes out

    def write(self, data: str) -> None:
        super().write(self._fence.passed(data))

    def start_application_mode(self) -> None:
        self._taken = True
        self.picture.forget()
        super().start_application_mode()  # type: ignore[no-untyped-call] # as Textual declares it
        # Taken up again, it may be set as it was left.
        if self._found is None:
            self._found = self.attrs_before
        self.attrs_before = self._found

    def stop_application_mode(self) -> None:
        if self._mouse_pixels:  # Textual leaves it on
            self._mouse_pixels = False
            self.write("\x1b[?1016l")
        super().stop_application_mode()
        self._taken = False

    def close(self) -> None:
        if replaced := self._fence.replaced.total():
            note(f"not sent to the terminal in this session: {replaced} in all")
            self._fence.replaced.clear()
        super().close()

    # What comes in

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except Exception as error:  # told by the application, as one of its own: a thread's would be lost
            self._app.call_later(self._app._handle_exception, error)

    def run_input_thread(self) -> None:
        """Read what is typed until the end; a terminal that has nothing more to read is gone."""
        source = TerminalInput()
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(_TICK):
                    data = self._read()
                    if not data:
                        self._hung_up()
                        break
                    self._hand_on(source.read(data))
                else:
                    self._hand_on(source.silence())
                self._hand_on(source.tick())
                self._wait_for_application()

    def _hand_on(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.process_message(message)

    def _wait_for_application(self) -> None:
        """Leave to the terminal what nobody could take yet: two megabytes of keys are two million messages."""
        queue: Queue[Message | None] = self._app._message_queue
        while queue.qsize() > _MOST_WAITING and not self.exit_event.is_set():
            self.exit_event.wait(_TICK)

    def _get_terminal_size(self) -> tuple[int, int]:
        return within(*super()._get_terminal_size())

    def _read(self) -> bytes:
        try:
            return os.read(self.fileno, _READ)
        except OSError:
            return b""

    # The end

    def _asked_to_end(self, number: int, _frame: object) -> None:
        self._end(number)

    def _hung_up(self) -> None:
        self._end(signal.SIGHUP)

    def _end(self, number: int) -> None:
        """Leave as the application itself does. This runs inside whatever a signal interrupts: it takes no lock."""
        if self._code:
            return
        self._code = 128 + number
        signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
        with suppress(RuntimeError):  # the loop has ended: so will the process
            self._loop.call_soon_threadsafe(self._app.call_later, self._leave)

    def _leave(self) -> None:
        if not self._app._exit:
            self._app.exit(return_code=self._code)

    def leave_at_once(self) -> None:
        """Go without waiting for anything, with the exit code of what cannot be had."""
        self._code = self._code or Unavailable.exit_code
        self._give_up(signal.SIGALRM, None)

    def _give_up(self, _number: int, _frame: object) -> None:
        """Restore the terminal as far as it lets itself, and go. What is being written to the database rolls back."""
        if self._found is not None:
            with suppress(OSError, termios.error):
                termios.tcsetattr(self.fileno, termios.TCSANOW, self._found)
        with suppress(OSError):
            out = self._outlet.fileno()
            # What is taken back twice may be taken from the one who had the terminal before.
            if self._taken and select.select([], [out], [], 0)[1]:
                os.write(out, _RESTORING + f"{self.said}\n".encode() * bool(self.said))
        os._exit(self._code)

    # Ctrl+Z

    def _sigtstp_application(self, *_: object) -> None:
        """Nothing: mostly it was hit by mistake, and behind SSH there may be no shell to come back from."""

    def _sigcont_application(self, *_: object) -> None:
        """Who was stopped all the same (SIGSTOP) finds the terminal as the shell wanted it."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._take_up)

    def _take_up(self) -> None:
        if self._writer_thread is None or self._app._exit:
            return
        self.suspend_application_mode()
        self.resume_application_mode()
        self._app.refresh()  # the terminal has forgotten all of it
