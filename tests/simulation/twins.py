"""Each flow asked for twice at once, under one request id: while one is at its first point, its second, its third, the
other does all of it.

So it is where a line broke and the command was given again while the first one still runs. Both must be answered, as if
there were one, and what is stored is what one of them stores.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, Final

from smartsub_tui.data.records import to_json
from smartsub_tui.errors import SmartsubError
from tests.simulation import invariants
from tests.simulation.flows import FLOWS, Flow, go_on
from tests.simulation.ground import Ground, fast_folder
from tests.simulation.scheduler import Actor

_TURNS: Final = 10_000  # in which both must have come to their end


class _Twin:
    """One of the two: `answer` is what it was told."""

    def __init__(self, name: str, ground: Ground, flow: Flow, number: str) -> None:
        self.answer: Any = None
        self.refused = ""

        def live() -> None:
            ground.engine.connect()
            try:
                self.answer = flow.act(ground, number)
            except SmartsubError as error:
                self.refused = error.message

        self.actor = Actor(name, live)


def meet(name: str, folder: Path, place: int) -> bool:
    """Let the other come while one is at its `place`-th point, from 1; False where it had come to its end before.

    Raises Violation.
    """
    undisturbed = _undisturbed(name)  # first: models belong to the database that was opened last
    flow, ground = FLOWS[name], Ground(7, folder)
    try:
        number = flow.prepare(ground)
        twins = [_Twin(each, ground, flow, number) for each in ("a0", "a1")]
        ground.engine.actors = [each.actor for each in twins]
        one, other = ground.engine.actors
        for _ in range(place):
            one.turn(None)
            if one.ended:
                return False
        for _ in range(_TURNS):
            # Who waits for the lock lets the one that has it go on.
            if (able := next((each for each in (other, one) if not each.ended and not each.waits), None)) is None:
                break
            able.turn(None)
        refused = [each.refused for each in twins if each.refused]
        invariants.hold(not refused, f"both asked for the same, and one is told: {refused}")
        invariants.hold(one.ended and other.ended, "somebody never comes to an end")
        if name != "sweep":  # of two sweeps at once each tells what it did itself
            told = [json.dumps(to_json(each.answer, whole=True), sort_keys=True) for each in twins]
            invariants.hold(told[0] == told[1], "both asked for the same, and are told otherwise")
        invariants.hold(_events(ground) == undisturbed, "what is stored is not what one of them stores")
        go_on(ground, flow, number)
        return True
    finally:
        ground.close()


def _events(ground: Ground) -> Counter[tuple[Any, ...]]:
    with ground.aside() as connection:
        return Counter(connection.execute("SELECT action, subject, after FROM audit_event"))


@cache
def _undisturbed(name: str) -> Counter[tuple[Any, ...]]:
    with tempfile.TemporaryDirectory(prefix="smartsub-twins-", dir=fast_folder()) as folder:
        ground = Ground(7, Path(folder))
        FLOWS[name].act(ground, FLOWS[name].prepare(ground))
        events = _events(ground)
        ground.close()
    return events


def meet_everywhere(name: str, folder: Path, every: int = 1) -> int:
    """Let the other come at every point, or at every `every`-th; how often that was."""
    met, place = 0, 1
    while meet(name, folder, place):
        met += 1
        place += every
    return met


def meetings_of(name: str) -> int:
    """Let the twins of a flow meet everywhere, in a folder of its own; how often that was."""
    with tempfile.TemporaryDirectory(prefix="smartsub-twins-", dir=fast_folder()) as folder:
        return meet_everywhere(name, Path(folder))
