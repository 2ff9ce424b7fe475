"""Payments: the filter line over the order table, and the legal actions of the order under the cursor."""

from __future__ import annotations

from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Resize
from textual.widgets import DataTable, Static

from smartsub_tui import display
from smartsub_tui.billing.changes import time_out_due
from smartsub_tui.billing.session import Session
from smartsub_tui.commands import OF_SCREEN, OF_TRIGGER, ORDER_ACTIONS, bindings, key_of
from smartsub_tui.data import queries
from smartsub_tui.data.exports import ExportKind, Wanted
from smartsub_tui.data.filters import ORDER_KEYS, Filter, Moment, parse_orders
from smartsub_tui.data.queries import Cursor, Facets, OrderPage, Sort
from smartsub_tui.data.vocabulary import OrderStatus, OrderType
from smartsub_tui.screens.export import ExportScreen
from smartsub_tui.screens.order_actions import OrderActions, offered
from smartsub_tui.screens.order_info import OrderInfoScreen, Walk
from smartsub_tui.widgets.filter_bar import FilterBar
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.order_table import SORTABLE, OrderTable

WINDOW: Final = 100
_STEP: Final = WINDOW // 2
_COUNTED: Final = 1001
_TALL: Final = 24


class PaymentsScreen(OrderActions):
    """The filter is the state: with the sort it says which orders are shown."""

    TITLE = "Payments"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Payments"]
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        "filter", "by_status", "by_type", "sort", "views", "save", "export", *ORDER_ACTIONS
    )

    def __init__(self, text: str = "", sort: Sort | None = None) -> None:
        super().__init__()
        self._text = text
        self.sort = sort or Sort()
        self._cursors: tuple[Cursor, ...] = ()
        self._wanted: str | None = None
        self._facets = Facets({}, {})

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        # Order numbers are digits: letters are the beginning of a key, and match nothing until it is whole.
        yield FilterBar(parse_orders, self._text, self.to_table, unfinished=lambda word: word.lstrip("-").isalpha())
        yield Static("", id="facets")
        yield Rule()
        yield Static("", id="empty")
        yield OrderTable()
        yield Rule()
        yield Static("", id="updated")
        yield KeyLine()

    def on_mount(self) -> None:
        self.show_trail("Payments")
        self.query_one("#empty").display = False
        self.set_focus(self.table)

    @property
    def table(self) -> OrderTable:
        return self.query_one(OrderTable)

    @property
    def filter_bar(self) -> FilterBar:
        return self.query_one(FilterBar)

    @property
    def filter(self) -> Filter:
        return self.filter_bar.filter

    def asked(self) -> object:
        return self.filter, self.sort

    def listed_as(self) -> tuple[str, str]:
        return self.filter.describe(), self.sort.describe()

    def look_for(self, text: str, sort: Sort | None = None) -> None:
        """Show the orders of this filter, as if it had been typed; sorted so, where that is said."""
        if sort is not None and sort != self.sort:
            self.sort = sort
            self._show()
        self.filter_bar.set(text)
        self.set_focus(self.table)

    # What is shown

    def load(self) -> None:
        """Read the window again where it stands, and count anew."""
        at = self._cursors[0] if self._cursors else None
        self._show(at=at, on=self._wanted or self._current())
        self._wanted = None
        self._count()

    def _current(self) -> str | None:
        return self.table.current.number if self.table.current else None

    def _show(
        self,
        *,
        at: Cursor | None = None,
        after: Cursor | None = None,
        before: Cursor | None = None,
        last: bool = False,
        on: str | None = None,
        move: int = 0,
    ) -> None:
        chosen, sort = self.filter, self.sort

        async def show() -> None:
            page = await self.backend.latest(
                "orders", _page, chosen, self.moment(), sort, at=at, after=after, before=before, last=last
            )
            if not page.rows and (at or after or before):
                if at is not None:
                    self._show()
                return
            if len(page.rows) < WINDOW and (at is not None):
                # The list got shorter above the window's end: fill the window from its end.
                page = await self.backend.latest("orders", _page, chosen, self.moment(), sort, at=None, around=page)
            self._put(page, on, last=last, move=move)
            self.listed((chosen, sort))

        self.work("orders", show)

    def _put(self, page: OrderPage, on_number: str | None, *, last: bool, move: int) -> None:
        self._cursors = page.cursors
        if last and page.rows:
            on_number = page.rows[-1].number
        self.table.show(page.rows, self.sort, self.backend.clock.now(), self.timezone, on=on_number)
        if move:
            self.table.move_cursor(row=self.table.cursor_row + move)
        empty = self.query_one("#empty", Static)
        empty.display = not page.rows
        if not page.rows:
            hint = "No orders match. Esc clears the filter." if self.filter.terms else _no_orders()
            empty.update(display.content(hint))
        now = self.backend.clock.now()
        self.query_one("#updated", Static).update(
            display.content(f"updated {display.instant_full(now, self.timezone)[11:19]}")
        )
        self._offer()

    def _count(self) -> None:
        chosen = self.filter

        async def count() -> None:
            moment = self.moment()
            matching = await self.backend.latest("count", _count, chosen, moment, _COUNTED)
            self.filter_bar.note(display.count(matching) if matching < _COUNTED else f"{_COUNTED - 1:,}+")
            if matching >= _COUNTED:
                matching = await self.backend.latest("count", _count, chosen, moment, None)
            everything = await self.backend.latest("count", _count, parse_orders(""), moment, None)
            self.filter_bar.note(f"{display.count(matching)} of {display.count(everything)}")
            facets = await self.backend.latest("count", _facets, chosen, moment)
            self._facets = facets
            self._paint_facets()

        self.work("count", count)

    def _paint_facets(self) -> None:
        """What occurs, each with its count; on a low terminal a row of the table is worth more."""
        statuses, types = self._facets
        parts = [f"{word.label} {display.count(statuses[word])}" for word in OrderStatus if word in statuses]
        parts += [f"{word.label} {display.count(types[word])}" for word in OrderType if word in types]
        width, height = self.size
        lines = [""]
        for part in parts:
            longer = f"{lines[-1]}  {part}" if lines[-1] else part
            if len(longer) <= width - 2:
                lines[-1] = longer
            else:
                lines.append(part)
        shown = lines[: 2 if height >= _TALL else 1]
        self.query_one("#facets", Static).update(display.content("\n".join(shown), lines=True))

    # The table asks

    @on(OrderTable.Edge)
    def _edge(self, event: OrderTable.Edge) -> None:
        rows = self.table.orders
        # A held key asks again before it was answered: the window may have moved on by then.
        if event.where == "first":
            self._show()
        elif event.where == "last":
            self._show(last=True)
        elif event.where == "after" and len(rows) >= WINDOW and self.table.cursor_row == len(rows) - 1:
            # Half of the window goes on, so that what was just seen stays in sight.
            self._show(at=self._cursors[-_STEP], on=rows[-1].number, move=1)
        elif event.where == "before" and self._cursors and self.table.cursor_row == 0:
            self._show_before(rows[0].number)

    def _show_before(self, number: str) -> None:
        chosen, sort, first = self.filter, self.sort, self._cursors[0]

        async def show() -> None:
            page = await self.backend.latest("orders", _before, chosen, self.moment(), sort, first)
            if page is not None:
                self._put(page, number, last=False, move=-1)

        self.work("orders", show)

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        self._offer()

    @on(DataTable.HeaderSelected)
    def _head_clicked(self, event: DataTable.HeaderSelected) -> None:
        key = str(event.column_key.value)
        if key in SORTABLE:
            self.sort = Sort(key, descending=not self.sort.descending if key == self.sort.key else True)
            self._show()

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.when_listed(self._open)

    def _open(self) -> None:
        order, place = self.table.current, self.table.cursor_row
        if order is not None:
            self.app.push_screen(OrderInfoScreen(order.number, Walk(self.filter, self.sort, self._cursors[place])))

    def _offer(self) -> None:
        """The key line: what is legal for the order under the cursor."""
        number = self._current()
        if number is None:
            self.key_line.show(("filter", "by_status", "by_type", "help", "quit", "billing"))
            return

        async def offer() -> None:
            possible = [
                OF_TRIGGER[each.trigger].id
                for each in await self.backend.latest("offers", offered, number)
                if each.possible
            ]
            around = ("filter", "by_status", "by_type", "sort", "quit", "help", "export", "billing", "copy")
            current = self.table.current
            drawn = ["invoice"] if current is not None and current.invoice is not None else []
            self.key_line.show(("info", *possible, *drawn, *around))

        self.work("offers", offer)

    @on(Resize)
    def _resized(self) -> None:
        if self._cursors:
            rows = self.table.orders
            self.table.show(rows, self.sort, self.backend.clock.now(), self.timezone, on=self._current())
        self._paint_facets()

    # The filter line

    @on(FilterBar.Changed)
    def _filter_changed(self) -> None:
        self._show()
        self._count()

    def action_filter(self) -> None:
        self.filter_bar.edit()

    def action_by_status(self) -> None:
        self._step_filter("status")

    def action_by_type(self) -> None:
        self._step_filter("type")

    def _step_filter(self, key: str) -> None:
        """The next value of a key into the filter; behind the last one, all of them again."""
        steps = ["", *(f"{key}:{word}" for word in ORDER_KEYS[key].values)]
        here = " ".join(term.describe() for term in self.filter.terms if term.key == key)
        following = steps[(steps.index(here) + 1) % len(steps)] if here in steps else ""
        self.filter_bar.set(self.filter.without_key(key).with_term(following).describe())

    def action_back(self) -> None:
        if self.filter_bar.input.value:
            self.filter_bar.set("")
        else:
            super().action_back()

    def action_sort(self) -> None:
        """Downward, upward, then the next column."""
        if self.sort.descending:
            self.sort = Sort(self.sort.key, descending=False)
        else:
            following = SORTABLE[(SORTABLE.index(self.sort.key) + 1) % len(SORTABLE)]
            self.sort = Sort(following)
        self._show()

    async def action_save(self) -> None:
        from smartsub_tui.screens.spoken import speak

        await speak(self, "save ")

    def action_views(self) -> None:
        from smartsub_tui.screens.views import ViewsScreen

        self.app.push_screen(ViewsScreen())

    def action_export(self) -> None:
        self.app.push_screen(ExportScreen(Wanted(ExportKind.ORDERS, self.filter, self.sort)))

    # What an action is about

    def chosen_order(self) -> str | None:
        return self._current()

    def order_changed(self, number: str, *, made: bool = False) -> None:
        if made:
            self.app.push_screen(OrderInfoScreen(number))
        else:
            self.load()


