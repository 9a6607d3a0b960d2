"""predictions ─evaluate→ accuracy."""

from __future__ import annotations

from pathlib import Path

from assay.data import class_list as class_lists
from assay.data import labels as label_files
from assay.records import (
    Accuracy,
    Predictions,
    ScoredImage,
)
from assay.score import accuracy as score_accuracy
from assay.storage import store


def labels_of(predictions: Predictions, labels: Path, class_list: Path | None = None) -> tuple[int, ...]:
    """The classes of the predicted images; each image must have its label and each label its image."""
    known = class_lists.read(class_list) if class_list is not None else None
    return label_files.classes_of(predictions.names, labels, known)


def evaluate(predictions: Predictions, labels: Path, class_list: Path | None = None) -> Accuracy:
    """Top-1 to Top-5 of predictions against a label file."""
    store.verified(predictions.scores.file)
    return score_accuracy.evaluate(predictions, labels_of(predictions, labels, class_list))


def ranked(predictions: Predictions, labels: Path, class_list: Path | None = None) -> list[ScoredImage]:
    """Every predicted image with its class and its best classes."""
    store.verified(predictions.scores.file)
    return list(score_accuracy.ranked(predictions, labels_of(predictions, labels, class_list)))
