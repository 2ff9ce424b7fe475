"""What can be done to one order, by the same keys wherever one is chosen: Payments and Order info."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from textual.binding import BindingType
from textual.worker import WorkerCancelled

from smartsub_tui import display
from smartsub_tui.billing import payments
from smartsub_tui.billing.audit import sentence
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.payments import BankTransfer, Manual, Offered
from smartsub_tui.billing.profiles import permits, why_closed
from smartsub_tui.billing.session import Session
from smartsub_tui.commands import COMMANDS, OF_TRIGGER, bindings
from smartsub_tui.data import queries
from smartsub_tui.data.money import Money
from smartsub_tui.data.order_records import OrderDetails
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName, Trigger
from smartsub_tui.errors import SmartsubError, WrongUsage
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.undo import Undoable

if TYPE_CHECKING:
    from smartsub_tui.billing.bulk import Item, Move, Run
    from smartsub_tui.billing.invoices import BuyerReferences
    from smartsub_tui.screens.credit import CreditAnswer
    from smartsub_tui.screens.pay import PayAnswer

T = TypeVar("T")

# Questions and what they do are imported when one is asked: the list must be there at once.
_LINES_SHOWN: Final = 5


class _Question(Struct, frozen=True):
    """How a trigger asks: the verb, what will happen ({undo} is the key that undoes), and the field that it needs."""

    verb: str
    happens: str
    field: str | None


_QUESTIONS: Final = {
    Trigger.PAY: _Question("Pay", "Paid today, the dates become (and an invoice is issued):", None),
    Trigger.CONFIRM: _Question("Confirm", "Applied if the order can take it, else recorded to wait:", None),
    Trigger.FAIL: _Question("Mark as failed:", "Nothing was charged; its people are free again.", "Reason"),
    Trigger.AGAIN: _Question("Order again:", "A new order for the same people, at today's price.", None),
    Trigger.CANCEL: _Question("Cancel", "It can no longer be paid; its people are free again.", "Reason"),
    Trigger.DELETE: _Question("Delete", "It is hidden, not destroyed: {undo} undoes, is:deleted shows it.", "Reason"),
    Trigger.RESTORE: _Question("Restore", "It comes back into the lists: {undo} undoes.", None),
    Trigger.APPLY: _Question(
        "Apply the waiting money to", "Every date is moved once; the order is flagged late.", None
    ),
    Trigger.REFUND: _Question(
        "Pay back money of", "{money} goes back; the order stays as it is, no date moves.", "Reason"
    ),
}


class OrderActions(BaseScreen):
    """A screen on which an order is chosen; `chosen_order` names it, `order_changed` is told what became of it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("billing", "copy", "undo")

    def __init__(self) -> None:
        super().__init__()
        self._unfinished: tuple[Run, frozenset[str]] | None = None  # and the orders that it did not do

    def chosen_order(self) -> str | None:
        """The number of the order that an action is about."""
        raise NotImplementedError

    def marked_orders(self) -> tuple[str, ...]:
        """The numbers of the orders that are marked, as the list has them: actions on many are about these."""
        return ()

    def keep_marked(self, numbers: Collection[str]) -> None:
        """Only these of the marked orders stay marked: with the others it is done."""

    def order_changed(self, number: str, *, made: bool = False) -> None:
        """An order was changed, or `made`."""
        raise NotImplementedError

    def action_billing(self) -> None:
        from smartsub_tui.screens.billing_system import BillingSystemScreen

        self.app.push_screen(BillingSystemScreen())

    def action_copy(self) -> None:
        self.when_listed(self._copy)

    def _copy(self) -> None:
        number = self.chosen_order()
        if number is not None:
            self.copy(number, number)

    def action_pay(self) -> None:
        self._ask(Trigger.PAY)

    def action_confirm(self) -> None:
        self._ask(Trigger.CONFIRM)

    def action_fail(self) -> None:
        self._ask(Trigger.FAIL)

    def action_again(self) -> None:
        self._ask(Trigger.AGAIN)

    def action_cancel(self) -> None:
        self._ask(Trigger.CANCEL)

    def action_delete(self) -> None:
        self._ask(Trigger.DELETE)

    def action_restore(self) -> None:
        self._ask(Trigger.RESTORE)

    def action_apply(self) -> None:
        self._ask(Trigger.APPLY)

    def action_refund(self) -> None:
        self._ask(Trigger.REFUND)

    def action_credit(self) -> None:
        self._ask(Trigger.CREDIT)

    def action_invoice(self) -> None:
        self.when_listed(self._invoice)

    def _invoice(self) -> None:
        if marked := self.marked_orders():
            self._ask_for_many(None, marked)
            return
        number = self.chosen_order()
        if number is None:
            return

        async def save() -> None:
            from smartsub_tui.billing import invoice_files

            self.smartsub.tell((await self.backend.call(invoice_files.save, number)).told)

        self.smartsub.write(save)

    def _ask(self, trigger: Trigger) -> None:
        self.when_listed(lambda: self._ask_now(trigger))

    def _ask_now(self, trigger: Trigger) -> None:
        from smartsub_tui.billing import bulk

        if trigger in bulk.TRIGGERS and (marked := self.marked_orders()):
            self._ask_for_many(trigger, marked)
            return
        number = self.chosen_order()
        if number is None:
            return

        async def ask() -> None:
            from smartsub_tui.screens.confirm import ConfirmScreen
            from smartsub_tui.screens.pay import PayScreen, Way

            found, offered = await self.backend.latest("ask", look, number)
            no_link = await self.backend.latest("link", why_no_link) if trigger is Trigger.PAY else None
            if not self.is_on_top:  # it was left meanwhile: nothing asks over another screen
                return
            if trigger is Trigger.PAY and found.status is OrderStatus.PROCESSING and found.live_payment is not None:
                self._watch(found)
                return
            offer = next(each for each in offered if each.trigger is trigger)
            if not offer.possible:
                self.smartsub.tell(f"{OF_TRIGGER[trigger].label}: not possible, {offer.reason}", wrong=True)
                return
            if trigger is Trigger.CREDIT:
                await self._ask_credit(number)
                return
            question = _QUESTIONS[trigger]
            verb, happens = question.verb, question.happens
            if trigger is Trigger.CONFIRM and found.status is OrderStatus.SUCCEED:
                verb, happens = "Record", "It is paid already: second money is recorded and waits."
            if trigger is Trigger.DELETE and found.status is OrderStatus.PROCESSING:
                happens = "It is cancelled, then hidden. {undo} undoes, as Cancel; is:deleted shows it."
            if trigger is Trigger.REFUND:
                money = await self.backend.latest("ask", money_to_pay_back, number)
                if not self.is_on_top:
                    return
                happens = happens.format(money=" and ".join(map(display.money, money)))
            if has_open_link(found):
                happens = f"Its payment link, which is open, is ended first. {happens}"
            said: str | PayAnswer | None
            if trigger in (Trigger.PAY, Trigger.CONFIRM):
                said = await self.answer(
                    PayScreen(
                        found,
                        self.smartsub.who,
                        self.smartsub.settings,
                        self.backend.clock,
                        verb=verb,
                        happens=happens,
                        ways=(
                            (Way.HERE,)
                            if trigger is Trigger.CONFIRM
                            else (Way.HERE, Way.BANK)
                            if no_link is not None
                            else (Way.HERE, Way.LINK, Way.BANK)
                        ),
                        no_link=no_link,
                    ),
                    keep=True,
                )
            else:
                said = await self.answer(
                    ConfirmScreen(
                        f"{verb} order {found.number}?",
                        [*about(found, trigger), "", happens.format(undo=COMMANDS["undo"].shown)],
                        f"Yes, {OF_TRIGGER[trigger].label}",
                        question.field,
                    ),
                    keep=True,
                )
            if said is not None:
                self.answered()
                self.carry_out(lambda: self._do_or_look(trigger, found, said))

        self.question(ask)

    async def _ask_credit(self, number: str) -> None:
        from smartsub_tui.billing import credits
        from smartsub_tui.screens.credit import CreditScreen

        proposal = await self.backend.latest("ask", credits.propose, number)
        if not self.is_on_top:
            return
        said = await self.answer(CreditScreen(proposal, self.smartsub.who), keep=True)
        if said is not None:
            self.answered()
            self.carry_out(lambda: self._do_or_look(Trigger.CREDIT, proposal.order, said))

    def _watch(self, found: OrderDetails, opens: BuyerReferences | None = None) -> None:
        """Show the payment link of an order, or have one opened, and what becomes of it."""
        from smartsub_tui.screens.pay_link import PayLinkScreen

        screen = PayLinkScreen(found, opening=opens is not None)
        if opens is not None:
            self.smartsub.write(partial(screen.open, opens))
        self.app.push_screen(screen)

    async def _do_or_look(self, trigger: Trigger, found: OrderDetails, said: str | PayAnswer | CreditAnswer) -> None:
        """Do it; where it is refused, the order is looked at again."""
        try:
            await self._do(trigger, found, said)
        except BaseException:
            if has_open_link(found) and self.is_on_top:  # what its provider said may have moved the order
                self.load()
            raise

    def answered(self) -> None:
        """Yes was said; it is done from now on."""

    async def _do(self, trigger: Trigger, found: OrderDetails, said: str | PayAnswer | CreditAnswer) -> None:
        from smartsub_tui.billing import credits, links, orders, refunds
        from smartsub_tui.screens.credit import CreditAnswer
        from smartsub_tui.screens.pay import ByLink, PayAnswer

        number, version = found.number, found.version
        call = self.backend.call

        async def free(act: Callable[[Session, int | None], T]) -> T:
            """What `act` gives, done to the order as it was seen, once no link of it is open."""
            if found.live_payment is None:
                return await call(act, version)
            return await self.backend.talk(links.act_without_link, trigger, number, version, act)

        match trigger, said:
            case Trigger.PAY, PayAnswer(ByLink(), references):
                if self.is_on_top:  # else it was left: nothing comes over another screen
                    self._watch(found, references)
                return
            case Trigger.PAY, PayAnswer(Manual() | BankTransfer() as paying, references):
                paid = await free(
                    lambda session, version: payments.pay(
                        session, number, paying, references=references, version=version
                    )
                )
                self._tell_paid(paid)
            case Trigger.CONFIRM, PayAnswer(Manual() as money, references):
                second = found.status is OrderStatus.SUCCEED
                paid = await free(
                    lambda session, version: payments.confirm(
                        session, number, money, second=second, references=references, version=version
                    )
                )
                self._tell_paid(paid)
            case Trigger.APPLY, _:
                self._tell_paid(await call(payments.apply, number, version=version))
            case Trigger.AGAIN, _:
                made = await call(orders.again, number)
                left = f", {len(made.skipped)} left out" if made.skipped else ""
                self.smartsub.tell(f"made order {made.order.number}, {made.order.total}{left}")
                if self.is_on_top:
                    self.order_changed(made.order.number, made=True)
                return
            case Trigger.REFUND, str(reason):
                changed = await self.backend.talk(refunds.refund, number, reason, version=version)
                self._tell_money(found, changed)
            case Trigger.CREDIT, CreditAnswer():
                done = await self.backend.talk(
                    credits.credit, number, said.reason, users=said.users, reference=said.reference, version=version
                )
                note = f"took back {done.credit_note.total}, credit note {done.credit_note.number}"
                self.smartsub.tell(f"{note}: {done.told_of_money()}", wrong=not done.is_paid_back)
            case Trigger.RESTORE, _:
                changed = await call(payments.restore, number, version=version)
                self._moved(trigger, found, changed)
            case _:
                changed = await free(
                    lambda session, version: payments.CLOSING[trigger](session, number, said, version=version)
                )
                self._moved(trigger, found, changed)
        if self.is_on_top:  # else it is read again when it is come back to
            self.order_changed(number)

    def _moved(self, trigger: Trigger, found: OrderDetails, changed: OrderDetails) -> None:
        """Tell that an order was moved, and how it is undone, where it can be."""
        from smartsub_tui.billing import bulk

        undoes = ""
        if trigger in bulk.UNDONE_BY:
            item = bulk.Item(found.number, found.version, found.status, found.total)
            self._may_undo(*bulk.undoing(trigger, [bulk.Outcome(item, version=changed.version)]))
            undoes = f": {COMMANDS['undo'].shown} undoes"
        self.smartsub.tell(f"{_DONE[trigger]} {found.number}{undoes}")

    def _tell_money(self, found: OrderDetails, changed: OrderDetails) -> None:
        """Tell what became of money that was to be paid back, in the words of the timeline."""
        told = [each for each in changed.events[len(found.events) :] if each.action != "begin_refund"]
        wrong = any(each.action not in ("refund", "refund_under_way") for each in told)
        self.smartsub.tell("; ".join(map(sentence, told)), wrong=wrong)

    # Many orders

    def _ask_for_many(self, trigger: Trigger | None, numbers: tuple[str, ...]) -> None:
        """Ask for an action on many orders; trigger None: for their invoices."""
        from smartsub_tui.billing import bulk
        from smartsub_tui.screens.bulk import WORDINGS, BulkScreen, Ended

        def ended(end: Ended) -> None:
            left = frozenset(end.not_done)
            self._unfinished = end.run, left
            self.keep_marked(left)
            if trigger in bulk.UNDONE_BY and end.done:
                self._may_undo(*bulk.undoing(trigger, end.outcomes))

        earlier = None
        if self._unfinished is not None and self._unfinished[1].issuperset(numbers):
            earlier = self._unfinished[0]
        self.app.push_screen(
            BulkScreen(WORDINGS[trigger], numbers, ended, earlier=earlier, undo=partial(self._undo, held=False))
        )

    # Undoing

    def undo_here(self) -> tuple[str, ...]:
        """The command of undoing, for the key line, where there is something to undo."""
        return ("undo",) if self.smartsub.undoables.has(self) else ()

    def action_undo(self) -> None:
        """Take back the last thing done, which may be one that is still being done."""
        self._undo(held=self.smartsub.undoables.pressed(self.backend.clock.now()))

    def _undo(self, *, held: bool) -> None:
        stack = self.smartsub.undoables
        before = [each for each in self.app.workers if each.group == "write" and not each.is_finished]

        async def undo() -> None:
            for each in before:
                with suppress(WorkerCancelled):  # it did not come to be, and is not undone
                    await each.wait()
            if not stack.has(self):
                self.smartsub.tell("nothing to undo")
            elif (done := stack.take(self, held=held)) is not None:
                done.undo(self)

        self.smartsub.write(undo)

    def _may_undo(self, back: Move, items: tuple[Item, ...]) -> None:
        self.smartsub.undoables.push(Undoable(partial(_undo_orders, back=back, items=items), moves_orders=True))

    def _tell_paid(self, paid: payments.Paid) -> None:
        if paid.waiting is not None:
            self.smartsub.tell(f"the money was recorded and waits, it could not be applied: {paid.waiting}", wrong=True)
        elif paid.order.status is not OrderStatus.SUCCEED:
            from smartsub_tui.screens.pay import bank_chosen

            self.smartsub.tell(bank_chosen(paid.order, self.backend.clock.now(), self.timezone))
        else:
            invoice = f", invoice {paid.order.invoice.number}" if paid.order.invoice else ""
            self.smartsub.tell(f"paid {paid.order.total}{invoice}")


