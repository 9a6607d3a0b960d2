"""Records of what was asked of a result and what the answer is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from assay.records.base import Record, ThroughputKind, VerdictWord
from assay.records.measurement import Figures, PairedAccuracy, RunRecord
from assay.records.model import PublishedAccuracy


class Reference(Record, frozen=True, kw_only=True):
    """What a run is held against: figures that were given or published, or another run."""

    name: str
    """The name that a gate calls it by."""
    described: str
    top1: float | None = None
    top5: float | None = None
    published: PublishedAccuracy | None = None
    run: RunRecord | None = None


class Gate(Record, frozen=True, kw_only=True):
    """A bound on a figure, `METRIC[@BATCH][/REFERENCE] OP NUMBER`."""

    text: str
    metric: str
    batch: int | None
    reference: str | None
    operator: Literal["<=", ">=", "<", ">"]
    bound: float
    """In the metric's own unit: points, images a second, seconds, or a plain ratio."""
    asked: bool
    """Whether the user asked for it; a default gate that cannot be judged does not fail the run."""


class Check(Record, frozen=True, kw_only=True):
    """What a gate found."""

    gate: Gate
    verdict: VerdictWord
    measured: float | None
    low: float | None
    high: float | None
    reference: float | None
    reason: str
    detail: str
    """The figures behind the reason; empty where there are none."""
    differences: tuple[str, ...]


class Verdict(Record, frozen=True, kw_only=True):
    """The gates of one record, with the hashes of what they judged; reported figures have no files to hash."""

    artifact_sha256: tuple[str, ...]
    model_sha256: str | None
    dataset_fingerprint: str | None
    checks: tuple[Check, ...]
    warnings: tuple[str, ...] = ()
    """What to know before trusting it: those of the run that was judged."""

    @property
    def word(self) -> VerdictWord | None:
        """The verdict of the whole; None where there was nothing to judge."""
        words = {check.verdict for check in self.checks if check.gate.asked or check.verdict in ("PASS", "FAIL")}
        order: tuple[VerdictWord, ...] = ("FAIL", "NOT COMPARABLE", "INCONCLUSIVE", "PASS")
        return next((word for word in order if word in words), None)

    @property
    def holds(self) -> bool:
        """Whether no gate failed and every gate that was asked for passed."""
        return self.word in (None, "PASS")

    def passes(self, allow_inconclusive: bool = False) -> bool:
        """Whether the verdict holds, or is in doubt alone where that is allowed."""
        return self.holds or (allow_inconclusive and self.word == "INCONCLUSIVE")


class BenchOutcome(Record, frozen=True, kw_only=True):
    """A run that was measured and not judged, and its figures."""

    run: RunRecord
    figures: tuple[Figures, ...]


class SpeedCell(Record, frozen=True, kw_only=True):
    """One figure of a speed table, or why there is none where one would stand."""

    value: float | None
    low: float | None = None
    high: float | None = None
    """The ends of its interval, where it has one."""
    obstacle: str | None = None
    printed: float | None = None
    """What the source printed instead of `value`; None where it printed the same, or nothing."""
    printed_by: str | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval's ends; None where there is none."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def spread(self) -> float | None:
        """Half the width of the interval, as a share of the figure; None where there is none."""
        if self.value is None or self.low is None or self.high is None:
            return None
        return (self.high - self.low) / 2 / self.value


class SpeedRow(Record, frozen=True, kw_only=True):
    """A batch size with every record's throughput; a cell is None where a record has none at that batch size."""

    batch: int | Literal["unknown", "best"]
    throughputs: tuple[SpeedCell | None, ...]
    """Images a second of the card, for each of the table's records."""
    ratios: tuple[SpeedCell | None, ...]
    """One record's throughput over that of another, for each of the table's pairs."""


class SpeedTable(Record, frozen=True, kw_only=True):
    """The throughputs of several records by batch size, and the ratios of those that are held against each other."""

    kind: ThroughputKind
    records: tuple[str, ...]
    """The names: what is judged, then what it is held against."""
    pairs: tuple[tuple[str, str], ...]
    """The names of the two records of each ratio."""
    rows: tuple[SpeedRow, ...]
    differences: tuple[tuple[str, ...], ...] = ()
    """What is noted beside each pair's ratios: facts in which the two differ."""


class Pairing(Record, frozen=True, kw_only=True):
    """Two records' first classes of the same images, at one batch size each."""

    record: str
    batch: int
    accuracy: PairedAccuracy


class Comparison(Record, frozen=True, kw_only=True):
    """Several records beside each other and beside what they are held against, with the verdict on each."""

    records: tuple[str, ...]
    """What each is called."""
    verdicts: tuple[Verdict, ...]
    words: tuple[VerdictWord | None, ...]
    """The verdict of the whole, for each record."""
    table: SpeedTable | None = None
    """The speeds of all records and of what they were held against; None where there are none to compare."""
    paired: tuple[Pairing, ...] = ()
    """Records whose images were scored by the other one too, image by image."""

    @property
    def gated(self) -> frozenset[tuple[str, str | None]]:
        """The records with what their gates name: what differs between the two stands at the gate."""
        return frozenset(
            (name, check.gate.reference)
            for name, verdict in zip(self.records, self.verdicts, strict=True)
            for check in verdict.checks
        )


class InterleavedOutcome(Record, frozen=True, kw_only=True):
    """Artifacts that were measured in turn, by the letters of their folders."""

    outcomes: Mapping[str, BenchOutcome]
    comparison: Comparison
    """The first beside the others, and the verdict on it."""
