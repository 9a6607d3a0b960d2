"""predictions ─evaluate→ accuracy."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from assay.data import class_list as class_lists
from assay.data import labels as label_files
from assay.progress import Progress, Silent
from assay.records import Accuracy, Evaluation, NamedAccuracy, Predictions, ScoredImage
from assay.score import accuracy as score_accuracy
from assay.score import label_checks
from assay.steps.keywords import StrPath, path, takes
from assay.steps.results import load_predictions
from assay.storage import store


def labels_of(predictions: Predictions, labels: Path, class_list: Path | None = None) -> tuple[int, ...]:
    """The classes of the predicted images; each image must have its label and each label its image."""
    known = class_lists.read(class_list) if class_list is not None else None
    return label_files.classes_of(predictions.names, labels, known)


@dataclass(frozen=True)
class EvaluateRequest:
    """Predictions to be scored against labels."""

    predictions: StrPath | Predictions
    """Of a run, a scenario or a bench by its folder, or a file of predictions."""
    _: KW_ONLY
    labels: StrPath
    class_list: StrPath | None = None
    progress: Progress = Silent()

    def named(self) -> list[tuple[str, Predictions]]:
        """The predictions, each with a name: a run has some for each batch size."""
        if isinstance(self.predictions, Predictions):
            return [("predictions", self.predictions)]
        return load_predictions(Path(self.predictions))


@takes(EvaluateRequest)
def evaluate(request: EvaluateRequest) -> Evaluation:
    """Counts top-1 to top-5 of predictions against a label file."""
    results = tuple(
        NamedAccuracy(name=name, accuracy=accuracy_of(one, Path(request.labels), path(request.class_list)))
        for name, one in request.named()
    )
    for warning in dict.fromkeys(one for result in results for one in label_checks.warnings(result.accuracy)):
        request.progress.warn(warning)
    return Evaluation(results=results)


def accuracy_of(predictions: Predictions, labels: Path, class_list: Path | None = None) -> Accuracy:
    """Top-1 to top-5 of predictions against a label file."""
    store.verified(predictions.scores.file)
    return score_accuracy.evaluate(predictions, labels_of(predictions, labels, class_list))


def ranked(predictions: Predictions, labels: Path, class_list: Path | None = None) -> list[ScoredImage]:
    """Every predicted image with its class and its best classes."""
    store.verified(predictions.scores.file)
    return list(score_accuracy.ranked(predictions, labels_of(predictions, labels, class_list)))
