"""Who logs in, and as whom; what scripts get; and that it counts at once when a key or an admin is no more."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smartsub_tui.billing.admin_keys import parse_key
from tests.journeys.material import OFFICE
from tests.packaging.terminal import Terminal
from tests.ssh.sshd import ROOT, Sshd, run

pytestmark = [pytest.mark.pty, pytest.mark.once]


def fingerprint(sshd: Sshd, key: str) -> str:
    return parse_key(sshd.key(key).with_suffix(".pub").read_text()).fingerprint


@contextmanager
def connection(sshd: Sshd, key: str) -> Iterator[tuple[str, ...]]:
    """A connection that stays open; the options by which other sessions go through it."""
    through = ("-o", f"ControlPath={sshd.folder / 'control'}")
    opened = sshd.ssh(key, "offices", options=("-o", "ControlMaster=yes", "-o", "ControlPersist=yes", *through))
    assert opened.returncode == 0, opened.stderr
    try:
        yield through
    finally:
        sshd.ssh(key, options=("-O", "exit", *through))


def refused_by_sshd_or_wrapper(sshd: Sshd, key: str, says: str) -> None:
    """Where sshd asks the database it lets nobody in; where it has a file, the wrapper does not."""
    done = sshd.ssh(key, "offices")
    assert done.stdout == ""
    if done.returncode == 255:
        assert "Permission denied (publickey)" in done.stderr
    else:
        assert (done.returncode, says in done.stderr) == (4, True), done.stderr


@pytest.mark.parametrize(("admin", "role"), [("ann", "operator"), ("bob", "viewer"), ("manager", "manager")])
def test_whoever_logs_in_has_their_own_dashboard(sshd: Sshd, admin: str, role: str) -> None:
    with sshd.terminal(admin) as terminal:
        terminal.wait_for(f"{admin} · {role}")
        terminal.type("1")
        terminal.wait_for(OFFICE)
        terminal.type("q")
        assert terminal.wait_for_exit() == 0


@pytest.mark.parametrize(
    "words",
    [
        ("offices", "--json"),
        ("--json", "users", "--limit", "3", "kind:user"),
        ("orders", "--json", "--sort=created", "status:succeed"),
        ("order", "20240501100000000001", "--json"),
    ],
    ids=" ".join,
)
def test_a_script_gets_the_json_that_the_machine_prints(sshd: Sshd, words: tuple[str, ...]) -> None:
    there = sshd.ssh("ann", *words)
    assert (there.returncode, there.stderr.count("smartsub:")) == (0, 0)
    here = run([*sshd.setup.program, "--admin", "ann", "--database", sshd.setup.database, *words], home=sshd.setup.data)
    assert json.loads(there.stdout) == json.loads(here.stdout) != []


def test_a_script_gets_an_export_on_its_standard_output(sshd: Sshd) -> None:
    done = sshd.ssh("bob", f"export users --format csv 'office:\"{OFFICE}\"'")
    assert done.stdout.startswith("office,office_kind,timezone,currency,department,user_id")
    assert done.stdout.count(OFFICE) == 27


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("order 99", 3, "smartsub: no order"),
        ("orders colour:red", 2, "smartsub: "),
        ("export audit", 4, "smartsub: ann is operator here and may not export the audit trail"),
        ("orders --limit=x", 2, "smartsub: Invalid value for '--limit'"),
    ],
)
def test_exit_code_and_error_of_a_command_come_through(sshd: Sshd, words: str, code: int, says: str) -> None:
    done = sshd.ssh("ann", words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(says)


def test_without_a_terminal_there_is_the_dashboard_as_text(sshd: Sshd) -> None:
    done = sshd.ssh("ann", options=("-T",))
    assert done.returncode == 0
    assert OFFICE in done.stdout
    assert "\x1b" not in done.stdout


def test_a_dumb_terminal_gets_text(sshd: Sshd) -> None:
    with sshd.terminal("ann", term="dumb") as terminal:
        assert terminal.wait_for_exit() == 0
        assert OFFICE.encode() in terminal.output
        assert b"\x1b" not in terminal.output


def test_a_key_that_nobody_registered_lets_nobody_in(sshd: Sshd) -> None:
    done = sshd.ssh("stranger", "offices")
    assert (done.returncode, done.stdout) == (255, "")
    assert "Permission denied (publickey)" in done.stderr


def test_nothing_but_a_key_is_asked_for(sshd: Sshd) -> None:
    for method in ("password", "keyboard-interactive", "hostbased", "none"):
        done = sshd.ssh("ann", "offices", options=("-o", f"PreferredAuthentications={method}", "-o", "BatchMode=no"))
        assert (done.returncode, done.stdout) == (255, "")
        assert "Permission denied (publickey)" in done.stderr


def test_a_key_counts_from_the_moment_when_it_is_registered_to_the_one_when_it_is_removed(sshd: Sshd) -> None:
    sshd.add("carol")
    assert sshd.ssh("carol", "offices").returncode == 255
    sshd.register("carol", "carol")
    assert sshd.ssh("carol", "offices").returncode == 0
    sshd.smartsub("--admin", "manager", "admin", "key", "carol", "--remove", fingerprint(sshd, "carol"))
    refused_by_sshd_or_wrapper(sshd, "carol", "this key is no admin's who may log in: ask a manager of this database")


def test_a_disabled_admin_does_not_log_in(sshd: Sshd) -> None:
    sshd.add("dave")
    sshd.register("dave", "dave")
    assert sshd.ssh("dave", "offices").returncode == 0
    sshd.smartsub("--admin", "manager", "admin", "disable", "dave")
    refused_by_sshd_or_wrapper(sshd, "dave", "this key is no admin's who may log in: ask a manager of this database")


def test_through_an_open_connection_too_a_key_counts_no_more_once_it_is_removed(sshd: Sshd) -> None:
    sshd.add("erin")
    sshd.register("erin", "erin")
    with connection(sshd, "erin") as through:
        assert sshd.ssh("erin", "offices", options=through).returncode == 0
        sshd.smartsub("--admin", "manager", "admin", "key", "erin", "--remove", fingerprint(sshd, "erin"))
        done = sshd.ssh("erin", "offices", options=through)
        assert (done.returncode, done.stdout) == (4, "")
        assert "this key is no admin's who may log in: ask a manager of this database" in done.stderr
    assert f"refused over SSH, {fingerprint(sshd, 'erin')}: this key is no admin's who may log in" in log_of(sshd)


def test_a_key_that_was_given_to_another_logs_that_one_in(sshd: Sshd) -> None:
    for name in ("frank", "grace"):
        sshd.add(name)
    sshd.register("frank", "moved")
    taken = sshd.key("moved").with_suffix(".pub").read_text()
    told = sshd.smartsub("--admin", "manager", "admin", "key", "grace", "--add", "-", said=taken, code=1)
    assert "this key is frank's, and a key is one admin's" in told
    sshd.smartsub("--admin", "manager", "admin", "key", "frank", "--remove", fingerprint(sshd, "moved"))
    sshd.register("grace", "moved")
    with sshd.terminal("moved") as terminal:
        terminal.wait_for("grace · viewer")


def test_a_line_gone_is_a_session_gone(sshd: Sshd) -> None:
    with session_of(sshd, "ann") as (terminal, number):
        terminal.process.kill()
        wait_until_gone(number)


@contextmanager
def session_of(sshd: Sshd, key: str) -> Iterator[tuple[Terminal, int]]:
    with sshd.terminal(key) as terminal:
        terminal.wait_for(f"{key} · ")
        (number,) = sshd.sessions()
        yield terminal, number


@pytest.mark.parametrize("keys", ["\x03", "\x1a", "\x1c", "\x04", "\x11", "\x13", "\x1d"], ids=repr)
def test_keys_that_stop_programs_lead_to_no_shell(sshd: Sshd, keys: str) -> None:
    with session_of(sshd, "ann") as (terminal, number):
        terminal.type(keys * 3)
        for key, shows in (("3", "20240501100000000001"), ("1", OFFICE)):
            terminal.type(key)
            terminal.wait_for(shows)
            assert sshd.wrappers() == [number]


@pytest.mark.parametrize("signal", [1, 2, 3, 15])
def test_an_application_that_a_signal_ends_ends_the_session(sshd: Sshd, signal: int) -> None:
    with session_of(sshd, "ann") as (terminal, number):
        os.kill(number, signal)
        assert terminal.wait_for_exit() == 128 + signal
        assert sshd.wrappers() == []


def wait_until_gone(number: int) -> None:
    """Of a process that is not a child: its descriptor becomes readable when it ends."""
    import select

    try:
        descriptor = os.pidfd_open(number)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], 60)[0], f"process {number} is still there"
    finally:
        os.close(descriptor)


# The wrapper by itself, as sshd starts it: what it takes for sshd's word


def login(sshd: Sshd, file: Path | None, *arguments: str) -> tuple[int, str]:
    env = {} if file is None else {"SSH_USER_AUTH": str(file)}
    command = ["/bin/sh", str(sshd.setup.wrapper), *arguments]
    done = run(command, as_account=sshd.setup.account if ROOT else None, env={**env, "SSH_ORIGINAL_COMMAND": "offices"})
    assert (done.returncode == 0) is (OFFICE in done.stdout)
    return done.returncode, done.stderr


@pytest.fixture
def word(sshd: Sshd) -> Iterator[Path]:
    """What sshd would write for ann."""
    file = sshd.folder / "user_auth"
    key = parse_key(sshd.key("ann").with_suffix(".pub").read_text())
    file.write_text(f"publickey {key.line}\n")
    file.chmod(0o644)
    yield file
    file.unlink(missing_ok=True)


UNKNOWN = "by which key this login came is not known: let root look at smartsub ssh-setup"


def test_the_wrapper_takes_sshd_s_word(sshd: Sshd, word: Path) -> None:
    assert login(sshd, word) == (0, "")
    assert login(sshd, word, "--admin", "ann") == (0, "")


def test_a_line_of_another_admin_is_not_believed(sshd: Sshd, word: Path) -> None:
    code, said = login(sshd, word, "--admin", "bob")
    assert (code, said) == (4, "smartsub: this key is not that of bob: ask a manager of this database\n")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        "password\n",
        "keyboard-interactive/pam\n",
        "hostbased {key}\n",
        "publickey\n",
        "publickey {key} \0\n",
        "publickey  {key}\n",
        "publickey {key}\npublickey {key}\n",
        "publickey {key}\npassword\n",
        "publickey ssh-ed25519-cert-v01@openssh.com AAAA\n",
        "publickey \u00e9\n",
    ],
    ids=repr,
)
def test_another_word_is_not_believed(sshd: Sshd, word: Path, content: str) -> None:
    key = word.read_text().removeprefix("publickey ").rstrip("\n")
    word.write_text(content.format(key=key))
    code, said = login(sshd, word)
    assert (code, said) == (4, f"smartsub: {UNKNOWN}\n")


def test_a_word_that_is_not_sshd_s_is_not_believed(sshd: Sshd, word: Path) -> None:
    assert login(sshd, None) == (4, f"smartsub: {UNKNOWN}\n")
    assert login(sshd, word.parent) == (4, f"smartsub: {UNKNOWN}\n")
    link = word.with_name("link")
    link.symlink_to(word)
    try:
        assert login(sshd, link) == (4, f"smartsub: {UNKNOWN}\n")
    finally:
        link.unlink()
    word.chmod(0o666)
    assert login(sshd, word) == (4, f"smartsub: {UNKNOWN}\n")
    word.chmod(0o644)
    assert login(sshd, word)[0] == 0
    if ROOT:
        os.chown(word, 65534, 65534)
        assert login(sshd, word) == (4, f"smartsub: {UNKNOWN}\n")
    pipe = word.with_name("pipe")
    os.mkfifo(pipe)
    try:
        assert login(sshd, pipe) == (4, f"smartsub: {UNKNOWN}\n")
    finally:
        pipe.unlink()


def test_the_wrapper_itself_starts_in_an_empty_environment(sshd: Sshd) -> None:
    elsewhere = sshd.folder / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    env = {
        "SSH_USER_AUTH": "x",
        "XDG_STATE_HOME": str(elsewhere),
        "PYTHONPROFILEIMPORTTIME": "1",
        "HOME": str(elsewhere),
    }
    command = ["/bin/sh", str(sshd.setup.wrapper)]
    done = run(command, as_account=sshd.setup.account if ROOT else None, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (4, "", f"smartsub: {UNKNOWN}\n")
    assert list(elsewhere.iterdir()) == []
    assert "refused over SSH, no key: by which key" in log_of(sshd)


def log_of(sshd: Sshd) -> str:
    return (sshd.setup.data / ".local/state/smartsub/log/smartsub.log").read_text()
