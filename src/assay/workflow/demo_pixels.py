"""Real pixels where the user has given none: the first images of the demo."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from assay import demo
from assay.data.transform import normalise, pixels
from assay.records import ImageTransform


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
    paths = sorted(demo.IMAGES.iterdir())[:count]
    return np.stack([pixels(path.read_bytes(), transform) for path in paths])
