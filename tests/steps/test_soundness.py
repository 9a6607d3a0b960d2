"""Models whose scores are not an image's own: found on the model itself, before anything is compiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import assay
from assay import demo
from assay.cli.main import main
from assay.data.transform import TransformChoice
from assay.errors import ModelError
from tests import onnx_variants
from tests.messages import assert_says

IMAGE = sorted(demo.IMAGES.iterdir())[0]
Make = Callable[[], onnx.ModelProto]


def _mean(batch: int | None = None) -> onnx.ModelProto:
    nodes = [
        helper.make_node("ReduceMean", ["scores"], ["mean"], "over the batch", axes=[0], keepdims=1),
        helper.make_node("Sub", ["scores", "mean"], ["mixed"]),
    ]
    return onnx_variants.mixing(*nodes, batch=batch)


def _softmax() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Transpose", ["scores"], ["turned"], perm=[1, 0]),
        helper.make_node("Softmax", ["turned"], ["probabilities"], axis=1),
        helper.make_node("Transpose", ["probabilities"], ["mixed"], perm=[1, 0]),
    ]
    return onnx_variants.mixing(*nodes)


def _normalisation_in_training() -> onnx.ModelProto:
    model = onnx_variants.mixing(
        helper.make_node(
            "BatchNormalization",
            ["scores", "one", "zero", "zero", "one"],
            ["mixed", "new_mean", "new_var"],
            "norm",
            training_mode=1,
        )
    )
    for name, value in (("one", 1.0), ("zero", 0.0)):
        weights = np.full(onnx_variants.CLASSES, value, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(weights, name))
    converted: onnx.ModelProto = onnx.version_converter.convert_version(onnx_variants.original(), 14)
    model.opset_import[0].version = converted.opset_import[0].version
    return model


def _turned_around(batch: int | None = None) -> onnx.ModelProto:
    """The rows in the opposite order."""
    model = onnx_variants.mixing(
        helper.make_node("Slice", ["scores", "last", "before", "axis", "step"], ["mixed"]), batch=batch
    )
    for name, value in (("last", -1), ("before", -(2**31)), ("axis", 0), ("step", -1)):
        model.graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), name))
    return model


def _first_row() -> onnx.ModelProto:
    model = onnx_variants.mixing(helper.make_node("Slice", ["scores", "start", "end", "axis"], ["mixed"]))
    for name, value in (("start", 0), ("end", 1), ("axis", 0)):
        model.graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), name))
    return model


@pytest.fixture
def given(demo_choice: TransformChoice) -> dict[str, Any]:
    return vars(demo_choice)


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_mean, "ReduceMean 'over the batch' reduces over the batch"),
        (_softmax, ""),
        (_normalisation_in_training, "BatchNormalization 'norm' is in training mode"),
        (_turned_around, ""),
    ],
)
def test_a_model_that_mixes_its_batch_is_refused_at_any_batch_size(
    make: Make, said: str, batch: int, tmp_path: Path, given: dict[str, Any]
) -> None:
    path = onnx_variants.save(make(), tmp_path / "model.onnx")
    with pytest.raises(ModelError) as caught:
        assay.compile(path, batch=batch, out=tmp_path / "artifact", **given)
    assert_says(caught, "model: the model mixes the images of a batch", said)
    assert not (tmp_path / "artifact").exists()


def _over_the_largest(batch: int | None = None) -> onnx.ModelProto:
    """Each score over the largest of the whole batch, which a single image may hold."""
    nodes = [
        helper.make_node("ReduceMax", ["scores"], ["largest"], "of all", keepdims=0),
        helper.make_node("Div", ["scores", "largest"], ["mixed"]),
    ]
    return onnx_variants.mixing(*nodes, batch=batch)


def _from_row(first: int) -> Make:
    """Rows from this one on have another score for class 3."""

    def make() -> onnx.ModelProto:
        nodes = [
            helper.make_node("Shape", ["scores"], ["shape"]),
            helper.make_node("Gather", ["shape", "zero"], ["count"], axis=0),
            helper.make_node("Range", ["zero", "count", "one"], ["rows"]),
            helper.make_node("Less", ["rows", "first"], ["early"]),
            helper.make_node("Unsqueeze", ["early"], ["column"], axes=[1]),
            helper.make_node("Add", ["scores", "more"], ["raised"]),
            helper.make_node("Where", ["column", "scores", "raised"], ["mixed"]),
        ]
        model = onnx_variants.mixing(*nodes)
        more = np.zeros((1, onnx_variants.CLASSES), np.float32)
        more[0, 3] = 5.0
        constants = {"zero": np.int64(0), "one": np.int64(1), "first": np.int64(first), "more": more}
        for name, value in constants.items():
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return model

    return make


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("make", [_over_the_largest, _from_row(2), _from_row(9)], ids=["largest", "row 2", "row 9"])
def test_what_shows_in_some_rows_or_beside_some_images_alone_is_found(
    make: Make, batch: int, tmp_path: Path, given: dict[str, Any]
) -> None:
    path = onnx_variants.save(make(), tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="the model mixes the images of a batch"):
        assay.compile(path, batch=batch, out=tmp_path / "artifact", **given)


def test_numbers_that_fail_in_larger_batches_alone_are_the_models_own(tmp_path: Path, given: dict[str, Any]) -> None:
    nodes = [
        helper.make_node("Shape", ["scores"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["sizes"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Gather", ["sizes", "zero"], ["count"], axis=0),
        helper.make_node("Sub", ["most", "count"], ["left"]),
        helper.make_node("Sqrt", ["left"], ["root"]),
        helper.make_node("Mul", ["root", "nothing"], ["nan"]),
        helper.make_node("Add", ["scores", "nan"], ["mixed"]),
    ]
    model = onnx_variants.mixing(*nodes)
    for name, value in {"zero": np.int64(0), "most": np.float32(8.5), "nothing": np.float32(0)}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    path = onnx_variants.save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=r"the model gives NaN .* in row \d+ of a batch of 16"):
        assay.compile(path, batch=16, out=tmp_path / "artifact", **given)


@pytest.mark.parametrize("make", [_mean, _turned_around])
def test_a_model_of_a_fixed_batch_size_is_asked_too(
    make: Callable[[int], onnx.ModelProto], tmp_path: Path, given: dict[str, Any]
) -> None:
    path = onnx_variants.save(make(4), tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="mixes the images of a batch"):
        assay.compile(path, out=tmp_path / "artifact", **given)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_sound_model_of_a_fixed_batch_size_passes(batch: int, tmp_path: Path, given: dict[str, Any]) -> None:
    path = onnx_variants.save(onnx_variants.fixed(batch), tmp_path / "model.onnx")
    assert assay.compile(path, out=tmp_path / "artifact", **given).options.batch == batch


def test_one_row_for_all_images_is_one_line_and_right_for_one_image(tmp_path: Path, given: dict[str, Any]) -> None:
    path = onnx_variants.save(_first_row(), tmp_path / "model.onnx")
    with pytest.raises(ModelError) as caught:
        assay.compile(path, batch=16, out=tmp_path / "artifact", **given)
    assert_says(caught, "the model gave 1 row for 16 images", "use batch 1")
    assert assay.compile(path, batch=1, out=tmp_path / "artifact", **given).options.batch == 1
    assert assay.predict(path, [IMAGE], **given).images[0].classes


@pytest.mark.parametrize(("value", "said"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_scores_that_are_no_numbers_are_the_models_own(
    value: float, said: str, tmp_path: Path, given: dict[str, Any]
) -> None:
    path = onnx_variants.save(onnx_variants.with_bias(value), tmp_path / "model.onnx")
    for act in (
        lambda: assay.compile(path, out=tmp_path / "artifact", **given),
        lambda: assay.compile(path, backend="auto", out=tmp_path / "artifact", **given),
        lambda: assay.predict(path, [IMAGE], **given),
        lambda: assay.quantize(path, calibration=demo.IMAGES, out=tmp_path / "int8.onnx", **given),
    ):
        with pytest.raises(ModelError) as caught:
            act()
        assert_says(caught, f"the model gives {said} for class 3 (image ", IMAGE.name)


def test_a_masked_class_is_no_fault(tmp_path: Path, given: dict[str, Any]) -> None:
    path = onnx_variants.save(onnx_variants.with_bias(-np.inf), tmp_path / "model.onnx")
    compiled = assay.compile(path, out=tmp_path / "artifact", **given)
    assert compiled.parity is not None
    assert compiled.parity.largest_difference <= 1e-4
    assert 3 not in assay.predict(path, [IMAGE], **given).images[0].classes


def test_predict_ends_with_1_and_prints_no_table(
    tmp_path: Path, demo_choice: TransformChoice, capsys: pytest.CaptureFixture[str]
) -> None:
    path = onnx_variants.save(_mean(), tmp_path / "model.onnx")
    transform = ["--resize", "72", "--crop", "64", "--mean", ".5,.5,.5", "--std", ".25,.25,.25"]
    assert main(["predict", str(path), str(IMAGE), *transform]) == 1
    printed = capsys.readouterr()
    assert not printed.out
    assert "mixes the images of a batch" in printed.err


def test_the_check_of_a_run_names_the_users_own_image(tmp_path: Path, given: dict[str, Any]) -> None:
    path = onnx_variants.save(onnx_variants.with_bias(np.nan), tmp_path / "model.onnx")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.jpeg").write_bytes(IMAGE.read_bytes())
    with pytest.raises(ModelError, match=r"NaN for class 3 \(image mine.jpeg\)"):
        assay.run(path, images=tmp_path / "images", out=tmp_path / "RUN", **given)


def test_a_model_that_is_right_for_one_image_is_paired_one_by_one(tmp_path: Path, given: dict[str, Any]) -> None:
    path = onnx_variants.save(_first_row(), tmp_path / "model.onnx")
    images: dict[str, Any] = {"images": demo.IMAGES, "labels": demo.LABELS, "no_images": True}
    outcome = assay.run(path, batch=1, paired=True, backend="openvino", out=tmp_path / "RUN", **images, **given)
    assert outcome.run.reference is not None
    assert outcome.run.results[0].accuracy is not None
    assert outcome.run.results[0].accuracy.correct_at[0] == 222
