"""What can be done to one order, by the same keys wherever one is chosen: Payments and Order info."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from textual.binding import BindingType

from smartsub_tui import display
from smartsub_tui.billing import invoice_files, orders, payments
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.payments import Manual, Offered
from smartsub_tui.billing.session import Session
from smartsub_tui.commands import OF_TRIGGER, bindings
from smartsub_tui.data.order_records import OrderDetails
from smartsub_tui.data.vocabulary import OrderStatus, Trigger
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.billing_system import BillingSystemScreen
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.screens.pay import PayAnswer, PayScreen

_LINES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class _Question:
    """How a trigger asks: the verb, what will happen, and the field that it needs."""

    verb: str
    happens: str
    field: str | None


_QUESTIONS: Final = {
    Trigger.PAY: _Question("Pay", "Paid today, the dates become (and an invoice is issued):", None),
    Trigger.CONFIRM: _Question("Confirm", "Applied if the order can take it, else recorded to wait:", None),
    Trigger.FAIL: _Question("Mark as failed:", "Nothing was charged; its people are free again.", "Reason"),
    Trigger.AGAIN: _Question("Order again:", "A new order for the same people, at today's price.", None),
    Trigger.CANCEL: _Question("Cancel", "It can no longer be paid; its people are free again.", "Reason"),
    Trigger.DELETE: _Question("Delete", "It is hidden, not destroyed: D restores it, is:deleted shows it.", "Reason"),
    Trigger.RESTORE: _Question("Restore", "It comes back into the lists.", None),
    Trigger.APPLY: _Question(
        "Apply the waiting money to", "Every date is moved once; the order is flagged late.", None
    ),
}


class OrderActions(BaseScreen):
    """A screen on which an order is chosen; `chosen_order` names it, `order_changed` is told what became of it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("billing", "copy")

    def chosen_order(self) -> str | None:
        """The number of the order that an action is about."""
        raise NotImplementedError

    def order_changed(self, number: str, *, made: bool = False) -> None:
        """An order was changed, or `made`."""
        raise NotImplementedError

    def action_billing(self) -> None:
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

    def action_invoice(self) -> None:
        self.when_listed(self._invoice)

    def _invoice(self) -> None:
        number = self.chosen_order()
        if number is None:
            return

        async def save() -> None:
            self.smartsub.tell((await self.backend.call(invoice_files.save, number)).told)

        self.smartsub.write(save)

    def _ask(self, trigger: Trigger) -> None:
        self.when_listed(lambda: self._ask_now(trigger))

    def _ask_now(self, trigger: Trigger) -> None:
        number = self.chosen_order()
        if number is None:
            return

        async def ask() -> None:
            found, offered = await self.backend.latest("ask", look, number)
            if not self.is_current:  # it was left meanwhile: nothing asks over another screen
                return
            offer = next(each for each in offered if each.trigger is trigger)
            if not offer.possible:
                self.smartsub.tell(f"{OF_TRIGGER[trigger].label}: not possible, {offer.reason}", wrong=True)
                return
            question = _QUESTIONS[trigger]
            verb, happens = question.verb, question.happens
            if trigger is Trigger.CONFIRM and found.status is OrderStatus.SUCCEED:
                verb, happens = "Record", "It is paid already: second money is recorded and waits."
            if trigger is Trigger.DELETE and found.status is OrderStatus.PROCESSING:
                happens = "It is cancelled, then hidden. D brings it back as Cancel, is:deleted shows it."
            said: str | PayAnswer | None
            if trigger in (Trigger.PAY, Trigger.CONFIRM):
                said = await self.app.push_screen_wait(
                    PayScreen(
                        found,
                        self.smartsub.who,
                        self.smartsub.settings,
                        self.backend.clock,
                        verb=verb,
                        happens=happens,
                        bank=trigger is Trigger.PAY,
                    )
                )
            else:
                said = await self.app.push_screen_wait(
                    ConfirmScreen(
                        f"{verb} order {found.number}?",
                        [*about(found), "", happens],
                        f"Yes, {OF_TRIGGER[trigger].label}",
                        question.field,
                    )
                )
            if said is not None:
                # Not in this worker: it ends with its screen, and with the next key that asks.
                self.smartsub.write(lambda: self._do(trigger, found, said))

        self.work("action", ask)

    async def _do(self, trigger: Trigger, found: OrderDetails, said: str | PayAnswer) -> None:
        number, version = found.number, found.version
        call = self.backend.call
        match trigger, said:
            case Trigger.PAY, PayAnswer(paying, references):
                paid = await call(payments.pay, number, paying, references=references, version=version)
                self._tell_paid(paid)
            case Trigger.CONFIRM, PayAnswer(Manual() as money, references):
                second = found.status is OrderStatus.SUCCEED
                paid = await call(
                    payments.confirm, number, money, second=second, references=references, version=version
                )
                self._tell_paid(paid)
            case Trigger.APPLY, _:
                self._tell_paid(await call(payments.apply, number, version=version))
            case Trigger.AGAIN, _:
                made = await call(orders.again, number)
                left = f", {len(made.skipped)} left out" if made.skipped else ""
                self.smartsub.tell(f"made order {made.order.number}, {made.order.total}{left}")
                if self.is_current:
                    self.order_changed(made.order.number, made=True)
                return
            case Trigger.RESTORE, _:
                await call(payments.restore, number, version=version)
                self.smartsub.tell(f"restored {number}")
            case _:
                await call(payments.CLOSING[trigger], number, said, version=version)
                self.smartsub.tell(f"{_DONE[trigger]} {number}")
        if self.is_current:  # else it is read again when it is come back to
            self.order_changed(number)

    def _tell_paid(self, paid: payments.Paid) -> None:
        if paid.waiting is not None:
            self.smartsub.tell(f"the money was recorded and waits, it could not be applied: {paid.waiting}", wrong=True)
        elif paid.order.status is not OrderStatus.SUCCEED:
            until = display.instant(paid.order.pay_by, self.backend.clock.now(), self.timezone)
            self.smartsub.tell(f"bank transfer chosen: to be paid until {until}, reference {paid.order.number}")
        else:
            invoice = f", invoice {paid.order.invoice.number}" if paid.order.invoice else ""
            self.smartsub.tell(f"paid {paid.order.total}{invoice}")


