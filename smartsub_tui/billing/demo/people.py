"""Who is there when the simulation begins: admins, prices, offices and their people, of many scripts."""

from __future__ import annotations

import math
import re
from calendar import isleap
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import partial
from heapq import heappush
from itertools import accumulate, pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from smartsub_tui.billing import terms
from smartsub_tui.billing.demo.world import DAY, Office, Person, World, insert, queue, stored
from smartsub_tui.billing.pricing import load_prices
from smartsub_tui.billing.terms import Dates
from smartsub_tui.data import models
from smartsub_tui.data.demo_names import CULTURES, CURRENCIES, PLACES, Culture, Place
from smartsub_tui.data.text import folded
from smartsub_tui.data.vocabulary import LineAction, OfficeKind, Role, Service, UserKind

_SERVICE_PRICE: Final = {Service.APP: 1, Service.PM_APP: 3, Service.ADDITIONAL_APP: 0.4}


def add_admins(manager: str, start: datetime) -> str:
    """The given admin as manager, and one of each other role; the operator's name."""
    free = [name for name in ("bob", "carol", "dave", "erin") if name != manager]
    for name, role in zip([manager, *free], (Role.MANAGER, Role.OPERATOR, Role.VIEWER, Role.AUDITOR), strict=False):
        # Whoever made the database may be in it already, since today.
        models.Admin.insert(name=name, role=role, created_at=start - DAY).on_conflict(
            conflict_target=[models.Admin.name],
            update={models.Admin.role: role, models.Admin.created_at: start - DAY},
        ).execute()
    return free[0]


def add_prices(world: World) -> None:
    """Two price lists of every currency, the second from the middle of the history on, and rows of one kind's own."""
    first = date(world.start.year - 2, 1, 1)
    second = (world.start + (world.end - world.start) * 0.55).date().replace(day=1)
    listed: list[tuple[Any, ...]] = []
    for currency, (month, rate) in CURRENCIES.items():
        for day, dearer in ((first, 1.0), (second, 1.12)):
            for service, factor in _SERVICE_PRICE.items():
                amount = month * factor * dearer
                # Two rates in one order: the rupee's managers' app is taxed less than the users'.
                own = 120_000 if (currency, service) == ("INR", Service.PM_APP) else rate
                # The manager's activation is free here and there: an order of managers alone costs nothing then.
                first_term = 0 if service is Service.PM_APP and currency in ("EUR", "GBP", "USD") else amount * 5
                for action, price in (
                    (LineAction.ACTIVATION, first_term),
                    (LineAction.MONTH, amount),
                    (LineAction.DAY, math.ceil(amount / 30)),
                ):
                    listed.append((service, action, round(price), currency, None, own, day.isoformat()))
    for currency, kind, factor, day in (
        # Holds for communities to this day, though the general row is newer: the own kind comes first.
        ("EUR", OfficeKind.COMMUNITY, 0.9, first),
        ("USD", OfficeKind.OFFICE, 1.2, second),
    ):
        month, rate = CURRENCIES[currency]
        listed.append((Service.APP, LineAction.MONTH, round(month * factor), currency, kind, rate, day.isoformat()))
    columns = "service action amount currency office_kind tax_rate_ppm valid_from"
    insert(world.database, models.Price, columns, listed)
    record_file(world, world.start - DAY, "prices", "prices.csv", len(listed))


