"""What a search gains on small trained models, at least nothing lost: its result over the best default of any backend.

The lowest of the models counts. The defaults have the batch sizes that the search has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.tuning.request import Goal
from benchmarks import subjects, tuning
from benchmarks.harness import Benchmark, Bound, Measured
from benchmarks.tuning import SHORT, Durations


@dataclass(frozen=True)
class Form:
    """What is searched, and whether on the models of the material too or on the demo's ONNX file alone."""

    search: Goal
    durations: Durations
    all_models: bool


def measure(form: Form, folder: Path) -> Measured:
    """The lowest of the ratios, each of two measured in turn."""
    home = tuning.folder_of(folder)
    chosen = subjects.small(home) if form.all_models else [subjects.small_classifier(home, material=False)]
    gains = {
        subject.model.name: tuning.gain(subject, "small", form.search, form.search, form.durations)
        for subject in chosen
    }
    said = "; ".join(f"{name} {gain.value:.3f} ({gain.against})" for name, gain in gains.items())
    return Measured(min(gain.value for gain in gains.values()), f"best default of any backend: {said}")


BENCHMARK = Benchmark(
    measure,
    full=Form(
        search=Goal(batches=(16, 1, 64), budget_seconds=120.0),
        durations=Durations(compared=10.0),
        all_models=True,
    ),
    small=Form(
        search=Goal(backends=("onnxruntime",), batches=(1,), budget_seconds=20.0, int8=False),
        durations=SHORT,
        all_models=False,
    ),
    bound=Bound(least=0.98),
    modules=("optuna", "torch"),
)
