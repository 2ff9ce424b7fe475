"""Paying by link on the command line, through the test provider as its own process; and that no secret leaks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smartsub_tui.billing.links import SHORTEST
from tests.journeys.material import DATABASE, OFFICE, SMARTSUB, environment, smartsub, smartsub_json, write_files
from tests.providers import CARD_NUMBER, Fault, pay
from tests.providers.process import Remote, started

Env = dict[str, str]


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    with started(tmp_path_factory.mktemp("provider")) as made:
        yield made


@pytest.fixture
def env(tmp_path: Path, remote: Remote) -> Env:
    """People to renew, and Stripe set up by a file of its own."""
    remote.post("faults", {})
    made = environment(tmp_path)
    (tmp_path / "config.toml").write_text(
        f'[payments]\nstripe_key_file = "{remote.key_file}"\nreturn_url = "https://example.com/paid"\n'
        f'stripe_url = "{remote.url}"\n'
    )
    made["SMARTSUB_CONFIG"] = str(tmp_path / "config.toml")
    files, _ = write_files(tmp_path)
    smartsub(made, "import", *files)
    return made


def renew(env: Env, *more: str) -> str:
    made = smartsub_json(env, "renew", "--office", OFFICE, "--months", "12", *more)
    number: str = made["number"]
    return number


@pytest.mark.long
def test_an_order_is_paid_by_its_link_and_the_sweep_hears_of_it(env: Env, remote: Remote) -> None:
    before = len(remote.paid())
    renewal = ("renew", "--office", OFFICE, "--months", "12", "--pay", "stripe", "--request-id", "r" * 500)
    made = smartsub_json(env, *renewal)
    (payment,) = made["payments"]
    assert (made["status"], payment["provider"], payment["state"]) == ("processing", "stripe", "sent")
    again = smartsub_json(env, *renewal)
    assert again["payments"] == made["payments"]
    shown = smartsub_json(env, "pay", made["number"], "--provider", "stripe")
    assert shown["payments"][0]["link"] == payment["link"]
    for command in (("pay", made["number"], "--provider", "stripe"), ("order", made["number"])):
        assert payment["link"] in smartsub(env, *command).stdout.splitlines()
    end = datetime.fromisoformat(payment["expires_at"])
    assert datetime.now(UTC) < end <= datetime.now(UTC) + timedelta(days=1)
    assert pay(payment["link"]).status == 200
    said = smartsub(env, "pay", made["number"], "--reference", "R", code=1)
    assert "it is already paid" in said.stderr
    order = smartsub_json(env, "order", made["number"])
    assert (order["status"], order["invoice"]["number"][:3]) == ("succeed", "INV")
    assert payment["link"] not in smartsub(env, "order", made["number"]).stdout
    assert len(remote.paid()) == before + 1
    assert smartsub_json(env, "sweep") == {"timed_out": 0, "payments": [], "refunds": [], "waiting": {}}


def test_a_link_is_ended_before_the_order_is_cancelled(env: Env, remote: Remote) -> None:
    number = renew(env, "--pay", "stripe")
    link = smartsub_json(env, "order", number)["payments"][0]["link"]
    cancelled = smartsub_json(env, "cancel", number, "--reason", "a mistake")
    assert (cancelled["status"], cancelled["payments"][0]["state"]) == ("cancel", "expired")
    assert pay(link).status in (409, 410)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (("cancel", "--reason", "why", "--request-id", ""), "--request-id is empty"),
        (("cancel", "--reason", "wh\u202ey"), "--reason holds U+202E"),
        (("pay", "--reference", " "), "--reference is empty"),
        (("pay", "--reference", ""), "say --reference TEXT"),
    ],
)
def test_what_cannot_be_stored_ends_no_link(env: Env, remote: Remote, wrong: tuple[str, ...], what: str) -> None:
    number = renew(env, "--pay", "stripe")
    refused = smartsub(env, wrong[0], number, *wrong[1:], code=2)
    assert what in refused.stderr
    assert smartsub_json(env, "order", number)["payments"][0]["state"] == "sent"


def test_an_order_that_is_soon_due_gets_the_time_that_its_link_needs(env: Env, remote: Remote) -> None:
    config = Path(env["SMARTSUB_CONFIG"])
    config.write_text(config.read_text() + '[orders]\npay_within = "5m"\n')
    number = renew(env, "--pay", "stripe")
    order = smartsub_json(env, "order", number)
    pay_by = datetime.fromisoformat(order["pay_by"])
    assert pay_by == datetime.fromisoformat(order["payments"][0]["expires_at"])
    assert pay_by > datetime.now(UTC) + SHORTEST - timedelta(minutes=5)
    (begun,) = [event for event in order["events"] if event["action"] == "begin_link"]
    assert "pay_by" in begun["after"]
    assert "to be paid until" in smartsub(env, "order", number).stdout


@pytest.mark.parametrize("fault", [Fault.ERROR_BEFORE, Fault.ERROR_AFTER, Fault.HTML, Fault.BAD_GATEWAY])
def test_no_secret_is_told_whatever_the_provider_says(env: Env, remote: Remote, tmp_path: Path, fault: Fault) -> None:
    number = renew(env)
    remote.post("faults", {"always": [{"call": None, "fault": fault.value}]})
    failed = smartsub(env, "pay", number, "--provider", "stripe", code=5)
    assert "no answer about the payment link" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    told = [failed.stdout, failed.stderr]
    for command in (("order", number), ("sweep",), ("doctor",), ("export", "orders")):
        done = smartsub(env, *command)
        told += [done.stdout, done.stderr]
    audit = subprocess.run(
        [*SMARTSUB, "--admin", "a-stranger", "order", number], env=env, capture_output=True, text=True, check=False
    )
    told += [audit.stdout, audit.stderr]
    stored = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != remote.key_file]
    assert (tmp_path / DATABASE).read_bytes() in stored
    for secret in (remote.key, CARD_NUMBER):
        assert not [text for text in told if secret in text]
        assert not [data for data in stored if secret.encode() in data]
    order = smartsub_json(env, "order", number)
    assert (order["status"], order["payments"][0]["state"]) == ("system_processing", "unknown")


def test_the_key_stands_in_no_process_list(env: Env, remote: Remote) -> None:
    number = renew(env)
    remote.post("faults", {"always": [{"call": "create", "fault": "slow"}]})
    command = [*SMARTSUB, "pay", number, "--provider", "stripe"]
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while ["create", "slow"] not in remote.get("requests"):
                assert process.poll() is None
            for name in ("cmdline", "environ"):
                assert remote.key.encode() not in Path(f"/proc/{process.pid}/{name}").read_bytes()
        finally:
            remote.post("faults", {})
            process.wait()


def test_without_a_payment_by_stripe_its_library_is_not_loaded(env: Env, remote: Remote) -> None:
    number = renew(env)
    for arguments in (["pay", number, "--reference", "R"], ["sweep"], ["order", number], ["orders"]):
        code = (
            "import sys\nfrom smartsub_tui.cli import cli\n"
            f"cli.main({arguments!r}, standalone_mode=False)\n"
            "print([name for name in ('stripe', 'requests') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"
