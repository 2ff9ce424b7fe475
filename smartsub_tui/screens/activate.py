"""Subscriptions > Activate: choose departments, see their people and the price, order."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.events import Resize
from textual.widgets import DataTable, Static

from smartsub_tui import display
from smartsub_tui.billing import orders
from smartsub_tui.billing.orders import DepartmentPlan, Plan, departments_to_activate, preview
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import FirstTerm
from smartsub_tui.clock import local_date
from smartsub_tui.commands import OF_SCREEN, bindings, key_of
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.screens.ordering import OrderingScreen, people_of, tabs, toggled
from smartsub_tui.widgets.department_table import DepartmentTable
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.people_table import ACTIVATION, PeopleTable


class _Seen(Struct, frozen=True):
    """What one look at the database said: the departments, and what an order for the marked ones would be."""

    departments: tuple[DepartmentPlan, ...]
    total: Plan | None


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
        self.set_focus(self.table)
        self._offer()

    @property
    def table(self) -> DepartmentTable:
        return self.query_one(DepartmentTable)

    @property
    def people(self) -> PeopleTable:
        return self.query_one(PeopleTable)

    # What is shown

    def asked(self) -> object:
        return self.additional

    def load(self) -> None:
        additional, marked = self.additional, tuple(self.marked)

        async def load() -> None:
            self._seen = await self.backend.latest("activate", _look, self.office, additional, marked)
            self._paint()
            self.listed(additional)

        self.work("activate", load)

    def _paint(self) -> None:
        if self._seen is None:
            return
        departments = self._seen.departments
        months = display.months(self.smartsub.settings.orders.first_term_months)
        self.query_one("#activate-who", Static).update(display.content(f"{self.who()}, first {months}", "quiet"))
        self.table.show(departments, self.marked, self.office.kind)
        empty = self.query_one("#empty", Static)
        empty.display = not departments
        empty.update(display.content("Nobody lives or works here yet: smartsub import users.csv brings people."))
        self._paint_people()

    def _paint_people(self) -> None:
        """The people of the department under the cursor."""
        here = self.table.current
        head = self.query_one("#people-head", Static)
        head.display = self.people.display = here is not None
        if here is None:
            return
        nobody = "" if here.people else ": everyone is activated already, n renews" if here.activated else ": nobody"
        head.update(display.content(f" {here.name}, not activated yet{nobody}", "bold"))
        today = local_date(self.backend.clock.now(), self.office.timezone)
        self.people.show(people_of(here.people, here.plan), (), today, self.office.kind)
        self._sum()

    def _sum(self) -> None:
        person = self.people.current if self.people.has_focus else None
        if person is not None and person.reason is not None:
            leads = f": {key_of('holder')} opens it" if person.user.held_by is not None else ""
            self.say(f" {person.user.name} {person.reason}{leads}", "quiet")
        else:
            kind = self.office.kind.department_label.lower()
            plural = "" if len(self.marked) == 1 else "s"
            who = f", {display.people(len(self._seen.total.lines))}" if self._seen and self._seen.total else ""
            self.show_sum(f"{len(self.marked)} {kind}{plural} marked{who}", self._seen.total if self._seen else None)
        self._offer()

    def _offer(self) -> None:
        order = ("make_order",) if self.marked else ()
        here = self.people.current if self.people.has_focus else None
        holder = ("holder",) if here is not None and here.user.held_by is not None else ()
        self.key_line.show((*order, *holder, "mark", "mark_all", "family", "next_field", "renew", "back", "help"))

    @on(DataTable.RowHighlighted)
    def _highlighted(self, event: DataTable.RowHighlighted) -> None:
        if event.data_table is self.table:
            self._paint_people()
        else:
            self._sum()

    def on_descendant_focus(self) -> None:
        self._sum()

    @on(Resize)
    def _resized(self) -> None:
        self._paint()

    # Marks

    def action_mark(self) -> None:
        self.when_listed(self._mark)

    def _mark(self) -> None:
        here = self.table.current
        if here is None or not self.table.has_focus:
            return
        if not here.plan.lines and here.name not in self.marked:
            self.app.bell()  # the people below say why
            return
        self.marked ^= {here.name}
        self.table.mark(self.table.cursor_row, here.name in self.marked)
        self.table.action_cursor_down()
        self._recount()

    def action_mark_all(self) -> None:
        self.when_listed(self._mark_everything)

    def _mark_everything(self) -> None:
        if self._seen is not None:
            possible = [each.name for each in self._seen.departments if each.plan.lines]
            self.marked = toggled(self.marked, possible)
            self._paint()
            self._recount()

    def _recount(self) -> None:
        additional, marked = self.additional, tuple(self.marked)
        self._sum()

        async def recount() -> None:
            total = await self.backend.latest("activate-sum", _total, self.office, additional, marked)
            if self._seen is not None:
                self._seen = replace(self._seen, total=total)
                self._sum()

        self.work("activate-sum", recount)

    def action_holder(self) -> None:
        """The open order that holds the person under the cursor."""
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
            plan = await self.backend.latest("ask", _total, self.office, additional, tuple(marked))
            if plan is None or not plan.lines:
                self.smartsub.tell("nobody in what is marked can be activated", wrong=True)
                return
            self.ask(
                f"Order the activation of {display.people(len(plan.lines))}?",
                plan,
                lambda expected: self.backend.call(
                    orders.activate, self.office.name, marked, additional=additional, expected=expected
                ),
            )

        self.work("look", look)


def _look(session: Session, office: OfficeRecord, additional: bool, marked: tuple[str, ...]) -> _Seen:
    now = session.clock.now()
    departments = tuple(departments_to_activate(session, office.name, now, additional=additional))
    return _Seen(departments, _sum_of(session, office, departments, marked))


def _total(session: Session, office: OfficeRecord, additional: bool, marked: tuple[str, ...]) -> Plan | None:
    return _look(session, office, additional, marked).total


def _sum_of(
    session: Session, office: OfficeRecord, departments: tuple[DepartmentPlan, ...], marked: tuple[str, ...]
) -> Plan | None:
    """What one order for the marked departments would be: tax is rounded on the sum, so it is no sum of theirs."""
    people = [user for each in departments if each.name in marked for user in each.people]
    if not people:
        return None
    term = FirstTerm(session.settings.orders.first_term_months)
    return preview(session, office.name, people, term, session.clock.now())
