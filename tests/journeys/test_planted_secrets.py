"""Secrets are planted wherever smartsub meets one, and looked for wherever somebody else could read them.

Each test also shows that the secret was there: the provider took the key, the PIN opened, the error was that one.
"""

from __future__ import annotations

import base64
import json
import re
import resource
import shutil
import sqlite3
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tests.journeys.material import DATABASE, OFFICE, write_files
from tests.journeys.planted import Home, children_of, is_in, of_process, planted
from tests.providers import CARD_NUMBER, Fault, pay
from tests.providers.process import Remote, started

pytestmark = [pytest.mark.pty, pytest.mark.once]

ESCAPE: Final = "\x1b[27u"
PIN, WRONG_PIN = "493817562048", "806152947361"
RENEW: Final = ("--json", "renew", "--office", OFFICE, "--months", "12")


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """A provider that takes a key which was planted, and tells it in every error of its own."""
    folder = tmp_path_factory.mktemp("provider")
    key_file = folder / "test-provider.key"
    key_file.touch(0o600)
    key_file.write_text(f"sk_test_51{planted()}")
    with started(folder) as made:
        yield made


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with people to renew, a manager, and an auditor."""
    made = Home(tmp_path_factory.mktemp("database"))
    files, _ = write_files(made.given)
    made.run("init", "--admin", "manager")
    made.run("import", "--admin", "manager", *files)
    made.run("admin", "add", "auditor", "--role", "auditor", "--admin", "manager")
    return made.folder / DATABASE


@pytest.fixture
def home(tmp_path: Path, database: Path, remote: Remote) -> Home:
    """Someone with a copy of it, and a secret in their environment that is none of smartsub's business."""
    remote.post("faults", {})
    remote.post("notice", {"text": ""})
    made = Home(tmp_path)
    made.env["SOMEBODY_ELSES_TOKEN"] = planted()
    shutil.copy(database, made.folder)
    return made


