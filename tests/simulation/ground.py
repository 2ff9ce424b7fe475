"""What a simulation stands on: a database with people in it, a provider, a clock, and a session that ties them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final, cast

import apsw
from msgspec.structs import replace

from smartsub_tui.billing import links
from smartsub_tui.billing.providers import Provider
from smartsub_tui.billing.providers.manual import ByHand
from smartsub_tui.billing.session import Session
from smartsub_tui.config import PaymentSettings
from smartsub_tui.data.models import Admin
from smartsub_tui.data.vocabulary import LineAction, ProviderName, Role, Service
from tests.providers.books import Books
from tests.simulation.disk import Disk
from tests.simulation.engine import Engine
from tests.simulation.line import URL, Account, StripeOnTheLine
from tests.support import (
    SETTINGS,
    FixedClock,
    add_community,
    add_office,
    add_people,
    add_person,
    add_price,
    file_database,
)

OAK: Final = ("o1", "o2", "o3", "o4", "i1", "i2")  # the last two are inactive at first
ELM: Final = ("e1", "e2", "e3", "e4")
# Net amounts whose tax is rounded otherwise on each than on their sum.
PRICES: Final = {LineAction.ACTIVATION: 1799, LineAction.MONTH: 333, LineAction.DAY: 11}
# Ends of months, a leap day, and the nights in which clocks change; offices are in Berlin and New York.
_STARTS: Final = (
    datetime(2027, 1, 31, 22, 50, tzinfo=UTC),
    datetime(2028, 2, 28, 23, 30, tzinfo=UTC),
    datetime(2028, 2, 29, 12, 0, tzinfo=UTC),
    datetime(2027, 3, 28, 0, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2026, 12, 31, 22, 30, tzinfo=UTC),
    datetime(2027, 3, 14, 6, 30, tzinfo=UTC),
    datetime(2027, 6, 15, 9, 0, tzinfo=UTC),
)
ROLES: Final = (Role.MANAGER, Role.OPERATOR, Role.MANAGER, Role.OPERATOR, Role.VIEWER, Role.MANAGER)


class Ground:
    """One seed's database in `folder`, its provider and its clock. `session` is a manager's."""

    def __init__(self, seed: int, folder: Path, disk: Disk | None = None) -> None:
        self.seed, self.random, self.folder, self.disk = seed, Random(seed), folder, disk
        self.clock = FixedClock(self.random.choice(_STARTS))
        self.path = folder / "simulation.sqlite3"
        for old in folder.glob("simulation.sqlite3*"):
            old.unlink()
        self.path.write_bytes(_template(self.clock.now().date()))
        books = Books(URL, lambda: self.clock.now().timestamp())
        books._random = Random(seed)
        self.account = Account(books)
        # Keys are drawn as all else is.
        cast(Any, links).token_hex = lambda size: f"{self.random.getrandbits(8 * size):0{2 * size}x}"
        self.open(self.path)

    def open(self, path: Path) -> None:
        """Be on the database in that file."""
        self.engine = Engine(path, self.disk)
        self.engine.connect()
        settings = PaymentSettings(return_url="https://example.com/paid", stripe_url=URL)
        by_name: dict[ProviderName, Provider] = {
            ProviderName.STRIPE: StripeOnTheLine(settings, self.clock, self.account)
        }
        by_hand = ByHand()
        self.session = Session(
            database=self.engine,
            admin="a0",
            source="cli",
            clock=self.clock,
            settings=replace(SETTINGS, payments=settings),
            providers=lambda name: by_name.get(name, by_hand),
        )

    @contextmanager
    def aside(self) -> Iterator[apsw.Connection]:
        """What the one who checks sees: what is committed."""
        yield self.engine.aside

    def rows(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Everything that is stored, table by table."""
        with self.aside() as connection:
            tables = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'schema_migration' ORDER BY 1"
            ).fetchall()
            for (table,) in tables:
                for row in connection.execute(f'SELECT * FROM "{table}" ORDER BY 1, 2'):
                    yield str(table), row

    def close(self) -> None:
        self.engine.close_all()


@cache
def _template(today: date) -> bytes:
    """The file of a database with two offices and their people, as of a day."""
    with tempfile.TemporaryDirectory(prefix="smartsub-template-", dir=fast_folder()) as folder:
        path = Path(folder, "template.sqlite3")
        database = file_database(path)
        _people(today)
        database.close()  # the last to leave writes the log into the file
        return path.read_bytes()


def _people(today: date) -> None:
    for service in Service:
        for action, amount in PRICES.items():
            add_price(service, action, amount)
    oak = add_office()
    ends = [today + timedelta(days=days) for days in (-3, 0, 20, 45)]
    for key, expires_on in zip(OAK, ends, strict=False):
        add_person(oak, key, expires_on=expires_on)
    add_people(oak, *OAK[4:], department="New")
    elm = add_community(timezone="America/New_York")
    for key, expires_on in zip(ELM, ends, strict=True):
        add_person(elm, key, apartment="1", expires_on=expires_on)
    for place, role in enumerate(ROLES):
        Admin.create(name=f"a{place}", role=role, created_at=datetime(2026, 1, 1, tzinfo=UTC))


def fast_folder() -> str | None:
    """A folder in memory, where there is one: what is stored here outlives nobody."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - mkdtemp makes its own folder in it
