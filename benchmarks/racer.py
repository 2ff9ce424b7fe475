"""One client of the race (benchmarks/race.py), connected before it begins.

    python -m benchmarks.racer WAY URL ADMIN NUMBER

It pays the order NUMBER before it says that it is ready, so that all is loaded, on both ends of the connection. Each
line that it reads is a race, as JSON: the numbers of the orders, a seed, how long to think, and when it begins. It
answers with a line: of each attempt, in its order, whether it paid, and in how many seconds.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from random import Random

Pay = Callable[[str, str], bool]


def _smartsub(url: str, admin: str) -> Pay:
    from smartsub_tui.billing import payments
    from smartsub_tui.billing.opening import open_session
    from smartsub_tui.clock import SystemClock
    from smartsub_tui.config import Settings
    from smartsub_tui.errors import Refused

    session = open_session(url, admin, "cli", SystemClock(), Settings())

    def pay(number: str, reference: str) -> bool:
        try:
            payments.pay(session, number, payments.Manual(reference))
        except Refused as error:
            if "it is already paid" not in error.message:
                raise
            return False
        return True

    return pay


def _bare(url: str, admin: str) -> Pay:
    from benchmarks.bare_payment import Bare

    return Bare(url, admin).pay


def main() -> None:
    way, url, admin, number = sys.argv[1:]
    pay = {"smartsub": _smartsub, "bare": _bare}[way](url, admin)
    pay(number, "R")
    gc.collect()
    gc.freeze()  # as the application does: what is loaded once is not looked through again
    print("ready", flush=True)
    for line in sys.stdin:
        race = json.loads(line)
        drawn, said = Random(race["seed"]), []
        time.sleep(max(0.0, race["at"] - time.monotonic()))
        for number in drawn.sample(race["numbers"], len(race["numbers"])):
            if race["thinking"]:
                time.sleep(race["thinking"] * drawn.uniform(0.5, 1.5))  # a person, who keeps no time with others
            began = time.monotonic()
            paid = pay(number, f"R-{race['seed']}")
            said.append((paid, time.monotonic() - began))
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
