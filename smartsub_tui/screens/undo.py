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

    `moves_orders`: a held key takes back one such thing, and no more. `only_on`: the screen on which alone it is taken
    back, for it is about nothing that can be seen elsewhere.
    """

    undo: Callable[[BaseScreen], None]
    moves_orders: bool = False
    only_on: BaseScreen | None = None


class UndoStack:
    """The last things done; of very many, the oldest can no longer be taken back."""

    def __init__(self) -> None:
        self._done: deque[Undoable] = deque(maxlen=MOST_UNDOABLE)
        self._pressed: datetime | None = None

    def has(self, screen: BaseScreen) -> bool:
        """Whether there is something that can be taken back on this screen."""
        return self._place(screen) is not None

    def _place(self, screen: BaseScreen) -> int | None:
        places = reversed(range(len(self._done)))
        return next((place for place in places if self._done[place].only_on in (None, screen)), None)

    def push(self, done: Undoable) -> None:
        """Something was done."""
        self._done.append(done)

    def pressed(self, now: datetime) -> bool:
        """Note that the key was pressed; whether it is held down."""
        before, self._pressed = self._pressed, now
        return before is not None and now - before < _HELD

    def forget(self, screen: BaseScreen) -> None:
        """What is about this screen alone can no longer be taken back: it is otherwise by now."""
        kept = [each for each in self._done if each.only_on is not screen]
        self._done.clear()
        self._done.extend(kept)

    def take(self, screen: BaseScreen, *, held: bool) -> Undoable | None:
        """The last thing done that is for this screen, off the stack; None where a key that is held down may not."""
        place = self._place(screen)
        if place is None or (held and self._done[place].moves_orders):
            return None
        done = self._done[place]
        del self._done[place]
        return done