_DONE: Final = {Trigger.FAIL: "marked as failed:", Trigger.CANCEL: "cancelled", Trigger.DELETE: "deleted"}


def look(session: Session, number: str) -> tuple[OrderDetails, tuple[Offered, ...]]:
    """An order as it is now, and what may be done to it."""
    now = session.clock.now()
    return read_order(number, now, session.settings), offered(session, number, now)


def offered(session: Session, number: str, now: datetime | None = None) -> tuple[Offered, ...]:
    """What this session's admin may do to the order now, and why not the rest."""
    from smartsub_tui.billing import access

    admin = access.check(session.admin, access.Permission.READ)
    return payments.offers(number, admin.role, now or session.clock.now())


def about(found: OrderDetails) -> list[str]:
    """An order in a few lines, for a question about it."""
    term = f", {display.months(found.months)}" if found.months else f", until {found.until}" if found.until else ""
    lines: list[Any] = [
        f"{display.money(found.total)}   {found.type.label}{term}   {found.office}",
        f"{display.status(found.status, due=found.due)}",
    ]
    for line in found.lines[:_LINES_SHOWN]:
        dates = f"{display.service_date(line.previous_expiry)} -> {display.service_date(line.new_expiry)}"
        lines.append(f"  {display.fit(line.name, 30)} {dates}")
    if len(found.lines) > _LINES_SHOWN:
        lines.append(f"  and {len(found.lines) - _LINES_SHOWN:,} more")
    return lines
