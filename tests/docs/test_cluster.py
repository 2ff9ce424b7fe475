"""docs/cluster.md, followed word by word: its commands as they stand there, on two servers of this machine.

Other than there are only addresses, ports and folders, that the accounts of this machine are trusted where the page has
`peer`, and that files are carried from one folder to the other by hand. The wheel's PostgreSQL has no TLS: by it the
page is followed without, and with TLS by SMARTSUB_TEST_POSTGRES_PROGRAMS=/usr/lib/postgresql/NN/bin. The part about
PgBouncer is left out where tests/billing/test_pgbouncer.py is skipped.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from tests import postgres
from tests.billing.test_pgbouncer import IS_ASKED, PROGRAM
from tests.pair import free_port, needs_a_pair
from tests.postgres import until

pytestmark = [pytest.mark.postgres, pytest.mark.once, needs_a_pair]

PAGE: Final = Path(__file__).parents[2] / "docs" / "cluster.md"
WAITS: Final = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
_WITHOUT_TLS: Final = {
    "ssl = on": "ssl = off",
    "hostssl": "host",
    "sslmode=verify-full": "sslmode=disable",
    "client_tls_sslmode = require": "client_tls_sslmode = disable",
}
_SMARTSUB: Final = f'#!/bin/sh\nexec {sys.executable} -m smartsub_tui "$@"\n'


def blocks() -> dict[str, list[tuple[list[str], str]]]:
    """By heading: the commands of each block, and on which machines they are to be given."""
    found: defaultdict[str, list[tuple[list[str], str]]] = defaultdict(list)
    heading = paragraph = ""
    parts = re.split(r"^```(\w*)\n(.*?)^```\n", PAGE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for place in range(0, len(parts) - 1, 3):
        prose, language, text = parts[place : place + 3]
        for each in prose.strip().split("\n\n"):
            heading = each.lstrip("# ") if each.startswith("#") else heading
            paragraph = each
        assert language == "sh"
        where = re.findall(r"\b[Oo]n (?:each )?\*\*([^*]+)\*\*", paragraph)
        assert where, f"where to give this is not said: {text}"
        found[heading].append((where, text))
    return found


class Machine:
    """A folder as a home, and what is said there."""

    def __init__(self, name: str, home: Path, words: dict[str, str], account: dict[str, Any], programs: Path) -> None:
        self.name, self.home, self._words, self._account = name, home, words, account
        self._path = f"{programs}:{os.environ['PATH']}"

    def start(self, text: str) -> subprocess.Popen[str]:
        """Begin to give commands, as they stand on the page."""
        for word, here in self._words.items():
            text = text.replace(word, here)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "SMARTSUB_", "XDG_"))}
        return subprocess.Popen(
            ["sh", "-eu", "-c", f"if [ -f ~/.profile ]; then . ~/.profile; fi\n{text}"],
            env={**kept, "HOME": str(self.home), "PATH": self._path, "LC_ALL": "C.UTF-8"},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **self._account,
        )

    def say(self, text: str) -> str:
        """What they print; none of them may fail."""
        with self.start(text) as process:
            told, said = process.communicate(timeout=120)
        log = self.home / "log"
        assert process.returncode == 0, f"{self.name}: {text}\n{told}{said}{log.read_text() if log.exists() else ''}"
        return told

    def asks(self, sql: str) -> bool:
        """Whether its server finds a row."""
        return bool(self.say(f'psql -Atc "{sql}"').strip())

    def loses_power(self) -> None:
        server = int((self.home / "cluster" / "postmaster.pid").read_text().split()[0])
        postgres.kill(server)
        # A server that is started asks whether the one of its lock file is there: on a machine that was off it is not.
        until(lambda: not Path(f"/proc/{server}").exists(), "whoever ends what has no parent any more")

    def end(self) -> None:
        for pid in (self.home / "pgbouncer.pid", self.home / "cluster" / "postmaster.pid"):
            with suppress(OSError, ValueError):
                postgres.kill(int(pid.read_text().split()[0]))


class Company:
    """The machines of the page, and which of the two servers takes changes."""

    def __init__(self, machines: dict[str, Machine]) -> None:
        self.a, self.b, self.w = (machines[name] for name in "ABW")
        self._machines = machines
        self.takes_changes, self.other = self.a, self.b
        self.blocks = blocks()

    def follow(self, heading: str, *places: int) -> str:
        """Give the commands of a part of the page, or some of its blocks; what was printed last."""
        told = ""
        for where, text in [self.blocks[heading][place] for place in places] if places else self.blocks[heading]:
            for name in where:
                told = self._named(name).say(text)
        return told

    def _named(self, name: str) -> Machine:
        by_role = {"the server that takes changes": self.takes_changes, "the one that comes back": self.other}
        return by_role.get(name) or self._machines[name]

    def promote_other(self) -> None:
        """As the page has it of B: the same commands on whichever it is."""
        ((where, text),) = self.blocks["When A is lost"]
        assert where == ["B"]
        self.other.say(text)
        self.takes_changes, self.other = self.other, self.takes_changes

    def are_in_step(self) -> None:
        """The last command of step 6, said again until it shows what the page says that it shows."""
        row = rf"\b{self.other.name.lower()} +\| streaming +\| sync\b"
        last = self.blocks["6. In step"][0][1].splitlines()[-1]
        until(lambda: re.search(row, self.takes_changes.say(last)), "both in step")


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    with made(tmp_path) as company:
        yield company


@contextmanager
def made(folder: Path) -> Iterator[Company]:
    office = folder / "office"
    (office / "bin").mkdir(parents=True)
    (office / "etc").mkdir()
    (office / "bin" / "smartsub").write_text(_SMARTSUB)
    (office / "bin" / "smartsub").chmod(0o755)
    servers = [postgres.Cluster(), postgres.Cluster()]  # for their folders, and who their programs run as
    programs = servers[0].bin
    everywhere = {
        "10.0.0.": "127.0.0.",
        "5432": str(free_port("127.0.0.1", "127.0.0.2")),
        "6432": str(free_port("127.0.0.1", "127.0.0.2")),
        "/usr/lib/postgresql/18/bin": str(programs),
        "/etc/smartsub": str(office / "etc"),
        "--auth-local=peer": "--auth-local=trust",
        " peer\n": " trust\n",
        "pgbouncer -d": f"{PROGRAM} -d",
    }
    built = subprocess.run([programs / "pg_config", "--configure"], capture_output=True, text=True, check=True).stdout
    if not re.search(r"--with-(ssl|openssl)", built):
        everywhere |= _WITHOUT_TLS
    machines = {"W": Machine("W", office, everywhere, {}, Path(f"{office / 'bin'}:{programs}"))}
    for name, server in zip("AB", servers, strict=True):
        run = server.folder / "run"
        run.mkdir()
        if server.account:
            os.chown(run, server.account["user"], server.account["group"])
        here = {"/var/lib/postgresql": str(server.folder), "/run/postgresql": str(run)}
        machines[name] = Machine(name, server.folder, everywhere | here, server.account, programs)
    try:
        yield Company(machines)
    finally:
        for name in "AB":
            machines[name].end()
        for server in servers:
            server.stop()


def set_up(company: Company) -> None:
    for heading in ("1. What the machines are called", "2. TLS"):
        company.follow(heading)
    for machine, address in ((company.a, "127.0.0.1"), (company.b, "127.0.0.2")):
        for name in ("server.key", "server.crt", "ca.crt"):
            carried = machine.home / name
            shutil.copy(company.w.home / address / name, carried)
            shutil.copystat(machine.home, carried)
            carried.chmod(0o600)
            owner = machine.home.stat()
            os.chown(carried, owner.st_uid, owner.st_gid)
    shutil.copy(company.w.home / "ca.crt", company.w.home / "etc")
    for heading in ("3. The first server", "4. smartsub", "5. The second server", "6. In step"):
        company.follow(heading)
    company.are_in_step()


def add_admin(company: Company, name: str) -> subprocess.Popen[str]:
    """Somebody's command that changes something, until it is waited for."""
    return company.w.start(f"smartsub admin add {name} --role viewer --request-id {name}")


