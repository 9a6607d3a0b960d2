"""Draws the reference images of the transform's fingerprint: the same pixels at every run.

The files themselves are what the fingerprint goes by. Drawn again with another version of Pillow their bytes may
differ, and with them every fingerprint: do so only where a new kind of image is wanted.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

FOLDER = Path(__file__).parents[1] / "src" / "assay" / "data" / "reference_images"


def picture(width: int, height: int) -> Image.Image:
    """Slow and fast waves of colour, rings that grow finer outwards, and hard edges of any slope."""
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    rings = np.cos(38 * (x**2 + y**2))
    channels = [
        0.5 + 0.3 * np.sin(4 * x + 2 * y) + 0.2 * rings,
        0.5 + 0.3 * np.cos(3 * y - x) - 0.2 * rings,
        0.5 + 0.25 * np.sin(9 * x * y) + 0.25 * np.sin(60 * (x + 0.3 * y)),
    ]
    image = Image.fromarray(_bytes(np.stack(channels, axis=-1)))
    draw = ImageDraw.Draw(image)
    for number, colour in enumerate(["#ff0000", "#00c800", "#0000ff", "#ffffff", "#000000"]):
        left = 9 + number * width // 6
        draw.polygon([(left, 11 + 7 * number), (left + 31, 23), (left + 12, 57 + 3 * number)], fill=colour)
        draw.line([(left, height - 5), (left + 40, height - 61 + 9 * number)], fill=colour, width=1 + number)
    return image


def _bytes(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(np.rint(255 * values), 0, 255).astype(np.uint8)


def main() -> None:
    """Writes the three files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    drawn = picture(231, 173)
    drawn.save(FOLDER / "colour.jpg", quality=85, subsampling="4:2:0")
    picture(157, 203).convert("L").save(FOLDER / "grey.jpg", quality=60, progressive=True)
    palette = drawn.crop((20, 10, 171, 141)).quantize(48)
    palette.save(FOLDER / "palette.png", transparency=7, optimize=True)
    for path in sorted(FOLDER.iterdir()):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
