"""Bank transfer: account, amount and reference, and the code that a banking application reads."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from smartsub_tui.billing import bank_transfer
from smartsub_tui.config import Seller
from smartsub_tui.data.money import Money
from smartsub_tui.widgets.qr import lines, needs
from tests.widgets.camera import of_text, scan

# Those of the examples of the banks' own associations: check digits that are right.
IBANS = ("DE02 1203 0000 0000 2020 51", "gb82west12345698765432", "NO9386011117947", "MT84MALT011000012345MTLCAST001S")
SELLER = Seller(name="Søholm & Söhne GmbH", iban=IBANS[0])
NUMBER = "20261122080000000000"
TOTAL = Money(595, "EUR")


@pytest.mark.parametrize("iban", IBANS)
def test_an_iban_is_one_with_every_digit_right(iban: str) -> None:
    compact = bank_transfer.compact_iban(iban)
    assert compact == iban.replace(" ", "").upper()
    for place in range(2, len(compact)):
        if compact[place].isdigit():
            wrong = compact[:place] + str((int(compact[place]) + 1) % 10) + compact[place + 1 :]
            assert bank_transfer.compact_iban(wrong) is None
    assert bank_transfer.compact_iban(compact[:4]) is None
    assert bank_transfer.compact_iban(f"{compact}!") is None


def test_the_code_is_that_of_the_standard() -> None:
    text = bank_transfer.code(NUMBER, TOTAL, SELLER)
    assert text is not None
    assert text.split("\n") == [
        *("BCD", "002", "1", "SCT", "", "Søholm & Söhne GmbH", "DE02120300000000202051", "EUR5.95", "", "", NUMBER)
    ]
    assert scan(of_text(lines(text, "m"))) == [text]


def test_a_name_is_cut_by_what_is_too_much_and_no_more() -> None:
    """331 bytes are what the standard allows."""
    without = len((bank_transfer.code(NUMBER, TOTAL, replace(SELLER, name="x")) or "").encode()) - 1
    wide, narrow = divmod(331 - without, 4)
    name = "\U0001f3e2" * wide + "x" * narrow
    assert len(name) <= 70
    for said, stands in ((name, name), (f"{name}x", name)):
        text = bank_transfer.code(NUMBER, TOTAL, replace(SELLER, name=said))
        assert text is not None
        assert (text.split("\n")[5], len(text.encode())) == (stands, 331)


@pytest.mark.long
@example("\U0001f3e2" * 80, 99_999_999_999, "A" * 140)  # the name gives way
@given(
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=200),
    st.integers(1, 99_999_999_999),
    st.text("0123456789ABC-", min_size=1, max_size=140),
)
def test_every_code_is_read_and_is_within_the_standard(name: str, amount: int, number: str) -> None:
    text = bank_transfer.code(number, Money(amount, "EUR"), replace(SELLER, name=name))
    assert text is not None
    assert len(text.encode()) <= 331
    elements = text.split("\n")
    assert len(elements) == 11
    assert (elements[7], elements[10]) == (f"EUR{amount // 100}.{amount % 100:02}", number)
    assert name.startswith(elements[5])
    assert len(elements[5]) <= 70
    # Version 13 has 69 modules.
    assert needs(text, "m").width <= 69 + 4
    assert scan(of_text(lines(text, "m"))) == [text]


def test_its_error_correction_is_exactly_m() -> None:
    """84 bytes are what version 5 holds at "M": one more, and the code is larger, though "L" would still hold it."""
    assert needs("x" * 84, "m").width == 37 + 4
    assert needs("x" * 85, "m").width == 41 + 4
    assert needs("x" * 85).width == 37 + 4


@pytest.mark.parametrize(
    ("total", "number", "seller", "why"),
    [
        (Money(900, "JPY"), NUMBER, SELLER, "euros alone"),
        (Money(0, "EUR"), NUMBER, SELLER, "no transfer has this amount"),
        (Money(100_000_000_000, "EUR"), NUMBER, SELLER, "no transfer has this amount"),
        (TOTAL, NUMBER, replace(SELLER, name=""), "needs [seller] name and iban"),
        (TOTAL, NUMBER, replace(SELLER, iban=""), "needs [seller] name and iban"),
        (TOTAL, NUMBER, replace(SELLER, iban="DE03 1203 0000 0000 2020 51"), "has a digit wrong"),
        (TOTAL, "A\nB", SELLER, "cannot hold this reference"),
        (TOTAL, "A" * 141, SELLER, "cannot hold this reference"),
    ],
)
def test_where_there_can_be_none_it_is_said(total: Money, number: str, seller: Seller, why: str) -> None:
    assert why in str(bank_transfer.why_no_code(number, total, seller))
    assert bank_transfer.code(number, total, seller) is None


def test_what_has_to_be_typed() -> None:
    said = dict(bank_transfer.details(NUMBER, TOTAL, SELLER))
    assert said == {"To": f"{SELLER.name}, {SELLER.iban}", "Amount": "EUR 5.95", "Reference": NUMBER}
    assert "not set: [seller] name, iban" in dict(bank_transfer.details(NUMBER, TOTAL, Seller()))["To"]
