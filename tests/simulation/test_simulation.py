"""The simulation: seeds drawn from the commit, the seeds that once failed, and that it can fail.

SMARTSUB_SIMULATED says how many seeds are lived, SMARTSUB_EVERY at which statements flows are killed or given again (1:
at each) and, three times that, at which operations their disk fails, and SMARTSUB_DEATHS how many processes are killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulation import planted
from tests.simulation.disk import Disk, DiskFault
from tests.simulation.disks import fail_everywhere
from tests.simulation.flows import FLOWS, kill_everywhere
from tests.simulation.invariants import Violation
from tests.simulation.lives import Found, live, seeds_of, shortest
from tests.simulation.processes import deaths, race
from tests.simulation.twins import meet_everywhere
from tests.simulation.world import TURNS
from tests.support import commit

SEEDS: Final = int(os.environ.get("SMARTSUB_SIMULATED", "40"))
EVERY: Final = int(os.environ.get("SMARTSUB_EVERY", "7"))
DEATHS: Final = int(os.environ.get("SMARTSUB_DEATHS", "20"))
PARTS: Final = 4  # so that several workers share them
HERE: Final = Path(__file__).parent
FAILED: Final = tomllib.loads((HERE / "failed.toml").read_text("utf-8"))


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_no_seed_of_this_commit_breaks_anything(part: int) -> None:
    for seed in seeds_of(commit(), SEEDS)[part::PARTS]:
        found = live(seed)
        assert not found.wrong, f"seed {seed}: {found.wrong}"


@pytest.mark.parametrize("seed", FAILED)
def test_what_failed_once_does_not_again(seed: str) -> None:
    number, _, turns = seed.partition("/")
    assert not live(int(number), int(turns or TURNS)).wrong, FAILED[seed]


@pytest.mark.long
@pytest.mark.once
def test_the_same_seed_is_the_same_trace_whatever_the_hash_seed() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seed", "12"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=HERE.parents[1],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert len(told[0].splitlines()) > 20


@pytest.mark.once
@given(turns=st.integers(1, 2000), data=st.data())
def test_a_failure_is_shown_in_the_fewest_turns_that_have_it(turns: int, data: st.DataObject) -> None:
    breaks_from, asked = data.draw(st.integers(1, turns)), []

    def live(seed: int, turns: int) -> Found:
        asked.append(turns)
        return Found(seed, "", {}, "it breaks" if turns >= breaks_from else "")

    found, fewest = shortest(Found(7, "", {}, "it breaks"), turns, live)
    assert (found.seed, found.wrong, fewest) == (7, "it breaks", breaks_from)
    assert len(asked) <= 11


@pytest.mark.once
def test_every_planted_bug_can_still_be_planted_and_has_a_seed_that_caught_it() -> None:
    assert len(planted.names()) >= 16
    assert planted.known().keys() == set(planted.names())
    for name in planted.names():
        planted.check(name)


@pytest.mark.once
def test_a_planted_bug_is_caught() -> None:
    caught = planted.catch("separate-transactions", fresh=False)
    assert caught.seed is not None
    assert "Violation" in caught.said


@pytest.mark.once
@pytest.mark.parametrize("name", FLOWS)
def test_whoever_is_killed_leaves_nothing_half_done(name: str, tmp_path: Path) -> None:
    assert kill_everywhere(name, tmp_path, EVERY) >= 3


@pytest.mark.once
@pytest.mark.parametrize("name", FLOWS)
def test_what_is_asked_for_twice_at_once_is_done_once(name: str, tmp_path: Path) -> None:
    assert meet_everywhere(name, tmp_path, EVERY) >= 3


@pytest.mark.once
@pytest.mark.parametrize("name", FLOWS)
def test_a_disk_that_fails_takes_nothing_that_was_answered(name: str, tmp_path: Path) -> None:
    failed = fail_everywhere(name, tmp_path, 3 * EVERY)
    assert all(failed[fault] >= 1 for fault in DiskFault)


@pytest.mark.long
@pytest.mark.once
def test_a_disk_that_lies_about_what_it_wrote_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Disk, "synced", lambda *_: None)
    with pytest.raises(Violation, match=r"is gone|is damaged"):
        fail_everywhere("order", tmp_path)


@pytest.mark.long
@pytest.mark.once
def test_whoever_is_killed_with_minus_nine_loses_nothing_that_was_said(tmp_path: Path) -> None:
    counted = deaths(tmp_path / "deaths.sqlite3", DEATHS, seed=1)
    assert counted.kills == DEATHS
    assert counted.acknowledged > 0
    assert counted.unanswered > 0


@pytest.mark.long
@pytest.mark.once
def test_many_that_want_the_same_orders_pay_each_once(tmp_path: Path) -> None:
    ran = race(tmp_path / "race.sqlite3", 8, 12, 0)
    assert ran.outcomes == {"paid": 12, "it is already paid": 7 * 12}
