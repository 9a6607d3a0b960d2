"""artifact and prepared data set ─measure→ predictions and performance."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from assay.backends import opening
from assay.backends.base import Session
from assay.errors import Option, Remedy, UsageError
from assay.measure import clock, machine, pipeline, stages
from assay.measure.machine import Patience
from assay.measure.pipeline import Job
from assay.measure.stages import Slot
from assay.progress import Progress, Silent
from assay.records import CompiledModel, Dataset, Machine, Performance, Predictions, Runnable, WarmUp
from assay.steps.pixel_sources import Data, Sink, Source, source_of
from assay.storage import store
from assay.storage.layout import Folder, Place

SYNTHETIC_SECONDS = 10.0

PERFORMANCE_RECORD, PREDICTIONS_RECORD, DATASET_RECORD = "performance.json", "predictions.json", "dataset.json"
BATCH_SECONDS, SCORES = "batch_seconds.npy", "scores.npy"
LAYOUT = Folder(
    (
        Place(PERFORMANCE_RECORD, Performance),
        Place(PREDICTIONS_RECORD, Predictions),
        Place(DATASET_RECORD, Dataset),
        Place(BATCH_SECONDS),
        Place(SCORES),
    )
)
"""The folder of one measurement."""
MEASUREMENTS = Folder(folders={"*": LAYOUT})
_RECIPE = 1


@dataclass(frozen=True)
class Length:
    """How long to run: once over the data and for some seconds at least, or seconds, or batches, around and around."""

    seconds: float | None = None
    batches: int | None = None
    at_least: float = 0.0
    """Seconds that a run once over the data goes on for, with images that it has scored already."""
    warm_up: float = clock.WARM_UP_LIMIT_SECONDS
    """Seconds after which a warm-up ends, steady or not; how long a run takes does not hang on it."""
    timeout: float | None = None
    """Seconds after which a stage that is still at the same images hangs, and the run is given up."""

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


class Workers(Protocol):
    """Several workers that share one measurement: devices of this machine, or of others."""

    def check(self, backends: Iterable[str]) -> None:
        """Raises if they cannot be reached, or a backend has no such device on this machine."""

    @property
    def identity(self) -> object:
        """Tells whether a finished run was shared in the same way."""

    def source(self, data: Data) -> Source:
        """The data's pixels, to be shared; raises `UsageError` if they stay on this machine."""

    def measure(self, runnable: Runnable, source: Source, home: Home, measuring: Measuring) -> Measured:
        """Runs the data set once and writes the records; `performance.json` last, as the sign that all is whole."""


@dataclass(frozen=True)
class Measuring:
    """How to measure, whatever is measured."""

    length: Length = Length()
    patience: Patience = machine.AT_ONCE
    """How long to wait for an idle machine."""
    reuse: bool = False
    """Whether a finished run of the same inputs is taken as it is."""
    profile: bool = False
    """Whether the costliest nodes are measured too, by a pass of its own."""
    workers: Workers | None = None
    """Who shares a run over a data set; None: this process alone."""
    repeats: int = 1
    """How often each artifact is measured, each time in a process of its own if it is more than once."""
    process: int = 0
    """Which of several processes this one is, from 1; 0 where there is one."""
    progress: Progress = Silent()


def require_repeats(repeat: int, **excluded: bool) -> None:
    """Raises `UsageError` if there is nothing to repeat, or by options that measure in another way."""
    if repeat < 1:
        raise UsageError(f"repeat is {repeat}", remedy=Remedy("give a {} of 1 or more", Option("repeat")))
    given = [Option(name) for name, is_given in excluded.items() if is_given]
    if repeat > 1 and given:
        raise UsageError(
            "one artifact on one device is measured again in each process",
            remedy=Remedy("leave {} or {} away", Option("repeat"), given[0]),
        )


