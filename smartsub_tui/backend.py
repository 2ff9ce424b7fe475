"""The one database thread: `await backend.call(function, ...)`. The interface never waits on it and never sees a model.

A read that is asked again before it has answered (the next letter of a filter) is dropped: it raises Superseded, and a
statement that is still running for it stops. What may take long (a count, a search that no index serves) is asked with
`patient`, and begins again whenever something else was asked meanwhile; or with `within`, which gives up in time.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from smartsub_tui.billing import access
from smartsub_tui.billing.opening import open_session
from smartsub_tui.billing.profiles import Profile
from smartsub_tui.billing.providers import Abandoned, Answer, Call, Ended, Talk, abandon, step
from smartsub_tui.billing.session import Session
from smartsub_tui.clock import Clock
from smartsub_tui.config import Settings
from smartsub_tui.data.database import Patience, available, was_interrupted
from smartsub_tui.errors import SmartsubError, Unavailable

_SILENT: Final = 0.5  # seconds that nobody is told of
_QUESTIONS: Final = 4  # that a page of a list is read by: their way to a server is not its time
_AT_THE_END: Final = 1.0  # seconds for what nobody waits for
P = ParamSpec("P")
T = TypeVar("T")


class Superseded(Exception):
    """The answer is no longer wanted: a newer question took its place, or the application closes."""


class _Waiting(Patience):
    """Waits for a database that is away for as long as its answer is wanted, and lets it be seen."""

    def __init__(self, goes_on: Callable[[], bool], tell: Callable[[bool], object]) -> None:
        self._goes_on, self._tell = goes_on, tell
        self._away = False

    def goes_on(self, away: float) -> bool:
        if not self._away and away >= _SILENT:
            self._away = True
            self._tell(True)
        return self._goes_on()

    def is_over(self) -> None:
        if self._away:
            self._away = False
            self._tell(False)


class Backend:
    """Owns the connection and the thread that it lives in.

    Where the database is away, whatever is asked waits in that thread until it is back, or until its answer is no
    longer wanted; a question that is only told to have little time waits as well.
    """

    def __init__(
        self,
        url: str,
        admin: str,
        settings: Settings,
        clock: Clock,
        *,
        create: bool = False,
        profile: Profile = Profile.OPEN,
        read_only: bool = False,
    ) -> None:
        """Nothing is opened before something is asked; with `create` a database that is missing is made then."""
        self._url, self._admin, self._create, self._read_only = url, admin, create, read_only
        self.settings, self.clock, self.profile = settings, clock, profile
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        self._session: Session | None = None
        self._allowed_at: int | None = None  # the state of the database in which the admin was found to be one
        self._newest: dict[str, int] = {}
        self._waiting: set[object] = set()  # asked, not begun, and not patient
        self._closing = False
        self._ends_at: float | None = None
        self._wake: tuple[socket.socket, socket.socket] | None = None  # what ends hear(), where something is asked
        self._wanted: Callable[[], bool] = lambda: True  # what the thread is at
        self._ended = asyncio.Event()
        self.tell_away: Callable[[bool], object] = lambda away: None  # in the thread: the database is away, or back

    def begin(self, function: Callable[[Session], T]) -> Future[T]:
        """Have `function(session)` run from now on, before there is a loop that could wait for it."""
        return self._thread.submit(self._run, function)

    async def call(self, function: Callable[Concatenate[Session, P], T], *args: P.args, **options: P.kwargs) -> T:
        """The result of `function(session, ...)`, run in the database thread to its end. For writes."""
        return await self._urgent(lambda: self._run(function, *args, **options))

    async def talk(self, function: Callable[Concatenate[Session, P], Talk[T]], *args: P.args, **options: P.kwargs) -> T:
        """The result of a talk with a provider: its own steps as call(), its calls in threads of their own meanwhile.

        Whoever is cancelled while a call is under way does not hear its answer; it is asked for again then.
        """
        talk = await self.call(function, *args, **options)

        def go_on(session: Session, answer: Answer | None) -> Call | Ended[T]:
            return step(session.database, talk, answer)

        next_ = await self.call(go_on, None)
        while not isinstance(next_, Ended):
            try:
                answer = await self._outside(next_)
            except Abandoned as error:
                await self.call(_abandon, talk, error)
                raise
            next_ = await self.call(go_on, answer)
        return next_.result

    async def _outside(self, call: Call) -> Answer:
        """What a provider answers; raises Abandoned where the application ends, which does not wait for it."""
        loop, heard = asyncio.get_running_loop(), Future[Answer]()

        def ask(session: Session) -> Callable[[], None]:
            def run() -> None:
                try:
                    heard.set_result(call.put_to(session.providers(call.provider)))
                except BaseException as error:
                    heard.set_exception(error)

            return run

        run = await self.call(ask)
        if not self._closing:
            threading.Thread(target=run, name="provider", daemon=True).start()
        answer = asyncio.ensure_future(asyncio.wrap_future(heard, loop=loop))
        ends = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((answer, ends), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ends.cancel()
        if not answer.done():
            raise Abandoned(
                f"{call.provider.label} had not answered when smartsub ended: what came of it is asked again by itself"
            )
        return answer.result()

    async def latest(
        self, question: str, function: Callable[Concatenate[Session, P], T], *args: P.args, **options: P.kwargs
    ) -> T:
        """As call(), for reads of which only the newest by the same `question` is wanted; else raises Superseded."""
        unwanted = self._ask(question)
        result = await self._urgent(lambda: self._read(unwanted, unwanted, None, function, *args, **options))
        if unwanted():
            raise Superseded
        return result

    async def within(
        self,
        seconds: float,
        question: str,
        function: Callable[Concatenate[Session, P], T],
        *args: P.args,
        **options: P.kwargs,
    ) -> T | None:
        """As latest(), for at most so many seconds of the database's time: None where it takes longer."""
        unwanted = self._ask(question)

        def read() -> T | None:
            try:
                return self._read(unwanted, unwanted, seconds, function, *args, **options)
            except Superseded:
                if unwanted():
                    raise
                return None

        result = await self._urgent(read)
        if unwanted():
            raise Superseded
        return result

    async def patient(
        self, question: str, function: Callable[Concatenate[Session, P], T], *args: P.args, **options: P.kwargs
    ) -> T:
        """As latest(), for reads that take long: they make way for whatever else is asked, then begin again."""
        unwanted = self._ask(question)

        def read() -> tuple[T] | None:
            if self._waiting and not unwanted():
                return None
            try:
                makes_way = lambda: unwanted() or bool(self._waiting)  # noqa: E731
                return (self._read(unwanted, makes_way, None, function, *args, **options),)
            except Superseded:
                if unwanted():
                    raise
                return None

        loop, result = asyncio.get_running_loop(), None
        while result is None:
            result = await asyncio.wrap_future(self._submit(read), loop=loop)
            if unwanted():
                raise Superseded
        return result[0]

    def _ask(self, question: str) -> Callable[[], bool]:
        """Whether what is asked now is no longer wanted."""
        mine = self._newest[question] = self._newest.get(question, 0) + 1
        return lambda: self._closing or self._newest[question] != mine

    async def _urgent(self, read: Callable[[], T]) -> T:
        """The result of `read` from the database thread, before what is patient."""

        here = object()

        def run() -> T:
            self._waiting.discard(here)
            return read()

        self._waiting.add(here)
        try:
            return await asyncio.wrap_future(self._submit(run))
        finally:
            self._waiting.discard(here)  # one that is cancelled before its turn is never run

    def _read(
        self,
        unwanted: Callable[[], bool],
        stops: Callable[[], bool],
        seconds: float | None,
        function: Callable[Concatenate[Session, P], T],
        *args: P.args,
        **options: P.kwargs,
    ) -> T:
        """The result of a read, which `stops` ends, or the database's time that it may take, in `seconds`; where it is
        `unwanted`, nobody waits for the database either.
        """
        if stops():
            raise Superseded
        self._wanted = lambda: not unwanted()
        try:
            session, until = self._open(), None
            if seconds is not None:
                until = perf_counter() + seconds + _QUESTIONS * session.database.round_trip
                if perf_counter() > until:
                    raise Superseded
            session.database.watch(stops, until)
            try:
                return self._run(function, *args, **options)
            finally:
                session.database.watch(None)
        except Unavailable as error:
            if was_interrupted(error) or unwanted():
                raise Superseded from None
            raise
        finally:
            self._wanted = lambda: True

    @property
    def hears(self) -> bool:
        """Whether what others change is heard of; else it has to be asked for. Known with the first answer."""
        return self._wake is not None

    async def hear(self) -> bool:
        """Wait until somebody else has changed something, where that `hears`; false where something else was asked.

        The database is asked nothing meanwhile.
        """

        def run() -> bool:
            session = self._open()
            return self._wake is not None and session.database.hear(self._wake[0].fileno())

        return await asyncio.wrap_future(self._thread.submit(run))

    def _submit(self, run: Callable[[], T]) -> Future[T]:
        submitted = self._thread.submit(run)
        if self._wake is not None:
            with suppress(BlockingIOError):  # so many are waiting to be read
                self._wake[1].send(b".")
        return submitted

    def finish(self, function: Callable[[], object]) -> None:
        """Have `function` run in the database thread, behind all that was asked before, whatever becomes of the asker.

        For what has to be cleared away: a call() that is cancelled while it waits for its turn is never run.
        """
        self._submit(function)

    def later(self, function: Callable[Concatenate[Session, P], object], *args: P.args, **options: P.kwargs) -> None:
        """Have `function(session, ...)` run likewise; nobody waits for it, or learns what became of it. It is not worth
        waiting for at the end either.
        """

        def run() -> None:
            with suppress(Superseded, SmartsubError):
                self._read(lambda: False, self._is_over, None, function, *args, **options)

        self._submit(run)

    def _is_over(self) -> bool:
        return self._ends_at is not None and perf_counter() > self._ends_at

    def end(self) -> None:
        """From now on nothing is read any more, and neither a database that is away nor a provider is waited for; what
        is to be written still is.
        """
        self._closing = True
        self._ends_at = self._ends_at or perf_counter() + _AT_THE_END
        self._ended.set()

    def close(self) -> None:
        """Stop what is being read, let what is being written finish, and close the connection."""
        self.end()

        def end() -> None:
            if self._session is not None:
                self._session.database.close()
                self._session = None

        self._submit(end)
        self._thread.shutdown(wait=True)
        for end_ in self._wake or ():
            end_.close()
        self._wake = None

    def _run(self, function: Callable[Concatenate[Session, P], T], *args: P.args, **options: P.kwargs) -> T:
        session = self._open()
        with available():
            self._check(session)
            return function(session, *args, **options)

    def _check(self, session: Session) -> None:
        """Raise NotAllowed where the admin may no more, and hide what they may not see: asked again whenever another
        process has changed something.
        """
        seen = session.database.data_version()
        if seen != self._allowed_at:
            access.check(session.admin, access.Permission.READ)
            access.see_as(session.database, session.admin)
            self._allowed_at = seen

    def _open(self) -> Session:
        if self._session is None:
            session = open_session(
                self._url,
                self._admin,
                "app",
                self.clock,
                self.settings,
                create=self._create,
                profile=self.profile,
                read_only=self._read_only,
                patience=_Waiting(lambda: not self._closing and self._wanted(), lambda away: self.tell_away(away)),
            )
            try:
                with available():
                    hears = session.database.listen()
            except BaseException:
                session.database.close()
                raise
            self._session = session
            if hears:
                self._wake = socket.socketpair()
                self._wake[1].setblocking(False)
        return self._session


def _abandon(_: Session, talk: Talk[Any], error: Abandoned) -> None:
    abandon(talk, error)
