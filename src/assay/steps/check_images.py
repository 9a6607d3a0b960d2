"""The pixels that an artifact is checked on as it is compiled: the user's own where there are some."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assay import demo
from assay.data.transform import normalise, pixels, pixels_and_warning
from assay.errors import DatasetError
from assay.records import ImageTransform, ImageWarning, OnnxModel, PreparedDataset
from assay.steps.pixel_sources import Data, Images, require_transform
from assay.storage import store

Pixels = npt.NDArray[np.uint8]

PARITY_IMAGES = 4


@dataclass(frozen=True)
class CheckImages:
    """Images that a model is checked on."""

    pixels: Pixels
    """uint8 N×H×W×3, as the model wants them."""
    names: tuple[str, ...]
    warnings: tuple[ImageWarning, ...] = ()


def check_images(model: OnnxModel, data: Data = None) -> CheckImages:
    """The first images of a data set, or the demo's if it holds no images.

    Raises `DatasetError` with the name of an image that cannot be used.
    """
    if isinstance(data, PreparedDataset):
        first = _prepared(data, model)
        return CheckImages(first, data.dataset.names[: len(first)])
    if isinstance(data, Images):
        return _decoded(data, model.transform)
    names = tuple(path.name for path in _demo_paths(PARITY_IMAGES))
    return CheckImages(demo_pixels(model.transform, PARITY_IMAGES), names)


def order_of_rows(images: int, batch: int) -> npt.NDArray[np.intp]:
    """Which image is in which row of whole batches that hold every image: real pixels in every row.

    Each round begins one image further on, so that rows that a backend mixes up are seldom those of one image.
    """
    rows = np.arange(-(-images // batch) * batch)
    return (rows + rows // images) % images


def _prepared(data: PreparedDataset, model: OnnxModel) -> Pixels:
    require_transform(data, model)
    first = data.shards[0]
    store.verified(first.file)
    return np.array(first.load()[:PARITY_IMAGES])


def _decoded(data: Images, transform: ImageTransform) -> CheckImages:
    names = tuple(data.source.names[:PARITY_IMAGES])
    decoded, warnings = [], []
    for name in names:
        try:
            image, warning = pixels_and_warning(data.source.read(name), transform)
        except DatasetError as error:
            raise DatasetError(
                f"image {data.source.path / name} cannot be used: {error.message}; mend or remove it"
            ) from error
        decoded.append(image)
        warnings += [ImageWarning(name=name, reason=warning)] if warning is not None else []
    return CheckImages(np.stack(decoded), names, tuple(warnings))


def demo_transform() -> ImageTransform:
    """The transform that the demo's network was trained for."""
    return ImageTransform(resize=demo.RESIZE, crop=demo.CROP, mean=demo.MEAN, std=demo.STD)


def normalised_demo_images(transform: ImageTransform, count: int) -> npt.NDArray[np.float32]:
    """The first demo images as the model takes them, float32 N×3×H×W."""
    batch = demo_pixels(transform, count)
    side = transform.crop
    return normalise(batch, transform, np.empty((count, 3, side, side), np.float32))


def demo_pixels(transform: ImageTransform, count: int) -> npt.NDArray[np.uint8]:
    """Real pixels where the user has given none: the first images of the demo, uint8 N×H×W×3."""
    return np.stack([pixels(path.read_bytes(), transform) for path in _demo_paths(count)])


def _demo_paths(count: int) -> list[Path]:
    return sorted(demo.IMAGES.iterdir())[:count]
