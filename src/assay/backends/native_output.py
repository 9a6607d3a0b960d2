"""What compiled code prints to standard output, which belongs to assay's own records, kept away from it."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_STANDARD_OUTPUT = 1
_turned_aside = threading.Lock()


class Printed:
    """What was printed, once the block has ended."""

    def __init__(self) -> None:
        self.text = ""


@contextmanager
def captured() -> Iterator[Printed]:
    """Keeps what the block prints, from Python or from compiled code, for whoever wants to say why something failed.

    The descriptor itself is turned aside, since compiled code knows nothing of `sys.stdout`.
    """
    printed = Printed()
    with _turned_aside:
        _flush()
        try:
            before = os.dup(_STANDARD_OUTPUT)
        except OSError:
            # The program was started without a standard output: there is nothing to keep clean.
            yield printed
            return
        with _aside(before, printed):
            yield printed


@contextmanager
def _aside(before: int, printed: Printed) -> Iterator[None]:
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), _STANDARD_OUTPUT)
        try:
            yield
        finally:
            _flush()
            os.dup2(before, _STANDARD_OUTPUT)
            os.close(before)
            aside.seek(0)
            printed.text = aside.read().decode("utf-8", "replace")


def _flush() -> None:
    """Empties Python's buffer and the C library's, so that each line goes where it was meant to go."""
    with suppress(AttributeError, OSError, ValueError):
        sys.stdout.flush()
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)
