"""One seed from its beginning to its end, and what it came to."""

from __future__ import annotations

import gc
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from tests.simulation.ground import fast_folder
from tests.simulation.world import TURNS, World


class Found(Struct, frozen=True):
    """What one seed came to: what broke, if something did, and the last of its trace."""

    seed: int
    digest: str
    done: dict[str, int]  # how often, by command; faults by where they struck
    wrong: str = ""
    trace: tuple[str, ...] = ()


def live(seed: int, turns: int = TURNS) -> Found:
    """One seed, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="smartsub-simulation-", dir=fast_folder()))
    try:
        world = World(seed, folder)
        try:
            world.run(turns)
        except Exception as error:
            wrong = "".join(traceback.format_exception(error)[-3:])
            return Found(seed, "", {}, wrong, tuple(world.trace))
        else:
            done = Counter(line.split()[1] for line in world.trace if line.endswith("is done"))
            return Found(seed, world.digest(), dict(done + world.struck), trace=tuple(world.trace))
        finally:
            world.close()
    finally:
        shutil.rmtree(folder)


def live_many(seeds: list[int], turns: int) -> list[Found]:
    """Seeds, one after the other, in a process that does nothing else: garbage is collected between them."""
    gc.disable()
    found = []
    for seed in seeds:
        found.append(live(seed, turns))
        gc.collect()
    return found


def shortest(found: Found, turns: int, live_: Callable[[int, int], Found] = live) -> tuple[Found, int]:
    """The same seed in as few turns as still break something, and how many those are.

    A life of fewer turns is the beginning of a longer one, so what breaks early is found there without all that came
    after it. It may break otherwise than the longer one.
    """
    too_few, enough, shown = 0, turns, found
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        tried = live_(found.seed, middle)
        if tried.wrong:
            enough, shown = middle, tried
        else:
            too_few = middle
    return shown, enough


def seeds_of(commit: str, count: int) -> range:
    """As many seeds, drawn from a commit's hash."""
    first = int(commit[:8], 16) if commit[:8].isalnum() and commit != "no commit" else 0
    return range(first, first + count)
