"""Service dates: how far a payment carries a subscription. Pure functions of dates; nothing here reads a clock.

The rules (docs/dates.md):

- A renewal by months counts from the base in ONE step: base + n months, on the anchor day, clamped to the month's end.
  So 31 Jan + 1 month is 28 Feb and + 2 is 31 Mar, and adding a then b months equals adding a + b.
- The base is the old expiry while it is not past, else today (or still the old expiry, where lapsed is continuous).
- A renewal by days ends on the day that was chosen; an activation lasts its first term from the day it is paid.
- Expiry never moves backward.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, timedelta
from typing import ClassVar, Final

from msgspec import Struct
from msgspec.structs import replace

from smartsub_tui.data.vocabulary import Lapsed, LineAction
from smartsub_tui.errors import Refused

FEWEST_MONTHS: Final = 1
MOST_MONTHS: Final = 60
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Dates(Struct, frozen=True):
    """A subscription's dates, local to its office; all three None while it was never activated.

    `expires_on` is inclusive: the last day of service. `anchor_day` is the day of the month that renewals return to.
    """

    activated_on: date | None = None
    expires_on: date | None = None
    anchor_day: int | None = None


class FirstTerm(Struct, frozen=True):
    """An activation: `months` of service from the day it is paid."""

    months: int
    action: ClassVar = LineAction.ACTIVATION


class Months(Struct, frozen=True):
    """A renewal by `months`, 1 to 60."""

    months: int
    action: ClassVar = LineAction.MONTH


class Until(Struct, frozen=True):
    """A renewal by the day, to `day` inclusive."""

    day: date
    action: ClassVar = LineAction.DAY


# What an order line buys.
Term = FirstTerm | Months | Until


def check_months(months: object) -> int:
    """`months` as a whole number from 1 to 60; raises ValueError with a sentence otherwise."""
    if isinstance(months, bool) or not isinstance(months, int) or not FEWEST_MONTHS <= months <= MOST_MONTHS:
        raise ValueError(f"months is a whole number from {FEWEST_MONTHS} to {MOST_MONTHS}, not {months!r}")
    return months


def parse_months(text: str) -> int:
    """The months that were typed; raises ValueError with a sentence for 0, 61, 1.5, blank and everything else."""
    stripped = text.strip()
    if not stripped:
        raise ValueError(f"how many months? a whole number from {FEWEST_MONTHS} to {MOST_MONTHS}")
    digits = stripped.lstrip("0")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 2 or int(digits) > MOST_MONTHS:
        raise ValueError(f"months is a whole number from {FEWEST_MONTHS} to {MOST_MONTHS}, not {stripped!r}")
    return int(digits)


def parse_date(text: str) -> date:
    """The date that was typed, YYYY-MM-DD; raises ValueError with a sentence otherwise."""
    if _DATE.fullmatch(text.strip()):
        try:
            return date.fromisoformat(text.strip())
        except ValueError:
            pass
    raise ValueError(f"{text.strip()!r} is no date: write YYYY-MM-DD")


def add_months(day: date, months: int, anchor_day: int) -> date:
    """`months` after the month of `day`, on the anchor day or, where the month is shorter, on its last.

    Raises Refused past the year 9999, the last that a date can have.
    """
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    if year > date.max.year:
        raise Refused(f"{months} months after {day.isoformat()} is past the year {date.max.year}: order fewer months")
    return date(year, month + 1, min(anchor_day, monthrange(year, month + 1)[1]))


def latest_until(today: date) -> date:
    """The last day that a renewal by days may be ordered to: 60 months from today."""
    return add_months(today, MOST_MONTHS, today.day)


def base(dates: Dates, today: date, lapsed: Lapsed) -> tuple[date, int]:
    """From when a renewal counts, and on which anchor day: (base, anchor_day) of an activated subscription."""
    if dates.expires_on is None or dates.anchor_day is None:
        raise ValueError("a subscription that was never activated has no base")
    if dates.expires_on >= today or lapsed is Lapsed.CONTINUOUS:
        return dates.expires_on, dates.anchor_day
    return today, today.day


def first_day(previous_expiry: date | None, applied_on: date, lapsed: Lapsed) -> date:
    """The first day that a line bought, of its expiry before: the one after it, or that of the payment.

    An expiry is inclusive, so what goes on begins on the day after; what had not begun or had lapsed, when it is paid.
    """
    if previous_expiry is None or (previous_expiry < applied_on and lapsed is Lapsed.TODAY):
        return applied_on
    return previous_expiry + timedelta(days=1)


def days_to(dates: Dates, until: date, today: date, lapsed: Lapsed) -> int:
    """The days that a renewal to `until` buys and is priced by: from the base to `until`."""
    start, _ = base(dates, today, lapsed)
    return (until - start).days


def extend(dates: Dates, term: Term, today: date, lapsed: Lapsed) -> Dates:
    """The dates after the money for `term` is applied on `today` (local to the office).

    `objection` must have been None; a month-end, a leap day or a lapsed subscription is handled as the module says.
    """
    if isinstance(term, FirstTerm):
        return Dates(today, add_months(today, term.months, today.day), today.day)
    if isinstance(term, Months):
        start, anchor_day = base(dates, today, lapsed)
        return replace(dates, expires_on=add_months(start, term.months, anchor_day), anchor_day=anchor_day)
    return replace(dates, expires_on=term.day, anchor_day=term.day.day)


def objection(dates: Dates, term: Term, today: date, removed_on: date | None) -> str | None:
    """Why a line cannot be ordered or paid today, in a few words; None where it can."""
    if removed_on is not None:
        return f"was removed on {removed_on.isoformat()}"
    if isinstance(term, FirstTerm):
        if dates.expires_on is not None:
            return f"is already activated, until {dates.expires_on.isoformat()}"
        return _beyond(today, term.months)
    if dates.expires_on is None:
        return "is not activated yet"
    if isinstance(term, Months):
        return _beyond(max(dates.expires_on, today), term.months)
    if term.day <= today:
        return f"{term.day.isoformat()} is not later than today"
    if dates.expires_on >= term.day:
        return f"already runs until {dates.expires_on.isoformat()}"
    return None


def _beyond(day: date, months: int) -> str | None:
    beyond = (day.year * 12 + day.month - 1 + months) // 12 > date.max.year
    return f"would run past the year {date.max.year}" if beyond else None
