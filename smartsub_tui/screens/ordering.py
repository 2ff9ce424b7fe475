"""Subscriptions of one office: what is marked becomes one order. What Activate and Renew have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine, Hashable, Iterable, Sequence
from typing import Any, ClassVar

from msgspec import Struct
from textual import on
from textual.binding import BindingType
from textual.widgets import DataTable, Static

from smartsub_tui import display
from smartsub_tui.billing.estimates import Estimate
from smartsub_tui.billing.orders import NewOrder, Plan, preview
from smartsub_tui.billing.pricing import Totals
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Term
from smartsub_tui.commands import COMMANDS, bindings
from smartsub_tui.data import queries
from smartsub_tui.data.filters import Filter, Moment
from smartsub_tui.data.keyset import Cursor, Page
from smartsub_tui.data.money import Money
from smartsub_tui.data.queries import Candidates
from smartsub_tui.data.records import OfficeRecord, UserRecord
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.widgets.people_table import Person

# Makes the order, given the total that was seen.
Making = Callable[[int], Coroutine[Any, Any, NewOrder]]


class People(Struct, frozen=True):
    """The candidates that a filter lets through, with what a term makes of each; without one, as they are."""

    office: OfficeRecord
    among: Candidates
    filter: Filter
    term: Term | None

    @property
    def which(self) -> Hashable:
        return self.among, self.filter

    def page(
        self,
        session: Session,
        moment: Moment,
        *,
        limit: int,
        after: Cursor | None = None,
        before: Cursor | None = None,
        at: Cursor | None = None,
        last: bool = False,
    ) -> Page[Person]:
        found = queries.search_candidates(
            self.among, self.filter, moment, limit=limit, after=after, before=before, at=at, last=last
        )
        plan = None
        if self.term is not None:
            plan = preview(session, self.office.name, found.rows, self.term, moment.now)
        return Page(tuple(people_of(found.rows, plan)), found.cursors)

    def count_before(self, session: Session, moment: Moment, cursor: Cursor) -> int:
        return queries.count_candidates(self.among, self.filter, moment, before=cursor)


class OrderingScreen(BaseScreen):
    """Marks survive filters and looks; they go when the order is made, and not by one key."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("mark", "mark_all", "family")

    def __init__(self, office: OfficeRecord) -> None:
        super().__init__()
        self.office = office
        self.additional = False
        self._said: tuple[str, str] | None = None
        self._marks: dict[bool, set[str]] = {False: set(), True: set()}  # of users and managers, of family members
        self._warned: list[set[str]] = [set(), set()]  # of the loss of these

    @property
    def marked(self) -> set[str]:
        """What is marked among those who are shown."""
        return self._marks[self.additional]

    @marked.setter
    def marked(self, marked: set[str]) -> None:
        self._marks[self.additional] = marked

    # The ways out, and between activation and renewal

    def action_activate(self) -> None:
        if self._may_lose_marks(COMMANDS["activate"].shown):
            self.smartsub.open_activate(self.office)

    def action_renew(self) -> None:
        if self._may_lose_marks(COMMANDS["renew"].shown):
            self.smartsub.open_renew(self.office)

    def may_leave(self) -> bool:
        return self._may_lose_marks("the same")

    def action_family(self) -> None:
        self.additional = not self.additional
        self.load()

    def action_back(self) -> None:
        if self._may_lose_marks("Esc"):
            super().action_back()

    def action_quit(self) -> None:
        if self._may_lose_marks(COMMANDS["quit"].shown):
            super().action_quit()

    def _may_lose_marks(self, key: str) -> bool:
        """Whether a key that drops the marks may do so: there are none, or it was told once what it does."""
        marks = [set(held) for held in self._marks.values()]
        if marks == self._warned:
            self.smartsub.told = None  # else it would be said where there are none any more
            return True
        if not any(marks):
            return True
        self._warned = marks
        self.smartsub.tell(f"{sum(map(len, marks)):,} marked: {key} again leaves, and the marks go")
        return False

    def who(self) -> str:
        """Whom the screen is about, in words."""
        return "family members" if self.additional else "users and managers"

    # The order

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_make_order()

    @abstractmethod
    def action_make_order(self) -> None:
        """Ask, and make the order of what is marked."""

    async def ask(self, question: str, estimate: Estimate, make: Making) -> None:
        """The last look at `estimate`, with No under the cursor; then `make`, told the total that was on the screen."""
        total, currency, left_out = estimate.totals, self.office.currency, estimate.left_out
        first = [
            f"  {display.fit(line.user.name, 30)} {display.service_date(line.user.expires_on)}"
            f" -> {display.service_date(line.new_expiry)}"
            for line in estimate.first
        ]
        further = estimate.people - len(estimate.first)
        more = [f"  and {further:,} more"] if further else []
        left = [f"{estimate.skipped:,} left out: {left_out.user_id} {left_out.reason}"] if left_out else []
        lines = [
            self.office.name,
            f"net {Money(total.net, currency)}   tax {Money(total.tax, currency)}"
            f"   total {Money(total.total, currency)}",
            "If paid today:",
            *first,
            *more,
            *left,
        ]

        async def write() -> None:
            made = await make(total.total)
            self.marked.clear()
            left = f", {len(made.skipped)} left out" if made.skipped else ""
            self.smartsub.tell(f"made order {made.order.number}, {made.order.total}{left}")
            if self.is_on_top:
                self.smartsub.open_order(made.order.number)

        if not self.is_on_top:  # it was left meanwhile: nothing asks over another screen
            return
        yes = "Yes, make the order (paying comes next)"
        if await self.answer(ConfirmScreen(question, lines, yes), keep=True) is not None:
            self.carry_out(write)

    # What is shown

    def show_sum(self, what: str, totals: Totals | None = None, skipped: int = 0) -> None:
        """The line under the table: `what` is marked, what it costs, and how many of it cannot be in the order."""
        parts = [f" {what}"]
        if totals is not None:
            currency = self.office.currency
            parts.append(display.money(Money(totals.total, currency)))
            parts.append(
                f"net {display.money(Money(totals.net, currency), with_currency=False)}"
                f"  tax {display.money(Money(totals.tax, currency), with_currency=False)}"
            )
            if skipped:
                parts.append(f"{skipped:,} left out")
        self.say("   ".join(parts), "bold")

    def say(self, text: str, style: str) -> None:
        """The same line, with any text; nothing is painted where it says the same."""
        if (text, style) != self._said:
            self._said = text, style
            self.query_one("#order-sum", Static).update(display.content(text, style))


def tabs(here: str) -> Static:
    """The two things that can be done for an office, this one in bold."""
    line = display.content(" ")
    for name in ("Activate", "Renew"):
        line += display.content(name, "bold" if name == here else "quiet") + display.content("   ")
    return Static(line, id="tabs")


def people_of(shown: Iterable[UserRecord], plan: Plan | None) -> list[Person]:
    """Rows for the table of people: what the plan makes of each, or why it leaves them out."""
    if plan is None:
        return [Person(user, None, "", None) for user in shown]
    lines = {line.user.id: line for line in plan.lines}
    reasons = {each.user_id: each.reason for each in plan.skipped}
    people: list[Person] = []
    for user in shown:
        line = lines.get(user.id)
        if line is None:
            people.append(Person(user, None, "", reasons.get(user.id, "")))
        else:
            price = display.money(Money(line.amount, plan.currency), with_currency=False)
            people.append(Person(user, line.new_expiry, price, None))
    return people


def toggled(marked: set[str], matching: Sequence[str]) -> set[str]:
    """All of them marked too; or none of them, where all were."""
    return marked - set(matching) if set(matching) <= marked else marked | set(matching)
