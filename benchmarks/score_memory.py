"""Counting hits and listing the five best classes of scores, over numpy's `argpartition` of the same scores.

The scores lie memory-mapped in the page cache for both. `argpartition` finds the five best, in no order and with ties
broken at random; what `evaluate` does beyond that is their order, the lower class of equals, and the count.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.records import Predictions
from assay.score import accuracy
from assay.storage import store
from benchmarks.harness import Benchmark, Bound, Measured, in_turn, seconds_of

BEST = 5
CHUNK = 2048
"""Images: the indices of all at once would be 400 MB, and writing these most of the yardstick's time."""


@dataclass(frozen=True)
class Form:
    """How many scores, and how often they are counted."""

    images: int
    classes: int
    rounds: int


def measure(form: Form, folder: Path) -> Measured:
    """Both in turn."""
    generator = np.random.default_rng(0)
    scores = generator.standard_normal((form.images, form.classes), dtype=np.float32)
    names = tuple(f"{number:08}.jpg" for number in range(form.images))
    predictions = Predictions(
        names=names,
        dataset_fingerprint="made up",
        scores=store.save_array(folder / "score_memory" / "scores.npy", scores),
    )
    del scores
    labels = generator.integers(0, form.classes, form.images).tolist()
    turns = in_turn(
        lambda: seconds_of(lambda: accuracy.evaluate(predictions, labels)),
        lambda: seconds_of(lambda: _argpartition(predictions)),
        form.rounds,
    )
    size = f"{form.images:,} × {form.classes:,} float32 scores"
    return Measured(turns.ratio, f"argpartition of {size}: {turns.medians('ms', 1000)}")


def _argpartition(predictions: Predictions) -> None:
    scores = np.asarray(predictions.scores.load())
    for start in range(0, len(scores), CHUNK):
        np.argpartition(scores[start : start + CHUNK], -BEST, axis=1)


BENCHMARK = Benchmark(
    measure,
    full=Form(images=50_000, classes=1_000, rounds=15),
    small=Form(images=50, classes=10, rounds=1),
    bound=Bound(most=1.4),
)