@dataclass(frozen=True)
class Home:
    """The folder of one measurement, and what the records in it were made from."""

    folder: Path
    made_from: str

    def write(self, predictions: Predictions | None, dataset: Dataset | None, performance: Performance) -> None:
        """Writes the records; `performance.json` last, as the sign that all is whole."""
        if predictions is not None and dataset is not None:
            store.write(self.folder / PREDICTIONS_RECORD, predictions, self.made_from)
            store.write(self.folder / DATASET_RECORD, dataset, self.made_from)
        store.write(self.folder / PERFORMANCE_RECORD, performance, self.made_from)


def measure(
    runnable: Runnable, data: Data, folder: Path, measuring: Measuring = Measuring(), sinks: Sequence[Sink] = ()
) -> Measured:
    """Runs one artifact and writes what it measured below `folder`.

    Each of the `sinks` is given the scores as they arrive; the time that it takes is part of the run.
    """
    compiled, length, workers = runnable.compiled, measuring.length, measuring.workers
    source = source_of(data) if workers is None else workers.source(data)
    made_from = store.hash_of(
        "bench",
        _RECIPE,
        compiled.key,
        compiled.file.sha256,
        compiled.model.transform,
        runnable.run_settings,
        source.identity(),
        length.seconds,
        length.batches,
        *([length.at_least, measuring.process] if length.at_least or measuring.process else []),
        *([workers.identity] if workers is not None else []),
    )
    if measuring.reuse:
        home = Home(folder / f"{compiled.key[:16]}-{made_from[:8]}", made_from)
        if (finished := _finished(home, source, length)) is not None:
            return finished
    else:
        home = Home(new_home(folder, compiled), made_from)
    if workers is not None:
        if not length.once or length.at_least:
            raise UsageError(
                "several workers share a data set once",
                remedy=Remedy("leave {}, {} and {} away", Option("duration"), Option("iterations"), Option("min_time")),
            )
        return workers.measure(runnable, source, home, measuring)
    before = measuring.patience.look(compiled.options.device, measuring.progress)
    with opening.open_compiled(compiled, runnable.run_settings, length.timeout) as session:
        return _measured(Passage(runnable, session, source, length), home, measuring, sinks, before)


def new_home(folder: Path, compiled: CompiledModel) -> Path:
    """A folder for one more measurement: each keeps its raw times beside those of earlier ones of the same artifact."""
    places = (folder / f"{compiled.key[:16]}-{number:03}" for number in itertools.count(1))
    return next(place for place in places if not place.exists())


def _measured(passage: Passage, home: Home, measuring: Measuring, sinks: Sequence[Sink], before: Machine) -> Measured:
    """Warms up, runs, and writes the records."""
    session, source, length = passage.session, passage.source, measuring.length
    (home.folder / PERFORMANCE_RECORD).unlink(missing_ok=True)
    measuring.progress.start(f"bench {passage.batch}", _images_to_come(passage, length))
    warm_up = passage.warm_up(length.warm_up)
    predictions, dataset = None, None
    if source.names and length.once:
        file = home.folder / SCORES
        with store.replacing(file) as beside, machine.Watch(session.device) as watch:
            outcome = passage.run(_jobs(passage, length), measuring.progress, beside, sinks)
        scores = store.array_file(file, (len(source.names), passage.compiled.model.classes), np.float32)
        dataset = source.dataset()
        predictions = Predictions(names=source.names, dataset_fingerprint=dataset.fingerprint, scores=scores)
    else:
        with machine.Watch(session.device) as watch:
            outcome = passage.run(_jobs(passage, length), measuring.progress)
    performance = Performance(
        batch=passage.batch,
        images=outcome.items,
        wall_seconds=outcome.wall_seconds,
        batch_seconds=store.save_array(home.folder / BATCH_SECONDS, outcome.intervals),
        stages=outcome.stages,
        slots=session.slots,
        device=session.device,
        run_settings=passage.run_settings,
        warm_up=warm_up,
        source=source.kind,
        machine=machine.after(before, watch.during, watch.users, session.device),
        peak_memory_bytes=watch.peak_memory_bytes,
        device_peak_memory_bytes=watch.device_peak_memory_bytes,
    )
    home.write(predictions, dataset, performance)
    return Measured(performance, predictions, dataset, kept=False)


