"""What can be taken back: a stack for the whole application, from which `u` takes the last thing done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from smartsub_tui.screens.base import BaseScreen

MOST_UNDOABLE: Final = 100
# A key that comes again sooner is held down, or was pressed before its last effect could be seen.
_HELD: Final = timedelta(seconds=1)


class Undoable(Struct, frozen=True):
    """Something that was done. `undo`, given the screen on which it is asked for, takes it back and tells so.

    `moves_orders`: a held key takes back one such thing, and no more.
    """

    undo: Callable[[BaseScreen], None]
    moves_orders: bool = False


class UndoStack:
    """The last things done; of very many, the oldest can no longer be taken back."""

    def __init__(self) -> None:
        self._done: deque[Undoable] = deque(maxlen=MOST_UNDOABLE)
        self._pressed: datetime | None = None

    def __len__(self) -> int:
        return len(self._done)

    def push(self, done: Undoable) -> None:
        """Something was done."""
        self._done.append(done)

    def pressed(self, now: datetime) -> bool:
        """Note that the key was pressed; whether it is held down."""
        before, self._pressed = self._pressed, now
        return before is not None and now - before < _HELD

    def take(self, *, held: bool) -> Undoable | None:
        """The last thing done, off the stack; None where it is not for a key that is held down."""
        if held and self._done[-1].moves_orders:
            return None
        return self._done.pop()
