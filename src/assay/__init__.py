"""assay deploys a trained image classifier to an inference backend and proves that it arrived.

The functions here are the steps of the command line; each takes and returns records (`assay.records`):

    model = assay.export("squeezenet1_0", Path("model.onnx"), weights=Path("squeezenet1_0.pth"))
    prepared = assay.prepare(Path("val"), model.transform, Path("prepared"), labels=Path("val_label.txt"))
    outcome = assay.run(assay.RunRequest(model="model.onnx", images=Path("val")), Path("RUN"))
    assay.load("RUN").at(16).latency(99)  # seconds
    assay.to_rows(["RUN", "guide:T4"])  # for a data frame

Importing this package imports no runtime and no vendor: a function's home is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.data.transform import TransformChoice as TransformChoice
    from assay.errors import AssayError as AssayError
    from assay.importers.import_results import import_results as import_results
    from assay.loadgen.bench import bench_scenario as bench_scenario
    from assay.loadgen.request import ScenarioRequest as ScenarioRequest
    from assay.quantization.quantize import quantize as quantize
    from assay.steps.adopt import adopt as adopt
    from assay.steps.adopt import describe as describe
    from assay.steps.bench import bench_all as bench_all
    from assay.steps.build_options import build_options as build_options
    from assay.steps.compare import compare as compare
    from assay.steps.compare import compare_all as compare_all
    from assay.steps.compare import gates_of as gates_of
    from assay.steps.compare import given_reference as given_reference
    from assay.steps.compare import speed_table as speed_table
    from assay.steps.compile import compile_to as compile_to
    from assay.steps.compile import load_compiled as load_compiled
    from assay.steps.doctor import doctor as doctor
    from assay.steps.evaluate import evaluate as evaluate
    from assay.steps.export import export as export
    from assay.steps.interleave import bench_interleaved as bench_interleaved
    from assay.steps.measurement import Length as Length
    from assay.steps.measurement import bench as bench
    from assay.steps.pixel_sources import Images as Images
    from assay.steps.predict import predict as predict
    from assay.steps.prepare import load_prepared as load_prepared
    from assay.steps.prepare import prepare as prepare
    from assay.steps.results import load as load
    from assay.steps.results import load_predictions as load_predictions
    from assay.steps.results import load_record as load_record
    from assay.steps.results import load_run as load_run
    from assay.steps.results import record_reference as record_reference
    from assay.steps.rows import to_rows as to_rows
    from assay.whole_run.demo import run_demo as run_demo
    from assay.whole_run.run import RunRequest as RunRequest
    from assay.whole_run.run import run as run

_HOMES = {
    "AssayError": "assay.errors",
    "Images": "assay.steps.pixel_sources",
    "Length": "assay.steps.measurement",
    "RunRequest": "assay.whole_run.run",
    "ScenarioRequest": "assay.loadgen.request",
    "TransformChoice": "assay.data.transform",
    "adopt": "assay.steps.adopt",
    "bench": "assay.steps.measurement",
    "bench_all": "assay.steps.bench",
    "bench_interleaved": "assay.steps.interleave",
    "bench_scenario": "assay.loadgen.bench",
    "build_options": "assay.steps.build_options",
    "compare": "assay.steps.compare",
    "compare_all": "assay.steps.compare",
    "compile_to": "assay.steps.compile",
    "describe": "assay.steps.adopt",
    "doctor": "assay.steps.doctor",
    "evaluate": "assay.steps.evaluate",
    "export": "assay.steps.export",
    "gates_of": "assay.steps.compare",
    "given_reference": "assay.steps.compare",
    "import_results": "assay.importers.import_results",
    "load": "assay.steps.results",
    "load_compiled": "assay.steps.compile",
    "load_predictions": "assay.steps.results",
    "load_prepared": "assay.steps.prepare",
    "load_record": "assay.steps.results",
    "load_run": "assay.steps.results",
    "predict": "assay.steps.predict",
    "prepare": "assay.steps.prepare",
    "quantize": "assay.quantization.quantize",
    "record_reference": "assay.steps.results",
    "run": "assay.whole_run.run",
    "run_demo": "assay.whole_run.demo",
    "speed_table": "assay.steps.compare",
    "to_rows": "assay.steps.rows",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'assay' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_HOMES)
