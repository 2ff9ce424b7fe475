"""The world of the simulation: its people, offices and orders, the steps that lie ahead, and how they are written."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from peewee import Model

from smartsub_tui.billing import audit_chain, terms
from smartsub_tui.billing.pricing import PriceList, PriceRow, Totals
from smartsub_tui.billing.terms import Dates, FirstTerm, Months, Term, Until
from smartsub_tui.config import Settings
from smartsub_tui.data import models
from smartsub_tui.data.database import Database
from smartsub_tui.data.fields import to_microseconds
from smartsub_tui.data.records import instant_text
from smartsub_tui.data.text import folded
from smartsub_tui.data.vocabulary import (
    Lapsed,
    LineAction,
    OfficeKind,
    OrderStatus,
    OrderType,
    PaymentState,
    ProviderName,
    Service,
    UserKind,
)

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)

as_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_status_json: Final = {status: as_json({"status": status.value}) for status in OrderStatus}
_DIGITS_ONLY: Final = str.maketrans("", "", "-T:")  # of ISO 8601; strftime takes ten times as long
_folded: Final = cache(folded)


# What is renewed for how long, from "orders are many and people few" to the contrary; one is drawn evenly.
MONTHS: Final = (
    (1,) * 30 + (2,),
    (1,) * 14 + (2, 2, 3, 3, 3, 6),
    (1,) * 9 + (2,) + (3,) * 5 + (6,) * 3 + (12,) * 2,
    (1,) * 5 + (3,) * 6 + (6,) * 5 + (12,) * 5 + (24,),
    (1, 3, 3, 3, 6, 6, 6, 6, 9, 18, 24, 24, 36) + (12,) * 8,
)


class Pace(NamedTuple):
    """How fast people renew: lines an order, the place in MONTHS of what is usual, its mean, the time it all takes."""

    lines: float
    level: int
    months: float
    span: timedelta


def pace_of(density: float) -> Pace:
    """The pace at which so many orders a person take about five years: more lines an order, or for longer.

    Where one line and one month are too much already, it takes more years; where orders are few, fewer.
    """
    wanted = 53 / max(density, 0.01)  # months a line times lines an order
    means = [sum(each) / len(each) for each in MONTHS[:-1]]
    level = min(range(len(means)), key=lambda place: abs(means[place] - wanted / 1.8))
    lines = min(max(wanted / means[level], 1.1), 8.0)
    # Four in five orders are paid, and of the people seven in ten renew, over all the years.
    days = density * lines * means[level] * 30.44 * 0.8 / 0.7
    return Pace(lines, level, means[level], timedelta(days=max(60, int(days))))


@dataclass(slots=True, eq=False)
class Person:
    """A user and the one subscription; both have the key `pk`."""

    pk: int
    key: str
    name: str
    name_folded: str
    kind: UserKind
    service: Service
    part: str  # department
    apartment: str | None
    opening: Dates = field(default_factory=Dates)
    dates: Dates = field(default_factory=Dates)
    held: bool = False  # in an open order, or waiting for late money of one
    stopped: bool = False  # renews no more
    removed_on: date | None = None
    additional: bool = field(init=False)  # has the additional app, which has orders of its own

    def __post_init__(self) -> None:
        self.additional = self.service is Service.ADDITIONAL_APP


@dataclass(slots=True, eq=False)
class Office:
    """An office, and who in it is next: by expiry those who renew, by the day they join those who are inactive."""

    pk: int
    name: str
    kind: OfficeKind
    zone: ZoneInfo
    currency: str
    prices: PriceList
    people: list[Person] = field(default_factory=list)
    renewing: dict[bool, list[tuple[date, int, Person]]] = field(default_factory=lambda: {False: [], True: []})
    joining: list[tuple[datetime, int, list[Person]]] = field(default_factory=list)
    again: deque[tuple[datetime, Order]] = field(default_factory=deque)
    found: dict[tuple[Service, LineAction, date], PriceRow] = field(default_factory=dict)
    asked: datetime | None = None
    day: date = date.min

    def today(self, at: datetime) -> date:
        """The date at `at` in the office's zone; it is asked again and again for the same instant."""
        if at is not self.asked:
            self.asked, self.day = at, at.astimezone(self.zone).date()
        return self.day

    def price(self, service: Service, action: LineAction, day: date) -> PriceRow:
        key = (service, action, day)
        row = self.found.get(key)
        if row is None:
            row = self.found[key] = self.prices.find(service, action, self.kind, day)
        return row


