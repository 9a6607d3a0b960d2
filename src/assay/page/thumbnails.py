"""Small pictures that stand in the page itself."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt

SIDE = 144
"""Pixels: sharp at the size at which the page shows them, and 6 kB or so each."""


def data_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """Pixels, uint8 H×W×3, as the address of a JPEG that holds itself; larger ones are made smaller."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "jpeg", quality=80, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
