"""Demo data: some years of offices, people, orders, payments and invoices, as the program itself would have left them.

A simulation walks through time. Each order has its slot; at a slot an office orders for whoever is about to expire (or
joins), and what becomes of the order (paid by card, by bank, timed out, cancelled ...) happens at later moments, in the
order of time, by the same rules of dates, prices and invoices that the program follows. So the ledger, the numbers and
the audit trail hold together, and every count on a screen is true.

Only `seed`, the settings and the day (UTC) of `now` decide what is made. Time stands still at the start of that day:
nothing is younger. What is open then may be paid until some moment of the next 48 hours, so that at whatever time of
the day one looks, some orders are about to time out and some have just done so.
"""

from __future__ import annotations

import json
import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from itertools import accumulate, pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

from peewee import Model

from smartsub_tui.billing import invoices, terms
from smartsub_tui.billing.lifecycle import Trigger
from smartsub_tui.billing.pricing import PPM, PriceList, PriceRow, Totals, load_prices, share_gross, totals
from smartsub_tui.billing.terms import Dates, FirstTerm, Months, Term, Until
from smartsub_tui.config import Settings
from smartsub_tui.data import models
from smartsub_tui.data.database import SqliteDatabase
from smartsub_tui.data.demo_names import (
    CANCEL_REASONS,
    CULTURES,
    CURRENCIES,
    DELETE_REASONS,
    FAIL_REASONS,
    PLACES,
    Culture,
    Place,
)
from smartsub_tui.data.fields import to_microseconds
from smartsub_tui.data.money import Money, round_half_up
from smartsub_tui.data.records import instant_text
from smartsub_tui.data.text import folded
from smartsub_tui.data.vocabulary import (
    InvoiceKind,
    LineAction,
    OfficeKind,
    OrderStatus,
    OrderType,
    PaymentState,
    ProviderName,
    Role,
    Service,
    UserKind,
)
from smartsub_tui.errors import Refused, WrongUsage

MOST_ORDERS_OF_A_USER: Final = 500

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_OPEN_HOURS: Final = 48  # how far ahead what is open has to be paid
_FLUSH: Final = 2000  # orders between two writes
_HISTORY_PERCENT: Final = 3
_EARLY: Final = 12  # days before its expiry from which a subscription is renewed along with others

# What is renewed for how long, from "orders are many and people few" to the contrary; one is drawn evenly.
_MONTHS: Final = (
    (1,) * 30 + (2,),
    (1,) * 14 + (2, 2, 3, 3, 3, 6),
    (1,) * 9 + (2,) + (3,) * 5 + (6,) * 3 + (12,) * 2,
    (1,) * 5 + (3,) * 6 + (6,) * 5 + (12,) * 5 + (24,),
    (1, 3, 3, 3, 6, 6, 6, 6, 9, 18, 24, 24, 36) + (12,) * 8,
)
_SERVICE_PRICE: Final = {Service.APP: 1, Service.PM_APP: 3, Service.ADDITIONAL_APP: 0.4}

_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


# The world


@dataclass(slots=True, eq=False)
class _Person:
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

    @property
    def additional(self) -> bool:
        return self.service is Service.ADDITIONAL_APP


@dataclass(slots=True, eq=False)
class _Office:
    """An office, and who in it is next: by expiry those who renew, by the day they join those who are inactive."""

    pk: int
    name: str
    kind: OfficeKind
    zone: ZoneInfo
    currency: str
    prices: PriceList
    people: list[_Person] = field(default_factory=list)
    renewing: dict[bool, list[tuple[date, int, _Person]]] = field(default_factory=lambda: {False: [], True: []})
    joining: list[tuple[datetime, int, list[_Person]]] = field(default_factory=list)
    again: deque[tuple[datetime, _Order]] = field(default_factory=deque)
    found: dict[tuple[Service, LineAction, date], PriceRow] = field(default_factory=dict)

    def today(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def price(self, service: Service, action: LineAction, day: date) -> PriceRow:
        key = (service, action, day)
        row = self.found.get(key)
        if row is None:
            row = self.found[key] = self.prices.find(service, action, self.kind, day)
        return row


@dataclass(slots=True, eq=False)
class _Line:
    person: _Person
    action: LineAction | None
    days: int | None
    amount: int | None
    rate: int | None
    previous: date | None = None
    new: date | None = None
    applied_on: date | None = None


@dataclass(slots=True, eq=False)
class _Payment:
    order: _Order
    provider: ProviderName
    state: PaymentState
    key: str
    reference: str | None
    amount: int
    link: str | None
    expires_at: datetime | None
    created_at: datetime
    changed_at: datetime
    created_by: str
    applied: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class _Order:
    """An order on its way. `pending` counts the steps that it still has before it."""

    pk: int
    number: str
    office: _Office
    type: OrderType
    status: OrderStatus
    since: datetime
    apartments: int
    totals: Totals | None
    net: int | None
    tax: int | None
    total: int
    term: Term | None
    months: int | None
    until: date | None
    created_at: datetime
    created_by: str
    lines: list[_Line]
    pay_by: datetime | None
    made_from: int | None = None
    imported_at: datetime | None = None
    bank_chosen_at: datetime | None = None
    paid_at: datetime | None = None
    late: bool = False
    history: bool = False
    deleted_at: datetime | None = None
    version: int = 1
    pending: int = 0
    payment: _Payment | None = None
    attempts: int = 0


@dataclass(slots=True, eq=False, kw_only=True)
class _World:
    """All that the simulation knows, and the rows that are not written yet."""

    database: SqliteDatabase
    settings: Settings
    random: random.Random
    end: datetime
    start: datetime
    manager: str
    operator: str
    lines_an_order: float
    level: int  # of _MONTHS
    offices: list[_Office]
    steps: list[tuple[datetime, int, _Order | None, Callable[[datetime], None]]] = field(default_factory=list)
    order: int = 0
    sequence: int = 0
    counters: dict[int, int] = field(default_factory=dict)
    orders: deque[_Order] = field(default_factory=deque)
    payments: deque[_Payment] = field(default_factory=deque)
    invoices: deque[tuple[int, tuple[Any, ...]]] = field(default_factory=deque)
    events: deque[tuple[int, tuple[Any, ...]]] = field(default_factory=deque)
    still_open: list[_Order] = field(default_factory=list)

    @property
    def window(self) -> timedelta:
        """Within which an order is paid, where it is paid quickly: inside its time, and never days."""
        return min(self.settings.orders.pay_within, _DAY)

    def tick(self) -> int:
        """A number of its own, so that heaps never compare what has no order."""
        self.sequence += 1
        return self.sequence

    def within(self, span: timedelta, low: float, high: float) -> timedelta:
        """A random part of `span`, in whole seconds."""
        return timedelta(seconds=int(span.total_seconds() * self.random.uniform(low, high)))

    def later(self, at: datetime, order: _Order | None, step: Callable[[datetime], None]) -> None:
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
        order: _Order | None,
        *,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        reason: str | None = None,
        subject: str | None = None,
    ) -> None:
        """Append an audit event, as changes.Change.record does."""
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
                    None if before is None else _json(before),
                    None if after is None else _json(after),
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


