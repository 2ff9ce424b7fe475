"""PINs: who sets them, what is none, how attempts are counted, and what is never stored or told of them."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from smartsub_tui.billing import admins, audit_chain, pins
from smartsub_tui.billing.pins import MOST_FAILURES, Tried, check_pin, has_pin, remove_pin, set_pin, try_pin, wait_after
from smartsub_tui.billing.profiles import Profile
from smartsub_tui.billing.session import Session
from smartsub_tui.data.database import open_database
from smartsub_tui.data.models import Admin, AdminPin, AuditEvent
from smartsub_tui.data.vocabulary import Role
from smartsub_tui.errors import NotAllowed, NotFound, WrongUsage
from tests.support import NOW, FixedClock, as_role, at_once, dump, file_database, session_on, url_at

PIN = "493817"
WRONG = "493818"
LOCKED = Tried(opened=False, why="too many wrong PINs: locked until a manager sets a new one")


def events() -> list[tuple[str, str, str | None]]:
    return [(each.action, each.admin, each.subject) for each in AuditEvent.select().order_by(AuditEvent.id)]


def failures(name: str = "manager") -> int:
    return AdminPin.select().join(Admin).where(Admin.name == name).get().failures


def lock(session: Session, clock: FixedClock) -> list[Tried]:
    """Every attempt that there is, wrong, each as soon as it may be."""
    tried = []
    for number in range(1, MOST_FAILURES + 1):
        tried.append(try_pin(session, WRONG))
        clock.advance(wait_after(number))
    return tried


@pytest.mark.parametrize(
    "pin",
    ["", "1", "493", "4938174938174", "12 34", "12a4", "-123", "12.4", "１２３８", "4938\n", "4938\x00", "p" * 20],
)
def test_a_pin_is_4_to_12_digits(session: Session, pin: str) -> None:
    with pytest.raises(WrongUsage, match=r"^a PIN has 4 to 12 digits and nothing else: choose another$"):
        set_pin(session, "manager", pin)
    assert not has_pin(session)


@pytest.mark.parametrize("pin", ["0000", "777777", "1234", "56789", "4321", "7890", "2109", "1212", "123123", "483483"])
def test_a_pin_that_is_tried_first_is_refused(session: Session, pin: str) -> None:
    with pytest.raises(WrongUsage, match="one of the first that are tried") as refused:
        set_pin(session, "manager", pin)
    assert pin not in refused.value.message


@given(st.text("0123456789", min_size=4, max_size=12))
def test_whatever_is_refused_is_a_row_or_a_repetition(pin: str) -> None:
    down = all(int(one) - int(other) in (1, -9) for one, other in pairwise(pin))
    up = all(int(other) - int(one) in (1, -9) for one, other in pairwise(pin))
    repeats = pin in (pin + pin)[1:-1]  # a text is a repetition where it stands in its double, but for the ends
    try:
        check_pin(pin)
        refused = False
    except WrongUsage:
        refused = True
    assert refused is (up or down or repeats)


def test_it_opens_and_another_does_not(session: Session) -> None:
    assert not has_pin(session)
    assert set_pin(session, "manager", PIN).name == "manager"
    assert has_pin(session)
    assert try_pin(session, PIN) == Tried(opened=True)
    assert try_pin(session, WRONG) == Tried(opened=False, why="that is not the PIN")
    assert try_pin(session, "") == Tried(opened=False, why="that is not the PIN")
    set_pin(session, "manager", "80215")
    assert not try_pin(session, PIN).opened
    assert try_pin(session, "80215").opened
    assert remove_pin(session, "manager").name == "manager"
    remove_pin(session, "manager")
    assert not has_pin(session)
    assert try_pin(session, "80215") == Tried(opened=False, why="there is no PIN any more: ask a manager to set one")
    assert events() == [(each, "manager", "manager") for each in ("set_pin", "set_pin", "remove_pin")]


def test_admins_set_their_own_and_managers_anyones(session: Session) -> None:
    viewer = as_role(session, Role.VIEWER)
    set_pin(viewer, "viewer", PIN)
    set_pin(session, "viewer", "80215")
    assert try_pin(viewer, "80215").opened
    assert not has_pin(session)
    with pytest.raises(NotAllowed, match="viewer is viewer here and may not say who the admins are: ask a manager"):
        set_pin(viewer, "manager", PIN)
    with pytest.raises(NotAllowed):
        remove_pin(viewer, "manager")
    remove_pin(viewer, "viewer")
    assert not has_pin(viewer)
    with pytest.raises(NotFound, match=r"^no admin is called 'viewr': did you mean 'viewer'\?$"):
        set_pin(session, "viewr", PIN)
    assert events()[:2] == [("set_pin", "viewer", "viewer"), ("set_pin", "manager", "viewer")]


@pytest.mark.long
def test_three_are_free_then_the_waits_double_and_the_tenth_locks(session: Session, clock: FixedClock) -> None:
    set_pin(session, "manager", PIN)
    assert [wait_after(number) for number in range(10)] == [
        timedelta(minutes=minutes) for minutes in (0, 0, 0, 0, 1, 2, 4, 8, 16, 32)
    ]
    waits = [f": wait {each} before the next" for each in
             ("1 minute", "2 minutes", "4 minutes", "8 minutes", "16 minutes", "32 minutes")]  # fmt: skip
    assert lock(session, clock) == [
        *(Tried(opened=False, why=f"that is not the PIN{each}") for each in ("", "", "", *waits)),
        LOCKED,
    ]
    clock.advance(days=400)
    assert try_pin(session, PIN) == LOCKED
    assert failures() == MOST_FAILURES
    assert events() == [(each, "manager", "manager") for each in ("set_pin", "lock_pin")]
    assert json.loads(AuditEvent.get(AuditEvent.action == "lock_pin").after or "") == {"failures": 10}
    set_pin(session, "manager", PIN)
    assert try_pin(session, PIN).opened


def test_while_it_waits_even_the_right_one_is_not_compared(session: Session, clock: FixedClock) -> None:
    set_pin(session, "manager", PIN)
    for _ in range(4):
        try_pin(session, WRONG)
    assert try_pin(session, PIN) == Tried(opened=False, why="wait 1 minute before the next")
    clock.advance(seconds=59)
    assert not try_pin(session, PIN).opened
    assert failures() == 4
    clock.advance(seconds=1)
    assert try_pin(session, PIN).opened
    assert failures() == 0
    assert try_pin(session, WRONG).why == "that is not the PIN"


@pytest.mark.long
def test_only_a_manager_opens_what_is_locked(session: Session, clock: FixedClock) -> None:
    viewer = as_role(session, Role.VIEWER)
    set_pin(viewer, "viewer", PIN)
    lock(viewer, clock)
    refused = r"^the PIN of viewer is locked: ask a manager to set it anew$"
    with pytest.raises(NotAllowed, match=refused):
        set_pin(viewer, "viewer", PIN)
    with pytest.raises(NotAllowed, match=refused):
        remove_pin(viewer, "viewer")
    set_pin(session, "viewer", "80215")
    assert try_pin(viewer, "80215").opened


def test_a_restart_gives_no_more_attempts(tmp_path: Path) -> None:
    path, clock = tmp_path / "pins.sqlite3", FixedClock()
    database = file_database(path)
    set_pin(session_on(database, clock=clock), "manager", PIN)
    database.close()
    for number in range(1, MOST_FAILURES + 1):
        database = open_database(url_at(path))
        assert not try_pin(session_on(database, clock=clock), WRONG).opened
        database.close()
        clock.advance(wait_after(number))
    database = open_database(url_at(path))
    assert try_pin(session_on(database, clock=clock), PIN) == LOCKED
    database.close()


def test_an_attempt_is_stored_before_it_is_compared(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed while it compares has used its attempt."""
    set_pin(session, "manager", PIN)

    def killed(*_: object) -> bool:
        raise SystemExit

    monkeypatch.setattr(pins, "_matches", killed)
    for _ in range(2):
        with pytest.raises(SystemExit):
            try_pin(session, PIN)
    assert failures() == 2


