"""Secrets that are planted, and the places where somebody else could read them.

What is looked at: all that a program prints or sends to its terminal, every file that it makes, its arguments, and the
arguments and environment of whatever it starts.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.journeys.material import SMARTSUB, environment
from tests.packaging.terminal import Terminal

# Wide enough for what is planted to stand in one line.
SIZE: Final = (160, 40)
_SEQUENCE: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
# Imported by every Python that has its folder on the path: writes down what it starts, and with which environment.
_HOOK: Final = """
import os, sys

def started(event, arguments):
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn"):
        given = arguments[-1] if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn") else None
        with open({file!r}, "a") as file:
            file.write(f"{{event}} {{arguments[:-1]!r}} {{dict(os.environ if given is None else given)!r}}\\n")

sys.addaudithook(started)
"""


def planted() -> str:
    """A text that stands nowhere by chance, and neither does either half of it."""
    return secrets.token_hex(16)


def is_in(secret: str, data: bytes) -> bool:
    """Whether a secret can be read in it, or half of one; between its letters may stand what a terminal is sent."""
    plain, known = _SEQUENCE.sub(b"", data), secret.encode()
    half = len(known) // 2
    parts = (known[:half], known[half:]) if len(known) >= 32 else (known,)
    return any(part in each for part in parts for each in (data, plain))


class Home:
    """Someone who works with smartsub: a home with nothing in it but what smartsub makes, and all that is to be seen.

    What smartsub is given lies in `given`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.given, self.here = folder / "home", folder / "given", folder / "home" / "here"
        hook, temporary = folder / "hook", folder / "home" / "tmp"
        for each in (self.here, self.given, hook, temporary):
            each.mkdir(parents=True)
        self._started = folder / "started"
        (hook / "sitecustomize.py").write_text(_HOOK.format(file=str(self._started)))
        self.env = environment(self.folder) | {
            "PYTHONPATH": f"{hook}:{os.getcwd()}",
            "TMPDIR": str(temporary),
            "LANG": "C.UTF-8",
        }
        self.printed = b""

    def give(self, name: str, text: str) -> Path:
        """A file for smartsub to read, which its owner alone can."""
        path = self.given / name
        path.touch(0o600)
        path.write_text(text)
        return path

    def configure(self, text: str) -> None:
        self.env["SMARTSUB_CONFIG"] = str(self.give("config.toml", text))

    def run(
        self, *arguments: str | Path, code: int | None = 0, said: str = "", program: Sequence[str] = SMARTSUB
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end; its exit code must be `code`, where that is not None."""
        done = subprocess.run(
            [*program, *map(str, arguments)],
            env=self.env,
            cwd=self.here,
            input=said.encode(),
            capture_output=True,
            check=False,
        )
        self.printed += done.stdout + done.stderr
        assert code is None or done.returncode == code, (
            f"{arguments}: {done.returncode}\n{done.stdout!r}\n{done.stderr!r}"
        )
        return done

    @contextmanager
    def terminal(self, *arguments: str, program: Sequence[str] = SMARTSUB) -> Iterator[Terminal]:
        """Run it in a terminal, whose process starts nothing and has no secret in its arguments."""
        with Terminal([*program, *arguments], cwd=self.here, env=self.env, size=SIZE) as terminal:
            yield terminal
            self.printed += terminal.output + terminal.text.encode()

    def started(self) -> list[str]:
        """What was started by it, each with its arguments and its environment."""
        return self._started.read_text().splitlines() if self._started.exists() else []

    def files(self) -> dict[str, bytes]:
        """Every file that was made, by its name within the home."""
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}

    def log(self) -> str:
        return "".join(data.decode() for name, data in self.files().items() if name.endswith("smartsub.log"))

    def places_of(self, secret: str) -> list[str]:
        """Where it can be read."""
        seen = {"output": self.printed, "what was started": "\n".join(self.started()).encode(), **self.files()}
        return [name for name, data in seen.items() if is_in(secret, data) or is_in(secret, name.encode())]


def of_process(number: int, name: str) -> bytes:
    """`cmdline`, `environ` or `limits` of a process that runs."""
    return Path(f"/proc/{number}/{name}").read_bytes()


def children_of(number: int) -> str:
    return "".join(path.read_text() for path in Path(f"/proc/{number}/task").glob("*/children"))