@pytest.fixture(autouse=True)
def core_files() -> Iterator[None]:
    """What is started here might leave a picture of its memory."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


def use(home: Home, remote: Remote, how: str, key: str | None = None) -> None:
    """Set Stripe up, with its key in the file or in the variable."""
    settings = f'[payments]\nreturn_url = "https://example.com/paid"\nstripe_url = "{remote.url}"\n'
    if how == "file":
        settings += f'stripe_key_file = "{home.give("stripe.key", key or remote.key)}"\n'
    else:
        home.env["SMARTSUB_STRIPE_KEY"] = key or remote.key
    home.configure(settings)


def renewed(home: Home, *more: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(home.run(*RENEW, "--admin", "manager", *more).stdout)
    return made


def look_everywhere(home: Home, number: str) -> None:
    """Every command that tells something of an order, of the trail, or of how it is set up; and a copy of all."""
    for words in (
        ("doctor",),
        ("--json", "doctor"),
        ("order", number),
        ("--json", "order", number),
        ("orders",),
        ("sweep", "--json"),
        ("audit", "verify"),
        ("--json", "admin", "list"),
        ("admin", "list"),
        ("views",),
        ("export", "orders", "-o", "orders.csv"),
        ("backup", "copy.sqlite3"),
        ("backup", "verify", "copy.sqlite3"),
        ("copy", "--to", "sqlite:///copied.sqlite3"),
    ):
        home.run(*words, "--admin", "manager")
    for form in ("csv", "jsonl"):
        home.run("export", "audit", "-o", f"audit.{form}", "--admin", "auditor")


def trail_of(home: Home) -> str:
    """The audit events as they are stored, and the log."""
    database = sqlite3.connect(home.folder / DATABASE)
    try:
        return repr(database.execute("SELECT * FROM audit_event").fetchall()) + home.log()
    finally:
        database.close()


# The key of Stripe, and what Stripe says


@pytest.mark.parametrize("how", ["file", "variable"])
def test_the_key_and_what_stripe_answers_stay_between_the_two(home: Home, remote: Remote, how: str) -> None:
    use(home, remote, how)
    home.env["STRIPE_LOG"] = "debug"  # the library's own variable
    remote.post("notice", {"text": f"whose key is {remote.key}?"})
    before = len(remote.paid())
    order = renewed(home, "--pay", "stripe")
    link = order["payments"][0]["link"]
    assert pay(link).status == 200
    done = home.run("pay", order["number"], "--reference", "R", "--admin", "manager", code=1)
    assert b"it is already paid" in done.stderr  # which Stripe was asked about
    look_everywhere(home, order["number"])
    assert len(remote.paid()) == before + 1  # it took the key, and no other
    told = [f"_secret_{each['id'][-16:]}" for each in remote.get("intents")]  # the ends of client_secret
    for secret in (remote.key, *told, home.env["SOMEBODY_ELSES_TOKEN"]):
        assert home.places_of(secret) == []
    assert home.started() == []
    # Who is to pay is given the link; it is nothing for the trail, for exports or for the log.
    token = urlsplit(link).fragment
    assert is_in(token, home.printed)
    assert not is_in(token, trail_of(home).encode())
    assert [place for place in home.places_of(token) if "sqlite3" not in place] == ["output"]


@pytest.mark.parametrize("fault", [None, Fault.REFUSED, Fault.ERROR_BEFORE, Fault.HTML])
def test_whatever_goes_wrong_between_them_tells_nothing(home: Home, remote: Remote, fault: Fault | None) -> None:
    """A key that is refused, no connection, and answers in which the key stands."""
    key = remote.key if fault else f"rk_live_{planted()}"
    use(home, remote, "file", key)
    number = renewed(home)["number"]
    if fault:
        remote.post("faults", {"always": [{"call": None, "fault": fault.value}]})
    done = home.run("pay", number, "--provider", "stripe", "--admin", "manager", code=5 if fault else 1)
    assert (b"no answer about the payment link" if fault else b"Stripe refuses the key") in done.stderr
    assert ["create", fault and fault.value] in remote.get("requests")
    look_everywhere(home, number)
    for secret in (key, CARD_NUMBER, home.env["SOMEBODY_ELSES_TOKEN"]):
        assert home.places_of(secret) == []


def test_the_password_of_a_proxy_is_not_told(home: Home, remote: Remote) -> None:
    use(home, remote, "file")
    password = planted()
    for name in ("http_proxy", "no_proxy", "NO_PROXY"):
        home.env.pop(name, None)
    home.env["HTTP_PROXY"] = f"http://user:{password}@127.0.0.1:1"
    seen = len(remote.get("requests"))
    number = renewed(home)["number"]
    done = home.run("pay", number, "--provider", "stripe", "--admin", "manager", code=5)
    assert b"Stripe cannot be reached" in done.stderr
    assert len(remote.get("requests")) == seen  # it was asked for by the proxy, which is not there
    look_everywhere(home, number)
    assert home.places_of(password) == home.places_of(remote.key) == []


@pytest.mark.parametrize("how", ["file", "variable"])
def test_the_application_shows_no_key_and_hands_none_on(home: Home, remote: Remote, how: str) -> None:
    use(home, remote, how)
    renewed(home)
    remote.post("faults", {"planned": [{"call": "create", "nth": 1, "fault": "error_before"}]})
    with home.terminal("--screen", "payments", "--admin", "manager") as terminal:
        number = terminal.process.pid
        terminal.wait_for("Processing")
        terminal.type("p")
        terminal.wait_for("The money is here")
        terminal.type("\x1b[B")
        terminal.wait_for("Open a payment link")
        terminal.type("y")
        terminal.wait_for("no answer")
        assert not is_in(remote.key, of_process(number, "cmdline"))
        if how == "file":
            assert not is_in(remote.key, of_process(number, "environ"))
        assert children_of(number) == ""
        assert b"Max core file size        0 " in of_process(number, "limits")
        terminal.type(f"{ESCAPE}{ESCAPE}M")
        terminal.wait_for("Messages")
        terminal.type(f"{ESCAPE * 4}1")
        terminal.wait_for("NEEDS YOU")
        terminal.type("q1q")
        assert terminal.wait_for_exit() == 0
    assert ["create", "error_before"] in remote.get("requests")
    assert home.started() == []
    for secret in (remote.key, CARD_NUMBER, home.env["SOMEBODY_ELSES_TOKEN"]):
        assert home.places_of(secret) == []


# Settings that are wrong

SETTINGS: Final = {
    "the key for its file": ('[payments]\nstripe_key_file = "sk_live_{}"\n', "stripe_key_file: it is a key"),
    "a restricted key for its file": ('[payments]\nstripe_key_file = " rk_test_{}"\n', "stripe_key_file: it is a key"),
    "a list of keys": ('[payments]\nstripe_key_file = ["sk_live_{}"]\n', "stripe_key_file: it is no text"),
    "an unknown name": ('[payments]\nstripe_key = "sk_live_{}"\n', "[payments] stripe_key is unknown"),
    "no section": ('webhook_secret = "whsec_{}"\n', "[webhook_secret] is unknown"),
    "a password in an address": ('[payments]\nstripe_url = "https://u:{}@x.example"\n', "holds a user or a password"),
    "a list of addresses": ('[billing_system]\nurl = ["https://u:{}@x.example"]\n', "url: it is no text"),
    "an address without encryption": ('[payments]\nstripe_url = "http://x.example/{}"\n', "neither encrypted nor"),
    "a table of addresses": ('[payments]\nreturn_url = {{ a = "{}" }}\n', "return_url: it is no text"),
    "no TOML": ('[payments]\nstripe_key_file = sk_live_{}\n', "is no TOML"),
    "a quote that does not end": ('[payments]\nstripe_key_file = "sk_live_{}\n', "is no TOML"),
    "twice": ('[payments]\nstripe_key_file = "a"\nstripe_key_file = "sk_live_{}"\n', "is no TOML"),
}  # fmt: skip


@pytest.mark.parametrize("what", SETTINGS)
def test_a_setting_that_is_wrong_is_not_repeated(tmp_path: Path, what: str) -> None:
    home, secret, (text, says) = Home(tmp_path), planted(), SETTINGS[what]
    home.configure(text.format(secret))
    for words in (("orders",), ("doctor",), ("--json", "doctor"), ("init",)):
        assert says.encode() in home.run(*words, code=2).stderr
    with home.terminal() as terminal:
        assert terminal.wait_for_exit() == 2
        assert says.encode() in terminal.output
    assert home.places_of(secret) == []


def test_a_key_of_another_form_is_not_repeated(home: Home, remote: Remote) -> None:
    secret = f"sk-live-{planted()}"
    number = renewed(home)["number"]
    for how in ("file", "variable"):
        use(home, remote, how, secret)
        done = home.run("pay", number, "--provider", "stripe", "--admin", "manager", code=2)
        assert b"holds no key of Stripe's" in done.stderr
    assert home.places_of(secret) == []


URLS: Final = (
    "postgresql://smartsub:{}@db.example/",
    "postgresql://smartsub:{}@db@example/smartsub",
    "postgresql+psycopg://smartsub:{}@db.example/smartsub",
    "POSTGRES://smartsub:{}@db.example/smartsub",
    "mysql://smartsub:{}@db.example/smartsub",
    "sqlite://smartsub:{}@db.example/smartsub.sqlite3",
    "host=db.example password={}",
)


@pytest.mark.parametrize("url", URLS)
def test_the_password_of_a_database_is_not_repeated(tmp_path: Path, url: str) -> None:
    home, secret = Home(tmp_path), planted()
    home.env["SMARTSUB_DATABASE"] = url.format(secret)
    for words in (("doctor",), ("--json", "doctor"), ("init",), ("migrate",), ("orders",), ("recover", "x"), ()):
        assert b"URL" in (said := home.run(*words, code=2).stderr) or b"a database on a server" in said
    del home.env["SMARTSUB_DATABASE"]
    home.run("doctor", "--database", url.format(secret), code=2)
    with home.terminal("--database", url.format(secret)) as terminal:
        assert terminal.wait_for_exit() == 2
    assert home.places_of(secret) == []


@pytest.mark.parametrize("extra", ["", "?sslmode=require"])
def test_the_password_of_a_server_that_does_not_answer_is_not_repeated(tmp_path: Path, extra: str) -> None:
    home, secret = Home(tmp_path), planted()
    url = f"postgresql://smartsub:{secret}@127.0.0.1:1/smartsub{extra}"
    home.env["SMARTSUB_DATABASE"] = url
    for words in (("doctor",), ("--json", "doctor"), ("init",), ("migrate",), ("orders",), ("backup", "x"), ()):
        assert b"nothing answers at 127.0.0.1:1" in home.run(*words, code=5).stderr
    home.run("recover", "x", code=None)
    with home.terminal() as terminal:
        assert terminal.wait_for_exit() == 5
    home.run("copy", "--to", "sqlite:///copied.sqlite3", code=5)
    assert home.places_of(secret) == []


def test_a_password_in_an_argument_is_refused_and_not_repeated(tmp_path: Path) -> None:
    home, secret = Home(tmp_path), planted()
    home.run("init")
    for url in (
        f"postgresql://smartsub:{secret}@db.example/smartsub",
        f"postgresql://smartsub:{secret}@one,two:5433/smartsub?sslmode=require",
        f"postgresql://smartsub@db.example/smartsub?password={secret}",
        f"postgresql://smartsub@db.example/smartsub?sslmode=require&sslpassword={secret}",
        f"mysql://smartsub:{secret}@db.example/smartsub",
        *(f"postgresql://smartsub:{secret}{sign}x@db.example/smartsub" for sign in "/?#@"),
        f"postgresql://me@corp:{secret}@db.example/smartsub",
        f"postgresql:smartsub:{secret}@db.example/smartsub",
        f"postgresql://smartsub@db.example/smartsub?pass%77ord={secret}",
        f"postgresql://smartsub@db.example/smartsub?passwd={secret}",
        f"host=db.example password={secret}",
    ):
        assert b"a password in an argument is seen by everyone" in home.run("--database", url, "doctor", code=2).stderr
    for words in (
        ("doctor", "--json", "--database", url),
        ("copy", "--to", url),
        ("copy", "--from", url, "--to", "sqlite:///x"),
    ):
        assert b"a password in an argument is seen by everyone" in home.run(*words, code=2).stderr
    for url in ("postgresql://smartsub@[::1]:1/smartsub", "postgresql://smartsub@127.0.0.1:1,127.0.0.1:2/smartsub"):
        assert b"nothing answers at" in home.run("--database", url, "doctor", code=5).stderr
    assert home.places_of(secret) == []


# PINs


def hashes(home: Home) -> list[str]:
    database = sqlite3.connect(home.folder / DATABASE)
    try:
        return [each for (each,) in database.execute("SELECT hash FROM admin_pin")]
    finally:
        database.close()


def test_a_pin_and_its_hash_stand_nowhere_but_the_hash_in_the_database(home: Home) -> None:
    with home.terminal("admin", "pin", "manager", "--admin", "manager") as terminal:
        terminal.wait_for("PIN: ")
        terminal.type(f"{PIN}\r")
        terminal.wait_for("The same again: ")
        terminal.type(f"{PIN}\r")
        assert terminal.wait_for_exit() == 0
    home.env["TEXTUAL_LOG"] = str(home.folder / "textual.log")
    number = renewed(home)["number"]
    with home.terminal("--screen", "payments", "--admin", "manager") as terminal:
        terminal.wait_for("Processing")
        terminal.type("\x0c")
        terminal.wait_for("PIN  ____")
        terminal.type(WRONG_PIN)
        terminal.wait_for("PIN  ************")
        terminal.type("\r")
        terminal.wait_for("that is not the PIN")
        terminal.type(PIN)
        terminal.wait_for("PIN  ************")
        assert not is_in(PIN, of_process(terminal.process.pid, "cmdline"))
        terminal.type("\r")
        terminal.wait_for("Processing")
        terminal.type("q1q")
        assert terminal.wait_for_exit() == 0
    look_everywhere(home, number)
    assert "textual.log" not in home.files()  # it would have each digit in a line of its own
    for pin in (PIN, WRONG_PIN):
        assert home.places_of(pin) == []
    (stored,) = hashes(home)
    assert stored.startswith("$argon2id$")
    secret = stored.rpartition("$")[2]
    assert {Path(place).name.partition("-")[0] for place in home.places_of(secret)} == {
        DATABASE,
        "copy.sqlite3",
        "copied.sqlite3",
    }
    assert not is_in(secret, trail_of(home).encode())


def test_a_pin_that_is_written_where_none_belongs_is_not_repeated(home: Home) -> None:
    to_manager = ("admin", "pin", "manager", "--admin", "manager")
    for words, says in (
        ((PIN,), b"a PIN is no argument"),
        (("--stdin", PIN), b"a PIN is no argument"),
        ((f"--pin={PIN}",), b"--pin is no option"),
        (("--pin", PIN), b"--pin is no option"),
    ):
        assert says in home.run(*to_manager, *words, code=2).stderr
    home.run(*to_manager, "--stdin", said=f"{PIN} {PIN}\n", code=2)
    home.run(*to_manager, "--stdin", said=f"{PIN}\n")
    assert len(hashes(home)) == 1
    assert home.places_of(PIN) == []


# SSH


def public_line(key: bytes) -> str:
    """The line of an ed25519 key, as RFC 8709 has it."""
    blob = b"".join(struct.pack(">I", len(each)) + each for each in (b"ssh-ed25519", key))
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def test_a_private_key_is_not_repeated(home: Home) -> None:
    secret = planted()
    text = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{secret}\n-----END OPENSSH PRIVATE KEY-----\n"
    to_manager = ("admin", "key", "manager", "--admin", "manager", "--add")
    for file, said in ((str(home.give("id_ed25519", text)), ""), ("-", text)):
        assert b"this is a private key" in home.run(*to_manager, file, said=said, code=2).stderr
    for said in (secret, f"ssh-ed25519 {secret}", f"ssh-rsa {base64.b64encode(secret.encode()).decode()}"):
        home.run(*to_manager, "-", said=said, code=2)
    assert home.places_of(secret) == []


def test_a_login_over_ssh_hands_nothing_on(home: Home, remote: Remote) -> None:
    use(home, remote, "variable")
    file, line = home.given / "user_auth", public_line(planted().encode())
    home.run("admin", "key", "manager", "--admin", "manager", "--add", "-", said=line)
    home.env["SSH_USER_AUTH"] = str(file)
    home.env["LC_ALL"] = "C.UTF-8"
    secret = planted()
    for text in (f"password {secret}\n", f"publickey ssh-ed25519 {secret}\n", f"publickey {line}\n{secret}\n"):
        file.write_text(text)
        assert b"by which key this login came is not known" in home.run("ssh-login", code=4).stderr
    assert "refused over SSH, no key: by which key" in home.log()
    assert home.started() == []
    file.write_text(f"publickey {line}\n")
    with home.terminal("ssh-login") as terminal:
        terminal.wait_for("NEEDS YOU")
        number = terminal.process.pid
        assert b"--profile\0ssh" in of_process(number, "cmdline")
        assert b"PATH=" in of_process(number, "environ")
        handed_on = of_process(number, "cmdline") + of_process(number, "environ")
        assert b"Max core file size        0 " in of_process(number, "limits")
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
    (became,) = home.started()  # by the hook, which the application itself, python -I, does not import
    assert became.startswith("os.exec")
    for each in (secret, remote.key, home.env["SOMEBODY_ELSES_TOKEN"]):
        assert not is_in(each, handed_on)
        assert home.places_of(each) == []


# Errors that nobody expected

# An error with a secret in its message, its notes, its cause, its local variables, and as the name of a file.
FAIL: Final = """
import os
from smartsub_tui import cli
from smartsub_tui.app import SmartSubApp
from smartsub_tui.billing.providers.stripe import Stripe
from smartsub_tui.data import queries
from smartsub_tui.screens import order_info

