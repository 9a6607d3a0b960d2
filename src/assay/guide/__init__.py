"""The formats and figures of the guide that this project reproduces."""

from assay.guide.benchmark import benchmark, pure_inference, report
from assay.guide.compilation import compile_offline, export_checkpoint
from assay.guide.evaluation import evaluate
from assay.guide.tensors import MODEL_TYPES, list_images, list_tensors, preprocess
from assay.guide.tuning import before_and_after, tune_offline

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
