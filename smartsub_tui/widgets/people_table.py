"""The people of an office who can be in an order: marks, dates as they are and as they would be, price, or why not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Final

from msgspec import Struct
from rich.text import Text
from textual.widgets import DataTable

from smartsub_tui import display
from smartsub_tui.data.records import UserRecord
from smartsub_tui.data.vocabulary import OfficeKind
from smartsub_tui.widgets.row_table import RowTable, mark_cell

RENEWAL: Final = ("department", "service", "expires", "becomes", "price")
ACTIVATION: Final = ("apartment", "kind", "becomes", "price")

_SIZES: Final = {"apartment": 10, "kind": 17, "service": 8, "expires": 14, "becomes": 11, "price": 11}
_WIDE_SERVICE: Final = 21
_FEWEST_NAME: Final = 14
# Where there is no room, these go, in this order: the name matters more than where and what.
_FIRST_TO_GO: Final = ("department", "apartment", "kind", "service")


class Person(Struct, frozen=True):
    """A row: the user, what an order would make of them, or why they cannot be in one."""

    user: UserRecord
    becomes: date | None
    price: str
    reason: str | None


class PeopleTable(RowTable):
    """Rows are kept by user id, so marks and cursor survive a filter. Shows a mark, the name, and `columns`."""

    def __init__(self, columns: Sequence[str] = RENEWAL) -> None:
        super().__init__()
        self._shows = tuple(columns)
        self.people: tuple[Person, ...] = ()

    @property
    def current(self) -> Person | None:
        """The person under the cursor."""
        return self.people[self.cursor_row] if 0 <= self.cursor_row < len(self.people) else None

    def show(self, people: Sequence[Person], marked: Collection[str], today: date, kind: OfficeKind) -> None:
        """Show these people; `kind` says what their office calls its parts."""
        here = self.current.user.id if self.current else None
        width = self.room
        sizes = self._widths(people, width)
        heads = {
            "department": kind.department_label,
            "apartment": "Apartment",
            "kind": "Kind",
            "service": "Service",
            "expires": "Expires",
            "becomes": "Becomes",
            "price": "Price",
        }
        with self.prevent(DataTable.RowHighlighted):
            self.clear(columns=True)
            self.add_column(Text(""), key="mark", width=2)
            name = width - 2 - sum(sizes.values())
            self.add_column(Text("User"), key="name", width=name)
            for key, size in sizes.items():
                head = display.fit(heads[key], size, align="right" if key == "price" else "left")
                self.add_column(Text(head), key=key, width=size)
            for person in people:
                self.add_row(
                    mark_cell(person.user.id in marked),
                    display.cell(display.fit(person.user.name, name - 1)),
                    *(_cell(person, key, size, today) for key, size in sizes.items()),
                    key=person.user.id,
                )
            self.people = tuple(people)
        ids = [person.user.id for person in people]
        self.move_cursor(row=ids.index(here) if here in ids else 0)

    def _widths(self, people: Sequence[Person], width: int) -> dict[str, int]:
        """The width of every column that there is room for, its gap included, but for the name's."""
        sizes = {key: _SIZES.get(key, 0) for key in self._shows}
        if "service" in sizes and width >= 100:
            sizes["service"] = _WIDE_SERVICE
        if "department" in sizes:
            longest = max([10, *(display.cell_width(each.user.department) for each in people)]) + 1
            sizes["department"] = min(longest, max(11, (width - 2 - sum(sizes.values())) // 2))
        for key in _FIRST_TO_GO:
            if width - 2 - sum(sizes.values()) >= _FEWEST_NAME:
                break
            sizes.pop(key, None)
        return sizes

    def mark(self, row: int, marked: bool) -> None:
        """Show or take away the mark of one row."""
        self.update_cell(self.people[row].user.id, "mark", mark_cell(marked))


def _cell(person: Person, key: str, size: int, today: date) -> Text:
    user = person.user
    match key:
        case "department":
            return display.cell(display.fit(user.department, size - 1))
        case "apartment":
            return display.cell(display.fit(user.apartment or "", size - 1))
        case "kind":
            return display.cell(display.fit(user.kind.label, size - 1))
        case "service":
            service = user.service.label if size >= _WIDE_SERVICE else user.service.value
            return display.cell(display.fit(service, size - 1))
        case "expires":
            look = display.user_state(user.state)
            return display.cell(display.fit(display.expiry(user.expires_on, today), size - 1), look.style)
        case "becomes":
            # There is room for a word; the line below the table says the whole of the current row.
            last = display.service_date(person.becomes) if person.reason is None else "cannot now"
            return display.cell(last, "quiet" if person.reason else "")
        case _:
            return display.cell(display.fit(person.price, size, align="right"))
