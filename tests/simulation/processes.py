"""Real processes on one file: killed with -9 while they pay, and fifty that want the same hundred orders."""

from __future__ import annotations

import os
import re
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

from msgspec import Struct

from smartsub_tui.billing import orders, payments
from smartsub_tui.billing.opening import open_session
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.clock import SystemClock
from smartsub_tui.data.database import Database, url_of
from smartsub_tui.data.models import Order, Request
from smartsub_tui.data.vocabulary import OrderStatus, Role
from smartsub_tui.errors import SmartsubError
from tests.simulation import invariants
from tests.support import SETTINGS, add_office, add_people, add_prices, at_once, file_database, session_on

PEOPLE: Final = tuple(f"p{place:03}" for place in range(200))
_AT_A_TIME: Final = 2  # processes
_ANSWERS: Final = 3  # of a process at most, before its time to be killed begins, however slow the machine is
_LONGEST: Final = 0.15  # seconds from then on


class Deaths(Struct, frozen=True):
    """How many processes were killed, what they had said to be done, and how many had not said it."""

    kills: int
    acknowledged: int
    unanswered: int


def deaths(path: Path, kills: int, seed: int) -> Deaths:
    """Kill so many processes with -9, each while it orders and pays one after the other. Raises Violation."""
    drawn = Random(seed)
    alive: dict[int, int] = {}  # by process id, where it says what it does
    with closing(file_database(path)) as database:
        add_payers(database)
    done: set[str] = set()
    unanswered: list[tuple[str, str]] = []
    for place in range(kills + _AT_A_TIME):
        if len(alive) == _AT_A_TIME or place >= kills:
            process, pipe = next(iter(alive.items()))
            del alive[process]
            # What it says is read meanwhile: a full pipe would hold it back.
            said = _read_answers(pipe, drawn.randint(0, _ANSWERS))
            said += _read_for(pipe, drawn.uniform(0, _LONGEST))
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            begun = heard(said + _rest(pipe), done)
            if begun is not None:
                unanswered.append(begun)
        if place < kills:
            process, pipe = start(url_of(path), seed * 100_000 + place)
            alive[process] = pipe
    _look(path, done, unanswered)
    return Deaths(kills, len(done), len(unanswered))


def add_payers(database: Database) -> None:
    """Whom the processes order for, and as whom."""
    session_on(database, Role.MANAGER)
    add_prices()
    add_people(add_office(), *PEOPLE, expires_on=SystemClock().now().date())


def session_at(url: str) -> Session:
    return open_session(url, "manager", "cli", SystemClock(), SETTINGS)


