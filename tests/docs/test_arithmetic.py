"""The figures of an order are the same, to the minor unit, wherever they stand."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from smartsub_tui import output
from smartsub_tui.billing import exports, invoice_files, orders, payments
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.orders import EVERYONE
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.terms import Months, Until
from smartsub_tui.data.exports import ExportFormat, ExportKind, Wanted
from smartsub_tui.data.filters import parse_orders
from smartsub_tui.data.money import DECIMALS
from smartsub_tui.data.vocabulary import LineAction, OfficeKind, Service, UserKind
from smartsub_tui.screens.ordering import people_of
from tests.support import NOW, TODAY, add_office, add_person, add_price, memory_session

rates = st.integers(0, 300).map(lambda tenths: tenths * 1000)  # of a percent, as parts per million


def written(amount: int, currency: str) -> str:
    """Money in another way than the program writes it."""
    return f"{Decimal(amount).scaleb(-DECIMALS[currency]):,.{DECIMALS[currency]}f}"


@given(
    currency=st.sampled_from(["EUR", "JPY", "KWD", "GBP"]),
    price=st.integers(1, 99_999),
    manager_price=st.integers(1, 99_999),
    rate=rates,
    manager_rate=rates,
    people=st.integers(1, 7),
    months=st.integers(1, 60),
    days=st.integers(1, 900),
    daily=st.booleans(),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_figure_is_the_same_wherever_it_stands(
    currency: str,
    price: int,
    manager_price: int,
    rate: int,
    manager_rate: int,
    people: int,
    months: int,
    days: int,
    daily: bool,
) -> None:
    session = memory_session()
    office = add_office("Elm", OfficeKind.COMMUNITY, currency=currency)
    action = LineAction.DAY if daily else LineAction.MONTH
    add_price(Service.APP, action, price, currency=currency, tax_rate_ppm=rate)
    add_price(Service.PM_APP, action, manager_price, currency=currency, tax_rate_ppm=manager_rate)
    for place in range(people):
        add_person(office, f"u{place}", expires_on=TODAY)
    add_person(office, "m", kind=UserKind.PROPERTY_MANAGER, expires_on=TODAY)
    term = Until(TODAY + timedelta(days=days)) if daily else Months(months)

    # Worked out here.
    many = days if daily else months
    nets = {rate: 0, manager_rate: 0}
    nets[rate] += people * price * many
    nets[manager_rate] += manager_price * many
    net = sum(nets.values())
    taxes = {each: (2 * part * each + 1_000_000) // 2_000_000 for each, part in nets.items()}
    tax = sum(taxes.values())
    total = net + tax

    # The screen before it is ordered: the rows, and the line below them.
    chosen = orders.candidates(office, EVERYONE, NOW, session.settings, activated=True, additional=False)
    seen = orders.preview(session, "Elm", chosen, term, NOW)
    assert (seen.totals.net, seen.totals.tax, seen.totals.total) == (net, tax, total)
    expected_rows = sorted([written(price * many, currency)] * people + [written(manager_price * many, currency)])
    assert sorted(each.price for each in people_of(chosen, seen)) == expected_rows

    # The order, as made at that total, and paid.
    made = orders.renew(session, "Elm", EVERYONE, term, expected=total)
    number = made.order.number
    payments.pay(session, number, Manual("r"))
    found = read_order(number, NOW, session.settings)

    # The command line, as text and as JSON.
    text = output.order(found, "UTC")
    for name, amount in (("Net", net), ("Tax", tax), ("Total Price", total)):
        assert re.search(rf"^{name} +{currency} {re.escape(written(amount, currency))}$", text, re.MULTILINE)
    document = json.loads(output.as_json(found))
    assert [document[key]["amount"] for key in ("net", "tax", "total")] == [net, tax, total]
    assert sum(line["amount"]["amount"] for line in document["lines"]) == net

    # The invoice, read from the PDF.
    pages = PdfReader(io.BytesIO(invoice_files.draw(session, number).content)).pages
    printed = " ".join("".join(page.extract_text() for page in pages).split())
    for amount in (net, *taxes.values(), total):
        assert written(amount, currency) in printed
    assert sum(printed.count(row) for row in set(expected_rows)) >= len(expected_rows)

    # The export.
    wanted = Wanted(ExportKind.ORDERS, parse_orders(""))
    with session.database.reading():
        rows = "".join(exports.pages(session, exports.find_rows(session, wanted, ExportFormat.CSV)))
    (row,) = csv.DictReader(io.StringIO(rows))
    assert (row["total"].replace(",", ""), row["currency"]) == (written(total, currency).replace(",", ""), currency)
