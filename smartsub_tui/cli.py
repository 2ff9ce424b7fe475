"""The command line: a twin of every action, for people and scripts. Textual is imported only for the application.

Exit codes: 0 done, 1 refused by a rule, 2 wrong usage, 3 not found, 4 not allowed, 5 database or provider unavailable.
"""

from __future__ import annotations

import gc

# What is imported lives until the end: looking for garbage in it would take a fifth of the start. main() turns it on.
gc.disable()

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from msgspec import Struct
from msgspec.structs import replace

from smartsub_tui import __version__, config, output, paths
from smartsub_tui.billing import access
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.opening import open_session
from smartsub_tui.billing.session import Session
from smartsub_tui.clock import SystemClock
from smartsub_tui.data import queries
from smartsub_tui.data.database import available, path_of, url_of
from smartsub_tui.data.filters import Moment, parse_orders, parse_users
from smartsub_tui.data.records import to_json
from smartsub_tui.data.vocabulary import Trigger
from smartsub_tui.errors import Refused, SmartsubError, Unavailable, WrongUsage

if TYPE_CHECKING:
    from smartsub_tui.billing import orders, payments
    from smartsub_tui.billing.invoices import BuyerReferences
    from smartsub_tui.billing.providers import Talk
    from smartsub_tui.data.order_records import OrderDetails
    from smartsub_tui.data.records import ViewRecord

# What only some commands need is imported by them: a list of orders must be there at once.
ROWS = 50
# Frames in a second at most: Textual, left alone, lets what has changed wait for up to a sixtieth.
_FRAMES = "200"
T = TypeVar("T")


# Options that stand before and after the command alike


class Globals(Struct, frozen=True):
    """What holds for every command; None where it was not said."""

    database: str | None = None
    config: str | None = None
    admin: str | None = None
    json: bool = False

    def under(self, later: Globals) -> Globals:
        """These, where `later` (said after the command) does not say otherwise."""
        return Globals(
            later.database or self.database,
            later.config or self.config,
            later.admin or self.admin,
            later.json or self.json,
        )


def _with_globals(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--json", "json_", is_flag=True, help="Print JSON."),
        click.option("--admin", metavar="NAME", help="Who works; else the name of the process's user."),
        click.option("--config", "config_", metavar="FILE", help="Read this config.toml."),
        click.option("--database", metavar="URL", help="sqlite:///FILE or sqlite:////ABSOLUTE/FILE."),
    ):
        command = option(command)
    return command


