"""A person's way through on the command line, in real processes on a real file."""

from __future__ import annotations

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.material import (
    DATABASE,
    MONTHS,
    OFFICE,
    SMARTSUB,
    Expected,
    environment,
    smartsub,
    smartsub_json,
    write_files,
)

Place = tuple[dict[str, str], Expected]

# What the JSON of an order in a list, and of a user, has: no more and no less.
_LISTED = {
    *("number", "type", "office", "status", "apartments", "net", "tax", "total", "created_at", "created_by", "pay_by"),
    *("paid_at", "months", "until", "next_expiration", "po_number", "buyer_reference", "invoice", "deleted"),
}
_PERSON = {
    *("id", "name", "office", "department", "kind", "apartment"),
    *("service", "state", "activated_on", "expires_on"),
}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Expected]:
    """A folder with a database into which the office was imported."""
    folder = tmp_path_factory.mktemp("imported")
    files, expected = write_files(folder)
    smartsub(environment(folder), "import", *files)
    return folder, expected


@pytest.fixture
def place(imported: tuple[Path, Expected], tmp_path: Path) -> Place:
    """A copy of it, and the environment of someone who works on it."""
    folder, expected = imported
    shutil.copy(folder / DATABASE, tmp_path)
    return environment(tmp_path), expected


def eur(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "EUR"}


def test_import_renew_pay_find_and_open(tmp_path: Path) -> None:
    files, expected = write_files(tmp_path)
    env = environment(tmp_path)
    report = smartsub_json(env, "import", *files)
    assert [(each["kind"], each["rows"], each["added"]) for each in report["files"]] == [
        ("prices", 6, 6), ("users", 28, 28), ("orders", 2, 2),
    ]  # fmt: skip
    before = smartsub_json(env, "users", "--limit", "0")
    assert smartsub_json(env, "import", *files)["files"][1]["added"] == 0
    assert smartsub_json(env, "users", "--limit", "0") == before

    (elsewhere, here) = sorted(smartsub_json(env, "offices"), key=lambda each: each["users"])
    assert (here["name"], here["users"], here["inactive"]) == (OFFICE, 27, 1)
    assert elsewhere["users"] == 1

    dry = smartsub_json(env, "renew", "--office", OFFICE, "--months", str(MONTHS), "--dry-run")
    assert dry["number"] is None
    assert len(smartsub_json(env, "orders")) == 2

    made = smartsub_json(env, "renew", "--office", OFFICE, "--months", str(MONTHS))
    assert (made["type"], made["status"], made["months"]) == ("subscription", "processing", MONTHS)
    assert (made["net"], made["tax"], made["total"]) == (
        eur(expected.net), eur(expected.tax), eur(expected.total),
    )  # fmt: skip
    assert {line["user_id"]: line["new_expiry"] for line in made["lines"]} == {
        key: day.isoformat() for key, day in expected.expiries.items()
    }
    assert made["skipped"] == []
    assert made["apartments"] == 26
    number = made["number"]
    assert len(number) == 20

    paid = smartsub_json(env, "pay", number, "--reference", "kvittering 17")
    assert paid["status"] == "succeed"
    assert paid["invoice"]["number"].endswith("-000001")
    assert [(each["provider"], each["state"], each["reference"], each["amount"]) for each in paid["payments"]] == [
        ("manual", "succeeded", "kvittering 17", eur(expected.total))
    ]

    found = smartsub_json(env, "orders", "status:succeed", "type:subscription", number[5:17], f'office:"{OFFICE}"')
    assert [each["number"] for each in found] == [number]
    assert set(found[0]) == _LISTED
    details = smartsub_json(env, "order", number)
    assert set(details) == set(found[0]) | {"lines", "payments", "events", "credit_notes"}
    assert {line["user_id"]: line["new_expiry"] for line in details["lines"]} == {
        key: day.isoformat() for key, day in expected.expiries.items()
    }
    assert [event["action"] for event in details["events"]] == ["create", "pay"]

    people = {each["id"]: each for each in smartsub_json(env, "users", f'office:"{OFFICE}"', "--limit", "0")}
    assert {key: people[key]["expires_on"] for key in expected.expiries} == {
        key: day.isoformat() for key, day in expected.expiries.items()
    }
    assert people["K950"]["state"] == "inactive"
    assert set(people["K001"]) == _PERSON
    text = smartsub(env, "order", number).stdout
    assert "Succeed: paid" in text
    assert "Number of Apartments" in text


