"""Payments: the filter line over the order table, and the legal actions of the order under the cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import DescendantFocus, Resize
from textual.widgets import DataTable, Static

from smartsub_tui import display
from smartsub_tui.billing.changes import time_out_due
from smartsub_tui.billing.opening import First
from smartsub_tui.billing.payments import offers_in_list
from smartsub_tui.billing.session import Session
from smartsub_tui.commands import OF_SCREEN, OF_TRIGGER, ORDER_ACTIONS, bindings, key_of
from smartsub_tui.data import queries
from smartsub_tui.data.filters import BARE, ORDER_KEYS, Filter, Moment, parse_orders
from smartsub_tui.data.keyset import Cursor
from smartsub_tui.data.money import Money
from smartsub_tui.data.queries import Facets, OrderPage, Sort, Stretch
from smartsub_tui.data.records import OrderSummary
from smartsub_tui.data.vocabulary import OrderStatus, OrderType, Trigger
from smartsub_tui.errors import Refused, SmartsubError
from smartsub_tui.screens.order_actions import OrderActions, may_to_many, offered_of
from smartsub_tui.screens.undo import Undoable
from smartsub_tui.widgets.filter_bar import FilterBar
from smartsub_tui.widgets.frame import KeyLine, Line, Masthead, Rule
from smartsub_tui.widgets.order_table import SORTABLE, OrderTable

if TYPE_CHECKING:
    from smartsub_tui.screens.at_time import Span
    from smartsub_tui.screens.base import BaseScreen
    from smartsub_tui.screens.order_info import OrderInfoScreen

_BELOW: Final = 8  # rows of the first page below those in sight
_PAGE: Final = 128
# Seconds that a question may hold the database before it goes on in parts, and that one part should take.
_BOX: Final = 0.05
_SMALL_BOX: Final = 0.015  # where something else can be shown at once
_LOOKED_AT: Final = 32_000  # rows of the first part
_MOST_LOOKED_AT: Final = 512_000
_TELL_EVERY: Final = 0.3  # seconds between two words on how far a search has come
_COUNT_AFTER: Final = 0.25  # seconds of quiet: while one types, every letter would be counted for nothing
MOST_MARKED: Final = 100_000
_MOST_OFFERS: Final = 4096
_TALL: Final = 24
_ALL_FACETS: Final = 180  # cells, in which every status and type has room beside the others


class PaymentsScreen(OrderActions):
    """The filter is the state: with the sort it says which orders are shown."""

    TITLE = "Payments"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Payments"]
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        "filter",
        "by_status",
        "by_type",
        "sort",
        "at_time",
        "views",
        "save",
        "mark",
        "mark_range",
        "mark_matching",
        "mark_none",
        "mark_inverted",
        "export",
        "triage",
        *ORDER_ACTIONS,
    )

    def __init__(self, text: str = "", sort: Sort | None = None, first: First | None = None) -> None:
        """`first` are the rows of this filter and sort, where they were read before there was a screen."""
        super().__init__()
        self._text = text
        self.sort = sort or Sort()
        self._shown: tuple[Filter, Sort] | None = None  # what the table is of
        self._times = 0  # that were gone to until now
        self._stale = False  # the rows are to be read again
        self._first = first  # until it is drawn
        self._missed = False  # something was changed meanwhile
        self._searching = False
        self._ran_out: tuple[Filter, Sort] | None = None  # of its time: the search before, for a part of a number
        self._everything: int | None = None
        self._recounts = False  # all orders are to be counted anew, whatever is asked meanwhile
        self._facets: Facets | None = None
        self._offers: dict[tuple[str, int], tuple[Trigger, ...]] = {}  # by number and version
        self._opened: OrderInfoScreen | None = None  # from which it is come back to, perhaps from another order
        self._may: frozenset[Trigger] | None = None  # what the admin may do to many orders, as it was read last
        self._may_is_read = False  # or is being read
        self._marks: dict[str, Money] = {}
        self._marking = False
        self._anchor: str | None = None  # the row that was marked last: a range goes from it

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        yield FilterBar(
            "orders", self._text, self.to_table, backend=self.backend, moment=self.moment, found=self._number_entered
        )
        yield Line(id="facets")
        yield Rule()
        empty = Static("", id="empty")
        empty.display = False
        yield empty
        yield OrderTable()
        yield Rule()
        yield Line(id="updated")
        yield KeyLine()

    def on_mount(self) -> None:
        self.show_trail("Payments")
        self.query_one("#facets").styles.height = self._room_for_facets()
        self.set_focus(self.table)
        self.watch(self.table, "cursor_coordinate", self._cursor_moved, init=False)

        if self._first is not None:
            self._show(self._first.page, base=0, first=True, last=self._first.all, offers=self._first.offers)
            self._shown = self.filter, self.sort
            self.listed(self.asked())
            self.smartsub.when_drawn(self.unless_left(self._first_drawn))

    def _first_drawn(self) -> None:
        """The first frame is there, and now what it did not have."""
        self._first = None
        self._offer()
        if self._missed:
            self.load()
        else:
            self._count(anew=True)

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
        return self.filter, self.sort, self._jumps

    @property
    def _jumps(self) -> int:
        """Into the list, to its ends and to times, asked for until now."""
        return self.table.jumps + self._times

    @property
    def _jumping(self) -> bool:
        """Whether a jump is on its way: what is read again then must not cut it short."""
        return isinstance(self._listed, tuple) and self._listed[-1] != self._jumps

    def settled(self) -> bool:
        return super().settled() and not self._marking

    def listed_as(self) -> tuple[str, str]:
        return self.filter.describe(), self.sort.describe()

    def look_for(self, text: str, sort: Sort | None = None) -> None:
        """Show the orders of this filter, as if it had been typed; sorted so, where that is said."""
        if sort is not None and sort != self.sort:
            self.sort = sort
            self._begin()
        self.filter_bar.set(text)
        self.set_focus(self.table)

    # What is shown

    def load(self) -> None:
        """Read the rows again where they stand, and count anew."""
        if self._first is not None:
            self._missed = True
            return
        self._may_is_read = False
        if self.is_on_top:
            opened, self._opened = self._opened, None
            if opened is not None and opened.walked_to is not None:
                self.table.go_to(opened.walked_to)
        asked = self.filter, self.sort
        if self._jumping and not self._failed:
            self._stale = True  # the rows there are read again once they are shown
        elif self._shown != asked or not self.table.window.rows or self._searching:
            self._begin()
        else:
            self._read_again()
        self._count(anew=True)

    def _begin(self) -> None:
        """The list from its first row; the cursor stays on its order where it is the list that is shown."""
        chosen, sort, jumps = self.filter, self.sort, self._jumps
        on = self._around() if self._shown == (chosen, sort) else ()

        async def begin() -> None:
            try:
                page, end = await self._find(chosen, sort, limit=self.table.page + _BELOW, tell=True)
            except SmartsubError:
                self.filter_bar.note("")  # nothing is searched for any more
                self._show_empty("The search broke off.", bool(self.table.window.rows))
                self._tell_counts()
                raise
            self._show(page, base=0, first=True, last=end, on=on)
            self._shown, self._stale = (chosen, sort), False
            self._tell_counts()  # what was counted before it was found, or under another sort
            self.listed((chosen, sort, jumps))

        self.work("orders", begin)

    def _read_again(self) -> None:
        chosen, sort, jumps, window = self.filter, self.sort, self._jumps, self.table.window
        start, count, first, base = window.cursors[0], len(window.rows), window.first, window.base
        self._stale = True

        async def read() -> None:
            page, first_now, last = await self.backend.patient(
                "orders", _again, chosen, self.moment(), sort, start, count, first
            )
            self._show(page, base=base, first=first_now, last=last, on=self._around())
            self._stale = False
            self.listed((chosen, sort, jumps))
            if page.rows and not first_now:
                self._place(chosen, sort)

        self.work("orders", read)

    def _place(self, chosen: Filter, sort: Sort) -> None:
        """Find out how many orders stand before the window: until then its numbers are guessed."""

        async def place() -> None:
            while self._shown == (chosen, sort) and (window := self.table.window).rows and not window.first:
                first = window.cursors[0]
                before = await self.backend.patient("place", _before, chosen, self.moment(), sort, first)
                window = self.table.window
                if self._shown == (chosen, sort) and first in window.cursors:  # rows may have come before it meanwhile
                    self.table.placed(before - window.cursors.index(first))
                    return

        self.work("place", place)

    def _around(self) -> tuple[str, ...]:
        """Where the cursor should stay: on its order, else on the nearest below it, else above."""
        window, row = self.table.window, self.table.cursor_row
        place = max(0, row - window.base)
        numbers = [each.number for each in window.rows]
        return (*numbers[place:], *reversed(numbers[:place]))

    async def _find(
        self,
        chosen: Filter,
        sort: Sort,
        *,
        start: Cursor | None = None,
        backward: bool = False,
        limit: int,
        tell: bool = False,
    ) -> tuple[OrderPage, bool]:
        """The orders behind `start` (before it where `backward`), and whether the list ends with them.

        At once, where an index serves the filter. Else all orders are looked through in parts, and other questions are
        answered between them; with `tell` what was found so far is shown, and how far the search has come.
        """
        moment = self.moment()
        if tell and self._ran_out is not None and not _is_no_quicker((chosen, sort), self._ran_out):
            self._ran_out = None
        if not tell or self._ran_out is None:
            box = _SMALL_BOX if tell and chosen.number_prefix is not None else _BOX
            page = await self.backend.within(box, "orders", _page, chosen, moment, sort, start, backward, limit)
            if page is not None:
                return page, len(page.rows) < limit
        if chosen.includes_deleted:  # no index walks hidden orders too; few are hidden, or in trouble
            page = await self.backend.patient("orders", _page, chosen, moment, sort, start, backward, limit)
            return page, len(page.rows) < limit
        self._searching = tell  # else the list is shown, and only more of it is looked for
        try:
            return await self._search(chosen, moment, sort, start, backward, limit, tell)
        finally:
            self._searching = False
            if tell:
                self.filter_bar.note("...")  # until it is counted

    async def _search(
        self, chosen: Filter, moment: Moment, sort: Sort, start: Cursor | None, backward: bool, limit: int, tell: bool
    ) -> tuple[OrderPage, bool]:
        found: OrderPage = OrderPage((), ())
        seen, looked_at, told = 0, _LOOKED_AT, perf_counter()
        if tell:
            # Those that begin with the digits lie side by side: they are there before the others are found.
            digits = chosen.number_prefix is not None
            beginning = await self.backend.latest("orders", _beginning, chosen, moment, limit) if digits else found
            self._show_some(beginning, seen)
            if digits and (self._ran_out is not None or not await self.backend.latest("orders", _finds_parts)):
                self._ran_out = (chosen, sort)
        while True:
            began = perf_counter()
            part = await self.backend.patient(
                "orders", _look, chosen, moment, sort, start, backward, looked_at, limit - len(found.rows)
            )
            took, seen = perf_counter() - began, seen + looked_at
            found = _joined(_in_list_order(part.page), found) if backward else _joined(found, part.page)
            if part.onward is None or len(found.rows) >= limit:
                return found, part.onward is None
            start = part.onward
            if tell and perf_counter() - told >= _TELL_EVERY:
                told = perf_counter()
                self._show_some(found, seen)
            looked_at = min(_MOST_LOOKED_AT, looked_at * 2) if took < _BOX else max(1_000, looked_at // 2)

    def _show_some(self, found: OrderPage, seen: int) -> None:
        """What a search has found so far."""
        if found.rows:
            self._show(found, base=0, first=True, last=False, on=self._around())
            self._shown = self._listed = None  # it is no list yet, neither this one nor that before
        everything = f" of {display.count(self._everything)}" if self._everything is not None else ""
        if seen:
            self.filter_bar.note(f"searching, {display.count(seen)}")
        if not found.rows:
            self._show_empty(f"None among {display.count(seen)}{everything} orders yet: searching on, keys work.")

    def _show(
        self,
        page: OrderPage,
        *,
        base: int,
        first: bool,
        last: bool,
        on: Collection[str] = (),
        offers: Mapping[tuple[str, int], tuple[Trigger, ...]] = MappingProxyType({}),
    ) -> None:
        now = self.backend.clock.now()
        # What is offered depends on the hour too, and on orders that hold the same people.
        self._offers = dict(offers)
        self.table.begin(self.sort, now, self.timezone, anew=self._shown != (self.filter, self.sort))
        self.table.show(page.rows, page.cursors, base=base, first=first, last=last, on=on)
        if not page.rows and not self._searching:
            self._show_empty("No orders match. Esc clears the filter." if self.filter.terms else _no_orders())
        self.query_one("#empty", Static).display = not page.rows
        self._sum_up()
        self._offer()

    def _show_empty(self, text: str, hidden: bool = False) -> None:
        empty = self.query_one("#empty", Static)
        empty.display = not hidden
        empty.update(display.content(text))

    def _sum_up(self) -> None:
        """What is marked, and when the rows were read."""
        updated = f"updated {display.instant_full(self.backend.clock.now(), self.timezone)[11:19]}"
        room = max(0, self.size.width - 2 - len(updated) - 2)
        marked = ""
        if self._marks:
            sums: dict[str, int] = {}
            for each in self._marks.values():
                sums[each.currency] = sums.get(each.currency, 0) + each.amount
            amounts = [display.money(Money(sums[code], code)) for code in sorted(sums)]
            marked = _as_many(f"{display.count(len(self._marks))} marked", amounts, room)
        self.query_one("#updated", Line).show(display.content(f"{display.fit(marked, room)}  {updated}"))

    def _count(self, *, anew: bool = False, after: float = 0.0) -> None:
        """Count what the filter lets through, by status and type, and all orders.

        What is all in the window is counted there. The rest is asked patiently, where one types only `after` a while.
        """
        chosen = self.filter
        self._recounts = self._recounts or anew

        async def ask() -> None:
            moment = self.moment()
            facets = await self.backend.patient("count", _facets, chosen, moment)
            self._facets, matching = facets, sum(facets.statuses.values())
            if not chosen.terms:
                self._everything = matching
            elif self._everything is None or self._recounts:
                self._everything = await self.backend.patient("count", _count, parse_orders(""), moment)
            self._recounts = False

        async def count() -> None:
            if after:
                await asyncio.sleep(after)
            try:
                await ask()
            except SmartsubError:
                if not self._searching:
                    self.filter_bar.note("")
                raise
            if not self._searching:
                self._tell_counts()
            self._paint_facets()

        self.work("count", count)

    def _tell_counts(self) -> None:
        """How many of how many, beside the filter and to the table that is of it."""
        if self._facets is None or self._everything is None:
            return
        matching = sum(self._facets.statuses.values())
        if self._shown is not None and self._shown[0] == self.filter:
            self.table.counted(matching)
        self.filter_bar.note(f"{display.count(matching)} of {display.count(self._everything)}")

    def _paint_facets(self) -> None:
        """What occurs, each with its count; on a low terminal a row of the table is worth more than all of it."""
        if self._facets is None:
            return
        statuses, types = self._facets
        parts = [f"{word.label} {display.count(statuses[word])}" for word in OrderStatus if word in statuses]
        parts += [f"{word.label} {display.count(types[word])}" for word in OrderType if word in types]
        width = self.size.width
        lines = [""]
        for part in parts:
            longer = f"{lines[-1]}  {part}" if lines[-1] else part
            if len(longer) <= width - 2:
                lines[-1] = longer
            else:
                lines.append(part)
        shown = lines[: self._room_for_facets()]
        self.query_one("#facets", Line).show(display.content("\n".join(shown), lines=True))

    def _room_for_facets(self) -> int:
        """Lines for what there may be, not for what there is: the table must not move when all has been counted."""
        width, height = self.app.size
        return 2 if height >= _TALL and width < _ALL_FACETS else 1

    # The table asks

    @on(OrderTable.Wanted)
    def _wanted(self, event: OrderTable.Wanted) -> None:
        if self._first is not None:
            self.smartsub.when_drawn(self.unless_left(lambda: self._wanted(event)))
            return
        if self._searching or self._shown != (self.filter, self.sort):
            self.table.forget_wanted(event.where)
            return
        chosen, sort, window = self.filter, self.sort, self.table.window
        where = event.where
        jumps = self._jumps
        limit = max(_PAGE, 2 * self.table.page)

        async def bring() -> None:
            try:
                await more()
            except SmartsubError:
                self.table.forget_wanted(where)
                raise

        async def more() -> None:
            match where:
                case "after":
                    page, end = await self._find(chosen, sort, start=window.cursors[-1], limit=limit)
                    self.table.put_after(page.rows, page.cursors, last=end)
                case "before":
                    page, end = await self._find(chosen, sort, start=window.cursors[0], backward=True, limit=limit)
                    self.table.put_before(page.rows, page.cursors, first=end)
                case "last":
                    page, end = await self._find(chosen, sort, backward=True, limit=limit)
                    base = max(0, window.total - len(page.rows))
                    self._show(page, base=base, first=end, last=True, on=[each.number for each in page.rows[-1:]])
                case _:
                    page, end = await self._find(chosen, sort, limit=limit)
                    self._show(page, base=0, first=True, last=end)
            self.listed((chosen, sort, jumps))
            self._offer()  # for the rows that came, before the cursor does
            if self._stale:  # that was under way, and made way for this
                self._read_again()

        self.work("orders", bring)

    @on(DescendantFocus)
    def _focused(self) -> None:
        self._offer()

    def _cursor_moved(self) -> None:
        """At once, not when the table has told it: the keys are painted with the rows, not behind them."""
        self._offer()

    @on(DataTable.HeaderSelected)
    def _head_clicked(self, event: DataTable.HeaderSelected) -> None:
        key = str(event.column_key.value)
        if key in SORTABLE:
            self.sort = Sort(key, descending=not self.sort.descending if key == self.sort.key else True)
            self._begin()

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.when_listed(self._open)

    def _open(self) -> None:
        order, window = self.table.current, self.table.window
        if order is not None:
            from smartsub_tui.screens.order_info import OrderInfoScreen, Walk

            here = window.cursors[self.table.cursor_row - window.base]
            self._opened = OrderInfoScreen(order.number, Walk(self.filter, self.sort, here))
            self.app.push_screen(self._opened)

    def _offer(self) -> None:
        """The key line: what is legal for the order under the cursor, or can be done to what is marked."""
        order = self.table.current
        if self.filter_bar.editing:  # every other key is a letter of the filter
            self.key_line.show(("back", "palette"))
            return
        if order is None:
            self.key_line.show(("filter", "by_status", "by_type", "help", "quit", "billing"))
            return
        triggers = self._offers.get((order.number, order.version))
        # Until it is read what holds its people, what the row says by itself.
        self._show_keys(order, offers_in_list(order, self.backend.clock.now()) if triggers is None else triggers)
        if self._first is not None:
            return
        # Those of this page and the next at once: the next steps of the cursor ask nothing.
        window, top, page = self.table.window, self.table.top, self.table.page
        near = [row for row in map(window.at, range(top, top + 2 * page)) if row is not None]
        unknown = {row.number: row.version for row in (order, *near) if (row.number, row.version) not in self._offers}
        if triggers is not None and len(unknown) <= page // 2:
            return

        async def offer() -> None:
            found = await self.backend.latest("offers", offered_of, list(unknown))
            if len(self._offers) > _MOST_OFFERS:
                self._offers.clear()
            # What is gone meanwhile offers nothing.
            self._offers.update({(number, version): found.get(number, ()) for number, version in unknown.items()})
            current = self.table.current
            if current is not None and not self.filter_bar.editing:
                self._show_keys(current, self._offers.get((current.number, current.version), ()))

        self.work("offers", offer)

    def _show_keys(self, order: OrderSummary, triggers: Sequence[Trigger]) -> None:
        around = ("filter", "by_status", "by_type", "sort", "quit", "help", "export", "billing", "copy")
        if self._marks:
            triggers = self._may_with_marked()
        possible = [OF_TRIGGER[trigger].id for trigger in triggers]
        drawn = ["invoice"] if order.invoice is not None or self._marks else []
        self.key_line.show(("info", *possible, *drawn, *self.undo_here(), *around))

    def _may_with_marked(self) -> Sequence[Trigger]:
        """What can be done to many; less what the admin may not, as soon as that is read."""
        from smartsub_tui.billing import bulk

        if not self._may_is_read:
            self._may_is_read = True

            async def ask() -> None:
                self._may = await self.backend.latest("may", may_to_many)
                self._offer()

            self.work("may", ask)
        return [each for each in bulk.TRIGGERS if self._may is None or each in self._may]

    @on(Resize)
    def _resized(self) -> None:
        self.query_one("#facets").styles.height = self._room_for_facets()
        self.table.lay_out()
        self._sum_up()
        self._paint_facets()

    # The filter line

    @on(FilterBar.Changed)
    def _filter_changed(self) -> None:
        self._facets = None  # what was counted is of another list
        self.filter_bar.note("...")
        self._begin()
        self._count(after=_COUNT_AFTER)

    def _number_entered(self, number: str, known: bool) -> None:
        """A whole number, typed or scanned, opens its order, wherever in the list it is and whether it is there."""
        if known:
            from smartsub_tui.screens.order_info import OrderInfoScreen

            self.app.push_screen(OrderInfoScreen(number))
        else:
            self.smartsub.tell(f"no order has the number {number}: it is looked for as a part of one")

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
        self._begin()

    def action_at_time(self) -> None:
        self.when_listed(self._ask_time)

    def _ask_time(self) -> None:
        async def ask() -> None:
            from smartsub_tui.screens.at_time import AtTimeScreen

            said = await self.answer(AtTimeScreen(self.moment()))
            if said is not None:
                self.sort = Sort("created", self.sort.descending if self.sort.key == "created" else True)
                self._go_to(said)

        self.question(ask)

    def _go_to(self, span: Span) -> None:
        """To the first order of a time, seen from where the list begins."""
        chosen, sort, total = self.filter, self.sort, self.table.window.total
        self._times += 1
        jumps, start = self._jumps, queries.cursor_at(span.end if sort.descending else span.start)

        async def go() -> None:
            try:
                page, end = await self._find(chosen, sort, start=start, limit=_PAGE)
            except SmartsubError:
                self._times -= 1
                raise
            if page.rows:
                self._show(page, base=total // 2, first=False, last=end)
                self._shown = chosen, sort
                self._place(chosen, sort)
            else:
                which = "that early" if sort.descending else "that late"
                self.smartsub.tell(f"no order of this list is {which}")
            self.listed((chosen, sort, jumps))
            if self._stale or not page.rows:
                self.load()

        self.work("orders", go)

    async def action_save(self) -> None:
        from smartsub_tui.screens.spoken import speak

        await speak(self, "save ")

    def action_views(self) -> None:
        from smartsub_tui.screens.views import ViewsScreen

        self.app.push_screen(ViewsScreen())

    def action_export(self) -> None:
        from smartsub_tui.data.exports import ExportKind, Wanted
        from smartsub_tui.screens.export import ExportScreen

        self.app.push_screen(ExportScreen(Wanted(ExportKind.ORDERS, self.filter, self.sort, self.marked_orders())))

    # Marks

    def marked_orders(self) -> tuple[str, ...]:
        """The numbers of what is marked, in the order in which it was."""
        return tuple(self._marks)

    def keep_marked(self, numbers: Collection[str]) -> None:
        """Of what is marked, only these stay: what was marked before is no more to be had back."""
        self.smartsub.undoables.forget(self)
        self._mark({number: total for number, total in self._marks.items() if number in numbers})

    def _mark_many(self, marks: dict[str, Money]) -> None:
        """As _mark, so that it can be taken back."""
        before = self._marks

        def undo(screen: BaseScreen) -> None:
            self._mark(before)
            screen.smartsub.tell(f"undone: {display.count(len(before))} marked, as before")

        self.smartsub.undoables.push(Undoable(undo, only_on=self))
        self._mark(marks)

    def _mark(self, marks: dict[str, Money]) -> None:
        self._marks = marks
        self.table.mark(marks)
        self._sum_up()
        self._offer()

    def action_mark(self) -> None:
        self.when_listed(self._mark_one)

    def _mark_one(self) -> None:
        """The row under the cursor, or no longer; then the next one is there."""
        order = self.table.current
        if order is None:
            return
        marked = order.number in self._marks
        self._turn(order.number, order.total, marked=not marked)
        self._anchor = order.number

        def undo(screen: BaseScreen) -> None:
            self._turn(order.number, order.total, marked=marked)
            screen.smartsub.tell(f"undone: {order.number} is {'' if marked else 'not '}marked, as before")

        self.smartsub.undoables.push(Undoable(undo, only_on=self))
        self.table.action_cursor_down()

    def _turn(self, number: str, total: Money, *, marked: bool) -> None:
        marks = {other: each for other, each in self._marks.items() if other != number}
        self._mark({**marks, number: total} if marked else marks)

    def action_mark_range(self) -> None:
        self.when_listed(self._mark_range)

    def _mark_range(self) -> None:
        """Every row between the one that was marked last and the cursor."""
        here, window = self.table.current, self.table.window
        places = {row.number: place for place, row in enumerate(window.rows)}
        if here is None:
            return
        if self._anchor not in places:
            self.smartsub.tell("Space marks one end of a range first, V the other", wrong=True)
            return
        ends = sorted((places[here.number], places[self._anchor]))
        between = window.rows[ends[0] : ends[1] + 1]
        self._mark_many({**self._marks, **{row.number: row.total for row in between}})

    def action_mark_matching(self) -> None:
        self.when_listed(lambda: self._mark_all(invert=False))

    def action_mark_inverted(self) -> None:
        self.when_listed(lambda: self._mark_all(invert=True))

    def action_mark_none(self) -> None:
        if self._marks:
            self._mark_many({})

    def _mark_all(self, *, invert: bool) -> None:
        """All that the filter lets through, wherever it stands; inverted: of these, the ones that were not."""
        chosen, sort = self.filter, self.sort
        self._marking = True

        async def mark() -> None:
            try:
                await mark_found()
            finally:
                self._marking = False
                self._act()

        async def mark_found() -> None:
            found = await self.backend.patient("marks", _totals, chosen, self.moment(), sort, MOST_MARKED + 1)
            if len(found) > MOST_MARKED:
                most = display.count(MOST_MARKED)
                raise Refused(f"more than {most} orders match, so many cannot be marked: narrow the filter")
            if invert:
                others = {number: total for number, total in self._marks.items() if number not in found}
                self._mark_many({**others, **{number: found[number] for number in found if number not in self._marks}})
            else:
                self._mark_many({**self._marks, **found})
            self.smartsub.tell(f"{display.count(len(self._marks))} marked")

        self.work("marks", mark)

    # What an action is about

    def chosen_order(self) -> str | None:
        return self.table.current.number if self.table.current else None

    def order_changed(self, number: str, *, made: bool = False) -> None:
        if made:
            from smartsub_tui.screens.order_info import OrderInfoScreen

            self.app.push_screen(OrderInfoScreen(number))
        else:
            self.load()


def _as_many(text: str, amounts: Sequence[str], room: int) -> str:
    """`text` with as many of the amounts as there is room for, none of them cut."""
    for place, amount in enumerate(amounts):
        longer = f"{text}, {amount}"
        more = ", …" if place + 1 < len(amounts) else ""
        if display.cell_width(longer + more) > room:
            return f"{text}, …"
        text = longer
    return text


def _no_orders() -> str:
    renewing = f"{key_of('subscriptions')} goes to Subscriptions, where people are renewed"
    return f"No orders yet. {renewing}; {key_of('dashboard')} and then {key_of('import')} imports yours."


def _page(
    session: Session, chosen: Filter, moment: Moment, sort: Sort, start: Cursor | None, backward: bool, limit: int
) -> OrderPage:
    time_out_due(session)
    if backward:
        return queries.search_orders(chosen, moment, sort=sort, limit=limit, before=start, last=start is None)
    return queries.search_orders(chosen, moment, sort=sort, limit=limit, after=start)


def _look(
    session: Session,
    chosen: Filter,
    moment: Moment,
    sort: Sort,
    start: Cursor | None,
    backward: bool,
    rows_looked_at: int,
    limit: int,
) -> Stretch:
    return queries.look_through(
        chosen, moment, sort=sort, start=start, backward=backward, rows_looked_at=rows_looked_at, limit=limit
    )


def _again(
    session: Session, chosen: Filter, moment: Moment, sort: Sort, start: Cursor, count: int, first: bool
) -> tuple[OrderPage, bool, bool]:
    """The rows from `start` on as they are now, with what came before them where they were the list's `first`."""
    time_out_due(session)
    page = queries.search_orders(chosen, moment, sort=sort, limit=count + 1, at=start)
    last = len(page.rows) <= count
    if not first and page.rows:
        return page, False, last
    above = queries.search_orders(chosen, moment, sort=sort, limit=_PAGE, before=start)
    if len(above.rows) == _PAGE or not page.rows:
        page = queries.search_orders(chosen, moment, sort=sort, limit=_PAGE)
        return page, True, len(page.rows) < _PAGE
    return _joined(above, page), True, last


