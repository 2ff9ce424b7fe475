"""Invoices as files: found by either number, saved where it was said, and refused where there is none."""

from __future__ import annotations

import csv
from io import BytesIO
from pathlib import Path

import pytest
from msgspec.structs import replace
from pypdf import PdfReader

from smartsub_tui.billing import credits, invoice_files, invoices, orders, payments
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.imports import import_files
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.providers import hold
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.config import InvoiceSettings
from smartsub_tui.data.models import Office, Order
from smartsub_tui.data.vocabulary import OrderStatus, Role
from smartsub_tui.errors import NotAllowed, NotFound, Refused
from tests.support import (
    NOW,
    SETTINGS,
    TODAY,
    add_office,
    add_order,
    add_people,
    add_person,
    add_prices,
    as_role,
    fonts_for,
)

SAMPLES = Path(__file__).parent.parent / "data" / "samples"


@pytest.fixture
def number(session: Session) -> str:
    """That of a paid order, whose invoice is INV-2026-000001."""
    add_prices()
    add_people(add_office(), "u1", "u2", expires_on=TODAY)
    return orders.renew(session, "Oak House", ["u1"], Months(1), paying=Manual("R")).order.number


def with_folder(session: Session, folder: str) -> Session:
    return replace(session, settings=replace(SETTINGS, invoice=InvoiceSettings(folder=folder)))


def test_an_invoice_is_found_by_the_number_of_its_order_and_by_its_own(session: Session, number: str) -> None:
    by_order = invoice_files.draw(session, number)
    assert invoice_files.draw(session, "INV-2026-000001") == by_order
    assert (by_order.invoice, by_order.order) == ("INV-2026-000001", number)
    assert by_order.content.startswith(b"%PDF-1.7")


def test_it_is_saved_under_its_number_in_the_folder_of_the_setting_or_here(
    session: Session, number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "invoices").mkdir()
    for folder, expected in (("", tmp_path), ("~/invoices", tmp_path / "invoices")):
        saved = invoice_files.save(with_folder(session, folder), number)
        path = expected / "INV-2026-000001.pdf"
        assert (saved.invoice, saved.order, saved.file) == ("INV-2026-000001", number, str(path))
        assert saved.told == f"saved INV-2026-000001.pdf in {expected}"
        assert path.stat().st_size == saved.bytes
    for folder in ("nowhere", "~nobody_of_this_name/nowhere"):
        with pytest.raises(NotFound, match=r"no folder .*nowhere: make it first"):
            invoice_files.save(with_folder(session, folder), number)


def test_it_is_saved_as_a_file_or_in_a_folder_that_is_said(session: Session, number: str, tmp_path: Path) -> None:
    assert invoice_files.save(session, number, file=tmp_path / "a.pdf").file == str(tmp_path / "a.pdf")
    assert invoice_files.save(session, number, folder=tmp_path).file == str(tmp_path / "INV-2026-000001.pdf")
    (tmp_path / "a.pdf").write_bytes(b"mine")
    with pytest.raises(Refused, match="other content"):
        invoice_files.save(session, number, file=tmp_path / "a.pdf")
    invoice_files.save(session, number, file=tmp_path / "a.pdf", replace=True)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "INV-2026-000001.pdf").read_bytes()


def test_an_order_without_an_invoice_says_why(session: Session, number: str) -> None:
    office = Office.get()
    history = add_order(office, [], OrderStatus.SUCCEED, history=True, months=None)
    unpaid = orders.renew(session, "Oak House", ["u2"], Months(1)).order.number
    for other, said, short in (
        (history.number, "is imported history: it has no invoice of ours", "imported history has no invoice of ours"),
        (unpaid, "is not paid: it has no invoice yet", "it is not paid"),
    ):
        with pytest.raises(Refused, match=f"^order {other} {said}$"):
            invoice_files.draw(session, other)
        assert invoices.objection(read_order(other, NOW, SETTINGS)) == short
    assert invoices.objection(read_order(number, NOW, SETTINGS)) == ""
    for unknown in ("INV-2026-000002", "x"):
        with pytest.raises(NotFound, match=f"no order or invoice has the number {unknown}"):
            invoice_files.draw(session, unknown)


