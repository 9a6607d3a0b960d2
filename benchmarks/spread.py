"""What the rows of shared runs have in common: a trained model's artifact, and a prepared set long enough to share."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from assay.records import CompiledModel, PreparedDataset, Setting
from assay.remote.bench import Spread
from assay.steps.artifact import compile_into
from assay.steps.bench import bench_all
from assay.steps.build_options import build_options
from assay.storage import store
from benchmarks import subjects
from benchmarks.harness import WORK

IMAGES = 6_400
BATCH = 16


def artifact(settings: Mapping[str, str]) -> tuple[CompiledModel, dict[str, Setting]]:
    """ONNX Runtime's artifact of the small trained classifier, and the settings of its runs."""
    options, run_settings = build_options("onnxruntime", batch=BATCH, settings=settings)
    return compile_into(subjects.small_classifier().model, options, WORK / "spread" / "compiled")[0], run_settings


def data() -> PreparedDataset:
    """The first shard of its images, over and over under other names."""
    prepared = subjects.small_classifier().data
    shard = prepared.shards[0]
    times = IMAGES // shard.shape[0]
    names = tuple(f"{number:08}.jpg" for number in range(times * shard.shape[0]))
    dataset = msgspec.structs.replace(
        prepared.dataset,
        names=names,
        labels=None,
        image_sha256=tuple(store.hash_of(name) for name in names),
        fingerprint=store.hash_of(names),
    )
    return msgspec.structs.replace(prepared, dataset=dataset, shards=(shard,) * times)


def rate(runnable: tuple[CompiledModel, dict[str, Setting]], images: PreparedDataset, cluster: str | None) -> float:
    """Images a second from the first read to the last post, by one process or by the workers of a cluster."""
    folder: Path = WORK / "spread" / "runs"
    shutil.rmtree(folder, ignore_errors=True)
    over = Spread(cluster=cluster) if cluster is not None else None
    record = bench_all([runnable], images, folder, spread=over)
    return record.results[0].performance.end_to_end_throughput
