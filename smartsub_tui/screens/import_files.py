"""Import: name CSV files, see what they would bring or what is wrong with them, then take them."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.events import Resize
from textual.widgets import Input, Static

from smartsub_tui import display
from smartsub_tui.billing import access, imports, profiles
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.imports import ImportRefused, ImportReport
from smartsub_tui.billing.session import Session
from smartsub_tui.commands import OF_SCREEN, bindings
from smartsub_tui.data.csv_files import COLUMNS, CsvFile, FileKind, importable, read_file
from smartsub_tui.errors import SmartsubError, Unavailable, WrongUsage
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.widgets.field import Field
from smartsub_tui.widgets.frame import KeyLine, Masthead, Rule
from smartsub_tui.widgets.lines import Lines

# More files than these in the folder are no proposal.
_PROPOSED: Final = 6
_Paragraph = tuple[str, str, str]  # lead, text, style


class ImportScreen(BaseScreen):
    """A field of file names over what they hold."""

    TITLE = "Import"
    COMMANDS_HERE: ClassVar[tuple[str, ...]] = OF_SCREEN["Import"]
    BINDINGS: ClassVar[list[BindingType]] = bindings("take", "files")

    def __init__(self) -> None:
        super().__init__()
        self._files: tuple[CsvFile, ...] = ()  # read and looked at: what y takes
        self._said: list[_Paragraph] = []
        self._busy = False

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        with Horizontal(id="import-files"):
            yield Static(display.content(" Files "), id="import-label")
            yield Field(id="import-field", leave=self._left, placeholder="one or more CSV files")
        yield Rule()
        yield Lines(id="import-lines")
        yield Rule()
        yield Static("", id="import-sum")
        yield KeyLine()

    def on_mount(self) -> None:
        self.show_trail("Import")
        self.set_focus(self.field)
        self._tell(_HELP, _ENTER)

        async def propose() -> None:
            try:
                names = await self.backend.latest("import", _around)
                if names and len(names) <= _PROPOSED and not self.field.value:
                    self.field.value = shlex.join(names)
                    self.field.cursor_position = len(self.field.value)
            finally:
                self.listed(True)

        self.work("import", propose)

    def asked(self) -> object:
        """Enter before the proposal has come is meant for it."""
        return True

    @property
    def field(self) -> Field:
        return self.query_one("#import-field", Field)

    @property
    def lines(self) -> Lines:
        return self.query_one(Lines)

    # What is shown

    def _tell(self, said: Sequence[_Paragraph], summary: str, style: str = "") -> None:
        self._said = list(said)
        self.lines.scroll_home(animate=False)
        self.query_one("#import-sum", Static).update(display.content(f" {summary}", style))
        self._offer()
        self._paint()

    def _paint(self) -> None:
        width, said = max(1, self.app.size.width - 2), self._said

        async def paint() -> None:
            # Ten thousand bad rows take a moment to be wrapped.
            self.lines.show(await asyncio.to_thread(_wrapped, said, width))

        self.work("import-lines", paint)

    @on(Resize)
    def _resized(self) -> None:
        self._paint()

    def _offer(self) -> None:
        take = ("take",) if self._files and not self._busy else ()
        self.key_line.show((*take, "files", "back", "help"))

    # Looking

    @on(Input.Changed)
    def _changed(self) -> None:
        """Other files than those that were looked at."""
        self._files = ()
        if not self._busy:
            self.query_one("#import-sum", Static).update(display.content(f" {_ENTER}"))
        self._offer()

    def action_files(self) -> None:
        self.set_focus(self.field)

    def _left(self, key: str) -> None:
        if key == "escape":
            self.set_focus(self.lines)
        elif not self._busy:
            self.when_listed(self._look)

    def _look(self) -> None:
        try:
            paths = _paths(self.field.value)
        except WrongUsage as error:
            self._tell([(" x ", error.message, "danger")], "Nothing was looked at", "bold")
            return
        self._files = ()
        self._tell([], "reading and checking ...", "bold")

        async def look() -> None:
            try:
                files, report = await self.backend.latest("import", _read, paths)
            except SmartsubError as error:
                self._tell(_refusal(error), _refused(error), "danger")
                self.set_focus(self.lines if isinstance(error, ImportRefused) else self.field)
                return
            fresh = any(each.added or each.changed for each in report.files)
            self._files = tuple(files) if fresh else ()
            what = f"It would bring {_sum(report)}: y imports" if fresh else "All of this is here already"
            self._tell(_report(report), what, "bold")
            self.set_focus(self.lines)

        self.work("import", look)

    # Taking

    def action_take(self) -> None:
        if not self._files or self._busy:
            return
        files, self._busy = self._files, True
        self._files = ()
        self._tell(self._said, "importing ...", "bold")

        async def take() -> None:
            said: list[_Paragraph]
            try:
                report = await self.backend.call(imports.import_read, files)
            except SmartsubError as error:
                if self.smartsub.is_ending:
                    raise
                self.smartsub.tell(_refused(error), wrong=True)
                said, summary, style = _refusal(error), _refused(error), "danger"
            else:
                summary, style = f"imported {_sum(report)}", "bold"
                said = _report(report)
                self.smartsub.tell(summary)
            self._busy = False
            if self.smartsub.shows(self):
                self._tell(said, summary, style)

        # To its end, wherever one goes meanwhile.
        self.smartsub.write(take)

    def action_back(self) -> None:
        if self._busy:
            self.smartsub.tell("the import goes on: what became of it will be told")
        super().action_back()


_ENTER: Final = "Enter looks at the files; nothing is stored by that"
_HELP: Final[list[_Paragraph]] = [
    (" ", "One or more CSV files, parted by spaces; a name with a space stands in quotes.", ""),
    ("", "", ""),
    *((f" {kind.value:<8}", ", ".join(columns), "") for kind, columns in COLUMNS.items()),
    ("", "", ""),
    (" ", "All files are taken together, or none of them. The same files again change nothing.", "quiet"),
]


def _wrapped(said: Sequence[_Paragraph], width: int) -> list[Text]:
    return [line for lead, text, style in said for line in display.cells(text, width, style, lead=lead)]


def _paths(text: str) -> list[Path]:
    """What the field names, as a shell would read it; raises WrongUsage."""
    try:
        names = shlex.split(text)
    except ValueError as error:
        raise WrongUsage('a quote is not closed: write "one name.csv" another.csv') from error
    if not names:
        raise WrongUsage("name at least one file, as prices.csv")
    return [Path(os.path.expanduser(name)) for name in names]


def _refused(error: SmartsubError) -> str:
    if isinstance(error, ImportRefused):
        rows = "1 problem" if len(error.problems) == 1 else f"{display.count(len(error.problems))} problems"
        return f"Nothing was imported: {rows}"
    return "Nothing was imported"


def _refusal(error: SmartsubError) -> list[_Paragraph]:
    if isinstance(error, ImportRefused):
        return [(" x ", str(problem), "") for problem in error.problems]
    return [(" x ", error.message, "danger")]


def _sum(report: ImportReport) -> str:
    """ "72 prices, 2,000 users, 5,000 orders": what is new or changed."""
    parts = []
    for kind in COLUMNS:
        of_kind = [each for each in report.files if each.kind is kind]
        added, changed = sum(each.added for each in of_kind), sum(each.changed for each in of_kind)
        if added:
            parts.append(_number(added, kind))
        if changed:
            parts.append(f"{_number(changed, kind)} changed")
    return ", ".join(parts) or "nothing"


def _number(number: int, kind: FileKind) -> str:
    return f"{display.count(number)} {kind.label.removesuffix('s') if number == 1 else kind.label}"


def _report(report: ImportReport) -> list[_Paragraph]:
    said: list[_Paragraph] = []
    for each in report.files:
        counts = [
            f"{display.count(number)} {what}"
            for what, number in (
                ("new", each.added),
                ("changed", each.changed),
                ("unchanged", each.unchanged),
                ("skipped", each.skipped),
            )
            if number
        ]
        said.append((" ", f"{each.file}: {', '.join(counts) or 'no rows'}", "bold"))
        said.extend(("   ", str(note), "quiet") for note in each.notes)
        if each.more_notes:
            said.append(("   ", f"... and {display.count(each.more_notes)} more", "quiet"))
    return said


def _around(session: Session) -> list[str]:
    return importable(Path.cwd())


def _read(session: Session, paths: Sequence[Path]) -> tuple[list[CsvFile], ImportReport]:
    profiles.check_files(session.profile)
    access.check(session.admin, Permission.IMPORT)  # before the reading, which may take a while
    for path in paths:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe or a device may never end
            raise Unavailable(f"{path} is no ordinary file: name another")
    files = [read_file(path) for path in paths]
    return files, imports.import_read(session, files, dry_run=True)
