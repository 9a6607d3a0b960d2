"""How long `assay run` takes on a run that is finished: what a user waits who runs the same command again."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time

from assay import demo
from benchmarks.harness import MATERIAL, WORK, Row, row

MOST_SECONDS = 1.5
ROUNDS = 7


def measure() -> Row:
    """The median of whole commands, after one that does the work."""
    out = WORK / "resume_noop"
    shutil.rmtree(out, ignore_errors=True)
    arguments = [*_arguments(), "-o", str(out)]
    _seconds(arguments)
    return row(
        "resume_noop",
        statistics.median(_seconds(arguments) for _ in range(ROUNDS)),
        "s",
        most=MOST_SECONDS,
        against=f"bound; {arguments[0]} with {arguments[1].rpartition('/')[2]}",
    )


def _arguments() -> list[str]:
    squeezenet = MATERIAL / "models" / "squeezenet1_0.pth"
    if squeezenet.is_file():
        labels = MATERIAL / "labels" / "val_label.txt"
        weights = ["--weights", str(squeezenet)]
        return ["run", "squeezenet1_0", *weights, "--images", str(MATERIAL / "images"), "--labels", str(labels)]
    transform = ["--resize", "72", "--crop", "64", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]
    return ["run", str(demo.ONNX), "--images", str(demo.IMAGES), "--labels", str(demo.LABELS), *transform]


def _seconds(arguments: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "assay", *arguments], check=True, capture_output=True)
    return time.perf_counter() - begin
