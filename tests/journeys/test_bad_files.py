"""Every command on a file that is no good: one sentence that says what to do, an exit code, and the file as it was."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import apsw
import pytest

from smartsub_tui import cli
from smartsub_tui.cli import main
from tests.journeys.material import DATABASE, OFFICE, environment, smartsub, smartsub_json, write_files

Env = dict[str, str]

# What each command is called with here; {number}: an order that is to be paid, {old}: one that failed, {file}: a CSV
# file, {new}: a file that is not there, {kept}: a backup.
COMMANDS: Final = {
    "activate": "--office {office} --department Drift",
    "admin": "list",
    "again": "{old}",
    "apply": "{number}",
    "audit": "verify",
    "backup": "{new}",
    "cancel": "{number} --reason why",
    "confirm": "{number} --reference R",
    "copy": "--to sqlite:///{new}",
    "credit": "{paid} --reason why",
    "delete": "{number} --reason why",
    "doctor": "",
    "export": "orders -o {new}",
    "fail": "{number} --reason why",
    "import": "{file}",
    "invoice": "{paid} -o {new}",
    "migrate": "",
    "offices": "",
    "order": "{number}",
    "orders": "",
    "pay": "{number} --reference R",
    "refund": "{number} --reason why",
    "renew": "--office {office} --months 1",
    "restore": "{number}",
    "ssh-keys": "SHA256:x",
    "sweep": "",
    "users": "",
    "views": "",
}
# These have no database of their own to look at, or are tried on one below.
OTHERS: Final = {"billing", "demo", "init", "keys", "recover", "ssh-login", "ssh-setup"}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Env, dict[str, str]]:
    """A folder with a whole database, whoever works on it, and what the words in braces above stand for."""
    folder = tmp_path_factory.mktemp("good")
    env = environment(folder)
    files = write_files(folder)[0]
    smartsub(env, "import", *files)
    changed = folder / "users-changed.csv"
    changed.write_text(files[1].read_text("utf-8").replace("Søren", "Sören"), "utf-8")
    number = smartsub_json(env, "renew", "--office", OFFICE, "--months", "1", "user:K001")["number"]
    return (
        folder,
        env,
        {
            "office": OFFICE,
            "number": number,
            "old": "20240501100000000002",
            "paid": "20240501100000000001",
            "file": str(changed),
            "new": str(folder / "new"),
        },
    )


def test_every_command_is_tried() -> None:
    assert set(COMMANDS) | OTHERS == set(cli.COMMANDS)


def run(env: Env, folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command in a process of its own; its exit code, and what it said."""
    said = folder / "said"
    process = multiprocessing.get_context("forkserver").Process(target=_in_process, args=(env, arguments, str(said)))
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode, said.read_text("utf-8")


