"""Which font has a character: the program's own, those of the setting, the system's; and which cannot be taken."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont
from fontTools.ttLib.tables.DefaultTable import DefaultTable
from hypothesis import given
from hypothesis import strategies as st

from smartsub_tui.billing.fonts import OWN, Fonts, clusters
from smartsub_tui.errors import Refused
from tests.support import fonts_for

pytestmark = pytest.mark.once

# Characters of private use: no other font of this machine is asked for them.
A, B = "\ue000", "\ue001"


def make_font(path: Path, characters: str, *, cff: bool = False, fs_type: int = 0, name: str = "Test") -> Path:
    """A font that has a square for each of these characters."""
    builder = FontBuilder(1000, isTTF=not cff)
    names = [".notdef", *(f"g{ord(character):x}" for character in characters)]
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(character): f"g{ord(character):x}" for character in characters})
    pen: Any = T2CharStringPen(500, None) if cff else TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((0, 500))
    pen.lineTo((500, 500))
    pen.closePath()
    if cff:
        builder.setupCFF(name, {}, dict.fromkeys(names, pen.getCharString()), {})
    else:
        builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (500, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2(fsType=fs_type)
    builder.setupPost()
    builder.save(path)
    return path


def fonts_of(text: str, named: str = "", system: list[Path] | None = None, *, bold: bool = False) -> list[str | None]:
    return [face.path.name if face else None for face in Fonts(named, system or []).of(text, bold=bold)]


def test_latin_greek_and_cyrillic_are_in_the_program_s_own_in_both_weights() -> None:
    everyday = "".join(chr(code) for code in (*range(0x21, 0x7F), *range(0xA1, 0x250), *range(0x400, 0x460)))
    for text in (everyday.replace("\xad", ""), "Ελλάδα Ὀδυσσεύς", "Ўткир", "€ – … ₽"):
        Fonts("", []).check([text])
        assert set(fonts_of(text)) == {"DejaVuSans.ttf"}
        assert set(fonts_of(text, bold=True)) == {"DejaVuSans-Bold.ttf"}


def test_either_weight_has_what_the_other_has() -> None:
    with TTFont(OWN / "DejaVuSans.ttf") as font, TTFont(OWN / "DejaVuSans-Bold.ttf") as heavy:
        regular, bold = set(font.getBestCmap()), set(heavy.getBestCmap())
    (*_, only_regular) = sorted(regular - bold)
    assert fonts_of(chr(only_regular), bold=True) == ["DejaVuSans.ttf"]
    Fonts("", []).check(map(chr, sorted(regular | bold)))


def test_its_licence_lies_beside_it() -> None:
    assert "Permission is hereby granted, free of charge" in (OWN / "LICENSE").read_text()
    with TTFont(OWN / "DejaVuSans.ttf") as font:
        held = " ".join(font["name"].getDebugName(13).split())
    assert held in " ".join((OWN / "LICENSE").read_text().split())


def test_the_setting_names_files_and_folders_in_their_order_before_the_system(tmp_path: Path) -> None:
    first, second, system = (tmp_path / name for name in ("first", "second", "system"))
    for folder in (first, second, system):
        (folder / "deep").mkdir(parents=True)
    make_font(second / "deep" / "b.ttf", A)
    make_font(system / "c.ttf", A + B)
    assert fonts_of(A + B, str(second), [system]) == ["c.ttf", "c.ttf"]  # a word in one font, where one has it whole
    assert fonts_of(f"{A} {B}", str(second), [system])[::2] == ["b.ttf", "c.ttf"]
    file = make_font(first / "a.ttf", A)
    assert fonts_of(A, os.pathsep.join((str(file), str(second))), [system]) == ["a.ttf"]
    assert fonts_of(A, os.pathsep.join((str(second), str(file))), [system]) == ["b.ttf"]


def test_a_word_that_no_font_has_whole_is_parted_but_a_letter_keeps_its_marks(tmp_path: Path) -> None:
    make_font(tmp_path / "a.ttf", A)
    make_font(tmp_path / "b.ttf", "e\u0489")
    assert fonts_of(f"x{A}", "", [tmp_path]) == ["DejaVuSans.ttf", "a.ttf"]
    make_font(tmp_path / "c.ttf", B + "\u0301")
    assert fonts_of(f"{A}{B}\u0301\u200dx", "", [tmp_path]) == ["a.ttf", "c.ttf", "c.ttf", "c.ttf", "DejaVuSans.ttf"]


def test_upright_before_slanted_and_the_wanted_weight_before_others(tmp_path: Path) -> None:
    for name in ("A-Italic", "B-Bold", "C-Light", "DSerif-Regular", "ESans-Regular", "ESans-Bold", "ESansUI-Regular"):
        make_font(tmp_path / f"{name}.ttf", A)
    assert fonts_of(A, "", [tmp_path]) == ["ESans-Regular.ttf"]
    assert fonts_of(A, "", [tmp_path], bold=True) == ["ESans-Bold.ttf"]


@pytest.mark.parametrize("other", ["Light", "Thin", "Black", "Medium", "SemiBold", "Condensed", "Mono", "Oblique"])
def test_the_usual_shape_is_taken_before_others(tmp_path: Path, other: str) -> None:
    for name in (f"Sans{other}", f"Sans{other}Bold", "LongNameOfSansRegular", "LongNameOfSansBold"):
        make_font(tmp_path / f"{name}.ttf", A)
    assert fonts_of(A, "", [tmp_path]) == ["LongNameOfSansRegular.ttf"]
    assert fonts_of(A, "", [tmp_path], bold=True) == ["LongNameOfSansBold.ttf"]


def test_every_font_of_a_collection_is_looked_at(tmp_path: Path) -> None:
    collection = TTCollection()
    collection.fonts = [TTFont(make_font(tmp_path / f"{number}", text)) for number, text in enumerate((A, B))]
    collection.save(tmp_path / "both.ttc")
    found = Fonts(str(tmp_path / "both.ttc"), []).of(A + B)
    assert [(face.path.name, face.index) for face in found if face] == [("both.ttc", 0), ("both.ttc", 1)]


@pytest.mark.parametrize("fs_type", [0x0002, 0x0100, 0x0200])
def test_a_font_that_may_not_be_embedded_is_passed_over(tmp_path: Path, fs_type: int) -> None:
    make_font(tmp_path / "a.ttf", A, fs_type=fs_type)
    assert fonts_of(A, "", [tmp_path]) == [None]
    make_font(tmp_path / "b.ttf", A, fs_type=0x0008)
    assert fonts_of(A, "", [tmp_path]) == ["b.ttf"]


def test_a_place_that_is_not_there_is_named() -> None:
    for named in ("nowhere", "~nobody_of_this_name/fonts"):
        with pytest.raises(Refused, match=rf"^{named} is not there: \[invoice\] fonts names files and folders"):
            Fonts(named, [])


def test_what_is_no_font_or_cannot_be_embedded_as_it_is_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"OTTO" + bytes(100))
    (tmp_path / "empty.otf").write_bytes(b"")
    (tmp_path / "gone.ttf").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.ttf")
    make_font(tmp_path / "cff.otf", A, cff=True)  # by names, not by CIDs
    for table, name in (("glyf", "no-outlines"), ("post", "no-names")):
        with TTFont(make_font(tmp_path / "whole", A)) as font:
            del font[table]
            font.save(tmp_path / f"{name}.ttf")
    with TTFont(make_font(tmp_path / "whole", A)) as font:
        font["sbix"] = DefaultTable("sbix")
        font["sbix"].data = bytes(8)
        font.save(tmp_path / "pictures.ttf")
    with TTFont(make_font(tmp_path / "whole", A, cff=True)) as font:
        table = font.reader.tables["CFF "]
    content = bytearray((tmp_path / "whole").read_bytes())
    content[table.offset : table.offset + table.length] = bytes(table.length)
    (tmp_path / "broken-outlines.otf").write_bytes(content)
    assert fonts_of(A, "", [tmp_path]) == [None]


def test_what_chooses_a_form_needs_no_glyph_of_its_own(tmp_path: Path) -> None:
    make_font(tmp_path / "a.ttf", A)
    Fonts("", [tmp_path]).check([f"{A}\U000e0100\u200d{A}\ufe0f"])


@given(st.text(st.sampled_from("ae\u0301\u093f\u200dक ")))
def test_clusters_are_the_text_each_with_one_letter(text: str) -> None:
    assert "".join(clusters(text)) == text
    assert all(cluster[0] not in "\u0301\u093f\u200d" for cluster in clusters(text)[1:])


def test_a_place_that_is_missing_is_told() -> None:
    with pytest.raises(Refused, match=r"/nowhere/at/all is not there: \[invoice\] fonts names files"):
        Fonts("/nowhere/at/all")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "王",
            r"no font has 王 \(U\+738B CJK\): install fonts-noto-cjk, or name a font that has it in \[invoice\] fonts$",
        ),
        ("한글", r"no font has 글 \(U\+AE00 HANGUL\), 한 \(U\+D55C HANGUL\): install fonts-noto-cjk"),
        ("यश", "U\\+092F DEVANAGARI.*install fonts-noto-core"),
        ("王य", "install fonts-noto-cjk and fonts-noto-core, or"),
        ("🌴", "install fonts-symbola"),
        ("𠮷", "install fonts-hanazono"),
        ("\ue000", "U\\+E000 unnamed\\): name a font that has it"),
        ("".join(map(chr, range(0x4E00, 0x4E08))), "U\\+4E07 CJK\\): install"),
        ("".join(map(chr, range(0x4E00, 0x4E14))), "U\\+4E07 CJK\\) and 12 more: install"),
    ],
)
def test_a_refusal_names_the_characters_their_script_and_the_package_that_brings_a_font(text: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        Fonts("", []).check(["Ann", text])


def test_the_system_s_folders_are_those_of_the_person_and_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in ("XDG_DATA_HOME", "XDG_DATA_DIRS"):
        monkeypatch.delenv(variable, raising=False)
    for folder in ("home/.local/share/fonts", "home/.fonts", "mine/fonts", "shared/fonts"):
        (tmp_path / folder).mkdir(parents=True)
    for folder, environment in (
        ("home/.local/share/fonts", {}),
        ("home/.fonts", {}),
        ("mine/fonts", {"XDG_DATA_HOME": str(tmp_path / "mine")}),
        ("shared/fonts", {"XDG_DATA_DIRS": f"/nowhere:{tmp_path / 'shared'}"}),
    ):
        font = make_font(tmp_path / folder / "a.ttf", A)
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        (face,) = Fonts().of(A)
        assert face is not None
        assert face.path == font
        font.unlink()


@pytest.mark.parametrize("text", ["王冬梅", "ひらがな", "김철수", "यश शर्मा", "ทดสอบ", "தமிழ்", "বাংলা", "አማርኛ", "🌴"])
def test_the_fonts_that_the_refusals_name_have_what_was_refused(text: str) -> None:
    fonts_for(text)
    assert None not in fonts_of(text, "", [Path("/usr/share/fonts")])
