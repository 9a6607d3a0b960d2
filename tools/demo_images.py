"""Draws the demo's images: one shape near the centre of a busy picture, written as a JPEG of any size.

Every length is a fraction of the image's short side, so that a picture means the same at every size.
"""

import io
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Points = NDArray[np.float64]
Pixels = NDArray[np.floating]

OVERSAMPLING = 2


def _arc(start: float, stop: float, radius: float = 1.0, x: float = 0.0) -> Points:
    angle = np.radians(np.linspace(start, stop, 48))
    return np.stack([x + radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _corners(count: int, inner: float | None = None) -> Points:
    """A regular polygon, or a star where every second corner lies at the inner radius."""
    steps = count if inner is None else 2 * count
    angle = 2 * np.pi * np.arange(steps) / steps
    radius = np.where(np.arange(steps) % 2, 1.0 if inner is None else inner, 1.0)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _cross(arm: float = 0.32) -> Points:
    quarter = np.array([(1.0, -arm), (1.0, arm), (arm, arm)])
    turn = np.array([(0.0, 1.0), (-1.0, 0.0)])
    return np.concatenate([quarter @ np.linalg.matrix_power(turn, k) for k in range(4)])


def _heart() -> Points:
    t = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y - 2.5], axis=1) / 16


OUTLINES: dict[str, Points] = {
    "circle": _arc(0, 360),
    "square": _corners(4),
    "triangle": _corners(3),
    "star": _corners(5, inner=0.42),
    "cross": _cross(),
    "ring": _arc(0, 360),
    "crescent": np.concatenate([_arc(50, 310), _arc(285, 75, radius=0.8, x=0.44)]),
    "hexagon": _corners(6),
    "arrow": np.array([(1, 0), (0.1, 0.75), (0.1, 0.3), (-1, 0.3), (-1, -0.3), (0.1, -0.3), (0.1, -0.75)]),
    "heart": _heart(),
}
"""The outline of each class in the unit circle."""

HOLES: dict[str, Points] = {"ring": _arc(0, 360, radius=0.55)}


def jpeg(rng: Generator, shape: str, short_sides: tuple[int, int]) -> bytes:
    """A picture of the shape as a JPEG file; size, aspect, quality and encoding vary with the generator."""
    image = draw(rng, shape, *_size(rng, *short_sides))
    if rng.random() < 0.06:
        image = image.convert("L")
    progressive = bool(rng.random() < 0.1)
    file = io.BytesIO()
    image.save(
        file,
        "JPEG",
        quality=int(rng.integers(60, 91)),
        subsampling=int(rng.integers(0, 3)),
        progressive=progressive,
        optimize=progressive,
    )
    return file.getvalue()


def draw(rng: Generator, shape: str, width: int, height: int) -> Image.Image:
    """A picture of the shape: background, shape, something in front of it, then the faults of a camera."""
    w, h = width * OVERSAMPLING, height * OVERSAMPLING
    dark_on_light = bool(rng.random() < 0.5)
    back = (0.5, 1.0) if dark_on_light else (0.0, 0.5)
    front = (0.0, 0.5) if dark_on_light else (0.5, 1.0)

    canvas = _background(rng, w, h, back)
    place = _placement(rng, w, h)
    canvas.paste(_gradient(rng, w, h, front), mask=_mask(shape, place, w, h))
    if rng.random() < 0.65:
        _occlude(rng, canvas, place(OUTLINES[shape]), back)
    return _camera(rng, canvas.reduce(OVERSAMPLING))


def _size(rng: Generator, smallest: int, largest: int) -> tuple[int, int]:
    short = int(np.exp(rng.uniform(np.log(smallest), np.log(largest + 1))))
    long = int(short * rng.uniform(1.05, 1.5))
    sizes = ((short, short), (long, short), (short, long))
    return sizes[rng.integers(3)]


def _colour(rng: Generator, lightness: tuple[float, float]) -> NDArray[np.float64]:
    """A colour whose lightness lies in the interval, so that a shape stays visible in grey as well."""
    target = rng.uniform(*lightness)
    colour = rng.random(3)
    luma = float(colour @ (0.299, 0.587, 0.114))
    # Scaling towards black or white moves the lightness and keeps the hue.
    mixed = colour * target / luma if target < luma else 1 - (1 - colour) * (1 - target) / (1 - luma)
    return np.asarray(255 * mixed)


def _fill(rng: Generator, lightness: tuple[float, float]) -> tuple[int, int, int]:
    red, green, blue = (int(c) for c in _colour(rng, lightness))
    return red, green, blue


def _ramp(rng: Generator, w: int, h: int) -> Pixels:
    """A plane that rises in a random direction by 1 over the short side; (h, w)."""
    angle, side = rng.uniform(0, 2 * np.pi), min(w, h)
    x = np.arange(w, dtype=np.float32) / side * np.float32(np.cos(angle))
    y = np.arange(h, dtype=np.float32) / side * np.float32(np.sin(angle))
    return np.asarray(x[None, :] + y[:, None], np.float32)


def _mix(weight: Pixels, a: NDArray[np.float64], b: NDArray[np.float64]) -> Image.Image:
    level = Image.fromarray((255 * np.clip(weight, 0, 1)).astype(np.uint8))
    plain = [Image.new("RGB", level.size, tuple(int(c) for c in colour)) for colour in (b, a)]
    return Image.composite(plain[0], plain[1], level)