def _one_attempt(path: str, pin: str) -> str:
    session = session_on(open_database(path))
    return try_pin(session, pin).why or "opened"


@pytest.mark.long
def test_at_once_there_are_as_many_as_one_after_the_other(tmp_path: Path) -> None:
    """Eight at the same moment: four are compared, and the others wait for what those brought."""
    path = tmp_path / "pins.sqlite3"
    database = file_database(path)
    set_pin(session_on(database), "manager", PIN)
    said = at_once(_one_attempt, [(url_at(path), WRONG)] * 8)
    assert sorted(said) == sorted(
        [*["that is not the PIN"] * 3, "that is not the PIN: wait 1 minute before the next",
         *["wait 1 minute before the next"] * 4]
    )  # fmt: skip
    assert failures() == 4
    database.close()


def test_what_others_locked_meanwhile_stays_locked(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    set_pin(session, "manager", PIN)

    def others(*_: object) -> bool:
        AdminPin.update(failures=MOST_FAILURES).execute()
        return True

    monkeypatch.setattr(pins, "_matches", others)
    assert try_pin(session, PIN).opened
    assert failures() == MOST_FAILURES


def test_the_last_attempt_may_be_the_right_one(session: Session, clock: FixedClock) -> None:
    set_pin(session, "manager", PIN)
    AdminPin.update(failures=MOST_FAILURES - 1).execute()
    assert try_pin(session, PIN).opened
    assert failures() == 0


def test_a_pin_that_is_set_while_the_last_one_is_compared_is_not_locked(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pin(session, "manager", PIN)
    AdminPin.update(failures=MOST_FAILURES - 1).execute()
    compares = pins._matches

    def meanwhile(hashed: str, pin: str) -> bool:
        set_pin(session, "manager", "80215")
        return compares(hashed, pin)

    monkeypatch.setattr(pins, "_matches", meanwhile)
    assert not try_pin(session, WRONG).opened
    assert [action for action, _, _ in events()] == ["set_pin", "set_pin"]
    assert failures() == 0


def test_a_hash_that_is_none_opens_nothing(session: Session) -> None:
    set_pin(session, "manager", PIN)
    AdminPin.update(hash="no hash").execute()
    assert try_pin(session, PIN) == Tried(opened=False, why="that is not the PIN")


def test_whoever_is_disabled_opens_nothing(session: Session) -> None:
    viewer = as_role(session, Role.VIEWER)
    set_pin(viewer, "viewer", PIN)
    admins.disable(session, "viewer")
    with pytest.raises(NotAllowed, match="viewer is disabled"):
        try_pin(viewer, PIN)


def test_at_the_kiosk_a_pin_is_tried_and_not_set(session: Session) -> None:
    set_pin(session, "manager", PIN)
    kiosk = replace(session, profile=Profile.KIOSK)
    assert try_pin(kiosk, PIN).opened
    with pytest.raises(NotAllowed, match="at the kiosk nobody may set their own PIN"):
        set_pin(kiosk, "manager", PIN)


def test_neither_pin_nor_hash_is_told(session: Session, clock: FixedClock) -> None:
    """Stored is an argon2id hash, in its own table; the trail says that it was set, and is whole."""
    set_pin(session, "manager", PIN)
    lock(session, clock)
    remove_pin(session, "manager")
    set_pin(session, "manager", PIN)
    hashed = AdminPin.get().hash
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    elsewhere = {table: rows for table, rows in dump(session.database).items() if table != "admin_pin"}
    assert "argon2" not in str(elsewhere)
    assert PIN not in str(dump(session.database))
    assert WRONG not in str(dump(session.database))
    assert audit_chain.verify(session).events == 4
    assert AdminPin.get().changed_at == clock.now() != NOW
