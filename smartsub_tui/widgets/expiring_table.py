"""The panel of those whose subscription runs out: how many and when, as bars, and what renewing them is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.text import Text

from smartsub_tui import display
from smartsub_tui.billing.expiring import OVERDUE, Cell, Span
from smartsub_tui.data.money import Money
from smartsub_tui.widgets.row_table import PanelTable

_LABEL: Final = 9
_LEAST_BAR, _BAR, _MOST_BAR = 4, 12, 24
# What the amounts are, over the bars before them; the first that fits.
_WHAT: Final = ("a month of renewal, net", "renewal, net", "net a month", "net")


def money_text(cell: Cell, currency: str) -> str:
    """The net price of a month; "-" where nobody has a price, "+" behind it where some have none; a dot for nobody."""
    if not cell.people:
        return display.count_or_dot(0)
    if cell.unpriced == cell.people:
        return display.NOTHING
    return display.money(Money(cell.net, currency), with_currency=False) + ("+" if cell.unpriced else "")


class ExpiringTable(PanelTable):
    """A line a span. The last one is everyone else, who would make all other bars short: it has none."""

    def show(
        self, spans: Sequence[Span], people: Sequence[int], money: Mapping[str, Sequence[Cell]], *, first: int = 0
    ) -> None:
        """Show `people` of each span, and beside them as many currencies as there is room for, from the `first` on."""
        here = self.cursor_row
        room = self.room
        count = max(len("people"), *(display.cell_width(display.count(each)) for each in people))
        names = list(money)
        amounts = [(name, [money_text(cell, name) for cell in money[name]]) for name in names[first:] + names[:first]]
        left = room - _LABEL - 1 - count - 2
        shown: list[tuple[str, list[str], int]] = []
        for name, texts in amounts:
            width = max(len(name), *(len(text) for text in texts)) + 2
            # The bars give way to the first currency, not to the others.
            if width + (_BAR if shown else _LEAST_BAR) > left:
                break
            left -= width
            shown.append((name, texts, width))
        bar = max(0, min(_MOST_BAR, left))
        most = max(people[:-1])
        self.clear(columns=True)
        self.add_column(Text("EXPIRING"), width=_LABEL + 1)
        self.add_column(Text("people".rjust(count)), width=count + 2)
        what = next((each for each in _WHAT if shown and len(each) <= bar), "")
        self.add_column(Text(what.rjust(bar)), width=bar)
        for name, _, width in shown:
            self.add_column(Text(name.rjust(width)), width=width)
        for place, span in enumerate(spans):
            style = "danger" if span is OVERDUE and people[place] else "" if people[place] else "quiet"
            drawn = display.bar(people[place], most, bar) if span is not spans[-1] else " " * bar
            self.add_row(
                display.cell(display.fit(span.label, _LABEL), style),
                display.cell(f"{display.count_or_dot(people[place]).rjust(count)}  ", style),
                display.cell(drawn, "danger" if span is OVERDUE else "bar"),
                *(
                    display.cell(texts[place].rjust(width), "" if people[place] else "quiet")
                    for _, texts, width in shown
                ),
            )
        self.move_cursor(row=here)


def summary(spans: Sequence[Span], people: Sequence[int], width: int) -> str:
    """The same in one line of at most `width` cells, whole words only: for a terminal without room for the panel."""
    line = "EXPIRING"
    for span, each in zip(spans, people, strict=True):
        part = f"  {span.label} {display.count_or_dot(each)}"
        if len(line) + len(part) > width:
            break
        line += part
    return line
