"""What every command of the command line has: the options that stand before and after it, and what it is run with."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from msgspec import Struct

from smartsub_tui import config, output, paths
from smartsub_tui.billing import access
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.opening import open_session
from smartsub_tui.billing.profiles import Profile
from smartsub_tui.billing.session import Session
from smartsub_tui.clock import SystemClock
from smartsub_tui.data.database import Patience, available, url_of
from smartsub_tui.data.filters import Moment
from smartsub_tui.errors import NotAllowed, WrongUsage

if TYPE_CHECKING:
    from smartsub_tui.billing.providers import Talk

_SILENT: Final = 0.5  # seconds that nobody is told of
ROWS: Final = 50  # of a list, where nothing else is said
T = TypeVar("T")


class Globals(Struct, frozen=True):
    """What holds for every command; None where it was not said."""

    database: str | None = None
    config: str | None = None
    admin: str | None = None
    json: bool = False
    # Said before the command alone.
    profile: Profile = Profile.OPEN
    read_only: bool = False

    def under(self, later: Globals) -> Globals:
        """These, where `later` (said after the command) does not say otherwise.

        Raises NotAllowed in a restricted profile, where whoever says what follows is not who began the line.
        """
        if self.profile.is_restricted:
            for name in ("database", "config", "admin"):
                if getattr(later, name) is not None:
                    raise NotAllowed(f"{self.profile.label} nobody chooses --{name}: leave it out")
        return Globals(
            later.database or self.database,
            later.config or self.config,
            later.admin or self.admin,
            later.json or self.json,
            self.profile,
            self.read_only,
        )


# Also where it is no URL at all, for it was meant as one. A name of a file may have both signs.
_PASSWORD: Final = re.compile(r"(?!sqlite:)[a-z0-9+.-]+:.*:.*@|.*(?:passw(?:or)?d|\bpwd)\s*=", re.IGNORECASE)


def holds_password(url: str) -> bool:
    """Whether a password stands in it, however it is written."""
    from urllib.parse import unquote

    return _PASSWORD.match(unquote(url)) is not None


def without_password(_context: click.Context, _parameter: click.Parameter, url: str | None) -> str | None:
    """The URL of a database that an option names; raises WrongUsage where a password stands in it."""
    if url is not None and holds_password(url):
        raise WrongUsage(
            "a password in an argument is seen by everyone on this machine: take another one, and write it into"
            " ~/.pgpass, or into the URL in SMARTSUB_DATABASE"
        )
    return url


def fit_to_store(_context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """Text of an option that is to be stored; raises WrongUsage where it cannot be.

    Looked at before anything is done, for a provider may be asked to end a payment link before the order is written.
    """
    from smartsub_tui.billing.changes import check_text

    if text is not None:
        check_text(parameter.opts[0], text)
    return text


def fit_or_empty(context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """As fit_to_store, of an option that may be empty."""
    return fit_to_store(context, parameter, text) if text else text


def with_globals(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--json", "json_", is_flag=True, help="Print JSON."),
        click.option("--admin", metavar="NAME", help="Who works; else the name of the process's user."),
        click.option("--config", "config_", metavar="FILE", help="Read this config.toml."),
        click.option(
            "--database",
            metavar="URL",
            callback=without_password,
            help="sqlite:///FILE, sqlite:////ABSOLUTE/FILE or postgresql://USER@HOST/NAME.",
        ),
    ):
        command = option(command)
    return command


class Command(click.Command):
    """A command that takes the global options too, and hands its function an `Invocation` in their place."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        with_globals(self)

    def invoke(self, context: click.Context) -> Any:
        before = context.obj if isinstance(context.obj, Globals) else Globals()
        said = context.params
        later = Globals(said.pop("database"), said.pop("config_"), said.pop("admin"), said.pop("json_"))
        context.obj = Invocation(before.under(later))
        return super().invoke(context)


class Group(click.Group):
    command_class = Command

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(context), n=1)
            hint = f"did you mean {near[0]}?" if near else f"{context.command_path} --help lists the commands"
            raise click.UsageError(f"no command is called {args[0]!r}: {hint}", context) from error


