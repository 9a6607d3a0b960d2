"""What a search in float32 gains on the flagship: its result over the best default of the common backends.

The weights are random: they say nothing of accuracy, and the gate lets everything pass but what the compile refuses, as
it does MNN's large tiles, which round more than a hundred layers of random weights bear. The search is without torch,
where one compile takes as long as two trials of the others, and has one batch size, so that ten minutes hold more than
the defaults; the defaults that it is held against are torch's too, and of several batch sizes.
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
    """What is searched, what is to be beaten, and how many images decide; no image stands for the demo's model."""

    search: Goal
    usual: Goal
    images: int
    durations: Durations


def measure(form: Form, folder: Path) -> Measured:
    """The ratio of the two, measured in turn."""
    return gain_of("fp32", form, folder)


def gain_of(name: str, form: Form, folder: Path) -> Measured:
    """The gain of a search on the flagship, or on the demo's model."""
    home = tuning.folder_of(folder)
    subject = subjects.flagship(form.images, home) if form.images else subjects.small_classifier(home, material=False)
    found = tuning.gain(subject, name, form.search, form.usual, form.durations)
    backends, sizes = ", ".join(form.usual.backends or ()), ", ".join(map(str, form.usual.batches))
    against = f"best float32 default of {backends} at batch {sizes}, {subject.model.name}; {found.against}"
    return Measured(found.value, against)


SMALL = Form(
    search=Goal(backends=("onnxruntime",), batches=(1,), budget_seconds=20.0, max_drop=100.0, int8=False),
    usual=Goal(backends=("onnxruntime",), batches=(1,), int8=False),
    images=0,
    durations=SHORT,
)

BENCHMARK = Benchmark(
    measure,
    full=Form(
        search=Goal(
            backends=("onnxruntime", "openvino", "mnn"), batches=(16,), budget_seconds=600.0, max_drop=100.0, int8=False
        ),
        usual=Goal(backends=("onnxruntime", "openvino", "torch"), batches=(16, 4, 1), int8=False),
        images=16,
        durations=Durations(compared=30.0),
    ),
    small=SMALL,
    bound=Bound(least=1.4),
    modules=("optuna", "openvino", "MNN", "torch"),
)
