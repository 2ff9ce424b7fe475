"""Who may do what. Every write asks here first, inside its own transaction; screens and commands only mirror it."""

from __future__ import annotations

import os
import pwd
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace
from peewee import SQL, fn

from smartsub_tui.data.database import Database, rows
from smartsub_tui.data.models import Admin, AdminLimit, AdminOffice, Office
from smartsub_tui.data.money import Money
from smartsub_tui.data.records import AdminRecord
from smartsub_tui.data.vocabulary import Role, Trigger, Word
from smartsub_tui.errors import NotAllowed


class Permission(Word):
    """What is not a trigger of the life of an order; `Trigger` values are permissions too."""

    READ = "read", "look at offices, users and orders"
    EXPORT = "export", "export orders and users"
    EXPORT_ALL = "export_all", "export the audit trail"
    CREATE = "create", "order activations and renewals"
    SWEEP = "sweep", "time out what is due, and ask providers again"
    IMPORT = "import", "import prices, users and orders"
    BACK_UP = "back_up", "back up the database"
    KEEP = "keep", "save filters for themselves"
    SHARE = "share", "save filters for everyone"
    ADMINS = "admins", "say who the admins are"
    PIN = "pin", "set their own PIN"


_Rights = frozenset[Permission | Trigger]
_VIEWER: Final[_Rights] = frozenset({Permission.READ, Permission.EXPORT, Permission.KEEP, Permission.PIN})
_OPERATOR: Final[_Rights] = _VIEWER | {
    Permission.CREATE,
    Permission.SWEEP,
    Trigger.PAY,
    Trigger.LINK,
    Trigger.CONFIRM,
    Trigger.FAIL,
    Trigger.APPLY,
    Trigger.AGAIN,
    Trigger.TIME_OUT,
    Trigger.UNDER_WAY,
    Trigger.ARRIVE,
    Trigger.NOT_TAKEN,
    Trigger.DECLINE,
}
PERMISSIONS: Final[dict[Role, _Rights]] = {
    Role.VIEWER: _VIEWER,
    Role.OPERATOR: _OPERATOR,
    Role.MANAGER: _OPERATOR
    | {
        Trigger.CANCEL,
        Trigger.DELETE,
        Trigger.RESTORE,
        Trigger.REFUND,
        Trigger.CREDIT,
        Permission.IMPORT,
        Permission.BACK_UP,
        Permission.SHARE,
        Permission.ADMINS,
    },
    Role.AUDITOR: _VIEWER | {Permission.EXPORT_ALL},
}


# What an operator's limit holds for: taking money for an order, or opening a link by which it comes.
LIMITED: Final = frozenset({Trigger.PAY, Trigger.LINK, Trigger.CONFIRM, Trigger.APPLY})

# What concerns every office, and is for those who work for all of them.
OF_ALL_OFFICES: Final = frozenset(
    {Permission.EXPORT_ALL, Permission.IMPORT, Permission.BACK_UP, Permission.ADMINS, Permission.SHARE}
)


def process_admin() -> str:
    """The admin of this process where none is named: its user's name, never one from the environment."""
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid{uid}"


def may(role: Role, permission: Permission | Trigger) -> bool:
    """Whether `role` has `permission`."""
    return permission in PERMISSIONS[role]


def check(name: str, permission: Permission | Trigger) -> AdminRecord:
    """The admin of that name; raises NotAllowed where there is none, it is disabled, or its role may not."""
    row = _named(name)
    if row is None:
        raise NotAllowed(f"{name} is no admin of this database: ask one of its managers")
    admin = record(row, for_some=bool(row.for_some))
    if admin.disabled_at is not None:
        raise NotAllowed(f"{name} is disabled: ask a manager of this database")
    if not may(admin.role, permission):
        able = next(role for role in Role if may(role, permission))
        raise NotAllowed(f"{name} is {admin.role.label} here and may not {permission.label}: ask {with_article(able)}")
    if admin.offices is not None and permission in OF_ALL_OFFICES:
        raise NotAllowed(f"{name} works for some offices only and may not {permission.label}: ask who works for all")
    return admin


def who_offers(database: Database, name: str) -> AdminRecord:
    """As check() for READ, for what is offered: where nothing can be changed here, nobody may more than look."""
    admin = check(name, Permission.READ)
    return replace(admin, role=Role.VIEWER) if database.reads_only and admin.role is not Role.AUDITOR else admin


def see_as(database: Database, name: str) -> None:
    """Let there be only what the admin may see, from now on; where there is no such admin, nothing is changed."""
    row = _named(name)
    if row is not None:
        database.see_only(row.id if row.for_some else None)


def _named(name: str) -> Any:
    """The row of an admin, and `for_some`: whether they do not work for all offices. All in one question: each write
    asks it while it keeps the others from writing.
    """
    some = fn.EXISTS(AdminOffice.select(SQL("1")).where(AdminOffice.admin == Admin.id))
    return Admin.select(Admin, some.alias("for_some")).where(Admin.name == name).first()


def _works_for_some(row: Admin) -> bool:
    return bool(AdminOffice.select().where(AdminOffice.admin == row).exists())


def record(row: Admin, *, for_some: bool | None = None) -> AdminRecord:
    """An admin with the limits that hold for the role, and the offices; `for_some`, where it is known whether these are
    not all.
    """
    limits: tuple[Money, ...] = ()
    if row.role is Role.OPERATOR:
        found = AdminLimit.select().where(AdminLimit.admin == row).order_by(AdminLimit.currency)
        limits = tuple(Money(each.amount, each.currency) for each in found)
    offices: tuple[str, ...] | None = None
    if _works_for_some(row) if for_some is None else for_some:
        named = Office.select(Office.name).join(AdminOffice).where(AdminOffice.admin == row)
        offices = tuple(name for (name,) in rows(named.order_by(Office.name_folded, Office.id)))
    return AdminRecord(
        name=row.name,
        role=row.role,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        limits=limits,
        offices=offices,
    )


def above_limit(admin: AdminRecord, trigger: Trigger, total: Money, money: int | None = None) -> str:
    """Why this is more than the admin may pull `trigger` for; empty where it is not.

    `total` is the order's, `money` what came for it, in minor units, where that may be otherwise: both count.
    """
    most = max(total.amount, money or 0)
    if trigger not in LIMITED or not admin.limits or most == 0:
        return ""
    limit = next((each for each in admin.limits if each.currency == total.currency), None)
    if limit is None:
        return f"{admin.name} has no limit in {total.currency}, and takes no money in it: ask a manager"
    if most > limit.amount:
        what = f"its total, {total}," if total.amount > limit.amount else f"{Money(most, total.currency)}"
        return f"{what} is above the limit of {admin.name}, {limit}: ask a manager"
    return ""


def with_article(role: Role) -> str:
    """ "a viewer", "an operator"."""
    return f"{'an' if role.label[0] in 'aeiou' else 'a'} {role.label}"


def has_admins() -> bool:
    """Whether the database has any admin."""
    return bool(Admin.select().exists())


def found_manager(name: str, now: datetime) -> bool:
    """Make `name` the manager of a database without admins; whether that was so. Who creates it is its manager."""
    if has_admins():
        return False
    Admin.create(name=name, role=Role.MANAGER, created_at=now)
    return True
