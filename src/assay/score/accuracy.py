"""Top-1 to Top-5 from scores; of equal scores the lower class number stands first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from assay import units
from assay.errors import DatasetError
from assay.records import TOP_K, Accuracy, Predictions, ScoredImage
from assay.score import numbers

_CHUNK = 2048

WITH_BACKGROUND = 1001
SHIFTED = "the model has 1001 classes, the first of them the background: 1 is added to every label, as the guide does"
"""Said wherever labels were shifted."""

Scores = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]


def best(scores: Scores, k: int = TOP_K, names: Sequence[str] = ()) -> tuple[Classes, Scores]:
    """The k best classes of every row and their scores, best first; fewer where there are fewer classes.

    `scores` is [images, classes], of images of these names; both results are [images, k]. k passes of argmax, which
    takes the first of equals, are faster than a partial sort and need no tie-breaking. A class that was taken is marked
    with -inf; rows that hold -inf themselves, as a mask, are sorted instead. Raises `DatasetError` where a row cannot
    be ranked: it holds NaN or infinity, or -inf alone.
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
    # NaN and infinity come first in their rows.
    broken = np.flatnonzero(~np.isfinite(values[:, 0]))
    if len(broken):
        named = [names[int(row)] for row in broken] if len(names) else ()
        _refuse(named, numbers.fault(scores[broken[:1]]), len(broken))
    return order, values


def require_numbers(predictions: Predictions) -> None:
    """Raises `DatasetError` with the images whose scores hold NaN or infinity, labels or none."""
    scores = predictions.scores.load()
    broken: list[str] = []
    first: str | None = None
    for start in range(0, len(scores), _CHUNK):
        chunk = np.asarray(scores[start : start + _CHUNK])
        # The largest of a row is NaN if one is, and none but infinity is as large as that.
        rows = np.flatnonzero(~np.isfinite(chunk.max(axis=1)))
        broken += [predictions.names[start + int(row)] for row in rows]
        first = first or (numbers.fault(chunk[rows[:1]]) if len(rows) else None)
    if broken:
        _refuse(broken, first)


def _refuse(names: Sequence[str], fault: str | None, count: int | None = None) -> NoReturn:
    images = units.counted(count or len(names), "image")
    raise DatasetError(
        f"the scores of {images} are not numbers: the model gives {fault or 'no score'}; it is broken", names
    )


def ranked(predictions: Predictions, labels: Sequence[int]) -> Iterator[ScoredImage]:
    """Every image with its class as the model counts it and its best classes, in the order of the predictions."""
    scores = np.asarray(predictions.scores.load())
    order, values = best(scores, names=predictions.names)
    labels = fit(predictions.names, labels, scores.shape[1], order[:, 0]).labels
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
    fit(names, labels, classes)
    order, _ = best(scores, names=names)
    first = order[:, 0]
    fitted = fit(names, labels, classes, first)
    wanted = np.asarray(fitted.labels, dtype=np.int64)
    hits = order == wanted[:, np.newaxis]
    met = np.bincount(first, minlength=classes) * np.bincount(wanted, minlength=classes)
    return Accuracy(
        count=len(labels),
        classes=classes,
        correct_at=tuple(int(n) for n in hits.sum(axis=0).cumsum()),
        label_shift=fitted.shift,
        shift_by_score=fitted.by_score,
        correct_beside=(int((first == wanted - 1).sum()), int((first == wanted + 1).sum())),
        correct_by_chance=float(met.sum() / len(labels)),
    )


class Fitted(NamedTuple):
    """Labels as a model counts its classes."""

    labels: Sequence[int]
    shift: int
    """What was added to each."""
    by_score: bool
    """Whether the labels leave open if they count the background, so that the better score decided."""


def fit(names: Sequence[str], labels: Sequence[int], classes: int, first: Classes | None = None) -> Fitted:
    """The labels as a model of so many classes counts them.

    1001 classes are ImageNet's 1000 behind a class for the background, so labels that know none are shifted by one.
    Labels that name neither the first nor the last of the 1001 may be of either kind: with each image's `first` class
    given, the kind that scores better is taken. Raises `DatasetError` with the images whose label is outside the
    model's classes.
    """
    outside = [f"{name}: class {label}" for name, label in zip(names, labels, strict=True) if not 0 <= label < classes]
    if outside:
        counted = "; the labels seem to count from 1" if min(labels) == 1 and max(labels) == classes else ""
        raise DatasetError(
            f"{len(outside)} of {len(labels)} labels are outside the model's classes 0 to {classes - 1}{counted}; "
            "give the labels that belong to this model",
            outside,
        )
    if classes != WITH_BACKGROUND or max(labels, default=0) == classes - 1:
        return Fitted(labels, 0, False)
    shifted = [label + 1 for label in labels]
    if min(labels, default=0) == 0 or first is None:
        return Fitted(shifted, 1, False)
    as_given, with_background = (int((first == np.asarray(one)).sum()) for one in (labels, shifted))
    return Fitted(labels, 0, True) if as_given > with_background else Fitted(shifted, 1, True)
