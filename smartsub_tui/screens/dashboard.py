"""Dashboard: what needs me, then where to go. Every number is a door: Enter opens the list that it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Resize
from textual.widgets import DataTable, Static

from smartsub_tui import display
from smartsub_tui.billing.changes import time_out_due
from smartsub_tui.billing.session import Session
from smartsub_tui.commands import bindings
from smartsub_tui.data import queries
from smartsub_tui.data.filters import Moment, parse_orders, parse_users, quoted
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.needs_table import NeedsTable
from smartsub_tui.widgets.office_table import OfficeTable


@dataclass(frozen=True, slots=True)
class Need:
    """A line of the triage panel: what it counts, and the filter of the list behind it."""

    text: str
    filter: str
    of_users: bool = False


NEEDS: Final = (
    Need("payments with unknown outcome", "is:unknown"),
    Need("money to apply", "is:unapplied"),
    Need("failed", "is:retry"),
    Need("time out within 2 hours", "status:processing payby:<2h"),
    Need("people expire in 30 days, no order", "state:expiring order:none", of_users=True),
)


class DashboardScreen(BaseScreen):
    """The triage panel over the offices."""

    COMMANDS_HERE: ClassVar[tuple[str, ...]] = ("open", "activate", "renew", "orders", "next_field")
    BINDINGS: ClassVar[list[BindingType]] = bindings("activate", "renew", "orders")

    def __init__(self) -> None:
        super().__init__()
        self._seen: tuple[list[OfficeRecord], list[int]] = ([], [])

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        yield Rule()
        yield Static(display.content(" NEEDS YOU", "bold"))
        yield NeedsTable()
        yield Rule()
        yield OfficeTable()
        yield Static("", id="empty")
        yield Rule()
        yield Static("", id="updated")
        yield KeyLine()

    def on_mount(self) -> None:
        self.masthead.show("Dashboard")
        self.query_one("#empty").display = False
        self.set_focus(self.query_one(OfficeTable))

    def load(self) -> None:
        moment = self.moment()

        async def load() -> None:
            offices, counts = self._seen = await self.backend.latest("dashboard", _read, moment)
            self.query_one(NeedsTable).show([(need.text, count) for need, count in zip(NEEDS, counts, strict=True)])
            self._paint_offices()
            seen_at = display.instant_full(self.backend.clock.now(), self.timezone)[11:19]
            self.query_one("#updated", Static).update(
                display.content(f"{display.count(len(offices))} offices, updated {seen_at}")
            )
            empty = self.query_one("#empty", Static)
            empty.display = not offices
            self.query_one(OfficeTable).display = bool(offices)
            empty.update(display.content(_EMPTY))
            self._offer()

        self.work("dashboard", load)

    def _paint_offices(self) -> None:
        self.query_one(OfficeTable).show(self._seen[0])

    @on(Resize)
    def _resized(self) -> None:
        if self._seen[0]:
            self._paint_offices()

    def _offer(self) -> None:
        here = ("open", "activate", "renew", "orders") if self.query_one(OfficeTable).has_focus else ("open",)
        self.key_line.show((*here, "next_field", "payments", "help", "quit"))

    def on_descendant_focus(self) -> None:
        self._offer()

    @on(DataTable.RowSelected)
    def _selected(self, event: DataTable.RowSelected) -> None:
        if isinstance(event.data_table, NeedsTable):
            need = NEEDS[event.cursor_row]
            if need.of_users:
                self.smartsub.open_expiring(need.filter)
            else:
                self.smartsub.open_payments(need.filter)
        else:
            self.action_renew()

    def action_activate(self) -> None:
        office = self.query_one(OfficeTable).current
        if office is not None:
            self.smartsub.open_activate(office)

    def action_renew(self) -> None:
        office = self.query_one(OfficeTable).current
        if office is not None:
            self.smartsub.open_renew(office)

    def action_orders(self) -> None:
        office = self.query_one(OfficeTable).current
        if office is not None:
            self.smartsub.open_payments(f"office:{quoted(office.name)}")


_EMPTY: Final = (
    "No offices yet. Leave with q, then:  smartsub import prices.csv users.csv orders.csv"
    "   or look around first:  smartsub demo"
)


def _read(session: Session, moment: Moment) -> tuple[list[OfficeRecord], list[int]]:
    time_out_due(session)
    counts = [
        queries.count_users(parse_users(need.filter), moment)
        if need.of_users
        else queries.count_orders(parse_orders(need.filter), moment)
        for need in NEEDS
    ]
    return queries.offices(moment.now), counts
