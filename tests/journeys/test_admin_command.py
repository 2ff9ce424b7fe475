"""smartsub admin: who works here, from the first manager to one who is stopped, in real processes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.journeys.material import OFFICE, environment, smartsub, smartsub_json, write_files

Env = dict[str, str]


@pytest.fixture
def env(tmp_path: Path) -> Env:
    env = environment(tmp_path)
    files, _ = write_files(tmp_path)
    smartsub(env, "import", *files)
    return env


def test_an_operator_is_made_works_within_a_limit_and_is_stopped(env: Env) -> None:
    made = smartsub_json(env, "admin", "add", "ann", "--role", "operator", "--limit", "20.00EUR")
    assert (made["name"], made["role"], made["disabled_at"]) == ("ann", "operator", None)
    assert made["limits"] == [{"amount": 2000, "currency": "EUR"}]
    listed = smartsub_json(env, "admin", "list")
    assert [each["role"] for each in listed if each["name"] == "ann"] == ["operator"]
    assert listed == smartsub_json(env, "admin")
    office = smartsub_json(env, "offices")[0]["name"]
    number = smartsub_json(env, "--admin", "ann", "renew", "--office", office, "--months", "60")["number"]
    refused = smartsub(env, "--admin", "ann", "pay", number, "--reference", "R", code=4)
    assert f"order {number} cannot be paid: its total, " in refused.stderr
    assert "is above the limit of ann, EUR 20.00: ask a manager" in refused.stderr
    smartsub(env, "admin", "change", "ann", "--no-limit")
    smartsub(env, "--admin", "ann", "pay", number, "--reference", "R")
    smartsub(env, "admin", "disable", "ann")
    assert "ann is disabled: ask a manager of this database" in smartsub(env, "--admin", "ann", "orders", code=4).stderr
    assert smartsub(env, "admin", "list").stdout.count("ann") == 1
    smartsub(env, "admin", "enable", "ann")
    smartsub(env, "--admin", "ann", "orders")


def test_who_works_for_one_office_finds_no_other(env: Env) -> None:
    number = smartsub_json(env, "renew", "--office", OFFICE, "--months", "1")["number"]
    made = smartsub_json(env, "admin", "add", "ann", "--role", "operator", "--office", "elsewhere")
    assert made["offices"] == ["Elsewhere"]
    assert [each["name"] for each in smartsub_json(env, "--admin", "ann", "offices")] == ["Elsewhere"]
    assert smartsub_json(env, "--admin", "ann", "orders") == []
    assert {each["id"] for each in smartsub_json(env, "--admin", "ann", "users")} == {"K999"}
    assert f"no order has the number {number}" in smartsub(env, "--admin", "ann", "order", number, code=3).stderr
    smartsub(env, "admin", "change", "ann", "--all-offices")
    assert smartsub_json(env, "--admin", "ann", "order", number)["number"] == number


def test_a_dry_run_and_a_repeat(env: Env) -> None:
    done = smartsub(env, "admin", "add", "ann", "--role", "viewer", "--dry-run")
    assert "dry run: nothing was stored" in done.stderr
    assert "ann" in done.stdout
    first = smartsub_json(env, "admin", "add", "ann", "--role", "viewer", "--request-id", "r")
    assert smartsub_json(env, "admin", "add", "ann", "--role", "viewer", "--request-id", "r") == first


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("add", "ann"), 2, "Missing option '--role'"),
        (("add", "ann", "--role", "king"), 2, "'king' is not one of 'viewer', 'operator', 'manager', 'auditor'"),
        (("add", "a b", "--role", "viewer"), 2, "'a b' is no name of an admin"),
        (("add", "ann", "--role", "viewer", "--limit", "1EUR"), 2, "limits are an operator's, and this is viewer"),
        (("add", "ann", "--role", "operator", "--limit", "12"), 2, "'12' names no currency: write an amount and its"),
        (("add", "ann", "--role", "operator", "--limit", "1.234EUR"), 2, "'1.234' has more decimals than EUR"),
        (("change", "ann"), 2, "--role, --limit, --no-limit, --office or --all-offices"),
        (("change", "ann", "--limit", "1EUR", "--no-limit"), 2, "--limit and --no-limit exclude each other"),
        (("change", "ann", "--office", "x", "--all-offices"), 2, "--office and --all-offices exclude each other"),
        (("add", "ann", "--role", "viewer", "--office", "Nowhere"), 3, "no office is called 'Nowhere'"),
        (("disable", "ann"), 3, "no admin is called 'ann'"),
        (("key", "ann"), 3, "no admin is called 'ann'"),
        (("key", "ann", "--add", "nowhere"), 2, "nowhere cannot be read: No such file or directory"),
        (("key", "ann", "--add", "/dev/zero"), 2, "/dev/zero is too long for a public key: name another"),
        (("key", "ann", "--add", "-"), 2, "this is not one public key in one line"),
        (("key", "ann", "--add", "x", "--remove", "y"), 2, "--add and --remove exclude each other"),
        (("key", "ann", "--dry-run"), 2, "nothing is changed without --add or --remove"),
    ],
)
def test_what_is_wrong_gets_a_sentence_and_its_exit_code(
    env: Env, arguments: tuple[str, ...], code: int, says: str
) -> None:
    assert says in smartsub(env, "admin", *arguments, code=code).stderr


def test_others_than_managers_say_nothing_of_admins(env: Env) -> None:
    smartsub(env, "admin", "add", "ann", "--role", "operator")
    told = smartsub(env, "--admin", "ann", "admin", "add", "bob", "--role", "manager", code=4).stderr
    assert "ann is operator here and may not say who the admins are: ask a manager" in told
    assert "ann" in smartsub(env, "--admin", "ann", "admin", "list").stdout


def test_keys_are_registered_listed_and_removed(env: Env, tmp_path: Path) -> None:
    smartsub(env, "admin", "add", "ann", "--role", "operator")
    assert "ann has no key: smartsub admin key ann --add FILE" in smartsub(env, "admin", "key", "ann").stdout
    assert smartsub_json(env, "admin", "key", "ann") == []
    made = make_key(tmp_path / "ann")
    assert "dry run: nothing was stored" in smartsub(env, "admin", "key", "ann", "--add", made, "--dry-run").stderr
    added = smartsub_json(env, "admin", "key", "ann", "--add", made, "--request-id", "r")
    assert smartsub_json(env, "admin", "key", "ann", "--add", made, "--request-id", "r") == added
    assert (added["admin"], added["type"]) == ("ann", "ssh-ed25519")
    assert smartsub_json(env, "admin", "key", "ann") == [added]
    assert added["fingerprint"] in smartsub(env, "--admin", "ann", "admin", "key", "ann").stdout
    smartsub(env, "--admin", "ann", "admin", "key", "ann", "--remove", added["fingerprint"], code=4)
    assert smartsub_json(env, "admin", "key", "ann", "--remove", added["fingerprint"]) == added
    smartsub(env, "admin", "key", "ann", "--remove", added["fingerprint"], code=3)
    assert smartsub_json(env, "admin", "key", "ann") == []


def make_key(file: Path) -> Path:
    """A new pair of keys; the file of the public one."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
    return file.with_suffix(".pub")