def record_file(
    world: World, at: datetime, kind: str, name: str, rows: int, *, added: int | None = None, changed: int = 0
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
    whole = sum(weights)
    ends = [total * so_far // whole for so_far in accumulate(weights)]
    return [end - begin for begin, end in pairwise([0, *ends])]


def _places(users: int) -> list[Place]:
    """About twelve for 2,000 users; past the last of the list they get numbers."""
    count = max(min(12, users // 4), users * 12 // 2000, 1)
    found = []
    for index in range(count):
        place, series = PLACES[index % len(PLACES)], index // len(PLACES) + 1
        if series > 1:
            place = replace(place, name=f"{place.name} {series}", code=f"{place.code}{series}")
        found.append(place)
    return found


def add_people(world: World, users: int, *, joiners: float) -> None:
    """Offices with their departments and people, of many scripts, most of the office's own; some join only later."""
    places = _places(users)
    prices = {place.currency: load_prices(place.currency) for place in places}
    office_rows: list[tuple[Any, ...]] = []
    department_rows: list[tuple[Any, ...]] = []
    user_rows: list[tuple[Any, ...]] = []
    subscription_rows: list[tuple[Any, ...]] = []
    cultures, guests = list(CULTURES.values()), 0
    leap = _next_leap_day(world.end.date())
    for place, count in zip(places, _shares(users, [place.size for place in places]), strict=True):
        zone = ZoneInfo(place.timezone)
        office = Office(len(world.offices) + 1, place.name, place.kind, zone, place.currency, prices[place.currency])
        world.offices.append(office)
        office_rows.append((office.pk, place.name, folded(place.name), place.kind, place.timezone, place.currency))
        parts = place.parts[: max(1, min(len(place.parts), count // 3))]
        part_keys = {}
        for part in parts:
            part_keys[part] = len(department_rows) + 1
            department_rows.append((part_keys[part], office.pk, part, folded(part)))
        kinds = _kinds(world, place, count)
        homes: list[tuple[str, str]] = []
        domain = f"{place.code.lower()}.example.com"
        for number, kind in enumerate(kinds, 1):
            culture = CULTURES[place.culture]
            if number % 3 == 0:
                culture, guests = cultures[guests % len(cultures)], guests + 1
            name = _name(world, culture, whole=number % 29 == 7)
            key = f"{place.code}-{number:04d}"
            person = Person(len(user_rows) + 1, key, name, folded(name), kind, kind.service, "", None)
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
        _open_subscriptions(world, office, joiners)
        if office.pk == 1 and count > 1:
            # In every demo there is someone to try it with: 12 months more end on 28 February.
            someone = office.people[-1]
            someone.opening = someone.dates = Dates(world.start.date() - timedelta(days=200), leap, leap.day)
            someone.stopped = False
        for person in office.people:
            opening = stored(person.opening)
            subscription_rows.append((person.pk, person.pk, person.service, *opening, *opening))
    database = world.database
    insert(database, models.Office, "id name name_folded kind timezone currency", office_rows)
    insert(database, models.Department, "id office name name_folded", department_rows)
    columns = "id key key_folded office department name name_folded email kind apartment"
    insert(database, models.User, columns, user_rows)
    dates = "activated_on expires_on anchor_day"
    columns = f"id user service {dates} opening_activated_on opening_expires_on opening_anchor_day"
    insert(database, models.Subscription, columns, subscription_rows)
    record_file(world, world.start - DAY, "users", "users.csv", users)
    _queue_people(world)
    _plan_leaving(world)


def _next_leap_day(today: date) -> date:
    years = range(today.year, today.year + 9)
    return next(day for year in years if isleap(year) and (day := date(year, 2, 29)) >= today)


def _kinds(world: World, place: Place, count: int) -> list[UserKind]:
    """One manager in forty, and in communities one family member in seven; the first person is a user."""
    managers = max(count // 40, 1 if count >= 4 else 0)
    family = count // 7 if place.kind is OfficeKind.COMMUNITY else 0
    kinds = [UserKind.PROPERTY_MANAGER] * managers + [UserKind.FAMILY] * family
    kinds += [UserKind.USER] * (count - 1 - len(kinds))
    world.random.shuffle(kinds)
    return ([UserKind.USER] * min(count, 1) + kinds)[:count]


def _name(world: World, culture: Culture, *, whole: bool) -> str:
    """A given and a family name; or, where the culture has one, a name of another make, longer than most columns."""
    rng = world.random
    if whole and culture.whole:
        return rng.choice(culture.whole)
    given, family = rng.choice(culture.given), rng.choice(culture.family)
    return culture.between.join((family, given) if culture.family_first else (given, family))


def _home(
    world: World,
    place: Place,
    parts: Sequence[str],
    kind: UserKind,
    homes: list[tuple[str, str]],
    count: int,
) -> tuple[str, str | None]:
    """Department or building, and where it is a community the apartment; a family member lives with someone."""
    rng = world.random
    if kind is UserKind.FAMILY:
        return rng.choice(homes)
    part = rng.choice(parts)
    if place.kind is OfficeKind.OFFICE or kind is UserKind.PROPERTY_MANAGER:
        return part, None
    floor, door = rng.randint(1, 4 + count // 20), rng.randint(1, 6)
    apartment = f"{floor}{'ABCDEF'[door - 1]}" if len(place.name) % 2 else f"{floor}{door:02d}"
    homes.append((part, apartment))
    return part, apartment


def _email(world: World, person: Person, domain: str) -> str:
    """Of the name where it is plain ASCII, else of the user id; one in ten has none."""
    if world.random.random() < 0.1:
        return ""
    local = ".".join(re.findall(r"[a-z-]+", person.name.lower())) if person.name.isascii() else person.key.lower()
    return f"{local}@{domain}"


def _open_subscriptions(world: World, office: Office, joiners: float) -> None:
    """Who runs already when the program is first used; the others join later, or never."""
    rng = world.random
    first = world.start.date()
    for person in office.people:
        draw = rng.random()
        if draw < 0.06 + joiners:
            continue  # inactive
        if draw > 0.98 and person is not office.people[0]:
            expires_on = first - timedelta(days=rng.randint(30, 400))
            person.stopped = True
        else:
            expires_on = first + timedelta(days=rng.randint(0, int(world.pace.months * 30) + 5))
        if rng.random() < 0.15:
            expires_on = terms.add_months(expires_on, 0, 31)
        activated_on = expires_on - timedelta(days=rng.randint(30, 900))
        person.opening = person.dates = Dates(activated_on, expires_on, expires_on.day)


def _queue_people(world: World) -> None:
    """Those who run wait for their renewal; of the inactive, groups of one department join over the years."""
    rng = world.random
    span = world.end - world.start
    size = world.pace.lines * 0.6
    for office in world.offices:
        groups: dict[tuple[str, bool], list[Person]] = {}
        for person in office.people:
            queue(world, office, person)
            if person.dates.expires_on is None and rng.random() < 0.88:
                groups.setdefault((person.part, person.additional), []).append(person)
        for group in groups.values():
            while group:
                taken = [group.pop() for _ in range(min(len(group), 1 + int(rng.expovariate(1 / size))))]
                joins = world.start + span * (0.97 * rng.random() ** 1.2)
                heappush(office.joining, (joins, world.tick(), taken))


def _plan_leaving(world: World) -> None:
    """One in ten stops renewing in the later half of the history, and one in thirty is removed."""
    rng = world.random
    span = world.end - world.start
    for office in world.offices:
        for person in office.people[1:]:  # the last of an office stays
            draw = rng.random()
            if draw < 0.13:
                step = partial(_leave, world, office, person, remove=draw < 0.033)
                world.later(world.start + world.within(span, 0.5, 0.995), None, step)


def _leave(world: World, office: Office, person: Person, at: datetime, *, remove: bool) -> None:
    person.stopped = True
    if remove and not person.held:  # whoever is in an open order cannot be removed
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
        record_file(world, at, "users", f"removed-{removed_on}.csv", 1, added=0, changed=1)
