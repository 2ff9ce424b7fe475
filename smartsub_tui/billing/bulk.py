"""One action on many orders: first what it would do to each of them, then one order after the other.

Which orders can take it is decided as for a single one: a trigger by the table of the life of an order, an invoice by
whether there is one. Each order is a write of its own, with all that belongs to one (see `changes`): a run that ends
in its midst, whatever ended it, leaves every order as it was or changed as a whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

from msgspec import Struct

from smartsub_tui.billing import access, invoice_files, invoices, links, orders, payments, profiles
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.changes import check_text, time_out_due
from smartsub_tui.billing.lifecycle import decide
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.providers import Talk
from smartsub_tui.billing.session import Session
from smartsub_tui.data import queries
from smartsub_tui.data.files import FileExists, NewArchive
from smartsub_tui.data.money import Money
from smartsub_tui.data.records import OrderSummary
from smartsub_tui.data.vocabulary import OrderStatus, Trigger
from smartsub_tui.errors import AboveLimit, NotFound, Refused, SmartsubError, WrongUsage

# The triggers that can be pulled for many orders at once, with one reference or reason where they need one.
TRIGGERS: Final = (Trigger.PAY, Trigger.CANCEL, Trigger.DELETE, Trigger.RESTORE, Trigger.AGAIN)
# What takes back what was done, and with which reason, where one is needed.
UNDONE_BY: Final = {Trigger.DELETE: (Trigger.RESTORE, ""), Trigger.RESTORE: (Trigger.DELETE, "undo of restore")}
_CHUNK: Final = 500  # values of one IN


class Item(Struct, frozen=True):
    """An order as it was when it was looked at; who changes it is refused where it is another `version` by then."""

    number: str
    version: int
    status: OrderStatus
    total: Money
    linked: bool = False  # a payment link of it is open, which is ended first


class LeftOut(Struct, frozen=True):
    """An order that cannot take the action, and why not."""

    number: str
    reason: str


class Preview(Struct, frozen=True):
    """What an action would do: to which orders, in the order in which they were named, and to which it would not."""

    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def sums(self) -> tuple[Money, ...]:
        """The totals of the items added up, a sum for each currency, by its code."""
        sums: dict[str, int] = {}
        for item in self.items:
            sums[item.total.currency] = sums.get(item.total.currency, 0) + item.total.amount
        return tuple(Money(amount, currency) for currency, amount in sorted(sums.items()))

    @property
    def reasons(self) -> dict[str, tuple[str, ...]]:
        """The numbers of those left out by the reason, the most frequent first."""
        numbers: dict[str, list[str]] = {}
        for each in self.left_out:
            numbers.setdefault(each.reason, []).append(each.number)
        most_first = sorted(numbers.items(), key=lambda reason: -len(reason[1]))
        return {reason: tuple(held) for reason, held in most_first}


def preview(session: Session, trigger: Trigger, numbers: Iterable[str]) -> Preview:
    """What pulling `trigger`, one of TRIGGERS, would do to the orders of these numbers; raises NotAllowed.

    The reasons of who is left out are those that a single order gives. What only the change itself can find (the price
    of an order made again, a reference that was used before) is refused there.
    """
    profiles.check(session.profile, trigger)
    admin = access.check(session.admin, trigger)
    time_out_due(session)  # as the change itself does
    now = session.clock.now()

    def look(chunk: Collection[str]) -> dict[str, tuple[Item, str]]:
        found = queries.find_orders(chunk)
        facts = payments.facts_of(found.values(), now)
        return {
            number: (
                _item(order, linked=(free := payments.without_open_link(facts[order.id])) is not facts[order.id]),
                decide(trigger, free).reason or access.above_limit(admin, trigger, free.total),
            )
            for number, order in found.items()
        }

    return _preview(session, numbers, look)


def preview_invoices(session: Session, numbers: Iterable[str]) -> Preview:
    """Which orders of these numbers have an invoice that can be saved; raises NotAllowed."""
    access.check(session.admin, Permission.READ)
    now = session.clock.now()

    def look(chunk: Collection[str]) -> dict[str, tuple[Item, str]]:
        found = queries.order_summaries(chunk, now)
        return {number: (_item_of(order), invoices.objection(order)) for number, order in found.items()}

    return _preview(session, numbers, look)


def _preview(
    session: Session, numbers: Iterable[str], look: Callable[[Collection[str]], dict[str, tuple[Item, str]]]
) -> Preview:
    """All of one moment, some hundred orders at a time; a number that was named twice is meant once."""
    named = list(dict.fromkeys(numbers))

    def preview() -> Preview:
        items: list[Item] = []
        left_out: list[LeftOut] = []
        for start in range(0, len(named), _CHUNK):
            chunk = named[start : start + _CHUNK]
            seen = look(chunk)
            for number in chunk:
                item, reason = seen.get(number, (None, "no order has this number"))
                if item is None or reason:
                    left_out.append(LeftOut(number, reason))
                else:
                    items.append(item)
        return Preview(tuple(items), tuple(left_out))

    return session.database.at_one_moment(preview)


def _item(order: Any, *, linked: bool) -> Item:
    return Item(order.number, order.version, order.status, Money(order.total, order.currency), linked)


def _item_of(order: OrderSummary) -> Item:
    return Item(order.number, order.version, order.status, order.total)


# Doing it


class Outcome(Struct, frozen=True):
    """What became of an item: `refused` says why it was not done, else the order is of this `version` now.

    `note` says what else there is to know of what was done.
    """

    item: Item
    refused: str = ""
    version: int = 0
    note: str = ""

    @property
    def done(self) -> bool:
        return not self.refused


# What is about one item alone: the others may be done.
_OF_ONE: Final = (Refused, NotFound, WrongUsage, AboveLimit)


class Run(ABC):
    """An action on one item after the other: `begin`, `do` for each, `finish`; and whatever happens, `stop`.

    These are called in the thread of the database. Where `whole`, nothing that was done stands before `finish`.
    """

    whole: bool = False

    def begin(self, session: Session) -> None:  # noqa: B027 - nothing is to be done, where a run does not say what
        """Before the first item; raises what makes all of them impossible."""

    @abstractmethod
    def _do(self, session: Session, item: Item) -> Outcome:
        """Do the item; raises Refused, NotFound, WrongUsage or AboveLimit where it is not done."""

    def talk(self, session: Session, item: Item) -> Talk[Outcome]:
        """As `do`, for an item about which a provider has to be asked first, if one has."""
        yield from ()
        return self.do(session, item)

    def do(self, session: Session, item: Item) -> Outcome:
        """Do one item, or say why it was refused.

        Raises any other NotAllowed, and Unavailable: they are not about this item, and the next would fare no better.
        """
        try:
            return self._do(session, item)
        except _OF_ONE as error:
            return _refused(item, error)

    def finish(self, session: Session) -> None:  # noqa: B027 - likewise
        """After the last item."""

    def stop(self) -> None:  # noqa: B027 - likewise
        """Leave nothing of what has not finished; what stands, stands."""


def _refused(item: Item, error: SmartsubError) -> Outcome:
    return Outcome(item, refused=error.message.removeprefix(f"order {item.number} "))


class Move(Run):
    """A trigger pulled for many orders. `said` is the reference of a payment, or the reason where one is needed.

    The same run taken up again does no order twice: what is stored under its request id is answered, not done anew.
    """

    def __init__(self, trigger: Trigger, said: str, id: UUID) -> None:
        self.trigger, self.said, self.id = trigger, said, id

    @classmethod
    def new(cls, trigger: Trigger, said: str = "") -> Move:
        """A run of its own; raises WrongUsage for a text that cannot be kept."""
        name = "reference" if trigger is Trigger.PAY else "reason"
        needed = trigger in (Trigger.PAY, *payments.CLOSING)
        return cls(trigger, check_text(name, said) if needed else "", uuid4())

    def request_id(self, number: str) -> str:
        """The request id of one order: those of one run begin alike, and a number may hold what no id may."""
        return f"{self.id}.{uuid5(self.id, number)}"

    def talk(self, session: Session, item: Item) -> Talk[Outcome]:
        """As `do`, once the order has no open link; raises Unavailable too where its provider gives no answer."""
        if not item.linked:
            return self.do(session, item)

        def act(session: Session, version: int | None) -> Outcome:
            return self._pull(session, item, version)

        try:
            return (
                yield from links.act_without_link(
                    session, self.trigger, item.number, item.version, act, request_id=self.request_id(item.number)
                )
            )
        except _OF_ONE as error:
            return _refused(item, error)

    def _do(self, session: Session, item: Item) -> Outcome:
        return self._pull(session, item, item.version)

    def _pull(self, session: Session, item: Item, version: int | None) -> Outcome:
        request_id = self.request_id(item.number)
        if self.trigger is Trigger.AGAIN:
            made = orders.again(session, item.number, request_id=request_id)
            left = f", {len(made.skipped)} left out" if made.skipped else ""
            note = f"made order {made.order.number}, {made.order.total}{left}"
            return Outcome(item, version=item.version, note=note)
        options: dict[str, Any] = {"version": version, "request_id": request_id}
        if self.trigger is Trigger.PAY:
            changed = payments.pay(session, item.number, Manual(self.said), **options).order
        elif self.trigger is Trigger.RESTORE:
            changed = payments.restore(session, item.number, **options)
        else:
            changed = payments.CLOSING[self.trigger](session, item.number, self.said, **options)
        return Outcome(item, version=changed.version)


def undoing(trigger: Trigger, outcomes: Sequence[Outcome]) -> tuple[Move, tuple[Item, ...]]:
    """The run that takes back what `trigger`, one of UNDONE_BY, did, and of which orders.

    Whoever was changed since is refused: it is no longer what was left behind.
    """
    done = (each for each in outcomes if each.done)
    items = tuple(Item(each.item.number, each.version, each.item.status, each.item.total) for each in done)
    return Move.new(*UNDONE_BY[trigger]), items


class SaveInvoices(Run):
    """Invoices saved under their numbers in a folder, each a file that is whole; or in a .zip, which is as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.whole = path.suffix.casefold() == ".zip"
        self._archive: NewArchive | None = None

    def begin(self, session: Session) -> None:
        """Raises NotFound where the folder is missing, Refused where the .zip exists, and what NewFile raises."""
        profiles.check_files(session.profile)
        access.check(session.admin, Permission.READ)
        if self.whole:
            try:
                self._archive = NewArchive(self.path)
            except FileExists as error:
                raise Refused(f"{self.path.name} exists: name another file") from error
        elif not self.path.is_dir():
            raise NotFound(f"no folder {self.path}: make it first, or name another; or a file that ends in .zip")

    def _do(self, session: Session, item: Item) -> Outcome:
        if self._archive is None:
            saved = invoice_files.save(session, item.number, folder=self.path)
            return Outcome(item, version=item.version, note=saved.invoice)
        document = invoice_files.draw(session, item.number)
        if document.file_name in self._archive:
            raise Refused(f"another invoice has the file name {document.file_name} already: save this one alone")
        self._archive.add(document.file_name, document.content)
        return Outcome(item, version=item.version, note=document.invoice)

    def finish(self, session: Session) -> None:
        if self._archive is not None:
            self._archive.keep()

    def stop(self) -> None:
        if self._archive is not None:
            self._archive.drop()