def fail(*arguments, **options):
    secret = os.environ["PLANTED"]
    try:
        try:
            raise KeyError(secret)
        except KeyError:
            int(secret)
    except ValueError as error:
        error.add_note(secret)
        raise {error} from error

{where} = fail
cli.main()
"""
ERRORS: Final = {
    "alone": "RuntimeError(secret)",
    "a group": "ExceptionGroup(secret, [OSError(5, secret, secret), RuntimeError(secret)])",
}


def failing(where: str, error: str = "alone") -> tuple[str, ...]:
    return (sys.executable, "-c", FAIL.format(where=where, error=ERRORS[error]))


def assert_told_without_values(home: Home, output: bytes, secret: str, error: str = "alone") -> None:
    """The log has what happened and where, the terminal the id alone, and neither has the secret."""
    found = re.search(rb"smartsub: an unexpected error, ([0-9a-f]{8}): what happened stands under that id", output)
    assert found is not None, output
    log = home.log()
    told = re.findall(r"^(?:KeyError|ValueError|OSError \(EIO\)|ExceptionGroup|RuntimeError)$", log, re.MULTILINE)
    group = ["ExceptionGroup", "OSError (EIO)"] if error == "a group" else []
    assert told == ["KeyError", "ValueError", *group, "RuntimeError"]
    assert f"{found[1].decode()}\nTraceback (most recent call last):\n" in log
    assert "in fail\n" in log
    assert home.places_of(secret) == []


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_in_a_command_is_told_without_values(home: Home, error: str) -> None:
    home.env["PLANTED"] = planted()
    done = home.run("offices", "--admin", "manager", program=failing("queries.offices", error), code=70)
    assert_told_without_values(home, done.stderr, home.env["PLANTED"], error)


WHERE: Final = {
    "a key": ("SmartSubApp.action_dashboard", "1"),
    "the database thread": ("order_info._read", "\r"),
    "the provider's thread": ("Stripe.create", "p"),
    "before the first frame": ("queries.search_orders", ""),
}


@pytest.mark.parametrize("what", WHERE)
def test_an_error_in_the_application_is_told_without_values(home: Home, remote: Remote, what: str) -> None:
    use(home, remote, "file")
    renewed(home)
    home.env["PLANTED"] = planted()
    where, key = WHERE[what]
    with home.terminal("--screen", "payments", "--admin", "manager", program=failing(where)) as terminal:
        if key:
            terminal.wait_for("Processing")
            terminal.type(key)
        if key == "p":
            terminal.wait_for("The money is here")
            terminal.type("\x1b[B")
            terminal.wait_for("Open a payment link")
            terminal.type("y")
        assert terminal.wait_for_exit() == 70
    assert_told_without_values(home, terminal.output, home.env["PLANTED"])


def test_what_the_library_of_stripe_raises_is_not_told(home: Home, remote: Remote) -> None:
    """As where its error repeats the headers of the request, the key among them."""
    use(home, remote, "file")
    number = renewed(home)["number"]
    code = (
        "import requests\nfrom smartsub_tui import cli\n"
        "def fail(*arguments, **options):\n"
        "    assert options['headers']['Authorization'].endswith(KEY), 'no key'\n"
        "    open('asked', 'w').close()\n"
        "    raise requests.ConnectionError(repr(options['headers']))\n"
        "import os\nKEY = open(os.environ['KEY_FILE']).read()\n"
        "requests.Session.request = fail\ncli.main()\n"
    )
    home.env["KEY_FILE"] = str(home.given / "stripe.key")
    words = ("pay", number, "--provider", "stripe", "--admin", "manager")
    done = home.run(*words, program=(sys.executable, "-c", code), code=5)
    assert (home.here / "asked").exists()
    assert b"Stripe cannot be reached" in done.stderr
    assert home.places_of(remote.key) == []


def test_what_is_looked_for_is_found(tmp_path: Path) -> None:
    """The search itself: in output that is drawn letter by letter, in files and their names, in what is started."""
    home, secrets = Home(tmp_path), [planted() for _ in range(5)]
    code = (
        "import os, subprocess, sys\n"
        "drawn, half, file, name, given = sys.argv[1:]\n"
        "print(''.join(f'\\x1b[1;{place}H\\x1b[7m{each}' for place, each in enumerate(drawn)), half[:16], flush=True)\n"
        "open('made', 'w').write(file), open(name, 'w').close()\n"
        "subprocess.run(['true', given])\n"
        "os.execve('/bin/sh', ['sh', '-c', 'true'], {'A': given})\n"
    )
    home.run(*secrets, program=(sys.executable, "-c", code))
    places = [home.places_of(each) for each in secrets]
    assert places == [["output"], ["output"], ["here/made"], [f"here/{secrets[3]}"], ["what was started"]]
    assert [each.split()[0] for each in home.started()] == ["subprocess.Popen", "os.exec"]
