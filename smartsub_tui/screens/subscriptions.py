"""Subscriptions: choose the office to work on; its people are renewed on the screen behind it."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Resize
from textual.widgets import DataTable, Static

from smartsub_tui import display
from smartsub_tui.billing.session import Session
from smartsub_tui.commands import OF_SCREEN, bindings, key_of
from smartsub_tui.data import queries
from smartsub_tui.data.filters import quoted
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.office_table import OfficeTable


class SubscriptionsScreen(BaseScreen):
    """Asks for an office where none is chosen."""

    TITLE = "Subscriptions"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Subscriptions"]
    BINDINGS: ClassVar[list[BindingType]] = bindings("activate", "renew", "orders")

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[OfficeRecord] = []
        self.filter_text = ""  # whom to show first in the office that is chosen

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        yield Rule()
        yield Static(display.content(" For which office?"), id="question")
        yield OfficeTable()
        yield Rule()
        yield KeyLine()

    def on_mount(self) -> None:
        self.show_trail("Subscriptions")
        self.set_focus(self.query_one(OfficeTable))

    def load(self) -> None:
        async def load() -> None:
            self._seen = await self.backend.latest("offices", _offices)
            none = f" No offices yet: {key_of('dashboard')} and then {key_of('import')} imports them."
            self.query_one("#question", Static).update(display.content(" For which office?" if self._seen else none))
            self.query_one(OfficeTable).list_offices(self._seen)
            of_office = ("activate", "renew", "orders") if self._seen else ()
            self.key_line.show((*of_office, "dashboard", "payments", "help", "quit"))

        self.work("offices", load)

    @on(Resize)
    def _resized(self) -> None:
        self.query_one(OfficeTable).lay_out()

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_renew()

    def action_activate(self) -> None:
        office = self.query_one(OfficeTable).current
        if office is not None:
            self.smartsub.open_activate(office)

    def action_renew(self) -> None:
        office = self.query_one(OfficeTable).current
        if office is not None:
            filter_text, self.filter_text = self.filter_text, ""
            self.smartsub.open_renew(office, filter_text)

    def action_orders(self) -> None:
        office = self.query_one(OfficeTable).current
        if office is not None:
            self.smartsub.open_payments(f"office:{quoted(office.name)}")


def _offices(session: Session) -> list[OfficeRecord]:
    return queries.offices(session.clock.now())
