"""artifact and prepared data set ─bench→ predictions and performance."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay import environment, store
from assay.backends import registry
from assay.backends.base import Session
from assay.data.prepared import Reader
from assay.data.sources import folder as folder_source
from assay.data.sources.folder import ImageFolder
from assay.errors import UsageError
from assay.measure import clock, pipeline, stages
from assay.measure.pipeline import Job, Stage
from assay.measure.stages import Slot
from assay.progress import Progress, Silent
from assay.records import (
    CompiledModel,
    Dataset,
    ImageTransform,
    ImageWarning,
    Performance,
    PixelSource,
    Predictions,
    PreparedDataset,
    Setting,
)
from assay.workflow import dataset as dataset_step

_SYNTHETIC_SECONDS = 10.0
_RECIPE = 1


@dataclass(frozen=True)
class Images:
    """Images that are decoded on the way, in place of a prepared data set."""

    folder: ImageFolder
    classes: tuple[int, ...] | None
    """Every image's class, in the order of the folder's names; None where they have none."""

    @staticmethod
    def of(folder: Path, labels: Path | None, class_list: Path | None = None) -> Images:
        """The images of a folder; raises `DatasetError` where labels and images do not match."""
        source = folder_source.find(folder)
        return Images(source, dataset_step.classes_of(source, labels, class_list))


Data = PreparedDataset | Images | None
"""What an artifact runs on; None is synthetic pixels and nothing but the inference call."""


@dataclass(frozen=True)
class Length:
    """How long to run: once over the data, or so many seconds, or so many batches, around and around."""

    seconds: float | None = None
    batches: int | None = None

    @property
    def once(self) -> bool:
        """Whether every image is scored exactly once, so that there are predictions."""
        return self.seconds is None and self.batches is None


@dataclass(frozen=True)
class Measured:
    """What a run of one artifact left."""

    performance: Performance
    predictions: Predictions | None
    dataset: Dataset | None
    kept: bool


def bench(
    compiled: CompiledModel,
    data: Data,
    folder: Path,
    *,
    run_settings: Mapping[str, Setting],
    length: Length = Length(),
    reuse: bool = False,
    progress: Progress = Silent(),
) -> Measured:
    """Runs one artifact and writes what it measured below `folder`; `reuse` keeps a finished run of these inputs."""
    made_from = store.hash_of(
        "bench",
        _RECIPE,
        compiled.key,
        compiled.file.sha256,
        compiled.model.transform,
        run_settings,
        _identity(data),
        length.seconds,
        length.batches,
    )
    if reuse:
        home = folder / f"{compiled.key[:16]}-{made_from[:8]}"
        if (found := _finished(home, made_from, data, length)) is not None:
            return found
    else:
        # Each measurement keeps its raw times: a second one of the same artifact stands beside the first.
        places = (folder / f"{compiled.key[:16]}-{number:03}" for number in itertools.count(1))
        home = next(place for place in places if not place.exists())
    machine_busy = environment.busy_share()
    store.verified(compiled.file)
    backend = registry.get(compiled.options.backend)
    with backend.open(compiled, run_settings) as session:
        if isinstance(data, PreparedDataset):
            _require_same_transform(compiled, data.transform)
            for shard in data.shards:
                store.verified(shard.file)
        return _Run(compiled, session, data, home, length, progress).measured(run_settings, machine_busy, made_from)


class _Run:
    """One artifact's way through the pipeline."""

    def __init__(
        self,
        compiled: CompiledModel,
        session: Session,
        data: Data,
        home: Path,
        length: Length,
        progress: Progress,
    ) -> None:
        self.compiled, self.session, self.data = compiled, session, data
        self.home, self.length, self.progress = home, length, progress
        self.batch = compiled.options.batch
        self.workers = environment.cores()
        self.names = _names(data)
        # Only a pass over every image once has a use for the images' hashes.
        self.hashes = [""] * len(self.names) if length.once else None
        self.decoder_warnings: dict[str, str] = {}
        self.input_stages = self._input_stages()

    def measured(self, run_settings: Mapping[str, Setting], machine_busy: float, made_from: str) -> Measured:
        """Warms up, runs, and writes the records; `performance.json` last, as the sign that all is whole."""
        ring = stages.slots(self.session, self._in_flight())
        if self.data is None:
            generator = np.random.default_rng(0)
            for slot in ring:
                slot.batch[...] = generator.integers(0, 256, slot.batch.shape, dtype=np.uint8)
        self.progress.start(f"bench {self.batch}", self._images_to_come())
        warm_up_calls, warm_up_seconds = clock.warm_up(lambda: self.session.infer(ring[0].batch))
        if self.data is not None and self.length.once:
            with store.replacing(self.home / "scores.npy") as beside:
                outcome = self._through_pipeline(ring, beside)
            scores = store.array_file(
                self.home / "scores.npy", (len(self.names), self.compiled.model.classes), np.float32
            )
            dataset = self._dataset(self.data)
            predictions = Predictions(names=self.names, dataset_fingerprint=dataset.fingerprint, scores=scores)
            store.write(self.home / "predictions.json", predictions, made_from)
            store.write(self.home / "dataset.json", dataset, made_from)
        else:
            outcome, predictions, dataset = self._through_pipeline(ring, None), None, None
        performance = Performance(
            batch=self.batch,
            images=outcome.items,
            wall_seconds=outcome.wall_seconds,
            batch_seconds=store.save_array(self.home / "batch_seconds.npy", outcome.intervals),
            stages=outcome.stages,
            slots=self.session.slots,
            device=self.session.device,
            run_settings=run_settings,
            warm_up_calls=warm_up_calls,
            warm_up_seconds=warm_up_seconds,
            source=_pixel_source(self.data),
            machine_busy_share=machine_busy,
        )
        store.write(self.home / "performance.json", performance, made_from)
        return Measured(performance, predictions, dataset, kept=False)

    def _through_pipeline(self, ring: list[Slot], scores: Path | None) -> pipeline.Outcome:
        infer = stages.infer(self.session, lambda image: self.names[image] if self.names else "synthetic")
        if scores is None:
            chain = [*self.input_stages, infer]
            if self.data is not None:
                chain.append(stages.post(None, self.progress.advance))
            return pipeline.run(self._jobs(), chain, ring, infer.name)
        with scores.open("wb") as file:
            writer = stages.ScoreWriter(file.fileno(), len(self.names), self.compiled.model.classes)
            chain = [*self.input_stages, infer, stages.post(writer, self.progress.advance)]
            return pipeline.run(self._jobs(), chain, ring, infer.name)

    def _input_stages(self) -> list[Stage[Slot]]:
        transform = self.compiled.model.transform
        if self.data is None:
            return []
        if isinstance(self.data, PreparedDataset):
            # Normalising is all there is to do, and only for float32 input.
            return stages.from_prepared(Reader(self.data), transform, workers=1)
        return stages.from_images(
            self.data.folder.read, self.names, transform, self.hashes, self.decoder_warnings, self.workers
        )

    def _jobs(self) -> Iterator[Job]:
        images = len(self.names) or self.batch
        if self.length.batches is not None:
            limit = self.length.batches
            return stages.repeated(images, self.batch, lambda jobs: jobs >= limit)
        if self.length.seconds is not None or self.data is None:
            return stages.repeated(images, self.batch, stages.for_seconds(self.length.seconds or _SYNTHETIC_SECONDS))
        return stages.once_over(images, self.batch)

    def _images_to_come(self) -> int | None:
        """How many images the run goes over; None where only the clock can tell."""
        if self.length.batches is not None:
            return self.length.batches * self.batch
        return len(self.names) if self.data is not None and self.length.once else None

    def _in_flight(self) -> int:
        """A slot for each batch at work: one read, those preprocessed and inferred, and one that waits its turn.

        More would be slower, not faster: buffers that go around soon are still in the processor's cache.
        """
        if self.data is None:
            return self.session.slots
        preprocess = self.input_stages[-1]
        return self.session.slots + preprocess.workers + 2

    def _dataset(self, data: PreparedDataset | Images) -> Dataset:
        if isinstance(data, PreparedDataset):
            return data.dataset
        warnings = tuple(
            ImageWarning(name=name, reason=self.decoder_warnings[name])
            for name in self.names
            if name in self.decoder_warnings
        )
        return dataset_step.describe(data.folder, self.names, self.hashes or (), data.classes, warnings=warnings)


