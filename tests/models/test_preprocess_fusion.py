from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest

from assay.data import transform
from assay.errors import ModelError
from assay.models import onnx_file, preprocess_fusion
from assay.records import InputKind, OnnxModel, TensorSpec
from assay.storage import store
from tests import factories
from tests.messages import assert_says


def _model(folder: Path, batch: int | str = "batch", **changes: Any) -> OnnxModel:
    path = folder / "model.onnx"
    path.write_bytes(factories.onnx_classifier(batch, **changes).SerializeToString())
    taken, given, opset = onnx_file.inspect(path)
    return OnnxModel(
        name="small",
        file=store.reference(path),
        input=taken,
        output=given,
        opset=opset,
        transform=factories.transform(),
        transform_source="given",
        class_names=None,
        parity=None,
        checkpoint=None,
    )


def _scores(path: Path, batch: Any, optimised: bool = True) -> Any:
    options = onnxruntime.SessionOptions()
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: batch})[0]


def _pixels(batch: int) -> Any:
    return np.random.default_rng(3).integers(0, 256, (batch, 8, 8, 3), dtype=np.uint8)


def _normalised(pixels: Any) -> Any:
    out = np.empty((len(pixels), 3, 8, 8), dtype=np.float32)
    return transform.normalise(pixels, factories.transform(), out)


@pytest.mark.parametrize("batch", [1, 5])
def test_scores_of_pixels_are_those_of_normalised_floats_to_the_last_bit(tmp_path: Path, batch: int) -> None:
    model = _model(tmp_path)
    preprocess_fusion.fuse(model, batch, "uint8", tmp_path / "uint8.onnx")
    preprocess_fusion.fuse(model, batch, "float32", tmp_path / "float32.onnx")
    pixels = _pixels(batch)
    fused, plain = _scores(tmp_path / "uint8.onnx", pixels), _scores(tmp_path / "float32.onnx", _normalised(pixels))
    preprocess_fusion.fuse(model, batch, "uint8", tmp_path / "cast.onnx", cast_first=True)
    assert np.array_equal(_scores(tmp_path / "cast.onnx", pixels), fused)
    assert np.array_equal(fused, plain)
    assert np.array_equal(plain, _scores(model.file.path, _normalised(pixels)))


def test_every_byte_is_normalised_to_the_last_bit(tmp_path: Path) -> None:
    # A model that is nothing but its own input shows what the fused operators make of every value.
    image = onnx.helper.make_tensor_value_info("data", onnx.TensorProto.FLOAT, ["n", 3, 8, 8])
    flat = onnx.helper.make_tensor_value_info("flat", onnx.TensorProto.FLOAT, ["n", 192])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Flatten", ["data"], ["flat"])], "flat", [image], [flat])
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 11)], ir_version=7)
    model = _model(tmp_path)
    model.file.path.write_bytes(proto.SerializeToString())
    model = OnnxModel(
        **{name: getattr(model, name) for name in model.__struct_fields__}
        | {"output": TensorSpec(name="flat", shape=("n", 192), dtype="float32")}
    )
    preprocess_fusion.fuse(model, 4, "uint8", tmp_path / "fused.onnx")
    pixels = np.arange(4 * 192, dtype=np.int64).astype(np.uint8).reshape(4, 8, 8, 3)
    assert len(np.unique(pixels)) == 256
    assert np.array_equal(_scores(tmp_path / "fused.onnx", pixels), _normalised(pixels).reshape(4, 192))


