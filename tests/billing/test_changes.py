"""The way of every write: what is due is timed out, nothing is half done, and every change leaves its event."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import peewee
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from smartsub_tui.billing import access, changes, invoices, orders, payments
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.audit import events_of, sentence
from smartsub_tui.billing.changes import Change, check_text, perform, sweep, time_out_due
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.payments import BankTransfer, Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.models import Admin, AuditEvent, Claim, Office, Order, Request, Subscription
from smartsub_tui.data.money import Money
from smartsub_tui.data.order_records import EventRecord
from smartsub_tui.data.vocabulary import LIVE_PAYMENT_STATES, OrderStatus, PaymentState, Role, Trigger
from smartsub_tui.errors import NotAllowed, Refused, SmartsubError, Unavailable, WrongUsage
from tests.support import (
    NOW,
    TODAY,
    FixedClock,
    add_office,
    add_order,
    add_payment,
    add_people,
    add_prices,
    as_role,
    claimed,
    dump,
)

PROCESSING, SYSTEM, SUCCEED, FAILED, TIME_OUT, CANCEL = OrderStatus
SOON = date(2026, 12, 22)


@pytest.fixture
def office(session: Session) -> Office:
    add_prices()
    made = add_office()
    add_people(made, "u1", "u2", "u3", expires_on=SOON)
    return made


@pytest.fixture
def due(session: Session, office: Office, clock: FixedClock) -> str:
    """An order of u1 whose time to pay has just passed."""
    number = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
    clock.advance(hours=24)
    return number


def status(number: str) -> OrderStatus:
    found: OrderStatus = Order.get(Order.number == number).status
    return found


# Timing out


def test_the_time_out_frees_the_people_and_says_so(session: Session, due: str, clock: FixedClock) -> None:
    clock.advance(minutes=7)
    assert time_out_due(session) == 1
    order = Order.get(Order.number == due)
    assert (order.status, order.status_since, order.version, order.paid_at) == (TIME_OUT, clock.now(), 2, None)
    assert claimed(due) == []
    event = read_order(due, clock.now(), session.settings).events[-1]
    assert (event.action, event.by, event.source, event.at) == ("time_out", "manager", "cli", clock.now())
    assert (event.before, event.after) == ({"status": "processing"}, {"status": "time_out"})
    before = dump(session.database)
    assert time_out_due(session) == 0
    assert dump(session.database) == before


def test_it_is_timed_out_at_its_moment_and_not_before(session: Session, due: str, clock: FixedClock) -> None:
    clock.advance(timedelta(microseconds=-1))
    assert time_out_due(session) == 0
    clock.advance(microseconds=1)
    assert time_out_due(session) == 1


WRITES: dict[str, Callable[[Session, str], Any]] = {
    "renew": lambda session, _: orders.renew(session, "Oak House", ["u2"], Months(1)),
    "refused renew": lambda session, _: orders.renew(session, "Oak House", ["nobody"], Months(1)),
    "activate": lambda session, _: orders.activate(session, "Oak House", ["Sales"]),
    "again": lambda session, _: orders.again(session, "no such order"),
    "pay": lambda session, number: payments.pay(session, number, Manual("R")),
    "pay without a reference": lambda session, number: payments.pay(session, number, Manual("")),
    "bank": lambda session, number: payments.pay(session, number, BankTransfer()),
    "apply": lambda session, number: payments.apply(session, number),
    "fail": lambda session, number: payments.fail(session, number, "x"),
    "cancel": lambda session, number: payments.cancel(session, number, "x"),
    "restore": lambda session, number: payments.restore(session, number),
}


@pytest.mark.parametrize("name", WRITES)
def test_every_write_times_out_what_is_due_even_if_it_is_refused_itself(session: Session, due: str, name: str) -> None:
    try:
        WRITES[name](session, due)
    except SmartsubError:
        assert name != "renew"
    assert status(due) is TIME_OUT
    assert claimed(due) == []
    assert [event.action for event in events_of(Order.get(Order.number == due).id)] == ["create", "time_out"]


def test_a_late_payment_finds_the_order_timed_out(session: Session, due: str) -> None:
    with pytest.raises(Refused, match="its time to pay is over: order again, or confirm it if the money came"):
        payments.pay(session, due, Manual("R"))
    assert payments.confirm(session, due, Manual("R")).order.late


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR])
def test_a_reader_times_nothing_out_and_sees_that_it_is_due(
    session: Session, due: str, role: Role, clock: FixedClock
) -> None:
    reader = as_role(session, role)
    before = dump(session.database)
    assert time_out_due(reader) == 0
    for write in WRITES.values():
        with pytest.raises(NotAllowed):
            write(reader, due)
    assert dump(session.database) == before
    found = read_order(due, clock.now(), session.settings)
    assert (found.status, found.due) == (PROCESSING, True)
    clock.advance(seconds=-1)
    assert read_order(due, clock.now(), session.settings).due is False


def test_who_is_no_admin_times_nothing_out(session: Session, due: str) -> None:
    with pytest.raises(NotAllowed):
        time_out_due(replace(session, admin="stranger"))
    assert status(due) is PROCESSING


def test_an_operator_times_out(session: Session, due: str) -> None:
    assert time_out_due(as_role(session, Role.OPERATOR)) == 1


def test_who_may_no_more_when_the_others_have_written_times_nothing_out(
    session: Session, due: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, check = as_role(session, Role.OPERATOR), access.check

    def changed_behind_it(*asked: Any) -> Any:
        known = check(*asked)
        Admin.update(role=Role.VIEWER).where(Admin.name == operator.admin).execute()
        return known

    monkeypatch.setattr(access, "check", changed_behind_it)
    assert time_out_due(operator) == 0
    assert Order.get(Order.number == due).status is OrderStatus.PROCESSING


@pytest.mark.parametrize("state", PaymentState)
def test_what_has_a_live_payment_is_not_timed_out(session: Session, due: str, state: PaymentState) -> None:
    add_payment(Order.get(Order.number == due), state)
    assert time_out_due(session) == (state not in LIVE_PAYMENT_STATES)


def test_a_live_payment_of_another_order_does_not_count(session: Session, office: Office, due: str) -> None:
    other = add_order(office, [Subscription.get_by_id(2)], PROCESSING)
    add_payment(other, PaymentState.SENT)
    assert time_out_due(session) == 1
    assert (status(due), status(other.number)) == (TIME_OUT, PROCESSING)


def test_only_processing_times_out(session: Session, office: Office, clock: FixedClock) -> None:
    people = list(Subscription.select())
    numbers = [add_order(office, people if each is SYSTEM else [], each).number for each in OrderStatus]
    clock.advance(days=99)
    assert time_out_due(session) == 1
    assert [status(number) for number in numbers] == [TIME_OUT, SYSTEM, SUCCEED, FAILED, TIME_OUT, CANCEL]
    assert Claim.select().count() == 3


def test_many_are_timed_out_at_once(
    session: Session, office: Office, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_CHUNK", 3)
    people = add_people(office, *(f"p{number}" for number in range(7)), expires_on=SOON)
    numbers = [add_order(office, [person], PROCESSING).number for person in people]
    clock.advance(days=1)
    assert time_out_due(session) == 7
    assert Claim.select().count() == 0
    assert AuditEvent.select().where(AuditEvent.action == "time_out").count() == 7
    assert {status(number) for number in numbers} == {TIME_OUT}


def test_a_dry_run_acts_as_if_it_were_timed_out_and_does_not(session: Session, due: str) -> None:
    before = dump(session.database)
    shown = orders.renew(session, "Oak House", ["u1"], Months(1), dry_run=True)
    assert [line.user_id for line in shown.order.lines] == ["u1"]
    with pytest.raises(Refused, match="its time to pay is over"):
        payments.pay(session, due, Manual("R"), dry_run=True)
    assert payments.confirm(session, due, Manual("R"), dry_run=True).order.late
    assert dump(session.database) == before


def test_a_repeated_request_times_out_what_is_due_too(session: Session, office: Office, clock: FixedClock) -> None:
    first = orders.renew(session, "Oak House", ["u1"], Months(1), request_id="r")
    clock.advance(hours=24)
    assert orders.renew(session, "Oak House", ["u1"], Months(1), request_id="r") == first
    assert status(first.order.number) is TIME_OUT


# Nothing half done


def test_an_error_in_the_middle_leaves_nothing(
    session: Session, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moment: the money is recorded, the people are extended, and the invoice fails."""
    number = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
    before = dump(session.database)

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(invoices, "issue", broken)
    with pytest.raises(ZeroDivisionError):
        payments.pay(session, number, Manual("R"), request_id="r")
    assert dump(session.database) == before
    monkeypatch.undo()
    assert payments.pay(session, number, Manual("R"), request_id="r").order.status is SUCCEED


