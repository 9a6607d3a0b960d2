"""The float32 graph that is calibrated and quantized: of opset 13 or more, normalisation folded, every node named."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, version_converter

from assay.errors import ModelError, Option, Remedy
from assay.models import onnx_file
from assay.quantization import layers

OPSET = 13
"""The first in which weights have a scale for each channel."""
_IR = 7
"""What opset 13 came with."""
_OURS = ("_scale", "_zero_point", "_quantized")
"""How the quantizer names what it adds to a tensor, without looking whether the name is taken."""


def require_float32(proto: onnx.ModelProto, name: str) -> None:
    """Raises `ModelError` where a graph is none of float32."""
    if onnx_file.holds_integers(proto):
        raise ModelError(f"{name} is quantized already; give the float32 model that it was made from")
    if any(weights.data_type == TensorProto.FLOAT16 for weights in proto.graph.initializer):
        raise ModelError(f"{name} is of float16, and quantizing starts from float32; export it in float32")


def make_ready(proto: onnx.ModelProto, name: str, out: Path) -> None:
    """Writes the graph; raises `ModelError` where the opset cannot be raised, or where no layer has weights."""
    from assay.quantization import runtime

    _take_weights_from_inputs(proto)
    opset = next(int(entry.version) for entry in proto.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < OPSET:
        proto = _raised(proto, name, opset)
    _name_nodes(proto.graph)
    _free_names(proto.graph)
    proto = onnx.shape_inference.infer_shapes(runtime.fold(proto, out), data_prop=True)
    if not layers.weighted(proto.graph):
        raise ModelError(
            f"{name} has no layer that 8 bits are for ({', '.join(layers.WITH_WEIGHTS)} with constant weights); "
            "give a model that has one"
        )
    out.write_bytes(proto.SerializeToString(deterministic=True))


def _take_weights_from_inputs(proto: onnx.ModelProto) -> None:
    """Older files list weights as inputs too: as such they could change, and nothing would be folded."""
    weights = {initializer.name for initializer in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in weights]
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    proto.ir_version = max(proto.ir_version, _IR)


def _raised(proto: onnx.ModelProto, name: str, opset: int) -> onnx.ModelProto:
    # Shapes inferred under the older rules are inferred again.
    del proto.graph.value_info[:]
    try:
        return version_converter.convert_version(proto, OPSET)
    except RuntimeError as error:
        said = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{name} cannot be raised from opset {opset} to {OPSET}, which 8 bits need ({said})",
            remedy=Remedy("export it with {}", Option("opset", OPSET)),
        ) from error


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Names nodes that have no name of their own by their operator and place, `Conv_12`."""
    taken = {""}
    for place, node in enumerate(graph.node):
        if node.name in taken:
            node.name = f"{node.op_type}_{place}"
        while node.name in taken:
            node.name += "_"
        taken.add(node.name)


def _free_names(graph: onnx.GraphProto) -> None:
    """Renames tensors whose names the quantizer would give to others."""
    fixed = {value.name for value in (*graph.input, *graph.output)}
    names = {weights.name for weights in graph.initializer} | {name for node in graph.node for name in node.output}
    renamed = {name: f"{name} of the model" for name in names - fixed if name.endswith(_OURS)}
    for weights in graph.initializer:
        weights.name = renamed.get(weights.name, weights.name)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
