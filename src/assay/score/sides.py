"""One comparable form for runs and reported figures: what they are of, and their points by batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from assay.records import Estimate, Reference, RunRecord, ThroughputKind
from assay.records.reported import ReportedReference, ReportedRun
from assay.score import points, statistics
from assay.score.points import Missing, Point, WeightsMd5

SUBJECT = "this run"
"""What messages call a run that is judged; reported figures have a name of their own."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison."""

    name: str
    """The name that a gate or a table calls it by."""
    said: str
    """What messages call it."""
    model: str | None
    """The architecture; None where it is unknown."""
    input_side: int | None
    points: Sequence[Point]
    printed: Mapping[str, float]
    record: RunRecord | ReportedRun

    @property
    def scenario(self) -> str | None:
        """LoadGen's scenario; None where the figures are of none."""
        return self.record.scenario if isinstance(self.record, ReportedRun) else None

    @property
    def run(self) -> RunRecord | None:
        """The run with its samples; None of reported figures, which have none."""
        return self.record if isinstance(self.record, RunRecord) else None

    @property
    def reported(self) -> ReportedRun | None:
        """The reported figures; None of a run."""
        return self.record if isinstance(self.record, ReportedRun) else None

    def at(self, batch: int | None) -> Side:
        """The same side with one batch size alone, or with all where none is given."""
        return self if batch is None else replace(self, points=[p for p in self.points if p.batch == batch])

    def best(self, kind: ThroughputKind, of_card: bool = True) -> tuple[Point, Estimate] | Missing:
        """The point of the highest throughput with that throughput, or why it cannot be known.

        The highest of several is likely one that came out too high: its interval is wide enough for all of them.
        """
        confidence = statistics.confidence_for_best_of(len(self.points))
        throughputs = [(point, point.throughput(kind, of_card, confidence)) for point in self.points]
        known = [(point, value) for point, value in throughputs if not isinstance(value, Missing)]
        missing = [value for _, value in throughputs if isinstance(value, Missing)]
        # A figure that a fact would bring might be the highest.
        if unknown := next((value for value in missing if not value.absent), None):
            return unknown
        if not known:
            return missing[0] if missing and self.has_speed else Missing(f"{self.said} has no speed", absent=True)
        return max(known, key=lambda pair: pair[1].value)

    @property
    def has_speed(self) -> bool:
        """Whether any throughput was measured or reported."""
        return self.reported is None or any(result.throughput or result.queries for result in self.reported.results)

    @property
    def has_accuracy(self) -> bool:
        """Whether an accuracy was reported; of a run, its images decide."""
        return self.reported is None or any(result.top for result in self.reported.results)


def of(record: RunRecord | ReportedRun, name: str, said: str, weights_md5: WeightsMd5) -> Side:
    """The side of a run or of reported figures."""
    if isinstance(record, ReportedRun):
        reported = [points.reported(record, result) for result in record.results]
        return Side(name, said, record.model, record.input_side, reported, record.printed, record)
    model = record.model
    architecture = model.checkpoint.architecture if model.checkpoint else model.name
    measured = [points.measured(record, result, weights_md5) for result in record.results]
    return Side(name, said, architecture, model.transform.crop, measured, {}, record)


def of_reference(reference: Reference, weights_md5: WeightsMd5) -> Side | None:
    """The side of a reference; None of one that is figures of accuracy alone."""
    record = reference.reported if isinstance(reference, ReportedReference) else reference.run
    return None if record is None else of(record, reference.name, reference.described, weights_md5)
