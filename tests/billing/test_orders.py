"""Making orders: who is in one and who is not and why, what it costs, and what a repeated request does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from smartsub_tui.billing import orders, payments, terms
from smartsub_tui.billing.orders import NewOrder, Plan
from smartsub_tui.billing.payments import BankTransfer, ByLink, Manual, Paying
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Dates, FirstTerm, Months, Term, Until
from smartsub_tui.config import OrderSettings
from smartsub_tui.data.filters import parse_users
from smartsub_tui.data.models import (
    AuditEvent,
    Claim,
    Invoice,
    Office,
    Order,
    OrderLine,
    Payment,
    Request,
    Subscription,
    User,
)
from smartsub_tui.data.money import LARGEST, Money
from smartsub_tui.data.order_records import OrderDetails, Skipped
from smartsub_tui.data.queries import find_office
from smartsub_tui.data.vocabulary import (
    Lapsed,
    LineAction,
    OfficeKind,
    OrderStatus,
    OrderType,
    PaymentState,
    Role,
    Service,
    UserKind,
)
from smartsub_tui.errors import NotAllowed, NotFound, Refused, WrongUsage
from tests.support import (
    ACTIVATION_PRICE,
    DAY_PRICE,
    MONTH_PRICE,
    NOW,
    SETTINGS,
    TAX,
    TODAY,
    FixedClock,
    add_community,
    add_office,
    add_order,
    add_people,
    add_person,
    add_price,
    add_prices,
    as_role,
    claimed,
    dump,
    expiry,
    gross,
    memory_session,
)

SOON = date(2026, 12, 22)
EVERYONE = orders.EVERYONE


@pytest.fixture
def office(session: Session) -> Office:
    """Oak House, with a price of everything."""
    add_prices()
    return add_office()


@pytest.fixture
def community(session: Session) -> Office:
    add_prices()
    return add_community()


def refused(call: Callable[[], Any], error: type[Exception] = Refused) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def people_of(made: NewOrder) -> list[str]:
    return sorted(line.user_id for line in made.order.lines)


def skipped(made: NewOrder | Plan) -> dict[str, str]:
    return {each.user_id: each.reason for each in made.skipped}


# Activating


def test_an_activation_takes_everyone_inactive_of_its_departments(session: Session, office: Office) -> None:
    add_person(office, "u1")
    add_person(office, "u2", department="Support")
    add_person(office, "pm", kind=UserKind.PROPERTY_MANAGER)
    add_person(office, "fam", kind=UserKind.FAMILY)
    add_person(office, "active", expires_on=SOON)
    add_person(office, "expired", expires_on=date(2020, 1, 1))
    add_person(office, "gone", removed_on=date(2026, 1, 1))
    add_person(office, "elsewhere", department="Kitchen")
    add_person(add_office("Ash House"), "stranger")
    made = orders.activate(session, "Oak House", ["Sales", "Support"])
    assert people_of(made) == ["pm", "u1", "u2"]
    assert made.skipped == ()
    order = made.order
    assert (order.type, order.status, order.apartments) == (OrderType.ACTIVATION, OrderStatus.PROCESSING, 3)
    assert (order.net, order.tax, order.total) == (Money(5400, "EUR"), Money(1026, "EUR"), Money(6426, "EUR"))
    assert (order.months, order.until, order.next_expiration, order.paid_at, order.invoice) == (None,) * 5
    assert order.created_at == NOW
    assert order.created_by == "manager"
    assert order.pay_by == NOW + timedelta(hours=24)
    assert claimed(order.number) == ["pm", "u1", "u2"]


def test_nothing_but_the_order_moves_when_it_is_made(session: Session, office: Office) -> None:
    add_person(office, "u1")
    before = dump(session.database)
    made = orders.activate(session, "Oak House", ["Sales"])
    after = dump(session.database)
    changed = {table for table in after if after[table] != before[table]}
    assert changed == {"orders", "order_line", "claim", "audit_event"}
    assert [(line.previous_expiry, line.new_expiry) for line in made.order.lines] == [(None, SOON)]


def test_with_additional_an_activation_takes_the_family_members(session: Session, office: Office) -> None:
    add_person(office, "u1")
    add_person(office, "fam", kind=UserKind.FAMILY)
    made = orders.activate(session, "Oak House", ["Sales"], additional=True)
    assert people_of(made) == ["fam"]
    assert made.order.type is OrderType.ADDITIONAL_APP
    assert made.order.lines[0].service is Service.ADDITIONAL_APP


def test_departments_are_found_whatever_their_case_and_named_once(session: Session, office: Office) -> None:
    add_person(office, "u1", department="Straße")
    made = orders.activate(session, "OAK HOUSE", ["STRASSE", "straße"])
    assert people_of(made) == ["u1"]


def test_an_unknown_department_or_office_is_not_found(session: Session, office: Office) -> None:
    add_person(office, "u1")
    before = dump(session.database)
    assert "did you mean 'Sales'" in refused(lambda: orders.activate(session, "Oak House", ["Sale"]), NotFound)
    assert "has no department" in refused(lambda: orders.activate(session, "Oak House", ["Sales", "X"]), NotFound)
    assert "did you mean 'Oak House'" in refused(lambda: orders.activate(session, "Oak", ["Sales"]), NotFound)
    assert "no office is called" in refused(lambda: orders.renew(session, "X", EVERYONE, Months(1)), NotFound)
    assert "no order has the number" in refused(lambda: orders.again(session, "X"), NotFound)
    assert dump(session.database) == before


def test_a_department_of_another_office_is_not_found(session: Session, office: Office) -> None:
    add_person(add_office("Ash House"), "u1", department="Kitchen")
    assert "has no department 'Kitchen'" in refused(
        lambda: orders.activate(session, "Oak House", ["Kitchen"]), NotFound
    )


def test_in_a_community_it_is_a_building_that_is_not_found(session: Session, community: Office) -> None:
    add_person(community, "u1")
    assert "has no building 'X'" in refused(lambda: orders.activate(session, "Elm Court", ["X"]), NotFound)


@pytest.mark.parametrize("departments", [[], ["Sales"]])
def test_nobody_left_is_refused(session: Session, office: Office, departments: list[str]) -> None:
    add_person(office, "active", expires_on=SOON)
    message = refused(lambda: orders.activate(session, "Oak House", departments))
    assert message == "nobody is left to order for: nobody was chosen, for no one matches who can be in it"
    assert Order.select().count() == 0


def test_the_first_term_is_the_setting_of_the_day_it_was_ordered(session: Session, office: Office) -> None:
    add_person(office, "u1")
    longer = replace(session, settings=replace(SETTINGS, orders=OrderSettings(first_term_months=12)))
    made = orders.activate(longer, "Oak House", ["Sales"])
    assert made.order.total == Money(gross(ACTIVATION_PRICE), "EUR")  # its price covers the term, however long
    payments.pay(session, made.order.number, Manual("R"))
    assert expiry("u1") == date(2027, 11, 22)


# Renewing


def test_a_renewal_takes_every_activated_user_and_manager(session: Session, office: Office) -> None:
    add_person(office, "u1", expires_on=SOON)
    add_person(office, "lapsed", expires_on=date(2026, 3, 31))
    add_person(office, "pm", kind=UserKind.PROPERTY_MANAGER, expires_on=SOON)
    add_person(office, "fam", kind=UserKind.FAMILY, expires_on=SOON)
    add_person(office, "inactive")
    add_person(office, "gone", expires_on=SOON, removed_on=TODAY)
    add_person(add_office("Ash House"), "stranger", expires_on=SOON)
    made = orders.renew(session, "Oak House", EVERYONE, Months(3))
    assert people_of(made) == ["lapsed", "pm", "u1"]
    assert made.skipped == ()
    assert made.order.type is OrderType.SUBSCRIPTION
    assert made.order.months == 3
    assert made.order.net == Money(3 * 3 * MONTH_PRICE, "EUR")
    dates = {line.user_id: (line.previous_expiry, line.new_expiry) for line in made.order.lines}
    assert dates == {
        "u1": (SOON, date(2027, 3, 22)),
        "pm": (SOON, date(2027, 3, 22)),
        "lapsed": (date(2026, 3, 31), date(2027, 2, 22)),
    }


def test_with_additional_a_renewal_takes_the_family_members(session: Session, office: Office) -> None:
    add_person(office, "u1", expires_on=SOON)
    add_person(office, "fam", kind=UserKind.FAMILY, expires_on=SOON)
    made = orders.renew(session, "Oak House", EVERYONE, Months(1), additional=True)
    assert people_of(made) == ["fam"]
    assert (made.order.type, made.order.months) == (OrderType.ADDITIONAL_APP, 1)


def test_a_renewal_takes_whom_the_filter_lets_through(session: Session, office: Office) -> None:
    add_person(office, "u1", expires_on=date(2026, 12, 21))
    add_person(office, "u2", expires_on=date(2026, 12, 21), department="Support")
    add_person(office, "u3", expires_on=date(2028, 1, 1))
    made = orders.renew(session, "Oak House", parse_users("department:Sales state:expiring"), Months(1))
    assert people_of(made) == ["u1"]
    assert made.skipped == ()


def test_a_renewal_takes_the_people_named_by_id_once_each(session: Session, office: Office) -> None:
    add_people(office, "u1", "u2", "u3", expires_on=SOON)
    made = orders.renew(session, "Oak House", ["u3", "u1", "u3"], Months(1))
    assert people_of(made) == ["u1", "u3"]


def test_an_id_that_is_named_hundreds_of_times_is_one_person(session: Session, office: Office) -> None:
    add_people(office, "u1", expires_on=SOON)
    made = orders.renew(session, "Oak House", ["u1", *(f"x{n}" for n in range(600)), "u1"], Months(1))
    assert people_of(made) == ["u1"]


def test_more_people_than_one_query_takes_are_all_found(
    session: Session, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "_CHUNK", 5)
    keys = [f"u{number:02d}" for number in range(13)]
    add_people(office, *keys, expires_on=SOON)
    made = orders.renew(session, "Oak House", keys, Months(1))
    assert people_of(made) == keys
    payments.pay(session, made.order.number, Manual("R"))
    assert {row.expires_on for row in Subscription.select()} == {date(2027, 1, 22)}


@pytest.mark.parametrize("months", [0, 61, -1, 1.5, "5", "", " ", "１２", "+5", "1e1", None, True, 10**30])
@pytest.mark.parametrize("dry_run", [False, True])
def test_months_out_of_range_are_refused_by_the_rule_too(
    session: Session, office: Office, months: Any, dry_run: bool
) -> None:
    add_people(office, "u1", expires_on=SOON)
    before = dump(session.database)
    message = refused(lambda: orders.renew(session, "Oak House", EVERYONE, Months(months), dry_run=dry_run))
    assert message == f"months is a whole number from 1 to 60, not {months!r}"
    assert dump(session.database) == before


@pytest.mark.parametrize(("months", "expected"), [(1, date(2027, 1, 22)), (60, date(2031, 12, 22))])
def test_one_and_sixty_months_are_taken(session: Session, office: Office, months: int, expected: date) -> None:
    add_people(office, "u1", expires_on=SOON)
    made = orders.renew(session, "Oak House", EVERYONE, Months(months), paying=Manual("R"))
    assert made.order.lines[0].new_expiry == expiry("u1") == expected


def test_sixty_months_are_the_limit_of_one_order_not_of_the_date(session: Session, office: Office) -> None:
    add_people(office, "u1", expires_on=SOON)
    for reference in ("a", "b"):
        orders.renew(session, "Oak House", EVERYONE, Months(60), paying=Manual(reference))
    assert expiry("u1") == date(2036, 12, 22)


def test_who_would_run_past_the_year_9999_is_left_out(session: Session, office: Office) -> None:
    add_person(office, "u1", expires_on=SOON)
    add_person(office, "u2", expires_on=date(9999, 12, 1))
    made = orders.renew(session, "Oak House", EVERYONE, Months(1))
    assert people_of(made) == ["u1"]
    assert skipped(made) == {"u2": "would run past the year 9999"}


# Who is left out


def test_who_is_held_by_an_open_order_is_left_out_and_named_with_it(session: Session, office: Office) -> None:
    add_people(office, "u1", "u2", expires_on=SOON)
    first = orders.renew(session, "Oak House", ["u1"], Months(1)).order
    second = orders.renew(session, "Oak House", EVERYONE, Months(1))
    assert people_of(second) == ["u2"]
    assert skipped(second) == {"u1": f"is in an open order, {first.number}"}
    assert second.order.net == Money(MONTH_PRICE, "EUR")
    assert refused(lambda: orders.renew(session, "Oak House", ["u1", "u2"], Months(1))) == (
        f"nobody is left to order for: u1 is in an open order, {first.number} (and 1 more)"
    )
    assert refused(lambda: orders.renew(session, "Oak House", ["u1"], Months(1))) == (
        f"nobody is left to order for: u1 is in an open order, {first.number}"
    )


@pytest.mark.parametrize("status", [OrderStatus.PROCESSING, OrderStatus.SYSTEM_PROCESSING])
def test_an_imported_open_order_holds_its_people_too(session: Session, office: Office, status: OrderStatus) -> None:
    (subscription,) = add_people(office, "u1", expires_on=SOON)
    held = add_order(office, [subscription], status)
    assert held.number in refused(lambda: orders.renew(session, "Oak House", EVERYONE, Months(1)))


def test_when_an_order_ends_its_people_can_be_ordered_for(session: Session, office: Office, clock: FixedClock) -> None:
    add_people(office, "u1", expires_on=SOON)
    first = orders.renew(session, "Oak House", EVERYONE, Months(1)).order
    payments.cancel(session, first.number, "changed my mind")
    second = orders.renew(session, "Oak House", EVERYONE, Months(1)).order
    clock.advance(hours=24)
    third = orders.renew(session, "Oak House", EVERYONE, Months(1)).order
    payments.pay(session, third.number, Manual("R"))
    fourth = orders.renew(session, "Oak House", EVERYONE, Months(1)).order
    assert [status_of(number) for number in (first.number, second.number, third.number, fourth.number)] == [
        OrderStatus.CANCEL,
        OrderStatus.TIME_OUT,
        OrderStatus.SUCCEED,
        OrderStatus.PROCESSING,
    ]


def status_of(number: str) -> OrderStatus:
    status: OrderStatus = Order.get(Order.number == number).status
    return status


# By the day, in a community


def test_a_community_renews_to_a_date_by_the_day(session: Session, community: Office) -> None:
    add_person(community, "u1", expires_on=SOON, apartment="1")
    add_person(community, "u2", expires_on=date(2026, 11, 1), apartment="2")
    add_person(community, "u3", expires_on=date(2026, 12, 31), apartment="3")
    add_person(community, "u4", expires_on=date(2027, 6, 1), apartment="4")
    made = orders.renew(session, "Elm Court", EVERYONE, Until(date(2026, 12, 31)))
    assert people_of(made) == ["u1", "u2"]
    assert skipped(made) == {"u3": "already runs until 2026-12-31", "u4": "already runs until 2027-06-01"}
    assert (made.order.until, made.order.next_expiration) == (date(2026, 12, 31), date(2026, 12, 31))
    assert made.order.months is None
    amounts = {line.user_id: line.amount for line in made.order.lines}
    # 9 days from 22 December, and 39 from today, because the first of November is past.
    assert amounts == {"u1": Money(9 * DAY_PRICE, "EUR"), "u2": Money(39 * DAY_PRICE, "EUR")}
    assert {line.user_id: line.new_expiry for line in made.order.lines} == dict.fromkeys(
        ["u1", "u2"], date(2026, 12, 31)
    )


def test_the_days_are_frozen_at_the_order(session: Session, community: Office, clock: FixedClock) -> None:
    add_person(community, "u1", expires_on=date(2026, 11, 1))
    order = orders.renew(session, "Elm Court", EVERYONE, Until(SOON)).order
    clock.advance(hours=23)
    paid = payments.pay(session, order.number, Manual("R")).order
    assert paid.total == order.total == Money(gross(30 * DAY_PRICE), "EUR")
    assert expiry("u1") == SOON


def test_lapsed_continuous_prices_the_days_from_the_old_expiry(session: Session, community: Office) -> None:
    add_person(community, "u1", expires_on=date(2026, 11, 1))
    kept = replace(session, settings=replace(SETTINGS, orders=OrderSettings(lapsed=Lapsed.CONTINUOUS)))
    made = orders.renew(kept, "Elm Court", EVERYONE, Until(SOON))
    assert made.order.net == Money(51 * DAY_PRICE, "EUR")


def test_an_office_does_not_renew_to_a_date(session: Session, office: Office) -> None:
    add_people(office, "u1", expires_on=SOON)
    message = refused(lambda: orders.renew(session, "Oak House", EVERYONE, Until(date(2027, 1, 1))))
    assert message == "only a community renews to a date: give a number of months"


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (TODAY, "2026-11-22 is not later than today, 2026-11-22: choose a later day"),
        (date(2026, 11, 21), "2026-11-21 is not later than today, 2026-11-22: choose a later day"),
        (date(2031, 11, 23), "2031-11-23 is more than 60 months from today: choose 2031-11-22 or earlier"),
        (date.max, "9999-12-31 is more than 60 months from today: choose 2031-11-22 or earlier"),
    ],
)
def test_a_date_that_is_past_or_too_far_is_refused(session: Session, community: Office, day: date, reason: str) -> None:
    add_people(community, "u1", expires_on=date(2026, 1, 1))
    before = dump(session.database)
    assert refused(lambda: orders.renew(session, "Elm Court", EVERYONE, Until(day))) == reason
    assert dump(session.database) == before


@pytest.mark.parametrize("day", [date(2026, 11, 23), date(2031, 11, 22)])
def test_tomorrow_and_sixty_months_from_today_are_taken(session: Session, community: Office, day: date) -> None:
    add_people(community, "u1", expires_on=date(2026, 1, 1))
    orders.renew(session, "Elm Court", EVERYONE, Until(day), paying=Manual("R"))
    assert expiry("u1") == day


def test_today_is_that_of_the_office_and_not_of_the_seller(session: Session, clock: FixedClock) -> None:
    add_prices()
    east = add_community("East", timezone="Pacific/Kiritimati")
    west = add_community("West", timezone="Pacific/Pago_Pago")
    add_person(east, "e", expires_on=date(2026, 1, 1))
    add_person(west, "w", expires_on=date(2026, 1, 1))
    clock.put(datetime(2026, 11, 22, 10, 30, tzinfo=UTC))  # the 23rd in the east, the 21st in the west
    assert "2026-11-23" in refused(lambda: orders.renew(session, "East", EVERYONE, Until(date(2026, 11, 23))))
    made = orders.renew(session, "West", EVERYONE, Until(date(2026, 11, 22)), paying=Manual("R"))
    assert made.order.net == Money(DAY_PRICE, "EUR")
    orders.renew(session, "East", EVERYONE, Months(1), paying=Manual("R"))
    assert (expiry("e"), expiry("w")) == (date(2026, 12, 23), date(2026, 11, 22))


# Prices and totals


def test_prices_are_those_of_the_office_s_kind_on_its_own_day(session: Session, clock: FixedClock) -> None:
    add_price(Service.APP, LineAction.MONTH, 100)
    add_price(Service.APP, LineAction.MONTH, 80, office_kind=OfficeKind.COMMUNITY)
    add_price(Service.APP, LineAction.MONTH, 200, valid_from=date(2026, 11, 23))
    add_people(add_office("West", timezone="America/Los_Angeles"), "w", expires_on=SOON)
    add_people(add_office("East", timezone="Asia/Tokyo"), "e", expires_on=SOON)
    add_people(add_community("Court", timezone="Asia/Tokyo"), "c", expires_on=SOON)
    clock.put(datetime(2026, 11, 22, 16, tzinfo=UTC))
    totals = {name: orders.renew(session, name, EVERYONE, Months(1)).order.net for name in ("West", "East", "Court")}
    assert totals == {"West": Money(100, "EUR"), "East": Money(200, "EUR"), "Court": Money(80, "EUR")}


def test_without_a_price_nothing_is_ordered(session: Session) -> None:
    add_people(add_office(currency="CHF"), "u1", expires_on=SOON)
    assert "no price for app, renewal by the month, in CHF" in refused(
        lambda: orders.renew(session, "Oak House", EVERYONE, Months(1))
    )
    assert Order.select().count() == 0


def test_who_is_left_out_needs_no_price(session: Session, office: Office) -> None:
    (held,) = add_people(office, "u1", expires_on=SOON)
    add_order(office, [held])
    add_person(office, "u2", expires_on=SOON)
    assert people_of(orders.renew(session, "Oak House", EVERYONE, Months(1))) == ["u2"]


def test_tax_is_summed_per_rate_and_frozen(session: Session) -> None:
    office = add_office()
    add_price(Service.APP, LineAction.MONTH, 50, tax_rate_ppm=190_000)
    add_price(Service.PM_APP, LineAction.MONTH, 50, tax_rate_ppm=70_000)
    for key in ("u1", "u2", "u3"):
        add_person(office, key, expires_on=SOON)
    add_person(office, "pm", kind=UserKind.PROPERTY_MANAGER, expires_on=SOON)
    order = orders.renew(session, "Oak House", EVERYONE, Months(1)).order
    assert (order.net, order.tax, order.total) == (Money(200, "EUR"), Money(29 + 4, "EUR"), Money(233, "EUR"))
    add_price(Service.APP, LineAction.MONTH, 9999, valid_from=TODAY)
    paid = payments.pay(session, order.number, Manual("R")).order
    assert paid.total == order.total
    assert paid.invoice is not None
    assert paid.invoice.total == order.total


def test_an_order_that_costs_nothing_is_settled_at_once(session: Session) -> None:
    office = add_office()
    add_price(Service.APP, LineAction.MONTH, 0)
    add_people(office, "u1", expires_on=SOON)
    order = orders.renew(session, "Oak House", EVERYONE, Months(1)).order
    assert (order.status, order.total, order.paid_at) == (OrderStatus.SUCCEED, Money(0, "EUR"), NOW)
    assert order.invoice is not None
    assert order.payments == ()
    assert [event.action for event in order.events] == ["create", "pay"]
    assert expiry("u1") == date(2027, 1, 22)
    assert claimed(order.number) == []


def test_money_for_an_order_that_costs_nothing_is_refused_not_swallowed(session: Session) -> None:
    office = add_office()
    add_price(Service.APP, LineAction.MONTH, 0)
    add_people(office, "u1", expires_on=SOON)
    before = dump(session.database)
    message = refused(lambda: orders.renew(session, "Oak House", EVERYONE, Months(1), paying=Manual("R", 500)))
    assert message == "the order costs nothing: no money can be its payment"
    assert dump(session.database) == before
    made = orders.renew(session, "Oak House", EVERYONE, Months(1), paying=Manual("R"))
    assert made.order.status is OrderStatus.SUCCEED


def test_more_than_the_largest_total_is_refused(session: Session) -> None:
    office = add_office()
    add_price(Service.APP, LineAction.MONTH, LARGEST // 2, tax_rate_ppm=0)
    add_people(office, "u1", "u2", expires_on=SOON)
    assert orders.renew(session, "Oak House", EVERYONE, Months(1), dry_run=True).order.total.amount == LARGEST
    assert "order for fewer people" in refused(lambda: orders.renew(session, "Oak House", EVERYONE, Months(2)))


# Apartments


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ([("North", "1"), ("North", "1"), ("North", "2")], 2),
        ([("North", "1"), ("South", "1")], 2),
        ([("North", None), ("North", None), ("North", "")], 3),
        ([("North", "1"), ("North", "1"), ("South", None)], 2),
    ],
)
def test_apartments_are_counted_per_building_and_who_has_none_by_head(
    session: Session, community: Office, people: list[tuple[str, str | None]], expected: int
) -> None:
    for number, (building, apartment) in enumerate(people):
        add_person(community, f"u{number}", department=building, apartment=apartment, expires_on=SOON)
    assert orders.renew(session, "Elm Court", EVERYONE, Months(1)).order.apartments == expected


def test_in_an_office_the_users_are_counted(session: Session, office: Office) -> None:
    for key in ("u1", "u2", "u3"):
        add_person(office, key, apartment="1", expires_on=SOON)
    assert orders.renew(session, "Oak House", EVERYONE, Months(1)).order.apartments == 3


# Numbers


def test_a_number_is_the_second_in_utc_and_a_count_of_six_digits(
    session: Session, office: Office, clock: FixedClock
) -> None:
    add_people(office, "u1", "u2", "u3", expires_on=SOON)
    clock.put(datetime(2026, 11, 22, 9, 31, 17, 999_999, tzinfo=UTC))
    numbers = [orders.renew(session, "Oak House", [key], Months(1)).order.number for key in ("u1", "u2")]
    clock.advance(microseconds=1)
    numbers.append(orders.renew(session, "Oak House", ["u3"], Months(1)).order.number)
    assert numbers == ["20261122093117000000", "20261122093117000001", "20261122093118000000"]


def test_after_the_clock_was_put_back_numbers_are_still_unique(
    session: Session, office: Office, clock: FixedClock
) -> None:
    add_people(office, "u1", "u2", "u3", expires_on=SOON)
    first = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
    clock.advance(seconds=1)
    orders.renew(session, "Oak House", ["u2"], Months(1))
    clock.put(NOW)
    assert orders.renew(session, "Oak House", ["u3"], Months(1)).order.number == str(int(first) + 1)


@pytest.mark.parametrize(
    "imported",
    ["5", "9x", "1²", "5000000", "000002", "00000²", "99999x", "0", "12345678", "abcdef", "९९९९९९", "000000-A"],
)
def test_imported_numbers_that_look_alike_are_stepped_around(session: Session, office: Office, imported: str) -> None:
    second = "20261122090000"
    people = add_people(office, "u1", "u2", "u3", "u4", expires_on=SOON)
    orders.renew(session, "Oak House", ["u1"], Months(1))
    orders.renew(session, "Oak House", ["u2"], Months(1))
    add_order(office, people[3:], number=second + imported)
    made = orders.renew(session, "Oak House", ["u3"], Months(1)).order.number
    assert made == f"{second}00000{'3' if imported == '000002' else '2'}"


def test_a_second_has_a_million_numbers(session: Session, office: Office) -> None:
    people = add_people(office, "u1", "u2", expires_on=SOON)
    add_order(office, people[:1], number="20261122090000999999")
    message = refused(lambda: orders.renew(session, "Oak House", ["u2"], Months(1)))
    assert message == "a million orders bear the time of this second: try again in the next"


# Create and pay in one


def test_an_order_can_be_paid_as_it_is_made(session: Session, office: Office) -> None:
    add_people(office, "u1")
    made = orders.activate(session, "Oak House", ["Sales"], paying=Manual("  R-1 "))
    order = made.order
    assert order.status is OrderStatus.SUCCEED
    assert [(each.reference, each.applied) for each in order.payments] == [("R-1", True)]
    assert [event.action for event in order.events] == ["create", "pay"]
    assert expiry("u1") == SOON
    assert claimed(order.number) == []


crowds = st.lists(
    st.tuples(
        st.sampled_from([UserKind.USER, UserKind.PROPERTY_MANAGER]),
        st.sampled_from(["Sales", "Support"]),
        st.sampled_from([None, "1", "2"]),
        st.none() | st.sampled_from([TODAY, SOON, date(2026, 1, 31), date(2026, 11, 30)]),
        st.integers(28, 31),
    ),
    min_size=1,
    max_size=6,
)
wanted = st.sampled_from([FirstTerm(1), Months(1), Months(3), Until(date(2027, 2, 28))])


@pytest.mark.long
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(crowds, wanted, st.sampled_from(list(Lapsed)))
def test_paid_as_it_is_made_or_afterwards_is_the_same(people: list[Any], term: Term, lapsed: Lapsed) -> None:
    """Down to the last row; and everybody has the dates and the price that the rules say, whoever else is there."""
    stored = []
    for at_once in (True, False):
        session = memory_session(settings=replace(SETTINGS, orders=OrderSettings(lapsed=lapsed)))
        for place, service in enumerate(Service):
            for action in LineAction:
                add_price(service, action, 100 + place, tax_rate_ppm=TAX * place)
        community = add_community()
        held = {}
        for place, (kind, department, apartment, expires_on, anchor_day) in enumerate(people):
            subscription = add_person(
                *(community, f"u{place}"),
                kind=kind,
                department=department,
                apartment=apartment,
                expires_on=expires_on,
                anchor_day=anchor_day,
            )
            held[subscription.id] = Dates(subscription.activated_on, subscription.expires_on, subscription.anchor_day)
        chosen = {
            key: terms.extend(dates, term, TODAY, lapsed)
            for key, dates in held.items()
            if terms.objection(dates, term, TODAY, None) is None
        }
        if not chosen:
            session.database.close()
            return
        paying = Manual("R-1") if at_once else None
        if isinstance(term, FirstTerm):
            departments = sorted({department for _, department, *_ in people})
            made = orders.activate(session, "Elm Court", departments, paying=paying)
        else:
            made = orders.renew(session, "Elm Court", EVERYONE, term, paying=paying)
        if not at_once:
            payments.pay(session, made.order.number, Manual("R-1"))
        after = {each.id: Dates(each.activated_on, each.expires_on, each.anchor_day) for each in Subscription.select()}
        assert after == held | chosen
        for line in OrderLine.select():
            assert line.previous_expiry == held[line.subscription.id].expires_on
            assert line.new_expiry == chosen[line.subscription.id].expires_on
            assert line.tax_rate_ppm == (0 if line.subscription.service is Service.APP else TAX)
        stored.append(dump(session.database))
        session.database.close()
    assert stored[0] == stored[1]


def test_another_amount_given_as_it_is_made_waits(session: Session, office: Office) -> None:
    add_people(office, "u1")
    order = orders.activate(session, "Oak House", ["Sales"], paying=Manual("R", 1)).order
    assert order.status is OrderStatus.PROCESSING
    assert order.unapplied == (Money(1, "EUR"),)
    assert claimed(order.number) == ["u1"]


def test_bank_transfer_can_be_chosen_as_it_is_made(session: Session, office: Office) -> None:
    add_people(office, "u1")
    order = orders.activate(session, "Oak House", ["Sales"], paying=BankTransfer()).order
    assert (order.status, order.payments) == (OrderStatus.PROCESSING, ())
    assert order.pay_by == NOW + timedelta(days=14)


def test_a_payment_that_is_refused_takes_the_order_with_it(session: Session, office: Office) -> None:
    add_people(office, "u1")
    before = dump(session.database)
    with pytest.raises(WrongUsage):
        orders.activate(session, "Oak House", ["Sales"], paying=Manual(" "))
    assert dump(session.database) == before


# Again


def timed_out(session: Session, clock: FixedClock, number: str) -> None:
    clock.advance(hours=25)
    payments.delete(session, number, "seen")
    payments.restore(session, number)


def test_again_orders_for_the_same_people_at_today_s_price(session: Session, office: Office, clock: FixedClock) -> None:
    add_people(office, "u1", "u2", expires_on=SOON)
    old = orders.renew(session, "Oak House", EVERYONE, Months(2)).order
    timed_out(session, clock, old.number)
    add_price(Service.APP, LineAction.MONTH, 700, valid_from=TODAY)
    before = Order.get(Order.number == old.number)
    made = orders.again(session, old.number)
    assert people_of(made) == ["u1", "u2"]
    assert made.order.net == Money(2 * 2 * 700, "EUR")
    assert made.order.months == 2
    assert made.order.pay_by == clock.now() + timedelta(hours=24)
    assert Order.get(Order.number == made.order.number).made_from == before
    after = Order.get(Order.number == old.number)
    assert (after.status, after.total, after.version) == (OrderStatus.TIME_OUT, before.total, before.version)
    assert made.order.events[0].after is not None
    assert AuditEvent.select().where((AuditEvent.order == before) & (AuditEvent.action == "again")).count() == 1


def test_again_leaves_out_who_cannot_be_ordered_for_any_more(
    session: Session, office: Office, clock: FixedClock
) -> None:
    add_people(office, "u1", "u2", "u3", expires_on=SOON)
    old = orders.renew(session, "Oak House", EVERYONE, Months(1)).order
    timed_out(session, clock, old.number)
    User.update(removed_on=TODAY).where(User.key == "u1").execute()
    other = orders.renew(session, "Oak House", ["u2"], Months(1)).order
    made = orders.again(session, old.number)
    assert people_of(made) == ["u3"]
    assert skipped(made) == {"u1": "was removed", "u2": f"is in an open order, {other.number}"}


def test_again_twice_is_refused_because_the_first_holds_them(
    session: Session, office: Office, clock: FixedClock
) -> None:
    add_people(office, "u1", expires_on=SOON)
    old = orders.renew(session, "Oak House", EVERYONE, Months(1)).order
    timed_out(session, clock, old.number)
    first = orders.again(session, old.number).order
    assert first.number in refused(lambda: orders.again(session, old.number))


def test_again_of_an_activation_activates_who_is_still_inactive(
    session: Session, office: Office, clock: FixedClock
) -> None:
    add_people(office, "u1", "u2")
    old = orders.activate(session, "Oak House", ["Sales"]).order
    timed_out(session, clock, old.number)
    Subscription.update(activated_on=TODAY, expires_on=SOON, anchor_day=22).where(
        Subscription.user == User.get(User.key == "u1")
    ).execute()
    made = orders.again(session, old.number)
    assert people_of(made) == ["u2"]
    assert skipped(made) == {"u1": "is already activated, until 2026-12-22"}
    assert made.order.type is OrderType.ACTIVATION


def test_again_of_the_additional_app_is_of_the_additional_app(
    session: Session, office: Office, clock: FixedClock
) -> None:
    add_person(office, "f1", kind=UserKind.FAMILY)
    old = orders.activate(session, "Oak House", ["Sales"], additional=True).order
    timed_out(session, clock, old.number)
    made = orders.again(session, old.number)
    assert (made.order.type, made.order.months) == (OrderType.ADDITIONAL_APP, None)
    timed_out(session, clock, made.order.number)
    payments.confirm(session, made.order.number, Manual("R"))
    renewal = orders.renew(session, "Oak House", EVERYONE, Months(5), additional=True).order
    timed_out(session, clock, renewal.number)
    made = orders.again(session, renewal.number)
    assert (made.order.type, made.order.months) == (OrderType.ADDITIONAL_APP, 5)


def test_again_of_a_renewal_by_days_keeps_its_date_while_it_is_ahead(
    session: Session, community: Office, clock: FixedClock
) -> None:
    add_people(community, "u1", expires_on=date(2026, 1, 1))
    old = orders.renew(session, "Elm Court", EVERYONE, Until(date(2026, 11, 25))).order
    timed_out(session, clock, old.number)
    made = orders.again(session, old.number)
    assert (made.order.until, made.order.net) == (date(2026, 11, 25), Money(2 * DAY_PRICE, "EUR"))
    payments.cancel(session, made.order.number, "no")
    clock.advance(days=2)
    assert "is not later than today" in refused(lambda: orders.again(session, made.order.number))


def test_again_of_history_with_people_works_and_without_does_not(session: Session, office: Office) -> None:
    people = add_people(office, "u1", expires_on=SOON)
    inactive = add_people(office, "u2")
    failed = OrderStatus.FAILED
    assert people_of(orders.again(session, add_order(office, people, failed, history=True).number)) == ["u1"]
    activation = add_order(office, inactive, failed, history=True, type=OrderType.ACTIVATION, months=None)
    assert people_of(orders.again(session, activation.number)) == ["u2"]
    nobody = add_order(office, [], failed, history=True)
    assert "it does not say for whom it was" in refused(lambda: orders.again(session, nobody.number))
    unsaid = add_order(office, people, failed, history=True, months=None)
    assert "does not say for how long" in refused(lambda: orders.again(session, unsaid.number))


def test_again_of_an_imported_activation_that_states_its_months_activates(session: Session, office: Office) -> None:
    people = add_people(office, "u1")
    order = add_order(office, people, OrderStatus.FAILED, history=True, type=OrderType.ACTIVATION, months=12)
    made = orders.again(session, order.number).order
    assert (made.type, made.months, made.lines[0].new_expiry) == (OrderType.ACTIVATION, None, SOON)


@pytest.mark.parametrize("status", [OrderStatus.PROCESSING, OrderStatus.SYSTEM_PROCESSING])
def test_again_is_refused_while_an_order_is_open(session: Session, office: Office, status: OrderStatus) -> None:
    order = add_order(office, add_people(office, "u1", expires_on=SOON), status)
    assert f"order {order.number} cannot be ordered again: " in refused(lambda: orders.again(session, order.number))


# Planning


def preview(session: Session, term: Months | Until, chosen: Any = EVERYONE) -> Plan:
    office = find_office("Elm Court")
    people = orders.candidates(office, chosen, NOW, SETTINGS, activated=True, additional=False)
    return orders.preview(session, "Elm Court", people, term, NOW)


def test_a_preview_is_what_would_be_ordered_and_changes_nothing(session: Session, community: Office) -> None:
    add_person(community, "u1", expires_on=SOON, apartment="1")
    add_person(community, "u2", expires_on=date(2027, 6, 1))
    add_person(community, "inactive")
    add_person(community, "fam", kind=UserKind.FAMILY, expires_on=SOON)
    before = dump(session.database)
    until = Until(date(2027, 1, 1))
    shown = preview(session, until)
    assert [(line.user.id, line.days, line.amount, line.new_expiry) for line in shown.lines] == [
        ("u1", 10, 10 * DAY_PRICE, until.day)
    ]
    assert skipped(shown) == {"u2": "already runs until 2027-06-01"}
    assert (shown.currency, shown.totals.total) == ("EUR", gross(10 * DAY_PRICE))
    months = preview(session, Months(2), ["u1"])
    assert [line.new_expiry for line in months.lines] == [date(2027, 2, 22)]
    assert [line.days for line in months.lines] == [None]
    assert dump(session.database) == before
    made = orders.renew(session, "Elm Court", EVERYONE, until)
    assert (made.order.total.amount, made.skipped) == (shown.totals.total, shown.skipped)


def test_a_preview_of_an_activation_has_the_price_of_one(session: Session, community: Office) -> None:
    add_person(community, "u1")
    found = orders.candidates(community, EVERYONE, NOW, SETTINGS, activated=False, additional=False)
    shown = orders.preview(session, "Elm Court", found, FirstTerm(3), NOW)
    assert [(line.user.id, line.amount, line.tax_rate_ppm) for line in shown.lines] == [("u1", ACTIVATION_PRICE, TAX)]
    assert shown.lines[0].new_expiry == date(2027, 2, 22)


def test_a_preview_has_the_price_of_its_kind_of_office(session: Session, community: Office) -> None:
    add_price(Service.APP, LineAction.MONTH, 777, office_kind=OfficeKind.COMMUNITY)
    add_price(Service.APP, LineAction.MONTH, 888, office_kind=OfficeKind.OFFICE)
    add_person(community, "u1", expires_on=SOON)
    assert [line.amount for line in preview(session, Months(1)).lines] == [777]


def test_a_preview_of_nobody_costs_nothing(session: Session, community: Office) -> None:
    assert preview(session, Months(1)).totals.total == 0


def test_who_was_removed_is_left_out_even_if_a_filter_asks_for_it(session: Session, community: Office) -> None:
    add_person(community, "u1", expires_on=SOON, removed_on=date(2026, 2, 3))
    add_person(community, "u2", expires_on=SOON)
    shown = preview(session, Months(1), parse_users("state:removed,active"))
    assert skipped(shown) == {"u1": "was removed"}
    assert [line.user.id for line in shown.lines] == ["u2"]


def test_an_order_whose_total_is_no_longer_what_was_seen_is_not_made(session: Session, office: Office) -> None:
    add_person(office, "u1")
    add_person(office, "u2", expires_on=SOON)
    before = dump(session.database)
    message = refused(lambda: orders.activate(session, "Oak House", ["Sales"], expected=gross(ACTIVATION_PRICE) - 1))
    assert message == "the total is EUR 21.42 now, no longer EUR 21.41: people or prices changed, look again"
    assert "look again" in refused(lambda: orders.renew(session, "Oak House", EVERYONE, Months(1), expected=0))
    assert dump(session.database) == before
    orders.activate(session, "Oak House", ["Sales"], expected=gross(ACTIVATION_PRICE))
    orders.renew(session, "Oak House", EVERYONE, Months(1), expected=gross(MONTH_PRICE))


# Requests


def test_a_repeated_request_returns_its_result_and_does_nothing(
    session: Session, office: Office, clock: FixedClock
) -> None:
    add_people(office, "u1", "u2", expires_on=SOON)
    add_order(office, [Subscription.get(Subscription.user == User.get(User.key == "u2"))])

    def request() -> NewOrder:
        return orders.renew(session, "Oak House", EVERYONE, Months(2), paying=Manual("R"), request_id="r-1")

    made = request()
    before = dump(session.database)
    clock.advance(minutes=5)
    assert request() == made
    assert made.skipped == (Skipped(user_id="u2", reason=made.skipped[0].reason),)
    assert dump(session.database) == before


def test_a_request_id_is_of_one_request(session: Session, office: Office) -> None:
    add_people(office, "u1", "u2", expires_on=SOON)
    orders.renew(session, "Oak House", ["u1"], Months(2), request_id="r-1")
    before = dump(session.database)
    others: list[Callable[[], Any]] = [
        lambda: orders.renew(session, "Oak House", ["u2"], Months(2), request_id="r-1"),
        lambda: orders.renew(session, "Oak House", ["u1"], Months(3), request_id="r-1"),
        lambda: orders.renew(session, "Oak House", ["u1"], Months(2), additional=True, request_id="r-1"),
        lambda: orders.renew(session, "Oak House", ["u1"], Months(2), paying=BankTransfer(), request_id="r-1"),
        lambda: orders.renew(session, "Oak House", ["u1"], Months(2), paying=Manual("R"), request_id="r-1"),
        lambda: orders.renew(session, "oak house", ["u1"], Months(2), request_id="r-1"),
        lambda: orders.renew(session, "Oak House", EVERYONE, Months(2), request_id="r-1"),
        lambda: orders.activate(session, "Oak House", ["Sales"], request_id="r-1"),
        lambda: orders.renew(as_role(session, Role.OPERATOR), "Oak House", ["u1"], Months(2), request_id="r-1"),
    ]
    as_role(session, Role.OPERATOR)
    before = dump(session.database)
    for other in others:
        assert refused(other) == "request id r-1 was used for something else: take a new one"
    assert dump(session.database) == before


@pytest.mark.parametrize("way", [BankTransfer(), ByLink(), Manual("R")], ids=["bank", "link", "here"])
def test_each_way_to_pay_is_another_request(session: Session, office: Office, way: Paying) -> None:
    add_people(office, "u1", expires_on=SOON)
    orders.renew(session, "Oak House", ["u1"], Months(2), paying=way, request_id="r-1")
    for other in (None, BankTransfer(), ByLink(), Manual("R")):
        if other != way:
            again = partial(orders.renew, session, "Oak House", ["u1"], Months(2), paying=other, request_id="r-1")
            assert refused(again) == "request id r-1 was used for something else: take a new one"


def test_who_lost_the_right_does_not_get_the_stored_result(session: Session, office: Office) -> None:
    add_people(office, "u1", expires_on=SOON)
    orders.renew(session, "Oak House", ["u1"], Months(2), request_id="r-1")
    session.database.execute_sql("UPDATE admin SET role = 'viewer'")
    with pytest.raises(NotAllowed):
        orders.renew(session, "Oak House", ["u1"], Months(2), request_id="r-1")


@pytest.mark.parametrize("request_id", ["", " ", "a\nb", "x" * 501, "\u202e"])
def test_a_request_id_is_text_that_can_be_seen(session: Session, office: Office, request_id: str) -> None:
    add_people(office, "u1", expires_on=SOON)
    with pytest.raises(WrongUsage, match="request id"):
        orders.renew(session, "Oak House", EVERYONE, Months(1), request_id=request_id)


def test_a_refusal_stores_nothing_and_its_request_id_is_free(session: Session, office: Office) -> None:
    before = dump(session.database)
    with pytest.raises(Refused):
        orders.renew(session, "Oak House", EVERYONE, Months(1), request_id="r-1")
    assert dump(session.database) == before
    add_people(office, "u1", expires_on=SOON)
    assert people_of(orders.renew(session, "Oak House", EVERYONE, Months(1), request_id="r-1")) == ["u1"]
    assert [row.command for row in Request.select()] == ["create"]


def test_a_dry_run_shows_everything_and_stores_nothing(session: Session, office: Office, clock: FixedClock) -> None:
    add_people(office, "u1", "u2", expires_on=SOON)
    add_people(office, "i1")
    due = orders.renew(session, "Oak House", ["u2"], Months(1)).order
    clock.advance(hours=25)
    before = dump(session.database)

    def renew(dry_run: bool) -> NewOrder:
        return orders.renew(
            session, "Oak House", EVERYONE, Months(1), paying=Manual("R"), request_id="r-1", dry_run=dry_run
        )

    shown = renew(dry_run=True)
    orders.activate(session, "Oak House", ["Sales"], dry_run=True)
    orders.again(session, due.number, dry_run=True)
    assert dump(session.database) == before
    # What it shows is what then is done, the number of the order included as long as nobody comes between.
    made = renew(dry_run=False)
    assert replace(made, order=replace(made.order, pk=shown.order.pk)) == shown  # a row id that was drawn is gone
    assert people_of(made) == ["u1", "u2"]
    assert made.order.invoice is not None
    assert Request.select().count() == 1


def test_a_dry_run_is_refused_as_the_real_one_would_be(session: Session, office: Office) -> None:
    assert "nobody is left" in refused(lambda: orders.renew(session, "Oak House", EVERYONE, Months(1), dry_run=True))
    with pytest.raises(NotAllowed):
        orders.renew(as_role(session, Role.VIEWER), "Oak House", EVERYONE, Months(1), dry_run=True)


# The rows that an order leaves


def test_a_line_keeps_label_and_price_as_they_were(session: Session, office: Office) -> None:
    add_person(office, "u1", name="Ann  Old ", expires_on=SOON)
    order = orders.renew(session, "Oak House", EVERYONE, Months(1)).order
    User.update(name="Ann New", name_folded="ann new").execute()
    paid = payments.pay(session, order.number, Manual("R")).order
    assert paid.lines[0].name == "Ann  Old "
    snapshot = Invoice.get().snapshot
    assert "Ann  Old " in snapshot
    assert "Ann New" not in snapshot


def test_two_orders_never_share_a_person(session: Session, office: Office) -> None:
    add_people(office, "u1", "u2", expires_on=SOON)
    orders.renew(session, "Oak House", EVERYONE, Months(1))
    with pytest.raises(Refused):
        orders.renew(session, "Oak House", EVERYONE, Months(1))
    assert Claim.select().count() == 2
    assert Payment.select().where(Payment.state == PaymentState.SUCCEEDED).count() == 0


def test_the_result_is_the_order_as_it_is_read_afterwards(session: Session, office: Office) -> None:
    add_people(office, "u1", expires_on=SOON)
    made = orders.renew(session, "Oak House", EVERYONE, Months(1)).order
    from smartsub_tui.billing.details import read_order

    read: OrderDetails = read_order(made.number, NOW, SETTINGS)
    assert read == made
