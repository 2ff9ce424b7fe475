"""Two servers, one of which follows the other and takes its place when that is gone: what docs/cluster.md sets up.

Both listen on 127.0.0.1. What is committed is on both, where the second is asked to be in step.
"""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from random import Random
from types import TracebackType
from typing import Any, Final, Self

import pytest

from smartsub_tui.data.database import Database, open_database
from tests import postgres
from tests.postgres import until

# Under the ports that a system gives to those who call: none of these may sit on one while its server is down.
_PORTS: Final = range(20_000, 32_000)
_SETTINGS: Final = {
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_retrieve_retry_interval": "100ms",
    "dynamic_shared_memory_type": "mmap",  # in the folder of the data: what is killed leaves it nowhere else
}
NEEDED: Final = ("initdb", "postgres", "pg_basebackup", "pg_ctl", "pg_rewind")


def missing() -> str | None:
    """Why there can be no pair here; None where there can."""
    if not sys.platform.startswith("linux"):
        return "how all processes of a server are killed is known for Linux alone"
    lacks = [name for name in NEEDED if not (postgres.programs() / name).is_file()]
    return f"of PostgreSQL's programs these are not here: {', '.join(lacks)}" if lacks else None


needs_a_pair: Final = pytest.mark.skipif(missing() is not None, reason=missing() or "")


class Pair:
    """The servers `primary` and `standby`, which change their places."""

    def __init__(self) -> None:
        # Two names, by which each tells the other who it is.
        self._names: dict[postgres.Cluster, str] = {}
        for name in ("a", "b"):
            server = postgres.Cluster(free_port(), {**_SETTINGS, "cluster_name": name})
            self._names[server] = name
        self.primary, self.standby = self._names
        self._hosts = ",".join(f"127.0.0.1:{each.port}" for each in self._names)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._names:
            each.stop()

    def url(self, options: str = "") -> str:
        """The URL of both, as the role that only works with the tables."""
        return f"postgresql://{postgres.WORKER}@{self._hosts}/postgres{options}"

    def begin(self, fill: Callable[[Database], object], *, in_step: bool = True) -> None:
        """Make and start both, with the tables and what `fill` puts into them."""
        self.primary.make()
        # pg_rewind recovers a killed server first, by the settings of its file alone: what it then needs must be kept.
        with (self.primary.data / "postgresql.conf").open("a") as settings:
            settings.write(
                "wal_keep_size = 1GB\nwal_log_hints = on\n"
            )  # before 18 there are no sums of pages by default
        self.primary.serve()
        tell(self.primary, f"CREATE ROLE {postgres.WORKER} LOGIN")
        owner = postgres.url("postgres", folder=self.primary.folder) + f"&port={self.primary.port}"
        with closing(open_database(owner, create=True)) as database:
            database.grant(postgres.WORKER)
            fill(database)
        self.copy_anew()
        if in_step:
            self.keep_in_step()

    def copy_anew(self) -> None:
        """Make the standby as a copy of the primary, whatever it was."""
        data = self.standby.data
        if data.exists():
            for each in data.iterdir():  # the folder stays: by it what the killed server left in memory is found
                shutil.rmtree(each) if each.is_dir() else each.unlink()
        self.standby.run(
            "pg_basebackup", "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", self._way()
        )
        self._follow()

    def rewind(self) -> None:
        """Make the standby of what was the primary: take back what it alone has, and fetch what it has not."""
        tell(self.primary, "CHECKPOINT")
        self.standby.run("pg_rewind", "-D", self.standby.data, "-R", "--no-sync", f"--source-server={self._way()}")
        self._follow()

    def _way(self) -> str:
        return f"host=127.0.0.1 port={self.primary.port} user={postgres.OWNER} dbname=postgres"

    def _follow(self) -> None:
        self.standby.serve()
        until(lambda: ask(self.primary, "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"), "the standby")

    def keep_in_step(self) -> None:
        """From now on nothing is committed before the standby has it."""
        set_(self.primary, "synchronous_standby_names", self._names[self.standby])
        until(lambda: ask(self.primary, "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"), "the standby")

    def promote(self) -> None:
        """Let the standby take the place of the primary; it waits for nobody then."""
        set_(self.standby, "synchronous_standby_names", None)
        self.standby.run("pg_ctl", "promote", "-D", self.standby.data, "-w", "-t", "60")
        self.primary, self.standby = self.standby, self.primary

    def take_no_changes(self) -> None:
        """Let the primary go on, and take no more changes."""
        set_(self.primary, "default_transaction_read_only", "on")


def tell(server: postgres.Cluster, sql: str) -> None:
    with closing(server.connect()) as connection:
        connection.execute(sql)


def ask(server: postgres.Cluster, sql: str) -> Any:
    """The first value of the first row; None where there is none."""
    with closing(server.connect()) as connection:
        found = connection.execute(sql).fetchone()
        return None if found is None else found[0]


def set_(server: postgres.Cluster, name: str, value: str | None) -> None:
    """Give a server a setting for all of its sessions, or take it back, and wait until it is in force."""
    tell(server, f"ALTER SYSTEM RESET {name}" if value is None else f"ALTER SYSTEM SET {name} = '{value}'")
    tell(server, "SELECT pg_reload_conf()")
    until(lambda: ask(server, f"SELECT setting FROM pg_settings WHERE name = '{name}'") == (value or ""), name)


@contextmanager
def pair(fill: Callable[[Database], object], *, in_step: bool = True) -> Iterator[Pair]:
    with Pair() as made:
        made.begin(fill, in_step=in_step)
        yield made


def free_port(*addresses: str) -> int:
    """One on which nobody listens, at each of these addresses."""
    drawn = Random()
    while True:
        port = drawn.choice(_PORTS)
        with suppress(OSError):
            for address in addresses or ("127.0.0.1",):
                with closing(socket.socket()) as tried:
                    tried.bind((address, port))
            return port
