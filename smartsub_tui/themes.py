"""The looks: dark, light and high contrast. Every colour that says something has its place here once.

Text stands on its background with a contrast of at least 4.5 to 1 (WCAG 2, AA), in high contrast of 7 to 1 (AAA). What
colour says, a glyph and a word say too.

A palette is made for 24-bit terminals. One with 256 or 16 colours takes the nearest that it has, which is not always
the one that is meant: there the colours are named that it does have.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rich.terminal_theme import TerminalTheme
from textual.color import Color
from textual.theme import Theme


class Palette(NamedTuple):
    """Colours as #RRGGBB. `panel` is the first line, a message, a question; `field` what is typed in; `thumb` says in a
    scroll bar where one is.
    """

    dark: bool
    background: str
    panel: str
    field: str
    foreground: str
    quiet: str
    cursor: str
    on_cursor: str
    thumb: str
    bar: str
    danger: str
    warning: str
    good: str
    busy: str


PALETTES: Final = {
    "dark": Palette(
        dark=True,
        background="#121212",
        panel="#242F38",
        field="#1E1E1E",
        foreground="#E0E0E0",
        quiet="#A2A8AD",
        cursor="#0B5FAE",
        on_cursor="#FFFFFF",
        thumb="#6F777E",
        bar="#3D8FD9",
        danger="#FF8A8A",
        warning="#FFB454",
        good="#7FD18C",
        busy="#6CC7E0",
    ),
    "light": Palette(
        dark=False,
        background="#F7F7F5",
        panel="#E1E6EB",
        field="#FFFFFF",
        foreground="#1C1C1C",
        quiet="#55595E",
        cursor="#0B5CA8",
        on_cursor="#FFFFFF",
        thumb="#8D9196",
        bar="#3A7FC0",
        danger="#A5162A",
        warning="#7A4A00",
        good="#1B6330",
        busy="#00587D",
    ),
    "contrast": Palette(
        dark=True,
        background="#000000",
        panel="#1C1C1C",
        field="#1C1C1C",
        foreground="#FFFFFF",
        quiet="#C8C8C8",
        cursor="#FFE600",
        on_cursor="#000000",
        thumb="#838383",
        bar="#8CC4FF",
        danger="#FFA0A0",
        warning="#FFD000",
        good="#7DFF9B",
        busy="#7FE9FF",
    ),
}

_OF_256: Final = {
    "dark": PALETTES["dark"]._replace(panel="#303030"),
    "light": PALETTES["light"]._replace(panel="#EBEBEB", bar="#005FAF", good="#005F00"),
    "contrast": PALETTES["contrast"],
}
# The sixteen of the VGA. Text is grey, so that bold is seen where it makes bright. A panel is told by what stands in
# it: a blue one takes red text badly, and a grey one the Linux console does not have.
_OF_16: Final = {
    "dark": Palette(
        dark=True,
        background="#000000",
        panel="#000000",
        field="#000000",
        foreground="#AAAAAA",
        quiet="#AAAAAA",
        cursor="#AAAAAA",
        on_cursor="#000000",
        thumb="#AAAAAA",
        bar="#00AAAA",
        danger="#FF5555",
        warning="#FFFF55",
        good="#55FF55",
        busy="#55FFFF",
    ),
    "light": Palette(
        dark=False,
        background="#FFFFFF",
        panel="#FFFFFF",
        field="#FFFFFF",
        foreground="#000000",
        quiet="#555555",
        cursor="#0000AA",
        on_cursor="#FFFFFF",
        thumb="#555555",
        bar="#0000AA",
        danger="#AA0000",
        warning="#AA00AA",
        good="#000000",
        busy="#0000AA",
    ),
    "contrast": Palette(
        dark=True,
        background="#000000",
        panel="#000000",
        field="#000000",
        foreground="#FFFFFF",
        quiet="#AAAAAA",
        cursor="#FFFFFF",
        on_cursor="#000000",
        thumb="#AAAAAA",
        bar="#55FFFF",
        danger="#FF5555",
        warning="#FFFF55",
        good="#55FF55",
        busy="#55FFFF",
    ),
}


def palette(name: str, colours: str | None = "truecolor") -> Palette:
    """The palette of that name for a terminal of so many `colours`: "truecolor", "256" or "standard", as Rich says."""
    return {"256": _OF_256, "standard": _OF_16}.get(colours or "", PALETTES)[name]


def theme(name: str, look: Palette) -> Theme:
    """A palette as a theme of that name, for Textual: what widgets are drawn in."""
    return Theme(
        name=name,
        dark=look.dark,
        primary=look.bar,
        secondary=look.busy,
        warning=look.warning,
        error=look.danger,
        success=look.good,
        accent=look.bar,
        foreground=look.foreground,
        background=look.background,
        surface=look.field,
        panel=look.panel,
        variables={
            "text": look.foreground,
            "text-muted": look.quiet,
            "text-disabled": look.quiet,
            "text-error": look.danger,
            "text-warning": look.warning,
            "text-success": look.good,
            "text-secondary": look.busy,
            "block-cursor-background": look.cursor,
            "block-cursor-foreground": look.on_cursor,
            "block-cursor-text-style": "none",
            "block-cursor-blurred-background": look.panel,
            "block-cursor-blurred-foreground": look.foreground,
            "input-selection-background": look.cursor,
            "input-selection-foreground": look.on_cursor,
            "scrollbar": look.thumb,
            "scrollbar-hover": look.quiet,
            "scrollbar-active": look.quiet,
            "scrollbar-background": look.panel,
            "scrollbar-background-hover": look.panel,
            "scrollbar-background-active": look.panel,
        },
    )


def terminal_theme(look: Palette) -> TerminalTheme:
    """What the sixteen names that cells of tables are styled with mean: the colours of the palette."""
    colours = [look.background, look.danger, look.good, look.warning, look.bar, look.bar, look.busy, look.foreground]
    normal = [_rgb(colour) for colour in colours]
    return TerminalTheme(_rgb(look.background), _rgb(look.foreground), normal, [_rgb(look.quiet), *normal[1:]])


def _rgb(colour: str) -> tuple[int, int, int]:
    return Color.parse(colour).rgb
