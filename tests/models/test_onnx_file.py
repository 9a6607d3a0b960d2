from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from assay.errors import ModelError, UnknownNameError
from assay.models import onnx_file
from assay.records import TensorSpec
from tests import factories
from tests.messages import assert_says


def _save(folder: Path, model: onnx.ModelProto) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _model(inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto], domain: str = "") -> onnx.ModelProto:
    node = helper.make_node("Flatten", [value.name for value in inputs[:1]], ["class"])
    graph = helper.make_graph([node], "graph", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, 11)])


IMAGE = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 4, 4])
CLASS = helper.make_tensor_value_info("class", TensorProto.FLOAT, ["batch", 48])


@pytest.mark.parametrize("batch", ["batch", "N", 16])
def test_a_classifier_is_described_whatever_its_names(tmp_path: Path, batch: int | str) -> None:
    path = _save(tmp_path, factories.onnx_classifier(batch=batch, input_name="data:0", opset=12))
    assert onnx_file.inspect(path) == (
        TensorSpec(name="data:0", shape=(batch, 3, 8, 8), dtype="float32"),
        TensorSpec(name="logits", shape=(batch, 5), dtype="float32"),
        12,
    )


def test_an_axis_without_a_name_is_free(tmp_path: Path) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, 3, 4, 4])
    taken, _, _ = onnx_file.inspect(_save(tmp_path, _model([image], [CLASS])))
    assert taken.shape == ("?", 3, 4, 4)


def test_weights_that_are_listed_as_inputs_are_no_inputs(tmp_path: Path) -> None:
    model = factories.onnx_classifier()
    for weight in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
    assert onnx_file.inspect(_save(tmp_path, model))[0].name == "data"


def test_a_model_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(tmp_path / "none.onnx")
    assert_says(caught, f"no model at {tmp_path / 'none.onnx'}", "give an .onnx file or an architecture with weights")


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x08", b"\xff" * 100])
def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, str(path), "no whole ONNX file")


def test_a_file_larger_than_any_model_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)  # a hole, which takes no room on the disk
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, str(path), "it has 2.0 GiB, and one holds 2 GiB at most")


def test_a_model_that_ends_anywhere_before_its_end_is_named(tmp_path: Path) -> None:
    path = _save(tmp_path, factories.onnx_classifier())
    whole = path.read_bytes()
    for length in (*range(0, len(whole) - 8, 97), *range(len(whole) - 8, len(whole))):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError) as caught:
            onnx_file.inspect(path)
        assert_says(caught, str(path))


def test_weights_beside_the_model_that_are_gone_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(
        factories.onnx_classifier(), str(path), save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    assert onnx_file.inspect(path)[0].name == "data"
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError) as caught:
        onnx_file.load(path)
    assert_says(caught, str(path), "weights.bin")


def _value(name: str, shape: list[int | str] | None, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        (_value("pixels", ["n", 1, 4, 4]), "pixels n×1×4×4 float32, without an axis of 3 colours"),
        (_value("pixels", ["n", 4, 4, 1]), "pixels n×4×4×1 float32, without an axis of 3 colours"),
        (_value("pixels", ["n", "c", "h", "w"]), "pixels n×c×h×w float32, without an axis of 3 colours"),
        (_value("pixels", ["n", 48]), "pixels n×48 float32, of rank 2"),
        (_value("pixels", ["n", 1, 3, 4, 4]), "pixels n×1×3×4×4 float32, of rank 5"),
        (_value("pixels", ["n", 3, 4, 4], TensorProto.UINT8), "pixels n×3×4×4 uint8, of type uint8"),
        (_value("pixels", ["n", 3, 4, 4], TensorProto.INT64), "pixels n×3×4×4 int64, of type int64"),
        (_value("pixels", ["n", 3, 4, 4], TensorProto.DOUBLE), "pixels n×3×4×4 float64, of type float64"),
        (_value("pixels", None), "pixels of no rank float32, of rank 0"),
    ],
)
def test_a_model_of_another_input_says_what_it_takes(tmp_path: Path, image: onnx.ValueInfoProto, shown: str) -> None:
    path = _save(tmp_path, _model([image], [CLASS]))
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, str(path), "no image classifier", shown, "expected is N×3×H×W or N×H×W×3")


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (_value("boxes", ["n", 100, 4]), "boxes n×100×4 float32; expected is N×classes"),
        (_value("score", ["n", 1]), "score n×1 float32; expected is N×classes, of 2 classes or more"),
        (_value("best", ["n"], TensorProto.INT64), "best n int64, of type int64"),
        (_value("scores", [10]), "scores 10 float32; expected is N×classes"),
        (_value("scores", ["n", "classes"]), "scores n×classes float32, whose number of classes is not known"),
        (_value("scores", None), "scores of no rank float32; expected is N×classes"),
    ],
)
def test_a_model_of_another_output_says_what_it_gives(tmp_path: Path, output: onnx.ValueInfoProto, shown: str) -> None:
    path = _save(tmp_path, _model([IMAGE], [output]))
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, str(path), "no image classifier", shown)


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        (["n", 3, 4, 4], ("n", 3, 4, 4)),
        (["n", 4, 4, 3], ("n", 4, 4, 3)),
        ([-1, 3, 4, 4], ("?", 3, 4, 4)),
        (["n", 3, "h", "w"], ("n", 3, "h", "w")),
        (["n", 3, 3, 3], ("n", 3, 3, 3)),
    ],
)
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_the_input_is_the_files_own(
    tmp_path: Path, shape: list[int | str], found: tuple[int | str, ...], kind: int
) -> None:
    taken, _, _ = onnx_file.inspect(_save(tmp_path, _model([_value("pixels", shape, kind)], [CLASS])))
    assert taken.shape == found
    assert taken.dtype == ("float32" if kind == TensorProto.FLOAT else "float16")


