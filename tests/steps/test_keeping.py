"""What is kept from an earlier run, what is not, and what of a user's folder is never touched."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import assay
from assay import demo
from assay.data.transform import TransformChoice
from assay.errors import DatasetError, RecordError, UnknownNameError, UsageError
from assay.records import InputKind, Runnable, RunRecord
from assay.steps.adopt import adopt, describe
from assay.steps.artifact import compile_into
from assay.steps.bench import bench_all
from assay.steps.build_options import BuildRequest
from assay.steps.measurement import Length, Measuring, measure
from assay.steps.pixel_sources import Images
from assay.steps.prepare import PrepareRequest, prepare_with
from assay.steps.results import load_run
from assay.storage import locks
from assay.whole_run.request import RunRequest
from tests.whole_run.test_run import Steps

LINES = demo.LABELS.read_text().splitlines()[:24]


@pytest.fixture
def request_(tmp_path: Path, demo_choice: TransformChoice) -> RunRequest:
    """A run of the demo's ONNX file on 24 of its images, at one batch size."""
    folder = tmp_path / "images"
    folder.mkdir()
    for line in LINES:
        shutil.copy(demo.IMAGES / line.split()[0], folder)
    (tmp_path / "labels.txt").write_text("\n".join(LINES) + "\n")
    return RunRequest(
        str(demo.ONNX), images=folder, labels=tmp_path / "labels.txt", **vars(demo_choice), batch=(8,), out="RUN"
    )


@pytest.mark.parametrize(
    "part",
    [{"resize": 140}, {"interpolation": "bicubic"}, {"mean": (0.4, 0.4, 0.4)}, {"std": (0.3, 0.3, 0.3)}],
    ids=lambda part: next(iter(part)),
)
@pytest.mark.parametrize("input_kind", ["uint8", "float32"])
def test_another_transform_is_scored_anew_straight_from_the_images(
    part: dict[str, Any], input_kind: InputKind, request_: RunRequest, tmp_path: Path
) -> None:
    request = replace(request_, no_prepare=True, input=input_kind)
    assay.run(replace(request, out=tmp_path / "RUN"))
    steps = Steps()
    changed = replace(request, **part)
    found = assay.run(replace(changed, out=tmp_path / "RUN", progress=steps)).run
    assert not steps.kept["bench"]
    fresh = assay.run(replace(changed, out=tmp_path / "FRESH")).run
    assert found.results[0].accuracy == fresh.results[0].accuracy


def test_a_corrected_label_decodes_and_measures_nothing_again(request_: RunRequest, tmp_path: Path) -> None:
    first = assay.run(replace(request_, out=tmp_path / "RUN")).run
    name, label = LINES[0].split()
    (tmp_path / "labels.txt").write_text("\n".join([f"{name} {(int(label) + 1) % 10}", *LINES[1:]]) + "\n")
    steps = Steps()
    again = assay.run(replace(request_, out=tmp_path / "RUN", progress=steps)).run
    # The page shows the labels' accuracy, and where its files lie.
    assert [step for step, kept in steps.kept.items() if not kept] == ["report"]
    assert first.results[0].accuracy is not None
    assert again.results[0].accuracy is not None
    assert abs(first.results[0].accuracy.correct_at[0] - again.results[0].accuracy.correct_at[0]) <= 1
    assert again.dataset is not None
    assert first.dataset is not None
    assert again.dataset.labels != first.dataset.labels
    assert again.dataset.fingerprint == first.dataset.fingerprint


def test_a_run_folder_that_was_moved_goes_on_where_it_is(request_: RunRequest, tmp_path: Path) -> None:
    first = assay.run(replace(request_, out=tmp_path / "RUN")).run
    place = tmp_path / "deep" / "down" / "RUN"
    place.parent.mkdir(parents=True)
    shutil.move(tmp_path / "RUN", place)
    steps = Steps()
    again = assay.run(replace(request_, out=place, progress=steps)).run
    # The page shows the labels' accuracy, and where its files lie.
    assert [step for step, kept in steps.kept.items() if not kept] == ["report"]
    assert again.dataset is not None
    assert first.dataset is not None
    assert again.dataset.source == first.dataset.source == Path(request_.images).resolve()


def test_the_folder_of_another_models_run_is_left_alone(request_: RunRequest, tmp_path: Path) -> None:
    assay.run(replace(request_, out=tmp_path / "RUN"))
    before = (tmp_path / "RUN" / "model.json").read_bytes()
    other = tmp_path / "other.onnx"
    shutil.copy(demo.ONNX, other)
    with pytest.raises(RecordError, match=r"RUN holds a run of demo, not of other; choose another folder"):
        assay.run(replace(replace(request_, model=str(other)), out=tmp_path / "RUN"))
    assert (tmp_path / "RUN" / "model.json").read_bytes() == before


