"""The audit trail as people read it: one sentence per event."""

from __future__ import annotations

import json
from typing import Any

from smartsub_tui.data.models import AuditEvent
from smartsub_tui.data.money import Money
from smartsub_tui.data.order_records import EventRecord
from smartsub_tui.data.vocabulary import PaymentState


def events_of(order: int) -> tuple[EventRecord, ...]:
    """The events of one order, oldest first."""
    rows = AuditEvent.select().where(AuditEvent.order == order).order_by(AuditEvent.id)
    return tuple(
        EventRecord(
            at=row.at,
            by=row.admin,
            source=row.source,
            action=row.action,
            before=None if row.before is None else json.loads(row.before),
            after=None if row.after is None else json.loads(row.after),
            reason=row.reason,
        )
        for row in rows
    )


def sentence(event: EventRecord) -> str:
    """What happened, in one line; text of people in it is as it was typed, so it goes through `display`."""
    after: dict[str, Any] = event.after if isinstance(event.after, dict) else {}
    said = _SAID.get(event.action, event.action)
    if event.action == "under_way" and after.get("payment") == PaymentState.UNKNOWN:
        said = "no answer about the payment: it is asked for again"
    parts = [said]
    if after.get("credit_note"):
        parts.append(f"credit note {after['credit_note']}")
    if lines := after.get("lines"):
        parts.append(f"{lines} {'line' if lines == 1 else 'lines'}")
    if amount := after.get("amount") or after.get("total"):
        parts.append(str(Money(amount["amount"], amount["currency"])))
    if taken := after.get("taken_back"):
        parts.append(f"{taken} {'line' if taken == 1 else 'lines'}")
    if after.get("reference"):
        parts.append(f"reference {after['reference']}")
    if after.get("po_number"):
        parts.append(f"PO number {after['po_number']}")
    if after.get("buyer_reference"):
        parts.append(f"buyer reference {after['buyer_reference']}")
    if after.get("recorded"):
        parts.append(f"recorded, it waits: {after['recorded']}")
    if after.get("late"):
        parts.append("late")
    if after.get("invoice"):
        parts.append(f"invoice {after['invoice']}")
    if after.get("pay_by"):
        parts.append(f"to be paid until {str(after['pay_by'])[:16].replace('T', ' ')} UTC")
    if after.get("made_from"):
        parts.append(f"from order {after['made_from']}")
    if after.get("made"):
        parts.append(f"as order {after['made']}")
    if event.reason:
        parts.append(f"because: {event.reason}")
    return ", ".join(parts)


_SAID = {
    "create": "created",
    "import": "imported",
    "pay": "paid",
    "confirm": "confirmed",
    "credit": "taken back",
    "apply": "waiting money applied",
    "fail": "marked as failed",
    "time_out": "timed out, nothing was charged",
    "again": "ordered again",
    "cancel": "cancelled",
    "delete": "deleted",
    "restore": "restored",
    "bank": "bank transfer chosen",
    "references": "the buyer's references noted",
    "begin_link": "payment link asked for",
    "link": "payment link opened",
    "under_way": "money is under way, the answer is awaited",
    "arrive": "money arrived",
    "not_taken": "nothing was taken",
    "decline": "payment declined",
    "contested": "the provider denies what was confirmed",
    "begin_refund": "to be paid back",
    "refund": "paid back",
    "refund_under_way": "the refund is under way",
    "refund_declined": "it could not be paid back",
    "refund_unknown": "whether it was paid back is unknown",
    "refund_twice": "it had been called declined, and its money was used since: see that it is not gone twice",
}
