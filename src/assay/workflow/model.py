"""checkpoint ─export→ model, and an ONNX file of any origin taken as a model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from assay import demo, environment, store, units
from assay.data.transform import TransformChoice, choose, normalise, pixels
from assay.errors import MissingExtraError, RecordError, UsageError
from assay.models import onnx_file
from assay.progress import Progress, Silent, Stopwatch
from assay.records import Checkpoint, ImageTransform, OnnxModel, Parity, PublishedAccuracy
from assay.score import parity as score_parity
from assay.workflow.reference import open_reference

if TYPE_CHECKING:
    import torch

EXPORT_BOUND = 1e-4
"""How far ONNX Runtime and torch may differ, over the largest score, before the export is refused."""
PARITY_BATCHES = (1, 3)
DEFAULT_OPSET = 11

_RECIPE = 1
"""Raised when the same inputs give another file than before."""


@dataclass(frozen=True)
class _Architecture:
    """How to build a network, and what is known of its weights."""

    build: Callable[[], torch.nn.Module]
    classes: int
    transform: ImageTransform
    transform_source: str
    class_names: tuple[str, ...] | None
    published: PublishedAccuracy | None


def record_of(model: Path) -> Path:
    """Where the record of an ONNX file stands: beside it, `model.json`."""
    return model.with_suffix(".json")


def export(
    architecture: str,
    out: Path,
    *,
    weights: Path | None = None,
    weights_entry: str | None = None,
    opset: int = DEFAULT_OPSET,
    choice: TransformChoice = TransformChoice(),
    progress: Progress = Silent(),
) -> OnnxModel:
    """Exports an architecture with the weights of a file, or with random ones, to ONNX and checks parity.

    Raises `CheckpointError` where the weights do not fit and `ParityError` where the ONNX model's scores differ
    from torch's by more than 1e-4 of the largest score; then no file is left.
    """
    watch = Stopwatch()
    described = f"{architecture}{'' if weights else ' (random weights)'} → {out.name}"
    inputs = store.stamp(weights) if weights is not None and weights.is_file() else str(weights)
    made_from = store.hash_of(
        "export", _RECIPE, architecture, inputs, weights_entry, opset, choice, environment.version("torch")
    )
    found = store.kept(record_of(out), OnnxModel, made_from)
    if found is not None and found.file.path == out.resolve():
        progress.finish("export", described, _exported(found), None)
        return found
    _require_torch()
    from assay.models import checkpoint as checkpoints
    from assay.models import export as exporter

    progress.start("export", 2)
    known = _demo_network() if architecture == demo.NAME else _torchvision_network(architecture, weights, weights_entry)
    network = known.build().eval()
    transform, transform_source = choose(choice, (known.transform, known.transform_source), None)
    if weights is not None:
        checkpoints.fill(network, checkpoints.load(weights), f"the weights of {weights} and {architecture}")
    else:
        checkpoints.settle_statistics(network, np.split(normalised_demo_images(transform, 8), 2))
    progress.advance()
    checkpoint = Checkpoint(
        file=store.reference(weights) if weights is not None else None,
        architecture=architecture,
        classes=known.classes,
        transform=transform,
        transform_source=transform_source,
        class_names=known.class_names if weights is not None else None,
        published=known.published if weights is not None else None,
    )
    with store.replacing(out) as beside:
        exporter.export(network, transform.crop, opset, beside)
        taken, given, written_opset = onnx_file.inspect(beside)
        model = OnnxModel(
            name=architecture,
            file=store.reference(beside),
            input=taken,
            output=given,
            opset=written_opset,
            transform=transform,
            transform_source=transform_source,
            class_names=checkpoint.class_names,
            parity=None,
            checkpoint=checkpoint,
        )
        floats = [normalised_demo_images(transform, batch) for batch in PARITY_BATCHES]
        with open_reference(model) as reference:
            parity = score_parity.compare(
                exporter.score_function(network),
                reference,
                [(batch, batch) for batch in floats],
                name=f"torch {environment.version('torch')}",
                bound=EXPORT_BOUND,
            )
        score_parity.require(parity, f"the export of {architecture}")
    return _kept(model, out, parity, made_from, "export", described, progress, watch)


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
        progress.finish("model", described, _exported(found), None)
        return found
    model = describe(source, choice)
    if source.resolve() != out.resolve():
        with store.replacing(out) as beside:
            shutil.copyfile(source, beside)
    return _kept(model, out, model.parity, made_from, "model", described, progress, watch)


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


def normalised_demo_images(transform: ImageTransform, count: int) -> npt.NDArray[np.float32]:
    """The first demo images as the model takes them, float32 N×3×H×W."""
    batch = demo_pixels(transform, count)
    side = transform.crop
    return normalise(batch, transform, np.empty((count, 3, side, side), np.float32))


def demo_pixels(transform: ImageTransform, count: int) -> npt.NDArray[np.uint8]:
    """Real pixels where the user has given none: the first images of the demo, uint8 N×H×W×3."""
    paths = sorted(demo.IMAGES.iterdir())[:count]
    return np.stack([pixels(path.read_bytes(), transform) for path in paths])


def _kept(
    model: OnnxModel,
    out: Path,
    parity: Parity | None,
    made_from: str,
    step: str,
    described: str,
    progress: Progress,
    watch: Stopwatch,
) -> OnnxModel:
    model = msgspec.structs.replace(model, file=store.reference(out), parity=parity)
    store.write(record_of(out), model, made_from)
    progress.finish(step, described, _exported(model), watch.seconds)
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


def _exported(model: OnnxModel) -> str:
    detail = f"opset {model.opset}"
    return detail if model.parity is None else f"{detail} · parity {units.difference(model.parity.largest_difference)}"


def _require_torch() -> None:
    if environment.version("torch") is None:
        raise MissingExtraError("exporting a checkpoint", "torch")


def _demo_network() -> _Architecture:
    from assay.demo import network

    return _Architecture(
        build=network.build,
        classes=len(demo.CLASSES),
        transform=demo_transform(),
        transform_source="the demo's own",
        class_names=demo.CLASSES,
        published=None,
    )


def demo_transform() -> ImageTransform:
    """The transform that the demo's network was trained for."""
    return ImageTransform(resize=demo.RESIZE, crop=demo.CROP, mean=demo.MEAN, std=demo.STD)


def _torchvision_network(architecture: str, weights: Path | None, entry: str | None) -> _Architecture:
    from assay.models import architectures

    classes = 1000
    network = architectures.build(architecture, classes)
    if weights is not None and not weights.is_file():
        raise UsageError(f"no weights at {weights}; give the checkpoint's file with --weights")
    matched = entry or (architectures.entry_of_hash(architecture, store.hash_file(weights)) if weights else None)
    first = architectures.weights_entries(architecture)[0]
    return _Architecture(
        build=lambda: network,
        classes=classes,
        transform=architectures.transform_of(architecture, matched),
        transform_source=_source(matched or first, matched is not None, weights is not None),
        class_names=architectures.class_names(architecture),
        published=architectures.published(architecture, matched),
    )


def _source(entry: str, matched: bool, with_weights: bool) -> str:
    if matched:
        return f"torchvision's {entry}"
    reason = "the weights match no published file" if with_weights else "the weights are random"
    return f"torchvision's {entry}, assumed: {reason}"
