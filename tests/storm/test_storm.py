"""A short storm in every run of the tests; `./run storm` is the long one, and its own search is tried here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sent import Sent
from tests.storm.events import Events
from tests.storm.lives import Storm

pytestmark = [pytest.mark.pty, pytest.mark.once]


@pytest.mark.long
def test_a_short_storm_breaks_nothing(tmp_path: Path) -> None:
    storm = Storm(tmp_path, seed=3)
    failed = storm.run(2_000)
    assert failed is None, (failed.what, failed.log, failed.events[-60:])
    assert storm.seen.events >= 2_000
    assert storm.seen.looks >= 1


def test_the_same_seed_is_the_same_storm() -> None:
    one, other = Events(5), Events(5)
    assert [one.draw() for _ in range(5_000)] == [other.draw() for _ in range(5_000)]


@pytest.mark.parametrize("sent", ["\x1b]0;x\x07", "\x1b[2J", "\x9b1m", "\u202e", "\x1b]52;c;?\x07", "a\tb", "\x1b[6n"])
def test_what_may_not_be_sent_is_seen_wherever_it_is_parted(sent: str) -> None:
    data = f"\x1b[1;1HAnn{sent}\x1b[2;1HBob".encode()
    for place in range(len(data)):
        judge = Sent()
        judge.take(data[:place])
        judge.take(data[place:])
        judge.finish()
        assert judge.wrong, place
    judge = Sent()
    judge.take(b"\x1b[1;1HAnn\r\n\x1b[2;1H\x1b[0m\x1b]8;;\x1b\\Bob\x1b[?2026l\x07")
    judge.finish()
    assert not judge.wrong
