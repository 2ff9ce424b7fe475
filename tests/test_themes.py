"""The looks: all text is read on what it stands on, as it reaches the terminal, in every theme and without colour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from rich._palettes import STANDARD_PALETTE
from rich.color import Color as RichColor
from rich.console import COLOR_SYSTEMS
from rich.style import Style
from textual.color import Color

from smartsub_tui import display, themes
from smartsub_tui.app import SmartSubApp
from smartsub_tui.config import THEMES
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.screens.export import ExportScreen
from smartsub_tui.screens.pay import PayScreen
from tests.screens.stage import make_database, on_stage, press, settle, write
from tests.screens.test_journey import fill

# WCAG 2: AA for text, AAA for high contrast; graphics and rules that only part things need less, or nothing.
LEAST: Final = {"dark": 4.5, "light": 4.5, "contrast": 7.0}
COLOURS: Final = ("truecolor", "256", "standard")
_DRAWN: Final = set("─█▏▎▍▌▋▊▉▁▂▃▄▅▆▇#▇ ")
# Keys from the dashboard on, and what is typed in a field.
WAYS: Final = {
    "dashboard": ((), ""),
    "panels": (("tab",), ""),
    "triage": (("T",), ""),
    "expiring": (("tab", "tab", "enter", "v"), ""),
    "subscriptions": (("2",), ""),
    "renew": (("j", "n", "space", "j", "j"), ""),
    "payments": (("3", "j"), ""),
    "order": (("3", "enter"), ""),
    "wrong filter": (("3", "slash"), "status:faild"),
    "question": (("3", "slash"), "status:system"),
    "pay": (("3", "slash"), "status:system"),
    "export": (("3", "e"), ""),
    "activate": (("j", "a", "A"), ""),
    "help": (("question_mark",), ""),
    "messages": (("M",), ""),
    "views": (("3", "w"), ""),
    "command": (("colon",), "pay"),
    "commands": (("ctrl+p", "down"), ""),
    "wrong command": (("colon", "x", "x", "enter"), ""),
}


def ratio(one: Color, other: Color) -> float:
    """The contrast of two colours by WCAG 2."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Color) -> float:
    parts = [part / 255 for part in colour.rgb]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def sent(colour: str | RichColor, colours: str) -> Color:
    """A colour as a terminal of so many `colours` gets it, and as it means it."""
    rich_colour = RichColor.parse(colour) if isinstance(colour, str) else colour
    got = rich_colour.downgrade(COLOR_SYSTEMS[colours])
    return Color(
        *(STANDARD_PALETTE[got.number] if colours == "standard" and got.number is not None else got.get_truecolor())
    )


def painted(app: SmartSubApp, colours: str = "truecolor") -> Iterator[tuple[str, Color, Color]]:
    """Every piece of text with its colour and that behind it, after all that Textual does to them."""
    background = app.screen.styles.background
    strips = app.screen._compositor.render_strips()
    if isinstance(app.screen, ConfirmScreen | ExportScreen):  # what lies behind a question is meant to fade
        asked = app.screen.query_one("#confirm, #export").region
        strips = [strip.crop(asked.x, asked.right) for strip in strips[asked.y : asked.bottom]]
    for strip in strips:
        segments = list(strip)
        for line_filter in app.get_line_filters():
            segments = line_filter.apply(segments, background)
        for text, style, _ in segments:
            if text.strip() and style is not None:
                assert style.color is not None
                assert style.bgcolor is not None
                assert style.color.triplet is not None, f"{style.color} is left to the terminal"
                ends = sent(style.color, colours), sent(style.bgcolor, colours)
                if style.dim:
                    ends = ends[0].blend(ends[1], 0.5), ends[1]
                yield (text, *(reversed(ends) if style.reverse else ends))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


