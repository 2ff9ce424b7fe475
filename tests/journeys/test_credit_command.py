"""The command `credit`: dates and money taken back, the credit notes as files, and what a dry run would do."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from tests.journeys.material import OFFICE, environment, smartsub, smartsub_json, write_files

NET = 333  # a month of one person


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    made = environment(tmp_path)
    smartsub(made, "import", *write_files(tmp_path)[0])
    return made


def renewed(env: dict[str, str]) -> Any:
    """A paid order for the ten whose id begins with K00."""
    made = smartsub_json(env, "renew", "--office", OFFICE, "--months", "1", "K00")
    return smartsub_json(env, "pay", made["number"], "--reference", "R")


def expiries(env: dict[str, str]) -> dict[str, str]:
    return {each["id"]: each["expires_on"] for each in smartsub_json(env, "users", "K00")}


def test_people_of_an_order_are_taken_back_then_all_of_it(env: dict[str, str], tmp_path: Path) -> None:
    before = expiries(env)
    order = renewed(env)
    number, after = order["number"], expiries(env)
    assert len(order["lines"]) == 10
    assert order["credit_notes"] == []
    command = ("credit", number, "--user", "K001", "--user", "K002", "--reason", "left", "--request-id", "r1")

    shown = smartsub(env, *command, "--dry-run")
    assert "dry run: nothing was stored" in shown.stderr
    assert "a credit note over EUR 7.93: EUR 7.93 would be paid back" in shown.stderr
    assert f"K001  {after['K001']} -> {before['K001']}" in shown.stderr
    assert smartsub_json(env, "order", number) == order

    done = smartsub_json(env, *command)
    amount = {"amount": 793, "currency": "EUR"}  # 6.66 and 1.27 of tax
    assert {key: done["credit_note"][key] for key in ("number", "total")} == {
        "number": done["credit_note"]["number"],
        "total": amount,
    }
    assert done["credit_note"]["number"].startswith("CN-")
    assert done["paid_back"] == "succeeded"
    assert [(each["user_id"], each["before"], each["after"]) for each in done["dates"]] == [
        (key, after[key], before[key]) for key in ("K001", "K002")
    ]
    assert done["credit_notes"] == [done["credit_note"]]
    assert [line["user_id"] for line in done["lines"] if line["credited"]] == ["K001", "K002"]
    assert smartsub_json(env, *command) == done
    assert "used for something else" in smartsub(env, *command, "--user", "K003", code=1).stderr

    rest = smartsub(env, "credit", number, "--reason", "all of it", "--reference", "till 4")
    assert "Taken back" in rest.stdout
    assert "was paid back" in rest.stderr
    assert expiries(env) == before
    notes = smartsub_json(env, "order", number)["credit_notes"]
    assert sum(each["total"]["amount"] for each in notes) == order["total"]["amount"]
    assert "all of it was taken back" in smartsub(env, "credit", number, "--reason", "x", code=1).stderr

    folder = tmp_path / "notes"
    folder.mkdir()
    saved = smartsub_json(env, "invoice", number, "--credit-notes", "-o", folder)
    assert [each["invoice"] for each in saved] == [each["number"] for each in notes]
    text = "".join(
        page.extract_text() for page in PdfReader(BytesIO((folder / f"{notes[1]['number']}.pdf").read_bytes())).pages
    )
    assert "Credit note" in text
    assert order["invoice"]["number"] in text
    mine = tmp_path / "one.pdf"
    smartsub(env, "invoice", notes[1]["number"], "-o", mine)
    assert mine.read_bytes() == (folder / f"{notes[1]['number']}.pdf").read_bytes()
    assert "goes with -o DIR" in smartsub(env, "invoice", number, "--credit-notes", "-o", mine, code=2).stderr


def test_what_cannot_be_taken_back_says_why(env: dict[str, str]) -> None:
    number = renewed(env)["number"]
    assert "is not for K011" in smartsub(env, "credit", number, "--user", "K011", "--reason", "x", code=3).stderr
    assert "imported history" in smartsub(env, "credit", "20240501100000000001", "--reason", "x", code=1).stderr
    assert "--reason" in smartsub(env, "credit", number, code=2).stderr
    holder = smartsub_json(env, "renew", "--office", OFFICE, "--months", "1", "K003")["number"]
    assert (
        f"order {holder} holds K003: cancel it first" in smartsub(env, "credit", number, "--reason", "x", code=1).stderr
    )
