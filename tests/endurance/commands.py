"""Commands in processes of their own, as a person starts them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np

from assay import demo
from assay.cli.main import main
from assay.records import RunRecord
from assay.steps.results import load_run

HURRIED = "tests.endurance.hurried"
"""`assay`, with warm-ups of a moment."""
ROOT = Path(__file__).parents[2]
HANGS_SECONDS = 600.0
"""A command that is at work for so long hangs: each takes seconds, and the machine may be slow."""
TRANSFORM = ("--resize", "72", "--crop", "64", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25")
DATA = ("--images", str(demo.IMAGES), "--labels", str(demo.LABELS))
RUN = ("run", str(demo.ONNX), *DATA, *TRANSFORM, "--reference=top1=92.5")


def with_tests() -> dict[str, str]:
    """The environment of a process that imports the tests, wherever it runs."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


@contextmanager
def start(
    words: Sequence[str], module: str = HURRIED, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A command at work, which ends with the block; what it says on standard error can be read."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**with_tests(), **(environment or {})},
    ) as process:
        try:
            yield process
        finally:
            # One that hangs for a test that failed would be waited for without end.
            process.kill()


def finish(words: Sequence[str], module: str = HURRIED, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """A command's exit status, and all that it said on standard error."""
    with start(words, module, environment) as process:
        _, said = process.communicate(timeout=HANGS_SECONDS)
        return process.returncode, said


class Ended(NamedTuple):
    """How a command ended, and all that it said on standard output and standard error."""

    status: int
    out: str
    said: str


def ran(words: Sequence[object], folder: Path) -> Ended:
    """A command in a folder, within this process."""
    with chdir(folder), redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as said:
        status = main([str(word) for word in words])
    return Ended(status, out.getvalue(), said.getvalue())


def done(words: Sequence[str]) -> tuple[int, str]:
    """The exit status of a command within this process, and all that it said on standard error."""
    ended = ran(words, Path())
    return ended.status, ended.said


def wait_until(reached: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Waits until something is so, while the command is at work."""
    while not reached():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


def said_until(process: subprocess.Popen[str], word: str) -> list[str]:
    """What a command says, up to the line that holds a word."""
    assert process.stderr is not None
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        if word in line:
            return said
    raise AssertionError("".join(said))


def assert_same_result(found: RunRecord, expected: RunRecord) -> None:
    """The accuracy of both is the same, and each score bit for bit."""
    for one, two in zip(found.results, expected.results, strict=True):
        assert one.accuracy == two.accuracy
        assert one.predictions is not None
        assert two.predictions is not None
        assert one.predictions.names == two.predictions.names
        np.testing.assert_array_equal(one.predictions.scores.load(), two.predictions.scores.load(), strict=True)


def load(folder: Path) -> RunRecord:
    """The record of a run that ended."""
    return load_run(folder)


def whole_steps(out: Path) -> dict[str, tuple[int, int]]:
    """The files that finished steps of a run left, each with what tells that it was written anew."""
    records = ("model.json", "prepared/prepared.json", "compiled/*/compiled.json", "bench/*/performance.json")
    found = [path for pattern in records for path in out.glob(pattern)]
    # The records of single shards go once the set is whole; their pixels stay.
    shards = [path.with_suffix("").with_suffix(".npy") for path in out.glob("prepared/*.shard.json")]
    if (out / "prepared" / "prepared.json").exists():
        shards = list(out.glob("prepared/*.npy"))
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in [*found, *shards]}
