"""Lives of the application under a storm: typed at, looked at, and, where one breaks, told by the fewest events."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from smartsub_tui.data.database import open_database, url_of
from smartsub_tui.data.vocabulary import Role
from tests.journeys.material import SMARTSUB, smartsub
from tests.journeys.test_fence import log_of
from tests.packaging.terminal import Terminal
from tests.providers import Fault, pay
from tests.providers.process import Remote, started
from tests.sent import Sent
from tests.simulation import invariants
from tests.storm.events import ESCAPE, Event, Events
from tests.storm.ground import NAME, ROLES, environment, prepare
from tests.support import session_on

AT_ONCE: Final = (2, 6, 12, 40)  # events that are sent before what came back is read
BETWEEN: Final = 1_000  # events between two looks
OF_A_LIFE: Final = 4_000  # events after which it is left, and the next role begins
MOST_MEMORY: Final = 400 * 2**20  # bytes; a frame of 1000x500 is most of it
MOST_FILES: Final = 60
_PATIENCE: Final = 120.0  # seconds in which a key is answered on a machine that does other work too
_AGAIN: Final = 1.0  # seconds after which Esc is tried again: a paste without an end wants silence before it
_SEARCHED: Final = 300.0  # seconds in search of the fewest events
_LONGEST_WORK: Final = 5.0  # seconds in which it comes to rest, or nobody waits any longer
_QUIET: Final = 0.03  # seconds without a byte, and with less than _IDLE nanoseconds of work: it rests
_IDLE: Final = 5_000_000
_GONE: Final = 0


class Broken(AssertionError):
    """What must not be, in one line."""


class Seen(Struct):
    """What a storm came to."""

    events: int = 0
    lives: int = 0
    looks: int = 0
    left: int = 0  # by a key that ends it
    bytes: int = 0
    memory: int = 0  # the most, in bytes
    paid: int = 0


class Failed(Struct, frozen=True):
    """What broke, as which role, and the events from that life's start on."""

    what: str
    role: Role
    events: tuple[Event, ...]
    log: str

    @property
    def kind(self) -> str:
        """The same for what breaks in the same way: the error that was logged, else how it was told."""
        errors = [line for line in self.log.splitlines() if line[:1].isalpha() and ": " in line]
        return errors[0] if errors else self.what[:20]


