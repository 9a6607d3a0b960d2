"""Interface throughput of MNN over that of ONNX Runtime, each with its defaults, on the flagship.

MNN's wheel holds code for 256-bit vectors (AVX2) alone. Where the processor's units are no wider, Winograd's saving on
the 3×3 convolutions, 61 % of the work, is its lead; where they are of 512 bits, ONNX Runtime computes twice as fast,
which that saving does not make up. docs/backends.md has both profiles.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import flagship
from benchmarks.harness import Benchmark, Bound, Measured


def measure(form: flagship.Form, folder: Path) -> Measured:
    """Single calls in turn."""
    return flagship.over_onnxruntime("mnn", form, folder)


BENCHMARK = Benchmark(
    measure, full=flagship.FULL, small=flagship.SMALL, bound=Bound(least=1.4), modules=("MNN", "torch")
)
