"""artifact and prepared data set ─bench→ predictions and performance."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from assay.backends import opening
from assay.backends.base import Session
from assay.errors import UsageError
from assay.measure import clock, machine, pipeline, stages
from assay.measure.machine import Patience
from assay.measure.pipeline import Job
from assay.measure.stages import Slot
from assay.progress import Progress, Silent
from assay.records import CompiledModel, Dataset, Machine, Performance, Predictions, Setting, WarmUp
from assay.remote import bench as remote_bench
from assay.remote.bench import Spread
from assay.remote.shards import shardable
from assay.steps.pixel_sources import Data, Sink, Source, source_of
from assay.storage import store

SYNTHETIC_SECONDS = 10.0

_RECIPE = 1


@dataclass(frozen=True)
class Length:
    """How long to run: once over the data, or so many seconds, or so many batches, around and around."""

    seconds: float | None = None
    batches: int | None = None
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


def bench(
    compiled: CompiledModel,
    data: Data,
    folder: Path,
    *,
    run_settings: Mapping[str, Setting],
    length: Length = Length(),
    reuse: bool = False,
    sinks: Sequence[Sink] = (),
    patience: Patience = machine.AT_ONCE,
    spread: Spread | None = None,
    progress: Progress = Silent(),
) -> Measured:
    """Runs one artifact and writes what it measured below `folder`; `reuse` keeps a finished run of these inputs.

    Each of the `sinks` is given the scores as they arrive; the time that it takes is part of the run. A `spread` has
    several workers share it, once over the data.
    """
    shared = shardable(data) if spread is not None else None
    source = shared or source_of(data)
    made_from = store.hash_of(
        "bench",
        _RECIPE,
        compiled.key,
        compiled.file.sha256,
        compiled.model.transform,
        run_settings,
        source.identity(),
        length.seconds,
        length.batches,
        *([asdict(spread)] if spread is not None else []),
    )
    if reuse:
        home = folder / f"{compiled.key[:16]}-{made_from[:8]}"
        if (found := _finished(home, made_from, source, length)) is not None:
            return found
    else:
        home = new_home(folder, compiled)
    if spread is not None and shared is not None:
        if not length.once:
            raise UsageError("--duration and --iterations measure one device; leave them away to share a data set")
        shared.check(compiled)
        performance, predictions = remote_bench.measured(
            compiled, shared, home, made_from, run_settings, length.timeout, spread, patience, progress
        )
        return Measured(performance, predictions, shared.dataset(), kept=False)
    before = patience.look(compiled.options.device, progress)
    with opening.open_compiled(compiled, run_settings, length.timeout) as session:
        passage = Passage(compiled, session, source, length.once, length.timeout)
        return _measured(passage, home, made_from, run_settings, length, sinks, before, progress)


def new_home(folder: Path, compiled: CompiledModel) -> Path:
    """A folder for one more measurement: each keeps its raw times beside those of earlier ones of the same artifact."""
    places = (folder / f"{compiled.key[:16]}-{number:03}" for number in itertools.count(1))
    return next(place for place in places if not place.exists())


def _measured(
    passage: Passage,
    home: Path,
    made_from: str,
    run_settings: Mapping[str, Setting],
    length: Length,
    sinks: Sequence[Sink],
    before: Machine,
    progress: Progress,
) -> Measured:
    """Warms up, runs, and writes the records; `performance.json` last, as the sign that all is whole."""
    session, source = passage.session, passage.source
    (home / "performance.json").unlink(missing_ok=True)
    progress.start(f"bench {passage.batch}", _images_to_come(passage, length))
    warm_up = passage.warm_up(length.warm_up)
    predictions, dataset = None, None
    if source.names and length.once:
        with store.replacing(home / "scores.npy") as beside, machine.Watch(session.device) as watch:
            outcome = passage.run(_jobs(passage, length), progress, beside, sinks)
        scores = store.array_file(home / "scores.npy", (len(source.names), passage.compiled.model.classes), np.float32)
        dataset = source.dataset()
        predictions = Predictions(names=source.names, dataset_fingerprint=dataset.fingerprint, scores=scores)
        store.write(home / "predictions.json", predictions, made_from)
        store.write(home / "dataset.json", dataset, made_from)
    else:
        with machine.Watch(session.device) as watch:
            outcome = passage.run(_jobs(passage, length), progress)
    performance = Performance(
        batch=passage.batch,
        images=outcome.items,
        wall_seconds=outcome.wall_seconds,
        batch_seconds=store.save_array(home / "batch_seconds.npy", outcome.intervals),
        stages=outcome.stages,
        slots=session.slots,
        device=session.device,
        run_settings=run_settings,
        warm_up=warm_up,
        source=source.kind,
        machine=machine.after(before, watch.during, watch.users, session.device),
        peak_memory_bytes=watch.peak_memory_bytes,
        device_peak_memory_bytes=watch.device_peak_memory_bytes,
    )
    store.write(home / "performance.json", performance, made_from)
    return Measured(performance, predictions, dataset, kept=False)


def _jobs(passage: Passage, length: Length) -> Iterator[Job]:
    if length.batches is not None:
        limit = length.batches
        return stages.repeated(passage.images, passage.batch, lambda jobs: jobs >= limit)
    if length.seconds is not None or not passage.names:
        enough = stages.for_seconds(length.seconds or SYNTHETIC_SECONDS)
        return stages.repeated(passage.images, passage.batch, enough)
    return stages.once_over(passage.images, passage.batch)


def _images_to_come(passage: Passage, length: Length) -> int | None:
    """How many images the run goes over; None where only the clock can tell."""
    if length.batches is not None:
        return length.batches * passage.batch
    return len(passage.names) if passage.names and length.once else None


def _finished(home: Path, made_from: str, source: Source, length: Length) -> Measured | None:
    performance = store.kept(home / "performance.json", Performance, made_from)
    if performance is None:
        return None
    if not source.names or not length.once:
        return Measured(performance, None, None, kept=True)
    predictions = store.kept(home / "predictions.json", Predictions, made_from)
    dataset = store.kept(home / "dataset.json", Dataset, made_from)
    if predictions is None or dataset is None:
        return None
    return Measured(performance, predictions, source.relabelled(dataset), kept=True)


class Passage:
    """An open session between the stages that feed it and those that take its scores."""

    def __init__(
        self, compiled: CompiledModel, session: Session, source: Source, once: bool, timeout: float | None = None
    ) -> None:
        self.compiled, self.session, self.source = compiled, session, source
        self.batch = compiled.options.batch
        self.names = source.names
        self.timeout = timeout
        self._input_stages = source.stages(compiled, once)
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
