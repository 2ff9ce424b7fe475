"""The people of an office who can be in an order: marks, dates as they are and as they would be, price, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from msgspec import Struct

from smartsub_tui import display
from smartsub_tui.data.records import UserRecord
from smartsub_tui.data.vocabulary import OfficeKind
from smartsub_tui.widgets.windowed_table import Head, WindowedTable

RENEWAL: Final = ("department", "service", "expires", "becomes", "price")
ACTIVATION: Final = ("apartment", "kind", "becomes", "price")

# Cells of every column but the name's and the department's, without the gap behind each.
_SIZES: Final = {"apartment": 9, "kind": 16, "service": 7, "expires": 13, "becomes": 10, "price": 11}
_WIDE_SERVICE: Final = 20
_FEWEST_NAME: Final = 13
_FEWEST_DEPARTMENT: Final = 10
# Where there is no room, these go, in this order: the name matters more than where and what.
_FIRST_TO_GO: Final = ("department", "apartment", "kind", "service")


class Person(Struct, frozen=True):
    """A row: the user, what an order would make of them, or why they cannot be in one."""

    user: UserRecord
    becomes: date | None
    price: str
    reason: str | None


class PeopleTable(WindowedTable[Person]):
    """A window of people, told apart by user id. Shows a mark, the name, and `columns`."""

    def __init__(self, columns: Sequence[str] = RENEWAL) -> None:
        self._shows = tuple(columns)
        self._today = date.min
        self._kind = OfficeKind.OFFICE
        self._departments: set[str] = set()  # whose width is known
        self._longest = _FEWEST_DEPARTMENT
        self._sizes: dict[str, int] = {}
        super().__init__()

    def key_of(self, row: Person) -> str:
        return row.user.id

    def begin(self, today: date, kind: OfficeKind, *, anew: bool) -> None:
        """What comes is read on that day, `kind` says what the office calls its parts; `anew`: it is another list."""
        self._today, self._kind = today, kind
        if anew:
            self._departments.clear()
            self._longest = _FEWEST_DEPARTMENT

    def heads(self) -> list[Head]:
        for row in self.window.rows:
            department = row.user.department
            if department not in self._departments:
                self._departments.add(department)
                self._longest = max(self._longest, display.cell_width(department))
        # Less a scroll bar that may come, the cell of the mark and a gap.
        width = (self.outer_size.width or self.app.size.width) - 3
        self._sizes = self._widths(width)
        texts = {"name": "User", "department": self._kind.department_label}
        return [
            Head("mark", "", 0),
            *(
                Head(key, texts.get(key, key.capitalize()), size, right=key == "price")
                for key, size in self._sizes.items()
            ),
        ]

    def _widths(self, width: int) -> dict[str, int]:
        """The width of every column that there is room for: the name has what is left."""
        sizes = {key: _SIZES.get(key, 0) for key in self._shows}
        if "service" in sizes and width >= 97:
            sizes["service"] = _WIDE_SERVICE

        def left() -> int:
            return width - sum(sizes.values()) - len(sizes)

        if "department" in sizes:
            sizes["department"] = min(self._longest, max(_FEWEST_DEPARTMENT, left() // 2))
        for key in _FIRST_TO_GO:
            if left() >= _FEWEST_NAME:
                break
            sizes.pop(key, None)
        return {"name": max(1, left()), **sizes}

    def cells(self, row: Person) -> list[tuple[str, str]]:
        return [("", ""), *(self._cell(row, key, size) for key, size in self._sizes.items())]

    def _cell(self, person: Person, key: str, size: int) -> tuple[str, str]:
        user = person.user
        match key:
            case "name":
                return display.fit(user.name, size), ""
            case "department":
                return display.fit(user.department, size), ""
            case "apartment":
                return display.fit(user.apartment or "", size), ""
            case "kind":
                return display.fit(user.kind.label, size), ""
            case "service":
                return display.fit(user.service.label if size >= _WIDE_SERVICE else user.service.value, size), ""
            case "expires":
                return display.fit(display.expiry(user.expires_on, self._today), size), display.user_state(
                    user.state
                ).style
            case "becomes":
                # There is room for a word; the line below the table says the whole of the current row.
                last = display.service_date(person.becomes) if person.reason is None else "cannot now"
                return display.fit(last, size), "quiet" if person.reason else ""
            case _:
                return display.fit(person.price, size, align="right"), ""
