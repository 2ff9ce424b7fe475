"""Who may do what: every role and every permission, asked inside the transaction of the write."""

from __future__ import annotations

import os
import pwd
from typing import Any

import pytest
from msgspec.structs import replace

from smartsub_tui.billing import access, orders, payments
from smartsub_tui.billing.access import Permission, check, found_manager, may, process_admin, with_article
from smartsub_tui.billing.changes import Change, perform
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.database import Database
from smartsub_tui.data.models import Admin
from smartsub_tui.data.vocabulary import Role, Trigger
from smartsub_tui.errors import NotAllowed
from tests.support import NOW, TODAY, add_office, add_people, add_prices, as_role, dump

VIEWER, OPERATOR, MANAGER, AUDITOR = Role

# Written out by hand from the description of the roles; who is not named may not.
MAY: dict[Permission | Trigger, set[Role]] = {
    Permission.READ: {VIEWER, OPERATOR, MANAGER, AUDITOR},
    Permission.EXPORT: {VIEWER, OPERATOR, MANAGER, AUDITOR},
    Permission.EXPORT_ALL: {AUDITOR},
    Permission.CREATE: {OPERATOR, MANAGER},
    Permission.SWEEP: {OPERATOR, MANAGER},
    Permission.IMPORT: {MANAGER},
    Permission.BACK_UP: {MANAGER},
    Permission.KEEP: {VIEWER, OPERATOR, MANAGER, AUDITOR},
    Permission.SHARE: {MANAGER},
    Permission.ADMINS: {MANAGER},
    Permission.PIN: {VIEWER, OPERATOR, MANAGER, AUDITOR},
    Trigger.PAY: {OPERATOR, MANAGER},
    Trigger.CONFIRM: {OPERATOR, MANAGER},
    Trigger.FAIL: {OPERATOR, MANAGER},
    Trigger.TIME_OUT: {OPERATOR, MANAGER},
    Trigger.AGAIN: {OPERATOR, MANAGER},
    Trigger.APPLY: {OPERATOR, MANAGER},
    Trigger.CANCEL: {MANAGER},
    Trigger.DELETE: {MANAGER},
    Trigger.RESTORE: {MANAGER},
    Trigger.LINK: {OPERATOR, MANAGER},
    Trigger.REFUND: {MANAGER},
    Trigger.CREDIT: {MANAGER},
    Trigger.UNDER_WAY: {OPERATOR, MANAGER},
    Trigger.ARRIVE: {OPERATOR, MANAGER},
    Trigger.NOT_TAKEN: {OPERATOR, MANAGER},
    Trigger.DECLINE: {OPERATOR, MANAGER},
}


def test_every_permission_is_decided_here() -> None:
    assert set(MAY) == {*Permission, *Trigger}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", MAY, ids=lambda permission: permission.value)
def test_a_role_may_what_it_may_and_nothing_else(
    session: Session, permission: Permission | Trigger, role: Role
) -> None:
    worked: list[Change] = []

    def work(change: Change) -> str:
        worked.append(change)
        return "done"

    worker = as_role(session, role)
    assert may(role, permission) is (role in MAY[permission])
    if role in MAY[permission]:
        assert perform(worker, permission, {}, str, work) == "done"
        assert (worked[0].admin.name, worked[0].admin.role) == (role.value, role)
    else:
        with pytest.raises(NotAllowed) as refused:
            perform(worker, permission, {}, str, work)
        able = next(each for each in Role if each in MAY[permission])
        assert refused.value.message == (
            f"{role.value} is {role.label} here and may not {permission.label}: ask {with_article(able)}"
        )
        assert refused.value.exit_code == 4
        assert worked == []


def test_articles() -> None:
    assert [with_article(role) for role in Role] == ["a viewer", "an operator", "a manager", "an auditor"]


def test_an_unknown_admin_may_nothing(session: Session) -> None:
    stranger = replace(session, admin="stranger")
    for permission in MAY:
        with pytest.raises(NotAllowed, match="stranger is no admin of this database: ask one of its managers"):
            perform(stranger, permission, {}, str, lambda _: "done")


def test_names_of_admins_are_not_guessed(session: Session) -> None:
    for name in ("Manager", "manager ", ""):
        with pytest.raises(NotAllowed):
            check(name, Permission.READ)


def test_a_disabled_admin_may_nothing(session: Session) -> None:
    Admin.update(disabled_at=NOW).execute()
    for permission in MAY:
        with pytest.raises(NotAllowed, match="manager is disabled: ask a manager of this database"):
            perform(session, permission, {}, str, lambda _: "done")


def test_the_check_is_made_inside_the_transaction(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nobody's role can change between the check and the write."""
    inside: list[bool] = []
    real = access.check

    def spy(name: str, permission: Permission | Trigger) -> Any:
        inside.append(session.database.in_transaction())
        return real(name, permission)

    monkeypatch.setattr(access, "check", spy)
    perform(session, Permission.CREATE, {}, str, lambda _: "done")
    assert inside == [True]


def test_a_role_that_changed_counts_from_the_next_write(session: Session) -> None:
    add_prices()
    add_people(add_office(), "u1", expires_on=TODAY)
    number = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
    Admin.update(role=OPERATOR).execute()
    before = dump(session.database)
    with pytest.raises(NotAllowed, match="manager is operator here and may not cancel: ask a manager"):
        payments.cancel(session, number, "x")
    assert dump(session.database) == before
    payments.pay(session, number, Manual("R"))
    Admin.update(role=VIEWER).execute()
    with pytest.raises(NotAllowed):
        orders.renew(session, "Oak House", ["u1"], Months(1))


# Who works


def test_the_admin_of_a_process_is_its_user_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "somebody-else")
    assert process_admin() == pwd.getpwuid(os.getuid()).pw_name


def test_a_user_without_an_entry_goes_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> Any:
        raise KeyError(uid)

    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert process_admin() == "uid1000"


def test_who_creates_a_database_is_its_manager_and_nobody_after(database: Database) -> None:
    assert found_manager("ann", NOW) is True
    assert found_manager("bob", NOW) is False
    assert [(row.name, row.role, row.created_at) for row in Admin.select()] == [("ann", MANAGER, NOW)]
