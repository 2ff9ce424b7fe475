"""Subscriptions > Renew: choose people, see dates and money, order."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Final

from msgspec import Struct
from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.events import Resize
from textual.widgets import DataTable, Input, Static

from smartsub_tui import display
from smartsub_tui.billing import orders
from smartsub_tui.billing.orders import Plan, people_to_renew, preview
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import MOST_MONTHS, Months, Until, parse_date, parse_months
from smartsub_tui.clock import local_date
from smartsub_tui.commands import OF_SCREEN, bindings, key_of
from smartsub_tui.data.exports import ExportKind, Wanted
from smartsub_tui.data.filters import Filter, Term, Text, parse_users
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.data.vocabulary import OfficeKind
from smartsub_tui.errors import SmartsubError
from smartsub_tui.screens.export import ExportScreen
from smartsub_tui.screens.ordering import OrderingScreen, people_of, tabs, toggled
from smartsub_tui.widgets.field import Field
from smartsub_tui.widgets.filter_bar import FilterBar
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.people_table import PeopleTable, Person

# More rows than a person reads; the filter narrows them, and marking all takes everyone who matches.
_ROWS: Final = 200


class _Seen(Struct, frozen=True):
    """What one look at the database said: rows, how many match, who of them can be renewed, what the marked cost."""

    people: tuple[Person, ...]
    matching: int
    renewable: tuple[str, ...]
    everyone: int
    total: Plan | None


class RenewScreen(OrderingScreen):
    """Users and property managers of one office, or its family members."""

    TITLE = "Renew"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Renew"]
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        "more_months", "fewer_months", "months", "until", "filter", "holder", "export", "activate"
    )

    def __init__(self, office: OfficeRecord, text: str = "") -> None:
        super().__init__(office)
        self._text = text
        self._seen: _Seen | None = None

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        with Horizontal(id="renew-term"):
            yield tabs("Renew")
            yield Static(display.content("months "), id="months-label")
            yield Field("1", id="months", leave=self._leave_term, max_length=8)
            with Horizontal(id="renew-until"):
                yield Static(display.content("   or until "), id="until-label")
                yield Field(id="until", leave=self._leave_term, placeholder="YYYY-MM-DD", max_length=12)
            yield Static("", id="renew-who")
        yield Static("", id="renew-problem")
        yield FilterBar("users", self._text, self.to_table, backend=self.backend, moment=self.moment)
        yield Rule()
        yield Static("", id="empty")
        yield PeopleTable()
        yield Rule()
        yield Static("", id="order-sum")
        yield KeyLine()

    def on_mount(self) -> None:
        self.show_trail(self.office.name, "Renew")
        self.query_one("#renew-until").display = self.office.kind is OfficeKind.COMMUNITY
        self.query_one("#empty").display = False
        self.set_focus(self.table)
        self._offer()

    @property
    def table(self) -> PeopleTable:
        return self.query_one(PeopleTable)

    @property
    def filter_bar(self) -> FilterBar:
        return self.query_one(FilterBar)

    @property
    def months(self) -> Field:
        return self.query_one("#months", Field)

    @property
    def until(self) -> Field:
        return self.query_one("#until", Field)

    # The term

    def term(self) -> Months | Until | None:
        """What the fields say; None, with the reason under them, where it is no term."""
        problem = self.query_one("#renew-problem", Static)
        try:
            until = self.until.value.strip()
            if until:
                day = parse_date(until)
                orders.check_until(day, self.office.kind, self._today())
                term: Months | Until = Until(day)
            else:
                term = Months(parse_months(self.months.value))
        except (ValueError, SmartsubError) as error:
            problem.display = True
            problem.update(display.content(f" {error}", "danger"))
            return None
        problem.display = False
        return term

    def _today(self) -> date:
        return local_date(self.backend.clock.now(), self.office.timezone)

    @on(Input.Changed, "#months, #until")
    def _term_changed(self) -> None:
        self.load()

    def _leave_term(self, key: str) -> None:
        """Enter stays where there is no term yet: the line below says what is wrong."""
        if key == "escape" or self.term() is not None:
            self.to_table()

    def _step_months(self, step: int) -> None:
        try:
            months = parse_months(self.months.value)
        except ValueError:
            months = 1 - step
        self.until.value = ""
        self.months.value = str(min(MOST_MONTHS, max(1, months + step)))

    def action_more_months(self) -> None:
        self._step_months(1)

    def action_fewer_months(self) -> None:
        self._step_months(-1)

    def action_months(self) -> None:
        self.until.value = ""
        self.set_focus(self.months)
        self.months.select_all()

    def action_until(self) -> None:
        if self.office.kind is OfficeKind.COMMUNITY:
            self.set_focus(self.until)
        else:
            self.smartsub.tell("only a community renews to a date: give a number of months", wrong=True)

    # What is shown

    def asked(self) -> object:
        return self.filter_bar.filter, self.additional, self.months.value, self.until.value

    def load(self) -> None:
        asked = self.asked()
        chosen, term, additional, marked = self.filter_bar.filter, self.term(), self.additional, tuple(self.marked)

        async def load() -> None:
            self._seen = await self.backend.latest("renew", _look, self.office, chosen, term, additional, marked)
            self._paint()
            self.listed(asked)

        self.work("renew", load)

    def _paint(self) -> None:
        if self._seen is None:
            return
        seen = self._seen
        self.table.show(seen.people, self.marked, self._today(), self.office.kind)
        self.query_one("#renew-who", Static).update(display.content(f"   {self.who()}", "quiet"))
        shown = f"{len(seen.people)} shown, " if len(seen.people) < seen.matching else ""
        self.filter_bar.note(f"{shown}{display.count(seen.matching)} of {display.count(seen.everyone)}")
        empty = self.query_one("#empty", Static)
        empty.display = not seen.people
        if not seen.people:
            empty.update(display.content("Nobody here can be renewed." if not seen.everyone else "Nobody matches."))
        self._sum()

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        self._sum()

    def _sum(self) -> None:
        """What the marked ones cost, or why the person under the cursor cannot be marked."""
        here = self.table.current
        if here is not None and here.reason is not None:
            leads = f": {key_of('holder')} opens it" if here.user.held_by is not None else ""
            self.say(f" {here.user.name} {here.reason}{leads}", "quiet")
        else:
            self.show_sum(f"{len(self.marked):,} marked", self._seen.total if self._seen is not None else None)
        self._offer()

    def _offer(self) -> None:
        order = ("make_order",) if self.marked else ()
        here = self.table.current
        holder = ("holder",) if here is not None and here.user.held_by is not None else ()
        until = ("until",) if self.office.kind is OfficeKind.COMMUNITY else ()
        self.key_line.show(
            (*order, *holder, "mark", "mark_all", "months", *until, "family", "filter", "activate", "back", "help")
        )

    @on(Resize)
    def _resized(self) -> None:
        self._paint()

    @on(FilterBar.Changed)
    def _filter_changed(self) -> None:
        self.load()

    def action_filter(self) -> None:
        self.filter_bar.edit()

    def action_back(self) -> None:
        if self.filter_bar.input.value:
            self.filter_bar.set("")
        else:
            super().action_back()

    def action_export(self) -> None:
        """Everyone of this office whom the filter lets through, marked or not."""
        here = Term("office", (Text.exact(self.office.name),))
        chosen = Filter("users", (here, *self.filter_bar.filter.terms))
        self.app.push_screen(ExportScreen(Wanted(ExportKind.USERS, chosen)))

    # Marks

    def action_mark(self) -> None:
        self.when_listed(self._mark)

    def _mark(self) -> None:
        person = self.table.current
        if person is None or not self.table.has_focus:
            return
        if person.reason is not None and person.user.id not in self.marked:
            self.app.bell()  # the line above the keys says why
            return
        self.marked ^= {person.user.id}
        self.table.mark(self.table.cursor_row, person.user.id in self.marked)
        self.table.action_cursor_down()
        self._recount()

    def action_mark_all(self) -> None:
        """Everyone who matches and can be renewed, beyond what is shown too; or nobody, where all are marked."""
        self.when_listed(self._mark_everyone)

    def _mark_everyone(self) -> None:
        if self._seen is not None:
            self.marked = toggled(self.marked, self._seen.renewable)
            self.load()

    def _recount(self) -> None:
        term, additional, marked = self.term(), self.additional, tuple(self.marked)
        self._sum()

        async def recount() -> None:
            total = await self.backend.latest("renew-sum", _total, self.office, term, additional, marked)
            if self._seen is not None:
                self._seen = replace(self._seen, total=total)
                self._sum()

        self.work("renew-sum", recount)

    def action_holder(self) -> None:
        """The open order that holds the person under the cursor."""
        self.when_listed(self._open_holder)

    def _open_holder(self) -> None:
        here = self.table.current
        if here is not None and here.user.held_by is not None:
            self.smartsub.open_order(here.user.held_by)

    # The order

    def action_make_order(self) -> None:
        self.when_listed(self._order)

    def _order(self) -> None:
        term = self.term()
        if term is None:
            return
        if not self.marked:
            self.smartsub.tell(
                f"nobody is marked: {key_of('mark')} marks one, {key_of('mark_all')} everyone who matches"
            )
            return
        marked, additional = sorted(self.marked), self.additional

        async def look() -> None:
            plan = await self.backend.latest("ask", _total, self.office, term, additional, tuple(marked))
            if plan is None or not plan.lines:
                self.smartsub.tell("none of the marked people can be renewed", wrong=True)
                return
            how = display.months(term.months) if isinstance(term, Months) else f"until {term.day.isoformat()}"
            self.ask(
                f"Order the renewal of {display.people(len(plan.lines))}, {how}?",
                plan,
                lambda expected: self.backend.call(
                    orders.renew, self.office.name, marked, term, additional=additional, expected=expected
                ),
            )

        self.work("look", look)


def _look(
    session: Session,
    office: OfficeRecord,
    chosen: Filter,
    term: Months | Until | None,
    additional: bool,
    marked: tuple[str, ...],
) -> _Seen:
    now = session.clock.now()
    matching = people_to_renew(session, office.name, chosen, now, additional=additional)
    everyone = people_to_renew(session, office.name, parse_users(""), now, additional=additional)
    plan = preview(session, office.name, matching, term, now) if term is not None else None
    return _Seen(
        tuple(people_of(matching[:_ROWS], plan)),
        len(matching),
        tuple(line.user.id for line in plan.lines) if plan is not None else (),
        len(everyone),
        _total(session, office, term, additional, marked),
    )


def _total(
    session: Session, office: OfficeRecord, term: Months | Until | None, additional: bool, marked: tuple[str, ...]
) -> Plan | None:
    if term is None or not marked:
        return None
    now = session.clock.now()
    people = people_to_renew(session, office.name, marked, now, additional=additional)
    return preview(session, office.name, people, term, now)