def test_open_channels_are_read_off_the_first_convolution(tmp_path: Path) -> None:
    model = factories.onnx_classifier()
    model.graph.input[0].CopyFrom(_value("data", ["n", "channels", "height", "width"]))
    assert onnx_file.inspect(_save(tmp_path, model))[0].shape == ("n", 3, "height", "width")


@pytest.mark.parametrize("shape", [[2, 3, 4, 8], ["n", 8, 4, 3]])
def test_an_input_that_is_not_square_is_named(tmp_path: Path, shape: list[int | str]) -> None:
    path = _save(tmp_path, _model([_value("pixels", shape)], [CLASS]))
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, str(path), "×".join(map(str, shape)), "not square")


@pytest.mark.parametrize("output", [_value("class", ["n", "classes"]), _value("class", None)])
def test_an_open_number_of_classes_is_inferred(tmp_path: Path, output: onnx.ValueInfoProto) -> None:
    _, given, _ = onnx_file.inspect(_save(tmp_path, _model([IMAGE], [output])))
    assert given.shape[1:] == (48,)


@pytest.mark.parametrize("shape", [["n", 10, 1, 1], ["n", 1, 1, 10], ["n", 1, 10]])
def test_classes_may_lie_on_any_axis(tmp_path: Path, shape: list[int | str]) -> None:
    _, given, _ = onnx_file.inspect(_save(tmp_path, _model([IMAGE], [_value("other", shape)])))
    assert given.shape == tuple(shape)


def test_images_and_rows_must_be_as_many(tmp_path: Path) -> None:
    path = _save(tmp_path, _model([_value("image", [4, 3, 4, 4])], [_value("class", [1, 192])]))
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, "image 4×3×4×4 float32 gives class 1×192 float32, not a row an image")


def test_an_opset_from_before_broadcasting_is_refused(tmp_path: Path) -> None:
    path = _save(tmp_path, factories.onnx_classifier(opset=6))
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, f"{path} is of opset 6; export it with opset 7 or higher")


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(tmp_path)
    assert_says(caught, f"{tmp_path} is a folder; give the .onnx file in it")


def test_a_model_of_two_inputs_names_them(tmp_path: Path) -> None:
    path = _save(tmp_path, _model([IMAGE, _value("size", [2])], [CLASS]))
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, str(path), "2 inputs (image, size)")


def test_a_model_of_two_outputs_names_them(tmp_path: Path) -> None:
    path = _save(tmp_path, _model([IMAGE], [CLASS, _value("auxiliary", ["n", 48])]))
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, str(path), "2 outputs (class batch×48 float32, auxiliary n×48 float32)", "output=NAME")
    assert onnx_file.inspect(path, "auxiliary")[1].name == "auxiliary"
    with pytest.raises(UnknownNameError) as unknown:
        onnx_file.inspect(path, "clas")
    assert_says(unknown, f"unknown output of {path} 'clas'; known: class, auxiliary")


def test_a_model_without_the_standard_operators_is_named(tmp_path: Path) -> None:
    path = _save(tmp_path, _model([IMAGE], [CLASS], domain="com.example"))
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, str(path))


def test_a_model_of_an_unknown_element_type_is_named(tmp_path: Path) -> None:
    model = _model([IMAGE], [CLASS])
    model.graph.input[0].type.tensor_type.elem_type = 99
    path = _save(tmp_path, model)
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, str(path))


@pytest.mark.material
@pytest.mark.parametrize(
    ("name", "side", "classes"),
    [("squeezenet1_0_dc_torchvision", 224, 1000), ("mobilenet_v1_0.25_224", 224, 1000), ("cifar10_resnet20", 32, 10)],
)
def test_the_models_of_the_material_are_classifiers(material: Path, name: str, side: int, classes: int) -> None:
    taken, given, opset = onnx_file.inspect(material / f"models/{name}.onnx")
    assert taken.shape[1:] == (3, side, side)
    assert given.shape[1:] == (classes,)
    assert opset >= 7


def test_the_weights_are_read_with_the_model(tmp_path: Path) -> None:
    written = factories.onnx_classifier()
    read = onnx_file.load(_save(tmp_path, written))
    for ours, theirs in zip(read.graph.initializer, written.graph.initializer, strict=True):
        assert (numpy_helper.to_array(ours) == numpy_helper.to_array(theirs)).all()


def test_a_git_lfs_pointer_in_place_of_a_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        onnx_file.load(path)
    assert_says(caught, f"{path} is a Git LFS pointer", "run git lfs pull")
