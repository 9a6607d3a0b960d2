"""Class names and scores of single images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from assay.data.transform import TransformChoice, normalise, pixels
from assay.errors import DatasetError, UsageError
from assay.records import ImagePrediction, OnnxModel, PredictionList
from assay.score.accuracy import best
from assay.steps.adopt import describe
from assay.steps.parity import open_reference


def predict(
    model: Path,
    images: Sequence[Path],
    *,
    output: str | None = None,
    choice: TransformChoice = TransformChoice(),
    class_names: Path | None = None,
) -> PredictionList:
    """The five best classes of each image, by the ONNX model in ONNX Runtime and float32."""
    classifier = describe(model, choice, output)
    names = _class_names(class_names, classifier)
    transform = classifier.transform
    found = []
    with open_reference(classifier) as score:
        for path in images:
            try:
                batch = pixels(path.read_bytes(), transform)[np.newaxis]
            except OSError as error:
                raise DatasetError(f"cannot read image {path}: {error.strerror or error}") from error
            except DatasetError as error:
                raise DatasetError(f"image {path} cannot be used: {error.message}") from error
            floats = np.empty((1, 3, transform.crop, transform.crop), np.float32)
            classes, scores = best(score(normalise(batch, transform, floats)))
            found.append(
                ImagePrediction(
                    image=path,
                    classes=tuple(int(number) for number in classes[0]),
                    scores=tuple(float(value) for value in scores[0]),
                    names=tuple(names[number] for number in classes[0]) if names else None,
                )
            )
    return PredictionList(model=classifier, images=tuple(found))


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
