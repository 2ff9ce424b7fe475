"""The interface under measurement: smartsub's Payments and the programs beside it, each with the same keys."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.data import ADMIN, NOT_IN_A_NUMBER, Kept
from benchmarks.terminal import CLEAR, ESCAPE, PAGE_DOWN, Answer, Expected, Lines, Program
from smartsub_tui.data.database import url_of

_NUMBER: Final = re.compile(r"(?<!\d)20\d{18}(?!\d)")
_FULL: Final = 30  # of the rows that fit into 120x40
_ANSWERED: Final = re.compile(r"no orders|search", re.IGNORECASE)
_COUNTED: Final = re.compile(r"Succeed [\d,]+")
_PYTHON: Final = (sys.executable, "-I", "-m")
_MEGABYTE: Final = 1_000_000

# Names of what is measured. Times are milliseconds, sizes bytes, memory megabytes, `core` parts of a core.
Figures = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Target:
    """A program that is measured; `kept` is the database that it shows, none for the one that shows nothing."""

    name: str
    command: tuple[str, ...]
    kept: Kept | None
    searches: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    """How often each key is pressed, and for how many seconds nothing is."""

    rows: int = 20
    pages: int = 8
    ends: int = 3
    digits: int = 12
    idle: float = 0


QUICK: Final = Walk(rows=2, pages=1, ends=1, digits=4, idle=0.3)


def smartsub(kept: Kept, url: str | None = None) -> Target:
    """smartsub on that file, or on the server's database `url` with the same in it."""
    named = ("--database", url or url_of(kept.path), "--admin", ADMIN, "--screen", "payments", "--filter", "")
    command = (*_PYTHON, "smartsub_tui", *named)
    return Target(f"smartsub {kept.orders}{' PostgreSQL' if url else ''}", command, kept, searches=True)


def hello() -> Target:
    return Target("hello world", (*_PYTHON, "benchmarks.hello"), None)


def windowed(kept: Kept) -> Target:
    return Target(f"windowed {kept.orders}", (*_PYTHON, "benchmarks.windowed", str(kept.path)), kept)


def ansi(kept: Kept) -> Target:
    return Target(f"ansi {kept.orders}", (*_PYTHON, "benchmarks.ansi", str(kept.path)), kept)


def warm(target: Target, environment: Mapping[str, str]) -> None:
    """Run a program once, so that no round compiles its modules or reads them from the disk."""
    measure(target, Walk(0, 0, 0, 0), environment)


def measure(target: Target, walk: Walk, environment: Mapping[str, str]) -> tuple[Figures, list[str]]:
    """The figures of one run of a program from its start to its end, and what was expected and never came."""
    run = _Run(walk)
    with Program(target.command, environment) as program:
        if target.kept is None:
            run.hello(program)
        else:
            run.orders(program, target.kept, searches=target.searches)
        memory = program.memory()
        run.put("memory", memory.resident / _MEGABYTE)
        run.put("own memory", memory.own / _MEGABYTE)
        if walk.idle:
            idle = program.idle(walk.idle)
            run.put("idle bytes", idle.size)
            run.put("idle core", idle.core)
    return run.figures, [f"{target.name}: {each}" for each in run.missed]


