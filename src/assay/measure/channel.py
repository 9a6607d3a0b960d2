"""The queue between two stages."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class StoppedError(Exception):
    """The run was stopped while a worker waited."""


class Channel(Generic[T]):
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
        """Adds an item, once there is room."""
        with self._writable:
            while len(self._items) >= self._capacity and not self._stopped:
                self._writable.wait()
            if self._stopped:
                raise StoppedError
            self._items.append(item)
            self._readable.notify()

    def get(self) -> T | None:
        """The next item; None when there will be no more."""
        with self._readable:
            while not self._items and self._producers and not self._stopped:
                self._readable.wait()
            if self._stopped:
                raise StoppedError
            if not self._items:
                return None
            item = self._items.popleft()
            self._writable.notify()
            return item

    def producer_done(self) -> None:
        """Says that one of the producers will put no more."""
        with self._readable:
            self._producers -= 1
            self._readable.notify_all()

    def stop(self) -> None:
        """Raises `StoppedError` in all who wait, or come to."""
        with self._readable:
            self._stopped = True
            self._readable.notify_all()
            self._writable.notify_all()