class _Command(click.Command):
    """A command that takes the global options too, and hands its function an `Invocation` in their place."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _with_globals(self)

    def invoke(self, context: click.Context) -> Any:
        before = context.obj if isinstance(context.obj, Globals) else Globals()
        said = context.params
        later = Globals(said.pop("database"), said.pop("config_"), said.pop("admin"), said.pop("json_"))
        context.obj = Invocation(before.under(later))
        return super().invoke(context)


class _Group(click.Group):
    command_class = _Command

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(context), n=1)
            hint = f"did you mean {near[0]}?" if near else "smartsub --help lists the commands"
            raise click.UsageError(f"no command is called {args[0]!r}: {hint}", context) from error


class Invocation(Struct, frozen=True):
    """One run of a command: its globals, and from them settings, database and session."""

    globals: Globals

    @property
    def named_config(self) -> str | None:
        return self.globals.config or os.environ.get("SMARTSUB_CONFIG")

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
        return self.globals.database or os.environ.get("SMARTSUB_DATABASE") or url_of(paths.default_database())

    @property
    def admin(self) -> str:
        return self.globals.admin or access.process_admin()

    @contextmanager
    def session(self, *, create: bool = False) -> Iterator[Session]:
        """The database open in this thread; whoever makes one is its manager."""
        session = open_session(self.url, self.admin, "cli", SystemClock(), self.settings, create=create)
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


@contextmanager
def _progress(doing: str) -> Iterator[Callable[[int, int], None]]:
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


_words = click.argument("words", nargs=-1, metavar="[FILTER]")
_number = click.argument("number")
_reason = click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the timeline.")


def _write(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--dry-run", is_flag=True, help="Show what would be done; store nothing.")(command)
    return click.option(
        "--request-id", metavar="ID", help="A repeat with the same ID returns the first result and does nothing."
    )(command)


_invocation = click.make_pass_decorator(Invocation)


# The application


@click.group(cls=_Group, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="smartsub")
@click.option("--screen", type=click.Choice(["dashboard", "subscriptions", "payments"]), help="Open this screen.")
@click.option("--filter", "filter_", metavar="FILTER", help="Open Payments with this filter.")
@_with_globals
@click.pass_context
def cli(
    context: click.Context,
    screen: str | None,
    filter_: str | None,
    database: str | None,
    config_: str | None,
    admin: str | None,
    json_: bool,
) -> None:
    """Activate, renew, pay and triage access-control and intercom subscriptions.

    Without a command the application opens.
    """
    context.obj = Globals(database, config_, admin, json_)
    if context.invoked_subcommand is None:
        if filter_ is not None:
            parse_orders(filter_)
        _open(Invocation(context.obj), screen, filter_)
    elif screen is not None or filter_ is not None:
        raise click.UsageError("--screen and --filter open the application: they take no command")


def _open(run: Invocation, screen: str | None, filter_text: str | None) -> None:
    """The application, where nothing else is said as it was left; without a terminal, dashboard and orders as text."""
    terminal = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    if not terminal or run.globals.json or os.environ.get("TERM", "dumb") in ("dumb", ""):
        with run.session(create=True) as session:
            _print_dashboard(run, session, filter_text or "")
        return
    from smartsub_tui.backend import Backend
    from smartsub_tui.billing import opening

    gc.disable()  # as above, until the application has drawn its first frame
    os.environ["TEXTUAL_FPS"] = _FRAMES
    backend = Backend(run.url, run.admin, run.settings, SystemClock(), create=True)
    rows = get_terminal_size().lines
    looked = backend.begin(lambda session: opening.look(session, screen, filter_text, rows=rows))
    # While Textual is imported, which takes longer.
    try:
        from smartsub_tui.app import SmartSubApp

        opened = looked.result()
    except BaseException:
        backend.close()
        raise
    app = SmartSubApp(backend, opened, config_file=run.config_file)
    app.run()
    if app.return_code:
        raise SystemExit(app.return_code)


def _print_dashboard(run: Invocation, session: Session, filter_text: str) -> None:
    from smartsub_tui.billing.changes import time_out_due

    with available():
        access.check(session.admin, Permission.READ)
        time_out_due(session)
        now = session.clock.now()
        moment = Moment(now, session.settings.ui.timezone)
        offices = queries.offices(now)
        newest = queries.search_orders(parse_orders(filter_text), moment, limit=ROWS).rows
    run.print(
        {"offices": offices, "orders": list(newest)},
        lambda: f"{output.offices(offices)}\n\n{output.orders(newest, session.settings.ui.timezone)}",
    )


@cli.command()
@click.option("--orders", "orders_", type=click.IntRange(0, 10_000_000), default=20_000, show_default=True)
@click.option("--users", type=click.IntRange(1, 1_000_000), default=2_000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed and day, same data.")
@click.option("--keep", metavar="FILE", type=click.Path(path_type=Path), help="Keep the sample database here.")
@_invocation
def demo(run: Invocation, orders_: int, users: int, seed: int, keep: Path | None) -> None:
    """The application on sample data."""
    import tempfile

    from smartsub_tui.billing.demo import make_demo

    if keep is not None and keep.exists():
        raise WrongUsage(f"{keep} exists: name another file, or open it with --database {url_of(keep)}")
    with tempfile.TemporaryDirectory(prefix="smartsub-demo-") as folder:
        path = keep or Path(folder) / "demo.sqlite3"
        here = Invocation(replace(run.globals, database=url_of(path.absolute())))
        say(f"making {orders_:,} orders of {users:,} users ...")
        try:
            with here.session(create=True) as session, available():
                make_demo(
                    session.database,
                    admin=session.admin,
                    now=session.clock.now(),
                    orders=orders_,
                    users=users,
                    seed=seed,
                    settings=session.settings,
                )
        except BaseException:
            # Half a sample would look like a whole one at the next start.
            if keep is not None:
                for leftover in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                    leftover.unlink(missing_ok=True)
            raise
        _open(here, "dashboard", "")


# The database


@cli.command()
@_invocation
def init(run: Invocation) -> None:
    """Make the database; who makes it is its manager."""
    path = path_of(run.url)
    existed = path is not None and path.exists() and path.stat().st_size > 0
    with run.session(create=True) as session, available():
        admin = access.check(session.admin, Permission.READ)
    where = str(path) if path is not None else "memory"
    told = f"{where} is there already" if existed else f"made {where}"
    run.print(
        {"database": run.url, "created": not existed, "admin": admin.name, "role": admin.role},
        lambda: f"{told}; {admin.name} is {admin.role.label} of it",
    )


@cli.command()
@_invocation
def migrate(run: Invocation) -> None:
    """Bring the database's schema up to date (every command does, where it is behind)."""
    with run.session() as session:
        run.print({"database": run.url, "current": True}, lambda: f"{session.database.database} is up to date")


