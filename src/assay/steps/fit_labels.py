"""Images and their labels, held against the model that is to score them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar, cast

import msgspec

from assay.data.sources import class_folders
from assay.errors import DatasetError, Option, Remedy
from assay.progress import Progress, Silent
from assay.records import Dataset, OnnxModel, PreparedDataset
from assay.score import accuracy as score_accuracy
from assay.steps.dataset import Labelling
from assay.steps.pixel_sources import Data, Images, source_of

D = TypeVar("D", bound=Data)


def fit_labels(classifier: OnnxModel, data: D, progress: Progress = Silent()) -> D:
    """The images with the labels that they have for this model; tells how class folders were read.

    Raises `DatasetError` if a model does not have a label's class, if class folders cannot say which of the model's
    classes they are, or with images that the model was calibrated on.
    """
    fitted: Data = data
    if isinstance(data, PreparedDataset):
        require_apart(classifier, data.dataset)
        dataset = data.dataset
        labelling = Labelling(dataset.labels, dataset.class_folders, dataset.listed_classes)
        read = _read(classifier, labelling, dataset.names, dataset.source, progress)
        fitted = msgspec.structs.replace(data, dataset=msgspec.structs.replace(dataset, **read.of_dataset))
    elif isinstance(data, Images):
        labelling = _read(classifier, data.labelling, data.source.names, data.source.path, progress)
        fitted = replace(data, labelling=labelling)
    source = source_of(fitted)
    if source.labels is not None:
        shift = score_accuracy.fit(source.names, source.labels, classifier.classes).shift
        if shift and min(source.labels) == 0:  # otherwise the scores decide
            progress.note(score_accuracy.SHIFTED)
    return cast(D, fitted)


def _read(
    classifier: OnnxModel, labelling: Labelling, names: tuple[str, ...], path: Path, progress: Progress
) -> Labelling:
    """The labels as this model counts its classes."""
    _require_whole_list(classifier, labelling, path)
    if labelling.class_folders is None:
        return labelling
    read = class_folders.meaning(sorted(labelling.class_folders), classifier.classes, classifier.class_names, path)
    (progress.warn if read.assumed else progress.note)(str(read))
    return Labelling(
        classes=class_folders.of_images(names, read.class_of),
        class_folders=read.class_of,
        assumptions=(str(read),) if read.assumed else (),
    )


def _require_whole_list(classifier: OnnxModel, labelling: Labelling, path: Path) -> None:
    """Raises `DatasetError` if the classes were numbered by a list of another number of classes than the model's."""
    background = classifier.classes == score_accuracy.WITH_BACKGROUND
    if labelling.listed_classes in (None, classifier.classes, classifier.classes - background):
        return
    raise DatasetError(
        f"the class list of {path} has {labelling.listed_classes} classes and {classifier.name} {classifier.classes}, "
        "so its order is not the model's",
        remedy=Remedy("give a {} with every class of the model, in the model's order", Option("class_list")),
    )


def require_apart(model: OnnxModel, dataset: Dataset) -> None:
    """Raises `DatasetError` with the images of a data set whose bytes are those of a calibration image."""
    if model.quantization is None:
        return
    seen = set(model.quantization.calibration_image_sha256)
    shared = [name for name, sha256 in zip(dataset.names, dataset.image_sha256, strict=True) if sha256 in seen]
    if shared:
        raise DatasetError(
            f"{len(shared)} of {len(dataset.names)} images in {dataset.source} are among those that {model.name} was "
            "calibrated on, so it would look better than it is; evaluate it on others, or quantize it again with "
            "others",
            shared,
        )
