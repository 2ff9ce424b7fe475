"""The last look before something is done: what exactly, how many, what happens. No has the focus, Yes is a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from smartsub_tui import display
from smartsub_tui.billing.changes import check_text
from smartsub_tui.errors import SmartsubError
from smartsub_tui.widgets.field import Field


class ConfirmScreen(ModalScreen[str | None]):
    """Asks; the answer is None for No, and for Yes what was typed in the field ("" where there is none)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "no", show=False),
        Binding("y", "yes", show=False),
        Binding("n", "no", show=False),
    ]

    def __init__(self, question: str, lines: Sequence[str], yes: str, field: str | None = None) -> None:
        super().__init__()
        self._question, self._lines, self._yes, self._field = question, tuple(lines), yes, field
        self._answered = False

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm"):
            yield Static(display.content(self._question, "bold"), id="confirm-question")
            with VerticalScroll(id="confirm-lines", can_focus=False):
                yield Static(display.content("\n".join(display.plain(line) for line in self._lines), lines=True))
            if self._field is not None:
                with Horizontal(id="confirm-field"):
                    yield Static(display.content(f"{self._field} "), id="confirm-label")
                    yield Field(id="confirm-input", leave=self._left)
                yield Static("", id="confirm-problem")
            with Horizontal(id="confirm-answers"):
                yield Button("No", id="confirm-no", compact=True)
                yield Static(display.content(f"y  {self._yes}"), id="confirm-yes")

    def _answer(self, said: str | None) -> None:
        """Once: a second key that was typed before the question had gone would close the screen behind it."""
        if not self._answered:
            self._answered = True
            self.dismiss(said)

    def on_mount(self) -> None:
        if self._field is None:
            self.set_focus(self.query_one("#confirm-no"))
        else:
            self.set_focus(self.query_one(Field))

    def _left(self, key: str) -> None:
        """Enter never says Yes: No gets the focus. Esc is No."""
        if key == "escape":
            self._answer(None)
        elif self._said() is not None:
            self.set_focus(self.query_one("#confirm-no"))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self._answer(None)

    def action_no(self) -> None:
        self._answer(None)

    def action_yes(self) -> None:
        said = self._said()
        if said is not None:
            self._answer(said)

    def _said(self) -> str | None:
        """What the field holds, or None and a sentence under it."""
        if self._field is None:
            return ""
        field, problem = self.query_one(Field), self.query_one("#confirm-problem", Static)
        try:
            said = check_text(self._field.lower(), field.value)
        except SmartsubError as error:
            problem.update(Text.assemble(display.cell(error.message, "danger")))
            self.set_focus(field)
            return None
        problem.update("")
        return said
