"""An invoice or a credit note as PDF/A-3B, drawn from its stored row and snapshot alone.

The same invoice is the same bytes, whenever and wherever it is drawn: its date is the day of issue, its id a digest of
its content, and nothing is compressed, as deflate is not the same in every build of Python. What may change it is
another version of fpdf2, fontTools or HarfBuzz, and for characters beyond DejaVu Sans another set of fonts.

Only what makes an invoice imports this module: fpdf2 is slow to load.
"""

from __future__ import annotations

import json
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from html import escape
from itertools import groupby
from typing import Any, Final

from fpdf import FPDF
from fpdf.bidi import BidiParagraph
from fpdf.enums import TextDirection
from fpdf.output import OutputProducer, PDFFontStream
from fpdf.syntax import PDFContentStream, PDFObject
from msgspec import Struct

from smartsub_tui.billing.fonts import Face, Fonts, clusters, needs_glyph
from smartsub_tui.data.models import Invoice
from smartsub_tui.data.money import format_amount
from smartsub_tui.data.vocabulary import LineAction, OfficeKind, OrderType, ProviderName, Service
from smartsub_tui.errors import Refused

# Millimetres on A4, but for the sizes of letters, which are in points.
_LEFT: Final = 16.0
_RIGHT: Final = 194.0
TOP: Final = 18.0
NEXT_TOP: Final = 24.0
BOTTOM: Final = 274.0
_FOOT: Final = 282.0
_GAP: Final = 3.0
_POINT: Final = 25.4 / 72
_LEADING: Final = 1.38
_SUMS: Final = 112.0
_FACT: Final = 30.0
_FOOT_LINES: Final = 3
_MOST_LINES: Final = 30  # of a row in one piece
_WHOLE_MAP: Final = 2 * 65536  # bytes

Colour = tuple[int, int, int]
_INK: Final[Colour] = (31, 36, 43)
_QUIET: Final[Colour] = (104, 111, 121)
_ACCENT: Final[Colour] = (13, 92, 99)
_HAIR: Final[Colour] = (216, 220, 225)
_TINT: Final[Colour] = (240, 245, 245)


class Style(Struct, frozen=True):
    size: float
    colour: Colour = _INK
    bold: bool = False

    @property
    def height(self) -> float:
        return self.size * _POINT * _LEADING


_TITLE: Final = Style(22, _ACCENT)
_NAME: Final = Style(12.5, bold=True)
_STRONG: Final = Style(9.5, bold=True)
_BODY: Final = Style(8.5)
_SMALL: Final = Style(7.2, _QUIET)
_HEAD: Final = Style(7.2, _ACCENT, bold=True)
_QUIETLY: Final = Style(8.5, _QUIET)


# Text: what is shown of it, in which font, in which direction, how wide


class _Piece(Struct, frozen=True):
    """Characters of one font and direction; `shaped` ones are joined and placed by HarfBuzz."""

    text: str
    face: Face
    rtl: bool
    shaped: bool


class _Line(Struct, frozen=True):
    """A line of text, its pieces from left to right."""

    text: str
    style: Style
    pieces: tuple[_Piece, ...]
    width: float


# Letters that stand side by side as they are. All others may join, move or change with their neighbours.
_UNSHAPED: Final = re.compile(
    "["
    "\u0020-\u02ff\u0370-\u0482\u048a-\u058f"  # Latin, Greek, Cyrillic, Armenian
    "\u10a0-\u10ff\u1200-\u139f"  # Georgian, Ethiopic
    "\u1d00-\u1dbf\u1e00-\u200b\u2010-\u2027\u202f-\u205f\u2070-\u20cf\u2100-\u2ddf"  # more of these, signs
    "\u2e80-\u3029\u3030-\u3098\u309b-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uffef"  # East Asia
    "\U0001f000-\U0003ffff"
    "]*"
)


def _clean(text: object) -> str:
    """Text from outside as one line: composed, blanks as spaces, controls and what hides by number, as on screens."""
    said = str(text)
    if said.isascii() and said.isprintable():
        return said.strip()
    shown = []
    for character in unicodedata.normalize("NFC", said):
        if character.isspace():
            shown.append(" ")
        elif needs_glyph(character) and unicodedata.category(character) in ("Cc", "Cf", "Cn", "Cs"):
            shown.append(f"<U+{ord(character):04X}>")
        else:
            shown.append(character)
    return "".join(shown).strip()