@cli.command()
@_invocation
def doctor(run: Invocation) -> None:
    """Print what is in force, and whether what the money stands on is whole: file, disk, audit trail, clock."""
    from smartsub_tui.billing import health

    facts = [
        ("smartsub", __version__),
        ("python", sys.version.split()[0]),
        ("database", run.url),
        ("admin", run.admin),
        *config.in_force(run.settings),
    ]
    wrong: list[str] = []
    try:
        with run.reading() as session:
            facts.append(("role", access.check(session.admin, Permission.READ).role.label))
            checks = health.examine(session, run.url)
        facts += [(each.name, each.says if each.ok else f"WRONG: {each.says}") for each in checks]
        wrong = [f"{each.name}: {each.says}" for each in checks if not each.ok]
    except SmartsubError as error:
        facts.append(("state", error.message))
        raise
    finally:
        width = max(len(name) for name, _ in facts)
        run.print(dict(facts), lambda: "\n".join(f"{name.ljust(width)}  {value}" for name, value in facts))
    if wrong:
        raise Unavailable("; ".join(wrong))


@cli.command()
@click.argument("words", nargs=-1, required=True, metavar="[verify] FILE")
@_invocation
def backup(run: Invocation, words: tuple[str, ...]) -> None:
    """Copy the whole database into FILE while others work; backup verify FILE tells whether such a copy is whole."""
    from smartsub_tui.billing import backups

    match words:
        case ["verify", name]:
            made, told = backups.verify(Path(name)), "is whole"
        case [name] if name != "verify":
            with run.session() as session, _progress("copying") as told_of:
                made, told = backups.back_up(session, Path(name), told_of), "was made, and read again: it is whole"
        case _:
            raise click.UsageError("write smartsub backup FILE, or smartsub backup verify FILE")
    run.print(made, lambda: output.backup(made, told, run.settings.ui.timezone))


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--go-back", is_flag=True, help="Even where the database has changes that the backup has not.")
@_invocation
def recover(run: Invocation, file: Path, go_back: bool) -> None:
    """Put a backup in the place of the database, which nobody may have open; the old file is kept beside it."""
    from smartsub_tui.billing import backups

    path = path_of(run.url)
    if path is None:
        raise click.UsageError("a database in memory has no file: name one with --database")
    made = backups.recover(path, run.url, file, run.admin, SystemClock(), run.settings, go_back=go_back)
    run.print(made, lambda: output.recovered(made, run.settings.ui.timezone))


@cli.command()
@click.argument("what", type=click.Choice(["verify"]))
@click.option("--head", metavar="HASH", help="The last hash that was noted before: see that it still stands there.")
@_invocation
def audit(run: Invocation, what: str, head: str | None) -> None:
    """See whether the audit trail is as it was written: each event carries a hash over itself and the one before."""
    from smartsub_tui.billing import audit_chain

    with run.reading() as session:
        found = audit_chain.verify(session, head)
    run.print(found, lambda: output.chain(found, head, run.settings.ui.timezone))


@cli.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--partial", is_flag=True, help="Take the good rows and report the others.")
@_write
@_invocation
def import_(run: Invocation, files: tuple[Path, ...], partial: bool, dry_run: bool, request_id: str | None) -> None:
    """Import prices, users and orders from CSV files; which is which their headers tell.

    All files are one transaction: taken whole or not at all.
    """
    from smartsub_tui.billing.imports import import_files

    with run.session(create=True) as session:
        report = import_files(session, files, dry_run=dry_run, partial=partial, request_id=request_id)
    run.print(report, report.text)


# Reading


@cli.command()
@_invocation
def offices(run: Invocation) -> None:
    """The offices and communities, with their counts."""
    with run.reading() as session:
        found = queries.offices(session.clock.now())
    run.print(found, lambda: output.offices(found))


_limit = click.option(
    "--limit",
    type=click.IntRange(0, 10_000_000),
    default=ROWS,
    show_default=True,
    help="At most so many rows; 0 is all.",
)


@cli.command()
@_words
@_limit
@_invocation
def users(run: Invocation, words: tuple[str, ...], limit: int) -> None:
    """The people that FILTER lets through (keys: office department kind service apartment state expires order)."""
    chosen = parse_users(" ".join(words))
    with run.reading() as session:
        people = queries.search_users(chosen, _moment(session), limit=limit + 1 if limit else None)
    found = _first(people, limit)
    run.print(found, lambda: output.users(found))


