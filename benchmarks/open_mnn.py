"""What an artifact saves: converting the ONNX file each time and opening the result, over opening alone, on MNN."""

from __future__ import annotations

import time
from pathlib import Path

from assay import demo
from assay.backends import registry
from benchmarks.flagship import ARCHITECTURE, Form, handed
from benchmarks.harness import Benchmark, Bound, Measured, in_turn


def measure(form: Form, folder: Path) -> Measured:
    """Seconds of both in turn."""
    network = handed(form, folder)
    artifact = network.artifact("mnn")
    backend = registry.get("mnn")

    def opening() -> float:
        begin = time.perf_counter()
        with backend.open(artifact, {}):
            return time.perf_counter() - begin

    turns = in_turn(lambda: network.compile_seconds("mnn") + opening(), opening, form.rounds)
    return Measured(turns.ratio, f"opening {form.architecture}: {turns.medians('ms', 1000)}")


BENCHMARK = Benchmark(
    measure,
    full=Form(architecture=ARCHITECTURE, batch=1, rounds=5),
    small=Form(architecture=demo.NAME, batch=1, rounds=1),
    bound=Bound(least=3.0),
    modules=("MNN", "torch"),
)