def _is_rtl(character: str) -> bool:
    return unicodedata.bidirectional(character) in ("R", "AL", "AN")


def _pieces(text: str, faces: Sequence[Face]) -> Iterator[_Piece]:
    """A line from left to right by UAX 9, each piece in the order in which it is read."""
    if any(map(_is_rtl, text)):
        placed = BidiParagraph(text).get_reordered_characters()
        order = [(each.character_index, each.embedding_level % 2 == 1) for each in placed]
    else:
        order = [(index, False) for index in range(len(text))]
    for (face, rtl), group in groupby(order, key=lambda each: (faces[each[0]], each[1])):
        part = "".join(text[index] for index, _ in group)
        yield _Piece(part[::-1] if rtl else part, face, rtl, rtl or _UNSHAPED.fullmatch(part) is None)


class _Uncompressed(OutputProducer):
    """Streams as they are; of a map with room for 65,536 glyphs, the part that is used."""

    def _add_pdf_obj(self, pdf_obj: PDFObject, trace_label: str | None = None) -> int:
        if isinstance(pdf_obj, PDFContentStream) and pdf_obj.filter is not None:
            contents = zlib.decompress(pdf_obj.content_stream())
            if len(contents) == _WHOLE_MAP and not isinstance(pdf_obj, PDFFontStream):
                contents = contents.rstrip(b"\0")
                contents += b"\0" * (len(contents) % 2)
            pdf_obj._contents, pdf_obj.filter, pdf_obj.length = contents, None, len(contents)
        return super()._add_pdf_obj(pdf_obj, trace_label)


