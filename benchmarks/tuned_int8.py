"""What a search gains on the flagship where 8 bits are allowed: its result over ONNX Runtime's defaults in float32.

As in `tuned_fp32`, the weights are random, and the gate lets everything pass but what the compile refuses. Whether 8
bits keep the accuracy is for trained weights to say.
"""

from __future__ import annotations

from assay.tuning.request import TuneRequest
from benchmarks import subjects, tuning
from benchmarks.flagship import ARCHITECTURE
from benchmarks.harness import Row, row

LEAST = 2.0
BUDGET_SECONDS = 360.0
BACKENDS = ("onnxruntime", "openvino")
"""Those that run 8 bits on a processor."""
BATCHES = (4,)
DEFAULT_BATCHES = (16, 4, 1)
IMAGES = 32
"""A quarter of them to calibrate on."""
SECONDS = 30.0


def measure() -> Row:
    """The ratio of the two, measured in turn."""
    subject = subjects.flagship(IMAGES)
    request = TuneRequest(backends=BACKENDS, batches=BATCHES, budget_seconds=BUDGET_SECONDS, max_drop=100.0, int8=True)
    usual = TuneRequest(backends=["onnxruntime"], batches=DEFAULT_BATCHES, int8=False)
    ratio, said = tuning.gain(subject, request, "int8", usual, SECONDS)
    sizes = ", ".join(map(str, DEFAULT_BATCHES))
    against = f"onnxruntime's best default in float32 at batch {sizes}, {ARCHITECTURE}; {said}"
    return row("tuned_int8", ratio, "ratio", least=LEAST, against=against)