def test_what_the_database_says_becomes_one_sentence(session: Session) -> None:
    def work(_: Change) -> str:
        session.database.execute_sql("SELECT * FROM nowhere")
        return ""

    with pytest.raises(Unavailable, match=r"the database cannot be used: .*nowhere"):
        perform(session, Permission.CREATE, {}, str, work)


def test_a_broken_rule_of_the_schema_is_not_taken_for_a_broken_disk(session: Session) -> None:
    def work(_: Change) -> str:
        Admin.create(name="manager", role=Role.VIEWER, created_at=NOW)
        return ""

    with pytest.raises(peewee.IntegrityError):
        perform(session, Permission.CREATE, {}, str, work)


def test_a_result_is_stored_only_with_a_request_id(session: Session) -> None:
    assert perform(session, Permission.CREATE, {}, str, lambda _: "one") == "one"
    assert Request.select().count() == 0
    assert perform(session, Permission.CREATE, {"a": 1}, str, lambda _: "one", request_id="r") == "one"
    assert perform(session, Permission.CREATE, {"a": 1}, str, lambda _: "two", request_id="r") == "one"
    row = Request.get()
    assert (row.id, row.admin, row.command, row.result, row.created_at) == ("r", "manager", "create", '"one"', NOW)


def test_a_dry_run_of_a_stored_request_returns_what_was_done(session: Session) -> None:
    perform(session, Permission.CREATE, {}, str, lambda _: "one", request_id="r")
    assert perform(session, Permission.CREATE, {}, str, lambda _: "two", request_id="r", dry_run=True) == "one"