class Paper:
    """The document while it is drawn: sets text, and knows how wide it will be."""

    def __init__(self, invoice: Invoice, fonts: str) -> None:
        self._fonts = Fonts(fonts)
        said = sorted({_clean(text) for text in (*_strings(json.loads(invoice.snapshot)), invoice.number)})
        try:
            self._fonts.check(said)
        except Refused as refused:
            raise Refused(f"{invoice.kind.label} {invoice.number} cannot be drawn: {refused.message}") from refused
        # Fonts are loaded for these characters only, which is quicker.
        self._characters = {*range(0x20, 0x7F), *(ord(character) for text in said for character in text)}
        self._families: dict[Face, str] = {}
        self._widths: dict[_Piece, float] = {}
        self._lines: dict[tuple[str, Style], _Line] = {}
        self._colour: Colour | None = None
        self._pdf = pdf = FPDF(unit="mm", format="A4", enforce_compliance="PDF/A-3B")
        pdf.set_auto_page_break(False)
        pdf.set_margin(0)
        pdf.c_margin = 0
        pdf.set_lang("en")
        pdf.set_creation_date(invoice.issued_at)
        pdf.set_xmp_metadata(_metadata(invoice))

    def page(self) -> None:
        self._pdf.add_page()

    def output(self) -> bytes:
        return bytes(self._pdf.output(output_producer_class=_Uncompressed))

    def line(self, text: str, style: Style) -> _Line:
        """A line that is not broken, measured; most of an invoice is said many times."""
        known = self._lines.get((text, style))
        if known is None:
            faces = [face for face in self._fonts.of(text, bold=style.bold) if face is not None]
            pieces = tuple(_pieces(text, faces))
            width = sum(self._width(piece) for piece in pieces) * style.size * _POINT
            known = self._lines[text, style] = _Line(text, style, pieces, width)
        return known

    def _width(self, piece: _Piece) -> float:
        """Of letters of size 1."""
        if piece not in self._widths:
            font = self._pdf.fonts[self._family(piece.face)]
            direction = TextDirection.RTL if piece.rtl else TextDirection.LTR
            shaping = {"features": {}, "fragment_direction": direction} if piece.shaped else None
            self._widths[piece] = font.get_text_width(piece.text, 1, shaping)[1]
        return self._widths[piece]

    def _family(self, face: Face) -> str:
        if face not in self._families:
            self._families[face] = name = f"font{len(self._families)}"
            characters = sorted(code for code in self._characters if code in face.characters)
            self._pdf.add_font(name, "", face.path, unicode_range=characters, collection_font_number=face.index)
        return self._families[face]

    def wrap(self, text: object, style: Style, width: float) -> list[_Line]:
        """The lines that a text takes: broken at blanks, and within a word only where it is wider than a line."""
        whole = self.line(_clean(text), style)
        if whole.width <= width:
            return [whole]
        lines, current = [], ""
        for part in self._parts(whole.text, style, width):
            if current and self.line((current + part).rstrip(), style).width > width:
                lines.append(self.line(current.rstrip(), style))
                current = ""
            current += part
        return [*lines, self.line(current.rstrip(), style)]

    def _parts(self, text: str, style: Style, width: float) -> Iterator[str]:
        """What a line is filled with: words, and the letters of words that no line can hold."""
        for word in text.split():
            if self.line(word, style).width <= width:
                yield f"{word} "
            else:
                letters = clusters(word)
                yield from (*letters[:-1], f"{letters[-1]} ")

    def put(self, line: _Line, x: float, y: float, *, right: bool = False) -> None:
        """Draw a line whose upper edge is at y, from x on, or up to x where it is set to the right."""
        size = line.style.size
        baseline = y + line.style.height / 2 + 0.36 * size * _POINT
        if right:
            x -= line.width
        pdf = self._pdf
        self._use(line.style.colour)
        for piece in line.pieces:
            pdf.set_font(self._family(piece.face), size=size)
            if piece.shaped:
                pdf.set_text_shaping(True, direction="rtl" if piece.rtl else "ltr")
                pdf.set_xy(x, baseline - 0.8 * size * _POINT)
                pdf.cell(h=size * _POINT, text=piece.text)
                pdf.set_text_shaping(False)
            else:
                pdf.text(x, baseline, piece.text)
            x += self._width(piece) * size * _POINT

    def _use(self, colour: Colour) -> None:
        """The colour of letters; while areas have the same, fpdf2 need not say it with every piece."""
        if colour != self._colour:
            self._pdf.set_text_color(*colour)
            self._pdf.set_fill_color(*colour)
            self._colour = colour

    def rule(self, y: float, colour: Colour, *, left: float = _LEFT, thick: float = 0.2) -> None:
        self._pdf.set_draw_color(*colour)
        self._pdf.set_line_width(thick)
        self._pdf.line(left, y, _RIGHT, y)

    def tint(self, y: float, height: float, *, left: float = _LEFT) -> None:
        self._use(_TINT)
        self._pdf.rect(left, y, _RIGHT - left, height, style="F")


