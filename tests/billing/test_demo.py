"""The demo data: it looks like years of real work, and nothing in it contradicts the rules of the program."""

from __future__ import annotations

import gc
import json
import unicodedata
from collections import Counter as Tally
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from smartsub_tui.billing import access, orders, payments, terms
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.changes import time_out_due
from smartsub_tui.billing.demo import fates, make_demo
from smartsub_tui.billing.details import read_order, term_of
from smartsub_tui.billing.lifecycle import TABLE
from smartsub_tui.billing.payments import BankTransfer, Manual
from smartsub_tui.billing.pricing import load_prices, totals
from smartsub_tui.billing.providers import of_settings
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Dates, Months, Until
from smartsub_tui.clock import local_date
from smartsub_tui.config import OrderSettings, Settings
from smartsub_tui.data import models, queries
from smartsub_tui.data.database import Database
from smartsub_tui.data.demo_names import CULTURES, PLACES
from smartsub_tui.data.fields import InstantField
from smartsub_tui.data.models import (
    Admin,
    AuditEvent,
    Claim,
    Counter,
    Department,
    Invoice,
    Office,
    Order,
    OrderLine,
    Payment,
    Price,
    Subscription,
    User,
)
from smartsub_tui.data.records import instant_text
from smartsub_tui.data.text import forbidden_character
from smartsub_tui.data.vocabulary import (
    LIVE_PAYMENT_STATES,
    Lapsed,
    LineAction,
    OfficeKind,
    OrderStatus,
    OrderType,
    PaymentState,
    ProviderName,
    Role,
    SubscriptionState,
    Trigger,
    UserKind,
)
from smartsub_tui.errors import Refused, WrongUsage
from tests import postgres
from tests.support import NOW, SETTINGS, FixedClock, dump, memory_database

pytestmark = pytest.mark.once

DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
USERS, ORDERS = 120, 800


def made(
    users: int = USERS,
    orders: int = ORDERS,
    *,
    seed: int = 1,
    now: datetime = NOW,
    admin: str = "alice",
    settings: Settings = SETTINGS,
) -> Database:
    database = memory_database()
    make_demo(database, admin=admin, now=now, orders=orders, users=users, seed=seed, settings=settings)
    return database


@pytest.fixture(scope="module")
def _demo() -> Iterator[Database]:
    database = made()
    yield database
    database.close()


@pytest.fixture
def demo(_demo: Database) -> Database:
    """A demo of 120 users and 800 orders, to read from."""
    models.proxy.initialize(_demo)
    return _demo


def found(query: Any) -> list[Any]:
    """The rows of a query; what is stored is checked here, not its types."""
    return list(query)


def lines_of(order: Any) -> list[Any]:
    return found(OrderLine.select().where(OrderLine.order == order).order_by(OrderLine.id))


def own_orders() -> list[Any]:
    """Without imported history."""
    return found(Order.select().where(~Order.history).order_by(Order.id))


def events_of(order: Any) -> list[Any]:
    return found(AuditEvent.select().where(AuditEvent.order == order).order_by(AuditEvent.id))


# The same again


def test_the_same_seed_and_day_make_the_same_data() -> None:
    first = made(40, 200, now=MIDNIGHT)
    once = dump(first)
    first.close()
    second = made(40, 200, now=MIDNIGHT + timedelta(hours=23, minutes=59))
    assert dump(second) == once
    second.close()


@pytest.mark.parametrize("other", [{"seed": 2}, {"now": NOW + DAY}])
def test_another_seed_or_day_makes_other_data(other: dict[str, Any]) -> None:
    first = made(40, 200)
    once = dump(first)
    first.close()
    second = made(40, 200, **other)
    differing = {table for table, rows in dump(second).items() if rows != once[table]}
    assert {"orders", "order_line", "payment", "invoice", "audit_event", "subscription"} <= differing
    second.close()


