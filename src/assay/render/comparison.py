"""Several records beside each other: for a terminal, and as a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from assay.records import Comparison, SpeedTable
from assay.render.paired import paired
from assay.render.speed import speed
from assay.render.table import verdict, warnings
from assay.units import visible


def comparison(compared: Comparison, results: Mapping[str, str]) -> str:
    """Each record's own results where it has any, the table of speeds, and the verdicts last."""
    parts = [
        "\n\n".join([visible(name), results[name], *([warned] if (warned := warnings(verdict.warnings)) else [])])
        for name, verdict in zip(compared.records, compared.verdicts, strict=True)
        if name in results
    ]
    if compared.table is not None:
        parts.append(speed(compared.table, noted_elsewhere=compared.gated))
    for name, judged in zip(compared.records, compared.verdicts, strict=True):
        pairs = [one for one in compared.paired if one.record == name]
        parts.append("\n".join([*([paired(pairs), ""] if pairs else []), verdict(judged, name)]))
    return "\n\n".join(parts)


def comparison_csv(table: SpeedTable) -> str:
    """A line a figure: `batch,record,over,throughput,low,high,printed,obstacle`; `over` is empty but for ratios."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["batch", "record", "over", table.kind, "low", "high", "printed", "obstacle"])
    names = [*((name, "") for name in table.records), *table.pairs]
    for row in table.rows:
        for (name, over), cell in zip(names, (*row.throughputs, *row.ratios), strict=True):
            if cell is not None:
                figures = (cell.value, cell.low, cell.high, cell.printed)
                shown = ("" if value is None else repr(value) for value in figures)
                writer.writerow([row.batch, visible(name), visible(over), *shown, visible(cell.obstacle or "")])
    return text.getvalue()
