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

import gc
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from smartsub_tui.billing.demo.history import import_history
from smartsub_tui.billing.demo.orders import add_orders
from smartsub_tui.billing.demo.people import add_admins, add_people, add_prices
from smartsub_tui.billing.demo.world import World, finish, pace_of
from smartsub_tui.config import Settings
from smartsub_tui.data import models
from smartsub_tui.data.database import Database
from smartsub_tui.errors import Refused, WrongUsage

MOST_ORDERS_OF_A_USER: Final = 500
_HISTORY_PERCENT: Final = 3


def make_demo(
    database: Database,
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
    density = orders / users
    pace = pace_of(density)
    with _no_collection(), database.writing():
        if models.Office.select().exists():
            raise Refused("the database has offices already: the demo goes into a new one")
        start = end - pace.span
        world = World(
            database=database,
            settings=settings,
            random=random.Random(seed),  # noqa: S311 - sample data, which has to come out alike every time
            start=start,
            end=end,
            manager=admin,
            operator=add_admins(admin, start),
            pace=pace,
        )
        add_prices(world)
        add_people(world, users, joiners=0.47 * min(1.0, density / 1.5))
        imported = orders * _HISTORY_PERCENT // 100
        import_history(world, imported)
        add_orders(world, orders - imported)
        finish(world)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Nothing here becomes garbage in circles, and looking for it takes a twelfth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
