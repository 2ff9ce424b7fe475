"""How sshd is told of smartsub: the block of its configuration, the login wrapper, the lines of keys; and putting them
in place, as root, whole or not at all.

Nothing that the account of smartsub could change decides who is let in or what is started: the block, the wrapper and
the program are root's. docs/ssh.md says what each line is for; a test holds the two together.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from smartsub_tui.billing.admin_keys import Holder
from smartsub_tui.data.csv_files import shown_name
from smartsub_tui.data.database import is_server, path_of
from smartsub_tui.data.files import NewFile
from smartsub_tui.errors import NotAllowed, NotFound, Refused, Unavailable, WrongUsage
from smartsub_tui.ssh_login import HANDED_OVER, PATH

ACCOUNT: Final = "smartsub"
FOLDER: Final = Path("/var/lib/smartsub")
SSHD_CONFIG: Final = Path("/etc/ssh/sshd_config")
MARK: Final = "# Written by smartsub ssh-setup, which writes it anew: change nothing here."
_SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin"
_ACCOUNT_NAME: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
# What stands unquoted in a shell script, in sshd_config and in authorized_keys alike, and is one word in each.
_PLAIN: Final = re.compile(r"/[A-Za-z0-9._/+@-]*")
_SECONDS: Final = 60


class Setup(Struct, frozen=True):
    """What stands where: the account that sshd lets in, its folder, the database, and the program."""

    account: str
    folder: Path
    database: str
    config: str | None
    sshd_config: Path
    program: tuple[str, ...]

    @property
    def data(self) -> Path:
        """The one place where the account may write: its database, unless that is elsewhere, and its log."""
        return self.folder / "data"

    @property
    def wrapper(self) -> Path:
        return self.folder / "ssh-login"

    @property
    def block_file(self) -> Path:
        """Read before all others: what stands first in sshd_config holds."""
        return self.sshd_config.with_name(f"{self.sshd_config.name}.d") / "00-smartsub.conf"


def setup_of(*, account: str, folder: Path, database: str | None, config: str | None, sshd_config: Path) -> Setup:
    """A set-up whose names can do no harm in the files that they come into; raises WrongUsage for others."""
    if _ACCOUNT_NAME.fullmatch(account) is None or account == "root":
        raise WrongUsage(f"{account!r} is no account to log in to: write small letters, digits, _ and -, and not root")
    url = database or f"sqlite:///{folder / 'data' / 'smartsub.sqlite3'}"
    if is_server(url):
        raise WrongUsage("the database is on a server, which ssh-setup does not set up as yet: name a file")
    path = path_of(url)
    for what, name in (
        ("the folder", str(folder)),
        ("the database", str(path)),
        ("the configuration", config or "/"),
        ("sshd's configuration", str(sshd_config)),
        ("the program", sys.executable),
    ):
        if _PLAIN.fullmatch(name) is None or ".." in Path(name).parts:
            raise WrongUsage(
                f"{what} is {shown_name(name)}: write its path from / on, of letters, digits and . _ + @ - alone"
            )
    return Setup(account, folder, url, config, sshd_config, (sys.executable, "-I", "-m", "smartsub_tui"))


def directives(setup: Setup) -> list[tuple[str, str]]:
    """What sshd is told for the account, in the order in which docs/ssh.md explains it (sshd_config(5))."""
    keys = (*setup.program, "ssh-keys", "--database", setup.database, "--wrapper", str(setup.wrapper), "%f")
    return [
        ("AuthenticationMethods", "publickey"),
        ("PubkeyAuthentication", "yes"),
        ("PasswordAuthentication", "no"),
        ("KbdInteractiveAuthentication", "no"),
        ("HostbasedAuthentication", "no"),
        ("PermitEmptyPasswords", "no"),
        ("AuthorizedKeysFile", "none"),
        ("AuthorizedKeysCommand", " ".join(keys)),
        ("AuthorizedKeysCommandUser", setup.account),
        ("AuthorizedPrincipalsFile", "none"),
        ("AuthorizedPrincipalsCommand", "none"),
        ("TrustedUserCAKeys", "none"),
        ("ExposeAuthInfo", "yes"),
        ("ForceCommand", f"exec /bin/sh {setup.wrapper}"),
        ("DisableForwarding", "yes"),
        ("AllowAgentForwarding", "no"),
        ("AllowStreamLocalForwarding", "no"),
        ("AllowTcpForwarding", "no"),
        ("GatewayPorts", "no"),
        ("PermitListen", "none"),
        ("PermitOpen", "none"),
        ("PermitTunnel", "no"),
        ("X11Forwarding", "no"),
        ("PermitUserRC", "no"),
        ("AcceptEnv", "LANG LC_* COLORTERM NO_COLOR"),
        ("PermitTTY", "yes"),
        ("Banner", "none"),
        ("ChrootDirectory", "none"),
        ("ClientAliveInterval", "60"),
        ("ClientAliveCountMax", "3"),
    ]


def block(setup: Setup) -> str:
    """The file in sshd_config.d."""
    lines = "".join(f"    {name} {value}\n" for name, value in directives(setup))
    return f"{MARK}\nMatch User {setup.account}\n{lines}Match all\n"


def wrapper(setup: Setup) -> str:
    """The login wrapper: the first that runs in the account, for every session, whatever was asked for."""
    handed = "".join(f'    ${{{name}+"{name}=${name}"}} \\\n' for name in HANDED_OVER)
    config = "" if setup.config is None else f" --config {setup.config}"
    return (
        f"#!/bin/sh\n{MARK}\n"
        "# sshd starts it for every session. Nothing of the session's environment goes on but what is named here, and\n"
        "# smartsub ssh-login reads that with care.\n"
        "umask 077\ncd / || exit 5\n"
        f"exec /usr/bin/env -i PATH={PATH} HOME={setup.data} \\\n{handed}"
        f'    {" ".join(setup.program)} ssh-login --database {setup.database}{config} "$@"\n'
    )


def key_line(holder: Holder, wrapper: str) -> str:
    """A line of authorized_keys(5). By itself, without the block, it would still give nothing but the wrapper."""
    return f'restrict,pty,command="exec /bin/sh {wrapper} --admin {holder.admin}" {holder.key.line}'


class Step(Struct, frozen=True):
    """One thing that is to be so: what it is called, whether it is so, and what makes it so."""

    name: str
    is_done: Callable[[], bool]
    do: Callable[[], None]


class Done(Struct, frozen=True):
    """What came of a step."""

    step: str
    changed: bool


def install(
    setup: Setup,
    *,
    create_account: bool = False,
    first: tuple[str, str] | None = None,
    reload: bool = False,
    dry_run: bool = False,
) -> list[Done]:
    """Put everything in its place, or with `dry_run` say what would be; what is there already stays as it is.

    `first` is an admin and the line of their key: who is the manager of a database that is made now. Raises NotAllowed
    unless root; Refused where something stands in the way that is not its own, or sshd would not take it: then its
    files are as before; NotFound; Unavailable.
    """
    if os.geteuid() != 0:
        raise NotAllowed("ssh-setup --install writes into sshd's configuration: let root do it")
    sshd = _sshd()
    _check_program()
    if setup.config is not None:
        if not Path(setup.config).is_file():
            raise NotFound(f"no file {setup.config}: write it first")
        _check_root_s(Path(setup.config))
    if not create_account and _account(setup.account) is None:
        raise NotFound(f"no account is called {setup.account}: --create-account makes it")
    files = (_File(setup.wrapper, wrapper(setup), 0o755, 1), _File(setup.block_file, block(setup), 0o644, 0))
    if not setup.block_file.parent.is_dir():
        raise NotFound(f"no folder {setup.block_file.parent}: sshd reads no files beside {setup.sshd_config}")
    for file in files:
        _check_way(file.path)
        file.check_own()
    _check_block(setup, files[1].now)
    steps = [*_places(setup, create_account), *(file.step for file in files)]
    done = [Done(step.name, not step.is_done()) for step in steps]
    if not dry_run:
        before = [file.now for file in files]
        try:
            for step, made in zip(steps, done, strict=True):
                if made.changed:
                    step.do()
            _check_runs(setup)
            _check_sshd(sshd, setup)
        except BaseException:
            # The block first: sshd must not be told of a wrapper that is not there.
            for file, content in reversed(list(zip(files, before, strict=True))):
                file.put_back(content)
            raise
    if first is not None:
        done.append(_first_admin(setup, *first, dry_run=dry_run))
    if reload:
        done.append(_reload(sshd, setup, dry_run=dry_run))
    return done


class _File(Struct, frozen=True):
    """A file of root's that is written whole; `mark` is the number of the line that says whose it is."""

    path: Path
    content: str
    mode: int
    mark: int

    @property
    def now(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{self.path} cannot be read: {error.strerror}") from error

    @property
    def step(self) -> Step:
        return Step(str(self.path), self._is_done, lambda: self._write(self.content.encode()))

    def check_own(self) -> None:
        if self.path.is_symlink():
            raise Refused(f"{self.path} is a link, which is not followed: take it away")
        now = self.now
        if now is not None and now.decode("utf-8", "replace").splitlines()[self.mark : self.mark + 1] != [MARK]:
            raise Refused(f"{self.path} is there and was not written by smartsub: take it away, or keep it and give up")

    def put_back(self, content: bytes | None) -> None:
        if content is None:
            self.path.unlink(missing_ok=True)
        elif content != self.now:
            self._write(content)

    def _is_done(self) -> bool:
        if self.now != self.content.encode():
            return False
        seen = self.path.lstat()
        return (seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)) == (0, 0, self.mode)

    def _write(self, content: bytes) -> None:
        file = NewFile(self.path, replace=True)
        try:
            file.write(content)
            os.chown(file.unfinished, 0, 0)
            os.chmod(file.unfinished, self.mode)
            file.keep()
        finally:
            file.drop()


