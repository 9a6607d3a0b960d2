"""Names that strangers chose, made fit to be shown."""

from __future__ import annotations

import unicodedata

_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
"""Characters that turn the direction of what follows, so that a name may read as another one."""
_NONCHARACTERS = frozenset("\ufffe\uffff")
_REPLACEMENT = "\ufffd"


def printable(text: str) -> str:
    """The same text, with what no page may hold, and what would hide the rest, made visible."""
    # Nearly every text is plain, and a page holds thousands.
    return text if text.isascii() and text.isprintable() else "".join(map(_printable, text))


def shortened(text: str, most: int) -> str:
    """A text of so many characters at most: what is left out of the middle of a longer one is an ellipsis."""
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[-end:]}"


def _printable(character: str) -> str:
    if character in "\n\t":
        return character
    hidden = character in _DIRECTIONS or character in _NONCHARACTERS
    return _REPLACEMENT if hidden or unicodedata.category(character) in ("Cc", "Cs") else character
