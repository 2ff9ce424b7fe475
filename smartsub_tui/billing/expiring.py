"""Whose subscription runs out when, and what a month of renewal for them is worth, in the currency of each office.

People are counted by filters of users, so that every count is that of a list. Money is net: the price of one month that
is valid today for the office's kind and each person's service (docs/money.md). What has no price is counted apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from msgspec import Struct

from smartsub_tui.billing.pricing import PriceList, load_prices
from smartsub_tui.clock import local_date
from smartsub_tui.data import queries
from smartsub_tui.data.filters import Moment, parse_users
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.data.vocabulary import LineAction, Service
from smartsub_tui.errors import Refused


class Span(Struct, frozen=True):
    """Last days of subscriptions, local to each office. `filter` lists who is in it, `onward` who is in it or later."""

    label: str
    filter: str
    onward: str


# Together these are everyone who was ever activated, each once.
OVERDUE: Final = Span("overdue", "state:expired", "-state:inactive,removed")
WINDOWS: Final = (
    OVERDUE,
    Span("7 days", "expires:<7d", "expires:>=0d"),
    Span("30 days", "expires:7d..29d", "expires:>=7d"),
    Span("90 days", "expires:30d..89d", "expires:>=30d"),
    Span("then", "expires:>=90d", "expires:>=90d"),
)
_MONTHS_AHEAD: Final = 12


def months(today: date) -> tuple[Span, ...]:
    """Overdue, the rest of this month, the eleven after it, and then; together everyone, as WINDOWS."""
    starts = [
        (today.year + (today.month - 1 + each) // 12, (today.month - 1 + each) % 12 + 1)
        for each in range(_MONTHS_AHEAD + 1)
    ]
    names = [f"{year:04}-{month:02}" for year, month in starts if year <= date.max.year]
    first, *later = names[:_MONTHS_AHEAD]
    # What runs out in this month and is over already is overdue.
    spans = [OVERDUE, Span(first, f"expires:today..{first}", "expires:>=0d")]
    spans += [Span(name, f"expires:{name}", f"expires:>={name}") for name in later]
    spans += [Span("then", f"expires:>={name}", f"expires:>={name}") for name in names[_MONTHS_AHEAD:]]
    return tuple(spans)


class Cell(Struct, frozen=True):
    """People, and the net price of a month for those of them who have one, in minor units; the others are unpriced.

    `family` of the people are family members, who are renewed apart from the others.
    """

    people: int = 0
    net: int = 0
    unpriced: int = 0
    family: int = 0

    def __add__(self, other: Cell) -> Cell:
        return Cell(
            self.people + other.people,
            self.net + other.net,
            self.unpriced + other.unpriced,
            self.family + other.family,
        )


def expiring(offices: Sequence[OfficeRecord], spans: Sequence[Span], moment: Moment) -> list[tuple[Cell, ...]]:
    """For each of the offices, in their order, a cell for each span."""
    here = {office.id: office for office in offices}
    prices = {currency: load_prices(currency) for currency in {office.currency for office in offices}}
    found = {office.id: (Cell(),) * len(spans) for office in offices}
    for counted in queries.count_people([parse_users(span.filter) for span in spans], moment):
        office = here.get(counted.office)
        if office is None:
            continue
        price = _month_price(prices[office.currency], counted.service, office, moment)
        apart = counted.service is Service.ADDITIONAL_APP
        cells = tuple(
            Cell(people, people * (price or 0), people if price is None else 0, people if apart else 0)
            for people in counted.people
        )
        found[office.id] = sums(found[office.id], cells)
    return [found[office.id] for office in offices]


def _month_price(prices: PriceList, service: Service, office: OfficeRecord, moment: Moment) -> int | None:
    try:
        return prices.find(service, LineAction.MONTH, office.kind, local_date(moment.now, office.timezone)).amount
    except Refused:
        return None


def sums(one: Sequence[Cell], other: Sequence[Cell]) -> tuple[Cell, ...]:
    """Cell by cell. Of two currencies only the people of a sum mean anything."""
    return tuple(first + second for first, second in zip(one, other, strict=True))


def by_currency(offices: Sequence[OfficeRecord], found: Sequence[tuple[Cell, ...]]) -> dict[str, tuple[Cell, ...]]:
    """The sums of each currency that has people, that with the most of them first: amounts of two are never added."""
    whole: dict[str, tuple[Cell, ...]] = {}
    for office, cells in zip(offices, found, strict=True):
        whole[office.currency] = sums(whole[office.currency], cells) if office.currency in whole else cells
    people = {currency: sum(cell.people for cell in cells) for currency, cells in whole.items()}
    ordered = sorted(whole.items(), key=lambda each: (-people[each[0]], each[0]))
    return {currency: cells for currency, cells in ordered if people[currency]}
