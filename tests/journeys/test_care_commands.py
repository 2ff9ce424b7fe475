"""smartsub doctor, audit verify and recover, by hand."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from tests.journeys.material import DATABASE, OFFICE, environment, smartsub, smartsub_json, write_files

Env = dict[str, str]


@pytest.fixture
def env(tmp_path: Path) -> Env:
    env = environment(tmp_path)
    smartsub(env, "import", *write_files(tmp_path)[0])
    return env


def test_doctor_says_that_all_is_well_and_what_is_not(env: Env, tmp_path: Path) -> None:
    found = smartsub_json(env, "doctor")
    assert found["integrity"] == "every page, and every row that another names"
    assert "events as they were written" in found["audit trail"]
    with_trail(tmp_path, "UPDATE audit_event SET admin = 'someone else' WHERE id = 1")
    told = smartsub(env, "doctor", code=5)
    assert "WRONG: the audit trail was changed: event 1" in told.stdout
    assert "audit trail: the audit trail was changed" in told.stderr


def test_a_trail_is_verified_with_and_without_its_head(env: Env, tmp_path: Path) -> None:
    smartsub(env, "renew", "--office", OFFICE, "--months", "1")
    kept = smartsub_json(env, "backup", tmp_path / "kept.sqlite3")
    assert f"# audit head {kept['head']}\n" in (tmp_path / "kept.sqlite3.sha256").read_text()
    found = smartsub_json(env, "audit", "verify")
    assert found["head"] == kept["head"]
    assert "the head that was noted stands in it" in smartsub(env, "audit", "verify", "--head", kept["head"]).stdout
    assert "is no head" in smartsub(env, "audit", "verify", "--head", "abc", code=2).stderr
    with_trail(tmp_path, f"DELETE FROM audit_event WHERE id = {found['events']}")
    assert "is as it was written" in smartsub(env, "audit", "verify").stdout
    assert "has the head that was noted" in smartsub(env, "audit", "verify", "--head", kept["head"], code=1).stderr


def test_a_backup_is_gone_back_to_and_the_old_file_kept(env: Env, tmp_path: Path) -> None:
    kept = tmp_path / "kept.sqlite3"
    smartsub(env, "backup", kept)
    before = smartsub_json(env, "orders")
    number = smartsub_json(env, "renew", "--office", OFFICE, "--months", "1")["number"]
    assert "--go-back leaves them behind" in smartsub(env, "recover", kept, code=1).stderr
    smartsub(env, "order", number)
    told = smartsub(env, "recover", kept, "--go-back").stdout
    assert "the old file is " in told
    assert smartsub_json(env, "orders") == before
    old = told.split("the old file is ")[1].strip()
    smartsub({**env, "SMARTSUB_DATABASE": f"sqlite:///{old}"}, "order", number)
    assert "has no file" in smartsub(env, "--database", "sqlite:///:memory:", "recover", kept, code=2).stderr
    (tmp_path / DATABASE).unlink()
    assert "the old file" not in smartsub(env, "recover", kept).stdout
    assert smartsub_json(env, "orders") == before


def with_trail(tmp_path: Path, sql: str) -> None:
    """Do to the trail what only someone can do who does not go through smartsub."""
    connection = apsw.Connection(str(tmp_path / DATABASE))
    connection.execute("DROP TRIGGER audit_event_no_update; DROP TRIGGER audit_event_no_delete")
    connection.execute(sql)
    connection.close()
