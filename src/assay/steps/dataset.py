"""images and labels → the record of the images that were used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assay import units
from assay.data import class_list as class_lists
from assay.data import labels as label_files
from assay.data.sources import Source
from assay.progress import Progress
from assay.records import Dataset, ImageFailure, ImageWarning
from assay.storage import store


@dataclass(frozen=True)
class Labelling:
    """The classes of images, and what said so."""

    classes: tuple[int, ...] | None = None
    """Every image's class, in the order of the names; None where they have none."""
    class_folders: Mapping[str, int] | None = None
    """The class of each class folder, if its name alone says which it is: by its place, until a model is known."""
    listed_classes: int | None = None
    """How many classes the list has that numbered them."""
    assumptions: tuple[str, ...] = ()
    """What was left open, and how it was read."""

    @property
    def of_dataset(self) -> dict[str, Any]:
        """The fields of a data set's record."""
        return {
            "labels": self.classes,
            "class_folders": self.class_folders,
            "listed_classes": self.listed_classes,
            "assumptions": self.assumptions,
        }


def labelling_of(source: Source, labels: Path | None, class_list: Path | None = None) -> Labelling:
    """Every image's class: from the label file, or else as the source itself has it, or else unknown.

    Names of classes, in the label file or of folders, are numbered by the class list; without one, folders are
    numbered in their own order. Raises `DatasetError` with what has no class or no image.
    """
    known = class_lists.read(class_list) if class_list is not None else None
    listed = known.count if known is not None else None
    if labels is not None:
        return Labelling(label_files.classes_of(source.names, labels, known), listed_classes=listed)
    classes = source.classes(known)
    if known is not None or source.folders is None:
        return Labelling(classes, listed_classes=listed)
    return Labelling(classes, class_folders={folder: place for place, folder in enumerate(source.folders)})


@dataclass(frozen=True)
class Used:
    """The images of a source that were used, once the bytes of each were read."""

    names: Sequence[str]
    image_sha256: Sequence[str]
    failures: tuple[ImageFailure, ...] = ()
    warnings: tuple[ImageWarning, ...] = ()


def describe(source: Source, used: Used, labelling: Labelling) -> Dataset:
    """The record of the images that were used; the classes are of all in `source`."""
    classes = labelling.classes
    of_name = dict(zip(source.names, classes, strict=True)) if classes is not None else None
    labels = tuple(of_name[name] for name in used.names) if of_name is not None else None
    return Dataset(
        source=source.path.resolve(),
        names=tuple(used.names),
        image_sha256=tuple(used.image_sha256),
        fingerprint=store.hash_of(list(used.names), list(used.image_sha256)),
        skipped=source.skipped,
        failures=used.failures,
        warnings=used.warnings,
        **replace(labelling, classes=labels).of_dataset,
    )


def tell(dataset: Dataset, progress: Progress) -> None:
    """Says what was assumed, what was passed over and what failed."""
    for assumption in dataset.assumptions:
        progress.warn(assumption)
    if dataset.skipped:
        progress.note(f"skipped {len(dataset.skipped)} files, no images by their names: {units.names(dataset.skipped)}")
    if dataset.failures:
        progress.note(
            f"left out {len(dataset.failures)} images that cannot be decoded: "
            f"{units.names(tuple(failure.name for failure in dataset.failures))}"
        )
    if dataset.warnings:
        progress.warn(damaged(dataset.warnings))


def damaged(warnings: Sequence[ImageWarning]) -> str:
    """One sentence on images that were used though their decoder warned of them."""
    named = units.names(tuple(f"{warning.name} ({warning.reason})" for warning in warnings))
    used, whose = ("was", "its") if len(warnings) == 1 else ("were", "their")
    return f"{units.counted(len(warnings), 'image')} {used} used with a warning of {whose} decoder: {named}"
