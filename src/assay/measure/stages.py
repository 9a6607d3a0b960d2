"""Read, preprocess, infer, post: the one place that sees both a session and a transform."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from assay.backends.base import Batch, Session
from assay.data import transform as image_transform
from assay.errors import AssayError, DatasetError, Option, Remedy
from assay.measure import clock
from assay.measure.clock import now
from assay.measure.pipeline import Job, Limit, Stage
from assay.processes import watchdog
from assay.records import ImageTransform, WarmUp

Pixels = npt.NDArray[np.uint8]
Scores = npt.NDArray[np.float32]

_READERS = 2
"""One copies while the other waits for a slot; two saturate a memory channel."""


@dataclass
class Slot:
    """The buffers of one batch on its way, allocated once."""

    pixels: Pixels
    """uint8 N×H×W×3."""
    batch: npt.NDArray[Any]
    """What the session takes: the pixels themselves, or float32 N×3×H×W."""
    files: list[bytes] = field(default_factory=list)
    scores: Scores | None = None
    at: int | None = None
    """Which image of the batch a stage is at, where it takes them one by one."""


def slots(session: Session, count: int) -> list[Slot]:
    """A ring of buffers for a session's batches."""
    batch, *shape = (int(side) for side in session.input.shape)
    if session.input.dtype == "uint8":
        rings = [np.zeros((batch, *shape), np.uint8) for _ in range(count)]
        return [Slot(pixels=pixels, batch=pixels) for pixels in rings]
    _, height, width = shape
    return [
        Slot(
            pixels=np.zeros((batch, height, width, 3), np.uint8),
            batch=np.zeros((batch, 3, height, width), np.float32),
        )
        for _ in range(count)
    ]


def once_over(images: int, batch: int, seconds: float = 0.0) -> Iterator[Job]:
    """Every image once, and whole batches again until so many seconds are over; the last batch may be short."""
    enough, index = for_seconds(seconds), 0
    whole, rest = range(0, images - batch + 1, batch), images % batch
    enough(0)  # from the first job on
    for first in whole:
        yield Job(index, first, batch)
        index += 1
    while whole and not enough(index):
        yield Job(index, whole[index % len(whole)], batch, again=True)
        index += 1
    if rest:
        # The last one, so that what its padding costs can be told apart.
        yield Job(index, images - rest, rest)
        index += 1
    while not whole and not enough(index):
        yield Job(index, 0, rest, again=True)
        index += 1


def repeated(images: int, batch: int, until: Callable[[int], bool], start: int = 0) -> Iterator[Job]:
    """Batches around and around the images from number `start` on, until `until(jobs so far)` says that it is enough.

    A batch is whole wherever there are that many images.
    """
    index, items = start, min(batch, images)
    while not until(index - start):
        yield Job(index, (index * items) % (images - items + 1), items)
        index += 1


def for_seconds(seconds: float) -> Callable[[int], bool]:
    """Enough after so many seconds from the first job, and never before the first job."""
    begin: list[float] = []

    def enough(jobs: int) -> bool:
        if not begin:
            begin.append(now())
        return jobs > 0 and now() - begin[0] >= seconds

    return enough


class PixelReader(Protocol):
    """What a prepared data set offers the read stage."""

    def read(self, first: int, count: int, out: Pixels) -> None:
        """Copies pixels into `out`."""


def from_prepared(reader: PixelReader, transform: ImageTransform, workers: int) -> list[Stage[Slot]]:
    """Read copies pixels out of the shards; preprocess normalises where the session wants floats."""

    def read(job: Job, slot: Slot) -> None:
        reader.read(job.first, job.items, slot.pixels[: job.items])
        slot.pixels[job.items :] = 0

    def preprocess(job: Job, slot: Slot) -> None:
        if slot.batch is not slot.pixels:
            image_transform.normalise(slot.pixels, transform, slot.batch)

    return [Stage("read", read, _READERS), Stage("preprocess", preprocess, workers)]


def from_images(
    read_file: Callable[[str], bytes],
    names: Sequence[str],
    transform: ImageTransform,
    hashes: list[str] | None,
    warnings: dict[str, str],
    workers: int,
) -> list[Stage[Slot]]:
    """Read loads the files and puts their sha256 into `hashes` where there is a list.

    Preprocess decodes, resizes, crops and normalises; what a decoder warned of goes into `warnings`, by the image's
    name.
    """

    def read(job: Job, slot: Slot) -> None:
        slot.files = [read_file(names[image]) for image in _one_by_one(job, slot)]
        if hashes is not None:
            for offset, content in enumerate(slot.files):
                hashes[job.first + offset] = hashlib.sha256(content).hexdigest()

    def preprocess(job: Job, slot: Slot) -> None:
        for image in _one_by_one(job, slot):
            offset = image - job.first
            try:
                slot.pixels[offset], warning = image_transform.pixels_and_warning(slot.files[offset], transform)
                if warning is not None:
                    warnings[names[image]] = warning
            except DatasetError as error:
                raise DatasetError(
                    f"image {names[image]} cannot be used ({error.line()})",
                    remedy=Remedy("mend or remove it, or prepare the images with {}", Option("on_error", "skip")),
                ) from error
        slot.files = []
        slot.pixels[job.items :] = 0
        if slot.batch is not slot.pixels:
            image_transform.normalise(slot.pixels, transform, slot.batch)

    return [Stage("read", read, _READERS), Stage("preprocess", preprocess, workers)]


