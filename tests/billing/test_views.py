"""Saved views: whose they are, what they may hold, and the state in which an admin left the application."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from smartsub_tui.billing.session import Session
from smartsub_tui.billing.views import (
    LONGEST_NAME,
    NEWEST_FIRST,
    find_view,
    keep_state,
    last_state,
    remove_view,
    save_view,
    views,
)
from smartsub_tui.data import sqlite as engine
from smartsub_tui.data.database import rows
from smartsub_tui.data.models import AuditEvent, LastState, SavedView
from smartsub_tui.data.queries import SORT_KEYS, Sort, parse_sort
from smartsub_tui.data.records import StateRecord, ViewRecord
from smartsub_tui.data.vocabulary import Role
from smartsub_tui.errors import NotAllowed, NotFound, Unavailable, WrongUsage
from tests.support import as_role, dump, file_database, session_on

STATE = StateRecord(mode="payments", filter="status:failed", sort="-total")


def view(name: str, filter_text: str = "", sort: str = NEWEST_FIRST, *, shared: bool = False) -> ViewRecord:
    return ViewRecord(name=name, filter=filter_text, sort=sort, shared=shared)


def trail() -> list[tuple[str, str, str | None, str | None]]:
    return list(rows(AuditEvent.select(AuditEvent.action, AuditEvent.subject, AuditEvent.before, AuditEvent.after)))


@pytest.fixture
def viewer(session: Session) -> Session:
    return as_role(session, Role.VIEWER)


# Saving


def test_a_view_is_kept_as_the_filter_describes_itself(session: Session) -> None:
    saved = save_view(session, "  Late ones ", "status:failed   status:failed 0042", "-total")
    assert saved == view("Late ones", "status:failed status:failed 0042", "-total")
    assert views(session) == [saved]
    (event,) = trail()
    assert event[:3] == ("save_view", "Late ones", None)
    assert json.loads(event[3] or "") == {"filter": saved.filter, "sort": "-total", "shared": False}


def test_one_s_own_stand_before_everyone_s_each_by_name(session: Session, viewer: Session) -> None:
    for name, shared in (("b", True), ("z", False), ("A", True), ("C", False)):
        save_view(session, name, "", shared=shared)
    save_view(viewer, "other", "")
    assert [(each.name, each.shared) for each in views(session)] == [
        ("C", False), ("z", False), ("A", True), ("b", True),
    ]  # fmt: skip
    assert [each.name for each in views(viewer)] == ["other", "A", "b"]


def test_the_same_name_takes_the_place_of_the_one_before(session: Session) -> None:
    save_view(session, "late", "is:late")
    saved = save_view(session, "LATE", "is:late is:daily")
    assert views(session) == [saved]
    assert json.loads(trail()[1][2] or "")["filter"] == "is:late"


def test_the_same_again_changes_nothing(session: Session) -> None:
    save_view(session, "late", "is:late")
    before = dump(session.database)
    assert save_view(session, "late", "is:late") == view("late", "is:late")
    assert dump(session.database) == before


def test_what_is_no_filter_sort_or_name_is_refused(session: Session) -> None:
    for name, filter_text, sort, sentence in (
        ("late", "status:faled", NEWEST_FIRST, "did you mean failed"),
        ("late", "", "-totl", "did you mean 'total'"),
        (" ", "", NEWEST_FIRST, "name is empty"),
        ("a\u202eb", "", NEWEST_FIRST, "U\\+202E"),
        ("n" * (LONGEST_NAME + 1), "", NEWEST_FIRST, f"at most {LONGEST_NAME}"),
    ):
        with pytest.raises(WrongUsage, match=sentence):
            save_view(session, name, filter_text, sort)
    assert views(session) == []
    assert save_view(session, "n" * LONGEST_NAME, "").name == "n" * LONGEST_NAME


@pytest.mark.parametrize("role", Role)
def test_everyone_keeps_their_own_and_a_manager_shares(session: Session, role: Role) -> None:
    worker = as_role(session, role)
    assert save_view(worker, "mine", "is:late") == view("mine", "is:late")
    assert remove_view(worker, "MINE") == view("mine", "is:late")
    if role is Role.MANAGER:
        assert save_view(worker, "ours", "", shared=True).shared
        assert remove_view(worker, "ours", shared=True).shared
        return
    save_view(session, "ours", "", shared=True)
    with pytest.raises(NotAllowed, match="save filters for everyone: ask a manager"):
        save_view(worker, "ours", "", shared=True)
    with pytest.raises(NotAllowed, match="save filters for everyone: ask a manager"):
        remove_view(worker, "ours", shared=True)
    assert [each.name for each in views(worker)] == ["ours"]


def test_a_dry_run_stores_nothing_and_a_repeat_does_nothing(session: Session) -> None:
    before = dump(session.database)
    assert save_view(session, "late", "is:late", dry_run=True) == view("late", "is:late")
    assert dump(session.database) == before
    for _ in range(2):
        assert save_view(session, "late", "is:late", request_id="r1") == view("late", "is:late")
    before = dump(session.database)
    assert remove_view(session, "late", dry_run=True) == view("late", "is:late")
    assert dump(session.database) == before
    for _ in range(2):
        assert remove_view(session, "late", request_id="r2") == view("late", "is:late")
    assert [event[0] for event in trail()] == ["save_view", "remove_view"]


# Finding and removing


def test_a_view_is_found_whatever_the_case_and_one_s_own_first(session: Session, viewer: Session) -> None:
    save_view(session, "Late", "is:late", shared=True)
    save_view(viewer, "late", "is:daily")
    assert find_view(viewer, "LATE").filter == "is:daily"
    assert find_view(session, "LATE").filter == "is:late"


def test_what_is_not_there_names_the_nearest(session: Session, viewer: Session) -> None:
    save_view(session, "this month", "created:2026-11")
    with pytest.raises(NotFound, match="no view is called 'this mnth': did you mean 'this month'"):
        find_view(session, "this mnth")
    with pytest.raises(NotFound, match="w in Payments and smartsub views list them"):
        find_view(viewer, "this month")
    with pytest.raises(NotFound, match="did you mean 'this month'"):
        remove_view(session, "this mont")
    with pytest.raises(NotFound, match="w in Payments and smartsub views list them"):
        remove_view(session, "this month", shared=True)


def test_a_removed_view_leaves_a_trail(session: Session) -> None:
    save_view(session, "late", "is:late")
    remove_view(session, "late")
    assert SavedView.select().count() == 0
    event = trail()[1]
    assert (event[0], event[1], event[3]) == ("remove_view", "late", None)
    assert json.loads(event[2] or "")["filter"] == "is:late"


@given(st.sampled_from(SORT_KEYS), st.booleans())
def test_a_sort_reads_back(key: str, descending: bool) -> None:
    assert parse_sort(Sort(key, descending).describe()) == Sort(key, descending)


# How the application was left


def test_the_state_is_kept_per_admin_and_leaves_no_trail(session: Session, viewer: Session) -> None:
    assert last_state(session) is None
    assert keep_state(session, STATE)
    later = replace(STATE, filter="", mode="dashboard")
    assert keep_state(viewer, later)
    assert keep_state(session, replace(STATE, sort="number"))
    assert (last_state(session), last_state(viewer)) == (replace(STATE, sort="number"), later)
    assert trail() == []


def test_what_can_no_longer_be_read_is_dropped(session: Session) -> None:
    keep_state(session, STATE)
    LastState.update(filter_text="statos:failed").execute()
    assert last_state(session) == replace(STATE, filter="")
    LastState.update(sort="-colour", filter_text="status:failed").execute()
    assert last_state(session) == replace(STATE, sort=NEWEST_FIRST)


def test_the_state_of_nobody_is_not_kept(session: Session) -> None:
    with pytest.raises(NotAllowed):
        keep_state(replace(session, admin="stranger"), STATE)


@pytest.mark.sqlite("how it waits")
def test_keeping_the_state_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other write does: the database is asked again and again, here twice."""
    asked: list[int] = []

    def wait_twice(_since: float | None = None) -> Callable[[int], bool]:
        def busy(tries: int) -> bool:
            asked.append(tries)
            return tries == 0

        return busy

    monkeypatch.setattr(engine, "_wait_while_busy", wait_twice)
    database = file_database(tmp_path / "shared.sqlite3")
    session = session_on(database)
    keep_state(session, STATE)
    with closing(apsw.Connection(str(tmp_path / "shared.sqlite3"))) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not keep_state(session, replace(STATE, mode="dashboard"))
        assert asked == []
        with pytest.raises(Unavailable, match="busy"):
            save_view(session, "late", "is:late")
        assert asked == [0, 1]
    assert last_state(session) == STATE
    database.close()