class Life:
    """One process at a terminal, from its first frame on."""

    def __init__(self, folder: Path, role: Role) -> None:
        self.folder, self.role = folder, role
        command = [*SMARTSUB, "--admin", role.value, "--screen", "dashboard"]
        self.terminal = Terminal(command, cwd=folder, env=environment(folder))
        self.sent = Sent()
        self.ended = False
        self.terminal.wait_for("NEEDS YOU", _PATIENCE)
        self._take()

    def close(self) -> None:
        self.terminal.__exit__(None, None, None)

    def send(self, events: Sequence[Event]) -> bool:
        """Hand over the events; whether the application is still there."""
        for event in events:
            if isinstance(event, tuple):
                self.terminal.resize(*event)
                event = _report(*event)
            if event and not self.terminal.try_to_send(event, _PATIENCE):
                self.ended = True
                break
        self._take()
        return not self.ended

    def rest(self) -> bool:
        """Let it come to rest; whether it is still there."""
        end = time.monotonic() + _LONGEST_WORK
        ran = self._ran()
        while not self.ended and time.monotonic() < end:
            before = ran
            self.ended = not self.terminal.read(time.monotonic() + _QUIET)
            ran = self._ran()
            if ran - before < _IDLE and not self.terminal.output:
                break
            self._take()
        return not self.ended

    def _ran(self) -> int:
        """Nanoseconds for which its main thread has run."""
        try:
            return int(Path("/proc", str(self.terminal.process.pid), "schedstat").read_text().split()[0])
        except OSError:
            return _GONE

    def look(self) -> int:
        """It answers keys; returns its memory. Raises Broken where it does not, or has more than it may."""
        if not self.ended:
            self._answers()
        if self.ended:
            return _GONE
        if self.sent.wrong:
            raise Broken(f"sent to the terminal: {self.sent.wrong}")
        process = Path("/proc", str(self.terminal.process.pid))
        memory = int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        if memory > MOST_MEMORY:
            raise Broken(f"it has {memory / 2**20:.0f} MB")
        if (files := len(os.listdir(process / "fd"))) > MOST_FILES:
            raise Broken(f"it has {files} files open")
        return memory

    def _answers(self) -> None:
        """From wherever it is to the dashboard, to the payments, and back."""
        self.ended = not self.send([(80, 24)])
        end = time.monotonic() + _PATIENCE
        for key, there in (("1", True), ("3", False), ("1", True)):
            while not self.ended and self._on_dashboard() is not there:
                if time.monotonic() > end:
                    raise Broken(f"no answer to {key} in {_PATIENCE:.0f} s:\n{self.terminal.text}")
                # Its size as well: a paste without an end had that in it.
                self._type(ESCAPE * 6 + key.encode() + _report(80, 24), until=there)
                self._type(ESCAPE, until=there)  # alone, where a paste has no end
        self._take()

    def _on_dashboard(self) -> bool:
        return "NEEDS YOU" in self.terminal.text

    def _type(self, keys: bytes, *, until: bool) -> None:
        """Keys, and what they draw until it is on the dashboard, or not; or for a moment."""
        if self.ended or self._on_dashboard() is until:
            return
        self.ended = not self.terminal.try_to_send(keys, _PATIENCE)
        end = time.monotonic() + _AGAIN
        while not self.ended and self._on_dashboard() is not until and time.monotonic() < end:
            self.ended = not self.terminal.read(end)

    def end(self) -> None:
        """By its key where it is still there; how it ended must be as one that was left so."""
        end = time.monotonic() + _PATIENCE
        while not self.ended:
            if time.monotonic() > end:
                raise Broken(f"it does not end by its key within {_PATIENCE:.0f} s")
            for keys in (ESCAPE * 6 + b"1q", ESCAPE):  # alone, where a paste has no end
                self.ended = self.ended or not self.terminal.try_to_send(keys, _PATIENCE)
                moment = time.monotonic() + _AGAIN
                while not self.ended and time.monotonic() < moment:
                    self.ended = not self.terminal.read(moment)
        code = self.terminal.wait_for_exit(_PATIENCE)
        told = self.terminal.output[-600:]
        self._take()
        if code != 0:
            raise Broken(f"it ended with {code}: {told!r}")

    def _take(self) -> None:
        """What was sent is judged, and forgotten: it would fill the memory of this process."""
        self.sent.take(self.terminal.taken())


def _report(columns: int, rows: int) -> bytes:
    """What a terminal sends of its size that was asked to, and then alone counts; else it is dropped."""
    return f"\x1b[48;{rows};{columns};{rows};{columns}t".encode()


