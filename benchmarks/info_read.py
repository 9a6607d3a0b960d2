"""Reading an `.info` file of 50,000 lines, each of whose files is looked up and its size compared.

The lower limit is the look-up itself: 50,000 calls of `stat`, some 0.06 s where the names are in the kernel's cache.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from pathlib import Path

from assay import guide
from assay.data.sources import info_file
from benchmarks.harness import WORK, Row, row

MOST_SECONDS = 0.3
LINES = 50_000
SIDE = 8
ROUNDS = 5
HOME = WORK / "info_read"


def measure() -> Row:
    """The median of several rounds."""
    folder, listed = HOME / "tensors", HOME / "tensors.info"
    shutil.rmtree(HOME, ignore_errors=True)
    folder.mkdir(parents=True)
    for number in range(1, LINES + 1):
        with (folder / f"ILSVRC2012_val_{number:08}.bin").open("wb") as file:
            os.truncate(file.fileno(), info_file.tensor_bytes(SIDE, SIDE))
    guide.list_tensors(str(folder), listed, SIDE, SIDE)
    seconds = statistics.median(_seconds(listed) for _ in range(ROUNDS))
    shutil.rmtree(HOME)
    return row("info_read", seconds, "s", most=MOST_SECONDS, against=f"bound; {LINES:,} lines and files")


def _seconds(listed: Path) -> float:
    begin = time.perf_counter()
    info_file.read(listed)
    return time.perf_counter() - begin
