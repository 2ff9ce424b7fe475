"""What all tests share: a clock that stands still, databases in memory, and people with something to pay.

Everything here writes rows as they would be found in a database; nothing of it calls the rules that are tested.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import multiprocessing
import os
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

import apsw
import pytest
from msgspec.structs import replace

from smartsub_tui.billing.providers import of_settings
from smartsub_tui.billing.session import Session
from smartsub_tui.config import InterfaceSettings, Seller, Settings
from smartsub_tui.data import models
from smartsub_tui.data.database import Database, open_database, rows, url_of
from smartsub_tui.data.models import (
    Admin,
    Claim,
    Department,
    Office,
    Order,
    OrderLine,
    Payment,
    Price,
    Subscription,
    User,
)
from smartsub_tui.data.money import Money
from smartsub_tui.data.records import AdminRecord
from smartsub_tui.data.sqlite import SqliteDatabase
from smartsub_tui.data.text import folded
from smartsub_tui.data.vocabulary import (
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
from smartsub_tui.errors import Refused, Unavailable
from tests import postgres

# A Sunday: 10:00 in Berlin, 01:00 in Los Angeles, 18:00 in Tokyo; the same day in all of them.
NOW: Final = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TODAY: Final = date(2026, 11, 22)
SETTINGS: Final = Settings(
    seller=Seller(
        name="Seller GmbH", address="Mainstr. 1\n10115 Berlin", vat_id="DE1", iban="DE02", email="a@b.example"
    ),
    ui=InterfaceSettings(timezone="UTC"),
)
TAX: Final = 190_000  # 19 %
MONTH_PRICE: Final = 500
DAY_PRICE: Final = 20
ACTIVATION_PRICE: Final = 1800


def a_count(text: str) -> int:
    """What a command was given as a number of something, of which there is at least one."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


