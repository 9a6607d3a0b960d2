"""The order of the steps: every arrow of the way is one function here, from records to a record.

checkpoint ─export→ model ─compile→ artifact ┐
images, labels ─prepare→ prepared data set ──┴─bench→ predictions ─evaluate→ accuracy ─compare→ verdict
"""

from assay.score.accuracy import SHIFTED
from assay.workflow.adoption import adopt, describe, transform_of
from assay.workflow.artifact import (
    batch_sizes,
    build_options,
    compile_into,
    compile_to,
    find_compiled,
    load_compiled,
    run_settings_of,
)
from assay.workflow.complete_run import USUAL_BATCHES, RunRequest, run
from assay.workflow.dataset import load_prepared, prepare
from assay.workflow.demonstration import run_demo
from assay.workflow.diagnosis import doctor
from assay.workflow.exporting import export
from assay.workflow.judgement import (
    compare,
    evaluate,
    gates_of,
    given_reference,
    load_predictions,
    load_run,
    ranked,
    run_reference,
)
from assay.workflow.measurement import Images, Length, Measured, bench
from assay.workflow.prediction import predict
from assay.workflow.trial import bench_all, trial

__all__ = [
    "SHIFTED",
    "USUAL_BATCHES",
    "Images",
    "Length",
    "Measured",
    "RunRequest",
    "adopt",
    "batch_sizes",
    "bench",
    "bench_all",
    "build_options",
    "compare",
    "compile_into",
    "compile_to",
    "describe",
    "doctor",
    "evaluate",
    "export",
    "find_compiled",
    "gates_of",
    "given_reference",
    "load_compiled",
    "load_predictions",
    "load_prepared",
    "load_run",
    "predict",
    "prepare",
    "ranked",
    "run",
    "run_demo",
    "run_reference",
    "run_settings_of",
    "transform_of",
    "trial",
]
