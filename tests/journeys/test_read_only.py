"""smartsub --read-only, in real processes: what reads works, what changes is refused, and the file stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.material import OFFICE, environment, smartsub, smartsub_json, write_files


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    env = environment(tmp_path)
    files, _ = write_files(tmp_path)
    smartsub(env, "import", *files)
    return env


def test_what_reads_works_and_what_changes_is_refused(env: dict[str, str], tmp_path: Path) -> None:
    number = smartsub_json(env, "renew", "--office", OFFICE, "--months", "1")["number"]
    before = smartsub_json(env, "orders")
    assert smartsub_json(env, "--read-only", "orders") == before
    assert smartsub_json(env, "--read-only", "order", number)["status"] == "processing"
    assert "doctor" not in smartsub(env, "--read-only", "doctor").stderr
    smartsub(env, "--read-only", "backup", str(tmp_path / "copy.sqlite3"))
    for change in (("pay", number, "--reference", "R"), ("admin", "add", "ann", "--role", "viewer"), ("sweep",)):
        refused = smartsub(env, "--read-only", *change, code=4)
        assert "this smartsub only reads: start it without --read-only to change anything" in refused.stderr
    into = ("copy", "--to", f"sqlite:///{tmp_path / 'copied.sqlite3'}")
    for makes in (("init",), ("migrate",), ("demo",), ("recover", str(tmp_path / "copy.sqlite3")), into):
        refused = smartsub(env, "--read-only", *makes, code=4)
        assert f"with --read-only nothing is changed, and smartsub {makes[0]} does: leave it out" in refused.stderr
    assert smartsub_json(env, "orders") == before


def test_it_is_said_before_the_command(env: dict[str, str]) -> None:
    assert "--read-only is no option here" in smartsub(env, "orders", "--read-only", code=2).stderr
