"""The whole way on the demo's ONNX file and images."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay import demo
from assay.data.transform import TransformChoice
from assay.errors import AssayError, CheckpointError, DatasetError, UsageError
from assay.progress import Silent
from assay.records import InputKind, RunRecord, Verdict
from assay.steps.compare import given_reference
from assay.steps.evaluate import accuracy_of
from assay.steps.results import load_run
from assay.storage import store
from assay.whole_run.demo import run_demo
from assay.whole_run.request import RunRequest


class Steps(Silent):
    """Keeps which steps were done and which were kept."""

    def __init__(self) -> None:
        self.kept: dict[str, bool] = {}

    def finish(self, step: str, subject: str, detail: str, seconds: float | None) -> None:
        self.kept[step] = seconds is None


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of forty of the demo's images, with their labels beside it."""
    folder = tmp_path / "images"
    folder.mkdir()
    lines = demo.LABELS.read_text().splitlines()[:40]
    for line in lines:
        shutil.copy(demo.IMAGES / line.split()[0], folder)
    (tmp_path / "labels.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def request_(images: Path, demo_choice: TransformChoice) -> RunRequest:
    return RunRequest(
        str(demo.ONNX),
        images=images,
        labels=images.parent / "labels.txt",
        **vars(demo_choice),
        batch=(1, 16),
        out="RUN",
    )


def test_the_demo_is_right_as_often_as_when_it_was_made(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    outcome = run_demo(tmp_path / "RUN")
    for result in outcome.run.results:
        assert result.accuracy is not None
        assert list(result.accuracy.correct_at) == demo.measured()["correct_at"]
    assert outcome.verdict.word == "PASS"
    assert outcome.run.model.checkpoint is not None
    assert outcome.run.model.checkpoint.file is not None
    assert outcome.run.model.parity is not None
    assert outcome.run.model.parity.batches == (1, 3)


def test_every_record_is_on_disk_and_reads_back(request_: RunRequest, tmp_path: Path) -> None:
    out = tmp_path / "RUN"
    outcome = assay.run(replace(request_, out=out))
    assert store.read(out / "run.json", RunRecord) == outcome.run
    assert store.read(out / "verdict.json", Verdict) == outcome.verdict
    assert {path.name for path in out.iterdir()} >= {
        "model.onnx",
        "model.json",
        "compiled",
        "prepared",
        "bench",
        "run.json",
    }
    assert not list(out.rglob("*.assay-partial")), "nothing half-written is left"


@pytest.mark.parametrize("input_kind", ["uint8", "float32"])
@pytest.mark.parametrize("prepare", [True, False])
def test_scores_do_not_depend_on_the_way_of_the_pixels(
    input_kind: InputKind, prepare: bool, request_: RunRequest, tmp_path: Path
) -> None:
    usual = assay.run(replace(request_, out=tmp_path / "usual")).run
    other = assay.run(replace(replace(request_, no_prepare=not prepare, input=input_kind), out=tmp_path / "other")).run
    for one, two in zip(usual.results, other.results, strict=True):
        assert one.accuracy == two.accuracy
        assert one.predictions is not None
        assert two.predictions is not None
        assert one.predictions.names == two.predictions.names
        np.testing.assert_array_equal(one.predictions.scores.load(), two.predictions.scores.load())
    assert usual.dataset is not None
    assert other.dataset is not None
    assert usual.dataset.fingerprint == other.dataset.fingerprint


def test_padding_of_the_last_batch_never_reaches_the_predictions(request_: RunRequest, tmp_path: Path) -> None:
    run = assay.run(replace(replace(request_, batch=(16, 40)), out=tmp_path / "RUN")).run
    padded, whole = run.results
    assert padded.predictions is not None
    assert whole.predictions is not None
    assert padded.predictions.scores.shape == (40, 10)
    assert padded.performance.images == 40
    assert padded.accuracy == whole.accuracy


def test_a_second_run_does_nothing_again_and_says_the_same(request_: RunRequest, tmp_path: Path) -> None:
    first = assay.run(replace(request_, out=tmp_path / "RUN"))
    steps = Steps()
    again = assay.run(replace(request_, out=tmp_path / "RUN", progress=steps))
    assert steps.kept == {"model": True, "prepare": True, "compile": True, "bench": True, "report": True}
    assert again.run.results == first.run.results
    assert again.verdict == first.verdict


def test_another_reference_judges_anew_and_measures_nothing(request_: RunRequest, tmp_path: Path) -> None:
    assay.run(replace(request_, out=tmp_path / "RUN"))
    steps = Steps()
    request = replace(request_, reference=given_reference("top1=99.9"), max_drop=0.1)
    assert assay.run(replace(request, out=tmp_path / "RUN", progress=steps)).verdict.word == "FAIL"
    assert steps.kept == {"model": True, "prepare": True, "compile": True, "bench": True, "report": False}


def test_a_new_batch_size_measures_only_that_one(request_: RunRequest, tmp_path: Path) -> None:
    first = assay.run(replace(request_, out=tmp_path / "RUN")).run
    second = assay.run(replace(replace(request_, batch=(1, 16, 4)), out=tmp_path / "RUN")).run
    assert second.results[:2] == first.results
    assert second.results[2].batch == 4


def test_an_image_that_changes_is_prepared_and_scored_again(request_: RunRequest, tmp_path: Path) -> None:
    before = assay.run(replace(request_, out=tmp_path / "RUN")).run
    names = sorted(path.name for path in Path(request_.images).iterdir())
    shutil.copy(Path(request_.images) / names[1], Path(request_.images) / names[0])
    steps = Steps()
    after = assay.run(replace(request_, out=tmp_path / "RUN", progress=steps)).run
    assert steps.kept == {"model": True, "prepare": False, "compile": True, "bench": False, "report": False}
    assert before.dataset is not None
    assert after.dataset is not None
    assert before.dataset.fingerprint != after.dataset.fingerprint


def test_a_lost_artifact_is_made_again_with_the_same_bytes(request_: RunRequest, tmp_path: Path) -> None:
    first = assay.run(replace(request_, out=tmp_path / "RUN")).run
    first.results[0].compiled.file.path.unlink()
    again = assay.run(replace(request_, out=tmp_path / "RUN")).run
    assert again.results[0].compiled.file.sha256 == first.results[0].compiled.file.sha256


def test_a_run_folder_can_be_moved_as_a_whole(request_: RunRequest, tmp_path: Path) -> None:
    assay.run(replace(request_, out=tmp_path / "RUN"))
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "RUN", tmp_path / "elsewhere" / "RUN")
    moved = load_run(tmp_path / "elsewhere" / "RUN")
    assert moved.results[0].predictions is not None
    assert moved.results[0].predictions.scores.load().shape == (40, 10)
    accuracy = accuracy_of(moved.results[0].predictions, tmp_path / "labels.txt")
    assert accuracy == moved.results[0].accuracy


def test_images_without_labels_are_scored_and_not_judged(request_: RunRequest, tmp_path: Path) -> None:
    outcome = assay.run(replace(replace(request_, labels=None), out=tmp_path / "RUN"))
    assert outcome.run.results[0].accuracy is None
    assert outcome.run.results[0].predictions is not None
    assert outcome.verdict.word is None
    assert outcome.verdict.checks[0].verdict == "NOT COMPARABLE"


def test_class_folders_give_the_labels(tmp_path: Path, demo_choice: TransformChoice) -> None:
    for line in demo.LABELS.read_text().splitlines()[:60]:
        name, label = line.split()
        folder = tmp_path / "images" / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(demo.IMAGES / name, folder)
    request = RunRequest(str(demo.ONNX), images=tmp_path / "images", **vars(demo_choice), batch=(4,), out="RUN")
    run = assay.run(replace(request, out=tmp_path / "RUN")).run
    assert run.results[0].accuracy is not None
    assert run.results[0].accuracy.correct_at[0] >= 50
    assert run.dataset is not None
    assert run.dataset.names[0].startswith("class0/")


def test_a_fault_leaves_no_verdict_of_an_earlier_run(request_: RunRequest, tmp_path: Path) -> None:
    assay.run(replace(request_, out=tmp_path / "RUN"))
    (tmp_path / "labels.txt").write_text("absent.jpg 1\n")
    with pytest.raises(DatasetError, match="40 of 40 images have no label"):
        assay.run(replace(request_, out=tmp_path / "RUN"))
    assert not (tmp_path / "RUN" / "verdict.json").exists()


@pytest.mark.parametrize("prepare", [True, False])
def test_an_image_that_cannot_be_decoded_stops_the_run_by_its_name(
    prepare: bool, request_: RunRequest, tmp_path: Path
) -> None:
    name = sorted(path.name for path in Path(request_.images).iterdir())[5]
    (Path(request_.images) / name).write_bytes(b"this is no image")
    with pytest.raises(DatasetError, match=name):
        assay.run(replace(replace(request_, no_prepare=not prepare), out=tmp_path / "RUN"))
    assert not (tmp_path / "RUN" / "verdict.json").exists()


def test_skipped_images_are_in_the_record_and_keep_the_accuracy_from_being_judged(
    request_: RunRequest, tmp_path: Path
) -> None:
    name = sorted(path.name for path in Path(request_.images).iterdir())[5]
    (Path(request_.images) / name).write_bytes(b"this is no image")
    request = replace(request_, on_error="skip", reference=given_reference("top1=50.0"))
    outcome = assay.run(replace(request, out=tmp_path / "RUN"))
    assert outcome.run.dataset is not None
    assert [failure.name for failure in outcome.run.dataset.failures] == [name]
    assert outcome.run.results[0].performance.images == 39
    assert outcome.verdict.word == "NOT COMPARABLE"
    assert "1 of 40 images were skipped" in outcome.verdict.checks[0].reason
    assert not outcome.verdict.holds


def test_a_file_that_is_no_image_by_its_name_is_listed(request_: RunRequest, tmp_path: Path) -> None:
    (Path(request_.images) / "README.md").write_text("hello")
    run = assay.run(replace(request_, out=tmp_path / "RUN")).run
    assert run.dataset is not None
    assert run.dataset.skipped == ("README.md",)
    assert any("README.md" in warning for warning in run.warnings)


def test_the_null_backend_goes_the_same_way_without_parity(request_: RunRequest, tmp_path: Path) -> None:
    run = assay.run(replace(replace(request_, backend="null"), out=tmp_path / "RUN")).run
    assert run.results[0].compiled.parity is None
    assert run.results[0].performance.images == 40


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"model": "absent.onnx"}, AssayError, "no model at absent.onnx"),
        ({"model": "squeezenet1_0"}, UsageError, "squeezenet1_0 needs weights; give weights=FILE.pth"),
        ({"random_weights": True}, UsageError, "an .onnx file brings its weights"),
        ({"weights": "published"}, UsageError, "an .onnx file brings its weights"),
        ({"weights_entry": "IMAGENET1K_V1"}, UsageError, "leave weights_entry, weights_set and opset away"),
        ({"opset": 11}, UsageError, "leave weights_entry, weights_set and opset away"),
        ({"images": Path("nowhere")}, DatasetError, "no folder of images at nowhere"),
        ({"backend": "openvino2"}, AssayError, "unknown backend 'openvino2'"),
        ({"no_prepare": True, "on_error": "skip"}, UsageError, "leave on_error=skip or no_prepare away"),
    ],
)
def test_a_fault_of_the_input_says_what_to_do(
    changes: dict[str, object], kind: type[AssayError], message: str, request_: RunRequest, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        assay.run(replace(replace(request_, **changes), out=tmp_path / "RUN"))  # type: ignore[arg-type]
    assert not (tmp_path / "RUN" / "verdict.json").exists()


@pytest.mark.torch
def test_weights_of_another_architecture_name_the_first_keys(request_: RunRequest, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    request = replace(request_, model="squeezenet1_0", weights=demo.CHECKPOINT, **vars(TransformChoice()))
    with pytest.raises(CheckpointError, match=r"keys missing \(features.0.weight"):
        assay.run(replace(request, out=tmp_path / "RUN"))
    assert not (tmp_path / "RUN" / "model.onnx").exists()


def test_records_hold_relative_paths(request_: RunRequest, tmp_path: Path) -> None:
    assay.run(replace(request_, out=tmp_path / "RUN"))
    record = json.loads((tmp_path / "RUN" / "model.json").read_text())
    assert record["record"] == "OnnxModel"
    assert record["body"]["file"]["path"] == "model.onnx"


@pytest.mark.long
def test_a_run_can_be_of_the_artifact_that_a_search_finds(request_: RunRequest, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    wanted = replace(request_, tune=20.0)
    outcome = assay.run(replace(wanted, out=tmp_path / "RUN"))
    assert outcome.tuning is not None
    assert outcome.tuning.compiled is not None
    (result,) = outcome.run.results
    assert result.compiled.file.sha256 == outcome.tuning.compiled.file.sha256
    assert result.accuracy is not None
    assert result.accuracy.count == 40
    assert "The search" in (tmp_path / "RUN/report.html").read_text()
    again = Steps()
    assay.run(replace(wanted, out=tmp_path / "RUN", progress=again))
    assert all(again.kept.values())
    assert again.kept["tune"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"no_prepare": True}, "no_prepare"),
        ({"set": {"threads": "1"}}, "or set, away"),
        ({"precision": "int8"}, "or precision, away"),
        ({"device": "cpu"}, "or device, away"),
        ({"tune": None, "calibration": Path("images")}, "give calibration and tune"),
    ],
)
def test_what_a_search_settles_is_not_asked_for_beside_it(
    request_: RunRequest, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        assay.run(replace(replace(request_, **{"tune": 20.0, **changes}), out=tmp_path / "RUN"))
