"""Export: asks for the file, shows how far it is, and ends with where the file is and how many rows it has."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from smartsub_tui import display
from smartsub_tui.backend import Superseded
from smartsub_tui.billing.changes import check_text, time_out_due
from smartsub_tui.billing.exports import FileExport, format_of
from smartsub_tui.billing.session import Session
from smartsub_tui.clock import local_date
from smartsub_tui.data import queries
from smartsub_tui.data.exports import ExportKind, Wanted
from smartsub_tui.data.files import FileExists
from smartsub_tui.data.filters import Moment, parse_orders, parse_users
from smartsub_tui.errors import SmartsubError
from smartsub_tui.screens.sized import Sized
from smartsub_tui.widgets.field import Field

if TYPE_CHECKING:
    from smartsub_tui.screens.host import Host


class _Step(Enum):
    """Where the screen is; the value says what its keys do."""

    ASKING = "Enter export   Esc back   .jsonl: JSON Lines, else CSV"
    EXISTS = "y replace it   Esc another name"
    WORKING = "Esc stop"
    DONE = "Enter back"


class ExportScreen(ModalScreen[None], Sized[None]):
    """Exports what a list shows. The work is done slice by slice, so that whatever else is asked gets its turn."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", show=False),
        Binding("enter", "close", show=False),
        Binding("y", "replace", show=False),
    ]

    def __init__(self, wanted: Wanted) -> None:
        super().__init__()
        self._wanted = wanted
        self._step = _Step.ASKING
        self._stopping, self._left_for_good = False, False

    def compose(self) -> ComposeResult:
        with Vertical(id="export"):
            yield Static("", id="export-title")
            yield Static("", id="export-filter")
            with Horizontal(id="export-field"):
                yield Static(display.content("File "), id="export-label")
                yield Field(self._first_name(), id="export-file", leave=self._left)
            yield Static("", id="export-state")
            yield Static("", id="export-keys")

    def on_mount(self) -> None:
        chosen, numbers = self._wanted.filter, self._wanted.numbers
        described = chosen.describe() if chosen is not None else ""
        if numbers:
            described = f"{display.count(len(numbers))} marked, whatever the filter lets through"
        self.query_one("#export-filter", Static).update(
            display.content(described or f"all {self._wanted.kind.label} that lists show")
        )
        self._title(None)
        self._to(_Step.ASKING)
        self.run_worker(self._count(), group="export-count")

    @property
    def smartsub(self) -> Host:
        return cast("Host", self.app)

    @property
    def field(self) -> Field:
        return self.query_one(Field)

    def _moment(self) -> Moment:
        return Moment(self.smartsub.backend.clock.now(), self.smartsub.settings.ui.timezone)

    def _first_name(self) -> str:
        moment = self._moment()
        return f"{self._wanted.kind}-{local_date(moment.now, moment.timezone)}.csv"

    # What is shown

    def _title(self, rows: int | None) -> None:
        count = "" if rows is None else f" {display.count(rows)}"
        self.query_one("#export-title", Static).update(
            display.content(f"Export{count} {self._wanted.kind.label}", "bold")
        )

    def _to(self, step: _Step, text: str = "", style: str = "") -> None:
        """On to a step, with what there is to say; the field has the focus only while it asks."""
        self._step = step
        self.query_one("#export-state", Static).update(display.content(text, style))
        self.query_one("#export-keys", Static).update(display.content(step.value, "quiet"))
        self.set_focus(self.field if step is _Step.ASKING else None)

    async def _count(self) -> None:
        with self.may_be_left():
            try:
                self._title(await self.smartsub.backend.latest("export-count", _count, self._wanted, self._moment()))
            except Superseded:
                pass
            except SmartsubError as error:
                self._to(_Step.ASKING, error.message, "danger")

    # Keys

    def _left(self, key: str) -> None:
        if key != "escape":
            self._start()
        elif self._step is _Step.ASKING:
            self._close()
        else:  # typed behind Enter, before the field had gone
            self.action_back()

    def action_back(self) -> None:
        """Esc, where no field is typed in."""
        if self._step is _Step.WORKING:
            self._stopping = True  # seen after the slice that is being written
        elif self._step is _Step.ASKING:  # the field has lost the focus: by a click, say
            self._close()
        else:
            self.action_close()

    def action_close(self) -> None:
        """Enter, where no field is typed in: one too many stops nothing and replaces nothing."""
        if self._step in (_Step.ASKING, _Step.EXISTS):
            self._to(_Step.ASKING)
        elif self._step is _Step.DONE:
            self._close()

    def action_replace(self) -> None:
        if self._step is _Step.EXISTS:
            self._start(replace=True)

    # The work

    def _start(self, *, replace: bool = False) -> None:
        if self._step is _Step.WORKING:  # Enter was typed twice before the field had gone
            return
        try:
            path = Path(os.path.expanduser(check_text("file name", self.field.value)))
        except SmartsubError as error:
            self._to(_Step.ASKING, error.message, "danger")
            return
        self._to(_Step.WORKING, "looking for the rows ...")
        export = FileExport(self._wanted, format_of(path), path, replace=replace)
        self.smartsub.write(lambda: self._write(export))

    async def _write(self, export: FileExport) -> None:
        backend, finished = self.smartsub.backend, False
        try:
            await backend.latest("export", _begin, export)
            while not finished and not (self._stopping or self.smartsub.is_ending):
                finished = await backend.call(export.go_on)
                self._to(_Step.WORKING, f"{display.count(export.done)} of {display.count(export.count)} rows")
        except Superseded:
            if self.smartsub.is_ending:
                self.smartsub.tell("stopped: no file was written", wrong=True)
        except FileExists:
            self._to(_Step.EXISTS, f"{export.path.name} exists.", "danger")
        except SmartsubError as error:
            if self.smartsub.is_ending:
                raise
            self._to(_Step.ASKING, error.message, "danger")
        else:
            self._end(export, finished=finished)
        finally:
            backend.finish(export.stop)

    def _end(self, export: FileExport, *, finished: bool) -> None:
        if finished:
            self._title(export.count)
            self._to(_Step.DONE, f"wrote {export.count:,} {self._wanted.kind.label} to {export.path.absolute()}")
        else:
            self.smartsub.tell("stopped: no file was written", wrong=self.smartsub.is_ending)
            self._to(_Step.DONE, "stopped: no file was written")  # which stays where another mode is shown just now
            self._close()

    def _close(self) -> None:
        """Once: a second key that was typed before this had gone would close the screen behind it."""
        if self.is_on_top and not self._left_for_good:
            self._left_for_good = True
            self.dismiss()


def _count(session: Session, wanted: Wanted, moment: Moment) -> int:
    if wanted.numbers:
        return sum(1 for _ in queries.order_ids(wanted.numbers))
    if wanted.kind is ExportKind.USERS:
        return queries.count_users(wanted.filter or parse_users(""), moment)
    return queries.count_orders(wanted.filter or parse_orders(""), moment)


def _begin(session: Session, export: FileExport) -> None:
    time_out_due(session)  # as the lists do
    export.begin(session)
