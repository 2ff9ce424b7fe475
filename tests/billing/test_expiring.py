"""Who expires when, and what renewing them is worth: counted as the lists count, added in one currency only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartsub_tui.billing.expiring import WINDOWS, Cell, Span, by_currency, expiring, months
from smartsub_tui.data import queries
from smartsub_tui.data.database import Database
from smartsub_tui.data.filters import Moment, parse_users
from smartsub_tui.data.vocabulary import LineAction, OfficeKind, Service, UserKind
from tests.support import NOW, TODAY, add_community, add_office, add_person, add_price, memory_database

MOMENT = Moment(NOW, "UTC")
# At no moment have all three the same date.
ZONES = ("Pacific/Kiritimati", "Europe/Berlin", "Pacific/Pago_Pago")


def cells_of(spans: Sequence[Span], moment: Moment = MOMENT) -> list[tuple[Cell, ...]]:
    return expiring(queries.offices(moment.now), spans, moment)


# Two years, by the second.
moments = st.integers(0, 63_072_000).map(lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))


@st.composite
def people(draw: st.DrawFn) -> list[tuple[int, UserKind, int | None, bool]]:
    """Office, kind, days from now to the last day (None: inactive), whether removed."""
    near = st.one_of(st.integers(-3, 3), st.sampled_from((6, 7, 8, 29, 30, 31, 89, 90, 91)), st.integers(-400, 800))
    person = st.tuples(
        st.integers(0, 2),
        st.sampled_from(list(UserKind)),
        st.one_of(st.none(), near),
        st.integers(0, 9).map(lambda n: n == 0),
    )
    return draw(st.lists(person, max_size=12))


@pytest.mark.long
@given(people(), moments, st.sampled_from(ZONES))
def test_every_count_is_that_of_its_list_and_all_are_counted_once(
    found: list[tuple[int, UserKind, int | None, bool]], now: datetime, zone: str
) -> None:
    database = memory_database()
    try:
        moment = Moment(now, zone)
        offices = [add_office(name, timezone=zone) for name, zone in zip(("A", "B", "C"), ZONES, strict=True)]
        for number, (office, kind, days, removed) in enumerate(found):
            add_person(
                offices[office],
                f"k{number}",
                kind=kind,
                expires_on=None if days is None else now.date() + timedelta(days=days),
                removed_on=now.date() if removed else None,
            )
        for service, amount in ((Service.APP, 300), (Service.PM_APP, 900)):
            add_price(service, LineAction.MONTH, amount)
        price = {Service.APP: 300, Service.PM_APP: 900, Service.ADDITIONAL_APP: 0}
        for spans in (WINDOWS, months(moment.today)):
            counted = cells_of(spans, moment)
            for place, cells in zip(offices, counted, strict=True):
                lists = [
                    queries.search_users(parse_users(span.filter), moment, office=place.id, limit=None)
                    for span in spans
                ]
                assert [cell.people for cell in cells] == [len(each) for each in lists]
                assert [cell.net for cell in cells] == [sum(price[user.service] for user in each) for each in lists]
                assert [cell.unpriced for cell in cells] == [
                    sum(user.service is Service.ADDITIONAL_APP for user in each) for each in lists
                ]
                assert [cell.family for cell in cells] == [
                    sum(user.kind is UserKind.FAMILY for user in each) for each in lists
                ]
                onward = [queries.count_users(parse_users(span.onward), moment, office=place.id) for span in spans]
                assert onward == [sum(cell.people for cell in cells[first:]) for first in range(len(spans))]
            everyone = sum(days is not None and not removed for _, _, days, removed in found)
            assert sum(cell.people for cells in counted for cell in cells) == everyone
    finally:
        database.close()


def test_the_price_is_that_of_the_office_kind_and_of_today(database: Database) -> None:
    office, community = add_office("A"), add_community("B")
    for place in (office, community):
        add_person(place, f"u{place.id}", expires_on=TODAY)
    add_price(Service.APP, LineAction.MONTH, 300)
    add_price(Service.APP, LineAction.MONTH, 270, office_kind=OfficeKind.COMMUNITY)
    add_price(Service.APP, LineAction.MONTH, 330, valid_from=TODAY)
    add_price(Service.APP, LineAction.MONTH, 999, valid_from=TODAY + timedelta(days=1))
    assert [cells[1] for cells in cells_of(WINDOWS)] == [Cell(1, 330, 0), Cell(1, 270, 0)]


def test_today_is_that_of_each_office_also_for_its_price(database: Database) -> None:
    add_person(add_office("A", timezone="Pacific/Kiritimati"), "a", expires_on=TODAY)
    add_person(add_office("B", timezone="Pacific/Pago_Pago"), "b", expires_on=TODAY)
    add_price(Service.APP, LineAction.MONTH, 300)
    add_price(Service.APP, LineAction.MONTH, 400, valid_from=TODAY)
    late = Moment(datetime(2026, 11, 22, 10, 30, tzinfo=UTC), "UTC")  # the 23rd there, still the 21st here
    first, second = expiring(queries.offices(late.now), WINDOWS, late)
    assert first[0] == Cell(1, 400, 0)  # overdue
    assert second[:2] == (Cell(), Cell(1, 300, 0))


def test_amounts_of_two_currencies_are_never_added(database: Database) -> None:
    for name, currency, number in (("A", "EUR", 1), ("B", "JPY", 5), ("C", "EUR", 3), ("D", "USD", 0)):
        place = add_office(name, currency=currency)
        for each in range(number):
            add_person(place, f"{name}{each}", expires_on=TODAY)
    for currency, amount in (("EUR", 300), ("JPY", 450)):
        add_price(Service.APP, LineAction.MONTH, amount, currency=currency)
    offices = queries.offices(NOW)
    sums = by_currency(offices, expiring(offices, WINDOWS, MOMENT))
    assert list(sums) == ["JPY", "EUR"]  # the most people first, none without
    assert [sums[each][1] for each in sums] == [Cell(5, 2250, 0), Cell(4, 1200, 0)]


def test_an_office_that_is_not_asked_about_is_left_out(database: Database) -> None:
    add_person(add_office("A"), "a", expires_on=TODAY)
    add_person(add_office("B"), "b", expires_on=TODAY)
    first, _ = queries.offices(NOW)
    assert [cells[1].people for cells in expiring([first], WINDOWS, MOMENT)] == [1]


@pytest.mark.parametrize(
    ("today", "labels"),
    [
        (date(2026, 11, 22), ["overdue", "2026-11", "2026-12", "2027-01"]),
        (date(2026, 12, 31), ["overdue", "2026-12", "2027-01", "2027-02"]),
        (date(9999, 12, 31), ["overdue", "9999-12"]),
    ],
)
def test_months_begin_with_this_one(today: date, labels: list[str]) -> None:
    spans = months(today)
    assert [span.label for span in spans[:4]] == labels
    for span in spans:
        parse_users(span.filter)
        parse_users(span.onward)
