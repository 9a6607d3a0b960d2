"""The demo's model as other exporters would have written it: each gives the scores of the original."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from assay import demo

SIDE, CLASSES = 64, 10
NAME, AUXILIARY = "class", "auxiliary"


def original() -> onnx.ModelProto:
    """N×3×64×64 float32 to N×10 float32."""
    return onnx.load(str(demo.ONNX))


def quantized() -> onnx.ModelProto:
    """Keeps each convolution's weights in 8 bits and dequantizes them; its scores are near those of the original."""
    model = original()
    kernels = {node.input[1] for node in model.graph.node if node.op_type == "Conv"}
    for weight in [weight for weight in model.graph.initializer if weight.name in kernels]:
        values = numpy_helper.to_array(weight)
        step = np.float32(np.abs(values).max() / 127)
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(np.round(values / step).astype(np.int8), f"{name}.int8"))
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(step), f"{name}.step"))
        model.graph.node.insert(0, helper.make_node("DequantizeLinear", [f"{name}.int8", f"{name}.step"], [name]))
    return model


def channels_last() -> onnx.ModelProto:
    """Takes N×H×W×3."""
    model = original()
    _before(model, [helper.make_node("Transpose", ["pixels"], [model.graph.input[0].name], perm=[0, 3, 1, 2])])
    _takes(model, "pixels", TensorProto.FLOAT, ["batch", SIDE, SIDE, 3])
    return model


def half() -> onnx.ModelProto:
    """Computes in float16, from its input to its output."""
    model = original()
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT:
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name))
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    return model


def half_channels_last() -> onnx.ModelProto:
    """Takes N×H×W×3 and computes in float16."""
    model = half()
    _before(model, [helper.make_node("Transpose", ["pixels"], [model.graph.input[0].name], perm=[0, 3, 1, 2])])
    _takes(model, "pixels", TensorProto.FLOAT16, ["batch", SIDE, SIDE, 3])
    return model


def softmax() -> onnx.ModelProto:
    """Gives probabilities."""
    return _behind(
        original(), helper.make_node("Softmax", [NAME], ["probability"], axis=1), "probability", ["batch", CLASSES]
    )


def planes() -> onnx.ModelProto:
    """Gives N×10×1×1."""
    return _behind(
        original(),
        helper.make_node("Unsqueeze", [NAME], ["planes"], axes=[2, 3]),
        "planes",
        ["batch", CLASSES, 1, 1],
    )


def pixels() -> onnx.ModelProto:
    """Gives N×1×1×10."""
    return _behind(
        original(),
        helper.make_node("Unsqueeze", [NAME], ["pixel"], axes=[1, 2]),
        "pixel",
        ["batch", 1, 1, CLASSES],
    )


def nameless_classes() -> onnx.ModelProto:
    """Leaves the number of classes open."""
    model = original()
    _gives(model, NAME, ["batch", "classes"])
    return model


def free_axes() -> onnx.ModelProto:
    """Leaves every axis of its input open."""
    model = original()
    _takes(model, model.graph.input[0].name, TensorProto.FLOAT, ["n", "channels", "height", "width"])
    return model


def two_outputs() -> onnx.ModelProto:
    """Gives the classes' scores and, from operators of its own, others."""
    model = original()
    before = model.graph.node[-1].input[0]
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, dtype=np.float32), "one"))
    model.graph.node.append(helper.make_node("Add", [before, "one"], [AUXILIARY]))
    model.graph.output.append(helper.make_tensor_value_info(AUXILIARY, TensorProto.FLOAT, ["batch", 128]))
    return model


def wider(classes: int, first: int) -> onnx.ModelProto:
    """Gives so many classes: the demo's stand from `first` on, the others never win."""
    model = original()
    gemm = model.graph.node[-1]
    for weight in model.graph.initializer:
        if weight.name in gemm.input[1:]:
            values = numpy_helper.to_array(weight)
            filled = np.full((classes, *values.shape[1:]), 0.0 if values.ndim == 2 else -1e3, dtype=np.float32)
            filled[first : first + CLASSES] = values
            weight.CopyFrom(numpy_helper.from_array(filled, weight.name))
    _gives(model, NAME, ["batch", classes])
    return model


def fixed(batch: int) -> onnx.ModelProto:
    """Takes one batch size."""
    model = original()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    return model


def with_bias(value: float, number: int = 3) -> onnx.ModelProto:
    """Gives one class this score, whatever the image."""
    model = original()
    name = model.graph.node[-1].input[2]
    bias = next(weight for weight in model.graph.initializer if weight.name == name)
    values = numpy_helper.to_array(bias).copy()
    values[number] = value
    bias.CopyFrom(numpy_helper.from_array(values, name))
    return model


def mixing(*operators: onnx.NodeProto, batch: int | None = None) -> onnx.ModelProto:
    """Has these operators, from `scores` to `mixed`, behind it; they may look at the whole batch."""
    model = original() if batch is None else fixed(batch)
    rows: int | str = "batch" if batch is None else batch
    model.graph.node[-1].output[0] = "scores"
    model.graph.node.extend(operators)
    _gives(model, "mixed", [rows, CLASSES])
    return model


VARIANTS: Mapping[str, Callable[[], onnx.ModelProto]] = {
    function.__name__: function
    for function in (
        channels_last,
        half,
        half_channels_last,
        softmax,
        planes,
        pixels,
        nameless_classes,
        free_axes,
        two_outputs,
    )
}


def save(model: onnx.ModelProto, path: Path) -> Path:
    """One file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def save_with_data(model: onnx.ModelProto, path: Path, location: str = "weights.bin") -> Path:
    """A file whose weights lie in another beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path), save_as_external_data=True, location=location, size_threshold=0)
    return path


def _before(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    others = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *others])


def _behind(model: onnx.ModelProto, node: onnx.NodeProto, name: str, shape: list[int | str]) -> onnx.ModelProto:
    model.graph.node.append(node)
    _gives(model, name, shape)
    return model


def _takes(model: onnx.ModelProto, name: str, kind: int, shape: list[int | str]) -> None:
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info(name, kind, shape))


def _gives(model: onnx.ModelProto, name: str, shape: list[int | str]) -> None:
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
