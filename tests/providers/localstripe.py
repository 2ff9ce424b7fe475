"""localstripe, another local Stripe, as its own process on 127.0.0.1 and in an environment of its own.

It is under the GPL: not a package that smartsub or its tests depend on, and never imported by them. It knows neither
Checkout nor idempotency keys, but intents and refunds: written by others, it shows what the test provider has wrong.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from msgspec import Struct

_PACKAGES: Final = (
    "localstripe==1.15.10",
    "aiohttp==3.14.5",
    "aiohappyeyeballs==2.7.1",
    "aiosignal==1.4.0",
    "attrs==26.1.0",
    "frozenlist==1.8.0",
    "idna==3.20",
    "multidict==7.2.1",
    "propcache==0.5.4",
    "python-dateutil==4.0.0",
    "typing_extensions==4.16.0",
    "tzdata==2026.6",
    "yarl==1.25.1",
)
# As `localstripe` does it, but on one address instead of all, on a free port, and without a file of its data in /tmp.
_SERVE: Final = """
import socket
from aiohttp import web
from localstripe import resources, server
resources.Store.dump_to_disk = lambda store: None
listening = socket.create_server(("127.0.0.1", 0))
print("http://127.0.0.1:%d" % listening.getsockname()[1], flush=True)
web.run_app(server.app, sock=listening, print=None)
"""


class Localstripe(Struct, frozen=True):
    url: str
    key: str = "sk_test_localstripe"


def environment(folder: Path) -> Path:
    """The Python of an environment in `folder` that has it, made once; skips where it cannot be had, or fails in CI."""
    python, ready = folder / "bin" / "python", folder / "ready"
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        # Others of this run wait here for the first.
        fcntl.flock(lock, fcntl.LOCK_EX)
        asked = "\n".join(_PACKAGES)
        if not (python.exists() and ready.exists() and ready.read_text() == asked):
            _run(sys.executable, "-I", "-m", "venv", "--clear", folder)
            options = ("--quiet", "--no-input", "--disable-pip-version-check", "--retries", "1", "--timeout", "15")
            _run(python, "-I", "-m", "pip", "install", *options, "--no-deps", *_PACKAGES)
            ready.write_text(asked)
    return python


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = f"localstripe cannot be had: {done.stderr.strip().splitlines()[-1:]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@contextmanager
def started(python: Path) -> Iterator[Localstripe]:
    with subprocess.Popen([python, "-I", "-c", _SERVE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url, "localstripe did not start"
            yield Localstripe(url)
        finally:
            process.terminate()
