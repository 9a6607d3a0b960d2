"""images, labels ─prepare→ prepared data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay import store, units
from assay.data import labels as label_files
from assay.data import prepared as preparation
from assay.data.prepared import OnError
from assay.data.sources import folder as folder_source
from assay.data.sources.folder import ImageFolder
from assay.progress import Progress, Silent, Stopwatch
from assay.records import Dataset, ImageFailure, ImageTransform, PreparedDataset

RECORD = "prepared.json"

_RECIPE = 1
"""Raised when the same images give other pixels than before."""


def prepare(
    images: Path,
    transform: ImageTransform,
    out: Path,
    *,
    labels: Path | None = None,
    on_error: OnError = "stop",
    progress: Progress = Silent(),
) -> PreparedDataset:
    """Decodes, resizes and crops every image of a folder once; raises `DatasetError` naming what cannot be used."""
    watch = Stopwatch()
    source = folder_source.find(images)
    classes = classes_of(source, labels)
    made_from = store.hash_of(
        "prepare", _RECIPE, stamps(source), source.skipped, classes, transform, on_error, images.resolve()
    )
    described = f"{len(source.names)} images → {transform.crop}×{transform.crop}"
    found = store.kept(out / RECORD, PreparedDataset, made_from)
    if found is not None:
        progress.finish("prepare", described, _detail(found), None)
        return found
    shards, failures = preparation.prepare(source, transform, out, progress, on_error)
    dataset = describe(
        source,
        [name for shard in shards for name in shard.names],
        [sha256 for shard in shards for sha256 in shard.image_sha256],
        labels,
        failures,
    )
    prepared = preparation.complete(out, dataset, transform, shards, made_from)
    progress.finish("prepare", described, _detail(prepared), watch.seconds)
    tell(dataset, progress)
    return prepared


def load_prepared(path: Path) -> PreparedDataset:
    """The record of a prepared data set, given its folder or the record itself."""
    return store.read(path / RECORD if path.is_dir() else path, PreparedDataset)


def classes_of(source: ImageFolder, labels: Path | None) -> tuple[int, ...] | None:
    """Every image's class: from the label file, or else from the class folders, or else unknown."""
    if labels is not None:
        return label_files.match(source.names, label_files.read(labels), str(labels))
    return tuple(source.class_of[name] for name in source.names) if source.class_of else None


def describe(
    source: ImageFolder,
    names: Sequence[str],
    image_sha256: Sequence[str],
    labels: Path | None,
    failures: tuple[ImageFailure, ...] = (),
) -> Dataset:
    """The record of the images that were used, once the bytes of each were read."""
    classes = classes_of(source, labels)
    of_name = dict(zip(source.names, classes, strict=True)) if classes is not None else None
    return Dataset(
        source=source.path.resolve(),
        names=tuple(names),
        labels=tuple(of_name[name] for name in names) if of_name is not None else None,
        image_sha256=tuple(image_sha256),
        fingerprint=store.hash_of(list(names), list(image_sha256)),
        skipped=source.skipped,
        failures=failures,
    )


def tell(dataset: Dataset, progress: Progress) -> None:
    """Says what was passed over and what failed."""
    if dataset.skipped:
        progress.note(f"skipped {len(dataset.skipped)} files, no images by their names: {units.names(dataset.skipped)}")
    if dataset.failures:
        progress.note(
            f"left out {len(dataset.failures)} images that cannot be decoded: "
            f"{units.names(tuple(failure.name for failure in dataset.failures))}"
        )


def stamps(source: ImageFolder) -> list[tuple[str, tuple[str, int, int] | None]]:
    """Every image's name with what tells that its file was touched; None for a link whose file is gone."""
    return [(name, _stamp(source.path / name)) for name in source.names]


def _stamp(path: Path) -> tuple[str, int, int] | None:
    try:
        return store.stamp(path)
    except OSError:
        return None


def _detail(prepared: PreparedDataset) -> str:
    return f"resize {prepared.transform.resize} · fingerprint {units.short_hash(prepared.dataset.fingerprint)}"
