"""Columns of a table for a terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from assay.units import visible

_WIDTH = 78
"""Of a table, which is indented by two."""
_GAP = 2
_TEXT = 16
"""Columns that a text on the left may have at least."""


def aligned(headers: Sequence[str], rows: Sequence[Sequence[str]], left: set[str]) -> str:
    """Columns as wide as their longest cell; those named in `left` stand to the left.

    A table that is wider than a terminal's 80 columns has its headers and the text on the left broken into lines; a
    figure never is.
    """
    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) if rows else 0 for column in range(len(headers))]
    natural = sum(max(len(header), width) + _GAP for header, width in zip(headers, widths, strict=True))
    narrow = natural - _GAP > _WIDTH
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, show_edge=False, header_style="")
    for header, width in zip(headers, widths, strict=True):
        if header in left:
            table.add_column(header, justify="left", no_wrap=not narrow, overflow="fold")
        else:
            shown = _broken(header, width) if narrow else header
            table.add_column(shown, justify="right", no_wrap=True, min_width=max(map(len, shown.split("\n"))))
    for row in rows:
        table.add_row(*row)
    text = io.StringIO()
    figures = sum(width + _GAP for header, width in zip(headers, widths, strict=True) if header not in left)
    # Where the figures alone are wider, a terminal wraps what it has no room for: nothing is cut.
    room = max(_WIDTH, figures + _TEXT * len(left)) if narrow else natural
    Console(file=text, width=room, markup=False, highlight=False, emoji=False).print(table)
    return "\n".join(f"  {line.rstrip()}" for line in text.getvalue().splitlines())


def _broken(header: str, width: int) -> str:
    """A header in lines of a column's width, where its own marks allow."""
    lines = [""]
    for part in re.findall(r"[^:/ -]*[:/ -]*", header):
        if lines[-1] and len((lines[-1] + part).rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.strip() for line in lines if line.strip())
