"""A network with the weights that it was given, and what is known of them: transform, classes, published accuracy."""

from __future__ import annotations

from dataclasses import dataclass
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


def trained_network(
    architecture: str, weights: Weights, entry: str | None, choice: TransformChoice, progress: Progress
) -> TrainedNetwork:
    """The demo's network or one of torchvision's, filled; raises `CheckpointError` where the weights do not fit."""
    if architecture == demo.NAME:
        return _demo_network(weights, entry, choice)
    return _torchvision_network(architecture, weights, entry, choice, progress)


def _demo_network(weights: Weights, entry: str | None, choice: TransformChoice) -> TrainedNetwork:
    from assay.demo import network
    from assay.models import checkpoint, weights_file

    if entry is not None or isinstance(weights, str):
        raise UsageError(
            f"{demo.NAME} is no model of torchvision's: nothing is published",
            remedy=Remedy("give {}", Option("weights", "FILE.pth")),
        )
    built = network.build().eval()
    transform, source = choose(choice, (demo_transform(), "the demo's own"), None)
    if weights is None:
        _randomise(built, transform)
    else:
        table = weights_file.load(weights)
        checkpoint.fill(built, table, f"the weights of {weights} and {demo.NAME}")
    return TrainedNetwork(
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
) -> TrainedNetwork:
    from assay.models import architectures

    architectures.check(architecture, entry)
    if weights is None:
        return _random_network(architecture, entry, choice)
    if isinstance(weights, str):
        file = architectures.published_file(architecture, entry)
        if entry is None:
            progress.note(f"the weights are torchvision's {file.entry}; a weights entry names others")
        folder = published_weights.cache_folder()
        weights = published_weights.fetch(file.url, file.hash_prefix, file.mebibytes, folder, progress)
    return _network_of_file(architecture, weights, entry, choice, progress)


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
    architecture: str, weights: Path, entry: str | None, choice: TransformChoice, progress: Progress
) -> TrainedNetwork:
    from assay.models import architectures, checkpoint, weights_file

    if not weights.is_file():
        raise UsageError(
            f"no weights at {weights}", remedy=Remedy("give the checkpoint's file with {}", Option("weights"))
        )
    file = store.reference(weights)
    matched = _entry_of(architecture, file, entry)
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
    )


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
