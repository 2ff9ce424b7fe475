"""The billing system: its address as text and as a QR code. It is shown and copied; no browser is opened from here."""

from __future__ import annotations

from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.events import Resize
from textual.geometry import Size
from textual.widgets import Static

from smartsub_tui import display
from smartsub_tui.commands import COMMANDS, OF_SCREEN, bindings
from smartsub_tui.config import no_billing_system
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.qr_full import QrFullScreen
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.qr import QrCode, needs, why_not

# Columns beside the code, its margins and those of the text included: fewer would tear the address into shreds.
_TEXT_LEAST: Final = 24


class BillingSystemScreen(BaseScreen):
    """The code beside the address where both have room; the address alone where not, or what to write where."""

    TITLE = "Billing system"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Billing system"]
    BINDINGS: ClassVar[list[BindingType]] = bindings("copy", "full_screen")

    def compose(self) -> ComposeResult:
        url = self.url
        yield Masthead(self.smartsub.who)
        yield Rule()
        with Horizontal(id="billing"):
            if url:
                yield QrCode(url, id="billing-qr")
            with VerticalScroll(id="billing-text"):
                if url:
                    yield Static(display.link(url, opens=self.backend.profile.allows.links))
                yield Static("", id="billing-note")
        yield Rule()
        yield KeyLine()

    @property
    def url(self) -> str:
        return self.smartsub.settings.billing_system.url

    def on_mount(self) -> None:
        self.show_trail("Billing system")
        self.set_focus(self.query_one("#billing-text"))
        self._arrange()

    @on(Resize)
    def _arrange(self) -> None:
        note = self.query_one("#billing-note", Static)
        if not self.url:
            note.update(display.content(no_billing_system(self.smartsub.config_file), lines=True))
            self.key_line.show(("back", "help"))
            return
        beside = Size(max(0, self.size.width - _TEXT_LEAST), max(0, self.size.height - 4))
        why = why_not(self.url, beside, self.size)
        full = why is not None and why_not(self.url, self.size, self.size) is None
        code = self.query_one(QrCode)
        code.display = why is None
        if why is None:
            code.styles.width, code.styles.height = needs(self.url)
        said = why or "Scan it, or copy the address."
        note.update(
            display.content(f"{said} {COMMANDS['full_screen'].shown} shows it on the whole screen." if full else said)
        )
        self.key_line.show(("copy", *(("full_screen",) if full else ()), "back", "help"))

    def action_copy(self) -> None:
        if self.url:
            self.copy(self.url, "the address")

    def action_full_screen(self) -> None:
        if not self.url:
            return
        why = why_not(self.url, self.size, self.size)
        if why is None:
            self.app.push_screen(QrFullScreen(self.url))
        else:
            self.smartsub.tell(why, wrong=True)