def test_a_request_id_is_of_one_command(session: Session) -> None:
    perform(session, Permission.CREATE, {}, str, lambda _: "one", request_id="r")
    with pytest.raises(Refused, match="request id r was used for something else: take a new one"):
        perform(session, Trigger.PAY, {}, str, lambda _: "two", request_id="r")


# Events


def test_an_event_says_who_from_where_and_keeps_text_readable(session: Session, office: Office) -> None:
    app = replace(as_role(session, Role.OPERATOR), source="app")

    def work(change: Change) -> str:
        change.record("create", subject="datei.csv", after={"name": "Ünï 王", "total": Money(1, "EUR")}, reason="weil")
        return ""

    perform(app, Permission.CREATE, {}, str, work, request_id="r-9")
    row = AuditEvent.get()
    assert (row.at, row.admin, row.source, row.action, row.order, row.subject, row.before, row.reason) == (
        *(NOW, "operator", "app", "create", None, "datei.csv", None, "weil"),
    )
    assert row.after == '{"name":"Ünï 王","total":{"amount":1,"currency":"EUR"}}'
    assert row.request_id == "r-9"


def test_the_events_of_an_order_are_its_own_and_oldest_first(session: Session, office: Office) -> None:
    first = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
    second = orders.renew(session, "Oak House", ["u2"], Months(1)).order.number
    payments.cancel(session, second, "x")
    payments.pay(session, first, Manual("R"))
    assert [event.action for event in events_of(Order.get(Order.number == first).id)] == ["create", "pay"]
    assert [event.action for event in events_of(Order.get(Order.number == second).id)] == ["create", "cancel"]


def test_the_database_refuses_to_change_or_remove_an_event(session: Session, office: Office) -> None:
    orders.renew(session, "Oak House", ["u1"], Months(1), paying=Manual("R"))
    before = dump(session.database)
    for statement in (
        "UPDATE audit_event SET admin = 'nobody'",
        "DELETE FROM audit_event",
        "UPDATE invoice SET total = 0, net = 0, tax = 0",
        "DELETE FROM invoice",
    ):
        with pytest.raises(peewee.DatabaseError, match=r"is append-only|permission denied"):
            session.database.execute_sql(statement)
    assert dump(session.database) == before


