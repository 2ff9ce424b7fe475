"""The application as people start it: ./run of this clone, at a terminal and without one."""

import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from .conftest import ORDER_NUMBER, REPOSITORY, SMALL_DEMO, person
from .terminal import Terminal

pytestmark = [pytest.mark.packaging, pytest.mark.pty]

FULL_SCREEN = b"\x1b[?1049h"


@pytest.fixture(params=["with a home", "without a home"])
def env(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    return person(tmp_path if request.param == "with a home" else None)


def test_demo_opens_the_application(env: dict[str, str], tmp_path: Path) -> None:
    with Terminal([REPOSITORY / "run", *SMALL_DEMO], cwd=tmp_path, env=env) as terminal:
        terminal.wait_for("Dashboard")
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
    assert FULL_SCREEN in terminal.output


@pytest.mark.parametrize("streams", ["</dev/null", "| cat", "2>errors"])
def test_demo_prints_text_where_one_stream_is_no_terminal(streams: str, env: dict[str, str], tmp_path: Path) -> None:
    command = f'{{ "$0" {" ".join(SMALL_DEMO)}; echo $? >status; }} {streams}'
    with Terminal(["sh", "-c", command, REPOSITORY / "run"], cwd=tmp_path, env=env) as terminal:
        terminal.wait_for_exit()
    assert (tmp_path / "status").read_text() == "0\n", terminal.text
    assert len(ORDER_NUMBER.findall(terminal.output.decode())) >= 5
    assert FULL_SCREEN not in terminal.output


@pytest.mark.skipif(Path(sys.prefix) != REPOSITORY / ".venv", reason="not started by ./run: other packages are there")
def test_every_package_that_run_installs_is_pinned() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().split()
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    installed = {canonicalize_name(each.name): each.version for each in distributions()}
    for name in ("pip", "setuptools"):  # these come with Python's own ensurepip
        installed.pop(canonicalize_name(name), None)
    assert installed == pins
