"""The order table: which columns there are at which width, and what stands in them. Sorting, filtering and counting are
the database's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from smartsub_tui import display
from smartsub_tui.billing.payments import offers_in_list
from smartsub_tui.commands import CLOSED, COMMANDS, OF_TRIGGER
from smartsub_tui.data.queries import Sort
from smartsub_tui.data.records import OrderSummary
from smartsub_tui.widgets.windowed_table import KEPT, Head, WindowedTable

# Every column, in its order: key (that of the sort, where it can be sorted by), head, to the right or not.
_HEADS: Final = {
    "number": ("Order Number", False),
    "type": ("Type", False),
    "apartments": ("Apts", True),
    "total": ("Total", True),
    "status": ("Status", False),
    "created": ("Created", False),
    "action": ("Action", False),
    "office": ("Office", False),
    "next_expiration": ("Next Expiration", False),
}
SORTABLE: Final = ("created", "number", "type", "status")
_WITH_ACTION: Final = 97
_WIDE: Final = 110
_TODAY: Final = 5
_SHORT_TYPE: Final = 4
_SHORT_NUMBER: Final = 7


class Column(Struct, frozen=True):
    """A column as it is laid out: its width in cells, and which of a row's texts it shows."""

    key: str
    head: str
    width: int
    right: bool
    shows: str


def texts(row: OrderSummary, now: datetime, timezone: str) -> dict[str, str]:
    """What may stand in a row, by column; "when" is a shorter "created", "amount" a "total" without its currency."""
    created = display.instant(row.created_at, now, timezone)
    return {
        "number": display.plain(row.number),
        "type": row.type.label,
        "apartments": display.count(row.apartments),
        "total": display.money(row.total),
        "amount": display.money(row.total, with_currency=False),
        "status": status_text(row),
        "created": created,
        "when": _shorter(created),
        "action": actions(row, now),
        "office": display.plain(row.office),
        "next_expiration": row.next_expiration.isoformat() if row.next_expiration else "",
    }


class Widest:
    """The widths that the texts of many rows need, and their currencies. They only grow."""

    def __init__(self) -> None:
        self.cells: dict[str, int] = {}
        self.currencies: set[str] = set()

    def take(self, row: OrderSummary, shown: Mapping[str, str]) -> None:
        """One row more."""
        self.currencies.add(row.total.currency)
        for key, text in shown.items():
            width = len(text) if text.isascii() else display.cell_width(text)
            if width > self.cells.get(key, 0):
                self.cells[key] = width


