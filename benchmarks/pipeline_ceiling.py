"""How fast the pipeline carries images if the backend costs nothing, over one plain copy of the same pixels.

A prepared set of 224×224 images lies in the page cache and goes through the `null` backend at batch 32, scores
written to disk as in any run. Each image is 150,528 bytes copied once out of the memory-mapped shard and 4,000
bytes of scores written: the limit is the machine's memory bandwidth for a copy, which is the yardstick.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.records import ArrayFile, Dataset, ImageTransform, PreparedDataset, Runnable
from assay.storage import store
from benchmarks.harness import Benchmark, Bound, Measured, in_turn
from benchmarks.models import classifier_of
from benchmarks.runnables import measured, with_defaults

BATCH = 32


@dataclass(frozen=True)
class Form:
    """How many pixels, how often a run goes over them, and how many runs."""

    side: int
    shards: int
    shard_images: int
    passes: int
    copy_seconds: float
    rounds: int


def measure(form: Form, folder: Path) -> Measured:
    """Images a second of both in turn."""
    home = folder / "pipeline_ceiling"
    model = classifier_of(home, side=form.side, classes=1000)
    data = _prepared(form, model.transform, home)
    runnable = with_defaults(model, "null", home / "compiled", batch=BATCH)
    shards = data.shards[: form.shards]
    turns = in_turn(lambda: _rate(runnable, data, home), lambda: _copy_rate(shards, form.copy_seconds), form.rounds)
    return Measured(turns.ratio, f"one plain copy of the same pixels: {turns.medians('images/s')}")


def _rate(runnable: Runnable, data: PreparedDataset, home: Path) -> float:
    """Images a second of one run; its scores go before the system gets to writing them to the disk."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        return measured(runnable, data, Path(folder)).end_to_end_throughput


def _prepared(form: Form, transform: ImageTransform, home: Path) -> PreparedDataset:
    """Shards of made-up pixels; the same files stand in the record several times."""
    shards: list[ArrayFile] = []
    generator = np.random.default_rng(0)
    for number in range(form.shards):
        pixels = generator.integers(0, 256, (form.shard_images, form.side, form.side, 3), dtype=np.uint8)
        shards.append(store.save_array(home / "prepared" / f"images-{number:05}.npy", pixels))
    names = tuple(f"{number:08}.jpg" for number in range(form.shards * form.shard_images * form.passes))
    dataset = Dataset(
        source=home,
        names=names,
        labels=None,
        image_sha256=tuple(store.hash_of(name) for name in names),
        fingerprint="made up",
        skipped=(),
        failures=(),
    )
    return PreparedDataset(dataset=dataset, transform=transform, shards=tuple(shards) * form.passes)


def _copy_rate(shards: tuple[ArrayFile, ...], seconds: float) -> float:
    """Images a second of nothing but copying batches out of the page cache, in one thread."""
    arrays = [shard.load() for shard in shards]
    buffer = np.empty((BATCH, *arrays[0].shape[1:]), np.uint8)
    begin, copied = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        for array in arrays:
            for first in range(0, len(array), BATCH):
                np.copyto(buffer, array[first : first + BATCH])
                copied += BATCH
    return copied / (time.perf_counter() - begin)


BENCHMARK = Benchmark(
    measure,
    # 308 MB of distinct pixels, far beyond any cache, gone over 25 times in one run: 51,200 images.
    full=Form(side=224, shards=4, shard_images=512, passes=25, copy_seconds=1.0, rounds=9),
    small=Form(side=16, shards=2, shard_images=64, passes=2, copy_seconds=0.01, rounds=1),
    bound=Bound(least=0.6),
)
