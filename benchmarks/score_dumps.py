"""From a folder of text dumps to `result.json`, against the guide's way of reading it; both in one process.

50,000 dumps of 1,000 values are 470 MB of text. The guide's script reads the first line of each file, splits it, turns
each value into a float32 in a loop and sorts them all. Of our time an image, on an AMD EPYC: reading the file 10 µs,
parsing 1,000 decimals 25 µs, making an array of them 15 µs, counting 4 µs. The dumps lie in the page cache for both.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np

from assay import guide
from assay.guide import dumps
from benchmarks.harness import WORK, Row, row

LEAST = 8.0
IMAGES, CLASSES = 50_000, 1_000
HOME = WORK / "score_dumps"


def measure() -> Row:
    """The guide's seconds over the median of ours before and after it."""
    folder, labels = HOME / "dumps", HOME / "labels.txt"
    _make(folder, labels)
    seconds = [_ours(folder, labels)]
    theirs = _guide(folder, labels)
    seconds += [_ours(folder, labels), _ours(folder, labels)]
    shutil.rmtree(HOME)
    return row(
        "score_dumps",
        theirs / float(np.median(seconds)),
        "ratio",
        least=LEAST,
        against=f"the guide's way, {theirs:.1f} s for {IMAGES:,} text dumps of {CLASSES:,} values",
    )


def _make(folder: Path, labels: Path) -> None:
    shutil.rmtree(HOME, ignore_errors=True)
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    names = [f"ILSVRC2012_val_{number:08}" for number in range(1, IMAGES + 1)]
    for name in names:
        scores = generator.standard_normal(CLASSES, dtype=np.float32) * 4
        (folder / dumps.file_name(name, binary=False)).write_bytes(dumps.content(scores, binary=False))
    classes = generator.integers(0, CLASSES, IMAGES).tolist()
    labels.write_text("".join(f"{name}.JPEG {label}\n" for name, label in zip(names, classes, strict=True)))


def _ours(folder: Path, labels: Path) -> float:
    begin = time.perf_counter()
    guide.evaluate(folder, labels, HOME / "result.json")
    return time.perf_counter() - begin


def _guide(folder: Path, labels: Path) -> float:
    """The guide's way, in its order: all labels, then a file after the other."""
    begin = time.perf_counter()
    classes = {}
    for line in labels.read_text().splitlines():
        name, label = line.split(" ")
        classes[name.split(".")[0]] = int(label)
    hits = np.zeros(5)
    for path in folder.iterdir():
        with path.open() as file:
            values = file.readline().strip().split(" ")
        scores = np.zeros(len(values), np.float32)
        for position, value in enumerate(values):
            scores[position] = np.float32(value)
        order = np.argsort(-scores)
        expected = classes[path.stem.rpartition("_")[0]]
        for rank in range(5):
            if order[rank] == expected:
                hits[rank:] += 1
                break
    return time.perf_counter() - begin
