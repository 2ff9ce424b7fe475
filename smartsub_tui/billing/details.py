"""An order as a whole: its fields, lines, payments and timeline, read from what is stored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from functools import cache
from typing import Final

from peewee import JOIN

from smartsub_tui.billing import terms
from smartsub_tui.billing.audit import events_of
from smartsub_tui.billing.terms import Dates, FirstTerm, Months, Term, Until
from smartsub_tui.clock import local_date
from smartsub_tui.config import Settings
from smartsub_tui.data import queries
from smartsub_tui.data.database import rows
from smartsub_tui.data.models import Invoice, Order, OrderLine, Payment, Refund, Subscription, User
from smartsub_tui.data.money import Money
from smartsub_tui.data.order_records import LineRecord, OrderDetails, PaymentRecord, RefundRecord
from smartsub_tui.data.records import InvoiceRecord
from smartsub_tui.data.vocabulary import InvoiceKind, LineAction, OrderStatus, PaymentState


def term_of(order: Order, action: LineAction) -> Term:
    """What a line of `order` buys, as it was frozen when the order was made."""
    if action is LineAction.DAY and order.until is not None:
        return Until(order.until)
    if action is LineAction.MONTH and order.months is not None:
        return Months(order.months)
    if action is LineAction.ACTIVATION and order.first_term_months is not None:
        return FirstTerm(order.first_term_months)
    raise ValueError(f"order {order.number} has a line of {action!r} and no term for it")


def known_by(payment: Payment) -> str | None:
    """What the money of a payment is known by, in invoices and timelines: what people look for in their books."""
    return payment.confirmation or payment.charge or payment.reference


def read_order(number: str, now: datetime, settings: Settings) -> OrderDetails:
    """An order with its lines, payments and timeline, all of one moment; raises NotFound.

    In an order that can still be paid the lines show the dates as if it were paid today.
    """
    return Order._meta.database.at_one_moment(  # type: ignore[no-any-return]
        lambda: details(queries.find_order(number), now, settings)
    )


def details(order: Order, now: datetime, settings: Settings) -> OrderDetails:
    """As read_order(), of an order that was read in the same transaction, and is as it is stored."""
    payment_rows = list(Payment.select().where(Payment.order == order).order_by(Payment.id))
    return OrderDetails(
        **queries.order_summary(order.id, now),
        lines=_lines(order, now, settings, waits=_money_waits(payment_rows)),
        payments=tuple(
            PaymentRecord(
                provider=row.provider,
                state=row.state,
                reference=known_by(row),
                amount=Money(row.amount, row.currency),
                link=row.link,
                expires_at=row.expires_at,
                created_at=row.created_at,
                applied=row.applied,
                never_came=row.never_came,
            )
            for row in payment_rows
        ),
        events=events_of(order.id),
        credit_notes=tuple(
            InvoiceRecord(number=number, issued_on=day, total=Money(total, order.currency))
            for number, day, total in rows(
                Invoice.select(Invoice.number, Invoice.issued_on, Invoice.total)
                .where((Invoice.order == order) & (Invoice.kind == InvoiceKind.CREDIT_NOTE))
                .order_by(Invoice.id)
            )
        ),
        status_since=order.status_since,
        bank_chosen_at=order.bank_chosen_at,
        unapplied=tuple(
            Money(row.amount, row.currency)
            for row in payment_rows
            if row.state is PaymentState.SUCCEEDED and not row.applied
        ),
        refunds=_refunds(order) if payment_rows else (),
    )


def _refunds(order: Order) -> tuple[RefundRecord, ...]:
    stored = Refund.select(Refund, Payment).join(Payment).where(Payment.order == order).order_by(Refund.id)
    return tuple(
        RefundRecord(
            provider=row.payment.provider,
            state=row.state,
            amount=Money(row.amount, row.currency),
            reference=row.reference,
            created_at=row.created_at,
        )
        for row in stored
    )


def _money_waits(payments: Iterable[Payment]) -> bool:
    return any(row.state is PaymentState.SUCCEEDED and not row.applied for row in payments)


_PAYABLE: Final = (OrderStatus.PROCESSING, OrderStatus.SYSTEM_PROCESSING, OrderStatus.FAILED)


def _lines(order: Order, now: datetime, settings: Settings, *, waits: bool) -> tuple[LineRecord, ...]:
    today = local_date(now, order.office.timezone)
    by_waiting = waits and order.status is not OrderStatus.SUCCEED
    projected = (order.status in _PAYABLE or by_waiting) and not order.history
    stored = (
        OrderLine.select(
            User.key,
            OrderLine.label,
            Subscription.service,
            OrderLine.amount,
            OrderLine.action,
            OrderLine.previous_expiry,
            OrderLine.new_expiry,
            Subscription.activated_on,
            Subscription.expires_on,
            Subscription.anchor_day,
            User.removed_on,
            Invoice.number,
        )
        .join(Subscription, on=(OrderLine.subscription == Subscription.id))
        .join(User, on=(Subscription.user == User.id))
        .join(Invoice, JOIN.LEFT_OUTER, on=(OrderLine.credit_note == Invoice.id))
        .where(OrderLine.order == order)
        .order_by(OrderLine.id)
    )

    @cache  # the lines of an order have few dates, and few prices
    def if_paid_today(action: LineAction, held: Dates, removed_on: date | None) -> date | None:
        term = term_of(order, action)
        if terms.objection(held, term, today, removed_on) is not None:
            return None
        return terms.extend(held, term, today, settings.orders.lapsed).expires_on

    money = cache(Money)
    shown = []
    for key, label, service, amount, action, previous, new, *dates, removed_on, credited in rows(stored):
        if projected:
            held = Dates(*dates)
            previous, new = held.expires_on, if_paid_today(action, held, removed_on)
        shown.append(
            LineRecord(
                user_id=key,
                name=label,
                service=service,
                amount=None if amount is None else money(amount, order.currency),
                previous_expiry=previous,
                new_expiry=new,
                credited=credited,
            )
        )
    return tuple(shown)