def layout(widest: Widest, width: int, sort: Sort) -> list[Column]:
    """The columns of rows that need these widths, in `width` cells, gaps of one between them.

    Money is never cut, nor are order numbers of our own. Where there is no room for all, the created time gets
    shorter, then the type, then the created time goes, for the order number begins with it, unless the list is sorted
    by it. On narrow terminals the apartments and the type follow; number, total and status stay. From 97 cells on the
    keys of the row's actions come in, from 110 on office and Next Expiration Date.
    """
    heads = {key: head for key, (head, _) in _HEADS.items()}
    shows = {key: key for key in _HEADS}
    if len(widest.currencies) <= 1:
        shows["total"] = "amount"
        heads["total"] = " ".join(["Total", *widest.currencies])
    if sort.key in heads:
        heads[sort.key] += " v" if sort.descending else " ^"
    least = {"action": _WITH_ACTION, "office": _WIDE, "next_expiration": _WIDE}
    keys = [key for key in _HEADS if width >= least.get(key, 0)]
    need = {key: max(display.cell_width(heads[key]), widest.cells.get(shows[key], 0)) for key in keys}

    def over() -> int:
        return sum(need.values()) + len(need) - width

    # Our numbers have 20 digits; an imported one may have any length, and must not push the rest off the screen.
    need["number"] = min(need["number"], max(20, width // 4))
    if "office" in need and over() > 0:
        need["office"] = max(12, need["office"] - over())
    if over() > 0:
        shows["created"], heads["created"] = "when", heads["created"].replace("Created", "When")
        need["created"] = max(len(heads["created"]), widest.cells.get("when", 0))
    if over() > 0:
        need["type"] = max(10, need["type"] - over())
    if over() > 0 and sort.key != "created":
        del need["created"]
    if over() > 0:
        need["type"] = max(_SHORT_TYPE, need["type"] - over())
    # What the list is sorted by goes last.
    for key in sorted({"apartments", "created", "type"} & need.keys(), key=lambda key: (key == sort.key, key)):
        if over() > 0:
            del need[key]
    if over() > 0:
        # Its end tells an order from its neighbours.
        need["number"] = max(_SHORT_NUMBER, need["number"] - over())
    return [Column(key, heads[key], need[key], _HEADS[key][1], shows[key]) for key in need]


def cell_text(column: Column, shown: Mapping[str, str]) -> str:
    """What a row shows in a column, exactly as wide as the column."""
    text = shown[column.shows]
    if column.key == "number" and len(text) > column.width and column.width < 20:
        text = f"…{text[1 - column.width :]}"
    return display.fit(text, column.width, align="right" if column.right else "left")


def _shorter(created: str) -> str:
    """ "21 Nov 09:12" gives its hour away, "Today 09:31" the word, "21 Nov 2025" the day."""
    if created.startswith("Today"):
        return created[-_TODAY:]
    return created[:6] if ":" in created else created[3:]


def actions(row: OrderSummary, now: datetime) -> str:
    """The keys of what the row offers, beside Enter for its details: pay, invoice, delete, restore."""
    offered = [OF_TRIGGER[trigger] for trigger in offers_in_list(row, now)]
    if row.invoice is not None:
        offered.append(COMMANDS["invoice"])
    return " ".join(each.shown for each in offered if each.id not in CLOSED)


def status_text(row: OrderSummary) -> str:
    """Glyph and word of an order's status, and whether it is due, late or deleted."""
    look = display.status(row.status, due=row.due)
    marks = [*(["late"] if row.late else []), *(["deleted"] if row.deleted else [])]
    return ", ".join([str(look), *marks])


class OrderTable(WindowedTable[OrderSummary]):
    """A window of orders, told apart by number."""

    def __init__(self) -> None:
        self._sort = Sort()
        self._now = datetime.fromtimestamp(0, UTC)
        self._timezone = "UTC"
        self._widest = Widest()
        self._texts: dict[str, dict[str, str]] = {}
        self._columns: list[Column] = []
        super().__init__()

    async def action_select_cursor(self) -> None:  # type: ignore[override]  # an action may be either
        """Also where no order is there yet: the screen knows whether one is on its way."""
        await self.screen._dispatch_message(self.selected())

    def key_of(self, row: OrderSummary) -> str:
        return row.number

    def begin(self, sort: Sort, now: datetime, timezone: str, *, anew: bool) -> None:
        """What comes is sorted so, and read at `now`; `anew`: it is another list, with widths of its own."""
        self._sort, self._now, self._timezone = sort, now, timezone
        self._texts.clear()
        if anew:
            self._widest = Widest()

    def heads(self) -> list[Head]:
        known, rows = self._texts, self.window.rows
        for row in rows:
            if row.number not in known:
                known[row.number] = texts(row, self._now, self._timezone)
                self._widest.take(row, known[row.number])
        if len(known) > 2 * KEPT:
            self._texts = {row.number: known[row.number] for row in rows}
        self._columns = layout(self._widest, max(20, (self.size.width or self.app.size.width) - 1), self._sort)
        return [Head(column.key, column.head, column.width, column.right) for column in self._columns]

    def cells(self, row: OrderSummary) -> list[tuple[str, str]]:
        shown, style = self._texts[row.number], display.status(row.status, due=row.due).style
        return [(cell_text(column, shown), style if column.key == "status" else "") for column in self._columns]