class Invocation(Struct, frozen=True):
    """One run of a command: its globals, and from them settings, database and session."""

    globals: Globals

    @property
    def named_config(self) -> str | None:
        return self.globals.config or self._variable("SMARTSUB_CONFIG")

    @property
    def config_file(self) -> Path:
        """The config.toml that is read, or would be if it were there."""
        return Path(self.named_config) if self.named_config else paths.default_config()

    @property
    def settings(self) -> config.Settings:
        file = self.config_file if self.named_config or self.config_file.exists() else None
        settings = config.load(file)
        if settings.ui.keys:
            from smartsub_tui import commands

            try:
                commands.keyed(dict(settings.ui.keys))
            except WrongUsage as error:
                raise WrongUsage(f"{file}: [ui.keys] {error.message}") from error
        return settings

    @property
    def url(self) -> str:
        return self.globals.database or self._variable("SMARTSUB_DATABASE") or url_of(paths.default_database())

    def _variable(self, name: str) -> str | None:
        """Of the environment, which whoever is let in may have filled."""
        return os.environ.get(name) if self.globals.profile.allows.environment else None

    @property
    def admin(self) -> str:
        return self.globals.admin or access.process_admin()

    @contextmanager
    def session(self, *, create: bool = False, url: str | None = None, read_only: bool = False) -> Iterator[Session]:
        """The database, or the one of another `url`, open in this thread; whoever makes one is its manager."""
        session = open_session(
            url or self.url,
            self.admin,
            "cli",
            SystemClock(),
            self.settings,
            create=create,
            profile=self.globals.profile,
            read_only=read_only or self.globals.read_only,
            patience=Waiting(),
        )
        try:
            yield session
        finally:
            session.database.close()

    @contextmanager
    def reading(self, permission: Permission = Permission.READ) -> Iterator[Session]:
        """As session(), for someone who may look."""
        with self.session() as session, available():
            access.check(session.admin, permission)
            yield session

    def print(self, value: Any, text: Callable[[], str]) -> None:
        """The one result of the command, as JSON where that was asked for, else as text."""
        click.echo(output.as_json(value) if self.globals.json else text())


def say(text: str) -> None:
    """A remark beside the result: on standard error, as scripts read standard output."""
    from smartsub_tui.display import block

    click.echo(block(text), err=True)


class Waiting(Patience):
    """Waits for half a minute, and says once that it does."""

    def __init__(self) -> None:
        self._said = False

    def goes_on(self, away: float) -> bool:
        if away >= _SILENT and not self._said:
            self._said = True
            say("smartsub: waiting for the database")
        return super().goes_on(away)


@contextmanager
def progress(doing: str) -> Iterator[Callable[[int, int], None]]:
    """What hears how much of something long is done: told on a terminal alone, in a line that is gone at the end."""
    line = ""

    def told(done: int, total: int) -> None:
        nonlocal line
        if done < total and sys.stderr.isatty():
            line = f"{doing}: {100 * done // total} %"
            click.echo(f"\r{line}", nl=False, err=True)

    try:
        yield told
    finally:
        if line:
            click.echo(f"\r{' ' * len(line)}\r", nl=False, err=True)


_MOST_BYTES: Final = 65_536


def read_small(file: str, what: str) -> str:
    """The text of a file, or of standard input for -. Raises WrongUsage where it cannot be read or is too long."""
    from smartsub_tui.data.csv_files import shown_name

    try:
        if file == "-":
            content = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with open(file, "rb") as source:
                content = source.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # a NUL in the name
        reason = getattr(error, "strerror", None) or "no name of a file"
        raise WrongUsage(f"{shown_name(file)} cannot be read: {reason}") from error
    if len(content) > _MOST_BYTES:
        raise WrongUsage(f"{shown_name(file)} is too long for a {what}: name another")
    return content.decode("utf-8", "replace")


filter_words = click.argument("words", nargs=-1, metavar="[FILTER]")
order_number = click.argument("number")
with_reason = click.option(
    "--reason", required=True, metavar="TEXT", callback=fit_to_store, help="Why; kept in the timeline."
)


def writes(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--dry-run", is_flag=True, help="Show what would be done; store nothing.")(command)
    return click.option(
        "--request-id",
        metavar="ID",
        callback=fit_to_store,
        help="A repeat with the same ID returns the first result and does nothing.",
    )(command)


with_invocation = click.make_pass_decorator(Invocation)

command = partial(click.command, cls=Command)


def moment_of(session: Session) -> Moment:
    return Moment(session.clock.now(), session.settings.ui.timezone)


def hold(session: Session, talk: Talk[T]) -> T:
    """Hold a talk with a provider to its end."""
    from smartsub_tui.billing.providers import hold

    return hold(session.database, session.providers, talk)
