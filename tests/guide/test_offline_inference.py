"""The guide's way from an artifact to `result.json`, on the demo."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from assay import demo
from assay.errors import DatasetError, RecordError, UnknownNameError, UsageError
from assay.guide import dumps
from assay.guide.benchmark import Wanted, benchmark, pure_inference
from assay.guide.compilation import Tensors, compile_offline, export_checkpoint
from assay.guide.evaluation import evaluate
from assay.guide.tensors import list_tensors, preprocess
from assay.progress import Lines
from assay.records import CompiledModel, OnnxModel, RunRecord
from assay.steps.artifact import compile_to
from assay.steps.build_options import BuildRequest
from assay.steps.results import load_run
from assay.storage import store
from tests import factories
from tests.messages import assert_says

SHAPE = (16, 3, 64, 64)
USUAL = Wanted(batch=16, device=0, sides=(64, 64), binary=False)
LABELS = dict(line.split() for line in demo.LABELS.read_text().splitlines())


@pytest.fixture(scope="module")
def compiled(demo_model: OnnxModel, tmp_path_factory: pytest.TempPathFactory) -> CompiledModel:
    out = tmp_path_factory.mktemp("om") / "demo_bs16.om"
    tensors = Tensors(demo_model.input.name, SHAPE)
    return compile_offline(demo_model.file.path, out, tensors, "onnxruntime", wanted_target="Ascend310")


@pytest.fixture(scope="module")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of the demo's tensors, 240 of them: a last batch that is whole."""
    folder = tmp_path_factory.mktemp("tensors")
    preprocess("demo", demo.IMAGES, folder / "prep")
    list_tensors(str(folder / "prep"), folder / "x.info", 64, 64)
    return folder / "x.info"


def run(compiled: CompiledModel, listed: Path, out: Path, **changes: Any) -> RunRecord:
    return benchmark(compiled, listed, replace(USUAL, **changes), out)


def test_the_artifact_is_one_file_with_its_record_beside_it(compiled: CompiledModel) -> None:
    assert [path.name for path in sorted(compiled.file.path.parent.iterdir())] == ["demo_bs16.om", "demo_bs16.om.json"]
    assert compiled.input.dtype == "float32"
    assert compiled.input.shape == SHAPE
    kept = store.read(compiled.file.path.with_name("demo_bs16.om.json"), CompiledModel)
    assert kept.notes == ("compiled for cpu of this machine, not for the Ascend310 that was named",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "x"}, "names 'x'"),
        ({"shape": (16, 3, 32, 32)}, "32"),
        ({"shape": (16, 1, 64, 64)}, "N×3×H×W"),
        ({"shape": (16, 3, 64, 32)}, "H equal to W"),
    ],
)
def test_a_shape_that_is_not_the_models_is_refused(
    changes: dict[str, Any], said: str, demo_model: OnnxModel, tmp_path: Path
) -> None:
    asked = replace(Tensors(demo_model.input.name, SHAPE), **changes)
    with pytest.raises(UsageError) as caught:
        compile_offline(demo_model.file.path, tmp_path / "x.om", asked, "onnxruntime")
    assert_says(caught, said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("binary", [False, True])
def test_every_image_has_its_dump_and_the_score_is_the_demos(
    binary: bool, compiled: CompiledModel, tensors: Path, tmp_path: Path
) -> None:
    record = run(compiled, tensors, tmp_path, binary=binary)
    folder = tmp_path / "dumpOutput_device0"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        dumps.file_name(name.split(".")[0], binary) for name in LABELS
    )
    accuracy = evaluate(folder, demo.LABELS, tmp_path / "result.json")
    assert accuracy.top(1) == demo.TOP1
    assert accuracy.count == 240
    predictions = record.results[0].predictions
    assert predictions is not None
    images, scores = dumps.read(folder)
    assert images == predictions.names
    assert np.allclose(scores, predictions.scores.load(), atol=0 if binary else 1e-6)


@pytest.mark.parametrize("streams", [1, 2])
def test_the_performance_file_agrees_with_the_record(
    streams: int, compiled: CompiledModel, tensors: Path, tmp_path: Path
) -> None:
    record = run(msgspec.structs.replace(compiled, run_settings={"streams": streams}), tensors, tmp_path)
    assert record.results[0].performance.slots == streams
    text = (tmp_path / "perf_vision_batchsize_16_device_0.txt").read_text()
    figures = [float(value) for value in re.findall(r": ([\d.e+]+)", text)]
    names = [line.split("]")[0] for line in text.splitlines()]
    assert names == ["[e2e", "[data read", "[preprocess", "[infer", "[post"]
    rate, milliseconds = figures[:2]
    assert rate * milliseconds == pytest.approx(240 * 1000, rel=1e-4)
    infer, interface, busy = figures[6:9]
    # Six digits a figure; the stage is at work exactly while a call is in flight.
    assert busy == pytest.approx(1000 / interface, rel=1e-4)
    assert busy <= 1000 / infer * 1.0001
    assert infer / figures[9] == pytest.approx(16, rel=0.2)
    assert interface == pytest.approx(record.results[0].performance.interface_throughput, rel=1e-4)
    kept = load_run(tmp_path / "assay_device_0" / "batchsize_16")
    assert kept.results[0].performance.source == "tensors"


