"""One process at a time in a folder; another is told which one that is."""

from __future__ import annotations

import datetime
import os
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock
import psutil

from assay.errors import RecordError
from assay.storage import files

LOCK = ".lock"
"""The file of the lock; where one lies, a run has its folder."""
_COMMAND = 200
"""Letters of a command line, of a longer one."""

_held: dict[Path, int] = {}
"""The folders that this process holds, each with the thread that does."""


@contextmanager
def lock(folder: Path, *, again: bool = False) -> Iterator[None]:
    """Holds a folder for this process; a second one is told who holds it. What a killed one left half is removed.

    `again` lets the thread in that holds the folder already, as a step of a longer command does.
    """
    place = folder.resolve()
    if again and _held.get(place) == threading.get_ident():
        yield
        return
    holder = folder / f"{LOCK}.holder"
    held = filelock.FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held.acquire()
        holder.write_text(_this_process(), encoding="utf-8")
        for left in folder.rglob(f".*{files.PARTIAL}"):
            process = left.name.removesuffix(files.PARTIAL).rpartition(".")[2]
            if not (process.isdecimal() and psutil.pid_exists(int(process))):
                files.remove(left)
    except filelock.Timeout as error:
        raise RecordError(
            f"{folder} is in use by another assay ({_holder(holder)}); wait for it or choose another folder"
        ) from error
    except OSError as error:
        held.release()
        raise RecordError(f"cannot write to {folder}: {error.strerror or error}; choose another folder") from error
    _held[place] = threading.get_ident()
    try:
        yield
    finally:
        del _held[place]
        holder.unlink(missing_ok=True)
        held.release()


def _this_process() -> str:
    since = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    command = " ".join(shlex.join(sys.orig_argv).split())
    short = command if len(command) <= _COMMAND else f"{command[: _COMMAND - 1]}…"
    return f"process {os.getpid()} since {since}: {short}\n"


def _holder(path: Path) -> str:
    """Who holds a folder; one that was killed left its words behind, and the next may not have written its own yet."""
    with suppress(OSError, IndexError):
        said = path.read_text(encoding="utf-8", errors="replace").strip()
        process = said.split()[1]
        if process.isdecimal() and psutil.pid_exists(int(process)):
            return said
    return "process unknown"
