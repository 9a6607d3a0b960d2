"""checkpoint ─export→ model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assay import demo, environment, store
from assay.data.transform import TransformChoice, choose
from assay.errors import MissingExtraError, UsageError
from assay.models import onnx_file
from assay.progress import Progress, Silent, Stopwatch
from assay.records import Checkpoint, ImageTransform, OnnxModel, PublishedAccuracy
from assay.score import parity as score_parity
from assay.workflow.adoption import keep, record_of, summary
from assay.workflow.demo_pixels import demo_transform, normalised_demo_images
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
        progress.finish("export", described, summary(found), None)
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
    return keep(model, out, parity, made_from, "export", described, progress, watch)


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
