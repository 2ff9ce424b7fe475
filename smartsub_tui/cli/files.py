"""Files in and out: imports, exports, invoices."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from smartsub_tui.cli.invocation import Invocation, command, filter_words, order_number, with_invocation, writes
from smartsub_tui.data import queries
from smartsub_tui.data.filters import parse_orders, parse_users
from smartsub_tui.errors import Refused


@command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--partial", is_flag=True, help="Take the good rows and report the others.")
@writes
@with_invocation
def import_(run: Invocation, files: tuple[Path, ...], partial: bool, dry_run: bool, request_id: str | None) -> None:
    """Import prices, users and orders from CSV files; which is which their headers tell.

    All files are one transaction: taken whole or not at all.
    """
    from smartsub_tui.billing.imports import import_files

    with run.session(create=True) as session:
        report = import_files(session, files, dry_run=dry_run, partial=partial, request_id=request_id)
    run.print(report, report.text)


@command()
@click.argument("what", type=click.Choice(["orders", "users", "audit"]))
@filter_words
@click.option("--sort", metavar="KEY", help="Of orders, as smartsub orders takes it.  [default: -created]")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), help="Else by the ending of FILE, else csv.")
@click.option("-o", "--output", "file", metavar="FILE", help="Into a file, whole or not at all; - is standard output.")
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@with_invocation
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


@command()
@order_number
@click.option(
    "-o", "target", metavar="FILE|DIR|-", help="Where to; else [invoice] folder, or here. - is standard output."
)
@click.option("--force", is_flag=True, help="Replace FILE, where it is there with other content.")
@click.option("--credit-notes", is_flag=True, help="Save the order's credit notes instead, each under its number.")
@with_invocation
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
