"""The saved views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from smartsub_tui import output
from smartsub_tui.cli.invocation import (
    Globals,
    Group,
    Invocation,
    filter_words,
    say,
    with_globals,
    with_invocation,
    writes,
)

if TYPE_CHECKING:
    from smartsub_tui.data.records import ViewRecord


@click.group(cls=Group, invoke_without_command=True)
@with_globals
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
@filter_words
@_shared
@click.option("--sort", metavar="KEY", default="-created", show_default=True, help="As smartsub orders takes it.")
@writes
@with_invocation
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
@writes
@with_invocation
def remove_view(run: Invocation, name: str, shared: bool, dry_run: bool, request_id: str | None) -> None:
    """Forget the view of that name."""
    from smartsub_tui.billing import views

    with run.session() as session:
        was = views.remove_view(session, name, shared=shared, request_id=request_id, dry_run=dry_run)
    if not dry_run:
        say("removed, as it was:")
    _print_view(run, was, dry_run)


def _print_view(run: Invocation, view: ViewRecord, dry_run: bool) -> None:
    if dry_run:
        say("dry run: nothing was stored")
    run.print(view, lambda: output.views([view]))
