"""What the pipeline costs on each processor backend: end-to-end from a prepared set over the interface alone.

The same artifact at batch 16, from the prepared set and on synthetic pixels with nothing else running, in turn; the
lowest of the backends counts.
"""

from __future__ import annotations

from benchmarks.end_to_end_share import BATCH, share
from benchmarks.harness import WORK, Row, row
from benchmarks.models import small_for

LEAST = 0.93
ROUNDS = 7
SECONDS = 2.0
BACKENDS = ("onnxruntime", "openvino", "mnn", "torch")
FOLDER = WORK / "end_to_end_share_all"


def measure() -> Row:
    """The lowest of the backends' median ratios."""
    models = {backend: small_for(backend, FOLDER) for backend in BACKENDS}
    shares = {backend: share(backend, model, FOLDER, ROUNDS, SECONDS) for backend, model in models.items()}
    said = ", ".join(f"{backend} on {models[backend].name} {ratio:.3f}" for backend, ratio in shares.items())
    against = f"interface alone, batch {BATCH}: {said}"
    return row("end_to_end_share_all", min(shares.values()), "ratio", least=LEAST, against=against)
