"""Dashboard: what needs me, then where to go. Every number is a door: Enter opens the list that it counts."""

from __future__ import annotations

from typing import ClassVar, Final

from msgspec import Struct
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.content import Content
from textual.events import Resize
from textual.widgets import DataTable, Static

from smartsub_tui import display
from smartsub_tui.billing import access
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.changes import time_out_due
from smartsub_tui.billing.expiring import WINDOWS, Cell, by_currency, expiring
from smartsub_tui.billing.session import Session
from smartsub_tui.commands import CLOSED, OF_SCREEN, bindings, key_of
from smartsub_tui.data import queries
from smartsub_tui.data.filters import Moment, parse_orders, parse_users, quoted
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.data.triage import FILTERS, OF_ORDERS
from smartsub_tui.data.vocabulary import Rank
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.expiring import ExpiringScreen
from smartsub_tui.screens.import_files import ImportScreen
from smartsub_tui.widgets.expiring_table import ExpiringTable, summary
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.needs_table import NeedsTable
from smartsub_tui.widgets.office_table import OfficeTable

# From these sizes on both panels stand side by side; below, one over the other; else the second is one line.
_BESIDE: Final = 78
_STACKED: Final = 27
_PANELS: Final = 15
_AIRY: Final = 22


class _Seen(Struct, frozen=True):
    """What one look at the database said."""

    offices: tuple[OfficeRecord, ...] = ()
    needs: tuple[int, ...] = ()
    people: tuple[int, ...] = ()  # of each of WINDOWS
    money: dict[str, tuple[Cell, ...]] | None = None
    may_import: bool = False
    database: str = ""


class DashboardScreen(BaseScreen):
    """The triage panel and who expires, over the offices."""

    TITLE = "Dashboard"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Dashboard"]
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        "triage", "activate", "renew", "orders", "unpaid", "expiring", "currency", "import"
    )

    def __init__(self) -> None:
        super().__init__()
        self._seen = _Seen()
        self._currency = 0  # the place of the first of those shown

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        yield Rule()
        with Container(id="panels"):
            yield NeedsTable()
            yield ExpiringTable()
        yield Static("", id="expiring-line")
        yield Rule(id="panels-rule")
        yield OfficeTable()
        yield Static("", id="empty")
        yield Rule()
        yield Static("", id="updated")
        yield KeyLine()

    def on_mount(self) -> None:
        self.show_trail("Dashboard")
        self.query_one("#empty").display = False
        self.set_focus(self.query_one(OfficeTable))
        self._arrange()

    # What is shown

    def load(self) -> None:
        moment = self.moment()

        async def load() -> None:
            self._seen = await self.backend.latest("dashboard", _read, moment)
            seen_at = display.instant_full(self.backend.clock.now(), self.timezone)[11:19]
            word = "office" if len(self._seen.offices) == 1 else "offices"
            self.query_one("#updated", Static).update(
                display.content(f"{display.count(len(self._seen.offices))} {word}, updated {seen_at}")
            )
            self._arrange()
            self._paint()

        self.work("dashboard", load)

    def _arrange(self) -> None:
        """Which parts there is room for, and whether there is anything to show in them."""
        width, height = self.app.size
        filled = bool(self._seen.offices) or not self._seen.needs
        panels = self.query_one("#panels")
        panels.display = filled and height >= _PANELS
        panels.set_class(width < _BESIDE, "-stacked")
        table, line = self.query_one(ExpiringTable), self.query_one("#expiring-line")
        table.display = width >= _BESIDE or height >= _STACKED
        line.display = filled and not (table.display and panels.display)
        self.query_one("#panels-rule").display = filled
        offices = self.query_one(OfficeTable)
        first, offices.display = filled and not offices.display, filled
        if first:  # hidden, their table had given the focus away
            self.set_focus(offices)
        self.query_one("#empty").display = not filled

    def _paint(self) -> None:
        seen = self._seen
        if not seen.offices:
            self.query_one("#empty", Static).update(_welcome(self._seen, airy=self.app.size.height >= _AIRY))
        self.query_one(NeedsTable).show([(rank.label, count) for rank, count in zip(Rank, seen.needs, strict=True)])
        self.query_one(ExpiringTable).show(WINDOWS, seen.people, seen.money or {}, first=self._currency)
        self.query_one("#expiring-line", Static).update(
            display.content(f" {summary(WINDOWS, seen.people, self.app.size.width - 2)}")
        )
        self.query_one(OfficeTable).list_offices(seen.offices)
        self._offer()

    @on(Resize)
    def _resized(self) -> None:
        self._arrange()
        if self._seen.needs:
            # The tables learn their new widths only with the layout that follows.
            self.call_after_refresh(self.unless_left(self._paint))

    def _offer(self) -> None:
        of_office = (
            ("activate", "renew", "expiring", "orders", "unpaid")
            if self.query_one(OfficeTable).has_focus
            else ("expiring",)
        )
        currency = ("currency",) if self._seen.money and len(self._seen.money) > 1 else ()
        bring = ("import",) if self._seen.may_import else ()
        if self._seen.offices:
            self.key_line.show(
                ("open", "triage", *of_office, "next_field", *currency, *bring, "payments", "help", "quit")
            )
        else:
            self.key_line.show((*bring, "help", "quit"))

    def on_descendant_focus(self) -> None:
        self._offer()

    # Doors

    @on(DataTable.HeaderSelected)
    def _head_clicked(self, event: DataTable.HeaderSelected) -> None:
        if isinstance(event.data_table, NeedsTable):
            self.action_triage()

    @on(DataTable.RowSelected)
    def _selected(self, event: DataTable.RowSelected) -> None:
        if isinstance(event.data_table, NeedsTable):
            rank = tuple(Rank)[event.cursor_row]
            if rank in OF_ORDERS:
                self.smartsub.open_payments(FILTERS[rank])
            else:
                self.smartsub.open_expiring(FILTERS[rank])
        elif isinstance(event.data_table, ExpiringTable):
            self.app.push_screen(ExpiringScreen(by_month=False, column=event.cursor_row))
        elif "renew" in CLOSED:
            self.action_orders()
        else:
            self.action_renew()

    def _office(self) -> OfficeRecord | None:
        """The office under the cursor, where that is the one that moves."""
        table = self.query_one(OfficeTable)
        return table.current if self.focused is table else None

    def action_activate(self) -> None:
        office = self._office()
        if office is not None:
            self.smartsub.open_activate(office)

    def action_renew(self) -> None:
        office = self._office()
        if office is not None:
            self.smartsub.open_renew(office)

    def action_orders(self) -> None:
        office = self._office()
        if office is not None:
            self.smartsub.open_payments(f"office:{quoted(office.name)}")

    def action_unpaid(self) -> None:
        office = self._office()
        if office is not None:
            self.smartsub.open_payments(f"office:{quoted(office.name)} status:processing")

    def action_expiring(self) -> None:
        office = self._office()
        self.app.push_screen(ExpiringScreen(office=office.id if office is not None else None))

    def action_import(self) -> None:
        self.app.push_screen(ImportScreen())

    def action_currency(self) -> None:
        if self._seen.money:
            self._currency = (self._currency + 1) % len(self._seen.money)
            self._paint()


