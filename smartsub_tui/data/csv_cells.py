"""Text in a cell of CSV: quoted as RFC 4180 has it, and with nothing in it that a spreadsheet would run.

A spreadsheet takes text that begins with = + - or @ for a formula, and a formula can call programs and send data away.
So the export puts an apostrophe in front of such text, and the import takes it off again. That text is stored as it
came still holds: what came was the apostrophe that stands for "this is text". Without it a name such as =SUM would be
another one after each export and import, and a user id or an order number would be a stranger to its own database.
Both ways fit together: `undefused(defused(text)) == text` for every text, one that really begins with an apostrophe too
('t Hooft is left alone; '=1 goes out as ''=1).
"""

from __future__ import annotations

import re
from typing import Final

# Their wide and small forms too: spreadsheets of East Asia take them for the same.
_FORMULA: Final = r"=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
# What may stand before them and be passed over: spaces and controls, quotes, and what cannot be seen. Apostrophes are
# among them, so that text which looks defused already gets one more.
_PASSED: Final = (
    r"[\x00-\x08\x0b\x0c\x0e-\x20\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
    r"\"'`\xb4\u2018-\u201f\uff02\uff07]*"
)


def _places(mark: str) -> re.Pattern[str]:
    """Where a formula may begin, with `mark` there: who parts cells at ; or TAB, not at commas, sees more places."""
    start = rf"\A(?={mark}{_PASSED}[\t\r\n{_FORMULA}])"
    return re.compile(rf"({start}|[;\t\r\n](?={mark}{_PASSED}[{_FORMULA}])){mark}")


_TO_DEFUSE: Final = _places("")
_DEFUSED: Final = _places("'")

# What most cells are made of: nothing of it asks for quotes or an apostrophe.
_HARMLESS: Final = re.compile(r"[\w;.][\w;. ]*").fullmatch
_ASKS_FOR_QUOTES: Final = re.compile('[",\r\n]').search


def defused(text: str) -> str:
    """`text` with an apostrophe before whatever a spreadsheet would take for the beginning of a formula."""
    return _TO_DEFUSE.sub(r"\1'", text)


def undefused(text: str) -> str:
    """The text that `defused` made this one from; any other text as it is."""
    return _DEFUSED.sub(r"\1", text) if "'" in text else text


def cell(text: str) -> str:
    """A cell that holds `text`, defused: between quotes where it has to be, and only there."""
    if not text or _HARMLESS(text):
        return text
    text = defused(text)
    return '"' + text.replace('"', '""') + '"' if _ASKS_FOR_QUOTES(text) else text
