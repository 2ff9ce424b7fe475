"""What every screen does when the terminal has another size, what it gives the keys to, and whether it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from textual.css.query import NoMatches
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

if TYPE_CHECKING:
    from smartsub_tui.screens.host import Host

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

    @contextmanager
    def may_be_left(self) -> Iterator[None]:
        """It is no error where this screen was left while an answer was on its way: what would show it is gone."""
        try:
            yield
        except NoMatches:
            if cast("Host", self.app).shows(self):
                raise

    def set_focus(self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False) -> None:
        """Not to what is gone, or going: a click finds it until all is laid out anew, and it would keep every key."""
        if widget is None or (widget.is_attached and not widget._pruning):
            super().set_focus(widget, scroll_visible, from_app_focus)

    def _screen_resized(self, size: Size) -> None:
        super()._screen_resized(self.app.size)