def _places(setup: Setup, create_account: bool) -> Iterator[Step]:
    """The account and its folders. Its home is root's, so that it can lay nothing there that sshd or PAM would read."""
    account, data = setup.account, setup.data
    if create_account:
        yield Step(f"the account {account}", lambda: _account(account) is not None, lambda: _make_account(setup))
    yield _folder(setup.folder, 0o755, lambda: (0, 0))
    yield _folder(data, 0o700, lambda: _ids(account))


def _folder(path: Path, mode: int, owner: Callable[[], tuple[int, int]]) -> Step:
    def is_done() -> bool:
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise Refused(f"{path} is no folder: take it away, or name another by --folder")
        return path.is_dir() and _account_is_there() and _looks() == (*owner(), mode)

    def _account_is_there() -> bool:
        try:
            owner()
        except KeyError:
            return False
        return True

    def _looks() -> tuple[int, int, int]:
        seen = path.stat()
        return seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)

    def do() -> None:
        try:
            for each in reversed([path, *path.parents]):
                if not each.exists():
                    each.mkdir()
                    each.chmod(0o755)  # whatever the umask
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fchown(descriptor, *owner())
                os.fchmod(descriptor, mode)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise Unavailable(f"{path} cannot be made: {error.strerror}") from error

    return Step(str(path), is_done, do)


