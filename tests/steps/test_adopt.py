"""ONNX files as exporters write them: each goes the whole way and gives the hits of the original."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import assay
from assay import demo
from assay.cli.main import main
from assay.data.transform import TransformChoice
from assay.errors import DatasetError, ModelError, UnknownNameError
from assay.progress import Silent
from assay.records import RunRecord
from assay.score.accuracy import SHIFTED
from assay.steps.adopt import adopt, describe, transform_of
from assay.steps.predict import predict
from assay.storage import store
from assay.whole_run.request import RunRequest
from tests import factories, onnx_variants
from tests.messages import assert_says

IMAGES = 40


class Notes(Silent):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty of the demo's images, with their labels beside the folder."""
    folder = tmp_path_factory.mktemp("data") / "images"
    folder.mkdir()
    lines = demo.LABELS.read_text().splitlines()[:IMAGES]
    for line in lines:
        shutil.copy(demo.IMAGES / line.split()[0], folder)
    (folder.parent / "labels.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def usual(images: Path, demo_choice: TransformChoice) -> RunRequest:
    return RunRequest(
        str(demo.ONNX),
        images=images,
        labels=images.parent / "labels.txt",
        **vars(demo_choice),
        batch=(1, 16),
        out="RUN",
    )


@pytest.fixture(scope="module")
def expected(usual: RunRequest, tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return assay.run(replace(usual, out=tmp_path_factory.mktemp("usual") / "RUN")).run


def scores(run: RunRecord) -> list[np.ndarray]:
    return [np.asarray(result.predictions.scores.load()) for result in run.results if result.predictions]


def hits(run: RunRecord) -> list[tuple[int, ...]]:
    return [result.accuracy.correct_at for result in run.results if result.accuracy]


@pytest.mark.parametrize("variant", [*onnx_variants.VARIANTS, "weights_beside"])
def test_a_file_of_any_form_gives_the_hits_of_the_original(
    variant: str, usual: RunRequest, expected: RunRecord, tmp_path: Path
) -> None:
    if variant == "weights_beside":
        file = onnx_variants.save_with_data(onnx_variants.original(), tmp_path / "from" / "model.onnx")
    else:
        file = onnx_variants.save(onnx_variants.VARIANTS[variant](), tmp_path / "from" / "model.onnx")
    output = onnx_variants.NAME if variant == "two_outputs" else None
    request = replace(usual, model=str(file), output=output)
    pixels = assay.run(replace(request, out=tmp_path / "pixels")).run
    floats = assay.run(replace(replace(request, input="float32"), out=tmp_path / "floats")).run
    assert hits(pixels) == hits(floats) == hits(expected)
    assert pixels.model.classes == onnx_variants.CLASSES
    for one, other, original in zip(scores(pixels), scores(floats), scores(expected), strict=True):
        np.testing.assert_array_equal(one, other)
        if "half" not in variant and variant != "softmax":
            np.testing.assert_array_equal(one, original)
    for result in (*pixels.results, *floats.results):
        assert result.compiled.parity is not None
        assert result.compiled.output.dtype == "float32"
        assert result.compiled.input.dtype in ("uint8", "float32")


def test_the_record_keeps_what_the_file_itself_takes_and_gives(demo_choice: TransformChoice, tmp_path: Path) -> None:
    file = onnx_variants.save(onnx_variants.half_channels_last(), tmp_path / "model.onnx")
    model = describe(file, demo_choice)
    assert (model.input.shape, model.input.dtype) == (("batch", 64, 64, 3), "float16")
    assert model.output.dtype == "float16"


@pytest.mark.parametrize("variant", ["half_channels_last", "planes"])
def test_single_images_are_scored_whatever_the_form(
    variant: str, demo_choice: TransformChoice, images: Path, tmp_path: Path
) -> None:
    file = onnx_variants.save(onnx_variants.VARIANTS[variant](), tmp_path / "model.onnx")
    paths = sorted(images.iterdir())[:3]
    found = predict(file, paths, **vars(demo_choice))
    original = predict(demo.ONNX, paths, **vars(demo_choice))
    assert [image.classes[0] for image in found.images] == [image.classes[0] for image in original.images]


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch_size_is_taken_where_none_is_asked_for(
    batch: int, usual: RunRequest, expected: RunRecord, tmp_path: Path
) -> None:
    file = onnx_variants.save(onnx_variants.fixed(batch), tmp_path / "model.onnx")
    notes = Notes()
    run = assay.run(replace(replace(usual, model=str(file), batch=None), out=tmp_path / "RUN", progress=notes)).run
    assert [result.batch for result in run.results] == [batch]
    assert f"batch size {batch}: the only one that the model takes" in notes.said
    assert hits(run) == hits(expected)[:1]
    asked = assay.run(replace(replace(usual, model=str(file), batch=(batch,)), out=tmp_path / "RUN")).run
    assert hits(asked) == hits(expected)[:1]


def test_another_batch_size_than_the_fixed_one_is_refused_with_the_reason(usual: RunRequest, tmp_path: Path) -> None:
    file = onnx_variants.save(onnx_variants.fixed(4), tmp_path / "model.onnx")
    with pytest.raises(ModelError) as caught:
        assay.run(replace(replace(usual, model=str(file)), out=tmp_path / "RUN"))
    assert_says(caught, "fixed batch size of 4", "use batch=4, or export it with a free batch size")
    assert not (tmp_path / "RUN" / "prepared").exists()
    assert not (tmp_path / "RUN" / "verdict.json").exists()


def test_of_several_outputs_one_is_chosen_and_stays_chosen(
    usual: RunRequest, demo_choice: TransformChoice, tmp_path: Path
) -> None:
    file = onnx_variants.save(onnx_variants.two_outputs(), tmp_path / "model.onnx")
    with pytest.raises(ModelError) as caught:
        adopt(file, out=tmp_path / "a.onnx", **vars(demo_choice))
    assert_says(caught, "2 outputs (class batch×10 float32, auxiliary batch×128 float32)", "output=NAME")
    with pytest.raises(UnknownNameError) as unknown:
        adopt(file, out=tmp_path / "a.onnx", output="clas", **vars(demo_choice))
    assert_says(unknown, "'clas'", "known: class, auxiliary")
    chosen = adopt(file, out=tmp_path / "a.onnx", output="class", **vars(demo_choice))
    assert describe(tmp_path / "a.onnx").output == chosen.output
    other = adopt(file, out=tmp_path / "a.onnx", output="auxiliary", **vars(demo_choice))
    assert other.classes == 128
    assert transform_of(file, demo_choice)[0] == chosen.transform


def test_operators_of_other_outputs_are_left_out(usual: RunRequest, tmp_path: Path) -> None:
    file = onnx_variants.save(onnx_variants.two_outputs(), tmp_path / "model.onnx")
    model = describe(file, usual.transform, "class")
    from assay.models import preprocess_fusion

    preprocess_fusion.fuse(model, 2, "float32", tmp_path / "out.onnx")
    graph = onnx.load(str(tmp_path / "out.onnx")).graph
    assert [value.name for value in graph.output] == ["class"]
    assert not any(onnx_variants.AUXILIARY in node.output for node in graph.node)
    assert "one" not in {initializer.name for initializer in graph.initializer}


def test_weights_beside_the_file_are_in_the_adopted_one(demo_choice: TransformChoice, tmp_path: Path) -> None:
    file = onnx_variants.save_with_data(onnx_variants.original(), tmp_path / "from" / "model.onnx", "w.bin")
    bare = describe(file, demo_choice)
    assert [data.path.name for data in bare.data] == ["w.bin"]
    assert bare.sha256 != bare.file.sha256
    adopted = adopt(file, out=tmp_path / "RUN" / "model.onnx", **vars(demo_choice))
    assert adopted.data == ()
    shutil.rmtree(tmp_path / "from")
    for weight in onnx.load(str(adopted.file.path)).graph.initializer:
        assert weight.data_location == onnx.TensorProto.DEFAULT
    assert predict(adopted.file.path, sorted(demo.IMAGES.iterdir())[:1]).images[0].classes


def test_an_adopted_file_is_kept_until_its_weights_change(demo_choice: TransformChoice, tmp_path: Path) -> None:
    file = onnx_variants.save_with_data(onnx_variants.original(), tmp_path / "from" / "model.onnx", "w.bin")
    out = tmp_path / "RUN" / "model.onnx"
    first = adopt(file, out=out, **vars(demo_choice))
    written = out.stat().st_mtime_ns
    assert adopt(file, out=out, **vars(demo_choice)) == first
    assert out.stat().st_mtime_ns == written
    weights = file.with_name("w.bin")
    content = bytearray(weights.read_bytes())
    content[3] ^= 1
    weights.write_bytes(bytes(content))
    os.utime(weights, ns=(1, 1))
    assert adopt(file, out=out, **vars(demo_choice)).file.sha256 != first.file.sha256


def test_labels_outside_the_models_classes_are_listed_before_anything_is_measured(
    usual: RunRequest, tmp_path: Path
) -> None:
    lines = (Path(usual.images).parent / "labels.txt").read_text().splitlines()
    wrong = [f"{line.split()[0]} 10" if number < 2 else line for number, line in enumerate(lines)]
    (tmp_path / "labels.txt").write_text("\n".join(wrong) + "\n")
    with pytest.raises(DatasetError) as caught:
        assay.run(replace(replace(usual, labels=tmp_path / "labels.txt"), out=tmp_path / "RUN"))
    assert_says(caught, "2 of 40 labels are outside the model's classes 0 to 9", f"{lines[0].split()[0]}: class 10")
    assert not (tmp_path / "RUN" / "bench").exists()
    assert not (tmp_path / "RUN" / "verdict.json").exists()


def test_1001_classes_shift_the_labels_by_one_and_say_so(
    usual: RunRequest, expected: RunRecord, tmp_path: Path
) -> None:
    file = onnx_variants.save(onnx_variants.wider(1001, first=1), tmp_path / "model.onnx")
    notes = Notes()
    run = assay.run(replace(replace(usual, model=str(file)), out=tmp_path / "RUN", progress=notes)).run
    assert hits(run) == hits(expected)
    assert notes.said.count(SHIFTED) == 1
    assert SHIFTED in run.warnings
    assert [result.accuracy.label_shift for result in run.results if result.accuracy] == [1, 1]
    assert store.read(tmp_path / "RUN" / "run.json", RunRecord) == run


def test_1000_classes_shift_nothing(usual: RunRequest, expected: RunRecord, tmp_path: Path) -> None:
    file = onnx_variants.save(onnx_variants.wider(1000, first=0), tmp_path / "model.onnx")
    run = assay.run(replace(replace(usual, model=str(file)), out=tmp_path / "RUN")).run
    assert hits(run) == hits(expected)
    assert SHIFTED not in run.warnings


def test_the_command_line_chooses_the_output_and_says_what_it_shifts(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = onnx_variants.wider(1001, first=1)
    model.graph.output.append(onnx.helper.make_tensor_value_info("/Flatten_output_0", 1, ["batch", 128]))
    file = str(onnx_variants.save(model, tmp_path / "model.onnx"))
    labels = str(images.parent / "labels.txt")
    transform = ["--resize", "72", "--crop", "64", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]
    data = ["--images", str(images), "--labels", labels]
    run, bench, artifact = (str(tmp_path / name) for name in ("RUN", "BENCH", "a.onnx"))
    chosen = ["--output", "class", *transform]
    assert main(["run", file, *data, "--batch", "4", "-o", run]) == 1
    assert "choose the one of classes with --output NAME" in capsys.readouterr().err
    assert main(["run", file, *data, "--batch", "4", "--out", run, *chosen]) == 0
    assert "1 is added to every label" in capsys.readouterr().err
    assert main(["evaluate", run, "--labels", labels, "--csv", str(tmp_path / "best.csv")]) == 0
    assert capsys.readouterr().err.count("1 is added to every label") == 1
    name, label = Path(labels).read_text().split()[:2]
    assert f"{name},{int(label) + 1}," in (tmp_path / "best.csv").read_text()
    assert main(["bench", file, *data, "--batch", "4", "-o", bench, *chosen]) == 0
    assert "1 is added to every label" in capsys.readouterr().err
    assert main(["compile", file, "-o", artifact, *chosen]) == 0
    assert main(["predict", file, str(next(images.iterdir())), *chosen]) == 0
    assert main(["prepare", str(images), "--like", file, "-o", str(tmp_path / "prepared"), *transform]) == 0


def test_the_model_of_a_record_without_data_is_known_by_its_file() -> None:
    model = factories.model()
    assert model.sha256 == model.file.sha256
