"""Order info: the whole story of one order, and its neighbours in the list that it was opened from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import ClassVar, Final, Protocol

from msgspec import Struct
from msgspec.structs import replace
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Resize

from smartsub_tui import display
from smartsub_tui.billing import invoices
from smartsub_tui.billing.audit import sentence
from smartsub_tui.billing.changes import time_out_due
from smartsub_tui.billing.payments import Offered
from smartsub_tui.billing.session import Session
from smartsub_tui.commands import CLOSED, COMMANDS, OF_SCREEN, OF_TRIGGER, ORDER_ACTIONS, bindings
from smartsub_tui.data import queries
from smartsub_tui.data.filters import Filter, Moment
from smartsub_tui.data.keyset import Cursor
from smartsub_tui.data.money import Money
from smartsub_tui.data.order_records import LineRecord, OrderDetails
from smartsub_tui.data.queries import Sort
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName
from smartsub_tui.screens.order_actions import OrderActions, look
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.lines import Line, Lines


class Neighbours(Protocol):
    """The list that an order was opened from, and where in it the order stands; asked in the database thread."""

    def place(self, moment: Moment) -> tuple[int, int]:
        """Which one it is, from 1 on, and how many there are."""
        ...

    def step(self, moment: Moment, *, back: bool) -> tuple[str, Neighbours] | None:
        """The number of the order before or after, and the same list from there; None at its end."""
        ...


class Walk(Struct, frozen=True):
    """Neighbours in the orders of a filter, as they are now."""

    filter: Filter
    sort: Sort
    here: Cursor

    def place(self, moment: Moment) -> tuple[int, int]:
        before = queries.count_before(self.filter, moment, self.sort, self.here)
        return before + 1, queries.count_orders(self.filter, moment)

    def step(self, moment: Moment, *, back: bool) -> tuple[str, Walk] | None:
        page = queries.search_orders(
            self.filter,
            moment,
            sort=self.sort,
            limit=1,
            before=self.here if back else None,
            after=None if back else self.here,
        )
        return (page.rows[0].number, replace(self, here=page.cursors[0])) if page.rows else None


class OrderInfoScreen(OrderActions):
    """Everything about one order, with what may be done to it now and why not the rest."""

    TITLE = "Order info"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Order info"]
    BINDINGS: ClassVar[list[BindingType]] = bindings(*ORDER_ACTIONS, "neighbour_before", "neighbour_after", "filter")

    def __init__(self, number: str, walk: Neighbours | None = None) -> None:
        super().__init__()
        self._number, self._walk = number, walk
        self._seen: tuple[OrderDetails, tuple[Offered, ...]] | None = None
        self._place: tuple[int, int] | None = None
        self._steps = 0  # to neighbours, asked for until now
        self._walked = False  # one of them led there

    @property
    def walked_to(self) -> str | None:
        """The neighbour that was gone to in the list that it was opened from; None where it is no such one."""
        return self._number if self._walked and self._walk is not None else None

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        yield Rule()
        yield Lines(id="order-lines")
        yield Rule()
        yield KeyLine()

    def on_mount(self) -> None:
        self.show_trail(self._number)
        self.set_focus(self.query_one(Lines))

    def load(self) -> None:
        number = self._number

        async def load() -> None:
            self._seen = await self.backend.latest("order", _read, number)
            self._paint()

        self.work("order", load)
        self._find_place()

    def _find_place(self) -> None:
        """Where the order stands in the list that it was opened from, and how long that is."""
        walk = self._walk
        if walk is None:
            return

        async def find() -> None:
            self._place = await self.backend.latest("place", _place_in, walk, self.moment())
            self._paint()

        self.work("place", find)

    def _paint(self) -> None:
        if self._seen is None:
            return
        found, offers = self._seen
        place = f"{self._place[0]:,} of {self._place[1]:,}" if self._place is not None and self._walk else ""
        self.show_trail(found.number, note=place)
        self.query_one(Lines).show(list(self._lines(found, offers, self.size.width)))
        possible = [OF_TRIGGER[each.trigger].id for each in offers if each.possible]
        # What left the list meanwhile counts no more: whether one stands behind it, only the step knows.
        before = ["neighbour_before"] if self._place is None or self._place[0] > 1 else []
        walk = ["neighbour_after", *before] if self._walk is not None else []
        drawn = [] if invoices.objection(found) else ["invoice"]
        self.key_line.show((*possible, *drawn, *self.undo_here(), *walk, "back", "help", "billing", "copy"))

    @on(Resize)
    def _resized(self) -> None:
        self._paint()

    def _lines(self, found: OrderDetails, offers: tuple[Offered, ...], width: int) -> Iterator[Line]:
        room = max(40, width - 2)
        look = display.status(found.status, due=found.due)
        marks = [*(["late"] if found.late else []), *(["deleted"] if found.deleted else [])]
        head = Text(" ")
        head.append_text(display.cell(", ".join([str(look), *marks]), look.style or "bold"))
        total = display.money(found.total)
        head.append_text(
            display.cell(display.fit(f"   {found.status.definition}", max(0, room - head.cell_len - len(total))))
        )
        head.append_text(display.cell(f" {total}", "bold"))
        yield head
        yield from self._fields(found, room)
        if found.lines:
            yield _rule(room)
            yield from self._people(found, room)
        if found.payments:
            yield _rule(room)
            for each in found.payments:
                waits = each.state is PaymentState.SUCCEEDED and not each.applied
                state = f"{each.state.label}, waits to be applied" if waits else each.state.label
                yield from self._money(each.created_at, each.provider, each.amount, state, each.reference, room)
                if each.state is PaymentState.SENT and each.link is not None:
                    until = f"until {self._when(each.expires_at)}: {COMMANDS['pay'].shown} shows it"
                    yield display.cell(f"{_EVENT_INDENT[:15]}{until}", "quiet")
                    link = Text(_EVENT_INDENT[:15])
                    link.append_text(display.cell(display.fit(each.link, room - 15), "quiet"))
                    yield link
            for back in found.refunds:
                state = f"back: {back.state.label}"
                yield from self._money(back.created_at, back.provider, back.amount, state, back.reference, room)
        if found.events or found.history:
            yield _rule(room)
        for event in found.events:
            begin = f" {display.fit(self._when(event.at), 12)}  {display.fit(event.by, 10)}  "
            for line in display.wrapped(sentence(event), room - len(_EVENT_INDENT)):
                yield display.cell(f"{begin}{line}")
                begin = _EVENT_INDENT
        if found.history:
            yield display.cell(" Imported history: it stands as it was stated.")
        yield _rule(room)
        yield from self._next(found, offers, room)

    def _money(
        self, at: datetime, provider: ProviderName, amount: Money, state: str, reference: str | None, room: int
    ) -> Iterator[Text]:
        """A payment or a refund; its reference below it, where it would be cut."""
        line = f" {display.fit(self._when(at), 12)}  {provider.label}  {display.money(amount)}  {state}"
        if reference is not None and display.cell_width(f"{line}  {reference}") <= room:
            line = f"{line}  {reference}"
            reference = None
        yield display.cell(line)
        if reference is not None:
            yield display.cell(f"{_EVENT_INDENT[:15]}{display.fit(reference, room - 15)}".rstrip())

    def _when(self, instant: datetime | None) -> str:
        return display.instant(instant, self.backend.clock.now(), self.timezone)

    def _fields(self, found: OrderDetails, room: int) -> Iterator[Text]:
        term = f", {display.months(found.months)}" if found.months else ", daily" if found.until else ""
        pairs = [
            ("Type", f"{found.type.label}{term}"),
            (
                "Created",
                f"{self._when(found.created_at)} by {found.created_by}",
            ),
            ("Apartments", display.count(found.apartments)),
        ]
        if found.status is OrderStatus.PROCESSING:
            pairs.append(("Pay by", self._when(found.pay_by)))
        if found.status is OrderStatus.PROCESSING and found.bank_chosen_at is not None:
            pairs.append(("By transfer to", self.smartsub.settings.seller.iban or "[seller] iban is not set"))
        if found.paid_at is not None:
            pairs.append(("Paid", self._when(found.paid_at)))
        if found.next_expiration is not None:
            pairs.append(("Next Expiration Date", display.service_date(found.next_expiration)))
        elif found.until is not None:
            pairs.append(("Until", display.service_date(found.until)))
        if found.invoice is not None:
            pairs.append(("Invoice", found.invoice.number))
        if found.credit_notes:
            pairs.append(("Credit notes", ", ".join(each.number for each in found.credit_notes)))
        if found.po_number is not None:
            pairs.append(("PO number", found.po_number))
        if found.buyer_reference is not None:
            pairs.append(("Buyer reference", found.buyer_reference))
        if found.unapplied:
            pairs.append(("Money that waits", ", ".join(display.money(each) for each in found.unapplied)))
        yield from _beside([("Office", found.office)], room)
        yield from _beside(pairs, room)

    def _people(self, found: OrderDetails, room: int) -> Iterator[Line]:
        became = "Became" if found.paid_at is not None else "Becomes"
        wide = room >= 100
        service_width = 20 if wide else 14 if room >= 70 else 0
        name_width = max(8, room - service_width - 38)

        def row(name: str, service: str, before: str, after: str, price: str) -> str:
            return (
                f" {display.fit(name, name_width)} {display.fit(service, service_width)} {display.fit(before, 11)}"
                f" {display.fit(after, 11)} {display.fit(price, 12, align='right')}"
            )

        def person(line: LineRecord) -> Text:
            return display.cell(
                row(
                    line.name,
                    line.service.label if wide else line.service.value,
                    display.service_date(line.previous_expiry),
                    "taken back" if line.credited is not None else display.service_date(line.new_expiry),
                    display.money(line.amount, with_currency=False),
                ),
                "quiet" if line.credited is not None else "",
            )

        yield display.cell(row("User", "Service", "Was until", became, "Price"), "bold")
        yield from (partial(person, line) for line in found.lines)
        sums = (
            f"net {display.money(found.net, with_currency=False)}  tax {display.money(found.tax, with_currency=False)}"
            f"  total {display.money(found.total)}"
            if found.net is not None
            else f"total {display.money(found.total)}"
        )
        yield display.cell(display.fit(sums, room, align="right"), "bold")

    def _next(self, found: OrderDetails, offers: tuple[Offered, ...], room: int) -> Iterator[Text]:
        yield display.cell(" Next", "bold")
        next_ = [(COMMANDS[OF_TRIGGER[each.trigger].id], each.reason) for each in offers]
        next_.append((COMMANDS["invoice"], invoices.objection(found)))
        next_ = [(command, reason) for command, reason in next_ if command.id not in CLOSED]
        for command, reason in next_:
            if not reason:
                line = Text("  ")
                line.append(f" {command.shown} ", "bold")
                line.append_text(display.cell(command.help))
                yield line
        for command, reason in next_:
            if reason:
                for text in display.wrapped(f"   ({command.shown} {command.label}: {reason})", room):
                    yield display.cell(text, "quiet")

    # Neighbours

    def asked(self) -> object:
        return self._steps or None

    def action_neighbour_before(self) -> None:
        self._step(back=True)

    def action_neighbour_after(self) -> None:
        self._step(back=False)

    def _step(self, *, back: bool) -> None:
        walk = self._walk
        if walk is None:
            return

        self._steps += 1
        mine = self._steps

        async def step() -> None:
            arrived = False
            try:
                found = await self.backend.latest("order", _neighbour, walk, self.moment(), back)
                if found is None:
                    end = "this is the first order of the list" if back else "this is the last of the list"
                    self.smartsub.tell(end)
                    return
                self._number, self._walk = found
                self._place, self._walked = None, True
                self.query_one(Lines).action_first()
                self.load()
                arrived = True
            finally:
                if mine == self._steps:
                    if not arrived:  # what was typed behind it was meant for the neighbour
                        self.forget_waiting()
                    self.listed(mine)

        self.work("step", step)

    def action_filter(self) -> None:
        """The next order: a hand scanner that sends / first goes from one to the next."""
        self.smartsub.open_filter()

    # What an action is about

    def chosen_order(self) -> str | None:
        return self._number

    def order_changed(self, number: str, *, made: bool = False) -> None:
        if made:
            self._number, self._walk = number, None
        self.load()  # of the neighbour, where one was gone to meanwhile


_EVENT_INDENT: Final = " " * 27  # a space, the time, the name, and what parts them


def _beside(pairs: Iterable[tuple[str, str]], room: int) -> Iterator[Text]:
    """Names with their values, two in a line; one alone whose value needs more than half of it."""
    half, line = room // 2, Text(" ")
    for name, value in pairs:
        wide = max(11, len(name) + 1)
        alone = display.cell_width(value) > half - wide - 1
        if alone and line.cell_len > 1:
            yield line
            line = Text(" ")
        line.append_text(display.cell(name.ljust(wide), "quiet"))
        line.append_text(display.cell(display.fit(value, (room if alone else half) - wide - 1) + " "))
        if alone or line.cell_len > half + 1:
            yield line
            line = Text(" ")
    if line.cell_len > 1:
        yield line


def _rule(room: int) -> Text:
    return Text(" " + "─" * (room - 1), "dim")


def _read(session: Session, number: str) -> tuple[OrderDetails, tuple[Offered, ...]]:
    time_out_due(session)
    return look(session, number)


def _place_in(session: Session, walk: Neighbours, moment: Moment) -> tuple[int, int]:
    return walk.place(moment)


def _neighbour(session: Session, walk: Neighbours, moment: Moment, back: bool) -> tuple[str, Neighbours] | None:
    return walk.step(moment, back=back)
