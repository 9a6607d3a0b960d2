"""An ONNX file of any origin taken as a model, and the record that stands beside every model."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from assay import store, units
from assay.data.transform import TransformChoice, choose
from assay.errors import RecordError
from assay.models import onnx_file
from assay.progress import Progress, Silent, Stopwatch
from assay.records import OnnxModel, Parity

_RECIPE = 1
"""Raised when the same inputs give another file than before."""


def record_of(model: Path) -> Path:
    """Where the record of an ONNX file stands: beside it, `model.json`."""
    return model.with_suffix(".json")


def adopt(
    source: Path, out: Path, *, choice: TransformChoice = TransformChoice(), progress: Progress = Silent()
) -> OnnxModel:
    """Takes an ONNX file of any origin as a model: a copy at `out` with its record.

    The transform is the one of the record beside the file, where `assay export` wrote one; otherwise the
    user's, or the preset for the input's size, which the record says.
    """
    watch = Stopwatch()
    described = f"{source.name} → {out.name}"
    made_from = store.hash_of("adopt", _RECIPE, store.stamp(source) if source.is_file() else str(source), choice)
    found = store.kept(record_of(out), OnnxModel, made_from)
    if found is not None and found.file.path == out.resolve():
        progress.finish("model", described, summary(found), None)
        return found
    model = describe(source, choice)
    if source.resolve() != out.resolve():
        with store.replacing(out) as beside:
            shutil.copyfile(source, beside)
    return keep(model, out, model.parity, made_from, "model", described, progress, watch)


def describe(source: Path, choice: TransformChoice = TransformChoice()) -> OnnxModel:
    """What is known of an ONNX file where it lies."""
    taken, given, opset = onnx_file.inspect(source)
    exported = _record_beside(source)
    side = taken.shape[2]
    transform, transform_source = choose(
        choice,
        (exported.transform, exported.transform_source) if exported else None,
        side if isinstance(side, int) else None,
    )
    return OnnxModel(
        name=exported.name if exported else source.stem,
        file=store.reference(source),
        input=taken,
        output=given,
        opset=opset,
        transform=transform,
        transform_source=transform_source,
        class_names=exported.class_names if exported else None,
        parity=exported.parity if exported else None,
        checkpoint=exported.checkpoint if exported else None,
    )


def keep(
    model: OnnxModel,
    out: Path,
    parity: Parity | None,
    made_from: str,
    step: str,
    described: str,
    progress: Progress,
    watch: Stopwatch,
) -> OnnxModel:
    """Writes the record of a model that stands at `out`, and tells of it."""
    model = msgspec.structs.replace(model, file=store.reference(out), parity=parity)
    store.write(record_of(out), model, made_from)
    progress.finish(step, described, summary(model), watch.seconds)
    progress.note(f"transform: {model.transform_source}")
    return model


def _record_beside(source: Path) -> OnnxModel | None:
    """The record of an exported file, if there is one and it is of these very bytes."""
    path = record_of(source)
    if not path.is_file():
        return None
    try:
        record = store.read(path, OnnxModel)
    except RecordError:
        return None
    return record if store.is_intact(record.file) and record.file.path == source.resolve() else None


def summary(model: OnnxModel) -> str:
    """Opset and parity, for the step's line."""
    detail = f"opset {model.opset}"
    return detail if model.parity is None else f"{detail} · parity {units.difference(model.parity.largest_difference)}"
