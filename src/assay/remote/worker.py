"""One device's session between its stages, which is handed shards of a data set and gives back their scores."""

from __future__ import annotations

import platform
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from assay import environment
from assay.backends import opening
from assay.data.prepared import Reader
from assay.measure import pipeline, stages
from assay.measure.clock import now
from assay.measure.pipeline import Stage
from assay.measure.stages import Pixels, Scores, Slot
from assay.records import ArrayFile, CompiledModel, ImageWarning, Setting, StageTime, WarmUp
from assay.steps.pixel_sources import Content


class CutShortError(Exception):
    """A worker was told to stop in the middle of a shard."""


class Shard(NamedTuple):
    """Consecutive images: the number of the first, and how many."""

    first: int
    images: int


class Answer(NamedTuple):
    """What a worker made of a shard."""

    scores: Scores
    calls: npt.NDArray[np.float64]
    """float64 [calls, 2]: start and end of each inference call, in seconds of the worker's own clock."""
    stages: tuple[StageTime, ...]
    image_sha256: tuple[str, ...]
    warnings: tuple[ImageWarning, ...]


@dataclass(frozen=True)
class Introduction:
    """What a worker says of itself once it is ready."""

    machine: str
    device: str
    processor: str
    artifact_sha256: str
    slots: int
    in_place: bool
    """Whether it sees the very files of the prepared data set, and so needs no pixels sent."""
    warm_up: WarmUp
    decoders: tuple[str | None, ...] = ()
    """What it makes pixels of images with, where they come as files."""


@dataclass(frozen=True)
class Task:
    """What all workers of a run have in common."""

    compiled: CompiledModel
    run_settings: Mapping[str, Setting]
    shards: tuple[ArrayFile, ...] | None
    """Of the prepared data set; None where images come as files."""
    timeout: float | None = None
    """Seconds for which a stage may be at the same images."""

    def on(self, device: str, file: Path | None = None) -> Task:
        """The same for another device of the same kind, and with the artifact where it lies there."""
        options = msgspec.structs.replace(self.compiled.options, device=device)
        compiled = msgspec.structs.replace(self.compiled, options=options)
        if file is not None:
            moved = msgspec.structs.replace(compiled.file, path=file.resolve())
            compiled = msgspec.structs.replace(compiled, file=moved)
        return replace(self, compiled=compiled)


class Worker:
    """An open session; the artifact's bytes are checked against its record as it is opened."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._at_work = threading.Lock()
        self._stopped = False
        self._stack = ExitStack()
        self._session = self._stack.enter_context(opening.open_compiled(task.compiled, task.run_settings, task.timeout))
        workers = 1 if task.shards is not None else environment.cores()
        self._reader = Reader(task.shards) if task.shards is not None and _sees(task.shards) else None
        self._preprocessors = workers
        self._ring = stages.slots(self._session, self._session.slots + workers + 2)

    def introduce(self) -> Introduction:
        """Warms up, and says who it is."""
        batch = self._ring[0].batch
        warm_up = stages.warm_up(self._session, batch, self._task.timeout)
        described = environment.describe()
        return Introduction(
            machine=platform.node() or "this machine",
            device=self._session.device,
            processor=described.processor,
            artifact_sha256=self._task.compiled.file.sha256,
            slots=self._session.slots,
            in_place=self._reader is not None,
            warm_up=warm_up,
            decoders=environment.decoders() if self._task.shards is None else (),
        )

    def run(self, first: int, names: Sequence[str], content: Content) -> Answer:
        """Scores the shard that begins with image number `first`.

        Raises an `AssayError` that names the image where one cannot be used or a stage hangs at it, and `CutShortError`
        after `stop`.
        """
        compiled = self._task.compiled
        hashes: list[str] = [] if self._task.shards is not None else [""] * len(names)
        warned: dict[str, str] = {}
        scores = np.empty((len(names), compiled.model.classes), np.float32)

        def keep(place: int, part: Scores) -> None:
            if self._stopped:
                raise CutShortError
            scores[place : place + len(part)] = part

        chain: list[Stage[Slot]] = [
            *self._input_stages(first, names, content, hashes, warned),
            stages.infer(self._session, names.__getitem__),
            stages.post((keep,), lambda count: None),
        ]
        # The next shard is unpacked, and the last one's scores are packed, while one is at work.
        with self._at_work:
            begin = now()
            outcome = pipeline.run(
                stages.once_over(len(names), compiled.options.batch),
                chain,
                self._ring,
                timed=chain[-2].name,
                limit=stages.limit(self._task.timeout, names.__getitem__),
            )
        return Answer(
            scores=scores,
            # The pipeline counts from a moment that lies within microseconds of this one.
            calls=outcome.intervals + begin,
            stages=outcome.stages,
            image_sha256=tuple(hashes),
            warnings=tuple(ImageWarning(name=name, reason=warned[name]) for name in names if name in warned),
        )

    def stop(self) -> None:
        """Has the shard that is at work end with its next batch; every later one is refused."""
        self._stopped = True

    def close(self) -> None:
        """Gives the device back."""
        self._stack.close()

    def _input_stages(
        self, first: int, names: Sequence[str], content: Content, hashes: list[str], warned: dict[str, str]
    ) -> list[Stage[Slot]]:
        transform = self._task.compiled.model.transform
        if content is None:
            assert self._reader is not None  # noqa: S101 - it said so of itself
            return stages.from_prepared(_Stretch(self._reader, first), transform, self._preprocessors)
        if isinstance(content, np.ndarray):
            return stages.from_prepared(_Pixels(content), transform, self._preprocessors)
        files = dict(zip(names, content, strict=True))
        return stages.from_images(files.__getitem__, names, transform, hashes, warned, self._preprocessors)


class _Pixels:
    """A shard as the read stage takes it."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels

    def read(self, first: int, count: int, out: Pixels) -> None:
        np.copyto(out, self._pixels[first : first + count])


class _Stretch:
    """A shard where it lies among the files of the data set."""

    def __init__(self, reader: Reader, start: int) -> None:
        self._reader, self._start = reader, start

    def read(self, first: int, count: int, out: Pixels) -> None:
        self._reader.read(self._start + first, count, out)


def _sees(shards: Sequence[ArrayFile]) -> bool:
    """Whether these very files are here, on a disk of this machine or one that it shares.

    Their bytes are checked by the one who hands out; to read them all again on each of many machines would cost more
    than to send each once.
    """
    try:
        statuses = [shard.file.path.stat() for shard in shards]
    except OSError:
        return False
    return all(
        (status.st_size, status.st_mtime_ns) == (shard.file.size, shard.file.modified_ns)
        for status, shard in zip(statuses, shards, strict=True)
    )
