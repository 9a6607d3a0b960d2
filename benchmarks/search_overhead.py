"""What a search costs beside its work: the share of its time spent on none of compiling, measuring and evaluating."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.tuning.request import Goal
from benchmarks import subjects, tuning
from benchmarks.harness import Benchmark, Bound, Measured


@dataclass(frozen=True)
class Form:
    """What is searched, and whether on the material's model if it is there."""

    search: Goal
    material: bool


def measure(form: Form, folder: Path) -> Measured:
    """The share that the search's record has, of a small trained model."""
    subject = subjects.small_classifier(tuning.folder_of(folder), material=form.material)
    found = tuning.searched(subject, form.search, "overhead")
    against = f"the whole search of {subject.model.name}, {len(found.trials)} trials in {found.seconds:.0f} s"
    return Measured(100 * found.overhead_share, against)


BENCHMARK = Benchmark(
    measure,
    full=Form(search=Goal(budget_seconds=120.0), material=True),
    small=Form(search=Goal(backends=("onnxruntime",), batches=(1,), budget_seconds=20.0, int8=False), material=False),
    bound=Bound(most=8.0),
    unit="%",
    modules=("optuna",),
)
