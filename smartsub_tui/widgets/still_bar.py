"""A scroll bar that is painted where its thumb moves, not with every row: over a slow line a tenth of a page."""

from __future__ import annotations

from math import ceil
from typing import Self

from textual.geometry import Region
from textual.scrollbar import ScrollBar

_EIGHTHS = 8  # of a cell, in which a thumb ends


class StillBar(ScrollBar):
    """The vertical bar of a table. Textual's paints all of itself whenever it is told a number, a same one too."""

    def __init__(self, *, thickness: int) -> None:
        self._drawn: object = None
        super().__init__(vertical=True, name="vertical", thickness=thickness)

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        if repaint and not layout and not regions:
            looks = self._looks()
            if looks == self._drawn:
                return self
            self._drawn = looks
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def _looks(self) -> object:
        """All that a painted bar depends on: first and last eighth of the thumb, as they are drawn, and the colours."""
        thumb, height = None, self.size.height
        if height and self.window_size and self.window_size < self.window_virtual_size:
            length = max(1.0, self.window_size * height / self.window_virtual_size)
            way = self.window_virtual_size - self.window_size
            start = int(self.position / way * (height - length) * _EIGHTHS)
            thumb = start, start + ceil(length * _EIGHTHS)
        if self.parent is None:
            return None
        styles = self.parent.styles
        colours = (
            *(styles.scrollbar_color, styles.scrollbar_color_hover, styles.scrollbar_color_active),
            *(styles.scrollbar_background, styles.scrollbar_background_hover, styles.scrollbar_background_active),
            self.parent.background_colors,
        )
        return thumb, height, self.mouse_over, self.grabbed is not None, colours