def _strings(value: Any) -> Iterator[str]:
    """Every text in JSON data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for each in value.values() for text in _strings(each))
    elif isinstance(value, list):
        yield from (text for each in value for text in _strings(each))


def _metadata(invoice: Invoice) -> str:
    """What fpdf2 would write itself, but with the day of issue for the present moment."""
    seller = json.loads(invoice.snapshot)["seller"]["name"]
    issued = invoice.issued_at.isoformat(timespec="seconds")
    creator = f"<dc:creator><rdf:Seq><rdf:li>{escape(_clean(seller))}</rdf:li></rdf:Seq></dc:creator>" if seller else ""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/"'
        f' xmp:CreatorTool="smartsub" xmp:CreateDate="{issued}" xmp:ModifyDate="{issued}">'
        "<pdfaid:part>3</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>"
        f'<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{_known_as(invoice)}</rdf:li></rdf:Alt></dc:title>'
        f"{creator}</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def _known_as(invoice: Invoice) -> str:
    return f"{invoice.kind.label.capitalize()} {invoice.number}"


# The page: bands one below the other


class Band(Struct, frozen=True):
    """A strip of the page that is not parted. The bands of the table have its heads above them on each page."""

    height: float
    draw: Callable[[float], None]
    in_table: bool = False


class _Column(Struct, frozen=True):
    head: str
    width: float
    right: bool = False


Page = list[tuple[float, Band]]


def paged(groups: Sequence[Sequence[Band]], heads: Band) -> list[Page]:
    """Where each band stands. A group is kept on one page if one can hold it."""
    pages: list[Page] = [[]]
    y = TOP
    for group in groups:
        together = sum(band.height for band in group)
        can_be_one = NEXT_TOP + heads.height + together <= BOTTOM
        for place, band in enumerate(group):
            headed = band.in_table and not (pages[-1] and pages[-1][-1][1].in_table)
            height = together if place == 0 and can_be_one else band.height
            if pages[-1] and y + headed * heads.height + height > BOTTOM:
                pages.append([])
                y, headed = NEXT_TOP, band.in_table
            if headed:
                pages[-1].append((y, heads))
                y += heads.height
            pages[-1].append((y, band))
            y += band.height
    return pages


def _stack(paper: Paper, lines: Sequence[_Line], x: float, *, right: bool = False) -> Band:
    """Lines below each other as one band."""

    def draw(y: float) -> None:
        for line in lines:
            paper.put(line, x, y, right=right)
            y += line.style.height

    return Band(sum(line.style.height for line in lines), draw)


def _beside(*bands: Band) -> Band:
    """Bands next to each other as one."""

    def draw(y: float) -> None:
        for band in bands:
            band.draw(y)

    return Band(max(band.height for band in bands), draw)


def _space(height: float) -> Band:
    return Band(height, lambda y: None)


# What an invoice says


def render(invoice: Invoice, fonts: str = "") -> bytes:
    """The PDF of a stored invoice or credit note; `fonts` is the setting of that name.

    Raises Refused for a character that no font has: a box in its place would be a wrong name.
    """
    said = json.loads(invoice.snapshot)
    paper = Paper(invoice, fonts)
    columns = _columns(paper, said)
    groups: list[list[Band]] = [list(_top(paper, invoice, said))]
    for place, line in enumerate(said["lines"], 1):
        groups.append(list(_row(paper, columns, place, line, said["currency"])))
    groups.append([*_sums(paper, said), *_terms(paper, invoice, said)])
    pages = paged(groups, _heads(paper, columns))
    for place, page in enumerate(pages, 1):
        paper.page()
        _frame(paper, invoice, said, place, len(pages))
        for y, band in page:
            band.draw(y)
    return paper.output()


def _frame(paper: Paper, invoice: Invoice, said: Any, place: int, count: int) -> None:
    """On every page: at the foot whose invoice it is, and the page; above, from the second on, which one it is."""
    if place > 1:
        paper.put(paper.line(_known_as(invoice), _SMALL), _LEFT, 12)
        paper.put(paper.line(invoice.issued_on.isoformat(), _SMALL), _RIGHT, 12, right=True)
        paper.rule(17, _HAIR)
    paper.rule(_FOOT - 2, _HAIR)
    number = paper.line(f"{invoice.number}   Page {place} of {count}", _SMALL)
    paper.put(number, _RIGHT, _FOOT, right=True)
    seller, room = said["seller"], _RIGHT - _LEFT - number.width - 2 * _GAP
    lines: list[_Line] = []
    for known in ((("", "name"), ("VAT ID ", "vat_id")), (("IBAN ", "iban"), ("", "email"))):
        if told := "   ".join(f"{name}{seller[key]}" for name, key in known if seller[key]):
            lines += paper.wrap(told, _SMALL, room)
    _stack(paper, lines[:_FOOT_LINES], _LEFT).draw(_FOOT)


def _top(paper: Paper, invoice: Invoice, said: Any) -> Iterator[Band]:
    """Seller, buyer, and by which numbers and dates the invoice is known."""
    seller, buyer, order, references = said["seller"], said["buyer"], said["order"], said["references"]
    middle = (_LEFT + _RIGHT) / 2
    room = middle - _LEFT - _GAP
    mine = paper.wrap(seller["name"], _NAME, room) if seller["name"] else []
    for text in (*seller["address"].splitlines(), seller["vat_id"] and f"VAT ID {seller['vat_id']}", seller["email"]):
        mine += paper.wrap(text, _BODY, room) if text else []
    name = invoice.kind.label.capitalize()
    title = [paper.line(name, _TITLE), paper.line(invoice.number, _STRONG)]
    yield _beside(_stack(paper, mine, _LEFT), _stack(paper, title, _RIGHT, right=True))
    yield _space(10)
    billed = [paper.line("BILLED TO", _HEAD), *paper.wrap(buyer["office"], _NAME, room)]
    billed.append(paper.line(OfficeKind(buyer["kind"]).label.capitalize(), _BODY))
    facts = [
        (f"{name} date", invoice.issued_on.isoformat()),
        *([("Credits invoice", f"{of['number']} of {of['issued_on']}")] if (of := said.get("credits")) else []),
        ("Order number", order["number"]),
        ("Ordered", f"{order['created_at'][:16].replace('T', ' ')} UTC"),
        ("PO number", references["po_number"]),
        ("Buyer reference", references["buyer_reference"]),
    ]
    names: list[_Line] = []
    values: list[_Line] = []
    for name, value in facts:
        if value is not None:
            values += paper.wrap(value, _BODY, _RIGHT - middle - _FACT)
            names += [paper.line(name, _QUIETLY), *[paper.line("", _QUIETLY)] * (len(values) - len(names) - 1)]
    yield _beside(_stack(paper, billed, _LEFT), _stack(paper, names, middle), _stack(paper, values, middle + _FACT))
    yield _space(9)


def _columns(paper: Paper, said: Any) -> list[_Column]:
    """The columns of the table; amounts have what they need, and what is left is for names."""
    amounts = [format_amount(line["amount"], said["currency"]) for line in said["lines"]]
    net = max(paper.line(text, _BODY).width for text in (*amounts, f"Net {said['currency']}")) + 1
    count = paper.line(str(len(amounts)), _QUIETLY).width + _GAP + 1
    tax = max(paper.line(_rate(each["rate_ppm"]), _BODY).width for each in said["tax"]) + _GAP
    service, period = 37.0, 26.5
    names = _RIGHT - _LEFT - count - service - period - tax - net - 2
    return [
        _Column("#", count),
        _Column("User", names * 0.56),
        _Column(OfficeKind(said["buyer"]["kind"]).department_label, names * 0.44),
        _Column("Service", service),
        _Column("Period", period),
        _Column("Tax", tax, right=True),
        _Column(f"Net {said['currency']}", net + 2, right=True),
    ]


def _heads(paper: Paper, columns: Sequence[_Column]) -> Band:
    height = 6.2

    def draw(y: float) -> None:
        paper.tint(y, height)
        x = _LEFT
        for column in columns:
            head = paper.line(column.head, _HEAD)
            paper.put(head, x + (column.width - 1 if column.right else 1), y + 1.4, right=column.right)
            x += column.width

    return Band(height, draw, in_table=True)


def _row(paper: Paper, columns: Sequence[_Column], place: int, line: Any, currency: str) -> Iterator[Band]:
    """A line of the order, in several bands where a name is longer than any."""
    apartment = line["apartment"]
    told: list[list[tuple[object, Style]]] = [
        [(place, _QUIETLY)],
        [(line["label"], _BODY), (line["user_id"], _SMALL)],
        [(line["department"], _BODY), *([(f"Apartment {apartment}", _SMALL)] if apartment else [])],
        [(Service(line["service"]).label.capitalize(), _BODY), (LineAction(line["action"]).label, _SMALL)],
        [(line["starts_on"], _BODY), (f"to {line['new_expiry']}", _BODY), *_becomes(line)],
        [(_rate(line["tax_rate_ppm"]), _BODY)],
        [(format_amount(line["amount"], currency), _BODY)],
    ]
    cells = [
        [
            part
            for text, style in texts
            for part in paper.wrap(text, style, column.width - (0 if column.right else _GAP))
        ]
        for column, texts in zip(columns, told, strict=True)
    ]
    most = max(len(cell) for cell in cells)
    for start in range(0, most, _MOST_LINES):
        piece = [cell[start : start + _MOST_LINES] for cell in cells]
        yield _row_band(paper, columns, piece, last=start + _MOST_LINES >= most)


def _becomes(line: Any) -> list[tuple[object, Style]]:
    """On a credit note: until when the service runs without what is taken back."""
    if "expiry_after" not in line:
        return []
    after = line["expiry_after"]
    return [("then inactive" if after is None else f"then until {after}", _SMALL)]


def _row_band(paper: Paper, columns: Sequence[_Column], cells: Sequence[Sequence[_Line]], *, last: bool) -> Band:
    bands, x = [], _LEFT
    for column, cell in zip(columns, cells, strict=True):
        bands.append(_stack(paper, cell, x + (column.width - 1 if column.right else 1), right=column.right))
        x += column.width
    inner = _beside(*bands)
    height = inner.height + 2.2

    def draw(y: float) -> None:
        inner.draw(y + 1.1)
        if last:
            paper.rule(y + height, _HAIR)

    return Band(height, draw, in_table=True)


def _sums(paper: Paper, said: Any) -> Iterator[Band]:
    """Net, the tax of each rate, and the total."""
    currency = said["currency"]
    taxes = [
        (f"Tax {_rate(each['rate_ppm'])} of {format_amount(each['net'], currency)}", each["tax"])
        for each in said["tax"]
    ]
    yield _space(4)
    for name, amount in [("Net", said["net"]), *taxes]:
        label, value = paper.line(name, _QUIETLY), paper.line(format_amount(amount, currency), _BODY)
        yield _beside(_stack(paper, [label], _SUMS + 1), _stack(paper, [value], _RIGHT - 1, right=True))
    yield _space(1)
    total, sum_ = (
        paper.line("Total credited" if "credits" in said else "Total", _STRONG),
        paper.line(f"{currency} {format_amount(said['total'], currency)}", _STRONG),
    )
    height = _STRONG.height + 3

    def draw(y: float) -> None:
        paper.tint(y, height, left=_SUMS)
        paper.rule(y, _ACCENT, left=_SUMS, thick=0.5)
        paper.put(total, _SUMS + 1, y + 1.5)
        paper.put(sum_, _RIGHT - 1, y + 1.5, right=True)

    yield Band(height, draw)


def _terms(paper: Paper, invoice: Invoice, said: Any) -> Iterator[Band]:
    """What was bought for how long, and how and when it was paid."""
    yield _space(8)
    yield _stack(paper, [paper.line("TERMS", _HEAD)], _LEFT)
    taken = [_TAKEN_BACK.format(**said["credits"])] if "credits" in said else []
    for text in (*taken, _term(said["order"]), _EVERY_PERIOD, (_paid_back if taken else _payment)(invoice, said)):
        for line in paper.wrap(text, _BODY, _RIGHT - _LEFT):
            yield _stack(paper, [line], _LEFT)


_TAKEN_BACK: Final = "This credit note takes back lines of invoice {number} of {issued_on}; its amounts are credited."
_EVERY_PERIOD: Final = "Every period includes its first and its last day."


def _term(order: Any) -> str:
    what = OrderType(order["type"]).label
    if order["until"] is not None:
        return f"{what}: renewal by the day, up to and including {order['until']}."
    if order["months"] is not None:
        return f"{what}: renewal by {_months(order['months'])}."
    return f"{what}: the first {_months(order['first_term_months'])} from the day of payment."


def _months(count: int) -> str:
    return "1 month" if count == 1 else f"{count} months"


def _payment(invoice: Invoice, said: Any) -> str:
    payment = said["payment"]
    if payment is None:
        return "There was nothing to pay."
    ways = [] if payment["provider"] == ProviderName.MANUAL else [f"by {ProviderName(payment['provider']).label}"]
    if payment["reference"] is not None:
        ways.append(f"reference {payment['reference']}")
    return f"Paid in full on {', '.join([invoice.issued_on.isoformat(), *ways])}. Nothing is left to pay."


def _paid_back(invoice: Invoice, said: Any) -> str:
    total, payment, reference = said["total"], said["payment"], said["paid_back"]["reference"]
    if payment is None or not total:
        return "There was nothing to pay back."
    by = ProviderName.MANUAL if reference is not None else ProviderName(payment["provider"])
    ways = "" if by is ProviderName.MANUAL else f" by {by.label}"
    known = "" if reference is None else f", reference {reference}"
    return f"{said['currency']} {format_amount(total, said['currency'])} is paid back{ways}{known}."


def _rate(ppm: int) -> str:
    """190000 is "19 %", 77000 is "7.7 %"."""
    return f"{(Decimal(ppm) / 10_000).normalize():f} %"
