"""smartsub backup: a copy of everything by one command, and the way back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.journeys.material import OFFICE, environment, smartsub, smartsub_json, stop_by_ctrl_c, write_files


def test_a_backup_is_made_verified_and_gone_back_to(tmp_path: Path) -> None:
    env = environment(tmp_path)
    files, _ = write_files(tmp_path)
    smartsub(env, "import", *files)
    before = smartsub_json(env, "orders")
    kept = tmp_path / "kept.sqlite3"
    made = smartsub_json(env, "backup", kept)
    assert (made["checked"], made["file"]) == (True, str(kept))
    assert "is whole" in smartsub(env, "backup", "verify", kept).stdout
    renewed = smartsub_json(env, "renew", "--office", OFFICE, "--months", "1")
    assert smartsub_json(env, "order", renewed["number"])["number"] == renewed["number"]

    assert "a backup replaces nothing" in smartsub(env, "backup", kept, code=1).stderr
    assert "write smartsub backup FILE" in smartsub(env, "backup", "verify", code=2).stderr
    assert "no file" in smartsub(env, "backup", "verify", tmp_path / "nothing", code=3).stderr
    assert "is no admin" in smartsub(env, "--admin", "a-stranger", "backup", tmp_path / "other", code=4).stderr

    # The way back, as docs/backups.md has it.
    database = Path(env["SMARTSUB_DATABASE"].removeprefix("sqlite:///"))
    for each in database.parent.glob(f"{database.name}*"):
        each.rename(each.with_name(f"old-{each.name}"))
    shutil.copy(kept, database)
    assert smartsub_json(env, "orders") == before
    smartsub(env, "order", renewed["number"], code=3)

    kept.write_bytes(kept.read_bytes()[:-1])
    assert "is damaged" in smartsub(env, "backup", "verify", kept, code=5).stderr


@pytest.mark.parametrize("while_", ["copying", "reading"])
def test_ctrl_c_leaves_nothing_of_a_backup(tmp_path: Path, while_: str) -> None:
    """Stopped behind its first page, or while its check goes on for ever: the process tells that it is there."""
    env = environment(tmp_path)
    smartsub(env, "import", *write_files(tmp_path)[0])
    code = (
        "import itertools, sys, time\nfrom smartsub_tui.billing import backups\n"
        "from smartsub_tui.data import sqlite as database\n"
        "def slow(*_):\n    print('here', flush=True)\n    while True: time.sleep(0.1)\n"
        "def for_ever(path, what):\n    connection = database.apsw.Connection(':memory:')\n"
        "    with database._stoppable(connection):\n        print('here', flush=True)\n"
        "        connection.execute('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n)"
        " SELECT count(*) FROM n').fetchall()\n"
        f"copying = {while_ == 'copying'}\n"
        "if copying:\n"
        "    copy_to = database.SqliteDatabase.copy_to\n"
        "    database.SqliteDatabase.copy_to = lambda self, path, told: copy_to(self, path, slow)\n"
        "else:\n    database._contents = for_ever\n"
        "sys.argv = ['smartsub', 'backup', 'out/kept']\n"
        "from smartsub_tui.cli import main\nmain()"
    )
    (tmp_path / "out").mkdir()
    stop_by_ctrl_c(code, env, tmp_path, lambda: None)
    assert list((tmp_path / "out").iterdir()) == []