def test_a_late_confirmation_is_applied_once_and_flagged(place: Place, tmp_path: Path) -> None:
    env, _ = place
    config = tmp_path / "config.toml"
    config.write_text('[orders]\npay_within = "1s"\n')
    env = {**env, "SMARTSUB_CONFIG": str(config)}
    number = smartsub_json(env, "renew", "--office", OFFICE, "--months", "1", "K001", "K00")["number"]
    while smartsub_json(env, "sweep")["timed_out"] == 0:
        pass
    assert smartsub_json(env, "order", number)["status"] == "time_out"
    refused = smartsub(env, "pay", number, "--reference", "too late", code=1).stderr
    assert "time to pay is over" in refused
    paid = smartsub_json(env, "confirm", number, "--reference", "bank 5")
    assert paid["status"] == "succeed"
    assert paid["events"][-1]["after"]["late"] is True
    assert [each["number"] for each in smartsub_json(env, "orders", "is:late")] == [number]
    again = smartsub(env, "confirm", number, "--reference", "bank 5", code=1).stderr
    assert "already paid" in again
    assert smartsub_json(env, "order", number)["lines"] == paid["lines"]


def test_money_for_a_cancelled_order_waits_and_is_never_lost(place: Place) -> None:
    env, _ = place
    number = smartsub_json(env, "renew", "--office", OFFICE, "--months", "1", "K002")["number"]
    smartsub(env, "cancel", number, "--reason", "they changed their mind")
    done = smartsub(env, "confirm", number, "--reference", "bank 6")
    assert "waits" in done.stderr
    assert [each["number"] for each in smartsub_json(env, "orders", "is:unapplied")] == [number]
    assert smartsub_json(env, "order", number)["status"] == "cancel"
    assert "waits to be applied or refunded" in smartsub(env, "delete", number, "--reason", "x", code=1).stderr
    applied = smartsub_json(env, "apply", number)
    assert applied["status"] == "succeed"
    assert smartsub_json(env, "orders", "is:unapplied") == []


def test_twenty_processes_pay_at_once_and_one_does(place: Place) -> None:
    env, expected = place
    number = smartsub_json(env, "renew", "--office", OFFICE, "--months", str(MONTHS))["number"]

    def pay(place: int) -> subprocess.CompletedProcess[str]:
        command = [*SMARTSUB, "--json", "pay", number, "--reference", f"desk {place}"]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(20) as desks:
        done = list(desks.map(pay, range(20)))
    assert sorted(each.returncode for each in done) == [0] + [1] * 19
    assert all("already paid" in each.stderr for each in done if each.returncode)
    details = smartsub_json(env, "order", number)
    assert len(details["payments"]) == 1
    assert {line["user_id"]: line["new_expiry"] for line in details["lines"]} == {
        key: day.isoformat() for key, day in expected.expiries.items()
    }


def test_a_request_id_makes_a_repeat_harmless(place: Place) -> None:
    env, _ = place
    command = ("renew", "--office", OFFICE, "--months", "1", "K003", "--request-id", "r-1")
    first = smartsub_json(env, *command)
    assert smartsub_json(env, *command) == first
    assert len(smartsub_json(env, "orders", "status:processing")) == 1
    other = ("renew", "--office", OFFICE, "--months", "2", "K003", "--request-id", "r-1")
    assert "used for something else" in smartsub(env, *other, code=1).stderr


@pytest.mark.parametrize("months", ["0", "61", "1.5", "", " ", "-1", "1e1", "１２"])
def test_months_out_of_range_are_wrong_usage(place: Place, months: str) -> None:
    env, _ = place
    done = smartsub(env, "renew", "--office", OFFICE, f"--months={months}", code=2)
    assert "from 1 to 60" in done.stderr
    assert smartsub_json(env, "orders", "status:processing") == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("orders", "status:suceed"), 2, "succeed"),
        (("orders", "stauts:failed"), 2, "status"),
        (("users", "state:expird"), 2, "expired"),
        (("order", "1234"), 3, "no order has the number"),
        (("renew", "--office", "Nowhere", "--months", "1"), 3, "no office is called"),
        (("renew", "--office", OFFICE, "--until", "2027-01-01"), 1, "only a community"),
        (("renew", "--office", OFFICE, "--months", "1", "--until", "2027-01-01"), 2, "one of them"),
        (("renew", "--office", OFFICE, "--months", "1", "nobody-like-this"), 1, "nobody was chosen"),
        (("--admin", "mallory", "offices"), 4, "no admin"),
        (("offices", "--database", "sqlite:////nowhere/at/all.sqlite3"), 5, "smartsub init"),
        (("offices", "--database", "mysql://x"), 2, "no database URL"),
        (("nonsense",), 2, "no command"),
        (("ordrs",), 2, "did you mean orders"),
        (("pay", "1"), 3, "no order"),
        (("import", "missing.csv"), 3, "missing.csv"),
        (("cancel", "1", "--reason", ""), 2, "reason is empty"),
        (("cancel", "1", "--reason", "a\u202eb"), 2, "U+202E"),
    ],
)
def test_bad_input_gets_a_sentence_and_its_exit_code(
    place: Place, arguments: tuple[str, ...], code: int, says: str
) -> None:
    env, _ = place
    done = smartsub(env, *arguments, code=code)
    assert says in done.stderr
    assert done.stdout == ""


