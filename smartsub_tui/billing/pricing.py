"""Prices and tax: integers of minor units, from the price list to an order's net, tax and total.

The rules (docs/money.md): list amounts are net. A price is a row of the office's own kind if one is valid on the order
day, else a general one; of these the latest `valid_from`. Tax is computed per rate on the sum of that rate's lines and
rounded half up once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from msgspec import Struct

from smartsub_tui.data.models import Price
from smartsub_tui.data.money import round_half_up, share_equally
from smartsub_tui.data.vocabulary import LineAction, OfficeKind, Service
from smartsub_tui.errors import Refused

PPM: Final = 1_000_000


class PriceRow(Struct, frozen=True):
    """One row of the price list: net `amount` in minor units of `currency`, rate in parts per million."""

    service: Service
    action: LineAction
    amount: int
    currency: str
    office_kind: OfficeKind | None
    tax_rate_ppm: int
    valid_from: date


class Totals(Struct, frozen=True):
    """`by_rate` maps a tax rate (ppm) to (net, tax) of its lines; total is gross."""

    net: int
    tax: int
    by_rate: dict[int, tuple[int, int]]

    @property
    def total(self) -> int:
        return self.net + self.tax


class PriceList(Struct, frozen=True):
    """The rows of one currency, answering which of them holds."""

    currency: str
    rows: tuple[PriceRow, ...]

    def find(self, service: Service, action: LineAction, kind: OfficeKind, day: date) -> PriceRow:
        """The price on `day` (local to the office) for an office of `kind`; raises Refused where there is none."""
        valid = [
            row
            for row in self.rows
            if row.service is service
            and row.action is action
            and row.valid_from <= day
            and row.office_kind in (kind, None)
        ]
        own = [row for row in valid if row.office_kind is kind]
        if not valid:
            raise Refused(
                f"no price for {service.label}, {action.label}, in {self.currency} on {day.isoformat()}:"
                " import one with prices.csv"
            )
        return max(own or valid, key=lambda row: row.valid_from)


def load_prices(currency: str) -> PriceList:
    """The price list of one currency."""
    rows = Price.select().where(Price.currency == currency)
    return PriceList(
        currency,
        tuple(
            PriceRow(
                row.service, row.action, row.amount, row.currency, row.office_kind, row.tax_rate_ppm, row.valid_from
            )
            for row in rows
        ),
    )


def totals(lines: Iterable[tuple[int, int]]) -> Totals:
    """Net, tax and total of lines given as (net amount, tax rate in ppm)."""
    nets: dict[int, int] = {}
    for amount, rate in lines:
        nets[rate] = nets.get(rate, 0) + amount
    by_rate = {rate: (net, round_half_up(net * rate, PPM)) for rate, net in sorted(nets.items())}
    return Totals(sum(net for net, _ in by_rate.values()), sum(tax for _, tax in by_rate.values()), by_rate)


def share_gross(total: int, rates: Sequence[int]) -> tuple[list[int], int]:
    """Net amounts of lines whose gross `total` alone is known, and the tax: an imported order states no more.

    The total is shared equally over the lines; per rate, tax is the sum of its shares x rate / (1 + rate), rounded
    half up, and the rest is net, shared over that rate's lines. So net amounts and tax add up to `total`.
    """
    shares = share_equally(total, len(rates))
    nets, tax = [0] * len(rates), 0
    for rate in sorted(set(rates)):
        places = [place for place, each in enumerate(rates) if each == rate]
        gross = sum(shares[place] for place in places)
        rate_tax = round_half_up(gross * rate, PPM + rate)
        tax += rate_tax
        for place, net in zip(places, share_equally(gross - rate_tax, len(places)), strict=True):
            nets[place] = net
    return nets, tax
