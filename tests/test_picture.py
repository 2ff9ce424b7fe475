"""What is left out of what is sent stands on the terminal already."""

from __future__ import annotations

from itertools import pairwise
from unicodedata import category

import pyte
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import get_character_cell_size
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, InlineUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from smartsub_tui.picture import Picture

COLUMNS, ROWS = 8, 3
properties = settings(deadline=None, max_examples=300)
Line = list[tuple[int, int]]  # which sign and which colour stands in each cell

cells = st.tuples(st.integers(0, 1), st.integers(0, 1))
screens = st.lists(st.lists(cells, min_size=COLUMNS, max_size=COLUMNS), min_size=ROWS, max_size=ROWS)
# Where the pieces of a line begin; the places that are marked to be drawn, as Textual has them: from left to right.
cuts = st.sets(st.integers(1, COLUMNS - 1), max_size=3).map(lambda inner: [0, *sorted(inner), COLUMNS])
spans = st.lists(
    st.tuples(st.integers(0, ROWS - 1), st.integers(0, COLUMNS - 1), st.integers(1, COLUMNS)), min_size=1, max_size=4
).map(lambda found: sorted({(y, x, max(end, x + 1)) for y, x, end in found}))
steps = st.lists(st.tuples(screens, st.lists(cuts, min_size=ROWS, max_size=ROWS), st.none() | spans), max_size=6)
STYLES = (Style(color="red"), Style(color="blue", bold=True))


def console() -> Console:
    return Console(color_system="256", force_terminal=True, width=COLUMNS)


def strip(line: Line, first: int, end: int) -> Strip:
    return Strip([Segment("ab"[sign], STYLES[colour]) for sign, colour in line[first:end]], end - first)


def update(screen: list[Line], cut: list[list[int]], marked: list[tuple[int, int, int]] | None) -> CompositorUpdate:
    """That of a screen whose lines are drawn in pieces; the whole of it where nothing is marked."""
    chops = [
        {first: strip(line, first, end) for first, end in pairwise(at)} for line, at in zip(screen, cut, strict=True)
    ]
    if marked is None:
        return LayoutUpdate([chop.values() for chop in chops], Region(0, 0, COLUMNS, ROWS))
    return ChopsUpdate(chops, marked, [at[1:] for at in cut])


class Shown:
    """A terminal, and what it was sent."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self.screen)

    def take(self, update: CompositorUpdate | None) -> None:
        if update is not None:
            self._stream.feed(update.render_segments(console()))

    @property
    def cells(self) -> list[list[pyte.screens.Char]]:
        return [[self.screen.buffer[y][x] for x in range(COLUMNS)] for y in range(ROWS)]


def shown(update: CompositorUpdate | None) -> list[list[pyte.screens.Char]]:
    """What a terminal that shows nothing yet makes of it."""
    terminal = Shown()
    terminal.take(update)
    return terminal.cells


@properties
@given(steps)
def test_a_terminal_shows_the_same_as_one_that_is_sent_all(
    drawn: list[tuple[list[Line], list[list[int]], list[tuple[int, int, int]] | None]],
) -> None:
    picture, all_of_it, what_differs = Picture(console()), Shown(), Shown()
    for each in drawn:
        all_of_it.take(update(*each))
        what_differs.take(picture.differing(update(*each)))
        assert what_differs.cells == all_of_it.cells


@properties
@given(screens, st.lists(cuts, min_size=ROWS, max_size=ROWS), spans)
def test_what_stands_there_is_not_sent_again_unless_all_of_the_screen_is(
    screen: list[Line], cut: list[list[int]], marked: list[tuple[int, int, int]]
) -> None:
    picture = Picture(console())
    assert picture.differing(update(screen, cut, marked)) is not None
    whole = update(screen, cut, None)
    assert shown(picture.differing(whole)) == shown(whole)
    lines = [(y, 0, COLUMNS) for y, _, _ in marked]
    assert picture.differing(update(screen, cut, lines)) is None
    assert shown(picture.differing(whole)) == shown(whole)
    picture.forget()
    assert picture.differing(update(screen, cut, lines)) is not None
    assert picture.differing(update(screen, cut, lines)) is None


def test_behind_what_is_drawn_in_another_way_nothing_is_known() -> None:
    picture, screen = Picture(console()), [[(0, 0)] * COLUMNS] * ROWS
    whole, line = update(screen, [[0, COLUMNS]] * ROWS, None), update(screen, [[0, COLUMNS]] * ROWS, [(0, 0, COLUMNS)])
    picture.differing(whole)
    assert picture.differing(line) is None
    inline = InlineUpdate([])
    assert picture.differing(inline) is inline
    assert picture.differing(line) is not None


@pytest.mark.parametrize("text", ["梅田", "मोहन", "👨 ❤", "a\u202eb", "\x1b[2J"])
def test_a_line_with_signs_that_may_be_wider_than_they_are_counted_is_always_sent(text: str) -> None:
    picture, plain = Picture(console()), [[(0, 0)] * COLUMNS] * ROWS
    at = [[0, 4, COLUMNS]] * ROWS
    picture.differing(update(plain, at, None))
    line = {0: Strip([Segment(text, STYLES[0])]), 4: strip(plain[0], 4, COLUMNS)}
    for last in (4, COLUMNS, 4, COLUMNS):
        assert picture.differing(ChopsUpdate([line], [(0, 0, last)], [[4, COLUMNS]])) is not None
    # What stands beside it may be hidden by it.
    assert picture.differing(update(plain, at, [(0, 4, COLUMNS)])) is not None
    assert picture.differing(update(plain, at, [(1, 0, COLUMNS)])) is None


class Wide(pyte.Screen):
    """A terminal that gives spacing vowel signs a cell of their own, as tmux does."""

    def draw(self, data: str) -> None:
        super().draw("".join("~" if category(each) == "Mc" else each for each in data))


words = st.text(st.sampled_from("a7 .क\u093e\u093f\u0940…✓"), max_size=6)


@properties
@given(st.lists(st.tuples(words, st.sampled_from(STYLES)), min_size=1, max_size=6), st.booleans(), st.integers(0, 9))
@example([("क\u093e\u093e  7.5", STYLES[0])], False, 0)
@example([("क\u093e\u093f  ", STYLES[0]), ("✓", STYLES[1])], True, 3)
def test_what_is_behind_a_sign_of_disputed_width_stands_where_it_is_counted_to(
    parts: list[tuple[str, Style]], whole: bool, x: int
) -> None:
    """All that is ASCII, on terminals that give it no cell and on those that give it one."""
    line = Strip([Segment("a"), *(Segment(text, style) for text, style in parts)])
    room = Strip.blank(40 - x - line.cell_length)
    drawn = (
        LayoutUpdate([[line, room]], Region(x, 0, 40 - x, 1))
        if whole
        else ChopsUpdate([{x: line, x + line.cell_length: room}], [(0, x, 40)], [[x + line.cell_length, 40]])
    )
    expected = {}
    for character in line.text:
        if character.isascii() and character != " ":
            expected[x] = character
        x += get_character_cell_size(character)
    for kind in (pyte.Screen, Wide):
        screen = kind(40, 1)
        screen.reset_mode(7, private=True)
        sent = Picture(console()).differing(drawn)
        assert sent is not None
        pyte.Stream(screen).feed(sent.render_segments(console()))
        shown = {x: screen.buffer[0][x].data for x in range(40)}
        assert {x: each for x, each in shown.items() if each.isascii() and each not in " ~"} == expected
