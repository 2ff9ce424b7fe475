"""Pay: the amount, the ways, what it does to the dates. Leaving changes nothing: the order stays unpaid."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import ClassVar, Final

from msgspec import Struct
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Resize
from textual.geometry import Size
from textual.widgets import Input, Static

from smartsub_tui import display
from smartsub_tui.billing import bank_transfer
from smartsub_tui.billing.changes import check_text
from smartsub_tui.billing.invoices import NO_REFERENCES, BuyerReferences
from smartsub_tui.billing.payments import BankTransfer, Manual, Paying, bank_pay_by
from smartsub_tui.clock import Clock
from smartsub_tui.commands import COMMANDS, bindings
from smartsub_tui.config import Settings
from smartsub_tui.data.money import Money, parse_amount, plain_amount
from smartsub_tui.data.order_records import OrderDetails
from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.errors import SmartsubError
from smartsub_tui.screens.qr_full import QrFullScreen
from smartsub_tui.screens.question import Question
from smartsub_tui.widgets.field import Field
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.qr import QrCode, needs, why_not

# Columns beside the code: fewer would cut what has to be typed elsewhere.
_TEXT_LEAST: Final = 44
# Rows of all that stands above and below the code, and of each way one more.
_AROUND: Final = 13
_NAME_WIDTH: Final = 20


class Way(Enum):
    """What can be done about an order that is to be paid: its name, and what it means."""

    HERE = "The money is here", "a reference says so, as receipt 17"
    LINK = "Payment link", "an address to pay at, and its QR code"
    BANK = "Bank transfer", "it will come; more time to pay"
    LATER = "Later", "nothing changes"


class ByLink(Struct, frozen=True):
    """Money that comes through a payment link, which is to be opened."""


class PayAnswer(Struct, frozen=True):
    """How it is paid, and what of the buyer's references was typed anew."""

    paying: Paying | ByLink
    references: BuyerReferences