def test_files_that_only_look_half_written_stay_where_they_are(tmp_path: Path) -> None:
    theirs = [tmp_path / ".movie.mkv.partial", tmp_path / "deep" / ".scores.npy.1.partial"]
    for path in theirs:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    with locks.lock(tmp_path):
        pass
    assert all(path.read_text() == "mine" for path in theirs)


def test_measurements_of_one_artifact_keep_their_raw_times_apart(
    request_: RunRequest, tmp_path: Path, demo_choice: TransformChoice
) -> None:
    model = describe(demo.ONNX, demo_choice)
    options, run_settings = BuildRequest(backend="onnxruntime").options(8)
    compiled, _ = compile_into(model, options, tmp_path / "compiled")
    data = Images.of(request_.images, request_.labels)
    record = bench_all([Runnable(compiled, run_settings)] * 2, data, tmp_path / "BENCH")
    again = bench_all([Runnable(compiled, run_settings)], data, tmp_path / "BENCH")
    files = {result.performance.batch_seconds.file.path for result in (*record.results, *again.results)}
    assert len(files) == 3
    for result in (*record.results, *again.results):
        assert result.performance.end_to_end_throughput <= result.performance.interface_throughput


@pytest.mark.parametrize("length", [Length(batches=3), Length(seconds=0.1)], ids=["batches", "seconds"])
@pytest.mark.parametrize("prepared", [True, False])
def test_fewer_images_than_a_batch_are_counted_as_what_they_are(
    length: Length, prepared: bool, request_: RunRequest, tmp_path: Path, demo_choice: TransformChoice
) -> None:
    model = describe(demo.ONNX, demo_choice)
    options, run_settings = BuildRequest(backend="onnxruntime").options(32)
    compiled, _ = compile_into(model, options, tmp_path / "compiled")
    source = Images.of(request_.images, request_.labels)
    data = (
        prepare_with(PrepareRequest(request_.images, out=tmp_path / "prepared"), model.transform)
        if prepared
        else source
    )
    found = measure(Runnable(compiled, run_settings), data, tmp_path, Measuring(length=length)).performance
    calls = len(found.batch_seconds.load())
    assert found.images == 24 * calls
    assert calls == 3 or length.seconds is not None


def test_no_share_of_a_stage_is_more_than_the_whole_run(request_: RunRequest, tmp_path: Path) -> None:
    run: RunRecord = assay.run(replace(request_, out=tmp_path / "RUN")).run
    for stage in run.results[0].performance.stages:
        for share in (stage.busy_share, stage.waiting_in_share, stage.waiting_out_share):
            assert 0 <= share <= 1.0


def test_raw_times_that_are_gone_are_named(request_: RunRequest, tmp_path: Path) -> None:
    run = assay.run(replace(request_, out=tmp_path / "RUN")).run
    run.results[0].performance.batch_seconds.file.path.unlink()
    loaded = load_run(tmp_path / "RUN")
    with pytest.raises(RecordError, match=r"cannot read .*batch_seconds.npy"):
        _ = loaded.results[0].performance.interface_throughput


def test_a_link_whose_image_is_gone_is_named(request_: RunRequest, tmp_path: Path) -> None:
    (Path(request_.images) / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with (tmp_path / "labels.txt").open("a") as file:
        file.write("gone.jpg 1\n")
    for prepare in (True, False):
        with pytest.raises(DatasetError, match=r"gone.jpg"):
            assay.run(replace(replace(request_, no_prepare=not prepare), out=tmp_path / f"RUN-{prepare}"))


def test_a_model_renamed_with_its_record_keeps_its_transform(request_: RunRequest, tmp_path: Path) -> None:
    adopted = adopt(demo.ONNX, out=tmp_path / "model.onnx", **vars(request_.transform))
    for suffix in (".onnx", ".json"):
        (tmp_path / f"model{suffix}").rename(tmp_path / f"renamed{suffix}")
    assert describe(tmp_path / "renamed.onnx").transform == adopted.transform


def test_a_json_beside_the_model_that_is_no_record_of_it_is_said(request_: RunRequest, tmp_path: Path) -> None:
    shutil.copy(demo.ONNX, tmp_path / "model.onnx")
    (tmp_path / "model.json").write_text("{}")
    found = describe(tmp_path / "model.onnx", request_.transform)
    assert found.transform_source == "given (model.json beside the model is no record of it)"


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"backend": "nope"}, UnknownNameError),
        ({"set": {"streams": "0"}}, UsageError),
        ({"set": {"foo": "1"}}, UnknownNameError),
        ({"precision": "fp16"}, UnknownNameError),
    ],
)
def test_a_wrong_option_is_said_before_any_work(
    wrong: dict[str, object], kind: type[Exception], request_: RunRequest, tmp_path: Path
) -> None:
    with pytest.raises(kind):
        assay.run(replace(replace(request_, **wrong), out=tmp_path / "RUN"))  # type: ignore[arg-type]
    assert not (tmp_path / "RUN" / "model.onnx").exists()
