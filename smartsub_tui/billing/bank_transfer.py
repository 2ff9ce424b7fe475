"""Bank transfer: what has to stand in it, and the same as text of a QR code that banking applications read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from smartsub_tui.config import Seller
from smartsub_tui.data.money import Money

# ISO 13616: country, two check digits, and up to 30 letters and digits of the country's own.
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_RIGHT_REMAINDER: Final = 1

# EPC069-12, version 3.0: what the elements of the code may hold. Its error correction is "M".
ERROR_CORRECTION: Final = "m"
_LONGEST_NAME: Final = 70
_LONGEST_REFERENCE: Final = 140
_MOST_BYTES: Final = 331
_MOST_CENTS: Final = 99_999_999_999


def compact_iban(text: str) -> str | None:
    """An IBAN without its blanks, in capitals; None where it is none, or its check digits are of another."""
    iban = "".join(text.split()).upper()
    if not _IBAN.fullmatch(iban):
        return None
    digits = "".join(str(int(each, 36)) for each in iban[4:] + iban[:4])
    return iban if int(digits) % 97 == _RIGHT_REMAINDER else None


def details(number: str, total: Money, seller: Seller) -> Iterator[tuple[str, str]]:
    """What a transfer for the order has to say, each under its name."""
    account = ", ".join(part for part in (seller.name, seller.iban) if part)
    yield "To", account or "not set: [seller] name, iban in config.toml"
    yield "Amount", str(total)
    yield "Reference", number


def why_no_code(number: str, total: Money, seller: Seller) -> str | None:
    """Why there can be no QR code of the transfer, in a sentence; None where there is one."""
    if total.currency != "EUR":
        return "No QR code: banks read one for euros alone."
    if not 0 < total.amount <= _MOST_CENTS:
        return "No QR code: no transfer has this amount."
    if not seller.name or not seller.iban:
        return "No QR code: it needs [seller] name and iban."
    if compact_iban(seller.iban) is None:
        return "No QR code: [seller] iban is no IBAN, or has a digit wrong."
    if len(number) > _LONGEST_REFERENCE or not number.isprintable():
        return "No QR code: a transfer cannot hold this reference."
    return None


def code(number: str, total: Money, seller: Seller) -> str | None:
    """The text of the EPC QR code (EPC069-12, version 002, UTF-8) for the order; None where there can be none.

    Amount and account are exact; a name that is longer than the code holds is cut.
    """
    iban = compact_iban(seller.iban)
    if iban is None or why_no_code(number, total, seller) is not None:
        return None
    name = " ".join(seller.name.split())[:_LONGEST_NAME].rstrip()
    while len((text := _elements(name, iban, total, number)).encode()) > _MOST_BYTES:
        name = name[:-1].rstrip()
    return text


def _elements(name: str, iban: str, amount: Money, reference: str) -> str:
    euros = f"EUR{amount.amount // 100}.{amount.amount % 100:02}"
    # The bank's own code, the purpose and a structured reference may be empty.
    return "\n".join(("BCD", "002", "1", "SCT", "", name, iban, euros, "", "", reference))
