"""The ledger of a subscription: how far the lines carry it that stand, where others were taken back. Pure.

The rule (docs/credit-notes.md): the dates are a replay of the lines that were applied and not taken back, from the
opening state, in the order in which they were applied, each with the day of its own payment and what the setting
`lapsed` was then. A renewal by the day counts the days that it bought from its base, and never goes past its day.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from msgspec import Struct

from smartsub_tui.billing import terms
from smartsub_tui.billing.terms import Dates, FirstTerm, Term, Until
from smartsub_tui.data.vocabulary import Lapsed


class Entry(Struct, frozen=True, kw_only=True, gc=False):
    """A line as it was applied: its term, the local day of the payment, and the setting of that moment.

    `days` is what a renewal by the day bought: what was priced, or what it gave when it was applied, if that was more.
    """

    term: Term
    applied_on: date
    lapsed: Lapsed
    days: int | None = None


def days_bought(priced: int, until: date, previous_expiry: date, applied_on: date, lapsed: Lapsed) -> int:
    """The days of a renewal to `until`, of the expiry before it was applied.

    They are those that were priced, but where it was applied to an earlier base than it was ordered for: it gave more
    then, and a credit note of another line must not take that away.
    """
    before = Dates(previous_expiry, previous_expiry, previous_expiry.day)
    return max(priced, terms.days_to(before, until, applied_on, lapsed))


def replay(opening: Dates, entries: Iterable[Entry]) -> Dates | None:
    """The dates after these lines; None where one stands on an activation that is not among them."""
    dates = opening
    for entry in entries:
        if (dates.expires_on is None) is not isinstance(entry.term, FirstTerm):
            return None
        dates = _applied(dates, entry)
    return dates


def _applied(dates: Dates, entry: Entry) -> Dates:
    if not isinstance(entry.term, Until) or entry.days is None:
        return terms.extend(dates, entry.term, entry.applied_on, entry.lapsed)
    start, _ = terms.base(dates, entry.applied_on, entry.lapsed)
    end = min(start + timedelta(days=entry.days), entry.term.day)
    # Without a line before it that moved the anchor, the base may lie past its day: then it has nothing to give.
    if dates.expires_on is not None and end <= dates.expires_on:
        return dates
    return Dates(dates.activated_on, end, end.day)
