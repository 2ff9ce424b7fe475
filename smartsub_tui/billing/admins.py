"""The admins of a database: in which role each is, for which offices, and up to which total an operator takes money.

Managers say so. It holds from the next action of that admin on, in whatever process they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Final

from msgspec import Struct

from smartsub_tui.billing.access import Permission, record
from smartsub_tui.billing.changes import Change, perform
from smartsub_tui.billing.session import Session
from smartsub_tui.data.models import Admin, AdminLimit, AdminOffice
from smartsub_tui.data.money import LARGEST, Money
from smartsub_tui.data.queries import find_office, nearest
from smartsub_tui.data.records import AdminRecord
from smartsub_tui.data.vocabulary import Role
from smartsub_tui.errors import NotFound, Refused, WrongUsage

# Of ASCII alone: no two names look alike, and each can stand in a command and in authorized_keys.
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}")


class Changed(Struct, frozen=True, kw_only=True):
    """What is to be otherwise with an admin; None stays as it is."""

    role: Role | None = None
    limits: tuple[Money, ...] | None = None  # empty: none
    offices: tuple[str, ...] | None = None  # empty: all


def is_name(name: str) -> bool:
    """Whether an admin can be called so."""
    return _NAME.fullmatch(name) is not None


def admins(session: Session) -> list[AdminRecord]:
    """All admins, those who may no more too, by name. In a reading session."""
    return [record(row) for row in Admin.select().order_by(Admin.name)]


def add(
    session: Session,
    name: str,
    role: Role,
    limits: Collection[Money] = (),
    offices: Collection[str] = (),
    *,
    request_id: str | None = None,
    dry_run: bool = False,
) -> AdminRecord:
    """Make an admin, who works for all offices, or for those that are named.

    Raises WrongUsage for a name or limits that are none, NotFound for an office, Refused where the name is taken,
    NotAllowed.
    """
    if not is_name(name):
        raise WrongUsage(f"{name!r} is no name of an admin: write 1 to 64 letters a to z, digits and . _ - @")
    wanted = _limits(role, limits)

    def work(change: Change) -> AdminRecord:
        for each in Admin.select():
            if each.name.casefold() == name.casefold():
                raise Refused(f"{each.name} is an admin already, {each.role.label}: smartsub admin change {each.name}")
        row = Admin.create(name=name, role=role, created_at=change.now)
        _store(row, wanted)
        _store_offices(row, offices)
        made = record(row)
        change.record("add_admin", subject=name, after=_columns(made))
        return made

    arguments = {"add": name, "role": role, "limits": wanted, "offices": list(offices)}
    return perform(session, Permission.ADMINS, arguments, AdminRecord, work, request_id=request_id, dry_run=dry_run)


def change(
    session: Session, name: str, changed: Changed, *, request_id: str | None = None, dry_run: bool = False
) -> AdminRecord:
    """Give an admin another role, other limits or other offices. The limits of one who is no operator any more wait
    until they are again.

    Raises NotFound, naming the nearest; WrongUsage; Refused where no manager of all would be left; NotAllowed.
    """

    def work(change: Change, row: Any, before: AdminRecord) -> None:
        row.role = changed.role or before.role
        row.save()
        if changed.limits is not None:
            _store(row, _limits(row.role, changed.limits))
        if changed.offices is not None:
            _store_offices(row, changed.offices)

    limits = changed.limits if changed.limits is None else sorted(changed.limits, key=lambda limit: limit.currency)
    arguments = {"change": name, "role": changed.role, "limits": limits, "offices": changed.offices}
    return _change(session, "change_admin", name, arguments, work, request_id, dry_run)


def disable(session: Session, name: str, *, request_id: str | None = None, dry_run: bool = False) -> AdminRecord:
    """Let an admin do nothing any more; the name stays, with all that was done under it. Raises as `change`."""

    def work(change: Change, row: Any, _: AdminRecord) -> None:
        row.disabled_at = row.disabled_at or change.now
        row.save()

    return _change(session, "disable_admin", name, {"disable": name}, work, request_id, dry_run)


def enable(session: Session, name: str, *, request_id: str | None = None, dry_run: bool = False) -> AdminRecord:
    """Let an admin who was disabled work again, as before. Raises as `change`."""

    def work(_: Change, row: Any, __: AdminRecord) -> None:
        row.disabled_at = None
        row.save()

    return _change(session, "enable_admin", name, {"enable": name}, work, request_id, dry_run)


def row_of(name: str) -> Any:
    """The row of the admin of that name. Raises NotFound, naming the nearest."""
    row = Admin.get_or_none(Admin.name == name)
    if row is None:
        near = nearest(name, [each.name for each in Admin.select()])
        raise NotFound(f"no admin is called {name!r}{f': {near}' if near else ''}")
    return row


def _change(
    session: Session,
    action: str,
    name: str,
    arguments: dict[str, Any],
    act: Callable[[Change, Any, AdminRecord], None],
    request_id: str | None,
    dry_run: bool,
) -> AdminRecord:
    """`act` on the row of an admin; without an event where all is as before."""

    def work(change: Change) -> AdminRecord:
        row = row_of(name)
        before = record(row)
        act(change, row, before)
        of_all = Admin.id.not_in(AdminOffice.select(AdminOffice.admin))
        if not Admin.select().where((Admin.role == Role.MANAGER) & Admin.disabled_at.is_null() & of_all).exists():
            raise Refused(f"{name} is the only manager of all offices: make another one first")
        after = record(row)
        if after != before:
            change.record(action, subject=name, before=_columns(before), after=_columns(after))
        return after

    return perform(session, Permission.ADMINS, arguments, AdminRecord, work, request_id=request_id, dry_run=dry_run)


def _limits(role: Role, limits: Collection[Money]) -> tuple[Money, ...]:
    if limits and role is not Role.OPERATOR:
        raise WrongUsage(f"limits are an operator's, and this is {role.label}: leave them out")
    by_currency = {each.currency: each for each in limits}
    if len(by_currency) < len(limits):
        raise WrongUsage("two limits in one currency: write one of each")
    for each in limits:
        if not 0 <= each.amount <= LARGEST:
            raise WrongUsage(f"a limit is between 0 and {Money(LARGEST, each.currency)}")
    return tuple(by_currency[currency] for currency in sorted(by_currency))


def _store(row: Any, limits: Collection[Money]) -> None:
    AdminLimit.delete().where(AdminLimit.admin == row).execute()
    for each in limits:
        AdminLimit.create(admin=row, currency=each.currency, amount=each.amount)


def _store_offices(row: Any, names: Collection[str]) -> None:
    AdminOffice.delete().where(AdminOffice.admin == row).execute()
    for office in {each.id: each for each in map(find_office, names)}.values():
        AdminOffice.create(admin=row, office=office)


def _columns(admin: AdminRecord) -> dict[str, Any]:
    return {
        "role": admin.role,
        "limits": list(admin.limits),
        "offices": admin.offices,
        "disabled": admin.disabled_at is not None,
    }
