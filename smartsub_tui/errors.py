"""What can go wrong in a way that a person can act on: one sentence, and the exit code of the command line.

Every message says what is wrong and what to do, in plain words, and never holds a secret.
"""

from __future__ import annotations

from typing import ClassVar


class SmartsubError(Exception):
    """Base of all expected errors."""

    exit_code: ClassVar[int] = 1

    @property
    def message(self) -> str:
        return str(self.args[0]) if self.args else ""


class Refused(SmartsubError):
    """A rule forbids it: nothing was changed."""

    exit_code = 1


class WrongUsage(SmartsubError):
    """The words of a command, a filter or a setting are wrong."""

    exit_code = 2


class NotFound(SmartsubError):
    """What was named does not exist."""

    exit_code = 3


class NotAllowed(SmartsubError):
    """The admin's role does not permit it."""

    exit_code = 4


class AboveLimit(NotAllowed):
    """It is more money than the admin may take for one order; for another they may."""


class Unavailable(SmartsubError):
    """The database or a provider cannot be used right now, or at all."""

    exit_code = 5

    def behind_the_first(self) -> Unavailable:
        """The same, told of a step that is not the first: those before it are stored."""
        return Unavailable(self.message.replace("nothing was stored", "what was begun before is stored"))