def make_demo(
    database: SqliteDatabase,
    *,
    admin: str,
    now: datetime,
    orders: int = 20_000,
    users: int = 2_000,
    seed: int = 1,
    settings: Settings,
) -> None:
    """Fill a new database with `orders` orders of `users` users, in one transaction; `admin` is its manager.

    The same seed, settings and day of `now` (UTC) make the same data. History reaches back as far as so many orders of
    so many people take; it can be a few orders short where so few people are that each is in an open order. Raises
    Refused where the database has offices already, WrongUsage for more than 500 orders a user.
    """
    if users < 1 or orders < 0:
        raise WrongUsage("the demo has at least one user, and no fewer than 0 orders")
    if orders > users * MOST_ORDERS_OF_A_USER:
        least = -(-orders // MOST_ORDERS_OF_A_USER)
        raise WrongUsage(f"{orders:,} orders of {users:,} users would take a century: have at least {least:,} users")
    end = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    # Lines an order times months a line: so many that the history spans about five years.
    density = max(orders / users, 0.01)
    spread = 64 / density
    months = min(max(spread / 1.8, 1.1), 5.0)
    lines = min(max(spread / months, 1.1), 8.0)
    start = end - timedelta(days=max(60, int(0.94 * density * lines * months * 30.44)))
    with database.writing():
        if models.Office.select().exists():
            raise Refused("the database has offices already: the demo goes into a new one")
        operator = _add_admins(admin, start)
        world = _World(
            database=database,
            settings=settings,
            random=random.Random(seed),  # noqa: S311 - sample data, which has to come out alike every time
            start=start,
            end=end,
            manager=admin,
            operator=operator,
            lines_an_order=lines,
            level=0 if months <= 1.35 else 1 if months <= 2.4 else 2 if months <= 4.8 else 3,
            offices=[],
        )
        _add_prices(world)
        _add_people(world, users, density, months)
        imported = _import_history(world, orders * _HISTORY_PERCENT // 100)
        _add_orders(world, orders - imported)
        _finish(world)


# Admins, prices, people


def _add_admins(manager: str, start: datetime) -> str:
    """The given admin as manager, and one of each other role; the operator's name."""
    free = [name for name in ("bob", "carol", "dave", "erin") if name != manager]
    for name, role in zip([manager, *free], (Role.MANAGER, Role.OPERATOR, Role.VIEWER, Role.AUDITOR), strict=False):
        # Whoever made the database may be in it already, since today.
        models.Admin.insert(name=name, role=role, created_at=start - _DAY).on_conflict(
            conflict_target=[models.Admin.name],
            update={models.Admin.role: role, models.Admin.created_at: start - _DAY},
        ).execute()
    return free[0]


def _add_prices(world: _World) -> None:
    """Two price lists of every currency, the second from the middle of the history on, and rows of one kind's own."""
    first = date(world.start.year - 2, 1, 1)
    second = (world.start + (world.end - world.start) * 0.55).date().replace(day=1)
    listed: list[tuple[Any, ...]] = []

    def add(service: Service, action: LineAction, amount: float, rate: int, day: date, kind: OfficeKind | None) -> None:
        listed.append((service, action, round(amount), currency, kind, rate, day.isoformat()))

    for currency, (month, rate) in CURRENCIES.items():
        for day, dearer in ((first, 1.0), (second, 1.12)):
            for service, factor in _SERVICE_PRICE.items():
                amount = month * factor * dearer
                # Two rates in one order: the rupee's managers' app is taxed less than the users'.
                own = 120_000 if (currency, service) == ("INR", Service.PM_APP) else rate
                # The manager's activation is free in euro: an order of a manager alone costs nothing there.
                free = (currency, service) == ("EUR", Service.PM_APP)
                add(service, LineAction.ACTIVATION, 0 if free else amount * 5, own, day, None)
                add(service, LineAction.MONTH, amount, own, day, None)
                add(service, LineAction.DAY, max(1, math.ceil(amount / 30)), own, day, None)
    # Holds for communities to this day, though the general row is newer: the own kind comes first.
    month, rate = CURRENCIES["EUR"]
    currency = "EUR"
    add(Service.APP, LineAction.MONTH, month * 0.9, rate, first, OfficeKind.COMMUNITY)
    currency = "USD"
    month, rate = CURRENCIES["USD"]
    add(Service.APP, LineAction.MONTH, month * 1.2, rate, second, OfficeKind.OFFICE)
    columns = "service action amount currency office_kind tax_rate_ppm valid_from"
    _insert(world.database, models.Price, columns, listed)
    _record_file(world, world.start - _DAY, "prices", "prices.csv", len(listed))


def _record_file(
    world: _World, at: datetime, kind: str, name: str, rows: int, *, added: int | None = None, changed: int = 0
) -> None:
    """The event of an imported file."""
    after = {
        "kind": kind,
        "rows": rows,
        "added": rows if added is None else added,
        "changed": changed,
        "unchanged": 0,
        "skipped": 0,
        "refused": 0,
        "sha256": f"{world.random.getrandbits(256):064x}",
    }
    world.record(at, world.manager, "import", None, subject=name, after=after)


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in parts proportional to `weights`, adding up to it."""
    ends = [total * so_far // sum(weights) for so_far in accumulate(weights)]
    return [end - begin for begin, end in pairwise([0, *ends])]


def _places(users: int) -> list[Place]:
    """About twelve for 2,000 users; past the last of the list they get numbers."""
    count = max(min(12, users // 4), users * 12 // 2000, 1)
    found = []
    for index in range(count):
        place, series = PLACES[index % len(PLACES)], index // len(PLACES) + 1
        if series > 1:
            place = Place(
                f"{place.name} {series}",
                f"{place.code}{series}",
                place.kind,
                place.timezone,
                place.currency,
                place.culture,
                place.parts,
                place.size,
            )
        found.append(place)
    return found


def _add_people(world: _World, users: int, density: float, months: float) -> None:
    """Offices with their departments and people: of many scripts in every one, most of the office's own."""
    places = _places(users)
    prices = {place.currency: load_prices(place.currency) for place in places}
    office_rows, department_rows, user_rows, subscription_rows = [], [], [], []
    guests = 0
    cultures = list(CULTURES.values())
    departments = 0
    leap = _last_leap_day(world.end.date())
    for place, count in zip(places, _shares(users, [place.size for place in places]), strict=True):
        office = _Office(
            len(world.offices) + 1, place.name, place.kind, ZoneInfo(place.timezone), place.currency,
            prices[place.currency],
        )  # fmt: skip
        world.offices.append(office)
        office_rows.append((office.pk, place.name, folded(place.name), place.kind, place.timezone, place.currency))
        parts = place.parts[: max(1, min(len(place.parts), count // 3))]
        part_keys = {}
        for part in parts:
            departments += 1
            part_keys[part] = departments
            department_rows.append((departments, office.pk, part, folded(part)))
        kinds = _kinds(world, place, count)
        homes: list[tuple[str, str]] = []
        domain = f"{place.code.lower()}.example.com"
        for number, kind in enumerate(kinds, 1):
            culture = CULTURES[place.culture]
            if number % 3 == 0:
                culture, guests = cultures[guests % len(cultures)], guests + 1
            person = _person(world, len(user_rows) + 1, f"{place.code}-{number:04d}", kind, culture)
            person.part, person.apartment = _home(world, place, parts, kind, homes, count)
            office.people.append(person)
            user_rows.append(
                (
                    person.pk,
                    person.key,
                    folded(person.key),
                    office.pk,
                    part_keys[person.part],
                    person.name,
                    person.name_folded,
                    _email(world, person, domain),
                    kind,
                    person.apartment,
                )
            )
        _open_subscriptions(world, office, density, months)
        if office.pk == 1:
            # Someone of a leap day, in every demo.
            someone = office.people[0]
            someone.opening = someone.dates = Dates(leap - timedelta(days=366), leap, 29)
            someone.stopped = leap < world.start.date()
        for person in office.people:
            dates = _stored(person.dates)
            subscription_rows.append((person.pk, person.pk, person.service, *dates, *dates))
    database = world.database
    _insert(database, models.Office, "id name name_folded kind timezone currency", office_rows)
    _insert(database, models.Department, "id office name name_folded", department_rows)
    columns = "id key key_folded office department name name_folded email kind apartment"
    _insert(database, models.User, columns, user_rows)
    dates = "activated_on expires_on anchor_day"
    columns = f"id user service {dates} opening_activated_on opening_expires_on opening_anchor_day"
    _insert(database, models.Subscription, columns, subscription_rows)
    _record_file(world, world.start - _DAY, "users", "users.csv", users)
    _queue_people(world)
    _plan_leaving(world)


def _last_leap_day(today: date) -> date:
    year = today.year
    while True:
        try:
            day = date(year, 2, 29)
        except ValueError:
            year -= 1
            continue
        if day <= today:
            return day
        year -= 1


def _kinds(world: _World, place: Place, count: int) -> list[UserKind]:
    """One manager in forty, and in communities one family member in seven; the first person is a user."""
    managers = max(count // 40, 1 if count >= 4 else 0)
    family = count // 7 if place.kind is OfficeKind.COMMUNITY else 0
    kinds = [UserKind.PROPERTY_MANAGER] * managers + [UserKind.FAMILY] * family
    kinds += [UserKind.USER] * (count - 1 - len(kinds))
    world.random.shuffle(kinds)
    return ([UserKind.USER] * min(count, 1) + kinds)[:count]


def _person(world: _World, pk: int, key: str, kind: UserKind, culture: Culture) -> _Person:
    rng = world.random
    if culture.whole and rng.random() < 0.04:
        name = rng.choice(culture.whole)
    else:
        given, family = rng.choice(culture.given), rng.choice(culture.family)
        name = culture.between.join((family, given) if culture.family_first else (given, family))
    return _Person(pk, key, name, folded(name), kind, kind.service, "", None)


def _home(
    world: _World,
    place: Place,
    parts: Sequence[str],
    kind: UserKind,
    homes: list[tuple[str, str]],
    count: int,
) -> tuple[str, str | None]:
    """Department or building, and where it is a community the apartment; a family member lives with someone."""
    rng = world.random
    if kind is UserKind.FAMILY and homes:
        return rng.choice(homes)
    part = rng.choice(parts)
    if place.kind is OfficeKind.OFFICE or kind is UserKind.PROPERTY_MANAGER:
        return part, None
    floor, door = rng.randint(1, 4 + count // 20), rng.randint(1, 6)
    apartment = f"{floor}{'ABCDEF'[door - 1]}" if len(place.name) % 2 else f"{floor}{door:02d}"
    homes.append((part, apartment))
    return part, apartment


def _email(world: _World, person: _Person, domain: str) -> str:
    """Of the name where it is plain ASCII, else of the user id; one in ten has none."""
    if world.random.random() < 0.1:
        return ""
    local = ".".join(person.name.replace("'", "").split()) if person.name.isascii() else person.key
    return f"{local.lower()}@{domain}"


def _open_subscriptions(world: _World, office: _Office, density: float, months: float) -> None:
    """Who runs already when the program is first used; the others join later, or never."""
    rng = world.random
    joiners = 0.47 * min(1.0, density / 1.5)
    first = world.start.date()
    for person in office.people:
        draw = rng.random()
        if draw < 0.06 + joiners:
            continue  # inactive
        if draw > 0.98:
            expires_on = first - timedelta(days=rng.randint(30, 400))
            person.stopped = True
        else:
            expires_on = first + timedelta(days=rng.randint(0, int(months * 30) + 5))
        if rng.random() < 0.15:
            expires_on = terms.add_months(expires_on, 0, 31)
        activated_on = expires_on - timedelta(days=rng.randint(30, 900))
        person.opening = person.dates = Dates(activated_on, expires_on, expires_on.day)


def _queue_people(world: _World) -> None:
    """Those who run wait for their renewal; of the inactive, groups of one department join over the years."""
    rng = world.random
    span = world.end - world.start
    size = max(2.0, world.lines_an_order * 1.5)
    for office in world.offices:
        groups: dict[tuple[str, bool], list[_Person]] = {}
        for person in office.people:
            if person.dates.expires_on is not None:
                _queue(world, office, person)
            elif rng.random() < 0.88:
                groups.setdefault((person.part, person.additional), []).append(person)
        for group in groups.values():
            while group:
                taken = [group.pop() for _ in range(min(len(group), 1 + int(rng.expovariate(1 / size))))]
                joins = world.start + span * (0.97 * rng.random() ** 1.2)
                heappush(office.joining, (joins, world.tick(), taken))


def _plan_leaving(world: _World) -> None:
    """One in ten stops renewing in the later half of the history, and one in thirty is removed."""
    rng = world.random
    span = world.end - world.start
    for office in world.offices:
        for person in office.people:
            draw = rng.random()
            if draw < 0.13:
                step = partial(_leave, world, office, person, remove=draw < 0.033)
                world.later(world.start + world.within(span, 0.5, 0.995), None, step)


def _leave(world: _World, office: _Office, person: _Person, at: datetime, *, remove: bool) -> None:
    if not remove:
        person.stopped = True
    elif person.held:
        # Whoever is in an open order cannot be removed.
        world.later(at + _DAY, None, partial(_leave, world, office, person, remove=True))
    else:
        person.stopped = True
        person.removed_on = office.today(at)
        removed_on = person.removed_on.isoformat()
        world.record(
            at,
            world.manager,
            "import",
            None,
            subject=person.key,
            before={"removed_on": None},
            after={"removed_on": removed_on},
        )
        _record_file(world, at, "users", f"removed-{removed_on}.csv", 1, added=0, changed=1)


def _queue(world: _World, office: _Office, person: _Person) -> None:
    """Let the person wait for the next renewal."""
    if person.dates.expires_on is not None:
        heappush(office.renewing[person.additional], (person.dates.expires_on, world.tick(), person))


# Imported history


def _import_history(world: _World, count: int) -> int:
    """Closed orders of the time before, as an import leaves them: they moved nothing, and some do not say for whom."""
    if not count:
        return 0
    rng = world.random
    at = world.start - _DAY + timedelta(minutes=5)
    times = sorted(rng.randint(2 * 86400, 400 * 86400) for _ in range(count))
    seconds = _Seconds()
    for ago in reversed(times):
        office = rng.choice(world.offices)
        created_at = world.start - timedelta(seconds=ago)
        members = [each for each in rng.sample(office.people, min(3, len(office.people))) if each.dates.activated_on]
        additional = bool(members) and members[0].additional
        members = [each for each in members if each.additional == additional]
        kind = OrderType.ADDITIONAL_APP if additional else OrderType.SUBSCRIPTION
        if not additional and rng.random() < 0.1:
            kind = OrderType.ACTIVATION
        status = rng.choices(
            (OrderStatus.SUCCEED, OrderStatus.FAILED, OrderStatus.TIME_OUT, OrderStatus.CANCEL), (85, 5, 5, 5)
        )[0]
        months, until = None, None
        if kind is not OrderType.ACTIVATION:
            months = rng.choice(_MONTHS[2])
            if office.kind is OfficeKind.COMMUNITY and rng.random() < 0.1:
                months, until = None, _month_end(office.today(created_at), 2)
        month, rate = CURRENCIES[office.currency]
        heads = len(members) or rng.randint(1, 9)
        net = month * heads * (months or 2)
        paid_at = created_at + world.within(_DAY, 0.002, 0.9) if status is OrderStatus.SUCCEED else None
        world.order += 1
        order = _Order(
            pk=world.order,
            number=seconds.number(created_at),
            office=office,
            type=kind,
            status=status,
            since=paid_at or created_at,
            apartments=_apartments(members) if members else heads,
            totals=None,
            net=None,
            tax=None,
            total=net + round_half_up(net * rate, PPM),
            term=None,
            months=months,
            until=until,
            created_at=created_at,
            created_by=world.manager,
            # The older ones do not say for whom they were.
            lines=[_Line(person, None, None, None, None) for person in members] if rng.random() < 0.7 else [],
            pay_by=None,
            paid_at=paid_at,
            imported_at=at,
            history=True,
        )
        world.orders.append(order)
        if rng.random() < 0.02:
            world.later(world.start + world.within(30 * _DAY, 0, 1), order, partial(_delete, world, order))
    _record_file(world, at, "orders", "orders.csv", count)
    return count


class _Seconds:
    """Order numbers: the UTC second, and six digits that count the orders of that second."""

    def __init__(self) -> None:
        self.second = ""
        self.count = 0

    def number(self, at: datetime) -> str:
        second = at.strftime("%Y%m%d%H%M%S")
        self.count = self.count + 1 if second == self.second else 0
        self.second = second
        return f"{second}{self.count:06d}"


def _month_end(day: date, months: int) -> date:
    return terms.add_months(day, months, 31)


def _apartments(people: Sequence[_Person]) -> int:
    """As orders.apartments: distinct building and apartment, a person without one counts as one."""
    shared = {(person.part, person.apartment) for person in people if person.apartment}
    return len(shared) + sum(1 for person in people if not person.apartment)


# Slots: when an order is made, where, and what is meant to become of it

Fate = Callable[["_World", "_Order"], None]


@dataclass(frozen=True, slots=True)
class _Slot:
    at: datetime
    office: _Office
    fate: Fate | None = None  # None: as it comes


def _add_orders(world: _World, count: int) -> None:
    slots = _special_slots(world)[: count // 4]
    slots += _usual_slots(world, count - len(slots))
    slots.sort(key=lambda slot: slot.at)
    seconds = _Seconds()
    for index, slot in enumerate(slots, 1):
        world.pass_time(slot.at)
        order = _next_order(world, slot, seconds)
        if order is not None and order.status is OrderStatus.PROCESSING:
            (slot.fate or world.random.choices(_FATES, _FATE_WEIGHTS)[0])(world, order)
        if index % _FLUSH == 0:
            _flush(world)
    world.pass_time(world.end)


def _usual_slots(world: _World, count: int) -> list[_Slot]:
    """Evenly over the years, more of them as the people become more; on working days by day, in the office's zone."""
    rng = world.random
    days = (world.end - world.start).days
    sizes = [len(office.people) for office in world.offices]
    offices = rng.choices(world.offices, sizes, k=count)
    begin, slots = 0.5, []
    area = begin + (1 - begin) / 2
    for index, office in enumerate(offices):
        part = (index + rng.random()) / count
        place = (math.sqrt(begin**2 + 2 * (1 - begin) * part * area) - begin) / (1 - begin)
        day = world.start + timedelta(days=int(place * days))
        if day.weekday() >= 5 and rng.random() < 0.75:
            day -= 2 * _DAY
        second = int(rng.triangular(7.5, 19.5, 11) * 3600)
        at = datetime(day.year, day.month, day.day, second // 3600, second // 60 % 60, second % 60, tzinfo=office.zone)
        at = at.astimezone(UTC)
        while at > world.end:
            at -= _DAY
        slots.append(_Slot(max(at, world.start), office))
    return slots


def _special_slots(world: _World) -> list[_Slot]:
    """What a look at today has to show, whatever chance brings: work that waits, in every kind of waiting."""
    rng, orders = world.random, world.settings.orders
    total = world.end - world.start
    offices = sum(len(office.people) for office in world.offices)

    def some(per: int, least: int, most: int) -> int:
        # People decide, not orders: each of these holds someone.
        return max(min(least, offices // 20), min(most, offices // per))

    def ago(span: timedelta) -> datetime:
        return world.end - min(span, total / 2)

    def place(at: datetime, fate: Fate) -> None:
        office = rng.choices(world.offices, [len(office.people) for office in world.offices])[0]
        slots.append(_Slot(at.replace(microsecond=0), office, fate))

    slots: list[_Slot] = []
    window = min(orders.pay_within, _OPEN_HOURS * _HOUR)
    count = some(80, 6, 40)
    for index in range(count):
        place(world.end - world.within(window, index / count, (index + 0.99) / count), _stay_open)
    if orders.bank_within >= (_OPEN_HOURS + 24) * _HOUR:
        count = some(200, 4, 16)
        for index in range(count):
            ahead = world.within(_OPEN_HOURS * _HOUR, index / count, (index + 0.99) / count)
            place(ago(orders.bank_within - ahead), _wait_for_bank)
    for _ in range(some(400, 2, 8)):
        place(ago(world.within(_DAY, 0.1, 1.3)), _stay_unknown)
    for _ in range(some(800, 1, 4)):
        place(ago(world.within(_DAY, 0.1, 0.5)), _stay_imported)
    for _ in range(some(250, 3, 12)):
        place(ago(world.within(45 * _DAY, 0.1, 1)), _leave_unapplied)
    for _ in range(some(200, 2, 16)):
        place(ago(world.within(25 * _DAY, 0.1, 1)), partial(_fail_to_pay, again=False))
    rng.shuffle(slots)  # a small demo takes only the first
    return slots


# Making an order


def _next_order(world: _World, slot: _Slot, seconds: _Seconds) -> _Order | None:
    """What the office orders now: again what did not work, an activation, or a renewal."""
    at, office = slot.at, slot.office
    few = slot.fate is not None
    while office.again and office.again[0][0] <= at and not few:
        _, earlier = office.again.popleft()
        order = _order_again(world, office, at, earlier, seconds)
        if order is not None:
            return order
    if office.joining and office.joining[0][0] <= at and world.random.random() < 0.6:
        return _order_activation(world, office, at, seconds)
    renewing = _due_office(world, office, at)
    if renewing is not None:
        return _order_renewal(world, *renewing, at, seconds, few=few)
    joining = [each for each in [office, *world.offices] if each.joining]
    return _order_activation(world, joining[0], at, seconds) if joining else None


def _order_again(world: _World, office: _Office, at: datetime, earlier: _Order, seconds: _Seconds) -> _Order | None:
    """As orders.again: for the same people, of whom some may have gone or been renewed meanwhile."""
    term = earlier.term
    today = office.today(at)
    if term is None or (isinstance(term, Until) and term.day <= today + 3 * _DAY):
        return None
    people = [
        line.person
        for line in earlier.lines
        if not line.person.held
        and not line.person.stopped
        and terms.objection(line.person.dates, term, today, line.person.removed_on) is None
    ]
    if not people:
        return None
    order = _order(world, office, at, people, term, seconds, made_from=earlier)
    world.record(at, order.created_by, Trigger.AGAIN, earlier, after={"made": order.number})
    return order


def _order_activation(world: _World, office: _Office, at: datetime, seconds: _Seconds) -> _Order | None:
    _, _, people = heappop(office.joining)
    people = [each for each in people if not each.held and not each.stopped and each.dates.expires_on is None]
    if not people:
        return None
    return _order(world, office, at, people, FirstTerm(world.settings.orders.first_term_months), seconds)


def _top(heap: list[tuple[date, int, _Person]]) -> date | None:
    """The next expiry of a pool; who was renewed or left meanwhile drops out of it here."""
    while heap:
        expires_on, _, person = heap[0]
        if person.stopped or person.held or person.dates.expires_on != expires_on:
            heappop(heap)
        else:
            return expires_on
    return None


def _due_office(world: _World, office: _Office, at: datetime) -> tuple[_Office, bool, date] | None:
    """The office, pool and expiry of whoever is next; another office's, where nobody is due in this one."""

    def next_of(each: _Office) -> tuple[date, bool] | None:
        tops = [(top, pool) for pool in (False, True) if (top := _top(each.renewing[pool])) is not None]
        return min(tops, default=None)

    found = next_of(office)
    soon = office.today(at) + timedelta(days=20)
    if found is not None and found[0] <= soon:
        return office, found[1], found[0]
    best = None if found is None else (office, found[1], found[0])
    count = len(world.offices)
    begin = world.random.randrange(count)
    for step in range(count):
        each = world.offices[(begin + step) % count]
        other = next_of(each)
        if other is not None and (best is None or other[0] < best[2]):
            best = (each, other[1], other[0])
            if other[0] <= soon:
                break
    return best


def _order_renewal(
    world: _World, office: _Office, additional: bool, first: date, at: datetime, seconds: _Seconds, *, few: bool
) -> _Order:
    """Renew whoever expires first, and others who expire soon.

    The more people are behind, the more of them are taken and for the longer: so that expiry dates neither run ahead of
    the calendar nor fall behind it.
    """
    rng = world.random
    today = office.today(at)
    behind = (today - first).days
    wanted = world.lines_an_order * 2 ** (min(max(behind + 6, -14), 28) / 10)
    count = min(1 + int(rng.expovariate(1 / max(wanted - 0.6, 0.1))), 60)
    if few or behind < -20:
        count = min(count, 3)
    if behind < -20:
        count = 1
    heap = office.renewing[additional]
    people: list[_Person] = []
    latest = max(first, today + timedelta(days=_EARLY))
    while len(people) < count and (top := _top(heap)) is not None and top <= latest:
        person = heappop(heap)[2]
        person.held = True  # the heap may have the person twice
        people.append(person)
    level = world.level + (behind > 6) + (behind > 14) - (behind < -10) - (behind < -16)
    term: Term = Months(rng.choice(_MONTHS[min(max(level, 0), len(_MONTHS) - 1)]))
    if office.kind is OfficeKind.COMMUNITY and not few and rng.random() < 0.15:
        last = max([today, *(each.dates.expires_on for each in people if each.dates.expires_on)])
        ahead = rng.choice((0, 0, 0, 1, 2, 5)) if level > 0 else 0
        term = Until(_month_end(last + 10 * _DAY, ahead))
    return _order(world, office, at, people, term, seconds)


def _order(
    world: _World,
    office: _Office,
    at: datetime,
    people: list[_Person],
    term: Term,
    seconds: _Seconds,
    *,
    made_from: _Order | None = None,
) -> _Order:
    """As orders._create: prices and tax are frozen, `pay_by` is set, the people are claimed."""
    orders = world.settings.orders
    today = office.today(at)
    people.sort(key=lambda each: (each.name_folded, each.pk))
    lines = []
    for person in people:
        price = office.price(person.service, term.action, today)
        days = terms.days_to(person.dates, term.day, today, orders.lapsed) if isinstance(term, Until) else None
        count = days if days is not None else term.months if isinstance(term, Months) else 1
        lines.append(_Line(person, term.action, days, price.amount * count, price.tax_rate_ppm))
        person.held = True
    sums = totals((line.amount or 0, line.rate or 0) for line in lines)
    kind = OrderType.ACTIVATION if isinstance(term, FirstTerm) else OrderType.SUBSCRIPTION
    world.order += 1
    order = _Order(
        pk=world.order,
        number=seconds.number(at),
        office=office,
        type=OrderType.ADDITIONAL_APP if people[0].additional else kind,
        status=OrderStatus.PROCESSING,
        since=at,
        apartments=_apartments(people),
        totals=sums,
        net=sums.net,
        tax=sums.tax,
        total=sums.total,
        term=term,
        months=term.months if isinstance(term, Months) else None,
        until=term.day if isinstance(term, Until) else None,
        created_at=at,
        created_by=world.someone(),
        lines=lines,
        pay_by=at + orders.pay_within,
        made_from=None if made_from is None else made_from.pk,
    )
    world.orders.append(order)
    after = {
        "status": order.status.value,
        "lines": len(lines),
        "total": _money(order, order.total),
        "pay_by": _text(order.pay_by),
    }
    if made_from is not None:
        after["made_from"] = made_from.number
    world.record(at, order.created_by, "create", order, after=after)
    if order.total == 0:
        _settle(world, order, at, Trigger.PAY, order.created_by, None)
    return order


def _money(order: _Order, amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": order.office.currency}


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant_text(instant)


# Fates: what is to become of an order, as steps at later moments


def _plan(world: _World, order: _Order, steps: Sequence[tuple[datetime, Callable[[datetime], None]]]) -> None:
    """Have all the steps done; none of them where the data ends before the last, for a link would be left open."""
    if steps[-1][0] <= world.end:
        for at, step in steps:
            world.later(at, order, step)
    else:
        _time_out_in_time(world, order)


def _time_out_in_time(world: _World, order: _Order) -> None:
    """The next look at the lists after `pay_by` times it out; what is due when the data ends, right then."""
    assert order.pay_by is not None  # noqa: S101 - for the type: it is open
    if order.pay_by <= world.end:
        at = min(order.pay_by + world.within(_HOUR * 3, 0, 1), world.end)
        world.later(at, order, partial(_time_out, world, order, again=True))


def _pay_by_hand(world: _World, order: _Order) -> None:
    at = order.created_at + world.within(world.window, 0.002, 0.9 if world.random.random() < 0.3 else 0.1)
    _plan(world, order, [(at, partial(_pay, world, order, world.someone(order.created_by)))])


def _pay_by_card(world: _World, order: _Order) -> None:
    at = order.created_at + world.within(world.window, 0.0002, 0.02)
    paid = at + world.within(world.window, 0.0005, 0.02)
    _plan(
        world,
        order,
        [(at, partial(_open_link, world, order)), (paid, partial(_pay, world, order, order.created_by))],
    )


def _pay_by_bank(world: _World, order: _Order) -> None:
    if order.until is not None:
        _pay_by_hand(world, order)  # the money would come after the day that was chosen
        return
    at = order.created_at + world.within(world.window, 0.001, 0.2)
    orders = world.settings.orders
    time = max(orders.bank_within, orders.pay_within) - (at - order.created_at)
    world.later(at, order, partial(_choose_bank, world, order))
    world.later(at + world.within(time, 0.07, 0.7), order, partial(_pay, world, order, world.someone(order.created_by)))


def _fail_to_pay(world: _World, order: _Order, *, again: bool = True) -> None:
    at = order.created_at + world.within(world.window, 0.0002, 0.05)
    under_way = at + world.within(world.window, 0.0005, 0.01)
    failed = under_way + world.within(world.window, 0.0005, 0.2)
    _plan(
        world,
        order,
        [
            (at, partial(_open_link, world, order)),
            (under_way, partial(_go_under_way, world, order, PaymentState.PENDING)),
            (failed, partial(_fail, world, order, again=again and world.random.random() < 0.5)),
        ],
    )


def _fail_then_pay(world: _World, order: _Order) -> None:
    at = order.created_at + world.within(world.window, 0.0002, 0.05)
    under_way = at + world.within(world.window, 0.0005, 0.01)
    failed = under_way + world.within(world.window, 0.0005, 0.1)
    paid = failed + world.within(world.window, 0.01, 0.5)
    _plan(
        world,
        order,
        [
            (at, partial(_open_link, world, order)),
            (under_way, partial(_go_under_way, world, order, PaymentState.PENDING)),
            # Nobody else takes the people meanwhile: they are let go by the payment.
            (failed, partial(_fail, world, order, again=False, keep=True)),
            (paid, partial(_pay, world, order, order.created_by)),
        ],
    )


def _fail_then_cancel(world: _World, order: _Order) -> None:
    _fail_to_pay(world, order, again=False)
    at = order.created_at + world.window + world.within(3 * _DAY, 0.1, 1)
    if order.pending:
        world.later(at, order, partial(_cancel, world, order, again=False))


def _confirm_unknown(world: _World, order: _Order) -> None:
    at = order.created_at + world.within(world.window, 0.0002, 0.05)
    under_way = at + world.within(world.window, 0.0005, 0.01)
    confirmed = under_way + world.within(_DAY, 0.1, 0.9)
    admin = world.someone()
    _plan(
        world,
        order,
        [
            (at, partial(_open_link, world, order)),
            (under_way, partial(_go_under_way, world, order, PaymentState.UNKNOWN)),
            (confirmed, partial(_pay, world, order, admin, trigger=Trigger.CONFIRM)),
        ],
    )


def _let_time_out(world: _World, order: _Order) -> None:
    draw = world.random.random()
    if draw < 0.15 and order.until is None:
        _wait_for_bank(world, order)
        return
    assert order.pay_by is not None  # noqa: S101 - for the type: it is open
    if draw < 0.4 and order.pay_by <= world.end:
        at = order.created_at + world.within(world.window, 0.0002, 0.3)
        world.later(at, order, partial(_open_link, world, order))
    _time_out_in_time(world, order)


def _wait_for_bank(world: _World, order: _Order) -> None:
    orders = world.settings.orders
    at = order.created_at + world.within(world.window, 0.001, 0.2)
    pay_by = order.created_at + max(orders.bank_within, orders.pay_within)
    if at > world.end:
        _time_out_in_time(world, order)
        return
    world.later(at, order, partial(_choose_bank, world, order))
    if pay_by <= world.end:
        late = min(pay_by + world.within(_HOUR * 3, 0, 1), world.end)
        world.later(late, order, partial(_time_out, world, order, again=True))


def _call_off(world: _World, order: _Order) -> None:
    at = order.created_at + world.within(world.window, 0.002, 0.9)
    _plan(world, order, [(at, partial(_cancel, world, order, again=True))])


def _hide_unpaid(world: _World, order: _Order) -> None:
    at = order.created_at + world.within(world.window, 0.002, 0.9)
    _plan(world, order, [(at, partial(_delete, world, order))])


def _pay_late(world: _World, order: _Order) -> None:
    """It times out, and the money comes after all; until then nobody else orders for its people."""
    if order.months is None:
        _pay_by_hand(world, order)
        return
    assert order.pay_by is not None  # noqa: S101 - for the type: it is open
    at = order.pay_by + world.within(_HOUR * 3, 0, 1)
    paid = at + world.within(6 * _DAY, 0.02, 1)
    admin = world.someone()
    _plan(
        world,
        order,
        [
            (at, partial(_time_out, world, order, again=False, keep=True)),
            (paid, partial(_pay, world, order, admin, trigger=Trigger.CONFIRM, late=True)),
        ],
    )


def _apply_waiting(world: _World, order: _Order) -> None:
    """Cancelled, then the money comes: recorded first, applied when someone has seen it."""
    if order.months is None:
        _pay_by_hand(world, order)
        return
    at = order.created_at + world.within(world.window, 0.01, 0.9)
    recorded = at + world.within(4 * _DAY, 0.05, 1)
    applied = recorded + world.within(2 * _DAY, 0.02, 1)
    _plan(
        world,
        order,
        [
            (at, partial(_cancel, world, order, again=False, keep=True)),
            (recorded, partial(_record_money, world, order)),
            (applied, partial(_apply, world, order)),
        ],
    )


# Of the special slots


def _stay_open(world: _World, order: _Order) -> None:
    """Nothing happens before the data ends."""


def _stay_unknown(world: _World, order: _Order) -> None:
    at = order.created_at + world.within(world.window, 0.0002, 0.02)
    under_way = at + world.within(world.window, 0.0005, 0.01)
    world.later(at, order, partial(_open_link, world, order))
    world.later(under_way, order, partial(_go_under_way, world, order, PaymentState.UNKNOWN))


def _stay_imported(world: _World, order: _Order) -> None:
    """Turn it into one that was imported while its money was under way: there is no provider to ask."""
    if order.until is not None:
        return
    at = order.created_at
    pay_by = at + world.settings.orders.pay_within
    amounts, tax = share_gross(order.total, [line.rate or 0 for line in order.lines])
    for line, amount in zip(order.lines, amounts, strict=True):
        line.amount = amount
    order.net, order.tax = order.total - tax, tax
    order.status, order.imported_at, order.created_by = OrderStatus.SYSTEM_PROCESSING, at, world.manager
    world.events.pop()  # of its making: it was made elsewhere
    world.record(
        at,
        world.manager,
        "import",
        order,
        after={
            "status": order.status.value,
            "lines": len(order.lines),
            "total": _money(order, order.total),
            "pay_by": _text(pay_by),
        },
    )
    _record_file(world, at, "orders", f"open-{at.date().isoformat()}.csv", 1)


def _leave_unapplied(world: _World, order: _Order) -> None:
    """Money came for what was closed, and nobody has dealt with it yet."""
    assert order.pay_by is not None  # noqa: S101 - for the type: it is open
    if world.random.random() < 0.5:
        at = order.created_at + world.within(world.window, 0.01, 0.9)
        world.later(at, order, partial(_cancel, world, order, again=False))
    else:
        at = order.pay_by + world.within(_HOUR, 0, 1)
        world.later(at, order, partial(_time_out, world, order, again=False))
    world.later(at + world.within(2 * _DAY, 0.05, 1), order, partial(_record_money, world, order))


_FATE_SHARES: Final[dict[Fate, float]] = {
    _pay_by_hand: 26,
    _pay_by_card: 36,
    _pay_by_bank: 15.5,
    _fail_then_pay: 1,
    _confirm_unknown: 1.2,
    _pay_late: 1,
    _apply_waiting: 0.4,
    _fail_to_pay: 5.6,
    _fail_then_cancel: 0.5,
    _let_time_out: 6.2,
    _call_off: 5.6,
    _hide_unpaid: 0.4,
}
_FATES: Final = list(_FATE_SHARES)
_FATE_WEIGHTS: Final = list(_FATE_SHARES.values())


# Steps: what happens to an order, at `at`; each leaves the rows and the event that the program leaves


def _move(order: _Order, status: OrderStatus, at: datetime) -> str:
    """Set the status and return the one before."""
    before = order.status
    order.status, order.since = status, at
    order.version += 1
    return before.value


def _open_link(world: _World, order: _Order, at: datetime) -> None:
    """The hosted checkout of the card provider."""
    order.attempts += 1
    order.payment = _Payment(
        order=order,
        provider=ProviderName.STRIPE,
        state=PaymentState.SENT,
        key=f"smartsub-{order.number}-{order.attempts}",
        reference=None,
        amount=order.total,
        link=f"https://pay.example.com/c/{order.number}-{order.attempts}",
        expires_at=min(at + _DAY, order.pay_by) if order.pay_by is not None else at + _DAY,
        created_at=at,
        changed_at=at,
        created_by=order.created_by,
    )
    world.payments.append(order.payment)
    after = {"provider": ProviderName.STRIPE.value, "amount": _money(order, order.total)}
    world.record(at, order.created_by, "link", order, after=after)


def _go_under_way(world: _World, order: _Order, state: PaymentState, at: datetime) -> None:
    """The provider says that money is under way, or its answer is missing."""
    assert order.payment is not None  # noqa: S101 - for the type: its link was opened
    order.payment.state, order.payment.changed_at = state, at
    before = _move(order, OrderStatus.SYSTEM_PROCESSING, at)
    world.record(
        at, order.created_by, "under_way", order, before={"status": before}, after={"status": order.status.value}
    )


def _receive(world: _World, order: _Order, at: datetime, admin: str, amount: int) -> _Payment:
    """As payments._received: a live payment is that money, else it is a row of its own."""
    rng = world.random
    live = order.payment
    if live is not None and live.state.is_live and live.amount == amount:
        live.state, live.changed_at, live.reference = PaymentState.SUCCEEDED, at, f"pi_{rng.getrandbits(96):024x}"
        return live
    order.attempts += 1
    bank = order.bank_chosen_at is not None
    order.payment = _Payment(
        order=order,
        provider=ProviderName.BANK if bank else ProviderName.MANUAL,
        state=PaymentState.SUCCEEDED,
        key=f"smartsub-{order.number}-{order.attempts}",
        reference=_reference(rng, bank=bank, at=at),
        amount=amount,
        link=None,
        expires_at=None,
        created_at=at,
        changed_at=at,
        created_by=admin,
    )
    world.payments.append(order.payment)
    return order.payment


def _reference(rng: random.Random, *, bank: bool, at: datetime) -> str:
    number = rng.randrange(1_000_000)
    if bank:
        return f"transfer {at:%d.%m.} RF{10 + number % 90} {number:06d}"
    return rng.choice(("receipt {}", "cash, front desk, {}", "cheque {}", "Quittung {}", "領収書 {}")).format(
        f"{number:06d}"
    )


def _pay(
    world: _World,
    order: _Order,
    admin: str,
    at: datetime,
    *,
    trigger: Trigger = Trigger.PAY,
    late: bool = False,
) -> None:
    _settle(world, order, at, trigger, admin, _receive(world, order, at, admin, order.total), late=late)


def _apply(world: _World, order: _Order, at: datetime) -> None:
    _settle(world, order, at, Trigger.APPLY, world.someone(), order.payment, late=True)


def _settle(
    world: _World,
    order: _Order,
    at: datetime,
    trigger: Trigger,
    admin: str,
    payment: _Payment | None,
    *,
    late: bool = False,
) -> None:
    """As payments._settle: every line is extended once, the invoice issued, the people are free."""
    office, term = order.office, order.term
    assert term is not None and order.totals is not None  # noqa: S101, PT018 - for the type: not history
    lapsed = world.settings.orders.lapsed
    today = office.today(at)
    before = _move(order, OrderStatus.SUCCEED, at)
    order.paid_at, order.late = at, late
    if payment is not None:
        payment.applied, payment.changed_at = True, at
    shown = []
    for line in order.lines:
        person = line.person
        line.previous = person.dates.expires_on
        person.dates = terms.extend(person.dates, term, today, lapsed)
        line.new, line.applied_on = person.dates.expires_on, today
        person.held = False
        _queue(world, office, person)
        shown.append(
            invoices.snapshot_line(
                user_id=person.key,
                label=person.name,
                department=person.part,
                apartment=person.apartment,
                service=person.service,
                action=term.action,
                amount=line.amount or 0,
                tax_rate_ppm=line.rate or 0,
                previous_expiry=line.previous,
                new_expiry=line.new,
            )
        )
    seller, series = world.settings.seller, world.settings.invoice.series
    day = at.astimezone(ZoneInfo(seller.timezone)).date()
    sequence = world.counters[day.year] = world.counters.get(day.year, 0) + 1
    number = f"{series}-{day.year}-{sequence:06d}"
    document = invoices.snapshot(
        seller=seller,
        office=office.name,
        kind=office.kind,
        number=order.number,
        type=order.type,
        created_at=order.created_at,
        paid_at=at,
        months=order.months,
        until=order.until,
        first_term_months=term.months if isinstance(term, FirstTerm) else None,
        payment=None if payment is None else {"provider": payment.provider.value, "reference": payment.reference},
        currency=office.currency,
        lines=shown,
        by_rate=order.totals.by_rate,
        net=order.totals.net,
        tax=order.totals.tax,
        total=order.total,
    )
    money = (office.currency, order.net, order.tax, order.total)
    world.invoices.append(
        (
            order.pk,
            (
                order.pk,
                InvoiceKind.INVOICE,
                number,
                series,
                day.year,
                sequence,
                to_microseconds(at),
                _iso(day),
                *money,
                document,
            ),
        )
    )
    after = {"status": order.status.value, "amount": _money(order, order.total)}
    if payment is not None:
        after["reference"] = payment.reference
    after["invoice"], after["late"] = number, late
    world.record(at, admin, trigger, order, before={"status": before}, after=after)
    if world.random.random() < 0.004:
        _hide_later(world, order, at)


def _let_go(world: _World, order: _Order, at: datetime, *, again: bool, keep: bool) -> None:
    """The order is closed unpaid: its people are free, unless money for it is still to come."""
    if keep:
        return
    office = order.office
    inactive = []
    for line in order.lines:
        line.person.held = False
        if line.person.dates.expires_on is None:
            inactive.append(line.person)
        else:
            _queue(world, office, line.person)
    if inactive:
        heappush(office.joining, (at + world.within(10 * _DAY, 0.1, 1), world.tick(), inactive))
    if again:
        office.again.append((at + world.within(2 * _DAY, 0.005, 1), order))
    elif world.random.random() < 0.02:
        _hide_later(world, order, at)


def _hide_later(world: _World, order: _Order, at: datetime) -> None:
    world.later(at + world.within(9 * _DAY, 0.1, 1), order, partial(_delete, world, order))


def _fail(world: _World, order: _Order, at: datetime, *, again: bool, keep: bool = False) -> None:
    if order.payment is not None:
        order.payment.state, order.payment.changed_at = PaymentState.DECLINED, at
    before = _move(order, OrderStatus.FAILED, at)
    _let_go(world, order, at, again=again, keep=keep)
    reason = world.random.choice(FAIL_REASONS)
    _record_move(world, order, at, world.someone(order.created_by), Trigger.FAIL, before, reason)


def _time_out(world: _World, order: _Order, at: datetime, *, again: bool, keep: bool = False) -> None:
    if order.payment is not None and order.payment.state.is_live:
        order.payment.state, order.payment.changed_at = PaymentState.EXPIRED, at
    before = _move(order, OrderStatus.TIME_OUT, at)
    _let_go(world, order, at, again=again and world.random.random() < 0.5, keep=keep)
    _record_move(world, order, at, world.someone(), Trigger.TIME_OUT, before)


def _cancel(world: _World, order: _Order, at: datetime, *, again: bool, keep: bool = False) -> None:
    released = order.status is OrderStatus.FAILED
    before = _move(order, OrderStatus.CANCEL, at)
    if not released:
        _let_go(world, order, at, again=again and world.random.random() < 0.3, keep=keep)
    reason = world.random.choice(CANCEL_REASONS)
    _record_move(world, order, at, world.manager, Trigger.CANCEL, before, reason)


def _record_move(
    world: _World, order: _Order, at: datetime, admin: str, trigger: Trigger, before: str, reason: str | None = None
) -> None:
    after = {"status": order.status.value}
    world.record(at, admin, trigger, order, before={"status": before}, after=after, reason=reason)


def _choose_bank(world: _World, order: _Order, at: datetime) -> None:
    before = order.pay_by
    assert before is not None  # noqa: S101 - for the type: it is open
    order.bank_chosen_at = at
    order.pay_by = max(order.created_at + world.settings.orders.bank_within, before)
    order.version += 1
    after = {"pay_by": _text(order.pay_by)}
    world.record(at, order.created_by, "bank", order, before={"pay_by": _text(before)}, after=after)


def _record_money(world: _World, order: _Order, at: datetime) -> None:
    """Money that cannot be applied: for a cancelled order, or for one that timed out and not as much as its total."""
    admin = world.someone()
    amount, why = order.total, f"it is {order.status.label}"
    if order.status is OrderStatus.TIME_OUT:
        amount = max(1, order.total // 2)
        came, total = Money(amount, order.office.currency), Money(order.total, order.office.currency)
        why = f"{came} came, the total is {total}"
    payment = _receive(world, order, at, admin, amount)
    order.version += 1
    after = {"amount": _money(order, amount), "reference": payment.reference, "recorded": why}
    world.record(at, admin, Trigger.CONFIRM, order, after=after)


def _delete(world: _World, order: _Order, at: datetime) -> None:
    """Hidden; what could still be paid is cancelled first."""
    before: dict[str, Any] = {"deleted": False}
    after: dict[str, Any] = {"deleted": True}
    if order.status is OrderStatus.PROCESSING:
        was = _move(order, OrderStatus.CANCEL, at)
        before, after = {"status": was, **before}, {"status": order.status.value, **after}
        _let_go(world, order, at, again=False, keep=False)
    else:
        order.version += 1
    if order.deleted_at is not None:
        return
    order.deleted_at = at
    reason = world.random.choice(DELETE_REASONS)
    world.record(at, world.manager, Trigger.DELETE, order, before=before, after=after, reason=reason)
    if world.random.random() < 0.15:
        world.later(at + world.within(2 * _DAY, 0.01, 1), order, partial(_restore, world, order))


def _restore(world: _World, order: _Order, at: datetime) -> None:
    order.deleted_at = None
    order.version += 1
    world.record(at, world.manager, Trigger.RESTORE, order, before={"deleted": True}, after={"deleted": False})


# Writing


def _insert(database: SqliteDatabase, model: type[Model], columns: str, rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows of stored values: instants as microseconds, dates as text.

    Most of the time of a demo would else go into values that the fields leave as they are.
    """
    fields = []
    for name in columns.split():
        plain = copy(getattr(model, name))
        plain.db_value = _same
        fields.append(plain)
    database.insert_rows(fields, rows)


def _same(value: Any) -> Any:
    return value


def _stored(dates: Dates) -> tuple[str | None, str | None, int | None]:
    return _iso(dates.activated_on), _iso(dates.expires_on), dates.anchor_day


def _micro(instant: datetime | None) -> int | None:
    return None if instant is None else to_microseconds(instant)


def _iso(day: date | None) -> str | None:
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
    " applied"
)
_INVOICE_COLUMNS: Final = "order kind number series year sequence issued_at issued_on currency net tax total snapshot"
_EVENT_COLUMNS: Final = "at admin source action order subject before after reason"


def _flush(world: _World) -> None:
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
    _insert(database, models.Order, _ORDER_COLUMNS, map(_order_row, done))
    lines = (
        (
            order.pk,
            line.person.pk,
            line.person.name,
            line.action,
            line.days,
            line.amount,
            line.rate,
            _iso(line.previous),
            _iso(line.new),
            _iso(line.applied_on),
            None if line.applied_on is None else lapsed,
        )
        for order in done
        for line in order.lines
    )
    _insert(database, models.OrderLine, _LINE_COLUMNS, lines)
    _insert(database, models.Payment, _PAYMENT_COLUMNS, map(_payment_row, payments))
    _insert(database, models.Invoice, _INVOICE_COLUMNS, _ready(world.invoices, limit))
    _insert(database, models.AuditEvent, _EVENT_COLUMNS, _ready(world.events, limit))


def _order_row(order: _Order) -> tuple[Any, ...]:
    return (
        order.pk,
        order.number,
        order.office.pk,
        order.type,
        order.status,
        to_microseconds(order.since),
        order.apartments,
        order.office.currency,
        order.net,
        order.tax,
        order.total,
        order.months,
        _iso(order.until),
        order.term.months if isinstance(order.term, FirstTerm) else None,
        to_microseconds(order.created_at),
        order.created_by,
        folded(order.created_by),
        _micro(order.pay_by),
        _micro(order.bank_chosen_at),
        _micro(order.paid_at),
        order.late,
        order.history,
        _micro(order.imported_at),
        order.made_from,
        _micro(order.deleted_at),
        order.version,
    )


def _payment_row(payment: _Payment) -> tuple[Any, ...]:
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
    )


def _ready(rows: deque[tuple[int, tuple[Any, ...]]], limit: int) -> Iterator[tuple[Any, ...]]:
    """Take off the first rows, as far as they belong to orders before `limit`."""
    while rows and rows[0][0] < limit:
        yield rows.popleft()[1]


def _finish(world: _World) -> None:
    """Write the rest, and what only the end of time shows: dates, removals, claims and counters."""
    for order in world.orders:
        order.pending = 0
    _flush(world)
    database, subscription, claim, counter = world.database, models.Subscription, models.Claim, models.Counter
    people = [person for office in world.offices for person in office.people]
    database.update_rows(
        [subscription.activated_on, subscription.expires_on, subscription.anchor_day, subscription.id],
        ((*_stored(each.dates), each.pk) for each in people if each.dates != each.opening),
    )
    database.update_rows(
        [models.User.removed_on, models.User.id],
        ((each.removed_on, each.pk) for each in people if each.removed_on is not None),
    )
    held = ((line.person.pk, order.pk) for order in world.still_open for line in order.lines)
    database.insert_rows([claim.subscription, claim.order], held)
    given = ((world.settings.invoice.series, year, last) for year, last in world.counters.items())
    database.insert_rows([counter.series, counter.year, counter.last], given)