def _account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _ids(name: str) -> tuple[int, int]:
    found = pwd.getpwnam(name)
    return found.pw_uid, found.pw_gid


def _make_account(setup: Setup) -> None:
    """An account without a password that is not locked: into one that is sshd(8) lets nobody."""
    kind = ("--system", "--user-group", "--no-create-home", "--password", "*", "--comment", "smartsub over SSH")
    where = ("--home-dir", str(setup.folder), "--shell", "/bin/sh", setup.account)
    _run(["useradd", *kind, *where], "the account cannot be made")


def _sshd() -> str:
    found = shutil.which("sshd", path=_SBIN)
    if found is None:
        raise NotFound("no sshd is on this machine: apt install openssh-server")
    return found


def _check_program() -> None:
    """What sshd starts is changed by root alone; the paths are those that the isolated Python imports from."""
    asked = "import sys, smartsub_tui; print(*sys.path, sys.executable, sys.prefix, *smartsub_tui.__path__, sep='\\n')"
    told = _run([sys.executable, "-I", "-c", asked], "smartsub cannot be started").splitlines()
    for name in sorted({sys.executable, os.path.realpath(sys.executable), *told}):
        path = Path(name)
        if path.exists():
            _check_root_s(path)


def _check_root_s(path: Path) -> None:
    """The path, all folders on the way to it, and all that is in it."""
    way = [path, *path.parents, path.resolve(), *path.resolve().parents]
    within = [Path(folder) / name for folder, *names in os.walk(path) for each in names for name in each]
    for each in (*way, *within):
        seen = each.lstat()
        if seen.st_uid != 0 or (not stat.S_ISLNK(seen.st_mode) and seen.st_mode & 0o022):
            raise Refused(
                f"{each} can be changed by others than root, and what is there would run for whoever logs in:"
                " put smartsub where root alone writes, as /opt/smartsub"
            )


def _check_way(path: Path) -> None:
    """The folders on the way to what root writes: nobody else puts another one in its place."""
    for each in {*path.parents, *path.resolve().parents}:
        if each.exists():
            seen = each.stat()
            if seen.st_uid != 0 or (seen.st_mode & 0o022 and not seen.st_mode & stat.S_ISVTX):
                raise Refused(
                    f"{each} can be changed by others than root, who could put another login there: name a folder on"
                    " the way to which root alone writes"
                )


