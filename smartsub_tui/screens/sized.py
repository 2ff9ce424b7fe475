"""What every screen does when the terminal has another size."""

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

    def _screen_resized(self, size: Size) -> None:
        super()._screen_resized(self.app.size)