def test_global_options_stand_before_and_after_the_command(place: Place) -> None:
    env, _ = place
    url = env.pop("SMARTSUB_DATABASE")
    before = smartsub(env, "--database", url, "--json", "offices").stdout
    after = smartsub(env, "offices", "--json", "--database", url).stdout
    assert before == after
    assert len(json.loads(before)) == 2


def test_an_unknown_setting_is_refused_with_the_nearest_right_one(place: Place, tmp_path: Path) -> None:
    env, _ = place
    config = tmp_path / "c.toml"
    config.write_text("[orders]\npay_whithin = '1h'\n")
    done = smartsub(env, "--config", config, "offices", code=2)
    assert "did you mean pay_within?" in done.stderr
    assert str(config) in done.stderr


def test_reading_orders_imports_neither_textual_nor_arrow(place: Place) -> None:
    env, _ = place
    code = (
        "import sys\nfrom smartsub_tui.cli import cli\n"
        "cli.main(['orders', '--json'], standalone_mode=False)\n"
        "late = ('textual', 'rich', 'arrow', 'fpdf', 'segno', 'stripe', 'argon2')\n"
        "print([name for name in late if name in sys.modules])"
    )
    done = subprocess.run([SMARTSUB[0], "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_billing_system_s_address_is_printed_as_it_is_set(tmp_path: Path) -> None:
    env = environment(tmp_path)  # with no database: none is needed
    config = tmp_path / "c.toml"
    config.write_text('[billing_system]\nurl = "https://bücher.example/a?b=%20c&d=e;f#g"\n', encoding="utf-8")
    env["SMARTSUB_CONFIG"] = str(config)
    assert smartsub(env, "billing").stdout == "https://bücher.example/a?b=%20c&d=e;f#g\n"
    assert smartsub_json(env, "billing") == {"url": "https://bücher.example/a?b=%20c&d=e;f#g"}
    config.write_text("[billing_system]\nurl = 'https://admin:hunter2@billing.example/'\n", encoding="utf-8")
    refused = smartsub(env, "billing", code=2).stderr
    assert f"{config}: [billing_system] url: it holds a user or a password" in refused
    assert "hunter2" not in refused


@pytest.mark.parametrize("named", [True, False], ids=["a file that is named", "the default file"])
def test_without_an_address_of_a_billing_system_it_is_said_what_to_write_where(tmp_path: Path, named: bool) -> None:
    env = environment(tmp_path)
    config = tmp_path / "c.toml"
    config.write_text("[billing_system]\nurl = ''\n")
    where = str(config) if named else str(tmp_path / ".config" / "smartsub" / "config.toml")
    options = ("--config", config) if named else ()
    for json_ in ((), ("--json",)):
        done = smartsub(env, "billing", *options, *json_, code=1)
        assert done.stdout == ""
        assert f"No billing system is set. Write its address into {where}:" in done.stderr
        assert '[billing_system]\nurl = "https://billing.example.com/"' in done.stderr


def test_without_a_terminal_dashboard_and_newest_orders_are_printed(place: Place) -> None:
    env, _ = place
    done = smartsub(env)
    assert OFFICE in done.stdout
    assert "20240501100000000002" in done.stdout
    assert "Number of Apartments" in done.stdout


def test_a_reader_that_has_had_enough_is_no_error(place: Place) -> None:
    env, _ = place
    pipe = f"{SMARTSUB[0]} -m smartsub_tui users --limit 0 | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", pipe], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
