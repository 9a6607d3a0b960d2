"""Where a measurement takes its pixels from: each source knows its images, its stages and its data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from assay import environment
from assay.data import sources
from assay.data.prepared import Reader
from assay.data.sources.info_file import InfoFile
from assay.errors import Option, Remedy, UsageError
from assay.measure import stages
from assay.measure.pipeline import Stage
from assay.measure.stages import Slot
from assay.records import ArrayFile, CompiledModel, Dataset, ImageWarning, OnnxModel, PixelSource, PreparedDataset
from assay.steps import dataset as datasets
from assay.steps.dataset import Labelling, Used
from assay.steps.keywords import StrPath, path
from assay.storage import store


@dataclass(frozen=True)
class Images:
    """Images that are decoded on the way, in place of a prepared data set."""

    source: sources.Source
    labelling: Labelling
    """Of every image, in the order of the source's names."""

    @staticmethod
    def of(images: StrPath, labels: StrPath | None, class_list: StrPath | None = None) -> Images:
        """The images at a path; raises `DatasetError` where labels and images do not match."""
        source = sources.find(Path(images))
        return Images(source, datasets.labelling_of(source, path(labels), path(class_list)))


Data = PreparedDataset | Images | InfoFile | None
"""What an artifact runs on; None is synthetic pixels and nothing but the inference call."""


def require_transform(prepared: PreparedDataset, model: OnnxModel) -> None:
    """Raises `UsageError` where a prepared data set's pixels are not what a model takes."""
    theirs, ours = prepared.transform, model.transform
    if (ours.resize, ours.crop, ours.interpolation) != (theirs.resize, theirs.crop, theirs.interpolation):
        raise UsageError(
            f"the prepared data set was resized to {theirs.resize} and cropped to {theirs.crop} "
            f"({theirs.interpolation}), and {model.name} wants {ours.resize} and {ours.crop} "
            f"({ours.interpolation})",
            remedy=Remedy("prepare it again with {}", Option("like", "the model")),
        )


Content = stages.Pixels | Sequence[bytes] | None
"""Of consecutive images: prepared pixels, uint8 N×H×W×3, or their files; None if a worker reads them in place."""


class Source(Protocol):
    """The pixels of one run of one artifact."""

    kind: PixelSource
    names: tuple[str, ...]
    """Of the images; empty where the pixels are made up."""
    labels: tuple[int, ...] | None

    def identity(self) -> object:
        """What tells whether a finished run was made from this data; labels play no part in it."""

    def stages(self, compiled: CompiledModel, once: bool) -> list[Stage[Slot]]:
        """From the files to the session's batches; `once` says that every image is read exactly once.

        Raises `UsageError` where the pixels are not what the artifact takes.
        """

    def dataset(self) -> Dataset:
        """The images that were read, after a run over each of them once."""

    def relabelled(self, kept: Dataset) -> Dataset:
        """The data set of a finished run, with the labels of today: to correct one is no reason to measure again."""


def source_of(data: Data) -> Source:
    """The source for one run over the data."""
    if data is None:
        return _Synthetic()
    if isinstance(data, PreparedDataset):
        return _Prepared(data)
    if isinstance(data, InfoFile):
        return _Tensors(data)
    return _Files(data)


class _Synthetic:
    """Made-up pixels that are already where the session takes them from."""

    kind: PixelSource = "synthetic"
    names: tuple[str, ...] = ()
    labels: tuple[int, ...] | None = None

    def identity(self) -> object:
        return "synthetic"

    def stages(self, compiled: CompiledModel, once: bool) -> list[Stage[Slot]]:
        return []

    def dataset(self) -> Dataset:
        raise NotImplementedError("made-up pixels are no data set")

    def relabelled(self, kept: Dataset) -> Dataset:
        return kept


