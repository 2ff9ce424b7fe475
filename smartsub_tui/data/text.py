"""Text as it is stored: comparison keys, and which characters may be typed."""

from __future__ import annotations

import unicodedata


def folded(text: str) -> str:
    """The key under which text is compared, on every engine alike: NFC, then case folded, then NFC again."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def forbidden_character(text: str) -> str | None:
    """The first character of typed text that may not be stored, as U+XXXX, or None.

    Controls, line and paragraph separators, surrogates, and characters that change the direction of text or are
    invisible (Unicode Cf) could make a name or reason look like another one.
    """
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            return f"U+{ord(character):04X}"
    return None
