"""Searches over the demo's network, short, in real processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay import demo
from assay.backends import registry
from assay.cli.main import main
from assay.errors import BackendError, DatasetError, MissingExtraError, RecordError, UsageError
from assay.records import OnnxModel, PreparedDataset
from assay.steps.prepare import PrepareRequest, prepare_with
from assay.storage import locks
from assay.tuning import progress_of_search, trial
from assay.tuning.optuna_search import OutOfTime
from assay.tuning.records import Objective
from assay.tuning.request import Goal
from assay.tuning.tune import SearchFolder, find_fastest
from tests.backends import faulty
from tests.messages import assert_says
from tests.tuning.searches import BOTH, SHORT, Enough

pytest.importorskip("optuna", reason="needs the extra `tune`")


@pytest.mark.long
def test_a_finished_search_for_the_very_same_can_be_taken_as_it_is(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    request = replace(SHORT, budget_seconds=20.0)
    first = find_fastest(demo_model, demo_data, SearchFolder(tmp_path, reuse=True), request)
    assert find_fastest(demo_model, demo_data, SearchFolder(tmp_path, reuse=True), request) == first
    assert first.compiled is not None
    first.compiled.file.path.unlink()
    again = find_fastest(demo_model, demo_data, SearchFolder(tmp_path, reuse=True), request)
    assert again.compiled is not None
    assert again.compiled.file.path.is_file()


@pytest.mark.long
def test_a_search_that_was_killed_goes_on_where_it_was(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    data = demo_data.shards[0].file.path.parent
    words = ["tune", str(demo_model.file.path), "--data", str(data), "--backends", "onnxruntime", "--batch", "16"]
    words += ["--no-int8", "--budget", "60s", "-o", str(tmp_path)]
    killed = subprocess.Popen([sys.executable, "-m", "assay", *words], stderr=subprocess.PIPE, text=True)
    assert killed.stderr is not None
    assert any("trial 1:" in line for line in killed.stderr)
    killed.kill()
    killed.wait()
    killed.stderr.close()
    kept: list[str] = []

    class Noted(Enough):
        def note(self, message: str) -> None:
            kept.append(message)
            super().note(message)

    found = find_fastest(demo_model, demo_data, SearchFolder(tmp_path), SHORT, Noted(1))
    assert not any(message.startswith("trial 1:") for message in kept)
    assert found.trials[0].candidate.batch == 16
    assert found.trials[0].state == "right"
    assert len({str(one.candidate) for one in found.trials}) == len(found.trials) >= 2


def test_a_second_search_in_the_folder_is_told_who_holds_it(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    with locks.lock(tmp_path), pytest.raises(RecordError, match="is in use by another assay"):
        find_fastest(demo_model, demo_data, SearchFolder(tmp_path), SHORT)


def test_a_budget_too_short_for_one_trial_says_what_would_do(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        find_fastest(demo_model, demo_data, SearchFolder(tmp_path), replace(SHORT, budget_seconds=0.01))
    assert_says(
        caught, "a budget of 0.0 s is too short", "getting ready took", "of which scoring the reference", "of at least"
    )
    # With the reference kept, its images are not inferred again.
    (record,) = (tmp_path / "reference").rglob("performance.json")
    measured = record.stat().st_mtime_ns
    with pytest.raises(UsageError, match="of which scoring the reference"):
        find_fastest(demo_model, demo_data, SearchFolder(tmp_path), replace(SHORT, budget_seconds=0.01))
    assert record.stat().st_mtime_ns == measured


@pytest.mark.parametrize("words", [["tune", "m.onnx", "--data", "P", "--budget"], ["run", "m.onnx", "--tune"]])
def test_no_time_at_all_is_refused_before_anything_is_done(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*words, "0", "-o", str(tmp_path / "T")])
    assert caught.value.code == 2
    assert "give more than 0" in capsys.readouterr().err
    assert not (tmp_path / "T").exists()


@pytest.mark.long
def test_a_budget_that_the_first_trial_goes_beyond_says_what_would_do(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {**registry.BACKENDS, **faulty.TABLE})
    monkeypatch.setattr(progress_of_search, "HANGING_SHARE", 1.0)
    with pytest.raises(UsageError) as caught:
        find_fastest(
            demo_model, demo_data, SearchFolder(tmp_path), replace(SHORT, backends=["hanging"], budget_seconds=10.0)
        )
    assert_says(caught, "a budget of 10.0 s is too short for one trial", "give a budget of at least 20.0 s")


def test_no_images_to_calibrate_on_is_said(demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path) -> None:
    alone = tmp_path / "images"
    alone.mkdir()
    shutil.copy2(demo.IMAGES / demo_data.dataset.names[0], alone)
    one = prepare_with(PrepareRequest(alone, out=tmp_path / "prepared"), demo_model.transform)
    with pytest.raises(DatasetError) as caught:
        find_fastest(demo_model, one, SearchFolder(tmp_path / "T"), BOTH)
    assert_says(caught, "too few to calibrate", "give calibration with images of its own", "or no_int8")


def test_calibration_images_among_those_to_evaluate_on_are_named(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError) as caught:
        find_fastest(demo_model, demo_data, SearchFolder(tmp_path), replace(BOTH, calibration=demo_data))
    assert_says(caught, "240 calibration images are among the 240 images", demo_data.dataset.names[0])


@pytest.mark.long
def test_a_backend_that_crashes_in_every_trial_costs_its_trials_alone(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {**registry.BACKENDS, **faulty.TABLE}
    monkeypatch.setattr(registry, "BACKENDS", {name: known[name] for name in ("onnxruntime", "crashing")})
    request = replace(SHORT, backends=["crashing", "onnxruntime"])
    found = find_fastest(demo_model, demo_data, SearchFolder(tmp_path), request, Enough(3))
    crashed = [one for one in found.trials if one.candidate.backend == "crashing"]
    assert crashed
    assert all(one.state == "failed" and "crashed (SIGSEGV)" in (one.reason or "") for one in crashed)
    assert found.best is not None


@pytest.mark.long
def test_a_backend_that_hangs_costs_its_trial_alone(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {**faulty.TABLE, **registry.BACKENDS}
    monkeypatch.setattr(registry, "BACKENDS", {name: known[name] for name in ("hanging", "onnxruntime")})
    monkeypatch.setattr(progress_of_search, "MOST_SHARE", 0.0)
    monkeypatch.setattr(progress_of_search, "MOST_SECONDS", 15.0)
    request = replace(SHORT, backends=["hanging", "onnxruntime"], budget_seconds=120.0)
    found = find_fastest(demo_model, demo_data, SearchFolder(tmp_path), request, Enough(2))
    assert found.trials[0].state == "failed"
    said = "while compiling demo at batch 16: in this budget a trial may take 15.0 s; a search with more tries it again"
    assert said in (found.trials[0].reason or "")
    assert found.trials[0].cut_seconds == 15.0
    assert found.best == 1


@pytest.mark.long
def test_a_trial_that_the_time_did_not_suffice_for_is_tried_again_by_the_next_search(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {**faulty.TABLE, **registry.BACKENDS}
    monkeypatch.setattr(registry, "BACKENDS", {name: known[name] for name in ("onnxruntime", "hanging")})
    # However fast the machine, the budget ends before the trial counts as one that hangs.
    monkeypatch.setattr(progress_of_search, "HANGING_SHARE", 1.0)
    request = replace(SHORT, backends=["onnxruntime", "hanging"], budget_seconds=30.0)
    found = find_fastest(demo_model, demo_data, SearchFolder(tmp_path), request)
    assert [one.candidate.backend for one in found.trials] == ["onnxruntime"]
    assert found.stopped == "the time is up"


@pytest.mark.long
def test_work_that_the_time_did_not_suffice_for_is_no_overhead(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = trial.Trial.tried

    def unfinished(self: trial.Trial, *others: Any) -> object:
        if self.number == 0:
            return tried(self, *others)
        time.sleep(5.0)
        self.working += 5.0
        raise OutOfTime

    monkeypatch.setattr(trial.Trial, "tried", unfinished)
    found = find_fastest(demo_model, demo_data, SearchFolder(tmp_path), replace(SHORT, budget_seconds=600.0), Enough(9))
    worked = (1 - found.overhead_share) * found.seconds
    assert worked > 5.0 + found.trials[0].working_seconds


@pytest.mark.long
def test_a_gate_that_nothing_passes_leaves_the_reference(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"wrong": faulty.TABLE["wrong"], "onnxruntime": registry.BACKENDS["onnxruntime"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "BACKENDS", wrong)
        words = ["tune", str(demo_model.file.path), "--data", str(demo_data.shards[0].file.path.parent)]
        asked = ["--backends", "wrong", "--batch", "16", "--budget", "30s", "--no-int8", "-o", str(tmp_path)]
        assert main([*words, *asked]) == 3
    assert "the reference stands" in capsys.readouterr().out
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No trial came to be scored: the model in float32 stands." in page
    (tmp_path / "report.html").unlink()
    assert main(["report", str(tmp_path)]) == 0
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page


def test_no_backend_at_all_says_why(demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "BACKENDS", {"absent": faulty.TABLE["absent"]})
        with pytest.raises(BackendError) as caught:
            find_fastest(demo_model, demo_data, SearchFolder(tmp_path), Goal(budget_seconds=30.0, int8=False))
    assert_says(caught, "no backend can run", "pip install")


def test_memory_beyond_what_is_allowed_is_refused_whatever_was_measured_before(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    request = replace(SHORT, max_memory=1 << 20)
    found = find_fastest(demo_model, demo_data, SearchFolder(tmp_path), request, Enough(2))
    assert found.best is None
    assert {one.state for one in found.trials} == {"too large"}
    assert all((one.peak_memory_bytes or 0) > 1 << 20 for one in found.trials)
    assert (found.max_memory, found.backends, found.batches, found.int8) == (1 << 20, ("onnxruntime",), (16,), False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_drop": float("nan")}, "the allowed drop is nan points; give max_drop from 0"),
        ({"max_drop": -1.0}, "the allowed drop is -1 points; give max_drop from 0"),
        ({"max_drop": float("inf")}, "the allowed drop is inf points; give max_drop from 0"),
        ({"budget_seconds": 0.0}, "give a budget of more than 0"),
        ({"seed": -1}, "-1 is no seed; give a seed from 0"),
    ],
)
def test_a_figure_that_cannot_be_meant_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Goal(**changes)


def test_an_empty_list_of_backends_is_a_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["tune", "m.onnx", "--data", "P", "--backends", " , ", "-o", str(tmp_path)])
    assert caught.value.code == 2
    assert "names no backend" in capsys.readouterr().err


def test_images_to_calibrate_on_are_refused_where_nothing_is_quantized(demo_data: PreparedDataset) -> None:
    with pytest.raises(UsageError, match="leave calibration or no_int8 away"):
        Goal(int8=False, calibration=demo_data)


def test_labels_that_the_model_does_not_have_are_known_before_the_search(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    labels = (4_000, *(demo_data.dataset.labels or ())[1:])
    other = msgspec.structs.replace(demo_data, dataset=msgspec.structs.replace(demo_data.dataset, labels=labels))
    with pytest.raises(DatasetError, match="4000"):
        find_fastest(demo_model, other, SearchFolder(tmp_path), SHORT)
    assert not (tmp_path / "reference").exists()


def test_a_missing_optuna_is_known_before_the_search(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"assay-inference\[tune\]"):
        find_fastest(demo_model, demo_data, SearchFolder(tmp_path), SHORT)
    assert not (tmp_path / "reference").exists()


@pytest.mark.long
def test_all_images_are_evaluated_on_where_no_backend_has_8_bits(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    pytest.importorskip("MNN", reason="needs the extra `mnn`")
    found = find_fastest(
        demo_model, demo_data, SearchFolder(tmp_path), replace(SHORT, backends=["mnn"], int8=True), Enough(1)
    )
    assert found.evaluation_images == 240


def test_an_interrupt_before_the_first_trial_is_one(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress_of_search.Search, "attempt", interrupted)
    with pytest.raises(KeyboardInterrupt):
        find_fastest(demo_model, demo_data, SearchFolder(tmp_path), SHORT)


class Notes(Enough):
    """Keeps what is said."""

    def __init__(self, trials: int) -> None:
        super().__init__(trials)
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)
        super().note(message)


@pytest.mark.long
def test_a_search_for_latency_is_held_to_its_p99_at_the_smallest_batch_size(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {**registry.BACKENDS, "halting": faulty.TABLE["halting"]})
    request = replace(SHORT, objective="latency", backends=["halting"], batches=[16, 4], budget_seconds=600.0)
    notes = Notes(1)
    found = find_fastest(demo_model, demo_data, SearchFolder(tmp_path), request, notes)
    assert [one.candidate.batch for one in found.trials] == [4]
    assert found.batches == (4,)
    assert "a search for latency is at the smallest batch size, 4 of 4, 16" in notes.said
    speed = found.trials[0].speed
    assert speed is not None
    # One call in ten halts, so the p99 is no shorter than that, and the mean is far from it.
    assert speed <= 1 / faulty.HALT_SECONDS


@pytest.mark.long
def test_a_search_for_end_to_end_counts_the_whole_way(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    request = replace(SHORT, backends=["null"], budget_seconds=600.0)
    speeds = {}
    objectives: list[Objective] = ["throughput", "end-to-end"]
    for objective in objectives:
        asked = replace(request, objective=objective)
        found = find_fastest(demo_model, demo_data, SearchFolder(tmp_path / objective), asked, Enough(1))
        assert found.objective == objective
        speeds[objective] = found.trials[0].speed or 0.0
    # Its calls take no time, and images have to be read all the same.
    assert 0 < speeds["end-to-end"] < 0.5 * speeds["throughput"]
