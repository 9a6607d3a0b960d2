"""The system that LoadGen tests: images held in memory, and a session's long-lived threads that answer queries.

LoadGen hands over the images of a query and goes on; whoever is free takes as many of them as an artifact holds. What
fills up a batch that is not full is never answered for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from assay.backends.base import Session
from assay.data import transform as image_transform
from assay.measure.stages import PixelReader, Pixels, Scores
from assay.processes import workers
from assay.records import ImageTransform

_REST_SECONDS = 60.0
"""How long a call that is under way is waited for after another has failed."""


class Sample(Protocol):
    """An image of a query, as LoadGen hands it over."""

    @property
    def id(self) -> int:
        """By which it is answered."""

    @property
    def index(self) -> int:
        """Of the image in the library."""


Complete = Callable[[Sequence[Sample], Scores], None]
"""Answers for images with their scores."""


class Noise:
    """Made-up pixels, the same for each number."""

    def read(self, first: int, count: int, out: Pixels) -> None:
        """Fills `out` with them."""
        for offset in range(count):
            generator = np.random.default_rng(first + offset)
            out[offset] = generator.integers(0, 256, out.shape[1:], dtype=np.uint8)


class Library:
    """Images in memory as a session takes them; loading them is no part of a test's time."""

    def __init__(self, session: Session, reader: PixelReader, images: int, transform: ImageTransform) -> None:
        self._reader, self._transform = reader, transform
        self._shape, self._dtype = tuple(int(side) for side in session.input.shape)[1:], np.dtype(session.input.dtype)
        self._places = np.full(images, -1, np.int64)
        self._held: npt.NDArray[Any] = np.empty((0, *self._shape), self._dtype)

    def load(self, indices: Sequence[int]) -> None:
        """Takes images into memory, in place of those that were there."""
        self._held = np.empty((len(indices), *self._shape), self._dtype)
        self._places[:] = -1
        for place, index in enumerate(indices):
            self._places[index] = place
            self._load(index, self._held[place : place + 1])

    def _load(self, index: int, out: npt.NDArray[Any]) -> None:
        if self._dtype == np.uint8:
            self._reader.read(index, 1, out)
            return
        _, height, width = self._shape
        pixels = np.empty((1, height, width, 3), np.uint8)
        self._reader.read(index, 1, pixels)
        image_transform.normalise(pixels, self._transform, out)

    def unload(self, _: Sequence[int]) -> None:
        """Lets the images go."""
        self._held = np.empty((0, *self._shape), self._dtype)

    def gather(self, samples: Sequence[Sample], out: npt.NDArray[Any]) -> None:
        """Copies the images of samples to the head of a batch."""
        for place, sample in enumerate(samples):
            out[place] = self._held[self._places[sample.index]]
        out[len(samples) :] = 0


class SystemUnderTest:
    """Threads around a session: one for each batch that it holds in flight, and one that fills the next meanwhile.

    They live until the test has ended, whatever happens: LoadGen crashes when a thread ends that has answered.
    """

    def __init__(
        self,
        session: Session,
        library: Library,
        complete: Complete,
        failed: Callable[[BaseException], None],
        gathers: bool,
    ) -> None:
        self._session, self._library, self._complete, self._failed = session, library, complete, failed
        self._gathers = gathers
        self._batch = int(session.input.shape[0])
        self._waiting: SimpleQueue[list[Sample] | None] = SimpleQueue()
        self._ended, self._broken = threading.Event(), threading.Event()
        self._resting = threading.Semaphore(0)
        self.queries = self.issued = 0
        # Who gathers what waits had better not take it before there is a slot for it.
        threads = session.slots if gathers else session.slots + 1
        self._slots = threading.Semaphore(session.slots)
        self._completed = [0] * threads
        self._threads = [workers.thread(partial(self._run, number), "answers") for number in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def completed(self) -> int:
        """How many images have been answered for."""
        return sum(self._completed)

    def issue(self, samples: list[Sample]) -> None:
        """Takes a query, in pieces of a batch."""
        self.queries += 1
        self.issued += len(samples)
        for first in range(0, len(samples), self._batch):
            self._waiting.put(samples[first : first + self._batch])

    def flush(self) -> None:
        """LoadGen has sent all there is; nothing here waits for more."""

    def rest(self) -> None:
        """Stops the threads at their next batch without ending them, so that the session can be closed."""
        self._broken.set()
        for _ in self._threads:
            self._waiting.put(None)
        for _ in self._threads:
            self._resting.acquire(timeout=_REST_SECONDS)

    def end(self) -> None:
        """Ends the threads, after the test has ended."""
        self._ended.set()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        shape, dtype = tuple(int(side) for side in self._session.input.shape), np.dtype(self._session.input.dtype)
        batch = np.zeros(shape, dtype)
        try:
            while not self._broken.is_set() and (samples := self._taken()) is not None:
                self._library.gather(samples, batch)
                with self._slots:
                    scores = self._session.infer(batch)
                self._complete(samples, scores[: len(samples)])
                self._completed[number] += len(samples)
        except BaseException as error:  # raised again by the thread that waits for the test
            self._failed(error)
        self._resting.release()
        self._ended.wait()

    def _taken(self) -> list[Sample] | None:
        samples = self._waiting.get()
        if samples is None or not self._gathers:
            return samples
        with suppress(Empty):
            while len(samples) < self._batch:
                more = self._waiting.get_nowait()
                if more is None:
                    # That all is over is for the next look.
                    self._waiting.put(None)
                    break
                samples += more
        return samples
