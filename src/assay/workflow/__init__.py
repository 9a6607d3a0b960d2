"""The order of the steps: every arrow of the way is one function here, from records to a record.

checkpoint ─export→ model ─quantize→ model ─compile→ artifact ┐
images, labels ─prepare→ prepared data set ───────────────────┴─bench→ predictions ─evaluate→ accuracy ─compare→ verdict
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.importers.import_results import default_output as default_output
    from assay.importers.import_results import import_results as import_results
    from assay.loadgen.bench import bench_scenario as bench_scenario
    from assay.loadgen.request import ScenarioRequest as ScenarioRequest
    from assay.page.report import write_report as write_report
    from assay.quantization.calibration import calibrate as calibrate
    from assay.quantization.calibration import calibration_data as calibration_data
    from assay.quantization.layer_costs import measure_sensitivity as measure_sensitivity
    from assay.quantization.quantize import quantize as quantize
    from assay.remote.bench import Spread as Spread
    from assay.score.accuracy import SHIFTED as SHIFTED
    from assay.steps.adopt import adopt as adopt
    from assay.steps.adopt import describe as describe
    from assay.steps.adopt import float_model_of as float_model_of
    from assay.steps.adopt import transform_of as transform_of
    from assay.steps.bench import bench_all as bench_all
    from assay.steps.bench import require_apart as require_apart
    from assay.steps.build_options import batch_sizes as batch_sizes
    from assay.steps.build_options import build_options as build_options
    from assay.steps.build_options import run_settings_of as run_settings_of
    from assay.steps.choose_backend import AUTO as AUTO
    from assay.steps.choose_backend import BuildRequest as BuildRequest
    from assay.steps.choose_backend import resolve as resolve
    from assay.steps.compare import compare as compare
    from assay.steps.compare import compare_all as compare_all
    from assay.steps.compare import compare_in_turn as compare_in_turn
    from assay.steps.compare import figures as figures
    from assay.steps.compare import gates_of as gates_of
    from assay.steps.compare import given_reference as given_reference
    from assay.steps.compare import paired as paired
    from assay.steps.compare import references_of as references_of
    from assay.steps.compare import speed_table as speed_table
    from assay.steps.compile import choice_of as choice_of
    from assay.steps.compile import command as command
    from assay.steps.compile import compile_into as compile_into
    from assay.steps.compile import compile_to as compile_to
    from assay.steps.compile import find_compiled as find_compiled
    from assay.steps.compile import load_compiled as load_compiled
    from assay.steps.doctor import doctor as doctor
    from assay.steps.evaluate import evaluate as evaluate
    from assay.steps.evaluate import ranked as ranked
    from assay.steps.export import export as export
    from assay.steps.interleave import bench_interleaved as bench_interleaved
    from assay.steps.measurement import Length as Length
    from assay.steps.measurement import Measured as Measured
    from assay.steps.measurement import bench as bench
    from assay.steps.pixel_sources import Images as Images
    from assay.steps.predict import predict as predict
    from assay.steps.prepare import load_prepared as load_prepared
    from assay.steps.prepare import prepare as prepare
    from assay.steps.prepare import prepared as prepared
    from assay.steps.results import held as held
    from assay.steps.results import load as load
    from assay.steps.results import load_predictions as load_predictions
    from assay.steps.results import load_record as load_record
    from assay.steps.results import load_run as load_run
    from assay.steps.results import name_of as name_of
    from assay.steps.results import record_reference as record_reference
    from assay.steps.rows import to_rows as to_rows
    from assay.tuning.request import TUNED_BATCHES as TUNED_BATCHES
    from assay.tuning.request import TuneRequest as TuneRequest
    from assay.tuning.tune import load_tuning as load_tuning
    from assay.tuning.tune import tune as tune
    from assay.workflow.complete_run import USUAL_BATCHES as USUAL_BATCHES
    from assay.workflow.complete_run import RunRequest as RunRequest
    from assay.workflow.complete_run import run as run
    from assay.workflow.demonstration import run_demo as run_demo
    from assay.workflow.repairing import repair as repair

_HOMES = {
    "assay.importers.import_results": (
        "default_output",
        "import_results",
    ),
    "assay.loadgen.bench": ("bench_scenario",),
    "assay.loadgen.request": ("ScenarioRequest",),
    "assay.page.report": ("write_report",),
    "assay.quantization.calibration": (
        "calibrate",
        "calibration_data",
    ),
    "assay.quantization.layer_costs": ("measure_sensitivity",),
    "assay.quantization.quantize": ("quantize",),
    "assay.remote.bench": ("Spread",),
    "assay.score.accuracy": ("SHIFTED",),
    "assay.steps.adopt": (
        "adopt",
        "describe",
        "float_model_of",
        "transform_of",
    ),
    "assay.steps.bench": (
        "bench_all",
        "require_apart",
    ),
    "assay.steps.build_options": (
        "batch_sizes",
        "build_options",
        "run_settings_of",
    ),
    "assay.steps.choose_backend": (
        "AUTO",
        "BuildRequest",
        "resolve",
    ),
    "assay.steps.compare": (
        "compare",
        "compare_all",
        "compare_in_turn",
        "figures",
        "gates_of",
        "given_reference",
        "paired",
        "references_of",
        "speed_table",
    ),
    "assay.steps.compile": (
        "choice_of",
        "command",
        "compile_into",
        "compile_to",
        "find_compiled",
        "load_compiled",
    ),
    "assay.steps.doctor": ("doctor",),
    "assay.steps.evaluate": (
        "evaluate",
        "ranked",
    ),
    "assay.steps.export": ("export",),
    "assay.steps.interleave": ("bench_interleaved",),
    "assay.steps.measurement": (
        "Length",
        "Measured",
        "bench",
    ),
    "assay.steps.pixel_sources": ("Images",),
    "assay.steps.predict": ("predict",),
    "assay.steps.prepare": (
        "load_prepared",
        "prepare",
        "prepared",
    ),
    "assay.steps.results": (
        "held",
        "load",
        "load_predictions",
        "load_record",
        "load_run",
        "name_of",
        "record_reference",
    ),
    "assay.steps.rows": ("to_rows",),
    "assay.tuning.request": (
        "TUNED_BATCHES",
        "TuneRequest",
    ),
    "assay.tuning.tune": (
        "load_tuning",
        "tune",
    ),
    "assay.workflow.complete_run": (
        "RunRequest",
        "USUAL_BATCHES",
        "run",
    ),
    "assay.workflow.demonstration": ("run_demo",),
    "assay.workflow.repairing": ("repair",),
}
"""What each step's module has for others. It is loaded when it is asked for: a trial's process needs few of them."""


def __getattr__(name: str) -> object:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
