"""Stages joined by bounded queues over a ring of slots; knows no images and alone holds the clock.

A job takes a slot from the ring, passes through every stage in turn and gives the slot back. Each stage has its
own workers, which count what they did, how long they worked, and how long they waited on either side, so that
the slowest stage can be named. The first failure stops every stage and is raised to the caller.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from assay.measure.clock import Intervals, now
from assay.records import StageTime

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """A batch of work: `items` things from `first` on."""

    index: int
    first: int
    items: int


@dataclass(frozen=True)
class Stage(Generic[S]):
    """A named step that works on a job in its slot, in `workers` threads at once."""

    name: str
    work: Callable[[Job, S], None]
    workers: int = 1


@dataclass(frozen=True)
class Outcome:
    """What a run of the pipeline measured."""

    wall_seconds: float
    items: int
    stages: tuple[StageTime, ...]
    intervals: npt.NDArray[np.float64]
    """float64 [jobs, 2]: start and end of each job in the timed stage, in seconds from the start of the run."""


def run(jobs: Iterator[Job], stages: Sequence[Stage[S]], slots: Sequence[S], timed: str) -> Outcome:
    """Runs all jobs through all stages; `timed` names the stage whose single jobs are timed.

    Raises what the first failing worker raised, after every worker has stopped.
    """
    if not slots or any(stage.workers < 1 for stage in stages):
        raise ValueError("a pipeline needs at least one slot, and one worker in each stage")
    ring: _Channel[S] = _Channel(len(slots), producers=1)
    for slot in slots:
        ring.put(slot)
    # Between two stages as many jobs may wait as the next stage has workers: more would only hold slots.
    links = [_Channel[tuple[Job, S]](stage.workers, stages[number].workers) for number, stage in enumerate(stages[1:])]
    source = _Source(jobs, ring)
    workers: list[_Worker[S]] = []
    for number, stage in enumerate(stages):
        take = links[number - 1].get if number else source.get
        put = links[number].put if number < len(links) else _release(ring)
        done = links[number].producer_done if number < len(links) else _nothing
        workers += [
            _Worker(stage, take, put, done, timed=stage.name == timed, first=number == 0) for _ in range(stage.workers)
        ]
    begin = now()
    _run_all(workers, [ring, *links])
    finished = max(worker.last_output for worker in workers)
    if finished < begin:
        raise ValueError("a pipeline needs at least one job")
    own = {stage.name: [worker for worker in workers if worker.stage is stage] for stage in stages}
    return Outcome(
        wall_seconds=finished - begin,
        items=sum(worker.items for worker in own[stages[-1].name]),
        stages=tuple(_stage_time(stage, own[stage.name], begin, finished) for stage in stages),
        intervals=Intervals.merged([worker.intervals for worker in own[timed]], begin),
    )


class _StoppedError(Exception):
    """The run was stopped while a worker waited."""


class _Channel(Generic[T]):
    """A bounded queue that ends when its producers are done, and can be stopped under those who wait."""

    def __init__(self, capacity: int, producers: int) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._producers = producers
        self._stopped = False
        lock = threading.Lock()
        self._readable = threading.Condition(lock)
        self._writable = threading.Condition(lock)

    def put(self, item: T) -> None:
        with self._writable:
            while len(self._items) >= self._capacity and not self._stopped:
                self._writable.wait()
            if self._stopped:
                raise _StoppedError
            self._items.append(item)
            self._readable.notify()

    def get(self) -> T | None:
        """The next item; None when there will be no more."""
        with self._readable:
            while not self._items and self._producers and not self._stopped:
                self._readable.wait()
            if self._stopped:
                raise _StoppedError
            if not self._items:
                return None
            item = self._items.popleft()
            self._writable.notify()
            return item

    def producer_done(self) -> None:
        with self._readable:
            self._producers -= 1
            self._readable.notify_all()

    def stop(self) -> None:
        with self._readable:
            self._stopped = True
            self._readable.notify_all()
            self._writable.notify_all()


class _Source(Generic[S]):
    """Gives the first stage its jobs, each with a free slot."""

    def __init__(self, jobs: Iterator[Job], ring: _Channel[S]) -> None:
        self._jobs = jobs
        self._ring = ring
        self._lock = threading.Lock()

    def get(self) -> tuple[Job, S] | None:
        slot = self._ring.get()
        assert slot is not None  # noqa: S101 - the ring is never told that its producer is done
        with self._lock:
            job = next(self._jobs, None)
        if job is None:
            self._ring.put(slot)
            return None
        return job, slot


@dataclass
class _Worker(Generic[S]):
    """One thread of one stage."""

    stage: Stage[S]
    take: Callable[[], tuple[Job, S] | None]
    put: Callable[[tuple[Job, S]], None]
    done: Callable[[], None]
    timed: bool
    first: bool
    items: int = 0
    busy: float = 0.0
    waiting_in: float = 0.0
    waiting_out: float = 0.0
    last_output: float = 0.0
    intervals: Intervals = field(default_factory=Intervals)

    def run(self) -> None:
        work, put, take = self.stage.work, self.put, self.take
        left = now()
        while (taken := take()) is not None:
            job, slot = taken
            start = now()
            work(job, slot)
            end = now()
            put(taken)
            if self.timed:
                self.intervals.add(job.index, start, end)
            # The first stage never waits for work: the plan is there, and what it waits for is a free slot.
            if self.first:
                self.waiting_out += start - left
            else:
                self.waiting_in += start - left
            self.busy += end - start
            self.items += job.items
            self.last_output = end
            left = now()
            # The last stage puts into the ring, which always has room.
            self.waiting_out += left - end
        self.done()


def _run_all(workers: Sequence[_Worker[S]], channels: Sequence[_Channel[S] | _Channel[tuple[Job, S]]]) -> None:
    """Runs every worker in a thread of its own until all are done or one has failed."""
    failures: list[BaseException] = []

    def stop() -> None:
        for channel in channels:
            channel.stop()

    def guarded(worker: _Worker[S]) -> None:
        try:
            worker.run()
        except _StoppedError:
            pass
        except BaseException as error:
            failures.append(error)
            stop()

    threads = [
        threading.Thread(target=guarded, args=(worker,), name=f"assay-{worker.stage.name}", daemon=True)
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        # An interrupt reaches only this thread: the workers end with the job they are at.
        stop()
        for thread in threads:
            thread.join()
        raise
    if failures:
        raise failures[0]


def _stage_time(stage: Stage[S], workers: Sequence[_Worker[S]], begin: float, finished: float) -> StageTime:
    return StageTime(
        name=stage.name,
        workers=stage.workers,
        items=sum(worker.items for worker in workers),
        busy_seconds=sum(worker.busy for worker in workers),
        span_seconds=max(worker.last_output for worker in workers) - begin,
        waiting_in_seconds=sum(worker.waiting_in for worker in workers),
        waiting_out_seconds=sum(worker.waiting_out for worker in workers),
        run_seconds=finished - begin,
    )


def _release(ring: _Channel[S]) -> Callable[[tuple[Job, S]], None]:
    return lambda taken: ring.put(taken[1])


def _nothing() -> None:
    """The last stage has no channel to close."""
