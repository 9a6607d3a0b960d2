"""Whether a model gives each image scores of its own: numbers, a row an image, whatever else is in the batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assay import units
from assay.backends.base import Scores
from assay.data.transform import normalise
from assay.errors import BackendError, ModelError
from assay.models import batch_mixing
from assay.records import OnnxModel
from assay.score import numbers
from assay.steps.check_images import CheckImages, Pixels
from assay.steps.reference import Rows, open_reference

LEAST_ROWS, MOST_ROWS = 16, 64
"""Of the batch in which a model is asked whether it mixes its images: as large as it is compiled for, within these."""


def own_scores(model: OnnxModel, images: CheckImages, batch: int, bound: float) -> Scores:
    """The model's scores of the images, in ONNX Runtime and float32; it is to be compiled for batches of a size.

    Raises `ModelError` where it does not give a row an image, if its scores are not numbers, or if those of an
    image differ among other neighbours by more than `bound` of the largest score.
    """
    floats = _normalised(model, images.pixels)
    with open_reference(model) as score:
        if model.fixed_batch is None:
            alone = [score(floats[at : at + 1]) for at in range(len(floats))]
            for one, name in zip(alone, images.names, strict=True):
                if one.shape != (1, model.classes):
                    require_scores(model, one, [name])
            rows = np.concatenate(alone)
        else:
            rows = score(floats)
        require_scores(model, rows, images.names)
        crowd = Crowd(images.pixels, max(LEAST_ROWS, min(batch, MOST_ROWS)))
        require_unmixed(model, score, crowd, rows, bound, in_batches=batch > 1)
    return rows


@dataclass(frozen=True)
class Crowd:
    """A batch with each image in two rows or more, between neighbours as unlike it as can be."""

    images: Pixels
    rows: int

    @property
    def places(self) -> Mapping[int, int]:
        """The rows that hold an image, with its number: odd rows at first, then even ones in the opposite order."""
        count, half = len(self.images), self.rows // 2
        first = {row: row // 2 % count for row in range(1, half, 2)}
        return first | {row: -(row // 2) % count for row in range(half + half % 2, self.rows, 2)}

    @property
    def pixels(self) -> Pixels:
        """Black, white, noise and negatives, but for those rows: uint8 N×H×W×3."""
        noise = np.random.default_rng(0).integers(0, 256, self.images.shape[1:], dtype=np.uint8)
        others = [np.zeros_like(noise), np.full_like(noise, 255), noise, 255 - self.images[0]]
        places = self.places
        return np.stack(
            [self.images[places[row]] if row in places else others[row // 2 % len(others)] for row in range(self.rows)]
        )


def require_unmixed(
    model: OnnxModel,
    score: Callable[[Rows], Scores],
    crowd: Crowd,
    alone: Scores,
    bound: float,
    in_batches: bool = False,
) -> None:
    """Raises `ModelError` where an image's scores change in another row or among other neighbours.

    `alone` has the scores of each of the crowd's images by itself. A model that takes one image at a time is not asked,
    and one that gives no row for each is refused only if it is wanted `in_batches`.
    """
    if model.fixed_batch == 1:
        return
    try:
        scores = score(_normalised(model, crowd.pixels))
    except BackendError:
        if in_batches:
            raise
        return
    rows, images = list(crowd.places), list(crowd.places.values())
    if scores.shape != (crowd.rows, model.classes):
        if in_batches:
            require_scores(model, scores, [f"row {row}" for row in range(crowd.rows)])
        return
    beside, own = scores[rows], alone[images]
    require_scores(model, beside, [f"in row {row} of a batch of {crowd.rows}" for row in rows])
    difference = numbers.difference(own, beside)
    largest = max(numbers.largest(own), numbers.largest(beside))
    if difference > bound * largest:
        _refuse_mixing(model, difference / largest)


def require_scores(model: OnnxModel, scores: Scores, names: Sequence[str]) -> None:
    """Raises `ModelError` unless the scores are a row of numbers for each of the images named."""
    if scores.shape != (len(names), model.classes):
        gave = units.counted(len(scores), "row") if scores.ndim == 2 else f"scores of the shape {scores.shape}"
        images = units.counted(len(names), "image")
        raise ModelError(
            f"{model.name}: the model gave {gave} for {images}; export it with a free batch size or use batch 1"
        )
    fault = numbers.fault(scores, names)
    if fault is not None:
        raise ModelError(
            f"{model.name}: the model gives {fault}; the fault is in its weights or its operators: export it anew from "
            "weights that are sound"
        )


def _refuse_mixing(model: OnnxModel, difference: float) -> None:
    operator = batch_mixing.likely_operator(model.file.path)
    why = f": {operator}" if operator else ""
    raise ModelError(
        f"{model.name}: the model mixes the images of a batch{why}; the scores of an image change with its neighbours, "
        f"by {difference:.1e} of the largest score: export the network in evaluation mode, after eval()"
    )


def _normalised(model: OnnxModel, images: Pixels) -> Rows:
    transform = model.transform
    out = np.empty((len(images), 3, transform.crop, transform.crop), np.float32)
    return normalise(images, transform, out)
