"""What a search gains on the flagship if int8 is allowed: its result over ONNX Runtime's defaults in float32.

As in `tuned_fp32`, the weights are random, and the gate lets everything pass but what the compile refuses. Whether int8
keeps the accuracy is for trained weights to say.
"""

from __future__ import annotations

from pathlib import Path

from assay.tuning.request import Goal
from benchmarks import tuned_fp32
from benchmarks.harness import Benchmark, Bound, Measured
from benchmarks.tuned_fp32 import Form
from benchmarks.tuning import Durations


def measure(form: Form, folder: Path) -> Measured:
    """The ratio of the two, measured in turn."""
    return tuned_fp32.gain_of("int8", form, folder)


BENCHMARK = Benchmark(
    measure,
    full=Form(
        # The two that run int8 on a processor.
        search=Goal(
            backends=("onnxruntime", "openvino"), batches=(4,), budget_seconds=360.0, max_drop=100.0, int8=True
        ),
        usual=Goal(backends=("onnxruntime",), batches=(16, 4, 1), int8=False),
        # A quarter of them to calibrate on.
        images=32,
        durations=Durations(compared=30.0),
    ),
    small=tuned_fp32.SMALL,
    bound=Bound(least=2.0),
    modules=("optuna", "openvino", "torch"),
)
