"""What an order would be before it is made, however many it is for: people are read part by part, and sums are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from smartsub_tui.billing.orders import EVERYONE, PlannedLine, candidates, plan
from smartsub_tui.billing.pricing import Totals, load_prices, totals
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Dates, FirstTerm, Months, Term, Until, objection
from smartsub_tui.clock import local_date
from smartsub_tui.data import queries
from smartsub_tui.data.filters import Filter, Moment
from smartsub_tui.data.models import Office
from smartsub_tui.data.order_records import Skipped
from smartsub_tui.data.queries import Candidates
from smartsub_tui.data.records import UserRecord
from smartsub_tui.data.vocabulary import LineAction, Service

_PART: Final = 1000  # people that are held at once
_FIRST: Final = 4  # lines that a question shows


class Estimate(Struct, frozen=True):
    """An order for `people`, if it were made and paid now: the `first` of its lines, and what all of them cost.

    `skipped` others are left out, the first of them as `left_out` says.
    """

    people: int
    first: tuple[PlannedLine, ...]
    skipped: int
    left_out: Skipped | None
    totals: Totals


def estimate_renewal(
    session: Session, office_name: str, keys: Collection[str], term: Months | Until, *, additional: bool
) -> Estimate:
    """The renewal of these people, by user id; who is no longer among those who can be renewed is passed over."""
    office, now, held = queries.find_office(office_name), session.clock.now(), sorted(keys)
    parts = (
        candidates(office, held[start : start + _PART], now, session.settings, activated=True, additional=additional)
        for start in range(0, len(held), _PART)
    )
    return _estimate(session, office, parts, term)


def estimate_activation(
    session: Session, office_name: str, departments: Collection[str], *, additional: bool
) -> Estimate:
    """The activation of everyone in these departments who is not activated yet."""
    office = queries.find_office(office_name)
    among = Candidates(office.id, activated=False, additional=additional, departments=tuple(departments))
    term = FirstTerm(session.settings.orders.first_term_months)
    return _estimate(session, office, _parts(session, among, EVERYONE), term)


def _parts(session: Session, among: Candidates, chosen: Filter) -> Iterator[Sequence[UserRecord]]:
    moment, after = Moment(session.clock.now(), session.settings.ui.timezone), None
    while True:
        page = queries.search_candidates(among, chosen, moment, limit=_PART, after=after)
        yield page.rows
        if len(page.rows) < _PART:
            return
        after = page.cursors[-1]


def _estimate(session: Session, office: Office, parts: Iterable[Sequence[UserRecord]], term: Term) -> Estimate:
    today, prices = local_date(session.clock.now(), office.timezone), load_prices(office.currency)
    count, first, skipped, left_out = 0, list[PlannedLine](), 0, None
    sums: list[Totals] = []
    for people in parts:
        planned = plan(people, term, office.kind, prices, today, session.settings)
        count += len(planned.lines)
        first += planned.lines[: _FIRST - len(first)]
        skipped += len(planned.skipped)
        left_out = left_out or next(iter(planned.skipped), None)
        sums.append(planned.totals)
    return Estimate(count, tuple(first), skipped, left_out, together(sums))


def together(parts: Iterable[Totals]) -> Totals:
    """The totals of one order of all these lines: tax is rounded on the sum, so they are no sum of the parts."""
    return totals((net, rate) for part in parts for rate, (net, _) in part.by_rate.items())


class Renewable(Struct, frozen=True):
    """The user ids of those who can be renewed, in the order of the list; `others` match too, and cannot be now."""

    keys: tuple[str, ...]
    others: int


def renewable(
    session: Session, office_name: str, chosen: Filter, term: Months | Until, *, additional: bool, most: int
) -> Renewable:
    """Who of those whom the filter lets through can be renewed; not all, where there are more than `most`."""
    office = queries.find_office(office_name)
    today, prices = local_date(session.clock.now(), office.timezone), load_prices(office.currency)
    keys: list[str] = []
    others = 0
    for people in _parts(session, Candidates(office.id, activated=True, additional=additional), chosen):
        planned = plan(people, term, office.kind, prices, today, session.settings)
        keys += (line.user.id for line in planned.lines)
        others += len(planned.skipped)
        if len(keys) > most:
            break
    return Renewable(tuple(keys), others)


class DepartmentPlan(Struct, frozen=True):
    """What activating one department would be: for how many `people`, `managers` of them property managers.

    `skipped` cannot be in the order now, `activated` are already; `totals` are those of an order for it alone.
    """

    name: str
    people: int
    managers: int
    skipped: int
    activated: int
    totals: Totals


def departments_to_activate(session: Session, office_name: str, *, additional: bool) -> list[DepartmentPlan]:
    """Every department of the office, by name, with what its activation would be if it were made and paid now."""
    office = queries.find_office(office_name)
    today, prices = local_date(session.clock.now(), office.timezone), load_prices(office.currency)
    # Who is not activated yet is the same for every rule but for open orders: the people are counted, not read.
    term = FirstTerm(session.settings.orders.first_term_months)
    possible = objection(Dates(None, None, None), term, today, None) is None
    counted: dict[str, list[queries.DepartmentCount]] = {name: [] for name in queries.departments(office)}
    for each in queries.count_departments(office.id, additional=additional):
        counted[each.department].append(each)
    plans = []
    for name, counts in counted.items():
        free = {each.service: each.inactive - each.held if possible else 0 for each in counts}
        lines = []
        for service, people in free.items():
            if people:
                price = prices.find(service, LineAction.ACTIVATION, office.kind, today)
                lines.append((price.amount * people, price.tax_rate_ppm))
        plans.append(
            DepartmentPlan(
                name,
                sum(free.values()),
                free.get(Service.PM_APP, 0),
                sum(each.inactive for each in counts) - sum(free.values()),
                sum(each.activated for each in counts),
                totals(lines),
            )
        )
    return plans
