"""Reading an `.info` file and looking at every file that it lists, over a bare loop that does the least of it.

The loop splits each line and calls `lstat` on its file; what `info_file.read` does beyond that is its checks.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from assay.data.sources import info_file
from assay.guide.tensors import list_tensors
from benchmarks.harness import Benchmark, Bound, Measured, in_turn, seconds_of

SIDE = 8


@dataclass(frozen=True)
class Form:
    """How many lines, and how often they are read."""

    lines: int
    rounds: int


def measure(form: Form, folder: Path) -> Measured:
    """Both readings in turn; the names are in the kernel's cache for both."""
    home = folder / "info_read"
    shutil.rmtree(home, ignore_errors=True)
    listed = _list_of(form.lines, home)
    turns = in_turn(
        lambda: seconds_of(lambda: info_file.read(listed)), lambda: seconds_of(lambda: _bare(listed)), form.rounds
    )
    shutil.rmtree(home)
    return Measured(turns.ratio, f"split and lstat of {form.lines:,} lines: {turns.medians('ms', 1000)}")


def _bare(listed: Path) -> None:
    for line in listed.read_text(encoding="utf-8").splitlines():
        _, path, _, _ = line.split(" ")
        os.lstat(path)


def _list_of(lines: int, home: Path) -> Path:
    """A list of so many tensors; each file has its size and no bytes."""
    tensors, listed = home / "tensors", home / "tensors.info"
    tensors.mkdir(parents=True)
    for number in range(1, lines + 1):
        with (tensors / f"ILSVRC2012_val_{number:08}.bin").open("wb") as file:
            os.truncate(file.fileno(), info_file.tensor_bytes(SIDE, SIDE))
    list_tensors(str(tensors), listed, SIDE, SIDE)
    return listed


BENCHMARK = Benchmark(
    measure, full=Form(lines=50_000, rounds=15), small=Form(lines=50, rounds=1), bound=Bound(most=2.2)
)