def test_pure_inference_writes_its_one_line(compiled: CompiledModel, tmp_path: Path) -> None:
    record = pure_inference(compiled, batch=16, device=0, rounds=5, out=tmp_path)
    text = (tmp_path / "PureInfer_perf_of_demo_bs16_in_device_0.txt").read_text()
    found = re.fullmatch(r"ave_throughputRate: ([\d.e+]+) samples/s, ave_latency: ([\d.e+-]+) ms\n", text)
    assert found
    assert float(found[1]) * float(found[2]) == pytest.approx(1000, rel=1e-4)
    assert record.results[0].performance.images == 5 * 16


def test_padding_of_the_last_batch_is_not_written(compiled: CompiledModel, tensors: Path, tmp_path: Path) -> None:
    short = tensors.with_name("short.info")
    short.write_text("".join(tensors.read_text().splitlines(keepends=True)[:17]))
    run(compiled, short, tmp_path)
    assert len(list((tmp_path / "dumpOutput_device0").iterdir())) == 17


def test_dumps_of_an_earlier_run_over_other_images_do_not_count_as_this_ones(
    compiled: CompiledModel, tensors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "dumpOutput_device0"
    folder.mkdir()
    (folder / "other_1.txt").write_text("1.000000 \n")
    (folder / "notes").write_text("mine")
    benchmark(compiled, tensors, USUAL, tmp_path, Lines())
    assert "removed 1 dumps of an earlier run" in capsys.readouterr().err
    assert not (folder / "other_1.txt").exists()
    assert (folder / "notes").exists()


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"batch": 1}, UsageError, "-batch_size=1"),
        ({"device": 1}, UnknownNameError, "-device_id"),
        ({"sides": (224, 224)}, UsageError, "-input_width"),
    ],
)
def test_flags_that_contradict_the_artifact_or_the_list_are_refused(
    changes: dict[str, object],
    kind: type[UsageError],
    said: str,
    compiled: CompiledModel,
    tensors: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(kind) as caught:
        run(compiled, tensors, tmp_path, **changes)
    assert_says(caught, said)
    assert list(tmp_path.iterdir()) == []


def test_an_artifact_of_another_input_is_refused(demo_model: OnnxModel, tensors: Path, tmp_path: Path) -> None:
    options, _ = BuildRequest(backend="onnxruntime").options(16)
    compiled = compile_to(demo_model, options, tmp_path / "uint8.om")
    with pytest.raises(UsageError) as caught:
        run(compiled, tensors, tmp_path / "result")
    assert_says(caught, "uint8", "float32", "compile")


def test_tensors_of_other_sides_are_refused(compiled: CompiledModel, tmp_path: Path) -> None:
    factories.write_image(tmp_path / "in" / "a.png")
    preprocess("resnet", tmp_path / "in", tmp_path / "prep")
    list_tensors(str(tmp_path / "prep"), tmp_path / "x.info", 224, 224)
    with pytest.raises(UsageError) as caught:
        run(compiled, tmp_path / "x.info", tmp_path / "result")
    assert_says(caught, "224×224", "64×64")


def test_a_list_with_a_missing_file_writes_nothing(compiled: CompiledModel, tensors: Path, tmp_path: Path) -> None:
    broken = tensors.with_name("broken.info")
    broken.write_text(tensors.read_text().replace("demo_val_00000007.bin", "gone.bin"))
    with pytest.raises(DatasetError) as caught:
        run(compiled, broken, tmp_path / "result")
    assert_says(caught, "line 7: ", "gone.bin is missing")
    assert not (tmp_path / "result").exists()


def test_what_stands_in_the_way_of_the_dumps_is_said_before_the_run(
    compiled: CompiledModel, tensors: Path, tmp_path: Path
) -> None:
    (tmp_path / "dumpOutput_device0").write_text("in the way")
    with pytest.raises(RecordError) as caught:
        run(compiled, tensors, tmp_path)
    assert_says(caught, "cannot write to")
    assert [path.name for path in tmp_path.iterdir()] == ["dumpOutput_device0"]


def test_the_model_is_not_written_over(demo_model: OnnxModel, tmp_path: Path) -> None:
    model = tmp_path / "m.om"
    model.write_bytes(demo_model.file.path.read_bytes())
    with pytest.raises(UsageError) as caught:
        compile_offline(model, model, Tensors(demo_model.input.name, SHAPE), "onnxruntime")
    assert_says(caught, "is the model itself")
    for out in (tmp_path / "w.pth", tmp_path / "w.json"):
        (tmp_path / "w.pth").write_bytes(demo.CHECKPOINT.read_bytes())
        with pytest.raises(UsageError):
            export_checkpoint(tmp_path / "w.pth", out)
        assert (tmp_path / "w.pth").read_bytes() == demo.CHECKPOINT.read_bytes()
