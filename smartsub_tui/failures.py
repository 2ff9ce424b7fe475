"""What nobody expected: the traceback goes to the log, without any values, and people get an id to find it by.

Of an error it has the kind and the lines that it came through, and never the message: that may hold whatever was being
worked on, a key, a PIN, an address with a password, and no list of patterns knows them all.
"""

from __future__ import annotations

import errno
import os
import traceback
import uuid
from collections.abc import Iterator

from smartsub_tui import paths


def unexpected(error: BaseException) -> str:
    """Log the traceback in a file that its owner alone can read, and say under which id it stands there."""
    name = uuid.uuid4().hex[:8]
    log = paths.log_file()
    if not note(f"{name}\n{''.join(_traceback(error))}"):
        return f"smartsub: an unexpected error ({type(error).__name__}), and {log} cannot be written"
    return f"smartsub: an unexpected error, {name}: what happened stands under that id in {log}"


def _traceback(error: BaseException) -> Iterator[str]:
    """As Python writes it, the first error first, but for messages and notes."""
    chain = [error]
    while (before := _before(chain[-1])) is not None and before not in chain:
        chain.append(before)
    for each in reversed(chain):
        if each is not chain[-1]:
            yield "\nwhich led to:\n\n"
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(each.__traceback__)
        yield f"{_kind(each)}\n"
        if isinstance(each, BaseExceptionGroup):
            for number, part in enumerate(each.exceptions, 1):
                yield f"\nof which {number} of {len(each.exceptions)} is:\n\n"
                yield from _traceback(part)


def _before(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None or error.__suppress_context__:
        return error.__cause__
    return error.__context__


def _kind(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    number = errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None
    return f"{name} ({number})" if number else name


def note(text: str) -> bool:
    """Write a line into that file; whether it could be written."""
    log = paths.log_file()
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{text}\n")
    except OSError:
        return False
    return True
