"""A network with the weights that it was given, and what is known of them: transform, classes, published accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from assay import demo
from assay.data.transform import TransformChoice, choose
from assay.errors import CheckpointError, Option, Remedy, UsageError
from assay.models import published_weights
from assay.progress import Progress
from assay.records import FileReference, ImageTransform, PublishedAccuracy
from assay.steps.check_images import demo_transform, normalised_demo_images
from assay.storage import store

if TYPE_CHECKING:
    import torch

    from assay.models.weights_set import WeightsSet

Weights = Path | Literal["published"] | None
"""A file of weights, torchvision's published one, or random ones."""

CLASSES = 1000
"""ImageNet's; weights of another number have other classes, and no published figure."""
PUBLISHED: Literal["published"] = "published"
"""In place of a file of weights: the one that torchvision publishes."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A network, ready to run, with what is known of its weights."""

    network: torch.nn.Module
    file: FileReference | None
    classes: int
    transform: ImageTransform
    transform_source: str
    class_names: tuple[str, ...] | None
    published: PublishedAccuracy | None
    weights_set: str | None = None
    """Which of the sets of weights in the file it is; None where the file is the set."""
    warnings: tuple[str, ...] = ()
    """What the file left open, and how that was read."""


@dataclass(frozen=True)
class WeightsChoice:
    """The weights that are wanted, as they were asked for."""

    weights: Weights
    entry: str | None = None
    """Torchvision's entry whose weights they are."""
    set: str | None = None
    """The name of a set of weights in the file, if there are several."""


def trained_network(
    architecture: str, chosen: WeightsChoice, choice: TransformChoice, progress: Progress
) -> TrainedNetwork:
    """The demo's network or one of torchvision's, filled; raises `CheckpointError` where the weights do not fit."""
    if architecture == demo.NAME:
        return _demo_network(chosen, choice, progress)
    return _torchvision_network(architecture, chosen, choice, progress)


def _demo_network(chosen: WeightsChoice, choice: TransformChoice, progress: Progress) -> TrainedNetwork:
    from assay.demo import network
    from assay.models import checkpoint, weights_set

    weights = chosen.weights
    if chosen.entry is not None or isinstance(weights, str):
        raise UsageError(
            f"{demo.NAME} is no model of torchvision's: nothing is published",
            remedy=Remedy("give {}", Option("weights", "FILE.pth")),
        )
    built = network.build().eval()
    transform, source = choose(choice, (demo_transform(), "the demo's own"), None)
    taken = None
    if weights is None:
        _randomise(built, transform)
    else:
        _require_file(weights)
        shapes = {name: tuple(value.shape) for name, value in built.state_dict().items()}
        taken = weights_set.load(weights, weights_set.Architecture(demo.NAME, lambda _: shapes), chosen.set)
        checkpoint.fill(built, taken.tensors, f"the weights of {weights} and {demo.NAME}")
        _tell(taken, progress)
    return TrainedNetwork(
        network=built,
        file=store.reference(weights) if weights is not None else None,
        classes=len(demo.CLASSES),
        transform=transform,
        transform_source=source,
        class_names=demo.CLASSES if weights is not None else None,
        published=None,
        weights_set=taken.recorded if taken is not None else None,
        warnings=taken.warnings if taken is not None else (),
    )


def _torchvision_network(
    architecture: str, chosen: WeightsChoice, choice: TransformChoice, progress: Progress
) -> TrainedNetwork:
    from assay.models import architectures

    weights, entry = chosen.weights, chosen.entry
    architectures.check(architecture, entry)
    if weights is None:
        return _random_network(architecture, entry, choice)
    if isinstance(weights, str):
        file = architectures.published_file(architecture, entry)
        if entry is None:
            progress.note(f"the weights are torchvision's {file.entry}; a weights entry names others")
        folder = published_weights.cache_folder()
        weights = published_weights.fetch(file.url, file.hash_prefix, file.mebibytes, folder, progress)
    return _network_of_file(architecture, weights, chosen, choice, progress)


def _random_network(architecture: str, entry: str | None, choice: TransformChoice) -> TrainedNetwork:
    from assay.models import architectures

    assumed = entry or architectures.entry_for_side(architecture, None)
    source = _source(assumed, entry is not None, "the weights are random")
    transform, source = choose(choice, (architectures.transform_of(architecture, assumed), source), None)
    network = architectures.build(architecture, side=transform.crop)
    _randomise(network, transform)
    return TrainedNetwork(
        network=network,
        file=None,
        classes=CLASSES,
        transform=transform,
        transform_source=source,
        class_names=None,
        published=None,
    )


def _network_of_file(
    architecture: str, weights: Path, chosen: WeightsChoice, choice: TransformChoice, progress: Progress
) -> TrainedNetwork:
    from assay.models import architectures, checkpoint, weights_set

    _require_file(weights)
    file = store.reference(weights)
    matched = _entry_of(architecture, file, chosen.entry)
    wanted = weights_set.Architecture(architecture, partial(architectures.shapes_for, architecture))
    taken = weights_set.load(weights, wanted, chosen.set)
    shapes = {name: tuple(value.shape) for name, value in taken.tensors.items()}
    network, classes = architectures.build_for(architecture, shapes)
    checkpoint.fill(
        network,
        taken.tensors,
        f"the weights of {weights} and {architecture}",
        lambda: architectures.look_alikes(shapes),
    )
    _tell(taken, progress)
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
            f"the weights of {weights} take images of {side}×{side}, and the transform crops {transform.crop}",
            remedy=Remedy("give {} {}", Option("resize", side), Option("crop", side)),
        )
    imagenet = classes == CLASSES
    return TrainedNetwork(
        network=network,
        file=file,
        classes=classes,
        transform=transform,
        transform_source=source,
        class_names=architectures.class_names(architecture) if imagenet else None,
        published=architectures.published(architecture, matched) if imagenet else None,
        weights_set=taken.recorded,
        warnings=taken.warnings,
    )


def _require_file(weights: Path) -> None:
    if not weights.is_file():
        raise UsageError(
            f"no weights at {weights}", remedy=Remedy("give the checkpoint's file with {}", Option("weights"))
        )


def _tell(taken: WeightsSet, progress: Progress) -> None:
    for note in taken.notes:
        progress.note(note)


def _entry_of(architecture: str, file: FileReference, given: str | None) -> str | None:
    """The entry whose file this is, by its hash or else by the user's word; None where nobody knows."""
    from assay.models import architectures

    published = architectures.file_of_hash(file.sha256)
    if published is None:
        return given
    if published.architecture != architecture:
        raise CheckpointError(
            f"{file.path} holds torchvision's {published.entry} of {published.architecture} (by its sha256), not "
            f"weights of {architecture}",
            remedy=Remedy("give {}", Option("arch", published.architecture)),
        )
    if given not in (None, published.entry):
        raise CheckpointError(
            f"{file.path} holds torchvision's {published.entry} (by its sha256), not {given}",
            remedy=Remedy("leave {} away", Option("weights_entry")),
        )
    return published.entry


def _randomise(network: torch.nn.Module, transform: ImageTransform) -> None:
    from assay.models import checkpoint

    checkpoint.wake(network)
    checkpoint.settle_statistics(network, np.split(normalised_demo_images(transform, 8), 2))


def _source(entry: str, known: bool, otherwise: str) -> str:
    return f"torchvision's {entry}" if known else f"torchvision's {entry}, assumed: {otherwise}"
