"""Views: the saved filters of orders, one's own over everyone's; to be opened or removed."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Resize
from textual.widgets import DataTable, Static

from smartsub_tui import display
from smartsub_tui.billing import views
from smartsub_tui.commands import COMMANDS, OF_SCREEN, bindings
from smartsub_tui.data.records import ViewRecord
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.view_table import ViewTable


class ViewsScreen(BaseScreen):
    """A list of what `:save` and `:share` kept."""

    TITLE = "Views"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Views"]
    BINDINGS: ClassVar[list[BindingType]] = bindings("remove_view")

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[ViewRecord] = []

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        yield Rule()
        yield Static("", id="empty")
        yield ViewTable()
        yield Rule()
        yield KeyLine()

    def on_mount(self) -> None:
        self.show_trail("Views")
        self.query_one("#empty").display = False
        self.set_focus(self.table)

    @property
    def table(self) -> ViewTable:
        return self.query_one(ViewTable)

    def load(self) -> None:
        async def load() -> None:
            self._seen = await self.backend.latest("views", views.views)
            self._paint()

        self.work("views", load)

    def _paint(self) -> None:
        self.table.show(self._seen)
        empty = self.query_one("#empty", Static)
        empty.display = not self._seen
        key = COMMANDS["save"].shown
        empty.update(display.content(f"No view is saved yet: {key} in Payments saves the filter that is there."))
        self.key_line.show((*(("open", "remove_view") if self._seen else ()), "back", "help"))

    @on(Resize)
    def _resized(self) -> None:
        self._paint()

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        view = self.table.current
        if view is not None:
            self.smartsub.open_payments(view.filter, view.sort)

    def action_remove_view(self) -> None:
        view = self.table.current
        if view is None:
            return

        async def ask() -> None:
            whose = ["It is everyone's."] if view.shared else []
            said = await self.answer(
                ConfirmScreen(f"Remove the view {view.name}?", [view.filter or "all orders", *whose], "Yes, remove"),
                keep=True,
            )
            if said is not None:
                self.carry_out(remove)

        async def remove() -> None:
            await self.backend.call(views.remove_view, view.name, shared=view.shared)
            self.smartsub.tell(f"removed view {view.name}")
            if self.is_on_top:
                self.load()

        self.question(ask)
