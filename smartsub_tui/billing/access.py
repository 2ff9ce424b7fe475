"""Who may do what. Every write asks here first, inside its own transaction; screens and commands only mirror it."""

from __future__ import annotations

import os
import pwd
from datetime import datetime
from typing import Final

from smartsub_tui.data.models import Admin
from smartsub_tui.data.records import AdminRecord
from smartsub_tui.data.vocabulary import Role, Trigger, Word
from smartsub_tui.errors import NotAllowed


class Permission(Word):
    """What is not a trigger of the life of an order; `Trigger` values are permissions too."""

    READ = "read", "look at offices, users and orders"
    EXPORT = "export", "export orders and users"
    EXPORT_ALL = "export_all", "export everything, the audit trail too"
    CREATE = "create", "order activations and renewals"
    SWEEP = "sweep", "time out what is due, and ask providers again"
    IMPORT = "import", "import prices, users and orders"
    BACK_UP = "back_up", "back up the database"
    KEEP = "keep", "save filters for themselves"
    SHARE = "share", "save filters for everyone"


_Rights = frozenset[Permission | Trigger]
_VIEWER: Final[_Rights] = frozenset({Permission.READ, Permission.EXPORT, Permission.KEEP})
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
    },
    Role.AUDITOR: _VIEWER | {Permission.EXPORT_ALL},
}


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
    row = Admin.get_or_none(Admin.name == name)
    if row is None:
        raise NotAllowed(f"{name} is no admin of this database: ask one of its managers")
    admin = AdminRecord(name=row.name, role=row.role, created_at=row.created_at, disabled_at=row.disabled_at)
    if admin.disabled_at is not None:
        raise NotAllowed(f"{name} is disabled: ask a manager of this database")
    if not may(admin.role, permission):
        able = next(role for role in Role if may(role, permission))
        raise NotAllowed(f"{name} is {admin.role.label} here and may not {permission.label}: ask {with_article(able)}")
    return admin


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
