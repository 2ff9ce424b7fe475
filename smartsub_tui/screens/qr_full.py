"""A QR code on the whole screen: no masthead, no key line; any key goes back."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.events import Click, Key

from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.widgets.qr import QrCode


class QrFullScreen(BaseScreen):
    """Shows the QR code of a text; where the terminal became too small for it, the text and why."""

    ANY_KEY_LEAVES = True

    def __init__(self, text: str, error: str | None = None) -> None:
        super().__init__()
        self._text, self._error = text, error

    def compose(self) -> ComposeResult:
        yield QrCode(self._text, self._error, id="qr-full")

    def on_key(self, event: Key) -> None:
        event.stop()
        event.prevent_default()
        self._leave()

    async def action_command(self) -> None:
        self._leave()

    async def action_palette(self) -> None:
        self._leave()

    def on_click(self, event: Click) -> None:
        event.stop()
        self._leave()

    def _leave(self) -> None:
        """Once: a second key that was typed before this screen had gone would close the one behind it."""
        if self.is_on_top:
            self.action_back()