def test_every_event_of_an_order_reads_as_a_sentence(session: Session, office: Office, clock: FixedClock) -> None:
    old = orders.renew(session, "Oak House", ["u1", "u2"], Months(1)).order.number
    payments.pay(session, old, BankTransfer())
    payments.pay(session, old, Manual("R-1", 100))
    clock.advance(days=14)
    new = orders.again(session, old).order.number
    payments.cancel(session, new, "not now")
    payments.confirm(session, old, Manual("R-2"))
    failed = add_order(office, [Subscription.get_by_id(3)]).number
    payments.fail(session, failed, "declined")
    payments.delete(session, failed, "seen")
    payments.restore(session, failed)
    payments.confirm(session, new, Manual("R-3"))
    assert [sentence(event) for event in read_order(old, clock.now(), session.settings).events] == [
        "created, 2 lines, EUR 11.90, to be paid until 2026-11-23 09:00 UTC",
        "bank transfer chosen, to be paid until 2026-12-06 09:00 UTC",
        "paid, EUR 1.00, reference R-1, recorded, it waits: EUR 1.00 came, the total is EUR 11.90",
        "timed out, nothing was charged",
        f"ordered again, as order {new}",
        "confirmed, EUR 11.90, reference R-2, late, invoice INV-2026-000001",
    ]
    assert [sentence(event) for event in read_order(new, clock.now(), session.settings).events] == [
        f"created, 2 lines, EUR 11.90, to be paid until 2026-12-07 09:00 UTC, from order {old}",
        "cancelled, because: not now",
        "confirmed, EUR 11.90, reference R-3, recorded, it waits: it is Cancel",
    ]
    assert [sentence(event) for event in read_order(failed, clock.now(), session.settings).events] == [
        "marked as failed, because: declined",
        "deleted, because: seen",
        "restored",
    ]


@pytest.mark.parametrize(
    ("after", "expected"), [(None, "imported"), ([], "imported"), ({"lines": 1}, "imported, 1 line")]
)
def test_an_event_without_details_is_a_sentence_too(after: Any, expected: str) -> None:
    event = EventRecord(at=NOW, by="ann", source="cli", action="import", before=None, after=after, reason=None)
    assert sentence(event) == expected
    assert sentence(replace(event, action="unheard-of", after=None)) == "unheard-of"


# Typed text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", "x"),
        ("  Rechnung 7 ", "Rechnung 7"),
        ("王冬梅", "王冬梅"),
        ("e\u0301", "e\u0301"),
        ("x" * 500, "x" * 500),
        ("a b", "a b"),
    ],
)
def test_text_is_taken_without_the_spaces_around_it(text: str, expected: str) -> None:
    assert check_text("reason", text) == expected


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000"])
def test_no_text_is_refused(text: str) -> None:
    with pytest.raises(WrongUsage, match="reason is empty: write one"):
        check_text("reason", text)


def test_too_much_text_is_refused() -> None:
    with pytest.raises(WrongUsage, match="reason has 501 characters, at most 500 are kept"):
        check_text("reason", "x" * 501)


@pytest.mark.parametrize(
    "character",
    [
        *("\x00", "\x07", "\x1b", "\n", "\t", "\x7f", "\x85", "\x9b", "\xad"),
        *("\u061c", "\u200b", "\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069", "\ufeff", "\U000e0041"),
        *("\u2028", "\u2029", "\ud800", "\udfff"),
    ],
)
def test_text_that_controls_or_misleads_is_refused_by_its_number(character: str) -> None:
    with pytest.raises(WrongUsage, match=f"reason holds U\\+{ord(character):04X}, a character that controls or hides"):
        check_text("reason", f"a{character}b")


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_is_typed_is_kept_harmless_or_refused(text: str) -> None:
    stripped = text.strip()
    harmful = {unicodedata.category(each) for each in stripped} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    if stripped and len(stripped) <= 500 and not harmful:
        assert check_text("reason", text) == stripped
    else:
        with pytest.raises(WrongUsage, match=r"^reason "):
            check_text("reason", text)


def test_a_sweep_times_out_what_is_due_and_says_how_many(session: Session, clock: FixedClock) -> None:
    office = add_office()
    for key in ("s1", "s2"):
        add_order(office, add_people(office, key, expires_on=TODAY), OrderStatus.PROCESSING)
    assert sweep(session) == 0
    clock.advance(hours=24)
    assert sweep(session, dry_run=True) == 2
    assert sweep(session, request_id="timer-1") == 2
    assert sweep(session, request_id="timer-1") == 2  # the result of the first, done once
    assert sweep(session) == 0


def test_a_viewer_may_not_sweep(session: Session) -> None:
    with pytest.raises(NotAllowed):
        sweep(as_role(session, Role.VIEWER))


def test_the_request_id_of_a_part_is_of_its_whole_and_as_short_as_any() -> None:
    assert changes.part_of(None, "link") is None
    assert changes.part_of("r" * 495, "link") == f"{'r' * 495}/link"
    long, other = changes.part_of("r" * 496, "link"), changes.part_of("r" * 497, "link")
    assert long is not None
    assert len(long) <= changes.LONGEST_TEXT
    assert len({long, other, changes.part_of("r" * 496, "end")}) == 3