def _welcome(seen: _Seen, *, airy: bool) -> Content:
    """What smartsub is, and what to do first; `airy` with space between its parts."""
    gap = [Content("")] if airy else []
    key_of_help = Content.assemble(
        display.content(f" {key_of('help')} ", "bold"), display.content(" the keys, the statuses, the filters")
    )
    if "import" in CLOSED:
        return Content("\n").join(
            [
                display.content("Welcome to smartsub", "bold"),
                *gap,
                display.content("There are no offices yet."),
                key_of_help,
            ]
        )
    bring = (
        display.content(" import prices, users and orders from CSV files")
        if seen.may_import
        else display.content(" is for a manager: ask one to import prices, users and orders")
    )
    return Content("\n").join(
        [
            display.content("Welcome to smartsub", "bold"),
            *gap,
            display.content("Who has which access-control or intercom subscription,"),
            display.content("until when, and what was paid: renewed, paid and found"),
            display.content("again by keyboard, in a database of your own."),
            *gap,
            display.content("This one has no offices yet:"),
            display.content(f"  {seen.database}", "quiet"),
            *gap,
            Content.assemble(display.content(f" {key_of('import')} ", "bold"), bring),
            key_of_help,
            Content.assemble(display.content(f" {key_of('quit')} ", "bold"), display.content(" leave")),
            *gap,
            Content.assemble(
                display.content("To look around first, in a shell:  "), display.content("smartsub demo", "bold")
            ),
        ]
    )


def _read(session: Session, moment: Moment) -> _Seen:
    time_out_due(session)
    needs = tuple(
        queries.count_orders(parse_orders(FILTERS[rank]), moment)
        if rank in OF_ORDERS
        else queries.count_users(parse_users(FILTERS[rank]), moment)
        for rank in Rank
    )
    offices = queries.offices(moment.now)
    found = expiring(offices, WINDOWS, moment)
    people = tuple(sum(cells[place].people for cells in found) for place in range(len(WINDOWS)))
    role = access.who_offers(session.database, session.admin).role
    return _Seen(
        tuple(offices),
        needs,
        people,
        by_currency(offices, found),
        access.may(role, Permission.IMPORT),
        session.database.name,
    )
