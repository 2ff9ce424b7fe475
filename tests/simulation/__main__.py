"""./run simulate: seeds for so many minutes, or these; one seed with its whole trace; and the planted bugs."""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Final

from tests.simulation import planted
from tests.simulation.disks import failures_of
from tests.simulation.flows import FLOWS, kills_of
from tests.simulation.lives import Found, live, live_many, seeds_of, shortest
from tests.simulation.processes import deaths, race
from tests.simulation.twins import meetings_of
from tests.simulation.world import TURNS
from tests.support import a_count, commit

_AT_A_TIME: Final = 10  # seeds, so that workers are asked seldom
_PATIENCE: Final = 10  # times the middle one, which nobody is to wait in a race
_SHOWN: Final = 40  # lines of a trace that failed


def simulate(seeds: Iterator[int], jobs: int, turns: int, seconds: float | None) -> int:
    """Live the seeds, tell what broke, and how many there were; the exit code."""
    began, lived, failed = time.monotonic(), 0, 0
    done: Counter[str] = Counter()
    running: set[Future[list[Found]]] = set()
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("forkserver")) as workers:
        while True:
            over = seconds is not None and time.monotonic() - began > seconds
            while len(running) < jobs + 1 and not over:
                if not (some := list(itertools.islice(seeds, _AT_A_TIME))):
                    break
                running.add(workers.submit(live_many, some, turns))
            if not running:
                break
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for found in itertools.chain.from_iterable(each.result() for each in ended):
                lived += 1
                done.update(found.done)
                if found.wrong:
                    failed += 1
                    print(f"\n{found.wrong}", end="")
                    _tell(*shortest(found, turns))
            if sys.stderr.isatty():
                print(f"\r{lived} seeds, {failed} failed", end="", file=sys.stderr, flush=True)
    took = time.monotonic() - began
    print(f"{lived} seeds of {turns} turns in {took:.0f} s with {jobs} processes, {lived / took * 60:.0f} a minute:")
    print(", ".join(f"{count} {what}" for what, count in sorted(done.items()) if " at " not in what))
    print(", ".join(f"{count} {what}" for what, count in sorted(done.items()) if " at " in what))
    print(f"{failed} violations" if failed else "no violation")
    return 1 if failed else 0


def _tell(found: Found, turns: int) -> None:
    print(f"\nseed {found.seed} at commit {commit()}: ./run simulate --seed {found.seed} --turns {turns}")
    for line in found.trace[-_SHOWN:]:
        print(f"  {line}")
    print(found.wrong)


def _one(seed: int, turns: int) -> int:
    found = live(seed, turns)
    print("\n".join(found.trace))
    print(found.wrong or f"seed {seed}: {found.digest}")
    return 1 if found.wrong else 0


def _each_flow(work: Callable[[str], int], what: str, jobs: int) -> int:
    total = 0
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("forkserver")) as workers:
        for name, count in zip(FLOWS, workers.map(work, FLOWS), strict=True):
            print(f"{name:28} {count:>4}", flush=True)
            total += count
    print(f"{total} {what}, no violation")
    return 0


def _die(kills: int) -> int:
    with tempfile.TemporaryDirectory(prefix="smartsub-deaths-") as folder:
        counted = deaths(Path(folder, "deaths.sqlite3"), kills, SystemRandom().randrange(10**6))
    print(
        f"{counted.kills} killed, {counted.acknowledged} payments said to be done and there, {counted.unanswered} not"
        " answered and asked again, no violation"
    )
    return 0


def _race(processes: int, count: int) -> int:
    """Once as quickly as it goes, once with a tenth of a second to think before each: then nobody may wait long."""
    fair = True
    for thinking in (0, 0.1):
        with tempfile.TemporaryDirectory(prefix="smartsub-race-") as folder:
            ran = race(Path(folder, "race.sqlite3"), processes, count, thinking)
        outcomes = ", ".join(f"{number} {what}" for what, number in ran.outcomes.items())
        print(
            f"{processes} processes, {count} orders, {thinking} s of thinking: {outcomes}; of those that paid half took"
            f" less than {ran.median * 1000:.1f} ms, the longest {ran.longest * 1000:.1f} ms,"
            f" {ran.longest / ran.median:.1f}x"
        )
        fair = fair and (not thinking or ran.longest <= _PATIENCE * ran.median)
    print("" if fair else f"somebody waited more than {_PATIENCE} times as long as the middle one")
    return 0 if fair else 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="./run simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="this one, with all of its trace")
    parser.add_argument("--seeds", metavar="FIRST-LAST", help="these")
    parser.add_argument("--of-commit", type=a_count, metavar="N", help="so many, drawn from the hash of the commit")
    parser.add_argument("--minutes", type=float, help="new ones, for so long")
    parser.add_argument(
        "--turns", type=int, default=TURNS, help=f"of each seed, until nothing fails any more ({TURNS})"
    )
    parser.add_argument("-j", type=a_count, default=2, metavar="N", help="processes")
    commands = parser.add_subparsers(dest="command")
    bugs = commands.add_parser("bugs", help="plant each bug, and see that a seed catches it")
    bugs.add_argument("names", nargs="*", help="of files in tests/simulation/bugs, without .patch")
    bugs.add_argument(
        "--fresh", action="store_true", help="from new seeds, instead of those that are known to catch it"
    )
    bugs.add_argument("--keep", action="store_true", help="write down which seeds they were")
    bugs.add_argument("-j", type=a_count, default=2, metavar="N", help="processes")
    killing = commands.add_parser(
        "kills", help="kill each flow at every statement of it, and go on from what it leaves"
    )
    failing = commands.add_parser(
        "disks", help="each flow on a disk that is full, fails or loses its power, everywhere"
    )
    failing.add_argument(
        "--every",
        type=a_count,
        default=1,
        metavar="N",
        help="only at every N-th operation, from one on that the commit draws",
    )
    meeting = commands.add_parser("twins", help="each flow given twice at once, the second at every point of the first")
    for each in (killing, failing, meeting):
        each.add_argument("-j", type=a_count, default=2, metavar="N", help="processes")
    dying = commands.add_parser("deaths", help="kill processes with -9 while they order and pay")
    dying.add_argument("--kills", type=a_count, default=1000)
    racing = commands.add_parser("race", help="processes that want to pay the same orders")
    racing.add_argument("--processes", type=a_count, default=50)
    racing.add_argument("--orders", type=a_count, default=100)
    asked = parser.parse_args(arguments)
    if asked.command == "deaths":
        return _die(asked.kills)
    if asked.command == "race":
        return _race(asked.processes, asked.orders)
    if asked.command == "kills":
        return _each_flow(kills_of, "kills", asked.j)
    if asked.command == "disks":
        return _each_flow(partial(failures_of, asked.every), "failures of the disk", asked.j)
    if asked.command == "twins":
        return _each_flow(meetings_of, "meetings", asked.j)
    if asked.command == "bugs":
        return planted.show(asked.names, fresh=asked.fresh, keep=asked.keep, jobs=asked.j)
    if asked.seed is not None:
        return _one(asked.seed, asked.turns)
    if asked.seeds is not None:
        first, last = (int(each) for each in asked.seeds.split("-"))
        return simulate(iter(range(first, last + 1)), asked.j, asked.turns, None)
    if asked.of_commit is not None:
        return simulate(iter(seeds_of(commit(), asked.of_commit)), asked.j, asked.turns, None)
    begin = SystemRandom().randrange(10**9)
    return simulate(itertools.count(begin), asked.j, asked.turns, 60 * (asked.minutes or 1))


if __name__ == "__main__":
    sys.exit(main())
