"""What actors do: people give commands and try again what they had no answer to, the sweep runs, customers pay."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import ValidationError
from msgspec.structs import replace

from smartsub_tui.billing import access, admins, credits, imports, links, orders, payments, refunds, sweep
from smartsub_tui.billing.payments import BankTransfer, Manual
from smartsub_tui.billing.providers import Talk
from smartsub_tui.billing.terms import Months, Until
from smartsub_tui.data.database import available
from smartsub_tui.data.money import Money
from smartsub_tui.data.vocabulary import Lapsed, Role, Trigger
from smartsub_tui.errors import NotAllowed, NotFound, SmartsubError, Unavailable
from tests.simulation.ground import ELM, OAK
from tests.simulation.invariants import Violation
from tests.simulation.scheduler import Actor

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")
Command = Callable[[str], Any]  # is given its request id

_TRIES: Final = 4


class Person:
    """One admin in one process after the other. A command that was not answered is tried again as the same request."""

    def __init__(self, world: World, name: str) -> None:
        self._world, self.name = world, name
        self.pending: tuple[str, str, Command] | None = None
        self._requests = 0
        self._used: tuple[str, str] | None = None  # the last command that was done, and its request id
        self.actor = Actor(name, self._live)
        self._session = replace(world.session, admin=name)

    def another(self) -> Actor:
        """Another terminal of theirs, in which they give the command again that hangs in the first."""
        world = self._world

        def live() -> None:
            world.connect()
            while not world.settling:
                hangs = world.is_stopped(self.actor) or world.random.random() < 0.05
                if self.pending is not None and hangs:
                    world.note(f"{self.name} {self.pending[0]} a second time")
                    self._carry_out(*self.pending)
                self._here.pause("next")

        return Actor(f"{self.name}'", live)

    def _live(self) -> None:
        self._world.connect()
        while True:
            if self.pending is not None and (self._world.settling or self._world.random.random() < 0.8):
                self._carry_out(*self.pending)
            elif self._world.settling:
                return
            else:
                self._begin()
            self.pending = None
            self.actor.pause("next")

    def _begin(self) -> None:
        world, drawn = self._world, self._world.random
        what, weight = zip(*_DONE.items(), strict=True)
        (made,) = drawn.choices(what, weight)
        command, named = made(self), made.__name__.strip("_")
        if command is None:
            return
        if self._used is not None and drawn.random() < 0.03 and named not in ("look", "link", self._used[0]):
            self._mistake(named, self._used[1], command)
        else:
            self._requests += 1
            self.pending = (named, f"{self.name}-{self._requests}", command)
            world.note(f"{self.name} {self.pending[0]}")
            self._carry_out(*self.pending)

    def _mistake(self, what: str, request: str, command: Command) -> None:
        """Another command under a request id that was used: it is never answered as if it were that."""
        try:
            with available():
                access.see_as(self._world.engine, self.name)
            command(request)
        except SmartsubError as error:
            self._world.note(f"{self.name} {what} as {request} is refused: {error.message}")
        except ValidationError as error:
            raise Violation(f"{what} was answered by what {request} was: {error}") from error
        else:
            raise Violation(f"{what} was answered by what {request} was")

    def _carry_out(self, what: str, request: str, command: Command) -> None:
        world = self._world
        for _ in range(_TRIES):
            try:
                with available():
                    access.see_as(world.engine, self.name)  # as the application does before it does anything
                result = command(request)
            except Unavailable as error:
                world.note(f"{self.name} {what} is not answered: {error.message}")
                if not world.settling and world.random.random() < 0.3:
                    return  # and never asks again
                self._here.pause("again")
            except SmartsubError as error:
                world.note(f"{self.name} {what} is refused: {error.message}")
                # A link that was begun is asked for after it: its provider may refuse that. Who may no more is not
                # told what was done before.
                may_not = isinstance(error, NotAllowed | NotFound)
                if what != "link" and not may_not and world.is_stored(request):
                    raise Violation(f"{what} {request} was done, and asked again it is refused: {error}") from error
                return
            else:
                world.note(f"{self.name} {what} is done")
                world.acknowledge(what, request, result)
                if what not in ("look", "link"):  # they may be answered without any request
                    self._used = (what, request)
                return

    # What is said to the rules

    @property
    def _here(self) -> Actor:
        """The terminal that it is said in: the person's own, or another of theirs."""
        here = self._world.engine.actor
        assert here is not None
        return here

    def _held(self, talk: Talk[T]) -> T:
        return self._here.hold(self._session, talk)

    def _number(self, *fitting: str) -> str | None:
        """An order: most often one to which the command can be given, by its status or what waits on it; else any.

        None where there is no such order.
        """
        world, drawn = self._world, self._world.random
        numbers = world.numbers(fitting if drawn.random() < 0.8 else ())
        # More often one of the last ones, which others are at too.
        return drawn.choice(numbers[-4:] if drawn.random() < 0.7 else numbers) if numbers else None

    def _by(self) -> Any:
        """A session by one or the other setting of what lapsed is renewed from."""
        settings = self._session.settings
        lapsed = self._world.random.choice([Lapsed.TODAY, Lapsed.TODAY, Lapsed.CONTINUOUS])
        return replace(self._session, settings=replace(settings, orders=replace(settings.orders, lapsed=lapsed)))

    def renew(self) -> Command:
        drawn, session = self._world.random, self._by()
        office, people = drawn.choice([("Oak House", OAK), ("Elm Court", ELM)])
        chosen = drawn.sample(people, drawn.choice([1, 1, 2, 3]))
        term: Months | Until = Months(drawn.choice([1, 1, 2, 12]))
        if office == "Elm Court" and drawn.random() < 0.4:
            term = Until((self._world.clock.now() + timedelta(days=drawn.choice([2, 40, 90]))).date())
        paying = Manual(f"R{drawn.randrange(10**6)}") if drawn.random() < 0.2 else None
        return lambda request: orders.renew(session, office, chosen, term, paying=paying, request_id=request)

    def activate(self) -> Command:
        session = self._session
        return lambda request: orders.activate(session, "Oak House", ["New"], request_id=request)

    def pay(self) -> Command | None:
        drawn, session, number = self._world.random, self._by(), self._number("processing", "failed")
        if number is None:
            return None
        amount = drawn.choice([None, None, None, None, 100, 5000])
        paying = BankTransfer() if drawn.random() < 0.1 else Manual(f"R{drawn.randrange(10**6)}", amount)
        return lambda request: self._held(
            links.without_link(
                session,
                Trigger.PAY,
                number,
                lambda: payments.pay(session, number, paying, request_id=request),
                request_id=request,
            )
        )

    def confirm(self) -> Command | None:
        drawn, session = self._world.random, self._by()
        number = self._number(drawn.choice(["system_processing", "system_processing", "time_out"]))
        if number is None:
            return None
        money = Manual(f"R{drawn.randrange(10**6)}", drawn.choice([None, None, None, 100, 5000]))
        second = drawn.random() < 0.3
        return lambda request: self._held(
            links.without_link(
                session,
                Trigger.CONFIRM,
                number,
                lambda: payments.confirm(session, number, money, second=second, request_id=request),
                request_id=request,
            )
        )

    def link(self) -> Command | None:
        session, number = self._session, self._number("payable")
        if number is None:
            return None
        return lambda request: self._held(links.open_link(session, number, request_id=request))

    def look(self) -> Command | None:
        session, number = self._session, self._number("processing", "system_processing")
        if number is None:
            return None
        return lambda _: self._held(links.ask_order(session, number))

    def cancel(self) -> Command | None:
        return self._close(Trigger.CANCEL, self._number("processing", "failed"))

    def delete(self) -> Command | None:
        return self._close(Trigger.DELETE, self._number())

    def _close(self, trigger: Trigger, number: str | None) -> Command | None:
        session, close = self._session, payments.CLOSING[trigger]
        if number is None:
            return None
        return lambda request: self._held(
            links.without_link(
                session,
                trigger,
                number,
                lambda: close(session, number, "why", request_id=request),
                request_id=request,
            )
        )

    def move(self) -> Command | None:
        """What moves an order without a word to the provider."""
        session = self._by()
        moves: list[tuple[tuple[str, ...], Callable[[str, str], Any]]] = [
            ((), lambda number, request: payments.restore(session, number, request_id=request)),
            (("system_processing",), lambda number, request: payments.fail(session, number, "why", request_id=request)),
            (("waits",), lambda number, request: payments.apply(session, number, request_id=request)),
            (
                ("failed", "time_out", "cancel"),
                lambda number, request: orders.again(session, number, request_id=request),
            ),
        ]
        fitting, move = self._world.random.choice(moves)
        number = self._number(*fitting)
        return None if number is None else lambda request: move(number, request)

    def refund(self) -> Command | None:
        session, number, by_hand = self._session, self._number("waits"), self._world.random.random() < 0.3
        if number is None:
            return None
        reference = "paid out" if by_hand else None
        return lambda request: self._held(
            refunds.refund(session, number, "why", reference=reference, request_id=request)
        )

    def credit(self) -> Command | None:
        drawn, session, number = self._world.random, self._session, self._number("succeed")
        if number is None:
            return None
        users = None
        if drawn.random() < 0.5:
            users = drawn.sample(self._world.people_of(number), 1)
        return lambda request: self._held(credits.credit(session, number, "why", users=users, request_id=request))

    def import_(self) -> Command:
        """People get other names, and one is new."""
        drawn, session = self._world.random, self._session
        key = drawn.choice([*OAK, *ELM])
        file = self._world.users_file(key, f"Renamed {drawn.randrange(100)}", f"n{drawn.randrange(3)}")
        return lambda request: imports.import_files(session, [file], request_id=request)

    def manage(self) -> Command | None:
        """Another may do more or less from now on, in the midst of what they are at. The first one stays manager."""
        drawn, session = self._world.random, self._session
        others = [each for each in self._world.names if each not in (self.name, self._world.session.admin)]
        if not (others and self._world.manages):
            return None
        name = drawn.choice(others)
        limits = tuple(Money(drawn.choice([0, 400, 400, 2000]), "EUR") for _ in range(drawn.choice([0, 1, 1])))
        changes: list[Callable[[str], Any]] = [
            lambda request: admins.disable(session, name, request_id=request),
            *[lambda request: admins.enable(session, name, request_id=request)] * 3,
            *(
                lambda request, changed=changed: admins.change(session, name, changed, request_id=request)
                for changed in (
                    *(admins.Changed(role=role) for role in Role),
                    admins.Changed(role=Role.MANAGER),
                    *[admins.Changed(role=Role.OPERATOR, limits=limits)] * 3,
                    *(admins.Changed(offices=offices) for offices in ((), (), ("Oak House",), ("Elm Court",))),
                )
            ),
        ]
        return drawn.choice(changes)


_DONE: Final[dict[Callable[[Person], Command | None], int]] = {
    Person.renew: 5,
    Person.activate: 1,
    Person.pay: 3,
    Person.link: 12,
    Person.look: 6,
    Person.confirm: 5,
    Person.cancel: 2,
    Person.delete: 1,
    Person.move: 3,
    Person.refund: 4,
    Person.credit: 4,
    Person.import_: 1,
    Person.manage: 5,
}


class Sweep:
    """The timer: it sweeps, again and again, and never asks whether another does."""

    def __init__(self, world: World, name: str) -> None:
        self._world, self.actor = world, Actor(name, self._live)
        self._session = world.session

    def _live(self) -> None:
        self._world.connect()
        while not self._world.settling:
            try:
                self.actor.hold(self._session, sweep.sweep(self._session))
            except SmartsubError as error:
                self._world.note(f"{self.actor.name} is not done: {error.message}")
            for _ in range(16):  # a minute is long beside a statement
                self.actor.pause("next")
