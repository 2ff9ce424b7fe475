"""Taking back: what a credit note does to dates and money, and when there is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from smartsub_tui.billing import credits, orders, payments, refunds
from smartsub_tui.billing.audit import sentence
from smartsub_tui.billing.credits import Becomes, Credited
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.imports import import_files
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.providers import BackAnswer, Ended, No, PaidBack, PayBack, hold, step
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months, Until
from smartsub_tui.config import InvoiceSettings, OrderSettings
from smartsub_tui.data.database import open_database
from smartsub_tui.data.models import (
    Counter,
    Invoice,
    Office,
    Order,
    OrderLine,
    Payment,
    Price,
    Refund,
    Subscription,
    User,
)
from smartsub_tui.data.money import Money
from smartsub_tui.data.records import to_json
from smartsub_tui.data.vocabulary import (
    InvoiceKind,
    Lapsed,
    LineAction,
    OrderStatus,
    ProviderName,
    RefundState,
    Role,
    Service,
    Trigger,
    UserKind,
)
from smartsub_tui.errors import NotAllowed, NotFound, Refused, SmartsubError, WrongUsage
from tests.support import (
    MONTH_PRICE,
    NOW,
    SETTINGS,
    FixedClock,
    add_community,
    add_office,
    add_order,
    add_people,
    add_person,
    add_price,
    add_prices,
    admin_record,
    as_role,
    at_once,
    dump,
    expiry,
    file_database,
    gross,
    session_on,
    url_at,
)

SAMPLES = Path(__file__).parent.parent / "data" / "samples"
SOON, LATER = date(2026, 12, 22), date(2027, 1, 22)


def credit(session: Session, number: str, *users: str, reason: str = "a mistake", **options: Any) -> Credited:
    talk = credits.credit(session, number, reason, users=users or None, **options)
    return hold(session.database, session.providers, talk)


@pytest.fixture
def office(session: Session) -> Office:
    """Oak House with three people, all until 22 December."""
    add_prices()
    made = add_office()
    add_people(made, "u1", "u2", "u3", expires_on=SOON)
    return made


@pytest.fixture
def renewed(session: Session, office: Office) -> Callable[..., str]:
    """Renew, pay, and the number of the order."""

    def renew(*keys: str, months: int = 1, **options: Any) -> str:
        chosen = keys or ("u1", "u2", "u3")
        return orders.renew(session, "Oak House", chosen, Months(months), paying=Manual("R"), **options).order.number

    return renew


def refused(session: Session, number: str, *users: str, error: type[SmartsubError] = Refused, **options: Any) -> str:
    """Why it is refused; nothing is stored then."""
    before = dump(session.database)
    with pytest.raises(error) as found:
        credit(session, number, *users, **options)
    assert dump(session.database) == before
    return found.value.message


# What it does


def test_a_whole_order_is_taken_back(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed()
    done = credit(session, number)
    total = Money(gross(3 * MONTH_PRICE), "EUR")
    assert to_json(done.credit_note) == {
        "number": "CN-2026-000001",
        "issued_on": "2026-11-22",
        "total": {"amount": total.amount, "currency": "EUR"},
    }
    assert done.dates == tuple(
        Becomes(user_id=key, name=f"Name of {key}", before=LATER, after=SOON) for key in ("u1", "u2", "u3")
    )
    assert [expiry(key) for key in ("u1", "u2", "u3")] == [SOON] * 3
    order = done.order
    assert order.status is OrderStatus.SUCCEED
    assert order.credit_notes == (done.credit_note,)
    assert order.invoice is not None
    assert order.invoice.number == "INV-2026-000001"
    # The lines stay as they were applied.
    assert {(line.previous_expiry, line.new_expiry, line.credited) for line in order.lines} == {
        (SOON, LATER, "CN-2026-000001")
    }
    (refund,) = Refund.select()
    assert refund.credit_note is not None
    assert (refund.amount, refund.state, refund.reason) == (total.amount, RefundState.SUCCEEDED, "a mistake")
    assert refund.credit_note.number == "CN-2026-000001"


def test_who_is_named_is_taken_back_and_the_others_stay(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed()
    done = credit(session, number, "u3", "u1")
    assert done.credit_note.total == Money(gross(2 * MONTH_PRICE), "EUR")
    assert [expiry(key) for key in ("u1", "u2", "u3")] == [SOON, LATER, SOON]
    assert [line.credited for line in done.order.lines] == ["CN-2026-000001", None, "CN-2026-000001"]
    rest = credit(session, number)
    assert [each.user_id for each in rest.dates] == ["u2"]
    assert [note.number for note in rest.order.credit_notes] == ["CN-2026-000001", "CN-2026-000002"]
    assert rest.order.lines[1].credited == "CN-2026-000002"


def test_what_was_renewed_later_stays_and_counts_from_where_it_would_have(
    session: Session, renewed: Callable[..., str], clock: FixedClock
) -> None:
    first = renewed("u1", months=2)
    clock.put(clock.now() + timedelta(days=40))  # 1 January: without the first it would have lapsed
    renewed("u1", months=1)
    assert expiry("u1") == date(2027, 3, 22)
    assert credit(session, first).dates[0].after == date(2027, 2, 1)
    subscription = Subscription.select().join(User).where(User.key == "u1").get()
    assert (subscription.expires_on, subscription.anchor_day) == (date(2027, 2, 1), 1)


def test_each_line_has_the_setting_under_which_it_was_paid(
    session: Session, renewed: Callable[..., str], clock: FixedClock
) -> None:
    continuous = replace(session, settings=replace(SETTINGS, orders=OrderSettings(lapsed=Lapsed.CONTINUOUS)))
    first = renewed("u1", months=2)
    clock.put(clock.now() + timedelta(days=40))
    orders.renew(continuous, "Oak House", ["u1"], Months(1), paying=Manual("R"))
    assert credit(session, first).dates[0].after == LATER


def test_lines_count_in_the_order_in_which_they_were_paid_even_if_the_clock_went_back(
    session: Session, office: Office, clock: FixedClock
) -> None:
    made = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
    payments.cancel(session, made, "later")
    payments.confirm(session, made, Manual("R"))
    credited = orders.renew(session, "Oak House", ["u1"], Months(1), paying=Manual("R")).order.number
    clock.put(clock.now() + timedelta(days=400))
    orders.renew(session, "Oak House", ["u1"], Months(1), paying=Manual("R"))
    clock.put(clock.now() - timedelta(days=300))
    payments.apply(session, made)
    assert expiry("u1") == date(2028, 2, 27)
    assert credit(session, credited).dates[0].after == date(2028, 2, 27)


def test_a_renewal_by_the_day_keeps_the_days_that_were_paid_for(session: Session, clock: FixedClock) -> None:
    add_prices()
    add_people(add_community(), "c1", expires_on=SOON)
    first = orders.renew(session, "Elm Court", ["c1"], Months(1), paying=Manual("R")).order.number
    daily = orders.renew(session, "Elm Court", ["c1"], Until(date(2027, 2, 1)), paying=Manual("R")).order.number
    done = credit(session, first)
    assert done.dates[0].after == date(2027, 1, 1)  # 10 days from 22 December
    assert credit(session, daily).dates[0].after == SOON


def test_what_was_activated_is_inactive_again_and_can_be_activated_anew(session: Session, clock: FixedClock) -> None:
    add_prices()
    add_people(add_office(), "a1")
    number = orders.activate(session, "Oak House", ["Sales"], paying=Manual("R")).order.number
    later = orders.renew(session, "Oak House", ["a1"], Months(1), paying=Manual("R")).order.number
    assert refused(session, number) == (
        f"order {number} cannot be taken back: a1 was activated by it, and later orders stand on that:"
        " take those back first"
    )
    credit(session, later)
    assert credit(session, number).dates == (Becomes(user_id="a1", name="Name of a1", before=SOON, after=None),)
    row = Subscription.get()
    assert (row.activated_on, row.expires_on, row.anchor_day) == (None, None, None)
    clock.advance(days=1)
    orders.activate(session, "Oak House", ["Sales"], paying=Manual("R"))
    assert expiry("a1") == date(2026, 12, 23)


def test_the_trail_says_it_in_short(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed()
    renewed("u2")
    done = credit(session, number, "u1", "u2", reference="till 4")
    event = next(each for each in done.order.events if each.action == "credit")
    total = {"amount": gross(2 * MONTH_PRICE), "currency": "EUR"}
    assert event.before == {"expires_on": "2027-01-22..2027-02-22"}
    assert event.after == {
        "expires_on": "2026-12-22..2027-01-22",
        "credit_note": "CN-2026-000001",
        "amount": total,
        "taken_back": 2,
        "reference": "till 4",
    }
    assert sentence(event) == (
        "taken back, credit note CN-2026-000001, EUR 11.90, 2 lines, reference till 4, because: a mistake"
    )
    one = credit(session, number, "u3").order.events
    assert sentence(next(each for each in reversed(one) if each.action == "credit")) == (
        "taken back, credit note CN-2026-000002, EUR 5.95, 1 line, because: a mistake"
    )


def test_the_snapshot_says_it_all(session: Session, renewed: Callable[..., str], clock: FixedClock) -> None:
    number = renewed()
    clock.advance(days=1)
    credit(session, number, "u2", reference="till 4")
    invoice, note = (json.loads(each.snapshot) for each in Invoice.select().order_by(Invoice.id))
    (line,) = note.pop("lines")
    assert line == invoice.pop("lines")[1] | {"expiry_before": "2027-01-22", "expiry_after": "2026-12-22"}
    changed = {key: value for key, value in note.items() if invoice.get(key) != value}
    assert changed == {
        "credits": {"number": "INV-2026-000001", "issued_on": "2026-11-22"},
        "paid_back": {"at": "2026-11-23T09:00:00Z", "reference": "till 4"},
        "tax": [{"rate_ppm": 190000, "net": 500, "tax": 95}],
        "net": 500,
        "tax_total": 95,
        "total": 595,
    }


# Money


@pytest.mark.long
def test_credit_notes_add_up_to_the_invoice_whatever_their_order(session: Session) -> None:
    """Each line alone would round to 0.10 of tax; three together have 0.29, and those of the other rate 0.11."""
    add_price(Service.APP, LineAction.MONTH, 51)
    add_price(Service.PM_APP, LineAction.MONTH, 149, tax_rate_ppm=77_000)
    office = add_office()
    add_people(office, "u1", "u2", "u3", expires_on=SOON)
    add_person(office, "p1", kind=UserKind.PROPERTY_MANAGER, expires_on=SOON)
    for order in permutations(("u1", "u2", "u3", "p1")):
        made = orders.renew(session, "Oak House", order, Months(1), paying=Manual("R")).order
        assert (made.net, made.tax) == (Money(302, "EUR"), Money(40, "EUR"))
        proposal = credits.propose(session, made.number)
        assert proposal.total_of(order) == made.total
        for key in order:
            expected = credits.propose(session, made.number).total_of([key])
            assert credit(session, made.number, key).credit_note.total == expected
        notes = list(Invoice.select().where((Invoice.order == made.pk) & (Invoice.kind == InvoiceKind.CREDIT_NOTE)))
        assert len(notes) == 4
        assert (sum(each.net for each in notes), sum(each.tax for each in notes)) == (302, 40)
        assert sum(each.total for each in notes) == made.total.amount


@pytest.mark.parametrize("total", [1, 2, 7, 98, 101, 1190, 1191, 99999])
def test_those_of_an_imported_order_add_up_to_the_total_that_it_stated(session: Session, total: int) -> None:
    from smartsub_tui.billing.pricing import share_gross

    office = add_office()
    people = add_people(office, "u1", "u2", "u3", expires_on=SOON)
    order = add_order(office, people, OrderStatus.PROCESSING)
    nets, tax = share_gross(total, [190_000] * 3)
    Order.update(net=sum(nets), tax=tax, total=total).execute()
    for line, net in zip(OrderLine.select().order_by(OrderLine.id), nets, strict=True):
        OrderLine.update(amount=net).where(OrderLine.id == line.id).execute()
    payments.pay(session, order.number, Manual("R"))
    notes = [credit(session, order.number, key) for key in ("u2", "u1", "u3")]
    assert sum(each.credit_note.total.amount for each in notes) == total
    rows = Invoice.select().where(Invoice.kind == InvoiceKind.CREDIT_NOTE)
    assert sum(each.tax for each in rows) == tax


def test_what_cost_nothing_is_taken_back_without_money(session: Session, office: Office) -> None:
    Price.update(amount=0).execute()
    number = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
    done = credit(session, number)
    assert done.credit_note.total == Money(0, "EUR")
    assert expiry("u1") == SOON
    assert Refund.select().count() == 0
    assert json.loads(Invoice.select().order_by(Invoice.id.desc()).get().snapshot)["tax"] == [
        {"rate_ppm": 190000, "net": 0, "tax": 0}
    ]


def test_numbers_are_of_their_own_series_and_a_refusal_or_a_dry_run_takes_none(
    session: Session, renewed: Callable[..., str], clock: FixedClock
) -> None:
    number = renewed()
    other = replace(session, settings=replace(SETTINGS, invoice=InvoiceSettings(credit_series="GS")))
    assert credit(session, number, "u1", dry_run=True).credit_note.number == "CN-2026-000001"
    assert credit(session, number, "u1").credit_note.number == "CN-2026-000001"
    refused(session, number, "u1")
    assert credit(other, number, "u2").credit_note.number == "GS-2026-000001"
    clock.advance(days=40)
    assert credit(session, number, "u3").credit_note.number == "CN-2027-000001"
    assert {(row.series, row.year, row.last) for row in Counter.select()} == {
        ("INV", 2026, 1),
        ("CN", 2026, 1),
        ("GS", 2026, 1),
        ("CN", 2027, 1),
    }


def test_money_that_came_through_a_provider_is_asked_back_from_it_after_the_transaction(
    session: Session, renewed: Callable[..., str]
) -> None:
    number = renewed("u1")
    Payment.update(provider=ProviderName.STRIPE, charge="pi_1").execute()
    talk = credits.credit(session, number, "a mistake")
    call = next(talk)
    assert not session.database.in_transaction()
    assert expiry("u1") == SOON
    assert isinstance(call, PayBack)
    assert (call.provider, call.back.charge, call.back.amount) == (ProviderName.STRIPE, "pi_1", Money(595, "EUR"))
    talk.close()
    # Paid back by hand, nobody is asked.
    other = renewed("u2")
    Payment.update(provider=ProviderName.STRIPE, charge="pi_2").where(Payment.applied).execute()
    credit(session, other, reference="by hand")
    assert [(row.state, row.reference) for row in Refund.select().order_by(Refund.id)] == [
        (RefundState.CREATED, None),
        (RefundState.SUCCEEDED, "by hand"),
    ]
    shown = read_order(other, session.clock.now(), session.settings).refunds
    assert [(each.state, each.reference) for each in shown] == [(RefundState.SUCCEEDED, "by hand")]


def test_it_is_no_longer_contested_once_all_of_it_is_taken_back(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed()
    Payment.update(contested=True).execute()
    credit(session, number, "u1")
    assert Payment.get().contested
    Payment.update(changed_at=NOW - timedelta(days=1)).execute()
    credit(session, number)
    assert (Payment.get().contested, Payment.get().changed_at) == (False, NOW)


# When there is none


def test_who_an_open_order_holds_stays_and_the_others_can_be_taken_back(
    session: Session, renewed: Callable[..., str], office: Office
) -> None:
    number = renewed()
    holder = orders.renew(session, "Oak House", ["u2", "u3"], Months(1)).order.number
    assert refused(session, number) == (
        f"order {number} cannot be taken back: order {holder} holds u2 (and 1 more): cancel it first, or leave them out"
    )
    assert f"order {holder} holds u3: cancel" in refused(session, number, "u1", "u3")
    assert [each.objection for each in credits.propose(session, number).lines] == [
        "",
        f"order {holder} holds it",
        f"order {holder} holds it",
    ]
    credit(session, number, "u1")
    assert refused(session, number, "u2") == (
        f"order {number} cannot be taken back: order {holder} holds someone of it"
    )
    payments.cancel(session, holder, "no longer wanted")
    credit(session, number)


def test_someone_taken_back_may_be_held(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed()
    credit(session, number, "u1")
    orders.renew(session, "Oak House", ["u1"], Months(1))
    credit(session, number)
    assert [expiry(key) for key in ("u1", "u2", "u3")] == [SOON] * 3


def test_what_is_proposed_says_where_later_orders_stand_on_it(session: Session) -> None:
    add_prices()
    add_people(add_office(), "a1", "a2")
    number = orders.activate(session, "Oak House", ["Sales"], paying=Manual("R")).order.number
    orders.renew(session, "Oak House", ["a1"], Months(1), paying=Manual("R"))
    proposal = credits.propose(session, number)
    assert [each.dates.name for each in proposal.lines] == ["Name of a1", "Name of a2"]
    assert [(each.dates.before, each.dates.after, each.objection) for each in proposal.lines] == [
        (LATER, None, "was activated by it, and later orders stand on that"),
        (SOON, None, ""),
    ]


def test_nothing_is_taken_back_twice(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed()
    credit(session, number, "u1")
    assert refused(session, number, "u1", "u2") == (
        f"order {number} cannot be taken back for u1: that was done already"
    )
    credit(session, number)
    assert refused(session, number) == f"order {number} cannot be taken back: all of it was taken back"


def test_who_is_not_of_the_order_is_not_found(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed("u1")
    for key in ("u2", "nobody"):
        assert refused(session, number, "u1", key, error=NotFound) == (
            f"order {number} is not for {key}: smartsub order {number} lists its people"
        )
    with pytest.raises(Refused, match="nobody of it is chosen"):
        hold(session.database, session.providers, credits.credit(session, number, "x", users=[]))


def test_what_is_not_paid_hidden_or_history_is_not_taken_back(
    session: Session, renewed: Callable[..., str], office: Office
) -> None:
    unpaid = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
    assert "it is not paid, so nothing can be taken back" in refused(session, unpaid)
    payments.cancel(session, unpaid, "x")
    number = renewed("u1")
    payments.delete(session, number, "x")
    assert "it is deleted: restore it first" in refused(session, number)
    people = list(Subscription.select())
    history = add_order(office, people, OrderStatus.SUCCEED, history=True).number
    assert "it is imported history, which has no invoice of ours" in refused(session, history)
    assert "no order" in refused(session, "4711", error=NotFound)


def test_while_money_goes_back_nothing_is_taken_back(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed()
    Payment.update(provider=ProviderName.STRIPE, charge="pi_1").execute()
    next(credits.credit(session, number, "x", users=["u1"]))
    assert "money of it is just being paid back" in refused(session, number)


def test_reason_and_reference_are_checked(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed("u1")
    assert "reason is empty" in refused(session, number, reason=" ", error=WrongUsage)
    assert "reference is empty" in refused(session, number, reference=" ", error=WrongUsage)


def test_only_a_manager_may(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed("u1")
    for role in (Role.VIEWER, Role.OPERATOR, Role.AUDITOR):
        other = as_role(session, role)
        assert "may not take back, with a credit note: ask a manager" in refused(other, number, error=NotAllowed)


# Once


def test_a_dry_run_shows_it_and_stores_nothing(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed()
    before = dump(session.database)
    shown = credit(session, number, "u1", dry_run=True)
    assert dump(session.database) == before
    done = credit(session, number, "u1")
    assert (shown.credit_note, shown.dates) == (done.credit_note, done.dates)
    assert shown.order.lines == done.order.lines


def test_a_request_is_done_once_and_answered_alike(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed()
    first = credit(session, number, "u1", "u2", request_id="r1")
    after = dump(session.database)
    assert credit(session, number, "u2", "u1", "u1", request_id="r1") == first
    assert dump(session.database) == after
    for changed in ({"users": ("u1",)}, {"reason": "another"}, {"reference": "by hand"}):
        users = changed.pop("users", ("u1", "u2"))
        assert "was used for something else" in refused(session, number, *users, request_id="r1", **changed)


def test_a_repeat_goes_on_where_the_provider_was_not_asked_yet(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed("u1")
    Payment.update(provider=ProviderName.STRIPE, charge="pi_1").execute()
    next(credits.credit(session, number, "x", request_id="r1"))  # and then the process ended
    again = next(credits.credit(session, number, "x", request_id="r1"))
    assert isinstance(again, PayBack)
    assert again.back.key == Refund.get().idempotency_key
    assert Refund.select().count() == 1


def test_whoever_looked_at_another_state_is_refused(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed()
    seen = read_order(number, session.clock.now(), SETTINGS).version
    credit(session, number, "u1", version=seen)
    assert "changed by someone else meanwhile" in refused(session, number, "u2", version=seen)
    credit(session, number, "u2", version=seen + 1)


@pytest.mark.parametrize("table", ["lines", "dates"])
def test_what_changed_after_it_was_read_is_refused_as_a_whole(
    session: Session, renewed: Callable[..., str], monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """Where a transaction does not lock what it reads."""
    number = renewed()
    real = credits._tax_left

    def meanwhile(order: Order, invoice: Invoice) -> dict[int, int]:
        if table == "lines":
            first = OrderLine.select(OrderLine.id).limit(1)
            OrderLine.update(credit_note=invoice.id).where(OrderLine.id == first).execute()
        else:
            Subscription.update(anchor_day=3).where(Subscription.id == Subscription.get().id).execute()
        return real(order, invoice)

    monkeypatch.setattr(credits, "_tax_left", meanwhile)
    assert "changed by someone else meanwhile" in refused(session, number)


def taken(url: str, number: str, *users: str) -> str:
    with closing(open_database(url)) as database:
        return credit(session_on(database), number, *users).credit_note.number


def test_of_many_that_take_back_at_once_each_line_is_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "shared.sqlite3"
    keys = ("u1", "u2", "u3")
    with closing(file_database(path)) as database:
        session = session_on(database)
        add_prices()
        add_people(add_office(), *keys, expires_on=SOON)
        number = orders.renew(session, "Oak House", keys, Months(1), paying=Manual("R")).order.number
    said = at_once(taken, [(url_at(path), number, key) for key in keys * 3])
    won = sorted(each for each in said if not each.startswith("Refused"))
    assert won == [f"CN-2026-00000{place}" for place in (1, 2, 3)]
    with closing(open_database(url_at(path))):
        assert [expiry(key) for key in keys] == [SOON] * 3
        assert sum(row.amount for row in Refund.select()) == gross(3 * MONTH_PRICE)


# What is offered


def test_it_is_offered_to_a_manager_while_something_can_be_taken_back(
    session: Session, renewed: Callable[..., str]
) -> None:
    number = renewed()

    def offered(role: Role = Role.MANAGER) -> str:
        found = payments.offers(number, admin_record(role), session.clock.now())
        return next(each.reason for each in found if each.trigger is Trigger.CREDIT)

    assert offered() == ""
    assert offered(Role.OPERATOR) == "an operator may not"
    holder = orders.renew(session, "Oak House", ["u1", "u2"], Months(1)).order.number
    assert offered() == ""
    credit(session, number, "u3")
    assert offered() == f"order {holder} holds someone of it"
    payments.cancel(session, holder, "x")
    credit(session, number)
    assert offered() == "all of it was taken back"


# Refused by what is stored


def test_an_order_of_a_csv_file_that_was_closed_says_why(session: Session) -> None:
    import_files(session, [SAMPLES / name for name in ("prices.csv", "users.csv", "orders.csv")])
    closed = Order.get(Order.history & (Order.status == OrderStatus.SUCCEED))
    assert "it is imported history, which has no invoice of ours" in refused(session, closed.number)


def test_what_was_paid_back_by_hand_and_declined_before_can_be_paid_back_later(
    session: Session, renewed: Callable[..., str]
) -> None:
    """A credit note stands whatever becomes of its money; that is owed, and paid back by `refund`."""
    number = renewed("u1")
    Payment.update(provider=ProviderName.STRIPE).execute()  # which never named the money
    credit(session, number)
    assert Refund.get().state is RefundState.DECLINED
    hold(session.database, session.providers, refunds.refund(session, number, "by hand then", reference="till 4"))
    assert [(each.state, each.reference) for each in Refund.select().order_by(Refund.id)] == [
        (RefundState.DECLINED, None),
        (RefundState.SUCCEEDED, "till 4"),
    ]


def test_what_several_credit_notes_owe_is_paid_back_at_once(session: Session, renewed: Callable[..., str]) -> None:
    number = renewed("u1", "u2")
    Payment.update(provider=ProviderName.STRIPE, charge="pi_1").execute()

    def answered(talk: Any, *answers: BackAnswer) -> None:
        """Each call of the talk gets its answer, and there are no more."""
        given: BackAnswer | None = None
        for answer in answers:
            assert isinstance(step(session.database, talk, given), PayBack)
            given = answer
        assert isinstance(step(session.database, talk, given), Ended)

    for user in ("u1", "u2"):
        answered(credits.credit(session, number, "a mistake", users=[user]), No("too little is there"))
    half = Money(gross(MONTH_PRICE), "EUR")
    answered(
        refunds.refund(session, number, "now there is enough"),
        *(PaidBack(reference=f"re_{place}", amount=half) for place in (1, 2)),
    )
    done = Refund.select().where(Refund.state == RefundState.SUCCEEDED).order_by(Refund.id)
    assert [(each.reference, each.amount) for each in done] == [("re_1", half.amount), ("re_2", half.amount)]
    with pytest.raises(Refused, match="no money of it waits"):
        hold(session.database, session.providers, refunds.refund(session, number, "again"))


@pytest.mark.parametrize(
    ("state", "told", "is_done"),
    [
        (None, "no money came, so nothing of EUR 5.95 is paid back", True),
        (RefundState.SUCCEEDED, "EUR 5.95 was paid back", True),
        (RefundState.PENDING, "EUR 5.95 is on its way back", True),
        (RefundState.DECLINED, "EUR 5.95 could not be paid back: smartsub refund {number}", False),
        (RefundState.UNKNOWN, "whether EUR 5.95 was paid back is unknown, it is asked again", False),
    ],
)
def test_what_became_of_the_money_is_said(
    session: Session, renewed: Callable[..., str], state: RefundState | None, told: str, is_done: bool
) -> None:
    number = renewed("u1")
    done = replace(credit(session, number), paid_back=state)
    assert done.told_of_money() == told.format(number=number)
    assert done.is_paid_back is is_done
    dry = told if state is None else "EUR 5.95 would be paid back"
    assert done.told_of_money(dry_run=True) == dry
    free = replace(done.credit_note, total=Money(0, "EUR"))
    assert replace(done, credit_note=free, paid_back=None).told_of_money() == "there is nothing to pay back"
