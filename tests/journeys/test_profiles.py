"""A profile is given by the option before the command, and by nothing else; what it closes on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.material import environment, smartsub
from tests.screens.stage import make_database
from tests.support import add_office


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{make_database(tmp_path, add_office)}"


def refused(folder: Path, *arguments: str, code: int = 4, **variables: str) -> str:
    """What a refused command says."""
    ended = smartsub(environment(folder) | variables, *arguments, code=code)
    assert ended.stdout == ""
    return ended.stderr.strip()


@pytest.mark.parametrize(
    "command", ["import x.csv", "backup x", "recover x", "copy --to sqlite:///x", "demo", "invoice 1", "pay 1"]
)
def test_over_ssh_there_are_only_commands_that_look(tmp_path: Path, database: str, command: str) -> None:
    words = command.split()
    said = refused(tmp_path, "--database", database, "--admin", "manager", "--profile", "ssh", *words)
    assert said == f"smartsub: over SSH there is no command {words[0]}: do it on the machine itself"


def test_over_ssh_the_lists_are_there(tmp_path: Path, database: str) -> None:
    options = ("--database", database, "--admin", "manager", "--profile", "ssh")
    assert "Oak House" in smartsub(environment(tmp_path), *options, "offices").stdout


def test_over_ssh_an_export_goes_to_standard_output_alone(tmp_path: Path, database: str) -> None:
    options = ("--database", database, "--admin", "manager", "--profile", "ssh")
    assert smartsub(environment(tmp_path), *options, "export", "orders").stdout.startswith("order_number,")
    said = refused(tmp_path, *options, "export", "orders", "-o", str(tmp_path / "made"))
    assert "over SSH no files are read or written: do it on the machine itself" in said
    assert not (tmp_path / "made").exists()


def test_the_kiosk_has_no_command(tmp_path: Path, database: str) -> None:
    said = refused(tmp_path, "--database", database, "--admin", "manager", "--profile", "kiosk", "orders")
    assert said == "smartsub: at the kiosk there is no command orders: do it on the machine itself"


def test_the_kiosk_needs_a_terminal(tmp_path: Path, database: str) -> None:
    said = refused(tmp_path, "--database", database, "--admin", "manager", "--profile", "kiosk", code=2)
    assert said == "smartsub: at the kiosk smartsub is the application alone: give it a terminal"


@pytest.mark.parametrize("option", ["--admin", "--database", "--config"])
def test_what_began_the_line_is_not_said_otherwise_behind_the_command(
    tmp_path: Path, database: str, option: str
) -> None:
    options = ("--database", database, "--admin", "manager", "--profile", "ssh")
    assert refused(tmp_path, *options, "offices", option, "x") == (
        f"smartsub: over SSH nobody chooses {option}: leave it out"
    )


@pytest.mark.parametrize("words", [("--profile", "ssh", "--profile", "open"), ("orders", "--profile", "open")])
def test_a_profile_is_said_once_and_before_the_command(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert "--profile" in refused(tmp_path, *words, code=2)


@pytest.mark.parametrize("profile", ["ssh"])
def test_the_environment_chooses_neither_database_nor_settings(tmp_path: Path, database: str, profile: str) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[nonsense]\n")
    options = ("--database", database, "--admin", "manager", "--profile", profile)
    listed = smartsub(environment(tmp_path) | {"SMARTSUB_CONFIG": str(broken)}, *options, "offices").stdout
    assert "Oak House" in listed
    said = refused(tmp_path, "--profile", profile, "offices", code=5, SMARTSUB_DATABASE=database)
    assert said.startswith("smartsub: no database at ")


def test_the_environment_chooses_no_profile(tmp_path: Path, database: str) -> None:
    variables = {"SMARTSUB_PROFILE": "kiosk", "SMARTSUB_DATABASE": database}
    assert "Oak House" in smartsub(environment(tmp_path) | variables, "offices", "--admin", "manager").stdout
