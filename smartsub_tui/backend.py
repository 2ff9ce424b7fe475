"""The one database thread: `await backend.call(function, ...)`. The interface never waits on it and never sees a model.

A read that is asked again before it has answered (the next letter of a filter) is dropped: it raises Superseded, and a
statement that is still running for it stops. What may take long (a count, a search that no index serves) is asked with
`patient`, and begins again whenever something else was asked meanwhile; or with `within`, which gives up in time.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter
from typing import Concatenate, ParamSpec, TypeVar

from smartsub_tui.billing import access
from smartsub_tui.billing.opening import open_session
from smartsub_tui.billing.profiles import Profile
from smartsub_tui.billing.providers import Answer, Call, Ended, Talk, step
from smartsub_tui.billing.session import Session
from smartsub_tui.clock import Clock
from smartsub_tui.config import Settings
from smartsub_tui.data.database import available, was_interrupted
from smartsub_tui.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")


class Superseded(Exception):
    """The answer is no longer wanted: a newer question took its place, or the application closes."""


class Backend:
    """Owns the connection and the thread that it lives in."""

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
            next_ = await self.call(go_on, await self._outside(next_))
        return next_.result

    async def _outside(self, call: Call) -> Answer:
        """What a provider answers. The application ends without waiting for it."""
        loop, heard = asyncio.get_running_loop(), Future[Answer]()

        def ask(session: Session) -> Callable[[], None]:
            def run() -> None:
                try:
                    heard.set_result(call.put_to(session.providers(call.provider)))
                except BaseException as error:
                    heard.set_exception(error)

            return run

        run = await self.call(ask)
        threading.Thread(target=run, name="provider", daemon=True).start()
        return await asyncio.wrap_future(heard, loop=loop)

    async def latest(
        self, question: str, function: Callable[Concatenate[Session, P], T], *args: P.args, **options: P.kwargs
    ) -> T:
        """As call(), for reads of which only the newest by the same `question` is wanted; else raises Superseded."""
        unwanted = self._ask(question)
        result = await self._urgent(lambda: self._read(unwanted, function, *args, **options))
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
            end = perf_counter() + seconds
            try:
                return self._read(lambda: unwanted() or perf_counter() > end, function, *args, **options)
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
                return (self._read(lambda: unwanted() or bool(self._waiting), function, *args, **options),)
            except Superseded:
                if unwanted():
                    raise
                return None

        loop, result = asyncio.get_running_loop(), None
        while result is None:
            result = await loop.run_in_executor(self._thread, read)
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
            return await asyncio.get_running_loop().run_in_executor(self._thread, run)
        finally:
            self._waiting.discard(here)  # one that is cancelled before its turn is never run

    def _read(
        self,
        unwanted: Callable[[], bool],
        function: Callable[Concatenate[Session, P], T],
        *args: P.args,
        **options: P.kwargs,
    ) -> T:
        if unwanted():
            raise Superseded
        session = self._open()
        session.database.watch(unwanted)
        try:
            return self._run(function, *args, **options)
        except Unavailable as error:
            if was_interrupted(error):
                raise Superseded from None
            raise
        finally:
            session.database.watch(None)

    def finish(self, function: Callable[[], object]) -> None:
        """Have `function` run in the database thread, behind all that was asked before, whatever becomes of the asker.

        For what has to be cleared away: a call() that is cancelled while it waits for its turn is never run.
        """
        self._thread.submit(function)

    def later(self, function: Callable[Concatenate[Session, P], object], *args: P.args, **options: P.kwargs) -> None:
        """Have `function(session, ...)` run likewise; nobody waits for it, or learns what became of it."""
        self._thread.submit(lambda: self._run(function, *args, **options))

    def close(self) -> None:
        """Stop what is being read, let what is being written finish, and close the connection."""
        self._closing = True

        def end() -> None:
            if self._session is not None:
                self._session.database.close()
                self._session = None

        self._thread.submit(end)
        self._thread.shutdown(wait=True)

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
            self._session = open_session(
                self._url,
                self._admin,
                "app",
                self.clock,
                self.settings,
                create=self._create,
                profile=self.profile,
                read_only=self._read_only,
            )
        return self._session
