"""Saved views and keys on the command line, in real processes; and the application as it was left, in a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.journeys.material import SMARTSUB, environment, smartsub, smartsub_json, write_files
from tests.packaging.terminal import Terminal

Env = dict[str, str]


@pytest.fixture
def env(tmp_path: Path) -> Env:
    files, _ = write_files(tmp_path)
    env = environment(tmp_path)
    smartsub(env, "import", *files)
    return env


def test_views_are_saved_listed_used_and_removed(env: Env) -> None:
    assert smartsub(env, "views").stdout == "No view is saved: smartsub views save NAME FILTER\n"
    saved = smartsub_json(env, "views", "save", "Old ones", "created:2024", "type:subscription", "--sort", "number")
    assert saved == {"name": "Old ones", "filter": "created:2024 type:subscription", "sort": "number", "shared": False}
    smartsub(env, "views", "save", "Open", "--shared", "--", "-status:succeed")
    listed = smartsub_json(env, "views")
    assert [(each["name"], each["shared"]) for each in listed] == [("Old ones", False), ("Open", True)]
    assert smartsub(env, "views", "--json").stdout == smartsub(env, "--json", "views").stdout
    assert "Old ones  mine        created:2024 type:subscription  number" in smartsub(env, "views").stdout

    def numbers(*arguments: str) -> list[Any]:
        return [each["number"] for each in smartsub_json(env, "orders", *arguments)]

    assert numbers("--view", "old ONES") == numbers("--sort", "number", "created:2024 type:subscription") != []
    assert numbers("--view", "Old ones", "--sort", "-number") == numbers("--view", "Old ones")[::-1]
    assert numbers("--view", "Old ones", "nothing-like-this") == []

    before = smartsub(env, "views").stdout
    assert "dry run: nothing was stored" in smartsub(env, "views", "remove", "Old ones", "--dry-run").stderr
    assert smartsub(env, "views").stdout == before
    for _ in range(2):
        assert smartsub_json(env, "views", "remove", "Old ones", "--request-id", "once") == saved
    assert "removed, as it was:" in smartsub(env, "views", "remove", "Old ones", "--request-id", "once").stderr
    assert [each["name"] for each in smartsub_json(env, "views")] == ["Open"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("views", "save", "x", "status:faild"), 2, "did you mean failed"),
        (("views", "save", "x", "--sort", "totl"), 2, "did you mean 'total'"),
        (("views", "save", " "), 2, "name is empty"),
        (("views", "save", "a\u202eb"), 2, "U+202E"),
        (("views", "sav", "x"), 2, "did you mean save?"),
        (("views", "remove", "x"), 3, "no view is called 'x'"),
        (("orders", "--view", "x"), 3, "no view is called 'x'"),
        (("keys", "--json", "--markdown"), 2, "say one of them"),
    ],
)
def test_what_is_wrong_gets_a_sentence_and_its_exit_code(
    env: Env, arguments: tuple[str, ...], code: int, says: str
) -> None:
    assert says in smartsub(env, *arguments, code=code).stderr


def test_keys_are_printed_as_they_are_set(tmp_path: Path) -> None:
    env, config = environment(tmp_path), tmp_path / "c.toml"
    config.write_text('[ui.keys]\ndelete = "ctrl+d"\nby-status = "F8"\n')
    made = {(each["screen"], each["command"]): each["key"] for each in smartsub_json(env, "keys")}
    other = {
        (each["screen"], each["command"]): each["key"] for each in smartsub_json(env, "keys", "--config", str(config))
    }
    assert made.keys() == other.keys()
    changed = {place: key for place, key in other.items() if made[place] != key}
    assert set(changed.values()) == {"Ctrl+D", "F8"}
    assert {command for _, command in changed} == {"delete", "by_status"}
    assert "\n| `Ctrl+D` | `delete` |" in smartsub(env, "keys", "--markdown", "--config", str(config)).stdout
    assert "  Ctrl+D  delete " in smartsub(env, "keys", "--config", str(config)).stdout
    assert "ui.keys.delete" in smartsub(env, "doctor", "--config", str(config), code=5).stdout


@pytest.mark.parametrize("command", ["keys", "offices", "doctor"])
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('delet = "x"', "[ui.keys] delet is no command that has a key (did you mean delete?)"),
        ('delete = "ctrl+s"', "[ui.keys] delete = 'ctrl+s': flow control takes that key"),
        ('delete = "p"', "[ui.keys] delete = 'p': on Payments that key is pay"),
        ("delete = 5", "[ui] keys: delete = 5 is no text"),
    ],
)
def test_keys_that_would_not_work_are_refused_with_the_file(tmp_path: Path, command: str, line: str, says: str) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f"[ui.keys]\n{line}\n")
    assert f"{config}: {says}" in smartsub(environment(tmp_path), command, "--config", str(config), code=2).stderr


@pytest.mark.pty
def test_the_application_opens_as_it_was_left_and_by_other_keys(env: Env, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[ui.keys]\ncommand = ";"\nquit = "F10"\n')
    start = [*SMARTSUB, "--config", str(config)]
    here = {**env, "TERM": "xterm-256color"}
    with Terminal(start, cwd=tmp_path, env=here) as terminal:
        terminal.wait_for("NEEDS YOU")
        terminal.type(";payments created:2024\r")
        terminal.wait_for("of 2")
        terminal.type("\x1b[21~")  # F10
        terminal.wait_for("NEEDS YOU")
        terminal.type("3")
        terminal.wait_for("Order Number")
        terminal.type(";q\r;q\r")
        assert terminal.wait_for_exit() == 0
    with Terminal(start, cwd=tmp_path, env=here) as terminal:
        terminal.wait_for("NEEDS YOU")
        terminal.type("3")
        terminal.wait_for("created:2024")
