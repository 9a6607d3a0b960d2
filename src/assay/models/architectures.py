"""torchvision's classification models by name, and what is published about their weights."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from assay.errors import CheckpointError, MissingExtraError, UnknownNameError
from assay.records import ImageTransform, PublishedAccuracy

_IMAGENET = "the 50,000 ImageNet validation images"
_IMAGENET_IMAGES = 50_000


@cache
def _torchvision() -> Any:
    """torchvision.models, also beside a torch without CUDA.

    torchvision's wheel registers fake kernels for two detection operators at import. Beside a CPU-only torch its
    compiled part does not load, the operators are unknown, and the import fails with `operator torchvision::nms
    does not exist`. Classification needs neither, so they are declared here, without an implementation.
    """
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for schema in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    ):
        if not hasattr(torch.ops.torchvision, schema.partition("(")[0]):
            library.define(schema)  # type: ignore[no-untyped-call]
    try:
        from torchvision import models
    except ImportError as error:
        raise MissingExtraError(f"building an architecture of torchvision ({error})", "torch") from error
    # The declarations live as long as the library object does.
    models._assay_declarations = library
    return models


def names() -> list[str]:
    """The names of all classification architectures."""
    models = _torchvision()
    return list(models.list_models(module=models))


def build(architecture: str, classes: int = 1000) -> torch.nn.Module:
    """A network without trained weights, in evaluation mode."""
    if architecture not in names():
        raise UnknownNameError("architecture", architecture, names())
    # The same random weights in every run, so that two runs of them measure the same model.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: torch.nn.Module = _torchvision().get_model(architecture, weights=None, num_classes=classes)
    return network.eval()


def weights_entries(architecture: str) -> list[str]:
    """The names of torchvision's published weights for an architecture, the oldest first."""
    return [entry.name for entry in _torchvision().get_model_weights(architecture)]


def entry_of_hash(architecture: str, sha256: str) -> str | None:
    """The entry whose file has this hash; torchvision puts the first eight figures in the file's name."""
    for entry in _torchvision().get_model_weights(architecture):
        if str(entry.url).rpartition("-")[2].partition(".")[0] == sha256[:8]:
            return str(entry.name)
    return None


def _entry(architecture: str, name: str | None) -> Any:
    """An entry by name, or the first one, whose transform a file of unknown origin is given."""
    entries = list(_torchvision().get_model_weights(architecture))
    if name is None:
        return entries[0]
    for entry in entries:
        if entry.name == name:
            return entry
    raise UnknownNameError(f"weights entry of {architecture}", name, [entry.name for entry in entries])


def transform_of(architecture: str, entry: str | None) -> ImageTransform:
    """The transform that an entry's weights were trained for."""
    given = _entry(architecture, entry).transforms()
    interpolation = str(given.interpolation.value)
    if interpolation not in ("bilinear", "bicubic"):
        raise CheckpointError(f"{architecture}: interpolation {interpolation} is neither bilinear nor bicubic")
    return ImageTransform(
        resize=int(given.resize_size[0]),
        crop=int(given.crop_size[0]),
        interpolation="bilinear" if interpolation == "bilinear" else "bicubic",
        mean=(given.mean[0], given.mean[1], given.mean[2]),
        std=(given.std[0], given.std[1], given.std[2]),
    )


def published(architecture: str, entry: str | None) -> PublishedAccuracy:
    """An entry's published accuracy; `matched` only where the entry is known."""
    found = _entry(architecture, entry)
    metrics = found.meta["_metrics"]["ImageNet-1K"]
    return PublishedAccuracy(
        source=f"torchvision {found}",
        top1=float(metrics["acc@1"]),
        top5=float(metrics["acc@5"]),
        dataset=_IMAGENET,
        images=_IMAGENET_IMAGES,
        matched=entry is not None,
    )


def class_names(architecture: str) -> tuple[str, ...]:
    """The names of the classes that the published weights score."""
    return tuple(str(name) for name in _entry(architecture, None).meta["categories"])