class Storm:
    """A seed's events over a database in `folder`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.seen = Seen()
        self._events = Events(seed)
        self._random = random.Random(seed)

    def run(self, count: int) -> Failed | None:
        """So many events in all; what broke, if something did."""
        with started(self.folder) as provider:
            path = prepare(self.folder, provider)
            check(path)
            place = 0
            while self.seen.events < count:
                if failed := self._live(path, provider, ROLES[place % len(ROLES)], count):
                    return failed
                place += 1
            self._check_at_the_end()
        return None

    def _live(self, path: Path, provider: Remote, role: Role, count: int) -> Failed | None:
        typed: list[Event] = []
        before = _copied(path, self.folder / "before.sqlite3")
        life = Life(self.folder, role)
        try:
            while len(typed) < OF_A_LIFE and self.seen.events < count and not life.ended:
                self._weather(provider)
                end = len(typed) + BETWEEN
                while len(typed) < end and not life.ended:
                    self._customer(provider)
                    some = [self._events.draw() for _ in range(self._random.choice(AT_ONCE))]
                    typed += some
                    # Most are typed ahead of an answer; but Esc drops what waits, and few would ever do anything.
                    if not life.send(some) or (self._random.random() < 0.7 and not life.rest()):
                        self.seen.left += 1
                        break
                    self.seen.events += len(some)  # where it ended meanwhile they are not counted
                if not life.ended:
                    self.seen.memory = max(self.seen.memory, life.look())
                    self.seen.looks += not life.ended
            life.end()
            check(path)
            if log_of(self.folder).exists():
                raise Broken("something was written into the log")
        except AssertionError as error:
            return Failed(str(error), role, tuple(typed), _log(self.folder))
        finally:
            life.close()
            self.seen.bytes += life.sent.bytes
            self.seen.lives += 1
            before.rename(self.folder / "at-start.sqlite3")
        return None

    def _weather(self, provider: Remote) -> None:
        """The provider has good days and bad ones."""
        faults = [each.value for each in Fault if not each.holds]
        bad = {"random": {"seed": self._random.randrange(1000), "rate": 0.3, "faults": faults}}
        provider.post("faults", bad if self._random.random() < 0.4 else {})

    def _customer(self, provider: Remote) -> None:
        """Meanwhile someone pays by a link that is open, or tries to."""
        links = [each["link"] for each in provider.get("sessions") if each["status"] == "open"]
        if links and self._random.random() < 0.5:
            card = self._random.choice(("ok", "ok", "declined", "delayed"))
            self.seen.paid += _paid(self._random.choice(links), card)

    def _check_at_the_end(self) -> None:
        env = environment(self.folder)
        smartsub(env, "audit", "verify", "--admin", Role.MANAGER.value)
        smartsub(env, "doctor", "--admin", Role.MANAGER.value)


def _paid(link: str, card: str) -> bool:
    try:
        return pay(link, card).status == 200
    except OSError:  # a bad day
        return False


def check(path: Path) -> None:
    """The invariants of the random lives (docs/reliability.md), on the file."""
    database = open_database(url_of(path))
    try:
        invariants.check_all(session_on(database))
    finally:
        database.close()


def _log(folder: Path) -> str:
    log = log_of(folder)
    return log.read_text("utf-8", "replace") if log.exists() else ""


def _copied(path: Path, to: Path) -> Path:
    source, target = sqlite3.connect(path), sqlite3.connect(to)
    with target:
        source.backup(target)
    source.close()
    target.close()
    return to


def shortest(failed: Failed, folder: Path) -> tuple[Event, ...]:
    """As few of the events as still break it, each time on the database as it was; all of them where none do."""
    end = time.monotonic() + _SEARCHED

    def breaks(events: Sequence[Event]) -> bool:
        with _at_start(folder) as place:
            what = ""
            life = Life(place, failed.role)
            try:
                for start in range(0, len(events), AT_ONCE[-1]):
                    if not life.send(events[start : start + AT_ONCE[-1]]):
                        break
                life.look()
                life.end()
                check(place / NAME)
            except AssertionError as error:
                what = str(error)
            finally:
                life.close()
            log = _log(place)
            return bool(what or log) and Failed(what, failed.role, (), log).kind == failed.kind

    events = failed.events
    # What broke it mostly came last.
    few = AT_ONCE[-1]
    while few < len(events):
        if breaks(events[-few:]):
            events = events[-few:]
            break
        few *= 3
    else:
        if not breaks(events):
            return failed.events
    part = max(1, len(events) // 2)
    while time.monotonic() < end:
        for start in range(0, len(events), part):
            tried = events[:start] + events[start + part :]
            if time.monotonic() < end and tried and breaks(tried):
                events = tried
                break
        else:
            if part == 1:
                break
            part //= 2
    return events


@contextmanager
def _at_start(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="smartsub-storm-") as place:
        for each in folder.iterdir():
            if each.suffix in (".csv", ".toml"):
                shutil.copy(each, place)
        shutil.copy(folder / "at-start.sqlite3", Path(place, NAME))
        yield Path(place)