def from_tensors(paths: Sequence[str], hashes: list[str] | None) -> list[Stage[Slot]]:
    """Read loads files of raw little-endian float32 and puts their sha256 into `hashes` where there is a list.

    Preprocess lays them side by side as the session takes them: there is nothing else left to do.
    """

    def read(job: Job, slot: Slot) -> None:
        slot.files = [_content(paths[image]) for image in _one_by_one(job, slot)]
        if hashes is not None:
            for offset, content in enumerate(slot.files):
                hashes[job.first + offset] = hashlib.sha256(content).hexdigest()

    def preprocess(job: Job, slot: Slot) -> None:
        for offset, content in enumerate(slot.files):
            if len(content) != slot.batch[offset].nbytes:
                raise DatasetError(
                    f"{paths[job.first + offset]} has {len(content)} bytes and {slot.batch[offset].nbytes} are "
                    "expected: it was changed during the run; prepare it again"
                )
            slot.batch[offset] = np.frombuffer(content, "<f4").reshape(slot.batch.shape[1:])
        slot.files = []
        slot.batch[job.items :] = 0

    return [Stage("read", read, _READERS), Stage("preprocess", preprocess)]


def _one_by_one(job: Job, slot: Slot) -> Iterator[int]:
    """The numbers of a job's images, with a note in the slot of which one a stage is at."""
    for slot.at in range(job.items):
        yield job.first + slot.at
    slot.at = None


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror or error}; prepare it again") from error


def infer(session: Session, name_of: Callable[[int], str]) -> Stage[Slot]:
    """The inference call and nothing else."""

    def work(job: Job, slot: Slot) -> None:
        try:
            slot.scores = session.infer(slot.batch)
        except AssayError as error:
            error.message = f"{error.message} (batch from image {name_of(job.first)} on)"
            raise

    return Stage("infer", work, session.slots)


def warm_up(
    session: Session, batch: Batch, timeout: float | None, limit: float = clock.WARM_UP_LIMIT_SECONDS
) -> WarmUp:
    """Calls until their times are steady, or `limit` seconds are up; raises `StalledError` where one hangs."""
    what = f"a call on a batch of {len(batch)}"

    def call() -> object:
        return watchdog.within(timeout, "warm-up", what, lambda: session.infer(batch))

    return clock.warm_up(call, limit)


def limit(timeout: float | None, name_of: Callable[[int], str]) -> Limit[Slot] | None:
    """How many seconds a stage may be at the same images, which have names; None where that is no matter."""
    return None if timeout is None else Limit(timeout, lambda job, slot: _described(job, slot, name_of))


def _described(job: Job, slot: Slot, name_of: Callable[[int], str]) -> str:
    """The images that a stage is at: the one, or the first and the last of the batch."""
    if slot.at is not None:
        return f"image {name_of(job.first + slot.at)}"
    first, last = name_of(job.first), name_of(job.first + job.items - 1)
    return f"a batch of {job.items} images" + (f" ({first})" if first == last else f" ({first} to {last})")


class ScoreWriter:
    """Writes scores into a `.npy` file as they arrive, each batch at its place; holds none in memory."""

    def __init__(self, descriptor: int, images: int, classes: int) -> None:
        self._descriptor = descriptor
        self._row = classes * np.dtype(np.float32).itemsize
        with os.fdopen(os.dup(descriptor), "wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f4", "fortran_order": False, "shape": (images, classes)}
            )
            self._offset = file.tell()

    def write(self, first: int, scores: Scores) -> None:
        """Writes the scores of consecutive images from `first` on."""
        rest = memoryview(np.ascontiguousarray(scores, dtype="<f4").data).cast("B")
        place = self._offset + first * self._row
        while rest:
            written = os.pwrite(self._descriptor, rest, place)
            rest, place = rest[written:], place + written


def post(sinks: Sequence[Callable[[int, Scores], None]], advance: Callable[[int], None]) -> Stage[Slot]:
    """Hands the scores of the images to every sink, with the first image's number; never those of the padding."""

    def work(job: Job, slot: Slot) -> None:
        if slot.scores is not None and not job.again:
            for sink in sinks:
                sink(job.first, slot.scores[: job.items])
        slot.scores = None
        advance(job.items)

    return Stage("post", work)
