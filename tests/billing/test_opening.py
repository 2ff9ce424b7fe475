"""How a session begins, and what the application knows before its first frame."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from functools import partialmethod
from pathlib import Path

import pytest

from smartsub_tui.billing import opening, payments, views
from smartsub_tui.billing.changes import time_out_due
from smartsub_tui.billing.opening import look, open_session
from smartsub_tui.billing.session import Session
from smartsub_tui.data.models import Admin
from smartsub_tui.data.queries import Sort
from smartsub_tui.data.records import StateRecord
from smartsub_tui.data.sqlite import SqliteDatabase
from smartsub_tui.data.vocabulary import OrderStatus, Role, Trigger
from smartsub_tui.errors import NotAllowed, Unavailable
from tests import postgres
from tests.support import (
    NOW,
    SETTINGS,
    FixedClock,
    add_office,
    add_order,
    add_people,
    aside,
    file_database,
    impatient,
    session_on,
    url_at,
)


@pytest.fixture(autouse=True)
def _all_the_time_in_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first rows are there, however busy the machine is."""
    monkeypatch.setattr(opening, "_BOX", 60.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with two orders, whose time to pay is over."""
    path = tmp_path / "orders.sqlite3"
    database = file_database(path)
    session_on(database)
    office = add_office("Oak House")
    for place in range(2):
        people = add_people(office, f"u{place}")
        add_order(office, people, OrderStatus.PROCESSING, pay_by=NOW - timedelta(minutes=1), number=f"000{place}")
    database.close()
    return path


def opened(path: Path, admin: str = Role.MANAGER.value, *, create: bool = False) -> Session:
    return open_session(url_at(path), admin, "app", FixedClock(), SETTINGS, create=create)


@pytest.mark.sqlite("a database is a file")
def test_who_makes_a_database_is_its_manager_and_nobody_after(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    with pytest.raises(Unavailable, match="no database"):
        opened(path)
    for name in ("mara", "otto"):
        session = opened(path, name, create=True)
        assert [(each.name, each.role) for each in Admin.select()] == [("mara", Role.MANAGER)]
        session.database.close()


def test_a_database_that_cannot_be_founded_is_left_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new.sqlite3"
    if postgres.is_wanted():
        postgres.make_empty(postgres.name_at(path))
    opened(path, create=True).database.close()
    impatient(monkeypatch)
    with closing(aside(path)) as other:
        other.execute("DELETE FROM admin")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="is busy"):
            opened(path, create=True)
    opened(path, create=True).database.close()


def test_the_first_rows_and_what_can_be_done_to_the_first_are_there(path: Path) -> None:
    session = opened(path)
    found = look(session, "payments", rows=2)
    assert (found.admin.name, found.mode, found.filter, found.sort) == ("manager", "payments", "", Sort())
    assert found.last is None
    # On a server one's own changes are seen in it too: two orders timed out.
    assert found.version == session.database.data_version() or postgres.is_wanted()
    assert found.first is not None
    first, second = found.first.page.rows
    assert (first.status, second.status) == (OrderStatus.TIME_OUT, OrderStatus.TIME_OUT)
    assert found.first.offers == {(first.number, first.version): (Trigger.CONFIRM, Trigger.AGAIN, Trigger.DELETE)}
    assert not found.first.all
    whole = look(session, "payments", "0001").first
    assert whole is not None
    assert whole.all
    assert [row.number for row in whole.page.rows] == ["0001"]
    session.database.close()


@pytest.mark.parametrize(
    ("mode", "filter_text", "becomes"),
    [
        (None, None, ("subscriptions", "status:failed", "number")),
        ("payments", None, ("payments", "status:failed", "number")),
        ("dashboard", None, ("dashboard", "status:failed", "number")),
        (None, "7", ("payments", "7", "-created")),
        ("dashboard", "7", ("payments", "7", "-created")),
        (None, "", ("subscriptions", "", "-created")),
    ],
)
def test_what_is_not_said_is_as_it_was_left(
    path: Path, mode: str | None, filter_text: str | None, becomes: tuple[str, str, str]
) -> None:
    session = opened(path)
    views.keep_state(session, StateRecord(mode="subscriptions", filter="status:failed", sort="number"))
    found = look(session, mode, filter_text)
    assert (found.mode, found.filter, found.sort.describe()) == becomes
    assert (found.first is None) == (becomes[0] != "payments")
    session.database.close()


def test_without_an_earlier_time_the_dashboard_is_first(path: Path) -> None:
    session = opened(path)
    assert look(session).mode == "dashboard"
    views.keep_state(session, StateRecord(mode="nowhere", filter="", sort="-created"))
    assert look(session).mode == "dashboard"
    session.database.close()


def test_who_may_not_look_sees_nothing(path: Path) -> None:
    session = opened(path, "stranger")
    with pytest.raises(NotAllowed):
        look(session, "payments")
    session.database.close()


def test_rows_that_take_too_long_are_left_to_the_screen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened(path)
    time_out_due(session)
    with monkeypatch.context() as hurried:
        hurried.setattr(opening, "_BOX", -1.0)
        if not postgres.is_wanted():  # which else looks after so many steps only
            hurried.setattr(SqliteDatabase, "watch", partialmethod(SqliteDatabase.watch, steps=1))
        assert look(session, "payments", "999").first is None
    assert look(session, "payments", "999").first is not None
    session.database.close()


def test_who_looks_is_not_kept_from_it_by_who_writes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    with closing(aside(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        session = opened(path, create=True)
        first = look(session, "payments").first
        assert first is not None
        assert [(row.status, row.due) for row in first.page.rows] == [(OrderStatus.PROCESSING, True)] * 2
        with pytest.raises(Unavailable, match="is busy"):  # a change waits its time
            payments.cancel(session, "0000", "moved out")
    assert time_out_due(session) == 2
    session.database.close()
