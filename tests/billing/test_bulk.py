"""One action on many orders: what is looked at is what is done, each order once, whatever ends a run in its midst."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from smartsub_tui.billing import bulk, invoice_files, orders, payments
from smartsub_tui.billing.bulk import Item, LeftOut, Move, Outcome, Preview, SaveInvoices
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.database import rows
from smartsub_tui.data.models import AuditEvent, Office, Order, Request, User
from smartsub_tui.data.money import Money
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName, Role, Trigger
from smartsub_tui.errors import NotAllowed, NotFound, Refused, Unavailable, WrongUsage
from tests.support import (
    MONTH_PRICE,
    NOW,
    TODAY,
    FixedClock,
    add_community,
    add_office,
    add_order,
    add_payment,
    add_people,
    add_prices,
    admin_record,
    as_role,
    claimed,
    dump,
    expiry,
    gross,
    memory_session,
)

PROCESSING, SYSTEM, SUCCEED, FAILED, TIME_OUT, CANCEL = OrderStatus
TOTAL: Final = gross(MONTH_PRICE)
SAID: Final = {Trigger.PAY: "receipt 17", Trigger.CANCEL: "moved out", Trigger.DELETE: "entered twice"}


def one_of_each(session: Session) -> list[str]:
    """Orders in every status, and with everything that a guard asks for; all but the last are in euro."""
    add_prices()
    oak = add_office()
    yen = add_community("Sakura", timezone="Asia/Tokyo", currency="JPY")
    made = []
    for place, status in enumerate(OrderStatus):
        people = add_people(oak, f"s{place}", expires_on=TODAY + timedelta(days=30))
        made.append(add_order(oak, people, status, number=f"{place:02} {status.label}").number)
    failed = add_order(oak, add_people(oak, "removed", "gone", expires_on=TODAY), FAILED, number="removed")
    User.update(removed_on=TODAY).where(User.key.in_(["removed", "gone"])).execute()
    (held,) = add_people(oak, "held", expires_on=TODAY)
    add_order(oak, [held], PROCESSING, number="holder")
    paying = add_order(oak, [held], FAILED, number="held")
    linked = add_order(oak, add_people(oak, "linked", expires_on=TODAY), PROCESSING, number="linked")
    add_payment(linked, PaymentState.SENT)
    waiting = add_order(oak, add_people(oak, "waits", expires_on=TODAY), CANCEL, number="waits")
    add_payment(waiting, PaymentState.SUCCEEDED, ProviderName.MANUAL, reference="R")
    history = add_order(oak, [], TIME_OUT, history=True, months=None, number="history")
    hidden = add_order(oak, add_people(oak, "hidden", expires_on=TODAY), CANCEL, number="hidden")
    Order.update(deleted_at=NOW).where(Order.id == hidden.id).execute()
    due = add_order(oak, add_people(oak, "due", expires_on=TODAY), PROCESSING, number="due", pay_by=NOW)
    abroad = add_order(yen, add_people(yen, "abroad", expires_on=TODAY), PROCESSING, number="abroad")
    more = (failed, paying, linked, waiting, history, hidden, due, abroad)
    return [*made, "holder", *(order.number for order in more)]


# Looking


@pytest.mark.parametrize("trigger", bulk.TRIGGERS)
def test_who_can_take_it_and_why_not_the_others_is_what_a_single_order_says(session: Session, trigger: Trigger) -> None:
    numbers = one_of_each(session)
    seen = bulk.preview(session, trigger, numbers)
    now = session.clock.now()
    expected = {
        number: next(
            each.reason for each in payments.offers(number, admin_record(Role.MANAGER), now) if each.trigger is trigger
        )
        for number in numbers
    }
    assert [item.number for item in seen.items] == [number for number in numbers if not expected[number]]
    assert seen.left_out == tuple(LeftOut(number, why) for number, why in expected.items() if why)
    assert seen.items
    assert seen.left_out
    for item in seen.items:
        order = read_order(item.number, now, session.settings)
        assert (item.version, item.status, item.total) == (order.version, order.status, order.total)


@pytest.mark.parametrize("trigger", bulk.TRIGGERS)
def test_what_is_looked_at_is_what_is_done(session: Session, trigger: Trigger) -> None:
    seen = bulk.preview(session, trigger, one_of_each(session))
    run = Move.new(trigger, SAID.get(trigger, ""))
    outcomes = [run.do(session, item) for item in seen.items]
    # Whom an order made again would be for is found when it is made. A link is ended by who holds a talk.
    nobody = {Trigger.AGAIN: ["removed", "held"], Trigger.RESTORE: []}.get(trigger, ["linked"])
    assert [each.item.number for each in outcomes if each.refused] == nobody
    for each in outcomes:
        order = read_order(each.item.number, NOW, session.settings)
        assert each.done == (trigger in [event.action for event in order.events]), each
        assert not each.done or each.version == order.version


def test_a_preview_reads_and_changes_nothing_but_what_is_due(session: Session) -> None:
    numbers = one_of_each(session)
    bulk.preview(session, Trigger.PAY, numbers)
    assert read_order("due", NOW, session.settings).status is TIME_OUT
    before = dump(session.database)
    for trigger in bulk.TRIGGERS:
        bulk.preview(session, trigger, numbers)
    bulk.preview_invoices(session, numbers)
    assert dump(session.database) == before


def test_sums_are_by_currency_and_reasons_by_how_many(session: Session) -> None:
    numbers = one_of_each(session)
    seen = bulk.preview(session, Trigger.CANCEL, [*numbers, "none", *numbers])
    euro = sum(item.total.amount for item in seen.items if item.total.currency == "EUR")
    assert seen.sums == (Money(euro, "EUR"), Money(TOTAL, "JPY"))
    assert len(seen.items) + len(seen.left_out) == len(numbers) + 1
    assert seen.reasons["no order has this number"] == ("none",)
    assert seen.reasons["it is Time out"] == (f"04 {TIME_OUT.label}", "history", "due")
    counts = [len(held) for held in seen.reasons.values()]
    assert counts == sorted(counts, reverse=True)
    assert bulk.preview(session, Trigger.CANCEL, []) == Preview((), ())
    assert Preview((), ()).sums == ()


def test_many_are_looked_at_in_their_order(session: Session) -> None:
    office = add_office()
    with session.database.writing():
        for place in range(1203):
            add_order(office, [], CANCEL if place % 2 else SUCCEED, history=True, number=f"{place:04}")
    named = [f"{place:04}" for place in reversed(range(1203))]
    seen = bulk.preview(session, Trigger.DELETE, named)
    assert [item.number for item in seen.items] == named
    assert bulk.preview(session, Trigger.CANCEL, named).reasons == {
        "it is already paid": tuple(named[::2]),
        "it is Cancel": tuple(named[1::2]),
    }


@pytest.mark.parametrize("trigger", bulk.TRIGGERS)
def test_who_may_not_is_refused_before_anything_is_looked_at(session: Session, trigger: Trigger) -> None:
    for role in Role:
        worked = as_role(session, role)
        if role is Role.MANAGER or (role is Role.OPERATOR and trigger in (Trigger.PAY, Trigger.AGAIN)):
            assert bulk.preview(worked, trigger, ["x"]).left_out
        else:
            with pytest.raises(NotAllowed, match="may not"):
                bulk.preview(worked, trigger, ["x"])
            with pytest.raises(NotAllowed, match="may not"):
                Move.new(trigger, "said").do(worked, Item("x", 1, FAILED, Money(1, "EUR")))


# Doing


@pytest.fixture
def three(session: Session) -> list[str]:
    """Orders of a month for u0, u1 and u2, to be paid; u3 has none."""
    add_prices()
    add_people(add_office(), "u0", "u1", "u2", "u3", expires_on=date(2026, 12, 22))
    return [orders.renew(session, "Oak House", [f"u{place}"], Months(1)).order.number for place in range(3)]


def do_all(session: Session, run: bulk.Run, seen: Preview) -> list[Outcome]:
    return [run.do(session, item) for item in seen.items]


def test_one_reference_pays_many(session: Session, three: list[str]) -> None:
    seen = bulk.preview(session, Trigger.PAY, three)
    assert seen.sums == (Money(3 * TOTAL, "EUR"),)
    run = Move.new(Trigger.PAY, " receipt 17 ")
    assert all(each.done for each in do_all(session, run, seen))
    for place, number in enumerate(three):
        order = read_order(number, NOW, session.settings)
        assert (order.status, [each.reference for each in order.payments]) == (SUCCEED, ["receipt 17"])
        assert expiry(f"u{place}") == date(2027, 1, 22)


def test_a_reason_goes_with_each_and_a_text_that_cannot_be_kept_begins_nothing(
    session: Session, three: list[str]
) -> None:
    for trigger in (Trigger.PAY, Trigger.CANCEL, Trigger.DELETE):
        for text in ("", "  ", "x" * 501, "a\x1bb"):
            with pytest.raises(WrongUsage, match="reference" if trigger is Trigger.PAY else "reason"):
                Move.new(trigger, text)
    do_all(session, Move.new(Trigger.CANCEL, " moved out "), bulk.preview(session, Trigger.CANCEL, three[:2]))
    reasons = [read_order(number, NOW, session.settings).events[-1].reason for number in three]
    assert reasons == ["moved out", "moved out", None]


def test_who_was_changed_since_the_preview_is_refused_alone(session: Session, three: list[str]) -> None:
    seen = bulk.preview(session, Trigger.DELETE, three)
    payments.cancel(session, three[1], "meanwhile")
    outcomes = do_all(session, Move.new(Trigger.DELETE, "entered twice"), seen)
    assert [each.refused for each in outcomes] == [
        "",
        "was changed by someone else meanwhile: look at it again",
        "",
    ]
    assert [read_order(number, NOW, session.settings).deleted for number in three] == [True, False, True]


def test_what_only_the_change_can_find_is_said_without_the_number_twice(session: Session, three: list[str]) -> None:
    for number in three:
        payments.cancel(session, number, "moved out")
    orders.renew(session, "Oak House", ["u1"], Months(1))
    outcomes = do_all(session, Move.new(Trigger.AGAIN), bulk.preview(session, Trigger.AGAIN, three))
    assert [each.done for each in outcomes] == [True, False, True]
    assert outcomes[0].note.startswith("made order 2026")
    assert outcomes[0].note.endswith(f", {Money(TOTAL, 'EUR')}")
    assert outcomes[1].refused.startswith("nobody is left to order for: u1 is in an open order")
    gone = Move.new(Trigger.DELETE, "x").do(session, Item("none", 1, FAILED, Money(1, "EUR")))
    assert gone.refused == "no order has the number none: smartsub orders finds one by a part of it"


def test_who_is_left_out_of_an_order_made_again_is_counted(session: Session) -> None:
    add_prices()
    add_people(add_office(), "u1", "u2", expires_on=TODAY)
    number = orders.renew(session, "Oak House", ["u1", "u2"], Months(1)).order.number
    payments.cancel(session, number, "moved out")
    User.update(removed_on=TODAY).where(User.key == "u2").execute()
    (outcome,) = do_all(session, Move.new(Trigger.AGAIN), bulk.preview(session, Trigger.AGAIN, [number]))
    assert outcome.note.endswith(f", {Money(TOTAL, 'EUR')}, 1 left out")


def test_what_is_not_about_one_order_ends_the_run(session: Session, three: list[str]) -> None:
    seen = bulk.preview(session, Trigger.CANCEL, three)
    session.database.execute_sql("UPDATE admin SET role = 'operator' WHERE name = 'manager'")
    with pytest.raises(NotAllowed):
        Move.new(Trigger.CANCEL, "moved out").do(session, seen.items[0])
    assert claimed(three[0]) == ["u0"]


def test_the_ids_of_one_run_begin_alike_and_are_each_order_s_own() -> None:
    run, other = Move.new(Trigger.RESTORE), Move.new(Trigger.RESTORE)
    again = Move(run.trigger, run.said, run.id)
    hostile = ["1", "2", "\x1b]52;c;aGk=\x07", "王", "x" * 1000, "‮"]
    ids = [run.request_id(number) for number in hostile]
    assert len({*ids, *map(other.request_id, hostile)}) == 2 * len(hostile)
    assert all(each.startswith(str(run.id)) and each.isascii() and len(each) < 100 for each in ids)
    assert ids == [again.request_id(number) for number in hostile]


@pytest.mark.long
@settings(max_examples=20)
@given(
    st.sampled_from(bulk.TRIGGERS),
    st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=4),
)
def test_a_run_that_ends_anywhere_and_is_taken_up_again_does_each_once(
    trigger: Trigger, ends: list[tuple[int, bool]]
) -> None:
    """Each end is at an item, before or behind its commit; whoever takes it up knows of nothing that was done."""
    session = memory_session(clock=FixedClock())
    add_prices()
    office = add_office()
    for place in range(5):
        person = add_people(office, f"u{place}", expires_on=TODAY)
        status = CANCEL if trigger in (Trigger.AGAIN, Trigger.RESTORE) else PROCESSING
        order = add_order(office, person, status, number=f"{place}")
        if trigger is Trigger.RESTORE:
            Order.update(deleted_at=NOW).where(Order.id == order.id).execute()
    seen = bulk.preview(session, trigger, [f"{place}" for place in range(5)])
    run = Move.new(trigger, SAID.get(trigger, ""))
    for at, behind in ends:
        do_all(session, run, replace(seen, items=seen.items[: at + behind]))
    outcomes = do_all(session, run, seen)
    assert [each.item.number for each in outcomes if each.done] == [f"{place}" for place in range(5)]
    events = [(number, action) for number, action in rows(_events()) if action == trigger]
    assert sorted(events) == [(f"{place}", trigger) for place in range(5)]
    assert Order.select().count() == (10 if trigger is Trigger.AGAIN else 5)
    assert [each.version for each in outcomes] == [
        version for (version,) in rows(Order.select(Order.version).where(Order.id <= 5).order_by(Order.id))
    ]
    if trigger is Trigger.PAY:
        assert {expiry(f"u{place}") for place in range(5)} == {date(2026, 12, 22)}
    assert Request.select().count() == 5
    session.database.close()


def _events() -> object:
    return AuditEvent.select(Order.number, AuditEvent.action).join(Order)


# Undoing


@pytest.mark.parametrize("done", [Trigger.DELETE, Trigger.RESTORE])
def test_undoing_takes_back_exactly_what_was_done(session: Session, three: list[str], done: Trigger) -> None:
    payments.delete(session, three[2], "before")
    if done is Trigger.RESTORE:
        for number in three[:2]:
            payments.delete(session, number, "entered twice")
        three = three[:2]
    outcomes = do_all(
        session, Move.new(done, "entered twice" * (done is Trigger.DELETE)), bulk.preview(session, done, three)
    )
    assert len(outcomes) == 2
    back, items = bulk.undoing(done, outcomes)
    assert all(back.do(session, item).done for item in items)
    hidden = {number: deleted is not None for number, deleted in rows(Order.select(Order.number, Order.deleted_at))}
    assert sum(hidden.values()) == (1 if done is Trigger.DELETE else 3)
    reason = read_order(three[0], NOW, session.settings).events[-1].reason
    assert reason == (None if done is Trigger.DELETE else "undo of restore")


def test_who_is_no_longer_as_it_was_left_is_skipped_and_told(session: Session, three: list[str]) -> None:
    outcomes = do_all(session, Move.new(Trigger.DELETE, "twice"), bulk.preview(session, Trigger.DELETE, three))
    payments.restore(session, three[0])
    payments.restore(session, three[1])
    payments.delete(session, three[1], "someone else's reason")
    back, items = bulk.undoing(Trigger.DELETE, outcomes)
    changed = "was changed by someone else meanwhile: look at it again"
    assert [back.do(session, item).refused for item in items] == [changed, changed, ""]
    assert [read_order(number, NOW, session.settings).deleted for number in three] == [False, True, False]


def test_nothing_is_undone_that_was_not_done() -> None:
    item = Item("1", 1, FAILED, Money(1, "EUR"))
    _, items = bulk.undoing(Trigger.DELETE, [Outcome(item, refused="why"), Outcome(item, version=2)])
    assert items == (replace(item, version=2),)


# Invoices


@pytest.fixture
def paid(session: Session, three: list[str]) -> list[str]:
    """Three paid orders; beside them one that is not, and imported history."""
    for number in three:
        payments.pay(session, number, Manual("R"))
    history = add_order(Office.get(), [], SUCCEED, history=True, months=None, number="history")
    return [*three, orders.renew(session, "Oak House", ["u3"], Months(1)).order.number, history.number]


def save(session: Session, run: SaveInvoices, seen: Preview) -> list[Outcome]:
    run.begin(session)
    try:
        outcomes = do_all(session, run, seen)
        run.finish(session)
    finally:
        run.stop()
    return outcomes


def left(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


NAMES: Final = [f"INV-2026-00000{place}.pdf" for place in (1, 2, 3)]


def test_who_has_no_invoice_is_left_out_with_the_reason(session: Session, paid: list[str]) -> None:
    seen = bulk.preview_invoices(session, [*paid, "none"])
    assert [item.number for item in seen.items] == paid[:3]
    assert seen.sums == (Money(3 * TOTAL, "EUR"),)
    assert seen.left_out == (
        LeftOut(paid[3], "it is not paid"),
        LeftOut("history", "imported history has no invoice of ours"),
        LeftOut("none", "no order has this number"),
    )
    assert bulk.preview_invoices(as_role(session, Role.VIEWER), paid) == bulk.preview_invoices(session, paid)
    with pytest.raises(NotAllowed):
        bulk.preview_invoices(replace(session, admin="nobody"), paid)


def test_invoices_go_into_a_folder_each_whole(session: Session, paid: list[str], tmp_path: Path) -> None:
    seen = bulk.preview_invoices(session, paid)
    outcomes = save(session, SaveInvoices(tmp_path), seen)
    assert [each.note for each in outcomes] == [name.removesuffix(".pdf") for name in NAMES]
    assert left(tmp_path) == NAMES
    (tmp_path / NAMES[1]).write_bytes(b"mine")
    (tmp_path / NAMES[2]).unlink()
    outcomes = save(session, SaveInvoices(tmp_path), seen)
    assert [each.done for each in outcomes] == [True, False, True]
    assert "exists with other content" in outcomes[1].refused
    assert left(tmp_path) == NAMES
    assert (tmp_path / NAMES[1]).read_bytes() == b"mine"


@pytest.mark.long
def test_invoices_go_into_a_zip_as_a_whole_and_always_the_same(
    session: Session, paid: list[str], tmp_path: Path
) -> None:
    seen = bulk.preview_invoices(session, paid)
    for name in ("one.zip", "two.ZIP"):
        assert all(each.done for each in save(session, SaveInvoices(tmp_path / name), seen))
    save(session, SaveInvoices(tmp_path), seen)
    assert left(tmp_path) == [*NAMES, "one.zip", "two.ZIP"]
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.ZIP").read_bytes()
    with ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == NAMES
        assert [archive.read(name) for name in NAMES] == [(tmp_path / name).read_bytes() for name in NAMES]


def test_a_zip_that_is_not_finished_leaves_nothing(session: Session, paid: list[str], tmp_path: Path) -> None:
    seen = bulk.preview_invoices(session, paid)
    run = SaveInvoices(tmp_path / "a.zip")
    run.begin(session)
    assert run.do(session, seen.items[0]).done
    run.stop()
    assert left(tmp_path) == []


def test_a_place_that_cannot_be_is_told_before_anything_is_drawn(session: Session, tmp_path: Path) -> None:
    (tmp_path / "there.zip").write_bytes(b"mine")
    cases: list[tuple[Path, type[Exception], str]] = [
        (tmp_path / "there.zip", Refused, r"^there\.zip exists: name another file$"),
        (tmp_path / "none", NotFound, "no folder .*none: make it first"),
        (tmp_path / "none" / "a.zip", NotFound, "no folder"),
        (tmp_path / ("x" * 300 + ".zip"), Unavailable, "too long"),
    ]
    for path, error, reason in cases:
        run = SaveInvoices(path)
        with pytest.raises(error, match=reason):
            run.begin(session)
        run.stop()
        with pytest.raises(NotAllowed):
            SaveInvoices(path).begin(replace(session, admin="nobody"))
    assert left(tmp_path) == ["there.zip"]


def test_an_invoice_that_cannot_be_drawn_or_named_is_left_out_of_the_zip(
    session: Session, paid: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw: Callable[..., object] = invoice_files.draw

    def drawn(session: Session, number: str) -> object:
        if number == paid[1]:
            raise Refused("no font has this character")
        return draw(session, number)

    monkeypatch.setattr(invoice_files, "draw", drawn)
    seen = bulk.preview_invoices(session, paid)
    twice = replace(seen, items=(*seen.items, seen.items[0]))
    outcomes = save(session, SaveInvoices(tmp_path / "a.zip"), twice)
    assert [each.refused for each in outcomes] == [
        "",
        "no font has this character",
        "",
        f"another invoice has the file name {NAMES[0]} already: save this one alone",
    ]
    with ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == [NAMES[0], NAMES[2]]
