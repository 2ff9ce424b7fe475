"""The database: made, moved to a new schema, looked after, copied and brought back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from smartsub_tui import __version__, config, output
from smartsub_tui.billing import access
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.session import Session
from smartsub_tui.cli.invocation import Invocation, command, progress, with_invocation, without_password
from smartsub_tui.clock import SystemClock
from smartsub_tui.data.database import available, is_server, path_of, shown_url
from smartsub_tui.errors import SmartsubError, Unavailable, WrongUsage

_grants: Final = click.option(
    "--grant", metavar="ROLE", help="On a server: let this role work with the tables, and not change them or the trail."
)


@command()
@_grants
@with_invocation
def init(run: Invocation, grant: str | None) -> None:
    """Make the database; who makes it is its manager."""
    path = path_of(run.url)
    existed = path is not None and path.exists() and path.stat().st_size > 0
    with run.session(create=True) as session, available():
        admin = access.check(session.admin, Permission.READ)
        _complete(session, grant)
        where = "memory" if path is None and not is_server(run.url) else session.database.name
        existed = existed or (path is None and not session.database.made)
    told = f"{where} is there already" if existed else f"made {where}"
    made = {"database": shown_url(run.url), "created": not existed, "admin": admin.name, "role": admin.role}
    run.print(
        made | _granted(grant), lambda: f"{told}; {admin.name} is {admin.role.label} of it{_granted_words(grant)}"
    )


@command()
@_grants
@with_invocation
def migrate(run: Invocation, grant: str | None) -> None:
    """Bring the database's schema up to date (every command does, where it is behind)."""
    with run.session() as session, available():
        _complete(session, grant)
        run.print(
            {"database": shown_url(run.url), "current": True} | _granted(grant),
            lambda: f"{session.database.name} is up to date{_granted_words(grant)}",
        )


def _complete(session: Session, grant: str | None) -> None:
    session.database.complete()
    if grant is not None:
        session.database.grant(grant)


def _granted(role: str | None) -> dict[str, str]:
    return {} if role is None else {"granted": role}


def _granted_words(role: str | None) -> str:
    return "" if role is None else f"; {role} may work with it"


@command()
@with_invocation
def doctor(run: Invocation) -> None:
    """Print what is in force, and whether what the money stands on is whole: file, disk, audit trail, clock."""
    from smartsub_tui.billing import health

    facts = [
        ("smartsub", __version__),
        ("python", sys.version.split()[0]),
        ("database", _told(run.url)),
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


def _told(url: str) -> str:
    """The URL of the database, or why it is none: then it may hold a password."""
    try:
        path_of(url)
    except WrongUsage as error:
        return error.message
    return shown_url(url)


@command()
@click.argument("words", nargs=-1, required=True, metavar="[verify] FILE")
@with_invocation
def backup(run: Invocation, words: tuple[str, ...]) -> None:
    """Copy the whole database into FILE while others work; backup verify FILE tells whether such a copy is whole."""
    from smartsub_tui.billing import backups

    match words:
        case ["verify", name]:
            made, told = backups.verify(Path(name)), "is whole"
        case [name] if name != "verify":
            with run.session() as session, progress("copying") as told_of:
                made, told = backups.back_up(session, Path(name), told_of), "was made, and read again: it is whole"
        case _:
            raise click.UsageError("write smartsub backup FILE, or smartsub backup verify FILE")
    run.print(made, lambda: output.backup(made, told, run.settings.ui.timezone))


@command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--go-back", is_flag=True, help="Even where the database has changes that the backup has not.")
@with_invocation
def recover(run: Invocation, file: Path, go_back: bool) -> None:
    """Put a backup in the place of the database, which nobody may have open; the old file is kept beside it."""
    from smartsub_tui.billing import backups

    path = path_of(run.url)
    if is_server(run.url):
        raise click.UsageError("a database on a server is gone back to by its own means: docs/postgres.md")
    if path is None:
        raise click.UsageError("a database in memory has no file: name one with --database")
    made = backups.recover(path, run.url, file, run.admin, SystemClock(), run.settings, go_back=go_back)
    run.print(made, lambda: output.recovered(made, run.settings.ui.timezone))


@command()
@click.option(
    "--from",
    "source",
    metavar="URL",
    callback=without_password,
    help="The database that is copied; else the one in use.",
)
@click.option(
    "--to",
    "target",
    metavar="URL",
    required=True,
    callback=without_password,
    help="The empty one that becomes the copy.",
)
@click.option("--anew", is_flag=True, help="Throw an unfinished copy away that is there, and begin again.")
@with_invocation
def copy(run: Invocation, source: str | None, target: str, anew: bool) -> None:
    """Copy the whole database into an empty one, from a file to a server or back; the same again goes on with it.

    It is of one moment, and is no database before every row of it was compared.
    """
    from smartsub_tui.billing import copies

    for url in (source or run.url, target):
        if path_of(url) is None and not is_server(url):
            raise click.UsageError("a database in memory is nobody else's, and gone with its command: name a file")
    with run.session(url=source, read_only=True) as session, progress("copying") as told_of:
        made = copies.copy(session, target, told_of, anew=anew)
    run.print(made, lambda: output.copied(made))


@command()
@click.argument("what", type=click.Choice(["verify"]))
@click.option("--head", metavar="HASH", help="The last hash that was noted before: see that it still stands there.")
@with_invocation
def audit(run: Invocation, what: str, head: str | None) -> None:
    """See whether the audit trail is as it was written: each event carries a hash over itself and the one before."""
    from smartsub_tui.billing import audit_chain

    with run.reading() as session:
        found = audit_chain.verify(session, head)
    run.print(found, lambda: output.chain(found, head, run.settings.ui.timezone))