@cli.command("orders")
@_words
@_limit
@click.option("--sort", metavar="KEY", help=f"{', '.join(queries.SORT_KEYS)}; -KEY: down.  [default: -created]")
@click.option("--view", metavar="NAME", help="Of a saved view, in its sort; FILTER narrows it.")
@_invocation
def orders_(run: Invocation, words: tuple[str, ...], limit: int, sort: str | None, view: str | None) -> None:
    """The orders that FILTER lets through, newest first.

    Keys: status type office department user created paid payby total currency apartments provider by is. A bare word
    is a part of the order number. A word that starts with - stands after --.
    """
    chosen = parse_orders(" ".join(words))
    by = queries.parse_sort(sort or "-created")
    with run.reading() as session:
        if view is not None:
            from smartsub_tui.billing.views import find_view

            saved = find_view(session, view)
            chosen = parse_orders(saved.filter).with_term(chosen.describe())
            by = by if sort else queries.parse_sort(saved.sort)
        page = queries.search_orders(chosen, _moment(session), sort=by, limit=limit + 1 if limit else None)
    found = _first(page.rows, limit)
    run.print(found, lambda: output.orders(found, session.settings.ui.timezone))


@cli.group(cls=_Group, invoke_without_command=True)
@_with_globals
@click.pass_context
def views(context: click.Context, database: str | None, config_: str | None, admin: str | None, json_: bool) -> None:
    """The saved views: your own, then everyone's. `orders --view NAME` shows one."""
    context.obj = context.obj.under(Globals(database, config_, admin, json_))
    if context.invoked_subcommand is None:
        from smartsub_tui.billing.views import views as saved_views

        run = Invocation(context.obj)
        with run.reading() as session:
            found = saved_views(session)
        run.print(found, lambda: output.views(found))


_shared = click.option("--shared", is_flag=True, help="Everyone's, not your own; for managers.")


@views.command("save")
@click.argument("name")
@_words
@_shared
@click.option("--sort", metavar="KEY", default="-created", show_default=True, help="As smartsub orders takes it.")
@_write
@_invocation
def save_view(
    run: Invocation, name: str, words: tuple[str, ...], shared: bool, sort: str, dry_run: bool, request_id: str | None
) -> None:
    """Save FILTER under NAME, in the place of what had that name."""
    from smartsub_tui.billing import views

    with run.session() as session:
        saved = views.save_view(
            session, name, " ".join(words), sort, shared=shared, request_id=request_id, dry_run=dry_run
        )
    _print_view(run, saved, dry_run)


@views.command("remove")
@click.argument("name")
@_shared
@_write
@_invocation
def remove_view(run: Invocation, name: str, shared: bool, dry_run: bool, request_id: str | None) -> None:
    """Forget the view of that name."""
    from smartsub_tui.billing import views

    with run.session() as session:
        was = views.remove_view(session, name, shared=shared, request_id=request_id, dry_run=dry_run)
    _print_view(run, was, dry_run)


def _print_view(run: Invocation, view: ViewRecord, dry_run: bool) -> None:
    if dry_run:
        say("dry run: nothing was stored")
    run.print(view, lambda: output.views([view]))


@cli.command()
@click.option("--markdown", is_flag=True, help="As a page of Markdown.")
@_invocation
def keys(run: Invocation, markdown: bool) -> None:
    """The keys of the application by screen, those of config.toml among them, and what is typed behind `:`."""
    from smartsub_tui import commands

    commands.remap(dict(run.settings.ui.keys))
    if markdown and run.globals.json:
        raise click.UsageError("--markdown and --json are two ways to print: say one of them")
    run.print(output.keys_as_records(), output.keys_as_markdown if markdown else output.keys)


@cli.command()
@_invocation
def billing(run: Invocation) -> None:
    """The address of the billing system, as the configuration file has it."""
    url = run.settings.billing_system.url
    if not url:
        raise Refused(config.no_billing_system(run.config_file))
    run.print({"url": url}, lambda: url)


def _first(found: Sequence[T], limit: int) -> Sequence[T]:
    """The rows up to the limit; one more was asked for, to tell whether there are more without counting them."""
    if limit and len(found) > limit:
        say(f"the first {limit:,} are shown, there are more: --limit 0 shows all")
        return found[:limit]
    return found


@cli.command()
@_number
@_invocation
def order(run: Invocation, number: str) -> None:
    """Details, lines, payments and timeline of one order."""
    from smartsub_tui.billing.details import read_order

    with run.reading() as session:
        found = read_order(number, session.clock.now(), session.settings)
    run.print(found, lambda: output.order(found, session.settings.ui.timezone))