@dataclass(slots=True, eq=False)
class Line:
    person: Person
    action: LineAction = LineAction.MONTH
    days: int | None = None
    amount: int = 0
    rate: int = 0
    previous: date | None = None
    new: date | None = None
    applied_on: date | None = None


@dataclass(slots=True, eq=False)
class Payment:
    order: Order
    provider: ProviderName
    state: PaymentState
    key: str
    reference: str | None
    link: str | None
    expires_at: datetime | None
    amount: int
    created_at: datetime
    changed_at: datetime
    created_by: str
    applied: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class Order:
    """An order on its way. `pending` counts the steps that it still has before it.

    Of `history` nothing but the total is written of what its lines, prices and times to pay are here.
    """

    pk: int
    number: str
    office: Office
    type: OrderType
    status: OrderStatus
    since: datetime
    apartments: int
    totals: Totals
    term: Term
    created_at: datetime
    created_by: str
    lines: list[Line]
    pay_by: datetime
    made_from: int | None = None
    imported_at: datetime | None = None
    bank_chosen_at: datetime | None = None
    paid_at: datetime | None = None
    late: bool = False
    history: bool = False
    deleted_at: datetime | None = None
    version: int = 1
    pending: int = 0
    payment: Payment | None = None
    attempts: int = 0


Step = Callable[[datetime], None]


@dataclass(slots=True, eq=False, kw_only=True)
class World:
    """All that the simulation knows, and the rows that are not written yet."""

    database: Database
    settings: Settings
    random: random.Random
    end: datetime
    start: datetime
    manager: str
    operator: str
    pace: Pace
    offices: list[Office] = field(default_factory=list)
    steps: list[tuple[datetime, int, Order | None, Step]] = field(default_factory=list)
    order: int = 0
    sequence: int = 0
    counters: dict[int, int] = field(default_factory=dict)
    orders: deque[Order] = field(default_factory=deque)
    payments: deque[Payment] = field(default_factory=deque)
    invoices: deque[tuple[int, tuple[Any, ...]]] = field(default_factory=deque)
    events: deque[tuple[int, tuple[Any, ...]]] = field(default_factory=deque)
    head: str = field(default_factory=audit_chain.head)
    still_open: list[Order] = field(default_factory=list)
    numbered: datetime | None = None  # the second of the last number, and how many were given in it
    numbers: int = 0
    window: timedelta = field(
        init=False
    )  # within which an order is paid, where it is paid quickly: inside its time, and never days
    counting: ZoneInfo = field(init=False)  # whose days and years invoices have

    def __post_init__(self) -> None:
        self.window = min(self.settings.orders.pay_within, DAY)
        self.counting = ZoneInfo(self.settings.seller.timezone)

    def tick(self) -> int:
        """A number of its own, so that heaps never compare what has no order."""
        self.sequence += 1
        return self.sequence

    def number(self, at: datetime) -> str:
        """A new order's number: the UTC second, and six digits that count the orders of that second."""
        self.numbers = self.numbers + 1 if at == self.numbered else 0
        self.numbered = at
        return f"{at.isoformat()[:19].translate(_DIGITS_ONLY)}{self.numbers:06d}"

    def within(self, span: timedelta, low: float, high: float) -> timedelta:
        """A random part of `span`, in whole seconds."""
        return timedelta(seconds=int(span.total_seconds() * self.random.uniform(low, high)))

    def later(self, at: datetime, order: Order | None, step: Step) -> None:
        """Have `step` done when time has come to `at`; never, where the data ends before."""
        if at <= self.end:
            if order is not None:
                order.pending += 1
            heappush(self.steps, (at, self.tick(), order, step))

    def pass_time(self, until: datetime) -> None:
        steps = self.steps
        while steps and steps[0][0] <= until:
            at, _, order, step = heappop(steps)
            step(at)
            if order is not None:
                order.pending -= 1

    def record(
        self,
        at: datetime,
        admin: str,
        action: str,
        order: Order | None,
        *,
        before: OrderStatus | dict[str, Any] | str | None = None,
        after: OrderStatus | dict[str, Any] | str | None = None,
        reason: str | None = None,
        subject: str | None = None,
    ) -> None:
        """Append an audit event, as changes.Change.record does. A status stands for its JSON, a str is JSON already."""
        pk = None if order is None else order.pk
        source = "cli" if order is None or self.random.random() < 0.15 else "app"
        self.events.append(
            (
                pk or 0,
                (
                    to_microseconds(at),
                    admin,
                    source,
                    action,
                    pk,
                    subject,
                    _text(before),
                    _text(after),
                    reason,
                ),
            )
        )

    def someone(self, usually: str | None = None) -> str:
        """Who does it: mostly the same who began, else the operator or the manager."""
        draw = self.random.random()
        if usually is not None and draw < 0.8:
            return usually
        return self.operator if self.random.random() < 0.6 else self.manager


