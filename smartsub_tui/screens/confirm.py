"""The last look before something is done: what exactly, how many, what happens."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from smartsub_tui import display
from smartsub_tui.billing.changes import check_text
from smartsub_tui.errors import SmartsubError
from smartsub_tui.screens.question import Question
from smartsub_tui.widgets.field import Field


class ConfirmScreen(Question[str]):
    """Asks in a box; the answer for Yes is what was typed in the field ("" where there is none)."""

    def __init__(self, question: str, lines: Sequence[str], yes: str, field: str | None = None) -> None:
        super().__init__()
        self._question, self._lines, self._yes, self._field = question, tuple(lines), yes, field

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm"):
            yield Static(display.content(self._question, "bold"), id="confirm-question")
            with VerticalScroll(id="confirm-lines", can_focus=False):
                yield Static(display.content("\n".join(display.plain(line) for line in self._lines), lines=True))
            if self._field is not None:
                with Horizontal(id="confirm-field"):
                    yield Static(display.content(f"{self._field} "), id="confirm-label")
                    yield Field(id="confirm-input", leave=self.leave_field)
                yield Static("", id="confirm-problem")
            with Horizontal(id="confirm-answers"):
                yield self.no_button()
                yield Static(display.content(f"y  {self._yes}"), id="confirm-yes")

    def on_mount(self) -> None:
        if self._field is None:
            self.set_focus(self.query_one("#question-no"))
        else:
            self.set_focus(self.query_one(Field))

    def said(self) -> str | None:
        """What the field holds, or None and a sentence under it."""
        if self._field is None:
            return ""
        field, problem = self.query_one(Field), self.query_one("#confirm-problem", Static)
        try:
            said = check_text(self._field.lower(), field.value)
        except SmartsubError as error:
            problem.update(display.content(error.message, "danger"))
            self.set_focus(field)
            return None
        problem.update("")
        return said
