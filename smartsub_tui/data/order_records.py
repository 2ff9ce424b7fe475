"""An order as a whole, as its details and the results of commands show it: lines, payments, timeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from smartsub_tui.data.money import Money
from smartsub_tui.data.records import Json, OrderSummary, hidden
from smartsub_tui.data.vocabulary import PaymentState, ProviderName, Service


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRecord:
    """`previous_expiry` and `new_expiry`: as applied; in an order that can still be paid, as if paid today."""

    user_id: str
    name: str
    service: Service
    amount: Money | None  # net; null in imported history
    previous_expiry: date | None
    new_expiry: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRecord:
    provider: ProviderName
    state: PaymentState
    reference: str | None
    amount: Money
    link: str | None
    expires_at: datetime | None
    created_at: datetime
    applied: bool = hidden(default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One row of the audit trail. `before` and `after` hold what changed."""

    at: datetime
    by: str
    source: str
    action: str
    before: Json
    after: Json
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDetails(OrderSummary):
    """An order with all that belongs to it, oldest first."""

    lines: tuple[LineRecord, ...]
    payments: tuple[PaymentRecord, ...]
    events: tuple[EventRecord, ...]
    status_since: datetime = hidden()
    unapplied: tuple[Money, ...] = hidden(default=())
    bank_chosen_at: datetime | None = hidden(default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A person left out of a new order, and why."""

    user_id: str
    reason: str
