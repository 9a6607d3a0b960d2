"""What the rows of shared runs have in common: a trained model's artifact, and a prepared set long enough to share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec

from assay.records import PreparedDataset, Runnable
from assay.storage import store
from benchmarks import subjects
from benchmarks.runnables import recorded, with_defaults

BATCH = 16


@dataclass(frozen=True)
class Shared:
    """An artifact, the images that are shared out, and where its runs are written."""

    runnable: Runnable
    images: PreparedDataset
    folder: Path

    def rate(self, cluster: str | None = None) -> float:
        """Images a second from the first read to the last post, by one process or by the workers of a cluster."""
        record = recorded(self.runnable, self.images, self.folder / "runs", cluster=cluster)
        return record.results[0].performance.end_to_end_throughput

    def __str__(self) -> str:
        """Which model and how many images."""
        return f"{self.runnable.compiled.model.name}, {len(self.images.dataset.names):,} prepared images, batch {BATCH}"


def shared(folder: Path, *, images: int, material: bool, settings: Mapping[str, str] = MappingProxyType({})) -> Shared:
    """ONNX Runtime's artifact of the small trained classifier, and the first shard of its images over and over."""
    home = folder / "spread"
    subject = subjects.small_classifier(home, material=material)
    runnable = with_defaults(subject.model, "onnxruntime", home / "compiled", batch=BATCH, settings=settings)
    return Shared(runnable, _repeated(subject.data, images), home)


def _repeated(prepared: PreparedDataset, images: int) -> PreparedDataset:
    """The first shard over and over under other names, at least once."""
    shard = prepared.shards[0]
    times = max(1, images // shard.shape[0])
    names = tuple(f"{number:08}.jpg" for number in range(times * shard.shape[0]))
    dataset = msgspec.structs.replace(
        prepared.dataset,
        names=names,
        labels=None,
        image_sha256=tuple(store.hash_of(name) for name in names),
        fingerprint=store.hash_of(names),
    )
    return msgspec.structs.replace(prepared, dataset=dataset, shards=(shard,) * times)