def _text(value: OrderStatus | dict[str, Any] | str | None) -> str | None:
    if isinstance(value, OrderStatus):
        return _status_json[value]
    return as_json(value) if isinstance(value, dict) else value


def month_end(day: date, months: int) -> date:
    """The last day of the month that many months after that of `day`."""
    return terms.add_months(day, months, 31)


def apartments(people: Sequence[Person]) -> int:
    """As orders.apartments: distinct building and apartment, a person without one counts as one."""
    if len(people) == 1:
        return 1
    shared = {(person.part, person.apartment) for person in people if person.apartment}
    return len(shared) + sum(1 for person in people if not person.apartment)


def queue(world: World, office: Office, person: Person) -> None:
    """Let the person wait for the next renewal, if it is to be one."""
    if person.dates.expires_on is not None:
        heappush(office.renewing[person.additional], (person.dates.expires_on, world.tick(), person))


def money(order: Order, amount: int | None = None) -> str:
    """JSON of an amount, or of the order's total; an encoder would take as long as all else of an event."""
    return f'{{"amount":{order.totals.total if amount is None else amount},"currency":"{order.office.currency}"}}'


def record_new(world: World, order: Order, action: str, made_from: Order | None = None) -> None:
    """The event of an order that is new here."""
    parts = f'"lines":{len(order.lines)},"total":{money(order)},"pay_by":"{instant_text(order.pay_by)}"'
    origin = "" if made_from is None else f',"made_from":"{made_from.number}"'
    after = f'{{"status":"{order.status}",{parts}{origin}}}'
    world.record(order.created_at, order.created_by, action, order, after=after)


# Writing


