"""A PostgreSQL of the benchmarks' own, on the loopback, as one is installed: with a password, and waiting for the disk.

Its programs are those of the tests (tests/postgres.py). It lies in memory where there is room, listens to nobody else,
and ends with the run. What it is measured with is made once: the file that smartsub is measured with, copied by
`smartsub copy`, and kept beside it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.data import ADMIN, Kept
from smartsub_tui.data.database import url_of
from tests.pair import free_port
from tests.postgres import OWNER, Cluster, _driver, programs

ROLE: Final = "bench"
_HOST: Final = "127.0.0.1"
_CLIENTS: Final = 200
_DATABASE: Final = "orders"


class Server(Cluster):
    """A server whose settings are PostgreSQL's own, but for how many may be connected."""

    def __init__(self) -> None:
        super().__init__(port := free_port())
        self._settings = {"listen_addresses": _HOST, "port": str(port), "max_connections": str(_CLIENTS)}
        self.password = secrets.token_hex(16)

    def url(self, name: str) -> str:
        return f"postgresql://{ROLE}@{_HOST}:{self.port}/{name}"

    def begin(self, kept: Path | None = None) -> None:
        """Start it with nothing in it, or with what an earlier one left in the folder `kept`."""
        data = self.folder / "data"
        if kept is None:
            self.make()
        else:
            shutil.copytree(kept, data)
        # Whoever else is on this machine reaches the port: nobody comes in by it without the password.
        (data / "pg_hba.conf").write_text(f"local all all trust\nhost all all {_HOST}/32 scram-sha-256\n")
        self.own(data)
        self.serve()
        with self._by_the_socket() as owner:
            known = owner.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone()
            owner.execute(f"{'ALTER' if known else 'CREATE'} ROLE {ROLE} LOGIN PASSWORD '{self.password}'")
        os.environ["PGPASSWORD"] = self.password

    def make_database(self, name: str) -> str:
        """The URL of a new database without anything."""
        with self._by_the_socket() as owner:
            owner.execute(f"CREATE DATABASE {name} OWNER {ROLE} ENCODING 'UTF8' TEMPLATE template0")
        return self.url(name)

    def settle(self, name: str) -> None:
        """Do at once what autovacuum does within minutes."""
        with self._by_the_socket(name) as owner:
            owner.execute("VACUUM ANALYZE")
            owner.execute("CHECKPOINT")

    @contextlib.contextmanager
    def _by_the_socket(self, name: str = "postgres") -> Iterator[Any]:
        with _driver().connect(
            host=str(self.folder), port=self.port, user=OWNER, dbname=name, autocommit=True
        ) as connection:
            yield connection


@contextlib.contextmanager
def running(kept: Path | None = None) -> Iterator[Server]:
    """A server for as long as it is needed; raises RuntimeError where there is none to be had, and says why."""
    server = Server()
    try:
        server.begin(kept)
        yield server
    finally:
        server.stop()
        os.environ.pop("PGPASSWORD", None)


@contextlib.contextmanager
def with_orders(kept: Kept) -> Iterator[tuple[str, str]]:
    """A server with all that the file `kept` has, settled, for as long as it is needed: the URL of the database, and
    the password.
    """
    folder = _kept_beside(kept.path)
    if not folder.exists():
        _copy(kept.path, folder)
    with running(folder) as server:
        yield server.url(_DATABASE), server.password


def _kept_beside(path: Path) -> Path:
    """Where a copy of that file is kept for this version of the server, whose files no other one reads."""
    said = subprocess.run([programs() / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    major = said.split()[-1].partition(".")[0]
    return path.with_name(f"postgresql{major}-{path.stem}")


def _copy(path: Path, folder: Path) -> None:
    for older in folder.parent.glob(f"{folder.name.rpartition('-')[0]}-*"):
        shutil.rmtree(older)
    with running() as server:
        url = server.make_database(_DATABASE)
        command = [sys.executable, "-I", "-m", "smartsub_tui", "copy", "--from", url_of(path), "--to", url]
        subprocess.run([*command, "--admin", ADMIN], check=True, stdout=subprocess.DEVNULL)
        server.settle(_DATABASE)
        server.halt()
        part = folder.with_suffix(".part")
        shutil.copytree(server.folder / "data", part)
        part.rename(folder)
