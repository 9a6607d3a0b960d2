"""The difference of two proportions that were counted on the same subjects."""

from __future__ import annotations

import math

from assay.records import Estimate

_HALVINGS = 60


def difference(one: int, other: int, total: int, confidence: float = 0.95) -> Estimate:
    """By how much the first proportion is larger, from the pairs in which it alone, or the other alone, is a success.

    The interval holds every difference that a score test does not reject. (Tango, Equivalence test and confidence
    interval for the difference in proportions for the paired-sample design, Statistics in Medicine 17, 1998.)
    Raises `ValueError` for more pairs than the total.
    """
    from scipy import special

    if min(one, other) < 0 or one + other > total:
        raise ValueError(f"{one} and {other} pairs of {total} subjects; give 0 to {total} in all")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence:g}; give one between 0 and 1")
    if total == 0:
        return Estimate(value=math.nan, obstacle="0 samples are too few", wanted=1)
    value = (one - other) / total
    limit = float(special.ndtri((1 + confidence) / 2))
    low = _end(one, other, total, -limit, (-1.0, value))
    high = _end(one, other, total, limit, (value, 1.0))
    return Estimate(value=value, low=low, high=high)


def _end(one: int, other: int, total: int, limit: float, between: tuple[float, float]) -> float:
    """The difference whose score is the limit, by halving: the score falls as the assumed difference rises."""
    begin, end = between
    for _ in range(_HALVINGS):
        middle = (begin + end) / 2
        if _score(one, other, total, middle) > -limit:
            begin = middle
        else:
            end = middle
    return (begin + end) / 2


def _score(one: int, other: int, total: int, assumed: float) -> float:
    """How many standard errors the counts lie above an assumed difference; the error is of the likeliest counts."""
    linear = -one - other + (2 * total - one + other) * assumed
    constant = -other * assumed * (1 - assumed)
    alone = (math.sqrt(max(linear**2 - 8 * total * constant, 0.0)) - linear) / (4 * total)
    variance = total * (2 * alone + assumed * (1 - assumed))
    excess = one - other - total * assumed
    if variance <= 0:
        return math.copysign(math.inf, excess) if excess else 0.0
    return excess / math.sqrt(variance)