def insert(database: Database, model: type[Model], columns: str, rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows of stored values: instants as microseconds, dates as text.

    `insert_rows` would ask the fields to convert each of them, which takes longer than all the rest of the writing.
    """
    database.insert_stored([getattr(model, name) for name in columns.split()], rows)


def stored(dates: Dates) -> tuple[str | None, str | None, int | None]:
    return iso(dates.activated_on), iso(dates.expires_on), dates.anchor_day


def _micro(instant: datetime | None) -> int | None:
    return None if instant is None else to_microseconds(instant)


def iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


_ORDER_COLUMNS: Final = (
    "id number office type status status_since apartments currency net tax total months until first_term_months"
    " created_at created_by created_by_folded pay_by bank_chosen_at paid_at late history imported_at made_from"
    " deleted_at version"
)
_LINE_COLUMNS: Final = (
    "order subscription label action days amount tax_rate_ppm previous_expiry new_expiry applied_on lapsed"
)
_PAYMENT_COLUMNS: Final = (
    "order provider state idempotency_key reference amount currency link expires_at created_at changed_at created_by"
    " applied asked contested"
)
_INVOICE_COLUMNS: Final = "order kind number series year sequence issued_at issued_on currency net tax total snapshot"
_EVENT_COLUMNS: Final = "at admin source action order subject before after reason hash"


def flush(world: World) -> None:
    """Write what can change no more: the orders up to the first that is still on its way, and what belongs to them."""
    done = []
    while world.orders and not world.orders[0].pending:
        done.append(world.orders.popleft())
    limit = world.orders[0].pk if world.orders else world.order + 1
    world.still_open += [order for order in done if order.status.is_open]
    payments = []
    while world.payments and world.payments[0].order.pk < limit:
        payments.append(world.payments.popleft())
    database, lapsed = world.database, world.settings.orders.lapsed
    insert(database, models.Order, _ORDER_COLUMNS, map(_order_row, done))
    lines = (_line_row(order, line, lapsed) for order in done for line in order.lines)
    insert(database, models.OrderLine, _LINE_COLUMNS, lines)
    insert(database, models.Payment, _PAYMENT_COLUMNS, map(_payment_row, payments))
    insert(database, models.Invoice, _INVOICE_COLUMNS, _ready(world.invoices, limit))
    insert(database, models.AuditEvent, _EVENT_COLUMNS, _linked(world, _ready(world.events, limit)))
    for order in done:
        order.payment = None  # which refers to its order: no circles


def _order_row(order: Order) -> tuple[Any, ...]:
    term, totals, history = order.term, order.totals, order.history
    return (
        order.pk,
        order.number,
        order.office.pk,
        order.type,
        order.status,
        to_microseconds(order.since),
        order.apartments,
        order.office.currency,
        None if history else totals.net,
        None if history else totals.tax,
        totals.total,
        term.months if isinstance(term, Months) else None,
        iso(term.day) if isinstance(term, Until) else None,
        term.months if isinstance(term, FirstTerm) and not history else None,
        to_microseconds(order.created_at),
        order.created_by,
        _folded(order.created_by),
        None if history else to_microseconds(order.pay_by),
        _micro(order.bank_chosen_at),
        _micro(order.paid_at),
        order.late,
        history,
        _micro(order.imported_at),
        order.made_from,
        _micro(order.deleted_at),
        order.version,
    )


def _line_row(order: Order, line: Line, lapsed: Lapsed) -> tuple[Any, ...]:
    if order.history:
        return (order.pk, line.person.pk, line.person.name, *[None] * 8)
    return (
        order.pk,
        line.person.pk,
        line.person.name,
        line.action,
        line.days,
        line.amount,
        line.rate,
        iso(line.previous),
        iso(line.new),
        iso(line.applied_on),
        None if line.applied_on is None else lapsed,
    )


def _payment_row(payment: Payment) -> tuple[Any, ...]:
    return (
        payment.order.pk,
        payment.provider,
        payment.state,
        payment.key,
        payment.reference,
        payment.amount,
        payment.order.office.currency,
        payment.link,
        _micro(payment.expires_at),
        to_microseconds(payment.created_at),
        to_microseconds(payment.changed_at),
        payment.created_by,
        payment.applied,
        0,
        False,
    )


def _ready(rows: deque[tuple[int, tuple[Any, ...]]], limit: int) -> Iterator[tuple[Any, ...]]:
    """Take off the first rows, as far as they belong to orders before `limit`."""
    while rows and rows[0][0] < limit:
        yield rows.popleft()[1]


def _linked(world: World, events: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for event in events:
        world.head = audit_chain.linked(world.head, (*event, None))
        yield (*event, world.head)


def finish(world: World) -> None:
    """Write the rest, and what only the end of time shows: dates, removals, claims and counters."""
    flush(world)
    database, subscription, claim, counter = world.database, models.Subscription, models.Claim, models.Counter
    people = [person for office in world.offices for person in office.people]
    database.update_rows(
        [subscription.activated_on, subscription.expires_on, subscription.anchor_day, subscription.id],
        ((*stored(each.dates), each.pk) for each in people if each.dates != each.opening),
    )
    database.update_rows(
        [models.User.removed_on, models.User.id],
        ((each.removed_on, each.pk) for each in people if each.removed_on is not None),
    )
    held = ((line.person.pk, order.pk) for order in world.still_open for line in order.lines)
    database.insert_rows([claim.subscription, claim.order], held)
    given = ((world.settings.invoice.series, year, last) for year, last in world.counters.items())
    database.insert_rows([counter.series, counter.year, counter.last], given)
