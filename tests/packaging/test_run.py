"""./run, the one set-up: the script itself, in clones whose application is four lines and whose packages are small.

Their packages come from a folder, named by the caller's own pip settings, so nothing here needs a network.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any
from zipfile import ZipFile

import pytest

from .conftest import REPOSITORY, person

pytestmark = [pytest.mark.packaging, pytest.mark.once, pytest.mark.long]

SETTING_UP = "smartsub: setting up (app), once, under a minute ...\n"
# What ./run asks of a system besides Python, where a test chooses everything that is on the PATH.
TOOLS = ("sh", "cat", "sed", "rm", "mkdir", "dirname", "readlink", "getconf", "cksum", "cut")

# Prints what it sees.
APPLICATION = """\
import json, os, sys, pinned
from importlib.util import find_spec
seen = {"folder": os.getcwd(), "arguments": sys.argv[1:], "input": sys.stdin.read(), "pinned": pinned.VERSION}
print(json.dumps({**seen, "tests": bool(find_spec("pytest")), "prefix": sys.prefix, "base": sys.base_prefix}))
"""

Environment = dict[str, str]
Started = subprocess.CompletedProcess[str]


def write_wheel(folder: Path, name: str, version: str, modules: dict[str, str]) -> None:
    about = f"{name}-{version}.dist-info"
    with ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in modules.items():
            wheel.writestr(path, dedent(text))
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


def write_clone(folder: Path) -> None:
    """A repository as ./run sees it: itself, the pins, the packages asked for and an application."""
    folder.mkdir(parents=True)
    shutil.copy(REPOSITORY / "run", folder)
    (folder / "constraints.txt").write_text("pinned==1.0\npytest==1.0\n")
    (folder / "pyproject.toml").write_text(
        dedent("""\
            [project]
            dependencies = [
                # Why it is needed.
                "pinned>=1,<3",
            ]
            [project.optional-dependencies]
            test = [
                "pytest",
            ]
            """)
    )
    (folder / "smartsub_tui").mkdir()
    (folder / "smartsub_tui" / "__main__.py").write_text(APPLICATION)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    write_wheel(folder, "pinned", "1.0", {"pinned.py": "VERSION = '1.0'"})
    write_wheel(folder, "pinned", "2.0", {"pinned.py": "VERSION = '2.0'"})
    # Stands for the test packages, and shows how it was called.
    write_wheel(
        folder, "pytest", "1.0", {"pytest/__init__.py": "", "pytest/__main__.py": "import sys; print(sys.argv[1:])"}
    )
    return folder


@pytest.fixture(scope="session")
def env(packages: Path) -> Environment:
    """A caller without HOME, whose own pip settings say where packages come from."""
    return {**person(home=None), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(packages)}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "a clone"
    write_clone(folder)
    return folder


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def write_tools(folder: Path) -> None:
    """Makes a folder that can be the whole PATH: what ./run needs of a system, and no Python yet."""
    folder.mkdir()
    for name in TOOLS:
        where = shutil.which(name)
        assert where, name
        (folder / name).symlink_to(where)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "tools"
    write_tools(folder)
    return folder


@pytest.fixture(scope="module")
def first_start(env: Environment, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Started]:
    """A clone that was set up by its first start, and how that start went, on a system that makes it hard:
    no HOME, and of the names of Python the first does not start and the second is too old."""
    folder = tmp_path_factory.mktemp("first")
    write_clone(folder / "a clone")
    write_tools(folder / "tools")
    write_program(folder / "tools" / "python3", "echo 'pyenv: python3: command not found' >&2; exit 127")
    write_program(folder / "tools" / "python3.13", "echo old 3.9.2")
    (folder / "tools" / "python3.12").symlink_to(f"{sys.base_prefix}/bin/python3.{sys.version_info.minor}")
    (folder / "tools" / "python3.11").symlink_to("/bin/false")
    (folder / "elsewhere").mkdir()
    theirs = {**env, "PATH": str(folder / "tools")}
    run = folder / "a clone" / "run"
    return folder, start(run, "renew", "--months", "1 2", cwd=folder / "elsewhere", env=theirs, text="for smartsub")


@pytest.fixture
def ready(first_start: tuple[Path, Started], tmp_path: Path) -> Path:
    """A copy of that clone: also what is left when somebody moves the folder."""
    folder = tmp_path / "moved clone"
    shutil.copytree(first_start[0] / "a clone", folder, symlinks=True)
    return folder


def start(run: Path, *arguments: str, cwd: Path, env: Environment, text: str = "") -> Started:
    return subprocess.run([run, *arguments], cwd=cwd, env=env, input=text, capture_output=True, text=True, check=False)


def seen(done: Started) -> dict[str, Any]:
    """What the application saw, once it started."""
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_first_start_makes_the_environment_and_passes_everything_on(first_start: tuple[Path, Started]) -> None:
    folder, done = first_start
    answer = seen(done)
    assert done.stderr == SETTING_UP
    assert answer["prefix"] == str(folder / "a clone" / ".venv")
    assert answer["pinned"] == "1.0"
    assert not answer["tests"]
    assert answer["arguments"] == ["renew", "--months", "1 2"]
    assert answer["input"] == "for smartsub"
    assert answer["folder"] == str(folder / "elsewhere")
    assert list((folder / "elsewhere").iterdir()) == []


def test_takes_the_first_python_that_really_starts(first_start: tuple[Path, Started]) -> None:
    assert seen(first_start[1])["base"] == sys.base_prefix


def test_second_start_is_silent_wherever_the_folder_was_moved_to(ready: Path, env: Environment, tmp_path: Path) -> None:
    done = start(ready / "run", cwd=tmp_path, env=env)
    assert seen(done)["prefix"] == str(ready / ".venv")
    assert done.stderr == ""


def test_finds_its_folder_behind_links(ready: Path, env: Environment, tmp_path: Path) -> None:
    (tmp_path / "first link").symlink_to("moved clone/run")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "smartsub").symlink_to("../first link")
    on_path = {**env, "PATH": f"{tmp_path / 'bin'}:{env['PATH']}", "CDPATH": str(tmp_path)}
    done = subprocess.run(["smartsub"], cwd=tmp_path, env=on_path, capture_output=True, text=True, check=False)
    assert seen(done)["prefix"] == str(ready / ".venv")


def test_imports_nothing_from_the_callers_folder_or_python_variables(
    ready: Path, env: Environment, tmp_path: Path
) -> None:
    (tmp_path / "pinned.py").write_text("raise SystemExit('a module of the caller')")
    theirs = {**env, "PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nowhere", "PYTHONINSPECT": "1"}
    assert seen(start(ready / "run", cwd=tmp_path, env=theirs))["pinned"] == "1.0"


def test_test_adds_the_test_packages_once_and_passes_its_arguments(
    ready: Path, env: Environment, tmp_path: Path
) -> None:
    before = (ready / ".venv" / "pyvenv.cfg").stat().st_mtime_ns
    done = start(ready / "run", "test", "-k", "one or two", cwd=tmp_path, env=env)
    assert done.stdout.endswith("'--dist', 'worksteal', '-k', 'one or two']\n")
    assert done.stderr == SETTING_UP.replace("app", "test")
    assert start(ready / "run", "test", cwd=tmp_path, env=env).stderr == ""
    assert start(ready / "run", cwd=tmp_path, env=env).stderr == ""
    assert (ready / ".venv" / "pyvenv.cfg").stat().st_mtime_ns == before


def test_changed_pins_renew_the_environment(ready: Path, env: Environment, tmp_path: Path) -> None:
    (ready / "constraints.txt").write_text("pinned==2.0\n")
    done = start(ready / "run", cwd=tmp_path, env=env)
    assert seen(done)["pinned"] == "2.0"
    assert done.stderr == SETTING_UP


def is_found_wanting(clone: Path, tools: Path, env: Environment) -> bool:
    """Whether a start would set up: seen where there is no Python, so without the time that a set-up takes."""
    done = start(clone / "run", cwd=tools, env={**env, "PATH": str(tools)})
    return done.returncode == 1 and done.stderr.startswith("smartsub: Python 3.11 or newer is needed")


@pytest.mark.parametrize("missing", [".venv", ".venv/bin/python", ".venv/lib", ".venv/lib/ready-app"])
def test_notices_a_damaged_environment(missing: str, ready: Path, tools: Path, env: Environment) -> None:
    assert not is_found_wanting(ready, tools, env)
    path = ready / missing
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert is_found_wanting(ready, tools, env)


def test_two_starts_at_once_set_up_once(clone: Path, env: Environment, tmp_path: Path) -> None:
    starts = [
        subprocess.Popen(
            [clone / "run"],
            cwd=tmp_path,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    errors = []
    for each in starts:
        output, error = each.communicate(timeout=120)
        assert json.loads(output)["pinned"] == "1.0"
        errors.append(error)
    assert sorted(errors) == [SETTING_UP, *["smartsub: waiting for another start that is setting up ...\n"] * 2]


def test_survives_being_killed_while_making_the_environment(clone: Path, env: Environment, tmp_path: Path) -> None:
    run = str(clone / "run")
    killed = subprocess.Popen([run], cwd=tmp_path, env=env, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until((clone / ".venv" / "bin" / "python").exists)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    done = start(clone / "run", cwd=tmp_path, env=env)
    assert done.stderr == SETTING_UP
    assert seen(done)["pinned"] == "1.0"


def test_notices_that_it_was_killed_while_adding_packages(
    ready: Path, tools: Path, env: Environment, tmp_path: Path
) -> None:
    run = str(ready / "run")
    killed = subprocess.Popen([run, "test"], cwd=tmp_path, env=env, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: not (ready / ".venv" / "lib" / "ready-app").exists())
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert is_found_wanting(ready, tools, env)


def test_waits_for_the_set_up_that_outlived_its_start(clone: Path, env: Environment, tmp_path: Path) -> None:
    killed = subprocess.Popen([clone / "run"], cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)
    wait_until((clone / ".venv" / "bin" / "python").exists)
    killed.kill()
    killed.wait()
    done = start(clone / "run", cwd=tmp_path, env=env)
    assert done.stderr == "smartsub: waiting for another start that is setting up ...\n"
    assert seen(done)["pinned"] == "1.0"


def test_shows_why_packages_could_not_be_installed(ready: Path, env: Environment, tmp_path: Path) -> None:
    done = start(ready / "run", "test", cwd=tmp_path, env={**env, "PIP_FIND_LINKS": str(tmp_path / "nothing")})
    assert done.returncode == 1
    assert done.stdout == ""
    assert "ERROR: Cannot install pytest" in done.stderr
    assert done.stderr.endswith("smartsub: setting up failed, the reason stands above; the next start tries again\n")
    assert not list((ready / ".venv" / "lib").glob("ready-*"))


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """A Python without ensurepip, as Debian's is before python3-venv is installed: the same program, all but that."""
    minor = f"python3.{sys.version_info.minor}"
    there = Path(sys.base_prefix)
    here = tmp_path / "bare"
    (here / "bin").mkdir(parents=True)
    shutil.copy(there / "bin" / minor, here / "bin" / "python3")
    (here / "lib" / minor).mkdir(parents=True)
    for path in (there / "lib").glob("libpython*"):
        (here / "lib" / path.name).symlink_to(path)
    for path in (there / "lib" / minor).iterdir():
        if path.name != "ensurepip":
            (here / "lib" / minor / path.name).symlink_to(path)
    python = here / "bin" / "python3"
    look = subprocess.run([python, "-I", "-c", "import venv, ensurepip"], capture_output=True, text=True, check=False)
    assert "No module named 'ensurepip'" in look.stderr
    return python


