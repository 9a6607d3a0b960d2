"""What a trial's own process does: nothing else runs while it measures, and what goes wrong costs that trial alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from assay.backends import opening, registry
from assay.data.prepared import Reader
from assay.data.transform import normalise
from assay.progress import Stopwatch
from assay.records import BatchResult, BuildOptions, CompiledModel, OnnxModel, Performance, PreparedDataset, Runnable
from assay.steps import artifact
from assay.steps.bench import bench_one
from assay.steps.interleave import Turns, bench_interleaved
from assay.steps.measurement import Length, Measuring
from assay.steps.reference import in_batches

Table = Mapping[str, str]
"""The backends that the caller knows."""


T = TypeVar("T")

WARM_UP_SECONDS = 0.5
"""At most: what is not steady by then is as unsteady for the one as for the other."""
_LEAST_ROUNDS = 4
_DOUBT = 1e-3
"""How likely chance alone may make a candidate look slower that is dropped for it; it is asked many times."""


def timed(table: Table, function: Callable[..., T], *arguments: object) -> tuple[T, float]:
    """What a function of this file returns, and how long it was at work."""
    registry.take_over(table)
    watch = Stopwatch()
    return function(*arguments), watch.seconds


def compiled(model: OnnxModel, options: BuildOptions, folder: Path) -> CompiledModel:
    """An artifact of a model, with its parity checked; kept where it is there already."""
    return artifact.compile_into(model, options, folder)[0]


def sample_scores(runnable: Runnable, data: PreparedDataset, images: Sequence[int]) -> npt.NDArray[np.float32]:
    """The scores of some images of a prepared set, float32 [images, classes]."""
    compiled = runnable.compiled
    reader, side = Reader(data.shards), data.transform.crop
    pixels = np.empty((len(images), side, side, 3), np.uint8)
    for place, image in enumerate(images):
        reader.read(image, 1, pixels[place : place + 1])
    given: npt.NDArray[Any] = pixels
    if compiled.input.dtype != "uint8":
        given = normalise(pixels, data.transform, np.empty((len(images), 3, side, side), np.float32))
    with opening.open_compiled(compiled, runnable.run_settings) as session:
        return in_batches(session.infer, compiled.options.batch)(given)


def speeds(
    runnables: Sequence[Runnable], data: PreparedDataset | None, folder: Path, seconds: float, prunes: bool
) -> list[Performance]:
    """Each artifact measured for so many seconds, in turn where they are two; on made-up pixels without data.

    `prunes` ends it as soon as the first is slower than the second beyond doubt.
    """
    measuring = Measuring(length=Length(seconds=seconds, warm_up=WARM_UP_SECONDS))
    turns = Turns(enough=_is_beaten if prunes else None)
    return [result.performance for result in results(runnables, data, folder, measuring, turns)]


def results(
    runnables: Sequence[Runnable], data: PreparedDataset | None, folder: Path, measuring: Measuring, turns: Turns
) -> list[BatchResult]:
    """As `speeds`, with all that was measured; the times lie in `folder`."""
    if len(runnables) == 1:
        return [bench_one(runnables[0], data, folder, measuring).result]
    records = bench_interleaved(runnables, data, folder, measuring, turns)
    return [record.results[0] for record in records.values()]


def evaluated(runnable: Runnable, data: PreparedDataset, folder: Path) -> BatchResult:
    """An artifact once over the whole set, with its accuracy if there are labels."""
    # How fast it is was measured before; here it is how right.
    measuring = Measuring(length=Length(warm_up=0.0), reuse=True)
    return bench_one(runnable, data, folder, measuring).result


def _is_beaten(ratios: npt.NDArray[np.float64]) -> bool:
    """Whether the first is slower than the second beyond doubt, by Student's t of the logarithms."""
    from scipy import special

    logs = np.log(ratios)
    if len(logs) < _LEAST_ROUNDS:
        return False
    error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return error > 0 and float(special.stdtr(len(logs) - 1, logs.mean() / error)) < _DOUBT
