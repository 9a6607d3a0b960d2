"""Texts that strangers chose, as names of files and in them, made fit for a terminal and for one line."""

from __future__ import annotations

import re

_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")
"""What steers a terminal, ends a line, turns the direction of what follows, or no encoding holds."""


def visible(text: str) -> str:
    """The same text in one line, with what would not show, or do something else, written as an escape: `\\x1b`."""
    return text if text.isascii() and text.isprintable() else _HIDDEN.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """The same of several lines, which stay apart."""
    return "\n".join(map(visible, text.split("\n")))


def visible_json(text: str) -> str:
    """JSON whose texts show what they hold; it reads as before."""
    return _HIDDEN.sub(lambda found: found[0] if found[0] in "\n\r\t" else f"\\u{ord(found[0]):04x}", text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "surrogatepass").decode("ascii")
