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
    from assay.workflow import Images as Images
    from assay.workflow import Length as Length
    from assay.workflow import RunRequest as RunRequest
    from assay.workflow import ScenarioRequest as ScenarioRequest
    from assay.workflow import adopt as adopt
    from assay.workflow import bench as bench
    from assay.workflow import bench_all as bench_all
    from assay.workflow import bench_interleaved as bench_interleaved
    from assay.workflow import bench_scenario as bench_scenario
    from assay.workflow import build_options as build_options
    from assay.workflow import compare as compare
    from assay.workflow import compare_all as compare_all
    from assay.workflow import compile_to as compile_to
    from assay.workflow import describe as describe
    from assay.workflow import doctor as doctor
    from assay.workflow import evaluate as evaluate
    from assay.workflow import export as export
    from assay.workflow import gates_of as gates_of
    from assay.workflow import given_reference as given_reference
    from assay.workflow import import_results as import_results
    from assay.workflow import load as load
    from assay.workflow import load_compiled as load_compiled
    from assay.workflow import load_predictions as load_predictions
    from assay.workflow import load_prepared as load_prepared
    from assay.workflow import load_record as load_record
    from assay.workflow import load_run as load_run
    from assay.workflow import predict as predict
    from assay.workflow import prepare as prepare
    from assay.workflow import quantize as quantize
    from assay.workflow import record_reference as record_reference
    from assay.workflow import run as run
    from assay.workflow import run_demo as run_demo
    from assay.workflow import speed_table as speed_table
    from assay.workflow import to_rows as to_rows

_HOMES = {
    "AssayError": "assay.errors",
    "TransformChoice": "assay.data.transform",
    **dict.fromkeys(
        (
            "Images",
            "Length",
            "RunRequest",
            "ScenarioRequest",
            "adopt",
            "bench",
            "bench_all",
            "bench_interleaved",
            "bench_scenario",
            "build_options",
            "compare",
            "compare_all",
            "compile_to",
            "describe",
            "doctor",
            "evaluate",
            "export",
            "gates_of",
            "given_reference",
            "import_results",
            "load",
            "load_compiled",
            "load_predictions",
            "load_prepared",
            "load_record",
            "load_run",
            "predict",
            "prepare",
            "quantize",
            "record_reference",
            "run",
            "run_demo",
            "speed_table",
            "to_rows",
        ),
        "assay.workflow",
    ),
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'assay' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_HOMES)
