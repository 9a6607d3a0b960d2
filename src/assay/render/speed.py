"""The table of several records' throughputs, for a terminal."""

from __future__ import annotations

from collections.abc import Collection

from assay import units
from assay.records import SpeedCell, SpeedTable
from assay.render.columns import aligned

SPREAD = "half of the 95 % interval"
"""What stands behind ±."""
_MARK = "*"


def speed(table: SpeedTable, noted_elsewhere: Collection[tuple[str, str | None]] = ()) -> str:
    """Throughputs by batch size with their ratios, and below them what a reader should know."""
    headers, rows, notes = speed_cells(table, noted_elsewhere)
    return "\n".join([_title(table), aligned(headers, rows, left=set()), *(f"  {note}" for note in notes)])


def speed_cells(
    table: SpeedTable, noted_elsewhere: Collection[tuple[str, str | None]] = ()
) -> tuple[list[str], list[list[str]], list[str]]:
    """Headers, rows and notes: what a source printed otherwise, what is blocked, and what the ratios are noted with.

    The last but for those of a record to a reference that are `noted_elsewhere`.
    """
    rows = [
        [
            str(row.batch),
            *(_cell(cell, "unknown") for cell in row.throughputs),
            *(_cell(cell, "not comparable") for cell in row.ratios),
        ]
        for row in table.rows
    ]
    notes = remarks(table, noted_elsewhere)
    if has_intervals(table):
        notes = [f"±: {SPREAD}", *notes]
    return ["batch", *table.records, *_ratio_headers(table)], rows, notes


def has_intervals(table: SpeedTable) -> bool:
    """Whether any figure of the table has one."""
    return any(
        cell is not None and cell.interval is not None for row in table.rows for cell in (*row.throughputs, *row.ratios)
    )


def remarks(table: SpeedTable, noted_elsewhere: Collection[tuple[str, str | None]] = ()) -> list[str]:
    """What a reader must know beside the table; what holds for several rows is said once."""
    names = [*table.records, *(f"{one} / {other}" for one, other in table.pairs)]
    cells = [
        (row.batch, name, cell)
        for row in table.rows
        for name, cell in zip(names, (*row.throughputs, *row.ratios), strict=True)
        if cell is not None
    ]
    printed = [
        f"{_MARK} {cell.printed_by} printed {units.thousandths(cell.printed)} ({name}, batch {batch})"
        for batch, name, cell in cells
        if cell.printed is not None
    ]
    blocked = [f"{name}: {cell.obstacle}" for _, name, cell in cells if cell.obstacle is not None]
    noted = [
        f"{one} / {other}, noted: {difference}"
        for (one, other), differences in zip(table.pairs, table.differences, strict=False)
        for difference in differences
        if (one, other) not in noted_elsewhere
    ]
    return list(dict.fromkeys([*printed, *blocked, *noted]))


def _ratio_headers(table: SpeedTable) -> list[str]:
    """Short where one record is held against all others."""
    if len({one for one, _ in table.pairs}) == 1:
        return [f"/ {other}" for _, other in table.pairs]
    return [f"{one} / {other}" for one, other in table.pairs]


def _title(table: SpeedTable) -> str:
    title = f"  {table.kind} throughput of the card in images/s"
    if not table.pairs:
        return title
    subjects = {one for one, _ in table.pairs}
    return f"{title}, and that of {subjects.pop()} over the others" if len(subjects) == 1 else f"{title}, and ratios"


def _cell(cell: SpeedCell | None, blocked: str) -> str:
    """A figure with its mark before it, so that the points stay below each other."""
    if cell is None:
        return ""
    if cell.value is None:
        return blocked
    figure = f"{_MARK if cell.printed is not None else ''}{units.thousandths(cell.value)}"
    return figure if cell.spread is None else f"{figure} ±{units.spread(cell.spread)}"
