"""The flagship at half precision on a CUDA device: the lowest of three figures at the best batch size over its aim.

For each batch size: the interface alone and end-to-end from a prepared set, as share of the rate at which this device
multiplies matrices of half precision, against the same network in eager torch with channels last and under
`torch.compile`. Every point goes to `benchmarks/results/`, with date and versions.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from assay import demo
from assay.models import program
from assay.records import OnnxModel, PreparedDataset
from assay.steps.export import export
from assay.steps.measurement import Length
from assay.steps.prepare import PrepareRequest, prepare_with
from benchmarks import models
from benchmarks.flagship import ARCHITECTURE
from benchmarks.harness import HERE, Benchmark, Bound, Measured
from benchmarks.runnables import measured, on_cuda

FLOP = 45.6e9
"""Floating point operations of one image of the flagship, a multiplication and its addition counted as two."""
RESULTS = HERE / "results"
AIMS = {"share of the matrix rate": 0.60, "against eager": 1.3, "end-to-end share": 0.95}
"""What is aimed for at the best batch size."""
_WARM_UP = 10


@dataclass(frozen=True)
class Form:
    """Which network at which batch sizes, how long each is measured, and how large the matrices are."""

    architecture: str
    batches: tuple[int, ...]
    seconds: float
    side: int
    kept: bool
    """Whether the points are kept beside the rows."""


@dataclass(frozen=True)
class Point:
    """What one batch size gave, in images a second."""

    batch: int
    interface: float
    end_to_end: float
    eager: float
    torch_compile: float
    matrix_share: float
    compile_seconds: float


@dataclass(frozen=True)
class _Setting:
    """What every batch size is measured with."""

    form: Form
    model: OnnxModel
    data: PreparedDataset
    matrix_rate: float
    folder: Path

    def point(self, batch: int) -> Point:
        """Measures one batch size."""
        runnable = on_cuda(self.model, self.folder / "compiled", batch)
        seconds = self.form.seconds
        length, home = Length(seconds=seconds), self.folder / "bench"
        interface = measured(runnable, None, home, length).interface_throughput
        end_to_end = measured(runnable, self.data, home, length).end_to_end_throughput
        eager, torch_compile = _in_torch(self.model, batch, seconds)
        return Point(
            batch=batch,
            interface=interface,
            end_to_end=end_to_end,
            eager=eager,
            torch_compile=torch_compile,
            matrix_share=interface * FLOP / self.matrix_rate,
            compile_seconds=runnable.compiled.compile_seconds,
        )


def measure(form: Form, folder: Path) -> Measured:
    """The lowest of the three figures over their aims."""
    import torch

    home = folder / "gpu"
    weights = demo.CHECKPOINT if form.architecture == demo.NAME else None
    model = export(weights, arch=form.architecture, out=home / f"{form.architecture}.onnx", pt2=True)
    data = prepare_with(PrepareRequest(models.photographs(material=form.kept), out=home / "prepared"), model.transform)
    setting = _Setting(form, model, data, _matrix_rate(form), home)
    points = [setting.point(batch) for batch in form.batches]
    best = max(points, key=lambda point: point.interface)
    reached = {
        "share of the matrix rate": best.matrix_share,
        "against eager": best.interface / best.eager,
        "end-to-end share": best.end_to_end / best.interface,
    }
    cudnn: Any = torch.backends.cudnn
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": cudnn.version()}
    record = {
        "device": torch.cuda.get_device_name(),
        "versions": versions,
        "model": f"{form.architecture}, uint8 input, half precision, channels last",
        "matrix_tflops": setting.matrix_rate / 1e12,
        "gflop_an_image": FLOP / 1e9,
        "points": [asdict(point) for point in points],
        "best_batch": best.batch,
        "reached": reached,
        "aims": AIMS,
    }
    _write(record, RESULTS if form.kept else home)
    said = ", ".join(f"{name} {reached[name]:.3f} of {aim:g}" for name, aim in AIMS.items())
    against = f"its aims at batch {best.batch}: {said}; {record['device']}, torch {torch.__version__}"
    return Measured(min(reached[name] / aim for name, aim in AIMS.items()), against)


def _write(record: dict[str, Any], folder: Path) -> None:
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"date": date, **record}, indent=1) + "\n"
    (folder / f"gpu-{date}.json").write_text(text, encoding="utf-8")


def _in_torch(model: OnnxModel, batch: int, seconds: float) -> tuple[float, float]:
    """Images a second of the network itself, eager and under `torch.compile`, on images that are on the device."""
    import torch

    assert model.exported_program is not None
    layout: Any = torch.channels_last
    loaded: Any = program.load(model.exported_program.path)
    network = loaded.cuda().half().to(memory_format=layout)
    side = model.transform.crop
    images = torch.randn(batch, 3, side, side, device="cuda", dtype=torch.float16).to(memory_format=layout)
    captured: Any = torch.compile(network, mode="reduce-overhead")
    with torch.inference_mode():
        eager = batch * _calls_a_second(lambda: network(images), seconds)
        compiled = batch * _calls_a_second(lambda: captured(images), seconds)
    torch.compiler.reset()
    return eager, compiled


def _matrix_rate(form: Form) -> float:
    """Floating point operations a second in the product of two large matrices of half precision."""
    import torch

    left, right = (torch.randn(form.side, form.side, device="cuda", dtype=torch.float16) for _ in range(2))
    return 2.0 * form.side**3 * _calls_a_second(lambda: left @ right, form.seconds)


def _calls_a_second(call: Callable[[], object], seconds: float) -> float:
    import torch

    for _ in range(_WARM_UP):
        call()
    torch.cuda.synchronize()
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(_WARM_UP):
            call()
        torch.cuda.synchronize()
        calls += _WARM_UP
    return calls / (time.perf_counter() - start)


def _obstacle() -> str | None:
    if find_spec("torch") is None:
        return None
    import torch

    return None if torch.cuda.is_available() else f"no CUDA device (torch {torch.__version__})"


BENCHMARK = Benchmark(
    measure,
    full=Form(architecture=ARCHITECTURE, batches=(1, 2, 4, 8, 16, 32, 64, 128, 256), seconds=5.0, side=8192, kept=True),
    small=Form(architecture=demo.NAME, batches=(2,), seconds=0.1, side=256, kept=False),
    bound=Bound(least=1.0),
    modules=("torch",),
    obstacle=_obstacle,
)