def _check_block(setup: Setup, block_now: bytes | None) -> None:
    """The block of another account stays: without it that one would be any account of sshd's again."""
    for line in (block_now or b"").decode("utf-8", "replace").splitlines():
        other = line.removeprefix("Match User ")
        if line.startswith("Match User ") and other != setup.account:
            raise Refused(
                f"{setup.block_file} is that of {other}: name that account, or take the file away first, with what it"
                " keeps closed"
            )


def _check_runs(setup: Setup) -> None:
    found = pwd.getpwnam(setup.account)
    if found.pw_uid == 0:
        raise Refused(f"{setup.account} is root by another name: take an account of its own")
    if Path(found.pw_shell or "/bin/sh").name in ("nologin", "false"):
        raise Refused(f"the shell of {setup.account} is {found.pw_shell}, and sshd starts all by it: make it /bin/sh")
    home = Path(found.pw_dir)
    if home.exists() and (home.stat().st_uid != 0 or home.stat().st_mode & 0o022):
        raise Refused(f"the home of {setup.account}, {home}, is not root's alone: take an account of its own")
    _as_account(setup, "--version")


def _check_sshd(sshd: str, setup: Setup) -> None:
    """sshd takes the configuration, and for the account every line of the block holds."""
    config = ["-f", str(setup.sshd_config)]
    _run([sshd, "-t", *config], "sshd does not take it")
    asked = f"user={setup.account},host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22"
    told = _run([sshd, "-T", *config, "-C", asked], "sshd does not take it").splitlines()
    for name, value in directives(setup):
        # A list of words is told as a line for each of them.
        holds = {line.partition(" ")[2] for line in told if line.partition(" ")[0] == name.lower()}
        if holds != {value} and holds != set(value.split()):
            raise Refused(
                f"sshd would take {name} {' '.join(sorted(holds)) or 'none'} for {setup.account} and not {value}: let"
                f" {setup.sshd_config} begin with Include {setup.block_file.parent}/*.conf, and nothing else be said of"
                f" {setup.account}"
            )


def _first_admin(setup: Setup, name: str, key: str, *, dry_run: bool) -> Done:
    """A manager and their key, by commands in the account: what root makes would be root's."""
    step = f"{name} logs in"
    if dry_run:
        return Done(step, True)
    database = path_of(setup.database)
    if database is not None and not database.exists():
        _as_account(setup, "init", "--admin", name, "--database", setup.database)
    listed = ("admin", "key", name, "--json", "--admin", name, "--database", setup.database)
    before = _as_account(setup, *listed)
    _as_account(setup, "admin", "key", name, "--add", "-", "--admin", name, "--database", setup.database, said=key)
    return Done(step, _as_account(setup, *listed) != before)


def _as_account(setup: Setup, *arguments: str, said: str = "") -> str:
    user, group = _ids(setup.account)
    try:
        done = subprocess.run(  # noqa: S603 - the program is root's alone, which was looked at
            [*setup.program, *arguments],
            input=said,
            capture_output=True,
            text=True,
            check=False,
            user=user,
            group=group,
            extra_groups=[],
            umask=0o077,
            cwd="/",
            env={"PATH": PATH, "HOME": str(setup.data), "LC_ALL": "C.UTF-8"},
        )
    except OSError as error:
        raise Refused(
            f"{setup.account} cannot start {setup.program[0]}, {error.strerror}: let everyone read and start what is on"
            " the way to it, as with umask 022"
        ) from error
    if done.returncode != 0:
        why = done.stderr.strip().removeprefix("smartsub: ") or f"exit code {done.returncode}"
        raise Refused(f"{setup.account} cannot do what is needed, smartsub {arguments[0]}: {why}")
    return done.stdout


def _reload(sshd: str, setup: Setup, *, dry_run: bool) -> Done:
    """Have the sshd that runs read its configuration again, as its unit does: SIGHUP to its first process (sshd(8)).

    Where none runs by that configuration, it is read when one begins.
    """
    told = _run([sshd, "-T", "-f", str(setup.sshd_config)], "sshd does not take it").splitlines()
    file = next((line.partition(" ")[2] for line in told if line.startswith("pidfile ")), "none")
    with suppress(OSError, ValueError):
        number = int(Path(file).read_text())
        if Path(f"/proc/{number}/exe").resolve() == Path(sshd).resolve():
            if not dry_run:
                os.kill(number, signal.SIGHUP)
            return Done("sshd has read it", True)
    return Done("sshd reads it when it begins", False)


def _run(command: Sequence[str], failed: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - programs of the system, with arguments that were looked at
            command,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            env={"PATH": f"{_SBIN}:{PATH}", "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{failed}: {command[0]} cannot be run") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Refused(f"{failed}: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout
