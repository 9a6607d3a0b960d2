"""Records whose hash is right, or that carry none, and whose figures no run has: one line, also where they are used."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.cli.main import main
from assay.storage import envelope
from tests.sample_folders import SAMPLES

Place = tuple[str | int, ...]
PERFORMANCE: Place = ("results", 0, "performance")
STAGE: Place = (*PERFORMANCE, "stages", 0)
ACCURACY: Place = ("results", 0, "accuracy")
IMPOSSIBLE: list[tuple[Place, object]] = [
    (("results",), []),
    ((*PERFORMANCE, "wall_seconds"), 0),
    ((*PERFORMANCE, "batch"), 0),
    ((*PERFORMANCE, "images"), 0),
    ((*PERFORMANCE, "stages"), []),
    ((*PERFORMANCE, "batch_seconds", "shape"), [0, 2]),
    ((*STAGE, "workers"), 0),
    ((*STAGE, "run_seconds"), 0),
    ((*STAGE, "span_seconds"), 0),
    ((*ACCURACY, "count"), 0),
    ((*ACCURACY, "correct_at"), []),
    ((*ACCURACY, "correct_at"), [7, 6, 5, 4, 3]),
    ((*ACCURACY, "correct_at", 4), 10**9),
    (("dataset", "names"), []),
    (("dataset", "labels"), [0]),
    (("dataset", "image_sha256"), ["0" * 64]),
    (("results", 0, "predictions", "names"), ["a.png"]),
    (("model", "transform", "crop"), 0),
    (("model", "transform", "crop"), 10**9),
    (("model", "transform", "std", 0), 0),
    (("model", "input", "shape"), [1]),
    (("model", "output", "shape"), ["batch", "classes"]),
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder."""
    shutil.copytree(SAMPLES / "run", tmp_path / "RUN")
    return tmp_path / "RUN"


def _put(tree: Any, place: Place, value: object) -> Any:
    changed = copy.deepcopy(tree)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def _with(run: Path, place: Place, value: object) -> None:
    """A field of a run is another, and the hash of its file is right."""
    file = run / "run.json"
    record = envelope.read(file)
    body = _put(msgspec.json.decode(bytes(record.body)), place, value)
    file.write_bytes(envelope.seal(record.record, record.made_from, msgspec.json.encode(body)))


def _used(run: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[tuple[int, str]]:
    """What the commands that show and judge a run end with, and what they say of a fault."""
    for words in (["report", str(run), "-o", str(run.parent / "page.html")], ["compare", str(run), "--json"]):
        yield main(words), capsys.readouterr().err


@pytest.mark.parametrize(("place", "value"), IMPOSSIBLE)
def test_figures_that_no_run_has_are_refused_in_one_line(
    place: Place, value: object, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _with(run, place, value)
    for status, said in _used(run, capsys):
        assert status == 1
        assert said.count("\n") == 1
        assert str(run / "run.json") in said
        assert "with --repair" in said


@pytest.mark.parametrize(
    ("place", "value"),
    [((*STAGE, "workers"), 0), ((*ACCURACY, "count"), 0), (("dataset", "labels"), [1])],
)
def test_a_right_hash_makes_impossible_figures_no_better(
    place: Place, value: object, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _with(run, place, value)
    for status, said in _used(run, capsys):
        assert status == 1
        assert said.count("\n") == 1
        assert f"{run / 'run.json'} is damaged" in said