_DONE: Final = {
    Trigger.FAIL: "marked as failed:",
    Trigger.CANCEL: "cancelled",
    Trigger.DELETE: "deleted",
    Trigger.RESTORE: "restored",
}


def _undo_orders(screen: BaseScreen, *, back: Move, items: tuple[Item, ...]) -> None:
    """Take back what was done to one order, or to many of them with a look at how far it is."""
    stack = screen.smartsub.undoables

    def again(left: tuple[Item, ...]) -> None:
        if left:
            stack.push(Undoable(partial(_undo_orders, back=back, items=left), moves_orders=True))

    async def one() -> None:
        try:
            outcome = await screen.backend.call(back.do, items[0])
        except SmartsubError:
            again(items)
            raise
        number = items[0].number
        if outcome.done:
            screen.smartsub.tell(f"undone: {_DONE[back.trigger]} {number}")
        else:
            screen.smartsub.tell(f"not undone: order {number} {outcome.refused}", wrong=True)
        if screen.is_on_top:
            screen.load()

    if len(items) == 1:
        screen.smartsub.write(one)
    elif screen.smartsub.is_ending:
        screen.smartsub.tell(f"not undone: {len(items):,} orders, for smartsub was left", wrong=True)
    elif screen.is_on_top:
        from smartsub_tui.screens.bulk import WORDINGS, BulkScreen

        screen.app.push_screen(
            BulkScreen(
                WORDINGS[back.trigger],
                (),
                lambda end: again(end.unreached),
                undo=partial(screen._undo, held=False) if isinstance(screen, OrderActions) else None,
                begin=(back, items),
            )
        )
    else:  # it was left meanwhile: nothing comes over another screen
        again(items)
        screen.smartsub.tell(f"{len(items):,} orders not undone yet: {COMMANDS['undo'].shown} undoes", wrong=True)


