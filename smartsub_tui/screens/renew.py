"""Subscriptions > Renew: choose people, see dates and money, order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar, Final

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
from smartsub_tui.commands import bindings
from smartsub_tui.data.exports import ExportKind, Wanted
from smartsub_tui.data.filters import Filter, Term, Text, parse_users
from smartsub_tui.data.money import Money
from smartsub_tui.data.records import OfficeRecord, UserRecord
from smartsub_tui.data.vocabulary import OfficeKind
from smartsub_tui.errors import SmartsubError
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.screens.export import ExportScreen
from smartsub_tui.widgets.field import Field
from smartsub_tui.widgets.filter_bar import FilterBar
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.people_table import PeopleTable, Person

# More rows than a person reads; the filter narrows them, and marking all takes everyone who matches.
_ROWS: Final = 200


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look at the database said: rows, how many match, who of them can be renewed, what the marked cost."""

    people: tuple[Person, ...]
    matching: int
    renewable: tuple[str, ...]
    everyone: int
    total: Plan | None


class RenewScreen(BaseScreen):
    """Users and property managers of one office, or its family members."""

    COMMANDS_HERE: ClassVar[tuple[str, ...]] = (
        "order",
        "mark",
        "mark_all",
        "more_months",
        "fewer_months",
        "months",
        "until",
        "family",
        "filter",
        "export",
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        "mark", "mark_all", "more_months", "fewer_months", "months", "until", "family", "filter", "export"
    )

    def __init__(self, office: OfficeRecord, text: str = "") -> None:
        super().__init__()
        self.office = office
        self._text = text
        self.marked: set[str] = set()
        self.additional = False
        self._seen: _Seen | None = None
        self._mark_all_when_seen = False

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        with Horizontal(id="renew-term"):
            yield Static(display.content(" Renew for "), id="renew-label")
            yield Field("1", id="months", leave=self._leave_term, max_length=8)
            yield Static(display.content(" months"), id="months-label")
            with Horizontal(id="renew-until"):
                yield Static(display.content("   or until "), id="until-label")
                yield Field(id="until", leave=self._leave_term, placeholder="YYYY-MM-DD", max_length=12)
            yield Static("", id="renew-who")
        yield Static("", id="renew-problem")
        yield FilterBar(parse_users, self._text, self.to_table)
        yield Rule()
        yield PeopleTable()
        yield Static("", id="empty")
        yield Rule()
        yield Static("", id="renew-sum")
        yield KeyLine()

    def on_mount(self) -> None:
        self.masthead.show("Subscriptions", self.office.name, "Renew")
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

    def load(self) -> None:
        chosen, term, additional, marked = self.filter_bar.filter, self.term(), self.additional, tuple(self.marked)

        async def load() -> None:
            self._seen = await self.backend.latest("renew", _look, self.office, chosen, term, additional, marked)
            if self._mark_all_when_seen:
                self._mark_all_when_seen = False
                self.action_mark_all()
            else:
                self._paint()

        self.work("renew", load)

    def _paint(self) -> None:
        if self._seen is None:
            return
        seen = self._seen
        self.table.show(seen.people, self.marked, self._today(), self.office.kind.department_label)
        who = "family members" if self.additional else "users and property managers"
        self.query_one("#renew-who", Static).update(display.content(f"   {who}", "quiet"))
        shown = f"{len(seen.people)} shown, " if len(seen.people) < seen.matching else ""
        self.filter_bar.note(f"{shown}{display.count(seen.matching)} of {display.count(seen.everyone)}")
        empty = self.query_one("#empty", Static)
        empty.display = not seen.people
        self.table.display = bool(seen.people)
        if not seen.people:
            empty.update(display.content("Nobody here can be renewed." if not seen.everyone else "Nobody matches."))
        self._sum()

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        self._sum()

    def _sum(self) -> None:
        """What the marked ones cost, or why the person under the cursor cannot be marked."""
        seen, here = self._seen, self.table.current
        if here is not None and here.reason is not None:
            self.query_one("#renew-sum", Static).update(display.content(f" {here.user.name} {here.reason}", "quiet"))
            self._offer()
            return
        parts = [f" {len(self.marked):,} marked"]
        if seen is not None and seen.total is not None:
            total, currency = seen.total.totals, self.office.currency
            parts.append(
                f"net {display.money(Money(total.net, currency), with_currency=False)}"
                f"  tax {display.money(Money(total.tax, currency), with_currency=False)}"
                f"  {display.money(Money(total.total, currency))}"
            )
            if seen.total.skipped:
                parts.append(f"{len(seen.total.skipped):,} left out")
        self.query_one("#renew-sum", Static).update(display.content("   ".join(parts), "bold"))
        self._offer()

    def _offer(self) -> None:
        order = ("order",) if self.marked else ()
        until = ("until",) if self.office.kind is OfficeKind.COMMUNITY else ()
        self.key_line.show(
            (*order, "mark", "mark_all", "months", *until, "family", "filter", "more_months", "back", "help")
        )

    @on(Resize)
    def _resized(self) -> None:
        self._paint()

    @on(FilterBar.Changed)
    def _filter_changed(self) -> None:
        self.load()

    def action_filter(self) -> None:
        self.set_focus(self.filter_bar.input)

    def action_back(self) -> None:
        if self.filter_bar.input.value:
            self.filter_bar.input.value = ""
        else:
            super().action_back()

    def action_export(self) -> None:
        """Everyone of this office whom the filter lets through, marked or not."""
        here = Term("office", (Text.exact(self.office.name),))
        chosen = Filter("users", (here, *self.filter_bar.filter.terms))
        self.app.push_screen(ExportScreen(Wanted(ExportKind.USERS, chosen)))

    def action_family(self) -> None:
        self.additional = not self.additional
        self.marked.clear()
        self.load()

    # Marks

    def action_mark(self) -> None:
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
        if self._seen is None:
            self._mark_all_when_seen = True  # typed ahead
            return
        matching = set(self._seen.renewable)
        self.marked = self.marked - matching if matching <= self.marked else self.marked | matching
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

    # The order

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_order()

    def action_order(self) -> None:
        term = self.term()
        if term is None:
            return
        if not self.marked:
            self.smartsub.tell("nobody is marked: Space marks one, A everyone shown")
            return
        marked, additional = sorted(self.marked), self.additional

        async def order() -> None:
            plan = await self.backend.latest("ask", _total, self.office, term, additional, tuple(marked))
            if plan is None or not plan.lines:
                self.smartsub.tell("none of the marked people can be renewed", wrong=True)
                return
            how = display.months(term.months) if isinstance(term, Months) else f"until {term.day.isoformat()}"
            total, currency = plan.totals, self.office.currency
            first = [
                f"  {display.fit(line.user.name, 30)} {display.service_date(line.user.expires_on)}"
                f" -> {display.service_date(line.new_expiry)}"
                for line in plan.lines[:4]
            ]
            more = [f"  and {len(plan.lines) - 4:,} more"] if len(plan.lines) > 4 else []
            left = [f"{len(plan.skipped):,} left out: {each.user_id} {each.reason}" for each in plan.skipped[:1]]
            self.app.clear_notifications()
            said = await self.app.push_screen_wait(
                ConfirmScreen(
                    f"Order the renewal of {len(plan.lines):,} people, {how}?",
                    [
                        self.office.name,
                        f"net {Money(total.net, currency)}   tax {Money(total.tax, currency)}"
                        f"   total {Money(total.total, currency)}",
                        "If paid today:",
                        *first,
                        *more,
                        *left,
                    ],
                    "Yes, make the order (paying comes next)",
                )
            )
            if said is None:
                return
            self.marked.clear()
            self.smartsub.write(make)

        async def make() -> None:
            made = await self.backend.call(orders.renew, self.office.name, marked, term, additional=additional)
            self.smartsub.tell(f"made order {made.order.number}, {made.order.total}")
            if self.is_current:
                self.smartsub.open_order(made.order.number)

        self.work("order", order)


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
        tuple(_people(matching[:_ROWS], plan)),
        len(matching),
        tuple(line.user.id for line in plan.lines) if plan is not None else (),
        len(everyone),
        _total(session, office, term, additional, marked),
    )


def _people(shown: list[UserRecord], plan: Plan | None) -> list[Person]:
    if plan is None:
        return [Person(user, None, "", None) for user in shown]
    lines = {line.user.id: line for line in plan.lines}
    reasons = {each.user_id: each.reason for each in plan.skipped}
    people = []
    for user in shown:
        line = lines.get(user.id)
        if line is None:
            people.append(Person(user, None, "", reasons.get(user.id, "")))
        else:
            price = display.money(Money(line.amount, plan.currency), with_currency=False)
            people.append(Person(user, line.new_expiry, price, None))
    return people


def _total(
    session: Session, office: OfficeRecord, term: Months | Until | None, additional: bool, marked: tuple[str, ...]
) -> Plan | None:
    if term is None or not marked:
        return None
    now = session.clock.now()
    people = people_to_renew(session, office.name, marked, now, additional=additional)
    return preview(session, office.name, people, term, now)
