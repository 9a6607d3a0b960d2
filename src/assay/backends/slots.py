"""The slots of a session whose runtime takes one batch at a time in each: a request, an interpreter, a stream."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class SlotPool(Generic[T]):
    """So many slots, each lent to one thread at a time."""

    def __init__(self, count: int, make: Callable[[], T], free: Callable[[T], object] = lambda slot: None) -> None:
        """Makes the slots; if one fails, those made before it are freed."""
        self._idle: queue.SimpleQueue[T] = queue.SimpleQueue()
        self._free = free
        self._closed = False
        try:
            for _ in range(count):
                self._idle.put(make())
        except BaseException:
            self.close()
            raise

    @contextmanager
    def lend(self) -> Iterator[T]:
        """A slot for the block; waits until one is idle."""
        if self._closed:
            raise RuntimeError("the session is closed")
        slot = self._idle.get()
        try:
            yield slot
        finally:
            self._idle.put(slot)
            if self._closed:
                self.close()

    def close(self) -> None:
        """Frees the idle slots, and each of the others when its batch is done."""
        self._closed = True
        with suppress(queue.Empty):
            while True:
                self._free(self._idle.get_nowait())
