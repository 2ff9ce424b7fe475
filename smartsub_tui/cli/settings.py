"""What the configuration file says: keys, and where the billing system is."""

from __future__ import annotations

import click

from smartsub_tui import config, output
from smartsub_tui.cli.invocation import Invocation, command, with_invocation
from smartsub_tui.errors import Refused


@command()
@click.option("--markdown", is_flag=True, help="As a page of Markdown.")
@with_invocation
def keys(run: Invocation, markdown: bool) -> None:
    """The keys of the application by screen, those of config.toml among them, and what is typed behind `:`."""
    from smartsub_tui import commands

    commands.remap(dict(run.settings.ui.keys))
    if markdown and run.globals.json:
        raise click.UsageError("--markdown and --json are two ways to print: say one of them")
    run.print(output.keys_as_records(), output.keys_as_markdown if markdown else output.keys)


@command()
@with_invocation
def billing(run: Invocation) -> None:
    """The address of the billing system, as the configuration file has it."""
    url = run.settings.billing_system.url
    if not url:
        raise Refused(config.no_billing_system(run.config_file))
    run.print({"url": url}, lambda: url)
