"""Orders that are made: activations, renewals, and what is ordered again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from smartsub_tui import output
from smartsub_tui.billing.session import Session
from smartsub_tui.cli.invocation import (
    Invocation,
    command,
    filter_words,
    fit_or_empty,
    hold,
    order_number,
    say,
    with_invocation,
    writes,
)
from smartsub_tui.cli.paying import said, with_references
from smartsub_tui.data.filters import parse_users
from smartsub_tui.data.records import to_json

if TYPE_CHECKING:
    from smartsub_tui.billing import orders, payments

_office = click.option("--office", required=True, metavar="NAME")
_additional = click.option("--additional", is_flag=True, help="The family members' additional app instead.")


def _paying(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option(
        "--reference", metavar="TEXT", callback=fit_or_empty, help="What says that the money is here."
    )(command)
    return click.option("--pay", "provider", type=click.Choice(["manual", "bank", "stripe"]), help="Pay at once.")(
        command
    )


def _how(provider: str | None, reference: str | None) -> payments.Paying | None:
    from smartsub_tui.billing import payments

    if provider in ("bank", "stripe"):
        if reference is not None:
            raise click.UsageError(f"--pay {provider} takes no --reference: when the money came, smartsub pay has it")
        return payments.BankTransfer() if provider == "bank" else payments.ByLink()
    if provider == "manual" and reference is None:
        raise click.UsageError("--pay manual needs --reference, which says that the money is here")
    if reference is None:
        return None
    if provider is None:
        raise click.UsageError("--reference goes with --pay manual")
    return payments.Manual(reference)


@command()
@_office
@click.option("--department", "departments", multiple=True, required=True, metavar="NAME", help="May be repeated.")
@_additional
@_paying
@with_references
@writes
@with_invocation
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
            references=said(po_number, buyer_reference),
            request_id=request_id,
            dry_run=dry_run,
        )
        _print_new(run, session, _linked(session, made, provider, request_id, dry_run), dry_run)


@command()
@_office
@filter_words
@click.option("--months", metavar="N", help="1 to 60.")
@click.option("--until", metavar="DATE", help="YYYY-MM-DD: renew by the day; communities only.")
@_additional
@_paying
@with_references
@writes
@with_invocation
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
            references=said(po_number, buyer_reference),
            request_id=request_id,
            dry_run=dry_run,
        )
        _print_new(run, session, _linked(session, made, provider, request_id, dry_run), dry_run)


def _linked(
    session: Session, made: orders.NewOrder, provider: str | None, request_id: str | None, dry_run: bool
) -> orders.NewOrder:
    """The order as it is with a payment link, where it is to be paid by one."""
    from smartsub_tui.billing import links
    from smartsub_tui.billing.changes import part_of

    if provider != "stripe" or dry_run:
        return made
    # The order is made, whatever becomes of the link: a repeat of the command opens it then.
    paid = hold(session, links.open_link(session, made.order.number, request_id=part_of(request_id, "link")))
    return replace(made, order=paid.order)


@command()
@order_number
@with_references
@writes
@with_invocation
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

    references = said(po_number, buyer_reference)
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
