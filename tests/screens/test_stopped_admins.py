"""An admin who may no more, or less than before, while the application is open: it holds from the next action on."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path

import apsw
import pytest

from smartsub_tui.billing import orders
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.database import open_database, url_of
from smartsub_tui.data.vocabulary import Role
from tests.screens.stage import drawn, make_database, on_stage, press, toasts, until
from tests.support import TODAY, add_office, add_people, session_on

STOPPED = "operator is disabled: ask a manager of this database"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with an order that an operator made."""
    path = make_database(tmp_path, lambda: add_people(add_office(), "u1", expires_on=TODAY), Role.OPERATOR)
    with closing(open_database(url_of(path))) as database:
        orders.renew(session_on(database, Role.OPERATOR), "Oak House", ["u1"], Months(1))
    return path


def change(path: Path, sql: str) -> None:
    """As another process does; by the same library, for a process that has two loses its locks."""
    with closing(apsw.Connection(str(path))) as other:
        other.execute(sql)


async def test_whoever_is_disabled_reads_and_changes_nothing_more(path: Path) -> None:
    async with on_stage(path, start="payments", role=Role.OPERATOR) as (app, pilot):
        change(path, "UPDATE admin SET disabled_at = 0")
        for key in ("f5", "p", "2", "1"):
            told = [*toasts(app), STOPPED]
            await press(pilot, key)
            await until(pilot, partial(lambda before: toasts(app)[: len(before)] == before, told))
            assert toasts(app)[-1] == STOPPED
        assert "Oak House" not in drawn(app)
        change(path, "UPDATE admin SET disabled_at = NULL")
        await press(pilot, "f5")
        await until(pilot, lambda: "Oak House" in drawn(app))


async def test_a_limit_that_is_set_meanwhile_holds_at_the_next_key(path: Path) -> None:
    async with on_stage(path, size=(120, 40), start="payments", role=Role.OPERATOR) as (app, pilot):
        await until(pilot, lambda: "pay" in drawn(app).splitlines()[-1])
        change(path, "INSERT INTO admin_limit (admin_id, currency, amount) SELECT id, 'EUR', 1 FROM admin")
        await press(pilot, "p")
        await until(pilot, lambda: toasts(app))
        assert "is above the limit of operator, EUR 0.01: ask a manager" in toasts(app)[-1]
