"""Fonts for documents. DejaVu Sans is part of the program; what it lacks is looked for on the machine.

DejaVu Sans has Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew, Arabic and more. For the rest the files and folders
of `[invoice] fonts` are searched, then the system's font folders. A font is taken where it can be embedded as it is:
outlines in TrueType, or in CFF with CIDs (as Noto Sans CJK has); not forbidden by its maker (OS/2 fsType); no bitmaps.

Only what makes a document imports this module: HarfBuzz and fontTools are slow to load.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import uharfbuzz as hb
from fontTools.ttLib import TTFont
from msgspec import Struct

from smartsub_tui.errors import Refused

OWN: Final = Path(__file__).parent.parent / "fonts"
_REGULAR: Final = OWN / "DejaVuSans.ttf"
_BOLD: Final = OWN / "DejaVuSans-Bold.ttf"
_SUFFIXES: Final = (".ttf", ".ttc", ".otf", ".otc")
_NEEDED: Final = {"cmap", "head", "hhea", "hmtx", "maxp", "name", "OS/2", "post"}
_PICTURES: Final = {"CBDT", "COLR", "sbix", "SVG "}
_MAY_NOT_EMBED: Final = 0x0002  # OS/2 fsType: restricted licence,
_ONLY_WHOLE: Final = 0x0300  # no subsetting, bitmaps only
# What shapes its neighbours and has no look of its own: joiners, and what chooses one form of a letter.
_SHAPERS: Final = re.compile("[\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_SHOWN: Final = 8

# How the Unicode names of their characters begin.
_EAST_ASIAN: Final = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH")
_RARE_HAN: Final = 0x20000


class Face(Struct, frozen=True, eq=False):
    """One font of a file, and the code points that it has glyphs for."""

    path: Path
    index: int
    characters: Collection[int]

    def has(self, text: str) -> bool:
        """Whether there is a glyph for every character that needs one."""
        return all(ord(character) in self.characters for character in text if needs_glyph(character))


class Fonts:
    """The fonts for one document. `named` is the setting: files and folders, parted by the system's path separator.

    The system's own folders are searched last; `system` takes their place in tests.
    """

    def __init__(self, named: str = "", system: Sequence[Path] | None = None) -> None:
        self._places = [Path(os.path.expanduser(each)) for each in named.split(os.pathsep) if each.strip()]
        for place in self._places:
            if not place.exists():
                raise Refused(f"{place} is not there: [invoice] fonts names files and folders with fonts")
        self._system = _system_folders() if system is None else system
        self._paths: dict[bool, list[Path]] = {}
        self._words: dict[tuple[str, bool], tuple[Face | None, ...]] = {}

    def of(self, text: str, *, bold: bool = False) -> tuple[Face | None, ...]:
        """The font of each character; None where there is no glyph for it anywhere.

        A word is set in one font if one has it whole, so that its letters join; else a letter keeps its marks.
        """
        return tuple(face for word in re.findall(r"\s+|\S+", text) for face in self._of_word(word, bold))

    def check(self, texts: Iterable[str]) -> None:
        """Raise Refused where a text has a character without a glyph: it names them and what brings a font."""
        missing = sorted({char for text in texts for char, face in zip(text, self.of(text), strict=True) if not face})
        if not missing:
            return
        shown = ", ".join(f"{char} (U+{ord(char):04X} {_script(char)})" for char in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        packages = " and ".join(sorted({_package(char) for char in missing} - {""}))
        help_ = f"install {packages}, or name" if packages else "name"
        raise Refused(f"no font has {shown}{more}: {help_} a font that has it in [invoice] fonts")

    def _of_word(self, word: str, bold: bool) -> tuple[Face | None, ...]:
        known = self._words.get((word, bold))
        if known is None:
            whole = self._first(word, bold)
            known = (whole,) * len(word) if whole else tuple(self._of_clusters(word, bold))
            self._words[word, bold] = known
        return known

    def _of_clusters(self, word: str, bold: bool) -> Iterator[Face | None]:
        for cluster in clusters(word):
            yield from [self._first(cluster, bold)] * len(cluster)

    def _first(self, text: str, bold: bool) -> Face | None:
        return next((face for face in self._in_order(bold) if face.has(text)), None)

    def _in_order(self, bold: bool) -> Iterator[Face]:
        mine, other = (_BOLD, _REGULAR) if bold else (_REGULAR, _BOLD)
        yield from _load(mine)
        if bold not in self._paths:
            places = [[place] for place in self._places] + [list(self._system)]
            self._paths[bold] = [
                path for group in places for path in sorted(_files(group), key=lambda path: _rank(path, bold))
            ]
        for path in self._paths[bold]:
            yield from _load(path)
        yield from _load(other)  # so that either weight has what the other has


def _load(path: Path) -> tuple[Face, ...]:
    """The fonts of a file that can be embedded: of a collection several, of what cannot be read none."""
    try:
        known = path.stat()
        return _read(path, known.st_mtime_ns, known.st_size) if stat.S_ISREG(known.st_mode) else ()
    except (OSError, hb.HarfBuzzError):
        return ()


@cache
def _read(path: Path, changed: int, size: int) -> tuple[Face, ...]:
    """As _load(), once for each state of a file."""
    blob = hb.Blob.from_file_path(path)
    faces = [hb.Face(blob, index) for index in range(hb.Face(blob, 0).count)]
    return tuple(Face(path, index, face.unicodes) for index, face in enumerate(faces) if _fits(path, face))


def needs_glyph(character: str) -> bool:
    """Whether a character has a look of its own."""
    return _SHAPERS.match(character) is None


def clusters(text: str) -> list[str]:
    """Letters with the marks and joiners that belong to them."""
    found: list[str] = []
    for character in text:
        if found and (unicodedata.category(character)[0] == "M" or not needs_glyph(character)):
            found[-1] += character
        else:
            found.append(character)
    return found


def _fits(path: Path, face: hb.Face) -> bool:
    tags = set(face.table_tags)
    if not tags >= _NEEDED or tags & _PICTURES:
        return False
    may = int.from_bytes(face.reference_table("OS/2").data[8:10], "big")
    if may & 0x000F == _MAY_NOT_EMBED or may & _ONLY_WHOLE:
        return False
    if "glyf" in tags:
        return True
    if "CFF " not in tags:
        return False
    with TTFont(path, fontNumber=face.index, lazy=True) as font:
        try:
            return hasattr(font["CFF "].cff.topDictIndex[0], "ROS")
        except Exception:  # whatever fontTools says of a table that is broken
            return False


def _files(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_file():
            yield place
        for folder, _, names in os.walk(place, followlinks=True):
            yield from (Path(folder, name) for name in names if name.lower().endswith(_SUFFIXES))


def _rank(path: Path, bold: bool) -> tuple[bool, bool, bool, int, str]:
    """Upright before slanted, the wanted weight before others, sans serif before serif; then the plainest name."""
    name = path.stem.lower()
    slanted = "italic" in name or "oblique" in name
    heavy = "bold" in name and "semibold" not in name
    other = any(word in name for word in ("light", "thin", "black", "medium", "semibold", "condensed", "mono"))
    return slanted, heavy != bold or other, "sans" not in name, len(path.stem), str(path)


def _system_folders() -> list[Path]:
    """Where fonts are installed: the person's, then all people's; those of the XDG rules and those of macOS."""
    home = Path.home()
    data = os.environ.get("XDG_DATA_HOME") or home / ".local/share"
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    folders = [Path(data, "fonts"), home / ".fonts", *(Path(each, "fonts") for each in shared.split(":") if each)]
    return [*folders, home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts")]


def _script(character: str) -> str:
    """The first word of the character's Unicode name, which is its script: DEVANAGARI, CJK."""
    return unicodedata.name(character, "unnamed").split()[0]


def _package(character: str) -> str:
    """The Debian package that brings a font; none for characters of private use."""
    if unicodedata.category(character) == "Co":
        return ""
    if _script(character) in _EAST_ASIAN:
        return "fonts-noto-cjk" if ord(character) < _RARE_HAN else "fonts-hanazono"
    return "fonts-symbola" if unicodedata.category(character)[0] == "S" else "fonts-noto-core"
