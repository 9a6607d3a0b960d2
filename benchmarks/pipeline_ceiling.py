"""How many images a second the pipeline carries where the backend costs nothing.

A prepared set of 224×224 images lies in the page cache and goes through the `null` backend at batch 32, scores
written to disk as in any run. Each image is 150,528 bytes copied once out of the memory-mapped shard and 4,000
bytes of scores written: the limit is the machine's memory bandwidth for a copy, printed beside the result.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from assay.records import ArrayFile, CompiledModel, Dataset, ImageTransform, PreparedDataset, Setting
from assay.steps.artifact import compile_into
from assay.steps.build_options import build_options
from assay.steps.measurement import bench
from assay.storage import store
from benchmarks.harness import WORK, Row, row
from benchmarks.models import classifier_of

LEAST = 50_000
BATCH = 32
ROUNDS = 5
SHARDS, SHARD_IMAGES, PASSES = 4, 512, 25
"""308 MB of distinct pixels, far beyond any cache, gone over 25 times in one run: 51,200 images."""


def measure() -> Row:
    """The median end-to-end throughput of several runs."""
    model = classifier_of(WORK / "ceiling", side=224, classes=1000)
    data = _prepared(model.transform)
    options, run_settings = build_options("null", batch=BATCH)
    compiled, _ = compile_into(model, options, WORK / "ceiling" / "compiled")
    rates = [_rate(compiled, data, run_settings) for _ in range(ROUNDS)]
    return row(
        "pipeline_ceiling",
        statistics.median(rates),
        "images/s",
        least=LEAST,
        against=f"bound; one plain copy of the same pixels runs at {_copy_rate(data):,.0f} images/s",
    )


def _rate(compiled: CompiledModel, data: PreparedDataset, run_settings: dict[str, Setting]) -> float:
    """Images a second of one run; its 205 MB of scores go before the system gets to writing them to the disk."""
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        measured = bench(compiled, data, Path(folder), run_settings=run_settings)
        return measured.performance.end_to_end_throughput


def _prepared(transform: ImageTransform) -> PreparedDataset:
    """Shards of made-up pixels; the same files stand in the record several times."""
    shards: list[ArrayFile] = []
    generator = np.random.default_rng(0)
    for number in range(SHARDS):
        pixels = generator.integers(0, 256, (SHARD_IMAGES, 224, 224, 3), dtype=np.uint8)
        shards.append(store.save_array(WORK / "ceiling" / "prepared" / f"images-{number:05}.npy", pixels))
    count = SHARDS * SHARD_IMAGES * PASSES
    names = tuple(f"{number:08}.jpg" for number in range(count))
    dataset = Dataset(
        source=WORK, names=names, labels=None, image_sha256=(), fingerprint="made up", skipped=(), failures=()
    )
    return PreparedDataset(dataset=dataset, transform=transform, shards=tuple(shards) * PASSES)


def _copy_rate(data: PreparedDataset) -> float:
    """Images a second of nothing but copying batches out of the page cache, in one thread."""
    shards = [shard.load() for shard in data.shards[:SHARDS]]
    buffer = np.empty((BATCH, 224, 224, 3), np.uint8)
    begin, copied = time.perf_counter(), 0
    while time.perf_counter() - begin < 1.0:
        for shard in shards:
            for first in range(0, len(shard), BATCH):
                np.copyto(buffer, shard[first : first + BATCH])
                copied += BATCH
    return copied / (time.perf_counter() - begin)