def _gradient(rng: Generator, w: int, h: int, lightness: tuple[float, float]) -> Image.Image:
    a, b = _colour(rng, lightness), _colour(rng, lightness)
    return _mix(np.abs(_ramp(rng, w, h) % 2 - 1), a, (a + b) / 2)


def _background(rng: Generator, w: int, h: int, lightness: tuple[float, float]) -> Image.Image:
    kind = rng.choice(["gradient", "stripes", "checks", "clouds", "polygons", "blobs"])
    a, b = _colour(rng, lightness), _colour(rng, lightness)
    if kind == "stripes":
        return _mix(_waves(rng, w, h), a, b)
    if kind == "checks":
        return _mix(np.abs(_waves(rng, w, h) - _waves(rng, w, h)), a, b)
    if kind == "clouds":
        coarse = Image.fromarray(rng.integers(0, 256, (7, 7), dtype=np.uint8))
        return _mix(np.asarray(coarse.resize((w, h), Image.Resampling.BICUBIC), np.float32) / 255, a, b)
    canvas = _gradient(rng, w, h, lightness)
    if kind != "gradient":
        _clutter(rng, canvas, lightness, round_ones=kind == "blobs")
    return canvas


def _waves(rng: Generator, w: int, h: int) -> Pixels:
    """Stripes between 0 and 1, steep but not hard at their edges."""
    phase = _ramp(rng, w, h) * np.float32(rng.uniform(15, 45))
    return np.asarray((np.sin(phase) * 4 + 0.5).clip(0, 1), np.float32)


def _clutter(rng: Generator, canvas: Image.Image, lightness: tuple[float, float], round_ones: bool) -> None:
    pen, side = ImageDraw.Draw(canvas), min(canvas.size)
    for _ in range(rng.integers(8, 20)):
        centre = rng.uniform(0, 1, 2) * canvas.size
        if round_ones:
            radii = rng.uniform(0.04, 0.16, 2) * side
            pen.ellipse([*(centre - radii), *(centre + radii)], fill=_fill(rng, lightness))
        else:
            corners = centre + rng.uniform(-0.25, 0.25, (rng.integers(3, 6), 2)) * side
            pen.polygon(_flat(corners), fill=_fill(rng, lightness))


class _Placement:
    """Where the unit circle lands on the canvas: one rotation, stretch, size and position."""

    def __init__(self, matrix: Points, centre: Points) -> None:
        self.matrix, self.centre = matrix, centre

    def __call__(self, points: Points) -> Points:
        return points @ self.matrix.T + self.centre


def _placement(rng: Generator, w: int, h: int) -> _Placement:
    radius, turn = rng.uniform(0.16, 0.34), rng.uniform(0, 2 * np.pi)
    rotation = np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
    stretch = np.diag([1.0, rng.uniform(0.75, 1.0)])
    # The central crop keeps 64 of 72 pixels, 0.44 of the short side each way: the shape may touch its edge.
    shift = rng.uniform(-1, 1, 2) * min(0.14, 0.45 - radius)
    side = min(w, h)
    return _Placement(side * radius * rotation @ stretch, np.array([w / 2, h / 2]) + side * shift)


def _mask(shape: str, place: _Placement, w: int, h: int) -> Image.Image:
    mask = Image.new("L", (w, h))
    pen = ImageDraw.Draw(mask)
    pen.polygon(_flat(place(OUTLINES[shape])), fill=255)
    if shape in HOLES:
        pen.polygon(_flat(place(HOLES[shape])), fill=0)
    return mask


def _occlude(rng: Generator, canvas: Image.Image, outline: Points, lightness: tuple[float, float]) -> None:
    """A bar or a patch over a part of the outline, sized by the shape so that most of it shows."""
    pen = ImageDraw.Draw(canvas)
    radius = np.linalg.norm(outline - outline.mean(axis=0), axis=1).max()
    at = outline[rng.integers(len(outline))]
    if rng.random() < 0.5:
        away = rng.normal(size=2)
        away *= sum(canvas.size) / np.linalg.norm(away)
        width = int(rng.uniform(0.15, 0.45) * radius)
        pen.line(_flat(np.array([at - away, at + away])), fill=_fill(rng, lightness), width=width)
    else:
        corners = at + rng.uniform(-0.55, 0.55, (4, 2)) * radius
        pen.polygon(_flat(corners), fill=_fill(rng, lightness))


def _camera(rng: Generator, image: Image.Image) -> Image.Image:
    """Blur, and grain whose size follows the image's."""
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.014) * min(image.size)))
    grains = [max(1, round(90 * length / min(image.size))) for length in image.size]
    coarse = 128 + rng.normal(size=grains[::-1]) * rng.uniform(0, 26)
    grain = Image.fromarray(coarse.clip(0, 255).astype(np.uint8)).resize(image.size, Image.Resampling.BILINEAR)
    noisy = np.asarray(image, np.int16) + np.asarray(grain, np.int16)[:, :, None] - 128
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def _flat(points: Points) -> Sequence[float]:
    return [float(value) for value in points.ravel()]
