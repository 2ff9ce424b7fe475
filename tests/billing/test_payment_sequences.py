"""Random lives of orders that are paid through a provider which fails at random: seeded, the same every time.

SMARTSUB_SEQUENCES says how many seeds are tried; continuous integration tries 2,000.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from random import Random
from typing import Any, Final

import pytest

from smartsub_tui.billing import links, orders, payments, refunds
from smartsub_tui.billing.payments import BankTransfer, Manual
from smartsub_tui.billing.providers import Ended, Talk, step
from smartsub_tui.billing.sweep import sweep
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.models import Order, OrderLine, Payment
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, Trigger
from smartsub_tui.errors import SmartsubError
from tests.billing.paying import check, check_settled, held, paying_by, settle_all, swept
from tests.providers import Fault, StripeServer, pay, running
from tests.providers.books import Books
from tests.support import FixedClock, add_office, add_people, add_prices, expiry, memory_session

SEEDS: Final = int(os.environ.get("SMARTSUB_SEQUENCES", "60"))
PARTS: Final = 8  # so that several workers share them
STEPS: Final = 20
PEOPLE: Final = ("u1", "u2", "u3")
UNTIL: Final = date(2027, 6, 22)  # later than any of this, so that nothing lapses


class World:
    """One seed: its database, its provider, and what can happen next."""

    def __init__(self, seed: int, server: StripeServer) -> None:
        self.random = Random(seed)
        self.clock = FixedClock()
        self.session = paying_by(memory_session(clock=self.clock), server)
        server.books = Books(server.url, lambda: self.clock.now().timestamp())
        server.faults.clear()
        self.server = server
        add_prices()
        add_people(add_office(), *PEOPLE, expires_on=UNTIL)
        self.trace: list[str] = []

    def close(self) -> None:
        self.session.database.close()

    def live(self) -> None:
        acts: list[tuple[int, Callable[[], Any]]] = [
            (2, self.order),
            (6, self.link),
            (6, self.customer),
            (3, self.settle),
            (3, self.look),
            (3, self.sweep),
            (3, self.wait),
            (2, self.fail_at_random),
            (2, self.recover),
            (5, self.move),
            (3, self.die),
        ]
        self.order()
        weights = [weight for weight, _ in acts]
        for _ in range(STEPS):
            (act,) = self.random.choices([act for _, act in acts], weights)
            self.trace.append(act.__name__)
            with contextlib.suppress(SmartsubError, OSError):
                act()
            check(self.session, self.server)
        self.server.faults.clear()
        for charge in list(self.server.books.charges.values()):
            if charge.status == "pending":
                self.server.books.settle(charge.payment_intent, succeeded=self.random.random() < 0.5)
        settle_all(self.session, self.clock)
        check_settled(self.session, self.server)
        self.check_dates()

    def check_dates(self) -> None:
        """Every order that is Succeed carried each of its people on, once, by its months."""
        months: Counter[str] = Counter()
        for line in OrderLine.select():
            if line.order.status is OrderStatus.SUCCEED:
                months[line.subscription.user.key] += line.order.months or 0
        for key in PEOPLE:
            month = UNTIL.month - 1 + months[key]
            assert expiry(key) == date(UNTIL.year + month // 12, month % 12 + 1, UNTIL.day), key

    # What happens

    def number(self) -> str:
        return str(self.random.choice([order.number for order in Order.select(Order.number).order_by(Order.id)]))

    def order(self) -> None:
        people = self.random.sample(PEOPLE, self.random.choice([1, 1, 2]))
        orders.renew(self.session, "Oak House", people, Months(self.random.choice([1, 2, 12])))

    def link(self) -> None:
        held(self.session, links.open_link(self.session, self.number()))

    def customer(self) -> None:
        """Whoever was ever shown a link pays by it."""
        shown = [payment.link for payment in Payment.select().order_by(Payment.id) if payment.link is not None]
        if shown:
            link = shown[-1] if self.random.random() < 0.7 else self.random.choice(shown)
            pay(link, self.random.choice(["ok", "ok", "declined", "delayed", "delayed"]))

    def settle(self) -> None:
        for charge in list(self.server.books.charges.values()):
            if charge.status == "pending":
                self.server.books.settle(charge.payment_intent, succeeded=self.random.random() < 0.6)

    def look(self) -> None:
        held(self.session, links.ask_order(self.session, self.number()))

    def sweep(self) -> None:
        swept(self.session)

    def wait(self) -> None:
        self.clock.advance(minutes=self.random.choice([1, 1, 5, 31, 60, 600, 1500]))

    def fail_at_random(self) -> None:
        faults = [fault for fault in Fault if not fault.holds]
        self.server.faults.at_random(self.random.randrange(10**6), self.random.choice([0.2, 0.6, 1.0]), faults=faults)

    def recover(self) -> None:
        self.server.faults.clear()

    def move(self) -> None:
        """Someone does something else with an order."""
        session, number, why = self.session, self.number(), "why"
        reference = f"R{self.random.randrange(10**6)}"
        amount = self.random.choice([None, None, 100])
        moves: list[tuple[Trigger | None, Callable[[], Any]]] = [
            (Trigger.CANCEL, lambda: payments.cancel(session, number, why)),
            (Trigger.DELETE, lambda: payments.delete(session, number, why)),
            (Trigger.PAY, lambda: payments.pay(session, number, Manual(reference, amount))),
            (Trigger.PAY, lambda: payments.pay(session, number, BankTransfer())),
            (Trigger.CONFIRM, lambda: payments.confirm(session, number, Manual(reference, amount))),
            (None, lambda: payments.restore(session, number)),
            (None, lambda: payments.fail(session, number, why)),
            (None, lambda: payments.apply(session, number)),
            (None, lambda: orders.again(session, number)),
            (None, lambda: held(session, refunds.refund(session, number, why))),
        ]
        trigger, act = self.random.choice(moves)
        if trigger is None:
            act()
        else:
            held(session, links.without_link(session, trigger, number, act))

    def die(self) -> None:
        """A process dies somewhere in its talk: before a call, or between its effect and the answer's record."""
        number = self.number()
        talks: list[Talk[Any]] = [
            links.open_link(self.session, number),
            links.ask_order(self.session, number),
            links.without_link(
                self.session, Trigger.CANCEL, number, lambda: payments.cancel(self.session, number, "why")
            ),
            refunds.refund(self.session, number, "why"),
            sweep(self.session),
        ]
        talk, answer = self.random.choice(talks), None
        for _ in range(self.random.choice([1, 1, 2, 3])):
            call = step(self.session.database, talk, answer)
            if isinstance(call, Ended):
                return
            if self.random.random() < 0.3:
                break
            answer = call.put_to(self.session.providers(call.provider))
        talk.close()


@pytest.fixture(scope="module")
def server() -> Iterator[StripeServer]:
    with running() as made:
        yield made


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_money_is_taken_once_and_never_lost(server: StripeServer, part: int) -> None:
    for seed in range(part, SEEDS, PARTS):
        world = World(seed, server)
        try:
            world.live()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {', '.join(world.trace)}: {error}") from error
        finally:
            world.close()


@pytest.mark.long
def test_the_states_of_payments_are_all_reached(server: StripeServer) -> None:
    """Else the sequences would prove less than they seem to."""
    missing = {PaymentState.SUCCEEDED, PaymentState.EXPIRED, PaymentState.NOT_SENT, PaymentState.DECLINED}
    for seed in range(80):
        if not missing:
            break
        world = World(seed, server)
        try:
            world.live()
            missing -= {payment.state for payment in Payment.select()}
        finally:
            world.close()
    assert not missing
