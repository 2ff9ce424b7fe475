"""Between Textual and the terminal: what goes out passes the fence."""

from __future__ import annotations

from typing import Any

from textual.drivers.linux_driver import LinuxDriver

from smartsub_tui.failures import note
from smartsub_tui.fence import Fence


class TerminalDriver(LinuxDriver):
    """Textual's driver for terminals, behind the fence."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._fence = Fence(lambda kind: note(f"not sent to the terminal, shown by its number instead: {kind}"))

    def write(self, data: str) -> None:
        super().write(self._fence.passed(data))

    def close(self) -> None:
        if replaced := self._fence.replaced.total():
            note(f"not sent to the terminal in this session: {replaced} in all")
            self._fence.replaced.clear()
        super().close()
