"""A camera: turns the cells of a screen into a picture, as a terminal would draw them, and reads the QR codes in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import zxingcpp
from PIL import Image
from rich.color import Color
from textual.strip import Strip

WHITE: Final = 255
BLACK: Final = 0
# Pixels of a cell.
WIDTH: Final = 4
HEIGHT: Final = 8


class Cell(NamedTuple):
    """A character, and how bright its ink and its paper are: 0 to 255."""

    character: str
    ink: int = WHITE
    paper: int = BLACK


def of_text(lines: Iterable[str], *, ink: int = WHITE, paper: int = BLACK) -> list[list[Cell]]:
    """The cells of a terminal that knows one colour on another: by default a dark one."""
    return [[Cell(character, ink, paper) for character in line] for line in lines]


def of_strips(strips: Iterable[Strip], *, colours: bool = True, light: bool = False) -> list[list[Cell]]:
    """The cells of what Textual draws; without `colours` as a dark or `light` terminal that knows none draws them."""
    rows = []
    for strip in strips:
        row: list[Cell] = []
        for segment in strip:
            style = segment.style
            assert style is not None
            ink, paper = (BLACK, WHITE) if light else (WHITE, BLACK)
            if colours:
                assert style.bgcolor is not None
                paper = brightness(style.bgcolor)
                ink = brightness(style.color) if style.color else paper  # of blanks Textual names none
            if style.reverse:
                ink, paper = paper, ink
            row += [Cell(each, ink, paper) for each in segment.text]
        rows.append(row)
    return rows


def brightness(colour: Color) -> int:
    red, green, blue = colour.get_truecolor()
    return round(0.299 * red + 0.587 * green + 0.114 * blue)


def photograph(rows: Sequence[Sequence[Cell]], *, gap: int = 0) -> Image.Image:
    """The picture of these cells. `gap`: pixels at the foot of each that the font's blocks do not reach."""
    cell_height = HEIGHT + gap
    picture = Image.new("L", (WIDTH * max(map(len, rows)), cell_height * len(rows)))
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            left, top = WIDTH * x, cell_height * y
            picture.paste(cell.paper, (left, top, left + WIDTH, top + cell_height))
            first, last = {"█": (0, HEIGHT), "▀": (0, HEIGHT // 2), "▄": (HEIGHT // 2, HEIGHT)}.get(
                cell.character, (0, 0)
            )
            if last:
                picture.paste(cell.ink, (left, top + first, left + WIDTH, top + last))
    return picture


def scan(rows: Sequence[Sequence[Cell]], *, gap: int = 0) -> list[str]:
    """The texts of all QR codes that these cells show, dark on light only: not every scanner reads the reverse."""
    return read(photograph(rows, gap=gap))


def read(picture: Image.Image) -> list[str]:
    found = zxingcpp.read_barcodes(
        picture, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode), try_invert=False
    )
    return [each.text for each in found]
