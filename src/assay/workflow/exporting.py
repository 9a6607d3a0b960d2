"""checkpoint ─export→ model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from assay import demo, environment, store
from assay.data.transform import TransformChoice, choose
from assay.errors import CheckpointError, MissingExtraError, UsageError
from assay.guide import published as guide
from assay.models import external_data, onnx_file, published_weights
from assay.progress import Progress, Silent, Stopwatch
from assay.records import Checkpoint, FileReference, ImageTransform, OnnxModel, PublishedAccuracy
from assay.score import parity as score_parity
from assay.workflow.adoption import keep, program_of, record_of, summary
from assay.workflow.demo_pixels import demo_transform, normalised_demo_images
from assay.workflow.reference import open_reference

if TYPE_CHECKING:
    import torch

Weights = Path | Literal["published"] | None
"""A file of weights, torchvision's published one, or random ones."""

EXPORT_BOUND = 1e-4
"""How far ONNX Runtime and torch may differ, over the largest score, before the export is refused."""
PROGRAM_BOUND = 1e-6
"""The same for the exported program, which runs the network's own operators."""
PARITY_BATCHES = (1, 3)
CLASSES = 1000
"""ImageNet's; weights of another number have other classes, and no published figure."""
PUBLISHED: Literal["published"] = "published"
"""In place of a file of weights: the one that torchvision publishes."""

_RECIPE = 2
"""Raised when the same inputs give another file than before."""


@dataclass(frozen=True)
class _Trained:
    """A network with its weights, and what is known of them."""

    network: torch.nn.Module
    file: FileReference | None
    classes: int
    transform: ImageTransform
    transform_source: str
    class_names: tuple[str, ...] | None
    published: PublishedAccuracy | None


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

    if architecture == demo.NAME:
        trained = _demo_network(weights, weights_entry, choice)
    else:
        trained = _torchvision_network(architecture, weights, weights_entry, choice, progress)
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
    trained: _Trained, out: Path, floats: Sequence[npt.NDArray[np.float32]], architecture: str
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


def _demo_network(weights: Weights, entry: str | None, choice: TransformChoice) -> _Trained:
    from assay.demo import network
    from assay.models import checkpoint, weights_file

    if entry is not None or isinstance(weights, str):
        raise UsageError(f"{demo.NAME} is no model of torchvision's: nothing is published; give --weights FILE.pth")
    built = network.build().eval()
    transform, source = choose(choice, (demo_transform(), "the demo's own"), None)
    if weights is None:
        _randomise(built, transform)
    else:
        table = weights_file.load(weights)
        checkpoint.fill(built, table, f"the weights of {weights} and {demo.NAME}")
    return _Trained(
        network=built,
        file=store.reference(weights) if weights is not None else None,
        classes=len(demo.CLASSES),
        transform=transform,
        transform_source=source,
        class_names=demo.CLASSES if weights is not None else None,
        published=None,
    )


def _torchvision_network(
    architecture: str, weights: Weights, entry: str | None, choice: TransformChoice, progress: Progress
) -> _Trained:
    from assay.models import architectures

    architectures.check(architecture, entry)
    if weights is None:
        return _random_network(architecture, entry, choice)
    if isinstance(weights, str):
        file = architectures.published_file(architecture, entry)
        if entry is None:
            progress.note(f"the weights are torchvision's {file.entry}; --weights-entry names others")
        folder = published_weights.cache_folder()
        weights = published_weights.fetch(file.url, file.hash_prefix, file.mebibytes, folder, progress)
    return _trained_network(architecture, weights, entry, choice, progress)


def _random_network(architecture: str, entry: str | None, choice: TransformChoice) -> _Trained:
    from assay.models import architectures

    assumed = entry or architectures.entry_for_side(architecture, None)
    source = _source(assumed, entry is not None, "the weights are random")
    transform, source = choose(choice, (architectures.transform_of(architecture, assumed), source), None)
    network = architectures.build(architecture, side=transform.crop)
    _randomise(network, transform)
    return _Trained(
        network=network,
        file=None,
        classes=CLASSES,
        transform=transform,
        transform_source=source,
        class_names=None,
        published=None,
    )


def _trained_network(
    architecture: str, weights: Path, entry: str | None, choice: TransformChoice, progress: Progress
) -> _Trained:
    from assay.models import architectures, checkpoint, weights_file

    if not weights.is_file():
        raise UsageError(f"no weights at {weights}; give the checkpoint's file with --weights")
    file = store.reference(weights)
    matched = _entry_of(architecture, file, entry, progress)
    table = weights_file.load(weights)
    shapes = {name: tuple(value.shape) for name, value in table.items()}
    network, classes = architectures.build_for(architecture, shapes)
    checkpoint.fill(
        network, table, f"the weights of {weights} and {architecture}", lambda: architectures.look_alikes(shapes)
    )
    if classes != CLASSES:
        progress.note(f"{weights.name} scores {classes} classes, read off its weights")
    if matched is None and getattr(network, "transform_input", False):
        progress.note(f"{architecture} shifts its input as torchvision's own weights expect, assumed for these too")
    side = architectures.side_of(network)
    assumed = matched or architectures.entry_for_side(architecture, side)
    source = _source(assumed, matched is not None, "the weights match no published file")
    transform, source = choose(choice, (architectures.transform_of(architecture, assumed), source), None)
    if side not in (None, transform.crop):
        raise UsageError(
            f"the weights of {weights} take images of {side}×{side}, and the transform crops {transform.crop}; "
            f"give --resize {side} --crop {side}"
        )
    imagenet = classes == CLASSES
    return _Trained(
        network=network,
        file=file,
        classes=classes,
        transform=transform,
        transform_source=source,
        class_names=architectures.class_names(architecture) if imagenet else None,
        published=architectures.published(architecture, matched) if imagenet else None,
    )


def _entry_of(architecture: str, file: FileReference, given: str | None, progress: Progress) -> str | None:
    """The entry whose file this is, by its hash or else by the user's word; None where nobody knows."""
    from assay.models import architectures

    found = architectures.file_of_hash(file.sha256)
    if found is None:
        return given
    if found.architecture != architecture:
        raise CheckpointError(
            f"{file.path} holds torchvision's {found.entry} of {found.architecture} (by its sha256), not weights of "
            f"{architecture}; give --arch {found.architecture}"
        )
    if given not in (None, found.entry):
        raise CheckpointError(
            f"{file.path} holds torchvision's {found.entry} (by its sha256), not {given}; leave --weights-entry away"
        )
    if (found.architecture, found.entry) == guide.FLAGSHIP:
        with file.path.open("rb") as content:
            md5 = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if md5 != guide.FLAGSHIP_MD5:
            raise CheckpointError(
                f"{file.path} begins with the sha256 of torchvision's {found.entry}, but its md5 {md5} is not the "
                f"guide's {guide.FLAGSHIP_MD5}; fetch the file again"
            )
        progress.note(f"{file.path.name} is the guide's file: md5 {md5} confirmed")
    return found.entry


def _randomise(network: torch.nn.Module, transform: ImageTransform) -> None:
    from assay.models import checkpoint

    checkpoint.wake(network)
    checkpoint.settle_statistics(network, np.split(normalised_demo_images(transform, 8), 2))


def _source(entry: str, known: bool, otherwise: str) -> str:
    return f"torchvision's {entry}" if known else f"torchvision's {entry}, assumed: {otherwise}"
