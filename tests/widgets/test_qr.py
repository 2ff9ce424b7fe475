"""QR codes: what is drawn is read again by a camera, to the letter; and it is drawn whole or not at all."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import ImageFilter
from textual.app import App, ComposeResult
from textual.geometry import Size

from smartsub_tui.widgets.qr import BORDER, QrCode, lines, needs, why_not
from tests.widgets.camera import BLACK, WHITE, Cell, of_strips, of_text, photograph, read, scan

pytestmark = pytest.mark.once

PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F))
OF_URLS = string.ascii_letters + string.digits + "-._~:/?#[]@!$&'()*+,;=%"
SCRIPTS = "äßñéøĐőžçİıΑωЖяівעשالعم王冬梅ありカ한국สวनम😀€–“”"


def url_of(length: int) -> str:
    return ("https://billing.example/" + "a1B2-c3/" * length)[:length]


@given(st.text(OF_URLS, min_size=10, max_size=390).map(lambda rest: f"https://{rest}"))
def test_a_camera_reads_any_url(url: str) -> None:
    assert scan(of_text(lines(url))) == [url]


@given(st.text(PRINTABLE, min_size=1, max_size=400))
@example("0" * 300)  # these take modes of their own
@example("A1 $%*+-./:" * 20)
def test_a_camera_reads_any_printable_ascii(text: str) -> None:
    assert scan(of_text(lines(text))) == [text]


@given(st.text(SCRIPTS + OF_URLS, min_size=1, max_size=150))
@example("–0")  # the bytes of these are Japanese in another encoding
@example("王あ")
def test_a_camera_reads_letters_of_other_scripts(text: str) -> None:
    assert scan(of_text(lines(text))) == [text]


@pytest.mark.parametrize(
    ("length", "size"),
    [(17, (25, 13)), (53, (33, 17)), (78, (37, 19)), (127, (45, 23)), (400, (73, 37)), (2000, (153, 77))],
)
def test_a_code_is_as_small_as_its_text_allows(length: int, size: tuple[int, int]) -> None:
    """The sizes are those of the standard: 4 modules more a version, and 2 of border on each side."""
    assert needs(url_of(length)) == size
    assert scan(of_text(lines(url_of(length)))) == [url_of(length)]


@given(st.text(PRINTABLE, min_size=1, max_size=400))
def test_a_code_is_a_rectangle_of_what_it_needs_within_a_light_border(text: str) -> None:
    code = lines(text)
    assert [len(line) for line in code] == [needs(text).width] * needs(text).height
    assert set("".join(code)) == set("█▀▄ ")
    assert {code[0], code[-1]} == {"█" * len(code[0])}
    sides = {line[:BORDER] + line[-BORDER:] for line in code}
    assert sides == {"█" * 2 * BORDER}
    assert code[1][BORDER : BORDER + 7] in (" ▄▄▄▄▄ ",)  # a finder stands right behind the border


def test_what_no_code_holds_is_refused() -> None:
    assert scan(of_text(lines("x" * 2953))) == ["x" * 2953]
    with pytest.raises(ValueError, match="large"):
        lines("x" * 2954)
    with pytest.raises(ValueError, match="large"):
        needs("ä" * 1500)
    assert "longer than one holds" in str(why_not("x" * 2954, Size(500, 500), Size(500, 500)))


@pytest.mark.parametrize(("name", "value"), [("TERM", "linux"), ("TERM", "vt220"), ("LC_ALL", "C")])
def test_half_blocks_are_for_terminals_that_have_them(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Size(80, 24)
    assert why_not(url_of(60), room, room) is None
    monkeypatch.setenv(name, value)
    assert "which this terminal may not have" in str(why_not(url_of(60), room, room))


def test_why_a_code_is_not_drawn_is_said_with_both_sizes() -> None:
    text = url_of(127)
    terminal = Size(80, 24)
    assert why_not(text, Size(45, 23), terminal) is None
    assert why_not(text, Size(80, 18), Size(80, 18)) == "This QR needs 45x23, the terminal has 80x18."
    assert why_not(text, Size(44, 30), Size(44, 30)) == "This QR needs 45x23, the terminal has 44x30."
    assert why_not(text, Size(44, 23), terminal) == "This QR needs 45x23, here are 44x23."
    assert why_not(text, Size(45, 22), terminal) == "This QR needs 45x23, here are 45x22."


# The widget


class Stage(App[None]):
    """One code on a whole screen."""

    CSS = "QrCode { width: 1fr; height: 1fr; } Screen { background: $background; }"

    def __init__(self, text: str, theme: str = "textual-dark") -> None:
        super().__init__()
        self._text = text
        self.theme = theme

    def compose(self) -> ComposeResult:
        yield QrCode(self._text)

    def cells(self) -> list[list[Cell]]:
        return of_strips(self.screen._compositor.render_strips())

    def drawn(self) -> str:
        return "\n".join("".join(cell.character for cell in row) for row in self.cells())


@pytest.mark.parametrize("no_color", [False, True], ids=["colour", "no colour"])
@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "dracula"])
async def test_black_on_white_whatever_the_theme(theme: str, no_color: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    text = url_of(60)
    async with Stage(text, theme).run_test(size=(60, 24)) as pilot:
        assert isinstance(pilot.app, Stage)
        cells = pilot.app.cells()
        columns, rows = needs(text)
        top, left = (24 - rows) // 2, (60 - columns) // 2
        code = [row[left : left + columns] for row in cells[top : top + rows]]
        assert {shade for row in code for cell in row for shade in (cell.ink, cell.paper)} == {WHITE, BLACK}
        assert scan(code) == [text]
        assert scan(cells) == [text]


async def test_a_dark_terminal_without_any_colour_shows_it_by_reverse_alone() -> None:
    text = url_of(60)
    async with Stage(text).run_test(size=(60, 24)) as pilot:
        assert isinstance(pilot.app, Stage)
        strips = pilot.app.screen._compositor.render_strips()
        assert scan(of_strips(strips, colours=False)) == [text]


async def test_a_font_that_leaves_gaps_between_lines_and_a_poor_camera_still_read_it() -> None:
    text = url_of(120)
    async with Stage(text).run_test(size=(60, 30)) as pilot:
        assert isinstance(pilot.app, Stage)
        cells = pilot.app.cells()
        assert scan(cells, gap=1) == scan(cells, gap=3) == [text]
        askew = photograph(cells).resize((333, 300)).rotate(6, expand=True, fillcolor=40)
        assert read(askew.filter(ImageFilter.GaussianBlur(0.8))) == [text]


@given(st.integers(20, 160), st.integers(10, 60), st.integers(1, 400))
async def test_a_code_is_drawn_whole_or_its_text_is(columns: int, rows: int, length: int) -> None:
    text = url_of(length)
    fits = needs(text).width <= columns and needs(text).height <= rows
    async with Stage(text).run_test(size=(columns, rows)) as pilot:
        assert isinstance(pilot.app, Stage)
        drawn = pilot.app.drawn()
        if fits:
            assert scan(pilot.app.cells()) == [text]
        else:
            assert not set(drawn) & set("█▀▄")
            needed = needs(text)
            said = f"This QR needs {needed.width}x{needed.height}, the terminal has {columns}x{rows}."
            room = columns * (rows - 4)  # the sentence takes three lines at most, and one parts them
            assert "".join(drawn.split()).startswith("".join(said.split()) + text[:room])
