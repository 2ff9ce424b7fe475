"""Invoices: numbered without gaps, issued in the transaction that makes an order Succeed, never changed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any, Final

from msgspec import Struct, json
from msgspec.structs import asdict

from smartsub_tui.billing.changes import Change, check_text
from smartsub_tui.billing.pricing import Totals
from smartsub_tui.clock import local_date
from smartsub_tui.config import Seller
from smartsub_tui.data.models import Counter, Invoice, Order
from smartsub_tui.data.money import Money
from smartsub_tui.data.records import InvoiceRecord, OrderSummary, instant_text
from smartsub_tui.data.vocabulary import InvoiceKind, LineAction, OfficeKind, OrderType, Service


class BuyerReferences(Struct, frozen=True):
    """The buyer's own words for an order: what its invoice repeats, so that it is found in the buyer's books."""

    po_number: str | None = None
    buyer_reference: str | None = None

    def __bool__(self) -> bool:
        return self.po_number is not None or self.buyer_reference is not None

    def columns(self) -> dict[str, str]:
        """What was given, checked, by the order's columns; raises WrongUsage."""
        given = (
            ("po_number", "PO number", self.po_number),
            ("buyer_reference", "buyer reference", self.buyer_reference),
        )
        return {column: check_text(name, text) for column, name, text in given if text is not None}

    def arguments(self) -> dict[str, BuyerReferences]:
        """What a request's arguments say of it: nothing where nothing was given."""
        return {"references": self} if self else {}


NO_REFERENCES: Final = BuyerReferences()


def objection(order: OrderSummary) -> str:
    """Why an order has no invoice that could be drawn, in a few words; nothing where it has one."""
    if order.invoice is not None:
        return ""
    return "imported history has no invoice of ours" if order.history else "it is not paid"


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


class SnapshotLine(Struct, frozen=True, kw_only=True, gc=False):
    """One line of a snapshot, under the names that it has there."""

    user_id: str
    label: str
    department: str
    apartment: str | None
    service: Service
    action: LineAction
    amount: int
    tax_rate_ppm: int
    previous_expiry: date | None
    new_expiry: date | None
    starts_on: date


def snapshot(
    *,
    seller: Seller,
    office: str,
    kind: OfficeKind,
    number: str,
    type: OrderType,
    created_at: datetime,
    paid_at: datetime,
    months: int | None,
    until: date | None,
    first_term_months: int | None,
    references: BuyerReferences,
    payment: dict[str, Any] | None,
    currency: str,
    lines: Sequence[SnapshotLine],
    by_rate: Mapping[int, tuple[int, int]],
    net: int,
    tax: int,
    total: int,
) -> str:
    """All that an invoice says, as JSON; `payment` is plain JSON data."""
    # The same text as json.dumps makes without spaces, many times as fast: an invoice may have ten thousand lines.
    return json.encode(
        {
            "seller": _seller(seller),
            "buyer": {"office": office, "kind": kind.value},
            "order": {
                "number": number,
                "type": type.value,
                "created_at": instant_text(created_at),
                "paid_at": instant_text(paid_at),
                "months": months,
                "until": until.isoformat() if until else None,
                "first_term_months": first_term_months,
            },
            "references": {"po_number": references.po_number, "buyer_reference": references.buyer_reference},
            "payment": payment,
            "currency": currency,
            "lines": lines,
            "tax": [{"rate_ppm": rate, "net": part, "tax": tax_part} for rate, (part, tax_part) in by_rate.items()],
            "net": net,
            "tax_total": tax,
            "total": total,
        }
    ).decode()


class CreditedLine(SnapshotLine, frozen=True, kw_only=True, gc=False):
    """A line that is taken back, as the invoice has it; and until when its subscription ran, and runs without it."""

    expiry_before: date | None
    expiry_after: date | None


def issue_credit_note(
    change: Change, order: Order, invoice: Invoice, totals: Totals, lines: Sequence[CreditedLine], reference: str | None
) -> Invoice:
    """Issue a credit note over lines of an invoice, with a snapshot of all that it says.

    Buyer, order and payment are those of the invoice, which it names; `reference` says that the money goes back by
    hand. Amounts are what is taken back, and positive.
    """
    seller = change.settings.seller
    day = local_date(change.now, seller.timezone)
    series = change.settings.invoice.credit_series
    number, sequence = next_number(series, day.year)
    said = json.decode(invoice.snapshot)
    document = said | {
        "seller": _seller(seller),
        "credits": {"number": invoice.number, "issued_on": invoice.issued_on},
        "paid_back": {"at": instant_text(change.now), "reference": reference},
        "lines": lines,
        "tax": _tax(totals),
        "net": totals.net,
        "tax_total": totals.tax,
        "total": totals.total,
    }
    note: Invoice = Invoice.create(
        order=order.id,
        kind=InvoiceKind.CREDIT_NOTE,
        number=number,
        series=series,
        year=day.year,
        sequence=sequence,
        issued_at=change.now,
        issued_on=day,
        currency=order.currency,
        net=totals.net,
        tax=totals.tax,
        total=totals.total,
        snapshot=json.encode(document).decode(),
    )
    return note


def _tax(totals: Totals) -> list[dict[str, int]]:
    return [{"rate_ppm": rate, "net": net, "tax": tax} for rate, (net, tax) in totals.by_rate.items()]


@cache
def _seller(seller: Seller) -> dict[str, str]:
    return {key: value for key, value in asdict(seller).items() if key != "timezone"}


def issue(
    change: Change, order: Order, totals: Totals, lines: Sequence[SnapshotLine], payment: dict[str, Any] | None
) -> InvoiceRecord:
    """Issue the invoice of an order that succeeds now, with a snapshot of all that it says.

    `payment` is plain JSON data. Its day and year are those of the seller's time zone.
    """
    seller = change.settings.seller
    day = local_date(change.now, seller.timezone)
    number, sequence = next_number(change.settings.invoice.series, day.year)
    assert order.net is not None and order.tax is not None  # noqa: S101, PT018 - for the type: only history lacks them
    document = snapshot(
        seller=seller,
        office=order.office.name,
        kind=order.office.kind,
        number=order.number,
        type=order.type,
        created_at=order.created_at,
        paid_at=change.now,
        months=order.months,
        until=order.until,
        first_term_months=order.first_term_months,
        references=BuyerReferences(order.po_number, order.buyer_reference),
        payment=payment,
        currency=order.currency,
        lines=lines,
        by_rate=totals.by_rate,
        net=order.net,
        tax=order.tax,
        total=order.total,
    )
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
        snapshot=document,
    ).execute()
    return InvoiceRecord(number=number, issued_on=day, total=Money(order.total, order.currency))
