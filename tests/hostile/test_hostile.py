"""The Big List of Naughty Strings and generated escapes on every screen, in every command and every file."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.hostile.ground import environment, prepare
from tests.hostile.strings import PLANTED, escapes, naughty
from tests.hostile.walk import SIZES, VISITS, Walk
from tests.journeys.material import SMARTSUB
from tests.journeys.test_fence import log_of
from tests.sent import Sent

pytestmark = [pytest.mark.pty, pytest.mark.once]

GENERATED: Final = 300
ORDERS: Final = 60  # of which all is looked at


def strings() -> list[str]:
    known = naughty()
    if known is None:
        if os.environ.get("CI"):
            pytest.fail("the Big List of Naughty Strings is not there: python -m tests.hostile.fetch")
        pytest.skip("the Big List of Naughty Strings is not there: python -m tests.hostile.fetch")
    return list(dict.fromkeys(each for each in (*known, *escapes(GENERATED)) if each))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hostile")
    prepare(made, strings())
    return made


@pytest.mark.long
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_screen_is_straight_and_sends_nothing_of_it(folder: Path, size: tuple[int, int]) -> None:
    walk = Walk(folder, environment(folder), size)
    try:
        for name in VISITS:
            walk.visit(name, len(strings()))
        walk.orders(ORDERS)
        walk.leave()
    finally:
        walk.close()
    assert walk.rows > len(strings())


@pytest.mark.parametrize("command", ["offices", "users", "orders", "views", "admin list"])
def test_what_commands_print_is_harmless_and_their_json_is_as_it_came(folder: Path, command: str) -> None:
    words = [*command.split(), *(("--limit", "0") if command in ("users", "orders") else ())]
    run = [*SMARTSUB, "--admin", "manager"]
    env = environment(folder)
    done = subprocess.run([*run, *words], env=env, cwd=folder, capture_output=True, check=True)
    sent = Sent()
    sent.take(done.stdout.replace(b"\n", b""))
    assert not sent.wrong
    assert not any(each in done.stdout for each in PLANTED)
    told = subprocess.run([*run, "--json", *words], env=env, cwd=folder, capture_output=True, check=True).stdout
    assert not any(byte < 0x20 and byte != 0x0A for byte in told)
    texts = {text for row in json.loads(told) for text in row.values() if isinstance(text, str)}
    assert len(texts & set(strings())) > len(strings()) * 0.9


def test_a_file_that_is_exported_runs_nothing(folder: Path) -> None:
    run = [*SMARTSUB, "--admin", "manager", "export", "users"]
    done = subprocess.run(run, env=environment(folder), cwd=folder, capture_output=True, check=True, text=True)
    import csv
    import io

    rows = list(csv.reader(io.StringIO(done.stdout, newline="")))
    assert len(rows) > len(strings())
    assert not [cell for row in rows[1:] for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]


def test_two_names_that_look_alike_are_told_apart() -> None:
    from smartsub_tui import display

    for one, other in (("Ann", "An\u200dn"), ("Ann", "Ann\u2060"), ("Zo\xeb", "Zoe\u0308\u200b"), ("Ann", "\u202eAnn")):
        assert display.plain(one) != display.plain(other)
        assert display.plain(other).isprintable()


def test_nothing_of_it_came_as_far_as_the_fence(folder: Path) -> None:
    assert not log_of(folder).exists()
