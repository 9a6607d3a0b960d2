"""checkpoint ─export→ model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from assay import environment
from assay.data.transform import TransformChoice
from assay.errors import MissingExtraError, Option, Remedy, UsageError
from assay.models import external_data, onnx_file
from assay.progress import Progress, Silent
from assay.records import Checkpoint, FileReference, OnnxModel
from assay.score import parity as score_parity
from assay.steps.adopt import model_at, program_of, record_of, step_of
from assay.steps.check_images import normalised_demo_images
from assay.steps.keywords import StrPath, path, takes
from assay.steps.reference import open_reference
from assay.steps.trained_network import PUBLISHED, TrainedNetwork, Weights, WeightsChoice, trained_network
from assay.storage import store

EXPORT_BOUND = 1e-4
"""How far ONNX Runtime and torch may differ, over the largest score, before the export is refused."""
PROGRAM_BOUND = 1e-6
"""The same for the exported program, which runs the network's own operators."""
PARITY_BATCHES = (1, 3)
_RECIPE = 3
"""Raised when the same inputs give another file than before."""


@dataclass(frozen=True)
class ExportRequest(TransformChoice):
    """A checkpoint to be exported to ONNX."""

    checkpoint: StrPath | None = None
    """A `.pth` or `.safetensors` file of weights, or the word `published`: torchvision's own."""
    _: KW_ONLY
    arch: str
    """The name of a classification model of torchvision."""
    out: StrPath
    random_weights: bool = False
    """In place of a checkpoint, for speed only."""
    weights_entry: str | None = None
    """Torchvision's entry whose weights these are."""
    weights_set: str | None = None
    """The name of a set of weights in the checkpoint, if it holds several."""
    opset: int | None = None
    """By default 11, or the lowest that the operators allow."""
    pt2: bool = False
    """Whether to write also the exported program that the backend `torch` compiles."""
    progress: Progress = Silent()

    @property
    def weights(self) -> Weights:
        """The checkpoint as a file or a word; None for random weights."""
        return PUBLISHED if self.checkpoint == PUBLISHED else path(self.checkpoint)


@takes(ExportRequest)
def export(request: ExportRequest) -> OnnxModel:
    """Exports a checkpoint to ONNX, with its record beside it, and checks that it scores as before.

    The exported program, if asked for, is a file of `torch.export` beside the ONNX one, and must give the network's
    very scores. Raises `CheckpointError` if the weights do not fit and `ParityError` if the ONNX model's scores differ
    from torch's by more than 1e-4 of the largest score; then no file is left.
    """
    weights, out = request.weights, Path(request.out)
    _check(request, weights, out)
    step = step_of(
        "export",
        f"{request.arch}{'' if weights else ' (random weights)'} → {out.name}",
        out,
        store.hash_of(
            "export",
            _RECIPE,
            request.arch,
            store.content(weights) if isinstance(weights, Path) and weights.is_file() else str(weights),
            request.weights_entry,
            request.weights_set,
            request.opset,
            request.transform,
            environment.version("torch"),
            # The published file, its transform and its figures are those of this version.
            environment.version("torchvision"),
            *(["exported program"] if request.pt2 else []),
        ),
    )
    lacking: list[str] = []
    model = model_at(step, lambda: _exported(request, out, lacking), request.progress)
    for operator in lacking:
        request.progress.note(f"{request.arch} needs opset {model.opset}: {operator}")
    return model


def _check(request: ExportRequest, weights: Weights, out: Path) -> None:
    """Raises `UsageError` if it is open which weights are meant, or the model would replace them."""
    if (weights is None) != request.random_weights:
        raise UsageError(
            "an export needs either a checkpoint or random weights",
            remedy=Remedy("give a CHECKPOINT, or {} for speed only", Option("random_weights")),
        )
    if request.random_weights and request.weights_set is not None:
        raise UsageError("random weights are no set of a file", remedy=Remedy("leave {} away", Option("weights_set")))
    if record_of(out) == out:
        raise UsageError(f"{out}: that is where the model's record stands; give a name that ends in .onnx")
    if isinstance(weights, Path) and out.resolve() == weights.resolve():
        raise UsageError(f"{out} holds the weights themselves; give another name for the model")


def _exported(request: ExportRequest, out: Path, lacking: list[str]) -> OnnxModel:
    """The model, written to its place; `lacking` is given why a higher opset than wanted is needed."""
    if environment.version("torch") is None:
        raise MissingExtraError("exporting a checkpoint", "torch")
    from assay.models import export as exporter

    arch, progress = request.arch, request.progress
    chosen = WeightsChoice(request.weights, request.weights_entry, request.weights_set)
    trained = trained_network(arch, chosen, request.transform, progress)
    progress.start("export", 2)
    transform = trained.transform
    with store.replacing(out, expected=exporter.size_of(trained.network)) as beside:
        data = out.with_name(f"{out.name}.data")
        why_higher = exporter.export(trained.network, transform.crop, request.opset, beside, data)
        lacking += [why_higher] if why_higher is not None else []
        progress.advance()
        model = _described(beside, arch, trained)
        floats = [normalised_demo_images(transform, batch) for batch in PARITY_BATCHES]
        with open_reference(model) as reference:
            parity = score_parity.compare(
                exporter.score_function(trained.network),
                reference,
                [(batch, batch) for batch in floats],
                name=f"torch {environment.version('torch')}",
                bound=EXPORT_BOUND,
            )
        score_parity.require(parity, f"the export of {arch}")
        program = _program(trained, out, floats, arch) if request.pt2 else None
    return msgspec.structs.replace(model, file=store.reference(out), parity=parity, exported_program=program)


def _described(file: Path, arch: str, trained: TrainedNetwork) -> OnnxModel:
    """The record of an exported file, before its scores were compared."""
    taken, given, opset = onnx_file.inspect(file)
    checkpoint = Checkpoint(
        file=trained.file,
        architecture=arch,
        classes=trained.classes,
        transform=trained.transform,
        transform_source=trained.transform_source,
        class_names=trained.class_names,
        published=trained.published,
        weights_set=trained.weights_set,
    )
    return OnnxModel(
        name=arch,
        file=store.reference(file),
        data=tuple(store.reference(part) for part in external_data.files(onnx_file.load(file, False), file)),
        input=taken,
        output=given,
        opset=opset,
        transform=trained.transform,
        transform_source=trained.transform_source,
        class_names=checkpoint.class_names,
        parity=None,
        checkpoint=checkpoint,
        assumptions=trained.warnings,
    )


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
