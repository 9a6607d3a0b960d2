"""`python -m tests.endurance.many_images BACKEND IMAGES FOLDER`: three rounds over made-up images, and the memory held.

Prints one line of JSON for each round: the images that came out, how often each of them did, whether all scores are
those of the first round, and the anonymous memory in bytes after 1,000 images of the round and its peak from then on.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assay import demo
from assay.data.transform import TransformChoice
from assay.records import Dataset, OnnxModel, PreparedDataset, Runnable
from assay.steps.adopt import describe
from assay.steps.artifact import compile_into
from assay.steps.build_options import BuildRequest
from assay.steps.measurement import Measuring, measure
from assay.storage import store

ROUNDS, BATCH, SHARD = 3, 25, 250
SETTLED = 1000
"""Images after which nothing is to grow any more."""
EVERY = 20
"""Batches between two looks at the memory."""


def held() -> int:
    """The anonymous memory of this process, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) * 1024


def prepared(model: OnnxModel, images: int, folder: Path) -> PreparedDataset:
    """Made-up images: one shard, which stands in the record as often as it takes."""
    crop = model.transform.crop
    pixels = np.random.default_rng(0).integers(0, 256, (SHARD, crop, crop, 3), dtype=np.uint8)
    shard = store.save_array(folder / "images-00000.npy", pixels)
    dataset = Dataset(
        source=folder,
        names=tuple(f"{number:08}.jpg" for number in range(images)),
        labels=tuple(number % len(demo.CLASSES) for number in range(images)),
        image_sha256=tuple(f"{number:064x}" for number in range(images)),
        fingerprint="made up",
        skipped=(),
        failures=(),
    )
    return PreparedDataset(dataset=dataset, transform=model.transform, shards=(shard,) * (images // SHARD))


class Count:
    """What arrives of a round, as it arrives."""

    def __init__(self, images: int) -> None:
        self.times = np.zeros(images, np.uint8)
        self.settled = self.peak = self._batches = 0

    def take(self, first: int, scores: npt.NDArray[np.float32]) -> None:
        """A sink of a run."""
        self.times[first : first + len(scores)] += 1
        self._batches += 1
        if self._batches == SETTLED // BATCH:
            self.settled = self.peak = held()
        elif self._batches > SETTLED // BATCH and self._batches % EVERY == 0:
            self.peak = max(self.peak, held())


def main(backend: str, images: int, folder: Path) -> None:
    choice = TransformChoice(resize=demo.RESIZE, crop=demo.CROP, mean=demo.MEAN, std=demo.STD)
    model = describe(demo.ONNX, choice)
    data = prepared(model, images, folder)
    options, run_settings = BuildRequest(backend=backend).options(BATCH)
    compiled, _ = compile_into(model, options, folder / "compiled")
    expected: str | None = None
    for _ in range(ROUNDS):
        count = Count(images)
        found = measure(Runnable(compiled, run_settings), data, folder / "bench", Measuring(), [count.take])
        assert found.predictions is not None
        scores = np.asarray(found.predictions.scores.load())
        # A copy of the scores would be held by this test, not by what it tests.
        found_hash = found.predictions.scores.file.sha256
        expected = expected or found_hash
        print(
            json.dumps(
                {
                    "images": found.performance.images,
                    "names": len(found.predictions.names),
                    "calls": len(found.performance.batch_seconds.load()),
                    "stages": [stage.items for stage in found.performance.stages],
                    "times": [int(count.times.min()), int(count.times.max())],
                    "same": found_hash == expected,
                    # The images repeat with the shards, and whole batches of them.
                    "repeats": bool((scores.reshape(-1, SHARD, scores.shape[1]) == scores[:SHARD]).all()),
                    "settled": count.settled,
                    "peak": count.peak,
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
