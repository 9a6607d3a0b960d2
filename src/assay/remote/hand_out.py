"""Shards of a data set handed out to workers as they become free, each taken once, whatever dies on the way."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import NamedTuple, Protocol

import numpy as np

from assay import units
from assay.errors import BackendError
from assay.remote.worker import Answer, Introduction, Shard, Task, Worker
from assay.steps.pixel_sources import Content

AHEAD = 2
"""Shards that a worker has at once: one at work, and one that is there when it is done."""
MOST_BYTES = 2 << 30
"""Of shards that are out; of so much memory the one who hands out, or the object store beside it, is sure to have."""
_LOSSES = 3
"""A shard with which so many workers died is the cause, not the victim."""
_SHARES = 4
"""Shards for each worker at least, so that none waits long for the last one."""


class WorkerLostError(Exception):
    """A worker died with a shard."""


class Crew(Protocol):
    """Workers, wherever they are; each has a name of its own."""

    def gather(self) -> dict[str, Introduction]:
        """Starts all workers and waits until they are warm."""

    def hand(self, worker: str, first: int, names: Sequence[str], content: Content) -> Hashable:
        """Gives a worker the shard from image number `first` on; returns at once what `answer` knows it by."""

    def finished(self, tickets: Sequence[Hashable]) -> Sequence[Hashable]:
        """Waits until one or more of them are, done or lost."""

    def answer(self, ticket: Hashable) -> Answer:
        """What came of it, on the clock of this process; raises `WorkerLostError`, or what the worker raised."""

    def replaced(self, worker: str) -> dict[str, Introduction]:
        """A new worker in place of one that died; empty where there can be none."""

    def close(self) -> None:
        """Ends all workers."""


def shard_images(images: int, batch: int, workers: int, usual: int) -> int:
    """How many images a shard has: whole batches, `usual` at most, and fewer where there are many workers."""
    fair = -(-images // (_SHARES * workers))
    return max(1, min(usual, fair) // batch) * batch


def divided(gaps: Sequence[Shard], images: int) -> list[Shard]:
    """Stretches of images in shards of so many."""
    return [
        Shard(first, min(images, gap.first + gap.images - first))
        for gap in gaps
        for first in range(gap.first, gap.first + gap.images, images)
    ]


class _Out(NamedTuple):
    """A shard that a worker has."""

    worker: str
    shard: Shard
    size: int


class Shared(Protocol):
    """The work that is handed out."""

    @property
    def names(self) -> Sequence[str]:
        """Of all images."""

    def load(self, shard: Shard, worker: str) -> Content:
        """What a worker is sent of a shard."""

    def take(self, shard: Shard, worker: str, answer: Answer) -> None:
        """Keeps a worker's answer; called once for each shard, in one thread."""

    def joined(self, workers: Mapping[str, Introduction]) -> None:
        """Notes workers that were started in place of others."""

    def lose(self, worker: str) -> None:
        """Notes a worker that died."""


