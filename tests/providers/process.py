"""The test provider as its own process, from a test: for applications in a terminal, and for many processes."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

_REPOSITORY: Final = Path(__file__).resolve().parents[2]


class Remote(Struct, frozen=True):
    """`key_file` holds `key`, and only its owner may read it."""

    url: str
    key: str
    key_file: Path

    def get(self, name: str) -> Any:
        """What /test/NAME tells: "charges", "sessions", "intents", "refunds", "requests"."""
        return self._ask("GET", name, None)

    def post(self, name: str, body: dict[str, Any] | None = None) -> Any:
        """What /test/NAME does: "faults", "release", "clock", "settle", "refunds", "forget", "notice"."""
        return self._ask("POST", name, json.dumps(body or {}))

    def paid(self) -> list[dict[str, Any]]:
        """The charges that took money, oldest first."""
        return [charge for charge in self.get("charges") if charge["status"] == "succeeded"]

    def _ask(self, method: str, name: str, body: str | None) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        try:
            connection.request(method, f"/test/{name}", body)
            with connection.getresponse() as response:
                answer = json.loads(response.read())
                assert response.status == 200, answer
                return answer
        finally:
            connection.close()


@contextmanager
def started(folder: Path) -> Iterator[Remote]:
    """The provider in a process of its own, which ends with the block; its key is in a file in `folder`."""
    key_file = folder / "test-provider.key"
    command = [sys.executable, "-m", "tests.providers", "--key-file", str(key_file)]
    with subprocess.Popen(command, cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url, "the test provider did not start"
            yield Remote(url, key_file.read_text().strip(), key_file)
        finally:
            process.terminate()