@asynccontextmanager
async def on_the_way(path: Path, way: str, theme: str = "dark") -> AsyncIterator[SmartSubApp]:
    """The application where that way leads, with something wrong told."""
    keys, text = WAYS[way]
    async with on_stage(path, theme=theme) as (app, pilot):
        await press(pilot, *keys)
        await write(pilot, text)
        if way in ("question", "pay"):
            await press(pilot, "enter", "c" if way == "pay" else "f")
            assert isinstance(app.screen, PayScreen if way == "pay" else ConfirmScreen)
        app.tell("a sentence about something wrong", wrong=way != "messages")
        await settle(pilot)
        yield app


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("theme", [*THEMES, "dark in 16"])
async def test_all_text_stands_out(path: Path, theme: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, few = theme.partition(" ")
    if few:
        monkeypatch.delenv("COLORTERM")
        monkeypatch.setenv("TERM", "xterm-16color")
    async with on_the_way(path, way, name) as app:
        seen = 0
        for piece, colour, behind in painted(app, "standard" if few else "truecolor"):
            least = LEAST[name]
            if set(piece) <= _DRAWN:
                least = 3.0 if "█" in piece else 1.1
            assert ratio(colour, behind) >= least, (piece, colour.hex, behind.hex)
            seen += 1
        assert seen >= 5


@pytest.mark.parametrize("way", WAYS)
async def test_without_colour_there_is_none(path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with on_the_way(path, way) as app:
        styles = [segment.style for strip in app.screen._compositor.render_strips() for segment in strip]
        assert {(style.color, style.bgcolor, style.dim) for style in styles if style} == {(None, None, False)}


@pytest.mark.parametrize("colours", COLOURS)
@pytest.mark.parametrize("theme", THEMES)
def test_every_style_stands_out_wherever_it_may_stand(theme: str, colours: str) -> None:
    look = themes.palette(theme, colours)
    # What reaches the terminal is what is meant.
    fields = {name: sent(colour, colours).hex for name, colour in look._asdict().items() if name != "dark"}
    look = themes.Palette(look.dark, *fields.values())
    least = LEAST[theme] if colours != "standard" else 4.5  # the red of the VGA has no more on black
    sixteen = themes.terminal_theme(look)
    of_widgets = themes.theme(theme, look)
    variables = of_widgets.to_color_system().generate() | of_widgets.variables
    for name, (for_cells, for_widgets) in display.STYLES.items():
        style = Style.parse(for_cells)
        assert style.color is not None
        colour = Color(*style.color.get_truecolor(sixteen))
        same = Color.parse(variables[for_widgets.rpartition("$")[2]])
        assert colour == same, name  # cells and all else look alike
        for behind in (look.background, look.panel):
            assert ratio(colour, Color.parse(behind)) >= (3.0 if name == "bar" else least), (name, behind)
    for text, behind in (("on_cursor", "cursor"), ("foreground", "field"), ("quiet", "field"), ("foreground", "panel")):
        assert ratio(Color.parse(getattr(look, text)), Color.parse(getattr(look, behind))) >= least, text
    for part in (look.cursor, look.thumb):  # the row under the cursor, and where one is, are seen
        assert ratio(Color.parse(part), Color.parse(look.background)) >= 2.0


@pytest.mark.parametrize("theme", THEMES)
def test_the_sixteen_are_those_that_every_terminal_has(theme: str) -> None:
    look = themes.palette(theme, "standard")._asdict()
    del look["dark"]
    assert {name: sent(colour, "standard").hex for name, colour in look.items()} == look


def test_the_ratio_is_that_of_the_standard() -> None:
    assert ratio(Color.parse("#000000"), Color.parse("#FFFFFF")) == pytest.approx(21)
    assert ratio(Color.parse("#777777"), Color.parse("#FFFFFF")) == pytest.approx(4.48, abs=0.01)
    assert ratio(Color.parse("#FFFFFF"), Color.parse("#0000FF")) == pytest.approx(8.59, abs=0.01)


def test_there_is_a_palette_for_every_setting() -> None:
    assert tuple(themes.PALETTES) == THEMES
