"""Counting hits and listing the five best classes of 50,000 images of 1,000 scores, as a run does it.

The scores lie memory-mapped in the page cache: 200 MB, read about seven times (five passes of argmax over a chunk
that stays in the cache, one copy into it, and the marks).
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from assay.records import Predictions
from assay.score import accuracy
from assay.storage import store
from benchmarks.harness import WORK, Row, row

MOST_SECONDS = 0.4
IMAGES, CLASSES = 50_000, 1_000
ROUNDS = 5


def measure() -> Row:
    """The median of several rounds."""
    generator = np.random.default_rng(0)
    scores = store.save_array(
        WORK / "score_memory" / "scores.npy", generator.standard_normal((IMAGES, CLASSES), dtype=np.float32)
    )
    names = tuple(f"{number:08}.jpg" for number in range(IMAGES))
    predictions = Predictions(names=names, dataset_fingerprint="made up", scores=scores)
    labels = generator.integers(0, CLASSES, IMAGES).tolist()
    return row(
        "score_memory",
        statistics.median(_seconds(predictions, labels) for _ in range(ROUNDS)),
        "s",
        most=MOST_SECONDS,
        against=f"bound; {IMAGES:,} × {CLASSES:,} float32 scores",
    )


def _seconds(predictions: Predictions, labels: list[int]) -> float:
    begin = time.perf_counter()
    accuracy.evaluate(predictions, labels)
    return time.perf_counter() - begin
