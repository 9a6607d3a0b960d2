"""The flagship at half precision on a CUDA device, batch 1 to 256: `python -m benchmarks.gpu [BATCH …]`.

It stands apart from the other benchmarks, whose machine has no such device. In one run, for each batch size: the
interface alone and end-to-end from a prepared set, as share of the rate at which this device multiplies matrices of
half precision, against the same network in eager torch with channels last and under `torch.compile`. What it finds
goes to `benchmarks/results/`, with date and versions.
"""

from __future__ import annotations

import datetime
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assay import demo, environment
from assay.models import program
from assay.progress import on_standard_error
from assay.records import OnnxModel, PreparedDataset
from assay.steps.artifact import compile_into
from assay.steps.build_options import build_options
from assay.steps.export import export
from assay.steps.measurement import Length, bench
from assay.steps.prepare import prepare
from benchmarks.harness import HERE, MATERIAL, WORK

ARCHITECTURE = "wide_resnet101_2"
FLOP = 45.6e9
"""Floating point operations of one image, a multiplication and its addition counted as two."""
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
RESULTS = HERE / "results"
SECONDS = 5.0
LEAST = {"share of the matrix rate": 0.60, "against eager": 1.3, "end-to-end share": 0.95}
"""What is aimed for at the best batch size."""
_SIDE = 8192
_WARM_UP = 10


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


def main(arguments: list[str]) -> int:
    """Measures and writes the file; returns 1 where there is no CUDA device, or where an aim is missed."""
    import torch

    if not torch.cuda.is_available():
        print(f"no CUDA device is at hand (torch {torch.__version__}); nothing was measured", file=sys.stderr)
        return 1
    folder = WORK / "gpu"
    with on_standard_error() as progress:
        model = export(ARCHITECTURE, folder / "model.onnx", exported_program=True, progress=progress)
        images = MATERIAL / "images"
        source = images if images.is_dir() else demo.IMAGES
        data = prepare(source, model.transform, folder / "prepared", progress=progress)
    matrix_rate = _matrix_rate()
    print(f"{torch.cuda.get_device_name()}: {matrix_rate / 1e12:.0f} TFLOP/s in products of half precision")
    points = []
    for batch in [int(text) for text in arguments] or BATCHES:
        points.append(_point(model, data, batch, matrix_rate, folder))
        print(json.dumps(asdict(points[-1])), flush=True)
    best = max(points, key=lambda point: point.interface)
    reached = {
        "share of the matrix rate": best.matrix_share,
        "against eager": best.interface / best.eager,
        "end-to-end share": best.end_to_end / best.interface,
    }
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    cudnn: Any = torch.backends.cudnn
    record = {
        "date": date,
        "device": torch.cuda.get_device_name(),
        "versions": {"torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": cudnn.version()},
        "processor": f"{environment.processor_name()}, {environment.cores()} cores",
        "model": f"{ARCHITECTURE}, random weights, uint8 input, half precision, channels last",
        "matrix_tflops": matrix_rate / 1e12,
        "gflop_an_image": FLOP / 1e9,
        "points": [asdict(point) for point in points],
        "best_batch": best.batch,
        "reached": reached,
        "aims": LEAST,
    }
    RESULTS.mkdir(exist_ok=True)
    place = RESULTS / f"gpu-{date}.json"
    place.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for name, least in LEAST.items():
        print(f"{name} at batch {best.batch}: {reached[name]:.3f}, aimed for {least:g}")
    print(f"kept in {place.relative_to(HERE.parent)}")
    return 0 if all(reached[name] >= least for name, least in LEAST.items()) else 1


def _point(model: OnnxModel, data: PreparedDataset, batch: int, matrix_rate: float, folder: Path) -> Point:
    options, run_settings = build_options("torch", batch=batch, device="cuda", precision="fp16")
    compiled, _ = compile_into(model, options, folder / "compiled")
    length = Length(seconds=SECONDS)
    alone = bench(compiled, None, folder / "bench", run_settings=run_settings, length=length).performance
    whole = bench(compiled, data, folder / "bench", run_settings=run_settings, length=length).performance
    eager, compiled_in_torch = _in_torch(model, batch)
    return Point(
        batch=batch,
        interface=alone.interface_throughput,
        end_to_end=whole.end_to_end_throughput,
        eager=eager,
        torch_compile=compiled_in_torch,
        matrix_share=alone.interface_throughput * FLOP / matrix_rate,
        compile_seconds=compiled.compile_seconds,
    )


def _in_torch(model: OnnxModel, batch: int) -> tuple[float, float]:
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
        eager = batch * _calls_a_second(lambda: network(images))
        compiled = batch * _calls_a_second(lambda: captured(images))
    torch.compiler.reset()
    return eager, compiled


def _matrix_rate() -> float:
    """Floating point operations a second in the product of two large matrices of half precision."""
    import torch

    left, right = (torch.randn(_SIDE, _SIDE, device="cuda", dtype=torch.float16) for _ in range(2))
    return 2.0 * _SIDE**3 * _calls_a_second(lambda: left @ right)


def _calls_a_second(call: Callable[[], object]) -> float:
    import torch

    for _ in range(_WARM_UP):
        call()
    torch.cuda.synchronize()
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        for _ in range(_WARM_UP):
            call()
        torch.cuda.synchronize()
        calls += _WARM_UP
    return calls / (time.perf_counter() - start)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
