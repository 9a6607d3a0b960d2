from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from assay.errors import ModelError
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
    assert_says(caught, f"no model at {tmp_path / 'none.onnx'}", "give an .onnx file or an architecture with --weights")


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x08", b"\xff" * 100])
def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, str(path), "no whole ONNX file")


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
        (_value("pixels", ["n", 4, 4, 3]), "pixels n×4×4×3 float32"),
        (_value("pixels", ["n", 1, 4, 4]), "pixels n×1×4×4 float32"),
        (_value("pixels", ["n", 48]), "pixels n×48 float32"),
        (_value("pixels", ["n", 3, 4, 4], TensorProto.FLOAT16), "pixels n×3×4×4 float16"),
        (_value("pixels", ["n", 3, 4, 4], TensorProto.UINT8), "pixels n×3×4×4 uint8"),
        (_value("pixels", None), "pixels of no rank float32"),
    ],
)
def test_a_model_of_another_input_says_what_it_takes(tmp_path: Path, image: onnx.ValueInfoProto, shown: str) -> None:
    path = _save(tmp_path, _model([image], [CLASS]))
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, str(path), "no image classifier of N×3×H×W float32", shown)


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (_value("boxes", ["n", 100, 4]), "boxes n×100×4 float32"),
        (_value("best", ["n"], TensorProto.INT64), "best n int64"),
        (_value("class", ["n", "classes"]), "class n×classes float32"),
        (_value("class", None), "class of no rank float32"),
    ],
)
def test_a_model_of_another_output_says_what_it_gives(tmp_path: Path, output: onnx.ValueInfoProto, shown: str) -> None:
    path = _save(tmp_path, _model([IMAGE], [output]))
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, str(path), "float32 N×classes", shown)


def test_a_model_of_two_inputs_names_them(tmp_path: Path) -> None:
    path = _save(tmp_path, _model([IMAGE, _value("size", [2])], [CLASS]))
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, str(path), "2 inputs (image, size)")


def test_a_model_of_two_outputs_names_them(tmp_path: Path) -> None:
    path = _save(tmp_path, _model([IMAGE], [CLASS, _value("auxiliary", ["n", 48])]))
    with pytest.raises(ModelError) as caught:
        onnx_file.inspect(path)
    assert_says(caught, str(path), "2 outputs (class, auxiliary)", "one of N×classes is expected")


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
