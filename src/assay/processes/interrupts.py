"""Interrupts: one that meets a vendor's call, a stage that hangs, and a search that keeps its first.

Python raises an interrupt in the main thread, between two of its instructions. A thread that is in a vendor's call, or
waits for one that is, raises it when that call returns. So the signal's number goes into a pipe as well, at once. A
thread reads it, gives the command a second to end by itself, and then ends the process with all that it started. What
was finished is whole on the disk, a lock is gone with its process, and what is half written is removed.

Work that has something to keep raises `KeyboardInterrupt` in the main thread like any other, catches it, and goes on
with what it has; a second interrupt is nobody's to keep.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from assay.errors import EXIT_INTERRUPTED
from assay.processes import workers

_is_kept = False


@contextmanager
def first_is_kept() -> Iterator[None]:
    """Within, the first interrupt is the caller's: the block raises `KeyboardInterrupt`, and the process lives on.

    The main thread must wait in Python alone there: what is in a vendor's call would hear of it only afterwards.
    """
    global _is_kept
    _is_kept, interrupted = True, False
    try:
        yield
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        # After an interrupt it is left open for who watches: that thread may look a moment later.
        _is_kept = _is_kept and interrupted


def is_kept() -> bool:
    """Whether the interrupt that just came was to be kept; asked once of each, and false of the next."""
    global _is_kept
    was, _is_kept = _is_kept, False
    return was


GRACE_SECONDS = 1.0
"""From an interrupt to the end by force; a second interrupt does not wait for it."""

INTERRUPTED = "assay: interrupted; what was finished is kept"

_SHOW_CURSOR = "\x1b[?25h"
"""A progress bar hides it, and would have shown it again as it ended."""

_THREAD = "assay-ending"

_STANDARD_ERROR = 2

_clean_ups: list[Callable[[], None]] = []

told = threading.Event()
"""Set once the command itself says that it was interrupted."""


@contextmanager
def on_interrupt() -> Iterator[None]:
    """Within, an interrupt ends the process soon, whatever the main thread is at."""
    alone = threading.current_thread() is threading.main_thread()
    if not alone or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading,), name=_THREAD, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)


def leave(status: int) -> int:
    """The exit status, where the interpreter can end as usual.

    It cannot where a thread hangs: it would wait for it, or take away what the thread's library is at work on.
    """
    if workers.at_work() or status == EXIT_INTERRUPTED:
        end(status)
    return status


def end(status: int) -> NoReturn:
    """Ends the process and all that it started, now."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    _kill_children()
    _clean_up()
    os._exit(status)


def before_the_end(clean_up: Callable[[], None]) -> None:
    """Has a function called before the process is ended by force: it cannot wait, and may be called in any thread."""
    _clean_ups.append(clean_up)


def _clean_up() -> None:
    for clean_up in _clean_ups:
        clean_up()


def _watch(reading: int) -> None:
    """Waits for an interrupt that is not kept, and then for the command to end by itself."""
    with open(reading, "rb", buffering=0) as pipe:
        interrupts = 0
        while not interrupts:
            if not (numbers := pipe.read(64)):
                return
            interrupts = numbers.count(signal.SIGINT)
            if interrupts and is_kept():
                interrupts -= 1
        while interrupts == 1 and select.select([pipe], [], [], GRACE_SECONDS)[0]:
            if not (numbers := pipe.read(64)):
                return
            interrupts += numbers.count(signal.SIGINT)
        # Whoever holds a stream's lock may be the one that hangs: past the streams, and nothing is flushed.
        with suppress(OSError):
            said = b"" if told.is_set() else f"{INTERRUPTED}\n".encode()
            os.write(_STANDARD_ERROR, said + (_SHOW_CURSOR.encode() if os.isatty(_STANDARD_ERROR) else b""))
        _kill_children()
        _clean_up()
        os._exit(EXIT_INTERRUPTED)


def _kill_children() -> None:
    """Kills every process below this one, those that lead groups of their own as well."""
    import psutil

    with suppress(psutil.Error):
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                process.kill()
