"""The invoice as PDF: every figure of the order is on it, in any script, and it is the same bytes each time."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pypdf import PdfReader

from smartsub_tui.billing import credits, orders, payments
from smartsub_tui.billing.fonts import clusters
from smartsub_tui.billing.invoice_pdf import BOTTOM, NEXT_TOP, TOP, Band, Paper, Style, paged, render
from smartsub_tui.billing.invoices import BuyerReferences
from smartsub_tui.billing.orders import EVERYONE
from smartsub_tui.billing.payments import BankTransfer, Manual
from smartsub_tui.billing.providers import hold
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months, Until
from smartsub_tui.config import Seller
from smartsub_tui.data.models import Department, Invoice, Office, Order, OrderLine, Price, Subscription, User
from smartsub_tui.data.vocabulary import LineAction, OfficeKind, OrderType, Service, UserKind
from smartsub_tui.errors import Refused
from tests.support import (
    SETTINGS,
    TODAY,
    add_community,
    add_office,
    add_person,
    add_price,
    add_prices,
    fonts_for,
    memory_session,
)

pytestmark = pytest.mark.once

# Words that names are made of; each script has its own ways: accents, marks, joined and moved letters, right to left.
SCRIPTS: Final = {
    "Latin": ("Jürgen", "Łukasz", "Nguyễn", "Ærøskøbing", "O'Brien-Weiß"),
    "Greek": ("Ελένη", "Παπαδοπούλου", "Ὀδυσσεύς"),
    "Cyrillic": ("Дмитрий", "Ўткир", "Щербакова"),
    "Armenian": ("Արամ", "Խաչատրյան"),
    "Georgian": ("ქეთევან", "ბერიძე"),
    "Hebrew": ("דוד", "כהן", "שרה"),
    "Arabic": ("فاطمة", "الزهراء", "برج"),
    "Devanagari": ("यश", "शर्मा", "क्षत्रिय"),
    "Tamil": ("தமிழ்ச்செல்வி", "கோவை"),
    "Thai": ("สมชาย", "ใจดี", "น้ำฝน"),
    "Han": ("王冬梅", "欧阳", "龍"),
    "Kana": ("ひらがな", "レジデンス", "がぎぐ"),
    "Hangul": ("김철수", "은하아파트"),
}
HEAVY: Final = ("Han", "Kana", "Hangul")
CURRENCIES: Final = {"JPY": 0, "KRW": 0, "EUR": 2, "USD": 2, "INR": 2, "CHF": 2, "KWD": 3, "BHD": 3}
RATES: Final = (0, 50_000, 77_000, 190_000, 255_000)
ACTIONS: Final = {
    LineAction.ACTIVATION: "activation",
    LineAction.MONTH: "renewal by the month",
    LineAction.DAY: "renewal by the day",
}
SERVICES: Final = {Service.APP: "App", Service.PM_APP: "Property manager app", Service.ADDITIONAL_APP: "Additional app"}


# What is on the pages, and what should be


def page_texts(content: bytes) -> list[tuple[str, str]]:
    """Of each page what stands on it, and what stands at its upper and lower edge; without blanks, as drawn."""
    found = []
    for page in PdfReader(BytesIO(content)).pages:
        inner: list[str] = []
        edges: list[str] = []

        def visit(text: str, _: Any, place: list[float], *__: Any, inner: Any = inner, edges: Any = edges) -> None:
            (inner if 60 < place[5] < 795 else edges).append(text)

        page.extract_text(visitor_text=visit)
        found.append((squeezed("".join(inner)), squeezed("".join(edges))))
    return found


def squeezed(text: str) -> str:
    """Without blanks, and without the codes that pypdf shows for glyphs that are a part of the letter before them."""
    return "".join(character for character in text if character > " " and not character.isspace())


def said_by(content: bytes, heads: str) -> str:
    """The text of the whole invoice, the heads of its table once."""
    first, *rest = (inner for inner, _ in page_texts(content))
    return first + "".join(page.removeprefix(heads) for page in rest)


def money(amount: int, currency: str) -> str:
    """Written in another way than the program does."""
    return f"{Decimal(amount).scaleb(-CURRENCIES[currency]):,.{CURRENCIES[currency]}f}"


def percent(ppm: int) -> str:
    whole, rest = divmod(ppm, 10_000)
    return f"{whole}.{rest:04}".rstrip("0").rstrip(".") + " %"


def months(count: int) -> str:
    return f"{count} month" + "s" * (count > 1)


def heads_of(order: Order) -> str:
    place = "Building" if order.office.kind is OfficeKind.COMMUNITY else "Department"
    return squeezed(f"# User {place} Service Period Tax Net {order.currency}")


def expected(order: Any, seller: Seller, terms: str, paid: str) -> str:
    """All that the invoice of `order` says, from the tables as they are, in the order in which it is drawn."""
    invoice = Invoice.get(Invoice.order == order)
    kind = "Community" if order.office.kind is OfficeKind.COMMUNITY else "Office"
    vat = f"VAT ID {seller.vat_id}" if seller.vat_id else ""
    facts: dict[str, str | None] = {
        "Invoice date": invoice.issued_on.isoformat(),
        "Order number": order.number,
        "Ordered": f"{order.created_at:%Y-%m-%d %H:%M} UTC",
        "PO number": order.po_number,
        "Buyer reference": order.buyer_reference,
    }
    known = {name: value for name, value in facts.items() if value}
    parts = [seller.name, seller.address, vat, seller.email, "Invoice", invoice.number]
    parts += ["BILLED TO", order.office.name, kind, *known, *known.values(), heads_of(order)]
    rates: dict[int, int] = {}
    lines: Any = OrderLine.select().where(OrderLine.order == order).order_by(OrderLine.id)
    for place, line in enumerate(lines, 1):
        user = line.subscription.user
        rates[line.tax_rate_ppm] = rates.get(line.tax_rate_ppm, 0) + line.amount
        runs_on = line.previous_expiry is not None and line.previous_expiry >= invoice.issued_on
        start = line.previous_expiry + timedelta(days=1) if runs_on else invoice.issued_on
        parts += [str(place), user.name, user.key, user.department.name]
        parts += [f"Apartment {user.apartment}"] if user.apartment else []
        parts += [SERVICES[line.subscription.service], ACTIONS[line.action], f"{start} to {line.new_expiry}"]
        parts += [percent(line.tax_rate_ppm), money(line.amount, order.currency)]
    parts += ["Net", money(order.net, order.currency)]
    for rate, net in sorted(rates.items()):
        tax = (2 * net * rate + 1_000_000) // 2_000_000
        parts += [f"Tax {percent(rate)} of {money(net, order.currency)}", money(tax, order.currency)]
    parts += ["Total", order.currency, money(order.total, order.currency)]
    parts += ["TERMS", terms, "Every period includes its first and its last day.", paid]
    return squeezed("".join(parts))


@pytest.fixture(scope="session")
def scripts() -> dict[str, tuple[str, ...]]:
    """Those that this machine has fonts for; where everything must be tested, all."""
    here = {}
    for script, words in SCRIPTS.items():
        try:
            fonts_for(*words)
        except pytest.skip.Exception:
            continue
        here[script] = words
    return here


@pytest.mark.parametrize("script", SCRIPTS)
def test_names_of_any_script_are_on_the_invoice(script: str) -> None:
    words = SCRIPTS[script]
    fonts_for(*words)
    session = memory_session()
    add_prices()
    add_person(add_office(" ".join(words)), "u1", name=" ".join(words), department=words[0], expires_on=TODAY)
    made = orders.renew(session, " ".join(words), EVERYONE, Months(1), paying=Manual("R"))
    order = Order.get(Order.number == made.order.number)
    paid = "Paid in full on 2026-11-22, reference R. Nothing is left to pay."
    said = said_by(render(Invoice.get()), heads_of(order))
    assert said == expected(order, SETTINGS.seller, "Subscription: renewal by 1 month.", paid)


@st.composite
def stories(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "seed": draw(st.integers(0, 2**32)),
        "currency": draw(st.sampled_from(sorted(CURRENCIES))),
        "script": draw(st.integers(0, 1000)),
        "type": draw(st.sampled_from(OrderType)),
        "people": draw(st.integers(1, 9)),
        "term": draw(st.integers(1, 60) | st.dates(TODAY + timedelta(days=40), TODAY + timedelta(days=900))),
        "bank": draw(st.booleans()),
        "references": draw(st.booleans()),
    }


# Two halves, so that two processes share them. CI asks for 200 orders, in a run of their own without coverage.
@pytest.mark.long
@pytest.mark.parametrize("half", [1, 2])
def test_what_an_invoice_says_is_the_order_in_every_figure(half: int, scripts: dict[str, tuple[str, ...]]) -> None:
    # The same orders each time: how pypdf reads back what joins and moves depends on the letters around.
    @settings(max_examples=int(os.environ.get("SMARTSUB_INVOICES", "30")) // 2, derandomize=True)
    @given(stories())
    def check(story: dict[str, Any]) -> None:
        rng = random.Random(story["seed"] + half)
        # Two weights of a font for Chinese take a second: these are rarer, and the seller and the office have others.
        light = [words for script, words in scripts.items() if script not in HEAVY]
        every = [*light, *light, *scripts.values()]
        tell(story, every[story["script"] % len(every)], rng.choice(light), rng)

    check()


def tell(story: dict[str, Any], words: Sequence[str], heads: Sequence[str], rng: random.Random) -> None:
    """Make and pay one order, read its invoice again, and compare; `heads` are the words of seller and office."""

    def name(most: int, words: Sequence[str] = words) -> str:
        return " ".join(rng.choices(words, k=rng.randint(1, most)))

    currency, term = story["currency"], story["term"]
    seller = Seller(
        name=name(3, heads), address=f"{name(2)}\n{name(1)}", vat_id="X1" * rng.randint(0, 1), timezone="UTC"
    )
    session = memory_session(settings=replace(SETTINGS, seller=seller))
    kind = OfficeKind.COMMUNITY if isinstance(term, date) else rng.choice(list(OfficeKind))
    office = add_office(name(4, heads), kind, timezone="UTC", currency=currency)
    for service in Service:
        for action in LineAction:
            amount = rng.choice((0, 1, 99, rng.randint(1, 10**5), rng.randint(1, 10**9)))
            add_price(service, action, amount, currency=currency, tax_rate_ppm=rng.choice(RATES))
    additional = story["type"] is OrderType.ADDITIONAL_APP
    activation = story["type"] is OrderType.ACTIVATION
    for place in range(story["people"]):
        add_person(
            office,
            f"P{place}-{name(1)}",
            name=name(6),
            department=name(2),
            kind=UserKind.FAMILY if additional else rng.choice((UserKind.USER, UserKind.PROPERTY_MANAGER)),
            apartment=rng.choice((None, "1", name(1))),
            expires_on=None if activation else TODAY + timedelta(days=rng.randint(-30, 30)),
        )
    references = (
        BuyerReferences(f"PO {name(2)}", f"K{rng.randint(0, 999)}") if story["references"] else BuyerReferences()
    )
    if activation:
        departments = [department.name for department in Department.select()]
        made = orders.activate(session, office.name, departments, references=references)
        terms = "Activation: the first 1 month from the day of payment."
    else:
        until = isinstance(term, date)
        made = orders.renew(
            session,
            office.name,
            EVERYONE,
            Until(term) if until else Months(term),
            additional=additional,
            references=references,
        )
        how = f"renewal by the day, up to and including {term}" if until else f"renewal by {months(term)}"
        terms = f"{'Additional app' if additional else 'Subscription'}: {how}."
    reference = name(3)
    paid = "There was nothing to pay."
    if made.order.total.amount:
        if story["bank"]:
            payments.pay(session, made.order.number, BankTransfer())
        payments.pay(session, made.order.number, Manual(reference))
        by = "by bank transfer, " if story["bank"] else ""
        paid = f"Paid in full on 2026-11-22, {by}reference {reference}. Nothing is left to pay."
    order = Order.get(Order.number == made.order.number)
    said, told = said_by(render(Invoice.get()), heads_of(order)), expected(order, seller, terms, paid)
    # Every figure in its place; of names every letter, as pypdf turns some round that stand behind Hebrew.
    assert [each for each in said if each.isascii()] == [each for each in told if each.isascii()]
    assert sorted(said) == sorted(told)


# The same bytes


def an_invoice(session: Session, *names: str, office: str = "Oak House", **options: Any) -> Invoice:
    """The stored invoice of a renewal of people with these names."""
    add_prices()
    place = add_community(office)
    for number, name in enumerate(names):
        add_person(place, f"u{number:05}", name=name, apartment="1A", expires_on=TODAY)
    orders.renew(session, office, EVERYONE, Months(1), paying=Manual("R"), **options)
    return Invoice.get()


_ELSEWHERE: Final = """
import json, sys
from datetime import datetime
from types import SimpleNamespace
import time_machine
from smartsub_tui.billing.invoice_pdf import render
from smartsub_tui.data.vocabulary import InvoiceKind
row = json.load(sys.stdin) | {"kind": InvoiceKind.INVOICE}
row["issued_at"] = datetime.fromisoformat(row["issued_at"])
row["issued_on"] = row["issued_at"].date()
with time_machine.travel(datetime(2031, 5, 17)):
    sys.stdout.buffer.write(render(SimpleNamespace(**row)))
