"""Money: an integer amount in minor units of an ISO 4217 currency. No float ever holds an amount.

The number of decimals of each currency is that of ISO 4217, table A.1.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from msgspec import Struct

_BY_DECIMALS: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE"
        " CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD"
        " HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU"
        " MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG"
        " SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST"
        " XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
DECIMALS: Final = {code: decimals for decimals, codes in _BY_DECIMALS.items() for code in codes.split()}

# More than any order: 15 digits of minor units keep every sum of a million orders inside 64 bits.
LARGEST: Final = 10**15

_AMOUNT = re.compile(r"[0-9]{1,16}(?:\.([0-9]{1,4}))?")


class Money(Struct, frozen=True):
    """`amount` is in minor units: Money(4284, "EUR") is 42.84 euro."""

    amount: int
    currency: str

    def __str__(self) -> str:
        return f"{self.currency} {format_amount(self.amount, self.currency)}"


def is_currency(code: str) -> bool:
    """Whether `code` is a currency code of ISO 4217, in capitals."""
    return code in DECIMALS


def parse_amount(text: str, currency: str) -> int:
    """The minor units of decimal text: "18.00" EUR is 1800, "900" JPY is 900.

    Raises ValueError with a sentence that says what would be right: no sign, no thousands mark, at most the
    currency's own decimals.
    """
    decimals = DECIMALS[currency]
    match = _AMOUNT.fullmatch(text)
    if match is None:
        example = "1234" if decimals == 0 else "1234." + "5" * decimals
        raise ValueError(f"{text!r} is no amount: write digits and a point, as {example}")
    if len(match.group(1) or "") > decimals:
        raise ValueError(f"{text!r} has more decimals than {currency}, which has {decimals}")
    amount = int(Decimal(text).scaleb(decimals))
    if amount > LARGEST:
        raise ValueError(f"{text!r} is more than {currency} {format_amount(LARGEST, currency)}, the most there can be")
    return amount


def plain_amount(amount: int, currency: str) -> str:
    """Decimal text that parse_amount reads back: 4284 EUR is "42.84"."""
    decimals = DECIMALS[currency]
    if decimals == 0:
        return str(amount)
    sign, digits = ("-" if amount < 0 else ""), str(abs(amount)).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"


def format_amount(amount: int, currency: str) -> str:
    """Text for people, with thousands marks: 428400 EUR is "4,284.00"."""
    whole, point, fraction = plain_amount(amount, currency).partition(".")
    return f"{int(whole):,}{point}{fraction}" if whole != "-0" else f"-0{point}{fraction}"


def round_half_up(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, halves up; both non-negative, as every amount here is."""
    return (2 * numerator + denominator) // (2 * denominator)


def share_equally(amount: int, shares: int) -> list[int]:
    """Split `amount` into `shares` parts; spare minor units go one each to the first ones."""
    each, spare = divmod(amount, shares)
    return [each + 1] * spare + [each] * (shares - spare)
