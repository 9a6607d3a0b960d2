"""What every trial of a search is held to, and what a sample of the images says of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assay import units
from assay.records import InputKind, Objective, OnnxModel, Predictions, PreparedDataset
from assay.score import accuracy
from assay.workflow.tuning.quantized import Quantizer

SAMPLE_IMAGES = 64
"""Enough to see an artifact that is broken; whether it is right is for the whole set to say."""
_DOUBT = 2.0
"""Standard errors by which a sample must be beyond the gate before the whole set is spared."""


@dataclass(frozen=True)
class Bench:
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
        expected = np.asarray(self.reference.scores.load()[images]).argmax(axis=1)
        lost, won = first != expected, np.zeros(len(images), bool)
        if self.labels is not None:
            names = self.data.dataset.names
            labels = np.asarray(accuracy.fit(names, self.labels, scores.shape[1])[0])[images]
            lost, won = (first != labels) & (expected == labels), (first == labels) & (expected != labels)
        net = float(lost.mean() - won.mean())
        doubt = _DOUBT * float(np.sqrt(lost.sum() + won.sum())) / len(images)
        agreement = float(np.mean(first == expected))
        if 100 * (net - doubt) > self.max_drop:
            return agreement, f"of {len(images)} images of the sample it loses {units.points(100 * net)}"
        return agreement, None
