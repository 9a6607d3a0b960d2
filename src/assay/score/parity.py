"""How far apart two ways of scoring the same images are: a pure function over two callables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from assay import units
from assay.errors import ParityError
from assay.records import Parity
from assay.score import numbers

Scores = npt.NDArray[np.float32]
Score = Callable[[Any], Scores]


def compare(
    reference: Score,
    checked: Score,
    batches: Sequence[tuple[Any, Any]],
    *,
    name: str,
    bound: float,
    top1_bound: float = 1.0,
) -> Parity:
    """Scores each pair of batches, one for either side, and compares.

    The difference is the largest one of two scores over the largest absolute score of the reference, both over
    all batches; equal infinities are equal. `name` says what the reference is. Raises `ParityError` where the
    reference gives NaN or infinity, or one and the same score everywhere: any artifact that does so too would agree.
    """
    expected: list[Scores] = [reference(given) for given, _ in batches]
    all_scores: list[Scores] = [checked(given) for _, given in batches]
    if [scores.shape for scores in expected] != [scores.shape for scores in all_scores]:
        shapes = [tuple(scores.shape) for scores in (*expected, *all_scores)]
        raise ParityError(f"{name} and the artifact give scores of different shapes: {shapes}")
    rows, others = np.concatenate(expected), np.concatenate(all_scores)
    if (fault := numbers.fault(rows, [f"{number}" for number in range(1, len(rows) + 1)])) is not None:
        raise ParityError(f"{name} itself gives {fault}; the fault is in the weights: give others")
    finite = rows[np.isfinite(rows)]
    if not len(finite) or finite.min() == finite.max():
        raise ParityError(
            f"{name} gives every class of every image the same score, so no comparison can fail: the weights look "
            "untrained; give others"
        )
    return Parity(
        reference=name,
        batches=tuple(len(scores) for scores in expected),
        images=len(rows),
        largest_difference=numbers.difference(rows, others) / numbers.largest(rows),
        top1_agreement=float(np.mean(rows.argmax(axis=1) == others.argmax(axis=1))),
        bound=bound,
        top1_bound=top1_bound,
    )


def require(parity: Parity, step: str) -> Parity:
    """The parity itself, or a `ParityError` that says by how much it is missed."""
    if parity.holds:
        return parity
    raise ParityError(
        f"{step} changed the scores: largest difference {units.difference(parity.largest_difference)} of the "
        f"largest score against {parity.reference}, allowed {units.difference(parity.bound)}; same first class "
        f"in {units.share(parity.top1_agreement)} of {parity.images} images"
        + (f", allowed {units.share(parity.top1_bound)}" if parity.top1_bound < 1 else "")
    )
