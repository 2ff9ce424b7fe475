"""Take back: which people of a paid order, until when they run without it, and the money that goes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import ClassVar

from msgspec import Struct
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import DescendantFocus, Resize
from textual.widgets import Input, Static

from smartsub_tui import display
from smartsub_tui.billing.changes import check_text
from smartsub_tui.billing.credits import Proposal, Proposed
from smartsub_tui.commands import OF_SCREEN, bindings
from smartsub_tui.data.vocabulary import ProviderName
from smartsub_tui.errors import SmartsubError
from smartsub_tui.screens.question import Question
from smartsub_tui.widgets.field import Field
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.lines import Lines


class CreditAnswer(Struct, frozen=True):
    """Why, what says that it was paid back by hand, and of whom, by their ids; None: everyone of it that stands."""

    reason: str
    reference: str | None
    users: tuple[str, ...] | None


class CreditScreen(Question[CreditAnswer]):
    """Asks who is taken back: everyone who can be is marked. Nothing is done by leaving."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("mark", "mark_all", "down", "up", "first", "last"),
        Binding("down", "down", show=False),
        Binding("up", "up", show=False),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-tall")]  # noqa: RUF012 - Textual's own declaration

    def __init__(self, proposal: Proposal, who: str) -> None:
        super().__init__()
        self._proposal, self._who = proposal, who
        self._possible = tuple(line.dates.user_id for line in proposal.lines if not line.objection)
        self.marked = set(self._possible)
        self.cursor = 0

    def compose(self) -> ComposeResult:
        yield Masthead(self._who)
        yield Rule()
        yield Static("", id="credit-head")
        yield Rule()
        yield Lines(id="credit-lines")
        yield Rule()
        yield Static("", id="credit-sum")
        with Vertical(id="credit-fields"):
            yield from self._field("Reason", "reason", "why; kept in the timeline")
            yield from self._field("By hand", "reference", "what says so, if it was paid back by hand")
        yield Static("", id="credit-problem")
        with Horizontal(id="confirm-answers"):
            yield self.no_button()
            yield Static("", id="confirm-yes")
        yield KeyLine()

    def _field(self, label: str, name: str, hint: str) -> ComposeResult:
        with Horizontal(classes="pay-field"):
            yield Static(display.content(f" {label} "), classes="pay-label")
            yield Field(id=f"credit-{name}", leave=self.leave_field, placeholder=hint)

    def on_mount(self) -> None:
        found = self._proposal.order
        self.query_one(Masthead).show("Payments", found.number, "Take back")
        self.query_one("#credit-head", Static).update(display.content("\n".join(self._head()), lines=True))
        self.query_one(Lines).can_focus = False
        self._paint()
        self.set_focus(self.query_one("#credit-reason"))

    @on(DescendantFocus)
    def _offer(self) -> None:
        """In a field, all but Esc and Tab are letters of it."""
        keys = ("next_field",) if isinstance(self.focused, Input) else OF_SCREEN["Take back"]
        self.query_one(KeyLine).show((*keys, "back"))

    def on_resize(self, event: Resize) -> None:
        self._paint()

    def _head(self) -> Iterator[str]:
        found = self._proposal.order
        term = f", {display.months(found.months)}" if found.months else f", until {found.until}" if found.until else ""
        invoice = found.invoice.number if found.invoice is not None else ""
        yield f" {display.money(found.total)}   {found.type.label}{term}   {display.plain(found.office)}"
        yield f" A credit note takes back what is marked of {invoice}."

    def _paint(self) -> None:
        lines = self._proposal.lines
        self.query_one(Lines).show([partial(self._line, place, line) for place, line in enumerate(lines)])
        self.query_one("#credit-sum", Static).update(display.content("\n".join(self._sum()), lines=True))
        total = self._proposal.total_of(self.marked)
        yes = f"y  Take back {display.money(total)}" if self.marked else ""
        self.query_one("#confirm-yes", Static).update(display.content(yes))

    def _line(self, place: int, line: Proposed) -> Text:
        dates, width = line.dates, max(30, self.query_one(Lines).size.width - 1)
        mark = "*" if dates.user_id in self.marked else " "
        then = line.objection or f"{display.service_date(dates.before)} -> {_day(dates.after)}"
        name = max(10, min(34, width - 29))
        text = display.fit(f"{mark} {display.fit(dates.name, name)} {then}", width)
        style = "quiet" if dates.user_id not in self.marked else ""
        shown = display.cell(text, style)
        if place == self.cursor:
            shown.stylize("reverse")
        return shown

    def _sum(self) -> Iterator[str]:
        proposal = self._proposal
        of = len(proposal.lines)
        rest = "" if len(self.marked) == of else "; the others stay"
        yield f" Takes back {len(self.marked):,} of {of:,} {'line' if of == 1 else 'lines'}{rest}."
        total = proposal.total_of(self.marked)
        if not total.amount:
            yield " There is nothing to pay back."
            return
        payment = next((each for each in proposal.order.payments if each.applied), None)
        if payment is not None and payment.never_came:
            yield " No money came, its provider says: nothing is paid back, unless by hand."
            return
        by_hand = payment is None or payment.provider in (ProviderName.MANUAL, ProviderName.BANK)
        way = (
            "is noted as paid back by hand" if by_hand or payment is None else f"goes back by {payment.provider.label}"
        )
        yield f" {display.money(total)} {way}."

    # Who

    def action_down(self) -> None:
        self._move(self.cursor + 1)

    def action_up(self) -> None:
        self._move(self.cursor - 1)

    def action_first(self) -> None:
        self._move(0)

    def action_last(self) -> None:
        self._move(len(self._proposal.lines) - 1)

    def _move(self, place: int) -> None:
        self.cursor = max(0, min(place, len(self._proposal.lines) - 1))
        lines = self.query_one(Lines)
        top, height = int(lines.scroll_offset.y), max(1, lines.size.height)
        if self.cursor < top:
            lines.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + height:
            lines.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)
        lines.refresh()

    def action_mark(self) -> None:
        line = self._proposal.lines[self.cursor]
        if line.objection:
            self._say(f"{line.dates.name}: {line.objection}")
            return
        self.marked ^= {line.dates.user_id}
        self._paint()
        self._move(self.cursor + 1)

    def action_mark_all(self) -> None:
        self.marked = set() if len(self.marked) == len(self._possible) else set(self._possible)
        self._paint()

    # The answer

    def _say(self, problem: str) -> None:
        self.query_one("#credit-problem", Static).update(display.content(f" {problem}" if problem else "", "danger"))

    def said(self) -> CreditAnswer | None:
        """What the fields say; None, and why under them, where it is not enough."""
        if not self.marked:
            self._say("nobody is marked: Space marks")
            return None
        field = self.query_one("#credit-reason", Field)
        try:
            reason, reference = check_text("reason", field.value), None
            field = self.query_one("#credit-reference", Field)
            if field.value.strip():
                reference = check_text("reference", field.value)
        except SmartsubError as error:
            self._say(str(error))
            self.set_focus(field)
            return None
        self._say("")
        everyone = len(self.marked) == len(self._proposal.lines)
        return CreditAnswer(reason, reference, None if everyone else tuple(sorted(self.marked)))


def _day(day: date | None) -> str:
    return "inactive" if day is None else display.service_date(day)
