"""Two drivers of one artifact over the same images: LoadGen's offline scenario, and the pipeline of `assay bench`."""

from __future__ import annotations

import shutil
from pathlib import Path

from assay.loadgen.bench import bench_scenario
from assay.loadgen.request import ScenarioRequest
from assay.records import CompiledModel, PreparedDataset, Setting
from assay.steps.bench import bench_all
from assay.steps.measurement import Length
from benchmarks import spread
from benchmarks.harness import WORK, Row, alternating, row

LEAST = 0.97
ROUNDS = 9
SECONDS = 5.0

Runnable = tuple[CompiledModel, dict[str, Setting]]


def measure() -> Row:
    """The smaller throughput over the larger, in alternating runs."""
    runnable, images = spread.artifact({}), spread.data()
    ratio, _ = alternating(lambda: _by_loadgen(runnable, images), lambda: _by_assay(runnable, images), ROUNDS)
    against = (
        f"assay bench, end to end; {runnable[0].model.name}, prepared images, batch {spread.BATCH}; "
        f"LoadGen over it is {ratio:.3f}"
    )
    return row("loadgen_vs_own", min(ratio, 1 / ratio), "ratio", least=LEAST, against=against)


def _by_loadgen(runnable: Runnable, images: PreparedDataset) -> float:
    compiled, run_settings = runnable
    request = ScenarioRequest("offline", seconds=SECONDS)
    outcome = bench_scenario(compiled, images, _emptied(), request, run_settings=run_settings)
    assert outcome.scenario.throughput is not None
    return outcome.scenario.throughput


def _by_assay(runnable: Runnable, images: PreparedDataset) -> float:
    record = bench_all([runnable], images, _emptied(), length=Length(seconds=SECONDS))
    return record.results[0].performance.end_to_end_throughput


def _emptied() -> Path:
    folder = WORK / "loadgen"
    shutil.rmtree(folder, ignore_errors=True)
    return folder
