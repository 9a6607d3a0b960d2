"""Class names and scores of single images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import numpy as np

from assay.backends.base import Scores
from assay.data.transform import TransformChoice, normalise, pixels
from assay.errors import DatasetError, UsageError
from assay.progress import Progress, Silent
from assay.records import ImagePrediction, OnnxModel, PredictionList
from assay.score.accuracy import best
from assay.steps import soundness
from assay.steps.adopt import describe, tell
from assay.steps.keywords import StrPath, path, paths, takes
from assay.steps.parity import BOUNDS
from assay.steps.reference import Rows, open_reference


@dataclass(frozen=True)
class PredictRequest(TransformChoice):
    """Single images to be classified."""

    model: StrPath
    images: Sequence[StrPath]
    _: KW_ONLY
    output: str | None = None
    """The name of the output that holds the classes' scores, if there are several."""
    classes: StrPath | None = None
    """A file with the classes' names, a line each."""
    progress: Progress = Silent()


@takes(PredictRequest)
def predict(request: PredictRequest) -> PredictionList:
    """The five best classes of each image, by the ONNX model in ONNX Runtime and float32."""
    classifier = describe(Path(request.model), request.transform, request.output)
    names = _class_names(path(request.classes), classifier)
    given = [Path(image) for image in paths(request.images)]
    with open_reference(classifier) as score:
        images = tuple(_predicted(image, classifier, names, score, image == given[0]) for image in given)
    tell(classifier, request.progress)
    return PredictionList(model=classifier, images=images)


def _predicted(
    image: Path, classifier: OnnxModel, names: Sequence[str] | None, score: Callable[[Rows], Scores], is_first: bool
) -> ImagePrediction:
    transform = classifier.transform
    try:
        batch = pixels(image.read_bytes(), transform)[np.newaxis]
    except OSError as error:
        raise DatasetError(f"cannot read image {image}: {error.strerror or error}") from error
    except DatasetError as error:
        raise DatasetError(f"image {image} cannot be used: {error.message}", remedy=error.remedy) from error
    floats = np.empty((1, 3, transform.crop, transform.crop), np.float32)
    own = score(normalise(batch, transform, floats))
    soundness.require_scores(classifier, own, [str(image)])
    if is_first:
        soundness.require_unmixed(classifier, score, batch[0], own[0], BOUNDS[classifier.precision].difference)
    classes, scores = best(own)
    return ImagePrediction(
        image=image,
        classes=tuple(int(number) for number in classes[0]),
        scores=tuple(float(value) for value in scores[0]),
        names=tuple(names[number] for number in classes[0]) if names else None,
    )


def _class_names(file: Path | None, classifier: OnnxModel) -> tuple[str, ...] | None:
    if file is None:
        return classifier.class_names
    try:
        names = tuple(file.read_text(encoding="utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read class names {file}: {error}") from error
    if len(names) != classifier.classes:
        raise UsageError(f"{file} names {len(names)} classes, a line each; the model has {classifier.classes}")
    return names
