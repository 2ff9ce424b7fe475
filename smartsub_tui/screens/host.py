"""What a screen asks of the application around it. Imports go down only, so the screens say it, not the app.

Imported for types alone: a protocol is slow to make, and the first frame waits for its screen.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol

from textual.screen import Screen
from textual.worker import Worker

from smartsub_tui.backend import Backend
from smartsub_tui.config import Settings
from smartsub_tui.data.records import OfficeRecord
from smartsub_tui.data.triage import ItemKey
from smartsub_tui.screens.undo import UndoStack
from smartsub_tui.widgets.message_line import Told


class Host(Protocol):
    """The application, as its screens see it."""

    backend: Backend
    settings: Settings
    config_file: Path
    who: str
    told: Told | None  # and not read yet
    is_away: bool  # the database, and what is asked of it waits
    is_ending: bool  # what was begun is finished, and nothing else
    taken_at: float  # by time.monotonic: when what is being taken was typed or clicked, not when its turn came
    later: list[ItemKey]  # of the triage queue, put off in this session
    undoables: UndoStack

    @property
    def messages(self) -> Sequence[Told]: ...

    @property
    def said(self) -> list[str]: ...

    def tell(self, text: str, *, wrong: bool = False) -> None: ...

    def go_back(self, *, leave: bool = False) -> None: ...

    def go_up(self, steps: int) -> None: ...

    def shows(self, screen: Screen[Any]) -> bool: ...

    def when_drawn(self, act: Callable[[], None]) -> None: ...

    def write(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Worker[None]: ...

    def decides(self, more: int) -> None: ...

    def hold(self, stop: Callable[[], None] | None = None, *, takes_text: bool = False) -> object: ...

    def still_holds(self, held: object) -> bool: ...

    def let_go(self, *, at_once: bool = False) -> None: ...

    def let_go_here(self) -> None: ...

    def drop(self) -> None: ...

    def open_payments(self, filter_text: str, sort: str | None = None) -> None: ...

    def open_expiries(self) -> None: ...

    def open_filter(self) -> None: ...

    def open_activate(self, office: OfficeRecord) -> None: ...

    def open_renew(self, office: OfficeRecord, filter_text: str = "") -> bool: ...

    def open_expiring(self, filter_text: str) -> None: ...

    def open_order(self, number: str) -> None: ...

    def open_triage(self) -> None: ...
