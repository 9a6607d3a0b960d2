"""torchvision's classification models by name, and what is published about their weights."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from assay.errors import CheckpointError, MissingExtraError, UnknownNameError
from assay.records import ImageTransform, PublishedAccuracy

_IMAGENET = "the 50,000 ImageNet validation images"
_IMAGENET_IMAGES = 50_000
_CLASSES = 1000
_LOOK_ALIKES = 3
_TRIED = 8
"""Architectures of about the right size that are built to see whether weights fit them."""

Shapes = Mapping[str, Sequence[int]]
"""The shape of each tensor of a table of weights, by name."""


@dataclass(frozen=True)
class PublishedFile:
    """A file of weights that torchvision publishes."""

    architecture: str
    entry: str
    url: str
    hash_prefix: str
    """What the file's sha256 begins with."""
    mebibytes: float


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


def build(architecture: str, classes: int = _CLASSES, side: int | None = None) -> torch.nn.Module:
    """A network with random weights, in evaluation mode, for images of side×side pixels."""
    check(architecture)
    # The same random weights in every run, so that two runs of them measure the same model.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        options: dict[str, Any] = {}
        if side is not None and _has_fixed_side(architecture):
            options["image_size"] = side
        if _has_auxiliary_classifiers(architecture):
            # Left to its default, the initialisation warns that the default will change.
            options |= {"aux_logits": False, "init_weights": True}
        network: torch.nn.Module = _torchvision().get_model(architecture, weights=None, num_classes=classes, **options)
    return network.eval()


def build_for(architecture: str, shapes: Shapes) -> tuple[torch.nn.Module, int]:
    """A network for weights of these shapes, in evaluation mode, and its number of classes, read off the shapes.

    Its own weights have no memory and no values until they are filled. Where the shapes do not fit, it is the
    network with 1,000 classes.
    """
    check(architecture)
    network = _outline(architecture, shapes, _CLASSES)
    classes = _classes(network, shapes)
    return (network, _CLASSES) if classes == _CLASSES else (_outline(architecture, shapes, classes), classes)


def shapes_for(architecture: str, shapes: Shapes) -> Shapes:
    """The shape of each tensor of the network that `build_for` makes for weights of these shapes, by name."""
    network = build_for(architecture, shapes)[0]
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def look_alikes(shapes: Shapes) -> list[str]:
    """The architectures that weights of these shapes fit, whatever their number of classes; a few at most."""
    size = _parameters_with_1000_classes(shapes)
    nearest = sorted(names(), key=lambda name: abs(math.log(size / _parameters(name))))[:_TRIED]
    return [name for name in nearest if _fits(build_for(name, shapes)[0], shapes)][:_LOOK_ALIKES]


def _parameters(architecture: str) -> int:
    """The number of an architecture's parameters with 1,000 classes, as torchvision publishes it."""
    return int(_entry(architecture, None).meta["num_params"])


def _parameters_with_1000_classes(shapes: Shapes) -> int:
    """About as many numbers as weights of these shapes would hold with 1,000 classes; the classifier stands last."""
    size = sum(math.prod(shape) for shape in shapes.values())
    classifier = next((shape for shape in reversed(list(shapes.values())) if len(shape) >= 2), (_CLASSES, 0))
    return max(size + (_CLASSES - classifier[0]) * (math.prod(classifier[1:]) + 1), 1)


def side_of(network: torch.nn.Module) -> int | None:
    """The side of the images that a network is bound to; None where any size will do."""
    side = getattr(network, "image_size", None)
    return side if isinstance(side, int) else None


def check(architecture: str, entry: str | None = None) -> None:
    """Raises where an architecture, or an entry of its weights, is not among the known ones."""
    if architecture not in names():
        raise UnknownNameError("architecture", architecture, names())
    _entry(architecture, entry)


