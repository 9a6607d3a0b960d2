"""What all benchmarks share: their one form, two subjects measured in turn, and the file that keeps the newest rows."""

from __future__ import annotations

import datetime
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Generic, TypeVar

from assay import environment

HERE = Path(__file__).parent
LATEST = HERE / "latest.json"
WORK = HERE / "work"
"""Where benchmarks put their files; not kept under version control."""
MATERIAL = HERE.parents[1] / "shared" / "material"
"""Optional photographs and trained models beside the checkout."""

Form = TypeVar("Form")
"""How large a benchmark is: each has its own counts, sizes and durations."""


@dataclass(frozen=True)
class Bound:
    """What a figure must be."""

    least: float | None = None
    most: float | None = None

    def holds(self, measured: float) -> bool:
        """Whether a figure is within the bound."""
        return (self.least is None or measured >= self.least) and (self.most is None or measured <= self.most)

    def __str__(self) -> str:
        """The bound as it is printed."""
        return f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"


@dataclass(frozen=True)
class Measured:
    """One figure, and what it was measured against, in words."""

    value: float
    against: str


@dataclass(frozen=True)
class Row:
    """One figure as it is kept, with its bound and the machine that it was measured on."""

    name: str
    measured: float
    unit: str
    bound: str
    holds: bool
    against: str
    date: str
    machine: str
    instruction_sets: tuple[str, ...]


@dataclass(frozen=True)
class Benchmark(Generic[Form]):
    """One benchmark: how it is measured, its full and its small form, and the bound of the full one.

    The small form runs the same code on the least input, so that a test can run it in seconds; its figure is noise.
    """

    measure: Callable[[Form, Path], Measured]
    """Measures in one form; its files go into the folder, where an earlier run's may lie."""
    full: Form
    small: Form
    bound: Bound
    unit: str = "ratio"
    modules: tuple[str, ...] = ()
    """What it imports beyond assay's core."""
    obstacle: Callable[[], str | None] = lambda: None
    """Why it cannot run on this machine; None if it can."""

    def reason_to_skip(self) -> str | None:
        """Why it cannot run here; None if it can."""
        missing = [name for name in self.modules if find_spec(name) is None]
        return f"not installed: {', '.join(missing)}" if missing else self.obstacle()

    def row(self, name: str, folder: Path, *, small: bool = False) -> Row:
        """Measures one form and makes its row."""
        measured = self.measure(self.small if small else self.full, folder)
        return Row(
            name=name,
            measured=round(measured.value, 4),
            unit=self.unit,
            bound=str(self.bound),
            holds=self.bound.holds(measured.value),
            against=measured.against,
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            machine=f"{environment.cores()} cores, {platform.machine()}",
            instruction_sets=environment.instruction_sets(),
        )


@dataclass(frozen=True)
class Turns:
    """Two subjects measured in turn: one value of each a round."""

    ours: tuple[float, ...]
    yardstick: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Ours over the yardstick: the median of the rounds' ratios.

        Not the ratio of the medians: a machine that slows down for a while slows both sides of a round, so each
        round's ratio stands by itself, and one disturbed side spoils only its own round.
        """
        return statistics.median(ours / yardstick for ours, yardstick in zip(self.ours, self.yardstick, strict=True))

    def medians(self, unit: str, scale: float = 1.0) -> str:
        """Each side's median in words, since a ratio alone does not say what it is of."""
        ours, yardstick = (scale * statistics.median(values) for values in (self.ours, self.yardstick))
        return f"{ours:,.4g} to {yardstick:,.4g} {unit}, {len(self.ours)} rounds"


def in_turn(ours: Callable[[], float], yardstick: Callable[[], float], rounds: int) -> Turns:
    """Measures both once a round; the order changes from round to round, so that drift favours neither."""
    above, below = [], []
    for number in range(rounds):
        if number % 2:
            below.append(yardstick())
            above.append(ours())
        else:
            above.append(ours())
            below.append(yardstick())
    return Turns(tuple(above), tuple(below))


def seconds_of(call: Callable[[], object]) -> float:
    """How long a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def python_seconds(*arguments: str) -> float:
    """How long a whole process of this interpreter takes, from its start to its end."""
    return seconds_of(lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True))


def keep(row: Row) -> None:
    """Sets a row's entry in `latest.json`, one entry a name."""
    entries = {entry["name"]: entry for entry in (json.loads(LATEST.read_text()) if LATEST.is_file() else [])}
    entries[row.name] = asdict(row)
    LATEST.write_text(json.dumps([entries[name] for name in sorted(entries)], indent=1) + "\n", encoding="utf-8")
