"""Artifacts with the settings of their runs, and what a benchmark does with them: compile, open, measure.

The benchmarks call these and not assay's steps, so that a change of the steps is met in one place.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType

import numpy as np

from assay.backends import opening
from assay.backends.base import Batch, Session
from assay.measure import stages
from assay.progress import Silent
from assay.records import BuildOptions, CompiledModel, OnnxModel, Performance, PreparedDataset, Runnable, RunRecord
from assay.remote.bench import Spread
from assay.steps.artifact import compile_into
from assay.steps.bench import bench_all
from assay.steps.build_options import BuildRequest
from assay.steps.interleave import bench_interleaved
from assay.steps.measurement import Length, Measuring, Passage, measure
from assay.steps.pixel_sources import source_of


def batch_of_pixels(runnable: Runnable) -> Batch:
    """Made-up pixels of the shape that an artifact takes."""
    shape = [int(axis) for axis in runnable.compiled.input.shape]
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def opened(runnable: Runnable) -> AbstractContextManager[Session]:
    """A session of an artifact on its device."""
    return opening.open_compiled(runnable.compiled, runnable.run_settings)


def compiled(model: OnnxModel, options: BuildOptions, folder: Path) -> CompiledModel:
    """The artifact of a model, compiled once and kept in the folder."""
    return compile_into(model, options, folder)[0]


def with_defaults(
    model: OnnxModel, backend: str, folder: Path, *, batch: int, settings: Mapping[str, str] = MappingProxyType({})
) -> Runnable:
    """A model compiled for a backend with its defaults, but for the settings that are given."""
    options, run_settings = BuildRequest(backend=backend, set=settings).options(batch)
    return Runnable(compiled(model, options, folder), run_settings)


def on_cuda(model: OnnxModel, folder: Path, batch: int) -> Runnable:
    """A model compiled by torch for a CUDA device at half precision."""
    options, run_settings = BuildRequest(backend="torch", device="cuda", precision="fp16").options(batch)
    return Runnable(compiled(model, options, folder), run_settings)


def measured(runnable: Runnable, data: PreparedDataset | None, folder: Path, length: Length = Length()) -> Performance:
    """One run: for its length, or once over the data; without data on made-up pixels."""
    return measure(runnable, data, folder, Measuring(length=length)).performance


def recorded(
    runnable: Runnable,
    data: PreparedDataset,
    folder: Path,
    *,
    length: Length = Length(),
    cluster: str | None = None,
) -> RunRecord:
    """One run with its record, by this process or by the workers of a Ray cluster, in a folder emptied before."""
    shutil.rmtree(folder, ignore_errors=True)
    spread = Spread(cluster=cluster) if cluster is not None else None
    return bench_all([runnable], data, folder, Measuring(length=length, workers=spread))


def measured_in_turn(runnables: Sequence[Runnable], folder: Path, seconds: float) -> list[Performance]:
    """Each measured for so many seconds in short blocks that take turns, on made-up pixels."""
    records = bench_interleaved(runnables, None, folder, Measuring(length=Length(seconds=seconds)))
    return [record.results[0].performance for record in records.values()]


def glanced_at(runnable: Runnable, warm_up_seconds: float, seconds: float) -> float:
    """Images a second of one short run after a warm-up, with no record: hundreds fit into minutes."""
    with opened(runnable) as session:
        passage = Passage(runnable, session, source_of(None), Length(seconds=seconds))
        for duration in (warm_up_seconds, seconds):
            jobs = stages.repeated(passage.images, passage.batch, stages.for_seconds(duration))
            done = passage.run(jobs, Silent())
    return done.items / done.wall_seconds
