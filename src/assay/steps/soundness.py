"""Whether a model gives each image scores of its own: numbers, a row an image, whatever else is in the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from assay import units
from assay.backends.base import Scores
from assay.data.transform import normalise
from assay.errors import BackendError, ModelError
from assay.models import batch_mixing
from assay.records import OnnxModel
from assay.score import numbers
from assay.steps.check_images import CheckImages, Pixels
from assay.steps.reference import Rows, open_reference


def own_scores(model: OnnxModel, images: CheckImages, batch: int, bound: float) -> Scores:
    """The model's scores of the images, in ONNX Runtime and float32; it is to be compiled for batches of a size.

    Raises `ModelError` where it does not give a row an image, where its scores are no numbers, or where those of an
    image differ among other neighbours by more than `bound` of the largest score.
    """
    floats = _normalised(model, images.pixels)
    with open_reference(model) as score:
        if batch == 1 and model.fixed_batch is None:
            # A model that is compiled for one image need not take more.
            singly = [score(floats[at : at + 1]) for at in range(len(floats))]
            for one, name in zip(singly, images.names, strict=True):
                if one.shape != (1, model.classes):
                    require_scores(model, one, [name])
            rows = np.concatenate(singly)
        else:
            rows = score(floats)
        require_scores(model, rows, images.names)
        require_unmixed(model, score, images.pixels[0], rows[0], bound, batch > 1)
    return rows


def require_unmixed(
    model: OnnxModel,
    score: Callable[[Rows], Scores],
    image: npt.NDArray[np.uint8],
    alone: npt.NDArray[np.float32],
    bound: float,
    in_batches: bool = False,
) -> None:
    """Raises `ModelError` where an image's scores change in another row, beside its own negative.

    A model that takes one image at a time is not asked, and one that gives no two rows is refused only if it is wanted
    `in_batches`.
    """
    if model.fixed_batch == 1:
        return
    pair = np.stack([255 - image, image])
    try:
        beside = score(_normalised(model, pair))
    except BackendError:
        if in_batches:
            raise
        return
    if beside.shape != (2, model.classes):
        if in_batches:
            require_scores(model, beside, ["its negative", "the image"])
    else:
        difference = numbers.difference(alone, beside[1])
        largest = max(numbers.largest(alone), numbers.largest(beside[1]))
        if difference > bound * largest:
            _refuse_mixing(model, difference / largest)


def require_scores(model: OnnxModel, scores: Scores, names: Sequence[str]) -> None:
    """Raises `ModelError` where the scores are not a row for each of the images named, or are no numbers."""
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