class PayScreen(Question[PayAnswer]):
    """For money that pays an order, or confirms one: `ways` are those that are possible, Later beside them.

    `no_link` says why there is no way of a payment link, where that can be changed.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("way_after", "way_before", "full_screen")
    VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-tall")]  # noqa: RUF012 - Textual's own declaration

    def __init__(
        self,
        found: OrderDetails,
        who: str,
        settings: Settings,
        clock: Clock,
        *,
        verb: str,
        happens: str,
        ways: tuple[Way, ...] = (Way.HERE,),
        no_link: str | None = None,
    ) -> None:
        super().__init__()
        self._found, self._who, self._settings, self._clock = found, who, settings, clock
        self._verb, self._happens, self._no_link = verb, happens, no_link
        self._ways = (*ways, Way.LATER)
        self._code = bank_transfer.code(found.number, found.total, settings.seller) if Way.BANK in ways else None
        self.way = self._ways[0]

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
            with Vertical(id="pay-money"):
                yield from self._field("Reference", "reference", "", "receipt 17")
                yield from self._field(
                    f"Amount {total.currency}", "amount", plain_amount(total.amount, total.currency), "what came"
                )
            if found.status is not OrderStatus.SUCCEED:  # whose invoice stands as it was issued
                yield from self._field("PO number", "po", found.po_number or "", "the buyer's, for the invoice")
                yield from self._field("Buyer ref.", "buyer", found.buyer_reference or "", "the buyer's, likewise")
        with Horizontal(id="pay-bank"):
            if self._code is not None:
                yield QrCode(self._code, bank_transfer.ERROR_CORRECTION, id="pay-qr")
            yield Static("", id="pay-account")
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
        self._show_way()

    @on(Resize)
    def _show_ways(self) -> None:
        lines = display.content("")
        for way in self._ways:
            name, means = way.value
            here = way is self.way
            if way is Way.BANK and self._no_link is not None:
                lines += display.content(
                    f"   {Way.LINK.value[0]:<{_NAME_WIDTH}}{self._why_no_link()}\n", "quiet", lines=True
                )
            lines += display.content(f" {'>' if here else ' '} {name:<{_NAME_WIDTH}}", "bold" if here else "")
            lines += display.content(means, "" if here else "quiet")
            lines += display.content("" if way is self._ways[-1] else "\n", lines=True)
        self.query_one("#pay-ways", Static).update(lines)
        self._show_bank()

    def _why_no_link(self) -> str:
        """In what room a line has; the command line says it whole."""
        why, room = self._no_link or "", self.app.size.width - _NAME_WIDTH - 4
        return why if display.cell_width(why) <= room else f"{why.partition(':')[0]}: see [payments] in config.toml"

    def _show_bank(self) -> None:
        """The account, and its code: beside it where there is room, else on a key."""
        full = beside = False
        said = self._why_no_code()
        if self._code is not None:
            size, level = self.app.size, bank_transfer.ERROR_CORRECTION
            around = _AROUND + len(self._ways) + (self._no_link is not None)
            room = Size(max(0, size.width - _TEXT_LEAST), max(0, size.height - around))
            said = why_not(self._code, room, size, level)
            beside = said is None
            full = not beside and why_not(self._code, size, size, level) is None
            code = self.query_one(QrCode)
            code.display = beside
            if beside:
                code.styles.width, code.styles.height = needs(self._code, level)
                said = "Scan it with a banking application."
            elif full:
                said = f"{said} {COMMANDS['full_screen'].shown} shows it on the whole screen."
        self.query_one("#pay-account", Static).update(display.content("\n".join(self._bank()), lines=True))
        if self.way is Way.BANK:
            self.query_one("#pay-problem", Static).update(display.content(f" {said}", "quiet"))
        full = full and self.way is Way.BANK
        self.query_one(KeyLine).show(
            (
                *(("way_after",) if len(self._ways) > 1 else ()),
                *(("full_screen",) if full else ()),
                "next_field",
                "back",
            )
        )

    def _why_no_code(self) -> str | None:
        return bank_transfer.why_no_code(self._found.number, self._found.total, self._settings.seller)

    def _show_way(self) -> None:
        self.query_one("#pay-fields").display = self.way in (Way.HERE, Way.LINK)
        self.query_one("#pay-money").display = self.way is Way.HERE
        self.query_one("#pay-bank").display = self.way is Way.BANK
        self.query_one("#pay-problem", Static).update("")
        self._show_ways()
        self._show_yes()
        self.set_focus(self.query_one("#pay-reference" if self.way is Way.HERE else "#question-no"))

    @on(Input.Changed, "#pay-amount")
    def _show_yes(self) -> None:
        """What Yes does: of another amount than the order's it is known before that it only waits."""
        total, here = self._found.total, f"y  {self._verb} {self._found.total}"
        if self.way is Way.HERE:
            try:
                came = parse_amount(self.query_one("#pay-amount", Field).value.strip(), total.currency)
            except (ValueError, SmartsubError):  # Enter says what is wrong
                here = ""
            else:
                if came != total.amount:
                    here = f"y  Record {Money(came, total.currency)}, which waits"
        yes = {
            Way.HERE: here,
            Way.LINK: "y  Open a payment link",
            Way.BANK: "y  Choose bank transfer",
            Way.LATER: "",
        }
        self.query_one("#confirm-yes", Static).update(display.content(yes[self.way]))

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
        found = self._found
        for name, value in bank_transfer.details(found.number, found.total, self._settings.seller):
            yield f" {name:<12}{display.plain(value)}"
        if found.pay_by is not None:
            until = bank_pay_by(found.created_at, found.pay_by, self._settings)
            chosen = "chosen, " if found.bank_chosen_at is not None else ""
            yield f" {'Until':<12}{chosen}{display.instant(until, self._clock.now(), self._settings.ui.timezone)}"

    # The ways

    def action_way_after(self) -> None:
        self._step(1)

    def action_way_before(self) -> None:
        self._step(-1)

    def _step(self, by: int) -> None:
        self.way = self._ways[(self._ways.index(self.way) + by) % len(self._ways)]
        self._show_way()

    def action_full_screen(self) -> None:
        """The code of the bank transfer on the whole screen, where it fits there."""
        size, level = self.app.size, bank_transfer.ERROR_CORRECTION
        if self.way is Way.BANK and self._code is not None and why_not(self._code, size, size, level) is None:
            self.app.push_screen(QrFullScreen(self._code, level))

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
            if self.way is Way.HERE:
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
        if self.way is Way.LINK:
            problem.update("")
            return PayAnswer(ByLink(), BuyerReferences(**given))
        waits = "" if came == total.amount else f" {display.money(total)} is due: another amount is recorded and waits."
        problem.update(display.content(waits, "warning"))
        return PayAnswer(Manual(text, None if came == total.amount else came), BuyerReferences(**given))


def bank_chosen(found: OrderDetails, now: datetime, timezone: str) -> str:
    """What is told when bank transfer was chosen."""
    until = display.instant(found.pay_by, now, timezone)
    return f"bank transfer chosen: to be paid until {until}, reference {found.number}"
