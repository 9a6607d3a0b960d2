"""How long `assay report` takes on a run of 50,000 images at two batch sizes, its start and its pictures included."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
from tests import factories, pages

from assay.records import BatchResult, Predictions
from assay.score import accuracy
from assay.storage import store
from benchmarks.harness import WORK, Row, row

MOST_SECONDS = 5.0
MOST_BYTES = 3_000_000
IMAGES, CLASSES = 50_000, 1_000
ROUNDS = 5


def measure() -> Row:
    """The median of whole commands; the page's size is held to its bound beside it."""
    out = WORK / "report_page"
    shutil.rmtree(out, ignore_errors=True)
    _write_run(out)
    seconds = statistics.median(_seconds(out) for _ in range(ROUNDS))
    size = (out / "report.html").stat().st_size
    assert size < MOST_BYTES, f"the page has {size:,} bytes"
    return row("report_page", seconds, "s", most=MOST_SECONDS, against=f"bound; {IMAGES:,} images, {size:,} bytes")


def _seconds(out: Path) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "assay", "report", str(out)], check=True, capture_output=True)
    return time.perf_counter() - begin


def _write_run(out: Path) -> None:
    """A run whose scores are made up: about four of five images are right."""
    generator = np.random.default_rng(0)
    names = tuple(f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, IMAGES + 1))
    labels = generator.integers(0, CLASSES, IMAGES)
    reference = generator.standard_normal((IMAGES, CLASSES), dtype=np.float32)
    right = np.flatnonzero(generator.random(IMAGES) < 0.8)
    reference[right, labels[right]] += 8
    scores = reference + generator.standard_normal((IMAGES, CLASSES), dtype=np.float32) * np.float32(1e-3)
    here = _predictions(out / "scores.npy", scores, names)
    counted = accuracy.evaluate(here, labels.tolist())

    def result(batch: int) -> BatchResult:
        measured = factories.result(out, batch, calls=pages.calls(IMAGES // batch, 0.01 * batch), images=IMAGES)
        return msgspec.structs.replace(measured, predictions=here, accuracy=counted, profile=pages.profile("conv"))

    record = factories.run_record(
        [result(1), result(16)],
        dataset=factories.dataset(names, labels.tolist()),
        reference=_predictions(out / "reference.npy", reference, names),
    )
    store.write(out / "run.json", record)


def _predictions(path: Path, scores: np.ndarray, names: tuple[str, ...]) -> Predictions:
    return Predictions(names=names, dataset_fingerprint="f" * 64, scores=store.save_array(path, scores))
