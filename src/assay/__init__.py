"""assay deploys a trained image classifier to an inference backend and proves that it arrived.

Each function here is a command. It takes keyword arguments named as the command's options are, or a request that holds
them, and returns the record that the command prints as JSON (see `assay.records`):

    outcome = assay.run("model.onnx", images="val", labels="val.txt", batch=[1, 16], out="RUN")
    assay.load("RUN").at(16).latency(99)  # seconds
    assay.to_rows(["RUN", "guide:T4"])  # for a data frame

Importing this package imports no runtime and no vendor: a function's home is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the one list of public names: what runs reads it below
    from assay.environment import __version__ as __version__
    from assay.errors import AssayError as AssayError
    from assay.importers.import_results import ImportRequest as ImportRequest
    from assay.importers.import_results import import_results as import_results
    from assay.loadgen.request import ScenarioRequest as ScenarioRequest
    from assay.page.report import ReportRequest as ReportRequest
    from assay.page.report import report as report
    from assay.quantization.quantize import QuantizeRequest as QuantizeRequest
    from assay.quantization.quantize import quantize as quantize
    from assay.records import Runnable as Runnable
    from assay.steps.adopt import AdoptRequest as AdoptRequest
    from assay.steps.adopt import adopt as adopt
    from assay.steps.compare import CompareRequest as CompareRequest
    from assay.steps.compare import compare as compare
    from assay.steps.compile import CompileRequest as CompileRequest
    from assay.steps.compile import compile as compile  # noqa: A004 - the command's name
    from assay.steps.doctor import doctor as doctor
    from assay.steps.evaluate import EvaluateRequest as EvaluateRequest
    from assay.steps.evaluate import evaluate as evaluate
    from assay.steps.export import ExportRequest as ExportRequest
    from assay.steps.export import export as export
    from assay.steps.measurement import Measuring as Measuring
    from assay.steps.predict import PredictRequest as PredictRequest
    from assay.steps.predict import predict as predict
    from assay.steps.prepare import PrepareRequest as PrepareRequest
    from assay.steps.prepare import prepare as prepare
    from assay.steps.rows import to_rows as to_rows
    from assay.tuning.request import TuneRequest as TuneRequest
    from assay.tuning.tune import tune as tune
    from assay.whole_run.bench import BenchRequest as BenchRequest
    from assay.whole_run.bench import bench as bench
    from assay.whole_run.demo import run_demo as run_demo
    from assay.whole_run.load import load as load
    from assay.whole_run.repair import repair as repair
    from assay.whole_run.request import RunRequest as RunRequest
    from assay.whole_run.run import run as run

_LISTED = re.compile(r"^    from (\S+) import (\w+) as \2\b", re.MULTILINE)
_HOMES = {name: home for home, name in _LISTED.findall(Path(__file__).read_text(encoding="utf-8"))}
"""From a public name to its module."""

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'assay' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
