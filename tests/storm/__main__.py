"""./run storm: so many random events on the application in a terminal; what breaks it, by the fewest events."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import SystemRandom

from tests.storm.lives import Failed, Storm, shortest
from tests.support import a_count, commit


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run storm", description=__doc__)
    parser.add_argument("--events", type=a_count, default=50_000)
    parser.add_argument("--seed", type=int, help="one of its own where it is not said")
    parser.add_argument("--of-commit", action="store_true", help="the seed is the commit's hash")
    parser.add_argument("-j", type=a_count, default=1, metavar="N", help="storms at once: seeds from this one on")
    asked = parser.parse_args()
    seed = int(commit()[:8], 16) if asked.of_commit else asked.seed
    seed = SystemRandom().randrange(2**32) if seed is None else seed
    with ProcessPoolExecutor(asked.j, mp_context=multiprocessing.get_context("fork")) as storms:
        broke = list(storms.map(_storm, range(seed, seed + asked.j), [-(-asked.events // asked.j)] * asked.j))
    return 1 if any(broke) else 0


def _storm(seed: int, events: int) -> bool:
    """So many events; tells what they were, and whether something broke."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="smartsub-storm-") as folder:
        storm = Storm(Path(folder), seed)
        failed = storm.run(events)
        seen, took = storm.seen, time.monotonic() - began
        print(
            f"seed {seed} at commit {commit()}: {seen.events:,} events in {seen.lives} lives ({seen.left} of them"
            f" left by a key) in {took:.0f} s, {seen.looks} looks, {seen.bytes / 2**20:.0f} MB sent, at most"
            f" {seen.memory / 2**20:.0f} MB of memory, {seen.paid} links paid,"
            f" {'nothing broke' if failed is None else 'and it broke'}",
            flush=True,
        )
        if failed is not None:
            _tell(failed, Path(folder), seed, events)
    return failed is not None


def _tell(failed: Failed, folder: Path, seed: int, asked: int) -> None:
    print(f"\nas {failed.role}: {failed.what}\n{failed.log}", file=sys.stderr)
    for event in failed.events[-100:]:
        print(f"  {event!r}", file=sys.stderr)
    print(f"./run storm --seed {seed} --events {asked}", file=sys.stderr)
    print(f"in search of the fewest of {len(failed.events)} events ...", file=sys.stderr)
    events = shortest(failed, folder)
    print(f"{len(events)} events break it:" if events != failed.events else "not once more; the last events:")
    for event in events[-60:]:
        print(f"  {event!r}" if isinstance(event, bytes) else f"  {event[0]}x{event[1]}")


if __name__ == "__main__":
    sys.exit(main())