def _finished(home: Path, made_from: str, data: Data, length: Length) -> Measured | None:
    performance = store.kept(home / "performance.json", Performance, made_from)
    if performance is None:
        return None
    if data is None or not length.once:
        return Measured(performance, None, None, kept=True)
    predictions = store.kept(home / "predictions.json", Predictions, made_from)
    dataset = store.kept(home / "dataset.json", Dataset, made_from)
    if predictions is None or dataset is None:
        return None
    # The labels are those of today: to correct one is no reason to measure again.
    if isinstance(data, PreparedDataset):
        dataset = data.dataset
    else:
        dataset = dataset_step.describe(
            data.folder, dataset.names, dataset.image_sha256, data.classes, warnings=dataset.warnings
        )
    return Measured(performance, predictions, dataset, kept=True)


def _names(data: Data) -> tuple[str, ...]:
    if data is None:
        return ()
    return data.dataset.names if isinstance(data, PreparedDataset) else data.folder.names


def labels_of(data: Data) -> tuple[tuple[str, ...], tuple[int, ...] | None]:
    """The names of the images, and their classes where they are known."""
    if isinstance(data, Images):
        return data.folder.names, data.classes
    return (data.dataset.names, data.dataset.labels) if data is not None else ((), None)


def _identity(data: Data) -> object:
    """What tells whether a finished run was made from this data; labels play no part in it."""
    if data is None:
        return "synthetic"
    if isinstance(data, PreparedDataset):
        return ["prepared", data.dataset.fingerprint, [shard.file.sha256 for shard in data.shards]]
    stamps = [data.folder.stamp(name) for name in data.folder.names]
    return ["images", stamps, environment.decoders()]


def _pixel_source(data: Data) -> PixelSource:
    if data is None:
        return "synthetic"
    return "prepared" if isinstance(data, PreparedDataset) else "images"


def _require_same_transform(compiled: CompiledModel, transform: ImageTransform) -> None:
    ours = compiled.model.transform
    if (ours.resize, ours.crop, ours.interpolation) != (
        transform.resize,
        transform.crop,
        transform.interpolation,
    ):
        raise UsageError(
            f"the prepared data set was resized to {transform.resize} and cropped to {transform.crop} "
            f"({transform.interpolation}), and {compiled.model.name} wants {ours.resize} and {ours.crop} "
            f"({ours.interpolation}); prepare it again with --like the model"
        )
