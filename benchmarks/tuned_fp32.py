"""What a search in float32 gains on the flagship: its result over the best default of the common backends.

The weights are random: they say nothing of accuracy, and the gate lets everything pass but what the compile refuses, as
it does MNN's large tiles, which round more than a hundred layers of random weights bear. The search is without torch,
where one compile takes as long as two trials of the others, and has one batch size, so that ten minutes hold more than
the defaults; the defaults that it is held against are torch's too, and of several batch sizes.
"""

from __future__ import annotations

from assay.tuning.request import TuneRequest
from benchmarks import subjects, tuning
from benchmarks.flagship import ARCHITECTURE
from benchmarks.harness import Row, row

LEAST = 1.4
BUDGET_SECONDS = 600.0
BACKENDS = ("onnxruntime", "openvino", "mnn")
BATCHES = (16,)
DEFAULT_BATCHES = (16, 4, 1)
IMAGES = 16
COMMON = ("onnxruntime", "openvino", "torch")
SECONDS = 30.0


def measure() -> Row:
    """The ratio of the two, measured in turn."""
    subject = subjects.flagship(IMAGES)
    request = TuneRequest(backends=BACKENDS, batches=BATCHES, budget_seconds=BUDGET_SECONDS, max_drop=100.0, int8=False)
    usual = TuneRequest(backends=COMMON, batches=DEFAULT_BATCHES, int8=False)
    ratio, said = tuning.gain(subject, request, "fp32", usual, SECONDS)
    sizes = ", ".join(map(str, DEFAULT_BATCHES))
    against = f"best default of {', '.join(COMMON)} at batch {sizes}, {ARCHITECTURE}; {said}"
    return row("tuned_fp32", ratio, "ratio", least=LEAST, against=against)
