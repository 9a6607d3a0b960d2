"""What an artifact saves: opening it over converting the ONNX file each time, on MNN."""

from __future__ import annotations

import time

from assay.backends import registry
from assay.backends.base import Backend
from assay.records import CompiledModel
from assay.steps.build_options import build_options
from benchmarks.flagship import compiled, flagship, graph
from benchmarks.harness import Row, alternating, row

LEAST = 3.0
ROUNDS = 5


def measure() -> Row:
    """The median ratio of times: converting and opening, over opening alone."""
    handed = graph(flagship(), batch=1)
    artifact = compiled(handed, "mnn", batch=1)
    backend = registry.get("mnn")
    options, _ = build_options("mnn", batch=1, input_kind="float32")

    def converting() -> float:
        begin = time.perf_counter()
        backend.compile(handed, options, artifact.file.path)
        return time.perf_counter() - begin + opening()

    def opening() -> float:
        return _opened(backend, artifact)

    ratio, _ = alternating(converting, opening, ROUNDS)
    return row("open_mnn", ratio, "ratio", least=LEAST, against=f"converting {artifact.model.name} each time")


def _opened(backend: Backend, artifact: CompiledModel) -> float:
    begin = time.perf_counter()
    with backend.open(artifact, {}):
        return time.perf_counter() - begin
