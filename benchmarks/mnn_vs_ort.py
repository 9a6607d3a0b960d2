"""Interface throughput of MNN over that of ONNX Runtime, each with its defaults, on the flagship.

MNN's wheel holds code for 256-bit vectors (AVX2) alone. Where the processor's units are no wider, Winograd's saving on
the 3×3 convolutions, 61 % of the work, is its lead; where they are of 512 bits, ONNX Runtime computes twice as fast,
which that saving does not make up. docs/backends.md has both profiles.
"""

from __future__ import annotations

from benchmarks.flagship import ratio_to_onnxruntime
from benchmarks.harness import Row, row

LEAST = 1.4
ROUNDS = 7


def measure() -> Row:
    """The median ratio over calls that take turns."""
    ratio, against = ratio_to_onnxruntime("mnn", ROUNDS)
    return row("mnn_vs_ort", ratio, "ratio", least=LEAST, against=against)
