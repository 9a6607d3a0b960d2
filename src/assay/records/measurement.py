"""Records of what a run came to: figures, accuracies beside a reference, results and the whole run."""

from __future__ import annotations

from collections.abc import Mapping

from assay.errors import RecordError
from assay.records.base import Count, Record, require
from assay.records.data import Accuracy, Dataset, Predictions
from assay.records.machine import Environment
from assay.records.model import CompiledModel, OnnxModel
from assay.records.performance import Performance, Profile


class Estimate(Record, frozen=True, kw_only=True):
    """A figure, and the interval that holds the true one in 95 of 100 such measurements."""

    value: float
    low: float | None = None
    high: float | None = None
    obstacle: str | None = None
    """Why there is no interval."""
    wanted: int | None = None
    """How many samples (calls, images) would give one; None where no number of them would."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval's ends; None where there is none."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def spread(self) -> float | None:
        """Half the width of the interval, as a share of the figure; None where there is none."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2 / self.value


class PairedAccuracy(Record, frozen=True, kw_only=True):
    """The first classes of the same images by two ways to score them, image by image."""

    reference: str
    images: Count
    agreement: float
    """The share of images with the same first class, 0 to 1."""
    largest_score_change: float
    """Of one score, in the scores' own unit."""
    largest_score: float
    """The largest absolute score of the reference, to hold the change against."""
    right_to_wrong: tuple[str, ...] | None = None
    """The images that the reference alone has right; None where there are no labels."""
    wrong_to_right: tuple[str, ...] | None = None
    """The images that the reference alone has wrong."""
    p_value: float | None = None
    """The mid-p value of McNemar's test: how likely flips so unequal are if both ways are equally right.

    In records of older versions that of the exact test.
    """
    exact_p_value: float | None = None
    """Of McNemar's exact test."""
    drop_low: float | None = None
    drop_high: float | None = None
    """The ends of the interval of the drop in top-1 accuracy, in points, for images of the same kind."""

    @property
    def drop(self) -> float | None:
        """By how many points the reference is more accurate, top-1; None where there are no labels."""
        if self.right_to_wrong is None or self.wrong_to_right is None:
            return None
        return 100 * (len(self.right_to_wrong) - len(self.wrong_to_right)) / self.images

    @property
    def relative_score_change(self) -> float:
        """The largest change of one score, of the largest score; none where all scores are."""
        return self.largest_score_change / self.largest_score if self.largest_score else 0.0


class BatchResult(Record, frozen=True, kw_only=True):
    """One artifact's measurement and, where images have labels, its accuracy."""

    compiled: CompiledModel
    performance: Performance
    predictions: Predictions | None
    accuracy: Accuracy | None
    paired: PairedAccuracy | None = None
    """Beside the ONNX model in float32, on the same images."""
    profile: Profile | None = None

    @property
    def batch(self) -> int:
        """The batch size."""
        return self.performance.batch

    def latency(self, percent: float) -> float:
        """A percentile of one inference call's time, in seconds."""
        return self.performance.latency(percent)

    def top(self, k: int) -> float | None:
        """Top-k accuracy in percent; None where the images have no labels, or the model fewer classes."""
        counted = self.accuracy
        return counted.top(k) if counted is not None and len(counted.correct_at) >= k else None


class Figures(Record, frozen=True, kw_only=True):
    """Figures derived of a result, for those who read records without this package."""

    batch: int
    end_to_end_throughput: Estimate
    """Images a second."""
    interface_throughput: Estimate
    """Images a second."""
    latency: Mapping[str, Estimate]
    """Seconds of one inference call: `min`, `mean`, `max`, and of `p50`, `p90`, `p95`, `p99` those that the sample is
    large enough for."""
    bottleneck: str
    bottleneck_busy_share: float
    infer_busy_share: Estimate | None = None
    """The share of the session's slots, 0 to 1, that had a call in flight over the whole run; None in older records."""
    calls_in_flight: float | None = None
    """How many inference calls were in flight at once, on average over the whole run."""
    top: tuple[Estimate, ...]
    """Top-1 to Top-5 in percent; empty where the images have no labels."""


class RunRecord(Record, frozen=True, kw_only=True):
    """Everything that one run found."""

    model: OnnxModel
    dataset: Dataset | None
    results: tuple[BatchResult, ...]
    environment: Environment
    warnings: tuple[str, ...]
    reference: Predictions | None = None
    """Of the ONNX model in float32, on the same images."""
    command: str | None = None
    """The command line that made it."""

    def __post_init__(self) -> None:
        require(bool(self.results), "results")

    @property
    def is_of_speed_alone(self) -> bool:
        """Whether nothing was scored, as on made-up pixels."""
        return all(result.predictions is None and result.accuracy is None for result in self.results)

    def at(self, batch: int) -> BatchResult:
        """The first result of a batch size; raises `RecordError` where it was not measured."""
        for result in self.results:
            if result.batch == batch:
                return result
        measured = ", ".join(str(result.batch) for result in self.results)
        raise RecordError(f"batch {batch} was not measured; measured: {measured}")

    def latency(self, percent: float) -> float:
        """A percentile of one inference call's time at the smallest batch size, in seconds."""
        return min(self.results, key=lambda result: result.batch).latency(percent)

    def top(self, k: int) -> float | None:
        """The lowest top-k accuracy of all batch sizes, in percent; None where the images have no labels."""
        return min((share for result in self.results if (share := result.top(k)) is not None), default=None)