class _WithoutMemory(TorchFunctionMode):
    """Makes parameters that have a shape alone.

    Only what layers make their parameters with goes to the device without memory: RegNet computes its widths with
    tensors, and reads them back. Filling what has no memory is passed over, which is most of the time.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if args and _fills(function) and isinstance(args[0], torch.Tensor) and args[0].is_meta:
            return args[0]
        given = dict(kwargs or {})
        return function(*args, **(given | {"device": "meta"} if function is torch.empty else given))


def _fills(function: Any) -> bool:
    """Whether a function changes its first argument, by the names that torch gives to such: `normal_`, `mul_`."""
    name = getattr(function, "__name__", "")
    return name.endswith("_") and not name.endswith("__") and name != "requires_grad_"


def _outline(architecture: str, shapes: Shapes, classes: int) -> torch.nn.Module:
    options: dict[str, Any] = {}
    if _has_fixed_side(architecture):
        options["image_size"] = _side_in(shapes)
    if _has_auxiliary_classifiers(architecture):
        # Trained weights carry the auxiliary classifiers or not. The published ones, and what was trained on from
        # them, expect torchvision's own shift of the input.
        auxiliary = any(name.lower().startswith("aux") for name in shapes)
        options = {"aux_logits": auxiliary, "transform_input": True, "init_weights": False}
    with _WithoutMemory():
        network: torch.nn.Module = _torchvision().get_model(architecture, weights=None, num_classes=classes, **options)
    return network.eval()


def _has_fixed_side(architecture: str) -> bool:
    return architecture.startswith("vit_")


def _has_auxiliary_classifiers(architecture: str) -> bool:
    return architecture in ("googlenet", "inception_v3")


def _side_in(shapes: Shapes) -> int:
    """The side that a vision transformer was trained for: its patches are the embedded positions but one."""
    positions, patch = shapes.get("encoder.pos_embedding", ()), shapes.get("conv_proj.weight", ())
    if len(positions) != 3 or len(patch) != 4:
        return 224
    return max(math.isqrt(max(positions[1] - 1, 1)) * patch[-1], patch[-1])


def _classes(network: torch.nn.Module, shapes: Shapes) -> int:
    """The number that stands in `shapes` wherever the network has its 1,000 classes, if all else agrees."""
    counts = set()
    for name, value in network.state_dict().items():
        given = tuple(shapes.get(name, value.shape))
        if given == tuple(value.shape):
            continue
        differing = [(ours, theirs) for ours, theirs in zip(value.shape, given, strict=False) if ours != theirs]
        if len(given) != value.ndim or len(differing) != 1 or differing[0][0] != _CLASSES:
            return _CLASSES
        counts.add(differing[0][1])
    return counts.pop() if len(counts) == 1 else _CLASSES


def _fits(network: torch.nn.Module, shapes: Shapes) -> bool:
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    needed = {name for name in expected if not name.endswith("num_batches_tracked")}
    return needed <= shapes.keys() and all(expected.get(name) == tuple(shape) for name, shape in shapes.items())


def weights_entries(architecture: str) -> list[str]:
    """The names of torchvision's published weights for an architecture, the oldest first."""
    return [entry.name for entry in _torchvision().get_model_weights(architecture)]


def published_file(architecture: str, entry: str | None = None) -> PublishedFile:
    """The file of an entry, or of the first one."""
    known = _entry(architecture, entry)
    named = re.search(r"-([0-9a-f]{8,64})\.\w+$", str(known.url))
    return PublishedFile(
        architecture=architecture,
        entry=str(known.name),
        url=str(known.url),
        # Without figures in its name nothing could be checked; no hash begins so.
        hash_prefix=named[1] if named else "-",
        mebibytes=float(known.meta["_file_size"]),
    )


def file_of_hash(sha256: str) -> PublishedFile | None:
    """The published file with this hash, of whatever architecture."""
    for architecture in names():
        for entry in weights_entries(architecture):
            file = published_file(architecture, entry)
            if sha256.startswith(file.hash_prefix):
                return file
    return None


def entry_for_side(architecture: str, side: int | None) -> str:
    """The first entry, or the first for images of this side: whose transform weights of unknown origin are given."""
    entries = weights_entries(architecture)
    return next((name for name in entries if transform_of(architecture, name).crop == side), entries[0])


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


def published(architecture: str, entry: str | None) -> PublishedAccuracy | None:
    """An entry's published accuracy; `matched` only where the entry is known; None where nothing is published."""
    known = _entry(architecture, entry)
    metrics = known.meta["_metrics"]["ImageNet-1K"]
    top1, top5 = float(metrics["acc@1"]), float(metrics["acc@5"])
    if math.isnan(top1) or math.isnan(top5):
        # Weights for the features alone.
        return None
    return PublishedAccuracy(
        source=f"torchvision {known}",
        top1=top1,
        top5=top5,
        dataset=_IMAGENET,
        images=_IMAGENET_IMAGES,
        matched=entry is not None,
    )


def class_names(architecture: str) -> tuple[str, ...]:
    """The names of the classes that the published weights score."""
    return tuple(str(name) for name in _entry(architecture, None).meta["categories"])
