"""What the contract costs: interface throughput through a session over the vendor's own interface, called directly.

Each vendor's call is written out as its documentation shows it, on the same artifact with the same settings and one
call at a time; the lowest of the backends counts.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay import environment
from assay.backends.base import Batch
from assay.records import CompiledModel, OnnxModel
from benchmarks.harness import Benchmark, Bound, Measured, in_turn
from benchmarks.models import small_for
from benchmarks.runnables import batch_of_pixels, opened, with_defaults

BATCH = 16

Call = Callable[[Batch], object]


@dataclass(frozen=True)
class Form:
    """How long and how often each side runs, on which backends, and whether on the material if it is there."""

    backends: tuple[str, ...]
    seconds: float
    rounds: int
    material: bool


def measure(form: Form, folder: Path) -> Measured:
    """The lowest of the backends' ratios."""
    home = folder / "contract_overhead"
    models = {backend: small_for(backend, home, material=form.material) for backend in form.backends}
    ratios = {backend: _ratio(backend, model, home, form) for backend, model in models.items()}
    said = ", ".join(f"{backend} on {models[backend].name} {ratio:.3f}" for backend, ratio in ratios.items())
    return Measured(min(ratios.values()), f"the vendor's own interface, batch {BATCH}: {said}")


def _ratio(backend: str, model: OnnxModel, home: Path, form: Form) -> float:
    runnable = with_defaults(model, backend, home, batch=BATCH)
    batch = batch_of_pixels(runnable)
    theirs = DIRECT[backend](runnable.compiled)
    with opened(runnable) as session:
        np.testing.assert_allclose(np.asarray(theirs(batch)), session.infer(batch), rtol=1e-3, atol=1e-3)
        return in_turn(
            lambda: _rate(session.infer, batch, form.seconds), lambda: _rate(theirs, batch, form.seconds), form.rounds
        ).ratio


def _rate(call: Call, batch: Batch, seconds: float) -> float:
    begin, calls = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        call(batch)
        calls += 1
    return calls * len(batch) / (time.perf_counter() - begin)


def _onnxruntime(compiled: CompiledModel) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(compiled.file.path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})[0]


def _openvino(compiled: CompiledModel) -> Call:
    import openvino

    settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().import_model(compiled.file.path.read_bytes(), "CPU", settings)
    request = model.create_infer_request()
    return lambda batch: request.infer({0: batch}, share_inputs=True)[0]


def _mnn(compiled: CompiledModel) -> Call:
    import MNN

    interpreter = MNN.Interpreter(str(compiled.file.path))
    session = interpreter.createSession({"backend": "CPU", "numThread": environment.cores(), "precision": "high"})
    shape = tuple(int(axis) for axis in compiled.input.shape)
    taken, given = interpreter.getSessionInput(session), interpreter.getSessionOutput(session)
    scores = np.zeros(given.getShape(), np.float32)

    def call(batch: Batch) -> object:
        caffe = MNN.Tensor_DimensionType_Caffe
        taken.copyFrom(MNN.Tensor(shape, MNN.Halide_Type_Uint8, batch, caffe))
        interpreter.runSession(session)
        host = MNN.Tensor(given.getShape(), MNN.Halide_Type_Float, scores, caffe)
        given.copyToHostTensor(host)
        # The tensor's memory goes with it.
        return host.getNumpyData().copy()

    return call


def _torch(compiled: CompiledModel) -> Call:
    import torch

    torch.set_num_threads(environment.cores())
    with tempfile.TemporaryDirectory() as folder:
        # Only a name that ends so is taken for a package.
        named = Path(folder) / "model.pt2"
        shutil.copyfile(compiled.file.path, named)
        package = torch._inductor.aoti_load_package(str(named))

    def call(batch: Batch) -> object:
        with torch.inference_mode():
            return package(torch.from_numpy(batch)).numpy()

    return call


DIRECT = {"onnxruntime": _onnxruntime, "openvino": _openvino, "mnn": _mnn, "torch": _torch}

BENCHMARK = Benchmark(
    measure,
    full=Form(backends=tuple(DIRECT), seconds=1.0, rounds=15, material=True),
    small=Form(backends=("onnxruntime", "openvino", "mnn"), seconds=0.05, rounds=1, material=False),
    bound=Bound(least=0.96),
    modules=("openvino", "MNN", "torch"),
)
