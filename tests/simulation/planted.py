"""Planted bugs: each patch of `bugs/` is put on a copy of the product, and seeds are lived until one of them sees it.

`bugs/caught.toml` keeps the seed that caught each, so that this one is tried first; it may catch no more when the rules
change, and then others do: `--fresh` begins with new ones.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import SystemRandom
from typing import Final

from msgspec import Struct

BUGS: Final = Path(__file__).with_name("bugs")
_PROJECT: Final = Path(__file__).parents[2]
WITHIN: Final = 200  # seeds
# What must hold, and is seen not to: in the simulation, or by the schema.
_SEEN: Final = r"[\w.]*(Violation|AssertionError)\b|peewee\.IntegrityError: CHECK constraint failed"
_HEAD: Final = "# Which seed caught each bug last: ./run simulate bugs --keep"


class Caught(Struct, frozen=True):
    """A bug, and the seed that saw it, after so many; `said` is what broke."""

    name: str
    what: str
    seed: int | None
    tried: int
    said: str


def names() -> list[str]:
    return sorted(each.stem for each in BUGS.glob("*.patch"))


def known() -> dict[str, int]:
    """The seed that caught a bug last, by its name."""
    found: dict[str, int] = tomllib.loads((BUGS / "caught.toml").read_text("utf-8"))
    return found


def check(name: str) -> None:
    """Whether the bug can be planted: raises RuntimeError where the rules are not what it was made for any more."""
    _apply(name, _PROJECT, "--check")


def _apply(name: str, where: Path, *options: str) -> None:
    applied = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", *options, str(BUGS / f"{name}.patch")],
        cwd=where,
        capture_output=True,
        text=True,
        check=False,
    )
    if applied.returncode != 0:
        raise RuntimeError(f"{name} cannot be planted any more: {applied.stderr.strip()}")


def catch(name: str, *, fresh: bool) -> Caught:
    """Plant a bug in a copy, and live seeds there until one fails. Raises RuntimeError where it cannot be planted."""
    patch = BUGS / f"{name}.patch"
    with tempfile.TemporaryDirectory(prefix="smartsub-bug-") as made:
        copy = Path(made)
        for each in ("smartsub_tui", "tests", "pyproject.toml"):
            source = _PROJECT / each
            if source.is_dir():
                shutil.copytree(source, copy / each, ignore=shutil.ignore_patterns("__pycache__", "snapshots"))
            else:
                shutil.copy(source, copy / each)
        _apply(name, copy)
        first = SystemRandom().randrange(10**9) if fresh else known().get(name, 0)
        hunt = [sys.executable, "-c", _HUNT, str(copy), str(first), str(first + WITHIN)]
        ran = subprocess.run(hunt, cwd=copy, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise RuntimeError(f"{name} does not run: {ran.stderr[-2000:]}")
        seed, said = ran.stdout.split("\n", 1)
        what = patch.read_text("utf-8").split("\n", 1)[0]
        found = int(seed) if seed else None
        if found is not None and not re.match(_SEEN, said):
            raise RuntimeError(f"{name} only crashes, which proves nothing: {said.strip()}")
        return Caught(name, what, found, WITHIN if found is None else found - first + 1, said.strip())


# In the copy: its packages come before those of this clone.
_HUNT: Final = """
import sys
here, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sys.path.insert(0, here)
import smartsub_tui
assert smartsub_tui.__file__.startswith(here), smartsub_tui.__file__
from tests.simulation.lives import live
for seed in range(first, last):
    found = live(seed)
    if found.wrong:
        print(seed)
        print(found.wrong.strip().splitlines()[-1])
        break
else:
    print()
"""


def show(chosen: list[str], *, fresh: bool, keep: bool, jobs: int) -> int:
    """A table of the bugs and the seeds that caught them; 1 where one got away. `keep` writes down which they were."""
    with ThreadPoolExecutor(jobs) as hunters:
        caught = list(hunters.map(lambda name: catch(name, fresh=fresh), chosen or names()))
    if keep:
        seeds = known() | {each.name: each.seed for each in caught if each.seed is not None}
        lines = [f"{name} = {seeds[name]}" for name in names() if name in seeds]
        (BUGS / "caught.toml").write_text("\n".join([_HEAD, *lines]) + "\n", "utf-8")
    for each in caught:
        seed = "NOT CAUGHT" if each.seed is None else f"{each.seed}"
        print(f"{each.name:32} {seed:>12} {each.tried:>4}  {each.what}")
        print(f"{'':32} {'':>12} {'':>4}  {each.said[:150]}")
    got_away = [each.name for each in caught if each.seed is None]
    print(f"{len(caught) - len(got_away)} of {len(caught)} bugs were caught")
    return 1 if got_away else 0
