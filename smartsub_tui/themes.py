"""The looks: dark, light and high contrast. Every colour that says something has its place here once.

Text stands on its background with a contrast of at least 4.5 to 1 (WCAG 2, AA), in high contrast of 7 to 1 (AAA). What
colour says, a glyph and a word say too.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rich.terminal_theme import TerminalTheme
from textual.color import Color
from textual.theme import Theme


class Palette(NamedTuple):
    """Colours as #RRGGBB. `panel` is the first line, a message, a question; `field` what is typed in."""

    dark: bool
    background: str
    panel: str
    field: str
    foreground: str
    quiet: str
    cursor: str
    on_cursor: str
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
        bar="#8CC4FF",
        danger="#FFA0A0",
        warning="#FFD000",
        good="#7DFF9B",
        busy="#7FE9FF",
    ),
}


def theme(name: str) -> Theme:
    """The theme of that name, for Textual: what widgets are drawn in."""
    look = PALETTES[name]
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
            "scrollbar": Color.parse(look.panel).blend(Color.parse(look.quiet), 0.6).hex,
            "scrollbar-hover": look.quiet,
            "scrollbar-active": look.quiet,
            "scrollbar-background": look.panel,
            "scrollbar-background-hover": look.panel,
            "scrollbar-background-active": look.panel,
        },
    )


def terminal_theme(name: str) -> TerminalTheme:
    """What the sixteen names that cells of tables are styled with mean: the same colours."""
    look = PALETTES[name]
    colours = [look.background, look.danger, look.good, look.warning, look.bar, look.bar, look.busy, look.foreground]
    normal = [_rgb(colour) for colour in colours]
    return TerminalTheme(_rgb(look.background), _rgb(look.foreground), normal, [_rgb(look.quiet), *normal[1:]])


def _rgb(colour: str) -> tuple[int, int, int]:
    return Color.parse(colour).rgb
