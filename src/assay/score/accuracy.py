"""Top-1 to Top-5 from scores; of equal scores the lower class number stands first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from assay.errors import DatasetError
from assay.records import TOP_K, Accuracy, Predictions, ScoredImage

_CHUNK = 2048

WITH_BACKGROUND = 1001
SHIFTED = "the model has 1001 classes, the first of them the background: 1 is added to every label, as the guide does"
"""Said wherever labels were shifted."""

Scores = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]


def best(scores: Scores, k: int = TOP_K) -> tuple[Classes, Scores]:
    """The k best classes of every row and their scores, best first; fewer where there are fewer classes.

    `scores` is [images, classes]; both results are [images, k]. k passes of argmax, which takes the first of
    equals, are faster than a partial sort and need no tie-breaking. NaN comes first, so that it can be seen.
    A class that was taken is marked with -inf; rows that hold -inf themselves are sorted instead.
    """
    images, classes = scores.shape
    k = min(k, classes)
    order = np.empty((images, k), dtype=np.int64)
    values = np.empty((images, k), dtype=np.float32)
    for start in range(0, images, _CHUNK):
        chunk = np.array(scores[start : start + _CHUNK], dtype=np.float32)
        rows = np.arange(len(chunk))
        for rank in range(k):
            column = chunk.argmax(axis=1)
            order[start : start + _CHUNK, rank] = column
            values[start : start + _CHUNK, rank] = chunk[rows, column]
            chunk[rows, column] = -np.inf
        unclear = start + np.flatnonzero(np.isneginf(values[start : start + _CHUNK]).any(axis=1))
        if len(unclear):
            order[unclear] = np.argsort(-scores[unclear], axis=1, kind="stable")[:, :k]
    return order, values


def ranked(predictions: Predictions, labels: Sequence[int]) -> Iterator[ScoredImage]:
    """Every image with its class as the model counts it and its best classes, in the order of the predictions."""
    scores = np.asarray(predictions.scores.load())
    labels, _ = fit(predictions.names, labels, scores.shape[1])
    order, values = best(scores)
    for name, label, classes, scores in zip(predictions.names, labels, order.tolist(), values.tolist(), strict=True):
        yield ScoredImage(name=name, label=label, classes=tuple(classes), scores=tuple(scores))


def evaluate(predictions: Predictions, labels: Sequence[int]) -> Accuracy:
    """Counts how many images have their class among the k best scores, k from 1 up to 5.

    `labels` are in the order of the predictions' names. Raises `DatasetError` with the images whose class the
    model does not have, or whose scores are not numbers.
    """
    return count(predictions.names, np.asarray(predictions.scores.load()), labels)


def count(names: Sequence[str], scores: Scores, labels: Sequence[int]) -> Accuracy:
    """As `evaluate`, from the scores themselves, [images, classes] in the order of the names and labels."""
    classes = scores.shape[1]
    labels, shift = fit(names, labels, classes)
    order, values = best(scores)
    broken = [name for name, row in zip(names, values, strict=True) if np.isnan(row).any()]
    if broken:
        raise DatasetError(f"the scores of {len(broken)} images are not numbers (NaN); the model is broken", broken)
    hits = order == np.asarray(labels, dtype=np.int64)[:, np.newaxis]
    correct_at = tuple(int(n) for n in hits.sum(axis=0).cumsum())
    return Accuracy(count=len(labels), classes=classes, correct_at=correct_at, label_shift=shift)


def fit(names: Sequence[str], labels: Sequence[int], classes: int) -> tuple[Sequence[int], int]:
    """The labels as a model of so many classes counts them, and what was added to each.

    1001 classes are ImageNet's 1000 behind a class for the background, so labels that know none are shifted by one.
    Raises `DatasetError` with the images whose label is outside the model's classes.
    """
    shift = int(classes == WITH_BACKGROUND and max(labels, default=0) < classes - 1)
    outside = [f"{name}: class {label}" for name, label in zip(names, labels, strict=True) if not 0 <= label < classes]
    if outside:
        raise DatasetError(
            f"{len(outside)} of {len(labels)} labels are outside the model's classes 0 to {classes - 1}; "
            "give the labels that belong to this model",
            outside,
        )
    return [label + shift for label in labels], shift
