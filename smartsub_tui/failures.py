"""What nobody expected: the traceback goes to the log, without any values, and people get an id to find it by."""

from __future__ import annotations

import os
import traceback
import uuid

from smartsub_tui import paths


def unexpected(error: BaseException) -> str:
    """Log the traceback in a file that its owner alone can read, and say under which id it stands there."""
    name = uuid.uuid4().hex[:8]
    log = paths.log_file()
    if not note(f"{name}\n{''.join(traceback.format_exception(error))}"):
        return f"smartsub: an unexpected error ({type(error).__name__}), and {log} cannot be written"
    return f"smartsub: an unexpected error, {name}: what happened stands under that id in {log}"


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
