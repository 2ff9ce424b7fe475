"""Invoices: numbered without gaps, issued in the transaction that makes an order Succeed, never changed again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from smartsub_tui.billing.changes import Change
from smartsub_tui.billing.pricing import Totals
from smartsub_tui.clock import local_date
from smartsub_tui.data.models import Counter, Invoice, Order
from smartsub_tui.data.money import Money
from smartsub_tui.data.records import InvoiceRecord, instant_text
from smartsub_tui.data.vocabulary import InvoiceKind


def next_number(series: str, year: int) -> tuple[str, int]:
    """Take the next number of a series and year: ("INV-2026-000042", 42).

    The counter row is locked until the transaction ends, so numbers have neither gaps nor twins.
    """
    row = (
        Counter.insert(series=series, year=year, last=1)
        .on_conflict(conflict_target=[Counter.series, Counter.year], update={Counter.last: Counter.last + 1})
        .returning(Counter.last)
        .execute()
    )
    (sequence,) = [each.last for each in row]  # read to its end, or it would hold the write lock
    return f"{series}-{year}-{sequence:06d}", sequence


def issue(
    change: Change, order: Order, totals: Totals, lines: Sequence[dict[str, Any]], payment: dict[str, Any] | None
) -> InvoiceRecord:
    """Issue the invoice of an order that succeeds now, with a snapshot of all that it says.

    `lines` and `payment` are plain JSON data. Its day and year are those of the seller's time zone.
    """
    seller = change.settings.seller
    day = local_date(change.now, seller.timezone)
    number, sequence = next_number(change.settings.invoice.series, day.year)
    snapshot = {
        "seller": {key: value for key, value in asdict(seller).items() if key != "timezone"},
        "buyer": {"office": order.office.name, "kind": order.office.kind.value},
        "order": {
            "number": order.number,
            "type": order.type.value,
            "created_at": instant_text(order.created_at),
            "paid_at": instant_text(change.now),
            "months": order.months,
            "until": order.until.isoformat() if order.until else None,
            "first_term_months": order.first_term_months,
        },
        "payment": payment,
        "currency": order.currency,
        "lines": list(lines),
        "tax": [{"rate_ppm": rate, "net": net, "tax": tax} for rate, (net, tax) in totals.by_rate.items()],
        "net": order.net,
        "tax_total": order.tax,
        "total": order.total,
    }
    Invoice.insert(
        order=order.id,
        kind=InvoiceKind.INVOICE,
        number=number,
        series=change.settings.invoice.series,
        year=day.year,
        sequence=sequence,
        issued_at=change.now,
        issued_on=day,
        currency=order.currency,
        net=order.net,
        tax=order.tax,
        total=order.total,
        snapshot=json.dumps(snapshot, ensure_ascii=False, separators=(",", ":")),
    ).execute()
    return InvoiceRecord(number=number, issued_on=day, total=Money(order.total, order.currency))
