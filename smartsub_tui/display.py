"""The only way data becomes text on a screen, and in the text tables of the command line.

Names come from files, and a terminal obeys what it is sent: a name that holds ESC can set the clipboard, one with a
direction control can dress up as another. So every text from outside passes `plain`, which shows what could do harm or
hide as `<U+001B>`: the character's number, in ASCII, in a form whose width is the same everywhere.

Importing this module imports neither Textual, Rich nor Arrow: the command line starts without them.

Right-to-left text is passed on in the order in which it is stored. A terminal that reorders such text does so for its
whole line, and could be held back only by the very characters that are dangerous in data: they are not sent.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from smartsub_tui.data.money import Money, format_amount
from smartsub_tui.data.vocabulary import OrderStatus, Rank, SubscriptionState

if TYPE_CHECKING:
    from rich.segment import Segment
    from rich.style import Style
    from rich.text import Text
    from textual.content import Content

# -- Text from outside -------------------------------------------------------------------------------------------------

# More marks than any living script sets on one letter; what comes after them is a tower that hides the lines above.
MOST_MARKS: Final = 6

# Controls, format characters (direction, joiners, tags, soft hyphen), surrogates, line and paragraph separators; and
# private and unassigned characters, whose look and width nobody knows.
_HARMFUL: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

# Letters, marks and symbols that are shown by their number too.
_SHOWN_BY_NUMBER: Final = (
    # Invisible: Default_Ignorable_Code_Point of Unicode that is not of a category above, and the empty braille cell.
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xE0100, 0xE01EF),
    # Terminals, the C library and Rich do not agree how wide these are, so a column behind one would not be straight:
    # trigrams, hexagrams, tetragrams, counting rods, numbers in black squares, two Hangul tone marks, two Han reading
    # marks, letters that pair up to a flag, skin colours.
    (0x2630, 0x2637),
    (0x268A, 0x268F),
    (0x302E, 0x302F),
    (0x3248, 0x324F),
    (0x4DC0, 0x4DFF),
    (0x16FF0, 0x16FF1),
    (0x1D300, 0x1D356),
    (0x1D360, 0x1D376),
    (0x1F1E6, 0x1F1FF),
    (0x1F3FB, 0x1F3FF),
)

# Vowels and finals that are drawn into the syllable before them, and the letters that begin such a syllable.
_HANGUL_TAILS: Final = ((0x1160, 0x11FF), (0xD7B0, 0xD7FF))
_HANGUL: Final = ((0x1100, 0x11FF), (0xA960, 0xA97F), (0xAC00, 0xD7FF))

_BY_NUMBER: Final = -1

# Letters of which most names are made, each one cell: they pass without a look at every single one.
_EVERYDAY: Final = frozenset(
    chr(code)
    for first, last in ((0x20, 0x7E), (0xA0, 0xAC), (0xAE, 0x24F), (0x391, 0x3A1), (0x3A3, 0x3CE), (0x400, 0x482))
    for code in range(first, last + 1)
)


def plain(text: str) -> str:
    """`text` as one harmless line; what could do harm or hide is shown as <U+XXXX>, four to six hexadecimal digits.

    So shown: every character of the categories Cc, Cf, Cs, Co, Cn, Zl and Zp, invisible letters and marks, symbols
    whose width is disputed, a mark without a letter before it, and the marks beyond MOST_MARKS on one letter. Joiners
    inside words and emoji are among them: terminals differ in what they join. Letters and marks of all scripts stay as
    they are, also spaces of other widths and letters that look alike.

    Two texts that differ are shown differently, as long as neither spells out <U+...> itself. Calling it again changes
    nothing. Rich, Textual and the C library agree on the width of all that is shown but the spacing vowel signs of
    Indic scripts (category Mc): Rich, and so cell_width, gives them none; the C library, and so tmux, gives one cell.
    """
    return _harmless(text, lambda character: f"<U+{ord(character):04X}>")


def typed(text: str) -> str:
    """`text` as it stands in a field: what `plain` shows by its number is one `?`, so that all else keeps its place."""
    return _harmless(text, lambda character: "?")


def _harmless(text: str, instead: Callable[[str], str]) -> str:
    if (text.isascii() and text.isprintable()) or _EVERYDAY.issuperset(text):
        return text
    parts: list[str] = []
    base = ""  # what a mark would be set upon
    marks = 0
    for character in text:
        width = _width_of(character)
        if width > 0:
            base, marks = ("" if character == " " else character), 0
        elif width == 0 and base and marks < MOST_MARKS and _joins(base, character):
            marks += 1
        else:
            base = ""
            character = instead(character)
        parts.append(character)
    return "".join(parts)


def is_harmless(character: str) -> bool:
    """Whether `plain` shows this character as itself, behind a letter if it is a mark."""
    return _width_of(character) != _BY_NUMBER


def block(text: str) -> str:
    """Like `plain`, but line breaks (LF and CR LF) stay line breaks: for addresses and long messages."""
    return "\n".join(plain(line) for line in text.replace("\r\n", "\n").split("\n"))


def cell_width(text: str) -> int:
    """How many terminal cells plain(text) takes: the same number as rich.cells.cell_len finds."""
    return _width(plain(text))


def fit(text: str, width: int, *, align: Literal["left", "right"] = "left") -> str:
    """plain(text) in exactly `width` cells: padded with spaces, or cut at its end and closed with `…`.

    A character of two cells is never halved and a mark never parted from its letter.
    """
    if width <= 0:
        return ""
    # A cell takes at most one letter with its marks, so what lies behind this many characters cannot be seen.
    shown = plain(text[: (width + 1) * (MOST_MARKS + 1)])
    size = _width(shown)
    if size > width:
        shown, size = _cut(shown, width)
    padding = " " * (width - size)
    return padding + shown if align == "right" else shown + padding


def straight(texts: Sequence[str], *, align: Literal["left", "right"] = "left") -> list[str]:
    """A column: each of the texts (at least one) as `fit` shows it in as many cells as the widest of them takes."""
    right = align == "right"
    if all(map(str.isascii, texts)) and all(map(str.isprintable, texts)):  # as most are, without a look at every cell
        width = max(map(len, texts))
        return [text.rjust(width) if right else text.ljust(width) for text in texts]
    shown = [plain(text) for text in texts]
    sizes = [_width(text) for text in shown]
    widest = max(sizes)
    padding = [" " * (widest - size) for size in sizes]
    return [gap + text if right else text + gap for gap, text in zip(padding, shown, strict=True)]


def wrapped(text: str, width: int) -> list[str]:
    """block(text) in lines of at most `width` cells (at least 2), parted at spaces; a longer word is parted inside.

    What begins with spaces keeps them on every line that it takes.
    """
    width = max(2, width)
    lines = []
    for paragraph in block(text).split("\n"):
        line = indent = " " * min(width - 2, len(paragraph) - len(paragraph.lstrip(" ")))
        for word in paragraph.split():
            for piece in _pieces(word, width - len(indent)):
                if line == indent:
                    line += piece
                elif _width(line) + 1 + _width(piece) <= width:
                    line += f" {piece}"
                else:
                    lines.append(line)
                    line = indent + piece
        lines.append(line)
    return lines


def _pieces(word: str, width: int) -> Iterator[str]:
    """A word in pieces of at most `width` cells, which are at least 2."""
    while _width(word) > width:
        size = end = 0
        while size + _width_of(word[end]) <= width:
            size += _width_of(word[end])
            end += 1
        yield word[:end]
        word = word[end:]
    yield word


def _cut(shown: str, width: int) -> tuple[str, int]:
    """The beginning of `shown`, closed with `…`, in `width` cells or one less, and how many these are."""
    if _is_one_cell_each(shown):
        return f"{shown[: width - 1]}…", width
    size = 1
    end = 0
    while (after := size + _width_of(shown[end])) <= width:
        size = after
        end += 1
    return f"{shown[:end]}…", size


def _width(shown: str) -> int:
    return len(shown) if _is_one_cell_each(shown) else sum(map(_width_of, shown))


def _is_one_cell_each(shown: str) -> bool:
    return shown.isascii() or _EVERYDAY.issuperset(shown)


@lru_cache(maxsize=8192)
def _width_of(character: str) -> int:
    """Cells of one character: 0, 1 or 2; _BY_NUMBER if it is not shown as itself."""
    category = unicodedata.category(character)
    code = ord(character)
    if category in _HARMFUL or _within(code, _SHOWN_BY_NUMBER):
        return _BY_NUMBER
    if category.startswith("M") or _is_hangul_tail(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _joins(base: str, mark: str) -> bool:
    """Whether `mark`, which has no width, is drawn into the cells of `base`."""
    return not _is_hangul_tail(mark) or _within(ord(base), _HANGUL)


@lru_cache(maxsize=8192)
def _is_hangul_tail(character: str) -> bool:
    return _within(ord(character), _HANGUL_TAILS)


def _within(code: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(first <= code <= last for first, last in ranges)


# -- Terminals that have less --------------------------------------------------------------------------------------

# All that this program draws beside letters; each sign of a table of states keeps a form of its own.
_IN_ASCII: Final = str.maketrans("─│·…»✓█▉▊▋▌▍▎▏▇▆▅▄▃▂▁▀", "-|.~>+################")
# Hardware, or like it: nothing is known of what they draw beyond ASCII.
_ASCII_TERMINALS: Final = ("vt", "ansi", "dumb")
# What Python sets LC_CTYPE to where the locale is "C" (PEP 538): it says nothing of the terminal.
_OF_PYTHON: Final = ("C.UTF-8", "C.utf8", "UTF-8")


def without_colour() -> bool:
    """Whether no colour is to be sent: NO_COLOR (no-color.org) is set, or the terminal is a VT, which has none."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "").startswith("vt")


