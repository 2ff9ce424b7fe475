"""To a time: a day, a month or so long ago, typed as the filter's `created:` takes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from smartsub_tui import display
from smartsub_tui.data.filters import Days, Durations, FilterError, Moment, instant_span, parse_orders
from smartsub_tui.screens.question import Question
from smartsub_tui.widgets.field import Field

_FIRST: Final = datetime(1, 1, 2, tzinfo=UTC)
_LAST: Final = datetime(9999, 12, 30, tzinfo=UTC)


class Span(NamedTuple):
    """From an instant up to, and without, another."""

    start: datetime
    end: datetime


class AtTimeScreen(Question[Span]):
    """Asks for a time; nothing is changed by the answer, so Enter gives it."""

    def __init__(self, moment: Moment) -> None:
        super().__init__()
        self._moment = moment

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm"):
            yield Static(display.content("To the orders of", "bold"), id="confirm-question")
            with Horizontal(id="confirm-field"):
                yield Field(id="confirm-input", leave=self.leave_field, placeholder="2026-11, 2026-11-03, 7d, 12h")
            yield Static("", id="confirm-problem")

    def on_mount(self) -> None:
        self.set_focus(self.query_one(Field))

    def leave_field(self, key: str) -> None:
        if key == "escape":
            self.answer(None)
        elif (said := self.said()) is not None:
            self.answer(said)

    def said(self) -> Span | None:
        span = self._read(self.query_one(Field).value.strip())
        if span is None:
            told = "write a day or a month, 2026-11-03 or 2026-11, or 7d for seven days ago"
            self.query_one("#confirm-problem", Static).update(display.content(told, "danger"))
        return span

    def _read(self, text: str) -> Span | None:
        for written in (text, f"<{text}"):
            try:
                terms = parse_orders(f"created:{written}").terms
            except FilterError:
                continue
            if len(terms) == 1 and len(terms[0].values) == 1 and isinstance(terms[0].values[0], (Days, Durations)):
                start, end = instant_span("created", terms[0].values[0], self._moment)
                # So long ago is one instant.
                return Span(start or _FIRST, (start if written != text else end) or _LAST)
        return None
