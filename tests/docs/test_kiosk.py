"""docs/kiosk.md: the unit starts what there is, as it has to be started."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

from smartsub_tui.cli import cli

PAGE = Path(__file__).parents[2] / "docs" / "kiosk.md"


def unit() -> configparser.ConfigParser:
    found = re.search(r"```ini\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    assert found is not None
    read = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#",), delimiters=("=",))
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read_string(found[1])
    return read


def test_the_unit_starts_a_kiosk_by_options_that_there_are() -> None:
    program, *words = shlex.split(unit()["Service"]["ExecStart"])
    assert (program, words[:3]) == ("/opt/smartsub/bin/python", ["-I", "-m", "smartsub_tui"])
    said = cli.make_context("smartsub", words[3:], resilient_parsing=True).params
    assert (said["profiles"], said["admin"]) == (("kiosk",), "lobby")
    assert said["database"].startswith("sqlite:////var/lib/smartsub-kiosk/")


def test_what_is_drawn_goes_to_the_console_and_not_to_the_journal() -> None:
    service = unit()["Service"]
    assert {service[f"Standard{each}"] for each in ("Input", "Output", "Error")} == {"tty"}
    assert (service["TTYPath"], service["Restart"], unit()["Unit"]["StartLimitIntervalSec"]) == (
        "/dev/tty1",
        "always",
        "0",
    )