@cli.command()
@click.argument("what", type=click.Choice(["orders", "users", "audit"]))
@_words
@click.option("--sort", metavar="KEY", help="Of orders, as smartsub orders takes it.  [default: -created]")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), help="Else by the ending of FILE, else csv.")
@click.option("-o", "--output", "file", metavar="FILE", help="Into a file, whole or not at all; - is standard output.")
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@_invocation
def export(
    run: Invocation,
    what: str,
    words: tuple[str, ...],
    sort: str | None,
    form: str | None,
    file: str | None,
    force: bool,
) -> None:
    """Orders or users that FILTER lets through, or the audit trail, for other programs.

    CSV has the columns that smartsub import takes, JSON Lines one object a line. All of it is of one moment.
    """
    from smartsub_tui.billing import exports
    from smartsub_tui.data.csv_files import shown_name
    from smartsub_tui.data.exports import ExportFormat, ExportKind, Wanted
    from smartsub_tui.data.files import FileExists

    kind = ExportKind(what)
    if kind is ExportKind.AUDIT and words:
        raise click.UsageError("the audit trail is exported whole: it takes no FILTER")
    if sort is not None and kind is not ExportKind.ORDERS:
        raise click.UsageError(f"--sort is for orders: {kind.label} have one order")
    parse = {ExportKind.ORDERS: parse_orders, ExportKind.USERS: parse_users}
    chosen = parse[kind](" ".join(words)) if kind in parse else None
    wanted = Wanted(kind, chosen, queries.parse_sort(sort or "-created"))
    into = None if file in (None, "-") else file
    if form is not None:
        written = ExportFormat(form)
    elif into is not None:
        written = exports.format_of(into)
    else:
        written = ExportFormat.JSONL if run.globals.json else ExportFormat.CSV
    with run.reading(exports.PERMISSIONS[kind]) as session, session.database.reading():
        if into is None:
            _to_output(exports.pages(session, exports.find_rows(session, wanted, written)))
            return
        job = exports.FileExport(wanted, written, Path(into), replace=force)
        try:
            job.begin(session)
            while not job.go_on(session):
                pass
        except FileExists as error:
            raise Refused(f"{shown_name(into)} exists: name another file, or say --force to replace it") from error
        finally:
            job.stop()
    run.print(
        {"file": into, "format": written, "rows": job.count},
        lambda: f"wrote {job.count:,} {kind.label} to {shown_name(into)}",
    )


def _to_output(pages: Iterator[str]) -> None:
    """In UTF-8 whatever the locale, as the import reads it; before someone's eyes as harmless text.

    Whoever has read enough closes the pipe: that is no error, and Click would make one of it.
    """
    from smartsub_tui.display import block

    eyes = sys.stdout.isatty()
    with suppress(BrokenPipeError):
        for page in pages:
            if eyes:
                click.echo(block(page), nl=False)
            else:
                sys.stdout.buffer.write(page.encode())


@cli.command()
@_number
@click.option(
    "-o", "target", metavar="FILE|DIR|-", help="Where to; else [invoice] folder, or here. - is standard output."
)
@click.option("--force", is_flag=True, help="Replace FILE, where it is there with other content.")
@click.option("--credit-notes", is_flag=True, help="Save the order's credit notes instead, each under its number.")
@_invocation
def invoice(run: Invocation, number: str, target: str | None, force: bool, credit_notes: bool) -> None:
    """Save the invoice of an order as PDF; NUMBER is the order's, or that of an invoice or credit note."""
    from smartsub_tui.billing import invoice_files

    folder = Path(target) if target and (target.endswith("/") or Path(target).is_dir()) else None
    file = Path(target) if target and folder is None and target != "-" else None
    if credit_notes:
        if target is not None and folder is None:
            raise click.UsageError("--credit-notes goes with -o DIR: there is a file of each")
        with run.reading() as session:
            notes = invoice_files.save_credit_notes(session, number, folder=folder)
        run.print(notes, lambda: "\n".join(each.told for each in notes))
        return
    if force and file is None:
        raise click.UsageError("--force goes with -o FILE, and replaces that file")
    if target == "-":
        if run.globals.json:
            raise click.UsageError("-o - prints the PDF itself: --json goes with a file")
        if sys.stdout.isatty():
            raise click.UsageError("a terminal cannot show a PDF: send it on, or name a file with -o FILE")
        with run.reading() as session:
            content = invoice_files.draw(session, number).content
        sys.stdout.buffer.write(content)
        return
    with run.reading() as session:
        saved = invoice_files.save(session, number, file=file, folder=folder, replace=force)
    run.print(saved, lambda: saved.told)


def _moment(session: Session) -> Moment:
    return Moment(session.clock.now(), session.settings.ui.timezone)


