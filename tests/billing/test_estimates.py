"""What an order would be, read part by part and counted: the same as the order that is made then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

import pytest

from smartsub_tui.billing import estimates, orders
from smartsub_tui.billing.estimates import DepartmentPlan, Renewable
from smartsub_tui.billing.orders import EVERYONE
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months, Until
from smartsub_tui.data.filters import parse_users
from smartsub_tui.data.models import Office
from smartsub_tui.data.money import Money
from smartsub_tui.data.queries import departments
from smartsub_tui.data.vocabulary import LineAction, OfficeKind, OrderStatus, OrderType, Service, UserKind
from smartsub_tui.errors import Refused
from tests.support import (
    MONTH_PRICE,
    NOW,
    SETTINGS,
    TAX,
    TODAY,
    FixedClock,
    add_department,
    add_office,
    add_order,
    add_people,
    add_person,
    add_price,
    add_prices,
    gross,
    memory_session,
)

SOON = date(2026, 12, 22)
PEOPLE = 70


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that end within a list, and one that ends with it."""
    monkeypatch.setattr(estimates, "_PART", 10)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def session(clock: FixedClock) -> Iterator[Session]:
    session = memory_session(clock=clock)
    add_prices()
    yield session
    session.database.close()


@pytest.fixture
def office(session: Session) -> Office:
    return add_office("Oak House")


def fill(office: Office) -> None:
    """People of every kind and state in some departments, and open orders that hold some of each."""
    chance = Random(3)
    made = []
    for place in range(PEOPLE):
        until = chance.choice((None, TODAY - timedelta(days=9), SOON, date(2027, 6, 1)))
        made.append(
            add_person(
                office,
                f"u{place:02}",
                name=f"Name {chance.randrange(20)}",
                department=chance.choice(("East", "West", "North")),
                kind=chance.choice(list(UserKind)),
                expires_on=until,
                removed_on=TODAY if chance.random() < 0.1 else None,
            )
        )
    held = chance.sample(made, 20)
    add_order(office, held[:10], OrderStatus.SYSTEM_PROCESSING, number="7")
    add_order(office, held[10:], OrderStatus.SYSTEM_PROCESSING, number="8")


@pytest.mark.parametrize("additional", [False, True])
@pytest.mark.parametrize("term", [Months(3), Until(date(2027, 1, 1))], ids=["months", "until"])
@pytest.mark.parametrize("text", ["", "department:East", "state:removed,expired"])
def test_an_estimate_of_a_renewal_is_the_plan_of_all(
    session: Session, additional: bool, term: Months | Until, text: str
) -> None:
    office = add_office("Elm Court", OfficeKind.COMMUNITY)
    fill(office)
    chosen = parse_users(text)
    people = orders.candidates(office, chosen, NOW, SETTINGS, activated=True, additional=additional)
    whole = orders.preview(session, "Elm Court", people, term, NOW)
    found = estimates.renewable(session, "Elm Court", chosen, term, additional=additional, most=PEOPLE)
    assert found.keys == tuple(line.user.id for line in whole.lines)
    assert found.others == len(whole.skipped)
    said = estimates.estimate_renewal(session, "Elm Court", found.keys, term, additional=additional)
    assert (said.people, said.skipped, said.totals) == (len(whole.lines), 0, whole.totals)


def test_who_cannot_be_in_the_order_is_counted_and_the_first_is_named(session: Session, office: Office) -> None:
    people = add_people(office, *(f"u{place:02}" for place in range(25)), expires_on=SOON)
    add_order(office, people[12:15], OrderStatus.SYSTEM_PROCESSING, number="7")
    keys = [f"u{place:02}" for place in range(25)]
    said = estimates.estimate_renewal(session, "Oak House", [*keys, "nobody"], Months(2), additional=False)
    assert (said.people, said.skipped, said.totals.total) == (22, 3, gross(22 * 2 * MONTH_PRICE))
    assert said.left_out is not None
    assert (said.left_out.user_id, said.left_out.reason) == ("u12", "is in an open order, 7")
    assert [line.user.id for line in said.first] == keys[:4]
    made = orders.renew(session, "Oak House", keys, Months(2), expected=said.totals.total)
    assert (len(made.order.lines), len(made.skipped)) == (22, 3)


def test_more_than_can_be_marked_are_not_all_looked_for(session: Session, office: Office) -> None:
    add_people(office, *(f"u{place:02}" for place in range(25)), expires_on=SOON)
    found = estimates.renewable(session, "Oak House", EVERYONE, Months(1), additional=False, most=12)
    assert 12 < len(found.keys) < 25


