"""What goes wrong with a database on a server, and the sentences for it."""

from __future__ import annotations

from typing import Final

import peewee

from smartsub_tui.data.database import UncertainCommit, causes
from smartsub_tui.data.postgres_hosts import Passes
from smartsub_tui.data.psycopg_driver import ConnStatus, errors, psycopg

ENDED_BY_THE_SERVER: Final = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleSessionTimeout,
    errors.IdleInTransactionSessionTimeout,
)


class NotBack(peewee.OperationalError):
    """The connection was lost, and no other came about while it was waited for; says why, in a sentence of ours."""


class Busy(peewee.OperationalError):
    """Another process writes, and this one was not to wait."""


class Unreachable(psycopg.OperationalError):
    """No host of the database lets us in; says why, in a sentence of ours."""

    def __init__(self, says: str, passes: Passes) -> None:
        super().__init__(says)
        self.says, self.passes = says, passes


class TakesNoChanges(peewee.OperationalError):
    """The server no longer takes changes, and another of the URL's may."""


class Unwanted(psycopg.OperationalError):
    """A statement was ended because its watcher no longer wanted it."""


_SENTENCES: Final[tuple[tuple[type[psycopg.Error], str], ...]] = (
    (errors.LockNotAvailable, "{what} is busy: another process has been writing for too long; try again"),
    (errors.DeadlockDetected, "{what} is busy: another process was in the way; try again"),
    (errors.SerializationFailure, "{what} is busy: another process was in the way; try again"),
    (errors.QueryCanceled, "{what} took too long to answer: nothing was stored; try again"),
    (errors.DiskFull, "{what} cannot grow, the server's disk is full: nothing was stored; make room and try again"),
    (errors.TooManyConnections, "{what} has no connection left: try again in a while"),
    (errors.ReadOnlySqlTransaction, "{what} takes no changes there, as a standby: name the server that does"),
    (
        errors.InsufficientPrivilege,
        "{what} does not give this user the rights that smartsub needs ({said}): docs/postgres.md says which",
    ),
    (errors.IdleInTransactionSessionTimeout, "{what} was left waiting for too long: nothing was stored; try again"),
    (errors.ProgramLimitExceeded, "{what} keeps no name of more than 2,600 bytes: shorten it"),
    (errors.IndexCorrupted, "{what} is damaged: stop using it and restore a backup"),
    (errors.DataCorrupted, "{what} is damaged: stop using it and restore a backup"),
    (psycopg.DataError, "{what} keeps no such value ({said})"),
)


def sentence(what: str, error: BaseException) -> str:
    """What went wrong with `what`, and what to do."""
    if isinstance(error, UncertainCommit):
        return (
            f"the connection to {what} was lost while it was written: whether it was stored is not known; look, or give"
            " the same command again with its --request-id"
        )
    if isinstance(error, NotBack):
        return f"the connection to {what} was lost and none came in its place, nothing was stored: {error}"
    if isinstance(error, Busy):
        return f"{what} is busy: another process is writing; try again"
    said = next((each for each in causes(error) if isinstance(each, psycopg.Error)), None)
    for kind, words in _SENTENCES:
        if isinstance(said, kind):
            return words.format(what=what, said=said.diag.message_primary or said)
    if isinstance(said, ENDED_BY_THE_SERVER) or _is_lost(said):
        return f"the connection to {what} was lost: nothing was stored; try again"
    return f"{what} cannot be used: {' '.join(str(error).split())}"


def _is_lost(error: psycopg.Error | None) -> bool:
    if error is None or error.pgconn is None:
        return type(error) is psycopg.OperationalError  # which says that the connection is closed
    return error.pgconn.status == ConnStatus.BAD


def is_of_a_value(error: BaseException) -> bool:
    """Whether the server, or the driver, refused what was to be stored, and is well itself."""
    kinds = psycopg.DataError | psycopg.IntegrityError | errors.ProgramLimitExceeded
    return any(isinstance(each, kinds) for each in causes(error))


def was_interrupted(error: BaseException) -> bool:
    """Whether a statement ended because its watcher no longer wanted it."""
    return any(isinstance(each, Unwanted) for each in causes(error))


def is_behind(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether an error is of that kind, or one that led to it is."""
    return any(isinstance(each, kind) for each in causes(error))
