"""What a search leaves on the table: its result over the best of the whole grid, on a small trained model.

The grid is every candidate of the very space that the search has: float32, all backends that run the model, all their
settings. Each is looked at for half a second, and the fastest of them again in turn.
"""

from __future__ import annotations

from assay.tuning.request import TuneRequest, space_of
from benchmarks import subjects, tuning
from benchmarks.harness import Row, row

LEAST = 0.95
BUDGET_SECONDS = 180.0
BATCHES = (16, 1, 4, 64)
FINALISTS = 8
SECONDS = 15.0


def measure() -> Row:
    """The ratio of the two, measured in turn."""
    subject = subjects.small_classifier()
    request = TuneRequest(batches=BATCHES, budget_seconds=BUDGET_SECONDS, int8=False)
    found = tuning.searched(subject, request, "regret")
    space = space_of(subject.model, request)
    candidates = list(space.candidates())
    grid = tuning.compiled(subject, candidates)
    ratio, said = tuning.ratio(tuning.result(found), tuning.fastest(grid, FINALISTS), SECONDS)
    backends = ", ".join(one.backend for one in space.backends)
    sizes = ", ".join(map(str, BATCHES))
    against = (
        f"best of the grid, {len(grid)} of {len(candidates)} candidates compiled: {subject.model.name}, float32, "
        f"{backends}, batch {sizes}, every setting; {len(found.trials)} trials: {said}"
    )
    return row("search_regret", ratio, "ratio", least=LEAST, against=against)
