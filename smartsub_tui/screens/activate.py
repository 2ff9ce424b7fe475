"""Subscriptions > Activate: choose departments, see their people and the price, order."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import ClassVar

from msgspec import Struct
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.events import Resize
from textual.widgets import DataTable, Static

from smartsub_tui import display
from smartsub_tui.billing import estimates, orders
from smartsub_tui.billing.estimates import DepartmentPlan, departments_to_activate
from smartsub_tui.billing.orders import EVERYONE
from smartsub_tui.billing.terms import FirstTerm
from smartsub_tui.clock import local_date
from smartsub_tui.commands import OF_SCREEN, bindings, key_of
from smartsub_tui.data.keyset import Page
from smartsub_tui.data.queries import Candidates
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.screens.ordering import OrderingScreen, People, tabs, toggled
from smartsub_tui.screens.windowed_list import WindowedList
from smartsub_tui.widgets.department_table import DepartmentTable
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.people_table import ACTIVATION, PeopleTable, Person


class _Seen(Struct, frozen=True):
    """What one look at the database said: the departments, with family members or with the others."""

    departments: tuple[DepartmentPlan, ...]
    additional: bool


class ActivateScreen(OrderingScreen):
    """Departments over the people of the one under the cursor."""

    TITLE = "Activate"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Activate"]
    BINDINGS: ClassVar[list[BindingType]] = bindings("holder", "renew")

    def __init__(self, office: OfficeRecord) -> None:
        super().__init__(office)
        self._seen: _Seen | None = None

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        with Horizontal(id="activate-head"):
            yield tabs("Activate")
            yield Static("", id="activate-who")
        yield Rule()
        yield Static("", id="empty")
        yield DepartmentTable()
        yield Static("", id="people-head")
        yield PeopleTable(ACTIVATION)
        yield Rule()
        yield Static("", id="order-sum")
        yield KeyLine()

    def on_mount(self) -> None:
        self.show_trail(self.office.name, "Activate")
        self.query_one("#empty").display = False
        self._people: WindowedList[Person] = WindowedList(
            self, self.people, "people", source=self._source, show=self._show, listed=self._people_listed
        )
        self.set_focus(self.table)
        self._offer()

    @property
    def table(self) -> DepartmentTable:
        return self.query_one(DepartmentTable)

    @property
    def people(self) -> PeopleTable:
        return self.query_one(PeopleTable)

    # What is shown

    def _source(self) -> People | None:
        """The people of the department under the cursor."""
        here = self.table.current
        if here is None or self._seen is None:
            return None
        among = Candidates(self.office.id, activated=False, additional=self._seen.additional, departments=(here.name,))
        term = FirstTerm(self.smartsub.settings.orders.first_term_months)
        return People(self.office, among, EVERYONE, term)

    def asked(self) -> object:
        return self._people.asked, self.additional

    def _people_listed(self, people: object) -> None:
        self.listed((people, self._seen.additional if self._seen is not None else None))

    def load(self) -> None:
        additional = self.additional

        async def load() -> None:
            departments = await self.backend.latest(
                "activate", departments_to_activate, self.office.name, additional=additional
            )
            self._seen = _Seen(tuple(departments), additional)
            self._paint()
            self._people.load()

        self.work("activate", load)

    def _paint(self) -> None:
        if self._seen is None:
            return
        departments = self._seen.departments
        months = display.months(self.smartsub.settings.orders.first_term_months)
        self.query_one("#activate-who", Static).update(display.content(f"{self.who()}, first {months}", "quiet"))
        self.table.list_departments(departments, self.office.kind, self.office.currency)
        self.table.mark(self.marked)
        empty = self.query_one("#empty", Static)
        empty.display = not departments
        empty.update(display.content("Nobody lives or works here yet: smartsub import users.csv brings people."))
        self.query_one("#people-head").display = self.people.display = bool(departments)
        self._sum()

    def _show(
        self, page: Page[Person], *, base: int, first: bool, last: bool, on: Collection[Hashable], anew: bool
    ) -> None:
        here = self.table.current
        if here is not None:
            nobody = "" if page.rows else ": everyone is activated already, n renews" if here.activated else ": nobody"
            head = display.content(f" {here.name}, not activated yet{nobody}", "bold")
            self.query_one("#people-head", Static).update(head)
        today = local_date(self.backend.clock.now(), self.office.timezone)
        self.people.begin(today, self.office.kind, anew=anew)
        self.people.show(page.rows, page.cursors, base=base, first=first, last=last, on=on)
        if here is not None:
            self._people.counted(here.people + here.skipped)
        self._sum()

    def _sum(self) -> None:
        person = self.people.current if self.people.has_focus else None
        if person is not None and person.reason is not None:
            leads = f": {key_of('holder')} opens it" if person.user.held_by is not None else ""
            self.say(f" {person.user.name} {person.reason}{leads}", "quiet")
            self._offer()
            return
        departments = self._seen.departments if self._seen is not None else ()
        marked = [each for each in departments if each.name in self.marked]
        kind = self.office.kind.department_label.lower()
        what = f"{len(self.marked)} {kind}{'' if len(self.marked) == 1 else 's'} marked"
        if marked:
            people = display.people(sum(each.people for each in marked))
            totals = estimates.together(each.totals for each in marked)
            self.show_sum(f"{what}, {people}", totals, sum(each.skipped for each in marked))
        else:
            self.show_sum(what)
        self._offer()

    def _offer(self) -> None:
        order = ("make_order",) if self.marked else ()
        here = self.people.current if self.people.has_focus else None
        holder = ("holder",) if here is not None and here.user.held_by is not None else ()
        self.key_line.show((*order, *holder, "mark", "mark_all", "family", "next_field", "renew", "back", "help"))

    @on(DataTable.RowHighlighted)
    def _highlighted(self, event: DataTable.RowHighlighted) -> None:
        if event.data_table is self.table and not (self._people.is_shown and self.settled()):
            self._people.begin()
        self._sum()

    @on(PeopleTable.Wanted)
    def _wanted(self, event: PeopleTable.Wanted) -> None:
        self._people.wanted(event.where)

    def on_descendant_focus(self) -> None:
        self._sum()

    @on(Resize)
    def _resized(self) -> None:
        self.table.lay_out()
        self.people.lay_out()

    # Marks

    def action_mark(self) -> None:
        self.when_listed(self._mark)

    def _mark(self) -> None:
        here = self.table.current
        if here is None or not self.table.has_focus:
            return
        if not here.people and here.name not in self.marked:
            self.app.bell()  # the people below say why
            return
        self.marked ^= {here.name}
        self.table.mark(self.marked)
        self.table.action_cursor_down()
        self._sum()

    def action_mark_all(self) -> None:
        self.when_listed(self._mark_everything)

    def _mark_everything(self) -> None:
        if self._seen is not None:
            possible = [each.name for each in self._seen.departments if each.people]
            self.marked = toggled(self.marked, possible)
            self.table.mark(self.marked)
            self._sum()

    def action_holder(self) -> None:
        """The open order that holds the person under the cursor."""
        self.when_listed(self._open_holder)

    def _open_holder(self) -> None:
        here = self.people.current
        if here is not None and here.user.held_by is not None:
            self.smartsub.open_order(here.user.held_by)

    # The order

    def action_make_order(self) -> None:
        self.when_listed(self._order)

    def _order(self) -> None:
        if not self.marked:
            kind = self.office.kind.department_label.lower()
            self.smartsub.tell(f"no {kind} is marked: {key_of('mark')} marks one, {key_of('mark_all')} all of them")
            return
        marked, additional = sorted(self.marked), self.additional

        async def look() -> None:
            estimate = await self.backend.latest(
                "ask", estimates.estimate_activation, self.office.name, marked, additional=additional
            )
            if not estimate.people:
                self.smartsub.tell("nobody in what is marked can be activated", wrong=True)
                return
            await self.ask(
                f"Order the activation of {display.people(estimate.people)}?",
                estimate,
                lambda expected: self.backend.call(
                    orders.activate, self.office.name, marked, additional=additional, expected=expected
                ),
            )

        self.question(look)
