"""What a search leaves on the table: its result over the best of the whole grid, on a small trained model.

The grid is every candidate of the very space that the search has: float32, all backends that run the model, all their
settings. Each is looked at for half a second, and the fastest of them again in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.tuning.request import Goal, space_of
from benchmarks import subjects, tuning
from benchmarks.harness import Benchmark, Bound, Measured
from benchmarks.tuning import SHORT, Durations


@dataclass(frozen=True)
class Form:
    """What is searched, how long the grid is measured, and whether on the material's model if it is there."""

    search: Goal
    durations: Durations
    material: bool


def measure(form: Form, folder: Path) -> Measured:
    """The ratio of the two, measured in turn."""
    subject = subjects.small_classifier(tuning.folder_of(folder), material=form.material)
    found = tuning.searched(subject, form.search, "regret")
    space = space_of(subject.model, form.search)
    candidates = list(space.candidates())
    grid = tuning.compiled(subject, candidates)
    best = tuning.fastest(subject, grid, form.durations)
    regret = tuning.over(subject, tuning.result(found), best, form.durations.compared)
    backends, sizes = ", ".join(one.backend for one in space.backends), ", ".join(map(str, form.search.batches))
    against = (
        f"best of the grid, {len(grid)} of {len(candidates)} candidates compiled: {subject.model.name}, float32, "
        f"{backends}, batch {sizes}, every setting; {len(found.trials)} trials: {regret.against}"
    )
    return Measured(regret.value, against)


BENCHMARK = Benchmark(
    measure,
    full=Form(
        search=Goal(batches=(16, 1, 4, 64), budget_seconds=180.0, int8=False),
        durations=Durations(compared=15.0, finalists=8),
        material=True,
    ),
    small=Form(
        search=Goal(backends=("onnxruntime",), batches=(1,), budget_seconds=20.0, int8=False),
        durations=SHORT,
        material=False,
    ),
    bound=Bound(least=0.95),
    modules=("optuna",),
)
