"""Subscriptions > Renew: choose people, see dates and money, order."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Hashable
from datetime import date
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.events import DescendantBlur, DescendantFocus, Resize
from textual.widgets import DataTable, Input, Static

from smartsub_tui import display
from smartsub_tui.billing import estimates, orders
from smartsub_tui.billing.estimates import Estimate
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import MOST_MONTHS, Months, Until, parse_date, parse_months
from smartsub_tui.clock import local_date
from smartsub_tui.commands import OF_SCREEN, bindings, key_of
from smartsub_tui.data import queries
from smartsub_tui.data.exports import ExportKind, Wanted
from smartsub_tui.data.filters import Filter, Moment, Term, Text, parse_users
from smartsub_tui.data.keyset import Page
from smartsub_tui.data.queries import Candidates
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.data.vocabulary import OfficeKind
from smartsub_tui.errors import Refused, SmartsubError
from smartsub_tui.screens.export import ExportScreen
from smartsub_tui.screens.ordering import OrderingScreen, People, tabs, toggled
from smartsub_tui.screens.windowed_list import WindowedList
from smartsub_tui.widgets.field import Field
from smartsub_tui.widgets.filter_bar import FilterBar
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.people_table import PeopleTable, Person

MOST_MARKED: Final = 100_000
_COUNT_AFTER: Final = 0.25  # seconds of quiet: while one types, every letter would be counted for nothing


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
        self._everyone: int | None = None  # whom the filter leaves out too
        self._total: Estimate | None = None  # what the marked cost, once it is known
        self._total_of: object = None  # term and marks
        self._marking = False  # everyone

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
        self._people: WindowedList[Person] = WindowedList(
            self, self.table, "people", source=self._source, show=self._show, listed=self.listed
        )
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
        term = self._read_term()
        problem.display = isinstance(term, str)
        if isinstance(term, str):
            problem.update(display.content(f" {term}", "danger"))
            return None
        return term

    def _read_term(self) -> Months | Until | str:
        """What the fields say, or why it is no term."""
        try:
            until = self.until.value.strip()
            if not until:
                return Months(parse_months(self.months.value))
            day = parse_date(until)
            orders.check_until(day, self.office.kind, self._today())
        except (ValueError, SmartsubError) as error:
            return str(error)
        return Until(day)

    def _today(self) -> date:
        return local_date(self.backend.clock.now(), self.office.timezone)

    @on(Input.Changed, "#months, #until")
    def _term_changed(self) -> None:
        self.term()
        self._people.load()
        self._recount()

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
            self.until.select_all()
        else:
            self.smartsub.tell("only a community renews to a date: give a number of months", wrong=True)

    # What is shown

    def _source(self) -> People:
        term = self._read_term()
        among = Candidates(self.office.id, activated=True, additional=self.additional)
        return People(self.office, among, self.filter_bar.filter, None if isinstance(term, str) else term)

    def asked(self) -> object:
        return self._people.asked

    def settled(self) -> bool:
        return super().settled() and not self._marking

    def load(self) -> None:
        self.term()
        self.query_one("#renew-who", Static).update(display.content(f"   {self.who()}", "quiet"))
        self._people.load()
        self._count()
        self._recount()

    def _show(
        self, page: Page[Person], *, base: int, first: bool, last: bool, on: Collection[Hashable], anew: bool
    ) -> None:
        self.table.begin(self._today(), self.office.kind, anew=anew)
        self.table.show(page.rows, page.cursors, base=base, first=first, last=last, on=on)
        self.table.mark(self.marked)
        self._show_empty()
        self._sum()

    def _show_empty(self) -> None:
        empty, nobody = self.query_one("#empty", Static), not self.table.window.rows
        empty.display = nobody
        if nobody:
            here = self._everyone != 0 and self.filter_bar.filter.terms
            empty.update(display.content("Nobody matches." if here else "Nobody here can be renewed."))

    def _count(self, *, after: float = 0.0) -> None:
        """Count whom the filter lets through, and everyone; where one types only `after` a while."""
        source = self._source()

        async def count() -> None:
            if after:
                await asyncio.sleep(after)
            matching, everyone = await self.backend.patient("count", _count, source, self.moment())
            self._everyone = everyone
            self._people.counted(matching, source)
            self.filter_bar.note(f"{display.count(matching)} of {display.count(everyone)}")
            self._show_empty()

        self.work("count", count)

    @on(PeopleTable.Wanted)
    def _wanted(self, event: PeopleTable.Wanted) -> None:
        self._people.wanted(event.where)

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
            total = self._total
            what = f"{display.count(len(self.marked))} marked"
            self.show_sum(what, total.totals if total else None, total.skipped if total else 0)
        self._offer()

    @on(DescendantFocus)
    @on(DescendantBlur)
    def _offer(self) -> None:
        if isinstance(self.focused, Input):  # every other key is a letter of it
            self.key_line.show(("back", "palette"))
            return
        order = ("make_order",) if self.marked else ()
        here = self.table.current
        holder = ("holder",) if here is not None and here.user.held_by is not None else ()
        until = ("until",) if self.office.kind is OfficeKind.COMMUNITY else ()
        self.key_line.show(
            (*order, *holder, "mark", "mark_all", "months", *until, "family", "filter", "activate", "back", "help")
        )

    @on(Resize)
    def _resized(self) -> None:
        self.table.lay_out()

    @on(FilterBar.Changed)
    def _filter_changed(self) -> None:
        self.filter_bar.note("...")
        self._people.load()
        self._count(after=_COUNT_AFTER)

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
        self.table.mark(self.marked)
        self.table.action_cursor_down()
        self._recount()

    def action_mark_all(self) -> None:
        """Everyone who matches and can be renewed, beyond what is shown too; or nobody, where all are marked."""
        self.when_listed(self._mark_everyone)

    def _mark_everyone(self) -> None:
        term = self.term()
        if term is None:
            return
        chosen, additional = self.filter_bar.filter, self.additional
        self._marking = True

        async def mark() -> None:
            try:
                found = await self.backend.patient(
                    "marks",
                    estimates.renewable,
                    self.office.name,
                    chosen,
                    term,
                    additional=additional,
                    most=MOST_MARKED,
                )
                if len(found.keys) > MOST_MARKED:
                    most = display.count(MOST_MARKED)
                    raise Refused(f"more than {most} can be renewed, so many cannot be marked: narrow the filter")
                self._marks[additional] = toggled(self._marks[additional], found.keys)
                others = f", {display.count(found.others)} more match and cannot be renewed now" if found.others else ""
                self.smartsub.tell(f"{display.count(len(self._marks[additional]))} marked{others}")
                self.table.mark(self.marked)
                self._recount()
            except SmartsubError:
                self.forget_waiting()  # what is typed behind it was meant for all of them
                raise
            finally:
                self._marking = False
                self._act()

        self.work("marks", mark)

    def _recount(self) -> None:
        """Find out what the marked cost; until then the sum of others is not shown."""
        term, additional, marked = self._read_term(), self.additional, frozenset(self.marked)
        if (term, additional, marked) != self._total_of:
            self._total, self._total_of = None, (term, additional, marked)
        self._sum()
        if isinstance(term, str) or not marked:
            self.workers.cancel_group(self, "renew-sum")
            return
        chosen = term

        async def recount() -> None:
            self._total = await self.backend.patient(
                "renew-sum", estimates.estimate_renewal, self.office.name, marked, chosen, additional=additional
            )
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
            estimate = await self.backend.latest(
                "ask", estimates.estimate_renewal, self.office.name, marked, term, additional=additional
            )
            if not estimate.people:
                self.smartsub.tell("none of the marked people can be renewed", wrong=True)
                return
            how = display.months(term.months) if isinstance(term, Months) else f"until {term.day.isoformat()}"
            await self.ask(
                f"Order the renewal of {display.people(estimate.people)}, {how}?",
                estimate,
                lambda expected: self.backend.call(
                    orders.renew, self.office.name, marked, term, additional=additional, expected=expected
                ),
            )

        self.question(look)


def _count(session: Session, source: People, moment: Moment) -> tuple[int, int]:
    matching = queries.count_candidates(source.among, source.filter, moment)
    return matching, queries.count_candidates(source.among, parse_users(""), moment)