def has_open_link(found: OrderDetails) -> bool:
    """Whether a payment link of the order is open, by which it may be paid any moment."""
    return found.live_payment is not None and found.live_payment.state is PaymentState.SENT


def why_no_link(session: Session) -> str | None:
    """Why there can be no payment links here, in a sentence; None where they are set up."""
    try:
        session.providers(ProviderName.STRIPE)
    except WrongUsage as error:
        return error.message
    return None


def look(session: Session, number: str) -> tuple[OrderDetails, tuple[Offered, ...]]:
    """An order as it is now, and what may be done to it, both of one moment."""
    now = session.clock.now()
    return session.database.at_one_moment(
        lambda: (read_order(number, now, session.settings), offered(session, number, now))
    )


def offered(session: Session, number: str, now: datetime | None = None) -> tuple[Offered, ...]:
    """What this session's admin may do to the order now, and why not the rest."""
    from smartsub_tui.billing import access

    admin = access.who_offers(session.database, session.admin)
    return tuple(
        replace(each, reason=each.reason or why_closed(session.profile, each.trigger))
        for each in payments.offers(number, admin, now or session.clock.now())
    )


def money_to_pay_back(session: Session, number: str) -> tuple[Money, ...]:
    """What a refund of the order would pay back: the money that waits, and what credit notes still owe."""
    order = queries.find_order(number)
    facts = payments.facts_of([order], session.clock.now())[order.id]
    return (*facts.unapplied, *facts.owed)