def is_done(process: subprocess.Popen[str]) -> None:
    told, said = process.communicate(timeout=60)
    assert process.returncode == 0, told + said


def test_the_page_holds_word_by_word(company: Company) -> None:
    set_up(company)
    company.w.say("smartsub doctor")
    is_done(add_admin(company, "before"))

    # When A is lost: who works meanwhile waits, says so, and goes on with B.
    company.a.loses_power()
    process = add_admin(company, "meanwhile")
    assert process.stderr is not None
    assert process.stderr.readline() == "smartsub: waiting for the database\n"
    company.promote_other()
    is_done(process)

    # Bringing a server back, by what it has. It was started in another way, and somebody came to it first: that is not
    # called done there, and done once by the other.
    bring_back = "Bringing a server back"
    company.other.say("pg_ctl start -w -l ~/log")
    process = add_admin(company, "astray")
    until(lambda: company.other.asks(WAITS), "a change that nobody takes")
    company.other.say("pg_ctl stop -m immediate")
    is_done(process)
    company.follow(bring_back, 0, 1, 3)
    company.are_in_step()

    # When B is lost, or here A: a change waits, and goes on once nobody is waited for.
    company.other.loses_power()
    process = add_admin(company, "alone")
    until(lambda: company.takes_changes.asks(WAITS), "a change that waits for the other server")
    ((where, text),) = company.blocks["When B is lost"]
    assert where == ["A"]
    company.takes_changes.say(text)
    is_done(process)

    # And copied anew.
    company.follow(bring_back, 0, 2, 3)
    company.are_in_step()

    # Changing places.
    company.follow("Changing places")
    company.promote_other()
    is_done(add_admin(company, "behind"))
    company.follow(bring_back, 0, 1, 3)
    company.are_in_step()

    # Backups: the same head before and behind.
    told = company.follow("Backups", 0)
    (head,) = re.findall(r"\b[0-9a-f]{64}\b", told)
    assert head in company.follow("Backups", 1, 2)

    if IS_ASKED:
        behind_pgbouncer(company)
    told = company.w.say("smartsub admin list")
    for name in ("before", "meanwhile", "astray", "alone", "behind"):
        assert told.count(name) == 1


def behind_pgbouncer(company: Company) -> None:
    company.follow("PgBouncer in between")
    profile = company.w.home / ".profile"
    port, other = (company.w._words[each] for each in ("5432", "6432"))
    profile.write_text(profile.read_text().replace(port, other))
    is_done(add_admin(company, "through"))
    company.takes_changes.loses_power()
    process = add_admin(company, "next")
    company.promote_other()
    is_done(process)
    assert company.w.say("smartsub admin list").count("next") == 1


def test_the_page_names_what_there_is() -> None:
    text = PAGE.read_text("utf-8")
    for page, anchor in re.findall(r"\]\((\w+\.md)(?:#([\w-]+))?\)", text):
        headings = re.findall(r"^#+ (.*)$", (PAGE.parent / page).read_text("utf-8"), re.MULTILINE)
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}
