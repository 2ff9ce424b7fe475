"""The triage queue as a list: a heading for each rank, its orders or offices below; a cursor that stands on these only.

Lines are drawn when they are seen: a queue of two thousand costs no more than one of ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final

from msgspec import Struct
from rich.segment import Segment
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from smartsub_tui import display
from smartsub_tui.clock import local_date
from smartsub_tui.commands import bindings
from smartsub_tui.data.triage import Item, ItemKey, Part, Queue, QueuedOffice, QueuedOrder
from smartsub_tui.data.vocabulary import Rank

_INDENT: Final = 3
_NUMBER: Final = 20  # digits of an order number of our own
_WHEN: Final = 13  # cells of display.instant and display.expiry
_LEAST_OFFICE, _MOST_OFFICE = 12, 40
_LEAST_WORDS, _WORDS = 12, 20
# What the time of an item is, over its column.
_TIMES: Final = {
    Rank.UNKNOWN: "since",
    Rank.UNAPPLIED: "since",
    Rank.FAILED: "since",
    Rank.TIMING_OUT: "until",
    Rank.EXPIRING: "the first",
}
_HOUR: Final = timedelta(hours=1)


class Widths(Struct, frozen=True):
    """Cells of the columns behind the indent, gaps of one between them; `words` is 0 where there is no room."""

    number: int
    office: int
    amount: int
    words: int


def layout(queue: Queue, room: int, *, with_currency: bool) -> Widths:
    """The columns in `room` cells: the words give way first, then the office; amounts are never cut."""
    orders = [item for item in queue.items if isinstance(item, QueuedOrder)]
    amount = max([6, *(len(display.money(item.total, with_currency=with_currency)) for item in orders)])
    number = min(max([_NUMBER, *(display.cell_width(item.number) for item in orders)]), max(_NUMBER, room // 4))
    longest = max([_LEAST_OFFICE, *(display.cell_width(item.office) for item in queue.items)])
    left = room - _INDENT - number - amount - _WHEN - 3
    office = min(longest, _MOST_OFFICE, max(_LEAST_OFFICE, left - _WORDS - 1))
    words = left - office - 1
    return Widths(number, office, amount, words) if words >= _LEAST_WORDS else Widths(number, max(1, left), amount, 0)


def what(item: Item, now: datetime, timezone: str) -> str:
    """What is wrong, in a few words, the most telling first: their end may be cut."""
    if isinstance(item, QueuedOffice):
        return f"to be renewed, {item.family} family" if item.family else "to be renewed"
    match item.rank:
        case Rank.UNKNOWN:
            return "nobody to ask" if item.asked is None else f"no answer, {item.asked.label}"
        case Rank.UNAPPLIED:
            sums = ", ".join(display.money(each, with_currency=False) for each in item.waiting)
            return f"{sums} waits, {item.status.label}"
        case Rank.FAILED:
            payable = item.pay_by is not None and item.pay_by > now
            return f"pay by {display.instant(item.pay_by, now, timezone)}" if payable else "order it again"
        case _:
            return f"{_left(item.at - now)} left"


def _left(time: timedelta) -> str:
    """ "1 h 05 min", "42 min"; what is left is never said to be more than it is."""
    hours, rest = divmod(max(time, timedelta(0)), _HOUR)
    minutes = rest // timedelta(minutes=1)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


class QueueList(ScrollView, can_focus=True):
    """Shows a queue; its cursor is told by the key of an item, so that it survives every look at the database."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"queue--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("down", "up", "first", "last"),
        Binding("down", "down", show=False),
        Binding("up", "up", show=False),
        Binding("home", "first", show=False),
        Binding("end", "last", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("enter", "select", show=False),
    ]

    class Highlighted(Message):
        """The cursor came to another item."""

    class Selected(Message):
        """The item under the cursor is to be opened."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = Queue()
        self._lines: list[Part | Item] = []
        self._row = 0
        self._now: datetime | None = None
        self._timezone = "UTC"
        self._widths = Widths(0, 0, 0, 0)
        self._currency = ""  # of all amounts, where it is one

    @property
    def current(self) -> Item | None:
        """The item under the cursor."""
        line = self._lines[self._row] if self._row < len(self._lines) else None
        return None if isinstance(line, Part) else line

    def show(self, queue: Queue, on: ItemKey | None, now: datetime, timezone: str) -> None:
        """Show this queue, the cursor on the item of that key."""
        self.queue, self._now, self._timezone = queue, now, timezone
        currencies = {item.total.currency for item in queue.items if isinstance(item, QueuedOrder)}
        self._currency = currencies.pop() if len(currencies) == 1 else ""
        self._lines = []
        for part in queue.parts:
            if part.items:
                self._lines += [part, *part.items]
        rows = [place for place, line in enumerate(self._lines) if not isinstance(line, Part) and line.key == on]
        self.virtual_size = Size(0, len(self._lines))
        self._arrange()
        self._row = 0
        self._to(rows[0] if rows else 1)

    def _arrange(self) -> None:
        self._widths = layout(self.queue, self._room, with_currency=not self._currency)
        self.refresh()

    @property
    def _room(self) -> int:
        """Cells of a line, less a scroll bar that may come."""
        return (self.size.width or self.app.size.width) - 1

    def on_resize(self, _event: Resize) -> None:
        self._arrange()
        self._into_view()

    # The cursor

    def _to(self, row: int) -> None:
        """The cursor on that line; from a heading on in its direction, from the first one back to its item."""
        row = min(max(row, 0), len(self._lines) - 1)
        if row >= 0 and isinstance(self._lines[row], Part):
            row += -1 if 0 < row < self._row else 1
        self._row = max(row, 0)
        self._into_view()
        self.refresh()
        self.post_message(self.Highlighted())

    def _into_view(self) -> None:
        """With its heading, where it is the first below it."""
        height = self.scrollable_content_region.height
        above = self._row > 0 and isinstance(self._lines[self._row - 1], Part)
        first, top = self._row - above, int(self.scroll_offset.y)
        if not height:
            return
        if first < top:
            self.scroll_to(y=first, animate=False, immediate=True)
        elif self._row >= top + height:
            self.scroll_to(y=self._row - height + 1, animate=False, immediate=True)

    def action_down(self) -> None:
        self._to(self._row + 1)

    def action_up(self) -> None:
        self._to(self._row - 1)

    def action_first(self) -> None:
        self._to(0)

    def action_last(self) -> None:
        self._to(len(self._lines) - 1)

    def action_page_down(self) -> None:
        self._to(self._row + self._page)

    def action_page_up(self) -> None:
        self._to(self._row - self._page)

    @property
    def _page(self) -> int:
        return max(1, self.scrollable_content_region.height - 1)

    async def action_select(self) -> None:
        """Done before the next key is looked at: as a message, it could be overtaken."""
        if self.current is not None:
            await self.screen._dispatch_message(self.Selected())

    async def on_click(self, event: Click) -> None:
        """A click moves the cursor, a second one on the same line opens it."""
        row = int(event.y + self.scroll_offset.y)
        if row >= len(self._lines) or isinstance(self._lines[row], Part):
            return
        if row == self._row:
            await self.action_select()
        else:
            self._to(row)

    # Drawing

    def render_line(self, y: int) -> Strip:
        row, width, base = y + int(self.scroll_offset.y), self.size.width, self.rich_style
        if row >= len(self._lines) or self._now is None:
            return Strip.blank(width, base)
        line = self._lines[row]
        text = self._heading(line) if isinstance(line, Part) else self._item(line, self._now)
        if row == self._row:
            cursor = self.get_component_rich_style("queue--cursor")
            return Strip([Segment(text.plain, cursor)]).crop_extend(0, width, cursor)
        base += self.app.console.get_style(text.style)
        drawn = [Segment(part, base + style if style else base) for part, style, _ in text.render(self.app.console)]
        return Strip(drawn).crop_extend(0, width, base)

    def _heading(self, part: Part) -> Text:
        """The rank in the words of the panel, then what the columns below it are, where there is room."""
        look, widths = display.rank(part.rank), self._widths
        shown = f", the first {display.count(len(part.items))}" if len(part.items) < part.count else ""
        line = display.cell(f" {look.glyph} ", look.style)
        line.append_text(display.cell(f"{display.count(part.number)}  {look.word}{shown}", look.style))
        before = _INDENT + widths.number + 1 + widths.office + 1
        amount = "" if part.rank is Rank.EXPIRING else self._currency
        heads = f"{display.fit(amount, widths.amount, align='right')} {_TIMES[part.rank]}"
        behind = before + len(heads) - len(heads.lstrip()) - line.cell_len
        if behind > 0:
            line.append_text(display.cell(" " * behind + heads.lstrip(), "quiet"))
        return line

    def _item(self, item: Item, now: datetime) -> Text:
        widths = self._widths
        if isinstance(item, QueuedOffice):
            name, amount = display.people(item.people), ""
            when = display.expiry(item.first, local_date(now, item.timezone))
        else:
            name, amount = item.number, display.money(item.total, with_currency=not self._currency)
            when = display.instant(item.at, now, self._timezone)
        columns: Sequence[str] = (
            display.fit(name, widths.number),
            display.fit(item.office, widths.office),
            display.fit(amount, widths.amount, align="right"),
            display.fit(when, _WHEN),
            display.fit(what(item, now, self._timezone), widths.words),
        )
        return display.cell(" " * _INDENT + " ".join(columns))
