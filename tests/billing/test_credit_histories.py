"""2,000 random histories of activations, renewals and credit notes, on a real database, against a replay written here.

The replay has day arithmetic of its own. In each of eight communities 250 people live through orders that hold
some of them each, so no two histories are alike. After every credit note the dates of everyone are compared; in the end
credit notes, refunds and invoices have to add up to the minor unit.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from msgspec.structs import replace

from smartsub_tui.billing import credits, orders, payments, refunds
from smartsub_tui.billing.changes import time_out_due
from smartsub_tui.billing.credits import Credited
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.providers import hold
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months, Until
from smartsub_tui.config import OrderSettings
from smartsub_tui.data.database import rows
from smartsub_tui.data.models import Claim, Invoice, Order, OrderLine, Refund, Subscription, User
from smartsub_tui.data.order_records import OrderDetails
from smartsub_tui.data.vocabulary import InvoiceKind, Lapsed, LineAction, OrderStatus, Service, UserKind
from smartsub_tui.errors import Refused
from tests.support import SETTINGS, FixedClock, add_community, add_person, add_price, memory_session, months_later

PEOPLE, STEPS = 250, 50
TAXES = (0, 70_000, 77_000, 190_000, 333_333)


@dataclass
class Bought:
    """A line that was applied: n months, or `days` up to `until`, or the first n months."""

    order: str
    today: date
    continuous: bool
    kind: str
    months: int = 0
    until: date = date.max
    days: int = 0
    taken_back: bool = False


@dataclass
class Person:
    opening: tuple[date, int] | None
    lines: list[Bought] = field(default_factory=list)

    def dates(self, without: str | None = None) -> tuple[date, int] | None:
        """Last day and anchor by what stands, day by day; raises LookupError where a line has nothing to stand on."""
        now = self.opening
        for line in self.lines:
            if line.taken_back or line.order == without:
                continue
            if line.kind == "first":
                if now is not None:
                    raise LookupError
                now = months_later(line.today, line.months, line.today.day), line.today.day
                continue
            if now is None:
                raise LookupError
            start, anchor = now
            if start < line.today and not line.continuous:
                start, anchor = line.today, line.today.day
            if line.kind == "months":
                now = months_later(start, line.months, anchor), anchor
                continue
            end = start
            for _ in range(line.days):
                if end < line.until:
                    end += timedelta(days=1)
            if end > now[0]:
                now = end, end.day
        return now

    def buys(self, line: Bought, priced: int) -> None:
        before = self.dates()
        if line.kind == "days":
            assert before is not None
            start = before[0] if before[0] >= line.today or line.continuous else line.today
            line.days = max(priced, (line.until - start).days)
        self.lines.append(line)


class Life:
    """A community, what is done in it at random, and what it should have come to."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.clock = FixedClock(datetime(2023 + seed % 3, 1 + seed % 12, 27, 11, tzinfo=UTC))
        self.session = memory_session(clock=self.clock)
        for place, service in enumerate((Service.APP, Service.PM_APP)):
            for action, amount in ((LineAction.ACTIVATION, 1799), (LineAction.MONTH, 333), (LineAction.DAY, 11)):
                add_price(service, action, amount, tax_rate_ppm=TAXES[(seed + place) % len(TAXES)])
        self.people = {f"p{place:03d}": Person(None) for place in range(PEOPLE)}
        office = add_community()
        for place, key in enumerate(self.people):
            kind = UserKind.PROPERTY_MANAGER if place % 9 == 0 else UserKind.USER
            expires = (
                self.today() + timedelta(days=self.random.randint(-400, 400)) if self.random.random() < 0.6 else None
            )
            add_person(office, key, kind=kind, department=f"B{place % 7}", expires_on=expires)
            if expires is not None:
                self.people[key].opening = (expires, expires.day)
        self.priced: dict[str, dict[str, int]] = {}
        self.unpaid: list[str] = []
        self.paid: list[str] = []
        self.refused = 0

    def today(self) -> date:
        return self.clock.now().date()

    def by(self) -> Session:
        """A session under which what lapsed is renewed in one or the other way."""
        self.continuous = self.random.random() < 0.4
        lapsed = Lapsed.CONTINUOUS if self.continuous else Lapsed.TODAY
        return replace(self.session, settings=replace(SETTINGS, orders=OrderSettings(lapsed=lapsed)))

    def step(self) -> None:
        what = self.random.choice(
            ("activate", *("renew",) * 5, *("days",) * 3, *("credit",) * 5, "refund", *("late", "wait") * 2)
        )
        try:
            getattr(self, what)()
        except Refused:
            self.refused += 1

    def wait(self) -> None:
        # Clocks are put back, too.
        self.clock.advance(days=self.random.choice((-2, 0, 1, 1, 5, 28, 30, 31, 60, 200)))

    def activate(self) -> None:
        parts = [f"B{part}" for part in range(7) if self.random.random() < 0.4] or ["B0"]
        self._made(orders.activate(self.by(), "Elm Court", parts, paying=self._pay()).order)

    def renew(self) -> None:
        term = Months(self.random.choice((1, 1, 2, 6, 12, 13, 60)))
        self._made(orders.renew(self.by(), "Elm Court", self._some(), term, paying=self._pay()).order)

    def days(self) -> None:
        term = Until(self.today() + timedelta(days=self.random.choice((1, 10, 45, 400))))
        self._made(orders.renew(self.by(), "Elm Court", self._some(), term, paying=self._pay()).order)

    def late(self) -> None:
        """What was not paid in time is: other orders and credit notes came between."""
        if self.unpaid:
            number = self.unpaid.pop(self.random.randrange(len(self.unpaid)))
            self._settled(payments.confirm(self.by(), number, Manual("R")).order)

    def _pay(self) -> Manual | None:
        return Manual("R") if self.random.random() < 0.85 else None

    def _some(self) -> list[str]:
        share = self.random.choice((0.1, 0.4, 0.8))
        return [key for key in self.people if self.random.random() < share] or ["p001"]

    def _made(self, order: OrderDetails) -> None:
        priced = rows(
            OrderLine.select(User.key, OrderLine.days)
            .join(Subscription)
            .join(User)
            .where(OrderLine.order == Order.get(Order.number == order.number))
        )
        self.priced[order.number] = {key: days or 0 for key, days in priced}
        if order.status is OrderStatus.SUCCEED:
            self._settled(order)
        else:
            self.unpaid.append(order.number)

    def _settled(self, order: OrderDetails) -> None:
        if order.status is not OrderStatus.SUCCEED:
            return
        self.paid.append(order.number)
        for key, priced in self.priced[order.number].items():
            line = Bought(order.number, self.today(), self.continuous, "first", months=1)
            if order.until is not None:
                line.kind, line.until = "days", order.until
            elif order.months is not None:
                line.kind, line.months = "months", order.months
            self.people[key].buys(line, priced)
        self.check()

    def credit(self) -> None:
        if not self.paid:
            return
        number = self.random.choice(self.paid)
        of_it = sorted(self.priced[number])
        users = None if self.random.random() < 0.2 else [key for key in of_it if self.random.random() < 0.5]
        time_out_due(self.session)  # so that nobody is held by what is due
        before, expected = self.stored(), self._may(number, of_it if users is None else users, whole=users is None)
        try:
            done = self.take_back(number, users)
        except Refused:
            assert not expected
            assert self.stored() == before
            raise
        assert expected
        for each in done.dates:
            assert each.before == before[each.user_id][0]
            next(line for line in self.people[each.user_id].lines if line.order == number).taken_back = True
        if users is not None:
            assert sorted(each.user_id for each in done.dates) == users
        self.check()

    def refund(self) -> None:
        """Money beside what an order was paid with comes, and goes back: no date moves."""
        if self.paid:
            number = self.random.choice(self.paid)
            payments.confirm(self.session, number, Manual(f"R{self.clock.now()}", 5), second=True)
            hold(self.session.database, self.session.providers, refunds.refund(self.session, number, "came twice"))
            self.check()

    def take_back(self, number: str, users: list[str] | None) -> Credited:
        talk = credits.credit(self.session, number, "a mistake", users=users)
        return hold(self.session.database, self.session.providers, talk)

    def _may(self, number: str, users: list[str], *, whole: bool) -> bool:
        held = {key for (key,) in rows(Claim.select(User.key).join(Subscription).join(User))}
        stands = False
        for key in users:
            person = self.people[key]
            if next(line for line in person.lines if line.order == number).taken_back:
                if not whole:
                    return False
                continue
            stands = True
            if key in held:
                return False
            try:
                person.dates(without=number)
            except LookupError:
                return False
        return stands

    def stored(self) -> dict[str, tuple[date | None, int | None]]:
        found = Subscription.select(User.key, Subscription.expires_on, Subscription.anchor_day).join(User)
        return {key: (expires, anchor) for key, expires, anchor in rows(found)}

    def check(self) -> None:
        assert self.stored() == {key: person.dates() or (None, None) for key, person in self.people.items()}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_the_dates_are_a_replay_of_what_stands_and_the_money_adds_up(seed: int) -> None:
    life = Life(seed)
    for _ in range(STEPS):
        life.step()
    # Whatever stands of some orders is taken back too, so that whole invoices are.
    for number in reversed(life.paid):
        if life.random.random() < 0.8:
            try:
                done = life.take_back(number, None)
            except Refused:
                continue
            for each in done.dates:
                next(line for line in life.people[each.user_id].lines if line.order == number).taken_back = True
    life.check()
    check_money()
    life.session.database.close()


