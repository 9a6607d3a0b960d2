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
    from assay.tuning.request import TUNED_BATCHES as TUNED_BATCHES
    from assay.tuning.request import TuneRequest as TuneRequest
    from assay.tuning.tune import load_tuning as load_tuning
    from assay.tuning.tune import tune as tune
    from assay.workflow.adoption import adopt as adopt
    from assay.workflow.adoption import describe as describe
    from assay.workflow.adoption import float_model_of as float_model_of
    from assay.workflow.adoption import transform_of as transform_of
    from assay.workflow.artifact import choice_of as choice_of
    from assay.workflow.artifact import command as command
    from assay.workflow.artifact import compile_into as compile_into
    from assay.workflow.artifact import compile_to as compile_to
    from assay.workflow.artifact import find_compiled as find_compiled
    from assay.workflow.artifact import load_compiled as load_compiled
    from assay.workflow.asked import batch_sizes as batch_sizes
    from assay.workflow.asked import build_options as build_options
    from assay.workflow.asked import run_settings_of as run_settings_of
    from assay.workflow.choice import AUTO as AUTO
    from assay.workflow.choice import BuildRequest as BuildRequest
    from assay.workflow.choice import resolve as resolve
    from assay.workflow.comparison import compare_all as compare_all
    from assay.workflow.comparison import compare_in_turn as compare_in_turn
    from assay.workflow.complete_run import USUAL_BATCHES as USUAL_BATCHES
    from assay.workflow.complete_run import RunRequest as RunRequest
    from assay.workflow.complete_run import run as run
    from assay.workflow.dataset import load_prepared as load_prepared
    from assay.workflow.dataset import prepare as prepare
    from assay.workflow.dataset import prepared as prepared
    from assay.workflow.demonstration import run_demo as run_demo
    from assay.workflow.diagnosis import doctor as doctor
    from assay.workflow.exporting import export as export
    from assay.workflow.folders import held as held
    from assay.workflow.folders import load_predictions as load_predictions
    from assay.workflow.interleaving import bench_interleaved as bench_interleaved
    from assay.workflow.judgement import compare as compare
    from assay.workflow.judgement import evaluate as evaluate
    from assay.workflow.judgement import figures as figures
    from assay.workflow.judgement import gates_of as gates_of
    from assay.workflow.judgement import given_reference as given_reference
    from assay.workflow.judgement import load as load
    from assay.workflow.judgement import load_record as load_record
    from assay.workflow.judgement import load_run as load_run
    from assay.workflow.judgement import name_of as name_of
    from assay.workflow.judgement import paired as paired
    from assay.workflow.judgement import ranked as ranked
    from assay.workflow.judgement import record_reference as record_reference
    from assay.workflow.judgement import references_of as references_of
    from assay.workflow.judgement import speed_table as speed_table
    from assay.workflow.measurement import Length as Length
    from assay.workflow.measurement import Measured as Measured
    from assay.workflow.measurement import bench as bench
    from assay.workflow.overlap import require_apart as require_apart
    from assay.workflow.pixels import Images as Images
    from assay.workflow.prediction import predict as predict
    from assay.workflow.repairing import repair as repair
    from assay.workflow.rows import to_rows as to_rows
    from assay.workflow.trial import bench_all as bench_all

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
    "assay.tuning.request": (
        "TUNED_BATCHES",
        "TuneRequest",
    ),
    "assay.tuning.tune": (
        "load_tuning",
        "tune",
    ),
    "assay.workflow.adoption": (
        "adopt",
        "describe",
        "float_model_of",
        "transform_of",
    ),
    "assay.workflow.artifact": (
        "choice_of",
        "command",
        "compile_into",
        "compile_to",
        "find_compiled",
        "load_compiled",
    ),
    "assay.workflow.asked": (
        "batch_sizes",
        "build_options",
        "run_settings_of",
    ),
    "assay.workflow.choice": (
        "AUTO",
        "BuildRequest",
        "resolve",
    ),
    "assay.workflow.comparison": (
        "compare_all",
        "compare_in_turn",
    ),
    "assay.workflow.complete_run": (
        "RunRequest",
        "USUAL_BATCHES",
        "run",
    ),
    "assay.workflow.dataset": (
        "load_prepared",
        "prepare",
        "prepared",
    ),
    "assay.workflow.demonstration": ("run_demo",),
    "assay.workflow.diagnosis": ("doctor",),
    "assay.workflow.exporting": ("export",),
    "assay.workflow.folders": (
        "held",
        "load_predictions",
    ),
    "assay.workflow.interleaving": ("bench_interleaved",),
    "assay.workflow.judgement": (
        "compare",
        "evaluate",
        "figures",
        "gates_of",
        "given_reference",
        "load",
        "load_record",
        "load_run",
        "name_of",
        "paired",
        "ranked",
        "record_reference",
        "references_of",
        "speed_table",
    ),
    "assay.workflow.measurement": (
        "Length",
        "Measured",
        "bench",
    ),
    "assay.workflow.overlap": ("require_apart",),
    "assay.workflow.pixels": ("Images",),
    "assay.workflow.prediction": ("predict",),
    "assay.workflow.repairing": ("repair",),
    "assay.workflow.rows": ("to_rows",),
    "assay.workflow.trial": ("bench_all",),
}
"""What each step's module has for others. It is loaded when it is asked for: a trial's process needs few of them."""


def __getattr__(name: str) -> object:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
