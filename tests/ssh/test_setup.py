"""smartsub ssh-setup: what it prints, and that root's files are written whole, by root alone, or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from smartsub_tui.errors import WrongUsage
from smartsub_tui.ssh_setup import ACCOUNT, FOLDER, MARK, SSHD_CONFIG, Setup, block, directives, setup_of, wrapper
from tests.journeys.material import OFFICE, environment, smartsub, smartsub_json
from tests.ssh.sshd import ROOT, Sshd, place, run, running, write_config

PAGE = Path(__file__).parents[2] / "docs" / "ssh.md"
as_root = pytest.mark.skipif(not ROOT, reason="only root writes into sshd's configuration")
pytestmark = pytest.mark.once


def default() -> Setup:
    return setup_of(account=ACCOUNT, folder=FOLDER, database=None, config=None, sshd_config=SSHD_CONFIG)


def test_what_is_printed_is_what_is_installed(tmp_path: Path) -> None:
    env, setup = environment(tmp_path), default()
    files = smartsub_json(env, "ssh-setup")
    assert files == {str(setup.wrapper): wrapper(setup), str(setup.block_file): block(setup)}
    text = smartsub(env, "ssh-setup").stdout
    for name, content in files.items():
        assert f"==> {name} <==\n{content}" in f"{text}\n"


def test_every_line_of_the_block_is_explained() -> None:
    rows = re.findall(r"^\| `([A-Z][^`]+)` \| .+ \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    explained = [name for row in rows for name in row.split(", ")]
    assert explained == [name for name, _ in directives(default())]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"account": "root"}, "'root' is no account to log in to"),
        ({"account": "a b"}, "'a b' is no account to log in to"),
        ({"account": "x\nMatch all"}, "is no account to log in to"),
        ({"folder": Path("/srv/a b")}, "the folder is /srv/a b: write its path from / on"),
        ({"folder": Path("relative")}, "the folder is relative: write its path from / on"),
        ({"folder": Path("/srv/$(id)")}, "write its path from / on"),
        ({"folder": Path("/srv/../etc")}, "write its path from / on"),
        ({"folder": Path('/srv/"')}, "write its path from / on"),
        ({"folder": Path("/srv/%f")}, "write its path from / on"),
        ({"database": "sqlite:///relative"}, "the database is relative: write its path from / on"),
        ({"database": "postgresql://h/d"}, "the database is on a server, which ssh-setup does not set up as yet"),
        ({"database": "sqlite:///:memory:"}, "the database is None: write its path from / on"),
        ({"config": "x;y"}, "the configuration is x;y: write its path from / on"),
        ({"sshd_config": Path("x\ny")}, "sshd's configuration is 'x\\ny': write its path from / on"),
    ],
)
def test_names_that_could_mean_something_else_are_refused(changed: dict[str, object], says: str) -> None:
    said = {"account": ACCOUNT, "folder": FOLDER, "database": None, "config": None, "sshd_config": SSHD_CONFIG}
    with pytest.raises(WrongUsage) as refused:
        setup_of(**{**said, **changed})  # type: ignore[arg-type]
    assert says in refused.value.message


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--reload",), 2, "without --install nothing is done"),
        (("--dry-run",), 2, "without --install nothing is done"),
        (("--install", "--key", "x"), 2, "--admin NAME and --key FILE go together"),
        (("--install", "--admin", "x"), 2, "--admin NAME and --key FILE go together"),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    assert says in smartsub(environment(tmp_path), "ssh-setup", *arguments, code=code).stderr


class Other:
    """Another sshd's configuration, for the account and with the program of the one that runs."""

    def __init__(self, sshd: Sshd, folder: Path) -> None:
        self.folder = folder
        self.config, self.port = write_config(folder)
        self.setup = replace(
            setup_of(
                account=sshd.setup.account,
                folder=sshd.setup.folder,
                database=None,
                config=None,
                sshd_config=self.config,
            ),
            program=sshd.setup.program,
        )

    def install(self, *options: str, code: int = 0, said: str = "") -> tuple[str, str]:
        setup = self.setup
        where = ("--account", setup.account, "--folder", str(setup.folder), "--sshd-config", str(setup.sshd_config))
        done = run([*setup.program, "ssh-setup", "--install", *where, *options], said=said)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr


@pytest.fixture
def other(sshd: Sshd) -> Iterator[Other]:
    with place() as folder:
        yield Other(sshd, folder)


def tree(*folders: Path) -> dict[str, tuple[int, int, int, float, bytes]]:
    """All files: mode, owner, group, time and content."""
    found = {}
    for each in (file for folder in folders for file in folder.rglob("*") if "/data/" not in str(file)):
        seen = each.lstat()
        content = each.read_bytes() if each.is_file() else b""
        found[str(each)] = (seen.st_mode, seen.st_uid, seen.st_gid, seen.st_mtime, content)
    return found


