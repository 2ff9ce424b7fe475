"""PINs: what opens an admin's locked screen. They are no passwords: who may be which admin is up to the machine.

A PIN is kept as an argon2id hash. It is short, so guessing is what is made slow: every attempt is counted in the
database before it is compared, so that neither two at once nor a restart gives one more; from the fourth wrong one on a
wait that doubles comes before the next, and behind the tenth none is taken until a PIN is set anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from smartsub_tui.billing import access
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.changes import Change, perform
from smartsub_tui.billing.session import Session
from smartsub_tui.data.models import Admin, AdminPin
from smartsub_tui.data.queries import nearest
from smartsub_tui.data.records import AdminRecord
from smartsub_tui.errors import NotAllowed, NotFound, WrongUsage

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MOST_FAILURES: Final = 10
_FREE: Final = 3  # wrong ones that nothing is waited for
_FIRST_WAIT: Final = timedelta(minutes=1)
_PIN: Final = re.compile(r"[0-9]{4,12}")


class Tried(Struct, frozen=True, kw_only=True):
    """What came of an attempt; `why` says in a sentence why it opened nothing."""

    opened: bool
    why: str = ""


def wait_after(failures: int) -> timedelta:
    """How long nothing is taken after so many wrong ones: three are free, then 1, 2, 4 ... minutes."""
    return _FIRST_WAIT * 2 ** (failures - _FREE - 1) if failures > _FREE else timedelta(0)


def check_pin(pin: str) -> None:
    """Raise WrongUsage where `pin` is none, or one of those that are tried first; the sentence does not repeat it."""
    if _PIN.fullmatch(pin) is None:
        raise WrongUsage("a PIN has 4 to 12 digits and nothing else: choose another")
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    parts = (pin[:length] * (len(pin) // length) for length in range(1, len(pin) // 2 + 1) if len(pin) % length == 0)
    if steps in ({1}, {9}) or pin in parts:
        raise WrongUsage("this PIN is one of the first that are tried, a row of digits or a repetition: choose another")


def has_pin(session: Session) -> bool:
    """Whether the session's admin has a PIN, one that is locked too. In a reading session."""
    return AdminPin.select().join(Admin).where(Admin.name == session.admin).exists()


def set_pin(session: Session, name: str, pin: str) -> AdminRecord:
    """Give an admin a PIN in the place of any before, and ten attempts anew.

    Admins set their own while it takes attempts; managers anyone's. Raises WrongUsage for a PIN that is none or too
    simple, NotFound, NotAllowed. There is no repeat and no dry run of it: a repeat is told by a digest of what was
    asked for, and whoever has the digest of a PIN has the PIN.
    """
    check_pin(pin)
    hashed = _hasher().hash(pin)

    def work(change: Change, row: Any) -> None:
        values = {"hash": hashed, "failures": 0, "wait_until": None, "changed_at": change.now}
        AdminPin.insert(admin=row, **values).on_conflict(conflict_target=[AdminPin.admin], update=values).execute()
        change.record("set_pin", subject=row.name)

    return _change(session, name, work)


def remove_pin(session: Session, name: str) -> AdminRecord:
    """Take an admin's PIN away, where there is one: their screen can no longer be locked. Raises as `set_pin`."""

    def work(change: Change, row: Any) -> None:
        if AdminPin.delete().where(AdminPin.admin == row).execute():
            change.record("remove_pin", subject=row.name)

    return _change(session, name, work)


def try_pin(session: Session, pin: str) -> Tried:
    """Whether `pin` is that of the session's admin: one attempt, which is stored before anything is compared.

    Raises NotAllowed where the admin may no more, Unavailable where the attempt cannot be stored: then there was none.
    """

    def count(change: Change) -> _Attempt:
        row = AdminPin.select().join(Admin).where(Admin.name == change.admin.name).get_or_none()
        if row is None:
            return _Attempt(why="there is no PIN any more: ask a manager to set one")
        if row.failures >= MOST_FAILURES:
            return _Attempt(why=_LOCKED)
        if row.wait_until is not None and change.now < row.wait_until:
            return _Attempt(why=_wait(row.wait_until, change.now))
        row.failures += 1
        row.wait_until = change.now + wait_after(row.failures) if row.failures > _FREE else None
        row.save()
        return _Attempt(hash=row.hash, number=row.failures, wait_until=row.wait_until)

    attempt = perform(session, Permission.READ, {}, _Attempt, count)
    if not attempt.hash:
        return Tried(opened=False, why=attempt.why)
    if not _matches(attempt.hash, pin):
        if attempt.number == MOST_FAILURES:
            perform(session, Permission.READ, {}, int, lambda change: _lock_out(change, attempt))
            return Tried(opened=False, why=_LOCKED)
        wait = "" if attempt.wait_until is None else f": {_wait(attempt.wait_until, session.clock.now())}"
        return Tried(opened=False, why=f"that is not the PIN{wait}")
    perform(session, Permission.READ, {}, int, lambda change: _forget_failures(change, attempt))
    return Tried(opened=True)


class _Attempt(Struct, frozen=True, kw_only=True):
    """An attempt that counts, by its number, with the hash that it is compared with; or why there is none."""

    hash: str = ""
    number: int = 0
    wait_until: datetime | None = None
    why: str = ""


_LOCKED: Final = "too many wrong PINs: locked until a manager sets a new one"


def _wait(until: datetime, now: datetime) -> str:
    minutes = max(1, -(-(until - now) // _FIRST_WAIT))
    return f"wait {minutes} {'minute' if minutes == 1 else 'minutes'} before the next"


def _lock_out(change: Change, attempt: _Attempt) -> int:
    """Note that the last attempt was wrong, unless a new PIN was set meanwhile."""
    found = AdminPin.select().where(AdminPin.hash == attempt.hash).exists()
    if found:
        change.record("lock_pin", subject=change.admin.name, after={"failures": attempt.number})
    return int(found)


def _forget_failures(change: Change, attempt: _Attempt) -> int:
    """The PIN was right: the wrong ones before it are forgotten. One that others locked meanwhile stays locked."""
    ours = (AdminPin.hash == attempt.hash) & ((AdminPin.failures < MOST_FAILURES) | (attempt.number == MOST_FAILURES))
    return int(AdminPin.update(failures=0, wait_until=None).where(ours).execute())


def _change(session: Session, name: str, act: Callable[[Change, Any], None]) -> AdminRecord:
    """`act` on an admin's PIN: on one's own, while it takes attempts; else as a manager."""
    own = name == session.admin

    def work(change: Change) -> AdminRecord:
        row = Admin.get_or_none(Admin.name == name)
        if row is None:
            near = nearest(name, [each.name for each in Admin.select()])
            raise NotFound(f"no admin is called {name!r}{f': {near}' if near else ''}")
        locked = AdminPin.select().where((AdminPin.admin == row) & (AdminPin.failures >= MOST_FAILURES)).exists()
        if own and locked and not access.may(change.admin.role, Permission.ADMINS):
            raise NotAllowed(f"the PIN of {name} is locked: ask a manager to set it anew")
        act(change, row)
        return access.record(row)

    return perform(session, Permission.PIN if own else Permission.ADMINS, {}, AdminRecord, work)


def _hasher() -> PasswordHasher:
    # Who sets or tries a PIN waits for it, nobody else.
    from argon2 import PasswordHasher

    return PasswordHasher()


def _matches(hashed: str, pin: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(hashed, pin)
    except (VerificationError, InvalidHashError):
        return False
