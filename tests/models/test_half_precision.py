from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from assay.errors import ModelError
from assay.models import half_precision


def _write(place: Path, nodes: list[Any], weights: dict[str, Any], opset: int = 13) -> Path:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [2, 3, 4, 4])],
        [helper.make_tensor_value_info("class", TensorProto.FLOAT, [2, None])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), str(place))
    return place


def _scores(file: Path, images: Any) -> Any:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})[0]


def test_weights_constants_and_casts_are_lowered_and_the_ends_are_not(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Resize", ["image", "", "scales"], ["wide"], mode="nearest"),
        helper.make_node("Constant", [], ["two"], value_float=2.0),
        helper.make_node("Mul", ["wide", "two"], ["doubled"]),
        helper.make_node("Cast", ["doubled"], ["again"], to=TensorProto.FLOAT),
        helper.make_node("GlobalAveragePool", ["again"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["class"]),
    ]
    weights = np.random.default_rng(1).standard_normal((3, 5))
    file = _write(tmp_path / "model.onnx", nodes, {"scales": [1, 1, 2, 2], "weights": weights})
    images = np.random.default_rng(2).standard_normal((2, 3, 4, 4)).astype(np.float32)
    expected = _scores(file, images)
    half_precision.lower(file, "image", "class")
    proto = onnx.load(str(file))
    onnx.checker.check_model(proto, full_check=True)
    types = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
    assert types == {"scales": TensorProto.FLOAT, "weights": TensorProto.FLOAT16}
    inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True)
    kinds = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    assert kinds["doubled"] == kinds["again"] == kinds["flat"] == TensorProto.FLOAT16
    found = _scores(file, images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-2)


def test_a_weight_that_half_precision_cannot_hold_is_named(tmp_path: Path) -> None:
    file = _write(tmp_path / "model.onnx", [helper.make_node("Mul", ["image", "large"], ["class"])], {"large": [7e4]})
    with pytest.raises(ModelError, match="large holds 70000, beyond half precision's 65504; give precision=fp32"):
        half_precision.lower(file, "image", "class")


def test_a_quantized_model_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "scale"], ["bytes"]),
        helper.make_node("DequantizeLinear", ["bytes", "scale"], ["class"]),
    ]
    file = _write(tmp_path / "model.onnx", nodes, {"scale": 0.1})
    with pytest.raises(ModelError, match="give precision=int8"):
        half_precision.lower(file, "image", "class")
