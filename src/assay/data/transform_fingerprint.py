"""A hash of the pixels that this machine makes of reference images: equal where decoders and resizers agree.

Libraries for JPEG round differently from version to version and from processor to processor, and so do resizers;
that alone moves a classifier's accuracy by up to a point. The reference images are in `reference_images`, drawn by
`tools/make_reference_images.py`: a JPEG with colours at half resolution, a progressive one in grey, and a PNG whose
colours are a palette with transparency, each of odd sides and with edges and fine texture.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from assay.data import transform as image_transform
from assay.records import ImageTransform, Interpolation

REFERENCE_IMAGES = Path(__file__).parent / "reference_images"

_INTERPOLATIONS: tuple[Interpolation, ...] = ("bilinear", "bicubic")
_SIZES = ((48, 40), (136, 128), (256, 224))
"""Resize and crop: far smaller than the images, near their size, and larger."""
_NO_CHANGE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@cache
def of_this_machine() -> str:
    """The sha256 over every reference image at every size by either interpolation, in hexadecimal; once a process."""
    mean, std = _NO_CHANGE
    digest = hashlib.sha256()
    for path in sorted(REFERENCE_IMAGES.iterdir()):
        content = path.read_bytes()
        for interpolation in _INTERPOLATIONS:
            for resize, crop in _SIZES:
                transform = ImageTransform(resize=resize, crop=crop, interpolation=interpolation, mean=mean, std=std)
                digest.update(image_transform.pixels(content, transform).tobytes())
    return digest.hexdigest()
