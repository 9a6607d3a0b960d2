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
from pathlib import Path

import numpy as np

from assay.records import Dataset, PreparedDataset
from assay.steps.artifact import compile_into
from assay.steps.bench import bench_all
from assay.steps.build_options import build_options
from assay.steps.compare import compare, gates_of
from assay.storage import store
from benchmarks.harness import WORK, Row, row
from benchmarks.models import classifier_of

MOST_MEGABYTES = 100
IMAGES, FEW = 50_000, 1_000
BATCH = 32


def measure() -> Row:
    """The difference of the two peaks."""
    few, many = _peak(FEW), _peak(IMAGES)
    return row(
        "memory_growth",
        many - few,
        "MB",
        most=MOST_MEGABYTES,
        against=f"a run of {FEW:,} images, whose peak is {few:.0f} MB",
    )


def _peak(images: int) -> float:
    """The peak of anonymous memory, in MB, of a process that runs so many images."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.memory_growth", str(images)])
    status = Path(f"/proc/{process.pid}/status")
    peak = 0
    while process.poll() is None:
        try:
            found = [line for line in status.read_text().splitlines() if line.startswith("RssAnon")]
        except OSError:
            break
        peak = max([peak, *(int(line.split()[1]) for line in found)])
        time.sleep(0.005)
    if process.wait() != 0:
        raise RuntimeError(f"the run of {images} images failed")
    return peak * 1024 / 1e6


def run(images: int) -> None:
    """A run over so many made-up images of 32×32 and 1,000 classes, with labels, up to its record and verdict."""
    folder = WORK / "memory_growth" / str(images)
    model = classifier_of(folder, side=32, classes=1000)
    pixels = np.zeros((500, 32, 32, 3), np.uint8)
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
    data = PreparedDataset(dataset=dataset, transform=model.transform, shards=(shard,) * (images // 500))
    options, run_settings = build_options("null", batch=BATCH)
    compiled, _ = compile_into(model, options, folder / "compiled")
    record = bench_all([(compiled, run_settings)], data, folder)
    verdict = compare(record, gates_of([], None, []), [])
    print(json.dumps({"images": images, "judged": verdict.word}), file=sys.stderr)


if __name__ == "__main__":
    run(int(sys.argv[1]))
