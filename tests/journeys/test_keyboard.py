"""A person's way through by keyboard alone, in a pseudo-terminal of 80x24."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.material import MONTHS, OFFICE, SMARTSUB, environment, smartsub, smartsub_json, write_files
from tests.packaging.terminal import Terminal

CLEAR = "\x15"  # ctrl+u: what is in the field goes


@pytest.mark.pty
def test_renew_pay_find_and_open(tmp_path: Path) -> None:
    files, expected = write_files(tmp_path)
    env = environment(tmp_path)
    smartsub(env, "import", *files)
    with Terminal(SMARTSUB, cwd=tmp_path, env=env) as terminal:
        terminal.wait_for(OFFICE)
        terminal.type("j")  # the second office by name
        terminal.type("n")
        terminal.wait_for("months")
        terminal.wait_for("26 of 26")
        terminal.type(f"m{CLEAR}")
        terminal.wait_for("how many months?")
        for bad in ("0", "61", "1.5", "x"):
            terminal.type(bad)
            terminal.wait_for(f"not '{bad}'")
            terminal.type(CLEAR)
            terminal.wait_for("how many months?")
        terminal.type(f"{MONTHS}\r")
        terminal.wait_for(expected.expiries["K000"].isoformat())
        terminal.type("A")
        terminal.wait_for("26 marked")
        terminal.wait_for(f"{expected.total / 100:,.2f}")
        terminal.type("\r")
        terminal.wait_for(f"Order the renewal of 26 people, {MONTHS} months?")
        terminal.wait_for(f"tax EUR {expected.tax / 100:,.2f}")
        terminal.type("\r")  # Enter is No
        terminal.wait_for("Order the renewal", gone=True)
        terminal.type("\r")
        terminal.wait_for("Order the renewal of 26 people")
        terminal.type("y")
        terminal.wait_for("created but not paid yet")
        terminal.type("p")
        terminal.wait_for("Reference")
        terminal.type("kvittering 17\r")
        terminal.type("y")
        terminal.wait_for("INV-")
        (order,) = smartsub_json(env, "orders", "status:succeed", "created:today")
        number = order["number"]
        terminal.type("3")
        terminal.wait_for("3 of 3")
        terminal.type(f"/status:succeed type:subscription {number[4:16]}\r")
        terminal.wait_for("1 of 3")
        terminal.type("\r")
        terminal.wait_for(f"Payments > {number}")
        terminal.wait_for("✓ Succeed")
        terminal.type("qqq")
        assert terminal.wait_for_exit() == 0
    details = smartsub_json(env, "order", number)
    assert details["total"] == {"amount": expected.total, "currency": "EUR"}
    assert {line["user_id"]: line["new_expiry"] for line in details["lines"]} == {
        key: day.isoformat() for key, day in expected.expiries.items()
    }


def click(text: str, terminal: Terminal) -> str:
    """What a terminal sends for a click with the left button on the first place that shows `text`."""
    lines = terminal.text.splitlines()
    row = next(place for place, line in enumerate(lines) if text in line)
    at = f"{lines[row].index(text) + 1};{row + 1}"
    return f"\x1b[<0;{at}M\x1b[<0;{at}m"


@pytest.mark.pty
def test_a_first_run_brings_files_in_and_the_mouse_finds_its_way(tmp_path: Path) -> None:
    write_files(tmp_path)
    env = environment(tmp_path)
    with Terminal(SMARTSUB, cwd=tmp_path, env=env) as terminal:
        terminal.wait_for("Welcome to smartsub")
        terminal.type("I")
        terminal.wait_for("prices.csv users.csv orders.csv")
        terminal.type("\r")
        terminal.wait_for("6 prices, 28 users, 2 orders: y imports")
        terminal.type("y")
        terminal.wait_for("imported 6 prices, 28 users, 2 orders")
        terminal.type("\x1b")
        terminal.wait_for("NEEDS YOU")
        terminal.wait_for(OFFICE)
        terminal.type(click("3 Payments", terminal))
        terminal.wait_for("2 of 2")
        # The last line moves until it is known what can be done, and may be read in two parts
        terminal.wait_for("d delete  / filter  S status  t type  s sort  q quit  ? help")
        terminal.type(click("? help", terminal))
        terminal.wait_for("Keys of Payments")
        terminal.type("q1")
        terminal.wait_for("NEEDS YOU")
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
    assert sum(office["users"] for office in smartsub_json(env, "offices")) == 28
