"""Ways out of smartsub over SSH, each tried with the real ssh on an sshd that opens all of them but for the block.

Each test fails where its way is open: it looks for what the way would give, never only for an error.
"""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from smartsub_tui.ssh_login import HANDED_OVER, PATH
from tests.journeys.material import OFFICE
from tests.packaging.terminal import Terminal
from tests.ssh.sshd import ROOT, Sshd, environment, free_port, make_key, run, sshd_program
from tests.ssh.test_login import connection, session_of

pytestmark = [pytest.mark.pty, pytest.mark.once]
BANNER = b"behind the machine\n"


class Target:
    """What stands behind the machine and is not to be reached through it: tells everyone the same, and who came."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.came = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.came += 1
                with connection, suppress(OSError):
                    connection.sendall(BANNER)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(60)


@pytest.fixture
def target() -> Iterator[Target]:
    made = Target()
    yield made
    made.close()


@contextmanager
def tunnel(sshd: Sshd, *options: str) -> Iterator[subprocess.Popen[str]]:
    """ssh without a session, once it is logged in and has asked for what `options` say."""
    command = sshd.command("ann", options=("-v", "-N", "-o", "ExitOnForwardFailure=no", *options))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(), cwd="/") as process:
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            if "Entering interactive session" in line:
                break
        else:
            raise AssertionError("".join(told))
        reader = threading.Thread(target=process.stderr.read, daemon=True)
        reader.start()
        try:
            yield process
        finally:
            process.kill()  # its own handler of SIGTERM waits for the next word of the server
            process.wait()
            reader.join(60)


def told_by(port: int, *said: bytes) -> bytes:
    """What comes from a port of this machine after this was said to it; nothing where nobody listens."""
    told = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as there:
            for each in said:
                there.sendall(each)
                told += there.recv(4096)
            while data := there.recv(4096):
                told += data
    except OSError:
        pass
    return told


# Through the machine to others


def test_the_target_is_reached_where_it_may_be(target: Target) -> None:
    assert told_by(target.port) == BANNER


def test_standard_input_and_output_are_not_forwarded(sshd: Sshd, target: Target) -> None:
    done = sshd.ssh("ann", options=("-W", f"127.0.0.1:{target.port}"))
    assert (done.returncode, done.stdout, target.came) == (255, "", 0)


def test_no_local_port_is_forwarded(sshd: Sshd, target: Target) -> None:
    port = free_port()
    with tunnel(sshd, "-L", f"{port}:127.0.0.1:{target.port}"):
        assert told_by(port) == b""
    assert target.came == 0


def test_no_local_port_is_forwarded_to_a_socket(sshd: Sshd) -> None:
    port, path = free_port(), sshd.folder / "target.socket"
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(path))
        path.chmod(0o666)
        there.listen()
        there.setblocking(False)
        with tunnel(sshd, "-L", f"{port}:{path}"):
            assert told_by(port) == b""
        with pytest.raises(BlockingIOError):
            there.accept()
    path.unlink()


def test_no_remote_port_is_forwarded(sshd: Sshd, target: Target) -> None:
    port = free_port()
    with tunnel(sshd, "-R", f"{port}:127.0.0.1:{target.port}"):
        assert told_by(port) == b""
    asked = ("-N", "-o", "ExitOnForwardFailure=yes", "-R", f"{port}:127.0.0.1:{target.port}")
    done = sshd.ssh("ann", options=asked)
    assert (done.returncode, target.came) == (255, 0)
    assert "remote port forwarding failed" in done.stderr


def test_no_remote_socket_is_made(sshd: Sshd, target: Target) -> None:
    path = sshd.setup.data / "made.socket"
    with tunnel(sshd, "-R", f"{path}:127.0.0.1:{target.port}"):
        # The answer to a command on the same connection comes behind that to the forwarding.
        assert not path.exists()
    done = sshd.ssh("ann", options=("-N", "-o", "ExitOnForwardFailure=yes", "-R", f"{path}:127.0.0.1:{target.port}"))
    assert (done.returncode, path.exists()) == (255, False)


def test_no_proxy_goes_through(sshd: Sshd, target: Target) -> None:
    port = free_port()
    with tunnel(sshd, "-D", f"127.0.0.1:{port}"):
        request = b"\x05\x01\x00\x01\x7f\x00\x00\x01" + target.port.to_bytes(2, "big")
        assert BANNER not in told_by(port, b"\x05\x01\x00", request)
    assert target.came == 0


def test_a_jump_leads_nowhere(sshd: Sshd, target: Target) -> None:
    proxy = " ".join([*sshd.command("ann", options=("-W", "%h:%p"))])
    through = ("-o", "BatchMode=yes", "-o", f"ProxyCommand={proxy}", "-p", str(target.port))
    done = run(["ssh", "-F", "none", *through, "x@127.0.0.1"])
    assert (done.returncode, target.came) == (255, 0)


def test_no_tunnel_device_is_given(sshd: Sshd) -> None:
    """As sshd itself says: to ask for one the other side needs a device of its own, which few machines give."""
    asked = f"user={sshd.setup.account},host=x,addr=127.0.0.1"
    told = run([sshd_program(), "-T", "-f", str(sshd.setup.sshd_config), "-C", asked]).stdout
    assert "\npermittunnel no\n" in told


def test_no_agent_is_forwarded(sshd: Sshd) -> None:
    agent = sshd.folder / "agent.socket"
    user = pwd.getpwnam(sshd.setup.account).pw_uid

    def sockets() -> set[Path]:
        return {each for each in Path("/tmp").glob("ssh-*/agent.*") if each.stat().st_uid == user}  # noqa: S108

    before = sockets()
    # ssh asks for it only where it has one itself.
    command = [word.replace("IdentityAgent=none", f"IdentityAgent={agent}") for word in sshd.command("ann")]
    begin = ["ssh-agent", "-D", "-a", str(agent)]
    with subprocess.Popen(begin, stdout=subprocess.PIPE, text=True, env=environment()) as there:
        assert there.stdout is not None
        assert str(agent) in there.stdout.readline()
        try:
            asked = [command[0], "-tt", "-A", *command[1:]]
            with Terminal(asked, cwd=sshd.folder, env=environment()) as terminal:
                terminal.wait_for("ann · ")
                assert sockets() == before
                (number,) = sshd.sessions()
                assert "SSH_AUTH_SOCK" not in variables(number)
        finally:
            there.terminate()
    agent.unlink(missing_ok=True)


def test_no_window_is_forwarded(sshd: Sshd) -> None:
    env = {"DISPLAY": "127.0.0.1:99", "HOME": str(sshd.folder)}
    for option in ("-X", "-Y"):
        done = sshd.ssh("ann", "offices", options=(option,), env=env)
        assert OFFICE in done.stdout
    assert "X11 forwarding request failed" in done.stderr  # -X asks for it only where there is an xauth


# Files


def test_no_file_comes_or_goes_by_sftp(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    commands = f"get /etc/passwd {tmp_path}/got\nput {tmp_path}/mine {sshd.setup.data}/put\n"
    command = ["sftp", *sshd.options, "-i", str(sshd.key("ann")), "-b", "-", sshd.target]
    done = run(command, said=commands)
    assert done.returncode != 0
    assert not (tmp_path / "got").exists()
    assert not (sshd.setup.data / "put").exists()


@pytest.mark.parametrize("protocol", ["-O", "-s"])
def test_no_file_comes_or_goes_by_scp(sshd: Sshd, tmp_path: Path, protocol: str) -> None:
    (tmp_path / "mine").write_text("mine")
    scp = ["scp", protocol, *sshd.options, "-i", str(sshd.key("ann"))]
    assert run([*scp, f"{sshd.target}:/etc/passwd", str(tmp_path / "got")]).returncode != 0
    assert run([*scp, str(tmp_path / "mine"), f"{sshd.target}:{sshd.setup.data}/put"]).returncode != 0
    assert not (tmp_path / "got").exists()
    assert not (sshd.setup.data / "put").exists()


@pytest.mark.parametrize("subsystem", ["sftp", "bash", "netconf"])
def test_no_subsystem_is_there(sshd: Sshd, subsystem: str) -> None:
    done = sshd.ssh("ann", subsystem, options=("-s",))
    assert (done.returncode > 0, done.stdout) == (True, "")


# Commands

COMMANDS = [
    "bash",
    "sh -i",
    "/bin/sh -c id",
    "exec id",
    "id",
    "orders; id",
    "orders;id",
    "orders && id",
    "orders & id",
    "orders || id",
    "orders | id",
    "nothing || id",
    "orders $(id)",
    "orders `id`",
    "order $(id -u)",
    "$(id)",
    "`id`",
    "orders\nid",
    "orders\rid",
    "(id)",
    "orders > made",
    "orders >> made",
    "users < /etc/passwd",
    "' ; id'",
    "'",
    'orders "',
    "orders \\",
    "\x00",
    "rsync --server --sender -logDtpre.iLsfxCIvu . /etc/passwd",
    "rsync --server -logDtpre.iLsfxCIvu . made",
    "scp -f /etc/passwd",
    "scp -t made",
    "/usr/lib/openssh/sftp-server",
    "internal-sftp",
    "python3 -c 'import os; os.system(\"id\")'",
    "env id",
    "smartsub orders",
    "ssh-login",
    "ssh-keys",
    "ssh-setup",
    "demo --keep made",
    "init",
    "pay 20240501100000000002 --reference R",
    "cancel 20240501100000000002 --reason R",
    "import made",
    "backup made",
    "recover made",
    "copy --to sqlite:///made",
    "admin add mallory --role manager",
    "admin list",
    "views save x",
    "invoice 20240501100000000001 -o made",
    "export users -o made",
    "export users -omade",
    "export users --output made",
    "export users --output=made",
    "export users --force",
    "orders --database sqlite:///made",
    "orders --database=sqlite:///made",
    "orders --config made",
    "orders --admin bob",
    "orders --admin=manager",
    "offices --admin manager",
    "--admin bob orders",
    "--database sqlite:///made orders",
    "--config made orders",
    "--profile open orders",
    "--json --profile open orders",
    "orders --profile open",
    "--screen payments",
    "--filter x",
    "-- bash",
    "x" * 5000,
]


# One of each kind: the others are refused by the same list, which test_words.py asks for each.
TRIED = [
    "bash",
    "exec id",
    "orders; id",
    "orders && id",
    "orders $(id)",
    "orders `id`",
    "orders\nid",
    "orders > made",
    "users < /etc/passwd",
    "rsync --server --sender -logDtpre.iLsfxCIvu . /etc/passwd",
    "scp -t made",
    "internal-sftp",
    "ssh-login",
    "pay 20240501100000000002 --reference R",
    "admin add mallory --role manager",
    "export users -o made",
    "orders --database sqlite:///made",
    "orders --config made",
    "orders --admin bob",
    "--admin bob orders",
    "--profile open orders",
]


@pytest.mark.parametrize(("pty", "commands"), [("-T", TRIED), ("-tt", TRIED[:4])])
def test_no_other_command_is_done(sshd: Sshd, pty: str, commands: list[str]) -> None:
    """All of them through one connection: each begins a session, and in it the wrapper, of its own."""
    assert set(TRIED) <= set(COMMANDS)
    before = everything(sshd)
    with connection(sshd, "ann") as through:
        for command in commands:
            done = sshd.ssh("ann", command, options=(*through, pty))
            said = done.stdout + done.stderr
            assert done.returncode == 4, (command, said)
            assert "uid=" not in said, command
            assert "root:" not in said, command
            assert OFFICE not in said, command
            assert "smartsub: over SSH the commands are offices, users, orders, order and export" in said, command
            assert "Traceback" not in said, command
    assert everything(sshd) == before


def everything(sshd: Sshd) -> tuple[set[str], str]:
    """The files that the account could have made, and the orders and admins."""
    files = {str(each) for each in sshd.setup.data.rglob("*") if each.suffix not in (".sqlite3-shm", ".sqlite3-wal")}
    shown = ("--admin", "manager", "--json", "orders"), ("--admin", "manager", "--json", "admin", "list")
    told = "".join(sshd.smartsub(*words) for words in shown)
    log = str(sshd.setup.data / ".local")
    return {each for each in files if not each.startswith(log) and "made" in each}, told


def test_what_looks_like_an_option_in_a_filter_is_a_word(sshd: Sshd) -> None:
    before = everything(sshd)
    for words in ("orders -- -omade", "export users -- -omade", "export users -- --output=made"):
        assert sshd.ssh("ann", words).returncode in (0, 2)
    done = sshd.ssh("ann", "export audit -- --admin=manager")
    assert (done.returncode, done.stdout) == (2, "")
    assert everything(sshd) == before


# Variables of the environment, and what could set them

HOSTILE = {
    "PYTHONPATH": "/srv",
    "PYTHONHOME": "/srv",
    "PYTHONINSPECT": "1",
    "PYTHONSTARTUP": "/srv/x",
    "PYTHONWARNINGS": "error",
    "LD_PRELOAD": "/srv/x.so",
    "LD_LIBRARY_PATH": "/srv",
    "LD_AUDIT": "/srv/x.so",
    "SMARTSUB_DATABASE": "sqlite:////srv/other.sqlite3",
    "SMARTSUB_CONFIG": "/srv/other.toml",
    "TEXTUAL_DRIVER": "os:system",
    "TEXTUAL_LOG": "/srv/log",
    "TEXTUAL_PRESS": "q",
    "BASH_ENV": "/srv/x",
    "ENV": "/srv/x",
    "IFS": "/",
    "SHELLOPTS": "xtrace",
    "HOME": "/srv",
    "PATH": "/srv",
    "XDG_CONFIG_HOME": "/srv",
    "XDG_STATE_HOME": "/srv",
    "SSH_USER_AUTH": "/srv/x",
    "SSH_ORIGINAL_COMMAND": "bash",
    "LOCPATH": "/srv",
    "TERMINFO": "/srv",
    "EDITOR": "/srv/x",
    "PAGER": "/srv/x",
    "BROWSER": "/srv/x",
    "TZ": "/srv/x",
    "STRIPE_LOG": "debug",
    "LANG": "$(id)",
    "LC_ALL": "../../../srv/x",
    "LC_CTYPE": "en_US.UTF-8\x1b]0;x\x07",
    "COLORTERM": "$(id)",
}


def variables(number: int) -> dict[str, str]:
    entries = Path(f"/proc/{number}/environ").read_bytes().decode("utf-8", "replace").split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


def sent(values: dict[str, str]) -> list[str]:
    return ["-o", "SetEnv=" + " ".join(f'"{name}={value}"' for name, value in values.items())]


def test_no_variable_of_the_client_reaches_the_application(sshd: Sshd) -> None:
    with sshd.terminal("ann", options=sent(HOSTILE), term="../../../srv/x") as terminal:
        terminal.wait_for("ann · ")
        (number,) = sshd.sessions()
        home = str(sshd.setup.data)
        assert variables(number) == {"PATH": PATH, "HOME": home, "TERM": "xterm"}


def test_what_tells_how_to_draw_reaches_it(sshd: Sshd) -> None:
    values = {"LANG": "de_DE.UTF-8", "LC_ALL": "C.UTF-8", "COLORTERM": "truecolor", "NO_COLOR": "yes"}
    with sshd.terminal("ann", options=sent(values), term="tmux-256color") as terminal:
        terminal.wait_for("ann · ")
        (number,) = sshd.sessions()
        drawn = {**values, "NO_COLOR": "1", "TERM": "tmux-256color"}
        assert variables(number) == {"PATH": PATH, "HOME": str(sshd.setup.data), **drawn}


@contextmanager
def in_home(sshd: Sshd, files: dict[str, str]) -> Iterator[None]:
    """Files where sshd, PAM or a shell would look for those of the account; root alone can lay them there."""
    if not ROOT:
        pytest.skip("the home of the one account that an ordinary user's sshd lets in is left alone")
    home, before = sshd.setup.folder, set(sshd.setup.folder.rglob("*"))
    for name, content in files.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(content)
        (home / name).chmod(0o755)
    try:
        yield
    finally:
        for name in files:
            (home / name).unlink()
        for each in set(home.rglob(".ssh")) - before:
            each.rmdir()


def test_no_file_sets_a_variable(sshd: Sshd) -> None:
    values = {name: value for name, value in HOSTILE.items() if not name.startswith(("LD_", "SSH_", "LC_CTYPE"))}
    forms = {".ssh/environment": "{}={}\n", ".pam_environment": "{} OVERRIDE={}\n"}
    files = {name: "".join(form.format(*each) for each in values.items()) for name, form in forms.items()}
    with in_home(sshd, files), session_of(sshd, "ann") as (_, number):
        kept = variables(number)
        assert {each: kept[each] for each in kept if each not in (*HANDED_OVER, "PATH", "HOME")} == {}
        assert (kept["PATH"], kept["HOME"]) == (PATH, str(sshd.setup.data))


def test_no_file_of_a_shell_is_run(sshd: Sshd) -> None:
    made = sshd.setup.data / "made"
    script = f"#!/bin/sh\ntouch {made}\nexec id\n"
    names = (".ssh/rc", ".profile", ".bashrc", ".bash_profile", ".bash_login", ".login", ".shrc", ".kshrc", ".zshenv")
    with in_home(sshd, dict.fromkeys(names, script)):
        done = sshd.ssh("ann", "offices")
        with session_of(sshd, "ann"):
            pass
    assert OFFICE in done.stdout
    assert "uid=" not in done.stdout
    assert not made.exists()


# Keys


@pytest.mark.parametrize("line", ["{key}", 'command="id" {key}', 'environment="PATH=/srv",pty {key}'])
def test_no_file_of_keys_of_the_account_counts(sshd: Sshd, line: str) -> None:
    key = sshd.key("stranger").with_suffix(".pub").read_text()
    names = (".ssh/authorized_keys", ".ssh/authorized_keys2", "data/.ssh/authorized_keys")
    with in_home(sshd, dict.fromkeys(names, line.format(key=key))):
        done = sshd.ssh("stranger", "offices")
    assert (done.returncode, done.stdout) == (255, "")


@pytest.mark.skipif(not ROOT, reason="an ordinary user's sshd lets in that user alone, whose home is theirs")
def test_the_account_can_write_nothing_that_decides_who_comes_in(sshd: Sshd) -> None:
    setup, found = sshd.setup, pwd.getpwnam(sshd.setup.account)
    assert (found.pw_dir, found.pw_uid > 0) == (str(setup.folder), True)
    script = 'for each; do test -w "$each" && echo "$each"; done'
    places = [setup.folder, setup.wrapper, setup.block_file, setup.block_file.parent, setup.sshd_config]
    program = Path(setup.program[0])
    places += [program, program.parent, program.parents[1], *program.parents[2].rglob("*")]
    done = run(["sh", "-c", script, "sh", *map(str, places)], as_account=setup.account)
    assert (done.stdout, done.stderr) == ("", "")
    done = run(["sh", "-c", script, "sh", str(setup.data)], as_account=setup.account)
    assert done.stdout == f"{setup.data}\n"


def test_no_certificate_counts_that_others_signed(sshd: Sshd) -> None:
    """Not even of the authority that sshd trusts for all other accounts."""
    made = make_key(sshd.folder / "signed")
    authority, account = sshd.folder / "authority", sshd.setup.account
    subprocess.run(
        ["ssh-keygen", "-q", "-s", authority, "-I", "x", "-n", account, made.with_suffix(".pub")], check=True
    )
    done = sshd.ssh("signed", "offices")
    assert (done.returncode, done.stdout) == (255, "")


def test_a_key_is_the_admin_it_belongs_to_whoever_one_says_one_is(sshd: Sshd) -> None:
    said = {"SMARTSUB_ADMIN": "manager", "USER": "manager", "LOGNAME": "manager"}
    with sshd.terminal("bob", options=sent(said)) as terminal:
        terminal.wait_for("bob · viewer")
    done = run([*sshd.command("bob")[:-1], "manager@127.0.0.1", "offices"])
    assert (done.returncode, done.stdout) == (255, "")


# Sessions


def test_a_second_session_of_a_connection_gives_no_more_than_the_first(sshd: Sshd) -> None:
    with connection(sshd, "ann") as through:
        for words in (("bash",), ("sh", "-c", "id"), ("scp", "-f", "/etc/passwd")):
            done = sshd.ssh("ann", *words, options=("-T", *through))
            assert (done.returncode, done.stdout) == (4, "")
        text = sshd.ssh("ann", options=("-T", *through))
        assert (text.returncode, OFFICE in text.stdout) == (0, True)
        port = free_port()
        forward = ("-O", "forward", "-L", f"{port}:127.0.0.1:{sshd.port}")
        sshd.ssh("ann", options=(*forward, *through))
        assert told_by(port) == b""


def test_who_suspends_ssh_leaves_an_application_and_no_shell(sshd: Sshd) -> None:
    with session_of(sshd, "ann") as (terminal, number):
        terminal.process.send_signal(signal.SIGSTOP)
        assert sshd.wrappers() == [number]
        terminal.process.send_signal(signal.SIGCONT)
        terminal.type("1")
        terminal.wait_for(OFFICE)


def test_the_application_has_only_its_terminal_open_from_outside(sshd: Sshd) -> None:
    with session_of(sshd, "ann") as (_, number):
        opened = {os.readlink(each) for each in Path(f"/proc/{number}/fd").iterdir() if each.is_symlink()}
        outside = {each for each in opened if not each.startswith(("/dev/pts/", str(sshd.setup.data), "anon_inode:"))}
        # What it opens itself: pairs of sockets and pipes to its own threads.
        assert {each.partition(":")[0] for each in outside} <= {"socket", "pipe", "/dev/null"}
        assert os.readlink(f"/proc/{number}/cwd") == "/"
        assert Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")[1] == b"-I"
        limits = Path(f"/proc/{number}/limits").read_text()
        assert "Max core file size        0 " in limits
        status = Path(f"/proc/{number}/status").read_text()
        assert "Umask:\t0077" in status