@as_root
def test_what_was_installed_is_root_s_and_the_data_is_the_account_s(sshd: Sshd) -> None:
    import pwd

    setup, user = sshd.setup, pwd.getpwnam(sshd.setup.account).pw_uid
    seen = {each: each.stat() for each in (setup.wrapper, setup.block_file, setup.folder, setup.data)}
    modes = {each.name: (stat.S_IMODE(it.st_mode), it.st_uid) for each, it in seen.items()}
    assert modes == {
        "ssh-login": (0o755, 0),
        "00-smartsub.conf": (0o644, 0),
        "home": (0o755, 0),
        "data": (0o700, user),
    }
    assert stat.S_IMODE((setup.data / "smartsub.sqlite3").stat().st_mode) == 0o600


@as_root
def test_a_second_time_changes_nothing(sshd: Sshd, other: Other) -> None:
    printed, told = other.install()
    assert f"done    {other.setup.block_file}" in printed
    assert f"was so  {other.setup.wrapper}" in printed
    assert "sshd has to read it: smartsub ssh-setup --install --reload, or systemctl reload ssh" in told
    before = tree(other.folder, other.setup.folder)
    printed, _ = other.install("--create-account")
    assert "done" not in printed
    assert tree(other.folder, other.setup.folder) == before


@as_root
def test_a_dry_run_says_what_would_be_done_and_does_nothing(sshd: Sshd, other: Other) -> None:
    before = tree(other.folder, other.setup.folder)
    printed, told = other.install("--dry-run", "--create-account", "--json")
    assert {each["step"]: each["changed"] for each in json.loads(printed)} == {
        f"the account {sshd.setup.account}": False,
        str(sshd.setup.folder): False,
        str(sshd.setup.data): False,
        str(sshd.setup.wrapper): False,
        str(other.setup.block_file): True,
    }
    assert "dry run: nothing was done" in told
    assert tree(other.folder, other.setup.folder) == before


@as_root
def test_only_root_installs(sshd: Sshd, other: Other) -> None:
    done = run([*sshd.setup.program, "ssh-setup", "--install"], as_account=sshd.setup.account)
    assert (done.returncode, done.stdout) == (4, "")
    assert "ssh-setup --install writes into sshd's configuration: let root do it" in done.stderr


def test_who_is_not_root_is_told_so(tmp_path: Path) -> None:
    if ROOT:
        pytest.skip("root may")
    assert "let root do it" in smartsub(environment(tmp_path), "ssh-setup", "--install", code=4).stderr


@as_root
@pytest.mark.parametrize("kind", ["file", "link", "empty"])
def test_what_is_not_its_own_is_not_written_over(other: Other, kind: str) -> None:
    file = other.setup.block_file
    if kind == "link":
        file.symlink_to(other.folder / "host_key")
    else:
        file.write_text("" if kind == "empty" else f"Match User x\n{MARK}\n")
    before = tree(other.folder, other.setup.folder)
    _, told = other.install(code=1)
    assert "take it away" in told
    assert tree(other.folder, other.setup.folder) == before


@as_root
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("Include", "# Include"), "would take AuthenticationMethods any for"),
        (lambda text: f"{text}\nNonsense yes\n", "sshd does not take it: "),
        (
            lambda text: f"Match User *\n    ForceCommand id\nMatch all\n{text}",
            "would take ForceCommand id for",
        ),
        (lambda text: f"Match all\n    AcceptEnv *\n{text}", "would take AcceptEnv"),
        (lambda text: f"Match all\n    AllowTcpForwarding yes\n{text}", "would take AllowTcpForwarding yes for"),
    ],
)
def test_what_sshd_does_not_take_is_taken_back(other: Other, change: object, says: str) -> None:
    assert callable(change)
    other.config.write_text(change(other.config.read_text()))
    before = tree(other.folder, other.setup.folder)
    _, told = other.install(code=1)
    assert says in told
    assert {name: seen[4] for name, seen in tree(other.folder, other.setup.folder).items()} == {
        name: seen[4] for name, seen in before.items()
    }


@as_root
def test_where_others_could_put_another_wrapper_nothing_is_installed(other: Other) -> None:
    open_to_all = other.folder / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    before = tree(other.folder, other.setup.folder)
    _, told = other.install("--folder", str(open_to_all / "within"), code=1)
    assert f"{open_to_all} can be changed by others than root, who could put another login there" in told
    assert tree(other.folder, other.setup.folder) == before


@as_root
def test_the_block_of_another_account_stays(other: Other) -> None:
    other.install()
    file = other.setup.block_file
    file.write_text(file.read_text().replace(f"Match User {other.setup.account}", "Match User lobby"))
    before = tree(other.folder, other.setup.folder)
    _, told = other.install(code=1)
    assert f"{file} is that of lobby: name that account, or take the file away first" in told
    assert tree(other.folder, other.setup.folder) == before


