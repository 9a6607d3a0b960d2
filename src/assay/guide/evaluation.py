"""dumps, labels → `result.json`: the guide's chapter 6."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from assay.data import labels as label_files
from assay.errors import DatasetError, UsageError
from assay.guide import dumps, formats
from assay.progress import Progress, Silent
from assay.records import Accuracy
from assay.score import accuracy as score_accuracy
from assay.score import label_checks
from assay.storage import store


def evaluate(folder: Path, labels: Path, out: Path, progress: Progress = Silent()) -> Accuracy:
    """Counts Top-1 to Top-5 of a folder of dumps; every label must have its dump and every dump its label."""
    if out.resolve().parent == folder.resolve():
        raise UsageError(f"{out} would lie among the dumps, which are read whole; give another folder")
    classes = _classes(labels)
    images, scores = dumps.read(folder)
    _require_classes(classes, labels, scores.shape[1])
    unlabelled = [name for name in images if name not in classes]
    if unlabelled:
        raise DatasetError(
            f"{len(unlabelled)} of {len(images)} dumps in {folder} have no label in {labels}; add them there",
            [f"{dumps.file_name(name, binary=False)}: no line `{name}… CLASS`" for name in unlabelled],
        )
    dumped = set(images)
    missing = [(name, label) for name, label in classes.items() if name not in dumped]
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(classes)} images in {labels} have no dump in {folder}, and without them the score "
            "would be of fewer images; run benchmark over all",
            [f"line {label.line}: {name}, expected {dumps.file_name(name, binary=False)}" for name, label in missing],
        )
    accuracy = score_accuracy.count(images, scores, [classes[name].number for name in images])
    for warning in label_checks.warnings(accuracy):
        progress.warn(warning)
    store.write_bytes(out, formats.result_json(accuracy).encode())
    return accuracy


def _require_classes(labels: Mapping[str, label_files.Label], path: Path, classes: int) -> None:
    """Raises where a label is none of the model's classes; of 1001 the first is the background, which has no label."""
    known = classes - (classes == score_accuracy.WITH_BACKGROUND)
    outside = [(name, label) for name, label in labels.items() if label.number >= known]
    if outside:
        raise DatasetError(
            f"{path}: {len(outside)} of {len(labels)} labels are outside the model's classes 0 to {known - 1}",
            [f"line {label.line}: {name} with class {label.number}" for name, label in outside],
        )


def _classes(path: Path) -> dict[str, label_files.Label]:
    """The label of every image, by its name up to the first dot; raises where two images have one such name."""
    classes: dict[str, label_files.Label] = {}
    twice = []
    for name, label in label_files.read_lines(path).items():
        key = formats.key(name)
        if key in classes:
            twice.append(f"line {label.line}: {name!r} is {key!r} up to its first dot, as is line {classes[key].line}")
        else:
            classes[key] = label
    if twice:
        raise DatasetError(f"{path}: {len(twice)} lines name an image that is named already", twice)
    return classes
