"""The admins: made, changed, disabled and enabled by managers, and up to which total an operator takes money."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from smartsub_tui.billing import admins, bulk, links, orders, payments
from smartsub_tui.billing.access import above_limit
from smartsub_tui.billing.admins import Changed
from smartsub_tui.billing.payments import BankTransfer, ByLink, Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.models import AuditEvent, Order, Payment
from smartsub_tui.data.money import Money
from smartsub_tui.data.records import AdminRecord
from smartsub_tui.data.vocabulary import OrderStatus, Role, Trigger
from smartsub_tui.errors import AboveLimit, NotAllowed, NotFound, Refused, WrongUsage
from tests.billing.paying import held, paying_by
from tests.providers import running
from tests.support import NOW, TODAY, FixedClock, add_office, add_people, add_prices, admin_record, as_role, dump

EURO_20 = Money(2000, "EUR")


def events() -> list[tuple[str, str | None, Any, Any]]:
    def read(text: str | None) -> Any:
        return None if text is None else json.loads(text)

    return [
        (each.action, each.subject, read(each.before), read(each.after))
        for each in AuditEvent.select().order_by(AuditEvent.id)
    ]


def made_viewer(session: Session, name: str) -> AdminRecord:
    return admins.change(session, name, Changed(role=Role.VIEWER))


def test_a_manager_makes_changes_disables_and_enables_an_admin(session: Session) -> None:
    ann = admins.add(session, "ann", Role.OPERATOR, [EURO_20])
    assert ann == AdminRecord(name="ann", role=Role.OPERATOR, created_at=NOW, disabled_at=None, limits=(EURO_20,))
    assert admins.admins(session)[0] == ann
    more = (Money(50000, "EUR"), Money(7, "USD"))
    assert admins.change(session, "ann", Changed(limits=more[::-1])) == replace(ann, limits=more)
    assert admins.disable(session, "ann") == replace(ann, limits=more, disabled_at=NOW)
    assert admins.enable(session, "ann") == replace(ann, limits=more)
    assert admins.change(session, "ann", Changed(role=Role.VIEWER)) == replace(ann, role=Role.VIEWER, limits=())
    assert admins.change(session, "ann", Changed(role=Role.OPERATOR)) == replace(ann, limits=more)
    assert admins.change(session, "ann", Changed(limits=())) == replace(ann, limits=())
    columns = {"role": "operator", "offices": None, "disabled": False}
    money = [{"amount": each.amount, "currency": each.currency} for each in more]
    first, second = {**columns, "limits": [{"amount": 2000, "currency": "EUR"}]}, {**columns, "limits": money}
    assert events()[:4] == [
        ("add_admin", "ann", None, first),
        ("change_admin", "ann", first, second),
        ("disable_admin", "ann", second, {**second, "disabled": True}),
        ("enable_admin", "ann", {**second, "disabled": True}, second),
    ]


def test_what_changes_nothing_leaves_no_event(session: Session) -> None:
    admins.add(session, "ann", Role.VIEWER)
    admins.disable(session, "ann")
    before = dump(session.database)
    admins.disable(session, "ann")
    admins.change(session, "ann", Changed(role=Role.VIEWER))
    assert dump(session.database) == before


def test_a_dry_run_stores_nothing_and_a_repeat_does_nothing(session: Session) -> None:
    before = dump(session.database)
    assert admins.add(session, "ann", Role.VIEWER, dry_run=True).name == "ann"
    assert dump(session.database) == before
    made = admins.add(session, "ann", Role.OPERATOR, [EURO_20], request_id="r")
    assert admins.add(session, "ann", Role.OPERATOR, [EURO_20], request_id="r") == made
    with pytest.raises(Refused, match="request id r was used for something else"):
        admins.add(session, "ann", Role.OPERATOR, request_id="r")
    before = dump(session.database)
    assert admins.change(session, "ann", Changed(role=Role.VIEWER), dry_run=True).role is Role.VIEWER
    assert dump(session.database) == before


@pytest.mark.parametrize("name", ["", "ann ", "a b", "-x", ".x", "änn", "a/b", "a'b", "a\x1b", "x" * 65])
def test_a_name_is_plain(session: Session, name: str) -> None:
    with pytest.raises(WrongUsage, match="is no name of an admin: write 1 to 64 letters a to z, digits and"):
        admins.add(session, name, Role.VIEWER)


@pytest.mark.parametrize("name", ["_", "ann.lee", "ann-lee", "Ann_1", "ann@example.com", "uid1000", "x" * 64])
def test_names_of_accounts_and_addresses_are_names(session: Session, name: str) -> None:
    assert admins.add(session, name, Role.VIEWER).name == name


def test_nobody_is_there_twice_in_another_case(session: Session) -> None:
    admins.add(session, "ann", Role.OPERATOR)
    for name in ("ann", "Ann", "ANN"):
        with pytest.raises(Refused, match="ann is an admin already, operator: smartsub admin change ann"):
            admins.add(session, name, Role.VIEWER)


def test_who_is_not_there_is_not_found_and_the_nearest_is_named(session: Session) -> None:
    admins.add(session, "barbara", Role.OPERATOR)
    for act in (admins.disable, admins.enable, made_viewer):
        with pytest.raises(NotFound, match=r"no admin is called 'barbra': did you mean 'barbara'\?"):
            act(session, "barbra")
        with pytest.raises(NotFound, match=r"no admin is called 'zz'$"):
            act(session, "zz")


def test_limits_are_an_operator_s(session: Session) -> None:
    with pytest.raises(WrongUsage, match="limits are an operator's, and this is manager: leave them out"):
        admins.add(session, "ann", Role.MANAGER, [EURO_20])
    admins.add(session, "ann", Role.OPERATOR, [EURO_20])
    with pytest.raises(WrongUsage, match="limits are an operator's, and this is viewer"):
        admins.change(session, "ann", Changed(role=Role.VIEWER, limits=(EURO_20,)))
    with pytest.raises(WrongUsage, match="two limits in one currency: write one of each"):
        admins.change(session, "ann", Changed(limits=(EURO_20, Money(1, "EUR"))))
    for wrong in (-1, 10**15 + 1):
        with pytest.raises(WrongUsage, match=r"a limit is between 0 and EUR 10,000,000,000,000.00"):
            admins.change(session, "ann", Changed(limits=(Money(wrong, "EUR"),)))
    assert admins.change(session, "ann", Changed(limits=(Money(10**15, "EUR"), Money(0, "USD")))).limits[1].amount == 0


def test_a_manager_is_always_left(session: Session) -> None:
    before = dump(session.database)
    for act in (admins.disable, made_viewer):
        with pytest.raises(Refused, match="manager is the only manager of all offices: make another one first"):
            act(session, "manager")
    assert dump(session.database) == before
    admins.add(session, "ann", Role.MANAGER)
    assert admins.disable(session, "manager").disabled_at == NOW
    with pytest.raises(NotAllowed, match="manager is disabled: ask a manager of this database"):
        admins.enable(session, "manager")
    with pytest.raises(Refused, match="ann is the only manager of all offices"):
        admins.disable(replace(session, admin="ann"), "ann")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.AUDITOR])
def test_only_managers_say_who_works_here(session: Session, role: Role) -> None:
    other = as_role(session, role)
    before = dump(session.database)
    acts: list[Callable[[], Any]] = [
        lambda: admins.add(other, "ann", Role.VIEWER),
        lambda: admins.change(other, "manager", Changed(role=Role.VIEWER)),
        lambda: admins.disable(other, "manager"),
        lambda: admins.enable(other, "manager"),
    ]
    for act in acts:
        with pytest.raises(NotAllowed, match="may not say who the admins are: ask a manager"):
            act()
    assert dump(session.database) == before


# Limits

TOTAL = Money(1190, "EUR")  # of two people for a month
LIMIT = Money(1189, "EUR")


@pytest.fixture
def number(session: Session) -> str:
    """An order by an operator who takes money up to a cent less than its total."""
    add_prices()
    add_people(add_office(), "u1", "u2", "u3", "u4", expires_on=TODAY)
    admins.add(session, "ann", Role.OPERATOR, [LIMIT])
    made = orders.renew(replace(session, admin="ann"), "Oak House", ["u1", "u2"], Months(1)).order
    assert made.total == TOTAL
    return made.number


@pytest.fixture
def ann(session: Session) -> Session:
    return replace(session, admin="ann")


ABOVE: dict[str, tuple[str, Callable[[Session, str], Any]]] = {
    "money": ("be paid", lambda ann, number: payments.pay(ann, number, Manual("R"))),
    "a part of it": ("be paid", lambda ann, number: payments.pay(ann, number, Manual("R", 1))),
    "a transfer": ("be paid", lambda ann, number: payments.pay(ann, number, BankTransfer())),
    "late money": ("be confirmed", lambda ann, number: payments.confirm(ann, number, Manual("R"))),
}


@pytest.mark.parametrize("way", ABOVE)
def test_above_the_limit_no_money_is_taken_and_nothing_is_stored(
    session: Session, number: str, ann: Session, way: str
) -> None:
    before, (verb, act) = dump(session.database), ABOVE[way]
    with pytest.raises(NotAllowed) as refused:
        act(ann, number)
    assert refused.value.message == (
        f"order {number} cannot {verb}: its total, EUR 11.90, is above the limit of ann, EUR 11.89: ask a manager"
    )
    assert refused.value.exit_code == 4
    assert dump(session.database) == before


def test_an_order_above_the_limit_is_not_made_where_it_is_to_be_paid_at_once(
    session: Session, number: str, ann: Session
) -> None:
    before = dump(session.database)
    with pytest.raises(NotAllowed, match="is above the limit of ann"):
        orders.renew(ann, "Oak House", ["u3", "u4"], Months(1), paying=Manual("R"))
    assert dump(session.database) == before
    made = orders.renew(ann, "Oak House", ["u3"], Months(1), paying=Manual("R")).order
    assert made.status is OrderStatus.SUCCEED


def test_waiting_money_is_not_applied_above_the_limit(session: Session, number: str, ann: Session) -> None:
    payments.cancel(session, number, "why")
    assert payments.confirm(session, number, Manual("R", 1)).waiting is not None
    Payment.update(amount=TOTAL.amount).execute()
    with pytest.raises(NotAllowed, match=r"cannot take the waiting money: its total, EUR 11.90, is above the limit"):
        payments.apply(ann, number)
    assert payments.apply(session, number).order.status is OrderStatus.SUCCEED


def test_above_the_limit_no_link_is_opened_and_none_of_another_is_ended(
    session: Session, number: str, clock: FixedClock
) -> None:
    with running(clock=clock) as server:
        paying = paying_by(session, server)
        ann = replace(paying, admin="ann")
        with pytest.raises(NotAllowed, match=r"cannot be paid by a link: its total, EUR 11\.90, is above"):
            held(ann, links.open_link(ann, number))
        assert server.books.sessions == {}
        held(paying, links.open_link(paying, number))
        by_hand = links.without_link(ann, Trigger.PAY, number, lambda: payments.pay(ann, number, Manual("R")))
        with pytest.raises(NotAllowed, match="above the limit of ann"):
            held(ann, by_hand)
        assert [each.status for each in server.books.sessions.values()] == ["open"]


def test_up_to_the_limit_it_is_taken(session: Session, number: str, ann: Session) -> None:
    admins.change(session, "ann", Changed(limits=(TOTAL,)))
    assert payments.pay(ann, number, Manual("R")).order.status is OrderStatus.SUCCEED


def test_a_currency_without_a_limit_takes_no_money_where_another_has_one(
    session: Session, number: str, ann: Session
) -> None:
    admins.change(session, "ann", Changed(limits=(Money(10**9, "USD"),)))
    with pytest.raises(NotAllowed, match="ann has no limit in EUR, and takes no money in it: ask a manager"):
        payments.pay(ann, number, Manual("R"))


def test_what_takes_no_money_has_no_limit(session: Session, number: str, ann: Session) -> None:
    Order.update(status=OrderStatus.SYSTEM_PROCESSING).where(Order.number == number).execute()
    assert payments.fail(ann, number, "why").status is OrderStatus.FAILED
    assert orders.again(ann, number).order.status is OrderStatus.PROCESSING


def test_what_is_offered_says_why_not(session: Session, number: str) -> None:
    known = {each.name: each for each in admins.admins(session)}
    offered = {each.trigger: each.reason for each in payments.offers(number, known["ann"], NOW)}
    assert offered[Trigger.PAY] == "its total, EUR 11.90, is above the limit of ann, EUR 11.89: ask a manager"
    assert offered[Trigger.CANCEL] == "an operator may not"
    assert Trigger.PAY not in payments.offers_of([number], known["ann"], NOW)[number]
    assert Trigger.PAY in payments.offers_of([number], known["manager"], NOW)[number]


def test_a_preview_of_many_leaves_out_what_is_above_the_limit(session: Session, number: str, ann: Session) -> None:
    preview = bulk.preview(ann, Trigger.PAY, [number])
    assert preview.items == ()
    assert preview.left_out[0].reason.startswith("its total, EUR 11.90, is above the limit of ann")
    assert len(bulk.preview(session, Trigger.PAY, [number]).items) == 1


def test_a_manager_has_no_limit_and_one_of_nothing_is_settled_by_anyone() -> None:
    for role in Role:
        assert above_limit(admin_record(role), Trigger.PAY, TOTAL) == ""
    none = admin_record(Role.OPERATOR, Money(0, "EUR"))
    assert above_limit(none, Trigger.PAY, Money(0, "EUR")) == ""
    assert above_limit(none, Trigger.PAY, Money(1, "EUR")) != ""
    assert above_limit(none, Trigger.CANCEL, Money(1, "EUR")) == ""


def test_no_more_money_than_the_limit_is_recorded_for_an_order_below_it(session: Session, number: str) -> None:
    small = orders.renew(session, "Oak House", ["u3"], Months(1)).order.number
    ann, before = replace(session, admin="ann"), dump(session.database)
    more = Manual("BIG", LIMIT.amount + 1)
    for act in (payments.pay, payments.confirm):
        with pytest.raises(AboveLimit, match=r"EUR 11\.90 is above the limit of ann, EUR 11\.89: ask a manager"):
            act(ann, small, more)
    assert dump(session.database) == before
    assert payments.pay(ann, small, Manual("ENOUGH", LIMIT.amount)).waiting is not None
    assert payments.pay(ann, small, Manual("R")).order.status is OrderStatus.SUCCEED
    with pytest.raises(AboveLimit):
        payments.confirm(ann, small, more, second=True)


def test_an_order_that_is_to_be_paid_by_a_link_above_the_limit_is_not_made(
    session: Session, number: str, ann: Session
) -> None:
    before = dump(session.database)
    for dry_run in (True, False):
        with pytest.raises(AboveLimit, match=r"cannot be paid by a link: its total, EUR 11\.90, is above the limit"):
            orders.renew(ann, "Oak House", ["u3", "u4"], Months(1), paying=ByLink(), dry_run=dry_run)
    assert dump(session.database) == before
    made = orders.renew(ann, "Oak House", ["u3"], Months(1), paying=ByLink()).order
    assert made.status is OrderStatus.PROCESSING


def test_one_order_above_the_limit_ends_no_payment_of_many(session: Session, number: str, ann: Session) -> None:
    small = [orders.renew(session, "Oak House", [key], Months(1)).order.number for key in ("u3", "u4")]
    admins.change(session, "ann", Changed(limits=(TOTAL,)))
    items = bulk.preview(ann, Trigger.PAY, [small[0], number, small[1]]).items
    admins.change(session, "ann", Changed(limits=(LIMIT,)))
    run = bulk.Move.new(Trigger.PAY, "R")
    assert ["above the limit" in run.do(ann, item).refused for item in items] == [False, True, False]
