"""An order as a whole, as its details and the results of commands show it: lines, payments, timeline."""

from __future__ import annotations

from datetime import date, datetime

from msgspec import Struct

from smartsub_tui.data.money import Money
from smartsub_tui.data.records import Hidden, InvoiceRecord, Json, OrderSummary
from smartsub_tui.data.vocabulary import PaymentState, ProviderName, RefundState, Service


class LineRecord(Struct, frozen=True, kw_only=True, gc=False):
    """`previous_expiry` and `new_expiry`: as applied; in an order that can still be paid, as if paid today.

    An order whose money waits to be applied can be paid, by that.
    """

    user_id: str
    name: str
    service: Service
    amount: Money | None  # net; null in imported history
    previous_expiry: date | None
    new_expiry: date | None
    credited: str | None = None  # number of the credit note that took it back


class PaymentRecord(Struct, frozen=True, kw_only=True):
    provider: ProviderName
    state: PaymentState
    reference: str | None
    amount: Money
    link: str | None
    expires_at: datetime | None
    created_at: datetime
    applied: Hidden[bool] = False
    never_came: Hidden[bool] = False


class RefundRecord(Struct, frozen=True, kw_only=True):
    """Money that is paid back, by whom it once came."""

    provider: ProviderName
    state: RefundState
    amount: Money
    reference: str | None
    created_at: datetime


class EventRecord(Struct, frozen=True, kw_only=True):
    """One row of the audit trail. `before` and `after` hold what changed."""

    at: datetime
    by: str
    source: str
    action: str
    before: Json
    after: Json
    reason: str | None


class OrderDetails(OrderSummary, frozen=True, kw_only=True):
    """An order with all that belongs to it, oldest first."""

    lines: tuple[LineRecord, ...]
    payments: tuple[PaymentRecord, ...]
    events: tuple[EventRecord, ...]
    credit_notes: tuple[InvoiceRecord, ...] = ()
    status_since: Hidden[datetime]
    unapplied: Hidden[tuple[Money, ...]] = ()
    bank_chosen_at: Hidden[datetime | None] = None
    refunds: Hidden[tuple[RefundRecord, ...]] = ()

    @property
    def live_payment(self) -> PaymentRecord | None:
        """The payment that may still take money, of which there is at most one."""
        return next((each for each in self.payments if each.state.is_live), None)


class Skipped(Struct, frozen=True, kw_only=True):
    """A person left out of a new order, and why."""

    user_id: str
    reason: str
