"""The admins: who they are, in which role, for which offices, and up to which total."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from smartsub_tui import output
from smartsub_tui.cli.invocation import (
    Globals,
    Group,
    Invocation,
    read_small,
    say,
    with_globals,
    with_invocation,
    writes,
)
from smartsub_tui.data.money import Money, is_currency, parse_amount
from smartsub_tui.data.vocabulary import Role
from smartsub_tui.errors import WrongUsage

if TYPE_CHECKING:
    from smartsub_tui.data.records import AdminRecord

_LONGEST_LINE: Final = 100  # of standard input; a PIN is shorter


def _limit(text: str) -> Money:
    """An amount and its currency: 500.00EUR, or "500.00 EUR"."""
    amount, currency = text[:-3].strip(), text[-3:].upper()
    if not is_currency(currency):
        raise click.BadParameter(f"{text!r} names no currency: write an amount and its currency, as 500.00EUR")
    try:
        return Money(parse_amount(amount, currency), currency)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _limits(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--limit",
        "limits",
        type=_limit,
        multiple=True,
        metavar="AMOUNT",
        help="Of an operator: the largest total of an order that they take money for, as 500.00EUR; one per currency.",
    )(command)


def _offices(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--office",
        "offices",
        multiple=True,
        metavar="NAME",
        help="They work for this office, and see nothing of others; may be repeated. Without any, for all.",
    )(command)


_role = click.Choice([role.value for role in Role])


@click.group(cls=Group, invoke_without_command=True)
@with_globals
@click.pass_context
def admin(context: click.Context, database: str | None, config_: str | None, admin: str | None, json_: bool) -> None:
    """Who works here: list them; managers add, change, disable and enable them, and keep their keys of SSH."""
    context.obj = context.obj.under(Globals(database, config_, admin, json_))
    if context.invoked_subcommand is None:
        _list(Invocation(context.obj))


@admin.command("list")
@with_invocation
def list_(run: Invocation) -> None:
    """All admins, those who may no more too."""
    _list(run)


@admin.command()
@click.argument("name")
@click.option("--role", type=_role, required=True)
@_limits
@_offices
@writes
@with_invocation
def add(
    run: Invocation,
    name: str,
    role: str,
    limits: tuple[Money, ...],
    offices: tuple[str, ...],
    dry_run: bool,
    request_id: str | None,
) -> None:
    """Make NAME an admin: the name of their account, or any other that is given with --admin."""
    from smartsub_tui.billing import admins

    with run.session() as session:
        made = admins.add(session, name, Role(role), limits, offices, request_id=request_id, dry_run=dry_run)
    _print(run, made, dry_run)


@admin.command()
@click.argument("name")
@click.option("--role", type=_role)
@_limits
@click.option("--no-limit", is_flag=True, help="They take money for any order.")
@_offices
@click.option("--all-offices", is_flag=True, help="They work for all offices.")
@writes
@with_invocation
def change(
    run: Invocation,
    name: str,
    role: str | None,
    limits: tuple[Money, ...],
    no_limit: bool,
    offices: tuple[str, ...],
    all_offices: bool,
    dry_run: bool,
    request_id: str | None,
) -> None:
    """Give NAME another role, or other limits or offices in the place of all before."""
    from smartsub_tui.billing import admins

    if limits and no_limit:
        raise click.UsageError("--limit and --no-limit exclude each other")
    if offices and all_offices:
        raise click.UsageError("--office and --all-offices exclude each other")
    changed = admins.Changed(
        role=Role(role) if role else None,
        limits=limits if limits or no_limit else None,
        offices=offices if offices or all_offices else None,
    )
    if changed == admins.Changed():
        raise click.UsageError("say what is to be otherwise: --role, --limit, --no-limit, --office or --all-offices")
    with run.session() as session:
        found = admins.change(session, name, changed, request_id=request_id, dry_run=dry_run)
    _print(run, found, dry_run)


@admin.command()
@click.argument("name")
@writes
@with_invocation
def disable(run: Invocation, name: str, dry_run: bool, request_id: str | None) -> None:
    """Let NAME do nothing any more; what they did stays under their name."""
    from smartsub_tui.billing import admins

    with run.session() as session:
        found = admins.disable(session, name, request_id=request_id, dry_run=dry_run)
    _print(run, found, dry_run)


@admin.command()
@click.argument("name")
@writes
@with_invocation
def enable(run: Invocation, name: str, dry_run: bool, request_id: str | None) -> None:
    """Let NAME work again, as before."""
    from smartsub_tui.billing import admins

    with run.session() as session:
        found = admins.enable(session, name, request_id=request_id, dry_run=dry_run)
    _print(run, found, dry_run)


@admin.command()
@click.argument("name")
@click.argument("more", nargs=-1, metavar="")
@click.option("--stdin", is_flag=True, help="Read the PIN as one line from standard input; nothing is asked.")
@click.option("--remove", is_flag=True, help="Take the PIN away.")
@with_invocation
def pin(run: Invocation, name: str, more: tuple[str, ...], stdin: bool, remove: bool) -> None:
    """Set the PIN that opens NAME's locked screen: your own; a manager anyone's. It is asked for twice, unseen."""
    from smartsub_tui.billing import pins

    if more:  # which is not repeated
        raise WrongUsage("a PIN is no argument, for every process can read those: leave it out, and choose another")
    if stdin and remove:
        raise click.UsageError("--stdin and --remove exclude each other")
    said = "" if remove else _read_pin(stdin=stdin)
    with run.session() as session:
        found = pins.remove_pin(session, name) if remove else pins.set_pin(session, name, said)
    say(f"{name} has no PIN now" if remove else f"the PIN of {name} is set")
    run.print(found, lambda: output.admins([found], run.settings.ui.timezone))


def _read_pin(*, stdin: bool) -> str:
    """A PIN from the terminal, or a line of standard input: never from the arguments, which every process can read."""
    if stdin:
        return sys.stdin.readline(_LONGEST_LINE).rstrip("\r\n")
    if not sys.stdin.isatty():
        raise WrongUsage("there is no terminal to ask on: --stdin takes the PIN as one line of standard input")
    from getpass import getpass

    said = getpass("PIN: ")
    if getpass("The same again: ") != said:
        raise WrongUsage("these were two different PINs: nothing was set, try again")
    return said


@admin.command()
@click.argument("name")
@click.option("--add", "file", metavar="FILE", help="Register the public key in FILE; - is standard input.")
@click.option("--remove", "fingerprint", metavar="FINGERPRINT", help="Let nobody log in by the key any more.")
@writes
@with_invocation
def key(
    run: Invocation, name: str, file: str | None, fingerprint: str | None, dry_run: bool, request_id: str | None
) -> None:
    """The keys by which NAME logs in over SSH: list them, register one, remove one (docs/ssh.md)."""
    from smartsub_tui.billing import admin_keys

    if file is not None and fingerprint is not None:
        raise click.UsageError("--add and --remove exclude each other")
    if file is None and fingerprint is None:
        if dry_run or request_id is not None:
            raise click.UsageError("nothing is changed without --add or --remove: leave the other options out")
        with run.reading() as session:
            found = admin_keys.keys(session, name)
        run.print(found, lambda: output.keys_of(found, name, run.settings.ui.timezone))
        return
    text = None if file is None else read_small(file, "public key")
    with run.session() as session:
        if text is not None:
            changed = admin_keys.add_key(session, name, text, request_id=request_id, dry_run=dry_run)
        else:
            changed = admin_keys.remove_key(session, name, fingerprint or "", request_id=request_id, dry_run=dry_run)
    if dry_run:
        say("dry run: nothing was stored")
    run.print(changed, lambda: output.keys_of([changed], name, run.settings.ui.timezone))


def _list(run: Invocation) -> None:
    from smartsub_tui.billing import admins

    with run.reading() as session:
        found = admins.admins(session)
    run.print(found, lambda: output.admins(found, run.settings.ui.timezone))


def _print(run: Invocation, found: AdminRecord, dry_run: bool) -> None:
    if dry_run:
        say("dry run: nothing was stored")
    run.print(found, lambda: output.admins([found], run.settings.ui.timezone))
