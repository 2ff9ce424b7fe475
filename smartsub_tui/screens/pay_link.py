"""Pay by link: its address and QR code, and what becomes of it, without a key. Leaving changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Resize
from textual.geometry import Size
from textual.timer import Timer
from textual.widgets import Static

from smartsub_tui import display
from smartsub_tui.billing import invoices, links, payments
from smartsub_tui.billing.changes import time_out_due
from smartsub_tui.billing.invoices import BuyerReferences
from smartsub_tui.billing.payments import BankTransfer, Offered
from smartsub_tui.billing.session import Session
from smartsub_tui.commands import CLOSED, COMMANDS, OF_SCREEN, bindings
from smartsub_tui.data.order_records import OrderDetails, PaymentRecord
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName, Trigger
from smartsub_tui.errors import SmartsubError
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.order_actions import look
from smartsub_tui.screens.pay import PayScreen, Way, bank_chosen
from smartsub_tui.screens.qr_full import QrFullScreen
from smartsub_tui.widgets.frame import KeyLine, Line, Masthead, Rule
from smartsub_tui.widgets.message_line import MessageLine, Told
from smartsub_tui.widgets.qr import QrCode, needs, why_not

# Columns beside the code, its margins and those of the text included.
_TEXT_LEAST: Final = 40
_HOME_WIDTH: Final = 80
# Rows of the first and the last line, which are all that there is beside a code.
_AROUND: Final = 2

# What each state of the payment means, in a word and in sentences that say what happens next.
_SAID: Final = {
    PaymentState.CREATED: ("being opened", "", "Its address comes as soon as Stripe has answered."),
    PaymentState.SENT: ("waiting", "", ""),
    PaymentState.PENDING: (
        "money is under way",
        "busy",
        "It was paid in a way that takes its time, days at times. It is asked about until the money is there, or will"
        " not come; nothing has to be done.",
    ),
    PaymentState.UNKNOWN: (
        "outcome unknown",
        "danger",
        "Stripe gave no answer: money may have been taken, or not. It is asked again after 1 minute, 5 minutes, 1 hour,"
        " then daily for 5 days, then it waits in the triage queue. Take no other money for it until then.",
    ),
    PaymentState.DECLINED: ("declined", "danger", "Nothing was taken. The order can be paid again, in any way."),
    PaymentState.NOT_SENT: ("no link", "danger", "No link was made, nothing was taken."),
    PaymentState.EXPIRED: ("link ended", "warning", "Nothing was taken, and by this link nothing will be."),
    PaymentState.REFUNDED: ("paid back", "quiet", "The money that came went back."),
}
# Whoever pays needs the address, and nobody was told it.
_OPENING_UNKNOWN: Final = (
    "outcome unknown",
    "danger",
    "Stripe gave no answer: there may be a link, but nobody has it, so nothing was taken. It is asked again after"
    " 1 minute, 5 minutes, 1 hour, then daily for 5 days; found, it is shown here, and not there, the order can be paid"
    " again. Take no other money for it until then.",
)
_WAITS_TO_BE_APPLIED: Final = (
    "money waits",
    "warning",
    "The money came, but the order could not take it. It stands in the triage queue.",
)


class PayLinkScreen(BaseScreen):
    """The link that is open for an order, or is just being opened, by `open`.

    While it is shown, or its code is on the whole screen, its provider is asked how it is, less and less often. An
    answer that says nothing new paints the time when it was asked, and nothing else.
    """

    TITLE = "Payment link"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Payment link"]
    BINDINGS: ClassVar[list[BindingType]] = bindings("copy", "full_screen", "bank_instead", "invoice")
    # Seconds before it is asked the first time, the second ...; the last stays.
    ASK_AFTER: ClassVar[tuple[float, ...]] = (2, 3, 5, 8, 13, 20, 30)

    def __init__(self, found: OrderDetails, *, opening: bool = False) -> None:
        super().__init__()
        self._found, self._opening = found, opening
        self._offers: tuple[Offered, ...] = ()
        self._problem = ""
        self._told = ""  # when it was asked, or that there was no answer
        self._asking, self._times = False, 0
        self._timer: Timer | None = None
        self._full: QrFullScreen | None = None
        self._painted: tuple[object, ...] = ()
        self._left = 0  # columns that the code takes

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        yield Rule(classes="link-rule")
        with Horizontal(id="link"):
            yield QrCode("", id="link-qr")
            with Vertical(id="link-beside"):
                with Vertical(id="link-head"):
                    yield Line(id="link-amount")
                    yield Line(id="link-state")
                with VerticalScroll(id="link-text"):
                    yield Static("", id="link-url")
                    yield Static("", id="link-note")
        yield Rule(classes="link-rule")
        yield KeyLine()

    def on_mount(self) -> None:
        self.show_trail(self._found.number, "Payment link")
        self.set_focus(self.query_one("#link-text"))
        self._paint()

    # What it is

    @property
    def payment(self) -> PaymentRecord | None:
        """The payment that may still take money, or else the last one through a provider."""
        outside = [each for each in self._found.payments if each.provider is ProviderName.STRIPE]
        return self._found.live_payment or next(reversed(outside), None)

    @property
    def url(self) -> str:
        """The address, while money can come by it."""
        live = self._found.live_payment
        return live.link or "" if live is not None and live.state is PaymentState.SENT else ""

    def _state(self) -> tuple[str, str, str]:
        """A word, its style, and what happens next."""
        found, payment = self._found, self.payment
        if found.status is OrderStatus.SUCCEED:
            return "paid", "good", ""
        if self._opening or payment is None:
            return _SAID[PaymentState.CREATED] if self._opening else _SAID[PaymentState.NOT_SENT]
        if payment.state is PaymentState.SUCCEEDED:
            return _WAITS_TO_BE_APPLIED
        if payment.state is PaymentState.UNKNOWN and payment.link is None:
            return _OPENING_UNKNOWN
        return _SAID[payment.state]

    # What is shown

    def load(self) -> None:
        """As it is stored; and it is asked about from now on, while it can change."""

        async def load() -> None:
            self._show(await self.backend.latest("order", _read, self._found.number))

        self.work("order", load)
        self._ask_soon(afresh=True)

    def _show(self, seen: tuple[OrderDetails, tuple[Offered, ...]]) -> None:
        before = self.url
        self._found, self._offers = seen
        self._paint()
        if self.app.screen is self._full and self.url != before:
            self.smartsub.go_back()  # there is nothing to be scanned any more

    @on(Resize)
    def _paint(self) -> None:
        found, payment, now = self._found, self.payment, self.backend.clock.now()
        word, style, next_ = self._state()
        until = payment.expires_at if payment is not None and self.url else None
        by = f" by {display.instant(until, now, self.timezone)}" if until is not None else ""
        self.query_one("#link-amount", Line).show(display.content(f" {display.money(found.total)}{by}", "bold"))
        told = f", {self._told}" if self._told and self._may_change else ""
        self.query_one("#link-state", Line).show(display.content(f" {word}{told}", style))
        if (shown := (found, self._problem, self._opening, self.size, self._offers)) == self._painted:
            return
        self._painted = shown
        self._arrange(next_)

    def _arrange(self, next_: str) -> None:
        """The code beside the text where both have room; the keys of what is possible."""
        url, size = self.url, self.size
        beside = Size(max(0, size.width - _TEXT_LEAST), max(0, size.height - _AROUND))
        why = why_not(url, beside, size) if url else "-"
        full = bool(url) and why is not None and why_not(url, size, size) is None
        code = self.query_one(QrCode)
        code.display = why is None
        narrow = size.width < _HOME_WIDTH
        self.set_class(why is None, "-beside")
        self.set_class(why is None or narrow, "-stacked")
        self._left = 0
        if why is None:
            code.show(url)
            code.styles.width, code.styles.height = needs(url)
            self._left = needs(url).width + 2
        self.show_told(self.smartsub.told)
        self.query_one("#link-url", Static).update(display.link(url, opens=self.backend.profile.allows.links))
        self.query_one("#link-url").display = bool(url)
        if url:
            key = COMMANDS["full_screen"].shown
            scan = "Scan it." if "copy" in CLOSED else "Scan it, or copy the address."
            next_ = f"{why} {key} shows it on the whole screen." if full else why or scan
        said = [each for each in (self._problem, next_) if each]
        text = "\n".join([*said, *self._results()])
        self.query_one("#link-note", Static).update(display.content(text, lines=True))
        pays = any(each.possible for each in self._offers if each.trigger is Trigger.PAY)
        unpaid = self._found.status is not OrderStatus.SUCCEED
        self.key_line.show(
            (
                *(("copy",) if url else ()),
                *(("full_screen",) if full else ()),
                *(("bank_instead",) if pays and unpaid and not self._opening else ()),
                *(() if invoices.objection(self._found) else ("invoice",)),
                "back",
                "help",
            ),
            {"back": "back (the order stays unpaid)"} if unpaid and not narrow else {},
        )

    def show_told(self, told: Told | None) -> None:
        """Beside the code: half of one cannot be scanned."""
        for line in self.query(MessageLine):
            line.styles.margin = (0, 0, 1, self._left)
        super().show_told(told)

    def _results(self) -> Iterator[str]:
        """What came of it, once it is paid."""
        found = self._found
        if found.status is not OrderStatus.SUCCEED:
            return
        if found.invoice is not None:
            saves = "" if "invoice" in CLOSED else f": {COMMANDS['invoice'].shown} saves it"
            yield f"Invoice {found.invoice.number}{saves}."
            yield ""
        for line in found.lines:
            dates = f"{display.service_date(line.previous_expiry)} -> {display.service_date(line.new_expiry)}"
            yield f"{display.fit(line.name, min(34, max(8, self.size.width - 30)))} {dates}"

    # Opening

    async def open(self, references: BuyerReferences) -> None:
        """Have a link opened, whether this is shown, left, or not there yet; what its provider says is recorded."""
        found = self._found
        try:
            await self.backend.talk(links.open_link, found.number, references=references, version=found.version)
        except SmartsubError as error:
            if not self.smartsub.shows(self) or self.smartsub.is_ending:
                raise
            self._problem = error.message
        finally:
            self._opening = False
        if self.smartsub.shows(self):
            self.load()
        else:
            self.smartsub.tell(f"the payment link of order {found.number} is open: {COMMANDS['pay'].shown} shows it")

    # Asking

    @property
    def _may_change(self) -> bool:
        return self._found.live_payment is not None

    @property
    def _is_seen(self) -> bool:
        # Textual calls a screen current too that lies right behind the one that is shown.
        return self.app.screen in (self, self._full)

    def _ask_soon(self, *, afresh: bool = False) -> None:
        """Ask again when it is time; from the beginning of the schedule where it was just come to."""
        if afresh:
            self._times = 0
        if self._timer is not None:
            self._timer.stop()
        after = self.ASK_AFTER[min(self._times, len(self.ASK_AFTER) - 1)]
        self._timer = self.set_timer(after, self._ask)

    def _ask(self) -> None:
        """Never while it is asked already, nor while nobody sees it: whoever comes back begins anew."""
        if self._asking or self._opening or not self._may_change or not self._is_seen:
            return
        self._asking = True

        async def ask() -> None:
            number = self._found.number
            try:
                silent = await self.backend.talk(links.watch, number)
                self._told = f"{'no answer' if silent else 'asked'} {self._time()}"
                if silent is None:
                    self._problem = ""
            except SmartsubError as error:
                self._told, self._problem = f"not asked {self._time()}", error.message
            finally:
                self._asking = False
            self._show(await self.backend.call(_read, number))
            self._times += 1
            if self._may_change:
                self._ask_soon()

        self.work("watch", ask)

    def _time(self) -> str:
        return display.instant_full(self.backend.clock.now(), self.timezone)[11:19]

    def read_again(self) -> None:
        """Ask the provider now."""
        self._ask()

    # Keys

    def action_copy(self) -> None:
        if self.url:
            self.copy(self.url, "the link")

    def action_full_screen(self) -> None:
        if not self.url:
            return
        why = why_not(self.url, self.size, self.size)
        if why is None:
            self._full = QrFullScreen(self.url)
            self.app.push_screen(self._full)
        else:
            self.smartsub.tell(why, wrong=True)

    def action_invoice(self) -> None:
        from smartsub_tui.billing import invoice_files

        async def save() -> None:
            self.smartsub.tell((await self.backend.call(invoice_files.save, self._found.number)).told)

        self.smartsub.write(save)

    def action_bank_instead(self) -> None:
        """Bank transfer, after a last look at what it is; the link is ended first."""
        if "bank_instead" not in self.key_line.shown:
            return

        async def ask() -> None:
            found = self._found
            ends = "The payment link is ended first. " if self.url else ""
            said = await self.answer(
                PayScreen(
                    found,
                    self.smartsub.who,
                    self.smartsub.settings,
                    self.backend.clock,
                    verb="Pay",
                    happens=f"{ends}The order stays unpaid until the money is there; the dates then become:",
                    ways=(Way.BANK,),
                ),
                keep=True,
            )
            if said is not None:
                self.carry_out(partial(self._choose_bank, found))

        self.question(ask)

    async def _choose_bank(self, found: OrderDetails) -> None:
        def choose(session: Session, version: int | None) -> payments.Paid:
            return payments.pay(session, found.number, BankTransfer(), version=version)

        try:
            paid = await self.backend.talk(links.act_without_link, Trigger.PAY, found.number, found.version, choose)
        except SmartsubError:
            if self.smartsub.shows(self):
                self.load()
            raise
        self.smartsub.tell(bank_chosen(paid.order, self.backend.clock.now(), self.timezone))
        if self.app.screen is self:
            self.smartsub.go_back()


def _read(session: Session, number: str) -> tuple[OrderDetails, tuple[Offered, ...]]:
    time_out_due(session)
    return look(session, number)
