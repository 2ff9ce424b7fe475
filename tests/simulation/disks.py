"""Each flow on a disk that fails at its first operation, its second, its third, until the flow runs through.

A full disk and an error are told in one sentence, and the same process goes on when there is room again. Without power
all processes are gone, and others open what lies on the disk. Nothing may be half done, what was answered is there, the
same request again does it once, and all must settle.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import apsw

from smartsub_tui.errors import Unavailable
from tests.simulation import invariants
from tests.simulation.disk import Disk, DiskFault
from tests.simulation.flows import FLOWS, go_on
from tests.simulation.ground import Ground, fast_folder
from tests.support import commit

_WORDS: Final = {DiskFault.FULL: "the disk is full", DiskFault.ERROR: "the disk", DiskFault.READ: "the disk"}


def fail(name: str, folder: Path, place: int, fault: DiskFault) -> bool:
    """Run a flow on a disk that fails at the `place`-th operation of it, and see what is left; whether it failed.

    Where the power does not fail before, it does when the answer is out. Raises Violation.
    """
    undisturbed = _undisturbed(name)  # first: models belong to the database that was opened last
    disk = Disk("failing")
    ground = Ground(7, folder, disk)
    try:
        number = FLOWS[name].prepare(ground)
        before = _trail(ground)
        disk.fail(place, fault)
        refused = None
        try:
            FLOWS[name].act(ground, number)
        except Unavailable as error:
            refused = error.message
        failed = disk.failed
        if fault is DiskFault.POWER:
            disk.cut_power()
            with contextlib.suppress(apsw.IOError):  # who closes it would write the log into the file
                ground.close()
            disk.power_comes_back(Random(f"{name} {place}"))
            ground.open(ground.path)
        disk.make_room()
        after = _trail(ground)
        invariants.hold(after[: len(before)] == before, "what was there before is gone")
        if refused is None:
            invariants.hold(after == undisturbed, "what was answered is gone")
        else:
            if fault in _WORDS:
                invariants.hold(_WORDS[fault] in refused, f"it is told as {refused!r}")
            if "nothing was stored" in refused:
                invariants.hold(after == before, f"it is told as {refused!r}, and {after[len(before) :]} is stored")
        go_on(ground, FLOWS[name], number)
        return failed
    finally:
        disk.make_room()
        ground.close()
        disk.unregister()


@cache
def _undisturbed(name: str) -> list[tuple[Any, ...]]:
    with tempfile.TemporaryDirectory(prefix="smartsub-disks-", dir=fast_folder()) as folder:
        ground = Ground(7, Path(folder))
        FLOWS[name].act(ground, FLOWS[name].prepare(ground))
        trail = _trail(ground)
        ground.close()
    return trail


def _trail(ground: Ground) -> list[tuple[Any, ...]]:
    """Every event, each with the hash of all before it."""
    with ground.aside() as connection:
        return list(connection.execute("SELECT * FROM audit_event ORDER BY id"))


def fail_everywhere(name: str, folder: Path, every: int = 1, first: int = 1) -> Counter[DiskFault]:
    """Fail a flow at every operation of the disk, or from its `first` on at every `every`-th, in every way; how often
    that was.
    """
    failed: Counter[DiskFault] = Counter()
    for fault in DiskFault:
        place = first
        while fail(name, folder, place, fault):
            failed[fault] += 1
            place += every
    return failed


def failures_of(every: int, name: str) -> int:
    """Fail the disk of a flow everywhere, in a folder of its own, or at every `every`-th operation from one on that the
    commit draws; how often that was.
    """
    first = 1 + Random(f"{commit()} {name}").randrange(every)
    with tempfile.TemporaryDirectory(prefix="smartsub-disks-", dir=fast_folder()) as folder:
        return sum(fail_everywhere(name, Path(folder), every, first).values())
