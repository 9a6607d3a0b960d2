"""From an image file to pixels, bit-identical to Pillow's in the order of operations of the guide.

Decode, `convert('RGB')`, resize the short side (the long one to `int(size * long / short)`; untouched where the
short side has its size already), centre crop at `int(round((side - crop) / 2))`: uint8 H×W×3. Then, where a
model wants float32: divide by 255, subtract the mean, divide by the standard deviation, each in float32, N×3×H×W.
EXIF orientation is not applied, as in the guide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image

from assay.data import decoder
from assay.errors import ImageError, Option, Remedy, UnknownNameError, UsageError
from assay.progress import Progress
from assay.records import LARGEST_SIDE, ImageTransform, Interpolation, transform_warnings

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)

PRESETS: Mapping[str, ImageTransform] = {
    "resnet": ImageTransform(resize=256, crop=224, mean=_IMAGENET_MEAN, std=_IMAGENET_STD),
    "inceptionv3": ImageTransform(resize=342, crop=299, mean=_IMAGENET_MEAN, std=_IMAGENET_STD),
    "inceptionv4": ImageTransform(resize=342, crop=299, mean=_HALF, std=_HALF),
    "efficientnetb3": ImageTransform(resize=342, crop=300, mean=_IMAGENET_MEAN, std=_IMAGENET_STD),
}
"""The guide's four kinds of model."""

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def preset(name: str) -> ImageTransform:
    """A transform by the name that the guide has for it."""
    try:
        return PRESETS[name]
    except KeyError:
        raise UnknownNameError("preset", name, PRESETS) from None


@dataclass(frozen=True, kw_only=True)
class TransformChoice:
    """What the user said of the transform; None where nothing was said."""

    preset: str | None = None
    """The transform of a kind of model: `resnet`, `inceptionv3`, `inceptionv4` or `efficientnetb3`."""
    resize: int | None = None
    """Pixels of the short side."""
    crop: int | None = None
    """Pixels of the square cut from the middle."""
    interpolation: Interpolation | None = None
    mean: Sequence[float] | None = None
    """Of red, green and blue, of pixels from 0 to 1."""
    std: Sequence[float] | None = None
    """Likewise."""

    @property
    def transform(self) -> TransformChoice:
        """This part of a larger request."""
        return TransformChoice(**{one.name: getattr(self, one.name) for one in fields(TransformChoice)})

    @property
    def given(self) -> dict[str, Any]:
        """The single values that were said."""
        values = {one.name: getattr(self, one.name) for one in fields(TransformChoice) if one.name != "preset"}
        return {key: value for key, value in values.items() if value is not None}


def choose(
    choice: TransformChoice, known: tuple[ImageTransform, str] | None, side: int | None
) -> tuple[ImageTransform, str]:
    """The transform to use, and a sentence on where it comes from.

    The user's single values stand over a named preset, that over what is known of the model, and that over the
    preset whose crop is the model's input `side` in pixels. Raises `UsageError` where that leaves nothing, or
    where the result does not fit the model.
    """
    if choice.preset is not None:
        base, source = preset(choice.preset), f"preset {choice.preset}"
    elif known is not None:
        base, source = known
    else:
        base, source = _assumed(choice, side)
    single = {key: _three(key, value) if key in ("mean", "std") else value for key, value in choice.given.items()}
    transform = msgspec.structs.replace(base, **single)
    if choice.given:
        complete = {"resize", "crop", "mean", "std"} <= set(choice.given)
        source = "given" if complete else f"{', '.join(choice.given)} given, the rest from: {source}"
    check(transform)
    if side is not None and transform.crop != side:
        raise UsageError(
            f"the model takes {side}×{side} pixels and the transform crops to {transform.crop}",
            remedy=Remedy("give {}, or {} and {}", Option("preset"), Option("resize"), Option("crop", side)),
        )
    return transform, source


def tell_transform(source: str, progress: Progress) -> None:
    """Notes where a transform comes from, or warns of one that is assumed."""
    warnings = transform_warnings(source)
    for warning in warnings:
        progress.warn(warning)
    if not warnings:
        progress.note(f"transform: {source}")


