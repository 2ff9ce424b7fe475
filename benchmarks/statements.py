"""What moves many rows at once, as whole processes: one large order, an import, an export, each beside bare SQLite."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import data
from benchmarks.data import ADMIN, Kept
from smartsub_tui.data.database import url_of

_PYTHON: Final = (sys.executable, "-I", "-m")
_LOOK_SECONDS: Final = 0.02
_MEGABYTE: Final = 1_000_000


class Cost(NamedTuple):
    """Of one process: seconds of a clock, seconds of a core, and megabytes at most."""

    wall: float
    core: float
    memory: float


class Statement(NamedTuple):
    """Something to run, and what has to be laid out before it, which is not measured."""

    name: str
    prepare: Callable[[], None]
    command: Sequence[str]


def statements(kept: Sequence[Kept], people: int, folder: Path) -> list[Statement]:
    """All that is measured, in the order of a round; files are made in `folder`, which has to be empty.

    The order is for so many people; what is imported are the closed orders of the first of the databases, without
    their lines; all databases are exported.
    """
    return [*_renewal(people, folder), *_import(kept[0], folder), *_exports(kept, folder)]


def run(statement: Statement, environment: Mapping[str, str]) -> Cost:
    """Prepare it, run it to its end, and say what it took; raises RuntimeError where it fails."""
    statement.prepare()
    with open(os.devnull, "w+b") as nothing:
        before = os.times()
        began = time.perf_counter()
        process = subprocess.Popen(
            statement.command,
            env=environment,
            stdin=nothing,
            stdout=nothing,
            stderr=subprocess.PIPE,
        )
        most = 0
        while process.poll() is None:
            # What the kernel says of a process that has ended counts the memory of whoever started it too.
            with suppress(OSError):
                if found := re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text()):
                    most = int(found[1]) * 1024
            time.sleep(_LOOK_SECONDS)
        wall = time.perf_counter() - began
        after = os.times()
    errors = process.communicate()[1].decode()
    if process.returncode:
        raise RuntimeError(f"{statement.name} failed: {errors}")
    core = after.children_user - before.children_user + after.children_system - before.children_system
    return Cost(wall, core, most / _MEGABYTE)


def _smartsub(database: Path, *arguments: str) -> Sequence[str]:
    return (*_PYTHON, "smartsub_tui", "--database", url_of(database), "--admin", ADMIN, *arguments)


def _bare(*arguments: str | Path) -> Sequence[str]:
    return (*_PYTHON, "benchmarks.bare", *map(str, arguments))


def _fresh(source: Path, target: Path) -> Callable[[], None]:
    """A copy of a database that nobody has open, in the place of an older one."""

    def copy() -> None:
        for end in ("", "-wal", "-shm"):
            target.with_name(target.name + end).unlink(missing_ok=True)
        shutil.copyfile(source, target)

    return copy


def _renewal(people: int, folder: Path) -> list[Statement]:
    """Renew and pay one order for everybody of an office, and the rows that stand there afterwards."""
    source, done, fresh = (folder / f"renewal-{name}.sqlite3" for name in ("source", "done", "fresh"))
    data.make(source, orders=0, offices=1, users=people)
    office = data.only_office()
    renew = ("renew", "--office", office, "--months", "12", "--pay", "manual", "--reference", "transfer 1")
    return [
        Statement("renew", _fresh(source, done), _smartsub(done, *renew)),
        Statement("renew, bare", _fresh(source, fresh), _bare("renew", done, fresh)),
    ]


def _import(kept: Kept, folder: Path) -> list[Statement]:
    """Import orders without lines into a database that knows their offices."""
    source, done, fresh = (folder / f"import-{name}.sqlite3" for name in ("source", "done", "fresh"))
    data.make(source, orders=0)
    file = folder / "orders.csv"
    data.write_csv(file, kept.path)
    return [
        Statement("import", _fresh(source, done), _smartsub(done, "import", str(file))),
        Statement("import, bare", _fresh(source, fresh), _bare("import", done, fresh)),
    ]


def _exports(kept: Sequence[Kept], folder: Path) -> list[Statement]:
    """Export all orders of each database."""
    found = []
    for each in kept:
        ours, theirs = folder / "ours.csv", folder / "theirs.csv"
        command = _smartsub(each.path, "export", "orders", "--force", "-o", str(ours))
        found += [
            Statement(f"export {each.orders}", _nothing, command),
            Statement(f"export {each.orders}, bare", _nothing, _bare("export", each.path, theirs)),
        ]
    return found


def _nothing() -> None:
    pass
