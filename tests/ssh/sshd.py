"""A real sshd on a port of loopback, set up by `smartsub ssh-setup` itself, and the real ssh that comes to it.

As root everything is as in docs/ssh.md: an account is made, the block and the wrapper are installed, sshd asks the
database for keys. An ordinary user's sshd lets in that user alone, and runs no program of theirs: there the printed
files stand in a folder, and the lines of `smartsub ssh-keys` in a file. The sshd is as lax as its settings go, but for
the block: what is closed the block closes.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import pytest

from smartsub_tui.ssh_setup import Setup, block, setup_of, wrapper
from tests.journeys.material import write_files
from tests.packaging.terminal import Terminal

REPOSITORY: Final = Path(__file__).parents[2]
ROOT: Final = os.getuid() == 0
_SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin"
# What the tests need beside the application, and what no application needs.
_LEFT_OUT: Final = (
    "pip*",
    "mypy*",
    "ruff*",
    "hypothesis*",
    "coverage*",
    "_pytest",
    "fontTools",
    "*.pth",
    "setuptools*",
)
_LAX: Final = """
Include {include}/*.conf
ListenAddress 127.0.0.1:{port}
HostKey {host_key}
PidFile {pid_file}
UsePAM {pam}
StrictModes {strict}
TrustedUserCAKeys {authority}
AcceptEnv *
PermitUserEnvironment yes
PasswordAuthentication yes
AllowAgentForwarding yes
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
GatewayPorts yes
PermitTunnel yes
X11Forwarding yes
X11UseLocalhost yes
MaxStartups 100
Subsystem sftp internal-sftp
"""


@dataclass
class Sshd:
    """One that runs. `folder` holds all of it, keys and configuration too; `setup` is what it was set up with."""

    folder: Path
    setup: Setup
    port: int
    log: list[str] = field(default_factory=list)
    told: threading.Condition = field(default_factory=threading.Condition)  # that a line has come into the log

    @property
    def options(self) -> list[str]:
        """Of ssh, scp and sftp alike; nothing of the configuration and the agent of whoever runs the tests."""
        said = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "UserKnownHostsFile": str(self.folder / "known_hosts"),
            "ConnectTimeout": "60",
            "Port": str(self.port),
        }
        return ["-F", "none", *(word for name, value in said.items() for word in ("-o", f"{name}={value}"))]

    @property
    def target(self) -> str:
        return f"{self.setup.account}@127.0.0.1"

    def key(self, name: str) -> Path:
        """The private key of that name; the public one stands beside it."""
        return make_key(self.folder / name)

    def command(self, key: str, *words: str, options: Sequence[str] = ()) -> list[str]:
        """ssh to here, by a key; `words` are sent as one command."""
        return ["ssh", *self.options, "-i", str(self.key(key)), *options, "--", self.target, *words]

    def ssh(
        self, key: str, *words: str, options: Sequence[str] = (), env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there, without a terminal."""
        return run(self.command(key, *words, options=options), env=env)

    def terminal(self, key: str, *words: str, options: Sequence[str] = (), term: str = "xterm-256color") -> Terminal:
        command = self.command(key, *words, options=("-tt", *options))
        return Terminal(command, cwd=self.folder, env=environment(), term=term)

    def smartsub(self, *arguments: str | Path, said: str = "", code: int = 0) -> str:
        """Run smartsub on the machine, as the account, with its database; what it printed, and its errors."""
        command = [*self.setup.program, *map(str, arguments), "--database", self.setup.database]
        done = run(command, said=said, as_account=self.setup.account if ROOT else None, home=self.setup.data)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        if not ROOT and "key" in arguments and code == 0:
            self.write_lines()
        return done.stdout + done.stderr

    def add(self, admin: str, role: str = "viewer") -> None:
        self.smartsub("--admin", "manager", "admin", "add", admin, "--role", role)

    def register(self, admin: str, key: str) -> None:
        public = self.key(key).with_suffix(".pub").read_text()
        self.smartsub("--admin", "manager", "admin", "key", admin, "--add", "-", said=public)

    def write_lines(self) -> None:
        """What sshd asks for by itself where it is root's."""
        command = [*self.setup.program, "ssh-keys", "--wrapper", self.setup.wrapper, "--database", self.setup.database]
        (self.folder / "keys").write_text(run(list(map(str, command)), home=self.setup.data).stdout)

    def wait_for_beginning(self, times: int) -> None:
        """Until it listens, for the first time or again."""
        with self.told:
            began = self.told.wait_for(lambda: sum("listening on" in line for line in self.log) >= times, 60)
        assert began, f"sshd did not begin:\n{''.join(self.log)}"

    def sessions(self) -> list[int]:
        """The processes of the application that are there for someone over SSH."""
        return [number for number, words in self._processes() if "--profile" in words]

    def wrappers(self) -> list[int]:
        """All processes that were started for someone over SSH."""
        return [number for number, words in self._processes() if str(self.setup.folder) in " ".join(words)]

    def end_sessions(self) -> None:
        """Of whoever is still there when the sshd is gone."""
        for number in self.wrappers():
            with suppress(OSError):
                os.kill(number, signal.SIGKILL)
        if ROOT:  # in an account of its own all processes are its own, those of sshd for it too
            user = pwd.getpwnam(self.setup.account).pw_uid
            for each in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    if each.stat().st_uid == user:
                        os.kill(int(each.name), signal.SIGKILL)

    def _processes(self) -> Iterator[tuple[int, list[str]]]:
        for each in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (each / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                if any(str(self.setup.data) in word for word in words):
                    yield int(each.name), words


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}


def run(
    command: Sequence[str],
    *,
    said: str = "",
    as_account: str | None = None,
    home: Path | None = None,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with a text on its standard input."""
    who: dict[str, Any] = {}
    if as_account is not None:
        found = pwd.getpwnam(as_account)
        who = {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    return subprocess.run(
        command,
        input=said,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**environment(), **({} if home is None else {"HOME": str(home)}), **(env or {})},
        cwd="/",
        **who,
    )


def make_key(file: Path, *options: str) -> Path:
    """A pair of keys of that name, made once."""
    if not file.exists():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", file.name, "-f", file, *options], check=True
        )
    return file


def sshd_program() -> str:
    """sshd, where it is on this machine; else skip, but where everything must be tested, fail."""
    found = shutil.which("sshd", path=_SBIN)
    if found is None or shutil.which("ssh") is None:
        if os.environ.get("CI"):
            raise FileNotFoundError("openssh-server and openssh-client are needed: apt install openssh-server")
        pytest.skip("no sshd or no ssh on this machine: apt install openssh-server")
    return found


def account_name() -> str:
    """One of its own for each process of the tests, where accounts can be made."""
    return f"smartsub-test-{os.getpid()}" if ROOT else pwd.getpwuid(os.getuid()).pw_name


@contextmanager
def place() -> Iterator[Path]:
    """A folder on whose way nobody but root can write, where the tests are root's: sshd looks at all of it."""
    folder = Path(tempfile.mkdtemp(prefix="smartsub-test-", dir="/var/lib" if ROOT else None))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def public_program(folder: Path) -> list[str]:
    """How smartsub is started: as root from a copy in `folder`, by a Python that every account can start."""
    if not ROOT:
        return [sys.executable, "-I", "-m", "smartsub_tui"]
    version = f"python3.{sys.version_info.minor}"
    for python in (os.path.realpath(sys._base_executable), f"/usr/bin/{version}"):  # type: ignore[attr-defined]
        with suppress(OSError):
            if not subprocess.run([python, "-I", "-c", ""], user=65534, extra_groups=[], check=False).returncode:
                break
    else:
        # Nobody but root can start the one that runs the tests, and what is compiled for it runs on no other.
        reason = f"no {version} that an ordinary account can start: apt install {version}"
        if os.environ.get("CI"):
            raise FileNotFoundError(reason)
        pytest.skip(reason)
    venv = folder / ".venv"
    subprocess.run([python, "-I", "-m", "venv", "--without-pip", venv], check=True)
    packages = venv / "lib" / version / "site-packages"
    left_out = shutil.ignore_patterns(*_LEFT_OUT)
    for path in filter(os.path.isdir, sys.path):
        if path.endswith("site-packages"):
            shutil.copytree(path, packages, dirs_exist_ok=True, ignore=left_out, copy_function=_linked)
    shutil.copytree(REPOSITORY / "smartsub_tui", folder / "smartsub_tui")
    shutil.copy(REPOSITORY / "smartsub.tcss", folder)
    (packages / "smartsub.pth").write_text("../../../..\n")
    subprocess.run(["chmod", "-R", "go+rX,go-w", folder], check=True)
    return [str(venv / "bin" / "python"), "-I", "-m", "smartsub_tui"]


def _linked(source: str, target: str) -> None:
    """The same file under another name, where the file system can: a copy of all packages takes its time."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_config(folder: Path) -> tuple[Path, int]:
    """The configuration of an sshd in `folder`, with its keys, and the port."""
    host_key, port = make_key(folder / "host_key"), free_port()
    authority = make_key(folder / "authority")
    include = folder / "sshd_config.d"
    include.mkdir()
    config = folder / "sshd_config"
    config.write_text(
        _LAX.format(
            include=include,
            port=port,
            host_key=host_key,
            pid_file=folder / "sshd.pid",
            pam="yes" if ROOT else "no",
            strict="yes" if ROOT else "no",
            authority=authority.with_suffix(".pub"),
        )
    )
    public = host_key.with_suffix(".pub").read_text().split()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n")
    return config, port


def _listen(sshd: Sshd, output: IO[str]) -> None:
    for line in output:
        with sshd.told:
            sshd.log.append(line)
            sshd.told.notify_all()


@contextmanager
def running(sshd: Sshd) -> Iterator[Sshd]:
    """It, from the moment when it listens."""
    if ROOT:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # as its unit does
    command = [sshd_program(), "-D", "-e", "-f", str(sshd.setup.sshd_config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        reader = threading.Thread(target=_listen, args=(sshd, process.stderr), daemon=True)
        reader.start()
        try:
            sshd.wait_for_beginning(1)
            yield sshd
        finally:
            process.terminate()
            process.wait()
            sshd.end_sessions()
            reader.join(60)


@contextmanager
def set_up() -> Iterator[Sshd]:
    """One with the admins manager, ann (operator), bob (viewer) and their keys, and the offices of the journeys."""
    sshd_program()
    with place() as folder:
        program = public_program(folder / "program") if ROOT else public_program(folder)
        config, port = write_config(folder)
        made = setup_of(account=account_name(), folder=folder / "home", database=None, config=None, sshd_config=config)
        made = Setup(made.account, made.folder, made.database, None, made.sshd_config, tuple(program))
        sshd = Sshd(folder, made, port)
        try:
            _install(sshd)
            with running(sshd):
                yield sshd
        finally:
            if ROOT:
                # By force: what was killed a moment ago may still be counted among its processes.
                subprocess.run(["userdel", "--force", made.account], check=True, capture_output=True)


def _install(sshd: Sshd) -> None:
    setup, key = sshd.setup, sshd.key("manager").with_suffix(".pub")
    if ROOT:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        names = ("--account", setup.account, "--folder", str(setup.folder), "--sshd-config", str(setup.sshd_config))
        first = ("--install", "--create-account", "--admin", "manager", "--key", str(key))
        done = run([*setup.program, "ssh-setup", *first, *names])
        assert done.returncode == 0, done.stderr
    else:
        setup.data.mkdir(parents=True)
        setup.wrapper.write_text(wrapper(setup))
        printed = block(setup).replace("AuthorizedKeysFile none", f"AuthorizedKeysFile {sshd.folder / 'keys'}")
        lines = [line for line in printed.splitlines(True) if "AuthorizedKeysCommand" not in line]
        setup.block_file.write_text("".join(lines))
        sshd.smartsub("init", "--admin", "manager")
        sshd.register("manager", "manager")
    for name, role in (("ann", "operator"), ("bob", "viewer")):
        sshd.add(name, role)
        sshd.register(name, name)
    files, _ = write_files(sshd.folder)
    sshd.smartsub("--admin", "manager", "import", *files)
