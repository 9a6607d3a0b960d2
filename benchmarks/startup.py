"""How long `assay --help` takes beyond a Python that does nothing: the imports that a user waits for each time."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.harness import Row, row

ROUNDS = 15
MOST_MILLISECONDS = 200


def measure() -> Row:
    """The median difference over alternating runs."""
    differences = [_milliseconds("-m", "assay", "--help") - _milliseconds("-c", "pass") for _ in range(ROUNDS)]
    return row("startup", statistics.median(differences), "ms", most=MOST_MILLISECONDS, against="python -c pass")


def _milliseconds(*arguments: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return 1000 * (time.perf_counter() - begin)
