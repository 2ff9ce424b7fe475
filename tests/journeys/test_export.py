"""smartsub export, in real processes on a real file."""

from __future__ import annotations

import csv
import json
import os
import pty
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smartsub_tui.billing.access import process_admin
from tests.journeys.material import (
    DATABASE,
    OFFICE,
    SMARTSUB,
    environment,
    smartsub,
    smartsub_json,
    stop_by_ctrl_c,
    write_files,
)

Env = dict[str, str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a small demo."""
    folder = tmp_path_factory.mktemp("made")
    size = ("--orders", "3000", "--users", "300")
    smartsub(environment(folder), "demo", *size, "--keep", folder / DATABASE)
    return folder / DATABASE


@pytest.fixture
def env(made: Path, tmp_path: Path) -> Env:
    shutil.copy(made, tmp_path)
    return environment(tmp_path)


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("words", [[], ["status:failed,timeout"], ["type:activation", "created:<900d"], ["is:deleted"]])
@pytest.mark.parametrize("sort", ["-created", "total", "office"])
def test_the_export_is_the_list(env: Env, words: list[str], sort: str) -> None:
    listed = smartsub_json(env, "orders", *words, "--sort", sort, "--limit", "0")
    found = lines(smartsub(env, "export", "orders", *words, "--sort", sort, "--format", "jsonl").stdout)
    assert [{**each, "user_ids": []} for each in found] == [{**each, "user_ids": []} for each in listed]
    table = smartsub(env, "export", "orders", *words, "--sort", sort).stdout
    rows = list(csv.DictReader(table.splitlines()))
    assert [(row["order_number"], row["user_ids"]) for row in rows] == [
        (each["number"], ";".join(each["user_ids"])) for each in found
    ]
    assert len(rows) > 5


def test_users_are_those_of_the_list(env: Env) -> None:
    listed = smartsub_json(env, "users", "state:active", "--limit", "0")
    found = lines(smartsub(env, "--json", "export", "users", "state:active").stdout)
    assert [{name: each[name] for name in listed[0]} for each in found] == listed
    assert set(found[0]) - set(listed[0]) == {"email", "office_kind", "timezone", "currency", "removed_on"}


def test_a_file_comes_whole_and_only_its_owner_reads_it(env: Env, tmp_path: Path) -> None:
    file = tmp_path / "orders.jsonl"
    told = smartsub_json(env, "export", "orders", "-o", file)
    assert told == {"file": str(file), "format": "jsonl", "rows": len(lines(file.read_text()))}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    refused = smartsub(env, "export", "users", "-o", file, code=1).stderr
    assert "exists" in refused
    assert "--force" in refused
    assert file.read_bytes() == before
    smartsub(env, "export", "users", "-o", file, "--force", "--format", "csv")
    assert file.read_text() == smartsub(env, "export", "users", "-o", "-").stdout
    assert [each.name for each in tmp_path.iterdir() if each.suffix == ".part"] == []


def test_what_is_exported_changes_nothing_when_it_is_imported_again(env: Env, tmp_path: Path) -> None:
    smartsub(env, "sweep")
    files = [tmp_path / f"{name}.csv" for name in ("users", "removed", "orders")]
    smartsub(env, "export", "users", "-o", files[0])
    smartsub(env, "export", "users", "state:removed", "-o", files[1])
    smartsub(env, "export", "orders", "-o", files[2])
    for report in smartsub_json(env, "import", *files)["files"]:
        assert report["unchanged"] == report["rows"] > 0


def test_imported_files_come_out_as_they_went_in(tmp_path: Path) -> None:
    files, _ = write_files(tmp_path)
    env = environment(tmp_path)
    smartsub(env, "import", *files)
    for path, kind in ((files[1], "users"), (files[2], "orders")):
        with path.open(encoding="utf-8", newline="") as file:
            went_in = sorted(tuple(row.values()) for row in csv.DictReader(file))
        came_out = csv.DictReader(smartsub(env, "export", kind).stdout.splitlines())
        columns = list(csv.DictReader(path.read_text("utf-8").splitlines()).fieldnames or ())
        assert sorted(tuple(row[name] for name in columns) for row in came_out) == went_in
    assert OFFICE in smartsub(env, "export", "users").stdout


def test_the_audit_trail_is_for_an_auditor(env: Env, tmp_path: Path) -> None:
    told = smartsub(env, "export", "audit", "-o", tmp_path / "a.csv", code=4).stderr
    assert "ask an auditor" in told
    assert not (tmp_path / "a.csv").exists()
    sql = f"UPDATE admin SET role = 'auditor' WHERE name = '{process_admin()}'"
    subprocess.run(
        [sys.executable, "-c", f"import apsw; apsw.Connection({str(tmp_path / DATABASE)!r}).execute({sql!r})"],
        check=True,
    )
    found = lines(smartsub(env, "export", "audit", "--format", "jsonl").stdout)
    assert [each["at"] for each in found] == sorted(each["at"] for each in found)
    assert set(found[0]) == {
        *("at", "admin", "source", "action", "order_number", "subject", "reason", "before", "after", "request_id")
    }
    assert len(smartsub(env, "export", "audit").stdout.splitlines()) == len(found) + 1


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("people",), 2, "orders"),
        (("orders", "status:bad"), 2, "no value of status"),
        (("orders", "--sort", "nam"), 2, "did you mean 'number'?"),
        (("users", "--sort", "created"), 2, "--sort is for orders"),
        (("audit", "status:failed"), 2, "takes no FILTER"),
        (("orders", "--format", "xls"), 2, "csv"),
        (("orders", "-o", "none/o.csv"), 3, "no folder"),
        (("orders", "-o", "."), 1, "is a folder"),
        (("orders", "-o", "/dev/null", "--force"), 1, "no ordinary file"),
        (("orders", "--admin", "a-stranger"), 4, "no admin"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(env: Env, arguments: tuple[str, ...], code: int, reason: str) -> None:
    done = smartsub(env, "export", *arguments, code=code)
    assert reason in done.stderr
    assert done.stdout == ""


def test_a_reader_that_has_had_enough_is_no_error(env: Env) -> None:
    pipe = f"{SMARTSUB[0]} -m smartsub_tui export orders | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", pipe], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("order_number,")


def test_a_full_disk_is_told(env: Env) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [*SMARTSUB, "export", "orders"], env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 5
    assert "No space left on device" in done.stderr


def test_ctrl_c_leaves_no_file(env: Env, tmp_path: Path) -> None:
    """Stopped at its first page: the process tells that it is there, and waits."""
    code = (
        "import sys, time\nfrom smartsub_tui.data.files import NewFile\nwrite = NewFile.write\n"
        "def slow(file, data):\n    write(file, data)\n    print('here', flush=True)\n    while True: time.sleep(0.1)\n"
        "NewFile.write = slow\nsys.argv = ['smartsub', 'export', 'orders', '-o', 'o.csv']\n"
        "from smartsub_tui.cli import main\nmain()"
    )
    folder = tmp_path / "out"
    folder.mkdir()

    def half_done() -> None:
        assert [each.suffix for each in folder.iterdir()] == [".part"]

    stop_by_ctrl_c(code, env, folder, half_done)
    assert list(folder.iterdir()) == []


def test_before_eyes_no_name_commands_the_terminal(env: Env, tmp_path: Path) -> None:
    sql = "UPDATE office SET name = char(27) || '[2J' || char(155) || '31m'"
    subprocess.run(
        [sys.executable, "-c", f"import apsw; apsw.Connection({str(tmp_path / DATABASE)!r}).execute("
         f"{sql + ' WHERE id = 1'!r})"], check=True
    )  # fmt: skip
    assert "\x1b[2J" in smartsub(env, "export", "users").stdout
    master, slave = pty.openpty()
    with subprocess.Popen([*SMARTSUB, "export", "users"], env=env, stdout=slave) as process:
        os.close(slave)
        seen = b""
        while True:
            try:
                seen += os.read(master, 65536)
            except OSError:  # the other end has gone
                break
    os.close(master)
    assert process.returncode == 0
    assert b"\x1b" not in seen
    assert b"<U+001B>[2J<U+009B>31m" in seen
