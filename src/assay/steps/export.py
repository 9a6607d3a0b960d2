"""checkpoint ─export→ model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from assay import environment
from assay.data.transform import TransformChoice
from assay.errors import MissingExtraError, UsageError
from assay.models import external_data, onnx_file
from assay.progress import Progress, Silent, Stopwatch
from assay.records import Checkpoint, FileReference, OnnxModel
from assay.score import parity as score_parity
from assay.steps.adopt import keep, program_of, record_of, summary
from assay.steps.check_images import normalised_demo_images
from assay.steps.parity import open_reference
from assay.steps.trained_network import TrainedNetwork, Weights, trained_network
from assay.storage import store

EXPORT_BOUND = 1e-4
"""How far ONNX Runtime and torch may differ, over the largest score, before the export is refused."""
PROGRAM_BOUND = 1e-6
"""The same for the exported program, which runs the network's own operators."""
PARITY_BATCHES = (1, 3)
_RECIPE = 2
"""Raised when the same inputs give another file than before."""


def export(
    architecture: str,
    out: Path,
    *,
    weights: Weights = None,
    weights_entry: str | None = None,
    opset: int | None = None,
    exported_program: bool = False,
    choice: TransformChoice = TransformChoice(),
    progress: Progress = Silent(),
) -> OnnxModel:
    """Exports an architecture with the weights of a file, the published or random ones, to ONNX and checks parity.

    Without an opset it is 11, or the lowest that the operators allow. The exported program, where it is asked for,
    is a file of `torch.export` beside the ONNX one, and has to give the network's very scores. Raises
    `CheckpointError` where the weights do not fit and `ParityError` where the ONNX model's scores differ from
    torch's by more than 1e-4 of the largest score; then no file is left.
    """
    if record_of(out) == out:
        raise UsageError(f"{out}: that is where the model's record stands; give a name that ends in .onnx")
    if isinstance(weights, Path) and out.resolve() == weights.resolve():
        raise UsageError(f"{out} holds the weights themselves; give another name for the model")
    watch = Stopwatch()
    described = f"{architecture}{'' if weights else ' (random weights)'} → {out.name}"
    made_from = store.hash_of(
        "export",
        _RECIPE,
        architecture,
        store.stamp(weights) if isinstance(weights, Path) and weights.is_file() else str(weights),
        weights_entry,
        opset,
        choice,
        environment.version("torch"),
        # The published file, its transform and its figures are those of this version.
        environment.version("torchvision"),
        *(["exported program"] if exported_program else []),
    )
    found = store.kept(record_of(out), OnnxModel, made_from)
    if found is not None and found.file.path == out.resolve():
        progress.finish("export", described, summary(found), None)
        return found
    if environment.version("torch") is None:
        raise MissingExtraError("exporting a checkpoint", "torch")
    from assay.models import export as exporter

    trained = trained_network(architecture, weights, weights_entry, choice, progress)
    progress.start("export", 2)
    transform = trained.transform
    checkpoint = Checkpoint(
        file=trained.file,
        architecture=architecture,
        classes=trained.classes,
        transform=transform,
        transform_source=trained.transform_source,
        class_names=trained.class_names,
        published=trained.published,
    )
    with store.replacing(out, expected=exporter.size_of(trained.network)) as beside:
        data = out.with_name(f"{out.name}.data")
        lacking = exporter.export(trained.network, transform.crop, opset, beside, data)
        progress.advance()
        taken, given, written_opset = onnx_file.inspect(beside)
        model = OnnxModel(
            name=architecture,
            file=store.reference(beside),
            data=tuple(store.reference(file) for file in external_data.files(onnx_file.load(beside, False), beside)),
            input=taken,
            output=given,
            opset=written_opset,
            transform=transform,
            transform_source=trained.transform_source,
            class_names=checkpoint.class_names,
            parity=None,
            checkpoint=checkpoint,
        )
        floats = [normalised_demo_images(transform, batch) for batch in PARITY_BATCHES]
        with open_reference(model) as reference:
            parity = score_parity.compare(
                exporter.score_function(trained.network),
                reference,
                [(batch, batch) for batch in floats],
                name=f"torch {environment.version('torch')}",
                bound=EXPORT_BOUND,
            )
        score_parity.require(parity, f"the export of {architecture}")
        if exported_program:
            model = msgspec.structs.replace(model, exported_program=_program(trained, out, floats, architecture))
    kept = keep(model, out, parity, made_from, "export", described, progress, watch)
    if lacking is not None:
        progress.note(f"{architecture} needs opset {kept.opset}: {lacking}")
    return kept


def _program(
    trained: TrainedNetwork, out: Path, floats: Sequence[npt.NDArray[np.float32]], architecture: str
) -> FileReference:
    """The exported program beside the ONNX file; raises `ParityError` where its scores are not the network's."""
    from assay.models import export, program

    place = program_of(out)
    with store.replacing(place, expected=export.size_of(trained.network)) as beside:
        program.write(trained.network, trained.transform.crop, beside)
        parity = score_parity.compare(
            export.score_function(trained.network),
            export.score_function(program.load(beside)),
            [(batch, batch) for batch in floats],
            name=f"torch {environment.version('torch')}",
            bound=PROGRAM_BOUND,
        )
        score_parity.require(parity, f"the exported program of {architecture}")
    return store.reference(place)
