"""The yardstick of start and memory: the least that a Textual application can be."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.events import Key
from textual.widgets import Static


class Hello(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("Hello, world!")

    def on_key(self, event: Key) -> None:
        self.query_one(Static).update(f"Hello, {event.key}!")


if __name__ == "__main__":
    Hello().run()