def hand_out(shards: Sequence[Shard], workers: Sequence[str], crew: Crew, work: Shared) -> None:
    """Every shard to a worker that is free, and its answer to `work.take`.

    A worker that dies is replaced where it can be, and what it had is handed out again. Raises what a worker raised,
    and `BackendError` where none is left, or one shard was the death of several.
    """
    waiting = deque(shards)
    out: dict[Hashable, _Out] = {}
    free = Counter(dict.fromkeys(workers, AHEAD))
    deaths: Counter[Shard] = Counter()
    held = 0
    with ThreadPoolExecutor(1) as taker:
        taking: deque[Future[None]] = deque()
        while waiting or out:
            for worker in _free(free):
                if not waiting or (out and held >= MOST_BYTES):
                    break
                shard = waiting.popleft()
                content = work.load(shard, worker)
                size = _bytes(content)
                ticket = crew.hand(worker, shard.first, work.names[shard.first : shard.first + shard.images], content)
                out[ticket] = _Out(worker, shard, size)
                free[worker] -= 1
                held += size
            if not out:
                raise BackendError(
                    f"no worker is left, and {units.counted(len(waiting), 'shard')} are not done; what is done is "
                    "kept: mend the cluster and run it again"
                )
            for ticket in crew.finished(tuple(out)):
                worker, shard, size = out[ticket]
                try:
                    answer = crew.answer(ticket)
                except WorkerLostError as error:
                    if worker in free:
                        _blame(
                            next(one.shard for one in out.values() if one.worker == worker), deaths, work.names, error
                        )
                        del free[worker]
                        work.lose(worker)
                        new = crew.replaced(worker)
                        work.joined(new)
                        free.update(dict.fromkeys(new, AHEAD))
                    waiting.appendleft(shard)
                else:
                    if worker in free:
                        free[worker] += 1
                    taking.append(taker.submit(work.take, shard, worker, answer))
                del out[ticket]
                held -= size
            while taking and (len(taking) > len(free) * AHEAD or taking[0].done()):
                # A full disk is said here, and not after all the work.
                taking.popleft().result()
        for one in taking:
            one.result()


def _blame(shard: Shard, deaths: Counter[Shard], names: Sequence[str], error: WorkerLostError) -> None:
    """Counts a worker's death for the shard that it was at, its oldest; those that waited there have no part in it."""
    deaths[shard] += 1
    if deaths[shard] >= _LOSSES:
        raise BackendError(
            f"{units.counted(_LOSSES, 'worker')} died with the images from {names[shard.first]} on ({error}); look at "
            "these, or at the memory that a worker has"
        ) from error


def _free(free: Counter[str]) -> Iterator[str]:
    """Workers that can take a shard, those first that have none."""
    for count in range(AHEAD, 0, -1):
        yield from [worker for worker, places in free.items() if places == count]


def _bytes(content: Content) -> int:
    if content is None:
        return 0
    return content.nbytes if isinstance(content, np.ndarray) else sum(len(file) for file in content)


class Devices:
    """Workers in threads of this process, one a device: sessions give the interpreter free while they compute."""

    def __init__(self, task: Task, devices: Sequence[str]) -> None:
        self._task, self._devices = task, devices
        self._stack = ExitStack()
        self._workers: dict[str, tuple[Worker, ThreadPoolExecutor]] = {}

    def gather(self) -> dict[str, Introduction]:
        """One device after the other: while a session opens, its backend may compile, and that has no rivals here."""
        introductions = {}
        for number, device in enumerate(self._devices):
            worker = Worker(self._task.on(device))
            self._stack.callback(worker.close)
            name = f"{number} {device}"
            # Left before the session: a thread may be in an inference call.
            self._workers[name] = worker, self._stack.enter_context(ThreadPoolExecutor(AHEAD))
            introductions[name] = worker.introduce()
        return introductions

    def hand(self, worker: str, first: int, names: Sequence[str], content: Content) -> Hashable:
        """To the worker's thread."""
        run, thread = self._workers[worker][0].run, self._workers[worker][1]
        return thread.submit(run, first, names, content)

    def finished(self, tickets: Sequence[Hashable]) -> Sequence[Hashable]:
        """Those that are done."""
        futures = [ticket for ticket in tickets if isinstance(ticket, Future)]
        return tuple(wait(futures, return_when="FIRST_COMPLETED").done)

    def answer(self, ticket: Hashable) -> Answer:
        """All have one clock already."""
        assert isinstance(ticket, Future)  # noqa: S101 - what `hand` gave
        answer: Answer = ticket.result()
        return answer

    def replaced(self, worker: str) -> dict[str, Introduction]:
        """A thread does not die alone."""
        return {}

    def close(self) -> None:
        """Gives the devices back."""
        for worker, thread in self._workers.values():
            worker.stop()
            thread.shutdown(wait=False, cancel_futures=True)
        self._stack.close()
