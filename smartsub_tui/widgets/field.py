"""A field: one line that is typed in, left by Enter or Esc, and safe to type ahead in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rich.text import Text
from textual.binding import Binding
from textual.events import Key
from textual.geometry import Size
from textual.widgets import Input

from smartsub_tui import display

# Backspace, Ctrl+U, Home ...: as actions that run later they would edit what was typed behind them.
_EDITS: Final = {binding.key: binding.action for binding in Binding.make_bindings(Input.BINDINGS)}


def again(key: Key) -> Key:
    """A key that someone had and gives back: as new, but typed when it was."""
    copy = Key(key.key, key.character)
    copy.time = key.time
    return copy


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

    @property
    def _value(self) -> Text:
        """What is drawn: a name that a filter was made of, or a paste, can hold what a terminal would obey."""
        return Text(display.typed(self.value), no_wrap=True, overflow="ignore", end="")

    @property
    def content_width(self) -> int:
        """Never less than there is room for: a width that grows by a letter lays the whole screen out anew."""
        return max(super().content_width, self.size.width)

    def on_resize(self) -> None:
        self.set_reactive(Input.virtual_size, Size(self.content_width, 1))

    async def _on_key(self, event: Key) -> None:
        screen = self.app.screen
        if screen.focused is not self:  # has_focus learns it only from a message behind this one
            event.stop()
            event.prevent_default()
            # As if it came now: a key that leads into a field again does it before the next one is looked at.
            await self.app.on_event(again(event))
        elif event.key in ("enter", "escape"):
            event.stop()
            event.prevent_default()
            self._leave(event.key)
        elif event.key in _EDITS:
            event.stop()
            event.prevent_default()
            await self.app.run_action(_EDITS[event.key], default_namespace=self)
        elif not event.is_printable and await self.app._check_bindings(event.key):
            # A key of the screen, done here and now: it may leave the field, and what is typed behind it is no letter.
            event.stop()
            event.prevent_default()
        else:
            await super()._on_key(event)
