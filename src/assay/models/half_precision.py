"""Half precision put into an ONNX graph, for a backend that computes each operator in the types that stand there.

What stands in front of the network, the normalisation of pixels, stays in float32, and so do the scores.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from assay.errors import ModelError, Option, Remedy

_OURS = "assay/"
"""How the names begin of what fusing put around the network."""
_STAYING = {"Resize": (1, 2), "Upsample": (1,)}
"""Inputs that ONNX wants in float32, whatever the operator computes in: regions and scales."""
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear")
_LARGEST = float(np.finfo(np.float16).max)
_IN_FLOAT32 = Remedy("give {}", Option("precision", "fp32"))


def lower(file: Path, taken: str, given: str) -> None:
    """Rewrites a fused graph of float32, from its input `taken` to its output `given`, to compute in float16.

    Raises `ModelError` where the graph holds what cannot be lowered: quantized operators, branches, or weights
    beyond float16's largest number.
    """
    proto = onnx.load(str(file))
    graph = proto.graph
    front = [node for node in graph.node if node.name.startswith(_OURS) and not node.name.endswith(f" of {given}")]
    body = [node for node in graph.node if node not in front]
    staying = {node.input[at] for node in body for at in _STAYING.get(node.op_type, ()) if at < len(node.input)}
    for node in body:
        _lower_node(node, staying)
    for weights in graph.initializer:
        if not weights.name.startswith(_OURS) and weights.name not in staying:
            _lower_tensor(weights)
    entry = front[-1].output[0] if front else taken
    renamed = {entry: f"{_OURS}half", given: f"{_OURS}half scores"}
    for node in body:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    nodes = [
        *front,
        helper.make_node("Cast", [entry], [renamed[entry]], f"{_OURS}to half", to=TensorProto.FLOAT16),
        *body,
        helper.make_node("Cast", [renamed[given]], [given], f"{_OURS}from half", to=TensorProto.FLOAT),
    ]
    # Types inferred for float32 would contradict those set now.
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    file.write_bytes(proto.SerializeToString(deterministic=True))


def _lower_node(node: onnx.NodeProto, staying: Iterable[str]) -> None:
    """What a node itself says of types: constants, and casts to float32."""
    if node.op_type in _QUANTIZED:
        raise ModelError(
            "half precision cannot be put into a quantized model", remedy=Remedy("give {}", Option("precision", "int8"))
        )
    for attribute in node.attribute:
        if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            raise ModelError(f"half precision cannot be put into the branches of {node.op_type}", remedy=_IN_FLOAT32)
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16
        if attribute.type == onnx.AttributeProto.TENSOR and node.output[0] not in staying:
            _lower_tensor(attribute.t)
        if node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
            single = attribute.f if attribute.name == "value_float" else list(attribute.floats)
            tensor = numpy_helper.from_array(np.asarray(single, np.float32))
            _lower_tensor(tensor)
            attribute.CopyFrom(helper.make_attribute("value", tensor))


def _lower_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type != TensorProto.FLOAT:
        return
    values = numpy_helper.to_array(tensor)
    largest = float(np.abs(values).max(initial=0.0))
    # Infinity is meant as such, in masks.
    if _LARGEST < largest < np.inf:
        raise ModelError(
            f"{tensor.name or 'a constant'} holds {largest:g}, beyond half precision's {_LARGEST:g}",
            remedy=_IN_FLOAT32,
        )
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name))
