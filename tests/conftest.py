"""Fixtures of all tests, what of them is asked in brief, and how hard Hypothesis tries: HYPOTHESIS_PROFILE=thorough
tries long.
"""

from __future__ import annotations

import atexit
import os
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from textual import _wait

from smartsub_tui.billing.session import Session
from smartsub_tui.data.database import Database
from tests import postgres
from tests.support import FixedClock, commit, memory_database, on_a_whole_terminal, session_on

settings.register_profile("quick", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
# The same examples in every run: a red build is red again.
settings.register_profile("ci", settings.get_profile("quick"), derandomize=True, database=None, print_blob=True)
# On the other Pythons: whether the rules hold was asked on the first, here it is whether the code runs.
settings.register_profile("again", settings.get_profile("ci"), max_examples=12)
# Where a failure is only counted: few examples, and no search for the smallest.
settings.register_profile(
    "mutants", settings.get_profile("ci"), max_examples=25, phases=[Phase.explicit, Phase.generate]
)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "quick"))

# A pilot looks every so often whether the process is idle, and goes on when it is. Textual's fiftieth of a second is
# most of the time that a key takes; what a test waits for, it asks for by itself.
_wait.SLEEP_GRANULARITY = 0.003
_wait.SLEEP_IDLE = _wait.SLEEP_GRANULARITY / 20

on_a_whole_terminal()


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "in brief: so many cases of each test, drawn by the commit, and none that are marked long"
    parser.addoption("--cases", type=int, metavar="N", help=told)
    told = "with --cases: those that are marked long too, and all cases of those marked whole"
    parser.addoption("--long", action="store_true", help=told)
    told = "one part of N of the tests that are not marked once, drawn by the commit: what other Pythons are asked"
    parser.addoption("--part", metavar="I/N", help=told)
    parser.addoption(
        "--postgres",
        action="store_true",
        help="the tests of data and billing, and those marked postgres, on PostgreSQL",
    )


@pytest.hookimpl(trylast=True)  # of what -k and -m leave
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _leave_out(config, items)
    if (part := config.getoption("--part")) is not None:
        _divide(config, items, *map(int, part.split("/")))
    if (most := config.getoption("--cases")) is not None:
        _shorten(config, items, most, long=config.getoption("--long"))


def _divide(config: pytest.Config, items: list[pytest.Item], part: int, parts: int) -> None:
    """Whole tests, all of their cases: each is in one part."""
    names = sorted({item.nodeid.partition("[")[0] for item in items if item.get_closest_marker("once") is None})
    Random(commit()).shuffle(names)
    asked = {*names[part - 1 :: parts]}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid.partition("[")[0] not in asked])
    items[:] = [item for item in items if item.nodeid.partition("[")[0] in asked]


def _shorten(config: pytest.Config, items: list[pytest.Item], most: int, *, long: bool) -> None:
    """In brief: what one waits for between two changes, and, with those that are `long`, for a commit. ./run check asks
    everything.
    """
    cases: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    asked = set()
    for item in items:
        if long and item.get_closest_marker("whole") is not None:
            asked.add(item.nodeid)
        elif long or item.get_closest_marker("long") is None:
            cases[item.nodeid.partition("[")[0]].append(item)
    for name, some in cases.items():
        asked |= {item.nodeid for item in Random(f"{commit()} {name}").sample(some, min(most, len(some)))}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in asked])
    items[:] = [item for item in items if item.nodeid in asked]


# What of the tests runs on PostgreSQL. The others make a file or look into one, and wait (docs/postgres.md).
ON_POSTGRES = ("data", "billing")
_cluster = pytest.StashKey[postgres.Cluster]()


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--postgres") and not hasattr(config, "workerinput"):  # the workers of xdist share one
        cluster = config.stash[_cluster] = postgres.Cluster()
        atexit.register(cluster.stop)
        cluster.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    postgres.leave()
    if (cluster := config.stash.get(_cluster, None)) is not None:
        cluster.stop()


def _leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--postgres"):
        for item in items:
            if item.get_closest_marker("postgres") is not None:
                item.add_marker(pytest.mark.skip(reason="PostgreSQL alone: ./run test --postgres"))
        return
    here = Path(__file__).parent
    others = [
        item
        for item in items
        if item.path.relative_to(here).parts[0] not in ON_POSTGRES and item.get_closest_marker("postgres") is None
    ]
    config.hook.pytest_deselected(items=others)
    left_out = set(others)
    items[:] = [item for item in items if item not in left_out]
    for item in items:
        if (only := item.get_closest_marker("sqlite")) is not None:
            item.add_marker(pytest.mark.skip(reason=f"SQLite alone: {only.args[0]}"))


@pytest.fixture(autouse=True)
def _databases_go() -> Iterator[None]:
    """Of a test no database is left on the server."""
    if not postgres.is_wanted():
        yield
        return
    with postgres.dropping():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What failed shows the log of the programs that it ran: their tracebacks stand nowhere else."""
    report = yield
    home = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and home is not None:
        report.sections += [(str(log.name), log.read_text("utf-8", "replace")) for log in home.rglob("smartsub.log")]
    return report


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def database() -> Iterator[Database]:
    """An empty database in memory."""
    made = memory_database()
    yield made
    made.close()


@pytest.fixture
def session(database: Database, clock: FixedClock) -> Session:
    """A manager's session on an empty database in memory, by `clock`."""
    return session_on(database, clock=clock)
