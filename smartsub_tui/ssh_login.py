"""What stands between sshd and the application: whose key it was, what of the session's environment goes on, and which
command of a script is one that only reads.

sshd starts the wrapper of `ssh_setup` for every session, and that `smartsub ssh-login`, in an empty environment but for
what is read here. Whatever is not known to be right is refused: nothing here guesses.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import signal
import stat
import sys
from collections.abc import Mapping
from typing import Final, NoReturn

from msgspec import Struct

from smartsub_tui.billing import admin_keys
from smartsub_tui.billing.admin_keys import Holder, PublicKey, parse_key
from smartsub_tui.clock import SystemClock
from smartsub_tui.data.database import available, open_database
from smartsub_tui.data.text import forbidden_character
from smartsub_tui.errors import NotAllowed, WrongUsage
from smartsub_tui.failures import note

PATH: Final = "/usr/bin:/bin"
# What the wrapper hands over of what sshd gave it; all else of the environment ends there.
HANDED_OVER: Final = (
    "SSH_USER_AUTH",
    "SSH_ORIGINAL_COMMAND",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
)
_LOCALES: Final = ("LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES")
_LOCALE: Final = re.compile(r"(?:C|POSIX|[a-z]{2,3}(?:_[A-Z]{2})?)(?:\.[A-Za-z0-9-]{1,16})?(?:@[a-z]{1,16})?")
# Terminals of which smartsub knows, or may assume, what it can send them (README.md, Terminals).
_TERMINALS: Final = frozenset({
    "alacritty", "ansi", "cygwin", "dumb", "foot", "foot-extra", "konsole", "konsole-256color", "linux",
    "linux-16color", "putty", "putty-256color", "rxvt", "rxvt-unicode", "rxvt-unicode-256color", "screen",
    "screen-256color", "screen.xterm-256color", "st", "st-256color", "tmux", "tmux-256color", "vt100", "vt102",
    "vt220", "vt320", "vt420", "wezterm", "xterm", "xterm-16color", "xterm-256color", "xterm-color", "xterm-direct",
    "xterm-ghostty", "xterm-kitty",
})  # fmt: skip
_MOST_BYTES: Final = 65_536
_LONGEST: Final = 4096
_SHELL: Final = ";&|()`$"  # what a shell would take for more than a letter of a word, were there one
_REDIRECTIONS: Final = frozenset(_SHELL + "<>")


class _Reading(Struct, frozen=True):
    """A command that only reads: its options that take a value, and how many words it takes at most."""

    options: frozenset[str] = frozenset()
    words: int = 0


_MANY: Final = 1000
# What scripts may ask for over SSH, with these options and --json and --help. Nothing of it names a file.
READS: Final = {
    "offices": _Reading(),
    "users": _Reading(frozenset({"--limit"}), _MANY),
    "orders": _Reading(frozenset({"--limit", "--sort", "--view"}), _MANY),
    "order": _Reading(words=1),
    "export": _Reading(frozenset({"--sort", "--format"}), _MANY),
}


def log_in(url: str, config: str | None, claimed: str | None, environment: Mapping[str, str]) -> NoReturn:
    """Become the application, or the command that was asked for, in the name of whose key it was.

    `claimed` is the admin in whose line of authorized_keys the key stood, where there is such a line. Raises
    NotAllowed, and notes it in the log; Unavailable where there is no database to ask.
    """
    fingerprint = "no key"
    try:
        key = presented_key(environment.get("SSH_USER_AUTH"))
        fingerprint = key.fingerprint
        admin = _whose(url, key, claimed).admin
        words = words_of(environment.get("SSH_ORIGINAL_COMMAND"))
    except NotAllowed as refused:
        note(f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ} refused over SSH, {fingerprint}: {refused.message}")
        raise
    os.chdir("/")  # where nothing can be written, or found that belongs to someone
    os.umask(0o077)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGTSTP):
        signal.signal(number, signal.SIG_DFL)
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    with_config = () if config is None else ("--config", config)
    program = [sys.executable, "-I", "-m", "smartsub_tui", "--profile", "ssh"]
    if words:
        program += ["--read-only"]  # should the list let something else through, the connection does not
    os.execve(  # noqa: S606 - no shell is wanted
        sys.executable, [*program, "--admin", admin, "--database", url, *with_config, *words], clean(environment)
    )


def presented_key(file: str | None) -> PublicKey:
    """The one key by which this session was let in, as sshd wrote it down (ExposeAuthInfo of sshd_config(5)).

    Raises NotAllowed where that is not to be had: no file, not sshd's, another way of logging in, or more than one.
    """
    try:
        lines = _read(file or "").decode("ascii").splitlines()
        method, _, line = lines[0].partition(" ")
        key = parse_key(line)
        if len(lines) == 1 and method == "publickey" and line == key.line:
            return key
    except (OSError, ValueError, IndexError, WrongUsage):  # told alike, whatever is wrong with it
        pass
    raise NotAllowed("by which key this login came is not known: let root look at smartsub ssh-setup")


def _read(file: str) -> bytes:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode) or seen.st_uid not in (0, os.getuid()) or seen.st_mode & 0o022:
            raise ValueError("not a file that sshd wrote")
        return os.read(descriptor, _MOST_BYTES)
    finally:
        os.close(descriptor)


def _whose(url: str, key: PublicKey, claimed: str | None) -> Holder:
    database = open_database(url)
    try:
        with available():
            found = admin_keys.holder(key.fingerprint)
    finally:
        database.close()
    if found is None or found.key != key:
        raise NotAllowed("this key is no admin's who may log in: ask a manager of this database")
    if claimed is not None and claimed != found.admin:
        raise NotAllowed(f"this key is not that of {claimed}: ask a manager of this database")
    return found


def words_of(command: str | None) -> tuple[str, ...]:
    """What was said behind `ssh HOST`, as arguments of smartsub; none for the application itself.

    No shell reads it: quotes hold words together, and that is all. Raises NotAllowed for everything but a command of
    READS with its own options. The words of a filter come behind `--`: none can become an option.
    """
    if command is None or not command.strip(" "):
        return ()
    if len(command) > _LONGEST or forbidden_character(command) is not None:
        raise _refused("the command is too long, or holds characters that control or hide text")
    lexer = shlex.shlex(command, posix=True, punctuation_chars=_SHELL)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        said = list(lexer)
    except ValueError as error:  # a quote or a backslash at its end
        raise _refused("its quotes do not match") from error
    if any(word and _REDIRECTIONS.issuperset(word) for word in said):
        raise _refused(f"no shell is here for {' '.join(_SHELL)} < >, put quotes around a filter that has them")
    if said in (["--version"], ["--help"]):
        return tuple(said)
    json = [word for word in said[:1] if word == "--json"]
    name, *rest = said[len(json) :] or [""]
    if name not in READS:
        raise _refused(f"{name!r} is none")
    return _arguments(name, rest, json)


def _arguments(name: str, rest: list[str], front: list[str]) -> tuple[str, ...]:
    reading, options, words = READS[name], list[str](), list[str]()
    left = iter(rest)
    for word in left:
        option, equals, value = word.partition("=")
        if word == "--":
            words += left
        elif word in ("--json", "--help"):
            options.append(word)
        elif option in reading.options:
            given = value if equals else next(left, None)
            if given is None:
                raise _refused(f"{option} has no value")
            options.append(f"{option}={given}")
        elif word.startswith("-"):
            raise _refused(f"{option!r} is no option of {name} here, and a word that starts with - stands after --")
        else:
            words.append(word)
    if len(words) > reading.words:
        raise _refused(f"{name} takes no {words[reading.words]!r}")
    return (*front, name, *options, "--", *words)


def _refused(why: str) -> NotAllowed:
    *some, last = READS
    return NotAllowed(f"over SSH the commands are {', '.join(some)} and {last}, with --json; {why}")


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """What of the environment the application is to know: how to draw, and where its own log goes."""
    kept = {"PATH": PATH, "HOME": environment.get("HOME", "/")}  # HOME as the wrapper has it, not sshd
    term = environment.get("TERM", "")
    kept["TERM"] = term if term in _TERMINALS else "xterm" if term else "dumb"
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        kept["COLORTERM"] = environment["COLORTERM"]
    if environment.get("NO_COLOR"):
        kept["NO_COLOR"] = "1"
    for name in _LOCALES:
        if _LOCALE.fullmatch(environment.get(name, "")):
            kept[name] = environment[name]
    return kept
