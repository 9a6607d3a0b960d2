"""What every trial of a search is held to, and what a sample of the images says of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assay import units
from assay.records import Estimate, InputKind, OnnxModel, Performance, Predictions, PreparedDataset
from assay.score import accuracy, figures
from assay.tuning.eight_bit_models import Quantizer
from assay.tuning.records import Candidate, Objective, TuningTrial

SAMPLE_IMAGES = 64
"""Enough to see an artifact that is broken; whether it is right is for the whole set to say."""

_DOUBT = 2.0
"""Standard errors by which a sample must be beyond the gate before the whole set is spared."""


@dataclass(frozen=True)
class Yardstick:
    """What every trial of a search is held to."""

    model: OnnxModel
    data: PreparedDataset
    reference: Predictions
    objective: Objective
    max_drop: float
    """Points that top-1 may fall, or without labels images of a hundred whose first class may change."""
    max_memory: int | None
    folder: Path
    quantizer: Quantizer
    input_kind: InputKind = "uint8"

    @property
    def top1(self) -> float:
        """The reference's, in percent, as a trial's is counted."""
        return accuracy.evaluate(self.reference, self.labels).top(1) if self.labels is not None else 100.0

    @property
    def labels(self) -> tuple[int, ...] | None:
        """The classes of the images."""
        return self.data.dataset.labels

    @property
    def sample(self) -> npt.NDArray[np.int64]:
        """The places of some images, evenly over the data."""
        count = len(self.data.dataset.names)
        return np.unique(np.linspace(0, count - 1, min(SAMPLE_IMAGES, count)).astype(np.int64))

    def judged(self, images: npt.NDArray[np.int64], scores: npt.NDArray[np.float32]) -> tuple[float, str | None]:
        """The share of a sample with the reference's first class; what is wrong where it cannot be within the gate."""
        first = scores.argmax(axis=1)
        of_reference = np.asarray(self.reference.scores.load()).argmax(axis=1)
        expected = of_reference[images]
        lost, won = first != expected, np.zeros(len(images), bool)
        if self.labels is not None:
            names = self.data.dataset.names
            fitted = accuracy.fit(names, self.labels, scores.shape[1], of_reference)
            labels = np.asarray(fitted.labels)[images]
            lost, won = (first != labels) & (expected == labels), (first == labels) & (expected != labels)
        net = float(lost.mean() - won.mean())
        doubt = _DOUBT * float(np.sqrt(lost.sum() + won.sum())) / len(images)
        agreement = float(np.mean(first == expected))
        if 100 * (net - doubt) > self.max_drop:
            return agreement, f"of {len(images)} images of the sample it loses {units.points(100 * net)}"
        return agreement, None


_PERCENT = 99


def speed_of(performance: Performance, objective: Objective) -> float:
    """Images a second, or for latency calls a second at the p99; the more the better."""
    if objective == "latency":
        return 1 / performance.latency(_PERCENT)
    return performance.interface_throughput if objective == "throughput" else performance.end_to_end_throughput


def ratio(mine: Performance, other: Performance, objective: Objective) -> Estimate:
    """How many times faster one is than another that was measured in turn with it."""
    if objective == "latency":
        # A short latency is fast.
        return figures.latency_ratio(other, mine, f"p{_PERCENT}")
    return figures.ratio(mine, other, "interface" if objective == "throughput" else "end-to-end")


def frontier(trials: Sequence[TuningTrial]) -> tuple[int, ...]:
    """The trials that were evaluated and that no other beats in both speed and top-1, the fastest first."""
    numbers: list[int] = []
    most = -1.0
    for _, top1, number in sorted(_points(trials), key=lambda point: (-point[0], -point[1])):
        if top1 > most:
            numbers.append(number)
            most = top1
    return tuple(numbers)


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
