"""Interface throughput of OpenVINO over that of ONNX Runtime, each with its defaults, on the flagship."""

from __future__ import annotations

from benchmarks.flagship import ratio_to_onnxruntime
from benchmarks.harness import Row, row

LEAST = 0.97
ROUNDS = 7


def measure() -> Row:
    """The median ratio over calls that take turns."""
    ratio, against = ratio_to_onnxruntime("openvino", ROUNDS)
    return row("openvino_vs_ort", ratio, "ratio", least=LEAST, against=against)
