"""What a search costs beside its work: the share of its time spent on none of compiling, measuring and evaluating."""

from __future__ import annotations

from assay.tuning.request import TuneRequest
from benchmarks import subjects, tuning
from benchmarks.harness import Row, row

MOST = 8.0
BUDGET_SECONDS = 120.0


def measure() -> Row:
    """The share that the search's record has, of a small trained model."""
    subject = subjects.small_classifier()
    found = tuning.searched(subject, TuneRequest(budget_seconds=BUDGET_SECONDS), "overhead")
    against = f"bound; {subject.model.name}, {len(found.trials)} trials in {found.seconds:.0f} s"
    return row("search_overhead", 100 * found.overhead_share, "%", most=MOST, against=against)
