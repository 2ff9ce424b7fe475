"""Actors that take turns: each is a greenlet, which runs from one point to the next, and is drawn from a seed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

from smartsub_tui.billing.providers import Ended, Talk, step
from smartsub_tui.billing.session import Session

T = TypeVar("T")


class Fault(Enum):
    """What goes wrong at a point; `engine` and `people` do it."""

    BUSY = auto()  # another process holds the database for too long
    FULL = auto()  # the disk is full: SQLite rolls back
    IO_ERROR = auto()
    CUT_BEFORE = auto()  # an error in place of the commit: nothing is stored
    CUT_AFTER = auto()  # an error behind the commit: it is stored, and whoever asked for it does not know
    KILL = auto()  # the process dies before
    KILL_AFTER = auto()  # the process dies behind the commit


class Killed(BaseException):
    """The process is dead: nothing of its own runs any more, and nothing that it wants to clean up reaches the disk."""


class Actor:
    """Whoever takes turns. `live` is all it does; where it dies, it begins anew as another process."""

    def __init__(self, name: str, live: Callable[[], None]) -> None:
        self.name, self._live = name, live
        self.waits = False  # for the lock on the database
        self.dead = False
        self.point = "begin"
        self._hub = getcurrent()
        self.begin()

    def begin(self) -> None:
        """A process, from its start."""
        self.dead = self.waits = False
        self.point = "begin"
        self._greenlet = greenlet(self._run, parent=self._hub)

    @property
    def ended(self) -> bool:
        return bool(self._greenlet.dead)

    @property
    def is_current(self) -> bool:
        return getcurrent() is self._greenlet

    def turn(self, fault: Fault | None) -> None:
        """Go on to the next point, with what goes wrong at this one."""
        self._greenlet.switch(fault)

    def pause(self, point: str) -> Fault | None:
        """A point: others may go on. What goes wrong here is returned, but for the death, which is raised."""
        self.point = point
        fault: Fault | None = self._hub.switch()
        if fault is Fault.KILL:
            self.die()
        return fault

    def hold(self, session: Session, talk: Talk[T]) -> T:
        """As `providers.hold`: before each call, and between its effect and the answer's record, is a point."""
        answer = None
        while not isinstance(next_ := step(session.database, talk, answer), Ended):
            self.pause("CALL")
            answer = next_.put_to(session.providers(next_.provider))
            self.pause("ANSWER")
        return next_.result

    def die(self) -> Any:
        self.dead = True
        raise Killed

    def _run(self, _: Fault | None) -> None:
        with contextlib.suppress(Killed):
            self._live()
