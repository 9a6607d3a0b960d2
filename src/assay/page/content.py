"""What a page is made of: records, and what was derived of them beforehand, since rendering computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from assay.records import Accuracy, DeviceUser, Estimate, Figures, RunRecord, SpeedTable, Verdict
from assay.tuning.page_section import SearchReport


@dataclass(frozen=True)
class Histogram:
    """How many inference calls of one batch size took how long."""

    batch: int
    edges: tuple[float, ...]
    """Of the bins, in seconds; one more than `counts`."""
    counts: tuple[int, ...]
    beyond: int
    """Calls that were longer than the last edge."""
    longest: float
    """Seconds."""

    @property
    def calls(self) -> int:
        """All calls, those beyond the last edge included."""
        return sum(self.counts) + self.beyond


@dataclass(frozen=True)
class AccuracyLine:
    """Accuracies from top-1 on, of what was measured or of what it is held against."""

    name: str
    top: Mapping[int, Estimate]
    """In percent, by k."""
    accuracy: Accuracy | None = None
    """The counts behind it; None of figures that were given."""
    is_reference: bool = False


@dataclass(frozen=True)
class Picture:
    """An image with what is said of it."""

    name: str
    source: str | None
    """A data URI; None where the image is no longer to be had."""
    facts: tuple[tuple[str, str], ...]
    """What a scorer is called, and the class that it names."""


@dataclass(frozen=True)
class Gallery:
    """A few images that have something in common."""

    title: str
    explained: str
    total: int
    """How many there are, shown or not."""
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class RunReport:
    """One run."""

    record: RunRecord
    figures: tuple[Figures, ...]
    verdict: Verdict | None
    """None where the run was not judged."""
    shares: tuple[Estimate, ...]
    """Of each result, end-to-end throughput over interface throughput."""
    histograms: tuple[Histogram, ...] = ()
    accuracies: tuple[AccuracyLine, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    """What each does, and the command line."""
    users: tuple[DeviceUser, ...] = ()
    """Processes that were seen to use the devices beside the run."""
    notes: tuple[str, ...] = ()
    """What the page leaves out, and why."""
    search: SearchReport | None = None
    """None where nothing was searched."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before trusting the figures, and the verdict where there is one."""
        return tuple(dict.fromkeys((*self.record.warnings, *(self.verdict.warnings if self.verdict else ()))))

    @property
    def names(self) -> tuple[str, ...]:
        """The batch size of each result, with its role where a search gave it one."""
        roles = self.search.roles if self.search is not None else ("",) * len(self.figures)
        return tuple(
            f"{figures.batch}, {role}" if role else str(figures.batch)
            for figures, role in zip(self.figures, roles, strict=True)
        )


@dataclass(frozen=True)
class ComparedRecord:
    """What a page of several records says of each."""

    name: str
    facts: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ComparisonReport:
    """Several records beside each other."""

    table: SpeedTable | None
    records: tuple[ComparedRecord, ...]
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    """By the record's name, of those that were judged."""
    in_turn: tuple[tuple[str, ...], ...] = ()
    """The names of those that were measured in turn with each other."""
