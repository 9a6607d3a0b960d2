"""Artifacts with the settings of their runs, and what a benchmark does with them: compile, open, measure.

The benchmarks call these and not assay's steps, so that a change of the steps is met in one place.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.backends import opening
from assay.backends.base import Batch, Session
from assay.measure import stages
from assay.progress import Silent
from assay.records import BuildOptions, CompiledModel, OnnxModel, Performance, PreparedDataset, RunRecord, Setting
from assay.remote.bench import Spread
from assay.steps.bench import bench_all
from assay.steps.build_options import build_options
from assay.steps.artifact import compile_into
from assay.steps.interleave import bench_interleaved
from assay.steps.measurement import Length, Passage, bench
from assay.steps.pixel_sources import source_of


@dataclass(frozen=True)
class Runnable:
    """An artifact and the settings of its run."""

    compiled: CompiledModel
    run_settings: Mapping[str, Setting]

    @property
    def name(self) -> str:
        """Of its model."""
        return self.compiled.model.name

    def batch_of_pixels(self) -> Batch:
        """Made-up pixels of the shape that it takes."""
        shape = [int(axis) for axis in self.compiled.input.shape]
        return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    def open(self) -> AbstractContextManager[Session]:
        """Opens it on its device."""
        return opening.open_compiled(self.compiled, self.run_settings)


def compiled(model: OnnxModel, options: BuildOptions, folder: Path) -> CompiledModel:
    """The artifact of a model, compiled once and kept in the folder."""
    return compile_into(model, options, folder)[0]


def with_defaults(
    model: OnnxModel, backend: str, folder: Path, *, batch: int, settings: Mapping[str, str] | None = None
) -> Runnable:
    """A model compiled for a backend with its defaults, but for the settings that are given."""
    options, run_settings = build_options(backend, batch=batch, settings=settings)
    return Runnable(compiled(model, options, folder), run_settings)


def on_cuda(model: OnnxModel, folder: Path, batch: int) -> Runnable:
    """A model compiled by torch for a CUDA device at half precision."""
    options, run_settings = build_options("torch", batch=batch, device="cuda", precision="fp16")
    return Runnable(compiled(model, options, folder), run_settings)


def measured(runnable: Runnable, data: PreparedDataset | None, folder: Path, length: Length = Length()) -> Performance:
    """One run: for its length, or once over the data; without data on made-up pixels."""
    return bench(runnable.compiled, data, folder, run_settings=runnable.run_settings, length=length).performance


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
    pair = (runnable.compiled, runnable.run_settings)
    return bench_all([pair], data, folder, length=length, spread=spread)


def measured_in_turn(runnables: Sequence[Runnable], folder: Path, seconds: float) -> list[Performance]:
    """Each measured for so many seconds in short blocks that take turns, on made-up pixels."""
    pairs = [(one.compiled, one.run_settings) for one in runnables]
    records = bench_interleaved(pairs, None, folder, length=Length(seconds=seconds))
    return [record.results[0].performance for record in records.values()]


def glanced_at(runnable: Runnable, warm_up_seconds: float, seconds: float) -> float:
    """Images a second of one short run after a warm-up, with no record: hundreds fit into minutes."""
    with runnable.open() as session:
        passage = Passage(runnable.compiled, session, source_of(None), once=False)
        for duration in (warm_up_seconds, seconds):
            jobs = stages.repeated(passage.images, passage.batch, stages.for_seconds(duration))
            done = passage.run(jobs, Silent())
    return done.items / done.wall_seconds
