"""`assay report` on a run at two batch sizes, its start and pictures included, over importing what draws a page."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from tests import factories, pages

from assay.records import BatchResult, Predictions
from assay.score import accuracy
from assay.storage import store
from benchmarks.harness import Benchmark, Bound, Measured, in_turn, python_seconds

YARDSTICK = "import matplotlib.pyplot, jinja2"
MOST_BYTES = 3_000_000


@dataclass(frozen=True)
class Form:
    """How large a run, and how often its page is made."""

    images: int
    classes: int
    rounds: int


def measure(form: Form, folder: Path) -> Measured:
    """Whole commands in turn; the page's size is held to its bound beside it."""
    out = folder / "report_page"
    shutil.rmtree(out, ignore_errors=True)
    _write_run(form, out)
    command = ("-m", "assay", "report", str(out))
    turns = in_turn(lambda: python_seconds(*command), lambda: python_seconds("-c", YARDSTICK), form.rounds)
    size = (out / "report.html").stat().st_size
    assert size < MOST_BYTES, f"the page has {size:,} bytes"
    page = f"{form.images:,} images, {size:,} bytes"
    return Measured(turns.ratio, f"python -c '{YARDSTICK}': {turns.medians('ms', 1000)}; {page}")


def _write_run(form: Form, out: Path) -> None:
    """A run whose scores are made up: about four of five images are right."""
    generator = np.random.default_rng(0)
    names = tuple(f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, form.images + 1))
    labels = generator.integers(0, form.classes, form.images)
    reference = generator.standard_normal((form.images, form.classes), dtype=np.float32)
    right = np.flatnonzero(generator.random(form.images) < 0.8)
    reference[right, labels[right]] += 8
    scores = reference + generator.standard_normal(reference.shape, dtype=np.float32) * np.float32(1e-3)
    here = _predictions(out / "scores.npy", scores, names)
    counted = accuracy.evaluate(here, labels.tolist())

    def result(batch: int) -> BatchResult:
        calls = pages.calls(form.images // batch, 0.01 * batch)
        measured = factories.result(out, batch, calls=calls, images=form.images)
        return msgspec.structs.replace(measured, predictions=here, accuracy=counted, profile=pages.profile("conv"))

    record = factories.run_record(
        [result(1), result(16)],
        dataset=factories.dataset(names, labels.tolist()),
        reference=_predictions(out / "reference.npy", reference, names),
    )
    store.write(out / "run.json", record)


def _predictions(path: Path, scores: npt.NDArray[np.float32], names: tuple[str, ...]) -> Predictions:
    return Predictions(names=names, dataset_fingerprint="f" * 64, scores=store.save_array(path, scores))


BENCHMARK = Benchmark(
    measure,
    full=Form(images=50_000, classes=1_000, rounds=9),
    small=Form(images=320, classes=10, rounds=1),
    bound=Bound(most=4.5),
)
