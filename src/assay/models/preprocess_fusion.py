"""A model made ready for a backend: its batch size fixed, and where wanted normalisation fused in front.

The fused operators are those of the guide in its order and in float32: transpose, cast, divide by 255, subtract
the mean, divide by the standard deviation. Each is exact to the last bit in IEEE arithmetic, so a model fed with
uint8 pixels gives the very scores of one fed with normalised floats, at a quarter of the bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from assay.errors import ModelError
from assay.models import onnx_file
from assay.records import ImageTransform, InputKind, OnnxModel, TensorSpec

_PREFIX = "assay/"


def fuse(model: OnnxModel, batch: int, input_kind: InputKind, out: Path) -> tuple[TensorSpec, TensorSpec]:
    """Writes the graph that is handed to a backend; returns its input and output."""
    proto = onnx_file.load(model.file.path)
    fixed = model.input.shape[0]
    if isinstance(fixed, int) and fixed != batch:
        raise ModelError(
            f"{model.name} has a fixed batch size of {fixed}, so it cannot be compiled for {batch}; "
            f"use --batch {fixed}, or export it with a free batch size"
        )
    side = model.transform.crop
    _set_shape(proto.graph.input, model.input.name, (batch, 3, side, side))
    _set_shape(proto.graph.output, model.output.name, (batch, model.classes))
    # Shapes inferred for another batch size would contradict the one set now.
    del proto.graph.value_info[:]
    taken = TensorSpec(name=model.input.name, shape=(batch, 3, side, side), dtype="float32")
    if input_kind == "uint8":
        taken = _normalise_in_front(proto.graph, model.input.name, (batch, side, side, 3), model.transform)
    out.write_bytes(proto.SerializeToString(deterministic=True))
    return taken, TensorSpec(name=model.output.name, shape=(batch, model.classes), dtype="float32")


def _set_shape(values: object, name: str, shape: tuple[int, ...]) -> None:
    for value in values:  # type: ignore[attr-defined]  # protobuf's repeated field has no public type
        if value.name == name:
            value.CopyFrom(helper.make_tensor_value_info(name, value.type.tensor_type.elem_type, shape))


def _normalise_in_front(
    graph: onnx.GraphProto, name: str, shape: tuple[int, int, int, int], transform: ImageTransform
) -> TensorSpec:
    """Puts the operators in front of the input `name`; the new input is uint8 N×H×W×3."""
    constants = {
        "scale": np.float32(255.0),
        "mean": np.asarray(transform.mean, dtype=np.float32).reshape(1, 3, 1, 1),
        "std": np.asarray(transform.std, dtype=np.float32).reshape(1, 3, 1, 1),
    }
    for constant, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), _PREFIX + constant))
    pixels = _PREFIX + "pixels"
    # Transposing bytes before they are widened moves a quarter of the memory.
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Transpose", [pixels], "planes", {"perm": [0, 3, 1, 2]}),
        ("Cast", [_PREFIX + "planes"], "float", {"to": TensorProto.FLOAT}),
        ("Div", [_PREFIX + "float", _PREFIX + "scale"], "scaled", {}),
        ("Sub", [_PREFIX + "scaled", _PREFIX + "mean"], "centred", {}),
        ("Div", [_PREFIX + "centred", _PREFIX + "std"], "normalised", {}),
    ]
    nodes = [
        helper.make_node(
            operator,
            inputs,
            [name if output == "normalised" else _PREFIX + output],
            _PREFIX + output,
            **attributes,
        )
        for operator, inputs, output, attributes in steps
    ]
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *others])
    taken = next(value for value in graph.input if value.name == name)
    taken.CopyFrom(helper.make_tensor_value_info(pixels, TensorProto.UINT8, shape))
    return TensorSpec(name=pixels, shape=shape, dtype="uint8")
