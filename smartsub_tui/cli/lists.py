"""Offices, people and orders, as lists and one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import click

from smartsub_tui import output
from smartsub_tui.cli.invocation import (
    ROWS,
    Invocation,
    command,
    filter_words,
    moment_of,
    order_number,
    say,
    with_invocation,
)
from smartsub_tui.data import queries
from smartsub_tui.data.filters import parse_orders, parse_users

T = TypeVar("T")


@command()
@with_invocation
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


@command()
@filter_words
@_limit
@with_invocation
def users(run: Invocation, words: tuple[str, ...], limit: int) -> None:
    """The people that FILTER lets through (keys: office department kind service apartment state expires order)."""
    chosen = parse_users(" ".join(words))
    with run.reading() as session:
        people = queries.search_users(chosen, moment_of(session), limit=limit + 1 if limit else None)
    found = _first(people, limit)
    run.print(found, lambda: output.users(found))


@command()
@filter_words
@_limit
@click.option("--sort", metavar="KEY", help=f"{', '.join(queries.SORT_KEYS)}; -KEY: down.  [default: -created]")
@click.option("--view", metavar="NAME", help="Of a saved view, in its sort; FILTER narrows it.")
@with_invocation
def orders(run: Invocation, words: tuple[str, ...], limit: int, sort: str | None, view: str | None) -> None:
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
        page = queries.search_orders(chosen, moment_of(session), sort=by, limit=limit + 1 if limit else None)
    found = _first(page.rows, limit)
    run.print(found, lambda: output.orders(found, session.settings.ui.timezone))


def _first(found: Sequence[T], limit: int) -> Sequence[T]:
    """The rows up to the limit; one more was asked for, to tell whether there are more without counting them."""
    if limit and len(found) > limit:
        say(f"the first {limit:,} are shown, there are more: --limit 0 shows all")
        return found[:limit]
    return found


@command()
@order_number
@with_invocation
def order(run: Invocation, number: str) -> None:
    """Details, lines, payments and timeline of one order."""
    from smartsub_tui.billing.details import read_order

    with run.reading() as session:
        found = read_order(number, session.clock.now(), session.settings)
    run.print(found, lambda: output.order(found, session.settings.ui.timezone))
