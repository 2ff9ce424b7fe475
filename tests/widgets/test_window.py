"""The window on a list: its numbers are those of the list, whatever is learnt in whatever order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from smartsub_tui.widgets.window import Window

STEPS = st.lists(
    st.tuples(st.sampled_from(("after", "before", "keep", "count", "place")), st.integers(1, 9)), max_size=12
)


@settings(max_examples=200)
@given(
    length=st.integers(1, 60), start=st.integers(0, 59), size=st.integers(1, 9), guess=st.integers(0, 80), steps=STEPS
)
def test_once_it_is_known_where_it_stands_every_row_has_its_own_number(
    length: int, start: int, size: int, guess: int, steps: list[tuple[str, int]]
) -> None:
    start = min(start, length - 1)
    rows = list(range(length))
    window: Window[int] = Window()
    here = rows[start : start + size]
    window.replace(here, here, base=guess, first=start == 0, last=start + len(here) == length)
    for what, number in steps:
        before = {row: window.base + place for place, row in enumerate(window.rows)}
        moved = 0
        match what:
            case "after":
                more = rows[window.rows[-1] + 1 :][:number]
                moved = window.append(more, more, last=window.rows[-1] + 1 + len(more) == length)
            case "before":
                more = rows[max(0, window.rows[0] - number) : window.rows[0]]
                moved = window.prepend(more, more, first=window.rows[0] - len(more) == 0)
            case "keep":
                window.keep(window.base, window.base + number)
            case "count":
                moved = window.counted(length)
            case _:
                moved = window.placed(window.rows[0])
        # What stays moves by what is said, all of it.
        for place, row in enumerate(window.rows):
            assert before.get(row, window.base + place - moved) == window.base + place - moved
        assert window.rows == rows[window.rows[0] : window.rows[-1] + 1]
        assert window.cursors == window.rows
        assert 0 <= window.base < window.end <= window.total
    window.counted(length)
    window.placed(window.rows[0])
    assert window.base == window.rows[0]
    assert window.total == length
    assert window.at(window.base) == window.rows[0]
    assert window.at(window.base - 1) is window.at(window.end) is None


def test_a_list_that_was_counted_to_its_last_row_is_no_longer_than_that() -> None:
    window: Window[int] = Window()
    window.replace(range(8), range(8), base=0, first=True, last=False)
    assert window.total == 9  # at least one more, as far as is known
    window.counted(8)
    assert (window.total, window.last) == (8, False)
    window.append((), (), last=True)
    assert window.total == 8
