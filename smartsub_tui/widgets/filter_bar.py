"""The filter line: always there and always true. What is typed is parsed at once; an error stands under its place."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from smartsub_tui import display
from smartsub_tui.data.filters import Filter, FilterError
from smartsub_tui.widgets.field import Field


class FilterBar(Vertical):
    """An input for the filter language, with a note on its right and what is wrong below."""

    class Changed(Message):
        """The text is a filter, and another than before."""

        def __init__(self, chosen: Filter) -> None:
            super().__init__()
            self.filter = chosen

    def __init__(
        self,
        parse: Callable[[str], Filter],
        text: str,
        leave: Callable[[str], None],
        *,
        unfinished: Callable[[str], bool] = lambda word: False,
    ) -> None:
        """`unfinished` tells of a last word that it will become a key: it waits for its colon, or for Enter."""
        super().__init__()
        self._parse, self._text, self._go, self._unfinished = parse, text, leave, unfinished
        self.filter = parse(text)

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static("/", id="filter-slash")
            yield Field(self._text, id="filter-text", leave=self._left)
            yield Static("", id="filter-note")
        yield Static("", id="filter-problem")

    @property
    def input(self) -> Field:
        return self.query_one("#filter-text", Field)

    def note(self, text: str) -> None:
        """What stands at the right end: how many of how many."""
        self.query_one("#filter-note", Static).update(display.cell(text))

    def set(self, text: str) -> None:
        """Put a filter into the line, as if it had been typed; it counts at once."""
        self.input.value = text
        self._apply(text)

    def edit(self) -> None:
        """Let another word be typed, behind those that are there."""
        text = self.input.value
        self.input.value = f"{text} " if text and not text.endswith(" ") else text
        self.input.cursor_position = len(self.input.value)
        self.screen.set_focus(self.input)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        last = event.value.rpartition(" ")[2]
        if not (self.input.has_focus and last and self._unfinished(last)):
            self._apply(event.value)

    def _left(self, key: str) -> None:
        """Enter stays where the line is no filter: the list below would be of another one."""
        if self._apply(self.input.value) or key == "escape":
            self._go(key)

    def _apply(self, text: str) -> bool:
        """Take the text as the filter; whether it is one."""
        problem = self.query_one("#filter-problem", Static)
        try:
            chosen = self._parse(text)
        except FilterError as error:
            problem.update(self._marked(text, error))
            problem.display = True
            return False
        problem.display = False
        problem.update("")
        if chosen != self.filter:
            self.filter = chosen
            self.post_message(self.Changed(chosen))
        return True

    def _marked(self, value: str, error: FilterError) -> Content:
        """A caret under the place and the sentence behind it, or alone, over several lines, where it is too long."""
        before = display.cell_width(display.plain(value[: error.start]))
        line = f"{' ' * (before + 2)}{'^' * max(1, min(error.end - error.start, 12))} {display.plain(error.message)}"
        fits = display.cell_width(line) <= self.size.width
        return display.content(line if fits else f"  {error.message}", "danger")
