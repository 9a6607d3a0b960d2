"""Interface throughput of OpenVINO over that of ONNX Runtime, each with its defaults, on the flagship."""

from __future__ import annotations

from pathlib import Path

from benchmarks import flagship
from benchmarks.harness import Benchmark, Bound, Measured


def measure(form: flagship.Form, folder: Path) -> Measured:
    """Single calls in turn."""
    return flagship.over_onnxruntime("openvino", form, folder)


BENCHMARK = Benchmark(
    measure, full=flagship.FULL, small=flagship.SMALL, bound=Bound(least=0.97), modules=("openvino", "torch")
)
