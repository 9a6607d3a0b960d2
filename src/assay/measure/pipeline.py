"""Stages joined by bounded queues over a ring of slots; knows no images and alone holds the clock.

A job takes a slot from the ring, passes through every stage in turn and gives the slot back. Each stage has its
own workers, which count what they did, how long they worked, and how long they waited on either side, so that
the slowest stage can be named. The first failure stops every stage and is raised to the caller; so is a stage that
holds one job for longer than a limit, where there is one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from assay.errors import StalledError
from assay.measure.channel import Channel, StoppedError
from assay.measure.clock import Intervals, now
from assay.processes import watchdog
from assay.processes import workers as step_workers
from assay.processes.watchdog import Hold
from assay.records import StageTime

S = TypeVar("S")


@dataclass(frozen=True)
class Job:
    """A batch of work: `items` things from `first` on."""

    index: int
    first: int
    items: int
    again: bool = False
    """Whether these things were worked on before in this run, so that their results are known."""


@dataclass(frozen=True)
class Stage(Generic[S]):
    """A named step that works on a job in its slot, in `workers` threads at once."""

    name: str
    work: Callable[[Job, S], None]
    workers: int = 1


@dataclass(frozen=True)
class Limit(Generic[S]):
    """How long a stage may hold one job."""

    seconds: float
    described: Callable[[Job, S], str]
    """What is being worked on, for the one who reads that it hangs."""


@dataclass(frozen=True)
class Outcome:
    """What a run of the pipeline measured."""

    wall_seconds: float
    items: int
    stages: tuple[StageTime, ...]
    intervals: npt.NDArray[np.float64]
    """float64 [jobs, 2]: start and end of each job in the timed stage, in seconds from the start of the run."""


def run(
    jobs: Iterator[Job],
    stages: Sequence[Stage[S]],
    slots: Sequence[S],
    timed: str,
    limit: Limit[S] | None = None,
) -> Outcome:
    """Runs all jobs through all stages; `timed` names the stage whose single jobs are timed.

    Raises what the first failing worker raised, after every worker has stopped; or `StalledError` where one holds a job
    for longer than the limit, which then holds it still.
    """
    if not slots or any(stage.workers < 1 for stage in stages):
        raise ValueError("a pipeline needs at least one slot, and one worker in each stage")
    ring: Channel[S] = Channel(len(slots), producers=1)
    for slot in slots:
        ring.put(slot)
    # Between two stages as many jobs may wait as the next stage has workers: more would only hold slots.
    links = [Channel[tuple[Job, S]](stage.workers, stages[number].workers) for number, stage in enumerate(stages[1:])]
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
    _run_all(workers, [ring, *links], limit)
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


class _Source(Generic[S]):
    """Gives the first stage its jobs, each with a free slot."""

    def __init__(self, jobs: Iterator[Job], ring: Channel[S]) -> None:
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
    held: tuple[float, Job, S] | None = None
    """Since when it works on which job."""
    intervals: Intervals = field(default_factory=Intervals)

    def run(self) -> None:
        work, put, take = self.stage.work, self.put, self.take
        left = now()
        while (taken := take()) is not None:
            job, slot = taken
            start = now()
            self.held = start, job, slot
            work(job, slot)
            self.held = None
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


def _run_all(
    workers: Sequence[_Worker[S]],
    channels: Sequence[Channel[S] | Channel[tuple[Job, S]]],
    limit: Limit[S] | None,
) -> None:
    """Runs every worker in a thread of its own until all are done, one has failed, or one hangs."""
    failures: list[BaseException] = []

    def stop() -> None:
        for channel in channels:
            channel.stop()

    def guarded(worker: _Worker[S]) -> None:
        try:
            worker.run()
        except StoppedError:
            pass
        except BaseException as error:  # raised again by who runs the pipeline
            failures.append(error)
            stop()

    threads = [step_workers.thread(partial(guarded, worker), worker.stage.name) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            _join(thread, workers, limit)
    except StalledError:
        stop()
        if failures:
            raise failures[0] from None
        raise
    except BaseException:
        # An interrupt reaches only this thread: the workers end with the job they are at.
        stop()
        for thread in threads:
            thread.join()
        raise
    if failures:
        raise failures[0]


def _join(thread: threading.Thread, workers: Sequence[_Worker[S]], limit: Limit[S] | None) -> None:
    """Waits for the end of one worker, and looks meanwhile at what each of them holds."""

    def ended(seconds: float | None) -> bool:
        thread.join(seconds)
        return not thread.is_alive()

    def held() -> Iterator[Hold]:
        for worker in workers:
            if limit is not None and (holds := worker.held) is not None:
                since, job, slot = holds
                yield Hold(since, worker.stage.name, limit.described(job, slot))

    watchdog.wait(ended, held, limit.seconds if limit is not None else None)


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


def _release(ring: Channel[S]) -> Callable[[tuple[Job, S]], None]:
    return lambda taken: ring.put(taken[1])


def _nothing() -> None:
    """The last stage has no channel to close."""