def test_who_may_read_may_have_it_and_a_deleted_order_keeps_it(session: Session, number: str) -> None:
    payments.delete(session, number, "entered twice")
    for role in (Role.VIEWER, Role.AUDITOR, Role.OPERATOR):
        assert invoice_files.draw(as_role(session, role), number).order == number
    with pytest.raises(NotAllowed):
        invoice_files.draw(replace(session, admin="nobody"), number)


def test_an_order_number_is_meant_before_an_invoice_s(session: Session, number: str) -> None:
    add_order(Office.get(), [], OrderStatus.SUCCEED, history=True, months=None, number="INV-2026-000001")
    with pytest.raises(Refused, match="imported history"):
        invoice_files.draw(session, "INV-2026-000001")


@pytest.mark.long
def test_every_office_of_the_samples_gets_an_invoice(session: Session) -> None:
    """Their names are of many scripts, with blanks and signs of every kind."""
    with (SAMPLES / "users.csv").open(encoding="utf-8", newline="") as file:
        fonts_for(*(row["name"] + row["office"] + row["department"] for row in csv.DictReader(file)))
    import_files(session, [SAMPLES / name for name in ("prices.csv", "users.csv", "orders.csv")])
    offices = [office.name for office in Office.select()]
    assert len(offices) == 3
    for name in offices:
        waiting = (
            Order.select().join(Office).where((Office.name == name) & (Order.status == OrderStatus.SYSTEM_PROCESSING))
        )
        order = waiting.get()
        paid = payments.confirm(session, order.number, Manual("R")).order
        document = invoice_files.draw(session, order.number)
        text = "".join(page.extract_text() for page in PdfReader(BytesIO(document.content)).pages)
        assert paid.invoice is not None
        assert paid.invoice.number == document.invoice
        for said in (document.invoice, order.number, str(paid.total), *(line.user_id for line in paid.lines)):
            assert said in text


# Credit notes


def taken_back(session: Session, number: str, *users: str) -> str:
    talk = credits.credit(session, number, "a mistake", users=users or None)
    return hold(session.database, session.providers, talk).credit_note.number


def test_a_credit_note_is_found_by_its_own_number_and_the_order_s_is_its_invoice(session: Session, number: str) -> None:
    invoice = invoice_files.draw(session, number)
    note = invoice_files.draw(session, taken_back(session, number))
    assert (note.invoice, note.order, note.file_name) == ("CN-2026-000001", number, "CN-2026-000001.pdf")
    assert note == invoice_files.draw(session, "CN-2026-000001")
    assert invoice_files.draw(session, number) == invoice


def test_all_credit_notes_of_an_order_are_saved_each_under_its_number(session: Session, tmp_path: Path) -> None:
    add_prices()
    add_people(add_office(), "u1", "u2", expires_on=TODAY)
    made = orders.renew(session, "Oak House", ["u1", "u2"], Months(1), paying=Manual("R")).order.number
    with pytest.raises(Refused, match=f"order {made} has no credit note: nothing of it was taken back"):
        invoice_files.save_credit_notes(session, made, folder=tmp_path)
    notes = [taken_back(session, made, key) for key in ("u2", "u1")]
    for found_by in (made, "INV-2026-000001", notes[0]):
        saved = invoice_files.save_credit_notes(session, found_by, folder=tmp_path)
        assert [each.invoice for each in saved] == notes
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{note}.pdf" for note in notes]


def test_a_character_without_a_font_is_told_of_the_credit_note(session: Session) -> None:
    add_prices()
    add_person(add_office(), "u1", name="\ue000", expires_on=TODAY)
    made = orders.renew(session, "Oak House", ["u1"], Months(1), paying=Manual("R")).order.number
    note = taken_back(session, made)
    with pytest.raises(Refused, match=f"credit note {note} cannot be drawn"):
        invoice_files.draw(session, note)
