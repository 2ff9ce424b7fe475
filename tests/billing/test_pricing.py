"""Prices and tax: which row of the list holds, and sums that add up to the last minor unit."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction
from math import floor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smartsub_tui.billing.pricing import PPM, PriceList, PriceRow, load_prices, share_gross, totals
from smartsub_tui.data.database import Database
from smartsub_tui.data.vocabulary import LineAction, OfficeKind, Service
from smartsub_tui.errors import Refused
from tests.support import TODAY, add_price

rates = st.sampled_from([0, 70_000, 190_000, 200_000, 255_000, 81_000]) | st.integers(0, PPM)
amounts = st.integers(0, 10**12)


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def row(
    amount: int,
    kind: OfficeKind | None,
    valid_from: date,
    *,
    service: Service = Service.APP,
    action: LineAction = LineAction.MONTH,
) -> PriceRow:
    return PriceRow(service, action, amount, "EUR", kind, 190_000, valid_from)


# Which price


def test_a_row_of_the_own_kind_comes_before_a_newer_general_one() -> None:
    own, general = row(400, OfficeKind.OFFICE, date(2020, 1, 1)), row(500, None, date(2026, 1, 1))
    prices = PriceList("EUR", (general, own))
    assert prices.find(Service.APP, LineAction.MONTH, OfficeKind.OFFICE, TODAY) is own
    assert prices.find(Service.APP, LineAction.MONTH, OfficeKind.COMMUNITY, TODAY) is general


def test_a_row_of_the_own_kind_that_is_not_valid_yet_leaves_the_general_one() -> None:
    own, general = row(400, OfficeKind.OFFICE, TODAY + timedelta(days=1)), row(500, None, date(2020, 1, 1))
    prices = PriceList("EUR", (own, general))
    assert prices.find(Service.APP, LineAction.MONTH, OfficeKind.OFFICE, TODAY) is general
    assert prices.find(Service.APP, LineAction.MONTH, OfficeKind.OFFICE, TODAY + timedelta(days=1)) is own


def test_of_several_the_latest_that_holds_is_taken_from_its_own_day_on() -> None:
    old, new, coming = (
        row(amount, None, day) for amount, day in [(1, TODAY - timedelta(days=9)), (2, TODAY), (3, date.max)]
    )
    prices = PriceList("EUR", (old, coming, new))
    assert prices.find(Service.APP, LineAction.MONTH, OfficeKind.OFFICE, TODAY) is new
    assert prices.find(Service.APP, LineAction.MONTH, OfficeKind.OFFICE, TODAY - timedelta(days=1)) is old


@pytest.mark.parametrize(
    "only",
    [
        row(1, OfficeKind.COMMUNITY, date(2020, 1, 1)),
        row(1, None, TODAY + timedelta(days=1)),
        row(1, None, date(2020, 1, 1), service=Service.PM_APP),
        row(1, None, date(2020, 1, 1), action=LineAction.DAY),
    ],
)
def test_without_a_price_it_is_refused_and_says_which_is_missing(only: PriceRow) -> None:
    with pytest.raises(Refused, match=r"no price for app, renewal by the month, in EUR on 2026-11-22.*prices\.csv"):
        PriceList("EUR", (only,)).find(Service.APP, LineAction.MONTH, OfficeKind.OFFICE, TODAY)


@given(
    st.lists(
        st.builds(
            row,
            st.integers(0, 999),
            st.sampled_from([*OfficeKind, None]),
            st.dates(TODAY - timedelta(days=5), TODAY + timedelta(days=5)),
            service=st.sampled_from(Service),
            action=st.sampled_from(LineAction),
        ),
        unique_by=lambda each: (each.service, each.action, each.office_kind, each.valid_from),
    ),
    st.sampled_from(OfficeKind),
)
def test_the_price_is_the_one_that_walking_the_list_finds(listed: list[PriceRow], kind: OfficeKind) -> None:
    expected = None
    for wanted in (kind, None):
        for back in range(10):
            day = TODAY - timedelta(days=back)
            for each in listed:
                if (each.service, each.action, each.office_kind, each.valid_from) == (
                    Service.APP,
                    LineAction.MONTH,
                    wanted,
                    day,
                ):
                    expected = expected or each
    prices = PriceList("EUR", tuple(listed))
    if expected is None:
        with pytest.raises(Refused):
            prices.find(Service.APP, LineAction.MONTH, kind, TODAY)
    else:
        assert prices.find(Service.APP, LineAction.MONTH, kind, TODAY) is expected


def test_only_prices_of_the_currency_are_loaded(database: Database) -> None:
    add_price(Service.APP, LineAction.MONTH, 500, office_kind=OfficeKind.OFFICE, valid_from=date(2026, 1, 1))
    add_price(Service.APP, LineAction.MONTH, 700, currency="JPY")
    assert load_prices("EUR") == PriceList("EUR", (row(500, OfficeKind.OFFICE, date(2026, 1, 1)),))
    assert load_prices("CHF").rows == ()


# Totals


def test_tax_is_rounded_once_per_rate_and_not_line_by_line() -> None:
    found = totals([(50, 190_000)] * 3)  # 9.5 each would be 10, 10, 10
    assert (found.net, found.tax, found.total) == (150, 29, 179)  # 28.5, half up


def test_each_rate_is_rounded_by_itself() -> None:
    found = totals([(50, 190_000), (50, 70_000), (50, 0)])
    assert found.by_rate == {0: (50, 0), 70_000: (50, 4), 190_000: (50, 10)}  # 3.5 and 9.5, half up
    assert (found.net, found.tax, found.total) == (150, 14, 164)


def test_nothing_costs_nothing() -> None:
    assert (totals([]).total, totals([(0, 190_000)]).total, totals([]).by_rate) == (0, 0, {})


@given(st.lists(st.tuples(amounts, rates), max_size=30))
@example([(1, 500_000)])
@example([(10**12, PPM)] * 1000)
def test_totals_are_those_of_exact_fractions(lines: list[tuple[int, int]]) -> None:
    nets: dict[int, int] = defaultdict(int)
    for amount, rate in lines:
        nets[rate] += amount
    found = totals(iter(lines))
    assert found.net == sum(amount for amount, _ in lines)
    assert found.tax == sum(half_up(net * Fraction(rate, PPM)) for rate, net in nets.items())
    assert found.total == found.net + found.tax
    assert found.by_rate == {rate: (net, half_up(net * Fraction(rate, PPM))) for rate, net in nets.items()}
    assert list(found.by_rate) == sorted(found.by_rate)


# Shares of a gross total


def test_a_gross_total_is_shared_as_the_text_says() -> None:
    # 100.01 over three lines: 33.34, 33.34, 33.33. In 66.68 gross at 19 % are 10.6463... tax, in 33.33 at 0 % none.
    nets, tax = share_gross(10_001, [190_000, 190_000, 0])
    assert tax == half_up(Fraction(6668 * 19, 119)) == 1065
    assert nets == [2802, 2801, 3333]
    assert sum(nets) + tax == 10_001


@given(amounts, st.lists(rates, min_size=1, max_size=40))
@example(1, [190_000, 190_000, 0])
@example(0, [PPM])
def test_shares_and_tax_add_up_to_the_total(total: int, each_rate: list[int]) -> None:
    nets, tax = share_gross(total, each_rate)
    assert sum(nets) + tax == total
    assert len(nets) == len(each_rate)
    assert tax >= 0
    assert all(net >= 0 for net in nets)
    # Per rate: tax of the sum of its shares, rounded half up once; net shared equally, spare units to the first.
    shares = [total // len(each_rate) + (place < total % len(each_rate)) for place in range(len(each_rate))]
    expected_tax = 0
    for rate in set(each_rate):
        of_rate = [place for place, its in enumerate(each_rate) if its == rate]
        gross = sum(shares[place] for place in of_rate)
        its_tax = half_up(gross * Fraction(rate, PPM) / (1 + Fraction(rate, PPM)))
        expected_tax += its_tax
        its_nets = [nets[place] for place in of_rate]
        assert sum(its_nets) == gross - its_tax
        assert its_nets == sorted(its_nets, reverse=True)
        assert its_nets[0] - its_nets[-1] <= 1
    assert tax == expected_tax
