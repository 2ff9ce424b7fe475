"""The log of what nobody expected: what happened and where, and nothing of what was being worked on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from smartsub_tui import paths
from smartsub_tui.failures import unexpected

PLANTED = "hunter2"


class OfOurs(Exception):
    def __str__(self) -> str:
        return PLANTED


def alone() -> None:
    local = PLANTED
    raise ValueError(local)


def noted() -> None:
    error = OfOurs()
    error.add_note(PLANTED)
    raise error


def of_a_file() -> None:
    raise FileNotFoundError(2, PLANTED, PLANTED)


def of_no_number() -> None:
    raise OSError(PLANTED)


def caused() -> None:
    try:
        alone()
    except ValueError as error:
        raise KeyError(PLANTED) from error


def in_the_way_of_another() -> None:
    try:
        alone()
    except ValueError:
        raise KeyError(PLANTED)  # noqa: B904 - as where nobody thought of it


def in_the_place_of_another() -> None:
    try:
        alone()
    except ValueError:
        raise KeyError(PLANTED) from None


def many() -> None:
    try:
        alone()
    except ValueError as error:
        raise ExceptionGroup(PLANTED, [error, KeyError(PLANTED)]) from None


def in_a_circle() -> None:
    first, second = ValueError(PLANTED), KeyError(PLANTED)
    first.__context__, second.__context__ = second, first
    raise first


@pytest.mark.parametrize(
    ("fail", "kinds"),
    [
        (alone, ["ValueError"]),
        (noted, ["tests.test_failures.OfOurs"]),
        (of_a_file, ["FileNotFoundError (ENOENT)"]),
        (of_no_number, ["OSError"]),
        (caused, ["ValueError", "KeyError"]),
        (in_the_way_of_another, ["ValueError", "KeyError"]),
        (in_the_place_of_another, ["KeyError"]),
        (many, ["ExceptionGroup", "ValueError", "KeyError"]),
        (in_a_circle, ["KeyError", "ValueError"]),
    ],
)
def test_an_error_is_its_kind_and_its_way(
    fail: Callable[[], None], kinds: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "log_file", lambda: tmp_path / "smartsub.log")
    with pytest.raises(Exception) as raised:  # noqa: PT011 - whatever it is
        fail()
    said = unexpected(raised.value)
    log = (tmp_path / "smartsub.log").read_text()
    assert re.findall(r"^[a-zA-Z_.]*(?:Error|OfOurs|Group)(?: \([A-Z]+\))?$", log, re.MULTILINE) == kinds
    assert f"in {fail.__name__}\n" in log
    assert log.partition("\n")[0] in said
    assert PLANTED not in said + log
