"""The wheel: what is in it, and that the application runs from it, installed where no clone is."""

import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

import smartsub_tui

from .conftest import ORDER_NUMBER, REPOSITORY, SMALL_DEMO
from .terminal import Terminal

pytestmark = [pytest.mark.packaging, pytest.mark.long]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        folder,
        REPOSITORY,
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that has the wheel and its pinned dependencies, nothing else."""
    folder = tmp_path_factory.mktemp("installed") / "env"
    venv.create(folder, with_pip=True)
    pip: list[str | Path] = [
        folder / "bin" / "python",
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    pinned = [*pip, "--constraint", REPOSITORY / "constraints.txt", wheel]
    done = subprocess.run(pinned, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "bin"


def test_holds_every_module_the_stylesheet_and_the_fonts_and_no_tests(wheel: Path) -> None:
    modules = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "smartsub_tui").rglob("*.py")}
    fonts = {f"smartsub_tui/fonts/{name}" for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "LICENSE")}
    names = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names >= modules | fonts | {"smartsub_tui/smartsub.tcss"}
    assert {name.split("/")[0] for name in names} == {"smartsub_tui"}


def test_tells_its_version(installed: Path, at_home: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [installed / "smartsub", "--version"], cwd=tmp_path, env=at_home, capture_output=True, text=True, check=True
    )
    assert smartsub_tui.__version__ in done.stdout


def test_demo_prints_text_without_a_terminal(installed: Path, at_home: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [installed / "smartsub", *SMALL_DEMO],
        cwd=tmp_path,
        env=at_home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(ORDER_NUMBER.findall(done.stdout)) >= 5


@pytest.mark.pty
def test_demo_opens_the_application(installed: Path, at_home: dict[str, str], tmp_path: Path) -> None:
    with Terminal([installed / "smartsub", *SMALL_DEMO], cwd=tmp_path, env=at_home) as terminal:
        terminal.wait_for("Dashboard")
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
