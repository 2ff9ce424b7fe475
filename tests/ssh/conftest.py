"""The sshd of these tests: one for each process that runs them, for its set-up takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ssh.sshd import Sshd, set_up


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    with set_up() as made:
        yield made
