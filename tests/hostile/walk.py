"""Every screen, page by page, on a terminal whose cells are counted by another library than the application's."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from unicodedata import combining

import pyte
from msgspec import Struct
from wcwidth import wcwidth

from tests.hostile.strings import PLANTED
from tests.journeys.material import SMARTSUB
from tests.journeys.test_fence import log_of
from tests.packaging.terminal import Terminal
from tests.sent import Sent

ESCAPE: Final = "\x1b[27u"
PAGE_DOWN: Final = "\x1b[6~"
_MOMENT: Final = 1.0  # seconds, after which the last page was the last one
SIZES: Final = ((80, 24), (120, 40))


class Ruler(pyte.Screen):
    """Notes on which lines more was drawn than there is room for."""

    def __init__(self, columns: int, rows: int) -> None:
        self.over: set[int] = set()
        super().__init__(columns, rows)

    def draw(self, data: str) -> None:
        if self.cursor.x + (len(data) if data.isascii() else sum(map(wcwidth, data))) > self.columns:
            self.over.add(self.cursor.y)
        # pyte draws nothing more behind a vowel sign that is no combining character to Unicode.
        super().draw("".join(each for each in data if each.isascii() or wcwidth(each) or combining(each)))


class Column(Struct, frozen=True):
    """Behind its head, or where that ends to the left, stands in every row what matches."""

    head: str
    form: str
    right: bool = False


class Visit(Struct, frozen=True):
    """Keys to a screen from the dashboard, what shows that it is there, and what stands in the columns of its table.

    `pages`: it is a list, gone through to its end by `step`.
    """

    keys: str
    there: str
    columns: tuple[Column, ...] = ()
    pages: bool = False
    step: str = PAGE_DOWN


_COUNTS: Final = tuple(Column(head, r"[\d,]+|\.", right=True) for head in ("Inactive", "Expiring", "Expired", "Unpaid"))
_STATUS: Final = Column("Status", r"\S (Time out|Failed|Cancel|Processing)")
VISITS: Final[Mapping[str, Visit]] = {
    "dashboard": Visit("", "NEEDS YOU", _COUNTS, pages=True),
    "subscriptions": Visit("2", "2 Subscriptions", _COUNTS, pages=True),
    "payments": Visit("3", "Order Number", (_STATUS, Column("Created", r"Today|\d\d \w{3}")), pages=True),
    "renew": Visit(":office !First\r", "Expires", (Column("Expires", r"30 Nov 2096"),), pages=True),
    "activate": Visit(":office !First\ra", "Price", (), pages=True),
    "views": Visit(
        "3w", "Whose", (Column("Whose", r"every"), Column("Sort", r"-created|newest|Created|created")), pages=True
    ),
    "triage": Visit("T", "Dashboard > Triage", (), pages=True),
    "expiring": Visit("E", "overdue", (), pages=True),
    "order": Visit("3\r", "Payments >"),
    "question": Visit("3G\rr", "Yes, order again"),
    "marked": Visit("3 j j jd", "Payments > Delete"),
    "commands": Visit(":office ", "office NAME"),
    "filter": Visit("3/office:", "office:"),
    "palette": Visit("\x10", "Enter"),
    "import": Visit("I\x15users.csv\r", "users.csv"),
    "import of all": Visit("I\x15csv\r", "csv"),
    "export": Visit("3e", "Export"),
    "pay": Visit("3/status:failed\r\rp", "Pay"),
    "billing": Visit("3b", "billing.example"),
    "messages": Visit("M", "Messages"),
    "help": Visit("?", "Keys of"),
}


class Walk:
    """The application at a terminal of one size over a hostile database."""

    def __init__(self, folder: Path, env: Mapping[str, str], size: tuple[int, int]) -> None:
        self.folder, self.size = folder, size
        self.sent = Sent()
        self.planted: set[bytes] = set()
        self.rows = self.pictures = 0
        self.crooked: list[str] = []
        command = [*SMARTSUB, "--admin", "manager", "--screen", "dashboard"]
        self.terminal = Terminal(command, cwd=folder, env=env, size=size, kind=Ruler)
        self.terminal.wait_for("NEEDS YOU")

    def close(self) -> None:
        self.terminal.__exit__(None, None, None)

    def visit(self, name: str, count: int) -> None:
        """To a screen, and over all of its pages where it is a list of `count`; then back."""
        way, terminal = VISITS[name], self.terminal
        terminal.type(way.keys)
        terminal.wait_for(way.there)
        self._changes("")
        for _ in range(2 + count if way.pages else 1):
            self._measure(name, way.columns)
            shown = terminal.text
            terminal.type(way.step)
            if not self._changes(shown):
                break
        self.back()

    def orders(self, count: int) -> None:
        """Info of one order after the other; every so many of them a whole picture."""
        terminal = self.terminal
        terminal.type("3")
        terminal.wait_for("Order Number")
        terminal.type("g\r")
        terminal.wait_for("Payments >")
        for _ in range(count - 1):
            self._measure("order", ())
            shown = terminal.text
            terminal.type("]")
            if not self._changes(shown):
                break
        self.back()

    def back(self) -> None:
        """It answers: to the dashboard, from wherever it is."""
        self.terminal.type(ESCAPE * 5 + "1")
        self.terminal.wait_for("NEEDS YOU")
        self._take()

    def leave(self) -> None:
        """By its key, with nothing written into the log: nothing of the data came to the fence as a sequence."""
        self.terminal.type("q")
        code = self.terminal.wait_for_exit()
        self._take()
        assert code == 0, self.terminal.text
        assert not log_of(self.folder).exists(), log_of(self.folder).read_text("utf-8")
        assert not self.sent.wrong, self.sent.wrong
        assert not self.planted, self.planted
        assert not self.crooked, "\n".join(self.crooked[:5])

    def _changes(self, shown: str) -> bool:
        """Whether something else is shown within a moment, as a whole picture."""
        end, terminal = time.monotonic() + _MOMENT, self.terminal
        while time.monotonic() < end:
            if not terminal.is_within_frame and terminal.text != shown:
                self._take()
                return True
            terminal.read(time.monotonic() + 0.02)
        return False

    def _take(self) -> None:
        data = self.terminal.taken()
        self.sent.take(data)
        self.planted |= {each for each in PLANTED if each in data}

    def _measure(self, name: str, columns: Sequence[Column]) -> None:
        screen: Any = self.terminal.screen
        self.crooked += [f"{name}: more than there is room for: {self._line(row)}" for row in screen.over]
        screen.over.clear()
        self.pictures += 1
        end, rows = time.monotonic() + _MOMENT, self.rows
        while (crooked := self._crooked(name, columns)) and time.monotonic() < end:
            self.terminal.read(time.monotonic() + 0.02)  # the picture may come in parts
            self.rows = rows
        self.crooked += crooked

    def _crooked(self, name: str, columns: Sequence[Column]) -> list[str]:
        crooked: list[str] = []
        if not columns:
            return crooked
        cells = self.terminal.cells
        # Marks stand in the cell of their letter, and a wide letter leaves the next one empty.
        lines = ["".join(cell.data[:1] or "\x00" for cell in row) for row in cells]
        at = next(
            (place for place, line in enumerate(lines) if all(column.head in line for column in columns[:1])), None
        )
        if at is None:
            return crooked
        start_of = lines[at].find(columns[0].head)
        for line in lines[at + 1 :]:
            if "─" in line or not line[:start_of].strip():
                break
            self.rows += 1
            for column in columns:
                start = lines[at].find(column.head)
                if start < 0:
                    continue
                if column.right:
                    found = re.search(rf"(?:^|\s)({column.form})$", line[: start + len(column.head)])
                else:
                    found = re.match(column.form, line[start:]) if line[start - 1] == " " else None
                if found is None:
                    crooked.append(f"{name}: {column.head}\n{lines[at]}\n{line!r}")

        return crooked

    def _line(self, row: int) -> str:
        return ascii("".join(cell.data for cell in self.terminal.cells[row]))