class _Prepared:
    """The shards of a prepared data set."""

    kind: PixelSource = "prepared"

    def __init__(self, prepared: PreparedDataset) -> None:
        self._prepared = prepared
        self.names, self.labels = prepared.dataset.names, prepared.dataset.labels
        self.array_files: tuple[ArrayFile, ...] | None = prepared.shards

    def identity(self) -> object:
        prepared = self._prepared
        return ["prepared", prepared.dataset.fingerprint, [shard.file.sha256 for shard in prepared.shards]]

    def check(self, compiled: CompiledModel) -> None:
        require_transform(self._prepared, compiled.model)
        for shard in self._prepared.shards:
            store.verified(shard.file)

    def stages(self, compiled: CompiledModel, once: bool) -> list[Stage[Slot]]:
        self.check(compiled)
        # Normalising is all there is to do, and only for float32 input.
        return stages.from_prepared(self._reader, compiled.model.transform, workers=1)

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self._prepared.shards)

    def shard(self, first: int, images: int) -> Content:
        return self._reader.part(first, images)

    def took(self, first: int, hashes: Sequence[str], warnings: Sequence[ImageWarning]) -> None:
        """Its record knows its images already."""

    def dataset(self) -> Dataset:
        return self._prepared.dataset

    def relabelled(self, kept: Dataset) -> Dataset:
        return self._prepared.dataset


class _Files:
    """Image files, decoded on the way."""

    kind: PixelSource = "images"
    array_files: tuple[ArrayFile, ...] | None = None

    def __init__(self, images: Images) -> None:
        self._source, self._labelling, self.labels = images.source, images.labelling, images.labelling.classes
        self.names = images.source.names
        self._hashes = [""] * len(self.names)
        self._warnings: dict[str, str] = {}

    def identity(self) -> object:
        return ["images", [self._source.stamp(name) for name in self.names], environment.decoders()]

    def stages(self, compiled: CompiledModel, once: bool) -> list[Stage[Slot]]:
        # Only a pass over every image once has a use for the images' hashes.
        hashes = self._hashes if once else None
        transform, workers = compiled.model.transform, environment.cores()
        return stages.from_images(self._source.read, self.names, transform, hashes, self._warnings, workers)

    def check(self, compiled: CompiledModel) -> None:
        """Each image is decoded to what the artifact takes."""

    def dataset(self) -> Dataset:
        return self._described(Used(self.names, self._hashes, warnings=self._image_warnings()))

    def relabelled(self, kept: Dataset) -> Dataset:
        return self._described(Used(kept.names, kept.image_sha256, warnings=kept.warnings))

    def shard(self, first: int, images: int) -> Content:
        return [self._source.read(name) for name in self.names[first : first + images]]

    def took(self, first: int, hashes: Sequence[str], warnings: Sequence[ImageWarning]) -> None:
        self._hashes[first : first + len(hashes)] = hashes
        self._warnings.update({warning.name: warning.reason for warning in warnings})

    def _described(self, used: Used) -> Dataset:
        return datasets.describe(self._source, used, self._labelling)

    def _image_warnings(self) -> tuple[ImageWarning, ...]:
        return tuple(
            ImageWarning(name=name, reason=self._warnings[name]) for name in self.names if name in self._warnings
        )


class _Tensors:
    """Files of normalised float32, listed by an `.info` file."""

    kind: PixelSource = "tensors"
    labels: tuple[int, ...] | None = None

    def __init__(self, listed: InfoFile) -> None:
        self._listed = listed
        self.names = listed.names
        self._hashes = [""] * len(self.names)

    def identity(self) -> object:
        return ["tensors", [store.stamp(Path(path)) for path in self._listed.paths]]

    def stages(self, compiled: CompiledModel, once: bool) -> list[Stage[Slot]]:
        if compiled.input.dtype != "float32":
            raise UsageError(
                f"{compiled.file.path} takes {compiled.input.dtype} pixels, and the files of {self._listed.path} hold "
                "normalised float32",
                remedy=Remedy("compile the model with {}", Option("input", "float32")),
            )
        side, listed = compiled.model.transform.crop, (self._listed.width, self._listed.height)
        if listed != (side, side):
            raise UsageError(
                f"{self._listed.path} lists tensors of {listed[0]}×{listed[1]}, and {compiled.file.path} takes "
                f"{side}×{side}; prepare them for this model"
            )
        return stages.from_tensors(self._listed.paths, self._hashes if once else None)

    def dataset(self) -> Dataset:
        return Dataset(
            source=self._listed.path.resolve(),
            names=self.names,
            labels=None,
            image_sha256=tuple(self._hashes),
            fingerprint=store.hash_of(list(self.names), self._hashes),
            skipped=(),
            failures=(),
        )

    def relabelled(self, kept: Dataset) -> Dataset:
        return kept


Sink = Callable[[int, stages.Scores], None]
"""Takes the scores of consecutive images, from the number of the first on."""
