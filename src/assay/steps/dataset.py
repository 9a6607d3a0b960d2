"""images and labels → the record of the images that were used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay import units
from assay.data import class_list as class_lists
from assay.data import labels as label_files
from assay.data.sources import Source
from assay.progress import Progress
from assay.records import Dataset, ImageFailure, ImageWarning
from assay.storage import store


def classes_of(source: Source, labels: Path | None, class_list: Path | None = None) -> tuple[int, ...] | None:
    """Every image's class: from the label file, or else as the source itself has it, or else unknown.

    Names of classes, in the label file or of folders, are numbered by the class list; without one, folders are
    numbered in their own order. Raises `DatasetError` with what has no class or no image.
    """
    known = class_lists.read(class_list) if class_list is not None else None
    return label_files.classes_of(source.names, labels, known) if labels is not None else source.classes(known)


def describe(
    source: Source,
    names: Sequence[str],
    image_sha256: Sequence[str],
    classes: Sequence[int] | None,
    failures: tuple[ImageFailure, ...] = (),
    warnings: tuple[ImageWarning, ...] = (),
) -> Dataset:
    """The record of the images that were used, once the bytes of each were read; `classes` are of all in `source`."""
    of_name = dict(zip(source.names, classes, strict=True)) if classes is not None else None
    return Dataset(
        source=source.path.resolve(),
        names=tuple(names),
        labels=tuple(of_name[name] for name in names) if of_name is not None else None,
        image_sha256=tuple(image_sha256),
        fingerprint=store.hash_of(list(names), list(image_sha256)),
        skipped=source.skipped,
        failures=failures,
        warnings=warnings,
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
        progress.note(damaged(dataset.warnings))


def damaged(warnings: Sequence[ImageWarning]) -> str:
    """One sentence on images that were used though their decoder warned of them."""
    named = units.names(tuple(f"{warning.name} ({warning.reason})" for warning in warnings))
    return f"the decoder warned of {len(warnings)} images, which are used as it mended them: {named}"
