"""What every question has in common: No has the focus, Yes is another key, and it is answered once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Button

from smartsub_tui import display
from smartsub_tui.screens.sized import Sized
from smartsub_tui.widgets.field import Field

T = TypeVar("T")


class Question(ModalScreen[T | None], Sized[T | None], Generic[T]):
    """Asks; the answer is None for No, and what `said` returns for Yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "no", show=False),
        Binding("y", "yes", show=False),
        Binding("n", "no", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._answered = False
        self.answering: Callable[[], None] | None = None  # is told that the answer is on its way

    @abstractmethod
    def said(self) -> T | None:
        """The answer for Yes; None where what was typed is not right yet, which the question then says."""

    def answer(self, said: T | None) -> None:
        """Once, and on top: a second key that was typed before it had gone, or one that comes late, when another screen
        is shown, would close that one, and leave this for ever.
        """
        if self._answered or not self.is_on_top:
            return
        self._answered = True
        if not self._is_awaited:
            self.app.pop_screen()
            return
        if self.answering is not None:
            self.answering()
        self.dismiss(said)

    @property
    def _is_awaited(self) -> bool:
        """Whether who asked still waits; not, where something else was asked on the same screen meanwhile."""
        return not any(each.future is not None and each.future.done() for each in self._result_callbacks)

    def no_button(self, label: str = "No") -> Button:
        """What Enter presses."""
        return Button(display.content(label), id="question-no", compact=True)

    def leave_field(self, key: str) -> None:
        """Enter never says Yes: No gets the focus. Esc is No; where something was typed, only the second one."""
        typed = any(field.value != field.initial for field in self.query(Field))
        if key == "escape" and not typed:
            self.answer(None)
        elif key == "escape" or self.said() is not None:
            self.set_focus(self.query_one("#question-no"))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.answer(None)

    def action_no(self) -> None:
        self.answer(None)

    def action_yes(self) -> None:
        said = self.said()
        if said is not None:
            self.answer(said)
