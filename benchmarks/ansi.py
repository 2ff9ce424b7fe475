"""The floor: Python, sqlite3 and escape sequences, no framework; a line is sent where it is another than before."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import Sequence
from typing import Final

from benchmarks.listing import KEYS, Listing, Row, actions, head, line

_AROUND: Final = 5
_COLOURS: Final = {"succeed": "32", "failed": "31", "time_out": "33", "cancel": "90"}


class Screen:
    """The list in the whole terminal: filter line, facets, heads, rows, what the row offers, keys."""

    def __init__(self, path: str) -> None:
        self._listing = Listing(path)
        self._height = os.get_terminal_size().lines
        self._room = self._height - _AROUND
        self._shown: list[str] = [""] * self._height
        self._typing = False
        self._cursor = 0
        self._load()

    def _load(self) -> None:
        self._rows: Sequence[Row] = self._listing.first(self._room)
        self._facets = self._listing.facets()
        self._cursor = 0

    def _to(self, rows: Sequence[Row], cursor: int = 0) -> None:
        if rows:
            self._rows, self._cursor = rows, cursor

    def paint(self) -> None:
        lines = [f"/ {self._listing.beginning}", self._facets, head()]
        for place, row in enumerate(self._rows):
            lines.append(f"\x1b[7m{line(row)}\x1b[m" if place == self._cursor else line(row, _dress))
        lines += [""] * (self._height - len(lines) - 2)
        lines += [actions(self._rows[self._cursor]) if self._rows else "", KEYS]
        changed = [f"\x1b[{place + 1}H{text}\x1b[K" for place, text in enumerate(lines) if text != self._shown[place]]
        self._shown = lines
        os.write(1, "".join(changed).encode())

    def key(self, key: str) -> bool:
        """Do what the key does; false where it ends the program."""
        if self._typing:
            if key == "\x1b":
                self._typing = False
                return True
            typed = self._listing.beginning
            self._listing.beginning = "" if key == "\x15" else typed[:-1] if key == "\x7f" else typed + key
            self._load()
            return True
        match key:
            case "q":
                return False
            case "/":
                self._typing = True
            case "j" if self._cursor < len(self._rows) - 1:
                self._cursor += 1
            case "j" | "\x1b[6~":
                self._to(self._listing.after(self._rows[-1], self._room))
            case "k" if self._cursor:
                self._cursor -= 1
            case "k" | "\x1b[5~":
                above = self._listing.before(self._rows[0], self._room)
                self._to(above, len(above) - 1)
            case "g":
                self._load()
            case "G":
                below = self._listing.last(self._room)
                self._to(below, len(below) - 1)
        return True


def _dress(text: str, status: str) -> str:
    colour = _COLOURS.get(status)
    return text if colour is None else f"\x1b[{colour}m{text}\x1b[m"


def main() -> None:
    before = termios.tcgetattr(0)
    tty.setraw(0)
    os.write(1, b"\x1b[?1049h\x1b[?25l")
    try:
        screen = Screen(sys.argv[1])
        screen.paint()
        while screen.key(os.read(0, 64).decode()):
            screen.paint()
    finally:
        os.write(1, b"\x1b[?1049l\x1b[?25h")
        termios.tcsetattr(0, termios.TCSADRAIN, before)


if __name__ == "__main__":
    main()
