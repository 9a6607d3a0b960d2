"""`python -m benchmarks [NAME …]`: runs every benchmark, or those named, prints a table and keeps the rows."""

from __future__ import annotations

import difflib
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.catalogue import benchmarks
from benchmarks.harness import LATEST, WORK, Row, keep


def main(arguments: list[str]) -> int:
    """Runs the named benchmarks; returns 1 if a bound is missed or a named benchmark cannot run here."""
    known = benchmarks()
    unknown = [name for name in arguments if name not in known]
    if unknown:
        nearest = difflib.get_close_matches(unknown[0], known, cutoff=0.5) or list(known)
        print(f"unknown benchmark {unknown[0]!r}; known: {', '.join(nearest)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    skipped: dict[str, str] = {}
    for name in arguments or known:
        if (reason := known[name].reason_to_skip()) is not None:
            skipped[name] = reason
            continue
        print(f"{name} …", file=sys.stderr, flush=True)
        rows.append(known[name].row(name, WORK))
        keep(rows[-1])
    _print(rows)
    for name, reason in skipped.items():
        print(f"{name} skipped: {reason}")
    print(f"kept in {LATEST.relative_to(LATEST.parents[1])}")
    return 0 if all(row.holds for row in rows) and not (arguments and skipped) else 1


def _print(rows: list[Row]) -> None:
    table = Table(box=None, padding=(0, 3, 0, 0))
    for header in ("name", "measured", "unit", "bound", "holds", "against"):
        table.add_column(header, justify="right" if header == "measured" else "left", overflow="fold")
    for row in rows:
        table.add_row(row.name, f"{row.measured:,.6g}", row.unit, row.bound, "yes" if row.holds else "NO", row.against)
    Console(width=120, highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
