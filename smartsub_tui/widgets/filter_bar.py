"""The filter line: always there and always true. What is typed is parsed at once; an error is marked where it stands.

While one types, a line below it says what is wrong, or what can come next; Tab takes that. The line lies over what is
below, so that nothing moves, and only what differs is painted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import DescendantBlur, DescendantFocus, Key, Resize
from textual.geometry import Size
from textual.message import Message
from textual.widgets import Input, Static

from smartsub_tui import display
from smartsub_tui.backend import Backend, Superseded
from smartsub_tui.billing.session import Session
from smartsub_tui.data import queries
from smartsub_tui.data.filter_words import Completion, Names, complete, waits
from smartsub_tui.data.filters import Filter, FilterError, Moment, Subject, parse
from smartsub_tui.errors import SmartsubError
from smartsub_tui.widgets.field import Field
from smartsub_tui.widgets.frame import Line

_MOST_LINES: Final = 2  # no more than lies between the field and the table
_BETWEEN: Final = "  "


class FilterField(Field):
    """The field of the filter: shows what is wrong in it, and behind the cursor what Tab or Right would add."""

    def __init__(self, value: str, bar: FilterBar) -> None:
        self._bar = bar
        self._wrong: tuple[int, int] | None = None
        super().__init__(value, id="filter-text", leave=lambda key: None)

    def mark(self, error: FilterError | None) -> None:
        """Mark the characters that are wrong: underlined, in the colour of danger, bold where there is no colour."""
        wrong = None if error is None else (error.start, error.end)
        if wrong != self._wrong:
            self._wrong = wrong
            self.refresh()

    def suggest(self, rest: str) -> None:
        """Show `rest` behind the cursor, as what is not there yet."""
        # Textual's own suggester answers in a message of its own, so that each key would paint twice.
        self._suggestion = self.value + display.plain(rest) if rest else ""

    @property
    def suggests(self) -> bool:
        """Whether something is shown behind the cursor."""
        return bool(self._suggestion)

    @property
    def _value(self) -> Text:
        text = super()._value
        if self._wrong is not None:
            text.stylize(f"underline {display.rich_style('danger')}", *self._wrong)
        return text

    async def _on_key(self, event: Key) -> None:
        if self.app.screen.focused is self and await self._bar.took(event):
            event.stop()
            event.prevent_default()
        else:
            await super()._on_key(event)
        self._bar.read()


class _Below(Static):
    """Lies over other lines, so that its size lays nothing out but itself."""

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        return super()._size_updated(size, virtual_size, container_size, layout=False)


class FilterBar(Vertical):
    """A field for the filter language, with a note on its right, and below it what is wrong or can come next.

    Tab, or Right at the end, takes what is shown behind the cursor; Tab again takes the next of the line below,
    Shift+Tab the one before, and at a new word the first Tab lists the keys. A word that is only begun changes nothing
    and is not wrong; the filter before it stays in force, also while something is wrong.

    Enter behind a bare word asks whether it is, as written, the number of an order, and calls `found` with the answer:
    a hand scanner types the digits and Enter in one go, and its order opens. What is typed behind that Enter waits for
    the answer, and goes where it leads. Where the order was found, the field keeps the focus and all of its text is
    selected: whoever comes back scans again, and the next number replaces the last. So does one that a scanner sends
    behind a `/`: at a new word, over selected text, or behind a number alone that was looked for, `/` selects all.
    """

    class Changed(Message):
        """The text is a filter, and another than before."""

        def __init__(self, chosen: Filter) -> None:
            super().__init__()
            self.filter = chosen

    def __init__(
        self,
        subject: Subject,
        text: str,
        leave: Callable[[str], None],
        *,
        backend: Backend,
        moment: Callable[[], Moment],
        found: Callable[[str, bool], None] | None = None,
    ) -> None:
        """`leave` is called with "enter" or "escape", `found` with a bare word and whether it is an order's number."""
        super().__init__()
        self._subject, self._text, self._go = subject, text, leave
        self._backend, self._moment, self._found = backend, moment, found
        self.filter = parse(subject, text)
        self._valid = text  # what `filter` was last read from
        self._names: Names = {}
        self._seen: tuple[str, int] | None = None  # text and cursor as they were read last
        self._offer: Completion | None = None
        self._listing = False  # the keys, at a new word: only when they are asked for
        self._taken: tuple[str, int] | None = None  # from which text the offer is taken, and which one was
        self._asked = ""  # the number alone that was looked for last: behind it comes the next one
        self._problem: FilterError | None = None
        self._below = Content()

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static("/", id="filter-slash")
            yield FilterField(self._text, self)
            yield Line(id="filter-note")
        yield _Below("", id="filter-below")

    @property
    def input(self) -> FilterField:
        return self.query_one(FilterField)

    @property
    def editing(self) -> bool:
        """Whether the line is typed in."""
        return self.screen.focused is self.input

    def note(self, text: str) -> None:
        """What stands at the right end: how many of how many."""
        self.query_one("#filter-note", Line).show(display.content(text))

    def set(self, text: str) -> None:
        """Put a filter into the line, as if it had been typed; it counts at once."""
        self.input.value = text
        self._apply(text)
        self._paint()

    def edit(self, *, afresh: bool = False) -> None:
        """Let another word be typed, behind those that are there; or `afresh`, in the place of them all."""
        text = self.input.value
        afresh = afresh or (text != "" and text == self._asked)
        self.input.value = f"{text} " if text and not text.endswith(" ") and not afresh else text
        self.input.cursor_position = len(self.input.value)
        self.screen.set_focus(self.input)
        self._seen = None  # it was read as a line that nobody types in
        if afresh:
            self.input.select_all()
        self.read()

    # What is typed

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.read()

    def read(self) -> None:
        """Take in the line as it is now; nothing is done where that was done already."""
        text, cursor = self.input.value, self.input.cursor_position
        if (text, cursor) == self._seen:
            return
        self._seen = text, cursor
        self._listing, self._taken = False, None
        rest = None
        self._offer = None
        if self.editing:
            rest = waits(text, cursor, self._subject, names=self._names)
            self._offer = complete(text, cursor, self._subject, names=self._names, today=self._moment().today)
        if rest is None:
            self._apply(text)
        else:
            self._problem = self._refused(rest)
        self._paint()

    def _refused(self, text: str) -> FilterError | None:
        try:
            parse(self._subject, text)
        except FilterError as error:
            return error
        return None

    def _apply(self, text: str) -> bool:
        """Take the text as the filter; whether it is one."""
        self._problem = self._refused(text)
        if self._problem is None:
            self._valid = text
            chosen = parse(self._subject, text)
            if chosen != self.filter:
                self.filter = chosen
                self.post_message(self.Changed(chosen))
        return self._problem is None

    async def took(self, event: Key) -> bool:
        """Do what a key means to this line more than to any field; whether it means something."""
        if event.key in ("tab", "shift+tab"):
            self._complete(1 if event.key == "tab" else -1)
        elif event.key == "right" and self.input.suggests:
            self._complete(1)
            self._seen = None  # what comes behind what was taken, not what else could have been
        elif event.key == "slash" and (self._at_new_word() or not self.input.selection.is_empty):
            self.input.select_all()
        elif event.key in ("enter", "ctrl+j"):  # what a scanner sends before the terminal is ours comes as a line feed
            await self._enter()
        elif event.key == "escape":
            if not self._apply(self.input.value):  # then that which the list below is of
                self.input.value = self._valid
                self._apply(self._valid)
            self._leave("escape")
        else:
            return False
        return True

    def _at_new_word(self) -> bool:
        return self._offer is not None and self._offer.key is None and self._offer.begins

    async def _enter(self) -> None:
        """Enter stays where the line is no filter: the list below would be of another one."""
        if not self._apply(self.input.value):
            self._paint()
            return
        number = self.filter.number
        if number is not None and self._found is not None:
            known = await self._is_order(number)
            if len(self.filter.terms) == 1:
                self._asked = self.input.value
            if known or len(self.filter.terms) == 1:
                self._found(number, known)
            if known:
                self.input.select_all()
                return
        self._leave("enter")

    async def _is_order(self, number: str) -> bool:
        try:
            return await self._backend.latest("number", _has_order, number)
        except (Superseded, SmartsubError):  # what is wrong with the database, the list says
            return False

    def _leave(self, key: str) -> None:
        self._offer, self._seen = None, None
        self._paint()
        self._go(key)

    # What can come next

    @on(DescendantFocus)
    def _entered(self) -> None:
        self._seen = None
        self.read()

        async def ask() -> None:
            try:
                self._names = await self._backend.latest("names", _names)
            except (Superseded, SmartsubError):  # then without them
                return
            if self.editing and self._taken is None:
                self._seen = None
                self.read()

        # As a function: a coroutine that is replaced before it begins would never be awaited.
        self.run_worker(cast(Any, ask), group="names", exclusive=True)

    @on(DescendantBlur)
    def _left(self) -> None:
        self.workers.cancel_group(self, "names")
        self._offer, self._seen = None, None
        self._paint()

    def _complete(self, step: int) -> None:
        """Take what can come next, or after it the next one; at the end of a whole word begin another."""
        offer, field = self._offer, self.input
        if self._taken is not None and offer is not None:
            text, place = self._taken
            place = (place + step) % len(offer.offers)
        elif offer is not None and offer.offers:
            if self._at_new_word() and not self._listing:
                self._listing = True
                self._paint()
                return
            text, place = field.value, 0 if step > 0 else len(offer.offers) - 1
        else:
            if field.value and field.cursor_at_end and self._problem is None and offer is None:
                self._type(f"{field.value} ", len(field.value) + 1)
                self._listing = True
                self._paint()
            return
        self._type(*offer.take(text, place))
        if len(offer.offers) > 1:
            self._offer, self._taken, self._listing = offer, (text, place), True
            self._paint()

    def _type(self, text: str, cursor: int) -> None:
        self.input.value = text
        self.input.cursor_position = cursor
        self.read()

    # What is shown

    @on(Resize)
    def _resized(self) -> None:
        self._paint()

    def _paint(self) -> None:
        field, offer = self.input, self._offer if self.editing else None
        field.mark(self._problem)
        behind = offer is not None and not offer.begins and self._taken is None and field.cursor_at_end
        field.suggest(offer.offers[0].rest if offer is not None and offer.offers and behind else "")
        if self._problem is not None:
            self._show_below(self._sentence(self._problem.message))
        elif offer is not None and (not self._at_new_word() or self._listing):
            self._show_below(self._next(offer))
        else:
            self._show_below(Content())

    def _show_below(self, content: Content) -> None:
        """Nothing is painted where it says the same, nothing laid out anew where it takes as many lines."""
        if content.is_same(self._below):
            return
        before, self._below = self._below.plain, content
        below = self.query_one(_Below)
        if content.plain:
            below.update(content, layout=bool(before) and before.count("\n") != content.plain.count("\n"))
        below.display = bool(content.plain)

    def _sentence(self, message: str) -> Content:
        """What is wrong; what is right stands first, and the list behind it may be cut."""
        room = self.size.width - 2
        lines = display.wrapped(message, room)
        if len(lines) > _MOST_LINES:
            rest = " ".join(lines[_MOST_LINES - 1 :])
            lines = [*lines[: _MOST_LINES - 1], display.fit(rest, room)]
        return display.content("\n".join(f" {line}" for line in lines), "danger", lines=True)

    def _next(self, offer: Completion) -> Content:
        """One line: what Tab takes, from the one that is taken on where it would not be seen; or what is wanted."""
        if not offer.offers:
            return display.content(f" {display.fit(offer.hint, self.size.width - 2)}", "quiet")
        words = [display.plain(each.word) for each in offer.offers]
        taken = None if self._taken is None else self._taken[1]
        parts, room = [display.content(" "), display.content("Tab", "bold")], self.size.width - 6
        seen = sum(display.cell_width(word) + len(_BETWEEN) for word in words[: (taken or 0) + 1])
        first = 0 if taken is None or seen <= room else taken
        for place, word in enumerate(words[first:], first):
            wide = display.cell_width(word) + len(_BETWEEN)
            if wide > room:
                if place == first:
                    parts.append(display.content(_BETWEEN + display.fit(word, room - len(_BETWEEN))))
                break
            room -= wide
            parts += [display.content(_BETWEEN), display.content(word, "reverse" if place == taken else "")]
        return Content.assemble(*parts)


def _names(session: Session) -> Names:
    return queries.filter_names()


def _has_order(session: Session, number: str) -> bool:
    return queries.has_order(number)
