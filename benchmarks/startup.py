"""What a user waits for at each command: `assay --help`, over a Python that imports what any command line needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Benchmark, Bound, Measured, in_turn, python_seconds

YARDSTICK = "import argparse, json, pathlib"


@dataclass(frozen=True)
class Form:
    """How many rounds."""

    rounds: int


def measure(form: Form, folder: Path) -> Measured:
    """Whole processes in turn."""
    turns = in_turn(
        lambda: python_seconds("-m", "assay", "--help"), lambda: python_seconds("-c", YARDSTICK), form.rounds
    )
    return Measured(turns.ratio, f"python -c '{YARDSTICK}': {turns.medians('ms', 1000)}")


BENCHMARK = Benchmark(measure, full=Form(rounds=41), small=Form(rounds=1), bound=Bound(most=3))