def check_money() -> None:
    notes = list(Invoice.select().where(Invoice.kind == InvoiceKind.CREDIT_NOTE).order_by(Invoice.id))
    by_year: dict[int, list[int]] = defaultdict(list)
    for note in notes:
        by_year[note.year].append(note.sequence)
    assert by_year
    for sequences in by_year.values():  # in the order in which they were issued, without gaps
        assert sequences == list(range(1, len(sequences) + 1))
    of_order: dict[int, list[Invoice]] = defaultdict(list)
    for note in notes:
        of_order[note.order.id].append(note)
    whole = 0
    for invoice in Invoice.select().where(Invoice.kind == InvoiceKind.INVOICE):
        mine = of_order[invoice.order.id]
        sums = [sum(getattr(note, name) for note in mine) for name in ("net", "tax", "total")]
        stands = OrderLine.select().where((OrderLine.order == invoice.order) & OrderLine.credit_note.is_null())
        if stands.exists():
            assert sums[0] == invoice.net - sum(line.amount or 0 for line in stands)
            assert sums[1] <= invoice.tax
        else:
            whole += 1
            assert sums == [invoice.net, invoice.tax, invoice.total]
    assert whole
    back = dict(rows(Refund.select(Refund.credit_note, Refund.amount).where(Refund.credit_note.is_null(False))))
    assert back == {note.id: note.total for note in notes if note.total}
