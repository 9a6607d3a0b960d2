"""What all benchmarks share: a row of results, runs that alternate, and the file that keeps the newest rows."""

from __future__ import annotations

import datetime
import json
import platform
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from assay import environment

HERE = Path(__file__).parent
LATEST = HERE / "latest.json"
WORK = HERE / "work"
"""Where benchmarks put their files; not kept under version control."""
MATERIAL = HERE.parents[1] / "shared" / "material"
"""Optional photographs and trained models beside the checkout."""


@dataclass(frozen=True)
class Row:
    """One measured figure and the bound that it is held to."""

    name: str
    measured: float
    unit: str
    bound: str
    holds: bool
    against: str
    date: str
    machine: str


def row(
    name: str, measured: float, unit: str, *, against: str, least: float | None = None, most: float | None = None
) -> Row:
    """A row for a figure that must be at least, or at most, so much."""
    holds = (least is None or measured >= least) and (most is None or measured <= most)
    return Row(
        name=name,
        measured=round(measured, 4),
        unit=unit,
        bound=f">= {least:g}" if least is not None else f"<= {most:g}",
        holds=holds,
        against=against,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=f"{environment.processor_name()}, {environment.cores()} cores, {platform.machine()}",
    )


def alternating(first: Callable[[], float], second: Callable[[], float], rounds: int) -> tuple[float, list[float]]:
    """The median of the ratios first / second over rounds that run one after the other, and all the ratios.

    A machine that drifts drifts for both sides of a round; the order changes from round to round.
    """
    ratios = []
    for number in range(rounds):
        if number % 2:
            below = second()
            ratios.append(first() / below)
        else:
            above = first()
            ratios.append(above / second())
    return statistics.median(ratios), ratios


def keep(rows: list[Row]) -> None:
    """Sets the rows' entries in `latest.json`, one entry a name."""
    entries = {entry["name"]: entry for entry in (json.loads(LATEST.read_text()) if LATEST.is_file() else [])}
    entries.update({found.name: asdict(found) for found in rows})
    LATEST.write_text(json.dumps([entries[name] for name in sorted(entries)], indent=1) + "\n", encoding="utf-8")
