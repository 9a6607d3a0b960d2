"""What a search gains on small trained models, at least nothing lost: its result over the best default of any backend.

The lowest of the models counts. The defaults have the batch sizes that the search has.
"""

from __future__ import annotations

from assay.tuning.request import TuneRequest
from benchmarks import subjects, tuning
from benchmarks.harness import Row, row
from benchmarks.subjects import Subject

LEAST = 0.98
BUDGET_SECONDS = 120.0
BATCHES = (16, 1, 64)
SECONDS = 10.0


def measure() -> Row:
    """The lowest of the ratios, each of two measured in turn."""
    found = [_ratio(subject) for subject in subjects.small()]
    lowest = min(ratio for ratio, _ in found)
    against = f"best default of any backend: {'; '.join(said for _, said in found)}"
    return row("tuned_small", lowest, "ratio", least=LEAST, against=against)


def _ratio(subject: Subject) -> tuple[float, str]:
    request = TuneRequest(batches=BATCHES, budget_seconds=BUDGET_SECONDS)
    ratio, said = tuning.gain(subject, request, "small", request, SECONDS)
    return ratio, f"{subject.model.name} {ratio:.3f} ({said})"
