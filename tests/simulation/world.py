"""One seed: what is there, who acts, what fails, and how it must end."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

from smartsub_tui.data.fields import to_microseconds
from smartsub_tui.data.models import Order, Payment
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState
from tests.billing.paying import check_settled, settle_all, swept
from tests.providers.faults import Fault as LineFault
from tests.simulation import invariants
from tests.simulation.ground import OAK, PRICES, Ground
from tests.simulation.invariants import Violation
from tests.simulation.people import Person, Sweep
from tests.simulation.scheduler import Actor, Fault

TURNS: Final = 1000
_AT: Final = {
    "BEGIN": (Fault.BUSY, Fault.IO_ERROR),
    "COMMIT": (Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.FULL),
    "INSERT": (Fault.FULL, Fault.IO_ERROR),
    "UPDATE": (Fault.FULL, Fault.IO_ERROR),
    "DELETE": (Fault.IO_ERROR,),
    "SELECT": (Fault.IO_ERROR,),
}
_OFTEN: Final = {"COMMIT": 8, "CALL": 8, "ANSWER": 8, "SELECT": 0.3}
_DAYS: Final = (23, 24, 25, 24 * 15, 24 * 31)  # in hours
_ENDINGS: Final = 30_000  # turns, in which all must have come to an end when nothing fails any more


class World(Ground):
    """A seed's ground, and who acts on it. `trace` is what happened, in a line each."""

    def __init__(self, seed: int, folder: Path) -> None:
        super().__init__(seed, folder)
        drawn = self.random
        self.trace: list[str] = []
        self.struck: Counter[str] = Counter()
        self.settling = False
        self.acknowledged: dict[str, tuple[str, Callable[[], bool]]] = {}
        self._told: dict[str, tuple[str | None, str | None]] = {}  # by request: which order and credit note
        self._turns = 0
        self._stopped: dict[Actor, int] = {}  # until which turn
        # A swarm: each seed has some of what can go wrong, more or less of it.
        self._db_rate = drawn.choice([0, 0, 0.003, 0.02])
        self._kill_rate = drawn.choice([0, 0, 0.003, 0.015])
        self._line_rate = drawn.choice([0, 0.1, 0.3, 0.6])
        self._stop_rate = drawn.choice([0, 0, 0.01])
        self._event_rate = drawn.choice([0.03, 0.06, 0.12])
        self._forgets = drawn.random() < 0.2
        # Who is told twice of another amount believes it, and a person has to look: that is let be.
        self._lies = drawn.random() < 0.2
        self.manages = drawn.random() < 0.4  # whether it changes who may do what
        self.names: list[str] = []
        persons = [Person(self, f"a{place}") for place in range(drawn.choice([1, 2, 2, 3, 3, 4, 6]))]
        self.names += [each.name for each in persons]
        sweeps = [Sweep(self, f"s{place}") for place in range(drawn.choice([0, 1, 1, 2]))]
        others = [each.another() for each in persons if drawn.random() < 0.3]
        self.actors: list[Actor] = [*(each.actor for each in persons), *(each.actor for each in sweeps), *others]
        self.engine.actors = self.actors
        self._fail_on_the_line()

    # What actors ask

    def note(self, what: str) -> None:
        self.trace.append(what)

    def connect(self) -> None:
        """The connection of a new process."""
        self.engine.connect()

    def numbers(self, fitting: Collection[str]) -> list[str]:
        """Orders in one of these statuses; "waits": with money that waits; "payable": by a link. Without any, all."""
        kinds = ", ".join(f"'{each}'" for each in fitting)
        waits = "EXISTS (SELECT 1 FROM payment p WHERE p.order_id = o.id AND p.state = 'succeeded' AND NOT p.applied)"
        payable = f"o.status IN ('processing', 'failed') AND o.pay_by > {to_microseconds(self.clock.now())}"
        where = " OR ".join(
            [f"o.status IN ({kinds})", f"'waits' IN ({kinds}) AND {waits}", f"'payable' IN ({kinds}) AND {payable}"]
        )
        where = where if fitting else "1"
        with self.aside() as connection:
            found = connection.execute(f"SELECT number FROM orders o WHERE {where} ORDER BY id")
            return [number for (number,) in found]

    def is_stored(self, request: str) -> bool:
        with self.aside() as connection:
            return bool(connection.execute("SELECT 1 FROM request WHERE id = ?", (request,)).fetchall())

    def people_of(self, number: str) -> list[str]:
        sql = (
            "SELECT key FROM users u JOIN subscription s ON s.user_id = u.id JOIN order_line l ON l.subscription_id ="
            " s.id JOIN orders o ON o.id = l.order_id WHERE number = ? ORDER BY key"
        )
        with self.aside() as connection:
            return [key for (key,) in connection.execute(sql, (number,))]

    def users_file(self, key: str, name: str, new: str) -> Path:
        """A file of one person who has another name, and one who may be new."""
        file = self.folder / f"users-{self.random.randrange(10**9)}.csv"
        head = (
            "office,office_kind,timezone,currency,department,user_id,name,email,kind,apartment,service,"
            "activated_on,expires_on"
        )
        if key in OAK:
            place, kind, apartment = "Oak House,office,Europe/Berlin,EUR", "oak", ""
        else:
            place, kind, apartment = "Elm Court,community,America/New_York,EUR", "elm", "1"
        department = "New" if key in OAK[4:] else "Sales"
        rows = [
            f"{place},{department},{key},{name},,user,{apartment},app,,",
            f"{place},Sales,{new}-{kind},New {new},,user,{apartment},app,,",
        ]
        file.write_text("\n".join([head, *rows]) + "\n")
        return file

    def acknowledge(self, what: str, request: str, result: Any) -> None:
        """Someone was told that it is done: what the rules store with a request must be there for ever."""
        if what == "look":
            return
        order, note = getattr(result, "order", result), getattr(result, "credit_note", None)
        number = getattr(order, "number", None)
        wanted: list[tuple[str, tuple[Any, ...]]] = []
        if what == "link":  # one that was open already is no request that is carried out
            shown = [each.link for each in order.payments if each.link]
            wanted += [("SELECT 1 FROM payment WHERE link = ?", (link,)) for link in shown]
        else:
            wanted.append(("SELECT 1 FROM request WHERE id = ?", (request,)))
        if number is not None:
            wanted.append(("SELECT 1 FROM orders WHERE number = ?", (number,)))
            if order.status is OrderStatus.SUCCEED:
                wanted.append(("SELECT 1 FROM orders WHERE number = ? AND status = 'succeed'", (number,)))
        if note is not None:
            wanted.append(("SELECT 1 FROM invoice WHERE number = ? AND total = ?", (note.number, note.total.amount)))

        def is_there() -> bool:
            with self.aside() as connection:
                return all(connection.execute(sql, values).fetchall() for sql, values in wanted)

        told = (number, None if note is None else note.number)
        if what != "link" and request in self._told:  # in another terminal
            invariants.hold(self._told[request] == told, f"{what} {request} was answered twice, and not alike")
        self._told[request] = told
        self.acknowledged[request] = (what, is_there)

    # Turns

    def run(self, turns: int = TURNS) -> None:
        """Everything may fail; then nothing does, and all must settle. Raises Violation."""
        for _ in range(turns):
            self._turn()
        self._settle()

    def _turn(self) -> None:
        self._turns += 1
        if not self.settling and self.random.random() < self._event_rate:
            self._happen()
        able = [each for each in self.actors if not each.waits and not each.ended and not self.is_stopped(each)]
        if not able:
            self._stopped.clear()
            for each in self.actors:
                each.waits = False
            able = [each for each in self.actors if not each.ended]
            if not able:
                return
        actor = self.random.choice(able)
        if not self.settling and self.random.random() < self._stop_rate:
            # The system lets others go on for long, where it likes: they may do all that they want meanwhile.
            self._stopped[actor] = self._turns + self.random.choice([10, 40])
            return
        fault = None if self.settling else self._fault(actor.point)
        if fault is not None:
            self.note(f"{actor.name} {actor.point} {fault.name}")
            self.struck[f"{fault.name} at {actor.point}"] += 1
        commits = self.engine.commits
        actor.turn(fault)
        self.clock.advance(milliseconds=self.random.choice([0, 1, 20, 400]))
        if actor.dead:
            self.engine.leave(actor)
            self.note(f"{actor.name} died")
            actor.begin()
        if self.engine.commits != commits:
            invariants.check_commit(self.engine)

    def is_stopped(self, actor: Actor) -> bool:
        """Whether others go on, and this one does not."""
        return not self.settling and self._stopped.get(actor, 0) > self._turns

    def _fault(self, point: str) -> Fault | None:
        drawn = self.random.random()
        # Commits and calls are where most is at stake, and few among many that only read.
        often = _OFTEN.get(point, 1)
        if drawn < often * self._kill_rate:
            return Fault.KILL_AFTER if point == "COMMIT" and drawn < often * self._kill_rate / 2 else Fault.KILL
        if drawn > 1 - often * self._db_rate and point in _AT:
            return self.random.choice(_AT[point])
        return None

    def _happen(self) -> None:
        """Something from outside: time goes by, customers pay, the provider fails otherwise."""
        what = self.random.choice(
            [
                *(self._wait, *[self._pay] * 5),
                *(self._clear, self._fail_on_the_line, self._hold_refunds),
            ]
        )
        what()

    def _wait(self) -> None:
        # Clocks are put back, too: an hour at most, as in autumn.
        hours = self.random.choice([-1, 0.02, 0.02, 0.1, 0.5, 0.5, 1, 1, 5, 5, self.random.choice(_DAYS)])
        self.clock.advance(hours=hours)
        self.note(f"{hours} h go by: {self.clock.now():%Y-%m-%d %H:%M}")
        if hours > 23 and self._forgets:
            self.account.books.keys.forget_all()

    def _pay(self) -> None:
        """Whoever was ever shown a link pays by it."""
        with self.aside() as connection:
            links = list(connection.execute("SELECT link, state FROM payment WHERE link <> '' ORDER BY id"))
        shown = [link for link, _ in links]
        if shown:
            sessions, now = self.account.books.sessions.values(), self.account.books.now()
            payable = {each.link for each in sessions if each.status == "open" and each.expires_at > now}
            # What is over here and can still be paid there is rare, and is what late money comes from.
            over = [link for link, state in links if link in payable and not PaymentState(state).is_live]
            open_ones = [link for link in shown if link in payable]
            first = over if self.random.random() < 0.5 else open_ones if self.random.random() < 0.8 else []
            link = self.random.choice((first or open_ones or shown)[-3:])
            card = self.random.choice(["ok", "ok", "declined", "delayed", "delayed"])
            wrong = [LineFault.WRONG_AMOUNT, LineFault.WRONG_CURRENCY, LineFault.RESET_AFTER]
            fault = self.random.choice(wrong) if self.random.random() < 0.15 else None
            self.note(f"the customer pays: {card}{'' if fault is None else f', {fault}'}")
            self.account.pay(link, card, fault)

    def _clear(self) -> None:
        """What was delayed is there, or is not coming; some of it takes its time, while anything may go on."""
        for charge in list(self.account.books.charges.values()):
            if charge.status == "pending" and (self.settling or self.random.random() < 0.3):
                self.account.books.settle(charge.payment_intent, succeeded=self.random.random() < 0.6)
                self.note("delayed money is decided")
        for refund in list(self.account.books.refunds.values()):
            if refund.status == "pending":
                self.account.books.settle(refund.id, succeeded=self.random.random() < 0.7)
                self.note("a refund that waited is decided")

    def _hold_refunds(self) -> None:
        """From now on the provider pays back at once, or takes its time."""
        self.account.books.refunds_wait = self.random.random() < 0.5

    def _fail_on_the_line(self) -> None:
        rate = self.random.choice([0, self._line_rate, 1.0 if self._line_rate else 0])
        seed = self.random.randrange(10**6)
        never = {LineFault.SLOW, LineFault.LATE}
        never |= set() if self._forgets else {LineFault.FORGOTTEN_KEY}
        never |= set() if self._lies else {LineFault.WRONG_AMOUNT, LineFault.WRONG_CURRENCY}
        faults = [each for each in LineFault if each not in never]
        self.account.faults.clear()
        self.account.faults.at_random(seed, rate, faults=faults)
        self.note(f"the line fails at {rate}")

    # The end

    def _settle(self) -> None:
        """Nothing fails any more: everybody comes to an end, and the sweep settles what is open."""
        self.settling = True
        self.account.faults.clear()
        self.note("nothing fails any more")
        for _ in range(_ENDINGS):
            if all(each.ended for each in self.actors):
                break
            self._turn()
        else:
            still = [f"{each.name} at {each.point}" for each in self.actors if not each.ended]
            raise Violation(f"somebody never comes to an end: {still}")
        for each in self.actors:
            self.engine.leave(each)
        self.account.books.refunds_wait = False
        invariants.check_all(self.session)
        invariants.check_prices(PRICES)
        self._settle_around_one()
        self._clear()
        settle_all(self.session, self.clock)
        check_settled(self.session, cast(Any, self.account))
        invariants.check_all(self.session)
        invariants.check_nothing_waits_for_a_provider()
        charges = self.account.books.paid()
        if not self._lies:
            invariants.check_amounts({each.payment_intent: (each.amount, each.currency) for each in charges})
        invariants.check_acknowledged(self.acknowledged)
        open_ones = Order.select().where(Order.status.in_([OrderStatus.PROCESSING, OrderStatus.SYSTEM_PROCESSING]))
        stuck = [each.number for each in open_ones if not _is_left_to_people(each)]
        invariants.hold(not stuck, f"never settled: {stuck}")

    def _settle_around_one(self) -> None:
        """The provider says nothing about one order for two days: all others settle."""
        asked = sorted({each.order.number for each in Payment.select() if each.state.is_live})
        if not asked:
            return
        silent = self.random.choice(asked)
        self.account.silent = {silent}
        self._clear()
        for _ in range(8):
            self.clock.advance(hours=7)
            swept(self.session)
        late = [
            each.order.number
            for each in Payment.select()
            if each.state is PaymentState.CREATED and each.order.number != silent
        ]
        overdue = [
            each.number
            for each in Order.select().where(Order.status == OrderStatus.PROCESSING)
            if each.number != silent and each.pay_by <= self.clock.now() - timedelta(hours=14)
        ]
        invariants.hold(not late and not overdue, f"{silent} kept others waiting: {late + overdue}")
        self.account.silent = set()

    def digest(self) -> str:
        """What happened and what came of it, in few characters: the same for the same seed."""
        told = hashlib.sha256("\n".join(self.trace).encode())
        for table, row in self.rows():
            if table == "request":
                row = row[:3]  # what was imported has the name of a folder
            told.update(f"{table} {row!r}\n".encode())
        return told.hexdigest()[:16]

    def close(self) -> None:
        for each in self.actors:
            each.dead = True
        super().close()


def _is_left_to_people(order: Any) -> bool:
    """Whether nobody asks about an order any more by itself, so that it stands in the triage queue."""
    return any(each.state is PaymentState.UNKNOWN and each.ask_at is None for each in order.payments)
