"""Whole runs on disk, with all that a page can show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from assay.data.prepared import RECORD
from assay.records import (
    BatchResult,
    Check,
    Gate,
    NodeTime,
    OnnxModel,
    PairedAccuracy,
    Predictions,
    PreparedDataset,
    Profile,
    RunRecord,
    Verdict,
    VerdictWord,
)
from assay.score import accuracy
from assay.storage import store
from tests import factories

HOSTILE = (
    "<script>alert(1)</script>.png",
    '"><img src=x onerror=alert(1)>.png',
    "]]><svg onload=alert(1)>.png",
    "{{ 7 * 7 }}&amp;$\\frac{1}$.png",
    "猫 \u202egnp.exe.png",
)
"""Names that a page must show as they are; two of them lie in a folder, since they hold a slash."""
CLASSES = (
    "</title><script>alert(2)</script>",
    "dog & cat",
    "<b>bold</b>",
    "$x_1$",
    "'\"><style>*{display:none}</style>",
)


def check(verdict: VerdictWord = "PASS", **changes: Any) -> Check:
    """What a gate on the drop of top-1 found."""
    gate = Gate(
        text="top1-drop<=1", metric="top1-drop", batch=None, reference="given", operator="<=", bound=1.0, asked=True
    )
    usual = Check(
        gate=gate,
        verdict=verdict,
        measured=0.0,
        low=None,
        high=None,
        reference=60.0,
        reason="top-1 drop 0.00 points",
        detail="60.00 % against 60.00 % (given), allowed 1.00 points",
        differences=(),
    )
    return msgspec.structs.replace(usual, **changes)


def verdict(record: RunRecord, *checks: Check) -> Verdict:
    """The verdict on a run."""
    return Verdict(
        artifact_sha256=tuple(result.compiled.file.sha256 for result in record.results),
        model_sha256=record.model.sha256,
        dataset_fingerprint=record.dataset.fingerprint if record.dataset else None,
        checks=checks,
    )


def profile(*names: str) -> Profile:
    """Nodes of these names, each with half the time of the one before."""
    nodes = [
        NodeTime(
            name=name, operator="Conv", seconds=0.004 / 2**rank, share=0.5 / 2**rank, gflops=12.5 if rank == 0 else None
        )
        for rank, name in enumerate(names)
    ]
    return Profile(calls=10, seconds=0.008, nodes=tuple(nodes))


def calls(count: int, seconds: float) -> list[tuple[float, float]]:
    """One call after the other, of lengths that vary, the last of them ten times as long."""
    rng = np.random.default_rng(count)
    lengths = rng.lognormal(np.log(seconds), 0.1, count)
    lengths[-1] *= 10
    ends = np.cumsum(lengths + seconds / 50)
    return list(zip((ends - lengths).tolist(), ends.tolist(), strict=True))


def model(classes: Sequence[str] = CLASSES) -> OnnxModel:
    """A model of a few named classes, for images of 8×8."""
    made = factories.model("net <i>", classes=len(classes), crop=8)
    return msgspec.structs.replace(made, class_names=tuple(classes), transform=factories.transform())


def run(folder: Path, names: Sequence[str] = HOSTILE, count: int = 400) -> RunRecord:
    """A run of two batch sizes with all that a page can show, written to `folder`; every image but the third flipped.

    The images' files are in `folder`/images.
    """
    images = tuple(names)
    for number, name in enumerate(images):
        factories.write_image(folder / "images" / name, seed=number)
    labels = tuple(number % len(CLASSES) for number in range(len(images)))
    scores = np.eye(len(CLASSES), dtype=np.float32)[list(labels)] * 3
    reference = _predictions(folder / "reference.npy", scores, images)
    flipped = [place for place in range(len(images)) if place != 2]
    for place in flipped:
        scores[place, (labels[place] + 1) % len(CLASSES)] = 9.0 - place
    predictions = _predictions(folder / "scores.npy", scores, images)
    counted = accuracy.evaluate(predictions, labels)
    flips = PairedAccuracy(
        reference="ONNX model, float32",
        images=len(images),
        agreement=1 / len(images),
        largest_score_change=9.0,
        largest_score=3.0,
        right_to_wrong=tuple(images[place] for place in flipped),
        wrong_to_right=(),
        p_value=0.125,
        exact_p_value=0.25,
        drop_low=-0.5,
        drop_high=2.5,
    )

    def result(batch: int) -> BatchResult:
        made = factories.result(
            folder, batch, calls=calls(count // batch, 0.01 * batch), images=count, wall_seconds=12.5, stages=_stages()
        )
        return msgspec.structs.replace(
            made,
            compiled=msgspec.structs.replace(made.compiled, model=model()),
            accuracy=counted,
            predictions=predictions,
            paired=flips,
            profile=profile("/layer1/<conv>", "node with a very long name/" + "part/" * 30),
        )

    dataset = msgspec.structs.replace(
        factories.dataset(images, labels),
        source=folder / "images",
        image_sha256=tuple(store.hash_file(folder / "images" / name) for name in images),
    )
    record = factories.run_record(
        [result(1), result(16)],
        model=model(),
        dataset=dataset,
        reference=reference,
        warnings=("the machine was busy <before> measuring",),
        command="assay run 'net <i>.onnx' --images val -o RUN",
    )
    store.write(folder / "run.json", record)
    store.write(folder / "verdict.json", verdict(record, check(differences=("precision fp16 against fp32",))))
    return record


def prepare(folder: Path, record: RunRecord) -> None:
    """The prepared data set of a run, black but for one white pixel each."""
    assert record.dataset is not None
    pixels = np.zeros((len(record.dataset.names), 8, 8, 3), np.uint8)
    shards = (store.save_array(folder / "prepared" / "images-00000.npy", pixels),)
    store.write(
        folder / "prepared" / RECORD,
        PreparedDataset(dataset=record.dataset, transform=factories.transform(), shards=shards),
    )


def _stages() -> tuple[Any, ...]:
    return (
        factories.stage("read", 0.1, waiting_out_seconds=0.85),
        factories.stage("preprocess <b>$x$", 0.2, waiting_in_seconds=0.3, waiting_out_seconds=0.4),
        factories.stage("infer", 0.97, waiting_in_seconds=0.02),
        factories.stage("post", 0.01, waiting_in_seconds=0.9),
    )


def _predictions(path: Path, scores: Any, names: tuple[str, ...]) -> Predictions:
    return Predictions(names=names, dataset_fingerprint="f" * 64, scores=store.save_array(path, scores))
