"""The list of orders as the other programs show it: the same rows and columns, read from the same database.

It is what one writes with sqlite3 alone when nothing but speed counts: pages of a keyset, an order number by its
beginning, counts that stop at a thousand. None of it comes from smartsub, so that smartsub is measured beside
something that does not share its costs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from time import gmtime
from typing import Any, Final, NamedTuple

COUNTED: Final = 1001
HEADS: Final = (
    *("Order Number", "Type", "Apts", "Total EUR", "Status", "Created", "Action", "Office", "Next Expiration"),
)
WIDTHS: Final = (20, 14, 4, 10, 20, 12, 6, 11, 15)
RIGHT: Final = (2, 3)
STATUS: Final = 4
KEYS: Final = "/ filter  j k g G rows  q quit"
_TYPES: Final = {"activation": "Activation", "subscription": "Subscription", "additional_app": "Additional app"}
_STATUSES: Final = {
    "processing": "… Processing",
    "system_processing": "~ System Processing",
    "succeed": "+ Succeed",
    "failed": "x Failed",
    "time_out": "o Time out",
    "cancel": "- Cancel",
}
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_COLUMNS: Final = """
    orders.id, orders.number, orders.type, orders.status, orders.apartments, orders.total, orders.created_at,
    orders.until, office.name, invoice.number
"""
_TABLES: Final = """
    orders JOIN office ON office.id = orders.office_id
    LEFT JOIN invoice ON invoice.order_id = orders.id AND invoice.kind = 'invoice'
"""


class Row(NamedTuple):
    """An order as it is stored, instants in microseconds and money in cents."""

    pk: int
    number: str
    type: str
    status: str
    apartments: int
    total: int
    created_at: int
    until: str | None
    office: str
    invoice: str | None


class Listing:
    """The orders whose numbers begin with `beginning`, newest first; all of them where it is empty."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        self._connection.execute("PRAGMA cache_size = -2000")
        self.beginning = ""

    def first(self, limit: int) -> list[Row]:
        return self._read("", (), limit)

    def last(self, limit: int) -> list[Row]:
        return self._read("", (), limit, backward=True)

    def after(self, row: Row, limit: int) -> list[Row]:
        return self._read("<", self._place(row), limit)

    def before(self, row: Row, limit: int) -> list[Row]:
        return self._read(">", self._place(row), limit, backward=True)

    def facets(self) -> str:
        """How many there are, and how many of each status and type; of the newest thousand where there are more."""
        condition, values = self._condition()
        found = self._connection.execute(
            "SELECT type, status, count(*) FROM ("
            f"SELECT type, status FROM orders WHERE {condition} ORDER BY {self._key} DESC LIMIT {COUNTED}"
            ") GROUP BY type, status",
            values,
        ).fetchall()
        parts = []
        for place, labels in ((1, _STATUSES), (0, _TYPES)):
            for value, label in labels.items():
                if count := sum(each[2] for each in found if each[place] == value):
                    parts.append(f"{label.lstrip('…~+xo- ')} {count:,}")
        total = sum(each[2] for each in found)
        return "  ".join([f"{total:,}" if total < COUNTED else f"{COUNTED - 1:,}+", *parts])

    @property
    def _key(self) -> str:
        # An order number begins with its time, and so sorts as its time does.
        return "orders.number" if self.beginning else "orders.created_at"

    def _place(self, row: Row) -> tuple[Any, ...]:
        return (row.number if self.beginning else row.created_at, row.pk)

    def _condition(self) -> tuple[str, tuple[Any, ...]]:
        if not self.beginning:
            return "orders.deleted_at IS NULL", ()
        end = self.beginning[:-1] + chr(ord(self.beginning[-1]) + 1)
        return "orders.deleted_at IS NULL AND orders.number >= ? AND orders.number < ?", (self.beginning, end)

    def _read(self, beyond: str, place: tuple[Any, ...], limit: int, *, backward: bool = False) -> list[Row]:
        condition, values = self._condition()
        if beyond:
            condition += f" AND ({self._key}, orders.id) {beyond} (?, ?)"
        way = "ASC" if backward else "DESC"
        found = self._connection.execute(
            f"SELECT {_COLUMNS} FROM {_TABLES} WHERE {condition} ORDER BY {self._key} {way}, orders.id {way} LIMIT ?",
            (*values, *place, limit),
        ).fetchall()
        rows = [Row(*each) for each in found]
        return rows[::-1] if backward else rows


def cells(row: Row) -> tuple[str, ...]:
    """The texts of a row, one a column."""
    made = gmtime(row.created_at // 1_000_000)
    return (
        row.number,
        _TYPES[row.type],
        str(row.apartments),
        f"{row.total // 100:,}.{row.total % 100:02d}",
        _STATUSES[row.status],
        f"{made.tm_mday} {_MONTHS[made.tm_mon - 1]} {made.tm_year}",
        actions(row),
        row.office,
        row.until or "",
    )


def actions(row: Row) -> str:
    """The keys of what the row offers."""
    return " ".join([*(["p"] if row.status == "processing" else []), *(["i"] if row.invoice is not None else []), "d"])


def line(row: Row, dress: Callable[[str, str], str] = lambda text, _status: text) -> str:
    """A row as one line; `dress` colours the text of its status."""
    parts = [
        text[:width].rjust(width) if place in RIGHT else text[:width].ljust(width)
        for place, (text, width) in enumerate(zip(cells(row), WIDTHS, strict=True))
    ]
    parts[STATUS] = dress(parts[STATUS], row.status)
    return " ".join(parts)


def head() -> str:
    """The names of the columns as one line; the rows are sorted by their creation, downward."""
    names = [f"{each} v" if each == "Created" else each for each in HEADS]
    return " ".join(
        name.rjust(width) if place in RIGHT else name.ljust(width)
        for place, (name, width) in enumerate(zip(names, WIDTHS, strict=True))
    )