@as_root
def test_the_version_before_is_put_back(other: Other) -> None:
    other.install()
    file = other.setup.block_file
    file.write_text(file.read_text().replace("ClientAliveInterval 60", "ClientAliveInterval 61"))
    before = file.read_text()
    other.config.write_text(f"{other.config.read_text()}\nNonsense yes\n")
    other.install(code=1)
    assert file.read_text() == before


@as_root
def test_a_program_that_others_can_change_is_not_what_sshd_starts(sshd: Sshd, other: Other) -> None:
    changed = Path(sshd.setup.program[0]).parents[2] / "smartsub_tui" / "clock.py"
    changed.chmod(0o666)
    try:
        _, told = other.install(code=1)
    finally:
        changed.chmod(0o644)
    assert f"{changed} can be changed by others than root" in told
    assert not other.setup.block_file.exists()


@as_root
@pytest.mark.parametrize(
    ("account", "says"),
    [("nobody", "the shell of nobody is /usr/sbin/nologin"), ("nowho", "no account is called nowho")],
)
def test_not_every_account_is_one_to_log_in_to(other: Other, account: str, says: str) -> None:
    folder = other.folder / "home"
    _, told = other.install("--account", account, "--folder", str(folder), code=1 if account == "nobody" else 3)
    assert says in told
    assert not other.setup.block_file.exists()


@as_root
def test_a_folder_that_is_not_there_or_no_folder(other: Other) -> None:
    shutil.rmtree(other.setup.block_file.parent)
    _, told = other.install(code=3)
    assert f"no folder {other.setup.block_file.parent}: sshd reads no files beside {other.config}" in told


@contextmanager
def listening(other: Other) -> Iterator[Sshd]:
    with running(Sshd(other.folder, other.setup, other.port)) as made:
        yield made


@pytest.mark.long
@as_root
def test_sshd_that_runs_reads_it_and_the_first_admin_logs_in(sshd: Sshd, other: Other) -> None:
    """docs/ssh.md, but for a Debian that is bare and the account, which the other tests are in."""
    with listening(other) as there:
        assert there.ssh("ann", "offices").returncode == 255
        database = f"sqlite:///{other.setup.folder}/data/second.sqlite3"
        key = there.key("ann").with_suffix(".pub").read_text()
        first = ("--create-account", "--admin", "ann", "--key", "-", "--database", database, "--reload")
        printed, _ = other.install(*first, said=key)
        assert "done    ann logs in" in printed
        assert "done    sshd has read it" in printed
        there.wait_for_beginning(2)
        with there.terminal("ann") as terminal:
            terminal.wait_for("ann · manager")
        printed, _ = other.install(*first, said=key)
        assert "was so  ann logs in" in printed
        _, told = other.install(*first[:1], "--admin", "bob", "--key", "-", "--database", database, said=key, code=1)
        assert "bob is no admin of this database: ask one of its managers" in told
    # The installation of the other tests stands as before.
    done = run([*sshd.setup.program, "ssh-setup", "--install", *named(sshd.setup)])
    assert done.returncode == 0, done.stderr
    assert OFFICE in sshd.ssh("ann", "offices").stdout


def named(setup: Setup) -> tuple[str, ...]:
    return ("--account", setup.account, "--folder", str(setup.folder), "--sshd-config", str(setup.sshd_config))


@as_root
def test_where_no_sshd_runs_it_is_read_when_one_begins(other: Other) -> None:
    (other.folder / "sshd.pid").write_text(str(os.getpid()))  # not an sshd: it would get the signal
    before = signal.getsignal(signal.SIGHUP)
    came = []
    signal.signal(signal.SIGHUP, lambda *_: came.append(1))
    try:
        printed, _ = other.install("--reload")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert "was so  sshd reads it when it begins" in printed
    assert came == []


def test_the_lines_of_keys_are_those_who_may_log_in(sshd: Sshd) -> None:
    sshd.add("heidi")
    sshd.register("heidi", "heidi")
    lines = json.loads(sshd.smartsub("--json", "ssh-keys", "--wrapper", str(sshd.setup.wrapper)))
    public = " ".join(sshd.key("heidi").with_suffix(".pub").read_text().split()[:2])
    line = f'restrict,pty,command="exec /bin/sh {sshd.setup.wrapper} --admin heidi" {public}'
    assert line in lines
    sshd.smartsub("--admin", "manager", "admin", "disable", "heidi")
    assert line not in json.loads(sshd.smartsub("--json", "ssh-keys", "--wrapper", str(sshd.setup.wrapper)))
    assert sshd.smartsub("ssh-keys", "SHA256:nobody") == ""
