"""Files that others made, read within bounds: a pipe or a device at their place is neither waited for nor read."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read(path: Path, largest: int) -> bytes:
    """A file's bytes, one more than `largest` at most, which tells that there are too many.

    Raises `OSError` where it cannot be read, or is no file.
    """
    # Without O_NONBLOCK, opening a pipe waits for whoever writes to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, and no path
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device; put what it gives into a file first", str(path))
        return file.read(largest + 1)
