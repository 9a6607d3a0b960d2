"""What the pipeline costs on each processor backend: end-to-end from a prepared set over the interface alone.

The same artifact at batch 16, from the prepared set and on synthetic pixels with nothing else running, in turn; the
lowest of the backends counts.
"""

from __future__ import annotations

from pathlib import Path

from assay.steps.measurement import Length
from benchmarks.end_to_end_share import BATCH, BRIEF, Form, share
from benchmarks.harness import Benchmark, Bound, Measured
from benchmarks.models import small_for


def measure(form: Form, folder: Path) -> Measured:
    """The lowest of the backends' shares."""
    home = folder / "end_to_end_share_all"
    models = {backend: small_for(backend, home, material=form.material) for backend in form.backends}
    shares = {backend: share(backend, model, home, form).ratio for backend, model in models.items()}
    said = ", ".join(f"{backend} on {models[backend].name} {ratio:.3f}" for backend, ratio in shares.items())
    return Measured(min(shares.values()), f"interface alone, batch {BATCH}: {said}")


BENCHMARK = Benchmark(
    measure,
    full=Form(
        backends=("onnxruntime", "openvino", "mnn", "torch"), length=Length(seconds=2.0), rounds=7, material=True
    ),
    small=Form(backends=("onnxruntime", "openvino", "mnn"), length=BRIEF, rounds=1, material=False),
    bound=Bound(least=0.93),
    modules=("openvino", "MNN", "torch"),
)