def offered_of(session: Session, numbers: Collection[str]) -> dict[str, tuple[Trigger, ...]]:
    """What this session's admin may do to each of these orders now."""
    from smartsub_tui.billing import access

    admin = access.who_offers(session.database, session.admin)
    found = payments.offers_of(numbers, admin, session.clock.now())
    return {
        number: tuple(each for each in triggers if permits(session.profile, each)) for number, triggers in found.items()
    }


def may_to_many(session: Session) -> frozenset[Trigger]:
    """What this session's admin may do to marked orders, as far as it depends on nothing but the role."""
    from smartsub_tui.billing import access, bulk

    role = access.who_offers(session.database, session.admin).role
    return frozenset(each for each in bulk.TRIGGERS if access.may(role, each) and permits(session.profile, each))


def about(found: OrderDetails, trigger: Trigger) -> list[str]:
    """An order in a few lines, for a question about it: with its people's dates, where it moves them."""
    term = f", {display.months(found.months)}" if found.months else f", until {found.until}" if found.until else ""
    lines: list[Any] = [
        f"{display.money(found.total)}   {found.type.label}{term}   {found.office}",
        f"{display.status(found.status, due=found.due)}",
    ]
    for line in found.lines[:_LINES_SHOWN]:
        dates = f"{display.service_date(line.previous_expiry)} -> {display.service_date(line.new_expiry)}"
        lines.append(f"  {display.fit(line.name, 30)} {dates if trigger is Trigger.APPLY else ''}".rstrip())
    if len(found.lines) > _LINES_SHOWN:
        lines.append(f"  and {len(found.lines) - _LINES_SHOWN:,} more")
    return lines
