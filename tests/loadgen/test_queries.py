"""The system that LoadGen tests, with a stand-in for LoadGen: what is asked is answered once, and padding never."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest

from assay.errors import BackendError
from assay.loadgen.queries import Library, Noise, Sample, SystemUnderTest
from assay.records import ImageTransform, TensorSpec

TRANSFORM = ImageTransform(resize=2, crop=2, interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
PATIENCE = 60.0


@dataclass(frozen=True)
class Asked:
    """A sample as LoadGen has it."""

    id: int
    index: int


class Numbered:
    """Image n has the pixels n."""

    def read(self, first: int, count: int, out: np.ndarray[Any, np.dtype[Any]]) -> None:
        for offset in range(count):
            out[offset] = first + offset


class Echo:
    """Scores an image by its first pixel; waits where it is told to."""

    device = "cpu"

    def __init__(self, batch: int, slots: int = 1, dtype: str = "uint8") -> None:
        shape = (batch, 2, 2, 3) if dtype == "uint8" else (batch, 3, 2, 2)
        self.input = TensorSpec(name="image", shape=shape, dtype=dtype)
        self.output = TensorSpec(name="class", shape=(batch, 1), dtype="float32")
        self.slots = slots
        self.go = threading.Event()
        self.go.set()
        self.seen: list[list[float]] = []

    def infer(self, batch: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        assert self.go.wait(PATIENCE)
        found = batch.reshape(len(batch), -1)[:, :1].astype(np.float32)
        self.seen.append(found[:, 0].tolist())
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Answers:
    """What was answered, by the samples' ids."""

    def __init__(self, wanted: int) -> None:
        self.scores: list[tuple[int, float]] = []
        self.whole = threading.Event()
        self.failures: list[BaseException] = []
        self._wanted = wanted
        self._lock = threading.Lock()

    def complete(self, samples: Sequence[Sample], scores: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        assert len(samples) == len(scores)
        with self._lock:
            self.scores += [(sample.id, float(score[0])) for sample, score in zip(samples, scores, strict=True)]
            if len(self.scores) >= self._wanted:
                self.whole.set()

    def failed(self, error: BaseException) -> None:
        self.failures.append(error)
        self.whole.set()


def system(session: Echo, answers: Answers, gathers: bool = False) -> SystemUnderTest:
    library = Library(session, Numbered(), 20, TRANSFORM)
    library.load([*range(19, -1, -1)])
    return SystemUnderTest(session, library, answers.complete, answers.failed, gathers)


@pytest.mark.parametrize("slots", [1, 3])
def test_each_image_is_answered_once_with_its_own_score_and_padding_never(slots: int) -> None:
    session, answers = Echo(batch=4, slots=slots), Answers(10)
    tested = system(session, answers)
    tested.issue([Asked(id=100 + number, index=number) for number in range(10)])
    assert answers.whole.wait(PATIENCE)
    tested.end()
    assert sorted(answers.scores) == [(100 + number, number) for number in range(10)]
    assert (tested.queries, tested.issued, tested.completed) == (1, 10, 10)
    assert sorted(len(seen) for seen in session.seen) == [4, 4, 4]
    assert [8.0, 9.0, 0.0, 0.0] in session.seen


def test_queries_that_wait_are_answered_by_one_call_where_they_are_gathered() -> None:
    session, answers = Echo(batch=4), Answers(6)
    session.go.clear()
    tested = system(session, answers, gathers=True)
    for number in range(6):
        tested.issue([Asked(id=number, index=number)])
    session.go.set()
    assert answers.whole.wait(PATIENCE)
    tested.end()
    assert sorted(answers.scores) == [(number, number) for number in range(6)]
    # The first may have been taken alone, before the others came.
    assert len(session.seen) in (2, 3)


def test_pixels_are_normalised_in_memory_for_a_session_that_takes_floats() -> None:
    session = Echo(batch=1, dtype="float32")
    library = Library(session, Numbered(), 20, TRANSFORM)
    library.load([7, 3])
    out = np.empty((1, 3, 2, 2), np.float32)
    library.gather([Asked(id=0, index=3)], out)
    assert out == pytest.approx(np.full(out.shape, (3 / 255 - 0.5) / 0.25), abs=1e-6)


def test_made_up_pixels_are_the_same_each_time() -> None:
    first, second = np.empty((2, 1, 4, 4, 3), np.uint8)
    Noise().read(5, 1, first)
    Noise().read(5, 1, second)
    assert np.array_equal(first, second)
    assert len(np.unique(first)) > 4


def test_a_failed_call_is_told_and_no_thread_ends_before_the_test_does() -> None:
    session, answers = Echo(batch=1, slots=2), Answers(99)

    def refuse(batch: object) -> Any:
        raise BackendError("refused")

    session.infer = refuse  # type: ignore[method-assign]
    tested = system(session, answers)
    tested.issue([Asked(id=0, index=0)])
    assert answers.whole.wait(PATIENCE)
    assert [str(error) for error in answers.failures] == ["refused"]
    tested.rest()
    assert len([thread for thread in threading.enumerate() if thread.name == "assay-answers"]) >= 2
    tested.end()
    assert tested.completed == 0