"""


@pytest.mark.long
def test_it_is_the_same_bytes_again_and_in_another_process_year_and_time_zone(session: Session) -> None:
    words = [" ".join(words) for words in SCRIPTS.values()]
    fonts_for(*words)
    invoice = an_invoice(session, *words)
    first = render(invoice)
    assert render(invoice) == first
    row = {"number": invoice.number, "snapshot": invoice.snapshot, "issued_at": invoice.issued_at.isoformat()}
    for seed, zone in (("1", "Pacific/Auckland"), ("2", "America/Los_Angeles")):
        done = subprocess.run(
            [sys.executable, "-c", _ELSEWHERE],
            input=json.dumps(row).encode(),
            capture_output=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "TZ": zone},
            check=False,
        )
        assert done.stderr == b""
        assert done.stdout == first


def test_nothing_in_it_is_compressed_as_that_depends_on_the_build_of_python(session: Session) -> None:
    assert b"Decode" not in render(an_invoice(session, "Ann"))


def test_later_names_change_no_invoice(session: Session) -> None:
    first = render(an_invoice(session, "Ann"))
    for model in (Office, Department, User):
        model.update(name="Renamed", name_folded="renamed").execute()
    User.update(apartment="99").execute()
    Order.update(po_number="later").execute()
    Subscription.update(expires_on=TODAY + timedelta(days=999)).execute()
    assert render(Invoice.get()) == first


def test_a_payment_without_a_reference_says_its_way(session: Session) -> None:
    invoice = an_invoice(session, "Ann")
    said = json.loads(invoice.snapshot)
    invoice.snapshot = json.dumps(said | {"payment": {"provider": "stripe", "reference": None}})
    (inner, _), *_ = page_texts(render(invoice))
    assert squeezed("Paid in full on 2026-11-22, by Stripe. Nothing is left to pay.") in inner


def test_it_says_that_it_is_pdf_a_3b_whose_it_is_and_of_when(session: Session) -> None:
    reader = PdfReader(BytesIO(render(an_invoice(session, "Ann"))))
    metadata = reader.xmp_metadata
    assert metadata is not None
    assert metadata.dc_title == {"x-default": "Invoice INV-2026-000001"}
    assert metadata.dc_creator == ["Seller GmbH"]
    assert str(metadata.xmp_create_date) == str(metadata.xmp_modify_date) == "2026-11-22 09:00:00"
    said = metadata.get_element("", "http://www.aiim.org/pdfa/ns/id/", "part")
    assert [node.firstChild.data for node in said] == ["3"]
    assert "/OutputIntents" in reader.root_object


# Pages


@pytest.mark.long
def test_many_lines_go_on_over_pages_with_heads_and_page_numbers(session: Session) -> None:
    names = [f"Person {place}" for place in range(100)]
    invoice = an_invoice(session, *names, office="Elm Court")
    pages = page_texts(render(invoice))
    assert len(pages) > 3
    for place, (inner, edges) in enumerate(pages, 1):
        assert f"INV-2026-000001Page{place}of{len(pages)}" in edges
        assert "SellerGmbHVATIDDE1IBANDE02a@b.example" in edges
        if place > 1:
            assert inner.startswith(heads_of(Order.get()))
            assert "InvoiceINV-2026-0000012026-11-22" in edges
    order = Order.get()
    paid = "Paid in full on 2026-11-22, reference R. Nothing is left to pay."
    terms = "Subscription: renewal by 1 month."
    assert said_by(render(invoice), heads_of(order)) == expected(order, SETTINGS.seller, terms, paid)


def band(height: float, *, in_table: bool = False) -> Band:
    return Band(height, lambda y: None, in_table)


HEADS: Final = band(6, in_table=True)
heights = st.floats(1, 300, allow_nan=False)
tables = st.lists(
    st.lists(heights.map(lambda height: band(height, in_table=True)), min_size=1, max_size=3), max_size=40
)
others = st.lists(st.lists(st.floats(0.5, 80).map(band), min_size=1, max_size=6), max_size=3)


@pytest.mark.long
@settings(max_examples=300)
@given(others, tables, others)
def test_every_band_stands_once_in_order_within_its_page_and_groups_stay_together(
    above: list[list[Band]], table: list[list[Band]], below: list[list[Band]]
) -> None:
    groups = [*above, *table, *below]
    pages = paged(groups, HEADS)
    placed = [band for page in pages for _, band in page if band is not HEADS]
    assert [id(band) for band in placed] == [id(band) for group in groups for band in group]
    for number, page in enumerate(pages):
        y = NEXT_TOP if number else TOP
        for place, (at, band_) in enumerate(page):
            assert at == pytest.approx(y)
            y += band_.height
            # Only what no page can hold goes over the edge, and only as the first of its page.
            assert y <= BOTTOM + 0.001 or place == (1 if page[0][1] is HEADS else 0)
            if band_.in_table:
                assert band_ is HEADS or page[place - 1][1].in_table
    for group in groups:
        if sum(band.height for band in group) + HEADS.height <= BOTTOM - NEXT_TOP:
            assert len({number for number, page in enumerate(pages) for _, band in page if band in group}) == 1


@pytest.mark.sqlite("an index of PostgreSQL takes no name of more than 2,600 bytes")
def test_a_name_longer_than_a_page_is_on_it_whole(session: Session) -> None:
    long = " ".join(f"Name{number}" for number in range(900)) + "x" * 5000
    invoice = an_invoice(session, long, "Bob")
    pages = page_texts(render(invoice))
    assert len(pages) > 2
    order = Order.get()
    paid = "Paid in full on 2026-11-22, reference R. Nothing is left to pay."
    said = said_by(render(invoice), heads_of(order))
    wanted = expected(order, SETTINGS.seller, "Subscription: renewal by 1 month.", paid)
    # Its other columns stand beside the first of its lines.
    assert sorted(said) == sorted(wanted)


def test_a_broken_text_is_whole_and_no_line_is_wider_than_its_column(
    session: Session, scripts: dict[str, tuple[str, ...]]
) -> None:
    known = ["W" * 40, "–", "1", *(word for words in scripts.values() for word in words)]
    paper = Paper(an_invoice(session, *known), "")

    @given(st.lists(st.sampled_from(known)).map(" ".join), st.floats(6, 90))
    def check(text: str, width: float) -> None:
        lines = paper.wrap(text, Style(8.5), width)
        assert squeezed("".join(line.text for line in lines)) == squeezed(text)
        assert all(line.width <= width or len(clusters(line.text)) == 1 for line in lines)
        # A line is begun only where the one before it has no room for what comes next.
        for line, following in pairwise(lines):
            more = f"{line.text} {following.text}".split()[: len(line.text.split()) + 1]
            assert paper.line(" ".join(more), line.style).width > width

    check()
    paper.page()
    paper.output()  # closes its fonts


def test_the_largest_amounts_there_are_have_their_room(session: Session) -> None:
    add_price(Service.APP, LineAction.MONTH, 10**14, tax_rate_ppm=255_000)
    office = add_community("W" * 90)
    add_person(office, "k" * 60, name="W" * 80, department="M" * 70, apartment="Q" * 50, expires_on=TODAY)
    orders.renew(session, "W" * 90, EVERYONE, Months(5), paying=Manual("R" * 300))
    order: Any = Order.get()
    said = said_by(render(Invoice.get()), heads_of(order))
    for amount in (order.net, order.tax, order.total):
        assert money(amount, "EUR") in said
    (page,) = PdfReader(BytesIO(render(Invoice.get()))).pages
    lefts = {}

    def visit(text: str, _: Any, place: list[float], *__: Any) -> None:
        lefts[text.strip()] = place[4] * 25.4 / 72

    page.extract_text(visitor_text=visit)
    # 15 digits, 4 commas and a point in letters of 8.5 points are 33.4 mm wide, and end 1 mm from the edge.
    assert lefts[money(5 * 10**14, "EUR")] == pytest.approx(193 - 33.4, abs=0.3)
    assert lefts["to 2027-04-22"] + 26 < lefts["25.5 %"] < 193 - 33.4 - 11


# What cannot be drawn


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Ann \U000e0041", "Ann <U+E0041>"),
        ("An\x1b[31mn", "An<U+001B>[31mn"),
        ("Ann\u202eBob", "Ann<U+202E>Bob"),
        ("Ann\nBob\tC", "Ann Bob C"),
        ("Ann\u0378", "Ann<U+0378>"),
        ("Zoe\u0308", "Zoë"),
    ],
)
def test_what_hides_or_controls_is_shown_by_its_number(session: Session, name: str, said: str) -> None:
    (inner, _), *_ = page_texts(render(an_invoice(session, name)))
    assert squeezed(said) in inner


def test_a_character_without_a_font_is_refused_by_name_never_a_box(session: Session) -> None:
    """Private use: no font of any machine has it by right."""
    invoice = an_invoice(session, "Ann \U0010fffd", "Bob \ue0ff\U0010fffd")
    with pytest.raises(
        Refused, match=r"^invoice INV-2026-000001 cannot be drawn: no font has .*U\+10FFFD.*name a font"
    ):
        render(invoice)


def test_a_place_that_the_setting_names_and_is_missing_is_told(session: Session, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"missing\.ttf is not there"):
        render(an_invoice(session, "Ann"), str(tmp_path / "missing.ttf"))


# Credit notes


def a_credit_note(session: Session, *users: str, reference: str | None = None) -> Invoice:
    """Over these people of an order for two, one activated by it and one renewed before."""
    add_prices()
    office = add_office()
    for key in ("u1", "u2"):
        add_person(office, key, name=f"Name of {key}", apartment="12B" if key == "u1" else None)
    number = orders.activate(session, "Oak House", ["Sales"], paying=Manual("R 7")).order.number
    talk = credits.credit(session, number, "not for the buyer", users=users or None, reference=reference)
    note = hold(session.database, session.providers, talk).credit_note.number
    return Invoice.get(Invoice.number == note)


def said_on(note: Invoice) -> str:
    return "".join(inner for inner, _ in page_texts(render(note)))


def test_a_credit_note_names_its_invoice_and_has_positive_amounts(session: Session) -> None:
    said = said_on(a_credit_note(session, "u1"))
    for part in (
        "Credit note CN-2026-000001",
        "Credit note date Credits invoice Order number Ordered",
        "2026-11-22 INV-2026-000001 of 2026-11-22 20261122090000000000",
        "Name of u1 u1",
        "2026-11-22 to 2026-12-22 then inactive 19 % 18.00",
        "Net 18.00 Tax 19 % of 18.00 3.42 Total credited EUR 21.42",
        "This credit note takes back lines of invoice INV-2026-000001 of 2026-11-22; its amounts are credited.",
        "EUR 21.42 is paid back.",
    ):
        assert squeezed(part) in said, part
    for part in ("Name of u2", "not for the buyer", "-18.00", "Paid in full"):
        assert squeezed(part) not in said


def test_a_credit_note_says_until_when_the_service_runs_and_how_the_money_goes_back(session: Session) -> None:
    add_prices()
    add_person(add_office(), "u1", expires_on=date(2026, 12, 22))
    made = orders.renew(session, "Oak House", ["u1"], Months(2), paying=BankTransfer()).order.number
    payments.pay(session, made, Manual("R"))
    hold(session.database, session.providers, credits.credit(session, made, "x"))
    said = said_on(Invoice.get(Invoice.number == "CN-2026-000001"))
    assert squeezed("2026-12-23 to 2027-02-22 then until 2026-12-22") in said
    assert squeezed("EUR 11.90 is paid back by bank transfer.") in said


def test_what_was_paid_back_by_hand_says_what_says_so(session: Session) -> None:
    assert squeezed("EUR 42.84 is paid back, reference till 4.") in said_on(a_credit_note(session, reference="till 4"))


def test_a_credit_note_over_nothing_says_so(session: Session) -> None:
    add_prices()
    Price.update(amount=0).execute()
    add_person(add_office(), "u1")
    made = orders.activate(session, "Oak House", ["Sales"]).order.number
    hold(session.database, session.providers, credits.credit(session, made, "x"))
    said = said_on(Invoice.get(Invoice.number == "CN-2026-000001"))
    assert squeezed("Total credited EUR 0.00") in said
    assert squeezed("There was nothing to pay back.") in said


def test_a_credit_note_is_the_same_bytes_again_and_says_what_it_is(session: Session) -> None:
    note = a_credit_note(session)
    content = render(note)
    assert content == render(Invoice.get_by_id(note.id))
    metadata = PdfReader(BytesIO(content)).xmp_metadata
    assert metadata is not None
    assert metadata.dc_title == {"x-default": "Credit note CN-2026-000001"}
