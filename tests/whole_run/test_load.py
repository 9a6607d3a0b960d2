"""One way to read whatever assay has written, also what the code before the house was rebuilt left."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import assay
from assay.cli.main import main
from assay.errors import RecordError
from assay.records import (
    BenchOutcome,
    CompiledModel,
    OnnxModel,
    Performance,
    Predictions,
    PreparedDataset,
    RunRecord,
    Verdict,
)
from assay.records.reported import ReportedRun
from assay.tuning.records import Tuning
from tests.messages import assert_says
from tests.sample_folders import SAMPLES


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("run", RunRecord),
        ("run/run.json", RunRecord),
        ("run/verdict.json", Verdict),
        ("run/model.onnx", OnnxModel),
        ("run/prepared", PreparedDataset),
        ("prepared", PreparedDataset),
        ("prepared/prepared.json", PreparedDataset),
        ("search/tuning.json", Tuning),
        ("search", RunRecord),
        ("run/compiled/f309cc76cca8875c", CompiledModel),
        ("run/compiled/f309cc76cca8875c/artifact.onnx", CompiledModel),
        ("run/bench/f309cc76cca8875c-d652e8c8", Performance),
        ("run/bench/f309cc76cca8875c-d652e8c8/predictions.json", Predictions),
    ],
)
def test_every_kind_of_record_and_folder_is_loaded(place: str, kind: type) -> None:
    assert isinstance(assay.load(SAMPLES / place), kind)


def test_a_name_of_the_guide_is_loaded() -> None:
    assert isinstance(assay.load("guide:T4"), ReportedRun)


def test_a_search_that_found_nothing_is_loaded_by_its_folder(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "search" / "tuning.json", tmp_path)
    assert isinstance(assay.load(tmp_path), Tuning)


@pytest.mark.parametrize("place", ["nowhere", "empty", "images/a.bin"])
def test_where_there_is_nothing_to_load_that_is_said(place: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.bin").write_bytes(b"")
    with pytest.raises(RecordError) as caught:
        assay.load(tmp_path / place)
    assert_says(caught, str(tmp_path / place))


def test_a_run_of_before_is_evaluated_judged_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = assay.load(SAMPLES / "run")
    assert [result.batch for result in run.results] == [1, 4]
    evaluation = assay.evaluate(SAMPLES / "run", labels=SAMPLES / "labels.txt")
    counted = [result.accuracy.correct_at for result in run.results if result.accuracy is not None]
    assert [one.accuracy.correct_at for one in evaluation.results] == counted
    assert np.asarray(run.results[0].predictions.scores.load()).shape == (12, 10)
    assert main(["compare", str(SAMPLES / "run"), "--reference", "top1=8.33"]) == 0
    assert "PASS   top-1 drop" in capsys.readouterr().out
    assert main(["report", str(SAMPLES / "run"), "-o", str(tmp_path / "page.html")]) == 0
    assert "8.33 %" in (tmp_path / "page.html").read_text()


def test_a_search_of_before_is_shown(tmp_path: Path) -> None:
    tuning = assay.load(SAMPLES / "search" / "tuning.json")
    assert tuning.best is not None
    assert assay.report(SAMPLES / "search", out=tmp_path / "page.html").size > 10_000


def test_a_prepared_set_of_before_is_measured(tmp_path: Path) -> None:
    outcome = assay.bench(
        SAMPLES / "tiny.onnx",
        data=SAMPLES / "prepared",
        batch=4,
        resize=36,
        crop=32,
        mean=[0.5, 0.5, 0.5],
        std=[0.25, 0.25, 0.25],
        out=tmp_path / "BENCH",
    )
    before = assay.load(SAMPLES / "run")
    assert isinstance(outcome, BenchOutcome)
    now, then = outcome.run.results[0].accuracy, before.results[1].accuracy
    assert now is not None
    assert then is not None
    assert now.correct_at == then.correct_at
