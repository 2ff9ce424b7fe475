"""The life of orders as a whole: any sequence of writes, on a real database, against a small model in plain Python.

The model is written from the description of the rules, with calendar arithmetic of its own. After every step the whole
database is compared with it: status, claims, dates, money, invoices and the audit trail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from smartsub_tui.billing import orders, payments
from smartsub_tui.billing.changes import time_out_due
from smartsub_tui.billing.payments import BankTransfer, Manual
from smartsub_tui.billing.terms import Months, Until
from smartsub_tui.config import OrderSettings
from smartsub_tui.data.database import rows
from smartsub_tui.data.models import AuditEvent, Claim, Invoice, Order, OrderLine, Payment, Subscription, User
from smartsub_tui.data.vocabulary import Lapsed, OrderStatus, PaymentState
from smartsub_tui.errors import Refused
from tests.support import (
    ACTIVATION_PRICE,
    DAY_PRICE,
    MONTH_PRICE,
    SETTINGS,
    FixedClock,
    add_community,
    add_order,
    add_payment,
    add_person,
    add_prices,
    dump,
    gross,
    last_of_month,
    memory_database,
    months_later,
    session_on,
)

pytestmark = pytest.mark.long

ZONE = "Europe/Berlin"
KEYS = ("a", "b", "c", "d", "e", "f")

# What a person can ask for an order.
ACTIONS = (
    *("pay", "pay another amount", "bank", "confirm", "confirm another amount", "confirm second money", "apply"),
    *("again", "fail", "cancel", "delete", "restore"),
)

# What may have happened to an order before: actions, days that passed, who left; "import" and "date" say how it began.
STORIES: tuple[tuple[str | int, ...], ...] = (
    ("pay",),
    ("cancel", "confirm"),
    (1, "confirm"),
    (1, "again", "confirm"),
    (1, "again", "pay another amount"),
    ("date", 40),
    ("date", "pay"),
    ("bank", 13),
    ("delete",),
    ("import", "fail", "again"),
    ("import", "fail", "leave", "confirm"),
    ("import", "fail", 1, "confirm another amount"),
)


@dataclass
class Money:
    amount: int
    applied: bool = False
    state: str = "succeeded"


@dataclass
class Person:
    expires: date | None
    anchor: int = 0
    removed: bool = False


@dataclass
class Made:
    """What the model knows of an order."""

    status: str
    keys: list[str]
    term: tuple[str, Any]
    total: int
    created: datetime
    pay_by: datetime
    events: list[str]
    deleted: bool = False
    late: bool = False
    bank: bool = False
    changes: int = 0
    money: list[Money] = field(default_factory=list)
    extended: int = 0

    @property
    def is_open(self) -> bool:
        return self.status in ("processing", "system_processing")

    @property
    def live(self) -> Money | None:
        return next((each for each in self.money if each.state in ("sent", "unknown")), None)

    @property
    def unapplied(self) -> list[int]:
        return [each.amount for each in self.money if each.state == "succeeded" and not each.applied]


terms_of_renewal = st.builds(Months, st.sampled_from([1, 2, 12, 60])) | st.builds(
    Until,
    st.sampled_from(
        [date(2026, 11, 22), date(2026, 11, 23), date(2026, 12, 31), date(2027, 2, 28), date(2031, 11, 23)]
    ),
)


class LifeOfOrders(RuleBasedStateMachine):
    @initialize(lapsed=st.sampled_from(Lapsed), stories=st.lists(st.sampled_from(STORIES), max_size=4))
    def start(self, lapsed: Lapsed, stories: list[tuple[str | int, ...]]) -> None:
        self.lapsed = lapsed
        self.clock = FixedClock()
        self.database = memory_database()
        self.session = session_on(
            self.database, clock=self.clock, settings=replace(SETTINGS, orders=OrderSettings(lapsed=lapsed))
        )
        add_prices()
        self.office = add_community(timezone=ZONE)
        self.people = {
            "a": Person(date(2026, 12, 22), 22),
            "b": Person(date(2026, 11, 23), 23),
            "c": Person(date(2026, 2, 28), 31),
            "d": Person(date(2027, 1, 30), 30),
            "e": Person(None),
            "f": Person(None),
        }
        for key, person in self.people.items():
            add_person(self.office, key, apartment=key, expires_on=person.expires, anchor_day=person.anchor or None)
        self.orders: dict[str, Made] = {}
        self.references = count()
        for key, story in zip(KEYS, stories, strict=False):
            self.tell(key, story)

    def tell(self, key: str, story: tuple[str | int, ...]) -> None:
        """Let a story happen to an order of one person."""
        known = set(self.orders)
        if story[0] == "import":
            self.an_imported_order_is_under_way(key, 1, unknown=False)
        elif not (story[0] == "date" and self.order_for([key], Until(date(2026, 12, 31)), rehearse=False)):
            self.order_for([key], Months(1), rehearse=False)
        (number,) = set(self.orders) - known
        for step in story:
            if isinstance(step, int):
                self.time_passes(24 * step, sweep=False)
            elif step == "leave":
                self.somebody_leaves(key)
            elif step in ACTIONS:
                self.act(step, number, rehearse=False)

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()

    # The model

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @property
    def today(self) -> date:
        return self.now.astimezone(ZoneInfo(ZONE)).date()

    def claims(self) -> dict[str, str]:
        return {key: number for number, order in self.orders.items() if order.is_open for key in order.keys}

    def base(self, person: Person) -> tuple[date, int]:
        assert person.expires is not None
        if person.expires < self.today and self.lapsed is Lapsed.TODAY:
            return self.today, self.today.day
        return person.expires, person.anchor

    def can(self, key: str, term: tuple[str, Any]) -> bool:
        """Whether a line of `term` for this person would be valid today."""
        person, (what, value) = self.people[key], term
        if person.removed or (person.expires is None) != (what == "activate"):
            return False
        return what != "day" or (value > self.today and person.expires is not None and person.expires < value)

    def valid(self, order: Made) -> bool:
        return all(self.can(key, order.term) for key in order.keys)

    def free(self, number: str) -> bool:
        return all(self.claims().get(key, number) == number for key in self.orders[number].keys)

    def price(self, key: str, term: tuple[str, Any]) -> int:
        what, value = term
        if what == "activate":
            return ACTIVATION_PRICE
        return int(value) * MONTH_PRICE if what == "month" else self.days_to(key, value) * DAY_PRICE

    def days_to(self, key: str, until: date) -> int:
        return (until - self.base(self.people[key])[0]).days

    def settle(self, order: Made, trigger: str, *, late: bool = False) -> None:
        order.status, order.late = "succeed", late
        order.events.append(trigger)
        order.changes += 1
        order.extended += 1
        for key in order.keys:
            person, (what, value) = self.people[key], order.term
            if what == "activate":
                person.expires, person.anchor = months_later(self.today, 1, self.today.day), self.today.day
            elif what == "day":
                person.expires, person.anchor = value, value.day
            else:
                start, person.anchor = self.base(person)
                person.expires = months_later(start, value, person.anchor)

    def record(self, order: Made, trigger: str) -> None:
        order.events.append(trigger)
        order.changes += 1

    def sweep(self) -> None:
        for order in self.orders.values():
            if order.status == "processing" and order.pay_by <= self.now and order.live is None:
                order.status = "time_out"
                order.events.append("time_out")
                order.changes += 1

    def write(self, possible: bool, call: Callable[..., Any], rehearse: bool) -> Any:
        """Do it, and find it done or refused as the model says; what it returned, or None."""
        if rehearse:
            before = dump(self.database)
            self.outcome(possible, lambda: call(dry_run=True))
            assert dump(self.database) == before
        return self.outcome(possible, call)

    @staticmethod
    def outcome(possible: bool, call: Callable[[], Any]) -> Any:
        try:
            result, refusal = call(), None
        except Refused as error:
            result, refusal = None, error
        assert possible == (refusal is None), refusal or result
        return result

    def create(
        self, keys: list[str], term: tuple[str, Any], call: Callable[..., Any], rehearse: bool, *, allowed: bool = True
    ) -> bool:
        left = [key for key in keys if self.can(key, term) and key not in self.claims()]
        made = self.write(allowed and bool(left), call, rehearse)
        if made is None:
            return False
        assert sorted(line.user_id for line in made.order.lines) == sorted(left)
        total = gross(sum(self.price(key, term) for key in left))
        assert made.order.total.amount == total
        pay_by = self.now + timedelta(hours=24)
        self.orders[made.order.number] = Made("processing", left, term, total, self.now, pay_by, ["create"])
        return True

    # What can be done to an order: whether the rules allow it, and doing it

    def in_time(self, order: Made) -> bool:
        return order.status in ("processing", "failed") and self.now < order.pay_by and order.live is None

    def good(self, number: str) -> bool:
        """Whether money of the right amount could be applied to it, as far as its people are concerned."""
        order = self.orders[number]
        return not order.deleted and self.valid(order) and self.free(number)

    def allows(self, action: str, number: str) -> bool:
        order = self.orders[number]
        match action:
            case "pay" | "bank":
                return self.in_time(order) and self.good(number)
            case "pay another amount":
                return self.in_time(order)
            case "confirm" | "confirm another amount":
                return order.status != "succeed"
            case "confirm second money":
                return order.status == "succeed"
            case "apply":
                waits = order.status in ("time_out", "failed", "cancel") and order.total in order.unapplied
                return waits and self.good(number)
            case "again":
                what, value = order.term
                ahead = what != "day" or self.today < value <= months_later(self.today, 60, self.today.day)
                return order.status in ("time_out", "failed", "cancel") and ahead
            case "fail":
                return order.status == "system_processing" and order.live is None
            case "cancel":
                return order.status in ("processing", "failed") and order.live is None
            case "delete":
                hides = order.status != "system_processing" and not order.deleted and not order.unapplied
                return hides and (order.status != "processing" or order.live is None)
            case "restore":
                return order.deleted
            case _:
                raise AssertionError(action)

    def act(self, action: str, number: str, rehearse: bool) -> None:
        # Every write times out what is due; who can only be refused, by the status, is refused before that.
        if action.split()[0] not in ("pay", "bank") or self.orders[number].status in ("processing", "failed"):
            self.sweep()
        order, possible = self.orders[number], self.allows(action, number)
        # A rehearsal takes an open link as ended, which the act itself does not do: test_links asks for that.
        rehearse = rehearse and (order.live is None or order.live.state != "sent")
        match action.split()[0]:
            case "pay":
                self.pay(number, order, possible, rehearse, right=action == "pay")
            case "confirm":
                second = action == "confirm second money"
                self.confirm(number, order, possible, rehearse, right=action == "confirm", second=second)
            case "bank":
                self.bank(number, order, possible, rehearse)
            case "apply":
                self.apply(number, order, possible, rehearse)
            case "again":
                self.again(number, order, possible, rehearse)
            case _:
                self.close(action, number, order, possible, rehearse)

    def pay(self, number: str, order: Made, possible: bool, rehearse: bool, *, right: bool) -> None:
        amount = order.total - (0 if right else 1)
        paying = Manual(f"R-{next(self.references)}", None if right else amount)
        done = self.write(possible, lambda **options: payments.pay(self.session, number, paying, **options), rehearse)
        if done is not None:
            assert (done.waiting is None) == right
            order.money.append(Money(amount, applied=right))
            if right:
                self.settle(order, "pay")
            else:
                self.record(order, "pay")

    def confirm(self, number: str, order: Made, possible: bool, rehearse: bool, *, right: bool, second: bool) -> None:
        status, live, in_time = order.status, order.live, self.in_time(order)
        late = status == "time_out" or (status == "failed" and not in_time)
        settles = right and self.good(number) and (in_time or late or status == "system_processing")
        amount = order.total if right or second else order.total + 7
        money = Manual(f"R-{next(self.references)}", amount)
        done = self.write(
            possible,
            lambda **options: payments.confirm(self.session, number, money, second=second, **options),
            rehearse,
        )
        if done is None:
            return
        assert (done.waiting is None) == settles
        if live is not None and status == "system_processing" and live.amount == amount:
            live.state, live.applied = "succeeded", settles
        else:
            order.money.append(Money(amount, applied=settles))
        if settles:
            self.settle(order, "confirm", late=late)
        else:
            self.record(order, "confirm")
        # The same money is not taken again, whatever became of it.
        now_second = order.status == "succeed"
        self.write(
            False,
            lambda **options: payments.confirm(self.session, number, money, second=now_second, **options),
            rehearse=False,
        )

    def bank(self, number: str, order: Made, possible: bool, rehearse: bool) -> None:
        done = self.write(
            possible, lambda **options: payments.pay(self.session, number, BankTransfer(), **options), rehearse
        )
        if done is not None and not order.bank:
            order.bank, order.pay_by = True, max(order.pay_by, order.created + timedelta(days=14))
            self.record(order, "bank")

    def apply(self, number: str, order: Made, possible: bool, rehearse: bool) -> None:
        if self.write(possible, lambda **options: payments.apply(self.session, number, **options), rehearse):
            waiting = [each for each in order.money if each.state == "succeeded" and each.amount == order.total]
            waiting[0].applied = True
            self.settle(order, "apply", late=True)

    def again(self, number: str, order: Made, possible: bool, rehearse: bool) -> None:
        made = self.create(
            order.keys,
            order.term,
            lambda **options: orders.again(self.session, number, **options),
            rehearse,
            allowed=possible,
        )
        if made:
            order.events.append("again")

    def close(self, trigger: str, number: str, order: Made, possible: bool, rehearse: bool) -> None:
        call, arguments = getattr(payments, trigger), ("because",) if trigger != "restore" else ()
        if self.write(possible, lambda **options: call(self.session, number, *arguments, **options), rehearse):
            self.record(order, trigger)
            order.deleted = trigger == "delete" or (order.deleted and trigger != "restore")
            if trigger == "fail":
                order.status = "failed"
            elif trigger == "cancel" or (trigger == "delete" and order.status == "processing"):
                order.status = "cancel"

    def order_for(self, keys: list[str], term: Months | Until, rehearse: bool) -> bool:
        self.sweep()
        said = ("month", term.months) if isinstance(term, Months) else ("day", term.day)
        latest = months_later(self.today, 60, self.today.day)
        return self.create(
            keys,
            said,
            lambda **options: orders.renew(self.session, "Elm Court", keys, term, **options),
            rehearse,
            allowed=isinstance(term, Months) or self.today < term.day <= latest,
        )

    # Steps

    choices = st.integers(0, 10**6)
    rehearsals = st.sampled_from([False, False, False, True])

    def any_order(self) -> bool:
        return bool(getattr(self, "orders", None))

    def somebody_can(self, term: tuple[str, Any]) -> bool:
        return any(self.can(key, term) and key not in self.claims() for key in KEYS)

    def somebody_free(self) -> bool:
        return hasattr(self, "orders") and self.somebody_can(("month", 1))

    def somebody_inactive(self) -> bool:
        return hasattr(self, "orders") and self.somebody_can(("activate", 1))

    @precondition(somebody_free)
    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, unique=True), term=terms_of_renewal, rehearse=rehearsals)
    def renew(self, keys: list[str], term: Months | Until, rehearse: bool) -> None:
        self.order_for(keys, term, rehearse)

    @precondition(somebody_inactive)
    @rule(rehearse=rehearsals)
    def activate(self, rehearse: bool) -> None:
        self.sweep()
        self.create(
            list(KEYS),
            ("activate", 1),
            lambda **options: orders.activate(self.session, "Elm Court", ["Sales"], **options),
            rehearse,
        )

    @precondition(any_order)
    @rule(choice=choices, rehearse=rehearsals)
    def something_that_is_possible(self, choice: int, rehearse: bool) -> None:
        now = {action: [number for number in sorted(self.orders) if self.allows(action, number)] for action in ACTIONS}
        possible = [action for action in ACTIONS if now[action]]
        if possible:
            action = possible[choice % len(possible)]
            numbers = now[action]
            self.act(action, numbers[choice // len(possible) % len(numbers)], rehearse)

    @precondition(any_order)
    @rule(action=st.sampled_from(ACTIONS), choice=choices, rehearse=rehearsals)
    def anything(self, action: str, choice: int, rehearse: bool) -> None:
        numbers = sorted(self.orders)
        self.act(action, numbers[choice % len(numbers)], rehearse)

    @rule(key=st.sampled_from(KEYS), months=st.integers(1, 3), unknown=st.booleans())
    def an_imported_order_is_under_way(self, key: str, months: int, unknown: bool) -> None:
        if not self.can(key, ("month", months)) or key in self.claims():
            return
        subscription = Subscription.select().join(User).where(User.key == key).get()
        order = add_order(self.office, [subscription], months=months, amount=333, created_at=self.now)
        made = Made(
            "system_processing", [key], ("month", months), order.total, self.now, self.now + timedelta(hours=24), []
        )
        if unknown:
            add_payment(order, PaymentState.UNKNOWN)
            made.money.append(Money(order.total, state="unknown"))
        self.orders[order.number] = made

    @precondition(any_order)
    @rule(choice=choices)
    def a_provider_opens_a_link_or_says_that_nothing_was_taken(self, choice: int) -> None:
        numbers = [number for number in sorted(self.orders) if self.orders[number].is_open]
        if not numbers:
            return
        number = numbers[choice % len(numbers)]
        order = self.orders[number]
        if (live := order.live) is not None:
            live.state = "expired"
            mine = Payment.order.in_(Order.select(Order.id).where(Order.number == number))
            ended = Payment.state.in_([PaymentState.SENT, PaymentState.UNKNOWN])
            Payment.update(state=PaymentState.EXPIRED).where(mine & ended).execute()
        elif order.status == "processing":
            add_payment(Order.get(Order.number == number), PaymentState.SENT)
            order.money.append(Money(order.total, state="sent"))

    @rule(key=st.sampled_from(KEYS))
    def somebody_leaves(self, key: str) -> None:
        """As an import does it: not while an open order holds the person, and not everybody."""
        if key not in self.claims() and sum(person.removed for person in self.people.values()) < 2:
            self.people[key].removed = True
            User.update(removed_on=self.today).where(User.key == key).execute()

    @rule(hours=st.sampled_from([1, 5, 23, 24, 25, 24 * 14, 24 * 40]), sweep=st.booleans())
    def time_passes(self, hours: int, sweep: bool) -> None:
        self.clock.advance(hours=hours)
        if sweep:
            before = Counter(order.status for order in self.orders.values())
            self.sweep()
            after = Counter(order.status for order in self.orders.values())
            assert time_out_due(self.session) == after["time_out"] - before["time_out"]

    # What holds after every step

    @invariant()
    def the_database_is_as_the_model(self) -> None:
        if not hasattr(self, "orders"):
            return
        stored = {row.number: row for row in Order.select()}
        assert set(stored) == set(self.orders)
        numbers = {row.id: number for number, row in stored.items()}
        for number, order in self.orders.items():
            row = stored[number]
            assert (row.status, row.deleted_at is not None, row.late) == (order.status, order.deleted, order.late)
            assert (row.pay_by, row.total, row.version) == (order.pay_by, order.total, 1 + order.changes)
            assert (row.paid_at is not None) == (row.status is OrderStatus.SUCCEED)
        held = Claim.select(User.key, Order.number).join(Subscription).join(User).switch(Claim).join(Order)
        assert dict(rows(held)) == self.claims()
        people = {
            key: (expires, anchor)
            for key, expires, anchor in rows(
                Subscription.select(User.key, Subscription.expires_on, Subscription.anchor_day).join(User)
            )
        }
        assert people == {key: (each.expires, each.anchor or None) for key, each in self.people.items()}
        for expires, anchor in people.values():
            assert expires is None or expires.day == min(anchor, last_of_month(expires.year, expires.month))
        # Money: every amount that came is there, and it is applied once or waits.
        assert Counter(
            (numbers[order], PaymentState(state).value, amount, bool(applied))
            for order, state, amount, applied in rows(
                Payment.select(Payment.order, Payment.state, Payment.amount, Payment.applied)
            )
        ) == Counter(
            (number, each.state, each.amount, each.applied)
            for number, order in self.orders.items()
            for each in order.money
        )
        # Paid, extended once, invoiced once: all three or none.
        paid = {number for number, order in self.orders.items() if order.status == "succeed"}
        assert all(self.orders[number].extended == (number in paid) for number in self.orders)
        invoices = list(
            rows(Invoice.select(Invoice.order, Invoice.year, Invoice.sequence, Invoice.total).order_by(Invoice.id))
        )
        assert sorted(numbers[order] for order, *_ in invoices) == sorted(paid)
        assert all(self.orders[numbers[order]].total == total for order, _, _, total in invoices)
        by_year: dict[int, list[int]] = {}
        for _, year, sequence, _ in invoices:
            by_year.setdefault(year, []).append(sequence)
        assert all(each == list(range(1, len(each) + 1)) for each in by_year.values())
        applied = {
            numbers[order]
            for (order,) in rows(OrderLine.select(OrderLine.order).where(OrderLine.applied_on.is_null(False)))
        }
        assert applied == paid
        assert OrderLine.select().where(OrderLine.applied_on.is_null()).count() == sum(
            len(order.keys) for number, order in self.orders.items() if number not in paid
        )
        # Each change made exactly one event.
        trail: dict[str, list[str]] = {number: [] for number in self.orders}
        for order_id, action in rows(AuditEvent.select(AuditEvent.order, AuditEvent.action).order_by(AuditEvent.id)):
            trail[numbers[order_id]].append(action)
        assert trail == {number: order.events for number, order in self.orders.items()}


TestLifeOfOrders = LifeOfOrders.TestCase
TestLifeOfOrders.settings = settings(max_examples=settings().max_examples * 4 // 5, stateful_step_count=30)
