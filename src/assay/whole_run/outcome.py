"""What a whole run came to."""

from __future__ import annotations

from assay.records import Figures, Record, RunRecord, Verdict, VerdictWord
from assay.render import table
from assay.render.paired import line
from assay.tuning.records import Tuning


class Outcome(Record, frozen=True, kw_only=True):
    """A run with the verdict on it, and the figures that both are about."""

    run: RunRecord
    verdict: Verdict
    word: VerdictWord | None
    """The verdict of the whole; None where there was nothing to judge."""
    figures: tuple[Figures, ...]
    tuning: Tuning | None = None
    """The search for the artifact, where there was one."""


def text(outcome: Outcome, place: str) -> str:
    """What `assay run` ends with."""
    results = table.results(outcome.run.results, outcome.figures)
    pairs = [line(result.batch, result.paired) for result in outcome.run.results if result.paired is not None]
    ending = [*filter(None, [table.warnings(outcome.verdict.warnings)]), table.verdict(outcome.verdict, place)]
    return "\n".join(["", results, "", *([*pairs, ""] if pairs else []), *ending])
