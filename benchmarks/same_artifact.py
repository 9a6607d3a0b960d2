"""The same artifact as A and as B, measured in turn while another process burns the processor now and then.

Two equal artifacts have the ratio 1: an interval of 95 % excludes it in one run of twenty.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from assay.records import Estimate, Runnable
from assay.score import figures
from assay.steps.artifact import compile_into
from assay.steps.build_options import BuildRequest
from assay.steps.interleave import bench_interleaved
from assay.steps.measurement import Length, Measuring
from benchmarks import models
from benchmarks.harness import Benchmark, Bound, Measured

BATCH = 16
_LEAST_GIVEN = 0.5
_LOAD = """
import random, time
while True:
    end = time.perf_counter() + random.expovariate(5)
    while time.perf_counter() < end:
        pass
    time.sleep(random.expovariate(5))
"""
"""Bursts and pauses of a fifth of a second on average."""


@dataclass(frozen=True)
class Form:
    """On which backends, how often, and how long each of the two is measured."""

    backends: tuple[str, ...]
    runs: int
    seconds: float


def measure(form: Form, folder: Path) -> Measured:
    """The share of the runs whose ratio's interval excludes 1; 1 if fewer than half of the runs have an interval."""
    home = folder / "same_artifact"
    with _load():
        found = {backend: _ratios(backend, form, home / backend) for backend in form.backends}
    ratios = [ratio for some in found.values() for ratio in some]
    given = [ratio for ratio in ratios if ratio.interval is not None]
    excluded = {backend: sum(_excludes_one(ratio) for ratio in some) for backend, some in found.items()}
    counts = ", ".join(f"{count} of {form.runs} on {backend}" for backend, count in excluded.items())
    said = f"a ratio of 1, excluded by {counts}; {len(given)} of {len(ratios)} runs have an interval"
    spreads = sorted(ratio.spread for ratio in given if ratio.spread is not None)
    if spreads:
        said += f", ±{spreads[len(spreads) // 2]:.1%} in the median"
    return Measured(sum(excluded.values()) / len(ratios) if len(given) >= _LEAST_GIVEN * len(ratios) else 1.0, said)


def _ratios(backend: str, form: Form, home: Path) -> list[Estimate]:
    """The interface throughput of one artifact over itself, run by run."""
    options, run_settings = BuildRequest(backend=backend).options(BATCH)
    compiled = compile_into(models.small_classifier(material=False), options, home / "compiled")[0]
    ratios = []
    for _ in range(form.runs):
        shutil.rmtree(home / "runs", ignore_errors=True)
        length = Length(seconds=form.seconds, warm_up=0.5)
        records = bench_interleaved(
            [Runnable(compiled, run_settings)] * 2, None, home / "runs", Measuring(length=length)
        )
        one, other = (record.results[0].performance for record in records.values())
        ratios.append(figures.ratio(one, other, "interface"))
    return ratios


def _excludes_one(ratio: Estimate) -> bool:
    return ratio.interval is not None and not ratio.interval[0] <= 1 <= ratio.interval[1]


@contextmanager
def _load() -> Iterator[None]:
    """A process that burns the processor in bursts."""
    process = subprocess.Popen([sys.executable, "-c", _LOAD])
    try:
        yield
    finally:
        process.kill()
        process.wait()


BENCHMARK = Benchmark(
    measure,
    full=Form(backends=("onnxruntime", "null"), runs=40, seconds=1.2),
    small=Form(backends=("null",), runs=2, seconds=0.1),
    bound=Bound(most=0.12),
)
