"""What every screen does when the terminal has another size, and whether it is the one that is shown."""

from __future__ import annotations

from typing import Generic, TypeVar

from textual.geometry import Size
from textual.screen import Screen

T = TypeVar("T")


class Sized(Screen[T], Generic[T]):
    """A screen that is as large as the terminal is now, whatever size it is just being told.

    A layout tells its own screen of its size. Of two sizes that wait to be told, each would be laid out and told anew,
    in turns, for ever: the screen would never again let anyone else go on.
    """

    @property
    def is_on_top(self) -> bool:
        """Whether it is what is shown and asked. Textual's is_current is so of what is seen beneath a question too."""
        return self.app.screen is self

    def _screen_resized(self, size: Size) -> None:
        super()._screen_resized(self.app.size)
