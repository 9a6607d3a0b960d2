"""From an image file's bytes to an RGB image, with the pixels that Pillow gives, and the decoder's warning.

Most photographs are JPEGs, and libjpeg goes on where their data is damaged: it says so in a warning and makes up
what is missing. Pillow keeps that warning to itself. A second binding to the same library, simplejpeg, tells it,
and is faster besides. It decodes the JPEGs that it has nothing to say about; Pillow decodes all others.

The two carry libraries of their own, and what one version of libjpeg decodes another may decode differently. So
they are compared once a process, on made-up images; where they differ, every pixel is Pillow's.
"""

from __future__ import annotations

import functools
import io
import random
import re
import warnings
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from assay.errors import ImageError
from assay.storage.stand_in import STAND_IN_BYTES, stand_in

try:
    import simplejpeg
except ImportError:  # no wheel for this machine: Pillow decodes everything, and no warning is heard
    simplejpeg = None

# Pillow warns above some 89 million pixels and refuses only above twice as many; here both are refused, before
# anything is decoded. A filter set once holds in every thread, which a filter around each call would not.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 89_478_485

_JPEG = b"\xff\xd8\xff"
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow knows dozens by what the bytes are, whatever the name: among them one that it has another program run."""

_LARGEST, _SIXTEEN = 255, 65535
_WIDE = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes of grey that hold more than eight bits."""
_RANGES = {"16": _SIXTEEN, "16L": _SIXTEEN, "12": 4095}
"""The largest value of a pixel, by how the file holds it."""
_DEEP_FORMATS = ("PNG", "PPM", "TIFF")
"""A BMP of 16 bits has them for all three channels."""
_DEEP = "16 bits a channel, of which the upper 8 are used"

_FRAMES = "several pictures, of which the first is used"
_WHITE = "more than 8 bits a pixel, cut off at white"

_OWN_REFUSAL = re.compile(r"tj\w+\(\): ")
"""What the binding itself cannot do, in difference to what libjpeg says of the data."""


def decode(content: bytes, deep_is_white: bool = False) -> tuple[Image.Image, str | None]:
    """An image file's bytes as an RGB image, and what the decoder warned of; raises `ImageError` with the reason.

    `deep_is_white` takes grey of more than 8 bits as Pillow's own conversion does, which cuts it off at white.
    """
    if not content.startswith(_JPEG) or not _agree():
        return _by_pillow(content, deep_is_white)
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        if colours in ("YCbCr", "Gray") and width * height <= MOST_PIXELS:
            return _by_simplejpeg(content), None
        warning = None
    except ValueError as error:
        warning = None if _OWN_REFUSAL.match(str(error)) else str(error)
    image, noted = _by_pillow(content, deep_is_white)
    return image, warning or noted


def _by_pillow(content: bytes, deep_is_white: bool = False) -> tuple[Image.Image, str | None]:
    """An RGB image, and what of it had to be settled to make it one."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            stored, is_animated = _stored_as(image), bool(getattr(image, "is_animated", False))
            image.load()
            if image.mode in _WIDE:
                return (image.convert("RGB"), _WHITE) if deep_is_white else _narrowed(image, stored)
            is_deep = image.format in _DEEP_FORMATS and "16" in stored
            warning = _DEEP if is_deep else _FRAMES if is_animated else _transparent(image)
            if isinstance(image.info.get("transparency"), bytes):
                # It plays no part in the conversion, but Pillow would print advice on it for each image.
                del image.info["transparency"]
            return image.convert("RGB"), warning
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        instead = stand_in(content[:STAND_IN_BYTES])
        raise ImageError(
            "empty file" if not content else instead or f"no image format that is read: {', '.join(FORMATS)}"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"too large to decode safely: {error}") from error
    except Exception as error:  # Pillow's decoders raise whatever damaged bytes make them trip over
        raise ImageError(f"cannot be decoded: {error or type(error).__name__}") from error


def _stored_as(image: Image.Image) -> str:
    """How the file holds its pixels, in Pillow's words, such as `RGB;16B`; a format that does not say gives nothing."""
    tiles = getattr(image, "tile", ())
    arguments = tiles[0].args if tiles else ()
    words = arguments if isinstance(arguments, tuple) else (arguments,)
    if image.format == "PPM" and any(isinstance(word, int) and word > _LARGEST for word in words):
        return f"{words[0]};16"
    return next((word for word in words if isinstance(word, str)), "")


def _narrowed(image: Image.Image, stored: str) -> tuple[Image.Image, str]:
    """Grey of more than eight bits, of which Pillow would make white; raises `ImageError` where its range is open."""
    if image.mode == "F":
        raise ImageError("its pixels are floating-point numbers, of no known range; save it with 8 bits a channel")
    deepest = _RANGES.get(stored.partition(";")[2].rstrip("BNRS") if stored else "")
    deepest = _SIXTEEN if image.format == "PPM" else deepest
    if deepest is None or stored.endswith("S"):
        raise ImageError(
            f"its pixels are integers of an unknown range ({stored or image.mode}); save it with 8 bits a channel"
        )
    values = np.asarray(image).astype(np.float64)
    grey = Image.fromarray((values * (_LARGEST / deepest)).round().clip(0, _LARGEST).astype(np.uint8))
    return grey.convert("RGB"), f"{deepest.bit_length()} bits a pixel, scaled to 8"


def _transparent(image: Image.Image) -> str | None:
    """What is said of transparency, which a network does not see."""
    if image.mode in ("RGBA", "LA", "PA"):
        lowest = image.getchannel("A").getextrema()[0]
        seen = isinstance(lowest, (int, float)) and lowest < _LARGEST
    else:
        seen = "transparency" in image.info
    return "transparent pixels, taken in the colour that the file has for them" if seen else None


def _by_simplejpeg(content: bytes) -> Image.Image:
    """Raises `ValueError` with libjpeg's words wherever it warns or fails."""
    return Image.fromarray(simplejpeg.decode_jpeg(content, "RGB", strict=True))


@functools.cache
def _agree() -> bool:
    """Whether both libraries decode the same pixels here: every way to store colours, noise, odd sides."""
    if simplejpeg is None:
        return False
    noise = Image.frombytes("RGB", (77, 51), random.Random(0).randbytes(77 * 51 * 3))  # noqa: S311 - made-up pixels
    ways: list[tuple[str, dict[str, Any]]] = [
        ("RGB", {"subsampling": "4:4:4", "quality": 95}),
        ("RGB", {"subsampling": "4:2:2", "quality": 75}),
        ("RGB", {"subsampling": "4:2:0", "quality": 75}),
        ("RGB", {"subsampling": "4:2:0", "quality": 30, "progressive": True}),
        ("L", {"quality": 85}),
    ]
    for mode, options in ways:
        file = io.BytesIO()
        noise.convert(mode).save(file, "jpeg", **options)
        try:
            pixels = np.asarray(_by_simplejpeg(file.getvalue()))
        except ValueError:
            return False
        if not np.array_equal(pixels, np.asarray(_by_pillow(file.getvalue())[0])):
            return False
    return True
