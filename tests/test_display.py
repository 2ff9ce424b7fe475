"""Data becomes text: harmless, told apart, and exactly as wide as it says."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Literal

import pyte
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len, get_character_cell_size
from rich.style import Style as RichStyle
from rich.text import Text
from textual.app import App, ComposeResult
from textual.content import Content
from textual.style import Style
from textual.widgets import Button, DataTable, Label, OptionList, Static
from textual.widgets.option_list import Option

from smartsub_tui import display, themes
from smartsub_tui.config import THEMES
from smartsub_tui.data.money import Money
from smartsub_tui.data.vocabulary import OrderStatus, Rank, SubscriptionState

FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

# One of each kind that has done harm somewhere, and what stands beside them.
NASTY = (
    "\x00\x07\x08\t\n\r\x1b\x7f\x85\x9b\x9d\xad"  # controls, soft hyphen
    "\u061c\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
    "\u2028\u2029\ufffe\uffff\ue000\U000e0001\U000e0041\U0010ffff\ud800\udfff\u0378"
    "\u034f\u115f\u1160\u17b4\u180b\u180e\u2800\u3164\uffa0\ufe0e\ufe0f\U000e0100\u302e\u3249\u4dc0\U0001d300"
    "\U0001f1e9\U0001f1ea\U0001f3fd"
)
ORDINARY = " aZ<U+>[]/\\…éßñ\u0301\u0308\u0338\u093e\u094d\u0e49\u1161\u11a8\u1100\uac00王　ｱＡमعשЖ👨👩😀❤\xa0"
texts = st.text(st.one_of(st.sampled_from(NASTY + ORDINARY), st.characters(exclude_categories=())), max_size=30)
properties = settings(deadline=None, max_examples=300)

SAMPLES = (
    "Duong Bui",
    "Müller-Straße 7",
    "王冬梅 株式会社",
    "김영수 서울",
    unicodedata.normalize("NFD", "김영수"),
    unicodedata.normalize("NFD", "Nguyễn Thị"),
    "मोहन शर्मा",
    "สมชาย ใจดี",
    "محمد عليّ",
    "דָּוִד",
    "👨\u200d👩\u200d👧 Family 😀",
    "👍\U0001f3fd \U0001f1e9\U0001f1ea ❤\ufe0f",
    "a" + "\u0301" * 300,
    "\x1b]52;c;aGk=\x07evil\x9b2J",
    "Ann\u202eeel",
    "ｱｲｳＡＢＣ",
    "",
)


def forbidden_in(text: str) -> set[str]:
    return {unicodedata.category(character) for character in text} & FORBIDDEN


# -- plain -------------------------------------------------------------------------------------------------------------


@properties
@given(texts)
def test_nothing_a_terminal_obeys_or_hides_comes_through(text: str) -> None:
    assert not forbidden_in(display.plain(text))


@pytest.mark.parametrize("character", NASTY)
def test_every_nasty_character_is_shown_by_its_number(character: str) -> None:
    assert display.plain(f"a{character}b") == f"a<U+{ord(character):04X}>b"


@properties
@given(texts)
def test_showing_again_changes_nothing(text: str) -> None:
    once = display.plain(text)
    assert display.plain(once) == once


@properties
@given(st.lists(texts, min_size=2, max_size=2, unique=True))
@example(["Ann", "Ann\u200b"])
@example(["\x00", "\x01"])
@example(["a" + "\u0301" * 6, "a" + "\u0301" * 7])
def test_texts_that_differ_are_shown_differently(pair: list[str]) -> None:
    one, other = (text.replace("<U+", "") for text in pair)
    assert (display.plain(one) == display.plain(other)) == (one == other)


@pytest.mark.parametrize(
    "name",
    [
        "Müller-Straße 7",
        "王冬梅 株式会社　東京",
        "김영수",
        unicodedata.normalize("NFD", "김영수"),
        "Nguyễn",
        unicodedata.normalize("NFD", "Nguyễn"),
        "मोहन शर्मा",
        "क्षत्रिय",
        "สมชาย ใจดี",
        "محمد عليّ",
        "דָּוִד",
        "Жанна Ёлкина",
        "Ελένη",
        "རྒྱལ་མཚན",
        "😀❤👨",
        "Résidence «\xa0Pins\xa0»",
        "[/] [@click=app.quit]x[/]",
    ],
)
def test_names_of_all_scripts_stay_as_they_are(name: str) -> None:
    assert display.plain(name) == name


def test_marks_stand_on_a_letter_and_not_too_many_on_one() -> None:
    tower = display.plain("a" + "\u0301" * 200 + "b\u0301")
    assert tower == "a" + "\u0301" * display.MOST_MARKS + "<U+0301>" * (200 - display.MOST_MARKS) + "b\u0301"
    assert display.plain("\u0301a") == "<U+0301>a", "it would be drawn into what stands before the cell"
    assert display.plain(" \u0338") == " <U+0338>"
    assert display.plain("a\x1b\u0301") == "a<U+001B><U+0301>"


def test_hangul_vowels_stand_in_a_syllable_only() -> None:
    assert display.plain("\u1100\u1161\u11a8") == "\u1100\u1161\u11a8"
    assert display.plain("\uac00\u11a8") == "\uac00\u11a8"
    assert display.plain("a\u1161") == "a<U+1161>"


def test_the_letters_of_the_fast_way_are_what_the_slow_way_would_show() -> None:
    assert all(display._width_of(character) == 1 for character in display._EVERYDAY)


@properties
@given(texts)
@example("1 Main Street\nTown\r\nLand\rx")
def test_a_block_keeps_line_breaks_and_nothing_else(text: str) -> None:
    shown = display.block(text)
    assert not forbidden_in(shown.replace("\n", ""))
    assert shown.split("\n") == [display.plain(line) for line in text.replace("\r\n", "\n").split("\n")]


# -- Width -------------------------------------------------------------------------------------------------------------


def test_every_character_that_is_shown_is_as_wide_as_rich_says() -> None:
    differing = [
        f"U+{code:04X}"
        for code in range(sys.maxunicode + 1)
        if (width := display._width_of(chr(code))) >= 0 and width != get_character_cell_size(chr(code))
    ]
    assert differing == []


@properties
@given(texts)
def test_the_width_is_what_rich_and_so_textual_measures(text: str) -> None:
    assert display.cell_width(text) == cell_len(display.plain(text))


@properties
@given(texts, st.integers(-1, 40), st.sampled_from(["left", "right"]))
@example("日本", 2, "left")
@example("日本", 2, "right")
def test_fitted_text_has_exactly_its_width(text: str, width: int, align: Literal["left", "right"]) -> None:
    fitted = display.fit(text, width, align=align)
    assert cell_len(fitted) == max(width, 0)
    assert not forbidden_in(fitted)
    assert display.plain(fitted) == fitted, "a mark parted from its letter, or half a character"


@properties
@given(texts, st.integers(1, 40))
def test_fitted_text_is_the_beginning_with_its_last_letter_whole(text: str, width: int) -> None:
    shown, fitted = display.plain(text), display.fit(text, width)
    if cell_len(shown) <= width:
        assert fitted == shown + " " * (width - cell_len(shown))
        return
    beginning, ellipsis, padding = fitted.rpartition("…")
    assert (ellipsis, padding.strip(" ")) == ("…", "")
    assert shown.startswith(beginning)
    rest = shown[len(beginning) :]
    assert cell_len(rest[0]) > 0, "a mark was parted from its letter"
    assert cell_len(beginning) + cell_len(rest[0]) + 1 > width, "there was room for more"


def test_fitted_text_is_padded_on_the_side_that_it_does_not_lean_to() -> None:
    assert display.fit("ab", 4) == "ab  "
    assert display.fit("ab", 4, align="right") == "  ab"
    assert display.fit("abcdef", 4) == "abc…"
    assert display.fit("Müllerin", 4) == "Mül…"
    assert display.fit("日本語", 4) == "日… "
    assert display.fit("日本語", 4, align="right") == " 日…"
    assert display.fit("abc", 1) == "…"
    assert display.fit("abc", 0) == ""


@properties
@given(
    st.lists(st.tuples(st.one_of(texts, st.text(" ab", max_size=9)), st.sampled_from(["", "danger"])), max_size=8),
    st.integers(1, 40),
)
@example([("*", ""), ("ab", ""), (" ", ""), ("\u0301", "")], 9)
@example([("ab", ""), ("abc", "")], 2)
@example([("ab", ""), ("abc", "")], 4)
def test_a_line_is_its_parts_one_behind_the_other(parts: list[tuple[str, str]], width: int) -> None:
    """Each in its own style, and the part for which there is not enough room cut at its own end."""
    base, room = RichStyle(dim=True), width
    expected: list[tuple[str, RichStyle]] = []
    for text, name in [*parts, (" " * width, "")]:
        wide = display.cell_width(text)
        shown = display.plain(text) if wide <= room else display.fit(text, room) if text.strip() else " " * room
        room -= min(wide, room)
        expected += [(character, base + RichStyle.parse("bold red" if name else "")) for character in shown]
    line = display.segments(parts, width, base)
    assert sum(segment.cell_length for segment in line) == width
    assert [(character, segment.style) for segment in line for character in segment.text] == expected


@properties
@given(st.lists(texts, min_size=1, max_size=4), st.sampled_from(["left", "right"]))
@example(["ID", "U0001"], "left")
@example(["Net", "36.00", ""], "right")
@example(["a\tb", "c"], "left")
@example(["日本", "a"], "right")
def test_a_column_is_straight(column: list[str], align: Literal["left", "right"]) -> None:
    width = max(map(display.cell_width, column))
    assert display.straight(column, align=align) == [display.fit(text, width, align=align) for text in column]


def test_a_name_of_a_megabyte_is_fitted_at_once() -> None:
    looked_at: list[int] = []

    class Counted(str):
        def __getitem__(self, key: object) -> str:
            part = super().__getitem__(key)  # type: ignore[index]
            looked_at.append(len(part))
            return part

    assert display.fit(Counted("a" + "\u0301" * 1_000_000), 10) == "a" + "\u0301" * 6 + "<U+0301>…"
    assert looked_at == [77]


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 13, 30])
def test_a_terminal_puts_the_next_column_where_it_belongs(sample: str, width: int) -> None:
    assert column_after(display.fit(sample, width)) == width


@properties
@given(texts, st.integers(1, 40))
def test_a_terminal_puts_the_next_column_where_it_belongs_for_any_text(text: str, width: int) -> None:
    assert column_after(display.fit(text, width)) == width


def column_after(text: str) -> int:
    """The column of a bar that a terminal draws behind `text`."""
    screen = pyte.Screen(60, 2)
    stream = pyte.Stream(screen)
    for character in f"{text}\N{BOX DRAWINGS DOUBLE VERTICAL}":  # one by one: pyte drops what follows some vowel signs
        stream.feed(character)
    return next(x for x in range(60) if screen.buffer[0][x].data == "\N{BOX DRAWINGS DOUBLE VERTICAL}")


# -- Widgets -----------------------------------------------------------------------------------------------------------

TRAP = "[@click=app.quit]x[/]"
BROKEN = "[/] [nonsense] [red]\x1b[2J:smile:"
BROKEN_SHOWN = "[/] [nonsense] [red]<U+001B>[2J:smile:"


class Gallery(App[None]):
    """Hostile names in the widgets that read markup."""

    def compose(self) -> ComposeResult:
        yield Label(display.content(TRAP), id="label")
        yield Label(display.content(TRAP, "danger"), id="styled")
        yield Static(display.content(BROKEN), id="static")
        yield Static(display.content("Oak\x1b Street\nTown", lines=True), id="block")
        yield Button(display.content(TRAP), id="button")
        yield OptionList(Option(display.content(BROKEN)), id="options")
        yield DataTable[Text](id="table")

    def on_mount(self) -> None:
        table: DataTable[Text] = self.query_one("#table", DataTable)
        table.add_column(display.cell("Name\x1b"), width=50)
        table.add_row(display.cell(TRAP))
        table.add_row(display.cell(BROKEN, "danger"))
        table.add_row(display.cell("日本語" * 20))


async def test_markup_in_data_is_text_in_every_widget() -> None:
    app = Gallery()
    async with app.run_test(size=(100, 40)) as pilot:
        await pilot.pause()
        lines = [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]
        whole = "\n".join(lines)
        assert not forbidden_in(whole.replace("\n", ""))
        assert whole.count(TRAP) == 4
        assert whole.count(BROKEN_SHOWN) == 3
        assert "Name<U+001B>" in whole
        assert lines[lines.index("Oak<U+001B> Street") + 1] == "Town"
        assert any(line.strip() == "日本語" * 8 + " …" for line in lines), "a cell is cut with an ellipsis"
        for selector in ("#label", "#styled", "#button"):
            await pilot.click(selector, offset=(0, 0))
        await pilot.click("#table", offset=(2, 1))
        await pilot.pause()
        assert app.return_code is None, "a name has quit the application"


def test_a_cell_is_one_line_of_rich_text_and_a_label_is_content() -> None:
    cell = display.cell("a\nb", "danger")
    assert isinstance(cell, Text)
    assert (cell.plain, cell.end, cell.no_wrap, str(cell.style)) == ("a<U+000A>b", "", True, "bold red")
    assert str(display.cell("a", "reverse").style) == "reverse"
    assert cell.spans == []
    content = display.content("a\nb [b]c[/b]")
    assert isinstance(content, Content)
    assert (content.plain, content.spans) == ("a<U+000A>b [b]c[/b]", [])


class Palette(App[None]):
    def __init__(self, theme: str) -> None:
        super().__init__()
        self.first_theme = theme

    def compose(self) -> ComposeResult:
        for name in ("", *display.STYLES):
            yield Label(display.content("word", name), id=f"style-{name}")

    def on_mount(self) -> None:
        self.register_theme(themes.theme(self.first_theme, themes.PALETTES[self.first_theme]))
        self.theme = self.first_theme


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://billing.example/a;b?c#d", True),
        ("HTTP://billing.example", True),
        ("https://bücher.example/", False),  # OSC 8 is ASCII
        ("https://x/\x1b\\\x1b]52;c;aGk=\x07", False),
        ("https://x/\x9c\u202e", False),
        ("javascript:alert(1)", False),
        ("[@click=app.quit]https://x[/]", False),
        ("", False),
    ],
)
def test_only_a_web_address_in_ascii_becomes_a_link(url: str, linked: bool) -> None:
    content = display.link(url)
    assert content.plain == display.plain(url)
    links = [span.style.link for span in content.spans if isinstance(span.style, Style)]
    assert links == ([url] if linked else [])


@pytest.mark.parametrize("theme", THEMES)
async def test_every_style_looks_different_from_the_others(theme: str) -> None:
    app = Palette(theme)
    async with app.run_test() as pilot:
        await pilot.pause()
        looks = [str(label.render_line(0)._segments[0].style) for label in app.query(Label)]
    assert len(set(looks)) == len(display.STYLES) + 1, looks


def test_the_styles_of_cells_differ_too() -> None:
    assert len({RichStyle.parse(rich_style) for rich_style, _ in display.STYLES.values()}) == len(display.STYLES)


def test_importing_this_module_loads_no_interface() -> None:
    program = (
        "import sys; from smartsub_tui import display; display.fit('日本', 3); display.plain('\\x1b');"
        "print([name for name in ('textual', 'rich', 'arrow', 'peewee', 'apsw') if name in sys.modules])"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- Instants and dates ------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 22, 11, 4, 31, tzinfo=UTC)
BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("when", "timezone", "shown"),
    [
        (datetime(2026, 11, 22, 8, 31, tzinfo=UTC), BERLIN, "Today 09:31"),
        (datetime(2026, 11, 21, 23, 0, tzinfo=UTC), BERLIN, "Today 00:00"),
        (datetime(2026, 11, 21, 23, 0, tzinfo=UTC), "UTC", "21 Nov 23:00"),
        (datetime(2026, 11, 21, 8, 12, tzinfo=UTC), BERLIN, "21 Nov 09:12"),
        (datetime(2026, 1, 2, 8, 12, tzinfo=UTC), BERLIN, "02 Jan 09:12"),
        (datetime(2026, 11, 23, 9, 15, tzinfo=UTC), BERLIN, "23 Nov 10:15"),
        (datetime(2025, 11, 21, 8, 12, tzinfo=UTC), BERLIN, "21 Nov 2025"),
        (datetime(2025, 12, 31, 23, 30, tzinfo=UTC), BERLIN, "01 Jan 00:30"),
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), BERLIN, "01 Jan 2027"),
        (datetime(1, 1, 1, tzinfo=UTC), "America/New_York", "01 Jan 0001"),
        (datetime.max.replace(tzinfo=UTC), "Asia/Tokyo", "31 Dec 9999"),
        (None, BERLIN, "-"),
    ],
)
def test_instants_are_as_near_as_they_need_to_be(when: datetime | None, timezone: str, shown: str) -> None:
    assert display.instant(when, NOW, timezone) == shown


def test_today_is_the_day_of_the_time_zone_and_not_that_of_utc() -> None:
    now = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    assert display.instant(now - timedelta(minutes=5), now, BERLIN) == "Today 00:25"
    assert display.instant(now - timedelta(hours=1), now, BERLIN) == "31 Dec 2026"


@properties
@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_an_instant_takes_twelve_cells_at_most(when: datetime, now: datetime) -> None:
    assert len(display.instant(when, now, "Pacific/Auckland")) <= 12


def test_an_instant_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="without an offset"):
        display.instant(datetime(2026, 11, 22), NOW, BERLIN)  # noqa: DTZ001 -- that is the point


def test_the_hour_that_comes_twice_is_told_apart_in_full() -> None:
    first = datetime(2026, 10, 25, 0, 30, 5, 999, tzinfo=UTC)
    assert display.instant_full(first, BERLIN) == "2026-10-25 02:30:05 +02:00 Europe/Berlin"
    assert display.instant_full(first + timedelta(hours=1), BERLIN) == "2026-10-25 02:30:05 +01:00 Europe/Berlin"
    assert display.instant_full(None, BERLIN) == "-"


@pytest.mark.parametrize(
    ("day", "shown"),
    [
        (date(2026, 11, 30), "30 Nov (8 d)"),
        (date(2026, 11, 23), "23 Nov (1 d)"),
        (date(2026, 11, 22), "22 Nov today"),
        (date(2026, 11, 21), "expired 1 d"),
        (date(2026, 11, 10), "expired 12 d"),
        (date(2026, 12, 22), "22 Dec (30 d)"),
        (date(2026, 12, 23), "23 Dec 2026"),
        (date(2027, 11, 30), "30 Nov 2027"),
        (None, "-"),
    ],
)
def test_an_expiry_says_how_near_it_is(day: date | None, shown: str) -> None:
    assert display.expiry(day, date(2026, 11, 22)) == shown


def test_service_dates_are_iso_dates() -> None:
    assert display.service_date(date(2026, 11, 30)) == "2026-11-30"
    assert display.service_date(None) == "-"


def test_distances_are_said_as_people_say_them() -> None:
    assert display.ago(NOW - timedelta(minutes=3), NOW) == "3 minutes ago"
    assert display.ago(NOW + timedelta(days=2), NOW) == "in 2 days"


# -- Numbers -----------------------------------------------------------------------------------------------------------


def test_money_has_thousands_and_its_own_decimals() -> None:
    assert display.money(Money(107100, "EUR")) == "EUR 1,071.00"
    assert display.money(Money(107100, "EUR"), with_currency=False) == "1,071.00"
    assert display.money(Money(900, "JPY")) == "JPY 900"
    assert display.money(None) == "-"


def test_counts_have_thousands_and_none_is_a_dot() -> None:
    assert (display.count(1204), display.count(0)) == ("1,204", "0")
    assert (display.count_or_dot(1204), display.count_or_dot(0)) == ("1,204", ".")


@pytest.mark.parametrize(
    ("ppm", "shown"),
    [(190_000, "19 %"), (55_000, "5.5 %"), (0, "0 %"), (1, "0.0001 %"), (1_000_000, "100 %"), (-55_000, "-5.5 %")],
)
def test_rates_are_exact(ppm: int, shown: str) -> None:
    assert display.percent(ppm) == shown


# -- States ------------------------------------------------------------------------------------------------------------


def test_every_state_has_a_glyph_of_its_own_and_its_word() -> None:
    statuses = [display.status(value) for value in OrderStatus]
    due = display.status(OrderStatus.PROCESSING, due=True)
    states = [display.user_state(value) for value in SubscriptionState]
    for looks in ([*statuses, due], states, [display.rank(value) for value in Rank]):
        assert len({look.glyph for look in looks}) == len(looks)
        assert len({display.in_ascii(look.glyph, letters=True) for look in looks}) == len(looks)
        assert all(display.in_ascii(look.glyph, letters=True).isascii() for look in looks)
        assert all(cell_len(look.glyph) == 1 and column_after(look.glyph) == 1 for look in looks)
        assert all(look.style in ("", *display.STYLES) for look in looks)
    assert [look.word for look in statuses] == [value.label for value in OrderStatus]
    assert [look.word for look in states] == [value.label for value in SubscriptionState]


def test_a_status_reads_as_glyph_and_word() -> None:
    assert str(display.status(OrderStatus.FAILED)) == "x Failed"
    assert str(display.status(OrderStatus.TIME_OUT)) == "o Time out"
    assert str(display.status(OrderStatus.PROCESSING, due=True)) == "! Processing, due"
    assert str(display.status(OrderStatus.SUCCEED, due=True)) == "✓ Succeed"


# -- Terminals that have less ------------------------------------------------------------------------------------------


@given(texts, st.booleans())
def test_ascii_takes_the_same_cells(text: str, letters: bool) -> None:
    shown = display.plain(text)
    drawn = display.in_ascii(shown, letters=letters)
    assert cell_len(drawn) == cell_len(shown)
    assert letters or drawn.isascii()
    assert display.in_ascii(drawn, letters=letters) == drawn


@pytest.mark.parametrize(
    ("text", "letters", "ascii"),
    [
        ("Zoë · Bjørn ✓", "Zoë . Bjørn +", "Zoe . Bj?rn +"),
        ("梅田 » …", "梅田 > ~", "???? > ~"),
        ("e\u0301 ½ कमल", "e\u0301 ½ कमल", "e ? ???"),
        ("██▌ ▃ ──", "### # --", "### # --"),
    ],
)
def test_signs_become_signs_and_letters_lose_their_accents(text: str, letters: str, ascii: str) -> None:
    assert display.in_ascii(text, letters=True) == letters
    assert display.in_ascii(text) == ascii


class Written(StringIO):
    """Where a terminal is written to, in an encoding."""

    def __init__(self, encoding: str | None) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str | None:  # type: ignore[override]
        return self._encoding


@pytest.mark.parametrize(
    ("environment", "encoding", "signs", "letters"),
    [
        ({}, "utf-8", True, True),
        ({"TERM": "screen", "LANG": "en_GB.UTF-8"}, "UTF-8", True, True),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, "utf-8", True, True),
        ({"LC_ALL": "", "LANG": ""}, "utf-8", True, True),
        ({"LC_ALL": "C"}, "utf-8", False, False),  # Python writes UTF-8 there all the same
        ({"LC_ALL": "POSIX"}, "utf-8", False, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "utf-8", False, False),  # and says so itself
        ({"LANG": "C", "LC_CTYPE": "da_DK.UTF-8"}, "utf-8", True, True),
        ({"LC_ALL": "C", "LC_CTYPE": "da_DK.UTF-8"}, "utf-8", False, False),
        ({"TERM": "linux"}, "utf-8", False, True),
        ({"TERM": "linux", "LC_ALL": "C"}, "utf-8", False, False),
        ({"TERM": "vt220"}, "utf-8", False, False),
        ({"TERM": "ansi"}, "utf-8", False, False),
        ({}, "iso-8859-1", False, False),
        ({}, "ascii", False, False),
        ({}, None, False, False),
    ],
)
def test_what_a_terminal_has_is_told_by_its_name_and_locale(
    environment: dict[str, str], encoding: str | None, signs: bool, letters: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANG", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "__stderr__", Written(encoding))
    assert (not display.few_signs(), not display.only_ascii()) == (signs, letters)


@pytest.mark.parametrize(
    ("environment", "without"),
    [
        ({}, False),
        ({"NO_COLOR": "1"}, True),
        ({"NO_COLOR": "0"}, True),
        ({"NO_COLOR": ""}, False),
        ({"TERM": "vt100"}, True),
    ],
)
def test_no_colour_is_what_the_standard_says(
    environment: dict[str, str], without: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert display.without_colour() is without
    assert display.rich_style("warning") == ("bold" if without else "yellow")


# Several lines, and bars


@given(texts, st.integers(-1, 40))
def test_wrapped_lines_fit_and_lose_no_letter(text: str, width: int) -> None:
    lines = display.wrapped(text, width)
    assert all(display.cell_width(line) <= max(2, width) for line in lines)
    assert "".join("".join(lines).split()) == "".join(display.block(text).split())


def test_wrapped_parts_at_spaces_and_keeps_what_a_line_begins_with() -> None:
    assert display.wrapped("  one two three\nfour abcdefghijkl", 9) == [
        "  one two",
        "  three",
        "four",
        "abcdefghi",
        "jkl",
    ]


def test_cells_hang_below_their_lead() -> None:
    assert [line.plain for line in display.cells("one two three", 11, lead="at 9  ")] == [
        "at 9  one",
        "      two",
        "      three",
    ]


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(-1, 60))
def test_a_bar_is_as_wide_as_it_says_and_grows_with_its_part(part: int, whole: int, width: int) -> None:
    drawn = display.bar(part, whole, width)
    assert len(drawn) == max(0, width)
    assert bool(drawn.strip()) == (part > 0 and whole > 0 and width > 0)
    if whole:
        assert display.bar(part + whole, whole, width) == "█" * max(0, width)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 9))
def test_a_column_stands_on_the_ground(part: int, whole: int, height: int) -> None:
    drawn = display.column(part, whole, height)
    assert len(drawn) == height
    assert (drawn[-1] != " ") == (part > 0 and whole > 0)
    tops = [mark for mark in drawn if mark != " "]
    assert all(mark == "█" for mark in tops[1:])
    if part >= whole > 0:
        assert " " not in drawn


def test_a_half_is_half_a_bar() -> None:
    assert display.bar(1, 2, 5) == "██▌  "
    assert display.column(1, 4, 2) == [" ", "▄"]
