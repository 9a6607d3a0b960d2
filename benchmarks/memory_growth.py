"""Anonymous resident memory of a run over 50,000 images beyond that of one over 1,000, through the `null` backend.

Each run is a process of its own; the peak of its RssAnon is read from /proc while it works. What grows with the images
is their names, hashes and labels, in the records and once more as JSON while these are written; pixels and scores are
memory-mapped or written as they arrive.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.records import Dataset, PreparedDataset
from assay.steps.compare import gates_of, judge
from assay.storage import store
from benchmarks.harness import HERE, Benchmark, Bound, Measured
from benchmarks.models import classifier_of
from benchmarks.runnables import recorded, with_defaults

BATCH = 32
SHARD_IMAGES = 500


@dataclass(frozen=True)
class Form:
    """How many images the two runs have."""

    images: int
    few: int


def measure(form: Form, folder: Path) -> Measured:
    """The difference of the two peaks."""
    few, many = _peak(form.few, folder), _peak(form.images, folder)
    return Measured(many - few, f"a run of {form.few:,} images, whose peak is {few:.0f} MB")


def _peak(images: int, folder: Path) -> float:
    """The peak of anonymous memory, in MB, of a process that runs so many images."""
    command = [sys.executable, "-m", "benchmarks.memory_growth", str(images), str(folder / "memory_growth")]
    process = subprocess.Popen(command, cwd=HERE.parent)
    status = Path(f"/proc/{process.pid}/status")
    peak = 0
    while process.poll() is None:
        try:
            lines = [line for line in status.read_text().splitlines() if line.startswith("RssAnon")]
        except OSError:
            break
        peak = max([peak, *(int(line.split()[1]) for line in lines)])
        time.sleep(0.005)
    if process.wait() != 0:
        raise RuntimeError(f"the run of {images} images failed")
    return peak * 1024 / 1e6


def run(images: int, folder: Path) -> None:
    """A run over so many made-up images of 32×32 and 1,000 classes, with labels, up to its record and verdict."""
    model = classifier_of(folder, side=32, classes=1000)
    pixels = np.zeros((SHARD_IMAGES, 32, 32, 3), np.uint8)
    shard = store.save_array(folder / "prepared" / "images-00000.npy", pixels)
    names = tuple(f"ILSVRC2012_val_{number:08}.JPEG" for number in range(images))
    dataset = Dataset(
        source=folder,
        names=names,
        labels=tuple(number % 1000 for number in range(images)),
        image_sha256=tuple(store.hash_of(name) for name in names),
        fingerprint="made up",
        skipped=(),
        failures=(),
    )
    data = PreparedDataset(dataset=dataset, transform=model.transform, shards=(shard,) * (images // SHARD_IMAGES))
    runnable = with_defaults(model, "null", folder / "compiled", batch=BATCH)
    record = recorded(runnable, data, folder / f"run-{images}")
    verdict = judge(record, gates_of([], None, []), [])
    print(json.dumps({"images": images, "judged": verdict.word}), file=sys.stderr)


def _obstacle() -> str | None:
    return None if Path("/proc/self/status").is_file() else "the memory of a process is read from /proc"


BENCHMARK = Benchmark(
    measure,
    full=Form(images=50_000, few=1_000),
    small=Form(images=2 * SHARD_IMAGES, few=SHARD_IMAGES),
    bound=Bound(most=100),
    unit="MB",
    obstacle=_obstacle,
)

if __name__ == "__main__":
    run(int(sys.argv[1]), Path(sys.argv[2]))