@functools.cache
def commit() -> str:
    """The commit of this clone; where there is none, says so."""
    asked = ["git", "rev-parse", "HEAD"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    return told.stdout.strip() or "no commit"


class FixedClock:
    """A clock that stands where it was put."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta | None = None, **units: float) -> None:
        """Move on by a timedelta, or by the arguments of one: `advance(hours=24)`."""
        self._now += timedelta(**units) if by is None else by

    def put(self, now: datetime) -> None:
        self._now = now


# Fonts


def on_a_whole_terminal() -> None:
    """Whichever terminal and locale this run has, work as on one that shows everything."""
    os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LANG="C.UTF-8")
    for name in ("LC_ALL", "NO_COLOR"):
        os.environ.pop(name, None)


def fonts_for(*texts: str) -> None:
    """Go on where this machine has a font for these texts; else skip, but where everything must be tested, fail."""
    from smartsub_tui.billing.fonts import Fonts

    try:
        Fonts().check(texts)
    except Refused as refused:
        if os.environ.get("CI"):
            raise
        pytest.skip(refused.message)


# Databases


@functools.cache
def _template() -> apsw.Connection:
    """An empty database with the schema; copying it is a hundred times quicker than making one."""
    made = open_database("sqlite:///:memory:", create=True)
    copy = apsw.Connection(":memory:")
    _copy(made.connection(), copy)
    made.close()
    return copy


def _copy(source: apsw.Connection, target: apsw.Connection) -> None:
    with target.backup("main", source, "main") as backup:
        backup.step(-1)


def memory_database() -> Database:
    """A database in memory with the schema and nothing in it; the models are bound to it.

    Where the run is on PostgreSQL, a new one of the run's cluster.
    """
    if postgres.is_wanted():
        postgres.make(name := postgres.new_name())
        kept: Database = postgres.keep(open_database(postgres.url(name)))
        return kept
    pragmas = {"foreign_keys": 1, "recursive_triggers": 1}
    database = SqliteDatabase(":memory:", pragmas=pragmas, autoconnect=False, lock_type="IMMEDIATE")
    template = _template()
    database.connect()
    _copy(template, database.connection())
    models.proxy.initialize(database)
    return database


def file_database(path: Path) -> Database:
    """The same in a file, where several processes can work on it; or the one that stands for it on PostgreSQL."""
    if postgres.is_wanted():
        postgres.make(postgres.name_at(path))
        return open_database(url_at(path))
    return sqlite_database(path)


def sqlite_database(path: Path) -> Database:
    """The same in a file, whatever the run is on."""
    target = apsw.Connection(str(path))
    _copy(_template(), target)
    target.close()
    return open_database(url_of(path))


def url_at(path: Path) -> str:
    """The URL of the database that file_database() made for that path."""
    return postgres.url(postgres.name_at(path)) if postgres.is_wanted() else url_of(path)


def aside(path: Path) -> Any:
    """A connection beside smartsub's to the database at that path, as other programs have one."""
    return postgres.Other(postgres.name_at(path)) if postgres.is_wanted() else apsw.Connection(str(path))


def said(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The sentence with which it is unavailable."""
    with pytest.raises(Unavailable) as refused:
        call(*arguments, **options)
    assert "\n" not in refused.value.message
    assert refused.value.exit_code == 5
    return refused.value.message


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for long until they may write."""
    monkeypatch.setattr(f"smartsub_tui.data.{'postgres' if postgres.is_wanted() else 'sqlite'}.BUSY_SECONDS", 0.05)


def unguard(database: Database, table: str) -> None:
    """Take away what keeps the rows of an append-only table: whoever owns the database can."""
    if postgres.is_wanted():
        with contextlib.closing(postgres.Other(database.database)) as owner:
            for event in ("change", "truncate"):
                owner.execute(f"DROP TRIGGER {table}_no_{event} ON {table}")
            owner.execute(f"GRANT ALL ON {table} TO {postgres.WORKER}")
        return
    for event in ("update", "delete"):
        database.execute_sql(f"DROP TRIGGER {table}_no_{event}")


def session_on(
    database: Database,
    role: Role = Role.MANAGER,
    *,
    clock: FixedClock | None = None,
    settings: Settings = SETTINGS,
    source: str = "cli",
) -> Session:
    """A session of an admin of that role, named like it; the admin is made where there is none of that name."""
    name = role.value
    if not Admin.select().where(Admin.name == name).exists():
        Admin.create(name=name, role=role, created_at=NOW)
    clock = clock or FixedClock()
    return Session(database, name, source, clock, settings, of_settings(settings, clock))


def memory_session(
    role: Role = Role.MANAGER, *, clock: FixedClock | None = None, settings: Settings = SETTINGS
) -> Session:
    """A session on a new database in memory."""
    return session_on(memory_database(), role, clock=clock, settings=settings)


def as_role(session: Session, role: Role) -> Session:
    """The same session, worked by an admin of another role."""
    other = session_on(session.database, role)
    return replace(session, admin=other.admin)


def admin_record(role: Role, *limits: Money) -> AdminRecord:
    """An admin of a role, as records have them."""
    return AdminRecord(name=role.value, role=role, created_at=NOW, disabled_at=None, limits=limits)


def dump(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as stored."""
    return {
        table: database.execute_sql(f'SELECT * FROM "{table}" ORDER BY 1, 2').fetchall()
        for table in sorted(database.get_tables())
    }


# Processes


def at_once(work: Callable[..., str], arguments: Sequence[tuple[Any, ...]], *, seconds: float = 60) -> list[str]:
    """Call `work` in as many processes of their own as there are arguments, all at the same moment.

    Each may take so many `seconds`.

    What each returned, or its error as "Kind: message", in the order of the arguments.
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["pytest", "tests.support", "smartsub_tui.billing.orders"])
    start, results = processes.Barrier(len(arguments)), processes.Queue()
    started = [
        processes.Process(target=_report, args=(work, place, each, start, results), daemon=True)
        for place, each in enumerate(arguments)
    ]
    for process in started:
        process.start()
    said = dict(results.get(timeout=seconds) for _ in started)
    for process in started:
        process.join()
    return [said[place] for place in range(len(started))]


def _report(work: Callable[..., str], place: int, arguments: tuple[Any, ...], start: Any, results: Any) -> None:
    start.wait(60)
    try:
        said = work(*arguments)
    except BaseException as error:  # whatever it is, the test is to see it
        said = f"{type(error).__name__}: {error}"
    results.put((place, said))


# People


def add_office(
    name: str = "Oak House",
    kind: OfficeKind = OfficeKind.OFFICE,
    *,
    timezone: str = "Europe/Berlin",
    currency: str = "EUR",
) -> Office:
    return Office.create(name=name, name_folded=folded(name), kind=kind, timezone=timezone, currency=currency)


def add_community(name: str = "Elm Court", *, timezone: str = "Europe/Berlin", currency: str = "EUR") -> Office:
    return add_office(name, OfficeKind.COMMUNITY, timezone=timezone, currency=currency)


def add_department(office: Office, name: str = "Sales") -> Department:
    """The department of that name, made where there is none."""
    found = Department.get_or_none((Department.office == office) & (Department.name == name))
    return found or Department.create(office=office, name=name, name_folded=folded(name))


def add_person(
    office: Office,
    key: str,
    *,
    name: str | None = None,
    department: str = "Sales",
    kind: UserKind = UserKind.USER,
    apartment: str | None = None,
    expires_on: date | None = None,
    activated_on: date | None = None,
    anchor_day: int | None = None,
    removed_on: date | None = None,
) -> Subscription:
    """A person and the one subscription of the kind: inactive, or activated where it has an expiry."""
    name = name or f"Name of {key}"
    user = User.create(
        key=key,
        key_folded=folded(key),
        office=office,
        department=add_department(office, department),
        name=name,
        name_folded=folded(name),
        kind=kind,
        apartment=apartment,
        removed_on=removed_on,
    )
    dates: dict[str, Any] = {}
    if expires_on is not None:
        dates = {
            "activated_on": activated_on or date(2024, 1, 1),
            "expires_on": expires_on,
            "anchor_day": anchor_day or expires_on.day,
        }
    return Subscription.create(
        user=user, service=kind.service, **dates, **{f"opening_{column}": value for column, value in dates.items()}
    )


def add_people(
    office: Office, *keys: str, expires_on: date | None = None, department: str = "Sales"
) -> list[Subscription]:
    """Users of one office, alike but for their ids."""
    return [add_person(office, key, expires_on=expires_on, department=department) for key in keys]


def add_price(
    service: Service,
    action: LineAction,
    amount: int,
    *,
    currency: str = "EUR",
    office_kind: OfficeKind | None = None,
    tax_rate_ppm: int = TAX,
    valid_from: date = date(2020, 1, 1),
) -> Price:
    return Price.create(
        service=service,
        action=action,
        amount=amount,
        currency=currency,
        office_kind=office_kind,
        tax_rate_ppm=tax_rate_ppm,
        valid_from=valid_from,
    )


def add_prices(currency: str = "EUR") -> None:
    """A general price of every service and action: 18.00 to activate, 5.00 a month, 0.20 a day, 19 % tax."""
    for service in Service:
        add_price(service, LineAction.ACTIVATION, ACTIVATION_PRICE, currency=currency)
        add_price(service, LineAction.MONTH, MONTH_PRICE, currency=currency)
        add_price(service, LineAction.DAY, DAY_PRICE, currency=currency)


def gross(net: int, rate: int = TAX) -> int:
    """Net plus tax of one rate, rounded half up."""
    return net + (2 * net * rate + 1_000_000) // 2_000_000


# Orders as an import or another program would leave them

_numbers = count(1)


def add_order(
    office: Office,
    subscriptions: Sequence[Subscription],
    status: OrderStatus = OrderStatus.SYSTEM_PROCESSING,
    *,
    type: OrderType = OrderType.SUBSCRIPTION,
    months: int | None = 1,
    until: date | None = None,
    first_term_months: int | None = None,
    amount: int = MONTH_PRICE,
    rate: int = TAX,
    history: bool = False,
    created_at: datetime = NOW,
    pay_by: datetime | None = None,
    number: str | None = None,
) -> Order:
    """An order with a line of `amount` for everyone; an open one has its claims. History has no price and no term."""
    net = amount * len(subscriptions)
    total = gross(net, rate)
    order: Order = Order.create(
        number=number or f"import-{next(_numbers):06d}",
        office=office,
        type=type,
        status=status,
        status_since=created_at,
        apartments=len(subscriptions),
        currency=office.currency,
        net=None if history else net,
        tax=None if history else total - net,
        total=total,
        months=months,
        until=until,
        first_term_months=first_term_months,
        created_at=created_at,
        created_by="import",
        created_by_folded="import",
        pay_by=None if history else pay_by or created_at + timedelta(hours=24),
        paid_at=created_at if status is OrderStatus.SUCCEED else None,
        history=history,
        imported_at=created_at,
    )
    action = LineAction.ACTIVATION if first_term_months else LineAction.DAY if until else LineAction.MONTH
    for subscription in subscriptions:
        OrderLine.create(
            order=order,
            subscription=subscription,
            label=subscription.user.name,
            action=None if history else action,
            days=10 if action is LineAction.DAY and not history else None,
            amount=None if history else amount,
            tax_rate_ppm=None if history else rate,
        )
        if status.is_open:
            Claim.create(subscription=subscription, order=order)
    return order


def add_payment(
    order: Order,
    state: PaymentState,
    provider: ProviderName = ProviderName.STRIPE,
    *,
    amount: int | None = None,
    reference: str | None = None,
    applied: bool = False,
) -> Payment:
    return Payment.create(
        order=order,
        provider=provider,
        state=state,
        idempotency_key=f"key-{next(_numbers)}",
        reference=reference,
        amount=order.total if amount is None else amount,
        currency=order.currency,
        created_at=NOW,
        changed_at=NOW,
        created_by="import",
        applied=applied,
    )


# What is stored


def expiry(key: str) -> date | None:
    """Until when the person's subscription runs."""
    ((found,),) = rows(Subscription.select(Subscription.expires_on).join(User).where(User.key == key))
    return found  # type: ignore[no-any-return]


def claimed(number: str) -> list[str]:
    """The user ids that an order holds."""
    held = User.select(User.key).join(Subscription).join(Claim).join(Order).where(Order.number == number)
    return sorted(key for (key,) in rows(held))


# Dates, calculated in another way than the rules do


def last_of_month(year: int, month: int) -> int:
    """The last day of a month: the one before the first of the next."""
    following = date(year + month // 12, month % 12 + 1, 1) if (year, month) != (9999, 12) else None
    return 31 if following is None else (following - timedelta(days=1)).day


def months_later(day: date, months: int, anchor_day: int) -> date:
    """`months` after `day`, counted on one by one: the anchor day, or the month's last."""
    year, month = day.year, day.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return date(year, month, min(anchor_day, last_of_month(year, month)))
