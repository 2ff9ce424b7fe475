"""A whole day at 80x24, by keys alone, from an empty database: everything that the product is for, in one run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pypdf import PdfReader

from tests.journeys.material import SMARTSUB, environment, smartsub_json, today
from tests.packaging.terminal import Terminal

COMMUNITY = "Søholm Park"
PRICES = """service,action,amount,currency,office_kind,tax_rate,valid_from
app,activation,18,EUR,,0.19,2020-01-01
app,month,3,EUR,,0.19,2020-01-01
app,day,0.1,EUR,,0.19,2020-01-01
pm_app,activation,45,EUR,,0.19,2020-01-01
pm_app,month,9,EUR,,0.19,2020-01-01
pm_app,day,0.3,EUR,,0.19,2020-01-01
"""
HEADER = (
    "office,office_kind,timezone,currency,department,user_id,name,email,kind,apartment,service,activated_on,expires_on"
)


def write_files(folder: Path) -> None:
    place = f"{COMMUNITY},community,Europe/Copenhagen,EUR"
    later = today() + timedelta(days=100)
    people = [
        f"{place},East,U1,Anna Østergaard,,user,1A,app,,",
        f"{place},East,U2,Bo Berg,,user,1A,app,,",
        f"{place},West,M1,Mads Manager,,property_manager,,pm_app,,",
        f"{place},North,D1,Dora Dahl,,user,7,app,2026-01-05,{later.isoformat()}",
        f"{place},North,D2,Dan Dahl,,user,7,app,2026-01-05,{(later - timedelta(days=10)).isoformat()}",
    ]
    (folder / "prices.csv").write_text(PRICES)
    (folder / "users.csv").write_text("\n".join([HEADER, *people, ""]))


def pay(terminal: Terminal, reference: str, invoice: str) -> None:
    """From the info of an order that was just made."""
    terminal.wait_for("created but not paid yet")
    terminal.type("p")
    terminal.wait_for("The money is here")
    terminal.type(f"{reference}\r")
    terminal.type("y")
    terminal.wait_for("✓ Succeed")
    terminal.wait_for(invoice)


@pytest.mark.pty
def test_from_an_empty_database_to_a_restored_order(tmp_path: Path) -> None:
    write_files(tmp_path)
    env, year = environment(tmp_path), today().year
    until = today() + timedelta(days=200)
    with Terminal(SMARTSUB, cwd=tmp_path, env=env) as terminal:
        # Import
        terminal.wait_for("Welcome to smartsub")
        terminal.type("I")
        terminal.wait_for("prices.csv users.csv")
        terminal.type("\r")
        terminal.wait_for("6 prices, 5 users: y imports")
        terminal.type("y")
        terminal.wait_for("imported 6 prices, 5 users")
        terminal.type("\x1b")
        terminal.wait_for("NEEDS YOU")
        terminal.wait_for(COMMUNITY)
        # Activate two buildings, and pay
        terminal.type("a")
        terminal.wait_for("Anna Østergaard")
        terminal.type("A")
        terminal.wait_for("2 buildings marked, 3 people")
        terminal.type("\r")
        terminal.wait_for("Order the activation of 3 people?")
        terminal.type("y")
        pay(terminal, "card 1", f"INV-{year}-000001")
        assert "Next Expiration Date" not in terminal.text
        # Renew two people to one date, and pay
        terminal.type("2")
        terminal.wait_for("everyone is activated already, n renews")
        terminal.type("n")
        terminal.wait_for("or until")
        terminal.wait_for("5 of 5")
        terminal.type(f"u{until.isoformat()}\r")
        terminal.wait_for(until.isoformat())
        terminal.type("/Dahl\r")
        terminal.wait_for("2 of 5")
        terminal.type("A")
        terminal.wait_for("2 marked")
        terminal.type("\r")
        terminal.wait_for(f"Order the renewal of 2 people, until {until.isoformat()}?")
        terminal.type("y")
        pay(terminal, "card 2", f"INV-{year}-000002")
        terminal.wait_for(f"Next Expiration Date {until.isoformat()}")
        (order,) = smartsub_json(env, "orders", "type:subscription")
        number = order["number"]
        # Find it, and save its invoice
        terminal.type("3")
        terminal.wait_for("2 of 2")
        terminal.type(f"/status:succeed type:subscription {number[-8:]}\r")
        terminal.wait_for("1 of 2")
        terminal.type("i")
        terminal.wait_for(f"saved INV-{year}-000002.pdf")
        # Delete it, find it among the deleted, and restore it
        terminal.type("d")
        terminal.wait_for("Reason")
        terminal.type("entered twice\r")
        terminal.type("y")
        terminal.wait_for("deleted")
        terminal.wait_for("No orders match")
        terminal.type("/\x15is:deleted\r")
        terminal.wait_for("✓ Succeed, deleted")
        terminal.type("D")
        terminal.wait_for(f"Restore order {number}?")
        terminal.type("y")
        terminal.wait_for("No orders match")
        terminal.type("\x1b")
        terminal.wait_for("2 of 2")
        terminal.type("q")
        terminal.wait_for("NEEDS YOU")
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
    text = "".join(page.extract_text() for page in PdfReader(tmp_path / f"INV-{year}-000002.pdf").pages)
    assert number in text
    orders = {each["type"]: each for each in smartsub_json(env, "orders")}
    assert orders["subscription"]["next_expiration"] == until.isoformat()
    assert orders["activation"]["next_expiration"] is None
    # Each person's days to one date: the dates co-terminate, the price does not.
    days = 100 + 110
    net = days * 10
    assert orders["subscription"]["net"]["amount"] == net
    assert orders["subscription"]["total"]["amount"] == net + (2 * net * 19 + 100) // 200
    assert {user["id"]: user["expires_on"] for user in smartsub_json(env, "users", "department:North")} == {
        "D1": until.isoformat(),
        "D2": until.isoformat(),
    }