def _beginning(session: Session, chosen: Filter, moment: Moment, limit: int) -> OrderPage:
    return queries.orders_beginning(chosen, moment, limit=limit)


def _finds_parts(session: Session) -> bool:
    return session.database.finds_parts()


def _is_no_quicker(asked: tuple[Filter, Sort], before: tuple[Filter, Sort]) -> bool:
    """Whether the orders asked for are some of those of `before`, for a digit more was typed: by looking at one after
    the other they are found no sooner.
    """
    (chosen, sort), (wider, wider_sort) = asked, before
    longer, digits = chosen.number_prefix or "", wider.number_prefix or ""
    if sort != wider_sort or longer == digits or digits not in longer:
        return False
    return chosen.without_key(BARE) == wider.without_key(BARE)


def _joined(one: OrderPage, other: OrderPage) -> OrderPage:
    return OrderPage((*one.rows, *other.rows), (*one.cursors, *other.cursors))


def _in_list_order(page: OrderPage) -> OrderPage:
    """What was found nearest first, as it stands in the list."""
    return OrderPage(page.rows[::-1], page.cursors[::-1])


def _before(session: Session, chosen: Filter, moment: Moment, sort: Sort, cursor: Cursor) -> int:
    return queries.count_before(chosen, moment, sort, cursor)


def _totals(session: Session, chosen: Filter, moment: Moment, sort: Sort, limit: int) -> dict[str, Money]:
    return queries.order_totals(chosen, moment, sort, limit=limit)


def _count(session: Session, chosen: Filter, moment: Moment) -> int:
    return queries.count_orders(chosen, moment)


def _facets(session: Session, chosen: Filter, moment: Moment) -> Facets:
    return queries.count_facets(chosen, moment)
