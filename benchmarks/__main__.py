"""`python -m benchmarks [NAME]`: runs every benchmark, or one, prints a table and keeps the rows."""

from __future__ import annotations

import importlib
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.harness import LATEST, Row, keep

SUBJECTS = (
    "startup",
    "pipeline_ceiling",
    "end_to_end_share",
    "prepare_vs_guide",
    "archive_read",
    "score_memory",
    "memory_growth",
    "resume_noop",
    "score_dumps",
    "info_read",
    "mnn_vs_ort",
    "openvino_vs_ort",
    "contract_overhead",
    "end_to_end_share_all",
    "open_mnn",
    "report_page",
    "tuned_fp32",
    "tuned_int8",
    "tuned_small",
    "search_regret",
    "search_overhead",
    "ray_overhead",
    "ray_two_nodes",
    "loadgen_vs_own",
)
"""One file each; a file's `measure()` returns its row."""


def main(arguments: list[str]) -> int:
    """Runs the named benchmarks; returns 1 where a bound is missed."""
    unknown = [name for name in arguments if name not in SUBJECTS]
    if unknown:
        print(f"unknown benchmark {unknown[0]!r}; known: {', '.join(SUBJECTS)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in arguments or SUBJECTS:
        print(f"{name} …", file=sys.stderr, flush=True)
        found: Row = importlib.import_module(f"benchmarks.{name}").measure()
        rows.append(found)
        keep([found])
    table = Table(box=None, padding=(0, 3, 0, 0))
    for header in ("name", "measured", "unit", "bound", "holds", "against"):
        table.add_column(header, justify="right" if header == "measured" else "left", overflow="fold")
    for found in rows:
        table.add_row(
            found.name, f"{found.measured:,.6g}", found.unit, found.bound, "yes" if found.holds else "NO", found.against
        )
    Console(width=120, highlight=False).print(table)
    print(f"kept in {LATEST.relative_to(LATEST.parents[1])}")
    return 0 if all(found.holds for found in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
