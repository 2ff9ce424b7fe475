"""Pay: the amount, the ways, what it does to the dates. Leaving changes nothing: the order stays unpaid."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import ClassVar

from msgspec import Struct
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from smartsub_tui import display
from smartsub_tui.billing.changes import check_text
from smartsub_tui.billing.invoices import NO_REFERENCES, BuyerReferences
from smartsub_tui.billing.payments import BankTransfer, Manual, Paying, bank_pay_by
from smartsub_tui.clock import Clock
from smartsub_tui.commands import bindings
from smartsub_tui.config import Settings
from smartsub_tui.data.money import parse_amount, plain_amount
from smartsub_tui.data.order_records import OrderDetails
from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.errors import SmartsubError
from smartsub_tui.screens.question import Question
from smartsub_tui.widgets.field import Field
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule


class Way(Enum):
    """What can be done about an order that is to be paid: its name, and what it means."""

    HERE = "The money is here", "a reference says so, as receipt 17"
    BANK = "Bank transfer", "it will come; more time to pay"
    LATER = "Later", "nothing changes"


class PayAnswer(Struct, frozen=True):
    """How it is paid, and what of the buyer's references was typed anew."""

    paying: Paying
    references: BuyerReferences


class PayScreen(Question[PayAnswer]):
    """For money that pays an order, or confirms one: `ways` are those that are possible, Later beside them."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("way_after", "way_before")
    VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-tall")]  # noqa: RUF012 - Textual's own declaration

    def __init__(
        self, found: OrderDetails, who: str, settings: Settings, clock: Clock, *, verb: str, happens: str, bank: bool
    ) -> None:
        super().__init__()
        self._found, self._who, self._settings, self._clock = found, who, settings, clock
        self._verb, self._happens = verb, happens
        self._ways = (Way.HERE, Way.BANK, Way.LATER) if bank else (Way.HERE, Way.LATER)
        self.way = Way.HERE

    def compose(self) -> ComposeResult:
        yield Masthead(self._who)
        yield Rule()
        yield Static("", id="pay-head")
        yield Rule()
        with VerticalScroll(id="pay-dates", can_focus=False):
            yield Static("", id="pay-lines")
        yield Rule()
        yield Static("", id="pay-ways")
        found, total = self._found, self._found.total
        with Vertical(id="pay-fields"):
            yield from self._field("Reference", "reference", "", "receipt 17")
            yield from self._field(
                f"Amount {total.currency}", "amount", plain_amount(total.amount, total.currency), "what came"
            )
            if found.status is not OrderStatus.SUCCEED:  # whose invoice stands as it was issued
                yield from self._field("PO number", "po", found.po_number or "", "the buyer's, for the invoice")
                yield from self._field("Buyer ref.", "buyer", found.buyer_reference or "", "the buyer's, likewise")
        yield Static("", id="pay-bank")
        yield Static("", id="pay-problem")
        with Horizontal(id="confirm-answers"):
            yield self.no_button("Later")
            yield Static("", id="confirm-yes")
        yield KeyLine()

    def _field(self, label: str, name: str, value: str, hint: str) -> ComposeResult:
        with Horizontal(classes="pay-field"):
            yield Static(display.content(f" {label} "), classes="pay-label")
            yield Field(value, id=f"pay-{name}", leave=self.leave_field, placeholder=hint)

    def on_mount(self) -> None:
        self.query_one(Masthead).show("Payments", self._found.number, self._verb)
        self.query_one("#pay-head", Static).update(display.content("\n".join(self._head()), lines=True))
        self.query_one("#pay-lines", Static).update(display.content("\n".join(self._dates()), lines=True))
        self.query_one("#pay-bank", Static).update(display.content("\n".join(self._bank()), lines=True))
        self.query_one(KeyLine).show(("way_after", "next_field", "back"))
        self._show_way()

    def _show_way(self) -> None:
        lines = display.content("")
        for place, way in enumerate(self._ways):
            name, means = way.value
            here = way is self.way
            lines += display.content(f" {'>' if here else ' '} {name:<20}", "bold" if here else "")
            lines += display.content(means, "" if here else "quiet")
            lines += display.content("" if place == len(self._ways) - 1 else "\n", lines=True)
        self.query_one("#pay-ways", Static).update(lines)
        self.query_one("#pay-fields").display = self.way is Way.HERE
        self.query_one("#pay-bank").display = self.way is Way.BANK
        self.query_one("#pay-problem", Static).update("")
        yes = {
            Way.HERE: f"y  {self._verb} {self._found.total}",
            Way.BANK: "y  Choose bank transfer",
            Way.LATER: "",
        }
        self.query_one("#confirm-yes", Static).update(display.content(yes[self.way]))
        self.set_focus(self.query_one("#pay-reference" if self.way is Way.HERE else "#question-no"))

    def _head(self) -> Iterator[str]:
        found, now = self._found, self._clock.now()
        term = f", {display.months(found.months)}" if found.months else f", until {found.until}" if found.until else ""
        look = display.status(found.status, due=found.due)
        by = ""
        if found.status is OrderStatus.PROCESSING and not found.due:
            by = f", to be paid until {display.instant(found.pay_by, now, self._settings.ui.timezone)}"
        yield f" {display.money(found.total)}   {found.type.label}{term}   {display.plain(found.office)}"
        yield f" {look}{by}"

    def _dates(self) -> Iterator[str]:
        yield f" {self._happens}"
        for line in self._found.lines:
            dates = f"{display.service_date(line.previous_expiry)} -> {display.service_date(line.new_expiry)}"
            yield f"  {display.fit(line.name, min(34, self.app.size.width - 30))} {dates}"

    def _bank(self) -> Iterator[str]:
        found, seller = self._found, self._settings.seller
        account = ", ".join(part for part in (seller.name, seller.iban) if part)
        yield f" To          {display.plain(account) or 'not set: [seller] name, iban in config.toml'}"
        yield f" Amount      {display.money(found.total)}"
        yield f" Reference   {display.plain(found.number)}"
        if found.pay_by is not None:
            until = bank_pay_by(found.created_at, found.pay_by, self._settings)
            chosen = "chosen, " if found.bank_chosen_at is not None else ""
            yield f" Until       {chosen}{display.instant(until, self._clock.now(), self._settings.ui.timezone)}"

    # The ways

    def action_way_after(self) -> None:
        self._step(1)

    def action_way_before(self) -> None:
        self._step(-1)

    def _step(self, by: int) -> None:
        self.way = self._ways[(self._ways.index(self.way) + by) % len(self._ways)]
        self._show_way()

    # The answer

    def said(self) -> PayAnswer | None:
        """What the fields say; None, and why under them, where it is no payment yet."""
        if self.way is Way.LATER:
            return None
        if self.way is Way.BANK:
            return PayAnswer(BankTransfer(), NO_REFERENCES)
        total, field = self._found.total, self.query_one("#pay-reference", Field)
        problem = self.query_one("#pay-problem", Static)
        try:
            text = "" if total.amount == 0 and not field.value.strip() else check_text("reference", field.value)
            field = self.query_one("#pay-amount", Field)
            came = parse_amount(field.value.strip(), total.currency)
            given: dict[str, str] = {}
            for key, name, held in (
                ("po_number", "po", self._found.po_number),
                ("buyer_reference", "buyer", self._found.buyer_reference),
            ):
                for field in self.query(f"#pay-{name}").results(Field):
                    if field.value.strip() not in ("", held):
                        given[key] = check_text(key.replace("_", " "), field.value)
        except (ValueError, SmartsubError) as error:
            problem.update(display.content(f" {error}", "danger"))
            self.set_focus(field)
            return None
        waits = "" if came == total.amount else f" {display.money(total)} is due: another amount is recorded and waits."
        problem.update(display.content(waits, "warning"))
        return PayAnswer(Manual(text, None if came == total.amount else came), BuyerReferences(**given))
