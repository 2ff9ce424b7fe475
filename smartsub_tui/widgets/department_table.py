"""The departments of an office (in a community, its buildings) with what activating each would be."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.text import Text
from textual.widgets import DataTable

from smartsub_tui import display
from smartsub_tui.billing.estimates import DepartmentPlan
from smartsub_tui.data.money import Money
from smartsub_tui.data.vocabulary import OfficeKind
from smartsub_tui.widgets.row_table import RowTable, mark_cell

# Head and width of every column behind the name; numbers are set to the right, and zero is a dot.
_COUNTS = (("Activate", 9), ("Managers", 9), ("In orders", 10), ("Active", 8))
_PRICE = 14
_NAME = 16


class DepartmentTable(RowTable):
    """Rows are kept by name, so marks and cursor survive a look at the database."""

    def __init__(self) -> None:
        super().__init__()
        self.departments: tuple[DepartmentPlan, ...] = ()

    @property
    def current(self) -> DepartmentPlan | None:
        """The department under the cursor."""
        return self.departments[self.cursor_row] if 0 <= self.cursor_row < len(self.departments) else None

    def show(
        self, departments: Sequence[DepartmentPlan], marked: Collection[str], kind: OfficeKind, currency: str
    ) -> None:
        """Show these departments; `kind` says what their office calls them."""
        here = self.current.name if self.current else None
        width = self.room
        # The name matters more than who is active already.
        counts = _COUNTS if width >= 2 + _NAME + sum(size for _, size in _COUNTS) + _PRICE else _COUNTS[:1]
        name = max(8, width - 2 - sum(size for _, size in counts) - _PRICE)
        with self.prevent(DataTable.RowHighlighted):
            self.clear(columns=True)
            self.add_column(Text(""), key="mark", width=2)
            self.add_column(Text(kind.department_label), width=name)
            for head, size in counts:
                self.add_column(Text(head.rjust(size)), width=size)
            self.add_column(Text("Price".rjust(_PRICE)), width=_PRICE)
            for each in departments:
                numbers = (each.people, each.managers, each.skipped, each.activated)
                price = Money(each.totals.net, currency)
                self.add_row(
                    mark_cell(each.name in marked),
                    display.cell(display.fit(each.name, name - 1)),
                    *(
                        display.cell(display.count_or_dot(number).rjust(size))
                        for number, (_, size) in zip(numbers, counts, strict=False)
                    ),
                    display.cell(
                        display.fit(
                            display.money(price, with_currency=False) if each.people else ".",
                            _PRICE,
                            align="right",
                        )
                    ),
                    key=each.name,
                )
            self.departments = tuple(departments)
        names = [each.name for each in departments]
        self.move_cursor(row=names.index(here) if here in names else 0)

    def mark(self, row: int, marked: bool) -> None:
        """Show or take away the mark of one row."""
        self.update_cell(self.departments[row].name, "mark", mark_cell(marked))