def _no_orders() -> str:
    renewing = f"{key_of('subscriptions')} goes to Subscriptions, where people are renewed"
    return f"No orders yet. {renewing}; {key_of('dashboard')} and then {key_of('import')} imports yours."


def _page(
    session: Session,
    chosen: Filter,
    moment: Moment,
    sort: Sort,
    *,
    at: Cursor | None = None,
    after: Cursor | None = None,
    before: Cursor | None = None,
    last: bool = False,
    around: OrderPage | None = None,
) -> OrderPage:
    time_out_due(session)
    if around is not None:
        above = queries.search_orders(
            chosen, moment, sort=sort, limit=WINDOW - len(around.rows), before=around.cursors[0]
        )
        return OrderPage((*above.rows, *around.rows), (*above.cursors, *around.cursors))
    return queries.search_orders(chosen, moment, sort=sort, limit=WINDOW, at=at, after=after, before=before, last=last)


def _before(session: Session, chosen: Filter, moment: Moment, sort: Sort, first: Cursor) -> OrderPage | None:
    """The window whose second half begins at `first`; None where nothing is before it."""
    above = queries.search_orders(chosen, moment, sort=sort, limit=_STEP, before=first)
    if not above.rows:
        return None
    below = queries.search_orders(chosen, moment, sort=sort, limit=WINDOW - len(above.rows), at=first)
    return OrderPage((*above.rows, *below.rows), (*above.cursors, *below.cursors))


def _count(session: Session, chosen: Filter, moment: Moment, at_most: int | None) -> int:
    return queries.count_orders(chosen, moment, at_most=at_most)


def _facets(session: Session, chosen: Filter, moment: Moment) -> Facets:
    return queries.count_facets(chosen, moment)
