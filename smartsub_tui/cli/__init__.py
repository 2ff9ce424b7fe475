"""The command line: a twin of every action, for people and scripts. Textual is imported only for the application.

Exit codes: 0 done, 1 refused by a rule, 2 wrong usage, 3 not found, 4 not allowed, 5 database or provider unavailable,
70 an unexpected error; 128 and its number where a signal ended it.
"""

from __future__ import annotations

import gc

# What is imported lives until the end: looking for garbage in it would take a fifth of the start. main() turns it on.
gc.disable()


import os
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Final, NoReturn

import click

from smartsub_tui import __version__
from smartsub_tui.billing.profiles import Profile
from smartsub_tui.cli.invocation import Globals, Group, Invocation, say, with_globals
from smartsub_tui.data.filters import parse_orders
from smartsub_tui.errors import NotAllowed, SmartsubError, WrongUsage

# Each command, and the module that has it, which is imported when it is asked for: a list of orders must be there
# at once.
COMMANDS: Final = {
    "activate": "ordering",
    "admin": "admins",
    "again": "ordering",
    "apply": "paying",
    "audit": "care",
    "backup": "care",
    "billing": "settings",
    "cancel": "paying",
    "confirm": "paying",
    "copy": "care",
    "credit": "paying",
    "delete": "paying",
    "demo": "application",
    "doctor": "care",
    "export": "files",
    "fail": "paying",
    "import": "files",
    "init": "care",
    "invoice": "files",
    "keys": "settings",
    "migrate": "care",
    "offices": "lists",
    "order": "lists",
    "orders": "lists",
    "pay": "paying",
    "recover": "care",
    "refund": "paying",
    "renew": "ordering",
    "restore": "paying",
    "ssh-keys": "ssh",
    "ssh-login": "ssh",
    "ssh-setup": "ssh",
    "sweep": "paying",
    "users": "lists",
    "views": "views",
}

# What makes a database, or puts another into its place.
_MAKES: Final = frozenset({"copy", "demo", "init", "migrate", "recover"})


# Those whose name is none in Python, or another one there.
_FUNCTIONS: Final = {
    "import": "import_",
    "ssh-keys": "ssh_keys",
    "ssh-login": "ssh_login_",
    "ssh-setup": "ssh_setup_",
}


class _Commands(Group):
    """All commands by their names."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = import_module(f"{__name__}.{COMMANDS[name]}")
        found: click.Command = getattr(module, _FUNCTIONS.get(name, name))
        return found


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="smartsub")
@click.option("--screen", type=click.Choice(["dashboard", "subscriptions", "payments"]), help="Open this screen.")
@click.option("--filter", "filter_", metavar="FILTER", help="Open Payments with this filter.")
@click.option(
    "--profile",
    "profiles",
    type=click.Choice([profile.value for profile in Profile]),
    multiple=True,
    help="What this place lets anyone do: ssh or kiosk. Said once, before the command.",
)
@click.option("--read-only", is_flag=True, help="Change nothing: the database itself refuses to. Before the command.")
@with_globals
@click.pass_context
def cli(
    context: click.Context,
    screen: str | None,
    filter_: str | None,
    profiles: tuple[str, ...],
    read_only: bool,
    database: str | None,
    config_: str | None,
    admin: str | None,
    json_: bool,
) -> None:
    """Activate, renew, pay and triage access-control and intercom subscriptions.

    Without a command the application opens.
    """
    if len(profiles) > 1:
        raise click.UsageError("--profile is said once")
    profile = Profile(profiles[0]) if profiles else Profile.OPEN
    allowed, command = profile.allows.commands, context.invoked_subcommand
    if command is not None and allowed is not None and command not in allowed:
        raise NotAllowed(f"{profile.label} there is no command {command}: do it on the machine itself")
    if read_only and command in _MAKES:
        raise NotAllowed(f"with --read-only nothing is changed, and smartsub {command} does: leave it out")
    context.obj = Globals(database, config_, admin, json_, profile, read_only)
    if context.invoked_subcommand is None:
        if filter_ is not None:
            parse_orders(filter_)
        from smartsub_tui.cli.application import open_application

        open_application(Invocation(context.obj), screen, filter_)
    elif screen is not None or filter_ is not None:
        raise click.UsageError("--screen and --filter open the application: they take no command")


def main() -> NoReturn:
    """Run the command line; every error is one sentence on standard error and an exit code, never a traceback."""
    gc.freeze()
    gc.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no picture of the memory, with everybody's data, on the disk
    if signal.getsignal(signal.SIGINT) in (signal.SIG_DFL, signal.default_int_handler):
        signal.signal(signal.SIGINT, _interrupted)
    # Whoever closed a stream gets no output there; the rest works as ever.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the end
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal or pipe that cannot show a character gets its number.
            stream.reconfigure(errors="backslashreplace")
    try:
        if "import" not in sys.argv:  # names of files may be any bytes
            _check_text(sys.argv[1:])
        cli.main(prog_name="smartsub", standalone_mode=False)
        sys.stdout.flush()
        code = 0
    except SmartsubError as error:
        say(f"smartsub: {error.message}")
        code = error.exit_code
    except click.NoSuchOption as error:
        near = f" (did you mean {error.possibilities[0]}?)" if error.possibilities else ""
        say(f"smartsub: {error.option_name} is no option here{near}: options of a command stand behind its name,")
        say("and a word that starts with - stands after --")
        code = 2
    except click.ClickException as error:
        say(f"smartsub: {error.format_message()}")
        code = 2
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except BrokenPipeError:
        # Whoever read the output has had enough; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        # Standard output, for all else has a sentence of its own by here.
        say(f"smartsub: the output cannot be written, {error.strerror}: what was changed is stored")
        code = 5
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except Exception as error:
        from smartsub_tui.failures import unexpected

        say(unexpected(error))
        code = 70
    _leave(code)


def _interrupted(_number: int, _frame: object) -> NoReturn:
    """As Python's own handler, which asyncio would replace by one whose end is at times no error."""
    raise KeyboardInterrupt


def _check_text(arguments: Sequence[str]) -> None:
    for place, argument in enumerate(arguments, 1):
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise WrongUsage(f"argument {place} is no UTF-8 text: write it in UTF-8") from error


def _leave(code: int) -> NoReturn:
    """End the process. Nothing is open any more, and taking the modules apart one by one would take its time."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)
