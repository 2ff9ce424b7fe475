"""Expiring: which office, which days or month, how many people, how much money, in its currency."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Resize
from textual.widgets import DataTable, Static

from smartsub_tui import display
from smartsub_tui.billing.expiring import WINDOWS, Cell, Span, by_currency, expiring, months
from smartsub_tui.billing.session import Session
from smartsub_tui.commands import OF_SCREEN, bindings, key_of
from smartsub_tui.data import queries
from smartsub_tui.data.filters import Moment, quoted
from smartsub_tui.data.money import Money
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.widgets.expiring_grid import ExpiringGrid, Line, chart, layout, lines_of
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule

# Below so many lines the chart gives way to the offices.
_WITH_CHART = 20


class ExpiringScreen(BaseScreen):
    """Offices down, days or months across; every number opens the people whom it counts, to be renewed."""

    TITLE = "Expiring"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Expiring"]
    BINDINGS: ClassVar[list[BindingType]] = bindings("people_or_money", "currency", "days_or_months")

    def __init__(self, *, by_month: bool = True, office: int | None = None, column: int = 0) -> None:
        super().__init__()
        self._by_month, self._office, self._column = by_month, office, column
        self._currency: str | None = None  # of the amounts shown; None: people
        self._seen: tuple[tuple[OfficeRecord, ...], tuple[tuple[Cell, ...], ...], tuple[Span, ...]] = ((), (), ())

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        yield Rule()
        yield Static("", id="expiring-head")
        yield Static("", id="expiring-chart")
        yield ExpiringGrid()
        yield Static("", id="empty")
        yield Rule()
        yield Static("", id="expiring-detail")
        yield KeyLine()

    def on_mount(self) -> None:
        self.show_trail("Expiring")
        self.query_one("#empty").display = False
        self.set_focus(self.grid)

    @property
    def grid(self) -> ExpiringGrid:
        return self.query_one(ExpiringGrid)

    # What is shown

    def load(self) -> None:
        moment = self.moment()
        spans = months(moment.today) if self._by_month else WINDOWS

        async def load() -> None:
            offices, found = await self.backend.latest("expiring", _read, spans, moment)
            self._seen = offices, found, spans
            self._paint()

        self.work("expiring", load)

    def _paint(self) -> None:
        offices, found, spans = self._seen
        lines = lines_of(offices, found, self._currency)
        empty, drawn = self.query_one("#empty", Static), self.query_one("#expiring-chart", Static)
        empty.display, self.grid.display = not lines, bool(lines)
        drawn.display = bool(lines) and self.app.size.height >= _WITH_CHART
        if not lines:
            there = f"{key_of('subscriptions')} goes to Subscriptions"
            empty.update(display.content(f"Nobody was ever activated: {there}, where that is done."))
            return
        money = self._currency is not None
        grid = layout(lines, spans, self.grid.room, money=money)
        self.grid.show(grid, office=self._office, column=self._column)
        what = "A month of renewal, net, at today's prices" if money else "People"
        head = f" {what}, by the last day of the subscription"
        if len(head) >= self.app.size.width:
            head = f" {what}, by the last day" if not money else f" {what}"
        self.query_one("#expiring-head", Static).update(display.content(head, "bold"))
        rows = chart(grid, money=money)
        drawn.update(display.content("\n".join(f" {row}" for row in rows), "bar", lines=True))
        self._detail()
        several = ("currency",) if money and len(by_currency(offices, found)) > 1 else ()
        self.key_line.show(("open", "people_or_money", *several, "days_or_months", "back", "help"))

    @on(DataTable.CellHighlighted)
    def _highlighted(self) -> None:
        chosen = self.grid.chosen
        if chosen is not None:
            self._office = chosen[0].office.id if chosen[0].office else None
            self._column = self.grid.grid.spans.index(chosen[1]) if self.grid.grid else 0
        self._detail()

    def _detail(self) -> None:
        """The cell under the cursor in words: people and money both."""
        chosen = self.grid.chosen
        if chosen is None:
            return
        line, span, cell = chosen
        said = f", {span.label}: {_words(line, cell)}"
        name = display.fit(line.name, min(display.cell_width(line.name), max(1, self.app.size.width - 2 - len(said))))
        self.query_one("#expiring-detail", Static).update(display.content(f" {name}{said}"))

    @on(Resize)
    def _resized(self) -> None:
        if self._seen[2]:
            # The grid learns its new width only with the layout that follows.
            self.call_after_refresh(self.unless_left(self._paint))

    # Doors

    @on(DataTable.CellSelected)
    def _selected(self) -> None:
        chosen = self.grid.chosen
        if chosen is None:
            return
        line, span, _ = chosen
        if line.office is None:
            # Of a currency these are the people of its offices: filters of users know no currency.
            names = [quoted(each.name) for each in self._seen[0] if each.currency == line.currency]
            self.smartsub.open_expiring(f"{span.filter} office:{','.join(names)}" if names else span.filter)
        else:
            self.smartsub.open_renew(line.office, span.filter)

    def action_people_or_money(self) -> None:
        offices, found, _ = self._seen
        currencies = list(by_currency(offices, found))
        if self._currency is None and currencies:
            here = next((office.currency for office in offices if office.id == self._office), currencies[0])
            self._currency = here
        else:
            self._currency = None
        self._paint()

    def action_currency(self) -> None:
        offices, found, _ = self._seen
        currencies = list(by_currency(offices, found))
        if self._currency in currencies:
            self._currency = currencies[(currencies.index(self._currency) + 1) % len(currencies)]
            self._paint()
        else:
            self.action_people_or_money()

    def action_days_or_months(self) -> None:
        self._by_month, self._column = not self._by_month, 0
        self.load()


def _words(line: Line, cell: Cell) -> str:
    people = display.people(cell.people)
    if cell.family:
        people += f" ({display.count(cell.family)} family)"
    if line.currency is None or not cell.people:
        money = ""
    elif cell.unpriced == cell.people:
        money = f", no price in {line.currency}"
    else:
        money = f", {Money(cell.net, line.currency)} a month, net"
        if cell.unpriced:
            money += f", {display.count(cell.unpriced)} without a price"
    return people + money


def _read(
    session: Session, spans: tuple[Span, ...], moment: Moment
) -> tuple[tuple[OfficeRecord, ...], tuple[tuple[Cell, ...], ...]]:
    offices = queries.offices(moment.now)
    return tuple(offices), tuple(expiring(offices, spans, moment))