def _jobs(passage: Passage, length: Length) -> Iterator[Job]:
    if length.batches is not None:
        limit = length.batches
        return stages.repeated(passage.images, passage.batch, lambda jobs: jobs >= limit)
    if length.seconds is not None or not passage.names:
        enough = stages.for_seconds(length.seconds or SYNTHETIC_SECONDS)
        return stages.repeated(passage.images, passage.batch, enough)
    return stages.once_over(passage.images, passage.batch, length.at_least)


def _images_to_come(passage: Passage, length: Length) -> int | None:
    """How many images the run goes over; None where only the clock can tell."""
    if length.batches is not None:
        return length.batches * passage.batch
    return len(passage.names) if passage.names and length.once and not length.at_least else None


def _finished(home: Home, source: Source, length: Length) -> Measured | None:
    performance = store.kept(home.folder / PERFORMANCE_RECORD, Performance, home.made_from)
    if performance is None:
        return None
    if not source.names or not length.once:
        return Measured(performance, None, None, kept=True)
    predictions = store.kept(home.folder / PREDICTIONS_RECORD, Predictions, home.made_from)
    dataset = store.kept(home.folder / DATASET_RECORD, Dataset, home.made_from)
    if predictions is None or dataset is None:
        return None
    return Measured(performance, predictions, source.relabelled(dataset), kept=True)


class Passage:
    """An open session between the stages that feed it and those that take its scores."""

    def __init__(self, runnable: Runnable, session: Session, source: Source, length: Length) -> None:
        self.compiled, self.run_settings = runnable.compiled, runnable.run_settings
        self.session, self.source = session, source
        self.batch = self.compiled.options.batch
        self.names = source.names
        self.timeout = length.timeout
        self._input_stages = source.stages(self.compiled, length.once)
        self._ring = self._filled_ring()

    @property
    def images(self) -> int:
        """How many images there are to go around; of made-up ones, as many as a batch has."""
        return len(self.names) or self.batch

    def warm_up(self, limit: float) -> WarmUp:
        """Calls until their times are steady, or so many seconds are up."""
        return stages.warm_up(self.session, self._ring[0].batch, self.timeout, limit)

    def run(
        self, jobs: Iterator[Job], progress: Progress, scores: Path | None = None, sinks: Sequence[Sink] = ()
    ) -> pipeline.Outcome:
        """All jobs through all stages; every image's scores go into the file, where there is one, and to the sinks."""
        infer = stages.infer(self.session, self._name_of)
        limit = stages.limit(self.timeout, self._name_of)
        if scores is None:
            chain = [*self._input_stages, infer]
            if self.names:
                chain.append(stages.post((), progress.advance))
            return pipeline.run(jobs, chain, self._ring, infer.name, limit)
        with scores.open("wb") as file:
            writer = stages.ScoreWriter(file.fileno(), len(self.names), self.compiled.model.classes)
            chain = [*self._input_stages, infer, stages.post((writer.write, *sinks), progress.advance)]
            return pipeline.run(jobs, chain, self._ring, infer.name, limit)

    def _name_of(self, image: int) -> str:
        return self.names[image] if self.names else "synthetic"

    def _filled_ring(self) -> list[Slot]:
        ring = stages.slots(self.session, self._in_flight())
        if not self.names:
            generator = np.random.default_rng(0)
            for slot in ring:
                slot.batch[...] = generator.integers(0, 256, slot.batch.shape, dtype=np.uint8)
        return ring

    def _in_flight(self) -> int:
        """A slot for each batch at work: one read, those preprocessed and inferred, and one that waits its turn.

        More would be slower, not faster: buffers that go around soon are still in the processor's cache.
        """
        if not self.names:
            return self.session.slots
        preprocess = self._input_stages[-1]
        return self.session.slots + preprocess.workers + 2
