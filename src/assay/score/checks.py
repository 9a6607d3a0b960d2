"""What a gate found, as a record; the one place where a bound is held against a figure."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping

from assay.records import Check, Estimate, Gate, VerdictWord

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


def judged(
    gate: Gate,
    estimate: Estimate,
    reason: str,
    detail: str = "",
    *,
    point_decides: bool = False,
) -> Check:
    """A figure that passes or fails with its whole interval, and is inconclusive where that holds the bound.

    `point_decides` is for figures that are counts of these very images, or that have no samples.
    """
    low, high = estimate.interval or (None, None)
    if point_decides:
        words = {_holds(gate, estimate.value)}
    elif estimate.interval is None:
        words = {True, False}
    else:
        words = {_holds(gate, end) for end in estimate.interval}
    verdict: VerdictWord = "INCONCLUSIVE" if len(words) > 1 else "PASS" if words == {True} else "FAIL"
    return Check(
        gate=gate,
        verdict=verdict,
        measured=estimate.value,
        low=low,
        high=high,
        reference=None,
        reason=reason,
        detail=detail,
        differences=(),
    )


def not_comparable(gate: Gate, reason: str, *, reference: float | None = None) -> Check:
    """A gate that cannot be judged, and why."""
    return Check(
        gate=gate,
        verdict="NOT COMPARABLE",
        measured=None,
        low=None,
        high=None,
        reference=reference,
        reason=reason,
        detail="",
        differences=(),
    )


def batches(sizes: Iterable[int | None]) -> str:
    """The batch sizes that a figure is of, `batch 1, 16`."""
    return "batch " + ", ".join("unknown" if size is None else str(size) for size in sizes)


def _holds(gate: Gate, value: float) -> bool:
    # Rounded far below one image of a million, so that 48.0 - 47.0 is not above 1.0 by the last bit.
    return _OPERATORS[gate.operator](round(value - gate.bound, 9), 0.0)
