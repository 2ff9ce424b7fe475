"""Money and the moves of an order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from smartsub_tui import output
from smartsub_tui.billing import access
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.session import Session
from smartsub_tui.cli.invocation import (
    Invocation,
    command,
    fit_or_empty,
    fit_to_store,
    hold,
    order_number,
    say,
    with_invocation,
    with_reason,
    writes,
)
from smartsub_tui.data import queries
from smartsub_tui.data.database import available
from smartsub_tui.data.records import to_json
from smartsub_tui.data.vocabulary import Trigger

if TYPE_CHECKING:
    from smartsub_tui.billing import payments
    from smartsub_tui.billing.invoices import BuyerReferences
    from smartsub_tui.data.order_records import OrderDetails


def with_references(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option(
        "--buyer-reference", metavar="TEXT", callback=fit_to_store, help="The buyer's own reference; on the invoice."
    )(command)
    return click.option(
        "--po-number", metavar="TEXT", callback=fit_to_store, help="The buyer's purchase order; on the invoice."
    )(command)


def said(po_number: str | None, buyer_reference: str | None) -> BuyerReferences:
    from smartsub_tui.billing.invoices import BuyerReferences

    return BuyerReferences(po_number, buyer_reference)


@command()
@order_number
@click.option("--reference", metavar="TEXT", callback=fit_or_empty, help="What says that the money is here.")
@click.option("--amount", metavar="A", help="Where it is not the total: it is recorded and waits.")
@click.option("--provider", type=click.Choice(["manual", "bank", "stripe"]), help="How it will be paid.")
@with_references
@writes
@with_invocation
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
        "references": said(po_number, buyer_reference),
        "request_id": request_id,
        "dry_run": dry_run,
    }
    with run.session() as session:
        if provider == "bank":
            if reference is not None or amount is not None:
                raise click.UsageError("--provider bank takes no --reference: give it alone when the money came")
            bank = partial(payments.pay, session, number, payments.BankTransfer(), **options)
            paid = hold(
                session, links.without_link(session, Trigger.PAY, number, bank, request_id=request_id, dry_run=dry_run)
            )
            _print_paid(run, session, paid, dry_run, bank=True)
            return
        if provider == "stripe":
            if reference is not None or amount is not None:
                raise click.UsageError("--provider stripe takes no --reference: Stripe says itself when the money came")
            paid = hold(session, links.open_link(session, number, **options))
            _print_paid(run, session, paid, dry_run)
            return
        money = payments.Manual(reference or "", _amount(session, number, amount))
        if not reference and not _is_free(session, number):
            raise click.UsageError("say --reference TEXT if the money is here, or --provider bank or stripe")
        here = partial(payments.pay, session, number, money, **options)
        paid = hold(
            session, links.without_link(session, Trigger.PAY, number, here, request_id=request_id, dry_run=dry_run)
        )
        _print_paid(run, session, paid, dry_run)


@command()
@order_number
@click.option(
    "--reference", required=True, metavar="TEXT", callback=fit_to_store, help="What says that the money came."
)
@click.option("--amount", metavar="A", help="Where it is not the total: it is recorded and waits.")
@click.option("--second", is_flag=True, help="It is money beside what the order was paid with.")
@with_references
@writes
@with_invocation
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
            references=said(po_number, buyer_reference),
            request_id=request_id,
            dry_run=dry_run,
        )
        paid = hold(
            session, links.without_link(session, Trigger.CONFIRM, number, came, request_id=request_id, dry_run=dry_run)
        )
        _print_paid(run, session, paid, dry_run)


@command()
@order_number
@writes
@with_invocation
def apply(run: Invocation, number: str, dry_run: bool, request_id: str | None) -> None:
    """Settle an order with the money that waits on it."""
    from smartsub_tui.billing import payments

    with run.session() as session:
        _print_paid(run, session, payments.apply(session, number, request_id=request_id, dry_run=dry_run), dry_run)


@command()
@order_number
@with_reason
@click.option("--reference", metavar="TEXT", callback=fit_to_store, help="What says that it was paid back by hand.")
@writes
@with_invocation
def refund(
    run: Invocation, number: str, reason: str, reference: str | None, dry_run: bool, request_id: str | None
) -> None:
    """Pay back the money of an order that waits: through its provider, or by hand with --reference."""
    from smartsub_tui.billing import refunds

    with run.session() as session:
        options: dict[str, Any] = {"reference": reference, "request_id": request_id, "dry_run": dry_run}
        found = hold(session, refunds.refund(session, number, reason, **options))
        _print_order(run, session, found, dry_run)


@command()
@order_number
@click.option("--user", "users", multiple=True, metavar="ID", help="Only this person of it; may be repeated.")
@with_reason
@click.option("--reference", metavar="TEXT", callback=fit_to_store, help="What says that it was paid back by hand.")
@writes
@with_invocation
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
        done = hold(session, credits.credit(session, number, reason, users=users or None, **options))
        if run.globals.json:
            if dry_run:
                say("dry run: nothing was stored")
            document = to_json(done)
            run.print(document.pop("order") | document, str)
            return
        _print_order(run, session, done.order, dry_run)
        say(output.credited(done, dry_run=dry_run))


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


def _closing(trigger: Trigger, help_text: str) -> click.Command:
    """fail, cancel and delete: the same shape, another move."""

    @command(trigger.value, help=help_text)
    @order_number
    @with_reason
    @writes
    @with_invocation
    def close(run: Invocation, number: str, reason: str, dry_run: bool, request_id: str | None) -> None:
        from smartsub_tui.billing import links, payments

        with run.session() as session:
            move = partial(payments.CLOSING[trigger], session, number, reason, request_id=request_id, dry_run=dry_run)
            found = hold(
                session, links.without_link(session, trigger, number, move, request_id=request_id, dry_run=dry_run)
            )
            _print_order(run, session, found, dry_run)

    closing: click.Command = close
    return closing


fail = _closing(Trigger.FAIL, "Mark a System Processing order as Failed.")
cancel = _closing(Trigger.CANCEL, "Cancel an order that is not paid.")
delete = _closing(Trigger.DELETE, "Hide an order; restore brings it back.")


@command()
@order_number
@writes
@with_invocation
def restore(run: Invocation, number: str, dry_run: bool, request_id: str | None) -> None:
    """Bring a deleted order back into the lists."""
    from smartsub_tui.billing import payments

    with run.session() as session:
        _print_order(run, session, payments.restore(session, number, request_id=request_id, dry_run=dry_run), dry_run)


@command()
@writes
@with_invocation
def sweep(run: Invocation, dry_run: bool, request_id: str | None) -> None:
    """Time out what is due, and ask providers again about what they left open; for a timer, every minute."""
    from smartsub_tui.billing import sweep as billing_sweep

    with run.session() as session:
        swept = hold(session, billing_sweep.sweep(session, request_id=request_id, dry_run=dry_run))
    run.print(swept, lambda: output.swept(swept))