def start(url: str, seed: int, people: Sequence[str] = PEOPLE) -> tuple[int, int]:
    """A process that orders for some people and pays until it is killed; its id, and where it says what it does."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.close(reading)
            _work(url, seed, people, lambda line: os.write(writing, f"{line}\n".encode()))
            code = 0
        except BaseException as error:
            os.write(writing, f"error {type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)
    os.close(writing)
    return process, reading


def _work(url: str, seed: int, people: Sequence[str], say: Callable[[str], object]) -> None:
    drawn, session = Random(seed), session_at(url)
    for place in range(1_000_000):
        request, person = f"{seed}-{place}", drawn.choice(people)
        say(f"begin {request} {person}")
        try:
            order_and_pay(session, request, person)
        except SmartsubError as error:
            say(f"refused {request} {error.message}")
        else:
            say(f"done {request}")


def order_and_pay(session: Session, request: str, person: str) -> None:
    """What a request of a process comes to; asked again, it is answered as the first time."""
    made = orders.renew(session, "Oak House", [person], Months(1), request_id=f"{request}-order")
    payments.pay(session, made.order.number, Manual(f"R-{request}"), request_id=request)


def _read_answers(pipe: int, count: int) -> bytes:
    """What is said until so many requests were answered."""
    said = b""
    while len(re.findall(rb"^(?:done|refused) .*\n", said, re.MULTILINE)) < count and (some := os.read(pipe, 65_536)):
        said += some
    return said


def _read_for(pipe: int, seconds: float) -> bytes:
    said, end = b"", time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select([pipe], [], [], left)
        if ready:
            some = os.read(pipe, 65_536)
            if not some:
                break
            said += some
    return said


def _rest(pipe: int) -> bytes:
    said = b""
    while some := os.read(pipe, 65_536):
        said += some
    os.close(pipe)
    return said


def heard(said: bytes, done: set[str]) -> tuple[str, str] | None:
    """Add what was said to be done; what was begun and not answered, by its request and person."""
    begun: tuple[str, str] | None = None
    for line in said.decode().splitlines():
        word, request, *rest = line.split(" ", 2)
        invariants.hold(word != "error", line)
        if word == "begin" and rest:
            begun = (request, rest[0])
        elif begun is not None:
            begun = None
            if word == "done":
                done.add(request)
    return begun


def _look(path: Path, done: set[str], unanswered: list[tuple[str, str]]) -> None:
    session = session_at(url_of(path))
    with closing(session.database):
        connection = session.database.connection()
        invariants.hold(connection.pragma("integrity_check") == "ok", "the file is damaged")
        invariants.check_commit(session.database)
        look(session, done, unanswered)


def look(session: Session, done: set[str], unanswered: Sequence[tuple[str, str]]) -> None:
    """Raise Violation where something is gone that was said to be done, or is done twice once the rest is asked for
    again.
    """
    stored = {request.id for request in Request.select(Request.id)}
    invariants.hold(done <= stored, f"said to be done, and gone: {sorted(done - stored)[:5]}")
    for request, person in unanswered:
        was_stored = Request.get_or_none(Request.id == request) is not None
        try:
            order_and_pay(session, request, person)
        except SmartsubError as error:
            invariants.hold(not was_stored, f"{request} was done, and asked again it is refused: {error}")
    if unanswered:
        invariants.check_all(session)
        paid = {order.id for order in Order.select().where(Order.status == OrderStatus.SUCCEED)}
        invariants.hold(len(paid) >= len(done), "fewer orders are paid than were said to be")


# Fifty that want the same


class Race(Struct, frozen=True):
    """How often each outcome was, and how long those took that paid, in seconds: the middle one, and the longest.

    Who is told that it is paid already waits for nobody.
    """

    outcomes: dict[str, int]
    median: float
    longest: float


def race(path: Path, processes: int, count: int, thinking: float) -> Race:
    """So many processes pay the same orders, each in an order of its own, thinking so many seconds before each.

    Raises Violation where one is not paid exactly once, or an error is another than that it is paid already.
    """
    with closing(file_database(path)) as database:
        add_payers(database)
    session = session_at(url_of(path))
    with closing(session.database):
        numbers = [orders.renew(session, "Oak House", [key], Months(1)).order.number for key in PEOPLE[:count]]
    said = at_once(_race, [(str(path), numbers, place, thinking) for place in range(processes)], seconds=600)
    wrong = [each for each in said if not each.startswith("paid ")]
    invariants.hold(not wrong, f"{wrong[:2]}")
    outcomes: Counter[str] = Counter()
    took: list[float] = []
    for each in said:
        _, paid, refused, *seconds = each.split(" ")
        outcomes["paid"] += int(paid)
        outcomes["it is already paid"] += int(refused)
        took += map(float, seconds)
    session = session_at(url_of(path))
    with closing(session.database):
        invariants.check_all(session)
    invariants.hold(outcomes["paid"] == count, f"{outcomes['paid']} of {count} orders were paid")
    return Race(dict(outcomes), median(took), max(took))


def _race(path: str, numbers: list[str], place: int, thinking: float) -> str:
    drawn, session = Random(place), session_at(url_of(Path(path)))
    paid, refused, took = 0, 0, []
    with closing(session.database):
        with suppress(SmartsubError):  # what is loaded once is not waited for again
            payments.pay(session, numbers[0], Manual("R"), dry_run=True)
        for number in drawn.sample(numbers, len(numbers)):
            time.sleep(thinking * drawn.uniform(0.5, 1.5))  # a person, who keeps no time with others
            began = time.monotonic()
            try:
                payments.pay(session, number, Manual(f"R-{place}"))
            except SmartsubError as error:
                invariants.hold("it is already paid" in error.message, error.message)
                refused += 1
            else:
                paid += 1
                took.append(f"{time.monotonic() - began:.6f}")
    return " ".join(["paid", str(paid), str(refused), *took])
