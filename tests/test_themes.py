"""The looks: all text is read on what it stands on, as it reaches the terminal, in every theme and without colour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from rich.color import Color as RichColor
from rich.style import Style
from textual.color import Color

from smartsub_tui import display, themes
from smartsub_tui.app import SmartSubApp
from smartsub_tui.config import THEMES
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.screens.pay import PayScreen
from tests.screens.stage import make_database, on_stage, press, settle, write
from tests.screens.test_journey import fill

# WCAG 2: AA for text, AAA for high contrast; graphics and rules that only part things need less, or nothing.
LEAST: Final = {"dark": 4.5, "light": 4.5, "contrast": 7.0}
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


def painted(app: SmartSubApp) -> Iterator[tuple[str, Color, Color]]:
    """Every piece of text with its colour and that behind it, after all that Textual does to them."""
    background = app.screen.styles.background
    strips = app.screen._compositor.render_strips()
    if isinstance(app.screen, ConfirmScreen):  # what lies behind a question is meant to fade
        asked = app.screen.query_one("#confirm").region
        strips = [strip.crop(asked.x, asked.right) for strip in strips[asked.y : asked.bottom]]
    for strip in strips:
        segments = list(strip)
        for line_filter in app.get_line_filters():
            segments = line_filter.apply(segments, background)
        for text, style, _ in segments:
            if text.strip() and style is not None:
                assert style.color is not None
                assert style.bgcolor is not None
                ends = _of(style.color), _of(style.bgcolor)
                if style.dim:
                    ends = ends[0].blend(ends[1], 0.5), ends[1]
                yield (text, *(reversed(ends) if style.reverse else ends))


def _of(colour: RichColor) -> Color:
    assert colour.triplet is not None, f"{colour} is left to the terminal"
    return Color(*colour.triplet)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("theme", [*THEMES, "no colour"])
async def test_all_text_stands_out(path: Path, theme: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if theme == "no colour":
        monkeypatch.setenv("NO_COLOR", "1")
    keys, text = WAYS[way]
    async with on_stage(path, theme="dark" if theme == "no colour" else theme) as (app, pilot):
        await press(pilot, *keys)
        await write(pilot, text)
        if way in ("question", "pay"):
            await press(pilot, "enter", "c" if way == "pay" else "f")
            assert isinstance(app.screen, PayScreen if way == "pay" else ConfirmScreen)
        app.tell("a sentence about something wrong", wrong=way != "messages")
        await settle(pilot)
        seen = 0
        for piece, colour, behind in painted(app):
            least = LEAST.get(theme, 4.5)
            if set(piece) <= _DRAWN:
                least = 3.0 if "█" in piece else 1.1
            assert ratio(colour, behind) >= least, (piece, colour.hex, behind.hex)
            seen += 1
        assert seen > 5


@pytest.mark.parametrize("theme", THEMES)
def test_every_style_stands_out_wherever_it_may_stand(theme: str) -> None:
    look = themes.PALETTES[theme]
    sixteen = themes.terminal_theme(theme)
    variables = themes.theme(theme).to_color_system().generate() | themes.theme(theme).variables
    for name, (for_cells, for_widgets) in display.STYLES.items():
        style = Style.parse(for_cells)
        assert style.color is not None
        colour = Color(*style.color.get_truecolor(sixteen))
        same = Color.parse(variables[for_widgets.rpartition("$")[2]])
        assert colour == same, name  # cells and all else look alike
        for behind in (look.background, look.panel):
            assert ratio(colour, Color.parse(behind)) >= (3.0 if name == "bar" else LEAST[theme]), (name, behind)
    assert ratio(Color.parse(look.on_cursor), Color.parse(look.cursor)) >= LEAST[theme]
    assert ratio(Color.parse(look.foreground), Color.parse(look.field)) >= LEAST[theme]
    assert ratio(Color.parse(look.quiet), Color.parse(look.field)) >= LEAST[theme]


def test_the_ratio_is_that_of_the_standard() -> None:
    assert ratio(Color.parse("#000000"), Color.parse("#FFFFFF")) == pytest.approx(21)
    assert ratio(Color.parse("#777777"), Color.parse("#FFFFFF")) == pytest.approx(4.48, abs=0.01)
    assert ratio(Color.parse("#FFFFFF"), Color.parse("#0000FF")) == pytest.approx(8.59, abs=0.01)


def test_there_is_a_palette_for_every_setting() -> None:
    assert tuple(themes.PALETTES) == THEMES
