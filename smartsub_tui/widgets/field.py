"""A field: one line that is typed in, left by Enter or Esc, and safe to type ahead in."""

from __future__ import annotations

from collections.abc import Callable

from textual.events import Key
from textual.widgets import Input


class Field(Input):
    """An Input that calls `leave` with "enter" or "escape", in the order in which keys were typed.

    Textual hands a key to whatever has the focus when it arrives, and runs the action of an earlier key later. So a key
    typed right behind Enter would become a letter of the field that Enter leaves: it is passed on instead.
    """

    def __init__(
        self, value: str = "", *, leave: Callable[[str], None], id: str, placeholder: str = "", max_length: int = 0
    ) -> None:
        super().__init__(
            value, id=id, placeholder=placeholder, max_length=max_length, compact=True, select_on_focus=False
        )
        self._leave = leave
        self.initial = value
        # A blinking caret would send bytes over the line for nothing.
        self.cursor_blink = False

    async def _on_key(self, event: Key) -> None:
        screen = self.app.screen
        if screen.focused is not self:  # has_focus learns it only from a message behind this one
            event.stop()
            event.prevent_default()
            (screen.focused or screen).post_message(Key(event.key, event.character))
        elif event.key in ("enter", "escape"):
            event.stop()
            event.prevent_default()
            self._leave(event.key)
        else:
            await super()._on_key(event)
