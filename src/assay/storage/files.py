"""Files written whole or not at all; what is half written has a name that tells so, and whose it is.

Where a library of others failed to write a file, whatever it said of that, the disk is asked whether it has room.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from assay.errors import AssayError, RecordError
from assay.processes import interrupts

PARTIAL = ".assay-partial"
"""How the name of a file ends that is being written; the number of the process stands before it."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_MARGIN = 2
"""An artifact may well be larger than its graph."""

_SAID = 200
"""Of a library's own words at most."""

_under_way: set[Path] = set()
"""What this process is writing."""


@contextmanager
def replacing(path: Path, expected: int = 0) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when the block ends well.

    Where another's library does the writing, `expected` is about how many bytes: a full disk is told then, whatever the
    library makes of it.
    """
    with scratch(path, expected) as beside:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)


@contextmanager
def scratch(path: Path, expected: int = 0) -> Iterator[Path]:
    """A path beside `path`, of this process alone, to write to; what stands there when the block ends is removed."""
    beside = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    _under_way.add(beside)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
    except OSError as error:
        raise _unwritten(path, error.strerror or str(error)) from error
    except RecordError:
        raise
    except Exception as error:  # a vendor says of a full disk whatever it likes; what is another fault goes on
        why = no_room(path.parent, _MARGIN * expected) if expected else None
        if why is None:
            raise
        raise _unwritten(path, f"{why} ({_said(error)})") from error
    finally:
        with suppress(OSError):
            beside.unlink()
        _under_way.discard(beside)


@contextmanager
def told_if_full(folder: Path, expected: int) -> Iterator[None]:
    """Tells of a full disk where anything fails that has another's library write about so many bytes into a folder."""
    try:
        yield
    except Exception as error:  # a file that was cut short is found by whoever reads it
        why = no_room(folder, expected)
        if why is None or why in str(error):
            raise
        raise _unwritten(folder, f"{why} ({_said(error)})") from error


def _said(error: Exception) -> str:
    """A library's own words; of our own messages, what it is taken to lack is left out, for it is not that."""
    fault = error.message.partition("; ")[0] if isinstance(error, AssayError) else str(error)
    return " ".join(fault.split())[:_SAID] or type(error).__name__


def _unwritten(path: Path, why: str) -> RecordError:
    return RecordError(f"cannot write {path}: {why}; free the space or choose another folder")


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """A folder in another one, for what a library leaves beside its work; removed when the block ends."""
    with tempfile.TemporaryDirectory(prefix=".", suffix=f".{os.getpid()}{PARTIAL}", dir=folder) as made:
        _under_way.add(Path(made))
        try:
            yield Path(made)
        finally:
            _under_way.discard(Path(made))


def _abandon() -> None:
    """Removes what this process is writing, since it will not end by itself: nobody may lock the folder again."""
    for left in list(_under_way):
        remove(left)


interrupts.before_the_end(_abandon)


def remove(left: Path) -> None:
    """Removes a file or folder that was left half written, if it can."""
    with suppress(OSError):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink()


def no_room(folder: Path, size: int) -> str | None:
    """Why a folder cannot take one more file of so many bytes, in the system's words; None where it can.

    The file is not written, its space is only asked for. Where the system cannot be asked, nothing is known.
    """
    if not hasattr(os, "posix_fallocate"):
        return None
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            os.posix_fallocate(probe.fileno(), 0, max(size, 1))
    except OSError as error:
        return error.strerror if error.errno in _FULL else None
    return None


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
