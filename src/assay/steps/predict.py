"""Class names and scores of single images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assay.backends.base import Scores
from assay.data.transform import TransformChoice, normalise, pixels_and_warning
from assay.errors import DatasetError, UsageError
from assay.progress import Progress, Silent
from assay.records import ImagePrediction, OnnxModel, PredictionList
from assay.score.accuracy import best
from assay.steps import soundness
from assay.steps.adopt import describe, tell
from assay.steps.check_images import demo_pixels
from assay.steps.keywords import StrPath, path, paths, takes
from assay.steps.parity import BOUNDS
from assay.steps.reference import Rows, open_reference

_BESIDE = 3
"""Images of the demo that a model is asked with whether it mixes a batch."""


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
        classify = _Classifier(classifier, names, score, request.progress)
        images = tuple(classify.predicted(image, is_first=image == given[0]) for image in given)
    tell(classifier, request.progress)
    return PredictionList(model=classifier, images=images)


@dataclass(frozen=True)
class _Classifier:
    """An opened model that classifies one image at a time."""

    model: OnnxModel
    names: Sequence[str] | None
    score: Callable[[Rows], Scores]
    progress: Progress

    def predicted(self, image: Path, is_first: bool) -> ImagePrediction:
        """The best classes of an image; with the first one the model is asked whether it mixes its batch."""
        model, pixels = self.model, self._pixels(image)
        floats = np.empty((1, 3, model.transform.crop, model.transform.crop), np.float32)
        own = self.score(normalise(pixels[np.newaxis], model.transform, floats))
        soundness.require_scores(model, own, [str(image)])
        if is_first:
            self._require_unmixed(pixels)
        classes, scores = best(own)
        return ImagePrediction(
            image=image,
            classes=tuple(int(number) for number in classes[0]),
            scores=tuple(float(value) for value in scores[0]),
            names=tuple(self.names[number] for number in classes[0]) if self.names else None,
        )

    def _require_unmixed(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Asks the model with an image among the demo's."""
        model, side = self.model, self.model.transform.crop
        images = np.concatenate([pixels[np.newaxis], demo_pixels(model.transform, _BESIDE)])
        floats = normalise(images, model.transform, np.empty((len(images), 3, side, side), np.float32))
        alone = np.concatenate([self.score(floats[at : at + 1])[:1] for at in range(len(floats))])
        crowd = soundness.Crowd(images, 2 * len(images))
        soundness.require_unmixed(model, self.score, crowd, alone, BOUNDS[model.precision].difference)

    def _pixels(self, image: Path) -> npt.NDArray[np.uint8]:
        try:
            pixels, warning = pixels_and_warning(image.read_bytes(), self.model.transform)
        except OSError as error:
            raise DatasetError(f"cannot read image {image}: {error.strerror or error}") from error
        except DatasetError as error:
            raise DatasetError(f"image {image} cannot be used: {error.message}", remedy=error.remedy) from error
        if warning is not None:
            self.progress.warn(f"image {image}: {warning}")
        return pixels


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
