"""The order table: Textual's DataTable holding a window of the matching orders, never all of them.

Sorting, filtering and counting are the database's. At an edge of the window the table asks for more with `Edge`, and
its owner hands it the next window; the cursor stays on its order, told by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.text import Text
from textual.message import Message
from textual.widgets import DataTable

from smartsub_tui import display
from smartsub_tui.billing.payments import offers_in_list
from smartsub_tui.commands import COMMANDS, OF_TRIGGER
from smartsub_tui.data.queries import Sort
from smartsub_tui.data.records import OrderSummary
from smartsub_tui.widgets.row_table import RowTable

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


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is laid out: its width in cells, and each row's text."""

    key: str
    head: str
    width: int
    right: bool
    texts: tuple[str, ...]


def layout(rows: Sequence[OrderSummary], width: int, sort: Sort, now: datetime, timezone: str) -> list[Column]:
    """The columns of a window of rows in `width` cells, gaps of one between them.

    Money is never cut, nor are order numbers of our own. Where there is no room for all, the created time gets
    shorter, then the type, then the created time goes: the order number begins with it. On narrow terminals the
    apartments and the type follow; number, total and status stay. From 97 cells on the keys of the row's actions come
    in, from 110 on office and Next Expiration Date.
    """
    one_currency = len({row.total.currency for row in rows}) <= 1
    created = [display.instant(row.created_at, now, timezone) for row in rows]
    texts = {
        "number": [row.number for row in rows],
        "type": [row.type.label for row in rows],
        "apartments": [display.count(row.apartments) for row in rows],
        "total": [display.money(row.total, with_currency=not one_currency) for row in rows],
        "status": [status_text(row) for row in rows],
        "created": created,
        "action": [actions(row, now) for row in rows],
        "office": [row.office for row in rows],
        "next_expiration": [row.next_expiration.isoformat() if row.next_expiration else "" for row in rows],
    }
    heads = {key: head for key, (head, _) in _HEADS.items()}
    if one_currency and rows:
        heads["total"] = f"Total {rows[0].total.currency}"
    if sort.key in heads:
        heads[sort.key] += " v" if sort.descending else " ^"
    least = {"action": _WITH_ACTION, "office": _WIDE, "next_expiration": _WIDE}
    keys = [key for key in _HEADS if width >= least.get(key, 0)]
    need = {
        key: max([display.cell_width(heads[key]), *(display.cell_width(display.plain(text)) for text in texts[key])])
        for key in keys
    }

    def over() -> int:
        return sum(need.values()) + len(need) - width

    # Our numbers have 20 digits; an imported one may have any length, and must not push the rest off the screen.
    need["number"] = min(need["number"], max(20, width // 4))
    if "office" in need and over() > 0:
        need["office"] = max(12, need["office"] - over())
    if over() > 0:
        short = [_shorter(text) for text in created]
        texts["created"], heads["created"] = short, heads["created"].replace("Created", "When")
        need["created"] = max([len(heads["created"]), *(len(text) for text in short)])
    if over() > 0:
        need["type"] = max(10, need["type"] - over())
    if over() > 0:
        del need["created"]
    if over() > 0:
        need["type"] = max(_SHORT_TYPE, need["type"] - over())
    for key in ("apartments", "type"):
        if over() > 0:
            del need[key]
    if over() > 0:
        # Its end tells an order from its neighbours.
        need["number"] = max(_SHORT_NUMBER, need["number"] - over())
        texts["number"] = [
            text if len(text) <= need["number"] else f"…{text[1 - need['number'] :]}" for text in texts["number"]
        ]
    return [Column(key, heads[key], need[key], _HEADS[key][1], tuple(texts[key])) for key in need]


def _shorter(created: str) -> str:
    """ "21 Nov 09:12" gives its hour away, "Today 09:31" the word, "21 Nov 2025" the day."""
    if created.startswith("Today"):
        return created[-_TODAY:]
    return created[:6] if ":" in created else created[3:]


def actions(row: OrderSummary, now: datetime) -> str:
    """The keys of what the row offers, beside Enter for its details: pay, invoice, delete, restore."""
    keys = [OF_TRIGGER[trigger].shown for trigger in offers_in_list(row, now)]
    return " ".join([*keys, *([COMMANDS["invoice"].shown] if row.invoice is not None else [])])


def status_text(row: OrderSummary) -> str:
    """Glyph and word of an order's status, and whether it is due, late or deleted."""
    look = display.status(row.status, due=row.due)
    marks = [*(["late"] if row.late else []), *(["deleted"] if row.deleted else [])]
    return ", ".join([str(look), *marks])


class OrderTable(RowTable):
    """A window of orders. `show` puts rows in; the owner answers `Edge` with the next ones."""

    class Edge(Message):
        """The cursor wants to go beyond the window: to the row after, before, to the very first or last."""

        def __init__(self, where: str) -> None:
            super().__init__()
            self.where = where

    def __init__(self) -> None:
        super().__init__()
        self.orders: tuple[OrderSummary, ...] = ()

    @property
    def current(self) -> OrderSummary | None:
        """The order under the cursor."""
        return self.orders[self.cursor_row] if 0 <= self.cursor_row < len(self.orders) else None

    def show(
        self,
        orders: tuple[OrderSummary, ...],
        sort: Sort,
        now: datetime,
        timezone: str,
        *,
        on: str | None = None,
    ) -> None:
        """Show these rows, the cursor on the order with number `on`, or near where it was, or on the first."""
        row = next((place for place, order in enumerate(orders) if order.number == on), None)
        if row is None:
            row = min(self.cursor_row, max(0, len(orders) - 1)) if on is not None else 0
        # The table's own room: its width, less a scroll bar that may come.
        width = max(20, (self.size.width or self.app.size.width) - 1)
        columns = layout(orders, width, sort, now, timezone)
        with self.prevent(DataTable.RowHighlighted):
            self.clear(columns=True)
            for column in columns:
                head = display.fit(column.head, column.width, align="right" if column.right else "left")
                self.add_column(Text(head + " "), key=column.key, width=column.width + 1)
            styles = [display.status(order.status, due=order.due).style for order in orders]
            for place, order in enumerate(orders):
                self.add_row(
                    *(
                        display.cell(
                            display.fit(column.texts[place], column.width, align="right" if column.right else "left"),
                            styles[place] if column.key == "status" else "",
                        )
                        for column in columns
                    ),
                    key=order.number,
                )
            self.orders = orders
        self.move_cursor(row=row)

    def action_cursor_down(self) -> None:
        if self.cursor_row >= len(self.orders) - 1:
            self.post_message(self.Edge("after"))
        else:
            super().action_cursor_down()

    def action_cursor_up(self) -> None:
        if self.cursor_row <= 0:
            self.post_message(self.Edge("before"))
        else:
            super().action_cursor_up()

    def action_page_down(self) -> None:
        if self.cursor_row >= len(self.orders) - 1:
            self.post_message(self.Edge("after"))
        else:
            super().action_page_down()

    def action_page_up(self) -> None:
        if self.cursor_row <= 0:
            self.post_message(self.Edge("before"))
        else:
            super().action_page_up()

    def action_scroll_top(self) -> None:
        self.post_message(self.Edge("first"))

    def action_scroll_bottom(self) -> None:
        self.post_message(self.Edge("last"))

    action_scroll_home = action_scroll_top
    action_scroll_end = action_scroll_bottom
    action_first = action_scroll_top
    action_last = action_scroll_bottom
