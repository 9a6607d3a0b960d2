"""The figures of one batch size, in one form for what was measured and for what was reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from assay import units
from assay.records import BatchResult, Checkpoint, Estimate, Performance, RunRecord, Setting, ThroughputKind
from assay.records.reported import ReportedResult, ReportedRun
from assay.score import figures
from assay.score.statistics import CONFIDENCE

POINT_DECIDES = "figures without samples: the point decides"

WeightsMd5 = Callable[[Checkpoint], str | None]
"""The md5 of a checkpoint's file, where it is known: reported figures name their weights by it."""


def nobody_knows(checkpoint: Checkpoint) -> None:
    """Where no checkpoint's md5 is known."""


@dataclass(frozen=True)
class Missing:
    """Why there is no figure; `absent` where it was simply not measured, and no fact could bring it."""

    reason: str
    absent: bool


class Point(Protocol):
    """The figures of one batch size."""

    @property
    def batch(self) -> int | None:
        """The batch size; None where it is unknown."""

    @property
    def printed(self) -> Mapping[str, float]:
        """What the source itself printed of derived figures, by a gate's names for them."""

    @property
    def facts(self) -> Mapping[str, str | None]:
        """How it was measured, by name; None where that is unknown."""

    @property
    def performance(self) -> Performance | None:
        """The samples; None of reported figures, which have none."""

    def throughput(
        self, kind: ThroughputKind, of_card: bool = True, confidence: float = CONFIDENCE
    ) -> Estimate | Missing:
        """Images a second of the whole card, or of what was measured, which may be one die of several."""

    def latency(self, field: str) -> Estimate | Missing:
        """Seconds of one inference call, by a field of `ReportedLatency`."""

    def top(self, k: int) -> Estimate | None:
        """Top-k accuracy in percent; None where it is unknown."""


def measured(run: RunRecord, result: BatchResult, weights_md5: WeightsMd5) -> Point:
    """A batch size that was measured; nothing is derived before it is asked for."""
    return _RunPoint(run, result, weights_md5)


def reported(run: ReportedRun, result: ReportedResult) -> Point:
    """A batch size that was reported."""
    return _ReportedPoint(run, result)


@dataclass(frozen=True)
class _RunPoint:
    run: RunRecord
    result: BatchResult
    weights_md5: WeightsMd5

    @property
    def batch(self) -> int | None:
        return self.result.batch

    @property
    def printed(self) -> Mapping[str, float]:
        return {}

    @property
    def facts(self) -> Mapping[str, str | None]:
        options, performance = self.result.compiled.options, self.result.performance
        machine = self.run.environment
        return {
            "backend": options.backend,
            "tool": f"assay with {options.backend}",
            "device": performance.device,
            "processor": f"{machine.processor} of {machine.cores} cores",
            "settings": _settings({**options.settings, **performance.run_settings}),
            "precision": options.precision,
            "input": options.input_kind,
            "weights": _weights(self.run, self.weights_md5),
            "input size": str(self.run.model.transform.crop),
            "pixels from": performance.source,
            "pixels": _pixels(performance.source == "synthetic"),
            # A session's call blocks until its scores are on the host, and all of a device takes part in it.
            "transfers": _transfers(True),
            "dies a card": "1",
        }

    @property
    def performance(self) -> Performance | None:
        return self.result.performance

    def throughput(
        self, kind: ThroughputKind, of_card: bool = True, confidence: float = CONFIDENCE
    ) -> Estimate | Missing:
        if kind == "interface":
            return figures.interface_throughput(self.result.performance, confidence)
        if kind == "end-to-end":
            return figures.end_to_end_throughput(self.result.performance, confidence)
        return Missing(f"a run has no {kind} throughput, which is another kind of figure", absent=True)

    def latency(self, field: str) -> Estimate | Missing:
        return figures.latency(self.result.performance, field)

    def top(self, k: int) -> Estimate | None:
        accuracy = self.result.accuracy
        return figures.accuracy(accuracy, k) if accuracy is not None and len(accuracy.correct_at) >= k else None


@dataclass(frozen=True)
class _ReportedPoint:
    of: ReportedRun
    result: ReportedResult

    @property
    def batch(self) -> int | None:
        return self.result.batch

    @property
    def printed(self) -> Mapping[str, float]:
        return self.result.printed

    @property
    def facts(self) -> Mapping[str, str | None]:
        of = self.of
        return {
            "tool": of.tool,
            "device": of.device,
            "precision": of.precision,
            "weights": _md5(of.weights_md5),
            "input size": None if of.input_side is None else str(of.input_side),
            "pixels": None if of.pixels is None else _pixels(of.pixels == "synthetic"),
            "transfers": None if of.transfers is None else _transfers(of.transfers),
            "dies a card": None if of.dies is None else str(of.dies),
        }

    @property
    def performance(self) -> Performance | None:
        return None

    def throughput(
        self, kind: ThroughputKind, of_card: bool = True, confidence: float = CONFIDENCE
    ) -> Estimate | Missing:
        result, name = self.result, self.of.name
        rate = result.throughput.get(kind)
        if rate is None and kind == "interface" and result.queries is not None:
            if result.batch is None:
                return unknown_batch(name)
            rate = result.queries * result.batch
        if rate is None:
            others = " and ".join(result.throughput)
            instead = f": its {others} throughput is another kind of figure" if others else ""
            return Missing(f"{name} has no {kind} throughput{instead}", absent=True)
        dies = self.of.dies if of_card else 1
        if dies is None:
            return Missing(f"the dies a card of {name} are unknown; import it again with dies=…", absent=False)
        if dies > 1 and kind != "interface":
            # The dies of a card share the host that feeds them.
            reason = f"the {kind} throughput of {name} is of one die of {dies}; what the card reaches is unknown"
            return Missing(reason, absent=False)
        return Estimate(value=rate * dies, obstacle=POINT_DECIDES)

    def latency(self, field: str) -> Estimate | Missing:
        seconds = getattr(self.result.latency, field) if self.result.latency else None
        if seconds is None:
            return Missing(f"{self.of.name} has no {field} latency", absent=True)
        return Estimate(value=float(seconds), obstacle=POINT_DECIDES)

    def top(self, k: int) -> Estimate | None:
        share = self.result.top.get(k)
        return None if share is None else Estimate(value=share, obstacle=POINT_DECIDES)


def unknown_batch(name: str) -> Missing:
    """What is said of a figure that needs its batch size."""
    return Missing(f"the batch size of {name} is unknown; import it again with batch=…", absent=False)


def _weights(run: RunRecord, weights_md5: WeightsMd5) -> str | None:
    checkpoint = run.model.checkpoint
    if checkpoint is None:
        return None
    if checkpoint.file is None:
        return "random"
    return _md5(weights_md5(checkpoint)) or f"sha256 {units.short_hash(checkpoint.file.sha256)}"


def _settings(settings: Mapping[str, Setting]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(settings.items()))


def _md5(md5: str | None) -> str | None:
    return None if md5 is None else f"md5 {units.short_hash(md5)}"


def _pixels(synthetic: bool) -> str:
    return "synthetic" if synthetic else "of a data set"


def _transfers(counted: bool) -> str:
    return "counted" if counted else "not counted"