def _in_process(env: Env, arguments: tuple[str, ...], said: str) -> None:
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["smartsub", *arguments]
    os.dup2(os.open(said, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    main()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def replaced_by_text(path: Path) -> None:
    path.write_text("office;department;user\n" * 500)


def replaced_by_anothers(path: Path) -> None:
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE song (name TEXT)")
    other.close()


def made_by_a_newer_version(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01')")
    connection.close()


def cut_off(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flipped_in_its_schema(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for place in range(100, 400):
        content[place] ^= 0xFF
    path.write_bytes(content)


def flipped_in_every_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for place in range(4096, len(content), 4096):
        content[place] ^= 0xFF  # what kind of page it is
    path.write_bytes(content)


BAD: Final[tuple[tuple[Callable[[Path], None], str], ...]] = (
    (Path.unlink, "no database at "),
    (emptied, " is empty: smartsub recover puts a backup in its place, smartsub init makes a new one"),
    (replaced_by_text, " is not a database: name another file with --database"),
    (replaced_by_anothers, " is a database of something else: name another database"),
    (made_by_a_newer_version, " was made by a newer smartsub (it has 9999_later): update smartsub"),
    (cut_off, " is damaged: stop using it and restore a backup"),
    (flipped_in_its_schema, " is damaged: stop using it and restore a backup"),
    (flipped_in_every_page, " is damaged: stop using it and restore a backup"),
)
FOUNDED: Final = (Path.unlink, emptied)  # an import makes a database where none is


@pytest.mark.once
@pytest.mark.parametrize(("spoil", "sentence"), BAD, ids=lambda each: getattr(each, "__name__", ""))
def test_every_command_says_what_is_wrong_with_the_file_and_leaves_it(
    good: tuple[Path, Env, dict[str, str]], tmp_path: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    folder, _, words = good
    path = tmp_path / DATABASE
    shutil.copy(folder / DATABASE, path)
    spoil(path)
    before = path.read_bytes() if path.exists() else None
    wrong = {}
    for command, arguments in COMMANDS.items():
        if command == "import" and spoil in FOUNDED:
            continue
        filled = [each.format_map(words) for each in arguments.split()]
        code, said = run(environment(tmp_path), tmp_path, command, *filled)
        as_it_was = (path.read_bytes() if path.exists() else None) == before and not (folder / "new").exists()
        if not (sentence in said and said.count("\n") == 1 and code == 5 and as_it_was):
            wrong[command] = (code, said, as_it_was)
    assert not wrong, "\n".join(f"{command}: {told}" for command, told in wrong.items())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "smartsub-test", folder], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only who may mount a file system can have one that is full")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder: Path, left: int) -> Path:
    """What takes all the space but for so many bytes."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    os.truncate(filler, filler.stat().st_size - left)
    return filler


@pytest.mark.once
def test_on_a_full_disk_nothing_is_stored_and_the_same_request_is_done_when_there_is_room(
    good: tuple[Path, Env, dict[str, str]], small_disk: Path, tmp_path: Path
) -> None:
    folder, _, words = good
    shutil.copy(folder / DATABASE, small_disk)
    env = {**environment(tmp_path), "SMARTSUB_DATABASE": f"sqlite:///{small_disk / DATABASE}"}
    writes = (
        "pay {number} --reference R",
        "renew --office {office} --months 2",
        "import {file}",
        "activate --office {office} --department Drift",
    )
    before = smartsub_json(env, "orders")
    # With no room at all, then with enough to look (what processes share is 32 KiB) and not enough to write.
    for left in (0, 48 << 10):
        filler = fill(small_disk, left)
        for number, command in enumerate(writes):
            filled = [each.format_map(words) for each in command.split()]
            told = smartsub(env, *filled, "--request-id", f"r{number}", code=5).stderr
            assert "cannot grow, the disk is full: nothing was stored; make room and try again" in told, told
            assert told.count("\n") == 1
        told = smartsub(env, "backup", small_disk / "kept", code=5).stderr
        assert "disk is full" in told, told
        assert [each.name for each in small_disk.iterdir() if "kept" in each.name] == []
    assert smartsub_json(env, "orders") == before
    filler.unlink()
    for number, command in enumerate(writes):
        filled = [each.format_map(words) for each in command.split()]
        smartsub(env, *filled, "--request-id", f"r{number}")
    found = smartsub_json(env, "doctor", code=5)
    assert found["integrity"] == "every page, and every row that another names"
    assert found["free space"].startswith("WRONG: 1 MB are free")
    smartsub(env, "backup", small_disk / "kept")


@pytest.mark.once
def test_what_cp_leaves_of_a_database_in_use_is_told_and_recovered_from(
    good: tuple[Path, Env, dict[str, str]], tmp_path: Path
) -> None:
    """No process can notice that its file is written over; what is left is found by doctor, and recover helps."""
    folder, _, words = good
    path, kept = tmp_path / DATABASE, tmp_path / "kept"
    shutil.copy(folder / DATABASE, path)
    env = environment(tmp_path)
    smartsub(env, "backup", kept)
    holding = "import sys; from smartsub_tui.data.database import open_database; d = open_database(sys.argv[1]);"
    with subprocess.Popen(
        [sys.executable, "-c", f"{holding} print('open', flush=True); sys.stdin.read()", env["SMARTSUB_DATABASE"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        smartsub(env, "pay", words["number"], "--reference", "R")
        assert "is in use: end every smartsub on it first" in smartsub(env, "recover", kept, code=1).stderr
        shutil.copy(kept, copy := tmp_path / "copy")
        flipped_in_every_page(copy)
        path.write_bytes(copy.read_bytes())  # as cp does: the same file, other content
        holder.stdin.close()
    told = smartsub(env, "doctor", code=5)
    assert "is damaged: stop using it and restore a backup" in told.stderr, told.stderr
    smartsub(env, "recover", kept, "--go-back")
    assert smartsub_json(env, "doctor")["integrity"] == "every page, and every row that another names"