def test_it_does_not_matter_where_in_the_world_now_is_said() -> None:
    first = made(12, 20)
    once = dump(first)
    first.close()
    second = made(12, 20, now=NOW.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+09:00").tzinfo))
    assert dump(second) == once
    second.close()


def test_it_does_not_matter_how_much_is_written_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(40, 200)
    once = dump(first)
    first.close()
    monkeypatch.setattr("smartsub_tui.billing.demo.orders._WRITE_AFTER", 7)
    second = made(40, 200)
    assert dump(second) == once
    second.close()


# What there is to see


def test_as_many_as_were_asked_for(demo: Database) -> None:
    assert Order.select().count() == ORDERS
    assert User.select().count() == USERS
    assert Office.select().count() == 12
    assert {office.kind for office in found(Office.select())} == set(OfficeKind)
    assert len({office.currency for office in found(Office.select())}) > 8
    assert len({office.timezone for office in found(Office.select())}) == 12


def test_every_status_and_type_in_plausible_shares(demo: Database) -> None:
    statuses = Tally(order.status for order in found(Order.select()))
    assert set(statuses) == set(OrderStatus)
    assert 0.72 < statuses[OrderStatus.SUCCEED] / ORDERS < 0.86
    for status in (OrderStatus.FAILED, OrderStatus.TIME_OUT, OrderStatus.CANCEL):
        assert 0.03 < statuses[status] / ORDERS < 0.11
    assert 6 <= statuses[OrderStatus.PROCESSING] < 30
    assert 2 <= statuses[OrderStatus.SYSTEM_PROCESSING] < 10
    assert {order.type for order in own_orders()} == set(OrderType)
    assert Order.select().where(Order.type == OrderType.ADDITIONAL_APP).count() > 20
    assert Order.select().where(Order.history).count() == ORDERS * 3 // 100


def test_months_and_days(demo: Database) -> None:
    months = Tally(order.months for order in own_orders() if order.months)
    assert {1, 3, 6, 12} <= {length for length, _ in months.most_common(5)}
    daily = [order for order in own_orders() if order.until]
    assert len(daily) > 20
    assert {order.office.kind for order in daily} == {OfficeKind.COMMUNITY}


def test_names_of_every_script(demo: Database) -> None:
    names = [user.name for user in found(User.select())]
    scripts = {unicodedata.name(letter).split()[0] for name in names for letter in name if letter.isalpha()}
    assert {"LATIN", "GREEK", "CYRILLIC", "ARABIC", "HEBREW", "DEVANAGARI", "THAI", "CJK", "HANGUL"} <= scripts
    for culture in CULTURES.values():
        assert any(family in name for name in names for family in culture.family), culture
    places = [each.name for model in (Office, Department) for each in found(model.select())]
    assert "KATAKANA" in {unicodedata.name(letter).split()[0] for name in places for letter in name if letter.isalpha()}
    assert any("'" in name for name in names)
    assert max(map(len, names)) > 30
    assert all(unicodedata.is_normalized("NFC", name) for name in [*names, *places])
    assert not [name for name in [*names, *places] if forbidden_character(name)]


def test_all_names_of_the_lists_can_be_typed() -> None:
    listed = [name for each in CULTURES.values() for name in (*each.given, *each.family, *each.whole)]
    listed += [name for place in PLACES for name in (place.name, *place.parts)]
    assert not [name for name in listed if forbidden_character(name) or name != name.strip() or not name]
    assert len({place.code for place in PLACES}) == len({place.name for place in PLACES}) == len(PLACES)


def test_people_and_their_homes(demo: Database) -> None:
    homes = set()
    for user in found(User.select().order_by(User.kind.desc())):
        office = user.office
        assert user.department.office_id == office.id
        assert user.email == "" or (user.email.isascii() and user.email.endswith(".example.com"))
        lives_there = office.kind is OfficeKind.COMMUNITY and user.kind is not UserKind.PROPERTY_MANAGER
        assert (user.apartment is not None) == lives_there
        if user.kind is UserKind.USER:
            homes.add((user.department_id, user.apartment))
        if user.kind is UserKind.FAMILY:
            assert office.kind is OfficeKind.COMMUNITY
            assert (user.department_id, user.apartment) in homes
    assert {user.kind for user in found(User.select())} == set(UserKind)
    assert all(each.service is each.user.kind.service for each in found(Subscription.select()))


def test_people_in_every_state(demo: Database) -> None:
    states = Tally(
        SubscriptionState.on(local_date(NOW, each.user.office.timezone), each.expires_on, each.user.removed_on)
        for each in found(Subscription.select())
    )
    assert set(states) == set(SubscriptionState)
    assert states.most_common(1)[0][0] is SubscriptionState.ACTIVE


def test_anchors_at_the_end_of_a_month(demo: Database) -> None:
    assert {29, 30, 31} <= {each.anchor_day for each in found(Subscription.select())}
    leap = date(2028, 2, 29)
    assert Subscription.select().where(Subscription.expires_on == leap, Subscription.anchor_day == 29).exists()
    returned = [
        line
        for line in found(OrderLine.select().where(OrderLine.action == LineAction.MONTH))
        if line.applied_on
        and line.applied_on <= line.previous_expiry
        and line.previous_expiry.day < line.new_expiry.day
    ]
    assert returned


@pytest.mark.parametrize(
    ("today", "leap"),
    [
        (date(2026, 2, 28), date(2028, 2, 29)),
        (date(2028, 2, 29), date(2028, 2, 29)),
        (date(2028, 3, 1), date(2032, 2, 29)),
        (date(2096, 3, 1), date(2104, 2, 29)),
    ],
)
def test_someone_of_the_next_leap_day(today: date, leap: date) -> None:
    database = made(20, 40, now=datetime(today.year, today.month, today.day, 12, tzinfo=UTC))
    assert (
        Subscription.select()
        .where(Subscription.opening_expires_on == leap, Subscription.opening_anchor_day == 29)
        .exists()
    )
    database.close()


def test_work_that_waits(demo: Database) -> None:
    unapplied = Payment.select().where((Payment.state == PaymentState.SUCCEEDED) & ~Payment.applied)
    assert {payment.order.status for payment in found(unapplied)} == {OrderStatus.CANCEL, OrderStatus.TIME_OUT}
    assert all(payment.created_at > MIDNIGHT - 60 * DAY for payment in found(unapplied))
    followed = Order.select(Order.made_from).where(Order.made_from.is_null(False))
    retry = Order.select().where((Order.status == OrderStatus.FAILED) & Order.id.not_in(followed))
    assert [order for order in found(retry) if order.status_since > MIDNIGHT - 30 * DAY and not order.history]
    assert followed.count() > 10
    stuck = found(Order.select().where(Order.status == OrderStatus.SYSTEM_PROCESSING))
    assert {order.imported_at is None for order in stuck} == {True, False}
    for order in stuck:
        live = [payment for payment in order.payments if payment.state in LIVE_PAYMENT_STATES]
        states = [(payment.provider, payment.state) for payment in live]
        assert states == ([] if order.imported_at else [(ProviderName.STRIPE, PaymentState.UNKNOWN)])
        assert MIDNIGHT - 2 * DAY < order.status_since < MIDNIGHT - timedelta(minutes=5)
    assert Order.select().where(Order.late).exists()
    assert Order.select().where(Order.deleted_at.is_null(False)).exists()


def test_payments_of_every_provider(demo: Database) -> None:
    paid = Tally(payment.provider for payment in found(Payment.select().where(Payment.applied)))
    assert set(paid) == set(ProviderName)
    assert {payment.state for payment in found(Payment.select())} >= {
        PaymentState.SUCCEEDED,
        PaymentState.DECLINED,
        PaymentState.EXPIRED,
        PaymentState.UNKNOWN,
    }
    assert all(payment.reference for payment in found(Payment.select().where(Payment.state == PaymentState.SUCCEEDED)))


@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_something_is_due_soon_at_any_time_of_the_day(demo: Database, hour: int) -> None:
    pay_by = sorted(order.pay_by for order in found(Order.select().where(Order.status == OrderStatus.PROCESSING)))
    now = MIDNIGHT + timedelta(hours=hour)
    assert [each for each in pay_by if now < each <= now + timedelta(hours=16)]
    assert not hour or [each for each in pay_by if each <= now + timedelta(hours=3)]


# What holds, in every demo


class Stored:
    """All rows, read at once: following references row by row would take a minute."""

    def __init__(self) -> None:
        self.office = self._by_key(Office)
        self.department = self._by_key(Department)
        self.user = self._by_key(User)
        self.subscription = self._by_key(Subscription)
        self.order = self._by_key(Order)
        self.own = [order for order in self.order.values() if not order.history]
        self.lines = self._by_order(OrderLine)
        self.payments = self._by_order(Payment)
        self.events = self._by_order(AuditEvent)
        self.invoices = found(Invoice.select().order_by(Invoice.id))
        self.roles = {admin.name: admin.role for admin in found(Admin.select())}

    @staticmethod
    def _by_key(model: Any) -> dict[int, Any]:
        return {each.id: each for each in found(model.select().order_by(model.id))}

    @staticmethod
    def _by_order(model: Any) -> dict[int | None, list[Any]]:
        rows: dict[int | None, list[Any]] = {}
        for each in found(model.select().order_by(model.id)):
            rows.setdefault(each.order_id, []).append(each)
        return rows

    def person(self, line: Any) -> Any:
        return self.user[self.subscription[line.subscription_id].user_id]

    def today(self, order: Any, at: datetime) -> date:
        return local_date(at, self.office[order.office_id].timezone)


def check(database: Database, settings: Settings, end: datetime = MIDNIGHT) -> None:
    """Everything that a demo of any size must keep."""
    if not postgres.is_wanted():  # which looks at each row by itself
        assert database.execute_sql("PRAGMA foreign_key_check").fetchall() == []
    stored = Stored()
    check_instants(stored, end)
    check_ledger(stored)
    check_invoices(stored, settings)
    check_payments(stored, settings)
    check_claims(stored)
    check_events(stored)
    check_lines(stored, settings)


def check_instants(stored: Stored, end: datetime) -> None:
    """Nothing is of the future but what has to be paid then."""
    for model in models.TABLES:
        for field in model._meta.sorted_fields:
            if isinstance(field, InstantField) and field.name not in ("pay_by", "expires_at"):
                latest = found(model.select(field).where(field.is_null(False)).order_by(field.desc()).limit(1))
                assert all(getattr(each, field.name) <= end for each in latest), field
    created = [(order.created_at, order.number) for order in stored.order.values()]
    assert created == sorted(created)
    for at, number in created:
        assert number[:14] == at.strftime("%Y%m%d%H%M%S")
        assert len(number) == 20
    assert all(order.pay_by > end for order in stored.own if order.status is OrderStatus.PROCESSING)
    for model in (AuditEvent, Payment):
        at = found(model.select().order_by(model.id))
        name = "at" if model is AuditEvent else "created_at"
        assert [getattr(each, name) for each in at] == sorted(getattr(each, name) for each in at)


def check_ledger(stored: Stored) -> None:
    """A replay of what was applied leads to what is stored."""
    dates = {
        key: Dates(each.opening_activated_on, each.opening_expires_on, each.opening_anchor_day)
        for key, each in stored.subscription.items()
    }
    for order in sorted((each for each in stored.own if each.paid_at), key=lambda each: each.paid_at):
        for line in stored.lines[order.id]:
            held, term = dates[line.subscription_id], term_of(order, line.action)
            # Removed later, or on that very day but after it.
            removed_on = stored.person(line).removed_on
            assert removed_on is None or removed_on >= line.applied_on
            assert terms.objection(held, term, line.applied_on, None) is None
            assert line.applied_on == stored.today(order, order.paid_at)
            assert line.previous_expiry == held.expires_on
            dates[line.subscription_id] = terms.extend(held, term, line.applied_on, line.lapsed)
            assert line.new_expiry == dates[line.subscription_id].expires_on
    for key, each in stored.subscription.items():
        assert Dates(each.activated_on, each.expires_on, each.anchor_day) == dates[key]
    for order in stored.order.values():
        if order.history or order.status is not OrderStatus.SUCCEED:
            assert all(line.applied_on is None for line in stored.lines.get(order.id, []))


def check_invoices(stored: Stored, settings: Settings) -> None:
    """One of every order paid here, numbered without gaps in the order of payment; the counter stands at the last."""
    given: dict[int, int] = {}
    before = datetime.min.replace(tzinfo=UTC)
    for invoice in stored.invoices:
        order = stored.order[invoice.order_id]
        given[invoice.year] = given.get(invoice.year, 0) + 1
        assert invoice.number == f"{settings.invoice.series}-{invoice.year}-{given[invoice.year]:06d}"
        assert (invoice.series, invoice.sequence) == (settings.invoice.series, given[invoice.year])
        assert invoice.issued_on == local_date(invoice.issued_at, settings.seller.timezone)
        assert invoice.issued_on.year == invoice.year
        assert before <= invoice.issued_at == order.paid_at
        before = invoice.issued_at
        assert (invoice.net, invoice.tax, invoice.total) == (order.net, order.tax, order.total)
        assert invoice.currency == order.currency == stored.office[order.office_id].currency
        said = json.loads(invoice.snapshot)
        assert said["seller"]["name"] == settings.seller.name
        assert said["buyer"]["office"] == stored.office[order.office_id].name
        assert said["order"] == {
            "number": order.number,
            "type": order.type,
            "created_at": instant_text(order.created_at),
            "paid_at": instant_text(order.paid_at),
            "months": order.months,
            "until": order.until.isoformat() if order.until else None,
            "first_term_months": order.first_term_months,
        }
        paid = [payment for payment in stored.payments.get(order.id, []) if payment.applied]
        assert said["payment"] == next(({"provider": p.provider, "reference": p.reference} for p in paid), None)
        assert (said["net"], said["tax_total"], said["total"]) == (order.net, order.tax, order.total)
        assert said["tax_total"] == sum(rate["tax"] for rate in said["tax"])
        for line, told in zip(stored.lines[order.id], said["lines"], strict=True):
            user = stored.person(line)
            assert (told["user_id"], told["label"], told["apartment"]) == (user.key, line.label, user.apartment)
            assert told["department"] == stored.department[user.department_id].name
            assert (told["amount"], told["tax_rate_ppm"]) == (line.amount, line.tax_rate_ppm)
            assert told["new_expiry"] == line.new_expiry.isoformat()
    assert {(each.series, each.year): each.last for each in found(Counter.select())} == {
        (settings.invoice.series, year): last for year, last in given.items()
    }
    succeeded = {order.id for order in stored.own if order.status is OrderStatus.SUCCEED}
    assert {invoice.order_id for invoice in stored.invoices} == succeeded


def check_payments(stored: Stored, settings: Settings) -> None:
    """What was paid here was paid once, and in time or late as it says; nothing else was applied."""
    orders_settings = settings.orders
    for order in stored.order.values():
        payments_of = stored.payments.get(order.id, [])
        applied = [payment for payment in payments_of if payment.applied]
        assert all(payment.currency == order.currency for payment in payments_of)
        if order.history:
            assert not payments_of
            assert order.imported_at is not None
            assert (order.net, order.tax, order.pay_by) == (None, None, None)
            continue
        assert [payment.idempotency_key for payment in payments_of] == [
            f"smartsub-{order.number}-{attempt}" for attempt in range(1, len(payments_of) + 1)
        ]
        if order.status is OrderStatus.SUCCEED and order.total:
            assert [payment.amount for payment in applied] == [order.total]
            assert applied[0].changed_at == order.paid_at
        else:
            assert not applied
        # No link is left open, which only its provider could close.
        live = [payment.state for payment in payments_of if payment.state in LIVE_PAYMENT_STATES]
        assert live == [PaymentState.UNKNOWN] * (order.status is OrderStatus.SYSTEM_PROCESSING and bool(payments_of))
        within = orders_settings.bank_within if order.bank_chosen_at else orders_settings.pay_within
        assert order.pay_by == order.created_at + max(within, orders_settings.pay_within)
        triggers = {event.action for event in stored.events[order.id]}
        if order.late:
            assert triggers & {Trigger.CONFIRM, Trigger.APPLY}
        elif order.status is OrderStatus.SUCCEED and Trigger.CONFIRM not in triggers:
            assert order.paid_at <= order.pay_by
        elif order.status is OrderStatus.TIME_OUT:
            assert order.status_since >= order.pay_by


def check_claims(stored: Stored) -> None:
    """Open orders hold their people, nobody else does, and no two orders ever held the same person at a time."""
    claims = {(claim.subscription_id, claim.order_id) for claim in found(Claim.select())}
    assert claims == {
        (line.subscription_id, order.id)
        for order in stored.order.values()
        for line in stored.lines.get(order.id, [])
        if order.status.is_open
    }
    holds: dict[int, list[tuple[datetime, datetime]]] = {}
    for order in stored.own:
        # Held until the first event that closes it; what comes later to a closed one holds nobody.
        closing = [event.at for event in stored.events[order.id] if _closes(event)]
        until = min(closing, default=datetime.max.replace(tzinfo=UTC))
        for line in stored.lines[order.id]:
            holds.setdefault(line.subscription_id, []).append((order.created_at, until))
    for spans in holds.values():
        spans.sort()
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    removed = {event.subject: event.at for event in stored.events[None] if event.before is not None}
    for key, each in stored.subscription.items():
        user = stored.user[each.user_id]
        assert (user.key in removed) == (user.removed_on is not None)
        assert all(
            not start <= removed.get(user.key, NOW) < end for start, end in holds.get(key, []) if user.removed_on
        )


def _closes(event: Any) -> bool:
    after = json.loads(event.after or "{}")
    return event.action != "import" and "status" in after and not OrderStatus(after["status"]).is_open


# Events that are no trigger of the table: what is chosen, and what a provider says.
_ASIDE = ("link", "under_way", "bank")


def check_events(stored: Stored) -> None:
    """The trail tells each order's way from its making to what it is now, step by step, by the rules of the table."""
    allowed = {(row.trigger, source, row.target or source) for row in TABLE for source in row.sources} | {
        ("under_way", OrderStatus.PROCESSING, OrderStatus.SYSTEM_PROCESSING)
    }
    for order in stored.own:
        making, *events = stored.events[order.id]
        assert making.action == ("create" if order.imported_at is None else "import")
        assert (making.at, making.admin) == (order.created_at, order.created_by)
        assert json.loads(making.after)["lines"] == len(stored.lines[order.id])
        status = OrderStatus(json.loads(making.after)["status"])
        deleted, version, since = False, 1, order.created_at
        for event in events:
            before, after = json.loads(event.before or "{}"), json.loads(event.after or "{}")
            assert before.get("status", status) == status
            step = OrderStatus(after.get("status", status))
            assert event.action in ("link", "bank") or (event.action, status, step) in allowed
            deleted = after.get("deleted", deleted)
            assert step is not OrderStatus.SUCCEED or after.get("late", order.late) == order.late
            version += event.action not in ("link", "again")
            since = event.at if step is not status else since
            status = step
            permission = Permission.CREATE if event.action in _ASIDE else Trigger(event.action)
            assert access.may(stored.roles[event.admin], permission)
            for text in (event.before, event.after):
                assert text is None or text == json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
        assert (status, deleted) == (order.status, order.deleted_at is not None), order.number
        assert (version, since) == (order.version, order.status_since), order.number
        assert access.may(stored.roles[order.created_by], Permission.CREATE)


def check_lines(stored: Stored, settings: Settings) -> None:
    """Amounts are those of the price list on the day of the order; the order's totals are of its lines."""
    prices = {currency: load_prices(currency) for currency in {each.currency for each in stored.office.values()}}
    for order in stored.order.values():
        lines = stored.lines.get(order.id, [])
        people = [stored.person(line) for line in lines]
        assert all(user.office_id == order.office_id for user in people)
        if lines:
            shared = {(user.department_id, user.apartment) for user in people if user.apartment}
            assert order.apartments == len(shared) + len([user for user in people if not user.apartment])
            additional = {user.kind is UserKind.FAMILY for user in people}
            assert additional == {order.type is OrderType.ADDITIONAL_APP}
        if order.history:
            assert all((line.action, line.amount, line.applied_on) == (None, None, None) for line in lines)
            continue
        assert [user.name for user in people] == [line.label for line in lines] != []
        assert [user.name_folded for user in people] == sorted(user.name_folded for user in people)
        if order.imported_at is not None:
            assert sum(line.amount for line in lines) == order.net
            continue
        sums = totals((line.amount, line.tax_rate_ppm) for line in lines)
        assert (order.net, order.tax, order.total) == (sums.net, sums.tax, sums.total)
        assert (order.type is OrderType.ACTIVATION) <= (order.first_term_months is not None)
        assert order.first_term_months in (None, settings.orders.first_term_months)
        today = stored.today(order, order.created_at)
        assert order.until is None or today < order.until <= terms.latest_until(today)
        for line in lines:
            service = stored.subscription[line.subscription_id].service
            price = prices[order.currency].find(service, line.action, stored.office[order.office_id].kind, today)
            count = {LineAction.ACTIVATION: 1, LineAction.MONTH: order.months, LineAction.DAY: line.days}[line.action]
            assert (line.amount, line.tax_rate_ppm) == (price.amount * count, price.tax_rate_ppm)


def test_nothing_contradicts_the_rules(demo: Database) -> None:
    check(demo, SETTINGS)


@pytest.mark.parametrize(
    ("users", "orders", "seed", "within"),
    [
        (1, 0, 1, OrderSettings()),
        (1, 300, 1, OrderSettings()),
        (3, 7, 2, OrderSettings(pay_within=timedelta(seconds=90), bank_within=timedelta(hours=1))),
        (12, 300, 3, OrderSettings(lapsed=Lapsed.CONTINUOUS, first_term_months=12)),
        (30, 300, 4, OrderSettings(pay_within=timedelta(days=20), bank_within=timedelta(days=2))),
        (60, 30, 5, OrderSettings()),
        (600, 900, 6, OrderSettings()),  # someone is in an open order when it is time to be removed
        *((40, 160, seed, OrderSettings()) for seed in range(10, 25)),
    ],
)
def test_nothing_contradicts_the_rules_in_other_demos(
    users: int, orders: int, seed: int, within: OrderSettings
) -> None:
    settings = replace(SETTINGS, orders=within, seller=replace(SETTINGS.seller, timezone="Pacific/Auckland"))
    database = made(users, orders, seed=seed, settings=settings)
    check(database, settings)
    assert User.select().count() == users
    assert Order.select().count() <= orders
    assert Order.select().count() >= orders * 0.9 - 3
    database.close()


@pytest.mark.parametrize("fate", fates._FATES, ids=lambda fate: fate.__name__.strip("_"))
def test_every_fate_by_itself(fate: fates.Fate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all orders, and of those of the last day, when time stands still before all is done."""
    monkeypatch.setattr(fates, "usual_fate", lambda world: fate)
    monkeypatch.setattr(fates, "stay_open", fate)
    database = made(200, 100)
    check(database, SETTINGS)
    database.close()


def test_expiry_dates_neither_run_ahead_nor_fall_behind(demo: Database) -> None:
    early = [
        (line.previous_expiry - line.applied_on).days
        for line in found(OrderLine.select().where(OrderLine.applied_on.is_null(False)))
        if line.previous_expiry
    ]
    assert len([days for days in early if -60 < days < 30]) > 0.9 * len(early)
    expiries = [each.expires_on for each in found(Subscription.select()) if each.expires_on]
    assert max(expiries) < MIDNIGHT.date() + 40 * 31 * DAY


def test_both_price_lists_and_both_kinds_of_price_were_used(demo: Database) -> None:
    assert Price.select().where(Price.office_kind.is_null(False)).count() == 2
    prices = load_prices("EUR")
    (berlin,) = Office.select().where((Office.currency == "EUR") & (Office.kind == OfficeKind.COMMUNITY))
    used = {
        prices.find(line.subscription.service, line.action, berlin.kind, line.order.created_at.date())
        for line in found(OrderLine.select().join(Order).where((Order.office == berlin) & ~Order.history))
    }
    assert {price.office_kind for price in used} == {None, OfficeKind.COMMUNITY}
    assert len({price.valid_from for price in used}) == 2


def test_the_trail_tells_of_the_imports(demo: Database) -> None:
    subjects = [event.subject for event in found(AuditEvent.select().where(AuditEvent.order.is_null()).limit(3))]
    assert subjects == ["prices.csv", "users.csv", "orders.csv"]
    removed = {user.key for user in found(User.select().where(User.removed_on.is_null(False)))}
    told = {event.subject for event in found(AuditEvent.select().where(AuditEvent.before == '{"removed_on":null}'))}
    assert told == removed


# It is the program's own data


@pytest.fixture
def session() -> Iterator[Session]:
    """A session on a demo in which everything has happened that happens seldom."""
    database = made(200, 4000)
    clock = FixedClock(MIDNIGHT)
    yield Session(database, "alice", "app", clock, SETTINGS, of_settings(SETTINGS, clock))
    database.close()


def shape(value: Any) -> Any:
    """The keys of JSON data, all the way down; of a list, the shapes of its items."""
    if isinstance(value, dict):
        return tuple((key, shape(each)) for key, each in value.items())
    return tuple({shape(each) for each in value}) if isinstance(value, list) else None


def shapes_of_events(after_id: int = 0) -> dict[str, set[Any]]:
    shapes: dict[str, set[Any]] = {}
    for event in found(AuditEvent.select().where(AuditEvent.order.is_null(False) & (AuditEvent.id > after_id))):
        before, after = json.loads(event.before or "null"), json.loads(event.after or "null")
        shapes.setdefault(event.action, set()).add((shape(before), shape(after), event.reason is not None))
    return shapes


@pytest.mark.long
def test_it_has_the_form_of_what_the_program_writes(session: Session) -> None:
    """Everything is done once more by the program: its events and invoices look like those of the demo."""
    shapes, snapshots = shapes_of_events(), {shape(json.loads(each.snapshot)) for each in found(Invoice.select())}
    last, documents = AuditEvent.select().count(), Invoice.select().count()
    community = Office.get(Office.name == "Residenz am Park").name
    expiring = [each for each in found(Subscription.select()) if each.expires_on]
    held = {claim.subscription.id for claim in found(Claim.select())}
    free = [each.user for each in expiring if each.id not in held and not each.user.removed_on]
    people = [user.key for user in free if user.office.name == community and user.kind is UserKind.USER]

    def renew(term: Months | Until | None = None) -> str:
        return orders.renew(session, community, people[:1], term or Months(1)).order.number

    payments.pay(session, renew(), Manual("receipt 1"))
    payments.pay(session, renew(Until(terms.latest_until(MIDNIGHT.date()))), Manual("receipt 2"))
    number = renew()
    payments.pay(session, number, BankTransfer())
    payments.cancel(session, number, "no")
    payments.confirm(session, number, Manual("receipt 3"))
    payments.apply(session, number)
    payments.delete(session, number, "no")
    payments.restore(session, number)
    payments.delete(session, renew(), "hidden while it could be paid")
    number = renew()
    assert isinstance(session.clock, FixedClock)
    session.clock.advance(hours=25)
    time_out_due(session)
    number = orders.again(session, number).order.number
    payments.cancel(session, number, "no")
    imported = Order.get((Order.status == OrderStatus.SYSTEM_PROCESSING) & Order.imported_at.is_null(False))
    payments.fail(session, imported.number, "no")

    written = shapes_of_events(after_id=last)
    moves = {trigger for trigger in Trigger if trigger.is_offered} - {Trigger.REFUND, Trigger.CREDIT}
    assert set(written) == {"create", "bank", Trigger.TIME_OUT, *moves}
    for action, forms in written.items():
        assert forms <= shapes[action], action
    invoices = Invoice.select().order_by(Invoice.id).offset(documents)
    assert len(invoices) == 3
    assert {shape(json.loads(each.snapshot)) for each in invoices} <= snapshots


@pytest.mark.long
def test_the_program_goes_on_where_the_demo_ends(session: Session) -> None:
    """The next invoice has the next number; what is open can be paid, and times out when its time is over."""
    last = Counter.get(Counter.year == 2026).last
    first, *others = found(Order.select().where(Order.status == OrderStatus.PROCESSING).order_by(Order.pay_by))
    paid = payments.pay(session, first.number, Manual("receipt")).order
    assert paid.invoice is not None
    assert paid.invoice.number == f"INV-2026-{last + 1:06d}"
    assert isinstance(session.clock, FixedClock)
    session.clock.advance(hours=24)
    due = [order for order in others if order.pay_by <= session.clock.now()]
    assert time_out_due(session) == len(due) > 3
    assert not [order for order in queries.offices(session.clock.now()) if order.unpaid < 0]
    check_claims(Stored())


def test_every_order_can_be_shown(demo: Database) -> None:
    for order in found(Order.select().order_by(Order.id.desc()).limit(100)):
        details = read_order(order.number, NOW, SETTINGS)
        assert len(details.events) >= (0 if order.history else 1)
        assert details.total.amount == order.total


# Around it


def test_the_admins(demo: Database) -> None:
    roles = {admin.name: admin.role for admin in found(Admin.select())}
    assert roles == {"alice": Role.MANAGER, "bob": Role.OPERATOR, "carol": Role.VIEWER, "dave": Role.AUDITOR}
    assert {order.created_by for order in own_orders()} == {"alice", "bob"}


def test_an_admin_of_the_name_of_another_and_who_was_there_before() -> None:
    database = memory_database()
    access.found_manager("bob", NOW)
    make_demo(database, admin="bob", now=NOW, orders=20, users=20, settings=SETTINGS)
    roles = {admin.name: admin.role for admin in found(Admin.select())}
    assert roles == {"bob": Role.MANAGER, "carol": Role.OPERATOR, "dave": Role.VIEWER, "erin": Role.AUDITOR}
    assert {admin.created_at for admin in found(Admin.select())} == {Admin.get(Admin.name == "erin").created_at}
    database.close()


def test_many_people_have_more_offices() -> None:
    database = made(4000, 0)
    assert Office.select().count() == 24
    assert User.select().count() == 4000
    assert "Northgate Offices 2" in {office.name for office in found(Office.select())}
    database.close()


def test_only_a_new_database_is_filled() -> None:
    database = made(5, 5)
    before = dump(database)
    with pytest.raises(Refused, match="goes into a new one"):
        make_demo(database, admin="alice", now=NOW, orders=5, users=5, settings=SETTINGS)
    assert dump(database) == before
    database.close()


@pytest.mark.parametrize(("users", "orders"), [(0, 1), (1, -1), (1, 501), (2000, 1_000_001)])
def test_numbers_that_cannot_be(users: int, orders: int) -> None:
    database = memory_database()
    before = dump(database)
    with pytest.raises(WrongUsage, match="at least"):
        make_demo(database, admin="alice", now=NOW, orders=orders, users=users, settings=SETTINGS)
    assert dump(database) == before
    database.close()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(enabled: bool) -> None:
    before = gc.isenabled()  # not in a process that has imported the command line
    try:
        (gc.enable if enabled else gc.disable)()
        made(2, 2).close()
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
