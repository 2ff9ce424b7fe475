"""From an order to its money, in a terminal: the code on the screen is scanned, the page paid, the screen says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pyte
import pytest

from smartsub_tui.widgets.qr import needs
from tests.journeys.material import SMARTSUB, environment, smartsub, smartsub_json, today
from tests.packaging.terminal import Terminal
from tests.providers import Fault, pay
from tests.providers.process import Remote, started
from tests.support import months_later
from tests.widgets.camera import BLACK, WHITE, Cell, scan

pytestmark = [pytest.mark.pty, pytest.mark.once]

OFFICE: Final = "Østbanehallen"
PRICES: Final = "service,action,amount,currency,office_kind,tax_rate,valid_from\napp,month,3,EUR,,0.19,2020-01-01\n"
USERS: Final = (
    "office,office_kind,timezone,currency,department,user_id,name,email,kind,apartment,service,activated_on,expires_on"
)
F5: Final = "\x1b[15~"
# An address that a terminal may offer to open (OSC 8).
LINK: Final = re.compile(rb"\x1b\]8;[^;]*;([^\x1b\a]+)(?:\x1b\\|\a)")


@pytest.fixture
def stripe(tmp_path: Path) -> Iterator[Remote]:
    with started(tmp_path) as provider:
        yield provider


@pytest.fixture
def env(tmp_path: Path, stripe: Remote) -> dict[str, str]:
    ends = today() + timedelta(days=20)
    (tmp_path / "prices.csv").write_text(PRICES)
    people = [f"{OFFICE},office,UTC,EUR,Sales,U{place},Zoë {place},,user,,app,2024-01-05,{ends}" for place in range(2)]
    (tmp_path / "users.csv").write_text("\n".join([USERS, *people, ""]))
    (tmp_path / "config.toml").write_text(
        f'[payments]\nstripe_key_file = "{stripe.key_file}"\nstripe_url = "{stripe.url}"\n'
        'return_url = "https://example.com/paid"\n[seller]\nname = "Seller GmbH"\n'
    )
    env = {**environment(tmp_path), "SMARTSUB_CONFIG": str(tmp_path / "config.toml")}
    smartsub(env, "init")
    smartsub(env, "import", tmp_path / "prices.csv", tmp_path / "users.csv")
    smartsub(env, "renew", "--office", OFFICE, "--months", "12")
    return env


def photographed(rows: list[list[pyte.screens.Char]]) -> list[list[Cell]]:
    """The cells of a terminal as a camera sees them: what is drawn in black or white, and the rest in between."""
    shades = {"000000": BLACK, "ffffff": WHITE}
    seen = []
    for row in rows:
        line = []
        for cell in row:
            ink, paper = shades.get(cell.fg, 128), shades.get(cell.bg, 64)
            line.append(Cell(cell.data, *((paper, ink) if cell.reverse else (ink, paper))))
        seen.append(line)
    return seen


def expiries(env: dict[str, str]) -> dict[str, str]:
    return {each["id"]: each["expires_on"] for each in smartsub_json(env, "users")}


def opened(terminal: Terminal) -> None:
    """From the list of payments to the link."""
    terminal.wait_for("1 of 1")
    terminal.type("p")
    terminal.wait_for("The money is here")
    terminal.type("\x1b[B")
    terminal.wait_for("Open a payment link")
    terminal.type("y")
    terminal.wait_for("waiting")


def test_the_code_on_the_screen_is_the_way_to_pay(tmp_path: Path, env: dict[str, str], stripe: Remote) -> None:
    ends = today() + timedelta(days=20)
    later = months_later(ends, 12, ends.day).isoformat()
    command = [*SMARTSUB, "--screen", "payments"]
    env |= {"COLORTERM": "truecolor"}
    with Terminal(command, cwd=tmp_path, env=env, size=(120, 40)) as terminal:
        opened(terminal)
        terminal.wait_for("Scan it, or copy the address.")
        (session,) = stripe.get("sessions")
        terminal.wait_until(lambda: scan(photographed(terminal.cells)) == [session["link"]], "the code", 20)
        assert {each.decode() for each in LINK.findall(terminal.output)} == {session["link"]}
        assert set(expiries(env).values()) == {ends.isoformat()}
        assert pay(session["link"]).status == 200
        terminal.wait_for("INV-")  # without a key
        terminal.wait_for(f"{ends} -> {later}")
        terminal.wait_for(" paid")
        terminal.type("\x1b")
        terminal.wait_for("✓ Succeed")
        terminal.type("q")
        terminal.wait_for("NEEDS YOU")
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
    assert expiries(env) == dict.fromkeys(("U0", "U1"), later)
    (order,) = smartsub_json(env, "orders")
    assert order["status"] == "succeed"
    assert order["invoice"]["number"].endswith("-000001")
    assert len(stripe.paid()) == 1
    assert stripe.key.encode() not in terminal.output


def test_where_the_code_does_not_fit_there_is_the_address_and_what_it_needs(
    tmp_path: Path, env: dict[str, str], stripe: Remote
) -> None:
    command = [*SMARTSUB, "--screen", "payments"]
    with Terminal(command, cwd=tmp_path, env=env) as terminal:
        opened(terminal)
        terminal.wait_for("the terminal has 80x24.")
        (session,) = stripe.get("sessions")
        size = needs(session["link"])
        said = f"{session['link']}ThisQRneeds{size.width}x{size.height},theterminalhas80x24."
        terminal.wait_until(lambda: said in "".join(terminal.text.split()), "the address")
        terminal.wait_for("m bank transfer  Esc back (the order stays unpaid)")
        terminal.wait_for("waiting, asked")
        stripe.post("faults", {"always": [{"call": "retrieve", "fault": Fault.REFUSED.value}]})
        terminal.type(F5)
        terminal.wait_for("waiting, no answer")
        stripe.post("faults", {})
        terminal.type(F5)
        terminal.wait_for("waiting, asked")
        terminal.type("\x1b")
        terminal.wait_for("… Processing")
        terminal.type("p")
        terminal.wait_until(lambda: session["link"] in "".join(terminal.text.split()), "the address")
        terminal.type("\x1b")
        terminal.wait_for("1 of 1")
        terminal.type("q")
        terminal.wait_for("NEEDS YOU")
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
    (order,) = smartsub_json(env, "orders")
    assert (order["status"], stripe.paid()) == ("processing", [])


def test_a_terminal_of_letters_is_sent_no_link_and_no_code(tmp_path: Path, env: dict[str, str], stripe: Remote) -> None:
    command = [*SMARTSUB, "--screen", "payments"]
    with Terminal(command, cwd=tmp_path, env={**env, "LANG": "C"}, size=(120, 40)) as terminal:
        opened(terminal)
        terminal.wait_for("which this terminal may not have")
        (session,) = stripe.get("sessions")
        terminal.wait_until(lambda: session["link"] in "".join(terminal.text.split()), "the address")
    assert terminal.output.isascii()
    assert b"\x1b]8" not in terminal.output
