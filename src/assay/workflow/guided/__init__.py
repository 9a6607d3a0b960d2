"""The steps of the guide with its own files between them: tensors, lists of them, dumps and `result.json`."""

from assay.workflow.guided.benchmark import benchmark, pure_inference, report
from assay.workflow.guided.compilation import compile_offline, export_checkpoint
from assay.workflow.guided.evaluation import evaluate
from assay.workflow.guided.tensors import MODEL_TYPES, list_images, list_tensors, preprocess
from assay.workflow.guided.tuning import before_and_after, tune_offline

__all__ = [
    "MODEL_TYPES",
    "before_and_after",
    "benchmark",
    "compile_offline",
    "evaluate",
    "export_checkpoint",
    "list_images",
    "list_tensors",
    "preprocess",
    "pure_inference",
    "report",
    "tune_offline",
]
