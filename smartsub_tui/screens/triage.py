"""Triage: what needs someone, the worst first, one after the other; what is settled makes room for the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar, Final

from msgspec import Struct
from msgspec.structs import replace
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Resize
from textual.widgets import Static

from smartsub_tui import display
from smartsub_tui.billing import invoices
from smartsub_tui.billing.audit import sentence
from smartsub_tui.billing.changes import time_out_due
from smartsub_tui.billing.payments import Offered
from smartsub_tui.billing.session import Session
from smartsub_tui.clock import local_date
from smartsub_tui.commands import CLOSED, COMMANDS, OF_SCREEN, OF_TRIGGER, ORDER_ACTIONS, bindings
from smartsub_tui.data import queries
from smartsub_tui.data.filters import Moment
from smartsub_tui.data.order_records import OrderDetails
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.data.triage import FILTERS, ItemKey, Queue, QueuedOffice, QueuedOrder, read_queue
from smartsub_tui.data.vocabulary import PaymentState, ProviderName, Rank, Trigger
from smartsub_tui.errors import SmartsubError
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.credit import CreditAnswer
from smartsub_tui.screens.order_actions import OrderActions, look
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.pay import PayAnswer
from smartsub_tui.screens.undo import Undoable
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.lines import Lines
from smartsub_tui.widgets.queue_list import QueueList


class QueueWalk(Struct, frozen=True):
    """Neighbours in the queue as it was when one of its orders was opened: what was settled since is among them."""

    numbers: tuple[str, ...]
    here: int

    def place(self, moment: Moment) -> tuple[int, int]:
        return self.here + 1, len(self.numbers)

    def step(self, moment: Moment, *, back: bool) -> tuple[str, QueueWalk] | None:
        to = self.here + (-1 if back else 1)
        return (self.numbers[to], replace(self, here=to)) if 0 <= to < len(self.numbers) else None


class TriageScreen(OrderActions):
    """The queue over what can be done with the item under the cursor, and why not the rest."""

    TITLE = "Triage"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Triage"]
    BINDINGS: ClassVar[list[BindingType]] = bindings("later", "renew", *ORDER_ACTIONS)
    VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-home"), (32, "-tall")]  # noqa: RUF012 - Textual's own declaration

    def __init__(self) -> None:
        super().__init__()
        self._begun = 0  # changes
        self._seen: tuple[OrderDetails, tuple[Offered, ...]] | None = None

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        yield Rule()
        yield Static("", id="empty")
        yield QueueList()
        yield Rule()
        yield Lines(id="triage-detail")
        yield Rule()
        yield KeyLine()

    def on_mount(self) -> None:
        self.show_trail("Triage")
        self.query_one("#empty").display = False
        self.query_one("#triage-detail").can_focus = False
        self.set_focus(self.queue_list)

    @property
    def queue_list(self) -> QueueList:
        return self.query_one(QueueList)

    # What is shown

    def asked(self) -> object:
        return self._begun

    def load(self) -> None:
        async def load() -> None:
            begun, later = self._begun, self.smartsub.later
            queue = await self.backend.latest("queue", _read, self.moment(), tuple(later))
            queue = queue.put_off(later)  # as it is now: a key may have been pressed meanwhile
            here = self.queue_list.current
            self._show(queue, queue.following(here.key if here else None, self.queue_list.queue))
            self.listed(begun)

        self.work("queue", load)

    def _show(self, queue: Queue, on: ItemKey | None) -> None:
        now = self.backend.clock.now()
        self.queue_list.show(queue, on, now, self.timezone)
        empty = self.query_one("#empty", Static)
        empty.display = not queue.total
        if not queue.total:
            looked = display.instant_full(now, self.timezone)[11:19]
            lines = [
                f"Nothing needs you: everything is settled, as of {looked}.",
                "",
                *(f"{display.count_or_dot(0):>4}  {rank.label}" for rank in Rank),
                "",
                "F5 looks again, Esc goes back.",
            ]
            empty.update(display.content("\n".join(lines), lines=True))

    @on(QueueList.Highlighted)
    def _highlighted(self) -> None:
        here = self.queue_list.current
        queue = self.queue_list.queue
        place = f"{queue.place(here.key):,} of {queue.total:,}" if here is not None else ""
        self.show_trail("Triage", note=place)
        if isinstance(here, QueuedOrder):
            self._look_at(here.number)
            return
        self._seen = None
        self.workers.cancel_group(self, "offers")  # of an order that is left
        self._paint()

    def _look_at(self, number: str) -> None:
        async def read() -> None:
            self._seen = await self.backend.latest("offers", look, number)
            self._paint()

        self.work("offers", read)

    def _paint(self) -> None:
        """What happened to the item under the cursor, and the ways out."""
        here, detail = self.queue_list.current, self.query_one("#triage-detail", Lines)
        around = ("back", "help")
        if isinstance(here, QueuedOffice):
            detail.show(list(self._about_office(here)))
            self.key_line.show(("renew", "later", *self.undo_here(), *around))
        elif here is not None and self._seen is not None and self._seen[0].number == here.number:
            found, offers = self._seen
            room, height = self.app.size.width - 2, detail.size.height
            detail.show(list(self._about_order(found, offers, room, height)))
            possible = [OF_TRIGGER[each].id for each in _possible(offers)]
            drawn = [] if invoices.objection(found) else ["invoice"]
            self.key_line.show((*possible, *drawn, "later", *self.undo_here(), "info", *around, "billing", "copy"))
        elif here is None:
            detail.show([])
            self.key_line.show((*self.undo_here(), "dashboard", "subscriptions", "payments", *around))

    @on(Resize)
    def _resized(self) -> None:
        # Its height is known only with the layout that follows.
        self.call_after_refresh(self.unless_left(self._paint))

    def _about_office(self, office: QueuedOffice) -> Iterator[Text]:
        now = self.backend.clock.now()
        today = local_date(now, office.timezone)
        expires = "expires" if office.people == 1 else "expire"
        yield display.cell(
            f" {display.people(office.people)} of {office.office} {expires} within 30 days, no order", "bold"
        )
        family = f", {display.count(office.family)} family: v shows them there" if office.family else ""
        yield display.cell(f" The first: {display.expiry(office.first, today)}{family}")
        ways = [_way(COMMANDS["dashboard"].shown, "comes back here")]
        if "renew" not in CLOSED:
            ways.insert(0, _way(COMMANDS["renew"].shown, "renew them"))
        yield from _flowed(ways, self.app.size.width - 2)

    def _about_order(self, found: OrderDetails, offers: tuple[Offered, ...], room: int, height: int) -> Iterator[Text]:
        shown = display.status(found.status, due=found.due)
        marks = "".join([", late" if found.late else "", ", deleted" if found.deleted else ""])
        term = f", {display.months(found.months)}" if found.months else f", until {found.until}" if found.until else ""
        head = display.cell(" ")
        head.append_text(display.cell(f"{shown}{marks}", shown.style or "bold"))
        apartments = f"{display.count(found.apartments)} {'apartment' if found.apartments == 1 else 'apartments'}"
        head.append_text(display.cell(f"   {found.type.label}{term}, {apartments}, {display.money(found.total)}"))
        yield head
        ways = list(_flowed([_way(OF_TRIGGER[each].shown, each.label) for each in _possible(offers)], room))
        # What the line above says already needs no word.
        reasons = [
            display.cell(f"({OF_TRIGGER[each.trigger].shown} {OF_TRIGGER[each.trigger].label}: {each.reason})", "quiet")
            for each in offers
            if OF_TRIGGER[each.trigger].id not in CLOSED
            if each.reason and each.trigger is not Trigger.RESTORE and each.reason != f"it is {found.status.label}"
        ]
        greyed = list(_flowed(reasons, room))
        outcomes = [display.cell(f" {display.fit(each, room)}") for each in _outcomes(found, _possible(offers))]
        # What happened last has two lines, and those that nothing else needs.
        needed = 1 + len(ways) + len(outcomes) + len(greyed)
        happened = list(self._happened(found))[-max(_HAPPENED, height - needed) :]
        yield from (display.cell(f" {display.fit(each, room)}") for each in happened)
        yield from ways or [display.cell(" Nothing can be done with it here but looking.", "quiet")]
        yield from outcomes
        yield from greyed

    def _happened(self, found: OrderDetails) -> Iterator[str]:
        """What happened to an order, then the money that is under way or waits: the last says the most."""
        for event in found.events:
            yield f"{self._when(event.at)}  {event.by}  {sentence(event)}"
        money = [
            each
            for each in found.payments
            if each.state.is_live or (each.state is PaymentState.SUCCEEDED and not each.applied)
        ]
        for each in money:
            waits = "" if each.state.is_live else ", waits to be applied"
            reference = f", reference {each.reference}" if each.reference else ""
            yield (
                f"{self._when(each.created_at)}  {each.provider.label}  {display.money(each.amount)}"
                f"  {each.state.label}{waits}{reference}"
            )
        if not found.events and not money:
            yield found.status.definition

    def _when(self, instant: datetime) -> str:
        return display.instant(instant, self.backend.clock.now(), self.timezone)

    # What is done

    @on(QueueList.Selected)
    def _selected(self) -> None:
        self.when_listed(self._open)

    def _open(self) -> None:
        here = self.queue_list.current
        if isinstance(here, QueuedOrder):
            numbers = [item.number for item in self.queue_list.queue.items if isinstance(item, QueuedOrder)]
            self.app.push_screen(OrderInfoScreen(here.number, QueueWalk(tuple(numbers), numbers.index(here.number))))
        else:
            self.action_renew()

    def action_renew(self) -> None:
        """The people whom the item counts, in Renew."""
        self.when_listed(self._renew)

    def _renew(self) -> None:
        here = self.queue_list.current
        if not isinstance(here, QueuedOffice):
            return

        async def renew() -> None:
            office = await self.backend.latest("office", _office, here.pk)
            if office is not None and self.is_on_top and self.smartsub.open_renew(office, FILTERS[here.rank]):
                self.arrived()

        self.question(renew)

    def action_later(self) -> None:
        self.when_listed(self._put_off)

    def _put_off(self) -> None:
        here, queue = self.queue_list.current, self.queue_list.queue
        if here is None:
            return
        keys = [item.key for item in queue.items]
        place = keys.index(here.key) + 1
        if place == len(keys):
            self.smartsub.tell("it is the last one: put off, it stays the last")
            return
        later, before = self.smartsub.later, tuple(self.smartsub.later)
        if here.key in later:
            later.remove(here.key)
        later.append(here.key)

        def undo(screen: BaseScreen) -> None:
            later[:] = before
            screen.smartsub.tell(f"undone: {name} is no longer put off")
            screen.load()

        name = here.number if isinstance(here, QueuedOrder) else here.office
        self.smartsub.undoables.push(Undoable(undo))
        self._show(queue.put_off(later), keys[place])

    def chosen_order(self) -> str | None:
        here = self.queue_list.current
        return here.number if isinstance(here, QueuedOrder) else None

    def answered(self) -> None:
        """What is typed from here on is meant for the next item: it waits for a look behind the change."""
        self._begun += 1

    async def _do(self, trigger: Trigger, found: OrderDetails, said: str | PayAnswer | CreditAnswer) -> None:
        try:
            await super()._do(trigger, found, said)
        except SmartsubError:
            self.forget_waiting()
            raise
        finally:
            self._begun += 1  # a look that began meanwhile may not have seen it
            if self.is_on_top:  # else it is read again when it is come back to
                self.load()

    def order_changed(self, number: str, *, made: bool = False) -> None:
        """The queue is read again; an order that was made is not in it, the message has its number."""


_HAPPENED: Final = 2  # lines


def _possible(offers: Sequence[Offered]) -> list[Trigger]:
    """What may be done; before all else what settles money that is here."""
    return sorted((each.trigger for each in offers if each.possible), key=lambda each: each is not Trigger.APPLY)


def _outcomes(found: OrderDetails, possible: Sequence[Trigger]) -> Iterator[str]:
    """What the ways of money that waits would do: to dates the one, with the money the other."""
    if Trigger.APPLY in possible and found.lines:
        first, more = found.lines[0], len(found.lines) - 1
        dates = f"{display.service_date(first.previous_expiry)} -> {display.service_date(first.new_expiry)}"
        others = f", and {more:,} more" if more else ""
        yield f"{OF_TRIGGER[Trigger.APPLY].shown}: {display.fit(first.name, 24).rstrip()} {dates}{others}; paid, late"
    if Trigger.REFUND in possible and found.unapplied:
        waiting = [each for each in found.payments if each.state is PaymentState.SUCCEEDED and not each.applied]
        by_hand = (ProviderName.MANUAL, ProviderName.BANK)
        back = ", ".join(
            f"{display.money(each.amount)} by {'hand' if each.provider in by_hand else each.provider.label}"
            for each in waiting
        )
        yield f"{OF_TRIGGER[Trigger.REFUND].shown}: paid back {back}; no date moves"


def _way(key: str, label: str) -> Text:
    line = display.cell(f"{key} ", "bold")
    line.append_text(display.cell(label, "not bold"))
    return line


def _flowed(pieces: Sequence[Text], room: int) -> Iterator[Text]:
    """Pieces beside each other where they fit, else below; one that is too long is cut."""
    line = Text(" ")
    for piece in pieces:
        if line.cell_len > 1 and line.cell_len + 2 + piece.cell_len > room + 1:
            yield line
            line = Text(" ")
        if line.cell_len > 1:
            line.append("   "[: room + 1 - line.cell_len - piece.cell_len])
        piece.truncate(room, overflow="ellipsis")
        line.append_text(piece)
    if line.cell_len > 1:
        yield line


def _read(session: Session, moment: Moment, later: Sequence[ItemKey]) -> Queue:
    time_out_due(session)
    return read_queue(moment, later)


def _office(session: Session, pk: int) -> OfficeRecord | None:
    return next((each for each in queries.offices(session.clock.now()) if each.id == pk), None)
