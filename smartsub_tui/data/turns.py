"""Turns among the processes that write to one database: who waited longest is next.

SQLite lets those who find it busy try again and again, and whoever tries at the right moment gets in: beside many
others one may be passed over until it gives up. So they stand in line, and only the first of the line tries.

The line is fairness and never a lock: SQLite's own lock keeps writers apart. Where the line does not move, because its
first is stopped or another program holds the file, one goes on without a turn.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# By the log, the last thread of this process that stands in a line there though nobody waits for it any more. The
# system's own wait cannot be ended: such a thread stays, with its descriptor, until the line moves.
_left_standing: Final[dict[str, threading.Thread]] = {}


@contextmanager
def turn(log: str, seconds: float) -> Iterator[bool]:
    """One's turn, which lasts as long as the block: whether it came within so many seconds.

    Where it did not, it may still come within the block. Where one of this process was left standing, the line does
    not move: it is not waited for again, so that no more of them are left there.

    The line stands at the write-ahead log (its path; "" for a database in memory), on which SQLite itself takes no
    lock. The system keeps it in the order of arrival, and whoever ends, however that comes, leaves it. Where there is
    no log yet, or a file system without such locks, everyone's turn is at once.
    """
    try:
        place = os.open(log, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        yield True
        return
    try:
        yield _reached(place, log, seconds)
    finally:
        os.close(place)


def _reached(place: int, log: str, seconds: float) -> bool:
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    except OSError:
        return True
    else:
        return True
    if (left := _left_standing.get(log)) is not None and left.is_alive():
        return False
    # The lock belongs to both descriptors: it is kept when the waiting thread closes its own, and let go when we gave
    # up meanwhile and have closed ours.
    own, reached = os.dup(place), threading.Event()

    def stand() -> None:
        try:
            fcntl.flock(own, fcntl.LOCK_EX)
            reached.set()
        finally:
            os.close(own)

    thread = threading.Thread(target=stand, name="turn", daemon=True)  # the system's own wait knows no time-out
    thread.start()
    try:
        return reached.wait(seconds)
    finally:
        if not reached.is_set():
            _left_standing[log] = thread