class _Run:
    """What one program is made to do, and what was measured meanwhile."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self.figures: Figures = {}
        self.missed: list[str] = []

    def put(self, name: str, value: float) -> None:
        self.figures.setdefault(name, []).append(value)

    def _note(self, name: str, answer: Answer, screen: Lines) -> None:
        if not answer.came or answer.seconds is None:
            self.missed.append("\n".join([f"{name}: what was expected never came", *screen]))
            return
        self.put(name, answer.seconds * 1000)
        if answer.shown is not None:
            self.put(f"{name}: shown", answer.shown * 1000)
        self.put(f"{name}: bytes", answer.size)
        self.put(f"{name}: compressed", answer.compressed)

    def hello(self, program: Program) -> None:
        self._note("start", program.start(_holds("Hello")), program.lines)
        self.put("memory at start", program.memory().resident / _MEGABYTE)
        for _ in range(self._walk.rows):
            program.type("jk")

    def orders(self, program: Program, kept: Kept, *, searches: bool) -> None:
        full = min(_FULL, kept.orders // 2)

        def complete(lines: Lines) -> bool:
            """All rows, from the newest on, and the keys below them."""
            return _numbers(lines)[:1] == [kept.newest] and len(_numbers(lines)) >= full and bool(lines[-1].strip())

        self._note("start", program.start(complete, _counted), program.lines)
        if not _counted(program.lines):
            self.missed.append("start: the counts of the statuses never came")
        self.put("memory at start", program.memory().resident / _MEGABYTE)
        for _ in range(self._walk.rows):
            self._note("j", program.press("j"), program.lines)
        self._pages(program)
        for _ in range(self._walk.ends):
            self._note("G", program.press("G", lambda lines: kept.oldest in _numbers(lines)), program.lines)
            self._note("g", program.press("g", lambda lines: kept.newest in _numbers(lines)), program.lines)
        self._filter(program, kept)
        if searches:
            self._search(program, complete)
        program.type(ESCAPE)

    def _pages(self, program: Program) -> None:
        for _ in range(self._walk.pages):
            answer = program.press(PAGE_DOWN, _other_rows(_numbers(program.lines)))
            self._note("PageDown", answer, program.lines)

    def _filter(self, program: Program, kept: Kept) -> None:
        """Digits of a number of the middle, one after another; a digit that leaves the same rows is counted apart."""
        program.type("/")
        for length in range(1, self._walk.digits + 1):
            typed, before = kept.middle[:length], _numbers(program.lines)
            answer = program.press(typed[-1], _all_hold(typed))
            other = _numbers(program.lines) != before
            self._note("filter" if other else "filter, same rows", answer, program.lines)

    def _search(self, program: Program, complete: Expected) -> None:
        """A part of a number that none has, written at once as a hand scanner does; keys while it is looked for."""

        def echoed(lines: Lines) -> bool:
            return f"{NOT_IN_A_NUMBER}9" in " ".join(lines[:4])

        for _ in range(self._walk.ends):
            program.press(CLEAR, complete)
            self._note("search", program.press(NOT_IN_A_NUMBER, _answered), program.lines)
            program.press(CLEAR, complete)
            program.press_meanwhile(NOT_IN_A_NUMBER, 0.03)
            self._note("key while it searches", program.press_at_once("9", echoed), program.lines)
            program.press(CLEAR, complete)
            program.press_meanwhile(NOT_IN_A_NUMBER, 0.03)
            self._note("clear while it searches", program.press_at_once(CLEAR, complete), program.lines)


def _numbers(lines: Lines) -> list[str]:
    """The order numbers on the screen, from above; one a line."""
    return [found[0] for line in lines if (found := _NUMBER.search(line))]


def _counted(lines: Lines) -> bool:
    return any(_COUNTED.search(line) for line in lines)


def _holds(text: str) -> Expected:
    return lambda lines: any(text in line for line in lines)


def _other_rows(before: Sequence[str]) -> Expected:
    """Rows of which more than half were not there `before`."""
    known = set(before)

    def other(lines: Lines) -> bool:
        numbers = _numbers(lines)
        return 2 * len(known.intersection(numbers)) < len(numbers)

    return other


def _all_hold(typed: str) -> Expected:
    """The typed digits stand in the filter line, and every number on the screen holds them."""

    def hold(lines: Lines) -> bool:
        numbers = _numbers(lines)
        return any(typed in line for line in lines[:3]) and bool(numbers) and all(typed in each for each in numbers)

    return hold


def _answered(lines: Lines) -> bool:
    return NOT_IN_A_NUMBER in " ".join(lines[:4]) and any(_ANSWERED.search(line) for line in lines)
