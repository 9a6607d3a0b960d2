"""Two drivers of one artifact over the same images: LoadGen's offline scenario, and the pipeline of `assay bench`."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from assay.loadgen.bench import bench_scenario
from assay.loadgen.request import ScenarioRequest
from assay.records import Runnable
from assay.steps.measurement import Length
from benchmarks.harness import Benchmark, Bound, Measured, in_turn
from benchmarks.runnables import recorded
from benchmarks.spread import Shared, shared


@dataclass(frozen=True)
class Form:
    """How many images, how long and how often each drives, and whether on the material if it is there."""

    images: int
    seconds: float
    rounds: int
    material: bool


def measure(form: Form, folder: Path) -> Measured:
    """The smaller throughput over the larger, of runs in turn."""
    run = shared(folder, images=form.images, material=form.material)
    turns = in_turn(lambda: _by_loadgen(run, form.seconds), lambda: _by_assay(run, form.seconds), form.rounds)
    said = f"assay bench, end to end; {run}; LoadGen over it is {turns.ratio:.3f}: {turns.medians('images/s')}"
    return Measured(min(turns.ratio, 1 / turns.ratio), said)


def _by_loadgen(run: Shared, seconds: float) -> float:
    folder = run.folder / "loadgen"
    shutil.rmtree(folder, ignore_errors=True)
    request = ScenarioRequest("offline", seconds=seconds)
    one = run.runnable
    outcome = bench_scenario(Runnable(one.compiled, one.run_settings), run.images, folder, request)
    assert outcome.scenario.throughput is not None
    return outcome.scenario.throughput


def _by_assay(run: Shared, seconds: float) -> float:
    record = recorded(run.runnable, run.images, run.folder / "runs", length=Length(seconds=seconds))
    return record.results[0].performance.end_to_end_throughput


BENCHMARK = Benchmark(
    measure,
    full=Form(images=6_400, seconds=5.0, rounds=9, material=True),
    small=Form(images=16, seconds=0.2, rounds=1, material=False),
    bound=Bound(least=0.97),
    modules=("mlperf_loadgen",),
)
