"""Searches, with all that a page can show of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from assay.records import Accuracy, PairedAccuracy, RunRecord
from assay.storage import store
from assay.tuning.records import Candidate, ChoiceWorth, Tuning, TuningTrial
from tests import factories

HOSTILE = "changed </section><script>alert(3)</script> \u202e"
IMAGES = 200
REFERENCE = 120
"""Of the images, those that the model in float32 has right."""


def trial(number: int, state: str = "right", **changes: Any) -> TuningTrial:
    """A trial of the batch size that its number counts from 1; not evaluated unless `right_images` says so."""
    right = changes.pop("right_images", None)
    usual: dict[str, Any] = {
        "candidate": Candidate(backend="onnxruntime", device="cpu", batch=number + 1, precision="fp32"),
        "speed": 100.0 * (number + 1),
        "artifact": f"{number + 1:04}" + "k" * 60,
    }
    if right is not None:
        usual["accuracy"] = Accuracy(count=IMAGES, classes=1000, correct_at=(right,) * 5)
        usual["paired"] = agreeing(0.9)
    return TuningTrial(number=number, state=state, **{**usual, **changes})  # type: ignore[arg-type]  # one of the states


def agreeing(agreement: float) -> PairedAccuracy:
    """Beside the model in float32, the same first class in this share of the images."""
    return PairedAccuracy(
        reference="ONNX model, float32",
        images=IMAGES,
        agreement=agreement,
        largest_score_change=1.0,
        largest_score=10.0,
    )


def trials() -> tuple[TuningTrial, ...]:
    """One of every end: the best default, the best, slower, wrong on all and on a sample, too large, failed."""
    return (
        trial(0, right_images=REFERENCE),
        trial(15, right_images=REFERENCE - 1),
        trial(2, "slower"),
        trial(20, "wrong", right_images=REFERENCE - 20, reason="top-1 fell by 10.00 points"),
        trial(30, "wrong", reason="of 64 images of the sample it loses 40.00 points"),
        trial(25, "too large", right_images=REFERENCE, reason="it held 3.0 GiB"),
        trial(4, "failed", speed=None, artifact=None, reason=HOSTILE),
        trial(5, "failed", speed=None, artifact=None, reason=HOSTILE),
    )


def search(record: RunRecord, **changes: Any) -> Tuning:
    """The search whose result is the last artifact of a run, and whose best default is the first."""
    usual: dict[str, Any] = {
        "model": record.model,
        "objective": "throughput",
        "max_drop": 1.0,
        "budget_seconds": 90.0,
        "seconds": 88.0,
        "overhead_share": 0.1,
        "seed": 7,
        "evaluation_images": IMAGES,
        "reference_accuracy": Accuracy(count=IMAGES, classes=1000, correct_at=(REFERENCE,) * 5),
        "trials": trials(),
        "best": 15,
        "best_default": 0,
        "frontier": (25, 15, 0),
        "worth": (ChoiceWorth(choice="batch 16", instead_of="1", ratio=16.0),),
        "commands": ("assay compile 'net <i>.onnx' -o A", "assay bench A --data prepared -o BENCH"),
        "compiled": record.results[-1].compiled,
        "tuned": record.results[-1],
        "default": record.results[0],
        "environment": record.environment,
        "stopped": "the time is up",
    }
    return Tuning(**{**usual, **changes})


def fruitless(record: RunRecord, *found: TuningTrial, **changes: Any) -> Tuning:
    """A search in which none passed."""
    nothing: dict[str, Any] = {
        "best": None,
        "best_default": 0,
        "frontier": (),
        "worth": (),
        "commands": (),
        "compiled": None,
        "tuned": None,
        "default": None,
    }
    return search(record, **{**nothing, "trials": found, **changes})


def beside(folder: Path, record: RunRecord, **changes: Any) -> Tuning:
    """A search written to `folder`."""
    found = search(record, **changes)
    store.write(folder / "tuning.json", found)
    return found


def run(folder: Path, *batches: int) -> RunRecord:
    """A run of these batch sizes, 1 and 16 by default, written to `folder`."""
    record = factories.run_record([factories.result(folder, batch) for batch in batches or (1, 16)])
    store.write(folder / "run.json", record)
    return record


def of_another_model(found: Tuning) -> Tuning:
    """The same search of a model with other bytes."""
    file = factories.file_reference(sha256="e" * 64)
    return msgspec.structs.replace(found, model=msgspec.structs.replace(found.model, file=file))