@pytest.mark.parametrize("shape", [["n", 3, 8, 8], ["n", 8, 8, 3]])
@pytest.mark.parametrize("dtype", [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16])
@pytest.mark.parametrize("level", [True, False])
def test_every_byte_reaches_a_model_of_any_layout_and_type(
    tmp_path: Path, shape: list[int | str], dtype: int, level: bool
) -> None:
    image = onnx.helper.make_tensor_value_info("data", dtype, shape)
    flat = onnx.helper.make_tensor_value_info("flat", dtype, ["n", 192])
    nodes = [
        onnx.helper.make_node("Transpose", ["data"], ["planes"], perm=[0, 1, 2, 3] if shape[1] == 3 else [0, 3, 1, 2]),
        onnx.helper.make_node("Flatten", ["planes"], ["flat"]),
    ]
    graph = onnx.helper.make_graph(nodes, "flat", [image], [flat])
    model = _model(tmp_path)
    model.file.path.write_bytes(
        onnx.helper.make_model(
            graph, opset_imports=[onnx.helper.make_opsetid("", 11)], ir_version=7
        ).SerializeToString()
    )
    taken, given, _ = onnx_file.inspect(model.file.path)
    model = msgspec.structs.replace(model, input=taken, output=given)
    pixels = np.arange(4 * 192, dtype=np.int64).astype(np.uint8).reshape(4, 8, 8, 3)
    expected = _normalised(pixels).reshape(4, 192)
    if dtype == onnx.TensorProto.FLOAT16:
        expected = expected.astype(np.float16).astype(np.float32)
    inputs: dict[InputKind, Any] = {"uint8": pixels, "float32": _normalised(pixels)}
    for kind, batch in inputs.items():
        preprocess_fusion.fuse(model, 4, kind, tmp_path / "fused.onnx")
        found = _scores(tmp_path / "fused.onnx", batch, optimised=level)
        assert found.dtype == np.float32
        assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("kind", "shape", "dtype"), [("uint8", (5, 8, 8, 3), "uint8"), ("float32", (5, 3, 8, 8), "float32")]
)
def test_the_graph_takes_one_batch_size(tmp_path: Path, kind: InputKind, shape: tuple[int, ...], dtype: str) -> None:
    taken, given = preprocess_fusion.fuse(_model(tmp_path), 5, kind, tmp_path / "out.onnx")
    assert (taken.shape, taken.dtype) == (shape, dtype)
    assert given == TensorSpec(name="logits", shape=(5, 5), dtype="float32")
    (session_input,) = onnxruntime.InferenceSession(
        tmp_path / "out.onnx", providers=["CPUExecutionProvider"]
    ).get_inputs()
    assert (session_input.name, tuple(session_input.shape)) == (taken.name, shape)
    onnx.checker.check_model(onnx.load(tmp_path / "out.onnx"), full_check=True)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    model = _model(tmp_path)
    for name in ("one.onnx", "two.onnx"):
        preprocess_fusion.fuse(model, 2, "uint8", tmp_path / name)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_the_transform_is_in_the_bytes(tmp_path: Path) -> None:
    model = _model(tmp_path)
    fields = {name: getattr(model, name) for name in model.__struct_fields__}
    other = OnnxModel(**fields | {"transform": factories.transform(mean=(0.0, 0.0, 0.0))})
    preprocess_fusion.fuse(model, 2, "uint8", tmp_path / "one.onnx")
    preprocess_fusion.fuse(other, 2, "uint8", tmp_path / "two.onnx")
    assert (tmp_path / "one.onnx").read_bytes() != (tmp_path / "two.onnx").read_bytes()


def test_a_fixed_batch_size_is_taken_as_it_is(tmp_path: Path) -> None:
    taken, _ = preprocess_fusion.fuse(_model(tmp_path, batch=4), 4, "uint8", tmp_path / "out.onnx")
    assert taken.shape == (4, 8, 8, 3)


@pytest.mark.parametrize("batch", [1, 7])
def test_a_batch_size_can_be_left_free(tmp_path: Path, batch: int) -> None:
    model = _model(tmp_path)
    taken, given = preprocess_fusion.fuse(model, None, "uint8", tmp_path / "out.onnx")
    assert (taken.shape, given.shape) == (("batch", 8, 8, 3), ("batch", 5))
    expected = _scores(model.file.path, _normalised(_pixels(batch)))
    assert np.array_equal(_scores(tmp_path / "out.onnx", _pixels(batch)), expected)


def test_a_fixed_batch_size_cannot_be_left_free(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        preprocess_fusion.fuse(_model(tmp_path, batch=4), None, "uint8", tmp_path / "out.onnx")
    assert_says(caught, "fixed batch size of 4", "compiled for any batch size")


def test_another_batch_size_than_the_fixed_one_is_refused(tmp_path: Path) -> None:
    model = _model(tmp_path, batch=4)
    with pytest.raises(ModelError) as caught:
        preprocess_fusion.fuse(model, 16, "uint8", tmp_path / "out.onnx")
    assert_says(caught, "small has a fixed batch size of 4", "compiled for batch size 16", "use batch=4")
    assert not (tmp_path / "out.onnx").exists()


def test_shapes_inferred_for_a_free_batch_do_not_stand_in_the_way(tmp_path: Path) -> None:
    model = _model(tmp_path)
    inferred = onnx.shape_inference.infer_shapes(onnx.load(model.file.path))
    assert len(inferred.graph.value_info) > 0
    model.file.path.write_bytes(inferred.SerializeToString())
    preprocess_fusion.fuse(model, 3, "uint8", tmp_path / "out.onnx")
    assert _scores(tmp_path / "out.onnx", _pixels(3)).shape == (3, 5)


def test_the_model_itself_is_left_as_it_is(tmp_path: Path) -> None:
    model = _model(tmp_path)
    preprocess_fusion.fuse(model, 2, "uint8", tmp_path / "out.onnx")
    assert store.hash_file(model.file.path) == model.file.sha256
