"""The departments of an office (in a community, its buildings) with what activating each would be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from smartsub_tui import display
from smartsub_tui.billing.estimates import DepartmentPlan
from smartsub_tui.data.money import Money
from smartsub_tui.data.vocabulary import OfficeKind
from smartsub_tui.widgets.windowed_table import Head, WindowedTable

# Head and width of every column behind the name; numbers are set to the right, and zero is a dot.
_COUNTS: Final = (("Activate", 8), ("Managers", 8), ("In orders", 9), ("Active", 7))
_PRICE: Final = 14
_NAME: Final = 15


class DepartmentTable(WindowedTable[DepartmentPlan]):
    """Departments, all of them at hand, told apart by name. Marks and cursor survive a look at the database."""

    def __init__(self) -> None:
        self._kind, self._currency = OfficeKind.OFFICE, ""
        self._counts = 0  # so many of them have room
        self._name_width = _NAME
        super().__init__()

    def key_of(self, row: DepartmentPlan) -> str:
        return row.name

    def list_departments(self, departments: Sequence[DepartmentPlan], kind: OfficeKind, currency: str) -> None:
        """Show these departments, the cursor where it was; `kind` says what their office calls them."""
        self._kind, self._currency = kind, currency
        self.show(departments, departments, on=() if self.current is None else (self.current.name,))

    def heads(self) -> list[Head]:
        # Less a scroll bar that may come, the cell of the mark and a gap.
        width = (self.outer_size.width or self.app.size.width) - 3
        # The name matters more than who is active already.
        wide = _NAME + sum(size + 1 for _, size in _COUNTS) + _PRICE + 1
        counts = _COUNTS if width >= wide else _COUNTS[:1]
        self._counts = len(counts)
        self._name_width = max(7, width - sum(size + 1 for _, size in counts) - _PRICE - 1)
        return [
            Head("mark", "", 0),
            Head("name", self._kind.department_label, self._name_width),
            *(Head(head, head, size, right=True) for head, size in counts),
            Head("price", "Price", _PRICE, right=True),
        ]

    def cells(self, row: DepartmentPlan) -> list[tuple[str, str]]:
        numbers = (row.people, row.managers, row.skipped, row.activated)
        price = display.money(Money(row.totals.net, self._currency), with_currency=False) if row.people else "."
        return [
            ("", ""),
            (display.fit(row.name, self._name_width), ""),
            *(
                (display.count_or_dot(number).rjust(size), "")
                for number, (_, size) in zip(numbers[: self._counts], _COUNTS, strict=False)
            ),
            (display.fit(price, _PRICE, align="right"), ""),
        ]
