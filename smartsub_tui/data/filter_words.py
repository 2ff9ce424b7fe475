"""What can be typed next in a filter: how the word under the cursor goes on, and whether it is only begun.

    complete("status:failed,ti", 16, "orders")  ->  timeout for the two letters before the cursor
    complete("-sta", 4, "orders")               ->  status: for the three letters before the cursor
    waits("total:>1 status:ti", 18, "orders")   ->  "total:>1          ": an error there is told, "ti" is none yet

A piece is what stands between the commas of a word, or its key. What is taken stands in the place of the piece
under the cursor; the other pieces and words stay as they are. Pure, as `filters` is: the names of a database are handed
in, and so is the day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct

from smartsub_tui.data.filters import KEYS, FilterError, Key, NearDay, Subject, Takes, parse, quoted
from smartsub_tui.data.text import folded

# By key, the names that its values can be: not necessarily all of them.
Names: TypeAlias = Mapping[str, Sequence[str]]
_MOST_NAMES: Final = 50  # more than one looks through; the next letter leaves fewer
_NO_NAMES: Final[Names] = MappingProxyType({})


class Offer(NamedTuple):
    """A piece that can be taken. `rest` is what of it is not typed yet; "" where it does not begin as it was typed."""

    word: str
    rest: str


class Completion(Struct, frozen=True):
    """What can stand in text[start:end], the best first. `hint` says what is wanted where nothing can be listed."""

    start: int
    end: int
    offers: tuple[Offer, ...]
    begins: bool  # nothing of the piece is typed yet
    key: str | None  # whose values these are; None: they are keys
    hint: str = ""

    def take(self, text: str, place: int) -> tuple[str, int]:
        """The text in which the offer of that place was taken, and where its cursor stands then."""
        word = self.offers[place].word
        return text[: self.start] + word + text[self.end :], self.start + len(word)


def complete(
    text: str, cursor: int, subject: Subject, *, names: Names = _NO_NAMES, today: date | None = None
) -> Completion | None:
    """How the piece that the cursor stands in, or right behind, can go on; None where nothing can be said."""
    piece = _piece_at(text, cursor, subject)
    if piece is None:
        return None
    begun = piece.typed
    if piece.key is None:
        if not piece.may_be_key:
            return None
        return _completion(text, piece, [Offer(key, key[len(begun) :]) for key in _keys(text, piece, subject)])
    key = piece.key
    match key.takes:
        case Takes.TEXT:
            offers = list(islice(_named(names.get(key.name, ()), piece), _MOST_NAMES))
        case Takes.WORD | Takes.CURRENCY:
            offers = [Offer(word, word[len(begun) :]) for word in _listed(key, piece)]
        case Takes.PAST | Takes.AHEAD | Takes.EXPIRY:
            offers = [Offer(word, word[len(begun) :]) for word in _times(key, begun, today)]
        case Takes.WHOLE | Takes.AMOUNT:
            offers = [Offer(word, word) for word in key.examples if not begun]
    hint = f"{key.help}: {', '.join(key.examples)}" if not begun and not offers and key.examples else ""
    return _completion(text, piece, offers, hint)


def waits(text: str, cursor: int, subject: Subject, *, names: Names = _NO_NAMES) -> str | None:
    """Where the piece at whose end the cursor stands is only begun: the text with spaces in its place; else None.

    Begun is what can still become right by typing on, so that a filter with it is not applied and not refused. The
    places of all else in the text are the same. Of orders a bare word of letters is taken for a key to come: most order
    numbers are digits.
    """
    piece = _piece_at(text, cursor, subject)
    if piece is None or cursor != piece.end or not _is_begun(piece, subject, names):
        return None
    start, end = piece.start, piece.end
    if piece.first:
        start, end = piece.word, piece.last
    else:
        start -= 1  # its comma
    return text[:start] + " " * (end - start) + text[end:]


# The piece under the cursor


class _Piece(Struct, frozen=True):
    """text[start:end] of the word that starts at `word` and ends at `last`, and what of it is before the cursor."""

    word: int
    last: int
    start: int
    end: int
    typed: str  # before the cursor, without quotes and escapes
    key: Key | None  # whose value it is
    may_be_key: bool  # a bare word that nothing but a colon is missing to
    open: bool  # a quote opens and is not closed
    pattern: bool  # with a wildcard
    first: bool  # of its word
    others: frozenset[str]  # the other values of the word, as they are written


_SPACE: Final = re.compile(r"\s*")
_HEAD: Final = re.compile(r'(-?)(?:([^\s",:\\]*):)?')
_USED: Final = re.compile(r'(?:^|\s)([^\s",:\\-]+):')  # a negated one can well come again
_VALUE: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"[^\s,]*|\\?\Z)|[^\s,]*', re.DOTALL)
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def _piece_at(text: str, cursor: int, subject: Subject) -> _Piece | None:
    """The piece that the cursor stands in or behind; None right before one, and where its key is unknown."""
    position = 0
    while True:
        position = _end(_SPACE, text, position)
        if position >= cursor:
            return (
                _piece(text, cursor, (cursor,) * 2, (cursor,) * 2, None, True)
                if position == len(text) or position > cursor
                else None
            )
        head = _HEAD.match(text, position)
        if head is None:  # it matches anything
            return None
        spans = list(_values(text, head.end()))
        last = spans[-1][1]
        if cursor <= last:
            break
        position = last
    name = head.group(2)
    if name is not None and cursor < head.end():
        start = head.start(2)
        return _piece(text, cursor, (position, last), (start, head.end()), None, True) if cursor > start else None
    key = None if name is None else KEYS[subject].get(name.lower())
    if name is not None and key is None:
        return None
    here = next(span for span in spans if cursor <= span[1])
    if cursor < here[0] or (cursor == here[0] < here[1]):
        return None
    bare = name is None and len(spans) == 1
    others = [text[start:end] for start, end in spans if (start, end) != here]
    return _piece(text, cursor, (position, last), here, key, bare, here == spans[0], others)


def _values(text: str, position: int) -> Iterator[tuple[int, int]]:
    """Where the values of a word stand, the first of which begins at `position`."""
    while True:
        end = _end(_VALUE, text, position)
        yield position, end
        if text[end : end + 1] != ",":
            return
        position = end + 1


def _piece(
    text: str,
    cursor: int,
    word: tuple[int, int],
    span: tuple[int, int],
    key: Key | None,
    may_be_key: bool,
    first: bool = True,
    others: Iterable[str] = (),
) -> _Piece:
    start, end = span
    last = word[1]
    typed = text[start:cursor]
    is_quoted = typed.startswith('"')
    closed = _QUOTED.match(text, start, end)
    # A closing quote with something right behind it is one that opens: of the word behind, before the quote was typed.
    is_open = is_quoted and (closed is None or cursor < closed.end() < end)
    if is_open:  # what follows is in the quotes only because they are not closed yet
        end = last = cursor
    if is_quoted:
        typed = typed[1:].removesuffix('"') if _QUOTED.fullmatch(typed) else typed[1:]
    pattern = "*" in (re.sub(r"\\.", "", typed) if is_quoted else typed)
    if is_quoted:
        typed = re.sub(r"\\(.)", r"\1", typed, flags=re.DOTALL)
    return _Piece(
        word[0], last, start, end, typed, key, may_be_key and not is_quoted, is_open, pattern, first, frozenset(others)
    )


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return position if found is None else found.end()


def _completion(text: str, piece: _Piece, offers: Iterable[Offer], hint: str = "") -> Completion | None:
    there = text[piece.start : piece.end]
    others = tuple(offer for offer in offers if offer.word != there)
    if not others and not hint:
        return None
    key = None if piece.key is None else piece.key.name
    return Completion(piece.start, piece.end, others, not piece.typed, key, hint)


# Keys and values


def _keys(text: str, piece: _Piece, subject: Subject) -> Iterator[str]:
    """The keys that begin as it was typed; where nothing was, those that the text has not yet."""
    begun, value = piece.typed.lower(), text[piece.end : piece.last]
    used = set() if begun else {each.group(1).lower() for each in _USED.finditer(text)}
    for key in KEYS[subject].values():
        if key.name.startswith(begun) and key.name not in used and (not value or _is_value(key, value)):
            yield f"{key.name}:"


def _listed(key: Key, piece: _Piece) -> Iterator[str]:
    """The words of a closed list that begin as it was typed, one for each value that the word has not yet."""
    if key.takes is Takes.CURRENCY:
        begun = piece.typed.upper()
        yield from (code for code in key.values if code.startswith(begun) and code != begun)
        return
    begun = piece.typed.lower()
    there = {key.words.get(each.lower()) for each in (*piece.others, begun)}
    for word, value in key.words.items():
        if word.startswith(begun) and value not in there:
            there.add(value)
            yield word


def _named(names: Iterable[str], piece: _Piece) -> Iterator[Offer]:
    """The names that begin as it was typed, then those of which another word does; as they are written in a filter."""
    if piece.pattern:
        return
    begun = folded(piece.typed)
    inside: list[Offer] = []
    for name in names:
        whole = folded(name)
        if (whole == begun and not piece.open) or (piece.others and quoted(name) in piece.others):
            continue
        if whole.startswith(begun):
            rest = name[len(piece.typed) :] if folded(name[: len(piece.typed)]) == begun else ""
            yield Offer(quoted(name), rest)
        elif begun and len(inside) < _MOST_NAMES and f" {begun}" in whole:
            inside.append(Offer(quoted(name), ""))
    yield from inside


_TIME: Final = re.compile(r"(?P<range>>=?|<=?|[^.]*\.\.|)(?P<digits>[0-9]*)(?P<rest>.*)", re.DOTALL)


def _times(key: Key, begun: str, today: date | None) -> Iterator[str]:
    """Days and durations that begin as it was typed, behind the sign or the first end of a range too."""
    found = _TIME.fullmatch(begun.lower())
    if found is None:
        return
    before, digits, rest = found.group("range", "digits", "rest")
    ends = [near.value for near in NearDay]
    if today is not None:
        month = today.replace(day=1)
        other = month + timedelta(days=-1 if key.takes is Takes.PAST else 31)
        ends += [f"{month:%Y-%m}", f"{other:%Y-%m}", today.isoformat()]
    possible = [each for each in key.examples if each.startswith("<")]
    if digits and not rest:
        possible += [f"{before}{digits}{unit}" for unit in ("d", "w", "h", "m")]
    possible += [before + end for end in ends]
    for word in dict.fromkeys(possible):
        if word.startswith(begun.lower()) and word != begun and _is_value(key, word):
            yield word


def _is_value(key: Key, word: str) -> bool:
    subject: Subject = "orders" if key is KEYS["orders"].get(key.name) else "users"
    try:
        parse(subject, f"{key.name}:{word}")
    except FilterError:
        return False
    return True


# What is only begun


def _beginnings(words: Iterable[str]) -> str:
    return "|".join(word[:length] for word in words for length in range(1, len(word) + 1))


def _range(whole: str, begun: str) -> re.Pattern[str]:
    """What begins a value, or a range from a `whole` one to one that is `begun`."""
    return re.compile(rf"(?:[<>]=?)?(?:{begun})?|(?:{whole})?\.(?:\.(?:{begun})?)?", re.IGNORECASE)


_NEAR: Final = [near.value for near in NearDay]
_TIME_BEGUN: Final = _range(
    "|".join([*_NEAR, "[0-9]{1,8}[mhdw]", "[0-9]{4}(?:-[0-9]{2}){0,2}"]),
    rf"{_beginnings(_NEAR)}|[0-9]{{1,8}}[mhdw]?|[0-9]{{4}}-(?:(?:0[1-9]?|1[0-2]?)?|(?:0[1-9]|1[0-2])-[0-3]?)",
)
_BEGUN: Final = {
    Takes.PAST: _TIME_BEGUN,
    Takes.AHEAD: _TIME_BEGUN,
    Takes.EXPIRY: _TIME_BEGUN,
    Takes.WHOLE: _range("[0-9]{1,18}", "[0-9]{1,18}"),
    Takes.AMOUNT: _range(r"[0-9]{1,14}(?:\.[0-9]{1,4})?", r"[0-9]{1,14}(?:\.[0-9]{0,4})?"),
}


def _is_begun(piece: _Piece, subject: Subject, names: Names) -> bool:
    typed, key = piece.typed, piece.key
    if piece.open:
        return True
    if key is None:
        if not typed:
            return piece.word < piece.start  # a minus alone, or a comma
        return piece.may_be_key and subject == "orders" and typed.isalpha()
    if not typed:
        return True
    match key.takes:
        case Takes.WORD:
            return typed.lower() not in key.words and any(word.startswith(typed.lower()) for word in key.words)
        case Takes.CURRENCY:
            return typed.upper() not in key.values and any(code.startswith(typed.upper()) for code in key.values)
        case Takes.TEXT:
            begun, found = folded(typed), False
            for name in names.get(key.name, ()) if not piece.pattern else ():
                whole = folded(name)
                if whole == begun:
                    return False
                found = found or whole.startswith(begun)
            return found
        case _:
            return not _is_value(key, typed) and _BEGUN[key.takes].fullmatch(typed) is not None
