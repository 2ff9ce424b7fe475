"""The triage queue worked off to nothing at 80x24 by keys alone, each rank of it made by the commands of a real day."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.journeys.material import SMARTSUB, environment, smartsub, smartsub_json, today
from tests.packaging.terminal import Terminal

OFFICE = "Oakwood Residences"
UNKNOWN, FAILED = "20261001100000000001", "20261001110000000002"
PRICES = """service,action,amount,currency,office_kind,tax_rate,valid_from
app,activation,18,EUR,,0.19,2020-01-01
app,month,3,EUR,,0.19,2020-01-01
app,day,0.1,EUR,,0.19,2020-01-01
"""
USERS = (
    "office,office_kind,timezone,currency,department,user_id,name,email,kind,apartment,service,activated_on,expires_on"
)
ORDERS = "order_number,office,type,status,apartments,total,currency,created_at,paid_at,months,until,user_ids"


def write_files(folder: Path) -> None:
    later, soon = today() + timedelta(days=200), today() + timedelta(days=10)
    ends = {"U1": later, "U2": later, "U3": later, "U4": later, "X1": soon, "X2": soon}
    people = [
        f"{OFFICE},community,UTC,EUR,North,{key},Name of {key},,user,1A,app,2026-01-05,{end.isoformat()}"
        for key, end in ends.items()
    ]
    orders = [
        f"{number},{OFFICE},subscription,system_processing,1,3.57,EUR,2026-10-01T10:00:00Z,,1,,{key}"
        for number, key in ((UNKNOWN, "U1"), (FAILED, "U2"))
    ]
    (folder / "prices.csv").write_text(PRICES)
    (folder / "users.csv").write_text("\n".join([USERS, *people, ""]))
    (folder / "orders.csv").write_text("\n".join([ORDERS, *orders, ""]))
    (folder / "config.toml").write_text('[orders]\npay_within = "1h"\n')


@pytest.mark.pty
def test_a_queue_of_all_ranks_is_worked_off(tmp_path: Path) -> None:
    write_files(tmp_path)
    env = {**environment(tmp_path), "SMARTSUB_CONFIG": str(tmp_path / "config.toml")}
    smartsub(env, "import", *(tmp_path / f"{name}.csv" for name in ("prices", "users", "orders")))
    smartsub(env, "fail", FAILED, "--reason", "the bank refused it")
    waits, soon = (
        smartsub_json(env, "renew", "--office", OFFICE, "--months", "1", f"user:{key}")["number"]
        for key in ("U3", "U4")
    )
    smartsub(env, "cancel", waits, "--reason", "nobody paid")
    smartsub(env, "confirm", waits, "--reference", "transfer 17")
    with Terminal(SMARTSUB, cwd=tmp_path, env=env) as terminal:
        terminal.wait_for(OFFICE)
        terminal.type("T")
        terminal.wait_for("1 of 5")
        for words in (
            "? 1  payments with unknown outcome",
            "+ 1  money to apply",
            "x 1  failed",
            "o 1  time out within 2 hours",
            "! 2  expire in 30 days, no order",
            "c confirm  f fail",
        ):
            terminal.wait_for(words)
        # The outcome that is unknown: the money came
        terminal.type("c")
        terminal.wait_for(f"{UNKNOWN} > Confirm")
        terminal.type("the bank says so\ry")
        terminal.wait_for("1 of 4")
        # Without looking: the next one is under the cursor
        terminal.wait_for("A apply")
        terminal.type("A")
        terminal.wait_for(f"Apply the waiting money to order {waits}?")
        terminal.type("y")
        terminal.wait_for("1 of 3")
        terminal.wait_for("because: the bank refused it")
        # Put off, there is no other of its rank: on to the next rank, and up again
        terminal.type(">")
        terminal.wait_for("2 of 3")
        terminal.type("k")
        terminal.wait_for("1 of 3")
        terminal.wait_for("r order again")
        terminal.type("r")
        terminal.wait_for(f"Order again: order {FAILED}?")
        terminal.type("y")
        # The order that was made can be paid for an hour: it takes the place of the other
        terminal.wait_for("failed", gone=True)
        terminal.wait_for("o 2  time out within 2 hours")
        for each in ("receipt 18", "receipt 19"):
            terminal.wait_for("p pay")
            terminal.type("p")
            terminal.wait_for("The money is here")
            terminal.type(f"{each}\ry")
            terminal.wait_for("The money is here", gone=True)
            terminal.wait_for("1 of 2" if each == "receipt 18" else "1 of 1")
        terminal.wait_for("2 people of Oakwood Residences expire within 30 days, no order")
        terminal.type("n")
        terminal.wait_for("state:expiring order:none")
        terminal.wait_for("2 of 6")
        terminal.type("A")
        terminal.wait_for("2 marked")
        terminal.type("\r")
        terminal.wait_for("Order the renewal of 2 people")
        terminal.type("y")
        terminal.wait_for("created but not paid yet")
        # It has an hour, so that is what is left to do
        terminal.type("1")
        terminal.wait_for("o 1  time out within 2 hours")
        terminal.wait_for("p pay")
        terminal.type("p")
        terminal.wait_for("The money is here")
        terminal.type("receipt 20\ry")
        terminal.wait_for("Nothing needs you: everything is settled, as of")
        terminal.type("qq")
        assert terminal.wait_for_exit() == 0
    assert smartsub_json(env, "orders", "is:problem") == []
    assert smartsub_json(env, "users", "state:expiring", "order:none") == []
    assert {order["number"]: order["status"] for order in smartsub_json(env, "orders", "--", "-status:succeed")} == {
        FAILED: "failed"
    }
    assert smartsub_json(env, "order", waits)["status"] == "succeed"
    assert smartsub_json(env, "order", soon)["status"] == "succeed"
