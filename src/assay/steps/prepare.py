"""images, labels ─prepare→ prepared data set."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import msgspec

from assay import environment, units
from assay.data import prepared as preparation
from assay.data import sources
from assay.data.prepared import RECORD, OnError, Shard
from assay.data.sources import Source
from assay.data.transform import TransformChoice, choose, tell_transform
from assay.errors import Option, Remedy, UsageError
from assay.progress import Progress, Silent
from assay.records import ImageTransform, PreparedDataset
from assay.steps import dataset as datasets
from assay.steps.adopt import transform_of
from assay.steps.dataset import Labelling, Used
from assay.steps.keywords import StrPath, path, takes
from assay.steps.step import Step
from assay.storage import store

_RECIPE = 1
"""Raised when the same images give other pixels than before."""


@dataclass(frozen=True)
class PrepareRequest(TransformChoice):
    """Images to be decoded, resized and cropped once."""

    images: StrPath
    _: KW_ONLY
    out: StrPath
    labels: StrPath | None = None
    class_list: StrPath | None = None
    like: StrPath | None = None
    """An ONNX model whose transform is taken."""
    on_error: OnError = "stop"
    """Whether images that cannot be decoded end it, or are left out."""
    timeout: float | None = None
    """Seconds after which a stage without progress is given up."""
    progress: Progress = Silent()


@takes(PrepareRequest)
def prepare(request: PrepareRequest) -> PreparedDataset:
    """Decodes, resizes and crops every image once; raises `DatasetError` naming what cannot be used.

    Raises `StalledError` if one image, or the writing of a shard, takes more seconds than the timeout.
    """
    if request.like is not None and request.preset is not None:
        raise UsageError(
            "two whole transforms are named",
            remedy=Remedy("give {} or {}, not both", Option("like"), Option("preset")),
        )
    if request.like is not None:
        transform, transform_source = transform_of(Path(request.like), request.transform)
    else:
        transform, transform_source = choose(request.transform, None, None)
    tell_transform(transform_source, request.progress)
    return prepare_with(request, transform)


def prepare_with(request: PrepareRequest, transform: ImageTransform) -> PreparedDataset:
    """Prepares images with a transform that is settled already."""
    images, out, progress = Path(request.images), Path(request.out), request.progress
    source = sources.find(images)
    labelling = datasets.labelling_of(source, path(request.labels), path(request.class_list))
    stamps = [(name, source.stamp(name)) for name in source.names]
    step = Step(
        name="prepare",
        kind=PreparedDataset,
        record=out / RECORD,
        # The labels play no part in the pixels: to correct one is no reason to decode all images again.
        made_from=store.hash_of(
            "prepare",
            _RECIPE,
            stamps,
            source.skipped,
            transform,
            request.on_error,
            images.resolve(),
            environment.decoders(),
        ),
        subject=f"{len(source.names)} images → {transform.crop}×{transform.crop}",
        detail=_detail,
        locked=out,
    )

    shards: list[Shard] = []

    def made() -> PreparedDataset:
        written, failures = preparation.prepare(source, transform, out, progress, request.on_error, request.timeout)
        shards.extend(written)
        used = Used(
            names=[name for shard in shards for name in shard.names],
            image_sha256=[sha256 for shard in shards for sha256 in shard.image_sha256],
            failures=failures,
            warnings=tuple(warning for shard in shards for warning in shard.warnings),
        )
        dataset = datasets.describe(source, used, labelling)
        return PreparedDataset(dataset=dataset, transform=transform, shards=tuple(shard.pixels for shard in shards))

    def tell_and_clean_up(prepared: PreparedDataset) -> None:
        preparation.clean_up(out, shards)
        datasets.tell(prepared.dataset, progress)

    prepared = step.done(made, progress, tell_and_clean_up)
    labelled = _labelled(prepared, source, labelling)
    if labelled != prepared:
        store.write(out / RECORD, labelled, step.made_from)
    return labelled


def _labelled(prepared: PreparedDataset, source: Source, labelling: Labelling) -> PreparedDataset:
    """The prepared set with these labels of all images in `source`."""
    dataset = prepared.dataset
    used = Used(dataset.names, dataset.image_sha256, dataset.failures, dataset.warnings)
    given = datasets.describe(source, used, labelling)
    return msgspec.structs.replace(prepared, dataset=given)


def load_prepared(path: Path) -> PreparedDataset:
    """The record of a prepared data set, given its folder or the record itself."""
    if sources.is_archive(path):
        raise UsageError(f"{path} is an archive of images, not a prepared data set; make one: assay prepare {path}")
    return store.read(path / RECORD if path.is_dir() else path, PreparedDataset)


def prepared(path: Path, transform: ImageTransform, out: Path, progress: Progress = Silent()) -> PreparedDataset:
    """The prepared data set at a path, or the images there, prepared into `out`."""
    if is_prepared(path):
        return load_prepared(path)
    return prepare_with(PrepareRequest(path, out=out, progress=progress), transform)


def is_prepared(path: Path) -> bool:
    """Whether a prepared data set stands at a path, and not images."""
    return (path / RECORD).is_file() or (path.is_file() and not sources.is_archive(path))


def _detail(prepared: PreparedDataset) -> str:
    return f"resize {prepared.transform.resize} · fingerprint {units.short_hash(prepared.dataset.fingerprint)}"
