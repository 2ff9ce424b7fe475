"""Which call fails how: planned, always, or at random from a seed."""

from __future__ import annotations

import random
import select
import socket
import threading
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

import msgspec


class Call(StrEnum):
    """What is asked of the server, as far as it can fail."""

    CREATE = "create"
    RETRIEVE = "retrieve"
    LIST = "list"
    EXPIRE = "expire"
    REFUND = "refund"
    REFUND_RETRIEVE = "refund_retrieve"
    REFUND_LIST = "refund_list"
    # The customer's, not the application's: posting the page.
    PAY = "pay"


class Fault(StrEnum):
    """How a call fails; the package's docstring says what each does."""

    REFUSED = "refused"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    RATE_LIMITED = "rate_limited"
    SLOW = "slow"
    LATE = "late"
    HTML = "html"
    BAD_GATEWAY = "bad_gateway"
    WRONG_AMOUNT = "wrong_amount"
    WRONG_CURRENCY = "wrong_currency"
    FORGOTTEN_KEY = "forgotten_key"

    @property
    def takes_effect(self) -> bool:
        """Whether the call does what it asks for, whatever is answered."""
        return self not in _WITHOUT_EFFECT

    @property
    def holds(self) -> bool:
        """Whether it lasts until the client gives up, or until it is let go."""
        return self in (Fault.SLOW, Fault.LATE)


_WITHOUT_EFFECT: Final = frozenset(
    {Fault.REFUSED, Fault.RESET_BEFORE, Fault.ERROR_BEFORE, Fault.RATE_LIMITED, Fault.HTML}
)


class Planned(msgspec.Struct):
    """The `nth` such call from now on fails."""

    call: Call
    fault: Fault
    nth: int = 1


class Always(msgspec.Struct, frozen=True):
    """Every such call fails; without a call, every call."""

    fault: Fault
    call: Call | None = None


class AtRandom(msgspec.Struct, frozen=True):
    """So many of the calls fail, 0 to 1: what each gets follows from the seed and its place among all calls."""

    seed: int
    rate: float
    calls: tuple[Call, ...] = tuple(Call)
    faults: tuple[Fault, ...] = tuple(fault for fault in Fault if not fault.holds)


class Plan(msgspec.Struct):
    planned: list[Planned] = []
    always: list[Always] = []
    random: AtRandom | None = None


class Faults:
    """The plan of one server, and who is held by it. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: set[socket.socket] = set()
        self.seen: list[tuple[Call, Fault | None]] = []
        self._set(Plan())

    def _set(self, plan: Plan) -> None:
        self._plan = plan
        self._random = random.Random(plan.random.seed if plan.random else 0)

    def put(self, plan: dict[str, Any]) -> None:
        """The plan as JSON has it, in place of the one before; what is held is let go."""
        new = msgspec.convert(plan, Plan)
        with self._changed:
            self._set(new)
        self.release()

    def clear(self) -> None:
        self.put({})

    def plan(self, call: Call, fault: Fault, nth: int = 1) -> None:
        """The `nth` of these calls from now on, counted from 1, fails; each is planned for itself."""
        with self._changed:
            self._plan.planned.append(Planned(call, fault, nth))

    def always(self, fault: Fault, call: Call | None = None) -> None:
        with self._changed:
            self._plan.always.append(Always(fault, call))

    def at_random(
        self, seed: int, rate: float, calls: Iterable[Call] | None = None, faults: Iterable[Fault] | None = None
    ) -> None:
        """From now on so many calls fail; without `faults`, by all of those that do not hold."""
        default = AtRandom(seed, rate)
        with self._changed:
            self._plan.random = AtRandom(
                seed,
                rate,
                default.calls if calls is None else tuple(calls),
                default.faults if faults is None else tuple(faults),
            )
            self._random = random.Random(seed)

    def take(self, call: Call) -> Fault | None:
        """What this call gets; it is counted."""
        with self._changed:
            fault = self._planned(call) or self._always(call) or self._by_chance(call)
            self.seen.append((call, fault))
            self._changed.notify_all()
            return fault

    def _planned(self, call: Call) -> Fault | None:
        due = None
        for planned in [planned for planned in self._plan.planned if planned.call is call]:
            planned.nth -= 1
            if planned.nth <= 0 and due is None:
                due = planned.fault
                self._plan.planned.remove(planned)
        return due

    def _always(self, call: Call) -> Fault | None:
        return next((always.fault for always in self._plan.always if always.call in (None, call)), None)

    def _by_chance(self, call: Call) -> Fault | None:
        chance = self._plan.random
        if chance is None:
            return None
        # Drawn for every call, so that what one gets does not depend on which calls may fail.
        drawn, fault = self._random.random(), self._random.choice(chance.faults)
        return fault if drawn < chance.rate and call in chance.calls else None

    def hold(self, client: socket.socket) -> None:
        """Returns when the client has hung up, or was let go."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            with self._changed:
                self._held.add(theirs)
                self._changed.notify_all()
            select.select([client, ours], [], [])
            with self._changed:
                self._held.discard(theirs)
                self._changed.notify_all()

    def release(self) -> None:
        """Lets go what is held."""
        with self._changed:
            for waiting in self._held:
                waiting.send(b"!")
            self._held.clear()

    def wait_until_held(self, calls: int = 1, seconds: float = 60) -> None:
        """Returns as soon as so many calls are held."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._held) >= calls, seconds), (
                f"{len(self._held)} calls are held"
            )

    def wait_until_seen(self, call: Call, fault: Fault | None, seconds: float = 60) -> None:
        """Returns as soon as such a call has come, and got this fault."""
        with self._changed:
            assert self._changed.wait_for(lambda: (call, fault) in self.seen, seconds), self.seen
