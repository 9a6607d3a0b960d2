"""The first interrupt of work that has something to keep: it ends the work early, and not the command.

Such work raises `KeyboardInterrupt` in the main thread like any other, catches it, and goes on with what it has. Who
would end the process by force asks here first. A second interrupt is nobody's to keep.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
