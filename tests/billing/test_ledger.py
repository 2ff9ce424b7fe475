"""The replay of a subscription's ledger: what stays of it where lines were taken back."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartsub_tui.billing import terms
from smartsub_tui.billing.ledger import Entry, days_bought, replay
from smartsub_tui.billing.terms import Dates, FirstTerm, Months, Until
from smartsub_tui.data.vocabulary import Lapsed

OPENING = Dates(date(2025, 1, 31), date(2026, 1, 31), 31)
DAY = date(2026, 1, 10)


def months(count: int, on: date = DAY, lapsed: Lapsed = Lapsed.TODAY) -> Entry:
    return Entry(term=Months(count), applied_on=on, lapsed=lapsed)


def until(day: date, days: int, on: date = DAY, lapsed: Lapsed = Lapsed.TODAY) -> Entry:
    return Entry(term=Until(day), applied_on=on, lapsed=lapsed, days=days)


def first(on: date) -> Entry:
    return Entry(term=FirstTerm(1), applied_on=on, lapsed=Lapsed.TODAY)


@pytest.mark.parametrize(
    ("opening", "entries", "expected"),
    [
        (OPENING, [], OPENING),
        (OPENING, [months(1)], Dates(date(2025, 1, 31), date(2026, 2, 28), 31)),
        (OPENING, [months(1), months(1)], Dates(date(2025, 1, 31), date(2026, 3, 31), 31)),
        (OPENING, [months(1, date(2026, 2, 5))], Dates(date(2025, 1, 31), date(2026, 3, 5), 5)),
        (
            OPENING,
            [months(1, date(2026, 2, 5), Lapsed.CONTINUOUS)],
            Dates(date(2025, 1, 31), date(2026, 2, 28), 31),
        ),
        # A renewal by the day counts its days from the base, and never goes past its day.
        (OPENING, [until(date(2026, 2, 10), 10)], Dates(date(2025, 1, 31), date(2026, 2, 10), 10)),
        (OPENING, [until(date(2026, 3, 10), 10)], Dates(date(2025, 1, 31), date(2026, 2, 10), 10)),
        (OPENING, [until(date(2026, 2, 5), 10)], Dates(date(2025, 1, 31), date(2026, 2, 5), 5)),
        (OPENING, [until(date(2026, 2, 20), 10, date(2026, 2, 5))], Dates(date(2025, 1, 31), date(2026, 2, 15), 15)),
        # It gives nothing where the base is already past its day, and the anchor stays.
        (OPENING, [until(date(2026, 1, 30), 10)], OPENING),
        # Activated here, never, or twice.
        (Dates(), [], Dates()),
        (Dates(), [first(DAY), months(1)], Dates(DAY, date(2026, 3, 10), 10)),
        (Dates(), [months(1)], None),
        (OPENING, [first(DAY)], None),
    ],
)
def test_what_stands(opening: Dates, entries: list[Entry], expected: Dates | None) -> None:
    assert replay(opening, entries) == expected


@pytest.mark.parametrize(
    ("previous", "applied_on", "lapsed", "expected"),
    [
        (date(2026, 1, 31), DAY, Lapsed.TODAY, 10),  # as ordered
        (date(2026, 2, 5), DAY, Lapsed.TODAY, 10),  # it gave 5 of the 10 that were paid for
        (date(2026, 1, 21), DAY, Lapsed.TODAY, 20),  # it gave more, as its base was earlier than when it was ordered
        (date(2025, 12, 1), DAY, Lapsed.TODAY, 31),
        (date(2026, 1, 9), DAY, Lapsed.CONTINUOUS, 32),
    ],
)
def test_the_days_that_were_bought(previous: date, applied_on: date, lapsed: Lapsed, expected: int) -> None:
    assert days_bought(10, date(2026, 2, 10), previous, applied_on, lapsed) == expected


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 24), st.integers(-5, 400), st.sampled_from(Lapsed), st.booleans()),
        max_size=8,
    ),
    st.integers(1, 30),
)
def test_a_ledger_of_which_nothing_was_taken_back_replays_to_the_dates_as_they_are(
    steps: list[tuple[int, int, int, Lapsed, bool]], priced: int
) -> None:
    """Whatever was priced: what a line gave when it was applied, it gives in a replay."""
    dates, today, entries = OPENING, DAY, []
    for wait, count, ahead, lapsed, daily in steps:
        today = date.fromordinal(today.toordinal() + wait * 5)
        day = date.fromordinal(today.toordinal() + ahead)
        term = Until(day) if daily else Months(count)
        if terms.objection(dates, term, today, None) is not None:
            continue
        assert dates.expires_on is not None
        days = days_bought(priced, day, dates.expires_on, today, lapsed) if daily else None
        entries.append(Entry(term=term, applied_on=today, lapsed=lapsed, days=days))
        dates = terms.extend(dates, term, today, lapsed)
    assert replay(OPENING, entries) == dates
