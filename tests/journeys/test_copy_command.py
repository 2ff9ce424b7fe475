"""smartsub copy: from one database into an empty one by one command, stopped, gone on with, and refused."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from tests.journeys.material import DATABASE, OFFICE, environment, smartsub, smartsub_json, stop_by_ctrl_c, write_files

Env = dict[str, str]


@pytest.fixture
def env(tmp_path: Path) -> Env:
    env = environment(tmp_path)
    smartsub(env, "import", *write_files(tmp_path)[0])
    return env


def test_a_copy_is_made_and_worked_with(env: Env, tmp_path: Path) -> None:
    number = smartsub_json(env, "renew", "--office", OFFICE, "--months", "1", "--request-id", "one")["number"]
    before, head = smartsub_json(env, "orders"), smartsub_json(env, "audit", "verify")["head"]
    to = f"sqlite:///{tmp_path / 'copied.sqlite3'}"
    made = smartsub_json(env, "copy", "--to", to)
    assert (made["orders"], made["head"], made["missed"], made["resumed"]) == (len(before), head, 0, 0)
    assert (tmp_path / "copied.sqlite3").stat().st_mode & 0o777 == 0o600
    copied = {**env, "SMARTSUB_DATABASE": to}
    assert smartsub_json(copied, "orders") == before
    assert "the head that was noted stands in it" in smartsub(copied, "audit", "verify", "--head", head).stdout
    again = smartsub_json(copied, "renew", "--office", OFFICE, "--months", "1", "--request-id", "one")
    assert again["number"] == number
    assert "WRONG" not in smartsub(copied, "doctor").stdout

    told = smartsub(env, "copy", "--from", to, "--to", f"sqlite:///{tmp_path / 'back.sqlite3'}").stdout
    assert f"back.sqlite3 is now what {tmp_path / 'copied.sqlite3'} is: each row was compared" in told
    assert f"head of the audit trail {head}" in told


def test_what_is_refused_and_how(env: Env, tmp_path: Path) -> None:
    to = f"sqlite:///{tmp_path / 'copied.sqlite3'}"
    assert "Missing option '--to'" in smartsub(env, "copy", code=2).stderr
    assert "in memory" in smartsub(env, "copy", "--to", "sqlite:///:memory:", code=2).stderr
    assert "in memory" in smartsub(env, "copy", "--from", "sqlite:///:memory:", "--to", to, code=2).stderr
    assert "is no database URL" in smartsub(env, "copy", "--to", "copied", code=2).stderr
    assert "no database at" in smartsub(env, "copy", "--from", "sqlite:///nothing", "--to", to, code=5).stderr
    assert "is no admin" in smartsub(env, "--admin", "a-stranger", "copy", "--to", to, code=4).stderr
    assert "is not empty" in smartsub(env, "copy", "--to", env["SMARTSUB_DATABASE"], code=1).stderr
    assert not (tmp_path / "copied.sqlite3").exists()
    with apsw.Connection(str(tmp_path / DATABASE)) as other:
        other.execute("DELETE FROM schema_migration WHERE name LIKE '0003%'")
    other.close()
    assert "made by an older smartsub: smartsub migrate" in smartsub(env, "copy", "--to", to, code=5).stderr
    smartsub(env, "migrate")
    smartsub(env, "copy", "--to", to)


def test_ctrl_c_leaves_what_is_no_database_and_the_same_again_goes_on(env: Env, tmp_path: Path) -> None:
    to = f"sqlite:///{tmp_path / 'copied.sqlite3'}"
    code = (
        "import sys, time\nfrom smartsub_tui.billing import copies\nfrom smartsub_tui.data import copies as data\n"
        "def slow(*_):\n    print('here', flush=True)\n    while True: time.sleep(0.1)\n"
        "data.compare = slow\n"
        f"sys.argv = ['smartsub', 'copy', '--to', {to!r}]\n"
        "from smartsub_tui.cli import main\nmain()"
    )
    stop_by_ctrl_c(code, env, tmp_path, lambda: None)
    copied = {**env, "SMARTSUB_DATABASE": to}
    for words in (("orders",), ("init",), ("migrate",), ("--read-only", "orders"), ("backup", tmp_path / "x"), ()):
        told = smartsub(copied, *words, code=5).stderr
        assert "is a copy that was not finished: give smartsub copy again, which goes on with it" in told
        assert told.count("\n") == 1
    renewed = smartsub_json(env, "renew", "--office", OFFICE, "--months", "1")["number"]
    assert "was changed since it was begun: --anew" in smartsub(env, "copy", "--to", to, code=1).stderr
    made = smartsub_json(env, "copy", "--to", to, "--anew")
    assert made["resumed"] == 0
    smartsub(copied, "order", renewed)
