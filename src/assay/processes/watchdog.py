"""Work that hangs, noticed by who waits for it: who hangs cannot say so.

A thread notes what it holds and since when; the one that waits looks at the notes now and then. A thread that hangs
cannot be ended from outside: the error is raised past it, and the command ends its process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from time import perf_counter as now
from typing import NamedTuple, TypeVar

from assay.errors import StalledError
from assay.processes import workers

T = TypeVar("T")

_LOOK_SECONDS = 0.5
_LOOKS = 4
"""In the time of a timeout, at least."""


class Hold(NamedTuple):
    """What a thread is at."""

    since: float
    stage: str
    what: str


class Holds:
    """What each thread of a step is at, as it notes itself."""

    def __init__(self) -> None:
        self._of_thread: dict[int, Hold] = {}

    @contextmanager
    def at(self, stage: str, what: str) -> Iterator[None]:
        """Notes for a while what the calling thread is at."""
        thread = threading.get_ident()
        self._of_thread[thread] = Hold(now(), stage, what)
        try:
            yield
        finally:
            del self._of_thread[thread]

    def all(self) -> list[Hold]:
        """What is held now."""
        return list(self._of_thread.values())


def wait(finished: Callable[[float | None], bool], held: Callable[[], Iterable[Hold]], timeout: float | None) -> None:
    """Waits until something is finished, which itself waits so many seconds, or as long as it takes where that is None.

    Raises `StalledError` with the stage and what it holds once one thing is held for longer than the timeout.
    """
    if timeout is None:
        finished(None)
        return
    while not finished(min(timeout / _LOOKS, _LOOK_SECONDS)):
        for hold in held():
            if now() - hold.since > timeout:
                raise StalledError(hold.stage, hold.what, timeout)


def result(future: Future[T], holds: Holds, timeout: float | None) -> T:
    """A future's result, once it is there."""
    wait(lambda seconds: bool(wait_for([future], seconds).done), holds.all, timeout)
    return future.result()


@contextmanager
def pool(name: str, threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that on an error end with what they are at, and begin nothing else; one that hangs is left behind."""
    made = ThreadPoolExecutor(threads, thread_name_prefix=f"assay-{name}", initializer=workers.join_in)
    try:
        yield made
    except StalledError:
        made.shutdown(wait=False, cancel_futures=True)
        raise
    except BaseException:
        made.shutdown(cancel_futures=True)
        raise
    made.shutdown()


def within(timeout: float | None, stage: str, what: str, work: Callable[[], T]) -> T:
    """What a function returns; it runs in a thread of its own where there is a timeout, to be waited for."""
    if timeout is None:
        return work()
    future: Future[T] = Future()
    holds = Holds()

    def run() -> None:
        with holds.at(stage, what):
            try:
                future.set_result(work())
            except BaseException as error:  # raised again by who waits for the result
                future.set_exception(error)

    workers.thread(run, stage).start()
    return result(future, holds, timeout)
