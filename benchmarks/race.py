"""The race on PostgreSQL: clients that all want to pay the same orders, by smartsub and by psycopg alone, in turn.

All are processes of their own, connected before it begins; every client attempts every order, in an order of its own.
Behind it smartsub's own checks go over all that is stored, whoever stored it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from pathlib import Path
from statistics import median
from typing import IO, Final, NamedTuple, Self, cast

from benchmarks import data, results, server
from benchmarks.results import Ratio, tell
from smartsub_tui.billing import orders
from smartsub_tui.billing.opening import open_session
from smartsub_tui.billing.terms import Months
from smartsub_tui.clock import SystemClock
from smartsub_tui.config import Settings
from smartsub_tui.data.database import url_of
from smartsub_tui.data.models import Subscription
from tests.simulation import invariants

WAYS: Final = ("smartsub", "bare")
CLIENTS: Final = 50
ORDERS: Final = 100
# Without a pause the processors are busy to the full, and what an attempt takes is mostly waiting for them. Somebody
# who thinks for a tenth of a second is still quicker than people are.
THINKING: Final = (0.0, 0.1)
_BOUND: Final = 4.0
_AT_A_TIME: Final = 4
_AHEAD: Final = 0.5  # seconds from when a race is announced to its begin
_BARE: Final = "bare psycopg"


class Attempts(NamedTuple):
    """What the clients of one way came to: seconds of each attempt that paid, and of each that was told it is paid."""

    paid: list[float]
    refused: list[float]

    @property
    def all(self) -> list[float]:
        return self.paid + self.refused


Raced = dict[tuple[str, float], Attempts]  # by way and thinking


def run(folder: Path, rounds: int, clients: int = CLIENTS, count: int = ORDERS) -> Raced:
    """Race so often; raises Violation where an order is not paid exactly once, or something stored is wrong, and
    RuntimeError where there is no PostgreSQL, or a client ended.
    """
    raced: Raced = {(way, thinking): Attempts([], []) for thinking in THINKING for way in WAYS}
    races = [(place, way, thinking) for place in range(rounds) for thinking in THINKING for way in WAYS]
    with server.running() as postgres:
        tell(f"bench: {len(races)} times {count} orders, and twice {clients} clients ...")
        url = postgres.make_database("race")
        numbers = iter(_made(folder, url, count * len(races) + clients * len(WAYS)))
        postgres.settle("race")
        with contextlib.ExitStack() as stack:
            ready: dict[str, list[_Client]] = {way: [] for way in WAYS}
            for place in range(clients * len(WAYS)):
                way = WAYS[place % len(WAYS)]
                ready[way].append(stack.enter_context(_Client(way, url, next(numbers))))
                if place % _AT_A_TIME == 0:  # all at once they would wait for each other longer than smartsub does
                    _wait(ready)
            _wait(ready)
            for place, way, thinking in races:
                tell(f"bench: round {place + 1}, {way}, {thinking} s of thinking")
                attempts = _race(ready[way], [next(numbers) for _ in range(count)], place, thinking)
                raced[way, thinking].paid.extend(attempts.paid)
                raced[way, thinking].refused.extend(attempts.refused)
        session = open_session(url, data.ADMIN, "cli", SystemClock(), Settings())
        with contextlib.closing(session.database):
            invariants.check_all(session)
    return raced


def _made(folder: Path, url: str, count: int) -> list[str]:
    """A database of so many orders of one person each; their numbers."""
    path = folder / "race.sqlite3"
    data.make(path, orders=0, offices=1, users=count)
    command = [sys.executable, "-I", "-m", "smartsub_tui", "copy", "--from", url_of(path), "--to", url]
    subprocess.run([*command, "--admin", data.ADMIN], check=True, stdout=subprocess.DEVNULL)
    session = open_session(url, data.ADMIN, "cli", SystemClock(), Settings())
    with contextlib.closing(session.database):
        # Whatever day it is, nobody has lapsed: the other way knows only that.
        soon = SystemClock().now().date() + timedelta(days=20)
        columns = {
            Subscription.expires_on: soon,
            Subscription.anchor_day: soon.day,
            Subscription.opening_expires_on: soon,
            Subscription.opening_anchor_day: soon.day,
        }
        Subscription.update(columns).execute()
        office, keys = data.only_office(), (f"U{place:06d}" for place in range(1, count + 1))
        return [orders.renew(session, office, [key], Months(1)).order.number for key in keys]


def _wait(clients: Mapping[str, Sequence[_Client]]) -> None:
    for each in chain.from_iterable(clients.values()):
        each.wait()


class _Client:
    """A process that is connected once it was waited for; ends with the block."""

    def __init__(self, way: str, url: str, number: str) -> None:
        command = [sys.executable, "-I", "-m", "benchmarks.racer", way, url, data.ADMIN, number]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._is_ready = False

    def __enter__(self) -> Self:
        return self

    def wait(self) -> None:
        self._is_ready = self._is_ready or bool(self.hear())

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def tell(self, race: Mapping[str, object]) -> None:
        stdin = cast(IO[str], self._process.stdin)
        stdin.write(json.dumps(race) + "\n")
        stdin.flush()

    def hear(self) -> str:
        said = cast(IO[str], self._process.stdout).readline()
        if not said:
            raise RuntimeError("a client of the race ended, and said why above")
        return said


def _race(clients: Sequence[_Client], numbers: Sequence[str], place: int, thinking: float) -> Attempts:
    attempts, at = Attempts([], []), time.monotonic() + _AHEAD
    for seed, client in enumerate(clients, place * len(clients)):
        client.tell({"numbers": numbers, "seed": seed, "thinking": thinking, "at": at})
    for client in clients:
        for paid, seconds in json.loads(client.hear()):
            (attempts.paid if paid else attempts.refused).append(seconds)
    invariants.hold(len(attempts.paid) == len(numbers), f"{len(attempts.paid)} of {len(numbers)} orders were paid")
    invariants.hold(len(attempts.all) == len(numbers) * len(clients), "not every client attempted every order")
    return attempts


# What was measured


def _percentile(values: Sequence[float], part: float) -> float:
    return sorted(values)[max(0, -(-len(values) * int(part * 100) // 100) - 1)]


def ratios(raced: Mapping[tuple[str, float], Attempts]) -> Iterator[Ratio]:
    for thinking in THINKING:
        ours, bare = raced["smartsub", thinking], raced["bare", thinking]
        name = f"race, {thinking:.4g} s of thinking"
        p99 = _percentile(ours.all, 0.99) / _percentile(bare.all, 0.99)
        yield Ratio(f"{name}: 99 of 100 attempts", p99, _BOUND, _BARE)
        yield Ratio(f"{name}: the middle attempt", median(ours.all) / median(bare.all), None, _BARE)
        yield Ratio(f"{name}: the middle one that paid", median(ours.paid) / median(bare.paid), None, _BARE)


def figures(raced: Mapping[tuple[str, float], Attempts]) -> str:
    heads = ("milliseconds of", "attempts", "p50", "p99", "longest", "paid", "p50", "p99", "longest")
    rows = []
    for (way, thinking), attempts in raced.items():
        row = [f"{way}, {thinking:.4g} s of thinking"]
        for values in (attempts.all, attempts.paid):
            told = (median(values), _percentile(values, 0.99), max(values))
            row += [str(len(values)), *(f"{each * 1000:.1f}" for each in told)]
        rows.append(row)
    return results.table(heads, rows)