def test_nobody_costs_nothing(session: Session, office: Office) -> None:
    found = estimates.renewable(session, "Oak House", EVERYONE, Months(1), additional=False, most=9)
    assert found == Renewable((), 0)
    said = estimates.estimate_renewal(session, "Oak House", [], Months(1), additional=False)
    assert (said.people, said.first, said.skipped, said.left_out, said.totals.total) == (0, (), 0, None, 0)


def test_every_department_has_the_plan_of_its_activation(session: Session, office: Office) -> None:
    add_department(office, "Empty")
    held = add_person(office, "held", department="Sales")
    add_order(office, [held], OrderStatus.SYSTEM_PROCESSING, type=OrderType.ACTIVATION, number="7")
    add_person(office, "u1", department="Sales")
    add_person(office, "m1", department="Sales", kind=UserKind.PROPERTY_MANAGER)
    add_person(office, "f1", department="Sales", kind=UserKind.FAMILY)
    add_person(office, "gone", department="Sales", removed_on=TODAY)
    add_person(office, "done", department="Law", expires_on=SOON)
    sales: DepartmentPlan
    empty, law, sales = estimates.departments_to_activate(session, "Oak House", additional=False)
    assert [each.name for each in (empty, law, sales)] == ["Empty", "Law", "Sales"]
    assert (empty.people, empty.activated, law.people, law.activated) == (0, 0, 0, 1)
    assert (sales.people, sales.managers, sales.skipped, sales.activated) == (2, 1, 1, 0)
    said = estimates.estimate_activation(session, "Oak House", ["Sales"], additional=False)
    assert (said.people, said.skipped, said.totals) == (2, 1, sales.totals)
    made = orders.activate(session, "Oak House", ["Sales"], expected=sales.totals.total)
    assert (made.order.net, made.skipped) == (Money(sales.totals.net, "EUR"), (said.left_out,))
    _, _, family = estimates.departments_to_activate(session, "Oak House", additional=True)
    assert (family.people, family.managers, family.skipped) == (1, 0, 0)


@pytest.mark.parametrize("additional", [False, True])
def test_departments_are_counted_as_their_people_are_planned(
    session: Session, office: Office, additional: bool
) -> None:
    fill(office)
    add_price(Service.PM_APP, LineAction.ACTIVATION, 333, tax_rate_ppm=70_000, office_kind=OfficeKind.OFFICE)
    counted = estimates.departments_to_activate(session, "Oak House", additional=additional)
    assert [each.name for each in counted] == departments(office)
    for each in counted:
        said = estimates.estimate_activation(session, "Oak House", [each.name], additional=additional)
        assert (each.people, each.skipped, each.totals) == (said.people, said.skipped, said.totals)
        activated = orders.candidates(office, EVERYONE, NOW, SETTINGS, activated=True, additional=additional)
        assert each.activated == sum(user.department == each.name for user in activated)
    # Tax is rounded on the sum: what is marked together costs what one order of all would.
    whole = estimates.estimate_activation(session, "Oak House", departments(office), additional=additional)
    assert estimates.together(each.totals for each in counted) == whole.totals


def test_tax_of_parts_put_together_is_rounded_once(session: Session, office: Office) -> None:
    add_price(Service.APP, LineAction.ACTIVATION, 3, tax_rate_ppm=TAX, office_kind=OfficeKind.OFFICE)
    add_person(office, "u1", department="East")
    add_person(office, "u2", department="West")
    east, west = (each.totals for each in estimates.departments_to_activate(session, "Oak House", additional=False))
    assert (east.total, west.total) == (4, 4)
    assert estimates.together([east, west]).total == 7


def test_without_a_price_the_sentence_says_which(session: Session) -> None:
    office = add_office("Far House", currency="JPY")
    add_department(office, "Empty")
    assert [each.people for each in estimates.departments_to_activate(session, "Far House", additional=False)] == [0]
    add_person(office, "u1")
    with pytest.raises(Refused, match=r"no price for .*, activation, in JPY"):
        estimates.departments_to_activate(session, "Far House", additional=False)


def test_nobody_is_activated_past_the_last_year(session: Session, office: Office, clock: FixedClock) -> None:
    add_person(office, "u1")
    clock.put(NOW.replace(year=9999, month=12))
    (sales,) = estimates.departments_to_activate(session, "Oak House", additional=False)
    said = estimates.estimate_activation(session, "Oak House", ["Sales"], additional=False)
    assert (sales.people, sales.skipped, said.people, said.skipped) == (0, 1, 0, 1)