# Making orders

_office = click.option("--office", required=True, metavar="NAME")
_additional = click.option("--additional", is_flag=True, help="The family members' additional app instead.")


def _paying(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--reference", metavar="TEXT", help="What says that the money is here.")(command)
    return click.option("--pay", "provider", type=click.Choice(["manual", "bank", "stripe"]), help="Pay at once.")(
        command
    )


def _references(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--buyer-reference", metavar="TEXT", help="The buyer's own reference; on the invoice.")(
        command
    )
    return click.option("--po-number", metavar="TEXT", help="The buyer's purchase order; on the invoice.")(command)


def _said(po_number: str | None, buyer_reference: str | None) -> BuyerReferences:
    from smartsub_tui.billing.invoices import BuyerReferences

    return BuyerReferences(po_number, buyer_reference)


def _how(provider: str | None, reference: str | None) -> payments.Paying | None:
    from smartsub_tui.billing import payments

    if provider in ("bank", "stripe"):
        if reference is not None:
            raise click.UsageError(f"--pay {provider} takes no --reference: when the money came, smartsub pay has it")
        return payments.BankTransfer() if provider == "bank" else None
    if provider == "manual" and reference is None:
        raise click.UsageError("--pay manual needs --reference, which says that the money is here")
    if reference is None:
        return None
    if provider is None:
        raise click.UsageError("--reference goes with --pay manual")
    return payments.Manual(reference)


@cli.command()
@_office
@click.option("--department", "departments", multiple=True, required=True, metavar="NAME", help="May be repeated.")
@_additional
@_paying
@_references
@_write
@_invocation
def activate(
    run: Invocation,
    office: str,
    departments: tuple[str, ...],
    additional: bool,
    provider: str | None,
    reference: str | None,
    po_number: str | None,
    buyer_reference: str | None,
    dry_run: bool,
    request_id: str | None,
) -> None:
    """Order the activation of everyone inactive in the departments."""
    from smartsub_tui.billing import orders

    paying = _how(provider, reference)
    with run.session() as session:
        made = orders.activate(
            session,
            office,
            departments,
            additional=additional,
            paying=paying,
            references=_said(po_number, buyer_reference),
            request_id=request_id,
            dry_run=dry_run,
        )
        _print_new(run, session, _linked(session, made, provider, request_id, dry_run), dry_run)


@cli.command()
@_office
@_words
@click.option("--months", metavar="N", help="1 to 60.")
@click.option("--until", metavar="DATE", help="YYYY-MM-DD: renew by the day; communities only.")
@_additional
@_paying
@_references
@_write
@_invocation
def renew(
    run: Invocation,
    office: str,
    words: tuple[str, ...],
    months: str | None,
    until: str | None,
    additional: bool,
    provider: str | None,
    reference: str | None,
    po_number: str | None,
    buyer_reference: str | None,
    dry_run: bool,
    request_id: str | None,
) -> None:
    """Order the renewal of every activated user and property manager whom FILTER lets through."""
    from smartsub_tui.billing import orders
    from smartsub_tui.billing.terms import Months, Until, parse_date, parse_months

    paying = _how(provider, reference)
    if (months is None) == (until is None):
        raise click.UsageError("say --months N or --until DATE, one of them")
    try:
        term = Months(parse_months(months)) if months is not None else Until(parse_date(until or ""))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    chosen = parse_users(" ".join(words))
    with run.session() as session:
        made = orders.renew(
            session,
            office,
            chosen,
            term,
            additional=additional,
            paying=paying,
            references=_said(po_number, buyer_reference),
            request_id=request_id,
            dry_run=dry_run,
        )
        _print_new(run, session, _linked(session, made, provider, request_id, dry_run), dry_run)


def _linked(
    session: Session, made: orders.NewOrder, provider: str | None, request_id: str | None, dry_run: bool
) -> orders.NewOrder:
    """The order as it is with a payment link, where it is to be paid by one."""
    from smartsub_tui.billing import links

    if provider != "stripe" or dry_run:
        return made
    # The order is made, whatever becomes of the link: a repeat of the command opens it then.
    link_id = None if request_id is None else f"{request_id}/link"
    paid = _hold(session, links.open_link(session, made.order.number, request_id=link_id))
    return replace(made, order=paid.order)


@cli.command()
@_number
@_references
@_write
@_invocation
def again(
    run: Invocation,
    number: str,
    po_number: str | None,
    buyer_reference: str | None,
    dry_run: bool,
    request_id: str | None,
) -> None:
    """Order once more, at today's price, what timed out, failed or was cancelled."""
    from smartsub_tui.billing import orders

    references = _said(po_number, buyer_reference)
    with run.session() as session:
        made = orders.again(session, number, references=references, request_id=request_id, dry_run=dry_run)
        _print_new(run, session, made, dry_run)


def _print_new(run: Invocation, session: Session, made: orders.NewOrder, dry_run: bool) -> None:
    if dry_run:
        say("dry run: nothing was stored")
    if run.globals.json:  # of ten thousand people neither form is made for nothing
        number = {"number": None} if dry_run else {}
        document = to_json(made.order) | number | {"skipped": to_json(made.skipped)}
        run.print(document, str)
        return
    shown = replace(made.order, number="none, this is a dry run") if dry_run else made.order
    run.print(None, lambda: output.order(shown, session.settings.ui.timezone))
    if made.skipped:
        say(output.skipped(made.skipped))


# Money and the moves of an order


@cli.command()
@_number
@click.option("--reference", metavar="TEXT", help="What says that the money is here.")
@click.option("--amount", metavar="A", help="Where it is not the total: it is recorded and waits.")
@click.option("--provider", type=click.Choice(["manual", "bank", "stripe"]), help="How it will be paid.")
@_references
@_write
@_invocation
def pay(
    run: Invocation,
    number: str,
    reference: str | None,
    amount: str | None,
    provider: str | None,
    po_number: str | None,
    buyer_reference: str | None,
    dry_run: bool,
    request_id: str | None,
) -> None:
    """Pay an order with money that is here, choose bank transfer, or open a payment link.

    A payment link that is open is shown; another way of paying ends it first.
    """
    from smartsub_tui.billing import links, payments

    options: dict[str, Any] = {
        "references": _said(po_number, buyer_reference),
        "request_id": request_id,
        "dry_run": dry_run,
    }
    with run.session() as session:
        if provider == "bank":
            if reference is not None or amount is not None:
                raise click.UsageError("--provider bank takes no --reference: give it alone when the money came")
            bank = partial(payments.pay, session, number, payments.BankTransfer(), **options)
            paid = _hold(session, links.without_link(session, Trigger.PAY, number, bank, dry_run=dry_run))
            _print_paid(run, session, paid, dry_run, bank=True)
            return
        if provider == "stripe":
            if reference is not None or amount is not None:
                raise click.UsageError("--provider stripe takes no --reference: Stripe says itself when the money came")
            paid = _hold(session, links.open_link(session, number, **options))
            _print_paid(run, session, paid, dry_run)
            return
        money = payments.Manual(reference or "", _amount(session, number, amount))
        if reference is None and not _is_free(session, number):
            raise click.UsageError("say --reference TEXT if the money is here, or --provider bank or stripe")
        here = partial(payments.pay, session, number, money, **options)
        paid = _hold(session, links.without_link(session, Trigger.PAY, number, here, dry_run=dry_run))
        _print_paid(run, session, paid, dry_run)


@cli.command()
@_number
@click.option("--reference", required=True, metavar="TEXT", help="What says that the money came.")
@click.option("--amount", metavar="A", help="Where it is not the total: it is recorded and waits.")
@click.option("--second", is_flag=True, help="It is money beside what the order was paid with.")
@_references
@_write
@_invocation
def confirm(
    run: Invocation,
    number: str,
    reference: str,
    amount: str | None,
    second: bool,
    po_number: str | None,
    buyer_reference: str | None,
    dry_run: bool,
    request_id: str | None,
) -> None:
    """Say that the money for an order came: late, or after its outcome was unknown."""
    from smartsub_tui.billing import links, payments

    with run.session() as session:
        money = payments.Manual(reference, _amount(session, number, amount))
        came = partial(
            payments.confirm,
            session,
            number,
            money,
            second=second,
            references=_said(po_number, buyer_reference),
            request_id=request_id,
            dry_run=dry_run,
        )
        paid = _hold(session, links.without_link(session, Trigger.CONFIRM, number, came, dry_run=dry_run))
        _print_paid(run, session, paid, dry_run)


@cli.command()
@_number
@_write
@_invocation
def apply(run: Invocation, number: str, dry_run: bool, request_id: str | None) -> None:
    """Settle an order with the money that waits on it."""
    from smartsub_tui.billing import payments

    with run.session() as session:
        _print_paid(run, session, payments.apply(session, number, request_id=request_id, dry_run=dry_run), dry_run)


@cli.command()
@_number
@_reason
@click.option("--reference", metavar="TEXT", help="What says that it was paid back by hand.")
@_write
@_invocation
def refund(
    run: Invocation, number: str, reason: str, reference: str | None, dry_run: bool, request_id: str | None
) -> None:
    """Pay back the money of an order that waits: through its provider, or by hand with --reference."""
    from smartsub_tui.billing import refunds

    with run.session() as session:
        options: dict[str, Any] = {"reference": reference, "request_id": request_id, "dry_run": dry_run}
        found = _hold(session, refunds.refund(session, number, reason, **options))
        _print_order(run, session, found, dry_run)


@cli.command()
@_number
@click.option("--user", "users", multiple=True, metavar="ID", help="Only this person of it; may be repeated.")
@_reason
@click.option("--reference", metavar="TEXT", help="What says that it was paid back by hand.")
@_write
@_invocation
def credit(
    run: Invocation,
    number: str,
    users: tuple[str, ...],
    reason: str,
    reference: str | None,
    dry_run: bool,
    request_id: str | None,
) -> None:
    """Take back a paid order, or people of it: a credit note, the dates without it, and the money paid back."""
    from smartsub_tui.billing import credits

    with run.session() as session:
        options: dict[str, Any] = {"reference": reference, "request_id": request_id, "dry_run": dry_run}
        done = _hold(session, credits.credit(session, number, reason, users=users or None, **options))
        if run.globals.json:
            if dry_run:
                say("dry run: nothing was stored")
            document = to_json(done)
            run.print(document.pop("order") | document, str)
            return
        _print_order(run, session, done.order, dry_run)
        say(output.credited(done, dry_run=dry_run))


def _hold(session: Session, talk: Talk[T]) -> T:
    """Hold a talk with a provider to its end."""
    from smartsub_tui.billing.providers import hold

    return hold(session.database, session.providers, talk)


def _amount(session: Session, number: str, text: str | None) -> int | None:
    from smartsub_tui.data.money import parse_amount

    if text is None:
        return None
    with available():
        access.check(session.admin, Permission.READ)
        currency = queries.find_order(number).currency
    try:
        return parse_amount(text, currency)
    except ValueError as error:
        raise click.UsageError(f"--amount: {error}") from error


def _is_free(session: Session, number: str) -> bool:
    with available():
        access.check(session.admin, Permission.READ)
        return queries.find_order(number).total == 0


def _print_paid(run: Invocation, session: Session, paid: payments.Paid, dry_run: bool, *, bank: bool = False) -> None:
    _print_order(run, session, paid.order, dry_run)
    if paid.waiting is not None:
        was = "would be" if dry_run else "was"
        say(f"the money {was} recorded and waits, it cannot be applied: {paid.waiting}")
    if bank:
        say(output.bank_details(paid.order, session.settings))


def _print_order(run: Invocation, session: Session, found: OrderDetails, dry_run: bool) -> None:
    if dry_run:
        say("dry run: nothing was stored")
    run.print(found, lambda: output.order(found, session.settings.ui.timezone))


def _closing(trigger: Trigger, help_text: str) -> None:
    """fail, cancel and delete: the same shape, another move."""

    @cli.command(trigger.value, help=help_text)
    @_number
    @_reason
    @_write
    @_invocation
    def command(run: Invocation, number: str, reason: str, dry_run: bool, request_id: str | None) -> None:
        from smartsub_tui.billing import links, payments

        with run.session() as session:
            move = partial(payments.CLOSING[trigger], session, number, reason, request_id=request_id, dry_run=dry_run)
            found = _hold(session, links.without_link(session, trigger, number, move, dry_run=dry_run))
            _print_order(run, session, found, dry_run)


_closing(Trigger.FAIL, "Mark a System Processing order as Failed.")
_closing(Trigger.CANCEL, "Cancel an order that is not paid.")
_closing(Trigger.DELETE, "Hide an order; restore brings it back.")


@cli.command()
@_number
@_write
@_invocation
def restore(run: Invocation, number: str, dry_run: bool, request_id: str | None) -> None:
    """Bring a deleted order back into the lists."""
    from smartsub_tui.billing import payments

    with run.session() as session:
        _print_order(run, session, payments.restore(session, number, request_id=request_id, dry_run=dry_run), dry_run)


@cli.command()
@_write
@_invocation
def sweep(run: Invocation, dry_run: bool, request_id: str | None) -> None:
    """Time out what is due, and ask providers again about what they left open; for a timer, every minute."""
    from smartsub_tui.billing import sweep as billing_sweep

    with run.session() as session:
        swept = _hold(session, billing_sweep.sweep(session, request_id=request_id, dry_run=dry_run))
    run.print(swept, lambda: output.swept(swept))


# Errors


def main() -> NoReturn:
    """Run the command line; every error is one sentence on standard error and an exit code, never a traceback."""
    gc.freeze()
    gc.enable()
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