def _three(name: str, values: Sequence[float]) -> tuple[float, float, float]:
    """A value for each of red, green and blue."""
    if len(values) != 3:
        raise UsageError(f"{name} has {len(values)} values; give three, of red, green and blue")
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _assumed(choice: TransformChoice, side: int | None) -> tuple[ImageTransform, str]:
    wanted = choice.crop or side or PRESETS["resnet"].crop
    for name, transform in PRESETS.items():
        if transform.crop == wanted:
            return transform, f"preset {name}, assumed from the input's {wanted}×{wanted} pixels"
    if choice.resize is None:
        raise UsageError(
            f"no preset is known for an input of {wanted}×{wanted} pixels",
            remedy=Remedy(
                "give {}, {}, {} and {} (presets: {})",
                Option("resize"),
                Option("crop", wanted),
                Option("mean"),
                Option("std"),
                ", ".join(PRESETS),
            ),
        )
    return msgspec.structs.replace(
        PRESETS["resnet"], resize=choice.resize, crop=wanted
    ), "ImageNet's mean and std, assumed"


def check(transform: ImageTransform) -> None:
    """Raises `UsageError` where a transform cannot be carried out."""
    if not 0 < transform.crop <= transform.resize:
        raise UsageError(
            f"crop {transform.crop} and resize {transform.resize}: the crop must be at least 1 and at most the "
            "resize, since it is cut out of the resized image"
        )
    if transform.resize > LARGEST_SIDE:
        raise UsageError(f"resize {transform.resize}: images have {LARGEST_SIDE} pixels a side at most; give fewer")
    if min(transform.std) <= 0:
        raise UsageError(f"std {transform.std}: every value must be above 0, since the pixels are divided by it")


def pixels(content: bytes, transform: ImageTransform) -> npt.NDArray[np.uint8]:
    """An image file's bytes as uint8 H×W×3, resized and cropped; raises `ImageError` with the reason."""
    return pixels_and_warning(content, transform)[0]


def pixels_and_warning(
    content: bytes, transform: ImageTransform, deep_is_white: bool = False
) -> tuple[npt.NDArray[np.uint8], str | None]:
    """As `pixels`, with what the decoder warned of; pixels that it made up are among them then.

    `deep_is_white` takes grey of more than 8 bits as Pillow and the guide's script do: as white.
    """
    image, warning = decoder.decode(content, deep_is_white)
    return np.asarray(crop(resize(image, transform), transform.crop)), warning


def resize(image: Image.Image, transform: ImageTransform) -> Image.Image:
    """The short side to `transform.resize`, the long one in proportion, rounded down."""
    width, height = image.size
    short, long = min(width, height), max(width, height)
    if short == transform.resize:
        return image
    scaled = int(transform.resize * long / short)
    if scaled * transform.resize > decoder.MOST_PIXELS:
        raise ImageError(f"too long and thin: {width}×{height} pixels would become {transform.resize}×{scaled}")
    size = (transform.resize, scaled) if width < height else (scaled, transform.resize)
    return image.resize(size, _FILTERS[transform.interpolation])


def crop(image: Image.Image, side: int) -> Image.Image:
    """The square in the middle; halves round to the even neighbour, as Python does."""
    width, height = image.size
    left, top = round((width - side) / 2.0), round((height - side) / 2.0)
    return image.crop((left, top, left + side, top + side))


def normalise(
    batch: npt.NDArray[np.uint8], transform: ImageTransform, out: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """uint8 N×H×W×3 to normalised float32 N×3×H×W in `out`, in float32 and in the guide's order of operations."""
    mean = np.asarray(transform.mean, dtype=np.float32).reshape(3, 1, 1)
    std = np.asarray(transform.std, dtype=np.float32).reshape(3, 1, 1)
    np.copyto(out, batch.transpose(0, 3, 1, 2), casting="safe")
    out /= np.float32(255.0)
    out -= mean
    out /= std
    return out
