"""Money as text and as integers: nothing is rounded, guessed or lost on the way."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smartsub_tui.data.money import (
    DECIMALS,
    LARGEST,
    Money,
    format_amount,
    is_currency,
    parse_amount,
    plain_amount,
    round_half_up,
    share_equally,
)

currencies = st.sampled_from(sorted(DECIMALS))
amounts = st.integers(0, LARGEST)


@pytest.mark.parametrize(
    ("text", "currency", "expected"),
    [
        ("18.00", "EUR", 1800),
        ("18", "EUR", 1800),
        ("0.1", "EUR", 10),
        ("0.01", "EUR", 1),
        ("0", "EUR", 0),
        ("007.50", "EUR", 750),
        ("900", "JPY", 900),
        ("1.234", "KWD", 1234),
        ("1.2345", "CLF", 12345),
        ("9999999999999.99", "EUR", LARGEST - 1),
        ("10000000000000", "EUR", LARGEST),
        ("0.29", "EUR", 29),  # 0.29 * 100 is 28.999... with floats
    ],
)
def test_decimal_text_is_read_exactly(text: str, currency: str, expected: int) -> None:
    assert parse_amount(text, currency) == expected


NO_AMOUNTS = (
    *("", " ", "1 ", " 1", "-1", "+1", "1,50", "1.", ".5", "1e3", "1_000", "1,000.00", "0x1", "NaN", "Infinity"),
    *("１８", "١٨", "1.5\n", "1..5", "1.5.0", "EUR 1", "€1", "1.²", "9" * 17),
)


@pytest.mark.parametrize("text", NO_AMOUNTS)
def test_what_is_no_amount_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no amount: write digits and a point, as 1234\.55$"):
        parse_amount(text, "EUR")
    with pytest.raises(ValueError, match=r"as 1234$"):
        parse_amount(text, "JPY")


@pytest.mark.parametrize(("text", "currency"), [("1.001", "EUR"), ("1.0", "JPY"), ("1.0000", "KWD"), ("1.000", "USD")])
def test_more_decimals_than_the_currency_has_are_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError, match=f"more decimals than {currency}, which has {DECIMALS[currency]}"):
        parse_amount(text, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [("10000000000000.01", "EUR"), ("1000000000000001", "JPY"), ("999999999999999", "KWD"), ("9" * 16, "CLF")],
)
def test_more_than_the_largest_amount_is_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError, match=f"is more than {currency} .*, the most there can be"):
        parse_amount(text, currency)


@given(amounts, currencies)
@example(5, "EUR")
@example(0, "JPY")
@example(LARGEST, "CLF")
@example(LARGEST, "VND")
def test_what_is_written_is_read_back(amount: int, currency: str) -> None:
    text = plain_amount(amount, currency)
    assert parse_amount(text, currency) == amount
    assert len(text.partition(".")[2]) == DECIMALS[currency]
    assert format_amount(amount, currency).replace(",", "") == text


@given(st.text("0123456789.-+ e_,", max_size=20) | st.text(max_size=8), currencies)
def test_whatever_is_typed_is_an_amount_in_range_or_a_sentence(text: str, currency: str) -> None:
    try:
        amount: int | None = parse_amount(text, currency)
    except ValueError as error:
        amount, said = None, str(error)
    if amount is None:
        assert repr(text) in said
    else:
        assert 0 <= amount <= LARGEST
        assert Fraction(text) == Fraction(amount, 10 ** DECIMALS[currency])


@pytest.mark.parametrize(
    ("amount", "currency", "plain", "shown"),
    [
        (428_400, "EUR", "4284.00", "4,284.00"),
        (4_284, "EUR", "42.84", "42.84"),
        (5, "EUR", "0.05", "0.05"),
        (-5, "EUR", "-0.05", "-0.05"),
        (-428_400, "EUR", "-4284.00", "-4,284.00"),
        (-1_234_567, "JPY", "-1234567", "-1,234,567"),
        (1_234_567, "JPY", "1234567", "1,234,567"),
        (1_234_567, "KWD", "1234.567", "1,234.567"),
        (0, "EUR", "0.00", "0.00"),
    ],
)
def test_amounts_as_text(amount: int, currency: str, plain: str, shown: str) -> None:
    assert plain_amount(amount, currency) == plain
    assert format_amount(amount, currency) == shown
    assert str(Money(amount, currency)) == f"{currency} {shown}"


def test_currencies_are_capital_codes_with_their_own_decimals() -> None:
    assert all(is_currency(code) for code in ("EUR", "JPY", "KWD", "CLF", "CHF", "XCG"))
    assert not any(is_currency(code) for code in ("", "eur", "EURO", "EU", "XXX", "€", "DEM"))
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in DECIMALS)
    assert [DECIMALS[code] for code in ("EUR", "JPY", "KRW", "ISK", "HUF", "BHD", "TND", "CLF", "UYW")] == [
        *(2, 0, 0, 0, 2, 3, 3, 4, 4)
    ]


def test_money_of_two_currencies_is_never_equal_nor_ordered() -> None:
    assert Money(1, "EUR") != Money(1, "USD")
    with pytest.raises(TypeError):
        assert Money(1, "EUR") < Money(2, "EUR")  # type: ignore[operator]


@given(st.integers(0, 10**24), st.integers(1, 10**9))
@example(1, 2)
@example(3, 2)
@example(5, 10)
def test_halves_are_rounded_up_and_everything_else_to_the_nearest(numerator: int, denominator: int) -> None:
    assert round_half_up(numerator, denominator) == floor(Fraction(numerator, denominator) + Fraction(1, 2))


@given(amounts, st.integers(1, 200))
def test_shares_add_up_differ_by_one_at_most_and_the_first_are_the_larger(amount: int, shares: int) -> None:
    shared = share_equally(amount, shares)
    assert len(shared) == shares
    assert sum(shared) == amount
    assert max(shared) - min(shared) <= 1
    assert shared == sorted(shared, reverse=True)
