"""The frontier of speed and accuracy: which trials no other beats in both, and which candidate may join them."""

from __future__ import annotations

from collections.abc import Sequence

from assay.records import Candidate, TuningTrial


def of(trials: Sequence[TuningTrial]) -> tuple[int, ...]:
    """The trials that were evaluated and that no other beats in both speed and top-1, the fastest first."""
    found: list[int] = []
    most = -1.0
    for _, top1, number in sorted(_points(trials), key=lambda point: (-point[0], -point[1])):
        if top1 > most:
            found.append(number)
            most = top1
    return tuple(found)


def may_join(candidate: Candidate, speed: float, trials: Sequence[TuningTrial], reference: float) -> bool:
    """Whether a candidate of this speed would be on the frontier, if its top-1 were what is to be expected.

    That is the top-1 of another artifact that computes in the same numbers, and until one was evaluated the
    reference's, in percent.
    """
    alike = {one.number for one in trials if _numbers(one.candidate) == _numbers(candidate)}
    points = _points(trials)
    expected = max((top1 for _, top1, number in points if number in alike), default=reference)
    return expected > max((top1 for other, top1, _ in points if other >= speed), default=-1.0)


def _points(trials: Sequence[TuningTrial]) -> list[tuple[float, float, int]]:
    """Speed, top-1 and number of the trials that were evaluated."""
    return [(one.standing, one.top1, one.number) for one in trials if one.standing is not None and one.top1 is not None]


def _numbers(candidate: Candidate) -> tuple[object, ...]:
    """What a candidate's scores hang on, but for rounding."""
    return (
        candidate.backend,
        candidate.device,
        candidate.precision,
        candidate.calibrator,
        candidate.per_channel,
        candidate.float_layers,
    )
