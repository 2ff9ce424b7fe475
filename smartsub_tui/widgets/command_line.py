"""The `:` line over the last lines of a screen, and above it the list of what it could become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final, NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import Click, Key, Resize
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input, Static

from smartsub_tui import display
from smartsub_tui.widgets.field import Field

_MOST_ROWS: Final = 12
_LEFT_FREE: Final = 7  # lines of the screen that the list never covers
_KEY_CELLS: Final = 7
_NAME_CELLS: Final = 24
_KEYS: Final = "Enter runs   Tab lists   Up before   Esc back"
_KEYS_LISTING: Final = "Enter runs   Up Down choose   Tab takes   Esc back"


class Offer(NamedTuple):
    """What the line can become: `line` is all of it, the rest stands in the list."""

    line: str
    name: str
    key: str = ""
    help: str = ""
    needs: bool = False  # something behind it, before it can be run


class CommandLine(Vertical):
    """One line that is typed in. What it means is known to whoever opens it, by the functions given.

    `offers` says what a line can become, the likeliest first; `reads` whether it can be run as it stands; `hint` what
    stands under it. `leave` is called with the line that is to be run, or with None.
    """

    def __init__(
        self,
        text: str,
        *,
        listing: bool,
        history: Sequence[str],
        offers: Callable[[str], Sequence[Offer]],
        reads: Callable[[str], bool],
        hint: Callable[[str], str],
        leave: Callable[[str | None], None],
    ) -> None:
        super().__init__()
        self._text, self._listing = text, listing
        self._history, self._back = history, 0  # steps back in what was run before
        self._offers, self._reads, self._hint, self._leave = offers, reads, hint, leave
        self._at = text  # the line that the next two are about
        self._chosen: int | None = None  # by the arrows; None: none was
        self._refused: tuple[str, int, int] | None = None
        self.waits = False

    def compose(self) -> ComposeResult:
        yield OfferList(self._clicked)
        with Horizontal():
            yield Static(":", id="command-colon")
            yield _Entry(self._text, self)
        yield Static("", id="command-hint")

    def on_mount(self) -> None:
        if self.is_made:  # taken away while it was made, it has no parts
            self.show()

    @property
    def is_made(self) -> bool:
        """Whether it is on a screen, with all of its parts."""
        return bool(self.is_attached and not self._pruning and self.query(_Entry))

    @property
    def field(self) -> Field:
        return self.query_one(_Entry)

    @property
    def line(self) -> str:
        return self.field.value

    @property
    def offered(self) -> Sequence[Offer]:
        return self._offers(self.line)

    def _pick(self, offered: Sequence[Offer]) -> int | None:
        """Which of these was chosen by the arrows; None: none was, for this line and as many as are offered now."""
        chosen = self._chosen if self.line == self._at else None
        return chosen if chosen is not None and chosen < len(offered) else None

    def show(self) -> None:
        """Paint the list and the hint for what is typed."""
        shown = self.query_one(OfferList)
        shown.display = self._listing
        if self._listing:
            offered = self.offered
            shown.show(offered, self._pick(offered) or 0)
        if self._refused is not None:
            self._say(_marked(self.line, *self._refused, self.size.width - 1), "danger")
        else:
            self._say(f"  {self._hint(self.line) or (_KEYS_LISTING if self._listing else _KEYS)}", "quiet")

    def refuse(self, message: str, start: int, end: int) -> None:
        """Say what is wrong, with a mark under its place, until something else is typed; the line stays."""
        self._at, self._refused = self.line, (message, start, end)
        self.resume()

    def wait(self) -> None:
        """Say that the line is being looked at, and type nothing into it meanwhile."""
        self.waits = True
        self._say("  looking ...", "quiet")

    def resume(self) -> None:
        """Let it be typed in again."""
        self.waits = False
        self.show()

    def suggested(self, line: str) -> str | None:
        """The first thing that the line is a beginning of."""
        return next(
            (each.line for each in self._offers(line) if len(each.line) > len(line) and _begins(each, line)), None
        )

    def _say(self, text: str, style: str) -> None:
        self.query_one("#command-hint", Static).update(display.content(text, style, lines=True))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.line != self._at:  # it can be told late, behind the Enter that it was typed before
            self._at, self._chosen, self._refused = self.line, None, None
        self.show()

    def on_resize(self, _event: Resize) -> None:
        self.show()

    def on_descendant_blur(self) -> None:
        self._leave(None)  # a click elsewhere

    # Keys that are no letters

    def steer(self, key: str) -> bool:
        """Do what the key does; whether it does anything here."""
        match key:
            case "tab":
                self._complete()
            case "shift+tab" | "up" if self._listing:
                self._choose(-1)
            case "down" if self._listing:
                self._choose(1)
            case "up":
                self._recall(1)
            case "down":
                self._recall(-1)
            case _:
                return False
        return True

    def _choose(self, step: int) -> None:
        offered = self.offered
        if offered:
            at = self._pick(offered) or 0
            self._at, self._chosen = self.line, (at + step) % len(offered)
            self.show()

    def _complete(self) -> None:
        """As far as it is certain; where it is not, the list says what there is."""
        offered = self.offered
        if self._listing:
            if offered:
                self._put(offered[self._pick(offered) or 0].line)
            return
        begun = [each.line for each in offered if _begins(each, self.line)] if self.line else []
        common = _common(begun)
        if len(common) > len(self.line):
            self._put(common)
        else:
            self._listing = True
            self.show()

    def _recall(self, step: int) -> None:
        self._back = min(len(self._history), max(0, self._back + step))
        self._put(self._history[-self._back] if self._back else "")

    def _put(self, line: str) -> None:
        self.field.value = line
        self.field.cursor_position = len(line)

    def entered(self, key: str) -> None:
        """Enter runs the line; or what is chosen in the list, where the line is none yet."""
        if key == "escape" or not (self.line.strip() or self._listing):
            self._leave(None)
            return
        offered = self.offered if self._listing else ()
        picked = self._pick(offered)
        if offered and (picked is not None or not self._reads(self.line)):
            self._take(offered[picked or 0])
        else:
            self._leave(self.line)

    def _take(self, offer: Offer) -> None:
        self._put(offer.line)
        if not offer.needs:
            self._leave(offer.line)

    def _clicked(self, offer: Offer) -> None:
        self.screen.set_focus(self.field)
        self._take(offer)


def _marked(line: str, message: str, start: int, end: int, width: int) -> str:
    """A message behind a mark under its place, or below it where it is too long to stand beside it."""
    mark = " " * (display.cell_width(line[:start]) + 2) + "^" * max(1, min(end - start, 12))
    beside = f"{mark} {display.plain(message)}"
    if display.cell_width(beside) <= width:
        return beside
    return "\n".join([mark, *(f"  {each}" for each in display.wrapped(message, width - 2))])


def _common(lines: Sequence[str]) -> str:
    """What all of them begin with."""
    first, last = min(lines, default=""), max(lines, default="")
    return first[: next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _begins(offer: Offer, line: str) -> bool:
    return offer.line.lower().startswith(line.lower())


class _Entry(Field):
    """The field of the line: what is no letter goes to the line first."""

    def __init__(self, text: str, line: CommandLine) -> None:
        super().__init__(text, id="command-text", leave=line.entered)
        self._line = line
        self.suggester = _Suggest(line)

    async def _on_key(self, event: Key) -> None:
        here = self.app.screen.focused is self
        if here and self._line.waits:
            event.stop()
            event.prevent_default()
            # As if it came now: it waits there, and is handed on to where the line leads.
            await self.app.on_event(Key(event.key, event.character))
        elif here and self._line.steer(event.key):
            event.stop()
            event.prevent_default()
        else:
            await super()._on_key(event)


class _Suggest(Suggester):
    """What the line goes on to, in grey behind the cursor; Right and Tab take it."""

    def __init__(self, line: CommandLine) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._line = line

    async def get_suggestion(self, value: str) -> str | None:
        found = self._line.suggested(value)
        return None if found is None else value + found[len(value) :]


class OfferList(Widget):
    """A line each, as many as there is room for around the chosen one; a click takes one."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"offer-list--chosen"}

    def __init__(self, take: Callable[[Offer], None]) -> None:
        super().__init__()
        self._take = take
        self._offers: Sequence[Offer] = ()
        self._chosen = self._first = 0

    def show(self, offers: Sequence[Offer], chosen: int) -> None:
        """Show these, one of them chosen."""
        rows = max(1, min(len(offers), _MOST_ROWS, self.app.size.height - _LEFT_FREE))
        self._offers, self._chosen = offers, chosen
        self._first = min(max(self._first, chosen - rows + 1), chosen, max(0, len(offers) - rows))
        self.styles.height = rows
        self.refresh()

    def render(self) -> Text:
        width = self.size.width
        chosen = self.get_component_rich_style("offer-list--chosen")
        keys = _KEY_CELLS if any(each.key for each in self._offers) else 0
        lines = []
        for place in range(self._first, min(len(self._offers), self._first + self.size.height)):
            offer = self._offers[place]
            line = Text("  ", no_wrap=True, end="")
            if offer.help:
                line.append_text(display.cell(display.fit(offer.name, _NAME_CELLS), "bold"))
                line.append_text(display.cell(display.fit(f" {offer.key}", keys)))
                line.append_text(display.cell(display.fit(f" {offer.help}", width - line.cell_len)))
            else:
                line.append_text(display.cell(display.fit(offer.name, width - line.cell_len)))
            if place == self._chosen:
                line.stylize(chosen)
            lines.append(line)
        return Text("\n", end="").join(lines or [display.cell("  nothing begins so", "quiet")])

    def on_click(self, event: Click) -> None:
        event.stop()
        place = self._first + event.y
        if place < len(self._offers):
            self._take(self._offers[place])
