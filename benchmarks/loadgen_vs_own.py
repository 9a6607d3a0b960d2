"""Two drivers of one artifact over the same images: LoadGen's offline scenario, and the pipeline of `assay bench`."""

from __future__ import annotations

import shutil
from pathlib import Path

from assay import workflow
from assay.records import CompiledModel, PreparedDataset, Setting
from benchmarks import spread
from benchmarks.harness import WORK, Row, alternating, row

LEAST = 0.97
ROUNDS = 2
SECONDS = 6.0


def measure() -> Row:
    """The smaller throughput over the larger, in alternating runs."""
    runnable, images = spread.artifact({}), spread.data()
    ratio, _ = alternating(lambda: _by_loadgen(runnable, images), lambda: spread.rate(runnable, images, None), ROUNDS)
    against = (
        f"assay bench, end to end; {runnable[0].model.name}, prepared images, batch {spread.BATCH}; "
        f"LoadGen over it is {ratio:.3f}"
    )
    return row("loadgen_vs_own", min(ratio, 1 / ratio), "ratio", least=LEAST, against=against)


def _by_loadgen(runnable: tuple[CompiledModel, dict[str, Setting]], images: PreparedDataset) -> float:
    folder: Path = WORK / "loadgen"
    shutil.rmtree(folder, ignore_errors=True)
    compiled, run_settings = runnable
    request = workflow.ScenarioRequest("offline", seconds=SECONDS)
    outcome = workflow.bench_scenario(compiled, images, folder, request, run_settings=run_settings)
    assert outcome.scenario.throughput is not None
    return outcome.scenario.throughput
