"""One action on many orders: the preview as a question, then how far it is, then what became of each."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from math import inf
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from msgspec import Struct
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widgets import Static

from smartsub_tui import display
from smartsub_tui.backend import Superseded
from smartsub_tui.billing import bulk
from smartsub_tui.billing.bulk import Item, LeftOut, Move, Outcome, Preview, Run, SaveInvoices
from smartsub_tui.billing.changes import check_text
from smartsub_tui.commands import COMMANDS, OF_TRIGGER, bindings
from smartsub_tui.data.vocabulary import OrderStatus, Trigger
from smartsub_tui.errors import SmartsubError
from smartsub_tui.screens.question import Question
from smartsub_tui.widgets.field import Field
from smartsub_tui.widgets.frame import Masthead, Rule
from smartsub_tui.widgets.lines import Lines

if TYPE_CHECKING:
    from smartsub_tui.screens.host import Host

_LOOKED_AT: Final = 500  # orders between which whatever else is asked gets its turn
_SHOWN: Final = 5
_NUMBER: Final = 22  # cells of an order's number
_Paragraph = tuple[str, str, str]  # lead, text, style
_PAINT_SECONDS: Final = 0.1  # between two looks at how far it is: a slow line is not for that


class Wording(Struct, frozen=True, kw_only=True):
    """An action on many orders, in words. `trigger` None: their invoices are saved."""

    trigger: Trigger | None
    verb: str
    done: str  # "3 orders ..."
    happens: str  # {undo} is the key that undoes
    field: str | None = None
    hint: str = ""

    @property
    def key(self) -> str:
        """What asks for it."""
        return (OF_TRIGGER[self.trigger] if self.trigger is not None else COMMANDS["invoice"]).shown

    def noun(self, number: int) -> str:
        """ "order", "invoices" """
        noun = "order" if self.trigger is not None else "invoice"
        return noun if number == 1 else f"{noun}s"

    def counted(self, number: int) -> str:
        """ "1 order", "1,204 invoices" """
        return f"{display.count(number)} {self.noun(number)}"


WORDINGS: Final = {
    words.trigger: words
    for words in (
        Wording(
            trigger=Trigger.PAY,
            verb="Pay",
            done="paid",
            happens="Each is paid today in full, with this one reference, and its invoice is issued.",
            field="Reference",
            hint="receipt 17",
        ),
        Wording(
            trigger=Trigger.CANCEL,
            verb="Cancel",
            done="cancelled",
            happens="They can no longer be paid; their people are free again.",
            field="Reason",
        ),
        Wording(
            trigger=Trigger.DELETE,
            verb="Delete",
            done="deleted",
            happens="They are hidden, not destroyed: {undo} undoes, is:deleted shows them.",
            field="Reason",
        ),
        Wording(
            trigger=Trigger.RESTORE,
            verb="Restore",
            done="restored",
            happens="They come back into the lists: {undo} undoes.",
        ),
        Wording(
            trigger=Trigger.AGAIN,
            verb="Order again",
            done="ordered again",
            happens="Of each a new order for the same people, at today's price.",
        ),
        Wording(
            trigger=None,
            verb="Save",
            done="saved",
            happens="A PDF of each, in a folder; or all in one file, if its name ends in .zip.",
            field="To",
            hint="a folder, or a file that ends in .zip",
        ),
    )
}


class Ended(Struct, frozen=True):
    """How a run ended: what became of the items that it reached, and which it did not reach."""

    run: Run
    outcomes: tuple[Outcome, ...]
    unreached: tuple[Item, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def done(self) -> tuple[Outcome, ...]:
        return tuple(each for each in self.outcomes if each.done)

    @property
    def refused(self) -> tuple[Outcome, ...]:
        return tuple(each for each in self.outcomes if not each.done)

    @property
    def not_done(self) -> tuple[str, ...]:
        """The numbers of all that was asked for and not done."""
        return (
            *(each.item.number for each in self.refused),
            *(each.number for each in self.unreached),
            *(each.number for each in self.left_out),
        )


class _Step(Enum):
    """Where the screen is; the value says what its keys do."""

    LOOKING = "Esc back"
    NOTHING = "Esc back   j k scroll"
    ASKING = "Enter next   PgUp PgDn scroll   Esc back"
    WORKING = "Esc stop"
    DONE = "Enter back   j k scroll"


class BulkScreen(Question[str]):
    """Asks, with No before Yes and the number of orders typed; then does one order after the other until Esc.

    `ended` is told how it ended, once, where it was begun. With `begin`, the run and the items of an undo, nothing is
    asked. `earlier` is a run that was not finished: where the same is said again, it is taken up.
    `undo` takes back the last thing done, where it was begun.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "close", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        *bindings("undo"),
    ]

    def __init__(
        self,
        words: Wording,
        numbers: Sequence[str],
        ended: Callable[[Ended], None],
        *,
        earlier: Run | None = None,
        undo: Callable[[], None] | None = None,
        begin: tuple[Run, tuple[Item, ...]] | None = None,
    ) -> None:
        super().__init__()
        self._words, self._numbers, self._ended, self._earlier, self._begin = words, numbers, ended, earlier, begin
        self._step = _Step.LOOKING
        self._seen = Preview((), ())
        self._outcomes: list[Outcome] = []
        self._stopping = False
        self._undo = undo
        self._undoes = False  # what was done can be taken back
        self._seen_at = inf  # by time.monotonic: when the question was drawn, with all that it is about
        self._painted = 0.0
        self._said: list[_Paragraph] = []

    def compose(self) -> ComposeResult:
        yield Masthead(self.smartsub.who)
        yield Rule()
        yield Static("", id="bulk-head")
        yield Lines(id="bulk-lines")
        yield Rule()
        with Vertical(id="bulk-question"):
            if self._words.field is not None:
                yield from self._field(self._words.field, "said", self._first_text(), self._words.hint)
            yield from self._field("How many", "count", "", "")
            yield Static("", id="bulk-problem")
            with Horizontal(id="confirm-answers"):
                yield self.no_button()
                yield Static("", id="confirm-yes")
        yield Static("", id="bulk-keys")

    def _field(self, label: str, name: str, value: str, hint: str) -> ComposeResult:
        with Horizontal(classes="bulk-field"):
            yield Static(display.content(f" {label} "), classes="bulk-label")
            yield Field(value, id=f"bulk-{name}", leave=self.leave_field, placeholder=hint)

    def _first_text(self) -> str:
        if self._words.trigger is not None:
            return ""
        return str(Path(os.path.expanduser(self.smartsub.settings.invoice.folder)).absolute())

    def on_mount(self) -> None:
        undo = "Undo" if self._begin is not None else self._words.verb
        self.query_one(Masthead).show("Payments", undo)
        self._to(_Step.LOOKING)
        if self._begin is not None:
            run, items = self._begin
            self._seen = Preview(items, ())
            self._work(run)
        else:
            self.set_focus(self.query(Field).first())
            self.run_worker(self._look_at_all(), group="bulk-look")

    @property
    def smartsub(self) -> Host:
        return cast("Host", self.app)

    # What is shown

    def _to(self, step: _Step) -> None:
        """On to a step; the fields are there only while it asks, or is about to."""
        self._step = step
        self.query_one("#bulk-keys", Static).update(display.content(f" {step.value}", "quiet"))
        self.query_one("#bulk-question").display = step in (_Step.LOOKING, _Step.ASKING)
        if step not in (_Step.LOOKING, _Step.ASKING):
            self.set_focus(self.query_one(Lines))

    def _tell(self, head: str, *more: str) -> None:
        lines = "\n".join(display.plain(text) for text in (head, *more))
        self.query_one("#bulk-head", Static).update(display.content(lines, "bold", lines=True))

    def _show(self, said: Iterator[_Paragraph]) -> None:
        self._said = list(said)
        self._paint()

    @on(Resize)
    def _paint(self) -> None:
        said, width = self._said, max(1, self.app.size.width - 2)

        async def paint() -> None:
            # Ten thousand that were refused take a moment to be wrapped.
            lines = await asyncio.to_thread(_wrapped, said, width)
            for each in self.query(Lines):
                each.show(lines)
            self._look_for_seen()

        # As a function: a coroutine that is replaced before it begins would never be awaited.
        self.run_worker(cast(Any, paint), group="bulk-lines", exclusive=True)

    def _problem(self, text: str) -> None:
        self.query_one("#bulk-problem", Static).update(display.content(f" {text}" if text else "", "danger"))

    # Looking

    async def _look_at_all(self) -> None:
        with self.may_be_left():
            await self._look()

    async def _look(self) -> None:
        backend, trigger = self.smartsub.backend, self._words.trigger
        items: list[Item] = []
        left_out: list[LeftOut] = []
        try:
            for start in range(0, len(self._numbers), _LOOKED_AT):
                self._tell(f"looking at {display.count(start)} of {display.count(len(self._numbers))} orders ...")
                numbers = self._numbers[start : start + _LOOKED_AT]
                if trigger is None:
                    part = await backend.latest("bulk", bulk.preview_invoices, numbers)
                else:
                    part = await backend.latest("bulk", bulk.preview, trigger, numbers)
                if self._answered or not self.is_running:  # it was left meanwhile
                    return
                items += part.items
                left_out += part.left_out
        except Superseded:
            return
        except SmartsubError as error:
            self.smartsub.tell(error.message, wrong=True)
            self.answer(None)
            return
        self._seen = Preview(tuple(items), tuple(left_out))
        self.smartsub.drop()  # so many orders are not moved by what was typed before the question was there
        self._ask()

    def _ask(self) -> None:
        words, items, left_out = self._words, self._seen.items, self._seen.left_out
        if not items:
            self._tell(f"{words.verb}: not possible for any of {words.counted(len(left_out))}")
            self._show(self._reasons())
            self._to(_Step.NOTHING)
            return
        of = f" of {display.count(len(items) + len(left_out))}" if left_out else ""
        number = f"{display.count(len(items))}{of} {words.noun(len(items))}"
        sums = "   ".join(display.money(each) for each in self._seen.sums)
        self._tell(f"{words.verb} {number}?", f"{sums}{' when they were ordered' * (words.trigger is Trigger.AGAIN)}")
        self._seen_at = inf
        self.query_one("#confirm-yes", Static).update("")
        self._to(_Step.ASKING)
        self._show(self._preview())

    def _look_for_seen(self) -> None:
        if self._step is _Step.ASKING and self._seen_at == inf:
            self.call_after_refresh(self._is_seen)

    def _is_seen(self) -> None:
        """All is drawn: from now on it can be said Yes to, which stands there only now."""
        if self._step is not _Step.ASKING or self._seen_at < inf:
            return
        self._seen_at = monotonic()
        number = display.count(len(self._seen.items))
        with self.may_be_left():
            self.query_one("#confirm-yes", Static).update(
                display.content(f"y  Yes, {self._words.verb.lower()} {number}")
            )
            self.query_one("#bulk-count", Field).placeholder = f"{len(self._seen.items)}, to be typed"

    def on_screen_resume(self) -> None:
        """It was beneath the lock, perhaps before it could be seen."""
        if self._step is _Step.ASKING:
            self._seen_at = inf
            self._look_for_seen()

    def _preview(self) -> Iterator[_Paragraph]:
        words, items = self._words, self._seen.items
        happens = words.happens.format(undo=COMMANDS["undo"].shown)
        open_ones = sum(1 for item in items if item.status is OrderStatus.PROCESSING)
        if words.trigger is Trigger.DELETE and open_ones:
            happens += f" {display.count(open_ones)} in Processing: cancelled first, and so when undone."
        if linked := sum(1 for item in items if item.linked):
            happens += f" {display.count(linked)} with an open payment link: it is ended first."
        yield " ", happens, ""
        for item in items[:_SHOWN]:
            look, total = str(display.status(item.status)), display.money(item.total)
            cells = (display.fit(item.number, _NUMBER), display.fit(look, 20), display.fit(total, 16, align="right"))
            yield f"   {' '.join(cells)}", "", ""
        if len(items) > _SHOWN:
            yield f"   and {display.count(len(items) - _SHOWN)} more", "", "quiet"
        if self._seen.left_out:
            yield "", "", ""
            yield from self._reasons()

    def _reasons(self) -> Iterator[_Paragraph]:
        yield " ", f"Left out: {display.count(len(self._seen.left_out))}", "bold"
        for reason, numbers in self._seen.reasons.items():
            yield f" {display.count(len(numbers)):>5}  ", reason, "warning"
            more = f" and {display.count(len(numbers) - _SHOWN)} more" if len(numbers) > _SHOWN else ""
            shown = "  ".join(display.fit(each, min(_NUMBER, display.cell_width(each))) for each in numbers[:_SHOWN])
            yield "        ", f"{shown}{more}", "quiet"

    # The answer

    def leave_field(self, key: str) -> None:
        """Enter leads from field to field, and from the last one to No."""
        count = self.query_one("#bulk-count", Field)
        if key == "enter" and self.focused is not count and self._step is _Step.ASKING:
            if self._text() is not None:
                self.set_focus(count)
        elif key == "escape" or self._step is _Step.ASKING:
            super().leave_field(key)

    def _text(self) -> str | None:
        """What the first field says, or None and a sentence under it."""
        for field in self.query("#bulk-said").results(Field):
            try:
                said = check_text((self._words.field or "").lower(), field.value)
            except SmartsubError as error:
                self._wrong(field, error.message)
                return None
            self._problem("")
            return said
        return ""

    def _wrong(self, field: Field, text: str) -> None:
        self._problem(text)
        self.set_focus(field)

    def said(self) -> str | None:
        """What the fields say; None, and why under them, where one of them is not right yet."""
        said, count, number = self._text(), self.query_one("#bulk-count", Field), len(self._seen.items)
        if said is None:
            return None
        if count.value.strip().replace(",", "") != str(number):
            self._wrong(count, f"type {number}, the number of {self._words.noun(2)}, to go on")
            return None
        self._problem("")
        return said

    def answer(self, said: str | None) -> None:
        if said is None:
            super().answer(None)
        elif self._step is _Step.ASKING:
            try:
                self._work(self._run(said))
            except SmartsubError as error:
                self._problem(error.message)

    def _run(self, said: str) -> Run:
        if self._words.trigger is None:
            return SaveInvoices(Path(os.path.expanduser(said)).absolute())
        run, earlier = Move.new(self._words.trigger, said), self._earlier
        same = isinstance(earlier, Move) and (earlier.trigger, earlier.said) == (run.trigger, run.said)
        return earlier if same and earlier is not None else run

    # Keys

    def action_yes(self) -> None:
        """Not one that was on its way before the question was there: so many orders are moved by who has read it."""
        if self._step is _Step.ASKING and self.smartsub.taken_at > self._seen_at:
            super().action_yes()

    def action_no(self) -> None:
        """Esc, where no field is typed in, and n: stop what is under way, or leave."""
        if self._step is _Step.WORKING:
            self._stopping = True  # seen after the order that is being done
        else:
            self.answer(None)

    def action_close(self) -> None:
        """Enter, where no field is typed in: one too many stops nothing."""
        if self._step in (_Step.DONE, _Step.NOTHING):
            self.answer(None)

    def action_undo(self) -> None:
        """Where the account says so: back to where it was begun, which takes it back; not by a key that is held."""
        held = self.smartsub.undoables.pressed(self.smartsub.backend.clock.now())
        undo = self._undo if self._step is _Step.DONE and self._undoes and not held else None
        if undo is not None and self.is_on_top:
            self.answer(None)
            undo()

    def action_page(self, pages: int) -> None:
        lines = self.query_one(Lines)
        lines.scroll_relative(y=pages * max(1, lines.size.height - 1), animate=False)

    # The work

    def _work(self, run: Run) -> None:
        self._to(_Step.WORKING)
        self._progress()
        self._show(iter(()))
        self.smartsub.write(lambda: self._do(run))

    async def _do(self, run: Run) -> None:
        backend, items, trouble = self.smartsub.backend, self._seen.items, ""
        try:
            try:
                await backend.call(run.begin)
            except SmartsubError as error:
                self._again(error.message)
                return
            for item in items:
                if self._stopping or self.smartsub.is_ending:
                    break
                self._outcomes.append(await backend.talk(run.talk, item))
                if not self.is_running:  # the application was left, and there is nothing to show it in
                    return
                self._progress()
            else:
                await backend.call(run.finish)
        except SmartsubError as error:
            trouble = error.message
        finally:
            backend.finish(run.stop)
        whole = not trouble and len(self._outcomes) == len(items)
        outcomes = () if run.whole and not whole else tuple(self._outcomes)
        self._end(Ended(run, outcomes, items[len(outcomes) :], self._seen.left_out), trouble)

    def _again(self, why: str) -> None:
        """It cannot begin so: what was typed is asked for again."""
        if self.smartsub.is_ending:
            self.smartsub.tell(why, wrong=True)
            return
        self._ask()
        self._wrong(self.query(Field).first(), why)

    def _progress(self) -> None:
        if 0 < len(self._outcomes) < len(self._seen.items) and monotonic() - self._painted < _PAINT_SECONDS:
            return
        self._painted = monotonic()
        refused = sum(1 for each in self._outcomes if not each.done)
        far = f"{display.count(len(self._outcomes))} of {self._words.counted(len(self._seen.items))}"
        self._tell(f"{self._words.done}: {far}, {display.count(refused)} {self._not_taken}")

    def _end(self, ended: Ended, trouble: str) -> None:
        told = self._sentence(ended, trouble)
        self._undoes = self._can_be_undone(ended) or (self._begin is not None and bool(ended.unreached))
        cut_short = self.smartsub.is_ending and ended.unreached
        self.smartsub.tell(told, wrong=bool(trouble or ended.refused or cut_short))
        self._ended(ended)
        if self._begin is not None and not ended.refused and not ended.unreached:
            self.answer(None)
            return
        self._tell(told)
        self._show(self._result(ended))
        self._to(_Step.DONE)

    def _sentence(self, ended: Ended, trouble: str) -> str:
        """ "stopped: 12 orders deleted, 1 refused, 287 not reached": all of it in a line."""
        parts = [f"{self._words.counted(len(ended.done))} {self._words.done}"]
        if isinstance(ended.run, SaveInvoices) and ended.done:
            parts[0] += f" in {ended.run.path}"
        if ended.refused:
            parts.append(f"{display.count(len(ended.refused))} {self._not_taken}")
        if ended.unreached:
            parts.append(f"{display.count(len(ended.unreached))} not reached")
        if ended.left_out:
            parts.append(f"{display.count(len(ended.left_out))} left out")
        began = "undone: " if self._begin is not None else ""
        ended_by = f"{trouble}; " if trouble else "stopped: " if ended.unreached else ""
        undoes = self._can_be_undone(ended)
        return f"{ended_by}{began}{', '.join(parts)}{': ' + COMMANDS['undo'].shown + ' undoes' if undoes else ''}"

    def _can_be_undone(self, ended: Ended) -> bool:
        return self._begin is None and self._words.trigger in bulk.UNDONE_BY and bool(ended.done)

    @property
    def _not_taken(self) -> str:
        """What an order is called that the action was refused for; an undo goes on to the next."""
        return "refused" if self._begin is None else "skipped"

    def _result(self, ended: Ended) -> Iterator[_Paragraph]:
        for each in ended.refused:
            yield f" x {display.fit(each.item.number, _NUMBER)}  ", each.refused, "danger"
        if ended.unreached:
            key = COMMANDS["undo"].shown if self._begin is not None else self._words.key
            yield " ", f"{display.count(len(ended.unreached))} not reached: {key} takes them up again.", ""
        if ended.not_done and self._begin is None:
            yield " ", f"Not done, and still marked: {display.count(len(ended.not_done))}", ""
        if ended.left_out:
            yield "", "", ""
            yield from self._reasons()
        if self._words.trigger is Trigger.AGAIN:
            for each in ended.done:
                yield f"   {display.fit(each.item.number, _NUMBER)}  ", each.note, ""


def _wrapped(said: Sequence[_Paragraph], width: int) -> list[Text]:
    return [line for lead, text, style in said for line in display.cells(text, width, style, lead=lead)]
