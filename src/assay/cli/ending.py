"""How the process ends where its work cannot: an interrupt that meets a vendor's call, a stage that hangs.

Python raises an interrupt in the main thread, between two of its instructions. One that is in a vendor's call, or waits
for a thread that is, raises it when that call returns. So the signal's number goes into a pipe as well, at once. A
thread reads it, gives the command a second to end by itself, and then ends the process with all that it started. What
was finished is whole on the disk, a lock is gone with its process, and what is half written is removed. A search keeps
its first interrupt for itself (see `interrupting.py`).
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from assay import interrupting
from assay.errors import EXIT_INTERRUPTED

GRACE_SECONDS = 1.0
"""From an interrupt to the end by force; a second interrupt does not wait for it."""

INTERRUPTED = "assay: interrupted; what was finished is kept"
_SHOW_CURSOR = "\x1b[?25h"
"""A progress bar hides it, and would have shown it again as it ended."""
_THREAD = "assay-ending"
_STANDARD_ERROR = 2

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
    from assay.stalling import THREAD

    hung = any(thread.name.startswith(THREAD) and thread.name != _THREAD for thread in threading.enumerate())
    if hung or status == EXIT_INTERRUPTED:
        end(status)
    return status


def end(status: int) -> NoReturn:
    """Ends the process and all that it started, now."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    _kill_children()
    _abandon()
    os._exit(status)


def _abandon() -> None:
    """Removes what is half written; a folder that nobody locks again would keep it."""
    if "assay.store" in sys.modules:
        sys.modules["assay.store"].abandon()


def _watch(reading: int) -> None:
    """Waits for an interrupt that is not kept, and then for the command to end by itself."""
    with open(reading, "rb", buffering=0) as pipe:
        interrupts = 0
        while not interrupts:
            if not (numbers := pipe.read(64)):
                return
            interrupts = numbers.count(signal.SIGINT)
            if interrupts and interrupting.is_kept():
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
        _abandon()
        os._exit(EXIT_INTERRUPTED)


def _kill_children() -> None:
    """Kills every process below this one, those that lead groups of their own as well."""
    import psutil

    with suppress(psutil.Error):
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                process.kill()
