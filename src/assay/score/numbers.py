"""Scores that may hold infinities: minus infinity masks a class, and every other one is a fault."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from assay import units

Scores = npt.NDArray[np.float32]


def difference(one: Scores, other: Scores) -> float:
    """The largest difference of two scores; equal infinities are equal, and NaN is infinitely far."""
    with np.errstate(invalid="ignore"):
        apart = np.where(one == other, 0.0, np.abs(one.astype(np.float64) - other))
    largest = float(apart.max(initial=0.0))
    return largest if np.isfinite(largest) else float("inf")


def largest(scores: Scores) -> float:
    """The largest absolute score that is finite."""
    return float(np.abs(scores, where=np.isfinite(scores), out=np.zeros_like(scores)).max(initial=0.0))


def fault(scores: Scores, names: Sequence[str] = ()) -> str | None:
    """Which of the scores [images, classes] are not finite numbers, for a message; None if all are.

    Minus infinity is one where the same classes have it on every image: they are masked.
    """
    for what, wrong in (
        ("NaN", np.isnan(scores)),
        ("infinity", np.isposinf(scores)),
        ("minus infinity on some images alone", _unmasked(scores)),
    ):
        if wrong.any():
            image = int(wrong.any(axis=1).argmax())
            classes = np.flatnonzero(wrong[image])
            listed = units.names(tuple(str(number) for number in classes))
            where = f" (image {names[image]})" if len(names) else ""
            return f"{what} for {'class' if len(classes) == 1 else 'classes'} {listed}{where}"
    return None


def _unmasked(scores: Scores) -> npt.NDArray[np.bool_]:
    """Where minus infinity stands for a class that has a score on another image, or that no class is left beside."""
    lowest = np.isneginf(scores)
    masked: npt.NDArray[np.bool_] = lowest & ~(lowest.all(axis=0) & ~lowest.all())
    return masked
