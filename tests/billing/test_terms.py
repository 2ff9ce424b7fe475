"""Dates: how far money carries a subscription, by day and by month, in every zone and at every month's end."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from smartsub_tui.billing import terms
from smartsub_tui.billing.terms import Dates, FirstTerm, Months, Term, Until
from smartsub_tui.clock import SystemClock, local_date
from smartsub_tui.data.vocabulary import Lapsed
from smartsub_tui.errors import Refused
from tests.support import TODAY, last_of_month, months_later

month_ends = st.builds(
    lambda year, month, back: date(year, month, last_of_month(year, month)) - timedelta(days=back),
    st.integers(1990, 2190),
    st.integers(1, 12),
    st.integers(0, 3),
)
days = st.dates(date(1990, 1, 1), date(2190, 12, 31)) | month_ends
months = st.integers(1, 60)
lapsed = st.sampled_from(Lapsed)


@st.composite
def subscriptions(draw: st.DrawFn) -> Dates:
    """Activated, with an anchor of its own: the expiry stands on it, or on the end of a shorter month."""
    day = draw(days)
    last = last_of_month(day.year, day.month)
    anchor = draw(st.integers(last, 31)) if day.day == last else day.day
    return Dates(date(1990, 1, 1), day, anchor)


def expires(dates: Dates) -> date:
    assert dates.expires_on is not None
    return dates.expires_on


# Months, as typed and as given


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("60", 60), (" 12 ", 12), ("\t7\n", 7), ("007", 7)])
def test_months_that_are_typed_are_read(text: str, expected: int) -> None:
    assert terms.parse_months(text) == expected


NO_MONTHS = (
    *("", " ", "\t", "0", "00", "61", "600", "1.5", "1,5", "-1", "+5", "1e1", "1_0", "0x10", "1 2", "six", "5m"),
    *("１２", "٣", "²", "Ⅻ", "NaN", "None", "True", "0000601", "0000599", "9" * 5000),
)


@pytest.mark.parametrize("text", NO_MONTHS)
def test_what_is_no_month_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="whole number from 1 to 60"):
        terms.parse_months(text)


@given(st.text() | st.text("0123456789 +-.e", max_size=9))
@example("0000601")
def test_whatever_is_typed_gives_one_to_sixty_or_a_sentence(text: str) -> None:
    if text.strip().lstrip("0") in [str(number) for number in range(1, 61)]:
        assert terms.parse_months(text) == int(text)
    else:
        with pytest.raises(ValueError, match="whole number from 1 to 60"):
            terms.parse_months(text)


@pytest.mark.parametrize("value", [0, 61, -1, 10**30, 1.0, 1.5, "5", "", " ", None, True, False, [1], 5j])
def test_what_is_given_as_months_is_one_to_sixty_and_whole(value: object) -> None:
    with pytest.raises(ValueError, match="whole number from 1 to 60"):
        terms.check_months(value)


@pytest.mark.parametrize("value", [1, 2, 59, 60])
def test_one_to_sixty_months_are_taken(value: int) -> None:
    assert terms.check_months(value) == value


@pytest.mark.parametrize(("text", "expected"), [("2026-11-22", TODAY), (" 2028-02-29 ", date(2028, 2, 29))])
def test_a_date_that_is_typed_is_read(text: str, expected: date) -> None:
    assert terms.parse_date(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "2026-02-29", "2026-13-01", "2026-00-10", "0000-01-01", "2026-1-2", "20261122", "2026-W47-7"),
        *("22.11.2026", "2026/11/22", "2026-11-22T00:00", "２０２６-11-22", "tomorrow", "2026-11-22x", "-2026-11-22"),
    ],
)
def test_what_is_no_date_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="is no date: write YYYY-MM-DD"):
        terms.parse_date(text)


# Renewal by the month


@pytest.mark.parametrize(
    ("expires_on", "anchor_day", "number", "expected"),
    [
        (date(2026, 1, 31), 31, 1, date(2026, 2, 28)),
        (date(2026, 1, 31), 31, 2, date(2026, 3, 31)),
        (date(2026, 1, 31), 31, 3, date(2026, 4, 30)),
        (date(2028, 1, 31), 31, 1, date(2028, 2, 29)),
        (date(2026, 2, 28), 31, 1, date(2026, 3, 31)),  # came from the 31st, goes back to it
        (date(2026, 2, 28), 30, 1, date(2026, 3, 30)),
        (date(2026, 2, 28), 28, 1, date(2026, 3, 28)),  # was imported on the 28th, stays on it
        (date(2028, 2, 29), 29, 12, date(2029, 2, 28)),
        (date(2028, 2, 29), 29, 48, date(2032, 2, 29)),
        (date(2096, 2, 29), 29, 48, date(2100, 2, 28)),  # 2100 is no leap year
        (date(1996, 2, 29), 29, 48, date(2000, 2, 29)),  # 2000 was one
        (date(2026, 11, 22), 22, 1, date(2026, 12, 22)),
        (date(2026, 12, 22), 22, 1, date(2027, 1, 22)),
        (date(2026, 12, 31), 31, 60, date(2031, 12, 31)),
    ],
)
def test_months_count_in_one_step_from_the_anchor(
    expires_on: date, anchor_day: int, number: int, expected: date
) -> None:
    before = Dates(date(2020, 1, 1), expires_on, anchor_day)
    after = terms.extend(before, Months(number), expires_on, Lapsed.TODAY)
    assert after == Dates(date(2020, 1, 1), expected, anchor_day)


@given(subscriptions(), months)
def test_months_are_those_counted_one_by_one(before: Dates, number: int) -> None:
    after = terms.extend(before, Months(number), expires(before), Lapsed.TODAY)
    assert after.expires_on == months_later(expires(before), number, before.anchor_day or 0)


@given(subscriptions(), months, months, st.integers(0, 20_000), st.integers(0, 20_000), lapsed)
def test_a_then_b_months_are_a_plus_b(
    before: Dates, a: int, b: int, early_a: int, early_b: int, setting: Lapsed
) -> None:
    """Whenever each was paid, as long as the subscription ran on."""
    floor = date(1900, 1, 1)
    first = terms.extend(before, Months(a), max(floor, expires(before) - timedelta(days=early_a)), setting)
    both = terms.extend(first, Months(b), max(floor, expires(first) - timedelta(days=early_b)), setting)
    at_once = terms.extend(before, Months(a + b), expires(before), setting)
    assert both == at_once


@given(subscriptions(), st.lists(months, min_size=1, max_size=6))
def test_no_day_is_lost_over_many_renewals(before: Dates, numbers: list[int]) -> None:
    dates = before
    for number in numbers:
        dates = terms.extend(dates, Months(number), expires(dates), Lapsed.TODAY)
    assert dates.expires_on == months_later(expires(before), sum(numbers), before.anchor_day or 0)


# Base: lapsed or not


def test_the_last_day_of_service_is_not_past() -> None:
    before = Dates(date(2026, 1, 1), TODAY, 22)
    assert terms.base(before, TODAY, Lapsed.TODAY) == (TODAY, 22)
    assert terms.extend(before, Months(1), TODAY, Lapsed.TODAY).expires_on == date(2026, 12, 22)


def test_one_day_lapsed_counts_from_today_and_takes_its_day_as_anchor() -> None:
    before = Dates(date(2026, 1, 1), date(2026, 11, 21), 21)
    assert terms.extend(before, Months(1), TODAY, Lapsed.TODAY) == Dates(date(2026, 1, 1), date(2026, 12, 22), 22)


def test_lapsed_continuous_counts_from_the_old_expiry_and_keeps_the_anchor() -> None:
    before = Dates(date(2025, 1, 1), date(2026, 2, 28), 31)
    after = terms.extend(before, Months(1), TODAY, Lapsed.CONTINUOUS)
    assert after == Dates(date(2025, 1, 1), date(2026, 3, 31), 31)


@given(subscriptions(), months, st.integers(1, 5000))
def test_lapsed_today_is_a_new_start_on_the_day_of_payment(before: Dates, number: int, late: int) -> None:
    today = expires(before) + timedelta(days=late)
    after = terms.extend(before, Months(number), today, Lapsed.TODAY)
    assert after == Dates(before.activated_on, months_later(today, number, today.day), today.day)


@given(subscriptions(), months, st.integers(1, 5000))
def test_lapsed_continuous_is_as_if_paid_in_time(before: Dates, number: int, late: int) -> None:
    today = expires(before) + timedelta(days=late)
    after = terms.extend(before, Months(number), today, Lapsed.CONTINUOUS)
    assert after == terms.extend(before, Months(number), expires(before), Lapsed.CONTINUOUS)


def test_what_was_never_activated_has_no_base() -> None:
    with pytest.raises(ValueError, match="never activated"):
        terms.base(Dates(), TODAY, Lapsed.TODAY)


# Activation


@pytest.mark.parametrize(
    ("paid_on", "number", "expected"),
    [
        (date(2026, 11, 22), 1, date(2026, 12, 22)),
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
    ],
)
def test_activation_lasts_its_first_term_from_the_day_it_is_paid(paid_on: date, number: int, expected: date) -> None:
    assert terms.extend(Dates(), FirstTerm(number), paid_on, Lapsed.TODAY) == Dates(paid_on, expected, paid_on.day)


@given(days, months, months, lapsed)
def test_a_renewal_returns_to_the_day_of_activation(paid_on: date, first: int, number: int, setting: Lapsed) -> None:
    activated = terms.extend(Dates(), FirstTerm(first), paid_on, setting)
    renewed = terms.extend(activated, Months(number), expires(activated), setting)
    assert renewed.expires_on == months_later(paid_on, first + number, paid_on.day)


@pytest.mark.parametrize(
    ("instant", "zone", "expected"),
    [
        ("2026-11-22T22:59:59Z", "Europe/Berlin", "2026-11-22"),
        ("2026-11-22T23:00:00Z", "Europe/Berlin", "2026-11-23"),
        ("2026-11-22T23:30:00Z", "Asia/Tokyo", "2026-11-23"),
        ("2026-11-22T05:00:00Z", "America/Los_Angeles", "2026-11-21"),
        # Summer time begins and ends: midnight is another hour of UTC before and after.
        ("2026-03-28T22:59:59Z", "Europe/Berlin", "2026-03-28"),
        ("2026-03-29T21:59:59Z", "Europe/Berlin", "2026-03-29"),
        ("2026-03-29T22:00:00Z", "Europe/Berlin", "2026-03-30"),
        ("2026-10-24T22:00:00Z", "Europe/Berlin", "2026-10-25"),
        ("2026-10-25T22:59:59Z", "Europe/Berlin", "2026-10-25"),
        ("2026-10-25T23:00:00Z", "Europe/Berlin", "2026-10-26"),
        # A day that begins at one o'clock.
        ("2018-11-04T02:59:59Z", "America/Sao_Paulo", "2018-11-03"),
        ("2018-11-04T03:00:00Z", "America/Sao_Paulo", "2018-11-04"),
        # Both sides of the date line, and a day that one island never had.
        ("2026-11-22T10:00:00Z", "Pacific/Kiritimati", "2026-11-23"),
        ("2026-11-22T10:00:00Z", "Pacific/Pago_Pago", "2026-11-21"),
        ("2011-12-30T09:59:59Z", "Pacific/Apia", "2011-12-29"),
        ("2011-12-30T10:00:00Z", "Pacific/Apia", "2011-12-31"),
        ("2026-11-22T18:14:59Z", "Asia/Kathmandu", "2026-11-22"),
        ("2026-11-22T18:15:00Z", "Asia/Kathmandu", "2026-11-23"),
    ],
)
def test_a_day_is_the_day_that_the_office_has(instant: str, zone: str, expected: str) -> None:
    assert local_date(datetime.fromisoformat(instant), zone) == date.fromisoformat(expected)


def test_the_clock_of_the_system_is_in_utc() -> None:
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert abs(now.timestamp() - time.time()) < 60


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds
def test_no_two_zones_are_more_than_two_days_apart(instant: datetime) -> None:
    east, west = local_date(instant, "Pacific/Kiritimati"), local_date(instant, "Pacific/Pago_Pago")
    assert timedelta(0) <= east - west <= timedelta(days=2)
    assert west <= local_date(instant, "Europe/Berlin") <= east


# Renewal by the day


def test_a_renewal_by_days_ends_on_its_day_and_takes_it_as_anchor() -> None:
    before = Dates(date(2026, 1, 1), date(2026, 12, 22), 22)
    after = terms.extend(before, Until(date(2027, 1, 31)), TODAY, Lapsed.TODAY)
    assert after == Dates(date(2026, 1, 1), date(2027, 1, 31), 31)
    assert terms.extend(after, Months(1), TODAY, Lapsed.TODAY).expires_on == date(2027, 2, 28)


@pytest.mark.parametrize(
    ("expires_on", "setting", "expected"),
    [
        (date(2026, 12, 22), Lapsed.TODAY, 10),
        (date(2026, 12, 31), Lapsed.TODAY, 1),
        (date(2026, 11, 22), Lapsed.TODAY, 40),
        (date(2026, 11, 21), Lapsed.TODAY, 40),
        (date(2020, 1, 1), Lapsed.TODAY, 40),
        (date(2026, 11, 21), Lapsed.CONTINUOUS, 41),
    ],
)
def test_days_are_counted_from_the_base(expires_on: date, setting: Lapsed, expected: int) -> None:
    before = Dates(date(2020, 1, 1), expires_on, expires_on.day)
    assert terms.days_to(before, date(2027, 1, 1), TODAY, setting) == expected


@given(subscriptions(), st.integers(0, 400), st.integers(1, 400), lapsed)
def test_what_is_bought_by_the_day_is_at_least_one_day(before: Dates, early: int, longer: int, setting: Lapsed) -> None:
    today = expires(before) - timedelta(days=early)
    until = expires(before) + timedelta(days=longer)
    assert terms.objection(before, Until(until), today, None) is None
    assert terms.days_to(before, until, today, setting) == longer


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (date(2026, 11, 22), date(2031, 11, 22)),
        (date(2028, 2, 29), date(2033, 2, 28)),
        (date(2026, 1, 31), date(2031, 1, 31)),
    ],
)
def test_the_latest_date_is_sixty_months_from_today(today: date, expected: date) -> None:
    assert terms.latest_until(today) == expected


# Never backward, never past the end of dates


@st.composite
def any_terms(draw: st.DrawFn) -> Term:
    return draw(st.builds(FirstTerm, months) | st.builds(Months, months) | st.builds(Until, days))


@given(st.just(Dates()) | subscriptions(), any_terms(), days, lapsed)
def test_whatever_is_allowed_moves_the_expiry_forward(before: Dates, term: Term, today: date, setting: Lapsed) -> None:
    assume(terms.objection(before, term, today, None) is None)
    after = terms.extend(before, term, today, setting)
    assert expires(after) > (before.expires_on or today)
    assert after.activated_on == (before.activated_on or today)
    assert after.anchor_day is not None
    assert expires(after).day == min(after.anchor_day, last_of_month(expires(after).year, expires(after).month))
    if setting is Lapsed.TODAY:
        assert expires(after) > today


@pytest.mark.parametrize(
    ("expires_on", "number", "expected"),
    [(date(9999, 1, 31), 11, date(9999, 12, 31)), (date(9994, 12, 31), 60, date(9999, 12, 31))],
)
def test_the_year_9999_is_the_last(expires_on: date, number: int, expected: date) -> None:
    before = Dates(date(2020, 1, 1), expires_on, 31)
    assert terms.objection(before, Months(number), TODAY, None) is None
    assert terms.extend(before, Months(number), TODAY, Lapsed.TODAY).expires_on == expected
    with pytest.raises(Refused, match="past the year 9999"):
        terms.add_months(expires_on, number + 1, 31)


@pytest.mark.parametrize(
    ("dates", "term", "today"),
    [
        (Dates(date(2020, 1, 1), date(9999, 12, 31), 31), Months(1), TODAY),
        (Dates(date(2020, 1, 1), date(9995, 1, 1), 1), Months(60), TODAY),
        (Dates(date(2020, 1, 1), date(2020, 1, 1), 1), Months(2), date(9999, 11, 1)),
        (Dates(), FirstTerm(1), date(9999, 12, 1)),
    ],
)
def test_who_would_run_past_the_year_9999_is_objected_to(dates: Dates, term: Term, today: date) -> None:
    assert terms.objection(dates, term, today, None) == "would run past the year 9999"


# Who cannot be in an order

RUNNING = Dates(date(2026, 1, 1), date(2026, 12, 22), 22)
LAPSED = Dates(date(2025, 1, 1), date(2026, 11, 21), 21)


@pytest.mark.parametrize(
    ("dates", "term", "expected"),
    [
        (Dates(), FirstTerm(1), None),
        (Dates(), Months(1), "is not activated yet"),
        (Dates(), Until(date(2027, 1, 1)), "is not activated yet"),
        (RUNNING, FirstTerm(1), "is already activated, until 2026-12-22"),
        (LAPSED, FirstTerm(1), "is already activated, until 2026-11-21"),
        (RUNNING, Months(1), None),
        (LAPSED, Months(60), None),
        (RUNNING, Until(date(2026, 12, 23)), None),
        (RUNNING, Until(date(2026, 12, 22)), "already runs until 2026-12-22"),
        (RUNNING, Until(date(2026, 12, 21)), "already runs until 2026-12-22"),
        (LAPSED, Until(date(2026, 11, 23)), None),
        (LAPSED, Until(date(2026, 11, 22)), "2026-11-22 is not later than today"),
        (LAPSED, Until(date(2026, 11, 21)), "2026-11-21 is not later than today"),
    ],
)
def test_who_cannot_be_in_an_order_is_said(dates: Dates, term: Term, expected: str | None) -> None:
    assert terms.objection(dates, term, TODAY, None) == expected
    assert terms.objection(dates, term, TODAY, date(2026, 5, 1)) == "was removed on 2026-05-01"
