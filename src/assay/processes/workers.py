"""Threads that work for a step. None outlives it, unless it hangs: then the process cannot end as usual."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def thread(work: Callable[[], None], name: str) -> threading.Thread:
    """A thread for some work, not yet started."""
    made = threading.Thread(target=work, name=f"assay-{name}", daemon=True)
    _threads.add(made)
    return made


def join_in() -> None:
    """Counts the calling thread among them, which somebody else started."""
    _threads.add(threading.current_thread())


def at_work() -> bool:
    """Whether one of them has not ended."""
    return any(one.is_alive() for one in _threads)