def only_ascii() -> bool:
    """Whether the terminal takes ASCII alone: by its kind, or by the locale where it is "C" or not UTF-8."""
    if os.environ.get("TERM", "").startswith(_ASCII_TERMINALS):
        return True
    said = [os.environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    if said[1] in _OF_PYTHON:
        said[1] = None
    if next(filter(None, said), None) in ("C", "POSIX"):
        return True
    return not (getattr(sys.__stderr__, "encoding", None) or "ascii").casefold().startswith("utf")


def few_signs() -> bool:
    """Whether the terminal has letters at most: the fonts of the Linux console have 256 or 512 characters."""
    return os.environ.get("TERM") == "linux" or only_ascii()


def in_ascii(text: str, *, letters: bool = False) -> str:
    """`text`, in as many cells, with ASCII for what this program draws; and for all else too, unless with `letters`.

    An accent is left out, and what ASCII has nothing like is `?` in each of its cells.
    """
    if text.isascii():
        return text
    text = text.translate(_IN_ASCII)
    return text if letters or text.isascii() else "".join(map(_letter, text))


@lru_cache(maxsize=8192)
def _letter(character: str) -> str:
    if character.isascii():
        return character
    width = _width_of(character)
    if character.isspace():
        return " " * width
    base = unicodedata.normalize("NFD", character)[0]
    return base if base.isascii() and width == 1 else "?" * width


# -- Text for widgets --------------------------------------------------------------------------------------------------

# What a style says, for Rich (table cells) and for Textual (all else); `themes` has the colours. None of them is
# the only sign: a glyph and a word stand beside it.
STYLES: Final = {
    "danger": ("bold red", "bold $text-error"),
    "warning": ("yellow", "$text-warning"),
    "good": ("green", "$text-success"),
    "busy": ("cyan", "$text-secondary"),
    "quiet": ("bright_black", "$text-muted"),
    "bar": ("blue", "$primary"),
}

# Where there are none, that which matters is bold instead.
_WITHOUT_COLOUR: Final = {"danger": "bold", "warning": "bold", "good": "", "busy": "", "bar": ""}


def _styles(name: str) -> tuple[str, str]:
    if name in _WITHOUT_COLOUR and without_colour():
        return _WITHOUT_COLOUR[name], _WITHOUT_COLOUR[name]
    return STYLES.get(name, (name, name))


def rich_style(name: str) -> str:
    """The style of a name of STYLES, as Rich writes it."""
    return _styles(name)[0]


def cell(text: str, style: str = "") -> Text:
    """plain(text) for a cell of a DataTable. `style`: a name of STYLES, or a style of Rich."""
    from rich.text import Text

    rich_style, _ = _styles(style)
    return Text(plain(text), style=rich_style, no_wrap=True, overflow="ellipsis", end="")


def cells(text: str, width: int, style: str = "", *, lead: str = "") -> list[Text]:
    """block(text) as lines of at most `width` cells: the first behind `lead`, the others below its beginning."""
    room = max(2, width - cell_width(lead))
    lines = []
    for place, part in enumerate(wrapped(text, room)):
        line = cell(lead if place == 0 else " " * cell_width(lead))
        line.append_text(cell(part, style))
        lines.append(line)
    return lines


def segments(parts: Iterable[tuple[str, str]], width: int, base: Style) -> list[Segment]:
    """plain(text) of each part in its style over `base`, as one line of exactly `width` cells.

    What Text would do too, at a fifth of its cost: a table draws all of its lines at once.
    """
    from rich.segment import Segment
    from rich.style import Style

    runs: list[tuple[str, str]] = []
    room = width
    for style, alike in groupby((*parts, ("", "")), itemgetter(1)):
        texts = [text for text, _ in alike]
        together = "".join(texts)
        if len(together) <= room and together.isascii() and together.isprintable():  # as most are
            shown, room = together, room - len(together)
        else:
            shown = ""
            for text in texts:
                piece = plain(text)
                if (wide := _width(piece)) > room:
                    piece, wide = fit(piece, room) if text.strip() else " " * room, room
                room -= wide
                shown += piece
        runs.append((shown, style))
    runs[-1] = runs[-1][0] + " " * room, ""
    return [Segment(shown, base + Style.parse(rich_style(style)) if style else base) for shown, style in runs if shown]


def content(text: str, style: str = "", *, lines: bool = False) -> Content:
    """plain(text), or block(text) if `lines`, for every other widget. `style`: a name of STYLES, or one of Textual.

    Brackets in `text` are brackets: nothing is read as markup.
    """
    from textual.content import Content

    _, textual_style = _styles(style)
    return Content.styled(block(text) if lines else plain(text), textual_style)


def link(url: str, *, opens: bool = True) -> Content:
    """A web address that was validated, as text that a terminal may offer to open (OSC 8); nothing is opened here.

    What is not printable ASCII, or does not begin as a web address, is text alone; and so is all on a terminal that has
    letters at most: it may draw what it does not know. So it is too unless it `opens`: who stands at a kiosk is not to
    be offered a browser.
    """
    from textual.content import Content
    from textual.style import Style

    harmless = url.isascii() and url.isprintable() and url.lower().startswith(("https://", "http://"))
    if opens and harmless and not few_signs():
        return Content.styled(url, Style(link=url))
    return content(url)


# -- Instants and dates ------------------------------------------------------------------------------------------------

NOTHING: Final = "-"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Up to so many days ahead an expiry is counted in days.
_DAYS_COUNTED: Final = 30


def instant(when: datetime | None, now: datetime, timezone: str) -> str:
    """`when` in at most 12 cells: "Today 09:31", "21 Nov 09:12" in this year, else "21 Nov 2025"."""
    if when is None:
        return NOTHING
    local, today = _local(when, timezone), _local(now, timezone).date()
    if local.date() == today:
        return f"Today {local:%H:%M}"
    if local.year == today.year:
        return f"{_day_and_month(local)} {local:%H:%M}"
    return _day_month_year(local)


def instant_full(when: datetime | None, timezone: str) -> str:
    """`when` to the second, with its offset, so that the hour that autumn repeats stays unambiguous.

    "2026-11-22 10:31:17 +01:00 Europe/Berlin"
    """
    if when is None:
        return NOTHING
    local = _local(when, timezone)
    text = local.isoformat(" ", "seconds")
    return f"{text[:19]} {text[19:]} {timezone}"


def service_date(day: date | None) -> str:
    """A date of service: "2026-11-30"."""
    return NOTHING if day is None else day.isoformat()


def expiry(day: date | None, today: date) -> str:
    """The last day of a subscription: "30 Nov (8 d)", "22 Nov today", "30 Nov 2027", or "expired 12 d" once past."""
    if day is None:
        return NOTHING
    days = (day - today).days
    if days < 0:
        return f"expired {-days} d"
    if days == 0:
        return f"{_day_and_month(day)} today"
    if days <= _DAYS_COUNTED:
        return f"{_day_and_month(day)} ({days} d)"
    return _day_month_year(day)


def ago(when: datetime, now: datetime) -> str:
    """The distance from `now` as people say it: "3 minutes ago", "in 2 days". Not for rows: it takes its time."""
    import arrow

    return arrow.get(when).humanize(arrow.get(now))


def _local(when: datetime, timezone: str) -> datetime:
    if when.tzinfo is None:
        raise ValueError("an instant without an offset is no instant")
    try:
        return when.astimezone(ZoneInfo(timezone))
    except OverflowError:  # the last hours of the year 9999, or the first of the year 1
        return when


def _day_and_month(day: date) -> str:
    return f"{day.day:02} {_MONTHS[day.month - 1]}"


def _day_month_year(day: date) -> str:
    return f"{_day_and_month(day)} {day.year:04}"


# -- Numbers -----------------------------------------------------------------------------------------------------------


def money(amount: Money | None, *, with_currency: bool = True) -> str:
    """ "EUR 1,071.00", or "1,071.00" where the currency stands elsewhere."""
    if amount is None:
        return NOTHING
    return str(amount) if with_currency else format_amount(amount.amount, amount.currency)


def count(number: int) -> str:
    """ "1,204" """
    return f"{number:,}"


def months(number: int) -> str:
    """ "1 month", "12 months" """
    return f"{number} month" if number == 1 else f"{number} months"


def people(number: int) -> str:
    """ "1 person", "1,204 people" """
    return "1 person" if number == 1 else f"{number:,} people"


def count_or_dot(number: int) -> str:
    """ "1,204", and "." for none: a column in which only what is there catches the eye."""
    return count(number) if number else "."


def percent(ppm: int) -> str:
    """A rate in millionths, exactly: 190000 is "19 %", 55000 is "5.5 %"."""
    whole, fraction = divmod(abs(ppm), 10_000)
    decimals = f"{fraction:04}".rstrip("0")
    return f"{'-' if ppm < 0 else ''}{whole}{'.' if decimals else ''}{decimals} %"


# -- Bars --------------------------------------------------------------------------------------------------------------

_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_STEPS: Final = " ▁▂▃▄▅▆▇█"


def bar(part: int, whole: int, width: int) -> str:
    """`part` of `whole` as a bar in exactly `width` cells; what is more than nothing is seen."""
    if part <= 0 or whole <= 0 or width <= 0:
        return " " * max(0, width)
    full, rest = divmod(min(width * 8, max(1, part * width * 8 // whole)), 8)
    return ("█" * full + _EIGHTHS[rest].strip()).ljust(width)


def column(part: int, whole: int, height: int) -> list[str]:
    """`part` of `whole` as a column of `height` characters, from the top down; what is more than nothing is seen."""
    steps = 0 if part <= 0 or whole <= 0 else max(1, part * height * 8 // whole)
    return [_STEPS[min(8, max(0, steps - 8 * level))] for level in reversed(range(height))]


# -- States ------------------------------------------------------------------------------------------------------------


class Look(NamedTuple):
    """How a state is shown: a glyph of one cell, the word, and the name of a style of STYLES ("" for none)."""

    glyph: str
    word: str
    style: str

    def __str__(self) -> str:
        return f"{self.glyph} {self.word}"


# (glyph, style). The glyphs of one table differ from each other, in ASCII too, so that none needs its colour.
_STATUS: Final = {
    OrderStatus.PROCESSING: ("…", ""),
    OrderStatus.SYSTEM_PROCESSING: ("»", "busy"),
    OrderStatus.SUCCEED: ("✓", "good"),
    OrderStatus.FAILED: ("x", "danger"),
    OrderStatus.TIME_OUT: ("o", "warning"),
    OrderStatus.CANCEL: ("-", "quiet"),
}
_USER_STATE: Final = {
    SubscriptionState.INACTIVE: ("·", "quiet"),
    SubscriptionState.ACTIVE: ("✓", "good"),
    SubscriptionState.EXPIRING: ("!", "warning"),
    SubscriptionState.EXPIRED: ("x", "danger"),
    SubscriptionState.REMOVED: ("-", "quiet"),
}
_RANK: Final = {
    Rank.UNKNOWN: ("?", "danger"),
    Rank.UNAPPLIED: ("+", "warning"),
    Rank.FAILED: ("x", "warning"),
    Rank.TIMING_OUT: ("o", "warning"),
    Rank.EXPIRING: ("!", "warning"),
}


def status(value: OrderStatus, *, due: bool = False) -> Look:
    """The look of a status. `due`: Processing, but its time to pay has passed."""
    if due and value is OrderStatus.PROCESSING:
        return Look("!", f"{value.label}, due", "warning")
    glyph, style = _STATUS[value]
    return Look(glyph, value.label, style)


def user_state(value: SubscriptionState) -> Look:
    """The look of a subscription's state, as that of its user."""
    glyph, style = _USER_STATE[value]
    return Look(glyph, value.label, style)


def rank(value: Rank) -> Look:
    """The look of a rank of the triage queue."""
    glyph, style = _RANK[value]
    return Look(glyph, value.label, style)
