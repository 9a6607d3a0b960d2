"""What the pipeline costs: end-to-end throughput from a prepared set over the interface alone.

The same artifact at batch 16, from the prepared set and on synthetic pixels with nothing else running, in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.records import OnnxModel
from assay.steps.measurement import Length
from assay.steps.prepare import PrepareRequest, prepare_with
from benchmarks import models
from benchmarks.harness import Benchmark, Bound, Measured, Turns, in_turn
from benchmarks.runnables import measured, with_defaults

BATCH = 16
BRIEF = Length(seconds=0.1, warm_up=0.1)
"""Of a small form."""


@dataclass(frozen=True)
class Form:
    """How long and how often each side runs, on which backends, and whether on the material if it is there."""

    backends: tuple[str, ...]
    length: Length
    rounds: int
    material: bool


def measure(form: Form, folder: Path) -> Measured:
    """The share of the one backend."""
    (backend,) = form.backends
    model = models.small_for(backend, folder, material=form.material)
    turns = share(backend, model, folder / "end_to_end_share", form)
    said = f"interface alone, {model.name}, batch {BATCH}: {turns.medians('images/s')}"
    return Measured(turns.ratio, said)


def share(backend: str, model: OnnxModel, home: Path, form: Form) -> Turns:
    """End-to-end and interface throughput of one backend in turn."""
    images = models.photographs(material=form.material)
    data = prepare_with(PrepareRequest(images, out=home / f"prepared-{model.name}"), model.transform)
    runnable = with_defaults(model, backend, home / "compiled", batch=BATCH)
    return in_turn(
        lambda: measured(runnable, data, home / "bench", form.length).end_to_end_throughput,
        lambda: measured(runnable, None, home / "bench", form.length).interface_throughput,
        form.rounds,
    )


BENCHMARK = Benchmark(
    measure,
    full=Form(backends=("onnxruntime",), length=Length(seconds=3.0), rounds=9, material=True),
    small=Form(backends=("onnxruntime",), length=BRIEF, rounds=1, material=False),
    bound=Bound(least=0.95),
)
