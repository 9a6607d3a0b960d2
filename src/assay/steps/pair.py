"""model and data ─infer→ the predictions that an artifact's are paired with: the ONNX model in float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from assay import units
from assay.progress import Progress, Silent, Stopwatch
from assay.records import (
    BatchResult,
    CompiledModel,
    Dataset,
    OnnxModel,
    PairedAccuracy,
    Predictions,
    Runnable,
)
from assay.score import paired
from assay.steps import adopt, artifact
from assay.steps.build_options import BuildRequest
from assay.steps.measurement import MEASUREMENTS, Length, Measuring, measure
from assay.steps.pixel_sources import Data
from assay.storage.layout import Folder

BACKEND = "onnxruntime"
NAME = "ONNX Runtime float32"
_BATCH = 16
LAYOUT = Folder(folders={"compiled": artifact.LAYOUT, "bench": MEASUREMENTS})
"""The folder of what the model itself makes of the images."""


def is_reference(compiled: CompiledModel) -> bool:
    """Whether an artifact is computed as the reference is, so that a pair of the two would say nothing.

    The reference of a model that assay quantized is the float32 model; any other is its own, as it is.
    """
    options, model = compiled.options, compiled.model
    as_it_is = options.precision == model.precision and model.quantization is None
    return (options.backend, options.device) == (BACKEND, "cpu") and as_it_is


def predictions(
    model: OnnxModel,
    data: Data,
    out: Path,
    progress: Progress = Silent(),
    length: Length = Length(),
    most: int = _BATCH,
) -> Predictions:
    """The model's predictions in ONNX Runtime and float32, once over the data; kept below `out`.

    They are made in batches of 16, or of `most` if that is less: a model may be right in no larger ones.
    """
    watch = Stopwatch()
    # A model of 8 bits is paired with the one that it was made from, not with itself.
    model = adopt.float_model_of(model)
    batch = model.fixed_batch or min(most, _BATCH)
    options, run_settings = BuildRequest(backend=BACKEND).options(batch, model)
    compiled, _ = artifact.compile_into(model, options, out / "compiled")
    # What is wanted are its scores: how fast it gives them is measured of artifacts alone.
    measuring = Measuring(length=replace(length, warm_up=0.0), reuse=True, progress=progress)
    measured = measure(Runnable(compiled, run_settings), data, out / "bench", measuring)
    assert measured.predictions is not None  # noqa: S101 - it went once over the data
    count = units.counted(len(measured.predictions.names), "image")
    progress.finish("float32", f"{count} by the model itself", NAME, None if measured.kept else watch.seconds)
    return measured.predictions


def with_pairs(
    results: Sequence[BatchResult], reference: Predictions, dataset: Dataset | None
) -> tuple[BatchResult, ...]:
    """The results, each beside the reference image by image."""
    labels = dataset.labels if dataset is not None else None
    return tuple(
        msgspec.structs.replace(result, paired=_pair(result.compiled, result.predictions, reference, labels))
        for result in results
    )


def _pair(
    compiled: CompiledModel, ours: Predictions | None, reference: Predictions, labels: Sequence[int] | None
) -> PairedAccuracy | None:
    if ours is None or is_reference(compiled):
        return None
    return paired.compare(ours, reference, labels, NAME)
