"""Every action on an order, in every role, by its key in Payments: offered to who may, refused to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from smartsub_tui.billing import bulk, orders
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.terms import Months
from smartsub_tui.commands import OF_TRIGGER
from smartsub_tui.data.database import open_database, url_of
from smartsub_tui.data.models import Order, Payment
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName, Role, Trigger
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.widgets.frame import KeyLine
from tests.screens.stage import drawn, make_database, on_stage, press, toasts, until
from tests.support import NOW, TODAY, add_office, add_order, add_people, session_on

pytestmark = pytest.mark.once

OPERATOR, MANAGER = Role.OPERATOR, Role.MANAGER
BOTH, ONE = frozenset({OPERATOR, MANAGER}), frozenset({MANAGER})
# By hand from the description of the roles; each with a filter that shows an order to which it can be done.
WHO: Final[dict[Trigger, tuple[frozenset[Role], str]]] = {
    Trigger.PAY: (BOTH, "status:processing"),
    Trigger.CONFIRM: (BOTH, "status:system_processing"),
    Trigger.FAIL: (BOTH, "status:system_processing"),
    Trigger.AGAIN: (BOTH, "status:failed"),
    Trigger.CANCEL: (ONE, "status:processing"),
    Trigger.DELETE: (ONE, "status:failed"),
    Trigger.RESTORE: (ONE, "is:deleted"),
    Trigger.APPLY: (BOTH, "is:unapplied"),
    Trigger.REFUND: (ONE, "is:unapplied"),
    Trigger.CREDIT: (ONE, "status:succeed"),
}


def test_every_action_is_in_the_matrix() -> None:
    assert set(WHO) == set(OF_TRIGGER)


def fill() -> None:
    office = add_office()
    add_people(office, "paid", expires_on=TODAY)
    people = add_people(office, *(f"u{place}" for place in range(5)), expires_on=TODAY)
    for person, status in zip(people, (each for each in OrderStatus if each is not OrderStatus.SUCCEED), strict=True):
        add_order(office, [person], status)
    Order.update(deleted_at=NOW).where(Order.status == OrderStatus.CANCEL).execute()
    Payment.create(
        order=Order.get(Order.status == OrderStatus.TIME_OUT),
        provider=ProviderName.MANUAL,
        state=PaymentState.SUCCEEDED,
        idempotency_key="waits",
        amount=Order.get(Order.status == OrderStatus.TIME_OUT).total,
        currency="EUR",
        created_at=NOW,
        changed_at=NOW,
        created_by="manager",
    )


@pytest.mark.parametrize(("role", "may"), [(Role.VIEWER, False), (Role.MANAGER, True)])
async def test_what_can_be_done_to_marked_orders_is_for_who_may(tmp_path: Path, role: Role, may: bool) -> None:
    path = make_database(tmp_path, fill, role)
    async with on_stage(path, start="payments", role=role) as (app, pilot):
        await press(pilot, "plus")
        assert "marked" in drawn(app)
        offered = {OF_TRIGGER[trigger].id for trigger in bulk.TRIGGERS}
        assert offered & set(app.screen.query_one(KeyLine).shown) == (offered if may else set())


@pytest.mark.whole
@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
@pytest.mark.parametrize("trigger", WHO, ids=lambda trigger: trigger.value)
async def test_a_key_is_for_who_may(tmp_path: Path, trigger: Trigger, role: Role) -> None:
    path = make_database(tmp_path, fill, role)
    database = open_database(url_of(path))
    orders.renew(session_on(database), "Oak House", ["paid"], Months(1), paying=Manual("R"))
    database.close()
    (who, filter_text), command = WHO[trigger], OF_TRIGGER[trigger]
    async with on_stage(path, start="payments", filter_text=filter_text, role=role) as (app, pilot):
        shown: Any = app.screen.query_one(KeyLine).shown
        assert (command.id in shown) is (role in who)
        await press(pilot, command.key)
        if role in who:
            await until(pilot, lambda: not isinstance(app.screen, PaymentsScreen))
            assert toasts(app) == []
        else:
            assert isinstance(app.screen, PaymentsScreen)
            (told,) = toasts(app)
            assert told.startswith(f"{command.label}: not possible, ")
            assert "may not" in told
