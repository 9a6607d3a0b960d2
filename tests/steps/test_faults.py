"""Faults of the machine: what was whole stays whole, one line says what happened, and the next run goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from assay import demo
from assay.records import RunRecord
from assay.steps.results import load_run

TRANSFORM = ["--resize", "72", "--crop", "64", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]
RUN = [
    "run",
    str(demo.ONNX),
    "--images",
    str(demo.IMAGES),
    "--labels",
    str(demo.LABELS),
    *TRANSFORM,
    "--reference=top1=92.5",
]


def finish(out: Path) -> RunRecord:
    """Runs to the end and returns the record."""
    done = subprocess.run(
        [sys.executable, "-m", "assay", *RUN, "-o", str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return load_run(out)


def assert_same_result(found: RunRecord, expected: RunRecord) -> None:
    for one, two in zip(found.results, expected.results, strict=True):
        assert one.accuracy == two.accuracy
        assert one.predictions is not None
        assert two.predictions is not None
        np.testing.assert_array_equal(one.predictions.scores.load(), two.predictions.scores.load())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """A run that nothing disturbed."""
    return finish(tmp_path_factory.mktemp("whole") / "RUN")


@pytest.mark.long
@pytest.mark.parametrize(
    "reached", ["model.json", "prepared/prepared.json", "compiled/*/compiled.json", "bench/*/performance.json"]
)
def test_a_run_that_was_killed_goes_on_to_the_same_result(reached: str, whole: RunRecord, tmp_path: Path) -> None:
    out = tmp_path / "RUN"
    process = subprocess.Popen(
        [sys.executable, "-m", "assay", *RUN, "-o", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not list(out.glob(reached)):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert_same_result(finish(out), whole)
    assert not list(out.rglob("*.assay-partial")), "what the killed run left half-written is gone"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "assay", *RUN, "-o", str(tmp_path / "file" / "RUN")]
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith(
        f"assay: cannot write to {tmp_path}/file/RUN: Not a directory; choose another folder"
    )