def test_names_the_package_that_brings_venv(
    bare_python: Path, clone: Path, tools: Path, env: Environment, tmp_path: Path
) -> None:
    (tools / "python3").symlink_to(bare_python)
    done = start(clone / "run", cwd=tmp_path, env={**env, "PATH": str(tools)})
    assert done.returncode == 1
    assert done.stderr == (
        "smartsub: python3 has no venv module: install the package python3-venv (apt install python3-venv)\n"
    )
    assert not (clone / ".venv").exists()


def test_says_which_python_is_needed(clone: Path, tools: Path, env: Environment, tmp_path: Path) -> None:
    write_program(tools / "python3", "echo old 3.9.2")
    done = start(clone / "run", cwd=tmp_path, env={**env, "PATH": str(tools)})
    assert done.returncode == 1
    assert done.stderr == (
        "smartsub: Python 3.11 or newer is needed, and none was found (python3 is 3.9.2): "
        "install python3 and python3-venv\n"
    )


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody can look into; those of pytest are for their owner alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_clone_of_someone_else_is_set_up_in_the_callers_cache(packages: Path, env: Environment, public: Path) -> None:
    clone, home = public / "clone", public / "home"
    write_clone(clone)
    shutil.copytree(packages, public / "packages")
    (public / "packages").chmod(0o755)
    home.mkdir()
    clone.chmod(0o555)
    theirs = {**env, "PIP_FIND_LINKS": str(public / "packages")}
    somebody: dict[str, Any] = {}
    if os.getuid() == 0:  # root may write everywhere: then it is an ordinary user who starts it
        somebody = {"user": 65534, "group": 65534, "extra_groups": []}
        os.chown(home, 65534, 65534)

    def start_it(**variables: str) -> Started:
        return subprocess.run(
            [clone / "run"],
            cwd=public,
            env={**theirs, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **somebody,
        )

    homeless = start_it()
    assert homeless.returncode == 1
    assert homeless.stderr == (
        f"smartsub: cannot write to {clone}, nor to a cache folder at home: clone it where you may write\n"
    )
    first = start_it(HOME=str(home))
    assert seen(first)["prefix"].startswith(str(home / ".cache" / "smartsub"))
    assert first.stderr == SETTING_UP
    second = start_it(HOME=str(home))
    assert seen(second)["pinned"] == "1.0"
    assert second.stderr == ""
