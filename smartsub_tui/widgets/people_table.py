"""The people of an office who can be renewed: marks, old and new expiry side by side, price, or why not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from rich.text import Text
from textual.widgets import DataTable

from smartsub_tui import display
from smartsub_tui.data.records import UserRecord
from smartsub_tui.widgets.row_table import RowTable

_SERVICE, _EXPIRES, _BECOMES, _PRICE = 20, 13, 10, 11


@dataclass(frozen=True, slots=True)
class Person:
    """A row: the user, what an order would make of them, or why they cannot be in one."""

    user: UserRecord
    becomes: date | None
    price: str
    reason: str | None


class PeopleTable(RowTable):
    """Rows are kept by user id, so marks and cursor survive a filter."""

    def __init__(self) -> None:
        super().__init__()
        self.people: tuple[Person, ...] = ()

    @property
    def current(self) -> Person | None:
        """The person under the cursor."""
        return self.people[self.cursor_row] if 0 <= self.cursor_row < len(self.people) else None

    def show(self, people: Sequence[Person], marked: Collection[str], today: date, department: str) -> None:
        """Show these people; `department` is what their office calls its parts."""
        here = self.current.user.id if self.current else None
        width = self.room
        wide = width >= 100
        service = _SERVICE if wide else 7
        narrow = width < 70  # the name matters more than where and what
        room = width - 3 - service - _EXPIRES - _BECOMES - _PRICE - 5
        place = min(room // 2, max([10, *(display.cell_width(display.plain(each.user.department)) for each in people)]))
        name = room - place if not narrow else max(1, room + service + 2)
        with self.prevent(DataTable.RowHighlighted):
            self.clear(columns=True)
            for key, head, size in (
                ("mark", "", 2),
                ("name", "User", name + 1),
                ("department", department, place + 1),
                ("service", "Service", service + 1),
                ("expires", "Expires", _EXPIRES + 1),
                ("becomes", "Becomes", _BECOMES + 1),
                ("price", "Price".rjust(_PRICE), _PRICE),
            ):
                if not (narrow and key in ("department", "service")):
                    self.add_column(Text(display.fit(head, size)), key=key, width=size)
            for person in people:
                user = person.user
                look = display.user_state(user.state)
                # There is room for a word; the line below the table says the whole of the current row.
                last = display.service_date(person.becomes) if person.reason is None else "cannot now"
                where = (
                    display.cell(display.fit(user.department, place)),
                    display.cell(display.fit(user.service.label if wide else user.service.value, service)),
                )
                self.add_row(
                    self._mark(user.id in marked),
                    display.cell(display.fit(user.name, name)),
                    *(() if narrow else where),
                    display.cell(display.fit(display.expiry(user.expires_on, today), _EXPIRES), look.style),
                    display.cell(last, "quiet" if person.reason else ""),
                    display.cell(display.fit(person.price, _PRICE, align="right")),
                    key=user.id,
                )
            self.people = tuple(people)
        ids = [person.user.id for person in people]
        self.move_cursor(row=ids.index(here) if here in ids else 0)

    def mark(self, row: int, marked: bool) -> None:
        """Show or take away the mark of one row."""
        self.update_cell(self.people[row].user.id, "mark", self._mark(marked))

    @staticmethod
    def _mark(marked: bool) -> Text:
        return display.cell("* " if marked else "  ", "bold")
