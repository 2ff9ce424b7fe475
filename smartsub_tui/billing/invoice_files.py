"""Invoices and credit notes as files: found by order's or own number, drawn, and saved under their own number."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from smartsub_tui.billing import access, profiles
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.session import Session
from smartsub_tui.data.files import FileExists, safe_name, write_file
from smartsub_tui.data.models import Invoice, Order
from smartsub_tui.data.vocabulary import InvoiceKind
from smartsub_tui.errors import NotFound, Refused


class Document(Struct, frozen=True):
    """An invoice or a credit note as PDF; `order` is the number of its order."""

    invoice: str
    order: str
    content: bytes

    @property
    def file_name(self) -> str:
        return f"{safe_name(self.invoice)}.pdf"


class Saved(Struct, frozen=True, kw_only=True):
    """Where an invoice was saved, and its length in bytes."""

    invoice: str
    order: str
    file: str
    bytes: int

    @property
    def told(self) -> str:
        """What a person reads."""
        path = Path(self.file)
        return f"saved {path.name} in {path.parent}"


def draw(session: Session, number: str) -> Document:
    """The invoice of the order of that number, or the invoice or credit note that has it.

    Raises NotFound; Refused where the order has no invoice, or a character in it no font; NotAllowed.
    """
    access.check(session.admin, Permission.READ)
    invoice = _find(number)
    # fpdf2 and fontTools are slow to load: only who makes an invoice waits for them.
    from smartsub_tui.billing.invoice_pdf import render

    return Document(invoice.number, invoice.order.number, render(invoice, session.settings.invoice.fonts))


def save(
    session: Session, number: str, *, file: Path | None = None, folder: Path | None = None, replace: bool = False
) -> Saved:
    """Draw an invoice and save it as `file`, or under its number in `folder`.

    Where neither is given, the folder is that of `[invoice] folder`, or the current one. Raises what draw() and
    write_file() do.
    """
    profiles.check_files(session.profile)
    document = draw(session, number)
    if file is None:
        file = (folder or Path(os.path.expanduser(session.settings.invoice.folder))) / document.file_name
    path = file.absolute()
    try:
        write_file(path, document.content, replace=replace)
    except FileExists as error:
        raise Refused(
            f"{path} exists with other content: move it away, or smartsub invoice {number} -o FILE, with --force to"
            " replace it"
        ) from error
    return Saved(invoice=document.invoice, order=document.order, file=str(path), bytes=len(document.content))


def save_credit_notes(session: Session, number: str, *, folder: Path | None = None) -> list[Saved]:
    """Save every credit note of an order, oldest first; the number is the order's, or its invoice's.

    Raises Refused where it has none, and what save() does.
    """
    access.check(session.admin, Permission.READ)
    order = _find(number).order
    of_it = (Invoice.order == order) & (Invoice.kind == InvoiceKind.CREDIT_NOTE)
    notes = [note.number for note in Invoice.select().where(of_it).order_by(Invoice.id)]
    if not notes:
        raise Refused(f"order {order.number} has no credit note: nothing of it was taken back")
    return [save(session, each, folder=folder) for each in notes]


def _find(number: str) -> Invoice:
    order = Order.get_or_none(Order.number == number)
    of_order = (Invoice.kind == InvoiceKind.INVOICE) & (Invoice.order == order)
    found = Invoice.get_or_none(Invoice.number == number if order is None else of_order)
    if found is not None:
        return found
    if order is None:
        raise NotFound(f"no order or invoice has the number {number}: smartsub orders finds one by a part of it")
    if order.history:
        raise Refused(f"order {number} is imported history: it has no invoice of ours")
    raise Refused(f"order {number} is not paid: it has no invoice yet")
