"""A cell of CSV holds nothing that a spreadsheet would run, and gives its text back when it is imported."""

from __future__ import annotations

import csv
import io
import re
from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smartsub_tui.data.csv_cells import cell, defused, undefused

# Texts of what matters here, beside any other.
TRICKY = st.text("=+-@\uff1d\uff0b\uff0d\uff20;\t\r\n \"'\u2019,\u3000\u200b\x1b\u20281aé") | st.text()


@given(TRICKY)
@example("'=1")
@example("\t=1")
@example("'\t")
@example("a;'=1\r\n-2")
def test_what_was_defused_is_itself_again(text: str) -> None:
    assert undefused(defused(text)) == text


def first_of(text: str) -> str:
    """The first character that a spreadsheet would look at, found in another way than the rule does it."""
    for character in text:
        if not (character.isspace() or category(character) == "Cc" or character in "\"'\u2019\u200b\u2028"):
            return character
    return ""


@given(TRICKY)
def test_no_cell_begins_with_a_formula_whatever_parts_the_cells(text: str) -> None:
    written = defused(text)
    assert written[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20") or not text
    for part in re.split("[;\t\r\n]", written):
        assert part.startswith("'") or first_of(part) not in tuple("=+-@\uff1d\uff0b\uff0d\uff20")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('=HYPERLINK("http://x.example")', '\'=HYPERLINK("http://x.example")'),
        ("+1", "'+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\uff1dcmd", "'\uff1dcmd"),
        (" =1", "' =1"),
        ('"=1', "'\"=1"),
        ("\u200b=1", "'\u200b=1"),
        ("'=1", "''=1"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("K1;=cmd", "K1;'=cmd"),
        ("x\n@SUM(A1)", "x\n'@SUM(A1)"),
    ],
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str, written: str) -> None:
    assert defused(text) == written


@pytest.mark.parametrize("text", ["", "'t Hooft", "'", "Anna-Lena", "a@b.example", "1+1", "O'Brien; Sons", "'tis\n"])
def test_other_text_is_left_as_it_is(text: str) -> None:
    assert defused(text) == text
    assert undefused(text) == text


@given(st.lists(TRICKY, min_size=2))
def test_a_row_of_cells_is_read_back_by_any_reader(texts: list[str]) -> None:
    line = ",".join(cell(text) for text in texts) + "\n"
    ((*read,),) = csv.reader(io.StringIO(line, newline=""), strict=True)
    assert [undefused(each) for each in read] == texts
